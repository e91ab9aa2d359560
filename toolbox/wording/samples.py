"""Random argument values that no table of toolbox/world holds: numbers, dates, people, lists."""

from datetime import date, timedelta

from toolbox.world import tidy

PEOPLE = (
    "Alice Moore", "Amara Okoye", "Anders Vik", "Aisha Khan", "Bruno Alves", "Chloe Martin",
    "Daniel Reyes", "Dora Kovacs", "Edith Wong", "Emil Sorensen", "Fatima Zahra", "Felix Bauer",
    "Gita Rao", "Hannah Price", "Hugo Lambert", "Ida Nilsen", "Ivan Horvat", "Jasmine Ford",
    "Jonas Weber", "Julia Santos", "Kofi Mensah", "Laura Bianchi", "Leo Fraser", "Lucia Mendez",
    "Marta Nowak", "Max Schneider", "Mei Chen", "Noah Fischer", "Nadia Rahman", "Omar Farouk",
    "Oscar Lindgren", "Paula Gomez", "Priya Nair", "Rafael Cruz", "Sara Jensen", "Sofia Keller",
    "Theo Walker", "Tomas Dvorak", "Uma Pillai", "Victor Ivanov", "Wendy Clark", "Yara Haddad",
    "Zoe Hughes", "Kenji Mori", "Lena Virtanen", "Peter O'Neill", "Marie Dupont", "Stella Rizzo")


def numbers(low, high, digits=2):
    """A function rng -> a number from low to high: often a whole one, else with `digits` digits."""
    def draw(rng):
        if rng.random() < 0.6:
            return rng.randint(low, high)
        return tidy(rng.uniform(low, high), digits)

    return draw


def whole_numbers(low, high):
    """A function rng -> a list of two to four whole numbers from low to high."""
    def draw(rng):
        return [rng.randint(low, high) for _ in range(rng.randint(2, 4))]

    return draw


def dates(first="2026-01-01", last="2027-12-31"):
    """A function rng -> a date YYYY-MM-DD from the first to the last."""
    start = date.fromisoformat(first)
    span = (date.fromisoformat(last) - start).days

    def draw(rng):
        return str(start + timedelta(days=rng.randint(0, span)))

    return draw


def some(options, least=2, most=4):
    """A function rng -> a list of `least` to `most` different options."""
    def draw(rng):
        return rng.sample(options, rng.randint(least, most))

    return draw
