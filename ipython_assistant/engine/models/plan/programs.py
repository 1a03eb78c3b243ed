"""Carries a plan out: says how the question was read, runs the code, and says what came of it.

Nothing in the answer is a model's text: the words come from the plan, the figures from what the code made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan.mentions import plain
from ipython_assistant.engine.models.plan.plan import ROWS, Plan
from ipython_assistant.engine.models.plan.table_profiles import call
from ipython_assistant.engine.models.plan.words import read_as
from ipython_assistant.engine.models.safe_markdown import (
    bold,
    clean_line,
    escape,
    file_link,
    inline_code,
    listed,
    markdown_table,
    quoted,
)  # fmt: skip

if TYPE_CHECKING:
    from ipython_assistant.engine.models import Interpreter, RunOutcome
    from ipython_assistant.engine.models.plan.table_profiles import TableProfile

HEAD_ROWS: Final = 5
"""Rows of a table that are shown."""
OVERVIEW_ROWS: Final = 40
"""Columns that an overview shows."""


@dataclass(frozen=True, slots=True)
class Program:
    """A plan that is ready to run.

    Attributes:
        tables: Its tables, in its order.
        code: The Python that does it.
        doubts: How the question was understood where that is not certain, as Markdown sentences.
        open_points: The same, where it only matters if several rows became one.
    """

    plan: Plan
    tables: tuple[TableProfile, ...]
    code: str
    doubts: tuple[str, ...] = ()
    open_points: tuple[str, ...] = ()


def opening(one: Program) -> str:
    """The message before the code: how the question was read, and what is not certain of it."""
    names = listed([bold(side.name) for side in one.tables])
    notes = [note for side in one.tables for note in side.notes]
    for column in (column for side in one.tables for column in side.columns if column.name in one.plan.used()):
        notes += [f"In {bold(column.name)}, {escape(note)}." for note in column.notes]
    return "\n\n".join([f"Read as: {read_as(one.plan)}, from {names}.", *one.doubts, *dict.fromkeys(notes), ""])


async def closing(one: Program, outcome: RunOutcome | None, interpreter: Interpreter) -> str:
    """The message after the code: what it made, and what was left out.

    Raises:
        RuntimeError: What it made could not be looked at.
    """
    if outcome is None:
        raise RuntimeError("A run was asked for and its outcome did not come back.")
    if outcome.error or one.plan.file not in outcome.files:
        why = (
            f"The code stopped with {inline_code(clean_line(outcome.error))}."
            if outcome.error
            else "The code wrote no file."
        )
        return f"{why} Its log is shown with the code."
    most = OVERVIEW_ROWS if one.plan.output in {"describe", "missing"} else HEAD_ROWS
    needed = [key.column for key in one.plan.all_keys]
    needed += [name for measure in one.plan.measures for name in (measure.column, measure.by) if name not in {"", ROWS}]
    facts = await call(interpreter, "outcome", list(dict.fromkeys(needed)), most)
    text, shown = " ".join(_sentences(one, facts)), markdown_table(facts["columns"], facts["head"])
    if one.plan.drawn or not facts["size"][0]:
        return text
    more = facts["size"][0] - len(facts["head"])
    return f"{text}\n\n{shown}" + (f"\n\n{more:,} more in the file." if more > 0 else "")


def _sentences(one: Program, facts: dict[str, Any]) -> list[str]:
    plan, (rows, columns) = one.plan, facts["size"]
    made = _count(rows, "point") if plan.drawn else f"{_count(rows, 'row')} × {_count(columns, 'column')}"
    found = [f"{file_link(plan.file)}: {made}.", *(one.open_points if facts["rows"] > rows else ())]
    if plan.filters:
        found.append(f"{facts['rows']:,} of {_count(facts['all'], 'row')} fit.")
    for side, gone, which in zip(one.tables, facts["unmatched"], ("kept", "not used"), strict=False):
        found += [f"{_count(gone, 'row')} of {bold(side.name)} have no match and are {which}."] if gone else []
    for name, gone in facts["missing"].items() if plan.measures else ():
        found.append(f"{_count(gone, 'row')} without {bold(name)} {'is' if gone == 1 else 'are'} left out.")
    if plan.limit and rows > plan.limit and not plan.percent:
        found.append("All that share the last place are kept.")
    return found + _spellings(one)


def _spellings(one: Program) -> list[str]:
    """Values that differ only in how they are written are groups of their own; the reader is told."""
    found = []
    keys = {key.column for key in one.plan.all_keys} | ({*one.plan.columns} if one.plan.output == "distinct" else set())
    for column in (column for side in one.tables for column in side.columns if column.name in keys):
        alike: dict[str, list[str]] = {}
        for value in column.values:
            alike.setdefault(" ".join(plain(value).split()), []).append(quoted(value))
        if several := [listed(values) for values in alike.values() if len(values) > 1]:
            found.append(f"In {bold(column.name)}, {'; '.join(several[:3])} are kept apart.")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
