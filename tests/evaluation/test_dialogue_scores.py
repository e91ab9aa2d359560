"""DE, CE and VA: every rule on hand-written dialogues, and the released rules on real feedback."""

import json

import pytest

import evaluate
from data.tools import read_tools
from data.trajectories import read as read_trajectories
from evaluation.benchmarks import read_tasks
from evaluation.dialogue_scores import (
    CE_KINDS,
    DE_KINDS,
    count_faults,
    find_fault,
    is_valid,
    make_transcript,
    read_call,
    read_transcripts,
    released_fault,
    released_table,
)
from plumbing.files import InputError
from reward import ParseError
from tests.conftest import real

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {
    "properties": {key: {"type": "string"} for key in keys}, "required": keys[:1]}}}
    for name, keys in (("find", ["query", "size"]), ("ping", []), ("ask_to_user", ["question"]),
                       ("finish", ["answer"]))]


def dialogue(*turns):
    """An item of a file: assistant turns are texts, a tool's feedback is ("feedback",)."""
    messages = [{"role": "system", "content": json.dumps(TOOLS)},
                {"role": "user", "content": "Find it"}]
    for turn in turns:
        role, content = ("function", turn[0]) if isinstance(turn, tuple) else ("assistant", turn)
        messages.append({"role": role, "content": content})
    return {"id": "d", "conversations": messages}


def parse(tmp_path, *items):
    (tmp_path / "t.json").write_text(json.dumps(items))
    return read_transcripts(tmp_path / "t.json")


GOOD, FAILED = ('{"found": 1}',), ("division by zero",)
DE, CE = [("DE", kind) for kind in DE_KINDS], [("CE", kind) for kind in CE_KINDS]


@pytest.mark.parametrize("call, feedback, expected", [
    ('find\n{"query": "x"}', GOOD, ("", "")),
    ('find(query="x", size="1")', GOOD, ("", "")),
    ('ask_to_user\n{"question": "?"}', None, ("", "")),
    ('search\n{"query": "x"}', GOOD, DE[0]),
    ('search\n{"query": "x"}', ("name 'search' is not defined",), DE[0]),
    ('find\n{"query": "x", "page": "2"}', GOOD, DE[1]),
    ('find\n{"query": "x"}', ("find() got an unexpected keyword argument 'query'",), DE[1]),
    ('find\n{"query": "x"}', ("find() missing 1 required positional argument: 'size'",), DE[2]),
    ('find\n{"size": "1"}', GOOD, ("", "")),  # only the schema calls it required
    ('find\n{"size": "1"}', FAILED, DE[2]),
    ('find\n{"size": "1"}', None, ("", "")),
    ('find\n{"query": "x"}', FAILED, CE[1]),
    ('ping\n{}', ('{"error": "quota"}',), CE[1]),
    ('ping\n{}', ('{"errors": []}',), ("", "")),
    ("I would search for it.", None, CE[0]),
    ('find\n{"query": "x"', FAILED, CE[0]),
    ("", None, CE[0]),
])
def test_each_rule(tmp_path, call, feedback, expected):
    [transcript] = parse(tmp_path, dialogue(call, *([feedback] if feedback else [])))
    assert [find_fault(step, transcript.tools) for step in transcript.steps] == [expected]


def test_results_of_calls_in_a_row_find_their_calls_by_id(tmp_path):
    """The ids of the model's own turns were not read here, so that results went by their order."""
    held = dialogue('find\n{"query": "x"}', "ping\n{}", FAILED, GOOD)
    for message, id in zip(held["conversations"][2:], "abba", strict=True):
        message["id" if message["role"] == "assistant" else "tool_call_id"] = id
    [transcript] = parse(tmp_path, held)
    assert [step.feedback for step in transcript.steps] == [*GOOD, *FAILED]
    held["conversations"][-1]["tool_call_id"] = "b"
    with pytest.raises(InputError, match="turn 5: a second result for the id 'b'"):
        parse(tmp_path, held)


def test_a_call_counts_once_and_the_first_rule_that_fits_names_it(tmp_path):
    held = dialogue('find\n{"page": "2"}', FAILED, 'search\n{"page": "2"}', FAILED)
    [transcript] = parse(tmp_path, held)
    assert [find_fault(step, transcript.tools) for step in transcript.steps] == [DE[1], DE[0]]


@pytest.mark.parametrize("text, name, arguments", [
    ('find\n{"page": 2}', "find", {"page": 2}), ('find \r\n{"page": 2}', "find", {"page": 2}),
    ('finish(answer="x")\n{"done": true}', "finish", {"answer": "x"}),
    ('find(page=2)\n{"found": []}', "find", {"page": 2}),
    # ToolEyes' own
    ('Thought: So be it.\nAction: find\nAction Input: {"page": 2}', "find", {"page": 2}),
    ('<tool_call>\n{"name": "find", "arguments": {"page": 2}}\n</tool_call>', "find", {"page": 2})])
def test_a_call_is_read_in_every_form_whatever_follows(text, name, arguments):
    """A call and JSON after it, which a model that goes on invents, was taken for a tool's name."""
    assert read_call(text, ())[:2] == (name, arguments)


CALL = '{"name": "find", "arguments": {"page": 2}}'


@pytest.mark.parametrize("text", [
    f"I will look it up.\n{CALL}", f"<tool_call>\n{CALL}", f"[TOOL_CALLS]\n{CALL}",
    f"<|python_tag|>\n{CALL}", f"Action:\n{CALL}", '<function=find>\n{"page": 2}',
    '>>>find\n{"page": 2}', 'functions.find:0\n{"page": 2}'])
