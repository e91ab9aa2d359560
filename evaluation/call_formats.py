r"""The calls in what a model wrote, in every format in which models write calls.

    call       search(query="x", n=3)          several; in a list: [f(a=1), g(b=2)]; behind a mark;
                                               print(search(query="x"))
    json       {"name": "search", "arguments": {"query": "x"}}     several; in a list; in tags or
                                               behind a mark; in {"tool_calls": [...]};
                                               {"tool_name": "search", "parameters": {...}}
    react      Thought: ...  Action: search  Action Input: {"query": "x"}; Qwen-Agent's ✿FUNCTION✿
    xml        <function=search><parameter=query>x</parameter></function>
    deepseek   <｜tool▁call▁begin｜>function<｜tool▁sep｜>search, a line break and JSON
    mistral    [TOOL_CALLS]search[ARGS]{"query": "x"}
    glm        search, a line break and {"query": "x"}, also after >>> or functions., if search is
               offered; <tool_call>search, <arg_key>query</arg_key><arg_value>x</arg_value>

Any of them may stand in a ``` block and after a sentence. A text is read from left to right, and
what begins like a call or a JSON value is decoded before anything in it is looked at: a mark inside
a value is part of the value. What is thought is no call, whatever its tags are called. The
prediction is the first group of calls that is surely one: of an offered tool, or where a call may
stand. Without any it is the first that may be one.

A new format is a reader in this file, its mark in BEGINNINGS and its place in READERS.
"""

import functools
import re
from bisect import bisect_left, bisect_right
from contextlib import suppress
from typing import NamedTuple

from data.calls import ATTEMPT, OPEN, ParseError, Source, any_name, make_call
from data.tools import read_tools
from plumbing.files import parse_json

FORMATS = ("auto", "call", "json", "react", "xml", "deepseek", "mistral", "glm")
MAX_CALLS = 64  # in one prediction; the items ask for 4 at most
MARK = 32       # characters that a mark costs; see data/calls.py:Source

# ---- names of tags
# What a thought is called: <think>, [THINK], <scratch_pad>, <|begin_of_thought|>, <antThinking> ...
THOUGHT_NAME = re.compile(
    r"think|thought|reason|rationale|scratch|reflect|analy[sz]|monologue|deliberat|brainstorm"
    r"|consider|chain_of|^plan(ning)?$|^cot$|^draft$", re.IGNORECASE)
# What ends one, where no slash does: <|end_of_thought|>
CLOSING_NAME = re.compile(r"(^|[_▁])(end|stop|close)([_▁]|$)", re.IGNORECASE)
CALL_NAME = re.compile(r"tool|func|call|action|python|plugin|invoke|api|arg[s_]|param",
                       re.IGNORECASE)
FEEDBACK_NAME = re.compile(r"(tool|func).*(respon|result|output)|observ", re.IGNORECASE)

# ---- marks; what repeats is possessive or bounded, so that the time is linear
TAG_NAME = r"[A-Za-z][\w:.▁-]{0,60}+"
# <tool_call>, </think>, <|python_tag|>, <<function>>, <plan kind="x">, [TOOL_CALLS], ◁think▷
TAG = (rf"(?P<tag><{{1,2}}[|｜]?/?{TAG_NAME}[^<>\[\]\n]{{0,80}}+>{{1,2}}"
       rf"|[\[◁]/?{TAG_NAME}[\]▷])")
TAG_PARTS = re.compile(rf"[<\[◁]+[|｜]?(/?)({TAG_NAME})")
XML_CALL = (r"(?P<xml><(?:[\w｜]{1,20}[:｜])?(?:function=|function name=|invoke name=)"
            r'"?(?P<xml_name>[^<>"\n]{1,200}+)"?>)')
DEEPSEEK_CALL = (r"(?P<deepseek><｜tool▁call▁begin｜>"
                 r"(?:function<｜tool▁sep｜>(?P<name_old>[^\n<]{1,200}+)\n"
                 r"|(?P<name_new>[^\n<]{1,200}+)<｜tool▁sep｜>))")
MISTRAL_CALL = (r"(?P<mistral>\[TOOL_CALLS\]\s*+(?P<mistral_name>\w[\w.-]{0,200}+)"
                r"(?:\[CALL_ID\][\w-]{1,60}+)?(?:\[ARGS\])?\s*+(?=\{))")
