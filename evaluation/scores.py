"""The rules by which one call is scored: TS, PI and CF, and the names of its errors.

TS, tool selection: the call names a gold's tool. PI, parameter identification: and has that gold's
parameters, no others. CF, content filling: and their values. Golds are alternatives; where an item
asks for several calls, in steps or at once, the first predicted call may be any of them. The
paper's figures imply it: 90 of BFCL's 240 items ask for several, and its model, which writes one
call per turn, has a CF of 88.33%.
"""

from typing import NamedTuple

from data.calls import Call, ParseError
from evaluation.call_formats import find_calls, read_rotbench
from evaluation.tasks import STOPS, Task, gold_names
from reward import ErrorType, Esm, classify, esm, reward, total_reward


class Score(NamedTuple):
    TS: int  # each 0 or 1, and TS >= PI >= CF
    PI: int
    CF: int


class Item(NamedTuple):
    task: Task
    prediction: str
    calls: list[Call]         # none for a prediction that could not be read
    strict_calls: list[Call]  # those that RoTBench's own evaluator reads in ReAct
    errors: tuple[ErrorType, ...]
    reward: float | None = None  # of items with one gold: embedded, own

    @property
    def call(self):
        """The first call, or None."""
        return self.calls[0] if self.calls else None

    @property
    def strict_call(self):
        """The first call that RoTBench's own evaluator reads, or None."""
        return self.strict_calls[0] if self.strict_calls else None


def judge(task, text, call_format="auto", ended=True):
    """Read one prediction and name its errors -> Item.

    With the format "call", which models of this project write, the reward is that of the whole
    text; with every other one, "auto" too, that of its first call. An answer that was cut off (not
    `ended`) earns what no call does. The reward is stricter than CF in two ways: true is not 1, and
    a tool that is not offered earns -2 though the gold calls it.
    """
    found = find_calls(text, task.tools, call_format)
    calls = found.calls
    strict = calls
    if call_format in ("auto", "react") and (found.form == "react" or not calls):
        strict = _read_strictly(found.answer)
    first = calls[0] if calls else None
    earned = None
    if task.gold_kind == "one":
        gold = task.golds[0]
        rewarded = found.answer if call_format == "call" else first
        if rewarded is None or not ended:
            rewarded = ""
        earned = reward(rewarded, gold, task.tools, name_only=gold.name in task.free_text)
    return Item(task, text, calls, strict, name_errors(first, task), earned)


def _read_strictly(text):
    """The calls of a text in ReAct by RoTBench's own rules; [] without one."""
    try:
        return read_rotbench(text)
    except ParseError:
        return []


# --------------------------------------------------------------------------------------- TS, PI, CF

def score(call, task):
    """The Score of one call against any of the golds; None, for a text without a call, is wrong."""
    if call is None:
        return Score(0, 0, 0)
    keyed = _same_parameters(call, task)
    is_filled = any(filled(call, gold, task) for gold in keyed)
    return Score(int(_right_tool(call, task)), int(bool(keyed)), int(is_filled))


def score_upstream(call, task):
    """The Score by the rules of RoTBench's own evaluate.py, bugs included.

    There a call without arguments is never right, and comparing with one gold changes the
    prediction that the next one sees.
    """
    if call is None or not call.arguments:
        return Score(0, 0, 0)
    keyed = _same_parameters(call, task)
    is_filled = filled_upstream(call, keyed, task)
    return Score(int(_right_tool(call, task)), int(bool(keyed)), int(is_filled))


def score_all(calls, task):
    """The Score of all calls of a prediction, BFCL's stricter question.

    Are these all the calls that the item asks for, in any order, and no more?
    """
    if len(calls) != len(task.golds) + len(task.unread):
        return Score(0, 0, 0)
    return Score._make(int(_all_paired(calls, task, measure)) for measure in Score._fields)


