"""Answers as tensors: micro-batches of prompts with their answers, and what models make of each token."""

from typing import NamedTuple

import torch

from losses import token_nll


class Group(NamedTuple):
    """A micro-batch: b rows of the step, padded to S tokens; T tokens is the step's longest answer."""
    rows: torch.Tensor    # (b,) which rows of the step
    ids: torch.Tensor     # (b, S) prompt, answer, padding
    at: torch.Tensor      # (b, T) the position that predicts each token of the answer
    labels: torch.Tensor  # (b, T) the answer, with its </s> if it ended
    mask: torch.Tensor    # (b, T) whether there is such a token


def group_answers(rows, prompts, said, mask):
    """The Group of these rows of a step. said: the ids of all answers; mask (B, T)."""
    width, device = mask.shape[1], mask.device
    texts = [prompts[row].ids + said[row] for row in rows] or [[0]]  # no row: a forward pass for nothing
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=device)
    labels = torch.zeros(len(rows), width, dtype=torch.int64, device=device)
    for label, row in zip(labels, rows):
        label[:len(said[row])] = torch.tensor(said[row])
    starts = torch.tensor([len(prompts[row].ids) for row in rows], dtype=torch.int64, device=device)
    at = (starts[:, None] - 1 + torch.arange(width, device=device)).clamp(max=longest - 1)
    rows = torch.tensor(rows, dtype=torch.int64, device=device)
    return Group(rows, ids, at, labels, mask[rows])


def forward(transformer, group, temperature):
    """log p of the answers' tokens and, with a value head, the values before them; (b, T), 0 outside mask."""
    row = torch.arange(len(group.at), device=group.ids.device)[:, None].expand_as(group.at)[group.mask]
    at, labels = group.at[group.mask], group.labels[group.mask]
    out = transformer(group.ids, head=lambda hidden, weight: -token_nll(
        hidden[row, at], weight, labels, temperature))
    logp, values = out if transformer.value_head is not None else (out, None)
    logp = torch.zeros_like(group.at, dtype=logp.dtype).masked_scatter(group.mask, logp)
    return logp, None if values is None else _at_answers(values, group)


def forward_critic(critic, group):
    """The values of a critic that is a model of its own, without its output head; as `forward` gives them."""
    _, values = critic(group.ids, head=lambda hidden, weight: None)
    return _at_answers(values, group)


def _at_answers(values, group):
    return torch.where(group.mask, values.gather(1, group.at), 0)
