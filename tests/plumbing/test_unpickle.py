"""Pickled weights become safetensors: the same model, and nothing of the file is run."""

import os
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import model
from plumbing import unpickle
from plumbing.files import InputError, write_json
from tests.conftest import assert_one_line_error


@pytest.fixture
def folder(tmp_path, model_dir):
    """The small checkpoint, in two pickled files with an index."""
    shutil.copytree(model_dir, tmp_path / "m")
    weights = load_file(tmp_path / "m/model.safetensors")
    os.remove(tmp_path / "m/model.safetensors")
    names = sorted(weights)
    files = {"pytorch_model-00001-of-00002.bin": names[:5],
             "pytorch_model-00002-of-00002.bin": names[5:]}
    weight_map = {}
    for file, some in files.items():
        # transposed: a pickled tensor need not be contiguous, and may share its storage
        torch.save({name: weights[name].t().contiguous().t() for name in some},
                   tmp_path / "m" / file)
        weight_map |= dict.fromkeys(some, file)
    write_json(tmp_path / "m/pytorch_model.bin.index.json", {"weight_map": weight_map})
    return tmp_path / "m"


def same_model(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_converted_model_is_the_same(folder, model_dir, run_main):
    with pytest.raises(InputError, match=f"pickled .* `python -m plumbing.unpickle {folder}`"):
        model.load(folder)
    done = run_main(unpickle, folder)
    assert done.stdout.split() == [f"{folder}/model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert same_model(model.load(folder), model.load(model_dir))
    assert_one_line_error(run_main(unpickle, folder), "index.json already")


def test_one_file_of_every_dtype_is_read_by_safetensors_itself(tmp_path):
    tensors = {"scalar": torch.tensor(3, dtype=torch.int64), "none": torch.zeros(0, 4),
               "flags": torch.tensor([True, False])}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int32,
                  torch.int8, torch.uint8, torch.int16):
        tensors[str(dtype)] = torch.arange(12).view(3, 4).to(dtype).t()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    [file] = unpickle.convert(tmp_path)
    read = load_file(file)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype
               for name in tensors)
    with safe_open(file, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}


class Runs:
    """Unpickled plainly it makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_code_of_a_file_is_run(tmp_path):
    torch.save({"a": torch.ones(2), "b": Runs(str(tmp_path / "made"))},
               tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="pytorch_model.bin: holds more than tensors"):
        unpickle.convert(tmp_path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("value, message", [
    ({"state_dict": {"a": torch.ones(2)}}, "state_dict is no tensor"),
    ([torch.ones(2)], "holds no tensors by name"), ({}, "holds no tensors by name"),
    ({"a": torch.ones(2, dtype=torch.complex64)}, "a is torch.complex64"),
])
def test_what_is_no_table_of_tensors_is_named(tmp_path, value, message):
    torch.save(value, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=message):
        unpickle.convert(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pytorch_model.bin"]


def test_damaged_and_ambiguous_folders_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="holds neither pytorch_model.bin nor"):
        unpickle.convert(tmp_path)
    shard = folder / "pytorch_model-00002-of-00002.bin"
    whole = shard.read_bytes()
    for data in (b"", whole[:300], b"text"):
        shard.write_bytes(data)
        with pytest.raises(InputError, match=shard.name):
            unpickle.convert(folder)
    shard.write_bytes(whole)
    torch.save({"a": torch.ones(1)}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="two sets of weights"):
        unpickle.convert(folder)
    os.remove(folder / "pytorch_model.bin")
    write_json(folder / "pytorch_model.bin.index.json", {"weight_map": {"a": "../other.bin"}})
    with pytest.raises(InputError, match="has no weight_map of names to files beside it"):
        unpickle.convert(folder)
