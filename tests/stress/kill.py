"""Does a run survive? Kill sft.py and ppo.py, let calls fail, flip bits; restart and compare.

    python -m tests.stress.kill --kills 50 --out DIR    # at random moments
    python -m tests.stress.kill --calls 50 --out DIR    # before, within, after calls for files
    python -m tests.stress.kill --fails 50 --out DIR    # such calls fail: a full disk, I/O errors
    python -m tests.stress.kill --flips --out DIR       # all bits of a state.json, 500 of tensors

The script starts every run that it disturbed again with the same command until it ends; then its
weights and metrics must be those of an undisturbed run, bit for bit. The runs write a checkpoint
after every step. --processes 2 kills runs of two processes, as torchrun would start them: one is
killed, and the other one after it. --calls and --fails need a C compiler: tests/stress/shim.c is
preloaded. tests/stress/disturb.py has power cuts, two runs at once, and signals.

A run is a forked child, which spares the seconds of importing torch; --fresh N of those that are
disturbed are processes of their own, so that forking hides nothing.
"""

import argparse
import ctypes
import errno
import json
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

import model
import ppo
import sft
import tokenizer
from plumbing import checkpoints
from plumbing.flags import cli
from tests.conftest import CONFIG, ITEMS

COMMON = ["--dtype", "fp32", "--device", "cpu", "--save-every", "1"]
FLAGS = {sft: ["--epochs", "2"],
         ppo: ["--num-prompts", "10", "--batch-size", "2", "--epochs", "1",
               "--max-new-tokens", "4", "--show-every", "0"]}
SHIM = Path(__file__).with_name("shim.c")
BEFORE, WITHIN, AFTER = -1, -2, -3  # what shim.c does at a call; or an errno
ERRORS = (errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EACCES)


# --------------------------------------------------------------------------------------- the runs

def prepare(out):
    """Write a small random model with its tokenizer, and data."""
    (out / "model").mkdir(parents=True)
    (out / "data.json").write_text(json.dumps(ITEMS * 2))
    (out / "model/config.json").write_text(json.dumps(CONFIG))
    texts = [json.dumps(ITEMS, ensure_ascii=False), "Function: Args: System User Assistant Output"]
    tokenizer.train(texts * 3, out / "model/tokenizer.model", vocab_size=CONFIG["vocab_size"])
    model.save(model.initialise(model.read_config(out / "model/config.json")), out / "model")
    model.load(out / "model")  # imports seconds' worth, once for all children


def command_of(script, out, folder):
    """The command line of a run."""
    return [script.__file__, "--model", str(out / "model"),
            "--data", str(out / "data.json"), "--eval-data", str(out / "data.json"),
            "--out", str(folder), *COMMON, *FLAGS[script]]


def rank_variables(ranks):
    """For each process of a run the environment variables that torchrun would set."""
    if ranks == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [{"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "localhost",
             "MASTER_PORT": str(port)} for rank in range(ranks)]


class Fresh:
    """A process of its own that runs the command, with the methods of multiprocessing.Process."""

    def __init__(self, command, said, variables):
        with open(said, "wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command], stdout=file, stderr=file,
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables})
        self.pid = self.process.pid

    def is_alive(self):
        return self.process.poll() is None

    @property
    def exitcode(self):
        return self.process.poll()

    def kill(self):
        self.process.kill()


def start_fresh(script, out, folder, ranks=1, shim=None):
    """The processes of the command, as a user starts them; what `start` takes."""
    processes = []
    for rank, variables in enumerate(rank_variables(ranks)):
        if shim and rank == ranks - 1:
            call, act = shim
            variables |= {"SHIM_FOLDER": str(folder), "SHIM_AT": str(call), "SHIM_ACT": str(act)}
        processes.append(Fresh(command_of(script, out, folder), out / f"said.{rank}", variables))
    return processes


