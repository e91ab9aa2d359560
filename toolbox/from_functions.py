"""The schemas of Python functions of your own, as a JSON list on stdout.

    python -m toolbox.from_functions my_tools.py > tools.json

The file is imported, which runs it. Every public function that it defines becomes a tool: the type
of a parameter is its annotation, a parameter without a default is required, the description is the
docstring's first paragraph, and a line `name: what it is` (or `name (type): what it is`, or
`:param name: what it is`) describes a parameter. `finish` is added where the file has none: a
conversation ends in it.
"""

import importlib.util
import inspect
import json
import re
import sys
import types
import typing
from pathlib import Path

from data.chats import FINISH
from plumbing.files import InputError
from plumbing.flags import Parser, cli
from toolbox.execute import public_functions

TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
         tuple: "array", dict: "object"}


def read_functions(path):
    """{name: function} of the public functions that a Python file defines. Raises InputError."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location("functions_of_the_user", path)
    if spec is None:
        raise InputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks up its annotations
    spec.loader.exec_module(module)
    functions = public_functions(module)
    if not functions:
        raise InputError(f"{path}: defines no public function")
    return functions


def schema_of(name, function, where):
    """The schema of a function. Raises InputError for an annotation that has no JSON type."""
    text = inspect.getdoc(function) or ""
    description = " ".join(text.split("\n\n")[0].split())
    meanings = dict(re.findall(r"^[^\S\n]*(?::param (?:\w+ )?)?(\w+)(?: \([^)]*\))?: (.+)$", text,
                               re.MULTILINE))
    properties = {}
    required = []
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except NameError as error:  # imported under TYPE_CHECKING
        raise InputError(f"{where}: {name}: an annotation cannot be resolved: {error}") from None
    for parameter in inspect.signature(function).parameters.values():
        here = f"{where}: {name}: {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InputError(f"{here}: * and ** have no schema")
        properties[parameter.name] = _type_of(hints.get(parameter.name), here)
        if parameter.name in meanings:
            properties[parameter.name]["description"] = meanings[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    return {"type": "function", "function": {
        "name": name, "description": description, "parameters": {
            "type": "object", "properties": properties, "required": required}}}


def _type_of(hint, where):
    """The JSON Schema of an annotation."""
    origin = typing.get_origin(hint)
    inner = typing.get_args(hint)
    if origin is typing.Literal:
        values = [value for value in inner if value is not None]
        kinds = {TYPES.get(type(value)) for value in values}
        if len(kinds) != 1 or None in kinds:
            raise InputError(f"{where}: a Literal must hold texts, or numbers of one type")
        return {"type": kinds.pop(), "enum": values}
    if origin in (typing.Union, types.UnionType):
        inner = [one for one in inner if one is not type(None)]
        if len(inner) == 1:
            return _type_of(inner[0], where)
    if (origin or hint) not in TYPES:
        raise InputError(f"{where}: needs an annotation such as str, int, float, bool or list[str]")
    schema = {"type": TYPES[origin or hint]}
    if schema["type"] == "array" and inner:
        schema["items"] = _type_of(inner[0], where)
    return schema


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m toolbox.from_functions",
                    description="The schemas of the functions of a Python file.")
    parser.add_argument("file", help="Python file; it is run")
    path = parser.parse_args().file
    functions = read_functions(path)
    schemas = [schema_of(name, function, path) for name, function in functions.items()]
    if "finish" not in functions:
        schemas.append(FINISH)
    print(json.dumps(schemas, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    cli(main)
