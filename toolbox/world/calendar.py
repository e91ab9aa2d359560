"""Dates and public holidays."""

from datetime import date as Date
from datetime import timedelta

from toolbox.world import Refusal, choose, day, find, table, whole
from toolbox.world.geography import COUNTRIES
from toolbox.world.weather import DAYS, MONTHS

HOLIDAYS = table(  # those on a fixed date; no country: everywhere
    "holiday month day country",
    ("New Year's Day", 1, 1, ""), ("Labour Day", 5, 1, ""), ("Christmas Day", 12, 25, ""),
    ("Republic Day", 1, 26, "India"), ("Australia Day", 1, 26, "Australia"),
    ("Saint Patrick's Day", 3, 17, "Ireland"), ("Liberation Day", 4, 25, "Italy"),
    ("Freedom Day", 4, 27, "South Africa"), ("Constitution Day", 5, 17, "Norway"),
    ("Flag Day", 6, 6, "Sweden"), ("Portugal Day", 6, 10, "Portugal"),
    ("Canada Day", 7, 1, "Canada"), ("Independence Day", 7, 4, "United States"),
    ("Bastille Day", 7, 14, "France"), ("Swiss National Day", 8, 1, "Switzerland"),
    ("Mountain Day", 8, 11, "Japan"), ("Unity Day", 10, 3, "Germany"),
    ("Hispanic Day", 10, 12, "Spain"),
)


def _workday(date):
    return date.weekday() < 5


def get_weekday(date: str) -> dict:
    """Get the day of the week of a date.

    date: date as YYYY-MM-DD
    """
    date = day(date)
    return {"date": str(date), "day": DAYS[date.weekday()], "is_weekend": not _workday(date)}


def add_days(date: str, days: int) -> dict:
    """Get the date a number of days after another.

    date: first date as YYYY-MM-DD
    days: days to add, negative to go back
    """
    date = day(date) + timedelta(days=whole(days, -3650, 3650, "days"))
    return {"date": str(date), "day": DAYS[date.weekday()]}


def count_days(start_date: str, end_date: str) -> dict:
    """Count the days from one date to another.

    start_date: first date as YYYY-MM-DD
    end_date: last date as YYYY-MM-DD
    """
    days = (day(end_date) - day(start_date)).days
    return {"days": days, "weeks": days // 7}


def count_workdays(start_date: str, end_date: str) -> dict:
    """Count the working days between two dates, both included.

    start_date: first date as YYYY-MM-DD
    end_date: last date as YYYY-MM-DD
    """
    start, end = day(start_date), day(end_date)
    span = (end - start).days
    if not 0 <= span <= 3650:
        raise Refusal("end_date must be after start_date, by ten years at most.")
    return {"workdays": sum(_workday(start + timedelta(days=number)) for number in range(span + 1))}


def get_holiday(holiday: str, year: int) -> dict:
    """Get the date of a public holiday in a year.

    holiday: name of the holiday
    year: year from 1900 to 2100
    """
    row = find(HOLIDAYS, holiday, "holiday")
    date = Date(whole(year, 1900, 2100, "year"), row["month"], row["day"])
    return {"holiday": row["holiday"], "date": str(date), "day": DAYS[date.weekday()]}


def list_holidays(country: str, month: str = "") -> dict:
    """List the public holidays of a country.

    country: name of the country
    month: name of the only month to list
    """
    country = choose(COUNTRIES, country, "country")
    months = (MONTHS.index(choose(MONTHS, month, "month")) + 1,) if month else range(1, 13)
    found = [row["holiday"] for row in HOLIDAYS.values()
             if row["country"] in ("", country) and row["month"] in months]
    return {"country": country, "holidays": found}
