"""Readers of the chat formats: of OpenAI, ShareGPT, xLAM's questions with calls, and Gemini.

    {"messages": [{"role", "content", "tool_calls", "tool_call_id"}], "tools": [schema]}
    {"conversations": [{"from", "value"}], "tools": "[schema]"}
    {"query": text, "answers": "[{name, arguments}]", "tools": "[schema]"}
    {"input": [{"role", "content"} | {"type": "function_call" | "function_call_output", "call_id"}],
     "tools": [schema], "instructions": text}      and its "output"
    {"contents": [{"role", "parts"}], "tools": [{"function_declarations": [schema]}]}

They become the Turns of data/turns.py. A call is a turn of its own. Text that stands beside
calls or between questions is context: a turn that is not trained. The text that ends a conversation
is its answer, and becomes `finish(answer=...)`, with a schema where the item offers no `finish`. A
system message goes before the first question: the system turn holds the tools alone. What a
template wrote into texts (<tool_call>, <tools>, Action Input:) is read by data/tagged.py, Gemini's
parts by data/contents.py.
"""

import json
import re

from data.calls import ParseError
from data.contents import read_content, read_instruction
from data.tagged import (
    ARGUMENT_KEYS,
    answer_in,
    calls_in,
    hidden_call,
    is_react,
    observation_in,
    results_in,
    split_thought,
    tools_in,
)
from data.tools import misfit, read_tool, read_tools
from data.turns import Label, Turn, checked, is_marked_error, make_call_turn
from plumbing.files import InputError, parse_json

OPENAI = "OpenAI messages"
SHAREGPT = "ShareGPT"
XLAM = "xLAM's format"
RESPONSES = "OpenAI Responses"
GEMINI = "Gemini's contents"
OPENAI_ROLES = {"system": "system", "developer": "system", "user": "user",
                "assistant": "assistant", "tool": "function", "function": "function",
                "tool_call": "assistant", "tool_response": "function"}
SHAREGPT_ROLES = {"system": "system", "human": "user", "user": "user", "gpt": "assistant",
                  "assistant": "assistant", "function_call": "assistant",
                  "observation": "function", "tool": "function", "function": "function",
                  "tool_call": "assistant", "tool_response": "function",
                  "function_response": "function"}
RESULT_IDS = ("tool_call_id", "call_id", "toolCallId")
CALL_ROLES = ("function_call", "tool_call")  # whose text is a call in JSON
# Keys by which a file's writer leaves a message out of training, and the value that does not.
LEFT_OUT = {"weight": 1, "loss": True, "train": True, "trainable": True}
FINISH = {"type": "function", "function": {
    "name": "finish", "description": "End the task and give the answer.",
    "parameters": {"type": "object", "required": ["answer"], "properties": {
        "answer": {"type": "string", "description": "the answer to the task"}}}}}


def chat_form(item):
    """OPENAI, SHAREGPT, XLAM, RESPONSES or GEMINI, or "" for another item. item: a JSON object."""
    messages = item.get("messages") or item.get("conversations")
    if messages is None and "contents" in item:
        return GEMINI
    if messages is None and any(isinstance(item.get(key), list) for key in ("input", "output")):
        return RESPONSES
    if messages is None and {"query", "answers", "tools"} <= item.keys():
        return XLAM
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
    """An item of a chat format -> (its Tools, turns, their Labels).

    Raises InputError that starts with `where` and names the turn.
    """
    told = _text_of(item.get("system") or None, f"{where}: system")  # a text, or Anthropic's blocks
    system = [told] if told else []
    if chat_form(item) == GEMINI:
        system += read_instruction(item, where)
    elif chat_form(item) == RESPONSES and isinstance(item.get("instructions"), str):
        system.append(item["instructions"])
    spoken = []  # (Turn, Label)
    for turn, label in _read_messages(item, where):
        if turn.role == "system":
            system.append(turn.content)
        else:
            spoken.append((turn, label))
    schemas, system = _read_schemas(item, system, where)
    tools = read_tools(schemas, where)
    turns = []
    labels = []
    for turn, label in _observed(spoken, where):
        for part, part_label in _parts_of(turn, label, tools, where):
            turns.append(part)
            labels.append(part_label)
    if turns and turns[-1].role == "assistant" and not turns[-1].name:
        if "finish" not in {tool.name for tool in tools}:
            schemas = [*schemas, FINISH]
            tools = (*tools, read_tool(FINISH))
        turns[-1:] = _answer_of(turns[-1].content, tools, f"{where}, turn {labels[-1].message}")
        labels += [labels[-1]] * (len(turns) - len(labels))
    _put_before_question(turns, labels, system)
    first = Turn("system", json.dumps(schemas, ensure_ascii=False))
    return tools, [first, *turns], [Label(0), *labels]


