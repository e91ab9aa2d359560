"""Complaints: texts of invented tools, in pairs of like words, and a rule for all texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.complaints import BEGINNING, END, complains, score

PAIRS = [  # (a complaint, data with the same words)
    ("The kiln could not be fired: the door is open.", "The kiln was fired at noon."),
    ("Error: no glaze", "Mean glaze error: 0.4"),
    ("Sorry, no seat is free on boat 7.", "No boats found for Sunday."),
    ("Boat 7 is already full.", "Boat 7 is a 1912 film about a full boat."),
    ("length must be between 1 and 9", "length is 9"),
    ("Glaze expired.", "Glaze updated. The old one had expired."),
    ("kiln: fire.c:3: error: expected ';'", "kiln: 0 errors, 2 warnings"),
    ("GlazeError: dry", "Glaze (1999)"),
    ("Kiln request failed with status 503", "503 kilns"),
    ("You are not allowed to open the kiln.", "You opened the kiln."),
    ("fatal: glaze is missing",
     "2026-01-01 10:00 fatal: glaze is missing\n2026-01-01 10:01 glazed"),
]


@pytest.mark.parametrize("complaint, data", PAIRS)
def test_words_alike_in_a_complaint_and_in_data(complaint, data):
    assert complains(complaint)
    assert not complains(data)


def test_a_program_complains_in_its_last_line():
    steps = "clay\nglaze\nfire\n"
    assert complains(steps + "error: the door is open")
    assert not complains(steps + "kiln")


@settings(max_examples=50)
@given(st.text(max_size=50), st.text(max_size=50))
def test_the_middle_of_a_long_text_is_not_read(start, end):
    """So that the time does not grow with the text."""
    before = f"x{start}" + "x" * BEGINNING
    after = "x" * END + f"{end}x"
    assert score(before + "\nerror: not found\n" + after) == score(before + "y" * 18 + after)
