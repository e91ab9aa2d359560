"""A GPU against the CPU, with a small model: gradients, answers, steps, resume, one NCCL process.

Skipped without CUDA; `make gpu` runs it.
"""

import copy
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

import model
import ppo
import sft
from data.trajectories import read_item
from examples import build
from groups import answer_logprobs, make_micro_batches
from plumbing import cuda
from plumbing.optimizer import make_optimizer
from tests.conftest import ITEMS, ROOT
from tests.test_groups import some_prompts
from tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
GPU = torch.device("cuda", 0)


def load(folder, device, dtype=torch.float32, **more):
    """The small model with outputs that depend on everything, the same on every device."""
    transformer = model.load(folder, dtype, **more)
    generator = torch.Generator().manual_seed(1)
    for parameter in transformer.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator).to(dtype)
    return transformer.to(device)


def gradients(transformer):
    return [parameter.grad.detach().cpu().double().flatten()
            for parameter in transformer.parameters() if parameter.grad is not None]


def distance(ours, theirs):
    """Norm of the difference over the norm, of lists of tensors."""
    a = torch.cat(ours)
    b = torch.cat(theirs)
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_conversation_has_the_gradient_of_the_cpu(model_dir, checkpointed):
    examples, _ = build([read_item(raw) for raw in ITEMS], Tokenizer(model_dir))
    flags = sft.Flags(dtype="fp32")
    found = []
    for device in ("cpu", GPU):
        transformer = load(model_dir, device)
        transformer.checkpoint_activations = checkpointed
        for batch in sft.my_batches(examples, flags, device):
            loss, _ = sft.weighted_nll(transformer, batch)
            loss.backward()
        found.append(gradients(transformer))
    assert distance(*found) < 1e-5


def answers_on(device, folder, K, temperature, dtype, uses_graphs=True):
    """The answers to some prompts, sampled with generators of their own."""
    _, prompts = some_prompts(folder)
    transformer = load(folder, device, dtype)
    transformer.uses_cuda_graphs = uses_graphs
    generators = [torch.Generator().manual_seed(i) for i in range(K * len(prompts))]
    return model.generate(transformer, [prompt.ids for prompt in prompts], 40, 2, temperature,
                          generators, samples=K)


