"""--plan against what autograd keeps, against the size of real models, and as a user reads it."""

import inspect
import json
from dataclasses import replace

import pytest
import torch

import dpo
import evaluate
import losses
import model
import ppo
import sft
from examples import Batch
from lora import LoRA, add_adapters, is_adapter, lora_of
from losses import weighted_nll
from plumbing import memory
from tests.conftest import CONFIG, run_script

WIDE = {
    "mha": model.Config(64, 64, 176, 3, 4, 4, 16),
    "gqa": model.Config(64, 64, 160, 3, 4, 1, 16),
}


def kept_for_backward(config, dtype, tokens, checkpointed, lora=None):
    """Bytes of all storages that a forward pass saves, parameters not counted."""
    transformer = model.initialise(config)
    if lora:
        transformer.to(dtype)
        add_adapters(transformer, lora)
        for name, parameter in list(transformer.named_parameters()):
            if is_adapter(name):
                path, _, leaf = name.rpartition(".")
                setattr(transformer.get_submodule(path), leaf,
                        torch.nn.Parameter(torch.zeros(parameter.shape)))
    transformer.compute_dtype = dtype
    transformer.checkpoint_activations = checkpointed
    own = {p.untyped_storage().data_ptr() for p in transformer.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
        return tensor

    ids = torch.zeros(1, tokens, dtype=torch.int64)
    weights = torch.zeros(1, tokens)
    weights[0, -1] = 1
    batch = Batch(ids, ids, weights, 1, tokens)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        weighted_nll(transformer, batch)
    return sum(storage.nbytes() for storage in saved.values())


def planned_activations(config, flags, tokens):
    return memory.forward_and_backward(config, flags, 1, tokens, 1)["activations"]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("shape", WIDE)
def test_activations_are_what_autograd_keeps(shape, dtype):
    config = WIDE[shape]
    flags = sft.Flags(dtype=dtype)
    few = kept_for_backward(config, model.DTYPES[dtype], 256, False)
    many = kept_for_backward(config, model.DTYPES[dtype], 2048, False)
    expected_few = planned_activations(config, flags, 256)
    expected_many = planned_activations(config, flags, 2048)
    # per token: what does not grow with them, such as the cast weights, is another line of the plan
    assert expected_many - expected_few == pytest.approx(many - few, rel=0.1)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("shape", WIDE)
def test_activations_of_frozen_weights_are_what_autograd_keeps(shape, dtype):
    """The first block's first norm keeps nothing: its input needs no gradient."""
    config = replace(WIDE[shape], num_hidden_layers=6)
    flags = sft.Flags(dtype=dtype, lora_rank=4)
    lora = lora_of(flags)
    few = kept_for_backward(config, model.DTYPES[dtype], 256, False, lora)
    many = kept_for_backward(config, model.DTYPES[dtype], 2048, False, lora)
    expected_few = planned_activations(config, flags, 256)
    expected_many = planned_activations(config, flags, 2048)
    assert expected_many - expected_few == pytest.approx(many - few, rel=0.1)


@pytest.mark.parametrize("shape", WIDE)
def test_adapters_are_counted_as_the_model_has_them(shape):
    transformer = model.initialise(WIDE[shape])
    add_adapters(transformer, LoRA(5, 10.0, 0))
    trained = sum(p.numel() for p in transformer.parameters() if p.requires_grad)
    assert memory.count_adapters(WIDE[shape], 5) == trained
    assert memory.count_trained(WIDE[shape], sft.Flags(lora_rank=5)) == trained


CODELLAMA = model.Config(32016, 4096, 11008, 32, 32, 32, 128, 1e6)


def test_one_card_is_enough_for_seven_billion_parameters():
    """Stage 1 at 2,048 tokens on 24 GB, PPO with prompts of 7,680 on 80 GB, not without LoRA."""
    def fits(plan, flags, gb):
        return plan(CODELLAMA, flags, 1).peak / memory.GIB <= memory.USABLE * memory.CARDS[gb]

    stage_1 = replace(sft.PRESETS["codellama-7b"], max_length=2048, micro_tokens=2048)
    stage_2 = ppo.PRESETS["codellama-7b"]
    assert stage_2.max_prompt == 7680
    for plan, flags, gb in ((memory.plan_sft, stage_1, 24), (memory.plan_ppo, stage_2, 80)):
        assert fits(plan, replace(flags, lora_rank=16), gb)
        assert not fits(plan, flags, gb)


def test_bytes_on_the_disk_are_those_of_a_checkpoint():
    full = memory.plan_sft(CODELLAMA, sft.PRESETS["codellama-7b"], 8)
    assert full.checkpoint == 12 * 6_738_546_688 and full.result == 4 * 6_738_546_688
    both = memory.plan_ppo(CODELLAMA, ppo.PRESETS["codellama-7b"], 8)
    assert both.checkpoint == 2 * full.checkpoint
    flags = sft.Flags(lora_rank=3, dtype="bf16")
    small = memory.plan_sft(WIDE["gqa"], flags, 1)
    transformer = model.initialise(WIDE["gqa"]).bfloat16()
    assert small.result == sum(p.numel() * p.element_size() for p in transformer.parameters())
    add_adapters(transformer, lora_of(flags))
    trained = [p for p in transformer.parameters() if p.requires_grad]
    assert small.checkpoint == 12 * sum(p.numel() for p in trained)


def test_evaluation_is_planned_for_a_batch_of_tokens(tmp_path, run_main):
    (tmp_path / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": 32016, "hidden_size": 4096,
        "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}))
    done = run_main(evaluate, "--model", tmp_path, "--plan")
    assert done.returncode == 0, done.stderr
    assert "16.00 GiB  cache" in done.stdout  # 32,768 tokens of 512 KiB
    assert done.stdout.splitlines()[-1] == "fits a card of 48 GB"
    less = done.stdout.splitlines()[-2]
    assert less.startswith("would fit a card of 24 GB with --batch-tokens ")
    done = run_main(evaluate, "--model", tmp_path, "--plan", "--batch-tokens", less.split()[-1])
    assert done.stdout.splitlines()[-1] == "fits a card of 24 GB"


def test_with_checkpoints_a_block_keeps_its_input():
    config = WIDE["mha"]
    flags = sft.Flags(dtype="bf16", checkpoint_activations=True)
    few = kept_for_backward(config, torch.bfloat16, 256, True)
    many = kept_for_backward(config, torch.bfloat16, 2048, True)
    planned_few = planned_activations(config, flags, 256)
    planned_many = planned_activations(config, flags, 2048)
    recomputed = memory.block_activations(config, 2) * (2048 - 256)  # one block, going backward
    planned = planned_many - planned_few - recomputed
    assert planned == pytest.approx(many - few, rel=0.35)  # the rest: angles, positions, last norm


def test_parameters_are_counted_as_codellama_7b_has_them():
    config = model.Config(32016, 4096, 11008, 32, 32, 32, 128, 1e6)
    total = memory.count(config).total
    assert total == 6_738_546_688

    def bytes_of_state(processes):
        parts = memory.plan_sft(config, sft.PRESETS["codellama-7b"], processes).parts
        return parts["weights"] + parts["optimizer"] + parts["gradients"]

    assert bytes_of_state(1) == 16 * total == 8 * bytes_of_state(8)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shape", WIDE)
def test_parameters_are_counted_as_the_model_has_them(shape, tied):
    config = replace(WIDE[shape], tie_word_embeddings=tied)
    transformer = model.initialise(config)
    block = sum(p.numel() for p in transformer.model.layers[0].parameters())
    every = sum(p.numel() for p in transformer.parameters())
    layers = config.num_hidden_layers
    assert memory.count(config) == (block, every - layers * block, every)


def test_the_plan_of_every_script_needs_nothing_but_a_config(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for script in (sft, ppo, dpo):
        done = run_script(
            script.__file__, "--model", tmp_path, "--plan", 8, "--out", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert "8 processes" in done.stdout and "at the worst moment" in done.stdout
        assert done.stdout.splitlines()[-1] == "fits 8 x 24 GB"
        assert not (tmp_path / "run").exists()


def test_the_plan_of_several_answers_counts_their_prompt_once():
    config = WIDE["mha"]
    flags = ppo.Flags(max_prompt=1000, max_new_tokens=100)
    one = memory.plan_ppo(config, flags, 1).parts
    eight = memory.plan_ppo(config, replace(flags, samples=8), 1).parts
    for part in ("rollout: cache", "activations"):
        assert eight[part] / one[part] == pytest.approx((1000 + 8 * 100) / (1000 + 100))
    assert eight["rollout: reading prompts"] == one["rollout: reading prompts"]
    group = memory.plan_ppo(config, replace(flags, samples=8, baseline="group"), 1).parts
    assert group["weights"] == eight["weights"] / 2  # no critic


def test_no_remedy_is_a_flag_that_ppo_refuses_beside_those_given():
    assert inspect.signature(losses.token_nll).parameters["chunk"].default == memory.CHUNK
    flags = ppo.Flags(plan=1)
    for given, refused in (({"offload_reference": True}, "--lora-rank"),
                           ({"critic_warmup": 20}, "--shared-critic"),
                           ({"lora_rank": 8}, "--offload-reference")):
        typed = [words for words, _ in memory.remedies(replace(flags, **given))]
        assert typed and not any(refused in words for words in typed)


def test_flags_that_would_make_it_fit_are_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": 32016, "hidden_size": 4096,
        "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}))
    flags = sft.Flags(model=str(tmp_path), plan=1, max_length=8192, micro_tokens=8192)
    config = model.read_config(tmp_path / "config.json")
    lines = list(memory.report(memory.plan_sft, config, flags))
    start = "would fit 1 x 141 GB with --checkpoint-activ"
    named = [line for line in lines if line.startswith(start)]
    assert len(named) == 1
    less = memory.plan_sft(config, replace(flags, checkpoint_activations=True), 1)
    assert f"{less.peak / memory.GIB:.2f}" in named[0]
