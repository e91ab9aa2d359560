"""Benchmarks that ask for no tool: an answer is right or wrong (the paper's Figure 5)."""

import json
from typing import NamedTuple

from evaluation.intervals import share_cell
from plumbing.files import replacing


class Grade(NamedTuple):
    """What became of one answer."""
    right: bool
    found: str  # what was read in the answer, or what came of running it


def count_right(tasks, grades):
    """{"n", "right", "groups"}: the number of items, of right ones, and the same of each group."""
    counts = {"n": len(grades), "right": sum(grade.right for grade in grades), "groups": {}}
    for task, grade in zip(tasks, grades, strict=True):
        if task.group:  # group "": the benchmark has no groups
            part = counts["groups"].setdefault(task.group, {"n": 0, "right": 0})
            part["n"] += 1
            part["right"] += grade.right
    return counts


def accuracy_table(counts, bench):
    """Lines: the accuracy over all items, then of each group, with 95% intervals."""
    yield f"{bench:<34}{'n':>6}{'accuracy (95% interval)':>28}"
    rows = {"all": counts, **counts["groups"]}
    for title, part in rows.items():
        yield f"  {title:<32}{part['n']:>6}{share_cell(part['right'], part['n']):>28}"


def write_answers(folder, tasks, texts, grades=()):
    """Write items.jsonl, a line for each item; it is a file of predictions again.

    grades: none for answers that were not graded.
    """
    with replacing(folder / "items.jsonl") as aside, open(aside, "w") as file:
        for index, (task, text) in enumerate(zip(tasks, texts, strict=True)):
            record = {"index": index, "id": task.id, "group": task.group,
                      "prompt": task.turns[-1].content, "prediction": text}
            if grades:
                grade = grades[index]
                record |= {"found": grade.found, "right": int(grade.right)}
            file.write(json.dumps(record) + "\n")
