"""Weights in and out: checkpoint folders in HuggingFace's layout.

Such a folder holds config.json, and model.safetensors or shards and their index. Tensors are read
one at a time, and every process reads only the rows that it holds; a file of at most `shard_bytes`
is gathered and written at a time. So no process ever needs two models.
"""

import os
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from llama import DTYPES, read_config
from lora import (
    build_on_meta,
    init_adapters,
    is_adapter,
    lora_of,
    merged,
    stored_dtype,
)
from plumbing.files import (
    InputError,
    kind_of,
    make_folder,
    read_object,
    refuse_full,
    replacing,
    write_json,
)
from plumbing.optimizer import is_finite
from plumbing.parallel import all_rows, barrier, is_writer, shard

# ------------------------------------------------------------------------------------------ reading

STORED = ("F32", "BF16", "F16", "F64")  # the dtypes that are read, in safetensors' own words
FIRST = "model.embed_tokens.weight"     # a parameter that every model has


class Stored(NamedTuple):
    """Where a parameter is stored, and under which name."""
    file: Path
    name: str


def weight_files(path):
    """{parameter name: Stored} of an HF-layout directory. Raises InputError.

    A prefix that all names have is stripped with a line, and the rotary frequencies, which older
    checkpoints store, are left out: they are computed here.
    """
    index = Path(path, "model.safetensors.index.json")
    single = Path(path, "model.safetensors")
    if kind_of(index):
        files = _read_index(index)
        if kind_of(single) and set(files.values()) != {single}:
            raise InputError(f"{path}: two sets of weights, {single.name} and the files that "
                             f"{index.name} names; remove those that are not the model's")
    else:
        _refuse_pickles(path, single)
        files = dict.fromkeys(_open_weights(single).keys(), single)
    files = {name: file for name, file in files.items()
             if not name.endswith("rotary_emb.inv_freq")}
    prefix = _wrapper_prefix(files)
    if prefix:
        print(f"{path}: the names of all weights begin with {prefix}, which is left out")
    return {name.removeprefix(prefix): Stored(file, name) for name, file in files.items()}


def _wrapper_prefix(names):
    """What a wrapper (torch.compile, DDP, PEFT) put before every name; "" where nothing did."""
    first = next((name for name in names if name.endswith(FIRST)), "")
    prefix = first.removesuffix(FIRST)
    is_common = prefix.endswith(".") and all(name.startswith(prefix) for name in names)
    return prefix if is_common else ""


def _refuse_pickles(path, single):
    """Raises InputError if the weights are in pickled files alone, with the way out."""
    if kind_of(single):
        return
    shards = sorted(Path(path).glob("model-*.safetensors"))
    pickles = sorted(Path(path).glob("pytorch_model*.bin"))
    if pickles:
        raise InputError(f"{path}: its weights are pickled ({pickles[0].name}), which is not read; "
                         f"`python -m plumbing.unpickle {path}` writes them as safetensors")
    if shards:
        raise InputError(f"{path}: {shards[0].name}, but no {single.name}.index.json, which says "
                         "what is in each file")


def _read_index(index):
    """{parameter name: safetensors file} of an index beside the files. Raises InputError."""
    weight_map = read_object(index).get("weight_map")
    is_map = isinstance(weight_map, dict) and all(
        isinstance(file, str) and file == os.path.basename(file) for file in weight_map.values())
    if not is_map:
        raise InputError(f"{index}: has no weight_map of names to files beside it")
    return {name: index.parent / file for name, file in weight_map.items()}


def _open_weights(file):
    if kind_of(file) != "file":
        raise InputError(f"{str(file)[:200]}: no such weights file")
    try:
        return safe_open(file, framework="pt")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{file}: damaged or cut off ({error})") from None


