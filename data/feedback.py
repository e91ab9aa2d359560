"""Does a tool's feedback report an error, and of which kind? (TL-Training, 3.1 and Figure 1.)

Feedback is the text that a tool gave back: JSON, the repr of a Python object, either of them cut
off in the middle, a web page, the message of an exception, a sentence, nothing; bare, in a tag such
as <tool_response>, or in the message of a protocol (MCP, Anthropic, OpenAI). The answer takes
two steps. The structure of the feedback tells whether it complains of something, and in a text that
has none a small grammar does (data/complaints.py); without a complaint the call is a success. The
texts of the complaint then name the kind of error.

An empty answer is no error (`[]`, `null`, "No results"): the call was right and there was nothing
to find. Nor is an empty error field (`"errors": []`, `"error_code": 0`), and words inside the data
never count.

    python -m data.feedback FILE     # Figure 1 for a file of trajectories
"""

import enum
import itertools
import re
from collections import Counter
from typing import NamedTuple

from data import trajectories
from data.complaints import any_of, complains
from data.literals import parse_literal, parse_object
from data.tools import read_tools
from plumbing.flags import Parser, cli


class Feedback(enum.Enum):
    """What a call came to: the seven categories of the paper's Figure 1."""

    ALL_RIGHT = "All Right"
    # The service is down, limits its use, or gives no reason.
    TOOL_INSTABILITY = "Tool Instability"
    # The tool's own code broke.
    TOOL_CALL_FAILURE = "Tool Call Failure"
    # There is no such tool.
    TOOL_HALLUCINATION = "Tool Hallucination"
    # The tool has no such parameter.
    PARAMETER_HALLUCINATION = "Parameter Hallucination"
    # A parameter that the tool requires was left out.
    PARAMETER_MISSING = "Parameter Missing"
    # Mostly values that the tool does not accept.
    OTHERS = "Others"

    @property
    def is_error(self):
        """Whether the call failed; such a call gets no weight in the loss (MAE)."""
        return self is not Feedback.ALL_RIGHT


# ------------------------------------------------------- rules for a text: how it begins

# Python refused the call: it lacks an argument that the function requires.
LACKS_ARGUMENT = any_of(r"[\w.<>]+\(\) missing \d+ required ")

# Python refused the call: the function has no such parameter.
UNEXPECTED_ARGUMENT = any_of(r"[\w.<>]+\(\) got an unexpected keyword argument ")

# Python found no function of that name.
UNDEFINED_NAME = any_of(r"name '[^'\n]+' is not defined$")

# A server (MCP, JSON-RPC) has no such tool.
UNKNOWN_TOOL = any_of(
    r"(mcp error -32601|method not found|no such (tool|function)\b)",
    r"unknown tool \S+$",
    r"(there is )?no (tool|function) (named|called) ",
    r"unknown (tool|function|method)\s*[:'\"`]",
    r"\S{1,80} is not a valid (tool|function)\b",
    r"(the )?(tool|function|method|action) \S{1,80} (was |is )?"
    r"(not (found|available|defined|registered)|do(es)?(n't| not) exist|unknown)")

# The text is str() of an exception inside the tool: the tool's own code broke.
EXCEPTION_IN_TOOL = any_of(
    r"'[^'\n]{0,60}'$",  # of a KeyError: the key alone, in quotes
    r"[\w.<>]+\(\) (takes|got|arg(ument)?|iterable argument) ",
    r"'\S+' not supported between instances",
    r"'\w+' object (has no|is not|does not) ",
    r"(argument|object) of type .* (is|has) ",
    r"unsupported (operand )?type",
    r"\w+ (index|indices) (out of|must be)",
    r"unhashable type",
    r"(cannot access )?local variable '",
    r"(not enough|too many) values to unpack",
    r"could not convert ",
    r"invalid literal for ",
    r"can only concatenate ",
    r"extra data: ",
    r"expecting (value|property name)",
    r"time data '",
    r"'\S+' codec can't ",
    r"no module named ",
    r"division by zero",
    r"(integer|float|complex) (division( or modulo)?|modulo) by zero$",
    r"'in <string>' requires string",
    r"type \w+ doesn't define __\w+__ method",
    r"pop from (an )?empty \w+$",
    r"unconverted data remains: ",
    r"badly formed hexadecimal uuid string",
    r"\[<class 'decimal\.\w+'>\]$",
    r"empty range (for|in) rand\w+\(",
    r"sample larger than population",
    r"nothing to repeat at position \d",
    r"\(\d+, 'numerical result out of range'\)",
    r"command '.{1,200}' returned non-zero exit status \d",
    r"file is not a zip file",
    r"singular matrix$",
    r"\[errno \d\d?\]",
    r"failed to parse: ",
    r"(invalid url|unknown column) '")

