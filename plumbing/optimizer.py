"""The optimizer of every training script: AdamW, its schedule, and one step with clipped gradients."""

import math

import torch

from plumbing.parallel import whole


def learning_rate(step, steps, peak, warmup_ratio):
    """Linear warm-up to `peak`, then half a cosine to 0 after the last of `steps` steps. step: 0, 1, ..."""
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(transformer, weight_decay, without=()):
    """AdamW, betas .9 and .95; decay on matrices only, since shrinking a norm's gain is no regularisation.

    without: parameters that another optimizer steps.
    """
    others = set(map(id, without))
    parameters = [p for p in transformer.parameters() if p.requires_grad and id(p) not in others]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
         {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}],
        lr=0.0, betas=(0.9, 0.95), fused=True)
    for p in parameters:  # what the first step would allocate, so that a checkpoint can be read into it
        optimizer.state[p] = {"step": torch.zeros((), device=p.device), "exp_avg": torch.zeros_like(p),
                              "exp_avg_sq": torch.zeros_like(p)}
    return optimizer


class NotFinite(ValueError):
    """A loss or gradient is infinite or no number; the optimizer did not step."""


def finite(x, what):
    """x, a number. Raises NotFinite."""
    if not math.isfinite(x):
        raise NotFinite(f"the {what} is {x}")
    return x


def clip_and_step(transformer, optimizer, lr, grad_clip):
    """Clip, step, clear. Returns the gradient's norm before clipping. grad_clip 0: no clipping.

    Raises NotFinite before the step.
    """
    norm = torch.nn.utils.clip_grad_norm_(transformer.parameters(), grad_clip or math.inf)
    norm = finite(whole(norm).item(), "gradient's norm")
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return norm
