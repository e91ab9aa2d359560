"""A tool's parameters, from every way in which schemas write them.

    parameters: {properties, required}            OpenAI, TL-Training
    parameters: {NAME: {type, description}}       xLAM's flat map; "int, optional" marks an option
    parameters: [{name, type, required}]          Qwen-Agent; OpenAPI, with {schema}
    inputSchema, input_schema                     MCP, Anthropic: as OpenAI's; Bedrock: in {json}
    parametersJsonSchema                          Google: as OpenAI's
    required_parameters, optional_parameters      ToolBench: lists of {name, type, description}

A key that is none of these but could hold parameters is refused: read as none at all, it would
train calls whose parameters the prompt does not show.
"""

import json
import re
from typing import NamedTuple

from plumbing.files import InputError

JSON_SCHEMAS = ("parameters", "inputSchema", "input_schema", "parametersJsonSchema")
LISTS = ("required_parameters", "optional_parameters")
SUSPECT = re.compile(r"param|arg(s|ument)|input|propert", re.IGNORECASE)
# What a JSON Schema may hold beside its parameters: keywords whose value is an object, and others.
HOLD_OBJECTS = (
    "$defs", "definitions", "additionalProperties", "patternProperties", "propertyNames",
    "dependentSchemas", "dependentRequired", "unevaluatedProperties")
KEYWORDS = ("type", "required", "title", "description", "strict", "$schema", "$id", "$comment",
            "default", "examples", "example", "allOf", "anyOf", "oneOf", "nullable",
            "minProperties", "maxProperties", "deprecated")
COMPOSED = {"$ref", "anyOf", "oneOf", "allOf", "enum"}  # parts of a parameter's schema
TYPE_NAMES = {dict: "an object", list: "a list", str: "text"}  # JSON's names for Python's types


class Parameter(NamedTuple):
    """A parameter of a tool; all texts as the schema has them."""

    name: str
    type: str
    description: str
    required: bool
    values: tuple[str, ...] = ()  # an enum's values, as JSON
    nullable: bool = False   # one of several types is null, which `type` leaves out


class Found(NamedTuple):
    """What a schema says of its parameters, before it is resolved."""

    properties: dict  # {name: schema}
    required: list    # names
    root: dict        # where "$ref" begins


def read(function, where):
    """The schema of a tool -> its Parameters, required ones first. Raises InputError."""
    if isinstance(function.get("parameters"), list) and function["parameters"]:
        if any(function.get(key) for key in (*JSON_SCHEMAS[1:], *LISTS)):
            raise InputError(f"{where}: two keys hold parameters; keep one of them")
        return _in_order(_of_list(function["parameters"], where), where)
    schemas = [_unwrapped(key, member(function, key, dict, where))
               for key in JSON_SCHEMAS if key in function]
    lists = {key: member(function, key, list, where) for key in LISTS if key in function}
    schemas = [schema for schema in schemas if schema]
    is_listed = any(lists.values())
    if schemas and (is_listed or any(schema != schemas[0] for schema in schemas)):
        given = [key for key in (*JSON_SCHEMAS, *LISTS) if function.get(key)]
        raise InputError(f"{where}: {', '.join(given)} say different things; keep one of them")
    if is_listed:
        return _in_order(_of_lists(lists, where), where)
    if not schemas:
        _refuse_suspects(function, where)
        return ()
    schema = schemas[0]
    if "properties" not in schema and _is_flat(schema, where):
        return _in_order(_of_flat_map(schema, where), where)
    composed = [key for key in ("$ref", "allOf", "anyOf", "oneOf") if key in schema]
    if composed and not schema.get("properties"):
        raise InputError(f"{where}: parameters under {composed[0]!r} are not read; "
                         "write them as properties")
    required = member(schema, "required", list, where)
    if not all(isinstance(name, str) for name in required):
        raise InputError(f"{where}: required must list names of parameters")
    properties = member(schema, "properties", dict, where)
    marked = [name for name, described in properties.items()  # as JSON Schema 3 and Swagger do
              if isinstance(described, dict) and described.get("required") is True]
    return _in_order(Found(properties, [*required, *marked], schema), where)


def member(schema, key, kind, where):
    """schema[key], or an empty `kind` where it is missing or null.

    PHP writes an empty object as an empty list. Raises InputError, led by `where`, for a value of
    another type.
    """
    value = schema.get(key)
    if value is None or (kind is dict and value == []):
        return kind()
    if not isinstance(value, kind):
        raise InputError(f"{where}: {key} must be {TYPE_NAMES[kind]}")
    return value


def _refuse_suspects(function, where):
    """Raises InputError if a tool without parameters has them under a key that is not read."""
    known = (*JSON_SCHEMAS, *LISTS)
    for key, value in function.items():
        if key not in known and SUSPECT.search(key) and value and isinstance(value, (dict, list)):
            raise InputError(f"{where}: no parameters, but {key!r:.60}; parameters are read from "
                             f"{', '.join(known)}")


def _in_order(found, where):
    """Found -> Parameters: the required ones in the order of `required`, then the others."""
    properties = {name.strip(): schema for name, schema in found.properties.items()}
    if len(properties) < len(found.properties):
        raise InputError(f"{where}: two parameters differ in white space alone")
    required = [name.strip() for name in found.required]
    ordered = []
    for name in dict.fromkeys([*required, *properties]):  # distinct
        schema = member(properties, name, dict, where)
        ordered.append(_read_parameter(name, schema, name in required, found.root, where))
    return tuple(ordered)


