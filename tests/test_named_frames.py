"""workspace.tables: the DataFrame that -o names, with the dtypes of what went in."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tests_support.cases import cases
from tests_support.files import artifact, write

from ipython_assistant.workspace.inputs import gather
from ipython_assistant.workspace.tables import named_frame, restored


def saved(folder, name, content="a,b\n1,2\n", own_name=""):
    return replace(write(folder / name, content), own_name=own_name or name)


@cases(("name", "files"), {
    "the stem": ("by_district", [("plot.png",), ("by_district.csv", "x\n1\n"), ("other.csv",)]),
    "the whole name": ("by_district.csv", [("plot.png",), ("by_district.csv", "x\n1\n"), ("other.csv",)]),
    "the model's own name first": ("x", [("x.csv", "old\n1\n", "y.csv"), ("x-2.csv", "x\n1\n", "x.csv")]),
    "the saved name": ("x-2", [("x.csv", "old\n1\n", "y.csv"), ("x-2.csv", "x\n1\n", "x.csv")]),
    "another case": ("means", [("Means.csv", "x\n1\n")]),
    "the same case first": ("means", [("Means.csv", "upper\n1\n"), ("means.tsv", "x\n1\n")]),
    "the one that can be read": ("t", [("t.json", '[{"j": 1}]'), ("t.csv", "x\n1\n"), ("t.parquet", b""), ("t.png",)]),
    "JSON where there is no other": ("t", [("t.json", '[{"x": 1}]')]),
})  # fmt: skip
def test_the_table_that_suits_the_name_best_is_a_frame(tmp_path, name, files):
    assert named_frame([saved(tmp_path, *file) for file in files], name).frame.to_dict("list") == {"x": [1]}


@pytest.mark.parametrize(("files", "reason"), [
    ([], "the answer came with no file."), ([("plot.png", b"")], "the answer came with plot.png."),
    ([("a.csv", b"x\n1\n"), ("b.png", b"")], "the answer came with a.csv, b.png."),
    ([("t.png", b"")], "t.png is not a table."), ([("t.csv", b"")], "t.csv is empty."),
])  # fmt: skip
def test_where_it_did_not_come_the_reason_says_what_did(tmp_path, files, reason):
    assert named_frame([saved(tmp_path, *file) for file in files], "t") == reason


def everything(rows):
    count = np.arange(rows)
    frame = pd.DataFrame({
        "code": [f"{n % 997:05d}" for n in count],
        "digits": [str(n) for n in count],
        "country": ["NA" if n % 3 else "ZA" for n in count],
        "date as text": "2024-01-31",
        "n": count * 7,
        "small": (count % 100).astype("int8"),
        "share": count / 7,
        "single": (count / 7).astype("float32"),
        "treated": count % 2 == 0,
        "day": pd.Timestamp("2000-01-01") + pd.to_timedelta(count, unit="D"),
        "moment": pd.Timestamp("2000-01-01 12:00", tz="Europe/Berlin") + pd.to_timedelta(count, unit="h"),
        "lasted": pd.to_timedelta(count, unit="s"),
        "district": pd.Categorical(np.array(["North", "South"])[count % 2], ["South", "North", "East"]),
        "grade": pd.Categorical(count % 3, [2, 1, 0], ordered=True),
    })  # fmt: skip
    gaps = pd.Series(count % 5 == 0)
    return frame.assign(**{
        "n with gaps": frame["n"].astype("Int64").mask(gaps),
        "treated with gaps": frame["treated"].astype("boolean").mask(gaps),
        "day with gaps": frame["day"].mask(gaps),
        "code with gaps": frame["code"].mask(gaps),
        "string": frame["digits"].astype("string").mask(gaps),
        "district with gaps": frame["district"].mask(gaps),
    })  # fmt: skip


def test_what_goes_in_comes_out_with_equal_dtypes_and_values(tmp_path):
    frame = everything(2_000)
    (item,) = gather(["x"], {"x": frame}, tmp_path, lambda: tmp_path)
    back = replace(artifact("x.csv"), path=item.path, size=item.size, sha256=item.sha256)
    assert_frame_equal(named_frame([back], "x", dict(item.dtypes)).frame, frame)


@pytest.mark.parametrize(("values", "dtype"), [
    (["North", "Total"], pd.CategoricalDtype(["North"])), ([1.5, 2.0], np.dtype("int64")), ([300], np.dtype("int8")),
    ([-1], np.dtype("uint8")), ([2**60 + 1], np.dtype("float64")), (["2024-Q1"], np.dtype("datetime64[ns]")),
    (["2024-01-01"], pd.DatetimeTZDtype(tz="UTC")), ([0, 1], np.dtype("bool")), (["all", "1"], np.dtype("int64")),
    ([True, False], np.dtype("int64")), ([0.5], "str"), (["x"], np.dtype("timedelta64[ns]")),
    (["x"], np.dtype("object")), (pd.DataFrame([[1, 2]], columns=["x", "x"]), np.dtype("float64")),
])  # fmt: skip
def test_a_column_that_would_change_or_shares_its_name_stays_as_it_came(values, dtype):
    frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame({"x": values})
    assert_frame_equal(restored(frame, {"x": dtype}), frame)


@pytest.mark.parametrize(("values", "dtype", "expected"), [
    ([1.0, None], np.dtype("int64"), "Int64"), ([1.0, None], np.dtype("uint8"), "UInt8"),
    ([1, 2], np.dtype("float64"), "float64"), ([1, 2], np.dtype("int32"), "int32"),
])  # fmt: skip
def test_gaps_that_came_with_the_answer_take_the_dtype_that_can_hold_them(values, dtype, expected):
    column = restored(pd.DataFrame({"x": values}), {"x": dtype, "other": dtype})["x"]
    assert str(column.dtype) == expected
    assert column.isna().tolist() == [value is None for value in values]
