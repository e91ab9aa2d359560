"""Text to ids: SentencePiece, the conversation template, and for every token the turn it belongs to.

A conversation is `Role: content` for each turn, joined by newlines; a call ends in `</s>`. Turns are
tokenised one by one ("\\n" + turn, without the dummy piece SentencePiece puts first), so that the span of a
turn, a call or a tool's name is known by construction; no position is ever found by looking for token
strings (trl#1820: a template tokenised in context differs from the template alone). Training, rollout and
evaluation all render here.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sentencepiece

from data.tools import signature
from plumbing.files import InputError

ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "function": "Output"}


class CallSpan(NamedTuple):
    """Where a call stands, in indices of `Encoded.ids`; [start:stop] are its tokens without `</s>`."""
    turn: int
    start: int
    stop: int
    name_start: int  # tokens that cover a character of the tool's name: [name_start:name_stop]
    name_stop: int


class Encoded(NamedTuple):
    """One conversation of n tokens, `<s>` among them."""
    ids: np.ndarray     # (n,) int64: what the model reads
    labels: np.ndarray  # (n,) int64: what it should say next: the next id, and `</s>` after a call's last
    turn: np.ndarray    # (n,) int64: the turn each token belongs to (`<s>`: the first)
    calls: list[CallSpan]


def render(turn, tools):
    """A turn as text. A system turn shows the signatures of `tools`; an assistant turn is its call."""
    content = "\n\n".join(signature(tool) for tool in tools) if turn.role == "system" else turn.content
    return f"{ROLES[turn.role]}: {content}"


class Tokenizer:
    """A SentencePiece model that keeps text as it is. Raises InputError for one that does not."""

    def __init__(self, path):
        self.path = Path(path, "tokenizer.model") if Path(path).is_dir() else Path(path)
        try:
            pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.path))
            texts = [pieces.id_to_piece(i) for i in range(pieces.vocab_size())]
        except (OSError, RuntimeError, UnicodeDecodeError) as error:  # of pieces, or of its message
            raise InputError(f"{self.path}: not a SentencePiece model ({error})") from None
        self.pieces, self.vocab_size = pieces, pieces.vocab_size()
        self.bos_id, self.eos_id = pieces.bos_id(), pieces.eos_id()
        sample = "\n a  b\n\nA:\t(é)"
        if min(self.bos_id, self.eos_id) < 0 or not pieces.is_byte(pieces.piece_to_id("<0x0A>")):
            raise InputError(f"{self.path}: needs <s>, </s> and byte pieces")
        if pieces.decode(pieces.encode(sample)) != sample or pieces.encode("\nA", out_type=str)[0] != "▁":
            raise InputError(f"{self.path}: changes text (normalisation or white space), "
                             "or has newlines in pieces")
        # UTF-8 bytes each piece stands for: "▁" is a space, a byte piece one byte
        self.widths = np.array([
            1 if pieces.is_byte(i) else len(text.replace("▁", " ").encode()) for i, text in enumerate(texts)])
        self.call_prefix = self.continued("Assistant:")
        self._systems, self._names = {}, {}

    def encode(self, text):
        """Ids of a text; no `<s>`, no `</s>`."""
        return self.pieces.encode(text)

    def decode(self, ids):
        """Text of a list of ids. Those beyond the pieces, which a model may have, stand for nothing."""
        return self.pieces.decode([int(i) for i in ids if i < self.vocab_size])

    def must_fit(self, config, new_tokens=0):
        """Raises InputError if a model of this Config cannot read all pieces, or never so many new ones."""
        if self.vocab_size > config.vocab_size:
            raise InputError(f"{self.path}: {self.vocab_size} pieces do not fit the model, whose vocab_size "
                             f"is {config.vocab_size}")
        if new_tokens > config.max_position_embeddings:
            raise InputError(f"--max-new-tokens {new_tokens}: the model's max_position_embeddings is "
                             f"{config.max_position_embeddings}")

    def continued(self, text):
        """Ids of a line break and a text after it, as they stand within a longer text."""
        return self.pieces.encode("\n" + text)[1:]  # [0] is the dummy space that SentencePiece puts first

    def _turn_ids(self, turn, tools, first):
        text = render(turn, tools)
        if turn.role != "system":
            return self.encode(text) if first else self.continued(text)
        if text not in self._systems:  # long, and the same for all conversations with one tool set
            self._systems[text] = self.encode(text) if first else self.continued(text)
        return self._systems[text]

    def _name_span(self, ids, name):
        """[start, stop) of the ids of "\\nAssistant: name(...)" that cover a character of the name."""
        begin = len("\nAssistant: ")
        end = begin + len(name.encode())
        ends = np.cumsum(self.widths[ids])
        return int(np.searchsorted(ends, begin, side="right")), int(np.searchsorted(ends, end)) + 1

    def name_ids(self, name):
        """Ids of a tool's name in the form it takes in a call; the lone space before it does not count."""
        if name not in self._names:
            ids = self.continued(f"Assistant: {name}()")
            start, stop = self._name_span(ids, name)
            self._names[name] = ids[start:stop]
        return self._names[name]

    def encode_conversation(self, tools, turns):
        """`<s>` and all turns -> Encoded. `tools` are those the system turn shows."""
        ids, owner, calls = [self.bos_id], [0], []
        for i, turn in enumerate(turns):
            piece = self._turn_ids(turn, tools, first=i == 0)
            if turn.role == "assistant":
                start, stop = self._name_span(piece, turn.name)
                calls.append(CallSpan(i, len(ids) + len(self.call_prefix), len(ids) + len(piece),
                                      len(ids) + start, len(ids) + stop))
            ids += piece
            owner += [i] * len(piece)
        ids = np.array(ids)
        labels = np.append(ids[1:], self.eos_id)
        labels[[call.stop - 1 for call in calls]] = self.eos_id
        return Encoded(ids, labels, np.array(owner), calls)

    def prompt(self, tools, turns):
        """Ids after which the model writes its next call: `<s>`, all turns, and "\\nAssistant:".

        The space before the call is part of its first piece, so the prompt ends at the colon.
        """
        return self.encode_conversation(tools, turns).ids.tolist() + self.call_prefix


def train(texts, path, vocab_size, symbols=()):
    """Train a small SentencePiece BPE model on `texts` and write it to `path`.

    `symbols` become pieces of their own. Newlines are left to their byte piece and nothing is normalised:
    with SentencePiece's defaults a newline would come back as a space.
    """
    lines = (line for text in texts for line in text.split("\n") if line)
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=file, vocab_size=vocab_size, model_type="bpe",
            byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True, split_digits=True, user_defined_symbols=list(symbols),
            character_coverage=0.9995, num_threads=1, minloglevel=2)
