"""The ablation (TL-Training, section 5.2, Table 5): what does each part of the method change?

    python ablation.py --out runs/ablation                     # all rows, five seeds: hours
    python ablation.py --rows none mae-pkt-irm --seeds 0 1     # some of them
    python ablation.py --report                                # the tables of what is there
    python ablation.py --paper                                 # the paper's Table 5 beside ours
    python ablation.py --model DIR --data raw_data.json --bench toolalpaca rotbench \\
        --preset codellama-7b --max-new-tokens 512 --device cuda --jobs 1 --processes 8 \\
        --out runs/ablation-7b                                 # a real checkpoint

A row is the parts that train its model, a seed is the order of its data and its sampling; together
they are a cell. A cell is the commands that a user would type, each a process of one thread
(--processes: several, by torchrun); what several cells need is run once, in a folder of its own
under OUT. Killed at any moment, the same command goes on. OUT/outcomes/ROW-SEED.json holds what
became of every held-out item, some bytes an item; those in docs/results/ablation/ are taken over,
where they are about the same model and data.
"""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import torch

import dpo
import evaluate
import ppo
import preferences
import sft
from evaluation import ablation_tables, effects
from evaluation.benchmarks import BENCHMARKS
from evaluation.outcomes import call_outcomes, dialogue_outcomes, pack
from plumbing.answers import claim
from plumbing.files import (
    InputError,
    contents,
    kind_of,
    lock,
    make_folder,
    read_object,
    write_json,
    write_text,
)
from plumbing.flags import Parser, cli, flag_name
from plumbing.progress import progress
from plumbing.stages import Stage, is_finished, run_stages, typed
from tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent
COMMITTED = ROOT / "docs" / "results" / "ablation"
ROWS = {  # the parts that train a row's model, in order -> its title
    "none": "none",
    "mae": "MAE",
    "pkt": "PKT",
    "irm": "IRM",
    "mae-pkt": "MAE + PKT",
    "mae-irm": "MAE + IRM",
    "pkt-irm": "PKT + IRM",
    "mae-pkt-irm": "all",
    "mae-pkt-ttpa": "MAE + PKT, TTPA",
    "mae-pkt-irm-ttpa": "all, TTPA",
    # the dose: stage 1 on data in which so many percent of the trajectories hold an error
    "errors0": "0% errors",  # there MAE has nothing to drop: both rows are this one
    "errors35": "35% errors",
    "mae-errors35": "35% errors, MAE",
    "errors60": "60% errors",
    "mae-errors60": "60% errors, MAE",
}
# of flags that change every outcome; another value stands among an outcome's inputs
DEFAULTS = {"lora_rank": 0, "max_new_tokens": 96}
BENCHES = ("embedded", "no_tool", "toolbox")
SCRIPTS = {"sft": sft, "ppo": ppo, "preferences": preferences, "dpo": dpo}
RESULTS = {  # the file that a script writes last
    "sft": "config.json", "ppo": "config.json", "preferences": "pairs.jsonl", "dpo": "config.json"}
MINUTES = {  # on one core: only for the time left
    "errors": 0.5, "sft": 5, "ppo": 27, "preferences": 3, "dpo": 5,
    "embedded": 1.4, "no_tool": 0.3, "toolbox": 4}


# --------------------------------------------------------------------------------- rows and stages

