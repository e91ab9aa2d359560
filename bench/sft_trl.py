"""An epoch of stage 1 on real conversations: ours against TRL's SFTTrainer, on what TRL can express.

    python -m bench.sft_trl --trajectories raw_data.json --tokenizer tokenizer.model

TRL has no weight per token, and no call inside a conversation that is followed by the label </s>: both sides
train the conversation's last call only, without MAE and PKT, four conversations a step; each makes its
batches in its own way (theirs random, ours by length). TRL is at its defaults but for one epoch, and for
activation checkpointing, which is off on both sides; its trainer is built before the clock starts.
Model, conversations and parts are those of bench/sft_epoch.py.
Checked before: the mean NLL of trained tokens (TRL's loss; ours weighs calls alike, and so differs in
gradient). Not measured: memory. Needs transformers and trl.
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


def last_call(example):
    """The conversation with its last call as the only trained one, at weight 1."""
    last = example.call == example.call.max()
    return example._replace(weights=last.astype(float), call=np.where(last, 0, -1), n_calls=1)


def trainer(hf, part, flags, folder):
    """TRL's trainer on a part, already tokenised: of its tokenizer it needs the padding id alone."""
    words = tokenizers.Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    rows = [{"input_ids": [*example.ids.tolist(), int(example.labels[-1])], "labels": [-100] + np.where(
        example.weights > 0, example.labels, -100).tolist()} for example in part]
    trl = SFTTrainer(
        hf, train_dataset=Dataset.from_list(rows), processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<unk>", eos_token="</s>"),
        args=SFTConfig(output_dir=folder, per_device_train_batch_size=flags.batch_size, num_train_epochs=1,
                       learning_rate=sft_epoch.LR, bf16=flags.dtype == "bf16", use_cpu=True, max_length=None,
                       gradient_checkpointing=False, save_strategy="no", logging_strategy="no",
                       report_to="none", disable_tqdm=True, dataloader_pin_memory=False))
    trl.remove_callback(PrinterCallback)
    return trl


@torch.no_grad()
def check(transformer, hf, part, flags, folder):
    """The same mean NLL of the same trained tokens."""
    transformer.compute_dtype = sft.model.DTYPES[flags.dtype]
    trl, batch = trainer(hf, part, flags, folder), collate(part)
    with trl.compute_loss_context_manager():
        loss = trl.compute_loss(hf, trl.data_collator([trl.train_dataset[i] for i in range(len(part))]))
    n_trained = sum(example.n_trained for example in part)
    sides.agree(f"{flags.dtype}, mean NLL of {n_trained} tokens",
                weighted_nll(transformer, batch)[1] / n_trained, loss,
                1e-5 if flags.dtype == "fp32" else 2e-3)


def main():
    arguments = sides.parser(__doc__, conversations=40).parse_args()
    sides.start(arguments)
    logging.set_verbosity_error(), logging.disable_progress_bar()
    (parts, shape), rows = sft_epoch.choose(arguments), []
    parts = [[last_call(example) for example in part] for part in parts]
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("fp32", "bf16"):
            flags = sft.Flags(dtype=dtype, max_length=0)
            transformer, hf = sides.both(shape)
            check(transformer, hf, parts[0][:2], flags, folder)
            train, found = sft_epoch.ours(transformer, flags), {"ours": [], "theirs": []}
            for part in (parts[0][:1], *parts):  # the first is not counted
                found["ours"].append(sides.seconds(train, part))
                found["theirs"].append(sides.seconds(trainer(hf, part, flags, folder).train))
            ours, theirs = (taken[1:] for taken in found.values())
            rows.append([dtype, *sides.compare(ours, theirs, sum)])
    sides.table(["epoch, last calls only", "ours", "TRL", "ratio", "range"], rows)


if __name__ == "__main__":
    main()
