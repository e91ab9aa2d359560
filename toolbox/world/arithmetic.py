"""Calculations with numbers."""

import statistics

from toolbox.world import Refusal, between, several, tidy, whole

LARGEST = 10**12


def _checked(numbers):
    return [between(number, -LARGEST, LARGEST, "each number")
            for number in several(numbers, "numbers")]


def add_numbers(numbers: list[int]) -> dict:
    """Add numbers.

    numbers: numbers to add
    """
    return {"sum": tidy(sum(_checked(numbers))), "count": len(numbers)}


def divide_numbers(dividend: int, divisor: int) -> dict:
    """Divide a number by another, with remainder.

    dividend: number to divide
    divisor: number to divide by
    """
    dividend = whole(dividend, -LARGEST, LARGEST, "dividend")
    divisor = whole(divisor, -LARGEST, LARGEST, "divisor")
    if divisor == 0:
        raise Refusal("divisor must not be zero.")
    quotient, remainder = divmod(dividend, divisor)
    return {"quotient": quotient, "remainder": remainder}


def find_average(numbers: list[int]) -> dict:
    """Find the average of numbers.

    numbers: numbers to average
    """
    return {"average": tidy(statistics.fmean(_checked(numbers))), "count": len(numbers)}


def find_median(numbers: list[int]) -> dict:
    """Find the median of numbers.

    numbers: numbers to look at
    """
    return {"median": tidy(statistics.median(_checked(numbers))), "count": len(numbers)}


def find_prime_factors(number: int) -> dict:
    """Find the prime numbers whose product is a number.

    number: number to split, from 2 to 1000000
    """
    rest = whole(number, 2, 10**6, "number")
    factors = []
    divisor = 2
    while divisor * divisor <= rest:
        if rest % divisor:
            divisor += 1
        else:
            factors.append(divisor)
            rest //= divisor
    factors.append(rest)
    return {"factors": factors, "is_prime": len(factors) == 1}


def calculate_percentage(percent: float, number: float) -> dict:
    """Calculate some percent of a number.

    percent: how many percent
    number: number to take them from
    """
    part = between(number, -LARGEST, LARGEST, "number") * between(percent, 0, 1000, "percent") / 100
    return {"part": tidy(part), "rest": tidy(number - part)}
