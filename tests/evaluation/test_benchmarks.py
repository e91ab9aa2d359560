"""The benchmark readers, on small files written here and on the real ones.

Of the real ones there are counts, odd items and golds by hand.
"""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.benchmarks import read_tasks
from evaluation.benchmarks.__main__ import main
from evaluation.benchmarks.bfcl import CATEGORIES, read_bfcl
from evaluation.benchmarks.rotbench import read_rotbench
from evaluation.benchmarks.toolalpaca import read_toolalpaca
from evaluation.benchmarks.tooleyes import read_tooleyes
from evaluation.tasks import LEVELS, unknowable
from plumbing.files import InputError
from tests.conftest import real


def write(path, content, lines=False):
    """`content` as a JSON file, or as JSON lines; returns the folder of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, content)) + "\n" if lines else json.dumps(content))
    return path.parent


def plain(task):
    """A task's golds without the place of their names."""
    return [(gold.name, gold.arguments) for gold in task.golds]


# ---- small files: ToolAlpaca ----

def alpaca_api(**changes):
    return {
        "Name": "Birds", "Authentication": {"key": "***"},
        "Function_Projection": {"find-bird_get": ["/find", "get"], "count": ["/count", "get"]},
        "Function_Description": {
            "count": "Parameters: {}\nOutput: OK.",
            "find-bird_get":
                'Find a bird.\nAs text.\n'
                'Parameters: {"size": "integer. ", "from": "Required. string. One of'
                ': [a, b]. Where. It lives", "tags": "Array[string]. "}\nOutput: OK.\n - Format: x',
            "components": "no tool"},
        "Instructions": ["Find two", "Count all"],
        "Golden_Answers": [[{"Action": "find-bird_get", "Action_Input": '{"from": "a", "size": 2}'},
                            {"Action": "find-bird_get", "Action_Input": '{"from": "b"}'}],
                           [{"Action": "count", "Action_Input": "{}"}]],
        **changes}


def test_toolalpaca_schemas_steps_and_signature_order(tmp_path):
    folder = write(tmp_path / "eval_real.json", [alpaca_api()])
    two, count = read_toolalpaca(folder)
    assert [task.id for task in (two, count)] == ["Birds/0", "Birds/1"]
    names = ["find-bird_get", "count"]
    assert [tool.name for tool in two.tools] == names, "the order of Function_Projection"
    find, none = two.tools
    assert find.description == "Find a bird.\nAs text."
    assert [parameter[:4] for parameter in find.parameters] == [
        ("from", "string", "One of: [a, b]. Where. It lives", True),
        ("size", "integer", "", False), ("tags", "Array[string]", "", False)]
    assert (none.description, none.parameters) == ("", ())
    assert [turn.role for turn in two.turns] == ["system", "user"]
    assert [schema["name"] for schema in json.loads(two.turns[0].content)] == names
    assert two.turns[1].content == "Find two"
    assert plain(two) == [("find-bird_get", {"from": "a", "size": 2}),
                          ("find-bird_get", {"from": "b"})]
    assert plain(count) == [("count", {})]
    assert (two.gold_kind, two.group, two.note) == ("steps", "Birds", "")
    assert (two.free_text, two.finish) == (frozenset(), None)


def test_toolalpaca_keeps_the_place_and_tool_of_a_gold_that_does_not_parse(tmp_path):
    steps = [{"Action": "count", "Action_Input": '{"a": "a": 1}'},
             {"Action": "find-bird_get", "Action_Input": '{"key": "secret", "from": "a"}'}]
    [task] = read_toolalpaca(write(tmp_path / "eval_real.json",
                              [alpaca_api(Instructions=["Find"], Golden_Answers=[steps])]))
    assert plain(task) == [("find-bird_get", {"key": "secret", "from": "a"})]
    assert task.unread == ((0, "count"),)
    assert task.note == "gold 1 of 2 does not parse; the value of key is not in the prompt"
    assert unknowable(task) == "parameter key of find-bird_get is not in the document"


