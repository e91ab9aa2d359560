"""What both training scripts share and must not drift apart on: flags, optimizer, schedule, run directory."""

import json
import math
import os
import shutil
from argparse import BooleanOptionalAction
from dataclasses import asdict, field, fields
from pathlib import Path

import torch

import model
from data import InputError, Parser, read_json, write_json

# ---------------------------------------------------------------------------------------------------- flags


def flag(default, help, least=None, choices=None):
    """A dataclass field that is a command-line flag; numbers below `least` are refused."""
    return field(default=default, metadata={"help": help, "least": least, "choices": choices})


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
            parser.add_argument(name, action=BooleanOptionalAction, default=None, help=f.metadata["help"])
        else:
            parser.add_argument(name, type=f.type, choices=f.metadata["choices"], help=f.metadata["help"],
                                metavar=None if f.metadata["choices"] else f.type.__name__.upper())
    given = {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}
    values = {**asdict(presets[given.pop("preset", first)]), **given}
    for f in fields(presets[first]):
        value, least = values[f.name], f.metadata["least"]
        if f.type is float and not math.isfinite(value) or least is not None and value < least:
            raise InputError(f"--{f.name.replace('_', '-')}: {value} must be a number, at least {least}")
    return type(presets[first])(**values)


# ------------------------------------------------------------------------------------------------- training

def learning_rate(step, steps, peak, warmup_ratio):
    """Linear warm-up to `peak`, then half a cosine to 0 after the last of `steps` steps. step: 0, 1, ..."""
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(transformer, weight_decay):
    """AdamW, betas .9 and .95; decay on matrices only, since shrinking a norm's gain is no regularisation."""
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
         {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}],
        lr=0.0, betas=(0.9, 0.95), fused=True)


def update(transformer, optimizer, lr, grad_clip):
    """Clip, step, clear. Returns the gradient's norm before clipping. grad_clip 0: no clipping."""
    norm = torch.nn.utils.clip_grad_norm_(transformer.parameters(), grad_clip or math.inf)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return norm.item()


def pick_device(name):
    """torch.device for a --device flag: "auto" is the GPU where there is one. Raises InputError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch compiled without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from None


# -------------------------------------------------------------------------------------------- run directory

def make_folder(path):
    """Make the folder that --out names. Raises InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror}") from None


class Run:
    """runs/NAME: flags.json, metrics.jsonl (one object a step), and checkpoints in HF layout."""

    def __init__(self, flags, script):
        self.path = Path(flags.out)
        if (self.path / "metrics.jsonl").exists():
            raise InputError(f"--out {self.path}: holds a run already; name another, or remove it")
        make_folder(self.path)
        write_json(self.path / "flags.json", {"script": script, **asdict(flags)})
        self.metrics = open(self.path / "metrics.jsonl", "a", buffering=1)

    def log(self, **metrics):
        """Append one line to metrics.jsonl."""
        self.metrics.write(json.dumps(metrics) + "\n")

    def save(self, transformer, tokenizer, name=""):
        """Write the checkpoint runs/NAME[/name]: weights but a value head's, config.json, tokenizer.model."""
        path = self.path / name
        head, transformer.value_head = transformer.value_head, None  # no LLaMA loader would know it
        model.save(transformer, path)
        transformer.value_head = head
        shutil.copyfile(tokenizer.path, path / "tokenizer.model.part")
        os.replace(path / "tokenizer.model.part", path / "tokenizer.model")
        return path


def newest_run(script="", runs=Path("runs")):
    """The newest checkpoint under `runs` (of "sft" or "ppo" if named), or None."""
    found = [file for file in runs.glob("**/config.json") if any(file.parent.glob("model*.safetensors"))]
    if script:
        found = [file for file in found if (file.parent / "flags.json").exists()
                 and read_json(file.parent / "flags.json").get("script") == script]
    return max(found, key=lambda file: file.stat().st_mtime).parent if found else None