def _all_paired(calls, task, measure):
    """Whether every call has a gold of its own by one of the measures TS, PI and CF.

    Taking the first gold that fits is enough: golds that fit the same call are alike, but for those
    with the wildcard "None", which come last.
    """
    left = sorted(task.golds, key=lambda gold: "None" in gold.arguments.values())
    for call in calls:
        gold = _first_that_fits(call, left, task, measure)
        if gold is None:
            return False
        left.remove(gold)
    return True


def _first_that_fits(call, golds, task, measure):
    for gold in golds:
        if getattr(score(call, task._replace(golds=(gold,))), measure):
            return gold
    return None


def first_only(task):
    """The task with its first gold alone: in an item of several steps, the first step."""
    if any(place == 0 for place, _ in task.unread):
        return task._replace(golds=(), unread=task.unread[:1])
    return task._replace(golds=task.golds[:1], unread=())


def same_tool(call, name, task):
    """The call's tool is `name`; "finish" means the finishing tool, though noise renamed it."""
    return call.name == name or (call.name == "finish" and name == task.finish)


def tool_meant(call, task):
    """The name of the tool that a call means: "finish" is the finishing tool, though noise renamed
    it, unless another tool bears that name.
    """
    is_offered = any(tool.name == "finish" for tool in task.tools)
    if call.name == "finish" and task.finish and not is_offered:
        return task.finish
    return call.name


def _right_tool(call, task):
    return any(same_tool(call, name, task) for name in gold_names(task))


def _same_parameters(call, task):
    """The golds with the tool and the parameters of the call."""
    return [gold for gold in task.golds if same_tool(call, gold.name, task)
            and gold.arguments.keys() == call.arguments.keys()]


def filled(call, gold, task):
    """CF of a call with the gold's parameters: the values are the same. Prose is not compared."""
    return gold.name in task.free_text or not wrong_parameters(call, gold)


def wrong_parameters(call, gold):
    """The parameters with another value than the gold's, whose "None" stands for any value."""
    return [key for key, value in gold.arguments.items()
            if value != "None" and not same_content(call.arguments[key], value)]


