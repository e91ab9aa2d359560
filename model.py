"""LLaMA by hand: configuration, layers, KV cache, generation, weights in and out.

    python model.py --init CONFIG.json DIR      # a random checkpoint of that architecture

Read top to bottom: Config, RMSNorm, rotary, Branches, Cache, Attention, MLP, Block, Transformer,
LoRA, generate, load, save. Parameter names and the half-split rotary layout are those of
HuggingFace checkpoints, so nothing is permuted.

B batch, T time, S cache slots, D width, H query heads, G key/value heads, V vocabulary, R rank of
an adapter.
"""

import os
import shutil
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import plumbing.environment  # noqa: F401 (before torch)

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.checkpoint import checkpoint

from plumbing.cuda import look_every, pad_length
from plumbing.files import (
    LARGEST,
    InputError,
    kind_of,
    make_folder,
    read_bytes,
    read_object,
    refuse_full,
    replacing,
    write_json,
)
from plumbing.flags import Parser, cli
from plumbing.memory import check_rank, report
from plumbing.optimizer import NotFinite
from plumbing.parallel import all_rows, barrier, is_writer, shard, whole

DTYPES = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp64": torch.float64,
}


# ------------------------------------------------------------------------------------ configuration

@dataclass(frozen=True)
class Config:
    """The keys of an HF LLaMA config.json that decide the architecture; defaults are HF's own."""
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int = 0  # 0: as many as attention heads
    head_dim: int = 0             # 0: hidden_size / num_attention_heads
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False
    bos_token_id: int = 1
    eos_token_id: int = 2


def read_config(path):
    """config.json -> Config. Raises InputError for what is missing, wrong or not implemented."""
    raw = {key: value for key, value in read_object(path).items() if value is not None}
    rope = _read_rope(raw, path)
    values = {}
    for field in fields(Config):
        value = raw.get(field.name, rope.get(field.name))
        if field.name in ("bos_token_id", "eos_token_id") and isinstance(value, list) and value:
            value = value[0]  # LLaMA 3 ends in any of several; none of these is used here
        if value is not None:
            values[field.name] = _read_value(field, value, path)
        elif field.default is MISSING:
            raise InputError(f"{path}: {field.name} is missing")
    return _with_heads(values, raw, path)


def _read_rope(raw, path):
    """The rotary settings of a config.json. Raises InputError for another architecture."""
    rope = {}
    is_scaled = False
    for key in ("rope_scaling", "rope_parameters"):  # transformers 5 writes only the latter
        given = raw.get(key)
        if not given:
            continue
        if not isinstance(given, dict):
            given = {"rope_type": given}
        if given.get("rope_type", given.get("type", "default")) != "default":
            is_scaled = True
        rope |= given
    _refuse_other_architectures(raw, rope, is_scaled, path)
    if "rope_theta" in raw and "rope_theta" in rope and raw["rope_theta"] != rope["rope_theta"]:
        raise InputError(f"{path}: rope_theta is {raw['rope_theta']!r:.60} "
                         f"and {rope['rope_theta']!r:.60}")
    return rope


def _refuse_other_architectures(raw, rope, is_scaled, path):
    """Raises InputError naming the first key that asks for what is not implemented."""
    refused = {
        "model_type": raw.get("model_type", "llama") != "llama",
        "rope_scaling": is_scaled,
        "partial_rotary_factor": "partial_rotary_factor" in raw | rope,
        "hidden_act": raw.get("hidden_act", "silu") != "silu",
        "attention_bias": raw.get("attention_bias"),
        "mlp_bias": raw.get("mlp_bias"),
    }
    for key, is_refused in refused.items():
        if is_refused:
            raise InputError(f"{path}: {key} = {raw.get(key, rope)!r} is not implemented")


def _read_value(field, value, path):
    """The value of one key in the type of its field. Raises InputError."""
    accepted = (int, float) if field.type is float else field.type
    is_right_type = isinstance(value, accepted) and isinstance(value, bool) == (field.type is bool)
    least = 1e-12 if field.name in ("rope_theta", "rms_norm_eps") else 0
    if not is_right_type or not least <= value <= LARGEST:
        raise InputError(f"{path}: {field.name} = {value!r:.60} is not a {field.type.__name__} "
                         f"from {least} to {LARGEST}")
    return field.type(value)


def _with_heads(values, raw, path):
    """The Config of these values, with the defaults of the heads filled in. Raises InputError."""
    width = values["hidden_size"]
    heads = values["num_attention_heads"]
    groups = values.get("num_key_value_heads") or heads
    sizes = (heads, groups, width, values["vocab_size"], values["intermediate_size"])
    if min(sizes) < 1 or heads % groups:
        raise InputError(f"{path}: {heads} attention heads, {groups} key/value heads, hidden_size "
                         f"{width}, vocab_size {sizes[3]}, intermediate_size {sizes[4]}")
    head_dim = values.get("head_dim") or width // heads
    if head_dim % 2 or ("head_dim" not in raw and width % heads):
        raise InputError(f"{path}: hidden_size {width} does not split into {heads} heads of even "
                         "width")
    return Config(**values | {"num_key_value_heads": groups, "head_dim": head_dim})