def training_stages(row, seed, flags):
    """The Stages that make the model of a row, in order: it is the folder of the last one."""
    parts = row.split("-")
    stages = []
    data = flags.data or str(ROOT / "data" / "train.json")
    for part in parts:
        if part.startswith("errors"):
            share = int(part.removeprefix("errors")) / 100
            stages.append(Stage(
                part, ("-m", "toolbox.synthesize", "--error-share", str(share)), "train.json",
                minutes=MINUTES["errors"], device=False))
            data = str(flags.out / part / "train.json")
    off = [f"--no-{part}" for part in ("mae", "pkt") if part not in parts]
    tuned = [part for part in parts if part not in ("irm", "ttpa")] or ["none"]
    add(stages, "sft", tuned, seed, flags, ("--model", flags.model, "--data", data, *off))
    prompts = ("--data", flags.data or str(ROOT / "data" / "rl.json"))
    if flags.prompts:
        prompts += ("--num-prompts", str(flags.prompts))
    if "irm" in parts:
        before = ("--model", str(flags.out / stages[-1].name))
        add(stages, "ppo", [part for part in parts if part != "ttpa"], seed, flags,
            (*before, *prompts, "--show-every", "0", "--save-every", "10"))
    if "ttpa" in parts:
        before = ("--model", str(flags.out / stages[-1].name))
        add(stages, "preferences", parts, seed, flags, (*before, *prompts))
        pairs = ("--data", str(flags.out / stages[-1].name))
        add(stages, "dpo", parts, seed, flags, (*before, *pairs))
    return stages


def add(stages, script, parts, seed, flags, arguments):
    """Add the Stage of a training script, which needs the one before it, to a list of them."""
    preset = () if flags.preset == "tiny" else ("--preset", flags.preset)
    lora = ("--lora-rank", str(flags.lora_rank))
    if not flags.lora_rank or script == "preferences":  # which trains nothing
        lora = ()
    stages.append(Stage(
        f"seed-{seed}/{script}-{'-'.join(parts)}",
        (f"{script}.py", *preset, *lora, "--seed", str(seed), *arguments), RESULTS[script],
        stages[-1].name if stages else "", MINUTES[script]))


def stages_of(row, seed, flags):
    """All Stages of a cell: those that train its model, then an evaluation on each benchmark."""
    stages = training_stages(row, seed, flags)
    trained = stages[-1].name
    for bench in flags.bench:
        command = ("evaluate.py", "--bench", bench, "--model", str(flags.out / trained), "--limit",
                   str(flags.items), "--batch-size", "32", "--max-new-tokens",
                   str(flags.max_new_tokens))
        stages.append(Stage(f"seed-{seed}/{bench}-{row}", command, "scores.json", trained,
                            MINUTES.get(bench, 2)))
    return stages


# ----------------------------------------------------------------------------------------- running

def run_cells(cells, flags):
    """Run what is missing of all cells, --jobs stages at once; write the outcome of each cell."""
    left = {}  # cell without an outcome -> its stages
    stages = {}
    for cell in cells:
        if not kind_of(outcome_file(cell, flags)):
            left[cell] = stages_of(*cell, flags)
            stages |= {stage.name: stage for stage in left[cell]}
    bar = progress(total=len(cells), initial=len(cells) - len(left), desc="cells", unit="cell",
                   bar_format="{desc} {n_fmt}/{total_fmt} |{bar:20}| {elapsed}{postfix}")
    for state in run_stages(stages, flags.out, flags.jobs, flags.device, flags.processes):
        for cell in [cell for cell in left if is_done(left[cell], flags.out)]:
            write_outcome(cell, left.pop(cell), flags)
            bar.update()
        bar.set_postfix_str(state)
    bar.close()


def is_done(stages, out):
    """Whether all stages of a cell are finished."""
    return all(is_finished(stage, out) for stage in stages)


# ---------------------------------------------------------------------------------------- outcomes

def outcome_file(cell, flags):
    """OUT/outcomes/ROW-SEED.json."""
    row, seed = cell
    return flags.out / "outcomes" / f"{row}-{seed}.json"


def write_outcome(cell, stages, flags):
    """Write what became of all items of a cell, and what made it."""
    row, seed = cell
    tokenizer = Tokenizer(flags.model)
    tables = {}
    for bench, stage in zip(flags.bench, stages[-len(flags.bench):], strict=True):
        tasks = bench_tasks(bench, flags)
        if BENCHMARKS[bench].kind == "calls":
            table = call_outcomes(flags.out / stage.name, tasks, tokenizer)
        else:
            table = dialogue_outcomes(flags.out / stage.name, tasks)
        tables[bench] = {name: pack(column) for name, column in table.items()}
    file = flags.out / "seconds.json"
    took = read_object(file) if kind_of(file) else {}
    seconds = {stage.name: took[stage.name] for stage in stages if stage.name in took}
    file = outcome_file(cell, flags)
    make_folder(file.parent)
    write_json(file, {
        "row": row, "seed": seed, "inputs": inputs_of(stages, inputs(flags)),
        "commands": [typed(stage.command, flags.out) for stage in stages],
        "made": {**machine(flags.device), "processes": flags.processes, "seconds": seconds},
        "outcomes": tables})


