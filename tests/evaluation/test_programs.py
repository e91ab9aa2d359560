"""Programs of a model: what passes, what fails, and that hostile ones reach and leave nothing.

A hostile program of these ends without an exception, and so would pass, if it got what it wants.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from evaluation import programs
from evaluation.programs import PASSED, REFUSED, check_namespaces, run, run_all
from plumbing.files import InputError
from tests.conftest import ROOT

SECONDS = 1.0   # for programs that do not end
ENOUGH = 30.0   # for those that do, on a busy machine
MARK = "98765.4321"  # seconds for which what must not be left would sleep


@pytest.fixture
def place(tmp_path):  # pytest makes its own before tempfile looks elsewhere
    """A folder for temporary files that nobody, as whom root's programs run, may pass."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def shut(place, monkeypatch):
    """A function that runs a program shut in, and sees that nothing of it is left."""
    outcome = run("", 20)
    if outcome != PASSED:
        pytest.skip(f"no namespaces here: {outcome}")
    return watched(place, monkeypatch, shut=True)


@pytest.fixture
def unsafe(place, monkeypatch):
    """The same with the limits alone."""
    if run("", 20, shut=False).startswith(REFUSED):
        monkeypatch.setattr(sys, "executable", shutil.which("python3", path="/usr/bin:/bin") or "")
        if not sys.executable or run("", 20, shut=False) != PASSED:
            pytest.skip("root here, and nobody can read the library of any Python")
    return watched(place, monkeypatch, shut=False)


def watched(folder, monkeypatch, shut):
    monkeypatch.setattr(programs.tempfile, "tempdir", str(folder))

    def run_and_look(program, seconds=ENOUGH):
        outcome = run(program, seconds, shut)
        assert not list(folder.iterdir())
        assert not processes_with(str(folder), MARK)
        return outcome

    return run_and_look


