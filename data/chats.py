"""Readers of the two chat formats: OpenAI's messages, and ShareGPT.

    {"messages": [{"role", "content", "tool_calls", "tool_call_id"}], "tools": [schema]}
    {"conversations": [{"from", "value"}], "tools": "[schema]"}

Both become the turns of data/trajectories.py. A call is a turn of its own. Text that stands beside
calls or between questions is context: a turn that is not trained. The text that ends a conversation
is its answer, and becomes `finish(answer=...)`, with a schema where the item offers no `finish`. A
system message goes before the first question: the system turn holds the tools alone.
"""

import json
import re

from data.turns import Label, Turn, checked, make_call_turn
from plumbing.files import InputError, parse_json

OPENAI = "OpenAI messages"
SHAREGPT = "ShareGPT"
OPENAI_ROLES = {"system": "system", "developer": "system", "user": "user",
                "assistant": "assistant", "tool": "function", "function": "function"}
SHAREGPT_ROLES = {"system": "system", "human": "user", "user": "user", "gpt": "assistant",
                  "assistant": "assistant", "function_call": "assistant",
                  "observation": "function", "tool": "function", "function": "function"}
FINISH = {"type": "function", "function": {
    "name": "finish", "description": "End the task and give the answer.",
    "parameters": {"type": "object", "required": ["answer"], "properties": {
        "answer": {"type": "string", "description": "the answer to the task"}}}}}
# In the text of an assistant they mean calls that the file's writer did not take out of it.
CALL_MARKS = ("<tool_call>", "[TOOL_CALLS]", "<functioncall>", "<|python_tag|>", "<function=",
              "Action Input:")


def chat_form(item):
    """OPENAI or SHAREGPT, or "" for another item. item: a JSON object."""
    messages = item.get("messages") or item.get("conversations")
    if not isinstance(messages, list):
        return OPENAI if "messages" in item else ""
    messages = [message for message in messages if isinstance(message, dict)]
    if any("from" in message and "role" not in message for message in messages):
        return SHAREGPT
    if "messages" in item:
        return OPENAI
    is_chat = any(
        message.get("role") in ("tool", "developer") or "tool_calls" in message
        or "function_call" in message for message in messages)
    return OPENAI if is_chat else ""


def read_chat(item, where):
    """An item of a chat format -> (schemas of its tools, turns, their Labels).

    Raises InputError that starts with `where` and names the turn.
    """
    key = "messages" if item.get("messages") or "conversations" not in item else "conversations"
    messages = item[key]
    if item.get("messages") and item.get("conversations"):
        raise InputError(f"{where}: has both messages and conversations; keep one of them")
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{where}: has no {key}")
    read_message = _read_openai if chat_form(item) == OPENAI else _read_sharegpt
    turns = []
    labels = []
    system = [item["system"]] if isinstance(item.get("system"), str) else []
    for i, message in enumerate(messages):
        here = f"{where}, turn {i}"
        if not isinstance(message, dict):
            raise InputError(f"{here}: must be a JSON object")
        for turn, id, tool in read_message(message, here):
            if turn.role == "system":
                system.append(turn.content)
            else:
                turns.append(turn)
                labels.append(Label(i, id, tool))
    schemas = _read_schemas(item, system, where)
    _refuse_hidden_calls(turns, labels, schemas, where)
    if turns and turns[-1].role == "assistant" and not turns[-1].name:
        turns[-1] = make_call_turn("finish", {"answer": turns[-1].content}, where)
        if "finish" not in map(_name_of, schemas):
            schemas = [*schemas, FINISH]
    _put_before_question(turns, labels, system)
    first = Turn("system", json.dumps(schemas, ensure_ascii=False))
    return schemas, [first, *turns], [Label(0), *labels]


# ------------------------------------------------------------------------------------- one message

def _read_openai(message, where):
    """Yield (Turn, id, tool) of a message: of its text first, then of its calls."""
    role = OPENAI_ROLES.get(message.get("role"))
    if role is None:
        raise InputError(f"{where}: unknown role {message.get('role')!r:.60}")
    if message.get("weight", 1) != 1:
        raise InputError(f"{where}: weight {message['weight']!r:.20} is not read")
    text = _text_of(message.get("content"), f"{where}: content")
    calls = _list_of(message.get("tool_calls"), f"{where}: tool_calls")
    if message.get("function_call"):
        calls = [*calls, message["function_call"]]
    if calls and role != "assistant":
        raise InputError(f"{where}: calls in a message of the role {message['role']}")
    if text is None and not calls:
        raise InputError(f"{where}: content is missing or not text")
    if role == "function":
        yield Turn(role, text), _id_of(message, "tool_call_id"), _id_of(message, "name")
    elif text or not calls:
        yield Turn(role, text), "", ""
    for call in calls:
        yield _read_call(call, where)


