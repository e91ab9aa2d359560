"""Files: strict JSON in, JSON out that a kill cannot cut in half, and the error for what a user gave wrong."""

import hashlib
import json
import math
import os
from collections import Counter
from pathlib import Path

MAX_DEPTH = 100      # of JSON: well below where Python's own recursion ends
LARGEST = 2**31 - 1  # of a number in a flag or in config.json; beyond it is a slip of the keyboard


class InputError(ValueError):
    """Something the user gave is wrong; the message names the file, item or flag and fits one line."""


def read_text(path):
    """The UTF-8 text of a file. Raises InputError naming the file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None


def parse_json(text, where, twice=False):
    """Strict JSON in `text`: what has one meaning. Raises InputError, led by `where`, with the line.

    Refused is what Python would read all the same: NaN and Infinity, a number that becomes one, a key that
    comes twice in an object (with `twice` the last one counts), half a surrogate pair; and what is nested too
    deeply to be worked with.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_float,
                           object_pairs_hook=dict if twice else _object)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeEncodeError as error:
        before = error.object[max(0, error.start - 30):error.start]
        raise InputError(f"{where}: not Unicode text after {before!r}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None
    except ValueError as error:  # from below; and Python reads no integer of more than 4,300 digits
        raise InputError(f"{where}: {error}") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, (dict, list))
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]
    if level:
        raise InputError(f"{where}: nested too deeply")
    return value


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


def _float(digits):
    if math.isinf(float(digits)):
        raise ValueError(f"{digits[:40]} is too large")
    return float(digits)


def _object(pairs):
    value = dict(pairs)
    if len(value) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {key[:80]!r} comes twice in an object")
    return value


def read_json(path):
    """The JSON value in a file. Raises InputError naming the file and line."""
    return parse_json(read_text(path), path)


def read_object(path):
    """The JSON object in a file. Raises InputError naming the file and line."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: must be a JSON object")
    return value


def write_json(path, value):
    """Write `value` as JSON aside, then rename, so that a kill leaves the old file or the new one."""
    aside = Path(f"{path}.part")
    aside.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(aside, path)


def contents(path):
    """A hash of a file, or of a model's weights, config.json and tokenizer; "" for no path."""
    if not path:
        return ""
    files = [path] if Path(path).is_file() else sorted(
        file for pattern in ("config.json", "model*.safetensors", "tokenizer.model")
        for file in Path(path).glob(pattern))
    digest = hashlib.sha256()
    for file in files:
        try:
            with open(file, "rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}") from None
    return digest.hexdigest()
