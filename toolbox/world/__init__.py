"""The world in which the embedded tools act: one file per category, its facts first, then its tools.

A tool is a public function of its file, and all that a model gets to know of it stands there: the types of
its parameters are the annotations, those with a default are optional, and the docstring is a sentence, a
blank line and a line `parameter: what it is` for each of them. `toolbox.execute` makes the schemas from that.

A tool is pure: the same arguments give the same result in every process, and booking a seat changes nothing.
It returns a JSON object with a few facts, of which a later call can use one, under the name of the parameter
that takes it wherever that reads well (`flight_id`, `email`, `city`). A value that it does not accept is a
`Refusal`. It does not look at types: a number where text should be breaks it, as it would break a real one.
Yet it is bounded: the helpers below refuse what is long or large before anything is made of it.

The names of cities, countries and currencies are real and their figures about right; all else is made up.
"""

import datetime
import zlib


class Refusal(ValueError):
    """What a tool tells a caller whose values it does not accept."""


def table(columns, *rows):
    """Facts as a dict: the first value of each row -> {column: value} of all of them."""
    return {row[0]: dict(zip(columns.split(), row, strict=True)) for row in rows}


def find(rows, key, kind):
    """The row of a table, whatever the case of the key. Refuses a key that is not there."""
    return rows[choose(rows, key, kind)]


def choose(options, text, kind):
    """The option that the text names, as it is written there. Refuses any other text."""
    wanted = text.strip().casefold()
    for option in options:
        if option.casefold() == wanted:
            return option
    raise Refusal(f"Unknown {kind} '{text:.40}'.")


def pick(row, columns):
    """Some columns of a row, in the order asked for."""
    return {column: row[column] for column in columns.split()}


def between(value, low, high, name):
    """The number, if it lies in the range."""
    if not low <= value <= high:
        raise Refusal(f"{name} must be between {low} and {high}.")
    return value


def whole(value, low, high, name):
    """The number as an int, if it is one and lies in the range."""
    if not low <= value <= high or value % 1:
        raise Refusal(f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def filled(text, name, longest=500):
    """The text without space around it, if something is left and it is not too long."""
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise Refusal(f"{name} must have 1 to {longest} characters.")
    return text


def several(values, name, most=20):
    """The values as a list, if there are any and not too many."""
    if not 1 <= len(values) <= most:
        raise Refusal(f"{name} must have 1 to {most} items.")
    return list(values)


def day(text):
    """The date written as YYYY-MM-DD. Refuses other texts, and years far from ours."""
    try:
        found = datetime.date.fromisoformat(text.strip())
    except ValueError:
        raise Refusal(f"Invalid date '{text:.40}', expected YYYY-MM-DD.") from None
    between(found.year, 1900, 2100, "year")
    return found


def varied(choices, *key):
    """One of the choices, the same one for the same key in every process (unlike `hash`)."""
    return choices[zlib.crc32(repr(key).encode()) % len(choices)]


def code(letter, *key):
    """A confirmation code such as B4711 for what the key describes."""
    return f"{letter}{varied(range(1000, 10000), *key)}"


def tidy(value, digits=2):
    """A number rounded for people: no .0 after a whole one."""
    value = round(value, digits)
    return int(value) if value == int(value) else value
