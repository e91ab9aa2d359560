"""The base model's drills: what they show, and that only what can be foreseen counts."""

import random
import re

import numpy as np
import pytest

from data.tools import read_tools, signature
from pretraining.drills import VERBS, choosing_drill, copying_drill
from pretraining.vocabulary import NOUNS
from tests.conftest import ROOT, schema
from tokenizer import Tokenizer
from toolbox.execute import TOOLS


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(ROOT / "data" / "tiny")


def ids_of(tokenizer, fits):
    """Ids of the pieces whose text `fits`, tags of the template left out."""
    texts = {i: tokenizer.decode([i]) for i in range(tokenizer.vocab_size)}
    return [i for i, text in texts.items()
            if fits(text) and tokenizer.encode("\n" + text)[2:] == [i]]


def drills(tokenizer, grown, count=60):
    """[(text, [text of each run of counted tokens])] of drills whose pieces are small letters."""
    made = []
    rng = random.Random(f"drills {grown}")
    pieces = ids_of(tokenizer, lambda text: text.isascii() and text.isalpha() and text.islower())
    for _ in range(count):
        drill = choosing_drill(rng, pieces, tokenizer, grown)
        places = np.flatnonzero(drill.weights)
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        assert drill.labels[:-1].tolist() == drill.ids[1:].tolist()
        names = [tokenizer.decode(drill.labels[run]) for run in runs]
        made.append((tokenizer.decode(drill.ids), names))
    return made


def test_only_repetitions_count_when_copying():
    rng = random.Random(0)
    for _ in range(50):
        drill = copying_drill(rng, range(5, 500), 20)
        counted = np.flatnonzero(drill.weights)
        period = counted[0] + 1
        assert (drill.labels[counted] == drill.ids[counted + 1 - period]).all()
        assert 3 <= period <= 20 and counted[-1] == len(drill.ids) - 2


@pytest.mark.parametrize("grown", (2 / 3, 1))
def test_a_choosing_drill_ends_up_in_the_template_of_a_conversation(tokenizer, grown):
    """Read back as text: each tool is written as in a system turn, and each answer counts.

    Only the tool that the answer names has a word of the question in its description.
    """
    for text, answers in drills(tokenizer, grown):
        tools = dict(re.findall(r'def (\w+)\(\):\n    """\n    Get ([a-z ]+)\.\n', text))
        meant = [signature(tool) for tool in read_tools(
            [schema(name, f"Get {words}.") for name, words in tools.items()])]
        system, _, dialogue = text.partition("User: ")
        assert system == "".join(block + "\n\n" for block in meant) and 1 <= len(tools) <= 5
        asked = re.findall(r"User: ([a-zI ]+)\nAssistant: (\w+)\(\)\n", "User: " + dialogue)
        assert [name for _, name in asked] == answers and len(asked) == 12
        for question, answer in asked:
            fits = {name for name, words in tools.items()
                    if set(words.split()) & set(question.split())}
            assert fits == {answer}


def test_in_the_end_names_are_real_words_and_most_have_a_verb(tokenizer):
    answers = [name for _, names in drills(tokenizer, 1) for name in names]
    verbs = sum(name.split("_")[0] in VERBS for name in answers)
    assert 0.6 < verbs / len(answers) < 0.8
    words = {name.split("_")[-1] for name in answers}
    assert len(words & set(NOUNS)) > len(words) / 2
    assert not any("_" in name for _, names in drills(tokenizer, 2 / 3) for name in names)


def test_no_drill_names_a_tool_of_the_toolbox(tokenizer):
    names = {name for text, _ in drills(tokenizer, 1, 400)
             for name in re.findall(r"def (\w+)", text)}
    assert len(names) > 1000 and not names & set(TOOLS)


def test_first_nothing_of_the_template_is_there_but_the_tags(tokenizer):
    for text, answers in drills(tokenizer, 1 / 3):
        assert re.fullmatch(r"(Function:[a-z]+){2,5}(User:[a-z]+Assistant:[a-z]+){12}", text)
        assert re.findall("Assistant:([a-z]+)", text) == answers


def test_in_between_both_are_met(tokenizer):
    texts = [text for text, _ in drills(tokenizer, 1 / 2)]
    for line in ("def ", "Args", "()\n", "User: "):
        assert {line in text for text in texts} == {True, False}