# Where else a call, a thought or feedback may begin. The most special mark comes first.
BEGINNINGS = "|".join((
    r"(?P<json>\{(?=\s*+[\"'}]))", XML_CALL, DEEPSEEK_CALL, MISTRAL_CALL, TAG,
    r"(?<!\w)(?P<input>Action[ _]?Input:|✿ARGS✿:)", r"(?<!\w)(?P<action>Action:|✿FUNCTION✿:)",
    r"^(?P<thought>Thought:)", r"^(?P<feedback>Observation:|Output:|✿RESULT✿)"))
# What may stand between the start of a line, or a mark, and a call in Python's form.
LABEL = r"(?>(?:[^\S\n]|`|\[|(?:Assistant|Call):)*+)"
WRAP = r"(?P<wrap>print\(\s*+|[A-Za-z_]\w{0,60}+[ \t]*+=[ \t]*+)?"
# Tags between two calls
CALL_TAG = (r"<[/|]{0,2}(?!\w{0,40}(?:respon|result|output))\w{0,40}?(?:tool|func|call|action)"
            r"\w{0,40}+[|]?>{1,2}")
# What may stand between two calls in Python's form, and between two in JSON
BETWEEN = re.compile(rf"(?:[\s,;)\]`]|```\w*+|<?{CALL_TAG})*+", re.IGNORECASE)
LISTED = re.compile(rf"(?:[\s,;\[\]]|```\w*+|{CALL_TAG})*+", re.IGNORECASE)
# Between a mark and the value that belongs to it, or a list; between a line's start and a value
BEFORE_VALUE = re.compile(r"[\s*]*+(?:`{1,3}\w*+)?\s*+")
BEFORE_LIST = re.compile(r"[\s\[]*+(?:`{1,3}\w*+)?[\s\[]*+")
LINE_BEFORE = re.compile(r"(?:[^\S\n]|[`\[*]|(?<=```)\w++|\w++:|<[^<>\n]{1,80}+>)*+")
# ---- inside the forms
ARG_KEY = re.compile(r"\s*+<arg_key>(?P<key>[^<>\n]{1,200}+)</arg_key>\s*+<arg_value>")
ARG_VALUE_END = re.compile(r"</arg_value>\s*+(?=<arg_key>|</tool_call>|\Z)")
ARG_KEYS_END = re.compile(r"\s*+(?:</tool_call>|\Z)")
PARAMETER = re.compile(
    r'\s*+<[\w｜:]{0,21}?parameter(?:=|\s+name=)"?(?P<key>[^<>"\n]{1,200}+)"?[^<>\n]{0,80}+>')
PARAMETER_END = re.compile(
    r"</[\w｜:]{0,21}?parameter>\s*+(?=<[\w｜:]{0,21}?parameter[=\s]|</|\Z)")
XML_END = re.compile(r"\s*+(?:</[\w｜:]{0,21}?(?:function|invoke)>)?")
GLAIVE = re.compile(
    r'\{\s*+"name"\s*+:\s*+"(?P<name>[^"\\]{1,200}+)"\s*+,\s*+"arguments"\s*+:\s*+\'\s*+(?=\{)')
GLAIVE_END = re.compile(r"\s*+'\s*+\}")
# The keys of a call's name and arguments in JSON; the last two are Anthropic's and LangChain's.
KEYS = (("name", "arguments"), ("name", "parameters"), ("tool_name", "arguments"),
        ("tool_name", "parameters"), ("name", "input"), ("action", "action_input"))
# Other such keys, where the name is that of a tool that is offered: of data they may be anything.
NAME_KEYS = ("name", "tool_name", "function_name", "tool", "function", "action")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "kwargs", "input", "tool_input", "action_input")
HOLDERS = ("tool_calls", "function_call", "functionCall", "function")
DIRECT_ANSWER = ("directly_answer", "directly-answer")  # Cohere's tool for no tool
# What may stand before an offered tool's name that its arguments follow, and between the two.
BEFORE_NAME = r"(?:^|(?<=>>>)|(?<=\|>)|(?<=functions\.)|(?<=<tool_call>))[^\S\n]*+(?:functions\.)?"
AFTER_NAME = r"(?::\d{1,4})?\s*+(?:<\|\w{1,40}\|>\s*+(?:json(?=<))?)*+(?=\{)"
# The types of values, by what their names in schemas hold.
VALUE_TYPES = {"str": str, "int": int, "num": (int, float), "float": (int, float), "bool": bool,
               "arr": list, "list": list, "obj": dict, "dict": dict}


