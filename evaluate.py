"""Evaluate a model on the benchmarks (TL-Training, section 4): is the next call right?

    python evaluate.py                                # the newest run, embedded held-out calls
    python evaluate.py --bench toolbox --show 3       # whole dialogues with tools that answer
    python evaluate.py --ask "What will the weather be in Oslo on Friday?" --model runs/ppo
    python evaluate.py --bench rotbench --level clean --model runs/ppo --out scores/ppo
    python evaluate.py --bench bfcl --predictions FILE --errors
    python evaluate.py --bench transcripts --predictions FILE       # whole dialogues: DE, CE, VA
    python evaluate.py --bench tooleyes --tool-library DIR      # runs its tools; most need API keys
    torchrun --nproc_per_node 8 evaluate.py --bench rotbench --model DIR --out DIR
    python evaluate.py --bench bfcl --server http://localhost:8000/v1 --served-model NAME --out DIR
    python evaluate.py --bench bfcl --export requests.jsonl --served-model NAME --template qwen2.5
    python evaluate.py --bench mmlu           # or gsm8k, or humaneval with --execute: Figure 5
    python evaluate.py --compare scores/sft scores/ppo --out scores                # also Figure 4

The benchmarks stand in one list, evaluation/benchmarks/. Those of kind "calls" are scored by TS, PI
and CF (evaluation/scores.py), those of kind "dialogues" and "transcripts" by DE, CE and VA
(evaluation/dialogue_scores.py), those of "answers" and "choices" by accuracy.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import model
from data import trajectories
from evaluation import (
    accuracy,
    call_formats,
    choices,
    compare,
    dialogue,
    predictions,
    report,
    serving,
    tool_library,
)
from evaluation.benchmarks import BENCHMARKS
from evaluation.benchmarks.rotbench import TURNS
from evaluation.dialogue_scores import count_faults, fault_table, released_table
from evaluation.openai_format import refusal_lines, write_requests
from evaluation.scores import count_stops, judge, mean_esm, summarise
from evaluation.tasks import LEVELS, first_of_groups
from evaluation.templates import TEMPLATES
from plumbing import memory
from plumbing.files import InputError, kind_of, make_folder, write_json, write_text
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
        "", "the benchmark's files, a directory; own: a file of conversations (default: where "
        "evaluation/download.py puts them, or data/)", group="files")
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
    compare: tuple = flag(
        (), "finished evaluations, by their --out: print their paired differences, and with --out "
        "draw their scores at each level", group="files")
    execute: bool = flag(
        False, "humaneval: run the programs that the model wrote, in processes of their own",
        group="benchmark")
    unsafe: bool = flag(
        False, "humaneval: run them in no namespaces, with limits alone: they reach the network "
        "and your files",
        group="benchmark", needs="execute")
    program_timeout: float = flag(
        10.0, "humaneval: seconds that a program may take", group="hardware", least=0.1,
        most=86400, needs="execute")
    format: str = flag(
        "auto", "form of the predictions",
        group="benchmark", choices=call_formats.FORMATS, needs="predictions")
    server: str = flag(
        "", "address of a server that answers in place of a model, such as "
        "http://localhost:8000/v1", group="server")
    served_model: str = flag(
        "", "the model's name for the server or the batch", group="server")
    template: str = flag(
        "gpt", "form of the prompts, by model; gpt: messages and tools, which the server formats "
        "by its model's chat template", choices=tuple(TEMPLATES), group="server")
    export: str = flag(
        "", "write the requests of all items to this file, for a batch, and end", group="server")
    raw_chat: bool = flag(
        False, "send a template's text as the one message of a chat: vLLM's run-batch takes chats "
        "alone; see docs/serving.md", group="server")
    parallel: int = flag(
        8, "requests at once", group="server", least=1, most=1024, needs="server")
    key_env: str = flag(
        "", "environment variable that holds the server's key", group="server", needs="server")
    deadline: float = flag(
        120.0, "seconds that a request may take; it is tried again then", group="server",
        least=0.01, most=86400, needs="server")
    out: str = flag(
        "", "directory for scores and items or dialogues; an interrupted run goes on there",
        group="files")
    enums: bool = flag(
        False, "name the values of a parameter's enum in the prompt's signatures",
        group="benchmark")
    compat: bool = flag(
        False, "rotbench: scores.json and items.jsonl have the scores of the row compat, which "
        "are upstream's, bugs included",
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
        8, "prompts answered at once, at most", group="hardware", least=1)
    batch_tokens: int = flag(
        32768, "tokens of these prompts and their answers, at most; bounds memory (0: no limit)",
        group="hardware", least=0)
    max_new_tokens: int = flag(
        512, "longest answer", group="hardware", least=1)
    plan: bool = flag(
        False, "print the memory that each process will need, and end", group="hardware")


def main(argv=None):
    """The command line; see the top of this file. Raises InputError."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0], argv)
    if flags.tool_library and flags.bench == "toolbox":
        flags = replace(flags, bench="tooleyes")  # the same loop with other tools
    if flags.compare:
        compare_runs(flags)
        return
    entry = BENCHMARKS[flags.bench]
    check_flags(flags, entry)
    if flags.plan:
        config = model.read_config(Path(choose_model(flags), "config.json"))
        print(*memory.report_answers(config, flags), sep="\n")
        return
    flags = replace(flags, level=flags.level or entry.default_level)
    if flags.dtype == "auto" and not (flags.predictions or flags.server or flags.export):
        on_cuda = own_device(flags.device).type == "cuda"
        flags = replace(flags, dtype="bf16" if on_cuda else "fp32")
    if flags.out:
        make_folder(Path(flags.out))
    if flags.ask:
        ask(flags)
    elif flags.export:
        export_requests(flags, entry)
    elif entry.kind == "calls":
        evaluate_calls(flags, entry)
    elif entry.kind == "dialogues":
        evaluate_dialogues(flags, entry)
    elif entry.kind == "transcripts":
        evaluate_transcripts(flags, entry)
    elif entry.kind in ("answers", "choices"):
        evaluate_accuracy(flags, entry)


