"""How sure a score is: Wilson's interval of a share, the standard error of a paired difference."""

import math
from typing import NamedTuple

Z = 1.959963984540054  # a normal variable lies within +-Z standard deviations 95 times of 100


class Difference(NamedTuple):
    mean: float
    se: float | None  # its standard error; None for fewer than two items


def wilson(k, n):
    """The 95% interval (low, high) of a share of which k of n items were seen (Wilson, 1927).

    These are the shares p that lie within Z standard deviations of the share that was seen:
    |k / n - p| <= Z sqrt(p (1 - p) / n). Unlike k / n +- 1.96 standard errors it also holds for few
    items, and it stays within 0 and 1. Of no items nothing is known: (0, 1).

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    if not n:
        return 0.0, 1.0
    share = k / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_difference(ours, theirs):
    """The mean of ours - theirs over the same items, in order, and its standard error.

    The standard error is that of the mean of the items' differences,
    sqrt(sum (d - mean d)^2 / (n - 1) / n): what both runs find hard alike drops out. Raises
    ValueError for no items, or another number of them.

    >>> paired_difference([1, 1, 0, 1], [0, 1, 0, 1])
    Difference(mean=0.25, se=0.25)
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    n = len(differences)
    if not n:
        raise ValueError("no items to compare")
    mean = sum(differences) / n
    if n == 1:
        return Difference(mean, None)
    variance = sum((d - mean) ** 2 for d in differences) / (n - 1)
    return Difference(mean, math.sqrt(variance / n))


def percent(part, whole):
    """`part` of `whole` in percent, as a text."""
    return f"{100 * part / whole:.2f}%" if whole else "-"


def share_cell(k, n):
    """A share for a table: the count, the percentage and its interval.

    >>> share_cell(88, 105)
    '88   83.81%  (75.6-89.6)'
    """
    if not n:
        return f"{k}        -            -"
    low, high = wilson(k, n)
    interval = f"({100 * low:.1f}-{100 * high:.1f})"
    return f"{k}{f'{100 * k / n:.2f}%':>9}{interval:>13}"
