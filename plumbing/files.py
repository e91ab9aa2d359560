"""Files: strict JSON in, files out that no kill or power cut halves, and the error for wrong input.

What a user can get wrong (a path, a file's contents, a flag) ends in an InputError: one line that
names the file, item or flag. `plumbing.flags.cli` prints it and exits with status 2.
"""

import errno
import fcntl
import functools
import hashlib
import json
import math
import os
import shutil
import socket
import stat
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

MAX_DEPTH = 100      # levels of nested JSON: well below where Python's own recursion ends
LARGEST = 2**31 - 1  # of a number in a flag or in config.json; beyond it is a slip of the keyboard


class InputError(ValueError):
    """The user's input is wrong; the message names the file, item or flag and fits one line."""


# ------------------------------------------------------------------------------------------ reading

def kind_of(path):
    """What a path names: "file", "folder", "pipe", "device", or "" where nothing is.

    Raises InputError where the system does not say: a closed folder, a name that is too long.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise InputError(f"{path}: {reason(error)}") from None
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "device"


def reason(error):
    """Why the system refused, in its own words."""
    return getattr(error, "strerror", None) or str(error)


def read_bytes(path):
    """The bytes of a file, or of a pipe. Raises InputError naming it."""
    kind = kind_of(path)
    if kind == "device":
        raise InputError(f"{path}: is a device or a socket, not a file")
    try:
        if kind == "pipe":
            return _read_pipe(os.fspath(path))
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None


@functools.cache
def _read_pipe(path):
    """All that comes out of a pipe. It comes once: who hashes and who reads share it."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError(f"{path}: is a pipe, which only one process can read; make a file of it")
    with open(path, "rb") as pipe:
        return pipe.read()


def read_text(path):
    """The UTF-8 text of a file, without a BOM, its lines ended by newlines alone.

    Raises InputError naming the file.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


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

@contextmanager
def replacing(path):
    """In a `with`: the path of a file to write aside, which in the end replaces the one at `path`.

    Whatever comes between, a kill, a full disk or a power cut, `path` is the old file or the new
    one, whole. After the `with` the new one is on the disk. Raises InputError naming the file.
    """
    aside = Path(f"{path}.part")
    try:
        aside.unlink(missing_ok=True)  # never write through a link that somebody left there
        yield aside
        sync(aside)
        os.replace(aside, path)
        sync(aside.parent)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise InputError(f"{path}: {reason(error)}") from None


def write_text(path, text):
    """Replace the file at `path`, see `replacing`. Raises InputError naming the file."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Write `value` as JSON, see `replacing`. Raises InputError naming the file."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def sync(path):
    """Wait until a file, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no such call for folders
            raise
    finally:
        os.close(descriptor)


def make_folder(path, what="--out"):
    """Make the folder that a flag names, and those above it, on the disk. Raises InputError."""
    path = Path(path)
    try:
        _make_folders(path)
    except OSError as error:
        raise InputError(f"{what} {path}: {reason(error)}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{what} {path}: not writable")


def _make_folders(path):
    if not path.is_dir():
        _make_folders(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def refuse_full(folder, needed, what):
    """Raises InputError unless `needed` bytes are free where a folder lies.

    what: the thing that needs them, for the message.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise InputError(f"{folder}: {reason(error)}") from None
    if free < needed:
        raise InputError(f"{folder}: {what} needs {gigabytes(needed)}, and {gigabytes(free)} are "
                         "free on this disk")


def gigabytes(size):
    """A number of bytes as it is printed.

    >>> gigabytes(80.86e9), gigabytes(24.3e6)
    ('80.9 GB', '0.024 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e9:.3f} GB"


def lock(folder):
    """Keep other commands out of a folder -> an open file; the lock ends with it, or the process.

    Raises InputError that says which process has it.
    """
    path = Path(folder, "lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
    file = open(descriptor, "r+")  # noqa: SIM115 (it stays open)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise InputError(f"{folder}: in use by {file.read(200).strip() or 'another process'}; "
                         "wait for it, or end it") from None
    except OSError as error:
        print(f"{folder}: cannot be locked ({reason(error)}); start no second command on it",
              file=sys.stderr)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


# ------------------------------------------------------------------------------------------ hashing

def contents(path):
    """A SHA-256 of a file, or of a model's weights, config.json and tokenizer; "" for no path.

    Two paths with equal contents have equal hashes, wherever they lie. Raises InputError, also for
    a folder that holds none of these files.
    """
    if not path:
        return ""
    digest = hashlib.sha256()
    if kind_of(path) != "folder":
        digest.update(sha256_of(path))
        return digest.hexdigest()
    files = []
    for pattern in MODEL_FILES:
        files += Path(path).glob(pattern)
    if not files:
        raise InputError(f"{path}: holds no model")
    for file in sorted(files):
        digest.update(sha256_of(file))
    return digest.hexdigest()


MODEL_FILES = (
    "config.json", "model*.safetensors", "model.safetensors.index.json", "tokenizer.model")


def sha256_of(path):
    """The SHA-256 of a file's bytes, 32 bytes. Raises InputError naming the file."""
    if kind_of(path) != "file":
        return hashlib.sha256(read_bytes(path)).digest()
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
