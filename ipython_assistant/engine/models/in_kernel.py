"""Looks at tables inside the container. Its source is sent to the kernel; the engine's own process never imports it.

For each table it decides the code that reads it well (`read`) and the code that gives each column its type (`before`,
`after`), runs that code, and describes what came of it: so what is said of a table is true of the very frame that the
answer's code will have. Tables are read as people publish them: with titles above, totals and notes below.
"""

from __future__ import annotations

import calendar
import contextlib
import csv
import gzip
import io
import json
import re
import sys
import types
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

VARIABLES: dict[str, Any] = {}  # the kernel's own variables; the code that sends this source puts them in

MAX_COLUMNS, MAX_BANDS = 500, 60
MAX_VALUES, MAX_VALUE = 200, 200
"""Different texts of a column that are listed, and characters of each; of more texts, those that the question names."""
HEAD_ROWS, MAX_HEAD = 5, 4_000
"""Rows and characters of a table that a model may see."""
FEW = 2  # rows or columns up to which nothing is concluded from their form
MAX_ODD_SHARE, MAX_WORD_SHARE = 0.05, 0.5
"""Cells with digits such as `<5`, and words such as `pending`, that a column of numbers may hold."""

MISSING = ["", "#N/A", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "<NA>", "-nan", "#NA"]
"""What `pandas.read_csv` reads as missing: its documented defaults for `na_values`, those that occur."""
TOTAL = {"total", "totals", "grand total", "all", "sum", "insgesamt", "gesamt", "summe", "somme", "totaal"}
TRUTH = ({"true", "false"}, {"yes", "no", "y", "n"})
PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
POINT = re.compile(rf"{PLAIN.pattern}|[-+]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?")
COMMA = re.compile(r"[-+]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)(?:,\d+)?")
STYLES = {
    False: (POINT, str.maketrans("", "", ","), (("[$€£%,\\s]", ""),)),
    True: (COMMA, str.maketrans(",", ".", "."), (("[$€£%\\s]", ""), ("\\.", ""), (",", "."))),
}
"""By whether decimals have a comma: the form of numbers, how they become Python's, and the code that does so."""
CODE = re.compile(r"[-+]?0\d+|\d{16,}")
"""Whole numbers with zeros in front are codes, and those with more digits than a float can hold."""
AROUND = re.compile(r"^[$€£]\s?|\s?[%€$£]$|(?<=\d)[ \u00a0\u202f](?=\d{3}(?!\d))")
YEAR = re.compile(r"(?:1[89]|20)\d\d")
YEAR_NAME = re.compile(r"(?i)(?:^|[^a-z])(?:years?|yrs?|ann[ée]es?|jahre?|a[nñ]os?)(?:[^a-z]|$)|[a-z]Year|^year")
DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M",
    "%Y-%m", "%Y%m", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
    "%b %Y", "%B %Y", "%b-%y", "%b-%Y",
)  # fmt: skip
"""How dates are written, in the terms of `strptime`."""
ORDERS = [list(names) for names in (calendar.month_name, calendar.month_abbr, calendar.day_name, calendar.day_abbr)]
BAND = re.compile(r"\D{0,12}?(\d+)\s*(?:[-–+]|to\b).*|[<>≤≥]\s*(\d+).*")


def profile(paths: list[str], words: list[str]) -> list[dict[str, Any]]:
    """What is in each table, as JSON values; a table that cannot be read says why."""
    kept = sys.modules.setdefault("_profiled_tables", types.ModuleType("_profiled_tables")).__dict__  # by the kernel
    found = []
    for path in paths:
        about = Path(path).stat() if Path(path).exists() else None
        state = (about and (about.st_size, about.st_mtime_ns), words)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path not in kept or kept[path][0] != state:
                kept[path] = (state, _tables(path, frozenset(words)))
        found += kept[path][1]
    return found


