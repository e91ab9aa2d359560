"""A million hostile strings for the readers of texts: no error but ParseError, and the slowest.

    python -m tests.stress.fuzz_parser --count 1000000      # some minutes, one thread

The readers are `reward.parse_call`, strict and lenient, `call_formats.find_calls` for all forms of
calls, `call_formats.unread_mark`, the feedback's `classify`, the literals' `parse_literal` and
`parse_object`, and those of data/tagged.py.
"""

import argparse
import json
import random
import time
from collections import Counter
from contextlib import suppress

from data.feedback import classify
from data.literals import parse_literal, parse_object
from data.tagged import answer_in, calls_in, hidden_call, results_in, split_thought, tools_in
from data.tools import read_tools, write_call
from evaluation.call_formats import find_calls, unread_mark
from plumbing.files import InputError
from plumbing.flags import Parser, cli
from reward import ParseError, parse_call

PARAMETERS = {
    "search": ("query", "n", "exact"), "search_all": ("from", "code:"), "preferred-routes_get": (),
    "2v_x": ("return_err_outputpersistent=False", "return_err_output"), "f": tuple("abcdefgh")}
TOOLS = read_tools([{"name": name, "parameters": {"properties": dict.fromkeys(keys)}}
                    for name, keys in PARAMETERS.items()])
# Pieces of calls and values, and of what is none.
PIECES = [
    "(", ")", "[", "]", "{", "}", ",", "=", ":", '"', "'", '"""', "'''", "\\", "\\u00e9",
    "\\ud83d", "\\ude00", "\\x4", "\\N{DASH}", "-", "+", "*", "**", "/", "0", "1", "9" * 9,
    "1e308", "1e-320", ".5", "1_0", "0x1f", "true", "None", "nan", "word", "a=", "query=",
    "from=", "code:=", "f(", "search(", "2v_x(", "</s>", "Assistant:", "```", "\n", " ", "\t",
    "\r", "\0", "“", "”", "é", "😀", "\ud800", "#", ";", "**{}", "lambda x: x"]
# Pieces of the forms of calls that models write, and of feedback.
FORM_PIECES = [
    "<tools>", "</tools>", "<tool_response>", "</tool_response>", "✿FUNCTION✿: ",
    "✿ARGS✿: ", ">>>", "functions.", "<|message|>", '"args": ', '"tool": ',
    "<tool_call>", "</tool_call>", "<think>", "</think>", "[THINK]", "[/THINK]", "<plan>",
    "</plan>", "◁think▷", "<|begin_of_thought|>", "<|end_of_thought|>", "[TOOL_CALLS]", "[ARGS]",
    "[CALL_ID]", "<|python_tag|>", "<<function>>", "<functioncall>", "<function=",
    "<function=f>", "</function>",
    "<parameter=", "<parameter=a>", "</parameter>", '<invoke name="f">', "</invoke>",
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
    "```", "```json\n", "```tool_code\n", "print(", "x = ", "Call: ", "Thought: ", "Action: ",
    "Action Input: ", "Observation: ", "Output: ", "<tool_response>", "</tool_response>", "\n",
    '{"name": "f", "arguments": {"a": 1}}', '{"name": "f", "arguments": ', '{"tool_calls": [',
    '{"function": ', "'{", "}'", "{'name': 'search', 'parameters': {'n': None,}}", "f(a=1)",
    'search(query="x")', "search", "f", "{", "}", "[", "]", '"', "'", ",", ":", " ", "\\", "a",
    '{"error": ', '"isError": true', '{"message": "not found"', '{"content": [{"type": "text"',
    "MCP error -32602: ", "Error: ", "<error>", "</error>", "endpoint '", "“", "”", "1", "null",
    "search\n{", "<arg_key>", "<arg_key>a</arg_key>", "<arg_value>", "</arg_value>",
    "<tool_call>f\n", "content=", "TextContent(type='text', text='", "isError=True)", "<|im_end|>",
    "<|START_ACTION|>", "<|END_ACTION|>", '{"tool_name": "f", "parameters": ']


def read_chat_text(text):
    """Read a text as a system message, a turn of a tool and one of the assistant, in a chat."""
    with suppress(InputError):
        tools_in(text, "here")
    results_in(text)
    answer_in(text)
    split_thought(text)
    calls_in(text, TOOLS)
    hidden_call(text, TOOLS)


def read_literals(text):
    """Read a text as a literal and as an object."""
    parse_literal(text)
    parse_object(text)


READERS = {
    "strict": lambda text: parse_call(text, TOOLS, strict=True),
    "lenient": lambda text: parse_call(text, TOOLS),
    "all forms": lambda text: find_calls(text, TOOLS),
    "mark": lambda text: unread_mark(text, TOOLS),
    "feedback": lambda text: classify(text, "f", TOOLS),
    "literals": read_literals,
    "chat": read_chat_text,
}
READER_NAMES = ("strict", "lenient", "all forms", "all forms", "mark", "feedback", "literals",
                "chat")
