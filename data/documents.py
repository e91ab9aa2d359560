"""Synthetic documents for the base model: made-up tools, what people ask of them, and the calls.

What CodeLLaMA has learnt from code and prose, the embedded base model must learn from these: that a call
copies the name of the tool whose documentation fits the question, and its values from the question or an
earlier result. Names of tools, parameters and values are generated, new in every document, so that nothing
can be learnt by heart. No tool of `data.toolbox` is among them.

A document is a conversation in the form of data/trajectories.py with several questions about the same tools,
so that the documentation, most of the tokens, is paid for once.
"""

import json
import random

from data.toolbox import DIALOGUE, TOOLS, schemas
from data.tools import read_tools, write_call
from data.trajectories import Conversation, Turn

ONSETS = "b br c ch cl d dr f fl g gr h j k kl l m n p pl qu r s sh sk sl st t th tr v w y z".split()
VOWELS = "a e i o u a e i o ai ea ee ia io ou".split()
CODAS = ["", "", "", *"n r s l t m nd rt ck ss x th ng".split()]

# Verbs of tools, with what people say in place of them.
VERBS = {
    "get": ("what is", "tell me", "give me", "I want to know", "show me", "I would like to have"),
    "find": ("look for", "I am looking for", "find", "can you find", "look up", "where is"),
    "search": ("search for", "look for", "I need", "are there", "find me"),
    "list": ("list", "which are", "show me all", "what are", "name"),
    "count": ("how many are", "count", "I need the number of", "how large is the number of"),
    "calculate": ("calculate", "work out", "how much is", "what comes out for", "compute"),
    "convert": ("convert", "change", "turn over", "I need to convert", "how much is"),
    "book": ("book", "I want to book", "reserve", "please arrange", "make a booking of"),
    "set": ("set", "change", "please put", "adjust", "I want to change"),
    "send": ("send", "pass on", "please send", "deliver", "write"),
    "check": ("check", "have a look at", "is there", "see about", "please verify"),
    "order": ("order", "buy", "I want to order", "get me", "purchase"),
    "add": ("add", "put in", "note", "please enter", "I want to add"),
    "cancel": ("cancel", "call off", "stop", "I no longer need", "please drop"),
    "compare": ("compare", "how do they differ,", "set side by side", "what sets apart"),
    "create": ("create", "make", "set up", "prepare", "I need a new"),
}
NOUNS = """
account address age airport album animal answer area artist author bank bill bird board boat bottle box
bridge brand building bus camera car card castle chair channel chart city class client climate clock coach
coat code coffee colour company concert contact cook country course cup dance date deal desk device dinner
dish distance district doctor document door dress drink driver engine event exam factory farm fee festival
field film fish flag flat flight floor flower food forest friend fruit fuel game garden gift glass goal
group guest guide harbour height holiday horse hospital hotel house island job journey key kitchen lake lamp
language law lesson letter level library licence light line list machine mail map market match meal medicine
meeting member menu message meter method mile mobile model money month mountain movie museum music name
network news novel number offer office oil opera order owner package page painting paper park part partner
party pass patient path phone photo piece place plan planet plant plate player poem point police pool port
power price prize product program project purse queue race radio rain rate recipe record region rent report
result review river road roof room route rule salary sale sample school score season seat sentence series
service share ship shirt shoe shop show sign singer sky snow song speech speed sport staff star station
statue stock storm story street student style subject sugar symbol system table tax taxi teacher team temple
tennis text theatre ticket tide time title tool tour tower town toy track trade train travel tree trip truck
tunnel value vehicle video view village visa voice volume wage wall water wave weather week weight wheel
wind window wine winner wood word work worker world zoo
""".split()
QUALIFIERS = """
alerts average cost count date details forecast height history index info length level limit link list name
news number options owner plan price quality rank rating report result schedule score size status stock
summary total trend type value weight
""".split()
ADJECTIVES = "red blue old new small large early late cheap quiet fresh open dark warm cold green dry".split()
PARAMETERS = """
amount author category city client code color country count date day destination email end from group item
kind language letter limit location max_price member min_rating month name number order_id origin owner
percent person phone place product query quantity rate room size start subject symbol text ticket_id title
to topic type unit user value weight year zone
""".split()
CONDITIONS = (" by {}", " with {}", " for {}", " using {}", " of a {}", " at a {}", " and its {}")
ASIDES = ("By the way, {} is a friend of mine.", "I read about {} yesterday.", "My neighbour comes from {}.",
          "Last week it was {}.", "I have {} minutes.", "Thanks in advance!", "It is for {}.", "No hurry.")
