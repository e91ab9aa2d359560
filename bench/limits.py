"""How far the machine's limits are: arithmetic in fine-tuning, memory traffic in decoding.

    python -m bench.limits

Fine-tuning: floating-point operations per second of whole steps (forward, backward, clipping, AdamW) on one
conversation of 2,048 tokens, 10% of them trained, over the fastest square matrix product found here. Counted
are the products that the result needs (`sides.flops`: causal attention, the head at trained positions).
Decoding: bytes per second of one prompt of 256 tokens, 64 new ones, over copying as many bytes as the weights
have; counted are the weights, read once for every token, and the keys and values of all positions so far.
A model of 24M parameters. Not measured: the embedding table's few rows, sampling. Needs no other package.
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
    """Random ids, the last tenth of which are trained, as so many calls."""
    ids, call = np.random.default_rng(0).integers(3, vocabulary, tokens), np.full(tokens, -1)
    trained = max(calls, tokens // 10)
    call[-trained:] = np.arange(trained) * calls // trained
    return Example(ids, np.roll(ids, -1), (call >= 0).astype(float), call, calls, 0)


def fastest(work, rounds):
    """The best of some runs: a limit is what the machine can do, not what it mostly does."""
    work()
    return min(sides.seconds(work) for _ in range(rounds))


def matmul(dtype, rounds, sizes=(1024, 2048, 3072)):
    """FLOP/s of the fastest square product."""
    return max(2 * n**3 / fastest(lambda: torch.mm(a, a, out=out), rounds) for n in sizes
               for a in [torch.randn(n, n).to(dtype)] for out in [torch.empty_like(a)])


def copying(size, rounds):
    """Bytes per second of copying `size` bytes, read and written ones."""
    source, target = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8)
    return 2 * size / fastest(lambda: target.copy_(source), 4 * rounds)


def fine_tuning(shape, tokens, dtype, rounds):
    """Median seconds of a training step."""
    transformer, flags = model.initialise(shape), sft.Flags(dtype=dtype, max_length=0)
    transformer.compute_dtype = model.DTYPES[dtype]
    optimizer, step = make_optimizer(transformer, 0.01), [conversation(tokens, shape.vocab_size)]
    return statistics.median(sides.alternate({"": lambda: sft.train_step(
        transformer, optimizer, step, flags, 1e-4, torch.device("cpu"))}, rounds)[""])


def decoding(shape, prompt, new, dtype, rounds):
    """Median seconds of a decoding step and its bytes; reading the prompt, timed alone, is taken off."""
    transformer = model.initialise(shape).to(model.DTYPES[dtype])
    prompts = sides.draw(1, prompt, shape.vocab_size)
    longest = len(prompts[0])
    taken = sides.alternate({new: lambda: model.generate(transformer, prompts, new, -1),
                             1: lambda: model.generate(transformer, prompts, 1, -1)}, rounds)
    seconds = statistics.median(a - b for a, b in zip(taken[new], taken[1])) / (new - 1)
    return seconds, sides.traffic(transformer, 1, longest + new / 2)


def main():
    flags = sides.parser(__doc__).parse_args()
    sides.start(flags)
    tokens, rounds, rows = (256, 1, []) if flags.quick else (2048, flags.rounds, [])
    shape = sides.config(*sides.SHAPES["2M" if flags.quick else "24M"])
    needed = sides.flops(shape, [tokens], tokens // 10)
    for dtype in ("fp32", "bf16"):
        limit = matmul(model.DTYPES[dtype], rounds, (512,) if flags.quick else (1024, 2048, 3072))
        seconds = fine_tuning(shape, tokens, dtype, rounds)
        rows.append([f"fine-tuning, {tokens:,} tokens, {dtype}", f"{tokens / seconds:,.0f} tokens/s",
                     f"{needed / seconds / 1e9:,.0f} GFLOP/s", f"{limit / 1e9:,.0f} GFLOP/s (matrix product)",
                     f"{needed / seconds / limit:.2f}"])
    for dtype in ("fp32", "bf16"):
        seconds, size = decoding(shape, 64 if flags.quick else 256, 8 if flags.quick else 64, dtype, rounds)
        limit = copying(int(size), rounds)
        rows.append([f"decoding, batch 1, {dtype}", f"{1 / seconds:,.0f} tokens/s",
                     f"{size / seconds / 1e9:.1f} GB/s", f"{limit / 1e9:.1f} GB/s "
                     f"(copying {size / 1e6:.0f} MB)", f"{size / seconds / limit:.2f}"])
    sides.table(["what", "speed", "achieved", "limit", "share"], rows)


if __name__ == "__main__":
    main()
