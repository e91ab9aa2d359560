"""toolbox/wording/: every tool can be asked for, with values it accepts, and its result told."""

import inspect
import json
import random
import re
from collections import Counter

import pytest

from data.calls import Call
from data.feedback import Feedback, classify
from toolbox.execute import CATEGORIES, DIALOGUE, TOOLS, run
from toolbox.wording import ASIDES, ASK, DO, EXTRA, JOIN, NONE, REFER, TELL, VALUES

NAMES = [name for name in TOOLS if name not in DIALOGUE]
DRAWS = 50


def parameters(name, optional):
    """The names of a tool's parameters that have a default, or have none."""
    return [p.name for p in inspect.signature(TOOLS[name]).parameters.values()
            if (p.default is not p.empty) == optional]


def fields(text):
    return re.findall(r"{(.*?)}", text)


def calls(name):
    """Calls with drawn arguments; an optional parameter is given half the time."""
    rng = random.Random(name)
    for _ in range(DRAWS):
        given = [key for key in parameters(name, True) if rng.random() < 0.5]
        arguments = {}
        for key in parameters(name, False) + given:
            values = VALUES[f"{name}.{key}"]
            arguments[key] = values(rng) if callable(values) else rng.choice(values)
        yield Call(name, arguments, (0, 0))


@pytest.fixture(scope="module")
def results():
    """{tool: [(arguments, result)] of the drawn calls that succeed}."""
    found = {}
    for name in NAMES:
        feedbacks = [(call.arguments, run(call)) for call in calls(name)]
        found[name] = [(arguments, json.loads(text)) for arguments, text in feedbacks
                       if classify(text) is Feedback.ALL_RIGHT]
    return found


def reached(path, facts):
    """The value at a dotted path of the facts, None where it leads nowhere or to an empty list."""
    for key in path.split("."):
        if isinstance(facts, list):
            facts = facts[int(key)] if int(key) < len(facts) else None
        else:
            facts = (facts or {}).get(key)
    return None if facts == [] else facts


def fits(text, arguments, result):
    return all(reached(path, {**arguments, **result}) is not None for path in fields(text))


def keys(value):
    """All keys in a JSON value."""
    if isinstance(value, list):
        return {key for member in value for key in keys(member)}
    if isinstance(value, dict):
        return {key for name, member in value.items() for key in {name} | keys(member)}
    return set()


def test_every_tool_can_be_asked_for_and_told():
    for wordings, least in ((ASK, 8), (DO, 4), (TELL, 2)):
        assert set(wordings) == set(NAMES)
        assert {name: len(texts) for name, texts in wordings.items()
                if len(set(texts)) < least} == {}
    assert set(NONE) < set(NAMES)


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_request_holds_each_required_parameter_once(category):
    for name in CATEGORIES[category]:
        for text in ASK[name] + DO[name]:
            assert sorted(fields(text)) == sorted(parameters(name, False)), text


def test_every_parameter_has_values_and_every_optional_one_its_sentences():
    assert set(VALUES) == {f"{name}.{key}" for name in NAMES for optional in (False, True)
                           for key in parameters(name, optional)}
    assert set(EXTRA) == {f"{name}.{key}" for name in NAMES for key in parameters(name, True)}
    for key, texts in EXTRA.items():
        name, parameter = key.split(".")
        switch = inspect.signature(TOOLS[name]).parameters[parameter].annotation is bool
        assert len(set(texts)) >= 3
        assert all(fields(text) == ([] if switch else [parameter]) for text in texts), key
        assert all(text[0].isupper() and text[-1] in ".?!" for text in texts), key


def test_a_value_for_an_optional_parameter_is_not_its_default():
    for name in NAMES:
        for key in parameters(name, True):
            values = VALUES[f"{name}.{key}"]
            if not callable(values):
                default = inspect.signature(TOOLS[name]).parameters[key].default
                assert default not in values, (name, key)


def test_drawn_values_are_of_the_type_in_the_schema():
    kinds = {float: (int, float), list[str]: list, list[int]: list}
    for name in NAMES:
        for call in calls(name):
            for key, value in call.arguments.items():
                kind = inspect.signature(TOOLS[name]).parameters[key].annotation
                assert isinstance(value, kinds.get(kind, kind)), (name, key, value)
                assert kind is bool or not isinstance(value, bool)


def test_nearly_all_drawn_calls_succeed(results):
    assert {name: len(results[name]) for name in NAMES if len(results[name]) < 0.9 * DRAWS} == {}
    assert sum(map(len, results.values())) > 0.98 * DRAWS * len(NAMES)


def test_every_result_can_be_told(results):
    for name, found in results.items():
        for arguments, result in found:
            texts = [text for text in TELL[name] if fits(text, arguments, result)]
            if not texts:
                assert [] in result.values() and name in NONE, (name, arguments, result)
                assert all(fits(text, arguments, result) for text in NONE[name]), name


def test_every_answer_wording_is_short_and_used_for_some_result(results):
    for name, texts in TELL.items():
        for text in texts:
            assert len(text.split()) < 20, text
            assert any(fits(text, *found) for found in results[name]), text
    for name, texts in NONE.items():
        assert len(texts) >= 2
        assert all(set(fields(text)) <= set(parameters(name, False)) for text in texts), name


def test_a_result_is_told_by_a_fact_that_was_not_asked_with(results):
    """An answer that only repeats the arguments would tell nothing."""
    for name, texts in TELL.items():
        for text in texts:
            told = [(arguments.get(path), reached(path, result)) for path in fields(text)
                    for arguments, result in results[name]]
            assert any(value not in (None, argument) for argument, value in told), text


def test_no_request_names_a_tool():
    name = re.compile(rf"\b({'|'.join(name.replace('_', '[_ ]') for name in NAMES)})\b",
                      re.IGNORECASE)
    assert [text for texts in (*ASK.values(), *DO.values()) for text in texts
            if name.search(text)] == []


def test_no_wording_stands_twice():
    """Neither for two tools, where it would not show which is meant, nor for one."""
    bare = Counter(re.sub(r"{.*?}", "{}", text).lower() for texts in (*ASK.values(), *DO.values())
                   for text in texts)
    assert [text for text, count in bare.items() if count > 1] == []


def test_a_request_is_a_sentence_and_a_phrase_none():
    for texts in ASK.values():
        for text in texts:
            assert text[0] in '{"' or text[0].isupper(), text
            assert text[-1] in '.?!"', text
    for texts in DO.values():
        for text in texts:
            assert text[0].islower() and text[-1] not in ".?!," and not text.startswith("to "), text


def test_every_key_of_a_result_that_a_parameter_takes_can_be_referred_to(results):
    taken = {key for name in NAMES for optional in (False, True)
             for key in parameters(name, optional)}
    given = {key for found in results.values() for _, result in found for key in keys(result)}
    assert taken & given == set(REFER) | {"rate"}  # an exchange rate is no interest
    assert all(REFER.values()) and not any(map(fields, sum(REFER.values(), ())))


def test_frames_and_asides_have_their_places():
    for count, patterns in JOIN.items():
        assert len(set(patterns)) >= 5
        assert all(fields(text) == [str(place) for place in range(count)] for text in patterns)
    assert set(JOIN) == {2, 3, 4}
    assert len(set(ASIDES)) >= 30
    assert {field for text in ASIDES for field in fields(text)} == {"city", "person", "number"}
