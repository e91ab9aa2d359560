"""The filters of reversed construction: which drafts of conversations are kept.

A draft is a chain of executed calls (toolbox/chains.py) with its question and answer
(toolbox/questions.py) and the tools that the conversation offers. A draft is kept if
- every argument can be derived from the question or an earlier result;
- the question names no tool;
- the answer tells a value of the last result;
- no earlier question is similar to its question.
"""

import functools
import os
from collections import defaultdict
from typing import NamedTuple

from toolbox.chains import NOT_LINKED, Step, defaults, draw_chain, scalars
from toolbox.execute import DIALOGUE
from toolbox.questions import (
    as_text,
    is_derivable,
    jaccard,
    that_phrase,
    word_set,
    write_answer,
    write_question,
)

CHAIN_LENGTHS = {1: 45, 2: 33, 3: 15, 4: 7}  # number of calls -> percent of the chains
MOST_TOOLS = 3             # different tools in a chain; one more is offered that it does not need
OFFERED = (3, 3, 3, 3, 4)  # tools offered beside those of every dialogue; most tokens are prompts
MAX_SIMILARITY = 0.85      # of two questions (Jaccard), above which the later one is dropped
ATTEMPTS = 4000            # drafts to try for one conversation
OWN_ATTEMPTS = 60          # of these, the ones that begin with the tool that was asked for


class Draft(NamedTuple):
    """A conversation before its turns are written."""

    question: str
    core: str            # the question without its distractor
    missing: str | None  # the parameter of the first call that the question lacks
    steps: list[Step]
    answer: str
    offered: list[str]   # names of the tools


class Questions:
    """All questions so far; a question that is similar to one of them is turned down."""

    def __init__(self):
        self.cores = set()
        self.having = defaultdict(list)  # word -> word sets of the questions that hold it

    def admit(self, draft):
        """Keep the question of a Draft; False if it is similar to an earlier one."""
        own = word_set(draft.question)
        core = word_set(draft.core)
        # A question this similar lacks fewer than `few` of these words, so it holds one of any
        # `few` of them: comparing with those that hold one of the `few` rarest is enough.
        few = int(len(own) * (1 - MAX_SIMILARITY)) + 1
        rarest = sorted(own, key=lambda word: (len(self.having[word]), word))[:few]
        others = [other for word in rarest for other in self.having[word]]
        if core in self.cores or any(jaccard(own, other) > MAX_SIMILARITY for other in others):
            return False
        self.cores.add(core)
        for word in own:
            self.having[word].append(own)
        return True


def draw_draft(rng, tools, first, questions, fits, asking=False):
    """The first new Draft that `fits` -> (Draft, what `fits` returned for it).

    tools: (names for the calls after the first, names to offer). first: the tool of the first call;
    other tools take its place after OWN_ATTEMPTS, when its questions are used up. questions: the
    Questions so far. fits: a function of a Draft; what it returns is falsy for a Draft to drop.
    asking: the question lacks a value. rng: a seeded `random.Random`. Raises RuntimeError if no
    Draft is left.
    """
    pool, offerable = tools
    for attempt in range(ATTEMPTS):
        name = first if attempt < OWN_ATTEMPTS else rng.choice(pool)
        draft = draw_task(rng, pool, name, asking)
        if draft is None:
            continue
        draft = draft._replace(offered=draw_offered(rng, draft.steps, offerable))
        wanted = fits(draft)
        if wanted and questions.admit(draft):
            return draft, wanted
    raise RuntimeError(f"no question is left that begins with {first}")


def draw_task(rng, pool, first, asking=False):
    """A Draft that passes all filters but the one for similar questions; None if this one does not.

    Its list of offered tools is empty. pool: names of the tools for the calls after the first.
    first: the tool of the first call. asking: the question lacks a value. rng: a seeded
    `random.Random`.
    """
    length, = rng.choices(list(CHAIN_LENGTHS), CHAIN_LENGTHS.values())
    steps = draw_chain(rng, pool, first, length)
    answer = steps and write_answer(rng, steps)
    missing = _draw_missing(rng, steps[0]) if steps and asking else None
    if not answer or not _is_tellable(steps) or (asking and not missing):
        return None
    question, core = write_question(rng, steps, missing)
    said = question
    if missing:
        if is_derivable(question, steps):
            return None  # then nothing is missing
        said = f"{question} {as_text(steps[0].arguments[missing])}"
    if not is_derivable(said, steps) or any(step.name in question for step in steps):
        return None
    told = any(str(scalar) in answer for scalar in scalars(steps[-1].result)
               if not isinstance(scalar, bool))
    return Draft(question, core, missing, steps, answer, []) if told else None


def _is_tellable(steps):
    """Whether a chain has few enough tools, and one call at most with optional parameters.

    The sentences that give optional parameters come last in a question, so that with two such calls
    nobody could tell which call a sentence is about.
    """
    names = [step.name for step in steps]
    if len(set(names)) > MOST_TOOLS:
        return False
    optional = [step.name for step in steps if _has_optional(step)]
    return not optional or len(optional) == names.count(optional[0]) == 1


def _has_optional(step):
    return any(defaults(step.name)[key] is not None for key in step.arguments)


def _draw_missing(rng, step):
    """A required parameter whose text a question can call "that city"; None if there is none."""
    for key in rng.sample(list(step.arguments), len(step.arguments)):
        required = defaults(step.name)[key] is None
        if (required and isinstance(step.arguments[key], str) and that_phrase(key)
                and f"{step.name}.{key}" not in NOT_LINKED):
            return key
    return None


def draw_offered(rng, steps, names):
    """The names of the tools that a conversation offers, shuffled.

    These are the tools that the chain needs, others from `names`, most of which begin with the same
    words, and the tools of every dialogue.
    """
    needed = list(dict.fromkeys(step.name for step in steps))
    offered = list(needed)
    count = max(rng.choice(OFFERED), len(needed) + 1)
    others = [name for name in names if name not in needed]
    rng.shuffle(others)
    # A stable sort: tools that share as many words stay shuffled.
    others.sort(key=lambda name: -max(_shared_words(name, other) for other in needed))
    similar = others[:4]
    rest = others[4:]
    while len(offered) < count:
        source = similar if similar and rng.random() < 0.75 else rest
        offered.append(source.pop(rng.randrange(len(source))))
    offered += DIALOGUE
    rng.shuffle(offered)
    return offered


@functools.cache
def _shared_words(name, other):
    """How many words two names share at their beginning."""
    return len(os.path.commonprefix([name.split("_"), other.split("_")]))
