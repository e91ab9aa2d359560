"""Programs that a model wrote, each in processes of its own, shut in as far as the system grants.

A program is written to a file and run by a new interpreter (run_program.py): nothing of it is
evaluated here. It has an empty environment, an empty folder, which is removed with all that it left
there, no input, and its output goes nowhere. It is stopped after some seconds, and has little
memory, few processes and small files. In namespaces, which --unsafe does without, it also has no
network, sees no process and no file of anybody's but Python's own, and nothing of it is left when
it ends. A program that root starts runs as nobody.

A program that sets out to cheat can do so: its tests run in its own process.
"""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from plumbing.files import InputError
from plumbing.progress import progress

RUN_PROGRAM = Path(__file__).with_name("run_program.py")
SLACK = 20  # seconds for starting and ending a program, on a busy machine
PASSED = "passed"
REFUSED = "refused: "


def run_all(programs, seconds, shut=True):
    """The outcome of each program, a text; PASSED for one that ran to its end without an exception.

    seconds: after which a program is stopped. shut: in namespaces; see `check_namespaces`. As many
    run at a time as there are processors.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(run, program, seconds, shut) for program in programs]
        return [one.result() for one in progress(runs, desc="programs", unit="program")]


def check_namespaces():
    """Raises InputError unless the system grants the namespaces in which programs are shut in."""
    outcome = run("", SLACK)
    if outcome != PASSED:
        why = outcome.removeprefix(REFUSED)
        raise InputError(f"--execute: the system grants no namespaces to shut programs in ({why}); "
                         "--unsafe runs them with limits on time, memory, processes and files "
                         "alone, with the network and with your files")


def run(program, seconds, shut=True):
    """The outcome of one program, as in `run_all`.

    REFUSED leads what the system refused; then the program did not run.
    """
    with (tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
          tempfile.TemporaryFile() as told):
        # half a surrogate pair, which JSON can hold, is no Python either: the program fails
        source = program.encode("utf-8", errors="surrogatepass")
        Path(folder, "program.py").write_bytes(source)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", RUN_PROGRAM, folder, str(seconds),
             "shut" if shut else "open", str(os.getpid())],
            cwd="/", env={}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds + SLACK)
        except subprocess.TimeoutExpired:
            return f"not ended after {seconds + SLACK:g} seconds"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        told.seek(0)
        return told.read(1000).decode(errors="replace") or "ended its supervisor"
