"""toolbox/synthesize.py and the files that it uses: chains, questions, filters, mistakes, noise."""

import copy
import json
import random
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data import trajectories
from data.calls import parse_call
from data.feedback import Feedback, classify, shares
from data.tools import read_tools, write_call
from reward import reward
from tests.conftest import ROOT, run_script
from toolbox import chains, filters, no_tool, questions, synthesize
from toolbox.execute import CATEGORY_OF, DIALOGUE, TOOLS, run, schemas
from toolbox.mistakes import make_mistake
from toolbox.noise import LEVELS, add_noise
from toolbox.wording import ASK, EXTRA
from toolbox.wording.no_tool import OUTSIDE, SMALL_TALK, VAGUE

NAMES = ("train", "rl", "heldout_single", "heldout_multi",
         *(f"heldout_{level}" for level in LEVELS))
CLEAN, GOLD = NAMES[:4], ("rl", "heldout_single", *NAMES[4:])


def read_file(name):
    return json.loads((ROOT / "data" / f"{name}.json").read_text(encoding="utf-8"))


def last_call(item):
    """The gold call, or the last call of a trajectory, as it stands in the file."""
    return item.get("gold", item["conversations"][-1]["content"])


def is_unmet(item):
    """Whether no tool fits: the first turn after the question ends the dialogue."""
    return len(item["conversations"]) + ("gold" in item) == 3 and re.match(
        "finish|ask_to_user", last_call(item)) is not None


WHOLE = {name: read_file(name) for name in (*NAMES, "heldout_none")}
# Files of tasks; the conversations in which no tool fits have tests of their own.
FILES = {name: [item for item in WHOLE[name] if not is_unmet(item)] for name in NAMES}
UNMET = {name: [item for item in WHOLE[name] if is_unmet(item)] for name in WHOLE}
TRAIN = [trajectories.read_item(item) for item in FILES["train"]]
EVERY = [(name, item) for name in CLEAN for item in FILES[name]]


def question(item):
    return item["conversations"][1]["content"]


def offered(item):
    return [schema["function"]["name"]
            for schema in json.loads(item["conversations"][0]["content"])]


def pairs(turns):
    """(call, feedback) of the calls of a conversation that a tool answered."""
    return [(parse_call(call.content), answer.content)
            for call, answer in zip(turns, turns[1:], strict=False)
            if (call.role, answer.role) == ("assistant", "function")]


def scalars(value):
    """The scalars of a JSON value, in any order."""
    found = []
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        else:
            found.append(value)
    return found


