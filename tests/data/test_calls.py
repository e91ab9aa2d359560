"""parse_call against Python's and JSON's own readers, real files, and what others get wrong."""

import ast
import json
import math
import operator
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tools import write_call
from reward import Call, ParseError, parse_call, same_value
from tests.conftest import real, real_conversations


def tool(name, *parameters):
    """The schema of a tool."""
    schema = {"name": name, "parameters": {"properties": dict.fromkeys(parameters, {})}}
    return {"type": "function", "function": schema}


FOO = [tool("foo", "a", "b", "c"), tool("bar", "a"), tool("ping"), tool("ask_to_user", "question")]


def arguments(text, tools=(), strict=False):
    return parse_call(text, tools, strict).arguments


def value(text):
    """The value in `f(x=...)`, which must be read the same strictly and leniently."""
    found = arguments(f"f(x={text})", strict=True)
    assert list(found) == ["x"]
    assert found == arguments(f"f(x={text})", strict=False)
    return found["x"]


def rejects(text, message=None, tools=(), modes=(True, False)):
    for strict in modes:
        with pytest.raises(ParseError, match=message):
            parse_call(text, tools, strict)


# Names and the text around a call

@pytest.mark.parametrize("text", [
    'foo(a="1", b="x")', " foo( b = 'x' , a = '1' ) </s>", 'foo (a="1",b="x")',
    'foo(a="1",\n    b="x",\n)\n', '\n\tfoo(a="1", b="x")</s>\n'])
def test_spelling_of_a_call_does_not_matter(text):
    expected = {"a": "1", "b": "x"}
    assert arguments(text, FOO, strict=True) == arguments(text, FOO) == arguments(text) == expected


@pytest.mark.parametrize("text", [
    'Assistant: foo(a="1", b="x")', 'Assistant:foo(a="1", b="x")',
    '  Assistant:\nfoo(a="1", b="x")',
    '```python\nfoo(a="1", b="x")\n```', '```\nfoo(a="1", b="x")\n```', '`foo(a="1", b="x")`',
    'foo(a="1", b="x");', 'foo(a="1", b="x")\nbar(a="2")', 'foo(a="1", b="x")\nOutput: ..',
    'foo(a="1", b="x") )"',
    'Sure, I will (gladly) do that:\n\n  foo(a="1", b="x")', 'foo(a="1", b="x"), bar(a="2")'])
def test_only_the_lenient_reader_looks_past_text_around_the_first_call(text):
    assert parse_call(text, FOO)[:2] == ("foo", {"a": "1", "b": "x"})
    rejects(text, modes=[True])


@pytest.mark.parametrize("text", [
    "", "   ", "I cannot do (that)", "foo", 'foo(a="1", b="x"', 'foo(a="1"', 'foo(a="1', "foo(",
    "(a=1)", "Sure: foo()", '"foo"(a=1)', "</s>", ")", "foo\n(a=1)", "[foo(a=1)]"])
def test_what_is_no_call_is_a_parse_error(text):
    rejects(text, tools=FOO)
    rejects(text)


@pytest.mark.parametrize("text, name, expected", [
    ('convert_get(api_key="k", from="EUR", to="USD", amount=500)', "convert_get",
     {"api_key": "k", "from": "EUR", "to": "USD", "amount": 500}),
    ("preferred-routes_get()", "preferred-routes_get", {}),
    ('execute_pycode(code:="print(1)")', "execute_pycode", {"code:": "print(1)"}),
    ("2v_x(q='a')", "2v_x", {"q": "a"}),
    ('execute_bash_code(return_err_outputpersistent=False="cd /x")', "execute_bash_code",
     {"return_err_outputpersistent=False": "cd /x"}),
    ('odd name? (yes(a b=1, x)="2", class="c", é=[3])', "odd name? (yes",
     {"a b": 1, "x)": "2", "class": "c", "é": [3]})])
