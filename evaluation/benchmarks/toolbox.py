"""The embedded held-out tasks of several calls, which the executable toolbox answers."""

from data.trajectories import read_item
from evaluation.benchmarks.entry import DATA, Benchmark
from evaluation.tasks import Task, get_field, read_list
from plumbing.files import InputError
from toolbox import execute


def read_toolbox(folder):
    """The Tasks, with the value that the final answer must hold. Raises InputError."""
    path = folder / "heldout_multi.json"
    tasks = []
    for i, record in enumerate(read_list(path)):
        where = f"{path}: item {i}"
        conversation = read_item(record, where)
        expected = get_field(record, "expected", str, where)
        if not expected.strip():
            raise InputError(f"{where}: expected is empty")
        tasks.append(Task(id=conversation.id, tools=conversation.tools, turns=conversation.turns,
                          golds=(), expected=expected))
    return tasks


def run_toolbox(task, call):
    """The feedback of a call; there are the tools that the task offers."""
    return execute.run(call, {tool.name for tool in task.tools})


def serve(flags, tasks):
    """The `execute` of evaluation/dialogue.py."""
    return run_toolbox


BENCHMARK = Benchmark(
    name="toolbox", kind="dialogues", read=read_toolbox, serve=serve,
    folder=DATA, written_by="python -m toolbox.synthesize",
)
