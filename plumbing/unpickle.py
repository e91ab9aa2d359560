"""Pickled weights to safetensors: what TL-CodeLLaMA-2 and other older checkpoints need.

    python -m plumbing.unpickle DIR      # DIR/pytorch_model*.bin -> DIR/model*.safetensors

torch.load reads the files with weights_only=True, which makes tensors and runs no code of the file,
and maps them into memory: one tensor at a time is read and written. Each .bin file becomes a
safetensors file, with an index where there are several. The .bin files stay; nothing reads them
any more.
"""

import json
import os
import pickle
import struct
from pathlib import Path

import torch

from plumbing.files import InputError, read_object, write_json
from plumbing.flags import Parser, cli

# torch's dtypes in safetensors' words
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
          torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
          torch.uint8: "U8", torch.bool: "BOOL"}


def convert(folder):
    """Write the safetensors files of a folder with pickled ones -> their paths.

    Raises InputError if there are none, if there are safetensors already, and for a file that holds
    anything but tensors by name.
    """
    folder = Path(folder)
    for name in ("model.safetensors", "model.safetensors.index.json"):
        if (folder / name).exists():
            raise InputError(f"{folder}: holds {name} already")
    pickles = pickled_files(folder)
    written = []
    weight_map = {}
    total_size = 0
    for i, file in enumerate(pickles, 1):
        tensors = read_pickle(file)
        name = "model.safetensors"
        if len(pickles) > 1:
            name = f"model-{i:05d}-of-{len(pickles):05d}.safetensors"
        twice = sorted(weight_map.keys() & tensors.keys())
        if twice:
            raise InputError(f"{file}: holds {twice[0]}, as {weight_map[twice[0]]} does")
        header, size = make_header(tensors)
        weight_map |= dict.fromkeys(tensors, name)
        del tensors
        write_safetensors(file, header, folder / name)
        total_size += size
        written.append(folder / name)
    if len(pickles) > 1:
        write_json(folder / "model.safetensors.index.json",
                   {"metadata": {"total_size": total_size}, "weight_map": weight_map})
    return written


def pickled_files(folder):
    """The pytorch_model*.bin of a folder, as its index names them. Raises InputError."""
    index = folder / "pytorch_model.bin.index.json"
    single = folder / "pytorch_model.bin"
    if not index.exists():
        if not single.is_file():
            raise InputError(f"{folder}: holds neither {single.name} nor {index.name}")
        return [single]
    if single.exists():
        raise InputError(f"{folder}: two sets of weights, {single.name} and the files that "
                         f"{index.name} names; remove those that are not the model's")
    weight_map = read_object(index).get("weight_map")
    is_map = isinstance(weight_map, dict) and weight_map and all(
        isinstance(name, str) and name == os.path.basename(name) for name in weight_map.values())
    if not is_map:
        raise InputError(f"{index}: has no weight_map of names to files beside it")
    return [folder / name for name in sorted(set(weight_map.values()))]


def read_pickle(file):
    """{name: tensor} of a pickled file, mapped and not read. Raises InputError."""
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        raise InputError(f"{file}: holds more than tensors, which only running it could make; "
                         "it is not read") from None
    except (RuntimeError, ValueError, EOFError) as error:
        reason = str(error).split("\n")[0][:200]
        raise InputError(f"{file}: cannot be mapped: cut off, or written by a torch before 1.6 "
                         f"({reason})") from None
    if not isinstance(tensors, dict) or not tensors:
        raise InputError(f"{file}: holds no tensors by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise InputError(f"{file}: {str(name)[:60]} is no tensor")
        if tensor.dtype not in DTYPES or tensor.layout != torch.strided:
            raise InputError(f"{file}: {name} is {tensor.dtype}, {tensor.layout}, "
                             "which is not written")
    return tensors


def make_header(tensors):
    """{name: tensor} -> (the header of a safetensors file, bytes of all tensors)."""
    header = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start = end
        end += tensor.numel() * tensor.itemsize
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [start, end]}
    return header, end


def write_safetensors(source, header, file):
    """Write a pickled file, `source`, as a safetensors file.

    The format: the header's length as 8 bytes, the header as JSON, then the tensors' bytes. The
    source is mapped again for every tensor: what is let go no longer counts as memory.
    """
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    aside = Path(f"{file}.part")
    with open(aside, "wb") as out:
        out.write(struct.pack("<Q", len(text)))
        out.write(text)
        for name in list(header)[1:]:
            tensor = read_pickle(source)[name]
            out.write(tensor.contiguous().flatten().view(torch.uint8).numpy())
        out.flush()
        os.fsync(out.fileno())
    os.replace(aside, file)


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m plumbing.unpickle",
                    description="Write a folder's pickled weights as safetensors.")
    parser.add_argument("folder", help="holds pytorch_model.bin, or several and their index")
    for file in convert(parser.parse_args().folder):
        print(file)


if __name__ == "__main__":
    cli(main)
