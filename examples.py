"""Conversations -> the three rows the model trains on -> steps, micro-batches, tensors."""

from typing import NamedTuple

import numpy as np
import torch

from losses import normalise, token_weights
from plumbing.files import InputError

WINDOW = 64  # conversations sorted by length at a time: 6.6% padding on real data, random fours 35%


class Example(NamedTuple):
    """One conversation; all arrays (n,). `weights`: the paper's w; `call`: the call a weight is of, or -1."""
    ids: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    call: np.ndarray
    n_calls: int  # trained calls
    item: int     # place in the file

    @property
    def n_trained(self):
        """Positions with a weight."""
        return int((self.weights > 0).sum())


class Batch(NamedTuple):
    """A micro-batch of right-padded rows; padding has weight 0, and its ids influence nothing."""
    ids: torch.Tensor      # (B, T) int64
    labels: torch.Tensor   # (B, T) int64
    weights: torch.Tensor  # (B, T) normalised per call
    n_calls: int
    n_tokens: int          # without padding


def build(conversations, tokenizer, mae=True, pkt=True, w_max=9.0, max_length=0):
    """Conversations -> (Examples, counts of what was left out and why). max_length 0: no limit.

    Conversations without a trained call are skipped. Raises InputError if nothing is left to train on.
    """
    examples = []
    counts = dict.fromkeys(("conversations", "skipped: no trained call", "skipped: no call fits",
                            "calls", "erroneous calls", "calls cut off", "trained calls"), 0)
    for item, conversation in enumerate(conversations):
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        weights, call = token_weights(encoded, conversation, tokenizer.name_ids, mae, pkt, w_max)
        trained = np.unique(call[call >= 0])
        counts["conversations"] += 1
        counts["calls"] += len(encoded.calls)
        counts["erroneous calls"] += len(encoded.calls) - len(trained)
        if not len(trained):
            counts["skipped: no trained call"] += 1
            continue
        kept = fit(encoded, conversation.turns, trained, max_length or len(encoded.ids))
        n_calls = len(np.unique(call[kept][call[kept] >= 0]))
        counts["calls cut off"] += len(trained) - n_calls
        counts["skipped: no call fits"] += n_calls == 0
        counts["trained calls"] += n_calls
        if n_calls:
            examples.append(Example(encoded.ids[kept], encoded.labels[kept], weights[kept], call[kept],
                                    n_calls, item))
    if not examples and counts["skipped: no call fits"]:
        raise InputError(f"--max-length {max_length}: no call fits")
    if not examples:
        raise InputError("no trainable call in any conversation")
    return examples, {key: count for key, count in counts.items() if count}


def fit(encoded, turns, trained, max_length):
    """Indices of the tokens to keep, at most max_length, ending at the last trained call that fits.

    System and the first User turn stay, the oldest later turns go first, whole; a call is never cut. Empty
    when no trained call fits beside these two turns. trained: numbers of the trained calls, ascending.
    """
    tokens = np.arange(len(encoded.ids))
    first_user = next((i for i, turn in enumerate(turns) if turn.role == "user"), 0)
    starts = np.searchsorted(encoded.turn, np.arange(len(turns)))
    for number in trained[::-1]:
        call = encoded.calls[number]
        upto = tokens[:call.stop]
        if call.stop <= max_length:
            return upto
        turn = encoded.turn[:call.stop]
        stays = (turn == 0) | (turn == first_user)
        for oldest in range(1, call.turn + 1):  # the oldest turn that is kept
            kept = upto[stays | (upto >= starts[oldest])]
            if len(kept) <= max_length:
                return kept
    return tokens[:0]


def epoch_steps(examples, batch_size, seed, epoch):
    """Steps of an epoch: lists of examples with `batch_size` trained calls or more (the last may have fewer).

    Conversations are shuffled, sorted by length within windows, gathered into steps, and the steps are
    shuffled. The order is a function of (seed, epoch) alone, so that a resumed run sees the same one.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(examples))
    windows = [order[i:i + WINDOW] for i in range(0, len(order), WINDOW)]
    steps, step = [], []
    for window in windows:
        for i in sorted(window, key=lambda i: len(examples[i].ids)):
            step.append(examples[i])
            if sum(example.n_calls for example in step) >= batch_size:
                steps.append(step)
                step = []
    if step:
        steps.append(step)
    return [steps[i] for i in rng.permutation(len(steps))]


def micro_batches(step, max_tokens):
    """Split a step into lists of examples whose padded size, rows times longest, stays within `max_tokens`.

    A conversation longer than that is a micro-batch of its own.
    """
    batches = []
    for example in sorted(step, key=lambda example: len(example.ids)):
        if batches and (len(batches[-1]) + 1) * len(example.ids) <= max_tokens:
            batches[-1].append(example)
        else:
            batches.append([example])
    return batches


def collate(examples, device="cpu", dtype=torch.float32, pad=0):
    """Examples -> Batch of right-padded rows, weights normalised per call; of none, a token of weight 0."""
    longest = max((len(example.ids) for example in examples), default=1)

    def rows(arrays, dtype, fill):
        padded = np.full((max(len(arrays), 1), longest), fill)
        for row, array in zip(padded, arrays):
            row[:len(array)] = array
        return torch.from_numpy(padded).to(device, dtype)

    return Batch(rows([e.ids for e in examples], torch.int64, pad),
                 rows([e.labels for e in examples], torch.int64, pad),
                 rows([normalise(e.weights, e.call) for e in examples], dtype, 0.0),
                 sum(e.n_calls for e in examples), sum(len(e.ids) for e in examples))
