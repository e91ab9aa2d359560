"""JSON, the repr of a Python object, or either of them cut off in the middle -> a JSON value.

    {"a": [1, 2                        {"a": [1]}
    {'ok': False, 'id': Id('5f')}      {"ok": false, "id": "Id('5f')"}
    Result(text='x', failed=True)      {"text": "x", "failed": true}
    text='x' failed=True               the same: str() of pydantic's objects

Nothing is evaluated: the tokens of the text are written as JSON has them.
"""

import json
import re

MAX_LENGTH = 50_000  # characters that are read; what is longer counts as cut off
CONSTANTS = {"True": "true", "False": "false", "None": "null"}
CLOSING = {"{": "}", "[": "]"}

STRING = r""""[^"\\]*+(?:\\.[^"\\]*+)*+"|'[^'\\]*+(?:\\.[^'\\]*+)*+'"""
# A token; one group for each kind: a whole string; an object with named members as it begins; a
# member's name; an object of other values, `datetime.date(2024, 1, 1)`, which counts as a text; a
# mark; another word (a number, true, None); a quote that nothing closes, with the rest of the text.
TOKEN = re.compile(
    rf"({STRING})"
    r"|(?P<begun>[A-Za-z_][\w.]*+\((?=[A-Za-z_]\w*+=))"
    r"|(?P<key>[A-Za-z_]\w*+)=(?=\S)"
    rf"""|([A-Za-z_][\w.]*+\((?:[^()"']|\([^()]*+\)|{STRING})*+\))"""
    r"|([][{},:)])"
    r"""|([^][{},:"'\s)]++)"""
    r"""|(["'].*)""",
    re.DOTALL)


def parse_literal(text):
    """The JSON value of a text, of a Python literal, or of either cut off; None for another text.

    >>> parse_literal("{'a': None, 'at': date(2024, 1, 1), 'b': [1, 2")
    {'a': None, 'at': 'date(2024, 1, 1)', 'b': [1]}
    """
    if len(text) <= MAX_LENGTH:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):  # ValueError: also an integer of thousands of digits
            pass
    return _parse_mended(text[:MAX_LENGTH]) if text[:1] in CLOSING else None


def parse_object(text):
    """The members of one Python object, from its repr() or pydantic's str(); None for another text.

    >>> parse_object("Result(text='x', failed=True)"), parse_object("text='x' failed=True")
    ({'text': 'x', 'failed': True}, {'text': 'x', 'failed': True})
    """
    text = text[:MAX_LENGTH]
    first = TOKEN.match(text)
    if first and first["begun"]:
        return _parse_mended(text)
    return _parse_mended(f"Object({text})") if first and first["key"] else None


def _parse_mended(text):
    try:
        return json.loads(_mended(text), strict=False)
    except (ValueError, RecursionError):
        return None


def _mended(text):
    """JSON or a Python literal -> JSON; if it was cut off, closed after its last whole member."""
    tokens = []
    whole = 0    # tokens up to the end of the last whole member
    shared = {}  # equal tokens are one text, which saves memory
    for found in TOKEN.finditer(text):
        string, begun, key, made, mark, word, cut = found.groups("")
        if key and tokens[-1:] not in (["{"], [","]):  # pydantic's str() has no commas
            whole = len(tokens)
            tokens.append(",")
        if mark == ",":
            whole = len(tokens)
        if cut:
            string = json.dumps(cut[1:])
            whole = len(tokens)
            if tokens[-1:] == [":"]:  # half of a member's text still says something
                whole += 1
        elif string.startswith("'"):
            string = json.dumps(string[1:-1])
        elif key or made:
            string = json.dumps(key or made)
        if begun or mark == ")":
            mark = "{" if begun else "}"
        token = string or mark or CONSTANTS.get(word, word)
        tokens.append(shared.setdefault(token, token))
        if key:
            tokens.append(":")
    if _unclosed(tokens):
        del tokens[whole:]
    return " ".join(tokens + _unclosed(tokens))


def _unclosed(tokens):
    """The brackets that would close what `tokens` leave open."""
    closing = []
    for token in tokens:
        if token in CLOSING:
            closing.append(CLOSING[token])
        elif closing and token == closing[-1]:
            closing.pop()
    closing.reverse()
    return closing