def check_flags(flags, entry):
    """Raises InputError unless the flags fit each other and the benchmark."""
    for name, what in entry.needs.items():
        if not getattr(flags, name):
            raise InputError(f"{flag_name(name)}: {what}")
    if flags.predictions and (flags.ask or entry.kind == "dialogues"):
        raise InputError("--predictions: a model must answer; "
                         "finished dialogues are for --bench transcripts")
    texts = changed(flags, "predictions", "server", "export")
    if entry.kind == "choices" and texts:
        raise InputError(f"{texts}: a model must answer here: an answer to {flags.bench} is the "
                         "likeliest letter, no text")
    given = changed(flags, "out", "errors", "esm", "limit", "level", "show", "data", "plan")
    if flags.ask and given:
        raise InputError(f"{given}: not for --ask, which prints one dialogue")
    if entry.kind in ("answers", "choices", "transcripts") and flags.enums:
        raise InputError(f"--enums: not for {flags.bench}, whose prompts have no signatures")
    if entry.kind == "transcripts" and flags.data:
        raise InputError("--data: not for transcripts, which --predictions names")
    check_server(flags, entry)
    own = set().union(*(other.own_flags for other in BENCHMARKS.values()))
    names = [field.name for field in fields(Flags) if field.name in own - set(entry.own_flags)]
    odd = changed(flags, *names)
    if odd:
        raise InputError(f"{odd}: not for {flags.bench}")


