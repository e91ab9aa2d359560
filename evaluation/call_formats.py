"""The calls in what a model wrote, in every form in which models write calls.

    call     search(query="x", n=3)            also several, or in a list: [f(a=1), g(b=2)]
    json     {"name": "search", "arguments": {"query": "x"}}     several; in a list; in <tool_call> tags;
                                               as {"function": {...}}; "parameters" for "arguments"
    react    Thought: ...  Action: search  Action Input: {"query": "x"}

Any of them may stand in a ``` block and after a sentence. What is between <think> and </think> is no call.
"""

import json
import re

from data.calls import Call, ParseError, parse_call
from plumbing.files import parse_json

FORMATS = ("auto", "call", "react", "json")
# What a reasoning model thinks; the tag that opens it may stand in the prompt.
THOUGHT = re.compile(r"\A(\s*<think>.*?(</think>|\Z)|.*?\n</think>)", re.DOTALL)
REACT = re.compile(r"(\A\s*(Thought|Action):[\s\S]*|^Action: .*\n?)Action Input:", re.MULTILINE)
PREFIX = re.compile(r"\s*(```\w*\n|(Assistant|Call):)?\s*")
JSON = re.compile(r"\[?\s*\{")
FENCED_JSON = re.compile(r"^```\w*\s*(?=\[?\s*\{)", re.MULTILINE)
CALL = re.compile(r"^\s*[\w.-]+\(", re.MULTILINE)
LIST = re.compile(r"^\[(?=\s*[\w.-]+\()", re.MULTILINE)
BETWEEN = re.compile(r"[\s,;]*")  # what may stand between two calls
LISTED = re.compile(r"([\s,;\[\]]|```\w*)*")  # and between two in JSON, in a list or each in a block
BRACKET_OR_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|' r"'[^'\\]*(?:\\.[^'\\]*)*'|[][(){}]", re.DOTALL)
MAX_CALLS = 64  # in one prediction; the items ask for 4 at most


def calls(text, tools=(), form="auto"):
    """The calls in a prediction, at least one, in the order in which they stand. `tools`: those offered.

    Raises ParseError, and nothing else, for a text without a call of that form.

    >>> calls('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>')[0].arguments
    {'a': 1}
    """
    text = without_thoughts(text)
    form = form_of(text) if form == "auto" else form
    return {"react": _react, "json": _json, "call": _python}[form](text, tools)


def without_thoughts(text):
    """A text without what a reasoning model thinks before it answers.

    >>> without_thoughts("<think>f(x) takes a number.</think> f(1)")
    ' f(1)'
    """
    return THOUGHT.sub("", text)


def form_of(text):
    """One of FORMATS, by what a spoken text begins with and the marks in it."""
    if REACT.search(text):
        return "react"
    begins = _json_begins(text)  # with what a tool gave back, if a call stands before it
    is_json = JSON.match(text, begins) and not CALL.search(text, 0, begins)
    return "json" if is_json or "<tool_call>" in text else "call"


def _react(text, tools):
    """As RoTBench's evaluate.py reads it: a newline after the name goes, all text to the end is the input."""
    before, found, arguments = text.partition("Action Input:")
    _, named, name = before.partition("Action:")
    if not (found and named):
        raise ParseError("no Action and Action Input")
    return [_call(name.removeprefix(" ").removesuffix("\n"), _load(arguments))]


def _json(text, tools):
    """JSON calls: those in tags, else in a list or one after the other; what cannot be read after the first
    one is ignored.
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
    tagged = re.findall(r"<tool_call>(.*?)(?:</tool_call>|\Z)", text, re.DOTALL)
    yield from map(_load, tagged)
    start = len(text) if tagged else LISTED.match(text, _json_begins(text)).end()
    while text[start:start + 1] == "{":
        value, start = _load(text, start)
        yield value
        start = LISTED.match(text, start).end()


def _json_begins(text):
    """Where JSON begins, if there is any: at the start, else in a block."""
    start = PREFIX.match(text).end()
    fenced = None if JSON.match(text, start) else FENCED_JSON.search(text)
    return fenced.end() if fenced else start


def _json_call(value):
    if not isinstance(value, dict):
        raise ParseError("a call must be a JSON object")
    value = value["function"] if isinstance(value.get("function"), dict) else value
    key = "parameters" if "arguments" not in value and "parameters" in value else "arguments"
    if key not in value and value.keys() != {"name"}:
        raise ParseError("a call must have arguments")  # under another key they would be lost
    arguments = value.get(key, {})
    return _call(value.get("name"), _load(arguments) if isinstance(arguments, str) else arguments)


def _call(name, arguments):
    if not isinstance(name, str) or not name:
        raise ParseError("a call must have a name")
    if not isinstance(arguments, dict):
        raise ParseError(f"{name}: the arguments must be a JSON object")
    return Call(name, arguments, (0, len(name)))


def _python(text, tools):
    """Calls as Python writes them, bare or in a list; what cannot be read after the first one is ignored."""
    start = PREFIX.match(text).end()
    start += text[start:start + 1] == "["
    listed = LIST.search(text, start)  # after a sentence
    if listed and not CALL.search(text, start, listed.start()):
        start = listed.end()
    call = parse_call(text[start:], tools)
    found = [call]
    while len(found) < MAX_CALLS:
        start = BETWEEN.match(text, _end(text, start + call.name_span[1])).end()
        try:
            call = parse_call(text[start:], tools)
        except ParseError:
            break
        if call.name_span[0]:  # not the next thing in the text
            break
        found.append(call)
    return found


def _end(text, start):
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


def _load(text, start=None):
    """The JSON value that `text` is; with `start`, (the value that begins there, where it ends)."""
    try:
        if start is None:
            return parse_json(text, "arguments", twice=True)
        _, end = json.JSONDecoder().raw_decode(text, start)
        return parse_json(text[start:end], "call", twice=True), end
    except (ValueError, RecursionError) as error:  # ValueError: InputError, too
        raise ParseError(f"not JSON: {error}") from None
