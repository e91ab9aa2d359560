"""The reward of TL-Training, section 3.3: read a call, name its errors, look them up in a table.

    python reward.py      # the table on worked examples, and what the released code gives for them
"""

import enum
import re

from data.calls import Call, ParseError, parse_call  # public names of this file, too
from data.tools import read_tools
from plumbing.flags import cli


class ErrorType(enum.Enum):
    UNPARSABLE = "cannot be parsed"
    UNKNOWN_TOOL = "tool not offered"
    WRONG_TOOL = "wrong tool"
    HALLUCINATED = "hallucinated parameter"  # the tool has no such parameter
    REDUNDANT = "redundant parameter"        # the tool has it, the gold call does without
    MISSING = "missing parameter"            # the gold call has it
    CONTENT = "wrong content"                # the gold call's parameters, another value


CORRECT = 1.0
REWARDS = {  # section 3.3; a wrong tool costs less than all three errors of parameters, -1.8
    ErrorType.UNPARSABLE: -2.0,
    ErrorType.UNKNOWN_TOOL: -2.0,
    ErrorType.WRONG_TOOL: -1.5,
    ErrorType.HALLUCINATED: -0.8,  # R_p: this and the next two add up
    ErrorType.REDUNDANT: -0.5,
    ErrorType.MISSING: -0.5,
    ErrorType.CONTENT: -0.25,
}


def reward(prediction, gold, tools, by_name=False):
    """R in [-2, 1] of a predicted call; takes and raises what `classify` does."""
    return total_reward(classify(prediction, gold, tools, by_name))


def total_reward(errors):
    """R of a set of ErrorTypes: their values add up, and none is a correct call."""
    if not errors:
        return CORRECT
    return sum(REWARDS[error] for error in errors)


def classify(prediction, gold, tools, by_name=False):
    """The frozenset of ErrorTypes in a predicted call, given the gold call and the tools on offer.

    prediction, gold: texts, read strictly, or Calls that have been read; tools: schemas or Tools. A
    tool that is not offered is an error even where the gold call names it, and so is a parameter
    that the tool does not have. by_name: only the tool is judged, for golds whose arguments are
    prose. Raises ValueError if the gold call cannot be parsed.
    """
    tools = read_tools(tools)
    try:
        wanted = _as_call(gold, tools)
    except ParseError as error:
        raise ValueError(f"gold call {gold!r}: {error}") from None
    try:
        call = _as_call(prediction, tools)
    except ParseError:
        return frozenset({ErrorType.UNPARSABLE})
    parameters = _parameters(call.name, tools)
    if parameters is None:
        return frozenset({ErrorType.UNKNOWN_TOOL})
    if call.name != wanted.name:
        return frozenset({ErrorType.WRONG_TOOL})
    if by_name:
        return frozenset()
    errors = parameter_errors(set(call.arguments), set(wanted.arguments), parameters)
    if errors:
        return frozenset(errors)
    if not same_value(call.arguments, wanted.arguments):
        return frozenset({ErrorType.CONTENT})
    return frozenset()


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
    """The ErrorTypes of a call with parameters `keys`, whose tool has those that are `known`."""
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


def main():
    """Print the worked examples."""
    for gold, predictions in EXAMPLES.items():
        print(f"\n  ours released  gold: {gold}")
        for prediction in predictions:
            errors = classify(prediction, gold, TOOLS)
            ours = total_reward(errors)
            released = released_rule(prediction, gold, TOOLS)
            differ = " " if ours == released else "!"
            named = ", ".join(sorted(error.value for error in errors)) or "correct"
            print(f"{ours:+6.2f} {released:+8.2f} {differ} {prediction}  [{named}]")


if __name__ == "__main__":
    cli(main)
