"""workspace.tables: heads and DataFrames of files as people have them, or the reason why a file is no table."""

import csv
import gzip
import io
import json
import sys
import tracemalloc
import zipfile
from importlib import import_module
from importlib.util import find_spec

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.files import workbook, write

from ipython_assistant.core.naming import media_type
from ipython_assistant.workspace import csv_tables, sheets
from ipython_assistant.workspace.csv_tables import NotATable
from ipython_assistant.workspace.tables import read_frame, read_head, read_table

NEEDS_OPENPYXL = pytest.mark.skipif(find_spec("openpyxl") is None, reason="pip install openpyxl")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.csv"


def written(path, content):
    return write(path, content).path


def head_of(path, content, rows=10):
    return read_head(written(path, content), media_type(path.name), rows)


def frame_of(path, content):
    return read_frame(written(path, content), media_type(path.name))


def shown(head):
    return head.columns, head.rows, head.row_count


def test_a_head_has_the_first_rows_and_the_true_size(path):
    head = head_of(path, "n,name\n" + "".join(f"{number},x{number}\n" for number in range(1234)), rows=2)
    assert shown(head) == (("n", "name"), (("0", "x0"), ("1", "x1")), 1234)
    assert (head.dtypes, head.notes, head.read_with) == (("int64", "str"), (), "")


@pytest.mark.parametrize(("content", "columns", "rows"), [
    ("a;b\n1;2\n", ("a", "b"), (("1", "2"),)), ("a\tb,c\n1,2\t3,4\n", ("a", "b,c"), (("1,2", "3,4"),)),
    ("a|b\n1|2\n", ("a", "b"), (("1", "2"),)), ('"note"\n"one, two; three"\n', ("note",), (("one, two; three",),)),
    ("district;mean\nA;1,5\nB;2,25\n", ("district", "mean"), (("A", "1,5"), ("B", "2,25"))),
    ("sep=;\r\na;b\r\n1;2\r\n", ("a", "b"), (("1", "2"),)),
    ('a,b\r\n"one\ntwo",2\r\n', ("a", "b"), (("one\ntwo", "2"),)),
    ('a,b\r"one\ntwo",2\r', ("a", "b"), (("one\ntwo", "2"),)),
    ("a,b\r\n1,2\n3,4\r5,6\r\n", ("a", "b"), (("1", "2"), ("3", "4"), ("5", "6"))),
    ("\na,b\n\n1,\n\n\n,4\n\n", ("a", "b"), (("1", None), (None, "4"))),
    ("a,b,\n1,2,\n", ("a", "b"), (("1", "2"),)), (",a\nx,1\ny,2\n", ("Unnamed: 0", "a"), (("x", "1"), ("y", "2"))),
    ("a,b\nx,1,2\ny,3,4\n", ("Unnamed: 0", "a", "b"), (("x", "1", "2"), ("y", "3", "4"))),
    ("a,b\n", ("a", "b"), ()), ("ort,wert\nMünchen,1\n".encode("utf-8-sig"), ("ort", "wert"), (("München", "1"),)),
    ("ort,wert\nMünchen,1\n".encode("utf-16"), ("ort", "wert"), (("München", "1"),)),
    ("ort,wert\nGröße,1\n".encode("latin-1"), ("ort", "wert"), (("Größe", "1"),)),
])  # fmt: skip
def test_separator_line_ends_blank_lines_and_encoding_are_found(path, content, columns, rows):
    assert shown(head_of(path, content)) == (columns, rows, len(rows))
    assert len(frame_of(path, content)) == len(rows)


