"""Tools' parameters in every way in which schemas write them: the same signature, or a refusal."""

import pytest

from data.tools import misfit, read_tool, read_tools, signature
from plumbing.files import InputError

CITY = {"type": "string", "description": "Where."}
DAYS = {"type": "integer", "description": "How many."}
SCHEMA = {"type": "object", "properties": {"city": CITY, "days": DAYS}, "required": ["city"]}
BLOCK = ('Function:\ndef f(city: string, days: integer = None):\n    """\n    \n\n    Args:\n'
         '    city (string): Where.\n    days (integer): How many.\n    """')


@pytest.mark.parametrize("tool", [
    {"parameters": SCHEMA}, {"inputSchema": SCHEMA}, {"input_schema": SCHEMA},
    {"parametersJsonSchema": SCHEMA},
    {"parameters": SCHEMA, "inputSchema": SCHEMA},  # twice the same
    {"parameters": {}, "inputSchema": SCHEMA},
    {"parameters": {"city": CITY, "days": DAYS | {"type": "integer, optional", "default": 1}}},
    {"parameters": {"city": CITY | {"required": True}, "days": DAYS | {"required": False}}},
    {"parameters": {"days": DAYS, "city": CITY, "type": "object", "required": ["city"]}},
    {"required_parameters": [CITY | {"name": "city"}],
     "optional_parameters": [DAYS | {"name": "days", "default": "1"}]},
    {"parameters": SCHEMA | {"required": [" city "],
                             "properties": {"city\n": CITY, "days": DAYS}}},
    {"inputSchema": {"json": SCHEMA}},
    {"parameters": {"properties": {"city": CITY | {"required": True}, "days": DAYS}}},
    {"parameters": {"properties": {"days": DAYS, "city": CITY | {"required": True}},
                    "required": []}},
    {"parameters": [DAYS | {"name": "days"}, CITY | {"name": "city", "required": True}]},
    {"parameters": [{"name": "city", "in": "query", "required": True, "schema": CITY},
                    {"name": "days", "in": "query", "required": False, "schema": DAYS}]},
])
def test_every_way_to_write_the_parameters_gives_one_signature(tool):
    """All but the first were trained as `def f():`."""
    assert signature(read_tool({"name": " f ", **tool})) == BLOCK


def test_wrappers_of_tools():
    bare = {"name": "f", "parameters": SCHEMA}
    for wrapped in ({"function": bare}, {"toolSpec": bare}, {"functionDeclarations": [bare]},
                    {"function_declarations": [bare]}):
        assert [signature(tool) for tool in read_tools([wrapped])] == [BLOCK]
    assert len(read_tools([{"functionDeclarations": [bare, bare | {"name": "g"}]}, bare])) == 3


@pytest.mark.parametrize("parameters", [
    [], {}, None, {"type": "object"}, {"type": "object", "properties": []},
    {"properties": {}, "required": []},
    {"type": "object", "additionalProperties": {"type": "string"}},
])
def test_no_parameters(parameters):
    tool = {"name": "ping", "description": "Pings.", "parameters": parameters, "strict": True,
            "annotations": {"readOnlyHint": True}, "outputSchema": {"type": "object"}}
    assert read_tool(tool).parameters == ()


def test_json_is_bedrock_s_wrapper_or_a_parameter():
    for schema in ({"type": "object"}, {}, {"type": "object", "properties": {}}):
        assert read_tool({"name": "f", "inputSchema": {"json": schema}}).parameters == ()
    for key, schema in (("parameters", {"type": "object", "properties": {"a": {}}}),
                        ("inputSchema", {"type": "string"})):
        [parameter] = read_tool({"name": "f", key: {"json": schema}}).parameters
        assert (parameter.name, parameter.type) == ("json", schema["type"])


def test_a_flat_map_may_have_parameters_named_as_keywords():
    tool = read_tool({"name": "f", "parameters": {
        "type": {"type": "str", "description": "The type."}, "items": {"type": "List[int]"},
        "required": {"type": "bool, optional"}}})
    assert [(parameter.name, parameter.type, parameter.required) for parameter in tool.parameters] \
        == [("type", "str", True), ("items", "List[int]", True), ("required", "bool", False)]


