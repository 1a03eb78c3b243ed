"""The look at large tables: it says what reading each cell says, and is not taken again while the file is the same."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from analyst_kernel import Container, answer, put, started
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipython_assistant.engine.models.analyst import in_kernel

if TYPE_CHECKING:
    from pathlib import Path

CELLS = [
    ["1", "2", "30", "4"],
    ["1", "", "3", "NA"],
    ["1.5", "-2", ".5", "3."],
    ["1.0", "2.0", "2.00", "1"],
    ["+1", "-0", "0", "1"],
    ["007", "1", "2"],
    ["0.05", "00.5", "10"],
    [" 1", "2 ", "3"],
    ["1e3", "1e-05", "2E+7"],
    ["1e005", "1", "2"],
    ["1e100", "2"],
    ["inf", "1", "-Infinity"],
    ["1234567890123456", "2"],
    ["123456789012345678901234567890", "2"],
    ["12%", "3 %", ""],
    ["1,234", "12,345.5", "7"],
    ["1,5", "2,25"],
    ["<5", "12", "13"] + [str(number) for number in range(14, 40)],
    ["pending", "12", "13", "14"],
    ["true", "FALSE", "True"],
    ["yes", "no"],
    ["2020", "2021", "1999.0"],
    ["2020-01-02", "2021-12-31", ""],
    ["01/02/2020", "03/04/2021"],
    ["13/02/2020", "03/04/2021"],
    ["2020-01-02 03:04", "2021-12-31 23:59"],
    ["Upper North", "St. Mary's", "x, y", " padded ", "n/a", "NA"],
    ["a", "", "b", "  "],
    ["", "NA", "NULL"],
    ["Ünïcode", "ß", "東京"],
    ["two\nlines", 'a "quoted" word', "e005"],
]
COLUMNS = st.lists(
    st.tuples(
        st.sampled_from(["v", "year", "code id", "x y"]),
        st.sampled_from(CELLS),
        st.lists(st.sampled_from([*(cell for cells in CELLS for cell in cells), "8"]), max_size=2),
    ),
    min_size=1,
    max_size=4,
)


def both_ways(path: Path, monkeypatch: pytest.MonkeyPatch, look: int) -> tuple[list, list]:
    """What is found cell by cell, and in the way of large files."""
    found = []
    for large in (1 << 40, 0):
        monkeypatch.setattr(in_kernel, "LARGE", large)
        monkeypatch.setattr(in_kernel, "LOOK", look if large == 0 else 1000)
        sys.modules.pop(in_kernel.KEPT, None)
        found.append(in_kernel.survey([str(path)]))
    sys.modules.pop(in_kernel.KEPT, None)
    return found[0], found[1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COLUMNS, st.tuples(st.sampled_from(",;\t"), st.sampled_from([3, 1000])), st.randoms(use_true_random=False))
def test_a_large_file_is_seen_as_if_each_cell_had_been_read(tmp_path, monkeypatch, columns, how, random):
    rows, (separator, look) = 60, how
    cells = {
        f"{name}{number}": [*random.choices(usual, k=rows - len(late)), *late]
        for number, (name, usual, late) in enumerate(columns)
    }
    path = tmp_path / "t.csv"
    pd.DataFrame(cells).to_csv(path, index=False, sep=separator)
    if look == 3:  # so few that what is true of all cells need not be true of them, but enough to tell words by
        monkeypatch.setattr(in_kernel, "_may_be_number", lambda _: True)
    slowly, fast = both_ways(path, monkeypatch, look)

    for table in (*slowly, *fast):
        for column in table["columns"]:
            column["unique"] &= column["kind"] != "number" or column["whole"]  # 1.0 and 1.00 are two texts
    assert fast == slowly


@pytest.mark.parametrize("spelling", ["007", " 7", "7 ", "1e005", "1.e+005", "-07", "1234567890123456"])
@pytest.mark.parametrize("at_once", [64, 1 << 22])
def test_one_odd_cell_deep_in_a_column_of_numbers_is_found(tmp_path, monkeypatch, spelling, at_once):
    cells = [str(number) for number in range(10, 900)]
    cells[700] = spelling
    path = tmp_path / "t.csv"
    pd.DataFrame({"a": range(890), "b": cells, "c": np.arange(890) / 4}).to_csv(path, index=False)
    monkeypatch.setattr(in_kernel, "AT_ONCE", at_once)
    slowly, fast = both_ways(path, monkeypatch, 100)

    assert fast == slowly


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_large_tables_with_types_are_seen_as_if_each_cell_had_been_read(tmp_path, monkeypatch, ending):
    table = pd.DataFrame(
        {
            "id": range(100),
            "amount": np.arange(100) / 3,
            "whole": np.arange(100) % 7 * 1.0,
            "some": pd.array([1, None] * 50, dtype="Int64"),
            "year": [2020, 2021] * 50,
            "large": [2**60, 1] * 50,
            "kind": pd.Categorical(["a", "b"] * 50),
            "yes": [True, False] * 50,
            "text": ["007", "8"] * 50,
        }
    )
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        table.assign(day=pd.date_range("2020-01-01", periods=100)).to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=True)
    slowly, fast = both_ways(path, monkeypatch, 10)

    assert fast == slowly


# ---- what stays in the kernel


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really looked at."""
    sys.modules.pop(in_kernel.KEPT, None)
    seen: list[str] = []
    tables = in_kernel._tables
    monkeypatch.setattr(in_kernel, "_tables", lambda path: [seen.append(path), *tables(path)][1:])
    return seen