def same_content(value, gold):
    """Upstream's equality, which is Python's; and a tuple equals a list.

    >>> same_content(True, 1.0), same_content("1", 1), same_content((1, 2), [1, 2])
    (True, False, True)
    """
    if isinstance(gold, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(gold):
            return False
        return all(map(same_content, value, gold))
    if isinstance(gold, dict):
        if not isinstance(value, dict) or value.keys() != gold.keys():
            return False
        return all(same_content(value[key], gold[key]) for key in gold)
    return value == gold


def filled_upstream(call, golds, task):
    """CF by upstream's rules: keys that are wild in one gold are gone for the next one."""
    left = dict(call.arguments)
    last_two = [tool.name for tool in task.tools[-2:]]
    free = {"finish", "ask_to_user", *task.free_text, *last_two}
    for gold in golds:
        if gold.arguments.keys() != left.keys():
            continue
        left = {key: value for key, value in left.items() if gold.arguments[key] != "None"}
        if gold.name in free or all(left[key] == gold.arguments[key] for key in left):
            return True
    return False


# ------------------------------------------------------------------------------------- named errors

NO_GOLD = Call("", {}, (0, 0))  # no call has its name


def name_errors(call, task):
    """The ErrorTypes of a call, as the reward names them against the closest gold.

    () for a right one, by CF, and for the tool of a gold that does not parse: what else is wrong
    cannot be told.
    """
    if call is None:
        return (ErrorType.UNPARSABLE,)
    scored = score(call, task)
    if scored.CF:
        return ()
    gold = closest_gold(call, task)
    has_gold = same_tool(call, gold.name, task)
    if scored.TS and not has_gold:
        return ()
    found = errors_against(gold, call, task)
    return tuple(error for error in ErrorType if error in found)


def closest_gold(call, task):
    """The gold against which the call has the highest reward, the first of equals.

    Golds with the call's tool come before others; where no gold parses, it is NO_GOLD.
    """
    named = [gold for gold in task.golds if same_tool(call, gold.name, task)]
    golds = named or task.golds or [NO_GOLD]
    return max(golds, key=lambda gold: total_reward(errors_against(gold, call, task)))


def errors_against(gold, call, task):
    """The reward's ErrorTypes of a call, whose "finish" means the finishing tool under any name."""
    name = gold.name if same_tool(call, gold.name, task) else tool_meant(call, task)
    return classify(call._replace(name=name), gold, task.tools)


# --------------------------------------------------------------------- TTPA's fine-grained score

def best_esm(item):
    """The highest Esm of an item's first call over its golds; None for an item without a gold."""
    task = item.task
    call = item.call
    found = []
    for gold in task.golds:
        prediction = call
        if call is None:
            prediction = ""
        elif same_tool(call, gold.name, task):  # "finish" means the finishing tool under any name
            prediction = call._replace(name=gold.name)
        is_prose = gold.name in task.free_text
        found.append(esm(prediction, gold, task.tools, name_only=is_prose))
    return max(found, key=lambda one: one.score, default=None)


def mean_esm(items):
    """The mean of every field of Esm over items -> (Esm of means, number of items with a gold)."""
    found = [one for one in map(best_esm, items) if one is not None]
    if not found:
        return None, 0
    return Esm(*(sum(column) / len(found) for column in zip(*found, strict=True))), len(found)


# -------------------------------------------------------------- ways to score: an Item -> its Score

def any_gold(item):
    """The paper's way: the first call may be any of the golds."""
    return score(item.call, item.task)


def first_gold(item):
    """The first call must be the first gold."""
    return score(item.call, first_only(item.task))


def all_golds(item):
    """The calls must be all the golds."""
    return score_all(item.calls, item.task)


def upstream_rules(item):
    """RoTBench's own way, to read and to score."""
    return score_upstream(item.strict_call, item.task)


# ------------------------------------------------------------------------------------------- counts

def count_scores(items, scorer):
    """{"n", "TS", "PI", "CF"}: the number of items and of those right.

    And the mean "reward", if the items have one.
    """
    scores = [scorer(item) for item in items]
    counts = {"n": len(scores)}
    for measure in Score._fields:
        counts[measure] = sum(getattr(each, measure) for each in scores)
    rewards = [item.reward for item in items if item.reward is not None]
    if rewards:
        counts["reward"] = sum(rewards) / len(rewards)
    return counts


def summarise(items, entry):
    """All counts of a benchmark, whose entry is given, by every way to score.

    {way: {"n", "TS", "PI", "CF", "reward" (of items with one gold), "groups", "levels" (with
    noise)}}, where groups and levels are {name: the same counts}.
    """
    groups = [item.task.group for item in items]
    levels = [item.task.id.partition("/")[0] for item in items]
    result = {}
    for way, scorer in entry.scorers.items():
        result[way] = count_scores(items, scorer)
        result[way]["groups"] = _count_parts(items, groups, scorer)
        if entry.levels:
            result[way]["levels"] = _count_parts(items, levels, scorer)
    return result


def _count_parts(items, names, scorer):
    """{name: counts of the items that bear it}, in the order in which the names come."""
    parts = {}
    for item, name in zip(items, names, strict=True):
        parts.setdefault(name, []).append(item)
    return {name: count_scores(part, scorer) for name, part in parts.items()}


def count_stops(items):
    """How often a model stops although a tool fits, and does not although none fits.

    {"one_fits": number of items, "refused": those answered by a tool of STOPS, "none_fits": number
    of items, "called": those not answered by one}. An answer that holds no call is no stop. Only
    items that offer such a tool and have a gold count.
    """
    counts = dict.fromkeys(("one_fits", "refused", "none_fits", "called"), 0)
    for item in items:
        stops = item.task.free_text or STOPS
        right = gold_names(item.task)
        if not right or not any(tool.name in stops for tool in item.task.tools):
            continue
        stopped = item.call is not None and tool_meant(item.call, item.task) in stops
        if stops.issuperset(right):
            counts["none_fits"] += 1
            counts["called"] += not stopped
        else:
            counts["one_fits"] += 1
            counts["refused"] += stopped
    return counts
