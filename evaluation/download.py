"""Fetch the files of the paper's benchmarks from their authors' repositories, at pinned commits.

    python -m evaluation.download rotbench      # or toolalpaca, bfcl, tooleyes, humaneval, gsm8k, all

evaluate.py reads all but the last two, which ask for no tool: the paper's test of what else a model can do.

A file is written beside its place, checked against its sha256 and renamed, so what stands there is whole and
is the file that was meant. A connection that breaks is taken up again where it stopped.
"""

import hashlib
import os
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from plumbing.files import InputError
from plumbing.flags import Parser, cli

HOME = Path(__file__).resolve().parents[1] / "benchmarks"  # evaluate.py looks in HOME/NAME
BASE_URL = "https://raw.githubusercontent.com"
BROKEN = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)  # worth another try
TRIES = 5
PAUSE = 1.0      # seconds before the second try, doubled before each later one
TIMEOUT = 30     # seconds without a byte
BLOCK = 1 << 16  # bytes


class Source(NamedTuple):
    repository: str        # OWNER/REPO
    commit: str
    folder: str            # inside the repository
    files: dict[str, str]  # path below `folder`, and below HOME/NAME -> sha256


SOURCES = {
    "toolalpaca": Source("tangqiaoyu/ToolAlpaca", "189069998d64a7baf1b4a1c3c4b2e75eb9d05532", "data", {
        "eval_real.json": "86d1392c786060e00dd6feaa963d8a87660e3042380b0abbd8ccad2b931e2778",
    }),
    "rotbench": Source("Junjie-Ye/RoTBench", "637e43ae9a978036774c92bb2ab11a83609e304b", "Data", {
        "First_Turn/clean.json": "a367dc165c0bb09f4002c89ab9a6884ef2383547d8e6d21511c7c0153e7ff1cd",
        "First_Turn/slight.json": "a47aee08eec1d6b9519c227829a076ce05e2737455e0d7589921460f8cbe9825",
        "First_Turn/medium.json": "ad73ad3cad2ecd76bd2f0a2c7fb6e8dd3f599d20b6177b07ab5ad5fe6330e4be",
        "First_Turn/heavy.json": "061ffc421a9fa8b51abacfeab6880d42b86661d529e048f0cb09f2bee527533b",
        "First_Turn/union.json": "61ffacb834ebaac9aa317eb45e1e8b8c3f2c659696139b9dd3b7272491cff911",
        "Third_Turn/clean.json": "dee124e3df46b47cb31afb95454131030c09aaf8bc0296b7e9d15266092c125b",
        "Third_Turn/slight.json": "9eb3d65ef1322ae1d1281c508e81c716a8c6531678e8e23ac033e1703488327b",
        "Third_Turn/medium.json": "9119d71cc2371a5fb6f502a7d0298d70a1ae21908437fdd6e0c0365dbd8e3293",
        "Third_Turn/heavy.json": "75928e4bc969d95418883f335125da4368d67df57a1e34c94c0230b3c2ceda3d",
        "Third_Turn/union.json": "89427db39c7fc0db183494cc8d08746b77c57d3e720d937167635f9adc11c00d",
    }),
    # The version of 2024-12-21: a question and its ground truth in one record.
    "bfcl": Source("ShishirPatil/gorilla", "5ed29e2d0b0a9c9a995725db3d53921104060e72",
                   "berkeley-function-call-leaderboard/data", {
        "BFCL_v3_exec_simple.json": "120eb383a8ec801b47e56d7337b61158944ae35b935c86e8d846948fa27215f6",
        "BFCL_v3_exec_multiple.json": "180ccd36814856574a2a488e026ace22ef2631fe17f404a8a4168ceffaab4cb6",
        "BFCL_v3_exec_parallel.json": "67826cdd638e1416a3b9f0243872ce91b95f438b467faa3f8d9351e80d39153d",
        "BFCL_v3_exec_parallel_multiple.json":
            "e3134c946b215d34a79dbe3eef0fbfe78f9e3a18e67e9a9adf891f01b2e7977d",
    }),
    "tooleyes": Source("Junjie-Ye/ToolEyes", "c818fcebe017951570a25e552a7984e40093fd52", "Test_Data", {
        "scenario_data_zero_processed.json":
            "a86e878200d14e58be468a266f068f03955512bd61ff4fd481d26897a403f3e8",
    }),
    "humaneval": Source("openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d", "data", {
        "HumanEval.jsonl.gz": "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    }),
    "gsm8k": Source("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c",
                    "grade_school_math/data", {
        "test.jsonl": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    }),
}


def fetch(url, path, sha256):
    """Put the file at `url` at `path`, unless it stands there already; returns whether it had to be fetched.

    Raises InputError, and leaves neither a new file nor a part of one, when the content has another hash, the
    connection breaks for good or nothing can be written.
    """
    part = path.with_name(f"{path.name}.{sha256[:8]}.part")  # by content: never taken up for another
    try:
        if path.is_file() and _sha256(path) == sha256:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        _download(url, part)
        found = _sha256(part)
        if found != sha256:
            raise InputError(f"{url}: sha256 is {found}, expected {sha256}")
        os.replace(part, path)
    except (InputError, OSError) as error:
        part.unlink(missing_ok=True)
        raise error if isinstance(error, InputError) else InputError(f"{path}: {error.strerror}") from None
    return True


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url, part):
    """Fill `part` from `url`, in several tries. Raises InputError, or OSError of the local disk."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _transfer(url, part)
        except HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code == 416:  # nothing lies beyond what is here: an earlier run ended before its check
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code != 429:  # a refusal, not a hiccup
                raise InputError(f"{url}: {reason}") from None
        except BROKEN as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
        except ValueError as error:  # an address that is none
            raise InputError(f"{url}: {error}") from None
    raise InputError(f"{url}: {reason} (gave up after {TRIES} tries)")


def _transfer(url, part):
    """One connection: append what `part` lacks, or all of it when the server cannot begin in the middle."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=TIMEOUT) as response:
        have = have if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        name = url.rsplit("/", 1)[-1]
        with (open(part, "ab" if have else "wb") as file,
              tqdm(total=total, initial=have, desc=name, unit="B", unit_scale=True, disable=None) as bar):
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
                have += len(block)
    if total is not None and have < total:  # http.client takes a cut connection for the end of the file
        raise ConnectionError(f"connection closed after {have} of {total} bytes")


def main(arguments=None):
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(prog="python -m evaluation.download", description="fetch benchmark files")
    parser.add_argument("name", choices=[*SOURCES, "all"])
    parser.add_argument("--to", type=Path, default=HOME, metavar="DIR",
                        help="files go to DIR/NAME (%(default)s)")
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL", help="a mirror of %(default)s")
    flags = parser.parse_args(arguments)
    if not flags.base_url.startswith(("https://", "http://")):
        raise InputError(f"--base-url {flags.base_url}: must begin with https:// or http://")
    for name in SOURCES if flags.name == "all" else [flags.name]:
        source = SOURCES[name]
        root = f"{flags.base_url.rstrip('/')}/{source.repository}/{source.commit}/{source.folder}"
        for file, sha256 in source.files.items():
            path = flags.to / name / file
            print(f"{path}: {'fetched' if fetch(f'{root}/{file}', path, sha256) else 'already there'}")


if __name__ == "__main__":
    cli(main)
