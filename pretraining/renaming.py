"""Conversations about the seen tools of toolbox/, with everything in them renamed.

The base model learns from the texts of toolbox/wording what people say when they want to know how
warm it is, as CodeLLaMA has learnt it from the web. No tool, no value and no question stays as it
is in the embedded data. Other words, values and numbers take the place of those in the
documentation, the same ones throughout a conversation, and the tools get new names. What the
model shall learn outlives that: which tool the words of a question fit, what a later call takes
from an earlier result, where a value is copied from.
"""

import functools
import json
import re
from pathlib import Path

from data.trajectories import read_item
from pretraining.vocabulary import new_date, new_time, new_word, pseudoword
from toolbox.chains import scalars
from toolbox.execute import DIALOGUE, TOOLS, schemas
from toolbox.filters import Questions, draw_offered, draw_task
from toolbox.no_tool import KINDS, draw_unmet
from toolbox.synthesize import SEEN, call_turn, task_turns

DATA = Path(__file__).resolve().parents[1] / "data"

WORD = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d|[A-Z]\d+|[^\W\d_]+|\d+")
SMALL = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "do", "for", "from", "get", "had", "has",
    "have", "how", "i", "id", "if", "in", "is", "it", "its", "let", "me", "my", "no", "not", "of",
    "off", "on", "one", "or", "our", "per", "s", "so", "such", "t", "that", "the", "their",
    "them", "then", "they", "this", "to", "up", "use", "was", "we", "what", "when", "where",
    "which", "who", "will", "with", "yes", "you", "your", "am", "pm", "true", "false"))
# Probabilities:
DOCUMENTATION_SHARES = (0.0, 0.2, 0.5)  # a word of the documentation is replaced; one is drawn
QUESTION_SHARE = 0.5  # with `only_shared_words`, another word of a question is replaced
VALUE_SHARE = 0.8     # a word or number of a value is replaced
INVENTED = 0.4        # the word that takes its place is one that nobody knows
ASKING_SHARE = 0.05   # a question lacks a value
VERBS = {"get": "fetch read show check find lookup give", "search": "find query list browse",
         "find": "search get locate", "list": "get show name", "count": "get compute number",
         "calculate": "compute get work_out", "convert": "change exchange turn",
         "book": "reserve take order", "send": "write deliver mail", "set": "change adjust put",
         "add": "sum plus", "sort": "order arrange"}
ENDINGS = ("info", "details", "data", "api", "tool", "v2", "now", "service")


def renamed_conversation(rng, wanted=8, only_shared_words=False, no_tool=0.0):
    """A Conversation of several tasks about a few tools, renamed, with `wanted` calls or more.

    only_shared_words: so many words are replaced that only a word of the question which stands in a
    tool's description, too, tells which tool is meant; tasks without such words are left out.
    no_tool: before a task, with this probability, something is said that no tool fits
    (toolbox/no_tool.py). rng: a seeded `random.Random`.
    """
    while True:
        tools, turns = _draw_conversation(
            rng, wanted, _shares_words if only_shared_words else None, no_tool)
        words = _words_of_tools(tools)
        share = rng.choice(DOCUMENTATION_SHARES)
        if only_shared_words:
            others = [word for word in _words_of_questions(turns) if rng.random() < QUESTION_SHARE]
            words = sorted({*words, *others})
            share = 1.0
        new_words = draw_replacements(rng, words, share) | _replacements_in_values(rng, turns)
        names = _new_names(rng, [tool["function"]["name"] for tool in tools], new_words)
        new_tools = [_rename_tool(tool, names, new_words) for tool in tools]
        new_turns = [_rename_turn(turn, names, new_words) for turn in turns]
        if _is_renamed(turns, new_turns, names):
            system = {"role": "system", "content": json.dumps(new_tools)}
            return read_item({"conversations": [system, *new_turns]})


def _is_renamed(turns, new_turns, names):
    """Whether no question is an old or a held-out one, and no tool has a name of the toolbox.

    What nobody asks a tool for, such as "hello", may stay as it is.
    """
    asked = _questions(new_turns)
    old = {turn["content"] for turn in turns if turn["role"] == "user" and not turn.get("chat")}
    tools = set(names.values()) - {*DIALOGUE}
    return not asked & (_held_out_questions() | old) and not tools & {*TOOLS}