def settle(path: Path) -> None:
    """Wait until the file's clock can tell the next change from the last."""
    while time.time_ns() - path.stat().st_ctime_ns <= in_kernel.SETTLED_NS:
        time.sleep(0.01)


def test_a_file_is_looked_at_again_only_when_it_has_changed(tmp_path, looked):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    settle(path)
    first, second = in_kernel.survey([str(path)]), in_kernel.survey([str(path)])
    seen = len(looked)
    about = path.stat()
    path.write_text("a,b\n1,x\n2,z\n")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as a copy that keeps the time would
    third = in_kernel.survey([str(path)])

    assert (seen, len(looked)) == (1, 2)
    assert first == second
    assert third[0]["columns"][1]["values"] == ["x", "z"]


def test_a_file_that_may_still_be_changing_is_not_kept(tmp_path, looked, monkeypatch):
    monkeypatch.setattr(in_kernel, "SETTLED_NS", 3_600_000_000_000)
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    in_kernel.survey([str(path)])
    in_kernel.survey([str(path)])

    assert len(looked) == 2


def test_what_was_found_stays_in_the_kernel_and_is_no_variable_there(tmp_path):
    with started() as client:
        container = Container(client, tmp_path)
        path = put(container, "t.csv", "g,v\na,1.5\nb,2\n")
        settle(path)
        names = "print(sorted(name for name in globals() if not name.startswith('_i')))"
        before = asyncio.run(container.probe(names))
        found = asyncio.run(answer("Forecast the weather", container))
        kept = f"import sys; print(sys.modules[{in_kernel.KEPT!r}].tables['t.csv'][1][0]['rows'])"
        rows = asyncio.run(container.probe(kept))
        after = asyncio.run(container.probe(names))

    assert found.refused
    assert rows.strip() == "2"
    assert after == before


COUNTING = """
import sys
opened, counting = [], [True]  # bound below: a hook stays, its test's variables do not
def hear(event, about, opened=opened, counting=counting):
    if counting and event == "open":
        opened.append(str(about[0]))
sys.addaudithook(hear)
"""


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [("Plot mean v by g", [3, 2]), ("Plot mean v by g. Plot total v by g. Mean v per g as m.csv", [3, 2])],
)
def test_a_table_is_looked_at_once_and_then_read_once_a_turn_before_the_code_that_is_shown(
    kernel, tmp_path, prompt, opens
):
    container = Container(kernel, tmp_path, COUNTING)
    settle(put(container, "t.csv", "g,v\na,1.5\nb,2\nb,4\n"))
    found = []
    for _ in opens:
        assert "points, lowest" in asyncio.run(answer(prompt, container)).said
        found.append(int(asyncio.run(container.probe("print(sum(path.endswith('t.csv') for path in opened))"))))
        asyncio.run(container.probe("opened.clear()"))
        (tmp_path / "m.csv").unlink(missing_ok=True)
    asyncio.run(container.probe("counting.clear()"))

    assert found == opens