REFER = ("that {}", "this {}", "the {} you found", "the {} from before", "the same {}")


def pseudoword(rng, most=3):
    """A word that nobody knows, of one to `most` syllables."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                   for _ in range(rng.randint(1, most)))


def noun(rng):
    """A word for the things that tools are about: English three times in four."""
    return rng.choice(NOUNS) if rng.random() < 0.75 else pseudoword(rng, 2)


# ---------------------------------------------------------------------------------------------------- values

def value(rng, kind):
    """A value of a JSON type, unrelated to its parameter's name, so that it can only be copied."""
    if kind == "integer":
        return rng.randint(1, 10 ** rng.randint(1, 4))
    if kind == "number":
        fraction = round(rng.uniform(0, 10 ** rng.randint(1, 4)), rng.randint(1, 2))
        return rng.choice((fraction, rng.randint(1, 999)))
    if kind == "boolean":
        return True
    if kind == "array":
        single = rng.choice(("integer", "string", "string"))
        return [value(rng, single) for _ in range(rng.randint(2, 4))]
    return rng.choice((name, name, words, words, code, date, sentence))(rng)


def name(rng):
    """One or two capitalised words, mostly unknown ones."""
    return " ".join((pseudoword(rng) if rng.random() < 0.7 else rng.choice(NOUNS)).capitalize()
                    for _ in range(rng.randint(1, 2)))


def words(rng):
    """One or two words in lower case."""
    return " ".join(noun(rng) for _ in range(rng.choice((1, 1, 2))))


