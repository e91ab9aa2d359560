"""Rendering: the golden prompt, turn by turn against the whole text, spans, refused tokenizers."""

import functools
import json

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tools import read_tools
from data.trajectories import Turn, read_item
from plumbing.files import InputError
from tests.conftest import ITEMS, real, real_conversations, schema
from tokenizer import Tokenizer, render, train

GOLDEN = ('System: Function:\ndef random_advice():\n    """\n'
          '    Returns a random advice slip as a slip object.\n\n'
          '    Args:\n    """\nUser: Can you fetch some random advice for me?\nAssistant:')
ADVICE = read_tools([schema("random_advice", "Returns a random advice slip as a slip object.")])
load = functools.cache(Tokenizer)
QUESTION = (Turn("system", "[]"), Turn("user", "Can you fetch some random advice for me?"))


@pytest.fixture(scope="module", params=["small", "llama"])
def tokenizer(request):
    """The tokenizer trained on the fixtures, and the real LLaMA one where it is present."""
    if request.param == "small":
        return load(request.getfixturevalue("tokenizer_file"))
    return load(real("tokenizers/llama/tokenizer.model"))


def test_the_prompt_is_the_golden_one_byte_for_byte(tokenizer):
    ids = tokenizer.prompt(ADVICE, QUESTION)
    assert ids.count(tokenizer.bos_id) == 1 and ids[0] == tokenizer.bos_id
    assert tokenizer.decode(ids[1:]) == GOLDEN
    assert ids[1:] == tokenizer.encode(GOLDEN)


def check_conversation(tokenizer, conversation):
    """Ids are those of the whole text; labels decode to the calls, spans of names to the names."""
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    whole = "\n".join(render(turn, conversation.tools) for turn in conversation.turns)
    assert encoded.ids.tolist() == [tokenizer.bos_id] + tokenizer.encode(whole)
    assert encoded.turn.tolist() == sorted(encoded.turn) and len(encoded.turn) == len(encoded.ids)
    for span in encoded.calls:
        turn = conversation.turns[span.turn]
        labels = encoded.labels[span.start - 1:span.stop].tolist()
        assert labels[-1] == tokenizer.eos_id
        assert tokenizer.decode(labels[:-1]) == turn.content
        name = encoded.ids[span.name_start:span.name_stop].tolist()
        assert tokenizer.decode(name).startswith(turn.name)
        # LLaMA has pieces such as ".(" and "_(": the last token of a name may hold the bracket too
        if tokenizer.vocab_size == 32000 and turn.name[-1].isalnum():
            assert tokenizer.decode(name) == turn.name
            assert name == tokenizer.name_ids(turn.name)
        # training sees the same ids before a call as generation does
        assert encoded.ids[:span.start].tolist() == tokenizer.prompt(
            conversation.tools, conversation.turns[:span.turn])


def test_spans_of_the_fixtures(tokenizer):
    for item in ITEMS:
        check_conversation(tokenizer, read_item(item))


def test_the_supervised_ids_of_a_call_written_out():
    tokenizer = load(real("tokenizers/llama/tokenizer.model"))
    call = Turn("assistant", 'get_news(q="a")', "get_news", {"q": "a"})
    encoded = tokenizer.encode_conversation(ADVICE, (*QUESTION, call, Turn("function", "ok")))
    (span,) = encoded.calls
    labels = encoded.labels[span.start - 1:span.stop]
    pieces = [tokenizer.pieces.id_to_piece(int(i)) for i in labels]
    assert pieces == ["▁get", "_", "news", "(", "q", '="', "a", '")', "</s>"]
    assert (span.name_start - span.start, span.name_stop - span.start) == (0, 3)
    assert tokenizer.pieces.id_to_piece(int(encoded.ids[span.start - 1])) == ":"
    assert tokenizer.pieces.id_to_piece(int(encoded.ids[span.stop])) == "<0x0A>"


text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
               min_size=1, max_size=30)


