"""Turns of a conversation, and which result answers which call.

Assistant turns in a row make a run, and the function turns after it are its results: n calls take
the next n results in order. Where calls and results bear ids (or results the names of tools), these
decide: results are put in the order of their calls when a file is read, so that the order is the
pairing from then on. Anything else, such as two calls and one result, is refused.
"""

from typing import NamedTuple

from data.tools import Tool, write_call
from plumbing.files import InputError

NEVER_ANSWERED = ("finish", "ask_to_user", "respond")  # in any case; the user answers, or nobody


class Turn(NamedTuple):
    """A message of a conversation."""

    role: str                      # "system", "user", "assistant" or "function"
    content: str                   # as recorded; calls: the call as the model writes it
    name: str = ""                 # calls: the tool that is called ...
    arguments: dict | None = None  # ... and its arguments; an assistant's text has neither


class Conversation(NamedTuple):
    """An item of a trajectory file."""

    id: str
    tools: tuple[Tool, ...]
    turns: tuple[Turn, ...]  # turns[0] is the system turn

    def feedback(self, place):
        """The text of the result of the call at `place` of the turns; None if it has none."""
        result = feedback_place(self.turns, place)
        return None if result is None else self.turns[result].content


class Label(NamedTuple):
    """Where a turn stands in its file, and what it says of the call that it is or answers."""

    message: int   # its place among the item's messages
    id: str = ""
    tool: str = ""  # results only


def make_call_turn(name, arguments, where):
    """The Turn of a call. Names are stripped. Raises InputError that starts with `where`."""
    name = name.strip()
    stripped = {key.strip(): value for key, value in arguments.items()}
    if len(stripped) < len(arguments):
        raise InputError(f"{where}: two arguments of {name} differ in white space alone")
    return Turn("assistant", checked(write_call(name, stripped), where), name, stripped)


def is_marked_error(message):
    """Whether a message of a tool is marked as an error: by Anthropic, MCP or LangChain."""
    flags = [message.get(key) for key in ("is_error", "isError")]
    is_flagged = any(flag in (True, "true", "True") for flag in flags)
    return is_flagged or message.get("status") == "error"


def checked(text, where):
    """`text`, if it is Unicode text. Raises InputError that starts with `where`.

    Half a surrogate pair is not: JSON can spell it and no tokenizer can read it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: not Unicode text at character {error.start}") from None
    return text


# ------------------------------------------------------------------------------------------ pairing

def feedback_place(turns, place):
    """The place of the result of the call at `place`; None if it has none."""
    start = place
    while start and turns[start - 1].role == "assistant":
        start -= 1
    stop, results = _run_at(turns, start)
    return (_pairs(turns, start, stop, results) or {}).get(place)


def order_feedback(turns, labels, where, texts=False):
    """Turns with the results in the order of their calls. labels: a Label for each turn.

    texts: a text of the model, which is no call, may have a result too. Raises InputError that
    starts with `where` and names the turn, unless every result has its call, and every call that
    can have a result has one or none of a run has.
    """
    ordered = list(turns)
    place = 0
    while place < len(turns):
        here = f"{where}, turn {labels[place].message}"
        if turns[place].role == "function":
            raise InputError(f"{here}: a result, but no call before it")
        if turns[place].role != "assistant":
            place += 1
            continue
        stop, results = _run_at(turns, place)
        pairs = _pairs(turns, place, stop, results)
        if pairs is None or not (texts or all(turns[call].name for call in pairs)):
            calls = sum(bool(turn.name) for turn in turns[place:stop])
            raise InputError(f"{here}: {_count(calls, 'call')} in a row, "
                             f"but {_count(len(results), 'result')}")
        if any(labels[result].id or labels[result].tool for result in results):
            for result, source in _by_label(turns, labels, pairs, where).items():
                ordered[result] = turns[source]
        place = stop + len(results)
    return tuple(ordered)


def _run_at(turns, start):
    """The run of assistant turns at `start` -> (the place after it, places of its results)."""
    stop = start
    while stop < len(turns) and turns[stop].role == "assistant":
        stop += 1
    after = stop
    while after < len(turns) and turns[after].role == "function":
        after += 1
    return stop, range(stop, after)


def _pairs(turns, start, stop, results):
    """{place of a call: place of its result} of a run; None where their numbers do not fit."""
    calls = [place for place in range(start, stop) if turns[place].name]
    if len(calls) == len(results):
        return dict(zip(calls, results, strict=True))
    is_last = stop == len(turns)
    if not results and (len(calls) == 1 or is_last):
        return {}
    answered = [place for place in calls if turns[place].name.casefold() not in NEVER_ANSWERED]
    # the latter: a text that is no call may have been answered, too
    for candidates in (answered, range(start, stop)):
        if len(candidates) == len(results):
            return dict(zip(candidates, results, strict=True))
    return None


def _by_label(turns, labels, pairs, where):
    """{place of a result: place of the one that belongs there, by its label}."""
    waiting = dict(pairs)  # calls without a result so far -> where its result belongs
    source = {}
    unlabelled = []
    for result in pairs.values():
        call = _call_of(result, turns, labels, waiting, pairs, where)
        if call is None:
            unlabelled.append(result)
        else:
            source[waiting.pop(call)] = result
    source.update(zip(waiting.values(), unlabelled, strict=True))
    return source


def _call_of(result, turns, labels, waiting, pairs, where):
    """The call among `waiting` that a result names; None if it names none."""
    id = labels[result].id
    tool = labels[result].tool
    if id and any(labels[call].id for call in pairs):
        found = [call for call in waiting if labels[call].id == id]
        if not found:
            is_taken = any(labels[call].id == id for call in pairs)
            which = "a second result" if is_taken else "a result"
            here = f"{where}, turn {labels[result].message}"
            raise InputError(f"{here}: {which} for the id {id!r:.60}, for which no call is waiting")
        return found[0]
    found = [call for call in waiting if tool and turns[call].name == tool]
    return found[0] if found else None


def _count(number, thing):
    return f"{number} {thing}" + ("" if number == 1 else "s")