@pytest.mark.parametrize("K, temperature", [(1, 0.0), (1, 1.3), (5, 1.3)])
def test_steps_of_a_graph_give_the_tokens_of_plain_ones_and_of_the_cpu(model_dir, K, temperature):
    captured = answers_on(GPU, model_dir, K, temperature, torch.float64)
    assert captured == answers_on(GPU, model_dir, K, temperature, torch.float64, uses_graphs=False)
    assert captured == answers_on("cpu", model_dir, K, temperature, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_of_a_graph_give_the_tokens_of_plain_ones_in_every_dtype(model_dir, dtype):
    captured = answers_on(GPU, model_dir, 3, 1.0, dtype)
    assert captured == answers_on(GPU, model_dir, 3, 1.0, dtype, uses_graphs=False)


def test_a_graph_is_captured_for_every_width_of_the_cache(model_dir, monkeypatch):
    """Many graphs follow each other; rows that have ended leave in between."""
    monkeypatch.setitem(cuda.MULTIPLES, "cuda", 8)
    monkeypatch.setitem(cuda.LOOK_EVERY, "cuda", 2)
    captured = answers_on(GPU, model_dir, 2, 1.3, torch.float64)
    assert captured == answers_on("cpu", model_dir, 2, 1.3, torch.float64)


def k_answers(device, folder, K):
    """log p and values of K answers to each prompt, and the gradient of their sum."""
    _, prompts = some_prompts(folder)
    transformer = load(folder, device, value_head=True)
    generator = torch.Generator().manual_seed(K)
    answers = []
    for _ in range(K * len(prompts)):
        n = int(torch.randint(1, 9, (), generator=generator))
        answers.append(torch.randint(3, 300, (n,), generator=generator).tolist())
    (batch,), _ = make_micro_batches(prompts, answers, K, len(prompts), device)
    logp, values = answer_logprobs(transformer, batch, 0.7)
    (logp.sum() + values.sum()).backward()
    return logp.detach().cpu(), values.detach().cpu(), gradients(transformer)


@pytest.mark.parametrize("K", [1, 2, 5, 8])
def test_k_answers_have_the_log_probabilities_of_the_cpu(model_dir, K):
    logp, values, gradient = k_answers(GPU, model_dir, K)
    expected, expected_values, expected_gradient = k_answers("cpu", model_dir, K)
    torch.testing.assert_close(logp, expected, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(values, expected_values, rtol=1e-5, atol=2e-5)
    assert distance(gradient, expected_gradient) < 1e-5


def test_a_step_of_stage_1_is_that_of_the_cpu(model_dir):
    examples, _ = build([read_item(raw) for raw in ITEMS], Tokenizer(model_dir))
    found = []
    for device in ("cpu", GPU):
        transformer = load(model_dir, device)
        optimizer = make_optimizer(transformer, 0.01)
        metrics = [sft.train_step(transformer, optimizer, examples, sft.Flags(dtype="fp32"), 1e-3,
                                  device) for _ in range(3)]
        found.append([one["loss"] for one in metrics])
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[1][2] < found[1][0]


@pytest.mark.parametrize("dtype, bound", [("fp32", 1e-4), ("bf16", 5e-2)])
def test_steps_with_lora_are_those_of_the_cpu(model_dir, dtype, bound):
    """Stage 1, then greedy answers with merged weights, with and without graphs."""
    flags = sft.Flags(model=str(model_dir), dtype=dtype, lora_rank=4)
    found = []
    for device in ("cpu", GPU):
        transformer = model.load_for_training(flags, torch.device(device))
        examples, _ = build([read_item(raw) for raw in ITEMS], Tokenizer(model_dir))
        optimizer = make_optimizer(transformer, 0.01)
        metrics = [sft.train_step(transformer, optimizer, examples, flags, 1e-2, device)
                   for _ in range(3)]
        found.append([one["loss"] for one in metrics])
    assert found[1] == pytest.approx(found[0], rel=bound)
    assert found[1][2] < found[1][0]
    ids = [prompt.ids for prompt in some_prompts(model_dir)[1]]
    captured = model.generate(transformer, ids, 24, 2)
    transformer.uses_cuda_graphs = False
    assert captured == model.generate(transformer, ids, 24, 2)


@pytest.mark.parametrize("baseline", ["critic", "group", "both"])
def test_a_step_of_stage_2_is_that_of_the_cpu(model_dir, baseline):
    tokenizer, prompts = some_prompts(model_dir)
    flags = ppo.Flags(max_new_tokens=12, samples=4, baseline=baseline, grad_clip=0.0)
    found = []
    for device in ("cpu", GPU):
        actor = load(model_dir, device)
        critic = None if baseline == "group" else load(model_dir, device, value_head=True)
        models = ppo.Models(actor, critic, copy.deepcopy(actor).requires_grad_(False))
        optimizers = [make_optimizer(one, 0.0) for one in filter(None, (actor, critic))]
        metrics, _, rollout, _ = ppo.train_step(
            models, optimizers, prompts, tokenizer, flags, 0, (1e-4, 1e-4))
        found.append(metrics)
        assert metrics["first_log_ratio"] < 1e-3
    assert found[1]["answer_length"] == found[0]["answer_length"]
    for name in ("reward", "policy_loss", "value_loss", "actor_grad_norm"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-3, abs=1e-5), name


def test_bf16_over_fp32_masters_takes_a_step_in_both_stages(model_dir):
    tokenizer, prompts = some_prompts(model_dir)
    examples, _ = build([read_item(raw) for raw in ITEMS], tokenizer)
    actor = load(model_dir, GPU)
    reference = load(model_dir, GPU).to(torch.bfloat16).requires_grad_(False)
    actor.compute_dtype = torch.bfloat16
    optimizer = make_optimizer(actor, 0.0)
    metrics = sft.train_step(actor, optimizer, examples, sft.Flags(), 1e-4, GPU)
    assert 0 < metrics["grad_norm"] < float("inf")
    flags = ppo.Flags(max_new_tokens=12, samples=4, baseline="group", dtype="bf16")
    metrics, *_ = ppo.train_step(ppo.Models(actor, None, reference), [optimizer], prompts,
                                 tokenizer, flags, 0, (1e-4, 0.0))
    assert 0 < metrics["actor_grad_norm"] < float("inf")
    assert metrics["first_log_ratio"] < 1e-3


def command(script, *arguments):
    """A script as the list that subprocess takes."""
    return [sys.executable, script, *map(str, arguments)]


def test_a_stopped_run_goes_on_to_the_weights_of_a_straight_one(tmp_path, model_dir):
    """Not bit for bit: a GPU adds in another order each time."""
    data = tmp_path / "data.json"
    data.write_text(json.dumps(ITEMS * 8))
    common = ("--model", model_dir, "--data", data, "--device", "cuda", "--epochs", 20,
              "--save-every", 5, "--dtype", "fp32", "--lr", "1e-4")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    straight = subprocess.Popen(command("sft.py", "--out", tmp_path / "straight", *common),
                                cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    again = command("sft.py", "--out", tmp_path / "stopped", *common)
    stopped = subprocess.Popen(again, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while stopped.poll() is None and not any(
            (tmp_path / "stopped").glob("checkpoints/step-??????")):
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    _, errors = stopped.communicate()
    assert stopped.returncode == 143, errors
    subprocess.run(again, cwd=ROOT, env=environment, check=True)
    _, errors = straight.communicate()
    assert straight.returncode == 0, errors
    expected = load_file(tmp_path / "straight" / "model.safetensors")
    found = load_file(tmp_path / "stopped" / "model.safetensors")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-5, msg=name)


def test_one_process_under_torchrun_with_nccl_and_a_sharded_model(tmp_path, model_dir):
    found = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "1",
         "--master_addr", "127.0.0.1", "--master_port", "29533",
         "-m", "tests.gpu.one_rank", str(model_dir), str(found)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo",
                       "NCCL_SOCKET_IFNAME": "lo"}, capture_output=True, text=True)
    assert found.exists(), done.stderr[-3000:]
    numbers = json.loads(found.read_text())
    assert numbers["sum on the GPU"] == 3.0 and numbers["sum on the CPU"] == 4.0
    assert numbers["gradient"] < 1e-5
    assert numbers["answers"] is True