def start(script, out, folder, ranks=1, shim=None):
    """Forked children that run the command; so only this process pays for the imports.

    shim: (call, what is done at it) for the last of the processes; see shim.c.
    """
    environments = rank_variables(ranks)

    def child(rank):
        os.environ.update(environments[rank])
        sys.argv = command_of(script, out, folder)
        said = os.open(out / f"said.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (as long as the child lives)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (likewise)
        if shim and rank == ranks - 1:
            library().shim_set(os.fsencode(folder), *shim)
        status = 0
        try:
            cli(script.main)
        except SystemExit as end:
            status = end.code or 0
        if shim and rank == ranks - 1:
            (out / "seen").write_text(str(library().shim_seen()))
        sys.stdout.flush()
        os._exit(status)

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=child, args=(rank,)) for rank in range(ranks)]
    for process in processes:
        process.start()
    return processes


def library():
    """The functions of shim.c, which is preloaded."""
    return ctypes.CDLL(None)


def wait(processes, seconds=None):
    """Wait for all; once one has died, the others are killed, as torchrun would do."""
    deadline = time.monotonic() + (seconds or 1e9)
    while time.monotonic() < deadline and any(process.is_alive() for process in processes):
        if any(process.exitcode not in (None, 0) for process in processes):
            for process in processes:
                process.kill()
        time.sleep(0.002)
    return [process.exitcode for process in processes]


def is_writing(folder, began):
    """Whether there is a file or folder from after `began` that is not renamed yet."""
    try:
        return any(path.stat().st_mtime > began for path in folder.rglob("*.part"))
    except FileNotFoundError:  # renamed meanwhile
        return False


def result(folder):
    """The bytes of a run's weights and metrics; and that no file is left half written."""
    assert not list(folder.rglob("*.part")), "left half written"
    return [(folder / name).read_bytes() for name in ("model.safetensors", "metrics.jsonl")]


# ------------------------------------------------------------------------------------ the disturber

