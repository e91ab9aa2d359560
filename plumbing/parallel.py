"""One process or many: joining them, sums over them, their shares of the work, a model spread over them.

One process or many run the same code; torchrun starts the many, each with a GPU of its own. What is summed
over processes is summed in fp64, and what they must agree on follows from the same numbers in all of them.
"""

import os
import sys
from datetime import timedelta

import torch
from torch import distributed

from plumbing.files import InputError


def processes():
    """(rank of this process, number of processes), as torchrun says; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def join(name):
    """Join the other processes -> torch.device of this one, for a --device flag. Only rank 0 prints."""
    device, (rank, ranks) = own_device(name), processes()
    if ranks > 1:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timedelta(days=1))  # rollouts differ in length
    if rank:
        sys.stdout = open(os.devnull, "w")
    return device


def leave():
    """Leave the other processes; on success only, since after a failure this can hang."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def own_device(name):
    """torch.device of this process for a --device flag: "auto" is the GPU where there is one, and under
    torchrun each process has a GPU of its own. Raises InputError.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    if name.partition(":")[0] not in ("cpu", "cuda"):  # mps has no fp64
        raise InputError(f"--device {name}: not one of cpu, cuda, auto")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch compiled without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from None


def barrier():
    """Wait for the other processes as long as it takes: their shares of the work differ."""
    if processes()[1] > 1:
        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=timedelta(days=7))
        distributed.all_reduce(torch.zeros(1))


def all_sum(x):
    """The sum over processes of a tensor, or of a number (-> float), in fp64."""
    return _reduced(x, distributed.ReduceOp.SUM)


def _reduced(x, op):
    tensor = torch.as_tensor(x, dtype=torch.float64).detach().clone()
    if distributed.is_initialized():
        distributed.all_reduce(tensor, op)
    return tensor if isinstance(x, torch.Tensor) else tensor.item()


def all_sums(sums):
    """{name: number} -> {name: its sum over processes}."""
    return dict(zip(sums, all_sum(torch.tensor(list(sums.values()), dtype=torch.float64)).tolist()))


def all_max(x):
    """The largest of the processes' numbers."""
    return _reduced(x, distributed.ReduceOp.MAX)


def share_evenly(sizes):
    """The places of the items that this process takes, of items with these sizes, ascending.

    The largest first, each to the process with the least so far that has not its even share of items: all
    processes come to the same answer, and none has more rows than --plan counts.
    """
    rank, ranks = processes()
    most, loads, shares = -(-len(sizes) // ranks), [0] * ranks, [[] for _ in range(ranks)]
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        taker = min((r for r in range(ranks) if len(shares[r]) < most), key=lambda r: loads[r])
        loads[taker] += sizes[i]
        shares[taker].append(i)
    return sorted(shares[rank])


def shard(transformer, device, dtype=None, offload=False):
    """Spread a Transformer on the meta device over all processes (FSDP2), each block on its own.

    dtype: of the computation where it differs from the parameters'; gradients are summed in fp32. offload:
    keep the shards on the CPU. Returns the function that gives the rows of a parameter that this process
    holds, and which ones they are. With one process nothing is spread.
    """
    rank, ranks = processes()
    if ranks == 1:
        return lambda parameter: (parameter.detach(), slice(None))
    from torch.distributed.device_mesh import (
        init_device_mesh,  # half a second that one process can save
    )
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard
    wide = {"mesh": init_device_mesh(device.type, (ranks,)), "reshard_after_forward": True,
            "mp_policy": MixedPrecisionPolicy(cast_forward_inputs=False)}  # angles must stay fp32
    if offload and device.type == "cuda":
        wide["offload_policy"] = CPUOffloadPolicy()
    narrow = wide if dtype in (None, torch.float32) else wide | {"mp_policy": MixedPrecisionPolicy(
        param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)}
    if transformer.value_head is not None:
        fully_shard(transformer.value_head, **wide)
    for block in transformer.model.layers:
        fully_shard(block, **narrow)
    fully_shard(transformer, **narrow)

    def own(parameter):
        mine = parameter.detach().to_local()
        each = -(-len(parameter) // ranks)  # as torch.chunk cuts
        first = min(each * rank, len(parameter))
        return mine, slice(first, first + len(mine))
    return own


def reduce_gradients(transformer, now):
    """Whether the next backward pass sums gradients over the processes: once a step, at its last one."""
    if processes()[1] > 1:
        transformer.set_requires_gradient_sync(now)


def whole(tensor):
    """A tensor, gathered from all processes if it is spread over them (a DTensor)."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