@pytest.mark.parametrize(("changes", "message"), [
    ({"Instructions": ["Find two"]}, "API 0: 1 Instructions but 2 Golden_Answers"),
    ({"Name": 3}, "API 0: Name is missing or not a str"),
    ({"Golden_Answers": [{}, {}]},
     r"\(Birds\), instruction 0: Golden_Answers must be a list of steps"),
    ({"Golden_Answers": [[{"Action": "count"}], []]},
     r"\(Birds\), instruction 0: Action_Input is missing"),
    ({"Function_Description": {"find-bird_get": "Find."}},
     "tool find-bird_get: has no object of Parameters"),
    ({"Function_Description": {"find-bird_get": "Parameters: 3"}},
     "find-bird_get: has no object of"),
    ({"Function_Description": {"find-bird_get": 'Parameters: {"a": "x"}'}},
     "parameter a is not 'Required"),
    ({"Function_Description": {"find-bird_get": "Parameters: {"}},
     "find-bird_get: Parameters: line 1"),
    ({"Instructions": [None, "b"]}, r"instruction 0, turn 1: content is missing"),
])
def test_toolalpaca_errors_name_file_and_item(tmp_path, changes, message):
    folder = write(tmp_path / "eval_real.json", [alpaca_api(**changes)])
    with pytest.raises(InputError, match="eval_real.json: .*" + message):
        read_toolalpaca(folder)


# ---- small files: RoTBench and ToolEyes ----

def schema(name, *parameters):
    return {"name": name, "description": "", "parameters": {
        "type": "object", "properties": {key: {"type": "string"} for key in parameters},
        "required": []}}


ASK, FINISH = schema("ask_to_user", "question"), schema("finish", "answer")


def react(name, arguments):
    return f"Thought: I act.\nAction: {name}\nAction Input: {arguments}"


def rot_item(tools, golds, history=(), begin="\nBegin!\n"):
    return {"id": "Turn 1: same id everywhere", "scenario": "TG", "conversations": [
        {"from": "system", "value": f"Use them.\nTools:\n{json.dumps(tools)}\n\nLet's Begin!"},
        {"from": "user", "value": f"Go [now].{begin}"}, *history,
        {"from": "assistant", "value": golds}]}


def rot_first(tmp_path, *items):
    write(tmp_path / "First_Turn" / "heavy.json", items)
    return read_rotbench(tmp_path, "heavy")


def test_rotbench_first_turn_golds_are_alternatives(tmp_path):
    golds = [react("f", '{"a": "(1, x=\\"y\\")\\nAction Input: 2"}'), react("g", "{}"),
             react("f", "[1]"), "no call"]
    [task] = rot_first(tmp_path, rot_item([schema("f", "a"), schema("g"), ASK, FINISH], golds))
    assert plain(task) == [("f", {"a": '(1, x="y")\nAction Input: 2'}), ("g", {})]
    assert task.unread == ((2, "f"), (3, ""))
    assert task.note == "gold 3 of 4 does not parse; gold 4 of 4 does not parse"
    assert [turn[:2] for turn in task.turns[1:]] == [("user", "Go [now].")]
    shown = [tool["name"] for tool in json.loads(task.turns[0].content)]
    assert shown == ["f", "g", "ask_to_user", "finish"]
    assert (task.id, task.group, task.gold_kind) == ("heavy/0", "TG", "any")


def test_rotbench_special_tools_are_known_by_position_not_by_name(tmp_path):
    """Noise can rename both, and give a real tool the name "finish": its values are compared."""
    noise = [schema("finish", "a"), schema("qst", "question"), schema("end", "answer")]
    doubled = [schema("drivers", "a"), schema("ask_to_user", "q"), schema("drivers", "answer")]
    renamed, shared = rot_first(tmp_path, rot_item(noise, []), rot_item(doubled, []))
    assert (renamed.free_text, renamed.finish) == ({"qst", "end"}, "end")
    assert shared.finish == "drivers"
    assert shared.free_text == {"ask_to_user"}, "a real tool bears the name too"