def code(rng):
    """An identifier, an abbreviation, an address or a phone number."""
    letters = "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(1, 3)))
    return rng.choice((letters + str(rng.randint(1, 9999)), letters, f"{letters}-{rng.randint(10, 999)}",
                       f"{pseudoword(rng, 1)}.{pseudoword(rng, 2)}@{rng.choice(NOUNS)}.example",
                       f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"))


def date(rng):
    """A date as YYYY-MM-DD."""
    return f"{rng.randint(2020, 2029)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def sentence(rng):
    """Three to five words, as a message or a title."""
    return " ".join(rng.choice((rng.choice(ADJECTIVES), noun(rng))) for _ in range(rng.randint(3, 5)))


def said(value):
    """A value as a person writes it."""
    if isinstance(value, list):
        return ", ".join(map(str, value[:-1])) + f" and {value[-1]}"
    return str(value)


# ----------------------------------------------------------------------------------------------------- tools

def tool(rng, stem=None):
    """(schema, verb, the words for what it is about) of a made-up tool; with `stem` its name begins so."""
    verb, things = (stem[0], list(stem[1])) if stem else (rng.choice(list(VERBS)), [noun(rng)])
    if stem or rng.random() < 0.5:
        things += [rng.choice(QUALIFIERS) if rng.random() < 0.7 else noun(rng)]
    parameters = rng.sample(PARAMETERS, rng.choice((1, 1, 1, 2, 2, 3)))
    if rng.random() < 0.3:
        parameters[0] = rng.choice((things[-1], f"{things[-1]}_id", f"{noun(rng)}_{rng.choice(PARAMETERS)}"))
    parameters = list(dict.fromkeys(parameters))
    required = parameters[:max(1, len(parameters) - rng.choice((0, 0, 1)))]
    properties = {p: {"type": _type(rng, p in required), "description": _meaning(rng, p, things)}
                  for p in parameters}
    about = " ".join(things)
    description = f"{verb.capitalize()} {rng.choice(('the', 'a', 'all'))} {about}"
    if rng.random() < 0.5:
        description += rng.choice(CONDITIONS).format(parameters[0].replace("_", " "))
    schema = {"type": "function", "function": {
        "name": "_".join([verb, *things]), "description": description + ".",
        "parameters": {"type": "object", "properties": properties, "required": required}}}
    return schema, verb, things


def _type(rng, is_required):
    kinds = ["string"] * 6 + ["integer"] * 3 + ["number", "array"] + ["boolean"] * (not is_required) * 2
    return rng.choice(kinds)


def _meaning(rng, parameter, things):
    plain = parameter.replace("_", " ")
    return rng.choice((plain, f"the {plain}", f"{plain} of the {things[-1]}", f"{things[0]} {plain}",
                       f"{rng.choice(ADJECTIVES)} {plain}"))


def toolset(rng, size):
    """`size` tools with different names, some of which begin alike -> list of what `tool` gives."""
    chosen = {}
    while len(chosen) < size:
        made = tool(rng, rng.choice(list(chosen.values()))[1:] if chosen and rng.random() < 0.5 else None)
        schema = made[0]["function"]
        if schema["name"] not in TOOLS and schema["name"] not in chosen and len(made[2]) < 4:
            chosen[schema["name"]] = made
    made = list(chosen.values())
    rng.shuffle(made)
    return made


# ------------------------------------------------------------------------------------------------- questions

def request(rng, made, known):
    """(question, call) for one of the tools; `known` holds values of earlier results that may be meant."""
    schema, verb, things = made
    parameters = schema["function"]["parameters"]
    arguments, parts = {}, []
    for key, spec in parameters["properties"].items():
        if key not in parameters["required"] and rng.random() < 0.6:
            continue
        plain = key.replace("_", " ")
        if spec["type"] == "string" and known and rng.random() < 0.5:
            plain, arguments[key] = rng.choice(list(known.items()))
            parts.append(rng.choice(("for ", "with ", "of ", "")) + rng.choice(REFER).format(plain))
            continue
        arguments[key] = value(rng, spec["type"])
        alone = sum(other["type"] == spec["type"] for other in parameters["properties"].values()) == 1
        parts.append(_part(rng, plain, spec, arguments[key], alone))
    about = " ".join(things)
    if rng.random() < 0.15:
        about = rng.choice((about.rpartition(" ")[2], f"{rng.choice(ADJECTIVES)} {about}"))
    start = rng.choice(VERBS[verb]) if rng.random() < 0.8 else rng.choice(("I need", "please get", verb))
    rng.shuffle(parts)
    if rng.random() < 0.25:
        text = f"{' '.join(parts)}: {start} {about}"
    else:
        text = " ".join(filter(None, (start, rng.choice(("the", "the", "a", "my", "")), about, *parts)))
    text = text[0].upper() + text[1:] + rng.choice("?.?.!")
    if rng.random() < 0.3:
        aside = rng.choice(ASIDES).format(rng.choice((name, words, lambda rng: rng.randint(1, 99)))(rng))
        text = rng.choice((f"{text} {aside}", f"{aside} {text}"))
    return text, schema["function"]["name"], {key: arguments[key] for key in sorted(
        arguments, key=list(parameters["properties"]).index)}


def _part(rng, plain, spec, chosen, alone):
    """How a question mentions one argument: by its parameter's name, which it needs unless it is `alone`."""
    if spec["type"] == "boolean":
        return rng.choice((f"with {plain}", f"{plain} please", f"and I want {plain}"))
    cue = rng.choice((plain, spec["description"], "" if alone else plain))
    preposition = rng.choice(("for", "in", "of", "at", "on", "with", "to", "from", "by", "about"))
    return rng.choice((f"{preposition} {said(chosen)}" if alone else f"{plain} {said(chosen)}",
                       f"{cue} {said(chosen)}".strip(),
                       f"with {cue or 'the value'} {said(chosen)}", f"({cue or plain}: {said(chosen)})"))


def result(rng):
    """What a made-up tool returns: a small JSON object."""
    kinds = ("string", "string", "integer", "number")
    return {key: value(rng, rng.choice(kinds)) for key in rng.sample(PARAMETERS + NOUNS, rng.randint(1, 3))}


# ------------------------------------------------------------------------------------------------- documents

def document(rng, questions=4):
    """A conversation with `questions` questions about the same few tools -> Conversation."""
    made = toolset(rng, rng.randint(2, 5))
    offered = [schema for schema, _, _ in made]
    if rng.random() < 0.7:
        offered += schemas(DIALOGUE)
        rng.shuffle(offered)
    turns, known = [Turn("system", "")], {}
    for _ in range(questions):
        text, name, arguments = request(rng, rng.choice(made), known)
        found = result(rng)
        turns += [Turn("user", text), Turn("assistant", write_call(name, arguments), name, arguments),
                  Turn("function", json.dumps(found, ensure_ascii=False))]
        known = {key.replace("_", " "): v for key, v in found.items() if isinstance(v, str)}
        if rng.random() < 0.3 and len(offered) > len(made):
            key = rng.choice(list(found))
            answer = {"answer": rng.choice(("The {} is {}.", "It has the {} {}.", "{}: {}.")).format(
                key.replace("_", " "), found[key])}
            turns.append(Turn("assistant", write_call("finish", answer), "finish", answer))
    return Conversation("", read_tools(offered), tuple(turns))


def random_documents(seed, count):
    """`count` documents, a function of the seed alone."""
    rng = random.Random(seed)
    return [document(rng) for _ in range(count)]
