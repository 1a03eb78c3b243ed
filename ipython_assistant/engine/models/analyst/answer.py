"""What the analyst says after the code has run: facts read back from the files, nothing taken on trust."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.analyst.plan import (
    Blank,
    Chart,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    InYears,
    OneOf,
    Plan,
    Proportion,
    Rows,
    Spread,
    columns_of,
    compared,
    drawn,
)
from ipython_assistant.engine.models.analyst.rehearsal import kept_without_value
from ipython_assistant.engine.models.analyst.tables import sources
from ipython_assistant.engine.models.analyst.wording import in_words, reading_notes
from ipython_assistant.engine.models.markdown import bold, code, escape, link, listed, one_line, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.engine.models import Ran
    from ipython_assistant.engine.models.analyst.counts import Counts

_CENT: Final = Decimal("0.01")
_LARGE: Final = 1e15
"""From which on a float has no decimals left."""
HEAD_ROWS: Final = 5
"""Rows of a table that are shown."""
OVERVIEW_ROWS: Final = 20
"""Columns of a table that an overview shows."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was read back for one plan: the table it wrote, the points it drew; or why that failed."""

    head: Mapping[str, Any] | None = None
    points: Mapping[str, Any] | None = None
    problem: str = ""


def opening(plans: Sequence[Plan]) -> list[str]:
    """The message before the code, in pieces: that no model was used, and the plan in words."""
    name = bold(plans[0].table.shown)
    lines = [f"No model was used. I read the request, on {name}, as:\n\n"]
    lines += [f"{number}. {in_words(plan)}.\n" for number, plan in enumerate(plans, 1)]
    columns = {column.name: column for plan in plans for column in columns_of(plan)}
    notes = [note for plan in plans for note in plan.notes]
    notes += [note for column in columns.values() if (note := reading_notes(column))]
    lines += [f"\n{note}\n" for note in dict.fromkeys(notes)]
    return lines


def closing(plans: Sequence[Plan], counts: Sequence[Counts], findings: Sequence[Findings], ran: Ran) -> str:
    """The message after the code: what each plan made, and the numbers that matter."""
    expected = [name for plan in plans for name in (plan.picture, plan.save) if name]
    missing = [name for name in expected if name not in ran.files]
    if ran.error or missing:
        return _failed(ran, [name for name in expected if name in ran.files], missing)
    parts = [_outcome(*part) for part in zip(plans, counts, findings, strict=True)]
    if len(parts) > 1:
        parts = [f"**{number}.** {part}" for number, part in enumerate(parts, 1)]
    return "\n\n".join(parts)


def _failed(ran: Ran, there: Sequence[str], missing: Sequence[str]) -> str:
    lines = [
        f"The code stopped with an error: {code(one_line(ran.error))}."
        if ran.error
        else "The code ran without an error."
    ]
    lines += [f"Not written: {', '.join(map(code, missing))}."] if missing else []
    lines += [f"Written: {', '.join(map(link, there))}."] if there else []
    return " ".join(lines)


def _outcome(plan: Plan, counts: Counts, findings: Findings) -> str:
    if findings.problem:
        written = [link(name) for name in (plan.picture, plan.save) if name]
        return f"{listed(written)}: written, but not read back: {code(findings.problem)}."
    match plan.task:
        case _ if drawn(plan.task):
            return _drawn(plan, counts, findings)
        case Describe():
            columns = len(plan.task.columns or plan.table.columns)
            sentence = f"{link(plan.save)}: {_number(counts.rows, 'row')}, {_number(columns, 'column')}."
            return _with_head(sentence, findings, plan, OVERVIEW_ROWS)
        case _:
            size = findings.head or {"rows": 0, "columns": []}
            sentence = f"{link(plan.save)}: {_number(size['rows'], 'row')} × {_number(len(size['columns']), 'column')}."
            sentence = f"{sentence} {_left_out(plan, counts)}".strip()
            return _with_head(sentence, findings, plan, HEAD_ROWS)


def _drawn(plan: Plan, counts: Counts, findings: Findings) -> str:
    points = findings.points or {"points": 0}
    sentence = link(plan.picture)
    if not isinstance(plan.task, Correlation):
        noun = "row" if isinstance(plan.task, Spread) else "point"
        sentence += f": {_number(points['points'], noun)}"
    if points["points"] and "low" in points:
        low, high = (f"{_grouped(points[name])} ({_place(points[f'at_{name}'])})" for name in ("low", "high"))
        sentence += f", lowest {low}, highest {high}" if points["points"] > 1 else f": {low}"
    sentence = f"{sentence}. {_left_out(plan, counts)}".strip()
    return f"{sentence} The points are in {link(plan.save)}." if plan.save else sentence


def _grouped(number: float) -> str:
    """A number in a sentence, with commas between thousands."""
    whole, point, rest = _shown(str(number))[0].partition(".")
    return (
        f"{int(whole):,}{point}{rest}"
        if whole.lstrip("-").isdigit() and abs(int(whole)) > 0
        else f"{whole}{point}{rest}"
    )