def _draw_conversation(rng, wanted, fits=None, no_tool=0.0):
    """(schemas of three or four tools and those of every dialogue, turns of tasks for them).

    fits: a function of a Draft, falsy for tasks to be left out. no_tool: see
    `renamed_conversation`.
    """
    turns = []
    offered = []
    made = 0
    while made < wanted:
        pool = offered or SEEN
        draft = draw_task(rng, pool, rng.choice(pool), rng.random() < ASKING_SHARE)
        if draft is None or fits and not fits(draft):
            continue
        if not offered:
            offered = [name for name in draw_offered(rng, draft.steps, SEEN)
                       if name not in DIALOGUE]
        made += len(draft.steps) + 1
        if no_tool and rng.random() < no_tool:
            turns += _no_tool_turns(rng, offered)
        turns += task_turns(rng, draft)
    names = [*offered, *DIALOGUE]
    return schemas(rng.sample(names, len(names))), turns


def _no_tool_turns(rng, offered):
    """What a user says that none of the offered tools fits, and the call that answers it."""
    kinds = list(KINDS)
    unmet = draw_unmet(rng, rng.choices(kinds, KINDS.values())[0], SEEN, Questions())
    while unmet.needed in offered:
        unmet = draw_unmet(rng, unmet.kind, SEEN, Questions())
    question = {"role": "user", "content": unmet.question, "chat": unmet.needed is None}
    return [question, call_turn(unmet.name, unmet.arguments)]


def _questions(turns):
    """The set of what the user says."""
    return {turn["content"] for turn in turns if turn["role"] == "user"}


@functools.cache
def _held_out_questions():
    """The questions of the held-out files; no document may hold one of them."""
    found = set()
    for part in ("single", "multi", "none"):
        text = (DATA / f"heldout_{part}.json").read_text(encoding="utf-8")
        for item in json.loads(text):
            found |= _questions(item["conversations"])
    return found


# --------------------------------------------------------------------- what takes the place of what

def _words_of_tools(tools):
    """The words that document the tools, in alphabetical order, without small words."""
    texts = []
    for tool in tools:
        function = tool["function"]
        if function["name"] not in DIALOGUE:
            lines = function["parameters"]["properties"]
            texts += [function["name"], function["description"], *lines]
            texts += [line["description"] for line in lines.values()]
    return _words(text.replace("_", " ") for text in texts)


def _words_of_questions(turns):
    """The words of the questions, in alphabetical order, without small words."""
    return _words(_questions(turns))


def _words(texts):
    found = set()
    for text in texts:
        found.update(word.lower() for word in WORD.findall(text) if word.isalpha())
    return sorted(found - SMALL)


def _shares_words(draft):
    """Whether the question of a Draft has a word of the description of each tool it needs."""
    asked = _stems(draft.question)
    return all(asked & _stems_of_description(step.name) for step in draft.steps)


@functools.cache
def _stems_of_description(name):
    return _stems(schemas([name])[0]["function"]["description"])


def _stems(text):
    return {_stem(word) for word in WORD.findall(text.lower())
            if word not in SMALL and word != "get"}


def _replacements_in_values(rng, turns):
    """{word or number: its replacement} for a share of those in arguments and results."""
    texts = []
    for turn in turns:
        if turn["role"] == "assistant":
            name, _, arguments = turn["content"].partition("\n")
            if name not in DIALOGUE:
                texts.append(arguments)
        elif turn["role"] == "function":
            texts.append(turn["content"])
    words = set()
    for scalar in scalars([json.loads(text) for text in texts]):
        if not isinstance(scalar, bool) and scalar is not None:
            words.update(WORD.findall(str(scalar)))
    known = sorted(word for word in words if word.lower() not in SMALL)
    return draw_replacements(rng, known, VALUE_SHARE)


