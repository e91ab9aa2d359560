"""How time and memory grow with the length of a conversation, its calls, the batch, and the number of tools.

    python -m bench.growth

One table: seconds of a training step (forward, backward, AdamW; 2M parameters, fp32, 10% of the tokens
trained) and the memory it needs beyond weights, gradients and optimizer, for each size; then the exponents,
slopes of straight lines through the logarithms, beside that of the arithmetic which the step needs. The last
rows are rendering and weighting a conversation with many tools offered, which is text and no arithmetic.
Not measured: other widths; what padding adds in uneven batches. Needs no files and no other package.
"""

import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch

import model
import sft
import tokenizer
from bench import sides
from bench.limits import conversation
from data import trajectories
from examples import build
from plumbing.optimizer import make_optimizer

TOKENS, BATCH, CALLS, TOOLS = ((512, 1024, 2048, 4096, 8192, 16384), (1, 2, 4, 8, 16), (1, 4, 16, 64),
                               (5, 10, 25, 50, 100, 200))


def cases(quick):
    """(what grows, size, examples of a step); the exponent of time is that of the arithmetic."""
    vocabulary, cut = sides.SHAPES["2M"][2], 3 if quick else None
    for tokens in TOKENS[:cut]:
        yield "tokens of a conversation", tokens, [conversation(tokens, vocabulary)]
    for rows in BATCH[:cut]:
        yield "conversations of 512 tokens", rows, [conversation(512, vocabulary)] * rows
    for calls in CALLS[:cut]:
        length = 512 if quick else 4096
        yield f"calls in {length:,} tokens", calls, [conversation(length, vocabulary, calls)]


def offered(tools, number):
    """A conversation with so many tools offered, of which two are called; the texts differ with `number`."""
    properties = {key: {"type": "string", "description": f"The {key} to look for."}
                  for key in ("query", "place")}
    schemas = [{"name": f"get_item_{i}", "description": f"Item {i} of catalogue {number}, with all details.",
                "parameters": {"properties": properties, "required": ["query"]}} for i in range(tools)]
    turns = [("system", json.dumps(schemas)), ("user", "What is new?"),
             ("assistant", 'get_item_1\n{"query": "new"}'), ("function", '{"found": 3}'),
             ("assistant", 'get_item_2\n{"query": "more"}'), ("function", '{"found": 1}')]
    return trajectories.read_item({"conversations": [{"role": r, "content": text} for r, text in turns]})


def preparing(tools, rounds):
    """Median seconds of rendering, tokenising and weighting a conversation; every one is new."""
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(turn.content for turn in offered(20, 0).turns) + "Function: def Args: System Output"
        tokenizer.train([text] * 3, Path(folder, "tokenizer.model"), vocab_size=340)
        reader = tokenizer.Tokenizer(folder)
    build([offered(tools, -1)], reader)
    taken = [sides.seconds(build, [offered(tools, 5 * i + j) for j in range(5)], reader)
             for i in range(rounds)]
    return statistics.median(taken) / 5


def step_of(transformer, optimizer, examples):
    """The function that makes one training step on these examples, all in one forward pass."""
    flags = sft.Flags(dtype="fp32", max_length=0, micro_tokens=1 << 20)
    return lambda: sft.train_step(transformer, optimizer, examples, flags, 1e-4, torch.device("cpu"))


def exponent(points, column):
    """Slope of a straight line through log(column) over log(size)."""
    return np.polyfit(*np.log([(point[0], point[column]) for point in points]).T, 1)[0]


def main():
    flags = sides.parser(__doc__, rounds=3).parse_args()
    sides.start(flags)
    rounds, shape = 1 if flags.quick else flags.rounds, sides.config(*sides.SHAPES["2M"])
    transformer, found = model.initialise(shape), {}
    optimizer = make_optimizer(transformer, 0.01)
    for what, size, examples in cases(flags.quick):
        step = step_of(transformer, optimizer, examples)
        memory = sides.peak(step)
        trained = sum(int(example.weights.sum()) for example in examples)
        needed = sides.flops(shape, [len(example.ids) for example in examples], trained)
        seconds = statistics.median(sides.seconds(step) for _ in range(rounds))
        found.setdefault(what, []).append((size, seconds, memory, needed))
    rows = []
    for what, points in found.items():
        rows += [[what, f"{size:,}", f"{seconds:.3g} s", f"{memory / 2**20:,.0f} MiB", f"{needed / 1e9:,.1f}"]
                 for size, seconds, memory, needed in points]
        rows.append([f"**{what}**", "exponent", *(f"**{exponent(points, i):.2f}**" for i in (1, 2, 3))])
    prepared = [(tools, preparing(tools, 5 * rounds)) for tools in TOOLS]
    what = "tools offered (preparation)"
    rows += [[what, tools, f"{1000 * seconds:.2f} ms", "", ""] for tools, seconds in prepared]
    rows.append([f"**{what}**", "exponent", f"**{exponent(prepared, 1):.2f}**", "", ""])
    sides.table(["what grows", "size", "time", "memory", "GFLOP"], rows)


if __name__ == "__main__":
    main()
