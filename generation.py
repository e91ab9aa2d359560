"""Answers to prompts, token by token: a key/value cache, CUDA graphs, and a copy to decode with.

B prompts, K answers to each, S tokens of the longest prompt; D width, H query heads, G key/value
heads, R = H / G, V vocabulary.
"""

from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from llama import Transformer, attend_causally
from lora import merged
from plumbing.cuda import look_every, pad_length
from plumbing.optimizer import must_be_finite
from plumbing.parallel import is_spread

# --------------------------------------------------------------------------------------- generation

class Answer(NamedTuple):
    """What was generated for one prompt."""
    ids: list[int]  # new tokens only, without </s>
    ended: bool     # whether </s> came within the limit


@torch.no_grad()  # never inference_mode: it breaks the next training forward of a sharded model
def generate(transformer, prompts, max_new_tokens, eos_id, temperature=0.0, generator=None,
             samples=1):
    """Continue each prompt (a non-empty list of ids; lengths may differ) -> Answers, in order.

    samples: answers to each prompt, one after the other in the result; a prompt is read once.
    temperature 0 is greedy, otherwise plain softmax sampling (no top-k, no top-p) with `generator`:
    one for all answers, or a list with one for each; then what an answer draws does not depend on
    the other rows of the batch. Raises NotFinite for a logit that is infinite or no number; on
    CUDA it looks at every 16th token, and at the last: what is no number stays so.
    """
    if not all(prompts):
        raise ValueError("generate: an empty prompt has no next token")
    transformer = decoding_copy(transformer)  # decoding reads every weight for every token
    if not prompts or not max_new_tokens:
        return [Answer([], False) for _ in range(len(prompts) * samples)]
    like = transformer.model.embed_tokens.weight
    B = len(prompts)
    order = sorted(range(B), key=lambda i: -len(prompts[i]))  # neighbours have like lengths
    prompts = [prompts[i] for i in order]
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=like.device)  # (B,)
    cache = Cache(transformer.config, lengths, int(lengths.max()), samples, max_new_tokens, like)
    uniforms = None
    if temperature:
        uniforms = _uniforms(generator, B * samples, max_new_tokens).to(like.device)
        uniforms = uniforms.view(B, samples, max_new_tokens)[order]
    tokens = torch.full((B, samples, max_new_tokens), eos_id, device=like.device)
    rows = torch.arange(B, device=like.device)  # of the prompts that are still answered
    ended = torch.zeros(B, samples, dtype=torch.bool, device=like.device)  # of these, each answer
    uses_graphs = like.is_cuda and transformer.uses_cuda_graphs
    decode_step = _CudaGraphStep(transformer) if uses_graphs else partial(_decode_step, transformer)
    logits = _prefill(transformer, prompts, lengths, cache)[:, None]  # (B, 1, V): of all K
    for step in range(max_new_tokens):
        looks = step % look_every(like.device) == 0
        if looks:
            must_be_finite(logits)
        if temperature == 0:
            token = logits.argmax(-1).expand(-1, samples)  # (B, K)
        else:
            token = _sample(logits, temperature, uniforms[rows, :, step])
        tokens[rows, :, step] = token
        ended |= token == eos_id
        if step + 1 == max_new_tokens:
            break
        if looks:
            done = ended.all(-1)  # (B,)
            n_done = int(done.sum())
            if n_done == len(rows):
                break
            if 2 * n_done >= len(rows):  # copying what is left is worth it: half of it goes
                cache.keep(~done)
                token = token[~done]
                ended = ended[~done]
                rows = rows[~done]
        positions = (lengths[rows] + step)[:, None].expand(-1, samples)
        logits = decode_step(token, positions, cache)  # (B, K, V)
    must_be_finite(logits)
    places = torch.tensor(order).argsort().to(like.device)  # of the prompts as they were given
    tokens = tokens[places].flatten(0, 1)  # (B K, max_new_tokens)
    return [_answer(row[:step + 1], eos_id) for row in tokens.tolist()]


def _prefill(transformer, prompts, lengths, cache):
    """Read the prompts -> logits (B, V) of the token after each; no other column meets the head.

    They are read end to end as one row: no product is spent on padding.
    """
    device = lengths.device
    cache.advance(int(lengths.max()))
    ids = torch.tensor([list(chain.from_iterable(prompts))], device=device)  # (1, N)
    positions = torch.cat([torch.arange(len(prompt), device=device) for prompt in prompts])
    last = lengths.cumsum(0) - 1  # (B,)
    return transformer(
        ids, positions[None], attend=cache.prefill,
        head=lambda hidden, output_matrix: F.linear(hidden[0, last], output_matrix))


def _decode_step(transformer, token, positions, cache):
    """One more token of every answer, (B, K), at its position -> logits (B, K, V) of the next."""
    cache.advance(token.shape[1])
    return transformer(token, positions, attend=cache.decode)


