"""Is nothing executed that a model wrote? Hostile texts through every reader, under an audit hook.

    python -m tests.stress.audit --count 20000

The hook of the interpreter (sys.addaudithook) sees every compilation, execution, import, process,
file and socket. While the readers read there must be none of these.
"""

import argparse
import random
import sys
from collections import Counter
from contextlib import suppress

from data.calls import ParseError, parse_call
from data.feedback import classify
from data.literals import parse_object
from data.tools import read_tools
from evaluation.call_formats import FORMATS, read_calls, unread_mark
from reward import classify as name_errors
from reward import esm
from tests.conftest import TOOLS
from tests.stress.fuzz_parser import read_chat_text

SEEDS = (
    "__import__('os').system('true')", "get_weather(city=open('/etc/passwd').read())",
    "get_news(topic=(lambda: exec('import os'))())", 'get_news\n{"topic": "!!python/object"}',
    "Action: get_news\nAction Input: {\"topic\": __import__('os')}", "```python\neval('1')\n```",
    '[{"name": "get_news", "arguments": {"topic": "${jndi:ldap://x}"}}]', "get_news(**globals())",
    "get_news(topic=f'{open(0)}')", "get_weather(city=\"Oslo\", days=2**9**9)", "{'a': exit()}",
    "cos\nsystem\n(S'true'\ntR.", "<tool_call>{\"name\": \"get_news\"}</tool_call>",
    "Result(content=__import__('os').system('true'), is_error=True)",
    "get_news(topic=[x for x in ().__class__.__bases__[0].__subclasses__()])")
GOLD = 'get_news(topic="cats")'
READERS = {
    "strict": lambda text: parse_call(text, OFFERED, strict=True),
    "lenient": lambda text: parse_call(text, OFFERED),
    "feedback": lambda text: classify(text, "get_news", OFFERED),
    "object": parse_object,
    "reward": lambda text: name_errors(text, GOLD, OFFERED),
    "esm": lambda text: esm(text, GOLD, OFFERED),
    "mark": lambda text: unread_mark(text, OFFERED),
    "chat": read_chat_text,
}
for form in FORMATS:
    READERS[form] = lambda text, form=form: read_calls(text, OFFERED, form)
OFFERED = read_tools(TOOLS)


def hostile_text(rng):
    """One of SEEDS, or pieces of several, with some characters exchanged."""
    text = "".join(rng.choice(SEEDS)[rng.randrange(9):] for _ in range(rng.choice((1, 1, 2, 3))))
    marks = list(text)
    for _ in range(rng.choice((0, 1, 5))):
        marks[rng.randrange(len(marks))] = rng.choice("()[]{}'\"\\=,:\n\t`“*\0é")
    return "".join(marks)


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    events = Counter()
    is_reading = False

    def hook(event, arguments):
        if is_reading and event != "object.__getattr__":
            events[event] += 1

    for _ in range(200):  # imports and caches that the first texts fill
        text = hostile_text(rng)
        for read in READERS.values():
            with suppress(ParseError):
                read(text)
    sys.addaudithook(hook)
    is_reading = True
    compile("1", "", "eval")
    assert events.pop("compile") == 1  # the hook sees what it is there for
    is_reading = False
    for _ in range(flags.count):
        text = hostile_text(rng)
        for read in READERS.values():
            is_reading = True
            try:
                read(text)
            except ParseError:
                pass
            finally:
                is_reading = False
    print(f"{flags.count} texts through {len(READERS)} readers: {events.total()} events "
          f"{dict(events)}")
    sys.exit(bool(events))


if __name__ == "__main__":
    main()
