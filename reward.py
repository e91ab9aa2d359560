"""How good a call is: TL-Training's reward (section 3.3), and TTPA's error-oriented score, ESM.

    python reward.py      # both on worked examples, and what the released code gives for them

The reward R names the errors of a call and looks them up in a table. ESM counts how much of a call
is right. Both read calls with the same parser.
"""

import enum
import re
from typing import NamedTuple

from data.calls import Call, ParseError, parse_call  # public names of this file, too
from data.tools import read_tools
from plumbing.flags import cli


class ErrorType(enum.Enum):
    """The errors that a call can have (section 3.3); REWARDS has a value for each."""

    UNPARSABLE = "cannot be parsed"
    UNKNOWN_TOOL = "tool not offered"
    WRONG_TOOL = "wrong tool"
    HALLUCINATED = "hallucinated parameter"  # the tool has no such parameter
    REDUNDANT = "redundant parameter"        # the tool has it, the gold call does without
    MISSING = "missing parameter"            # the gold call has it
    CONTENT = "wrong content"                # the gold call's parameters, another value


CORRECT = 1.0
REWARDS = {  # section 3.3; all three errors of parameters, -1.8, cost more than a wrong tool
    ErrorType.UNPARSABLE: -2.0,
    ErrorType.UNKNOWN_TOOL: -2.0,
    ErrorType.WRONG_TOOL: -1.5,
    ErrorType.HALLUCINATED: -0.8,  # R_p: this and the next two add up
    ErrorType.REDUNDANT: -0.5,
    ErrorType.MISSING: -0.5,
    ErrorType.CONTENT: -0.25,
}


def reward(prediction, gold, tools, name_only=False):
    """R in [-2, 1] of a predicted call; takes and raises what `classify` does."""
    return total_reward(classify(prediction, gold, tools, name_only))


def total_reward(errors):
    """R of a set of ErrorTypes: their values add up, and none is a correct call."""
    if not errors:
        return CORRECT
    return sum(REWARDS[error] for error in errors)


def classify(prediction, gold, tools, name_only=False):
    """The frozenset of ErrorTypes in a predicted call, given the gold call and the tools on offer.

    prediction, gold: texts, read strictly, or Calls that have been read; tools: schemas or Tools. A
    tool that is not offered is an error even where the gold call names it, and so is a parameter
    that the tool does not have. name_only: the tool alone is judged, for golds whose arguments are
    prose. Raises ValueError if the gold call cannot be parsed.
    """
    tools = read_tools(tools)
    wanted = _read_gold(gold, tools)
    try:
        call = _as_call(prediction, tools)
    except ParseError:
        return frozenset({ErrorType.UNPARSABLE})
    parameters = _parameters(call.name, tools)
    if parameters is None:
        return frozenset({ErrorType.UNKNOWN_TOOL})
    if call.name != wanted.name:
        return frozenset({ErrorType.WRONG_TOOL})
    if name_only:
        return frozenset()
    errors = parameter_errors(set(call.arguments), set(wanted.arguments), parameters)
    if errors:
        return frozenset(errors)
    if not same_value(call.arguments, wanted.arguments):
        return frozenset({ErrorType.CONTENT})
    return frozenset()


def _read_gold(gold, tools):
    """The gold as a Call. Raises ValueError if it cannot be parsed."""
    try:
        return _as_call(gold, tools)
    except ParseError as error:
        raise ValueError(f"gold call {gold!r}: {error}") from None


def _as_call(text_or_call, tools):
    """A Call as it is, a text parsed strictly. Raises ParseError."""
    if isinstance(text_or_call, Call):
        return text_or_call
    return parse_call(text_or_call, tools, strict=True)


def _parameters(name, tools):
    """The names of a tool's parameters (the first of that name), None if it is not offered."""
    for tool in tools:
        if tool.name == name:
            return {parameter.name for parameter in tool.parameters}
    return None


def parameter_errors(keys, gold_keys, known):
    """The errors of a call's parameters, whose values add up to R_p (section 3.3).

    keys, gold_keys, known: sets of names of parameters: the call's, the gold call's, the tool's.
    """
    errors = []
    if keys - known:
        errors.append(ErrorType.HALLUCINATED)
    if (keys & known) - gold_keys:
        errors.append(ErrorType.REDUNDANT)
    if gold_keys - keys:
        errors.append(ErrorType.MISSING)
    return tuple(errors)


