"""Chains of one to four calls that were executed: what reversed construction begins with.

A call gets values from the wording; a later one gets a required argument from an earlier result that has a
key of that name, or has nothing to do with it. Only calls that succeed are kept, so that a question can be
written to which the chain is known to be the answer. Equal seeds give equal chains in every process.
"""

import functools
import inspect
import json
from typing import NamedTuple

from data.calls import Call
from data.feedback import Feedback, classify
from toolbox.execute import TOOLS, run
from toolbox.wording import EXTRA, REFER, VALUES

# What a later call does not take over: a value means nothing without its unit, nor an amount without its
# currency, "just as many minutes" is a riddle, and a playlist has not the name of a person.
NOT_LINKED = {"value", "unit", "minutes", "percent", "base", "target", "create_playlist.name",
              "convert_currency.amount", "convert_currency_with_fee.amount"}
# Shares: optional parameters given, calls that take a value over, a new one if there is, else the same tool
# twice, or the same value.
OPTIONAL, LINK, NEWS, TWICE, AGAIN = 0.3, 0.75, 0.8, 0.2, 0.3

# What a linked value is: nothing like it was named yet; it is the first of a list; it is another one than the
# argument of that name (a later date, the amount in other money); or it was an argument already.
NEW, FIRST, OTHER, SAME = "new", "first", "other", "same"


class Link(NamedTuple):
    """Where an argument comes from."""

    step: int  # place in the chain of the call whose result holds it
    kind: str  # one of the above


class Step(NamedTuple):
    """A call that was executed."""

    name: str
    arguments: dict
    feedback: str
    links: dict[str, Link]  # of the arguments that an earlier result gave

    @property
    def result(self):
        return json.loads(self.feedback)


def build(rng, pool, first, length):
    """A chain of `length` Steps that begins with the tool `first`, or None where that did not work out.

    pool: names of the tools of the calls after the first. rng: a seeded `random.Random`.
    """
    steps = []
    while len(steps) < length:
        step = _linked(rng, pool, steps) if steps and rng.random() < LINK else None
        if step is None:
            names = pool if rng.random() > TWICE else [old.name for old in steps]
            step = _attempt(rng, rng.choice(names) if steps else first, steps, {}, {})
        if step is None or any((step.name, step.arguments) == (old.name, old.arguments) for old in steps):
            return None
        steps.append(step)
    return steps


def leaves(value):
    """The scalars of a JSON value, in order.

    >>> leaves({"a": [1, "x"], "b": {"c": True}})
    [1, 'x', True]
    """
    if isinstance(value, (dict, list)):
        members = value.values() if isinstance(value, dict) else value
        return [leaf for member in members for leaf in leaves(member)]
    return [value]


def execute(name, arguments):
    """The feedback of a call that succeeds with a JSON object, or None."""
    feedback = run(Call(name, arguments, (0, 0)))
    success = classify(feedback) is Feedback.ALL_RIGHT and feedback.startswith("{")
    return feedback if success else None


@functools.cache
def parameters(name):
    """{parameter: its default, or None for a required one} of a tool, in the order of its signature."""
    return {p.name: None if p.default is p.empty else p.default
            for p in inspect.signature(TOOLS[name]).parameters.values()}


def _attempt(rng, name, steps, given, links, tries=12):
    """A Step of a tool with the arguments `given`, the others drawn until the call succeeds; or None."""
    known = {key: value for step in steps for key, value in step.arguments.items()}
    for _ in range(tries):
        arguments = {}
        for key, default in parameters(name).items():
            if key in given:
                arguments[key] = given[key]
            elif default is None and key in known and rng.random() < AGAIN:
                arguments[key] = known[key]
            elif default is None or f"{name}.{key}" in EXTRA and rng.random() < OPTIONAL:
                arguments[key] = _draw(rng, f"{name}.{key}")
        feedback = execute(name, arguments) if _sensible(name, arguments) else None
        if feedback is not None:
            return Step(name, arguments, feedback, links)
    return None


def _draw(rng, key):
    values = VALUES[key]
    value = values(rng) if callable(values) else rng.choice(list(values))
    if isinstance(value, float) and value.is_integer():
        return int(value)  # as it stands in the question
    return list(value) if isinstance(value, tuple) else value


def _sensible(name, arguments):
    """No two texts the same (from Oslo to Oslo), dates in order, no optional parameter at its default."""
    texts = [leaf.casefold() for leaf in leaves(arguments) if isinstance(leaf, str)]
    if arguments.get("start_date", "") > arguments.get("end_date", "9") or len(set(texts)) < len(texts):
        return False
    return all(default is None or arguments.get(key) != default for key, default in parameters(name).items())


def _linked(rng, pool, steps):
    """A Step with an argument from an earlier result, or None."""
    choices = [(name, key, value, Link(source, _kind(key, value, several, source, steps)))
               for source, step in enumerate(steps) for key, value, several in _offers(step.result)
               if key in REFER and _is_clear(key, value, source, steps)
               for name in pool if parameters(name).get(key, 0) is None
               and not {key, f"{name}.{key}"} & NOT_LINKED]
    rng.shuffle(choices)
    news_first = rng.random() < NEWS
    choices.sort(key=lambda choice: (choice[3].kind == SAME) == news_first)
    for name, key, value, link in choices[:6]:
        if name not in [step.name for step in steps]:
            step = _attempt(rng, name, steps, {key: value}, {key: link}, tries=4)
            if step is not None:
                return step
    return None


def _offers(result):
    """(key, value, whether there are several) of what a result holds for later calls."""
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ((inner, first, len(value) > 1) for inner, first in value[0].items()
                        if len(value) == 1 or inner.endswith("_id") or inner == "city")
        elif not isinstance(value, (bool, dict)) and value != []:
            yield key, value, False


def _kind(key, value, several, source, steps):
    if any(value in step.arguments.values() for step in steps):
        return SAME
    return FIRST if several else OTHER if key in steps[source].arguments else NEW


def _is_clear(key, value, source, steps):
    """Can "that city" mean this value only? No other one with the same noun may have been named."""
    for place, step in enumerate(steps):
        named = [(name, offer) for name, offer, _ in _offers(step.result)]
        named += [(name, said) for name, said in step.arguments.items() if place != source or name != key]
        if any(noun(name) == noun(key) and other != value for name, other in named):
            return False
    return True


def noun(key):
    """What a parameter is called in a reference to its value: "city" for an origin; its name if nothing."""
    return REFER[key][0].rpartition(" ")[2] if key in REFER else key
