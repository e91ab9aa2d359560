"""TTPA: direct preference optimisation on the pairs of preferences.py.

    python dpo.py                                     # runs/pairs, from the newest run of sft.py
    python dpo.py --model runs/sft --data runs/pairs --out runs/dpo
    torchrun --nproc_per_node 8 dpo.py --preset codellama-7b --model runs/sft --data runs/pairs

What the paper states [S]: a model is aligned with preferences between calls. Its objective and
settings are not public, and no training code was released; DPO with the fine-tuned model as the
reference is our reading [R] (losses.py:dpo_loss). The model is its own reference before the first
step: the reference's log-probabilities are computed then, and kept with the pairs. A pair is one
row: its prompt once, then both calls (groups.py). Left out: weights and margins from the scores.

N pairs; b answers of a micro-batch, two to a pair; T tokens of the step's longest answer.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import plumbing.environment  # noqa: F401 (before torch)

import torch

import model
from groups import answer_logprobs, make_micro_batches
from llama import warn_of_length
from losses import dpo_loss
from plumbing import memory
from plumbing.files import InputError, parse_json, read_text
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import NotFinite, clip_and_step, finite, learning_rate, make_optimizer
from plumbing.parallel import (
    all_sum,
    all_sums,
    join,
    leave,
    processes,
    reduce_gradients,
    share_evenly,
)
from plumbing.runs import Run, all_batches, start_from, warn_once
from prompts import draw
from tokenizer import Tokenizer


@dataclass(frozen=True)
class Flags:
    model: str = flag(
        "", "fine-tuned checkpoint (default: the newest run of sft.py under runs/)",
        group="files", on_resume="files")
    tokenizer: str = flag(
        "", "SentencePiece model (default: the one in --model)", group="files", on_resume="files")
    data: str = flag(
        "runs/pairs", "pairs of preferences.py: its --out, or a file",
        group="files", on_resume="files")
    eval_data: str = flag(
        "", "held-out pairs; loss and accuracy are reported before training, every --eval-every "
        "steps and at the end", group="files", on_resume="files")
    out: str = flag(
        "runs/dpo", "where the run goes; one that was cut short is continued",
        group="files", on_resume="nothing")

    num_pairs: int = flag(0, "pairs drawn from --data (0: all)", group="method", least=0)
    max_length: int = flag(
        0, "leave out pairs with more tokens than this, of prompt and both calls (0: keep all)",
        group="method", least=0)
    beta: float = flag(0.1, "of DPO: how much a margin counts", group="method", least=0)
    alpha: float = flag(
        0.2, "weight of the chosen call's mean NLL", group="method", least=0)
    lora_rank: int = flag(
        0, "train adapters of this rank; the model's own weights are frozen (0: train them all)",
        group="method", least=0)
    lora_alpha: float = flag(
        0.0, "alpha of LoRA: adapters are scaled by alpha / rank (0: twice the rank)",
        group="method", least=0, needs="lora_rank")

    epochs: int = flag(1, "passes over the pairs", group="optimisation", least=1)
    batch_size: int = flag(
        16, "pairs in a step, of all processes together", group="optimisation", least=1)
    lr: float = flag(
        5e-7, "peak learning rate; with --lora-rank 0.00002", group="optimisation", least=0)
    warmup_ratio: float = flag(
        0.1, "share of steps with rising learning rate", group="optimisation", least=0, most=1)
    weight_decay: float = flag(0.0, "of matrices", group="optimisation", least=0)
    grad_clip: float = flag(
        1.0, "largest norm of the gradient (0: no clipping)", group="optimisation", least=0)

    micro_batch: int = flag(
        8, "pairs in one forward pass; bounds memory, changes no result",
        group="hardware", least=1, on_resume="bits")
    dtype: str = flag(
        "fp32", "of the computation, and of frozen weights; trained weights are fp32",
        group="hardware", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(
        False, "recompute activations in the backward pass: less memory, updates take 1/3 longer",
        group="hardware", on_resume="bits")
    device: str = flag("auto", "cpu, cuda, or auto", group="hardware", on_resume="bits")

    seed: int = flag(0, "of the pairs and their order", group="run", least=0)
    save_every: int = flag(
        50, "steps between checkpoints to go on from (0: none)",
        group="run", least=0, on_resume="nothing")
    keep: int = flag(
        1, "how many of these to keep", group="run", least=1, on_resume="nothing")
    eval_every: int = flag(
        0, "steps between evaluations on --eval-data (0: only before and after training)",
        group="run", least=0, needs="eval_data")
    plan: int = flag(
        0, "print the memory that each of this many processes will need, and end",
        group="run", least=0, on_resume="nothing")


PRESETS = {
    # By pilots (docs/LOG.md): at beta 0.1 the gradient of a pair fades only at a margin of some
    # ten nats, and other calls have become worse by then; at 1 it fades at two or three. With more
    # pairs, calls of tools that training shows become worse.
    "tiny": Flags(num_pairs=400, lr=5e-5, beta=1.0, alpha=5.0),
    # prompts of 7,680 tokens, as in preferences.py, and two calls of 512
    "codellama-7b": Flags(
        max_length=8704, micro_batch=2, dtype="bf16", checkpoint_activations=True),
}
# with --lora-rank these replace the preset's
LORA_DEFAULTS = {"lora_rank": {"lr": 2e-5}}


class Pair(NamedTuple):
    """A chosen and a rejected call to one prompt; ids of calls with `</s>` where they ended."""

    ids: list[int]   # of the prompt
    chosen: list[int]
    rejected: list[int]
    is_branch: bool  # whether one call leaves the other at a token
    where: str       # file, line and rejected call

    @property
    def n_tokens(self):
        """Of the pair's row."""
        return len(self.ids) + len(self.chosen) + len(self.rejected)


