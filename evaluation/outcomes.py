"""What became of every item of a benchmark, a letter each: small enough to be committed.

A table of outcomes is {column: list of values, one an item}. Of a benchmark of single calls the
columns are `group`, TS, PI and CF (0 or 1), `errors` (their names, joined by "; "), `reward` where
the benchmark has one, and `prefix`: how many tokens the right tool's name shares with that of
another offered tool, at the most. Of dialogues they are `calls`, DE and CE (numbers), VA, and
VA_paper where an expected value is known; `first_error`: whether the first call is erroneous;
`retries`: calls right after an erroneous one, and `failed_retries`, those of them that are
erroneous, too.
"""

import string
from itertools import pairwise

from evaluation.dialogue_scores import find_fault, read_transcripts
from evaluation.tasks import gold_names, read_lines, read_list
from losses import common_prefix
from plumbing.files import InputError

LETTERS = string.digits + string.ascii_letters


# ------------------------------------------------------------------------------- a letter a value

def pack(values):
    """A column as {"values": the distinct ones, "items": a letter for each item}.

    Raises ValueError where there are more distinct values than letters.

    >>> pack([1.0, -2.0, 1.0])
    {'values': [-2.0, 1.0], 'items': '101'}
    """
    distinct = sorted(set(values))
    if len(distinct) > len(LETTERS):
        raise ValueError(f"{len(distinct)} distinct values, but {len(LETTERS)} letters")
    letter_of = dict(zip(distinct, LETTERS, strict=False))
    return {"values": distinct, "items": "".join(letter_of[value] for value in values)}


def unpack(column, where):
    """What `pack` was given. Raises InputError, led by `where`."""
    try:
        value_of = dict(zip(LETTERS, column["values"], strict=False))
        return [value_of[letter] for letter in column["items"]]
    except (KeyError, TypeError):
        raise InputError(f"{where}: no column of outcomes") from None


# --------------------------------------------------------------------- from evaluate.py's folders

def call_outcomes(folder, tasks, tokenizer):
    """The table of an evaluation of single calls, whose `--out` is `folder`. Raises InputError."""
    path = folder / "items.jsonl"
    records = read_lines(path)
    _must_match(path, records, tasks)
    table = {"group": [task.group for task in tasks]}
    for name in ("TS", "PI", "CF"):
        table[name] = [record[name] for record in records]
    table["errors"] = ["; ".join(record["errors"]) for record in records]
    table["prefix"] = [shared_prefix(task, tokenizer) for task in tasks]
    if all("reward" in record for record in records):
        table["reward"] = [round(record["reward"], 6) for record in records]
    return table


def dialogue_outcomes(folder, tasks):
    """The table of an evaluation of dialogues, whose `--out` is `folder`. Raises InputError."""
    path = folder / "dialogues.json"
    records = read_list(path)
    _must_match(path, records, tasks)
    names = ("calls", "DE", "CE", "VA", "VA_paper")
    table = {}
    for name in names:
        if name in records[0]:
            table[name] = [record[name] for record in records]
    errors = [_erroneous(transcript) for transcript in read_transcripts(path)]
    table["first_error"] = [int(any(each[:1])) for each in errors]
    table["retries"] = [sum(each[:-1]) for each in errors]
    table["failed_retries"] = [sum(map(all, pairwise(each))) for each in errors]
    return table


def _erroneous(transcript):
    """Whether each step is erroneous, in order."""
    return [bool(find_fault(step, transcript.tools)[0]) for step in transcript.steps]


def _must_match(path, records, tasks):
    """Raises InputError unless each record has the id of the task at its place."""
    ids = [record.get("id") if isinstance(record, dict) else None for record in records]
    if ids != [task.id for task in tasks]:
        raise InputError(f"{path}: is not about the items that are asked for; remove its folder")


def shared_prefix(task, tokenizer):
    """How many tokens the name of a gold shares with that of another offered tool, at the most.

    Where the other is a beginning of it, or it of the other, that is the whole of the shorter.
    """
    right = gold_names(task)
    others = [tokenizer.name_ids(tool.name) for tool in task.tools if tool.name not in right]
    longest = 0
    for name in right:
        ids = tokenizer.name_ids(name)
        longest = max([longest, *(common_prefix(ids, other) for other in others)])
    return longest
