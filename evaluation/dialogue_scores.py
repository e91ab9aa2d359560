"""What became of whole dialogues (TL-Training, section 4.1): DE and CE per call, VA per query.

DE, documentation error: the call names a tool that was not offered or a parameter that its schema
lacks, or the feedback says so, or says that a parameter is missing; the tool's code may know fewer
parameters than its schema, as that of 23 tools of ToolEyes. A parameter that only the schema calls
required counts if the feedback reports any error: real tools often do without it. CE, call error:
any other error that the feedback reports, and a turn that is no call. VA, valid answer: `finish`
within nine turns, with an answer that is not empty and no refusal. Where the expected value is
known, the stricter VA is that the answer holds it.

`evaluate.py --bench transcripts --predictions FILE` prints and writes them for the dialogues of a
file.
"""

import re
from collections import Counter
from typing import NamedTuple

from data import feedback
from data.calls import Call, ParseError, make_call
from data.chats import chat_form
from data.feedback import Feedback
from data.tools import Tool
from data.trajectories import read_item, read_items, read_unpaired
from data.turns import Conversation, order_feedback
from evaluation import call_formats
from evaluation.intervals import percent
from evaluation.tasks import plain_text
from plumbing.files import InputError, parse_json

MAX_TURNS = 9  # ToolEyes' own loop ends after that many
REFUSAL = re.compile(
    r"\b(cannot|can't|can not|unable to) (handle|complete|solve) (the|this) task", re.I)
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


# ------------------------------------------------------------------------------------------ reading

def read_transcripts(path):
    """The Transcripts of a file. Raises InputError that names file, item and turn.

    The formats are those of trajectories, and "expected" the value that an answer must hold, where
    it is known; but in the raw format a turn of the model may be any text: that is not the file's
    fault.
    """
    return [_read_transcript(item, where) for item, where in read_items(path)]


def _read_transcript(item, where):
    expected = (item.get("expected") or "") if isinstance(item, dict) else ""
    if not isinstance(expected, str):
        raise InputError(f"{where}: expected is not text")
    if isinstance(item, dict) and chat_form(item):
        return _make_transcript(read_item(item, where), expected)  # a text beside calls is no turn
    messages = item.get("conversations") if isinstance(item, dict) else None
    if isinstance(messages, list):
        item = item | {"conversations": [_as_plain_text(message) for message in messages]}
    tools, turns, labels = read_unpaired(item, where)
    is_model = [_is_model_turn(message) for message in messages]
    turns = [_with_call(turn._replace(role="assistant"), tools) if own else turn
             for turn, own in zip(turns, is_model, strict=True)]
    turns = order_feedback(turns, labels, where, texts=True)
    return _make_transcript(Conversation(str(item.get("id", "")), tools, turns), expected, True)


def _as_plain_text(message):
    """A message; a turn of the model as if it were the user's, which may be any text.

    The id of its call stays where a label is read from.
    """
    if not _is_model_turn(message):
        return message
    return {"tool_call_id": message.get("id")} | message | {"role": "user"}


def _is_model_turn(message):
    return isinstance(message, dict) and message.get("role") == "assistant"


def make_transcript(conversation, expected=""):
    """The Transcript of a Conversation or Task, whose assistant turns may hold any text."""
    turns = [_with_call(turn, conversation.tools) for turn in conversation.turns]
    conversation = Conversation(conversation.id, conversation.tools, tuple(turns))
    return _make_transcript(conversation, expected, True)


def _make_transcript(conversation, expected, texts=False):
    """texts: an assistant turn that is no call is a Step too, and a fault."""
    steps = []
    for place, turn in enumerate(conversation.turns):
        if turn.role == "assistant" and (turn.name or texts):
            call = make_call(turn.name, turn.arguments) if turn.name else None
            steps.append(Step(turn.content, call, conversation.feedback(place)))
    return Transcript(conversation.id, conversation.tools, tuple(steps), expected)


def _with_call(turn, tools):
    """An assistant turn with the call that its text holds, if it holds one."""
    if turn.role != "assistant" or turn.name:
        return turn
    try:
        call = read_call(turn.content, tools)
    except ParseError:
        return turn
    return turn._replace(name=call.name, arguments=call.arguments)


def read_call(text, tools):
    """The Call in a turn's text, in the format of trajectories or in any of call_formats.py.

    Trajectories have `name`, a newline and JSON. In the others the first call is taken. Raises
    ParseError.

    A text may go on with what the model expects to come back, and begin with a sentence or a mark:

    >>> read_call('get_time(city="Oslo")\\n{"time": "12:00"}', ()).name
    'get_time'
    >>> read_call('I look it up.\\n{"name": "get_time", "arguments": {"city": "Oslo"}}', ()).name
    'get_time'
    """
    recorded = _recorded_call(text)
    if recorded and recorded.name in {tool.name for tool in tools}:
        return recorded
    try:
        return call_formats.read_calls(text, tools)[0]
    except ParseError:
        if recorded is None:
            raise
        return recorded  # of a tool that is not offered


def _recorded_call(text):
    """The Call of a text that is `name`, a newline and a JSON object; None for another text."""
    name, _, rest = text.partition("\n")
    name = name.strip()
    if not name or "(" in name:
        return None
    try:
        arguments = parse_json(rest, "arguments")
    except InputError:
        return None
    return make_call(name, arguments) if isinstance(arguments, dict) else None


# -------------------------------------------------------------------------------------------- rules

