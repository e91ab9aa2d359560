"""Requests in OpenAI's format, the answers to them, and the batch files of both."""

import json

import pytest

import evaluate
from data.turns import Turn
from evaluation.benchmarks import BENCHMARKS
from evaluation.call_formats import find_calls
from evaluation.openai_format import Form, make_request, read_batch, read_response, request_ids
from evaluation.scores import judge, summarise
from evaluation.tasks import Task, make_conversation
from evaluation.templates import TEMPLATES
from plumbing.client import Unreadable
from plumbing.files import InputError, read_records
from tests.conftest import assert_one_line_error, real, schema
from tests.evaluation.loopback import chat, completion, right_answer, write_batch

SHOWN = make_conversation([schema("forecast", "Says it.", ["city"], city="string")],
                          [{"role": "user", "content": "Rain?"}], "test")
TASKS = [Task(f"set/{i}", SHOWN.tools, (*SHOWN.turns[:1], Turn("user", f"Rain {i}?")), ())
         for i in range(3)]


def request(template="gpt", tools=SHOWN.tools, turns=SHOWN.turns, **form):
    return make_request(Form(template, "m", 64, **form), tools, turns)


# ---- requests ----

def test_messages_go_to_the_chat_endpoint_with_their_tools():
    path, body = request()
    assert path == "/chat/completions"
    assert body == {"model": "m", "temperature": 0, "max_completion_tokens": 64,
                    "messages": [{"role": "user", "content": "Rain?"}],
                    "tools": [schema("forecast", "Says it.", ["city"], city="string")]}


def test_a_text_goes_to_completions_and_its_first_mark_is_left_to_the_tokenizer():
    path, body = request("llama3.1")
    assert path == "/completions" and body["max_tokens"] == 64
    assert body["prompt"].startswith("<|start_header_id|>system")
    assert body["stop"] == ["<|eot_id|>", "<|eom_id|>"] and "messages" not in body


def test_raw_chat_sends_the_whole_text_as_one_message():
    path, body = request("llama3.1", raw_chat=True)
    [message] = body["messages"]
    assert path == "/chat/completions" and message["role"] == "user" and "tools" not in body
    text = request("llama3.1").body["prompt"]
    assert message["content"] == f"<|begin_of_text|>{text}"


def test_a_plain_request_is_the_last_turn_in_no_template():
    turns = (Turn("system", "[]"), Turn("user", "1 + 1 ="))
    assert request("qwen2.5", (), turns, plain=True).body["prompt"] == "1 + 1 ="
    body = request("gpt", (), turns, plain=True).body
    assert body["messages"] == [{"role": "user", "content": "1 + 1 ="}] and "tools" not in body


def test_ids_tell_items_and_their_conversations_apart():
    ids = request_ids("set", TASKS)
    assert len(set(ids)) == 3 and all(len(id) <= 64 for id in ids)
    assert request_ids("set", TASKS) == ids
    assert not set(ids) & set(request_ids("set", TASKS[1:])), "the same items at other places"


# ---- responses ----

@pytest.mark.parametrize("body, text, ended", [
    (completion("f()"), "f()", True), (completion("f(", "length"), "f(", False),
    (chat("I ask."), "I ask.", True), (chat(None), "", True), (chat("", (), "length"), "", False),
    # Mistral's models that reason
    (chat([{"type": "thinking", "thinking": [{"type": "text", "text": "g()"}]},
           {"type": "text", "text": "f("}, {"type": "text", "text": "a=1)"}]), "f(a=1)", True),
])
def test_texts_of_responses(body, text, ended):
    assert read_response(body) == (text, ended, "")


@pytest.mark.parametrize("content", [None, "Let me see: forecast(city='Rome')"])
def test_calls_of_responses_are_read_as_they_were_made(content):
    """The text beside them is kept, but it is no call."""
    calls = [("forecast", {"city": 'a "b" </tool_call>'}), ("forecast", {}), ("other", {"n": [1]})]
    text = read_response(chat(content, calls)).text
    found = find_calls(text, SHOWN.tools).calls
    assert [(call.name, call.arguments) for call in found] == calls
    assert content is None or content in json.loads(text.split("\n")[0])["content"]


