"""A call as a model writes it, read back: one hand-written parser for the reward and for every benchmark."""

import functools
import math
import operator
import re
import sys
from typing import NamedTuple

from data.tools import read_tools


class ParseError(ValueError):
    """The text is not a call; the message says why and where."""


class Call(NamedTuple):
    name: str
    arguments: dict             # parameter -> JSON value
    name_span: tuple[int, int]  # characters of the name in the text


MAX_LENGTH, MAX_DEPTH, MAX_SIGNS = 200_000, 64, 64  # characters, values in one another, arithmetic signs
LARGEST = sys.float_info.max
SPACE, COMMA, OPERATOR = re.compile(r"\s*"), re.compile(r"(?:,\s*)?"), re.compile(r"(\*\*|[-+*/])\s*")
VALUE = re.compile(r"""(?:(?P<number> (?:[0-9][0-9_]*\.?[0-9_]* | \.[0-9][0-9_]*)(?:[eE][-+]?[0-9_]+)?)
    | (?P<mark> [-+*([{]) | (?P<word> [^\W\d][\w.]*)
    | (?P<string> \"{3}(?:[^\\]|\\.)*?\"{3} | '{3}(?:[^\\]|\\.)*?'{3} | "[^"\\]*(?:\\.[^"\\]*)*"
        | '[^'\\]*(?:\\.[^'\\]*)*' | “[^”\\]*(?:\\.[^”\\]*)*” | ‘[^’\\]*(?:\\.[^’\\]*)*’))\s*""",
                   re.VERBOSE | re.DOTALL)
WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
ESCAPES = dict(zip("ntrbfav\\/\"'\n", [*"\n\t\r\b\f\a\v\\/\"'", ""]))
BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "sign": 3, "**": 4}
FOLD = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
        "**": lambda a, b: float(a) ** b and a ** b}  # the float overflows before the integer costs anything


def parse_call(text, tools=(), strict=False):
    """The call in `text`, in linear time; nothing is evaluated. Raises ParseError.

    Names of `tools` (schemas or Tools; of two of one name the first counts) and of their parameters may hold
    any character, though not begin with `)`; positional arguments are named by the signature. Strict:
    one call, then only space and `</s>`. Lenient: the first line that begins with a call, after space,
    backticks and `Assistant:`, up to the closing bracket; there an unquoted word or call is read as
    `{"unquoted": text}`, and curly quotes as straight ones.
    Values are literals of JSON or Python: a tuple becomes a list, 01 is 1, `\\/` a slash, an unknown escape
    keeps its backslash, arithmetic is folded, keys are strings and the last of two counts. Not read: prefixed
    or adjacent strings, sets, nan, half a surrogate pair, a keyword twice.

    >>> parse_call('search(query = "caf\\\\u00e9", n=2*5, tags=("a", None))')
    Call(name='search', arguments={'query': 'café', 'n': 10, 'tags': ['a', None]}, name_span=(0, 6))
    """
    if len(text) > MAX_LENGTH:
        raise ParseError(f"longer than {MAX_LENGTH} characters")
    offered = {tool.name: tool.parameters for tool in reversed(read_tools(tools))}
    before = r"\s*" if strict else r"^(?:[^\S\n]|`)*(?:Assistant:(?:[^\S\n]|`)*)?"
    pattern = _named(before, tuple(offered), r"\w[\w.-]*", r"[ \t]*\(\s*")
    found = pattern.match(text) if strict else pattern.search(text)
    if not found:
        raise ParseError("no name with a bracket where a call may begin")
    name, reader = found[1], _Reader(text, found.end(), strict)
    arguments = reader.arguments(tuple(parameter.name for parameter in offered.get(name, ())))
    if strict and text[reader.pos:].strip() not in ("", "</s>"):
        reader.fail("text after the call")
    return Call(name, arguments, found.span(1))


@functools.lru_cache(1024)
def _named(before, names, otherwise, after):
    """Pattern: one of the names, the longest that fits, else `otherwise`; between `before` and `after`."""
    choices = [*map(re.escape, sorted(names, key=len, reverse=True)), otherwise]
    return re.compile(f"{before}({'|'.join(choices)}){after}", re.MULTILINE)


