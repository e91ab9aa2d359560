"""A million hostile strings for `reward.parse_call`: nothing but ParseError, and how long the slowest took.

    python -m tests.stress.fuzz_parser --count 1000000      # about a minute, one thread
"""

import random
import time
from collections import Counter

import data
from data.tools import read_tools, write_call
from reward import ParseError, parse_call

TOOLS = read_tools([{"name": name, "parameters": {"properties": dict.fromkeys(keys)}} for name, keys in {
    "search": ("query", "n", "exact"), "search_all": ("from", "code:"), "preferred-routes_get": (),
    "2v_x": ("return_err_outputpersistent=False", "return_err_output"), "f": tuple("abcdefgh")}.items()])
PIECES = ["(", ")", "[", "]", "{", "}", ",", "=", ":", '"', "'", '"""', "'''", "\\", "\\u00e9", "\\ud83d",
          "\\ude00", "\\x4", "\\N{DASH}", "-", "+", "*", "**", "/", "0", "1", "9" * 9, "1e308", "1e-320",
          ".5", "1_0", "0x1f", "true", "None", "nan", "word", "a=", "query=", "from=", "code:=", "f(",
          "search(", "2v_x(", "</s>", "Assistant:", "```", "\n", " ", "\t", "\r", "\0", "“", "”", "é", "😀",
          "\ud800", "#", ";", "**{}", "lambda x: x"]
DEEP = ["[", "(", "{", '{"a":', "-", "+", "f(", "f(a=", "[[", "(1,", "1**", "9**9**", "2*", "1+", "1/", "\\",
        '"', "'", '"""', "'''", " ", "\n", "`", "a", "a ", "a.", "a(", "a\n", "a=", "a=1,", "1,", '"",',
        "[],", "{},", "(),", '"":0,', "\\u0041", "\\", "\\n", "9", "9_", "9.", "1e", "\t=", "Assistant:", "“",
        "x(),", "0.1-"]


def value(rng, depth):
    kind = rng.randrange(8 if depth else 6)
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {rng.choice(PIECES): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return (None, True, rng.randrange(-9, 999), rng.random(), "".join(rng.choices(PIECES, k=3)), "love")[kind]


def call(rng):
    tool = rng.choice(TOOLS)
    return write_call(tool.name, {p.name: value(rng, 3) for p in tool.parameters if rng.random() < 0.6})


def mutated(rng):
    """A valid call with up to five places deleted, doubled, replaced or swapped."""
    text = call(rng)
    for _ in range(rng.randint(1, 5)):
        i, j = sorted(rng.choices(range(len(text) + 1), k=2))
        j = min(j, i + 12)
        text = text[:i] + rng.choice(("", text[i:j] * 2, rng.choice(PIECES), text[i:j][::-1])) + text[j:]
    return text


def repeated(rng, limit=4096):
    """Up to 4 KB of one or two pieces over and over, where a value or a call may stand."""
    unit = "".join(rng.choices(DEEP, k=rng.randint(1, 2)))
    start = rng.choice(("", "f(a=", "f(", 'f(a="', "f(a=[", "f(a={", 'f(a={"a":', "f(a=1",
                        "search_all(code:=", "2v_x("))
    return (start + unit * limit)[:limit]


def noise(rng):
    return rng.choice(("", "f(", "f(a=", "search(query=[")) + "".join(rng.choices(PIECES,
                                                                                  k=rng.randint(0, 60)))


def characters(rng):
    return "".join(chr(rng.randrange(rng.choice((128, 0x300, 0x110000)))) for _ in range(rng.randint(0, 80)))


def cpu_seconds(text, strict):
    """Thread CPU time of one parse, and how it ended. Any exception but ParseError goes through."""
    start = time.thread_time()
    try:
        parse_call(text, TOOLS, strict)
        end = "a call"
    except ParseError as error:
        end = str(error).split(" at character")[0]
    return time.thread_time() - start, " ".join(end.split()[:3])


def main():
    parser = data.Parser(description=__doc__, formatter_class=data.argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="strings to try")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, ends, slow, began = random.Random(args.seed), Counter(), [], time.time()
    for i in range(args.count):
        # most are short; one in twenty is 4 KB of repetition, the slowest kind
        make = repeated if i % 20 == 0 else rng.choice((mutated, mutated, mutated, noise, characters))
        text = make(rng)[:4096]
        strict = rng.random() < 0.5
        seconds, end = cpu_seconds(text, strict)
        ends[end] += 1
        slow = sorted([*slow, (seconds, text, strict)], reverse=True)[:5]
    seconds = time.time() - began
    print(f"{args.count} strings in {seconds:.0f} s, seed {args.seed}: no exception but ParseError")
    print("ended in:", ", ".join(f"{end} {n}" for end, n in ends.most_common(12)))
    for seconds, text, strict in slow:  # a busy machine adds to one measurement, seldom to each of five
        again = min(cpu_seconds(text, strict)[0] for _ in range(5))
        print(f"slowest up to 4 KB: {1000 * seconds:.2f} ms of thread CPU time, the best of five more "
              f"{1000 * again:.2f} ms, for {text[:32]!r}...")
    for unit in ("[", "(", "f(", '{"a":', "-", '"', "\\", " ", "\n"):
        for start in ("", "f(a="):
            text = (start + unit * 100_000)[:100_000]
            seconds = max(cpu_seconds(text, strict)[0] for strict in (True, False))
            print(f"100 KB of {start + unit + '...'!r}: {1000 * seconds:.2f} ms")


if __name__ == "__main__":
    data.cli(main)
