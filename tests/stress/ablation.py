"""Does the ablation survive? Kill it at random moments, start it again, compare the tables.

    python -m tests.stress.ablation --kills 10 --out DIR

Two rows (one with PPO), two seeds, 20 items a group, a small random model, the real scripts. The
ablation is killed together with the commands that it runs, and started again with the same words
until it ends; its tables and outcomes must be those of an undisturbed run, bit for bit.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.stress.kill import prepare

ARGUMENTS = ["--rows", "none", "irm", "--seeds", "0", "1", "--items", "20", "--prompts", "8",
             "--max-new-tokens", "8", "--bench", "no_tool"]


def start(out, folder):
    """Start the ablation on the small model that `prepare` has left -> Popen."""
    said = open(out / "said.txt", "a")  # noqa: SIM115 (the child has it)
    return subprocess.Popen(
        [sys.executable, "ablation.py", "--out", str(folder), "--model", str(out / "model"),
         "--data", str(out / "data.json"), *ARGUMENTS], cwd=ROOT, stdout=said, stderr=said)


def results(folder):
    """The tables, and all outcomes without what made them."""
    found = [(folder / "table.md").read_bytes()]
    for file in sorted((folder / "outcomes").iterdir()):
        record = json.loads(file.read_text())
        del record["made"]
        found.append(record)
    return found


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty or absent folder")
    flags = parser.parse_args()
    out = flags.out.resolve()
    prepare(out)
    began = time.monotonic()
    assert start(out, out / "straight").wait() == 0, (out / "said.txt").read_text()
    took = time.monotonic() - began
    rng = random.Random(flags.seed)
    kills = 0
    while kills < flags.kills:
        process = start(out, out / "killed")
        try:
            process.wait(rng.uniform(0.02, 0.3) * took)
            break  # it has ended
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert start(out, out / "killed").wait() == 0, (out / "said.txt").read_text()
    different = results(out / "killed") != results(out / "straight")
    print(f"{kills} kills, {took:.0f} s undisturbed; "
          f"{'another table' if different else 'the same table and outcomes, bit for bit'}")
    sys.exit(different)


if __name__ == "__main__":
    main()