def check_server(flags, entry):
    """Raises InputError unless --server and --export fit the benchmark and the other flags."""
    ways = [name for name in ("predictions", "server", "export") if getattr(flags, name)]
    if len(ways) > 1:
        raise InputError(f"{' and '.join(map(flag_name, ways))}: name one of them")
    if not (flags.server or flags.export):
        given = changed(flags, "served_model", "template", "raw_chat")
        if given:
            raise InputError(f"{given}: does nothing without --server or --export")
        given = changed(flags, *unused_flags(flags), "max_new_tokens")
        if flags.predictions and given:
            raise InputError(f"{given}: for a model that answers, not for --predictions")
        return
    given = changed(flags, *unused_flags(flags), "enums")
    if given:
        raise InputError(f"{given}: for a model of ours, not for {flag_name(ways[0])}")
    if not flags.served_model:
        raise InputError("--served-model: name the model as the server knows it")
    if flags.raw_chat and TEMPLATES[flags.template].is_chat:
        raise InputError(f"--raw-chat: the template {flags.template} makes messages already; "
                         "name another --template")
    if entry.kind == "transcripts":
        raise InputError(f"{flag_name(ways[0])}: finished dialogues need no answers")
    if flags.export and (flags.ask or entry.kind == "dialogues"):
        raise InputError("--export: in a dialogue a request depends on the answer before it; "
                         "--server holds dialogues")
    given = changed(flags, "out", "errors", "esm", "compat", "show")
    if flags.export and given:
        raise InputError(f"{given}: for answers, not for --export")
    if flags.server:
        serving.open_server(flags)  # a wrong address or key is told before anything is read


def unused_flags(flags):
    """Names of the flags of a model of ours, which do nothing where answers come from elsewhere."""
    names = ["dtype", "device", "batch_size", "batch_tokens", "plan"]
    if not flags.errors:  # whose table cuts names into a model's tokens
        names += ["model", "tokenizer"]
    return names


def changed(flags, *names):
    """Which of these flags have another value than their default, as they are typed."""
    differing = [name for name in names if getattr(flags, name) != getattr(Flags, name)]
    return ", ".join(map(flag_name, differing))


def ask(flags):
    """Hold and print one dialogue about --ask, of a model or of a server's."""
    if flags.server:
        dialogue.print_dialogue(flags.ask, serving.make_speaker(flags))
    else:
        dialogue.ask(flags, choose_model(flags))


def export_requests(flags, entry):
    """Write the requests of all items, and say how their answers are scored."""
    tasks = read_tasks(flags, entry)
    form = serving.make_form(flags, plain=entry.kind == "answers")
    write_requests(flags.export, form, flags.bench, tasks)
    print(f"{flags.export}: {len(tasks)} requests; score the batch's output with --predictions")


def evaluate_calls(flags, entry):
    """The next call: TS, PI and CF, of a model or of a file of predictions."""
    tasks = read_tasks(flags, entry)
    is_own = not (flags.predictions or flags.server)
    folder = choose_model(flags) if flags.errors or is_own else None
    tokenizer = Tokenizer(flags.tokenizer or folder) if flags.errors else None
    replies = make_replies(flags, folder, tasks)
    call_format = "call" if is_own else flags.format
    rank, _ = processes()
    if rank:
        return  # one process scores
    items = [judge(task, reply.text, call_format, reply.ended)
             for task, reply in zip(tasks, replies, strict=True)]
    result = summarise(items, entry)
    print(*report.score_table(result, flags.bench), sep="\n")
    print(*report.bound_lines(tasks, items), sep="\n")
    refused = refused_items(tasks, replies)
    for line in refusal_lines(refused, len(tasks)):
        print(line)
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
        if refused:
            summary["refused"] = refused
        if flags.esm:
            means, n = mean_esm(items)
            summary["esm"] = {"n": n, **(means._asdict() if means else {})}
        report.write_scores(Path(flags.out), items, scores, summary, flags)
        draw_levels([flags.out], flags.out)