def bench_tasks(bench, flags):
    """The items of a benchmark that evaluate.py is asked for."""
    entry = BENCHMARKS[bench]
    asked = replace(evaluate.Flags(), bench=bench, limit=flags.items, level=entry.default_level)
    return evaluate.read_tasks(asked, entry)


def inputs(flags):
    """{what: hash or number} of what outcomes depend on, the same for all rows and seeds."""
    described = {
        "model": contents(flags.model)[:16],
        "data": contents(flags.data or ROOT / "data" / "train.json")[:16],
        "prompts": contents(flags.data or ROOT / "data" / "rl.json")[:16],
    }
    for name, script in SCRIPTS.items():
        values = preset_values(script.PRESETS[flags.preset])
        if flags.prompts and "num_prompts" in values:
            values["num_prompts"] = flags.prompts
        described[f"preset of {name}.py"] = digest(values)
    for bench in flags.bench:
        tasks = [(task.id, task.turns, task.golds) for task in bench_tasks(bench, flags)]
        described[bench] = digest(tasks)
    for name, default in DEFAULTS.items():
        if getattr(flags, name) != default:
            described[flag_name(name)] = getattr(flags, name)
    return described


def inputs_of(stages, described):
    """Those of the inputs that a cell depends on: no preset of a script that it does not run."""
    scripts = {stage.command[0] for stage in stages}
    return {what: value for what, value in described.items()
            if not what.startswith("preset") or what.removeprefix("preset of ") in scripts}


def preset_values(preset):
    """The values of a preset that make a run what it is."""
    return {field.name: getattr(preset, field.name) for field in fields(preset)
            if field.metadata["on_resume"] == "run"}


