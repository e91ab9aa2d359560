"""An epoch of stage 1 on real conversations: ours against two ways with transformers.

    python -m bench.sft_epoch --trajectories raw_data.json --tokenizer tokenizer.model

(a) as released: one sample per call, each with the whole history again, batch 1, full logits;
(b) LlamaForCausalLM on our batches of whole conversations, full logits and a masked loss.

4 layers of width 256 with the tokenizer's vocabulary. All sides start from the same fp32 weights,
compute in fp32 or bf16 (theirs by autocast), clip, and step with fused AdamW. All train the same
tokens in the same steps. The conversations are taken evenly from the whole file and shared out to
parts; on each part all sides run in turn. An epoch is the sum of its parts, and the range of ratios
is that of the parts.
Checked before: loss and gradients of a step. Not measured: reading and tokenising
(bench/preprocessing.py), memory. Needs transformers.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F

import sft
from bench import sides
from data import trajectories
from examples import build, collate, epoch_steps, micro_batches
from losses import weighted_nll
from plumbing.optimizer import clip_and_step, make_optimizer
from tokenizer import Tokenizer

LR = 1e-4
CPU = torch.device("cpu")


def choose(flags):
    """(the parts that --rounds asks for, each a list of Examples; the model's Config)."""
    tokenizer = Tokenizer(flags.tokenizer)
    conversations = trajectories.read(flags.trajectories)
    count = min(4 if flags.quick else flags.conversations, len(conversations))
    rounds = 1 if flags.quick else flags.rounds
    chosen = [conversations[i * len(conversations) // count] for i in range(count)]
    examples, _ = build(chosen, tokenizer, max_length=500 if flags.quick else 0)
    width = 64 if flags.quick else 256
    layers = 1 if flags.quick else 4
    parts = [examples[i::rounds] for i in range(rounds)]
    return parts, sides.config(width, layers, tokenizer.vocab_size)


def per_call(example):
    """The released samples of a conversation: each trained call with all tokens before it."""
    for number in np.unique(example.call[example.call >= 0]):
        stop = np.flatnonzero(example.call == number)[-1] + 1
        mine = example.call[:stop] == number
        yield example._replace(ids=example.ids[:stop], labels=example.labels[:stop], n_calls=1,
                               weights=np.where(mine, example.weights[:stop], 0.0),
                               call=np.where(mine, example.call[:stop], -1))


def one_by_one(step):
    """The micro-batches of (a): a sample each."""
    return [[sample] for example in step for sample in per_call(example)]


def whole(step):
    """The micro-batches of (b), and of ours."""
    return micro_batches(step, sft.Flags().micro_tokens)


def backward(hf, step, groups, dtype):
    """Forward and backward of transformers' model with full logits -> the step's loss, as ours.

    groups: the micro-batches of the step.
    """
    loss_of_step = 0.0
    n_calls = sum(example.n_calls for example in step)
    for group in groups:
        batch = collate(group)
        lengths = torch.tensor([len(example.ids) for example in group])
        mask = torch.arange(batch.ids.shape[1]) < lengths[:, None]  # (B, T)
        labels = torch.where(batch.weights > 0, batch.labels, -100)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            logits = hf(input_ids=batch.ids, attention_mask=mask.long(), use_cache=False).logits
        nll = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        loss = (nll * batch.weights.flatten()).sum() / n_calls
        loss.backward()
        loss_of_step += loss.item()
    return loss_of_step


def theirs(hf, flags, split):
    """The function that trains (a) or (b) on a part; split: makes the micro-batches of a step."""
    optimizer = make_optimizer(hf, flags.weight_decay)

    def run(part):
        for step in epoch_steps(part, flags.batch_size, 0, 0):
            backward(hf, step, split(step), flags.dtype)
            clip_and_step(hf, optimizer, LR, flags.grad_clip)

    return run


def ours(transformer, flags):
    """The function that trains ours on a part."""
    transformer.compute_dtype = sft.model.DTYPES[flags.dtype]
    optimizer = make_optimizer(transformer, flags.weight_decay)

    def run(part):
        for step in epoch_steps(part, flags.batch_size, 0, 0):
            sft.train_step(transformer, optimizer, step, flags, LR, CPU)

    return run


def check(transformer, hf, part, flags):
    """End unless all sides have the same loss and gradients, on one step of a part."""
    transformer.compute_dtype = sft.model.DTYPES[flags.dtype]
    loss_tolerance = 1e-5 if flags.dtype == "fp32" else 2e-3
    gradient_tolerance = 1e-3 if flags.dtype == "fp32" else 5e-2
    step = epoch_steps(part, flags.batch_size, 0, 0)[0]
    n_calls = sum(example.n_calls for example in step)
    loss = 0.0
    for group in whole(step):
        nll, _ = weighted_nll(transformer, collate(group))
        (nll / n_calls).backward()
        loss += (nll / n_calls).item()
    for name, split in (("(a)", one_by_one), ("(b)", whole)):
        their_loss = backward(hf, step, split(step), flags.dtype)
        sides.agree(f"{flags.dtype}, {name}, loss", loss, their_loss, loss_tolerance)
        sides.agree_gradients(f"{flags.dtype}, {name}", transformer, hf, gradient_tolerance)
        hf.zero_grad()
    transformer.zero_grad()


def describe(parts, shape):
    """Print how much arithmetic (a) and (b) need, as multiples of ours.

    It is the ratio to expect where arithmetic takes all the time.
    """
    examples = [example for part in parts for example in part]
    samples = [sample for example in examples for sample in per_call(example)]
    lengths = [len(example.ids) for example in examples]
    again = [len(sample.ids) for sample in samples]
    needed = sides.flops(shape, lengths, sum(example.n_trained for example in examples))
    of_a = sides.flops(shape, again, sum(again)) / needed
    of_b = sides.flops(shape, lengths, sum(lengths)) / needed
    print(f"  {len(examples)} conversations, {len(samples)} trained calls, "
          f"{sum(lengths):,} tokens; arithmetic: (a) {of_a:.2f} times ours, (b) {of_b:.2f}",
          flush=True)


def main():
    """The command line; see the top of this file."""
    arguments = sides.parser(__doc__, conversations=40).parse_args()
    sides.start(arguments)
    parts, shape = choose(arguments)
    describe(parts, shape)
    rows = []
    for dtype in ("fp32", "bf16"):
        flags = sft.Flags(dtype=dtype, max_length=0)
        transformer, hf = sides.both(shape)
        check(transformer, hf, parts[0], flags)
        found = sides.alternate_on({"ours": ours(transformer, flags),
                                    "(a)": theirs(copy.deepcopy(hf), flags, one_by_one),
                                    "(b)": theirs(hf, flags, whole)},
                                   parts, warm_up=parts[0][:1])
        rows += [[name, dtype, *sides.compare(found["ours"], found[name], sum)]
                 for name in ("(a)", "(b)")]
    sides.table(["epoch against", "dtype", "ours", "theirs", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
