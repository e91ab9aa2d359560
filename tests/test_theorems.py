"""Theorems 1 and 2 of the paper (appendix A), on random models, tools and conversations.

Gradients of single calls and tokens are taken from full logits here, apart from what training runs
(`token_weights`, `weighted_nll`), which must be their sum.
"""

import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.trajectories import read_item
from examples import Batch, build, collate
from losses import token_weights, weighted_nll
from tests.conftest import item, schema
from tests.test_losses import gradient, small
from tokenizer import Tokenizer

NAMES = ("get_weather", "get_weather_forecast", "get_news", "get", "weather", "news_weather")
STEP = 1e-5  # a gradient's length: small enough for what is left out, of second order
seeds = st.integers(0, 10**6)


@st.composite
def conversations(draw, calls):
    """A Conversation with so many calls of random tools, of which the feedback says what it says.

    calls: strategy of lists of booleans, whether each call is erroneous.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True))
    turns = [("user", draw(st.sampled_from(["How warm is it?", "Any news of Oslo?"])))]
    for is_wrong in draw(calls):
        name = draw(st.sampled_from(names))
        city = draw(st.sampled_from(["Bergen", "Oslo", "a"]))
        turns.append(("assistant", f"{name}\n{json.dumps({'city': city})}"))
        wrong = f"{name}() got an unexpected keyword argument 'city'"
        turns.append(("function", wrong if is_wrong else '{"temperature": 7}'))
    tools = [schema(name, "", [], city="string") for name in names]
    return read_item(item(*turns, tools=tools))


class Spans:
    """The calls of a conversation as training sees them, and their likelihood from full logits."""

    def __init__(self, conversation, tokenizer):
        self.conversation = conversation
        self.tokenizer = tokenizer
        self.encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)

    def token_logps(self, transformer, call):
        """log p of each token of a call and of its `</s>`, given all before: (n,)."""
        ids = [*self.encoded.ids[:call.stop].tolist(), self.tokenizer.eos_id]
        logp = transformer(torch.tensor([ids])).log_softmax(-1)[0]
        return logp[range(call.start - 1, len(ids) - 1), ids[call.start:]]

    def is_wrong(self, call):
        """Whether the feedback on a call is the wrong one, as `conversations` writes it."""
        return "unexpected" in self.conversation.turns[call.turn + 1].content

    def weights(self, call):
        """w of the tokens of a call, by PKT, before any division."""
        weights, numbers = token_weights(
            self.encoded, self.conversation, self.tokenizer.name_ids, mae=False)
        return torch.tensor(weights[numbers == self.encoded.calls.index(call)])


def loss_gradient(transformer, conversation, tokenizer, mae):
    """The gradient of the loss that training takes, as a sum over the trained calls."""
    examples, _ = build([conversation], tokenizer, mae=mae)
    loss, _ = weighted_nll(transformer, collate(examples, dtype=torch.float64))
    return gradient(transformer, loss)


def moved(transformer, direction):
    """Move all parameters by STEP against a direction, scaled to length 1."""
    step = STEP * direction / direction.norm()
    parameters = list(transformer.parameters())
    with torch.no_grad():
        for parameter, part in zip(parameters, step.split([p.numel() for p in parameters]),
                                   strict=True):
            parameter -= part.view_as(parameter)
    return transformer


# --------------------------------------------------------------------------- Theorem 1: MAE

right_and_wrong = st.permutations([True, False]).flatmap(
    lambda two: st.lists(st.booleans(), max_size=1).map(lambda more: [*two, *more]))


@settings(max_examples=5)
@given(conversations(right_and_wrong), seeds)
def test_the_gradient_splits_and_mae_removes_the_part_of_erroneous_calls(
        tokenizer_file, conversation, seed):
    tokenizer = Tokenizer(tokenizer_file)
    transformer = small(seed)
    spans = Spans(conversation, tokenizer)
    part = {True: 0, False: 0}
    for call in spans.encoded.calls:
        w = spans.weights(call)
        nll = -(w * spans.token_logps(transformer, call)).sum() / w.sum()
        part[spans.is_wrong(call)] += gradient(transformer, nll)
    plain = loss_gradient(transformer, conversation, tokenizer, mae=False)
    masked = loss_gradient(transformer, conversation, tokenizer, mae=True)
    assert (plain - part[True] - part[False]).norm() <= 1e-10 * plain.norm()
    assert (masked - part[False]).norm() <= 1e-10 * masked.norm()
    assert (plain - masked - part[True]).norm() <= 1e-10 * plain.norm()
    assert part[True].norm() > 0


@settings(max_examples=5)
@given(conversations(st.just([False, True])), seeds)
def test_a_step_along_the_part_of_erroneous_calls_makes_the_wrong_call_likelier(
        tokenizer_file, conversation, seed):
    tokenizer = Tokenizer(tokenizer_file)
    transformer = small(seed)
    spans = Spans(conversation, tokenizer)
    wrong = spans.encoded.calls[1]
    assert spans.is_wrong(wrong)
    before = spans.token_logps(transformer, wrong)
    w = torch.ones_like(before) / len(before)  # without PKT, as in the theorem
    g_error = gradient(transformer, -(w * before).sum())
    after = spans.token_logps(moved(transformer, g_error), wrong)
    gain = (after.sum() - before.sum()).item()
    assert gain > 0
    # to first order: the length of the step times that of the gradient of the whole call's log p
    assert gain == pytest.approx(STEP * len(before) * g_error.norm().item(), rel=1e-2)


@settings(max_examples=5)
@given(conversations(st.just([True, True])), seeds)
def test_with_mae_a_conversation_of_erroneous_calls_has_no_gradient(
        tokenizer_file, conversation, seed):
    """What `build` would leave out; the weights themselves are 0, so that nothing is left."""
    tokenizer = Tokenizer(tokenizer_file)
    transformer = small(seed)
    spans = Spans(conversation, tokenizer)
    weights, _ = token_weights(spans.encoded, conversation, tokenizer.name_ids, mae=True)
    batch = batch_of(spans.encoded, weights)
    loss, _ = weighted_nll(transformer, batch)
    assert not gradient(transformer, loss).any()


def batch_of(encoded, weights):
    """A Batch of one conversation with these weights, which are not divided by their sum."""
    ids = torch.tensor(encoded.ids)[None]
    labels = torch.tensor(encoded.labels)[None]
    return Batch(ids, labels, torch.tensor(weights)[None], 1, len(encoded.ids))


# --------------------------------------------------------------------------- Theorem 2: PKT

@settings(max_examples=5)
@given(conversations(st.just([False])), seeds)
def test_the_gradient_of_a_token_is_w_times_its_own(tokenizer_file, conversation, seed):
    """For a key token and another, all other weights 0; and for the whole call they add up."""
    tokenizer = Tokenizer(tokenizer_file)
    transformer = small(seed)
    spans = Spans(conversation, tokenizer)
    (call,) = spans.encoded.calls
    w = spans.weights(call)
    weights, _ = token_weights(spans.encoded, conversation, tokenizer.name_ids)
    for place in (0, len(w) - 1):  # the first of the name, and </s>
        own = gradient(transformer, -spans.token_logps(transformer, call)[place])
        alone = np.zeros_like(weights)
        alone[call.start - 1 + place] = weights[call.start - 1 + place]
        loss, _ = weighted_nll(transformer, batch_of(spans.encoded, alone))
        weighted = gradient(transformer, loss)
        assert (weighted - w[place] * own).norm() <= 1e-10 * weighted.norm()
    loss, _ = weighted_nll(transformer, batch_of(spans.encoded, weights))
    whole = gradient(transformer, loss)
    expected = gradient(transformer, -(w * spans.token_logps(transformer, call)).sum())
    assert (whole - expected).norm() <= 1e-10 * whole.norm()
    assert w[0] >= w[-1] == 1


def key_parts(transformer, spans):
    """Of a conversation with one call: (w of the key tokens, gradients of the log-likelihood of
    its key tokens and of its others, numbers of both).
    """
    (call,) = spans.encoded.calls
    w = spans.weights(call)
    key = w > 1
    assume(bool(key.any()))  # a short call with many keys has w = 1
    logps = spans.token_logps(transformer, call)
    of_keys = gradient(transformer, logps[key].sum())
    of_others = gradient(transformer, spans.token_logps(transformer, call)[~key].sum())
    return w.max().item(), of_keys, of_others, int(key.sum()), int((~key).sum())


def gain_of_keys(seed, spans, direction, length):
    """How much a step of so many times a direction raises the key tokens' log-likelihood."""
    transformer = small(seed)
    (call,) = spans.encoded.calls
    key = spans.weights(call) > 1
    before = spans.token_logps(transformer, call)[key].sum().item()
    moved(transformer, direction)
    after = spans.token_logps(transformer, call)[key].sum().item()
    return length * (after - before)


