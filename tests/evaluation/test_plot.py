"""The pictures: valid XML whose marks stand where the axis says that their values are."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.plot import choose_ticks, lines, rows, stack

SVG = "{http://www.w3.org/2000/svg}"
SERIES = {"ours": [(80.0, 75.0, 84.0), (60.0, 55.0, 66.0), (31.0, 28.0, 34.0)],
          "paper <&>": [(90.0, 90.0, 90.0), None, (40.0, 38.0, 45.0)]}
LABELS = ["Clean", "Slight", "Union"]
EFFECTS = {"all three": {"seed spread": (0.0, -1.0, 1.0), "items": (0.0, -2.0, 2.5)},
           "no masking": {"items": (-4.0, -6.0, -1.5)}}


def marks_of(picture):
    """{words of the mark: (x, y)} without the legend's, whose words hold no number."""
    found = {}
    for path in ElementTree.fromstring(picture).iter(f"{SVG}path"):
        x, y = path.get("transform")[len("translate("):-1].split(",")
        words = path.find(f"{SVG}title").text
        if ": " in words:
            found[words] = (float(x), float(y))
    return found


def axis_of(picture, coordinate, kind):
    """The function from a position to a value that the axis' own ticks define."""
    root = ElementTree.fromstring(picture)
    ticks = [(float(text.get(coordinate)), float(text.text)) for text in root.iter(f"{SVG}text")
             if text.get("class") == kind and text.text.lstrip("-").replace(".", "").isdigit()]
    (p0, v0), (p1, v1) = ticks[0], ticks[-1]
    return lambda position: v0 + (position - p0) * (v1 - v0) / (p1 - p0)


def test_a_mark_stands_at_its_value_over_its_label():
    picture = lines(SERIES, LABELS, "TS", "%")
    value_at = axis_of(picture, "y", "value")
    marks = marks_of(picture)
    assert len(marks) == 5
    labels = {text.text: float(text.get("x"))
              for text in ElementTree.fromstring(picture).iter(f"{SVG}text")
              if text.get("class") == "label"}
    for name, points in SERIES.items():
        for label, point in zip(LABELS, points, strict=True):
            found = [at for words, at in marks.items() if words.startswith(f"{name}, {label}:")]
            assert len(found) == (point is not None)
            for x, y in found:
                # Texts stand 4 pixels under the middle of their line.
                assert value_at(y + 4) == pytest.approx(point[0], abs=0.2)
                nearest = min(labels, key=lambda other: abs(labels[other] - x))
                assert nearest == label


def test_intervals_reach_from_low_to_high():
    picture = lines(SERIES, LABELS, "TS", "%")
    value_at = axis_of(picture, "y", "value")
    ends = [sorted(value_at(float(line.get(y)) + 4) for y in ("y1", "y2"))
            for line in ElementTree.fromstring(picture).iter(f"{SVG}line")
            if line.get("class") == "interval"]
    expected = [list(point[1:]) for points in SERIES.values() for point in points if point]
    assert len(ends) == len(expected)
    for found, wanted in zip(ends, expected, strict=True):
        assert found == pytest.approx(wanted, abs=0.2)


def test_rows_stand_at_their_values_and_beside_their_names():
    picture = rows(EFFECTS, "Effects", "points of TS")
    value_at = axis_of(picture, "x", "label")
    marks = marks_of(picture)
    names = {text.text: float(text.get("y"))
             for text in ElementTree.fromstring(picture).iter(f"{SVG}text")
             if text.get("class") == "value"}
    assert len(marks) == 3 and set(names) == set(EFFECTS)
    for words, (x, y) in marks.items():
        row, group = words.split(":")[0].split(", ")
        assert value_at(x) == pytest.approx(EFFECTS[row][group][0], abs=0.05)
        assert min(names, key=lambda other: abs(names[other] - y)) == row
    zero = [line for line in ElementTree.fromstring(picture).iter(f"{SVG}line")
            if line.get("class") == "zero"]
    assert len(zero) == 1 and value_at(float(zero[0].get("x1"))) == pytest.approx(0, abs=0.01)


def test_no_line_crosses_a_value_that_was_not_measured():
    root = ElementTree.fromstring(lines(SERIES, LABELS, "TS", "%"))
    drawn = [line for line in root.iter(f"{SVG}line") if line.get("class") == "line"]
    assert len(drawn) == 2 + 2  # two of the first series, none of the second, two in the legend


def test_two_series_differ_in_more_than_colour():
    root = ElementTree.fromstring(lines(SERIES, LABELS, "TS", "%"))
    groups = [group for group in root.iter(f"{SVG}g") if len(group) > 2]
    shapes = {group.find(f"{SVG}path").get("d") for group in groups}
    style = root.find(f"{SVG}style").text
    dashes = {style.split(f".{group.get('class')} .line {{ stroke-dasharray: ")[1].split(";")[0]
              for group in groups}
    assert len(shapes) == len(dashes) == 2
    assert "prefers-color-scheme: dark" in style


def test_pictures_are_stacked_without_overlap():
    one, two = lines(SERIES, LABELS, "TS", "%"), rows(EFFECTS, "Effects", "points")
    root = ElementTree.fromstring(stack([one, two], "both"))
    inner = root.findall(f"{SVG}svg")
    assert [int(svg.get("y")) for svg in inner] == [0, int(inner[0].get("height"))]
    assert int(root.get("height")) == sum(int(svg.get("height")) for svg in inner)
    assert int(root.get("width")) == max(int(svg.get("width")) for svg in inner)


TEXTS = st.text(max_size=8)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, NUMBERS, min_size=1, max_size=3),
                       min_size=1, max_size=3), TEXTS)
def test_any_text_and_number_make_valid_xml_inside_the_picture(values, words):
    points = {row: {group: (x, x, x) for group, x in groups.items()}
              for row, groups in values.items()}
    root = ElementTree.fromstring(rows(points, words, words))
    width, height = int(root.get("width")), int(root.get("height"))
    for path in root.iter(f"{SVG}path"):
        x, y = map(float, path.get("transform")[len("translate("):-1].split(","))
        assert 0 <= x <= width and 0 <= y <= height


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_ticks_hold_all_values_between_them(one, other):
    ticks = choose_ticks([(one, other, one)])
    slack = 1e-6 * max(1, abs(one), abs(other))
    assert ticks[0] <= min(one, other) + slack and ticks[-1] >= max(one, other) - slack
    assert 2 <= len(ticks) <= 8 and ticks == sorted(set(ticks))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="ours: 3 values for 2 labels"):
        lines(SERIES, LABELS[:2], "TS", "%")
    with pytest.raises(ValueError, match="at least one value"):
        lines({"ours": [None]}, ["Clean"], "TS", "%")
    with pytest.raises(ValueError, match="finite"):
        rows({"a": {"b": (1.0, float("nan"), 2.0)}}, "", "")
