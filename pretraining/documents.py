"""Synthetic documents for the base model: made-up tools, requests for them, and the calls.

CodeLLaMA has learnt two things from code and prose that the embedded base model must learn here. A
call copies the name of the tool whose description fits the question; and it copies its values from
the question or from an earlier result. Every document has new tools, put together from the words of
pretraining/vocabulary.py and from invented words, and new values, so that the model cannot learn
them by heart. No tool of `toolbox.execute` is in a document; a share of the documents has the seen
ones under other names (pretraining/renaming.py).

A document is a Conversation of data/turns.py. It has several requests for the same tools, so
that the documentation of the tools, which is most of the tokens, is paid for once.
"""

import json
import random
import re
from typing import NamedTuple

from data.tools import read_tools, write_call
from data.turns import Conversation, Turn
from pretraining.renaming import renamed_conversation
from pretraining.vocabulary import (
    ACTIONS,
    ADJECTIVES,
    ASIDES,
    ASPECTS,
    COLOURS,
    FRAMES,
    LEARN,
    MONTHS,
    NEXT,
    NOUNS,
    PARAMETERS,
    QUESTIONS,
    REFER,
    SEARCHES,
    WEEKDAYS,
    new_date,
    new_time,
    new_word,
    pseudoword,
)
from toolbox.execute import DIALOGUE, TOOLS, schemas
from toolbox.questions import as_text

# Probabilities:
INVENTED = 0.2  # a noun or a parameter is a word that nobody knows
SYNONYM = 0.5   # a request mentions a thing by another word
FREE = 0.3      # a parameter takes values of any kind, and not of the kind that its name says

DESCRIPTIONS = {tool.description for tool in read_tools(schemas(TOOLS))}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ANY = ("name", "word", "words", "integer", "number", "id", "title", "boolean", "list")
JSON_TYPES = {"integer": "integer", "year": "integer", "number": "number", "numbers": "array",
              "list": "array", "boolean": "boolean"}  # the other kinds are strings


# ------------------------------------------------------------------------------------------ values

def make_value(rng, kind):
    """A made-up value of one of the kinds in PARAMETERS of pretraining/vocabulary.py."""
    match kind:
        case "boolean":
            return True
        case "integer":
            return rng.randint(1, 10 ** rng.randint(1, 4))
        case "number":
            fraction = round(rng.uniform(0, 10 ** rng.randint(1, 4)), rng.randint(1, 2))
            return rng.choice((fraction, rng.randint(1, 999)))
        case "year":
            return rng.randint(1900, 2030)
        case "numbers" | "list":
            inner = "integer" if kind == "numbers" else "word"
            return [make_value(rng, inner) for _ in range(rng.randint(2, 4))]
    return _make_text(rng, kind)


def _make_text(rng, kind):
    match kind:
        case "word":
            return new_word(rng, 0.3)
        case "words":
            return f"{new_word(rng, 0.3)} {new_word(rng, 0.3)}"
        case "sentence":
            return " ".join(new_word(rng, 0.2) for _ in range(rng.randint(3, 5)))
        case "name":
            length = rng.choice((1, 1, 2))
            return " ".join(new_word(rng, 0.6).capitalize() for _ in range(length))
        case "title":
            length = rng.choice((1, 2, 3))
            return " ".join(new_word(rng, 0.2).capitalize() for _ in range(length))
        case "letter":
            return rng.choice(LETTERS.lower())
        case "colour":
            return rng.choice(COLOURS)
        case "date":
            return new_date(rng)
        case "time":
            return new_time(rng)
        case "weekday":
            return rng.choice(WEEKDAYS)
        case "month":
            return rng.choice(MONTHS)
        case "id":
            return rng.choice(LETTERS) + str(rng.randint(1, 10 ** rng.randint(1, 3)))
        case "code":
            return "".join(rng.choices(LETTERS, k=rng.randint(2, 4)))
        case "email":
            host = f"{pseudoword(rng, 1)}.{pseudoword(rng, 2)}@"
            return f"{host}{rng.choice(list(NOUNS))}.example"
        case "phone":
            return f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"
    raise ValueError(f"no kind of value {kind!r}")