@settings(max_examples=5)
@given(conversations(st.just([False])), seeds)
def test_a_step_on_weighted_sums_raises_the_key_tokens_more(tokenizer_file, conversation, seed):
    """The paper's loss, plain sums: the surplus is (w - 1) |G_K|^2 times the rate, never negative.

    G_K is the gradient of the key tokens' log-likelihood, G_NK that of the others. `gain_of_keys`
    takes steps of one length, so that they stay small; its last argument undoes that.
    """
    spans = Spans(conversation, Tokenizer(tokenizer_file))
    w, of_keys, of_others, _, _ = key_parts(small(seed), spans)
    plain = of_keys + of_others
    weighted = w * of_keys + of_others
    surplus = (gain_of_keys(seed, spans, -weighted, weighted.norm().item())
               - gain_of_keys(seed, spans, -plain, plain.norm().item()))
    assert surplus > 0
    assert surplus == pytest.approx(STEP * (w - 1) * of_keys.square().sum().item(), rel=2e-2)


@settings(max_examples=5)
@given(conversations(st.just([False])), seeds)
def test_divided_by_the_sum_of_weights_it_needs_a_condition(tokenizer_file, conversation, seed):
    """The released code's loss, which is ours: the theorem holds where |G_K|^2 / |K| is more than
    <G_K, G_NK> / |NK|: a key token must gain more from the key tokens than from the others.
    """
    spans = Spans(conversation, Tokenizer(tokenizer_file))
    w, of_keys, of_others, n_keys, n_others = key_parts(small(seed), spans)
    plain = (of_keys + of_others) / (n_keys + n_others)
    weighted = (w * of_keys + of_others) / (w * n_keys + n_others)
    surplus = (gain_of_keys(seed, spans, -weighted, weighted.norm().item())
               - gain_of_keys(seed, spans, -plain, plain.norm().item()))
    margin = (of_keys @ of_keys).item() / n_keys - (of_keys @ of_others).item() / n_others
    expected = (w - 1) * n_keys * n_others * margin / (
        (w * n_keys + n_others) * (n_keys + n_others))
    assert surplus == pytest.approx(STEP * expected, rel=2e-2, abs=1e-9)
    assume(abs(expected) > 1e-3)
    assert (surplus > 0) == (margin > 0)
