"""Commands that build on one another, several at once, each run once; killed, they go on.

A Stage is a command with a folder of its own under OUT. It is finished once the file that it writes
last is there, so that whoever starts again knows what is left to do. Every command is a process of
one thread, unless OMP_NUM_THREADS says otherwise, or several under torchrun; what it prints goes to
OUT/logs. Where this program is killed, the system kills its commands, too, so that none goes on
with a folder's lock; only what torchrun has started may.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from ctypes import CDLL
from pathlib import Path
from typing import NamedTuple

from plumbing.files import InputError, kind_of, make_folder, read_object, write_json
from plumbing.stop import StopRequest

ROOT = Path(__file__).resolve().parents[1]
PR_SET_PDEATHSIG = 1  # of Linux's prctl
LIBC = CDLL(None)
POLL = 0.2  # seconds
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


class Stage(NamedTuple):
    """A command with a folder of its own, OUT/name."""

    name: str
    command: tuple[str, ...]  # after the interpreter; without --out and --device
    result: str               # the file in its folder that it writes last
    needs: str = ""           # name of the stage that must be finished before
    minutes: float = 1        # about what it takes: only for the time left
    device: bool = True       # whether it has a flag --device, and runs in several processes


class Job(NamedTuple):
    """A stage that runs."""

    stage: Stage
    process: subprocess.Popen
    log: Path
    started: float


def is_finished(stage, out):
    """Whether the command of a stage has ended, as the file that it writes last tells."""
    return kind_of(out / stage.name / stage.result) == "file"


def typed(command, out):
    """A command as a user would type it in the repository, its output under OUT."""
    return shlex.join(["python", *command]).replace(str(out), "OUT").replace(f"{ROOT}/", "")


def run_stages(stages, out, jobs, device, processes=1):
    """Run the stages that are not finished, `jobs` of them at once, in order where needs allow it.

    stages: {name: Stage}. processes: of each command, by torchrun. Yields a text about what runs
    and the time left, at the beginning and whenever that changes; in between, stages may have
    ended. Raises InputError about a command that fails. A request to stop (plumbing/stop.py) goes
    to all commands, and ends the program with that signal's status once they have saved.
    """
    waiting = [stage for stage in stages.values() if not is_finished(stage, out)]
    clock = Clock(out)
    running = []
    said = ""
    stop = StopRequest(speaks=True)
    while True:
        for job in [job for job in running if job.process.poll() is not None]:
            running.remove(job)
            clock.add(job)
            has_failed = job.process.returncode or not is_finished(job.stage, out)
            if has_failed and not stop.number:
                _end_all(running)
                _refuse(job)
        if stop.number:
            _end_all(running)
            sys.exit(128 + stop.number)
        ready = [stage for stage in waiting
                 if not stage.needs or is_finished(stages[stage.needs], out)]
        for stage in ready[:jobs - len(running)]:
            waiting.remove(stage)
            running.append(_start(stage, out, device, processes))
        state = clock.describe(waiting, running, jobs)
        if state != said:
            said = state
            yield state
        if not running:
            return
        time.sleep(POLL)


def _start(stage, out, device, processes):
    """Start the command of a stage -> Job."""
    log = out / "logs" / f"{stage.name.replace('/', '-')}.txt"
    make_folder(log.parent)
    command = [*stage.command, "--out", str(out / stage.name)]
    if stage.device:
        command += ["--device", device]
        if processes > 1:
            command = [*TORCHRUN, str(processes), *command]
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ {typed(command, out)}\n")
        file.flush()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": threads},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent)
    return Job(stage, process, log, time.monotonic())


def _end_with_parent():
    """In the child: where the parent is killed, so is this process."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_all(running):
    """Ask the running commands to save and end, and wait for them."""
    for job in running:
        job.process.terminate()
    for job in running:
        job.process.wait()


def _refuse(job):
    """Raises InputError about a command that failed, with the last line that it printed."""
    code = job.process.returncode
    what = f"status {code}" if code else f"ended without {job.stage.result}"
    lines = [line for line in job.log.read_text(errors="replace").split("\n") if line.strip()]
    raise InputError(f"{job.stage.name}: {what}: {lines[-1][:300]} "
                     f"(all that it printed: {job.log})")


class Clock:
    """OUT/seconds.json: what each stage took, over all attempts that were not killed."""

    def __init__(self, out):
        self.file = out / "seconds.json"
        self.seconds = read_object(self.file) if kind_of(self.file) else {}
        self.took = 0.0      # of the stages that ended here
        self.expected = 0.0  # what their minutes said

    def add(self, job):
        """A command has ended."""
        took = time.monotonic() - job.started
        self.took += took
        self.expected += 60 * job.stage.minutes
        name = job.stage.name
        self.seconds[name] = round(self.seconds.get(name, 0) + took, 1)
        write_json(self.file, self.seconds)

    def describe(self, waiting, running, jobs):
        """What runs, and the hours and minutes left at the speed of the stages that ended here."""
        pace = self.took / self.expected if self.expected else 1
        ahead = pace * sum(60 * stage.minutes for stage in waiting)
        for job in running:
            ahead += max(pace * 60 * job.stage.minutes - (time.monotonic() - job.started), 0)
        minutes = round(ahead / jobs / 60)
        names = ", ".join(job.stage.name for job in running) or "nothing"
        return f"{names} runs; {minutes // 60}:{minutes % 60:02} left"
