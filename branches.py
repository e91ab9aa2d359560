"""Token-level sampling (TTPA): a greedy call, and calls that differ from it from one token on.

What the paper states [S]: preferences at the level of tokens, from differences between tokens as
the model generates. No sampler was released; this one is our reading [R]. Decode the greedy call,
and keep the two likeliest tokens of each step. At tokens of names, keys and values, and at those
that decide between another key and the end, take the second where it is nearly as likely as the
first, and go on greedily from there. A branch reads the keys and values of what it shares with the
greedy call from the cache: it costs its own tokens alone.

B prompts, K branches of each, S columns of the longest prompt.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from data.calls import ParseError, parse_with_spans
from generation import Answer, decoding_copy
from llama import attend_causally
from plumbing.optimizer import must_be_finite

# -------------------------------------------------------------------------------------- the decoder


class GreedyPath(NamedTuple):
    """A greedy answer, and its runner-up at every step, that of `</s>` included."""

    answer: Answer
    runners_up: list[int]   # the second likeliest token of each step
    gaps: list[float]       # p of the likeliest token less p of the runner-up
    runner_up_p: list[float]


class PathCache:
    """Keys and values of B prompts, of a greedy answer behind each, then of K branches of it.

    Slot S + t holds token t of the greedy answer. After `branch` every step adds K slots, one for
    each branch, which sees the prompt, the greedy tokens before its place, and itself. (The answers
    of generation.Cache share the prompt alone.)
    """

    def __init__(self, config, lengths, S, steps, like):
        """lengths (B,) of the prompts; steps: tokens of a greedy answer; like: dtype, device."""
        shape = (config.num_hidden_layers, len(lengths), config.num_key_value_heads, S + steps,
                 config.head_dim)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros_like(self.keys)
        self.heads_per_key = config.num_attention_heads // config.num_key_value_heads
        self.lengths = lengths
        self.S = S
        self.used = 0
        slots = torch.arange(S + steps, device=like.device)
        visible = (slots < lengths[:, None]) | (slots >= S)  # (B, slots)
        self.mask = self._mask_of(visible[:, None])

    def _mask_of(self, visible):
        """visible (B, K, slots) -> what is added to scores, (B, 1, heads_per_key * K, slots)."""
        added = torch.zeros(visible.shape, dtype=self.keys.dtype, device=visible.device)
        added = added.masked_fill(~visible, -torch.inf)[:, None]
        return added.repeat(1, 1, self.heads_per_key, 1)

    def branch(self, rows, places, steps):
        """Go on with these rows alone, K branches each.

        rows: places in B; places (len(rows), K): how many greedy tokens each branch shares; steps:
        tokens of the longest branch.
        """
        K = places.shape[1]
        self.lengths = self.lengths[rows]
        room = list(self.keys.shape)
        room[1] = len(rows)
        room[3] = K * steps
        room = self.keys.new_zeros(room)
        self.keys = torch.cat((self.keys[:, rows, :, :self.used], room), dim=3)
        self.values = torch.cat((self.values[:, rows, :, :self.used], room), dim=3)
        slots = torch.arange(self.used, device=places.device)
        in_prompt = (slots < self.lengths[:, None])[:, None]  # (rows, 1, used)
        in_path = (slots >= self.S) & (slots < self.S + places[..., None])  # (rows, K, used)
        own_branch = torch.eye(K, dtype=torch.bool, device=places.device).repeat(1, steps)
        own_branch = own_branch.expand(len(rows), -1, -1)  # (rows, K, K * steps)
        self.mask = self._mask_of(torch.cat((in_prompt | in_path, own_branch), dim=-1))

    def keep(self, rows):
        """Let go of all rows but these."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
        self.mask = self.mask[rows]

    def advance(self, columns):
        """Make room for `columns` new slots, in every layer."""
        self.new_slots = slice(self.used, self.used + columns)
        self.used += columns

    def prefill(self, q, k, v, layer):
        """The `attend` of the prompts."""
        self._write(k, v, layer)
        return attend_causally(q, k, v, layer)

    def decode(self, q, k, v, layer):
        """The `attend` of one step: the slots that `advance` made."""
        self._write(k, v, layer)
        B, G = k.shape[:2]
        grouped = q.reshape(B, G, -1, q.shape[-1])  # (B, G, heads_per_key * K, head_dim)
        out = F.scaled_dot_product_attention(
            grouped, self.keys[layer][:, :, :self.used], self.values[layer][:, :, :self.used],
            attn_mask=self.mask[..., :self.used])
        return out.reshape(q.shape)

    def _write(self, k, v, layer):
        self.keys[layer][:, :, self.new_slots] = k
        self.values[layer][:, :, self.new_slots] = v