def test_an_encoding_that_turns_out_wrong_late_is_changed_and_a_late_code_keeps_its_column_text(path):
    content = ("code,b\n" + "12,x\n" * 20_000 + "007,Zürich\n").encode("cp1252")
    assert head_of(path, content).row_count == 20_001
    frame = frame_of(path, content)
    assert [frame["code"].iloc[0], *frame.iloc[-1]] == ["12", "007", "Zürich"]


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("x.csv", b"", "is empty"), ("x.csv", b"\n  \n,,\n", "is empty"),
    ("x.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is not a text file"),
    ("x.csv", b"  <html><body>", "holds a web page"),
    ("x.csv", b"a,b\n1,x\0y\n" + b"2,z\n" * 9, "a NUL character in line 2"),
    ("x.xlsx", b"<!DOCTYPE html><table>", "holds a web page"),
    ("x.csv", "地區,病例\n台北,10\n高雄,20\n".encode("big5"), "save it as UTF-8"),
    ("x.csv", b"\xf0\xe0\xe9\xee\xed,n\n\xd1\xe5\xe2\xe5\xf0,10\n", "save it as UTF-8"),
    ("x.csv", b"PK\x03\x04 and no more", "is a ZIP archive"),
    pytest.param("x.xlsx", b"PK\x03\x04 and no more", "is not a workbook", marks=NEEDS_OPENPYXL),
    ("x.csv.gz", gzip.compress(b"a,b\n" * 999, mtime=0)[:-9], "cannot be unpacked"),
    ("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
    ("x.csv", "x" * 16_000_001, "line of over 16,000,000 characters"),
    ("x.csv", "a" + "," * 20_001 + "\n" + "1" + "," * 20_001 + "2\n", "over 20,000 columns"),
    ("x.json", '{"meta": 1, "results": [{"id": 1}]}', "list of records, but has one under 'results'"),
    ("x.json", "[1, 2]", "list of records"), ("x.json", "[{}]", "no columns"),
    ("x.json", '[{"a":' + "[" * 100_000, "is not JSON"), ("x.jsonl", '{"a": 1}\n{"a": ', "one JSON object a line"),
    ("x.pdf", b"%PDF", "is not a table"),
])  # fmt: skip
def test_a_file_that_is_no_table_says_why(tmp_path, name, content, reason):
    path = written(tmp_path / name, content)
    for read in (read_head, read_table):
        with pytest.raises(NotATable) as caught:
            read(path, media_type(name))
        assert reason in str(caught.value)
    with pytest.raises(ValueError, match=rf"^{name} "):
        read_frame(path, media_type(name))


def days(*days):
    return pd.to_datetime([*days])