def warn_of_length(lengths, config, what, path):
    """Print how many of `lengths` exceed the max_position_embeddings of the model in `path`."""
    longest = config.max_position_embeddings
    beyond = sum(length > longest for length in lengths)
    if beyond:
        print(f"{beyond} of {len(lengths)} {what} are longer than the {longest} tokens that {path} "
              "was made for")


# ------------------------------------------------------------------------------------------- layers

class Linear(nn.Linear):
    """h = W x; with an adapter h = W x + (alpha / R) B A x, see `adapt`.

    No bias; computes in its input's dtype, so that fp32 master weights serve a bf16 forward.
    """

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, bias=False)
        self.adapter = None

    def forward(self, x):
        h = F.linear(x, self.weight.to(x.dtype))
        if self.adapter is None:
            return h
        return h + self.adapter(x)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps), times a learnt gain for each of the D dimensions."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # squares overflow in fp16
        normed = F.rms_norm(wide, self.weight.shape, eps=self.eps)
        return self.weight.to(x.dtype) * normed.to(x.dtype)


def rotary_angles(positions, head_dim, theta):
    """positions (B, T) -> cos, sin (B, 1, T, head_dim / 2), in fp32.

    In bf16 neighbouring positions beyond 256 would coincide.
    """
    even = torch.arange(0, head_dim, 2, device=positions.device).float()
    inv_freq = 1.0 / theta ** (even / head_dim)
    angles = positions[:, None, :, None].float() * inv_freq
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Rotary embedding of x (B, heads, T, head_dim): dimension i turns with i + head_dim / 2."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1).to(x.dtype)


# Who sees whom: `attend` is a function of q (B, H, T, head_dim), k and v (B, G, T, head_dim) and
# the layer's number -> (B, H, T, head_dim). Three follow: a causal row; a row of several answers to
# one prompt (training); a row that grows token by token (decoding).

def attend_causally(q, k, v, layer):
    """Each column sees the columns before it, and itself."""
    is_grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)


class Branches:
    """Rows of a prompt, padded to S columns, and behind it the tokens of its answers, A columns.

    Each answer goes on from the prompt's end as if it stood alone: it sees the prompt and itself.
    Prompt columns keep the fused causal kernel, and only the A answer columns take a mask: over
    10,000 columns a mask for all of them would be a hundred million entries. (The other way, to
    repeat the prompt's keys for each answer, takes K times their memory.)
    """

    def __init__(self, prompt_lengths, S, answer_of):
        """prompt_lengths (B,); answer_of (B, A): the answer of each column, -1 for padding."""
        A = answer_of.shape[1]
        columns = torch.arange(S, device=answer_of.device)
        sees_prompt = columns < prompt_lengths[:, None]  # (B, S)
        same_answer = answer_of[:, :, None] == answer_of[:, None, :]  # (B, A, A)
        self.S = S
        self.mask = torch.cat(  # (B, 1, A, S + A)
            (sees_prompt[:, None, :].expand(-1, A, -1), same_answer.tril()), dim=-1)[:, None]

    def attend(self, q, k, v, layer):
        """The `attend` of these rows."""
        S = self.S
        prompt = attend_causally(q[:, :, :S], k[:, :, :S], v[:, :, :S], layer)
        is_grouped = q.shape[1] != k.shape[1]
        answers = F.scaled_dot_product_attention(
            q[:, :, S:], k, v, attn_mask=self.mask, enable_gqa=is_grouped)
        return torch.cat((prompt, answers), dim=2)


