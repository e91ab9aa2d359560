"""What evaluate.py prints and writes about single calls: TS, PI, CF, and the paper's Table 1."""

import json
import re
from collections import Counter

from evaluation.call_formats import BROKEN, unread_mark
from evaluation.intervals import percent, share_cell
from evaluation.scores import Score, best_esm, closest_gold, mean_esm, wrong_parameters
from evaluation.tasks import gold_names, knowable, plain_text
from plumbing.files import replacing, write_json
from reward import ErrorType, Esm
from tokenizer import render

TOOL_ERRORS = (ErrorType.UNKNOWN_TOOL, ErrorType.WRONG_TOOL)
PARAMETER_ERRORS = (ErrorType.REDUNDANT, ErrorType.MISSING, ErrorType.HALLUCINATED)
WORD_OR_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?|[^\W_]+")


def score_table(result, bench):
    """Lines: the whole by every way to score, then levels (the paper's Figure 4) and groups.

    Beside every percentage stands its 95% interval.

    result: what evaluation/scores.py:summarise returns.
    """
    rewarded = "reward" in result["default"]
    head = "".join(f"{name:>28}" for name in Score._fields)
    if rewarded:
        head += f"{'reward':>10}"
    yield f"{bench:<30}{'n':>6}{head}"
    many = len(result) > 1
    for way, counts in result.items():
        yield _score_row(f"all, {way.replace('_', ' ')}" if many else "all", counts)
    for way, counts in result.items():
        for level, part in counts.get("levels", {}).items():
            yield _score_row(f"level {level}, {way}" if many else f"level {level}", part)
    for group, part in result["default"]["groups"].items():
        if group:  # group "": the benchmark has no groups
            yield _score_row(group, part)


def _score_row(title, counts):
    cells = ""
    for name in Score._fields:
        cells += f"{share_cell(counts[name], counts['n']):>28}"
    if "reward" in counts:
        cells += f"{counts['reward']:>10.3f}"
    return f"  {title:<28}{counts['n']:>6}{cells}"


def bound_lines(tasks, items):
    """Lines: what the prompts let any model reach, how many predictions hold no call, and what
    stands there instead.
    """
    best = [knowable(task) for task in tasks]
    cells = ""
    for place in range(len(Score._fields)):
        n = sum(scores[place] for scores in best)
        cells += f"{n:>7}{percent(n, len(tasks)):>9}{'':>12}"
    yield f"  {'at most, from the prompts':<28}{len(tasks):>6}{cells}"
    unread = [item for item in items if item.call is None]
    yield f"  predictions without a call that can be read: {len(unread)} of {len(items)}"
    marks = Counter(unread_mark(item.prediction, item.task.tools) for item in unread)
    for mark, n in marks.most_common():
        if mark:
            hold = "prediction holds" if n == 1 else "predictions hold"
            hint = "" if mark == BROKEN else ", a form that is not read"
            yield f"  {n} {hold} {mark}{hint}"


def esm_table(items):
    """Lines: TTPA's score and its five parts, in % of what is possible, as means over items.

    Of several golds the best counts. All items first, then each group.
    """
    head = "".join(f"{name:>10}" for name in Esm._fields)
    yield f"{'ESM (TTPA), mean in %':<30}{'n':>6}{head}"
    groups = {"all": items}
    for item in items:
        if item.task.group:  # group "": the benchmark has no groups
            groups.setdefault(item.task.group, []).append(item)
    for title, part in groups.items():
        means, n = mean_esm(part)
        if means is not None:
            cells = "".join(f"{100 * mean:>10.1f}" for mean in means)
            yield f"  {title:<28}{n:>6}{cells}"


def stop_lines(counts):
    """Lines of what evaluation/scores.py:count_stops returns, for the items that there are."""
    if counts["one_fits"]:
        n = counts["one_fits"]
        yield (f"  stops although a tool fits: {counts['refused']} of {n} "
               f"({percent(counts['refused'], n)})")
    if counts["none_fits"]:
        n = counts["none_fits"]
        yield (f"  does not stop although no tool fits: {counts['called']} of {n} "
               f"({percent(counts['called'], n)})")


# ------------------------------------------------------------------------------ the paper's Table 1

FIRST = "First: wrong from the first token on"
PREFIX = "Prefix: wrong after a shared prefix"
TITLES = {
    ErrorType.REDUNDANT: "Redundancy: redundant parameter",
    ErrorType.MISSING: "Missing: missing parameter",
    ErrorType.HALLUCINATED: "Hallucination: hallucinated parameter",
}
SYNONYMS = "Synonyms, at least: spelled alike"
OTHERS = "Others, at most"
TABLE_1 = {  # class -> its rows
    "Tool": (FIRST, PREFIX, *(error.value for error in TOOL_ERRORS)),
    "Parameter": tuple(TITLES.values()),
    "Content": (SYNONYMS, OTHERS),
}


