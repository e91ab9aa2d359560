"""Reading raw trajectories and tool schemas: what is accepted, and what is refused in one line."""

import json

import pytest

from data import trajectories
from data.tools import read_tool, signature
from plumbing.files import InputError
from tests.conftest import ITEMS, item, real, real_conversations, schema


def test_calls_are_rendered_with_json_values():
    conversation = trajectories.read_item(item(
        ("user", "q"), ("assistant", json.dumps({}).join(["f\n", ""])),
        ("assistant", 'g\n{"a": "é\\n\\"", "b": [1, true, null], "c": {"d": 1.5}}')))
    assert conversation.turns[2].content == "f()"
    assert conversation.turns[3].content == 'g(a="é\\n\\"", b=[1, true, null], c={"d": 1.5})'


def test_signature_orders_required_first():
    tool = read_tool(schema("f", "Does.\nMuch.", ["c", "a"], a="string", b="array", c="integer"))
    assert signature(tool) == (
        'Function:\ndef f(c: integer, a: string, b: array = None):\n'
        '    """\n    Does.\nMuch.\n\n    Args:\n'
        '    c (integer): The c.\n    a (string): The a.\n    b (array): The b.\n    """')


def test_missing_fields_of_a_schema_are_empty():
    bare = signature(read_tool({"name": "f"}))
    assert bare == 'Function:\ndef f():\n    """\n    \n\n    Args:\n    """'
    tool = read_tool({"function": {"name": "f", "parameters": {"properties": {"x": {}}}}})
    assert "def f(x:  = None):" in signature(tool) and "    x (): " in signature(tool)


def test_real_files_are_read_whole():
    assert len(real_conversations()) == 2902
    for name, count in (("taubench_gpt4o_airline", 180), ("toolbench_chatgpt_example", 15)):
        assert len(trajectories.read(real(f"trajectories/{name}.json"))) == count


def after_a_system_turn(turn):
    """An item with one turn after a system turn without tools."""
    return {"conversations": [{"role": "system", "content": "[]"}, turn]}


def with_call(content):
    """An item with one assistant turn."""
    return after_a_system_turn({"role": "assistant", "content": content})


def with_tools(content):
    """An item that is a system turn."""
    return {"conversations": [{"role": "system", "content": content}]}


BAD_ITEMS = [
    ({}, "item 1: has no conversations"),
    ([], "item 1: must be a JSON object"),
    ({"conversations": [{"role": "user", "content": "q"}]},
     "item 1, turn 0: the system turn must be the first"),
    (after_a_system_turn({"role": "bot", "content": ""}), "item 1, turn 1: unknown role 'bot'"),
    (after_a_system_turn({"role": "user"}), "item 1, turn 1: content is missing"),
    (after_a_system_turn({"content": "q"}), "item 1, turn 1: role is missing"),
    (with_call("f(a=1)"), "item 1, turn 1: an assistant turn must"),
    (with_call("f\n{a: 1}"), "item 1, turn 1: arguments of f: line 1"),
    (with_call("f\n[1]"), "arguments of f must be a JSON object"),
    (with_call('f\n{"a": NaN}'), "NaN is not JSON"),
    (with_call('f\n{"a": "\\ud800"}'), "not Unicode"),
    (with_call('f\n{"a": ' + "1" * 5000 + "}"), "arguments of f: Exceeds"),
    (with_tools("You are helpful"), "item 1, turn 0: tools: line 1"),
    (with_tools('[{"function": {"description": "d"}}]'), "tool without name"),
    (with_tools('{"name": "f"}'), "the tools must be a JSON list"),
    (with_tools("[" * 100000), "item 1, turn 0: tools: nested too deeply"),
]


@pytest.mark.parametrize("bad, message", BAD_ITEMS)
def test_a_bad_item_is_named(tmp_path, bad, message):
    path = tmp_path / "raw.json"
    path.write_text(json.dumps([ITEMS[0], bad]))
    with pytest.raises(InputError) as caught:
        trajectories.read(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_a_file_that_is_no_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "raw.json"
    for text, message in (('[\n{"id": 1},\n', "line 3"), ("{}", "must be a JSON list"),
                          ("[]", "no conversation")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            trajectories.read(path)
    path.write_bytes(b'["\xff"]')
    with pytest.raises(InputError, match="not UTF-8"):
        trajectories.read(path)
