"""The executable tools of the laptop's ToolEyes: a file per category, its facts, then its tools.

A tool is a public function of its file. `toolbox.execute` makes the tool's schema from the
function, so the function holds all that a model is told about the tool:
- the annotations give the types of the parameters, and a parameter with a default is optional;
- the docstring is a sentence, a blank line, and a line `parameter: what it is` for each parameter.

A tool is pure: the same arguments give the same result in every process, and booking a seat
changes nothing. A tool returns a JSON object with a few facts. A later call can take a fact over
as an argument: wherever that reads well, the key of the fact is the name of the parameter
(`flight_id`, `email`, `city`).

A tool raises `Refusal` for a value that it does not accept. A tool does not check types: a number
where text should be breaks it, as it would break a real tool. A tool is bounded all the same: the
helpers below refuse a long text or a large number before the tool computes with it.

The names of cities, countries and currencies are real and their figures about right. All else is
made up.
"""

import datetime
import zlib


class Refusal(ValueError):
    """A tool does not accept a value; the message says why."""


def table(columns, *rows):
    """{first value of a row: {column: value} of that row}, for all rows."""
    return {row[0]: dict(zip(columns.split(), row, strict=True)) for row in rows}


def keyed(column, rows):
    """{value of a column: row} of rows that are dicts."""
    return {row[column]: row for row in rows}


def find(rows, key, kind):
    """The row of a table under a key, in capital or small letters. Raises Refusal for no row."""
    return rows[choose(rows, key, kind)]


def choose(options, text, kind):
    """The option that a text names, in capital or small letters. Raises Refusal for no option."""
    wanted = text.strip().casefold()
    for option in options:
        if option.casefold() == wanted:
            return option
    raise Refusal(f"Unknown {kind} '{text:.40}'.")


def pick(row, columns):
    """{column: value} of some columns of a row, in the order of `columns`."""
    return {column: row[column] for column in columns.split()}


def between(value, low, high, name):
    """The number, if it lies between low and high, both included. Raises Refusal."""
    if not low <= value <= high:
        raise Refusal(f"{name} must be between {low} and {high}.")
    return value


def whole(value, low, high, name):
    """The number as an int, if it is whole and lies between low and high. Raises Refusal."""
    if not low <= value <= high or value % 1:
        raise Refusal(f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def filled(text, name, longest=500):
    """The text without space around it. Raises Refusal for an empty or a long text."""
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise Refusal(f"{name} must have 1 to {longest} characters.")
    return text


def several(values, name, most=20):
    """The values as a list. Raises Refusal for no value and for too many."""
    if not 1 <= len(values) <= most:
        raise Refusal(f"{name} must have 1 to {most} items.")
    return list(values)


def day(text):
    """The date in a text YYYY-MM-DD. Raises Refusal for another text or a year far from ours."""
    try:
        found = datetime.date.fromisoformat(text.strip())
    except ValueError:
        raise Refusal(f"Invalid date '{text:.40}', expected YYYY-MM-DD.") from None
    between(found.year, 1900, 2100, "year")
    return found


def varied(choices, *key):
    """One of the choices, drawn by a checksum of the key.

    Every process draws the same choice for the same key; with `hash` it would not.
    """
    return choices[zlib.crc32(repr(key).encode()) % len(choices)]


def code(letter, *key):
    """A confirmation code such as B4711, drawn by the key."""
    return f"{letter}{varied(range(1000, 10000), *key)}"


def tidy(value, digits=2):
    """A number, rounded; a whole number becomes an int, so that people read 3 and not 3.0."""
    value = round(value, digits)
    return int(value) if value == int(value) else value