NEAR = 64  # slots by which prompts of a group may differ: as dear to read as a call of attention


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
        self.own = like.new_zeros(R * K, K).masked_fill(~own, -torch.inf)
        self.new = torch.arange(S - K, S, device=like.device)  # (K,) the slots of the step at hand
        self.groups = self._groups()

    def _groups(self):
        """[(rows, first slot that one of them uses)]: neighbours with prompts of like length.

        Attention reads no slot before that. On CUDA all rows are one group: the shapes stay few.
        """
        if self.mask.is_cuda:
            return [(slice(None), 0)]
        groups = []
        first = None
        for row, length in enumerate(self.lengths):
            start = self.S - length
            if first is None or not first <= start < first + NEAR:
                first = start
                groups.append((slice(row, row + 1), first))
            else:
                groups[-1] = (slice(groups[-1][0].start, row + 1), first)
        return groups

    def keep(self, rows):
        """Let go of all prompts but these (B,), a mask."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.mask = self.mask[rows]
        self.lengths = [self.lengths[row] for row in rows.nonzero().flatten().tolist()]
        self.groups = self._groups()

    def advance(self, columns):
        """Make room for `columns` new slots: S for the prompts, then K for each step."""
        is_step = self.used > 0
        self.used += columns
        self.view = pad_length(self.used, self.mask.device)  # where the slots end that are read
        if is_step:
            self.new += columns  # in place: a captured step reads it
            self.mask.index_copy_(3, self.new, self.own.expand(*self.mask.shape[:3], -1))

    def read(self, q, k, v, layer):
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

    def attend(self, q, k, v, layer):
        """The `attend` of one step: the slots that `advance` made."""
        keys = self.keys[layer].index_copy_(2, self.new, k)
        values = self.values[layer].index_copy_(2, self.new, v)
        B, G = k.shape[:2]
        grouped = q.reshape(B, G, -1, q.shape[-1])  # (B, G, R K, head_dim): no key is repeated
        out = []
        for rows, first in self.groups:
            out.append(F.scaled_dot_product_attention(
                grouped[rows], keys[rows, :, first:self.view], values[rows, :, first:self.view],
                attn_mask=self.mask[rows, ..., first:self.view]))
        return torch.cat(out).reshape(q.shape)


class Attention(nn.Module):
    """H query heads attend to G key/value heads (G < H: grouped queries)."""

    def __init__(self, config, joined=False):
        """joined: q, k and v are one product, see `gather`."""
        super().__init__()
        D = config.hidden_size
        self.head_dim = config.head_dim
        self.H = config.num_attention_heads
        self.G = config.num_key_value_heads
        self.joined = joined
        if joined:
            self.qkv_proj = Linear(D, (self.H + 2 * self.G) * self.head_dim)
        else:
            self.q_proj = Linear(D, self.H * self.head_dim)
            self.k_proj = Linear(D, self.G * self.head_dim)
            self.v_proj = Linear(D, self.G * self.head_dim)
        self.o_proj = Linear(self.H * self.head_dim, D)

    def forward(self, x, cos, sin, attend, layer):
        if self.joined:
            heads = self._heads(self.qkv_proj(x))  # (B, H + 2 G, T, head_dim)
            qk, v = heads.split((self.H + self.G, self.G), dim=1)
            q, k = rotate(qk, cos, sin).split((self.H, self.G), dim=1)
        else:
            q = rotate(self._heads(self.q_proj(x)), cos, sin)  # (B, H, T, head_dim)
            k = rotate(self._heads(self.k_proj(x)), cos, sin)  # (B, G, T, head_dim)
            v = self._heads(self.v_proj(x))
        out = attend(q, k, v, layer)  # (B, H, T, head_dim)
        return self.o_proj(out.transpose(1, 2).flatten(2))  # (B, T, D)

    def _heads(self, x):
        """(B, T, heads * head_dim) -> (B, heads, T, head_dim)."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config, joined=False):
        """joined: gate and up are one product, see `gather`."""
        super().__init__()
        D = config.hidden_size
        self.joined = joined
        if joined:
            self.gate_up_proj = Linear(D, 2 * config.intermediate_size)
        else:
            self.gate_proj = Linear(D, config.intermediate_size)
            self.up_proj = Linear(D, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, D)

    def forward(self, x):
        if self.joined:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        else:
            gate = self.gate_proj(x)
            up = self.up_proj(x)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    """Attention, then MLP, each on the normalised stream and added to it."""

    def __init__(self, config, joined=False):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, joined)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config, joined)

    def forward(self, x, cos, sin, attend=attend_causally, layer=0):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, attend, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """`transformer(ids)` -> logits (B, T, V), or what `head` makes of the last hidden states.

    compute_dtype: the forward's dtype where it differs from the parameters' (bf16 over fp32).
    checkpoint_activations: recompute each block in the backward pass, keep its input alone.
    captures_steps: on CUDA, decode by replaying graphs (`_CapturedStep`).
    """

    def __init__(self, config, value_head=False, joined=False):
        """joined: q, k, v are one product, and gate, up another: a copy to decode with."""
        super().__init__()
        self.config = config
        self.joined = joined
        self.compute_dtype = None
        self.checkpoint_activations = False
        self.captures_steps = True
        D = config.hidden_size
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(config.vocab_size, D),
            "layers": nn.ModuleList(
                Block(config, joined) for _ in range(config.num_hidden_layers)),
            "norm": RMSNorm(D, config.rms_norm_eps)})
        self.lm_head = None if config.tie_word_embeddings else Linear(D, config.vocab_size)
        self.value_head = nn.Linear(D, 1) if value_head else None

    def forward(self, ids, positions=None, head=F.linear, attend=attend_causally):
        """ids (B, T) int64, right-padded; positions (B, T), 0 .. T - 1 if not given.

        head(hidden (B, T, D), output matrix (V, D)) runs inside forward, where sharded parameters
        are whole; its result is returned. With a value head: (that result, values (B, T) in fp32).
        attend: who sees whom, causal rows if not given.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        embedding = self.model.embed_tokens.weight  # (V, D)
        x = F.embedding(ids, embedding).to(self.compute_dtype or embedding.dtype)  # (B, T, D)
        cos, sin = rotary_angles(positions, self.config.head_dim, self.config.rope_theta)
        for layer, block in enumerate(self.model.layers):
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(block, x, cos, sin, attend, layer, use_reentrant=False)
            else:
                x = block(x, cos, sin, attend, layer)
        x = self.model.norm(x)
        output_matrix = embedding if self.lm_head is None else self.lm_head.weight
        out = head(x, output_matrix.to(x.dtype))
        if self.value_head is None:
            return out
        return out, self.value_head(x.to(self.value_head.weight.dtype)).squeeze(-1)


def is_finite(tensor):
    """Whether all numbers are finite. The least and the greatest tell; both are NaN if one is.

    In bf16 that is 7 times as fast as a sum.
    """
    return all(end.isfinite() for end in torch.aminmax(tensor))


def must_be_finite(logits):
    """Raises NotFinite for a logit that is infinite or no number: argmax would take any token."""
    if not is_finite(logits):
        raise NotFinite("a logit is infinite or no number")


def initialise(config, seed=0):
    """A Transformer with random fp32 weights: N(0, initializer_range) for matrices, 1 for norms."""
    torch.manual_seed(seed)
    transformer = Transformer(config)
    for parameter in transformer.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=config.initializer_range)
    return transformer


# --------------------------------------------------------------------------------------------- LoRA
#
# Low-rank adaptation (Hu et al., arXiv 2106.09685, equation 3): in every linear layer of the blocks
# h = W x + (alpha / R) B A x. W is frozen; A (R, n_in) and B (n_out, R) are trained. B starts at
# zero, so the first forward is that of the base, bit for bit. What is frozen needs neither
# gradients nor moments, and several models can stand on it: `on_trunk_of`.

class LoRA(NamedTuple):
    """What is asked of the adapters."""
    rank: int
    alpha: float
    seed: int  # of A


def lora_of(flags):
    """The LoRA that --lora-rank and --lora-alpha ask for, or None."""
    if not flags.lora_rank:
        return None
    return LoRA(flags.lora_rank, flags.lora_alpha or 2.0 * flags.lora_rank, flags.seed)


def stored_dtype(flags):
    """The dtype in which a model is held: --dtype where it is frozen, fp32 where it is trained."""
    return DTYPES[flags.dtype] if flags.lora_rank else torch.float32


class Adapter(nn.Module):
    """(alpha / R) B A x, which a Linear adds to W x."""

    def __init__(self, n_in, n_out, lora):
        super().__init__()
        self.A = nn.Parameter(torch.empty(lora.rank, n_in))
        self.B = nn.Parameter(torch.empty(n_out, lora.rank))
        self.scale = lora.alpha / lora.rank

    def forward(self, x):
        low = F.linear(x, self.A.to(x.dtype))  # (B, T, R)
        return F.linear(low, self.B.to(x.dtype)) * self.scale

    def product(self):
        """(alpha / R) B A, (n_out, n_in). Of shards all processes call it together."""
        return (whole(self.B.detach()) @ whole(self.A.detach())).mul_(self.scale)


def is_adapter(name):
    """Whether a parameter of this name belongs to an adapter."""
    return ".adapter." in name


def adapt(transformer, lora):
    """Freeze a Transformer on the meta device, and give every Linear of its blocks an Adapter.

    Adapters are in fp32 at least; only they and a value head are trained. Raises InputError.
    """
    check_rank(transformer.config, lora.rank)
    transformer.requires_grad_(False)
    linears = [m for m in transformer.model.layers.modules() if isinstance(m, Linear)]
    for linear in linears:
        wide = torch.promote_types(linear.weight.dtype, torch.float32)
        with torch.device("meta"):
            linear.adapter = Adapter(linear.in_features, linear.out_features, lora).to(wide)
    if transformer.value_head is not None:
        transformer.value_head.requires_grad_(True)


@torch.no_grad()
def start_adapters(transformer, lora, own_rows):
    """A: uniform up to 1 / sqrt(n_in), as in the authors' code; B: zero. own_rows: as in `load`."""
    generator = torch.Generator().manual_seed(lora.seed)
    for name, parameter in transformer.named_parameters():
        mine, rows = own_rows(parameter)
        if name.endswith(".adapter.A"):
            bound = parameter.shape[1] ** -0.5
            A = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            mine.copy_(A[rows])  # the same on any number of processes
        elif name.endswith(".adapter.B"):
            mine.zero_()