def test_the_script_writes_the_committed_files_byte_for_byte(tmp_path):
    """In a process of its own, with another hash seed than this one."""
    done = run_script("-m", "toolbox.synthesize", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(f"{name}.json" for name in WHOLE)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (ROOT / "data" / path.name).read_bytes(), path.name


def test_the_files_hold_as_many_items_as_the_paper_and_stay_small():
    sizes = {name: len(items) for name, items in WHOLE.items()}
    assert sizes == {"train": 1217, "rl": 1194, "heldout_single": 1000, "heldout_multi": 500,
                     "heldout_none": 200, **{f"heldout_{level}": 200 for level in LEVELS}}
    single = [(item["tools"], len(item["conversations"]) == 2) for item in FILES["heldout_single"]]
    assert [single.count((tools, True)) for tools in ("seen", "unseen")] == [350, 350]
    assert [single.count((tools, False)) for tools in ("seen", "unseen")] == [150, 150]
    later = sum(len(item["conversations"]) > 2 for item in WHOLE["rl"])
    assert abs(later - 358) < 0.08 * 358  # less what has no tool that fits
    heavy = [item["tools"] for item in FILES["heldout_heavy"]]
    assert [heavy.count(tools) for tools in ("seen", "unseen")] == [100, 100]
    assert sum((ROOT / "data" / f"{name}.json").stat().st_size for name in WHOLE) < 12_000_000
    for items in WHOLE.values():
        assert len({item.get("id") for item in items}) == len(items)


def test_every_call_gets_the_stored_feedback_again():
    """But an outage, which has no cause."""
    outages = 0
    for conversation in TRAIN:
        names = [tool.name for tool in conversation.tools]
        for call, feedback in pairs(conversation.turns):
            kind = classify(feedback, call.name, conversation.tools)
            outages += kind is Feedback.TOOL_INSTABILITY
            assert kind is Feedback.TOOL_INSTABILITY or run(call, names) == feedback
    assert outages in (34, 35)
    for name in ("rl", "heldout_single"):
        for item in FILES[name]:
            for call, feedback in pairs(trajectories.read_item(item).turns):
                assert run(call, offered(item)) == feedback
                assert classify(feedback) is Feedback.ALL_RIGHT


def test_every_gold_call_succeeds_and_is_right_by_the_reward():
    for name in GOLD:
        for item in FILES[name]:
            tools = json.loads(item["conversations"][0]["content"])
            assert reward(item["gold"], item["gold"], tools) == 1
            if name in CLEAN:
                call = parse_call(item["gold"], tools, strict=True)
                assert classify(run(call, offered(item)), call.name, tools) is Feedback.ALL_RIGHT
                assert call.name not in DIALOGUE


def test_a_task_of_several_calls_leads_to_its_expected_value():
    tasks = FILES["heldout_multi"]
    assert {len(task["calls"]) for task in tasks} == {1, 2, 3, 4}
    for task in tasks:
        tools = json.loads(task["conversations"][0]["content"])
        results = [run(parse_call(call, tools, strict=True), offered(task))
                   for call in task["calls"]]
        assert all(classify(result) is Feedback.ALL_RIGHT for result in results)
        assert task["expected"] in map(str, scalars(json.loads(results[-1])))
        assert task["expected"].casefold() not in re.split(r"[^\w.-]+", question(task).casefold())
        assert all(reward(call, call, tools) == 1 for call in task["calls"])


def test_17_percent_of_the_trajectories_hold_an_error_of_each_kind_equally_often():
    counts, failed = shares(TRAIN)
    assert failed == round(0.17 * 1217) == 207
    assert sum(counts[kind] for kind in Feedback if kind.is_error) == 207  # one each
    assert all(counts[kind] in (34, 35) for kind in Feedback if kind.is_error)


def test_after_an_error_the_right_call_follows():
    for conversation in TRAIN:
        calls = [(turn.name, classify(after.content, turn.name, conversation.tools))
                 for turn, after in zip(conversation.turns, conversation.turns[1:], strict=False)
                 if after.role == "function"]
        for (_, kind), (_, following) in zip(calls, calls[1:], strict=False):
            assert not (kind.is_error and following.is_error)
        assert not calls[-1][1].is_error and conversation.turns[-1].name == "finish"


def test_a_twentieth_asks_the_user_for_what_is_missing():
    asking = [conversation for conversation in TRAIN
              if any(turn.name == "ask_to_user" for turn in conversation.turns)]
    assert len(asking) == round(0.05 * 1217)
    for conversation in asking:
        _, first, ask, given, call, *_ = conversation.turns
        assert (ask.name, given.role, call.role) == ("ask_to_user", "user", "assistant")
        said = [value for value in call.arguments.values() if str(value) in given.content]
        assert said and any(str(value) not in first.content for value in said)


def test_every_argument_stands_in_the_question_an_earlier_result_or_the_schema():
    """In the noise sets too, whose further parameters tell their value in their description."""
    checked = 0
    noisy = [(level, item) for level in NAMES[4:] for item in FILES[level]]
    for name, item in [*EVERY, *noisy]:
        known = question(item)
        tools = read_tools(json.loads(item["conversations"][0]["content"]))
        calls = [item["gold"]] if "gold" in item else item.get("calls", [])
        turns = trajectories.read_item(item).turns[2:] + tuple(
            trajectories.Turn("assistant", call, "gold") for call in calls)
        right = []
        for turn, after in zip(turns, [*turns[1:], None], strict=True):
            failed = (after is not None and after.role == "function"
                      and classify(after.content, turn.name, tools).is_error)
            if turn.name not in DIALOGUE and not failed:
                right.append(turn)
        for turn in right:
            if turn.role != "assistant":
                known += "\n" + turn.content
                continue
            call = parse_call(turn.content, tools, strict=True)
            described = next(tool for tool in tools if tool.name == call.name).parameters
            for parameter, value in call.arguments.items():
                hint = next(p.description for p in described if p.name == parameter)
                for leaf in scalars(value):
                    checked += 1
                    told = isinstance(leaf, bool) and any(
                        text in known for key, texts in EXTRA.items() for text in texts)
                    stands = str(leaf).casefold() in f"{known}\n{hint}".casefold()
                    assert told or stands, (name, item["id"])
            if name == "heldout_multi":
                known += "\n" + run(call)
    assert checked > 8000


def test_no_question_is_like_another():
    """All pairs, in all files; the script only compares those that share a rare word."""
    texts = [question(item) for name in (*CLEAN, "heldout_none") for item in WHOLE[name]]
    assert len(set(texts)) == len(texts)
    sets = [questions.word_set(text) for text in texts]
    place = {word: number for number, word in enumerate(sorted(set().union(*sets)))}
    matrix = np.zeros((len(sets), len(place)), np.float32)
    for row, words in enumerate(sets):
        matrix[row, [place[word] for word in words]] = 1
    both = matrix @ matrix.T
    sizes = matrix.sum(1)
    alike = both / (sizes[:, None] + sizes - both)
    np.fill_diagonal(alike, 0)
    assert alike.max() <= filters.MAX_SIMILARITY + 1e-6


def test_unseen_tools_are_nowhere_in_the_training_files():
    assert len(synthesize.UNSEEN) == 24 and set(synthesize.UNSEEN) < set(TOOLS)
    for name in ("train", "rl"):
        text = (ROOT / "data" / f"{name}.json").read_text(encoding="utf-8")
        for schema in schemas(synthesize.UNSEEN):
            assert schema["function"]["name"] not in text
            assert schema["function"]["description"] not in text
    for item in FILES["heldout_single"]:
        assert (parse_call(item["gold"]).name in synthesize.UNSEEN) == (item["tools"] == "unseen")
    for item in FILES["heldout_single"] + FILES["heldout_multi"]:
        assert item.get("tools") == "unseen" or not set(offered(item)) & set(synthesize.UNSEEN)


def test_every_tool_is_asked_for():
    single = {parse_call(item["gold"]).name for item in FILES["heldout_single"]}
    rl = {parse_call(item["gold"]).name for item in FILES["rl"]}
    called = {turn.name for conversation in TRAIN for turn in conversation.turns
              if turn.role == "assistant"}
    assert single == set(TOOLS) - set(DIALOGUE)
    assert rl == single - set(synthesize.UNSEEN) <= called


def test_texts_are_whole_and_name_no_tool():
    for _, item in EVERY:
        for turn in item["conversations"][1:]:
            if turn["role"] == "user":
                assert not re.search(r"[{}]|  |\bNone\b|\[|\]", turn["content"])
                assert not any(tool in turn["content"] for tool in offered(item) if "_" in tool)
    for conversation in TRAIN:
        answer = conversation.turns[-1].arguments["answer"]
        assert not re.search(r"[{}\[\]]|None|True|False", answer) and answer[-1] in ".!?"


def test_the_answer_tells_a_value_of_the_last_result():
    for conversation in TRAIN:
        result = json.loads(conversation.turns[-2].content)
        assert any(str(value) in conversation.turns[-1].arguments["answer"]
                   for value in scalars(result))


def test_the_tools_offered_are_few_hold_the_right_ones_and_some_that_begin_alike():
    alike = 0
    for _, item in EVERY:
        names = [tool for tool in offered(item) if tool not in DIALOGUE]
        assert len(names) in (3, 4) and len(set(names)) == len(names)
        assert set(DIALOGUE) < set(offered(item))
        calls = [turn.name for turn in trajectories.read_item(item).turns
                 if turn.role == "assistant"]
        golds = item.get("calls", [item["gold"]] if "gold" in item else [])
        calls += [parse_call(call).name for call in golds]
        needed = {call for call in calls if call in TOOLS} - set(DIALOGUE)
        assert needed < set(names)
        alike += any(a.split("_")[0] == b.split("_")[0] for a in needed
                     for b in set(names) - needed)
    assert alike > 0.5 * len(EVERY)


def step_of(seed):
    """An executed call of any tool, and the names offered with it."""
    rng = random.Random(seed)
    steps = None
    while steps is None:
        steps = chains.draw_chain(rng, synthesize.ALL, rng.choice(synthesize.ALL), 1)
    return rng, steps[0], [steps[0].name, *rng.sample(synthesize.ALL, 2), *DIALOGUE]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([kind for kind in Feedback if kind.is_error]))
