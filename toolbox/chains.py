"""Chains of one to four executed calls, drawn at random: the start of reversed construction (TTPA).

A call gets its arguments from the values in toolbox/wording. A later call of a chain either takes a
required argument over from an earlier result that holds a key of the same name, or stands alone. A
chain keeps only calls that succeed, so that the chain is known to answer the question that
toolbox/questions.py writes for it. Equal seeds give equal chains in every process.
"""

import functools
import inspect
import json
from typing import NamedTuple

from data.calls import Call
from data.feedback import Feedback, classify
from toolbox.execute import TOOLS, run
from toolbox.wording import EXTRA, REFER, VALUES

# Parameters that take no earlier result over. A value means nothing without its unit, nor an amount
# without its currency; "just as many minutes" is a riddle; no playlist has the name of a person.
NOT_LINKED = {"value", "unit", "minutes", "percent", "base", "target", "create_playlist.name",
              "convert_currency.amount", "convert_currency_with_fee.amount"}
# Probabilities:
OPTIONAL_SHARE = 0.3    # a call gives an optional parameter
LINKED_SHARE = 0.75     # a later call takes a value over from an earlier result
NEW_SHARE = 0.8         # such a call prefers a value that was no argument yet
SAME_TOOL_SHARE = 0.2   # a later call that takes nothing over uses a tool of the chain again
SAME_VALUE_SHARE = 0.3  # a parameter that an earlier call has, too, gets its value again

# What a linked value is.
NEW = "new"      # no call has an argument of its name and none has the value
FIRST = "first"  # it is in the first of several entries of a list
OTHER = "other"  # not the argument of its name: a later date, the amount in other money
SAME = "same"    # an argument of an earlier call already


class Link(NamedTuple):
    """The earlier result that an argument is from."""

    step: int  # place in the chain of the call whose result holds the value
    kind: str  # NEW, FIRST, OTHER or SAME


class Step(NamedTuple):
    """An executed call of a chain."""

    name: str
    arguments: dict
    feedback: str
    links: dict[str, Link]  # parameter -> Link, for the arguments from earlier results

    @property
    def result(self):
        """The feedback as a dict."""
        return json.loads(self.feedback)


def draw_chain(rng, pool, first, length):
    """A chain of `length` Steps that begins with the tool `first`; None if a call did not succeed.

    pool: names of the tools for the calls after the first. rng: a seeded `random.Random`.
    """
    steps = []
    while len(steps) < length:
        step = None
        if steps and rng.random() < LINKED_SHARE:
            step = _draw_linked_call(rng, pool, steps)
        if step is None:
            names = pool if rng.random() > SAME_TOOL_SHARE else [old.name for old in steps]
            name = rng.choice(names) if steps else first
            step = _draw_call(rng, name, steps, {}, {})
        if step is None or _is_repeated(step, steps):
            return None
        steps.append(step)
    return steps


def _is_repeated(step, steps):
    return any(step.name == old.name and step.arguments == old.arguments for old in steps)


def scalars(value):
    """The scalars of a JSON value, in order.

    >>> scalars({"a": [1, "x"], "b": {"c": True}})
    [1, 'x', True]
    """
    if not isinstance(value, (dict, list)):
        return [value]
    found = []
    for member in value.values() if isinstance(value, dict) else value:
        found += scalars(member)
    return found


@functools.cache
def defaults(name):
    """{parameter: its default, None if it is required} of a tool, in the signature's order."""
    parameters = inspect.signature(TOOLS[name]).parameters.values()
    return {p.name: None if p.default is p.empty else p.default for p in parameters}


def noun(key):
    """The noun for a parameter's value: "city" for an origin; its name where REFER has no noun."""
    return REFER[key][0].rpartition(" ")[2] if key in REFER else key


# -------------------------------------------------------------------------------- drawing one call

