"""Tool schemas, and the Python signature that the model reads in their place.

A schema is `{"name", "description", "parameters": {"properties", "required"}}`, bare or wrapped as
`{"type": "function", "function": schema}`. A missing `required`, type or description is read as
empty.
"""

import json
from typing import NamedTuple

from plumbing.files import InputError

TYPE_NAMES = {dict: "an object", list: "a list", str: "text"}  # JSON's names for Python's types


class Parameter(NamedTuple):
    """A parameter of a tool; all texts as the schema has them."""

    name: str
    type: str
    description: str
    required: bool


class Tool(NamedTuple):
    """A tool that is offered to the model."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]  # in the order of the signature: required ones first


def read_tool(schema, where="tool"):
    """One schema -> Tool. Raises InputError, led by `where`, for all but a schema with a name."""
    function = schema.get("function", schema) if isinstance(schema, dict) else schema
    if not isinstance(function, dict):
        raise InputError(f"{where}: a tool must be a JSON object, not {type(function).__name__}")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: tool without name")
    where = f"{where}: tool {name}"
    parameters = _member(function, "parameters", dict, where)
    properties = _member(parameters, "properties", dict, where)
    required = _member(parameters, "required", list, where)
    if not all(isinstance(key, str) for key in required):
        raise InputError(f"{where}: required must list names of parameters")
    description = _member(function, "description", str, where)
    ordered = dict.fromkeys([*required, *properties])  # distinct names, the required ones first
    return Tool(name, description, tuple(
        _read_parameter(key, _member(properties, key, dict, where), key in required, where)
        for key in ordered))


def _read_parameter(name, schema, required, where):
    """One of a tool's `properties` -> Parameter. Raises InputError, led by `where` and the name."""
    where = f"{where}: {name}"
    if isinstance(schema.get("type"), list):  # JSON Schema allows several: ["string", "null"]
        kind = json.dumps(schema["type"])
    else:
        kind = _member(schema, "type", str, where)
    return Parameter(name, kind, _member(schema, "description", str, where), required)


def _member(schema, key, kind, where):
    """schema[key], or an empty `kind` where it is missing or null.

    Raises InputError, led by `where`, for a value of another type.
    """
    value = schema.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise InputError(f"{where}: {key} must be {TYPE_NAMES[kind]}")
    return value


def read_tools(schemas, where="tools"):
    """A list of schemas (or Tools) -> tuple of Tool, in the same order; doubled names are kept.

    Raises InputError, led by `where`.
    """
    if not isinstance(schemas, (list, tuple)):
        raise InputError(f"{where}: the tools must be a JSON list")
    return tuple(schema if isinstance(schema, Tool) else read_tool(schema, where)
                 for schema in schemas)


def signature(tool):
    """The block of one tool in the system prompt, as TL-Training writes it.

    >>> tool = read_tool({"name": "f", "description": "Does f.", "parameters": {
    ...     "properties": {"b": {"type": "integer"},
    ...                    "a": {"type": "string", "description": "An a."}},
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
    declarations = []
    for parameter in tool.parameters:
        default = "" if parameter.required else " = None"
        declarations.append(f"{parameter.name}: {parameter.type}{default}")
    lines = ["Function:",
             f"def {tool.name}({', '.join(declarations)}):",
             '    """',
             f"    {tool.description}",
             "",
             "    Args:"]
    for parameter in tool.parameters:
        lines.append(f"    {parameter.name} ({parameter.type}): {parameter.description}")
    lines.append('    """')
    return "\n".join(lines)


def write_call(name, arguments):
    """A call as the model writes it. arguments: dict of JSON values.

    >>> write_call("search", {"query": "café", "n": 3, "exact": True})
    'search(query="café", n=3, exact=true)'
    """
    pairs = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items()]
    return f"{name}({', '.join(pairs)})"