# Pieces that, over and over, are deeply nested or could take a long time.
DEEP = [
    "[", "(", "{", '{"a":', "-", "+", "f(", "f(a=", "[[", "(1,", "1**", "9**9**", "2*", "1+",
    "1/", "\\", '"', "'", '"""', "'''", " ", "\n", "`", "a", "a ", "a.", "a(", "a\n", "a=",
    "a=1,", "1,", '"",', "[],", "{},", "(),", '"":0,', "\\u0041", "\\", "\\n", "9", "9_", "9.",
    "1e", "\t=", "Assistant:", "“", "x(),", "0.1-"]


def value(rng, depth):
    """A random value of a call's argument, nested up to `depth` deep."""
    kind = rng.randrange(8 if depth else 6)
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {rng.choice(PIECES): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return (None, True, rng.randrange(-9, 999), rng.random(), "".join(rng.choices(PIECES, k=3)),
            "love")[kind]


def call(rng):
    """A valid call."""
    tool = rng.choice(TOOLS)
    arguments = {p.name: value(rng, 3) for p in tool.parameters if rng.random() < 0.6}
    return write_call(tool.name, arguments)


def mutated(rng):
    """A valid call with up to five places deleted, doubled, replaced or reversed."""
    text = call(rng)
    for _ in range(rng.randint(1, 5)):
        i, j = sorted(rng.choices(range(len(text) + 1), k=2))
        j = min(j, i + 12)
        other = rng.choice(("", text[i:j] * 2, rng.choice(PIECES), text[i:j][::-1]))
        text = text[:i] + other + text[j:]
    return text


def repeated(rng, limit=4096):
    """Up to 4 KB of one or two pieces over and over, where a value or a call may stand."""
    unit = "".join(rng.choices(DEEP + FORM_PIECES, k=rng.randint(1, 3)))
    start = rng.choice(("", "f(a=", "f(", 'f(a="', "f(a=[", "f(a={", 'f(a={"a":', "f(a=1",
                        "search_all(code:=", "2v_x("))
    return (start + unit * limit)[:limit]


def noise(rng):
    """Up to 60 pieces, often after the start of a call."""
    start = rng.choice(("", "f(", "f(a=", "search(query=["))
    return start + "".join(rng.choices(PIECES, k=rng.randint(0, 60)))


def forms(rng):
    """Up to 40 pieces of forms, or a form in two of them."""
    return "".join(rng.choices(FORM_PIECES, k=rng.randint(1, 40)))


def tagged(rng):
    """A valid call, in Python's form or in JSON, within pieces of forms."""
    text = call(rng)
    if rng.random() < 0.5:
        arguments = {rng.choice(PIECES): value(rng, 2) for _ in range(rng.randrange(3))}
        text = json.dumps({"name": rng.choice(TOOLS).name, "arguments": arguments})
    before = "".join(rng.choices(FORM_PIECES, k=rng.randint(0, 5)))
    return before + text + "".join(rng.choices(FORM_PIECES, k=rng.randint(0, 5)))


def characters(rng):
    """Up to 80 random characters."""
    length = rng.randint(0, 80)
    return "".join(chr(rng.randrange(rng.choice((128, 0x300, 0x110000)))) for _ in range(length))


def draw(rng, number):
    """String `number`: most are short; one in twenty is 4 KB of repetition, the slowest kind."""
    make = repeated
    if number % 20:
        make = rng.choice((mutated, mutated, noise, characters, forms, forms, tagged, tagged))
    return make(rng)[:4096]


def cpu_seconds(text, reader):
    """Thread CPU time of one reading, and how it ended. Any error but ParseError goes through."""
    start = time.thread_time()
    try:
        found = READERS[reader](text)
        end = "a call" if getattr(found, "calls", True) else "no call"
    except ParseError as error:
        end = str(error).split(" at character")[0]
    return time.thread_time() - start, f"{reader}: {' '.join(end.split()[:3])}"


def main():
    """The command line; see the top of this file."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="strings to try")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    ends = Counter()
    slow = []
    began = time.time()
    for number in range(flags.count):
        text = draw(rng, number)
        reader = rng.choice(READER_NAMES)
        seconds, end = cpu_seconds(text, reader)
        ends[end] += 1
        if not slow or seconds > slow[-1][0]:
            slow = sorted([*slow, (seconds, text, reader)], reverse=True)[:5]
    print(f"{flags.count} strings in {time.time() - began:.0f} s, seed {flags.seed}: "
          "no exception but ParseError")
    print("ended in:", ", ".join(f"{end} {n}" for end, n in ends.most_common(20)))
    for seconds, text, reader in slow:
        # A busy machine adds to one measurement, seldom to each of five.
        again = min(cpu_seconds(text, reader)[0] for _ in range(5))
        print(f"slowest up to 4 KB: {1000 * seconds:.2f} ms of thread CPU time, the best of five "
              f"more {1000 * again:.2f} ms, {reader}, for {text[:32]!r}...")
    for unit in ("[", "(", "f(", '{"a":', "-", '"', "\\", " ", "\n"):
        for start in ("", "f(a="):
            text = (start + unit * 100_000)[:100_000]
            seconds = max(cpu_seconds(text, reader)[0] for reader in READER_NAMES)
            print(f"100 KB of {start + unit + '...'!r}: {1000 * seconds:.2f} ms")


if __name__ == "__main__":
    cli(main)