WORLD_BANK = '\ufeff"Source","Indicators",\r\n\r\n"Updated","2026-05-01",\r\n\r\n"Name","Code","2019","2020",\r\n"Kenya","KEN","88","91",\r\n"Chad","TCD","50","",\r\n'  # noqa: E501
SHAPES = {
    "titles above": (WORLD_BANK, {"2020": [91, None], "Name": ["Kenya", "Chad"]}, ["above the header"]),
    "a title with blanks": ("Cases,,\n,,\nd,n,m\nA,1,2\nB,3,4\n", {"n": [1, 3]}, ["above the header"]),
    "a header one short": ("a\nx,2\ny,4\n", {"a": [2, 4]}, []),
    "tags": ("d,n\n#adm1+name,#value\nA,1\nB,3\n", {"n": [1, 3]}, ["HXL"]),
    "footnotes": (
        'R,2023,2024\nN,100,110\nS,200,190\nTotal,300,300\n,,\n"Source: Ministry",,\n"a Provisional.",,\n',
        {"2023": [100, 200, 300]}, ["Below the table 3 lines", "a total"]),
    "one source": ("R,n\nN,1\nS,2\nSource: Ministry\n", {"n": [1, 2]}, ["Below the table 1 line"]),
    "ragged": ("a,b,c\n1,2,3\n4,5\n6,7,8,9\n", {"c": [3, None, 8], "Unnamed: 3": [None, None, 9]}, ["line 3 has 2"]),
    "twins": ("d,cases,cases\nN,10,100\n", {"cases": [10], "cases.1": [100]}, ["columns are called cases"]),
    "thousand points": (
        "L;E;F\nB;13.140.183;70.541,57\nT;2.108;16.202,39\n".encode("latin-1"),
        {"E": [13_140_183, 2_108], "F": [70_541.57, 16_202.39]}, ["E: 13.140.183 was read as 13140183", "F: 70.541"]),
    "points proven by another column": ("K;E;Q\nA;2.108;69,1\nB;13.140;74,5\n", {"E": [2108, 13_140]}, ["E: 2.108"]),
    "points that nothing proves": ("K;E\nA;2.108\nB;13.140\n", {"E": ["2.108", "13.140"]}, ["E: “2.108”"]),
    "decimal points in semicolons": ("K;E\nA;0.108\nB;13.140\n", {"E": [0.108, 13.14]}, []),
    "thousand commas": ('s,n\nA,"6,718"\nB,154\n', {"n": [6718, 154]}, ["n: 6,718 was read as 6718"]),
    "currency": ('s,n\nA,"$1,200.50"\nB,($3.00)\n', {"n": [1200.5, -3]}, ["$1,200.50 was read as 1200.5"]),
    "per cent": ("d,c\nN,85%\nS,70.5%\n", {"c": [85, 70.5]}, ["c: 85% was read as 85"]),
    "statistical marks": ("d,n\nA,..\nB,3\n", {"n": [None, 3]}, ["n: read as missing: .."]),
    "codes": ("fips,n\n01001,1\n48001,2\n", {"fips": ["01001", "48001"]}, []),
    "long identifiers": ("id\n12345678901234567891\n", {"id": ["12345678901234567891"]}, []),
    "day first": ("t\n01/02/2026\n25/02/2026\n", {"t": days("2026-02-01", "2026-02-25")}, ["25/02/2026 occurs"]),
    "month first": ("t\n5/19/2006 0:00:00\n2/3/2006\n", {"t": days("2006-05-19", "2006-02-03")}, ["month first"]),
    "day or month": ("t\n01/02/2026\n05/04/2026\n", {"t": ["01/02/2026", "05/04/2026"]}, ["day/month or month/day"]),
    "day and month": ("t\n25/02/2026\n02/25/2026\n", {"t": ["25/02/2026", "02/25/2026"]}, ["cannot both"]),
    "dates with points": ("t;w\n01.02.2026;1,5\n03.03.2026;4\n", {"t": days("2026-02-01", "2026-03-03")}, ["w: 1,5"]),
    "no such day": ("t\n2024-02-30\n", {"t": ["2024-02-30"]}, ["t: not every cell is a date"]),
    "versions": ("v\n1.2.34\n", {"v": ["1.2.34"]}, []),
    "spellings of yes": ("v,n\nYes,1\nNo,2\n,3\nY,4\n", {"v": [True, False, None, True]}, ["read as True: Y, Yes"]),
    "yes and no": ("v\nYes\nNo\n", {"v": ["Yes", "No"]}, []),
    "truth with gaps": ("v,n\nTRUE,1\n,2\nFALSE,3\n", {"v": [True, None, False]}, []),
    "Namibia": ("c,n\nNA,1\nZA,NA\n", {"c": ["NA", "ZA"], "n": [1, None]}, []),
    "only Namibia": ("c\nNA\nNA\n", {"c": ["NA", "NA"]}, []),
    "a polygon": ("a,b\n1," + f'"{"POLYGON (1 2, " * 15_000}"' + "\n", {"a": [1]}, []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_as_people_have_it_is_read_right_or_what_is_unsure_is_said(path, shape):
    content, columns, said = SHAPES[shape]
    head = head_of(path, content)
    table = read_table(path, "text/csv")
    for name, values in columns.items():
        column = table.frame[name]
        assert [None if pd.isna(value) else value for value in column] == list(values), name
    assert len(table.frame) == head.row_count
    assert tuple(table.frame.columns) == head.columns[-table.frame.shape[1] :]
    assert [words for words in said if not any(words in note for note in table.notes)] == [], table.notes
    assert bool(said) == bool(table.notes)
    if shape != "no such day":  # found only when every cell is converted
        assert head.notes == table.notes


@pytest.mark.parametrize(("shape", "column", "total"), [
    ("titles above", "2020", 91), ("tags", "n", 4), ("footnotes", "2024", 600), ("thousand points", "E", 13_142_291),
    ("thousand commas", "n", 6872), ("dates with points", "w", 5.5),
])  # fmt: skip
def test_pandas_reads_the_same_with_the_arguments_that_the_model_is_told(path, shape, column, total):
    arguments = eval(f"dict({head_of(path, SHAPES[shape][0]).read_with})")
    assert pd.read_csv(path, **arguments)[column].sum() == total


def test_a_column_that_is_known_to_be_text_stays_text(path):
    table = read_table(written(path, "digits,share\n12,85%\n"), "text/csv", {"digits": "str", "share": "str"})
    assert (table.frame.to_dict("list"), table.notes) == ({"digits": ["12"], "share": ["85%"]}, ())


def test_a_number_of_thousands_of_digits_is_text(path):
    assert frame_of(path, f'n\n"1{",000" * 1_500}"\n')["n"].iloc[0].endswith(",000")


def test_numbers_are_read_to_their_last_digit(path):
    numbers, whole = [0.1 + 0.2, 1 / 3, -2.5e-300], [9_007_199_254_740_993, 2, 3]
    frame = frame_of(path, "n,m\n" + "".join(f"{n!r},{m}\n" for n, m in zip(numbers, whole, strict=True)))
    assert frame.to_dict("list") == {"n": numbers, "m": whole}


def test_a_quotation_mark_that_is_never_closed_is_said(path):
    with pytest.raises(NotATable, match="never closed"):
        read_table(written(path, 'a,b\n1,"x\n' + "2,y\n" * 200), "text/csv")


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_the_cells_that_the_csv_module_writes_are_those_of_the_head(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *rows, ["1", "2", "3"]])
    head = read_head(path, "text/csv", rows=20)
    expected = tuple(tuple(cell or None for cell in row) for row in [*rows, ["1", "2", "3"]])
    assert shown(head) == (("x", "y", "z"), expected, len(expected))
    assert len(read_frame(path, "text/csv")) == len(expected)


def test_the_rows_of_a_very_large_file_are_estimated_by_its_lines(path, monkeypatch):
    monkeypatch.setattr(csv_tables, "EXACT_BYTES", 100_000)
    head = head_of(path, "id,name\n" + "".join(f'{number},"name{number}"\n' for number in range(50_000)))
    assert (head.row_count, head.estimated, head.rows[1]) == (50_000, True, ("1", "name1"))
    assert len(read_frame(path, "text/csv")) == 50_000


def test_the_memory_of_a_look_does_not_grow_with_the_file(path):
    def peak(rows):
        path.write_text("a,b\n" + "some text,1234\n" * rows)
        tracemalloc.start()
        head = read_head(path, "text/csv")
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert head.row_count == rows
        return taken

    assert peak(24_000) < 1.5 * peak(8_000)


def test_a_packed_file_is_unpacked_only_so_far(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_tables, "EXACT_BYTES", 1_000_000)
    monkeypatch.setattr(csv_tables, "LARGEST_UNPACKED", 2_000_000)
    content = b"a,b\n" + (b"1," + b"2" * 97 + b"\n") * 25_000
    path = written(tmp_path / "bomb.csv.gz", gzip.compress(content, mtime=0))
    head = read_head(path, "text/csv")
    assert (head.rows[0][0], head.estimated, head.row_count < 20_000) == ("1", True, True)
    assert "first 1 MB" in head.notes[-1]
    with pytest.raises(NotATable, match="unpacks to over 2,000,000 bytes"):
        read_table(path, "text/csv")


@pytest.mark.timeout(30)
def test_one_wide_row_does_not_widen_the_work_of_all_others(path):
    head = head_of(path, "a\n" * 6_000 + "," * 19_000 + "1\n")
    assert (len(head.columns), head.row_count) == (19_001, 6_000)


@pytest.mark.parametrize(("name", "content"), [
    ("t.csv.gz", gzip.compress(b"code,n\n007,1\n", mtime=0)), ("t.csv", gzip.compress(b"code,n\n007,1\n", mtime=0)),
    ("t.xls", b"code\tn\n007\t1\n"),
])  # fmt: skip
def test_a_table_is_read_packed_or_as_text_whatever_its_name(tmp_path, name, content):
    path = written(tmp_path / name, content)
    assert read_head(path, media_type(name)).rows == (("007", "1"),)
    assert read_frame(path, media_type(name)).to_dict("list") == {"code": ["007"], "n": [1]}


def test_large_json_is_not_looked_at_but_read_where_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "LOOK", sheets.ReadLimits(10**8, 100_000, 10**6))
    path = tmp_path / "t.json"
    with pytest.raises(NotATable, match="too much JSON"):
        head_of(path, json.dumps([{"n": number + 100_000} for number in range(50_000)]))
    assert len(read_frame(path, "application/json")) == 50_000


