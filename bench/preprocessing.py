"""Reading, rendering, tokenising and weighting a whole trajectory file: the time before training.

    python -m bench.preprocessing --trajectories raw_data.json --tokenizer tokenizer.model

Beside it stands the tokenizer alone on the same texts, each in one call. Ours may be faster: the
tools, half of the text, are often those of another conversation, and are tokenised once. Ours runs
on one thread.
Not measured: a file that is not in the disk cache. Needs no other package.
"""

import statistics

from bench import sides
from data import trajectories
from examples import build
from tokenizer import Tokenizer, render


def main():
    """The command line; see the top of this file."""
    parser = sides.parser(__doc__, rounds=3)
    parser.add_argument("--trajectories", required=True)
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    sides.start(flags)
    tokenizer = Tokenizer(flags.tokenizer)
    chosen = trajectories.read(flags.trajectories)
    if flags.quick:
        chosen = chosen[:50]
    texts = []
    for conversation in chosen:
        turns = [render(turn, conversation.tools) for turn in conversation.turns]
        texts.append("\n".join(turns))
    taken = sides.alternate({
        "reading the file": lambda: trajectories.read(flags.trajectories),
        # a new Tokenizer, since one remembers the tools it has seen
        "rendering, tokenising, weighting": lambda: build(chosen, Tokenizer(flags.tokenizer)),
        "(the tokenizer alone)": lambda: [tokenizer.encode(text) for text in texts],
    }, 1 if flags.quick else flags.rounds)
    rows = []
    for what, seconds in taken.items():
        rows.append([what, f"{statistics.median(seconds):.2f} s",
                     f"{min(seconds):.2f} to {max(seconds):.2f}"])
    reading, preparing, _ = taken.values()
    both = [a + b for a, b in zip(reading, preparing, strict=True)]
    rows.append(["**before training**", f"**{statistics.median(both):.2f} s**",
                 f"{min(both):.2f} to {max(both):.2f}"])
    sides.table([f"{len(chosen):,} conversations", "median", "range"], rows)


if __name__ == "__main__":
    main()