def _place(parts: Sequence[str]) -> str:
    return ", ".join(map(escape, parts))


def _left_out(plan: Plan, counts: Counts) -> str:
    """How many rows were used, and how many could not be."""
    sentences = []
    join = plan.table.join
    for side, gone in zip((join.left, join.right) if join else (), counts.unmatched, strict=False):
        if gone:
            left = join is not None and side is join.left and join.how != "inner"
            kept = "" if not left else ", and is kept" if gone == 1 else ", and are kept"
            sentences.append(f"{_number(gone, 'row')} of {bold(side.shown)} {_have(gone)} no match{kept}.")
    if plan.where:
        sentences.append(f"{counts.rows:,} of {_number(counts.all, 'row')} fit the conditions.")
    others = kept_without_value(plan)
    for column, rows in counts.uncompared.items():
        if rows:
            kind = _counted_as(plan, column) or "another" * (column in others)
            counted = f"; {'it counts' if rows == 1 else 'they count'} as {kind}" if kind else ""
            sentences.append(
                f"{_number(rows, 'row')} of the table {_have(rows)} no {bold(column)} to compare{counted}."
            )
    for known in counts.measures:
        if gone := counts.rows - known.known:
            names = listed([bold(name) for name, rows in known.missing.items() if rows], "or")
            across = isinstance(plan.task, Chart) and plan.task.kind == "line" and plan.task.over.made is None
            what = "is left out" if gone == 1 else "are left out"
            sentences.append(
                f"{_number(gone, 'row')} {_have(gone)} no {names} and {what}"
                + (f"; the line runs straight across {'it' if gone == 1 else 'them'}." if across else ".")
            )
    sentences += _not_listed(plan, counts)
    if isinstance(plan.task, Chart | Group | Rows) and plan.task.top:
        sentences.append("All that share the last place are kept.")
    return " ".join(dict.fromkeys(sentences))


def _counted_as(plan: Plan, column: str) -> str:
    """What rows without a value count as in a share of rows: those that are asked for may be just these."""
    match plan.task:
        case Proportion(condition=Blank(negated=False, column=asked)) if asked.name == column:
            return "fitting"
        case Proportion(condition=OneOf() | InYears() as asked) if asked.negated and asked.column.name == column:
            return "fitting"
        case Proportion():
            return "not fitting"
        case _:
            return ""


def _not_listed(plan: Plan, counts: Counts) -> list[str]:
    """Groups that have none of the rows that are counted: they do not show up as 0."""
    task = plan.task
    if not isinstance(task, Group) or len(task.keys) != 1 or task.wide or task.top:
        return []
    (key,) = task.keys
    compared_with = {source for one in plan.where for column in compared(one) for source in sources(column)}
    gone = counts.all_keys[key.name] - counts.keys[key.name]
    counted = any(one.how in {How.COUNT, How.DISTINCT} for one in task.measures)
    if not (gone and counted) or not compared_with.isdisjoint(sources(key)):
        return []
    rows = "has no such row and is" if gone == 1 else "have no such row and are"
    return [f"{gone:,} of the {counts.all_keys[key.name]:,} values of {bold(key.name)} {rows} not listed."]


def _have(rows: int) -> str:
    return "has" if rows == 1 else "have"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _with_head(sentence: str, findings: Findings, plan: Plan, most: int) -> str:
    """The sentence, and the first rows of the table as it stands in the file."""
    if not findings.head or not findings.head["columns"]:
        return sentence
    columns = findings.head["columns"]
    kept = {key.name for key in plan.task.keys} if isinstance(plan.task, Group) else set()
    exact = [isinstance(plan.task, Rows | Duplicates | Distinct) or column in kept for column in columns]
    rounded = False
    rows = []
    for row in findings.head["head"][:most]:
        cells = []
        for cell, as_is in zip(row, exact, strict=True):
            shown, changed = (cell, False) if as_is else _shown(cell)
            rounded |= changed
            cells.append(shown)
        rows.append(cells)
    more = findings.head["rows"] - len(rows)
    notes = [f"{more:,} more in the file."] if more > 0 else []
    notes += ["Long numbers are shown rounded."] if rounded else []
    return "\n\n".join(filter(None, [sentence, table(columns, rows), " ".join(notes)]))


def _shown(cell: str) -> tuple[str, bool]:
    """A calculated cell as it is shown, and whether it was rounded for that."""
    try:
        number = float(cell)
    except ValueError:
        return cell, False
    short = str(Decimal(cell).quantize(_CENT, ROUND_HALF_UP)) if 1 <= abs(number) < _LARGE else f"{number:.4g}"
    short = short.rstrip("0").rstrip(".") if "." in short and "e" not in short else short
    return short, abs(float(short) - number) > abs(number) * 1e-12
