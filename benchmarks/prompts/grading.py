"""Grades one answer against what is right: `grade(entry, outcome)` → 'right', 'refused' or 'wrong'.

What is right is written down by value, label and order, never by wording or column name: an answer's table may call
its columns what it likes and may show more columns than were asked for; it may not show another number, another
label, a row too many or (where the prompt asked for one) another order. Where a prompt is honestly open, several
answers are right. Everything is compared as text read back from the files, so that a code that lost its leading
zeros is another label.

Two leniencies: a number may be rounded (to two decimals, or to one where that moves it by at most half a per cent),
and upper and lower case are one. A share may be a fraction or a percentage.
"""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

Verdict = Literal["right", "refused", "wrong"]
SETS = {
    "first": ("prompts.toml", "prompts.expected"),
    "second": ("second.toml", "prompts.expected_second"),
    "third": ("third.toml", "prompts.expected_third"),
}
TABLES = Path(__file__).with_name("tables")
PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".pdf", ".webp")
BETWEEN_TICKS = "?"  # a point of a line whose place has no label of its own
NO_VALUE = {"", "nan", "none", "null", "nat", "<na>", "missing", "(missing)", "n/a", "na"}
TOTALS = {"total", "all", "overall", "grand total", "sum"}


# What is right


@dataclass(frozen=True, slots=True)
class Table:
    """A table with these columns' values, row for row.

    Args:
        frame: the columns that must be there; numbers, text, booleans, timestamps or periods.
        order: columns whose values must come in this order; the rows' order is free if there are none.
        named: the columns are labels of the data (a pivot's), so the answer's must have the same names.
        subset: more rows are no harm (a description may say more than asked).
        suffix: the file must be of this kind.
    """

    frame: pd.DataFrame
    order: tuple[str, ...] = ()
    named: bool = False
    subset: bool = False
    suffix: str = ""

    def met_by(self, outcome: Outcome, entry: Entry) -> bool:
        found = outcome.tables(entry, self.suffix)
        return any(matches(self, one) or matches(self, turned(one)) for one in found)


@dataclass(frozen=True, slots=True)
class Value:
    """One number or label that is said: in the text, in the logs, or as a table of one row.

    Args:
        value: the number or the label.
        rivals: labels that would be another answer; none of them may be said too, except below it in a ranking.
    """

    value: float | str
    rivals: tuple[str, ...] = ()

    def met_by(self, outcome: Outcome, entry: Entry) -> bool:
        for one in outcome.tables(entry):
            if one.empty:
                continue
            head = [str(cell) for cell in one.iloc[0]]
            if (len(one) == 1 or (self.rivals and is_ranking(one))) and any(same(self.value, cell) for cell in head):
                return True
        return any(self._said_in(prose(part, entry.text)) for part in (outcome.text, outcome.logs))

    def _said_in(self, text: str) -> bool:
        if isinstance(self.value, str):
            said = plain(text)
            return names(said, self.value) and not any(names(said, label) for label in self.rivals)
        return any(same(self.value, number) for number in NUMBER.findall(text))


@dataclass(frozen=True, slots=True)
class Plot:
    """One pair of axes that shows these series.

    Args:
        kinds: what may be drawn: line, bar, stacked, hist, box, scatter, heatmap.
        series: label → (x, y). One series needs no label. For `hist`: label → ((), the values counted);
            for `box`: one series, the boxes' labels and their medians; for `heatmap`: row label → (columns, cells).
        order: x must come in the given order (bars; lines always do).
    """

    kinds: tuple[str, ...]
    series: Mapping[str, tuple[Sequence[Any], Sequence[float]]]
    order: bool = False

    def met_by(self, outcome: Outcome, entry: Entry) -> bool:
        if not any(name.lower().endswith(PICTURES) for name in outcome.files):
            return False
        return any(shows(self, axes) for axes in outcome.figures)


@dataclass(frozen=True, slots=True)
class File:
    """A file of one of these kinds that, read back, is the table: the same columns, rows, cells and order."""

    frame: pd.DataFrame
    suffixes: tuple[str, ...]

    def met_by(self, outcome: Outcome, entry: Entry) -> bool:
        found = [
            one
            for name, content in outcome.files.items()
            if name.lower().endswith(self.suffixes) and name not in entry.tables
            for one in tables_in(name, content)
        ]
        if set(self.suffixes) & {".md", ".txt"}:  # a Markdown table may as well be the answer itself
            found += [*markdown_tables(outcome.text), *markdown_tables(outcome.logs)]
        return any(equal(self.frame, one) for one in found)


