r"""Calls, results and tools that stand in the texts of a chat, as a model's template wrote them.

    Hermes, Qwen     system: <tools>[schema]</tools>
                     assistant: <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>
                     tool: <tool_response>...</tool_response>
    Glaive, Mistral, Llama 3.1    <functioncall> {...}, [TOOL_CALLS] [{...}], <|python_tag|>{...}
    Llama 3.2, ToolACE, ours      [f(a=1), g(b=2)], which is the whole text; system: ... [schema]
    a call in JSON                {"name": "f", "arguments": {"a": 1}}, which is the whole text
    ReAct            assistant: Thought: ...  Action: f  Action Input: {"a": 1}, a line each
                     user or tool: Observation: ...   last: Thought: ...  Final Answer: ...

A value is decoded from where it begins, as JSON or a Python literal, so that a tag inside it is
part of it. What is written in another way is not read; `hidden_call` names it.
"""

import re

from data.calls import OPEN, ParseError, Source, any_name, is_bare_word, parse_call
from data.parameters import JSON_SCHEMAS
from plumbing.files import InputError, parse_json

# The mark of a call, and what may end it besides the end of the text.
CALL_MARKS = {"<tool_call>": r"</tool_call>", "<functioncall>": r"</functioncall>|<\|endoftext\|>",
              "[TOOL_CALLS]": r"</s>", "<|python_tag|>": r"<\|e(om|ot)_id\|>"}
OTHER_MARKS = ("<function=", "<tool_code>", "```tool_code", "Action Input:", "<｜tool▁call",
               "<|tool_call", "<invoke ", "<function_call", "<arg_key>", "<|channel|>", "[ARGS]",
               "✿FUNCTION✿", "functools[", "<tool_response>", "<start_function_call>")
# A name in JSON and its arguments, in the ways of several models.
NAME_IN_JSON = re.compile(r"[\"'](?:name|tool|tool_name|action|function)[\"']\s*+:\s*+"
                          r"[\"']([^\"'\n]{1,200}+)[\"']")
ARGUMENTS_IN_JSON = re.compile(r"[\"'](?:arguments|parameters|args|kwargs|action_input|tool_input"
                               r"|input)[\"']\s*+:")
SCHEMA = re.compile(r"\[\s*+\{\s*+[\"']|^\{\s*+[\"']", re.MULTILINE)
# Lines of a system message that tell in which form calls are to be written: not in ours.
ABOUT_FORM = re.compile(r"</?tool|function signatures|pydantic"
                        r"|(function|tool)[ _]call.{0,60}json (object|schema)"
                        r"|json (object|schema).{0,60}(function|tool)[ _](call|name)",
                        re.IGNORECASE)
LIST_OPENS = re.compile(r"^[^\S\n]*\[", re.MULTILINE)
THOUGHT = "<think>"
THOUGHT_END = "</think>"
TURN_ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "</s>")
BETWEEN = re.compile(r"[\s,]*")
FENCED = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)
# ReAct's lines; `Observation:` may end a text, where a model stopped at it.
REACT = re.compile(
    r"^Action:[^\S\n]*+(?P<name>[^\n]{1,200}+)\n\s*+Action Input:\s*+(?:```\w*+\s*+)?",
    re.MULTILINE)
REACT_END = re.compile(r"\s*(?:```\s*)?(?:Observation:\s*)?(?:</s>\s*)?")
FINAL_ANSWER = re.compile(r"^Final Answer:[^\S\n]*", re.MULTILINE)
ARGUMENT_KEYS = ("arguments", "parameters")


# -------------------------------------------------------------------------------------------- tools

def tools_in(text, where):
    """(the schemas that a system message holds, the text without them); (None, text) without any.

    Raises InputError that starts with `where` for <tools> that cannot be read.
    """
    tagged, rest = _elements(text, "tools")
    tagged = [inner for inner in tagged if inner.strip()]
    if tagged:
        try:
            schemas = []
            for inner in tagged:
                schemas += _values(inner)
        except ParseError as error:
            raise InputError(f"{where}: <tools> of the system message: {error}") from None
        _, rest = _elements(rest, "tool_call")
        lines = [line for line in rest.split("\n") if not ABOUT_FORM.search(line)]
        return schemas, "\n".join(lines).strip()
    try:
        source = Source(text)
    except ParseError:  # too long
        return None, text
    for found in SCHEMA.finditer(text):
        if source.left < 0:  # nothing but beginnings
            break
        try:
            schemas, end = _values_at(source, found.start())
        except ParseError:
            continue
        if schemas and all(map(_is_schema, schemas)):
            return schemas, (text[:found.start()] + text[end:]).strip()
    return None, text


