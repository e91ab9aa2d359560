"""Wording for currencies: what a code stands for, rates, and money changed with or without fee."""

from toolbox.wording.samples import numbers, some
from toolbox.world.currency import CURRENCIES

ASK = {
    "get_currency": (
        "What currency is {currency_code}?", "Which countries pay with {currency_code}?",
        "What does the code {currency_code} stand for?", "Where is {currency_code} used as money?",
        "Full name of {currency_code}, please.",
        "I got a bill in {currency_code}. What money is that?",
        "Explain the currency code {currency_code} to me.", "Tell me who uses {currency_code}."),
    "get_exchange_rate": (
        "What's the exchange rate from {base} to {target}?",
        "How many {target} do I get for one {base}?", "Rate of {base} against {target}, please.",
        "What is one {base} worth in {target}?", "How does {base} stand against {target}?",
        "Tell me the {base} to {target} rate.",
        "I'd like to know what a single {base} buys in {target}.",
        "{base} in {target}: what's the rate?", "Quote {base} against {target} for me."),
    "get_exchange_rate_list": (
        "What are the rates from {base} to {targets}?", "Compare {base} with {targets}.",
        "How much is one {base} in each of {targets}?", "List what a {base} is worth in {targets}.",
        "I need the rates of {base} against all of these: {targets}.",
        "{base} against {targets}, please.", "Show me a table of {base} rates for {targets}.",
        "Quote several rates for {base}: {targets}."),
    "convert_currency": (
        "How much is {amount} {base} in {target}?", "Convert {amount} {base} to {target}.",
        "I have {amount} {base}. What would that be in {target}?",
        "{amount} {base} to {target}, please.",
        "What do I get in {target} if I change {amount} {base}?",
        "Turn {amount} {base} into {target}.",
        "The bill is {amount} {base}; how much is that in {target}?",
        "Express a sum of {amount} {base} in {target}.",
        "What are {amount} {base} worth in {target}?"),
    "convert_currency_with_fee": (
        "If the bank takes its fee, how much {target} do I get for {amount} {base}?",
        "Change {amount} {base} to {target} at a bank that charges a fee.",
        "After the exchange fee, what is left of {amount} {base} in {target}?",
        "I'm changing {amount} {base} into {target} at the counter, fee included. What do I end up "
        "with?",
        "What would a bank keep if I swapped {amount} {base} for {target}?",
        "{amount} {base} to {target} with the bank's commission, please.",
        "Count the commission too: {amount} {base} into {target}.",
        "How high is the fee when I turn {amount} {base} into {target}, and what remains?"),
}
DO = {
    "get_currency": (
        "look up which currency {currency_code} is", "find out which countries use {currency_code}",
        "tell me the full name of {currency_code}", "check where people pay with {currency_code}"),
    "get_exchange_rate": (
        "look up the exchange rate from {base} to {target}",
        "find the rate of {base} against {target}", "check how {base} stands against {target}",
        "quote {base} in terms of {target}"),
    "get_exchange_rate_list": (
        "list the rates of {base} against {targets}", "compare {base} with {targets}",
        "show the rates from {base} to each of {targets}", "quote {base} against all of {targets}"),
    "convert_currency": (
        "convert {amount} from {base} to {target}",
        "work out how much {amount} in {base} is in {target}",
        "change a sum of {amount} from {base} into {target}",
        "tell me what {amount} in {base} would be in {target}"),
    "convert_currency_with_fee": (
        "change {amount} from {base} to {target} at a bank that takes a fee",
        "work out what {amount} in {base} gives in {target} after the bank's fee",
        "calculate the fee for changing {amount} from {base} into {target}",
        "convert {amount} from {base} to {target}, commission included"),
}
TELL = {
    "get_currency": (
        "{currency_code} is the {currency}, used in {countries}.",
        "{currency_code} stands for {currency}; it is the money of {countries}."),
    "get_exchange_rate": ("One {base} is {rate} {target}.",
                          "The rate from {base} to {target} is {rate}."),
    "get_exchange_rate_list": ("One {base} buys {rates}.", "The rates of {base} are {rates}."),
    "convert_currency": ("That is {amount} {currency_code}.",
                         "You would get {amount} {currency_code}."),
    "convert_currency_with_fee": (
        "You get {amount} {currency_code} after a fee of {fee}.",
        "The bank keeps {fee}, which leaves {amount} {currency_code}."),
}
EXTRA = {
    "convert_currency_with_fee.fee_percent": (
        "The bank's fee is {fee_percent} percent.", "The bank charges {fee_percent} percent.",
        "Reckon with a commission of {fee_percent} percent."),
}
_CODES = tuple(CURRENCIES)
VALUES = {
    "currency_code": _CODES, "base": _CODES, "target": _CODES, "targets": some(_CODES),
    "amount": numbers(5, 9000), "fee_percent": (0.5, 1, 1.5, 2.5, 3, 3.5, 4, 5, 6, 7.5)}
