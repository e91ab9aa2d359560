"""Power cuts, two commands on one folder, and signals as their senders send them.

    python -m tests.stress.disturb cuts --count 20 --out DIR
    python -m tests.stress.disturb pairs --count 50 --out DIR
    python -m tests.stress.disturb signals --count 10 --out DIR

cuts: a run writes to a file system in a file; the file is copied as it stands, which is what a disk
holds when the power goes. From the copy the same command must go on, from the checkpoint that the
log told of or a later one, to the same end. Needs the right to mount.

pairs: the same command twice, at almost the same time; killed, sometimes, and started again. One of
them is refused, the log holds every step once, and the end is the same.

signals: to all processes and, a moment later, once more, as torchrun and systemd do; Ctrl-C from a
terminal; a closed terminal. Each must end with the step at hand saved.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

import sft
from tests.stress.kill import prepare, result, start, wait


def steps_of(folder):
    """The steps of which a run's log holds a whole line."""
    log = folder / "metrics.jsonl"
    if not log.exists():
        return []
    lines = log.read_text().split("\n")[:-1]
    return [json.loads(line)["step"] for line in lines]


def wait_for(condition, processes):
    """Until the condition holds -> True, or a process has ended."""
    while all(process.is_alive() for process in processes):
        if condition():
            return True
        time.sleep(0.002)
    return False


# -------------------------------------------------------------------------------------- power cuts

def mount(image, place):
    """Mount a file system in a file; whether that is allowed."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
    return done.returncode == 0


def cut_power(flags, straight, rng, number):
    """One cut at a random step, or after the end -> what went wrong, or ""."""
    disk = flags.out / "disk.img"
    copy = flags.out / "copy.img"
    place = flags.out / "mounted"
    with open(disk, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    if not mount(disk, place):
        sys.exit("skipped: mounting is not allowed here")
    folder = place / "run"
    step = rng.randint(2, 5)
    processes = start(sft, flags.out, folder)
    if number % 4 == 0:  # some have finished, seconds ago
        wait(processes)
    else:
        wait_for(lambda: step in steps_of(folder), processes)
    told = steps_of(folder)
    finished = (folder / "config.json").exists()
    shutil.copyfile(disk, copy)
    for process in processes:
        process.kill()
    wait(processes)
    subprocess.run(["umount", place], check=True)
    mount(copy, place)
    try:
        return _after_the_cut(flags, folder, straight, told, finished)
    finally:
        subprocess.run(["umount", place], check=True)


def _after_the_cut(flags, folder, straight, told, finished):
    if finished:
        is_same = (folder / "config.json").exists() and result(folder) == straight
        return "" if is_same else "a finished run is lost"
    if wait(start(sft, flags.out, folder)) != [0]:
        return (flags.out / "said.0").read_text()[-300:]
    said = (flags.out / "said.0").read_text()
    saved = max(told) - 1  # the log tells of a step before it is saved
    start_step = 0
    if "going on from" in said:
        start_step = int(said.split("going on from")[1].split("step-")[1].split()[0])
    if start_step < saved:
        return f"went on from step {start_step}, though {saved} were saved"
    return "" if result(folder) == straight else "ended differently"


# ------------------------------------------------------------------------------- two runs at once

def run_a_pair(flags, straight, rng, number):
    """Two commands on one folder -> what went wrong, or ""."""
    folder = flags.out / "pair"
    shutil.rmtree(folder, ignore_errors=True)
    first = start(sft, flags.out, folder)
    time.sleep(rng.choice((0, rng.uniform(0, 2))))
    second = start(sft, flags.out, folder)
    if number % 2:  # and one of them is killed, and started again
        time.sleep(rng.uniform(0, 2))
        rng.choice((first, second))[0].kill()
        third = start(sft, flags.out, folder)
        wait(third)
    statuses = [*wait(first), *wait(second)]
    if not (folder / "config.json").exists():
        wait(start(sft, flags.out, folder))
    if result(folder) != straight:
        return f"ended differently: {steps_of(folder)}"
    return "" if statuses.count(0) <= 1 else f"both went on: {statuses}"


# ----------------------------------------------------------------------------------------- signals

SENDERS = {
    "torchrun": [(signal.SIGTERM, 0.0), (signal.SIGTERM, 0.05)],
    "systemd": [(signal.SIGTERM, 0.0), (signal.SIGHUP, 0.001), (signal.SIGTERM, 0.3)],
    "a terminal": [(signal.SIGINT, 0.0), (signal.SIGINT, 0.02)],
    "a closed terminal": [(signal.SIGHUP, 0.0), (signal.SIGTERM, 0.2)],
    "an impatient scheduler": [(signal.SIGTERM, 0.0), *[(signal.SIGTERM, 0.1)] * 10],
}


def send(flags, straight, rng, number):
    """Stop a run of two processes as one of SENDERS does -> what went wrong, or ""."""
    folder = flags.out / "signalled"
    shutil.rmtree(folder, ignore_errors=True)
    name = list(SENDERS)[number % len(SENDERS)]
    processes = start(sft, flags.out, folder, ranks=2)
    step = rng.randint(1, 4)
    if not wait_for(lambda: step in steps_of(folder), processes):
        return f"{name}: ended before the signal"
    for signal_number, pause in SENDERS[name]:
        time.sleep(pause)
        for process in processes:
            if process.is_alive():
                os.kill(process.pid, signal_number)
    for process in processes:
        process.join()
    # of two that come at once either may be heard first; both processes end alike
    expected = [[128 + signal_number] * 2 for signal_number, _ in SENDERS[name]]
    statuses = [process.exitcode for process in processes]
    done = max(steps_of(folder))
    saved = (folder / f"checkpoints/step-{done:06d}/state.json").exists()
    if statuses not in expected or not saved:
        return f"{name}: statuses {statuses}, step {done} {'saved' if saved else 'not saved'}"
    return ""


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = {"cuts": cut_power, "pairs": run_a_pair, "signals": send}
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty or absent folder")
    flags = parser.parse_args()
    flags.out = flags.out.resolve()
    torch.set_num_threads(1)
    prepare(flags.out)
    wait(start(sft, flags.out, flags.out / "straight"))
    straight = result(flags.out / "straight")
    rng = random.Random(flags.seed)
    wrong = 0
    for number in range(flags.count):
        problem = kinds[flags.kind](flags, straight, rng, number)
        if problem:
            wrong += 1
            print(f"{flags.kind} {number}: {problem}", flush=True)
        print(f"{flags.kind}: {number + 1} tried, {wrong} went wrong", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
