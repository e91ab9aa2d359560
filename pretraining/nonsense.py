"""Drills of choosing in whole conversations: tools and questions share words that mean nothing.

A base model that had learnt the short drills of pretraining/drills.py by heart still chose by
chance in conversations with exchanged words. It matched a few words between fixed lines, but not
within signatures, sentences and values. The conversations here lead from the one to the other, in
all degrees. Their words are from the tables of pretraining/vocabulary.py, or invented, or the
start of one word with the end of another, so that pieces of all kinds come to stand for words.
"""

import json
import re
from typing import NamedTuple

from data.tools import read_tools, write_call
from data.turns import Conversation, Turn
from pretraining.documents import JSON_TYPES, make_value, plural
from pretraining.drills import FILLERS, VERBS
from pretraining.vocabulary import (
    ADJECTIVES,
    ASIDES,
    FRAMES,
    NEXT,
    NOUNS,
    QUESTIONS,
    pseudoword,
)
from toolbox.execute import DIALOGUE, TOOLS, schemas
from toolbox.questions import as_text

SMALL = (*FILLERS, "all", "from", "on", "at", "and", "which", "how", "do", "me", "tell", "when",
         "by", "many", "my", "get", "can", "you")
KINDS = ("word", "name", "integer", "number", "id", "words", "date")


def _known_words():
    """The words of three letters or more in the tables, in alphabetical order."""
    words = {*ADJECTIVES}
    for noun, others in NOUNS.items():
        for text in (noun, *others):
            words.update(text.split())
    return sorted(word for word in words if re.fullmatch("[a-z]{3,}", word))


WORDS = _known_words()


class Nonsense(NamedTuple):
    """A tool without a meaning."""
    name: str
    words: list[str]        # the words that describe it
    kinds: dict[str, str]   # parameter -> kind of its values


def nonsense_conversation(rng, difficulty, requests=8):
    """A Conversation with `requests` requests or a few more.

    A request holds one to three of the words of its tool. difficulty: 0 for bare words and tools
    without parameters; 1 for what looks like a document. Such a conversation has more words with
    small ones between them, up to three parameters whose values the question gives, names that
    begin with the same words, the tools of every dialogue, results, and up to three requests in a
    question. rng: a seeded `random.Random`.
    """
    words = _NewWords(rng)
    tools = _draw_tools(rng, difficulty, words)
    offered = [_schema(rng, tool, difficulty, words) for tool in tools]
    if rng.random() < 0.5 * difficulty:
        offered += schemas(DIALOGUE)
        rng.shuffle(offered)
    turns = [Turn("system", "")]
    while requests > 0:
        count = 1 + sum(rng.random() < 0.3 * difficulty for _ in range(2))
        requests -= count
        calls = []
        for tool in rng.choices(tools, k=count):
            arguments = {key: make_value(rng, kind) for key, kind in tool.kinds.items()}
            calls.append((tool, arguments))
        turns.append(Turn("user", _question(rng, calls, difficulty, words)))
        for tool, arguments in calls:
            call = write_call(tool.name, arguments)
            turns.append(Turn("assistant", call, tool.name, arguments))
            if len(calls) > 1 or rng.random() < difficulty:
                key = words.draw()
                turns.append(Turn("function", json.dumps({key: make_value(rng, "word")})))
    return Conversation("", read_tools(offered), tuple(turns))


class _NewWords:
    """A source of words that draws no word twice."""

    def __init__(self, rng):
        self.rng = rng
        self.drawn = set()

    def draw(self):
        """A new word."""
        while (word := _draw_word(self.rng)) in self.drawn:
            pass
        self.drawn.add(word)
        return word


def _draw_word(rng):
    """A known word, an invented one, or the start of one known word with the end of another."""
    origin = rng.random()
    if origin < 0.5:
        return rng.choice(WORDS)
    if origin < 0.75:
        return pseudoword(rng)
    start = rng.choice(WORDS)
    end = rng.choice(WORDS)
    return start[:rng.randint(2, len(start) - 1)] + end[rng.randint(1, len(end) - 2):]


def _draw_tools(rng, difficulty, words):
    """Two to four Nonsense tools with one to five words each.

    The name of about every other tool holds one of its words.
    """
    verbs = rng.sample(VERBS, 2)
    shared = (words.draw(), words.draw())
    tools = []
    for _ in range(rng.randint(2, 4)):
        own = [words.draw() for _ in range(rng.randint(1, 5))]
        name = None
        while name is None or name in TOOLS:
            parts = [rng.choice(verbs), own[0] if rng.random() < 0.5 else words.draw()]
            if rng.random() < 0.4 * difficulty:
                parts.insert(1, rng.choice(shared))
            name = "_".join(parts)
        kinds = {}
        for _ in range(rng.randint(0, round(3 * difficulty))):
            key = words.draw()
            kinds[key] = rng.choice(KINDS)
        tools.append(Nonsense(name, own, kinds))
    return tools


def _schema(rng, tool, difficulty, words):
    meaning = _phrase(rng, tool.words, 0.5 + 0.5 * difficulty)
    description = rng.choice((f"Get {meaning}.", f"{meaning.capitalize()}."))
    properties = {}
    for key, kind in tool.kinds.items():
        word = rng.choice((key, words.draw()))
        properties[key] = {"type": JSON_TYPES.get(kind, "string"),
                           "description": _phrase(rng, [word], difficulty)}
    return {"type": "function", "function": {
        "name": tool.name, "description": description,
        "parameters": {"type": "object", "required": list(tool.kinds), "properties": properties}}}


def _phrase(rng, words, difficulty):
    """The words in their order, with small words before them: at difficulty 1 as many as words."""
    parts = []
    for word in words:
        while rng.random() < 0.5 * difficulty:
            parts.append(rng.choice(SMALL))
        parts.append(word)
    return " ".join(parts)


def _question(rng, calls, difficulty, words):
    """A question that asks for one to three calls, in their order, at times with a distractor."""
    texts = []
    for tool, arguments in calls:
        mentioned = _mentioned(rng, tool.words, arguments, difficulty, words)
        text = _phrase(rng, mentioned, difficulty)
        if texts or rng.random() < difficulty:
            text = rng.choice(NEXT if texts else (*FRAMES, *QUESTIONS)).format(text)
            text = text[0].upper() + text[1:]
        texts.append(text)
    if rng.random() < 0.2 * difficulty:
        template = rng.choice(ASIDES)
        texts.append(template.format(words.draw().capitalize()))
    return " ".join(texts)


def _mentioned(rng, own, arguments, difficulty, words):
    """One to three of a tool's own words, up to four others, and the values, in random order."""
    said = []
    for word in rng.sample(own, rng.randint(1, min(3, len(own)))):
        said.append(plural(word) if rng.random() < 0.1 * difficulty else word)
    said += [words.draw() for _ in range(rng.randint(0, round(4 * difficulty)))]
    for key, argument in arguments.items():
        said.append(rng.choice(("", f"{key} ")) + as_text(argument))
    rng.shuffle(said)
    return said
