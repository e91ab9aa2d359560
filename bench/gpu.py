"""A model of CodeLLaMA-7B's shape on one GPU: how near fine-tuning and decoding are to its limits.

    python -m bench.gpu [--compile] [--layers 32]

Fine-tuning: steps of sft.py on one conversation of 4,096 random tokens, 10% of them trained: bf16
over fp32 weights, activation checkpointing, AdamW. MFU is the arithmetic that the result needs
(`sides.flops`; what is recomputed does not count) over the arithmetic of a bf16 product of two
matrices of 8,192 x 8,192, measured here.
Decoding: 128 tokens after prompts of 512, bf16, batches of 1 and 32. The limit is the time for
the bytes that each token needs (weights once, and keys and values of all positions so far) at the
bandwidth of copying 4 GiB, measured here. --compile compiles each block, for both. Fine-tuning
needs 16 bytes a parameter and a few GB: 112 GB with all 32 layers; with fewer layers the shares
hardly change. Not measured: several GPUs, real text, long prompts. Without CUDA it says so and
ends. Needs no other package.
"""

import gc
import statistics
import time

import torch

import model
import sft
from bench import sides
from bench.limits import conversation
from plumbing.optimizer import make_optimizer

TOKENS = 4096
PROMPT = 512
NEW = 128


def shape(layers):
    """CodeLLaMA-7B's Config with so many layers."""
    return model.Config(32016, 4096, 11008, layers, 32, 32, 128, rope_theta=1e6, rms_norm_eps=1e-5,
                        max_position_embeddings=16384)


def initialise(layers, dtype, compiled):
    """A Transformer with random weights, made on the GPU."""
    with torch.device("meta"):
        transformer = model.Transformer(shape(layers)).to(dtype)
    transformer.to_empty(device="cuda")
    with torch.no_grad():
        for parameter in transformer.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.02)
            else:
                parameter.fill_(1.0)
    if compiled:
        for block in transformer.model.layers:
            block.compile()
    return transformer


def timed(work, rounds):
    """Median seconds of work(), until the GPU is idle again; two runs before are not counted."""
    taken = []
    for _ in range(rounds + 2):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:])


def product(rounds, n=8192):
    """FLOP/s of a bf16 product of two n x n matrices.

    A run is twenty products, so that the start of a run costs nothing.
    """
    a, b = torch.randn(2, n, n, device="cuda", dtype=torch.bfloat16)
    return 20 * 2 * n**3 / timed(lambda: [torch.mm(a, b) for _ in range(20)], rounds)


def copying(rounds, size=4 << 30):
    """Bytes per second of a copy, read and written ones."""
    source = torch.ones(size, dtype=torch.uint8, device="cuda")
    target = torch.ones(size, dtype=torch.uint8, device="cuda")
    return 2 * size / timed(lambda: target.copy_(source), rounds)


def fine_tuning(flags, rounds):
    """(seconds of a training step, its FLOPs, GiB at the worst moment)."""
    device = torch.device("cuda")
    transformer = initialise(flags.layers, torch.float32, flags.compile)
    transformer.compute_dtype = torch.bfloat16
    transformer.checkpoint_activations = True
    settings = sft.Flags(dtype="bf16", max_length=0, checkpoint_activations=True)
    optimizer = make_optimizer(transformer, 0.01)
    step = [conversation(flags.tokens, 32000)]
    torch.cuda.reset_peak_memory_stats()
    seconds = timed(
        lambda: sft.train_step(transformer, optimizer, step, settings, 1e-6, device), rounds)
    needed = sides.flops(transformer.config, [flags.tokens], flags.tokens // 10)
    return seconds, needed, torch.cuda.max_memory_allocated() / 2**30


def decoding(transformer, batch, rounds):
    """(seconds of a decoding step, its bytes); the time to read the prompts is taken off."""
    prompts = torch.randint(3, 32000, (batch, PROMPT)).tolist()
    long = timed(lambda: model.generate(transformer, prompts, NEW, eos_id=-1), rounds)
    short = timed(lambda: model.generate(transformer, prompts, 1, eos_id=-1), rounds)
    return (long - short) / (NEW - 1), sides.traffic(transformer, batch, PROMPT + NEW / 2)


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__)
    parser.add_argument("--compile", action="store_true", help="torch.compile each block")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    flags = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu.py: no CUDA here, nothing measured")
        return
    sides.start(flags)
    rounds = 1 if flags.quick else flags.rounds
    compiled = ", compiled" * flags.compile
    limit = product(rounds)
    bandwidth = copying(rounds)
    seconds, needed, memory = fine_tuning(flags, rounds)
    rows = [[f"fine-tuning, {flags.tokens:,} tokens, {flags.layers} layers{compiled}",
             f"{flags.tokens / seconds:,.0f} tokens/s", f"{needed / seconds / 1e12:,.0f} TFLOP/s",
             f"{limit / 1e12:,.0f} TFLOP/s", f"{needed / seconds / limit:.2f}"]]
    gc.collect()
    torch.cuda.empty_cache()
    transformer = initialise(flags.layers, torch.bfloat16, flags.compile)
    for batch in (1, 32):
        seconds, size = decoding(transformer, batch, rounds)
        rows.append([f"decoding, batch {batch}{compiled}", f"{batch / seconds:,.0f} tokens/s",
                     f"{size / seconds / 1e9:,.0f} GB/s", f"{bandwidth / 1e9:,.0f} GB/s",
                     f"{size / seconds / bandwidth:.2f}"])
    sides.table(["what", "speed", "achieved", "limit", "share"], rows)
    print(f"fine-tuning needed {memory:.1f} GiB at the worst moment")


if __name__ == "__main__":
    main()