def find_fault(step, tools):
    """("DE", one of DE_KINDS) or ("CE", one of CE_KINDS), or ("", "") for a call without fault."""
    if step.call is None:
        return "CE", "unparsable"
    name = step.call.name
    found = Feedback.ALL_RIGHT
    if step.feedback is not None:
        found = feedback.classify(step.feedback, name, tools)
    schemas = [tool for tool in tools if tool.name == name]  # a name may be offered twice
    if not schemas or found is Feedback.TOOL_HALLUCINATION:
        return "DE", "unknown tool"
    keys = step.call.arguments.keys()
    known = set()
    for tool in schemas:
        known.update(parameter.name for parameter in tool.parameters)
    if keys - known or found is Feedback.PARAMETER_HALLUCINATION:
        return "DE", "unknown parameter"
    required = {parameter.name for parameter in schemas[0].parameters if parameter.required}
    if found is Feedback.PARAMETER_MISSING or (found.is_error and required - keys):
        return "DE", "missing parameter"
    return ("CE", "error reported") if found.is_error else ("", "")


def final_answer(transcript):
    """The text that `finish` gives as the answer within nine turns; "" without one.

    ToolLLaMA calls it final_answer.
    """
    for step in transcript.steps[:MAX_TURNS]:
        if step.call is not None and step.call.name == "finish":
            arguments = step.call.arguments
            answer = arguments.get("answer", arguments.get("final_answer"))
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
    """Does a text hold a value, as a word of its own?

    Case, white space, thousands commas and trailing zeros do not count.

    >>> holds("It costs 1,250.50 EUR.", "1250.5 eur")
    True
    >>> holds("17.5 degrees", "7.5"), holds("-3", "3")
    (False, False)
    """
    text = plain_text(text)
    expected = plain_text(expected)
    minus = r"(?<!(?<!\w)-)" if expected[:1].isdigit() else ""
    pattern = rf"(?<!\w)(?<!\d\.){minus}{re.escape(expected)}(?!\w|\.\d)"
    return bool(re.search(pattern, text))


# ------------------------------------------------------------------------------------------- counts

def count_faults(transcripts):
    """{"calls", "DE", "CE", "queries", "VA", "kinds"}: numbers of calls and of queries.

    Where all have a value that their answer must hold, "VA" counts the answers that do, and
    "VA_paper" all valid ones.
    """
    faults = Counter()
    for transcript in transcripts:
        faults.update(find_fault(step, transcript.tools) for step in transcript.steps)
    kinds = {kind: faults["DE", kind] for kind in DE_KINDS}
    kinds |= {kind: faults["CE", kind] for kind in CE_KINDS}
    valid = sum(map(is_valid, transcripts))
    answers = {"VA": valid}
    if transcripts and all(transcript.expected for transcript in transcripts):
        answers = {"VA": sum(map(is_right, transcripts)), "VA_paper": valid}
    return {"calls": faults.total(),
            "DE": sum(kinds[kind] for kind in DE_KINDS),
            "CE": sum(kinds[kind] for kind in CE_KINDS),
            "queries": len(transcripts), **answers, "kinds": kinds}


def fault_table(transcripts):
    """Lines: DE and CE with their kinds, of calls; VA, of queries."""
    counts = count_faults(transcripts)
    calls = counts["calls"]
    for name, kinds in (("DE", DE_KINDS), ("CE", CE_KINDS)):
        yield _fault_row(name, counts[name], calls, "calls")
        for kind in kinds:
            yield _fault_row(f"  {kind}", counts["kinds"][kind], calls)
    yield _fault_row("VA", counts["VA"], counts["queries"], "queries")
    if "VA_paper" in counts:
        yield _fault_row("  any answer, the paper's rule", counts["VA_paper"], counts["queries"])


def _fault_row(name, part, whole, unit=""):
    of_what = f"  of {whole} {unit}" if unit else ""
    return f"{name:<32}{part:>6}{percent(part, whole):>9}{of_what}"


# ---------------------------------------------------------------------- the authors' released rules

# TL-Training's mae.py looks for these in a feedback, both reduced to letters and digits, so that
# `"error":` finds every "error". The first three are what a documentation error causes.
RELEASED_DE = ("is not defined", "positional argument", "unexpected keyword")
RELEASED_CE = (
    "'related_searches'", "ConnectionError", '"error":', "not supported", "Invalid API call",
    "Response error", "Object of type SerpResults is not JSON serializable", "400 Client Error",
    "'error'", "connection error",
    "slice indices must be integers or None or have an __index__ method")


def released_fault(text):
    """The group ("DE", "CE" or "") that the released rules give a feedback, and what decided.

    >>> released_fault('{"get": "teams", "errors": []}')
    ('CE', '"error":')
    """
    letters = _letters(text)
    for group, marks in (("DE", RELEASED_DE), ("CE", RELEASED_CE)):
        for mark in marks:
            if _letters(mark) in letters:
                return group, mark
    return "", ""


def _letters(text):
    return re.sub("[^\u4e00-\u9fa5^a-zA-Z0-9]", "", text).lower()


def released_table(transcripts):
    """Lines: our DE and CE beside the released rules', of the calls with feedback.

    After the counts there is a line for every call on which they differ.
    """
    ours = Counter()
    theirs = Counter()
    differing = []
    for transcript in transcripts:
        for step in transcript.steps:
            if step.feedback is None:
                continue
            group, kind = find_fault(step, transcript.tools)
            other, mark = released_fault(step.feedback)
            ours[group] += 1
            theirs[other] += 1
            if group != other:
                start = " ".join(step.feedback.split())[:100]
                differing.append(f"  {transcript.id}: ours {group or '-'} {kind}, "
                                 f"released {other or '-'} {mark}: {start}")
    yield (f"{ours.total()} feedbacks; DE: ours {ours['DE']}, released {theirs['DE']}; "
           f"CE: ours {ours['CE']}, released {theirs['CE']}; they differ on {len(differing)}")
    yield from differing
