"""The benchmarks that tell whether it worked (TL-Training, section 4): is the next call the right one?

    python evaluate.py --bench toolalpaca                   # the newest run, else the embedded model
    python evaluate.py --bench rotbench --level clean --model runs/ppo --out scores/ppo
    python evaluate.py --bench bfcl --predictions FILE --errors
    python evaluate.py --bench transcripts --predictions FILE           # whole dialogues: DE, CE, VA
    torchrun --nproc_per_node 8 evaluate.py --bench rotbench --model DIR --dtype bf16 --out DIR

TS, tool selection: the call names a gold's tool. PI, parameter identification: and has that gold's
parameters, no others. CF, content filling: and their values. Golds are alternatives; where an item asks for
several calls, in steps or at once, the first predicted call may be any of them. The paper's figures imply
it: 90 of BFCL's 240 items ask for several, and its model, which writes one call per turn, has a CF of
88.33%.

Left out: executing BFCL's calls (106 items need the network), so another way to the same result is wrong.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common import flag, make_folder, newest_run, parse_flags
from data import InputError, benchmarks, cli, predictions, transcripts, write_json
from data.benchmarks import LEVELS
from data.predictions import FORMATS
from reward import Call, ErrorType, ParseError
from tokenizer import Tokenizer, render

BENCHES = ("toolalpaca", "rotbench", "bfcl", "transcripts")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Flags:
    bench: str = flag("toolalpaca", "what to evaluate on", choices=BENCHES)
    level: str = flag("all", "rotbench: noise in names; all: one after the other", choices=("all", *LEVELS))
    turn: str = flag("first", "rotbench: the query alone, or after two calls", choices=("first", "third"))
    data: str = flag("", "directory of the benchmark's files (default: where data/download.py puts them)")
    model: str = flag("", "checkpoint in HF layout (default: the newest under runs/, else data/tiny)")
    predictions: str = flag("", "file of predictions to score in place of a model; see data/predictions.py")
    format: str = flag("auto", "form of the predictions", choices=FORMATS)
    out: str = flag("", "directory for scores.json and items.jsonl; an interrupted run goes on there")
    compat: bool = flag(False, "rotbench: scores.json has the figures by upstream's rules, bugs included")
    errors: bool = flag(False, "also print which errors were made, the paper's Table 1")
    dtype: str = flag("fp32", "of the weights", choices=("fp32", "bf16"))
    device: str = flag("auto", "cpu, cuda, or auto")
    batch_size: int = flag(8, "prompts answered at once", least=1)
    max_new_tokens: int = flag(512, "longest answer", least=1)


# -------------------------------------------------------------------------------------------------- the rules

class Score(NamedTuple):
    TS: int  # each 0 or 1, and TS >= PI >= CF
    PI: int
    CF: int


def score(call, task, compat=False):
    """The Score of one call, None for a prediction that could not be read.

    compat: by the rules of RoTBench's own evaluate.py, where a call without arguments is never right, and
    comparing with one gold changes the prediction that the next one sees.
    """
    if call is None or compat and not call.arguments:
        return Score(0, 0, 0)
    named = [gold for gold in task.golds if same_tool(call, gold.name, task)]
    keyed = [gold for gold in named if gold.arguments.keys() == call.arguments.keys()]
    right_tool = any(same_tool(call, name, task) for name in gold_names(task))
    is_filled = filled_compat(call, keyed, task) if compat else any(filled(call, g, task) for g in keyed)
    return Score(int(right_tool), int(bool(keyed)), int(is_filled))


def score_all(calls, task):
    """BFCL's stricter question: are these all the calls that the item asks for, in any order, and no more?"""
    if len(calls) != len(task.golds) + len(task.unread):
        return Score(0, 0, 0)
    return Score(*(int(_all_paired(calls, task, level)) for level in range(3)))


def _all_paired(calls, task, level):
    left = list(task.golds)
    for call in calls:  # taking the first gold that fits is enough: golds that fit the same call are alike
        fits = (gold for gold in left if score(call, task._replace(golds=(gold,)))[level])
        gold = next(fits, None)
        if gold is None:
            return False
        left.remove(gold)
    return True


def first_only(task):
    """The task with its first gold alone: in an item of several steps, the first step."""
    if any(place == 0 for place, _ in task.unread):
        return task._replace(golds=(), unread=task.unread[:1])
    return task._replace(golds=task.golds[:1], unread=())


def gold_names(task):
    """The right tools: a gold whose arguments do not parse has a name all the same."""
    return [gold.name for gold in task.golds] + [name for _, name in task.unread]


def same_tool(call, name, task):
    """The call's tool is `name`; noise may have renamed the finishing tool, which "finish" still means."""
    return call.name == name or (call.name == "finish" and name == task.finish)


def filled(call, gold, task):
    """Equal values for equal keys. The gold's "None" stands for any value; prose is not compared."""
    return gold.name in task.free_text or all(
        value == "None" or equal(call.arguments[key], value) for key, value in gold.arguments.items())