# ------------------------------------------------------------------------------------------- tools

class MadeUpTool(NamedTuple):
    """A made-up tool: its schema, and what a request for it needs."""
    schema: dict
    noun: str          # the thing that the tool is about
    asks: tuple        # texts with {} for the thing: questions, or what is to be done
    is_question: bool  # whether the texts are questions
    kinds: dict        # parameter -> kind of its values
    main: str          # the parameter that says which thing is meant, or ""


def make_tool(rng, noun):
    """A MadeUpTool: it tells aspects of a thing, searches for such things, or does something."""
    shape = rng.choice(("aspect", "aspect", "aspect", "get", "search", "search",
                        "action", "action"))
    other = _other_word(rng, noun)
    extra = rng.choice((0, 0, 0, 1, 1, 2))
    is_question = shape in ("aspect", "get")
    if is_question:
        name, meaning, asks = _telling(rng, noun, other, shape == "aspect")
    else:
        name, meaning, asks = _doing(rng, noun, other, SEARCHES if shape == "search" else ACTIONS)
        extra = max(extra, 1)
    main = ""
    if is_question or rng.random() < 0.3:
        main = rng.choice((f"{noun}_id", f"{noun}_id", noun, "name", "title", "city", "country",
                           "person"))
    kinds, lines = _parameters(rng, noun, other, main, extra)
    about = ""
    if shape == "search" and rng.random() < 0.5:
        about = rng.choice(list(kinds))
        name += f"_by_{about}"
    if about or (kinds and rng.random() < 0.3):
        plain = (about or rng.choice(list(kinds))).replace("_", " ")
        meaning += rng.choice((" by {}", " with {}", " for a {}", " of one {}")).format(plain)
    schema = _schema(rng, name, meaning, kinds, lines, main)
    return MadeUpTool(schema, noun, asks, is_question, kinds, main)


def _telling(rng, noun, other, single):
    """(name, description, questions) of a tool that tells aspects of a thing; one if `single`."""
    aspects = rng.sample(list(ASPECTS), 1 if single else rng.choice((1, 2, 3)))
    name = f"{rng.choice(('get', 'get', 'get', 'find', 'check'))}_{noun}"
    if single:
        name += f"_{aspects[0]}"
    meaning = f"Get {as_text(['the ' + aspect for aspect in aspects])} of a {other}"
    if single and rng.random() < 0.4:
        # "how much is {}" -> "Get how much a film is"
        indirect = re.sub(r"(.*) (is|has) \{\}$", r"\1 {} \2", rng.choice(ASPECTS[aspects[0]]))
        meaning = f"Get {indirect.format('a ' + other)}"
    return name, meaning, tuple(ask for aspect in aspects for ask in ASPECTS[aspect])


def _doing(rng, noun, other, table):
    """(name, description, requests) of a tool that searches for things, or does something to one.

    table: SEARCHES or ACTIONS.
    """
    verb = rng.choice(list(table))
    if table is SEARCHES:
        start = "Search for" if verb == "search" else verb.capitalize()
        name = f"{verb}_{plural(noun)}"
        meaning = f"{start} {plural(other)}"
    else:
        name = f"{verb}_{noun}"
        meaning = f"{verb.capitalize()} a {other}"
    return name, meaning, tuple(f"{words} {{}}" for words in table[verb])


def _other_word(rng, noun):
    return rng.choice(NOUNS[noun]) if NOUNS.get(noun) and rng.random() < 0.3 else noun


def plural(noun):
    """The plural of a noun.

    >>> [plural(noun) for noun in ("city", "box", "song")]
    ['cities', 'boxes', 'songs']
    """
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(s|x|ch|sh)$", noun) else "s")