def test_a_broken_call_leaves_those_before_it():
    body = chat(None, [("forecast", {"city": "Oslo"})] * 2)
    body["choices"][0]["message"]["tool_calls"][1]["function"]["arguments"] = '{"city": '
    [call] = find_calls(read_response(body).text, SHOWN.tools).calls
    assert call.arguments == {"city": "Oslo"}
    old = {"choices": [{"message": {"content": None, "function_call": {
        "name": "forecast", "arguments": '{"city": "Oslo"}'}}}]}
    assert find_calls(read_response(old).text, SHOWN.tools).calls[0].name == "forecast"


@pytest.mark.parametrize("body", [
    {}, {"choices": []}, {"choices": [1]}, {"choices": {}}, {"choices": [{}]},
    {"choices": [{"text": 1}]}, {"choices": [{"message": None}]},
    {"choices": [{"message": {"content": [1]}}]},
    {"choices": [{"message": {"content": [{"type": "text"}]}}]},
    {"choices": [{"message": {"tool_calls": "f"}}]},
    {"choices": [{"message": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}])
def test_what_is_no_response_is_never_an_answer(body):
    with pytest.raises(Unreadable):
        read_response(body)


# ---- the batch's output ----

def answered(id, body=None, **more):
    response = {"status_code": 200, "request_id": "r", "body": body or completion(f"to {id}")}
    return {"id": "batch", "custom_id": id, "response": response, "error": None, **more}


def batch(tmp_path, *lines):
    path = tmp_path / "output.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_batch(path, read_records(path), "set", TASKS)


def test_answers_go_by_their_ids_and_failed_requests_have_a_reason(tmp_path):
    first, second, third = request_ids("set", TASKS)
    replies = batch(
        tmp_path, answered(third),
        {"custom_id": second, "error": None,
         "response": {"status_code": 400, "body": {"error": {"message": "too\nlong"}}}},
        answered(first))
    assert [reply.text for reply in replies] == [f"to {first}", "", f"to {third}"]
    assert [reply.refusal for reply in replies] == ["", "HTTP 400: too long", ""]
    vllm = {"custom_id": second, "error": {"message": "long", "code": 400},
            "response": {"status_code": 400, "request_id": "r", "body": None}}
    assert batch(tmp_path, answered(first), vllm, answered(third))[1].refusal == "HTTP 400: long"
    expired = {"custom_id": second, "response": None, "error": {"code": "batch_expired"}}
    assert batch(tmp_path, answered(first), expired, answered(third))[1].refusal == "batch_expired"
    empty = answered(second, {"choices": []})
    assert "no choices" in batch(tmp_path, answered(first), empty, answered(third))[1].refusal


def test_a_batch_of_other_requests_is_refused(tmp_path):
    ids = request_ids("set", TASKS)
    good = [answered(id) for id in ids]
    for lines, message in (
            ([*good, answered("set-0-0123456789")], "line 4: the custom_id 'set-0-0123456789' is"),
            ([*good, good[0]], f"line 4: a second answer to {ids[0]}"),
            (good[:2], f"2 answers to 3 requests; none to {ids[2]}"),
            ([*good[:2], {"custom_id": ids[2], "method": "POST", "url": "/v1", "body": {}}],
             "line 3: a request, not an answer"),
            ([good[0], {"index": 1, "prediction": "f()"}], "line 2: has no custom_id"),
            ([good[0], [1]], "line 2: has no custom_id"),
            ([answered(ids[0], response="no")], "line 1: response must be"),
            ([{"custom_id": id, "error": "busy"} for id in ids],
             "all 3 requests were refused; the first: busy")):
        with pytest.raises(InputError, match=message):
            batch(tmp_path, *lines)


# ---- through the command ----

def export(run_main, path, *flags):
    done = run_main(evaluate, "--export", path, "--served-model", "m", *flags)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_golds_of_the_embedded_items_come_back(template, tasks):
    scorer = BENCHMARKS["embedded"].scorers["default"]
    for task in tasks:
        reply = read_response(right_answer(template, task))
        assert scorer(judge(task, reply.text)) == (1, 1, 1), (task.id, reply.text)


@pytest.mark.parametrize("template", ["gpt", "chatglm4"])
def test_requests_go_out_and_answers_come_back_by_the_command(
        template, data, tasks, run_main, tmp_path):
    sent = tmp_path / "requests.jsonl"
    lines = export(run_main, sent, "--template", template, "--data", data)
    assert len(lines) == len(tasks) and {line["method"] for line in lines} == {"POST"}
    assert {line["url"] for line in lines} == {
        "/v1/chat/completions" if template == "gpt" else "/v1/completions"}
    write_batch(tmp_path / "output.jsonl", sent, tasks, template)
    done = run_main(evaluate, "--data", data, "--out", tmp_path / "scores",
                    "--predictions", tmp_path / "output.jsonl")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["n"] == scores["TS"] == scores["PI"] == scores["CF"] == len(tasks)


def test_failed_requests_are_named_and_count_as_no_prediction(run_main, tmp_path):
    sent = tmp_path / "requests.jsonl"
    ids = [line["custom_id"] for line in export(run_main, sent, "--bench", "no_tool", "--limit", 1)]
    lines = [answered(id, chat(None, [("finish", {"answer": "x"})])) for id in ids]
    lines[0] = {"custom_id": ids[0], "response": None, "error": {"message": "too long"}}
    output = tmp_path / "output.jsonl"
    output.write_text("\n".join(map(json.dumps, lines)))
    done = run_main(evaluate, "--bench", "no_tool", "--limit", 1, "--predictions", output)
    first = BENCHMARKS["no_tool"].tasks()[0].id
    assert f"counted as no prediction: 1 of {len(ids)}" in done.stdout
    assert f"too long: {first}" in done.stdout
    assert f"predictions without a call that can be read: 1 of {len(ids)}" in done.stdout
    other = run_main(evaluate, "--bench", "no_tool", "--limit", 2, "--predictions", output)
    assert_one_line_error(other, "custom_id", "--limit")


@pytest.mark.parametrize("flags, words", [
    (["--export", "x"], ["--served-model"]),
    (["--export", "x", "--served-model", "m", "--bench", "toolbox"], ["--export", "--server"]),
    (["--export", "x", "--served-model", "m", "--predictions", "y"], ["--predictions and"]),
    (["--server", "http://h/v1", "--export", "x"], ["--server and --export"]),
    (["--server", "http://h/v1"], ["--served-model"]),
    (["--export", "x", "--served-model", "m", "--esm"], ["--esm", "--export"]),
    (["--server", "http://u:hunter2@h/v1", "--served-model", "m"], ["--key-env"]),
    (["--server", "http://h/v1", "--served-model", "m", "--raw-chat"], ["--template"]),
    (["--server", "http://h/v1", "--served-model", "m", "--model", "d"], ["--model", "--server"]),
    (["--server", "http://h/v1", "--served-model", "m", "--batch-size", "2"], ["--batch-size"]),
    (["--server", "http://h/v1", "--served-model", "m", "--format", "json"], ["--format"]),
    (["--template", "qwen2"], ["--template", "--server"]), (["--parallel", "2"], ["--parallel"]),
    (["--template", "qwen3"], ["--template"]), (["--key-env", "K"], ["--key-env"]),
    (["--server", "http://h/v1", "--served-model", "m", "--bench", "transcripts",
      "--predictions", "y"], ["--predictions and --server"]),
    (["--export", "/nowhere/x", "--served-model", "m", "--bench", "no_tool"], ["/nowhere/x"]),
    (["--export", "x", "--served-model", "m", "--template", "nexusraven2"], ["single questions"]),
])
def test_flags_that_do_not_fit_end_in_one_line(flags, words, run_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_main(evaluate, *flags)
    assert_one_line_error(done, *words)
    assert "hunter2" not in done.stderr and not list(tmp_path.iterdir())


ROTBENCH = ("rotbench", "rotbench", {"level": "heavy", "turn": "third"})
# NOTES.md: golds that do not parse.
UNREAD = {"CurrencyBeacon/4", "CurrencyBeacon/8"}


@pytest.mark.parametrize("template, bench, folder, options", [
    ("gpt", *ROTBENCH), ("chatglm4", *ROTBENCH), ("gpt", "bfcl", "bfcl_exec", {}),
    ("nexusraven2", "bfcl", "bfcl_exec", {}), ("qwen2", "bfcl", "bfcl_exec", {}),
    ("gpt", "toolalpaca", "toolalpaca", {}), ("qwen2.5", "toolalpaca", "toolalpaca", {}),
])
def test_the_golds_of_real_benchmarks_come_back(template, bench, folder, options):
    """But those that do not parse."""
    entry = BENCHMARKS[bench]
    tasks = entry.tasks(real(f"benchmarks/{folder}"), **options)
    items = [judge(task, read_response(right_answer(template, task)).text) for task in tasks]
    right = {item.task.id for item in items if entry.scorers["default"](item).CF}
    assert {task.id for task in tasks} - right == (UNREAD if bench == "toolalpaca" else set())
    if bench == "bfcl":
        assert summarise(items, entry)["all_calls"]["CF"] == 240
