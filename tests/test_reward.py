"""The reward against values written out by hand, the released rule, and every recorded call."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reward as module
from data import trajectories
from data.tools import write_call
from evaluation.benchmarks import read_tasks
from evaluation.tasks import LEVELS, unknowable
from reward import REWARDS, ErrorType, classify, reward, same_value
from tests.conftest import real, real_conversations

PARAMETERS = {"search": ("query", "n", "page"), "search_all": ("query", "n"), "ping": ()}
TOOLS = [{"name": name, "parameters": {"properties": dict.fromkeys(keys, {})}}
         for name, keys in PARAMETERS.items()]
GOLD = 'search(query="love", n=3)'
UNPARSABLE, UNKNOWN, WRONG, HALLUCINATED, REDUNDANT, MISSING, CONTENT = ErrorType


def test_the_table_is_that_of_section_3_3():
    assert [REWARDS[error] for error in ErrorType] == [-2, -2, -1.5, -0.8, -0.5, -0.5, -0.25]


@pytest.mark.parametrize("prediction, errors, value", [
    (GOLD, set(), 1),
    (" search( n = 3.0 , query = 'love' ) </s>", set(), 1),
    ('search("love", 3)', set(), 1),
    ("", {UNPARSABLE}, -2),
    ('search(query="love", n=3', {UNPARSABLE}, -2),
    (GOLD + " " + GOLD, {UNPARSABLE}, -2),
    ("Sure: " + GOLD, {UNPARSABLE}, -2),
    ('search(query="love", n=2, n=3)', {UNPARSABLE}, -2),
    ("sing(a=1", {UNPARSABLE}, -2),
    ('sing(query="love", n=3)', {UNKNOWN}, -2),
    ('Search(query="love", n=3)', {UNKNOWN}, -2),
    ('search_all(query="love", n=3)', {WRONG}, -1.5),
    ("ping(bogus=1)", {WRONG}, -1.5),
    ('search(query="love", n=3, bogus=1)', {HALLUCINATED}, -0.8),
    ('search(query="hate", n=3, b=1, c=2)', {HALLUCINATED}, -0.8),
    ('search(query="completely wrong", n=99, bogus=1)', {HALLUCINATED}, -0.8),
    ('search(query="love", n=3, page=1)', {REDUNDANT}, -0.5),
    ('search(query="love")', {MISSING}, -0.5),
    ("search()", {MISSING}, -0.5),
    ('search(query="love", page=3)', {REDUNDANT, MISSING}, -1.0),
    ('search(query="love", N=3)', {HALLUCINATED, MISSING}, -1.3),
    ('search(query="love", n=3, page=1, x=1)', {HALLUCINATED, REDUNDANT}, -1.3),
    ('search(query="love", page=1, x=1)', {HALLUCINATED, REDUNDANT, MISSING}, -1.8),
    ('search(query="hate", n=3)', {CONTENT}, -0.25),
    ('search(query="love", n="3")', {CONTENT}, -0.25),
    ('search(query="love", n=true)', {CONTENT}, -0.25)])
def test_each_error_has_its_name_and_value(prediction, errors, value):
    assert classify(prediction, GOLD, TOOLS) == errors
    assert reward(prediction, GOLD, TOOLS) == pytest.approx(value)


def test_a_tool_that_is_not_offered_is_an_error_even_if_the_gold_calls_it():
    assert classify("secret(a=1)", "secret(a=1)", TOOLS) == {UNKNOWN}
    assert classify(GOLD, "secret(a=1)", TOOLS) == {WRONG}


def test_a_parameter_that_the_tool_lacks_is_hallucinated_even_if_the_gold_has_it():
    gold = 'search(query="love", code=1)'
    assert classify(gold, gold, TOOLS) == {HALLUCINATED}
    assert classify('search(query="love")', gold, TOOLS) == {MISSING}


def test_of_doubled_tools_the_first_is_the_one_that_is_offered():
    doubled = [*TOOLS, {"name": "ping", "parameters": {"properties": {"x": {}}}}]
    assert classify("ping(x=1)", "ping()", doubled) == {HALLUCINATED}


def test_a_gold_that_cannot_be_parsed_is_the_callers_error_and_says_so():
    message = re.escape("gold call 'search(query=': expected a value")
    with pytest.raises(ValueError, match=message) as caught:
        reward(GOLD, "search(query=", TOOLS)
    assert not isinstance(caught.value, module.ParseError)


@pytest.mark.parametrize("a, b, equal", [
    (1, 1.0, True), (True, 1, False), (False, 0, False), (True, True, True), ("1", 1, False),
    (None, False, False), (None, 0, False),
    ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True), ({"a": 1}, {"a": True}, False),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ([1, 2], [2, 1], False), ([1, 2], (1, 2), True), ([(1,)], [[1]], True), ([1], [1, 1], False),
    ([], {}, False), ("", [], False),
    ([[True]], [[1]], False), ("é", "e\u0301", False), ("a", "A", False), ("ab", ["a", "b"], False),
    (2**60 + 1, float(2**60), False)])
def test_values_are_equal_as_json(a, b, equal):
    assert same_value(a, b) is equal and same_value(b, a) is equal


# Properties

SMALL = st.integers(0, 3)
VALUE = st.text(max_size=3) | SMALL | st.booleans() | st.none() | st.lists(SMALL, max_size=2)
CALL = st.builds(write_call, st.sampled_from(["search", "search_all", "ping", "sing"]),
                 st.dictionaries(st.sampled_from(["query", "n", "page", "bogus", "x"]), VALUE))
ANY = st.text() | CALL | st.builds(lambda call, cut: call[:cut], CALL, st.integers(0, 30))


@given(ANY, CALL)
def test_the_reward_is_total_bounded_and_one_exactly_without_errors(prediction, gold):
    errors = classify(prediction, gold, TOOLS)
    assert errors <= set(ErrorType) and -2 <= reward(prediction, gold, TOOLS) <= 1
    assert (reward(prediction, gold, TOOLS) == 1) == (not errors)


@given(CALL, CALL)
def test_it_is_one_exactly_for_an_equal_call_that_the_schema_allows(prediction, gold):
    """The definition over again, by json's reading of the arguments instead of ours."""
    def parts(text):
        name, inside = text[:-1].split("(", 1)
        return name, json.loads("{" + re.sub(r"(^|, )(\w+)=", r'\1"\2": ', inside) + "}")

    try:
        predicted = parts(prediction)
        wanted = parts(gold)
    except json.JSONDecodeError:  # a string that holds what looks like a name
        return
    offered = {schema["name"]: schema["parameters"]["properties"] for schema in TOOLS}
    allowed = predicted[0] in offered and predicted[1].keys() <= offered[predicted[0]].keys()
    equal = json.dumps(predicted, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert (reward(prediction, gold, TOOLS) == 1) == (allowed and equal)


@given(ANY, ANY, CALL)
@settings(max_examples=300)
def test_more_errors_never_score_higher(one, other, gold):
    """A strictly larger set of errors, or an earlier line of the table, costs at least as much."""
    few = classify(one, gold, TOOLS)
    many = classify(other, gold, TOOLS)
    if few < many or many in ({UNPARSABLE}, {UNKNOWN}):
        assert reward(one, gold, TOOLS) >= reward(other, gold, TOOLS)


def mutations(name, arguments, properties, rng):
    """(prediction, value by hand): each single change of a call that its tool allows."""
    for key, old in arguments.items():
        new = rng.choice([old + 1 if type(old) in (int, float) else 1, f"{old} ",
                          None if old is not None else False, [old]])
        yield write_call(name, {**arguments, key: new}), -0.25
        yield write_call(name, without(arguments, key)), -0.5
    unused = [key for key in properties if key not in arguments]
    if unused:
        yield write_call(name, {**arguments, unused[0]: "1"}), -0.5
    yield write_call(name, {**arguments, "no_such_key": 1}), -0.8
    if unused and arguments:
        rest = without(arguments, next(iter(arguments)))
        yield write_call(name, {**rest, unused[0]: "1", "no_such_key": 1}), -1.8


def without(arguments, key):
    """The arguments but for one."""
    return {k: v for k, v in arguments.items() if k != key}


def check_every_call(conversations):
    """Calls against themselves, and every tenth against its mutations.

    Returns how many there are, those of tools that are not offered, and those off their schema.
    """
    rng = random.Random(0)
    total = 0
    unknown = []
    off_schema = []
    for conversation in conversations:
        for turn in conversation.turns:
            if turn.role != "assistant":
                continue
            total += 1
            tool = next((tool for tool in conversation.tools if tool.name == turn.name), None)
            properties = [p.name for p in tool.parameters] if tool else []
            value = reward(turn.content, turn.content, conversation.tools)
            if tool is None:
                unknown.append(turn.content)
                assert value == -2
            elif not set(turn.arguments) <= set(properties):
                off_schema.append(turn.content)
                assert value == -0.8
            else:
                assert value == 1
                if total % 10 == 0:
                    check_mutations(turn, properties, conversation.tools, rng)
    return total, unknown, off_schema


def check_mutations(turn, properties, tools, rng):
    """Each single change of a turn's call has the reward that was worked out by hand."""
    for changed, expected in mutations(turn.name, turn.arguments, properties, rng):
        assert reward(changed, turn.content, tools) == pytest.approx(expected), changed


def test_every_recorded_call_scores_one_against_itself_and_mutations_what_they_cost():
    total, unknown, off_schema = check_every_call(real_conversations())
    assert (total, len(unknown), len(off_schema)) == (8407, 4, 48)


@pytest.mark.parametrize("name, folder, levels, total, off", [
    ("toolalpaca", "toolalpaca", ("clean",), 139, 6),
    ("bfcl", "bfcl_exec", ("clean",), 450, 1),
    ("rotbench", "rotbench", LEVELS, 1328, 8)])
def test_golds_of_the_benchmarks_score_one_but_those_off_their_own_document(
        name, folder, levels, total, off):
    tasks = []
    for level in levels:
        tasks += read_tasks(name, real(f"benchmarks/{folder}"), level)
    golds = 0
    wrong = []
    for task in tasks:
        for gold in task.golds:
            golds += 1
            call = write_call(gold.name, gold.arguments)
            if reward(call, call, task.tools) != 1:
                wrong.append(task.id)
    assert (golds, len(wrong)) == (total, off)
    assert set(wrong) == {task.id for task in tasks if unknowable(task)}


def test_the_same_on_a_small_conversation():
    calls = [("search", {"query": 'a "(b)', "n": 3}), ("ping", {}), ("ping", {"x": 1}),
             ("sing", {})]
    calls += [("search", {"query": [{"a": None}], "page": n}) for n in range(16)]
    messages = [{"role": "system", "content": json.dumps(TOOLS)}]
    for name, arguments in calls:
        content = f"{name}\n{json.dumps(arguments)}"
        messages.append({"role": "assistant", "content": content})
    conversation = trajectories.read_item({"conversations": messages})
    total, unknown, off_schema = check_every_call([conversation])
    assert (total, unknown, off_schema) == (20, ["sing()"], ["ping(x=1)"])


# The table that `python reward.py` prints

def test_the_printed_table_shows_where_the_released_rule_is_wrong(capsys):
    module.main()
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    wrong = 'search(query="completely wrong", n=99, bogus=1) [hallucinated parameter]'
    assert f"-0.80 +1.00 ! 0.727 {wrong}" in lines
    assert len([line for line in lines if " ! " in line]) == 5


@pytest.mark.parametrize("prediction, gold, value", [  # read off the code of its function
    ("search(query='a')", "search(query='a')", 1),
    ("search(query='b')", "search(query='a')", -0.25),
    ("search()", "search(query='a')", -0.5),
    ("search(query='a', n='1')", "search(query='a')", -0.5),
    ("search(query='a', x='1')", "search(query='a')", -0.8),
    ("search(n='1')", "search(query='a')", -1.0),
    ("search(x='1')", "search(query='a')", -1.3),
    ("search(n='1', x='1')", "search(query='a')", -1.8),
    ("ping()", "search(query='a')", -1.5),
    ("sing()", "search(query='a')", -2),
    ("search", "search(query='a')", -2),
    ("(query='a')", "search(query='a')", -1.5),
    ("x\n search (query='a) b", "search(query='a')", -0.5),
    ("say search(query='a')", "search(query='a')", -2),
    ("search(query='a') and more", "search(query='a')", 1)])
def test_the_released_rule_is_told_truly(prediction, gold, value):
    assert module.released_rule(prediction, gold, TOOLS) == pytest.approx(value)


@given(st.sampled_from([text for texts in module.EXAMPLES.values() for text in texts]),
       st.sampled_from(list(module.EXAMPLES)))
def test_a_call_that_was_read_is_judged_as_its_text_is(prediction, gold):
    try:
        call = module.parse_call(prediction, module.TOOLS, strict=True)
    except module.ParseError:
        return
    wanted = module.parse_call(gold, module.TOOLS, strict=True)
    assert classify(call, wanted, module.TOOLS) == classify(prediction, gold, module.TOOLS)
