"""core.links: `sandbox:` links become links to the saved files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.core.links import relink
from ipython_assistant.core.turn import Citation, TextPart


def artifact(own_name: str, saved: str | None = None, file_id: str = "cfile_1") -> Artifact:
    name = saved or own_name
    return Artifact(name, own_name, Path(name), f"assistant_files/{name}", 3, "0" * 64, "text/csv", "cntr_1", file_id)


CASES = {
    "a link": ("See [the table](sandbox:/mnt/data/a.csv).", "See [the table](assistant_files/a.csv)."),
    "a picture is a link": ("![chart](sandbox:/mnt/data/a.csv)", "[chart](assistant_files/a.csv)"),
    "a bare address": ("Saved to sandbox:/mnt/data/a.csv.", "Saved to [a.csv](assistant_files/a.csv)."),
    "an address in code": ("`sandbox:/mnt/data/a.csv`", "`assistant_files/a.csv`"),
    "code in the label": ("[`a.csv`](sandbox:/mnt/data/a.csv)", "[`a.csv`](assistant_files/a.csv)"),
    "angle brackets": ("[a](<sandbox:/mnt/data/a.csv>)", "[a](<assistant_files/a.csv>)"),
    "two links to one file": (
        "[a](sandbox:/mnt/data/a.csv) [b](sandbox:/mnt/data/a.csv)",
        "[a](assistant_files/a.csv) [b](assistant_files/a.csv)",
    ),
    "a subfolder": ("[a](sandbox:/mnt/data/out/a.csv)", "[a](assistant_files/a.csv)"),
    "nothing to do": ("No link, [x](https://example.org).", "No link, [x](https://example.org)."),
    "a dead link says so": ("[b](sandbox:/mnt/data/b.csv) end", "b (no such file was made) end"),
    "a dead picture says so": ("![b](sandbox:/mnt/data/b.csv)", "b (no such file was made)"),
    "a dead bare address says so": ("In sandbox:/mnt/data/b.csv.", "In b.csv (no such file was made)."),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_link(text, expected):
    assert relink(TextPart(text), [artifact("a.csv")]) == expected


@pytest.mark.parametrize("written", ["my table (1).csv", "my%20table%20%281%29.csv", "my%20table%20(1).csv"])
def test_a_name_with_blanks_and_parentheses_is_found_as_it_is_and_percent_encoded(written):
    text = relink(TextPart(f"[x](sandbox:/mnt/data/{written}) end"), [artifact("my table (1).csv")])

    assert text == "[x](assistant_files/my%20table%20%281%29.csv) end"


def test_the_citation_decides_between_two_files_of_one_name():
    text = "[old](sandbox:/mnt/data/a.csv) [new](sandbox:/mnt/data/a.csv)"
    first, second = text.index("sandbox"), text.rindex("sandbox")
    length = len("sandbox:/mnt/data/a.csv")
    part = TextPart(
        text,
        (
            Citation("cntr_1", "cfile_1", "a.csv", first, first + length),
            Citation("cntr_1", "cfile_2", "a.csv", second, second + length),
        ),
    )
    files = [artifact("a.csv"), artifact("a.csv", "a-2.csv", "cfile_2")]

    assert relink(part, files) == "[old](assistant_files/a.csv) [new](assistant_files/a-2.csv)"


def test_a_zero_span_is_not_spliced_into_the_text():
    part = TextPart("A chart.", (Citation("cntr_1", "cfile_1", "cfile_1.png", 0, 0),))

    assert relink(part, [artifact("figure-1.png")]) == "A chart."


@pytest.mark.parametrize("span", [(3, 9), (5, 4000), (-4, 12), (14, 14)])
def test_a_span_that_holds_no_link_is_not_believed(span):
    text = "Here is it: [a](sandbox:/mnt/data/a.csv)."
    part = TextPart(text, (Citation("cntr_1", "cfile_1", "a.csv", *span),))

    assert relink(part, [artifact("a.csv")]) == "Here is it: [a](assistant_files/a.csv)."


def test_a_file_that_could_not_be_saved_says_why():
    text = relink(TextPart("[a](sandbox:/mnt/data/a.csv)"), [], {"a.csv": "it could not be saved"})

    assert text == "a (it could not be saved)"


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]()<>`!\\"), max_size=20).filter(
    lambda text: "sandbox:" not in text
)


@given(words, words, st.booleans())
def test_all_text_outside_the_link_is_preserved(before, after, picture):
    mark = "!" if picture else ""
    part = TextPart(f"{before}{mark}[label](sandbox:/mnt/data/a.csv){after}")

    assert relink(part, [artifact("a.csv")]) == f"{before}[label](assistant_files/a.csv){after}"
