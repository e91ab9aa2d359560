"""A laptop that does something else: how threads should wait for each other.

    python -m bench.threads                    # on an idle machine: about 8 minutes
    python -m bench.threads --seconds 3 --rounds 2

Stage 1 and a rollout with the embedded model, two threads, alone and beside one process that keeps
a core busy, for several settings of the OpenMP runtime (see plumbing/environment.py). A run is a
new process, since the runtime reads its settings as it is loaded. In each round every setting runs
once, alone and beside; a cell is the median of the rounds, over the median of the default alone.
Not measured: other runtimes than GNU's, more than two cores. Needs no other package.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import torch

import model
import sft
from bench import sides
from bench.limits import conversation
from plumbing.optimizer import make_optimizer

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "default": {"GOMP_SPINCOUNT": "300000"},  # what libgomp takes without any setting
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spin 1,000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10,000": {"GOMP_SPINCOUNT": "10000"},
    "spin 30,000": {"GOMP_SPINCOUNT": "30000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "ours": {},  # plumbing/environment.py chooses as the process starts
}
PLACES = ("alone", "beside one busy process")


def fine_tune(transformer, optimizer):
    """A step of stage 1 -> its tokens."""
    step = [conversation(length, 1500) for length in (250, 300, 350, 400)]
    flags = sft.Flags(dtype="fp32")
    sft.train_step(transformer, optimizer, step, flags, 1e-6, torch.device("cpu"))
    return sum(len(example.ids) for example in step)


def roll_out(transformer):
    """A greedy rollout of 8 prompts -> its new tokens."""
    prompts = sides.draw(8, 400, 1500)
    model.generate(transformer, prompts, 32, eos_id=-1)
    return 8 * 32


def speed(work, seconds):
    """Tokens per second of work(), repeated for so many seconds after one run that is not counted.
    """
    work()
    tokens = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        tokens += work()
    return tokens / (time.perf_counter() - began)


def child(seconds):
    """Print the speeds of both stages in this process, as JSON."""
    transformer = model.load(ROOT / "data" / "tiny")
    optimizer = make_optimizer(transformer, 0.0)
    print(json.dumps({
        "stage 1": speed(lambda: fine_tune(transformer, optimizer), seconds),
        "rollout": speed(lambda: roll_out(transformer), seconds)}))


def run(setting, place, flags):
    """{stage: tokens per second} of a child with this setting."""
    mine = {name: value for name, value in os.environ.items()
            if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-m", "bench.threads", "--child", "--seconds", str(flags.seconds)]
    environment = {"OMP_NUM_THREADS": str(flags.threads), **mine, **SETTINGS[setting]}
    busy = None
    if place != PLACES[0]:
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE,
                              text=True, check=True)
    finally:
        if busy:
            busy.kill()
            busy.wait()
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__, rounds=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--child", action="store_true", help="what the script calls itself with")
    flags = parser.parse_args()
    if flags.child:
        child(flags.seconds)
        return
    sides.start(flags)
    if flags.quick:
        flags.rounds = 1
        flags.seconds = 0.1
    found = {}
    for _ in range(flags.rounds):
        for setting, place in product(SETTINGS, PLACES):
            for stage, tokens in run(setting, place, flags).items():
                found.setdefault((stage, setting, place), []).append(tokens)
    rows = []
    for stage, setting in product(("stage 1", "rollout"), SETTINGS):
        row = [stage, setting]
        alone = statistics.median(found[stage, "default", PLACES[0]])
        for place in PLACES:
            taken = statistics.median(found[stage, setting, place])
            row += [f"{taken:,.0f} tokens/s", f"{taken / alone:.2f}"]
        rows.append(row)
    sides.table(["stage", "threads wait", PLACES[0], "of the default alone", PLACES[1],
                 "of the default alone"], rows)


if __name__ == "__main__":
    main()
