"""What the scripts that measure speed share: two sides of a comparison run in turn, A B A B, on one machine.

A ratio is taken pair by pair, of runs that stood side by side, so that what else the machine does falls on
both; above 1 means that ours is ahead. Nothing is reported before both sides have been seen to agree.
"""

import argparse
import ctypes
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

import model

SHAPES = {"2M": (192, 4, 1536), "24M": (512, 6, 4096)}  # width, layers, vocabulary


def parser(doc, rounds=5, conversations=0):
    """The flags that all scripts have, and those of real conversations; `doc` is the help."""
    flags = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--rounds", type=int, default=rounds, help="runs of every side")
    flags.add_argument("--quick", action="store_true", help="small sizes: does it run, do the sides agree?")
    if conversations:
        flags.add_argument("--trajectories", required=True)
        flags.add_argument("--tokenizer", required=True)
        flags.add_argument("--conversations", type=int, default=conversations)
    return flags


def start(flags):
    """Set the threads, and print what the machine is."""
    torch.set_num_threads(flags.threads)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    device = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    others = [f"{name} {sys.modules[name].__version__}" for name in ("transformers", "trl")
              if name in sys.modules]
    print(f"{Path(sys.argv[0]).name}{' --quick' * flags.quick}:",
          ", ".join([device, f"{flags.threads} threads", f"torch {torch.__version__}", *others]), flush=True)


def config(width, layers, vocabulary):
    """A LLaMA of heads of 64 dimensions and the usual ratio of the MLP -> model.Config."""
    heads = max(1, width // 64)
    return model.Config(vocabulary, width, 8 * -(-width // 3), layers, heads, heads, width // heads,
                        max_position_embeddings=1 << 15)


def draw(count, longest, vocabulary):
    """`count` prompts of random ids, their lengths spread evenly from `longest` to an eighth of it."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(longest, longest // 8, count).int().tolist()
    return [torch.randint(3, vocabulary, (length,), generator=generator).tolist() for length in lengths]


def flops(shape, lengths, through_head):
    """Arithmetic of forward and backward of rows of these lengths, with attention counted as causal and
    `through_head` positions through the output head. What is computed twice to save memory counts once.
    """
    D, L, kv = shape.hidden_size, shape.num_hidden_layers, shape.num_key_value_heads * shape.head_dim
    per_token = 2 * L * (2 * D * D + 2 * D * kv + 3 * D * shape.intermediate_size)
    forward = sum(per_token * length + 2 * L * D * length**2 for length in lengths)
    return 3 * (forward + 2 * through_head * D * shape.vocab_size)


def traffic(transformer, batch, positions):
    """Bytes that a decoding step must read: all weights once but the embedding table's, of which it needs a
    few rows, and the keys and values of so many positions of each row of the batch.
    """
    shape, size = transformer.config, transformer.model.embed_tokens.weight.itemsize
    weights = sum(p.numel() for p in transformer.parameters()) - shape.vocab_size * shape.hidden_size
    slot = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim
    return size * (weights + batch * slot * positions)


def both(shape, std=0.02):
    """The same random fp32 weights as a Transformer and as LlamaForCausalLM. std: of the matrices.

    Drawn wide, the most likely token is far ahead of the next one, and rounding changes no greedy answer.
    """
    from transformers import LlamaForCausalLM
    ours = model.initialise(shape)
    with torch.no_grad():
        for parameter in ours.parameters():
            if parameter.ndim == 2:
                parameter *= std / shape.initializer_range
    with tempfile.TemporaryDirectory() as folder:
        model.save(ours, folder)
        theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return ours, theirs.eval()


def seconds(work, *arguments):
    """Wall-clock seconds of work(*arguments)."""
    gc.collect()
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def alternate(sides, rounds, warm_up=None):
    """{name: function} -> {name: seconds of each round}; every side runs once before, uncounted.

    rounds: how many, or a list of what the functions get in each; then warm_up is what they get before.
    """
    rounds = [()] * rounds if isinstance(rounds, int) else [(part,) for part in rounds]
    for work in sides.values():
        work(*(() if warm_up is None else (warm_up,)))
    found = {name: [] for name in sides}
    for arguments in rounds:
        for name, work in sides.items():
            found[name].append(seconds(work, *arguments))
    return found


def same(what, ours, theirs):
    """End unless both are equal."""
    if not torch.equal(torch.as_tensor(ours), torch.as_tensor(theirs)):
        sys.exit(f"{what}: the two sides differ")


def agree(what, ours, theirs, tolerance):
    """Print the largest difference, as a share of their largest number; end if it is above tolerance."""
    ours, theirs = (torch.as_tensor(x, dtype=torch.float64).detach() for x in (ours, theirs))
    largest = theirs.abs().max().item()
    error = (ours - theirs).abs().max().item() / max(largest, 1e-12)
    print(f"  {what}: up to {largest:.3g}, differs by {error:.1e} of it", flush=True)
    if not error <= tolerance:  # NaN as well
        sys.exit(f"{what}: the two sides do not compute the same (at most {tolerance:.0e} is allowed)")


def agree_gradients(what, ours, theirs, tolerance):
    """As `agree`, for the gradients of two models with equal names: the distance over the length of each."""
    theirs = dict(theirs.named_parameters())
    for_each = {name: ((p.grad - theirs[name].grad).norm() / theirs[name].grad.norm().clamp(min=1e-12)).item()
                for name, p in ours.named_parameters() if name in theirs}
    worst = max(for_each, key=for_each.get)
    print(f"  {what}: gradients differ by {for_each[worst]:.1e} of their length, {worst}'s most", flush=True)
    if not for_each[worst] <= tolerance:
        sys.exit(f"{what}: the two sides have different gradients (at most {tolerance:.0e} is allowed)")


def peak(work):
    """Bytes of resident memory that work() needs at its worst moment, beyond what was held before (Linux)."""
    work()  # what it allocates only once is held already
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size so far becomes the present one
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))


def table(columns, rows):
    """Print a markdown table. rows: lists of cells."""
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def compare(ours, theirs, combine=statistics.median):
    """Cells: seconds of ours and of theirs (medians, or sums of parts), their ratio, and its range."""
    pairs = [b / a for a, b in zip(ours, theirs, strict=True)]
    a, b = combine(ours), combine(theirs)
    return [f"{a:.3g} s", f"{b:.3g} s", f"{b / a:.2f}", f"{min(pairs):.2f} to {max(pairs):.2f}"]
