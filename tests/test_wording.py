"""core.wording: numbers with their nouns, and words from outside on one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.wording import counted, on_one_line


@pytest.mark.parametrize(("number", "told"), [(0, "0 rows"), (1, "1 row"), (10**6, "1,000,000 rows")])
def test_only_one_is_singular(number, told):
    assert counted(number, "row") == told


@given(st.text())
def test_whatever_is_said_stands_on_one_line_and_hides_nothing(said):
    line = on_one_line(said)
    assert line.isprintable()
    assert line == line.strip()
    assert on_one_line(line) == line


def test_words_keep_their_letters_and_an_error_is_its_words():
    assert on_one_line("Größe:\t1\u2028 \u202e2\r\n") == "Größe: 1 2"
    assert on_one_line(ValueError("no\nsuch\x1b[31m file")) == "no such [31m file"