# The network broke, the service limits its use, or an HTTP status stands without a reason.
SERVICE_FAILED = any_of(
    r"https?connectionpool\(",
    r"\('connection ",
    r"\[errno ",  # the network's, of three digits; a file's has at most two and stands above
    r"\d+ (client|server) error: ",
    # a status and its name, not a number of things: "404 Methodist Road", "500 units in stock"
    r"\[?[45]\d\d\]?[\s:-]*(bad|un(?!i)|forbidden|internal|gateway|invalid"
    r"|(not|method|too|service|error)\b)",
    r"(bad request|forbidden|unauthorized|internal server error|service unavailable)\W*$",
    r"<?http(/[\d.]+)?( ?error| status)?( code)?:? [45]\d\d\b(?! (is|means))",
    r"[45]\d\d (get|post|put|patch|delete|head) https?://",
    r"[^\n]{1,80}\(http [45]\d\d\)\W*$",
    r"\([45]\d\d, b?['\"]",  # of SMTP
    r"(\S+ ){0,3}status code:? [45]\d\d\b",
    r"(\S+\s+){0,4}(could not|can't) connect\b",
    r"connection (error|refused|reset)",
    r"the connection to .{1,80} (is|was) (refused|reset|closed|lost)",
    r"net::err_",
    r"curl: \(\d+\)",
    r"[\w.-]+: .*: connection (refused|reset|timed out)",
    r"\w+ time-?out of \S+( ms)? exceeded",
    r"[\w.]{1,60}: time-?out \S+ exceeded",
    r"(\S+ ){0,3}timed out",
    r"time-?out( error)?(\W*$|:| (while|waiting|after|exceeded|of \S+ exceeded)\b)",
    r"(\S+ ){1,4}is not authorized$",
    r"too many requests",
    r"rate limit",
    r"exceeded \d+ ")

# The call was refused: so it was whatever label stands before these.
REFUSALS = (
    (LACKS_ARGUMENT, Feedback.PARAMETER_MISSING),
    (UNEXPECTED_ARGUMENT, Feedback.PARAMETER_HALLUCINATION),
    (UNKNOWN_TOOL, Feedback.TOOL_HALLUCINATION),
)
# A text that begins like one of these is an error, and the first that fits names the kind: a
# precise rule stands before a general one (a missing argument before an exception of any kind).
# Other texts are an error of another kind if they complain (data/complaints.py).
TEXT_RULES = (
    *REFUSALS,
    (UNDEFINED_NAME, Feedback.TOOL_HALLUCINATION),
    (EXCEPTION_IN_TOOL, Feedback.TOOL_CALL_FAILURE),
    (SERVICE_FAILED, Feedback.TOOL_INSTABILITY),
)

# A web page is an error, of the service, if its title, a heading or the start of its body says so.
PAGE = any_of(r"<(!doctype|html|head|body|h1)\b")
# The tag around what a tool gave back, and a tag that says that it is an error (also XML's root).
ELEMENT = any_of(r"<(?P<name>[a-z][\w.-]{0,60})(\s[^<>]{0,200})?>",
                 r"\[(?P<label>(tool_results?|error))\]")
