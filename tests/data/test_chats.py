"""Chats of every format: read as the same conversations as our own format, or refused."""

import json

import numpy as np
import pytest

from data import trajectories
from data.chats import FINISH, GEMINI, OPENAI, RESPONSES, SHAREGPT, chat_form
from data.feedback import classify
from evaluation.dialogue_scores import count_faults, read_transcripts
from examples import build
from plumbing.files import InputError
from prompts import read
from tests.conftest import ITEMS, item, real, schema
from tokenizer import Tokenizer

WEATHER = schema("get_weather", "Weather.", ["city"], city="string")
ASK = {"role": "user", "content": "Weather in Oslo?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function",
     "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": '{"sky": "clear"}'}
ANSWER = {"role": "assistant", "content": "It is clear."}
REACT = 'Thought: I look.\nAction: get_weather\nAction Input: {"city": "Oslo"}'


def messages(*turns, tools=(WEATHER,), **more):
    return {"messages": list(turns), "tools": list(tools), **more}


def shown(raw):
    """[(role, content)] of what is read, without the system turn."""
    return [(turn.role, turn.content) for turn in trajectories.read_item(raw).turns[1:]]


def as_messages(raw, answer_as_text):
    """An item of our own format as OpenAI's messages, written here by their documentation."""
    system, *turns = raw["conversations"]
    written = []
    last = 0
    for i, turn in enumerate(turns):
        if turn["role"] == "assistant":
            name, arguments = turn["content"].split("\n", 1)
            if name == "finish" and answer_as_text:
                written.append({"role": "assistant", "content": json.loads(arguments)["answer"]})
                continue
            last = f"call_{i}"
            written.append({"role": "assistant", "content": None, "tool_calls": [{
                "id": last, "type": "function",
                "function": {"name": name, "arguments": arguments}}]})
        elif turn["role"] == "function":
            written.append({"role": "tool", "tool_call_id": last, "content": turn["content"]})
        else:
            written.append(turn)
    return {"id": raw["id"], "messages": written, "tools": json.loads(system["content"])}


def as_sharegpt(raw):
    system, *turns = raw["conversations"]
    speakers = {"user": "human", "function": "observation", "assistant": "function_call"}
    written = []
    for turn in turns:
        value = turn["content"]
        if turn["role"] == "assistant":
            name, arguments = value.split("\n", 1)
            value = json.dumps({"name": name, "arguments": json.loads(arguments)})
        written.append({"from": speakers[turn["role"]], "value": value})
    return {"id": raw["id"], "conversations": written, "tools": system["content"]}


WAYS = {"calls": lambda raw: as_messages(raw, False), "texts": lambda raw: as_messages(raw, True),
        "sharegpt": as_sharegpt}


