"""Stages: order, what runs once, failures, and a program that is killed, with quick commands."""

import multiprocessing
import os
import signal
import time

import pytest

from plumbing.files import InputError
from plumbing.stages import Clock, Job, Stage, is_finished, run_stages, typed

# Says when it began and ended, waits, and writes its result last.
COMMAND = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
folder.mkdir(parents=True, exist_ok=True)
with open(folder.parent / "times", "a") as file:
    file.write(f"{folder.name} begins {time.monotonic()}\\n")
if sys.argv[1] == "fail":
    sys.exit("error: nothing to do")
if sys.argv[1] == "meet":  # go on only while another one runs, too
    while (folder.parent / "times").read_text().count("begins") < 3:
        time.sleep(0.01)
else:
    time.sleep(float(sys.argv[1]))
with open(folder.parent / "times", "a") as file:
    file.write(f"{folder.name} ends {time.monotonic()}\\n")
(folder / "result").write_text("x")
"""


@pytest.fixture
def command(tmp_path):
    """A function (name, what it does, needs) -> Stage. It waits, fails, or meets another one."""
    script = tmp_path / "command.py"
    script.write_text(COMMAND)

    def make(name, what="0.05", needs=""):
        return Stage(name, (str(script), what), "result", needs)

    return make


def by_name(*stages):
    """{name: Stage}, as `run_stages` takes them."""
    return {stage.name: stage for stage in stages}


def events(out):
    """[(stage, "begins" or "ends")] in the order of time."""
    lines = [line.split() for line in (out / "times").read_text().splitlines()]
    return [(name, what) for name, what, _ in sorted(lines, key=lambda line: float(line[2]))]


def test_a_stage_waits_for_what_it_needs_and_runs_once(tmp_path, command):
    stages = by_name(command("b", "meet", "a"), command("a"), command("c", "meet", "a"))
    states = list(run_stages(stages, tmp_path, 2, "cpu"))
    assert all(is_finished(stage, tmp_path) for stage in stages.values())
    seen = events(tmp_path)
    assert seen[:2] == [("a", "begins"), ("a", "ends")]
    assert sorted(seen[2:4]) == [("b", "begins"), ("c", "begins")]  # two at once
    assert len(seen) == 6
    assert states[0].startswith("a runs; 0:") and states[-1].startswith("nothing runs")
    assert list(run_stages(stages, tmp_path, 2, "cpu")) == ["nothing runs; 0:00 left"]
    assert events(tmp_path) == seen


def test_several_processes_are_started_by_torchrun(tmp_path):
    """But not for a command that uses no device: it would run several times over."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "out.mkdir(exist_ok=True)\n"
        "rank = os.environ.get('RANK', 'alone')\n"
        "(out / rank).write_text(os.environ.get('WORLD_SIZE', '1'))\n")
    command = (str(script), "--rate", "1")
    stages = by_name(Stage("spread", command, "1"), Stage("alone", command, "alone", device=False))
    list(run_stages(stages, tmp_path, 1, "cpu", processes=2))
    found = {path.name: path.read_text() for path in (tmp_path / "spread").iterdir()}
    assert found == {"0": "2", "1": "2"}
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["alone"]


def test_no_more_at_once_than_asked_for(tmp_path, command):
    stages = by_name(*(command(name) for name in "abc"))
    list(run_stages(stages, tmp_path, 1, "cpu"))
    assert [what for _, what in events(tmp_path)] == ["begins", "ends"] * 3
    assert [name for name, _ in events(tmp_path)[::2]] == ["a", "b", "c"]


def test_a_command_that_fails_ends_all_with_its_last_line(tmp_path, command):
    stages = by_name(command("long", "60"), command("bad", "fail"))
    with pytest.raises(InputError, match="bad: status 1: error: nothing to do"):
        list(run_stages(stages, tmp_path, 2, "cpu"))
    assert ("long", "ends") not in events(tmp_path)  # it did not wait for the other one


def test_a_command_that_ends_without_its_result_has_failed(tmp_path):
    """Status 0 was taken for done: what needed it never ran, and nothing was said."""
    script = tmp_path / "command.py"
    script.write_text("print('nothing to do')\n")
    stages = by_name(Stage("a", (str(script),), "result"), Stage("b", (str(script),), "x", "a"))
    with pytest.raises(InputError, match="^a: ended without result: nothing to do"):
        list(run_stages(stages, tmp_path, 1, "cpu"))


def run_aside(stages, out):
    """A process that runs them, so that it can be killed."""
    process = multiprocessing.get_context("fork").Process(
        target=lambda: list(run_stages(stages, out, 2, "cpu")))
    process.start()
    return process


def wait_for(condition, seconds=60):
    """Wait until a condition holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def has_begun(out):
    """Whether a command has said that it began."""
    return (out / "times").exists()


def runs_with(text):
    """The ids of the processes whose command line holds a text."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            if text in words:
                found.append(entry)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_commands_end_with_the_program_and_it_goes_on(tmp_path, command, number):
    stages = by_name(command("a", "60"))
    process = run_aside(stages, tmp_path)
    wait_for(lambda: has_begun(tmp_path))
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == (-9 if number == signal.SIGKILL else 128 + number)
    wait_for(lambda: not runs_with(str(tmp_path / "command.py")))
    list(run_stages(by_name(command("a", "0")), tmp_path, 2, "cpu"))
    assert events(tmp_path) == [("a", "begins"), ("a", "begins"), ("a", "ends")]


def test_the_time_left_follows_the_speed_so_far(tmp_path):
    clock = Clock(tmp_path)
    stage = Stage("a", (), "result", minutes=10)
    assert clock.describe([stage, stage], [], 1) == "nothing runs; 0:20 left"
    clock.add(Job(stage, None, None, time.monotonic() - 1200))  # it took twice its ten minutes
    assert clock.describe([stage] * 9, [], 2) == "nothing runs; 1:30 left"
    running = Job(stage, None, None, time.monotonic() - 600)
    assert clock.describe([stage], [running], 1) == "a runs; 0:30 left"
    assert Clock(tmp_path).seconds["a"] == pytest.approx(1200, abs=5)


def test_commands_are_shown_without_the_places_of_this_machine(tmp_path):
    assert typed(("sft.py", "--out", str(tmp_path / "a b")), tmp_path) == (
        "python sft.py --out 'OUT/a b'")
