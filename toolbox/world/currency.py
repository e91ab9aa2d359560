"""Currencies and their rates."""

from toolbox.world import between, find, several, table, tidy
from toolbox.world.geography import COUNTRIES

CURRENCIES = table(  # rate: how many of it one US dollar buys
    "currency_code currency rate",
    ("USD", "US dollar", 1), ("EUR", "euro", 0.92), ("GBP", "pound sterling", 0.79),
    ("NOK", "Norwegian krone", 10.6), ("SEK", "Swedish krona", 10.4), ("DKK", "Danish krone", 6.87),
    ("ISK", "Icelandic krona", 138), ("CHF", "Swiss franc", 0.88), ("CZK", "Czech koruna", 23.2),
    ("PLN", "Polish zloty", 3.95), ("EGP", "Egyptian pound", 47.5), ("KES", "Kenyan shilling", 130),
    ("ZAR", "South African rand", 18.4), ("INR", "Indian rupee", 83.3),
    ("JPY", "Japanese yen", 151), ("KRW", "South Korean won", 1350),
    ("AUD", "Australian dollar", 1.52), ("CAD", "Canadian dollar", 1.36),
    ("MXN", "Mexican peso", 17.1), ("PEN", "Peruvian sol", 3.75),
)


def _rate(base, target):
    start, end = find(CURRENCIES, base, "currency"), find(CURRENCIES, target, "currency")
    return start["currency_code"], end["currency_code"], end["rate"] / start["rate"]


def get_currency(currency_code: str) -> dict:
    """Get the name of a currency and the countries that use it.

    currency_code: code of three letters
    """
    row = find(CURRENCIES, currency_code, "currency")
    code = row["currency_code"]
    users = [country for country, facts in COUNTRIES.items() if facts["currency_code"] == code]
    return {"currency_code": code, "currency": row["currency"], "countries": users}


def get_exchange_rate(base: str, target: str) -> dict:
    """Get the exchange rate between two currencies.

    base: currency code to start from
    target: currency code to compare with
    """
    base, target, rate = _rate(base, target)
    return {"base": base, "target": target, "rate": tidy(rate, 4)}


def get_exchange_rate_list(base: str, targets: list[str]) -> dict:
    """Get the exchange rates of one currency to several others.

    base: currency code to start from
    targets: currency codes to compare with
    """
    rates = [_rate(base, target) for target in several(targets, "targets")]
    return {"base": rates[0][0], "rates": {target: tidy(rate, 4) for _, target, rate in rates}}


def convert_currency(amount: float, base: str, target: str) -> dict:
    """Convert an amount of money to another currency.

    amount: how much money
    base: currency code of the amount
    target: currency code to convert to
    """
    between(amount, 0, 10**9, "amount")
    _, target, rate = _rate(base, target)
    return {"amount": tidy(amount * rate), "currency_code": target}


def convert_currency_with_fee(amount: float, base: str, target: str,
                              fee_percent: float = 2.0) -> dict:
    """Convert money to another currency at a bank that takes a fee.

    amount: how much money
    base: currency code of the amount
    target: currency code to convert to
    fee_percent: share that the bank keeps
    """
    between(amount, 0, 10**9, "amount")
    fee = amount * between(fee_percent, 0, 50, "fee_percent") / 100
    _, target, rate = _rate(base, target)
    return {"fee": tidy(fee), "amount": tidy((amount - fee) * rate), "currency_code": target}