def on_trunk_of(transformer, value_head=False, shard=None, lora=None):
    """Another Transformer on the same frozen weights, with adapters of its own, or without any.

    value_head: add one, zero. shard: as in `load`. All of it is frozen but what `adapt` trains.
    """
    like = transformer.model.embed_tokens.weight
    other = _outline(transformer.config, like.dtype, value_head, lora)
    own_rows = shard(other) if shard else all_rows
    for name, parameter in list(other.named_parameters()):
        is_own = is_adapter(name) or name.startswith("value_head")
        if is_own:
            tensor = torch.zeros_like(parameter, device=like.device)
        else:
            tensor = transformer.get_parameter(name).detach()
        path, _, leaf = name.rpartition(".")
        setattr(other.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=is_own))
    if lora:
        start_adapters(other, lora, own_rows)
    return other


def merged(transformer, name, dtype):
    """The weight of this name, whole, in `dtype`; where it has an adapter, W + (alpha / R) B A.

    They are added in fp32 at least, then cast. Of shards all processes call it together.
    """
    weight = transformer.get_parameter(name).detach()
    layer = transformer.get_submodule(name.rpartition(".")[0])
    if getattr(layer, "adapter", None) is None:
        return whole(weight.to(dtype))
    return layer.adapter.product().add_(whole(weight)).to(dtype)


