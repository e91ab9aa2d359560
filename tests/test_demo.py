"""The demo's table and gains, on scores written by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import demo
from tests.conftest import ROOT


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


def test_ttpa_has_a_column_where_every_run_has_it(runs, capsys):
    for run in runs:
        for bench in ("embedded", "no_tool", "toolbox"):
            shutil.copytree(run / f"ppo-{bench}", run / f"dpo-{bench}")
        demo.show(runs)
        printed = capsys.readouterr().out
        assert ("SFT + TTPA" in printed) == (run is runs[-1])
    demo.gains(runs)
    text = capsys.readouterr().out
    before, _, after = text.partition("SFT + TTPA less SFT")
    assert before.count("reward seen: +1.500") == after.count("reward seen: +1.500") == 1


def test_the_seconds_of_a_stage_are_those_of_all_its_attempts(tmp_path):
    """Only the attempt that ended the stage was counted: a resumed one seemed fast."""
    taken = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            demo.train(tmp_path, "sft", "--lr", "high")
        taken.append(json.loads((tmp_path / "seconds.json").read_text())["sft"])
    assert 0 < taken[0] < taken[1]
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "config.json").write_text("{}")
    demo.train(tmp_path, "sft", "--lr", "high")  # finished: it is not run, and does not fail
    assert json.loads((tmp_path / "seconds.json").read_text()) == {"sft": taken[1]}


def test_an_interrupted_stage_ends_before_the_demo(tmp_path):
    """subprocess.run killed it a quarter of a second after Ctrl-C, before it had saved."""
    (tmp_path / "stage.py").write_text(
        "import signal, time\n"
        "def save(*_):\n"
        "    time.sleep(1)\n"
        f"    open({str(tmp_path / 'saved')!r}, 'w').close()\n"
        "    raise SystemExit(130)\n"
        "signal.signal(signal.SIGINT, save)\n"
        f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
        "time.sleep(60)\n")
    code = f"import demo; demo.run({str(tmp_path / 'stage.py')!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait() == 130
    assert (tmp_path / "saved").exists()


def test_a_stage_that_fails_ends_the_demo_with_its_status(capfd):
    with pytest.raises(SystemExit) as ended:
        demo.run("sft.py", "--lr", "high")
    assert ended.value.code == 2 and "Traceback" not in capfd.readouterr().err
