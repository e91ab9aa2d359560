"""HumanEval: 164 functions to complete, judged by running their tests (Chen et al., 2021).

One greedy answer each: pass@1. Programs run with --execute only, see evaluation/programs.py.
Without it, and with --out, the answers are written down, to be run elsewhere.
"""

import gzip
import re
import zlib

from data.turns import Turn
from evaluation import programs
from evaluation.accuracy import Grade
from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.tasks import MissingFile, Task, get_field
from plumbing.files import InputError, kind_of, parse_json, read_bytes

# What ends the function that a model completes, as in the paper: it may go on with other code.
STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
INDENTED = re.compile(r"^[ \t]+\S", re.MULTILINE)


def read_humaneval(folder):
    """The Tasks of HumanEval.jsonl.gz. Raises InputError naming the file and the line."""
    path = folder / "HumanEval.jsonl.gz"
    if not kind_of(path):
        raise MissingFile(f"{path}: no such file")
    try:
        lines = gzip.decompress(read_bytes(path)).decode().strip().split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a gzip of UTF-8 text ({error})") from None
    tasks = []
    for i, line in enumerate(lines, 1):
        where = f"{path}: line {i}"
        record = parse_json(line, where)
        field = {key: get_field(record, key, str, where)
                 for key in ("task_id", "prompt", "test", "entry_point")}
        tasks.append(Task(
            field["task_id"], (), (Turn("user", field["prompt"]),), (),
            expected=f"{field['test']}\ncheck({field['entry_point']})"))
    return tasks


def make_program(task, text):
    """The program that tests an answer: the prompt, what goes on from it, and the tests.

    The answer goes on with the function's body, or has the whole function or its body in a fence of
    Markdown, as chats answer.
    """
    prompt = task.turns[-1].content
    name = task.expected.rpartition("\ncheck(")[2].removesuffix(")")
    definition = re.compile(rf"^def\s+{re.escape(name)}\s*\(", re.MULTILINE)
    blocks = list(FENCED.finditer(text))
    for block in blocks:
        if definition.search(block[1]):
            before = prompt[:prompt.rindex(f"def {name}(")]  # imports and helpers
            return f"{before}\n{block[1]}\n{task.expected}"
    if blocks and not INDENTED.search(text[:blocks[0].start()]):  # else the body stands before it
        lines = [line for line in blocks[0][1].split("\n") if line.strip()]
        if lines and INDENTED.match(lines[0]):
            text = blocks[0][1]
    ends = [text.find(stop) for stop in STOPS if stop in text]
    body = text[:min(ends)] if ends else text
    return f"{prompt}{body}\n{task.expected}"


def check(flags):
    """Raises InputError unless programs may run, or the answers are kept for running elsewhere."""
    if not flags.execute:
        if flags.predictions or not flags.out:
            raise InputError("--execute: only with this flag are programs run that a model wrote; "
                             "without it, name --out, where the answers are kept")
    elif not flags.unsafe:
        programs.check_namespaces()


def grade(flags, tasks, texts):
    """A Grade for each answer: the tests of its program pass."""
    written = [make_program(task, text) for task, text in zip(tasks, texts, strict=True)]
    outcomes = programs.run_all(written, flags.program_timeout, shut=not flags.unsafe)
    return [Grade(outcome == programs.PASSED, outcome) for outcome in outcomes]


BENCHMARK = Benchmark(
    name="humaneval", kind="answers", read=read_humaneval, check=check, grade=grade,
    flags=("execute", "unsafe", "program_timeout"),
    source=Source("openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d", "data", {
        "HumanEval.jsonl.gz": "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    }))
