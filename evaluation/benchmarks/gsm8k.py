"""GSM8K: 1,319 word problems of school mathematics (Cobbe et al., 2021).

The prompt shows the first eight examples of the training split. An answer is right if its number is
the gold's, as texts, without commas.
"""

import re
from itertools import islice

from data.turns import Turn
from evaluation.accuracy import Grade
from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.tasks import MissingFile, Task, get_field, read_lines
from plumbing.files import InputError, kind_of

EXAMPLES = 8
TRAINING = ("train.jsonl", "train_first8.jsonl")  # the whole split, or as much as is needed
AFTER_MARKS = re.compile(r"#### (-?[0-9.,]+)")    # as in the authors' code
# how the authors' released solutions end, a line of their own
AFTER_A = re.compile(r"^A: (-?[0-9.,]+)", re.MULTILINE)
# a minus sign after a letter, a digit or a bracket is a hyphen, or subtracts: 10-4, (3+7)-4
NUMBER = re.compile(r"(?:(?<![\w)])-)?\d[\d,]*(?:\.\d+)?")


def read_gsm8k(folder):
    """The Tasks of test.jsonl. Raises InputError naming the file and the line."""
    training = [folder / name for name in TRAINING if kind_of(folder / name)]
    if not training:
        raise MissingFile(f"{folder / TRAINING[0]}: no such file")
    shots = ""
    for question, answer in islice(read_pairs(training[0]), EXAMPLES):
        shots += f"{ask(question)} {answer}\n\n"
    tasks = []
    path = folder / "test.jsonl"
    for i, (question, answer) in enumerate(read_pairs(path)):
        gold = AFTER_MARKS.search(answer)
        if not gold:
            raise InputError(f"{path}: line {i + 1}: answer has no number after ####")
        tasks.append(Task(str(i), (), (Turn("user", shots + ask(question)),), (),
                          expected=gold[1].replace(",", "")))
    return tasks


def read_pairs(path):
    """Yield (question, answer) of each line of a file. Raises InputError."""
    for i, record in enumerate(read_lines(path), 1):
        where = f"{path}: line {i}"
        yield get_field(record, "question", str, where), get_field(record, "answer", str, where)


def ask(question):
    """A question, up to where its answer would stand."""
    return f"Question: {question}\nAnswer:"


def find_number(text):
    """The number that an answer gives, without commas; "" where there is none.

    It is the first after `####`, else the first after `A:`, else the last of all, where $18.00 is
    18. A model that goes on with another question has answered before it.

    >>> find_number("6 * 3 = 18\\n#### 1,018"), find_number("so 3 + 4 = 7, which is 7.")
    ('1018', '7')
    """
    answer = text.split("\nQuestion:", 1)[0]
    found = AFTER_MARKS.search(answer) or AFTER_A.search(answer)
    if found:
        return found[1].replace(",", "")
    numbers = NUMBER.findall(answer)
    return re.sub(r"\.0+$", "", numbers[-1].replace(",", "")) if numbers else ""


def grade(flags, tasks, texts):
    """A Grade for the number in each answer."""
    numbers = map(find_number, texts)
    return [Grade(number == task.expected, number)
            for task, number in zip(tasks, numbers, strict=True)]


BENCHMARK = Benchmark(
    name="gsm8k", kind="answers", read=read_gsm8k, grade=grade,
    source=Source("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c",
                  "grade_school_math/data", {
        "test.jsonl": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
        "train.jsonl": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    }))
