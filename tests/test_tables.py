"""The head and the true size of a table, read from the file alone; the whole as a DataFrame when asked."""

from __future__ import annotations

import csv
import json
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.artifacts import TableHead
from ipython_assistant.workspace import tables
from ipython_assistant.workspace.tables import read_frame, read_head

if TYPE_CHECKING:
    import pandas as pd

CSV = "text/csv"
TSV = "text/tab-separated-values"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def head_of(path: Path, content: str | bytes, media_type: str = CSV, rows: int = 10) -> TableHead | None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_head(path, media_type, rows)


def test_a_table_is_read_with_its_header_its_cells_and_its_true_size(path: Path) -> None:
    rows = "".join(f"{number},x{number}\n" for number in range(1234))

    head = head_of(path, f"n,name\n{rows}", rows=2)

    assert head == TableHead(("n", "name"), (("0", "x0"), ("1", "x1")), 1234)
    assert head.column_count == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(path: Path, delimiter: str) -> None:
    content = "".join(delimiter.join(row) + "\n" for row in (("a", "b", "c"), ("1", "2", "3"), ("4", "5", "6")))

    assert head_of(path, content) == TableHead(("a", "b", "c"), (("1", "2", "3"), ("4", "5", "6")), 2)


def test_decimal_commas_are_not_delimiters(path: Path) -> None:
    assert head_of(path, "district;mean\nA;1,5\nB;2,25\n") == TableHead(
        ("district", "mean"), (("A", "1,5"), ("B", "2,25")), 2
    )


def test_a_column_of_sentences_is_one_column(path: Path) -> None:
    head = head_of(path, '"note"\n"one, two; three"\n"four, five"\n')

    assert head == TableHead(("note",), (("one, two; three",), ("four, five",)), 2)


def test_a_tab_separated_file_may_hold_commas(path: Path) -> None:
    assert head_of(path, "a\tb,c\n1,2\t3,4\n", TSV) == TableHead(("a", "b,c"), (("1,2", "3,4"),), 1)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_quoted_line_ends_are_part_of_a_cell_and_of_no_count(path: Path, line_end: str) -> None:
    content = line_end.join(["a,b", '"one\ntwo",2', "3,4", ""])

    assert head_of(path, content) == TableHead(("a", "b"), (("one\ntwo", "2"), ("3", "4")), 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_the_encoding_is_found(path: Path, encoding: str) -> None:
    assert head_of(path, "ort,wert\nMünchen,1\n".encode(encoding)) == TableHead(("ort", "wert"), (("München", "1"),), 1)


def test_an_encoding_that_turns_out_wrong_late_in_the_file_is_changed(path: Path) -> None:
    content = ("a,b\n" + "1,2\n" * 100_000 + "Zürich,3\n").encode("cp1252")

    assert head_of(path, content, rows=1) == TableHead(("a", "b"), (("1", "2"),), 100_001)


def test_bytes_that_are_no_windows_text_are_read_too(path: Path) -> None:
    assert head_of(path, b"a,b\n\x81,\xe4\n") == TableHead(("a", "b"), (("\x81", "ä"),), 1)


def test_missing_cells_are_none(path: Path) -> None:
    assert head_of(path, "a,b,c\n1,,\n,,3\n") == TableHead(("a", "b", "c"), (("1", None, None), (None, None, "3")), 2)


def test_short_rows_are_filled_and_long_ones_widen_the_table(path: Path) -> None:
    assert head_of(path, "a,b\n1\n1,2,3\n") == TableHead(
        ("a", "b", "Unnamed: 2"), (("1", None, None), ("1", "2", "3")), 2
    )


def test_blank_lines_do_not_count(path: Path) -> None:
    assert head_of(path, "\na,b\n\n1,2\n\n\n3,4\n\n") == TableHead(("a", "b"), (("1", "2"), ("3", "4")), 2)


def test_a_header_without_rows_is_a_table(path: Path) -> None:
    assert head_of(path, "a,b\n") == TableHead(("a", "b"), (), 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"   \n",
        b",,\n1,2,3\n",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"<!DOCTYPE html>\n<html>",
        b"  <html><body>",
        b'<?xml version="1.0"?>',
        b"a,b\n" + b'"' + b"x" * 200_000,
    ],
    ids=lambda content: ascii(content[:12]),
)
def test_what_is_not_a_table_has_no_head(path: Path, content: bytes) -> None:
    assert head_of(path, content) is None
    with pytest.raises(ValueError, match=r"table\.csv cannot be read as a table"):
        read_frame(path, CSV)


