"""LLaMA by hand: configuration, layers, KV cache, weights in and out, generation.

    python model.py --init CONFIG.json DIR      # a randomly initialised checkpoint of that architecture

Read top to bottom: Config, RMSNorm, rotary, Attention, MLP, Block, Transformer, generate.
Parameter names and the half-split rotary layout are those of HuggingFace checkpoints, so nothing is permuted.

B batch, T time, S cache slots, D width, H query heads, G key/value heads, V vocabulary.
"""

import os
import shutil
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import distributed, nn
from torch.utils.checkpoint import checkpoint

from plumbing.files import LARGEST, InputError, read_object, write_json
from plumbing.flags import Parser, cli
from plumbing.parallel import barrier, whole

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}


# ---------------------------------------------------------------------------------------------- configuration

@dataclass(frozen=True)
class Config:
    """The keys of an HF LLaMA config.json that decide the architecture; defaults are HF's documented ones."""
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
    """config.json -> Config. Raises InputError naming what is missing, malformed or not implemented here."""
    raw = {key: value for key, value in read_object(path).items() if value is not None}
    ropes = [given if isinstance(given, dict) else {"rope_type": given}  # older files have the former
             for given in (raw.get("rope_scaling"), raw.get("rope_parameters")) if given]
    rope = {key: value for given in ropes for key, value in given.items()}
    refused = {"model_type": raw.get("model_type", "llama") != "llama",
               "rope_scaling": any(given.get("rope_type", given.get("type", "default")) != "default"
                                   for given in ropes),
               "partial_rotary_factor": "partial_rotary_factor" in raw | rope,
               "hidden_act": raw.get("hidden_act", "silu") != "silu",
               "attention_bias": raw.get("attention_bias"), "mlp_bias": raw.get("mlp_bias")}
    for key in (key for key, is_refused in refused.items() if is_refused):
        raise InputError(f"{path}: {key} = {raw.get(key, rope)!r} is not implemented")
    if raw.get("rope_theta", rope.get("rope_theta")) != rope.get("rope_theta", raw.get("rope_theta")):
        raise InputError(f"{path}: rope_theta is {raw['rope_theta']!r:.60} and {rope['rope_theta']!r:.60}")
    values = {}
    for field in fields(Config):
        value = raw.get(field.name, rope.get(field.name))
        if value is None:
            if field.default is MISSING:
                raise InputError(f"{path}: {field.name} is missing")
            continue
        number = (int, float) if field.type is float else field.type
        least = 1e-12 if field.name in ("rope_theta", "rms_norm_eps") else 0
        if (not isinstance(value, number) or isinstance(value, bool) != (field.type is bool)
                or not least <= value <= LARGEST):
            raise InputError(f"{path}: {field.name} = {value!r:.60} is not a {field.type.__name__} "
                             f"from {least} to {LARGEST}")
        values[field.name] = field.type(value)
    values["num_key_value_heads"] = values.get("num_key_value_heads") or values["num_attention_heads"]
    heads, groups, width = values["num_attention_heads"], values["num_key_value_heads"], values["hidden_size"]
    if min(heads, groups, width, values["vocab_size"]) < 1 or heads % groups:
        raise InputError(f"{path}: {heads} attention heads, {groups} key/value heads, hidden_size {width}")
    values["head_dim"] = values.get("head_dim") or width // heads
    if values["head_dim"] % 2 or ("head_dim" not in raw and width % heads):
        raise InputError(f"{path}: hidden_size {width} does not split into {heads} heads of even width")
    return Config(**values)


# --------------------------------------------------------------------------------------------------- layers

