"""The base model's drills in whole conversations: which tool a question fits, and what counts."""

import random
import re

import numpy as np
import pytest

from pretraining.documents import plural
from pretraining.nonsense import SMALL, nonsense_conversation
from pretraining.pretrain import names_example
from tests.conftest import ROOT
from tokenizer import Tokenizer
from toolbox.execute import DIALOGUE, TOOLS
from toolbox.questions import as_text


def conversations(grown, count=40):
    rng = random.Random(f"nonsense {grown}")
    return [nonsense_conversation(rng, grown) for _ in range(count)]


def asked(conversation):
    """[(question, [the calls that it leads to])]."""
    pairs = []
    for turn in conversation.turns[1:]:
        if turn.role == "user":
            pairs.append((turn.content, []))
        elif turn.role == "assistant":
            pairs[-1][1].append(turn)
    return pairs


def words(text):
    """Words in small letters, small words left out, each in both forms that it may have."""
    found = set(re.findall("[a-z]+", text.lower())) - {*SMALL, "get"}
    return found | {plural(word) for word in found}


def test_no_tool_of_the_toolbox_is_named():
    names = {tool.name for conversation in conversations(1, 400) for tool in conversation.tools}
    assert len(names) > 1000 and names & set(TOOLS) == set(DIALOGUE)


@pytest.mark.parametrize("grown", (0, 0.5, 1))
def test_every_called_tool_has_a_word_of_the_question(grown):
    for conversation in conversations(grown):
        described = {tool.name: words(tool.description) for tool in conversation.tools}
        for question, calls in asked(conversation):
            fits = {name for name, own in described.items() if own & words(question)}
            assert {call.name for call in calls} <= fits
            assert grown or fits == {calls[0].name}


def test_first_there_are_bare_words_and_no_parameters():
    for conversation in conversations(0):
        assert 2 <= len(conversation.tools) <= 4 and len(conversation.turns) == 1 + 2 * 8
        for question, (call,) in asked(conversation):
            assert not call.arguments
            assert len(question.split()) <= 3 and question == question.lower()


def test_in_the_end_values_stand_in_the_question_and_results_follow():
    made = conversations(1)
    for conversation in made:
        roles = [turn.role for turn in conversation.turns]
        assert all(after == "function" for role, after in zip(roles, roles[1:], strict=False)
                   if role == "assistant")
        tools = {tool.name: tool for tool in conversation.tools}
        for question, calls in asked(conversation):
            assert 1 <= len(calls) <= 3
            for call in calls:
                assert {p.name for p in tools[call.name].parameters} == set(call.arguments)
                assert all(as_text(value).lower() in question.lower()
                           for value in call.arguments.values())
    lengths = {len(calls) for conversation in made for _, calls in asked(conversation)}
    offers = {"finish" in {tool.name for tool in conversation.tools} for conversation in made}
    assert lengths == {1, 2, 3} and offers == {True, False}


@pytest.mark.parametrize("grown", (0, 1))
def test_only_the_names_of_called_tools_count(grown):
    tokenizer = Tokenizer(ROOT / "data" / "tiny")
    for conversation in conversations(grown, 10):
        example = names_example(conversation, tokenizer)
        assert set(example.weights) == {0.0, 1.0}
        assert example.labels[:-1].tolist() != example.ids[1:].tolist()  # </s> ends a call
        places = np.flatnonzero(example.weights)
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        said = [tokenizer.decode([int(i) for i in example.labels[run]]) for run in runs]
        assert said == [turn.name for turn in conversation.turns if turn.role == "assistant"]
