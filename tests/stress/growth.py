"""Is the time of every reader of texts linear in the text? Growth exponents over hostile shapes.

    python -m tests.stress.growth              # every reader and shape: tens of minutes, one thread
    python -m tests.stress.growth --shapes 20  # the first 20 shapes

A shape is a mark that is repeated, bare or after the start of a call, a value or a block. A reader
is timed (CPU of the thread; again where it seems to grow) on 25 KB and on 200 KB of it;
the exponent is the logarithm of the times' ratio to the base of the lengths'. Texts that take under
2 ms are linear. Memory is that of tracemalloc's peak on 50 KB, as a multiple of the text.
"""

import argparse
import math
import time
import tracemalloc

from data.calls import ParseError
from plumbing.flags import Parser, cli
from tests.stress.fuzz_parser import DEEP, FORM_PIECES, READERS

SHORT = 25_000
LONG = 200_000
MEMORY_AT = 50_000
LINEAR = 1.15  # the largest exponent that passes
FAST = 0.002  # seconds; the clock tells little below it
MORE = ["def a((((", "f(a=\n", "f(a=1,\n", "f(a=“\n", "f(a=[{},\n", "g(a=1,\n", "f(a='\n",
        '{"a":[{},', "<a>", "</a>", "<a>f()\n</a>", "Action:\n", "Observation:\n", "[f(a=1)]",
        "f(a=1), ", "f(a=1)\n", "print(f(", "Assistant: ", "{'a': 1, ", "{},", "<body", "<pre>",
        "no a", "error: ", "not found ", "\r", "\u2028", "<|a|>", "\n \n", "code ", "%s",
        "could not ", "is not ", "expected ", "no such ", "error in ", "E: ", "a: ", "[x] ",
        "must be ", "-- ", "12:00 ", " | ", "a=1 ", "a(b=1), ", "a((b) ", '"name": "f", ']
STARTS = ("", "f(a=", '{"error": "', "content=")


def shapes():
    """All repeated marks, each once."""
    return list(dict.fromkeys([*DEEP, *FORM_PIECES, *MORE]))


def repeated(unit, start, length):
    """`length` characters of `unit` over and over, after `start`."""
    return (start + unit * (length // len(unit) + 1))[:length]


def seconds(reader, text, readings=1):
    """The least CPU time of some readings."""
    times = []
    for _ in range(readings):
        begin = time.thread_time()
        read(reader, text)
        times.append(time.thread_time() - begin)
    return min(times)


def read(reader, text):
    """Read a text; that it holds no call is no error."""
    try:
        READERS[reader](text)
    except ParseError:
        return


def peak(reader, text):
    """The peak of the memory that a reading takes, in texts."""
    tracemalloc.start()
    read(reader, text)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used / len(text.encode(errors="replace"))


def exponent(short, long):
    """The power of the length with which the time grows."""
    if long < FAST:
        return 0.0
    return math.log(long / max(short, FAST / 8)) / math.log(LONG / SHORT)


def measure(unit, start, reader):
    """(exponent, seconds for LONG characters, memory in texts, reader, shape) of one shape."""
    short_text = repeated(unit, start, SHORT)
    long_text = repeated(unit, start, LONG)
    long = seconds(reader, long_text)
    power = exponent(seconds(reader, short_text), long)
    for _ in range(5):  # a busy machine adds to one measurement, seldom to each of six
        if power > LINEAR:
            long = min(long, seconds(reader, long_text, readings=3))
            power = min(power, exponent(seconds(reader, short_text, readings=3), long))
    memory = peak(reader, repeated(unit, start, MEMORY_AT))
    return power, long, memory, reader, start + unit


def main():
    """The command line; see the top of this file."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, default=0, help="take the first N only; 0: all")
    parser.add_argument("--show", type=int, default=10, help="rows of each table")
    flags = parser.parse_args()
    units = shapes()[:flags.shapes or None]
    rows = []
    for unit in units:
        for start in STARTS:
            for reader in READERS:
                rows.append(measure(unit, start, reader))
    print(f"{len(units)} marks, {len(rows)} shapes and readers; above {LINEAR}: "
          f"{sum(row[0] > LINEAR for row in rows)}; above 20 texts of memory: "
          f"{sum(row[2] > 20 for row in rows)}")
    for title, column in (("exponent", 0), ("seconds", 1), ("memory", 2)):
        print(f"\nthe largest by {title}:")
        for power, long, memory, reader, shape in sorted(rows, key=lambda row: -row[column])[
                :flags.show]:
            print(f"  exponent {power:5.2f}  {1000 * long:8.1f} ms for 200 KB  "
                  f"{memory:5.1f} texts  {reader:<10} {shape[:40]!r}")


if __name__ == "__main__":
    cli(main)
