r"""Reader of TL-Training's raw format: tool-use conversations as they were recorded.

A file such as raw_data.json is a JSON list of items. The system turn comes first and holds the JSON
list of tools, as text. An assistant turn is a tool's name, a newline and the arguments as a JSON
object; this reader makes a call of it, as the model writes calls. A function turn is the tool's
feedback. Other keys of an item or a turn are ignored.

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

from typing import NamedTuple

from data.tools import Tool, read_tools, write_call
from plumbing.files import InputError, parse_json, read_json

ROLES = ("system", "user", "assistant", "function")


class Turn(NamedTuple):
    """A message of a conversation."""

    role: str                      # one of ROLES
    content: str                   # as recorded; assistant turns: the call as the model writes it
    name: str = ""                 # assistant turns: the tool that is called ...
    arguments: dict | None = None  # ... and its arguments


class Conversation(NamedTuple):
    """An item of a trajectory file."""

    id: str
    tools: tuple[Tool, ...]
    turns: tuple[Turn, ...]  # turns[0] is the system turn


def read(path):
    """All conversations of a file. Raises InputError that names file, item and turn."""
    items = read_json(path)
    if not isinstance(items, list):
        kind = type(items).__name__
        raise InputError(f"{path}: must be a JSON list of conversations, not {kind}")
    if not items:
        raise InputError(f"{path}: holds no conversation")
    return [read_item(item, f"{path}: item {index}") for index, item in enumerate(items)]


def read_item(item, where="item"):
    """One item of a trajectory file -> Conversation. Raises InputError that starts with `where`."""
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be a JSON object")
    messages = item.get("conversations")
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{where}: has no conversations")
    turns = tuple(_read_turn(message, f"{where}, turn {i}") for i, message in enumerate(messages))
    for i, turn in enumerate(turns):
        if (turn.role == "system") != (i == 0):
            raise InputError(
                f"{where}, turn {i}: the system turn must be the first and only the first")
    schemas = parse_json(turns[0].content, f"{where}, turn 0: tools")
    tools = read_tools(schemas, f"{where}, turn 0")
    return Conversation(str(item.get("id", "")), tools, turns)


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
    if role != "assistant":
        return Turn(role, _checked(content, where))
    name, newline, text = content.partition("\n")
    if not newline or not name.strip():
        raise InputError(
            f"{where}: an assistant turn must be a tool's name, a newline and JSON arguments")
    arguments = parse_json(text, f"{where}: arguments of {name}")
    if not isinstance(arguments, dict):
        raise InputError(f"{where}: arguments of {name} must be a JSON object")
    return Turn(role, _checked(write_call(name, arguments), where), name, arguments)


def _checked(text, where):
    """`text`, if it is Unicode text. Raises InputError that starts with `where`.

    Half a surrogate pair is not: JSON can spell it and no tokenizer can read it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: not Unicode text at character {error.start}") from None
    return text