class Group(NamedTuple):
    """Calls that stand together."""

    start: int            # [start, end) in characters of the text
    end: int
    form: str             # one of FORMATS
    calls: list           # of Call, at least one
    doubt: int            # SURE, or why it may be none
    marked: bool = False  # its mark may come again, with more calls of this prediction


NO_CALL = "no name with a bracket where a call may begin"
SURE = 0
IN_SENTENCE = 1  # JSON amid a line: For example, {"name": "f", "arguments": {}}
IN_ELEMENT = 2   # stands in an element whose meaning is not known: <idea>f(a=1)</idea>
PROSE = 3


class Reading(NamedTuple):
    """What was found in a text."""

    form: str    # of the calls; "call" where there are none
    calls: list  # of Call
    answer: str  # the text without what is thought
    error: str   # why there is no call


def read_calls(text, tools=(), call_format="auto"):
    """The calls in a prediction, at least one, in the order in which they stand.

    tools: those offered; call_format: one of FORMATS. Raises ParseError, and nothing else, for a
    text without a call of that format.

    >>> read_calls('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>')[0].arguments
    {'a': 1}
    """
    found = find_calls(text, tools, call_format)
    if not found.calls:
        raise ParseError(found.error)
    return found.calls


def find_calls(text, tools=(), call_format="auto"):
    """The Reading of a text; takes what read_calls takes. Every text has one."""
    try:
        source = Source(text, tools)
    except ParseError as error:  # too long
        return Reading("call", [], text, str(error))
    forms = FORMATS[1:] if call_format == "auto" else (call_format,)
    scan = _Scan(source, tools, forms)
    scan.run()
    return scan.reading()


def without_thoughts(text):
    """A text without what a reasoning model thinks before it answers.

    >>> without_thoughts("<think>f(x) takes a number.</think> f(1)")
    ' f(1)'
    """
    return find_calls(text).answer


# ------------------------------------------------------------------------------- from left to right

@functools.lru_cache(1024)
def _patterns(names):
    """(pattern of the next mark or call, pattern of a call that stands here) for offered names."""
    call = rf"(?P<call>{LABEL}{WRAP}(?P<name>{any_name(names)}){OPEN})"
    offered = any_name(names, otherwise="(?!)")
    named = rf"(?P<named>{BEFORE_NAME}(?P<tool>{offered}){AFTER_NAME})"
    keys = (r"(?P<arg_keys><tool_call>\s*+(?:(?P<keys_tool>[^\s<{][^\n<]{0,200}+)(?=\s*+<arg_key>)"
            rf"|(?P<bare_tool>{offered})(?=\s*+</tool_call>)))")
    marks = f"^{call}|{named}|{keys}|{BEGINNINGS}"
    return re.compile(marks, re.MULTILINE), re.compile(call)


