"""Money: shares, loans, savings and the bill of a restaurant."""

from toolbox.world import between, find, pick, table, tidy, varied, whole

SHARES = table(
    "symbol company price sector",
    ("NWND", "Northwind Air", 84.2, "travel"), ("LUMN", "Lumen Light", 23.75, "industry"),
    ("VLTX", "Voltix", 310.4, "technology"), ("OAKL", "Oakline", 47.1, "retail"),
    ("SNRA", "Sonora Audio", 129.9, "technology"), ("HRTH", "Hearth Home", 15.35, "retail"),
    ("GLCR", "Glacier Energy", 66.8, "energy"), ("MRDN", "Meridian Bank", 52.6, "banking"),
    ("FJRD", "Fjord Fisheries", 9.45, "food"), ("CRNE", "Crane Robotics", 205, "technology"),
    ("ORCH", "Orchard Foods", 38.2, "food"), ("TRAM", "City Tram", 27.3, "transport"),
)


def get_share_price(symbol: str) -> dict:
    """Get the price of a share.

    symbol: code of four letters
    """
    return pick(find(SHARES, symbol, "symbol"), "symbol price")


def get_share_price_change(symbol: str, days: int = 7) -> dict:
    """Get by how much a share rose or fell.

    symbol: code of four letters
    days: over how many days, up to 30
    """
    row = find(SHARES, symbol, "symbol")
    days = whole(days, 1, 30, "days")
    percent = varied(range(-60, 90), row["symbol"], days) / 10
    return {"symbol": row["symbol"], "percent": tidy(percent),
            "direction": "up" if percent >= 0 else "down"}


def find_share(company: str) -> dict:
    """Find the symbol under which a company is traded.

    company: name of the company
    """
    companies = {row["company"]: row for row in SHARES.values()}
    return pick(find(companies, company, "company"), "symbol company sector")


def calculate_tip(bill: float, percent: float = 10) -> dict:
    """Calculate the tip on a bill.

    bill: amount of the bill
    percent: tip in percent
    """
    tip = between(bill, 0, 10**6, "bill") * between(percent, 0, 100, "percent") / 100
    return {"tip": tidy(tip), "total": tidy(bill + tip)}


def calculate_loan_payment(amount: float, rate: float, years: int) -> dict:
    """Calculate the monthly payment for a loan.

    amount: money borrowed
    rate: yearly interest in percent
    years: years until it is paid back
    """
    amount = between(amount, 1, 10**9, "amount")
    monthly = between(rate, 0, 50, "rate") / 1200
    months = 12 * whole(years, 1, 50, "years")
    if monthly > 1e-9:
        payment = amount * monthly / (1 - (1 + monthly) ** -months)
    else:
        payment = amount / months
    return {"monthly_payment": tidy(payment), "total": tidy(payment * months)}


def calculate_savings(amount: float, rate: float, years: int) -> dict:
    """Calculate what savings grow to with interest.

    amount: money put aside now
    rate: yearly interest in percent
    years: how many years
    """
    start = between(amount, 0, 10**9, "amount")
    final = start * (1 + between(rate, 0, 50, "rate") / 100) ** whole(years, 0, 80, "years")
    return {"final_amount": tidy(final), "interest": tidy(final - start)}
