"""MAE and PKT weights against rules written out; weighted NLL against full logits, call by call."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from data.trajectories import read_item
from examples import Batch, build, collate
from losses import (
    call_weights,
    is_erroneous,
    key_tokens,
    normalise,
    token_nll,
    token_weights,
    weighted_nll,
)
from tests.conftest import ITEMS, item, real, real_conversations, schema
from tokenizer import Tokenizer

names = st.lists(st.integers(0, 4), min_size=1, max_size=6)


def weights_of(tokenizer, raw, **options):
    """[(piece, weight), ...] of the trained tokens of a raw item, a list for each call."""
    conversation = read_item(raw)
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights, call = token_weights(encoded, conversation, tokenizer.name_ids, **options)
    pieces = [tokenizer.pieces.id_to_piece(int(i)) for i in encoded.labels]
    by_call = []
    for c in sorted(set(call) - {-1}):
        by_call.append([(pieces[t], weights[t]) for t in np.flatnonzero(call == c)])
    return by_call


# --------------------------------------------------------------------------------------------- PKT

@given(names, st.lists(names, max_size=6))
def test_key_tokens_are_the_first_and_those_that_decide(name, others):
    """By the definition: position p decides if some other name agrees before p and not at p."""
    others = [other for other in others if other != name]
    expected = {0}
    for p in range(1, len(name) + 1):
        if any(other[:p] == name[:p] and other[p:p + 1] != name[p:p + 1] for other in others):
            expected.add(p)
    assert key_tokens(name, others) == expected


@given(names, st.lists(names, max_size=4), st.integers(0, 5))
def test_adding_tools(name, others, k):
    different = [other for other in others if other != name]
    keys = key_tokens(name, different)
    assert keys == key_tokens(name, different * 2)
    unrelated = [99, 98]  # begins with another token
    assert key_tokens(name, [*others, unrelated]) == key_tokens(name, others)
    k = min(k, len(name))
    shares_k_tokens = name[:k] + [99]
    expected = keys | ({k} if k else set())
    assert key_tokens(name, [*different, shares_k_tokens]) == expected


@given(st.integers(2, 60), st.sets(st.integers(0, 5), min_size=1), st.floats(1, 20))
def test_weights_lie_between_one_and_w_max(length, keys, w_max):
    keys = {k for k in keys if k < length} or {0}
    weights = call_weights(length, keys, w_max)
    assert ((weights >= 1) & (weights <= w_max)).all()
    assert all(weights[i] == 1 for i in range(length) if i not in keys)
    ratio = (length - len(keys)) / len(keys)
    assert all(weights[k] == min(max(ratio, 1), w_max) for k in keys)


@pytest.fixture(scope="module")
def llama():
    return Tokenizer(real("tokenizers/llama/tokenizer.model"))


@pytest.mark.parametrize("call, others, expected", [
    ('get\n{}', ["get_news"],
     [("▁get", 1), ("()", 1), ("</s>", 1)]),
    ('get_news\n{"q": "a b c d e"}', ["get", "get_weather"],  # |K| = 3 of 13 tokens
     [("▁get", 10 / 3), ("_", 10 / 3), ("news", 10 / 3), ("(", 1), ("q", 1), ('="', 1), ("a", 1),
      ("▁b", 1), ("▁c", 1), ("▁d", 1), ("▁e", 1), ('")', 1), ("</s>", 1)]),
    ('ping\n{"_x": 1}', [],
     [("▁ping", 6), ("(_", 1), ("x", 1), ("=", 1), ("1", 1), (")", 1), ("</s>", 1)]),
    ('ping\n{"_x": 1}', ["ping_all"],
     [("▁ping", 2.5), ("(_", 2.5), ("x", 1), ("=", 1), ("1", 1), (")", 1), ("</s>", 1)]),
])
def test_weights_with_the_real_tokenizer_written_out(llama, call, others, expected):
    name = call.split("\n")[0]
    tools = [schema(other) for other in [name, *others, name]]  # a doubled name changes nothing
    raw = item(("user", "q"), ("assistant", call), ("function", "{}"), tools=tools)
    (weights,) = weights_of(llama, raw)
    assert weights == [(piece, pytest.approx(weight)) for piece, weight in expected]


def test_key_tokens_of_the_real_file(llama):
    """|K| is 1, 2, 3, 4 in 58, 32, 9 and 1% of the calls."""
    sizes = []
    for conversation in real_conversations():
        for turn in conversation.turns:
            if turn.role == "assistant":
                others = {tool.name for tool in conversation.tools} - {turn.name}
                other_ids = [llama.name_ids(other) for other in others]
                sizes.append(len(key_tokens(llama.name_ids(turn.name), other_ids)))
    shares = np.bincount(sizes) / len(sizes)
    np.testing.assert_allclose(shares[1:5], [0.58, 0.32, 0.09, 0.01], atol=0.006)


# --------------------------------------------------------------------------------------------- MAE

def test_an_erroneous_call_is_context_and_not_loss(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    with_mae = weights_of(tokenizer, ITEMS[0], mae=True)
    without = weights_of(tokenizer, ITEMS[0], mae=False)
    assert len(without) == 3 and with_mae == without[1:]
    erroneous = [piece for piece, _ in without[0][:-1]]
    assert tokenizer.pieces.decode(erroneous) == 'get_weather(town="Bergen")'
    assert [call[-1][0] for call in without] == ["</s>"] * 3


def test_calls_without_feedback_are_trained():
    """The released code drops `ask_to_user`; a user who talks of an error gives no feedback."""
    conversation = read_item(item(
        ("user", "q"), ("assistant", 'ask_to_user\n{"question": "?"}'),
        ("user", "Error: no"), ("assistant", 'finish\n{"answer": "a"}')))
    assert not is_erroneous(conversation, 2) and not is_erroneous(conversation, 4)


def test_switches_give_the_four_rows_of_table_5(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    for mae in (True, False):
        for pkt in (True, False):
            calls = weights_of(tokenizer, ITEMS[0], mae=mae, pkt=pkt)
            assert len(calls) == (2 if mae else 3)
            assert (largest_weight(calls) > 1) == pkt
    assert largest_weight(weights_of(tokenizer, ITEMS[0], w_max=2.0)) == 2


def largest_weight(calls):
    """The largest weight in what `weights_of` returns."""
    return max(weight for call in calls for _, weight in call)


# --------------------------------------------------------------------------------------------- NLL

def small(seed=0, vocab=350):
    """A float64 model with weights large enough for its outputs to depend on everything."""
    transformer = model.initialise(model.Config(vocab, 24, 40, 2, 4, 2, 6), seed).double()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.2)
    return transformer


def gradient(transformer, loss):
    """The gradient of a loss in all parameters, as one vector."""
    transformer.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in transformer.parameters()])


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunked_head_equals_full_logits(chunk):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(7, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(11, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    labels = torch.randint(11, (7,), generator=generator)
    w = torch.rand(7, generator=generator, dtype=torch.float64)
    nll = token_nll(hidden, weight, labels, chunk=chunk)
    logits = hidden @ weight.T  # (7, 11)
    expected = logits.logsumexp(-1) - logits[range(7), labels]
    torch.testing.assert_close(nll, expected)
    ours = torch.autograd.grad((w * nll).sum(), (hidden, weight))
    plain = torch.autograd.grad((w * expected).sum(), (hidden, weight))
    torch.testing.assert_close(ours, plain)


def test_only_trained_positions_meet_the_output_matrix_and_few_at_a_time(monkeypatch):
    """Logits of all 2,048 positions would be ten times the memory; nothing else would tell."""
    transformer = model.initialise(model.Config(350, 32, 48, 1, 4, 4, 8))
    linear = torch.nn.functional.linear
    rows = []

    def counting(x, weight, *bias):
        if len(weight) == 350:
            rows.append(x.shape[:-1].numel())
        return linear(x, weight, *bias)

    monkeypatch.setattr(torch.nn.functional, "linear", counting)
    for every, expected in ((10, [205]), (1, [1024, 1024])):
        weights = torch.zeros(1, 2048)
        weights[0, ::every] = 1
        ids = torch.zeros(1, 2048, dtype=torch.int64)
        rows.clear()
        weighted_nll(transformer, Batch(ids, ids, weights, 1, 2048))
        assert rows == expected


def per_call_samples(encoded, conversation, tokenizer, w_max):
    """The released code's form: for each trained call the history and the call, ended by `</s>`."""
    for span in encoded.calls:
        if is_erroneous(conversation, span.turn):
            continue
        ids = encoded.ids[:span.stop].tolist() + [tokenizer.eos_id]
        name = encoded.ids[span.name_start:span.name_stop].tolist()
        called = conversation.turns[span.turn].name
        others = {tool.name for tool in conversation.tools} - {called}
        other_ids = [tokenizer.name_ids(other) for other in others]
        offset = span.name_start - span.start
        keys = {offset + key for key in key_tokens(name, other_ids)}
        yield ids, span.start, call_weights(len(ids) - span.start, keys, w_max)


