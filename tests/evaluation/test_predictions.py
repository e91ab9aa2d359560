"""Files of predictions, and the calls in them, in every form in which models write calls."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calls import ParseError
from data.tools import read_tool, write_call
from evaluation.call_formats import read_calls, read_rotbench
from evaluation.predictions import read_predictions, tree_hash
from plumbing.answers import append_answers, claim, resume_answers
from plumbing.files import InputError

FOO = read_tool({"name": "foo",
                 "parameters": {"properties": {"a": {}, "b": {}, "code:": {}}, "required": ["a"]}})
TOOLS = (FOO, read_tool({"name": "preferred-routes_get"}))


def plain(text, form="auto"):
    return [(call.name, call.arguments) for call in read_calls(text, TOOLS, form)]


def lines(path, records):
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    return path


# ---- the file ----

def test_indexes_may_come_in_any_order(tmp_path):
    path = lines(tmp_path / "p.jsonl",
                 [{"index": i, "prediction": f"text {i}", "more": 1} for i in (2, 0, 1)])
    assert read_predictions(path, 3) == ["text 0", "text 1", "text 2"]


def test_rotbench_own_records_go_by_their_place(tmp_path):
    own = [{"id": "x",
            "conversations": [{"from": "user", "value": "?"},
                              {"from": "assistant", "value": "one"}]},
           {"id": "x", "result": "two"}]
    (tmp_path / "p.json").write_text(json.dumps(own, indent=1))
    assert read_predictions(tmp_path / "p.json", 2) == ["one", "two"]
    assert read_predictions(lines(tmp_path / "p.jsonl", own), 2) == ["one", "two"]


def test_an_index_counts_for_a_text_under_result_too(tmp_path):
    """It was overwritten by the place, and every item got another's prediction."""
    path = lines(tmp_path / "p.jsonl", [{"index": i, "result": f"text {i}"} for i in (2, 0, 1)])
    assert read_predictions(path, 3) == ["text 0", "text 1", "text 2"]