def _is_schema(value):
    """Whether a value describes a tool: a name beside parameters, and not a thing with a name."""
    function = value.get("function", value) if isinstance(value, dict) else None
    return (isinstance(function, dict) and isinstance(function.get("name"), str)
            and any(isinstance(function.get(key), dict) for key in JSON_SCHEMAS))


def _elements(text, name):
    """(what stands inside the elements of a name, the text with <name> in place of each)."""
    begin = f"<{name}>"
    end = f"</{name}>"
    inside = []
    outside = []
    pos = 0
    start = text.find(begin)
    while start >= 0 and (stop := text.find(end, start)) >= 0:
        inside.append(text[start + len(begin):stop])
        outside.append(text[pos:start])
        pos = stop + len(end)
        start = text.find(begin, pos)
    return inside, begin.join([*outside, text[pos:]])


def _values(text):
    """The values that a whole text is, one after the other or in a list. Raises ParseError."""
    try:
        value = parse_json(text, "")  # fast; what it refuses may be a Python literal, or several
        return value if isinstance(value, list) else [value]
    except InputError:
        source = Source(text)
    values, end = _values_at(source, re.match(r"\s*", text).end())
    if end < len(text):
        raise ParseError(f"text after the value at character {end}")
    return values


def _values_at(source, start):
    """(values one after the other, or those of one list; the place after them and white space)."""
    values = []
    end = start
    while source.text.startswith(("{", "["), end):
        try:
            value, end = source.value_at(end)
        except ParseError:
            if not values:
                raise
            break
        values += value if isinstance(value, list) else [value]
        end = BETWEEN.match(source.text, end).end()
    return values, end


# ------------------------------------------------------------------------------------------ results

def results_in(text):
    """The texts inside <tool_response>, if a text holds nothing else; None for another."""
    inside, outside = _elements(text, "tool_response")
    if outside.replace("<tool_response>", "").strip():
        return None
    return [inner.strip() for inner in inside]


# -------------------------------------------------------------------------------------------- calls

def calls_in(text, tools):
    """(the text beside calls, the calls as {"name", "arguments"}); (text, []) for a text alone.

    tools: the Tools that are offered. Raises ParseError for a call that cannot be read.
    """
    text = _without_end(text)
    thought, closing, answer = text.rpartition(THOUGHT_END)
    start = len(thought + closing)
    marks = [(place, mark) for mark in CALL_MARKS if (place := text.find(mark, start)) >= 0]
    if marks:
        return _marked_calls(text, min(marks)[1], start)
    if is_react(text):
        return _react_call(text, tools, start)
    whole = FENCED.fullmatch(answer.strip())
    whole = whole[1].strip() if whole else answer.strip()
    calls = _json_calls(whole, tools) or _listed_calls(whole, tools)
    return (thought + closing, calls) if calls else (text, [])


def _without_end(text):
    """A text without what a template writes at the end of a turn.

    >>> _without_end("Rain. <|endoftext|>"), _without_end("It was <s>10</s>")
    ('Rain.', 'It was <s>10</s>')
    """
    for mark in TURN_ENDS:
        is_html = mark == "</s>" and "<s>" in text
        if text.rstrip().endswith(mark) and not is_html:
            return text.rstrip().removesuffix(mark).rstrip()
    return text


def _marked_calls(text, mark, start):
    """The calls behind a mark that may come several times, and the text before and between."""
    source = Source(text)
    ends = re.compile(rf"\s*({CALL_MARKS[mark]})?", re.DOTALL)
    beside = [text[:start]]
    calls = []
    pos = start
    while (found := text.find(mark, pos)) >= 0:
        beside.append(text[pos:found])
        inside = found + len(mark)
        values, end = _values_at(source, BETWEEN.match(text, inside).end())
        closing = ends.match(text, end)
        if not values or not all(map(_is_call, values)):
            raise ParseError(f"no JSON object with name and arguments after {mark}")
        if not closing[1] and closing.end() < len(text):
            raise ParseError(f"{mark} is not closed")
        calls += values
        pos = closing.end()
    beside.append(text[pos:])
    return "\n".join(part.strip() for part in beside if part.strip()), calls


def is_react(text):
    """Whether a text of the assistant has lines with an action and its input."""
    return bool(REACT.search(text.rpartition(THOUGHT_END)[2]))


