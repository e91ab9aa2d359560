"""Evaluate a model on the benchmarks (TL-Training, section 4): is the next call right?

    python evaluate.py                                # the newest run, embedded held-out calls
    python evaluate.py --bench toolbox --show 3       # whole dialogues with tools that answer
    python evaluate.py --ask "What will the weather be in Oslo on Friday?" --model runs/ppo
    python evaluate.py --bench rotbench --level clean --model runs/ppo --out scores/ppo
    python evaluate.py --bench bfcl --predictions FILE --errors
    python evaluate.py --bench transcripts --predictions FILE       # whole dialogues: DE, CE, VA
    python evaluate.py --bench tooleyes --tool-library ToolEyes/Tool_Library      # runs its tools
    torchrun --nproc_per_node 8 evaluate.py --bench rotbench --model DIR --out DIR

The benchmarks stand in one list, evaluation/benchmarks/. Those of kind "calls" are scored by TS, PI
and CF (evaluation/scores.py), those of kind "dialogues" and "transcripts" by DE, CE and VA
(evaluation/dialogue_scores.py). The tools of ToolEyes need keys.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

from data import trajectories
from evaluation import call_formats, dialogue, predictions, report, tool_library
from evaluation.benchmarks import BENCHMARKS
from evaluation.benchmarks.rotbench import TURNS
from evaluation.dialogue_scores import count_faults, fault_table, released_table
from evaluation.predictions import Reply
from evaluation.scores import count_stops, judge, mean_esm, summarise
from evaluation.tasks import LEVELS, first_of_groups
from plumbing.files import InputError, kind_of, make_folder, write_json
from plumbing.flags import cli, flag, flag_name, parse_flags
from plumbing.parallel import own_device, processes
from plumbing.runs import newest_run
from tokenizer import Tokenizer

HERE = Path(__file__).parent
DEFAULT_LEVELS = ", ".join(f"{entry.name} {entry.default_level}"
                           for entry in BENCHMARKS.values() if entry.levels)


@dataclass(frozen=True)
class Flags:
    bench: str = flag(
        "embedded", "what to evaluate on", group="benchmark", choices=tuple(BENCHMARKS))
    level: str = flag(
        "", f"noise in names (default: {DEFAULT_LEVELS})",
        group="benchmark", choices=("all", *LEVELS))
    turn: str = flag(
        "first", "rotbench: the query alone, or after two calls",
        group="benchmark", choices=TURNS)
    limit: int = flag(
        0, "take the first N items of each group and level only; 0: all",
        group="benchmark", least=0)
    data: str = flag(
        "", "directory of the benchmark's files (default: where evaluation/download.py puts them)",
        group="files")
    tool_library: str = flag(
        "", "tooleyes: directory of tools, Category/Name/tool.py, which are executed",
        group="files")
    queries: str = flag(
        "", "tooleyes: other queries for these tools; see evaluation/tool_library.py",
        group="files")
    tool_timeout: float = flag(
        30.0, "tooleyes: seconds that a call may take", group="hardware", least=0.1, most=86400)
    tool_env: str = flag(
        "", "tooleyes: environment variables (keys) that the tools may see, with commas",
        group="files")
    ask: str = flag(
        "", "a question: hold one dialogue about it with the embedded tools, and print it",
        group="benchmark")
    show: int = flag(
        0, "toolbox, tooleyes: print the first N dialogues", group="benchmark", least=0)
    model: str = flag(
        "", "checkpoint in HF layout (default: the newest under runs/, else data/tiny)",
        group="files")
    tokenizer: str = flag(
        "", "SentencePiece model (default: the one in --model)", group="files")
    predictions: str = flag(
        "", "file of predictions to score in place of a model; see evaluation/predictions.py",
        group="files")
    format: str = flag(
        "auto", "form of the predictions",
        group="benchmark", choices=call_formats.FORMATS, needs="predictions")
    out: str = flag(
        "", "directory for scores and items or dialogues; an interrupted run goes on there",
        group="files")
    enums: bool = flag(
        False, "name the values of a parameter's enum in the prompt's signatures",
        group="benchmark")
    compat: bool = flag(
        False, "rotbench: scores.json has the figures by upstream's rules, bugs included",
        group="benchmark")
    errors: bool = flag(
        False, "also print which errors were made, the paper's Table 1", group="benchmark")
    esm: bool = flag(
        False, "also print TTPA's score of calls and its five parts", group="benchmark")
    released: bool = flag(
        False, "transcripts: also list where the authors' released rules differ",
        group="benchmark")
    dtype: str = flag(
        "auto", "of the weights; auto is bf16 on CUDA, fp32 on a CPU",
        group="hardware", choices=("auto", "fp32", "bf16"))
    device: str = flag(
        "auto", "cpu, cuda, or auto", group="hardware")
    batch_size: int = flag(
        8, "prompts answered at once", group="hardware", least=1)
    max_new_tokens: int = flag(
        512, "longest answer", group="hardware", least=1)


def main(argv=None):
    """The command line; see the top of this file. Raises InputError."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0], argv)
    if flags.tool_library and flags.bench == "toolbox":
        flags = replace(flags, bench="tooleyes")  # the same loop with other tools
    entry = BENCHMARKS[flags.bench]
    check_flags(flags, entry)
    flags = replace(flags, level=flags.level or entry.default_level)
    if flags.dtype == "auto" and not flags.predictions:
        on_cuda = own_device(flags.device).type == "cuda"
        flags = replace(flags, dtype="bf16" if on_cuda else "fp32")
    if flags.out:
        make_folder(Path(flags.out))
    if flags.ask:
        dialogue.ask(flags, choose_model(flags))
    elif entry.kind == "calls":
        evaluate_calls(flags, entry)
    elif entry.kind == "dialogues":
        evaluate_dialogues(flags, entry)
    elif entry.kind == "transcripts":
        evaluate_transcripts(flags, entry)