@pytest.mark.parametrize("tool, message", [
    ({"args": {"city": CITY}}, "no parameters, but 'args'"),
    ({"api_params": [CITY]}, "no parameters, but 'api_params'"),
    ({"input": {"city": "text"}}, "no parameters, but 'input'"),
    ({"parameters": {"city": "string"}}, "'city' is no schema"),
    ({"parameters": {"type": "object", "allOf": [SCHEMA]}}, "parameters under 'allOf'"),
    ({"parameters": [{"type": "string"}]}, "must list objects with a name"),
    ({"parameters": [CITY | {"name": "city"}], "input_schema": SCHEMA}, "two keys hold parameters"),
    ({"parameters": {"type": "object", "props": {"city": CITY}}}, "'props' is no schema"),
    ({"parameters": {"city": CITY, "required": ["town"]}}, "required names 'town'"),
    ({"parameters": SCHEMA, "input_schema": {"properties": {"b": CITY}}}, "different things"),
    ({"parameters": SCHEMA, "required_parameters": [CITY | {"name": "b"}]}, "different things"),
    ({"required_parameters": [CITY]}, "required_parameters must list objects with a name"),
    ({"required_parameters": {"name": "a"}}, "required_parameters must be a list"),
    ({"optional_parameters": [{"name": "a"}, {"name": "a"}]}, "parameter a comes twice"),
    ({"parameters": {"properties": [CITY]}}, "properties must be an object"),
    ({"parameters": {"properties": {"a": {"$ref": "#/$defs/B"}}}}, "names nothing in this schema"),
    ({"parameters": {"properties": {"a": {"$ref": "other.json"}}}}, "is not of this schema"),
    ({"parameters": {"properties": {"a": {}, "a ": {}}}}, "white space alone"),
    ({"parameters": {"properties": {"a": {"type": [5]}}}}, "f: a: type must be text"),
])
def test_what_could_be_parameters_but_is_not_read_is_refused(tool, message):
    with pytest.raises(InputError, match="tool f") as error:
        read_tool({"name": "f", **tool})
    assert message in str(error.value)


@pytest.mark.parametrize("schema, kind, values", [
    ({"type": ["string", "null"]}, "string", ()),
    ({"type": ["null", "integer", "number"]}, "integer | number", ()),
    ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "boolean", ()),
    ({"oneOf": [{"$ref": "#/$defs/Unit"}, {"type": "null"}]}, "string", ('"c"', '"°f"')),
    ({"$ref": "#/definitions/a~1b"}, "array", ()),
    ({"allOf": [{"$ref": "#/$defs/Unit"}], "description": "Own."}, "string", ('"c"', '"°f"')),
    ({"type": "integer", "enum": [1, 2, None]}, "integer", ("1", "2")),
    ({"$ref": "#/$defs/Loop"}, "object", ()),  # it leads to itself
    ({"type": "null"}, "null", ()), ({}, "", ()),
])
def test_the_type_is_that_of_the_part_that_is_not_null(schema, kind, values):
    tool = read_tool({"name": "f", "parameters": {
        "properties": {"a": schema}, "definitions": {"a/b": {"type": "array"}},
        "$defs": {"Unit": {"type": "string", "enum": ["c", "°f"]},
                  "Loop": {"type": "object", "anyOf": [{"$ref": "#/$defs/Loop"}]}}}})
    [parameter] = tool.parameters
    assert (parameter.type, parameter.values) == (kind, values)


def test_values_of_an_enum_stand_in_the_args_line_on_demand():
    """They change the prompt that models were trained on, so they are off unless asked for."""
    tool = read_tool({"name": "f", "parameters": {"properties": {
        "unit": {"type": "string", "enum": ["c", "f"], "description": "The unit."}}}})
    assert "    unit (string): The unit.\n" in signature(tool)
    assert '    unit (string, one of "c", "f"): The unit.\n' in signature(tool, enums=True)
    assert "def f(unit: string = None):" in signature(tool, enums=True)


def test_a_call_that_no_offered_tool_fits():
    tools = read_tools([{"name": "f", "parameters": SCHEMA}, {"name": "f", "parameters": {
        "properties": {"more": {}}}}, {"name": "g"}])
    assert misfit("f", {"city": 1}, tools) == ""
    assert misfit("f", {"more": 2}, tools) == "tool f has no parameter more", (
        "of two tools of one name the first counts, as it does in the reward")
    assert misfit("g", {"a": 1, "b": 2}, tools) == "tool g has no parameter a, b"
    assert misfit("F", {}, tools) == "tool F is not offered"


def test_a_name_of_two_lines_is_refused():
    """The second line would be read as the arguments of its calls."""
    with pytest.raises(InputError, match="a name must be one line"):
        read_tool({"name": "a\nb"})
