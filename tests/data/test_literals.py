"""JSON and Python's literals: read as ast and json read them, cut off anywhere, or not at all."""

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.literals import parse_literal, parse_object

SCALARS = st.none() | st.booleans() | st.integers() | st.text("ab(),= :'\"[]{}", max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)
                      | st.dictionaries(st.text("ab(=", max_size=3), inner, max_size=3))


@given(st.lists(VALUES, max_size=4) | st.dictionaries(st.text("ab(="), VALUES, max_size=4))
def test_json_and_reprs_are_read_as_json_and_ast_read_them(value):
    assert parse_literal(json.dumps(value)) == value
    text = repr(value)
    if "\\" not in text:  # escapes of Python's strings are kept as they are written
        assert parse_literal(text) == ast.literal_eval(text) == value


@pytest.mark.parametrize("text, value", [
    ('{"a": [1, 2', {"a": [1]}), ("{'a': 'half of", {"a": "half of"}),
    ("{'a': D('1, (2)'), 'b': 1}", {"a": "D('1, (2)')", "b": 1}),
    ("{'a': A(b=1, c=B(d=[2])), 'e': 3}", {"a": {"b": 1, "c": {"d": [2]}}, "e": 3}),
    ("[A(b='x'), A(b='y", [{"b": "x"}, {"b": "y"}]),
    ("[A(b=1), A(b=2", [{"b": 1}]),
    ("A(b=1)", None), ("b=1", None), ("see [1]", None), ("[see] a(b) c", None), ("", None),
])
def test_literals_and_what_is_none(text, value):
    assert parse_literal(text) == value


@pytest.mark.parametrize("text, value", [
    ("A(b=1, c='d=e')", {"b": 1, "c": "d=e"}), ("b=1 c='d e' f=[G(h=True)]",
                                                {"b": 1, "c": "d e", "f": [{"h": True}]}),
    ("A(b=<X: 1>)", None), ("A(1)", None), ("A(b=1) and more", None), ("b = 1", None), ("x", None),
    ("", None),
])
def test_objects_and_what_is_none(text, value):
    assert parse_object(text) == value
