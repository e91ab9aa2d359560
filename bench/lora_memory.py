"""LoRA's memory against --plan: a step of stage 1 and of stage 2 at CodeLLaMA-7B's width.

    python -m bench.lora_memory --out DIR       # 2 layers, 0.67 billion parameters: 1.3 GB of disk

Measured is the largest resident memory of a process, less what it had before it loaded the model.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch

import model
import ppo
import sft
from bench import shards, sides
from plumbing import memory
from plumbing.optimizer import make_optimizer
from prompts import Prompt

GIB = 2**30


class NoEnd:
    """In place of a tokenizer: no answer ends, and all fit the model."""
    eos_id = -1

    def must_fit(self, config, longest=0):
        """Random ids fit."""


def stage_1(flags):
    """GiB at the worst moment of loading and of a step of sft.py."""
    before = sides.resident("VmRSS")
    transformer = model.load_for_training(flags, torch.device("cpu"))
    optimizer = make_optimizer(transformer, 0.0)
    step = shards.examples(flags.batch_size, flags.max_length)
    sft.train_step(transformer, optimizer, step, flags, 1e-6, "cpu")
    return (sides.resident("VmHWM") - before) / GIB


def stage_2(flags):
    """GiB at the worst moment of loading and of a step of ppo.py."""
    before = sides.resident("VmRSS")
    ppo.Tokenizer = lambda *arguments: NoEnd()
    tokenizer, models = ppo.load_models(flags, torch.device("cpu"))
    optimizers = [make_optimizer(one, 0.0) for one in (models.actor, models.critic)]
    ids = [3 + i % 400 for i in range(flags.max_prompt)]
    prompts = [Prompt(ids, "", (), f"prompt {i}") for i in range(flags.batch_size)]
    ppo.train_step(models, optimizers, prompts, tokenizer, flags, 0, (1e-6, 1e-6))
    return (sides.resident("VmHWM") - before) / GIB


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--stage", type=int, choices=(1, 2), default=0, help="only this one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.out / "model"
    if not folder.exists():  # in a process of its own: what it used must not count below
        arguments.out.mkdir(parents=True, exist_ok=True)
        config_file = arguments.out / "c.json"
        config_file.write_text(json.dumps(shards.shape(arguments.width, arguments.layers)))
        sides.run_processes(2, partial(shards.write, config_file, folder), arguments.out / "made")
    config = model.read_config(folder / "config.json")
    common = {"model": str(folder), "dtype": arguments.dtype, "lora_rank": arguments.rank}
    tokens = arguments.tokens
    cases = (
        ("stage 1", stage_1, memory.plan_sft, sft.Flags(
            **common, batch_size=1, max_length=tokens, micro_tokens=tokens)),
        ("stage 1, checkpointed", stage_1, memory.plan_sft, sft.Flags(
            **common, batch_size=1, max_length=tokens, micro_tokens=tokens,
            checkpoint_activations=True)),
        ("stage 2", stage_2, memory.plan_ppo, ppo.Flags(
            **common, batch_size=2, micro_batch=1, max_prompt=tokens // 2, max_new_tokens=4)),
    )
    for name, stage, plan, flags in cases:
        if arguments.stage and f"stage {arguments.stage}" not in name:
            continue
        peak = in_a_process(partial(stage, flags), arguments.out / "peak.json")
        planned = plan(config, flags, 1).peak / GIB
        print(f"{name}: measured {peak:.3f} GiB, planned {planned:.3f} "
              f"({planned / peak - 1:+.1%})", flush=True)


def in_a_process(work, file):
    """work() in a process of its own, a fork -> what it returns."""
    def write():
        file.write_text(json.dumps(work()))

    process = torch.multiprocessing.get_context("fork").Process(target=write)
    process.start()
    process.join()
    return json.loads(file.read_text())


if __name__ == "__main__":
    main()
