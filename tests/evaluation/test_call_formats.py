"""Calls in the forms of many models: structure before surface, thoughts, and what is not read."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tools import read_tool, write_call
from evaluation.benchmarks import read_tasks
from evaluation.call_formats import find_calls, read_calls, unread_mark, without_thoughts
from evaluation.predictions import read_predictions
from evaluation.report import bound_lines
from evaluation.scores import judge, score
from tests.conftest import real


def tool(name, /, **types):
    properties = {key: {"type": kind} for key, kind in types.items()}
    return read_tool({"name": name, "parameters": {"properties": properties}})


TOOLS = (tool("get_weather", city="string", days="integer"), tool("get news", topic="string"),
         tool("set_lamp", on="boolean", colours="array", name="string"), tool("finish"))
CALL = 'get_weather(city="Oslo", days=2)'
DRAFT = 'get_weather(city="Norway", days=2)'
ARGUMENTS = {"city": "Oslo", "days": 2}
JSON = json.dumps({"name": "get_weather", "arguments": ARGUMENTS})


def plain(text, tools=TOOLS):
    return [(call.name, call.arguments) for call in find_calls(text, tools).calls]


def is_read(text):
    assert plain(text) == [("get_weather", ARGUMENTS)], text


# ---- forms ----

@pytest.mark.parametrize("text", [
    '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}<|eom_id|>',
    f"<|python_tag|>{CALL}", '<|python_tag|>get_weather.call(city="Oslo", days=2)<|eom_id|>',
    f"[TOOL_CALLS] [{JSON}]", '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo", "days": 2}',
    '[TOOL_CALLS]get_weather[CALL_ID]a1B[ARGS]{"city": "Oslo", "days": 2}',
    f'{{"thought": "", "tool_calls": [{JSON}]}}', f'{{"tool_calls": [{{"function": {JSON}}}]}}',
    '{"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", '
    '"function": {"name": "get_weather", '
    '"arguments": "{\\"city\\": \\"Oslo\\", \\"days\\": 2}"}}]}',
    f'{{"role": "assistant", "function_call": {JSON}}}',
    """<functioncall> {"name": "get_weather", "arguments": '{"city": "Oslo", "days": 2}'}""",
    '<function=get_weather>{"city": "Oslo", "days": 2}</function>',
    '<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n'
    '<parameter=days>\n2\n</parameter>\n</function>',
    '<tool_call><function=get_weather><parameter=city>Oslo</parameter><parameter=days>2</parameter>'
    '</function></tool_call>',
    '<invoke name="get_weather"><parameter name="city">Oslo</parameter>'
    '<parameter name="days">2</parameter></invoke>',
    f"<<function>>{CALL}", f"I look.\n<<function>>{CALL}",
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n'
    '{"city": "Oslo", "days": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo", "days": 2}<｜tool▁call▁end｜>',
    f"```tool_code\nprint({CALL})\n```", f"```tool_code\n{CALL}\n```",
    f"```tool_code\nweather = default_api.{CALL}\nprint(weather)\n```",
    f"Call: {CALL}<bot_end> \nThought: done", f"<TOOLCALL>[{JSON}]</TOOLCALL>",
    f"<|tool_call|>[{JSON}]<|/tool_call|>", f"<tool_call>{CALL}</tool_call>",
    '{"action": "get_weather", "action_input": {"city": "Oslo", "days": 2}}',
    '{"type": "tool_use", "id": "t", "name": "get_weather", "input": {"city": "Oslo", "days": 2}}',
    "<tool_call>{'name': 'get_weather', 'arguments': {'city': 'Oslo', 'days': 2,},}</tool_call>",
    f"Sure, I do: {JSON}", f"Sure.\n{JSON}\nShall I?", f"The key is {{city}}.\n{JSON}",
    "Action: get_weather\nAction Input: {'city': 'Oslo', 'days': 2}\nObservation: rain",
    'Action: get_weather\nAction Input:\n```json\n{"city": "Oslo", "days": 2}\n```\nObservation:',
    '**Action:** get_weather\n**Action Input:** {"city": "Oslo", "days": 2}', f"Action: {CALL}",
    f"Thought: a draft\n{DRAFT}\nno.\nAction: get_weather\nAction Input: {json.dumps(ARGUMENTS)}",
    f'Thought: what Action: is it?\nAction: get_weather\nAction Input: {json.dumps(ARGUMENTS)}',
    f'✿FUNCTION✿: get_weather\n✿ARGS✿: {json.dumps(ARGUMENTS)}\n✿RESULT✿: {{"rain": 1}}',
    json.dumps({"functionCall": {"name": "get_weather", "args": ARGUMENTS}}),
    json.dumps({"parts": [{"functionCall": {"name": "get_weather", "args": ARGUMENTS}}]}),
    f"get_weather\n{json.dumps(ARGUMENTS)}", f"\nget_weather \n {json.dumps(ARGUMENTS)}\nDone.",
    f"get_weather\n{JSON}", f">>>get_weather\n{json.dumps(ARGUMENTS)}",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
    f"<|tool_call_argument_begin|>{json.dumps(ARGUMENTS)}<|tool_call_end|>",
    "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
    f"{json.dumps(ARGUMENTS)}<|call|>",
    f'[{{"get_weather": {json.dumps(ARGUMENTS)}}}]',
    json.dumps([{"get_weather": json.dumps(ARGUMENTS)}]),
    f"get_weather {json.dumps(ARGUMENTS)}", f">>>functions.get_weather\n{json.dumps(ARGUMENTS)}",
    "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
    "<think>Which?</think>\nI look.\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo"
    "</arg_value><arg_key>days</arg_key><arg_value>2</arg_value></tool_call>",
    "Plan: I look.\nAction: ```json\n[\n    {\n        \"tool_name\": \"get_weather\",\n        "
    f"\"parameters\": {json.dumps(ARGUMENTS)}\n    }}\n]```",
    f"<|START_THINKING|>{DRAFT}\n{DRAFT}<|END_THINKING|><|START_ACTION|>[\n    {{"
    f'"tool_call_id": "0", "tool_name": "get_weather", "parameters": {json.dumps(ARGUMENTS)}}}\n'
    "]<|END_ACTION|>",
    *(f'{{"{name}": "get_weather", "{key}": {json.dumps(ARGUMENTS)}}}' for name, key in (
        ("tool", "arguments"), ("tool", "tool_input"), ("function", "parameters"),
        ("function_name", "args"), ("name", "kwargs"), ("name", "args"))),
    # an example in a sentence is none where a call stands on a line of its own
    f'Say {{"name": "finish", "arguments": {{}}}} to end. Now:\n{JSON}',
    f"I call {JSON} now.\nObservation: rain\n{CALL.replace('2', '3')}",
])
def test_one_call_in_the_form_of_each_model(text):
    is_read(text)


@pytest.mark.parametrize("text", [
    f"<tool_call>\n{JSON}\n{JSON}\n</tool_call>", f"<tool_call>[{JSON}, {JSON}]</tool_call>",
    f"<tool_call>{JSON}</tool_call>\nand\n<tool_call>{JSON}</tool_call>",
    '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo", "days": 2}' * 2,
    '<function=get_weather>{"city": "Oslo", "days": 2}</function>\n' * 2,
    f"<<function>>{CALL}, <<function>>{CALL}", f"```tool_code\nprint({CALL})\nprint({CALL})\n```",
    f"Action: get_weather\nAction Input: {json.dumps(ARGUMENTS)}\n" * 2,
    f"get_weather\n{json.dumps(ARGUMENTS)}\n" * 2,
    "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n" * 2,
    'Action: ```json\n[{"tool_name": "get_weather", "parameters": {"city": "Oslo", "days": 2}},\n'
    '{"tool_name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}]\n```',
    '<|START_ACTION|>[{"tool_name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}, '
    '{"tool_name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}]<|END_ACTION|>',
])
def test_several_calls_are_all_read(text):
    """Several objects, or a list, inside one tag were lost."""
    assert plain(text) == [("get_weather", ARGUMENTS)] * 2


def test_what_comes_after_feedback_is_no_part_of_the_prediction():
    made_up = f"<tool_call>{JSON}</tool_call>\n<tool_response>1</tool_response>\n"
    assert len(plain(made_up * 2)) == 1
    step = f"Action: get_weather\nAction Input: {json.dumps(ARGUMENTS)}\nObservation: 1\n"
    assert len(plain(step * 2)) == 1
    assert plain(f"<tool_response>{JSON}</tool_response>") == []


def test_the_text_of_an_xml_parameter_has_the_type_of_the_schema():
    def value(key, text):
        parameter = f"<parameter={key}>{text}</parameter>"
        return plain(f"<function=set_lamp>{parameter}</function>")[0][1][key]

    assert value("on", "True") is True and value("on", "false") is False
    assert value("colours", '["red", 3]') == ["red", 3]
    assert value("name", "12") == "12" and value("name", "null") == "null"
    assert value("colours", "red and blue") == "red and blue", "text where the type does not fit"
    tag = "a </parameter> b <parameter=on> c"
    assert value("name", tag) == tag, "a tag inside a value"


def test_a_name_with_a_space_before_its_arguments():
    """One of the two readers of a name before JSON could read a name with a space."""
    expected = [("get news", {"topic": "snow"})]
    for before, after in (("", "\n"), ("", " "), (">>>", "\n"), ("Sure.\n", "\n"),
                          ("<|tool_call_begin|>functions.", ":0<|tool_call_argument_begin|>"),
                          ("to=functions.", " <|constrain|>json<|message|>")):
        assert plain(f'{before}get news{after}{{"topic": "snow"}}') == expected, before
    assert plain('say get news\n{"topic": "snow"}') == []


def test_values_of_glm_have_the_type_of_the_schema():
    def value(key, text, name="set_lamp"):
        pair = f"<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>"
        return plain(f"<tool_call>{name}\n{pair}\n</tool_call>")[0][1][key]

    assert value("on", "true") is True and value("on", "1") == "1"
    assert value("colours", '["red", 3]') == ["red", 3] and value("colours", "red") == "red"
    assert value("name", "12") == "12" and value("name", "{}") == "{}"
    assert value("days", "2", "get_weather") == 2 and value("days", "true", "get_weather") == "true"
    assert value("days", '"2"', "get_weather") == '"2"'
    assert value("other", "[1]") == [1] and value("other", "text") == "text"
    tag = "a </arg_value> b <arg_key> c"
    assert value("name", tag) == tag, "a tag inside a value"


def test_a_call_of_glm_without_parameters_and_what_is_none():
    assert plain("<tool_call>finish\n</tool_call>") == [("finish", {})]
    pair = "<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    for text in ("<tool_call>look up</tool_call>",
                 f"<tool_call>get_weather\n{pair}{pair}</tool_call>",
                 f"<tool_call>get_weather\n{pair}<arg_key>days</tool_call>",
                 f"<tool_call>get_weather\n{pair}and so on", f"get_weather\n{pair}"):
        assert plain(text) == [], text
    assert plain(f"<tool_call>look_up\n{pair}</tool_call>") == [("look_up", {"city": "Oslo"})]


@pytest.mark.parametrize("text", [
    'functions.get_weather(city="Oslo", days=2)', JSON.replace("get_w", "functions.get_w"),
    f"<tool_call>{JSON.replace('get_w', 'functions.get_w')}</tool_call>",
    JSON.replace("get_w", "default_api.get_w"),
    'Action: functions.get_weather\nAction Input: {"city": "Oslo", "days": 2}',
    "<function=functions.get_weather><parameter=city>Oslo</parameter><parameter=days>2</parameter>"
    "</function>", '[TOOL_CALLS]functions.get_weather[ARGS]{"city": "Oslo", "days": 2}'])
def test_a_prefix_of_an_api_is_no_part_of_a_name(text):
    """It was taken off in Python's form alone; elsewhere the tool was not offered."""
    is_read(text)
    assert plain("functions.other(a=1)") == [("functions.other", {"a": 1})]


