"""The losses of both stages: a weight per token (paper: 3.1, 3.2), the weighted likelihood, PPO's (3.3).

B batch, T time, N weighted positions, D width, V vocabulary; in the PPO part T counts tokens of the answers.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from data.feedback import classify

# --------------------------------------------------------------------- MAE and PKT: a weight for every token


def is_erroneous(conversation, turn):
    """MAE (section 3.1): is the call of assistant turn `turn` followed by feedback that reports an error?

    `finish` has no feedback and `ask_to_user` is answered by a user turn: neither can be erroneous.
    """
    following = conversation.turns[turn + 1:turn + 2]
    return bool(following) and following[0].role == "function" and classify(
        following[0].content, conversation.turns[turn].name, conversation.tools).is_error


def key_tokens(name, others):
    """PKT (section 3.2): offsets, from the name's first token, of the tokens that decide between the tools.

    name: ids of the called tool's name; others: ids of the names of the other offered tools, all as they
    stand in a call. K holds the first token, and for every other name with a common prefix the token after
    that prefix: at the latest the one after the name, which opens the bracket.

    >>> sorted(key_tokens([5, 6, 7], [[5, 6, 8], [9], [5]])), sorted(key_tokens([5], [[5, 6]]))
    ([0, 1, 2], [0, 1])
    """
    shared = (_common_prefix(name, other) for other in others)
    return {0} | {length for length in shared if length}


def _common_prefix(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def call_weights(length, keys, w_max=9.0):
    """w of a call's `length` tokens, `</s>` among them: CLIP(|NK| / |K|, 1, w_max) on `keys`, 1 elsewhere.

    >>> call_weights(6, {0, 3})
    array([2., 1., 1., 2., 1., 1.])
    """
    weights = np.ones(length)
    weights[list(keys)] = np.clip((length - len(keys)) / len(keys), 1.0, w_max)
    return weights


def token_weights(encoded, conversation, name_ids, mae=True, pkt=True, w_max=9.0):
    """The weight vector of a conversation -> (weights (n,) float64, call (n,) int64).

    weights[t] says how much predicting labels[t] matters: 0 for context, tool output and erroneous calls, 1
    for the tokens of a good call and its `</s>`, up to w_max for its key tokens. call[t] is the place in
    `encoded.calls` of the call that position t is trained on, -1 elsewhere. name_ids: `Tokenizer.name_ids`.
    """
    weights, owner = np.zeros(len(encoded.ids)), np.full(len(encoded.ids), -1)
    offered = dict.fromkeys(tool.name for tool in conversation.tools)  # distinct names
    for number, call in enumerate(encoded.calls):
        if mae and is_erroneous(conversation, call.turn):
            continue
        keys = set()
        if pkt:
            name = encoded.ids[call.name_start:call.name_stop].tolist()
            others = [name_ids(other) for other in offered if other != conversation.turns[call.turn].name]
            keys = {call.name_start - call.start + offset for offset in key_tokens(name, others)}
        predicting = slice(call.start - 1, call.stop)  # the colon predicts the first token, the last one </s>
        length = call.stop - call.start + 1
        weights[predicting] = call_weights(length, keys, w_max) if keys else 1.0
        owner[predicting] = number
    return weights, owner


# ------------------------------------------------------------------------ the weighted likelihood of stage 1

def normalise(weights, call):
    """Divide each weight by the sum over its call, so that every call counts once. weights, call: (n,)."""
    total = np.bincount(call + 1, weights=weights)  # [0]: positions of no call
    return np.divide(weights, total[call + 1], out=np.zeros(len(weights)), where=call >= 0)


def token_nll(hidden, weight, labels, temperature=1.0, chunk=1024):
    """-log p(label), p = softmax(logits / temperature), in fp32 or wider -> (N,).

    hidden (N, D), output matrix weight (V, D), labels (N,). At most `chunk` rows of logits exist at a time:
    fp32 logits of 8,192 positions are 1 GB with V = 32,016, and their gradient as much again. More rows than
    that are recomputed in the backward pass, chunk by chunk.
    """
    if len(hidden) <= chunk:
        return _nll(hidden, weight, labels, temperature)
    pieces = zip(hidden.split(chunk), labels.split(chunk))
    return torch.cat([checkpoint(_nll, h, weight, y, temperature, use_reentrant=False,
                                 preserve_rng_state=False) for h, y in pieces])


def _nll(hidden, weight, labels, temperature):
    logits = F.linear(hidden, weight)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return F.cross_entropy(logits, labels, reduction="none")


def weighted_nll(transformer, batch):
    """Sum over the batch's calls of the weighted NLL, and the plain NLL of its trained tokens.

    batch: ids, labels, weights (B, T), with weights normalised per call. Only positions with a weight go
    through the output head (about one in ten). Returns (loss, nll), both sums; the caller divides by the
    global number of calls and of trained tokens. A batch with no weight gives 0, and gradients of 0.
    """
    trained = batch.weights > 0
    labels = batch.labels[trained]
    nll = transformer(batch.ids, head=lambda hidden, weight: token_nll(hidden[trained], weight, labels))
    return (batch.weights[trained] * nll).sum(), nll.detach().sum()


# ---------------------------------------------------------------------------------------------- PPO, stage 2

def kl(logp, ref_logp):
    """Estimates of KL(policy || reference) from samples of the policy: k1, unbiased; k3, never negative."""
    k1 = logp - ref_logp
    return k1, torch.expm1(-k1) + k1


def token_rewards(score, k1, mask, beta, clip=5.0):
    """-beta * k1 at every token and the score, clipped, at the answer's last. score (B,), k1, mask (B, T)."""
    is_last = mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))
    return torch.where(mask, -beta * k1, 0) + is_last * score.clamp(-clip, clip)[:, None]