# ------------------------------------------------------------------------- maps and lists of others

def _is_flat(schema, where):
    """Is it a map of names to schemas? Raises InputError for one that is neither this nor JSON's.

    A parameter may be named as a keyword: {"type": {"type": "str"}}.
    """
    parts = {key: value for key, value in schema.items() if key not in HOLD_OBJECTS}
    described = [key for key, value in parts.items() if _is_schema(value)]
    odd = [key for key in parts if key not in KEYWORDS and key not in described]
    if odd:
        raise InputError(f"{where}: parameters have no properties, and {odd[0]!r:.60} is no schema")
    return bool(described)


def _is_schema(value):
    """Does a value describe one parameter, and not several under some other key?"""
    return isinstance(value, dict) and (
        not value or not all(isinstance(member, dict) for member in value.values()))


def _of_flat_map(schema, where):
    """xLAM's {name: {type, description}} -> Found. All but "int, optional" are required."""
    listed = schema.get("required")
    properties = {}
    required = list(listed) if isinstance(listed, list) else []
    for name in required:
        if not isinstance(schema.get(name) if isinstance(name, str) else None, dict):
            raise InputError(f"{where}: required names {name!r:.60}, which is no parameter")
    for name, described in schema.items():
        if not isinstance(described, dict) or name in HOLD_OBJECTS:
            continue
        kind, is_optional = _without_mark(described.get("type"))
        properties[name] = described | {"type": kind}
        if described.get("required", not is_optional and not isinstance(listed, list)) is True:
            required.append(name)
    return Found(properties, required, schema)


def _without_mark(kind):
    """A type of a flat map -> (type, whether it is marked as optional).

    >>> _without_mark("int, optional"), _without_mark("str")
    (('int', True), ('str', False))
    """
    match = re.fullmatch(r"(.*?)\s*,\s*optional", kind) if isinstance(kind, str) else None
    return (match[1], True) if match else (kind, False)


def _unwrapped(key, schema):
    """A schema without Bedrock's {"json": schema} around it, which stands under inputSchema.

    Under other keys {"json": ...} is a flat map with a parameter of that name.
    """
    inner = schema.get("json")
    is_wrapped = (key == "inputSchema" and len(schema) == 1 and isinstance(inner, dict)
                  and inner.get("type", "object") == "object")
    return inner if is_wrapped else schema


def _of_list(entries, where):
    """A list of {name, type, description, required}, or of OpenAPI's {name, schema} -> Found."""
    found = _of_lists({"parameters": entries}, where)
    properties = {}
    for name, entry in found.properties.items():
        schema = entry.get("schema")
        properties[name] = {**schema, **entry} if isinstance(schema, dict) else entry
    required = [name for name, entry in properties.items() if entry.get("required") is True]
    return Found(properties, required, {})


def _of_lists(lists, where):
    """ToolBench's two lists -> Found."""
    properties = {}
    required = []
    for key, entries in lists.items():
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"{where}: {key} must list objects with a name")
            if name in properties:
                raise InputError(f"{where}: parameter {name} comes twice")
            properties[name] = entry
            if key == "required_parameters":
                required.append(name)
    return Found(properties, required, {})


# --------------------------------------------------------------------------------- one parameter

def _read_parameter(name, schema, required, root, where):
    """One of a tool's properties -> Parameter. Raises InputError, led by `where` and the name."""
    where = f"{where}: {name}"
    if COMPOSED.isdisjoint(schema) and not isinstance(schema.get("type"), list):  # nearly all
        kind = member(schema, "type", str, where)
        return Parameter(name, kind, member(schema, "description", str, where), required)
    parts = _parts(schema, root, where)
    kinds = {}       # distinct, in order
    values = {}
    description = ""
    for part in parts:
        kind = part.get("type")
        for one in kind if isinstance(kind, list) else [member(part, "type", str, where)]:
            if not isinstance(one, str):
                raise InputError(f"{where}: type must be text")
            kinds[one] = None
        for value in member(part, "enum", list, where):
            values[json.dumps(value, ensure_ascii=False)] = None
        description = description or member(part, "description", str, where)
    nullable = "null" in kinds
    kinds = [kind for kind in kinds if kind not in ("", "null")] or list(filter(None, kinds))
    values = tuple(value for value in values if value != "null")
    return Parameter(name, " | ".join(kinds), description, required, values, nullable)


def _parts(schema, root, where):
    """A schema, and those that its $ref, anyOf, oneOf and allOf lead to, each once."""
    parts = []
    waiting = [schema]
    followed = set()  # a $ref may lead in a circle
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, dict):
            raise InputError(f"{where}: must be an object")
        parts.append(part)
        pointer = part.get("$ref")
        if pointer is not None and str(pointer) not in followed:
            followed.add(str(pointer))
            waiting.append(_target(pointer, root, where))
        for key in ("anyOf", "oneOf", "allOf"):
            waiting += member(part, key, list, where)
    return parts


def _target(pointer, root, where):
    """What a "$ref" such as "#/$defs/Unit" names. Raises InputError if it is not there."""
    value = root
    if not isinstance(pointer, str) or not pointer.startswith("#/"):
        raise InputError(f"{where}: $ref {pointer!r:.60} is not of this schema")
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise InputError(f"{where}: $ref {pointer!r:.60} names nothing in this schema")
    return value