@pytest.mark.parametrize("text", [
    '{"name": "finish", "arguments": null}', '{"name": "finish", "parameters": null}',
    '<tool_call>{"name": "finish", "arguments": "null"}</tool_call>'])
def test_null_is_no_arguments_as_in_a_server_s_tool_calls(text):
    assert plain(text) == [("finish", {})]
    assert plain("Action: finish\nAction Input: null") == []  # as RoTBench's evaluator has it


def test_cohere_s_tool_for_no_tool_is_no_call():
    direct = '[{"tool_name": "directly_answer", "parameters": {}}]'
    assert plain(f"Action: ```json\n{direct}\n```") == []
    assert plain(f"<|START_ACTION|>{direct}<|END_ACTION|>") == []
    assert plain(direct, (tool("directly_answer"),)) == [("directly_answer", {})]


def test_a_name_above_json_is_a_call_of_an_offered_tool_alone():
    """ChatGLM's form has no mark: any word may stand above an object."""
    for text in ('Answer\n{"city": "Oslo"}', 'the get_weather\n{"city": "Oslo"}',
                 'get_weather\n[{"city": "Oslo"}]', 'get_weather\n{"city": '):
        assert plain(text) == [], text
    assert plain('get news\n{"topic": "get_weather\\n{}"}') == [
        ("get news", {"topic": "get_weather\n{}"})]
    assert plain('finish\n{"name": "x", "arguments": 1, "b": 2}') == [
        ("finish", {"name": "x", "arguments": 1, "b": 2})]