FEATURE = {"type": "Feature", "properties": {"name": "Alpha", "pop": 10}, "geometry": {"type": "Point"}}


@pytest.mark.parametrize(("name", "content", "expected", "dtypes"), [
    ("t.json", '[{"a": 1, "b": "x"},\n {"a": 0.5, "c": [1, {"d": null}]}, {"b": "007", "a": 2}]',
     (("a", "b", "c"), (("1", "x", None), ("0.5", None, '[1, {"d": null}]'), ("2", "007", None)), 3),
     ("float64", "str", "object")),
    ("t.jsonl", '{"d":"North","v":1}\n\n{"d":"South","v":2,"note":"z"}\n',
     (("d", "v", "note"), (("North", "1", None), ("South", "2", "z")), 2), ("str", "int64", "str")),
    ("t.geojson", json.dumps({"type": "FeatureCollection", "features": [FEATURE] * 2}),
     (("name", "pop"), (("Alpha", "10"),) * 2, 2), ("str", "int64")),
])  # fmt: skip
def test_records_and_lines_of_json_and_properties_of_geojson_are_tables(tmp_path, name, content, expected, dtypes):
    head = head_of(tmp_path / name, content)
    assert (shown(head), head.dtypes) == (expected, dtypes)
    assert head.notes == (("The geometries were left out.",) if name == "t.geojson" else ())
    frame = read_frame(tmp_path / name, media_type(name))
    assert (frame.columns.tolist(), len(frame)) == ([*expected[0]], expected[2])


