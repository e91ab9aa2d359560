"""The benchmarks that tell whether it worked (TL-Training, section 4): is the next call the right one?

    python evaluate.py                                      # the newest run on the embedded held-out calls
    python evaluate.py --bench toolbox --show 3             # whole dialogues with tools that answer
    python evaluate.py --ask "What will the weather be in Oslo on Friday?" --model runs/ppo
    python evaluate.py --bench rotbench --level clean --model runs/ppo --out scores/ppo
    python evaluate.py --bench bfcl --predictions FILE --errors
    python evaluate.py --bench transcripts --predictions FILE           # whole dialogues: DE, CE, VA
    python evaluate.py --bench tooleyes --tool-library ToolEyes/Tool_Library    # runs its tools; needs keys
    torchrun --nproc_per_node 8 evaluate.py --bench rotbench --model DIR --dtype bf16 --out DIR

TS, tool selection: the call names a gold's tool. PI, parameter identification: and has that gold's
parameters, no others. CF, content filling: and their values. Golds are alternatives; where an item asks for
several calls, in steps or at once, the first predicted call may be any of them. The paper's figures imply
it: 90 of BFCL's 240 items ask for several, and its model, which writes one call per turn, has a CF of
88.33%.

Left out: executing BFCL's calls (106 items need the network), so another way to the same result is wrong.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from data.calls import Call, ParseError
from data.tools import write_call
from evaluation import (
    benchmarks,
    call_formats,
    dialogue,
    dialogue_scores,
    predictions,
    report,
    tool_library,
)
from evaluation.benchmarks import LEVELS, first_of_groups, gold_names
from evaluation.predictions import Reply
from evaluation.report import bounds, error_table, table
from plumbing.files import InputError, write_json
from plumbing.flags import cli, flag, parse_flags
from plumbing.parallel import processes
from plumbing.runs import make_folder, newest_run
from reward import ErrorType, parameter_errors, reward
from tokenizer import Tokenizer

CALLS = ("embedded", "toolalpaca", "rotbench", "bfcl")  # the next call is judged: TS, PI, CF
DIALOGUES = ("toolbox", "tooleyes")  # the tools answer, and what becomes of it is judged: DE, CE, VA
BENCHES = (*CALLS, *DIALOGUES, "transcripts")
NOISY = {"rotbench": "all", "embedded": "clean"}  # have levels; the one taken where none is named
ONLY = {"level": (*NOISY,), "turn": ("rotbench",), "compat": ("rotbench",), "show": DIALOGUES,
        "format": CALLS, "errors": CALLS,
        "tool_library": ("tooleyes",), "queries": ("tooleyes",)}  # flag -> the benches that it is for
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Flags:
    bench: str = flag("embedded", "what to evaluate on", choices=BENCHES)
    level: str = flag("", "noise in names (default: rotbench all, embedded clean)", choices=("all", *LEVELS))
    turn: str = flag("first", "rotbench: the query alone, or after two calls", choices=("first", "third"))
    limit: int = flag(0, "take the first N items of each group and level only; 0: all", least=0)
    data: str = flag("", "directory of the benchmark's files (default: where evaluation/download.py puts them)")
    tool_library: str = flag("", "tooleyes: directory of tools, Category/Name/tool.py, which are executed")
    queries: str = flag("", "tooleyes: other queries for these tools; see evaluation/tool_library.py")
    tool_timeout: float = flag(30.0, "tooleyes: seconds that a call may take", least=0.1, most=86400)
    ask: str = flag("", "a question: hold one dialogue about it with the embedded tools, and print it")
    show: int = flag(0, "toolbox, tooleyes: print the first N dialogues", least=0)
    model: str = flag("", "checkpoint in HF layout (default: the newest under runs/, else data/tiny)")
    predictions: str = flag("", "file of predictions to score in place of a model; see evaluation/predictions.py")
    format: str = flag("auto", "form of the predictions", choices=call_formats.FORMATS, needs="predictions")
    out: str = flag("", "directory for scores and items or dialogues; an interrupted run goes on there")
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
    known |= gold.arguments.keys()  # unlike in the reward, what a gold has is no error in a prediction
    return parameter_errors(set(call.arguments), set(gold.arguments), known) or (ErrorType.CONTENT,)


# ---------------------------------------------------------------------------------------------------- counts

class Item(NamedTuple):
    task: benchmarks.Task
    prediction: str
    calls: list[Call]  # none for a prediction that could not be read
    errors: tuple[ErrorType, ...]
    reward: float | None = None  # of embedded items, which have one gold that is offered

    @property
    def call(self):
        return self.calls[0] if self.calls else None


def judge(task, text, form="auto", ended=True):
    """Read one prediction and name its errors -> Item. An answer that was cut off earns what no call does.

    The reward is that of the text, or of its first call in the form of this project where it has another.
    """
    said = call_formats.without_thoughts(text)
    form = call_formats.form_of(said) if form == "auto" else form
    try:
        calls = call_formats.calls(said, task.tools, form)
    except ParseError:
        calls = []
    earned = None
    if task.kind == "one":
        said = said if form == "call" else write_call(*calls[0][:2]) if calls else ""
        earned = reward(said if ended else "", write_call(*task.golds[0][:2]), task.tools)
    return Item(task, text, calls, errors(calls[0] if calls else None, task), earned)


def rules(bench):
    """{name of a way to score: function of an Item}, the paper's first."""
    ways = {"default": lambda item: score(item.call, item.task)}
    if bench == "rotbench":
        return ways | {"compat": lambda item: score(item.call, item.task, compat=True)}
    if bench == "embedded":
        return ways
    ways["first_only"] = lambda item: score(item.call, first_only(item.task))
    if bench == "bfcl":
        ways["all_calls"] = lambda item: score_all(item.calls, item.task)
    return ways


