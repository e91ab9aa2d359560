"""What both training scripts share and must not drift apart on: flags, optimizer, schedule, run folder."""

import math
import os
from argparse import BooleanOptionalAction
from dataclasses import asdict, field, fields
from pathlib import Path

import torch

from data import LARGEST, InputError, Parser, read_object
from model import whole

# ---------------------------------------------------------------------------------------------------- flags


def flag(default, help, least=None, choices=None, alters="run", most=LARGEST, needs=""):
    """A dataclass field that is a command-line flag; numbers below `least` or above `most` are refused, and
    the flag itself where the one that it `needs` is off or empty.

    alters: what another value would do to a run that is continued: make another "run" of it, change "bits"
    by rounding, or "nothing"; "files" are compared by their contents.
    """
    return field(default=default, metadata={"help": help, "least": least, "choices": choices,
                                            "alters": alters, "most": most, "needs": needs})


def parse_flags(presets, description, argv=None):
    """A dataclass instance from the command line. presets: {name: instance}; the first one is the default.

    Every field is a flag. Raises InputError naming an unknown flag or a value out of range.
    """
    first = next(iter(presets))
    parser = Parser(description=description, allow_abbrev=False)
    if len(presets) > 1:
        parser.add_argument("--preset", choices=presets, default=first,
                            help=f"default values (default: {first})")
    for f in fields(presets[first]):
        name = "--" + f.name.replace("_", "-")
        if f.type is bool:
            parser.add_argument(name, action=BooleanOptionalAction, default=None, help=_help(f, presets))
        else:
            parser.add_argument(name, type=f.type, choices=f.metadata["choices"], help=_help(f, presets),
                                metavar=None if f.metadata["choices"] else f.type.__name__.upper())
    given = {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}
    values = {**asdict(presets[given.pop("preset", first)]), **given}
    for f in fields(presets[first]):
        name, value = f"--{f.name.replace('_', '-')}", values[f.name]
        least, most, needs = (f.metadata[key] for key in ("least", "most", "needs"))
        if f.type in (int, float) and not (-most if least is None else least) <= value <= most:  # nan is not
            raise InputError(f"{name}: {value} must be a number from {least} to {most}")
        if f.type is str and f.default and not value:
            raise InputError(f"{name}: is empty")
        if needs and f.name in given and not values[needs]:
            raise InputError(f"{name}: does nothing without --{needs.replace('_', '-')}")
    return type(presets[first])(**values)


def _help(f, presets):
    """What a field means and its default; where presets differ, that of each. An empty text says nothing."""
    values = {name: getattr(preset, f.name) for name, preset in presets.items()}
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    if len(set(values.values())) == 1:
        shown = next(iter(values.values()))
    return f.metadata["help"] + (f" (default: {shown})".replace("%", "%%") if shown != "" else "")


def warn_of_length(lengths, config, what, path):
    """Prints how many of `lengths` are beyond the positions that the model in `path` has learnt from."""
    longest = config.max_position_embeddings
    if beyond := sum(length > longest for length in lengths):
        print(f"{beyond} of {len(lengths)} {what} are longer than the {longest} tokens that {path} "
              "was made for")


# ------------------------------------------------------------------------------------------------- training

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


def update(transformer, optimizer, lr, grad_clip):
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


# -------------------------------------------------------------------------------------------- run directory

def make_folder(path):
    """Make the folder that --out names. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out {path}: not writable")


def newest_run(script="", runs=Path("runs")):
    """The newest checkpoint under `runs` (of "sft" or "ppo" if named), or None."""
    found = [file for file in runs.glob("**/config.json") if any(file.parent.glob("model*.safetensors"))]
    if script:
        found = [file for file in found if (file.parent / "flags.json").exists()
                 and read_object(file.parent / "flags.json").get("script") == script]
    return max(found, key=lambda file: file.stat().st_mtime).parent if found else None
