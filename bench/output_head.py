"""The loss of the output head at trained positions only, against full logits: time and memory.

    python -m bench.output_head

V = 32,016 and 4,096 tokens of which 10% are trained, forward and backward, from hidden states of width 1,024.
Ours takes the trained positions first (`losses.token_nll`); the other side makes all logits and masks the
loss, as a causal language model of transformers with labels of -100 does. Memory is what the process needs at
its worst moment beyond inputs and gradients that are there anyway. Checked before: loss and both gradients.
Not measured: the layers below. Needs no files and no other package.
"""

import torch
import torch.nn.functional as F

from bench import sides
from losses import token_nll

TOKENS, TRAINED, VOCABULARY = 4096, 0.1, 32016


def main():
    parser = sides.parser(__doc__)
    parser.add_argument("--width", type=int, default=1024)
    flags = parser.parse_args()
    sides.start(flags)
    tokens, width, rows = (512, 64, []) if flags.quick else (TOKENS, flags.width, [])
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        hidden = torch.randn(1, tokens, width, dtype=dtype, requires_grad=True)
        weight = (0.05 * torch.randn(VOCABULARY, width)).to(dtype).requires_grad_()
        labels = torch.randint(VOCABULARY, (1, tokens))
        trained = torch.zeros(1, tokens, dtype=torch.bool)
        trained[:, -int(TRAINED * tokens):] = True
        masked = torch.where(trained, labels, -100)

        def ours():
            loss = token_nll(hidden[trained], weight, labels[trained]).sum()
            loss.backward()
            return loss

        def full():
            logits = F.linear(hidden, weight).float()
            loss = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), reduction="sum")
            loss.backward()
            return loss

        def with_gradients(work):
            hidden.grad = weight.grad = None
            return work(), hidden.grad, weight.grad

        name = str(dtype).removeprefix("torch.")
        tolerance = 1e-5 if dtype == torch.float32 else 2e-2
        for what, a, b in zip(("loss", "gradient of hidden", "gradient of the matrix"),
                              with_gradients(ours), with_gradients(full)):
            sides.agree(f"{name}, {what}", a, b, tolerance)
        memory = [sides.peak(work) for work in (ours, full)]
        found = sides.alternate({"ours": ours, "full": full}, 1 if flags.quick else flags.rounds)
        rows.append([name, *sides.compare(*found.values()), *(f"{size / 2**20:,.0f} MiB" for size in memory),
                     f"{memory[0] / memory[1]:.2f}"])
    sides.table(["dtype", "ours", "full logits", "ratio", "range", "memory: ours", "full logits", "share"],
                rows)


if __name__ == "__main__":
    main()