def test_a_mistake_gets_the_feedback_of_its_kind(seed, kind):
    rng, step, names = step_of(seed)
    mistake = make_mistake(rng, kind, step, names)
    if mistake:  # not every tool can be broken by a wrong type
        name, arguments, feedback = mistake
        assert classify(feedback, name, schemas(names)) is kind
        assert (name, arguments) != (step.name, step.arguments) or kind is Feedback.TOOL_INSTABILITY
        again = run(parse_call(write_call(name, arguments)), names)
        assert kind is Feedback.TOOL_INSTABILITY or again == feedback


@settings(max_examples=80)
@given(st.integers(0, 10**6), st.sampled_from(LEVELS), st.integers(0, 1), st.integers(0, 999))
def test_noise_changes_names_and_nothing_else(seed, level, place, number):
    item = FILES["heldout_single"][number]
    before = copy.deepcopy(item)
    noisy = add_noise(random.Random(seed), level, place, item)
    assert item == before and noisy == add_noise(random.Random(seed), level, place, item)
    old = read_tools(json.loads(item["conversations"][0]["content"]))
    new = read_tools(json.loads(noisy["conversations"][0]["content"]))
    assert [tool.description for tool in old] == [tool.description for tool in new]
    assert len({tool.name for tool in new}) == len(new)
    gold = parse_call(item["gold"], old, strict=True)
    renamed = parse_call(noisy["gold"], new, strict=True)
    where = [tool.name for tool in old].index(gold.name)
    assert new[where].name == renamed.name
    changed_tools = [a.name != b.name for a, b in zip(old, new, strict=True)
                     if a.name not in DIALOGUE]
    assert any(changed_tools) == (level == "union" or place == 0)
    described = {p.name: p.description for p in old[where].parameters}
    again = {p.name: p.description for p in new[where].parameters}
    kept = {again[key]: value for key, value in renamed.arguments.items()
            if "always set" not in again[key]}
    assert kept == {described[key]: value for key, value in gold.arguments.items()}
    for key in set(renamed.arguments) - {key for key in again if "always set" not in again[key]}:
        assert again[key] == f'always set this to "{renamed.arguments[key]}"'
    assert [turn for turn in noisy["conversations"][1:] if turn["role"] != "assistant"] == [
        turn for turn in item["conversations"][1:] if turn["role"] != "assistant"]
    assert reward(noisy["gold"], noisy["gold"], new) == 1


