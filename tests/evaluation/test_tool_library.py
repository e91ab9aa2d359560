"""Tools of a library in ToolEyes' layout: results, exceptions, hanging, garbage."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

import evaluate
from data.calls import Call
from data.feedback import Feedback, classify
from evaluation import tool_library
from evaluation.benchmarks import read_tasks
from evaluation.dialogue import LONGEST_FEEDBACK, converse
from evaluation.dialogue_scores import count_faults, make_transcript
from plumbing.files import InputError
from tests.conftest import real, schema

TOOL = '''
import json
import os
import subprocess
import sys
import threading
import time
from os import getcwd
from .names import full


class Odd:
    pass


def get_temperature(city, unit="C"):
    """The ordinary case, with a helper from the same folder, as several tools of ToolEyes."""
    return {"city": full(city), "temperature": 7, "unit": unit,
            "environment": os.environ.get("WEATHER_KEY")}


def echo(**values):
    return values


def raises(text=""):
    raise ValueError(text) if text else ValueError


def lacks():
    return {}["temperature"]


def hangs(file):
    """Starts a process of its own, which would go on when the tool is killed, and sleeps."""
    subprocess.Popen([sys.executable, "-c",
                      "import sys, time; time.sleep(2); open(sys.argv[1], 'w').close()", file])
    print("started", flush=True)
    time.sleep(1000)


def waits(file):
    open(file, "w").write(str(os.getpid()))
    time.sleep(1000)


def prints():
    print("}{ garbage \\x00", file=sys.stdout)
    os.write(1, b"\\xff\\xfe more")
    print("garbage", file=sys.stderr)
    return {"fine": True}


def leaves_a_thread():
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return "done"


def leaves_a_daemon(end, own_session):
    if not os.fork():
        if own_session:
            os.setsid()
        for _ in range(300):
            if os.path.exists(end):
                os._exit(0)
            time.sleep(0.1)
        open(end + "ed by itself", "w")
        os._exit(0)
    return "done"


def exits(status=3):
    sys.exit(status)


def dies():
    os._exit(5)


def asks():
    return input("name? ")


def odd():
    return Odd()


def large():
    return "x" * 10_000_000


def executes():
    return "__import__('os').system('true')"
'''
NAMES = [line[4:line.index("(")] for line in TOOL.splitlines() if line.startswith("def ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A library of one sub-category, Weather/Local, and a file of queries."""
    root = tmp_path_factory.mktemp("library")
    place = root / "Weather" / "Local"
    place.mkdir(parents=True)
    (place / "tool.py").write_text(TOOL)
    (place / "names.py").write_text("def full(city):\n    return city + ', Norway'\n")
    documents = [schema(name)["function"] for name in NAMES if name != "get_temperature"]
    documents.append(schema("get_temperature", "How warm is it?", ["city"], city="string",
                            unit="string")["function"])
    documents += [schema(name)["function"] for name in ("getcwd", "full", "not_implemented")]
    (place / "config_gpt4.json").write_text(json.dumps(documents))
    (root / "queries.json").write_text(json.dumps([
        {"query": "How warm is it in Oslo?", "path": "ToolEyes/Tool_Library/Weather/Local",
         "scenario": "IR"},
        {"query": "And in Bergen?", "path": "Weather/Local"}]))
    return root


@pytest.fixture(scope="module")
def task(folder):
    return tool_library.read_queries(folder, folder / "queries.json")[0]


def call(folder, task, name, seconds=60, env="", **arguments):
    execute = tool_library.server(folder, seconds, env)
    return execute(task, Call(name, arguments, (0, len(name))))


def test_queries_have_the_tools_of_their_folder_and_the_two_that_every_dialogue_needs(folder, task):
    assert task.id == "Weather/Local/0" and task.turns[1].content == "How warm is it in Oslo?"
    assert [tool.name for tool in task.tools[-3:]] == ["not_implemented", "ask_to_user", "finish"]


def test_a_tool_ends_with_the_evaluation_whatever_ends_that(folder, task, tmp_path):
    """A killed evaluate.py left its tool running for good: here as a child that is killed."""
    child = os.fork()
    if not child:
        call(folder, task, "waits", file=str(tmp_path / "process"))
        os._exit(0)
    while not (tmp_path / "process").exists() or not (tmp_path / "process").read_text():
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(500):
        if not Path("/proc", (tmp_path / "process").read_text()).exists():
            break
        time.sleep(0.02)
    else:
        pytest.fail("the tool went on")