def digest(value):
    """A short SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def machine(device):
    """{what: text} of the commit and the machine that outcomes come from."""
    name = platform.processor() or platform.machine()
    if kind_of("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    if device != "cpu" and torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    found = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],
                           cwd=ROOT, capture_output=True, text=True)
    return {"commit": found.stdout.strip() or "unknown", "machine": name, "cores": os.cpu_count(),
            "torch": torch.__version__}


def take_over(cells, flags, described):
    """Copy committed outcomes of these cells that are about the same inputs and commands."""
    others = []
    for cell in cells:
        committed = COMMITTED / outcome_file(cell, flags).name
        if kind_of(outcome_file(cell, flags)) or not kind_of(committed):
            continue
        outcome = read_object(committed)
        stages = stages_of(*cell, flags)
        commands = [typed(stage.command, flags.out) for stage in stages]
        same = outcome.get("inputs") == inputs_of(stages, described)
        if same and outcome.get("commands") == commands:
            make_folder(outcome_file(cell, flags).parent)
            write_text(outcome_file(cell, flags), committed.read_text(encoding="utf-8"))
        else:
            others.append(committed.name)
    if others:
        print(f"{len(others)} outcomes in {COMMITTED} are about another model, other data or "
              f"commands, and are not taken over: {others[0]}, ...")


# ---------------------------------------------------------------------------------------- report

def report(flags):
    """Print the tables of all outcomes, and write them to OUT with two figures.

    Committed outcomes count where OUT has none of that cell and they are about the same inputs.
    """
    run_file = flags.out / "run.json"
    described = read_object(run_file) if kind_of(run_file) else inputs(flags)
    found, made = effects.read_outcomes([flags.out / "outcomes", COMMITTED], described)
    if not found:
        print("no cell has been run yet")
        return
    if flags.paper:
        print(*ablation_tables.paper_table(found, ROWS), sep="\n")
        return
    make_folder(flags.out)
    text = "\n".join(ablation_tables.tables(found, ROWS))
    write_text(flags.out / "table.md", text + "\n")
    for name, picture in ablation_tables.pictures(found, ROWS).items():
        write_text(flags.out / name, picture)
    print(text)
    seconds = {}
    for each in made:
        seconds |= each["seconds"]  # cells share stages
    hours = sum(seconds.values()) / 3600
    print(f"\n{len(made)} cells of {len(ROWS) * 5} planned, {hours:.1f} hours of one process; "
          f"commits {distinct(made, 'commit')}; seeds {distinct(made, 'seed')}; "
          f"{distinct(made, 'machine')}; torch {distinct(made, 'torch')}")


def distinct(made, key):
    """The distinct values of a key, as a text."""
    return ", ".join(sorted({str(each[key]) for each in made}))


# ------------------------------------------------------------------------------------ command line

def can_run(entry):
    """Whether a cell can be evaluated on a benchmark: it has outcomes, and needs no flag."""
    return entry.kind in ("calls", "dialogues") and not entry.needs and bool(entry.remedy)


def read_flags():
    """The command line. Raises InputError."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder of all")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW",
                        help="of " + ", ".join(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="N")
    parser.add_argument("--jobs", type=int, default=2, help="stages at once, a thread each")
    parser.add_argument("--processes", type=int, default=1,
                        help="of each stage, by torchrun; on CUDA each needs a GPU of its own")
    parser.add_argument("--model", default=str(ROOT / "data" / "tiny"),
                        help="checkpoint to start from, a directory in HF layout")
    parser.add_argument("--data", default="", help="trajectories for both stages, in place of "
                        "data/train.json and data/rl.json")
    parser.add_argument("--preset", choices=sft.PRESETS, default="tiny", help="of the scripts")
    parser.add_argument("--lora-rank", type=int, default=DEFAULTS["lora_rank"],
                        help="train LoRA adapters of this rank; 0: all weights")
    parser.add_argument("--bench", nargs="+", default=list(BENCHES), metavar="NAME",
                        choices=[name for name, entry in BENCHMARKS.items() if can_run(entry)])
    parser.add_argument("--items", type=int, default=0, help="of a benchmark's groups; 0: all")
    parser.add_argument("--prompts", type=int, default=0,
                        help="of stage 2 and of TTPA; 0: as many as the preset says")
    parser.add_argument("--max-new-tokens", type=int, default=DEFAULTS["max_new_tokens"],
                        help="longest answer evaluated")
    parser.add_argument("--device", default="cpu", help="of all commands")
    parser.add_argument("--report", action="store_true", help="only print the tables")
    parser.add_argument("--paper", action="store_true", help="only print the paper's Table 5, "
                        "and ours beside it")
    flags = parser.parse_args()
    flags.out = flags.out.resolve()
    flags.model = str(Path(flags.model).resolve())
    flags.data = flags.data and str(Path(flags.data).resolve())
    if min(flags.jobs, flags.processes) < 1:
        raise InputError("--jobs, --processes: at least 1")
    if min(flags.items, flags.prompts, flags.lora_rank, *flags.seeds) < 0:
        raise InputError("--items, --prompts, --lora-rank, --seeds: not negative")
    if flags.data:
        flags.rows = [row for row in flags.rows if "errors" not in row]
    return flags


def main():
    """The command line; see the top of this file."""
    flags = read_flags()
    if flags.report or flags.paper:
        report(flags)
        return
    described = inputs(flags)
    make_folder(flags.out)
    held = lock(flags.out)  # noqa: F841 (for as long as this program runs)
    claim(flags.out, described)
    cells = []
    for row in dict.fromkeys(flags.rows):
        cells += [(row, seed) for seed in dict.fromkeys(flags.seeds)]
    take_over(cells, flags, described)
    run_cells(cells, flags)
    report(flags)


if __name__ == "__main__":
    cli(main)
