"""Reading, rendering, tokenising and weighting a whole trajectory file: how long before training begins.

    python -m bench.preprocessing --trajectories raw_data.json --tokenizer tokenizer.model

Beside it the tokenizer alone on the same texts, each in one call; ours may be below, since the tools, half of
the text, are often those of another conversation and are tokenised once. Ours runs on one thread.
Not measured: a file that is not in the disk cache. Needs no other package.
"""

import statistics

from bench import sides
from data import trajectories
from examples import build
from tokenizer import Tokenizer, render


def main():
    parser = sides.parser(__doc__, rounds=3)
    parser.add_argument("--trajectories", required=True)
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    sides.start(flags)
    chosen, tokenizer = trajectories.read(flags.trajectories), Tokenizer(flags.tokenizer)
    chosen = chosen[:50] if flags.quick else chosen
    texts = ["\n".join(render(turn, conversation.tools) for turn in conversation.turns)
             for conversation in chosen]
    taken = sides.alternate({
        "reading the file": lambda: trajectories.read(flags.trajectories),
        # a new Tokenizer, since one remembers the tools it has seen
        "rendering, tokenising, weighting": lambda: build(chosen, Tokenizer(flags.tokenizer)),
        "(the tokenizer alone)": lambda: [tokenizer.encode(text) for text in texts],
    }, 1 if flags.quick else flags.rounds)
    rows = [[what, f"{statistics.median(seconds):.2f} s", f"{min(seconds):.2f} to {max(seconds):.2f}"]
            for what, seconds in taken.items()]
    both = [a + b for a, b in zip(*list(taken.values())[:2])]
    rows.append(["**before training**", f"**{statistics.median(both):.2f} s**",
                 f"{min(both):.2f} to {max(both):.2f}"])
    sides.table([f"{len(chosen):,} conversations", "median", "range"], rows)


if __name__ == "__main__":
    main()