def test_odd_names_of_tools_and_parameters_are_matched_before_splitting(text, name, expected):
    offered = [tool("odd"), tool("2v"), tool("execute_bash_code"[:7]),
               tool(name, "code", "return_err", *expected)]
    for strict in (True, False):
        call = parse_call("  " + text, offered, strict)
        assert call == Call(name, expected, (2, 2 + len(name)))


@pytest.mark.parametrize("name", ["preferred-routes_get", "2v_x", "a.b", "été"])
def test_names_with_hyphens_dots_and_digits_are_read_without_their_tools(name):
    call = parse_call(f'{name}(from="EUR", code:="x")', strict=True)
    assert call[:2] == (name, {"from": "EUR", "code:": "x"})


def test_the_longest_offered_name_that_a_bracket_follows_is_taken():
    offered = [tool("get", "a"), tool("get_news", "a_b", "a"), tool("get news")]
    assert parse_call("get_news(a_b=1, a=2)", offered).name == "get_news"
    assert parse_call("get(a=2)", offered).name == "get"
    assert parse_call("get news()", offered).name == "get news"
    assert parse_call("get_newsletter()", offered).name == "get_newsletter"


def test_the_span_is_that_of_the_name_in_the_text():
    text = "Sure.\nAssistant:  get_news (a=1)"
    start, end = parse_call(text, [tool("get_news", "a")]).name_span
    assert text[start:end] == "get_news" and start == 18


def test_schemas_may_be_bare_or_wrapped_and_of_doubled_tools_the_first_counts():
    bare = {"name": "f", "parameters": {"properties": {"x": {}, "y": {}}, "required": ["y"]}}
    assert arguments("f(1, 2)", [bare, tool("f", "z")]) == {"y": 1, "x": 2}
    assert arguments("f(1)", [tool("f", "z"), bare]) == {"z": 1}


# Arguments

def test_positional_arguments_take_the_names_of_the_signature():
    assert arguments('foo("1", c=3, b=2)', FOO, strict=True) == {"a": "1", "c": 3, "b": 2}
    rejects("foo(1, 2, 3, 4)", "name=value", FOO)
    rejects("foo(a=1, 2)", "name=value", FOO)
    rejects("search('love', 3)", "name=value", FOO)
    rejects("foo(1, a=2)", "doubled keyword a", FOO)


def test_errors_that_must_not_be_read_as_something_else_have_messages_of_their_own():
    rejects('foo(a="1", a="2", b="x")', "doubled keyword a", FOO)
    rejects("f(x=1/0)", "division by zero")
    rejects("f(x=0**-1)", "division by zero")
    rejects("f(**{})", "unpacking")
    rejects("f(a=1, *[1])", "unpacking")
    for number in ("1e999", "-1e999", "9**9**9", "9" * 400, "9" * 5000, "10**308*10", "1e308*10",
                   "(-8)**0.5", "2.0**9999", "(" + "9" * 300 + ")**9"):
        rejects(f"f(x={number})", "absurd number")


@pytest.mark.parametrize("text", [
    "f(,)", "f(a=1,,b=2)", "f(a=1 b=2)", "f(a=)", "f(a==1)", "f(=1)", "f('a'=1)",
    "f(a=[1 2])", "f(a=[,])", "f(a=(,))", "f(a=[1)", "f(a=(1])",
    "f(a={1: 2})", "f(a={'x'})", "f(a={'x' 1})", "f(a={a: 1})", "f(a={'x': 1]})", "f(a={**{}})",
    "f(a='it's')", "f(a='x' 'y')", 'f(a="x""y")', "f(a=r'x')", "f(a=f'{x}')", "f(a=b'x')",
    "f(a='x\\')", "f(a='''x')", "f(a=#\n1)",
    "f(a=not True)", "f(a=1+True)", "f(a=-'x')", "f(a='x'*3)", "f(a=3*'x')", "f(a=3*[1])",
    "f(a=0x10)", "f(a=1__0)", "f(a=1e)", "f(a=1j)", "f(a=1a)", "f(a=--)",
    "f(a=1/)", "f(a=2*)", "f(a=5//2)", "f(a=5%2)",
    "f(a=nan)", "f(a=NaN)", "f(a=Infinity)", "f(a=-inf)",
    "f(a=lambda x: x)", "f(a=x.y z)", "f(a=1 if x else 2)",
    "f(a='\\ud83d')", "f(a='\\ude00\\ud83d')", "f(a='\\u12')", "f(a='\\x4')",
    "f(a='\\N{DASH}')", "f(a='\\U00110000')", "f(a='\\Uffffffff')"])