@settings(max_examples=60)
@given(text, text, st.from_regex(r"[A-Za-z0-9_é天.-]{1,12}", fullmatch=True), text)
def test_any_text_in_any_turn_keeps_its_span(tokenizer_file, user, value, name, feedback):
    for tokenizer in (load(tokenizer_file), load(real("tokenizers/llama/tokenizer.model"))):
        item = {"conversations": [
            {"role": "system", "content": json.dumps([schema(name, feedback)])},
            {"role": "user", "content": user},
            {"role": "assistant", "content": f"{name}\n{json.dumps({'a': value})}"},
            {"role": "function", "content": feedback}]}
        check_conversation(tokenizer, read_item(item))


@settings(max_examples=60)
@given(st.text(st.sampled_from("▁ a(\n\té"), max_size=12))
def test_the_mark_of_a_space_survives(tokenizer_file, text):
    """SentencePiece made a space of every U+2581 in a text."""
    for tokenizer in (load(tokenizer_file), load(real("tokenizers/llama/tokenizer.model"))):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        within = tokenizer.encode("a\n" + text)
        assert within[-len(tokenizer.continued(text)):] == tokenizer.continued(text)
        assert "▁" in text or ids == tokenizer.pieces.encode(text)


def test_the_mark_of_a_space_is_three_bytes_written_out():
    tokenizer = load(real("tokenizers/llama/tokenizer.model"))
    for text, pieces in (("a▁b", ["▁a", "<0xE2>", "<0x96>", "<0x81>", "b"]),
                         ("▁", ["▁", "<0xE2>", "<0x96>", "<0x81>"]),
                         ("x ▁ y", ["▁x", "▁", "<0xE2>", "<0x96>", "<0x81>", "▁y"])):
        assert list(map(tokenizer.pieces.id_to_piece, tokenizer.encode(text))) == pieces


def test_all_real_conversations():
    """2,902 conversations: ids by turn are those of the whole text, labels decode to the calls."""
    tokenizer = load(real("tokenizers/llama/tokenizer.model"))
    systems = {}  # the long system turn recurs; everything else is compared in one piece with it
    for conversation in real_conversations():
        encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
        texts = [render(turn, conversation.tools) for turn in conversation.turns]
        system = texts[0]
        rest = texts[1:]
        if system not in systems:
            systems[system] = tokenizer.encode(system + "\n")
        # a newline is a piece of its own: the text splits there, and the pieces after it stay as
        # they are in the whole text
        whole = systems[system] + tokenizer.encode("\n" + "\n".join(rest))[2:]
        assert encoded.ids.tolist() == [tokenizer.bos_id] + whole
        for span in encoded.calls:
            labels = encoded.labels[span.start - 1:span.stop].tolist()
            assert labels[-1] == tokenizer.eos_id
            assert tokenizer.decode(labels[:-1]) == conversation.turns[span.turn].content


def test_whole_texts_of_real_conversations():
    """The same against the whole text in one piece, for every twentieth conversation."""
    tokenizer = load(real("tokenizers/llama/tokenizer.model"))
    for conversation in real_conversations()[::20]:
        check_conversation(tokenizer, conversation)


def test_tokenizers_that_change_text_are_refused(tmp_path):
    """SentencePiece turns newlines into spaces by default, and loses characters without bytes."""
    lines = ["call f with a and b", "System: User: Assistant: Output:"] * 20
    defaults = {"byte_fallback": True, "vocab_size": 300}
    no_bytes = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False,
                "vocab_size": 40}
    for name, options in (("defaults", defaults), ("no bytes", no_bytes)):
        with open(tmp_path / f"{name}.model", "wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines), model_writer=file, model_type="bpe",
                hard_vocab_limit=False, minloglevel=2, **options)
        with pytest.raises(InputError, match=f"{name}.model"):
            Tokenizer(tmp_path / f"{name}.model")
    (tmp_path / "text.model").write_text("not a model")
    for path in ("text.model", "absent.model"):
        with pytest.raises(InputError, match=path):
            Tokenizer(tmp_path / path)


def test_a_trained_tokenizer_keeps_its_symbols_whole(tmp_path):
    train(["a word (and) another\n\tword"] * 10, tmp_path / "t.model", 290, symbols=["▁"])
    tokenizer = Tokenizer(tmp_path / "t.model")
    word = tokenizer.encode("word")[1:]
    assert np.array_equal(tokenizer.encode("x word")[-len(word):], word)
