"""Drills for the base model: two skills that a small model learns too slowly from documents.

Copying: after A came B, here is A again, so B follows. Choosing: the words of a question fit the
description of one of several things, so its name follows. In documents one token in a hundred
depends on the second skill; a model of four blocks that had read 33M tokens of them still chose by
chance wherever the question's words were not in the name itself. Drills ask for nothing else.
Drills of choosing start from bare pieces and end as questions about tools.
"""

from typing import NamedTuple

import numpy as np

from examples import Example
from pretraining.vocabulary import new_word
from toolbox.execute import TOOLS

# What stands around a name, a description, a question and an answer in a conversation.
TOOL = "Function:"
QUESTION = "User:"
ANSWER = "Assistant:"
LINES = {"def": "\ndef ",
         "opens": '():\n    """\n    Get ',
         "closes": '.\n\n    Args:\n    """\n\n',
         "space": " ", "asks": " ", "ends": "\n", "says": " ", "brackets": "()", "next": "\n"}
VERBS = ("get", "find", "check", "search", "list", "show", "set")  # many tools' names begin so
FILLERS = ("the", "a", "of", "in", "for", "what", "is", "please", "I", "want", "with", "to")


def as_one_call(ids, labels, weights):
    """An Example whose weights are normalised together, as those of one call; arrays (T,)."""
    return Example(ids, labels, weights, np.zeros(len(ids), int), n_calls=1, item=0)


def copying_drill(rng, pieces, longest):
    """An Example of at most `longest` random pieces, over and over; only the repetitions count.

    pieces: ids to draw from. rng: a seeded `random.Random`.
    """
    once = rng.choices(pieces, k=rng.randint(3, longest))
    length = max(40, 3 * longest)
    ids = (once * length)[:length]
    return _example(ids, range(len(once), length))


def choosing_drill(rng, pieces, tokenizer, difficulty, asks=12):
    """An Example of a few things with a name and some words each, and `asks` questions about them.

    A question holds some words of one thing, with other words among them, and the name of the thing
    answers it. Only these names count.

    difficulty, from 0 to 1. In the first third, two things with a word each become two to five
    things with one to five words, all single pieces side by side. In the second third, the lines of
    a conversation's template come in by chance, and names and words of several pieces. In the last,
    more and more drills are of real words. pieces: ids to draw from.
    """
    size = _third(difficulty, 0)
    level = _third(difficulty, 1)
    real = _third(difficulty, 2)
    line = {key: _within(tokenizer, text) if rng.random() < level else []
            for key, text in LINES.items()}
    is_real = rng.random() < real
    several = rng.random() < level
    words = _Words(rng, tokenizer, rng.sample(pieces, 180), set(), is_real, several)
    things = _draw_things(rng, words, size)
    ids = []
    counted = []
    for name, own in things:
        ids += _within(tokenizer, TOOL) + line["def"] + name
        ids += line["opens"] + _joined(own, line["space"]) + line["closes"]
    for _ in range(asks):
        name, own = rng.choice(things)
        asked = rng.sample(own, rng.randint(1, min(len(own), 3)))
        asked += [words.draw("other") for _ in range(rng.randint(0, 2))]
        rng.shuffle(asked)
        ids += _within(tokenizer, QUESTION) + line["asks"] + _joined(asked, line["space"])
        ids += line["ends"] + _within(tokenizer, ANSWER) + line["says"]
        counted += range(len(ids), len(ids) + len(name))
        ids += name + line["brackets"] + line["next"]
    return _example(ids, counted)


def _third(difficulty, number):
    """How far the third `number` (0, 1 or 2) of the difficulties is passed, from 0 to 1."""
    return min(max(3 * difficulty - number, 0.0), 1.0)


def _draw_things(rng, words, size):
    """[(ids of a name, [ids of each of its words])] of two to five things; size: from 0 to 1."""
    most = 1 + round(4 * size)
    things = []
    for _ in range(rng.randint(2, 2 + round(3 * size))):
        name = words.draw("name")
        things.append((name, [words.draw("word") for _ in range(rng.randint(1, most))]))
    return things


def _joined(words, space):
    ids = list(words[0])
    for word in words[1:]:
        ids += space + word
    return ids


class _Words(NamedTuple):
    """A source of the names and words of a drill."""

    rng: object
    tokenizer: object
    pool: list     # ids that no word has used yet
    drawn: set     # real words that were drawn
    is_real: bool  # real words; else random pieces
    several: bool  # random words have one to three pieces; else one

    def draw(self, kind):
        """The ids of a new "name", "word" or "other" word; only fillers come twice."""
        rng = self.rng
        if not self.is_real:
            length = rng.choice((1, 1, 2, 3)) if self.several else 1
            return [self.pool.pop() for _ in range(length)]
        if kind == "other" and rng.random() < 0.5:
            return _within(self.tokenizer, rng.choice(FILLERS))
        verb = ""
        if kind == "name" and rng.random() < 0.7:
            verb = f"{rng.choice(VERBS)}_"
        while (new := new_word(rng, 0.3)) in self.drawn or verb + new in TOOLS:
            pass
        self.drawn.add(new)
        return _within(self.tokenizer, verb + new)


def _within(tokenizer, text):
    """Ids of a text as it stands in the middle of a line."""
    return tokenizer.continued(text)[1:]


def _example(ids, counted):
    """An Example in which only the ids at the places `counted` must be predicted."""
    weights = np.zeros(len(ids))
    weights[np.array(counted) - 1] = 1.0
    return as_one_call(np.array(ids), np.append(ids[1:], 0), weights)
