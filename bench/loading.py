"""Loading a sharded checkpoint: ours against transformers, and against reading its files.

    python -m bench.loading [--gigabytes 2]

Reading the files is the limit. The script writes the checkpoint in bf16 to a temporary folder,
and each side loads it in bf16, from the disk cache. After loading, each side reads a number of
every page of its weights, since files may be mapped, not read. Checked before: all weights are
equal. Not measured: a cold disk, conversion to another dtype. Needs transformers, and three times
the checkpoint's size in memory.
"""

import tempfile
from pathlib import Path

import torch
from transformers import LlamaForCausalLM
from transformers.utils import logging

import model
from bench import sides


def write(folder, gigabytes, width=2048, vocabulary=32016):
    """Write a random bf16 checkpoint of about this size, in four or five shards."""
    per_layer = 2 * (4 * width**2 + 3 * width * 8 * -(-width // 3))
    layers = max(1, round((gigabytes * 1e9 - 4 * vocabulary * width) / per_layer))
    with torch.device("meta"):
        transformer = model.Transformer(sides.config(width, layers, vocabulary))
    transformer = transformer.bfloat16().to_empty(device="cpu")
    for parameter in transformer.parameters():
        parameter.detach().uniform_(-0.1, 0.1)
    model.save(transformer, folder, shard_bytes=int(gigabytes * 1e9 / 3.9))


def touch(transformer):
    """The sum of a number of every page of 4 KiB of a model's weights."""
    return sum(parameter.detach().view(-1)[::2048].float().sum().item()
               for parameter in transformer.parameters())


def read_files(folder):
    """Read all bytes of the weights into fresh memory: no way to load them can be faster."""
    buffers = []
    for file in Path(folder).glob("*.safetensors"):
        buffers.append(torch.empty(file.stat().st_size, dtype=torch.uint8))
        view = memoryview(buffers[-1].numpy())
        done = 0
        with open(file, "rb", buffering=0) as stream:
            while done < len(view):  # a read gives 2 GiB at most
                done += stream.readinto(view[done:])


def load_ours(folder):
    """The checkpoint as a Transformer."""
    return model.load(folder, torch.bfloat16)


def load_theirs(folder):
    """The checkpoint as a LlamaForCausalLM."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    flags = parser.parse_args()
    sides.start(flags)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        if flags.quick:
            write(folder, 0.05, 512, 1000)
        else:
            write(folder, flags.gigabytes)
        sizes = [file.stat().st_size for file in Path(folder).glob("*.safetensors")]
        theirs = dict(load_theirs(folder).named_parameters())
        for name, parameter in load_ours(folder).named_parameters():
            sides.same(name, parameter, theirs[name])
        del theirs
        found = sides.alternate({
            "ours": lambda: touch(load_ours(folder)),
            "transformers": lambda: touch(load_theirs(folder)),
            "reading the files": lambda: read_files(folder)}, 2 if flags.quick else flags.rounds)
    ours = found.pop("ours")
    what = f"{sum(sizes) / 1e9:.2f} GB in {len(sizes)} files against"
    sides.table([what, "ours", "other", "ratio", "range"],
                [[name, *sides.compare(ours, taken)] for name, taken in found.items()])


if __name__ == "__main__":
    main()
