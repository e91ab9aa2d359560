"""Conversations of your own: every good call of a file is a question with one right answer.

--data names the file, in any format of docs/data.md. What the model is shown is the conversation up
to the call; calls whose feedback reports an error are no golds. Items are grouped by tool, and the
prose of `finish` and `ask_to_user` is not compared.
"""

from data.calls import make_call
from data.trajectories import read_conversations, read_items
from data.turns import NEVER_ANSWERED
from evaluation.benchmarks.entry import Benchmark
from evaluation.scores import any_gold
from evaluation.tasks import MissingFile, Task
from losses import is_erroneous
from plumbing.files import InputError


def read_own(folder):
    """The Tasks of a file, or of conversations.json in a folder. Raises InputError."""
    path = folder if folder.is_file() else folder / "conversations.json"
    if not path.is_file():
        raise MissingFile(f"{path}: no such file")
    tasks = []
    for number, conversation in enumerate(read_conversations(read_items(path))):
        names = [tool.name for tool in conversation.tools]
        prose = frozenset(name for name in names if name.casefold() in NEVER_ANSWERED)
        for place, turn in enumerate(conversation.turns):
            if turn.name and not is_erroneous(conversation, place):
                tasks.append(Task(
                    id=f"{number}/{place}", tools=conversation.tools,
                    turns=conversation.turns[:place],
                    golds=(make_call(turn.name, turn.arguments),), free_text=prose,
                    group=turn.name, gold_kind="one"))
    if not tasks:
        raise InputError(f"{path}: no conversation has a good call")
    return tasks


BENCHMARK = Benchmark(
    name="own", kind="calls", read=read_own, scorers={"default": any_gold},
    needs={"data": "name the file of your conversations"},
)
