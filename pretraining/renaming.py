"""Documents for the base model from the wording of the tools that are seen, with everything in them renamed.

What people say who want to know how warm it is, the base model learns from the texts of toolbox/wording, as
CodeLLaMA has from the web. No tool, no value and no question stays as it is in the embedded data: words of
the documentation, values and numbers are exchanged for others throughout a conversation, and tools get new
names. What is to be learnt outlives that: which tool the words of a question fit, what a later call takes
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
from toolbox.filters import draw_offered, draw_task
from toolbox.synthesize import SEEN, call_turn, task_turns

DATA = Path(__file__).resolve().parents[1] / "data"

WORD = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d|[A-Z]\d+|[^\W\d_]+|\d+")
SMALL = frozenset("""a an and are as at be by do for from get had has have how i id if in is it its let me my
    no not of off on one or our per s so such t that the their them then they this to up use was we what when
    where which who will with yes you your am pm true false""".split())
CONCEPTS = (0.0, 0.2, 0.5)  # shares of the words of the documentation that are exchanged, by chance
STRANGE = 0.5               # share of the other words of strange questions that are
VALUES = 0.8                # share of the words and numbers of values that are
INVENTED = 0.4              # share of words that nobody knows among the new ones
ASKING = 0.05               # share of questions that lack a value
VERBS = {"get": "fetch read show check find lookup give", "search": "find query list browse",
         "find": "search get locate", "list": "get show name", "count": "get compute number",
         "calculate": "compute get work_out", "convert": "change exchange turn", "book": "reserve take order",
         "send": "write deliver mail", "set": "change adjust put", "add": "sum plus", "sort": "order arrange"}
ENDINGS = ("info", "details", "data", "api", "tool", "v2", "now", "service")


def disguised(rng, wanted=8, strange=False):
    """A Conversation about a few tools: tasks of one to four calls each, `wanted` calls or more, renamed.

    strange: so much is exchanged that only words which a question shares with the documentation tell which
    tool is meant; tasks without such words are left out.
    """
    while True:
        tools, turns = _conversation(rng, wanted, _shares_words if strange else None)
        words, share = _documented(tools), rng.choice(CONCEPTS)
        if strange:
            words, share = sorted({*words, *(word for word in _asked(turns) if rng.random() < STRANGE)}), 1.0
        words = exchanged(rng, words, share) | _new_values(rng, turns)
        names = _new_names(rng, [tool["function"]["name"] for tool in tools], words)
        questions = [turn["content"] for turn in turns if turn["role"] == "user"]
        tools = [_renamed_tool(tool, names, words) for tool in tools]
        turns = [_renamed_turn(turn, names, words) for turn in turns]
        asked = {turn["content"] for turn in turns if turn["role"] == "user"}
        if not asked & (_held_out() | set(questions)) and not set(names.values()) & {*TOOLS} - {*DIALOGUE}:
            return read_item({"conversations": [{"role": "system", "content": json.dumps(tools)}, *turns]})


def _conversation(rng, wanted, fits=None):
    """(schemas of three or four tools and those of every dialogue, turns of several tasks for them).

    fits: a function of a Draft, for tasks to be left out.
    """
    turns, offered, made = [], [], 0
    while made < wanted:
        pool = offered or SEEN
        draft = draw_task(rng, pool, rng.choice(pool), rng.random() < ASKING)
        if draft is None or fits and not fits(draft):
            continue
        offered = offered or [name for name in draw_offered(rng, draft.steps, SEEN) if name not in DIALOGUE]
        made += len(draft.steps) + 1
        turns += task_turns(rng, draft)
    return schemas(rng.sample([*offered, *DIALOGUE], len(offered) + len(DIALOGUE))), turns


@functools.cache
def _held_out():
    """The questions of the held-out files, of which none may be in a document."""
    files = [DATA / f"heldout_{part}.json" for part in ("single", "multi")]
    return {turn["content"] for file in files for item in json.loads(file.read_text(encoding="utf-8"))
            for turn in item["conversations"] if turn["role"] == "user"}


# --------------------------------------------------------------------------------------- what becomes of what

def _documented(tools):
    """The words that document the tools, in alphabetical order, small ones left out."""
    texts = []
    for function in (tool["function"] for tool in tools if tool["function"]["name"] not in DIALOGUE):
        lines = function["parameters"]["properties"]
        texts += [function["name"], function["description"], *lines]
        texts += [line["description"] for line in lines.values()]
    return _words(text.replace("_", " ") for text in texts)


def _asked(turns):
    """The words of the questions, as `_documented`."""
    return _words(turn["content"] for turn in turns if turn["role"] == "user")


def _words(texts):
    return sorted({word.lower() for text in texts for word in WORD.findall(text) if word.isalpha()} - SMALL)


def _shares_words(draft):
    """Whether the question of a Draft has a word of the description of each tool it needs."""
    asked = _stems(draft.question)
    return all(asked & _meaning(step.name) for step in draft.steps)


@functools.cache
def _meaning(name):
    return _stems(schemas([name])[0]["function"]["description"])


def _stems(text):
    return {_stem(word) for word in WORD.findall(text.lower()) if word not in SMALL and word != "get"}


def _new_values(rng, turns):
    """{word or number: another} for a share of those that stand in arguments and results."""
    called = [turn["content"].partition("\n") for turn in turns if turn["role"] == "assistant"]
    texts = [text for name, _, text in called if name not in DIALOGUE]
    texts += [turn["content"] for turn in turns if turn["role"] == "function"]
    words = {word for leaf in scalars([json.loads(text) for text in texts])
             if not isinstance(leaf, bool) and leaf is not None for word in WORD.findall(str(leaf))}
    return exchanged(rng, sorted(word for word in words if word.lower() not in SMALL), VALUES)


def exchanged(rng, words, share):
    """{word: another one of its kind} for a share of some words; no two become the same, in any form.

    rng: a seeded `random.Random`. words: a list without doubles, as `renamed` looks them up: in small letters
    unless they are names.
    """
    made, taken = {}, {_stem(word) for word in words}
    for word in words:
        other = _like(rng, word)
        if rng.random() < share and _stem(other) not in taken:
            made[word] = other
            taken.add(_stem(other))
    return made


def _stem(word):
    return word.lower().removesuffix("s")


def _like(rng, word):
    """Another word, name, code, number, date or time in place of one."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
        return new_date(rng)
    if re.fullmatch(r"\d\d:\d\d", word):
        return new_time(rng)
    if re.fullmatch(r"[A-Z]?\d+|[A-Z]+", word):  # "0" stays, so that no number gains or loses a digit
        return re.sub(r"[1-9]", lambda _: rng.choice("123456789"),
                      re.sub(r"[A-Z]", lambda _: rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), word))
    other = new_word(rng, INVENTED)
    return other.capitalize() if word[0].isupper() else other