# --------------------------------------------------------------------------------------- the pairs

def load_pairs(path, tokenizer, flags):
    """The Pairs of a file, up to --max-length, --num-pairs of them; prints how many there are."""
    pairs = read_pairs(path, tokenizer)
    short = [pair for pair in pairs if not flags.max_length or pair.n_tokens <= flags.max_length]
    if not short:
        raise InputError(f"{path}: no pair of --max-length {flags.max_length} tokens or less")
    drawn = draw(short, flags.num_pairs or len(short), flags.seed)
    branches = sum(pair.is_branch for pair in drawn)
    print(f"{path}: {len(drawn)} of {len(pairs)} pairs, {branches} that part at one token, "
          f"{len(pairs) - len(short)} longer than --max-length")
    return drawn


def read_pairs(path, tokenizer):
    """All Pairs of a pairs.jsonl. Raises InputError naming the file and the line."""
    pairs = []
    for i, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            pairs += _read_preference(parse_json(line, f"{path}: line {i}"), tokenizer,
                                      f"{path}: line {i}")
    if not pairs:
        raise InputError(f"{path}: holds no pair")
    return pairs


def _read_preference(preference, tokenizer, where):
    """The Pairs of one line, one for each rejected call. Raises InputError, led by `where`."""
    if not isinstance(preference, dict):
        raise InputError(f"{where}: must be a JSON object")
    prompt = _read_ids(preference, "prompt_ids", tokenizer, where)
    if not prompt:
        raise InputError(f"{where}: prompt_ids is empty")
    chosen_record = preference.get("chosen")
    chosen = _read_call(chosen_record, tokenizer, f"{where}: chosen")
    rejected_records = preference.get("rejected")
    if not isinstance(rejected_records, list) or not rejected_records:
        raise InputError(f"{where}: rejected is missing or no list of calls")
    pairs = []
    for k, record in enumerate(rejected_records):
        here = f"{where}: rejected {k}"
        rejected = _read_call(record, tokenizer, here)
        if rejected == chosen:
            raise InputError(f"{here}: is the chosen call itself")
        is_branch = not chosen_record.get("gold") and (
            type(chosen_record.get("branch")) is int or type(record.get("branch")) is int)
        pairs.append(Pair(prompt, chosen, rejected, is_branch, here))
    return pairs


def _read_call(record, tokenizer, where):
    """The ids of a call, with `</s>` if it ended. Raises InputError, led by `where`."""
    if not isinstance(record, dict):
        raise InputError(f"{where}: is missing or no JSON object")
    ids = _read_ids(record, "ids", tokenizer, where)
    if not isinstance(record.get("ended"), bool):
        raise InputError(f"{where}: ended is missing or neither true nor false")
    if not isinstance(record.get("text"), str) or tokenizer.decode(ids) != record["text"]:
        raise InputError(f"{where}: ids are not those of its text; another tokenizer?")
    if record["ended"]:
        return [*ids, tokenizer.eos_id]
    if not ids:
        raise InputError(f"{where}: has no token")
    return ids


def _read_ids(record, key, tokenizer, where):
    """A list of token ids. Raises InputError, led by `where`."""
    ids = record.get(key)
    if not isinstance(ids, list) or not all(type(i) is int for i in ids):
        raise InputError(f"{where}: {key} is missing or no list of integers")
    wrong = [i for i in ids if not 0 <= i < tokenizer.vocab_size]
    if wrong:
        raise InputError(f"{where}: {key} holds {wrong[0]}, and the tokenizer has pieces 0 to "
                         f"{tokenizer.vocab_size - 1}")
    return ids


