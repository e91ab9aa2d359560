"""Print what is in a benchmark.

    python -m evaluation.benchmarks rotbench [--data DIR]

How many items there are, golds that do not parse, and items whose gold nobody can know from the
prompt, which bound the score of any model.
"""

from collections import Counter
from pathlib import Path

from evaluation.benchmarks import BENCHMARKS, WITH_TASKS
from evaluation.benchmarks.entry import HOME
from evaluation.benchmarks.rotbench import TURNS
from evaluation.tasks import unknowable
from plumbing.flags import Parser, cli


def describe(title, tasks):
    """Lines about a set: its size by group, golds that are odd, and items that nobody can know."""
    groups = Counter(task.group for task in tasks)
    sizes = ", ".join(f"{group} {n}" for group, n in groups.items())
    golds = sum(len(task.golds) for task in tasks)
    yield f"{title}: {len(tasks)} items, {golds} golds ({sizes})"
    yield from _listed("odd golds", tasks, [task.note for task in tasks])
    yield from _listed("cannot be known from the prompt", tasks, list(map(unknowable, tasks)))


def _listed(title, tasks, reasons):
    """Lines: how many tasks have a reason, and which."""
    found = [f"    {task.id}: {reason}" for task, reason in zip(tasks, reasons, strict=True)
             if reason]
    yield f"  {title}: {len(found)}"
    yield from found


def main(arguments=None):
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(prog="python -m evaluation.benchmarks",
                    description="what a benchmark's files hold")
    parser.add_argument("name", choices=WITH_TASKS)
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help=f"the benchmark's files ({HOME}/NAME)")
    flags = parser.parse_args(arguments)
    entry = BENCHMARKS[flags.name]
    if "turn" not in entry.flags:
        print(*describe(entry.name, entry.tasks(flags.data)), sep="\n")
        return
    for turn in TURNS:
        for level in entry.levels:
            title = f"{entry.name} {turn} turn {level}"
            print(*describe(title, entry.tasks(flags.data, level, turn)), sep="\n")


if __name__ == "__main__":
    cli(main)
