"""Does TTPA help on the embedded world? All rows of the comparison, from one fine-tuned model.

    python -m bench.ttpa --model runs/sft-0 --seed 0 --out runs/ttpa --row branch-esm
    python -m bench.ttpa --model runs/sft-0 --seed 0 --out runs/ttpa            # all rows in turn
    python -m bench.ttpa --out runs/ttpa --report                              # the table
    python -m bench.ttpa --out runs/ttpa --report --against ancestral-esm      # differences to it

A row is: pairs from the prompts of data/rl.json, DPO on --pairs of them (the same number in every
row), and the answers to the held-out calls, greedy. Rows:

    sft             the fine-tuned model itself
    more-sft        sft.py on the same conversations once more
    golds           the golds alone: the loss of DPO with beta 0, so only the NLL of the chosen call
    corrupt         DPO, the gold against random damage to it
    ancestral-binary, ancestral-esm, branch-binary, branch-esm    a sampler and a score
    branch-no-gold  branch-esm, where a candidate is always the chosen one
    ppo             ppo.py on the same prompts, as a user would run it

A row is one process, with the threads that OMP_NUM_THREADS allows; several can run side by side
(--row, --seed), once the pairs that two of them share are there. What was cut short is continued,
what is finished is kept. OUT/outcomes/ROW-SEED.json holds the outcome of every held-out item.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from evaluation.differences import estimate

ROOT = Path(__file__).resolve().parents[1]
PAIRS = {  # folder of pairs -> flags of preferences.py
    "corrupt": ["--sampler", "corrupt"],
    "ancestral-binary": ["--sampler", "ancestral", "--score", "binary"],
    "ancestral-esm": ["--sampler", "ancestral"],
    "branch-binary": ["--sampler", "branch", "--score", "binary"],
    "branch-esm": ["--sampler", "branch"],
    "branch-no-gold": ["--sampler", "branch", "--no-gold-fallback"],
}
DPO = {  # row -> (folder of pairs, flags of dpo.py)
    "golds": ("corrupt", ["--beta", 0, "--alpha", 1]),
    **{name: (name, []) for name in PAIRS},
}
ROWS = ("sft", "more-sft", *DPO, "ppo")
MEASURES = ("TS", "PI", "CF", "reward", "name", "required", "key", "type", "value", "score")


# --------------------------------------------------------------------------------------------- runs

def run(flags, script, *arguments):
    """Run a script of the repository with this interpreter, on flags.device."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments), "--device", flags.device]
    print("$", *command[1:], flush=True)
    subprocess.run(command, check=True, cwd=ROOT)


def is_finished(folder):
    """Whether a training run wrote its model."""
    return (folder / "config.json").exists()


def train(flags, row):
    """The folder of a row's model, trained if it is not there."""
    if row == "sft":
        return flags.model
    out = flags.out / f"{row}-{flags.seed}"
    if is_finished(out):
        return out
    common = ["--model", flags.model, "--out", out, "--seed", flags.seed]
    if row == "more-sft":
        run(flags, "sft.py", *common, "--data", flags.data, "--epochs", 1)
    elif row == "ppo":
        run(flags, "ppo.py", *common, "--data", flags.data, "--num-prompts", flags.prompts,
            "--show-every", 0)
    else:
        name, more = DPO[row]
        pairs = make_pairs(flags, name)
        run(flags, "dpo.py", *common, "--data", pairs, "--num-pairs", flags.pairs, *more,
            *flags.dpo)
    return out


def make_pairs(flags, name):
    """The folder of these pairs, sampled if they are not there."""
    out = flags.out / f"pairs-{name}-{flags.seed}"
    if not (out / "pairs.jsonl").exists():
        run(flags, "preferences.py", "--model", flags.model, "--data", flags.data, "--out", out,
            "--seed", flags.seed, "--num-prompts", flags.prompts, *PAIRS[name])
    return out


