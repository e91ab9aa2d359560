"""LoRA: against dense weights W + (alpha / R) B A, over processes, resumed, and as a user asks."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

import dpo
import model
import ppo
import sft
from lora import LoRA, lora_of, with_shared_base
from losses import weighted_nll
from plumbing import checkpoints, cuda, parallel
from plumbing.flags import parse_flags
from plumbing.optimizer import make_optimizer
from prompts import read
from tests.conftest import ITEMS, assert_one_line_error
from tests.plumbing.test_parallel import Keep, difference, run_processes, train, uneven_examples
from tests.plumbing.test_runs import (
    assert_same_result,
    data_of,
    in_child,
    killer,
)
from tests.test_dpo import some_pairs
from tokenizer import Tokenizer

LORA = LoRA(rank=3, alpha=7.5, seed=1)
IDS = torch.randint(3, 300, (2, 40), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def add_noise(transformer, seed=0):
    """Adapters and a value head that matter; the same whatever the number of processes."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            noise = 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            mine, rows = parallel.held_rows(parameter)
            mine += noise[rows]


def load(folder, dtype=torch.float32, **more):
    """A model with adapters, spread over the processes, and how to spread another."""
    def spread(transformer):
        return parallel.shard(transformer, torch.device("cpu"), None)

    return model.load(folder, dtype, shard=spread, lora=LORA, **more), spread


def dense(folder, adapted, dtype):
    """A plain model whose weights are W + (alpha / R) B A, written out for every layer."""
    plain = model.load(folder, dtype)
    for name, weight in plain.named_parameters():
        path = name.rpartition(".")[0]
        if path.endswith("_proj"):
            adapter = adapted.get_submodule(path).adapter
            with torch.no_grad():
                weight += LORA.alpha / LORA.rank * (adapter.B @ adapter.A)
    return plain


# ---------------------------------------------------------------------------------- the arithmetic

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_output_is_that_of_the_base_bit_for_bit(model_dir, dtype):
    base = model.load(model_dir, dtype)
    adapted, _ = load(model_dir, dtype)
    adapter = adapted.model.layers[1].mlp.up_proj.adapter
    assert adapter.A.abs().max() <= 32 ** -0.5 and adapter.A.std() > 0.08
    assert not adapter.B.any()
    assert torch.equal(adapted(IDS), base(IDS))


