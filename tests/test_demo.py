"""The demo's table and gains, on scores written by hand."""

import json

import pytest

import demo


def write(folder, seed, before, after):
    """A finished run of two seen and two unseen items; before, after: rewards of the four."""
    for stage, rewards in (("base", before), ("sft", before), ("ppo", after)):
        groups = {}
        for group, part in (("seen", rewards[:2]), ("unseen", rewards[2:])):
            right = sum(r == 1 for r in part)
            groups[group] = {"n": 2, "TS": 2, "PI": right, "CF": right, "reward": sum(part) / 2}
        calls = folder / f"{stage}-embedded"
        dialogues = folder / f"{stage}-toolbox"
        calls.mkdir(parents=True)
        dialogues.mkdir()
        stops = {"one_fits": 50, "refused": 1, "none_fits": 0, "called": 0}
        (calls / "scores.json").write_text(json.dumps({"groups": groups, "stops": stops}))
        stops = {"one_fits": 0, "refused": 0, "none_fits": 20, "called": 7}
        none = folder / f"{stage}-no_tool"
        none.mkdir()
        (none / "scores.json").write_text(json.dumps({"stops": stops}))
        (dialogues / "scores.json").write_text(json.dumps(
            {"calls": 20, "DE": 1, "CE": 5, "queries": 10, "VA": 4, "VA_paper": 6}))
        (calls / "items.jsonl").write_text("\n".join(json.dumps(
            {"id": i, "group": "seen" if i < 2 else "unseen", "reward": r, "TS": int(r > -1.5),
             "CF": int(r == 1)})
            for i, r in enumerate(rewards)) + "\n")
    (folder / "seconds.json").write_text(json.dumps({"sft": 10 + seed, "ppo": 100}))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [write(tmp_path / "a", 0, [-2, 1, -1.5, -1.5], [1, 1, -1.5, 1]),
            write(tmp_path / "b", 2, [-2, -2, -1.5, -1.5], [1, -2, -1.5, -1.5])]


def test_the_table_has_the_mean_and_the_spread_of_the_runs(runs, capsys):
    demo.show(runs)
    printed = capsys.readouterr().out.splitlines()
    lines = {line.split(" | ")[0].strip("| "): line for line in printed}
    assert lines["CF seen"] == "| CF seen | 25.0 ± 35.4 | 25.0 ± 35.4 | 75.0 ± 35.4 |"
    assert lines["VA"] == "| VA | 40.0 ± 0.0 | 40.0 ± 0.0 | 40.0 ± 0.0 |"
    assert lines["calls where none fits"].startswith("| calls where none fits | 35.0 ± 0.0")
    assert lines["stops where one fits"].startswith("| stops where one fits | 2.0 ± 0.0")
    assert lines["DE"].startswith("| DE | 5.0")
    assert lines["seconds"].endswith("| 11 ± 1 | 100 ± 0 |")


def test_gains_are_paired_by_item_and_pooled_over_runs(runs, capsys):
    """The seen items gain 3 and 0 in both runs -> 1.5 ± 1.5; the unseen ones 0, and 2.5 once."""
    demo.gains(runs)
    text = capsys.readouterr().out
    assert "reward seen: +1.500 ± 1.500 (2 items)" in text
    assert "reward unseen: +0.625 ± 0.625 (2 items)" in text
    assert "CF seen: +0.500 ± 0.500" in text
    assert "reward all: +1.062 ± 0.710 (4 items)" in text


def test_a_stage_that_fails_ends_the_demo_with_its_status(capfd):
    with pytest.raises(SystemExit) as ended:
        demo.run("sft.py", "--lr", "high")
    assert ended.value.code == 2 and "Traceback" not in capfd.readouterr().err
