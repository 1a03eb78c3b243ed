"""Looks at tables in the container. Its source is sent to the kernel; the engine's own process never imports it.

A column's kind is decided from what is written in it, so that what the analyst says of a table is true of the file and
not of a library's guess. Small files are read as text, cell by cell. Of large ones the columns that look like plain
numbers are read as numbers, and the spellings that a number does not show (`007`, ` 7`, `1e005`) are looked for in the
bytes; all other columns are read as their different texts, each once.
"""

from __future__ import annotations

import contextlib
import csv
import html
import io
import re
import sys
import time
import types
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIABLES: dict[str, Any] = {}
"""The kernel's own variables; who sends this source there puts them in."""

MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""What `pandas.read_csv` reads as missing: its documented defaults for `na_values`."""

MAX_VALUES = 1000
"""Texts of a column that a prompt may name; a column with more is taken for free text."""
MAX_VALUE_LENGTH = 80
MAX_COLUMNS = 500
MAX_ODD_SHARE = 0.05
"""A number column may hold this share of cells such as `<5`: they have digits, so leaving them out loses something."""
MAX_WORD_SHARE = 0.5
"""And this share of cells without digits, such as `pending`."""
FEWEST_UNIQUE = 3
"""Rows from which on it says something that no two have the same."""
MAX_CODE_DIGITS = 15
"""Whole numbers with more digits are codes: a float cannot hold them."""
LARGE = 1_000_000
"""Bytes of a text file, or cells of another, from which on it is not read cell by cell."""
LOOK = 1_000
"""Rows of a large file, or different cells of a column, that are looked at to know what is worth trying on all."""
AT_ONCE = 1 << 22
"""Bytes, or cells, of a large file that are looked at together."""
KEPT = "_surveyed_tables"
"""The name among Python's modules under which surveys stay in the kernel; no variable of the user's can meet it."""
SETTLED_NS = 100_000_000
"""A file that changed less than this before it was looked at may change again unseen: clocks of files are coarse."""

PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
SPACES = re.compile("[-+]?[1-9]\\d{0,2}(?:[ \u00a0\u202f]\\d{3})+(?:\\.\\d+)?")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
INFINITE = re.compile(r"[-+]?inf(?:inity)?|[-+]?\d.*[eE]\+?\d{3,}", re.IGNORECASE)
"""What pandas reads as an infinite number, or may."""
LEADING_ZERO = re.compile(r"[-+]?0\d+")
FOUR_DIGITS = re.compile(r"\d{4}")
ODD = re.compile(r"^[-+]?0\d+$|^[ \t\v\f]|[ \t\v\f]$|[eE][-+]?\d{3}", re.MULTILINE)
"""Spellings that a number does not show."""
YEAR = re.compile(r"(?:1[89]|20)\d\d(?:\.0+)?")
YEAR_NAME = re.compile(
    r"(?:^|[^a-z])(?:years?|yrs?|ann[ée]es?|jahre?|a[nñ]os?|anos?)(?:[^a-z]|$)|[a-z]Year|^year", re.IGNORECASE
)
DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M", "%Y-%m", "%d/%m/%Y", "%m/%d/%Y",
    "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %Y", "%B %Y",
)  # fmt: skip
TRUTH = (frozenset({"true", "false"}), frozenset({"yes", "no"}), frozenset({"y", "n"}))


def survey(paths: list[str]) -> list[dict[str, Any]]:
    """What is in each table, as JSON values; a table that cannot be read says why.

    What was found stays in the kernel, and is found again as long as the file is the same.
    """
    kept = sys.modules.setdefault(KEPT, types.ModuleType(KEPT)).__dict__
    before = kept.get("tables", {})
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            state = _state(path)
            known = before.get(path, (None, []))
            found[path] = known if state and known[0] == state else (state, _tables(path))
    settled = time.time_ns() - SETTLED_NS
    kept["tables"] = {
        path: known for path, known in found.items() if known[0] and known[0] == _state(path) and known[0][1] < settled
    }
    return [table for _, tables in found.values() for table in tables]


def _state(path: str) -> tuple[int, ...]:
    """What changes when a file does; empty where it cannot be looked at."""
    try:
        about = Path(path).stat()
    except OSError:
        return ()
    return (about.st_size, max(about.st_mtime_ns, about.st_ctime_ns), about.st_mtime_ns, about.st_ino)


def _tables(path: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = {
        "path": path, "rows": 0, "columns": [], "separator": ",", "encoding": "utf-8", "problem": "", "form": "csv",
        "sheet": "",
    }  # fmt: skip
    try:
        return [_surveyed({**found, **about}, frame, texts) for about, frame, texts in _frames(path)]
    except (
        OSError,
        ValueError,
        ImportError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:  # pandas' parser errors are ValueErrors
        return [{**found, "problem": " ".join(str(error).split()) or type(error).__name__}]


def _frames(path: str) -> Iterator[tuple[dict[str, Any], Any, Callable[[int], dict[str, int]] | None]]:
    """How to read the tables of a file, their cells, and the different texts of a column where not all are texts."""
    ending = path.lower().rpartition(".")[2]
    match ending:
        case "xlsx" | "xlsm":
            sheets = pd.read_excel(path, sheet_name=None, dtype=object, keep_default_na=False)
            filled = {str(name): frame for name, frame in sheets.items() if frame.shape[1]}
            for name, frame in filled.items():
                first = len(filled) == 1 and name == str(next(iter(sheets)))
                yield {"form": "excel", "sheet": "" if first else name}, _as_text(frame), None
        case "json" | "jsonl" | "ndjson":
            lines = ending != "json"
            frame = pd.read_json(path, lines=lines, dtype=False, convert_dates=False)
            yield {"form": "lines" if lines else "json"}, *_typed(frame)
        case "parquet":
            yield {"form": "parquet"}, *_typed(pd.read_parquet(path))
        case _:
            raw = Path(path).read_bytes()
            encoding, text = _decoded(raw)
            if "\0" in text:
                raise ValueError("it is not a text file")
            separator = "\t" if ending == "tsv" else _separator(text)
            about = {"encoding": encoding, "separator": separator}
            if len(raw) >= LARGE and encoding != "utf-16":
                del text
                yield about, *_large(raw, encoding, separator)
            else:
                yield about, pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False), None


def _large(raw: bytes, encoding: str, separator: str) -> tuple[Any, Callable[[int], dict[str, int]] | None]:
    """A large text file: columns that look like plain numbers as numbers, all others as their different texts."""

    def read(**how: Any) -> Any:
        return pd.read_csv(io.BytesIO(raw), sep=separator, encoding=encoding, keep_default_na=False, **how)

    def texts(place: int) -> dict[str, int]:
        known = frame.columns[place] not in plain
        return _times(frame.iloc[:, place] if known else read(usecols=[place], dtype=object).iloc[:, 0])

    first = read(dtype=object, nrows=LOOK)
    if first.shape[1] > MAX_COLUMNS or not isinstance(first.index, pd.RangeIndex):
        return first, None
    looks = {name: _column(str(name), _times(first[name]), len(first), separator) for name in first.columns}
    plain = [name for name, look in looks.items() if look["kind"] == "number" and not look["conversion"]]
    frame = read(
        dtype={name: object for name in first.columns if name not in plain},
        na_values={name: list(MISSING) for name in plain},
        low_memory=False,
    )
    frame.attrs["odd"] = _odd_columns(raw, encoding, separator, [first.columns.get_loc(name) for name in plain])
    return frame, texts


def _odd_columns(raw: bytes, encoding: str, separator: str, places: list[int]) -> set[int]:
    """Those of the number columns with a cell whose spelling says more than its value."""
    if not places or not _odd_bytes(raw, separator):
        return set()
    odd: set[int] = set()
    rows = AT_ONCE // 20 // len(places) + 1
    cells: dict[str, Any] = {
        "sep": separator, "encoding": encoding, "usecols": places, "dtype": object, "keep_default_na": False,
    }  # fmt: skip
    for chunk in pd.read_csv(io.BytesIO(raw), chunksize=rows, **cells):
        for number, place in enumerate(sorted(places)):
            if place not in odd and ODD.search("\n".join(chunk.iloc[:, number].dropna())):
                odd.add(place)
    return odd


def _odd_bytes(raw: bytes, separator: str) -> bool:
    """True where some cell may begin with a zero, have blanks around it, or an exponent such as `e005`."""
    signs = (f'{separator}"\r\n', "0", "123456789", "+-", " \t\v\f", "eE")
    start, zero, digit, sign, blank, exponent = range(1, len(signs) + 1)
    kinds = np.zeros(256, np.uint8)
    for number in reversed(range(len(signs))):  # a tab that separates is no blank
        kinds[[ord(one) for one in signs[number]]] = number + 1
    for begin in range(max(raw.find(b"\n"), 0), len(raw), AT_ONCE):
        kind = kinds[np.frombuffer(b"_" + raw[begin : begin + AT_ONCE + 4] + b"____", np.uint8)]
        starts = np.flatnonzero(kind[1:-4] == start) + 1
        after = kind[starts + 1]
        if (after == blank).any() or (kind[starts - 1] == blank).any():
            return True
        if _zero_leads(kind, starts[(after == zero) | (after == sign)], (zero, digit), sign):
            return True
        exponents = np.flatnonzero(kind[1:-4] == exponent) + 1
        if _zero_leads(kind, exponents, (zero, digit), sign, digits=2):
            return True
    return False


def _zero_leads(kind: Any, places: Any, digits_are: tuple[int, int], sign: int, digits: int = 1) -> bool:
    """True where after one of the places, and a sign perhaps, comes a zero with so many digits behind it."""
    zero, digit = digits_are
    first = places + 1 + (kind[places + 1] == sign)
    led = kind[first] == zero
    for number in range(1, digits + 1):
        led &= (kind[first + number] == zero) | (kind[first + number] == digit)
    return bool(led.any())


def _typed(frame: Any) -> tuple[Any, Callable[[int], dict[str, int]] | None]:
    """A table whose columns have types of their own, as text unless it is large."""
    if frame.size < LARGE:
        return _as_text(frame), None
    _flat(frame)
    frame.attrs["typed"] = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]

    def texts(place: int) -> dict[str, int]:
        cells = frame.iloc[:, place]
        if cells.dtype == object:
            return _times(_as_text(frame.iloc[:, [place]]).iloc[:, 0])
        codes, different = pd.factorize(cells, use_na_sentinel=False)
        written = _as_text(pd.DataFrame({"cells": different}))["cells"]
        found: dict[str, int] = {}
        for text, times in zip(written, np.bincount(codes, minlength=len(written)).tolist(), strict=True):
            found[text] = found.get(text, 0) + times
        return found

    return frame, texts


def _times(cells: Any) -> dict[str, int]:
    """The different texts of a column, and how often each is there."""
    times = cells.value_counts()
    return dict(zip(map(str, times.index.tolist()), times.tolist(), strict=True))


def _as_text(frame: Any) -> Any:
    """Typed cells as they would be written."""
    _flat(frame)
    written = {}
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:, place]
        text = cells.astype(object).where(cells.notna(), "").map(str)
        written[str(name)] = text.str.removesuffix(" 00:00:00")
    as_text = pd.DataFrame(written)
    as_text.attrs["typed"] = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    return as_text


def _flat(frame: Any) -> None:
    if any(isinstance(cell, list | dict) for name in frame.columns for cell in frame[name].head(200)):
        raise ValueError("some of its cells hold lists or objects")


def _surveyed(found: dict[str, Any], frame: Any, texts: Callable[[int], Any] | None) -> dict[str, Any]:
    if not isinstance(frame.index, pd.RangeIndex):
        return {**found, "problem": "its rows have more cells than its header"}
    if frame.shape[1] > MAX_COLUMNS:
        return {**found, "problem": f"it has {frame.shape[1]} columns; {MAX_COLUMNS} are the most I read"}
    found["rows"] = len(frame)
    found["columns"] = [
        {"name": str(name), **_cells(str(name), frame, place, found["separator"], texts)}
        for place, name in enumerate(frame.columns)
    ]
    for column in found["columns"] if found["form"] != "csv" else []:
        text_in_json = column["name"] not in frame.attrs.get("typed", ()) and found["form"] != "excel"
        if column["kind"] in {"number", "year"} and not column["conversion"] and text_in_json:
            column["conversion"] = ["coerce"]
        if column["kind"] == "yes/no":
            column["digits"] = False  # true and false are no texts in these files
    return found


def _decoded(raw: bytes) -> tuple[str, str]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", raw.decode("utf-16")
    try:
        return ("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8"), raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252", raw.decode("cp1252")


def _separator(text: str) -> str:
    """The mark that splits the first lines into the most, and equally many, cells."""
    first_lines = [line for line in text[:20_000].splitlines() if line.strip()][:6]
    best, most = ",", 1
    for mark in (",", ";", "\t", "|"):
        widths = {len(row) for row in csv.reader(first_lines, delimiter=mark)}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = mark, width
    return best


def _cells(
    name: str, frame: Any, place: int, separator: str, texts: Callable[[int], dict[str, int]] | None
) -> dict[str, Any]:
    cells = frame.iloc[:, place]
    if texts is None:
        return _column(name, _times(cells), len(cells), separator)
    numbers = pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype)
    if numbers and not YEAR_NAME.search(name) and place not in frame.attrs.get("odd", ()):
        found = _plain_numbers(cells)
        if found:
            return found
    return _column(name, texts(place), len(cells), separator)


def _plain_numbers(cells: Any) -> dict[str, Any]:
    """What `_column` finds, for numbers that are written as such; empty where their spelling could say more."""
    if pd.api.types.is_complex_dtype(cells.dtype):
        return {}
    whole = pd.api.types.is_integer_dtype(cells.dtype)
    known = cells.dropna().to_numpy(dtype=None if whole else float)
    if not len(known) or not np.abs(known.astype(float)).max() < 10**MAX_CODE_DIGITS:
        return {}
    missing = len(cells) - len(known)
    distinct = len(pd.unique(known))
    integers = whole or bool((known == np.floor(known)).all())
    return {
        **_NOTHING, "kind": "number", "distinct": distinct, "missing": missing, "whole": integers,
        "low": float(known.min()), "high": float(known.max()), "floats": integers and (missing > 0 or not whole),
        "unique": distinct == len(cells) >= FEWEST_UNIQUE,
    }  # fmt: skip


_NOTHING: dict[str, Any] = {
    "kind": "text", "values": [], "distinct": 0, "missing": 0, "ignored": [], "low": None, "high": None, "whole": False,
    "conversion": [], "sample": "", "date_format": "", "floats": False, "digits": False, "padded": False, "doubt": "",
    "unique": False, "earliest": "", "latest": "",
}  # fmt: skip


def _column(name: str, counts: dict[str, int], rows: int, separator: str) -> dict[str, Any]:
    written: dict[str, int] = {}
    for cell, times in counts.items():
        if cell not in MISSING and (bare := cell.strip()):
            written[bare] = written.get(bare, 0) + times
    missing = rows - sum(written.values())
    padded = any(cell[:1].isspace() or cell[-1:].isspace() for cell in counts)
    unique = len(counts) == rows >= FEWEST_UNIQUE and not missing
    found = {**_NOTHING, "distinct": len(written), "missing": missing, "padded": padded, "unique": unique}
    if not written:
        return {**found, "kind": "empty"}
    if any(all(cell.casefold() in truth for cell in written) for truth in TRUTH):
        return {**found, "kind": "yes/no", "values": sorted(written), "digits": True}
    number = _number(written, separator) if _may_be_number(written) else {}
    if number.get("kind"):
        return {**found, **number, **_whole(name, written, number, spoiled=padded or missing > 0)}
    date = _date(written)
    if date.get("kind"):
        return {**found, **date}
    found["doubt"] = number.get("doubt", "") or date.get("doubt", "")
    if len(written) <= MAX_VALUES and all(len(cell) <= MAX_VALUE_LENGTH for cell in written):
        found["values"] = sorted(written)
    found["digits"] = any(PLAIN.fullmatch(cell) for cell in written)
    return found


def _may_be_number(written: dict[str, int]) -> bool:
    """False where a look at some of very many different cells finds so few numbers that it is no column of numbers."""
    if len(written) <= LOOK:
        return True
    look = [cell.removesuffix("%").rstrip() for cell in list(written)[:: len(written) // LOOK]]
    numbers = sum(any(form.fullmatch(cell) for form in (PLAIN, THOUSANDS, SPACES, DECIMAL_COMMA)) for cell in look)
    return numbers >= (1 - MAX_WORD_SHARE) / 2 * len(look)


def _number(written: dict[str, int], separator: str) -> dict[str, Any]:
    """The number reading of a column's different cells; empty if there is none, with a doubt if there nearly is."""
    bare = {cell: cell.removesuffix("%").rstrip() for cell in written}
    if any(LEADING_ZERO.fullmatch(cell) or (cell.isdigit() and len(cell) > MAX_CODE_DIGITS) for cell in bare.values()):
        return {}
    if any(INFINITE.fullmatch(cell) for cell in bare.values()):
        return {"doubt": "some of its numbers are infinite"}
    comma = _comma(list(bare.values()), separator)
    if comma == "doubt":
        return {"doubt": "its commas could stand for thousands or for decimals"}
    numbers: dict[str, float] = {}
    needs: dict[str, set[str]] = {}
    for cell, digits in bare.items():
        plain, conversion = _plain(digits, comma)
        if PLAIN.fullmatch(plain):
            numbers[cell] = float(plain)
            needs[cell] = ({conversion} if conversion else set()) | ({"percent"} if cell.endswith("%") else set())
    odd = {cell: times for cell, times in written.items() if cell not in numbers}
    total = sum(written.values())
    with_digits = sum(times for cell, times in odd.items() if any(map(str.isdigit, cell)))
    if not numbers or with_digits > MAX_ODD_SHARE * total or sum(odd.values()) - with_digits > MAX_WORD_SHARE * total:
        return {}
    if len({"percent" in some for some in needs.values()}) > 1:
        return {"doubt": "some of its cells are written with % and some without"}
    return {
        "kind": "number", "distinct": len(set(numbers.values())),
        "low": min(numbers.values()), "high": max(numbers.values()),
        "conversion": sorted(set().union(*needs.values()) | ({"coerce"} if odd else set())),
        "sample": min((cell for cell, some in needs.items() if some), default=""), "ignored": sorted(odd.items()),
        "whole": all(number.is_integer() for number in numbers.values()),
    }  # fmt: skip


