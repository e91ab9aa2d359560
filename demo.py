"""The whole method on the embedded model and data: SFT, PPO, and what they change, in one table.

    make demo                                             # one seed, part of prompts and tests
    make demo-ttpa                                        # the same, and TTPA from the same SFT
    python demo.py --out runs/demo --seed 0 --full        # all of them
    python demo.py --compare runs/demo-0 runs/demo-1 runs/demo-2    # several seeds, pooled

The table has a column each for the embedded base model, the model after sft.py, after ppo.py and,
with --ttpa, after dpo.py. Every stage is the command that a user would type, and is printed.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from plumbing.files import read_object, write_json
from plumbing.flags import Parser, cli

ROOT = Path(__file__).resolve().parent
STAGES = {  # stage -> its title in the table
    "base": "base", "sft": "SFT", "ppo": "SFT + PPO", "dpo": "SFT + TTPA"}
COUNTED = ("TS", "PI", "CF")  # measures of held-out calls that scores.json has as counts


# --------------------------------------------------------------------------------------- the stages

def demo(out, seed, full, ttpa):
    """Run all stages into the folder `out`; a demo that was cut short goes on there.

    ttpa: preferences.py and dpo.py, too, from the same fine-tuned model.
    """
    out.mkdir(parents=True, exist_ok=True)
    # benchmark -> items of each group, 0 for all
    base_limits = {"embedded": 50, "no_tool": 10, "toolbox": 10}
    limits = {"embedded": 150, "no_tool": 20, "toolbox": 30}
    noise_limit = 25
    prompts = 600  # of stage 2, which takes most of the time
    if full:
        base_limits = dict.fromkeys(limits, 0)
        limits = base_limits
        noise_limit = 0
        prompts = 1194
    evaluate(out, "base", base_limits)
    train(out, "sft", "--seed", seed)
    evaluate(out, "sft", limits)
    train(out, "ppo", "--model", out / "sft", "--seed", seed, "--num-prompts", prompts)
    evaluate(out, "ppo", limits)
    if ttpa:
        train(out, "preferences", "--model", out / "sft", "--seed", seed)
        train(out, "dpo", "--model", out / "sft", "--data", out / "preferences", "--seed", seed)
        evaluate(out, "dpo", limits)
    run("evaluate.py", "--bench", "embedded", "--level", "all", "--limit", noise_limit,
        "--model", out / "ppo", "--max-new-tokens", 96, "--out", out / "ppo-noise")


def train(out, stage, *arguments):
    """Run a training script, unless an earlier demo has finished it here.

    OUT/seconds.json keeps its seconds, over all attempts that were not killed.
    """
    last_file = "pairs.jsonl" if stage == "preferences" else "config.json"
    if (out / stage / last_file).exists():
        return
    file = out / "seconds.json"
    seconds = read_object(file) if file.exists() else {}
    started = time.perf_counter()
    try:
        run(f"{stage}.py", "--out", out / stage, *arguments)
    finally:
        seconds[stage] = seconds.get(stage, 0) + time.perf_counter() - started
        write_json(file, seconds)


def evaluate(out, stage, limits):
    """Run evaluate.py on the held-out calls and the dialogues, for the model of a stage."""
    model = ROOT / "data" / "tiny" if stage == "base" else out / stage
    for bench, limit in limits.items():
        run("evaluate.py", "--bench", bench, "--model", model, "--limit", limit,
            "--max-new-tokens", 96, "--out", out / f"{stage}-{bench}")


def run(*arguments):
    """Run one of the project's scripts. End with its status if it fails or is interrupted."""
    print("\n$ python", *arguments, flush=True)
    is_interrupted = False
    with subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT) as script:
        try:
            script.wait()
        except KeyboardInterrupt:  # Ctrl-C goes to the script, too: it saves, then ends
            is_interrupted = True
            script.wait()
    if script.returncode or is_interrupted:
        sys.exit(script.returncode or 130)


# --------------------------------------------------------------------------------------- the tables

def read_items(folder):
    """The items of an evaluation, one dict each."""
    return [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]


def finished_stages(outs):
    """The stages that all of these demos have run, in order."""
    stages = []
    for stage in STAGES:
        scores = [out / f"{stage}-embedded" / "scores.json" for out in outs]
        if all(file.exists() for file in scores):
            stages.append(stage)
    return stages


