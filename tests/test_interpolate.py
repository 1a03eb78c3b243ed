"""core.interpolate: what is filled in, what is left alone, and which lines are inputs."""

from __future__ import annotations

import datetime as dt
import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.interpolate import Filled, fill


class Fragile:
    """A variable with a property that raises."""

    @property
    def rate(self) -> float:
        raise ZeroDivisionError("no cases")


NAMES = {
    "district": "North",
    "year": 2024,
    "share": 0.1234,
    "total": 1234567,
    "i": 1,
    "n": 2,
    "a": "AAA",
    "b": "BBB",
    "color": "CCC",
    "margin": 5,
    "place": SimpleNamespace(name="Kavango", codes=["001", "002"]),
    "limits": {"upper bound": 80, "low": [1, 2]},
    "since": dt.date(2024, 1, 31),
    "none": None,
    "fragile": Fragile(),
    "cases": pd.DataFrame({"secret": ["cell"]}),
    "mean": np.float64(0.5),
    "words": {"b", "a", "c"},
    "join": functools.partial(str.join, ","),
    "long": "x" * 20_001,
}


@pytest.mark.parametrize(
    ("prompt", "filled"),
    [
        ("Plot {district} since {year}.", "Plot North since 2024."),
        ("{place.name}: {place.codes[0]}, {place.codes[-1]}", "Kavango: 001, 002"),
        ("{limits[\"upper bound\"]} {limits['low'][1]}", "80 2"),
        ("{share:.1%} of {total:,} is {share:.2f}", "12.3% of 1,234,567 is 0.12"),
        ("since {since}, {none}, {mean}", "since 2024-01-31, None, 0.5"),
        ("coverage_{year}.csv and a_{year}.csv", "coverage_2024.csv and a_2024.csv"),
        ("It costs $5 in {district} and ${margin}-${n} elsewhere.", "It costs $5 in North and $5-$2 elsewhere."),
        ("(“{district}”, '{district}', \"{district}\")", "(“North”, 'North', \"North\")"),
        ("in one order: {words}", "in one order: {'a', 'b', 'c'}"),
        ("a brace { alone and {district}", "a brace { alone and North"),
        ("smile :-} {district}", "smile :-} North"),
    ],
)
def test_names_that_exist_are_filled_in(prompt: str, filled: str) -> None:
    assert fill(prompt, NAMES) == Filled(filled)


@pytest.mark.parametrize(
    "prompt",
    [
        '{"a": 1, "district": "{district}", "b": [{"a": {"b": 2}}]}',
        '{\n  "a": {a},\n  "b": "{b}"\n}',
        r"\frac{a}{b} + \sqrt[n]{a} + \text{a}_{i}^{n}",
        "$x_{i}$ and $$\\sum_{i}^{n} {a}$$ and \\(x_{i}\\) and \\[{a}\\] and 2^{n} and x_{i} too, x_{i}.",
        "\\begin{align}\n{a} &= {b}\n\\end{align}",
        "print(f\"{district}\") or f'{year}' or rf\"{a}\" or F'''{a}\n{b}'''",
        "p { color: red } p{color:red} p{margin:0} @media print { p {color} }",
        "${{ matrix.{a} }} {{district}} {%a%} {{ a }}",
        "`{district}` and ``{a} ` {b}`` and `one\nline {a}`",
        "```python\nprint({a})\n```",
        "~~~\n{a}\n```\n{b}\n~~~",
        "````\n```\n{a}\n```\n{b}\n````",
        "- a list\n  ```\n  {a}\n  ```\n1. ```\n   {b}",
        "```\n{a} in a fence that nobody closes",
        "{a, b} {1} {} {:.2f} {0.a} {'a'} { } {a:>10} {a!r} {a=}",
        r"\{a\}",
    ],
)
def test_everything_else_passes_untouched_and_without_a_word(prompt: str) -> None:
    assert fill(prompt, NAMES) == Filled(prompt)


def test_prose_around_code_is_filled_in() -> None:
    prompt = (
        "For {district}:\n```\n{district}\n```\nIn {district}, not `{district}`, in {district}.\n\n`{year}\n\n{year}`"
    )

    assert fill(prompt, NAMES).prompt == (
        "For North:\n```\n{district}\n```\nIn North, not `{district}`, in North.\n\n`2024\n\n2024`"
    )


@pytest.mark.parametrize(
    ("prompt", "hint"),
    [
        ("{distrct}", "{distrct} was left as it is: there is no variable distrct. Did you mean {district}?"),
        ("{zzz}", "{zzz} was left as it is: there is no variable zzz."),
        ("{place.nmae}", "AttributeError: 'types.SimpleNamespace' object has no attribute 'nmae'"),
        ("{place.codes[7]}", "IndexError: list index out of range"),
        ("{fragile.rate}", "{fragile.rate} was left as it is: ZeroDivisionError: no cases."),
        ("{district:.1f}", "ValueError: Unknown format code 'f' for object of type 'str'"),
        ("{cases}", "it is a DataFrame. Give it with -i, and it is sent as a file."),
        ("{cases.secret}", "it is a Series. Give it with -i, and it is sent as a file."),
        ("{join}", "it is a partial, which has no text of its own"),
        ("{place.codes.append}", "it is a builtin_function_or_method, which has no text of its own"),
        ("{long}", "its value has 20,001 characters. Give it with -i long."),
        ("{len(district)}", "only names, attributes and items are filled in"),
        ("{total + 1}", "only names, attributes and items are filled in"),
        ("{limits[year]}", "only names, attributes and items are filled in"),
    ],
)
def test_what_looks_like_a_name_and_is_left_is_said(prompt: str, hint: str) -> None:
    filled = fill(f"Look at {prompt}.", NAMES)

    assert filled.prompt == f"Look at {prompt}."
    assert len(filled.hints) == 1
    assert hint in filled.hints[0]


