"""Does a run survive SIGKILL? Kill sft.py and ppo.py at random moments, restart, compare with unkilled runs.

    python -m tests.stress.kill --kills 50 --out DIR

Every killed run is started again with the same command until it ends; then its weights and metrics must be
those of the unkilled run, bit for bit. A checkpoint is written after every step, so that many kills hit one.
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

ROOT = Path(__file__).resolve().parents[2]
import torch

import model
import ppo
import sft
import tokenizer
from tests.conftest import CONFIG, ITEMS

COMMON = ["--dtype", "fp32", "--device", "cpu", "--save-every", "1"]
FLAGS = {sft: ["--epochs", "2"], ppo: ["--num-prompts", "16", "--batch-size", "2", "--epochs", "1",
                                       "--max-new-tokens", "8", "--show-every", "0"]}


def prepare(out):
    """A small random model with its tokenizer, and data."""
    (out / "model").mkdir(parents=True)
    (out / "data.json").write_text(json.dumps(ITEMS * 4))
    (out / "model/config.json").write_text(json.dumps(CONFIG))
    tokenizer.train([json.dumps(ITEMS, ensure_ascii=False),
                     "Function: Args: System User Assistant Output"] * 3,
                    out / "model/tokenizer.model", vocab_size=CONFIG["vocab_size"])
    model.save(model.initialise(model.read_config(out / "model/config.json")), out / "model")


def start(script, out, folder):
    """A forked child that runs the command; imports are paid for once."""
    def child():
        sys.argv = [script.__file__, "--model", str(out / "model"), "--data", str(out / "data.json"), "--out",
                    str(folder), "--eval-data", str(out / "data.json"), *COMMON, *FLAGS[script]]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        script.main()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def being_written(folder, began):
    """Is there a file or folder, not yet renamed, from after `began`?"""
    try:
        return any(path.stat().st_mtime > began for path in folder.rglob("*.part"))
    except FileNotFoundError:  # renamed meanwhile
        return False


def result(folder):
    return [(folder / name).read_bytes() for name in ("model.safetensors", "metrics.jsonl")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty or absent folder")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    prepare(flags.out)
    luck, straight, seconds = random.Random(flags.seed), {}, {}
    for script in FLAGS:
        started = time.perf_counter()
        start(script, flags.out, flags.out / script.__name__).join()
        seconds[script] = time.perf_counter() - started
        straight[script] = result(flags.out / script.__name__)
        print(f"{script.__name__}: {seconds[script]:.1f} s", flush=True)
    kills = saving = runs = different = 0
    while kills < flags.kills:
        script, folder = list(FLAGS)[runs % 2], flags.out / "killed"
        while not (folder / "config.json").exists():
            began, process = time.time(), start(script, flags.out, folder)
            process.join(luck.uniform(0, 1.1) * seconds[script] if kills < flags.kills else None)
            if luck.random() < 0.5:  # half of the kills come in the middle of a write, if there is another
                while process.is_alive() and not being_written(folder, began):
                    time.sleep(0.0005)
            if process.is_alive():
                process.kill()
                kills += 1
                process.join()
                saving += being_written(folder, began)
            else:  # other work on the machine may have slowed the first run down
                seconds[script] = min(seconds[script], time.time() - began)
        runs += 1
        different += result(folder) != straight[script]
        shutil.rmtree(folder)
        print(f"{kills} kills, {saving} of them while a file was being written; {runs} runs, "
              f"{different} that ended differently", flush=True)


if __name__ == "__main__":
    main()
