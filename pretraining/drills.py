"""Drills for the base model: the two skills that documents teach a small model too slowly to be learnt.

Copying: after A came B, here is A again, so B. Choosing: of several things described above, the words of a
question fit one, so its name. In documents one token in a hundred depends on the second, and a model of four
blocks that had read 33M tokens of them still chose by chance wherever the words were not in the name itself.
Drills ask for nothing else. Those of choosing start from bare pieces and end as questions about tools.
"""

import numpy as np

from examples import as_one_call
from pretraining.vocabulary import new_word
from toolbox.execute import TOOLS

# What stands around a name, a description, a question and an answer in a conversation.
TOOL, QUESTION, ANSWER = "Function:", "User:", "Assistant:"
LINES = {"def": "\ndef ", "opens": '():\n    """\n    Get ', "closes": '.\n\n    Args:\n    """\n\n',
         "space": " ", "asks": " ", "ends": "\n", "says": " ", "brackets": "()", "next": "\n"}
VERBS = ("get", "find", "check", "search", "list", "show", "set")  # with which the names of many tools start
FILLERS = ("the", "a", "of", "in", "for", "what", "is", "please", "I", "want", "with", "to")


def copying(rng, pieces, longest):
    """At most `longest` random pieces, said over and over; only repetitions can be foreseen, and count."""
    once = rng.choices(pieces, k=rng.randint(3, longest))
    length = max(40, 3 * longest)
    ids = (once * length)[:length]
    return _example(ids, range(len(once), length))


def choosing(rng, pieces, tokenizer, grown, asks=12):
    """A few things, each with a name and some words; then some of the words of one, with others among them,
    and its name: `asks` times. Only those names count.

    grown, from 0 to 1: in the first third two things with one word each become two to five with up to five,
    all single pieces side by side. In the second the lines of a conversation's template come in by chance,
    and names and words of several pieces; in the last, more and more drills are of real words. pieces: ids to
    draw from.
    """
    size, level, real = (min(max(3 * grown - third, 0.0), 1.0) for third in range(3))
    line = {key: _within(tokenizer, text) if rng.random() < level else [] for key, text in LINES.items()}
    tool, question, answer = (_within(tokenizer, text) for text in (TOOL, QUESTION, ANSWER))
    word = _words(rng, pieces, tokenizer, rng.random() < real, rng.random() < level)
    most = 1 + round(4 * size)

    def spaced(words):
        return words[0] + [i for other in words[1:] for i in line["space"] + other]

    things = [(word("name"), [word("word") for _ in range(rng.randint(1, most))])
              for _ in range(rng.randint(2, 2 + round(3 * size)))]
    ids, counted = [], []
    for name, words in things:
        ids += tool + line["def"] + name + line["opens"] + spaced(words) + line["closes"]
    for _ in range(asks):
        name, words = rng.choice(things)
        asked = rng.sample(words, rng.randint(1, min(len(words), 3)))
        asked += [word("other") for _ in range(rng.randint(0, 2))]
        rng.shuffle(asked)
        ids += question + line["asks"] + spaced(asked) + line["ends"] + answer + line["says"]
        counted += range(len(ids), len(ids) + len(name))
        ids += name + line["brackets"] + line["next"]
    return _example(ids, counted)


def _words(rng, pieces, tokenizer, real, several):
    """A function that draws the ids of a name, a word or an other one; none but fillers comes twice."""
    pool, drawn = rng.sample(pieces, 180), set()

    def draw(kind):
        if not real:
            return [pool.pop() for _ in range(rng.choice((1, 1, 2, 3)) if several else 1)]
        if kind == "other" and rng.random() < 0.5:
            return _within(tokenizer, rng.choice(FILLERS))
        verb = f"{rng.choice(VERBS)}_" if kind == "name" and rng.random() < 0.7 else ""
        while (new := new_word(rng, 0.3)) in drawn or verb + new in TOOLS:
            pass
        drawn.add(new)
        return _within(tokenizer, verb + new)

    return draw


def _within(tokenizer, text):
    """Ids of a text as it stands in the middle of a line."""
    return tokenizer.continued(text)[1:]


def _example(ids, counted):
    """An Example in which predicting the ids at the places `counted` matters, and nothing else."""
    weights = np.zeros(len(ids))
    weights[np.array(counted) - 1] = 1.0
    return as_one_call(np.array(ids), np.append(ids[1:], 0), weights)