def test_a_line_before_a_call_is_no_name_of_a_tool(text):
    """It was: the turn counted as a call of an unknown tool, and `finish` did not end anything."""
    assert read_call(text, read_tools(TOOLS))[:2] == ("find", {"page": 2})
    assert read_call('nosuch\n{"page": 2}', read_tools(TOOLS))[:2] == ("nosuch", {"page": 2})


@pytest.mark.parametrize("value", ['"\\ud83d"', "1e999", "NaN"])
def test_json_that_no_tokenizer_or_reader_can_take_is_no_call(value):
    with pytest.raises(ParseError):
        read_call('find\n{"page": %s}' % value, ())


@pytest.mark.parametrize("answer, valid", [
    ("42", True), ("", False), ("  \n", False), (None, False), (0, True),
    ("I cannot handle the task.", False),
    ("I'm sorry, but I can't handle this task now.", False),
    ("Cats cannot handle the cold.", True)])
def test_a_valid_answer_is_not_empty_and_no_refusal(tmp_path, answer, valid):
    [transcript] = parse(tmp_path, dialogue("finish\n" + json.dumps({"answer": answer})))
    assert is_valid(transcript) is valid


def test_finish_must_come_within_nine_turns(tmp_path):
    finish = 'finish(answer="done")'
    [eight] = parse(tmp_path, dialogue(*(["ping()", GOOD] * 8), finish))
    [nine] = parse(tmp_path, dialogue(*(["ping()", GOOD] * 9), finish))
    assert is_valid(eight) and not is_valid(nine)
    assert not is_valid(parse(tmp_path, dialogue("ping()", GOOD))[0])
    assert not is_valid(parse(tmp_path, dialogue("finish()"))[0])


def test_counts_are_of_calls_and_of_queries(tmp_path):
    transcripts = parse(tmp_path,
                        dialogue('find\n{"query": "x"}', FAILED, "nothing",
                                 'finish\n{"answer": "a"}'),
                        dialogue('search\n{"query": "x"}', FAILED, 'ping\n{"query": "x"}', GOOD))
    counts = count_faults(transcripts)
    assert {key: counts[key] for key in ("calls", "DE", "CE", "queries", "VA")} \
        == {"calls": 5, "DE": 2, "CE": 2, "queries": 2, "VA": 1}
    assert counts["kinds"] == {"unknown tool": 1, "unknown parameter": 1, "missing parameter": 0,
                               "unparsable": 1, "error reported": 1}
    empty = count_faults([])
    assert (empty["calls"], empty["queries"], empty["VA"]) == (0, 0, 0)


def test_the_command_prints_counts_beside_percentages(tmp_path, capsys):
    parse(tmp_path, dialogue('find\n{"query": "x"}', FAILED, "nothing", 'finish\n{"answer": "a"}'))
    evaluate.main(["--bench", "transcripts", "--predictions", str(tmp_path / "t.json"),
                   "--released"])
    out = capsys.readouterr().out
    assert "CE                                   2   66.67%  of 3 calls" in out
    assert "VA                                   1  100.00%  of 1 queries" in out
    assert ("1 feedbacks; DE: ours 0, released 0; CE: ours 1, released 0; they differ on 1\n"
            "  d: ours") in out


def test_wrong_files_and_flags_are_named(tmp_path):
    for items, message in (({}, "must be a JSON list"), ([3], "item 0"),
                           ([{"conversations": [3]}], "item 0, turn 0"),
                           ([{"conversations": [{"role": "system", "content": "x"}]}],
                            "turn 0: tools")):
        (tmp_path / "t.json").write_text(json.dumps(items))
        with pytest.raises(InputError, match=message):
            read_transcripts(tmp_path / "t.json")


def test_released_rules_find_error_in_anything():
    """mae.py reduces both sides to letters, so that to it an empty list of errors is an error."""
    assert released_fault('{"errors": []}') == ("CE", '"error":')
    assert released_fault("f() takes 1 positional argument") == ("DE", "positional argument")
    assert released_fault("terror") == ("CE", '"error":')
    assert released_fault("fine") == ("", "")


def test_rotbench_third_turn_beside_the_released_rules():
    """The released rules' 19 and 27 of 133, counted independently of this code, are found again."""
    tasks = read_tasks("rotbench", real("benchmarks/rotbench"), "clean", "third")
    transcripts = [make_transcript(task) for task in tasks]
    answered = [step for transcript in transcripts for step in transcript.steps
                if step.feedback is not None]
    groups = [released_fault(step.feedback)[0] for step in answered]
    assert (len(answered), groups.count("DE"), groups.count("CE")) == (133, 19, 27)
    head, *differing = released_table(transcripts)
    assert head.startswith("133 feedbacks; DE: ours ")
    assert head.endswith(f"they differ on {len(differing)}")
    # False alarms of the released rules: empty fields.
    flagged = [line for line in differing if "ours - ," in line]
    assert all('"error":' in line for line in flagged)
    assert count_faults(transcripts)["kinds"]["unparsable"] == 0


def test_real_trajectories_have_the_calls_that_their_own_reader_finds():
    path = real("trajectories/rottuning_gpt4_test_queries.json")
    ours = [[step.call[:2] for step in transcript.steps] for transcript in read_transcripts(path)]
    theirs = [[(turn.name, turn.arguments) for turn in conversation.turns
               if turn.role == "assistant"]
              for conversation in read_trajectories(path)]
    assert ours == theirs
