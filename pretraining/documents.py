"""Synthetic documents for the base model: made-up tools, what people ask of them, and the calls.

What CodeLLaMA has learnt from code and prose, the embedded base model must learn from these: that a call
copies the name of the tool whose documentation fits the question, and its values from the question or an
earlier result. Tools are put together from the words of pretraining/vocabulary.py and from invented ones, new in every
document, and values are made up, so that nothing can be learnt by heart. No tool of `toolbox.execute` is here,
but in a share of the documents some that are seen are there by other names (pretraining/renaming.py).

A document is a conversation in the form of data/trajectories.py with several requests about the same tools,
so that the documentation, most of the tokens, is paid for once.
"""

import json
import random
import re
from typing import NamedTuple

from data.tools import read_tools, write_call
from data.trajectories import Conversation, Turn
from pretraining.renaming import disguised
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

INVENTED = 0.2  # share of words that nobody knows, among nouns and parameters
SYNONYM = 0.5   # share of mentions of a thing by another word
FREE = 0.3      # share of values of any kind, whatever their parameter's name says
MEANINGS = {tool.description for tool in read_tools(schemas(TOOLS))}
ANY = ("name", "word", "words", "integer", "number", "id", "title", "boolean", "list")
JSON_TYPES = {"integer": "integer", "year": "integer", "number": "number", "numbers": "array",
              "list": "array", "boolean": "boolean"}  # others are strings


# ---------------------------------------------------------------------------------------------------- values

