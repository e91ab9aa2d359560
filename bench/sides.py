"""What the bench scripts share: two sides of a comparison, run in turn (A B A B) on one machine.

A ratio is taken pair by pair, of runs one after the other, so that other work on the machine slows
both; a ratio above 1 means that ours is ahead. A script reports nothing before it has checked that
both sides compute the same.
"""

import argparse
import ctypes
import gc
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

import model
from plumbing import parallel

SHAPES = {"2M": (192, 4, 1536), "24M": (512, 6, 4096)}  # width, layers, vocabulary


# ------------------------------------------------------------------------------------------- set-up

def parser(doc, rounds=5, conversations=0):
    """The flags that all scripts have, and with `conversations` those of real ones.

    doc: the help text. rounds, conversations: defaults.
    """
    flags = argparse.ArgumentParser(description=doc,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--rounds", type=int, default=rounds, help="runs of every side")
    flags.add_argument("--quick", action="store_true",
                       help="small sizes: does it run, do the sides agree?")
    if conversations:
        flags.add_argument("--trajectories", required=True)
        flags.add_argument("--tokenizer", required=True)
        flags.add_argument("--conversations", type=int, default=conversations)
    return flags


def start(flags):
    """Set the threads, and print what the machine is."""
    torch.set_num_threads(flags.threads)
    versions = [f"torch {torch.__version__}"]
    for name in ("transformers", "trl"):
        if name in sys.modules:
            versions.append(f"{name} {sys.modules[name].__version__}")
    script = Path(sys.argv[0]).name + " --quick" * flags.quick
    print(f"{script}:", ", ".join([_device(), f"{flags.threads} threads", *versions]), flush=True)


def _device():
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return "unknown CPU"


def config(width, layers, vocabulary):
    """The model.Config of a LLaMA with heads of 64 dimensions and the usual ratio of the MLP."""
    heads = max(1, width // 64)
    return model.Config(vocabulary, width, 8 * -(-width // 3), layers, heads, heads, width // heads,
                        max_position_embeddings=1 << 15)


def draw(count, longest, vocabulary):
    """`count` prompts of random ids; their lengths go evenly from `longest` to an eighth of it."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(longest, longest // 8, count).int().tolist()
    return [torch.randint(3, vocabulary, (length,), generator=generator).tolist()
            for length in lengths]


def both(shape, std=0.02):
    """The same random fp32 weights as a Transformer and as LlamaForCausalLM.

    std: standard deviation of the matrices. With a wide one the most likely token is far ahead of
    the next, so that rounding changes no greedy answer.
    """
    from transformers import LlamaForCausalLM  # an optional package, for the scripts that compare
    ours = model.initialise(shape)
    with torch.no_grad():
        for parameter in ours.parameters():
            if parameter.ndim == 2:
                parameter *= std / shape.initializer_range
    with tempfile.TemporaryDirectory() as folder:
        model.save(ours, folder)
        theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                  local_files_only=True)
    return ours, theirs.eval()


def run_processes(count, work, folder):
    """work() in `count` forked processes, joined by gloo -> what each returned, by rank.

    With one process, work() runs in this one. folder: for the files in which the processes leave
    what they return.
    """
    if count == 1:
        return [work()]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.pt"):  # must not pass for the results of these processes
        old.unlink()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def child(rank):
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="localhost",
                          MASTER_PORT=str(port))
        parallel.join("cpu")
        torch.save(work(), folder / f"{rank}.pt")
        parallel.barrier()
        os._exit(0)  # gloo's teardown sometimes aborts

    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=child, args=(rank,)) for rank in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    return [torch.load(folder / f"{rank}.pt") for rank in range(count)]


# ---------------------------------------------------------------------------- what a result needs

def flops(shape, lengths, through_head):
    """Floating-point operations of forward and backward of rows of these lengths.

    Attention counts as causal, and `through_head` positions go through the output head. What is
    computed twice to save memory counts once.
    """
    D = shape.hidden_size
    L = shape.num_hidden_layers
    kv = shape.num_key_value_heads * shape.head_dim
    per_token = 2 * L * (2 * D * D + 2 * D * kv + 3 * D * shape.intermediate_size)
    forward = sum(per_token * length + 2 * L * D * length**2 for length in lengths)
    return 3 * (forward + 2 * through_head * D * shape.vocab_size)


def traffic(transformer, batch, positions):
    """Bytes that a decoding step must read.

    These are all weights once, without the embedding table, of which the step needs a few rows, and
    the keys and values of `positions` positions of each row of the batch.
    """
    shape = transformer.config
    size = transformer.model.embed_tokens.weight.itemsize
    weights = sum(p.numel() for p in transformer.parameters())
    weights -= shape.vocab_size * shape.hidden_size
    slot = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim
    return size * (weights + batch * slot * positions)


# ---------------------------------------------------------------------------------------- measuring

def seconds(work, *arguments):
    """Wall-clock seconds of work(*arguments)."""
    gc.collect()
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def alternate(sides, rounds):
    """{name: function} -> {name: seconds of each round}; each runs once before, uncounted."""
    for work in sides.values():
        work()
    return _in_turn(sides, [()] * rounds)


def alternate_on(sides, parts, warm_up):
    """As `alternate`, with a round per part, which the functions get; `warm_up`: before that."""
    for work in sides.values():
        work(warm_up)
    return _in_turn(sides, [(part,) for part in parts])


def _in_turn(sides, rounds):
    found = {name: [] for name in sides}
    for arguments in rounds:
        for name, work in sides.items():
            found[name].append(seconds(work, *arguments))
    return found


def peak(work):
    """Bytes of resident memory that work() adds at its worst moment (Linux)."""
    work()  # what it allocates only once is held already
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size so far becomes the present one
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(key):
    """Bytes of this process's resident memory: VmRSS, now; VmHWM, the largest so far (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {key}")


# ---------------------------------------------------------------------------------------- comparing

def same(what, ours, theirs):
    """End unless both are equal."""
    if not torch.equal(torch.as_tensor(ours), torch.as_tensor(theirs)):
        sys.exit(f"{what}: the two sides differ")


def agree(what, ours, theirs, tolerance):
    """Print the largest difference, as a share of their largest number; end if above tolerance."""
    ours = torch.as_tensor(ours, dtype=torch.float64).detach()
    theirs = torch.as_tensor(theirs, dtype=torch.float64).detach()
    largest = theirs.abs().max().item()
    error = (ours - theirs).abs().max().item() / max(largest, 1e-12)
    print(f"  {what}: up to {largest:.3g}, differs by {error:.1e} of it", flush=True)
    if not error <= tolerance:  # NaN as well
        sys.exit(f"{what}: the two sides do not compute the same "
                 f"(at most {tolerance:.0e} is allowed)")


def agree_gradients(what, ours, theirs, tolerance):
    """As `agree`, for the gradients of two models with equal names.

    The error of a gradient is the distance over the length of theirs.
    """
    their_parameters = dict(theirs.named_parameters())
    errors = {}
    for name, parameter in ours.named_parameters():
        if name in their_parameters:
            gradient = their_parameters[name].grad
            distance = (parameter.grad - gradient).norm()
            errors[name] = (distance / gradient.norm().clamp(min=1e-12)).item()
    worst = max(errors, key=errors.get)
    print(f"  {what}: gradients differ by {errors[worst]:.1e} of their length, {worst}'s most",
          flush=True)
    if not errors[worst] <= tolerance:
        sys.exit(f"{what}: the two sides have different gradients "
                 f"(at most {tolerance:.0e} is allowed)")


def table(columns, rows):
    """Print a markdown table. rows: lists of cells."""
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def compare(ours, theirs, combine=statistics.median):
    """Cells: seconds of ours and of theirs (medians, or sums of parts), their ratio, its range."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    a = combine(ours)
    b = combine(theirs)
    return [f"{a:.3g} s", f"{b:.3g} s", f"{b / a:.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