# --------------------------------------------------------------------------------------- generation

class Answer(NamedTuple):
    ids: list[int]  # new tokens only, without </s>
    ended: bool     # whether </s> came within the limit


@torch.no_grad()  # never inference_mode: it breaks the next training forward of a sharded model
def generate(transformer, prompts, max_new_tokens, eos_id, temperature=0.0, generator=None,
             samples=1):
    """Continue each prompt (a non-empty list of ids; lengths may differ) -> Answers, in order.

    samples: answers to each prompt, one after the other in the result; a prompt is read once.
    temperature 0 is greedy, otherwise plain softmax sampling (no top-k, no top-p) with `generator`:
    one for all answers, or a list with one for each; then what an answer draws does not depend on
    the other rows of the batch. Raises NotFinite for a logit that is infinite or no number.
    """
    if not all(prompts):
        raise ValueError("generate: an empty prompt has no next token")
    transformer = gather(transformer)  # decoding reads every weight for every token
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
    is_captured = like.is_cuda and transformer.captures_steps
    step_logits = _CapturedStep(transformer) if is_captured else partial(_step_logits, transformer)
    logits = _last_logits(transformer, prompts, lengths, cache)[:, None]  # (B, 1, V): of all K
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
        logits = step_logits(token, positions, cache)  # (B, K, V)
    places = torch.tensor(order).argsort().to(like.device)  # of the prompts as they were given
    tokens = tokens[places].flatten(0, 1)  # (B K, max_new_tokens)
    return [_answer(row[:step + 1], eos_id) for row in tokens.tolist()]


def _last_logits(transformer, prompts, lengths, cache):
    """Read the prompts -> logits (B, V) of the token after each; no other column meets the head.

    They are read end to end as one row: no product is spent on padding.
    """
    device = lengths.device
    cache.advance(int(lengths.max()))
    ids = torch.tensor([list(chain.from_iterable(prompts))], device=device)  # (1, N)
    positions = torch.cat([torch.arange(len(prompt), device=device) for prompt in prompts])
    last = lengths.cumsum(0) - 1  # (B,)
    return transformer(
        ids, positions[None], attend=cache.read,
        head=lambda hidden, output_matrix: F.linear(hidden[0, last], output_matrix))


def _step_logits(transformer, token, positions, cache):
    """One more token of every answer, (B, K), at its position -> logits (B, K, V) of the next."""
    cache.advance(token.shape[1])
    return transformer(token, positions, attend=cache.attend)


class _CapturedStep:
    """`_step_logits` as a CUDA graph: one launch in place of some hundred a layer.

    A graph is captured for each number of rows and each width of the cache's view, of which there
    are few (`plumbing.cuda.pad_length`). The logits are overwritten by the next step.
    """

    def __init__(self, transformer):
        self.transformer = transformer
        self.shape = None
        self.pool = torch.cuda.graph_pool_handle()  # all graphs use the same memory, in turn

    def __call__(self, token, positions, cache):
        cache.advance(token.shape[1])
        shape = (token.shape, cache.view)
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
        self.transformer(self.token, self.positions, attend=cache.attend)
        graph = torch.cuda.CUDAGraph()
        # thread_local: the threads of NCCL may ask for their events meanwhile
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            self.logits = self.transformer(self.token, self.positions, attend=cache.attend)
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


# what a copy to decode with holds as one matrix -> the parameters in it, from top to bottom
JOINED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