def _tables(path: str, words: frozenset[str]) -> list[dict[str, Any]]:
    ending = path.lower().removesuffix(".gz").rpartition(".")[2]
    try:
        if ending in {"xlsx", "xlsm"}:
            sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, keep_default_na=False)
            filled = {str(name): frame for name, frame in sheets.items() if frame.size}
            found = [_of_sheet(path, frame, "" if len(filled) == 1 else name) for name, frame in filled.items()]
        elif ending in {"json", "geojson", "jsonl", "ndjson"}:
            found = [_of_json(path)]
        elif ending == "parquet":
            found = [{"read": f"pd.read_parquet({_py(path)})", "cells": pd.read_parquet(path)}]
        else:
            found = [_of_text(path)]
        return [_profiled(path, words, **how) for how in found]
    except zipfile.BadZipFile:
        problem = "it is not a workbook, whatever its ending says"
    except Exception as error:  # noqa: BLE001 - whatever a broken file raises, the other tables are told of
        problem = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split()) or type(error).__name__
        if ragged := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", problem):
            problem = f"line {ragged[2]} has {ragged[3]} cells, and the header has {ragged[1]}"
    return [{"name": path, "path": path, "problem": problem}]


# ---- how a file is read: the call that does it, its cells, and what was left out


def _of_text(path: str) -> dict[str, Any]:
    raw = Path(path).read_bytes()
    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    text, encoding = raw.decode("latin-1"), "latin-1"
    for likely in ("cp1252", "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"):
        with contextlib.suppress(UnicodeDecodeError):
            text, encoding = raw.decode(likely).lstrip("\ufeff"), likely
    if "\0" in text:
        raise ValueError("it is not a text file")
    first = [line for line in text[:20_000].splitlines() if line.strip()][:30]
    told, alike = re.match(r"sep=(.)\r?\n", text), dict[str, tuple[int, int]]()
    for mark in ",;\t|":  # the one that splits the first lines into the most equal rows
        widths = Counter(len(row) for row in csv.reader(first, delimiter=mark))
        alike[mark] = max(((times, width) for width, times in widths.items() if width > 1), default=(0, 0))
    mark = told[1] if told else "\t" if path.lower().endswith(".tsv") else max(alike, key=lambda mark: alike[mark])
    skipped, notes = _header(list(csv.reader(text[:200_000].splitlines(), delimiter=mark)))
    how: dict[str, Any] = {"sep": mark, "encoding": encoding, "skiprows": skipped}
    cells = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False, **how)
    if not isinstance(cells.index, pd.RangeIndex):
        raise KeyError("its rows have more cells than its header")
    arguments = [_py(path), *(f"{name}={_py(one)}" for name, one in how.items() if one not in (",", "utf-8", 0))]
    return _without_foot(cells.fillna(""), arguments, notes) | {"read": "pd.read_csv"}


def _of_sheet(path: str, frame: Any, sheet: str) -> dict[str, Any]:
    skipped, notes = _header(_as_text(frame).head(50).to_numpy().tolist())
    arguments = [_py(path)] + ([f"sheet_name={_py(sheet)}"] if sheet else [])
    arguments += [f"skiprows={skipped}"] if skipped else []
    how: dict[str, Any] = {"dtype": object, "keep_default_na": False, "na_values": [""]}
    cells = pd.read_excel(path, sheet_name=sheet or 0, skiprows=skipped or None, **how)
    return _without_foot(_as_text(cells), arguments, notes) | {"read": "pd.read_excel", "sheet": sheet}


def _of_json(path: str) -> dict[str, Any]:
    text, source = Path(path).read_text(encoding="utf-8-sig"), f'Path({_py(path)}).read_text(encoding="utf-8")'
    notes = []
    if path.lower().endswith(("jsonl", "ndjson")):
        parsed: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        code = f"[json.loads(line) for line in {source}.splitlines() if line.strip()]"
    else:
        parsed, code = json.loads(text), f"json.loads({source})"
    if isinstance(parsed, dict) and isinstance(parsed.get("features"), list):
        notes.append("The shapes of its features are left out.")
        parsed = [feature["properties"] for feature in parsed["features"]]
        code = f'[feature["properties"] for feature in {code}["features"]]'
    cells = pd.DataFrame(parsed)
    for name in cells:
        if cells[name].map(lambda cell: isinstance(cell, list | dict)).any():
            raise ValueError(f"its column {name} holds lists or objects; flatten it first (pd.json_normalize)")
    return {"read": f"pd.DataFrame({code})", "cells": cells, "notes": notes}


