"""Processes: joining them, sums over them, shares of the work, and FSDP2, a model spread over them.

One process or many run the same code. torchrun starts the many, each with a GPU of its own:

    torchrun --nproc_per_node 8 sft.py ...

FSDP2 (torch.distributed.fsdp.fully_shard) is in `shard`: each process holds a part of every
parameter, its gradient and its optimizer state, and a block's parameters are gathered while the
block computes. `reduce_gradients` and `whole` are for models that are spread so.

Sums over processes are made in fp64. What all processes must agree on, such as who takes which
item, each of them computes from the same numbers.
"""

import os
import sys
from datetime import timedelta

import torch
from torch import distributed

from plumbing import cuda
from plumbing.files import InputError

# the longest wait where each process works through a share of its own
SHARES_DIFFER = timedelta(days=7)

# ---------------------------------------------------------------------------------------- processes

def processes():
    """(rank of this process, number of processes), as torchrun says; (0, 1) without it.

    Raises InputError.
    """
    rank = os.environ.get("RANK", "0")
    number = os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and number.isdecimal() and int(rank) < int(number)):
        raise InputError(f"RANK={rank} WORLD_SIZE={number}: no rank of so many processes; torchrun "
                         "sets both, and without it neither is needed")
    return int(rank), int(number)


def join(name, patience=timedelta(hours=1)):
    """Join the other processes. Returns the torch.device of this one, for a --device flag.

    patience: the longest wait for another process; rollouts differ in length, by minutes. From here
    on only rank 0 prints. Raises InputError.
    """
    device = own_device(name)
    rank, ranks = processes()
    if ranks > 1:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=patience)
    if rank > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (it stays open to the end)
    return device


def leave():
    """Leave the other processes; on success only, since after a failure this can hang."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def own_device(name):
    """The torch.device of this process for a --device flag: cpu, cuda, cuda:N or auto.

    "auto" is the GPU where there is one; under torchrun "cuda" is a GPU of the process's own.
    Raises InputError.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):  # mps has no fp64
        raise InputError(f"--device {name}: not one of cpu, cuda, auto")
    if kind == "cuda":
        cuda.prepare()
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch compiled without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from None
    if kind == "cuda":
        torch.cuda.set_device(device)  # CUDA graphs are captured on the current device
    return device


def barrier():
    """Wait for the other processes, as long as `join` was told to; without it for a week."""
    _, ranks = processes()
    if ranks == 1:
        return
    if not distributed.is_initialized():  # a script without `join`, such as evaluate.py
        distributed.init_process_group("gloo", timeout=SHARES_DIFFER)
    distributed.all_reduce(torch.zeros(1))


# ------------------------------------------------------------------------------ sums over processes

def all_sum(x):
    """The sum over processes, in fp64, of a tensor (-> tensor) or of a number (-> float)."""
    return _all_reduce(x, distributed.ReduceOp.SUM)


def all_max(x):
    """The maximum over processes, in fp64, of a tensor (-> tensor) or of a number (-> float)."""
    return _all_reduce(x, distributed.ReduceOp.MAX)


def _all_reduce(x, operation):
    """Reduces a copy; with one process that copy is the result."""
    tensor = torch.as_tensor(x, dtype=torch.float64).detach().clone()
    if distributed.is_initialized():
        distributed.all_reduce(tensor, operation)
    if isinstance(x, torch.Tensor):
        return tensor
    return tensor.item()


def all_sums(sums):
    """{name: number} -> {name: its sum over processes}, in one reduction."""
    numbers = torch.tensor(list(sums.values()), dtype=torch.float64)
    return dict(zip(sums, all_sum(numbers).tolist(), strict=True))


# ------------------------------------------------------------------------------- shares of the work

def share_evenly(sizes):
    """The places, ascending, of the items that this process takes, out of items with these sizes.

    The largest item goes first, and each to the process with the smallest load so far among those
    with fewer items than an even share. All processes come to the same answer, and none has more
    rows than --plan counts.
    """
    rank, ranks = processes()
    even_share = -(-len(sizes) // ranks)  # rounded up
    loads = [0] * ranks
    shares = [[] for _ in range(ranks)]
    largest_first = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    for i in largest_first:
        open_ranks = [r for r in range(ranks) if len(shares[r]) < even_share]
        taker = min(open_ranks, key=lambda r: loads[r])
        loads[taker] += sizes[i]
        shares[taker].append(i)
    return sorted(shares[rank])


# -------------------------------------------------------------------- FSDP2: a model over processes

def shard(transformer, device, dtype=None, offload=False):
    """Spread a Transformer on the meta device over all processes with FSDP2, each block on its own.

    dtype: of the computation where it differs from the parameters'; gradients are summed in fp32.
    offload: keep the shards on the CPU.

    Returns a function for `weights.load`, which reads the weights: of a parameter, the rows that
    this process holds and the slice of all rows that they are. With one process nothing is spread.
    """
    _, ranks = processes()
    if ranks == 1:
        return all_rows
    return spread(transformer, device, dtype, offload)


def spread(transformer, device, dtype=None, offload=False):
    """The same for any number of processes that have joined, one too."""
    _, ranks = processes()
    # Imported here: half a second that one process can save.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

    options = {"mesh": init_device_mesh(device.type, (ranks,)), "reshard_after_forward": True}
    if offload and device.type == "cuda":
        options["offload_policy"] = CPUOffloadPolicy()
    # Inputs are not cast: rotary angles must stay fp32, bf16 cannot tell late positions apart.
    no_cast = MixedPrecisionPolicy(cast_forward_inputs=False)
    if dtype in (None, torch.float32):
        cast_to_dtype = no_cast
    else:
        cast_to_dtype = MixedPrecisionPolicy(
            param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    if transformer.value_head is not None:  # in fp32, also where blocks compute in bf16
        fully_shard(transformer.value_head, mp_policy=no_cast, **options)
    for block in transformer.model.layers:
        fully_shard(block, mp_policy=cast_to_dtype, **options)
    fully_shard(transformer, mp_policy=cast_to_dtype, **options)  # the rest: embeddings, norm, head
    return _own_rows


def all_rows(parameter):
    """(rows of the parameter that this process holds, the slice of all rows that they are)."""
    return parameter.detach(), slice(None)


def _own_rows(parameter):
    """The same for a parameter that is spread over processes (a DTensor)."""
    rank, ranks = processes()
    rows = parameter.detach().to_local()
    most = -(-len(parameter) // ranks)  # FSDP2 cuts as torch.chunk does: the last ones can be empty
    first = min(most * rank, len(parameter))
    return rows, slice(first, first + len(rows))


def is_spread(tensor):
    """Whether each process holds rows of its own of a tensor (a DTensor)."""
    return hasattr(tensor, "to_local")


def held_rows(tensor):
    """(rows of any tensor that this process holds, the slice of all rows that they are).

    The rows are no copy; a single number is a row.
    """
    if is_spread(tensor):
        return _own_rows(tensor)
    rows = tensor.detach()
    if not rows.ndim:
        rows = rows.view(1)
    return rows, slice(0, len(rows))


def reduce_gradients(transformer, now):
    """Whether the next backward pass sums gradients over the processes.

    Once a step is enough: at its last micro-batch.
    """
    _, ranks = processes()
    if ranks > 1:
        transformer.set_requires_gradient_sync(now)


def is_writer():
    """Whether this process writes the files of a model that processes may share."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def whole(tensor):
    """A tensor, gathered from all processes if it is spread over them (a DTensor)."""
    if is_spread(tensor):
        return tensor.full_tensor()
    return tensor