@pytest.mark.parametrize("media_type", ["text/plain", "application/pdf", "image/png", ""])
def test_only_tables_are_read(path: Path, media_type: str) -> None:
    assert head_of(path, "a,b\n1,2\n", media_type) is None


def test_a_file_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_head(path, CSV)


def test_memory_does_not_grow_with_the_file(path: Path) -> None:
    path.write_text("a,b\n" + "some text,1234\n" * 300_000)

    tracemalloc.start()
    head = read_head(path, CSV)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert head is not None
    assert head.row_count == 300_000
    assert peak < path.stat().st_size / 4


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *rows])

    assert read_head(path, CSV) == TableHead(
        ("x", "y", "z"), tuple(tuple(cell or None for cell in row) for row in rows), len(rows)
    )


# --- the whole --------------------------------------------------------------------------------------------------------


def frame_of(path: Path, content: str | bytes, media_type: str = CSV) -> pd.DataFrame:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_frame(path, media_type)


def test_codes_with_leading_zeros_stay_text_and_numbers_become_numbers(path: Path) -> None:
    frame = frame_of(path, "code,n,share\n00412,1,0.5\n1200,2,\n")

    assert frame["code"].tolist() == ["00412", "1200"]
    assert frame["n"].tolist() == [1, 2]
    assert frame["share"].isna().tolist() == [False, True]


def test_a_code_late_in_the_file_keeps_the_whole_column_text(path: Path) -> None:
    frame = frame_of(path, "code\n" + "12\n" * 5000 + "007\n")

    assert frame["code"].iloc[0] == "12"
    assert frame["code"].iloc[-1] == "007"


def test_zero_itself_is_a_number(path: Path) -> None:
    assert frame_of(path, "n,m\n0,0.25\n10,-0.5\n").to_dict("list") == {"n": [0, 10], "m": [0.25, -0.5]}


@pytest.mark.parametrize(("content", "media_type"), [("a;b\n1;x\n", CSV), ("a\tb\n1\tx\n", TSV), ("a,b\n1,x\n", CSV)])
def test_a_frame_is_read_with_the_delimiter_of_its_head(path: Path, content: str, media_type: str) -> None:
    assert frame_of(path, content, media_type).to_dict("list") == {"a": [1], "b": ["x"]}


def test_a_frame_is_read_in_the_encoding_of_its_head(path: Path) -> None:
    assert frame_of(path, "ort;n\nMünchen;1\n".encode("cp1252"))["ort"].tolist() == ["München"]


def test_columns_of_one_name_are_told_apart(path: Path) -> None:
    frame = frame_of(path, "a,a,a.1,a\n01,2,3,4\n")

    assert frame.columns.tolist() == ["a", "a.2", "a.1", "a.3"]
    assert frame.iloc[0].tolist() == ["01", 2, 3, 4]
    assert [str(kind) for kind in frame.dtypes[1:]] == ["int64"] * 3


def test_ragged_rows_lose_nothing_in_a_frame(path: Path) -> None:
    frame = frame_of(path, "a,b\n1\n1,2\n1,2,3\n")

    assert frame.columns.tolist() == ["a", "b", "Unnamed: 2"]
    assert frame["Unnamed: 2"].iloc[2] == 3


def test_the_frame_has_as_many_rows_as_the_head_says(path: Path) -> None:
    content = 'a,b\n\n"x\ny",1\n\nz,2\n'

    assert len(frame_of(path, content)) == read_head(path, CSV).row_count == 2