TOOL_ELEMENT = any_of(r"\w*(tool|function|api)\w*|(respon[sc]e|results?|observation|output)s?")
ERROR_ELEMENT = any_of(r"[\w.-]*(error|fault|exception)(response|s)?")
# XML whose first text stands in an element of an error: a SOAP fault in its envelope and body.
FAULT = any_of(r"(<[^<>]{1,300}>\s*){0,5}<([\w-]+:)?(fault|errors?"
               r"|exception)\b[^<>]{0,300}>(?!\s*</)\s*\S")
DECLARATION = any_of(r"<\?xml[^<>]{0,200}\?>\s*")
# str() or repr() of a Python object: MCP's CallToolResult, LangChain's ToolMessage.
OBJECT = re.compile(r"([A-Za-z_]\w*+\(|(?=(meta|content)=))[A-Za-z_]\w*+=\S")

PAGE_ERROR = any_of(
    r"<(title|h[1-4]|pre|body)\b[^<>]*>[^<]*?(error|\b[45]\d\d\b|not found|bad request|denied"
    r"|forbidden|unauthorized|unavailable|bad gateway|cannot (get|post))")


# ------------------------------------------- rules for a JSON object: which member complains

class Member(NamedTuple):
    """A member of a JSON object that tells of an error; both patterns match the whole."""

    name: re.Pattern
    wrong: re.Pattern  # values that are an error


ERROR = (r"(non_field_)?err(ors?)?([ _-]?(message|msg|description|detail|type|reason|summary)s?)?"
         r"|fault(string)?"
         r"|exception")

# An error that is measured: 0.02, 1e-05; 401.2 is a status.
MEASURE = r"((?![45]\d\d\.)-?\d*\.\d+(e-?\d+)?|-?\d+e-\d+)"
# A member called an error holds one, unless its value says that there is none, or measures it
# (a list: each of several).
ERROR_TEXT = Member(any_of(ERROR),
                    any_of(rf"(?!(0|{MEASURE}( {MEASURE})*|false|none|null|n/?a|no errors?|ok"
                           r"|success)$)[\s\S]+"))
# A code of an error, but for the codes of success.
ERROR_CODE = Member(any_of(r"err(or)?_?(code|no)"),
                    any_of(r"(?!(0+|200|none|null|ok|success)$).+"))
# The opposite of a success.
SUCCESS_FLAG = Member(any_of(r"(is_?)?(success(ful)?|ok)"),
                      any_of(r"false"))
# MCP's isError, Anthropic's is_error
ERROR_FLAG = Member(any_of(r"(is|has)_?errors?|is_?fail(ed|ure)"),
                    any_of(r"true"))
# A word that names an error in the code of a service: ValidationException, NOT_FOUND, invalid_grant
ERROR_WORD = (r"([\w.]+#)?[\w.]*(exception|error|fault|denied|not_?found|unauthori[sz]ed|forbidden"
              r"|unauthenticated|throttl(ed|ing)|throttlingexception|unavailable|exhausted"
              r"|failure|unprocessable\w*|not_?allowed|conflict)",
              r"([\w.]+#)?(invalid|no_?such|missing|unknown|illegal|malformed|unsupported|expired)"
              r"_?\w+")
# AWS says the kind of an error so; in other services the member holds Pointer or Date.
AWS_TYPE = Member(any_of(r"__type"), any_of(*ERROR_WORD))
# An HTTP status of an error. In an object of data the number may be anything: Mexico's code is 484.
# JSON-RPC's codes of errors are negative.
HTTP_STATUS = Member(any_of(r"(http_?)?(status|code|cod)(_?code)?"),
                     any_of(r"[45]\d\d|-32\d\d\d"))
# A word of failure. In an object of data it may be what was asked for: an order may have failed.
STATUS_WORD = Member(any_of(r"(query_)?status|type|result|object|outcome"),
                     any_of(r"errors?|fail(ed|ure)?|not found|unauthorized|forbidden|unavailable",
                            r"rejected|denied|invalid|timed_?out|unsuccessful",
                            r"over_\w*limit|\w+_(denied|exceeded)|unknown_error",
                            r"bad request.*",
                            r"(invalid|illegal|unknown)_.*"))

