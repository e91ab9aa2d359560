"""One process under torchrun with NCCL: sums, and a sharded model against a whole one.

    torchrun --nproc_per_node 1 -m tests.gpu.one_rank MODEL FOUND.json

`parallel.join` and `parallel.shard` leave a single process alone, so the parts behind them are
called here. tests/gpu/test_cuda.py judges what is written.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from torch import distributed

import model
from plumbing import cuda, parallel

DEVICE = torch.device("cuda", 0)


def gradient(transformer):
    """The gradient of a loss on a fixed row, whole, as one vector."""
    ids = torch.arange(3, 40, device=DEVICE)[None]
    transformer(ids, head=lambda hidden, output_matrix: (
        torch.nn.functional.linear(hidden, output_matrix))).square().mean().backward()
    parts = [parallel.whole(parameter.grad).flatten() for parameter in transformer.parameters()]
    return torch.cat(parts).double()


def main():
    """The command line; see the top of this file."""
    folder, out = sys.argv[1:]
    cuda.prepare()
    torch.cuda.set_device(DEVICE)
    distributed.init_process_group("cpu:gloo,cuda:nccl")
    found = {
        "sum on the GPU": parallel.all_sum(torch.tensor(3.0, device=DEVICE)).item(),
        "sum on the CPU": parallel.all_sum(torch.tensor(4.0)).item(),
    }
    whole = model.load(folder, torch.float32, DEVICE)
    sharded = model.load(folder, torch.float32, DEVICE,
                         shard=partial(parallel.spread, device=DEVICE))
    expected = gradient(whole)
    found["gradient"] = ((gradient(sharded) - expected).norm() / expected.norm()).item()
    prompts = [[1, 5, 9, 11], [1, 7]]
    found["answers"] = (model.generate(sharded, prompts, 20, 2)
                        == model.generate(whole, prompts, 20, 2))
    Path(out).write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
