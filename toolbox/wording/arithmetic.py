"""Wording for arithmetic: sums, averages, division, factors and percentages."""

from toolbox.wording.samples import numbers, whole_numbers

ASK = {
    "add_numbers": (
        "What is the sum of {numbers}?", "Add up {numbers}.", "What do {numbers} come to in total?",
        "Total of {numbers}, please.", "I spent {numbers}. How much is that altogether?",
        "Put {numbers} together and tell me the sum.", "Sum up the following: {numbers}.",
        "If I add {numbers}, what do I get?"),
    "divide_numbers": (
        "What is {dividend} divided by {divisor}?",
        "Divide {dividend} by {divisor} and tell me the remainder.",
        "How many times does {dividend} hold {divisor}, and what is left over?",
        "{dividend} over {divisor}, with remainder, please.",
        "I share {dividend} sweets among {divisor} children. How many does each get, and how many "
        "remain?",
        "Split {dividend} into {divisor} equal parts. What's left?",
        "Starting from {dividend}, do a whole-number division by {divisor}.",
        "What are quotient and remainder of {dividend} by {divisor}?"),
    "find_average": (
        "What is the average of {numbers}?", "Take the mean of {numbers}.",
        "What do {numbers} average out to?", "Mean of {numbers}, please.",
        "My times were {numbers}. What was I doing on average?", "Average {numbers} for me.",
        "I need the arithmetic mean of {numbers}.", "On average, how large are {numbers}?"),
    "find_median": (
        "What is the median of {numbers}?", "Which value lies in the middle of {numbers}?",
        "Median of {numbers}, please.", "If {numbers} are put in order, what's the middle one?",
        "I need the median, not the mean, of {numbers}.",
        "Look at {numbers} and give me the middle value.",
        "Half lie below and half above: what is that point for {numbers}?",
        "Determine the median for {numbers}."),
    "find_prime_factors": (
        "What are the prime factors of {number}?", "Is {number} a prime?",
        "Break {number} down into primes.", "Factorize {number}.",
        "Which primes multiply to {number}?", "Prime factorization of {number}, please.",
        "I wonder whether {number} can be split into smaller primes.",
        "Write {number} as a product of primes."),
    "calculate_percentage": (
        "What is {percent} percent of {number}?", "Take {percent} percent of {number}.",
        "How much is {percent} percent out of {number}?", "{percent} percent of {number}, please.",
        "I get {percent} percent off a price of {number}. How much do I save?",
        "Work out a share of {percent} percent from {number}.",
        "If {percent} percent of {number} people vote, how many is that?",
        "I need {percent} percent of the sum {number}."),
}
DO = {
    "add_numbers": (
        "add up {numbers}", "work out the sum of {numbers}", "find the total of {numbers}",
        "tell me what {numbers} come to altogether"),
    "divide_numbers": (
        "divide {dividend} by {divisor}",
        "find the quotient and remainder of {dividend} by {divisor}",
        "split {dividend} into {divisor} equal parts",
        "work out what is left when {dividend} is divided by {divisor}"),
    "find_average": (
        "take the average of {numbers}", "work out the mean of {numbers}",
        "calculate what {numbers} average out to", "tell me the arithmetic mean of {numbers}"),
    "find_median": (
        "determine the median of {numbers}", "work out the middle value of {numbers}",
        "pick out the median from {numbers}",
        "tell me which value lies in the middle of {numbers}"),
    "find_prime_factors": (
        "break {number} down into primes", "factorize {number}",
        "find out which primes multiply to {number}", "check whether {number} is a prime"),
    "calculate_percentage": (
        "work out {percent} percent of {number}", "take {percent} percent of {number}",
        "tell me how much {percent} percent of {number} is",
        "compute a share of {percent} percent from {number}"),
}
TELL = {
    "add_numbers": ("The sum is {sum}.", "They add up to {sum}.",
                    "The {count} numbers make {sum} in total."),
    "divide_numbers": (
        "The quotient is {quotient}, with remainder {remainder}.",
        "{dividend} divided by {divisor} is {quotient}, remainder {remainder}."),
    "find_average": ("The average is {average}.", "They average {average}."),
    "find_median": ("The median is {median}.", "The middle value is {median}."),
    "find_prime_factors": ("The prime factors of {number} are {factors}.",
                           "{number} splits into {factors}."),
    "calculate_percentage": (
        "{percent} percent of {number} is {part}.", "That is {part}, which leaves {rest}."),
}
EXTRA = {}
VALUES = {
    "numbers": whole_numbers(-20, 400),
    "dividend": range(20, 5000), "divisor": range(2, 60), "number": range(2, 20000),
    "calculate_percentage.number": numbers(10, 5000), "percent": numbers(1, 95, 1)}