class Linear(nn.Linear):
    """No bias; computes in the dtype of its input, so that fp32 master weights can serve a bf16 forward."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # squares overflow in half precision
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight.to(x.dtype) * normed.to(x.dtype)


def rotary_angles(positions, head_dim, theta):
    """cos, sin (B, 1, T, head_dim / 2) in fp32: in bf16 neighbouring positions beyond 256 would coincide."""
    inv_freq = 1.0 / theta ** (torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim)
    angles = positions[:, None, :, None].float() * inv_freq
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Rotary embedding of x (B, heads, T, head_dim): dimension i turns with dimension i + head_dim / 2."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1).to(x.dtype)


class Cache:
    """Keys and values of B right-padded rows. Slot == position, so one mask serves: slot <= query position.

    What padding wrote is never seen: its slots lie beyond the row's queries until they are written anew.
    """

    def __init__(self, config, batch, slots, dtype, device):
        shape = (config.num_hidden_layers, batch, slots, config.num_key_value_heads, config.head_dim)
        self.keys, self.values = (torch.zeros(shape, dtype=dtype, device=device) for _ in range(2))
        self.used = 0     # slots written so far by the longest row
        self.mask = None  # (B, 1, T, used), set by `advance`; None while prompts are read (plain causal)

    def advance(self, positions):
        """Make room for tokens at `positions` (B, T); the first call reads the prompts, 0 .. T - 1."""
        first = self.used == 0
        self.rows = torch.arange(len(positions), device=positions.device)[:, None]
        self.positions, self.used = positions, self.used + positions.shape[1]
        slots = torch.arange(self.used, device=positions.device)
        self.mask = None if first else slots <= positions[:, None, :, None]

    def update(self, layer, k, v):
        """Store k, v (B, T, G, head_dim); returns all used slots (B, used, G, head_dim)."""
        self.keys[layer][self.rows, self.positions] = k
        self.values[layer][self.rows, self.positions] = v
        return self.keys[layer][:, :self.used], self.values[layer][:, :self.used]


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.head_dim, D = config.head_dim, config.hidden_size
        self.q_proj = Linear(D, config.num_attention_heads * self.head_dim)
        self.k_proj = Linear(D, config.num_key_value_heads * self.head_dim)
        self.v_proj = Linear(D, config.num_key_value_heads * self.head_dim)
        self.o_proj = Linear(config.num_attention_heads * self.head_dim, D)

    def forward(self, x, cos, sin, cache, layer):
        q, k, v = (project(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (B, H or G, T, head_dim)
                   for project in (self.q_proj, self.k_proj, self.v_proj))
        q, k, mask = rotate(q, cos, sin), rotate(k, cos, sin), None
        if cache is not None:
            slots_k, slots_v = cache.update(layer, k.transpose(1, 2), v.transpose(1, 2))
            mask = cache.mask
            if mask is not None:  # reading the prompts needs no slot but its own
                k, v = slots_k.transpose(1, 2), slots_v.transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None,
                                             enable_gqa=q.shape[1] != k.shape[1])
        return self.o_proj(out.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config):
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x, cos, sin, cache=None, layer=0):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, layer)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """`transformer(ids)` -> logits (B, T, V), or whatever `head` makes of the last hidden states.

    compute_dtype: the forward's dtype where it differs from the parameters' (bf16 over fp32 master weights).
    checkpoint_activations: recompute each block in the backward pass instead of keeping its activations.
    """

    def __init__(self, config, value_head=False):
        super().__init__()
        self.config, self.compute_dtype, self.checkpoint_activations = config, None, False
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(config.vocab_size, config.hidden_size),
            "layers": nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers)),
            "norm": RMSNorm(config.hidden_size, config.rms_norm_eps)})
        self.lm_head = None if config.tie_word_embeddings else Linear(config.hidden_size, config.vocab_size)
        self.value_head = nn.Linear(config.hidden_size, 1) if value_head else None

    def forward(self, ids, cache=None, positions=None, head=F.linear):
        """ids (B, T) int64, right-padded; positions (B, T), 0 .. T - 1 if not given.

        head(hidden (B, T, D), weight (V, D)) runs inside forward, where sharded parameters are whole; its
        result is returned. With a value head: (that result, values (B, T) in fp32).
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        if cache is not None:
            cache.advance(positions)
        weight = self.model.embed_tokens.weight
        x = F.embedding(ids, weight).to(self.compute_dtype or weight.dtype)
        cos, sin = rotary_angles(positions, self.config.head_dim, self.config.rope_theta)
        for layer, block in enumerate(self.model.layers):
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(block, x, cos, sin, use_reentrant=False)
            else:
                x = block(x, cos, sin, cache, layer)
        x = self.model.norm(x)
        out = head(x, (weight if self.lm_head is None else self.lm_head.weight).to(x.dtype))
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