def test_a_header_over_two_lines_is_one_header(path: Path) -> None:
    frame = frame_of(path, '\n\n"x\ny",b\n1,2\n')

    assert frame.to_dict("list") == {"x\ny": [1], "b": [2]}


# --- very large ones --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_rows_of_a_very_large_file_are_estimated_to_two_digits(
    path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setattr(tables, "EXACT_BYTES", 1_000_000)
    content = "id,name\n" + "".join(f"{number},{quote}name{number}{quote}\n" for number in range(200_000))

    head = head_of(path, content)

    assert head == TableHead(("id", "name"), head.rows, head.row_count, estimated=True)
    assert head.rows[1] == ("1", "name1")
    assert head.row_count == 200_000


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\r", '\n"x\ny",1', "\n\r\n1,2"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_rows_are_counted_alike_with_and_without_parsing(
    path: Path, monkeypatch: pytest.MonkeyPatch, end: str, line_end: str
) -> None:
    content = line_end.join(["a,b", *["1,ü"] * 200_000]) + end
    counted = head_of(path, content, rows=1)
    monkeypatch.setattr(tables, "_plain_lines", lambda *_: (0, 0))

    assert counted == head_of(path, content, rows=1)
    assert not counted.estimated


@given(
    st.lists(st.sampled_from(["1,2", "", '"x\ny",1', "ü,2", "3", '"', "\r", '"a""b"']), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    st.integers(1, 12),
)
def test_a_file_is_counted_as_the_csv_module_does_and_whoever_looks_on_sees_each_byte_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], line_end: str, encoding: str, piece: int
) -> None:
    content = line_end.join(["a,b", *lines]).encode(encoding)
    path = tmp_path_factory.mktemp("count") / "t.csv"
    path.write_bytes(content)
    seen = bytearray(len(content))

    def look_on(offset: int, passed: bytes) -> None:
        seen[offset : offset + len(passed)] = passed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "_PIECE_BYTES", piece)
        head = read_head(path, CSV, rows=0, passing=look_on)

    with path.open(newline="", encoding=encoding) as file:
        records = [record for record in csv.reader(file) if record]
    assert head is not None
    assert head.row_count == len(records) - 1
    assert bytes(seen) == content


# --- JSON -------------------------------------------------------------------------------------------------------------

JSON = "application/json"
LINES = "application/x-ndjson"


def test_json_records_are_a_table_with_the_keys_of_all(path: Path) -> None:
    content = '[{"a": 1, "b": "x"},\n {"a": 0.5, "c": [1, {"d": null}]}, {"b": null, "a": true}]'

    assert head_of(path, content, JSON, rows=2) == TableHead(
        ("a", "b", "c"), (("1", "x", None), ("0.5", None, '[1, {"d": null}]')), 3
    )


def test_json_lines_are_a_table_by_type_or_by_name(tmp_path: Path) -> None:
    content = '{"a": "007"}\n\n{"a": "ü"}\n'
    expected = TableHead(("a",), (("007",), ("ü",)), 2)

    assert head_of(tmp_path / "t.json", content, LINES) == expected
    assert head_of(tmp_path / "t.jsonl", content, "application/octet-stream") == expected


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[1, 2]",
        '{"a": {"0": 1}}',
        '[{"a": 1}',
        '[{"a": 1}, 2]',
        '[{"a": 1} x',
        "[{}]",
        "[" * 100_000,
        '[{"a":' + "[" * 100_000,
        '[{"a": "' + "x" * 5_000_000,
        b"\xff\xfe[",
        "null",
        "<html>",
    ],
    ids=lambda content: ascii(content[:12]),
)
@pytest.mark.parametrize("media_type", [JSON, LINES])
def test_other_json_is_no_table(path: Path, content: str | bytes, media_type: str) -> None:
    if media_type == LINES and content in {"{}"}:
        pytest.skip("one record without keys is tested as an array")
    if media_type == LINES and content == '{"a": {"0": 1}}':
        assert head_of(path, content, media_type) == TableHead(("a",), (('{"0": 1}',),), 1)
        return

    assert head_of(path, content, media_type) is None