def _react_call(text, tools, start):
    """The call of a ReAct step and what precedes it. Raises ParseError for anything after it.

    >>> _react_call('Thought: I look.\\nAction: f\\nAction Input: {"a": 1}\\nObservation:', [], 0)
    Traceback (most recent call last):
    data.calls.ParseError: Action: f, but no tools are listed
    """
    found = REACT.search(text, start)
    name = found["name"].strip("`*\"' ")
    if not tools:
        raise ParseError(f"Action: {name[:60]}, but no tools are listed")
    try:
        value, end = Source(text).value_at(found.end())
    except ParseError as error:
        raise ParseError(f"the Action Input: of {name[:60]} is no JSON object: {error}") from None
    if not isinstance(value, dict):
        raise ParseError(f"the Action Input: of {name[:60]} is no JSON object")
    end = REACT_END.match(text, end).end()
    if end < len(text):
        raise ParseError(f"text after the Action Input: of {name[:60]} at character {end}")
    return text[:found.start()].strip(), [{"name": name, "arguments": value}]


def observation_in(text):
    """What stands after `Observation:`, with which a text begins; None for another text."""
    before, found, after = text.partition("Observation:")
    return after.strip() if found and not before.strip() else None


def answer_in(text):
    """(the thought, the final answer) of ReAct's last text; ("", text) of another.

    >>> answer_in("Thought: I know it.\\nFinal Answer: Rain.")
    ('Thought: I know it.', 'Rain.')
    """
    found = FINAL_ANSWER.search(text)
    if not found or not text.startswith(("Thought:", "Final Answer:")):
        return "", text
    return text[:found.start()].strip(), text[found.end():].strip()


def split_thought(text):
    """(the thought before an answer, the answer); ("", text) of a text without a thought.

    R1's template writes <think> itself, so that a text begins with what follows it.

    >>> split_thought("<think>\\nhm\\n</think>\\nrain"), split_thought("hm\\n</think>\\n\\nrain")
    (('<think>\\nhm\\n</think>', 'rain'), ('hm\\n</think>', 'rain'))
    >>> split_thought("Write </think> after it.")
    ('', 'Write </think> after it.')
    """
    thought, closing, answer = text.rpartition(THOUGHT_END)
    if text.lstrip().startswith(THOUGHT):
        return (thought + closing, answer.strip()) if closing else (text, "")
    if closing and (answer.startswith("\n") or not answer):
        return thought + closing, answer.strip()
    return "", text


def _is_call(value):
    function = value.get("function", value) if isinstance(value, dict) else None
    return (isinstance(function, dict) and isinstance(function.get("name"), str)
            and any(key in function for key in ARGUMENT_KEYS))


def _json_calls(text, tools):
    """The calls that a whole text is in JSON; [] for another text.

    Raises ParseError where one calls a tool that is not offered: it may be a call or data.
    """
    if not text.startswith(("{", "[")):
        return []
    try:
        values = _values(text)
    except ParseError:
        return []
    offered = {tool.name for tool in tools}
    if not values or not all(map(_is_call, values)):
        return []
    for value in values:
        name = value.get("function", value)["name"].strip()
        if name not in offered:
            raise ParseError(f"{name[:60]} is not offered")
    return values


def _listed_calls(text, tools):
    """The calls that a whole text is in Python's form, bare or in a list; [] for another text."""
    if not text.endswith((")", "]")):
        return []
    try:
        source = Source(text, tools, strict=True)
    except ParseError:  # too long
        return []
    pattern = re.compile(rf"[\s,]*({any_name(source.offered)}){OPEN}")
    calls = []
    pos = int(text.startswith("["))
    closing = "]" * pos
    while found := pattern.match(text, pos):
        try:
            call, pos = source.call_at(found[1], found.start(1), found.end())
        except ParseError:
            return []
        if call.name not in source.offered:
            return []
        calls.append({"name": call.name, "arguments": call.arguments})
    return calls if text[pos:].strip() == closing else []


def hidden_call(text, tools):
    """The mark or name with which a call begins in a text whose calls were not read; or ""."""
    text = text.rpartition(THOUGHT_END)[2]
    for mark in (*CALL_MARKS, *OTHER_MARKS):
        if mark in text:
            return mark
    names = {tool.name for tool in tools}
    first, _, rest = text.strip().partition("\n")
    if first.strip() in names and rest.lstrip().startswith("{"):
        return first.strip()
    if not any(name in text for name in names):
        return ""
    if ARGUMENTS_IN_JSON.search(text):
        for found in NAME_IN_JSON.finditer(text):
            if found[1].strip() in names:
                return found[0]
    try:
        call = parse_call(LIST_OPENS.sub("", text), tools)
    except ParseError:
        return ""
    is_prose = any(map(is_bare_word, call.arguments.values()))
    return f"{call.name}(" if call.name in names and not is_prose else ""