class _CudaGraphStep:
    """`_decode_step` as a CUDA graph: one launch in place of some hundred a layer.

    A graph is captured for each number of rows and each end of the slots that are read, of
    which there are few (`plumbing.cuda.pad_length`). The logits are overwritten by the next step.
    """

    def __init__(self, transformer):
        self.transformer = transformer
        self.shape = None
        self.pool = torch.cuda.graph_pool_handle()  # all graphs use the same memory, in turn

    def __call__(self, token, positions, cache):
        cache.advance(token.shape[1])
        shape = (token.shape, cache.read_end)
        if shape == self.shape:
            self.token.copy_(token)
            self.positions.copy_(positions)
        else:
            self._capture(token, positions, cache)
            self.shape = shape
        self.graph.replay()
        return self.logits

    def _capture(self, token, positions, cache):
        self.token = token.clone()
        self.positions = positions.clone()
        # once as it is: libraries load what they need outside the capture; writes the same slots
        self.transformer(self.token, self.positions, attend=cache.decode)
        graph = torch.cuda.CUDAGraph()
        # thread_local: the threads of NCCL may ask for their events meanwhile
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            self.logits = self.transformer(self.token, self.positions, attend=cache.decode)
        self.graph = graph  # the older one lived until here: a pool must not be without any


def _sample(logits, temperature, uniform):
    """Tokens (B, K) from softmax(logits (B, 1 or K, V) / temperature), by inversion of uniform."""
    cumulative = (logits.float() / temperature).softmax(-1).cumsum(-1)
    cumulative = cumulative.expand(*uniform.shape, -1).contiguous()
    # the largest float below 1: what rounds to 1 would pass the last sum, to the last token
    uniform = uniform.float().clamp(max=1 - 2**-24)
    drawn = uniform[..., None] * cumulative[..., -1:]  # the last sum may fall short of 1
    token = torch.searchsorted(cumulative, drawn, right=True).squeeze(-1)
    return token.clamp(max=logits.shape[-1] - 1)


def _uniforms(generator, rows, columns):
    """Numbers of [0, 1), float64 (rows, columns), drawn on the CPU: the same on every device."""
    if isinstance(generator, list):
        drawn = [torch.rand(columns, dtype=torch.float64, generator=one) for one in generator]
        return torch.stack(drawn)
    return torch.rand(rows, columns, dtype=torch.float64, generator=generator)


def _answer(row, eos_id):
    """The Answer in a row of new tokens, which go on after `</s>` while other rows do not end."""
    if eos_id in row:
        return Answer(row[:row.index(eos_id)], True)
    return Answer(row, False)


# ---------------------------------------------------------------------------------------- the cache

# longest difference of prompts in a group, in slots: reading 64 more costs about as much as one
# more call of attention
NEAR = 64


