"""Tool schemas, and the Python signature that the model reads in their place.

A schema is `{"name", "description", "parameters": {"properties", "required"}}`, bare or wrapped as
`{"type": "function", "function": schema}`, `{"toolSpec": schema}` (Bedrock), or in a list under
`functionDeclarations` (Gemini). A missing `required`, type or description is read as empty. Other
ways to write the parameters are read by data/parameters.py.
"""

import json
from typing import NamedTuple

from data import parameters
from data.parameters import Parameter, member
from plumbing.files import InputError


class Tool(NamedTuple):
    """A tool that is offered to the model."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]  # in the order of the signature: required ones first


def read_tool(schema, where="tool"):
    """One schema -> Tool. Raises InputError, led by `where`, for all but a schema with a name."""
    function = schema
    for key in ("function", "toolSpec"):  # OpenAI's and Bedrock's wrapper
        if isinstance(schema, dict) and key in schema:
            function = schema[key]
    if not isinstance(function, dict):
        raise InputError(f"{where}: a tool must be a JSON object, not {type(function).__name__}")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: tool without name")
    name = name.strip()
    where = f"{where}: tool {name}"
    if "\n" in name:
        raise InputError(f"{where}: a name must be one line")
    description = member(function, "description", str, where)
    return Tool(name, description, parameters.read(function, where))


def read_tools(schemas, where="tools"):
    """A list of schemas (or Tools) -> tuple of Tool, in the same order; doubled names are kept.

    Raises InputError, led by `where`.
    """
    if not isinstance(schemas, (list, tuple)):
        raise InputError(f"{where}: the tools must be a JSON list")
    tools = []
    for schema in schemas:
        for one in declarations(schema):
            tools.append(one if isinstance(one, Tool) else read_tool(one, where))
    return tuple(tools)


def declarations(schema):
    """The schemas in an entry of a list of tools: itself, or Gemini's functionDeclarations."""
    for key in ("functionDeclarations", "function_declarations"):
        if isinstance(schema, dict) and isinstance(schema.get(key), list):
            return schema[key]
    return [schema]


def signature(tool, enums=False):
    """The block of one tool in the system prompt, as TL-Training writes it.

    enums: name the values that a parameter may have, where its schema lists them.

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
        kind = parameter.type
        if enums and parameter.values:
            kind += f", one of {', '.join(parameter.values)}"
        lines.append(f"    {parameter.name} ({kind}): {parameter.description}")
    lines.append('    """')
    return "\n".join(lines)


def write_call(name, arguments):
    """A call as the model writes it. arguments: dict of JSON values.

    >>> write_call("search", {"query": "café", "n": 3, "exact": True})
    'search(query="café", n=3, exact=true)'
    """
    pairs = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items()]
    return f"{name}({', '.join(pairs)})"


def misfit(name, arguments, tools):
    """Why a call does not fit the tools that are offered, or "".

    >>> tools = read_tools([{"name": "f", "parameters": {"properties": {"a": {}}}}])
    >>> misfit("g", {}, tools), misfit("f", {"a": 1, "b": 2}, tools), misfit("f", {}, tools)
    ('tool g is not offered', 'tool f has no parameter b', '')
    """
    offered = [tool for tool in tools if tool.name == name]
    if not offered:
        return f"tool {name} is not offered"
    known = {parameter.name for parameter in offered[0].parameters}  # as the reward: the first
    odd = [key for key in arguments if key not in known]
    return f"tool {name} has no parameter {', '.join(odd)}" if odd else ""