def _draw_call(rng, name, steps, given, links, tries=12):
    """A Step with drawn arguments besides those of `given`; None if no call of `tries` succeeds."""
    known = {}
    for step in steps:
        known |= step.arguments
    for _ in range(tries):
        arguments = {}
        for key, default in defaults(name).items():
            own = f"{name}.{key}"
            if key in given:
                arguments[key] = given[key]
            elif default is None and key in known and rng.random() < SAME_VALUE_SHARE:
                arguments[key] = known[key]
            elif default is None or own in EXTRA and rng.random() < OPTIONAL_SHARE:
                arguments[key] = _draw_value(rng, own)
        feedback = _successful_feedback(name, arguments) if _is_sensible(name, arguments) else None
        if feedback is not None:
            return Step(name, arguments, feedback, links)
    return None


def _draw_value(rng, key):
    values = VALUES[key]
    value = values(rng) if callable(values) else rng.choice(list(values))
    if isinstance(value, float) and value.is_integer():
        return int(value)  # as it stands in the question
    return list(value) if isinstance(value, tuple) else value


def _is_sensible(name, arguments):
    """Whether no two texts are equal, dates are in order, and no optional value is its default."""
    texts = [scalar.casefold() for scalar in scalars(arguments) if isinstance(scalar, str)]
    if len(set(texts)) < len(texts):
        return False
    if arguments.get("start_date", "") > arguments.get("end_date", "9"):
        return False
    return all(default is None or arguments.get(key) != default
               for key, default in defaults(name).items())


def _successful_feedback(name, arguments):
    """The feedback of a call that succeeds with a JSON object; None for any other call."""
    feedback = run(Call(name, arguments, (0, 0)))
    success = classify(feedback) is Feedback.ALL_RIGHT and feedback.startswith("{")
    return feedback if success else None


# ------------------------------------------------------------------------- taking an argument over

class _Choice(NamedTuple):
    """A call that could take a value over."""

    name: str  # its tool
    key: str   # the parameter that takes the value, and the key of the result that holds it
    value: object
    link: Link


def _draw_linked_call(rng, pool, steps):
    """A Step with an argument from an earlier result; None if no such call succeeds."""
    choices = _linked_calls(pool, steps)
    rng.shuffle(choices)
    new_first = rng.random() < NEW_SHARE
    choices.sort(key=lambda choice: (choice.link.kind == SAME) == new_first)
    for name, key, value, link in choices[:6]:
        if name not in [step.name for step in steps]:
            step = _draw_call(rng, name, steps, {key: value}, {key: link}, tries=4)
            if step is not None:
                return step
    return None


def _linked_calls(pool, steps):
    """All _Choices: each value that a phrase can refer to, with each tool that requires its key."""
    choices = []
    for source, step in enumerate(steps):
        for key, value, several in _values_to_link(step.result):
            if key not in REFER or not _is_unambiguous(key, value, source, steps):
                continue
            link = Link(source, _link_kind(key, value, several, source, steps))
            for name in pool:
                requires = key in defaults(name) and defaults(name)[key] is None
                if requires and not {key, f"{name}.{key}"} & NOT_LINKED:
                    choices.append(_Choice(name, key, value, link))
    return choices


def _values_to_link(result):
    """[(key, value, whether it is from a list of several entries)] of a result, for later calls.

    From a list of several entries: the ids and the city of the first entry alone, since a person
    can say "the first flight" but not "the first price".
    """
    found = []
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            several = len(value) > 1
            found += [(inner, first, several) for inner, first in value[0].items()
                      if not several or inner.endswith("_id") or inner == "city"]
        elif not isinstance(value, (bool, dict)) and value != []:
            found.append((key, value, False))
    return found


def _link_kind(key, value, several, source, steps):
    if any(value in step.arguments.values() for step in steps):
        return SAME
    if several:
        return FIRST
    return OTHER if key in steps[source].arguments else NEW


def _is_unambiguous(key, value, source, steps):
    """Whether "that city" can mean this value alone: no other value with that noun was named.

    source: place in the chain of the call whose result holds the value.
    """
    for place, step in enumerate(steps):
        named = [(name, offer) for name, offer, _ in _values_to_link(step.result)]
        named += [(name, argument) for name, argument in step.arguments.items()
                  if place != source or name != key]
        if any(noun(name) == noun(key) and other != value for name, other in named):
            return False
    return True
