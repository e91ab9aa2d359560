"""The progress bar of every command."""

import sys

from tqdm import tqdm


def progress(items=None, **options):
    """tqdm on stderr; in a file or a pipe, where every state is a line, one a second at most."""
    mininterval = 0.1 if sys.stderr.isatty() else 1.0
    return tqdm(items, mininterval=mininterval, **options)