# ---- structure before surface ----

@pytest.mark.parametrize("value", [
    "close it with </tool_call> always", "what is <tool_call> in Qwen", "<think>", "</think>",
    "<function=f>", "Action: f\nAction Input: {}", "[TOOL_CALLS]", '{"name": "f", "arguments": {}}',
    "\n[get_weather(city='x')]\n", "```json\n{}\n```", "<tool_response>", "<<function>>f()"])
def test_a_mark_inside_a_value_is_part_of_the_value(value):
    """A closing tag inside a value ended the call, and an opening one changed its form."""
    expected = [("get_weather", {"city": value})]
    call = write_call("get_weather", {"city": value})
    record = json.dumps({"name": "get_weather", "arguments": {"city": value}})
    react = f"Action: get_weather\nAction Input: {json.dumps({'city': value})}"
    for text in (call, record, f"<tool_call>\n{record}\n</tool_call>", f"[{call}]", react,
                 f"<think>no {DRAFT}</think>{call}", f"Sure:\n```python\n{call}\n```",
                 f"<function=get_weather>{json.dumps({'city': value})}</function>"):
        assert plain(text) == expected, text


@settings(max_examples=100)
@given(st.lists(st.sampled_from([
    "<tool_call>", "</tool_call>", "<think>", "</think>", "[THINK]", "\n", "Action: ", " Input: ",
    "{", "}", '"', "'", "\\", "[TOOL_CALLS]", "<function=f>", "f(a=1)", "```", "<plan>", "</plan>",
    "◁/think▷", "Observation:", "(", ")", "<<function>>"]), max_size=6).map("".join))
