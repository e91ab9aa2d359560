"""The dialogue loop: scripted models and the real toolbox, prompts that must fit, whole runs."""

import json
import os

import pytest

import evaluate
import model
from data.feedback import Feedback, classify
from data.trajectories import Conversation, Turn, read_item
from evaluation import dialogue_scores
from evaluation.benchmarks.toolbox import run_toolbox
from evaluation.dialogue import (
    LONGEST_FEEDBACK,
    NOT_A_CALL,
    USER,
    choose_tools,
    converse,
    cut_repeats,
    fit,
    make_question,
    speaker,
)
from evaluation.dialogue_scores import (
    MAX_TURNS,
    count_faults,
    holds,
    is_right,
    is_valid,
    make_transcript,
    read_transcripts,
)
from evaluation.tasks import Task
from plumbing.files import InputError
from tests.evaluation.ranks import run_ranks
from tokenizer import Tokenizer
from toolbox.execute import TOOLS, schemas

KENYA = 'get_country(country="Kenya")'
NAIROBI = ('{"country": "Kenya", "capital": "Nairobi", "currency_code": "KES", '
           '"language": "Swahili"}')
NAMES = ["get_country", "get_weather", "ask_to_user", "finish"]


def record(text="What is the capital of Kenya?", expected="Nairobi", id="multi/0"):
    """An item of heldout_multi.json."""
    return {"id": id, "calls": [KENYA], "expected": expected, "conversations": [
        {"role": "system", "content": json.dumps(schemas(NAMES))},
        {"role": "user", "content": text}]}


def task(text="What is the capital of Kenya?", **fields):
    item = read_item(record(text, **fields))
    return Task(item.id, item.tools, item.turns, (), expected="Nairobi")


def scripted(*texts):
    """A model that says these texts, one a turn, to every dialogue; and what it was asked with."""
    asked, rest = [], iter(texts)

    def answer(conversations):
        asked.append(conversations)
        return [next(rest)] * len(conversations)

    return answer, asked


def talk(*texts, execute=run_toolbox):
    """The turns after the question, when a model says these texts."""
    answer, _ = scripted(*texts)
    [held] = converse([task()], answer, execute)
    return held, [turn[:2] for turn in held.turns[2:]]


# ---- the loop ----

def test_a_dialogue_goes_on_until_finish_and_the_model_sees_every_feedback():
    answer, asked = scripted(KENYA, 'finish(answer="It is Nairobi.")')
    heard = []
    [held] = converse([task()], answer, run_toolbox, heard.append)
    assert [turn[:2] for turn in held.turns[2:]] == [
        ("assistant", KENYA), ("function", NAIROBI),
        ("assistant", 'finish(answer="It is Nairobi.")')]
    assert heard == list(held.turns[2:])
    assert [[len(c.turns) for c in each] for each in asked] == [[2], [4]]
    assert asked[1][0].turns == held.turns[:4]
    assert count_faults([make_transcript(held)]) | {"kinds": 0} == {
        "calls": 2, "DE": 0, "CE": 0, "queries": 1, "VA": 1, "kinds": 0}


def test_toolllama_finishes_as_its_prompt_says():
    """`Finish` was not defined: an unknown tool, nine turns, no answer."""
    held, turns = talk('Thought: So.\nAction: Finish\nAction Input: {"return_type": '
                       '"give_answer", "final_answer": "It is Nairobi."}')
    assert len(turns) == 1
    transcript = make_transcript(held, "Nairobi")
    assert transcript.steps[0].call.name == "finish" and is_right(transcript)


def test_all_dialogues_that_still_run_are_answered_together():
    """Each is told its own turn number, finishes at its own, and no finished one is asked again."""
    ends = [3, 1, 20, 2, 9]
    asked = []

    def answer(conversations):
        asked.append([conversation.id for conversation in conversations])
        said = [sum(turn.role == "assistant" for turn in c.turns) + 1 for c in conversations]
        return [f'finish(answer="{n}")' if n == ends[int(c.id)] else KENYA
                for n, c in zip(said, conversations, strict=True)]

    held = converse([task(id=str(i)) for i in range(5)], answer, run_toolbox)
    assert asked == [["0", "1", "2", "3", "4"], ["0", "2", "3", "4"], ["0", "2", "4"],
                     *[["2", "4"]] * 6]
    assert [len(make_transcript(each).steps) for each in held] == [3, 1, 9, 2, 9]
    assert [is_valid(make_transcript(each)) for each in held] == [True, True, False, True, True]