def _answer_of(text, tools, where):
    """The last text of a conversation -> [its thought, where it has one; the call of finish]."""
    reason = misfit("finish", {"answer": text}, tools)
    if reason:
        raise InputError(f"{where}: the last text would be finish(answer=...), but {reason}; "
                         "write the call")
    thought, answer = split_thought(text)
    if thought and not answer:
        raise InputError(f"{where}: the conversation ends in a thought without an answer")
    call = make_call_turn("finish", {"answer": answer}, where)
    return [Turn("assistant", thought), call] if thought else [call]


def _read_messages(item, where):
    """Yield (Turn, Label) of the messages of an item, system messages included."""
    if chat_form(item) == XLAM:
        yield from _read_xlam(item, where)
        return
    key, messages = _messages_of(item, where)
    if item.get("messages") and item.get("conversations"):
        raise InputError(f"{where}: has both messages and conversations; keep one of them")
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{where}: has no {key}")
    read_message = {SHAREGPT: _read_sharegpt, GEMINI: _read_gemini}.get(
        chat_form(item), _read_openai)
    for i, message in enumerate(messages):
        here = f"{where}, turn {i}"
        if not isinstance(message, dict):
            raise InputError(f"{here}: must be a JSON object")
        for name, value in LEFT_OUT.items():
            if message.get(name, value) not in (value, None):
                raise InputError(f"{here}: {name} {message[name]!r:.20} is not read")
        for turn, id, tool in read_message(message, here):
            yield turn, Label(i, id, tool)


def _messages_of(item, where):
    """(the key under which an item's messages stand, the messages)."""
    form = chat_form(item)
    if form == GEMINI:
        return "contents", item["contents"]
    if form == RESPONSES:
        asked = item.get("input")
        asked = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked or []
        return "input", asked + _optional_list(item.get("output"), f"{where}: output")
    key = "messages" if item.get("messages") or "conversations" not in item else "conversations"
    return key, item[key]


# ------------------------------------------------------------------------------------- one message

def _read_openai(message, where):
    """Yield (Turn, id, tool) of a message: of its text first, then of its calls."""
    role = message.get("role")
    if message.get("type") == "reasoning":
        return  # a thought
    if role is None and message.get("type") in ("function_call", "function_call_output"):
        yield _read_response_item(message, where)
        return
    if message.get("type") not in (None, "message"):
        raise InputError(f"{where}: an item of the type {message['type']!r:.60} is not read")
    if not isinstance(role, str) or role not in OPENAI_ROLES:
        raise InputError(f"{where}: unknown role {role!r:.60}")
    content, calls, results = _without_blocks(message.get("content"), where)
    text = _text_of(content, f"{where}: content")
    calls += _optional_list(message.get("tool_calls"), f"{where}: tool_calls")
    if message.get("function_call"):
        calls.append(message["function_call"])
    if role in CALL_ROLES and text:
        calls += _as_list(parse_json(text, f"{where}: {role}"))
        text = None
    role = OPENAI_ROLES[role]
    if calls and role != "assistant":
        raise InputError(f"{where}: calls in a message of the role {message['role']}")
    if results and role != "user":
        raise InputError(f"{where}: results in a message of the role {message['role']}")
    if text is None and not calls and not results:
        raise InputError(f"{where}: content is missing or not text")
    for part in results:
        yield Turn("function", _result_of(part, where)), _id_of(part, "tool_use_id"), ""
    if role == "function":
        ids = [_id_of(message, key) for key in RESULT_IDS]
        id = next(filter(None, ids), "")
        yield Turn(role, _told_error(message, text)), id, _id_of(message, "name")
    elif text or not (calls or results):
        yield Turn(role, text), "", ""
    for call in calls:
        yield _read_call(call, where)