def test_the_levels_of_noise_on_a_conversation_read_by_hand():
    item = next(item for item in FILES["heldout_single"]
                if item["gold"].startswith("search_songs("))
    heavy = add_noise(random.Random(1), "heavy", 0, item)
    assert sorted(offered(heavy)) == sorted(offered(item)) and offered(heavy) != offered(item)
    medium = add_noise(random.Random(1), "medium", 0, item)
    for name, other in zip(offered(item), offered(medium), strict=True):
        assert other in (name, name[::-1]) or re.fullmatch("[a-zA-Z]{2,6}", other)
        assert (other == name) == (name in DIALOGUE)
    slight = add_noise(random.Random(1), "slight", 0, item)
    for name, other in zip(offered(item), offered(slight), strict=True):
        assert abs(len(name) - len(other)) <= 1 + len(name) // 8 and name[0] == other[0]


@settings(max_examples=200)
@given(st.lists(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=12), max_size=12))
def test_questions_alike_are_found_as_by_comparing_all(texts):
    collection = filters.Questions()
    kept = []
    for text in map(" ".join, texts):
        item = filters.Draft(text, text, None, [], "", [])
        own = questions.word_set(text)
        alike = any(questions.jaccard(own, questions.word_set(old)) > filters.MAX_SIMILARITY
                    for old in kept)
        assert collection.admit(item) != alike
        if not alike:
            kept.append(text)


def test_a_value_counts_as_said_only_as_it_stands():
    def derivable(text, **arguments):
        return questions.is_derivable(text, [chains.Step("calculate_tip", arguments, "{}", {})])

    assert derivable("A tip of 12.5 percent on 80, please", bill=80, percent=12.5)
    assert derivable("The bill was 80.", bill=80)
    assert not derivable("The bill was 180", bill=80)
    assert not derivable("The bill was 80.5", bill=80)
    assert not derivable("The bill was 1.80", bill=80)
    assert not derivable("The bill is eighty", bill=80)


