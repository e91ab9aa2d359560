"""Evaluations by a server: every benchmark's command, failures, kills, dialogues, and the key."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import evaluate
from evaluation.openai_format import Form
from plumbing import client
from tests.conftest import ROOT
from tests.evaluation.loopback import TROUBLES, Loopback, answer_sheet, chat, completion

KEY = "sk-test-0123456789abcdef"
GPT = Form("gpt", "m", 512)


@pytest.fixture(scope="module")
def golds(tasks):
    """The `respond` of a server that knows their golds."""
    return answer_sheet(GPT, tasks)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses that a test can wait for, and the key."""
    monkeypatch.setattr(client, "PAUSE", 0.001)
    monkeypatch.setenv("THE_KEY", KEY)


@pytest.fixture
def ask_server(run_main, data):
    """The command with a server, which leaves the key nowhere -> CompletedProcess."""
    def ask(loopback, out, *flags):
        where = () if "--bench" in flags else ("--data", data)
        done = run_main(evaluate, "--server", loopback.url, "--served-model", "m", "--deadline",
                        0.6, "--key-env", "THE_KEY", "--out", out, *where, *flags)
        files = "".join(path.read_text() for path in sorted(out.glob("*")))
        assert KEY not in done.stdout + done.stderr + files
        return done

    return ask


def scores_in(folder):
    return json.loads((folder / "scores.json").read_text())


def test_the_golds_come_back_and_a_finished_run_asks_for_nothing(
        ask_server, golds, tasks, tmp_path):
    with Loopback(golds) as loopback:
        for _ in range(2):
            done = ask_server(loopback, tmp_path)
            assert done.returncode == 0, done.stderr
            scores = scores_in(tmp_path)
            assert scores["n"] == scores["CF"] == len(tasks) == len(loopback.seen)
        assert {headers["Authorization"] for _, headers, _ in loopback.seen} == {f"Bearer {KEY}"}
        other = ask_server(loopback, tmp_path, "--template", "qwen2.5")
        assert other.returncode == 2 and "template" in other.stderr


def test_a_template_s_text_is_completed(ask_server, tasks, tmp_path):
    right = answer_sheet(GPT._replace(template="chatglm4"), tasks)
    with Loopback(right) as loopback:
        done = ask_server(loopback, tmp_path, "--template", "chatglm4")
        assert done.returncode == 0, done.stderr
        assert {path for path, _, _ in loopback.seen} == {"/v1/completions"}
    assert scores_in(tmp_path)["CF"] == len(tasks)


def test_thirty_percent_of_requests_fail_in_every_way(ask_server, golds, tasks, tmp_path):
    def fails(number):
        return TROUBLES[number % len(TROUBLES)] if number % 10 < 3 else None

    with Loopback(golds, fails) as loopback:
        done = ask_server(loopback, tmp_path)
    assert done.returncode == 0, done.stderr
    assert scores_in(tmp_path)["CF"] == len(tasks)


def test_items_without_an_answer_are_named_and_asked_for_again(
        ask_server, golds, tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "TRIES", 2)
    unlucky = {json.dumps(task.turns[-1].content): task.id for task in tasks[::5]}

    def respond(path, body):
        if json.dumps(body["messages"][-1]["content"]) in unlucky:
            return 503, {"error": f"busy, {KEY}"}
        return golds(path, body)

    with Loopback(respond) as loopback:
        done = ask_server(loopback, tmp_path)
    assert done.returncode == 2 and "HTTP 503: busy, ***" in done.stderr
    assert all(id in done.stderr for id in unlucky.values())
    with Loopback(golds) as loopback:
        done = ask_server(loopback, tmp_path)
        assert len(loopback.seen) == len(unlucky) and scores_in(tmp_path)["CF"] == len(tasks)


def test_refused_requests_are_named_and_count_as_no_prediction(ask_server, golds, tasks, tmp_path):
    refused = tasks[3]

    def respond(path, body):
        if body["messages"][-1]["content"] == refused.turns[-1].content:
            return 400, {"error": {"message": f"too long, {KEY}"}}
        return golds(path, body)

    with Loopback(respond) as loopback:
        for asked in (len(tasks), len(tasks) + 1):  # a second run asks for it again
            done = ask_server(loopback, tmp_path)
            assert f"HTTP 400: too long, ***: {refused.id}" in done.stdout, done.stderr
            assert len(loopback.seen) == asked
    scores = scores_in(tmp_path)
    assert scores["CF"] == len(tasks) - 1
    assert scores["refused"] == {refused.id: "HTTP 400: too long, ***"}


def test_where_all_requests_are_refused_there_are_no_scores(
        ask_server, golds, tasks, tmp_path):
    with Loopback(lambda path, body: (400, {"error": {"message": "no tools here"}})) as loopback:
        done = ask_server(loopback, tmp_path, )
    assert done.returncode == 2 and f"all {len(tasks)} requests were refused" in done.stderr
    assert "no tools here" in done.stderr and not (tmp_path / "scores.json").exists()
    with Loopback(golds) as loopback:  # the server is mended
        ask_server(loopback, tmp_path)
    assert scores_in(tmp_path)["CF"] == len(tasks)