def equal(value, gold):
    """Upstream's equality, which is Python's (1 == 1.0 == True, "1" != 1); and a tuple equals a list."""
    if isinstance(gold, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(gold) and all(map(equal, value, gold))
    if isinstance(gold, dict):
        return isinstance(value, dict) and value.keys() == gold.keys() and all(
            equal(value[key], gold[key]) for key in gold)
    return value == gold


def filled_compat(call, keyed, task):
    """CF by upstream's rules: the keys that are wild in one gold are gone when the next one is compared."""
    left = dict(call.arguments)
    free = {"finish", "ask_to_user", *task.free_text, *(tool.name for tool in task.tools[-2:])}
    for gold in keyed:
        if gold.arguments.keys() != left.keys():
            continue
        left = {key: value for key, value in left.items() if gold.arguments[key] != "None"}
        if gold.name in free or all(left[key] == gold.arguments[key] for key in left):
            return True
    return False


# ---------------------------------------------------------------------------------------------- named errors

def errors(call, task):
    """The ErrorTypes of a call, compared with the gold that comes closest; none for a right one."""
    if call is None:
        return (ErrorType.UNPARSABLE,)
    named = [gold for gold in task.golds if same_tool(call, gold.name, task)]
    if score(call, task).CF or not named and score(call, task).TS:
        return ()  # a gold that does not parse has but its tool to compare with
    if not named:
        offered = call.name in {tool.name for tool in task.tools}
        return (ErrorType.WRONG_TOOL if offered else ErrorType.UNKNOWN_TOOL,)
    gold = min(named, key=lambda gold: len(gold.arguments.keys() ^ call.arguments.keys()))
    known = {p.name for tool in task.tools if tool.name == gold.name for p in tool.parameters}
    extra = call.arguments.keys() - gold.arguments.keys()
    found = {ErrorType.HALLUCINATED: extra - known, ErrorType.REDUNDANT: extra & known,
             ErrorType.MISSING: gold.arguments.keys() - call.arguments.keys()}
    return tuple(error for error, keys in found.items() if keys) or (ErrorType.CONTENT,)


def error_table(items, pieces, unit):
    """Lines of the paper's Table 1. Is the name of a wrong tool wrong from its first token, or does it
    leave a right one after a prefix that they share? `pieces` cuts a name into `unit`.
    """
    counts = Counter(error for item in items for error in item.errors)
    wrong = [item for item in items if {ErrorType.WRONG_TOOL, ErrorType.UNKNOWN_TOOL} & {*item.errors}]
    later = sum(any(_shared(pieces(item.call.name), pieces(name)) for name in gold_names(item.task))
                for item in wrong)
    rows = {"tool's name, first token": len(wrong) - later, "tool's name, after a shared prefix": later,
            **{error.value: counts[error] for error in ErrorType},
            "none": sum(not item.errors for item in items)}
    yield f"errors, in % of {len(items)} items; names are cut into {unit}"
    yield from (f"  {name:<36}{n:>6}{_percent(n, len(items)):>9}" for name, n in rows.items())


def _shared(a, b):
    return bool(a) and bool(b) and a[0] == b[0]


# ---------------------------------------------------------------------------------------------------- tables

class Item(NamedTuple):
    task: benchmarks.Task
    prediction: str
    calls: list[Call]  # none for a prediction that could not be read
    errors: tuple[ErrorType, ...]

    @property
    def call(self):
        return self.calls[0] if self.calls else None


def judge(task, text, form="auto"):
    """Read one prediction and name its errors -> Item."""
    try:
        calls = predictions.calls(text, task.tools, form)
    except ParseError:
        calls = []
    return Item(task, text, calls, errors(calls[0] if calls else None, task))


def rules(bench):
    """{name of a way to score: function of an Item}, the paper's first."""
    ways = {"default": lambda item: score(item.call, item.task)}
    if bench == "rotbench":
        return ways | {"compat": lambda item: score(item.call, item.task, compat=True)}
    ways["first_only"] = lambda item: score(item.call, first_only(item.task))
    if bench == "bfcl":
        ways["all_calls"] = lambda item: score_all(item.calls, item.task)
    return ways


def count(scores):
    """{"n", "TS", "PI", "CF"}: the number of items and of those right."""
    scores = list(scores)
    return {"n": len(scores), **{name: sum(s[i] for s in scores) for i, name in enumerate(Score._fields)}}


def summary(items, bench):
    """{way to score: {"n", "TS", "PI", "CF", "levels" (rotbench), "groups"}}."""
    result = {}
    for way, rule in rules(bench).items():
        scores = [(item.task, rule(item)) for item in items]
        result[way] = count(s for _, s in scores)
        parts = {"groups": lambda task: task.group}
        if bench == "rotbench":
            parts["levels"] = lambda task: task.id.partition("/")[0]
        for part, key in parts.items():
            names = dict.fromkeys(key(task) for task, _ in scores)
            result[way][part] = {name: count(s for task, s in scores if key(task) == name) for name in names}
    return result


def table(result, bench):
    """Lines: the whole by every way to score, then levels (the paper's Figure 4) and groups."""
    yield f"{bench:<30}{'n':>6}" + "".join(f"{name:>16}" for name in Score._fields)
    for way, counts in result.items():
        yield _row(f"all, {way.replace('_', ' ')}" if len(result) > 1 else "all", counts)
    for way in ("default", "compat") if bench == "rotbench" else ():
        yield from (_row(f"level {level}, {way}", counts) for level, counts in result[way]["levels"].items())
    yield from (_row(group, counts) for group, counts in result["default"]["groups"].items())


def _row(title, counts):
    cells = (f"{counts[name]:>7}{_percent(counts[name], counts['n']):>9}" for name in Score._fields)
    return f"  {title:<28}{counts['n']:>6}" + "".join(cells)


def _percent(part, whole):
    return f"{100 * part / whole:.2f}%" if whole else "-"


def ceiling(tasks):
    """A line about the items that bound every score."""
    unknown = [task.id for task in tasks if benchmarks.unknowable(task)]
    some = ", ".join(unknown[:8]) + (", ..." if len(unknown) > 8 else "")
    return f"  gold not to be known from the prompt: {len(unknown)} items" + (f" ({some})" if some else "")


# ------------------------------------------------------------------------------------------------------- main

def find_model(path, runs=Path("runs"), embedded=HERE / "data" / "tiny"):
    """The directory of the model to evaluate. Raises InputError if none is named and none is there."""
    if path:
        if not Path(path).is_dir():
            raise InputError(f"--model {path}: no such directory")
        return Path(path)
    newest = newest_run(runs=runs)
    if newest:
        return newest
    if not (embedded / "config.json").exists():
        raise InputError("no model: none under runs/ and none embedded in data/tiny; name one with --model")
    return embedded


def read_tasks(flags):
    """All items of the benchmark that the flags name; rotbench's levels follow one another."""
    folder = Path(flags.data) if flags.data else None
    if folder and (folder / flags.bench).is_dir():
        folder = folder / flags.bench
    if flags.bench != "rotbench":
        return benchmarks.read(flags.bench, folder)
    levels = LEVELS if flags.level == "all" else (flags.level,)
    return [task for level in levels for task in benchmarks.read("rotbench", folder, level, flags.turn)]


def cutter(flags):
    """(function that cuts a tool's name, into what): the model's tokens; without a tokenizer, characters."""
    try:
        tokenizer = Tokenizer(find_model(flags.model))
        return tokenizer.name_ids, f"the tokens of {tokenizer.path}"
    except InputError:
        if flags.model:
            raise
        return list, "characters (no tokenizer; --model names one)"


def write(out, items, result, flags):
    """scores.json and items.jsonl, which is a file of predictions again."""
    way = "compat" if flags.compat else "default"
    with open(out / "items.jsonl.part", "w") as file:
        for index, item in enumerate(items):
            task, call = item.task, item.call
            prompt = "\n".join(render(turn, task.tools) for turn in task.turns) + "\nAssistant:"
            file.write(json.dumps({
                "index": index, "id": task.id, "prompt": prompt, "prediction": item.prediction,
                "call": call and {"name": call.name, "arguments": call.arguments},
                "errors": [error.value for error in item.errors],
                **score(call, task, flags.compat)._asdict()}) + "\n")
    os.replace(out / "items.jsonl.part", out / "items.jsonl")
    write_json(out / "scores.json", {**result[way], "bench": flags.bench, "rule": way, "rules": result})


def main(argv=None):
    """The command line; see the top of this file. Raises InputError."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0], argv)
    if flags.bench == "transcripts":
        if not flags.predictions:
            raise InputError("--predictions: name the file of transcripts")
        print(*transcripts.report(transcripts.read(flags.predictions)), sep="\n")
        return
    if flags.compat and flags.bench != "rotbench":
        raise InputError(f"--compat: the rules of RoTBench's own scorer do not apply to {flags.bench}")
    make_folder(Path(flags.out))
    tasks = read_tasks(flags)
    if flags.predictions:
        texts, form = predictions.read(flags.predictions, len(tasks)), flags.format
    else:
        texts, form = predictions.generate(flags, find_model(flags.model), tasks), "call"
    if int(os.environ.get("RANK", 0)):
        return  # one process scores
    items = [judge(task, text, form) for task, text in zip(tasks, texts, strict=True)]
    result = summary(items, flags.bench)
    print(*table(result, flags.bench), ceiling(tasks), sep="\n")
    if flags.errors:
        print(*error_table(items, *cutter(flags)), sep="\n")
    if flags.out:
        write(Path(flags.out), items, result, flags)


if __name__ == "__main__":
    cli(main)