# The name of an error as its code.
CODE_WORD = Member(any_of(r"code"), any_of(*ERROR_WORD))
FAILED = Member(any_of(r"failed"), any_of(r"true"))
# When to ask again: the service limits its use.
RETRY = Member(any_of(r"retry_?after(_\w+)?"), any_of(r"\d*[1-9][\d.]*|\d+\.\d+"))
# Amap's code, which is 10000 for a success.
INFO_CODE = Member(any_of(r"infocode"), any_of(r"(?!10000$)\d+"))
# The name of an error beside its message: PayPal, MongoDB, JavaScript.
ERROR_NAME = Member(any_of(r"name"), any_of(*ERROR_WORD))
# What a program that failed came to; one without a word of error may only have found nothing.
EXIT_CODE = Member(any_of(r"(exit|return)_?(code|status)"), any_of(r"-?0*[1-9]\d*"))
# GitHub's errors say where they are documented.
DOCUMENTED = Member(any_of(r"documentation_url"), any_of(r".+"))

IN_ANY_OBJECT = (ERROR_TEXT, ERROR_CODE, SUCCESS_FLAG, ERROR_FLAG, AWS_TYPE)
IN_A_REPORT = (  # an object that holds no data
    *IN_ANY_OBJECT, HTTP_STATUS, STATUS_WORD, CODE_WORD, FAILED, DOCUMENTED, RETRY, INFO_CODE)

# Members in which an object that reports an error says why.
REASON = any_of(ERROR, r"explanation|message|msg|message_?detail|reason|comment|detail|info"
                        r"|title|text",
                r"description|status|request_result")

# Members that wrap the tool's answer: their objects are looked into, and JSON in their texts.
ENVELOPES = {"status", "meta", "message", "response", "error", "result", "data"}
TEXT_ENVELOPES = {*ENVELOPES, "output", "body"}

# Members of the message in which a protocol passes on what a tool gave back; one of the second kind
# tells that an object is such a message.
MESSAGE = any_of(r"content|output|name|role|type|id|status|(tool_?)?(call|use)_?id|is_?error",
                 r"_?meta|structured_?content|annotations|cache_control|tool(_?name)?|jsonrpc",
                 r"additional_kwargs|response_metadata|artifact")
PROTOCOL = any_of(r"role|(tool_?)?(call|use)_?id|is_?error")

# Members of an object that holds a report and no data.
REPORT = any_of(*(member.name.pattern for member in IN_A_REPORT), REASON.pattern, *ENVELOPES,
                r"(request|trace|correlation)_?id|timestamp|path|instance|details|more_?info",
                r"kind|api_?version|metadata|help(_?(url|link))?|global",
                r"headers|body|output|tool(_?name)?")

# An object of messages alone has no member that says whether they are an error: it is one if a
# message turns something down.
NOTE = any_of(r"message|msg|message_?detail|detail|reason|info(rmation)?|note")
# Members beside a message that neither say that it is an error nor are data.
BESIDE_NOTE = any_of(r"details|more_?info|(request|trace|correlation|debug)_?id|timestamp|path",
                     r"instance|help(_?(url|link))?|retry_?after|stack(_?trace)?|links")
NOTE_CODE = any_of(r"(status_?)?code|cod|status")
# A message without one is in a script whose words are not known; there the code beside it decides.
LATIN_WORD = any_of(r"\b(?!app\b|api\b|id\b)[a-z]{2,}\b")
SUCCESS_CODE = any_of(r"0+|[123]\d\d|ok|success")
# A form that was filled in wrongly answers with a list of such sentences for each of its fields.
FORM = any_of(
    r"(enter|select) an? ",
    r"(this field|ensure this|not a valid) ",
    r".* is not (a valid|one of) ")

# A list of what is wrong with parameters (FastAPI) tells the place of each and a message.
INVALID = any_of(r"details?|issues?|violations|invalid[_-]params|messages?|\w+errors")
INVALID_PLACE = ("field", "param", "property", "pointer", "path")