def test_calls_that_bfcl_keeps_as_a_list_are_read(tmp_path):
    """Results of models that are asked through an API; they had been no text."""
    path = tmp_path / "result.jsonl"
    result = [{"get_weather": '{"city": "Oslo"}'}]
    path.write_text(json.dumps({"id": "a_0", "result": result}))
    [text] = read_predictions(path, 1, [["a_0"]])
    tools = [{"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}}}}]
    assert [(call.name, call.arguments) for call in read_calls(text, tools)] == [
        ("get_weather", {"city": "Oslo"})]
    path.write_text(json.dumps({"id": "a_0", "result": [5]}))
    with pytest.raises(InputError, match="prediction is missing or not text"):
        read_predictions(path, 1, [["a_0"]])


@pytest.mark.parametrize("records, count, message", [
    ([(0, "a"), (2, "c")], 3, "2 predictions for 3 items; none for 1"),
    ([], 2, "0 predictions for 2 items; none for 0, 1"),
    ([(0, "a"), (1, "b"), (0, "c")], 2, "line 3: a second prediction for item 0"),
    ([(0, "a"), (1, "b")], 1, "line 2: index 1, but the items are 0 to 0"),
    ([(-1, "a")], 1, "index -1"),
    ([(True, "a")], 2, "index is missing or not an integer"),
    ([(None, "a")], 1, "index is missing or not an integer"),
    ([(0, None)], 1, "prediction is missing or not text"),
])
def test_a_wrong_index_or_count_is_an_error_and_never_a_silent_zero(
        tmp_path, records, count, message):
    path = lines(tmp_path / "p.jsonl", [{"index": i, "prediction": text} for i, text in records])
    with pytest.raises(InputError, match=message):
        read_predictions(path, count)


def test_files_that_are_no_predictions(tmp_path):
    for text, message in (("{", "line 1"), ("[1]", "must be a JSON object"),
                          ('{"index": 0}', "prediction"),
                          ('[{"conversations": []}]', "prediction"), ("call()\n", "p: line 1")):
        (tmp_path / "p").write_text(text)
        with pytest.raises(InputError, match=message):
            read_predictions(tmp_path / "p", 1)
    with pytest.raises(InputError, match="absent"):
        read_predictions(tmp_path / "absent", 1)
    (tmp_path / "p").write_text("")
    assert read_predictions(tmp_path / "p", 0) == []


NAMES = [{"simple_0"}, {"simple_1"}, {"multiple_0"}]


@pytest.mark.parametrize("key", ["result", "prediction"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_records_with_the_id_of_an_item_go_by_it(tmp_path, key, order):
    """BFCL's own files come in the alphabet's order of their categories; places gave 60% for 100%.
    """
    ids = [min(NAMES[i]) for i in order]
    path = lines(tmp_path / "p.jsonl", [{"id": id, key: f"text of {id}"} for id in ids])
    assert read_predictions(path, 3, NAMES) == [f"text of {min(ids)}" for ids in NAMES]


def test_ids_that_several_items_bear_need_the_order_or_an_index(tmp_path):
    """RoTBench's noise on tools and on parameters are two items with one id."""
    names = [{"slight/0", "Turn 1"}, {"slight/1", "Turn 2"}, {"slight/2", "Turn 1"}]
    own = [{"id": f"Turn {i}", "result": text} for i, text in ((1, "a"), (2, "b"), (1, "c"))]
    path = tmp_path / "p.jsonl"
    assert read_predictions(lines(path, own), 3, names) == ["a", "b", "c"]
    with pytest.raises(InputError, match="line 2: the id 'Turn 1' is of several items, 0 and 2"):
        read_predictions(lines(path, [own[1], own[0], own[2]]), 3, names)
    placed = [record | {"index": i} for i, record in enumerate(own)][::-1]
    assert read_predictions(lines(path, placed), 3, names) == ["a", "b", "c"]


@pytest.mark.parametrize("records, message", [
    ([{"id": "simple_1", "index": 0, "result": ""}], "index 0, but the id 'simple_1' is of item 1"),
    ([{"id": "other_0", "result": ""}], "line 1: the id 'other_0' is of no item"),
    # items.jsonl of another level, whose places are items here, too
    ([{"index": 0, "id": "slight/0", "prediction": ""}], "line 1: the id 'slight/0' is of no item"),
    ([{"id": "simple_0", "result": ""}, {"result": ""}], "line 2: index is missing"),
    ([{"id": "simple_0", "result": ""}] * 2, "line 2: a second prediction for item 0"),
    ([{"id": "simple_0", "result": ""}], "1 predictions for 3 items; none for 1, 2"),
    ([{"id": ["simple_0"], "result": ""}], "line 1: id is no text"),
    ([{"index": 0, "result": ""}, {"result": ""}], "line 2: index is missing"),
])
def test_ids_that_contradict_are_refused(tmp_path, records, message):
    with pytest.raises(InputError, match=message):
        read_predictions(lines(tmp_path / "p.jsonl", records), 3, NAMES)


# ---- the forms ----

@pytest.mark.parametrize("text", [
    'foo(a=1, b="x")', ' foo( b = \'x\' , a = 1 ) </s>', 'Assistant: foo(a=1, b="x")',
    'Call: foo(a=1, b="x") \nThought: y',
    '[foo(a=1, b="x")]', '```python\nfoo(a=1, b="x")\n```', 'foo(1, "x")',
    'foo(a=1, b="x")\nOutput: bar(a=2)',
    '{"name": "foo", "arguments": {"a": 1, "b": "x"}}',
    '[{"name": "foo", "arguments": {"a": 1, "b": "x"}}]',
    '```json\n{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n```',
    '{"name": "foo", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"} and so on',
    '{"name": "foo", "parameters": {"a": 1, "b": "x"}}',
    '[{"type": "function", "function": '
    '{"name": "foo", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"}}]',
    '{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n{"name": "foo", "argum',
    '{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n[Output]: fine',
    '[{"name": "foo", "arguments": {"a": 1, "b": "x"}}, {"name": "foo", "argum',
    '<tool_call>{"name": "foo", "arguments": {"a": 1, "b": "x"}}</tool_call>\n'
    '<tool_call>{"name": "fo',
    'I look it up.\n<tool_call>\n{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n</tool_call>',
    '<tool_call>{"name": "foo", "arguments": {"a": 1, "b": "x"}}',
    'Thought:\nAction: foo\nAction Input: {"a": 1, "b": "x"}',
    'Action: foo\nAction Input: {"b": "x", "a": 1}\n',
    'Thought: a\nb\nAction: foo\nAction Input:{"a": 1, "b": "x"}',
    'First.\nAction: foo\nAction Input: {"a": 1, "b": "x"}',
    '```\n{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n```',
    'Assistant: {"name": "foo", "arguments": {"a": 1, "b": "x"}}',
    'Sure, here it is:\n```json\n{"name": "foo", "arguments": {"a": 1, "b": "x"}}\n```\nShall I?',
    'Sure:\n```json\n[{"name": "foo", "arguments": {"a": 1, "b": "x"}}]\n```',
    'Sure:\n[foo(a=1, b="x")]', 'Sure:\n```python\n[foo(a=1, b="x")]\n```',
    'foo(a=1, b="x")\n```json\n{"name": "Oslo", "arguments": {}}\n```',
    '<think>\nbar(x) takes a number.\n</think>\n\nfoo(a=1, b="x")',
    '<think>I try {"name": "bar"}.</think>{"name": "foo", "arguments": {"a": 1, "b": "x"}}',
    'bar(x) takes a number.\n</think>\n\nfoo(a=1, b="x")', 'Thought: I look.\nfoo(a=1, b="x")',
])
def test_one_call_in_every_form_is_found_without_being_told_the_form(text):
    assert plain(text) == [("foo", {"a": 1, "b": "x"})]


@pytest.mark.parametrize("text", [
    'foo(a=1), preferred-routes_get()', '[foo(a=1), preferred-routes_get()]',
    'foo(a=1)\npreferred-routes_get()',
    '[foo(a=1),preferred-routes_get()] \n', 'foo(a=1); preferred-routes_get();',
    '[{"name": "foo", "arguments": {"a": 1}}, {"name": "preferred-routes_get", "arguments": {}}]',
    '{"name": "foo", "arguments": {"a": 1}}\n{"name": "preferred-routes_get"}',
    '<tool_call>{"name": "foo", "arguments": {"a": 1}}</tool_call>\n'
    '<tool_call>{"name": "preferred-routes_get", "arguments": {}}</tool_call>',
    '```json\n{"name": "foo", "arguments": {"a": 1}}\n```\n'
    '```json\n{"name": "preferred-routes_get", "arguments": {}}\n```',
    'Both:\n[foo(a=1),\n preferred-routes_get()]',
])
def test_several_calls(text):
    assert plain(text) == [("foo", {"a": 1}), ("preferred-routes_get", {})]


@pytest.mark.parametrize("form, text", [
    ("auto", ""), ("auto", "   "), ("auto", "I cannot do (that)"), ("auto", "foo"),
    ("auto", 'foo(a="1", b="x"'), ("auto", "<think>\nfoo(a=1)"),  # cut off while it thinks
    ("auto", "Thought: x"), ("auto", "Action: foo"), ("auto", "Action: foo\nAction Input: "),
    ("auto", "[]"),
    *(("react", f"Action: foo\nAction Input: {value}")
      for value in ("null", "5", '"x"', "[{}]", "NaN", "{")),
    ("react", "foo(a=1)"), ("react", "Action Input: {}"), ("json", "foo(a=1)"), ("json", "{}"),
    ("json", "{"), ("json", "[1]"), ("json", '{"name": 1, "arguments": {}}'),
    ("json", '{"name": "foo", "arguments": [1]}'),
    ("json", '{"name": "foo", "arguments": {"a": NaN}}'),
    ("json", '{"name": "foo", "arguments": {"a": ' + "9" * 5000 + "}}"), ("json", "[" * 100_000),
    ("json", '{"name": "foo", "arguments": {"a": ' + "[" * 500 + "]" * 500 + "}}"),
    ("json", '{"name": "foo", "data": {"a": 1}}'),
    ("json", '{"name": "foo", "arguments": {"a": 1e999}}'),
    ("json", '{"name": "foo", "arguments": {"a": "\\ud83d"}}'),
    ("json", '{"name": "f\\ud83d", "arguments": {}}'),
    ("react", 'Action: foo\nAction Input: {"a": "\\ud83d"}'),
    ("call", '{"name": "foo", "arguments": {}}'), ("call", "(" * 100_000), ("call", "[" * 100_000),
])
def test_what_is_no_call_is_a_parse_error(form, text):
    with pytest.raises(ParseError):
        read_calls(text, TOOLS, form)


def test_rotbench_reads_the_input_to_the_end_and_does_not_strip_the_name():
    """RoTBench's evaluate.py takes the name as it stands, but for the newline after it."""
    text = 'Action: foo \nAction Input: {"a": "Action: x"}'
    assert plain(text) == [("foo", {"a": "Action: x"})]
    assert read_rotbench(text)[0][:2] == ("foo ", {"a": "Action: x"})
    for input_text in ("{'a': 1}", "{} \nObservation: done", "```\n{}\n```", '"{}"', "5", ""):
        text = f"Action: foo\nAction Input: {input_text}"
        with pytest.raises(ParseError):
            read_rotbench(text)


def test_a_value_may_hold_what_looks_like_a_thought_or_a_list():
    assert plain('foo(a="<think>x\\n</think>", b="[\\n[foo(2)]")') == [
        ("foo", {"a": "<think>x\n</think>", "b": "[\n[foo(2)]"})]


@settings(max_examples=300)
@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(), inner, max_size=2), max_leaves=5)), min_size=1, max_size=4))
def test_calls_survive_every_form(arguments):
    """Brackets, quotes, commas and newlines inside strings neither end a call nor begin one."""
    expected = [("foo", each) for each in arguments]
    python = [write_call("foo", each) for each in arguments]
    objects = [{"name": "foo", "arguments": each} for each in arguments]
    for text in (", ".join(python), f"[{', '.join(python)}]", json.dumps(objects),
                 "\n".join(map(json.dumps, objects))):
        assert plain(text) == expected
    react = f"Thought: x\nAction: foo\nAction Input: {json.dumps(arguments[0])}"
    assert plain(react) == expected[:1]


