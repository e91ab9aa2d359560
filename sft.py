"""Stage 1 (paper, sections 3.1 and 3.2): fine-tuning with MAE and PKT, one pass per conversation.

    python sft.py --model DIR --data raw_data.json            # CPU or one GPU, settings of a small model
    python sft.py --preset codellama-7b --model CodeLlama-7b-hf --data raw_data.json

MAE drops the calls whose feedback reports an error from the loss, PKT weighs the tokens that decide which
tool is called; the SFT rows of the paper's Table 5 are --no-mae --no-pkt, --no-pkt, --no-mae, and neither.
Left out: packing several conversations into one row (length-grouped batches pad under 10%), and dropout.
"""

import time
from dataclasses import dataclass

import torch
from tqdm import tqdm

import model
from common import Run, flag, learning_rate, make_optimizer, parse_flags, pick_device, update
from data import InputError, cli, trajectories
from data.examples import build, collate, micro_batches, plan
from losses import weighted_nll
from tokenizer import Tokenizer


@dataclass(frozen=True)
class Flags:
    model: str = flag("", "checkpoint to start from, a directory in HF layout")
    tokenizer: str = flag("", "SentencePiece model (default: the one in --model)")
    data: str = flag("", "trajectories to train on, TL-Training's raw_data.json format")
    eval_data: str = flag(
        "", "held-out trajectories; their loss is reported every --eval-every steps and at the end")
    out: str = flag("runs/sft", "where the run goes")
    mae: bool = flag(True, "MAE: drop erroneous calls from the loss")
    pkt: bool = flag(True, "PKT: weigh the tokens that decide which tool is called")
    w_max: float = flag(9.0, "PKT: largest weight", least=1)
    max_length: int = flag(
        4096, "tokens of a conversation; the oldest turns are dropped beyond (0: no limit)", least=0)
    epochs: int = flag(1, "passes over the data", least=1)
    batch_size: int = flag(4, "trained calls in a step, at least", least=1)
    micro_tokens: int = flag(
        4096, "padded tokens in one forward pass; bounds memory, changes no result", least=1)
    lr: float = flag(1e-3, "peak learning rate", least=0)
    warmup_ratio: float = flag(0.01, "share of steps with rising learning rate", least=0)
    weight_decay: float = flag(0.01, "of matrices", least=0)
    grad_clip: float = flag(1.0, "largest norm of the gradient (0: no clipping)", least=0)
    dtype: str = flag("bf16", "of the computation; master weights are fp32", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(
        False, "recompute activations in the backward pass: less memory, 1/3 more time")
    device: str = flag("auto", "cpu, cuda, or auto")
    seed: int = flag(0, "of the order of the data", least=0)
    save_every: int = flag(0, "steps between checkpoints (0: only at the end)", least=0)
    eval_every: int = flag(0, "steps between evaluations on --eval-data (0: only at the end)", least=0)


PRESETS = {"tiny": Flags(), "codellama-7b": Flags(  # the paper's rate; length and checkpointing as released
    lr=1e-6, max_length=8192, micro_tokens=8192, checkpoint_activations=True)}


def load_model(flags, device):
    """Tokenizer and Transformer to train, fp32 master weights. Raises InputError if they do not fit."""
    tokenizer = Tokenizer(flags.tokenizer or flags.model)
    transformer = model.load(flags.model, torch.float32, device)
    tokenizer.must_fit(transformer.config)
    transformer.compute_dtype = model.DTYPES[flags.dtype]
    transformer.checkpoint_activations = flags.checkpoint_activations
    return tokenizer, transformer


def load_examples(path, tokenizer, flags):
    """A trajectory file -> Examples; prints what was left out."""
    examples, counts = build(trajectories.read(path), tokenizer, flags.mae, flags.pkt, flags.w_max,
                             flags.max_length)
    print(f"{path}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    return examples


def train_step(transformer, optimizer, step, flags, lr, device):
    """One update on the examples of `step` -> metrics. Loss: the mean over calls of the weighted mean NLL."""
    batches = [collate(group, device) for group in micro_batches(step, flags.micro_tokens)]
    n_calls, n_trained = sum(b.n_calls for b in batches), sum(b.n_trained for b in batches)
    loss_sum = nll_sum = 0.0
    for batch in batches:
        loss, nll = weighted_nll(transformer, batch)
        (loss / n_calls).backward()
        loss_sum, nll_sum = loss_sum + loss.detach(), nll_sum + nll
    grad_norm = update(transformer, optimizer, lr, flags.grad_clip)
    return {"loss": loss_sum.item() / n_calls, "nll": nll_sum.item() / n_trained, "lr": lr,
            "grad_norm": grad_norm, "calls": n_calls, "trained_tokens": n_trained,
            "tokens": sum(b.n_tokens for b in batches),
            "padded_tokens": sum(b.ids.numel() for b in batches)}


@torch.no_grad()
def evaluate(transformer, examples, flags, device):
    """Held-out loss (mean over calls, weighted as in training) and plain NLL (mean over trained tokens)."""
    batches = [collate(group, device) for group in micro_batches(examples, flags.micro_tokens)]
    sums = [weighted_nll(transformer, batch) for batch in batches]
    return {"eval_loss": sum(loss.item() for loss, _ in sums) / sum(b.n_calls for b in batches),
            "eval_nll": sum(nll.item() for _, nll in sums) / sum(b.n_trained for b in batches)}


def main():
    """The command line; see the top of this file."""
    flags = parse_flags(PRESETS, "Stage 1: supervised fine-tuning with MAE and PKT.")
    for name in ("model", "data"):
        if not getattr(flags, name):
            raise InputError(f"--{name}: must be given")
    device = pick_device(flags.device)
    tokenizer, transformer = load_model(flags, device)
    examples = load_examples(flags.data, tokenizer, flags)
    held_out = load_examples(flags.eval_data, tokenizer, flags) if flags.eval_data else []
    steps = [step for epoch in range(flags.epochs)
             for step in plan(examples, flags.batch_size, flags.seed, epoch)]
    optimizer, run = make_optimizer(transformer, flags.weight_decay), Run(flags, "sft")
    bar = tqdm(steps, desc="sft", unit="step")
    for number, step in enumerate(bar):
        started = time.perf_counter()
        lr = learning_rate(number, len(steps), flags.lr, flags.warmup_ratio)
        metrics = train_step(transformer, optimizer, step, flags, lr, device)
        seconds, done, last = time.perf_counter() - started, number + 1, number + 1 == len(steps)
        metrics |= {"seconds": seconds, "tokens_per_s": metrics["tokens"] / seconds}
        if held_out and (last or flags.eval_every and done % flags.eval_every == 0):
            metrics |= evaluate(transformer, held_out, flags, device)
        run.log(step=done, **metrics)
        bar.set_postfix_str(f"loss {metrics['loss']:.3f}, {metrics['tokens_per_s']:,.0f} tokens/s")
        if flags.save_every and done % flags.save_every == 0 and not last:
            run.save(transformer, tokenizer, f"step-{done:06d}")
    print(f"checkpoint: {run.save(transformer, tokenizer)}")


if __name__ == "__main__":
    cli(main)
