"""A plan in words: how a question was read, before its code runs, and what came of it; a comment, and a chart's title.

Nothing here is a model's text: the words come from the plan, the figures from what the code made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.engine.models import safe_markdown as md
from ipython_assistant.engine.models.plan.english import SAID
from ipython_assistant.engine.models.plan.mentions import plain
from ipython_assistant.engine.models.plan.plan import OF_COLUMNS, OF_POINTS, ROWS, is_number
from ipython_assistant.engine.models.table_profiles import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipython_assistant.engine.models import Interpreter, RunOutcome
    from ipython_assistant.engine.models.plan.plan import Key, Measure, Plan, RowFilter
    from ipython_assistant.engine.models.table_profiles import TableProfile

_AGGREGATES, _OPS, _THEN, _SIGNS = (SAID[name] for name in ("aggregates", "operators", "then", "signs"))


def read_as(plan: Plan) -> str:
    """What a plan does, as Markdown, without a full stop."""
    return _Phrases(plan, md.bold, md.quoted).sentence()


def plainly(plan: Plan) -> str:
    """What a plan does, on one line of plain text, for a comment in code."""
    return _Phrases(plan, md.clean_line, md.clean_line).sentence()


def title(plan: Plan) -> str:
    """A chart's title: what is drawn, by what, and of which rows."""
    said = _Phrases(plan, md.clean_line, md.clean_line)
    what = said.what() if plan.output in OF_POINTS else said.what().partition(" of ")[2]  # `bar chart of`
    text = f"{what} ({said.rows()})" if plan.filters else what
    return text[:1].upper() + text[1:]


class _Phrases:
    """The parts of a plan in words; `name` and `value` write names of columns, and values."""

    def __init__(self, plan: Plan, name: Callable[[str], str], value: Callable[[str], str]) -> None:
        self.plan = plan
        self.name = name
        self.value = value

    def sentence(self) -> str:
        plan = self.plan
        parts = [self.what(), self.rows()]
        if plan.on:
            parts.append(f"joined where {self.name(plan.on[0])} is {self.name(plan.on[1])}")
        for new in plan.new_columns:
            left, right = (part if is_number(part) else self.name(part) for part in (new.left, new.right))
            parts.append(f"where {self.name(new.name)} is {left} {_SIGNS.get(new.op, self.value(new.op))} {right}")
        by = f" by {self.name(plan.order.by)}" if plan.order and plan.order.by != "measure" else ""
        which = "largest" if plan.order and plan.order.descending else "smallest"
        if plan.order:
            parts.append(f"the {plan.limit} {which}{by}" if plan.limit else f"sorted{by}, {which} first")
        elif plan.limit:
            parts.append(f"the first {plan.limit}")
        return ", ".join(parts)

    def what(self) -> str:
        plan, columns = self.plan, md.listed(list(map(self.name, self.plan.columns)))
        if plan.output in OF_COLUMNS:
            compared = f", compared by {columns}" if columns else ""
            return {
                "describe": f"overview of {columns or 'every column'}",
                "missing": f"missing cells of {columns or 'each column'}",
                "duplicates": f"rows that are there more than once{compared}",
                "without duplicates": f"each row once{compared}",
                "distinct": f"the different values of {columns}",
                "correlation": f"correlation (Pearson) of {columns}",
            }[plan.output]
        across = self.keys((plan.across,)) if plan.across else ""
        if plan.output == "scatter":
            axes = " against ".join(self.name(measure.column) for measure in plan.measures[:2])
            return f"scatter chart of {axes}{f', a colour for each {across}' if across else ''}"
        if not plan.measures:
            return f"{columns} of the rows" if columns else "the rows with all their columns"
        kinds = {"heatmap": "heat map", "box": "box plot", "histogram": "histogram"}
        drawn = f"{kinds.get(plan.output, f'{plan.output} chart')} of " if plan.drawn else ""
        what = f"{drawn}{md.listed(list(map(self._measure, plan.measures)))}"
        what += f" per {self.keys(plan.keys)}" if plan.keys else ""
        what += f", {'one' if plan.drawn else 'a column'} for each {across}" if across else ""
        return f"{what}, {_THEN.get(plan.then, self.value(plan.then))}" if plan.then else what

    def _measure(self, measure: Measure) -> str:
        column = "rows" if measure.column == ROWS else self.name(measure.column)
        match measure.aggregate:
            case "ratio":
                per = f"{measure.per:,g} " if measure.per != 1 else ""
                of = "number of rows" if measure.column == ROWS else f"sum of {column}"
                return f"{of} per {per}{self.name(measure.by)}"
            case "weighted mean":
                return f"mean of {column} weighted by {self.name(measure.by)}"
            case "percent that fit":
                return f"percent of {column} where {self._condition(measure.part[0])}"
            case "count" if measure.column == ROWS:
                return "number of rows"
        return f"{_AGGREGATES.get(measure.aggregate, self.value(measure.aggregate))} {column}".strip()

    def keys(self, keys: tuple[Key, ...]) -> str:
        return md.listed([f"{f'{key.unit} of ' if key.unit else ''}{self.name(key.column)}" for key in keys])

    def rows(self) -> str:
        conditions = list(map(self._condition, self.plan.filters))
        return f"rows where {md.listed(conditions, 'or' if self.plan.either else 'and')}" if conditions else "all rows"

    def _condition(self, one: RowFilter) -> str:
        if one.op in {"is missing", "is not missing"}:
            return f"{self.name(one.column)} {one.op}"
        values = [self.value(value) if isinstance(value, str) else _figure(value) for value in one.values]
        said = f"{values[0]} to {values[-1]}" if one.op == "between" else md.listed(values, "or")
        return f"{self.name(one.column)} {_OPS.get(one.op, self.value(one.op))} {said}"