def _comma(cells: list[str], separator: str) -> str:
    """What a comma inside the numbers of a column means: `thousands`, `decimal`, or `doubt`; empty without one."""
    commas = [cell for cell in cells if THOUSANDS.fullmatch(cell) or DECIMAL_COMMA.fullmatch(cell)]
    points = any("." in cell and (PLAIN.fullmatch(cell) or THOUSANDS.fullmatch(cell)) for cell in cells)
    if not commas:
        return ""
    if not all(THOUSANDS.fullmatch(cell) for cell in commas):
        return "thousands" if points else "decimal"
    certain = points or separator != ";" or any(cell.count(",") > 1 for cell in commas)
    return "thousands" if certain else "doubt"


def _plain(cell: str, comma: str) -> tuple[str, str]:
    """A cell with its digits as Python writes them, and what had to be done for that."""
    if comma == "decimal" and DECIMAL_COMMA.fullmatch(cell):
        return cell.replace(",", "."), "decimal comma"
    if comma == "thousands" and THOUSANDS.fullmatch(cell):
        return cell.replace(",", ""), "thousands"
    if SPACES.fullmatch(cell):
        return re.sub(r"\s", "", cell), "spaces"
    return cell, ""


def _whole(name: str, written: dict[str, int], number: dict[str, Any], *, spoiled: bool) -> dict[str, Any]:
    """What follows for whole numbers: whether they are years, and whether pandas makes floats of them."""
    if not number["whole"]:
        return {}
    years = YEAR_NAME.search(name) and not number["ignored"] and all(YEAR.fullmatch(cell) for cell in written)
    digits = all(cell.lstrip("+-").isdigit() for cell in written)
    return {"kind": "year" if years else "number", "floats": spoiled or bool(number["ignored"]) or not digits}


