"""The reward of TL-Training, section 3.3: read a call, name its errors, look up their values in a table.

    python reward.py      # the table on worked examples, and what the released code gives for them
"""

import enum
import re

from data.calls import Call, ParseError, parse_call  # noqa: F401  public names of this file too
from data.tools import read_tools


class ErrorType(enum.Enum):
    UNPARSABLE = "cannot be parsed"
    UNKNOWN_TOOL = "tool not offered"
    WRONG_TOOL = "wrong tool"
    HALLUCINATED = "hallucinated parameter"  # the tool has no such parameter
    REDUNDANT = "redundant parameter"        # the tool has it, the gold call does without
    MISSING = "missing parameter"            # the gold call has it
    CONTENT = "wrong content"                # the gold call's parameters, another value


CORRECT = 1.0
REWARDS = {  # section 3.3; a wrong tool costs less than all errors of parameters: the paper's choice
    ErrorType.UNPARSABLE: -2.0, ErrorType.UNKNOWN_TOOL: -2.0, ErrorType.WRONG_TOOL: -1.5,
    ErrorType.HALLUCINATED: -0.8, ErrorType.REDUNDANT: -0.5, ErrorType.MISSING: -0.5,  # R_p: these add up
    ErrorType.CONTENT: -0.25}


def reward(prediction, gold, tools):
    """R in [-2, 1] of a predicted call; takes and raises what `classify` does."""
    return total_reward(classify(prediction, gold, tools))


def total_reward(errors):
    """R of a set of ErrorTypes: their values add up, and none is a correct call."""
    return sum(REWARDS[error] for error in errors) if errors else CORRECT


def classify(prediction, gold, tools):
    """The frozenset of ErrorTypes in the text of a predicted call, given that of the gold call and the tools
    (schemas or Tools). A tool that is not offered is an error even where the gold call names it, and so is a
    parameter that the tool has not. Raises ValueError if the gold call cannot be parsed.
    """
    tools = read_tools(tools)
    try:
        wanted = gold if isinstance(gold, Call) else parse_call(gold, tools, strict=True)
    except ParseError as error:
        raise ValueError(f"gold call {gold!r}: {error}") from None
    try:
        is_read = isinstance(prediction, Call)
        call = prediction if is_read else parse_call(prediction, tools, strict=True)
    except ParseError:
        return frozenset({ErrorType.UNPARSABLE})
    if call.name not in [tool.name for tool in tools]:
        return frozenset({ErrorType.UNKNOWN_TOOL})
    if call.name != wanted.name:
        return frozenset({ErrorType.WRONG_TOOL})
    known = {p.name for p in next(tool for tool in tools if tool.name == call.name).parameters}
    keys, gold_keys = set(call.arguments), set(wanted.arguments)
    content = frozenset() if same_value(call.arguments, wanted.arguments) else frozenset({ErrorType.CONTENT})
    return frozenset(parameter_errors(keys, gold_keys, known)) or content


def parameter_errors(keys, gold_keys, known):
    """The ErrorTypes of a call with the parameters `keys`, whose tool has those that are `known`."""
    wrong = {ErrorType.HALLUCINATED: keys - known, ErrorType.REDUNDANT: (keys & known) - gold_keys,
             ErrorType.MISSING: gold_keys - keys}
    return tuple(error for error, names in wrong.items() if names)


def same_value(a, b):
    """Equality of JSON values: 1 == 1.0, True != 1, "1" != 1, keys in any order; tuples are lists."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_value, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def released_rule(prediction, gold, tools):
    """What the released code gives (ppo_trainer.py), to print beside ours: it reads up to the first `)`, and
    only values in single quotes."""
    calls = [re.search(r"([^\n(]*)\(([^)]*)\)", text) for text in (prediction, gold)]
    if None in calls:
        return -2.0
    (name, values), (gold_name, gold_values) = [
        (call[1].strip(), dict(re.findall(r"(\w+)\s*=\s*'([^']*)'", call[2]))) for call in calls]
    known = {tool.name: {p.name for p in tool.parameters} for tool in read_tools(tools)}
    if name != gold_name or name not in known:
        return -2.0 if name and name not in known else -1.5
    keys, gold_keys = set(values), set(gold_values)
    parameters = -0.8 * bool(keys - known[name]) - 0.5 * bool((keys & known[name]) - gold_keys)
    return (parameters - 0.5 * bool(gold_keys - keys)) or (1.0 if values == gold_values else -0.25)


TOOLS = [{"name": name, "parameters": {"properties": dict.fromkeys(keys)}}
         for name, keys in {"search": ("query", "n", "page"), "ping": ()}.items()]
EXAMPLES = {  # gold -> predictions; the first gold is written as the released code expects it
    "search(query='love', n='3')": (
        "search(query='love', n='3')", "search(n='3', query='hate')", "search(query='love')",
        "search(query='love', n='3', page='1')", "search(query='love', n='3', bogus='1')",
        "search(query='love', page='1', bogus='1')", "ping()", "sing(song='love')",
        "search(query='love', n='3'", "search(query='love', n='3'), ping()",
        "search(n='9', query='love', n='3')"),
    'search(query="love", n=3)': (
        'search(query="love", n=3)', 'search(query="completely wrong", n=99, bogus=1)',
        "search(query='love', n=3)"),
    "search(query='love (song)')": ("search(query='love (song)')", "search(query='love (film)', n='3')"),
}


def main():
    """Print the worked examples."""
    for gold, predictions in EXAMPLES.items():
        print(f"\n  ours released  gold: {gold}")
        for prediction in predictions:
            ours, theirs = reward(prediction, gold, TOOLS), released_rule(prediction, gold, TOOLS)
            errors = ", ".join(sorted(error.value for error in classify(prediction, gold, TOOLS)))
            differ = " " if ours == theirs else "!"
            print(f"{ours:+6.2f} {theirs:+8.2f} {differ} {prediction}  [{errors or 'correct'}]")


if __name__ == "__main__":
    main()