class _Scan:
    """One pass over a text, which finds the groups of calls, the thoughts and the feedback in it.

    All places are characters of the text; a span is (start, end).
    """

    def __init__(self, source, tools, forms):
        self.source = source
        self.text = source.text
        self.tools = tools
        self.forms = forms      # those that are read
        self.groups = []
        self.open = {}          # name of a tag -> where those begin that are open
        self.open_thoughts = {}  # the same for tags of thoughts
        self.thoughts = []      # spans
        self.elements = []      # spans of the elements of unknown meaning
        self.feedbacks = []     # spans of the elements of feedback
        self.feedback = None    # where the first feedback after a call begins
        self.marked = None      # the place that belongs to the last mark of a call
        self.action = None      # the span of the last `Action:`
        self.thought = None     # the place of the last `Thought:`
        self.error = None       # the first
        self.ends = {}          # of parameters; see parameter_ends
        self.beginning, self.call_here = _patterns(tuple(source.offered))

    def run(self):
        """Read the text to its end."""
        pos = 0
        is_fresh = True  # whether a call in Python's form may stand here, as on a new line
        while self.source.left >= 0:  # a text of nothing but marks is not read to its end
            found = self.call_here.match(self.text, pos) if is_fresh else None
            found = found or self.beginning.search(self.text, pos)
            if not found:
                break
            self.source.left -= MARK
            if found.lastgroup == "tag":
                pos, is_fresh = self.at_tag(found)
            elif found.lastgroup in READERS:
                pos, is_fresh = self.at_call(found)
            else:
                pos, is_fresh = self.at_label(found)
        self.end_open_thoughts()

    def at_call(self, found):
        """Read the calls that may begin at a match -> (where to go on, is_fresh)."""
        kind = found.lastgroup
        after = found.end("name") if kind == "call" else found.end()
        forms, read = READERS[kind]
        if not any(form in self.forms for form in forms):
            return after, False
        try:
            group = read(self, found)
        except ParseError as error:
            self.error = self.error or str(error)
            return after, kind not in ("call", "json")
        if group.calls:
            calls = [self.as_offered(call) for call in group.calls]
            self.groups.append(group._replace(calls=calls))
            self.source.left -= ATTEMPT
        return group.end, False

    def as_offered(self, call):
        """A call under the name of the offered tool that it means."""
        return call._replace(name=_offered_name(call.name, self.source.offered))

    def at_label(self, found):
        """Remember a label, `Action:` and the like -> (where to go on, is_fresh)."""
        if found.lastgroup == "action":
            self.action = found.span()
        elif found.lastgroup == "thought":
            self.thought = found.start()
        else:
            self.at_feedback(found.start())
        return found.end(), found.lastgroup == "action"

    def at_feedback(self, start):
        """Remember where the first feedback after a call begins."""
        if self.groups and self.feedback is None:
            self.feedback = start

    def at_tag(self, found):
        """Open or close what a tag encloses -> (where to go on, is_fresh)."""
        slash, name = TAG_PARTS.match(found[0]).groups()
        closes = bool(slash or CLOSING_NAME.search(name))
        name = name.lower()
        start, end = found.span()
        if THOUGHT_NAME.search(name):
            key = CLOSING_NAME.sub("", re.sub("^(begin|start)_", "", name))
            if closes:  # one that no tag opened began before the text
                opened = self.open_thoughts.get(key) or [0]
                self.thoughts.append((opened.pop(), end))
            else:
                self.open_thoughts.setdefault(key, []).append(start)
            return end, closes
        is_feedback = bool(FEEDBACK_NAME.search(name))
        if CALL_NAME.search(name) and not is_feedback:
            self.marked = None if closes else BEFORE_LIST.match(self.text, end).end()
            return end, True
        if is_feedback and not closes:
            self.at_feedback(start)
        if not closes:
            self.open.setdefault(name, []).append(start)
        elif self.open.get(name):
            spans = self.feedbacks if is_feedback else self.elements
            spans.append((self.open[name].pop(), end))
        return end, self.begins_line(start)

    def end_open_thoughts(self):
        """A thought that no tag ends, on a line of its own, goes to the end: the text was cut.

        Not one in brackets: `[Reason]` is a label that needs no end; [THINK] is a tag.
        """
        hidden = _Spans(self.thoughts)
        for name, starts in self.open_thoughts.items():
            cut = [start for start in starts
                   if not hidden.hold(start) and self.begins_line(start)
                   and (self.text[start] != "[" or name == "think")]
            self.thoughts += [(start, len(self.text)) for start in cut[:1]]

    def begins_line(self, start):
        """Whether only space, labels and tags stand before a place on its line."""
        low = max(0, start - 100)
        line = max(self.text.rfind("\n", low, start) + 1, low)
        if line == low > 0 and self.text[low - 1] != "\n":
            return False
        return bool(LINE_BEFORE.fullmatch(self.text, line, start))

    def parameter_ends(self, pattern):
        """The spans of all that may end a parameter by a pattern, found once."""
        if pattern not in self.ends:
            self.ends[pattern] = [found.span() for found in pattern.finditer(self.text)]
        return self.ends[pattern]

    def reading(self):
        """The Reading, after `run`."""
        hidden = _Spans(self.thoughts)
        unknown = _Spans(self.elements)
        answers = _Spans(self.feedbacks)
        visible = []
        for group in self.groups:
            if group.doubt == IN_SENTENCE and self.feedback is not None:
                group = group._replace(doubt=SURE)  # it was carried out
            if group.doubt <= IN_SENTENCE and unknown.hold(group.start):
                group = group._replace(doubt=IN_ELEMENT)
            if not hidden.hold(group.start) and not answers.hold(group.start):
                visible.append(group)
        answer = hidden.cut_from(self.text)
        if not visible:
            return Reading("call", [], answer, self.error or NO_CALL)
        first = min(visible, key=lambda group: group.doubt)
        calls = []
        for group in visible:
            if group is first or self.goes_on(first, group):
                calls += group.calls
        return Reading(first.form, calls[:MAX_CALLS], answer, "")

    def goes_on(self, first, group):
        """Whether a later group belongs to the first one: in parts, and before any feedback."""
        is_before_feedback = self.feedback is None or group.start < self.feedback
        return (first.marked and group.marked and first.form == group.form
                and first.start < group.start and first.doubt == group.doubt and is_before_feedback)