def test_a_result_is_json_as_the_tool_returned_it(folder, task, monkeypatch):
    monkeypatch.setenv("WEATHER_KEY", "k")
    result = {"city": "Oslo, Norway", "temperature": 7, "unit": "C", "environment": None}
    assert json.loads(call(folder, task, "get_temperature", city="Oslo")) == result
    named = call(folder, task, "get_temperature", env="WEATHER_KEY", city="Oslo")
    assert json.loads(named) == result | {"environment": "k"}
    with pytest.raises(InputError, match="--tool-env NEWS_KEY: is not set"):
        tool_library.server(folder, 1, "WEATHER_KEY,NEWS_KEY")
    odd = {"a b": [None, True, 1.5, {"é": "\"'\\\n\u2028𝕏"}], "code:": "__import__('os')"}
    assert json.loads(call(folder, task, "echo", **odd)) == odd


@pytest.mark.parametrize("name, arguments, feedback, kind", [
    ("raises", {"text": "division by zero"}, "division by zero", Feedback.TOOL_CALL_FAILURE),
    ("raises", {}, "ValueError()", Feedback.OTHERS),
    ("raises", {"text": "All is well"}, "Error: All is well", Feedback.OTHERS),
    ("lacks", {}, "'temperature'", Feedback.TOOL_CALL_FAILURE),
    ("odd", {}, "Object of type Odd is not JSON serializable", Feedback.TOOL_CALL_FAILURE),
    ("get_temperature", {}, "get_temperature() missing 1 required positional argument: 'city'",
     Feedback.PARAMETER_MISSING),
    ("get_temperature", {"city": "x", "day": 1},
     "get_temperature() got an unexpected keyword argument 'day'",
     Feedback.PARAMETER_HALLUCINATION),
    ("get_rain", {}, "name 'get_rain' is not defined", Feedback.TOOL_HALLUCINATION),
    # Not offered.
    ("name", {"city": "x"}, "name 'name' is not defined", Feedback.TOOL_HALLUCINATION),
    # Offered, but only imported by the library: it could be os.system.
    ("getcwd", {}, "name 'getcwd' is not defined", Feedback.TOOL_CALL_FAILURE),
    # Imported from the library itself.
    ("full", {"city": "Bergen"}, '"Bergen, Norway"', Feedback.ALL_RIGHT),
    ("exits", {}, "Error: the tool ended with status 3, without a result.", Feedback.OTHERS),
    ("dies", {}, "Error: the tool ended with status 5, without a result.", Feedback.OTHERS),
    ("asks", {}, "Error: EOF when reading a line", Feedback.OTHERS),
])
def test_what_goes_wrong_in_a_tool_is_its_feedback(folder, task, name, arguments, feedback, kind):
    """An exception's text as it is, as ToolEyes gives it; "Error: " leads one like a success."""
    assert call(folder, task, name, **arguments) == feedback
    assert classify(feedback, name, task.tools) is kind


def test_a_documented_tool_without_code_is_an_error(folder, task):
    assert "not_implemented" in call(folder, task, "not_implemented")


def test_a_tool_that_hangs_is_killed_with_all_that_it_started(folder, task, tmp_path):
    feedback = call(folder, task, "hangs", seconds=1.5, file=str(tmp_path / "alive"))
    assert feedback == "Request timed out after 1.5 seconds."
    assert classify(feedback) is Feedback.TOOL_INSTABILITY
    time.sleep(2)
    assert not (tmp_path / "alive").exists(), "the tool's own process went on"


def test_what_a_tool_prints_or_leaves_running_is_not_its_result(folder, task):
    assert call(folder, task, "prints") == '{"fine": true}'
    assert call(folder, task, "leaves_a_thread") == '"done"'


@pytest.mark.parametrize("own_session", (False, True))
def test_a_result_does_not_wait_for_what_the_tool_left_running(folder, task, own_session, tmp_path):
    """It held the pipe of the result open: the call timed out, or waited for another session."""
    end = tmp_path / "end"
    assert call(folder, task, "leaves_a_daemon", end=str(end), own_session=own_session) == '"done"'
    end.touch()
    assert not (tmp_path / "ended by itself").exists()