@pytest.mark.parametrize("text", [f"the key is {KEY}", f'{{"{KEY}": "{KEY}"}}'])
def test_a_server_that_answers_with_the_key(text, ask_server, tmp_path):
    with Loopback(lambda path, body: chat(text)) as loopback:
        assert ask_server(loopback, tmp_path).returncode == 0
    assert "***" in (tmp_path / "items.jsonl").read_text()


def test_a_server_that_is_gone_ends_the_run(ask_server, golds, tmp_path):
    with Loopback(golds) as loopback:
        pass
    done = ask_server(loopback, tmp_path)
    assert done.returncode == 2 and "cannot be reached" in done.stderr.splitlines()[-1]


def test_a_killed_evaluation_goes_on_where_it_was(ask_server, data, golds, tasks, tmp_path):
    def slowly(path, body):
        time.sleep(0.05)
        return golds(path, body)

    with Loopback(slowly) as loopback:
        process = subprocess.Popen(
            [sys.executable, ROOT / "evaluate.py", "--server", loopback.url, "--served-model", "m",
             "--deadline", "0.6", "--key-env", "THE_KEY", "--out", tmp_path, "--data", data,
             "--parallel", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        kept = tmp_path / "answers.0.jsonl"
        while process.poll() is None and not (kept.exists() and kept.read_text().count("\n") > 3):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert KEY not in process.communicate()[0] and process.returncode == -signal.SIGKILL
        answered = kept.read_text().count("\n")
        asked = len(loopback.seen)
        assert 3 < answered < len(tasks)
        done = ask_server(loopback, tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(loopback.seen) - asked == len(tasks) - answered
    assert scores_in(tmp_path)["CF"] == len(tasks)


# ---- dialogues ----

def play(path, body):
    """A model that calls a tool that there is not, and then ends the dialogue."""
    if any(message["role"] == "tool" for message in body["messages"]):
        return chat(None, [("finish", {"answer": "It is done."})])
    return chat(None, [("no_such_tool", {"a": 1})])


def test_dialogues_are_held_in_parallel_and_kept_when_they_end(ask_server, tmp_path):
    asked = []
    with Loopback(play, lambda number: "429" if number % 4 == 0 else None) as loopback:
        for _ in range(2):
            done = ask_server(loopback, tmp_path, "--bench", "toolbox", "--limit", 6)
            assert done.returncode == 0, done.stderr
            asked.append(len(loopback.seen))
    assert asked[0] == asked[1], "a finished run asks for nothing"
    dialogues = json.loads((tmp_path / "dialogues.json").read_text())
    assert len(dialogues) == 6
    for dialogue in dialogues:
        roles = [message["role"] for message in dialogue["conversations"]]
        assert roles == ["system", "user", "assistant", "function", "assistant"]
        assert "not defined" in dialogue["conversations"][3]["content"]


def test_a_dialogue_that_the_server_refuses_to_go_on_with_is_named(ask_server, tmp_path):
    def refuse(path, body):
        if len(body["messages"]) > 1:
            return 400, {"error": {"message": "too long"}}
        return play(path, body)

    with Loopback(refuse) as loopback:
        done = ask_server(loopback, tmp_path, "--bench", "toolbox", "--limit", 2)
    assert done.returncode == 0, done.stderr
    assert "counted as no prediction: 2 of 2" in done.stdout and "HTTP 400: too long" in done.stdout
    for dialogue in json.loads((tmp_path / "dialogues.json").read_text()):
        assert dialogue["conversations"][-1] == {"role": "assistant", "content": ""}
        assert scores_in(tmp_path)["refused"][dialogue["id"]] == "HTTP 400: too long"


def test_a_question_is_answered_by_a_server(run_main):
    with Loopback(play) as loopback:
        done = run_main(evaluate, "--ask", "Will it rain in Oslo?", "--server", loopback.url,
                        "--served-model", "m")
    assert done.returncode == 0, done.stderr
    assert "It is done." in done.stdout


def test_a_model_that_writes_texts_holds_a_dialogue(ask_server, tmp_path):
    def respond(path, body):
        text = 'finish(answer="dry")' if "Output:" in body["prompt"] else "It may rain."
        return completion(f" {text}")

    with Loopback(respond) as loopback:
        done = ask_server(loopback, tmp_path, "--bench", "toolbox", "--limit", 1,
                          "--template", "tl-codellama2")
        assert done.returncode == 0, done.stderr
        last = loopback.seen[-1][2]["prompt"]
    assert "\nAssistant: It may rain.\nOutput: Error: not a call" in last
    assert last.endswith("\nAssistant:")
