"""OpenAI's messages and ShareGPT: read as the same conversations as our own format, or refused."""

import json

import numpy as np
import pytest

from data import trajectories
from data.chats import FINISH, OPENAI, SHAREGPT, chat_form
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
    ({"query": "q", "answers": "[]", "tools": "[]"}, "no conversations, but query, answers, tools"),
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
     r"turn 1: a call in the text of the assistant \(<tool_call>\) is not read"),
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