def _date(written: dict[str, int]) -> dict[str, Any]:
    """The date reading of a column's different cells; day and month must be certain."""
    if not all(map(FOUR_DIGITS.search, written)):
        return {}
    cells = pd.Series(list(written), dtype=str)
    look = cells.head(LOOK)
    likely = [form for form in DATE_FORMATS if pd.to_datetime(look, format=form, errors="coerce").notna().all()]
    fitting = [form for form in likely if pd.to_datetime(cells, format=form, errors="coerce").notna().all()]
    if not fitting:
        return {}
    first, *others = (pd.to_datetime(cells, format=form) for form in fitting)
    if any(not first.equals(other) for other in others):
        return {"doubt": "its dates could be day/month or month/day"}
    return {
        "kind": "date",
        "date_format": fitting[0],
        "low": float(first.dt.year.min()),
        "high": float(first.dt.year.max()),
        "earliest": str(first.min().date()),
        "latest": str(first.max().date()),
    }


def counts(load: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many rows each plan is about, before it runs.

    Args:
        load: The code that reads the table as `data`.
        requests: For each plan, the code that selects `rows` if it does, the columns it compares, those it groups by,
            and those it calculates with, each with the columns that it is made of and those it adds up.
    """
    scope = _after(load, {})
    return [_counted(scope["data"], _after(request["select"], dict(scope)), request) for request in requests]


def _after(code: str, scope: dict[str, Any]) -> dict[str, Any]:
    """The variables after code has run unheard."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        exec(code, scope)  # noqa: S102 - the analyst's own code, the same that the user sees run
    return scope


def _counted(data: Any, scope: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    rows = scope.get("rows", data)
    measures = []
    for asked in request["measures"]:
        column, made_of = asked["name"], asked["made_of"]
        needed = [*request["keys"], *([column] if column else made_of)]
        known = rows.dropna(subset=needed)
        grouped = rows.dropna(subset=request["keys"])
        missing = {name: int(rows[name].isna().sum()) for name in [*request["keys"], *made_of]}
        if column:
            missing[column] = int(rows.dropna(subset=made_of)[column].isna().sum())
        there = grouped[asked["parts"]].notna()
        sizes = known.groupby(request["keys"]).size() if request["keys"] else pd.Series([len(known)])
        measures.append(
            {
                "known": len(known),
                "missing": missing,
                "groups": len(sizes),
                "largest": int(sizes.max()) if len(sizes) else 0,
                "partial": int((there.any(axis=1) & ~there.all(axis=1)).sum()),
            }
        )
    return {
        "all": len(data),
        "rows": len(rows),
        "uncompared": {column: int(data[column].isna().sum()) for column in request["compared"]},
        "keys": {column: int(rows[column].nunique()) for column in request["keys"]},
        "all_keys": {column: int(data[column].nunique()) for column in request["keys"]},
        "measures": measures,
        "unmatched": _unmatched(scope, request["join"]),
    }


def _unmatched(scope: dict[str, Any], keys: list[str]) -> list[int]:
    """Rows of the left and of the right table that have no match in the other."""
    if not keys:
        return [0, 0]
    left, right = scope["left"][keys[0]], scope["right"][keys[1]]
    return [int((~left.isin(right.dropna())).sum()), int((~right.isin(left.dropna())).sum())]


def ends(code: str) -> dict[str, Any]:
    """The points a chart shows: how many, the lowest and the highest, and where these are.

    Args:
        code: What made `drawn` of the table, which is still there: it is not read again.
    """
    drawn = _after(code, dict(VARIABLES))["drawn"]
    points = (drawn.stack() if drawn.ndim > 1 else drawn).dropna()
    found: dict[str, Any] = {"points": len(points)}
    if len(points):
        for name, place in (("low", points.idxmin()), ("high", points.idxmax())):
            parts = place if isinstance(place, tuple) else (place,)
            found[name] = float(points[place].iloc[0] if getattr(points[place], "ndim", 0) else points[place])
            found[f"at_{name}"] = [
                part.strftime("%Y-%m-%d") if isinstance(part, pd.Timestamp) else str(part) for part in parts
            ]
    return found


def rows_drawn(code: str) -> dict[str, Any]:
    """How many rows a chart shows, each its own point."""
    return {"points": len(_after(code, dict(VARIABLES))["drawn"])}


def missing_packages(names: list[str]) -> list[str]:
    """Those that the code needs and that are not installed."""
    return [name for name in names if find_spec(name) is None]


def glance(path: str, most: int) -> dict[str, Any]:
    """The true size and the first rows of a table that was written, each cell as it stands in the file."""
    cells = _as_written(path)
    head = cells.head(most)
    return {"rows": len(cells), "columns": [str(name) for name in cells.columns], "head": head.to_numpy().tolist()}


def _as_written(path: str) -> Any:
    match path.lower().rpartition(".")[2]:
        case "xlsx":
            return pd.read_excel(path, dtype=str, keep_default_na=False).fillna("").astype(str)
        case "json" | "jsonl" as ending:
            return _as_text(pd.read_json(path, lines=ending == "jsonl", dtype=False, convert_dates=False))
        case "parquet":
            return _as_text(pd.read_parquet(path))
        case "md":
            lines = Path(path).read_text(encoding="utf-8").splitlines()
            rows = [re.split(r" (?<!\\)\| ", line[2:-2]) for line in lines]
            return pd.DataFrame(rows[2:], columns=rows[0])
        case "html":
            text = Path(path).read_text(encoding="utf-8")
            names = re.findall("<th>(.*?)</th>", text, re.DOTALL)
            rows = [
                re.findall("<td>(.*?)</td>", row, re.DOTALL) for row in re.findall("<tr>(.*?)</tr>", text, re.DOTALL)
            ]
            cells = [[html.unescape(cell) for cell in row] for row in rows if row]
            return pd.DataFrame(cells, columns=[html.unescape(name) for name in names])
        case ending:
            return pd.read_csv(path, dtype=str, keep_default_na=False, sep="\t" if ending == "tsv" else ",")