def processes_with(*words):
    """The command lines of all processes that hold one of the words; zombies have none."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(word in line for word in words):
            found.append(line)
    return found


ORDINARY = {
    "x = 1\nassert x": PASSED,
    "import math, hashlib, json, re, typing, collections, functools": PASSED,
    "import threading; threading.Thread(target=print).start()": PASSED,
    "open('note', 'w').write('x'); assert open('note').read() == 'x'": PASSED,
    "assert 1 == 2, 'no'": "AssertionError: no",
    "def f(:": "SyntaxError: invalid syntax (program.py, line 1)",
    "import os; os._exit(0)": "ended before its tests did",
    "raise SystemExit(0)": "SystemExit: 0",
    "import os\nif os.fork(): os._exit(0)": "ended before its tests did",
    "import os; os.kill(os.getpid(), 9)": "ended by signal 9",
    "import ctypes; ctypes.string_at(0)": "ended by signal 11",
    "while True: pass": f"not ended after {SECONDS:g} seconds",
    "class E(Exception):\n def __str__(self): raise E\nraise E": "ended before its tests did",
}


@pytest.mark.parametrize("program", ["x = 1\nassert x", "assert 1 == 2, 'no'"])
def test_outcomes_of_programs_with_the_limits_alone(unsafe, program):
    assert unsafe(program, ENOUGH) == ORDINARY[program]


@pytest.mark.parametrize("program, outcome", ORDINARY.items())
def test_outcomes_of_programs_that_are_shut_in(shut, program, outcome):
    seconds = SECONDS if outcome.startswith("not ended") else ENOUGH
    assert shut(program, seconds) == outcome


def test_half_a_surrogate_pair_is_no_program(shut):
    assert shut("x = '\ud83d'", ENOUGH).startswith("SyntaxError")


# What the limits stop, shut in or not; each ends in these words, or is stopped in the end.
BOUNDED = {
    "fork bomb": ("import os\nwhile True:\n try: os.fork()\n except OSError: pass", "not ended"),
    "thread bomb": ("import threading, time\nwhile True:\n"
                    " threading.Thread(target=time.sleep, args=(99,)).start()", "RuntimeError"),
    "10 GB of output": ("import os\nx = bytes(10**6)\nfor i in range(10_000): os.write(1, x)\n"
                        "1 / 0", "ZeroDivisionError"),
    "10 GB in a file": ("f = open('big', 'wb')\nfor i in range(10_000): f.write(bytes(10**6))",
                        "OSError: [Errno 27]"),
    "8 GB of memory": ("x = bytearray(8 << 30)", "MemoryError"),
    "a thread that never ends": ("import threading\ndef spin():\n while True: pass\n"
                                 "threading.Thread(target=spin).start()", "not ended"),
    "signals ignored": ("import signal\nfor s in set(signal.Signals) - {9, 19}:\n"
                        " signal.signal(s, signal.SIG_IGN)\nwhile True: pass", "not ended"),
    "standard input": ("input()", "EOFError"),
    "a daemon": ("import os, subprocess\n"
                 f"subprocess.Popen(['sh', '-c', 'sleep {MARK} & sleep {MARK}'],"
                 " start_new_session=True)\n1 / 0", "ZeroDivisionError"),
    "a daemon of a shell": (f"import os\nos.execvp('sh', ['sh', '-c', 'setsid sleep {MARK} &'])",
                            "ended before its tests did"),
    "a daemon by two forks": ("import os, time\nif not os.fork():\n os.setsid()\n"
                              " if not os.fork(): time.sleep(9999)\n os._exit(0)\n1 / 0",
                              "ZeroDivisionError"),
    "a folder that resists": ("import os\nos.makedirs('a/b')\nopen('a/b/c', 'w')\n"
                              "os.chmod('a/b', 0)\nos.chmod('.', 0)\n1 / 0", "ZeroDivisionError"),
    "its supervisor": ("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(9)",
                       ("not ended", "ended its supervisor", "PermissionError")),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_hostile_programs_are_bounded_with_the_limits_alone(unsafe, name):
    program, words = BOUNDED[name]
    assert unsafe(program, SECONDS if "not ended" in words else ENOUGH).startswith(words)


@pytest.mark.parametrize("name", BOUNDED)
def test_hostile_programs_are_bounded_when_shut_in(shut, name):
    program, words = BOUNDED[name]
    assert shut(program, SECONDS if "not ended" in words else ENOUGH).startswith(words)


def test_a_shut_in_program_reaches_no_network_of_the_machine(shut):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = shut(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
        server.settimeout(0.01)
        assert outcome.startswith("OSError") or outcome.startswith("ConnectionRefused")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_shut_in_program_reads_no_environment_but_its_own(shut, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THIS_TEST", "hush")
    assert shut("import os; assert set(os.environ) <= {'LC_CTYPE'}, os.environ", ENOUGH) == PASSED
    read = "open(f'/proc/{pid}/environ', 'rb').read()"
    own = shut(f"import os; pid = os.getppid(); {read}")
    assert own.startswith("FileNotFoundError")
    every = ("import glob; found = [open(p, 'rb').read() for p in glob.glob('/proc/*/environ')]\n"
             "assert any(b'hush' in text for text in found)")
    assert shut(every).startswith("AssertionError")


def test_a_shut_in_program_writes_and_reads_nothing_outside(shut, tmp_path):
    tmp_path.chmod(0o777)
    there = tmp_path / "kept"
    there.write_text("hush")
    for attempt in (f"open({str(there)!r}, 'w')", f"open({str(there)!r}).read()",
                    f"import os; os.remove({str(there)!r})",
                    f"import os; os.mkdir({str(tmp_path / 'new')!r})"):
        assert shut(attempt).startswith("FileNotFoundError"), attempt
    library = os.path.dirname(os.__file__)
    assert shut(f"open({library!r} + '/planted.py', 'w')").startswith(("OSError", "Permission"))
    assert there.read_text() == "hush" and not Path(library, "planted.py").exists()


def test_a_shut_in_program_fills_no_disk(shut):
    """Each file is under the limit of one; together they fill the small folder."""
    program = ("for i in range(100):\n with open(str(i), 'wb') as f:\n"
               "  for j in range(15): f.write(bytes(10**6))")
    assert shut(program, 20).startswith("OSError: [Errno 28]")


def test_a_shut_in_program_cannot_kill_who_evaluates(shut):
    assert shut(f"import os; os.kill({os.getpid()}, 9)").startswith(("ProcessLookup", "Permission"))
    assert shut("import os; os.kill(-1, 9)").startswith(("ended", "ProcessLookup", "Permission"))


def test_a_shut_in_program_gets_no_rights_back(shut):
    """Namespaces of its own would give it the rights to mount and to raise limits in there."""
    for attempt in ("import os; os.setuid(0)", "import os; os.chroot('.')",
                    "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (999, 999))"):
        assert shut(attempt).startswith(("PermissionError", "ValueError", "OSError")), attempt


def test_a_killed_evaluation_leaves_no_program(shut, tmp_path):
    code = ("from evaluation.programs import run\n"
            f"run('import time\\ntime.sleep({MARK})', 60)")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    running = wait_until(lambda: len(processes_with(str(tmp_path))) >= 3)
    assert running, "this process, the supervisor and the program"
    process.kill()
    process.wait()
    assert wait_until(lambda: not processes_with(str(tmp_path)))


def wait_until(holds, seconds=20):
    """Whether it holds within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_where_namespaces_are_refused_it_says_so_and_names_the_way_out(monkeypatch, tmp_path):
    broken = tmp_path / "run_program.py"
    text = programs.RUN_PROGRAM.read_text(encoding="utf-8")
    broken.write_text(text.replace('"unshare"', '"no_such_call"'), encoding="utf-8")
    monkeypatch.setattr(programs, "RUN_PROGRAM", broken)
    with pytest.raises(InputError, match=r"no_such_call: unknown.*--unsafe"):
        check_namespaces()


def test_outcomes_come_in_the_order_of_the_programs(unsafe):
    outcomes = run_all([f"import time; time.sleep({(5 - i) / 50}); assert {i} % 2"
                        for i in range(6)], ENOUGH, shut=False)
    assert [outcome == PASSED for outcome in outcomes] == [False, True] * 3
