"""How near the machine's limits are: arithmetic in fine-tuning, memory traffic in decoding.

    python -m bench.limits

Fine-tuning: floating-point operations per second of whole steps (forward, backward, clipping,
AdamW) on one conversation of 2,048 tokens, 10% of them trained, over those of the fastest square
matrix product found here. The operations are those that the result needs (`sides.flops`: causal
attention, the head at trained positions).
Decoding: bytes per second for one prompt of 256 tokens and 64 new ones, over the bytes per second
of copying as many bytes as the weights have. The bytes are the weights, read once for every
token, and the keys and values of all positions so far. A model of 24M parameters. Not measured:
the embedding table's few rows, sampling. Needs no other package.
"""

import statistics

import numpy as np
import torch

import model
import sft
from bench import sides
from examples import Example
from plumbing.optimizer import make_optimizer


def conversation(tokens, vocabulary, calls=1):
    """An Example of random ids; the last tenth of them is trained, as so many calls."""
    ids = np.random.default_rng(0).integers(3, vocabulary, tokens)
    call = np.full(tokens, -1)
    trained = max(calls, tokens // 10)
    call[-trained:] = np.arange(trained) * calls // trained
    return Example(ids, np.roll(ids, -1), (call >= 0).astype(float), call, calls, 0)


def fastest(work, rounds):
    """Seconds of the best of some runs: a limit is what the machine can do at its best."""
    work()
    return min(sides.seconds(work) for _ in range(rounds))


def matmul(dtype, rounds, sizes):
    """FLOP/s of the fastest square product of these sizes."""
    return max(product(n, dtype, rounds) for n in sizes)


def product(n, dtype, rounds):
    """FLOP/s of a product of two n x n matrices."""
    a = torch.randn(n, n).to(dtype)
    out = torch.empty_like(a)
    return 2 * n**3 / fastest(lambda: torch.mm(a, a, out=out), rounds)


def copying(size, rounds):
    """Bytes per second of copying `size` bytes, read and written ones."""
    source = torch.ones(size, dtype=torch.uint8)
    target = torch.ones(size, dtype=torch.uint8)
    return 2 * size / fastest(lambda: target.copy_(source), 4 * rounds)


def fine_tuning(shape, tokens, dtype, rounds):
    """Median seconds of a training step."""
    transformer = model.initialise(shape)
    transformer.compute_dtype = model.DTYPES[dtype]
    flags = sft.Flags(dtype=dtype, max_length=0)
    optimizer = make_optimizer(transformer, 0.01)
    step = [conversation(tokens, shape.vocab_size)]
    device = torch.device("cpu")

    def work():
        sft.train_step(transformer, optimizer, step, flags, 1e-4, device)

    return statistics.median(sides.alternate({"": work}, rounds)[""])


def decoding(shape, prompt, new, dtype, rounds):
    """(median seconds of a decoding step, its bytes); the time to read the prompt is taken off."""
    transformer = model.initialise(shape).to(model.DTYPES[dtype])
    prompts = sides.draw(1, prompt, shape.vocab_size)
    taken = sides.alternate({"all": lambda: model.generate(transformer, prompts, new, -1),
                             "first": lambda: model.generate(transformer, prompts, 1, -1)}, rounds)
    differences = [a - b for a, b in zip(taken["all"], taken["first"], strict=True)]
    seconds = statistics.median(differences) / (new - 1)
    return seconds, sides.traffic(transformer, 1, len(prompts[0]) + new / 2)


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__).parse_args()
    sides.start(flags)
    if flags.quick:
        rounds = 1
        tokens = 256
        prompt = 64
        new = 8
        sizes = (512,)
        shape = sides.config(*sides.SHAPES["2M"])
    else:
        rounds = flags.rounds
        tokens = 2048
        prompt = 256
        new = 64
        sizes = (1024, 2048, 3072)
        shape = sides.config(*sides.SHAPES["24M"])
    needed = sides.flops(shape, [tokens], tokens // 10)
    rows = []
    for dtype in ("fp32", "bf16"):
        limit = matmul(model.DTYPES[dtype], rounds, sizes)
        seconds = fine_tuning(shape, tokens, dtype, rounds)
        rows.append([f"fine-tuning, {tokens:,} tokens, {dtype}",
                     f"{tokens / seconds:,.0f} tokens/s",
                     f"{needed / seconds / 1e9:,.0f} GFLOP/s",
                     f"{limit / 1e9:,.0f} GFLOP/s (matrix product)",
                     f"{needed / seconds / limit:.2f}"])
    for dtype in ("fp32", "bf16"):
        seconds, size = decoding(shape, prompt, new, dtype, rounds)
        limit = copying(int(size), rounds)
        rows.append([f"decoding, batch 1, {dtype}", f"{1 / seconds:,.0f} tokens/s",
                     f"{size / seconds / 1e9:.1f} GB/s",
                     f"{limit / 1e9:.1f} GB/s (copying {size / 1e6:.0f} MB)",
                     f"{size / seconds / limit:.2f}"])
    sides.table(["what", "speed", "achieved", "limit", "share"], rows)


if __name__ == "__main__":
    main()
