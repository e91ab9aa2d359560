"""Does a tool's feedback report an error, and of which kind? (TL-Training, section 3.1 and Figure 1.)

Feedback is whatever a tool gave back: JSON, the repr of a Python object, either of them cut off in the
middle, a web page, the message of an exception, a sentence, nothing. What it complains of is found by its
structure, and no complaint is a success; the texts of a complaint then name the kind of error.

An empty answer is no error (`[]`, `null`, "No results"): the call was right and there was nothing to find.
Nor is an empty error field (`"errors": []`, `"error_code": 0`), and words inside the data never count.

    python -m data.feedback FILE     # Figure 1 for a file of trajectories
"""

import enum
import json
import re
from collections import Counter

from data import trajectories
from data.tools import read_tools
from plumbing.flags import Parser, cli


class Feedback(enum.Enum):
    """What a call came to: the seven categories of the paper's Figure 1."""

    ALL_RIGHT = "All Right"
    TOOL_INSTABILITY = "Tool Instability"                # the service is down, limited, or gives no reason
    TOOL_CALL_FAILURE = "Tool Call Failure"              # the tool's own code broke
    TOOL_HALLUCINATION = "Tool Hallucination"            # there is no such tool
    PARAMETER_HALLUCINATION = "Parameter Hallucination"  # the tool has no such parameter
    PARAMETER_MISSING = "Parameter Missing"              # a parameter that the tool requires was left out
    OTHERS = "Others"                                    # mostly values that the tool does not accept

    @property
    def is_error(self):
        return self is not Feedback.ALL_RIGHT


INSTABILITY, FAILURE, OTHERS = Feedback.TOOL_INSTABILITY, Feedback.TOOL_CALL_FAILURE, Feedback.OTHERS
NO_TOOL, NO_PARAMETER = Feedback.TOOL_HALLUCINATION, Feedback.PARAMETER_HALLUCINATION
MISSING = Feedback.PARAMETER_MISSING


def _re(*alternatives):
    return re.compile("|".join(alternatives), re.IGNORECASE)


# A text is an error if it *begins* like one of these; the first that fits names the kind.
TEXT = (
    # Python: the call does not fit the function, or there is no function
    (MISSING, _re(r"[\w.]+\(\) missing \d+ required ")),
    (NO_PARAMETER, _re(r"[\w.]+\(\) got an unexpected keyword argument ")),
    (NO_TOOL, _re(r"name '[^'\n]+' is not defined$")),
    # Python: str() of an exception inside the tool; of a KeyError that is the key alone, in quotes
    (FAILURE, _re(
        r"'[^'\n]{0,60}'$", r"[\w.]+\(\) (takes|got|argument) ", r"'\S+' not supported between instances",
        r"'\w+' object (has no|is not|does not) ", r"(argument|object) of type .* (is|has) ",
        r"unsupported (operand )?type", r"\w+ (index|indices) (out of|must be)", r"unhashable type",
        r"(cannot access )?local variable '", r"(not enough|too many) values to unpack",
        r"could not convert ", r"invalid literal for ", r"can only concatenate ", r"extra data: ",
        r"expecting (value|property name)", r"time data '", r"'\S+' codec can't ", r"no module named ",
        r"division by zero", r"\[errno \d\d?\]", r"failed to parse: ", r"(invalid url|unknown column) '")),
    # the network, and HTTP when the service gives no reason
    (INSTABILITY, _re(
        r"https?connectionpool\(", r"\('connection ", r"\[errno ", r"\d+ (client|server) error: ",
        r"\[?[45]\d\d\]?[\s:-]*(bad|un(?!i)|forbidden|(not|method|too|service|error)\b|internal|gateway"
        r"|invalid)",
        r"(bad request|forbidden|unauthorized|internal server error|service unavailable)\W*$",
        r"(\S+\s+){0,4}(could not|can't) connect\b", r"connection (error|refused|reset)",
        r"(\S+ ){0,3}timed out", r"(\S+ ){1,4}is not authorized$",
        r"too many requests", r"rate limit", r"exceeded \d+ ")),
    # a tool turns the call down
    (OTHERS, _re(
        r"(fatal )?(error|exception)\s*[:!-]", r"traceback \(most", r"\w+(error|exception)[:(]",
        r"bad request: ", r"failed to ", r"(\S+ ){0,4}not found\W*$",
        r"the \w+ (could|was|has) not (be |been )?found\W*$",
        r"(symbol|value|parameter|argument|query|id|the input)\b.{0,80} is not (supported|valid|an? |for )",
        r"(wrong|invalid|illegal|improperly|malformed|missing|unknown|unsupported) (?=.{1,100}(\n|$))",
        r"[\w ]{1,40}( error\.?$| has incorrect format)", r"please (specify|provide|enter|input|check) ",
        r"/bin/\w+: ", r"\w+: .*: (file exists|no such file|permission denied|command not found)")),
)

