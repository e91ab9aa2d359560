"""Text to ids: SentencePiece, the conversation template, and the turn that every token belongs to.

A conversation is `Role: content` for each turn, joined by newlines. `</s>` is what the last token
of a call should predict, and is never read: the next input is the newline. Turns are tokenised one
by one ("\\n" + turn, without the dummy piece SentencePiece puts first), so that the span of a turn,
a call or a tool's name is known by construction; no position is ever found by looking for token
strings (trl#1820: a template tokenised in context differs from the template alone). Training,
rollout and evaluation all render here.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sentencepiece

from data.tools import signature
from plumbing.files import InputError, kind_of

SPACE_MARK = "\u2581"  # how pieces write a space
ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "function": "Output"}


class CallSpan(NamedTuple):
    """Where a call stands, in indices of `Encoded.ids`; [start:stop] leaves out its `</s>`."""
    turn: int
    start: int
    stop: int
    name_start: int  # tokens that cover a character of the tool's name: [name_start:name_stop]
    name_stop: int


class Encoded(NamedTuple):
    """One conversation of n tokens, `<s>` among them."""
    ids: np.ndarray     # (n,) int64: what the model reads
    labels: np.ndarray  # (n,) int64: what it says next: the next id, and `</s>` after a call's last
    turn: np.ndarray    # (n,) int64: the turn each token belongs to (`<s>`: the first)
    calls: list[CallSpan]


def render(turn, tools, enums=False):
    """A turn as text. A system turn shows the signatures of `tools`; enums: with listed values."""
    content = turn.content
    if turn.role == "system":
        content = "\n\n".join(signature(tool, enums) for tool in tools)
    return f"{ROLES[turn.role]}: {content}"


class Tokenizer:
    """A SentencePiece model that keeps text as it is. Raises InputError for one that does not.

    enums: name the values of parameters that have a list of them in the tools' signatures.
    """

    def __init__(self, path, enums=False):
        self.path = Path(path)
        self.enums = enums
        if kind_of(path) == "folder":
            self.path /= "tokenizer.model"
        kind = kind_of(self.path)
        if kind in ("pipe", "device"):  # SentencePiece would read /dev/zero for ever
            raise InputError(f"{self.path}: not a SentencePiece model, nor any file")
        if not kind:
            beside = kind_of(Path(path, "tokenizer.json"))
            reason = "; tokenizer.json alone is not read" if beside else ""
            raise InputError(f"{self.path}: no such file{reason}; name a SentencePiece model with "
                             "--tokenizer")
        try:
            self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.path))
            self.vocab_size = self.pieces.vocab_size()
            texts = [self.pieces.id_to_piece(i) for i in range(self.vocab_size)]
        except (OSError, RuntimeError, UnicodeDecodeError) as error:  # the last: of a piece
            raise InputError(f"{self.path}: not a SentencePiece model ({error})") from None
        self.bos_id = self.pieces.bos_id()
        self.eos_id = self.pieces.eos_id()
        self._must_keep_text()
        self.dummy_id = self.pieces.encode("\n")[0]
        self.space_mark = [self.pieces.piece_to_id(f"<0x{byte:02X}>")
                           for byte in SPACE_MARK.encode()]
        self.widths = np.array([self._width(i, text) for i, text in enumerate(texts)])
        self.call_prefix = self.continued("Assistant:")
        self._systems = {}  # text of a system turn -> its ids
        self._names = {}    # name of a tool -> its ids in a call

    def _must_keep_text(self):
        """Raises InputError unless decoding gives back what was encoded, white space and all."""
        pieces = self.pieces
        has_bytes = pieces.is_byte(pieces.piece_to_id("<0x0A>"))
        if min(self.bos_id, self.eos_id) < 0 or not has_bytes:
            raise InputError(f"{self.path}: needs <s>, </s> and byte pieces")
        sample = "\n a  b\n\nA:\t(é)"
        keeps_text = pieces.decode(pieces.encode(sample)) == sample
        if not keeps_text or pieces.encode("\nA", out_type=str)[0] != "▁":
            raise InputError(f"{self.path}: changes text (normalisation or white space), "
                             "or has newlines in pieces")

    def _width(self, i, piece):
        """The UTF-8 bytes that a piece stands for: "▁" is a space, a byte piece one byte."""
        if self.pieces.is_byte(i):
            return 1
        return len(piece.replace("▁", " ").encode())

    def encode(self, text):
        """Ids of a text; no `<s>`, no `</s>`."""
        first, *rest = text.split(SPACE_MARK)
        ids = self.pieces.encode(first)
        if rest and not first:
            ids = [self.dummy_id]  # which SentencePiece puts before every text
        return ids + self._after_marks(rest)

    def _after_marks(self, texts):
        """Ids of U+2581 and of the text after it, for each of `texts`.

        SentencePiece writes a space as U+2581 and would make a space of one that is in the text.
        """
        ids = []
        for text in texts:
            ids += self.space_mark
            ids += self.pieces.encode("\n" + text)[2:]  # without the dummy and the newline
        return ids

    def decode(self, ids):
        """Text of a list of ids. Ids beyond the pieces (a vocabulary may be padded) are dropped."""
        return self.pieces.decode([int(i) for i in ids if i < self.vocab_size])

    def shows_all(self, ids):
        """Whether the decoded text shows every id: none is `<s>`, `</s>` or beyond the pieces."""
        return all(i < self.vocab_size and not self.pieces.is_control(i) for i in ids)

    def piece(self, id):
        """The text of one piece; "" for an id beyond the pieces."""
        return self.pieces.id_to_piece(id).replace("▁", " ") if id < self.vocab_size else ""

    def must_fit(self, config, new_tokens=0):
        """Raises InputError if a model of this Config lacks pieces, or positions for new tokens."""
        if self.vocab_size > config.vocab_size:
            raise InputError(f"{self.path}: {self.vocab_size} pieces do not fit the model, whose "
                             f"vocab_size is {config.vocab_size}")
        if new_tokens > config.max_position_embeddings:
            raise InputError(f"--max-new-tokens {new_tokens}: the model's max_position_embeddings "
                             f"is {config.max_position_embeddings}")

    def continued(self, text):
        """Ids of a line break and a text after it, as they stand within a longer text."""
        first, *rest = text.split(SPACE_MARK)
        return self.pieces.encode("\n" + first)[1:] + self._after_marks(rest)  # [0] is the dummy

    def _turn_ids(self, turn, tools, is_first):
        text = render(turn, tools, self.enums)
        to_ids = self.encode if is_first else self.continued
        if turn.role != "system":
            return to_ids(text)
        if text not in self._systems:  # long, and the same for all conversations with one tool set
            self._systems[text] = to_ids(text)
        return self._systems[text]

    def _name_span(self, ids, name):
        """[start, stop) of the ids of "\\nAssistant: name(...)" that cover a byte of the name."""
        first_byte = len("\nAssistant: ")
        end_byte = first_byte + len(name.encode())
        ends = np.cumsum(self.widths[ids])  # of each piece, in bytes from the newline
        start = np.searchsorted(ends, first_byte, side="right")
        stop = np.searchsorted(ends, end_byte) + 1
        return int(start), int(stop)

    def name_ids(self, name):
        """Ids of a tool's name in the form it takes in a call, without a lone space before it."""
        if name not in self._names:
            ids = self.continued(f"Assistant: {name}()")
            start, stop = self._name_span(ids, name)
            self._names[name] = ids[start:stop]
        return self._names[name]

    def encode_conversation(self, tools, turns):
        """`<s>` and all turns -> Encoded. `tools` are those the system turn shows."""
        ids = [self.bos_id]
        turn_of = [0]
        calls = []
        for i, turn in enumerate(turns):
            here = len(ids)
            turn_ids = self._turn_ids(turn, tools, is_first=i == 0)
            if turn.role == "assistant" and turn.name:  # a text without a call is context
                name_start, name_stop = self._name_span(turn_ids, turn.name)
                calls.append(CallSpan(
                    turn=i,
                    start=here + len(self.call_prefix),
                    stop=here + len(turn_ids),
                    name_start=here + name_start,
                    name_stop=here + name_stop))
            ids += turn_ids
            turn_of += [i] * len(turn_ids)
        ids = np.array(ids)
        labels = np.append(ids[1:], self.eos_id)
        last_of_calls = [call.stop - 1 for call in calls]
        labels[last_of_calls] = self.eos_id  # although the next input is a newline
        return Encoded(ids, labels, np.array(turn_of), calls)

    def prompt(self, tools, turns):
        """Ids after which the model writes its next call: `<s>`, all turns, and "\\nAssistant:".

        The space before the call is part of its first piece, so the prompt ends at the colon.
        """
        return self.encode_conversation(tools, turns).ids.tolist() + self.call_prefix


def train(texts, path, vocab_size, symbols=()):
    """Train a small SentencePiece BPE model on `texts` and write it to `path`.

    `symbols` become pieces of their own. Newlines are left to their byte piece and nothing is
    normalised: with SentencePiece's defaults a newline would come back as a space.
    """
    lines = (line for text in texts for line in text.split("\n") if line)
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=file, vocab_size=vocab_size, model_type="bpe",
            byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True, split_digits=True,
            user_defined_symbols=list(symbols), character_coverage=0.9995, num_threads=1,
            minloglevel=2)