def _parameters(rng, noun, other, main, extra):
    """({parameter: kind of values}, {parameter: documentation}) of `main` and `extra` others."""
    kinds = {}
    lines = {}
    if main:
        kind, line, _ = PARAMETERS.get(main, ("id" if main.endswith("_id") else "title", "", ()))
        kinds[main] = kind
        own = main.removeprefix(noun).strip("_") or "name"
        lines[main] = rng.choice((f"{own} of the {other}", line or main.replace("_", " ")))
    while len(kinds) < extra + bool(main):
        key = rng.choice(list(PARAMETERS))
        kind, line, _ = PARAMETERS[key]
        if rng.random() < INVENTED:
            key = rng.choice((pseudoword(rng, 2), rng.choice(list(NOUNS)),
                              f"{rng.choice(list(NOUNS))}_{key}"))
            line = rng.choice((f"the {key}", f"{key} of the {other}",
                               f"{rng.choice(ADJECTIVES)} {key}"))
        if rng.random() < FREE:
            kind = rng.choice(ANY)
        if key not in kinds:
            kinds[key] = kind
            lines[key] = line.replace("_", " ")
    return kinds, lines


def _schema(rng, name, meaning, kinds, lines, main):
    optional = [key for key in kinds
                if key != main and (kinds[key] == "boolean" or rng.random() < 0.2)]
    required = [key for key in kinds if key not in optional] or list(kinds)[:1]
    required_first = sorted(kinds, key=lambda key: key not in required)
    properties = {key: {"type": JSON_TYPES.get(kinds[key], "string"), "description": lines[key]}
                  for key in required_first}
    return {"type": "function", "function": {
        "name": name, "description": f"{meaning}.",
        "parameters": {"type": "object", "required": required, "properties": properties}}}


def make_tools(rng, size):
    """`size` MadeUpTools with different names; half of them are about the thing of another one."""
    chosen = {}
    while len(chosen) < size:
        if chosen and rng.random() < 0.5:
            noun = rng.choice([made.noun for made in chosen.values()])
        else:
            noun = pseudoword(rng, 2) if rng.random() < INVENTED else rng.choice(list(NOUNS))
        made = make_tool(rng, noun)
        function = made.schema["function"]
        if (function["name"] not in {*TOOLS, *chosen}
                and function["description"] not in DESCRIPTIONS):
            chosen[function["name"]] = made
    return rng.sample(list(chosen.values()), size)


# ---------------------------------------------------------------------------------------- requests

class Request(NamedTuple):
    """A request for a made-up tool, with the call and the result."""
    alone: str      # its text on its own
    following: str  # its text after another request
    name: str
    arguments: dict
    result: dict


def make_request(rng, made, before):
    """A Request for a MadeUpTool.

    before: the Request before it, or None. A value can move into the result of that one; this
    request then only refers to it ("that city").
    """
    function = made.schema["function"]
    arguments = {}
    mentions = {}  # parameter -> how the text mentions its value
    for key in function["parameters"]["properties"]:
        if key not in function["parameters"]["required"] and rng.random() < 0.6:
            continue
        arguments[key] = make_value(rng, made.kinds[key])
        plain = key.removesuffix("_id").replace("_", " ")
        if before and isinstance(arguments[key], str) and rng.random() < 0.4:
            before.result[key] = arguments[key]
            mentions[key] = rng.choice(REFER).format(plain)
        else:
            mentions[key] = as_text(arguments[key])
    types = [type(chosen) for chosen in arguments.values()]
    parts = [_cue(rng, key, made.kinds[key], mentions[key], types.count(type(arguments[key])) == 1)
             for key in arguments if key != made.main]
    rng.shuffle(parts)
    thing = _thing(rng, made, mentions.get(made.main, ""))
    text = " ".join([rng.choice(made.asks).format(thing), *parts])
    alone = rng.choice(QUESTIONS if made.is_question else FRAMES).format(text)
    frame = rng.choice(NEXT)
    following = frame.format(f"{rng.choice(LEARN)} {text}" if made.is_question else text)
    return Request(alone, following, function["name"], arguments, _make_result(rng))