# A web page is an error if its title, a heading or the start of its body says so.
PAGE = _re(r"<(!doctype|html|head|body|h1)\b")
PAGE_ERROR = _re(r"<(title|h[1-4]|pre|body)\b[^<>]*>[^<]*?(error|\b[45]\d\d\b|not found|bad request|denied"
                 r"|forbidden|unauthorized|unavailable|bad gateway|cannot (get|post))")

# Members of a JSON object that tell of an error: name and value, each matched whole. The last two count only
# in an object that holds nothing but a report: an order may have failed, and Mexico's code is 484.
ERROR = r"(non_field_)?errors?([ _]?(message|msg|description|detail))?|fault(string)?|exception"
MEMBERS = (
    (_re(ERROR), _re(r"(?!(0|false|none|null|n/?a|no errors?|ok|success)$)(.|\n)+")),
    (_re(r"error_?(code|no)|errno"), _re(r"(?!(0+|200|none|null|ok|success)$).+")),
    (_re(r"success|ok"), _re(r"false")),
    (_re(r"(http_?)?(status|code|cod)(_?code)?"), _re(r"[45]\d\d")),
    (_re(r"(query_)?status|type|result"), _re(r"errors?|fail(ed|ure)?|not found|unauthorized|forbidden",
                                              r"bad request.*", r"(invalid|illegal|unknown)_.*")),
)
REASON = _re(ERROR, r"message|msg|message_?detail|reason|comment|detail|info|title|text|description|status",
             r"request_result")  # members in which an object that reports an error says why
ENVELOPES = {"status", "meta", "message", "response", "error", "result", "data"}
REPORT = _re(*(name.pattern for name, _ in MEMBERS), REASON.pattern, *ENVELOPES,
             r"(request|trace)_?id|timestamp|path")  # members of an object that is no data

# An object with a message and nothing else is an error if the message turns something down. So is one that
# has only lists of such sentences, a list for each field of a form.
NOTE = _re(r"message|msg|message_?detail|detail|reason|information|note")
REFUSAL = _re(
    r"\b(illegal|invalid|unknown|unrecogni[sz]ed|unsupported|missing|exceed(s|ed)|denied|forbidden)\b",
    r"\b(not|n't) (found|exist|a? ?valid|supported|allowed|authorized|subscribed|available|have access)\b",
    r"\b(must (be|have|match|contain)|(is|are) required|too many|cannot|unable to|could not|failed)\b",
    r"\b(unauthorized|unavailable|unreachable|premium|rate limit|bad request|no \w+ resource was found)\b")
FORM = _re(r"(enter|select) an? |(this field|ensure this|not a valid) |.* is not (a valid|one of) ")

