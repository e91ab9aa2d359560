"""The ablation (TL-Training, section 5.2, Table 5): what does each part of the method change?

    python ablation.py --out runs/ablation                     # all rows, five seeds: hours
    python ablation.py --rows none mae-pkt-irm --seeds 0 1     # some of them
    python ablation.py --report                                # the tables of what is there
    python ablation.py --paper                                 # the paper's Table 5 beside ours
    python ablation.py --model DIR --data raw_data.json --bench toolalpaca rotbench \\
        --preset codellama-7b --max-new-tokens 512 --device cuda        # a real checkpoint

A row is the parts that train its model, a seed is the order of its data and its sampling; together
they are a cell. A cell is the commands that a user would type, each a process of one thread; what
several cells need is run once, in a folder of its own under OUT. Killed at any moment, the same
command goes on. OUT/outcomes/ROW-SEED.json holds what became of every held-out item, some bytes an
item; those in docs/results/ablation/ are taken over, where they are about the same model and data.
"""

import hashlib
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from ctypes import CDLL
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import plumbing.environment  # noqa: F401 (before torch)

import torch

import dpo
import evaluate
import ppo
import preferences
import sft
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
from plumbing.flags import Parser, cli
from plumbing.progress import progress
from plumbing.stop import StopRequest
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
BENCHES = ("embedded", "no_tool", "toolbox")
SCRIPTS = {"sft": sft, "ppo": ppo, "preferences": preferences, "dpo": dpo}
MINUTES = {  # of a stage on one core: only for the time left
    "sft": 5, "ppo": 27, "preferences": 3, "dpo": 5, "embedded": 1.4, "no_tool": 0.3, "toolbox": 4}
PR_SET_PDEATHSIG = 1  # of Linux's prctl
LIBC = CDLL(None)


# --------------------------------------------------------------------------------- rows and stages

class Stage(NamedTuple):
    """A command with a folder of its own, OUT/name."""

    name: str
    command: tuple[str, ...]  # after the interpreter; without --out and --device
    result: str               # the file in the folder that is there once the command has ended
    needs: str = ""           # the stage that must have ended before

    @property
    def kind(self):
        """The script or the benchmark: what its folder begins with."""
        return Path(self.name).name.partition("-")[0]


def training_stages(row, seed, flags):
    """The Stages that make the model of a row, in order: it is the folder of the last one."""
    parts = row.split("-")
    where = f"seed-{seed}"
    preset = () if flags.preset == "tiny" else ("--preset", flags.preset)
    common = (*preset, "--seed", str(seed))
    stages = []
    data = flags.data or str(ROOT / "data" / "train.json")
    dose = [part for part in parts if part.startswith("errors")]
    if dose:
        share = int(dose[0].removeprefix("errors")) / 100
        stages.append(Stage(dose[0], ("-m", "toolbox.synthesize", "--error-share", str(share)),
                            "train.json"))
        data = str(flags.out / dose[0] / "train.json")
    first = "-".join(part for part in parts if part not in ("irm", "ttpa")) or "none"
    off = [f"--no-{part}" for part in ("mae", "pkt") if part not in parts]
    stages.append(Stage(f"{where}/sft-{first}",
                        ("sft.py", "--model", flags.model, "--data", data, *common, *off),
                        "config.json", stages[-1].name if stages else ""))
    prompts = ("--data", flags.data or str(ROOT / "data" / "rl.json"))
    if flags.prompts:
        prompts += ("--num-prompts", str(flags.prompts))
    if "irm" in parts:
        tuned = first if first != "none" else ""
        before = stages[-1].name
        trained = "-".join(filter(None, (tuned, "irm")))
        stages.append(Stage(f"{where}/ppo-{trained}",
                            ("ppo.py", "--model", str(flags.out / before), *prompts, *common,
                             "--show-every", "0", "--save-every", "10"), "config.json", before))
    if "ttpa" in parts:
        before = stages[-1].name
        reference = ("--model", str(flags.out / before))
        pairs = f"{where}/preferences-{row}"
        stages.append(Stage(pairs, ("preferences.py", *reference, *prompts, *common),
                            "pairs.jsonl", before))
        stages.append(Stage(f"{where}/dpo-{row}",
                            ("dpo.py", *reference, "--data", str(flags.out / pairs), *common),
                            "config.json", pairs))
    return stages


def stages_of(row, seed, flags):
    """All Stages of a cell: those that train its model, then an evaluation on each benchmark."""
    stages = training_stages(row, seed, flags)
    trained = stages[-1].name
    for bench in flags.bench:
        stages.append(Stage(f"seed-{seed}/{bench}-{row}",
                            ("evaluate.py", "--bench", bench, "--model", str(flags.out / trained),
                             "--limit", str(flags.items), "--batch-size", "32",
                             "--max-new-tokens", str(flags.max_new_tokens)),
                            "scores.json", trained))
    return stages


def is_finished(stage, out):
    """Whether the command of a stage has ended, as the last file that it writes tells."""
    return kind_of(out / stage.name / stage.result) == "file"


