"""The embedded held-out calls: one question, one right call (toolbox/synthesize.py writes the
files).

Half of the items are about tools "seen" in training and half about "unseen" ones, which are the
groups. Where noise is in the names (toolbox/noise.py) there is a fifth of the items.
"""

from data.calls import ParseError, parse_call
from data.trajectories import read_item
from evaluation.benchmarks.entry import DATA, Benchmark
from evaluation.scores import any_gold
from evaluation.tasks import LEVELS, Task, check_level, get_field, read_list
from plumbing.files import InputError


def read_embedded(folder, level="clean"):
    """The Tasks of one level. Raises InputError naming the file and the item."""
    check_level(level)
    path = folder / f"heldout_{'single' if level == 'clean' else level}.json"
    tasks = []
    for i, record in enumerate(read_list(path)):
        where = f"{path}: item {i}"
        conversation = read_item(record, where)
        gold = _read_gold(get_field(record, "gold", str, where), conversation.tools, where)
        tasks.append(Task(
            id=f"{level}/{conversation.id}", tools=conversation.tools, turns=conversation.turns,
            golds=(gold,), group=get_field(record, "tools", str, where), gold_kind="one"))
    return tasks


def _read_gold(text, tools, where):
    try:
        return parse_call(text, tools, strict=True)
    except ParseError as error:
        raise InputError(
            f"{where}: the gold call {text[:80]!r} cannot be parsed: {error}") from None


BENCHMARK = Benchmark(
    name="embedded", kind="calls", read=read_embedded,
    scorers={"default": any_gold},
    levels=LEVELS, default_level="clean",
    folder=DATA, written_by="python -m toolbox.synthesize",
)