def draw_replacements(rng, words, share):
    """{word: its replacement, of the same kind} for a share of some words.

    No two words become the same, in singular or plural. rng: a seeded `random.Random`. words: a
    list without doubles, as `replace_words` looks them up: in small letters unless they are
    names.
    """
    made = {}
    taken = {_stem(word) for word in words}
    for word in words:
        other = _draw_like(rng, word)
        if rng.random() < share and _stem(other) not in taken:
            made[word] = other
            taken.add(_stem(other))
    return made


def _stem(word):
    return word.lower().removesuffix("s")


def _draw_like(rng, word):
    """A word, name, code, number, date or time, as `word` is one."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
        return new_date(rng)
    if re.fullmatch(r"\d\d:\d\d", word):
        return new_time(rng)
    if re.fullmatch(r"[A-Z]?\d+|[A-Z]+", word):
        other = re.sub(r"[A-Z]", lambda _: rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), word)
        # "0" stays, so that no number gains or loses a digit
        return re.sub(r"[1-9]", lambda _: rng.choice("123456789"), other)
    other = new_word(rng, INVENTED)
    return other.capitalize() if word[0].isupper() else other


def _new_names(rng, names, words):
    """{tool: its new name}: other words, another verb, one word more, or an invented name."""
    verbs = {verb: rng.choice(others.split()) for verb, others in VERBS.items()
             if rng.random() < 0.6}
    ending = rng.choice(ENDINGS)
    style = rng.random()
    made = {}
    for name in names:
        verb, _, rest = name.partition("_")
        new = replace_words(f"{verbs.get(verb, verb)}_{rest}", words)
        if style < 0.2:
            new = f"{pseudoword(rng, 2)}_{pseudoword(rng, 2)}"
        elif style < 0.4 or new in TOOLS:
            new = f"{new}_{ending}"
        made[name] = name if name in DIALOGUE else new
    return made


# ------------------------------------------------------------------------------- and the replacing

def replace_words(text, words):
    """A text with its words replaced; plural forms and capital letters stay.

    >>> replace_words("Which hotels has Oslo? A hotel near 12.50",
    ...               {"hotel": "fusk", "Oslo": "Bram", "50": "70"})
    'Which fusks has Bram? A fusk near 12.70'
    """
    return WORD.sub(lambda match: _replacement(match[0], words), text)


def _replacement(word, words):
    if word in words:
        return words[word]
    for stem, ending in ((word.lower(), ""), (_stem(word), "s")):
        if stem in words and stem + ending == word.lower():
            new = words[stem] + ending
            return new.capitalize() if word[0].isupper() else new
    return word


def _replace_in_value(value, words):
    """A JSON value with the words of its texts, its keys and its numbers replaced."""
    if isinstance(value, dict):
        return {replace_words(key, words): _replace_in_value(member, words)
                for key, member in value.items()}
    if isinstance(value, list):
        return [_replace_in_value(member, words) for member in value]
    if isinstance(value, str):
        return replace_words(value, words)
    if isinstance(value, bool) or value is None:
        return value
    return json.loads(replace_words(json.dumps(value), words))


def _rename_tool(schema, names, words):
    function = schema["function"]
    if function["name"] in DIALOGUE:
        return schema
    parameters = function["parameters"]
    properties = {}
    for key, line in parameters["properties"].items():
        description = replace_words(line["description"], words)
        properties[replace_words(key, words)] = {**line, "description": description}
    required = [replace_words(key, words) for key in parameters["required"]]
    return {"type": "function", "function": {
        "name": names[function["name"]],
        "description": replace_words(function["description"], words),
        "parameters": {**parameters, "required": required, "properties": properties}}}


def _rename_turn(turn, names, words):
    if turn["role"] == "user":
        return {**turn, "content": replace_words(turn["content"], words)}
    if turn["role"] == "function":
        result = _replace_in_value(json.loads(turn["content"]), words)
        return {**turn, "content": json.dumps(result, ensure_ascii=False)}
    name, _, text = turn["content"].partition("\n")
    arguments = {}
    for key, value in json.loads(text).items():
        new_key = key if name in DIALOGUE else replace_words(key, words)
        arguments[new_key] = _replace_in_value(value, words)
    return call_turn(names[name], arguments)
