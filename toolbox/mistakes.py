"""Wrong calls with their feedback, as large models make them: the errors that MAE must find.

TL-Training, Figure 1 names the categories of error. For each of them a function here turns the
right call of a chain into a wrong one. The toolbox executes the wrong call and words the
feedback; the wrong call counts only if `data.feedback` puts its feedback into that category.
"""

from data.calls import Call
from data.feedback import Feedback, classify
from toolbox.chains import defaults, noun
from toolbox.execute import TOOLS, run, schemas

TRIES = 20
VERBS = {"get": ("fetch", "show", "lookup"), "search": ("find", "query", "list"),
         "find": ("search", "get"), "list": ("get", "show"), "count": ("get", "compute"),
         "calculate": ("compute", "get"), "convert": ("change", "exchange"),
         "book": ("reserve", "make"), "send": ("write", "deliver"), "set": ("change", "adjust"),
         "add": ("sum", "append"), "sort": ("order", "arrange")}
ENDINGS = ("info", "details", "data", "api", "v2")
SYNONYMS = {  # parameter -> other names that it could have
    "city": ("location", "town", "place"), "date": ("day", "when"),
    "country": ("nation", "country_name"), "day": ("date", "weekday"),
    "name": ("person", "full_name"), "title": ("name", "query"), "amount": ("value", "sum"),
    "base": ("from_currency", "source"), "target": ("to_currency", "to"),
    "text": ("input", "string", "message"), "numbers": ("values", "list"),
    "email": ("to", "address"), "value": ("amount", "number"), "unit": ("from_unit",),
    "to_unit": ("target_unit", "to"), "origin": ("from_city", "start"),
    "destination": ("to_city", "end"), "query": ("keyword", "q")}
SURPLUS = {"language": "en", "format": "json", "verbose": True, "page": 1, "api_key": "demo",
           "limit": 10}


def make_mistake(rng, kind, step, offered):
    """A wrong call in place of a Step's -> (name, arguments, feedback); None after TRIES failures.

    kind: a `Feedback` category. offered: names of the offered tools; an invented tool is none of
    them. rng: a seeded `random.Random`.
    """
    make = MAKERS[kind]
    outage_rate = 1.0 if kind is Feedback.TOOL_INSTABILITY else 0.0
    for _ in range(TRIES):
        name, arguments = make(rng, step)
        if not name or (name in TOOLS) != (kind is not Feedback.TOOL_HALLUCINATION):
            continue
        feedback = run(Call(name, arguments, (0, 0)), offered, rng, outage_rate)
        if classify(feedback, name, schemas(offered)) is kind:
            return name, arguments, feedback
    return None


def _unknown_tool(rng, step):
    """Another verb, or an ending that no offered tool has."""
    verb, *rest = step.name.split("_")
    if rng.random() < 0.5:
        return f"{step.name}_{rng.choice(ENDINGS)}", step.arguments
    return "_".join([rng.choice(VERBS.get(verb, ("do", "run"))), *rest]), step.arguments


def _unknown_parameter(rng, step):
    """Another name for a parameter, or one parameter more."""
    key = rng.choice(list(step.arguments))
    known = defaults(step.name)
    other = rng.choice(SYNONYMS.get(key, (f"{key}_value", f"input_{key}")))
    if rng.random() < 0.3 or other in known:
        surplus = rng.choice([surplus for surplus in SURPLUS if surplus not in known])
        return step.name, {**step.arguments, surplus: SURPLUS[surplus]}
    arguments = {other if name == key else name: value for name, value in step.arguments.items()}
    return step.name, arguments


def _missing_parameter(rng, step):
    """A required parameter is left out."""
    required = [key for key in step.arguments if defaults(step.name)[key] is None]
    left_out = rng.choice(required)
    return step.name, {key: value for key, value in step.arguments.items() if key != left_out}


def _refused_value(rng, step):
    """A misspelt text, a text with a word too many, a number out of range, or an empty list."""
    key = rng.choice(list(step.arguments))
    return step.name, {**step.arguments, key: _spoilt(rng, key, step.arguments[key])}


def _spoilt(rng, key, value):
    if isinstance(value, list):
        return [] if rng.random() < 0.3 else [*value[:-1], _spoilt(rng, key, value[-1])]
    if isinstance(value, (int, float)):
        return rng.choice((-1, 0, 100)) * max(value, 1)
    place = rng.randrange(len(value))
    return rng.choice((
        value[:place] + value[place + 1:],                 # a letter is missing
        value[:place] + value[place] + value[place:],      # a letter is doubled
        value.replace("-", "/"),                           # a date in another form
        f"{value} {noun(key)}",                            # "Oslo city"
        value.split()[0],                                  # the first word alone
    ))


def _wrong_type(rng, step):
    """A number as text, or a text as number or list: the tool breaks."""
    key = rng.choice(list(step.arguments))
    value = step.arguments[key]
    if isinstance(value, list):
        wrong = ", ".join(map(str, value))
    elif isinstance(value, str):
        wrong = rng.choice(([value], rng.randint(1, 9), {"name": value}))
    else:
        wrong = rng.choice((str(value), f"{value} in all"))
    return step.name, {**step.arguments, key: wrong}


def _right_call(rng, step):
    """The right call: its server does not answer."""
    return step.name, step.arguments


MAKERS = {Feedback.TOOL_HALLUCINATION: _unknown_tool,
          Feedback.PARAMETER_HALLUCINATION: _unknown_parameter,
          Feedback.PARAMETER_MISSING: _missing_parameter,
          Feedback.OTHERS: _refused_value,
          Feedback.TOOL_CALL_FAILURE: _wrong_type,
          Feedback.TOOL_INSTABILITY: _right_call}