def test_a_link_is_referred_to_and_not_told():
    found = 0
    for seed in range(400):
        rng = random.Random(seed)
        steps = chains.draw_chain(rng, synthesize.ALL, rng.choice(synthesize.ALL), 2)
        for key, link in steps[1].links.items() if steps else ():
            value, result = steps[1].arguments[key], steps[link.step].result
            assert value in scalars(result) or value in result.values()
            assert (value in steps[0].arguments.values()) == (link.kind == chains.SAME)
            if link.kind != chains.SAME and isinstance(value, str):
                found += 1
                assert value not in re.split(r"[^\w.@'-]+", questions.write_question(rng, steps)[1])
    assert found > 20


# ------------------------------------------------------------------------------------ no tool fits

def test_six_percent_of_the_items_for_training_have_no_tool_that_fits():
    assert {name: len(items) for name, items in UNMET.items() if items} == {
        "train": round(0.06 * 1217), "rl": round(0.06 * 1194), "heldout_none": 200}
    for name, items in UNMET.items():
        for item in items:
            tools = read_tools(json.loads(item["conversations"][0]["content"]))
            turns = trajectories.read_item(item).turns
            gold = parse_call(item.get("gold", turns[-1].content), tools, strict=True)
            assert gold.name == "finish" or name != "rl"
            assert reward(gold, gold, tools) == 1
            assert len(tools) in (5, 6) and set(DIALOGUE) < set(offered(item))


def test_what_is_asked_for_is_not_offered():
    """Of requests that a tool of the toolbox would fit: none of the tools that fit is offered."""
    requests = 0
    for kind in ("absent", "taken out"):
        for number in range(8):
            rng = random.Random(f"{kind} {number}")
            unmet = no_tool.draw_unmet(rng, kind, synthesize.ALL, filters.Questions())
            asked = [name for name in synthesize.ALL if matches_a_wording(name, unmet.question)]
            assert not set(asked) & set(unmet.offered), (asked, unmet)
            requests += bool(asked)
            if kind == "absent":
                categories = {CATEGORY_OF[name] for name in unmet.offered if name not in DIALOGUE}
                assert not categories & {CATEGORY_OF[name] for name in asked}
    assert requests > 4


def matches_a_wording(name, text):
    """Whether a text holds one of the whole requests for a tool, whatever its values."""
    for wording in ASK[name]:
        parts = [re.escape(part) for part in re.split(r"{.*?}", wording)]
        if len("".join(parts)) > 12 and re.search("(.+?)".join(parts), text):
            return True
    return False


def test_texts_without_a_tool_that_are_held_out_are_nowhere_in_training():
    training = " ".join(question(item) for name in ("train", "rl") for item in UNMET[name])
    held_out = " ".join(question(item) for item in UNMET["heldout_none"])
    for texts in (SMALL_TALK, OUTSIDE, VAGUE):
        for place, text in enumerate(texts):
            plain = max(re.split(r"{.*?}", text), key=len)
            if place % 4 == 3 and len(plain) > 12:
                assert plain not in training
            elif len(plain) > 12:
                assert plain not in held_out


def test_more_errors_leave_all_else_as_it_is():
    """Trajectories with 0, 35 and 60% errors: taking errors and recoveries out gives one file."""
    questions_so_far = filters.Questions()
    tasks = synthesize.training_tasks(questions_so_far)[:60]
    plain = [place for place in synthesize.plain_places(tasks) if place < 60]
    few = synthesize.with_errors(tasks, plain, 0)
    assert not any(task.mistake for task in few)
    assert [task.draft for task in few] == [task.draft for task in tasks]
    many = synthesize.with_errors(tasks, plain, 20 / synthesize.TRAIN)
    more = synthesize.with_errors(tasks, plain, 40 / synthesize.TRAIN)
    failing = [{place for place, task in enumerate(some) if task.mistake}
               for some in (tasks, many, more)]
    assert [len(places) for places in failing[1:]] == [20, 40]
    assert failing[0] <= failing[1] <= failing[2]
    for task in more:
        if task.mistake:
            place, (name, _, feedback) = task.mistake
            kind = classify(feedback, name, schemas(task.draft.offered))
            assert kind.is_error and 0 <= place < len(task.draft.steps)
