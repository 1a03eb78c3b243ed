"""core.placeholders: what is filled in, and what is left alone."""

import datetime as dt
import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.growth import assert_linear

from ipython_assistant.core.placeholders import fill


class Fragile:
    """A variable with a property that raises."""

    @property
    def rate(self):
        raise ZeroDivisionError("no cases")


NAMES = {
    "district": "North", "year": 2024, "share": 0.1234, "total": 1234567, "i": 1, "n": 2, "a": "AAA", "b": "BBB",
    "place": SimpleNamespace(name="Kavango", codes=["001", "002"]), "limits": {"upper bound": 80, "low": [1, 2]},
    "since": dt.date(2024, 1, 31), "none": None, "fragile": Fragile(), "cases": pd.DataFrame({"secret": ["cell"]}),
    "mean": np.float64(0.5), "words": {"b", "a", "c"}, "join": functools.partial(str.join, ","), "long": "x" * 20_001,
}  # fmt: skip


@pytest.mark.parametrize(("prompt", "filled"), [
    ("Plot {district} since {year}, {cases.shape[0]} rows.", "Plot North since 2024, 1 rows."),
    ("{place.name}: {place.codes[0]}, {place.codes[-1]}", "Kavango: 001, 002"),
    ("{limits[\"upper bound\"]} {limits['low'][1]}", "80 2"),
    ("since {since}, {none}, {mean}, {words}", "since 2024-01-31, None, 0.5, {'a', 'b', 'c'}"),
    ("coverage_{year}.csv, a_{year}.csv, {year}{n}", "coverage_2024.csv, a_2024.csv, 20242"),
    ("It costs $5 in {district} and ${total}-${n} elsewhere.", "It costs $5 in North and $1234567-$2 elsewhere."),
    ("a brace { alone and {district} :-}", "a brace { alone and North :-}"),
    ("{district}:\n```\n{n}\n```\nnot `{n}`: {n}", "North:\n```\n{n}\n```\nnot `{n}`: 2"),
])  # fmt: skip
def test_names_that_exist_are_filled_in(prompt, filled):
    assert fill(prompt, NAMES) == (filled, ())


@pytest.mark.parametrize("prompt", [
    "$x_{i}$ and $$\\sum_{i}^{n} {a}$$ and \\(x_{i}\\) and \\[{a}\\]", "\\begin{align}\n{a} &= {b}\n\\end{align}",
    "p {color: red} {{district}} {%a%} {{ a }} ${{ a }}", "`{district}` and ``{a} ` {b}`` and `one\nline {a}`",
    "```python\nprint({a})\n```", "~~~\n{a}\n```\n{b}\n~~~", "> ```\n> {a}\n> ```",
    "```\n{a} in a fence that is never closed",
    "{a, b} {1} {} {:.2f} {0.a} {'a'} { } {a:>10} {share:.1%} {a!r} {a=} {a + 1} {len(a)}", "@dataclass\nclass A: ...",
    "write to me@example.org",
])  # fmt: skip
def test_text_that_is_no_placeholder_stays_as_it_is_without_a_hint(prompt):
    assert fill(prompt, NAMES) == (prompt, ())


@pytest.mark.parametrize(("prompt", "hint"), [
    ("{distrct}", "there is no variable distrct. Did you mean {district}?"), ("{zzz}", "there is no variable zzz."),
    ("{place.nmae}", "AttributeError"), ("{place.codes[7]}", "IndexError: list index out of range"),
    ("{fragile.rate}", "ZeroDivisionError: no cases."), ("{cases}", "it is a DataFrame. Give it with -i"),
    ("{cases.secret}", "it is a Series. Give it with -i"), ("{join}", "it is a partial, which has no text of its own"),
    ("{long}", "its value has 20,001 characters. Give it with -i long."),
])  # fmt: skip
def test_a_placeholder_that_cannot_be_filled_in_stays_with_a_hint(prompt, hint):
    filled, (said,) = fill(f"Look at {prompt}.", NAMES)
    assert filled == f"Look at {prompt}."
    assert hint in said


@given(st.text(st.sampled_from("ab{}`~$\\@_^.\n \"'[]0:")))
def test_any_text_is_read_and_without_variables_nothing_changes(text):
    fill(text, {"a": "", "b": ""})
    assert fill(text, {})[0] == text


@pytest.mark.parametrize("hostile", ["{", "`", "$a ", "```\n", "{a[0]", "\\begin{a}", "\\(", "@ "])
def test_the_cost_of_names_in_braces_grows_with_the_text(hostile):
    assert_linear(lambda count: lambda: fill(hostile * count, NAMES), 4_000)