# The texts of a complaint name its kind: all together for a parameter, any one for the service, to which a
# complaint that is bare of reasons is put down too.
PARAMETER = (
    (MISSING, _re(r".*(\b(is|are) required\b|need another parameter|requires? at least one)",
                  r".*can not both be none", r"missing (required )?(\w+ )?param")),
    (NO_PARAMETER, _re(r".*\bfield do(es)? not exist", r"(unknown|unexpected) (param|field|arg|key)")),
)
SERVICE = _re(
    r"rate limit|quota|too many requests|(not |un)authorized|^forbidden|not subscribed|premium|api key",
    r"invalid api call|(internal|unknown|server|response|connection|timeout) error|timed out|redirects",
    r"unavailable|unreachable|shards failed|endpoint '.*' does not exist|no \w+ resource was found",
    r"connectionpool\(")
BARE = _re(r"\d*", r"https?://\S+", r"message error\W*",
           r"(error:? ?)?([45]\d\d[ :-]*)?(bad request|unprocessable entity|error|fail(ed|ure)?)")


def classify(text, call_name=None, tools=()):
    """The `Feedback` category of one feedback text. Total: every text has one.

    `call_name` and `tools` (schemas or `data.tools.Tool`) say which tool was called and which were offered,
    where that is known. An error from a tool that was not offered is a Tool Hallucination; a success from one
    stays a success, for the tool was there. And "name 'x' is not defined" from a tool that *was* offered is a
    Tool Call Failure: the call was right, the code behind it is missing. Raises InputError for a bad schema.

    >>> classify("get_recipes() missing 1 required positional argument: 'size'")
    <Feedback.PARAMETER_MISSING: 'Parameter Missing'>
    >>> classify('{"get": "teams", "errors": [], "results": 0, "response": []}')
    <Feedback.ALL_RIGHT: 'All Right'>
    """
    complaint = _complaint(text.strip())
    if not complaint:
        return Feedback.ALL_RIGHT
    kind = _kind(complaint)
    if call_name is None or not tools:
        return kind
    if call_name not in {tool.name for tool in read_tools(tools)}:
        return NO_TOOL
    return FAILURE if kind is NO_TOOL else kind


def _complaint(value, depth=0):
    """The texts in which feedback, or a JSON value in it, reports an error; none for a success."""
    if depth > 5:
        return []
    if isinstance(value, str):
        parsed = _parse(value)
        if isinstance(parsed, (dict, list, str)):
            return _complaint(parsed, depth + 1)
        return [value] if _text_kind(value) else []
    if isinstance(value, list):  # an error if all members are; three tell
        parts = [_complaint(member, depth + 1) for member in value[:3] if isinstance(member, dict)]
        return [text for part in parts for text in part] if all(parts) else []
    if not isinstance(value, dict):
        return []
    found = _own_complaint(value)
    for key, member in value.items():
        if key == "response" and member and set(found) <= {"Message error..."}:
            found = _complaint(member, depth + 1)  # what ToolBench's wrapper says when it does not know more
        elif isinstance(member, dict) and (key.lower() in ENVELOPES or len(value) == 1):
            found = found + _complaint(member, depth + 1)
    return found


def _own_complaint(value):
    """`_complaint` of a JSON object, from its own members alone."""
    said = [text for key, member in value.items() if REASON.fullmatch(key) for text in _texts(member)]
    is_report = all(REPORT.fullmatch(key) or not member for key, member in value.items())
    for key, member in value.items():
        holds = isinstance(member, (dict, list))
        text = " ".join(_texts(member)) if holds else str(member).strip()
        rules = MEMBERS[:1] if holds else MEMBERS if is_report else MEMBERS[:3]
        if any(name.fullmatch(key) and wrong.fullmatch(text) for name, wrong in rules):
            return said or [text]
    if all(NOTE.fullmatch(key) for key in value):
        return [text for text in _texts(value) if REFUSAL.search(text)]
    if all(isinstance(member, list) and member for member in value.values()):
        texts = _texts(value)
        return texts if all(FORM.match(text) for text in texts) else []
    return []