@pytest.mark.parametrize("dtype, bound", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_merged_and_unmerged_logits_agree(model_dir, tmp_path, dtype, bound):
    adapted, _ = load(model_dir, dtype)
    add_noise(adapted)
    model.save(adapted, tmp_path)
    merged = model.load(tmp_path, dtype)
    logits = adapted(IDS)
    assert (merged(IDS) - logits).abs().max() < bound * logits.abs().max()
    assert (merged(IDS) - model.load(model_dir, dtype)(IDS)).abs().max() > 0.01


def test_gradients_are_those_of_a_dense_weight(model_dir):
    """dL/dA = s B^T dL/dW and dL/dB = s dL/dW A^T, s = alpha / R."""
    adapted, _ = load(model_dir, torch.float64)
    add_noise(adapted)
    plain = dense(model_dir, adapted, torch.float64)
    batch = sft.my_batches(uneven_examples(Tokenizer(model_dir))[:2],
                           sft.Flags(micro_tokens=10**6), "cpu")[0]
    for transformer in (adapted, plain):
        weighted_nll(transformer, batch)[0].backward()
    scale = LORA.alpha / LORA.rank
    adapters = [name for name, _ in adapted.named_modules() if name.endswith(".adapter")]
    assert len(adapters) == 2 * 7
    for name in adapters:
        adapter = adapted.get_submodule(name)
        gradient = plain.get_parameter(name.replace("adapter", "weight")).grad
        torch.testing.assert_close(adapter.A.grad, scale * adapter.B.T @ gradient)
        torch.testing.assert_close(adapter.B.grad, scale * gradient @ adapter.A.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_answers_are_those_of_the_merged_export(model_dir, tmp_path, dtype):
    adapted, _ = load(model_dir, dtype)
    add_noise(adapted)
    model.save(adapted, tmp_path)
    prompts = [row[:n].tolist() for row, n in zip(IDS, (40, 11), strict=True)]
    expected = model.generate(model.load(tmp_path, dtype), prompts, 24, 2)
    assert model.generate(adapted, prompts, 24, 2) == expected
    assert model.generate(model.load(model_dir, dtype), prompts, 24, 2) != expected


def test_the_export_is_merged_in_fp32_and_then_cast(model_dir, tmp_path):
    adapted, _ = load(model_dir, torch.bfloat16)
    add_noise(adapted)
    model.save(adapted, tmp_path)
    base = load_file(model_dir / "model.safetensors")
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == base.keys()
    for name, weight in base.items():
        expected = weight.bfloat16()
        if "_proj" in name:
            adapter = adapted.get_submodule(name.removesuffix(".weight")).adapter
            product = adapter.B.double() @ adapter.A.double() * 2.5
            expected = (expected.double() + product).float().bfloat16()
        torch.testing.assert_close(found[name], expected, rtol=2**-7, atol=1e-8)
        assert (found[name] == expected).double().mean() > 0.99  # but for ties of rounding


# --------------------------------------------------------------------------------- what is trained

def test_only_adapters_have_gradients_moments_and_a_checkpoint(model_dir, tmp_path):
    flags = sft.Flags(model=str(model_dir), dtype="bf16", lora_rank=4)
    tokenizer = Tokenizer(model_dir)
    transformer = model.load_for_training(flags, "cpu")
    optimizer = make_optimizer(transformer, 0.01)
    before = {name: weight.clone() for name, weight in transformer.named_parameters()}
    sft.train_step(transformer, optimizer, uneven_examples(tokenizer), flags, 1e-2, "cpu")
    sft.train_step(transformer, optimizer, uneven_examples(tokenizer), flags, 1e-2, "cpu")
    adapters = {name for name in before if ".adapter." in name}
    assert len(adapters) == len(optimizer.state) == 2 * 7 * 2
    for name, weight in transformer.named_parameters():
        assert weight.dtype == (torch.float32 if name in adapters else torch.bfloat16)
        assert torch.equal(weight, before[name]) != (name in adapters), name
    checkpoints.save(tmp_path / "step-000002", 2, {"model": (transformer, optimizer)}, {}, "run")
    saved = load_file(tmp_path / "step-000002/rank-0.safetensors")
    names = {f"model.{name}{end}" for name in adapters
             for end in ("", ".step", ".exp_avg", ".exp_avg_sq")}
    assert saved.keys() == names


def test_actor_critic_and_reference_share_one_base(model_dir):
    flags = ppo.Flags(model=str(model_dir), lora_rank=4, dtype="bf16")
    _, models = ppo.load_models(flags, "cpu")
    base = model.load(model_dir, torch.bfloat16)
    add_noise(models.actor)
    add_noise(models.critic, seed=1)
    assert torch.equal(models.reference(IDS), base(IDS))
    for name in base.state_dict():
        places = {one.get_parameter(name).data_ptr() for one in models}
        assert len(places) == 1, name
        assert not any(one.get_parameter(name).requires_grad for one in models)
    logits, values = models.critic(IDS)
    assert values.dtype == torch.float32 and values.any()
    assert not torch.equal(logits, models.actor(IDS))
    assert not any(parameter.requires_grad for parameter in models.reference.parameters())


def test_log_probabilities_of_a_bf16_base_are_kept_in_fp32(model_dir):
    flags = ppo.Flags(model=str(model_dir), lora_rank=4, dtype="bf16", samples=2, max_new_tokens=6)
    tokenizer, models = ppo.load_models(flags, "cpu")
    optimizers = [make_optimizer(one, 0.0) for one in (models.actor, models.critic)]
    prompts = read_prompts(model_dir, tokenizer)
    metrics, *_ = ppo.train_step(models, optimizers, prompts, tokenizer, flags, 0, (1e-3, 1e-3))
    assert metrics["first_log_ratio"] == metrics["k1"] == 0  # the actor is still the reference
    metrics, *_ = ppo.train_step(models, optimizers, prompts, tokenizer, flags, 1, (1e-3, 1e-3))
    assert metrics["first_log_ratio"] == 0 and metrics["k3"] > 0


def read_prompts(model_dir, tokenizer):
    """Five prompts of the fixtures."""
    path = model_dir / "raw.json"
    if not path.exists():
        path.write_text(json.dumps(ITEMS * 2))
    return read(path, tokenizer)[0][:5]


# ---------------------------------------------------------------------------------- over processes

def sft_gradient(model_dir, micro):
    flags = sft.Flags(model=str(model_dir), dtype="fp32", grad_clip=0.0, micro_tokens=micro)
    transformer, _ = load(model_dir)
    transformer.checkpoint_activations = micro == 1
    add_noise(transformer)
    keep = Keep(transformer)
    examples = uneven_examples(Tokenizer(model_dir))
    metrics = sft.train_step(transformer, keep, examples, flags, 0.0, "cpu")
    metrics.pop("padded_tokens")
    return keep.gradients, metrics


def ppo_gradient(model_dir, options, micro):
    flags = ppo.Flags(max_new_tokens=9, grad_clip=0.0, micro_batch=micro, **options)
    actor, spread = load(model_dir, torch.float64, value_head=flags.shared_critic)
    critic = actor
    if not flags.shared_critic:
        critic = with_shared_base(actor, value_head=True, shard=spread, lora=LORA)
        add_noise(critic, seed=1)
    add_noise(actor)
    models = ppo.Models(actor, critic, with_shared_base(actor, shard=spread))
    keeps = [Keep(one) for one in ([actor] if flags.shared_critic else [actor, critic])]
    tokenizer = Tokenizer(model_dir)
    metrics, _, rollout, _ = ppo.train_step(
        models, keeps, read_prompts(model_dir, tokenizer), tokenizer, flags, 3, (0.0, 0.0))
    assert metrics["k1"] != 0 and metrics["first_log_ratio"] == 0
    gradients = [gradient for keep in keeps for gradient in keep.gradients]
    return gradients, metrics


def dpo_gradient(model_dir, micro):
    flags = dpo.Flags(beta=0.3, alpha=0.5, grad_clip=0.0, micro_batch=micro)
    transformer, _ = load(model_dir)
    pairs = some_pairs(model_dir)
    places = list(range(len(pairs)))
    reference = dpo.reference_logprobs(transformer, pairs, [places[:3], places[3:]], flags, "cpu")
    add_noise(transformer)
    keep = Keep(transformer)
    metrics = dpo.train_step(transformer, keep, pairs, reference, flags, 0.0)
    assert metrics["margin"] != 0
    return keep.gradients, metrics


OWN = {"samples": 1}
SHARED = {"shared_critic": True, "samples": 2, "baseline": "both"}


@pytest.mark.parametrize("gradient, small, large, bound", [
    (sft_gradient, 1, 10**6, 1e-6), (dpo_gradient, 1, 8, 1e-6),
    # in fp32 PPO's sums of both signs leave 1.1e-6, in one process of two micro-batches too
    (partial(ppo_gradient, options=OWN), 2, 8, 1e-10),
    (partial(ppo_gradient, options=SHARED), 2, 8, 1e-10)],
    ids=["sft", "dpo", "ppo, own critic", "ppo, shared critic"])
def test_several_processes_have_the_gradient_of_one(
        tmp_path, model_dir, monkeypatch, gradient, small, large, bound):
    """Two with short rows, as on a CPU; four with rows padded as on CUDA."""
    whole, metrics = gradient(model_dir, micro=large)
    for count, micro, multiple in ((2, small, 1), (4, large, 256)):
        monkeypatch.setitem(cuda.MULTIPLES, "cpu", multiple)
        work = partial(gradient, model_dir, micro=micro)
        for gradients, also in run_processes(count, work, tmp_path / str(count)):
            assert difference(gradients, whole) < bound, count
            assert also == pytest.approx(metrics, rel=1e-4, abs=1e-6)


def test_processes_begin_with_the_same_adapters_and_write_the_same_files(tmp_path, model_dir):
    def save():
        transformer, _ = load(model_dir)
        drawn = [parallel.whole(parameter.detach()).clone()
                 for parameter in transformer.parameters()]
        add_noise(transformer)
        model.save(transformer, tmp_path / f"{parallel.processes()[1]}", shard_bytes=40000)
        return drawn

    one = save()
    for count in (2, 4):
        for drawn in run_processes(count, save, tmp_path / f"results-{count}"):
            for ours, theirs in zip(drawn, one, strict=True):
                assert torch.equal(ours, theirs)
        for file in (tmp_path / "1").iterdir():
            assert (tmp_path / str(count) / file.name).read_bytes() == file.read_bytes()


# ----------------------------------------------------------------------------------- whole commands

RUNS = {  # rates that bf16 shows: at 2e-5 the merged weights of so few steps are those of the base
    sft: {"batch_size": 6, "epochs": 1, "lr": 1e-2},
    ppo: {"num_prompts": 6, "batch_size": 2, "epochs": 1, "max_new_tokens": 6, "show_every": 0,
          "samples": 1, "baseline": "critic", "actor_lr": 1e-2},
    dpo: {"batch_size": 2, "epochs": 1, "lr": 1e-2},
}


@pytest.mark.parametrize("script", RUNS)
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, model_dir, script, monkeypatch):
    (tmp_path / "raw.json").write_text(json.dumps(ITEMS * 4))
    data = data_of(script, tmp_path / "raw.json", model_dir)
    options = {**RUNS[script], "lora_rank": 2, "save_every": 1, "dtype": "bf16"}
    train(script, model_dir, data, tmp_path / "straight", **options)
    with monkeypatch.context() as patch:
        killer(patch, "save_file", 2)
        assert in_child(lambda: train(script, model_dir, data, tmp_path / "run", **options)) == -9
    train(script, model_dir, data, tmp_path / "run", **options)
    assert_same_result(tmp_path / "run", tmp_path / "straight")
    exported = model.load(tmp_path / "run")
    base = model.load(model_dir)
    name = "model.layers.0.mlp.down_proj.weight"
    assert not torch.equal(exported.get_parameter(name), base.get_parameter(name).bfloat16())


@pytest.mark.parametrize("script, rates", [
    (sft, {"lr": 2e-4}), (ppo, {"actor_lr": 2e-5, "critic_lr": 2e-5}), (dpo, {"lr": 2e-5})])
def test_rates_are_lora_s_own_unless_they_are_given(script, rates):
    def read(*words):
        return parse_flags(script.PRESETS, "", words, defaults_with=script.LORA_DEFAULTS)

    for preset, plain in script.PRESETS.items():
        flags = read("--preset", preset, "--lora-rank", "8")
        assert {name: getattr(flags, name) for name in rates} == rates
        assert lora_of(flags) == LoRA(8, 16.0, 0)
        assert read("--preset", preset) == plain and lora_of(plain) is None
        name = next(iter(rates))
        typed = "--" + name.replace("_", "-")
        flags = read("--preset", preset, "--lora-rank", "8", typed, "0.5", "--lora-alpha", "3")
        assert getattr(flags, name) == 0.5 and lora_of(flags).alpha == 3


@pytest.mark.parametrize("script", RUNS)
def test_hostile_values_end_in_one_line(tmp_path, model_dir, run_main, script):
    (tmp_path / "raw.json").write_text(json.dumps(ITEMS))
    data = data_of(script, tmp_path / "raw.json", model_dir)
    common = ("--model", model_dir, "--data", data, "--out", tmp_path / "run")
    for flags, words in (
            (("--lora-rank", -1), ["--lora-rank", "-1"]),
            (("--lora-rank", 10**12), ["--lora-rank"]),
            (("--lora-rank", "1.5"), ["--lora-rank"]),
            (("--lora-rank", 33), ["--lora-rank 33", "32 dimensions"]),
            (("--lora-rank", 2**31 - 1), ["--lora-rank", "32 dimensions"]),
            (("--lora-rank", 33, "--plan", 1), ["--lora-rank 33", "32 dimensions"]),
            (("--lora-alpha", 4), ["--lora-alpha", "--lora-rank"]),
            (("--lora-rank", 2, "--lora-alpha", "nan"), ["--lora-alpha", "nan"]),
            (("--lora-rank", 2, "--lora-alpha", "-1"), ["--lora-alpha"]),
            (("--lora-rank", 2, "--lora-alpha", "inf"), ["--lora-alpha"]),
    ):
        assert_one_line_error(run_main(script, *common, *flags), *words)
        assert not (tmp_path / "run").exists()
    if script is ppo:
        done = run_main(script, *common, "--lora-rank", 2, "--offload-reference")
        assert_one_line_error(done, "--offload-reference", "--lora-rank")


def test_another_rank_is_another_run(tmp_path, model_dir, run_main):
    (tmp_path / "raw.json").write_text(json.dumps(ITEMS * 4))
    flags = ("--model", model_dir, "--data", tmp_path / "raw.json", "--out", tmp_path / "run",
             "--save-every", 1, "--batch-size", 6)

    def stopped():
        train(sft, model_dir, tmp_path / "raw.json", tmp_path / "run", lora_rank=2, save_every=1,
              batch_size=6)

    with pytest.MonkeyPatch.context() as patch:
        killer(patch, "save_file", 2)
        assert in_child(stopped) == -9
    done = run_main(sft, *flags, "--lora-rank", 3, "--dtype", "fp32")
    assert_one_line_error(done, "--lora-rank 3", "has 2")
