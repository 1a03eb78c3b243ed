"""One content, one hash, whatever holds it: a table is hashed as the CSV it is sent as, a text whatever its line ends.

The expected texts are the same with pandas 2.2 without pyarrow and with pandas 3 with it.
"""

import datetime as dt
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.workspace import inputs
from ipython_assistant.workspace.inputs import gather, read_hashes


def sha256(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def logical_of(frame):
    with tempfile.TemporaryDirectory() as scratch:
        (item,) = gather(["frame"], {"frame": frame}, Path(scratch), lambda: Path(scratch))
        return item.logical


CASES = pd.DataFrame(
    {
        "IU code": ["00412", None, 'Süd\n"x"'],
        "n": [1, -2, 9_007_199_254_740_993],
        "share": [0.1, float("nan"), 3.0],
        "day": pd.to_datetime(["2024-01-31", None, "1999-12-31"]),
        "at": pd.to_datetime(["2024-01-31 12:30:00", "2024-01-31 12:30:00.250", None], format="ISO8601"),
        "zone": pd.to_datetime(["2024-07-01 12:00", None, "2024-01-01 00:00"]).tz_localize("Europe/Berlin"),
        "gaps": pd.array([1, None, 3], dtype="Int64"),
        "maybe": pd.array([True, None, False], dtype="boolean"),
        "kind": pd.Categorical(["a", None, "b"], categories=["b", "a"]),
        "took": pd.to_timedelta(["1s", None, "1 days"]),
    }
)
CASES_TEXT = """\
IU code,n,share,day,at,zone,gaps,maybe,kind,took
00412,1,0.1,2024-01-31,2024-01-31 12:30:00.000,2024-07-01 12:00:00+02:00,1,True,a,0 days 00:00:01
,-2,,,2024-01-31 12:30:00.250,,,,,
"Süd
""x\""",9007199254740993,3.0,1999-12-31,,2024-01-01 00:00:00+01:00,3,False,b,1 days 00:00:00
"""


def test_a_table_has_the_hash_of_its_csv_which_stays_what_it_is():
    assert logical_of(CASES) == sha256(CASES_TEXT)


@pytest.mark.parametrize("dtype", ["object", "string", "category", "string[pyarrow]"])
def test_text_is_the_same_in_every_dtype_that_holds_it(dtype):
    pytest.importorskip("pyarrow") if "pyarrow" in dtype else None
    assert logical_of(pd.DataFrame({"x": pd.Series(["a", None, "ü"], dtype=dtype)})) == sha256('x\na\n""\nü\n')


def test_polars_has_the_hash_of_pandas():
    polars = pytest.importorskip("polars")
    values = {"i": [1, None], "f": [0.5, None], "b": [True, None], "s": ["x", None], "d": [dt.date(2024, 1, 2), None]}
    frame = polars.DataFrame(values)
    other = pd.DataFrame(values).astype({"i": "Int64", "b": "boolean"})
    assert logical_of(frame) == logical_of(frame.lazy()) == logical_of(other)


@pytest.mark.parametrize("other", [
    CASES.assign(n=[1, -2, 3]), CASES.rename(columns={"n": "N"}), CASES[CASES.columns[::-1]], CASES.iloc[::-1],
    CASES.assign(kind=["a", "", "c"]),
])  # fmt: skip
def test_another_value_name_or_order_is_another_hash(other):
    assert logical_of(other) != logical_of(CASES)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_of_any_resolution_are_the_same(unit):
    frame = pd.DataFrame({"t": np.array(["2024-01-02T03:04:05", "NaT"], dtype=f"datetime64[{unit}]")})
    assert logical_of(frame) == sha256('t\n2024-01-02 03:04:05\n""\n')


@pytest.mark.parametrize(("name", "content", "text"), [
    ("t.csv", b"a,b\r\n1,2\r\n", b"a,b\n1,2\n"),
    ("t.csv", b"a,b\r1,2\r", b"a,b\n1,2\n"),
    ("t.csv", b"\xef\xbb\xbfa,b\n1,2\n", b"a,b\n1,2\n"),
    ("latin.csv", b"\xfc\r\n", b"\xfc\n"),
    ("x.bin", b"\0\r\n", b"\0\r\n"),
])  # fmt: skip
def test_a_text_file_is_the_same_whatever_its_line_ends(tmp_path, name, content, text):
    path = tmp_path / name
    path.write_bytes(content)
    read = read_hashes(path)
    assert (read.size, read.sha256, read.logical) == (len(content), sha256(content), sha256(text))


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "ü".encode()]), max_size=40), st.integers(1, 9))
def test_line_ends_are_one_however_the_file_is_cut_in_reading(tmp_path_factory, parts, size):
    content = b"".join(parts)
    path = tmp_path_factory.mktemp("cut") / "t.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inputs, "_PIECE_BYTES", size)
        read = read_hashes(path)
    assert read.logical == sha256(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