def test_malformed_arguments_are_parse_errors(text):
    rejects(text)


@pytest.mark.parametrize("text, expected", [
    ("true", True), ("True", True), ("false", False), ("null", None), ("None", None),
    ("+3", 3), ("-5", -5), ("--5", 5), ("-0.0", 0.0), ("1_000", 1000), ("01", 1), ("007", 7),
    ("1e5", 1e5), (".5", 0.5), ("5.", 5.0), ("1E-3", 0.001),
    ("1/6", 1 / 6), ("500*500", 250000), ("2**10", 1024), ("0**0", 1), ("1.5**2", 2.25),
    ("-2**2", -4), ("2**-1", 0.5), ("2**3**2", 512), ("1-2-3", -4), ("8/2/2", 2.0),
    ("1+2*3", 7), ("(1+2)*3", 9), ("[1+1, -(2)]", [2, -2]),
    ("()", []), ("(1,)", [1]), ("(1)", 1), ("((1, 2), 3)", [[1, 2], 3]),
    ("[1, 2,]", [1, 2]), ("([1],)", [[1]]), ("([1])", [1]),
    ("{}", {}), ('{"a": {\'b\': [null, true]},}', {"a": {"b": [None, True]}}),
    ('{"a": 1, "a": 2}', {"a": 2})])
def test_values_are_literals_of_json_or_python(text, expected):
    assert value(text) == expected and type(value(text)) is type(expected)


@pytest.mark.parametrize("text, expected", [
    (r'"\u00e9"', "é"), (r'"\ud83d\ude00"', "😀"), (r'"\uD83D\uDE00!"', "😀!"),
    (r"'\U0001F600'", "😀"), (r"'\x41\101\0'", "AA\0"), (r'"\\u00e9"', r"\u00e9"),
    (r'"\/"', "/"), (r'"\b\f\n\r\t\"\\"', '\b\f\n\r\t"\\'), ("'\\\\'", "\\"),
    (r"'\d+\.'", r"\d+\."), (r"'it\'s'", "it's"), ('"it\'s"', "it's"), ("'''it's'''", "it's"),
    ("'line\nbreak'", "line\nbreak"), ("'goes \\\non'", "goes on"),
    ('"""a "quoted"\nword"""', 'a "quoted"\nword'), ('""', ""), ("''", ""), ('""""""', ""),
    ("')(,=[{'", ")(,=[{"), ("'\ufeffx'", "\ufeffx")])
def test_strings_in_both_quotes_and_both_kinds_of_escapes(text, expected):
    assert value(text) == expected


def test_the_lenient_reader_takes_curly_quotes_and_unquoted_words_and_calls():
    """A nested call was unparsable; its tool and parameters are right, only the content is not."""
    text = 'foo(a=bar(x=[1], "y"), b=hello, c=“it\'s”)'
    assert arguments(text, FOO) == {
        "a": {"unquoted": 'bar(x=[1], "y")'}, "b": {"unquoted": "hello"}, "c": "it's"}
    for part in ("a=bar(x=1)", "a=hello", "a=“x”", "a=‘x’"):
        rejects(f"foo({part})", tools=FOO, modes=[True])


# Bounds

@pytest.mark.parametrize("unit", ["[", "(", "{", '{"a":', "-", "2**", "f(", "[[1],", "(1,"])
def test_deep_nesting_is_a_parse_error_not_a_recursion_error(unit):
    for start in ("", "f(a=", "f("):
        rejects(start + unit * 100_000)
        rejects((start + unit * 100_000)[:100_000])