def evaluate_dialogues(flags, entry):
    """Whole dialogues with tools that answer: DE, CE and VA of a model."""
    if flags.queries:
        tasks = tool_library.read_queries(flags.tool_library, flags.queries)
        tasks = first_of_groups(tasks, flags.limit)
    else:
        tasks = read_tasks(flags, entry)
    execute = entry.serve(flags, tasks)
    if flags.server:
        dialogues, refused = serving.hold_dialogues(flags, tasks, execute)
    else:
        dialogues = dialogue.hold_dialogues(flags, choose_model(flags), tasks, execute)
        refused = {}
    rank, _ = processes()
    if rank:
        return
    shown = tasks[:flags.show]
    for task, held in zip(shown, dialogues[:flags.show], strict=True):
        print(*dialogue.dialogue_lines(task, held), sep="\n")
    print(*fault_table(dialogue.make_transcripts(tasks, dialogues)), sep="\n")
    for line in refusal_lines(refused, len(tasks)):
        print(line)
    if flags.out:
        dialogue.write_dialogues(Path(flags.out), flags.bench, tasks, dialogues, refused)


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


def evaluate_accuracy(flags, entry):
    """Answers that are right or wrong, without tools (the paper's Figure 5)."""
    tasks = read_tasks(flags, entry)
    if entry.check:
        entry.check(flags)
    folder = None if flags.predictions or flags.server else choose_model(flags)
    if entry.kind == "choices":
        replies = choices.choose_letters(flags, folder, tasks)
    else:
        replies = make_replies(flags, folder, tasks, plain=True)
    rank, _ = processes()
    if rank:
        return
    texts = [reply.text for reply in replies]
    refused = refused_items(tasks, replies)
    for line in refusal_lines(refused, len(tasks)):
        print(line)
    if "execute" in entry.flags and not flags.execute:
        accuracy.write_answers(Path(flags.out), tasks, texts)
        print(f"not run; score them with --predictions {Path(flags.out, 'items.jsonl')} --execute")
        return
    grades = entry.grade(flags, tasks, texts)
    counts = {**accuracy.count_right(tasks, grades), "bench": flags.bench}
    if refused:
        counts["refused"] = refused
    print(*accuracy.accuracy_table(counts, flags.bench), sep="\n")
    if flags.out:
        accuracy.write_answers(Path(flags.out), tasks, texts, grades)
        write_json(Path(flags.out, "scores.json"), counts)


def refused_items(tasks, replies):
    """{id: the reason} of the items whose request was refused."""
    pairs = zip(tasks, replies, strict=True)
    return {task.id: reply.refusal for task, reply in pairs if reply.refusal}


def compare_runs(flags):
    """Print what runs differ in, and draw their scores at each level of noise."""
    given = changed(flags, *(field.name for field in fields(Flags)
                             if field.name not in ("compare", "out")))
    if given:
        raise InputError(f"{given}: not with --compare, which reads finished evaluations")
    print(*compare.comparison_table(compare.read_runs(flags.compare)), sep="\n")
    if flags.out:
        make_folder(Path(flags.out))
        draw_levels(flags.compare, flags.out)


def draw_levels(folders, out):
    """Write the paper's Figure 4 of the evaluations in `folders`, if they have several levels."""
    picture = compare.noise_figure([compare.read_run(folder) for folder in folders])
    if picture:
        path = Path(out, compare.FIGURE)
        write_text(path, picture)
        print(f"figure: {path}")


def make_replies(flags, folder, tasks, plain=False):
    """The Reply to each task, in their order: the one place where the flags choose who answers.

    It is a file of predictions, a server, or the model in `folder`. plain: the model reads the
    content of the last turn as it stands, in no template. Raises InputError.
    """
    if flags.predictions:
        return predictions.read_replies(flags.predictions, flags.bench, tasks)
    if flags.server:
        return serving.answer_tasks(flags, tasks, plain)
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
    cli(main, lower="--batch-tokens, --batch-size or --max-new-tokens")
