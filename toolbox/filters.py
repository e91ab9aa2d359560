"""Drafts of conversations, and the filters that decide which are kept.

A draft is an executed chain with its question, answer and offered tools. It stays if every argument can be
derived, no tool's name stands in the question, the answer tells a value of the last result, and no earlier
question is like it.
"""

import functools
import os
from collections import defaultdict
from typing import NamedTuple

from toolbox.chains import NOT_LINKED, Step, build, leaves, parameters
from toolbox.execute import DIALOGUE
from toolbox.questions import answer, as_text, ask, derivable, pointed, similarity, words

LENGTHS = {1: 45, 2: 33, 3: 15, 4: 7}  # calls of a chain, in percent
MOST_TOOLS = 3  # different ones in a chain, so that there is one to leave aside
OFFERED = (3, 3, 3, 3, 4)  # tools offered beside those of the dialogue; prompts are most of the cost
ALIKE = 0.85  # questions that share more of their words are one too many


class Draft(NamedTuple):
    """A conversation before it is written down."""

    question: str
    core: str            # the question without its distractor
    missing: str | None  # the parameter of the first call that the question lacks
    steps: list[Step]
    answer: str
    offered: list[str]   # names of the tools


class Questions:
    """All questions so far, to turn down what is like one of them."""

    def __init__(self):
        self.cores, self.having = set(), defaultdict(list)  # word -> the questions that hold it

    def admit(self, item):
        """Keep the question of a Draft; False if it is like an earlier one."""
        own, core = words(item.question), words(item.core)
        # a question that is alike lacks so few of the words that it has one of any few more: the rarest
        few = int(len(own) * (1 - ALIKE)) + 1
        rarest = sorted(own, key=lambda word: (len(self.having[word]), word))[:few]
        others = [other for word in rarest for other in self.having[word]]
        if core in self.cores or any(similarity(own, other) > ALIKE for other in others):
            return False
        self.cores.add(core)
        for word in own:
            self.having[word].append(own)
        return True


def draw(rng, tools, first, questions, fits, asking=False):
    """The first new Draft that `fits` -> (Draft, what `fits` gave for it).

    tools: (names for the calls after the first, names to offer). first: the tool that is called first; it
    gives way to others where its questions are taken. fits: a function of a Draft; falsy to go on.
    asking: the question lacks a value. rng: a seeded `random.Random`.
    """
    for attempt in range(4000):
        name = first if attempt < 60 else rng.choice(tools[0])
        item = _draft(rng, tools, name, asking)
        wanted = item and fits(item)
        if wanted and questions.admit(item):
            return item, wanted
    raise RuntimeError(f"no question is left that begins with {first}")


def _draft(rng, tools, first, asking):
    pool, offerable = tools
    item = task(rng, pool, first, asking)
    return item and item._replace(offered=offer(rng, item.steps, offerable))


def task(rng, pool, first, asking=False):
    """A Draft that passes all filters but that for questions like it and offers no tools yet, or None.

    pool: names of the tools of the calls after the first. first: the tool that is called first. asking: the
    question lacks a value. rng: a seeded `random.Random`.
    """
    steps = build(rng, pool, first, rng.choices(list(LENGTHS), LENGTHS.values())[0])
    reply = steps and answer(rng, steps)
    missing = _forgettable(rng, steps[0]) if steps and asking else None
    if not reply or not _clear(steps) or (asking and not missing):
        return None
    question, core = ask(rng, steps, missing)
    said = f"{question} {as_text(steps[0].arguments[missing])}" if missing else question
    if missing and derivable(question, steps):
        return None
    told = any(str(leaf) in reply for leaf in leaves(steps[-1].result) if not isinstance(leaf, bool))
    if not derivable(said, steps) or any(step.name in question for step in steps) or not told:
        return None
    return Draft(question, core, missing, steps, reply, [])


def _clear(steps):
    """Few enough tools; and optional parameters, of which the last sentences tell, of one call only."""
    names = [step.name for step in steps]
    optional = [step.name for step in steps
                if any(parameters(step.name)[key] is not None for key in step.arguments)]
    return len(set(names)) <= MOST_TOOLS and (not optional or len(optional) == names.count(optional[0]) == 1)


def _forgettable(rng, step):
    """A required parameter of text in place of which one can say "that city", or None."""
    return next((key for key in rng.sample(list(step.arguments), len(step.arguments))
                 if parameters(step.name)[key] is None and isinstance(step.arguments[key], str)
                 and pointed(key) and f"{step.name}.{key}" not in NOT_LINKED), None)


def offer(rng, steps, names):
    """The tools of a conversation, shuffled: those needed, others that begin alike, a few that do not."""
    needed = list(dict.fromkeys(step.name for step in steps))
    offered, count = list(needed), max(rng.choice(OFFERED), len(needed) + 1)
    others = [name for name in names if name not in needed]
    rng.shuffle(others)
    others.sort(key=lambda name: -max(_shared(name, other) for other in needed))  # stable: ties stay shuffled
    alike, rest = others[:4], others[4:]
    while len(offered) < count:
        source = alike if alike and rng.random() < 0.75 else rest
        offered.append(source.pop(rng.randrange(len(source))))
    offered += DIALOGUE
    rng.shuffle(offered)
    return offered


@functools.cache
def _shared(name, other):
    """How many words two names share at their beginning."""
    ours, theirs = name.split("_"), other.split("_")
    return len(os.path.commonprefix([ours, theirs]))
