"""docs/own-tools.md and docs/data.md: their items are read, and their five commands run."""

import json
import re

import numpy as np

import data.feedback
import evaluate
import sft
import show
import toolbox.from_functions
from data import trajectories
from data.tools import read_tools, signature
from examples import build
from plumbing.files import InputError
from tests.conftest import ROOT
from tokenizer import Tokenizer

SCRIPTS = {"sft.py": sft, "evaluate.py": evaluate, "show.py": show,
           "-m data.feedback": data.feedback, "-m toolbox.from_functions": toolbox.from_functions}
FUNCTION = '''
def {name}_parcel(number: str, carrier: str = "post") -> str:
    """{verb} a parcel.

    number: the parcel's number
    carrier (str): who carries it
    """
'''
VERBS = ("Track", "Send", "Weigh", "Return", "Insure", "Open", "Hold", "Label", "Price", "Find")


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def conversations(schemas):
    """Forty of them: each function is called four times."""
    for i in range(40):
        verb = VERBS[i % 10]
        arguments = json.dumps({"number": str(100 + 7 * i)})
        call = {"id": f"c{i}", "type": "function",
                "function": {"name": f"{verb.lower()}_parcel", "arguments": arguments}}
        yield {"messages": [
            {"role": "user", "content": f"{verb} parcel {100 + 7 * i}."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{i}", "content": '{"place": "Oslo"}'},
            {"role": "assistant", "content": "It is done."}], "tools": schemas}


def test_the_five_commands_run(tmp_path, monkeypatch, run_main):
    [page] = blocks("own-tools.md", "sh")
    commands = page.strip().split("\n")
    assert len(commands) == 5
    monkeypatch.chdir(tmp_path)
    functions = [FUNCTION.format(name=verb.lower(), verb=verb) for verb in VERBS]
    (tmp_path / "my_tools.py").write_text("".join(functions))
    printed = {}
    for command in commands:
        command = command.replace("--epochs 10", "--epochs 1")  # the same way in less time
        command = command.replace("--max-new-tokens 64", "--max-new-tokens 8")
        words, _, target = command.removeprefix("python ").partition(" > ")
        script = next(name for name in SCRIPTS if words.startswith(name))
        done = run_main(SCRIPTS[script], *words.removeprefix(script).split())
        assert done.returncode == 0, done.stderr
        printed[script] = done.stdout
        if target:
            (tmp_path / target).write_text(done.stdout)
        if target == "tools.json":
            items = list(conversations(json.loads(done.stdout)))
            for name, some in (("train", items[:30]), ("heldout", items[30:])):
                (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))
    assert "0 of 30 calls with feedback are erroneous" in printed["-m data.feedback"]
    assert printed["sft.py"].startswith("train.jsonl: 30 items in OpenAI messages\n")
    assert " all 20 " in re.sub(" +", " ", printed["evaluate.py"])
    assert "eval_loss" in (tmp_path / "runs/mine/metrics.jsonl").read_text()
    assert "<!doctype html>" in printed["show.py"]


def test_the_schemas_of_functions(tmp_path, run_main):
    """Against the signatures, written out."""
    (tmp_path / "f.py").write_text(
        'import typing\nfrom json import dumps\n\n'
        'def f(a: list[int], b: typing.Optional[float] = None, '
        'c: typing.Literal["x", "y"] = "x"):\n'
        '    """Does\n    it.\n\n    Args:\n        b (float): The b.\n    """\n\n'
        'def _hidden():\n    pass\n')
    schemas = json.loads(run_main(toolbox.from_functions, tmp_path / "f.py").stdout)
    tool, finish = read_tools(schemas)
    assert finish.name == "finish"
    assert signature(tool, enums=True) == (
        'Function:\ndef f(a: array, b: number = None, c: string = None):\n    """\n    Does it.\n\n'
        '    Args:\n    a (array): \n    b (number): The b.\n    c (string, one of "x", "y"): \n'
        '    """')
    for text, message in (("", "defines no public function"), ("def f(a): pass", "f: a: needs an"),
                          ("def f(*a: int): pass", "have no schema"),
                          ("import typing\ndef f(a: typing.Literal[None]): pass", "a Literal must"),
                          ("import typing\ndef f(a: typing.Literal[1, 'x']): pass",
                           "a Literal must"),
                          ("def f(a: 'Elsewhere'): pass",
                           "f: an annotation cannot be resolved: name 'Elsewhere'")):
        (tmp_path / "g.py").write_text(text)
        try:
            functions = toolbox.from_functions.read_functions(tmp_path / "g.py")
            toolbox.from_functions.schema_of("f", functions["f"], "g.py")
        except InputError as error:
            assert message in str(error)
        else:
            raise AssertionError(text)


def test_functions_of_a_file_with_dataclasses_caches_and_sphinx(tmp_path, run_main):
    """A dataclass had ended in a traceback, and a function with a cache was left out."""
    (tmp_path / "f.py").write_text(
        'from __future__ import annotations\nimport dataclasses\nimport functools\n'
        'import typing\n\n@dataclasses.dataclass\nclass Cup:\n    size: int\n\n'
        '@functools.lru_cache\n'
        'def f(a: str, b: typing.Literal[None, "y"] = None):\n'
        '    """Does it.\n\n    :param a: the a\n    :param str b: the b\n    """\n')
    tool, _ = read_tools(json.loads(run_main(toolbox.from_functions, tmp_path / "f.py").stdout))
    assert signature(tool, enums=True) == (
        'Function:\ndef f(a: string, b: string = None):\n    """\n    Does it.\n\n'
        '    Args:\n    a (string): the a\n    b (string, one of "y"): the b\n    """')


def test_the_first_three_items_of_data_md_train_to_the_same_bits(tokenizer_file):
    items = [json.loads(text) for text in blocks("data.md", "json")]
    rows = []
    for one in items[:3]:
        [example], _ = build([trajectories.read_item(one)], Tokenizer(tokenizer_file))
        rows.append(np.stack([example.ids, example.labels, example.weights, example.call]))
    assert np.array_equal(rows[0], rows[1]) and np.array_equal(rows[0], rows[2])


def test_all_items_of_data_md_hold_the_same_calls_and_feedback():
    """The others differ in the schema of an added `finish`, and in thoughts."""
    items = [json.loads(text) for text in blocks("data.md", "json")]
    assert len(items) == 6
    read = []
    for one in items:
        turns = trajectories.read_item(one).turns
        read.append([(turn.role, turn.content) for turn in turns
                     if turn.name or turn.role == "function"])
    assert all(turns == read[0] for turns in read)


def test_the_item_of_own_tools_md_is_read():
    [text] = blocks("own-tools.md", "json")
    turns = trajectories.read_item(json.loads(text)).turns
    assert [turn.role for turn in turns[1:]] == ["user", "assistant", "function", "assistant"]


def test_every_good_call_of_a_file_of_ones_own_is_an_item(tmp_path, run_main):
    (tmp_path / "mine.json").write_text(json.dumps(list(conversations([]))[:3]))
    golds = []
    for i in range(3):
        golds.append(f'{VERBS[i].lower()}_parcel(number="{100 + 7 * i}")')
        golds.append('finish(answer="Any text")')
    lines = [json.dumps({"index": i, "prediction": gold}) for i, gold in enumerate(golds)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    done = run_main(evaluate, "--bench", "own", "--data", tmp_path / "mine.json",
                    "--predictions", tmp_path / "p.jsonl", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert {key: scores[key] for key in ("n", "TS", "PI", "CF")} == dict.fromkeys(
        ("n", "TS", "PI", "CF"), 6)
