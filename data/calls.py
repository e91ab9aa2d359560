r"""A call as a model writes it, read back: one parser, for the reward and for every benchmark.

The grammar ({x}: x any number of times; [x]: x or nothing; space may follow any token):

    call      = name "(" arguments
    arguments = { argument "," } ")"            here and below the last comma may be left out
    argument  = [ parameter "=" ] value
    value     = operand { operator value }      ** binds tighter than a sign, then * /, then + -
    operand   = number | string | constant | sign value | list | object | tuple | unquoted
    constant  = true | false | null | True | False | None
    list      = "[" { value "," } "]"
    object    = "{" { key ":" value "," } "}"
    key       = value                           that is a string
    tuple     = "(" { value "," } ")"           one value without a comma is that value itself
    unquoted  = word [ "(" arguments ]          in lenient reading only

The parser is written by hand because Python's `ast` cannot read `preferred-routes_get(...)`,
`from="EUR"`, `code:="x"`, `true` or a raw newline in a string, and crashes on deep nesting.
"""

import functools
import math
import re
import sys
from typing import NamedTuple

from data.tools import read_tools


class ParseError(ValueError):
    """The text is not a call; the message says why and where."""


class Call(NamedTuple):
    """A tool's name, its arguments, and where the name stands in the text that was read."""

    name: str
    arguments: dict             # parameter -> JSON value
    name_span: tuple[int, int]  # characters of the name in the text


def make_call(name, arguments):
    """A Call that was not read from the text of a call: the name stands for itself."""
    return Call(name, arguments, (0, len(name)))


# Bounds, so that a hostile text costs little and cannot exhaust Python's recursion.
MAX_LENGTH = 200_000            # characters in the text
MAX_DEPTH = 64                  # values in one another
MAX_OPERATORS = 64              # of arithmetic, in the whole call
MAX_VALUES = 10_000             # in all calls of the text, whether they can be read or not
ATTEMPT = 64                    # characters that an attempt to read a call costs at least
LARGEST = sys.float_info.max    # magnitude of a number

# What may stand before the call. Strict: only space.
BEFORE_STRICT = r"\s*"
# Lenient: anything, as long as the call's own line begins with the call, after spaces and backticks
# (of a code block) and `Assistant:`. The call may be on the line after `Assistant:`.
BEFORE_LENIENT = r"^(?:[^\S\n]|`)*+(?:Assistant:(?:[^\S\n]|`)*+)?"
# The name of a tool that is not offered: of word characters, dots and hyphens.
NAME = r"\w[\w.-]*"
# The bracket that opens the arguments, on the line of the name.
OPEN = r"[ \t]*\(\s*"
# The name of a parameter that the tool does not have: an identifier, with dots, colons and hyphens.
PARAMETER = r"[^\W\d][\w.:-]*"
EQUALS = r"\s*=\s*"

# 12  1_000  3.5  5.  .5  1e-3; int() and float() refuse what is no number, such as 1__0.
NUMBER = r"(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9_]+)?"
# A constant or, leniently, unquoted text: identifiers with dots between.
WORD = r"[^\W\d][\w.]*"
# A string in triple quotes, straight quotes or (leniently) curly quotes; a backslash takes the next
# character with it. What repeats matches a character in one way only: the time is linear.
STRING = "|".join((
    r'"{3}[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"{3}',
    r"'{3}[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'{3}",
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"',
    r"'[^'\\]*+(?:\\.[^'\\]*+)*+'",
    r"“[^”\\]*+(?:\\.[^”\\]*+)*+”",
    r"‘[^’\\]*+(?:\\.[^’\\]*+)*+’",
))
# The first token of an operand, and the space after it; each kind has a method of _Reader.
OPERAND = re.compile(
    rf"(?:(?P<number>{NUMBER})|(?P<word>{WORD})|(?P<string>{STRING})"
    r"|(?P<list>\[)|(?P<object>\{)|(?P<tuple>\()|(?P<sign>[-+])|(?P<star>\*))\s*", re.DOTALL)