def _texts(value):
    """The scalars of a JSON value as texts, in order; null, false, zero and the empty text are left out."""
    found, rest = [], [value]
    while rest:
        value = rest.pop()
        if isinstance(value, (dict, list)):
            rest += reversed(value.values() if isinstance(value, dict) else value)
        elif value:
            found.append(str(value).strip())
    return found


def _text_kind(text):
    """The kind of error that a text which is no JSON reports; None for a success."""
    if PAGE.match(text):
        return INSTABILITY if PAGE_ERROR.search(text) else None
    return next((kind for kind, pattern in TEXT if pattern.match(text)), None)


def _kind(complaint):
    """The kind of error that the texts of a complaint name."""
    if len(complaint) == 1 and (kind := _text_kind(complaint[0])) not in (None, OTHERS):
        return kind
    reasons = [text for text in complaint if not BARE.fullmatch(text)]
    if not reasons or any(SERVICE.search(text) for text in reasons):
        return INSTABILITY
    return next((kind for kind, pattern in PARAMETER if all(pattern.match(text) for text in reasons)), OTHERS)


# A string; a mark; another word of JSON or of a Python literal; a quote that nothing closes, with the rest.
TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')|([][{},:])|([^][{},:"'\s]++)|(["'].*)""",
                   re.DOTALL)
WORDS = {"True": "true", "False": "false", "None": "null"}
CLOSING = {"{": "}", "[": "]"}


def _parse(text):
    """The JSON value of a text, a Python object's repr, or either cut off; None for any other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # ValueError is also an integer of thousands of digits
        pass
    try:
        return json.loads(_mended(text), strict=False) if text[:1] in CLOSING else None
    except (ValueError, RecursionError):
        return None


def _mended(text):
    """JSON or a Python literal -> JSON; one that was cut off is closed after its last whole member."""
    tokens, whole = [], 0
    for string, mark, word, cut in TOKEN.findall(text):
        if mark == ",":
            whole = len(tokens)
        if cut:
            whole = len(tokens) + (tokens[-1:] == [":"])  # half of a member's text still says something
            string = json.dumps(cut[1:])
        elif string.startswith("'"):
            string = json.dumps(string[1:-1])
        tokens.append(string or mark or WORDS.get(word, word))
    if _unclosed(tokens):
        tokens = tokens[:whole]
    return " ".join(tokens + _unclosed(tokens))


def _unclosed(tokens):
    """The brackets that would close what `tokens` leave open."""
    closing = []
    for token in tokens:
        if token in CLOSING:
            closing.append(CLOSING[token])
        elif closing and token == closing[-1]:
            closing.pop()
    return closing[::-1]


def shares(conversations):
    """(Counter of `Feedback` over the calls that have feedback, number of conversations with an error)"""
    counts, failed = Counter(), 0
    for conversation in conversations:
        pairs = zip(conversation.turns, conversation.turns[1:])
        kinds = [classify(turn.content, call.name, conversation.tools) for call, turn in pairs
                 if (call.role, turn.role) == ("assistant", "function")]
        counts.update(kinds)
        failed += any(kind.is_error for kind in kinds)
    return counts, failed


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m data.feedback", description="Erroneous calls by category (Figure 1).")
    parser.add_argument("file", help="trajectories in TL-Training's raw format")
    conversations = trajectories.read(parser.parse_args().file)
    counts, failed = shares(conversations)
    calls = counts.total()
    for kind in Feedback:
        share = counts[kind] / max(calls, 1)
        print(f"{kind.value:<24}{counts[kind]:>7}{share:>8.1%}  {'█' * round(50 * share)}".rstrip())
    errors = calls - counts[Feedback.ALL_RIGHT]
    print(f"\n{errors} of {calls} calls with feedback are erroneous ({errors / max(calls, 1):.1%})")
    total = len(conversations)
    print(f"{failed} of {total} trajectories have one or more ({failed / total:.1%})")


if __name__ == "__main__":
    cli(main)