def same_rows(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b) for x, y in zip(one, other, strict=True)
        for a, b in zip(x[:4], y[:4], strict=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lines", [False, True])
def test_a_file_of_ours_written_as_a_chat_trains_to_the_same_bits(
        tmp_path, tokenizer_file, way, lines):
    path = tmp_path / "chat"
    written = [WAYS[way](raw) for raw in ITEMS]
    path.write_text("\n".join(map(json.dumps, written)) if lines else json.dumps(written))
    tokenizer = Tokenizer(tokenizer_file)
    ours, _ = build([trajectories.read_item(raw) for raw in ITEMS], tokenizer)
    read_back, _ = build(trajectories.read(path), tokenizer)
    assert same_rows(ours, read_back)
    golds = [prompt.gold for prompt in read(path, tokenizer)[0]]
    (tmp_path / "ours").write_text(json.dumps(ITEMS))
    assert golds == [prompt.gold for prompt in read(tmp_path / "ours", tokenizer)[0]]


def test_real_conversations_survive_the_round_trip():
    raws = json.loads(real("trajectories/rottuning_gpt4.json").read_text())[::150]
    for raw in raws:
        ours = trajectories.read_item(raw)
        for way in WAYS.values():
            back = trajectories.read_item(way(raw))
            assert back.turns[1:] == ours.turns[1:] and back.tools == ours.tools


def test_calls_in_parallel_have_results_by_id_and_text_is_context(tmp_path, tokenizer_file):
    both = {"role": "assistant", "content": "I look.", "tool_calls": [
        {"id": i, "function": {"name": "get_weather", "arguments": {"city": city}}}
        for i, city in (("a", "Oslo"), ("b", "Bergen"))]}
    raw = messages(ASK, both, {"role": "tool", "tool_call_id": "b", "content": "rain"},
                   {"role": "tool", "tool_call_id": "a", "content": '{"error": "not found"}'},
                   ANSWER)
    assert shown(raw) == [
        ("user", "Weather in Oslo?"), ("assistant", "I look."),
        ("assistant", 'get_weather(city="Oslo")'), ("assistant", 'get_weather(city="Bergen")'),
        ("function", '{"error": "not found"}'), ("function", "rain"),
        ("assistant", 'finish(answer="It is clear.")')]
    tokenizer = Tokenizer(tokenizer_file)
    [example], counts = build([trajectories.read_item(raw)], tokenizer)
    trained = [tokenizer.decode(example.labels[example.call == number].tolist())
               for number in sorted(set(example.call.tolist()) - {-1})]
    assert [text.strip() for text in trained] == [
        'get_weather(city="Bergen")', 'finish(answer="It is clear.")']
    assert counts["texts beside calls, not trained"] == 1 and counts["erroneous calls"] == 1
    (tmp_path / "t.json").write_text(json.dumps([raw]))
    faults = count_faults(read_transcripts(tmp_path / "t.json"))
    assert (faults["calls"], faults["CE"], faults["VA"]) == (3, 1, 1)


def test_finish_is_offered_where_a_text_becomes_its_answer():
    assert [tool.name for tool in trajectories.read_item(messages(ASK, ANSWER)).tools] == [
        "get_weather", "finish"]
    own = messages(ASK, ANSWER, tools=[WEATHER, FINISH])
    assert len(trajectories.read_item(own).tools) == 2
    assert len(trajectories.read_item(messages(ASK, CALL, RESULT)).tools) == 1


def test_texts_between_questions_are_context_and_system_messages_go_before_the_first():
    raw = messages({"role": "system", "content": "Be brief."}, ASK, ANSWER,
                   {"role": "user", "content": [{"type": "text", "text": "And"},
                                                {"type": "text", "text": "now?"}]}, CALL, RESULT)
    assert shown(raw) == [
        ("user", "Be brief.\n\nWeather in Oslo?"), ("assistant", "It is clear."),
        ("user", "And\nnow?"), ("assistant", 'get_weather(city="Oslo")'),
        ("function", '{"sky": "clear"}')]


def test_the_tools_may_stand_in_the_system_message_or_be_text():
    listed = {"role": "system", "content": json.dumps([WEATHER])}
    for raw in (messages(listed, ASK, CALL, RESULT, tools=[WEATHER]),
                {"conversations": [listed, ASK, CALL, RESULT]},
                {"messages": [ASK, CALL, RESULT], "functions": [WEATHER["function"]]},
                {"messages": [ASK, CALL, RESULT], "tools": json.dumps([WEATHER])}):
        assert [tool.name for tool in trajectories.read_item(raw).tools] == ["get_weather"]
    with pytest.raises(InputError, match="list different tools"):
        trajectories.read_item(messages(listed, ASK, tools=[FINISH]))


def test_sharegpt_with_two_calls_in_one_turn():
    call = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    raw = {"system": "Be brief.", "tools": [WEATHER], "conversations": [
        {"from": "human", "value": "Twice?"},
        {"from": "function_call", "value": json.dumps([call, call])},
        {"from": "observation", "value": "1"}, {"from": "observation", "value": "2"},
        {"from": "gpt", "value": "Done."}]}
    assert shown(raw)[0] == ("user", "Be brief.\n\nTwice?")
    assert [role for role, _ in shown(raw)] == ["user", "assistant", "assistant", "function",
                                                "function", "assistant"]
    del raw["conversations"][3]
    with pytest.raises(InputError, match="item, turn 1: 2 calls in a row, but 1 result"):
        trajectories.read_item(raw)


@pytest.mark.parametrize("raw, message", [
    ({"question": "q", "answer": "[]"}, "no conversations, but question, answer"),
    ({"messages": []}, "item: has no messages"), ({"messages": 5}, "item: has no messages"),
    (messages(ASK, {"role": "bot", "content": "x"}), "turn 1: unknown role 'bot'"),
    (messages(ASK, {"role": "assistant"}), "turn 1: content is missing or not text"),
    (messages(ASK, ANSWER | {"weight": 0}), "turn 1: weight 0 is not read"),
    (messages(ASK, ANSWER | {"tool_calls": {}}), "turn 1: tool_calls must be a list"),
    (messages(ASK, {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}),
     "turn 1: a call without the name of a tool"),
    (messages(ASK, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}),
     "turn 1: arguments of f: line 1"),
    (messages(ASK, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1]"}]}),
     "turn 1: arguments of f must be a JSON object"),
    (messages({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
     "turn 0: content holds a part that is no text"),
    (messages(ASK, CALL, RESULT | {"tool_call_id": "c2"}), "turn 2: a result for the id 'c2'"),
    (messages(ASK, RESULT), "turn 1: a result, but no call before it"),
    (messages(ASK, ANSWER | {"content": '<tool_call>{"name": "get_weather"}</tool_call>'}),
     "turn 1: a call in the text of the assistant: no JSON object with name and arguments"),
    (messages(ASK, ANSWER | {"content": '<tool_call>{"name": "get_weather", "argu'}),
     "turn 1: a call in the text of the assistant: "),
    (messages(ASK, ANSWER | {"content": 'Say Action Input: {"city": "Oslo"}'}),
     r"turn 1: a call in the text of the assistant \(Action Input:\) is not read"),
    (messages(ASK, ANSWER | {"content": REACT}, tools=()),
     "turn 1: a call in the text of the assistant: Action: get_weather, but no tools are listed"),
    (messages(ASK, ANSWER | {"content": "Action: get_weather\nAction Input: Oslo"}),
     "turn 1: a call in .*: the Action Input: of get_weather is no JSON object"),
    (messages(ASK, ANSWER | {"content": REACT + "\nObservation: rain\nThought: x"}),
     "turn 1: a call in .*: text after the Action Input: of get_weather at character"),
    (messages(ASK, ANSWER | {"content": REACT}, {"role": "user", "content": "rain"}),
     "turn 2: no Observation: after the Action Input: of the turn before it, but 'rain'"),
    ({"contents": []}, "item: has no contents"), ({"contents": {}}, "item: has no contents"),
    ({"contents": [{"role": "bot", "parts": [{"text": "x"}]}]}, "turn 0: unknown role 'bot'"),
    ({"contents": [{"role": "user"}]}, "turn 0: has no parts"),
    ({"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]},
     "turn 0: a part with inlineData is not read"),
    ({"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]},
     "turn 0: functionCall in contents of the role user"),
    ({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": 5}}]}]},
     "turn 0: args must be a JSON object"),
    ({"input": [ASK, {"type": "web_search_call", "id": "w"}]},
     "turn 1: an item of the type 'web_search_call' is not read"),
    ({"input": [ASK, {"type": "function_call_output", "call_id": "c", "output": "1"}]},
     "turn 1: a result, but no call before it"),
    ({"input": []}, "item: has no input"),
    (messages(ASK, ANSWER | {"content": 'I look.\n[get_weather(city="Oslo")]'}),
     r"turn 1: a call in the text of the assistant \(get_weather\("),
    (messages(ASK, ANSWER | {"content": '{"name": "get_wether", "arguments": {}}'}),
     "turn 1: a call in the text of the assistant: get_wether is not offered"),
    (messages(ASK, ANSWER | {
        "content": '<tool_call>{"name": "get_weather", "arguments": {"city": NaN}}</tool_call>'}),
     "turn 1: a call in the text of the assistant: "),
    *((messages(ASK, ANSWER | {"content": text}), "is not read; write it as") for text in (
        '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Oslo"}<|call|>',
        "✿FUNCTION✿: get_weather", 'functools[{"name": "get_weather"}]',
        "<tool_response>1</tool_response> It is clear.")),
    *((messages(ASK, ANSWER | {"content": text}), "turn 1: a call .* is not read; write it as")
      for text in (
          'I look.\n{"name": "get_weather", "arguments": {"city": "Oslo"}}',
          '{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}',
          '{"action": "get_weather", "action_input": {"city": "Oslo"}}',
          "{'tool': 'get_weather', 'args': {'city': 'Oslo'}}",
          '<tool_calls>[{"args": {"city": "Oslo"}, "name": "get_weather"}]</tool_calls>',
          "<start_function_call>call:get_weather{city:Oslo}<end_function_call>")),
    (messages(ASK, ANSWER | {"content": "<think>\nhm\n</think>\n"}),
     "turn 1: the conversation ends in a thought without an answer"),
    (messages(ASK, ANSWER | {"content": "<think>cut off"}), "ends in a thought without an answer"),
    (messages(ASK, ANSWER, tools=[schema("finish", message="string")]),
     r"turn 1: the last text would be finish\(answer=...\), but tool finish has no parameter"),
    (messages(ASK, system=5), "item: system is missing or not text"),
    (messages(ASK, system=[{"type": "image"}]), "item: system holds a part that is no text"),
    (messages(ASK, ANSWER | {"loss": False}), "turn 1: loss False is not read"),
    (messages(ASK, CALL, {"role": "user", "content": "So: <tool_response>1</tool_response>"}),
     "turn 2: text beside <tool_response>"),
    (messages({"role": "system", "content": "<tools>{'name': }</tools>"}, ASK),
     "<tools> of the system message"),
    ({"query": 5, "answers": "[]", "tools": "[]"}, "query is not text"),
    ({"query": "q", "answers": "[5]", "tools": "[]"}, "answers: a call without the name"),
    (messages(ASK, ANSWER | {"content": 'get_weather\n{"city": "Oslo"}'}),
     r"turn 1: a call in the text of the assistant \(get_weather\)"),
    (messages(ASK, ANSWER, conversations=[ASK]), "both messages and conversations"),
    ({"conversations": [{"from": "narrator", "value": "x"}]}, "turn 0: unknown speaker 'narrator'"),
    ({"conversations": [{"from": "human", "value": None}]}, "turn 0: value is missing"),
    ({"conversations": [{"from": "function_call", "value": "f(x)"}]},
     "turn 0: function_call: line 1"),
    ({"conversations": [{"from": "human", "value": "x"}], "tools": "{}"}, "must be a JSON list"),
])
def test_what_is_not_understood_is_named(raw, message):
    with pytest.raises(InputError, match=message):
        trajectories.read_item(raw)


def test_the_format_is_found_item_by_item():
    items = [(raw, "") for raw in (messages(ASK), messages(ASK), as_sharegpt(ITEMS[0]), ITEMS[0])]
    assert [chat_form(raw) for raw, _ in items] == [OPENAI, OPENAI, SHAREGPT, ""]
    assert trajectories.formats(items) == ("2 items in OpenAI messages, 1 item in ShareGPT, "
                                           "1 item in TL-Training's own format")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "bom.json").write_text(json.dumps(ITEMS), encoding="utf-8-sig")
    line = json.dumps(ITEMS[0]).encode()
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n")
    assert len(trajectories.read(tmp_path / "bom.json")) == 3
    assert trajectories.read(tmp_path / "bom.jsonl")[0] == trajectories.read_item(ITEMS[0])


def test_names_are_stripped_in_calls_and_schemas_alike():
    raw = item(("user", "q"), ("assistant", ' f \n{"a ": 1}'), tools=[schema("f ", a="string")])
    one = trajectories.read_item(raw)
    assert one.turns[2].content == "f(a=1)" and one.tools[0].name == one.turns[2].name == "f"


# ------------------------------------------------------------- what a template wrote into the texts

HERMES = ("You are a function calling AI model. You are provided with function signatures within "
          "<tools></tools> XML tags. Be brief.\n<tools>\n[%s]\n</tools>\nReply in Norwegian.\n"
          "For each function call return a json object within <tool_call></tool_call> XML tags:\n"
          "<tool_call>\n{'arguments': <args-dict>, 'name': <function-name>}\n</tool_call>")
ONE_CALL = [("user", "Weather in Oslo?"), ("assistant", 'get_weather(city="Oslo")'),
            ("function", '{"sky": "clear"}'), ("assistant", 'finish(answer="It is clear.")')]


def texts(*values, **more):
    speakers = ("human", "gpt", "tool", "gpt")
    return {"conversations": [{"from": speaker, "value": value}
                              for speaker, value in zip(speakers, values, strict=False)], **more}


def asked(call, tools=(WEATHER,), system=()):
    """A question, a text of the assistant, a result and an answer, in OpenAI's messages."""
    return {"messages": [*system, ASK, {"role": "assistant", "content": call},
                         {"role": "tool", "content": '{"sky": "clear"}'}, ANSWER],
            "tools": list(tools)}


@pytest.mark.parametrize("text", [
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "<tool_call>\n{'arguments': {'city': 'Oslo'}, 'name': 'get_weather'}\n</tool_call>",
    '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}',
    """<functioncall> {"name": "get_weather", "arguments": '{"city": "Oslo"}'} <|endoftext|>""",
    '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}}]</s>',
    '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}<|eom_id|>',
    'get_weather(city="Oslo")', '[get_weather(city="Oslo")]',
    "[get_weather(city='Oslo')]", '[get_weather("Oslo")]',
    '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
    '```json\n[{"name": "get_weather", "arguments": {"city": "Oslo"}}]\n```',
    '{"name": "get_weather", "arguments": {"city": "Oslo"}} <|im_end|>\n',
    'get_weather(city="Oslo")<|eot_id|>',
])
def test_a_call_in_the_text_of_the_assistant_is_read(text):
    assert shown(asked(text)) == ONE_CALL
    thought = shown(asked(f"<think>get_weather(city) or <tool_call>?</think>\n{text}"))
    assert thought[1] == ("assistant", "<think>get_weather(city) or <tool_call>?</think>")
    assert thought[2:] == ONE_CALL[1:]


def test_a_file_of_hermes_has_its_tools_in_the_system_message():
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    result = '<tool_response>\n{"sky": "clear"}\n</tool_response>'
    for schema_text in (json.dumps(WEATHER), repr(WEATHER), json.dumps(WEATHER["function"])):
        system = {"from": "system", "value": HERMES % schema_text}
        raw = texts("Weather in Oslo?", call, result, "It is clear.")
        raw["conversations"].insert(0, system)
        read_back = trajectories.read_item(raw)
        assert read_back.tools[0] == trajectories.read_item(messages(ASK, CALL)).tools[0]
        # what the system message says of the form of calls is left out, since it is not ours
        assert shown(raw) == [("user", "Reply in Norwegian.\n\nWeather in Oslo?"), *ONE_CALL[1:]]
        assert shown(raw | {"tools": json.dumps([WEATHER])}) == shown(raw)
        with pytest.raises(InputError, match="list different tools"):
            trajectories.read_item(raw | {"tools": [FINISH]})


def test_tools_in_the_words_of_a_system_message():
    """ToolACE and Glaive; the tools had been read as none, and the calls as answers."""
    other = schema("get_time", "Time.", ["zone"], zone="string")
    for text in (f"Here is a list of functions:\n{json.dumps([WEATHER, other])}\nUse them.",
                 f"You may use these -\n{json.dumps(WEATHER)}\n\n{json.dumps(other)}\nUse them."):
        raw = texts("Weather in Oslo?", '[get_weather(city="Oslo")]', '{"sky": "clear"}',
                    "It is clear.", system=text)
        assert [tool.name for tool in trajectories.read_item(raw).tools] == [
            "get_weather", "get_time", "finish"]
        assert shown(raw)[1:] == ONE_CALL[1:] and "Use them." in shown(raw)[0][1]
        assert '"name"' not in shown(raw)[0][1]
    people = texts("Who?", "Bob.", system='Staff: [{"name": "Bob", "description": "VIP"}]')
    assert [tool.name for tool in trajectories.read_item(people).tools] == ["finish"]


def test_results_in_tags_find_their_calls_by_name():
    calls = "\n".join('<tool_call>{"name": "%s", "arguments": {}}</tool_call>' % name
                      for name in ("f", "g"))
    answers = "".join('<tool_response>{"name": "%s", "content": %d}</tool_response>' % pair
                      for pair in (("g", 2), ("f", 1)))
    for speaker in ("tool", "human"):  # Qwen's template has the user say it
        raw = texts("q", calls, answers, tools=[schema("f"), schema("g")])
        raw["conversations"][2]["from"] = speaker
        assert shown(raw)[1:] == [
            ("assistant", "f()"), ("assistant", "g()"),
            ("function", '{"name": "f", "content": 1}'),
            ("function", '{"name": "g", "content": 2}')]


def test_a_tag_inside_a_value_is_part_of_it_and_text_beside_calls_is_context():
    value = "a</tool_call><tool_call>b"
    text = "I look.\n<tool_call>%s</tool_call> And again.\n<tool_call>%s</tool_call>" % (
        json.dumps({"name": "get_weather", "arguments": {"city": value}}),
        json.dumps({"name": "get_weather", "arguments": {"city": "Oslo"}}))
    assert shown(messages(ASK, ANSWER | {"content": text})) == [
        ONE_CALL[0], ("assistant", "I look.\nAnd again."),
        ("assistant", f'get_weather(city="{value}")'), ONE_CALL[1]]


@pytest.mark.parametrize("answer", [
    "[1, 2, 3]", '{"city": "Oslo", "sky": "clear"}', "Use get_weather(city) for that.",
    "[see below]", '[{"name": "Oslo", "temperature": 3}]',
    "get_weather(city) takes the name of a city.", '{"name": "get_weather", "price": 3}',
    '{"name": "Oslo", "args": 3}', "It was <s>10</s>", "Write </think> after a thought.",
    "The mark <|im_end|> ends a turn."])
def test_an_answer_is_no_call(answer):
    assert shown(messages(ASK, CALL, RESULT, ANSWER | {"content": answer}))[-1] == (
        "assistant", f"finish(answer={json.dumps(answer)})")


@pytest.mark.parametrize("text, before", [
    ("It is clear. <|endoftext|>", []), ("It is clear.<|im_end|>\n", []), ("It is clear.</s>", []),
    ("<think>\nhm\n</think>\nIt is clear.", ["<think>\nhm\n</think>"]),
    ("<think>f</think>It is clear.<|eot_id|>", ["<think>f</think>"]),
    ("hm\n</think>\n\nIt is clear.", ["hm\n</think>"]),
])
def test_thoughts_and_ends_of_turns_are_no_part_of_the_answer(text, before):
    """Both had been trained as text of the answer."""
    assert shown(messages(ASK, CALL, RESULT, ANSWER | {"content": text}))[3:] == [
        *(("assistant", thought) for thought in before), ONE_CALL[3]]


@pytest.mark.parametrize("mark, is_error", [
    ({"status": "error"}, True), ({"is_error": True}, True), ({"is_error": "true"}, True),
    ({"isError": True}, True), ({"status": "success"}, False), ({"is_error": False}, False),
    ({"is_error": "false"}, False), ({"isError": None}, False)])
def test_results_that_are_marked_as_errors(mark, is_error):
    """The marks had been dropped, and the calls trained."""
    text = '{"is_error": true, "content": "boom"}' if is_error else "boom"
    item = {"type": "function_call_output", "call_id": "c1", "output": "boom"}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    observed = {"conversations": [{"from": "human", "value": "q"},
                                  {"from": "function_call", "value": '{"name": "f", "input": {}}'},
                                  {"from": "observation", "value": "boom"} | mark]}
    for raw in (messages(ASK, CALL, RESULT | {"content": "boom"} | mark),
                messages(ASK, call, item | mark), observed):
        assert shown(raw)[2] == ("function", text)
        assert classify(text).is_error is is_error


@pytest.mark.parametrize("key", ["tool_call_id", "call_id", "toolCallId"])
def test_results_in_another_order_have_the_id_of_their_call_under_several_keys(key):
    calls = {"role": "assistant", "tool_calls": [
        {"id": id, "function": {"name": "get_weather", "arguments": {"city": city}}}
        for id, city in ((1, "Oslo"), (2, "Bergen"))]}
    results = [{"role": "tool", key: id, "content": text} for id, text in ((2, "rain"), (1, "sun"))]
    assert [text for _, text in shown(messages(ASK, calls, *results))[3:]] == ["sun", "rain"]


def test_blocks_of_a_system_message_and_lines_of_the_user_s_own():
    blocks = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
              {"type": "text", "text": "Be brief."}]
    assert shown(messages(ASK, ANSWER, system=blocks))[0][1] == (
        "Be kind.\nBe brief.\n\nWeather in Oslo?")
    own = "Use the tools, and give the final answer as a JSON object with the keys city and sky."
    told = ("For each function call return a json object with function name and arguments.\n"
            f"{own}\n<tools>{json.dumps(WEATHER)}</tools>")
    raw = texts("Weather in Oslo?", "It is clear.")
    raw["conversations"].insert(0, {"from": "system", "value": told})
    assert shown(raw)[0][1] == f"{own}\n\nWeather in Oslo?"


@pytest.mark.parametrize("arguments", [None, [], "", "null", "[]", {}])
def test_empty_arguments_are_none(arguments):
    call = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": arguments}]}
    assert shown(messages(ASK, call))[1] == ("assistant", "f()")


def test_blocks_of_anthropic_and_items_of_responses():
    use = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": '{"sky": "clear"}'}
    listed = result | {"content": [{"type": "text", "text": '{"sky": "clear"}'}]}
    call = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, use]}
    for one in (result, listed):
        assert shown(messages(ASK, call, {"role": "user", "content": [one]}, ANSWER)) == ONE_CALL
    failed = messages(ASK, {"role": "assistant", "content": [use]},
                      {"role": "user", "content": [result | {"content": "boom", "is_error": True}]})
    assert classify(shown(failed)[-1][1]).is_error
    second = use | {"id": "t2", "input": {"city": "Bergen"}}
    other_order = messages(ASK, {"role": "assistant", "content": [use, second]}, {
        "role": "user", "content": [result | {"tool_use_id": "t2", "content": "rain"}, result]})
    assert [text for _, text in shown(other_order)[3:]] == ['{"sky": "clear"}', "rain"]
    items = messages(
        ASK, {"type": "function_call", "call_id": "c", "name": "get_weather",
              "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "c", "output": '{"sky": "clear"}'}, ANSWER)
    assert shown(items) == ONE_CALL


def test_roles_of_calls_and_the_questions_of_xlam():
    call = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
    swift = messages(ASK, {"role": "tool_call", "content": call},
                     {"role": "tool_response", "content": '{"sky": "clear"}'}, ANSWER)
    assert shown(swift) == ONE_CALL
    raw = {"id": 0, "query": "Weather in Oslo?", "answers": f"[{call}]", "tools": json.dumps([
        {"name": "get_weather", "description": "Weather.", "parameters": {
            "city": {"type": "str", "description": "A city."}}}])}
    assert shown(raw) == ONE_CALL[:2]
    assert [name.name for name in trajectories.read_item(raw).tools[0].parameters] == ["city"]
    assert trajectories.formats([(raw, "")]) == "1 item in xLAM's format"


# --------------------------------------------------------- Gemini's contents, Responses and ReAct

def gemini(*contents, **more):
    tools = [{"function_declarations": [WEATHER["function"]]}]
    return {"contents": list(contents), "tools": tools, **more}


def part(role, **parts):
    return {"role": role, "parts": [{key: value} for key, value in parts.items()]}


@pytest.mark.parametrize("call, response", [
    ("functionCall", "functionResponse"), ("function_call", "function_response")])
@pytest.mark.parametrize("role", ["function", "user"])
def test_contents_of_gemini(call, response, role):
    raw = gemini(part("user", text="Weather in Oslo?"),
                 part("model", **{call: {"name": "get_weather", "args": {"city": "Oslo"}}}),
                 part(role, **{response: {"name": "get_weather", "response": {"sky": "clear"}}}),
                 part("model", text="It is clear."))
    assert chat_form(raw) == GEMINI and shown(raw) == ONE_CALL
    ours = trajectories.read_item(messages(ASK, CALL, RESULT, ANSWER))
    assert trajectories.read_item(raw).tools == ours.tools
    assert trajectories.formats([(raw, "")]) == "1 item in Gemini's contents"


def test_gemini_s_calls_in_parallel_have_results_by_name_and_by_id():
    other = schema("get_time", "Time.")["function"]
    calls = {"role": "model", "parts": [
        {"text": "I look", "thought": True}, {"text": "Both"}, {"text": "."},
        {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}},
         "thoughtSignature": "s"}, {"functionCall": {"name": "get_time"}}]}
    results = {"role": "user", "parts": [
        {"functionResponse": {"name": "get_time", "response": {"time": 9}}},
        {"functionResponse": {"name": "get_weather", "response": {"sky": "clear"}}}]}
    raw = gemini(part("user", text="q"), calls, results,
                 system_instruction={"parts": [{"text": "Be brief."}]})
    raw["tools"][0]["function_declarations"].append(other)
    assert shown(raw) == [
        ("user", "Be brief.\n\nq"), ("assistant", "Both."),
        ("assistant", 'get_weather(city="Oslo")'), ("assistant", "get_time()"),
        ("function", '{"sky": "clear"}'), ("function", '{"time": 9}')]
    results["parts"].pop()
    with pytest.raises(InputError, match="2 calls in a row, but 1 result"):
        trajectories.read_item(raw)


def response_items():
    return [{"type": "message", "role": "user",
             "content": [{"type": "input_text", "text": "Weather in Oslo?"}]},
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "id": "fc", "call_id": "c", "name": "get_weather",
             "arguments": '{"city": "Oslo"}'},
            {"type": "function_call_output", "call_id": "c", "output": '{"sky": "clear"}'},
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_text", "text": "It is clear.", "annotations": []}]}]


def test_the_input_of_responses_and_its_output():
    items = response_items()
    bare = {"type": "function", **WEATHER["function"]}
    for raw in ({"input": items, "tools": [bare]},
                {"input": items[:2], "output": items[2:], "tools": [bare]},
                {"input": "Weather in Oslo?", "output": items[1:], "tools": [bare]}):
        assert chat_form(raw) == RESPONSES and shown(raw) == ONE_CALL
    told = {"input": items, "tools": [bare], "instructions": "Be brief."}
    assert shown(told)[0] == ("user", "Be brief.\n\nWeather in Oslo?")


def test_results_of_responses_find_their_calls_by_id():
    items = response_items()
    second = items[2] | {"call_id": "d", "arguments": '{"city": "Bergen"}'}
    other = items[3] | {"call_id": "d", "output": "rain"}
    raw = {"input": [*items[:3], second, other, items[3]], "tools": [WEATHER]}
    assert [text for _, text in shown(raw)[3:]] == ['{"sky": "clear"}', "rain"]
    raw["input"][4] = other | {"call_id": "e"}
    with pytest.raises(InputError, match="turn 4: a result for the id 'e'"):
        trajectories.read_item(raw)


@pytest.mark.parametrize("role, after", [
    ("user", ""), ("tool", "\nObservation:"), ("user", "\n"), ("tool", "</s>")])
def test_react_in_the_texts_of_a_chat(role, after):
    final = {"role": "assistant", "content": "Thought: I know it.\nFinal Answer: It is clear."}
    for seen in ('Observation: {"sky": "clear"}', '\nObservation:\n{"sky": "clear"}\n'):
        raw = messages(ASK, {"role": "assistant", "content": REACT + after},
                       {"role": role, "content": seen}, final)
        assert shown(raw) == [ONE_CALL[0], ("assistant", "Thought: I look."), *ONE_CALL[1:3],
                              ("assistant", "Thought: I know it."), ONE_CALL[3]]


def test_react_with_a_block_and_marks_inside_a_value():
    value = "a\\nObservation: b\\nAction: c\\nAction Input: {}"
    text = f'Action: get_weather\nAction Input:\n```json\n{{"city": "{value}"}}\n```'
    raw = messages(ASK, ANSWER | {"content": text}, {"role": "tool", "content": "clear"}, ANSWER)
    assert shown(raw)[1:3] == [("assistant", f'get_weather(city="{value}")'), ("function", "clear")]