@torch.no_grad()
def greedy_paths(transformer, prompts, max_new_tokens, eos_id):
    """The greedy answer to each prompt, a list of ids -> (GreedyPaths, the PathCache of them)."""
    transformer = decoding_copy(transformer)
    device = transformer.model.embed_tokens.weight.device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)  # (B,)
    S = int(lengths.max())
    ids = torch.tensor([prompt + [0] * (S - len(prompt)) for prompt in prompts], device=device)
    rows = torch.arange(len(prompts), device=device)
    cache = PathCache(transformer.config, lengths, S, max_new_tokens,
                      transformer.model.embed_tokens.weight)
    cache.advance(S)
    logits = transformer(  # (B, V): of the token after each prompt
        ids, attend=cache.prefill,
        head=lambda hidden, output_matrix: F.linear(hidden[rows, lengths - 1], output_matrix))
    steps = []
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    for step in range(max_new_tokens):
        steps.append(_two_likeliest(logits))
        token = steps[-1][0].long()  # (B,)
        ended |= token == eos_id
        if ended.all() or step + 1 == max_new_tokens:
            break
        cache.advance(1)
        logits = transformer(token[:, None], (lengths + step)[:, None], attend=cache.decode)[:, 0]
    found = torch.stack(steps).permute(2, 1, 0).tolist()  # (B, 4, steps)
    return [_make_path(*row, eos_id) for row in found], cache


def _two_likeliest(logits):
    """logits (B, V) -> (4, B) fp64: likeliest token, second, p of the first, p of the second.

    Raises NotFinite.
    """
    must_be_finite(logits)
    first = logits.argmax(-1, keepdim=True)  # not topk: of equal logits `generate` takes this one
    second = logits.scatter(-1, first, -torch.inf).argmax(-1, keepdim=True)
    tokens = torch.cat((first, second), dim=-1)  # (B, 2)
    p = logits.float().softmax(-1).gather(-1, tokens)
    return torch.cat((tokens.double(), p.double()), dim=-1).T


def _make_path(tokens, runners_up, p, runner_up_p, eos_id):
    """The GreedyPath of one prompt, from the four numbers of every step."""
    ids = [int(token) for token in tokens]
    steps = ids.index(eos_id) + 1 if eos_id in ids else len(ids)
    answer = Answer(ids[:steps - 1], True) if eos_id in ids else Answer(ids, False)
    gaps = [first - second for first, second in zip(p, runner_up_p, strict=True)]
    return GreedyPath(answer, [int(token) for token in runners_up[:steps]], gaps[:steps],
                      runner_up_p[:steps])


@torch.no_grad()
def follow_branches(transformer, cache, paths, places, max_new_tokens, eos_id):
    """For each prompt the Answers that take the runner-up at these places of its greedy path.

    places: a list of steps for each prompt. An answer's first tokens are the path's; with its own
    it has at most `max_new_tokens`. `cache` is that of `greedy_paths`; it is used up.
    """
    followed = [[] for _ in paths]
    rows = [b for b, steps in enumerate(places) if steps]
    if not rows:
        return followed
    transformer = decoding_copy(transformer)
    K = max(len(places[b]) for b in rows)
    device = cache.keys.device
    place = torch.zeros(len(rows), K, dtype=torch.long, device=device)
    token = torch.zeros(len(rows), K, dtype=torch.long, device=device)
    is_branch = torch.zeros(len(rows), K, dtype=torch.bool, device=device)
    for row, b in enumerate(rows):
        n = len(places[b])
        place[row, :n] = torch.tensor(places[b])
        token[row, :n] = torch.tensor([paths[b].runners_up[step] for step in places[b]])
        is_branch[row, :n] = True
    steps = max_new_tokens - int(place[is_branch].min())
    cache.branch(torch.tensor(rows, device=device), place, steps)
    tails = _decode_tails(transformer, cache, token, place, is_branch, max_new_tokens, eos_id)
    for b, row in zip(rows, tails.tolist(), strict=True):
        for step, tail in zip(places[b], row, strict=False):  # the rest of the row is padding
            tail = tail[:max_new_tokens - step]
            is_ended = eos_id in tail
            if is_ended:
                tail = tail[:tail.index(eos_id)]
            followed[b].append(Answer(paths[b].answer.ids[:step] + tail, is_ended))
    return followed


