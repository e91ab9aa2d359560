"""Checkpoint folders: what is saved comes back, and what users have: wrappers' prefixes, two sets
of weights, other ids, damaged files.
"""

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
from tests.test_llama import small
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


@pytest.mark.parametrize("shard_bytes", [10**9, 9000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_saved_checkpoints_come_back_bit_for_bit(tmp_path, shard_bytes, dtype):
    transformer = small().to(dtype)
    model.save(transformer, tmp_path, shard_bytes=shard_bytes)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard_bytes == 9000)
    back = model.load(tmp_path, dtype)
    assert back.config == transformer.config
    saved = dict(transformer.named_parameters())
    loaded = dict(back.named_parameters())
    assert list(loaded) == list(saved)
    for name in saved:
        assert loaded[name].dtype == dtype and torch.equal(saved[name], loaded[name]), name


def test_saving_again_leaves_no_file_of_the_old_shape(tmp_path):
    for shard_bytes in (9000, 10**9, 20000):
        model.save(small(), tmp_path, shard_bytes=shard_bytes)
        assert model.load(tmp_path, torch.float64).config == small().config
    assert not (tmp_path / "model.safetensors").exists()


def test_a_new_value_head_is_zero_and_stays_fp32(tmp_path):
    model.save(small(), tmp_path)
    critic = model.load(tmp_path, torch.bfloat16, value_head=True)
    ids = torch.tensor([[1, 2, 3]])
    logits, values = critic(ids)
    assert values.dtype == torch.float32 and values.shape == (1, 3) and not values.any()
    torch.testing.assert_close(logits, model.load(tmp_path, torch.bfloat16)(ids))
    torch.nn.init.ones_(critic.value_head.weight)
    model.save(critic, tmp_path / "critic")
    assert model.load(tmp_path / "critic", value_head=True).value_head.weight.eq(1).all()


def test_extra_and_missing_parameters_are_named(tmp_path):
    model.save(small(), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    # old HF checkpoints hold the frequencies too
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(3)
    save_file(tensors, tmp_path / "model.safetensors")
    model.load(tmp_path)
    tensors["lm_head.bias"] = tensors.pop("model.norm.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    expected = "missing model.norm.weight, unexpected lm_head.bias"
    with pytest.raises(InputError, match=expected):
        model.load(tmp_path)


def test_damaged_checkpoints_are_named(tmp_path):
    model.save(small(), tmp_path, shard_bytes=9000)
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    with pytest.raises(InputError, match=shard.name):
        model.load(tmp_path)
    shard.write_bytes(whole[:5])
    with pytest.raises(InputError, match=shard.name):
        model.load(tmp_path)
    shard.unlink()
    with pytest.raises(InputError, match=shard.name):
        model.load(tmp_path)


def test_a_weight_of_another_shape_is_named(tmp_path):
    model.save(small(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 44}))
    with pytest.raises(InputError, match=r"mlp.\w+_proj.weight has shape \[.*asks for \[.*44"):
        model.load(tmp_path)
