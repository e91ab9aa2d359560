"""Intervals over seeds and items: do they cover a difference that is known?"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.differences import estimate, ratio_values, student_quantile

DIFFERENCE = 0.03  # of the two rows, as `simulate` draws them


def simulate(rng, seed_spread, item_spread, seeds=5, items=300):
    """The difference (S, I) of right and wrong answers of two rows to the same items.

    A row's chance to be right is the item's chance, shifted by what this row gains on the item (on
    average DIFFERENCE for the second row) and by what its seed does to all items. All draws are
    uniform, so that no chance leaves 0 to 1 and the true difference is DIFFERENCE exactly.
    """
    chance = rng.uniform(0.3, 0.6, items)
    gain = DIFFERENCE + rng.uniform(-item_spread, item_spread, items)
    shifts = rng.uniform(-seed_spread, seed_spread, (2, seeds, 1))
    before = rng.random((seeds, items)) < chance + shifts[0]
    after = rng.random((seeds, items)) < chance + gain + shifts[1]
    return after.astype(float) - before


@pytest.mark.parametrize("seed_spread, item_spread", [
    (0.0, 0.2),   # all seeds of a row are alike
    (0.05, 0.2),  # seeds and items tell about as much
    (0.1, 0.0),   # seeds tell nearly all
])
def test_intervals_cover_the_true_difference_in_95_percent(seed_spread, item_spread):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        found = estimate(simulate(rng, seed_spread, item_spread))
        covered += found.low <= DIFFERENCE <= found.high
    assert 930 <= covered <= 970


def test_the_variance_is_that_of_many_draws():
    rng = np.random.default_rng(1)
    found = [estimate(simulate(rng, 0.05, 0.2)) for _ in range(1000)]
    spread = np.std([one.mean for one in found], ddof=1)
    assert np.mean([one.error ** 2 for one in found]) ** 0.5 == pytest.approx(spread, rel=0.06)


def test_with_one_seed_it_is_the_textbook_error_over_items():
    values = [[1.0, 0.0, 1.0, 1.0]]
    found = estimate(values)
    assert found.mean == 0.75 and found.error == pytest.approx(0.5 / 4 ** 0.5)
    assert found.high - found.mean == pytest.approx(3.182 * 0.25, rel=1e-3)


def test_seeds_that_disagree_by_themselves_have_an_interval_of_four_degrees_of_freedom():
    """Every item says the same within a seed: then it is a t interval of five numbers."""
    means = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    found = estimate(np.repeat(means[:, None], 1000, axis=1))
    assert found.error == pytest.approx(means.std(ddof=1) / 5 ** 0.5)
    assert found.high - found.mean == pytest.approx(2.776 * found.error, rel=1e-3)


def test_rows_that_are_equal_have_no_difference_and_no_error():
    assert estimate(np.zeros((5, 20)))[:4] == (0, 0, 0, 0)


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_item_has_a_mean_and_no_error(seeds):
    """Several seeds of it divided by zero."""
    found = estimate(np.full((seeds, 1), 0.5))
    assert (found.mean, found.seeds, found.items) == (0.5, seeds, 1)
    assert np.isnan([found.error, found.low, found.high]).all()


@pytest.mark.parametrize("freedom, quantile", [
    (1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (120, 1.9799)])
def test_quantiles_of_the_printed_tables(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, abs=2e-4)


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(2, 20), st.integers(0, 10**6))
def test_a_ratio_is_that_of_the_sums_and_a_share_is_the_plain_mean(seeds, items, seed):
    rng = np.random.default_rng(seed)
    calls = rng.integers(1, 9, (seeds, items))
    faults = rng.integers(0, 1 + calls)
    values = ratio_values(faults, calls)
    assert values.mean() == pytest.approx(faults.sum() / calls.sum())
    np.testing.assert_allclose(ratio_values(faults, np.ones_like(calls)), faults, atol=1e-12)


def test_the_error_of_a_ratio_is_that_of_many_draws():
    """Long dialogues have more calls and more faults among them: 0.1 to 0.3 of their calls."""
    rng = np.random.default_rng(2)
    ratios = []
    errors = []
    for _ in range(400):
        calls = rng.integers(1, 9, (1, 200))
        faults = rng.binomial(calls, 0.1 + calls / 40)
        ratios.append(faults.sum() / calls.sum())
        errors.append(estimate(ratio_values(faults, calls)).error)
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(ratios), rel=0.1)
