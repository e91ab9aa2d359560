"""Generation against itself without a cache, alone, and against the softmax it samples from."""

import copy

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from generation import _sample, decoding_copy, generate
from tests.test_llama import small

prompts = st.lists(st.lists(st.integers(3, 60), min_size=1, max_size=12), min_size=1, max_size=5)


@settings(max_examples=25)
@given(prompts, st.integers(0, 5), st.sampled_from([1, 2, 4]))
def test_cached_generation_equals_uncached_for_uneven_prompts(prompts, seed, groups):
    transformer = small(seed, groups)
    eos = 2
    for prompt, answer in zip(prompts, generate(transformer, prompts, 8, eos), strict=True):
        ids = list(prompt)
        for _ in range(8):
            token = int(transformer(torch.tensor([ids]))[0, -1].argmax())
            if token == eos:
                break
            ids.append(token)
        assert answer.ids == ids[len(prompt):]
        assert answer.ended == (len(answer.ids) < 8)


def test_decoding_fuses_weights_in_place_and_training_goes_on_in_them(tmp_path):
    """q, k, v and gate, up become views of one matrix each: no second copy, nothing goes stale."""
    transformer = small()
    before = {name: weight.clone() for name, weight in transformer.state_dict().items()}
    prompts = [[5, 6, 7], [8]]
    first = generate(transformer, prompts, 8, 2)
    attention = transformer.model.layers[0].self_attn
    fused = decoding_copy(transformer).model.layers[0].self_attn.qkv_proj.weight
    assert attention.k_proj.weight.untyped_storage().data_ptr() == fused.data_ptr()
    torch.testing.assert_close(transformer.state_dict(), before, rtol=0, atol=0)
    transformer(torch.tensor([[1, 2, 3]])).sum().backward()
    optimizer = torch.optim.SGD(transformer.parameters(), 0.5)
    optimizer.step()
    fresh = copy.deepcopy(transformer)
    assert fresh.model.layers[0].self_attn.k_proj.weight.untyped_storage().nbytes() < (
        attention.k_proj.weight.untyped_storage().nbytes())
    second = generate(transformer, prompts, 8, 2)
    assert second == generate(fresh, prompts, 8, 2) and second != first
    model.save(transformer, tmp_path)
    back = model.load(tmp_path, torch.float64).state_dict()
    torch.testing.assert_close(back, dict(transformer.state_dict()), rtol=0, atol=0)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.integers(0, 3))
def test_answers_do_not_depend_on_the_other_prompts_of_the_batch(lengths, seed):
    """Prompts far apart in length are read by attention in groups of their own."""
    transformer = small(seed)
    generator = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(3, 60, (n,), generator=generator).tolist() for n in lengths]
    together = generate(transformer, prompts, 6, 2)
    assert together == [generate(transformer, [prompt], 6, 2)[0] for prompt in prompts]


def test_sampling_follows_the_softmax():
    transformer = small(std=0.15)
    prompt = [5, 6, 7]
    n = 4000
    probabilities = (transformer(torch.tensor([prompt]))[0, -1] / 0.7).softmax(-1)
    answers = generate(transformer, [prompt] * n, 1, -1, temperature=0.7,
                       generator=torch.Generator().manual_seed(1))
    counts = torch.bincount(torch.tensor([a.ids[0] for a in answers]), minlength=61)
    z = (counts / n - probabilities) / torch.sqrt(probabilities * (1 - probabilities) / n)
    assert z.abs().max() < 4.5  # 61 standard normals


def test_generation_in_bf16_over_fp32_masters_is_that_of_the_bf16_model():
    transformer = small().float()
    prompts = [[5, 6, 7], [8]]
    expected = generate(small().float().bfloat16(), prompts, 12, 2)
    transformer.compute_dtype = torch.bfloat16
    assert generate(transformer, prompts, 12, 2) == expected
    assert transformer.lm_head.weight.dtype == torch.float32


def test_a_uniform_that_rounds_to_one_draws_no_impossible_token():
    logits = torch.tensor([[[10.0, 0.0, -100.0]]])
    uniform = torch.tensor([[1 - 2**-26]], dtype=torch.float64)
    assert _sample(logits, 1.0, uniform).item() < 2
