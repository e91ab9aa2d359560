"""A scripted teacher that errs as large models do: before the right call, a wrong one and its feedback.

One kind of error for each category of the paper's Figure 1; the feedback is the toolbox's own, and a draft
counts only if `data.feedback` names its category.
"""

from data.calls import Call
from data.feedback import Feedback, classify
from toolbox.chains import noun, parameters
from toolbox.execute import TOOLS, run, schemas

TRIES = 20
VERBS = {"get": ("fetch", "show", "lookup"), "search": ("find", "query", "list"), "find": ("search", "get"),
         "list": ("get", "show"), "count": ("get", "compute"), "calculate": ("compute", "get"),
         "convert": ("change", "exchange"), "book": ("reserve", "make"), "send": ("write", "deliver"),
         "set": ("change", "adjust"), "add": ("sum", "append"), "sort": ("order", "arrange")}
ENDINGS = ("info", "details", "data", "api", "v2")
SYNONYMS = {  # what a parameter might have been called
    "city": ("location", "town", "place"), "date": ("day", "when"), "country": ("nation", "country_name"),
    "day": ("date", "weekday"), "name": ("person", "full_name"), "title": ("name", "query"),
    "amount": ("value", "sum"), "base": ("from_currency", "source"), "target": ("to_currency", "to"),
    "text": ("input", "string", "message"), "numbers": ("values", "list"), "email": ("to", "address"),
    "value": ("amount", "number"), "unit": ("from_unit",), "to_unit": ("target_unit", "to"),
    "origin": ("from_city", "start"), "destination": ("to_city", "end"), "query": ("keyword", "q")}
SURPLUS = {"language": "en", "format": "json", "verbose": True, "page": 1, "api_key": "demo", "limit": 10}


def err(rng, kind, step, offered):
    """A wrong call in place of a Step's -> (name, arguments, feedback), or None where none came out.

    kind: a `Feedback` category. offered: the names of the tools offered, of which an invented one is none.
    """
    draft = DRAFTS[kind]
    for _ in range(TRIES):
        name, arguments = draft(rng, step)
        if not name or (name in TOOLS) != (kind is not Feedback.TOOL_HALLUCINATION):
            continue
        outage = 1.0 if kind is Feedback.TOOL_INSTABILITY else 0.0
        feedback = run(Call(name, arguments, (0, 0)), offered, rng, outage)
        if classify(feedback, name, schemas(offered)) is kind:
            return name, arguments, feedback
    return None


def _unknown_tool(rng, step):
    """The verb or the end of the name differs from what is offered."""
    verb, *rest = step.name.split("_")
    if rng.random() < 0.5:
        return f"{step.name}_{rng.choice(ENDINGS)}", step.arguments
    return "_".join([rng.choice(VERBS.get(verb, ("do", "run"))), *rest]), step.arguments


def _unknown_parameter(rng, step):
    """Another name for a parameter, or one more."""
    key = rng.choice(list(step.arguments))
    known = parameters(step.name)
    other = rng.choice(SYNONYMS.get(key, (f"{key}_value", f"input_{key}")))
    if rng.random() < 0.3 or other in known:
        surplus = rng.choice([surplus for surplus in SURPLUS if surplus not in known])
        return step.name, {**step.arguments, surplus: SURPLUS[surplus]}
    return step.name, {other if name == key else name: value for name, value in step.arguments.items()}


def _missing_parameter(rng, step):
    left_out = rng.choice([key for key in step.arguments if parameters(step.name)[key] is None])
    return step.name, {key: value for key, value in step.arguments.items() if key != left_out}


def _refused_value(rng, step):
    """A text misspelt or with a word too many, a number out of range, an empty list."""
    key = rng.choice(list(step.arguments))
    return step.name, {**step.arguments, key: _spoilt(rng, key, step.arguments[key])}


def _spoilt(rng, key, value):
    if isinstance(value, list):
        return [] if rng.random() < 0.3 else [*value[:-1], _spoilt(rng, key, value[-1])]
    if isinstance(value, (int, float)):
        return rng.choice((-1, 0, 100)) * max(value, 1)
    place = rng.randrange(len(value))
    flaws = (value[:place] + value[place + 1:], value[:place] + value[place] + value[place:],
             value.replace("-", "/"), f"{value} {noun(key)}", value.split()[0])
    return rng.choice(flaws)


def _wrong_type(rng, step):
    """A number as text, a text as number or list: the tool breaks."""
    key = rng.choice(list(step.arguments))
    value = step.arguments[key]
    if isinstance(value, list):
        wrong = ", ".join(map(str, value))
    elif isinstance(value, str):
        wrong = rng.choice(([value], rng.randint(1, 9), {"name": value}))
    else:
        wrong = rng.choice((str(value), f"{value} in all"))
    return step.name, {**step.arguments, key: wrong}


def _as_it_is(rng, step):
    return step.name, step.arguments


DRAFTS = {Feedback.TOOL_HALLUCINATION: _unknown_tool, Feedback.PARAMETER_HALLUCINATION: _unknown_parameter,
          Feedback.PARAMETER_MISSING: _missing_parameter, Feedback.OTHERS: _refused_value,
          Feedback.TOOL_CALL_FAILURE: _wrong_type, Feedback.TOOL_INSTABILITY: _as_it_is}
