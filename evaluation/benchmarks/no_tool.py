"""The embedded held-out conversations in which no offered tool fits (toolbox/no_tool.py).

A right turn stops: it is `finish`, or `ask_to_user`. What they say is prose and is not compared.
TS is the share of items that are answered by one of the two; a text without a call is not. The
groups are the kinds of toolbox/no_tool.py. How often a model stops although a tool fits is printed
with the other benchmarks.
"""

from data.calls import make_call
from data.trajectories import read_item
from evaluation.benchmarks.entry import DATA, Benchmark
from evaluation.scores import any_gold
from evaluation.tasks import STOPS, Task, get_field, read_list

GOLDS = (make_call("finish", {"answer": ""}), make_call("ask_to_user", {"question": ""}))


def read_no_tool(folder):
    """The Tasks. Raises InputError naming the file and the item."""
    path = folder / "heldout_none.json"
    tasks = []
    for i, record in enumerate(read_list(path)):
        where = f"{path}: item {i}"
        conversation = read_item(record, where)
        tasks.append(Task(
            id=conversation.id, tools=conversation.tools, turns=conversation.turns, golds=GOLDS,
            free_text=STOPS, finish="finish", group=get_field(record, "kind", str, where)))
    return tasks


BENCHMARK = Benchmark(
    name="no_tool", kind="calls", read=read_no_tool, scorers={"default": any_gold},
    folder=DATA, written_by="python -m toolbox.synthesize",
)