# What ToolBench's wrapper says when it does not know more: the response beside it decides.
NO_MORE_KNOWN = "Message error..."


# ----------------------------------------- rules for the kind: what the complaint's texts say

# Texts that give no reason: a code, an address, or the name of a status.
BARE = any_of(
    r"\d*", r"https?://\S+", r"message error\W*",
    r"(error:? ?)?([45]\d\d[ :-]*)?(bad request|unprocessable entity|error|fail(ed|ure)?)")

# The service is to blame: it limits its use, refuses access or is down.
SERVICE = any_of(
    r"rate limit|quota|too many requests",
    r"(not |un)authorized|^forbidden|not subscribed|premium|api key",
    r"(internal|unknown|server|response|connection|timeout) error",
    r"timed out|redirects|unavailable|unreachable|shards failed|connectionpool\(",
    r"invalid api call|endpoint '[^'\n]*' does not exist|no \w+ resource was found",
    r"permission_denied|unauthenticated|resource_exhausted|throttl(ed|ing)")

# A parameter that the tool requires was left out.
PARAMETER_IS_REQUIRED = any_of(
    r".*(\b(is|are) (a )?required\b|\bfield required\b|need another parameter"
    r"|requires? at least one)",
    r".*can not both be none",
    r"missing (required )?(\w+ )?param")

# The tool has no such parameter.
PARAMETER_IS_UNKNOWN = any_of(
    r".*\bfield do(es)? not exist",
    r".*\b(extra (inputs|fields) (are )?not permitted|additional properties are not allowed)",
    r"(unknown|unexpected) (param|field|arg|key)")

# The first that fits all reasons names the kind: a complaint about a parameter and something else
# is put down to neither.
REASON_RULES = (
    (PARAMETER_IS_REQUIRED, Feedback.PARAMETER_MISSING),
    (PARAMETER_IS_UNKNOWN, Feedback.PARAMETER_HALLUCINATION),
)


def classify(text, call_name=None, tools=()):
    """The `Feedback` category of one feedback text. Total: every text has one.

    call_name: the tool that was called; tools: those that were offered (schemas or Tools); both
    where they are known. An error from a tool that was not offered is a Tool Hallucination; a
    success from one stays a success, for the tool was there. And "name 'x' is not defined" from a
    tool that *was* offered is a Tool Call Failure: the call was right, the code behind it is
    missing. Raises InputError for a bad schema.

    >>> classify("get_recipes() missing 1 required positional argument: 'size'")
    <Feedback.PARAMETER_MISSING: 'Parameter Missing'>
    >>> classify('{"get": "teams", "errors": [], "results": 0, "response": []}')
    <Feedback.ALL_RIGHT: 'All Right'>
    """
    complaint = _complaint(_without_declaration(text.strip()))
    if not complaint:
        return Feedback.ALL_RIGHT
    kind = _kind(complaint)
    if call_name is None or not tools:
        return kind
    if call_name not in {tool.name for tool in read_tools(tools)}:
        return Feedback.TOOL_HALLUCINATION
    if kind is Feedback.TOOL_HALLUCINATION:
        return Feedback.TOOL_CALL_FAILURE
    return kind


# ------------------------------------------------------------------ the complaint in a feedback

def _complaint(value, depth=0):
    """The texts in which feedback, or a JSON value in it, reports an error; none for a success.

    depth: of values looked into; deeper than 5 there is only data.
    """
    if depth > 5:
        return []
    if isinstance(value, str):
        return _complaint_of_text(value, depth)
    if isinstance(value, list):
        return _complaint_of_list(value, depth)
    if isinstance(value, dict):
        return _complaint_of_object(value, depth)
    return []