def _new_names(rng, names, words):
    """{tool: its new name}: other words, another verb, one word more, or an invented name altogether."""
    verbs = {verb: rng.choice(others.split()) for verb, others in VERBS.items() if rng.random() < 0.6}
    ending, style, made = rng.choice(ENDINGS), rng.random(), {}
    for name in names:
        verb, _, rest = name.partition("_")
        new = renamed(f"{verbs.get(verb, verb)}_{rest}", words)
        if style < 0.2:
            new = f"{pseudoword(rng, 2)}_{pseudoword(rng, 2)}"
        elif style < 0.4 or new in TOOLS:
            new = f"{new}_{ending}"
        made[name] = name if name in DIALOGUE else new
    return made


# ------------------------------------------------------------------------------------------ and then does so

def renamed(text, words):
    """A text with its words exchanged, plural forms and capital letters kept.

    >>> renamed("Which hotels has Oslo? A hotel near 12.50", {"hotel": "fusk", "Oslo": "Bram", "50": "70"})
    'Which fusks has Bram? A fusk near 12.70'
    """
    def other(match):
        word = match[0]
        if word in words:
            return words[word]
        for stem, ending in ((word.lower(), ""), (_stem(word), "s")):
            if stem in words and stem + ending == word.lower():
                new = words[stem] + ending
                return new.capitalize() if word[0].isupper() else new
        return word
    return WORD.sub(other, text)


def _renamed_value(value, words):
    """A JSON value with the words exchanged in its texts, its keys and its numbers."""
    if isinstance(value, dict):
        return {renamed(key, words): _renamed_value(member, words) for key, member in value.items()}
    if isinstance(value, list):
        return [_renamed_value(member, words) for member in value]
    if isinstance(value, str):
        return renamed(value, words)
    if isinstance(value, bool) or value is None:
        return value
    return json.loads(renamed(json.dumps(value), words))


def _renamed_tool(schema, names, words):
    function = schema["function"]
    if function["name"] in DIALOGUE:
        return schema
    parameters = function["parameters"]
    return {"type": "function", "function": {
        "name": names[function["name"]], "description": renamed(function["description"], words),
        "parameters": {**parameters, "required": [renamed(key, words) for key in parameters["required"]],
                       "properties": {
                           renamed(key, words): {**line, "description": renamed(line["description"], words)}
                           for key, line in parameters["properties"].items()}}}}


def _renamed_turn(turn, names, words):
    if turn["role"] == "user":
        return {**turn, "content": renamed(turn["content"], words)}
    if turn["role"] == "function":
        result = _renamed_value(json.loads(turn["content"]), words)
        return {**turn, "content": json.dumps(result, ensure_ascii=False)}
    name, _, arguments = turn["content"].partition("\n")
    arguments = {key if name in DIALOGUE else renamed(key, words): _renamed_value(value, words)
                 for key, value in json.loads(arguments).items()}
    return call_turn(names[name], arguments)