def test_bounds_leave_room_for_real_calls():
    nested = "[" * 60 + "]" * 60
    assert value(nested) == json.loads(nested)
    rejects(f"f(a={'[' * 70 + ']' * 70})", "too deeply")
    assert value("+".join("1" * 60)) == 60
    rejects(f"f(a={'+'.join('1' * 5000)})", "too much arithmetic")
    assert len(value(json.dumps("x" * 150_000))) == 150_000
    rejects(f"f(a={json.dumps('x' * 250_000)})", "longer")


@settings(max_examples=300)
@given(st.text(st.sampled_from("f(a=[{'\":,\\)]}1.e-+*/ \n</s>tru`“”\ud83d")) | st.text(),
       st.booleans())
def test_nothing_but_a_call_or_a_parse_error_comes_out(text, strict):
    for prefix in ("", "foo(", "foo(a="):
        try:
            call = parse_call(prefix + text, FOO, strict)
        except ParseError:
            continue
        start, end = call.name_span
        assert (prefix + text)[start:end] == call.name
        json.dumps(call.arguments, allow_nan=False)


# Independent readers

HARD = st.text() | st.text(st.sampled_from("()[]{},=:'\"\\\n\r\t/ué😀\u2028#`<s>"))
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
LEAF = HARD | st.none() | st.booleans() | st.integers() | FLOAT
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HARD, inner, max_size=3),
    max_leaves=8)
ODD = st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters=")="), min_size=1)
IDENTIFIER = st.from_regex(r"[^\W\d]\w{0,9}", fullmatch=True)


def nested(depth, leaf):
    """`leaf` in lists and objects, `depth` of each in one another."""
    return leaf if depth == 0 else nested(depth - 1, [leaf, {"k)": leaf}])


@given(IDENTIFIER, st.dictionaries(IDENTIFIER, JSON, max_size=4), st.booleans())
def test_round_trip_of_any_call_without_its_tool(name, given_arguments, strict):
    text = write_call(name, given_arguments)
    call = parse_call(text, (), strict)
    assert call == Call(name, given_arguments, (0, len(name)))
    assert list(call.arguments) == list(given_arguments)
    assert same_value(call.arguments, given_arguments)


@given(st.dictionaries(IDENTIFIER | ODD, LEAF, max_size=4), LEAF, st.booleans(), st.randoms())
def test_round_trip_with_odd_parameter_names_and_nesting_of_five(some_arguments, leaf, strict, rng):
    names = [*some_arguments, "code:", "return_err_outputpersistent=False", "from"]
    given_arguments = {**some_arguments, "from": nested(5, leaf)}
    offered = [tool("ping"), tool("2v-x.get", *rng.sample(names, len(names)))]
    call = parse_call(" " + write_call("2v-x.get", given_arguments) + "</s>", offered, strict)
    assert call[:2] == ("2v-x.get", given_arguments)


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv, ast.Pow: operator.pow}