class Cache:
    """Keys and values of B prompts, whose last tokens lie in slot S - 1, and of K answers to each.

    Slot S + K t + i holds token t of answer i, so that a step of all K answers is K new slots. The
    mask hides what lies before a prompt, the other answers, and the slots to come. Slots of a head
    lie side by side, which attention reads fastest.
    """

    def __init__(self, config, prompt_lengths, S, K, steps, like):
        """prompt_lengths (B,); steps: tokens of the longest answer; like: dtype and device."""
        B = len(prompt_lengths)
        self.S = S
        self.slots = pad_length(S + K * steps, like.device)
        shape = (B, config.num_key_value_heads, self.slots, config.head_dim)
        layers = range(config.num_hidden_layers)
        self.keys = [like.new_zeros(shape) for _ in layers]
        self.values = [like.new_zeros(shape) for _ in layers]
        self.used = 0  # slots written so far
        self.lengths = prompt_lengths.tolist()
        # added to scores; once for all layers; the H / G query heads of a group have a row each
        R = config.num_attention_heads // config.num_key_value_heads
        slot = torch.arange(self.slots, device=like.device)
        is_prompt = (slot >= S - prompt_lengths[:, None]) & (slot < S)  # (B, slots)
        hidden = like.new_zeros(is_prompt.shape).masked_fill(~is_prompt, -torch.inf)
        self.mask = hidden[:, None, None].repeat(1, 1, R * K, 1)  # (B, 1, R K, slots)
        own = torch.eye(K, dtype=torch.bool, device=like.device).repeat(R, 1)  # (R K, K)
        self.own_answer = like.new_zeros(R * K, K).masked_fill(~own, -torch.inf)
        self.new_slots = torch.arange(S - K, S, device=like.device)  # (K,) of the step at hand
        self.row_groups = self._row_groups()

    def _row_groups(self):
        """[(rows, first slot that one of them uses)]: neighbours with prompts of like length.

        Attention reads no slot before that. On CUDA all rows are one group: the shapes stay few.
        """
        if self.mask.is_cuda:
            return [(slice(None), 0)]
        row_groups = []
        first = None
        for row, length in enumerate(self.lengths):
            start = self.S - length
            if first is None or not first <= start < first + NEAR:
                first = start
                row_groups.append((slice(row, row + 1), first))
            else:
                row_groups[-1] = (slice(row_groups[-1][0].start, row + 1), first)
        return row_groups

    def keep(self, rows):
        """Let go of all prompts but these (B,), a mask."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.mask = self.mask[rows]
        self.lengths = [self.lengths[row] for row in rows.nonzero().flatten().tolist()]
        self.row_groups = self._row_groups()

    def advance(self, columns):
        """Make room for `columns` new slots: S for the prompts, then K for each step."""
        is_step = self.used > 0
        self.used += columns
        self.read_end = pad_length(self.used, self.mask.device)  # end of the slots that are read
        if is_step:
            self.new_slots += columns  # in place: a CUDA graph reads it
            own_answer = self.own_answer.expand(*self.mask.shape[:3], -1)
            self.mask.index_copy_(3, self.new_slots, own_answer)

    def prefill(self, q, k, v, layer):
        """The `attend` of the prompts, which stand one behind the other in a single row."""
        out = []
        start = 0
        for row, length in enumerate(self.lengths):
            here = slice(start, start + length)
            some_k = k[:, :, here]
            some_v = v[:, :, here]
            self.keys[layer][row, :, self.S - length:self.S] = some_k[0]
            self.values[layer][row, :, self.S - length:self.S] = some_v[0]
            out.append(attend_causally(q[:, :, here], some_k, some_v, layer))
            start += length
        return torch.cat(out, dim=2)

    def decode(self, q, k, v, layer):
        """The `attend` of one step: the slots that `advance` made."""
        keys = self.keys[layer].index_copy_(2, self.new_slots, k)
        values = self.values[layer].index_copy_(2, self.new_slots, v)
        B, G = k.shape[:2]
        grouped = q.reshape(B, G, -1, q.shape[-1])  # (B, G, R K, head_dim): no key is repeated
        out = []
        for rows, first in self.row_groups:
            seen = slice(first, self.read_end)
            out.append(F.scaled_dot_product_attention(
                grouped[rows], keys[rows, :, seen], values[rows, :, seen],
                attn_mask=self.mask[rows, ..., seen]))
        return torch.cat(out).reshape(q.shape)


# ---------------------------------------------------------------------------- a copy to decode with

# one matrix of a decoding copy -> the matrices of the model that it is made of, from top to bottom
FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


@torch.no_grad()
def decoding_copy(transformer):
    """A copy to decode with: weights whole, in the compute dtype, adapters merged, few products.

    q, k and v are one product, gate and up another (FUSED).
    All processes call it together; after it each decodes alone, for as long as its answers take.
    Where no weight is spread, cast or adapted, the copy shares the transformer's memory.
    """
    if transformer.fused:
        return transformer
    dtype = transformer.compute_dtype or transformer.model.embed_tokens.weight.dtype
    with torch.device("meta"):
        copy = Transformer(transformer.config, fused=True)
    copy.uses_cuda_graphs = transformer.uses_cuda_graphs
    for name, _ in copy.named_parameters():
        path, _, leaf = name.rpartition(".")
        above, _, last = path.rpartition(".")
        if last in FUSED:
            tensor = _fuse(transformer, [f"{above}.{part}.{leaf}" for part in FUSED[last]], dtype)
        else:
            tensor = merged(transformer, name, dtype)
        setattr(copy.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
    return copy


def _fuse(transformer, names, dtype):
    """Matrices (n, D) one below the other, as one; if it can be, the parts become views of it."""
    parts = [transformer.get_parameter(name) for name in names]
    first = parts[0]
    is_adapted = transformer.get_submodule(names[0].rpartition(".")[0]).adapter is not None
    if is_spread(first) or first.dtype != dtype or is_adapted:
        return torch.cat([merged(transformer, name, dtype) for name in names])
    heights = [len(part) for part in parts]
    if not _are_fused(parts):  # once: training goes on in the fused matrix
        fused = torch.cat([part.detach() for part in parts])
        for part, rows in zip(parts, fused.split(heights), strict=True):
            part.data = rows
    return first.detach().as_strided((sum(heights), first.shape[1]), first.stride())


def _are_fused(parts):
    """Whether matrices lie one behind the other in one piece of memory."""
    storage = parts[0].untyped_storage().data_ptr()
    offset = parts[0].storage_offset()
    for part in parts:
        if part.untyped_storage().data_ptr() != storage or part.storage_offset() != offset:
            return False
        offset += part.numel()
    return True