@dataclass(frozen=True, slots=True)
class Both:
    """Every one of the parts has to be there: a question for two things, or a list given in words."""

    parts: tuple[Table | Value | Plot | File, ...]

    def met_by(self, outcome: Outcome, entry: Entry) -> bool:
        return bool(self.parts) and all(part.met_by(outcome, entry) for part in self.parts)


Accepted = Table | Value | Plot | File | Both


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt: what is asked, about which tables, and every answer that is right."""

    id: str
    kind: str
    tables: tuple[str, ...]
    text: str
    expect: Literal["table", "value", "plot", "file", "refusal"]
    accepted: tuple[Accepted, ...] = ()


# What came


@dataclass(frozen=True, slots=True)
class Axes:
    """What one pair of axes shows, as `figures.Reader` reads it.

    Lines and bars are (label, x, y) with x as text, `?` between ticks; `stacked` says that bars stand on bars;
    `bins` are (label, edges, counts) of bars that touch; `boxes` are (label, median); `points` are (x, y); `grids` are
    (row labels, column labels, cells).
    """

    lines: tuple[tuple[str, tuple[str, ...], tuple[float, ...]], ...] = ()
    bars: tuple[tuple[str, tuple[str, ...], tuple[float, ...]], ...] = ()
    stacked: bool = False
    bins: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...] = ()
    boxes: tuple[tuple[str, float], ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    grids: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[float, ...], ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an assistant gave back for one prompt.

    Args:
        status: completed, refused (it said that it cannot, and ran nothing) or failed (it broke, and said so).
        text: the answer's text.
        logs: what the code printed.
        files: name → bytes of every file that was written; the inputs may be among them.
        figures: what the drawn axes show.
    """

    status: Literal["completed", "refused", "failed"]
    text: str = ""
    logs: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    figures: tuple[Axes, ...] = ()

    def tables(self, entry: Entry, suffix: str = "") -> list[pd.DataFrame]:
        """Every table of the answer as text cells; those in the text and the logs too, unless a kind is asked for."""
        found = [
            one
            for name, content in self.files.items()
            if name not in entry.tables and name.lower().endswith(suffix)
            for one in tables_in(name, content)
        ]
        if not suffix:
            found += [*markdown_tables(self.text), *markdown_tables(self.logs), *printed_tables(self.logs)]
        return found


def grade(entry: Entry, outcome: Outcome) -> Verdict:
    """Whether the outcome is right, a refusal (or a failure that says so), or silently wrong.

    A refusal is right where one was due. Where one was due, an answer is wrong unless it is an accepted one.
    """
    if outcome.status == "failed":
        return "refused"
    if outcome.status == "refused":
        return "right" if entry.expect == "refusal" else "refused"
    return "right" if any(answer.met_by(outcome, entry) for answer in entry.accepted) else "wrong"


def by_prompt(names: Mapping[str, Any]) -> dict[str, Callable[[], Iterable[Accepted]]]:
    """A module's functions that are named after prompts: `v_mean_wait` gives the answers to `v-mean-wait`."""
    return {name.replace("_", "-"): answers for name, answers in names.items() if re.match(r"[a-z]\d?_", name)}


def load_entries(
    which: Literal["first", "second", "third"] = "first",
    answers: Mapping[str, Callable[[], Iterable[Accepted]]] | None = None,
) -> list[Entry]:
    """The prompts of one set in its file's order, each with the answers its function in `expected` gives.

    Args:
        which: the hundred prompts, or the second or the third set of forty.
        answers: id → what gives the answers; the set's own functions if not given.
    """
    file, module = SETS[which]
    if answers is None:
        answers = importlib.import_module(module).ANSWERS  # late: it reads the tables
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    entries = []
    for one in tomllib.loads(text)["prompt"]:
        accepted = tuple(answers[one["id"]]()) if one["id"] in answers else ()
        fields = {"id": one["id"], "kind": one["kind"], "text": one["text"], "expect": one["expect"]}
        entries.append(Entry(tables=tuple(one["tables"]), accepted=accepted, **fields))
    return entries


# Cells

