"""The losses: a weight per token (TL-Training, 3.1 and 3.2), the weighted likelihood, PPO's losses
(3.3), and DPO's, for TTPA.

B batch, T time, N weighted positions (in DPO: pairs), D width, V vocabulary; for PPO, T counts
tokens of answers.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from data.feedback import classify

# ---------------------------------------------------------- MAE and PKT: a weight for every token


def is_erroneous(conversation, turn):
    """MAE (section 3.1): whether the feedback on the call of assistant turn `turn` is an error.

    The paper calls the set of these calls T_e.

    `finish` has no feedback and `ask_to_user` is answered by a user turn: neither can be erroneous.
    """
    feedback = conversation.feedback(turn)
    if feedback is None:
        return False
    called = conversation.turns[turn].name
    return classify(feedback, called, conversation.tools).is_error


def key_tokens(name, others):
    """PKT (section 3.2): the tokens that decide between tools, as offsets from the name's first.

    name: ids of the called tool's name; others: ids of the names of the other offered tools, all as
    they stand in a call. K holds the first token, and for every other name that shares a prefix of
    one token or more, the token after that prefix: at the latest the one after the name, which
    opens the bracket.

    >>> sorted(key_tokens([5, 6, 7], [[5, 6, 8], [9], [5]])), sorted(key_tokens([5], [[5, 6]]))
    ([0, 1, 2], [0, 1])
    """
    keys = {0}
    for other in others:
        shared = common_prefix(name, other)
        if shared:
            keys.add(shared)
    return keys


def common_prefix(a, b):
    """The number of leading elements that two sequences share."""
    length = 0
    for x, y in zip(a, b, strict=False):  # up to the end of the shorter one
        if x != y:
            break
        length += 1
    return length


def call_weights(length, keys, w_max=9.0):
    """w of a call's `length` tokens with its `</s>`: CLIP(|NK| / |K|, 1, w_max) on `keys`, else 1.

    >>> call_weights(6, {0, 3})
    array([2., 1., 1., 2., 1., 1.])
    """
    weights = np.ones(length)
    weights[list(keys)] = np.clip((length - len(keys)) / len(keys), 1.0, w_max)
    return weights


def token_weights(encoded, conversation, name_ids, mae=True, pkt=True, w_max=9.0):
    """The weight vector of a conversation -> (weights (n,) float64, call (n,) int64).

    weights[t] says how much predicting labels[t] matters: 0 for context, tool output and erroneous
    calls, 1 for the tokens of a good call and its `</s>`, up to w_max for its key tokens. call[t]
    is the place in `encoded.calls` of the call that position t is trained on, -1 elsewhere.
    name_ids: `Tokenizer.name_ids`.
    """
    weights = np.zeros(len(encoded.ids))
    call_at = np.full(len(encoded.ids), -1)
    offered = dict.fromkeys(tool.name for tool in conversation.tools)  # distinct names
    for number, call in enumerate(encoded.calls):
        if mae and is_erroneous(conversation, call.turn):
            continue
        predicting = slice(call.start - 1, call.stop)  # the colon predicts the first token ...
        length = call.stop - call.start + 1            # ... and the last token predicts </s>
        weights[predicting] = 1.0
        call_at[predicting] = number
        if pkt:
            called = conversation.turns[call.turn].name
            name = encoded.ids[call.name_start:call.name_stop].tolist()
            others = [name_ids(other) for other in offered if other != called]
            before_name = call.name_start - call.start
            keys = {before_name + offset for offset in key_tokens(name, others)}
            weights[predicting] = call_weights(length, keys, w_max)
    return weights, call_at


# -------------------------------------------------------------- the weighted likelihood of stage 1

def normalise(weights, call):
    """Divide each weight by the sum over its call, so that every call counts once. Both (n,).

    The division is the released code's; the paper writes plain sums (docs/deviations.md).
    """
    total = np.bincount(call + 1, weights=weights)  # [0]: positions of no call
    return np.divide(weights, total[call + 1], out=np.zeros(len(weights)), where=call >= 0)


def token_nll(hidden, output_matrix, labels, temperature=1.0, chunk=1024):
    """-log p(label), p = softmax(logits / temperature), in fp32 or wider -> (N,).

    hidden (N, D), output_matrix (V, D), labels (N,). At most `chunk` rows of logits exist at
    a time: fp32 logits of 8,192 positions are 1 GB with V = 32,016, and their gradient is as large.
    More rows than that are recomputed in the backward pass, chunk by chunk.
    """
    if len(hidden) <= chunk:
        return _chunk_nll(hidden, output_matrix, labels, temperature)
    chunks = zip(hidden.split(chunk), labels.split(chunk), strict=True)
    return torch.cat([
        checkpoint(_chunk_nll, some_hidden, output_matrix, some_labels, temperature,
                   use_reentrant=False, preserve_rng_state=False)
        for some_hidden, some_labels in chunks])


def _chunk_nll(hidden, output_matrix, labels, temperature):
    logits = F.linear(hidden, output_matrix)  # (N, V)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return F.cross_entropy(logits, labels, reduction="none")


def weighted_nll(transformer, batch):
    """Sum over the batch's calls of the weighted NLL, and the plain NLL of its trained tokens.

    batch: ids, labels, weights (B, T), with weights normalised per call. Only positions with a
    weight go through the output head (about one in ten). Returns (loss, nll), both sums; the caller
    divides by the global number of calls and of trained tokens. A batch with no weight gives 0, and
    gradients of 0.
    """
    trained = batch.weights > 0  # (B, T), N of them
    labels = batch.labels[trained]
    nll = transformer(batch.ids, head=lambda hidden, output_matrix: token_nll(
        hidden[trained], output_matrix, labels))  # (N,)
    return (batch.weights[trained] * nll).sum(), nll.detach().sum()


# ----------------------------------------------------------------------------------- PPO, stage 2

def kl(logp, ref_logp):
    """Estimates of KL(policy || reference) from samples of the policy, per token: (k1, k3).

    k1 = log p - log p_ref is unbiased; k3 = exp(-k1) - 1 + k1 is never negative.
    """
    k1 = logp - ref_logp
    k3 = torch.expm1(-k1) + k1
    return k1, k3


def token_rewards(score, k1, mask, beta):
    """-beta * k1 at every token, and the score at the answer's last one -> (B, T).

    score (B,), k1, mask (B, T).
    """
    tokens_so_far = mask.cumsum(-1)
    is_last = mask & (tokens_so_far == mask.sum(-1, keepdim=True))
    penalty = torch.where(mask, -beta * k1, 0)
    return penalty + is_last * score[:, None]


def leave_one_out(scores, K):
    """The mean score of the other K - 1 answers to the prompt. scores (B,), K to a prompt -> (B,)

    A baseline that needs no critic: no answer's own score is in it, so it does not bias the
    gradient (Kool et al., 2019).

    >>> leave_one_out(torch.tensor([1., 0., 2., 5., 5., 5.]), K=3).tolist()
    [1.0, 1.5, 0.5, 5.0, 5.0, 5.0]
    """
    groups = scores.view(-1, K)
    others = groups.sum(-1, keepdim=True) - groups
    return (others / (K - 1)).flatten()


def gae(rewards, values, mask, gamma, lam):
    """Generalised advantage estimation (Schulman et al., 2016) -> advantages, returns (B, T).

    delta_t = r_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lambda A_{t+1}, in fp32 or wider. The
    end of an answer is terminal, truncated or not: V = 0 after it. Nothing outside `mask` counts.

    >>> r, v = torch.tensor([[0., 0., 1.]]), torch.tensor([[.5, .5, .5]])
    >>> [x.tolist() for x in gae(r, v, torch.tensor([[True, True, True]]), gamma=1.0, lam=1.0)]
    [[[0.5, 0.5, 0.5]], [[1.0, 1.0, 1.0]]]
    """
    mask = mask.bool()
    wide = torch.promote_types(rewards.dtype, torch.float32)
    r = torch.where(mask, rewards.to(wide), 0)
    v = torch.where(mask, values.to(wide), 0)
    advantages = torch.zeros_like(r)
    a_next = torch.zeros_like(r[:, 0])  # (B,)
    v_next = torch.zeros_like(a_next)
    for t in reversed(range(r.shape[1])):
        delta = r[:, t] + gamma * v_next - v[:, t]
        a_next = torch.where(mask[:, t], delta + gamma * lam * a_next, 0)
        advantages[:, t] = a_next
        v_next = v[:, t]
    return advantages, advantages + v


def whiten(advantages, mask, all_sum=lambda x: x):
    """Mean 0 and variance 1 over mask, 0 elsewhere.

    Where the standard deviation is under 1e-4 the mean alone is taken off. all_sum: sums a tensor
    over processes that hold other rows of the batch.
    """
    count = all_sum(mask.sum()).clamp(min=1)
    mean = all_sum(torch.where(mask, advantages, 0).sum()) / count
    centred = torch.where(mask, advantages - mean, 0)
    std = (all_sum(centred.square().sum()) / count).sqrt()
    if not std > 1e-4:  # dividing would amplify rounding; or std is NaN
        return centred.to(advantages.dtype)
    return (centred / std).to(advantages.dtype)


def policy_loss(logp, old_logp, advantages, mask, clip=0.2):
    """PPO's clipped surrogate per token, and where the clip was active; both (B, T).

    max(-A rho, -A CLIP(rho, 1 - clip, 1 + clip)) with rho = p / p_old. The log-ratio is clamped to
    ±20, so that one token cannot be the whole gradient; one beyond has none. Outside mask both are
    0.
    """
    log_ratio = torch.where(mask, logp - old_logp, 0).clamp(-20, 20)
    ratio = torch.exp(log_ratio)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    loss = torch.where(mask, torch.maximum(plain, clipped), 0)
    return loss, mask & (clipped > plain)


def value_loss(values, old_values, returns, mask, clip=0.2):
    """Half the squared error of values; a change of a value beyond `clip` gains nothing.

    (B, T), 0 outside mask.
    """
    near = old_values + (values - old_values).clamp(-clip, clip)
    squared = (values - returns).square()
    squared_near = (near - returns).square()
    return torch.where(mask, 0.5 * torch.maximum(squared, squared_near), 0)


# -------------------------------------------------------------------------------------- DPO, TTPA

def dpo_loss(logp, ref_logp, lengths, beta, alpha=0.0):
    """The loss of pairs (chosen, rejected) -> (loss, preference term, margin), each (N,).

    margin = (log p_c - log ref_c) - (log p_r - log ref_r)
    loss = -log sigmoid(beta * margin) + alpha * (-log p_c) / |c|

    logp, ref_logp (N, 2): sums over the tokens of each answer with its `</s>`, chosen then
    rejected, of the policy and of the frozen model that it started from; lengths (N,): |c|, tokens
    of the chosen answer. The preference term is DPO's (Rafailov et al., 2023). The last term holds
    the chosen answer up: where the two differ in few tokens, the preference alone lowers both.
    TTPA's own objective is not public; this is our reading.

    >>> logp = torch.tensor([[-2., -3.], [-1., -5.]])
    >>> loss, preference, margin = dpo_loss(logp, logp, torch.tensor([4, 2]), beta=0.1, alpha=0.2)
    >>> round(preference[0].item(), 4), round((loss - preference)[0].item(), 4), margin.tolist()
    (0.6931, 0.1, [0.0, 0.0])
    """
    log_ratio = logp - ref_logp  # (N, 2)
    margin = log_ratio[:, 0] - log_ratio[:, 1]  # (N,)
    preference = -F.logsigmoid(beta * margin)
    return preference + alpha * -logp[:, 0] / lengths, preference, margin