def test_a_workbook_is_read_with_its_types_its_titles_and_its_notes_left_out(tmp_path):
    rows = [("code", "n", None), ("007", 1, None), ("12", None, "x")]
    path = workbook(tmp_path / "t.xlsx", Cases=[("Cases 2025", None, None), (), *rows, (), ("Source: M",)])
    head, table = read_head(path, media_type("t.xlsx")), read_table(path, media_type("t.xlsx"))
    assert shown(head) == (("code", "n", "Unnamed: 2"), (("007", "1", None), ("12", None, "x")), 2)
    assert head.dtypes == ("str", "float64", "str")
    assert table.frame["code"].tolist() == ["007", "12"]
    assert table.notes == head.notes
    assert ["above the header" in head.notes[0], "Below the table" in head.notes[1]] == [True, True]


def test_a_sheet_can_be_named_and_the_others_are_said(tmp_path):
    path = workbook(tmp_path / "t.xlsx", Empty=[], Cases=[("a",), (1,)], Other=[("b", None), (2, 3)])
    kind = media_type("t.xlsx")
    assert read_head(path, kind).columns == ("a",)
    assert read_head(path, kind, sheet="Other").rows == (("2", "3"),)
    assert "There are 3 sheets (Empty, Cases, Other); this is Cases." in read_head(path, kind).notes
    with pytest.raises(NotATable, match="has no sheet 'X'; there are: Empty, Cases, Other"):
        read_head(path, kind, sheet="X")
    charts = import_module("openpyxl").Workbook()
    charts.create_chartsheet().add_chart(import_module("openpyxl.chart").BarChart())
    charts.remove(charts.worksheets[0])
    charts.save(path)
    with pytest.raises(NotATable, match="is empty"):
        read_head(path, kind)


@pytest.mark.parametrize("xml", [
    '<row r="1"><c r="A1" t="str"><v>a</v></c></row><row r="99999999999"><c r="A9"><v>1</v></c></row>',
    '<row r="1"><c r="A1" t="str"><v>a</v></c></row>'
    + "".join(f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>' for row in range(2, 30_000)),
], ids=["a far row", "far columns"])  # fmt: skip
@pytest.mark.timeout(30)
def test_a_small_workbook_that_unpacks_to_endless_cells_is_looked_at_for_seconds(tmp_path, xml):
    path, sheet = workbook(tmp_path / "bomb.xlsx", Sheet=[("a",), (1,)]), "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    before, _, after = parts[sheet].partition(b"<sheetData>")
    parts[sheet] = before + f"<sheetData>{xml}".encode() + after[after.index(b"</sheetData>") :]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read_head(path, media_type(path.name)).estimated


def test_a_parquet_file_is_read_with_what_it_says_of_its_columns(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"code": ["007"] * 5000, "n": [None, *range(4999)]})
    frame.to_parquet(path := tmp_path / "t.parquet")
    head = read_head(path, media_type(path.name), rows=2)
    assert shown(head) == (("code", "n"), (("007", None), ("007", "0.0")), 5000)
    assert head.dtypes[1] == "double"
    with pytest.raises(NotATable, match="Parquet file"):
        read_head(written(tmp_path / "x.parquet", "PAR1 and no more"), media_type("x.parquet"))
    assert read_frame(path, media_type(path.name)).equals(pd.read_parquet(path))
    far = arrow.table({"t": arrow.array([2**40], arrow.timestamp("s"))})  # in the year 36812
    import_module("pyarrow.parquet").write_table(far, path)
    with pytest.raises(NotATable, match="Parquet file"):
        read_head(path, media_type(path.name))


def test_a_small_parquet_file_with_a_list_of_millions_is_not_unpacked(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "bomb.parquet"
    values = pyarrow.array([0] * 3_000_000)
    column = pyarrow.ListArray.from_arrays(pyarrow.array([0, 3_000_000]), values)
    parquet.write_table(pyarrow.table({"n": [1], "list": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    before = pyarrow.total_allocated_bytes()
    head = read_head(path, media_type(path.name))
    assert shown(head) == (("n",), (("1",),), 1)
    assert "not shown: list" in head.notes[0]
    assert pyarrow.total_allocated_bytes() - before < 1_000_000


@pytest.mark.parametrize(("name", "package"), [("t.xlsx", "openpyxl"), ("t.parquet", "pyarrow")])
def test_a_reader_that_is_not_installed_is_named(tmp_path, monkeypatch, name, package):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("xl/workbook.xml", "")
    path = written(tmp_path / name, archive.getvalue() if package == "openpyxl" else b"PAR1")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotATable, match=rf"needs {package}, which is not installed: `%pip install {package}`"):
        read_head(path, media_type(name))