def test_any_marks_inside_a_value_survive_in_python_json_and_tags(value):
    expected = [("get_weather", {"city": value})]
    record = json.dumps({"name": "get_weather", "arguments": {"city": value}})
    for text in (write_call("get_weather", {"city": value}), record,
                 f"<tool_call>{record}</tool_call>", f"<reasoning>x</reasoning>\n{record}"):
        assert plain(text) == expected


@pytest.mark.parametrize("line", [
    "Plan (one step):", "Weather (forecast) is needed.", "Weather(forecast) is needed.",
    "Search (days=2) first:", "Note(step=1): I look it up.",
    "get_weather(city, days) takes a city.",
    "It (the tool \"get_weather) is right:", "Summary() would be wrong.", "Say [THIS] {first}:",
    '{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}',
    '{"city": "Oslo"}', '{"name": "Oslo"}', "<b>Bold</b> (1)", "I (could) use `get_weather(...)`:",
    "x = compute(2)", "print(weather)", "get_weather(...)", "- get_weather(city): the weather"])
def test_a_line_of_prose_is_no_call_where_a_call_follows(line):
    """A line that began `Word (` ended the search."""
    for call in (CALL, f"```python\n{CALL}\n```", f"[{CALL}]", f"<tool_call>{JSON}</tool_call>"):
        is_read(f"{line}\n{call}")