def test_a_model_that_never_finishes_is_stopped_after_nine_turns():
    held, turns = talk(*[KENYA] * 50)
    assert turns == [("assistant", KENYA), ("function", NAIROBI)] * MAX_TURNS and MAX_TURNS == 9


GARBAGE = "".join(chr(33 + i * 7919 % 900) for i in range(10_000))
DEEP = f"get_country(country={'[' * 1000}1{']' * 1000})"


@pytest.mark.parametrize("text", ["", "   ", "The capital is Nairobi.", GARBAGE, "(" * 10_240, DEEP,
                                  KENYA[:-1], 'get_country(country="Kenya", country="Chad")',
                                  "\x00\ufffd"])
def test_a_turn_that_is_no_call_gets_an_error_as_feedback_and_the_dialogue_goes_on(text):
    held, turns = talk(text, KENYA, 'finish(answer="Nairobi")')
    (_, raw), (role, feedback), *rest = turns
    assert raw == text and role == "function" and feedback.startswith(NOT_A_CALL.partition("{")[0])
    assert classify(feedback).is_error
    assert rest == [("assistant", KENYA), ("function", NAIROBI),
                    ("assistant", 'finish(answer="Nairobi")')]
    assert count_faults([make_transcript(held)])["kinds"]["unparsable"] == 1


@pytest.mark.parametrize("call, kind", [
    ('get_country(name="Kenya")', Feedback.PARAMETER_HALLUCINATION),
    ("get_country()", Feedback.PARAMETER_MISSING),
    ('get_capital(country="Kenya")', Feedback.TOOL_HALLUCINATION),
    ('get_country(country="Atlantis")', Feedback.OTHERS),
    ("get_country(country=7)", Feedback.TOOL_CALL_FAILURE),
    ('convert_currency(amount=1, from_currency="EUR", to_currency="USD")',
     Feedback.TOOL_HALLUCINATION)])
def test_the_toolbox_answers_errors_as_real_servers_do(call, kind):
    """The last one is a tool of the toolbox, but not one that this task offers."""
    held, turns = talk(call, 'finish(answer="x")')
    assert classify(turns[1][1], call.partition("(")[0], held.tools) is kind


def test_whoever_asks_the_user_is_told_the_same_each_time():
    held, turns = talk('ask_to_user(question="Which one?")', 'finish(answer="x")')
    assert turns[1] == ("user", USER)
    assert count_faults([make_transcript(held)])["CE"] == 0


def test_long_feedback_is_cut():
    _, turns = talk(KENYA, 'finish(answer="x")', execute=lambda task, call: "x" * 100_000)
    assert turns[1][1] == "x" * LONGEST_FEEDBACK + " ..."


def test_a_finish_that_does_not_fit_its_schema_ends_the_dialogue_without_an_answer():
    held, turns = talk('finish(result="Nairobi")', KENYA)
    assert len(turns) == 1 and not is_valid(make_transcript(held))
    assert count_faults([make_transcript(held)])["kinds"]["unknown parameter"] == 1


# ---- the expected value ----

@pytest.mark.parametrize("answer, expected, right", [
    ("It is Nairobi.", "Nairobi", True), ("it is NAIROBI", "Nairobi", True),
    ("Nairobian", "Nairobi", False), ("1,234,567.50 people", "1234567.5", True),
    ("1234567.5", "1,234,567.50", True), ("12 EUR", "12.00", True), ("12.0 EUR", "12 eur", True),
    ("120", "12", False), ("0.12", "12", False), ("12.5", "12", False), ("It is 12.", "12", True),
    ("It is 12, not 13", "12", True), ("-12", "12", False), ("-12", "-12", True),
    ("from 5-12", "12", True), ("1.012", "12", False), ("10", "1", False), ("10.0", "10", True),
    ("100", "1", False), ("2025-11-05", "2025-11-05", True), ("at 10:30", "10:30", True),
    ("1,2,3", "2", True), ("1,23", "123", False), ("two  words\nhere", "Two words", True),
    ("a (b) c", "(b)", True), ("", "x", False), ("x.y", "x", True),
    ("0.50", "0.5", True), ("7.0", "7", True)])
def test_an_answer_holds_a_value_as_a_word_of_its_own(answer, expected, right):
    assert holds(answer, expected) is right


