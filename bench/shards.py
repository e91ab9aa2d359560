"""Memory of a CodeLLaMA-7B-shaped model cut to a few layers: loading its shards, and a step against --plan.

    python -m bench.shards --out DIR        # 2 layers, 0.67 billion parameters: 2 GB of disk, 17 of memory
    python -m bench.shards --out DIR --width 1024 --layers 8 --tokens 1024   # where activations count, too

Measured is the largest resident memory of a process, less what it had before it began.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
import torch

import model
import sft
from examples import Example
from plumbing import (
    memory,
    parallel,
)
from plumbing.optimizer import make_optimizer
from tests.plumbing.test_parallel import run_processes


def shape(width, layers):
    """config.json of CodeLLaMA-7B with fewer layers, and narrower."""
    return {"model_type": "llama", "vocab_size": 32016, "hidden_size": width, "num_hidden_layers": layers,
            "intermediate_size": width * 11008 // 4096, "num_attention_heads": width // 128,
            "rope_theta": 1e6, "rms_norm_eps": 1e-5, "max_position_embeddings": 16384}


def resident(key):
    """VmRSS, now, or VmHWM, the largest since the process began, in GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**20


def examples(count, tokens):
    """Conversations of random tokens, a tenth of which are trained."""
    rng, found = np.random.default_rng(0), []
    for item in range(count):
        ids, weights = rng.integers(3, 32000, tokens), np.zeros(tokens)
        weights[-tokens // 10:] = 1.0
        found.append(Example(ids, np.roll(ids, -1), weights, np.where(weights > 0, 0, -1), 1, item))
    return found


def measure(flags, conversations):
    """In each process: GiB at the worst moment of loading, and of a step; seconds of the step."""
    before, device = resident("VmRSS"), torch.device("cpu")
    transformer = model.load(flags.model, torch.float32, device,
                               shard=lambda t: parallel.shard(t, device, model.DTYPES[flags.dtype]))
    transformer.compute_dtype = model.DTYPES[flags.dtype]
    transformer.checkpoint_activations = flags.checkpoint_activations
    loaded = resident("VmHWM") - before
    if not conversations:
        return loaded, 0.0, 0.0
    optimizer, started = make_optimizer(transformer, 0.0), time.perf_counter()
    sft.train_step(transformer, optimizer, conversations, flags, 1e-6, device)
    return loaded, resident("VmHWM") - before, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--load-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.out / "model"
    if not folder.exists():  # in a process of its own: what it used must not count below
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "c.json").write_text(json.dumps(shape(arguments.width, arguments.layers)))
        run_processes(2, lambda: parallel.processes()[0] or model.save(
            model.initialise(model.read_config(arguments.out / "c.json")).bfloat16(), folder,
            shard_bytes=4 * 10**8), arguments.out / "results")
    config = model.read_config(folder / "config.json")
    block, root, every = memory.count(config)
    print(f"{every / 1e9:.3f} billion parameters, {4 * every / 2**30:.2f} GiB in fp32, "
          f"{len(list(folder.glob('*.safetensors')))} files", flush=True)
    largest = 4 * config.vocab_size * config.hidden_size / 2**30
    cases = ((2, 1), (1, 1)) if arguments.width == 4096 else ((2, 1), (2, 2), (1, 1))
    for count, micro_batches in cases:
        flags = sft.Flags(model=str(folder), dtype=arguments.dtype, batch_size=count * micro_batches,
                          micro_tokens=arguments.tokens, max_length=arguments.tokens)
        steps = examples(0 if arguments.load_only else flags.batch_size, arguments.tokens)
        found = run_processes(count, lambda: measure(flags, steps), arguments.out / "results")
        if count == 1:
            print("(one process: in this one)")
        for rank, (loaded, peak, seconds) in enumerate(found):
            bound = 0.6 * 4 * every / 2**30 + largest
            planned = memory.plan_sft(config, flags, count).peak / 2**30
            print(f"{count} processes, {micro_batches} micro-batches each, rank {rank}: "
                  f"load {loaded:.2f} GiB (0.6 of the model and a tensor: {bound:.2f})" + (
                      f", step {peak:.2f} GiB, planned {planned:.2f} ({planned / peak - 1:+.1%}), "
                      f"{seconds:.0f} s" if steps else ""), flush=True)


if __name__ == "__main__":
    main()