def count(items, rule):
    """{"n", "TS", "PI", "CF"}: the number of items and of those right; mean "reward", if they have one."""
    scores = [rule(item) for item in items]
    rewards = [item.reward for item in items if item.reward is not None]
    return {"n": len(scores), **{name: sum(s[i] for s in scores) for i, name in enumerate(Score._fields)},
            **({"reward": sum(rewards) / len(rewards)} if rewards else {})}


def summary(items, bench):
    """{way to score: {"n", "TS", "PI", "CF", "reward" (embedded), "levels" (with noise), "groups"}}."""
    parts = {"groups": lambda item: item.task.group}
    if bench in NOISY:
        parts["levels"] = lambda item: item.task.id.partition("/")[0]
    result = {}
    for way, rule in rules(bench).items():
        result[way] = count(items, rule)
        for part, key in parts.items():
            names = dict.fromkeys(map(key, items))
            result[way][part] = {name: count([item for item in items if key(item) == name], rule)
                                 for name in names}
    return result


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
    """All items of the benchmark that the flags name; levels follow one another."""
    folder = Path(flags.data) if flags.data else None
    if folder and (folder / flags.bench).is_dir():
        folder = folder / flags.bench
    levels = LEVELS if flags.level == "all" else (flags.level,)
    return [task for level in levels for task in first_of_groups(
        benchmarks.read(flags.bench, folder, level, flags.turn), flags.limit)]


def cutter(flags):
    """(function that cuts a tool's name into the model's tokens, what they are)."""
    tokenizer = Tokenizer(find_model(flags.model))
    return tokenizer.name_ids, f"the tokens of {tokenizer.path}"


def evaluate_calls(flags):
    """The next call: TS, PI and CF, of a model or of a file of predictions."""
    tasks, cut = read_tasks(flags), cutter(flags) if flags.errors else None
    if flags.predictions:
        texts = predictions.read(flags.predictions, len(tasks))
        replies, form = [Reply(text) for text in texts], flags.format
    else:
        replies, form = predictions.generate(flags, find_model(flags.model), tasks), "call"
    if processes()[0]:
        return  # one process scores
    items = [judge(task, text, form, ended) for task, (text, ended) in zip(tasks, replies, strict=True)]
    result = summary(items, flags.bench)
    print(*table(result, flags.bench), *bounds(tasks, items), sep="\n")
    if flags.errors:
        print(*error_table(items, *cut), sep="\n")
    if flags.out:
        way = "compat" if flags.compat else "default"
        scores = map(rules(flags.bench)[way], items)
        report.write(Path(flags.out), items, scores,
                     {**result[way], "bench": flags.bench, "rule": way, "rules": result})


def evaluate_dialogues(flags):
    """Whole dialogues with tools that answer: DE, CE and VA of a model."""
    if flags.bench == "toolbox":
        tasks, execute = read_tasks(flags), dialogue.run_toolbox
    else:
        tasks = (first_of_groups(tool_library.queries(flags.tool_library, flags.queries), flags.limit)
                 if flags.queries else read_tasks(flags))
        tool_library.check(flags.tool_library, tasks)
        execute = tool_library.server(flags.tool_library, flags.tool_timeout)
    dialogues = dialogue.hold(flags, find_model(flags.model), tasks, execute)
    if processes()[0]:
        return
    for task, held in zip(tasks[:flags.show], dialogues):
        print(*dialogue.show(task, held), sep="\n")
    print(*dialogue.report(tasks, dialogues), sep="\n")
    if flags.out:
        dialogue.write(Path(flags.out), flags.bench, tasks, dialogues)


def evaluate_transcripts(flags):
    """Whole dialogues that are in a file: DE, CE and VA."""
    held = dialogue_scores.read(flags.predictions)[:flags.limit or None]
    print(*dialogue_scores.report(held), sep="\n")
    if flags.out:
        write_json(Path(flags.out, "scores.json"), {**dialogue_scores.count(held), "bench": flags.bench})


def main(argv=None):
    """The command line; see the top of this file. Raises InputError."""
    flags = parse_flags({"": Flags()}, __doc__.splitlines()[0], argv)
    if flags.tool_library and flags.bench == "toolbox":
        flags = replace(flags, bench="tooleyes")  # the same loop with other tools
    if flags.bench == "tooleyes" and not flags.tool_library:
        raise InputError("--tool-library: name the directory that holds the tools, Category/Name/tool.py")
    if flags.predictions and (flags.ask or flags.bench in DIALOGUES):
        raise InputError("--predictions: a model must answer; finished dialogues are for --bench transcripts")
    if flags.bench == "transcripts" and not flags.predictions:
        raise InputError("--predictions: name the file of transcripts")
    odd = [f"--{name.replace('_', '-')}" for name, benches in ONLY.items()
           if getattr(flags, name) != getattr(Flags, name) and flags.bench not in benches]
    if odd:
        raise InputError(f"{', '.join(odd)}: not for {flags.bench}")
    flags = replace(flags, level=flags.level or NOISY.get(flags.bench, ""))
    if flags.out:
        make_folder(Path(flags.out))
    if flags.ask:
        dialogue.ask(flags, find_model(flags.model))
    elif flags.bench == "transcripts":
        evaluate_transcripts(flags)
    elif flags.bench in DIALOGUES:
        evaluate_dialogues(flags)
    else:
        evaluate_calls(flags)


if __name__ == "__main__":
    cli(main)
