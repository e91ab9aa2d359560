"""LoRA: low-rank adapters on a frozen LLaMA (Hu et al., arXiv 2106.09685, equation 3).

In every linear layer of the blocks h = W x + (alpha / R) B A x. W is frozen; A (R, n_in) and B
(n_out, R) are trained. B starts at zero, so the first forward is that of the base, bit for bit.
What is frozen needs neither gradients nor moments, and several models can share it:
`with_shared_base`.

B batch, T time; R rank of an adapter.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from llama import DTYPES, Linear, Transformer
from plumbing.memory import check_rank
from plumbing.parallel import all_rows, whole


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


def add_adapters(transformer, lora):
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
def init_adapters(transformer, lora, own_rows):
    """A: uniform up to 1 / sqrt(n_in), as in the authors' code; B: zero.

    own_rows: what `parallel.shard` returns.
    """
    generator = torch.Generator().manual_seed(lora.seed)
    for name, parameter in transformer.named_parameters():
        mine, rows = own_rows(parameter)
        if name.endswith(".adapter.A"):
            bound = parameter.shape[1] ** -0.5
            A = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            mine.copy_(A[rows])  # the same on any number of processes
        elif name.endswith(".adapter.B"):
            mine.zero_()


def build_on_meta(config, dtype, value_head, lora):
    """A Transformer on the meta device: names, shapes and dtypes, and what is trained."""
    with torch.device("meta"):
        transformer = Transformer(config, value_head).to(dtype)
    if value_head:
        transformer.value_head.to(torch.promote_types(dtype, torch.float32))
    if lora:
        add_adapters(transformer, lora)
    return transformer


def with_shared_base(transformer, value_head=False, shard=None, lora=None):
    """Another Transformer on the same frozen weights, with adapters of its own, or without any.

    value_head: add one, zero. shard: as in `weights.load`. `add_adapters` says what is trained; the
    rest is frozen.
    """
    like = transformer.model.embed_tokens.weight
    other = build_on_meta(transformer.config, like.dtype, value_head, lora)
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
        init_adapters(other, lora, own_rows)
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
