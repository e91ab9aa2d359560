"""What became of whole dialogues (TL-Training, section 4.1): DE and CE per call, VA per query.

    python -m evaluation.dialogue_scores FILE                    # dialogues in the raw trajectory format
    python -m evaluation.dialogue_scores --rotbench DIR          # the calls that RoTBench's third turn shows, clean

DE, documentation error: the call names a tool that was not offered or a parameter that its schema lacks, or
the feedback says so, or says that a parameter is missing; the tool's code may know fewer parameters than its
schema, as that of 23 tools of ToolEyes. A parameter that only the schema calls required
counts if the feedback reports an error, whatever it is: real tools often do without. CE, call error: any
other error that the feedback reports, and a turn that is no call. VA, valid answer: `finish` within nine
turns, with an answer that is not empty and no refusal; where the expected value is known, the stricter VA is
that the answer holds it.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from data.calls import Call, ParseError
from data.feedback import Feedback, classify
from data.tools import Tool
from data.trajectories import read_item
from evaluation import benchmarks, call_formats
from plumbing.files import InputError, parse_json, read_json
from plumbing.flags import Parser, cli

MAX_TURNS = 9  # ToolEyes' own loop ends after that many
REFUSAL = re.compile(r"\b(cannot|can't|can not|unable to) (handle|complete|solve) (the|this) task", re.I)
DE_KINDS = ("unknown tool", "unknown parameter", "missing parameter")
CE_KINDS = ("unparsable", "error reported")


class Step(NamedTuple):
    """One turn of the model."""
    text: str
    call: Call | None      # None: the text is no call
    feedback: str | None   # what the tool gave back; None for a turn that no tool answered


class Transcript(NamedTuple):
    id: str
    tools: tuple[Tool, ...]
    steps: tuple[Step, ...]
    expected: str = ""     # the value that the answer must hold, where it is known


# -------------------------------------------------------------------------------------------------- reading

def read(path):
    """The transcripts of a file. Raises InputError that names file, item and turn.

    The format is that of trajectories, and "expected" the value that an answer must hold, where it is known;
    but a turn of the model may be any text: that is not the file's fault.
    """
    items = read_json(path)
    if not isinstance(items, list):
        raise InputError(f"{path}: must be a JSON list of conversations, not {type(items).__name__}")
    if not items:
        raise InputError(f"{path}: holds no conversation")
    return [_read_item(item, f"{path}: item {i}") for i, item in enumerate(items)]


def _read_item(item, where):
    messages = item.get("conversations") if isinstance(item, dict) else None
    if isinstance(messages, list):  # read as plain text, the model's turns cannot be malformed
        item = item | {"conversations": [m | {"role": "user"} if _is_call(m) else m for m in messages]}
    conversation = read_item(item, where)
    expected = item.get("expected") or ""
    if not isinstance(expected, str):
        raise InputError(f"{where}: expected is not text")
    return _transcript(conversation, [_is_call(message) for message in messages], expected)


def _is_call(message):
    return isinstance(message, dict) and message.get("role") == "assistant"


def _transcript(conversation, is_call, expected):
    steps = []
    for turn, here, after in zip(conversation.turns, is_call, (*conversation.turns[1:], None)):
        if here:
            answered = after is not None and after.role == "function"
            call = _call(turn, conversation.tools)
            steps.append(Step(turn.content, call, after.content if answered else None))
    return Transcript(conversation.id, conversation.tools, tuple(steps), expected)


def transcript(conversation, expected=""):
    """The Transcript of a Conversation or Task, whose assistant turns may hold any text."""
    return _transcript(conversation, [turn.role == "assistant" for turn in conversation.turns], expected)


def _call(turn, tools):
    if turn.arguments is not None:
        return Call(turn.name, turn.arguments, (0, len(turn.name)))
    try:
        return read_call(turn.content, tools)
    except ParseError:
        return None


def read_call(text, tools):
    """The Call in a turn's text: `name`, a newline and JSON as trajectories have it, or the first one in any
    form of evaluation/call_formats.py.

    Raises ParseError.

    >>> read_call('get_time(city="Oslo")\\n{"time": "12:00"}', ()).name  # it goes on with what may come back
    'get_time'
    """
    name, _, rest = text.partition("\n")
    if name.strip() and "(" not in name:
        try:
            arguments = parse_json(rest, "arguments")
        except InputError:
            arguments = None
        if isinstance(arguments, dict):
            return Call(name.strip(), arguments, (0, len(name.strip())))
    return call_formats.calls(text, tools)[0]


def rotbench(folder):
    """The calls that RoTBench shows before its third turn (clean), as transcripts."""
    return [transcript(task) for task in benchmarks.read("rotbench", folder, "clean", "third")]


# ---------------------------------------------------------------------------------------------------- rules

def fault(step, tools):
    """("DE", one of DE_KINDS) or ("CE", one of CE_KINDS), or ("", "") for a call without fault."""
    if step.call is None:
        return "CE", "unparsable"
    unanswered = step.feedback is None
    found = Feedback.ALL_RIGHT if unanswered else classify(step.feedback, step.call.name, tools)
    schemas = [tool for tool in tools if tool.name == step.call.name]  # a name may be offered twice
    if not schemas or found is Feedback.TOOL_HALLUCINATION:
        return "DE", "unknown tool"
    known = {parameter.name for tool in schemas for parameter in tool.parameters}
    if step.call.arguments.keys() - known or found is Feedback.PARAMETER_HALLUCINATION:
        return "DE", "unknown parameter"
    required = {parameter.name for parameter in schemas[0].parameters if parameter.required}
    if found is Feedback.PARAMETER_MISSING or found.is_error and required - step.call.arguments.keys():
        return "DE", "missing parameter"
    return ("CE", "error reported") if found.is_error else ("", "")


def final_answer(transcript):
    """The text that `finish` gives as the answer within nine turns; "" without one."""
    for step in transcript.steps[:MAX_TURNS]:
        if step.call is not None and step.call.name == "finish":
            answer = step.call.arguments.get("answer")
            return "" if answer is None else str(answer).strip()
    return ""


def is_valid(transcript):
    """VA: does it end in an answer?"""
    answer = final_answer(transcript)
    return bool(answer) and not REFUSAL.search(answer)


def is_right(transcript):
    """The stricter VA: does it end in an answer that holds the expected value?"""
    return is_valid(transcript) and holds(final_answer(transcript), transcript.expected)


def holds(text, expected):
    """Does a text hold a value, as a word of its own? Case, white space, thousands commas and trailing zeros
    do not count.

    >>> holds("It costs 1,250.50 EUR.", "1250.5 eur"), holds("17.5 degrees", "7.5"), holds("-3", "3")
    (True, False, False)
    """
    text, expected = _plain(text), _plain(expected)
    minus = r"(?<!(?<!\w)-)" if expected[:1].isdigit() else ""
    return bool(re.search(rf"(?<!\w)(?<!\d\.){minus}{re.escape(expected)}(?!\w|\.\d)", text))


def _plain(text):
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(text.casefold().split()))
    return re.sub(r"(?<=\d)(?:\.0+|(\.\d*[1-9])0+)(?!\d)", r"\1", text)


def count(transcripts):
    """{"calls", "DE", "CE", "queries", "VA", "kinds"}: numbers of calls and of queries.

    Where all have a value that their answer must hold, "VA" counts the answers that do, and "VA_paper" all
    valid ones.
    """
    faults = Counter(fault(step, transcript.tools) for transcript in transcripts for step in transcript.steps)
    groups = Counter()
    for (group, _), n in faults.items():
        groups[group] += n
    answers = {"VA": sum(map(is_valid, transcripts))}
    if transcripts and all(transcript.expected for transcript in transcripts):
        answers = {"VA": sum(map(is_right, transcripts)), "VA_paper": answers["VA"]}
    return {"calls": faults.total(), "DE": groups["DE"], "CE": groups["CE"],
            "queries": len(transcripts), **answers,
            "kinds": {kind: faults[group, kind] for group, kinds in (("DE", DE_KINDS), ("CE", CE_KINDS))
                      for kind in kinds}}


# -------------------------------------------------------------------------------- the authors' released rules

# TL-Training's mae.py looks for these in a feedback, both reduced to letters and digits, so that `"error":`
# finds every "error". The first three are what a documentation error causes.
RELEASED_DE = ("is not defined", "positional argument", "unexpected keyword")
RELEASED_CE = (
    "'related_searches'", "ConnectionError", '"error":', "not supported", "Invalid API call",
    "Response error", "Object of type SerpResults is not JSON serializable", "400 Client Error", "'error'",
    "connection error", "slice indices must be integers or None or have an __index__ method")


def released(feedback):
    """The group ("DE", "CE" or "") that the released rules give a feedback, and the text that decided.

    >>> released('{"get": "teams", "errors": []}')
    ('CE', '"error":')
    """
    for group, texts in (("DE", RELEASED_DE), ("CE", RELEASED_CE)):
        for text in texts:
            if _letters(text) in _letters(feedback or ""):
                return group, text
    return "", ""


def _letters(text):
    return re.sub("[^\u4e00-\u9fa5^a-zA-Z0-9]", "", text).lower()


# --------------------------------------------------------------------------------------------------- reports

def report(transcripts):
    """Lines: DE and CE with their kinds, of calls; VA, of queries."""
    counts = count(transcripts)
    for name, whole, kinds in (("DE", "calls", DE_KINDS), ("CE", "calls", CE_KINDS), ("VA", "queries", ())):
        yield _row(name, counts[name], counts[whole], whole)
        yield from (_row(f"  {kind}", counts["kinds"][kind], counts[whole]) for kind in kinds)
    if "VA_paper" in counts:
        yield _row("  any answer, the paper's rule", counts["VA_paper"], counts["queries"])


def _row(name, part, whole, unit=""):
    share = f"{100 * part / whole:.2f}%" if whole else "-"
    return f"{name:<32}{part:>6}{share:>9}" + (f"  of {whole} {unit}" if unit else "")


def comparison(transcripts):
    """Lines: our DE and CE beside the released rules', of the calls with feedback, and where they differ."""
    ours, theirs, differing = Counter(), Counter(), []
    for transcript in transcripts:
        for step in transcript.steps:
            if step.feedback is None:
                continue
            (group, kind), (other, text) = fault(step, transcript.tools), released(step.feedback)
            ours[group] += 1
            theirs[other] += 1
            if group != other:
                verdicts = f"ours {group or '-'} {kind}, released {other or '-'} {text}"
                differing.append(f"  {transcript.id}: {verdicts}: {' '.join(step.feedback.split())[:100]}")
    yield (f"{ours.total()} feedbacks; DE: ours {ours['DE']}, released {theirs['DE']}; "
           f"CE: ours {ours['CE']}, released {theirs['CE']}; they differ on {len(differing)}")
    yield from differing


def main(arguments=None):
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(prog="python -m evaluation.dialogue_scores", description="DE, CE and VA of dialogues")
    parser.add_argument("file", nargs="?", type=Path, help="dialogues in the raw trajectory format")
    parser.add_argument("--rotbench", type=Path, metavar="DIR", help="RoTBench's files; its third turn")
    parser.add_argument("--released", action="store_true", help="list where the released rules differ")
    flags = parser.parse_args(arguments)
    if (flags.file is None) == (flags.rotbench is None):
        raise InputError("name a FILE or --rotbench DIR")
    transcripts = rotbench(flags.rotbench) if flags.rotbench else read(flags.file)
    print(*report(transcripts), sep="\n")
    if flags.released or flags.rotbench:
        print(*comparison(transcripts), sep="\n")


if __name__ == "__main__":
    cli(main)
