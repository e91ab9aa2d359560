"""How time and memory grow with a conversation's length, its calls, the batch, the tools offered.

    python -m bench.growth

One table: for each size the seconds of a training step (forward, backward, AdamW; 2M parameters,
fp32, 10% of the tokens trained) and the memory that it needs beyond weights, gradients and
optimizer. Then the exponents, which are slopes of straight lines through the logarithms, beside
the exponent of the arithmetic that the step needs. The last rows are the rendering and weighting
of a conversation with many tools offered, which is text and no arithmetic. Not measured: other
widths; what padding adds in uneven batches. Needs no files and no other package.
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

TOKENS = (512, 1024, 2048, 4096, 8192, 16384)
BATCH = (1, 2, 4, 8, 16)
CALLS = (1, 4, 16, 64)
TOOLS = (5, 10, 25, 50, 100, 200)


def cases(quick):
    """(what grows, size, Examples of a step); the exponent of time is that of the arithmetic."""
    _, _, vocabulary = sides.SHAPES["2M"]
    cut = 3 if quick else None
    for tokens in TOKENS[:cut]:
        yield "tokens of a conversation", tokens, [conversation(tokens, vocabulary)]
    for rows in BATCH[:cut]:
        yield "conversations of 512 tokens", rows, [conversation(512, vocabulary)] * rows
    for calls in CALLS[:cut]:
        length = 512 if quick else 4096
        step = [conversation(length, vocabulary, calls)]
        yield f"calls in {length:,} tokens", calls, step


def offered(tools, number):
    """A Conversation with `tools` tools offered, two of them called; texts differ with `number`."""
    properties = {key: {"type": "string", "description": f"The {key} to look for."}
                  for key in ("query", "place")}
    parameters = {"properties": properties, "required": ["query"]}
    schemas = [{"name": f"get_item_{i}",
                "description": f"Item {i} of catalogue {number}, with all details.",
                "parameters": parameters} for i in range(tools)]
    turns = [("system", json.dumps(schemas)), ("user", "What is new?"),
             ("assistant", 'get_item_1\n{"query": "new"}'), ("function", '{"found": 3}'),
             ("assistant", 'get_item_2\n{"query": "more"}'), ("function", '{"found": 1}')]
    messages = [{"role": role, "content": text} for role, text in turns]
    return trajectories.read_item({"conversations": messages})


def preparing(tools, rounds):
    """Median seconds of rendering, tokenising and weighting a Conversation; every one is new."""
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(turn.content for turn in offered(20, 0).turns)
        text += "Function: def Args: System Output"
        tokenizer.train([text] * 3, Path(folder, "tokenizer.model"), vocab_size=340)
        reader = tokenizer.Tokenizer(folder)
    build([offered(tools, -1)], reader)
    taken = []
    for i in range(rounds):
        five = [offered(tools, 5 * i + j) for j in range(5)]
        taken.append(sides.seconds(build, five, reader) / 5)
    return statistics.median(taken)


def step_of(transformer, optimizer, examples):
    """The function that makes one training step on these Examples, in one forward pass."""
    flags = sft.Flags(dtype="fp32", max_length=0, micro_tokens=1 << 20)
    device = torch.device("cpu")

    def step():
        sft.train_step(transformer, optimizer, examples, flags, 1e-4, device)

    return step


def exponent(points, column):
    """Slope of a straight line through log(column) over log(size); points: rows of numbers."""
    sizes = [point[0] for point in points]
    values = [point[column] for point in points]
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return slope


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__, rounds=3).parse_args()
    sides.start(flags)
    rounds = 1 if flags.quick else flags.rounds
    shape = sides.config(*sides.SHAPES["2M"])
    transformer = model.initialise(shape)
    optimizer = make_optimizer(transformer, 0.01)
    found = {}  # what grows -> [(size, seconds, memory, arithmetic)]
    for what, size, examples in cases(flags.quick):
        step = step_of(transformer, optimizer, examples)
        memory = sides.peak(step)
        trained = sum(int(example.weights.sum()) for example in examples)
        needed = sides.flops(shape, [len(example.ids) for example in examples], trained)
        seconds = statistics.median(sides.seconds(step) for _ in range(rounds))
        found.setdefault(what, []).append((size, seconds, memory, needed))
    rows = []
    for what, points in found.items():
        rows += [[what, f"{size:,}", f"{seconds:.3g} s", f"{memory / 2**20:,.0f} MiB",
                  f"{needed / 1e9:,.1f}"] for size, seconds, memory, needed in points]
        exponents = [f"**{exponent(points, i):.2f}**" for i in (1, 2, 3)]
        rows.append([f"**{what}**", "exponent", *exponents])
    prepared = [(tools, preparing(tools, 5 * rounds)) for tools in TOOLS]
    what = "tools offered (preparation)"
    rows += [[what, tools, f"{1000 * seconds:.2f} ms", "", ""] for tools, seconds in prepared]
    rows.append([f"**{what}**", "exponent", f"**{exponent(prepared, 1):.2f}**", "", ""])
    sides.table(["what grows", "size", "time", "memory", "GFLOP"], rows)


if __name__ == "__main__":
    main()
