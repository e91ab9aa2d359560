"""The output head's loss at trained positions only, against full logits: time and memory.

    python -m bench.output_head

V = 32,016 and 4,096 tokens, 10% of them trained; forward and backward, from hidden states of width
1,024. Ours takes the trained positions first (`losses.token_nll`). The other side makes all logits
and masks the loss, as a causal language model of transformers with labels of -100 does. Memory is
what the process needs at its worst moment beyond inputs and gradients that are there anyway.
Checked before: loss and both gradients. Not measured: the layers below. Needs no files and no other
package.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from bench import sides
from losses import token_nll

TOKENS = 4096
TRAINED = 0.1
VOCABULARY = 32016


class Inputs(NamedTuple):
    """What both sides compute a loss from: B = 1, T tokens, D width, V vocabulary."""
    hidden: torch.Tensor   # (B, T, D)
    weight: torch.Tensor   # (V, D)
    labels: torch.Tensor   # (B, T)
    trained: torch.Tensor  # (B, T) bool


def draw(tokens, width, dtype):
    """Random Inputs; the last tenth of the tokens is trained."""
    torch.manual_seed(0)
    hidden = torch.randn(1, tokens, width, dtype=dtype, requires_grad=True)
    weight = (0.05 * torch.randn(VOCABULARY, width)).to(dtype).requires_grad_()
    labels = torch.randint(VOCABULARY, (1, tokens))
    trained = torch.zeros(1, tokens, dtype=torch.bool)
    trained[:, -int(TRAINED * tokens):] = True
    return Inputs(hidden, weight, labels, trained)


def ours(inputs):
    """Loss and backward of trained positions only."""
    hidden, weight, labels, trained = inputs
    loss = token_nll(hidden[trained], weight, labels[trained]).sum()
    loss.backward()
    return loss


def full(inputs):
    """Loss and backward of all logits, with a masked loss."""
    hidden, weight, labels, trained = inputs
    masked = torch.where(trained, labels, -100)
    logits = F.linear(hidden, weight).float()  # (B, T, V)
    loss = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), reduction="sum")
    loss.backward()
    return loss


def with_gradients(work, inputs):
    """{name: tensor} of the loss and both gradients of work(inputs)."""
    inputs.hidden.grad = None
    inputs.weight.grad = None
    loss = work(inputs)
    return {"loss": loss, "gradient of hidden": inputs.hidden.grad,
            "gradient of the matrix": inputs.weight.grad}


def measure(inputs, name, tolerance, rounds):
    """A row of the table, after the check that both sides agree."""
    expected = with_gradients(full, inputs)
    for what, value in with_gradients(ours, inputs).items():
        sides.agree(f"{name}, {what}", value, expected[what], tolerance)
    our_memory = sides.peak(lambda: ours(inputs))
    full_memory = sides.peak(lambda: full(inputs))
    found = sides.alternate({"ours": lambda: ours(inputs), "full": lambda: full(inputs)}, rounds)
    return [name, *sides.compare(found["ours"], found["full"]), f"{our_memory / 2**20:,.0f} MiB",
            f"{full_memory / 2**20:,.0f} MiB", f"{our_memory / full_memory:.2f}"]


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__)
    parser.add_argument("--width", type=int, default=1024)
    flags = parser.parse_args()
    sides.start(flags)
    tokens = 512 if flags.quick else TOKENS
    width = 64 if flags.quick else flags.width
    rounds = 1 if flags.quick else flags.rounds
    rows = [measure(draw(tokens, width, torch.float32), "float32", 1e-5, rounds),
            measure(draw(tokens, width, torch.bfloat16), "bfloat16", 2e-2, rounds)]
    sides.table(["dtype", "ours", "full logits", "ratio", "range", "memory: ours", "full logits",
                 "share"], rows)


if __name__ == "__main__":
    main()
