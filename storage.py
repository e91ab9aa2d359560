"""Weights in and out: a Transformer from and to the files of a HuggingFace checkpoint.

    python storage.py --init CONFIG.json DIR      # a randomly initialised checkpoint of that architecture

A checkpoint is config.json with model.safetensors, or shards and their index. Tensors are read and written
one at a time, and by every process only the rows that it holds, so that no process ever needs two models.
"""

import os
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import distributed

from data import InputError, Parser, cli, read_object, write_json
from model import DTYPES, Transformer, initialise, read_config, whole

STORED = ("F32", "BF16", "F16", "F64")  # what is read, in safetensors' own words


def weight_files(path):
    """{parameter name: safetensors file} of an HF-layout directory. Raises InputError."""
    index, single = Path(path, "model.safetensors.index.json"), Path(path, "model.safetensors")
    if index.exists():
        where = read_object(index).get("weight_map")
        if not isinstance(where, dict) or not all(
                isinstance(file, str) and file == os.path.basename(file) for file in where.values()):
            raise InputError(f"{index}: has no weight_map of names to files beside it")
        files = {name: Path(path, file) for name, file in where.items()}
    else:
        files = {name: single for name in _open(single).keys()}
    return {name: file for name, file in files.items() if not name.endswith("rotary_emb.inv_freq")}


def _open(file):
    if not os.path.isfile(file):
        raise InputError(f"{str(file)[:200]}: no such weights file")
    try:
        return safe_open(file, framework="pt")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{file}: damaged or cut off ({error})") from None


def load(path, dtype=torch.float32, device="cpu", value_head=False, shard=None):
    """HF-layout directory -> Transformer with parameters of `dtype`, read one tensor at a time.

    value_head: add one, read from the files where they have it and zero otherwise; never in half precision.
    shard: spreads the parameters over processes, as `parallel.shard` does; each then reads its own rows.
    Raises InputError naming missing or unexpected parameters, wrong shapes, and files that cannot be read.
    """
    config, files = read_config(Path(path, "config.json")), weight_files(path)
    if config.num_hidden_layers > len(files):  # said before so many are made
        raise InputError(f"{path}: {config.num_hidden_layers} layers, but only {len(files)} tensors")
    with torch.device("meta"):
        transformer = Transformer(config, value_head).to(dtype)
    if value_head:
        transformer.value_head.to(torch.promote_types(dtype, torch.float32))
    expected = {name: parameter.shape for name, parameter in transformer.named_parameters()}
    twice = files.pop("lm_head.weight", None) if config.tie_word_embeddings else None  # as some writers do
    missing = sorted(name for name in expected.keys() - files.keys() if not name.startswith("value_head"))
    unexpected = sorted(files.keys() - expected.keys())
    if missing or unexpected:
        raise InputError(f"{path}: missing {missing}, unexpected {unexpected}")
    own = shard(transformer) if shard else lambda parameter: (parameter.detach(), slice(None))
    transformer.to_empty(device=device)
    for name, parameter in transformer.named_parameters():
        mine, rows = own(parameter)
        if name in files:
            _read(files[name], name, expected[name], mine, rows)
        else:
            mine.zero_()  # a new value head: with values of 0 returns are advantages
        if twice and name == "model.embed_tokens.weight":
            _read(twice, "lm_head.weight", expected[name], other := torch.empty_like(mine), rows)
            if not torch.equal(mine, other):
                raise InputError(f"{twice}: lm_head.weight is not {name}, though config.json ties them")
    return transformer


def _read(file, name, shape, mine, rows):
    """Fill `mine` with these rows of a tensor. The file is opened for each anew: what was read is let go."""
    with _open(file) as tensors:
        try:
            tensor = tensors.get_slice(name)
        except SafetensorError:
            raise InputError(f"{file}: does not hold {name}") from None
        if tensor.get_shape() != list(shape):
            raise InputError(f"{file}: {name} has shape {tensor.get_shape()}, "
                             f"config.json asks for {list(shape)}")
        if tensor.get_dtype() not in STORED:
            raise InputError(f"{file}: {name} is {tensor.get_dtype()}; {', '.join(STORED)} are read")
        if mine.numel():
            mine.copy_(tensors.get_tensor(name) if rows == slice(None) else tensor[rows])
            if not all(end.isfinite() for end in torch.aminmax(mine)):  # in bf16 7 times as fast as a sum
                raise InputError(f"{file}: {name} holds numbers that are not finite as {mine.dtype}")


def save(transformer, path, dtype=None, shard_bytes=5 * 10**9):
    """Transformer -> HF-layout directory: config.json, and model.safetensors or shards with their index.

    dtype: of the stored weights, by default that of the parameters. Every file is written aside and renamed,
    config.json last. Processes that share the model all call it; the first one writes, a tensor at a time.
    """
    path, writes = Path(path), not distributed.is_initialized() or distributed.get_rank() == 0
    path.mkdir(parents=True, exist_ok=True)
    parameters = dict(transformer.named_parameters())
    dtypes = {name: dtype or parameter.dtype for name, parameter in parameters.items()}
    shards, sizes = [[]], [0]
    for name, parameter in parameters.items():
        size = parameter.numel() * dtypes[name].itemsize
        if sizes[-1] and sizes[-1] + size > shard_bytes:
            shards.append([]), sizes.append(0)
        shards[-1].append(name)
        sizes[-1] += size
    files = ["model.safetensors"] if len(shards) == 1 else [
        f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for file, names in zip(files, shards):
        gathered = ((name, whole(parameters[name].detach().to(dtypes[name]))) for name in names)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in gathered if writes}
        if not writes:
            continue
        save_file(tensors, path / f"{file}.part", metadata={"format": "pt"})
        os.chmod(path / f"{file}.part", 0o644)  # safetensors writes for the owner alone
        os.replace(path / f"{file}.part", path / file)
    if not writes:
        return
    if len(shards) > 1:
        where = {name: file for file, names in zip(files, shards) for name in names}
        write_json(path / "model.safetensors.index.json",
                   {"metadata": {"total_size": sum(sizes)}, "weight_map": where})
    for old in path.glob("model*.safetensors*"):  # of an earlier save with another number of shards
        if old.name not in files and not (len(shards) > 1 and old.suffix == ".json"):
            old.unlink()
    rope = {"rope_type": "default", "rope_theta": transformer.config.rope_theta}
    write_json(path / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "torch_dtype": str(dtypes[shards[0][0]]).removeprefix("torch."), **asdict(transformer.config),
        "rope_parameters": rope})


def main():
    """The command line; see the top of this file."""
    parser = Parser(description="Write a randomly initialised checkpoint.")
    parser.add_argument("--init", nargs=2, metavar=("CONFIG.json", "DIR"), required=True)
    parser.add_argument("--tokenizer", help="a SentencePiece model to copy into DIR")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    transformer = initialise(read_config(flags.init[0]), flags.seed)
    save(transformer, flags.init[1], DTYPES[flags.dtype])
    if flags.tokenizer:
        shutil.copyfile(flags.tokenizer, Path(flags.init[1], "tokenizer.model"))
    print(f"{flags.init[1]}: {sum(p.numel() for p in transformer.parameters()):,} parameters")


if __name__ == "__main__":
    cli(main)
