"""Which result answers which call: n calls in a row take the next n results, ids decide."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.feedback import Feedback, shares
from data.trajectories import read_item
from evaluation.dialogue_scores import count_faults, read_transcripts
from examples import build
from losses import is_erroneous
from plumbing.files import InputError
from prompts import read
from tests.conftest import item, schema
from tokenizer import Tokenizer

TOOLS = [schema(name, city="string") for name in ("get_a", "get_b", "get_c")]
TOOLS.append(schema("finish", answer="string"))
FAILED = '{"error": "city not found"}'


def call(name, **more):
    return {"role": "assistant", "content": f'{name}\n{{"city": "Oslo"}}', **more}


def result(text, **more):
    return {"role": "function", "content": text, **more}


def conversation(*messages):
    raw = item(("user", "q"), tools=TOOLS)
    return raw | {"conversations": [*raw["conversations"], *messages]}


END = {"role": "assistant", "content": 'finish\n{"answer": "x"}'}


def feedback(*messages):
    """{tool: text of its feedback} of the calls of a conversation."""
    read_one = read_item(conversation(*messages))
    return {turn.name: read_one.feedback(place) for place, turn in enumerate(read_one.turns)
            if turn.name}


def test_parallel_calls_take_their_results_in_order():
    """The failure of the first call dropped the second, and the first was trained."""
    assert feedback(call("get_a"), call("get_b"), result(FAILED), result("7"), END) == {
        "get_a": FAILED, "get_b": "7", "finish": None}


@pytest.mark.parametrize("messages", [
    (call("get_a", id="1"), call("get_b", id="2"),
     result("7", tool_call_id="2"), result(FAILED, tool_call_id="1")),
    (call("get_a", tool_call_id=1), call("get_b", tool_call_id=2),
     result("7", tool_call_id=2), result(FAILED)),
    (call("get_a"), call("get_b"), result("7", name="get_b"), result(FAILED, name="get_a")),
    (call("get_a"), call("get_b"), result(FAILED, tool_call_id="x"), result("7")),
])
def test_ids_and_names_of_tools_decide(messages):
    assert feedback(*messages) == {"get_a": FAILED, "get_b": "7"}


@pytest.mark.parametrize("messages, message", [
    ((call("get_a"), call("get_b"), result("1"), END), "turn 2: 2 calls in a row, but 1 result"),
    ((call("get_a"), result("1"), result("2")), "turn 2: 1 call in a row, but 2 results"),
    ((result("1"), END), "turn 2: a result, but no call before it"),
    ((call("get_a"), result("1"), {"role": "user", "content": "?"}, result("2")),
     "turn 5: a result, but no call before it"),
    ((call("get_a"), call("get_b"), {"role": "user", "content": "?"}),
     "turn 2: 2 calls in a row, but 0 results"),
    ((call("get_a", id="1"), result("1", tool_call_id="2")), "turn 3: a result for the id '2'"),
    ((call("get_a", id="1"), call("get_b", id="2"), result("1", tool_call_id="1"),
      result("2", tool_call_id="1")), "turn 5: a second result for the id '1'"),
])
def test_anything_else_is_named_by_its_turn(messages, message):
    with pytest.raises(InputError, match=f"item, {message}"):
        read_item(conversation(*messages))


def test_calls_that_nobody_answers_take_no_result():
    """finish, and calls at the end of a conversation that was cut."""
    assert feedback(call("get_a"), END, result("7")) == {"get_a": "7", "finish": None}
    assert feedback(call("get_a"), call("get_b")) == {"get_a": None, "get_b": None}


@settings(max_examples=30)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=1, max_size=3),
       st.integers(0, 1000))
def test_calls_at_once_have_the_feedback_of_the_same_calls_one_by_one(runs, seed):
    """runs: for each call of each run whether it fails; the results come shuffled, with ids."""
    interleaved = []
    parallel = []
    for number, run in enumerate(runs):
        calls = [call("get_a", id=f"{number}.{i}") for i in range(len(run))]
        results = [result(FAILED if failed else str(i), tool_call_id=f"{number}.{i}")
                   for i, failed in enumerate(run)]
        for one, answer in zip(calls, results, strict=True):
            interleaved += [one, answer]
        parallel += [*calls, *random.Random(seed).sample(results, len(results))]
    texts = []
    errors = []
    for messages in (interleaved, parallel):
        read_one = read_item(conversation(*messages, END))
        places = [place for place, turn in enumerate(read_one.turns) if turn.name]
        texts.append([read_one.feedback(place) for place in places])
        errors.append([is_erroneous(read_one, place) for place in places])
    assert texts[0] == texts[1] and errors[0] == errors[1]
    assert errors[1] == [*sum(runs, []), False]


def test_training_golds_figure_and_transcripts_agree(tmp_path, tokenizer_file):
    raw = conversation(call("get_a"), call("get_b"), result(FAILED), result("7"), END)
    (tmp_path / "raw.json").write_text(json.dumps([raw]))
    one = read_item(raw)
    _, counts = build([one], Tokenizer(tokenizer_file))
    assert (counts["erroneous calls"], counts["trained calls"]) == (1, 2)
    prompts, _ = read(tmp_path / "raw.json", Tokenizer(tokenizer_file))
    assert [prompt.gold for prompt in prompts if not prompt.name_only] == ['get_b(city="Oslo")']
    counted, failed = shares([one])
    assert counted[Feedback.ALL_RIGHT] == 1 and counted.total() == 2 and failed == 1
    faults = count_faults(read_transcripts(tmp_path / "raw.json"))
    assert (faults["calls"], faults["DE"], faults["CE"], faults["VA"]) == (3, 0, 1, 1)


def test_transcripts_with_a_text_that_is_no_call(tmp_path):
    """Such a text is a fault; it may have been answered, or stand before the call."""
    text = {"role": "assistant", "content": "Let me see."}
    for messages in ((text, result("Not a call."), call("get_a"), result(FAILED), END),
                     (text, call("get_a"), result(FAILED), END)):
        (tmp_path / "t.json").write_text(json.dumps([conversation(*messages)]))
        [transcript] = read_transcripts(tmp_path / "t.json")
        assert [step.feedback for step in transcript.steps][-2:] == [FAILED, None]
        assert count_faults([transcript])["kinds"]["unparsable"] == 1
    (tmp_path / "t.json").write_text(json.dumps([conversation(call("get_a"), call("get_b"),
                                                              result("7"), END)]))
    with pytest.raises(InputError, match="item 0, turn 2: 2 calls in a row, but 1 result"):
        read_transcripts(tmp_path / "t.json")