def table_of(out):
    """{stage: {row: value}} of one demo: percentages, the mean reward, and seconds."""
    seconds = read_object(out / "seconds.json")
    table = {}
    for stage in finished_stages([out]):
        row = {}
        groups = read_object(out / f"{stage}-embedded" / "scores.json")["groups"]
        for group, counts in groups.items():
            for name in COUNTED:
                row[f"{name} {group}"] = 100 * counts[name] / counts["n"]
            row[f"reward {group}"] = counts["reward"]
        stops = {}
        for bench in ("embedded", "no_tool"):
            stops |= only_counted(read_object(out / f"{stage}-{bench}" / "scores.json")["stops"])
        row["calls where none fits"] = 100 * stops["called"] / stops["none_fits"]
        row["stops where one fits"] = 100 * stops["refused"] / stops["one_fits"]
        dialogues = read_object(out / f"{stage}-toolbox" / "scores.json")
        row["DE"] = 100 * dialogues["DE"] / max(1, dialogues["calls"])
        row["CE"] = 100 * dialogues["CE"] / max(1, dialogues["calls"])
        row["VA"] = 100 * dialogues["VA"] / dialogues["queries"]
        sampling = seconds.get("preferences", 0) if stage == "dpo" else 0
        row["seconds"] = seconds.get(stage, 0) + sampling
        table[stage] = row
    return table


def only_counted(stops):
    """The part of evaluate.py's counts of stops that a benchmark has items for."""
    if stops["one_fits"]:
        return {"one_fits": stops["one_fits"], "refused": stops["refused"]}
    return {"none_fits": stops["none_fits"], "called": stops["called"]}


def show(outs):
    """Print the table of one demo; of several, mean ± standard deviation over the demos."""
    tables = [table_of(out) for out in outs]
    stages = finished_stages(outs)
    titles = [STAGES[stage] for stage in stages]
    print("\n| | " + " | ".join(titles) + " |\n|---|" + "---|" * len(titles))
    for row in tables[0]["base"]:
        digits = 1
        if row == "seconds":
            digits = 0
        elif row.startswith("reward"):
            digits = 3
        cells = []
        for stage in stages:
            values = [table[stage][row] for table in tables]
            cells.append(cell(values, digits))
        print(f"| {row} | " + " | ".join(cells) + " |")


def cell(values, digits):
    """The mean of some values; of several, with their standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def gains(outs):
    """Print what PPO and TTPA changed, on seen and unseen tools and both.

    Mean over items, and its paired error. The items are the same in every demo: the difference of
    an item is its mean over the demos.
    """
    groups = {"seen": ["seen"], "unseen": ["unseen"], "all": ["seen", "unseen"]}
    for stage in finished_stages(outs)[2:]:  # after base and SFT
        print(f"\n{STAGES[stage]} less SFT, per item, runs pooled (mean ± standard error over "
              "items):")
        pairs = [(read_items(out / "sft-embedded"), read_items(out / f"{stage}-embedded"))
                 for out in outs]
        for group, parts in groups.items():
            for name in ("reward", "TS", "CF"):
                means = differences(pairs, parts, name)
                error = statistics.stdev(means) / len(means) ** 0.5
                mean = statistics.mean(means)
                print(f"  {name} {group}: {mean:+.3f} ± {error:.3f} ({len(means)} items)")


def differences(pairs, groups, name):
    """The difference of a measure on each item of some groups, as a mean over the demos.

    pairs: [(items after SFT, items after the other stage)], one for each demo.
    """
    per_item = {}
    for before, after in pairs:
        for old, new in zip(before, after, strict=True):
            if old["group"] in groups:
                per_item.setdefault(old["id"], []).append(new[name] - old[name])
    return [statistics.mean(values) for values in per_item.values()]


def main():
    """The command line; see the top of this file."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=lambda path: Path(path).resolve(),
                        default=ROOT / "runs" / "demo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="all prompts, all held-out items")
    parser.add_argument("--ttpa", action="store_true", help="TTPA, too, from the same SFT")
    parser.add_argument("--compare", nargs="+", type=Path, metavar="DIR",
                        help="finished runs, to be pooled")
    flags = parser.parse_args()
    if flags.compare:
        show(flags.compare)
        gains(flags.compare)
        return
    demo(flags.out, flags.seed, flags.full, flags.ttpa)
    show([flags.out])
    gains([flags.out])
    print(f"\nmodels, scores and answers: {flags.out}\ntry one: python evaluate.py --model "
          f"{flags.out / 'ppo'} --ask \"What will the weather be in Oslo on Friday?\"")


if __name__ == "__main__":
    cli(main)