def check_flags(flags, entry):
    """Raises InputError unless the flags fit each other and the benchmark."""
    for name, what in entry.needs.items():
        if not getattr(flags, name):
            raise InputError(f"{flag_name(name)}: {what}")
    if flags.predictions and (flags.ask or entry.kind == "dialogues"):
        raise InputError("--predictions: a model must answer; "
                         "finished dialogues are for --bench transcripts")
    own = set().union(*(other.own_flags for other in BENCHMARKS.values()))
    names = [field.name for field in fields(Flags) if field.name in own - set(entry.own_flags)]
    odd = [flag_name(name) for name in names if getattr(flags, name) != getattr(Flags, name)]
    if odd:
        raise InputError(f"{', '.join(odd)}: not for {flags.bench}")


def evaluate_calls(flags, entry):
    """The next call: TS, PI and CF, of a model or of a file of predictions."""
    tasks = read_tasks(flags, entry)
    folder = choose_model(flags) if flags.errors or not flags.predictions else None
    tokenizer = Tokenizer(flags.tokenizer or folder) if flags.errors else None
    replies = make_replies(flags, folder, tasks)
    call_format = flags.format if flags.predictions else "call"
    rank, _ = processes()
    if rank:
        return  # one process scores
    items = [judge(task, reply.text, call_format, reply.ended, flags.compat)
             for task, reply in zip(tasks, replies, strict=True)]
    result = summarise(items, entry)
    print(*report.score_table(result, flags.bench), sep="\n")
    print(*report.bound_lines(tasks, items), sep="\n")
    stops = count_stops(items)
    print(*report.stop_lines(stops), sep="\n")
    if flags.esm:
        print(*report.esm_table(items), sep="\n")
    if flags.errors:
        unit = f"the tokens of {tokenizer.path}"
        print(*report.error_table(items, tokenizer.name_ids, unit), sep="\n")
    if flags.out:
        way = "compat" if flags.compat else "default"
        scores = map(entry.scorers[way], items)
        summary = {**result[way], "bench": flags.bench, "rule": way, "rules": result,
                   "stops": stops}
        if flags.esm:
            means, n = mean_esm(items)
            summary["esm"] = {"n": n, **(means._asdict() if means else {})}
        report.write_scores(Path(flags.out), items, scores, summary, flags)


def evaluate_dialogues(flags, entry):
    """Whole dialogues with tools that answer: DE, CE and VA of a model."""
    if flags.queries:
        tasks = tool_library.read_queries(flags.tool_library, flags.queries)
        tasks = first_of_groups(tasks, flags.limit)
    else:
        tasks = read_tasks(flags, entry)
    execute = entry.serve(flags, tasks)
    dialogues = dialogue.hold_dialogues(flags, choose_model(flags), tasks, execute)
    rank, _ = processes()
    if rank:
        return
    shown = tasks[:flags.show]
    for task, held in zip(shown, dialogues[:flags.show], strict=True):
        print(*dialogue.dialogue_lines(task, held), sep="\n")
    print(*fault_table(dialogue.make_transcripts(tasks, dialogues)), sep="\n")
    if flags.out:
        dialogue.write_dialogues(Path(flags.out), flags.bench, tasks, dialogues)


def evaluate_transcripts(flags, entry):
    """Whole dialogues that are in a file: DE, CE and VA."""
    items = trajectories.read_items(flags.predictions)
    print(f"{flags.predictions}: {trajectories.formats(items)}")
    transcripts = entry.read(flags.predictions)[:flags.limit or None]
    print(*fault_table(transcripts), sep="\n")
    if flags.released:
        print(*released_table(transcripts), sep="\n")
    if flags.out:
        scores = {**count_faults(transcripts), "bench": flags.bench}
        write_json(Path(flags.out, "scores.json"), scores)


def make_replies(flags, folder, tasks, plain=False):
    """The Reply to each task, in their order: the one place where the flags choose who answers.

    It is a file of predictions, or the model in `folder`. plain: the model reads the content of the
    last turn as it stands, in no template. Raises InputError.
    """
    if flags.predictions:
        names = [{task.id, task.own_id} - {""} for task in tasks]
        texts = predictions.read_predictions(flags.predictions, len(tasks), names)
        return [Reply(text) for text in texts]
    return predictions.answer_tasks(flags, folder, tasks, plain)


def read_tasks(flags, entry):
    """All items of the benchmark that the flags name; levels follow one another."""
    folder = Path(flags.data) if flags.data else None
    if folder and kind_of(folder / flags.bench) == "folder":
        folder = folder / flags.bench
    tasks = []
    levels = entry.levels if flags.level == "all" else (flags.level,)
    for level in levels:
        tasks += first_of_groups(entry.tasks(folder, level, flags.turn), flags.limit)
    return tasks


def choose_model(flags):
    """The directory of the model to evaluate; prints which, unless --model says it."""
    folder = find_model(flags.model)
    rank, _ = processes()
    if not flags.model and rank == 0:
        print(f"model: {folder}")
    return folder


def find_model(path, runs=Path("runs"), embedded=HERE / "data" / "tiny"):
    """The directory of the model to evaluate.

    It is `path`, else the newest run, else the embedded model. Raises InputError if there is none.
    """
    if path:
        if kind_of(path) != "folder":
            raise InputError(f"--model {path}: no such directory")
        return Path(path)
    newest = newest_run(runs=runs)
    if newest:
        return newest
    if not kind_of(embedded / "config.json"):
        raise InputError("no model: none under runs/ and none embedded in data/tiny; "
                         "name one with --model")
    return embedded


if __name__ == "__main__":
    cli(main)
