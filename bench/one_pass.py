"""How many tokens one pass per conversation saves over the released one sample per call.

    python -m bench.one_pass FILE [FILE ...] --tokenizer tokenizer.model
"""

import argparse

from data import trajectories
from losses import is_erroneous
from tokenizer import Tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tokenizer", required=True)
    flags = parser.parse_args()
    tokenizer = Tokenizer(flags.tokenizer)
    for path in flags.files:
        for mae in (False, True):
            once = apart = 0
            for conversation in trajectories.read(path):
                calls = [span for span in
                         tokenizer.encode_conversation(conversation.tools, conversation.turns).calls
                         if not (mae and is_erroneous(conversation, span.turn))]
                once += calls[-1].stop if calls else 0
                apart += sum(span.stop for span in calls)
            print(f"{path}, {'without erroneous calls' if mae else 'all calls'}: {apart:,} tokens "
                  f"one sample per call, {once:,} in one pass, {apart / once:.2f} times fewer")


if __name__ == "__main__":
    main()
