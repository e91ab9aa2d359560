"""Means and differences over seeds and items, with errors that let both vary.

A value of seed s and item i is mu + a_s + b_i + e_si: seeds and items are crossed, since every seed
answers the same items. The mean over S seeds and I items then has the variance

    var(a) / S + var(b) / I + var(e) / (S I)  =  E[MS_seeds + MS_items - MS_rest] / (S I),

where the mean squares are those of a table of two factors: MS_seeds is I times the variance of the
seeds' means, MS_items S times that of the items' means, MS_rest the variance of what both leave.
The quantile is that of Student's t with the degrees of freedom of Satterthwaite (1946): five seeds
have four, so that an effect which seeds disagree on gets a wide interval.

S seeds, I items.
"""

import functools
import math
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A mean with its standard error, and the 95% interval from `low` to `high`."""

    mean: float
    error: float
    low: float
    high: float
    seeds: int
    items: int


def estimate(values):
    """The mean of values (S, I) with its error over seeds and items -> Estimate.

    One seed tells nothing about seeds: then the error is that over items alone. One item tells
    nothing about items: then there is no error, nan.
    """
    values = np.asarray(values, dtype=np.float64)
    S, I = values.shape  # noqa: E741 (the letter of the formula)
    mean = values.mean()
    seed_means = values.mean(1, keepdims=True)  # (S, 1)
    item_means = values.mean(0, keepdims=True)  # (1, I)
    if I == 1:
        return Estimate(float(mean), math.nan, math.nan, math.nan, S, I)
    ms_items = S * item_means.var(ddof=1)
    if S == 1:
        variance = ms_items / I
        freedom = I - 1
    else:
        rest = values - seed_means - item_means + mean  # (S, I)
        ms_rest = (rest ** 2).sum() / ((S - 1) * (I - 1))
        ms_seeds = I * seed_means.var(ddof=1)
        variance, freedom = _crossed_variance(ms_seeds, ms_items, ms_rest, S, I)
    error = math.sqrt(variance)
    width = student_quantile(freedom) * error
    return Estimate(float(mean), error, float(mean - width), float(mean + width), S, I)


def _crossed_variance(ms_seeds, ms_items, ms_rest, S, I):  # noqa: E741
    """The variance of the mean of S seeds and I items, and its degrees of freedom."""
    between_seeds = ms_seeds - ms_rest
    if between_seeds <= 0:  # seeds differ by no more than chance: var(a) is taken for 0
        return ms_items / (S * I), I - 1
    total = ms_items + between_seeds
    squares = (ms_seeds ** 2 / (S - 1) + ms_items ** 2 / (I - 1)
               + ms_rest ** 2 / ((S - 1) * (I - 1)))
    return total / (S * I), max(total ** 2 / squares, S - 1)


@functools.lru_cache(maxsize=4096)
def student_quantile(freedom, points=20_001):
    """The 97.5% quantile of Student's t with so many degrees of freedom, at least 1.

    With t = sqrt(freedom) tan(angle) the density is cos(angle)^(freedom - 1), up to a constant.

    >>> [round(student_quantile(n), 3) for n in (1, 4, 30, 10**6)]
    [12.706, 2.776, 2.042, 1.96]
    """
    # beyond some standard deviations of the angle there is nothing
    widest = min(math.pi / 2, 12 / math.sqrt(freedom))
    angle = np.linspace(0, widest, points)
    density = np.maximum(np.cos(angle), 0) ** (freedom - 1)
    steps = (density[1:] + density[:-1]) / 2
    share = np.concatenate([[0], steps.cumsum()]) / steps.sum()
    return float(math.sqrt(freedom) * math.tan(np.interp(0.95, share, angle)))


def ratio_values(part, whole):
    """Values (S, I) whose mean is sum(part) / sum(whole), and whose spread is that of the ratio.

    part, whole (S, I): faults and calls of a dialogue, say. To first order the ratio moves by
    (part - ratio * whole) / mean(whole) with an item. With a whole of 1 it is `part` itself.
    """
    part = np.asarray(part, dtype=np.float64)
    whole = np.asarray(whole, dtype=np.float64)
    if not whole.sum():
        return np.full(part.shape, math.nan)
    ratio = part.sum() / whole.sum()
    return ratio + (part - ratio * whole) / whole.mean()
