"""The page shows the text of the conversation, every weight, and nothing from outside."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

import show
from data.trajectories import read_item
from losses import common_prefix, token_weights
from show import page, pair_page
from tests.conftest import ITEMS, assert_one_line_error, item, run_script
from tokenizer import Tokenizer


class Spans(HTMLParser):
    """Collects (class, title, text) of every token's span inside <pre>."""

    def __init__(self):
        super().__init__()
        self.spans = []
        self.inside = False
        self.tags = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.inside = self.inside or tag == "pre"
        if tag == "span" and self.inside:
            self.spans.append([dict(attributes)["class"], dict(attributes).get("title"), ""])

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "pre"

    def handle_data(self, text):
        if self.inside and self.spans:
            self.spans[-1][2] += text


@pytest.mark.parametrize("raw", ITEMS)
@pytest.mark.parametrize("mae, pkt", [(True, True), (False, True), (True, False)])
def test_spans_hold_the_text_and_the_weights(tokenizer_file, raw, mae, pkt):
    tokenizer, conversation = Tokenizer(tokenizer_file), read_item(raw)
    shown = page(conversation, tokenizer, mae, pkt)
    parser = Spans()
    parser.feed(shown)
    for turn in conversation.turns[1:]:
        assert turn.content in "".join(text for _, _, text in parser.spans)
    encoded = tokenizer.encode_conversation(conversation.tools, conversation.turns)
    weights, _ = token_weights(encoded, conversation, tokenizer.name_ids, mae, pkt)
    trained = [title for kind, title, _ in parser.spans if kind in ("w1", "key")]
    assert sorted(set(trained)) == sorted({f"weight {w:.3g}" for w in weights[weights > 0]})
    struck = "".join(text for kind, _, text in parser.spans if kind == "error")
    assert ("town" in struck) == (mae and raw is ITEMS[0])
    assert "script" not in parser.tags and not re.search(r"(src|href|url)\s*[=(]", shown)


def test_marks_of_direction_are_shown_and_not_obeyed(tokenizer_file):
    r"""A user's text turned the page around; \x1b reached the terminal."""
    raw = item(("user", "a\u202ebc\x1b[2J"), ("assistant", 'finish\n{"answer": "d\u2066"}'),
               id="\u2067title\n")
    html = page(read_item(raw), Tokenizer(tokenizer_file))
    assert "<title>Token weights: \\u2067title\\n</title>" in html
    assert not set(html) & {"\u202e", "\u2066", "\u2067", "\x1b"}
    parser = Spans()
    parser.feed(html)
    shown = "".join(text for _, _, text in parser.spans)
    assert r"User: a\u202ebc\x1b[2J" in shown and "\\u2066" in shown


def test_command_line(tmp_path, tokenizer_file):
    (tmp_path / "raw.json").write_text(json.dumps(ITEMS))
    arguments = ("-m", "show", tmp_path / "raw.json", "--tokenizer", tokenizer_file)
    assert "<!doctype html>" in run_script(*arguments, "--index", 1).stdout
    assert_one_line_error(run_script(*arguments, "--index", 3), "--index 3")
    done = run_script(*arguments[:3], cwd=tmp_path)  # no run under the working directory
    assert "<!doctype html>" in done.stdout, done.stderr


def test_a_pair_shows_where_its_calls_part(tmp_path, model_dir, run_main):
    """And the gap at every token of the greedy call, `</s>` included."""
    tokenizer = Tokenizer(model_dir)

    def call(text, **more):
        return {"text": text, "ids": tokenizer.encode(text), "ended": True, "gold": False,
                "branch": None, "kind": "", "score": 0.5, **more}

    greedy = tokenizer.encode('get_news(topic="cats")')
    preference = {
        "where": {"file": "f", "id": "<x>", "turn": 2}, "prompt_ids": tokenizer.encode("a <b>"),
        "gold": "get_news()", "chosen": call("get_news()", gold=True, score=1.0),
        "rejected": [call('get_news(topic="cats")', kind="key"), call("get_weather()")],
        "path": {"ids": greedy, "gaps": [0.25] * (len(greedy) + 1),
                 "runners_up": [10**6] + [5] * len(greedy)}}  # the first is no piece
    page_text = pair_page(preference, tokenizer)
    chosen = preference["chosen"]
    for rejected in preference["rejected"]:
        shared = common_prefix(chosen["ids"], rejected["ids"])
        for kind, one in (("chosen", chosen), ("rejected", rejected)):
            first = tokenizer.decode(one["ids"][:shared])
            own = html.escape(one["text"][len(first):] + "</s>")
            assert f'{html.escape(first)}<span class="{kind}">{own}</span>' in page_text
    assert "get_" in tokenizer.decode(chosen["ids"][:common_prefix(
        chosen["ids"], preference["rejected"][0]["ids"])])
    parser = Spans()
    parser.feed(page_text)
    gaps = [title for kind, title, _ in parser.spans if kind == "gap"]
    assert len(gaps) == len(greedy) + 1 and all("gap 0.25" in title for title in gaps)
    assert "&lt;b&gt;" in page_text and "leaves the greedy call at its key" in page_text
    (tmp_path / "pairs.jsonl").write_text(json.dumps(preference) + "\n")
    arguments = (tmp_path, "--tokenizer", model_dir)
    assert_one_line_error(run_main(show, *arguments, "--index", 1), "--index 1")
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    assert_one_line_error(run_main(show, *arguments), "line 1")
    (tmp_path / "pairs.jsonl").write_text("")
    assert_one_line_error(run_main(show, *arguments), "holds no pair")


def test_a_pair_whose_calls_part_within_a_character_shows_both_characters(model_dir):
    tokenizer = Tokenizer(model_dir)
    calls = {"chosen": 'f(q="中")', "rejected": 'f(q="串")'}  # E4 B8 AD, E4 B8 B2
    made = {kind: {"text": text, "ids": tokenizer.encode(text), "ended": True, "gold": False,
                   "kind": "", "score": 0.5} for kind, text in calls.items()}
    parted = pair_page(
        {"where": {"id": "x", "turn": 2}, "prompt_ids": [5], "gold": calls["chosen"],
         "chosen": made["chosen"], "rejected": [made["rejected"]]}, tokenizer)
    for kind, letter in (("chosen", "中"), ("rejected", "串")):
        assert f'f(q=&quot;<span class="{kind}">{letter}&quot;)&lt;/s&gt;</span>' in parted