# ------------------------------------------------------------------------------------- weights in and out

STORED = ("F32", "BF16", "F16", "F64")  # what is read, in safetensors' own words


def weight_files(path):
    """{parameter name: safetensors file} of an HF-layout directory. Raises InputError."""
    index, single = Path(path, "model.safetensors.index.json"), Path(path, "model.safetensors")
    if index.exists():
        where = read_object(index).get("weight_map")
        if not isinstance(where, dict) or not all(
                isinstance(file, str) and file == os.path.basename(file) for file in where.values()):
            raise InputError(f"{index}: has no weight_map of names to files beside it")
        files = {name: Path(path, file) for name, file in where.items()}
    else:
        files = {name: single for name in _open(single).keys()}
    return {name: file for name, file in files.items() if not name.endswith("rotary_emb.inv_freq")}


def _open(file):
    if not os.path.isfile(file):
        raise InputError(f"{str(file)[:200]}: no such weights file")
    try:
        return safe_open(file, framework="pt")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{file}: damaged or cut off ({error})") from None


def load(path, dtype=torch.float32, device="cpu", value_head=False, shard=None):
    """HF-layout directory -> Transformer with parameters of `dtype`, read one tensor at a time.

    value_head: add one, read from the files where they have it and zero otherwise; never in half precision.
    shard: spreads the parameters over processes, as `parallel.shard` does; each then reads its own rows.
    Raises InputError naming missing or unexpected parameters, wrong shapes, and files that cannot be read.
    """
    config, files = read_config(Path(path, "config.json")), weight_files(path)
    if config.num_hidden_layers > len(files):  # said before so many are made
        raise InputError(f"{path}: {config.num_hidden_layers} layers, but only {len(files)} tensors")
    with torch.device("meta"):
        transformer = Transformer(config, value_head).to(dtype)
    if value_head:
        transformer.value_head.to(torch.promote_types(dtype, torch.float32))
    expected = {name: parameter.shape for name, parameter in transformer.named_parameters()}
    twice = files.pop("lm_head.weight", None) if config.tie_word_embeddings else None  # as some writers do
    missing = sorted(name for name in expected.keys() - files.keys() if not name.startswith("value_head"))
    unexpected = sorted(files.keys() - expected.keys())
    if missing or unexpected:
        raise InputError(f"{path}: missing {missing}, unexpected {unexpected}")
    own = shard(transformer) if shard else lambda parameter: (parameter.detach(), slice(None))
    transformer.to_empty(device=device)
    for name, parameter in transformer.named_parameters():
        mine, rows = own(parameter)
        if name in files:
            _read(files[name], name, expected[name], mine, rows)
        else:
            mine.zero_()  # a new value head: with values of 0 returns are advantages
        if twice and name == "model.embed_tokens.weight":
            _read(twice, "lm_head.weight", expected[name], other := torch.empty_like(mine), rows)
            if not torch.equal(mine, other):
                raise InputError(f"{twice}: lm_head.weight is not {name}, though config.json ties them")
    return transformer


