r"""Reader of tool-use conversations as they were recorded: TL-Training's raw format, and chats.

A file such as raw_data.json is a JSON list of items, or has an item a line. Items of the chat
formats are read by data/chats.py; docs/data.md shows one of each. In the raw format the system
turn comes first and holds the JSON list of tools, as text. An assistant turn is a tool's name, a
newline and the arguments as a JSON object; this reader makes a call of it, as the model writes
calls. A function turn is the tool's feedback: data/turns.py says of which call. Other keys of an
item or a turn are ignored; that a result is an error must stand in its content.

One item, as json.load gives it, and what is read from it:

>>> item = {
...     "id": "advice-180",
...     "conversations": [
...         {"role": "system", "content":
...          '[{"type": "function", "function": {"name": "search_advice", '
...          '"description": "Finds advice slips that hold a term.", '
...          '"parameters": {"type": "object", "properties": {"query": '
...          '{"type": "string", "description": "The term."}}, "required": ["query"]}}}]'},
...         {"role": "user", "content": "Could you share some wisdom about regret with me?"},
...         {"role": "assistant", "content": 'search_advice\n{"query": "regret"}'},
...         {"role": "function", "content": '{"slips": [{"id": 180, "advice": "Never regret."}]}'},
...         {"role": "assistant", "content": 'finish\n{"answer": "Never regret."}'}]}
>>> for turn in read_item(item).turns[1:]:
...     print(f"{turn.role}: {turn.content}")
user: Could you share some wisdom about regret with me?
assistant: search_advice(query="regret")
function: {"slips": [{"id": 180, "advice": "Never regret."}]}
assistant: finish(answer="Never regret.")
"""

from collections import Counter
from functools import lru_cache

from data.chats import chat_form, read_chat
from data.tools import read_tools
from data.turns import (
    Conversation,
    Label,
    Turn,
    checked,
    is_marked_error,
    make_call_turn,
    order_feedback,
)
from plumbing.files import InputError, parse_json, read_records

ROLES = ("system", "user", "assistant", "function")
RAW = "TL-Training's own format"


def read(path):
    """All conversations of a file. Raises InputError that names file, item and turn."""
    return read_conversations(read_items(path))


def read_items(path):
    """The items of a file -> [(item, where it stands)], unread. Raises InputError without any."""
    items = read_records(path)
    if not items:
        raise InputError(f"{path}: holds no conversation; a file must be a JSON list or lines")
    return items


def read_conversations(items):
    """Items of `read_items` -> Conversations. Raises InputError that names file, item and turn."""
    return [read_item(item, where) for item, where in items]


def formats(items):
    """A line: in which formats these items are written, and how many in each.

    >>> formats([({"conversations": []}, ""), ({"messages": []}, ""), ({"messages": []}, "")])
    "1 item in TL-Training's own format, 2 items in OpenAI messages"
    """
    counts = Counter((chat_form(item) if isinstance(item, dict) else "") or RAW
                     for item, _ in items)
    return ", ".join(f"{count:,} {'item' if count == 1 else 'items'} in {form}"
                     for form, count in counts.items())


def read_item(item, where="item"):
    """One item of a trajectory file -> Conversation. Raises InputError that starts with `where`."""
    tools, turns, labels = read_unpaired(item, where)
    return Conversation(str(item.get("id", "")), tools, order_feedback(turns, labels, where))


def read_unpaired(item, where):
    """One item -> (Tools, Turns, Labels), before results are paired with calls.

    Raises InputError that starts with `where`.
    """
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be a JSON object")
    if not chat_form(item):
        return _read_raw(item, where)
    return read_chat(item, where)


def _read_raw(item, where):
    """An item of the raw format -> (Tools, Turns, Labels)."""
    messages = item.get("conversations")
    if not isinstance(messages, list) or not messages:
        keys = ", ".join(map(str, item))[:100] or "nothing"
        raise InputError(f"{where}: has no conversations, but {keys}; a file must be a JSON list, "
                         f"or lines, of items in {RAW} (conversations with role and content), of "
                         "OpenAI's messages, of ShareGPT (conversations with from and value), of "
                         "xLAM (query, answers, tools), of OpenAI's Responses (input) or of "
                         "Gemini (contents)")
    turns = []
    labels = []
    for i, message in enumerate(messages):
        turn = _read_turn(message, f"{where}, turn {i}")
        if (turn.role == "system") != (i == 0):
            raise InputError(
                f"{where}, turn {i}: the system turn must be the first and only the first")
        turns.append(turn)
        labels.append(_read_label(message, turn, i))
    try:
        tools = _read_system(turns[0].content)
    except InputError as error:
        raise InputError(f"{where}, turn 0: {error}") from None
    return tools, turns, labels


@lru_cache(maxsize=1024)
def _read_system(text):
    """The Tools that a system turn lists; the same for all conversations with one tool set."""
    return read_tools(parse_json(text, "tools"), "tools")


def _read_label(message, turn, i):
    id = message.get("tool_call_id")
    if id is None and turn.role == "assistant":
        id = message.get("id")
    tool = message.get("name") if turn.role == "function" else None
    return Label(i, "" if id is None else str(id), "" if tool is None else str(tool))


def _read_turn(message, where):
    """One message -> Turn. Raises InputError that starts with `where`."""
    if not isinstance(message, dict):
        raise InputError(f"{where}: must be a JSON object")
    for key in ("role", "content"):
        if not isinstance(message.get(key), str):
            raise InputError(f"{where}: {key} is missing or not text")
    role = message["role"]
    content = message["content"]
    if role not in ROLES:
        raise InputError(f"{where}: unknown role {role!r}")
    if role == "function" and is_marked_error(message):
        raise InputError(f"{where}: is_error, isError or status is not read here; say in the "
                         "content that it is an error")
    if role != "assistant":
        return Turn(role, checked(content, where))
    name, newline, text = content.partition("\n")
    if not newline or not name.strip():
        raise InputError(
            f"{where}: an assistant turn must be a tool's name, a newline and JSON arguments")
    arguments = parse_json(text, f"{where}: arguments of {name}")
    if not isinstance(arguments, dict):
        raise InputError(f"{where}: arguments of {name} must be a JSON object")
    return make_call_turn(name, arguments, where)
