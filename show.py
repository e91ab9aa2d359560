"""A page that shows the idea: every token of a conversation coloured by its weight in the loss.

    python show.py raw_data.json --index 3 > weights.html
    python show.py runs/pairs --index 3 > pair.html       # TTPA: where two calls part
"""

import html
import sys
from argparse import BooleanOptionalAction
from pathlib import Path

import plumbing.environment  # noqa: F401 (before torch)

import numpy as np

from data import trajectories
from evaluate import find_model
from losses import common_prefix, token_weights
from plumbing.files import InputError, kind_of, parse_json, read_text
from plumbing.flags import Parser, cli
from plumbing.output import escape, printable
from tokenizer import Tokenizer

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Token weights: {title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c1c1e; --page: #fff; --faint: #74747a; --line: #dcdce0;
         --key: 214, 84, 0; --plain: #1456b8; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #ececf0; --page: #17171a; --faint: #98989f; --line: #3a3a40;
           --key: 255, 140, 50; --plain: #7db4ff; }} }}
body {{ margin: 0 auto; max-width: 62rem; padding: 1.5rem;
       color: var(--ink); background: var(--page);
       font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.2rem; }}
.legend {{ display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; padding: .6rem 0;
           border-bottom: 1px solid var(--line); }}
summary {{ cursor: pointer; color: var(--faint); padding: .5rem 0; }}
pre {{ border-bottom: 1px solid var(--line); padding: .5rem 0; }}
pre, .legend span {{ font: 14px/1.7 ui-monospace, Menlo, Consolas, monospace;
                    white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }}
.w0 {{ color: var(--faint); }}
.w1 {{ color: var(--plain); }}
.key {{ color: var(--ink); font-weight: 600; border-radius: 3px;
        border-bottom: 2px solid rgb(var(--key)); }}
.error {{ color: var(--faint); text-decoration: line-through; }}
.chosen {{ color: var(--plain); font-weight: 600; }}
.rejected {{ color: rgb(var(--key)); font-weight: 600; }}
.gap {{ border-radius: 3px; }}
pre span:hover {{ outline: 1px solid var(--ink); }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
<div class="legend">{legend}</div>
{turns}
</body></html>"""

WEIGHTS_LEGEND = """<span class="w0">context: weight 0</span>
<span class="w1">trained: weight 1</span>
<span class="key" style="background: rgba(var(--key), .2)">key token: weight above 1</span>
<span class="key" style="background: rgba(var(--key), .6)">weight {w_max:g}</span>
<span class="error">erroneous call: weight 0</span>"""
PAIR_LEGEND = """<span>what both calls share</span>
<span class="chosen">the chosen call's own tokens</span>
<span class="rejected">the rejected call's own tokens</span>
<span class="gap" style="background: rgba(var(--key), .5)">greedy call: the two likeliest tokens
are close</span>"""


def page(conversation, tokenizer, mae=True, pkt=True, w_max=9.0):
    """A conversation -> self-contained HTML. A token's colour is the weight of its prediction.

    mae, pkt, w_max: as in losses.py:token_weights (sections 3.1 and 3.2).
    """
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights, call = token_weights(encoded, conversation, tokenizer.name_ids, mae, pkt, w_max)
    dropped = {span.turn for number, span in enumerate(encoded.calls) if number not in call}
    last_of = {span.turn: span.stop - 1 for span in encoded.calls}  # where `</s>` is predicted
    turns = []
    for i, turn in enumerate(conversation.turns):
        where = np.flatnonzero(encoded.turn == i)[1:]  # without <s>, or the newline between turns
        # weights[t] is that of the token after t
        spans = _spans(encoded.ids[where], weights[where - 1], tokenizer, i in dropped, w_max)
        if i in last_of:
            spans.append(_span("</s>", weights[last_of[i]], i in dropped, w_max))
        text = f'<pre>{"".join(spans)}</pre>'
        if turn.role == "system":
            title = f"System: {len(conversation.tools)} tools, {len(where)} tokens"
            text = f"<details><summary>{title}</summary>{text}</details>"
        turns.append(text)
    trained = weights[weights > 0]
    summary = (f"{len(encoded.ids):,} tokens, {len(trained):,} trained, "
               f"{(trained > 1).sum()} with a weight above 1; {len(encoded.calls)} calls, "
               f"{len(dropped)} dropped by MAE. Hover over a token to see its weight.")
    title = html.escape(printable(conversation.id or "conversation"))
    legend = WEIGHTS_LEGEND.format(w_max=w_max)
    return PAGE.format(title=title, summary=summary, legend=legend, turns="\n".join(turns))


def pair_page(preference, tokenizer):
    """A line of pairs.jsonl -> self-contained HTML: the chosen call beside each rejected one.

    The greedy call of the branch sampler shows the gap at every token: the probability of the
    likeliest token less that of the next.
    """
    chosen = preference["chosen"]
    blocks = []
    prompt = _text(tokenizer.decode(preference["prompt_ids"]))
    n = len(preference["prompt_ids"])
    blocks.append(f"<details><summary>Prompt: {n} tokens</summary><pre>{prompt}</pre></details>")
    if preference.get("path"):
        blocks.append(f"<p>greedy</p><pre>{_path_spans(preference['path'], tokenizer)}</pre>")
    for rejected in preference["rejected"]:
        shared = common_prefix(chosen["ids"], rejected["ids"])
        for kind, call in (("chosen", chosen), ("rejected", rejected)):
            blocks.append(f"<p>{kind}, score {call['score']:.3f}{_origin(call)}</p>"
                          f"<pre>{_parted(call, shared, kind, tokenizer)}</pre>")
    summary = f"{len(preference['rejected'])} rejected; gold: {_text(preference['gold'])}"
    where = preference["where"]
    title = html.escape(printable(f"{where['id']}, turn {where['turn']}"))
    return PAGE.format(title=title, summary=summary, legend=PAIR_LEGEND, turns="\n".join(blocks))


def _origin(call):
    """Where a call comes from, for its heading."""
    if call["gold"]:
        return ", the gold"
    return f", leaves the greedy call at its {call['kind']}" if call["kind"] else ""


def _parted(call, shared, kind, tokenizer):
    """The HTML of a call: its first `shared` tokens plain, the others of a colour."""
    text = tokenizer.decode(call["ids"])
    while not text.startswith(tokenizer.decode(call["ids"][:shared])):
        shared -= 1  # the calls part within a character
    first = tokenizer.decode(call["ids"][:shared])
    own = text[len(first):] + ("</s>" if call["ended"] else "")
    return f'{_text(first)}<span class="{kind}">{_text(own)}</span>'


def _path_spans(path, tokenizer):
    """The greedy call, a span a token, the darker the closer the second likeliest token came."""
    spans = []
    for i, gap in enumerate(path["gaps"]):
        ids = path["ids"][i:i + 1]
        text = tokenizer.piece(ids[0]) if ids else "</s>"
        second = tokenizer.piece(path["runners_up"][i])
        spans.append(f'<span class="gap" title="gap {gap:.2f} to {_text(second)}" '
                     f'style="background: rgba(var(--key), {max(0.0, 1 - gap) / 2:.2f})">'
                     f"{_text(text)}</span>")
    return "".join(spans)


def read_preference(path, index):
    """Line `index` of a pairs.jsonl, or of that in a folder. Raises InputError."""
    if kind_of(path) == "folder":
        path = Path(path, "pairs.jsonl")
    lines = read_text(path).splitlines()
    if not lines:
        raise InputError(f"{path}: holds no pair")
    if not 0 <= index < len(lines):
        raise InputError(f"--index {index}: {path} has lines 0 to {len(lines) - 1}")
    where = f"{path}: line {index + 1}"
    preference = parse_json(lines[index], where)
    keys = {"where", "prompt_ids", "gold", "chosen", "rejected"}
    if not isinstance(preference, dict) or not preference.keys() >= keys:
        raise InputError(f"{where}: not a line of preferences.py's pairs")
    return preference


def _spans(ids, weights, tokenizer, dropped, w_max):
    """One HTML span per token; byte pieces that make up one character share a span."""
    spans = []
    data = b""
    for id, weight in zip(ids, weights, strict=True):
        piece = tokenizer.pieces.id_to_piece(int(id))
        if tokenizer.pieces.is_byte(int(id)):
            data += bytes([int(piece[3:5], 16)])  # "<0xE2>"
        else:
            data += piece.replace("▁", " ").encode()
        text = data.decode(errors="ignore")
        if len(text.encode()) == len(data):  # no character is cut
            spans.append(_span(text, weight, dropped, w_max))
            data = b""
    return spans


def _span(text, weight, dropped, w_max):
    kind = _kind(weight, dropped)
    style = ""
    if kind == "key":
        strength = 0.15 + 0.45 * (weight - 1) / max(w_max - 1, 1e-9)
        style = f' style="background: rgba(var(--key), {strength:.2f})"'
    return f'<span class="{kind}" title="weight {weight:.3g}"{style}>{_text(text)}</span>'


def _text(text):
    """A text as HTML; a mark of direction would turn what comes after it, too."""
    return html.escape(escape(text))


def _kind(weight, dropped):
    """The CSS class of a token."""
    if dropped:
        return "error"
    if weight == 0:
        return "w0"
    return "w1" if weight == 1 else "key"


def holds_pairs(path):
    """Whether a path is a folder or file of preferences.py's pairs, not of conversations."""
    if kind_of(path) == "folder":
        return True
    try:
        first = parse_json(read_text(path).partition("\n")[0], path)
    except InputError:
        return False  # read as conversations, it is named with its place
    return isinstance(first, dict) and "chosen" in first


def main():
    """The command line; see the top of this file. Raises InputError."""
    parser = Parser(
        description="One conversation, every token coloured by its weight, or the pairs of one "
                    "prompt, as an HTML page.")
    parser.add_argument("file", help="trajectories, in any format of docs/data.md, or pairs")
    parser.add_argument("--index", type=int, default=0,
                        help="which conversation, or line of pairs, from 0")
    parser.add_argument("--tokenizer",
                        help="SentencePiece model (default: that of the newest run, else of "
                             "data/tiny)")
    parser.add_argument("--mae", action=BooleanOptionalAction, default=True)
    parser.add_argument("--pkt", action=BooleanOptionalAction, default=True)
    parser.add_argument("--enums", action="store_true", help="as in sft.py")
    parser.add_argument("--w-max", type=float, default=9.0)
    flags = parser.parse_args()
    if not flags.w_max >= 1:
        raise InputError(f"--w-max {flags.w_max}: must be a number from 1 on")
    if holds_pairs(flags.file):
        preference = read_preference(flags.file, flags.index)
        print(pair_page(preference, Tokenizer(flags.tokenizer or find_model(""))))
        return
    items = trajectories.read_items(flags.file)
    conversations = trajectories.read_conversations(items)
    if not 0 <= flags.index < len(conversations):
        last = len(conversations) - 1
        raise InputError(f"--index {flags.index}: {flags.file} has items 0 to {last}")
    tokenizer = Tokenizer(flags.tokenizer or find_model(""), flags.enums)
    print(f"{flags.file}: {trajectories.formats(items)}", file=sys.stderr)  # stdout is the page
    print(page(conversations[flags.index], tokenizer, flags.mae, flags.pkt, flags.w_max))


if __name__ == "__main__":
    cli(main)
