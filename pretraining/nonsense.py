"""Drills of choosing in whole conversations: tools and questions that share words, and mean nothing.

A base model that had learnt the short drills of pretraining/drills.py by heart still chose by chance in
conversations whose words were all exchanged: it matched a few words between fixed lines, and not within
signatures, sentences and values. Here conversations of all degrees lead from the one to the other. Words come
from the tables, are invented, or are put together from the start of one and the end of another, so that
pieces of all kinds come to stand for words.
"""

import json
import re
from typing import NamedTuple

from data.tools import read_tools, write_call
from data.trajectories import Conversation, Turn
from pretraining.documents import JSON_TYPES, plural, value
from pretraining.drills import FILLERS, VERBS
from pretraining.vocabulary import ADJECTIVES, ASIDES, FRAMES, NEXT, NOUNS, QUESTIONS, pseudoword
from toolbox.execute import DIALOGUE, TOOLS, schemas
from toolbox.questions import as_text

SMALL = (*FILLERS, *"all from on at and which how do me tell when by many my get can you".split())
KINDS = ("word", "name", "integer", "number", "id", "words", "date")
SAID = [word for noun, others in NOUNS.items() for text in (noun, *others) for word in text.split()]
WORDS = sorted({word for word in (*SAID, *ADJECTIVES) if re.fullmatch("[a-z]{3,}", word)})


class Nonsense(NamedTuple):
    """A tool without a meaning: its name, the words that describe it, {parameter: kind of its values}."""
    name: str
    words: list[str]
    kinds: dict[str, str]


def nonsense(rng, grown, asks=8):
    """A Conversation with `asks` requests or a few more; each holds one to three of its tool's words.

    grown: 0 for bare words and tools without parameters, 1 for what looks like a document: more words with
    small ones between them, up to three parameters with their values in the question, names that begin alike,
    the tools of every dialogue, results, up to three requests in a question. rng: a seeded `random.Random`.
    """
    new = _different_words(rng)
    tools = _tools(rng, grown, new)
    offered = [_schema(rng, tool, grown, new) for tool in tools]
    if rng.random() < 0.5 * grown:
        offered += schemas(DIALOGUE)
        rng.shuffle(offered)
    turns = [Turn("system", "")]
    while asks > 0:
        together = rng.choices(tools, k=1 + sum(rng.random() < 0.3 * grown for _ in range(2)))
        asks -= len(together)
        calls = [(tool, {key: value(rng, kind) for key, kind in tool.kinds.items()}) for tool in together]
        turns.append(Turn("user", _question(rng, calls, grown, new)))
        for tool, arguments in calls:
            turns.append(Turn("assistant", write_call(tool.name, arguments), tool.name, arguments))
            if len(calls) > 1 or rng.random() < grown:
                turns.append(Turn("function", json.dumps({new(): value(rng, "word")})))
    return Conversation("", read_tools(offered), tuple(turns))


def _different_words(rng):
    """A function that draws words, none of them twice."""
    drawn = set()

    def new():
        while (word := _word(rng)) in drawn:
            pass
        drawn.add(word)
        return word

    return new


def _word(rng):
    """A known word, an invented one, or the start of one and the end of another."""
    origin = rng.random()
    if origin < 0.5:
        return rng.choice(WORDS)
    if origin < 0.75:
        return pseudoword(rng)
    start, end = rng.choice(WORDS), rng.choice(WORDS)
    return start[:rng.randint(2, len(start) - 1)] + end[rng.randint(1, len(end) - 2):]


def _tools(rng, grown, new):
    """Two to four tools with one to five words each, one of which is in the name of every other tool."""
    verbs, alike, tools = rng.sample(VERBS, 2), (new(), new()), []
    for _ in range(rng.randint(2, 4)):
        words, name = [new() for _ in range(rng.randint(1, 5))], None
        while name is None or name in TOOLS:
            parts = [rng.choice(verbs), words[0] if rng.random() < 0.5 else new()]
            if rng.random() < 0.4 * grown:
                parts.insert(1, rng.choice(alike))
            name = "_".join(parts)
        kinds = {new(): rng.choice(KINDS) for _ in range(rng.randint(0, round(3 * grown)))}
        tools.append(Nonsense(name, words, kinds))
    return tools


def _schema(rng, tool, grown, new):
    meaning = _phrase(rng, tool.words, 0.5 + 0.5 * grown)
    return {"type": "function", "function": {
        "name": tool.name, "description": rng.choice((f"Get {meaning}.", f"{meaning.capitalize()}.")),
        "parameters": {"type": "object", "required": list(tool.kinds), "properties": {
            key: {"type": JSON_TYPES.get(kind, "string"),
                  "description": _phrase(rng, [rng.choice((key, new()))], grown)}
            for key, kind in tool.kinds.items()}}}}


def _phrase(rng, words, grown):
    """The words in their order, small ones before them: as many as there are words, when all is grown."""
    parts = []
    for word in words:
        while rng.random() < 0.5 * grown:
            parts.append(rng.choice(SMALL))
        parts.append(word)
    return " ".join(parts)


def _question(rng, calls, grown, new):
    """What is asked for by one to three calls, in their order, at times with something beside the point."""
    texts = []
    for tool, arguments in calls:
        text = _phrase(rng, _mentioned(rng, tool.words, arguments, grown, new), grown)
        if texts or rng.random() < grown:
            text = rng.choice(NEXT if texts else (*FRAMES, *QUESTIONS)).format(text)
            text = text[0].upper() + text[1:]
        texts.append(text)
    if rng.random() < 0.2 * grown:
        texts.append(rng.choice(ASIDES).format(new().capitalize()))
    return " ".join(texts)


def _mentioned(rng, words, arguments, grown, new):
    """One to three of the words, up to four others, and the values of the arguments, in any order."""
    said = [plural(word) if rng.random() < 0.1 * grown else word
            for word in rng.sample(words, rng.randint(1, min(3, len(words))))]
    said += [new() for _ in range(rng.randint(0, round(4 * grown)))]
    said += [rng.choice(("", f"{key} ")) + as_text(argument) for key, argument in arguments.items()]
    rng.shuffle(said)
    return said