@settings(max_examples=300)
@given(st.text() | st.text("fo(a=1,)[]{}\"'`\n:<>_call Action Input name arguments"),
       st.sampled_from(["auto", "call", "json", "react"]))
def test_any_text_gives_calls_or_a_parse_error(text, form):
    with suppress(ParseError):
        assert read_calls(text, TOOLS, form)


# ---- answers of a model, kept as they come ----

def test_answers_are_resumed_and_a_line_cut_off_by_a_kill_is_forgotten(tmp_path):
    append_answers(tmp_path, 0, {3: "three\nlines", 1: "öne"})
    append_answers(tmp_path, 1, {0: "zero"})
    with open(tmp_path / "answers.0.jsonl", "a") as file:
        file.write('{"index": 2, "predic')
    assert resume_answers(tmp_path, 0) == {0: "zero", 1: "öne", 3: "three\nlines"}
    append_answers(tmp_path, 0, {2: "two"})
    assert resume_answers(tmp_path, 1) == {0: "zero", 1: "öne", 2: "two", 3: "three\nlines"}


def test_an_index_that_comes_twice_with_another_text_is_refused(tmp_path):
    append_answers(tmp_path, 0, {3: "three"})
    append_answers(tmp_path, 1, {3: "three"})  # of two numbers of processes, one after the other
    assert resume_answers(tmp_path, 0) == {3: "three"}
    append_answers(tmp_path, 1, {3: "four"})
    with pytest.raises(InputError, match="answers.1.jsonl: line 2: another answer for index 3"):
        resume_answers(tmp_path, 0)


def test_answers_depend_on_what_is_in_a_library(tmp_path):
    (tmp_path / "A/B").mkdir(parents=True)
    seen = {tree_hash(""), tree_hash(tmp_path)}
    for name, text in (("A/B/tool.py", "x = 1"), ("A/B/tool.py", "x = 2"), ("A/data.txt", "")):
        (tmp_path / name).write_text(text)
        seen.add(tree_hash(tmp_path))
    (tmp_path / "A/B/__pycache__").mkdir()
    (tmp_path / "A/B/__pycache__/tool.pyc").touch()
    assert len(seen) == 5 and tree_hash(tmp_path) in seen


def test_answers_of_another_run_are_refused_by_name(tmp_path):
    claim(tmp_path, {"bench": "rotbench", "model": "aa"})
    claim(tmp_path, {"bench": "rotbench", "model": "aa"})
    with pytest.raises(InputError, match="holds answers for model aa, not bb"):
        claim(tmp_path, {"bench": "rotbench", "model": "bb"})
    with pytest.raises(InputError, match="holds answers for bench rotbench, not bfcl"):
        claim(tmp_path, {"bench": "bfcl", "model": "aa"})