def _read_response_item(message, where):
    """A call or a result among the items of OpenAI's Responses -> (Turn, id, "")."""
    id = _id_of(message, "call_id")
    if message["type"] == "function_call":
        turn, _, _ = _read_call(message, where)
        return turn, id, ""
    text = _text_of(message.get("output"), f"{where}: output") or ""
    return Turn("function", _told_error(message, text)), id, ""


def _without_blocks(content, where):
    """Anthropic's content -> (what is left of it, its calls, its results).

    {"type": "tool_use", "id", "name", "input"}, {"type": "tool_result", "tool_use_id", "content"};
    thoughts are left out.
    """
    if not isinstance(content, list):
        return content, [], []
    kinds = [part.get("type") if isinstance(part, dict) else None for part in content]
    calls = [part for part, kind in zip(content, kinds, strict=True) if kind == "tool_use"]
    results = [part for part, kind in zip(content, kinds, strict=True) if kind == "tool_result"]
    if results and kinds[:len(results)] != ["tool_result"] * len(results):
        raise InputError(f"{where}: text before a tool_result")
    left = [part for part, kind in zip(content, kinds, strict=True)
            if kind not in ("tool_use", "tool_result", "thinking", "redacted_thinking")]
    return left or (None if kinds else content), calls, results


def _result_of(part, where):
    """The text of Anthropic's tool_result."""
    text = _text_of(part.get("content"), f"{where}: content of a tool_result") or ""
    return _told_error(part, text)


def _told_error(result, text):
    """The text of a result; of one that is marked as an error, JSON that says so."""
    if is_marked_error(result):
        return json.dumps({"is_error": True, "content": text}, ensure_ascii=False)
    return text


def _read_sharegpt(message, where):
    """Yield (Turn, id, tool) of a message."""
    speaker = message.get("from")
    if not isinstance(speaker, str) or speaker not in SHAREGPT_ROLES:
        raise InputError(f"{where}: unknown speaker {speaker!r:.60}")
    text = message.get("value")
    if not isinstance(text, str):
        raise InputError(f"{where}: value is missing or not text")
    if speaker not in CALL_ROLES:
        role = SHAREGPT_ROLES[speaker]
        text = checked(text, where)
        yield Turn(role, _told_error(message, text) if role == "function" else text), "", ""
        return
    for call in _as_list(parse_json(text, f"{where}: {speaker}")):
        yield _read_call(call, where)


def _read_gemini(content, where):
    """Yield (Turn, id, tool) of one of Gemini's contents."""
    for message in read_content(content, where):
        yield from _read_openai(message, where)


def _read_xlam(item, where):
    """Yield (Turn, Label) of an item of xLAM: its question, and the calls that answer it."""
    query = item["query"]
    answers = item["answers"]
    if not isinstance(query, str):
        raise InputError(f"{where}: query is not text")
    if isinstance(answers, str):
        answers = parse_json(answers, f"{where}: answers")
    yield Turn("user", checked(query, f"{where}: query")), Label(0)
    for call in _optional_list(answers, f"{where}: answers"):
        turn, id, _ = _read_call(call, f"{where}: answers")
        yield turn, Label(1, id)


def _as_list(value):
    """A list that is not empty as it is, and any other value in a list."""
    return value if isinstance(value, list) and value else [value]