def value(rng, kind):
    """A made-up value of one of the kinds of pretraining/vocabulary.py."""
    if kind == "integer":
        return rng.randint(1, 10 ** rng.randint(1, 4))
    if kind == "number":
        fraction = round(rng.uniform(0, 10 ** rng.randint(1, 4)), rng.randint(1, 2))
        return rng.choice((fraction, rng.randint(1, 999)))
    if kind in ("numbers", "list"):
        return [value(rng, "integer" if kind == "numbers" else "word") for _ in range(rng.randint(2, 4))]
    made = {
        "boolean": lambda: True, "year": lambda: rng.randint(1900, 2030),
        "name": lambda: " ".join(new_word(rng, 0.6).capitalize() for _ in range(rng.choice((1, 1, 2)))),
        "title": lambda: " ".join(new_word(rng, 0.2).capitalize() for _ in range(rng.choice((1, 2, 3)))),
        "word": lambda: new_word(rng, 0.3), "words": lambda: f"{new_word(rng, 0.3)} {new_word(rng, 0.3)}",
        "sentence": lambda: " ".join(new_word(rng, 0.2) for _ in range(rng.randint(3, 5))),
        "letter": lambda: rng.choice("abcdefghijklmnopqrstuvwxyz"), "colour": lambda: rng.choice(COLOURS),
        "date": lambda: new_date(rng), "time": lambda: new_time(rng),
        "weekday": lambda: rng.choice(WEEKDAYS), "month": lambda: rng.choice(MONTHS),
        "id": lambda: rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + str(rng.randint(1, 10 ** rng.randint(1, 3))),
        "code": lambda: "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(2, 4))),
        "email": lambda: f"{pseudoword(rng, 1)}.{pseudoword(rng, 2)}@{rng.choice(list(NOUNS))}.example",
        "phone": lambda: f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"}
    return made[kind]()


# ----------------------------------------------------------------------------------------------------- tools

class MadeUp(NamedTuple):
    """A made-up tool: its schema, the thing that it is about, and how people ask for it."""
    schema: dict
    noun: str
    asks: tuple       # texts with {} for the thing: questions, or what is to be done
    is_question: bool
    kinds: dict       # parameter -> kind of its values
    main: str         # the parameter that says which thing is meant, or ""


def tool(rng, noun):
    """A made-up tool about a thing: it tells of aspects of it, looks for such things, or does something."""
    shape = rng.choice(("aspect", "aspect", "aspect", "get", "search", "search", "action", "action"))
    other, about, main = _other_word(rng, noun), "", ""
    extra = rng.choice((0, 0, 0, 1, 1, 2))
    is_question = shape in ("aspect", "get")
    if is_question:
        name, meaning, asks = _telling(rng, noun, other, shape == "aspect")
    else:
        name, meaning, asks = _doing(rng, noun, other, SEARCHES if shape == "search" else ACTIONS)
        extra = max(extra, 1)
    if is_question or rng.random() < 0.3:
        main = rng.choice((f"{noun}_id", f"{noun}_id", noun, "name", "title", "city", "country", "person"))
    kinds, lines = _parameters(rng, noun, other, main, extra)
    if shape == "search" and rng.random() < 0.5:
        about = rng.choice(list(kinds))
        name += f"_by_{about}"
    if about or (kinds and rng.random() < 0.3):
        plain = (about or rng.choice(list(kinds))).replace("_", " ")
        meaning += rng.choice((" by {}", " with {}", " for a {}", " of one {}")).format(plain)
    return MadeUp(_schema(rng, name, meaning, kinds, lines, main), noun, asks, is_question, kinds, main)


def _telling(rng, noun, other, single):
    """(name, description, questions) of a tool that tells one aspect of a thing, or several."""
    aspects = rng.sample(list(ASPECTS), 1 if single else rng.choice((1, 2, 3)))
    name = f"{rng.choice(('get', 'get', 'get', 'find', 'check'))}_{noun}" + f"_{aspects[0]}" * single
    meaning = f"Get {as_text(['the ' + aspect for aspect in aspects])} of a {other}"
    if single and rng.random() < 0.4:
        indirect = re.sub(r"(.*) (is|has) \{\}$", r"\1 {} \2", rng.choice(ASPECTS[aspects[0]]))
        meaning = f"Get {indirect.format('a ' + other)}"
    return name, meaning, tuple(ask for aspect in aspects for ask in ASPECTS[aspect])


def _doing(rng, noun, other, table):
    """(name, description, requests) of a tool that looks for things, or does something to one."""
    verb = rng.choice(list(table))
    name, meaning = f"{verb}_{noun}", f"{verb.capitalize()} a {other}"
    if table is SEARCHES:
        start = "Search for" if verb == "search" else verb.capitalize()
        name, meaning = f"{verb}_{plural(noun)}", f"{start} {plural(other)}"
    return name, meaning, tuple(f"{words} {{}}" for words in table[verb])


def _other_word(rng, noun):
    return rng.choice(NOUNS[noun]) if NOUNS.get(noun) and rng.random() < 0.3 else noun


def plural(noun):
    """ "cities", "boxes", "songs": of the last word."""
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(s|x|ch|sh)$", noun) else "s")


def _parameters(rng, noun, other, main, extra):
    """({parameter: kind of its values}, {parameter: its documentation}) of `main` and `extra` others."""
    kinds, lines = {}, {}
    if main:
        kind, line, _ = PARAMETERS.get(main, ("id" if main.endswith("_id") else "title", "", ()))
        kinds[main] = kind
        lines[main] = rng.choice((f"{main.removeprefix(noun).strip('_') or 'name'} of the {other}",
                                  line or main.replace("_", " ")))
    while len(kinds) < extra + bool(main):
        key = rng.choice(list(PARAMETERS))
        kind, line, _ = PARAMETERS[key]
        if rng.random() < INVENTED:
            key = rng.choice((pseudoword(rng, 2), rng.choice(list(NOUNS)),
                              f"{rng.choice(list(NOUNS))}_{key}"))
            line = rng.choice((f"the {key}", f"{key} of the {other}", f"{rng.choice(ADJECTIVES)} {key}"))
        if rng.random() < FREE:
            kind = rng.choice(ANY)
        if key not in kinds:
            kinds[key], lines[key] = kind, line.replace("_", " ")
    return kinds, lines


def _schema(rng, name, meaning, kinds, lines, main):
    optional = [key for key in kinds if key != main and (kinds[key] == "boolean" or rng.random() < 0.2)]
    required = [key for key in kinds if key not in optional] or list(kinds)[:1]
    return {"type": "function", "function": {
        "name": name, "description": f"{meaning}.",
        "parameters": {"type": "object", "required": required, "properties": {
            key: {"type": JSON_TYPES.get(kinds[key], "string"), "description": lines[key]}
            for key in sorted(kinds, key=lambda key: key not in required)}}}}


def toolset(rng, size):
    """`size` tools with different names, half of them about a thing that another is about, too."""
    chosen = {}
    while len(chosen) < size:
        if chosen and rng.random() < 0.5:
            noun = rng.choice([made.noun for made in chosen.values()])
        else:
            noun = pseudoword(rng, 2) if rng.random() < INVENTED else rng.choice(list(NOUNS))
        made = tool(rng, noun)
        function = made.schema["function"]
        if function["name"] not in {*TOOLS, *chosen} and function["description"] not in MEANINGS:
            chosen[function["name"]] = made
    return rng.sample(list(chosen.values()), size)


# ------------------------------------------------------------------------------------------------- questions

class Request(NamedTuple):
    """A call of a made-up tool, its result, and how it is asked for."""
    alone: str      # on its own
    following: str  # after another request
    name: str
    arguments: dict
    result: dict


def request(rng, made, before):
    """A Request of a tool. before: the Request before it, or None; a value may be put into its result that
    this one then only refers to.
    """
    function, arguments, mentions = made.schema["function"], {}, {}
    for key in function["parameters"]["properties"]:
        if key not in function["parameters"]["required"] and rng.random() < 0.6:
            continue
        arguments[key] = value(rng, made.kinds[key])
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
    first = rng.choice(QUESTIONS if made.is_question else FRAMES).format(text)
    following = rng.choice(NEXT).format(f"{rng.choice(LEARN)} {text}" if made.is_question else text)
    return Request(first, following, function["name"], arguments, _result(rng))


def _thing(rng, made, main):
    """How a question mentions the thing that its tool is about; main: which one, "" for any."""
    noun = rng.choice(NOUNS[made.noun]) if NOUNS.get(made.noun) and rng.random() < SYNONYM else made.noun
    if not main:
        return rng.choice((f"a {noun}", f"the {noun}", plural(noun), f"some {plural(noun)}", noun))
    if main.startswith(("that ", "this ", "the ")):
        return main
    return rng.choice((f"the {noun} {main}", f"{noun} {main}", f"{main}", f"{noun} {main}"))


def _cue(rng, key, kind, mention, alone):
    """How a question mentions one argument: by what its parameter's name means, or by the name itself. A
    value without any word beside it is clear only where it is `alone` of its type.
    """
    plain = key.replace("_", " ")
    if kind == "boolean":
        return rng.choice((f"with {plain}", f"and {plain} please", f"and I want {plain}"))
    cues = [cue for cue in PARAMETERS.get(key, ("", "", ()))[2] if alone or cue != "{}"]
    if not cues or rng.random() < 0.15:
        cues = ["with {plain} {}", "{plain} {}", "({plain}: {})", "where the {plain} is {}"]
        cues += ["for {}", "of {}", "in {}", "with {}"] * alone
    return rng.choice(cues).replace("{plain}", plain).format(mention)


def question(rng, texts):
    """Requests, in the words of a person -> one text, at times with something beside the point."""
    whole = " ".join(text[0].upper() + text[1:] for text in texts)
    if rng.random() < 0.2:
        aside = rng.choice(ASIDES).format(value(rng, rng.choice(("name", "title", "word"))))
        whole = rng.choice((f"{whole} {aside}", f"{aside[0].upper()}{aside[1:]} {whole}"))
    return whole


# ------------------------------------------------------------------------------------------------- documents

def document(rng, share):
    """A conversation about disguised tools of the toolbox, with probability `share`, or made-up ones.

    At a share of 0 nothing is drawn for the choice: all numbers go into the made-up tools.
    """
    return disguised(rng) if share and rng.random() < share else made_up(rng)


def made_up(rng, requests=8):
    """A conversation with `requests` requests for the same few made-up tools, up to three in a question."""
    made = toolset(rng, rng.randint(2, 5))
    offered = [one.schema for one in made]
    if rng.random() < 0.3:
        offered += schemas(DIALOGUE)
        rng.shuffle(offered)
    wanted = []
    for _ in range(requests):
        wanted.append(request(rng, rng.choice(made), wanted[-1] if wanted else None))
    turns = [Turn("system", "")]
    while wanted:
        together = [wanted.pop(0) for _ in range(min(len(wanted), rng.choice((1, 1, 1, 2, 3))))]
        texts = [together[0].alone, *(one.following for one in together[1:])]
        turns.append(Turn("user", question(rng, texts)))
        for one in together:
            turns += [Turn("assistant", write_call(one.name, one.arguments), one.name, one.arguments),
                      Turn("function", json.dumps(one.result, ensure_ascii=False))]
        if rng.random() < 0.3 and len(offered) > len(made):
            turns.append(_finish(rng, together[-1].result))
    return Conversation("", read_tools(offered), tuple(turns))


def _result(rng):
    return {rng.choice((*PARAMETERS, *NOUNS)): value(rng, rng.choice(("name", "title", "integer", "number")))
            for _ in range(rng.choice((1, 1, 2)))}


def _finish(rng, result):
    key = rng.choice(list(result))
    answer = {"answer": rng.choice(("The {} is {}.", "It has the {} {}.", "{}: {}.")).format(
        key.replace("_", " "), as_text(result[key]))}
    return Turn("assistant", write_call("finish", answer), "finish", answer)


def random_documents(seed, count, share=0.0):
    """`count` documents, a function of the seed and the share of disguises alone."""
    rng = random.Random(seed)
    return [document(rng, share) for _ in range(count)]