def test_a_result_is_bounded_and_never_evaluated(folder, task):
    assert len(call(folder, task, "large")) == 100_000
    assert call(folder, task, "executes") == "\"__import__('os').system('true')\""


def test_the_loop_goes_on_after_a_tool_that_raises_hangs_or_says_too_much(folder, task):
    texts = iter(['raises(text="x")', f'hangs(file="{os.devnull}")', "large()",
                  'get_temperature(city="Oslo")', 'finish(answer="7")'])
    [held] = converse([task], lambda conversations: [next(texts)], tool_library.server(folder, 1.5))
    feedback = [turn.content for turn in held.turns if turn.role == "function"]
    assert feedback[:2] == ["Error: x", "Request timed out after 1.5 seconds."]
    assert len(feedback[2]) == LONGEST_FEEDBACK + 4
    assert count_faults([make_transcript(held)])["VA"] == 1


def test_a_library_is_evaluated_from_the_command_line(folder, model_dir, tmp_path, capsys):
    for bench in ("toolbox", "tooleyes"):
        evaluate.main(["--bench", bench, "--tool-library", str(folder), "--queries",
                       str(folder / "queries.json"), "--model", str(model_dir), "--device", "cpu",
                       "--max-new-tokens", "3", "--out", str(tmp_path / bench)])
        assert "of 2 queries" in capsys.readouterr().out
        scores = json.loads((tmp_path / bench / "scores.json").read_text())
        assert (scores["bench"], scores["queries"]) == ("tooleyes", 2) and "VA_paper" not in scores


def test_wrong_libraries_and_queries_are_named(folder, tmp_path, model_dir):
    for content, message in (({}, "must be a JSON list"), ([3], "item 0: query and path"),
                             ([{"query": "x", "path": "Weather/Sea"}],
                              "Weather/Sea has no config")):
        (tmp_path / "q.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=message):
            tool_library.read_queries(folder, tmp_path / "q.json")
    (tmp_path / "Weather" / "Local").mkdir(parents=True)
    (tmp_path / "Weather" / "Local" / "config.json").write_text("[]")
    tasks = tool_library.read_queries(tmp_path, folder / "queries.json")
    with pytest.raises(InputError, match="has no Weather/Local/tool.py"):
        tool_library.check(tmp_path, tasks)


def test_packages_that_the_tools_lack_are_named_before_anything_runs(folder, tmp_path):
    """Every call of such a tool counted as an error of the model."""
    tasks = tool_library.read_queries(folder, folder / "queries.json")
    tool_library.check(folder, tasks)
    where = tmp_path / "Weather" / "Local"
    where.mkdir(parents=True)
    (tmp_path / "shared.py").touch()
    (where / "tool.py").write_text("import json, absent_one.part as x\nfrom absent_two import y\n"
                                   "from . import z\nimport shared, Weather\n")
    with pytest.raises(InputError) as caught:
        tool_library.check(tmp_path, tasks)
    message = str(caught.value)
    assert "absent_one (Weather/Local/tool.py), absent_two (Weather/Local/tool.py);" in message
    for tool in ("def f(:", "def f():\n    import absent_one\n", "\0"):
        (where / "tool.py").write_text(tool)
        tool_library.check(tmp_path, tasks)


def test_queries_of_tooleyes_get_the_tools_that_its_processed_file_shows(tmp_path):
    """Its gathered schemas, laid out as the library, give the tools of all 382 queries again."""
    documents = json.loads(real("benchmarks/tooleyes/tools.json").read_text())
    for place, schemas in documents.items():
        path = Path(tmp_path, place)
        path.mkdir(parents=True)
        (path / "config_gpt4.json").write_text(json.dumps(schemas))
    raw = tool_library.read_queries(tmp_path, real("benchmarks/tooleyes/scenario_data_raw.json"))
    processed = read_tasks("tooleyes", real("benchmarks/tooleyes"))
    assert len(raw) == 382
    for ours, theirs in zip(raw, processed, strict=True):
        assert (ours.id, ours.tools, ours.turns[1]) == (theirs.id, theirs.tools, theirs.turns[1])