class _Spans:
    """Spans of a text that may overlap, put together."""

    def __init__(self, spans):
        self.starts = []
        self.ends = []
        for start, end in sorted(spans):
            if self.ends and start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)

    def hold(self, place):
        """Whether a place lies in one."""
        i = bisect_right(self.starts, place)
        return i > 0 and place < self.ends[i - 1]

    def cut_from(self, text):
        """The text without them."""
        kept = []
        pos = 0
        for start, end in zip(self.starts, self.ends, strict=True):
            kept.append(text[pos:start])
            pos = end
        return "".join([*kept, text[pos:]])


# --------------------------------------------------------------------------------------------- call

def _read_python(scan, found):
    """Calls as Python writes them, bare, in a list, behind a mark or a label, printed, assigned.

    NexusRaven:   Call: f(a=1)<bot_end>
    Gorilla:      <<function>>f(a=1)
    Gemma:        ```tool_code, a line break, print(f(a=1)), a line break, ```
    Llama 3:      <|python_tag|>f.call(a=1)

    What cannot be read after the first one is ignored.
    """
    call, end, is_sure = _python_call(scan, found)
    start = found.start("name")
    is_marked = scan.marked is not None and scan.marked <= start <= scan.marked + 60
    if not is_sure:
        return Group(start, end, "call", [call], PROSE, is_marked)
    calls = [call]
    while len(calls) < MAX_CALLS:
        following = scan.call_here.match(scan.text, BETWEEN.match(scan.text, end).end())
        if not following:
            break
        try:
            call, end_of_call, is_sure = _python_call(scan, following)
        except ParseError:
            break
        if not is_sure:
            break
        calls.append(call)
        end = end_of_call
    return Group(start, end, "call", calls, SURE, is_marked)


def _python_call(scan, found):
    """(the Call at a match of `call_here`, the place after it, whether it is surely one).

    Raises ParseError.
    """
    call, end = scan.source.call_at(found["name"], found.start("name"), found.end())
    call = call._replace(name=_offered_name(call.name, scan.source.offered))
    if found["wrap"] and call.name not in scan.source.offered:
        raise ParseError(f"{call.name} is not offered")  # x = compute(1), print(text)
    return call, end, scan.source.is_sure(call, end)


def _offered_name(name, offered):
    """The offered tool that a name means; else the name.

    Gemini writes default_api.NAME, OpenAI functions.NAME, Llama NAME.call, and ToolLLaMA, whose
    prompt says so, Finish.
    """
    meant = (name.removeprefix("default_api."), name.removeprefix("functions."),
             name.removesuffix(".call"), "finish" if name == "Finish" else name)
    for short in meant:
        if name not in offered and short in offered:
            return short
    return name


# --------------------------------------------------------------------------------------------- json

def _read_json(scan, found):
    """JSON calls, in a list or one after the other, in blocks, in tags or behind a mark.

    Hermes:       <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>
    Llama 3:      <|python_tag|>{"name": "f", "parameters": {"a": 1}}<|eom_id|>
    Mistral:      [TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]
    xLAM:         {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}
    OpenAI:       {"tool_calls": [{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}
    Glaive:       <functioncall> {"name": "f", "arguments": '{"a": 1}'}
    Gemini:       {"functionCall": {"name": "f", "args": {"a": 1}}}
    BFCL:         [{"f": {"a": 1}}]
    Command-R:    Action: ```json, a line break, [{"tool_name": "f", "parameters": {"a": 1}}]
    Command-A:    <|START_ACTION|>[{"tool_name": "f", "parameters": {"a": 1}}]<|END_ACTION|>

    What cannot be read after the first one is ignored.
    """
    value, end = _json_at(scan.source, found.start())
    return _json_group(scan, found.start(), value, end)