def test_rotbench_third_turn_shows_calls_feedback_and_the_users_answer(tmp_path):
    history = [{"from": "assistant", "value": react("ask_to_user", '{"question": "Which é?"}')},
               {"from": "user", "value": "The first."},
               {"from": "assistant", "value": react("functions.f", '{"a": "1"}')},
               {"from": "function", "value": '{"error": "no"}'}]
    item = rot_item([schema("f", "a"), ASK, FINISH], [react("finish", '{"answer": "x"}')], history)
    write(tmp_path / "Third_Turn" / "clean.json", [item])
    [task] = read_rotbench(tmp_path, "clean", "third")
    assert [turn[:2] for turn in task.turns[1:]] == [
        ("user", "Go [now]."),
        ("assistant", 'ask_to_user(question="Which é?")'), ("user", "The first."),
        ("assistant", 'functions.f(a="1")'), ("function", '{"error": "no"}')]
    assert task.turns[4][2:] == ("functions.f", {"a": "1"}), "not offered, and kept"
    assert plain(task) == [("finish", {"answer": "x"})]


def test_rotbench_history_without_a_call_is_refused_by_name(tmp_path):
    item = rot_item([ASK, FINISH], [], [{"from": "assistant", "value": "I think so."}])
    with pytest.raises(InputError, match=r"heavy.json: item 0, turn 2: an assistant turn must be"):
        rot_first(tmp_path, item)


@pytest.mark.parametrize(("item", "message"), [
    ({}, "conversations is missing"),
    ({"conversations": []}, "value is missing"),
    ({"conversations": [{"from": "assistant", "value": []}]}, "first message must be the system's"),
    (rot_item("not tools", []), "tools"),
    (rot_item([{}], []), "tool without name"),
    ({**rot_item([ASK, FINISH], []), "scenario": None}, "scenario is missing"),
    (rot_item([ASK, FINISH], [], [{"from": "robot", "value": "x"}]), "unknown role 'robot'"),
    (rot_item([ASK, FINISH], [], ["x"]), "from is missing"),
])
def test_rotbench_errors_name_file_and_item(tmp_path, item, message):
    with pytest.raises(InputError, match="heavy.json: item 1.*" + message):
        rot_first(tmp_path, rot_item([ASK, FINISH], []), item)


def test_rotbench_refuses_an_unknown_level_or_turn(tmp_path):
    with pytest.raises(InputError, match="level noisy: not one of clean, slight"):
        read_rotbench(tmp_path, "noisy")
    with pytest.raises(InputError, match="turn second"):
        read_rotbench(tmp_path, "clean", "second")


def test_tooleyes_same_query_twice_gets_two_ids(tmp_path):
    item = rot_item([schema("f"), ASK, FINISH], [], begin="")
    item = {**item, "conversations": item["conversations"][:2],
            "path": "ToolEyes/Tool_Library/Random/Dice"}
    tasks = read_tooleyes(write(tmp_path / "scenario_data_zero_processed.json", [item, item]))
    assert [task.id for task in tasks] == ["Random/Dice/0", "Random/Dice/1"]
    assert tasks[0].golds == ()
    assert (tasks[0].finish, tasks[0].free_text) == ("finish", {"ask_to_user", "finish"})
    assert tasks[0].turns[1].content == "Go [now]."


# ---- small files: BFCL ----

def bfcl_record(id, **more):
    parameters = {"type": "dict", "required": ["numbers"], "properties": {
        "scale": {"type": "float"}, "numbers": {"type": "array"}}}
    return {"id": id, "question": [[{"role": "user", "content": "Line\u2028separator"}]],
            "function": [{"name": "mean", "description": "", "parameters": parameters}], **more}


GROUND_TRUTH = ["mean([1, 3], scale=1/4)", "mean(numbers=[(2, 'x')])", "mean("]


