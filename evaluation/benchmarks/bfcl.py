"""BFCL v3's executable categories but REST: 240 questions.

Golds are calls at once, one or several. Left out: executing the calls (106 items need the
network), so another way to the same result is wrong.
"""

from data.calls import ParseError, parse_call
from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.scores import all_golds, any_gold, first_gold
from evaluation.tasks import Task, get_field, make_conversation, make_golds, read_lines
from plumbing.files import InputError

CATEGORIES = ("exec_simple", "exec_multiple", "exec_parallel", "exec_parallel_multiple")


def read_bfcl(folder):
    """The Tasks, grouped by category. Raises InputError naming the file and the line.

    The calls are read from the question's record or, as in later versions, from possible_answer/.
    """
    tasks = []
    for category in CATEGORIES:
        tasks += _read_category(folder, category)
    return tasks


def _read_category(folder, category):
    path = folder / f"BFCL_v3_{category}.json"
    records = read_lines(path)
    answers = {}
    if not all(isinstance(record, dict) and "ground_truth" in record for record in records):
        answers = _read_answers(folder / "possible_answer" / path.name)
    tasks = []
    for i, record in enumerate(records, 1):
        where = f"{path}: line {i}"
        id = get_field(record, "id", str, where)
        answer = answers.get(id, record)
        texts = get_field(answer, "ground_truth", list, f"{where} ({id})")
        turns = get_field(record, "question", list, where)
        if len(turns) != 1 or not isinstance(turns[0], list):
            raise InputError(f"{where}: question must hold the messages of one turn")
        schemas = get_field(record, "function", list, where)
        conversation = make_conversation(schemas, turns[0], where)
        golds = _read_golds(texts, conversation.tools)
        tasks.append(Task(
            id=id, tools=conversation.tools, turns=conversation.turns, golds=golds.calls,
            group=category, note=golds.note, gold_kind="calls", unread=golds.unread))
    return tasks


def _read_answers(path):
    """{id: record with the ground truth}."""
    records = enumerate(read_lines(path), 1)
    return {get_field(record, "id", str, f"{path}: line {i}"): record for i, record in records}


def _read_golds(texts, tools):
    """Golds of calls that are written as Python; one that does not parse tells nothing."""
    calls = []
    unread = []
    for place, text in enumerate(texts):
        try:
            calls.append(parse_call(str(text), tools))
        except ParseError:
            unread.append((place, ""))
    return make_golds(calls, unread)


BENCHMARK = Benchmark(
    name="bfcl", kind="calls", read=read_bfcl,
    scorers={"default": any_gold, "first_only": first_gold, "all_calls": all_golds},
    # The version of 2024-12-21: a question and its ground truth in one record.
    source=Source("ShishirPatil/gorilla", "5ed29e2d0b0a9c9a995725db3d53921104060e72",
                  "berkeley-function-call-leaderboard/data", {
        "BFCL_v3_exec_simple.json":
            "120eb383a8ec801b47e56d7337b61158944ae35b935c86e8d846948fa27215f6",
        "BFCL_v3_exec_multiple.json":
            "180ccd36814856574a2a488e026ace22ef2631fe17f404a8a4168ceffaab4cb6",
        "BFCL_v3_exec_parallel.json":
            "67826cdd638e1416a3b9f0243872ce91b95f438b467faa3f8d9351e80d39153d",
        "BFCL_v3_exec_parallel_multiple.json":
            "e3134c946b215d34a79dbe3eef0fbfe78f9e3a18e67e9a9adf891f01b2e7977d",
    }),
)
