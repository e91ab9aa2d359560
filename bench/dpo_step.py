"""DPO on the same pairs: ours against TRL's DPOTrainer.

    python -m bench.dpo_step

64 pairs, 16 a step, one epoch, fp32: prompts of 350 to 500 random ids, calls of 15 to 40, of which
some share their beginning. 2M and 24M parameters, the same weights. Both sides compute the
reference's log-probabilities and take every step; TRL once at its defaults, where the reference is
a second model that reads every batch, and once with precompute_ref_log_probs, as ours does. The
pairs are tokenised before the clock starts, and TRL's trainer is built.
Checked before: the loss of 16 pairs, of a model that has moved away from its reference.
Not measured: sharding, memory. Needs transformers and trl; no files.
"""

import copy
import tempfile

import tokenizers
import torch
from datasets import Dataset
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, PrinterCallback
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer

import dpo
from bench import sides
from plumbing.optimizer import make_optimizer
from plumbing.runs import all_batches

LR = 1e-6


class Tokenised(DPOTrainer):
    """TRL's trainer on pairs of ids."""

    def _prepare_dataset(self, dataset, *arguments):
        return dataset


def draw(count, vocabulary, quick):
    """Pairs of random ids; calls share 0 to 9 tokens."""
    generator = torch.Generator().manual_seed(0)
    scale = 8 if quick else 1

    def some_ids(length):
        return torch.randint(3, vocabulary, (int(length),), generator=generator).tolist()

    pairs = []
    for i, length in enumerate(torch.linspace(350 // scale, 500 // scale, count)):
        shared = some_ids(i % 10)
        chosen = [*shared, *some_ids(6 + i % 25), 2]
        rejected = [*shared, *some_ids(30 - i % 25), 2]
        pairs.append(dpo.Pair(some_ids(length), chosen, rejected, bool(shared), f"pair {i}"))
    return pairs


def trainer(hf, reference, pairs, folder, precompute):
    """TRL's trainer for one epoch on pairs; its tokenizer only gives the padding id."""
    pieces = WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>")
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(pieces),
                                    pad_token="<unk>", eos_token="</s>")
    rows = [{"prompt_ids": pair.ids, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
            for pair in pairs]
    settings = DPOConfig(
        output_dir=folder, per_device_train_batch_size=16, num_train_epochs=1, learning_rate=LR,
        beta=0.1, use_cpu=True, bf16=False, max_length=None, gradient_checkpointing=False,
        precompute_ref_log_probs=precompute, save_strategy="no", logging_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False)
    trl = Tokenised(hf, ref_model=None if precompute else reference,
                    train_dataset=Dataset.from_list(rows), processing_class=words, args=settings)
    trl.remove_callback(PrinterCallback)
    return trl


def check(ours, hf, pairs, folder):
    """End unless both sides have the same loss, of a model that has moved from its reference."""
    flags = dpo.Flags(beta=0.1, alpha=0.0)
    places = list(range(len(pairs)))
    reference = dpo.reference_logprobs(ours, pairs, [places], flags, torch.device("cpu"))
    moved = copy.deepcopy(ours)
    moved_hf = copy.deepcopy(hf)
    with torch.no_grad():
        for parameter in [*moved.parameters(), *moved_hf.parameters()]:
            parameter *= 1.02
        trl = trainer(moved_hf, hf, pairs, folder, precompute=False)
        rows = [trl.train_dataset[i] for i in places]
        theirs = trl.compute_loss(moved_hf, trl.data_collator(rows))
        found = dpo.pass_over(moved, pairs, reference, flags, learns=False)
    sides.agree(f"loss of {len(pairs)} pairs", found["loss"] / len(pairs), theirs, 1e-5)


def our_run(transformer, pairs):
    """References, then one epoch."""
    flags = dpo.Flags(alpha=0.0, micro_batch=16)
    batches = all_batches(range(len(pairs)), flags)
    optimizer = make_optimizer(transformer, 0.0)
    reference = dpo.compute_references(transformer, pairs, [], batches, flags)["train"]
    for batch in batches:
        dpo.train_step(transformer, optimizer, [pairs[i] for i in batch],
                       [reference[i] for i in batch], flags, LR)


def main():
    """The command line; see the top of this file."""
    flags = sides.parser(__doc__, rounds=3).parse_args()
    sides.start(flags)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (width, layers, vocabulary) in sides.SHAPES.items():
            pairs = draw(16 if flags.quick else 64, vocabulary, flags.quick)
            ours, hf = sides.both(sides.config(width, layers, vocabulary), std=0.1)
            check(ours, hf, pairs[:16], folder)
            for precompute in (False, True):
                ours_seconds = []
                their_seconds = []
                for _ in range(1 + (1 if flags.quick else flags.rounds)):
                    ours_seconds.append(sides.seconds(our_run, ours, pairs))
                    reference = copy.deepcopy(hf)
                    trl = trainer(hf, reference, pairs, folder, precompute)
                    their_seconds.append(sides.seconds(trl.train))
                title = f"{name}, TRL {'precomputes' if precompute else 'at its defaults'}"
                # the first round is not counted
                rows.append([title, *sides.compare(ours_seconds[1:], their_seconds[1:])])
    sides.table(["epoch of DPO", "ours", "TRL", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