def _json_group(scan, start, value, end):
    """The Group that begins with a JSON value, which stands at [start, end)."""
    calls = _calls_in(value, scan.source.offered)
    is_marked = scan.marked == start
    doubt = PROSE
    if is_marked or scan.begins_line(start) or "name" not in value:
        doubt = SURE
    elif calls and calls[0].name in scan.source.offered:
        doubt = IN_SENTENCE
    while calls and len(calls) < MAX_CALLS:
        following = LISTED.match(scan.text, end).end()
        if not scan.text.startswith("{", following):
            break
        try:
            value, end_of_next = _json_at(scan.source, following)
            more = _calls_in(value, scan.source.offered)
        except ParseError:
            break
        if not more:
            break
        calls += more
        end = end_of_next
    return Group(start, end, "json", calls, doubt, is_marked)


def _json_at(source, start):
    """(the JSON value at `start`, the place after it). Raises ParseError.

    Or a Python literal: with True, None, single quotes, a comma at the end.
    """
    glaive = GLAIVE.match(source.text, start)
    if glaive:
        arguments, end = _json_at(source, glaive.end())
        closing = GLAIVE_END.match(source.text, end)
        if closing:
            return {"name": glaive["name"], "arguments": arguments}, closing.end()
    return source.value_at(start)


def _load(text):
    """The value that a whole text is, of JSON or a Python literal. Raises ParseError."""
    text = text.strip()
    value, end = _json_at(Source(text), 0)
    if end < len(text):
        raise ParseError("text after the arguments")
    return value


def _calls_in(value, offered):
    """The Calls that a JSON value holds; none if it is no call. Raises ParseError for a broken one.

    A call has a name and arguments; without arguments it is one only of a tool that is offered.
    """
    if isinstance(value, list):
        return [call for part in value for call in _calls_in(part, offered)]
    if not isinstance(value, dict):
        raise ParseError("a call must be a JSON object")
    for key in HOLDERS:
        if isinstance(value.get(key), (dict, list)):
            return _calls_in(value[key], offered)
    if value.get("tool_name") in DIRECT_ANSWER and value["tool_name"] not in offered:
        return []
    for name, key in KEYS:
        if name in value and key in value:
            return [] if _is_schema(value) else [_make_call(value[name], value[key])]
    if value.keys() == {"name"} and value["name"] in offered:
        return [_make_call(value["name"], {})]
    for key in NAME_KEYS:
        found = [value[other] for other in ARGUMENT_KEYS if other in value and other != key]
        if isinstance(value.get(key), str) and value[key] in offered and len(found) == 1:
            return [_make_call(value[key], found[0])]
    if len(value) == 1:  # {"f": {"a": 1}}, of BFCL
        [(name, arguments)] = value.items()
        if name in offered and isinstance(arguments, (dict, str)):
            return [_make_call(name, arguments)]
    raise ParseError("a call must have arguments")  # under another key they would be lost


def _is_schema(value):
    """Whether an object with a name and parameters is the tool's schema, which models repeat."""
    parameters = value.get("parameters")
    return isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict)


def _make_call(name, arguments):
    """A Call of a name and its arguments, which may be a text of JSON. Raises ParseError.

    null, and an empty text, are no arguments: so some servers write the call of a tool without
    parameters.
    """
    if not isinstance(name, str) or not name.strip():
        raise ParseError("a call must have a name")
    if isinstance(arguments, str):
        arguments = _load(arguments) if arguments.strip() else {}
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise ParseError(f"{name}: the arguments must be a JSON object")
    return make_call(name.strip(), arguments)


# -------------------------------------------------------------------------------------------- react

def _read_react(scan, found):
    """Thought: I look it up., a line break, Action: f, a line break, Action Input: {"a": 1}

    The input may stand in a block, in single quotes, and before an `Observation:`. What is thought
    before it is no call. Several actions without an observation in between are several calls.
    """
    if scan.action is None:
        raise ParseError("no Action and Action Input")
    start, after = scan.action
    scan.action = None
    name = scan.text[after:min(found.start(), after + 300)].strip().split("\n")[0]
    place = BEFORE_VALUE.match(scan.text, found.end()).end()
    value, end = _json_at(scan.source, place)
    if value is None:  # RoTBench's evaluator: no input is no call
        raise ParseError(f"{name}: the input must be a JSON object")
    call = _make_call(name.strip("`*\"' "), value)
    if scan.thought is not None:
        scan.thoughts.append((scan.thought, start))
        scan.thought = None
    return Group(start, end, "react", [call], SURE, marked=True)


