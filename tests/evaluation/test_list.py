"""The one list of benchmarks: its hints run, and so does its example in CONTRIBUTING.md."""

import json
import re
import shutil

import pytest

import evaluate
from evaluation import benchmarks
from evaluation.benchmarks import BENCHMARKS, ENTRIES, WITH_TASKS, read_tasks
from evaluation.benchmarks.entry import DATA, FLAGS_OF_KIND, HOME
from evaluation.download import SOURCES
from plumbing.files import InputError
from plumbing.flags import flag_name
from tests.conftest import ROOT, run_script


def test_an_entry_has_the_name_of_its_file_and_fields_that_fit_its_kind():
    for entry in ENTRIES:
        assert getattr(benchmarks, entry.name).BENCHMARK is entry
        assert entry.kind in FLAGS_OF_KIND
        assert (next(iter(entry.scorers), None) == "default") == (entry.kind == "calls")
        assert bool(entry.serve) == (entry.kind == "dialogues")
        assert entry.default_level in ("", "all", *entry.levels)
        assert {*entry.own_flags, *entry.needs} <= evaluate.Flags.__annotations__.keys()
    assert len(BENCHMARKS) == len(ENTRIES)


def test_files_stand_where_they_are_fetched_or_committed():
    for name in WITH_TASKS:
        entry = BENCHMARKS[name]
        assert not (entry.source and entry.written_by), name
        if entry.source:
            assert (entry.folder or HOME / name) == HOME / name
        if entry.written_by:
            assert entry.folder == DATA
        assert (name in SOURCES) == bool(entry.source)


@pytest.mark.parametrize("name", WITH_TASKS)
def test_a_missing_file_is_answered_with_the_hint_of_the_entry(tmp_path, name):
    with pytest.raises(InputError) as caught:
        read_tasks(name, tmp_path)
    remedy = BENCHMARKS[name].remedy
    assert str(caught.value).endswith(f": no such file; {remedy}" if remedy else ": no such file")


def one_remedy_of_each_module():
    """Names behind a module are checked above; starting it is what costs."""
    remedies = sorted({entry.remedy for entry in ENTRIES if entry.remedy})
    return {" ".join(remedy.split()[:3]): remedy for remedy in remedies}.values()


@pytest.mark.parametrize("remedy", one_remedy_of_each_module())
def test_every_hint_is_a_command_that_runs(remedy):
    """One hint advised a command that did not exist."""
    [command] = re.findall("`python (.*)`", remedy)
    done = run_script(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m ")


def test_a_flag_for_some_benchmarks_is_refused_by_all_others():
    values = {"level": "heavy", "turn": "third", "compat": None, "released": None, "show": "1",
              "format": "json", "errors": None, "tool_library": "x", "queries": "x",
              "tool_timeout": "5", "execute": None}
    for name, value in values.items():
        assert any(name in entry.own_flags for entry in ENTRIES)
        others = [entry.name for entry in ENTRIES if name not in entry.own_flags]
        if name == "tool_library":
            others.remove("toolbox")  # which then is tooleyes
        assert others
        for bench in others:
            argv = ["--bench", bench, flag_name(name), *([value] if value else [])]
            if bench == "transcripts" or name == "format":
                argv += ["--predictions", "x"]
            if bench == "tooleyes":
                argv += ["--tool-library", "x"]
            if bench == "own":
                argv += ["--data", "x"]
            with pytest.raises(InputError) as caught:
                evaluate.main(argv)
            refused = f"{flag_name(name)}: not for {bench}"
            assert str(caught.value) == refused or "a model must answer" in str(caught.value)


SERVER = "--server http://localhost:9/v1 --served-model m"


@pytest.mark.parametrize("flags, named", [
    ("--bench rotbench --tool-timeout 5", "--tool-timeout"),
    (f"--bench bfcl {SERVER} --batch-tokens 5", "--batch-tokens"),
    (f"--bench bfcl {SERVER} --plan", "--plan"), ("--bench bfcl --predictions F --plan", "--plan"),
    ("--predictions F --dtype bf16 --batch-size 3 --max-new-tokens 5 --model X",
     "--dtype, --batch-size, --model, --max-new-tokens"),
    ("--ask Q --errors --esm --limit 3 --level heavy --out DIR",
     "--out, --errors, --esm, --limit, --level"),
    ("--bench gsm8k --enums", "--enums"), ("--bench mmlu --enums", "--enums"),
    ("--bench transcripts --predictions F --data m", "--data")])
def test_a_flag_that_does_nothing_is_refused(flags, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{named}: "):
        evaluate.main(flags.split())
    assert not list(tmp_path.iterdir()), "an empty folder was left"


def test_the_example_of_contributing_is_a_benchmark(tmp_path):
    """A copy of the project gets the file and the list its place, and scores the predictions."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split("^## ", text.partition("## Add a benchmark\n")[2], flags=re.MULTILINE)[0]
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    copy_project(tmp_path)
    (tmp_path / "evaluation" / "benchmarks" / "birds.py").write_text(blocks["python"])
    insert_lines(tmp_path / "evaluation" / "benchmarks" / "__init__.py", blocks["diff"])
    (tmp_path / "benchmarks" / "birds").mkdir(parents=True)
    (tmp_path / "benchmarks" / "birds" / "birds.json").write_text(blocks["json"])
    (tmp_path / "predictions.jsonl").write_text(blocks["jsonl"])
    python, *command = blocks["sh"].split()
    assert python == "python"
    done = run_script(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores" / "birds" / "scores.json").read_text())
    assert [scores[key] for key in ("bench", "n", "TS", "PI", "CF")] == ["birds", 2, 2, 2, 1]


def copy_project(folder):
    """The top level and evaluation/ as copies, the rooms that they import as links."""
    for file in ROOT.glob("*.py"):
        shutil.copy(file, folder)
    shutil.copytree(ROOT / "evaluation", folder / "evaluation")
    for room in ("data", "plumbing", "toolbox"):
        (folder / room).symlink_to(ROOT / room)


def insert_lines(path, diff):
    """Put each line of a diff that begins with + after the line that stands before it there."""
    text = path.read_text(encoding="utf-8")
    lines = diff.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("+"):
            before = f"{lines[place - 1][1:]}\n"
            assert text.count(before) == 1, before
            text = text.replace(before, f"{before}{line[1:]}\n")
    path.write_text(text, encoding="utf-8")