def test_nothing_is_called() -> None:
    called = []

    fill("{probe()} {probe.x()} {probe[0]()}", {"probe": lambda: called.append(1)})

    assert called == []


def test_a_value_is_not_filled_in_again_and_is_no_input() -> None:
    filled = fill("{template}\n{line}", {"template": "{district}", "line": "@secret.csv", "district": "North"})

    assert filled == Filled("{district}\n@secret.csv")


# --- lines that are inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "named", "left"),
    [
        ("@cases.csv", "cases.csv", "cases.csv"),
        ("  @data/2024/cases.csv  ", "data/2024/cases.csv", "  cases.csv"),
        ("@data/*.csv", "data/*.csv", "*.csv"),
        ('@"data/my cases (1).csv"', "data/my cases (1).csv", "my cases (1).csv"),
        ("@'notes'", "notes", "notes"),
        ("@cases", "cases", "cases"),
        ("@data/{district}_{year}.csv", "data/North_2024.csv", "North_2024.csv"),
        (r"@C:\data\cases.csv", r"C:\data\cases.csv", "cases.csv"),
        ("@https://example.org/cases.csv", "https://example.org/cases.csv", "cases.csv"),
    ],
)
def test_a_line_of_its_own_is_an_input_and_keeps_the_bare_name(line: str, named: str, left: str) -> None:
    assert fill(f"Look at\n{line}\nand plot it.", NAMES) == Filled(f"Look at\n{left}\nand plot it.", (named,))


@pytest.mark.parametrize(
    "prompt",
    [
        "mail me @cases.csv please",
        "@alice",
        "@property",
        "@functools.cache\ndef f(): ...",
        "@first.one\n@second.one\nclass A: ...",
        "```\n@cases.csv\n```",
        "`\n@cases.csv\n`",
        "@join",
        "@app.route('/x.csv')",
        "@article{key.csv,",
        "@",
    ],
)
def test_other_lines_with_an_at_sign_are_no_inputs(prompt: str) -> None:
    assert fill(prompt, NAMES) == Filled(prompt)


def test_inputs_are_listed_once_and_in_order() -> None:
    assert fill("@b.csv\n@a.csv\n@b.csv", {}).inputs == ("b.csv", "a.csv")


def test_an_input_whose_name_could_not_be_filled_in_is_none() -> None:
    filled = fill("@data/{distrct}.csv", NAMES)

    assert (filled.prompt, filled.inputs, len(filled.hints)) == ("@data/{distrct}.csv", (), 1)


# --- for any text -----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=80)
MARKED = st.text(st.sampled_from("{}[]()`~$\\@ab_^.:\"'\n \tf#"), max_size=60)
LETTERS = {"a": 1, "b": "B", "ab": [1], "f": 2.5}


@given(TEXT.map(lambda text: text.replace("{", "").replace("@", "")))
def test_text_without_braces_and_at_signs_never_changes(text: str) -> None:
    assert fill(text, LETTERS) == Filled(text)


@given(MARKED, st.sampled_from(["```", "~~~", "`````"]), MARKED, MARKED)
def test_text_inside_a_fence_never_changes(before: str, fence: str, inside: str, after: str) -> None:
    before = before.replace("`", "").replace("~", "")
    inside = inside.replace("`", "").replace("~", "")
    block = f"\n{fence}\n{inside}\n{fence}\n"

    assert block in fill(f"{before}{block}{after}", LETTERS).prompt


@given(MARKED)
def test_any_text_is_read_and_without_names_only_input_lines_change(text: str) -> None:
    fill(text, LETTERS)
    filled = fill(text, {})

    assert filled.prompt == text or filled.inputs


@given(MARKED)
def test_what_was_filled_in_is_no_longer_than_its_values(text: str) -> None:
    filled = fill(text.replace("@", ""), {"a": "", "b": "", "ab": "", "f": ""})

    # Only whole placeholders go; every other character stays, in its order.
    remaining = iter(text.replace("@", ""))
    assert all(char in remaining for char in filled.prompt)


@pytest.mark.parametrize("line", ["@data/my file.csv", "@data/cases.csv,", "@data/cases.csv Mean coverage per year"])
def test_a_line_that_is_almost_an_input_is_said(line):
    filled = fill(f"Plot it.\n{line}", {})

    assert filled.inputs == ()
    assert filled.prompt.endswith(line)
    assert "an input stands alone on its line" in filled.hints[0]