@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=5),
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=9),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([None, 1]),
    st.integers(1, 40),
)
def test_records_are_found_however_the_file_is_cut_in_reading(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], indent: int | None, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("json") / "t.json"
    path.write_text(json.dumps(records, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ipython_assistant.workspace.records._CHUNK", chunk)
        head = read_head(path, JSON)

    assert head is not None
    assert head.row_count == len(records)
    assert set(head.columns) == {key for record in records for key in record}


def test_the_records_of_a_very_large_file_are_estimated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipython_assistant.workspace.records.EXACT_BYTES", 100_000)
    records = [{"n": number + 100_000, "name": f"name{number % 7}"} for number in range(50_000)]

    as_array = head_of(path, json.dumps(records), JSON, rows=1)
    as_lines = head_of(path, "\n".join(map(json.dumps, records)), LINES, rows=1)

    assert as_array == as_lines == TableHead(("n", "name"), (("100000", "name0"),), 50_000, estimated=True)


def test_a_frame_of_json_keeps_what_is_text_as_text(path: Path) -> None:
    frame = frame_of(path, '[{"code": "007", "n": 1}, {"code": "12", "n": 2}]', JSON)

    assert frame.to_dict("list") == {"code": ["007", "12"], "n": [1, 2]}


# --- Excel and Parquet ------------------------------------------------------------------------------------------------

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET = "application/vnd.apache.parquet"


def test_a_workbook_is_read_where_its_reader_is_installed(path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("code", "n", None), ("007", 1, None), (None, None, None), ("12", None, "x")]:
        book.active.append(row)
    book.save(path.with_suffix(".xlsx"))

    head = read_head(path.with_suffix(".xlsx"), EXCEL)

    assert head == TableHead(("code", "n", "Unnamed: 2"), (("007", "1", None), ("12", None, "x")), 2)
    assert read_frame(path.with_suffix(".xlsx"), EXCEL)["code"].tolist() == ["007", "12"]


def test_a_parquet_file_is_read_where_its_reader_is_installed(path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"code": ["007"] * 5000, "n": [None, *range(4999)]}), path)

    head = read_head(path, PARQUET, rows=2)

    assert head == TableHead(("code", "n"), (("007", None), ("007", "0")), 5000)
    assert read_frame(path, PARQUET)["code"].tolist() == ["007"] * 5000


@pytest.mark.parametrize("media_type", [EXCEL, PARQUET])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PAR1", b"a,b\n1,2\n"])
def test_what_is_no_workbook_and_no_parquet_file_is_left_to_the_card(
    path: Path, content: bytes, media_type: str
) -> None:
    assert head_of(path, content, media_type) is None


def test_without_its_reader_a_workbook_is_left_to_the_card(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")

    assert read_head(path, EXCEL) is None
    with pytest.raises(ImportError):
        read_frame(path, EXCEL)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(b"[]", JSON), (b'[{"a": 1}', JSON), (b'{"a": 1}\nx', LINES), (b"PK", EXCEL), (b"PAR1", PARQUET), (b"\n", CSV)],
)
def test_what_is_no_table_is_no_frame(path: Path, content: bytes, media_type: str) -> None:
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"table\.csv cannot be read as a table"):
        read_frame(path, media_type)


def test_a_frame_is_read_without_counting_its_rows_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text('a,b\n1,"x"\n')

    def counting(*_: object) -> int:
        raise AssertionError("The rows are counted.")

    monkeypatch.setattr(tables, "_record_count", counting)

    assert read_frame(path, CSV).to_dict("list") == {"a": [1], "b": ["x"]}


# --- dtypes and the index ---------------------------------------------------------------------------------------------


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    import pandas as pd

    return {name: pd.api.types.infer_dtype(frame[name], skipna=True) for name in frame.columns}


def test_namibia_and_treatments_called_none_are_no_gaps(path: Path) -> None:
    frame = frame_of(path, "country,treatment,n\nNA,None,1\nZA,null,NA\n,surgery,3\nnan,N/A,4\n")

    assert frame["country"].isna().tolist() == [False, False, True, True]
    assert frame["country"].tolist()[:2] == ["NA", "ZA"]
    assert frame["treatment"].tolist() == ["None", "null", "surgery", "N/A"]
    assert frame["n"].isna().tolist() == [False, True, False, False]