def _read_sharegpt(message, where):
    """Yield (Turn, id, tool) of a message."""
    role = SHAREGPT_ROLES.get(message.get("from"))
    if role is None:
        raise InputError(f"{where}: unknown speaker {message.get('from')!r:.60}")
    text = message.get("value")
    if not isinstance(text, str):
        raise InputError(f"{where}: value is missing or not text")
    if message["from"] != "function_call":
        yield Turn(role, checked(text, where)), "", ""
        return
    calls = parse_json(text, f"{where}: function_call")
    for call in calls if isinstance(calls, list) and calls else [calls]:
        yield _read_call(call, where)


def _read_call(call, where):
    """{"id", "function": {"name", "arguments"}}, or the inner object alone -> (Turn, id, "")."""
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name.strip() or "\n" in name.strip():
        raise InputError(f"{where}: a call without the name of a tool")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = parse_json(arguments, f"{where}: arguments of {name}") if arguments else {}
    if not isinstance(arguments, dict):
        raise InputError(f"{where}: arguments of {name} must be a JSON object")
    return make_call_turn(name, arguments, where), _id_of(call, "id"), ""


def _text_of(content, where):
    """A message's content, a text or a list of parts that are texts; None if it is null."""
    if isinstance(content, list) and content:
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise InputError(f"{where} holds a part that is no text")
        content = "\n".join(parts)
    if content is None:
        return None
    if not isinstance(content, str):
        raise InputError(f"{where} is missing or not text")
    return checked(content, where)


def _list_of(value, where):
    if value is not None and not isinstance(value, list):
        raise InputError(f"{where} must be a list")
    return value or []


def _id_of(message, key):
    """A message's id or name as text, "" without one."""
    value = message.get(key)
    return "" if value is None else str(value)


# ---------------------------------------------------------------------------------- the whole item

def _read_schemas(item, system, where):
    """The schemas of the tools: of `tools` or `functions`, else of a system message that is a list.

    system: the texts of the system messages; one that lists the tools is taken out.
    """
    given = item.get("tools")
    if given is None:
        given = item.get("functions")
    if isinstance(given, str):
        given = parse_json(given, f"{where}: tools") if given.strip() else []
    listed = [text for text in system if re.match(r"\s*\[\s*[{\]]", text)]
    for text in listed:
        system.remove(text)
        schemas = parse_json(text, f"{where}: tools of the system message")
        if given is not None and given != schemas:
            raise InputError(f"{where}: its tools and its system message list different tools")
        given = schemas
    if not isinstance(given, (list, type(None))):
        raise InputError(f"{where}: the tools must be a JSON list")
    return given or []


def _name_of(schema):
    """The name of a tool, in a schema that nobody has checked yet."""
    function = schema.get("function", schema) if isinstance(schema, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _refuse_hidden_calls(turns, labels, schemas, where):
    """Raises InputError for a text of the assistant that holds a call: it would not be trained."""
    names = set(map(str, map(_name_of, schemas)))
    for turn, label in zip(turns, labels, strict=True):
        if turn.role != "assistant" or turn.name:
            continue
        found = [mark for mark in CALL_MARKS if mark in turn.content]
        first, _, rest = turn.content.strip().partition("\n")
        if first.strip() in names and rest.lstrip().startswith("{"):
            found.append(first)
        if found:
            raise InputError(f"{where}, turn {label.message}: a call in the text of the assistant "
                             f"({found[0]}) is not read; write it as tool_calls")


def _put_before_question(turns, labels, system):
    """Put the texts of system messages before the first user turn, or make it of them."""
    text = "\n\n".join(text for text in system if text.strip())
    if not text:
        return
    for place, turn in enumerate(turns):
        if turn.role == "user":
            turns[place] = Turn("user", f"{text}\n\n{turn.content}")
            return
    turns.insert(0, Turn("user", text))
    labels.insert(0, Label(0))