def _thing(rng, made, main):
    """How a request mentions the thing that its tool is about; main: which one, "" for any."""
    noun = made.noun
    if NOUNS.get(noun) and rng.random() < SYNONYM:
        noun = rng.choice(NOUNS[noun])
    if not main:
        return rng.choice((f"a {noun}", f"the {noun}", plural(noun), f"some {plural(noun)}", noun))
    if main.startswith(("that ", "this ", "the ")):
        return main
    return rng.choice((f"the {noun} {main}", f"{noun} {main}", f"{main}", f"{noun} {main}"))


def _cue(rng, key, kind, mention, alone):
    """How a request mentions one argument: by the meaning of the parameter's name, or by the name.

    alone: no other argument has its type; only then is a value clear without a word beside it.
    """
    plain = key.replace("_", " ")
    if kind == "boolean":
        return rng.choice((f"with {plain}", f"and {plain} please", f"and I want {plain}"))
    _, _, cues = PARAMETERS.get(key, ("", "", ()))
    cues = [cue for cue in cues if alone or cue != "{}"]
    if not cues or rng.random() < 0.15:
        cues = ["with {plain} {}", "{plain} {}", "({plain}: {})", "where the {plain} is {}"]
        if alone:
            cues += ["for {}", "of {}", "in {}", "with {}"]
    return rng.choice(cues).replace("{plain}", plain).format(mention)


def join_requests(rng, texts):
    """The texts of requests -> one question, at times with a distractor."""
    whole = " ".join(text[0].upper() + text[1:] for text in texts)
    if rng.random() < 0.2:
        template = rng.choice(ASIDES)
        aside = template.format(make_value(rng, rng.choice(("name", "title", "word"))))
        whole = rng.choice((f"{whole} {aside}", f"{aside[0].upper()}{aside[1:]} {whole}"))
    return whole


def _make_result(rng):
    result = {}
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice((*PARAMETERS, *NOUNS))
        result[key] = make_value(rng, rng.choice(("name", "title", "integer", "number")))
    return result


# --------------------------------------------------------------------------------------- documents

def random_documents(seed, count, share=0.0):
    """`count` documents; they depend on the seed and on the share of renamed tools alone."""
    rng = random.Random(seed)
    return [document(rng, share) for _ in range(count)]


def document(rng, share, no_tool=0.0):
    """A Conversation about renamed tools of the toolbox, with probability `share`, or made-up ones.

    With a share of 0 the choice draws no number: all numbers go into the made-up tools. no_tool:
    see `renamed_conversation`.
    """
    if share and rng.random() < share:
        return renamed_conversation(rng, no_tool=no_tool)
    return made_up_conversation(rng)


def made_up_conversation(rng, requests=8):
    """A Conversation with `requests` requests for a few MadeUpTools, one to three in a question."""
    made = make_tools(rng, rng.randint(2, 5))
    offered = [one.schema for one in made]
    if rng.random() < 0.3:
        offered += schemas(DIALOGUE)
        rng.shuffle(offered)
    wanted = []
    for _ in range(requests):
        wanted.append(make_request(rng, rng.choice(made), wanted[-1] if wanted else None))
    turns = [Turn("system", "")]
    while wanted:
        count = min(len(wanted), rng.choice((1, 1, 1, 2, 3)))
        together = wanted[:count]
        wanted = wanted[count:]
        texts = [together[0].alone, *(one.following for one in together[1:])]
        turns.append(Turn("user", join_requests(rng, texts)))
        for one in together:
            call = write_call(one.name, one.arguments)
            turns.append(Turn("assistant", call, one.name, one.arguments))
            turns.append(Turn("function", json.dumps(one.result, ensure_ascii=False)))
        if rng.random() < 0.3 and len(offered) > len(made):
            turns.append(_finish(rng, together[-1].result))
    return Conversation("", read_tools(offered), tuple(turns))


def _finish(rng, result):
    key = rng.choice(list(result))
    template = rng.choice(("The {} is {}.", "It has the {} {}.", "{}: {}."))
    arguments = {"answer": template.format(key.replace("_", " "), as_text(result[key]))}
    return Turn("assistant", write_call("finish", arguments), "finish", arguments)
