"""Reader of TL-Training's raw format: tool-use conversations as they were recorded.

A file is a JSON list of `{"id", "conversations": [{"role", "content"}]}`. `system` comes first and holds the
JSON list of tools; an `assistant` turn is `tool_name`, a newline and the arguments as a JSON object; a
`function` turn is the tool's feedback. Other keys are ignored.
"""

from typing import NamedTuple

from data.tools import Tool, read_tools, write_call
from plumbing.files import InputError, parse_json, read_json

ROLES = ("system", "user", "assistant", "function")


class Turn(NamedTuple):
    role: str                      # one of ROLES
    content: str                   # as recorded; for an assistant turn the call as the model writes it
    name: str = ""                 # assistant turns: the tool that is called ...
    arguments: dict | None = None  # ... and its arguments


class Conversation(NamedTuple):
    id: str
    tools: tuple[Tool, ...]
    turns: tuple[Turn, ...]  # turns[0] is the system turn


def read(path):
    """All conversations of a file. Raises InputError that names file, item and turn."""
    items = read_json(path)
    if not isinstance(items, list):
        raise InputError(f"{path}: must be a JSON list of conversations, not {type(items).__name__}")
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
            raise InputError(f"{where}, turn {i}: the system turn must be the first and only the first")
    schemas = parse_json(turns[0].content, f"{where}, turn 0: tools")
    return Conversation(str(item.get("id", "")), read_tools(schemas, f"{where}, turn 0"), turns)


def _read_turn(message, where):
    if not isinstance(message, dict):
        raise InputError(f"{where}: must be a JSON object")
    for key in ("role", "content"):
        if not isinstance(message.get(key), str):
            raise InputError(f"{where}: {key} is missing or not text")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise InputError(f"{where}: unknown role {role!r}")
    if role != "assistant":
        return Turn(role, _checked(content, where))
    name, newline, text = content.partition("\n")
    if not newline or not name.strip():
        raise InputError(f"{where}: an assistant turn must be a tool's name, a newline and JSON arguments")
    arguments = parse_json(text, f"{where}: arguments of {name}")
    if not isinstance(arguments, dict):
        raise InputError(f"{where}: arguments of {name} must be a JSON object")
    return Turn(role, _checked(write_call(name, arguments), where), name, arguments)


def _checked(text, where):
    """`text`, unless it holds half a surrogate pair, which JSON can spell and no tokenizer can read."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: not Unicode text at character {error.start}") from None
    return text
