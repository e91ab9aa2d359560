"""Conversations -> the three rows the model trains on -> steps, micro-batches, tensors."""

from typing import NamedTuple

import numpy as np
import torch

from data.tools import misfit
from losses import normalise, token_weights
from plumbing.cuda import pad_length
from plumbing.files import InputError

# so many conversations at a time are sorted by length: 6.6% of the tokens are padding then, on real
# data; 35% where four are drawn at random
WINDOW = 64


class Example(NamedTuple):
    """One conversation; arrays (n,). weights: the paper's w; call: whose weight it is, or -1."""
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


# ----------------------------------------------------------------------- conversations to examples

def build(conversations, tokenizer, mae=True, pkt=True, w_max=9.0, max_length=0):
    """Conversations -> (Examples, counts of conversations and calls, kept and left out).

    mae, pkt, w_max: as in losses.token_weights; max_length 0: no limit. Conversations without a
    trained call are skipped. Raises InputError if nothing is left.
    """
    examples = []
    counts = dict.fromkeys((
        "conversations", "skipped: no trained call", "skipped: no call fits", "calls",
        "erroneous calls", "calls cut off", "trained calls",
        "texts beside calls, not trained"), 0)
    for item, conversation in enumerate(conversations):
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        weights, call = token_weights(
            encoded, conversation, tokenizer.name_ids, mae, pkt, w_max)
        trained = np.unique(call[call >= 0])
        counts["conversations"] += 1
        counts["calls"] += len(encoded.calls)
        assistant = sum(turn.role == "assistant" for turn in conversation.turns)
        counts["texts beside calls, not trained"] += assistant - len(encoded.calls)
        counts["erroneous calls"] += len(encoded.calls) - len(trained)
        if not len(trained):
            counts["skipped: no trained call"] += 1
            continue
        limit = max_length or len(encoded.ids)
        kept = up_to_last_call(encoded, conversation.turns, trained, limit)
        n_calls = len(set(call[kept].tolist()) - {-1})
        counts["calls cut off"] += len(trained) - n_calls
        counts["trained calls"] += n_calls
        if not n_calls:
            counts["skipped: no call fits"] += 1
            continue
        examples.append(Example(
            encoded.ids[kept], encoded.labels[kept], weights[kept], call[kept], n_calls, item))
    if not examples and counts["skipped: no call fits"]:
        raise InputError(f"--max-length {max_length}: no call fits")
    if not examples:
        raise InputError("no trainable call in any conversation")
    return examples, {reason: count for reason, count in counts.items() if count}


def misfits(examples, conversations):
    """The trained calls whose tool is not offered or lacks one of their parameters, a line each.

    conversations: those that the Examples were built from.
    """
    lines = []
    for example in examples:
        conversation = conversations[example.item]
        calls = [(place, turn) for place, turn in enumerate(conversation.turns) if turn.name]
        for number in sorted(set(example.call.tolist()) - {-1}):
            place, turn = calls[number]
            reason = misfit(turn.name, turn.arguments, conversation.tools)
            if reason:
                lines.append(f"item {example.item}, turn {place}: {reason}")
    return lines


def up_to_last_call(encoded, turns, trained, max_length):
    """Places of the tokens to keep, at most max_length, up to the last trained call that fits.

    A call is never cut. Empty when no trained call fits beside System and the first User turn.
    trained: numbers of the trained calls, ascending.
    """
    sizes = np.bincount(encoded.turn)
    starts = np.cumsum(sizes) - sizes
    never_go = _stay(turns)
    for number in reversed(trained):
        call = encoded.calls[number]
        stays = sum(sizes[turn] for turn in never_go if turn < call.turn)
        own = call.stop - starts[call.turn]  # tokens of the call's turn, up to its end
        if stays + own <= max_length:
            return newest_turns(encoded.turn[:call.stop], turns, max_length)
    return np.arange(0)


def _stay(turns):
    """The turns that never go: System and the first User turn."""
    first_user = next((i for i, turn in enumerate(turns) if turn.role == "user"), 0)
    return {0, first_user}


def newest_turns(turn_of, turns, max_length):
    """Places of the tokens to keep so that at most max_length are left.

    turn_of (n,): the turn of each token. System and the first User turn stay, even where they alone
    are longer; the oldest later turns go first, whole.
    """
    stays = np.isin(turn_of, list(_stay(turns)))
    sizes = np.bincount(turn_of[~stays], minlength=turn_of[-1] + 2)  # the last one is 0
    from_turn_on = np.cumsum(sizes[::-1])[::-1]  # tokens of a turn and of all that come after it
    room = max_length - stays.sum()
    fitting = np.flatnonzero(from_turn_on[1:] <= room)
    oldest = 1 + fitting[0] if len(fitting) else turn_of[-1] + 1  # of the turns that are kept
    return np.flatnonzero(stays | (turn_of >= oldest))


# ---------------------------------------------------------------------- examples to steps, tensors

def epoch_steps(examples, batch_size, seed, epoch):
    """Steps of an epoch: lists of examples with `batch_size` trained calls or more.

    One of them, anywhere, may have fewer.

    Conversations are shuffled, sorted by length within windows, gathered into steps, and the steps
    are shuffled. The order is a function of (seed, epoch) alone: a resumed run sees the same one.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(examples))
    steps = []
    step = []
    for start in range(0, len(order), WINDOW):
        window = order[start:start + WINDOW]
        for i in sorted(window, key=lambda i: len(examples[i].ids)):
            step.append(examples[i])
            if sum(example.n_calls for example in step) >= batch_size:
                steps.append(step)
                step = []
    if step:
        steps.append(step)
    return [steps[i] for i in rng.permutation(len(steps))]


def micro_batches(step, max_tokens, device="cpu"):
    """Split a step into lists of examples of a padded size, rows x longest, up to max_tokens.

    device: says how rows are padded. A conversation longer than that is a micro-batch of its own.
    """
    batches = []
    for example in sorted(step, key=lambda example: len(example.ids)):
        longest = pad_length(len(example.ids), device)
        if batches and (len(batches[-1]) + 1) * longest <= max_tokens:
            batches[-1].append(example)
        else:
            batches.append([example])
    return batches


def collate(examples, device="cpu", dtype=torch.float32, pad=0):
    """Examples -> Batch of right-padded rows, weights normalised per call.

    Without examples: one row of the least length, with weight 0.
    """
    longest = max((len(example.ids) for example in examples), default=1)
    longest = pad_length(longest, device)
    ids = [example.ids for example in examples]
    labels = [example.labels for example in examples]
    weights = [normalise(example.weights, example.call) for example in examples]
    return Batch(
        ids=_padded(ids, longest, pad).to(device, torch.int64),
        labels=_padded(labels, longest, pad).to(device, torch.int64),
        weights=_padded(weights, longest, 0.0).to(device, dtype),
        n_calls=sum(example.n_calls for example in examples),
        n_tokens=sum(len(example.ids) for example in examples))


def _padded(arrays, longest, fill):
    """Arrays (n,) -> a tensor (B, longest), at least one row, filled up on the right."""
    rows = np.full((max(len(arrays), 1), longest), fill)
    for row, array in zip(rows, arrays, strict=False):  # without arrays there is a row all the same
        row[:len(array)] = array
    return torch.from_numpy(rows)