def _read_call(call, where):
    """{"id", "function": {"name", "arguments"}}, or the inner object alone -> (Turn, id, "")."""
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name.strip() or "\n" in name.strip():
        raise InputError(f"{where}: a call without the name of a tool")
    given = [key for key in (*ARGUMENT_KEYS, "input") if key in function]  # Anthropic's
    if len(given) > 1:
        raise InputError(f"{where}: a call of {name} with {' and '.join(given)}")
    arguments = function[given[0]] if given else None
    if isinstance(arguments, str):
        arguments = parse_json(arguments, f"{where}: arguments of {name}") if arguments else {}
    if given and arguments in (None, []):  # PHP writes an empty object as an empty list
        arguments = {}
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


def _optional_list(value, where):
    if value is not None and not isinstance(value, list):
        raise InputError(f"{where} must be a list")
    return value or []


def _id_of(message, key):
    """A message's id or name as text, "" without one."""
    value = message.get(key)
    return "" if value is None else str(value)


# ---------------------------------------------------------------------------------- the whole item

def _read_schemas(item, system, where):
    """(schemas of the tools, texts of system messages without those that only list them).

    They stand in `tools` or `functions`, else in a system message. system: its texts.
    """
    given = item.get("tools")
    if given is None:
        given = item.get("functions")
    if isinstance(given, str):
        given = parse_json(given, f"{where}: tools") if given.strip() else []
    if not isinstance(given, (list, type(None))):
        raise InputError(f"{where}: the tools must be a JSON list")
    rest = []
    for text in system:
        if re.match(r"\s*\[\s*[{\]]", text):
            schemas = parse_json(text, f"{where}: tools of the system message")
            text = ""
        elif given and "<tools>" not in text:
            schemas = None
        else:
            schemas, text = tools_in(text, where)
        if schemas is not None:
            if given and [*map(_bare, given)] != [*map(_bare, schemas)]:
                raise InputError(
                    f"{where}: its tools and its system message list different tools")
            given = schemas
        rest.append(text)
    return given or [], rest


def _bare(schema):
    """A schema without OpenAI's wrapper."""
    return schema.get("function", schema) if isinstance(schema, dict) else schema


def _parts_of(turn, label, tools, where):
    """Yield (Turn, Label) of what a turn's text holds: the text, calls, results.

    Raises InputError for a text of the assistant with a call that is not read.
    """
    where = f"{where}, turn {label.message}"
    if turn.role in ("user", "function") and "<tool_response>" in turn.content:
        results = results_in(turn.content)
        if results is None and turn.role == "user":
            raise InputError(f"{where}: text beside <tool_response>")
        for text in results or [turn.content]:
            yield Turn("function", text), _label_in(text, label)
        return
    if turn.role != "assistant" or turn.name:
        yield turn, label
        return
    try:
        text, calls = calls_in(turn.content, tools)
    except ParseError as error:
        raise InputError(f"{where}: a call in the text of the assistant: {error}") from None
    hidden = hidden_call(text, tools)
    if hidden:
        raise InputError(f"{where}: a call in the text of the assistant ({hidden}) is not read; "
                         "write it as tool_calls")
    thought, answer = answer_in(text)
    if thought and not calls:  # of ReAct
        yield Turn("assistant", thought), label
        text = answer
    if text or not calls:
        yield Turn("assistant", text), label
    for call in calls:
        turn, id, _ = _read_call(call, where)
        yield turn, label._replace(id=id)


def _observed(spoken, where):
    """[(Turn, Label)], in which what the user says after a ReAct call is its observation."""
    observed = []
    is_waiting = False
    for turn, label in spoken:
        if is_waiting and turn.role in ("user", "function"):
            text = observation_in(turn.content)
            if text is None and turn.role == "user":
                raise InputError(f"{where}, turn {label.message}: no Observation: after the "
                                 f"Action Input: of the turn before it, but {turn.content!r:.60}")
            turn = Turn("function", turn.content if text is None else text)
        is_waiting = turn.role == "assistant" and not turn.name and is_react(turn.content)
        observed.append((turn, label))
    return observed


def _label_in(text, label):
    """The Label of a result that names its call: {"name", "content"}, {"tool_call_id", ...}."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return label
    if not isinstance(value, dict) or "content" not in value:
        return label
    return label._replace(id=label.id or _id_of(value, "tool_call_id"),
                          tool=label.tool or _id_of(value, "name"))


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
