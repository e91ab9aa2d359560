"""ESM on hostile strings, and against the second implementation of tests/test_esm.py.

    python -m tests.stress.fuzz_esm --strings 1000000 --calls 20000      # some minutes, one thread
"""

import random
import time

from data.tools import write_call
from plumbing.flags import Parser, cli
from reward import esm
from tests.stress.fuzz_parser import TOOLS, draw
from tests.test_esm import differences


def main():
    """The command line; see the top of this file."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    gold = write_call("search", {"query": "love", "n": 3})
    calls = 0
    began = time.time()
    for number in range(flags.strings):
        found = esm(draw(rng, number), gold, TOOLS)  # any exception ends the program
        if not all(0 <= part <= 1 for part in found):
            raise AssertionError(f"string {number}: {found}")
        calls += found.score > 0
    print(f"{flags.strings} strings in {time.time() - began:.0f} s, {calls} of them with a score; "
          "no exception, all parts in [0, 1]")
    different = differences(flags.calls, flags.seed)
    print(f"{flags.calls} random calls by three rules: {different} differences")


if __name__ == "__main__":
    cli(main)
