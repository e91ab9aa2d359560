"""The calls in what a model wrote, in every format in which models write calls.

    call     search(query="x", n=3)            also several, or in a list: [f(a=1), g(b=2)]
    json     {"name": "search", "arguments": {"query": "x"}}     several; in a list; in <tool_call>
                                               tags; as {"function": {...}}; "parameters" for
                                               "arguments"
    react    Thought: ...  Action: search  Action Input: {"query": "x"}

Any of them may stand in a ``` block and after a sentence. What is between <think> and </think> is
no call. A new format is a reader, its place in READERS at the end of this file, and its mark in
`format_of`.
"""

import json
import re

from data.calls import ParseError, make_call, parse_call
from plumbing.files import parse_json

# What a reasoning model thinks; the tag that opens it may stand in the prompt.
THOUGHT = re.compile(r"\A(\s*<think>.*?(</think>|\Z)|.*?\n</think>)", re.DOTALL)
REACT = re.compile(r"(\A\s*(Thought|Action):[\s\S]*|^Action: .*\n?)Action Input:", re.MULTILINE)
PREFIX = re.compile(r"\s*(```\w*\n|(Assistant|Call):)?\s*")
JSON = re.compile(r"\[?\s*\{")
FENCED_JSON = re.compile(r"^```\w*\s*(?=\[?\s*\{)", re.MULTILINE)
TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
CALL = re.compile(r"^\s*[\w.-]+\(", re.MULTILINE)
LIST = re.compile(r"^\[(?=\s*[\w.-]+\()", re.MULTILINE)
BETWEEN = re.compile(r"[\s,;]*")  # what may stand between two calls
LISTED = re.compile(r"([\s,;\[\]]|```\w*)*")  # the same in JSON, in a list or each in a block
STRINGS = r'"[^"\\]*(?:\\.[^"\\]*)*"|' r"'[^'\\]*(?:\\.[^'\\]*)*'"
BRACKET_OR_STRING = re.compile(rf"{STRINGS}|[][(){{}}]", re.DOTALL)
MAX_CALLS = 64  # in one prediction; the items ask for 4 at most


def read_calls(text, tools=(), call_format="auto"):
    """The calls in a prediction, at least one, in the order in which they stand.

    tools: those offered; call_format: one of FORMATS. Raises ParseError, and nothing else, for a
    text without a call of that format.

    >>> read_calls('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>')[0].arguments
    {'a': 1}
    """
    text = without_thoughts(text)
    if call_format == "auto":
        call_format = format_of(text)
    return READERS[call_format](text, tools)


def without_thoughts(text):
    """A text without what a reasoning model thinks before it answers.

    >>> without_thoughts("<think>f(x) takes a number.</think> f(1)")
    ' f(1)'
    """
    return THOUGHT.sub("", text)


def format_of(text):
    """The format of a text without thoughts, by what it begins with and the marks in it."""
    if REACT.search(text):
        return "react"
    if "<tool_call>" in text:
        return "json"
    begins = _json_begins(text)
    if not JSON.match(text, begins):
        return "call"
    # JSON after a call is what a tool gave back.
    return "call" if CALL.search(text, 0, begins) else "json"


# -------------------------------------------------------------------------------------------- react

def _read_react(text, tools):
    """As RoTBench's evaluate.py reads it.

    A newline after the name goes; the input runs to the end of the text.
    """
    before, found, arguments = text.partition("Action Input:")
    _, named, name = before.partition("Action:")
    if not (found and named):
        raise ParseError("no Action and Action Input")
    return [_make_call(name.removeprefix(" ").removesuffix("\n"), _load(arguments))]


# --------------------------------------------------------------------------------------------- json

def _read_json(text, tools):
    """JSON calls: those in tags, else in a list or one after the other.

    What cannot be read after the first one is ignored.
    """
    found = []
    try:
        for value in _json_values(text):
            found.append(_json_call(value))
    except ParseError:
        if not found:
            raise
    if not found:
        raise ParseError("no JSON object")
    return found


def _json_values(text):
    tagged = TAGGED.findall(text)
    if tagged:
        yield from map(_load, tagged)
        return
    start = LISTED.match(text, _json_begins(text)).end()
    while text[start:start + 1] == "{":
        value, end = _load_first(text, start)
        yield value
        start = LISTED.match(text, end).end()


def _json_begins(text):
    """Where JSON begins, if there is any: at the start, else in a block."""
    start = PREFIX.match(text).end()
    if JSON.match(text, start):
        return start
    fenced = FENCED_JSON.search(text)
    return fenced.end() if fenced else start


def _json_call(value):
    if not isinstance(value, dict):
        raise ParseError("a call must be a JSON object")
    if isinstance(value.get("function"), dict):
        value = value["function"]
    key = "parameters" if "arguments" not in value and "parameters" in value else "arguments"
    if key not in value and value.keys() != {"name"}:
        raise ParseError("a call must have arguments")  # under another key they would be lost
    arguments = value.get(key, {})
    if isinstance(arguments, str):
        arguments = _load(arguments)
    return _make_call(value.get("name"), arguments)


def _make_call(name, arguments):
    if not isinstance(name, str) or not name:
        raise ParseError("a call must have a name")
    if not isinstance(arguments, dict):
        raise ParseError(f"{name}: the arguments must be a JSON object")
    return make_call(name, arguments)


def _load(text):
    """The JSON value that `text` is."""
    try:
        return parse_json(text, "arguments", twice=True)
    except ValueError as error:  # InputError
        raise ParseError(f"not JSON: {error}") from None


def _load_first(text, start):
    """(the JSON value that begins at `start`, where it ends)."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
        return parse_json(text[start:end], "call", twice=True), end
    except (ValueError, RecursionError) as error:  # ValueError: InputError, too
        raise ParseError(f"not JSON: {error}") from None


# --------------------------------------------------------------------------------------------- call

def _read_python(text, tools):
    """Calls as Python writes them, bare or in a list.

    What cannot be read after the first one is ignored.
    """
    start = PREFIX.match(text).end()
    if text[start:start + 1] == "[":
        start += 1
    listed = LIST.search(text, start)  # after a sentence
    if listed and not CALL.search(text, start, listed.start()):
        start = listed.end()
    call = parse_call(text[start:], tools)
    found = [call]
    while len(found) < MAX_CALLS:
        end = _call_ends(text, start + call.name_span[1])
        start = BETWEEN.match(text, end).end()
        try:
            call = parse_call(text[start:], tools)
        except ParseError:
            break
        if call.name_span[0]:  # not the next thing in the text
            break
        found.append(call)
    return found


def _call_ends(text, start):
    """Where the brackets close that open after `start`, in the text of a call that was read."""
    depth = 0
    for match in BRACKET_OR_STRING.finditer(text, start):
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
            if depth == 0:
                return match.end()
    return len(text)


READERS = {"call": _read_python, "react": _read_react, "json": _read_json}
FORMATS = ("auto", *READERS)
