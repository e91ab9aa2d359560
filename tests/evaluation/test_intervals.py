"""Intervals against what defines them, and against closed forms."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.intervals import Z, paired_difference, wilson


def slow_wilson(k, n):
    """The shares that lie within Z standard deviations, by bisection of the definition itself."""
    def is_inside(p):
        return abs(k / n - p) <= Z * math.sqrt(p * (1 - p) / n)

    def edge(outside, inside):
        if is_inside(outside):
            return outside
        for _ in range(60):
            middle = (outside + inside) / 2
            outside, inside = (outside, middle) if is_inside(middle) else (middle, inside)
        return inside

    return edge(0.0, k / n), edge(1.0, k / n)


@settings(max_examples=60)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_the_set_of_shares_that_agree_with_the_count(counts):
    assert wilson(*counts) == pytest.approx(slow_wilson(*counts), abs=1e-9)


def test_wilson_of_all_of_none_and_of_nothing():
    n = 105
    assert wilson(0, n) == pytest.approx((0, Z * Z / (n + Z * Z)))  # closed form
    assert wilson(n, n) == pytest.approx((n / (n + Z * Z), 1))
    assert wilson(0, 0) == (0, 1)


def test_wilson_covers_the_share_that_made_the_counts_about_95_times_of_100():
    n, p = 105, 0.838
    covered = sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(n + 1)
                  if wilson(k, n)[0] <= p <= wilson(k, n)[1])
    assert 0.93 < covered < 0.97


OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


@settings(max_examples=60)
@given(OUTCOMES)
def test_the_paired_error_is_that_of_mcnemar_s_table(pairs):
    """Closed form of right and wrong: b only ours right, c only theirs, of n."""
    ours, theirs = zip(*pairs, strict=True)
    found = paired_difference(ours, theirs)
    n = len(pairs)
    b = sum(x and not y for x, y in pairs)
    c = sum(y and not x for x, y in pairs)
    assert found.mean == pytest.approx((b - c) / n)
    assert found.se == pytest.approx(math.sqrt((b + c - (b - c) ** 2 / n) / (n - 1) / n), abs=1e-12)


def test_the_paired_error_of_any_numbers_and_of_one_item():
    ours, theirs = [0.5, -1.0, 2.0, 0.25], [0.0, 1.0, 1.5, 0.25]
    differences = [0.5, -2.0, 0.5, 0.0]
    assert paired_difference(ours, theirs) == pytest.approx(
        (statistics.mean(differences), statistics.stdev(differences) / 2))
    assert paired_difference([1], [0]) == (1, None)
    with pytest.raises(ValueError, match="no items"):
        paired_difference([], [])
    with pytest.raises(ValueError):
        paired_difference([1], [1, 0])