def read_rotbench(text):
    """The calls of a text as RoTBench's evaluate.py reads ReAct. Raises ParseError.

    The name is taken as it stands, but for the newline after it; the input runs to the end of the
    text and must be JSON.
    """
    before, found, arguments = text.partition("Action Input:")
    _, named, name = before.partition("Action:")
    if not (found and named):
        raise ParseError("no Action and Action Input")
    name = name.removeprefix(" ").removesuffix("\n")
    try:
        value = parse_json(arguments, "arguments", twice=True)
        if isinstance(value, str):
            raise ParseError("the arguments must be a JSON object")
    except ValueError as error:  # InputError
        raise ParseError(f"not JSON: {error}") from None
    if not isinstance(value, dict) or not name:
        raise ParseError(f"{name}: the arguments must be a JSON object")
    return [make_call(name, value)]


# ------------------------------------------------------------------------------------ other marks

def _read_xml(scan, found):
    """A call with its name in a tag.

    Llama 3.1:    <function=f>{"a": 1}</function>
    Qwen-Coder:   <tool_call><function=f><parameter=a>1</parameter></function></tool_call>
    Anthropic:    <invoke name="f"><parameter name="a">1</parameter></invoke>

    The text of a parameter is a value of the type that the tool's schema names.
    """
    name = _offered_name(found["xml_name"].strip(), scan.source.offered)
    place = BEFORE_VALUE.match(scan.text, found.end()).end()
    if scan.text.startswith("{", place):
        value, end = _json_at(scan.source, place)
    else:
        types = {key: one.type for key, one in _parameters(scan, name).items()}
        texts, end = _read_parameters(scan, name, found.end(), (PARAMETER, PARAMETER_END))
        value = {key: _typed(text, types.get(key, "")) for key, text in texts.items()}
    end = XML_END.match(scan.text, end).end()
    return Group(found.start(), end, "xml", [_make_call(name, value)], SURE, marked=True)


def _parameters(scan, name):
    """{name: Parameter} of an offered tool; {} of another."""
    for tool in read_tools(scan.tools):
        if tool.name == name:
            return {parameter.name: parameter for parameter in tool.parameters}
    return {}


def _read_parameters(scan, name, pos, patterns):
    """({parameter: its text} of the parameters that stand at `pos`, the place after them).

    patterns: of what begins a parameter, with its key, and of what ends it. A tag inside a value is
    part of it: a parameter ends where another or the call's end follows.
    """
    begin, end = patterns
    ends = scan.parameter_ends(end)
    texts = {}
    found = begin.match(scan.text, pos)
    while found:
        i = bisect_left(ends, (found.end(), 0))
        if i == len(ends):
            raise ParseError(f"{name}: a parameter does not end")
        key = found["key"].strip()
        if key in texts:
            raise ParseError(f"{name}: doubled parameter {key}")
        texts[key] = scan.text[found.end():ends[i][0]].removeprefix("\n").removesuffix("\n")
        pos = ends[i][1]
        found = begin.match(scan.text, pos)
    return texts, pos


def _typed(text, kind):
    """The value that a text is, given the type that a schema names; text where none fits."""
    if "str" in kind.lower():
        return text
    try:
        return _load(text)
    except ParseError:
        return text


def _read_deepseek(scan, found):
    """DeepSeek's marks, of R1 and V3, and of V3.1.

    R1:           <｜tool▁call▁begin｜>function<｜tool▁sep｜>f, a line break, ```json {"a": 1} ```
    V3.1:         <｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>
    """
    name = found["name_old"] or found["name_new"]
    return _read_marked(scan, found, name, "deepseek")


def _read_mistral(scan, found):
    """Mistral's newer form: [TOOL_CALLS]f[ARGS]{"a": 1}"""
    return _read_marked(scan, found, found["mistral_name"], "mistral")


def _read_marked(scan, found, name, form):
    """The Group of a mark with the name of a tool, which its arguments in JSON follow."""
    place = BEFORE_VALUE.match(scan.text, found.end()).end()
    value, end = _json_at(scan.source, place)
    return Group(found.start(), end, form, [_make_call(name, value)], SURE, marked=True)


