"""What evaluate.py prints and writes about single calls: TS, PI, CF by every way to score, Table 1, files."""

import json
import os
from collections import Counter

from evaluation import benchmarks
from plumbing.files import write_json
from reward import ErrorType
from tokenizer import render

COLUMNS = ("TS", "PI", "CF")


def table(result, bench):
    """Lines: the whole by every way to score, then levels (the paper's Figure 4) and groups.

    result: {way to score: {"n", "TS", "PI", "CF", "levels" and "groups": {name: the same}}} and "reward",
    the mean, where items have one.
    """
    rewarded = "reward" in result["default"]
    head = "".join(f"{name:>16}" for name in COLUMNS) + f"{'reward':>10}" * rewarded
    yield f"{bench:<30}{'n':>6}{head}"
    many = len(result) > 1
    for way, counts in result.items():
        yield _row(f"all, {way.replace('_', ' ')}" if many else "all", counts)
    for way, counts in result.items():
        yield from (_row(f"level {level}" + f", {way}" * many, part)
                    for level, part in counts.get("levels", {}).items())
    yield from (_row(group, counts) for group, counts in result["default"]["groups"].items())


def _row(title, counts):
    cells = "".join(f"{counts[name]:>7}{percent(counts[name], counts['n']):>9}" for name in COLUMNS)
    cells += f"{counts['reward']:>10.3f}" if "reward" in counts else ""
    return f"  {title:<28}{counts['n']:>6}{cells}"


def percent(part, whole):
    """`part` of `whole` in percent, as a text."""
    return f"{100 * part / whole:.2f}%" if whole else "-"


def bounds(tasks, items):
    """Two lines: what the prompts let any model reach, and how many predictions hold no call."""
    best = [sum(scores) for scores in zip(*map(benchmarks.knowable, tasks))] or [0, 0, 0]
    reach = "".join(f"{n:>7}{percent(n, len(tasks)):>9}" for n in best)
    yield f"  {'at most, from the prompts':<28}{len(tasks):>6}{reach}"
    unread = sum(item.call is None for item in items)
    yield f"  predictions without a call that can be read: {unread} of {len(items)}"


def error_table(items, pieces, unit):
    """Lines of the paper's Table 1. Is the name of a wrong tool wrong from its first token, or does it
    leave a right one after a prefix that they share? `pieces` cuts a name into `unit`.
    """
    counts = Counter(error for item in items for error in item.errors)
    wrong = [item for item in items if {ErrorType.WRONG_TOOL, ErrorType.UNKNOWN_TOOL} & {*item.errors}]
    later = sum(any(_shared(pieces(item.call.name), pieces(name))
                    for name in benchmarks.gold_names(item.task)) for item in wrong)
    rows = {"tool's name, first token": len(wrong) - later, "tool's name, after a shared prefix": later,
            **{error.value: counts[error] for error in ErrorType},
            "none": sum(not item.errors for item in items)}
    yield f"errors, in % of {len(items)} items; names are cut into {unit}"
    yield from (f"  {name:<36}{n:>6}{percent(n, len(items)):>9}" for name, n in rows.items())


def _shared(a, b):
    return bool(a) and bool(b) and a[0] == b[0]


def write(folder, items, scores, summary):
    """scores.json, which is the summary, and items.jsonl, which is a file of predictions again: a model's are
    in the form "call" (--format).
    """
    with open(folder / "items.jsonl.part", "w") as file:
        for index, (item, score) in enumerate(zip(items, scores, strict=True)):
            task, call = item.task, item.call
            prompt = "\n".join(render(turn, task.tools) for turn in task.turns) + "\nAssistant:"
            reward = {} if item.reward is None else {"reward": item.reward}
            file.write(json.dumps({
                "index": index, "id": task.id, "group": task.group, "prompt": prompt,
                "prediction": item.prediction,
                "call": call and {"name": call.name, "arguments": call.arguments},
                "errors": [error.value for error in item.errors], **reward, **score._asdict()}) + "\n")
    os.replace(folder / "items.jsonl.part", folder / "items.jsonl")
    write_json(folder / "scores.json", summary)
