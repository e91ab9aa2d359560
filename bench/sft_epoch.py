"""An epoch of stage 1 on real conversations: ours against two ways with transformers. Same weights and steps.

    python -m bench.sft_epoch --trajectories raw_data.json --tokenizer tokenizer.model

(a) as released: one sample per call, each with the whole history again, batch 1, full logits;
(b) LlamaForCausalLM on our batches of whole conversations, full logits and a masked loss.

4 layers of width 256 with the tokenizer's vocabulary. All sides have fp32 weights, compute in fp32 or bf16
(theirs by autocast), clip, and step with fused AdamW; all train the same tokens in the same steps. The
conversations are taken evenly from the whole file and dealt to parts; on each part all sides run in turn. An
epoch is the sum of its parts, the range of ratios that of the parts.
Checked before: loss and gradients of a step. Not measured: reading and tokenising (bench/preprocessing.py),
memory. Needs transformers.
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

LR, CPU = 1e-4, torch.device("cpu")


def choose(flags):
    """The parts that --rounds asks for, each a list of Examples, and the model's shape."""
    tokenizer, conversations = Tokenizer(flags.tokenizer), trajectories.read(flags.trajectories)
    count = min(4 if flags.quick else flags.conversations, len(conversations))
    rounds = 1 if flags.quick else flags.rounds
    examples, _ = build([conversations[i * len(conversations) // count] for i in range(count)], tokenizer,
                        max_length=500 if flags.quick else 0)
    return ([examples[i::rounds] for i in range(rounds)],
            sides.config(*((64, 1) if flags.quick else (256, 4)), tokenizer.vocab_size))


def per_call(example):
    """The released samples of a conversation: each trained call with all that stands before it."""
    for number in np.unique(example.call[example.call >= 0]):
        stop = np.flatnonzero(example.call == number)[-1] + 1
        mine = example.call[:stop] == number
        yield example._replace(ids=example.ids[:stop], labels=example.labels[:stop], n_calls=1,
                               weights=np.where(mine, example.weights[:stop], 0.0),
                               call=np.where(mine, example.call[:stop], -1))


def one_by_one(step):
    return [[sample] for example in step for sample in per_call(example)]


def whole(step):
    return micro_batches(step, sft.Flags().micro_tokens)


def backward(hf, step, groups, dtype):
    """Forward and backward of transformers' model with full logits -> the step's loss, as ours counts it."""
    loss_of_step, n_calls = 0.0, sum(example.n_calls for example in step)
    for group in groups:
        batch, lengths = collate(group), torch.tensor([len(example.ids) for example in group])
        seen = torch.arange(batch.ids.shape[1]) < lengths[:, None]
        labels = torch.where(batch.weights > 0, batch.labels, -100)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            logits = hf(input_ids=batch.ids, attention_mask=seen.long(), use_cache=False).logits
        nll = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        loss = (nll * batch.weights.flatten()).sum() / n_calls
        loss.backward()
        loss_of_step += loss.item()
    return loss_of_step


def theirs(hf, flags, split):
    """(a) or (b), by how `split` makes batches of a step -> function that trains on a part."""
    optimizer = make_optimizer(hf, flags.weight_decay)

    def run(part):
        for step in epoch_steps(part, flags.batch_size, 0, 0):
            backward(hf, step, split(step), flags.dtype)
            clip_and_step(hf, optimizer, LR, flags.grad_clip)
    return run


def ours(transformer, flags):
    """The function that trains on a part."""
    transformer.compute_dtype = sft.model.DTYPES[flags.dtype]
    optimizer = make_optimizer(transformer, flags.weight_decay)

    def run(part):
        for step in epoch_steps(part, flags.batch_size, 0, 0):
            sft.train_step(transformer, optimizer, step, flags, LR, CPU)
    return run


def check(transformer, hf, part, flags):
    """The same loss and gradients from all sides, on one step of a part."""
    transformer.compute_dtype, exact = sft.model.DTYPES[flags.dtype], flags.dtype == "fp32"
    step, loss = epoch_steps(part, flags.batch_size, 0, 0)[0], 0.0
    for group in whole(step):
        one = weighted_nll(transformer, collate(group))[0] / sum(example.n_calls for example in step)
        one.backward()
        loss += one.item()
    for name, split in (("(a)", one_by_one), ("(b)", whole)):
        sides.agree(f"{flags.dtype}, {name}, loss", loss, backward(hf, step, split(step), flags.dtype),
                    1e-5 if exact else 2e-3)
        sides.agree_gradients(f"{flags.dtype}, {name}", transformer, hf, 1e-3 if exact else 5e-2)
        hf.zero_grad()
    transformer.zero_grad()


def describe(parts, shape):
    """Print how much arithmetic (a) and (b) need: the ratio to expect where arithmetic takes all the time."""
    examples = [example for part in parts for example in part]
    samples = [sample for example in examples for sample in per_call(example)]
    lengths, again = ([len(example.ids) for example in some] for some in (examples, samples))
    needed = sides.flops(shape, lengths, sum(int((example.weights > 0).sum()) for example in examples))
    print(f"  {len(examples)} conversations, {len(samples)} trained calls, {sum(lengths):,} tokens; "
          f"arithmetic: (a) {sides.flops(shape, again, sum(again)) / needed:.2f} times ours, "
          f"(b) {sides.flops(shape, lengths, sum(lengths)) / needed:.2f}", flush=True)


def main():
    arguments = sides.parser(__doc__, conversations=40).parse_args()
    sides.start(arguments)
    (parts, shape), rows = choose(arguments), []
    describe(parts, shape)
    for dtype in ("fp32", "bf16"):
        flags = sft.Flags(dtype=dtype, max_length=0)
        transformer, hf = sides.both(shape)
        check(transformer, hf, parts[0], flags)
        found = sides.alternate({"ours": ours(transformer, flags),
                                 "(a)": theirs(copy.deepcopy(hf), flags, one_by_one),
                                 "(b)": theirs(hf, flags, whole)}, parts, warm_up=parts[0][:1])
        rows += [[name, dtype, *sides.compare(found["ours"], found[name], sum)] for name in ("(a)", "(b)")]
    sides.table(["epoch against", "dtype", "ours", "theirs", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
