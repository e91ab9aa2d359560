"""Finished evaluations side by side: tables and the picture, against counts made by hand."""

import json
import math
import xml.etree.ElementTree as ElementTree

import pytest

import evaluate
from evaluation.compare import FIGURE, comparison_table, noise_figure, read_runs
from evaluation.intervals import wilson
from evaluation.outcomes import call_outcomes, dialogue_outcomes
from evaluation.tasks import Task
from plumbing.files import InputError
from tests.conftest import assert_one_line_error
from tests.evaluation.test_plot import SVG, marks_of

LEVELS = ("clean", "union")
SCORES = {"a": [(1, 1, 1), (1, 1, 0), (1, 0, 0), (0, 0, 0)],
          "b": [(1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 0, 0)]}


@pytest.fixture
def runs(tmp_path):
    """Two runs of four items, two on each level, in the form of `evaluate.py --out`."""
    for name, scores in SCORES.items():
        write_run(tmp_path / name, scores)
    return [tmp_path / "a", tmp_path / "b"]


def write_run(folder, scores, **about):
    folder.mkdir()
    (folder / "scores.json").write_text(json.dumps(
        {"bench": "rotbench", "rule": "default", **about}))
    records = [{"index": i, "id": f"{LEVELS[i // 2]}/{i % 2}", "prompt": "?",
                **dict(zip(("TS", "PI", "CF"), score, strict=True))}
               for i, score in enumerate(scores)]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")


def test_differences_are_paired_by_item(runs):
    lines = list(comparison_table(read_runs(runs)))
    assert [line.split()[0] for line in lines] == [
        "rotbench", "all", *map(str, runs), str(runs[1]),
        "level", *map(str, runs), str(runs[1]), "level", *map(str, runs), str(runs[1])]
    cells = lines[4].split("less", 1)[1].split()[1:]
    # PI: 2 of 4 against 3 of 4; one item differs, so the standard error is sqrt(3 / 4 / 3 / 4)
    assert cells[3:6] == ["+25.00", "±", f"{100 * math.sqrt(3 / 4 / 3 / 4):.2f}"]
    assert cells[6:9] == ["+50.00", "±", f"{100 * math.sqrt(1 / 3 / 4):.2f}"]
    assert "75.00%  (30.1-95.4)" in lines[2]


def test_the_picture_has_a_line_for_each_run_and_a_mark_for_each_level(runs):
    picture = noise_figure(read_runs(runs))
    root = ElementTree.fromstring(picture)
    assert len(root.findall(f"{SVG}svg")) == 3  # TS, PI, CF
    low, high = wilson(1, 2)
    words = f"{runs[0]}, clean: 50 ({100 * low:.4g} to {100 * high:.4g})"
    assert words in marks_of(picture)
    for run in runs:
        for level in LEVELS:
            assert any(each.startswith(f"{run}, {level}: ") for each in marks_of(picture))


def test_the_command_writes_the_picture(runs, tmp_path, run_main):
    done = run_main(evaluate, "--compare", *runs, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"figure: {tmp_path / 'out' / FIGURE}" in done.stdout
    ElementTree.parse(tmp_path / "out" / FIGURE)
    assert_one_line_error(run_main(evaluate, "--compare", *runs, "--bench", "bfcl"), "--bench")
    assert_one_line_error(run_main(evaluate, "--compare", runs[0]), "two directories or more")
    assert_one_line_error(run_main(evaluate, "--compare", runs[0], tmp_path), tmp_path)


def test_runs_of_one_level_have_no_picture_and_no_rows_of_levels(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, SCORES[name][:2])
    read = read_runs([tmp_path / "a", tmp_path / "b"])
    assert noise_figure(read) == "" and len(list(comparison_table(read))) == 5


@pytest.mark.parametrize("scores, about, words", [
    (SCORES["b"][:3], {}, "has other items"),
    (SCORES["b"], {"rule": "compat"}, "is of rotbench compat"),
    (SCORES["b"], {"bench": "bfcl"}, "is of bfcl"),
    ([(2, 0, 0)], {}, "line 1: has no id, or TS is not 0 or 1"),
])
def test_runs_that_cannot_be_compared_are_refused(tmp_path, scores, about, words):
    write_run(tmp_path / "a", SCORES["a"])
    write_run(tmp_path / "b", scores, **about)
    with pytest.raises(InputError, match=words):
        read_runs([tmp_path / "a", tmp_path / "b"])


def test_dialogues_are_not_compared(tmp_path):
    (tmp_path / "scores.json").write_text('{"bench": "toolbox", "calls": 9, "DE": 0}')
    with pytest.raises(InputError, match=f"--compare {tmp_path}: holds dialogues"):
        read_runs([tmp_path, tmp_path])


@pytest.mark.parametrize("file, text", [
    ("items.jsonl", '{"x": 1}'), ("items.jsonl", "[]"), ("items.jsonl", '{"id": "b"}'),
    ("dialogues.json", '[{"x": 1}]'), ("dialogues.json", "[]"), ("dialogues.json", "[1]")])
def test_a_folder_that_is_about_other_items_has_no_outcomes(tmp_path, file, text):
    """It was a KeyError or an IndexError."""
    (tmp_path / file).write_text(text)
    tasks = [Task("a", (), (), ())]
    with pytest.raises(InputError, match=file):
        if file == "items.jsonl":
            call_outcomes(tmp_path, tasks, None)
        else:
            dialogue_outcomes(tmp_path, tasks)


def test_accuracies_are_compared_as_well(tmp_path):
    for name, right in {"a": [0, 1, 1], "b": [1, 1, 1]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text('{"bench": "gsm8k", "n": 3}')
        lines = [json.dumps({"id": str(i), "right": each}) for i, each in enumerate(right)]
        (tmp_path / name / "items.jsonl").write_text("\n".join(lines))
    *_, last = comparison_table(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert last.split()[-3:] == ["+33.33", "±", "33.33"]