def _decode_tails(transformer, cache, token, place, is_branch, max_new_tokens, eos_id):
    """Greedy tokens from `token` (rows, K) on, which stands at `place` -> (rows, K, steps).

    max_new_tokens: of a whole answer. What follows an end is anything. Raises NotFinite.
    """
    tails = []
    lengths = cache.lengths
    rows = torch.arange(len(token), device=token.device)  # those that still go on
    ended = ~is_branch
    for step in range(max_new_tokens):
        whole = torch.full(is_branch.shape, eos_id, device=token.device)
        whole[rows] = token
        tails.append(whole)
        ended = ended | (token == eos_id) | (place + step + 1 >= max_new_tokens)
        done = ended.all(-1)
        if done.all():
            break
        if 2 * done.sum() >= len(rows):  # copying what is left is worth it: half of it goes
            cache.keep(~done)
            token = token[~done]
            place = place[~done]
            ended = ended[~done]
            rows = rows[~done]
        positions = lengths[rows][:, None] + place + step
        cache.advance(token.shape[1])
        logits = transformer(token, positions, attend=cache.decode)  # (rows, K, V)
        must_be_finite(logits)
        token = logits.argmax(-1)
    return torch.stack(tails, dim=-1)


# ------------------------------------------------------------------------ where a branch may leave

KINDS = ("name", "key", "value", "next")  # next: decides between another key and the end


def token_kinds(ids, tokenizer, tools):
    """What each token of an answer is a part of: one of KINDS, or "" for punctuation.

    Of a text that is no call only the name counts, up to its bracket.
    """
    text = tokenizer.decode(ids)
    n_bytes = len(text.encode())
    if not ids or max(ids) >= tokenizer.vocab_size:
        return [""] * len(ids)
    ends = np.cumsum(tokenizer.widths[ids])  # in bytes, a space before the call included
    lead = int(ends[-1]) - n_bytes
    if lead not in (0, 1):  # broken UTF-8, or a piece that stands for no text
        return [""] * len(ids)
    of_bytes = []
    for character, kind in zip(text, _character_kinds(text, tools), strict=True):
        of_bytes += [kind] * len(character.encode())
    of_bytes = [""] * lead + of_bytes
    kinds = []
    start = 0
    for end in ends.tolist():
        kinds.append(next(filter(None, of_bytes[start:end]), ""))
        start = end
    return kinds


def _character_kinds(text, tools):
    """The kind of every character of a text."""
    kinds = [""] * len(text)

    def mark(span, kind):
        for i in range(*span):
            kinds[i] = kind

    try:
        call, spans = parse_with_spans(text, tools)
    except ParseError:
        name = text.partition("(")[0]
        mark((len(name) - len(name.lstrip()), len(name.rstrip())), "name")
        return kinds
    mark(call.name_span, "name")
    for span in spans:
        if span.key:
            mark(span.key, "key")
        for i in range(*span.value):
            if text[i].isalnum():
                kinds[i] = "value"
        kinds[span.value[1]] = "next"  # the comma or the bracket behind it
    if not spans:
        kinds[text.index(")", call.name_span[1])] = "next"
    return kinds


def branch_places(path, kinds, count, max_gap, min_p):
    """Up to `count` steps of a GreedyPath at which to take the runner-up, the smallest gaps first.

    kinds: of the path's tokens, see `token_kinds`. Steps with a gap of `max_gap` or more, or whose
    runner-up has a probability below `min_p`, are left out.
    """
    eligible = [step for step, kind in enumerate(kinds)
                if kind and path.gaps[step] < max_gap and path.runner_up_p[step] >= min_p]
    return sorted(eligible, key=lambda step: (path.gaps[step], step))[:count]
