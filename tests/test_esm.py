"""ESM: worked values, a second implementation from the table, and properties (TTPA.md, 2 and 5)."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import reward as module
from data.tools import write_call
from reward import (
    ESM_EXAMPLES,
    EXAMPLE_GOLD,
    EXAMPLE_TOOLS,
    MENDED,
    RELEASED,
    EsmRule,
    ParseError,
    esm,
    parse_call,
)

UNION = EsmRule(over="union")

# ----------------------------------------------------------------------------------- worked values

WORKED = {  # three arguments, all required: ours, and the released code's
    "correct": (1.000, 1.000),
    "a value of another case": (0.970, 0.970),
    "a longer text": (0.970, 0.970),
    "a redundant parameter": (0.955, 0.955),
    "a wrong value": (0.939, 0.939),
    "a hallucinated parameter": (0.886, 0.886),
    "a value of the wrong type": (0.879, 0.879),
    "all values wrong": (0.818, 0.818),
    "a missing parameter": (0.758, 0.848),
    "a boolean for a number": (0.879, 0.939),
    "wrong tool": (0.727, 0.727),
    "wrong tool, all values wrong": (0.545, 0.545),
    "no parameters": (0.0, 0.0),
    "no such tool": (0.0, None),
    "no call": (0.0, None),
}


@pytest.mark.parametrize("what", WORKED)
def test_worked_values(what):
    ours, released = WORKED[what]
    prediction = ESM_EXAMPLES[what]
    assert round(esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS).score, 3) == ours
    if released is None:
        with pytest.raises(ParseError):
            esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS, RELEASED)
    else:
        found = esm(prediction, EXAMPLE_GOLD, EXAMPLE_TOOLS, RELEASED).score
        assert round(found, 3) == released


def tool(name, required, **types):
    """A schema; types: parameter="type", a list of types, or None for none."""
    properties = {key: {} if kind is None else {"type": kind} for key, kind in types.items()}
    return {"name": name, "parameters": {"properties": properties, "required": required}}


def test_one_more_valid_key_raises_a_wrong_call_over_the_threshold_unless_keys_are_united():
    tools = [tool("f", ["a", "c"], a="string", b="string", c="string", extra="string")]
    gold = 'f(a="x", b="y", c="z")'
    few = 'f(a="no", c="z")'
    more = 'f(a="no", c="z", extra="e")'
    assert round(esm(few, gold, tools).score, 3) == 0.788
    assert round(esm(more, gold, tools).score, 3) == 0.879
    gain = esm(more, gold, tools, UNION).score - esm(few, gold, tools, UNION).score
    assert round(gain, 3) == 0.008


@pytest.mark.parametrize("kind, fits, does_not", [
    ("string", ['"x"'], ["1", "true", "null", "[]"]),
    ("integer", ["3"], ["1.0", "true", '"3"', "null"]),
    ("number", ["3", "1.5"], ["true", '"3"']),
    ("float", ["3", "1.5"], ["true", '"3"']),
    ("boolean", ["true"], ["1", '"true"']),
    ("array", ["[1]", "(1, 2)"], ["{}", '"[1]"']),
    ("tuple", ["[1]", "(1, 2)"], ["1"]),
    ("object", ["{}"], ["[]"]),
    ("dict", ["{}"], ["[]"]),
    ("null", ["null"], ["0", '""']),
    (["string", "null"], ['"x"', "null"], ["1"]),
    (["integer", "matrix"], ["1", "[]"], []),  # an unknown type takes any value
    ("matrix", ["1", '"x"', "null"], []),
    ("[matrix", ["1", '"x"'], []),
    (None, ["1", '"x"', "null"], [])])
def test_types(kind, fits, does_not):
    tools = [tool("f", [], a=kind)]
    for value in fits:
        assert esm(f"f(a={value})", "f(a=1)", tools).type == 1, value
    for value in does_not:
        assert esm(f"f(a={value})", "f(a=1)", tools).type == 0, value


def test_empty_arguments():
    tools = [tool("f", [], a="string"), tool("g", [])]
    assert esm("f()", "f()", tools) == (1, 1, 1, 1, 1, 1)
    assert esm("f()", 'f(a="x")', tools) == (1, 0, 0, 0, 0, 0)
    assert esm("g()", "f()", tools) == (0, 0, 0, 0, 0, 0)
    assert esm('f(a="x")', "f()", tools).score == pytest.approx((3 + 3 + 1 + 2 + 0) / 11)


def test_by_name_only_the_tool_counts():
    tools = [tool("finish", ["answer"], answer="string"), tool("f", [])]
    gold = 'finish(answer="all done")'
    assert esm('finish(answer="else")', gold, tools, name_only=True) == module.PERFECT
    assert esm("finish()", gold, tools, name_only=True) == module.PERFECT
    assert esm("f()", gold, tools, name_only=True) == module.NO_CALL
    assert esm("no call", gold, tools, name_only=True) == module.NO_CALL


def test_a_gold_that_cannot_be_parsed_is_the_callers_error():
    with pytest.raises(ValueError, match="gold call"):
        esm("book()", "book(", EXAMPLE_TOOLS)


# ------------------------------------------------------------------ the table, over again, slowly

SLOW_TYPES = {"string": "str", "integer": "int", "number": "int float", "float": "int float",
              "boolean": "bool", "array": "list tuple", "tuple": "list tuple", "object": "dict",
              "dict": "dict", "null": "NoneType"}


def slow_esm(prediction, gold, schemas, compat=False, jaccard=False):
    """The score from the table's text: shares are counted in one loop over all keys.

    prediction, gold: (name, arguments), or None for no call.
    """
    schema = None
    for candidate in reversed(schemas):
        if prediction is not None and candidate["name"] == prediction[0]:
            schema = candidate["parameters"]
    if schema is None:
        return None if compat else [0.0] * 6
    name, arguments = prediction
    wanted = gold[1]
    if arguments == {}:
        score = 1.0 if name == gold[0] and wanted == {} else 0.0
        return [float(name == gold[0]), score, score, score, score, score]
    n_required = 0
    for key in schema["required"]:
        if key in (wanted if compat else arguments):
            n_required += 1
    required = n_required / len(schema["required"]) if schema["required"] else 1.0
    n_known = 0
    n_typed = 0
    likeness = 0.0
    keys = list(dict.fromkeys(list(arguments) + list(wanted)))
    for key in keys:
        if key in arguments and key in schema["properties"]:
            n_known += 1
            n_typed += slow_type(arguments[key], schema["properties"][key].get("type"), compat)
        if key in arguments and key in wanted:
            likeness += slow_likeness(arguments[key], wanted[key])
    total = len(keys) if jaccard else max(len(arguments), len(wanted))
    parts = [float(name == gold[0]), required, n_known / total, n_typed / total, likeness / total]
    weights = [3, 3, 1, 2, 2]
    return [*parts, sum(w * part for w, part in zip(weights, parts, strict=True)) / 11]


def slow_type(value, kind, compat):
    kinds = kind if isinstance(kind, list) else [kind]
    for one in kinds:
        names = SLOW_TYPES.get(one)
        if names is None or type(value).__name__ in names.split():
            return True
        if compat and type(value) is bool and "int" in names.split():
            return True
    return False


def slow_likeness(a, b):
    if type(a) is bool or type(b) is bool or a is None or b is None:
        return 1.0 if type(a) is type(b) and a == b else 0.0
    if isinstance(a, str) and isinstance(b, str):
        if a == b:
            return 1.0
        return 0.5 * (a.lower() == b.lower()) + 0.5 * (a.find(b) >= 0 or b.find(a) >= 0)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return 0.0
        return float(all(slow_likeness(x, y) == 1.0 for x, y in zip(a, b, strict=True)))
    return 1.0 if not isinstance(a, (str, list)) and not isinstance(b, (str, list)) and a == b \
        else 0.0


KINDS = ["string", "integer", "number", "boolean", "array", "null", "odd", None,
         ["string", "null"], ["integer", "odd"]]
VALUES = ["Oslo", "oslo", "Oslo, Norway", "", "ü", 1, 1.0, 2.5, True, False, None, [], ["a"], [1]]


def random_schemas(rng):
    """One to three tools with up to five parameters, of which some are required."""
    schemas = []
    for name in rng.sample(["f", "g", "h", "f"], rng.randint(1, 3)):
        properties = {}
        for key in rng.sample("abcdef", rng.randint(0, 5)):
            kind = rng.choice(KINDS)
            properties[key] = {} if kind is None else {"type": kind}
        required = [key for key in properties if rng.random() < 0.5]
        schemas.append({"name": name, "parameters": {
            "properties": properties, "required": required}})
    return schemas


def random_call(rng):
    """(name, arguments), or None."""
    if rng.random() < 0.03:
        return None
    keys = rng.sample("abcdefx", rng.choice([0, 1, 2, 3, 4]))
    return rng.choice("ffgh"), {key: rng.choice(VALUES) for key in keys}


def differences(count, seed):
    """How many of `count` random calls the two implementations score differently, by any rule."""
    rng = random.Random(seed)
    rules = [(MENDED, {}), (RELEASED, {"compat": True}), (UNION, {"jaccard": True})]
    found = 0
    for _ in range(count):
        schemas = random_schemas(rng)
        gold = random_call(rng) or ("f", {})
        prediction = random_call(rng)
        if prediction and rng.random() < 0.5:  # near the gold
            prediction = gold[0], {**gold[1], **dict(list(prediction[1].items())[:1])}
        text = write_call(*prediction) if prediction else "no call"
        for rule, options in rules:
            expected = slow_esm(prediction, gold, schemas, **options)
            try:
                ours = list(esm(text, write_call(*gold), schemas, rule))
            except ParseError:
                ours = None
            found += ours != pytest.approx(expected, abs=1e-12)
    return found


def test_random_calls_score_as_the_table_says():
    assert differences(2000, seed=0) == 0


# -------------------------------------------------------------------------------------- properties

TOOLS = [tool("f", ["a", "b"], a="string", b="integer", c="boolean", d=["string", "null"]),
         tool("same", ["a", "b"], a="string", b="integer", c="boolean", d=["string", "null"]),
         tool("g", ["a"], a="integer", e="string"),
         tool("none", [])]
VALUE = st.text(max_size=3) | st.integers(0, 3) | st.booleans() | st.none()
ARGUMENTS = st.dictionaries(st.sampled_from("abcdex"), VALUE, max_size=5)
CALL = st.tuples(st.sampled_from(["f", "same", "g", "none", "unknown"]), ARGUMENTS)
GOLD = st.fixed_dictionaries(  # fits the schema of f and of same
    {"a": st.text(max_size=3), "b": st.integers(0, 3)},
    optional={"c": st.booleans(), "d": st.none() | st.text(max_size=3)})
RULE = st.sampled_from([MENDED, UNION])


def score(name, arguments, gold, rule=MENDED):
    return esm(write_call(name, arguments), write_call("f", gold), TOOLS, rule).score


@given(st.text() | CALL.map(lambda call: write_call(*call)), CALL, RULE)
@settings(max_examples=200)
def test_it_is_total_and_all_parts_are_shares(prediction, gold, rule):
    found = esm(prediction, write_call(*gold), TOOLS, rule)
    assert all(0 <= part <= 1 for part in found)


@given(GOLD, RULE)
@settings(max_examples=50)
def test_a_gold_that_fits_its_schema_scores_one_in_any_order(gold, rule):
    assert score("f", gold, gold, rule) == 1
    assert score("f", dict(reversed(gold.items())), gold, rule) == 1


@given(CALL, GOLD, RULE)
@settings(max_examples=100)
def test_a_wrong_tool_stays_under_the_threshold(call, gold, rule):
    assume(call[0] != "f")
    assert score(*call, gold, rule) < 0.8


@given(st.sampled_from(["f", "same"]), ARGUMENTS, GOLD, RULE, st.data())
@settings(max_examples=200)
def test_a_gold_value_or_a_missing_gold_key_never_lowers_it(name, arguments, gold, rule, data):
    """The predicted tool stays, and the gold fits its schema."""
    key = data.draw(st.sampled_from(sorted(gold)))
    better = {**arguments, key: gold[key]}
    assert score(name, better, gold, rule) >= score(name, arguments, gold, rule) - 1e-12


@given(ARGUMENTS, GOLD, RULE)
@settings(max_examples=100)
def test_the_right_name_never_lowers_it_for_tools_of_one_schema(arguments, gold, rule):
    assert score("f", arguments, gold, rule) >= score("same", arguments, gold, rule)


@given(st.sampled_from(["f", "same", "g"]), ARGUMENTS, GOLD)
@settings(max_examples=200)
def test_over_the_union_dropping_a_hallucinated_key_never_lowers_it(name, arguments, gold):
    arguments = {**arguments, "x": 1}
    assume(len(arguments) > 1)
    fewer = {key: value for key, value in arguments.items() if key != "x"}
    assert score(name, fewer, gold, UNION) >= score(name, arguments, gold, UNION) - 1e-12


def test_calls_are_read_as_the_reward_reads_them():
    call = parse_call(EXAMPLE_GOLD, EXAMPLE_TOOLS)
    assert esm(call, EXAMPLE_GOLD, EXAMPLE_TOOLS).score == 1
    assert esm(EXAMPLE_GOLD + " and more", EXAMPLE_GOLD, EXAMPLE_TOOLS) == module.NO_CALL