def test_a_right_answer_is_a_valid_one_that_holds_the_value():
    def held(answer):
        return make_transcript(talk(f"finish(answer={json.dumps(answer)})")[0], expected)

    expected = "nairobi"
    assert is_right(held("Nairobi")) and not is_right(held("Mombasa"))
    assert not is_right(held("I cannot handle the task: Nairobi"))
    assert is_right(held(42)._replace(expected="42"))
    counts = count_faults([held("Nairobi"), held("Mombasa"), held("")])
    assert (counts["VA"], counts["VA_paper"], counts["queries"]) == (1, 2, 3)
    lines = list(dialogue_scores.fault_table([held("Nairobi"), held("Mombasa"), held("")]))
    assert lines[-2].split()[:3] == ["VA", "1", "33.33%"]
    assert lines[-1].split()[-2:] == ["2", "66.67%"]


# ---- the prompt ----

def test_the_oldest_later_turns_go_first_where_the_prompt_is_too_long(model_dir):
    """Every bound from nothing to all: System, the first User turn and a suffix are left."""
    tokenizer = Tokenizer(model_dir)
    tools = read_item(record()).tools
    later = [Turn("assistant", KENYA), Turn("function", NAIROBI), Turn("assistant", GARBAGE[:50]),
             Turn("function", "Error: not a call"), Turn("user", USER)]
    turns = (*read_item(record()).turns, *later)
    lengths = [len(tokenizer.prompt(tools, turns[:2] + turns[2 + i:])) for i in range(6)]
    assert lengths == sorted(lengths, reverse=True)
    for longest in (10, *lengths, *(n - 1 for n in lengths), 10_000):
        kept = next((i for i, n in enumerate(lengths) if n <= longest), 5)
        ids = fit(tokenizer, Conversation("x", tools, turns), longest)
        assert ids == tokenizer.prompt(tools, turns[:2] + turns[2 + kept:])


def test_a_model_answers_each_dialogue_as_it_would_alone(model_dir):
    transformer, tokenizer = model.load(model_dir), Tokenizer(model_dir)
    answer = speaker(transformer, tokenizer, 4)
    tasks = [task("Why?"), task("What is the capital of Kenya, and what time is it there?")]
    together = converse(tasks, answer, run_toolbox)
    for one, held in zip(tasks, together, strict=True):
        assert converse([one], answer, run_toolbox) == [held]
        first = tokenizer.prompt(one.tools, one.turns)
        [reply] = model.generate(transformer, [first], 4, tokenizer.eos_id)
        assert held.turns[2].content == tokenizer.decode(reply.ids)


# ---- one question ----

def test_the_tools_for_a_question_are_those_that_share_its_rare_words():
    assert set(choose_tools("What will the weather be in Oslo on Friday?", 2)) <= {
        name for name in TOOLS if name.startswith("get_weather")}
    assert choose_tools("Convert 20 EUR to another currency", 1) == ["convert_currency"]
    assert len(choose_tools("zzz")) == 4 == len(set(choose_tools("the of a")))
    assert [tool.name for tool in make_question("Weather?").tools[-2:]] == ["ask_to_user", "finish"]


def test_an_answer_that_repeats_itself_is_cut_off():
    endless = cut_repeats(lambda _: ["abc" * 32], lambda _: ["abc" * 170], list)
    assert endless([None]) == ["abc" * 32]
    letters = "".join(map(chr, range(40, 140)))
    long = cut_repeats(lambda _: [letters[:96]], lambda _: [letters], list)
    assert long([None]) == [letters]


# ---- whole runs ----

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """heldout_multi.json in small."""
    folder = tmp_path_factory.mktemp("toolbox")
    texts = ["What is the capital of Kenya?", "Capital of Kenya?", "Kenya", "Tell me its capital",
             "?"]
    records = [record(text, id=f"multi/{i}") for i, text in enumerate(texts)]
    (folder / "heldout_multi.json").write_text(json.dumps(records))
    return folder


def run(folder, model_dir, *arguments):
    evaluate.main(["--bench", "toolbox", "--data", str(folder), "--model", str(model_dir),
                   "--device", "cpu", "--max-new-tokens", "3", "--batch-size", "2",
                   *map(str, arguments)])


