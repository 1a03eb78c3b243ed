"""core.naming: names that every system accepts."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.names import LONG, NASTY

from ipython_assistant.core.naming import LONGEST_NAME, folded, media_type, numbered, safe_name

CASES = {
    # Places, not names.
    "coverage.csv": "coverage.csv", "../../etc/passwd": "passwd", "..": "file", "": "file", "/etc/cron.d/x": "x",
    "plots/": "plots", "C:\\Users\\x\\a.csv": "a.csv", "\\\\server\\share\\a.csv": "a.csv", "C:a.csv": "C_a.csv",
    # What some system forbids.
    "a:b.csv": "a_b.csv", "a.csv:hidden:$DATA": "a.csv_hidden_$DATA", 'q"uo<te>.csv': "q_uo_te_.csv",
    "what?*|.csv": "what___.csv", "trailing. . ": "trailing", "\u3000a.csv\u00a0": "a.csv",
    # Devices of Windows.
    "CON": "_CON", "nul.txt": "_nul.txt", "lpt1.tar.gz": "_lpt1.tar.gz", "CON .txt": "_CON .txt",
    "COM¹.txt": "_COM¹.txt", "conin$": "_conin$", "console.csv": "console.csv", "con" + " " * 300 + "x.csv": "_con.csv",
    # What a shell or a person takes for something else.
    "-rf": "_-rf", ".hidden": "_.hidden", "~": "_~", ".csv": "_.csv", "." * 198 + "." + "y" * 60: "file",
    # What cannot be seen, or moves what can.
    "a\x00b\n.csv": "a_b_.csv", "abc\u202efdp.exe": "abc_fdp.exe", "\u2066a\u2069\u200b\ufeff.csv": "_a_.csv",
    "\u202e\u2066\u200b": "file", "\ud800.csv": "_.csv", "\u3164.csv": "_.csv", "x\U000e0061\U000e0062.csv": "x_.csv",
    "\u200d \u200c.csv\u200d": "_.csv", "a\uf022b.csv": "a_b.csv",
    # What stays.
    "Cafe\u0301.csv": "Café.csv", "Übersicht 2024.csv": "Übersicht 2024.csv",
    "Screenshot 3.14\u202fPM.png": "Screenshot 3.14 PM.png", "👩\u200d🚀 launch.png": "👩\u200d🚀 launch.png",
    "❤\ufe0f.csv": "❤\ufe0f.csv", "می\u200cشود.csv": "می\u200cشود.csv", "क्\u200dष.csv": "क्\u200dष.csv",
    "日本語のファイル名.xlsx": "日本語のファイル名.xlsx",
}  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), CASES.items(), ids=lambda value: ascii(value[:30]))
def test_safe_name(name, expected):
    assert safe_name(name) == expected


@given(NASTY | LONG)
def test_a_safe_name_is_a_bare_name_that_every_system_takes(name):
    safe = safe_name(name)
    assert not set(safe) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in safe)
    assert not safe.startswith((".", "-", "~", " "))
    assert not safe.endswith((".", " "))
    assert safe.partition(".")[0].rstrip().lower() not in {"", "con", "prn", "aux", "nul", "com1", "lpt9"}
    assert len(safe.encode()) <= LONGEST_NAME
    assert safe == unicodedata.normalize("NFC", safe) == safe_name(safe)


@given(st.lists(NASTY | LONG, max_size=20))
def test_names_planned_for_a_folder_are_distinct_on_every_disk(names):
    planned: list[str] = []
    for name in names:
        taken = {folded(other) for other in planned}
        planned.append(next(free for free in numbered(safe_name(name)) if folded(free) not in taken))
    assert len({folded(name) for name in planned}) == len(names)
    assert all(len(name.encode()) <= 255 and not set(name) & set("/\\") for name in planned)


@pytest.mark.parametrize("suffix", [".csv", ".tar.gz"])
def test_a_long_name_keeps_its_suffix(suffix):
    safe = safe_name("ж" * 300 + suffix)
    assert safe.endswith(f"ж{suffix}")
    assert LONGEST_NAME - 1 <= len(safe.encode()) <= LONGEST_NAME
    assert safe_name("a." + "x" * 300) == ("a." + "x" * 300)[:LONGEST_NAME]  # too long for a suffix


def test_numbered_names_count_before_the_suffix():
    assert list(itertools.islice(numbered("a.tar.gz"), 3)) == ["a.tar.gz", "a-2.tar.gz", "a-3.tar.gz"]
    assert list(itertools.islice(numbered("README"), 2)) == ["README", "README-2"]
    assert list(itertools.islice(numbered("v1.2.csv"), 2)) == ["v1.2.csv", "v1.2-2.csv"]


@pytest.mark.parametrize(("one", "other"), [
    ("A.CSV", "a.csv"), ("Café", "CAFE\u0301"), ("straße", "STRASSE"), ("می\u200cشود", "میشود"), ("ﬁ", "FI"),
])  # fmt: skip
def test_names_that_some_disk_takes_for_the_same_are_the_same(one, other):
    assert folded(one) == folded(other)


def test_media_type_is_read_off_the_suffix():
    assert [media_type(name) for name in ("a.CSV", "a.png")] == ["text/csv", "image/png"]
    assert media_type("a") == media_type("a.b.unknown") == "application/octet-stream"