def error_table(items, pieces, unit):
    """Lines of the paper's Table 1: in percent of all items, and of the items of the same class.

    pieces: function that cuts the name of a tool into `unit`. An item may count in several rows of
    Parameter and of Content, so their shares may add up to more than 100%, as in the paper.

    The class and the errors of an item are those that the reward names (name_errors): a tool or a
    parameter that the document lacks is an error even where a gold has it.

    Tool. "Prefix": the name of the wrong tool leaves that of a right one after a prefix that they
    share; "First": it is wrong from the first token.

    Content. "Synonyms" are "filled parameter values synonymous with standard values"; the paper
    does not say how that was decided, and neither names nor values tell it: "car" and "automobile"
    share nothing. What can be decided is whether two values have the same words and numbers
    ("Oslo" and "oslo ", 3 and "3.0"). These are printed as "Synonyms, at least", the rest as
    "Others, at most".
    """
    counts = Counter()
    for item in items:
        counts.update(_table_rows(item, pieces))
    yield (f"errors, in % of {len(items)} items, and of the items of a class; "
           f"names are cut into {unit}")
    yield _error_row(ErrorType.UNPARSABLE.value, counts[ErrorType.UNPARSABLE.value], len(items))
    for title, rows in TABLE_1.items():
        yield _error_row(title, counts[title], len(items))
        for row in rows:
            yield _error_row(f"  {row}", counts[row], len(items), counts[title])
    yield _error_row("none", counts["none"], len(items))


def _table_rows(item, pieces):
    """The set of the rows of Table 1 in which an item counts, the row of its class among them."""
    errors = set(item.errors)
    if not errors:
        return {"none"}
    if ErrorType.UNPARSABLE in errors:
        return {ErrorType.UNPARSABLE.value}
    if errors & set(TOOL_ERRORS):
        return {"Tool", *_name_rows(item, pieces), *(error.value for error in errors)}
    if errors & set(PARAMETER_ERRORS):
        return {"Parameter", *(TITLES[error] for error in errors)}
    return {"Content", *_content_rows(item)}


def _name_rows(item, pieces):
    """FIRST or PREFIX; none where the call has the name of a gold that is not offered."""
    right = gold_names(item.task)
    if item.call.name in right:
        return []
    written = pieces(item.call.name)
    return [PREFIX] if any(_same_start(written, pieces(name)) for name in right) else [FIRST]


def _content_rows(item):
    gold = closest_gold(item.call, item.task)
    for key in wrong_parameters(item.call, gold):
        alike = spelled_alike(item.call.arguments[key], gold.arguments[key])
        yield SYNONYMS if alike else OTHERS


def _same_start(a, b):
    return bool(a) and bool(b) and a[0] == b[0]


def spelled_alike(value, gold):
    """Whether two values have the same words and numbers in the same order, and any at all.

    >>> spelled_alike("New-York ", "new york"), spelled_alike(1000, "1,000.0")
    (True, True)
    >>> spelled_alike("car", "automobile"), spelled_alike(-1, "1"), spelled_alike([1, 5], 1.5)
    (False, False, False)
    """
    words = _words_and_numbers(value)
    return bool(words) and words == _words_and_numbers(gold)


def _words_and_numbers(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return WORD_OR_NUMBER.findall(plain_text(text))


def _error_row(title, n, whole, in_class=None):
    of_class = "" if in_class is None else f"{percent(n, in_class):>9}"
    return f"  {title:<40}{n:>6}{percent(n, whole):>9}{of_class}"


# -------------------------------------------------------------------------------------------- files

def write_scores(folder, items, scores, summary, flags):
    """Write scores.json, which is the summary, and items.jsonl.

    items.jsonl is a file of predictions again; those of a model are in the format "call"
    (--format). flags: enums, whether the prompts name the values of enums; esm, whether the items
    hold their Esm.
    """
    with replacing(folder / "items.jsonl") as aside, open(aside, "w") as file:
        for index, (item, score) in enumerate(zip(items, scores, strict=True)):
            record = _item_record(index, item, score, flags.enums)
            best = best_esm(item) if flags.esm else None
            if best is not None:
                record["esm"] = best._asdict()
            file.write(json.dumps(record) + "\n")
    write_json(folder / "scores.json", summary)


def _item_record(index, item, score, enums):
    task = item.task
    turns = [render(turn, task.tools, enums) for turn in task.turns]
    call = item.call
    record = {
        "index": index, "id": task.id, "group": task.group,
        "prompt": "\n".join(turns) + "\nAssistant:",
        "prediction": item.prediction,
        "call": None if call is None else {"name": call.name, "arguments": call.arguments},
        "errors": [error.value for error in item.errors],
    }
    if item.reward is not None:
        record["reward"] = item.reward
    return {**record, **score._asdict()}