OPERATOR = re.compile(r"(\*\*|[-+*/])\s*")
SPACE = re.compile(r"\s*")
# What follows one of several values: a comma, the bracket that ends them, or both.
ANOTHER = {close: re.compile(rf"(?P<comma>,\s*)?(?P<close>{re.escape(close)}\s*)?")
           for close in ")]}"}
QUOTES = "\"'“‘"
# What may follow a call on its line, where the call is no part of a sentence.
AFTER = re.compile(r"[^\S\n]*(?:[\n,;`<\[\])]|\Z)")

NUMBERS = (int, float)  # not bool, which is an int to isinstance
CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
# Words that Python and JavaScript write for numbers that are no JSON: never unquoted text.
NOT_JSON = ("nan", "inf", "infinity")

# How tightly an operator binds: the operands of a tighter one are put together first.
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
SIGN_PRECEDENCE = 3  # -2**2 is -4, and 2**-1 is 0.5

# An escape in a string: of a character's code (\u \U \x, octal), or a backslash and one character.
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v",
    "\\": "\\", "/": "/", '"': '"', "'": "'",
    "\n": "",  # a backslash at the end of a line joins it to the next, as in Python
}


def parse_call(text, tools=(), strict=False):
    r"""The Call in `text`, in linear time. Nothing is evaluated. Raises ParseError.

    tools: the offered tools, as schemas or Tools; of two with one name the first counts. Their
    names, and those of their parameters, may hold any character, though not begin with `)`.
    Arguments without a name take the names of the signature, in its order.

    Strict: one call, then only space and `</s>`. Lenient: the call on the first line that begins
    with one, after space, backticks and `Assistant:`, up to the closing bracket; an unquoted word
    or call in place of a value is read as `{"unquoted": text}`, and curly quotes as straight ones.

    Values are literals of JSON or Python. A tuple becomes a list; 01 is 1; `\/` is a slash; an
    unknown escape keeps its backslash; arithmetic is folded; the keys of an object are strings, and
    the last of two equal keys counts. Not read: prefixed or adjacent strings, sets, nan, half a
    surrogate pair, a parameter given twice.

    >>> parse_call('search(query = "caf\\u00e9", n=2*5, tags=("a", None))')
    Call(name='search', arguments={'query': 'café', 'n': 10, 'tags': ['a', None]}, name_span=(0, 6))
    """
    source = Source(text, tools, strict)
    if strict:
        return _parse_strictly(source)
    pattern = _call_pattern(tuple(source.offered), BEFORE_LENIENT)
    doubtful = None  # the first call that may be prose
    error = None     # of the first name with a bracket that begins no call
    found = pattern.search(text)
    while found and source.left >= 0:
        try:
            call, end = source.call_at(found[1], found.start(1), found.end())
            if source.is_sure(call, end):
                return call
            doubtful = doubtful or call
        except ParseError as why:
            error = error or why
            end = found.end(1)
        found = pattern.search(text, end)
    if doubtful:
        return doubtful
    raise error or ParseError("no name with a bracket where a call may begin")


class ArgumentSpan(NamedTuple):
    """Where an argument stands in the text of a call, as characters [start, stop)."""

    key: tuple[int, int] | None  # none for an argument without a name
    value: tuple[int, int]       # with the space after it; the next character is `,` or `)`


def parse_with_spans(text, tools=()):
    """As `parse_call`, strictly -> (Call, the ArgumentSpans of its arguments, in their order).

    The spans are no part of the Call, so that calls written differently can be equal.

    >>> parse_with_spans('f(n = 2 )')[1]
    [ArgumentSpan(key=(2, 3), value=(6, 8))]
    """
    source = Source(text, tools, strict=True)
    call = _parse_strictly(source)
    return call, source.spans


def _parse_strictly(source):
    """The Call that is the whole text of a Source. Raises ParseError."""
    found = _call_pattern(tuple(source.offered), BEFORE_STRICT).match(source.text)
    if not found:
        raise ParseError("no name with a bracket where a call may begin")
    call, end = source.call_at(found[1], found.start(1), found.end())
    if source.text[end:].strip() not in ("", "</s>"):
        raise ParseError(f"text after the call at character {end}")
    return call


@functools.lru_cache(1024)
def _call_pattern(names, before):
    """Pattern of `before`, a tool's name (group 1) and its bracket."""
    return re.compile(f"{before}({any_name(names)}){OPEN}", re.MULTILINE)