NUMBER = re.compile(r"(?<![\w.])[-\u2212+]?\d[\d,\u202f]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")

FOOTER = re.compile(r"(Name|dtype|Length):|\[\d+ rows")


def plain(text: object) -> str:
    return " ".join(str(text).casefold().split())


def names(said: str, label: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(plain(label))}(?!\w)", said) is not None


def number(cell: object) -> float | None:
    text = str(cell).strip().replace("\u2212", "-").replace("\u202f", "").removesuffix("%").strip()
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    if text.lower() in {"inf", "-inf"}:
        return float(text)
    return float(text) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) else None


def close(expected: float, given: float) -> bool:
    if expected == given or math.isclose(expected, given, rel_tol=1e-6, abs_tol=1e-9):
        return True
    if not (math.isfinite(expected) and math.isfinite(given)) or expected == round(expected):
        return False
    off = abs(expected - given)
    decimals = range(2, 7) if given else ()
    rounded = any(abs(round(expected, count) - given) < 1e-9 and off <= 0.05 * abs(expected) for count in decimals)
    return rounded or (abs(round(expected, 1) - given) < 1e-9 and off <= 0.005 * abs(expected))


def moment(cell: object) -> pd.Timestamp | None:
    try:
        found = pd.Timestamp(str(cell).strip())
    except (ValueError, OverflowError):
        return None
    return None if pd.isna(found) else found.tz_localize(None)


def in_period(expected: pd.Period, cell: str) -> bool:
    """2024-02, Feb 2024, February, 2024-02-01 and 2024-02-29 are the month; 2024Q1, Q1 2024 the quarter; W05 the week.

    A label without its year is taken: the rows' number and values tell the years apart.
    """
    year, day = expected.year, expected.start_time
    iso_year, week, _ = expected.end_time.isocalendar()
    quarter = f"q{expected.quarter}"
    spelt = {
        "M": {
            str(expected),
            *(f"{day:{form}}" for form in ("%b %Y", "%B %Y", "%Y %m", "%m %Y", "%b", "%B")),
            str(day.month),
        },
        "Q": {f"{year}{quarter}", f"{year} {quarter}", f"{quarter} {year}", quarter, quarter[1:]},
        "W": {str(expected), f"{iso_year} w{week:02d}", f"{iso_year} {week:02d}", f"w{week}", f"{week}"},
    }.get(expected.freqstr[0], {str(expected)})
    said = plain(cell)
    if {said, re.sub(r"[-_/ ]+", " ", said)} & {plain(one) for one in spelt}:
        return True
    found = moment(cell) if len(cell.strip()) >= 8 else None
    ends = {expected.start_time.normalize(), expected.end_time.normalize()}
    return found is not None and found.normalize() in ends


def same(expected: object, cell: object) -> bool:
    """Whether the cell, as text, is the expected value."""
    text = str(cell)
    if expected is None or (not isinstance(expected, str) and pd.isna(expected)):
        return plain(text) in NO_VALUE
    if isinstance(expected, (bool, np.bool_)):
        return plain(text) in ({"true", "1", "1.0", "yes"} if expected else {"false", "0", "0.0", "no"})
    if isinstance(expected, pd.Period):
        return in_period(expected, text)
    if isinstance(expected, pd.Timestamp):
        return moment(text) == expected if len(text.strip()) >= 8 else False
    if isinstance(expected, (int, float, np.number)):
        given = number(text)
        return given is not None and close(float(expected), given)
    if plain(expected) == plain(text):
        return True
    is_day = re.fullmatch(r"\d{4}-\d\d-\d\d", expected) is not None
    return is_day and len(text.strip()) >= 8 and moment(text) == pd.Timestamp(expected)


# Tables


def matches(expected: Table, found: pd.DataFrame) -> bool:
    """Whether the found table has, under some choice of its columns, the expected rows (and their order)."""
    wanted = expected.frame
    if len(found) < len(wanted):
        return False
    found = without_totals(found, wanted)
    if len(found) < len(wanted) or (len(found) > len(wanted) and not expected.subset):
        return False
    if len(wanted) == 0:
        return True
    choices = []
    for name in wanted.columns:
        fitting = [
            place
            for place, given in enumerate(found.columns)
            if (not expected.named or is_named(name, given, first=name == wanted.columns[0]))
            and holds(wanted[name], found.iloc[:, place], loose=expected.subset)
        ]
        if not fitting:
            return False
        choices.append(fitting[:6])
    picks = itertools.islice((pick for pick in itertools.product(*choices) if len(set(pick)) == len(pick)), 400)
    return any(rows_agree(wanted, found.iloc[:, list(pick)], expected.order) for pick in picks)


