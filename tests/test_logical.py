"""workspace.logical: one content, one hash, whatever holds it.

The expected hashes are those of canonical texts that are written out here; they are the same with pandas 2.2 without
pyarrow and with pandas 3 with it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.workspace import logical
from ipython_assistant.workspace.frames import table_of
from ipython_assistant.workspace.logical import of_file


def logical_of(frame: Any) -> str:
    return table_of(frame, "frame").logical


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


CASES = pd.DataFrame(
    {
        "IU code": ["00412", None, 'Süd\n"x"'],
        "n": [1, -2, 9_007_199_254_740_993],
        "share": [0.1, float("nan"), 3.0],
        "day": pd.to_datetime(["2024-01-31", None, "1999-12-31"]),
        "at": pd.to_datetime(["2024-01-31 12:30:00", "2024-01-31 12:30:00.250", None], format="ISO8601"),
        "treated": [True, False, True],
        "gaps": pd.array([1, None, 3], dtype="Int64"),
        "maybe": pd.array([True, None, False], dtype="boolean"),
        "kind": pd.Categorical(["a", None, "b"], categories=["b", "a"]),
        "nothing": [None, None, None],
    }
)
CASES_TEXT = r"""table
3
["IU code", "text"]
"00412",null,"S\u00fcd\n\"x\""
["n", "integer"]
1,-2,9007199254740993
["share", "number"]
0.1,null,3.0
["day", "date"]
"2024-01-31",null,"1999-12-31"
["at", "date"]
"2024-01-31T12:30:00.000000","2024-01-31T12:30:00.250000",null
["treated", "boolean"]
true,false,true
["gaps", "integer"]
1,null,3
["maybe", "boolean"]
true,null,false
["kind", "text"]
"a",null,"b"
["nothing", "empty"]
"""


def test_a_table_is_hashed_by_its_canonical_text() -> None:
    assert logical_of(CASES) == sha256(CASES_TEXT)


def test_the_hash_of_this_table_stays_what_it_is() -> None:
    assert logical_of(CASES) == "1ba7a5fcbacae35c605d8050ffdbbde1fe2b24bf60ef52670e1f0111e17484aa"


def test_an_index_with_a_meaning_counts_and_one_that_counts_rows_does_not() -> None:
    by_year = pd.DataFrame({"n": [1, 2]}, index=pd.Index([2023, 2024], name="year"))

    assert logical_of(by_year) == sha256('table\n2\n["year", "integer"]\n2023,2024\n["n", "integer"]\n1,2\n')
    assert logical_of(by_year.reset_index(drop=True)) == sha256('table\n2\n["n", "integer"]\n1,2\n')


ZONED = pd.Series(["2024-07-01 12:00", None]).pipe(pd.to_datetime)


@pytest.mark.parametrize(
    ("series", "text"),
    [
        (ZONED.dt.tz_localize("Europe/Berlin"), '["x", "date Europe/Berlin"]\n"2024-07-01T10:00:00",null'),
        (ZONED.dt.tz_localize("UTC"), '["x", "date UTC"]\n"2024-07-01T12:00:00",null'),
        (pd.to_timedelta(pd.Series(["1s", None])), '["x", "duration"]\n1000000000,null'),
        (pd.Series([dt.date(2024, 1, 2), None]), '["x", "date"]\n"2024-01-02",null'),
        (pd.Series([1, "a", None, 0.5, decimal.Decimal("1.10"), np.int64(3)], dtype=object),
         '["x", "mixed"]\n1,"a",null,0.5,{"Decimal":"1.10"},3'),
        (pd.Series([1, None], dtype=object), '["x", "integer"]\n1,null'),
        (pd.Series([0.1], dtype="float32"), '["x", "number"]\n0.10000000149011612'),
        (pd.Series([float("inf"), -0.0]), '["x", "number"]\nInfinity,-0.0'),
        (pd.Series(["NaN", float("nan")], dtype=object), '["x", "text"]\n"NaN",null'),
        (pd.Series([1, 0, 0]).astype(pd.SparseDtype(int)), '["x", "integer"]\n1,0,0'),
        (pd.Series([2, None, 1]).astype("category"), '["x", "number"]\n2.0,null,1.0'),
        (pd.Series(pd.to_datetime(["2024-01-02", None])).astype("category"), '["x", "date"]\n"2024-01-02",null'),
        (pd.Series(pd.period_range("2024-01", periods=1, freq="M")), '["x", "mixed"]\n{"Period":"2024-01"}'),
        (pd.Series([], dtype=float), '["x", "empty"]'),
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_column_has_a_canonical_text(series: Any, text: str) -> None:
    expected = sha256(f"table\n{len(series)}\n{text}\n")

    assert logical.of_table([("x", series)], len(series)) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_of_any_resolution_are_the_same(unit: str) -> None:
    frame = pd.DataFrame({"t": np.array(["2024-01-02T03:04:05", "NaT"], dtype=f"datetime64[{unit}]")})

    assert logical_of(frame) == sha256('table\n2\n["t", "date"]\n"2024-01-02T03:04:05",null\n')


def test_text_is_the_same_in_every_dtype_that_holds_it() -> None:
    values = ["a", None, "ü"]
    dtypes = ["object", "string", "category", *(["string[pyarrow]"] if _has_arrow() else [])]

    assert len({logical_of(pd.DataFrame({"x": pd.Series(values, dtype=dtype)})) for dtype in dtypes}) == 1


def test_arrow_columns_have_the_hash_of_others() -> None:
    pytest.importorskip("pyarrow")
    plain = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "f": [0.5, None],
            "b": pd.array([True, None], dtype="boolean"),
            "s": ["x", None],
            "t": pd.to_datetime(["2024-01-02 03:04:05", None]),
        }
    )
    arrow = plain.convert_dtypes(dtype_backend="pyarrow").astype(
        {"f": "double[pyarrow]", "t": "timestamp[us][pyarrow]"}
    )

    assert logical_of(arrow) == logical_of(plain)


def test_polars_has_the_hash_of_pandas() -> None:
    polars = pytest.importorskip("polars")
    values = {
        "i": [1, None], "f": [0.5, None], "b": [True, None], "s": ["x", None], "e": [None, None],
        "d": [dt.date(2024, 1, 2), None], "t": [pd.Timestamp("2024-01-02 03:04:05"), None],
        "p": [dt.timedelta(1), None],
    }  # fmt: skip
    frame = polars.DataFrame(values)
    other = pd.DataFrame(values).astype({"i": "Int64", "b": "boolean"})

    assert logical_of(frame) == logical_of(frame.lazy()) == logical_of(other)


@pytest.mark.parametrize(
    "other",
    [
        CASES.assign(n=[1, -2, 3]),
        CASES.assign(n=CASES["n"].astype(float)),
        CASES.assign(n=CASES["n"].astype(str)),
        CASES.rename(columns={"n": "N"}),
        CASES[CASES.columns[::-1]],
        CASES.iloc[::-1].reset_index(drop=True),
        CASES.iloc[::-1],
        CASES.head(2),
        CASES.assign(kind=["a", "", "b"]),
    ],
)
def test_another_value_kind_name_or_order_is_another_hash(other: pd.DataFrame) -> None:
    assert logical_of(other) != logical_of(CASES)


VALUES = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=4), min_size=1, max_size=6)


@given(VALUES, VALUES)
def test_two_columns_of_text_are_alike_only_if_their_values_are(one: list[str | None], other: list[str | None]) -> None:
    hashes = [logical.of_table([("x", pd.Series(values, dtype=object))], len(values)) for values in (one, other)]

    assert (hashes[0] == hashes[1]) == (one == other)


def test_the_hash_does_not_depend_on_the_pieces_it_is_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logical, "_ROWS", 2)

    assert logical_of(CASES) == sha256(CASES_TEXT)


def test_memory_does_not_grow_with_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logical, "_ROWS", 5_000)

    def peak(rows: int) -> int:
        frame = pd.DataFrame({"n": np.arange(rows), "share": np.arange(rows) / 7, "s": np.full(rows, "text")})
        tracemalloc.start()
        logical_of(frame)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    peak(5_000)  # what is imported and cached at first use

    assert peak(40_000) < 2 * peak(10_000)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"a,b\r\n1,2\r\n", b"a,b\n1,2\n", b"a,b\r1,2\r", b"\xef\xbb\xbfa,b\r\n1,2\n"])
def test_a_text_file_is_the_same_whatever_its_line_ends(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)

    assert of_file(path) == (len(content), sha256(content), sha256(b"a,b\n1,2\n"))


def test_text_is_known_by_its_name_or_by_its_bytes(tmp_path: Path) -> None:
    files = {"latin.csv": b"\xfc\r\n", "script.R": "ü\r\n".encode(), "x.bin": b"\xff\r\n", "y.csv": b"\0\r\n"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    normalised = {name: of_file(tmp_path / name).logical != sha256(content) for name, content in files.items()}

    assert normalised == {"latin.csv": True, "script.R": True, "x.bin": False, "y.csv": False}


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "ü".encode()]), max_size=40), st.integers(1, 9))
def test_line_ends_are_one_however_the_file_is_cut_in_reading(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], size: int
) -> None:
    content = b"".join(parts)
    path = tmp_path_factory.mktemp("cut") / "t.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logical, "_BYTES", size)
        hashes = of_file(path)

    assert hashes == (len(content), sha256(content), sha256(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")))


def _has_arrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True