def test_a_table_of_namibia_alone_keeps_its_country(path: Path) -> None:
    frame = frame_of(path, "country,nothing,n\nNA,,1\nNA,,2\n")

    assert frame["country"].tolist() == ["NA", "NA"]
    assert frame["nothing"].isna().all()


def test_gaps_among_codes_and_in_ragged_rows_are_gaps(path: Path) -> None:
    frame = frame_of(path, "code,name\n001,x\n,NA,late\n003\n")

    assert frame["code"].isna().tolist() == [False, True, False]
    assert frame["name"].tolist()[:2] == ["x", "NA"]
    assert frame["Unnamed: 2"].tolist()[1] == "late"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["2024-01-31", "1999-12-01"], "datetime64"),
        (["2024-01-31", ""], "datetime64"),
        (["2024-01-31 12:30", "2024-01-31T12:30:05.25"], "datetime64"),
        (["2024-01-31T12:30:00Z"], "datetime64"),
        (["2024-01-31", "soon"], "string"),
        (["2024-02-30"], "string"),
        (["31.01.2024", "01/02/2024"], "string"),
        (["2024-01", "2024-W05"], "string"),
        (["20240131"], "integer"),
        (["True", "False"], "boolean"),
        (["True", ""], "boolean"),
        (["yes", "no"], "string"),
        (["1", "2.5"], "floating"),
    ],
)
def test_iso_dates_and_truth_values_are_read_as_such_and_nothing_is_guessed(
    path: Path, cells: list[str], kind: str
) -> None:
    frame = frame_of(path, "".join(f"{cell},1\n" for cell in ("x", *cells)))

    assert kinds(frame)["x"] == kind
    assert len(frame) == len(cells)


def test_what_is_known_to_be_text_is_read_as_it_is_written(path: Path) -> None:
    path.write_text("a,b,c,d\n1,2024-01-01,True,1e5\n2,2024-01-02,NA,007\n")
    frame = read_frame(path, CSV, dict.fromkeys("abcdx", "str"))

    assert frame.to_dict("list") == {
        "a": ["1", "2"], "b": ["2024-01-01", "2024-01-02"], "c": ["True", "NA"], "d": ["1e5", "007"],
    }  # fmt: skip


def test_numbers_are_read_to_their_last_digit(path: Path) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 1e-300, 123456.789012345678, 5e-324]

    assert frame_of(path, "x\n" + "".join(f"{number!r}\n" for number in numbers))["x"].tolist() == numbers


@pytest.mark.parametrize(
    ("content", "columns", "index"),
    [
        (",a\n0,x\n1,y\n", ["a"], [0, 1]),
        (",a\nNorth,x\nSouth,y\n", ["a"], ["North", "South"]),
        (",a\n7,x\n3,y\n", ["a"], [7, 3]),
        (",a\n2024-01-01,x\n2024-01-02,y\n", ["a"], None),
        (",a\nNorth,x\nNorth,y\n", ["Unnamed: 0", "a"], [0, 1]),
        (",a\n,x\nNorth,y\n", ["Unnamed: 0", "a"], [0, 1]),
        ("a,\n0,x\n1,y\n", ["a", "Unnamed: 1"], [0, 1]),
        (",\n", None, None),
    ],
)
def test_an_index_that_pandas_saved_is_one_again(
    path: Path, content: str, columns: list[str] | None, index: list[Any] | None
) -> None:
    if columns is None:
        assert head_of(path, content) is None
        return
    frame = frame_of(path, content)

    assert frame.columns.tolist() == columns
    assert frame.index.name is None
    if index is not None:
        assert frame.index.tolist() == index


def test_dates_in_json_are_dates(path: Path) -> None:
    frame = frame_of(path, '[{"day": "2024-01-31", "code": "007"}, {"day": null, "code": "x"}]', JSON)

    assert kinds(frame) == {"day": "datetime64", "code": "string"}