def check_one_pass(conversations, tokenizer, transformer):
    """One pass has the loss and gradient of the sum over per-call samples with full logits.

    Returns the numbers of tokens of both.
    """
    examples, _ = build(conversations, tokenizer)
    batch = collate(examples, dtype=torch.float64)
    loss, _ = weighted_nll(transformer, batch)
    ours = gradient(transformer, loss)
    expected = separate = 0.0  # loss and gradient of the samples
    tokens = 0
    for conversation in conversations:
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        for ids, start, w in per_call_samples(encoded, conversation, tokenizer, 9.0):
            logp = transformer(torch.tensor([ids])).log_softmax(-1)[0]
            nll = -logp[range(start - 1, len(ids) - 1), ids[start:]]
            sample = (torch.tensor(w) * nll).sum() / w.sum()
            expected += sample.item()
            separate = separate + gradient(transformer, sample)
            tokens += len(ids) - 1
    assert loss.item() == pytest.approx(expected, rel=1e-10)
    assert (ours - separate).norm() <= 1e-10 * separate.norm()
    return batch.n_tokens, tokens


def test_one_pass_equals_one_sample_per_call(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    one, many = check_one_pass([read_item(raw) for raw in ITEMS], tokenizer, small())
    assert one < many


def test_one_pass_equals_one_sample_per_call_on_real_conversations(llama):
    by_length = sorted(real_conversations(), key=lambda c: sum(len(t.content) for t in c.turns))
    three = by_length[200:800:200]
    assert len(three) == 3
    check_one_pass(three, llama, small(vocab=32000))


def test_normalised_weights_sum_to_one_per_call():
    weights = normalise(np.array([0, 9.0, 1, 0, 2, 2]), np.array([-1, 0, 0, -1, 1, 1]))
    np.testing.assert_allclose(weights, [0, 0.9, 0.1, 0, 0.5, 0.5])


@settings(max_examples=20)
@given(st.permutations(range(3)), st.lists(st.integers(1, 3), min_size=1, max_size=3),
       st.integers(0, 349))
def test_nothing_depends_on_padding_or_the_split(model_dir, order, sizes, pad):
    """Loss, gradient and plain NLL are those of one batch, for any split, order and padding."""
    transformer = model.load(model_dir, torch.float64)
    examples, _ = build([read_item(raw) for raw in ITEMS], Tokenizer(model_dir))
    whole_loss, whole_nll = weighted_nll(transformer, collate(examples, dtype=torch.float64))
    expected = gradient(transformer, whole_loss)
    transformer.zero_grad()
    loss = nll = 0.0
    rest = [examples[i] for i in order]
    while rest:
        size = sizes[len(rest) % len(sizes)]
        batch = collate(rest[:size], dtype=torch.float64, pad=pad)
        wider = [torch.nn.functional.pad(x, (0, size), value=fill)
                 for x, fill in zip(batch[:3], (pad, pad, 0.0), strict=True)]
        part_loss, part_nll = weighted_nll(transformer, Batch(*wider, *batch[3:]))
        part_loss.backward()
        loss += part_loss.item()
        nll += part_nll.item()
        rest = rest[size:]
    assert (loss, nll) == pytest.approx((whole_loss.item(), whole_nll.item()), rel=1e-12)
    ours = torch.cat([p.grad.flatten() for p in transformer.parameters()])
    assert (ours - expected).norm() <= 1e-12 * expected.norm()


def test_a_batch_without_trained_calls_gives_zero_not_nan():
    transformer = small()
    ids = torch.tensor([[1, 2, 3]])
    weights = torch.zeros(1, 3, dtype=torch.float64)
    loss, nll = weighted_nll(transformer, Batch(ids, ids, weights, 0, 3))
    assert loss.item() == 0 and nll.item() == 0
    assert not gradient(transformer, loss).any()
