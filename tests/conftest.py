"""Shared by all tests: fixtures, one thread for torch, and where the real files are."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import torch

import model
import tokenizer
from data import trajectories
from plumbing.flags import cli

torch.set_num_threads(1)  # two tests with two busy threads each can be ten times slower
hypothesis.settings.register_profile("no time limit", deadline=None)
hypothesis.settings.load_profile("no time limit")
ROOT = Path(__file__).resolve().parents[1]
# The real files stand beside a checkout.
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))


def pytest_addoption(parser):
    """`make test` runs two processes, one from the first file on and one from the last back."""
    parser.addoption("--share", type=Path, help="folder in which processes say which files of "
                     "tests they have taken; empty at first")
    parser.addoption("--backwards", action="store_true", help="begin with the last file")


def pytest_collection_modifyitems(config, items):
    """Turn the order of the files; the tests of a file stay in theirs."""
    if config.getoption("--backwards"):
        files = list(dict.fromkeys(item.path for item in items))
        items.sort(key=lambda item: -files.index(item.path))


def pytest_runtestloop(session):
    """With --share, run the tests of the files that no other process has taken."""
    folder = session.config.getoption("--share")
    if folder is None or session.testsfailed:
        return None  # pytest's own loop
    items = untaken(session.items, folder)
    test = next(items, None)
    while test is not None:
        following = next(items, None)  # tells which fixtures are needed further
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        if session.shouldfail or session.shouldstop:
            raise session.Interrupted(session.shouldfail or session.shouldstop)
        test = following
    return True


def untaken(items, folder):
    """The tests of the files that this process is the first to ask for, taken as they are met."""
    mine = {}
    for test in items:
        if test.path not in mine:
            mark = folder / str(test.path.relative_to(ROOT)).replace("/", "-")
            try:
                mark.touch(exist_ok=False)
                mine[test.path] = True
            except FileExistsError:
                mine[test.path] = False
        if mine[test.path]:
            yield test


def real(name):
    """Path of a real file under shared/; skips the test where it is absent."""
    if not (SHARED / name).exists():
        pytest.skip(f"needs the real file {name}, absent here")
    return SHARED / name


@functools.cache
def real_conversations():
    """The 2,902 Conversations of the real file of GPT-4's; a process reads its 29 MB once."""
    return tuple(trajectories.read(real("trajectories/rottuning_gpt4.json")))


def schema(name, description="", required=(), **properties):
    """A tool schema; properties: name="type"."""
    described = {key: {"type": kind, "description": f"The {key}."}
                 for key, kind in properties.items()}
    parameters = {"type": "object", "required": list(required), "properties": described}
    return {"type": "function", "function": {
        "name": name, "description": description, "parameters": parameters}}


TOOLS = [schema("get_weather", "Weather of a city.", ["city"], city="string", days="integer"),
         schema("get_weather_forecast", "Forecast.", ["city", "day"], day="string", city="string"),
         schema("get_news", "News on a topic.", [], topic="string"),
         schema("finish", "Give the answer.", ["answer"], answer="string")]


def item(*turns, tools=TOOLS, id="x"):
    """A raw trajectory; turns are (role, content) and the system turn is put first."""
    turns = [("system", json.dumps(tools)), *turns]
    return {"id": id, "conversations": [
        {"role": role, "content": content} for role, content in turns]}


ITEMS = [
    item(("user", "How warm is it in Bergen?"),
         ("assistant", 'get_weather\n{"town": "Bergen"}'),
         ("function", "get_weather() got an unexpected keyword argument 'town'"),
         ("assistant", 'get_weather\n{"city": "Bergen"}'), ("function", '{"temperature": 7}'),
         ("assistant", 'finish\n{"answer": "It is 7 degrees in Bergen."}')),
    item(("user", "Any news, and the weather in Šibenik on Friday?"),
         ("assistant", "get_news\n{}"), ("function", '{"news": ["a (b)", "c = d", "two\\nlines"]}'),
         ("assistant", 'get_weather_forecast\n{"city": "Šibenik", "day": "Friday"}'),
         ("function", '{"rain": true}'),
         ("assistant", 'finish\n{"answer": "News: a (b); rain\\n in Šibenik 🌧."}')),
    item(("user", "news"), ("assistant", 'get_news\n{"topic": "cats"}'), ("function", "[]"),
         ("assistant", 'finish\n{"answer": "none"}')),
]


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    """A small SentencePiece model trained on the fixtures above."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    tokenizer.train([json.dumps(ITEMS, ensure_ascii=False),
                     "Function: Args: System User Assistant Output"] * 3, path, vocab_size=350)
    return path


CONFIG = {"model_type": "llama", "vocab_size": 350, "hidden_size": 32, "intermediate_size": 48,
          "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "rope_theta": 1e6}


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, tokenizer_file):
    """A small random checkpoint with its tokenizer."""
    path = tmp_path_factory.mktemp("model")
    (path / "config.json").write_text(json.dumps(CONFIG))
    model.save(model.initialise(model.read_config(path / "config.json")), path)
    shutil.copyfile(tokenizer_file, path / "tokenizer.model")
    return path


def run_script(*arguments, cwd=ROOT):
    """Run `python arguments...` as a user would -> CompletedProcess with text output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, env=environment,
                          capture_output=True, text=True)


@pytest.fixture
def run_main(monkeypatch, capsys):
    """As `run_script`, of a script's module, in this process: it has imported torch already."""
    def run(module, *flags):
        monkeypatch.setattr(sys, "argv", [module.__file__, *map(str, flags)])
        capsys.readouterr()
        status = 0
        try:
            cli(module.main)
        except SystemExit as end:
            status = end.code
        return subprocess.CompletedProcess(sys.argv, status, *capsys.readouterr())

    return run


def assert_one_line_error(done, *words):
    """Bad input: exit status 2, one line on stderr holding `words`, no traceback."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error:"), done.stderr
    for word in words:
        assert str(word) in lines[0], (word, lines[0])
