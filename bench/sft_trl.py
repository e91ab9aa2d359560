"""An epoch of stage 1 on real conversations: ours against TRL's SFTTrainer, where TRL can do it.

    python -m bench.sft_trl --trajectories raw_data.json --tokenizer tokenizer.model

TRL has no weight per token, and no label </s> after a call inside a conversation. Both sides
therefore train the conversation's last call only, without MAE and PKT, four conversations a step.
Each side makes its batches in its own way (theirs random, ours by length). TRL is at its defaults
but for one epoch, and for activation checkpointing, which is off on both sides; the script builds
TRL's trainer before the clock starts. Model, conversations and parts are those of
bench/sft_epoch.py. Checked before: the mean NLL of trained tokens (TRL's loss; ours weighs calls
alike, and so has another gradient). Not measured: memory. Needs transformers and trl.
"""

import tempfile

import numpy as np
import tokenizers
import torch
from datasets import Dataset
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, PrinterCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

import sft
from bench import sft_epoch, sides
from examples import collate
from losses import weighted_nll


def last_calls(part):
    """The Examples of a part, each with its last call as the only trained one."""
    return [last_call(example) for example in part]


def last_call(example):
    """The Example with its last call as the only trained one, at weight 1."""
    last = example.call == example.call.max()
    return example._replace(weights=last.astype(float), call=np.where(last, 0, -1), n_calls=1)


def trainer(hf, part, flags, folder):
    """TRL's trainer on a part, already tokenised; its tokenizer only gives the padding id."""
    pieces = WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>")
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(pieces),
                                    pad_token="<unk>", eos_token="</s>")
    rows = []
    for example in part:
        labels = np.where(example.weights > 0, example.labels, -100).tolist()
        rows.append({"input_ids": [*example.ids.tolist(), int(example.labels[-1])],
                     "labels": [-100, *labels]})
    settings = SFTConfig(
        output_dir=folder, per_device_train_batch_size=flags.batch_size, num_train_epochs=1,
        learning_rate=sft_epoch.LR, bf16=flags.dtype == "bf16", use_cpu=True, max_length=None,
        gradient_checkpointing=False, save_strategy="no", logging_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False)
    trl = SFTTrainer(hf, train_dataset=Dataset.from_list(rows), processing_class=words,
                     args=settings)
    trl.remove_callback(PrinterCallback)
    return trl


@torch.no_grad()
def check(transformer, hf, part, flags, folder):
    """End unless both sides have the same mean NLL of the same trained tokens."""
    transformer.compute_dtype = sft.model.DTYPES[flags.dtype]
    trl = trainer(hf, part, flags, folder)
    rows = [trl.train_dataset[i] for i in range(len(part))]
    with trl.compute_loss_context_manager():
        loss = trl.compute_loss(hf, trl.data_collator(rows))
    n_trained = sum(example.n_trained for example in part)
    _, nll = weighted_nll(transformer, collate(part))
    sides.agree(f"{flags.dtype}, mean NLL of {n_trained} tokens", nll / n_trained, loss,
                1e-5 if flags.dtype == "fp32" else 2e-3)


def main():
    """The command line; see the top of this file."""
    arguments = sides.parser(__doc__, conversations=40).parse_args()
    sides.start(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    parts, shape = sft_epoch.choose(arguments)
    parts = [last_calls(part) for part in parts]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("fp32", "bf16"):
            flags = sft.Flags(dtype=dtype, max_length=0)
            transformer, hf = sides.both(shape)
            check(transformer, hf, parts[0][:2], flags, folder)
            train = sft_epoch.ours(transformer, flags)
            ours = []
            theirs = []
            for part in (parts[0][:1], *parts):  # the first is not counted
                ours.append(sides.seconds(train, part))
                theirs.append(sides.seconds(trainer(hf, part, flags, folder).train))
            rows.append([dtype, *sides.compare(ours[1:], theirs[1:], sum)])
    sides.table(["epoch, last calls only", "ours", "TRL", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