def load(path, dtype=torch.float32, device="cpu", value_head=False, shard=None, lora=None):
    """HF-layout directory -> Transformer with parameters of `dtype`, read one tensor at a time.

    value_head: add one, read from the files where they have it, zero otherwise; fp32 at least.
    shard: spreads the parameters over processes, as `parallel.shard` does; each reads its own rows.
    lora: freeze all that is read, and train adapters (`lora.add_adapters`).
    Raises InputError naming missing or unexpected parameters, wrong shapes, and unreadable files.
    """
    config = read_config(Path(path, "config.json"))
    files = weight_files(path)
    layers = config.num_hidden_layers
    if layers > len(files):  # said before so many layers are made
        raise InputError(f"{path}: {layers} layers, but only {len(files)} tensors")
    transformer = build_on_meta(config, dtype, value_head, lora)
    shapes = {name: parameter.shape for name, parameter in transformer.named_parameters()}
    tied_head = None
    if config.tie_word_embeddings:
        tied_head = files.pop("lm_head.weight", None)  # some writers store the one matrix twice
    _check_names(path, shapes, files)
    own_rows = shard(transformer) if shard else all_rows
    transformer.to_empty(device=device)
    for name, parameter in transformer.named_parameters():
        mine, rows = own_rows(parameter)
        if name in files:
            _read_rows(files[name], shapes[name], mine, rows)
        else:
            mine.zero_()  # a new value head: while values are 0, returns are advantages
        if tied_head and name == "model.embed_tokens.weight":
            _check_tied(tied_head, name, shapes[name], mine, rows)
    if lora:
        init_adapters(transformer, lora, own_rows)
    return transformer


def load_for_training(flags, device, value_head=False):
    """The Transformer that --model, --dtype and --lora-rank ask for; what it trains is in fp32.

    Its parameters are spread over the processes. Raises InputError, as `load` does.
    """
    dtype = DTYPES[flags.dtype]
    transformer = load(
        flags.model, stored_dtype(flags), device, value_head,
        shard=partial(shard, device=device, dtype=dtype), lora=lora_of(flags))
    transformer.compute_dtype = dtype
    transformer.checkpoint_activations = flags.checkpoint_activations
    return transformer


def _check_names(path, shapes, files):
    """Raises InputError unless the files hold every parameter that is not made here, and no other.
    """
    missing = sorted(name for name in shapes.keys() - files.keys()
                     if not (name.startswith("value_head") or is_adapter(name)))
    unexpected = sorted(files.keys() - shapes.keys())
    if missing or unexpected:
        raise InputError(f"{path}: missing {_some(missing)}, unexpected {_some(unexpected)}")


def _some(names):
    """The first names of a list, and how many there are in all.

    >>> _some(["a", "b"]), _some(list("abcdefg"))
    ('a, b', 'a, b, c, d, ... (7)')
    """
    if len(names) > 5:
        return ", ".join(names[:4]) + f", ... ({len(names)})"
    return ", ".join(names) or "none"


def _check_tied(stored, name, shape, mine, rows):
    """Raises InputError if a tied model's second matrix is not the first, whose rows are `mine`."""
    second = torch.empty_like(mine)
    _read_rows(stored, shape, second, rows)
    if not torch.equal(mine, second):
        raise InputError(f"{stored.file}: lm_head.weight is not {name}, "
                         "though config.json ties them")


def _read_rows(stored, shape, mine, rows):
    """Fill `mine` with these rows of a tensor. Each call opens the file: memory is let go."""
    file, name = stored
    with _open_weights(file) as tensors:
        try:
            tensor = tensors.get_slice(name)
        except SafetensorError:
            raise InputError(f"{file}: does not hold {name}") from None
        if tensor.get_shape() != list(shape):
            raise InputError(f"{file}: {name} has shape {tensor.get_shape()}, "
                             f"config.json asks for {list(shape)}")
        if tensor.get_dtype() not in STORED:
            raise InputError(
                f"{file}: {name} is {tensor.get_dtype()}; {', '.join(STORED)} are read")
        if not mine.numel():
            return
        mine.copy_(tensors.get_tensor(name) if rows == slice(None) else tensor[rows])
        if not is_finite(mine):
            raise InputError(f"{file}: {name} holds numbers that are not finite as {mine.dtype}")