@torch.no_grad()
def gather(transformer):
    """A copy to decode with: whole weights in the compute dtype, and few products: see JOINED.

    All processes call it together; after it each decodes alone, for as long as its answers take.
    Where no weight is spread, cast or adapted, the copy shares the transformer's memory.
    """
    if transformer.joined:
        return transformer
    dtype = transformer.compute_dtype or transformer.model.embed_tokens.weight.dtype
    with torch.device("meta"):
        copy = Transformer(transformer.config, joined=True)
    copy.captures_steps = transformer.captures_steps
    for name, _ in copy.named_parameters():
        path, _, leaf = name.rpartition(".")
        above, _, last = path.rpartition(".")
        if last in JOINED:
            tensor = _join(transformer, [f"{above}.{part}.{leaf}" for part in JOINED[last]], dtype)
        else:
            tensor = merged(transformer, name, dtype)
        setattr(copy.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
    return copy


def _join(transformer, names, dtype):
    """Matrices (n, D) one below the other, as one; if it can be, the parts become views of it."""
    parts = [transformer.get_parameter(name) for name in names]
    first = parts[0]
    is_adapted = transformer.get_submodule(names[0].rpartition(".")[0]).adapter is not None
    if hasattr(first, "full_tensor") or first.dtype != dtype or is_adapted:
        return torch.cat([merged(transformer, name, dtype) for name in names])
    heights = [len(part) for part in parts]
    if not _are_joined(parts):  # once: training goes on in the joined matrix
        joined = torch.cat([part.detach() for part in parts])
        for part, rows in zip(parts, joined.split(heights), strict=True):
            part.data = rows
    return first.detach().as_strided((sum(heights), first.shape[1]), first.stride())


def _are_joined(parts):
    """Whether matrices lie one behind the other in one piece of memory."""
    storage = parts[0].untyped_storage().data_ptr()
    offset = parts[0].storage_offset()
    for part in parts:
        if part.untyped_storage().data_ptr() != storage or part.storage_offset() != offset:
            return False
        offset += part.numel()
    return True


# ------------------------------------------------------------------------------- weights in and out
#
# A checkpoint is a folder in HuggingFace's layout: config.json with model.safetensors, or shards
# and their index. Tensors are read one at a time, and every process reads only the rows that it
# holds; a file of at most `shard_bytes` is gathered and written at a time. So no process ever needs
# two models.

STORED = ("F32", "BF16", "F16", "F64")  # the dtypes that are read, in safetensors' own words
FIRST = "model.embed_tokens.weight"     # a parameter that every model has


class Stored(NamedTuple):
    """Where a parameter is stored, and under which name."""
    file: Path
    name: str


def weight_files(path):
    """{parameter name: Stored} of an HF-layout directory. Raises InputError.

    A prefix that all names have is stripped with a line, and the rotary frequencies, which older
    checkpoints store, are left out: they are computed here.
    """
    index = Path(path, "model.safetensors.index.json")
    single = Path(path, "model.safetensors")
    if kind_of(index):
        files = _read_index(index)
        if kind_of(single) and set(files.values()) != {single}:
            raise InputError(f"{path}: two sets of weights, {single.name} and the files that "
                             f"{index.name} names; remove those that are not the model's")
    else:
        _refuse_pickles(path, single)
        files = dict.fromkeys(_open_weights(single).keys(), single)
    files = {name: file for name, file in files.items()
             if not name.endswith("rotary_emb.inv_freq")}
    prefix = _common_prefix(files)
    if prefix:
        print(f"{path}: the names of all weights begin with {prefix}, which is left out")
    return {name.removeprefix(prefix): Stored(file, name) for name, file in files.items()}


def _common_prefix(names):
    """What a wrapper (torch.compile, DDP, PEFT) put before every name; "" where nothing did."""
    first = next((name for name in names if name.endswith(FIRST)), "")
    prefix = first.removesuffix(FIRST)
    is_common = prefix.endswith(".") and all(name.startswith(prefix) for name in names)
    return prefix if is_common else ""


def _refuse_pickles(path, single):
    """Raises InputError if the weights are in pickled files alone, with the way out."""
    if kind_of(single):
        return
    shards = sorted(Path(path).glob("model-*.safetensors"))
    pickles = sorted(Path(path).glob("pytorch_model*.bin"))
    if pickles:
        raise InputError(f"{path}: its weights are pickled ({pickles[0].name}), which is not read; "
                         f"`python -m plumbing.unpickle {path}` writes them as safetensors")
    if shards:
        raise InputError(f"{path}: {shards[0].name}, but no {single.name}.index.json, which says "
                         "what is in each file")


def _read_index(index):
    """{parameter name: safetensors file} of an index beside the files. Raises InputError."""
    weight_map = read_object(index).get("weight_map")
    is_map = isinstance(weight_map, dict) and all(
        isinstance(file, str) and file == os.path.basename(file) for file in weight_map.values())
    if not is_map:
        raise InputError(f"{index}: has no weight_map of names to files beside it")
    return {name: index.parent / file for name, file in weight_map.items()}


def _open_weights(file):
    if kind_of(file) != "file":
        raise InputError(f"{str(file)[:200]}: no such weights file")
    try:
        return safe_open(file, framework="pt")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{file}: damaged or cut off ({error})") from None


def load(path, dtype=torch.float32, device="cpu", value_head=False, shard=None, lora=None):
    """HF-layout directory -> Transformer with parameters of `dtype`, read one tensor at a time.

    value_head: add one, read from the files where they have it, zero otherwise; fp32 at least.
    shard: spreads the parameters over processes, as `parallel.shard` does; each reads its own rows.
    lora: freeze all that is read, and train adapters (`adapt`).
    Raises InputError naming missing or unexpected parameters, wrong shapes, and unreadable files.
    """
    config = read_config(Path(path, "config.json"))
    files = weight_files(path)
    layers = config.num_hidden_layers
    if layers > len(files):  # said before so many layers are made
        raise InputError(f"{path}: {layers} layers, but only {len(files)} tensors")
    transformer = _outline(config, dtype, value_head, lora)
    shapes = {name: parameter.shape for name, parameter in transformer.named_parameters()}
    tied_head = None
    if config.tie_word_embeddings:
        tied_head = files.pop("lm_head.weight", None)  # some writers store the one matrix twice
    _check_names(path, shapes, files)
    own_rows = shard(transformer) if shard else all_rows
    transformer.to_empty(device=device)
    for name, parameter in transformer.named_parameters():
        mine, rows = own_rows(parameter)
        if name in files:
            _read_rows(files[name], shapes[name], mine, rows)
        else:
            mine.zero_()  # a new value head: while values are 0, returns are advantages
        if tied_head and name == "model.embed_tokens.weight":
            _check_tied(tied_head, name, shapes[name], mine, rows)
    if lora:
        start_adapters(transformer, lora, own_rows)
    return transformer


def load_for_training(flags, device, value_head=False):
    """The Transformer that --model, --dtype and --lora-rank ask for; what it trains is in fp32.

    Its parameters are spread over the processes. Raises InputError, as `load` does.
    """
    dtype = DTYPES[flags.dtype]
    transformer = load(
        flags.model, stored_dtype(flags), device, value_head,
        shard=partial(shard, device=device, dtype=dtype), lora=lora_of(flags))
    transformer.compute_dtype = dtype
    transformer.checkpoint_activations = flags.checkpoint_activations
    return transformer


def print_plan(plan, flags):
    """What --plan prints, of the model in --model. plan: memory.plan_sft, plan_ppo or plan_dpo."""
    config = read_config(Path(flags.model, "config.json"))
    print(*report(plan, config, flags), sep="\n")


def _outline(config, dtype, value_head, lora):
    """A Transformer on the meta device: names, shapes and dtypes, and what is trained."""
    with torch.device("meta"):
        transformer = Transformer(config, value_head).to(dtype)
    if value_head:
        transformer.value_head.to(torch.promote_types(dtype, torch.float32))
    if lora:
        adapt(transformer, lora)
    return transformer


def _check_names(path, shapes, files):
    """Raises InputError unless the files hold every parameter that is not made here, and no other.
    """
    missing = sorted(name for name in shapes.keys() - files.keys()
                     if not (name.startswith("value_head") or is_adapter(name)))
    unexpected = sorted(files.keys() - shapes.keys())
    if missing or unexpected:
        raise InputError(f"{path}: missing {_some(missing)}, unexpected {_some(unexpected)}")


def _some(names):
    """The first names of a list, and how many there are in all.

    >>> _some(["a", "b"]), _some(list("abcdefg"))
    ('a, b', 'a, b, c, d, ... (7)')
    """
    if len(names) > 5:
        return ", ".join(names[:4]) + f", ... ({len(names)})"
    return ", ".join(names) or "none"


def _check_tied(stored, name, shape, mine, rows):
    """Raises InputError if a tied model's second matrix is not the first, whose rows are `mine`."""
    second = torch.empty_like(mine)
    _read_rows(stored, shape, second, rows)
    if not torch.equal(mine, second):
        raise InputError(f"{stored.file}: lm_head.weight is not {name}, "
                         "though config.json ties them")


def _read_rows(stored, shape, mine, rows):
    """Fill `mine` with these rows of a tensor. Each call opens the file: memory is let go."""
    file, name = stored
    with _open_weights(file) as tensors:
        try:
            tensor = tensors.get_slice(name)
        except SafetensorError:
            raise InputError(f"{file}: does not hold {name}") from None
        if tensor.get_shape() != list(shape):
            raise InputError(f"{file}: {name} has shape {tensor.get_shape()}, "
                             f"config.json asks for {list(shape)}")
        if tensor.get_dtype() not in STORED:
            raise InputError(
                f"{file}: {name} is {tensor.get_dtype()}; {', '.join(STORED)} are read")
        if not mine.numel():
            return
        mine.copy_(tensors.get_tensor(name) if rows == slice(None) else tensor[rows])
        if not is_finite(mine):
            raise InputError(f"{file}: {name} holds numbers that are not finite as {mine.dtype}")


def save(transformer, path, dtype=None, shard_bytes=5 * 10**9):
    """Transformer -> HF-layout directory: config.json, and model.safetensors or shards with index.

    dtype: of the stored weights, by default that of the parameters; adapters are `merged`. Every
    file is written aside and renamed, config.json last. Processes that share the model all call it:
    tensors are gathered one at a time, and the first process writes a file as soon as it is full.
    Raises InputError for numbers that are not finite, which no loader should get, and for what
    cannot be written.
    """
    path = Path(path)
    make_folder(path, "checkpoint")
    parameters = {name: parameter for name, parameter in transformer.named_parameters()
                  if not is_adapter(name)}
    dtypes = {name: dtype or parameter.dtype for name, parameter in parameters.items()}
    sizes = {name: parameter.numel() * dtypes[name].itemsize
             for name, parameter in parameters.items()}
    shards = _split(sizes, shard_bytes)
    writes = is_writer()
    if writes:
        refuse_full(path, sum(sizes.values()), "the model")
    for file, names in shards.items():
        tensors = {}
        for name in names:
            tensor = merged(transformer, name, dtypes[name])  # every process takes part
            if not is_finite(tensor):
                raise InputError(f"{path / file}: not written, since {name} holds numbers that "
                                 "are not finite")
            if writes:
                tensors[name] = tensor.cpu().contiguous()
        if writes:
            _write_weights(tensors, path / file)
    if writes:
        if len(shards) > 1:
            _write_index(shards, sum(sizes.values()), path)
        _remove_older(shards, path)
        _write_config(transformer.config, next(iter(dtypes.values())), path)


def _split(sizes, shard_bytes):
    """{file name: names of its parameters}, in order; each of `shard_bytes` at most, if it can."""
    shards = []
    used = 0
    for name, size in sizes.items():
        if not shards or used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{i:05d}-of-{len(shards):05d}.safetensors": names
            for i, names in enumerate(shards, 1)}


