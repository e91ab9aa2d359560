"""LLaMA by hand: its configuration, its layers, and the model made of them.

Read top to bottom: Config, Linear, RMSNorm, rotary, Attention, MLP, Block, Transformer. What is
below them, the reader of config.json, can wait. Parameter names and the half-split rotary layout
are those of HuggingFace checkpoints, so nothing is permuted.

B batch, T time, D width, H query heads, G key/value heads, V vocabulary.
"""

from dataclasses import MISSING, dataclass, fields

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from plumbing.files import LARGEST, InputError, read_object

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


# ------------------------------------------------------------------------------------------- layers

class Linear(nn.Linear):
    """h = W x; with an adapter h = W x + (alpha / R) B A x, see `lora.add_adapters`.

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
# the layer's number -> (B, H, T, head_dim). Here, a causal row. Others: a row of several answers to
# one prompt (groups.Branches, to train), rows that grow token by token (generation.Cache, and
# branches.PathCache, whose answers share a beginning).

def attend_causally(q, k, v, layer):
    """Each column sees the columns before it, and itself."""
    is_grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)


class Attention(nn.Module):
    """H query heads attend to G key/value heads (G < H: grouped queries)."""

    def __init__(self, config, fused=False):
        """fused: q, k and v are one product, see `generation.decoding_copy`."""
        super().__init__()
        D = config.hidden_size
        self.head_dim = config.head_dim
        self.H = config.num_attention_heads
        self.G = config.num_key_value_heads
        self.fused = fused
        if fused:
            self.qkv_proj = Linear(D, (self.H + 2 * self.G) * self.head_dim)
        else:
            self.q_proj = Linear(D, self.H * self.head_dim)
            self.k_proj = Linear(D, self.G * self.head_dim)
            self.v_proj = Linear(D, self.G * self.head_dim)
        self.o_proj = Linear(self.H * self.head_dim, D)

    def forward(self, x, cos, sin, attend, layer):
        if self.fused:
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

    def __init__(self, config, fused=False):
        """fused: gate and up are one product, see `generation.decoding_copy`."""
        super().__init__()
        D = config.hidden_size
        self.fused = fused
        if fused:
            self.gate_up_proj = Linear(D, 2 * config.intermediate_size)
        else:
            self.gate_proj = Linear(D, config.intermediate_size)
            self.up_proj = Linear(D, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, D)

    def forward(self, x):
        if self.fused:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        else:
            gate = self.gate_proj(x)
            up = self.up_proj(x)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    """Attention, then MLP, each on the normalised stream and added to it."""

    def __init__(self, config, fused=False):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, fused)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config, fused)

    def forward(self, x, cos, sin, attend=attend_causally, layer=0):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, attend, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """`transformer(ids)` -> logits (B, T, V), or what `head` makes of the last hidden states.

    compute_dtype: the forward's dtype where it differs from the parameters' (bf16 over fp32).
    checkpoint_activations: recompute each block in the backward pass, keep its input alone.
    uses_cuda_graphs: on CUDA, decode by replaying graphs (`generation.generate`).
    """

    def __init__(self, config, value_head=False, fused=False):
        """fused: q, k, v are one product, and gate, up another: a copy to decode with."""
        super().__init__()
        self.config = config
        self.fused = fused
        self.compute_dtype = None
        self.checkpoint_activations = False
        self.uses_cuda_graphs = True
        D = config.hidden_size
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(config.vocab_size, D),
            "layers": nn.ModuleList(
                Block(config, fused) for _ in range(config.num_hidden_layers)),
            "norm": RMSNorm(D, config.rms_norm_eps)})
        self.lm_head = None if config.tie_word_embeddings else Linear(D, config.vocab_size)
        self.value_head = nn.Linear(D, 1) if value_head else None

    def forward(self, ids, positions=None, head=F.linear, attend=attend_causally):
        """ids (B, T) int64; positions (B, T), 0 .. T - 1 if not given.

        head(hidden (B, T, D), output matrix (V, D)) runs inside forward, where sharded parameters
        are whole; its result is returned. With a value head: (that result, values (B, T) in fp32).
        attend: who sees whom; if not given causal rows, whose padding belongs on the right.
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


def initialise(config, seed=0):
    """A Transformer with random fp32 weights: N(0, initializer_range) for matrices, 1 for norms."""
    torch.manual_seed(seed)
    transformer = Transformer(config)
    for parameter in transformer.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=config.initializer_range)
    return transformer


# -------------------------------------------------------------------------------------- config.json

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
    """Print how many of `lengths` exceed the model's max_position_embeddings."""
    longest = config.max_position_embeddings
    beyond = sum(length > longest for length in lengths)
    if beyond:
        print(f"{beyond} of {len(lengths)} {what} are longer than the {longest} tokens that {path} "
              "was made for")