def _read(file, name, shape, mine, rows):
    """Fill `mine` with these rows of a tensor. The file is opened for each anew: what was read is let go."""
    with _open(file) as tensors:
        try:
            tensor = tensors.get_slice(name)
        except SafetensorError:
            raise InputError(f"{file}: does not hold {name}") from None
        if tensor.get_shape() != list(shape):
            raise InputError(f"{file}: {name} has shape {tensor.get_shape()}, "
                             f"config.json asks for {list(shape)}")
        if tensor.get_dtype() not in STORED:
            raise InputError(f"{file}: {name} is {tensor.get_dtype()}; {', '.join(STORED)} are read")
        if mine.numel():
            mine.copy_(tensors.get_tensor(name) if rows == slice(None) else tensor[rows])
            if not all(end.isfinite() for end in torch.aminmax(mine)):  # in bf16 7 times as fast as a sum
                raise InputError(f"{file}: {name} holds numbers that are not finite as {mine.dtype}")


def save(transformer, path, dtype=None, shard_bytes=5 * 10**9):
    """Transformer -> HF-layout directory: config.json, and model.safetensors or shards with their index.

    dtype: of the stored weights, by default that of the parameters. Every file is written aside and renamed,
    config.json last. Processes that share the model all call it; the first one writes, a tensor at a time.
    """
    path, writes = Path(path), not distributed.is_initialized() or distributed.get_rank() == 0
    path.mkdir(parents=True, exist_ok=True)
    parameters = dict(transformer.named_parameters())
    dtypes = {name: dtype or parameter.dtype for name, parameter in parameters.items()}
    shards, sizes = [[]], [0]
    for name, parameter in parameters.items():
        size = parameter.numel() * dtypes[name].itemsize
        if sizes[-1] and sizes[-1] + size > shard_bytes:
            shards.append([]), sizes.append(0)
        shards[-1].append(name)
        sizes[-1] += size
    files = ["model.safetensors"] if len(shards) == 1 else [
        f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for file, names in zip(files, shards):
        gathered = ((name, whole(parameters[name].detach().to(dtypes[name]))) for name in names)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in gathered if writes}
        if not writes:
            continue
        save_file(tensors, path / f"{file}.part", metadata={"format": "pt"})
        os.chmod(path / f"{file}.part", 0o644)  # safetensors writes for the owner alone
        os.replace(path / f"{file}.part", path / file)
    if not writes:
        return
    if len(shards) > 1:
        where = {name: file for file, names in zip(files, shards) for name in names}
        write_json(path / "model.safetensors.index.json",
                   {"metadata": {"total_size": sum(sizes)}, "weight_map": where})
    for old in path.glob("model*.safetensors*"):  # of an earlier save with another number of shards
        if old.name not in files and not (len(shards) > 1 and old.suffix == ".json"):
            old.unlink()
    rope = {"rope_type": "default", "rope_theta": transformer.config.rope_theta}
    write_json(path / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "torch_dtype": str(dtypes[shards[0][0]]).removeprefix("torch."), **asdict(transformer.config),
        "rope_parameters": rope})


def export(transformer, tokenizer, path):
    """The result of a training run: `save` and the tokenizer, without a value head, which no LLaMA loader
    would know. Every process calls it.
    """
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        shutil.copyfile(tokenizer.path, path / "tokenizer.model.part")
        os.replace(path / "tokenizer.model.part", path / "tokenizer.model")
    head, transformer.value_head = transformer.value_head, None
    save(transformer, path)
    transformer.value_head = head
    barrier()
    print(f"checkpoint: {path}")


# ----------------------------------------------------------------------------------------------- generation

class Answer(NamedTuple):
    ids: list[int]  # new tokens only, without </s>
    ended: bool     # whether </s> came within the limit


