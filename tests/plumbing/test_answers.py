"""Batches of prompts: all of them once, the longest first, within a number of tokens."""

from hypothesis import given, settings
from hypothesis import strategies as st

from plumbing.answers import make_batches


@settings(max_examples=50)
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 9), st.integers(1, 200),
       st.integers(0, 20))
def test_no_batch_has_more_tokens_and_none_could_take_the_next(lengths, size, tokens, answer):
    prompts = [[0] * length for length in lengths]
    batches = make_batches(prompts, size, tokens, answer)
    assert sorted(place for batch in batches for place in batch) == list(range(len(prompts)))
    order = [lengths[place] for batch in batches for place in batch]
    assert order == sorted(order, reverse=True)
    for i, batch in enumerate(batches):
        padded = len(batch) * (lengths[batch[0]] + answer)
        assert len(batch) == 1 or (len(batch) <= size and padded <= tokens)
        one_more = (len(batch) + 1) * (lengths[batch[0]] + answer)
        assert len(batch) == size or one_more > tokens or i + 1 == len(batches)
    assert make_batches(prompts, size, 10**9, answer) == make_batches(prompts, size)