def test_a_tool_that_is_not_offered_is_still_the_call_that_was_made():
    """A made-up tool is an error of the model; a later call must not hide it."""
    for text in (f'look_up(city="Oslo")\nOutput: 1\n{CALL}',
                 f'{{"name": "look_up", "arguments": {{"city": "Oslo"}}}}\nThen\n{CALL}',
                 f'Action: look_up\nAction Input: {{"city": "Oslo"}}\nObservation: 1\n{CALL}'):
        assert plain(text)[0] == ("look_up", {"city": "Oslo"})


def test_a_list_after_a_sentence_with_a_tool_whose_name_holds_a_space():
    text = f'Both of them:\n[get news(topic="snow"), {CALL}]'
    assert plain(text) == [("get news", {"topic": "snow"}), ("get_weather", ARGUMENTS)]
    assert plain('get news(topic="snow")') == [("get news", {"topic": "snow"})]
    assert plain('Plan (short):\n[get news (topic="snow")]') == [("get news", {"topic": "snow"})]


def test_a_name_alone_is_a_call_of_an_offered_tool_only():
    """DeepSeek's bare arguments {"name": "Oslo"} were a call of a tool Oslo."""
    assert plain('{"name": "finish"}') == [("finish", {})]
    assert plain('{"name": "Oslo"}') == [] == plain('{"name": "Oslo"}', tools=())


# ---- thoughts ----

@pytest.mark.parametrize("before, after", [
    ("<think>\n", "\n</think>\n"), ("<thinking>", "</thinking>"), ("[THINK]\n", "\n[/THINK]\n"),
    ("<reasoning>\n", "\n</reasoning>\n\n"), ("<scratch_pad>\n", "\n</scratch_pad>\n"),
    ("<scratchpad>", "</scratchpad> "), ("<inner_monologue>", "</inner_monologue>\n"),
    ("<antThinking>", "</antThinking>"), ("<|begin_of_thought|>\n", "\n<|end_of_thought|>\n"),
    ("◁think▷", "◁/think▷"), ("<THOUGHT>\n", "\n</THOUGHT>\n"), ("<plan>\n", "\n</plan>\n"),
    ("Sure.\n<think>\n", "\n</think>\n\n"), ("A first try:\n", "\nNo.</think>\n"),
    ("A first try:\n", " no</reasoning>"), ("<think>\n</think>\n<think>\n", "</think>"),
    ("<idea>\n", "\n</idea>\n"), ("<step n=\"1\">\n", "\n</step>\n"),
    ("<think>the tag </", "</think>"),
    ('<think>\nwrite_note(text="</think>")\n', "\n</think>\n")])
def test_what_is_thought_is_no_call_whatever_its_tag(before, after):
    """Thoughts in other tags than <think>, or closed within a line, were scored as the answer."""
    for draft in (DRAFT, JSON.replace("Oslo", "Norway")):
        for answer in (CALL, JSON, f"<tool_call>{JSON}</tool_call>"):
            is_read(f"{before}{draft}{after}{answer}")


def test_an_answer_in_a_tag_of_its_own_is_read_and_a_thought_alone_is_not():
    is_read(f"<answer>{CALL}</answer>")
    is_read(f"<output>\n{JSON}\n</output>")
    is_read(f"[Reason] I look it up.\n{CALL}")
    for text in (f"<think>{CALL}</think>", f"<think>\n{CALL}", f"{CALL}\n</think>\nI cannot."):
        assert plain(text) == []
    assert without_thoughts(f"<think>{DRAFT}</think>{CALL}") == CALL
    assert without_thoughts('f(a="<think>x</think>")') == 'f(a="<think>x</think>")'


# ---- literals in JSON calls ----

