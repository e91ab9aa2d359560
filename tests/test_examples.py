"""From conversations to batches: what is kept under --max-length, steps, micro-batches, padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.trajectories import Turn, read_item
from examples import (
    Example,
    build,
    collate,
    epoch_steps,
    micro_batches,
    newest_turns,
    up_to_last_call,
)
from plumbing.cuda import pad_length
from plumbing.files import InputError, read_json
from tests.conftest import ITEMS, item, real, real_conversations
from tokenizer import CallSpan, Encoded, Tokenizer, render

CONVERSATIONS = [read_item(raw) for raw in ITEMS]


def texts(example, tokenizer):
    """The text of an example and the trained calls in it, read off the ids and labels alone."""
    numbers = sorted(set(example.call) - {-1})
    calls = [tokenizer.decode(example.labels[example.call == number][:-1]) for number in numbers]
    return tokenizer.decode(example.ids[1:]), calls


def kept_by_rule(conversation, trained, max_length, tokenizer):
    """The rule, on turns: up to the last trained call that fits without the oldest later turns.

    Later turns are those after the system turn and the first user turn.
    """
    for last in reversed(trained):
        stays = [0, 1] if last > 1 else [0]
        for oldest in range(2, last + 1):
            turns = stays + list(range(oldest, last + 1))
            pieces = [render(conversation.turns[i], conversation.tools) for i in turns]
            text = "\n".join(pieces)
            if 1 + len(tokenizer.encode(text)) <= max_length:
                return text
    return None


@settings(max_examples=150)
@given(st.integers(0, 2), st.integers(20, 700))
def test_too_long_conversations_lose_their_oldest_later_turns(tokenizer_file, which, max_length):
    tokenizer = Tokenizer(tokenizer_file)
    conversation = CONVERSATIONS[which]
    trained = [i for i, turn in enumerate(conversation.turns) if turn.role == "assistant"]
    if which == 0:  # its first call is erroneous
        trained = trained[1:]
    expected = kept_by_rule(conversation, trained, max_length, tokenizer)
    if expected is None:
        with pytest.raises(InputError, match=f"--max-length {max_length}: no call fits"):
            build([conversation], tokenizer, max_length=max_length)
        return
    (example,), counts = build([conversation], tokenizer, max_length=max_length)
    text, calls = texts(example, tokenizer)
    assert text == expected and len(example.ids) <= max_length
    contents = [conversation.turns[i].content for i in trained]
    assert calls == [c for c in contents if "Assistant: " + c in expected] and calls
    assert counts["trained calls"] == len(calls) == example.n_calls
    assert counts.get("calls cut off", 0) == len(contents) - len(calls)


@settings(max_examples=200)
@given(st.data())
def test_the_oldest_turns_go_however_long_the_conversation_is(data):
    """Against the rule itself, tried on every oldest turn and every call."""
    roles = ["system", *data.draw(st.lists(
        st.sampled_from(["user", "assistant", "function"]), min_size=1, max_size=9))]
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(roles), max_size=len(roles)))
    max_length = data.draw(st.integers(1, 40))
    turns = [Turn(role, "") for role in roles]
    turn_of = np.repeat(np.arange(len(roles)), sizes)
    stays = {0, roles.index("user") if "user" in roles else 0}
    calls = []
    expected = None
    for turn in np.flatnonzero(np.array(roles) == "assistant"):
        stop = int(np.cumsum(sizes)[turn])
        calls.append(CallSpan(turn, stop - 1, stop, 0, 0))
        for oldest in range(1, turn + 1):
            kept = [i for i in range(stop) if turn_of[i] in stays or turn_of[i] >= oldest]
            if len(kept) <= max_length:
                expected = kept
                break
    encoded = Encoded(turn_of, turn_of, turn_of, calls)
    found = up_to_last_call(encoded, turns, list(range(len(calls))), max_length)
    assert found.tolist() == (expected or [])
    whole = next(kept for oldest in range(1, len(roles) + 1)
                 if len(kept := [i for i, turn in enumerate(turn_of)
                                 if turn in stays or turn >= oldest]) <= max_length
                 or oldest == len(roles))
    assert newest_turns(turn_of, turns, max_length).tolist() == whole


def test_inputs_end_at_the_last_trained_label(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    conversation = read_item(item(
        ("user", "q"), ("assistant", "get_news\n{}"), ("function", "[]"),
        ("assistant", "get_news\n{}"), ("function", "Error: down")))
    (example,), _ = build([conversation], tokenizer)
    assert texts(example, tokenizer)[0].endswith("Assistant: get_news()")
    assert example.labels[-1] == tokenizer.eos_id and example.weights[-1] > 0


def test_conversations_without_a_trained_call_are_skipped_and_counted(tokenizer_file):
    tokenizer = Tokenizer(tokenizer_file)
    failed = read_item(item(
        ("user", "q"), ("assistant", "get_news\n{}"), ("function", "Error: down")))
    examples, counts = build([failed, *CONVERSATIONS], tokenizer)
    assert [e.item for e in examples] == [1, 2, 3] and counts["skipped: no trained call"] == 1
    with pytest.raises(InputError, match="no trainable call"):
        build([failed], tokenizer)
    assert build([failed], tokenizer, mae=False)[1]["trained calls"] == 1


def items_of(group):
    """The places in their file of a group of examples."""
    return [example.item for example in group]


def calls_of(group):
    """The number of trained calls of a group of examples."""
    return sum(example.n_calls for example in group)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5)), min_size=1, max_size=200),
       st.integers(1, 12), st.integers(0, 3), st.integers(1, 120))
def test_steps_hold_every_conversation_once_and_enough_calls(sizes, batch_size, seed, max_tokens):
    examples = []
    for i, (n, calls) in enumerate(sizes):
        ids = np.zeros(n, int)
        examples.append(Example(ids, ids, np.ones(n), ids, calls, i))
    steps = epoch_steps(examples, batch_size, seed, epoch=0)
    assert sorted(e.item for step in steps for e in step) == list(range(len(examples)))
    too_small = [step for step in steps if calls_of(step) < batch_size]
    assert len(too_small) <= 1
    for step in steps:
        assert calls_of(step) - max(e.n_calls for e in step) < batch_size  # no more than needed
        for device in ("cpu", "cuda"):  # where rows are padded to a multiple of 256
            micro = micro_batches(step, max_tokens, device)
            assert sorted(e.item for b in micro for e in b) == sorted(items_of(step))
            for b in micro:
                longest = max(pad_length(len(e.ids), device) for e in b)
                assert len(b) == 1 or len(b) * longest <= max_tokens
    again = epoch_steps(examples, batch_size, seed, epoch=0)
    assert list(map(items_of, again)) == list(map(items_of, steps))


def test_epochs_and_seeds_have_different_orders(tokenizer_file):
    examples = build(CONVERSATIONS * 20, Tokenizer(tokenizer_file))[0]
    orders = set()
    for seed in (0, 1):
        for epoch in (0, 1):
            steps = epoch_steps(examples, 2, seed, epoch)
            orders.add(tuple(e.n_calls for step in steps for e in step))
    assert len(orders) == 4


def test_a_batch_is_right_padded(tokenizer_file):
    examples = build(CONVERSATIONS, Tokenizer(tokenizer_file))[0]
    batch = collate(examples, pad=7)
    for row, example in enumerate(examples):
        n = len(example.ids)
        assert batch.ids[row, :n].tolist() == example.ids.tolist()
        assert (batch.ids[row, n:] == 7).all()
        assert not batch.weights[row, n:].any()
    assert batch.weights.sum().item() == pytest.approx(batch.n_calls)
    assert batch.n_tokens == sum(len(e.ids) for e in examples)


def test_padding_and_counts_of_the_real_file():
    """First 1,217 uncut conversations: 3,126 calls in 3.0M tokens, under 10% padding.

    Conversations are sorted by length within windows to get there.
    """
    tokenizer = Tokenizer(real("tokenizers/llama/tokenizer.model"))
    path = real("trajectories/rottuning_gpt4.json")
    uncut = [i for i, raw in enumerate(read_json(path)) if not raw.get("cut")][:1217]
    conversations = real_conversations()
    examples, counts = build([conversations[i] for i in uncut], tokenizer)
    assert counts["conversations"] == 1217 and counts["calls"] == 3126
    assert sum(len(e.ids) for e in examples) == pytest.approx(3.0e6, rel=0.02)
    steps = epoch_steps(examples, 4, 0, 0)
    padded = tokens = 0
    for step in steps:
        for group in micro_batches(step, 10**9):
            padded += len(group) * max(len(e.ids) for e in group)
            tokens += sum(len(e.ids) for e in group)
    assert (padded - tokens) / padded < 0.10