# ------------------------------------------------------------------------------------------ writing

def save(transformer, path, dtype=None, shard_bytes=5 * 10**9):
    """Transformer -> HF-layout directory: config.json, and model.safetensors or shards with index.

    dtype: of the stored weights, by default that of the parameters; adapters are `merged`. Every
    file is written aside and renamed, config.json last. Processes that share the model all call it:
    tensors are gathered one at a time, and the first process writes a file as soon as it is full.
    Raises InputError for numbers that are not finite, which no loader should get, and for what
    cannot be written.
    """
    path = Path(path)
    make_folder(path, "checkpoint")
    parameters = {name: parameter for name, parameter in transformer.named_parameters()
                  if not is_adapter(name)}
    dtypes = {name: dtype or parameter.dtype for name, parameter in parameters.items()}
    sizes = {name: parameter.numel() * dtypes[name].itemsize
             for name, parameter in parameters.items()}
    shards = _split(sizes, shard_bytes)
    writes = is_writer()
    if writes:
        refuse_full(path, sum(sizes.values()), "the model")
    for file, names in shards.items():
        tensors = {}
        for name in names:
            tensor = merged(transformer, name, dtypes[name])  # every process takes part
            if not is_finite(tensor):
                raise InputError(f"{path / file}: not written, since {name} holds numbers that "
                                 "are not finite")
            if writes:
                tensors[name] = tensor.cpu().contiguous()
        if writes:
            _write_weights(tensors, path / file)
    if writes:
        if len(shards) > 1:
            _write_index(shards, sum(sizes.values()), path)
        _remove_older(shards, path)
        _write_config(transformer.config, next(iter(dtypes.values())), path)


def _split(sizes, shard_bytes):
    """{file name: names of its parameters}, in order; each of `shard_bytes` at most, if it can."""
    shards = []
    used = 0
    for name, size in sizes.items():
        if not shards or used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{i:05d}-of-{len(shards):05d}.safetensors": names
            for i, names in enumerate(shards, 1)}


def _write_weights(tensors, file):
    with replacing(file) as aside:
        save_file(tensors, aside, metadata={"format": "pt"})  # transformers asks for the format
        os.chmod(aside, 0o644)  # safetensors writes for the owner alone


def _write_index(shards, total_size, path):
    """Write which file holds which tensor."""
    weight_map = {}
    for file, names in shards.items():
        weight_map |= dict.fromkeys(names, file)
    write_json(path / "model.safetensors.index.json",
               {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def _remove_older(shards, path):
    """Remove the files that an earlier save left under other names."""
    for old in path.glob("model*.safetensors*"):
        is_index = old.suffix == ".json" and len(shards) > 1
        if old.name not in shards and not is_index:
            old.unlink()


def _write_config(config, dtype, path):
    write_json(path / "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "torch_dtype": str(dtype).removeprefix("torch."),
        **asdict(config),
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta}})


def export(transformer, tokenizer, path):
    """The result of a training run: `save` and the tokenizer, for any LLaMA loader.

    The ids that begin and end a text are the tokenizer's, with which the model was trained: those
    of the config.json that it came with may be others, and other libraries then generate on through
    `</s>`. A value head stays behind: no loader would know it. Every process calls it.
    """
    ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    transformer.config = replace(transformer.config, **ids)
    if is_writer():
        write_json(path / "generation_config.json", ids)
        with replacing(path / "tokenizer.model") as aside:
            shutil.copyfile(tokenizer.path, aside)
    value_head = transformer.value_head
    transformer.value_head = None
    save(transformer, path)
    transformer.value_head = value_head
    barrier()
    print(f"checkpoint: {path}")
