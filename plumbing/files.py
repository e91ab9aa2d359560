"""Files: strict JSON in, JSON out that a kill cannot cut in half, and the error for wrong input.

What a user can get wrong (a path, a file's contents, a flag) ends in an InputError: one line that
names the file, item or flag. `plumbing.flags.cli` prints it and exits with status 2.
"""

import hashlib
import json
import math
import os
from collections import Counter
from pathlib import Path

MAX_DEPTH = 100      # levels of nested JSON: well below where Python's own recursion ends
LARGEST = 2**31 - 1  # of a number in a flag or in config.json; beyond it is a slip of the keyboard


class InputError(ValueError):
    """The user's input is wrong; the message names the file, item or flag and fits one line."""


# ------------------------------------------------------------------------------------------ reading

def read_text(path):
    """The UTF-8 text of a file, without the BOM. Raises InputError naming the file."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None


def parse_json(text, where, twice=False):
    """The value of strict JSON: JSON with one meaning only. Raises InputError with the line.

    text: the JSON; where: a file or an item of it, which leads the error's message.
    twice: let a key come twice in an object; the last one counts then.

    Python's own reader accepts more. Refused here: NaN and Infinity, a number too large for a
    float, a key that comes twice in an object, half a surrogate pair, and nesting deeper than
    MAX_DEPTH.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=dict if twice else _object_with_distinct_keys,
        )
        if "\\u" in text:  # only such an escape can stand for half a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{where}: {place}: {error.msg}") from None
    except UnicodeEncodeError as error:
        before = error.object[max(0, error.start - 30):error.start]
        raise InputError(f"{where}: not Unicode text after {before!r}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None
    except ValueError as error:  # ours, below; and Python reads no integer of over 4,300 digits
        raise InputError(f"{where}: {error}") from None
    if _is_deeper(value, MAX_DEPTH):
        raise InputError(f"{where}: nested too deeply")
    return value


def _refuse_constant(name):
    """For json.loads: what Python reads besides JSON (NaN, Infinity, -Infinity)."""
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits):
    """For json.loads: a number with a point or an exponent; 1e999 would become infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is too large")
    return number


def _object_with_distinct_keys(pairs):
    """For json.loads: an object; of two equal keys Python would silently keep the last."""
    value = dict(pairs)
    if len(value) < len(pairs):
        occurrences = Counter(key for key, _ in pairs)
        key = max(occurrences, key=occurrences.get)
        raise ValueError(f"the key {key[:80]!r} comes twice in an object")
    return value


def _is_deeper(value, depth):
    """Whether a value stands inside `depth` lists and objects or more; found without recursion."""
    level = [value]
    for _ in range(depth):
        inner = []
        for outer in level:
            if isinstance(outer, dict):
                inner.extend(outer.values())
            elif isinstance(outer, list):
                inner.extend(outer)
        level = inner
    return bool(level)


def read_json(path):
    """The JSON value in a file. Raises InputError naming the file and line."""
    return parse_json(read_text(path), path)


def read_records(path):
    """[(value, where it stands)] of a JSON list, or of JSON lines. Raises InputError."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        values = parse_json(text, path)
        return [(value, f"{path}: item {i}") for i, value in enumerate(values)]
    lines = enumerate(text.split("\n"), 1)  # not splitlines: a string may hold U+2028
    places = [(line, f"{path}: line {i}") for i, line in lines if line.strip()]
    return [(parse_json(line, where), where) for line, where in places]


def read_object(path):
    """The JSON object in a file. Raises InputError naming the file and line."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: must be a JSON object")
    return value


# ------------------------------------------------------------------------------------------ writing

def write_json(path, value):
    """Write `value` as JSON aside, then rename it: a kill leaves the old file or the new one."""
    aside = Path(f"{path}.part")
    aside.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(aside, path)


# ------------------------------------------------------------------------------------------ hashing

def contents(path):
    """A SHA-256 of a file, or of a model's weights, config.json and tokenizer; "" for no path.

    Two paths with equal contents have equal hashes, wherever they lie. Raises InputError.
    """
    if not path:
        return ""
    digest = hashlib.sha256()
    for file in _files_of(Path(path)):
        try:
            with open(file, "rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}") from None
    return digest.hexdigest()


def _files_of(path):
    """The file itself, or the files of a model's directory that its results depend on."""
    if path.is_file():
        return [path]
    files = []
    for pattern in ("config.json", "model*.safetensors", "tokenizer.model"):
        files += path.glob(pattern)
    return sorted(files)