def python_value(node):
    """Python's value of a node: literals by literal_eval, arithmetic folded, tuples as lists."""
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](python_value(node.left), python_value(node.right))
    if isinstance(node, ast.UnaryOp):
        operand = python_value(node.operand)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, (ast.List, ast.Tuple)):
        return [python_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {python_value(k): python_value(v)
                for k, v in zip(node.keys, node.values, strict=True)}
    return ast.literal_eval(node)


def random_value(rng, depth=3):
    """The text of a random value, with up to `depth` lists, tuples and objects in one another."""
    kind = rng.randrange(9 if depth else 6)
    if kind >= 6:
        items = [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
        pairs = [f"{random_string(rng)} : {item}" for item in items]
        a_list = "[" + ", ".join(items) + " ]"
        a_tuple = "(" + "".join(f"{item} ," for item in items) + ")"
        an_object = "{" + ",".join(pairs) + "}"
        return (a_list, a_tuple, an_object)[kind - 6]
    number = rng.choice(("7", "-3", "0.25", "1e3", "12_000", ".5", "5.", "(2)", "-(1)", "+4",
                         "2**3", "-2**2", "3**-1"))
    signs = rng.choices(("+", " - ", "*", "/ "), k=rng.randrange(4))
    arithmetic = number
    for sign in signs:
        arithmetic += sign + rng.choice(("2", " 0.5", "(3-1)", "-9"))
    return (random_string(rng), rng.choice(("True", "False", "None")),
            repr(rng.randrange(-10**9, 10**18)), repr(rng.uniform(-1e9, 1e9)),
            number, arithmetic)[kind]


def random_string(rng):
    """The text of a random string: as Python, JSON or triple quotes write it."""
    text = "".join(rng.choices("ab é'\"\\(),=[]{}:\t#", k=rng.randrange(9)))
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return rng.choice((repr(text), json.dumps(text), f"'''{escaped}'''", repr(text + "😀")))


def test_agreement_with_python_on_ten_thousand_random_keyword_calls():
    rng = random.Random(0)
    for _ in range(10_000):
        keys = rng.sample(["a", "b", "query", "n_1", "é", "True_", "f"], rng.randrange(5))
        pairs = [f"{key}{rng.choice(('=', ' = '))}{random_value(rng)}" for key in keys]
        text = f"tool.name({', '.join(pairs)})"
        node = ast.parse(text, mode="eval").body
        expected = {keyword.arg: python_value(keyword.value) for keyword in node.keywords}
        assert arguments(text, strict=True) == expected, text


# Real files

def test_every_recorded_call_is_read_back_strictly():
    """8,407 calls of trajectories; the name and arguments of each were stored beside its text."""
    calls = 0
    for conversation in real_conversations():
        for turn in conversation.turns:
            if turn.role == "assistant":
                call = parse_call(f" {turn.content}</s>", conversation.tools, strict=True)
                assert call[:2] == (turn.name, turn.arguments)
                calls += 1
    assert calls == 8407


def call_as_python_reads_it(gold, functions):
    """(name, arguments, node) of the text of a call; the schema names positional arguments."""
    node = ast.parse(gold, mode="eval").body
    name = ast.unparse(node.func)
    schema = next(schema for schema in functions if schema["name"] == name)
    positional = list(schema["parameters"]["properties"])[:len(node.args)]
    arguments = {}
    for parameter, part in zip(positional, node.args, strict=True):
        arguments[parameter] = python_value(part)
    for keyword in node.keywords:
        arguments[keyword.arg] = python_value(keyword.value)
    return name, arguments, node


def test_the_450_executable_golds_of_bfcl_are_read_as_python_reads_them():
    items = []
    for name in ("simple", "multiple", "parallel", "parallel_multiple"):
        path = real(f"benchmarks/bfcl_exec/BFCL_v3_exec_{name}.json")
        items += [json.loads(line) for line in path.read_text().splitlines()]
    golds = arithmetic = positional = 0
    for item in items:
        for gold in item["ground_truth"]:
            name, expected, node = call_as_python_reads_it(gold, item["function"])
            call = parse_call(gold, item["function"], strict=True)
            assert call[:2] == (name, expected), gold
            golds += 1
            positional += bool(node.args)
            arithmetic += any(isinstance(part, ast.BinOp) for part in ast.walk(node))
    assert (golds, arithmetic, positional) == (450, 2, 1)


def test_the_bfcl_oddities_on_a_small_fixture():
    mean = [tool("calculate_mean", "numbers")]
    by_position = arguments("calculate_mean([1,3,4])", mean)
    assert by_position == arguments("calculate_mean(numbers=[1,3,4])", mean)
    assert math.isclose(arguments("f(p=1/6)")["p"], 0.16666666666666666, rel_tol=0)
    assert arguments("f(amount=500*500)") == {"amount": 250000}
    assert arguments("f(function='lambda x: 3*x**2 + 2*x - 1')") == {
        "function": "lambda x: 3*x**2 + 2*x - 1"}