# ------------------------------------------------------------------------------------------- a step

def my_batches(pairs, flags, device):
    """This process's share of pairs -> (their places, MicroBatches of two answers a prompt)."""
    mine = share_evenly([pair.n_tokens for pair in pairs])
    own = [pairs[place] for place in mine]
    answers = []
    for pair in own:
        answers += [pair.chosen, pair.rejected]
    batches, _ = make_micro_batches(own, answers, 2, flags.micro_batch, device)
    return mine, batches


def pair_logprobs(transformer, batch):
    """log p of whole answers, (N, 2): chosen and rejected. batch: a MicroBatch with K = 2."""
    logp, _ = answer_logprobs(transformer, batch, temperature=1.0)  # (b, T)
    return logp.sum(-1).view(-1, 2)


@torch.no_grad()
def reference_logprobs(transformer, pairs, batches, flags, device):
    """log p of all pairs under the model as it is -> list of [chosen, rejected].

    batches: places in `pairs`, all of them once. They are those of the first epoch, so that every
    row stands beside the same others as in training: before any update margins are 0, bit for bit.
    """
    found = torch.zeros(len(pairs), 2, dtype=torch.float64, device=device)
    for batch in batches:
        mine, micro_batches = my_batches([pairs[place] for place in batch], flags, device)
        places = torch.tensor([batch[i] for i in mine], dtype=torch.int64, device=device)
        for micro_batch in micro_batches:
            logp = pair_logprobs(transformer, micro_batch)
            own = micro_batch.answers[::2] // 2  # which of this process's pairs
            found[places[own]] = logp.double()
    return all_sum(found).tolist()


def train_step(transformer, optimizer, pairs, reference, flags, lr):
    """One update on pairs -> metrics. reference: [log p of chosen, of rejected] of each.

    The loss is the mean over the pairs of all processes. Raises NotFinite before the update.
    """
    sums = pass_over(transformer, pairs, reference, flags, learns=True)
    finite(sums["loss"], "loss")
    grad_norm = clip_and_step(transformer, optimizer, lr, flags.grad_clip)
    return {
        **means(sums, len(pairs)),
        "lr": lr,
        "grad_norm": grad_norm,
        "pairs": len(pairs),
        "branch_pairs": sum(pair.is_branch for pair in pairs) / len(pairs),
        "tokens": sum(pair.n_tokens for pair in pairs),
    }


