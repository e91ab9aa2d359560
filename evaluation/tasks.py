"""A Task: one item of a benchmark, which is what the model is shown and which calls are right.

Here is also what the readers in evaluation/benchmarks/ share: fields of records that may be
missing, golds that may not parse, and what a model can know of a gold from its prompt.
"""

import json
import re
from collections import Counter
from typing import NamedTuple

from data.calls import Call, make_call
from data.tools import Tool
from data.trajectories import read_item
from data.turns import Turn
from plumbing.files import InputError, kind_of, parse_json, read_json, read_text

LEVELS = ("clean", "slight", "medium", "heavy", "union")  # noise in names, as RoTBench defines it

STOPS = frozenset({"finish", "ask_to_user"})  # tools that end a dialogue or hand it to the user


class Task(NamedTuple):
    id: str                   # unique within a set: "AviationAPI/5", "clean/12", "exec_simple_3"
    tools: tuple[Tool, ...]   # in the order of the file; a name may come twice
    turns: tuple[Turn, ...]   # what the model is shown; turns[0] is the system turn, a JSON list
    golds: tuple[Call, ...]   # the right calls, as far as they parse; see `gold_kind`
    free_text: frozenset[str] = frozenset()  # tools whose values are prose and are not compared
    finish: str | None = None  # the tool that ends the dialogue, under any name
    group: str = ""           # API, scenario or category: the rows of a table by group
    note: str = ""            # what is odd about the golds
    gold_kind: str = "any"    # "any": alternatives; "steps": in turn; "calls": at once; "one"
    unread: tuple[tuple[int, str], ...] = ()  # golds that do not parse: (place among all, tool)
    hidden: tuple[Call, ...] = ()  # the golds with a value that the prompt does not tell
    own_id: str = ""          # that of the benchmark's file, where it is another; it may recur
    expected: str = ""        # dialogues: what the final answer must hold, where that is known;
                              # without tools: what is right, or the tests that a program must pass


class MissingFile(InputError):
    """A file of a benchmark does not exist; its entry in the list knows how to obtain it."""


# -------------------------------------------------------------------------------------------- files

def read_list(path):
    """The records of a JSON file, a list that is not empty. Raises InputError naming the file."""
    _must_exist(path)
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path}: must be a JSON list of items")
    return records


def read_lines(path):
    """The records of a file of JSON lines. Raises InputError naming the file and the line."""
    _must_exist(path)
    lines = read_text(path).rstrip("\n").split("\n")  # not splitlines: a string may hold U+2028
    return [parse_json(line, f"{path}: line {i}") for i, line in enumerate(lines, 1)]


def _must_exist(path):
    if not kind_of(path):
        raise MissingFile(f"{path}: no such file")


def get_field(record, key, kind, where):
    """record[key], a value of the type `kind`. Raises InputError, led by `where`."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise InputError(f"{where}: {key} is missing or not a {kind.__name__}")
    return value


def check_level(level):
    """Raises InputError unless `level` is one of LEVELS."""
    if level not in LEVELS:
        raise InputError(f"level {level}: not one of {', '.join(LEVELS)}")


def make_conversation(schemas, messages, where):
    """A Conversation of tool schemas and of messages `{"role", "content"}`, without its system
    turn.

    Raises InputError, led by `where`.
    """
    system = {"role": "system", "content": json.dumps(schemas, ensure_ascii=False)}
    return read_item({"conversations": [system, *messages]}, where)


# -------------------------------------------------------------------------------------------- golds

class Golds(NamedTuple):
    calls: tuple[Call, ...]               # those that parse
    unread: tuple[tuple[int, str], ...]   # (place among all golds, tool) of the others
    note: str                             # which do not parse, for people


def read_json_golds(texts):
    """[(name, JSON text of the arguments)] -> Golds.

    A gold whose arguments do not parse still tells which tool is right.

    >>> read_json_golds([("f", '{"a": 1}'), ("g", "{")])[1:]
    (((1, 'g'),), 'gold 2 of 2 does not parse')
    """
    calls = []
    unread = []
    for place, (name, text) in enumerate(texts):
        name = name.strip()  # as the names of tools are
        try:
            arguments = parse_json(text, name)
        except InputError:
            arguments = None
        if isinstance(arguments, dict) and name:
            calls.append(make_call(name, arguments))
        else:
            unread.append((place, name))
    return make_golds(calls, unread)


def make_golds(calls, unread):
    """Golds of the calls that parse and the (place, tool) of those that do not."""
    total = len(calls) + len(unread)
    note = "; ".join(f"gold {place + 1} of {total} does not parse" for place, _ in unread)
    return Golds(tuple(calls), tuple(unread), note)


def gold_names(task):
    """The right tools: a gold whose arguments do not parse has a name all the same."""
    return [gold.name for gold in task.golds] + [name for _, name in task.unread]


def first_of_groups(tasks, limit):
    """The first `limit` tasks of each group; all of them for 0."""
    seen = Counter()
    kept = []
    for task in tasks:
        seen[task.group] += 1
        if not limit or seen[task.group] <= limit:
            kept.append(task)
    return kept


# ------------------------------------------------------------------------------------------- texts

def plain_text(text):
    """A text in one case, without spare white space, thousands commas and trailing zeros."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(text.casefold().split()))
    return re.sub(r"(?<=\d)(?:\.0+|(\.\d*[1-9])0+)(?!\d)", r"\1", text)


# ------------------------------------------------------------ what a model can know from its prompt

def unknowable(task):
    """Why no model can know the item's gold from its prompt, or "".

    The reason is a tool or a parameter that the document lacks. With alternatives each gold must
    lack something; with steps or parallel calls one is enough, though the item's other calls may
    still be found.
    """
    documented = _documented(task)
    reasons = [_undocumented(gold, documented) for gold in task.golds]
    found = [reason for reason in reasons if reason]
    if not found:
        return ""
    if len(found) == len(reasons):
        return found[0]
    if task.gold_kind == "any":
        return ""
    return f"{found[0]} ({len(found)} of {len(reasons)} calls)"


def knowable(task):
    """(TS, PI, CF), each 0 or 1: the best score of one call that follows from the prompt."""
    documented = _documented(task)
    keyed = [gold for gold in task.golds if not _undocumented(gold, documented)]
    has_tool = any(name in documented for name in gold_names(task))
    has_values = any(gold not in task.hidden for gold in keyed)
    return int(has_tool), int(bool(keyed)), int(has_values)


def _documented(task):
    """{tool: its parameters}; a name that comes twice has those of both."""
    documented = {}
    for tool in task.tools:
        names = {parameter.name for parameter in tool.parameters}
        documented.setdefault(tool.name, set()).update(names)
    return documented


def _undocumented(gold, documented):
    if gold.name not in documented:
        return f"tool {gold.name} is not in the document"
    keys = [key for key in gold.arguments if key not in documented[gold.name]]
    return f"parameter {', '.join(keys)} of {gold.name} is not in the document" if keys else ""
