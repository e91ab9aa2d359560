"""What is set before torch is loaded, in every command; and the progress bar in a file."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from plumbing.environment import is_busy

import pytest

ROOT = Path(__file__).resolve().parents[2]


def commands():
    """The files that a user starts and that load torch, at the top and in pretraining/."""
    found = []
    for file in sorted([*ROOT.glob("*.py"), *ROOT.glob("pretraining/*.py")]):
        text = file.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text and "torch" in text and file.name != "demo.py":
            found.append(file)
    return found


@pytest.mark.parametrize("file", commands(), ids=lambda file: file.name)
def test_a_command_sets_the_environment_before_it_loads_anything_but_the_standard_library(file):
    names = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    others = [name for name in names if name.split(".")[0] not in sys.stdlib_module_names]
    assert others[0] == "plumbing.environment"


def after_import(given):
    """(GOMP_SPINCOUNT, OMP_WAIT_POLICY) in a process that was given these variables."""
    clean = {name: value for name, value in os.environ.items()
             if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", "import os, plumbing.environment\n"
         "print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"],
        env={**clean, **given}, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def test_threads_spin_for_a_short_time_or_not_at_all():
    assert after_import({}) in (("10000", "None"), ("None", "PASSIVE"))


@pytest.mark.parametrize("given, expected", [
    ({"GOMP_SPINCOUNT": "7"}, ("7", "None")), ({"OMP_WAIT_POLICY": "ACTIVE"}, ("None", "ACTIVE"))])
def test_what_the_user_says_about_waiting_stays(given, expected):
    assert after_import(given) == expected


@pytest.mark.parametrize("text, expected", [
    ("0.00 0.01 0.05 1/123 4567\n", False), ("0.00 0.01 0.05 2/123 4567\n", True),
    ("1.95 1.61 1.42 3/95 19617\n", True), ("", False), ("a b c d e", False)])
def test_other_work_is_told_by_the_count_of_what_can_run(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(os.cpu_count())))
    (tmp_path / "loadavg").write_text(text)
    assert is_busy(tmp_path / "loadavg") is expected
    assert is_busy(tmp_path / "absent") is False
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set())
    assert is_busy(tmp_path / "loadavg") is False


def test_a_bar_in_a_file_is_written_once_a_second_at_most():
    code = ("import time\nfrom plumbing.progress import progress\nbegan = time.time()\n"
            "bar = progress(total=60)\nfor i in range(60):\n"
            "    bar.set_postfix_str(str(i), refresh=False)\n    time.sleep(0.02)\n"
            "    bar.update()\nbar.close()\nprint(time.time() - began)\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    states = [state for state in done.stderr.splitlines() if state.strip()]
    assert 2 <= len(states) <= 2 + float(done.stdout), states  # at the start, and at the end