def shown(command, out):
    """A command as a user would type it in the repository, its output under OUT."""
    words = ["python", *command]
    return shlex.join(words).replace(str(out), "OUT").replace(f"{ROOT}/", "")


# ----------------------------------------------------------------------------------------- running

class Job(NamedTuple):
    """A stage that runs."""

    stage: Stage
    process: subprocess.Popen
    log: Path
    started: float


def start(stage, flags):
    """Start the command of a stage; what it prints goes to OUT/logs -> Job."""
    log = flags.out / "logs" / f"{stage.name.replace('/', '-')}.txt"
    make_folder(log.parent)
    command = [*stage.command, "--out", str(flags.out / stage.name)]
    if "-m" not in command:
        command += ["--device", flags.device]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ {shown(command, flags.out)}\n")
        file.flush()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=file, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent)
    return Job(stage, process, log, time.monotonic())


def _end_with_parent():
    """In the child: where this program is killed, its stages are, too, and none holds a lock."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_cells(cells, flags):
    """Run what is missing of all cells, --jobs stages at once; write the outcome of each cell."""
    left = {}  # cell without an outcome -> its stages
    known = {}  # name -> Stage, in the order of the cells
    for cell in cells:
        if not kind_of(outcome_file(cell, flags)):
            left[cell] = stages_of(*cell, flags)
            known |= {stage.name: stage for stage in left[cell]}
    waiting = [stage for stage in known.values() if not is_finished(stage, flags.out)]
    seconds = Seconds(flags.out)
    running = []
    said = ""
    stop = StopRequest(speaks=True)
    bar = progress(total=len(cells), initial=len(cells) - len(left), desc="cells", unit="cell",
                   bar_format="{desc} {n_fmt}/{total_fmt} |{bar:20}| {elapsed}{postfix}")
    while left:
        for job in [job for job in running if job.process.poll() is not None]:
            running.remove(job)
            seconds.add(job)
            if job.process.returncode and not stop.number:
                end_all(running)
                refuse(job)
        for cell in [cell for cell in left if is_cell_done(left[cell], flags.out)]:
            write_outcome(cell, left.pop(cell), flags, seconds)
            bar.update()
        if stop.number:
            end_all(running)
            bar.close()
            print("stopped; the same command goes on from there")
            sys.exit(128 + stop.number)
        for stage in ready_stages(waiting, known, flags.out)[:flags.jobs - len(running)]:
            waiting.remove(stage)
            running.append(start(stage, flags))
        state = seconds.describe(waiting, running, flags.jobs)
        if state != said:  # in a file every state is a line
            said = state
            bar.set_postfix_str(state)
        time.sleep(0.2)
    bar.close()


def ready_stages(waiting, known, out):
    """The waiting stages whose needs are met, in order."""
    return [stage for stage in waiting
            if not stage.needs or is_finished(known[stage.needs], out)]


def is_cell_done(stages, out):
    """Whether all stages of a cell have ended."""
    return all(is_finished(stage, out) for stage in stages)


def end_all(running):
    """Ask the running commands to save and end, and wait for them."""
    for job in running:
        job.process.terminate()
    for job in running:
        job.process.wait()


def refuse(job):
    """Raises InputError about a command that failed, with the last line that it printed."""
    lines = [line for line in job.log.read_text(errors="replace").split("\n") if line.strip()]
    raise InputError(f"{job.stage.name}: status {job.process.returncode}: {lines[-1][:300]} "
                     f"(all of it: {job.log})")


class Seconds:
    """OUT/seconds.json: what each stage took, over all attempts that were not killed."""

    def __init__(self, out):
        self.file = out / "seconds.json"
        self.of_stage = read_object(self.file) if kind_of(self.file) else {}
        self.here = Counter()  # of this program's stages: seconds, and what was expected

    def add(self, job):
        """A command has ended."""
        took = time.monotonic() - job.started
        name = job.stage.name
        self.of_stage[name] = round(self.of_stage.get(name, 0) + took, 1)
        self.here.update(took=took, expected=60 * MINUTES.get(job.stage.kind, 1))
        write_json(self.file, self.of_stage)

    def describe(self, waiting, running, jobs):
        """What runs, and the hours and minutes left at the speed of the stages that ended here."""
        pace = self.here["took"] / self.here["expected"] if self.here["expected"] else 1
        stages = [*waiting, *(job.stage for job in running)]
        ahead = pace * sum(60 * MINUTES.get(stage.kind, 1) for stage in stages)
        ahead -= sum(time.monotonic() - job.started for job in running)
        minutes = int(max(ahead, 0) / jobs / 60)
        names = ", ".join(job.stage.name for job in running)
        return f"{names}; {minutes // 60}:{minutes % 60:02} left"


# ---------------------------------------------------------------------------------------- outcomes

def outcome_file(cell, flags):
    """OUT/outcomes/ROW-SEED.json."""
    row, seed = cell
    return flags.out / "outcomes" / f"{row}-{seed}.json"


def write_outcome(cell, stages, flags, seconds):
    """Write what became of all items of a cell, and what made it."""
    row, seed = cell
    tokenizer = Tokenizer(flags.model)
    tables = {}
    for stage in stages[-len(flags.bench):]:
        bench = stage.kind
        tasks = bench_tasks(bench, flags)
        if BENCHMARKS[bench].kind == "calls":
            table = call_outcomes(flags.out / stage.name, tasks, tokenizer)
        else:
            table = dialogue_outcomes(flags.out / stage.name, tasks)
        tables[bench] = {name: pack(column) for name, column in table.items()}
    hours = sum(seconds.of_stage.get(stage.name, 0) for stage in stages) / 3600
    file = outcome_file(cell, flags)
    make_folder(file.parent)
    write_json(file, {
        "row": row, "seed": seed, "inputs": inputs(flags),
        "commands": [shown(stage.command, flags.out) for stage in stages],
        "made": {**machine(flags.device), "hours": round(hours, 3)},
        "outcomes": tables})


def bench_tasks(bench, flags):
    """The items of a benchmark that evaluate.py is asked for."""
    entry = BENCHMARKS[bench]
    asked = replace(evaluate.Flags(), bench=bench, limit=flags.items, level=entry.default_level)
    return evaluate.read_tasks(asked, entry)


def inputs(flags):
    """{what: hash or number} of what all outcomes depend on besides their commands."""
    described = {
        "model": contents(flags.model)[:16],
        "data": contents(flags.data or ROOT / "data" / "train.json")[:16],
        "prompts": contents(flags.data or ROOT / "data" / "rl.json")[:16],
        "presets": digest({name: preset_values(script.PRESETS[flags.preset])
                           for name, script in SCRIPTS.items()}),
    }
    for bench in flags.bench:
        tasks = [(task.id, task.turns, task.golds) for task in bench_tasks(bench, flags)]
        described[bench] = digest(tasks)
    return described


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
        commands = [shown(stage.command, flags.out) for stage in stages_of(*cell, flags)]
        if outcome.get("inputs") == described and outcome.get("commands") == commands:
            make_folder(outcome_file(cell, flags).parent)
            write_text(outcome_file(cell, flags), committed.read_text(encoding="utf-8"))
        else:
            others.append(committed.name)
    if others:
        print(f"{len(others)} outcomes in {COMMITTED} are about another model, other data or "
              f"commands, and are not taken over: {others[0]}, ...")


# ------------------------------------------------------------------------------------ command line

def read_flags():
    """The command line. Raises InputError."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder of all")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW",
                        help="of " + ", ".join(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="N")
    parser.add_argument("--jobs", type=int, default=2, help="stages at once, a thread each")
    parser.add_argument("--model", default=str(ROOT / "data" / "tiny"),
                        help="checkpoint to start from, a directory in HF layout")
    parser.add_argument("--data", default="", help="trajectories for both stages, in place of "
                        "data/train.json and data/rl.json")
    parser.add_argument("--preset", choices=sft.PRESETS, default="tiny", help="of the scripts")
    parser.add_argument("--bench", nargs="+", default=list(BENCHES), metavar="NAME",
                        choices=[name for name, entry in BENCHMARKS.items()
                                 if entry.kind != "transcripts" and not entry.needs])
    parser.add_argument("--items", type=int, default=0, help="of a benchmark's groups; 0: all")
    parser.add_argument("--prompts", type=int, default=0,
                        help="of stage 2 and of TTPA; 0: as many as the preset says")
    parser.add_argument("--max-new-tokens", type=int, default=96, help="longest answer evaluated")
    parser.add_argument("--device", default="cpu", help="of all commands")
    parser.add_argument("--report", action="store_true", help="only print the tables")
    parser.add_argument("--paper", action="store_true", help="only print the paper's Table 5, "
                        "and ours beside it")
    flags = parser.parse_args()
    flags.out = flags.out.resolve()
    flags.model = str(Path(flags.model).resolve())
    flags.data = flags.data and str(Path(flags.data).resolve())
    if flags.jobs < 1 or min(flags.items, flags.prompts, *flags.seeds) < 0:
        raise InputError("--jobs: at least 1; --items, --prompts, --seeds: not negative")
    if flags.data:
        flags.rows = [row for row in flags.rows if "errors" not in row]
    return flags


def main():
    """The command line; see the top of this file."""
    flags = read_flags()
    if flags.report or flags.paper:
        report(flags)
        return
    make_folder(flags.out)
    held = lock(flags.out)  # noqa: F841 (for as long as this program runs)
    described = inputs(flags)
    claim(flags.out, described)
    cells = []
    for seed in dict.fromkeys(flags.seeds):
        cells += [(row, seed) for row in dict.fromkeys(flags.rows)]
    take_over(cells, flags, described)
    run_cells(cells, flags)
    report(flags)


def report(flags):
    """Print the tables of all outcomes that are there, committed ones included."""
    print(f"{len(list((flags.out / 'outcomes').glob('*.json')))} cells")


if __name__ == "__main__":
    cli(main)
