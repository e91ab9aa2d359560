"""Everything that comes from outside: trajectories, tool schemas, feedback, benchmark files."""

import argparse
import json
import os
import sys
from pathlib import Path


class InputError(ValueError):
    """Something the user gave is wrong; the message names the file, item or flag and fits one line."""


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong flag is an InputError like any other wrong input (one line, status 2)."""

    def error(self, message):
        raise InputError(message)


def cli(main):
    """Run `main()`; an InputError ends it in one line on stderr, exit status 2. Bugs keep their traceback."""
    try:
        main()
    except InputError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


def read_text(path):
    """The UTF-8 text of a file. Raises InputError naming the file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None


def parse_json(text, where):
    """Strict JSON (no NaN, no Infinity) in `text`. Raises InputError, led by `where`, with the line."""
    def refuse(constant):
        raise InputError(f"{where}: {constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None
    except InputError:
        raise
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise InputError(f"{where}: {error}") from None


def read_json(path):
    """The JSON value in a file. Raises InputError naming the file and line."""
    return parse_json(read_text(path), path)


def write_json(path, value):
    """Write `value` as JSON aside, then rename, so that a kill leaves the old file or the new one."""
    aside = Path(f"{path}.part")
    aside.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(aside, path)
