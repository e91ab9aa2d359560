"""LLaMA against a slow naive forward; its dtypes and gradients; what config.json may ask for."""

import json
import math

import pytest
import torch

from llama import Config, initialise, read_config, rotary_angles
from plumbing.files import InputError
from tests.conftest import CONFIG


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


def test_padding_changes_no_logit():
    transformer = small()
    row = torch.tensor([[7, 8, 9]])
    alone = transformer(row)
    for pad in (0, 2, 60):
        padded = torch.cat((row, torch.full((1, 4), pad)), 1)
        torch.testing.assert_close(transformer(padded)[:, :3], alone, rtol=1e-12, atol=1e-12)


def test_bf16_computation_over_fp32_masters_keeps_fp32_gradients():
    transformer = initialise(Config(61, 24, 40, 2, 4, 2, 6))
    transformer.compute_dtype = torch.bfloat16
    logits = transformer(torch.tensor([[1, 2, 3]]))
    logits.float().sum().backward()
    assert logits.dtype == torch.bfloat16
    assert {p.grad.dtype for p in transformer.parameters()} == {torch.float32}


def test_rotary_angles_stay_fp32_in_a_bf16_model():
    """In bf16 the positions 1,000 and 1,001 have the same angle (transformers#29285)."""
    cos, sin = rotary_angles(torch.tensor([[1000, 1001]]), 8, 1e4)
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
        read_config(tmp_path / "config.json")


def test_theta_is_read_from_both_spellings_and_defaults_as_documented(tmp_path):
    path = tmp_path / "config.json"
    silent = {**CONFIG}
    del silent["rope_theta"]
    del silent["num_key_value_heads"]
    for extra, theta in (({}, 1e4), ({"rope_theta": 5e5}, 5e5),
                         ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, 1e6)):
        path.write_text(json.dumps({**silent, **extra}))
        config = read_config(path)
        assert config.rope_theta == theta
        assert config.num_key_value_heads == config.num_attention_heads


def test_a_list_of_ids_that_end_a_text_is_read(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"eos_token_id": [2, 7]}))
    assert read_config(tmp_path / "config.json").eos_token_id == 2
    for wrong in ([], [True], ["2"], [[2]]):
        (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"eos_token_id": wrong}))
        with pytest.raises(InputError, match="eos_token_id"):
            read_config(tmp_path / "config.json")
