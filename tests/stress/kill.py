"""Does a run survive SIGKILL? Kill sft.py and ppo.py at random moments, restart, compare.

    python -m tests.stress.kill --kills 50 --out DIR

The script starts every killed run again with the same command until it ends; then its weights and
metrics must be those of an unkilled run, bit for bit. The runs write a checkpoint after every step,
so that many kills hit one.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import time
from pathlib import Path

import torch

import model
import ppo
import sft
import tokenizer
from tests.conftest import CONFIG, ITEMS

COMMON = ["--dtype", "fp32", "--device", "cpu", "--save-every", "1"]
FLAGS = {sft: ["--epochs", "2"],
         ppo: ["--num-prompts", "16", "--batch-size", "2", "--epochs", "1",
               "--max-new-tokens", "8", "--show-every", "0"]}


def prepare(out):
    """Write a small random model with its tokenizer, and data."""
    (out / "model").mkdir(parents=True)
    (out / "data.json").write_text(json.dumps(ITEMS * 4))
    (out / "model/config.json").write_text(json.dumps(CONFIG))
    texts = [json.dumps(ITEMS, ensure_ascii=False), "Function: Args: System User Assistant Output"]
    tokenizer.train(texts * 3, out / "model/tokenizer.model", vocab_size=CONFIG["vocab_size"])
    model.save(model.initialise(model.read_config(out / "model/config.json")), out / "model")


def start(script, out, folder):
    """A forked child that runs the command; so only this process pays for the imports."""
    def child():
        sys.argv = [script.__file__, "--model", str(out / "model"),
                    "--data", str(out / "data.json"), "--eval-data", str(out / "data.json"),
                    "--out", str(folder), *COMMON, *FLAGS[script]]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        script.main()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def is_writing(folder, began):
    """Whether there is a file or folder from after `began` that is not renamed yet."""
    try:
        return any(path.stat().st_mtime > began for path in folder.rglob("*.part"))
    except FileNotFoundError:  # renamed meanwhile
        return False


def result(folder):
    """The bytes of a run's weights and metrics."""
    return [(folder / name).read_bytes() for name in ("model.safetensors", "metrics.jsonl")]


class Killer:
    """Runs a command again and again, and kills it, until it has ended by itself."""

    def __init__(self, out, kills, seed):
        self.out = out
        self.kills_left = kills
        self.rng = random.Random(seed)
        self.seconds = {}  # script -> what an unkilled run takes
        self.kills = 0
        self.saving = 0    # kills while a file was being written

    def time(self, script):
        """Run the command once, unkilled -> what it wrote."""
        began = time.perf_counter()
        start(script, self.out, self.out / script.__name__).join()
        self.seconds[script] = time.perf_counter() - began
        return result(self.out / script.__name__)

    def run(self, script):
        """Run the command with kills until it has ended -> what it wrote."""
        folder = self.out / "killed"
        while not (folder / "config.json").exists():
            self._run_once(script, folder)
        written = result(folder)
        shutil.rmtree(folder)
        return written

    def _run_once(self, script, folder):
        began = time.time()
        process = start(script, self.out, folder)
        wait = self.rng.uniform(0, 1.1) * self.seconds[script] if self.kills_left > 0 else None
        process.join(wait)
        if self.rng.random() < 0.5:  # half of the kills come in the middle of the next write
            while process.is_alive() and not is_writing(folder, began):
                time.sleep(0.0005)
        if process.is_alive():
            process.kill()
            process.join()
            self.kills_left -= 1
            self.kills += 1
            self.saving += is_writing(folder, began)
        else:  # other work on the machine may have slowed the first run down
            self.seconds[script] = min(self.seconds[script], time.time() - began)


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty or absent folder")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    prepare(flags.out)
    killer = Killer(flags.out, flags.kills, flags.seed)
    straight = {}
    for script in FLAGS:
        straight[script] = killer.time(script)
        print(f"{script.__name__}: {killer.seconds[script]:.1f} s", flush=True)
    runs = 0
    different = 0
    while killer.kills_left > 0:
        script = list(FLAGS)[runs % 2]
        different += killer.run(script) != straight[script]
        runs += 1
        print(f"{killer.kills} kills, {killer.saving} of them while a file was being written; "
              f"{runs} runs, {different} that ended differently", flush=True)


if __name__ == "__main__":
    main()