def is_named(name: object, given: object, *, first: bool) -> bool:
    """The first column is the key, whatever it is called."""
    return first or same(name, given) or names(plain(given).replace("_", " "), str(name))


def each_its_own(wanted: Iterable[Any], found: Iterable[Any], fits: Callable[[Any, Any], bool]) -> bool:
    """Whether each that is wanted fits one of those found, no two the same, in whatever order."""
    left = list(found)
    for one in wanted:
        place = next((place for place, other in enumerate(left) if fits(one, other)), None)
        if place is None:
            return False
        del left[place]
    return True


def holds(wanted: pd.Series, column: pd.Series, *, loose: bool) -> bool:
    """Whether the column has the wanted cells, in whatever order: a quick sieve before rows are compared."""
    return (loose or len(wanted) == len(column)) and each_its_own(wanted, column, same)


def rows_agree(wanted: pd.DataFrame, found: pd.DataFrame, order: tuple[str, ...]) -> bool:
    for name in order:
        place = list(wanted.columns).index(name)
        if not all(same(value, cell) for value, cell in zip(wanted[name], found.iloc[:, place], strict=True)):
            return False
    rows = (frame.itertuples(index=False, name=None) for frame in (wanted, found))
    return each_its_own(*rows, lambda row, cells: all(map(same, row, cells)))


def equal(wanted: pd.DataFrame, found: pd.DataFrame) -> bool:
    """The whole table: column names, cells and order. A column of row numbers without a name is no harm."""
    found = without_row_numbers(found) if found.shape[1] == wanted.shape[1] + 1 else found
    if wanted.shape != found.shape or [plain(name) for name in wanted] != [plain(name) for name in found]:
        return False
    return rows_in_place(wanted, found)


def rows_in_place(wanted: pd.DataFrame, found: pd.DataFrame) -> bool:
    return all(
        same(value, cell)
        for place in range(wanted.shape[1])
        for value, cell in zip(wanted.iloc[:, place], found.iloc[:, place], strict=True)
    )


def without_row_numbers(found: pd.DataFrame) -> pd.DataFrame:
    unnamed = plain(found.columns[0]) in {"", "unnamed: 0", "index"}
    counted = any(
        [same(n + start, cell) for n, cell in enumerate(found.iloc[:, 0])] == [True] * len(found) for start in (0, 1)
    )
    return found.iloc[:, 1:] if unnamed and counted else found


def without_totals(found: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """A row of totals nobody asked for is no wrong answer."""
    asked = {plain(cell) for cell in wanted.to_numpy().ravel() if isinstance(cell, str)}
    if not found.shape[1] or asked & TOTALS:
        return found
    kept = [plain(cell) not in TOTALS for cell in found.iloc[:, 0]]
    return found if all(kept) else found[kept]


def turned(found: pd.DataFrame) -> pd.DataFrame:
    """Rows as columns: the first column's cells become the names, the names become the first column."""
    if found.shape[1] < 2:
        return found.iloc[:0]
    body = found.iloc[:, 1:].T
    body.columns = [str(cell) for cell in found.iloc[:, 0]]
    body.insert(0, str(found.columns[0]), [str(name) for name in found.columns[1:]], allow_duplicates=True)
    return body.reset_index(drop=True)


def is_ranking(found: pd.DataFrame) -> bool:
    """Whether some column of numbers rises or falls all the way down, and not by chance."""
    if found.shape[1] > 3 and len(found) < 8:
        return False
    for place in range(found.shape[1]):
        cells = [number(cell) for cell in found.iloc[:, place]]
        if len(cells) > 1 and None not in cells and cells[0] != cells[-1] and cells != list(range(len(cells))):
            rising = sorted(cell for cell in cells if cell is not None)
            if cells in (rising, rising[::-1]):
                return True
    return False


# Reading


@functools.lru_cache(maxsize=64)
def tables_in(name: str, content: bytes) -> list[pd.DataFrame]:
    """The tables of a file, every cell as text; none if it is no table or cannot be read."""
    readers: dict[str, Callable[[], list[pd.DataFrame]]] = {
        ".csv": lambda: [pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)],
        ".tsv": lambda: [pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, sep="\t")],
        ".xlsx": lambda: [pd.read_excel(io.BytesIO(content), dtype=object)],
        ".parquet": lambda: [pd.read_parquet(io.BytesIO(content))],
        ".json": lambda: [json_table(json.loads(content))],
        ".jsonl": lambda: [json_table([json.loads(line) for line in content.splitlines() if line.strip()])],
        ".md": lambda: markdown_tables(content.decode()),
        ".html": lambda: html_tables(content.decode()),
    }
    reader = readers.get(PurePath(name).suffix.lower())
    if reader is None:
        return []
    try:
        return [as_text(one) for one in reader()]
    except (ValueError, KeyError, OSError, TypeError, AttributeError):
        return []


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells as text; an index that says something is a column."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if isinstance(frame.columns, pd.MultiIndex):
        frame.columns = [" ".join(str(part) for part in name if str(part)) for name in frame.columns]
    cells = [[cell_text(cell) for cell in frame.iloc[:, place]] for place in range(frame.shape[1])]
    text = pd.DataFrame({place: pd.Series(column, dtype=object) for place, column in enumerate(cells)})
    text.columns = [str(name) for name in frame.columns]
    return text