@pytest.mark.parametrize("text", [
    '{"name": "set_lamp", "arguments": {"on": True, "colours": None}}',
    "{'name': 'set_lamp', 'arguments': {'on': True, 'colours': None}}",
    '{"name": "set_lamp", "arguments": {"on": true, "colours": null,},}',
    "{'name': 'set_lamp', 'arguments': '{\"on\": true, \"colours\": null}'}",
    '{"name": "set_lamp", "arguments": "{\'on\': True, \'colours\': None}"}'])
def test_json_calls_may_hold_literals_of_python(text):
    for form in (text, f"<tool_call>{text}</tool_call>", f"[TOOL_CALLS] [{text}]"):
        assert plain(form) == [("set_lamp", {"on": True, "colours": None})]


@settings(max_examples=200)
@given(st.recursive(st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.text() | st.floats(
    allow_nan=False, allow_infinity=False), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6))
def test_the_reader_of_json_calls_agrees_with_python_s_json(value):
    text = json.dumps({"name": "f", "arguments": {"x": value}})
    assert read_calls(text)[0].arguments == json.loads(text)["arguments"]
    indented = json.dumps({"name": "f", "arguments": {"x": value}}, indent=1, ensure_ascii=False)
    assert read_calls(indented)[0].arguments == json.loads(text)["arguments"]


# ---- what is not read is named ----

@pytest.mark.parametrize("text, mark", [
    ("<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0",
     "<|tool_calls_section_begin|>"),
    ("<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo", "<arg_key>"),
    ("<tool_call>get_weather city=Oslo</tool_call>", "<tool_call>"),
    ('>>>get_weather\n{city: Oslo', ">>>"), ("<think><call></think>I cannot.", ""),
    ('{"city": "Oslo"}', "a JSON object"), ("I <b>cannot</b> do that (yet).", ""), ("", ""),
    ("I would call get_weather(city=", "a broken or unfinished call")])
def test_the_mark_of_a_form_that_is_not_read(text, mark):
    assert plain(text) == []
    assert unread_mark(text, TOOLS) == mark


def test_the_summary_names_what_is_not_read():
    [task, *_] = read_tasks("embedded", None)
    kimi = "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_end|>"
    broken = f"{task.tools[0].name}(a='b"
    texts = [*[kimi] * 10, broken, "No.", "<arg_key>a", CALL]
    items = [judge(task, text) for text in texts]
    assert list(bound_lines([task], items))[1:] == [
        "  predictions without a call that can be read: 13 of 14",
        "  10 predictions hold <|tool_calls_section_begin|>, a form that is not read",
        "  1 prediction holds a broken or unfinished call",
        "  1 prediction holds <arg_key>, a form that is not read"]


# ---- real inputs ----

@pytest.mark.parametrize("name, right", [
    ("literal_tag", 6), ("other_thought_tags", 9), ("native_forms", 14), ("python_in_json", 7),
    ("text_line_with_bracket", 6)])
def test_predictions_that_users_reported(name, right):
    folder = Path(real(f"field/{name}"))
    tasks = read_tasks("bfcl", folder / "data")
    texts = read_predictions(folder / "predictions.jsonl", len(tasks))
    scores = [score(judge(task, text).call, task) for task, text in zip(tasks, texts, strict=True)]
    assert [sum(each) for each in zip(*scores, strict=True)] == [right] * 3


def test_keys_of_calls_in_data_are_no_calls():
    """Only the name of an offered tool makes a call of keys that data may have."""
    for text in ('{"tool": "hammer", "input": {"a": 1}}', '{"name": "Oslo", "args": {"a": 1}}',
                 '[{"Oslo": {"days": 2}}]', 'Oslo\n{"days": 2}', '{"action": "stop", "input": {}}'):
        assert plain(text) == [], text
    own = tool("run", name="string", arguments="object")
    assert plain('run\n{"name": "x", "arguments": {}}', (own,)) == [
        ("run", {"name": "x", "arguments": {}})]
    assert plain(f"finish\n{JSON}") == [("get_weather", ARGUMENTS)]