def _figure(value: float) -> str:
    """A number as a person writes it; a year has no comma."""
    return f"{value:,.12g}" if abs(value) >= 10_000 else f"{value:.12g}"  # noqa: PLR2004 no year is so large


# ---- before and after the code runs


@dataclass(frozen=True, slots=True)
class Program:
    """A plan that is ready to run, with its tables in its order and the Python that does it.

    `doubts` say how the question was understood where that is not certain, as Markdown sentences; `open_points` too,
    where it only matters if several rows became one.
    """

    plan: Plan
    tables: tuple[TableProfile, ...]
    code: str
    doubts: tuple[str, ...] = ()
    open_points: tuple[str, ...] = ()


def opening(one: Program) -> str:
    """The message before the code: how the question was read, and what is not certain of it."""
    names = md.listed([md.bold(side.name) for side in one.tables])
    notes = [md.escape(note, 300) for side in one.tables for note in side.notes]  # a cell may be in them
    for column in (column for side in one.tables for column in side.columns if column.name in one.plan.used()):
        notes += [f"In {md.bold(column.name)}, {md.escape(note, 300)}." for note in column.notes]
    return "\n\n".join([f"Read as: {read_as(one.plan)}, from {names}.", *one.doubts, *dict.fromkeys(notes), ""])


async def closing(one: Program, outcome: RunOutcome, interpreter: Interpreter) -> str:
    """The message after the code: what it made, and what was left out. Raises `RuntimeError` if it cannot look."""
    if outcome.error or one.plan.file not in outcome.files:
        stopped = f"stopped with {md.inline_code(md.clean_line(outcome.error))}" if outcome.error else "wrote no file"
        return f"The code {stopped}. Its log is shown with the code."
    most = 40 if one.plan.output in {"describe", "missing"} else 5  # rows that are shown
    needed = [key.column for key in one.plan.all_keys]
    needed += [name for measure in one.plan.measures for name in (measure.column, measure.by) if name not in {"", ROWS}]
    facts = await call(interpreter, "outcome", list(dict.fromkeys(needed)), most)
    text, shown = " ".join(_sentences(one, facts)), md.markdown_table(facts["columns"], facts["head"])
    if one.plan.drawn or not facts["size"][0]:
        return text
    more = facts["size"][0] - len(facts["head"])
    return f"{text}\n\n{shown}" + (f"\n\n{more:,} more in the file." if more > 0 else "")


def _sentences(one: Program, facts: dict[str, Any]) -> list[str]:
    plan, (rows, columns) = one.plan, facts["size"]
    made = _count(rows, "point") if plan.drawn else f"{_count(rows, 'row')} × {_count(columns, 'column')}"
    found = [f"{md.file_link(plan.file)}: {made}.", *(one.open_points if facts["rows"] > rows else ())]
    if plan.filters:
        found.append(f"{facts['rows']:,} of {_count(facts['all'], 'row')} fit.")
    for side, gone, which in zip(one.tables, facts["unmatched"], ("kept", "not used"), strict=False):
        found += [f"{_count(gone, 'row')} of {md.bold(side.name)} have no match and are {which}."] if gone else []
    for name, gone in facts["missing"].items() if plan.measures else ():
        found.append(f"{_count(gone, 'row')} without {md.bold(name)} {'is' if gone == 1 else 'are'} left out.")
    if plan.limit and rows > plan.limit:
        found.append("All that share the last place are kept.")
    return found + _spellings(one)


def _spellings(one: Program) -> list[str]:
    """Values that differ only in how they are written are groups of their own; the reader is told."""
    found = []
    keys = {key.column for key in one.plan.all_keys} | {*(one.plan.columns if one.plan.output == "distinct" else ())}
    for column in (column for side in one.tables for column in side.columns if column.name in keys):
        alike: dict[str, list[str]] = {}
        for value in column.values:
            alike.setdefault(" ".join(plain(value).split()), []).append(md.quoted(value))
        if several := [md.listed(values) for values in alike.values() if len(values) > 1]:
            found.append(f"In {md.bold(column.name)}, {'; '.join(several[:3])} are kept apart.")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
