"""Checkpoint folders as users have them: wrappers' prefixes, two sets of weights, other ids."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import evaluate
import model
import ppo
import sft
from plumbing.files import InputError
from tests.conftest import CONFIG, assert_one_line_error
from tokenizer import Tokenizer


@pytest.fixture
def folder(tmp_path, model_dir):
    shutil.copytree(model_dir, tmp_path / "m")
    return tmp_path / "m"


def rename(folder, change):
    """Store the weights under other names."""
    weights = load_file(folder / "model.safetensors")
    save_file({change(name): tensor for name, tensor in weights.items()},
              folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model.",
                                    "module._orig_mod."])
@pytest.mark.parametrize("shard_bytes", [10**9, 20_000])
def test_a_prefix_of_all_names_is_left_out_with_a_line(
        folder, model_dir, capsys, prefix, shard_bytes):
    whole = model.load(model_dir)
    model.save(whole, folder, shard_bytes=shard_bytes)
    for file in folder.glob("*.safetensors"):
        weights = load_file(file)
        save_file({prefix + name: tensor for name, tensor in weights.items()}, file)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        value = json.loads(index.read_text())
        value["weight_map"] = {prefix + name: file for name, file in value["weight_map"].items()}
        index.write_text(json.dumps(value))
    read = model.load(folder)
    pairs = zip(read.parameters(), whole.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert capsys.readouterr().out == (
        f"{folder}: the names of all weights begin with {prefix}, which is left out\n")


def test_names_of_another_kind_are_told_in_a_short_line(folder):
    """A model of 7 billion parameters had 27,000 characters of them."""
    rename(folder, lambda name: name.replace("model.", "transformer.h."))
    with pytest.raises(InputError, match=r"missing .* \.\.\. \(\d+\), unexpected trans") as error:
        model.load(folder)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("gone", [False, True])
def test_a_single_file_beside_an_index_of_others_is_ambiguous(folder, gone):
    """The index won, so a stale one gave other weights; transformers takes the single file."""
    shutil.copyfile(folder / "model.safetensors", folder / "kept")
    model.save(model.initialise(model.read_config(folder / "config.json"), seed=1), folder,
               shard_bytes=20_000)
    if gone:
        for shard in folder.glob("model-*.safetensors"):
            shard.unlink()
    shutil.move(folder / "kept", folder / "model.safetensors")
    with pytest.raises(InputError, match="two sets of weights, model.safetensors and the files"):
        model.load(folder)


def test_an_index_of_the_single_file_is_no_second_set(folder):
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(names, "model.safetensors")}))
    model.load(folder)


def test_shards_without_an_index_are_named(folder):
    shutil.move(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match="model-00001-of-00002.safetensors, but no model.safetens"):
        model.load(folder)


def test_a_list_of_ids_that_end_a_text_is_read(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"eos_token_id": [2, 7]}))
    assert model.read_config(folder / "config.json").eos_token_id == 2
    for wrong in ([], [True], ["2"], [[2]]):
        (folder / "config.json").write_text(json.dumps(CONFIG | {"eos_token_id": wrong}))
        with pytest.raises(InputError, match="eos_token_id"):
            model.read_config(folder / "config.json")


def test_the_export_has_the_ids_of_the_tokenizer_that_trained(folder, tmp_path):
    """It kept the base's, and transformers generated through </s>."""
    (folder / "config.json").write_text(
        json.dumps(CONFIG | {"eos_token_id": 7, "bos_token_id": [0, 5]}))
    (tmp_path / "out").mkdir()
    model.export(model.load(folder), Tokenizer(folder), tmp_path / "out")
    for name in ("config.json", "generation_config.json"):
        written = json.loads((tmp_path / "out" / name).read_text())
        assert (written["bos_token_id"], written["eos_token_id"]) == (1, 2)


def test_a_missing_tokenizer_is_called_missing(folder, tokenizer_file, run_main, tmp_path):
    (folder / "tokenizer.model").unlink()
    (folder / "tokenizer.json").write_text("{}")
    for script, flags in ((sft, ()), (ppo, ()), (evaluate, ("--limit", 1))):
        out = ("--out", tmp_path / f"{script.__name__}-run")
        done = run_main(script, "--model", folder, *flags, *out)
        assert_one_line_error(done, "m/tokenizer.model: no such file; tokenizer.json alone is not",
                              "--tokenizer")
    with pytest.raises(SystemExit) as end:
        raise SystemExit(evaluate.main([
            "--model", str(folder), "--limit", "1", "--max-new-tokens", "1", "--tokenizer",
            str(tokenizer_file)]))
    assert end.value.code is None
