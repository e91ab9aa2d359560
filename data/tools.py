"""Tool schemas, and the Python signature that the model reads in their place.

A schema is `{"name", "description", "parameters": {"properties", "required"}}`, bare or wrapped as
`{"type": "function", "function": schema}`. A missing `required`, type or description is read as empty.
"""

import json
from typing import NamedTuple

from plumbing.files import InputError

NAMES = {dict: "an object", list: "a list", str: "text"}


class Parameter(NamedTuple):
    name: str
    type: str
    description: str
    required: bool


class Tool(NamedTuple):
    name: str
    description: str
    parameters: tuple[Parameter, ...]  # in the order of the signature: required ones first


def read_tool(schema, where="tool"):
    """One schema -> Tool. Raises InputError, led by `where`, for anything but a schema with a name."""
    function = schema.get("function", schema) if isinstance(schema, dict) else schema
    if not isinstance(function, dict):
        raise InputError(f"{where}: a tool must be a JSON object, not {type(function).__name__}")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: tool without name")
    where = f"{where}: tool {name}"
    parameters = _get(function, "parameters", dict, where)
    properties = _get(parameters, "properties", dict, where)
    required = _get(parameters, "required", list, where)
    if not all(isinstance(key, str) for key in required):
        raise InputError(f"{where}: required must list names of parameters")
    order = list(dict.fromkeys([*required, *properties]))  # the order of `required`, then of `properties`
    return Tool(name, _get(function, "description", str, where), tuple(
        _read_parameter(key, _get(properties, key, dict, where), key in required, where) for key in order))


def _read_parameter(name, schema, required, where):
    kind = schema.get("type")
    kind = json.dumps(kind) if isinstance(kind, list) else _get(schema, "type", str, f"{where}: {name}")
    return Parameter(name, kind, _get(schema, "description", str, f"{where}: {name}"), required)


def _get(schema, key, kind, where):
    """schema[key], or an empty one where it is missing or null. Raises InputError for another type."""
    value = schema.get(key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{where}: {key} must be {NAMES[kind]}")
    return kind() if value is None else value


def read_tools(schemas, where="tools"):
    """A list of schemas -> tuple of Tool, in the same order (doubled names are kept). Raises InputError."""
    if not isinstance(schemas, (list, tuple)):
        raise InputError(f"{where}: the tools must be a JSON list")
    return tuple(schema if isinstance(schema, Tool) else read_tool(schema, where) for schema in schemas)


def signature(tool):
    """The block of one tool in the system prompt.

    >>> tool = read_tool({"name": "f", "description": "Does f.", "parameters": {
    ...     "properties": {"b": {"type": "integer"}, "a": {"type": "string", "description": "An a."}},
    ...     "required": ["a"]}})
    >>> print(signature(tool))
    Function:
    def f(a: string, b: integer = None):
        \"\"\"
        Does f.
    <BLANKLINE>
        Args:
        a (string): An a.
        b (integer):\x20
        \"\"\"
    """
    arguments = ", ".join(f"{p.name}: {p.type}" + ("" if p.required else " = None") for p in tool.parameters)
    lines = [f"Function:\ndef {tool.name}({arguments}):", '    """',
             f"    {tool.description}", "", "    Args:"]
    lines += [f"    {p.name} ({p.type}): {p.description}" for p in tool.parameters]
    return "\n".join([*lines, '    """'])


def write_call(name, arguments):
    """A call as the model writes it. `arguments`: dict of JSON values.

    >>> write_call("search", {"query": "café", "n": 3, "exact": True})
    'search(query="café", n=3, exact=true)'
    """
    return f"{name}({', '.join(f'{k}={json.dumps(v, ensure_ascii=False)}' for k, v in arguments.items())})"