@pytest.mark.parametrize("within", [True, False])
def test_bfcl_reads_ground_truth_from_the_record_or_beside_it(tmp_path, within):
    """A positional argument takes its name from the signature; arithmetic is folded."""
    for category in CATEGORIES:
        truth = {"ground_truth": GROUND_TRUTH}
        path = tmp_path / f"BFCL_v3_{category}.json"
        write(path, [bfcl_record(f"{category}_{i}", **truth if within else {}) for i in range(2)],
              lines=True)
        if not within:  # in another order: matched by id
            beside = [{"id": f"{category}_1", **truth},
                      {"id": f"{category}_0", "ground_truth": ["mean(numbers=[])"]}]
            write(tmp_path / "possible_answer" / path.name, beside, lines=True)
    tasks = read_bfcl(tmp_path)
    expected = [f"{category}_{i}" for category in CATEGORIES for i in range(2)]
    assert [task.id for task in tasks] == expected
    first, second = tasks[:2]
    assert [name for name, _ in plain(second)] == ["mean", "mean"]
    assert second.golds[0].arguments == {"numbers": [1, 3], "scale": 0.25}
    assert json.loads(json.dumps(second.golds[1].arguments)) == {"numbers": [[2, "x"]]}
    assert second.unread == ((2, ""),) and second.note == "gold 3 of 3 does not parse"
    assert len(first.golds) == (2 if within else 1)
    assert (first.gold_kind, first.group, first.finish) == ("calls", "exec_simple", None)
    assert first.turns[1].content == "Line\u2028separator"


@pytest.mark.parametrize(("record", "message"), [
    (bfcl_record(7, ground_truth=[]), "line 1: id is missing"),
    (bfcl_record("a", ground_truth="f()"), r"line 1 \(a\): ground_truth is missing or not a list"),
    (bfcl_record("a", ground_truth=[], question=[[], []]),
     "line 1: question must hold the messages"),
    (bfcl_record("a", ground_truth=[], function={}), "line 1: function is missing"),
])
def test_bfcl_errors_name_file_and_line(tmp_path, record, message):
    write(tmp_path / "BFCL_v3_exec_simple.json", [record], lines=True)
    with pytest.raises(InputError, match="exec_simple.json: " + message):
        read_bfcl(tmp_path)


def test_bfcl_errors_name_the_line_that_is_no_json_and_the_answer_that_is_missing(tmp_path):
    path = tmp_path / "BFCL_v3_exec_simple.json"
    path.write_text("{}\n{\n")
    with pytest.raises(InputError, match="exec_simple.json: line 2"):
        read_bfcl(tmp_path)
    write(path, [bfcl_record("a")], lines=True)
    with pytest.raises(InputError, match="possible_answer/BFCL_v3_exec_simple.json: no such file"):
        read_bfcl(tmp_path)
    write(tmp_path / "possible_answer" / path.name, [{"id": "b", "ground_truth": []}], lines=True)
    with pytest.raises(InputError, match=r"line 1 \(a\): ground_truth is missing"):
        read_bfcl(tmp_path)


# ---- what no model can know; the way in ----

def test_alternatives_are_knowable_when_one_is_but_parallel_calls_when_all_are(tmp_path):
    good, bad = react("f", '{"a": "1"}'), react("f", '{"b": "1", "c": "2"}')
    tools = [schema("f", "a"), ASK, FINISH]
    both, none, gone, empty = rot_first(tmp_path, rot_item(tools, [bad, good]),
                                        rot_item(tools, [bad, bad]),
                                        rot_item(tools, [react("h", "{}")]), rot_item(tools, []))
    assert unknowable(both) == "" == unknowable(empty)
    assert unknowable(none) == "parameter b, c of f is not in the document"
    assert unknowable(gone) == "tool h is not in the document"
    parallel = both._replace(gold_kind="calls")
    assert unknowable(parallel).endswith("not in the document (1 of 2 calls)")


def test_a_doubled_tool_name_offers_the_parameters_of_both(tmp_path):
    tools = [schema("f", "a"), schema("f", "b"), ASK, FINISH]
    [task] = rot_first(tmp_path, rot_item(tools, [react("f", '{"b": "1"}')]))
    assert [tool.name for tool in task.tools] == ["f", "f", "ask_to_user", "finish"]
    assert unknowable(task) == ""


@pytest.mark.parametrize("name", ["toolalpaca", "rotbench", "bfcl", "tooleyes"])
def test_a_missing_file_says_which_command_gets_it(tmp_path, name):
    with pytest.raises(InputError,
                       match=f"no such file; `python -m evaluation.download {name}` gets it"):
        read_tasks(name, tmp_path)


def test_read_refuses_an_unknown_benchmark_and_files_without_items(tmp_path):
    with pytest.raises(InputError, match="glue: not one of"):
        read_tasks("glue", tmp_path)
    for content in ({}, []):
        with pytest.raises(InputError, match="eval_real.json: must be a JSON list"):
            read_tasks("toolalpaca", write(tmp_path / "eval_real.json", content))