def _complaint_of_text(text, depth):
    """A text may be JSON, or JSON within a string; if not, the text itself may be an error.

    A tag around it is taken off first; what a tag named an error holds is one.
    """
    element = ELEMENT.match(text)
    if element:
        name = element["name"] or element["label"]
        content = text[element.end():].strip()
        content = content.removesuffix(f"</{name}>").removesuffix(f"[/{name}]").strip()
        is_repr = element.end() == len(text)  # <HttpError 404 when requesting ...>
        if ERROR_ELEMENT.fullmatch(name) and not is_repr:
            return [content] if content else []
        if TOOL_ELEMENT.fullmatch(name):
            return _complaint(content, depth + 1)
    if text.startswith("<") and FAULT.match(text):
        return [text]
    parsed = parse_literal(text)
    if isinstance(parsed, (dict, list, str)):
        return _complaint(parsed, depth + 1)
    if OBJECT.match(text) and (found := _complaint(parse_object(text), depth + 1)):
        return found
    return [text] if _text_kind(text) else []


def _complaint_of_list(members, depth):
    """A list is an error if all its objects are; the first three members tell.

    Of the parts of a message (MCP, Anthropic, OpenAI) the texts are judged.
    """
    objects = [member for member in members[:3] if isinstance(member, dict)]
    parts = [_text_of_part(member) for member in objects]
    if all(parts):
        objects = parts
    complaints = [_complaint(member, depth + 1) for member in objects]
    return list(itertools.chain.from_iterable(complaints)) if all(complaints) else []


def _text_of_part(value):
    """The text of a part of a message, `{"type": "text", "text": ...}`; "" for anything else."""
    if value.get("type") in ("text", "output_text") and isinstance(value.get("text"), str):
        return value["text"].strip()
    return ""


def _content(message):
    """What a protocol's message passes on: a JSON value, or a list of the texts of its parts."""
    content = message.get("content") or message.get("output")
    if isinstance(content, list):
        return [{"type": "text", **part} for part in content]
    return content


def _complaint_of_object(value, depth):
    """An object complains itself, or one within it does: in an envelope, or its only member."""
    found = _own_complaint(value)
    if not found and _is_message(value):
        return _complaint(_content(value), depth + 1)
    for key, member in value.items():
        if key == "response" and member and set(found) <= {NO_MORE_KNOWN}:
            found = _complaint(member, depth + 1)
        elif isinstance(member, dict) and (key.lower() in ENVELOPES or len(value) == 1):
            found = found + _complaint(member, depth + 1)
        elif not found and _is_wrapped_text(key, member, len(value) == 1):
            found = _complaint(member.strip(), depth + 1)
    return found


def _is_wrapped_text(key, member, is_only):
    """Whether a member is the text of the tool's answer: JSON, or all that an envelope holds."""
    if not isinstance(member, str):
        return False
    is_envelope = key.lower() in TEXT_ENVELOPES
    if member.lstrip().startswith("{"):
        return is_envelope or is_only
    return is_envelope and is_only


def _is_message(value):
    """Whether an object is a protocol's message with what a tool gave back, and no data of its own.

    `{"name", "content"}` alone is Hermes' and ours.
    """
    if not all(MESSAGE.fullmatch(key) for key in value):
        return False
    content = value.get("content") or value.get("output")
    if isinstance(content, list):
        return all(isinstance(part, dict) and ("type" in part or "text" in part)
                   for part in content)
    return value.keys() == {"name", "content"} or any(PROTOCOL.fullmatch(key) for key in value)


def _own_complaint(value):
    """The complaint of a JSON object, from its own members alone."""
    is_report = _is_message(value)
    is_report |= all(REPORT.fullmatch(key) or not member for key, member in value.items())
    for key, member in value.items():
        if INVALID.fullmatch(key) and _are_invalid(member):
            return [_told(part) for part in member]
        error = _error_in_member(key, member, is_report)
        if error and not _is_count(key, member, value):
            return _reasons(value) or [error]
    if value.get("status") == "error" and isinstance(value.get("message"), str):
        return [value["message"]] if complains(value["message"]) else []
    if _has_failed(value):
        return _texts([value["stderr"]])
    if _is_named_error(value):
        return _texts([value["message"], value["name"]])
    if _is_note(value):
        texts = _texts([member for key, member in value.items() if _is_note_member(key, member)])
        has_code = any(NOTE_CODE.fullmatch(key) for key in value)
        return [text for text in texts
                if complains(text) or has_code and not LATIN_WORD.search(text)]
    if all(isinstance(member, list) and member for member in value.values()):
        texts = _texts(value)
        return texts if all(FORM.match(text) for text in texts) else []
    return []


