"""What is padded on CUDA, here on the CPU: the same answers, log-probabilities and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from data.trajectories import read_item
from examples import build, collate
from losses import weighted_nll
from plumbing import cuda
from plumbing.cuda import pad_length
from tests.conftest import ITEMS
from tests.test_groups import answers_of, gradients, grouped, noisy, some_prompts
from tokenizer import Tokenizer


@pytest.fixture
def as_on_cuda(monkeypatch):
    """A function that switches the CPU to the lengths of CUDA."""
    def switch():
        monkeypatch.setitem(cuda.MULTIPLES, "cpu", 256)
        monkeypatch.setitem(cuda.LOOK_EVERY, "cpu", 16)

    return switch


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_a_length_grows_to_the_next_multiple(length):
    assert pad_length(length, "cpu") == length
    padded = pad_length(length, "cuda:1")
    assert padded % 256 == 0 and 0 <= padded - length < 256


@pytest.mark.parametrize("K, temperature", [(1, 0.0), (3, 1.3)])
def test_padded_views_and_late_looks_give_the_same_answers(
        model_dir, as_on_cuda, K, temperature):
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=False, dtype=torch.float64)
    ids = [prompt.ids for prompt in prompts]

    def answers():
        generators = [torch.Generator().manual_seed(i) for i in range(K * len(ids))]
        return model.generate(transformer, ids, 40, tokenizer.eos_id, temperature, generators,
                              samples=K)

    expected = answers()
    as_on_cuda()
    assert answers() == expected


@pytest.mark.parametrize("K", [1, 5])
def test_padded_groups_have_the_same_log_probabilities_and_gradients(model_dir, as_on_cuda, K):
    tokenizer, prompts = some_prompts(model_dir)
    transformer = noisy(model_dir, value_head=True, dtype=torch.float64)
    answer_ids = answers_of(K, len(prompts), tokenizer.eos_id)
    found = []
    for _ in range(2):
        logp, values, mask = grouped(transformer, prompts, answer_ids, K, 3)
        found.append((logp, values, gradients(transformer, logp, values, mask)))
        as_on_cuda()
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_padded_conversation_has_the_same_gradient(model_dir, as_on_cuda):
    examples, _ = build([read_item(raw) for raw in ITEMS], Tokenizer(model_dir))
    transformer = noisy(model_dir, value_head=False, dtype=torch.float64)
    found = []
    for width in (None, 256):
        batch = collate(examples[:2], dtype=torch.float64)
        if width:
            assert batch.ids.shape[1] % width == 0
        transformer.zero_grad()
        loss, _ = weighted_nll(transformer, batch)
        loss.backward()
        found.append([loss, *(parameter.grad for parameter in transformer.parameters())])
        as_on_cuda()
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