@functools.lru_cache(1024)
def _parameter_pattern(names):
    """Pattern of a parameter's name (group 1), of those given or any other, and `=`."""
    return re.compile(f"({any_name(names, PARAMETER)}){EQUALS}")


def any_name(names, otherwise=NAME):
    """The pattern of the longest of `names` that fits, or else what the pattern `otherwise` takes.

    Known names are matched first, because they may hold brackets, spaces or `=`.
    """
    longest_first = sorted(names, key=len, reverse=True)
    return "|".join([*map(re.escape, longest_first), otherwise])


class Source:
    """A text in which calls and values are read at several places, in linear time altogether.

    What one attempt found out, another does not try again: quotes that nothing closes, and brackets
    in which a value or a call cannot be read.
    """

    def __init__(self, text, tools=(), strict=False):
        """text: at most MAX_LENGTH characters, else ParseError; tools, strict: see parse_call."""
        if len(text) > MAX_LENGTH:
            raise ParseError(f"longer than {MAX_LENGTH} characters")
        self.text = text
        self.strict = strict
        self.offered = {}  # name of a tool -> names of its parameters; of two the first counts
        for tool in reversed(read_tools(tools)):
            self.offered[tool.name] = tuple(parameter.name for parameter in tool.parameters)
        self.unclosed = {}    # quote -> the place from which on nothing closes it
        self.hopeless = set()  # the places of brackets that were read in vain
        self.spans = []       # ArgumentSpans of the call that was read last
        # Characters that attempts may cost and values that they may read: enough to read a text
        # twice, with an attempt every 32 characters.
        self.left = 2 * len(text) + 6000
        self.values = min(MAX_VALUES, len(text) // 2 + 100)

    def call_at(self, name, start, inside):
        """(the Call of the tool `name`, which stands at `start`, the place after the call).

        inside: the place after the opening bracket. Raises ParseError.
        """
        reader = self._reader_at(start, inside, self.strict)
        arguments, end = self._attempt(
            reader, start, reader.arguments, self.offered.get(name, ()))
        self.spans = reader.spans
        return Call(name, arguments, (start, start + len(name))), end

    def value_at(self, start):
        """(the literal of JSON or Python at `start`, the place after it). Raises ParseError."""
        reader = self._reader_at(start, start, strict=True)
        return self._attempt(reader, start, reader.value)

    def _reader_at(self, start, pos, strict):
        """A _Reader from `pos` on for what begins at `start`.

        Raises ParseError if an attempt there failed before, or the text has been read twice.
        """
        if self.left < 0 or start in self.hopeless:
            raise ParseError(f"no call or value at character {start}")
        return _Reader(self, pos, strict)

    def _attempt(self, reader, start, read, *arguments):
        """(what `read` returns, the place after it); what it reads in vain is remembered."""
        try:
            value = read(*arguments)
            return value, start + len(self.text[start:reader.pos].rstrip())
        except ParseError:
            self.hopeless.update(reader.open)
            raise
        finally:
            self.left -= max(reader.pos - start, ATTEMPT)

    def is_sure(self, call, end):
        """Whether what was read as a Call, up to `end`, is meant as one; if not, it may be prose.

        Prose are `get_weather(city) takes a city`, and, of tools that are not offered, `Plan (a=1)`
        and `Plan(a=1): I look it up.`
        """
        if any(is_bare_word(value) for value in call.arguments.values()):
            return False
        if call.name in self.offered:
            return True
        is_spaced = not self.text.startswith("(", call.name_span[1])
        return not is_spaced and bool(AFTER.match(self.text, end))


def is_bare_word(value):
    """Whether a value was read from a word without quotes, which is no call."""
    return isinstance(value, dict) and value.keys() == {"unquoted"} and "(" not in value["unquoted"]


class _Reader:
    """Recursive descent: a method for each rule of the grammar.

    `pos` is the next character. A method reads what its rule says and the space after it, moves
    `pos` and returns the value; it raises ParseError where the text does not follow the rule. Those
    in RULES take the match of the operand's first token, which is read.
    """

    def __init__(self, source, pos, strict):
        self.source = source
        self.text = source.text
        self.pos = pos
        self.strict = strict
        self.depth = 0       # values that are being read, in one another
        self.operators = 0   # of arithmetic, so far
        self.open = []       # places of the calls, lists and objects that are being read
        self.comma = False   # whether the list that `another` ended last had a comma before its end
        self.spans = []      # of the call's arguments
        self.span = None     # of the argument that `argument` read last

    def fail(self, why):
        """Raise the ParseError that says why, and where."""
        raise ParseError(f"{why} at character {self.pos}")

    def skip(self, mark):
        """Whether the one-character `mark` comes next; if so, it is read."""
        pos = self.pos
        if self.text[pos:pos + 1] != mark:
            return False
        self.pos = SPACE.match(self.text, pos + 1).end()
        return True

    def another(self, close):
        """After one of { x "," } close: whether another x follows. Reads the comma, or `close`."""
        found = ANOTHER[close].match(self.text, self.pos)
        if not found.lastgroup:
            self.fail(f"expected , or {close}")
        self.pos = found.end()
        self.comma = found["comma"] is not None
        return found.lastgroup == "comma"

    def arguments(self, parameters):
        """arguments = { argument "," } ")" -> {parameter: value}.

        parameters: those of the tool, in the order of its signature.
        """
        arguments = {}
        positional = iter(parameters)
        more = not self.skip(")")
        while more:
            name, value = self.argument(parameters)
            self.spans.append(self.span)
            if name is None:
                name = next(positional, None)
            else:
                positional = iter(())  # after a named argument none may be positional
            if name is None:
                self.fail("expected name=value")
            if name in arguments:
                self.fail(f"doubled keyword {name}")
            arguments[name] = value
            more = self.another(")")
        return arguments

    def argument(self, parameters):
        """argument = [ parameter "=" ] value -> (its name or None, its value).

        The name of one of `parameters` may be a keyword of Python, or odd (`code:`, even with `=`).
        """
        found = _parameter_pattern(parameters).match(self.text, self.pos)
        name = None
        key = None
        if found:
            name = found[1]
            key = found.span(1)
            self.pos = found.end()
        start = self.pos
        value = self.value()  # which may read other arguments, of a call without quotes
        self.span = ArgumentSpan(key, (start, self.pos))
        return name, value

    def value(self, least=0):
        """value = operand { operator value }, by precedence climbing.

        least: the lowest precedence of an operator that is read here; what stands right of it is
        read by this method with a higher `least`, and an operator below `least` is left to the
        caller. Only numbers take operators: behind another value an operator is left unread.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("nested too deeply")
        self.source.values -= 1
        if self.source.values < 0:
            self.fail("too many values")
        found = None if self.source.unclosed and self.is_unclosed() else OPERAND.match(
            self.text, self.pos)
        if not found:
            self.no_operand()
        self.pos = found.end()
        left = RULES[found.lastgroup](self, found)
        while type(left) in NUMBERS:
            found = OPERATOR.match(self.text, self.pos)
            if not found or PRECEDENCE[found[1]] < least:
                break
            operator = found[1]
            self.pos = found.end()
            self.operators += 1
            if self.operators > MAX_OPERATORS:
                self.fail("too much arithmetic")
            if operator == "**":  # 2**3**2 is 2**(3**2)
                right = self.value(PRECEDENCE[operator])
            else:                 # 1-2-3 is (1-2)-3
                right = self.value(PRECEDENCE[operator] + 1)
            left = self.fold(left, operator, right)
        self.depth -= 1
        return left

    def is_unclosed(self):
        """Whether a quote comes next of which it is known that nothing closes it."""
        mark = self.text[self.pos:self.pos + 1]
        return self.source.unclosed.get(mark, len(self.text)) <= self.pos

    def no_operand(self):
        """Fail, since no operand comes next; where a quote does, nothing closes it."""
        mark = self.text[self.pos:self.pos + 1]
        if mark and mark in QUOTES and not self.is_unclosed():
            self.source.unclosed[mark] = self.pos
        self.fail("expected a value")

    def list(self, found, close="]"):
        """list = "[" { value "," } "]" -> list."""
        self.open.append(found.start())
        items = []
        more = not self.skip(close)
        while more:
            items.append(self.value())
            more = self.another(close)
        self.open.pop()
        return items

    def tuple(self, found):
        """tuple = "(" { value "," } ")" -> list; the value itself if it is one, without a comma."""
        items = self.list(found, ")")
        if len(items) == 1 and not self.comma:
            return items[0]
        return items

    def object(self, found):
        """object = "{" { key ":" value "," } "}" -> dict."""
        self.open.append(found.start())
        members = {}
        more = not self.skip("}")
        while more:
            key = self.value()
            if not isinstance(key, str) or not self.skip(":"):
                self.fail("expected a string and :")
            members[key] = self.value()
            more = self.another("}")
        self.open.pop()
        return members

    def sign(self, found):
        """sign value: 0 + value or 0 - value."""
        return self.fold(0, found["sign"], self.value(SIGN_PRECEDENCE))

    def star(self, _):
        """No operand, but with an error of its own: *list and **object."""
        self.fail("unpacking is not read")

    def word(self, found):
        """constant, or unquoted = word [ "(" arguments ] -> {"unquoted": its text}.

        It is an object, so that it equals no string: such a call has the right tool and parameters,
        and wrong content.
        """
        word = found["word"]
        if word in CONSTANTS:
            return CONSTANTS[word]
        if self.strict or word.lower() in NOT_JSON:
            self.fail("expected a value, not a word")
        start = found.start()
        if self.skip("("):
            self.open.append(start)
            pattern = _parameter_pattern(self.source.offered.get(word, ()))
            more = not self.skip(")")
            while more:
                named = pattern.match(self.text, self.pos)
                if named:
                    self.pos = named.end()
                self.value()
                more = self.another(")")
            self.open.pop()
        return {"unquoted": self.text[start:self.pos].rstrip()}

    def string(self, found):
        """The text of a string token: without its quotes, with its escapes replaced."""
        quoted = found["string"]
        if quoted[0] in "“‘" and self.strict:
            self.fail("curly quotes")
        edge = 3 if quoted.startswith(('"""', "'''")) else 1
        if "\\" not in quoted and quoted.isascii():  # as most are
            return quoted[edge:-edge]
        try:
            text = ESCAPE.sub(_unescape, quoted[edge:-edge])
            # in UTF-16 the two escapes of a surrogate pair become one character, and half a pair
            # is an error
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except (ValueError, OverflowError):
            self.fail("broken escape")

    def number(self, found):
        """The int or float of a number token."""
        digits = found["number"]
        if digits.isdigit() and len(digits) < 300:  # as most are
            return int(digits)
        if digits.replace("_", "").isdigit():
            return self.bounded(int, digits)
        return self.bounded(float, digits)

    def fold(self, left, operator, right):
        """The number that `left operator right` makes."""
        if type(right) not in NUMBERS:
            self.fail("no number")
        return self.bounded(_calculate, left, operator, right)

    def bounded(self, make, *parts):
        """The number make(*parts), if it is a real one of at most LARGEST."""
        try:
            number = make(*parts)
        except ZeroDivisionError:
            self.fail("division by zero")
        except (ValueError, OverflowError):
            number = math.inf
        if isinstance(number, complex) or not abs(number) <= LARGEST:
            self.fail("absurd number")
        return number


# kind of an operand's first token -> the rule that reads on from its match
RULES = {
    "number": _Reader.number, "word": _Reader.word, "string": _Reader.string, "list": _Reader.list,
    "object": _Reader.object, "tuple": _Reader.tuple, "sign": _Reader.sign, "star": _Reader.star}


def _calculate(left, operator, right):
    """The result of one operation of arithmetic, as Python has it."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right
    # the float first: it overflows before an integer of a million digits costs anything
    rough = float(left) ** right
    return left ** right if rough else rough


def _unescape(found):
    """The text that a match of ESCAPE stands for.

    Raises ValueError or OverflowError for a code that is no character.
    """
    code = found[1]
    if code[0] in "uUxN":  # where no digits follow, as in \N{DASH}, int("", 16) raises
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return ESCAPES.get(code, found[0])
