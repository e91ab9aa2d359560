"""MMLU: 14,042 questions with four choices, of 57 subjects (Hendrycks et al., 2021).

The prompt is that of the authors' evaluation: five examples of the same subject, then the question;
the model's answer is the likeliest of the four letters. The authors' repository holds no data, so
the files are another repository's copy; `mmlu.sha256` has their hashes, as `sha256sum` writes them.
"""

import csv
import io
from pathlib import Path

from data.turns import Turn
from evaluation.accuracy import Grade
from evaluation.benchmarks.entry import Benchmark, Source
from evaluation.choices import LETTERS
from evaluation.tasks import MissingFile, Task
from plumbing.files import InputError, kind_of, read_bytes

COLUMNS = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
EXAMPLES = 5
HASHES = Path(__file__).with_name("mmlu.sha256")


def read_mmlu(folder):
    """The Tasks of all subjects that stand in the folder, in the order of their names.

    Raises InputError naming the file and the row.
    """
    files = sorted((folder / "test").glob("*_test.csv"))
    if not files:
        raise MissingFile(f"{folder / 'test'}: no such file")
    tasks = []
    for path in files:
        subject = path.name.removesuffix("_test.csv")
        examples = read_rows(folder / "dev" / f"{subject}_dev.csv")[:EXAMPLES]
        shots = header(subject) + "".join(f"{ask(row)} {row[-1]}\n\n" for row in examples)
        for i, row in enumerate(read_rows(path)):
            tasks.append(Task(f"{subject}/{i}", (), (Turn("user", shots + ask(row)),), (),
                              group=subject, expected=row[-1]))
    return tasks


def read_rows(path):
    """[question, four choices, letter] of each row of a file. Raises InputError."""
    if not kind_of(path):
        raise MissingFile(f"{path}: no such file")
    try:
        text = read_bytes(path).decode("utf-8-sig")  # line breaks within a field stay as they are
        names, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError) as error:  # ValueError: no UTF-8, or an empty file
        raise InputError(f"{path}: no table of comma-separated values ({error})") from None
    if names != COLUMNS:
        raise InputError(f"{path}: the first line must be {','.join(COLUMNS)}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(COLUMNS) or row[-1] not in ("0", "1", "2", "3"):
            raise InputError(f"{path}: row {number}: not a question, four choices and an answer "
                             "from 0 to 3")
        row[-1] = LETTERS[int(row[-1])]
    return rows


def header(subject):
    """What stands before the examples; the authors' code has two spaces before the subject."""
    name = "".join(f" {word}" for word in subject.split("_"))
    return f"The following are multiple choice questions (with answers) about {name}.\n\n"


def ask(row):
    """A question with its choices, up to where the letter would stand."""
    question, *choices, _ = row
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True)]
    return "\n".join([question, *lines, "Answer:"])


def grade(flags, tasks, texts):
    """A Grade for the letter that was chosen in each task."""
    return [Grade(text == task.expected, text) for task, text in zip(tasks, texts, strict=True)]


def read_hashes():
    """{path below the folder of the data: sha256}."""
    hashes = {}
    for line in HASHES.read_text(encoding="utf-8").splitlines():
        sha256, _, path = line.partition("  ")
        hashes[path] = sha256
    return hashes


BENCHMARK = Benchmark(
    name="mmlu", kind="choices", read=read_mmlu, grade=grade,
    source=Source("HaeChan0305/MLILAB-FedLLM", "d92730e8bacd7b3a61e551e015e40588e10234b4",
                  "data/mmlu", read_hashes()))