def cell_text(cell: object) -> str:
    if isinstance(cell, pd.Timestamp) and cell == cell.normalize():
        return cell.strftime("%Y-%m-%d")
    return "" if cell is None or (pd.api.types.is_scalar(cell) and pd.isna(cell)) else str(cell)


def json_table(found: Any) -> pd.DataFrame:
    """Records, `{"columns", "data"}`, `{"schema", "data"}`, or columns of lists or of index → cell."""
    if isinstance(found, dict) and {"columns", "data"} <= found.keys():
        return pd.DataFrame(found["data"], columns=found["columns"], dtype=object)
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        return pd.DataFrame(
            {
                name: pd.Series([one.get(name) for one in found], dtype=object)
                for name in dict.fromkeys(k for one in found for k in one)
            }
        )
    return pd.DataFrame(found, dtype=object)


def markdown_tables(text: str) -> list[pd.DataFrame]:
    """Every pipe table of the text."""
    found: list[pd.DataFrame] = []
    lines = [line.strip() for line in text.splitlines()] + [""]
    block: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip("|") if not line.endswith("\\|") else line[1:])
            block.append([cell.strip().replace("\\|", "|").strip("*`") for cell in cells])
            continue
        if len(block) >= 2 and all(re.fullmatch(r":?-+:?", cell) for cell in block[1]):
            width = len(block[0])
            rows = [(row + [""] * width)[:width] for row in block[2:]]
            found.append(pd.DataFrame(rows, columns=pd.Index(block[0]), dtype=object))
        block = []
    return found


def printed_tables(text: str) -> list[pd.DataFrame]:
    """A frame or a series as pandas prints it, in columns of fixed width."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip() and not FOOTER.match(line)]
        if len(lines) < 2 or lines[0].startswith("|"):
            continue
        for header in (0, None):  # a series has none
            page = io.StringIO("\n".join(lines))
            one = pd.read_fwf(page, header=header, dtype=str, keep_default_na=False, infer_nrows=len(lines))
            if header == 0 and one.shape[1] > 1 and not any(one.iloc[0, 1:]):  # the name of the index
                one = one.iloc[1:]
            found.append(as_text(one.reset_index(drop=True)))
    return found


def html_tables(text: str) -> list[pd.DataFrame]:
    found = []
    for one in BeautifulSoup(text, "html.parser").find_all("table"):
        rows = [[cell.get_text().strip() for cell in row.find_all(["td", "th"])] for row in one.find_all("tr")]
        filled = [row for row in rows if row]
        if filled and all(len(row) == len(filled[0]) for row in filled):
            found.append(pd.DataFrame(filled[1:], columns=pd.Index(filled[0]), dtype=object))
    return found


def prose(text: str, prompt: str) -> str:
    """The text without code, tables and the prompt itself, in which a number or label could stand by chance."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("|"))
    return text.replace(prompt, " ").replace(" ".join(prompt.split()), " ")


# Pictures