def same_value(a, b):
    """Equality of JSON values: 1 == 1.0, True != 1, "1" != 1, keys in any order; tuple == list."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_value, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


# ------------------------------------------------------------- TTPA: the error-oriented score, ESM
#
# The parts and weights are the released code's. What it states is in the docstrings as [C]; where
# it slips, the mended form is ours [R], and EsmRule has the released one.

class Esm(NamedTuple):
    """The score of a call and its five parts, each in [0, 1]."""

    name: float      # the right tool
    required: float  # share of the tool's required parameters that are there
    key: float       # keys of the call that the tool has, over the larger call's number of keys
    type: float      # of these, keys whose value has the schema's type, over the same number
    value: float     # keys whose value is the gold's, over the same; alike texts count half
    score: float     # the parts, weighted by ESM_WEIGHTS


ESM_WEIGHTS = {"name": 3, "required": 3, "key": 1, "type": 2, "value": 2}  # [C]
NO_CALL = Esm(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
PERFECT = Esm(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


class EsmRule(NamedTuple):
    """How `esm` counts, where the released code slips."""

    # Released: "gold". It looks required parameters up in the gold's arguments, which hold them.
    required_in: str = "prediction"
    # Released: true, as in Python. Then a boolean is a number, too.
    bool_is_integer: bool = False
    # Released: true. A text that is no call, or calls a tool that is not offered, has no score.
    refuse_unread: bool = False
    # "larger", of the two calls, as released: then one more valid key can raise the score of a
    # wrong call. "union": shares of the keys of both calls together (Jaccard).
    over: str = "larger"


MENDED = EsmRule()
RELEASED = EsmRule(required_in="gold", bool_is_integer=True, refuse_unread=True)


def esm(prediction, gold, tools, rule=MENDED, name_only=False):
    """TTPA's score of a predicted call -> Esm. Takes what `classify` does.

    Total over texts: no call, or a tool that is not offered, scores 0 (with rule.refuse_unread it
    raises ParseError). name_only: the right tool scores 1 in all parts, for golds whose arguments
    are prose. Raises ValueError if the gold call cannot be parsed.

    >>> esm('book(city="Oslo", nights="3")', 'book(city="Oslo", nights=3)', EXAMPLE_TOOLS).type
    0.5
    """
    tools = read_tools(tools)
    wanted = _read_gold(gold, tools)
    try:
        call = _as_call(prediction, tools)
        tool = _offered(call.name, tools)
    except ParseError:
        if rule.refuse_unread:
            raise
        return NO_CALL
    name = float(call.name == wanted.name)
    if name_only and name:
        return PERFECT
    if not call.arguments:
        rest = name if not wanted.arguments else 0.0
        return Esm(name, rest, rest, rest, rest, rest)
    parts = {"name": name, **_argument_parts(call.arguments, wanted.arguments, tool, rule)}
    weighted = sum(ESM_WEIGHTS[part] * share for part, share in parts.items())
    return Esm(**parts, score=weighted / sum(ESM_WEIGHTS.values()))


def _offered(name, tools):
    """The first Tool of that name. Raises ParseError if there is none."""
    for tool in tools:
        if tool.name == name:
            return tool
    raise ParseError(f"{name} is not offered")


def _argument_parts(arguments, gold, tool, rule):
    """{part of ESM: its share} of arguments that are not empty, by the schema of the called tool.

    gold: the gold call's arguments, of whatever tool.
    """
    parameters = {parameter.name: parameter for parameter in tool.parameters}
    required = [parameter.name for parameter in tool.parameters if parameter.required]
    looked_up = gold if rule.required_in == "gold" else arguments
    n_present = sum(key in looked_up for key in required)
    if rule.over == "union":
        n_keys = len(arguments.keys() | gold.keys())
    else:
        n_keys = max(len(arguments), len(gold))
    known = [key for key in arguments if key in parameters]
    typed = [key for key in known if _has_type(arguments[key], parameters[key], rule)]
    shared = [key for key in arguments if key in gold]
    alike = sum(_likeness(arguments[key], gold[key]) for key in shared)
    return {
        "required": n_present / len(required) if required else 1.0,
        "key": len(known) / n_keys,
        "type": len(typed) / n_keys,
        "value": alike / n_keys,
    }


def _likeness(value, gold):
    """1 for equal values; for texts 0.5 if only case differs, and 0.5 if one holds the other."""
    if same_value(value, gold):
        return 1.0
    if not isinstance(value, str) or not isinstance(gold, str):
        return 0.0
    return 0.5 * (value.lower() == gold.lower()) + 0.5 * (value in gold or gold in value)


ESM_TYPES = {  # JSON Schema's names of types, and BFCL's -> Python's
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "float": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "tuple": (list, tuple),
    "object": (dict,),
    "dict": (dict,),
    "null": (type(None),),
}


def _has_type(value, parameter, rule):
    """Whether a value has the type of a Parameter; no or an unknown type takes any.

    1.0 is no integer, and neither is a boolean. A union, `string | integer`, takes what any of its
    parts takes.
    """
    if value is None and parameter.nullable:
        return True
    return any(_is_a(value, kind, rule) for kind in parameter.type.split(" | "))


def _is_a(value, kind, rule):
    """Whether a value has one of the types in ESM_TYPES, or the type is not one of them."""
    accepted = ESM_TYPES.get(kind)
    if accepted is None:
        return True
    if isinstance(value, bool) and int in accepted:
        return rule.bool_is_integer
    return isinstance(value, accepted)


# ------------------------------------------------------------------------------- worked examples

# What the released code takes off for parameters: its own, so that another table above leaves it.
RELEASED_PARAMETERS = {
    ErrorType.HALLUCINATED: -0.8,
    ErrorType.REDUNDANT: -0.5,
    ErrorType.MISSING: -0.5,
}


def released_rule(prediction, gold, tools):
    """What the released code gives (ppo_trainer.py), to print beside ours.

    It reads a call up to the first `)`, and only values in single quotes.
    """
    call = _released_call(prediction)
    wanted = _released_call(gold)
    if call is None or wanted is None:
        return -2.0
    known = _parameters(call.name, read_tools(tools))
    if call.name != wanted.name or known is None:
        return -2.0 if call.name and known is None else -1.5
    errors = parameter_errors(set(call.arguments), set(wanted.arguments), known)
    if errors:
        return sum(RELEASED_PARAMETERS[error] for error in errors)
    return 1.0 if call.arguments == wanted.arguments else -0.25


def _released_call(text):
    """The Call that the released code finds in a text, or None."""
    found = re.search(r"([^\n(]*)\(([^)]*)\)", text)
    if found is None:
        return None
    arguments = dict(re.findall(r"(\w+)\s*=\s*'([^']*)'", found[2]))
    return Call(found[1].strip(), arguments, found.span(1))


def _example_tool(name, *parameters):
    return {"name": name, "parameters": {"properties": dict.fromkeys(parameters)}}


TOOLS = [_example_tool("search", "query", "n", "page"), _example_tool("ping")]
EXAMPLES = {  # gold -> predictions; the first gold is written as the released code expects it
    "search(query='love', n='3')": (
        "search(query='love', n='3')",
        "search(n='3', query='hate')",
        "search(query='love')",
        "search(query='love', n='3', page='1')",
        "search(query='love', n='3', bogus='1')",
        "search(query='love', page='1', bogus='1')",
        "ping()",
        "sing(song='love')",
        "search(query='love', n='3'",
        "search(query='love', n='3'), ping()",
        "search(n='9', query='love', n='3')"),
    'search(query="love", n=3)': (
        'search(query="love", n=3)',
        'search(query="completely wrong", n=99, bogus=1)',
        "search(query='love', n=3)"),
    "search(query='love (song)')": (
        "search(query='love (song)')",
        "search(query='love (film)', n='3')"),
}


EXAMPLE_TOOLS = [
    {"name": name, "parameters": {
        "properties": {"city": {"type": "string"}, "nights": {"type": "integer"},
                       "name": {"type": "string"}, "pets": {"type": "boolean"}},
        "required": ["city", "nights", "name"]}}
    for name in ("book", "cancel")]
EXAMPLE_GOLD = 'book(city="Oslo", nights=3, name="Ada")'
ESM_EXAMPLES = {
    "correct": EXAMPLE_GOLD,
    "a value of another case": 'book(city="oslo", nights=3, name="Ada")',
    "a longer text": 'book(city="Oslo, Norway", nights=3, name="Ada")',
    "a redundant parameter": 'book(city="Oslo", nights=3, name="Ada", pets=true)',
    "a wrong value": 'book(city="Rome", nights=3, name="Ada")',
    "a hallucinated parameter": 'book(city="Oslo", nights=3, name="Ada", bed="king")',
    "a value of the wrong type": 'book(city="Oslo", nights="3", name="Ada")',
    "all values wrong": 'book(city="Rome", nights=2, name="Bob")',
    "a missing parameter": 'book(city="Oslo", nights=3)',
    "a boolean for a number": 'book(city="Oslo", nights=true, name="Ada")',
    "wrong tool": 'cancel(city="Oslo", nights=3, name="Ada")',
    "wrong tool, all values wrong": 'cancel(city="Rome", nights=2, name="Bob")',
    "no parameters": "book()",
    "no such tool": "fly()",
    "no call": "book(city=",
}


def main():
    """Print the worked examples."""
    for gold, predictions in EXAMPLES.items():
        print(f"\n  ours released    ESM  gold: {gold}")
        for prediction in predictions:
            errors = classify(prediction, gold, TOOLS)
            ours = total_reward(errors)
            released = released_rule(prediction, gold, TOOLS)
            differ = " " if ours == released else "!"
            score = esm(prediction, gold, TOOLS).score
            named = ", ".join(sorted(error.value for error in errors)) or "correct"
            print(f"{ours:+6.2f} {released:+8.2f} {differ} {score:5.3f}  {prediction}  [{named}]")
    print_esm_examples()


def print_esm_examples():
    """Print ESM on its own examples: ours, the released code's, and over the union of keys."""
    print(f"\n   ESM released  union      R  gold: {EXAMPLE_GOLD}")
    for what, prediction in ESM_EXAMPLES.items():
        mended = esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS).score
        union = esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS, EsmRule(over="union")).score
        try:
            released = f"{esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS, RELEASED).score:.3f}"
        except ParseError:
            released = "error"
        total = reward(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS)
        print(f" {mended:.3f} {released:>8} {union:6.3f} {total:+6.2f}  {prediction}  [{what}]")


if __name__ == "__main__":
    cli(main)