def gae(rewards, values, mask, gamma, lam):
    """Generalised advantage estimation (Schulman et al., 2016), fp32 or wider -> advantages, returns (B, T).

    The end of an answer is terminal, truncated or not: V = 0 after it. Nothing outside `mask` has influence.

    >>> r, v = torch.tensor([[0., 0., 1.]]), torch.tensor([[.5, .5, .5]])
    >>> [x.tolist() for x in gae(r, v, torch.tensor([[True, True, True]]), gamma=1.0, lam=1.0)]
    [[[0.5, 0.5, 0.5]], [[1.0, 1.0, 1.0]]]
    """
    mask = mask.bool()
    wide = torch.promote_types(rewards.dtype, torch.float32)
    r, v = (torch.where(mask, x.to(wide), 0) for x in (rewards, values))
    advantages, following = torch.zeros_like(r), torch.zeros_like(r[:, 0])
    v_next = torch.zeros_like(following)
    for t in reversed(range(r.shape[1])):
        delta = r[:, t] + gamma * v_next - v[:, t]
        advantages[:, t] = following = torch.where(mask[:, t], delta + gamma * lam * following, 0)
        v_next = v[:, t]
    return advantages, advantages + v


def whiten(advantages, mask, total=lambda x: x):
    """Mean 0 and variance 1 over mask, 0 elsewhere; advantages that hardly differ are only centred.

    total: sums a tensor over processes that hold other rows of the batch.
    """
    count = total(mask.sum()).clamp(min=1)
    centred = torch.where(mask, advantages - total(torch.where(mask, advantages, 0).sum()) / count, 0)
    std = (total(centred.square().sum()) / count).sqrt()
    return (centred / std if std > 1e-4 else centred).to(advantages.dtype)


def policy_loss(logp, old_logp, advantages, mask, clip=0.2):
    """PPO's clipped surrogate per token, and where the clip was active; both (B, T), 0 outside mask.

    The log-ratio is bounded by 20, beyond which its exponential would be the whole gradient.
    """
    ratio = torch.exp(torch.where(mask, logp - old_logp, 0).clamp(-20, 20))
    plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.where(mask, torch.maximum(plain, clipped), 0), mask & (clipped > plain)


def value_loss(values, old_values, returns, mask, clip=0.2):
    """Half the squared error of values that count as moved by `clip` at most; (B, T), 0 outside mask."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    worse = torch.maximum((values - returns).square(), (near - returns).square())
    return torch.where(mask, 0.5 * worse, 0)
