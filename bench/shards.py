"""Memory of a model of CodeLLaMA-7B's shape with a few layers: loading, and a step against --plan.

    python -m bench.shards --out DIR
        # 2 layers, 0.67 billion parameters: 2 GB of disk, 17 of memory
    python -m bench.shards --out DIR --width 1024 --layers 8 --tokens 1024
        # where activations count, too

Measured is the largest resident memory of a process, less what it had before it began.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

import model
import sft
from bench import sides
from examples import Example
from plumbing import memory, parallel
from plumbing.optimizer import make_optimizer

GIB = 2**30


def shape(width, layers):
    """config.json of CodeLLaMA-7B with another width and number of layers."""
    return {"model_type": "llama", "vocab_size": 32016, "hidden_size": width,
            "num_hidden_layers": layers, "intermediate_size": width * 11008 // 4096,
            "num_attention_heads": width // 128, "rope_theta": 1e6, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 16384}


def examples(count, tokens):
    """Examples of random tokens, a tenth of which are trained."""
    rng = np.random.default_rng(0)
    found = []
    for item in range(count):
        ids = rng.integers(3, 32000, tokens)
        weights = np.zeros(tokens)
        weights[-tokens // 10:] = 1.0
        call = np.where(weights > 0, 0, -1)
        found.append(Example(ids, np.roll(ids, -1), weights, call, 1, item))
    return found


def write(config_file, folder):
    """Write a random bf16 checkpoint in shards of 400 MB; of several processes only the first."""
    if parallel.processes()[0] == 0:
        transformer = model.initialise(model.read_config(config_file)).bfloat16()
        model.save(transformer, folder, shard_bytes=4 * 10**8)


def measure(flags, step):
    """(GiB at the worst moment of loading, GiB at that of a step, seconds of the step).

    Without a step the last two are 0.
    """
    device = torch.device("cpu")
    dtype = model.DTYPES[flags.dtype]
    before = sides.resident("VmRSS")
    transformer = model.load(flags.model, torch.float32, device,
                             shard=lambda t: parallel.shard(t, device, dtype))
    transformer.compute_dtype = dtype
    transformer.checkpoint_activations = flags.checkpoint_activations
    loaded = (sides.resident("VmHWM") - before) / GIB
    if not step:
        return loaded, 0.0, 0.0
    optimizer = make_optimizer(transformer, 0.0)
    began = time.perf_counter()
    sft.train_step(transformer, optimizer, step, flags, 1e-6, device)
    taken = time.perf_counter() - began
    return loaded, (sides.resident("VmHWM") - before) / GIB, taken


def main():
    """The command line; see the top of this file."""
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
    results = arguments.out / "results"
    if not folder.exists():  # in a process of its own: what it used must not count below
        arguments.out.mkdir(parents=True, exist_ok=True)
        config_file = arguments.out / "c.json"
        config_file.write_text(json.dumps(shape(arguments.width, arguments.layers)))
        sides.run_processes(2, partial(write, config_file, folder), results)
    config = model.read_config(folder / "config.json")
    _, _, parameters = memory.count(config)
    print(f"{parameters / 1e9:.3f} billion parameters, {4 * parameters / GIB:.2f} GiB in fp32, "
          f"{len(list(folder.glob('*.safetensors')))} files", flush=True)
    largest = 4 * config.vocab_size * config.hidden_size / GIB
    bound = 0.6 * 4 * parameters / GIB + largest
    cases = ((2, 1), (1, 1)) if arguments.width == 4096 else ((2, 1), (2, 2), (1, 1))
    for count, micro_batches in cases:
        flags = sft.Flags(model=str(folder), dtype=arguments.dtype,
                          batch_size=count * micro_batches, micro_tokens=arguments.tokens,
                          max_length=arguments.tokens)
        step = [] if arguments.load_only else examples(flags.batch_size, arguments.tokens)
        found = sides.run_processes(count, partial(measure, flags, step), results)
        if count == 1:
            print("(one process: in this one)")
        planned = memory.plan_sft(config, flags, count).peak / GIB
        for rank, (loaded, peak, seconds) in enumerate(found):
            line = (f"{count} processes, {micro_batches} micro-batches each, rank {rank}: "
                    f"load {loaded:.2f} GiB (0.6 of the model and a tensor: {bound:.2f})")
            if step:
                line += (f", step {peak:.2f} GiB, planned {planned:.2f} "
                         f"({planned / peak - 1:+.1%}), {seconds:.0f} s")
            print(line, flush=True)


if __name__ == "__main__":
    main()