def pass_over(transformer, pairs, reference, flags, learns):
    """Forward, and backward if it learns, over pairs -> {metric: its sum over all processes}.

    docs/metrics.md defines every key.
    """
    device = transformer.model.embed_tokens.weight.device
    mine, batches = my_batches(pairs, flags, device)
    own_reference = torch.tensor([reference[i] for i in mine], dtype=torch.float64, device=device)
    own_reference = own_reference.view(-1, 2)  # also without a pair
    _, ranks = processes()
    sums = Counter()
    for i, batch in enumerate(batches):
        if learns:
            reduce_gradients(transformer, i + 1 == len(batches))
        logp = pair_logprobs(transformer, batch)  # (N, 2)
        ref_logp = own_reference[batch.answers[::2] // 2].to(logp.dtype)
        lengths = batch.mask[::2].sum(-1)  # (N,) of chosen calls
        loss, preference, margin = dpo_loss(logp, ref_logp, lengths, flags.beta, flags.alpha)
        if learns:
            (loss.sum() * ranks / len(pairs)).backward()  # FSDP averages over the processes
        logp = logp.detach()
        sums["loss"] += loss.sum().item()
        sums["preference_loss"] += preference.sum().item()
        sums["nll"] += (-logp[:, 0] / lengths).sum().item()
        sums["margin"] += margin.sum().item()
        sums["accuracy"] += (margin > 0).sum().item()
        sums["chosen_logp"] += logp[:, 0].sum().item()
        sums["rejected_logp"] += logp[:, 1].sum().item()
        sums["chosen_gain"] += (logp - ref_logp)[:, 0].sum().item()
    return all_sums(sums)


def means(sums, n):
    """{metric: its mean over n pairs}."""
    return {name: value / n for name, value in sums.items()}


@torch.no_grad()
def held_out_metrics(transformer, pairs, reference, flags):
    """The metrics of held-out pairs, which come as many at once as in a step."""
    sums = Counter()
    for start in range(0, len(pairs), flags.batch_size):
        some = slice(start, start + flags.batch_size)
        sums.update(pass_over(transformer, pairs[some], reference[some], flags, learns=False))
    found = means(sums, len(pairs))
    kept = ("loss", "preference_loss", "margin", "accuracy", "chosen_gain")
    return {f"eval_{name}": found[name] for name in kept}


def warn(metrics, notes):
    """Warn once if chosen calls become less likely while margins grow.

    In each of the last ten steps the chosen calls were below the reference, and the rejected ones
    further below. notes: these steps so far, and the warnings that were given.
    """
    notes["recent"] = [*notes["recent"], [metrics["chosen_gain"], metrics["margin"]]][-10:]
    falls = len(notes["recent"]) == 10 and all(
        gain < 0 < margin for gain, margin in notes["recent"])
    if falls:
        sign = "chosen calls became less likely while margins grew: raise --alpha, or lower --lr"
        warn_once(sign, notes)


# ----------------------------------------------------------------------------------------- the loop

def read_flags():
    """The command line -> Flags, with files in place of the folders that hold them."""
    flags = parse_flags(
        PRESETS, "TTPA: preference training (DPO) on pairs of calls.", defaults_with=LORA_DEFAULTS)
    files = {}
    for name in ("data", "eval_data"):
        path = getattr(flags, name)
        if path and Path(path).is_dir():
            files[name] = str(Path(path, "pairs.jsonl"))
    return start_from(replace(flags, **files), "sft")


def compute_references(transformer, pairs, held_out, batches, flags):
    """The reference's log-probabilities of pairs and of held-out ones, before the first update."""
    device = transformer.model.embed_tokens.weight.device
    places = list(range(len(held_out)))
    size = flags.batch_size
    eval_batches = [places[i:i + size] for i in range(0, len(places), size)]
    return {
        "train": reference_logprobs(transformer, pairs, batches, flags, device),
        "eval": reference_logprobs(transformer, held_out, eval_batches, flags, device),
    }


def main():
    """The command line; see the top of this file."""
    flags = read_flags()
    if flags.plan:
        model.print_plan(memory.plan_dpo, flags)
        return
    device = join(flags.device)
    run = Run(flags, "dpo")
    print(f"starting from {flags.model}")
    tokenizer = Tokenizer(flags.tokenizer or flags.model)
    transformer = model.load_for_training(flags, device)
    tokenizer.must_fit(transformer.config)
    pairs = load_pairs(flags.data, tokenizer, flags)
    all_of_them = replace(flags, num_pairs=0)
    held_out = load_pairs(flags.eval_data, tokenizer, all_of_them) if flags.eval_data else []
    lengths = [len(pair.ids) + max(len(pair.chosen), len(pair.rejected))
               for pair in pairs + held_out]
    warn_of_length(lengths, transformer.config, "pairs", flags.model)
    batches = all_batches(range(len(pairs)), flags)
    optimizer = make_optimizer(transformer, flags.weight_decay)
    notes = {"reference": {}, "recent": [], "warned": []}
    for number in run.steps(len(batches), {"model": (transformer, optimizer)}, notes):
        if not notes["reference"]:  # this is the first step of the run
            first_epoch = batches[:len(batches) // flags.epochs]
            notes["reference"] = compute_references(
                transformer, pairs, held_out, first_epoch, flags)
        reference = notes["reference"]
        if held_out and number == 0:
            run.log(0, held_out_metrics(transformer, held_out, reference["eval"], flags), {})
        started = time.perf_counter()
        done = number + 1
        batch = [pairs[place] for place in batches[number]]
        batch_reference = [reference["train"][place] for place in batches[number]]
        lr = learning_rate(number, len(batches), flags.lr, flags.warmup_ratio)
        try:
            metrics = train_step(transformer, optimizer, batch, batch_reference, flags, lr)
        except NotFinite as error:
            items = "; ".join(pair.where for pair in batch)
            raise InputError(f"step {done}, pairs {items}: {error}") from None
        seconds = time.perf_counter() - started
        if held_out and run.evaluates(done, len(batches)):
            metrics |= held_out_metrics(transformer, held_out, reference["eval"], flags)
        speed = metrics["tokens"] / seconds
        run.log(done, metrics, {"seconds": seconds, "tokens_per_s": speed},
                f"loss {metrics['loss']:.3f}, accuracy {metrics['accuracy']:.2f}, "
                f"{speed:,.0f} tokens/s")
        warn(metrics, notes)
    model.export(transformer, tokenizer, run.path)
    leave()


if __name__ == "__main__":
    cli(main, lower="--micro-batch or --max-length, or give --checkpoint-activations")
