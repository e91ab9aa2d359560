"""What both training scripts share and must not drift apart on: flags, processes, sharding, optimizer.

One process or many run the same code; torchrun starts the many, each with a GPU of its own. What is summed
over processes is summed in fp64, and what they must agree on follows from the same numbers in all of them.
"""

import math
import os
import sys
from argparse import BooleanOptionalAction
from dataclasses import asdict, field, fields
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from data import LARGEST, InputError, Parser, read_object
from model import whole

# ---------------------------------------------------------------------------------------------------- flags


def flag(default, help, least=None, choices=None, alters="run", most=LARGEST, needs=""):
    """A dataclass field that is a command-line flag; numbers below `least` or above `most` are refused, and
    the flag itself where the one that it `needs` is off or empty.

    alters: what another value would do to a run that is continued: make another "run" of it, change "bits"
    by rounding, or "nothing"; "files" are compared by their contents.
    """
    return field(default=default, metadata={"help": help, "least": least, "choices": choices,
                                            "alters": alters, "most": most, "needs": needs})


def parse_flags(presets, description, argv=None):
    """A dataclass instance from the command line. presets: {name: instance}; the first one is the default.

    Every field is a flag. Raises InputError naming an unknown flag or a value out of range.
    """
    first = next(iter(presets))
    parser = Parser(description=description, allow_abbrev=False)
    if len(presets) > 1:
        parser.add_argument("--preset", choices=presets, default=first,
                            help=f"default values (default: {first})")
    for f in fields(presets[first]):
        name = "--" + f.name.replace("_", "-")
        if f.type is bool:
            parser.add_argument(name, action=BooleanOptionalAction, default=None, help=f.metadata["help"])
        else:
            parser.add_argument(name, type=f.type, choices=f.metadata["choices"], help=f.metadata["help"],
                                metavar=None if f.metadata["choices"] else f.type.__name__.upper())
    given = {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}
    values = {**asdict(presets[given.pop("preset", first)]), **given}
    for f in fields(presets[first]):
        name, value = f"--{f.name.replace('_', '-')}", values[f.name]
        least, most, needs = (f.metadata[key] for key in ("least", "most", "needs"))
        if f.type in (int, float) and not (-most if least is None else least) <= value <= most:  # nan is not
            raise InputError(f"{name}: {value} must be a number from {least} to {most}")
        if f.type is str and f.default and not value:
            raise InputError(f"{name}: is empty")
        if needs and f.name in given and not values[needs]:
            raise InputError(f"{name}: does nothing without --{needs.replace('_', '-')}")
    return type(presets[first])(**values)


# ------------------------------------------------------------------------------------------------ processes

def processes():
    """(rank of this process, number of processes), as torchrun says; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def start(name):
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


def finish():
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
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise InputError(f"--device {name}: not one of cpu, cuda, mps, auto")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch compiled without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from None


def wait():
    """Wait for the other processes as long as it takes: their shares of the work differ."""
    if processes()[1] > 1:
        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=timedelta(days=7))
        distributed.all_reduce(torch.zeros(1))


def total(x, op=distributed.ReduceOp.SUM):
    """The sum over processes of a tensor, or of a number (-> float), in fp64."""
    tensor = torch.as_tensor(x, dtype=torch.float64).detach().clone()
    if distributed.is_initialized():
        distributed.all_reduce(tensor, op)
    return tensor if isinstance(x, torch.Tensor) else tensor.item()


def totals(sums):
    """{name: number} -> {name: its sum over processes}."""
    return dict(zip(sums, total(torch.tensor(list(sums.values()), dtype=torch.float64)).tolist()))


def largest(x):
    """The largest of the processes' numbers."""
    return total(x, distributed.ReduceOp.MAX)


def deal(sizes):
    """The places of the items that this process takes, of items with these sizes, ascending.

    The largest first, each to the process with the least so far: all processes come to the same answer.
    """
    rank, ranks = processes()
    loads, takers = [0] * ranks, {}
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        takers[i] = loads.index(min(loads))
        loads[takers[i]] += sizes[i]
    return [i for i in range(len(sizes)) if takers[i] == rank]


# ------------------------------------------------------------------------------------------------- sharding

def shard(transformer, device, dtype=None, offload=False):
    """Spread a Transformer on the meta device over all processes (FSDP2), each block on its own.

    dtype: of the computation where it differs from the parameters'; gradients are summed in fp32. offload:
    keep the shards on the CPU. Returns the function that gives the rows of a parameter that this process
    holds, and which ones they are. With one process nothing is spread.
    """
    rank, ranks = processes()
    if ranks == 1:
        return lambda parameter: (parameter.detach(), slice(None))
    from torch.distributed.device_mesh import init_device_mesh  # half a second that one process can save
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


# ------------------------------------------------------------------------------------------------- training

def learning_rate(step, steps, peak, warmup_ratio):
    """Linear warm-up to `peak`, then half a cosine to 0 after the last of `steps` steps. step: 0, 1, ..."""
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(transformer, weight_decay):
    """AdamW, betas .9 and .95; decay on matrices only, since shrinking a norm's gain is no regularisation."""
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
         {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}],
        lr=0.0, betas=(0.9, 0.95), fused=True)
    for p in parameters:  # what the first step would allocate, so that a checkpoint can be read into it
        optimizer.state[p] = {"step": torch.zeros((), device=p.device), "exp_avg": torch.zeros_like(p),
                              "exp_avg_sq": torch.zeros_like(p)}
    return optimizer


class NotFinite(ValueError):
    """A loss or gradient is infinite or no number; the optimizer did not step."""


def finite(x, what):
    """x, a number. Raises NotFinite."""
    if not math.isfinite(x):
        raise NotFinite(f"the {what} is {x}")
    return x


def update(transformer, optimizer, lr, grad_clip):
    """Clip, step, clear. Returns the gradient's norm before clipping. grad_clip 0: no clipping.

    Raises NotFinite before the step.
    """
    norm = torch.nn.utils.clip_grad_norm_(transformer.parameters(), grad_clip or math.inf)
    norm = finite(whole(norm).item(), "gradient's norm")
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return norm


# -------------------------------------------------------------------------------------------- run directory

def make_folder(path):
    """Make the folder that --out names. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out {path}: not writable")


def newest_run(script="", runs=Path("runs")):
    """The newest checkpoint under `runs` (of "sft" or "ppo" if named), or None."""
    found = [file for file in runs.glob("**/config.json") if any(file.parent.glob("model*.safetensors"))]
    if script:
        found = [file for file in found if (file.parent / "flags.json").exists()
                 and read_object(file.parent / "flags.json").get("script") == script]
    return max(found, key=lambda file: file.stat().st_mtime).parent if found else None
