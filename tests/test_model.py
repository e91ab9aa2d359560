"""model.py against a slow naive forward, against itself without a cache, and against files."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import model
from model import Config, generate, initialise
from plumbing.files import InputError
from tests.conftest import CONFIG, assert_one_line_error, run_script


def small(seed=0, groups=2, tied=False, std=0.3):
    """A float64 model with weights large enough for its outputs to depend on everything."""
    transformer = initialise(
        Config(61, 24, 40, 2, 4, groups, 6, 1e4, 1e-5, tie_word_embeddings=tied), seed).double()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=std)
    return transformer


def naive_forward(transformer, ids):
    """The architecture for one row, a position and a head at a time, with complex rotations."""
    config = transformer.config
    weights = transformer.state_dict()
    half = config.head_dim // 2
    queries_per_key = config.num_attention_heads // config.num_key_value_heads

    def norm(x, weight):
        return x / torch.sqrt((x * x).sum() / len(x) + config.rms_norm_eps) * weight

    def turn(x, position):
        angles = [position * config.rope_theta ** (-2 * i / config.head_dim) for i in range(half)]
        rotations = [complex(math.cos(angle), math.sin(angle)) for angle in angles]
        z = torch.complex(x[:half], x[half:]) * torch.tensor(rotations, dtype=torch.complex128)
        return torch.cat((z.real, z.imag))

    def split_heads(matrix, xs):  # (heads, head_dim) for each position
        return [(matrix @ x).view(-1, config.head_dim) for x in xs]

    xs = [weights["model.embed_tokens.weight"][i] for i in ids]
    for layer in range(config.num_hidden_layers):
        w = {name.split(f"layers.{layer}.")[1]: value for name, value in weights.items()
             if f"layers.{layer}." in name}
        normed = [norm(x, w["input_layernorm.weight"]) for x in xs]
        q = split_heads(w["self_attn.q_proj.weight"], normed)
        k = split_heads(w["self_attn.k_proj.weight"], normed)
        v = split_heads(w["self_attn.v_proj.weight"], normed)
        for t in range(len(xs)):
            heads = []
            for h in range(config.num_attention_heads):
                g = h // queries_per_key
                scores = torch.stack([turn(q[t][h], t) @ turn(k[s][g], s) for s in range(t + 1)])
                share = torch.softmax(scores / math.sqrt(config.head_dim), 0)
                heads.append(sum(share[s] * v[s][g] for s in range(t + 1)))
            xs[t] = xs[t] + w["self_attn.o_proj.weight"] @ torch.cat(heads)
        for t, x in enumerate(xs):
            y = norm(x, w["post_attention_layernorm.weight"])
            gate = w["mlp.gate_proj.weight"] @ y
            up = w["mlp.up_proj.weight"] @ y
            xs[t] = x + w["mlp.down_proj.weight"] @ (gate / (1 + torch.exp(-gate)) * up)
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return torch.stack([head @ norm(x, weights["model.norm.weight"]) for x in xs])


@pytest.mark.parametrize("groups, tied", [(4, False), (2, False), (1, True)])
def test_logits_equal_a_naive_forward(groups, tied):
    transformer = small(groups=groups, tied=tied)
    ids = [5, 60, 0, 17, 17, 3, 42]
    expected = naive_forward(transformer, ids)
    # the angles are fp32 by design, hence not 1e-12
    torch.testing.assert_close(transformer(torch.tensor([ids]))[0], expected, rtol=1e-5, atol=1e-5)


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


def test_decoding_joins_weights_in_place_and_training_goes_on_in_them(tmp_path):
    """q, k, v and gate, up become views of one matrix each: no second copy, nothing goes stale."""
    transformer = small()
    before = {name: weight.clone() for name, weight in transformer.state_dict().items()}
    prompts = [[5, 6, 7], [8]]
    first = generate(transformer, prompts, 8, 2)
    attention = transformer.model.layers[0].self_attn
    joined = model.gather(transformer).model.layers[0].self_attn.qkv_proj.weight
    assert attention.k_proj.weight.untyped_storage().data_ptr() == joined.data_ptr()
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


def test_padding_changes_no_logit():
    transformer = small()
    row = torch.tensor([[7, 8, 9]])
    alone = transformer(row)
    for pad in (0, 2, 60):
        padded = torch.cat((row, torch.full((1, 4), pad)), 1)
        torch.testing.assert_close(transformer(padded)[:, :3], alone, rtol=1e-12, atol=1e-12)


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


def test_bf16_computation_over_fp32_masters_keeps_fp32_gradients():
    transformer = initialise(Config(61, 24, 40, 2, 4, 2, 6))
    transformer.compute_dtype = torch.bfloat16
    logits = transformer(torch.tensor([[1, 2, 3]]))
    logits.float().sum().backward()
    assert logits.dtype == torch.bfloat16
    assert {p.grad.dtype for p in transformer.parameters()} == {torch.float32}


def test_generation_in_bf16_over_fp32_masters_is_that_of_the_bf16_model():
    transformer = small().float()
    prompts = [[5, 6, 7], [8]]
    expected = generate(small().float().bfloat16(), prompts, 12, 2)
    transformer.compute_dtype = torch.bfloat16
    assert generate(transformer, prompts, 12, 2) == expected
    assert transformer.lm_head.weight.dtype == torch.float32


def test_rotary_angles_stay_fp32_in_a_bf16_model():
    """In bf16 the positions 1,000 and 1,001 have the same angle (transformers#29285)."""
    cos, sin = model.rotary_angles(torch.tensor([[1000, 1001]]), 8, 1e4)
    assert cos.dtype == torch.float32 and (cos[0, 0, 0] != cos[0, 0, 1]).all()


def test_checkpointed_activations_give_the_same_gradient():
    ids = torch.tensor([[1, 2, 3, 4]])
    gradients = []
    for on in (False, True):
        transformer = small()
        transformer.checkpoint_activations = on
        transformer(ids).square().mean().backward()
        gradients.append([p.grad for p in transformer.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


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


@pytest.mark.parametrize("change, word", [
    ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling"),
    ({"rope_scaling": {"type": "linear"}, "rope_parameters": {"rope_type": "default"}},
     "rope_scaling"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, "rope_scaling"),
    ({"attention_bias": True}, "attention_bias"), ({"hidden_act": "gelu"}, "hidden_act"),
    ({"model_type": "mistral"}, "model_type"), ({"hidden_size": None}, "hidden_size"),
    ({"num_attention_heads": 5}, "attention heads"), ({"vocab_size": "many"}, "vocab_size"),
    ({"rope_theta": True}, "rope_theta")])
def test_a_config_that_is_not_implemented_is_refused_by_name(tmp_path, change, word):
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(InputError, match=word):
        model.read_config(tmp_path / "config.json")


def test_theta_is_read_from_both_spellings_and_defaults_as_documented(tmp_path):
    path = tmp_path / "config.json"
    silent = {**CONFIG}
    del silent["rope_theta"]
    del silent["num_key_value_heads"]
    for extra, theta in (({}, 1e4), ({"rope_theta": 5e5}, 5e5),
                         ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, 1e6)):
        path.write_text(json.dumps({**silent, **extra}))
        config = model.read_config(path)
        assert config.rope_theta == theta
        assert config.num_key_value_heads == config.num_attention_heads


def test_init_writes_a_checkpoint_that_loads(tmp_path, tokenizer_file):
    (tmp_path / "c.json").write_text(json.dumps(CONFIG))
    done = run_script("model.py", "--init", tmp_path / "c.json", tmp_path / "m",
                      "--tokenizer", tokenizer_file)
    assert done.returncode == 0, done.stderr
    assert model.load(tmp_path / "m").config.rope_theta == 1e6
    assert (tmp_path / "m" / "tokenizer.model").read_bytes() == Path(tokenizer_file).read_bytes()
    done = run_script("model.py", "--init", tmp_path / "none.json", tmp_path / "n")
    assert_one_line_error(done, "none.json")
    done = run_script("model.py", "--init", tmp_path / "c.json", tmp_path / "m")
    assert_one_line_error(done, "holds a model already")
