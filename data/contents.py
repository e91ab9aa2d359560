"""Gemini's contents, as messages of OpenAI.

    {"contents": [{"role": "user" | "model" | "function", "parts": [part]}],
     "tools": [{"function_declarations": [schema]}], "system_instruction": {"parts": [{"text"}]}}

    part: {"text"}, {"functionCall": {"name", "args"}}, {"functionResponse": {"name", "response"}}

Names of keys may be written_so or writtenSo. A part with "thought": true is left out.
"""

import json

from plumbing.files import InputError

ROLES = {"user": "user", "model": "assistant", "function": "user", "tool": "user"}
SIGNATURES = ("thought", "thoughtSignature", "thought_signature")  # beside what a part holds


def read_content(content, where):
    """One of the contents -> OpenAI's messages, one for each text, call and result in it.

    Raises InputError that starts with `where` and names what is not read.

    >>> read_content({"role": "model", "parts": [
    ...     {"functionCall": {"name": "f", "args": {"a": 1}}}]}, "item")
    [{'role': 'assistant', 'tool_calls': [{'id': None, 'name': 'f', 'arguments': {'a': 1}}]}]
    """
    role = content.get("role", "user")
    if not isinstance(role, str) or role not in ROLES:
        raise InputError(f"{where}: unknown role {role!r:.60}")
    messages = []
    for kind, value in _parts(content.get("parts"), where):
        if kind == "text":
            messages.append({"role": ROLES[role], "content": value})
        elif (kind == "functionCall") != (role == "model"):
            raise InputError(f"{where}: {kind} in contents of the role {role}")
        elif kind == "functionCall":
            call = {"id": value.get("id"), "name": value.get("name"),
                    "arguments": _object(value.get("args"), f"{where}: args")}
            messages.append({"role": "assistant", "tool_calls": [call]})
        else:
            response = _object(value.get("response"), f"{where}: response")
            messages.append({"role": "tool", "tool_call_id": value.get("id"),
                             "name": value.get("name"),
                             "content": json.dumps(response, ensure_ascii=False)})
    return messages


def read_instruction(item, where):
    """The texts of the system instruction of an item: one, or none."""
    for key in ("system_instruction", "systemInstruction"):
        value = item.get(key)
        if isinstance(value, str):
            return [value]
        if isinstance(value, dict):
            parts = _parts(value.get("parts"), f"{where}: {key}")
            if any(kind != "text" for kind, _ in parts):
                raise InputError(f"{where}: {key} holds a part that is no text")
            return ["".join(text for _, text in parts)]
        if value is not None:
            raise InputError(f"{where}: {key} must be text or have parts")
    return []


def _parts(parts, where):
    """[(what a part is, its value)] of the parts that are no thoughts; texts in a row are one."""
    if not isinstance(parts, list) or not parts:
        raise InputError(f"{where}: has no parts")
    found = []
    for part in parts:
        if not isinstance(part, dict):
            raise InputError(f"{where}: a part must be a JSON object")
        held = [key for key in part if key not in SIGNATURES]
        kind = {"function_call": "functionCall",
                "function_response": "functionResponse"}.get(held[0], held[0]) if held else ""
        if len(held) != 1 or kind not in ("text", "functionCall", "functionResponse"):
            seen = ", ".join(held)[:60] or "nothing"
            raise InputError(f"{where}: a part with {seen} is not read")
        value = part[held[0]]
        if not isinstance(value, str if kind == "text" else dict):
            needed = "text" if kind == "text" else "a JSON object"
            raise InputError(f"{where}: {held[0]} must be {needed}")
        if kind == "text" and found and found[-1][0] == "text" and not part.get("thought"):
            found[-1] = ("text", found[-1][1] + value)
        elif not part.get("thought"):
            found.append((kind, value))
    return found


def _object(value, where):
    """A JSON object; {} for null. Raises InputError for another value."""
    if not isinstance(value, (dict, type(None))):
        raise InputError(f"{where} must be a JSON object")
    return value or {}