def shows(expected: Plot, axes: Axes) -> bool:
    """Whether the axes show every series, and no other, in one of the ways that are right."""
    tests = {
        "line": lambda: all_shown(expected, axes.lines, ordered=True),
        "bar": lambda: not axes.stacked and all_shown(expected, axes.bars, ordered=expected.order),
        "stacked": lambda: axes.stacked and all_shown(expected, axes.bars, ordered=expected.order),
        "hist": lambda: counted(expected, axes),
        "box": lambda: boxed(expected, axes),
        "scatter": lambda: scattered(expected, axes),
        "heatmap": lambda: any(gridded(expected, grid) for grid in axes.grids),
    }
    return any(tests[kind]() for kind in expected.kinds)


def all_shown(
    expected: Plot, drawn: Sequence[tuple[str, tuple[str, ...], tuple[float, ...]]], *, ordered: bool
) -> bool:
    if len(drawn) != len(expected.series):
        return False
    single = len(expected.series) == 1
    for label, (x, y) in expected.series.items():
        fitting = [one for one in drawn if single or same(label, one[0]) or names(plain(one[0]), label)]
        if not any(shown(x, y, one[1], one[2], ordered=ordered) for one in fitting):
            return False
    return True


def shown(x: Sequence[Any], y: Sequence[float], at: Sequence[str], height: Sequence[float], *, ordered: bool) -> bool:
    """Missing values are gaps: they may be drawn as nothing. Bars that stand for nothing may be left out or be 0."""
    wanted = [(one, value) for one, value in zip(x, y, strict=True) if not pd.isna(value)]
    given = [(one, value) for one, value in zip(at, height, strict=True) if not math.isnan(value)]
    if not ordered:
        wanted = [pair for pair in wanted if pair[1] != 0]
        given = [pair for pair in given if pair[1] != 0]
    if len(wanted) != len(given):
        return False
    if ordered:
        pairs = zip(wanted, given, strict=True)
        return all((same(a[0], b[0]) or b[0] == BETWEEN_TICKS) and close(float(a[1]), b[1]) for a, b in pairs)
    return each_its_own(wanted, given, lambda a, b: same(a[0], b[0]) and close(float(a[1]), b[1]))


def counted(expected: Plot, axes: Axes) -> bool:
    """Counting the expected values into the bins that were drawn gives the heights that were drawn."""
    if len(axes.bins) != len(expected.series):
        return False
    for label, (_, values) in expected.series.items():
        # Edges are sums of widths: what stands on an edge must not fall off it by a last bit.
        clean = np.array([value for value in values if not pd.isna(value)], dtype=float)
        fitting = [one for one in axes.bins if len(axes.bins) == 1 or same(label, one[0])]
        if not any(
            np.allclose(np.histogram(clean, bins=np.round(edges, 6))[0], heights) and sum(heights) == len(clean)
            for _, edges, heights in fitting
        ):
            return False
    return True


def boxed(expected: Plot, axes: Axes) -> bool:
    labels, medians = next(iter(expected.series.values()))
    single, wanted = len(labels) == 1, list(zip(labels, medians, strict=True))
    return len(wanted) == len(axes.boxes) and each_its_own(
        wanted, axes.boxes, lambda a, b: (single or same(a[0], b[0])) and close(a[1], b[1])
    )


def scattered(expected: Plot, axes: Axes) -> bool:
    wanted = [(float(a), float(b)) for x, y in expected.series.values() for a, b in zip(x, y, strict=True)]
    wanted = sorted(pair for pair in wanted if not math.isnan(pair[0] + pair[1]))
    given = sorted(pair for pair in axes.points if not math.isnan(pair[0] + pair[1]))
    return len(wanted) == len(given) and np.allclose(wanted, given)


def gridded(expected: Plot, grid: tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[float, ...], ...]]) -> bool:
    rows, columns, cells = grid
    for turn in (False, True):
        down, across = (columns, rows) if turn else (rows, columns)
        if len(down) != len(expected.series):
            continue
        if all(
            any(
                same(label, name) and shown(x, y, across, grid_line(cells, place, turn=turn), ordered=False)
                for place, name in enumerate(down)
            )
            for label, (x, y) in expected.series.items()
        ):
            return True
    return False


def grid_line(cells: Sequence[Sequence[float]], place: int, *, turn: bool) -> list[float]:
    return [row[place] for row in cells] if turn else list(cells[place])