def _header(lines: list[list[str]]) -> tuple[Any, list[str]]:
    """The lines that are skipped to get at the header, and a note if HXL tags are among them."""
    filled = [sum(bool(str(cell).strip()) for cell in line) for line in lines[:50]]
    usual = Counter(width for width in filled if width > 1).most_common(1)
    wide = usual[0][0] if usual else 1
    start = next((at for at, width in enumerate(filled) if width >= max(wide - 1, 2)), 0)
    below = [str(cell) for cell in lines[start + 1] if str(cell).strip()] if start + 1 < len(lines) else []
    if below and all(cell.startswith("#") for cell in below):
        return [*range(start), start + 1], ["The second line holds HXL tags and is no row."]
    return start, []


def _without_foot(cells: Any, arguments: list[str], notes: list[str]) -> dict[str, Any]:
    """The recipe of a table without the notes and the total below it."""
    end = len(cells)
    filled = (cells != "").sum(axis=1)
    while end > 1 and filled.iloc[end - 1] <= min(cells.shape[1] - FEW, 1):
        end -= 1
    if end < len(cells):
        notes.append(f"{len(cells) - end} lines below the table (notes or blanks) are left out.")
    last = [str(cell).strip() for cell in cells.iloc[end - 1]] if end > FEW else []
    if any(cell.casefold().rstrip(":") in TOTAL for cell in last[:3]):
        notes.append(f"The last row, {next(cell for cell in last if cell)}, is left out: it sums up the others.")
        end -= 1
    arguments += [f"nrows={end}"] if end < len(cells) else []
    return {"cells": cells.iloc[:end], "arguments": arguments, "notes": notes}


# ---- what a column holds


