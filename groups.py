"""Several answers to one prompt in one row: the form of a rollout of PPO, and of a pair of DPO.

A prompt is some ten times as long as a call. So it stands once in its row, and its K answers behind
it, one after the other; each goes on from the prompt's end and sees the prompt and itself
(`Branches`). Log-probabilities and gradients are those of K separate rows.

B answers of this process in a step, b of them in a micro-batch, in P = b / K rows; S columns of a
prompt, A of its answers; T tokens of the step's longest answer.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from llama import attend_causally
from losses import token_nll
from plumbing.cuda import pad_length
from plumbing.parallel import all_max


class Branches:
    """Rows of a prompt, padded to S columns, and behind it the tokens of its answers, A columns.

    Each answer goes on from the prompt's end as if it stood alone: it sees the prompt and itself.
    Prompt columns keep the fused causal kernel, and only the A answer columns take a mask: over
    10,000 columns a mask for all of them would be a hundred million entries. (The other way, to
    repeat the prompt's keys for each answer, takes K times their memory.)
    """

    def __init__(self, prompt_lengths, S, answer_of):
        """prompt_lengths (P,); answer_of (P, A): the answer of each column, -1 for padding."""
        A = answer_of.shape[1]
        columns = torch.arange(S, device=answer_of.device)
        sees_prompt = columns < prompt_lengths[:, None]  # (P, S)
        same_answer = answer_of[:, :, None] == answer_of[:, None, :]  # (P, A, A)
        self.S = S
        self.mask = torch.cat(  # (P, 1, A, S + A)
            (sees_prompt[:, None, :].expand(-1, A, -1), same_answer.tril()), dim=-1)[:, None]

    def attend(self, q, k, v, layer):
        """The `attend` of these rows."""
        S = self.S
        prompt = attend_causally(q[:, :, :S], k[:, :, :S], v[:, :, :S], layer)
        is_grouped = q.shape[1] != k.shape[1]
        answers = F.scaled_dot_product_attention(
            q[:, :, S:], k, v, attn_mask=self.mask, enable_gqa=is_grouped)
        return torch.cat((prompt, answers), dim=2)


class MicroBatch(NamedTuple):
    """b answers for one forward pass: a row for each prompt, its answers behind it."""
    answers: torch.Tensor     # (b,) which answers of the step
    ids: torch.Tensor         # (P, S + A) prompt and padding, answers and padding
    positions: torch.Tensor   # (P, S + A) each answer goes on from its prompt's end
    attend: Callable          # who sees whom: that of Branches
    prompt_row: torch.Tensor  # (b, T) the row that holds the answer's prompt
    column: torch.Tensor      # (b, T) the column that predicts each token of the answer
    labels: torch.Tensor      # (b, T) the answer, with its </s> if it ended
    mask: torch.Tensor        # (b, T) whether there is such a token


def make_micro_batches(prompts, answer_ids, K, size, device):
    """The answers of a step -> (MicroBatches of `size` prompts each, mask (B, T) of all answers).

    prompts: whose field `ids` is the prompt; answer_ids: of all B answers, K to a prompt. All
    processes have the same number of micro-batches; some may hold no row.
    """
    lengths = torch.tensor([len(ids) for ids in answer_ids], device=device)  # (B,)
    longest = max(map(len, answer_ids), default=1)
    mask = torch.arange(longest, device=device) < lengths[:, None]  # (B, T)
    by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    micro_batches = []
    for start in range(0, int(all_max(len(prompts))), size):
        places = by_length[start:start + size]
        micro_batches.append(make_micro_batch(places, prompts, answer_ids, mask, K))
    return micro_batches, mask


def make_micro_batch(places, prompts, answer_ids, mask, K):
    """The MicroBatch of the K answers to each of the prompts at `places`.

    answer_ids: the tokens of all B answers of the step, K to a prompt; mask (B, T). The last token
    of an answer is predicted and predicts nothing: it has no column. Without a place, the pass is
    one of a single token, in which all processes must take part.
    """
    answers = [place * K + k for place in places for k in range(K)]
    S = max((len(prompts[place].ids) for place in places), default=1)
    S = pad_length(S, mask.device)
    n_columns = np.array([len(answer_ids[i]) - 1 for i in answers], dtype=np.int64)
    n_columns = n_columns.reshape(-1, K)  # of each answer to each prompt
    A = pad_length(int(n_columns.sum(-1).max(initial=0)), mask.device)
    T = mask.shape[1]
    ids = np.zeros((max(len(places), 1), S + A), dtype=np.int64)
    positions = np.zeros_like(ids)
    positions[:, :S] = np.arange(S)
    answer_of = np.full((len(ids), A), -1)
    lengths = np.ones(len(ids), dtype=np.int64)
    column = np.zeros((len(answers), T), dtype=np.int64)
    labels = np.zeros_like(column)
    for row, place in enumerate(places):
        prompt = prompts[place].ids
        lengths[row] = len(prompt)
        ids[row, :len(prompt)] = prompt
        start = 0  # of the next answer, among the A columns
        for k, n in enumerate(n_columns[row]):
            answer = answer_ids[place * K + k]
            here = slice(S + start, S + start + n)
            ids[row, here] = answer[:n]
            positions[row, here] = len(prompt) + np.arange(n)
            answer_of[row, start:start + n] = k
            column[row * K + k, 0] = len(prompt) - 1  # the prompt's last token predicts the first
            column[row * K + k, 1:n + 1] = np.arange(here.start, here.stop)
            labels[row * K + k, :n + 1] = answer
            start += n
    to = partial(torch.as_tensor, device=mask.device)
    branches = Branches(to(lengths), S, to(answer_of))
    prompt_row = torch.arange(len(answers), device=mask.device) // K
    which = to(np.array(answers, dtype=np.int64))
    return MicroBatch(
        which, to(ids), to(positions), branches.attend, prompt_row[:, None].expand(-1, T),
        to(column), to(labels), mask[which])


def answer_logprobs(transformer, batch, temperature):
    """log p of the answers' tokens (b, T) and, with a value head, the values before them (b, T).

    Both are 0 outside mask; without a value head the values are None. batch: a MicroBatch.
    The output head works in fp32 or wider: bf16 logits near 20 are off by up to 0.06, as much as a
    step changes them.
    """
    prompt_row = batch.prompt_row[batch.mask]  # (N,) of the N tokens of all answers
    column = batch.column[batch.mask]          # (N,)
    labels = batch.labels[batch.mask]          # (N,)
    out = transformer(
        batch.ids, batch.positions, attend=batch.attend,
        head=lambda hidden, output_matrix: -token_nll(
            _wide(hidden[prompt_row, column]), _wide(output_matrix), labels, temperature))
    if transformer.value_head is None:
        token_logp = out  # (N,)
        values = None
    else:
        token_logp, all_values = out
        values = _at_answers(all_values, batch)
    logp = torch.zeros(batch.mask.shape, dtype=token_logp.dtype, device=token_logp.device)
    return logp.masked_scatter(batch.mask, token_logp), values


def _wide(x):
    """x in fp32, or in fp64 if it is that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def answer_values(critic, batch):
    """The values (b, T) of a critic that is a model of its own; its output head is not used."""
    _, all_values = critic(
        batch.ids, batch.positions, attend=batch.attend, head=lambda hidden, output_matrix: None)
    return _at_answers(all_values, batch)


def _at_answers(all_values, batch):
    """Values of all columns -> those before the answers' tokens (b, T), 0 outside mask."""
    return torch.where(batch.mask, all_values[batch.prompt_row, batch.column], 0)
