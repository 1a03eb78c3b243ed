"""core.naming: names that every system accepts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.naming import LONGEST_NAME, media_type, numbered, safe_name

CASES = {
    "coverage.csv": "coverage.csv",
    "../../etc/passwd": "passwd",
    "..": "file",
    "": "file",
    "/etc/cron.d/x": "x",
    "C:\\Users\\x\\a.csv": "a.csv",
    "a:b.csv": "a_b.csv",
    'q"uo<te>.csv': "q_uo_te_.csv",
    "a\x00b\n.csv": "a_b_.csv",
    "CON": "_CON",
    "nul.txt": "_nul.txt",
    "lpt1.tar.gz": "_lpt1.tar.gz",
    "trailing. . ": "trailing",
    "-rf": "_-rf",
    ".hidden": "_.hidden",
    "Cafe\u0301.csv": "Café.csv",
    "abc\u202efdp.exe": "abc_fdp.exe",
    "Übersicht 2024.csv": "Übersicht 2024.csv",
}


@pytest.mark.parametrize(("name", "expected"), CASES.items(), ids=repr)
def test_safe_name(name, expected):
    assert safe_name(name) == expected


@given(st.text(max_size=400))
def test_a_safe_name_is_a_bare_name_and_stays_as_it_is(name):
    safe = safe_name(name)

    assert safe
    assert safe_name(safe) == safe
    assert not set(safe) & set('/\\:*?"<>|\x00')
    assert safe not in {".", ".."}
    assert len(safe.encode()) <= LONGEST_NAME + 1


def test_a_long_name_keeps_its_suffix():
    safe = safe_name("ж" * 300 + ".csv")

    assert safe.endswith(".csv")
    assert len(safe.encode()) <= LONGEST_NAME


def test_numbered_names_count_before_the_suffix():
    assert list(itertools.islice(numbered("a.tar.gz"), 3)) == ["a.tar.gz", "a.tar-2.gz", "a.tar-3.gz"]
    assert list(itertools.islice(numbered("README"), 2)) == ["README", "README-2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.CSV", "text/csv"),
        ("a.png", "image/png"),
        ("a", "application/octet-stream"),
        ("a.b.unknown", "application/octet-stream"),
    ],
)
def test_media_type_is_read_off_the_suffix(name, expected):
    assert media_type(name) == expected