def test_a_random_model_is_evaluated_and_its_dialogues_are_transcripts(
        folder, model_dir, tmp_path, capsys):
    run(folder, model_dir, "--out", tmp_path, "--show", 2)
    printed = capsys.readouterr().out
    assert printed.count("the one expected: Nairobi") + printed.count("no answer") >= 2
    assert printed.count("User       ") == 2 and "VA " in printed and "the paper's rule" in printed
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["bench"], scores["queries"]) == ("toolbox", 5)
    assert 5 <= scores["calls"] <= 45 and scores["VA"] <= scores["VA_paper"] <= 5
    saved = read_transcripts(tmp_path / "dialogues.json")
    assert {**count_faults(saved), "bench": "toolbox"} == scores
    items = json.loads((tmp_path / "dialogues.json").read_text())
    assert sum(item["CE"] for item in items) == scores["CE"] and items[0]["expected"] == "Nairobi"
    again = ["--bench", "transcripts", "--predictions", str(tmp_path / "dialogues.json"), "--out"]
    evaluate.main([*again, str(tmp_path / "again")])
    found, table = capsys.readouterr().out.split("\n", 1)
    assert found.endswith("dialogues.json: 5 items in TL-Training's own format")
    assert table in printed
    read_again = json.loads((tmp_path / "again" / "scores.json").read_text())
    assert read_again == {**scores, "bench": "transcripts"}
    evaluate.main([*again, str(tmp_path / "two"), "--limit", "2"])
    assert "of 2 queries" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_to_the_same_dialogues(folder, model_dir, tmp_path):
    run(folder, model_dir, "--out", tmp_path / "whole")
    whole = [(tmp_path / "whole" / name).read_bytes() for name in ("scores.json", "dialogues.json")]
    answers = (tmp_path / "whole" / "answers.0.jsonl").read_bytes()
    for cut in (len(answers) // 2, len(answers) - 1):
        out = tmp_path / f"cut{cut}"
        out.mkdir()
        (out / "run.json").write_bytes((tmp_path / "whole" / "run.json").read_bytes())
        (out / "answers.0.jsonl").write_bytes(answers[:cut])
        run(folder, model_dir, "--out", out)
        assert [(out / name).read_bytes() for name in ("scores.json", "dialogues.json")] == whole


def test_a_subset_is_no_continuation_of_the_whole(folder, model_dir, tmp_path):
    run(folder, model_dir, "--out", tmp_path, "--limit", 1)
    assert json.loads((tmp_path / "scores.json").read_text())["queries"] == 1
    with pytest.raises(InputError, match="holds answers for limit 1, not 0"):
        run(folder, model_dir, "--out", tmp_path)


def test_two_ranks_hold_the_dialogues_that_one_holds(folder, model_dir, tmp_path):
    run(folder, model_dir, "--out", tmp_path / "one", "--limit", 3)
    printed = run_ranks(
        30500 + os.getpid() % 1000, "--bench", "toolbox", "--data", folder, "--limit", 3,
        "--out", tmp_path / "two", "--max-new-tokens", 3, "--batch-size", 2, "--model", model_dir)
    for name in ("scores.json", "dialogues.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert printed[0] and not printed[1], "one process prints"


def test_one_question_is_asked_and_every_turn_printed(model_dir, capsys):
    evaluate.main(["--ask", "What will the weather be in Oslo on Friday?",
                   "--model", str(model_dir), "--max-new-tokens", "4", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Tools      get_weather")
    assert lines[0].endswith("ask_to_user, finish")
    assert lines[1] == "User       What will the weather be in Oslo on Friday?"
    assert lines[2].startswith("Assistant ") and 3 <= len(lines) <= 2 + 2 * MAX_TURNS


def test_wrong_input_is_named(folder, model_dir, tmp_path):
    (tmp_path / "heldout_multi.json").write_text(json.dumps([record(expected=" ")]))
    for arguments, message in (
            (["--data", tmp_path], "item 0: expected is empty"),
            (["--data", tmp_path / "none"], "toolbox.synthesize` writes it"),
            (["--predictions", "x"], "--bench transcripts"),
            (["--queries", "x"], "--queries: not for toolbox"),
            (["--errors"], "--errors: not for toolbox"),
            (["--format", "json"], "--format: does nothing without --predictions"),
            (["--bench", "tooleyes"], "--tool-library: name the directory")):
        with pytest.raises(InputError, match=message):
            run(folder, model_dir, *arguments)