class Disturber:
    """Runs a command again and again, and disturbs it, until it has ended by itself."""

    def __init__(self, out, ranks, times, fresh, rng):
        self.out = out
        self.ranks = ranks
        self.left = times
        self.fresh = fresh / times  # the share of the runs that are no forks
        self.rng = rng
        self.seconds = {}  # script -> what an undisturbed run takes
        self.calls = {}    # script -> calls that change files, in an undisturbed run
        self.done = 0
        self.writing = 0   # kills while a file was being written

    def start(self, script, folder, shim=None):
        """The processes of a run that is to be disturbed."""
        begin = start_fresh if self.rng.random() < self.fresh else start
        return begin(script, self.out, folder, self.ranks, shim)

    def straight(self, script, shim):
        """Run the command once, undisturbed -> what it wrote."""
        folder = self.out / script.__name__
        began = time.perf_counter()
        wait(start(script, self.out, folder, self.ranks, (0, 0) if shim else None))
        self.seconds[script] = time.perf_counter() - began
        if shim:
            self.calls[script] = int((self.out / "seen").read_text())
        return result(folder)

    def run(self, script, disturb):
        """Run the command, disturbed, until it has ended -> what it wrote."""
        folder = self.out / "disturbed"
        while not (folder / "config.json").exists():
            if self.left > 0:
                disturb(script, folder)
            else:
                wait(start(script, self.out, folder, self.ranks))
        written = result(folder)
        shutil.rmtree(folder)
        return written

    def _count(self, folder, began):
        self.left -= 1
        self.done += 1
        self.writing += is_writing(folder, began)

    def kill(self, script, folder):
        """Kill it at a random moment, half of the time in the middle of the next write."""
        began = time.time()
        processes = self.start(script, folder)
        wait(processes, self.rng.uniform(0, 1.1) * self.seconds[script])
        if self.rng.random() < 0.5:
            while processes[0].is_alive() and not is_writing(folder, began):
                time.sleep(0.0005)
        alive = [process for process in processes if process.is_alive()]
        if alive:
            self.rng.choice(alive).kill()
            wait(processes)
            self._count(folder, began)
        else:  # other work on the machine may have slowed the first run down
            self.seconds[script] = min(self.seconds[script], time.time() - began)

    def kill_at_call(self, script, folder):
        """Kill it before, within or after one of the next calls that change files."""
        began = time.time()
        call = self.rng.randint(1, self.calls[script] // self.rng.choice((1, 3)))
        what = self.rng.choice((BEFORE, WITHIN, AFTER))
        statuses = wait(self.start(script, folder, (call, what)))
        if any(statuses):
            self._count(folder, began)

    def fail_a_call(self, script, folder):
        """Let one of the next calls that change files fail: it must end in one line."""
        call = self.rng.randint(1, self.calls[script] // self.rng.choice((1, 3)))
        number = self.rng.choice(ERRORS)
        statuses = wait(self.start(script, folder, (call, number)))
        said = (self.out / f"said.{self.ranks - 1}").read_text(errors="replace")
        if "Traceback" in said:
            print(f"a traceback at call {call}, {os.strerror(number)}:\n{said[-1500:]}", flush=True)
        if any(statuses):
            self._count(folder, time.time())


def disturb_runs(flags):
    """Print how many runs were disturbed, and how many of them ended differently."""
    rng = random.Random(flags.seed)
    times = flags.kills or flags.calls or flags.fails
    disturber = Disturber(flags.out, flags.processes, times, flags.fresh, rng)
    disturb = disturber.kill
    if flags.calls:
        disturb = disturber.kill_at_call
    elif flags.fails:
        disturb = disturber.fail_a_call
    straight = {}
    for script in FLAGS:
        straight[script] = disturber.straight(script, shim=not flags.kills)
        print(f"{script.__name__}: {disturber.seconds[script]:.1f} s, "
              f"{disturber.calls.get(script, 'unknown')} calls", flush=True)
    runs = 0
    different = 0
    while disturber.left > 0:
        script = list(FLAGS)[runs % 2]
        different += disturber.run(script, disturb) != straight[script]
        runs += 1
        print(f"{disturber.done} times disturbed, {disturber.writing} of them while a file was "
              f"being written; {runs} runs, {different} that ended differently", flush=True)
    return different


def preload(out):
    """Start this program again with shim.c preloaded; says so and ends where that cannot be."""
    if os.environ.get("LD_PRELOAD", "").endswith("shim.so"):
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        sys.exit("skipped: no C compiler")
    out.mkdir(parents=True, exist_ok=True)
    shim = out / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, SHIM, "-ldl"], check=True)
    os.environ["LD_PRELOAD"] = str(shim.resolve())
    os.execv(sys.executable, [sys.executable, "-m", "tests.stress.kill", *sys.argv[1:]])


def flip_bits(flags):
    """Flip every bit of a state.json, and 500 of its tensors -> how many were not seen."""
    folder = flags.out / "flipped/checkpoints/step-000001"
    wait(start(sft, flags.out, folder.parents[1]))
    folder = max((flags.out / "flipped/checkpoints").iterdir())
    step = checkpoints.step_of(folder)
    rng = random.Random(flags.seed)
    unseen = 0
    tried = 0
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        bits = range(8 * len(data))
        for bit in bits if file.name == checkpoints.STATE else rng.sample(bits, 500):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            file.write_bytes(flipped)
            try:
                value = checkpoints.read_state(folder, step)
                checkpoints.check_files(folder, value)
                unseen += 1
            except checkpoints.Damaged:
                pass
            tried += 1
        file.write_bytes(data)
    print(f"{tried} bits flipped, {unseen} not seen")
    return unseen


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--fails", type=int, default=0)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--fresh", type=int, default=0,
                        help="how many of the disturbed runs, about, are no forks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty or absent folder")
    flags = parser.parse_args()
    if flags.calls or flags.fails:
        preload(flags.out)
    torch.set_num_threads(1)
    prepare(flags.out)
    sys.exit(bool(flip_bits(flags) if flags.flips else disturb_runs(flags)))


if __name__ == "__main__":
    main()