def _profiled(
    path: str, words: frozenset[str], *, read: str, cells: Any, arguments: list[str] | None = None,
    notes: list[str] | None = None, sheet: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What is told of a table. With `arguments` its cells are texts; else they have the types that the file gives."""
    if cells.shape[1] > MAX_COLUMNS:
        raise ValueError(f"it has {cells.shape[1]} columns; {MAX_COLUMNS} are the most that are read")
    counts = [_times(cells.iloc[:, place]) for place in range(cells.shape[1])]
    votes = 0  # for a decimal comma: columns that can only be read so, less those that can only be read otherwise
    for counted in counts if read == "pd.read_csv" else ():
        texts = [AROUND.sub("", cell.strip()) for cell in counted or () if cell.strip() not in MISSING]
        votes += all(map(COMMA.fullmatch, texts)) - all(map(POINT.fullmatch, texts))
    columns = [
        _typed(cells[name]) if counted is None else _column(str(name), counted, len(cells), comma=votes > 0)
        for name, counted in zip(cells, counts, strict=True)
    ]
    empty = [one["name"] for one in columns if one["kind"] == "empty" and one["name"].startswith("Unnamed:")]
    columns = [one for one in columns if one["name"] not in empty]
    # The header of a sheet may hold years or dates, which are no texts.
    labels = {str(one): f"pd.{pd.Timestamp(one)!r}" if hasattr(one, "year") else _py(one) for one in cells}
    if arguments is not None:
        dtypes = [f"{labels[one['name']]}: {one['dtype']}" for one in columns if one["dtype"]]
        letters = [f"{labels[one['name']]}: str" for one in columns if one["letters"]]
        arguments += [f"dtype={{{', '.join(dtypes)}}}"] if dtypes else []
        arguments += [f"converters={{{', '.join(letters)}}}"] if letters else []
        read = f"{read}({', '.join(arguments)})"
    read += "" if all(isinstance(name, str) for name in cells) else ".rename(columns=str)"
    read += f".drop(columns={_py(empty)})" if empty else ""
    data = eval(read, {"pd": pd, "json": json, "Path": Path})  # noqa: S307 - our own code, the same that the user sees
    for one in columns:
        _described(one, data, words)
    head = data.head(HEAD_ROWS).to_csv(sep="|", index=False)[:MAX_HEAD]
    table = {"name": f"{path}#{sheet}" if sheet else path, "path": path, "read": read, "rows": len(data), "head": head}
    return table | {"columns": columns, "notes": notes or []}


def _times(cells: Any) -> dict[str, int] | None:
    """The different texts of a column and how often each is there; None where it holds something else."""
    kinds = pd.api.types
    if kinds.infer_dtype(cells) == "boolean" or not (kinds.is_object_dtype(cells) or kinds.is_string_dtype(cells)):
        return None
    counts = cells.astype(object).where(cells.notna(), "").map(str).value_counts()
    return dict(zip(counts.index.tolist(), counts.tolist(), strict=True))


def _of_kind(name: str, kind: str, **found: Any) -> dict[str, Any]:
    """A column, with the code that makes it of the cells as they are read."""
    open_parts = dict.fromkeys(("before", "after", "dtype", "doubt", "grain"), "")
    return {"name": name, "kind": kind, "letters": False, "notes": [], **open_parts, **found}


def _typed(cells: Any) -> dict[str, Any]:
    """A column of a file that has types of its own: it is read as it is."""
    kinds, name, known = pd.api.types, str(cells.name), cells.dropna()
    if kinds.infer_dtype(cells) == "boolean":
        return _of_kind(name, "yes/no", after="" if kinds.is_bool_dtype(cells) else '.astype("boolean")')
    if kinds.is_numeric_dtype(cells):
        years = len(known) and YEAR_NAME.search(name) and all(YEAR.fullmatch(f"{one:g}") for one in known.unique())
        return _of_kind(name, "year" if years else "number")
    if kinds.is_datetime64_any_dtype(cells):
        zone = ".dt.tz_localize(None)" if getattr(cells.dt, "tz", None) else ""
        return _of_kind(name, "date", after=zone, grain="day" if (known == known.dt.normalize()).all() else "time")
    return _of_kind(name, "text")


def _column(name: str, counts: dict[str, int], rows: int, *, comma: bool) -> dict[str, Any]:
    """A column of texts, by what all of them are."""
    written: Counter[str] = Counter()
    for cell, times in counts.items():
        written[cell.strip()] += times
    # Where most cells are two capital letters, NA is Namibia's code.
    codes = sum(bool(re.fullmatch("[A-Z]{2}", cell)) for cell in written)
    letters = "NA" in written and codes * 2 > len(written) > FEW + 1
    known = {cell: times for cell, times in written.items() if cell not in MISSING or (letters and cell)}
    padded = any(cell != cell.strip() for cell in counts)
    strip = ".str.strip()" if padded else ""
    if not known:
        return _of_kind(name, "empty", letters=letters)
    if any({cell.casefold() for cell in known} <= truth for truth in TRUTH):
        bare = {cell.casefold() for cell in known} == {"true", "false"} and not padded
        return _of_kind(name, "yes/no", after=strip, dtype='"boolean"' if bare else "")
    found = _date(name, known) or _number(name, known, comma=comma, blanks=sum(known.values()) < rows)
    if "kind" in found:
        return _of_kind(name, **found)
    before, after = "", '.replace("", pd.NA)' if letters else strip
    dtype = "str" if not letters and any(PLAIN.fullmatch(cell) for cell in known) else ""
    if order := _order(list(known)):
        before, after = "pd.Categorical(", f"{after}, {_py(order)}, ordered=True)"
    return _of_kind(name, "text", letters=letters, before=before, after=after, dtype=dtype, **found)


def _number(name: str, known: dict[str, int], *, comma: bool, blanks: bool) -> dict[str, Any]:
    """How the cells become numbers: empty where they do not, a doubt where they could in two ways."""
    form, as_plain, changes = STYLES[comma]
    bare = {cell: AROUND.sub("", cell) for cell in known}
    if any(CODE.fullmatch(cell) for cell in bare.values()):
        return {}
    plain = {cell: text.translate(as_plain) if form.fullmatch(text) else text for cell, text in bare.items()}
    odd = {cell: times for cell, times in known.items() if not PLAIN.fullmatch(plain[cell])}
    total, digits = sum(known.values()), sum(times for cell, times in odd.items() if re.search(r"\d", cell))
    if len(odd) == len(known) or digits > MAX_ODD_SHARE * total or sum(odd.values()) - digits > MAX_WORD_SHARE * total:
        return {}
    good = [cell for cell in known if cell not in odd]
    if len({cell.endswith("%") for cell in good}) > 1:
        return {"doubt": "some of its cells are written with % and some without"}
    needs = [cell for cell in good if plain[cell] != cell]
    notes = [f"“{needs[0]}” is read as {plain[needs[0]]}"] if needs else []
    found: dict[str, Any] = {"kind": "number", "notes": notes}
    if YEAR_NAME.search(name) and all(YEAR.fullmatch(cell) for cell in known):
        found["kind"] = "year"
    if needs or odd:
        used = [(old, new) for old, new in changes if needs and any(re.search(old, cell) for cell in known)]
        for cell in known:
            read = re.sub("[$€£%\\s]", "", cell).translate(as_plain)  # as the code reads it
            if needs and read != plain[cell] and PLAIN.fullmatch(read):
                return {"doubt": f"“{cell}” could be a number in two ways"}
        steps = "".join(f".str.replace({_py(old)}, {_py(new)}, regex=True)" for old, new in used)
        after = f'{steps}, errors="coerce")' if odd else f"{steps})"
        found |= {"before": "pd.to_numeric(", "after": after, "dtype": "str"}
    elif blanks and not any("." in cell or "e" in cell.lower() for cell in good):
        found["dtype"] = '"Int64"'
    if odd:
        shown = ", ".join(f"“{cell[:MAX_VALUE]}” ({times:,})" for cell, times in sorted(odd.items())[:5])
        notes.append(f"what is no number counts as missing: {shown}")
    return found


def _date(name: str, known: dict[str, int]) -> dict[str, Any]:
    """How the cells become dates; a doubt where day and month could be either."""
    if not all(re.search(r"\d{4}|[A-Za-z]{3}-\d\d$", cell) for cell in known):
        return {}
    found = {"kind": "date", "before": "pd.to_datetime(", "dtype": "str"}
    if all(re.fullmatch(r"\d{4}-?[QT][1-4]", cell) for cell in known):
        return found | {"before": "pd.PeriodIndex(", "after": ', freq="Q").to_timestamp()', "grain": "quarter"}
    if all(re.fullmatch(r"\d{4}-?W\d\d", cell) for cell in known):
        return found | {"after": f' + "-1", format="%G{"-" * ("-" in min(known))}W%V-%u")', "grain": "week"}
    cells = pd.Series(list(known), dtype=object)
    fitting: dict[str, Any] = {}
    for form in DATES:
        likely = {*form} & {*"-/:.,"} <= {*cells[0]} and (form != "%Y%m" or re.search("period|month|date", name, re.I))
        if likely and pd.to_datetime(cells.head(100), format=form, errors="coerce").notna().all():
            parsed = pd.to_datetime(cells, format=form, errors="coerce")
            fitting |= {form: parsed} if parsed.notna().all() else {}
    if not fitting:
        return {}
    form, first = next(iter(fitting.items()))
    if any(not first.equals(parsed) for parsed in fitting.values()):
        return {"doubt": f"its dates, such as {next(iter(known))}, could be day/month or month/day"}
    after = f", format={_py(form)}){'.dt.tz_localize(None)' if '%z' in form else ''}"
    grain = "time" if "%H" in form else "day" if "%d" in form else "month"
    return found | {"after": after, "grain": grain, "dtype": "str" if form == "%Y%m" else ""}


def _order(values: list[str]) -> list[str]:
    """The values in the order of the calendar or of their ages, where that is not that of the alphabet."""
    for order in ORDERS:
        if len(values) > 1 and {value.title() for value in values} <= set(order):
            return sorted(values, key=lambda value: order.index(value.title()))
    bands = {value: BAND.fullmatch(value) for value in values} if 1 < len(values) <= MAX_BANDS else {}
    ends = {value: (int(found[1] or found[2]), value[0] not in "<≤") for value, found in bands.items() if found}
    ordered = sorted(values, key=lambda value: ends[value]) if ends and len(ends) == len(values) else []
    return ordered if ordered != sorted(values) else []


def _described(column: dict[str, Any], data: Any, words: frozenset[str]) -> None:
    """Puts the column's type in place in `data`, and adds what is found there."""
    name, numeric = column["name"], column["kind"] in {"number", "year"}
    if numeric and not column["before"] and not pd.api.types.is_numeric_dtype(data[name]):
        column["before"], column["after"] = "pd.to_numeric(", ")"
    if column["before"] or column["after"]:
        code = f"{column['before']}data[{_py(name)}]{column['after']}"
        data[name] = eval(code, {"pd": pd, "data": data})  # noqa: S307 - our own code, the same that the user sees
    cells, known = data[name], data[name].dropna()
    column |= {"distinct": int(known.nunique()), "missing": int(cells.isna().sum()), "low": "", "high": ""}
    column["unique"] = len(data) > FEW and column["distinct"] == len(data)
    column |= {"values": [], "whole": False}
    if column["kind"] in {"text", "yes/no"} and not pd.api.types.is_bool_dtype(cells.dtype):
        texts = [text for text in map(str, known.unique()) if len(text) <= MAX_VALUE]
        column["values"] = sorted(t for t in texts if column["distinct"] <= MAX_VALUES or t.casefold() in words)
    elif len(known) and numeric:
        column |= {"low": float(known.min()), "high": float(known.max()), "whole": bool((known % 1 == 0).all())}
    elif len(known) and column["kind"] == "date":
        column |= {"low": str(known.min().date()), "high": str(known.max().date())}


def _as_text(frame: Any) -> Any:
    """Cells of a sheet as they would be written."""
    return frame.astype(object).where(frame.notna(), "").map(str).replace(" 00:00:00$", "", regex=True)


def _py(value: object) -> str:
    """A Python literal, in double quotes where that changes nothing else."""
    if isinstance(value, list):
        return f"[{', '.join(map(_py, value))}]"
    literal = repr(value)
    return f'"{value}"' if isinstance(value, str) and '"' not in literal and "\\" not in literal else literal


# ---- after the answer's code has run


def outcome(columns: list[str], most: int) -> dict[str, Any]:
    """What the code left: rows used, cells missing in the columns it needed, and the head of what it wrote."""

    def shown_as(cell: Any) -> str:
        if pd.isna(cell):
            return ""
        if isinstance(cell, float):
            return f"{cell:.4g}" if abs(cell) < 1 else f"{round(cell, 4):.12g}"
        return str(cell).removesuffix(" 00:00:00") if isinstance(cell, pd.Timestamp) else str(cell)

    data, rows, result = (VARIABLES[name] for name in ("data", "rows", "result"))
    lacking = rows[[name for name in columns if name in rows]].isna().sum()
    shown = result.head(most).astype(object)
    return {
        "all": len(data),
        "rows": len(rows),
        "missing": {name: int(times) for name, times in lacking.items() if times},
        "size": list(result.shape),
        "columns": [str(name) for name in shown.columns],
        "head": [[shown_as(cell) for cell in row] for row in shown.to_numpy().tolist()],
        "unmatched": [int(one) for one in VARIABLES.get("unmatched", ())],
    }