def evaluate(flags, row, model):
    """Answer the held-out calls, and write OUT/outcomes/ROW-SEED.json."""
    file = flags.out / "outcomes" / f"{row}-{flags.seed}.json"
    if file.exists():
        return
    scores = flags.out / f"scores-{row}-{flags.seed}"
    run(flags, "evaluate.py", "--bench", "embedded", "--model", model, "--esm", "--out", scores,
        "--max-new-tokens", 96, "--limit", flags.limit, "--batch-size", 32)
    items = {}
    for line in (scores / "items.jsonl").read_text().splitlines():
        item = json.loads(line)
        measured = {**item, **item["esm"]}
        values = [round(measured[name], 3) for name in MEASURES]
        items[item["id"]] = [item["group"], *values]
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".part")
    outcome = {"row": row, "seed": flags.seed, "measures": ["group", *MEASURES], "items": items}
    aside.write_text(json.dumps(outcome, separators=(",", ":")) + "\n")
    aside.rename(file)


# -------------------------------------------------------------------------------------------- table

def read_outcomes(folder):
    """{row: {seed: {item id: outcome}}} of all files of outcomes."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        outcome = json.loads(file.read_text())
        names = outcome["measures"]
        items = {id: dict(zip(names, values, strict=True))
                 for id, values in outcome["items"].items()}
        found.setdefault(outcome["row"], {})[outcome["seed"]] = items
    return found


def report(folder, against):
    """Print a table for each group: the means of the row `against`, and what others add to them.

    A difference is paired by item; its standard error lets seeds and items vary
    (evaluation/differences.py).
    """
    found = read_outcomes(folder)
    base = found.get(against, {})
    groups = {"seen and unseen"}
    for items in base.values():
        groups.update(item["group"] for item in items.values())
    for group in sorted(groups):
        print(f"\n{group}, in % but the reward; other rows than {against}: difference to it\n")
        print("| | seeds | " + " | ".join(MEASURES) + " |\n|" + "---|" * (len(MEASURES) + 2))
        for row in [row for row in ROWS if row in found]:
            seeds = sorted(found[row].keys() & base.keys())
            cells = [cell(found[row], base, seeds, group, name) for name in MEASURES]
            print(f"| {row} | {len(seeds)} | " + " | ".join(cells) + " |")


def cell(outcomes, base, seeds, group, name):
    """One cell of the table: a mean for the base itself, otherwise a difference."""
    scale = 1 if name == "reward" else 100
    digits = 3 if name == "reward" else 1
    values = []  # (S, I)
    for seed in seeds:
        ids = [id for id, item in base[seed].items() if group in (item["group"], "seen and unseen")]
        there = [0 if outcomes is base else base[seed][id][name] for id in ids]
        here = [outcomes[seed][id][name] for id in ids]
        values.append([scale * (x - y) for x, y in zip(here, there, strict=True)])
    found = estimate(values)
    if outcomes is base:
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:+.{digits}f} ± {found.error:.{digits}f}"


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=lambda path: Path(path).resolve(), help="fine-tuned")
    parser.add_argument("--data", default=str(ROOT / "data/rl.json"))
    parser.add_argument("--out", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--row", choices=ROWS, help="only this one")
    parser.add_argument("--prompts", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--limit", type=int, default=0, help="held-out items a group; 0: all")
    parser.add_argument("--dpo", default="", type=str.split, help="more flags of dpo.py, as a text")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--report", action="store_true", help="print the table of what is there")
    parser.add_argument("--against", choices=ROWS, default="sft", help="row to compare with")
    flags = parser.parse_args()
    if flags.report:
        report(flags.out / "outcomes", flags.against)
        return
    if flags.model is None:
        parser.error("--model: name the fine-tuned model of this seed")
    for row in [flags.row] if flags.row else ROWS:
        evaluate(flags, row, train(flags, row))


if __name__ == "__main__":
    main()
