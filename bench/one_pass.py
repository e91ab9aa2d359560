"""How many tokens one pass per conversation saves over the released one sample per call.

    python -m bench.one_pass FILE [FILE ...] --tokenizer tokenizer.model
"""

import argparse

from data import trajectories
from losses import is_erroneous
from tokenizer import Tokenizer


def count(conversations, tokenizer, mae):
    """(tokens in one pass per conversation, tokens in one sample per call).

    mae: erroneous calls are not trained.
    """
    once = 0
    apart = 0
    for conversation in conversations:
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        calls = [span for span in encoded.calls
                 if not (mae and is_erroneous(conversation, span.turn))]
        once += calls[-1].stop if calls else 0
        apart += sum(span.stop for span in calls)
    return once, apart


def main():
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    tokenizer = Tokenizer(flags.tokenizer)
    for path in flags.files:
        conversations = trajectories.read(path)
        for mae in (False, True):
            once, apart = count(conversations, tokenizer, mae)
            print(f"{path}, {'without erroneous calls' if mae else 'all calls'}: {apart:,} tokens "
                  f"one sample per call, {once:,} in one pass, {apart / once:.2f} times fewer")


if __name__ == "__main__":
    main()
