"""Stage 1 (paper, sections 3.1 and 3.2): fine-tuning with MAE and PKT, one pass per conversation.

    python sft.py                                       # the embedded model and data, on a CPU
    python sft.py --model DIR --data raw_data.json      # CPU or one GPU, settings of a small model
    python sft.py --preset codellama-7b --model CodeLlama-7b-hf --data raw_data.json \\
        --lora-rank 16                                  # one GPU: adapters alone are trained
    torchrun --nproc_per_node 8 sft.py --preset codellama-7b --model CodeLlama-7b-hf \\
        --data raw_data.json                            # eight GPUs

MAE drops the calls whose feedback reports an error from the loss, PKT weighs the tokens that
decide which tool is called. The rows of the paper's Table 5 that have no IRM:

    w/ None         --no-mae --no-pkt
    w/ MAE          --no-pkt
    w/ PKT          --no-mae
    w/ MAE & PKT    neither flag

Left out: packing several conversations into one row, since length-grouped batches pad under 10%;
and dropout.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import torch

import model
from data import trajectories
from examples import build, collate, epoch_steps, micro_batches, misfits
from llama import warn_of_length
from losses import weighted_nll
from plumbing import memory
from plumbing.files import InputError
from plumbing.flags import cli, flag, parse_flags
from plumbing.optimizer import NotFinite, clip_and_step, finite, learning_rate, make_optimizer
from plumbing.parallel import (
    all_max,
    all_sum,
    join,
    leave,
    processes,
    reduce_gradients,
    share_evenly,
)
from plumbing.runs import Run
from tokenizer import Tokenizer

HERE = Path(__file__).parent
SHOWN = 20  # calls that do not fit their tools, one a line


@dataclass(frozen=True)
class Flags:
    model: str = flag(
        str(HERE / "data/tiny"), "checkpoint to start from, a directory in HF layout",
        group="files", on_resume="files")
    tokenizer: str = flag(
        "", "SentencePiece model (default: the one in --model)", group="files", on_resume="files")
    data: str = flag(
        str(HERE / "data/train.json"),
        "trajectories to train on: TL-Training's raw_data.json, OpenAI's messages or ShareGPT",
        group="files", on_resume="files")
    eval_data: str = flag(
        "", "held-out trajectories; their loss is reported every --eval-every steps and at the end",
        group="files", on_resume="files")
    out: str = flag(
        "runs/sft", "where the run goes; one that was cut short is continued",
        group="files", on_resume="nothing")

    mae: bool = flag(True, "MAE: drop erroneous calls from the loss", group="method")
    pkt: bool = flag(
        True, "PKT: weigh the tokens that decide which tool is called", group="method")
    w_max: float = flag(9.0, "PKT: largest weight", group="method", least=1, needs="pkt")
    enums: bool = flag(
        False, "name the values of a parameter's enum in the prompt's signatures", group="method")
    max_length: int = flag(
        4096, "tokens of a conversation; the oldest turns are dropped beyond (0: no limit)",
        group="method", least=0)
    lora_rank: int = flag(
        0, "train adapters of this rank; the model's own weights are frozen (0: train them all)",
        group="method", least=0)
    lora_alpha: float = flag(
        0.0, "alpha of LoRA: adapters are scaled by alpha / rank (0: twice the rank)",
        group="method", least=0, needs="lora_rank")

    epochs: int = flag(1, "passes over the data", group="optimisation", least=1)
    batch_size: int = flag(
        4, "trained calls in a step, at least, of all processes together",
        group="optimisation", least=1)
    lr: float = flag(
        1e-6, "peak learning rate; with --lora-rank 0.0002", group="optimisation", least=0)
    warmup_ratio: float = flag(
        0.01, "share of steps with rising learning rate", group="optimisation", least=0, most=1)
    weight_decay: float = flag(0.01, "of matrices", group="optimisation", least=0)
    grad_clip: float = flag(
        1.0, "largest norm of the gradient (0: no clipping)", group="optimisation", least=0)

    micro_tokens: int = flag(
        4096, "padded tokens in one forward pass; bounds memory, changes no result",
        group="hardware", least=1, on_resume="bits")
    dtype: str = flag(
        "bf16", "of the computation, and of frozen weights; trained weights are fp32",
        group="hardware", choices=("bf16", "fp32"))
    checkpoint_activations: bool = flag(
        False, "recompute activations in the backward pass: less memory, updates take 1/3 longer",
        group="hardware", on_resume="bits")
    device: str = flag("auto", "cpu, cuda, or auto", group="hardware", on_resume="bits")

    seed: int = flag(0, "of the order of the data", group="run", least=0)
    save_every: int = flag(
        100, "steps between checkpoints to go on from (0: none)",
        group="run", least=0, on_resume="nothing")
    keep: int = flag(
        1, "how many of these to keep", group="run", least=1, on_resume="nothing")
    eval_every: int = flag(
        0, "steps between evaluations on --eval-data (0: only at the end)",
        group="run", least=0, needs="eval_data")
    plan: int = flag(
        0, "print the memory that each of this many processes will need, and end",
        group="run", least=0, on_resume="nothing")


PRESETS = {
    # fp32: at the tiny model's width bf16 took twice the time, on a CPU with AVX-512
    "tiny": Flags(lr=1e-4, epochs=1, dtype="fp32"),
    # the paper's rate and single epoch; length and checkpointing as released
    "codellama-7b": Flags(max_length=8192, micro_tokens=8192, checkpoint_activations=True),
}
# with --lora-rank these replace the preset's
LORA_DEFAULTS = {"lora_rank": {"lr": 2e-4}}


# ------------------------------------------------------------------------------------------ loading

def load_examples(path, tokenizer, config, flags):
    """A trajectory file -> Examples; prints its format and what was left out.

    Raises InputError if all is left out, and if most trained calls do not fit their tools' schemas.
    """
    items = trajectories.read_items(path)
    print(f"{path}: {trajectories.formats(items)}")
    conversations = trajectories.read_conversations(items)
    try:
        examples, counts = build(
            conversations, tokenizer, flags.mae, flags.pkt, flags.w_max, flags.max_length)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    print(f"{path}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    odd = misfits(examples, conversations)
    trained = sum(example.n_calls for example in examples)
    if odd:
        what = f"{len(odd):,} of {trained:,} trained calls do not fit the tools that are offered"
        if 2 * len(odd) > trained:
            raise InputError(f"{path}: {what}; {odd[0]}")
        print(f"{path}: {what}", *odd[:SHOWN], sep="\n  ")
    lengths = [len(example.ids) for example in examples]
    warn_of_length(lengths, config, "conversations", flags.model)
    return examples


def all_steps(examples, flags):
    """All steps of all epochs; says how many cannot keep every process busy."""
    steps = []
    for epoch in range(flags.epochs):
        steps += epoch_steps(examples, flags.batch_size, flags.seed, epoch)
    _, ranks = processes()
    idle = sum(len(step) < ranks for step in steps)
    if idle:
        print(f"{idle} of {len(steps)} steps have fewer conversations than there are processes: "
              "with a larger --batch-size all of them would work")
    return steps


# ----------------------------------------------------------------------------------------- training

def my_batches(examples, flags, device):
    """This process's share of `examples` as micro-batches; all processes have as many.

    A forward pass gathers parameters, so all processes must take part: those with less to do run
    a row without weights.
    """
    lengths = [len(example.ids) for example in examples]
    mine = [examples[i] for i in share_evenly(lengths)]
    groups = micro_batches(mine, flags.micro_tokens, device)
    missing = int(all_max(len(groups))) - len(groups)
    groups += [[]] * missing
    return [collate(group, device) for group in groups]


def train_step(transformer, optimizer, step, flags, lr, device):
    """One update on the examples of `step` -> metrics.

    Loss: the mean over the step's calls of the weighted mean NLL of each, with both counts taken
    over all processes before the first forward. Raises NotFinite before the update.
    """
    batches = my_batches(step, flags, device)
    n_calls = sum(example.n_calls for example in step)
    n_trained = sum(example.n_trained for example in step)
    _, ranks = processes()
    sums = torch.zeros(2, dtype=torch.float64, device=device)  # of the loss and of the NLL
    for i, batch in enumerate(batches):
        loss, nll = weighted_nll(transformer, batch)
        reduce_gradients(transformer, i + 1 == len(batches))
        (loss * ranks / n_calls).backward()  # FSDP averages gradients over the processes
        sums += torch.stack((loss.detach(), nll))
    loss_sum, nll_sum = all_sum(sums).tolist()
    finite(loss_sum, "loss")
    grad_norm = clip_and_step(transformer, optimizer, lr, flags.grad_clip)
    padded_tokens = all_sum(sum(batch.ids.numel() for batch in batches))
    return {
        "loss": loss_sum / n_calls,
        "nll": nll_sum / n_trained,
        "lr": lr,
        "grad_norm": grad_norm,
        "calls": n_calls,
        "trained_tokens": n_trained,
        "tokens": sum(len(example.ids) for example in step),
        "padded_tokens": int(padded_tokens),
    }


@torch.no_grad()
def held_out_metrics(transformer, examples, flags, device):
    """Held-out loss (mean over calls, weighted as in training), NLL (mean over trained tokens)."""
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for batch in my_batches(examples, flags, device):
        sums += torch.stack(weighted_nll(transformer, batch))
    loss_sum, nll_sum = all_sum(sums).tolist()
    return {
        "eval_loss": loss_sum / sum(example.n_calls for example in examples),
        "eval_nll": nll_sum / sum(example.n_trained for example in examples),
    }


def main():
    """The command line; see the top of this file."""
    flags = parse_flags(
        PRESETS, "Stage 1: supervised fine-tuning with MAE and PKT.", defaults_with=LORA_DEFAULTS)
    if flags.plan:
        model.print_plan(memory.plan_sft, flags)
        return
    device = join(flags.device)
    run = Run(flags, "sft")
    tokenizer = Tokenizer(flags.tokenizer or flags.model, flags.enums)
    transformer = model.load_for_training(flags, device)
    tokenizer.must_fit(transformer.config)
    examples = load_examples(flags.data, tokenizer, transformer.config, flags)
    held_out = []
    if flags.eval_data:
        held_out = load_examples(flags.eval_data, tokenizer, transformer.config, flags)
    steps = all_steps(examples, flags)
    optimizer = make_optimizer(transformer, flags.weight_decay)
    for number in run.steps(len(steps), {"model": (transformer, optimizer)}, notes={}):
        started = time.perf_counter()
        step = steps[number]
        done = number + 1
        lr = learning_rate(number, len(steps), flags.lr, flags.warmup_ratio)
        try:
            metrics = train_step(transformer, optimizer, step, flags, lr, device)
        except NotFinite as error:
            items = ", ".join(str(example.item) for example in step)
            raise InputError(f"{flags.data}, step {done}, items {items}: {error}") from None
        seconds = time.perf_counter() - started
        if held_out and run.evaluates(done, len(steps)):
            metrics |= held_out_metrics(transformer, held_out, flags, device)
        speed = metrics["tokens"] / seconds
        run.log(done, metrics, {"seconds": seconds, "tokens_per_s": speed},
                f"loss {metrics['loss']:.3f}, {speed:,.0f} tokens/s")
    model.export(transformer, tokenizer, run.path)
    leave()


if __name__ == "__main__":
    cli(main, lower="--micro-tokens or --max-length, or give --checkpoint-activations")