def _is_count(key, member, value):
    """Whether a member counts errors in an object of numbers: {"errors": 3, "lines": 90}."""
    return key.lower() == "errors" and type(member) is int and len(value) > 1 and all(
        isinstance(other, (int, float)) for other in value.values())


def _has_failed(value):
    """Whether an object tells of a program that ended with a status and wrote to stderr."""
    return bool(value.get("stderr")) and any(
        EXIT_CODE.name.fullmatch(key) and EXIT_CODE.wrong.fullmatch(str(member).strip())
        for key, member in value.items())


def _is_named_error(value):
    """Whether an object holds the name of an error and its message, and no data."""
    names = [key for key, member in value.items()
             if ERROR_NAME.name.fullmatch(key) and ERROR_NAME.wrong.fullmatch(str(member))]
    return names == ["name"] and bool(value.get("message")) and all(
        NOTE.fullmatch(key) or NOTE_CODE.fullmatch(key) or BESIDE_NOTE.fullmatch(key)
        for key in value if key != "name")


def _is_note(value):
    """Whether an object holds messages and at most a code that is none of a success."""
    for key, member in value.items():
        if _is_note_member(key, member):
            continue
        if NOTE_CODE.fullmatch(key) and (key.lower() != "status" or type(member) is int):
            if SUCCESS_CODE.fullmatch(str(member).strip()):
                return False
        elif (member or member is False) and not BESIDE_NOTE.fullmatch(key):
            return False
    return any(_is_note_member(key, member) for key, member in value.items())


def _is_note_member(key, member):
    """Whether a member of an object is a message; a list of messages is a conversation."""
    return bool(NOTE.fullmatch(key)) or key == "messages" and isinstance(member, str)


def _are_invalid(members):
    """Whether a list says what is wrong with parameters: a place and a message for each."""
    if not isinstance(members, list) or not members:
        return False
    for part in members:
        if not isinstance(part, dict) or not _told(part):
            return False
        is_severe = part.get("severity") in ("error", "fatal") and "line" not in part
        has_place = isinstance(part.get("loc"), list) or any(key in part for key in INVALID_PLACE)
        if not is_severe and not has_place:
            return False
    return True


def _told(part):
    """The message of one part of such a list, as FastAPI, Shopify and FHIR name it."""
    texts = [part.get(key) for key in ("msg", "message", "diagnostics")]
    return next((text for text in texts if text and isinstance(text, str)), "")


def _error_in_member(key, member, is_report):
    """The text of a member that tells of an error; "" for any other.

    is_report: whether its object holds a report and no data.
    """
    if isinstance(member, (dict, list)):  # a code or a status is one scalar
        text = " ".join(_texts(member))
        rules = (ERROR_TEXT,)
    else:
        text = str(member).strip()
        rules = IN_A_REPORT if is_report else IN_ANY_OBJECT
    if any(rule.name.fullmatch(key) and rule.wrong.fullmatch(text) for rule in rules):
        return text
    return ""


def _reasons(value):
    """The texts in which a JSON object that reports an error says why."""
    found = []
    for key, member in value.items():
        if REASON.fullmatch(key):
            found += _texts(member)
        elif key == "content" and isinstance(member, list):
            found += [str(part.get("text") or "") for part in member if isinstance(part, dict)]
        elif key in ("content", "__type"):
            found += _texts(member)
    return [text for text in found if text]


