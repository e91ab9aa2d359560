"""The one list of benchmarks. A new one is a file in this folder and its place in ENTRIES.

From the entries follow the choices of `evaluate.py --bench`, which flags fit which benchmark, what
is said about a missing file, what evaluation/download.py fetches, and `python -m
evaluation.benchmarks`. CONTRIBUTING.md shows how to add one.
"""

from evaluation.benchmarks import (
    bfcl,
    embedded,
    gsm8k,
    humaneval,
    mmlu,
    no_tool,
    own,
    rotbench,
    toolalpaca,
    toolbox,
    tooleyes,
    transcripts,
)
from plumbing.files import InputError

ENTRIES = (
    embedded.BENCHMARK,
    no_tool.BENCHMARK,
    own.BENCHMARK,
    toolalpaca.BENCHMARK,
    rotbench.BENCHMARK,
    bfcl.BENCHMARK,
    toolbox.BENCHMARK,
    tooleyes.BENCHMARK,
    transcripts.BENCHMARK,
    mmlu.BENCHMARK,
    gsm8k.BENCHMARK,
    humaneval.BENCHMARK,
)
BENCHMARKS = {entry.name: entry for entry in ENTRIES}
WITH_TASKS = [entry.name for entry in ENTRIES if entry.kind != "transcripts"]


def read_tasks(name, folder=None, level="clean", turn="first"):
    """The Tasks of the benchmark of this name; see Benchmark.tasks. Raises InputError."""
    if name not in WITH_TASKS:
        raise InputError(f"{name}: not one of the benchmarks {', '.join(WITH_TASKS)}")
    return BENCHMARKS[name].tasks(folder, level, turn)
