"""Ways to draw argument values that no table of the world holds: numbers, dates, people, lists."""

from datetime import date, timedelta

from toolbox.world import tidy

PEOPLE = (
    "Alice Moore", "Amara Okoye", "Anders Vik", "Aisha Khan", "Bruno Alves", "Chloe Martin", "Daniel Reyes",
    "Dora Kovacs", "Edith Wong", "Emil Sorensen", "Fatima Zahra", "Felix Bauer", "Gita Rao", "Hannah Price",
    "Hugo Lambert", "Ida Nilsen", "Ivan Horvat", "Jasmine Ford", "Jonas Weber", "Julia Santos", "Kofi Mensah",
    "Laura Bianchi", "Leo Fraser", "Lucia Mendez", "Marta Nowak", "Max Schneider", "Mei Chen", "Noah Fischer",
    "Nadia Rahman", "Omar Farouk", "Oscar Lindgren", "Paula Gomez", "Priya Nair", "Rafael Cruz",
    "Sara Jensen", "Sofia Keller", "Theo Walker", "Tomas Dvorak", "Uma Pillai", "Victor Ivanov",
    "Wendy Clark", "Yara Haddad", "Zoe Hughes", "Kenji Mori", "Lena Virtanen", "Peter O'Neill",
    "Marie Dupont", "Stella Rizzo")


def numbers(low, high, digits=2):
    """A function rng -> a number from low to high, often a whole one, else with some digits."""
    return lambda rng: rng.randint(low, high) if rng.random() < 0.6 else tidy(rng.uniform(low, high), digits)


def dates(first="2026-01-01", last="2027-12-31"):
    """A function rng -> a date YYYY-MM-DD from the first to the last."""
    start, span = date.fromisoformat(first), (date.fromisoformat(last) - date.fromisoformat(first)).days
    return lambda rng: str(start + timedelta(days=rng.randint(0, span)))


def some(options, least=2, most=4):
    """A function rng -> a list of different options, two to four of them by default."""
    return lambda rng: rng.sample(options, rng.randint(least, most))
