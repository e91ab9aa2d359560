"""What is printed: escaped where it would steer a terminal, dropped where nobody listens."""

import io
import os
import subprocess
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from plumbing.output import Output, escape, printable
from tests.conftest import ROOT, run_script


@given(st.text())
def test_what_is_shown_steers_nothing_and_the_rest_is_untouched(text):
    for shown in (printable(text), escape(text).replace("\n", "").replace("\t", "")):
        assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if text.isprintable():
        assert printable(text) == escape(text) == text


def test_a_stream_takes_what_it_can():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    out = Output(stream, keep="\r")
    print("é → \ud800\x1b[2J\rx", file=out, flush=True)
    assert stream.buffer.getvalue() == rb"\xe9 \u2192 \ud800\x1b[2J" + b"\rx\n"
    assert not out.in_line


def test_nobody_listens_and_the_program_ends_as_it_would_have(tmp_path):
    """print raised in the middle of the work, and Python itself once more at its end."""
    code = ("import sys\n"
            "from plumbing.flags import cli\n"
            "def main():\n"
            "    for i in range(20_000): print('line', i)\n"
            "    print('line', file=sys.stderr)\n"
            "    open(sys.argv[1], 'w').close()\n"
            "cli(main)\n")
    for name in ("stdout", "stderr"):
        done = tmp_path / name
        streams = {**dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL), name: subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", code, done], cwd=ROOT, **streams)
        getattr(process, name).close()
        assert process.wait() == 0 and done.exists()
    for redirection in (">&-", "2>&-", ">/dev/full"):
        done = tmp_path / f"done {redirection[-3:-1]}"
        command = f'exec "$0" -c "$1" "$2" {redirection}'
        ended = subprocess.run(["sh", "-c", command, sys.executable, code, done], cwd=ROOT,
                               stdout=subprocess.DEVNULL)
        assert ended.returncode == 0 and done.exists()


def test_a_script_s_table_is_cut_short_without_a_word():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = subprocess.Popen([sys.executable, "reward.py"], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 0


def test_words_that_are_no_utf8_are_one_line():
    done = run_script("-m", "data.feedback", os.fsdecode(b"\xff.json"))
    assert done.returncode == 2 and done.stderr == "error: \\udcff.json: not UTF-8\n"
