"""Fetch the files of the paper's benchmarks from their authors' repositories, at pinned commits.

    python -m evaluation.download rotbench    # or another benchmark's name, or all

A file is written beside its place, checked against its sha256 and renamed, so what stands there is
whole and is the file that was meant. A connection that breaks is taken up again where it stopped.
"""

import os
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from evaluation.benchmarks import ENTRIES
from evaluation.benchmarks.entry import HOME
from plumbing.files import InputError, kind_of, reason, sha256_of, sync
from plumbing.flags import Parser, cli
from plumbing.output import printable
from plumbing.progress import progress

BASE_URL = "https://raw.githubusercontent.com"
# Errors that are worth another try.
BROKEN = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
TRIES = 5
PAUSE = 1.0      # seconds before the second try, doubled before each later one
TIMEOUT = 30     # seconds without a byte
BLOCK = 1 << 16  # bytes
LARGEST = 1 << 30  # bytes of a file; those of the list have megabytes

SOURCES = {entry.name: entry.source for entry in ENTRIES if entry.source}


def fetch(url, path, sha256):
    """Put the file at `url` at `path`, unless it is there already; whether it had to be fetched.

    Raises InputError, and leaves neither a new file nor a part of one, when the content has another
    hash, the connection breaks for good or nothing can be written.
    """
    try:
        if kind_of(path) == "file" and sha256_of(path).hex() == sha256:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}") from None
    part = path.with_name(f"{path.name}.{sha256[:8]}.part")  # by content: never taken for another's
    try:
        _download(url, part)
        found = sha256_of(part).hex()
        if found != sha256:
            raise InputError(f"{url}: sha256 is {found}, expected {sha256}")
        sync(part)
        os.replace(part, path)
        sync(path.parent)
    except InputError:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path}: {reason(error)}") from None
    return True


def _download(url, part):
    """Fill `part` from `url`, in several tries. Raises InputError, or OSError of the local disk."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _transfer(url, part)
        except HTTPError as error:
            why = f"HTTP {error.code} {error.reason}"
            if error.code == 416:
                # Nothing lies beyond what is here: an earlier run ended before its check.
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code != 429:  # a refusal, not a hiccup
                raise InputError(f"{url}: {why}") from None
        except BROKEN as error:
            why = getattr(error, "reason", None) or error or type(error).__name__
        except ValueError as error:  # not an address
            raise InputError(f"{url}: {error}") from None
    raise InputError(f"{url}: {why} (gave up after {TRIES} tries)")


def _transfer(url, part):
    """One connection: append what `part` lacks, up to the size that the server tells, or LARGEST.

    All of it is written again where the server cannot begin in the middle.
    """
    if part.is_symlink():  # never write through a link
        part.unlink()
    have = part.stat().st_size if kind_of(part) else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=TIMEOUT) as response:
        if response.status != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if (total or 0) > LARGEST:
            raise InputError(f"{url}: {total:,} bytes, more than {LARGEST:,}")
        name = printable(url.rsplit("/", 1)[-1])
        with (open(part, "ab" if have else "wb") as file,
              progress(total=total, initial=have, desc=name, unit="B", unit_scale=True,
                   disable=None) as bar):
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
                have += len(block)
                if have > LARGEST:
                    raise InputError(f"{url}: more than {LARGEST:,} bytes")
    if total is not None and have < total:
        # http.client takes a cut connection for the end of the file.
        raise ConnectionError(f"connection closed after {have} of {total} bytes")


def main(arguments=None):
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(prog="python -m evaluation.download", description="fetch benchmark files")
    parser.add_argument("name", choices=[*SOURCES, "all"])
    parser.add_argument("--to", type=Path, default=HOME, metavar="DIR",
                        help="files go to DIR/NAME (%(default)s)")
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL",
                        help="a mirror of %(default)s")
    flags = parser.parse_args(arguments)
    if not flags.base_url.startswith(("https://", "http://")):
        raise InputError(f"--base-url {flags.base_url}: must begin with https:// or http://")
    base = flags.base_url.rstrip("/")
    names = SOURCES if flags.name == "all" else [flags.name]
    for name in names:
        source = SOURCES[name]
        root = f"{base}/{source.repository}/{source.commit}/{source.folder}"
        for file, sha256 in source.files.items():
            path = flags.to / name / file
            is_new = fetch(f"{root}/{file}", path, sha256)
            print(f"{path}: {'fetched' if is_new else 'already there'}")


if __name__ == "__main__":
    cli(main)
