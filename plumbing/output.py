"""What the scripts print: it never ends a program, and it never steers a terminal.

A name or a text from a file, a model or a server can hold marks that move the cursor, change the
window's title or turn the direction of reading. What is not printable is shown as an escape.
"""

import io
import os
import sys
import unicodedata


def printable(text):
    r"""A text with escapes for what is not printable, line breaks and tabs included.

    >>> print(printable("a\x1b[2Jb\n\u202ec"))
    a\x1b[2Jb\n\u202ec
    """
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


def escape(text):
    """The same, but line breaks and tabs stay."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(map(_escape_mark, text))


def _escape_mark(mark):
    if mark.isprintable() or mark in "\n\t" or unicodedata.category(mark) == "Zs":  # a space
        return mark
    return mark.encode("unicode_escape").decode()


class Output:
    """A stream in place of sys.stdout or sys.stderr.

    Characters that it cannot write are escaped, too; and what a closed pipe, a closed terminal or a
    full disk does not take is dropped, since a run is worth more than what it prints.
    """

    def __init__(self, stream, keep=""):
        """keep: an unprintable character that passes; progress bars need "\\r"."""
        self.stream = stream
        self.keep = keep
        self.in_line = False  # whether what was written last is an unfinished line
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text):
        """Write a text, as far as the stream takes it."""
        parts = text.split(self.keep) if self.keep else [text]
        shown = self.keep.join(map(escape, parts))
        try:
            self.stream.write(shown)
        except OSError:
            self._give_up()
        if text:
            self.in_line = not text.endswith("\n")
        return len(text)

    def flush(self):
        """Flush the stream, as far as it takes it."""
        try:
            self.stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self):
        """From now on what is written goes nowhere: Python flushes once more at its end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def open_output():
    """Put an Output in the place of sys.stdout and sys.stderr."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get all that is printed
            os.open(os.devnull, os.O_RDWR)
    nowhere = open(os.devnull, "w")  # noqa: SIM115 (it stays open)
    sys.stdout = Output(sys.stdout or nowhere)
    sys.stderr = Output(sys.stderr or nowhere, keep="\r")
