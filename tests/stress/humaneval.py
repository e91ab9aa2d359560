"""All 164 published solutions of HumanEval pass, and fail with `return None` before them.

    python -m tests.stress.humaneval DIR [--unsafe]      # DIR holds HumanEval.jsonl.gz; 2 minutes
"""

import argparse
import gzip
import json
from pathlib import Path

from evaluation.benchmarks import read_tasks
from evaluation.benchmarks.humaneval import make_program
from evaluation.programs import PASSED, run_all


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--unsafe", action="store_true", help="without namespaces")
    flags = parser.parse_args()
    tasks = read_tasks("humaneval", flags.folder)
    lines = gzip.decompress((flags.folder / "HumanEval.jsonl.gz").read_bytes()).splitlines()
    solutions = [json.loads(line)["canonical_solution"] for line in lines]
    for before, expected in (("", len(tasks)), ("    return None\n", 0)):
        programs = [make_program(task, before + solution)
                    for task, solution in zip(tasks, solutions, strict=True)]
        outcomes = run_all(programs, 30, shut=not flags.unsafe)
        passed = outcomes.count(PASSED)
        print(f"{before.strip() or 'published'}: {passed} of {len(tasks)} pass, "
              f"expected {expected}")
        for task, outcome in zip(tasks, outcomes, strict=True):
            if (outcome == PASSED) != bool(expected):
                print(f"  {task.id}: {outcome}")


if __name__ == "__main__":
    main()
