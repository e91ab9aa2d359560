"""Wording for the calendar: weekdays, spans of days, and public holidays."""

from toolbox.wording.samples import dates
from toolbox.world.calendar import HOLIDAYS
from toolbox.world.geography import COUNTRIES
from toolbox.world.weather import MONTHS

ASK = {
    "get_weekday": (
        "What day of the week is {date}?", "Is {date} on a weekend?",
        "On which weekday does {date} fall?", "Weekday of {date}, please.",
        "I was offered a slot on {date}. Is that a Monday or what?",
        "Tell me whether {date} is a Saturday or a Sunday.", "{date}: which day of the week?",
        "My party is on {date}; what weekday will that be?"),
    "add_days": (
        "What date is {days} days after {date}?",
        "Which date do I get when I go {days} days on from {date}?",
        "Count {days} days forward from {date}.", "{date} plus {days} days, please.",
        "I posted it on {date} and it takes {days} days. When does it arrive?",
        "My trial begins on {date} and lasts {days} days. On what date does it end?",
        "Starting on {date}, where am I {days} days later?", "Move {date} ahead by {days} days."),
    "count_days": (
        "How many days are there from {start_date} to {end_date}?",
        "How long is it from {start_date} until {end_date}, in days?",
        "Days between {start_date} and {end_date}, please.",
        "I leave on {start_date} and return on {end_date}. How many days am I away?",
        "Number of days from {start_date} up to {end_date}?",
        "It is {start_date}. How many days must I wait for {end_date}?",
        "How many weeks lie between {start_date} and {end_date}?",
        "Measure the time from {start_date} to {end_date} in days."),
    "count_workdays": (
        "How many working days are there from {start_date} to {end_date}?",
        "Weekends left out, how many days lie between {start_date} and {end_date}?",
        "Working days between {start_date} and {end_date}, please.",
        "My contract runs from {start_date} to {end_date}. How many days do I have to go to work?",
        "How many days is the office open from {start_date} until {end_date}?",
        "Tell me the business days from {start_date} to {end_date}.",
        "From {start_date} up to {end_date}, what's the number of business days?",
        "Only weekdays: how many from {start_date} to {end_date}?"),
    "get_holiday": (
        "When is {holiday} in {year}?", "On what date does {holiday} fall in {year}?",
        "Date of {holiday} {year}, please.",
        "What day of the week is {holiday} in the year {year}?",
        "I want to be home for {holiday} in {year}. When is that?",
        "Tell me when they celebrate {holiday} in {year}.", "Look up {holiday} for {year}.",
        "Is {holiday} on a weekend in {year}?"),
    "list_holidays": (
        "Which public holidays does {country} have?",
        "When are the shops closed in {country}? Name the public holidays.",
        "Public holidays of {country}, please.", "What bank holidays are there in {country}?",
        "I'm moving to {country}. Which days off will I get?",
        "Name the official holidays in {country}.",
        "On what occasions is there no work in {country}?",
        "Give me a list of the national days off in {country}."),
}
DO = {
    "get_weekday": (
        "find out what day of the week {date} is", "check whether {date} is on a weekend",
        "look up the weekday of {date}", "tell me on which weekday {date} falls"),
    "add_days": (
        "find the date that is {days} days after {date}", "move {date} ahead by {days} days",
        "go {days} days on from {date} and give the date",
        "work out the date {days} days later than {date}"),
    "count_days": (
        "count how many days lie between {start_date} and {end_date}",
        "find out how long it is from {start_date} to {end_date}",
        "work out the number of days from {start_date} until {end_date}",
        "tell me how many weeks there are from {start_date} to {end_date}"),
    "count_workdays": (
        "count the working days from {start_date} to {end_date}",
        "find out how many business days lie between {start_date} and {end_date}",
        "work out how many weekdays there are from {start_date} until {end_date}",
        "tell me how many days one has to work between {start_date} and {end_date}"),
    "get_holiday": (
        "find out when {holiday} is in {year}", "look up the date of {holiday} in {year}",
        "check on which day {holiday} falls in {year}",
        "tell me when people celebrate {holiday} in {year}"),
    "list_holidays": (
        "list the public holidays of {country}",
        "find out which public holidays there are in {country}",
        "name the official days off in {country}", "look up the bank holidays in {country}"),
}
TELL = {
    "get_weekday": ("{date} is a {day}.", "That day is a {day}."),
    "add_days": ("It is {date}, a {day}.", "That takes you to {date}, a {day}."),
    "count_days": (
        "There are {days} days between them ({weeks} weeks).",
        "It is {days} days, or {weeks} full weeks.",
        "From {start_date} to {end_date} it is {days} days ({weeks} weeks)."),
    "count_workdays": (
        "There are {workdays} working days.",
        "From {start_date} to {end_date} it is {workdays} working days."),
    "get_holiday": ("{holiday} is on {date}, a {day}.", "It falls on {day}, {date}."),
    "list_holidays": ("The public holidays in {country} are {holidays}.",
                      "{country} has {holidays}."),
}
NONE = {
    "list_holidays": (
        "I know of no public holiday there in that time.", "{country} has no public holiday then."),
}
EXTRA = {
    "list_holidays.month": (
        "I only mean the holidays in {month}.", "Just the month of {month}, please.",
        "Limit the holidays to {month}."),
}
VALUES = {
    "date": dates(), "days": range(3, 200), "start_date": dates(last="2026-12-31"),
    "end_date": dates(first="2027-01-01"), "holiday": tuple(HOLIDAYS), "year": range(2024, 2041),
    "country": tuple(COUNTRIES), "month": MONTHS}