def _texts(value):
    """The scalars of a JSON value as texts, in order, without null, false, zero and the empty text.

    A loop and not a recursion: feedback may be nested more deeply than Python's calls can be.
    """
    found = []
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += reversed(value.values())
        elif isinstance(value, list):
            stack += reversed(value)
        elif value:
            found.append(str(value).strip())
    return found


# ----------------------------------------------------------------------- the kind of a complaint

# What MCP's clients put before the message of an error that has no kind of its own.
MCP_ERROR = any_of(r"(mcp ?error: )?mcp error -3(?!2601)\d+: ")
# What others put before it: a stream's name, a request's, a frame, "Encountered error".
BEFORE_ERROR = any_of(r"(stderr|message|request [\w-]{4,}|(encountered|got)( an)? error"
                      r"|docker)\s*:\s*", r"[│╷╵\s]+")
# What runners put before str() of an exception: "Error executing tool f: ", "TypeError: ".
ERROR_LABEL = any_of(
    r"(error( (executing|calling|invoking|running) [^:\n]{1,80})?|tool error): (typeerror: )?",
    r"typeerror: ")


def _without_declaration(text):
    """A text without the declaration of XML."""
    return DECLARATION.sub("", text, count=1) if text.startswith("<?xml") else text


def _text_kind(text):
    """The kind of error that a text which is no JSON reports; None for a success."""
    for label in (MCP_ERROR, BEFORE_ERROR):
        found = label.match(text)
        if found:
            text = text[found.end():] or text
    if PAGE.match(text):
        return Feedback.TOOL_INSTABILITY if PAGE_ERROR.search(text) else None
    label = ERROR_LABEL.match(text)
    if label:
        for beginning, kind in REFUSALS:
            if beginning.match(text, label.end()):
                return kind
    for beginning, kind in TEXT_RULES:
        if beginning.match(text):
            return kind
    return Feedback.OTHERS if complains(text) else None


def _kind(complaint):
    """The kind of error that the texts of a complaint name.

    In this order: one text that is a known message; a complaint without a reason, or with one that
    blames the service; a parameter, if all reasons are about it; anything else.
    """
    if len(complaint) == 1:
        kind = _text_kind(complaint[0])
        if kind not in (None, Feedback.OTHERS):
            return kind
    reasons = [text for text in complaint if not BARE.fullmatch(text)]
    if not reasons or any(SERVICE.search(text) for text in reasons):
        return Feedback.TOOL_INSTABILITY
    for pattern, kind in REASON_RULES:
        if all(pattern.match(text) for text in reasons):
            return kind
    return Feedback.OTHERS


# ------------------------------------------------------------------------------------- Figure 1

def shares(conversations):
    """The counts of Figure 1 over trajectories.

    Returns (Counter of `Feedback` over the calls that have feedback, number of conversations with
    one error or more).
    """
    counts = Counter()
    failed = 0
    for conversation in conversations:
        kinds = []
        for place, turn in enumerate(conversation.turns):
            feedback = conversation.feedback(place) if turn.name else None
            if feedback is not None:
                kinds.append(classify(feedback, turn.name, conversation.tools))
        counts.update(kinds)
        failed += any(kind.is_error for kind in kinds)
    return counts, failed


def main():
    """The command line; see the top of this file."""
    parser = Parser(prog="python -m data.feedback",
                    description="Erroneous calls by category (Figure 1).")
    parser.add_argument("file", help="trajectories, in any format of docs/data.md")
    conversations = trajectories.read(parser.parse_args().file)
    counts, failed = shares(conversations)
    calls = counts.total()
    for kind in Feedback:
        share = counts[kind] / max(calls, 1)
        bar = "█" * round(50 * share)
        print(f"{kind.value:<24}{counts[kind]:>7}{share:>8.1%}  {bar}".rstrip())
    errors = calls - counts[Feedback.ALL_RIGHT]
    print(f"\n{errors} of {calls} calls with feedback are erroneous ({errors / max(calls, 1):.1%})")
    total = len(conversations)
    print(f"{failed} of {total} trajectories have one or more ({failed / total:.1%})")


if __name__ == "__main__":
    cli(main)