@torch.no_grad()  # never inference_mode: it breaks the next training forward of a sharded model
def generate(transformer, prompts, max_new_tokens, eos_id, temperature=0.0, generator=None):
    """Continue each prompt (a non-empty list of ids; lengths may differ) -> list of Answer, in order.

    temperature 0 is greedy, otherwise plain softmax sampling (no top-k, no top-p) with `generator`: one for
    all prompts, or a list of one for each, with which a row's luck depends on no other row of the batch.
    """
    if not all(prompts):
        raise ValueError("generate: an empty prompt has no next token")
    transformer = gather(transformer)  # decoding reads every weight for every token
    if not prompts:
        return []
    device = transformer.model.embed_tokens.weight.device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest = int(lengths.max())
    ids = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts], device=device)
    dtype = transformer.model.embed_tokens.weight.dtype
    cache = Cache(transformer.config, len(prompts), longest + max_new_tokens, dtype, device)
    rows = torch.arange(len(prompts), device=device)
    last, positions = lengths - 1, None  # reading the prompts: positions 0 .. longest - 1
    ended = torch.zeros_like(rows, dtype=torch.bool)
    columns, luck = [], _uniforms(generator, len(prompts), max_new_tokens).to(device) if temperature else None
    for step in range(max_new_tokens):
        out = transformer(ids, cache, positions, lambda hidden, weight: F.linear(hidden[rows, last], weight))
        logits = out if transformer.value_head is None else out[0]  # (B, V)
        if temperature == 0:
            token = logits.argmax(-1)
        else:
            cumulative = (logits.float() / temperature).softmax(-1).double().cumsum(-1)
            drawn = luck[:, step, None] * cumulative[:, -1:]
            token = torch.searchsorted(cumulative, drawn, right=True).squeeze(-1)
        columns.append(token)
        ended |= token == eos_id
        if ended.all():
            break
        ids, positions = token[:, None], (lengths + len(columns) - 1)[:, None]
        last = torch.zeros_like(rows)
    answers = torch.stack(columns, dim=1).tolist() if columns else [[] for _ in prompts]
    return [Answer(row[:row.index(eos_id)], True) if eos_id in row else Answer(row, False) for row in answers]


def _uniforms(generator, rows, columns):
    """Numbers of [0, 1) in float64 (rows, columns), drawn on the CPU: the same whatever the device."""
    if isinstance(generator, list):
        return torch.stack([torch.rand(columns, dtype=torch.float64, generator=one) for one in generator])
    return torch.rand(rows, columns, dtype=torch.float64, generator=generator)


@torch.no_grad()
def gather(transformer):
    """The transformer itself, or a copy with whole weights in the dtype that it computes in, to decode with.

    All processes call it together; after it each decodes on its own, for as long as its answers take.
    """
    weight = transformer.model.embed_tokens.weight
    dtype = transformer.compute_dtype or weight.dtype
    if dtype == weight.dtype and not hasattr(weight, "full_tensor"):
        return transformer
    with torch.device("meta"):
        copy = Transformer(transformer.config)
    for name, _ in copy.named_parameters():
        _set(copy, name, whole(transformer.get_parameter(name).detach().to(dtype)))
    return copy


def _set(transformer, name, tensor):
    module, _, leaf = name.rpartition(".")
    setattr(transformer.get_submodule(module), leaf, nn.Parameter(tensor))


# ------------------------------------------------------------------------------------------

def warn_of_length(lengths, config, what, path):
    """Prints how many of `lengths` are beyond the positions that the model in `path` has learnt from."""
    longest = config.max_position_embeddings
    if beyond := sum(length > longest for length in lengths):
        print(f"{beyond} of {len(lengths)} {what} are longer than the {longest} tokens that {path} "
              "was made for")


def main():
    """The command line; see the top of this file."""
    parser = Parser(description="Write a randomly initialised checkpoint.")
    parser.add_argument("--init", nargs=2, metavar=("CONFIG.json", "DIR"), required=True)
    parser.add_argument("--tokenizer", help="a SentencePiece model to copy into DIR")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    transformer = initialise(read_config(flags.init[0]), flags.seed)
    save(transformer, flags.init[1], DTYPES[flags.dtype])
    if flags.tokenizer:
        shutil.copyfile(flags.tokenizer, Path(flags.init[1], "tokenizer.model"))
    print(f"{flags.init[1]}: {sum(p.numel() for p in transformer.parameters()):,} parameters")


if __name__ == "__main__":
    cli(main)
