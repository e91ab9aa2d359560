"""GAE, whitening, KL and the clipped losses against their definitions, written out plainly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losses import gae, kl, policy_loss, token_rewards, value_loss, whiten


def rows(seed, B=4, T=7, dtype=torch.float64):
    """Four random (B, T) tensors, and a mask from random lengths of at least 1."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    mask = torch.arange(T) < lengths[:, None]
    four = [torch.randn(B, T, generator=generator, dtype=dtype) for _ in range(4)]
    return four, mask, lengths.tolist()


rates = st.floats(0, 1)


@settings(max_examples=50)
@given(st.integers(0, 10**6), rates, rates)
def test_gae_is_the_discounted_sum_of_td_errors(seed, gamma, lam):
    """A_t = sum over k of (gamma lambda)^k delta_{t+k}, in O(T^2), on each row without padding."""
    (r, v, _, _), mask, lengths = rows(seed)
    advantages, returns = gae(r, v, mask, gamma, lam)
    for b, n in enumerate(lengths):
        values = v[b, :n].tolist() + [0.0]
        delta = [r[b, t].item() + gamma * values[t + 1] - values[t] for t in range(n)]
        for t in range(n):
            expected = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n))
            assert advantages[b, t].item() == pytest.approx(expected, abs=1e-9)
            assert returns[b, t].item() == pytest.approx(expected + values[t], abs=1e-9)
        assert not advantages[b, n:].any() and not returns[b, n:].any()


def test_with_gamma_and_lambda_one_the_advantage_is_return_minus_value():
    (r, v, _, _), mask, _ = rows(3)
    advantages, returns = gae(r, v, mask, 1.0, 1.0)
    to_go = torch.where(mask, r, 0).flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(advantages, torch.where(mask, to_go - v, 0))
    torch.testing.assert_close(returns, torch.where(mask, to_go, 0))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1e30, -1e30, float("nan"), float("inf")]))
def test_garbage_in_padding_changes_nothing(seed, garbage):
    """Padding that leaks into GAE or KL shifts every advantage (AReaL#1346, torchtune#2425)."""
    (r, v, logp, old), mask, _ = rows(seed)
    bad = [torch.where(mask, x, garbage) for x in (r, v, logp, old)]

    def everything(r, v, logp, old):
        advantages, returns = gae(r, v, mask, 1.0, 0.95)
        k1, k3 = kl(logp, old)
        score = torch.ones(len(mask), dtype=torch.float64)
        policy, clipped = policy_loss(logp, old, whiten(advantages, mask), mask)
        return [advantages, returns, whiten(advantages, mask), k1[mask], k3[mask],
                policy, clipped, value_loss(v, old, returns, mask),
                token_rewards(score, k1, mask, 0.3)]

    for clean, dirty in zip(everything(r, v, logp, old), everything(*bad), strict=True):
        assert torch.equal(clean, dirty)


@given(st.integers(0, 10**6), st.floats(0.1, 100), st.floats(-50, 50))
def test_whitened_advantages_have_mean_zero_and_variance_one(seed, scale, shift):
    (x, _, _, _), mask, lengths = rows(seed)
    if sum(lengths) < 2:
        return
    white = whiten(x * scale + shift, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-9)
    assert white[mask].var(correction=0).item() == pytest.approx(1)
    assert not white[~mask].any()


def test_equal_advantages_are_centred_not_amplified():
    mask = torch.ones(2, 3, dtype=torch.bool)
    noise = 1e-7 * torch.randn(2, 3, dtype=torch.float64)
    assert whiten(5 + noise, mask).abs().max() < 1e-6


def test_the_score_sits_on_the_last_token():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    k1 = torch.tensor([[0.1, -0.2, 9.0], [0.3, 9.0, 9.0]])
    rewards = token_rewards(torch.tensor([1.0, -5.0]), k1, mask, beta=0.5)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 1.1, 0.0], [-5.15, 0.0, 0.0]]))


@given(st.integers(0, 10**6))
def test_k3_is_never_negative(seed):
    (logp, ref, _, _), _, _ = rows(seed)
    k1, k3 = kl(logp, ref)
    assert (k3 >= 0).all()
    torch.testing.assert_close(k3, torch.exp(ref - logp) - 1 - (ref - logp))
    assert not kl(logp, logp)[0].any() and not kl(logp, logp)[1].any()


def test_k1_and_k3_estimate_the_exact_kl():
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(8, generator=generator, dtype=torch.float64).log_softmax(0)
    q = torch.randn(8, generator=generator, dtype=torch.float64).log_softmax(0)
    exact = (p.exp() * (p - q)).sum().item()
    samples = torch.multinomial(p.exp(), 10_000, replacement=True, generator=generator)
    for estimate in kl(p[samples], q[samples]):
        assert abs(estimate.mean().item() - exact) < 3 * estimate.std().item() / 100


def test_at_ratio_one_the_gradient_is_minus_advantage_times_grad_logp():
    (logits, advantages, _, _), mask, _ = rows(5)
    logits.requires_grad_()
    logp = torch.nn.functional.logsigmoid(logits)
    loss, clipped = policy_loss(logp, logp.detach(), advantages, mask)
    (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
    (expected,) = torch.autograd.grad((-advantages * logp * mask).sum(), logits)
    torch.testing.assert_close(gradient, expected)
    assert not clipped.any()


@given(st.integers(0, 10**6), st.floats(0.05, 0.5))
def test_clipped_losses_as_deepspeed_chat_states_them(seed, clip):
    """Policy: max(-A r, -A clip(r)); value: .5 max((v - R)^2, (clip(v) - R)^2); masked means."""
    (logp, old_logp, advantages, returns), mask, _ = rows(seed)
    m = mask.double()
    ratio = torch.exp((logp - old_logp) * m)
    plain = -advantages * ratio
    bounded = -advantages * torch.clamp(ratio, 1 - clip, 1 + clip)
    theirs = torch.sum(torch.max(plain, bounded) * m) / m.sum()
    ours, clipped = policy_loss(logp, old_logp, advantages, mask, clip)
    torch.testing.assert_close(ours.sum() / mask.sum(), theirs, rtol=1e-6, atol=1e-6)
    outside = ((ratio > 1 + clip) & (advantages > 0)) | ((ratio < 1 - clip) & (advantages < 0))
    assert torch.equal(clipped, outside & mask)
    values = logp
    old_values = old_logp
    near = torch.clamp(values, old_values - clip, old_values + clip)
    worse = torch.max((values - returns) ** 2, (near - returns) ** 2)
    theirs = 0.5 * torch.sum(worse * m) / m.sum()
    ours = value_loss(values, old_values, returns, mask, clip)
    torch.testing.assert_close(ours.sum() / mask.sum(), theirs, rtol=1e-6, atol=1e-6)


def test_gae_as_trl_states_it():
    """TRL's loop, on full rows: nextvalues, delta, lastgaelam, reversed."""
    (rewards, values, _, _), _, _ = rows(9)
    last = 0
    reversed_advantages = []
    length = rewards.shape[1]
    for t in reversed(range(length)):
        nextvalues = values[:, t + 1] if t < length - 1 else 0.0
        delta = rewards[:, t] + 0.9 * nextvalues - values[:, t]
        last = delta + 0.9 * 0.8 * last
        reversed_advantages.append(last)
    expected = torch.stack(reversed_advantages[::-1], axis=1)
    advantages, _ = gae(rewards, values, torch.ones_like(rewards, dtype=torch.bool), 0.9, 0.8)
    torch.testing.assert_close(advantages, expected, rtol=1e-6, atol=1e-6)
