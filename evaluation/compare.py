"""Finished evaluations side by side: paired differences, and the paper's Figure 4.

    python evaluate.py --compare scores/sft scores/ppo --out scores

A run is a folder that `evaluate.py --out` wrote. Runs are compared item by item, so they must be of
the same benchmark, level and limit.
"""

from pathlib import Path
from typing import NamedTuple

from evaluation.intervals import paired_difference, share_cell, wilson
from evaluation.plot import lines, stack
from evaluation.tasks import LEVELS, read_lines
from plumbing.files import InputError, read_object

FIGURE = "levels.svg"
NAMES = {"TS": "tool selection (TS)", "PI": "parameter identification (PI)",
         "CF": "content filling (CF)"}


class Run(NamedTuple):
    """What a folder of `evaluate.py --out` says of single items."""
    name: str
    bench: str
    rule: str               # by which calls were scored; "" for answers that are right or wrong
    ids: tuple[str, ...]    # of the items, in order
    scores: dict[str, list[int]]  # measure -> 0 or 1 for each item


def read_run(folder):
    """The Run of a folder. Raises InputError naming the folder, or the file and the line."""
    about = read_object(Path(folder, "scores.json"))
    if "calls" in about:
        raise InputError(f"--compare {folder}: holds dialogues; only evaluations of calls and of "
                         "answers are compared")
    path = Path(folder, "items.jsonl")
    records = read_lines(path)
    measures = ("TS", "PI", "CF") if "rule" in about else ("right",)
    scores = {measure: [] for measure in measures}
    for i, record in enumerate(records, 1):
        for measure in measures:
            value = record.get(measure) if isinstance(record, dict) else None
            if value not in (0, 1) or not isinstance(record.get("id"), str):
                raise InputError(f"{path}: line {i}: has no id, or {measure} is not 0 or 1")
            scores[measure].append(value)
    return Run(str(folder), str(about.get("bench", "")), str(about.get("rule", "")),
               tuple(record["id"] for record in records), scores)


def read_runs(folders):
    """The Runs of two folders or more, which must be of the same items. Raises InputError."""
    if len(folders) < 2:
        raise InputError("--compare: name two directories or more")
    first, *others = runs = [read_run(folder) for folder in folders]
    for run in others:
        if (run.bench, run.rule) != (first.bench, first.rule):
            raise InputError(f"--compare {run.name}: is of {run.bench} {run.rule}, "
                             f"{first.name} of {first.bench} {first.rule}")
        if run.ids != first.ids or set(run.scores) != set(first.scores):
            raise InputError(f"--compare {run.name}: has other items than {first.name}; were they "
                             "made with the same --level, --turn and --limit?")
    return runs


def comparison_table(runs):
    """Lines: the scores of each run, and the difference of each from the first.

    A difference is in percentage points and has its paired standard error. With several levels
    there are rows for each.
    """
    first, *others = runs
    head = "".join(f"{measure:>28}" for measure in first.scores)
    yield f"{first.bench:<24}{'n':>6}{head}"
    for title, places in level_places(first.ids).items():
        yield f"{title}"
        for run in runs:
            cells = "".join(f"{share_cell(count(values, places), len(places)):>28}"
                            for values in run.scores.values())
            yield f"  {run.name:<22}{len(places):>6}{cells}"
        for run in others:
            cells = "".join(f"{paired_cell(run, first, measure, places):>28}"
                            for measure in run.scores)
            yield f"  {run.name:<22}  less {first.name}{cells}"


def paired_cell(run, first, measure, places):
    """The paired difference of two runs in points, with its standard error."""
    ours = [run.scores[measure][i] for i in places]
    theirs = [first.scores[measure][i] for i in places]
    found = paired_difference(ours, theirs)
    error = "-" if found.se is None else f"{100 * found.se:.2f}"
    return f"{100 * found.mean:+.2f} ± {error}"


def level_places(ids):
    """{title: places of its items}: all of them, and those of each level if there are several."""
    places = {"all": list(range(len(ids)))}
    levels = [id.partition("/")[0] for id in ids]
    if len(set(levels)) > 1 and set(levels) <= set(LEVELS):
        for level in dict.fromkeys(levels):
            places[f"level {level}"] = [i for i, each in enumerate(levels) if each == level]
    return places


def noise_figure(runs):
    """The paper's Figure 4 as SVG: TS, PI and CF at each level, a line for each run.

    "" for runs of a single level.
    """
    places = level_places(runs[0].ids)
    del places["all"]
    if not places:
        return ""
    labels = [title.removeprefix("level ") for title in places]
    pictures = []
    for measure in runs[0].scores:
        series = {}
        for run in runs:
            values = run.scores[measure]
            series[run.name] = [interval(values, some) for some in places.values()]
        pictures.append(lines(series, labels, NAMES[measure], "% of items, 95% interval"))
    return stack(pictures, f"{runs[0].bench}: scores at each level of noise in names")


def count(values, places):
    """How many of a list of 0 and 1 are 1 at some places."""
    return sum(values[i] for i in places)


def interval(values, places):
    """(share, low, high) in % of some places of a list of 0 and 1."""
    n = len(places)
    k = count(values, places)
    return tuple(100 * end for end in (k / n, *wilson(k, n)))