class _Reader:
    """Recursive descent from `pos`, the next character; each method reads one thing and space after it."""

    def __init__(self, text, pos, strict):
        self.text, self.pos, self.strict = text, pos, strict
        self.depth, self.signs, self.comma = 0, 0, False

    def fail(self, why):
        raise ParseError(f"{why} at character {self.pos}")

    def skip(self, token):
        found = self.text.startswith(token, self.pos)
        if found:
            self.pos = SPACE.match(self.text, self.pos + 1).end()
        return found

    def until(self, close):
        """Yields before each item of a list up to `close`; `comma` tells whether a comma came last."""
        self.comma = True
        while not self.skip(close):
            if not self.comma:
                self.fail(f"expected , or {close}")
            yield
            after = COMMA.match(self.text, self.pos)
            self.pos, self.comma = after.end(), after.end() > self.pos

    def arguments(self, parameters):
        found, positional = {}, iter(parameters)
        for _ in self.until(")"):
            key, value = self.keyword(parameters), self.value()
            if key is None:
                key = next(positional, None)
            else:
                positional = iter(())  # none after a named one
            if key is None or key in found:
                self.fail("expected name=value" if key is None else f"doubled keyword {key}")
            found[key] = value
        return found

    def keyword(self, known):
        """The name before `=`, or None. Known ones may be odd (`code:`), keywords, even hold a `=`."""
        found = _named("", known, r"[^\W\d][\w.:-]*", r"\s*=\s*").match(self.text, self.pos)
        self.pos = found.end() if found else self.pos
        return found and found[1]

    def value(self, binds=0):
        """A value; of arithmetic, what binds at least as tightly as `binds`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("nested too deeply")
        left = self.operand()
        while type(left) in (int, float) and (sign := OPERATOR.match(self.text, self.pos)):  # not bool
            if BINDS[sign[1]] < binds:
                break
            self.pos, self.signs = sign.end(), self.signs + 1
            if self.signs > MAX_SIGNS:
                self.fail("too much arithmetic")
            right = self.value(BINDS[sign[1]] + (sign[1] != "**"))  # powers are read from the right
            left = self.fold(left, sign[1], right)
        self.depth -= 1
        return left

    def operand(self):
        found = VALUE.match(self.text, self.pos) or self.fail("expected a value")
        self.pos, kind, token = found.end(), found.lastgroup, found[found.lastgroup]
        if kind == "string":
            return self.string(token)
        if kind == "word":
            return WORDS[token] if token in WORDS else self.unquoted(found)
        if kind == "number":
            return self.number(int if token.replace("_", "").isdigit() else float, token)
        if token == "*":
            self.fail("unpacking is not read")
        if token in "+-":
            return self.fold(0, token, self.value(BINDS["sign"]))
        if token == "{":
            return {self.key(): self.value() for _ in self.until("}")}
        items = [self.value() for _ in self.until("]" if token == "[" else ")")]
        return items[0] if token == "(" and len(items) == 1 and not self.comma else items

    def key(self):
        key = self.value()
        return key if isinstance(key, str) and self.skip(":") else self.fail("expected a string and :")

    def string(self, token):
        if token[0] in "“‘" and self.strict:
            self.fail("curly quotes")
        edge = 3 if token[:3] in ('"""', "'''") else 1
        try:  # in UTF-16 the two escapes of a surrogate pair become one character
            text = ESCAPE.sub(_unescape, token[edge:-edge]).encode("utf-16-le", "surrogatepass")
            return text.decode("utf-16-le")
        except (ValueError, OverflowError):
            self.fail("broken escape")

    def unquoted(self, word):
        if self.strict or word["word"].lower() in ("nan", "inf", "infinity"):
            self.fail("expected a value, not a word")
        if self.skip("("):
            for _ in self.until(")"):
                self.keyword(())
                self.value()
        return {"unquoted": self.text[word.start():self.pos].strip()}

    def fold(self, left, sign, right):
        return self.number(FOLD[sign], left, right) if type(right) in (int, float) else self.fail("no number")

    def number(self, make, *parts):
        try:
            number = make(*parts)
        except ZeroDivisionError:
            self.fail("division by zero")
        except (ValueError, OverflowError):
            number = math.inf
        if isinstance(number, complex) or not abs(number) <= LARGEST:
            self.fail("absurd number")
        return number


def _unescape(found):
    code = found[1]
    if code[0] in "uUxN":
        return chr(int(code[1:], 16))  # a ValueError if broken
    return chr(int(code, 8)) if code[0] in "01234567" else ESCAPES.get(code, found[0])