def _read_named(scan, found):
    """The name of an offered tool, which its arguments in JSON follow.

    ChatGLM, ours:  f, a line break, {"a": 1}
    Functionary:    >>>f, a line break, {"a": 1}
    Kimi:           functions.f:0<|tool_call_argument_begin|>{"a": 1}
    gpt-oss:        to=functions.f <|constrain|>json<|message|>{"a": 1}

    What follows the name may also be a whole call in JSON, by keys that the tool does not have.
    """
    name = found["tool"]
    value, end = _json_at(scan.source, found.end())
    if not set(value) <= set(scan.source.offered[name]):
        with suppress(ParseError):
            calls = _calls_in(value, scan.source.offered)
            if "name" in value or calls and calls[0].name in scan.source.offered:
                return _json_group(scan, found.end(), value, end)
    return Group(found.start("tool"), end, "glm", [_make_call(name, value)], SURE, marked=True)


def _read_arg_keys(scan, found):
    """GLM-4.5's call: its keys and values in tags; none of an offered tool alone.

    <tool_call>f, a line break, <arg_key>a</arg_key><arg_value>1</arg_value></tool_call>

    A value is JSON where it has the type that the tool's schema names, else text.
    """
    name = (found["keys_tool"] or found["bare_tool"]).strip()
    texts, end = _read_parameters(scan, name, found.end(), (ARG_KEY, ARG_VALUE_END))
    closing = ARG_KEYS_END.match(scan.text, end)
    if not closing:
        raise ParseError(f"{name}: broken text after its parameters")
    known = _parameters(scan, name)
    value = {key: _of_type(text, known.get(key)) for key, text in texts.items()}
    return Group(found.start(), closing.end(), "glm", [_make_call(name, value)], SURE, marked=True)


def _of_type(text, parameter):
    """The JSON value that a text is, if it has the type of a Parameter (or None); else the text.

    >>> _of_type("12", None), _of_type("Oslo", None)
    (12, 'Oslo')
    """
    try:
        value = _load(text)
    except ParseError:
        return text
    if value is None and parameter and parameter.nullable:
        return None
    kind = parameter.type.lower() if parameter else ""
    types = [VALUE_TYPES[part] for part in VALUE_TYPES if part in kind]
    is_right = any(isinstance(value, one) and (one is bool or not isinstance(value, bool))
                   for one in types)
    return value if is_right or not types else text


# kind of a mark -> (the formats, its reader: of a _Scan and the match of the mark, -> Group)
READERS = {
    "call": (("call",), _read_python),
    "json": (("json",), _read_json),
    "input": (("react",), _read_react),
    "xml": (("xml",), _read_xml),
    "deepseek": (("deepseek",), _read_deepseek),
    "mistral": (("mistral",), _read_mistral),
    "named": (("glm", "json"), _read_named),
    "arg_keys": (("glm",), _read_arg_keys),
}


# --------------------------------------------------------------------------- what could not be read

# Marks by which models tell that a call follows.
UNREAD = re.compile(
    r"<[|｜][\w▁ ]{1,60}[|｜]>|<{1,2}/?[A-Za-z][\w:=\"'./ -]{0,80}>{1,2}|\[[A-Z][A-Z_]{2,30}\]"
    r"|^>>>|^```[a-z_]{2,20}", re.MULTILINE)
BROKEN = "a broken or unfinished call"
LAST = 20_000  # characters at the end of a text, where a call stands after long thoughts
KNOWN = re.compile(r"^</?tool_?calls?>$|^<\|python_tag\|>$|^\[TOOL_CALLS\]$", re.IGNORECASE)


def unread_mark(text, tools=()):
    """What stands in a text in which no call could be read, though it looks like one; or "".

    >>> unread_mark("<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0")
    '<|tool_calls_section_begin|>'
    """
    answer = without_thoughts(text[-LAST:])
    marks = [mark for mark in UNREAD.findall(answer) if mark == ">>>" or CALL_NAME.search(mark)]
    unknown = [mark for mark in marks if not KNOWN.search(mark)]
    if marks:
        mark = (unknown or marks)[0].replace("</", "<")
        return re.sub(r"[= ].*(?=>)", "...", mark)
    if any(f"{tool.name}(" in answer for tool in read_tools(tools)):
        return BROKEN
    return "a JSON object" if re.search(r"^[ \t]*+\{\s*+[\"'}]", answer, re.MULTILINE) else ""