def test_the_command_prints_counts_odd_golds_and_unknowable_items(tmp_path, capsys):
    steps = [[{"Action": "count", "Action_Input": "{"}],
             [{"Action": "other", "Action_Input": "{}"}]]
    folder = write(tmp_path / "eval_real.json", [alpaca_api(Golden_Answers=steps)])
    main(["toolalpaca", "--data", str(folder)])
    assert capsys.readouterr().out.splitlines() == [
        "toolalpaca: 2 items, 1 golds (Birds 2)",
        "  odd golds: 1", "    Birds/0: gold 1 of 1 does not parse",
        "  cannot be known from the prompt: 1", "    Birds/1: tool other is not in the document"]


def places(value, path=()):
    """The path of every value inside a JSON value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


ITEMS = {
    "toolalpaca": ("eval_real.json", alpaca_api()),
    "rotbench": ("First_Turn/clean.json", rot_item([ASK, FINISH], [react("f", "{}")])),
    "tooleyes": ("scenario_data_zero_processed.json",
                 {**rot_item([ASK, FINISH], "x"), "path": "a/b"}),
    "bfcl": ("BFCL_v3_exec_simple.json", bfcl_record("a", ground_truth=GROUND_TRUTH)),
}


@pytest.mark.parametrize("name", ITEMS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_item_is_read_or_refused_by_name_but_never_crashes(tmp_path, name, data):
    file, item = ITEMS[name]
    for category in CATEGORIES[1:]:
        write(tmp_path / f"BFCL_v3_{category}.json", [bfcl_record(category, ground_truth=[])],
              lines=True)
    path = data.draw(st.sampled_from(list(places(item))))
    values = [None, True, 3, "", "x", [], [None], [[]], {}, {"a": None}, "\ud800"]
    new = data.draw(st.sampled_from(values))
    write(tmp_path / file, [replaced(item, path, new)], lines=name == "bfcl")
    try:
        read_tasks(name, tmp_path)
    except InputError as error:
        assert file.rsplit("/", 1)[-1] in str(error)


# ---- the real files ----

def test_toolalpaca_without_authentication_and_under_other_names(tmp_path):
    """eval_simulated.json has no keys, which was an error."""
    api = alpaca_api()
    api.pop("Authentication")
    path = tmp_path / "eval_simulated.json"
    path.write_text(json.dumps([api]))
    for place in (tmp_path, path):
        tasks = read_toolalpaca(place)
        assert len(tasks) == 2 and not any(task.hidden for task in tasks)
    (tmp_path / "eval_real.json").write_text(json.dumps([alpaca_api(Name="Real")]))
    assert read_toolalpaca(tmp_path)[0].group == "Real"
    assert read_toolalpaca(path)[0].group == "Birds"


def test_real_simulated_toolalpaca():
    tasks = read_toolalpaca(real("benchmarks/toolalpaca/eval_simulated.json"))
    assert len(tasks) == 100 and len({task.group for task in tasks}) == 10


def test_real_toolalpaca_counts_and_golds():
    tasks = read_toolalpaca(real("benchmarks/toolalpaca"))
    assert Counter(task.group for task in tasks) == {
        "Nager.Date": 17, "airportsapi": 8, "AviationAPI": 13, "chucknorris.io": 6,
        "Random Useless Facts": 6, "apilayer weatherstack": 10, "Free Dictionary": 7,
        "WolframAlpha": 13, "Fruityvice": 11, "Cataas": 12,
        "CurrencyBeacon": 11}
    by_id = {task.id: task for task in tasks}
    by_group = {task.group: task for task in tasks}
    assert len(by_id) == 114 and sum(len(task.tools) for task in by_group.values()) == 40
    steps = Counter(len(task.golds) + len(task.unread) for task in tasks)
    assert steps == {1: 94, 2: 13, 3: 6, 5: 1}
    assert sum(not gold.arguments for task in tasks for gold in task.golds[:1]) == 17
    assert plain(by_id["Nager.Date/4"]) == [
        ("LongWeekendLongWeekend", {"year": 2024, "countryCode": "US"})]
    assert plain(by_id["AviationAPI/4"]) == [("preferred-routes_get", {})]
    assert by_id["AviationAPI/4"].tools[1].parameters[1][:2] == ("group", "integer")
    keys = by_id["CurrencyBeacon/3"].golds[0].arguments.keys()
    assert keys == {"api_key", "from", "to", "amount"}
    [airport] = by_id["airportsapi/0"].tools
    assert airport[:2] == ("AirportApi_getAirport", "")
    assert airport.parameters[0][:4] == (
        "icao_code", "string", "The ICAO code of the target airport located in Germany.", True)


def test_real_toolalpaca_odd_items():
    by_id = {task.id: task for task in read_toolalpaca(real("benchmarks/toolalpaca"))}
    assert {id: task.unread for id, task in by_id.items() if task.unread} == {
        f"CurrencyBeacon/{i}": ((0, "latest_get"),) for i in (4, 8, 9, 10)}
    without = [id for id, task in by_id.items() if not task.golds]
    assert without == ["CurrencyBeacon/4", "CurrencyBeacon/8"]
    found = {id: unknowable(task) for id, task in by_id.items() if unknowable(task)}
    assert list(found) == [f"AviationAPI/{i}" for i in range(5, 11)]
    assert found["AviationAPI/10"] == "tool weather_metar_get is not in the document (1 of 2 calls)"
    # 34 items of three APIs hold a key; in two of them the only gold does not parse
    assert sum("not in the prompt" in task.note for task in by_id.values()) == 32


def changed(tasks):
    last = [tuple(tool.name for tool in task.tools[-2:]) for task in tasks]
    return sum(names != ("ask_to_user", "finish") for names in last)


def test_real_rotbench_first_turn_counts_positions_and_unknowable_items():
    folder = real("benchmarks/rotbench")
    sets = {level: read_rotbench(folder, level) for level in LEVELS}
    assert {level: len(tasks) for level, tasks in sets.items()} == {
        "clean": 105, "slight": 210, "medium": 210, "heavy": 210, "union": 105}
    groups = Counter(task.group for task in sets["clean"])
    assert groups == dict.fromkeys(("TG", "RS", "DU", "PL", "AM", "IR", "FT"), 15)
    golds = Counter(len(task.golds) for task in sets["clean"])
    assert golds == {1: 79, 2: 10, 3: 11, 5: 1, 7: 3, 8: 1}
    assert {level: changed(tasks) for level, tasks in sets.items()} == {
        "clean": 0, "slight": 65, "medium": 84, "heavy": 103, "union": 57}
    found = {level: list(map(unknowable, tasks)) for level, tasks in sets.items()}
    assert {level: [f"{level}/{i}" for i, reason in enumerate(reasons) if reason]
            for level, reasons in found.items()} == {
        "clean": ["clean/74"], "union": ["union/74"],
        **{level: [f"{level}/74", f"{level}/179"] for level in ("slight", "medium", "heavy")}}
    without = {level: sum(not any(gold.arguments for gold in task.golds) for task in tasks)
               for level, tasks in sets.items()}
    assert without == {"clean": 8, "slight": 16, "medium": 16, "heavy": 10, "union": 8}
    assert not any(task.note for tasks in sets.values() for task in tasks)


def test_real_rotbench_golds_and_prompts():
    folder = real("benchmarks/rotbench")
    clean, heavy = read_rotbench(folder, "clean"), read_rotbench(folder, "heavy")
    assert plain(clean[0]) == [
        ("get_translation_nllb", {"input_text": "See you later", "tgt_lang": "jpn_Jpan",
                                  "src_lang": "eng_Latn", "max_length": "None"}),
        ("get_translation_baidu", {"text": "See you later", "tgt_lang": "jp"})]
    assert clean[1].turns[1].content == (
        "What is the Danish translation for these words: cat, dog, bird and fish?")
    assert not any(turn.content.endswith("Begin!\n") for task in clean + heavy
                   for turn in task.turns)
    assert (heavy[78].finish, heavy[78].free_text) == ("drivers", {"ask_to_user"})
    assert plain(heavy[78]) == [("drivers", {"season": "2019"})]
    assert "return_err_outputpersistent=False" in heavy[165].golds[0].arguments
    users = [task.turns[1].content for task in clean]
    noisy = [task.turns[1].content for task in heavy]
    assert noisy == users + users, "the same order as clean, twice"


def test_real_rotbench_third_turn_roles_and_history():
    folder = real("benchmarks/rotbench")
    sets = {level: read_rotbench(folder, level, "third") for level in LEVELS}
    assert {level: len(tasks) for level, tasks in sets.items()} == {
        "clean": 70, "slight": 140, "medium": 140, "heavy": 140, "union": 70}
    roles = Counter(tuple(turn.role for turn in task.turns[2:]) for task in sets["clean"])
    assert roles == {("assistant", "function", "assistant", "function"): 63,
                     ("assistant", "function", "assistant", "user"): 3,
                     ("assistant", "user", "assistant", "function"): 4}
    assert sum(turn.role == "function" for task in sets["clean"] for turn in task.turns) == 133
    first = sets["clean"][0]
    assert first.turns[2].content == (
        'get_translation_nllb(input_text="See you later", tgt_lang="ja", src_lang="en")')
    assert first.turns[3].content == (
        "get_translation_nllb() missing 1 required positional argument: 'max_length'")
    assert plain(first)[0][1]["max_length"] == "100"
    assert sets["clean"][9].turns[-1][:2] == ("user", "10")
    assert "functions.get_further_contents" in [turn.name for turn in sets["clean"][13].turns]
    assert [task.id for task in sets["clean"] if unknowable(task)] == ["clean/47", "clean/65"]


def test_real_bfcl_counts_golds_and_the_unknowable_item():
    tasks = read_bfcl(real("benchmarks/bfcl_exec"))
    assert Counter(task.group for task in tasks) == {
        "exec_simple": 100, "exec_multiple": 50, "exec_parallel": 50, "exec_parallel_multiple": 40}
    by_id = {task.id: task for task in tasks}
    assert len(by_id) == 240 and sum(len(task.golds) for task in tasks) == 450
    assert sum(len(task.golds) > 1 for task in tasks) == 90
    assert plain(by_id["exec_multiple_0"]) == [
        ("calc_binomial_probability", {"n": 20, "k": 5, "p": 1 / 6})]
    assert plain(by_id["exec_parallel_multiple_18"]) == [
        ("calculate_mean", {"numbers": [1, 3, 4, 6, 8]}),
        ("get_coordinates_from_city", {"city_name": "Cupertino"})]
    golds = by_id["exec_parallel_multiple_11"].golds
    assert any(250000 in gold.arguments.values() for gold in golds)
    assert [(id, unknowable(task)) for id, task in by_id.items() if unknowable(task)] == [
        ("exec_multiple_45", "parameter price of book_room is not in the document")]


def test_real_bfcl_ground_truth_is_the_same_in_both_layouts(tmp_path):
    folder = real("benchmarks/bfcl_exec")
    for category in CATEGORIES:
        name = f"BFCL_v3_{category}.json"
        records = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        bare = [{key: value for key, value in record.items() if key != "ground_truth"}
                for record in records]
        write(tmp_path / name, bare, lines=True)
        (tmp_path / "possible_answer").mkdir(exist_ok=True)
        (tmp_path / "possible_answer" / name).symlink_to(folder / "possible_answer" / name)
    assert read_bfcl(tmp_path) == read_bfcl(folder)


def test_real_tooleyes_counts():
    tasks = read_tooleyes(real("benchmarks/tooleyes"))
    assert Counter(task.group for task in tasks) == {
        "PL": 70, "TG": 58, "RS": 56, "IR": 54, "FT": 50, "DU": 49, "AM": 45}
    assert len({task.id for task in tasks}) == 382
    assert len({task.id.rsplit("/", 1)[0] for task in tasks}) == 95, "sub-categories"
    last = {(task.tools[-2].name, task.tools[-1].name) for task in tasks}
    assert last == {("ask_to_user", "finish")}
    assert not any(task.golds for task in tasks)
    assert tasks[0].turns[1].content == (
        "I'm in need of assistance in generating a random string with a length of 8,"
        "please give me one.")
