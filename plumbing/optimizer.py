"""The optimizer of every training script: AdamW, its schedule, a step with clipped gradients."""

import math

import torch

from plumbing.files import InputError
from plumbing.parallel import whole

# ----------------------------------------------------------------------------------------- schedule

def learning_rate(step, steps, peak, warmup_ratio):
    """Linear warm-up to `peak`, then half a cosine down to 0 after the last step.

    step: 0, 1, .. steps - 1; warmup_ratio: the share of `steps` with a rising rate.
    """
    warmup_steps = math.ceil(warmup_ratio * steps)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    decay_steps = max(1, steps - warmup_steps)
    angle = math.pi * (step - warmup_steps) / decay_steps  # 0 at the peak, pi after the last step
    return peak * 0.5 * (1 + math.cos(angle))


# -------------------------------------------------------------------------------------------- AdamW

def make_optimizer(transformer, weight_decay):
    """AdamW for all parameters of a Transformer that are trained, see `adamw`."""
    trained = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
    return adamw(trained, weight_decay)


def adamw(parameters, weight_decay):
    """AdamW for a list of parameters, betas 0.9 and 0.95; `clip_and_step` sets the learning rate.

    Only matrices decay, since shrinking a norm's gain is no regularisation. The moments exist from
    the start, as zeros.
    """
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)
    for parameter in parameters:
        # What the first step would allocate, so that a checkpoint can be read into it before.
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


# ---------------------------------------------------------------------- numbers that are not finite

class NotFinite(InputError):
    """A loss, gradient or logit is infinite or no number; the optimizer did not step."""


def finite(x, what):
    """x, a number; `what` names it in the error. Raises NotFinite."""
    if not math.isfinite(x):
        raise NotFinite(f"the {what} is {x}")
    return x


def is_finite(tensor):
    """Whether all numbers are finite.

    The least and the greatest number decide it, and NaN passes through both; 7 times as fast as a
    sum in bf16.
    """
    return all(end.isfinite() for end in torch.aminmax(tensor))


def must_be_finite(logits):
    """Raises NotFinite for a logit that is infinite or no number: argmax would take any token."""
    if not is_finite(logits):
        raise NotFinite("a logit is infinite or no number")


# --------------------------------------------------------------------------------------------- step

def clip_and_step(transformer, optimizer, lr, grad_clip):
    """Clip the gradient's norm at `grad_clip` (0: no clipping), step at rate `lr`, clear gradients.

    Returns the gradient's norm before clipping, of all processes together. Raises NotFinite before
    the step.
    """
    max_norm = grad_clip or math.inf
    norm = torch.nn.utils.clip_grad_norm_(transformer.parameters(), max_norm)
    norm = finite(whole(norm).item(), "gradient's norm")
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return norm
