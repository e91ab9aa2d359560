"""The whole method on the embedded model and data: SFT, PPO, and what they change, in one table.

    make demo                                             # one seed, part of the held-out sets between stages
    python demo.py --out runs/demo --seed 0 --full     # all of the held-out sets after every stage
    python demo.py --compare runs/demo-0 runs/demo-1 runs/demo-2      # several seeds, pooled

The models compared are the embedded base model, the one after sft.py and the one after ppo.py. Every stage is
the command that a user would type, and is printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STAGES = {"base": ROOT / "data" / "tiny", "sft": "sft", "ppo": "ppo"}
TITLES = {"base": "base", "sft": "SFT", "ppo": "SFT + PPO"}
MEASURES = ("TS", "PI", "CF", "reward")


def run(*arguments):
    """Run one of the project's scripts; returns the seconds it took. Ends as it does where it fails."""
    print("\n$ python", *arguments, flush=True)
    started = time.perf_counter()
    code = subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT).returncode
    if code:
        sys.exit(code)
    return time.perf_counter() - started


def evaluate(out, stage, limits):
    """The held-out calls and the dialogues of one stage's model."""
    place = STAGES[stage] if stage == "base" else out / stage
    for bench, limit in limits.items():
        run("evaluate.py", "--bench", bench, "--model", place, "--limit", limit, "--max-new-tokens", 96,
            "--out", out / f"{stage}-{bench}")


def train(out, stage, *arguments):
    """Run a training script, unless an earlier demo here has done so; its seconds are kept."""
    file = out / "seconds.json"
    seconds = read(file) if file.exists() else {}
    if stage not in seconds:
        spent = run(f"{stage}.py", "--out", out / stage, *arguments)
        file.write_text(json.dumps(seconds | {stage: spent}) + "\n")


def demo(out, seed, full):
    """All stages, into the folder `out`; a demo that was cut short goes on there."""
    out.mkdir(parents=True, exist_ok=True)
    limits = {"embedded": 0, "toolbox": 0} if full else {"embedded": 150, "toolbox": 30}
    evaluate(out, "base", limits if full else {"embedded": 50, "toolbox": 10})
    train(out, "sft", "--seed", seed)
    evaluate(out, "sft", limits)
    train(out, "ppo", "--model", out / "sft", "--seed", seed)
    evaluate(out, "ppo", limits)
    run("evaluate.py", "--bench", "embedded", "--level", "all", "--limit", 0 if full else 25, "--model",
        out / "ppo", "--max-new-tokens", 96, "--out", out / "ppo-noise")


# ------------------------------------------------------------------------------------------------ the tables

def read(path):
    return json.loads(path.read_text())


def rows(out):
    """{stage: {column: value}} of one run: percentages, but the mean reward, and seconds."""
    seconds, table = read(out / "seconds.json"), {}
    for stage in STAGES:
        calls = read(out / f"{stage}-embedded" / "scores.json")["groups"]
        dialogues = read(out / f"{stage}-toolbox" / "scores.json")
        row = {f"{name} {group}": part[name] if name == "reward" else 100 * part[name] / part["n"]
               for group, part in calls.items() for name in MEASURES}
        row |= {"DE": 100 * dialogues["DE"] / max(1, dialogues["calls"]),
                "CE": 100 * dialogues["CE"] / max(1, dialogues["calls"]),
                "VA": 100 * dialogues["VA"] / dialogues["queries"], "seconds": seconds.get(stage, 0)}
        table[stage] = row
    return table


def show(outs):
    """The table of one run, or of several: mean ± standard deviation over the runs."""
    tables = [rows(out) for out in outs]
    columns = list(tables[0]["base"])
    print("\n| | " + " | ".join(TITLES.values()) + " |\n|---|" + "---|" * len(TITLES))
    for column in columns:
        cells = []
        for stage in STAGES:
            values = [table[stage][column] for table in tables]
            digits = 3 if "reward" in column else 0 if column == "seconds" else 1
            cell = f"{statistics.mean(values):.{digits}f}"
            cells.append(cell + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""))
        print(f"| {column} | " + " | ".join(cells) + " |")


def gains(outs):
    """What PPO changed, seen and unseen: the mean over items, all runs pooled, with its paired error."""
    print("\nSFT + PPO less SFT, per item, runs pooled (mean ± standard error over items):")
    pairs = [(read_items(out / "sft-embedded"), read_items(out / "ppo-embedded")) for out in outs]
    for group in ("seen", "unseen"):
        for name in ("reward", "CF"):
            per_item = {}  # the items are the same in every run: its runs are averaged first
            for before, after in pairs:
                for old, new in zip(before, after, strict=True):
                    if old["group"] == group:
                        per_item.setdefault(old["id"], []).append(new[name] - old[name])
            means = [statistics.mean(values) for values in per_item.values()]
            error = statistics.stdev(means) / len(means) ** 0.5
            print(f"  {name} {group}: {statistics.mean(means):+.3f} ± {error:.3f} ({len(means)} items)")


def read_items(folder):
    return [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=lambda path: Path(path).resolve(), default=ROOT / "runs" / "demo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="all held-out items after every stage")
    parser.add_argument("--compare", nargs="+", type=Path, metavar="DIR", help="finished runs, to be pooled")
    flags = parser.parse_args()
    if not flags.compare:
        demo(flags.out, flags.seed, flags.full)
    show(flags.compare or [flags.out])
    gains(flags.compare or [flags.out])
    if not flags.compare:
        print(f"\nmodels, scores and answers: {flags.out}\ntry one: python evaluate.py --model "
              f"{flags.out / 'ppo'} --ask \"What will the weather be in Oslo on Friday?\"")


if __name__ == "__main__":
    main()