def _write_weights(tensors, file):
    with replacing(file) as aside:
        save_file(tensors, aside, metadata={"format": "pt"})  # transformers asks for the format
        os.chmod(aside, 0o644)  # safetensors writes for the owner alone


def _write_index(shards, total_size, path):
    """Write which file holds which tensor."""
    weight_map = {}
    for file, names in shards.items():
        weight_map |= dict.fromkeys(names, file)
    write_json(path / "model.safetensors.index.json",
               {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def _remove_older(shards, path):
    """Remove the files that an earlier save left under other names."""
    for old in path.glob("model*.safetensors*"):
        is_index = old.suffix == ".json" and len(shards) > 1
        if old.name not in shards and not is_index:
            old.unlink()


def _write_config(config, dtype, path):
    write_json(path / "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "torch_dtype": str(dtype).removeprefix("torch."),
        **asdict(config),
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta}})


def export(transformer, tokenizer, path):
    """The result of a training run: `save` and the tokenizer, for any LLaMA loader.

    The ids that begin and end a text are the tokenizer's, with which the model was trained: those
    of the config.json that it came with may be others, and other libraries then generate on through
    `</s>`. A value head stays behind: no loader would know it. Every process calls it.
    """
    ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    transformer.config = replace(transformer.config, **ids)
    if is_writer():
        write_json(path / "generation_config.json", ids)
        with replacing(path / "tokenizer.model") as aside:
            shutil.copyfile(tokenizer.path, aside)
    value_head = transformer.value_head
    transformer.value_head = None
    save(transformer, path)
    transformer.value_head = value_head
    barrier()
    print(f"checkpoint: {path}")


def main():
    """The command line; see the top of this file."""
    parser = Parser(description="Write a randomly initialised checkpoint.")
    parser.add_argument("--init", nargs=2, metavar=("CONFIG.json", "DIR"), required=True)
    parser.add_argument("--tokenizer", help="a SentencePiece model to copy into DIR")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    config_file, folder = flags.init
    if kind_of(Path(folder, "config.json")):
        raise InputError(f"--init {folder}: holds a model already; name another, or remove it")
    if not 0 <= flags.seed <= LARGEST:
        raise InputError(f"--seed {flags.seed}: must be a number from 0 to {LARGEST}")
    pieces = read_bytes(flags.tokenizer) if flags.tokenizer else None
    transformer = initialise(read_config(config_file), flags.seed)
    save(transformer, folder, DTYPES[flags.dtype])
    if pieces is not None:
        with replacing(Path(folder, "tokenizer.model")) as aside:
            aside.write_bytes(pieces)
    print(f"{folder}: {sum(p.numel() for p in transformer.parameters()):,} parameters")


if __name__ == "__main__":
    cli(main)
