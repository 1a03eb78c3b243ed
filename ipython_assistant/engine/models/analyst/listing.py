"""Reads a clause as rows: whole ones, some of their columns, the first or the largest of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.measuring import ask_how, columns_named
from ipython_assistant.engine.models.analyst.ordering import judged_top, order_named
from ipython_assistant.engine.models.analyst.plan import (
    Distinct,
    InYears,
    Measure,
    OneOf,
    Rows,
    Task,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind
from ipython_assistant.engine.models.markdown import bold, listed

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Draft


def read_rows(draft: Draft, before: Task | None) -> Task | None:
    """Rows as they are written, or the different values of the one column that is listed."""
    del before
    if draft.keys or draft.series or draft.over_time or draft.versus or draft.then or draft.pivot or draft.wide:
        draft.problem(ask_how(draft))
        return None
    columns = columns_named(draft)
    if columns and all(column.numbers_rows or column.unique for column in columns) and not (draft.listing or draft.top):
        columns, draft.of_table = (), True  # "patients older than 65" are rows
    added = tuple(dict.fromkeys((*draft.added, *(column for column in columns if column.made))))
    if draft.left_out and columns:
        draft.problem("Columns are asked for and left out at once.")
    if draft.left_out:
        columns = tuple(one for one in draft.table.columns if one not in draft.left_out and not one.made)
    if draft.top:
        return _top_rows(draft, columns, added)
    _settle_order(draft, added)
    if not (draft.first or added or draft.left_out or draft.sort):
        _check_rows(draft, columns)
    if columns and draft.sort and draft.sort.by not in columns and all(_shared_by_rows(draft, one) for one in columns):
        names = listed([bold(column.name) for column in columns])
        draft.problem(f"Several rows share one {names}: say by which figure, such as its mean, they are to be sorted.")
    if _only_values(draft, columns):
        return Distinct(columns)
    return Rows(columns, sort=order_named(draft, ()), first=draft.first, added=added)


def _settle_order(draft: Draft, added: tuple[Column, ...]) -> None:
    """`doctors / population, highest first`: by what is calculated, where no column is named."""
    if draft.sort is None or draft.sort.by is not None:
        return
    if len(added) == 1:
        draft.sort = replace(draft.sort, by=added[0])
    else:
        draft.problem("It is not said by which column the rows are to be sorted.")


def _shared_by_rows(draft: Draft, column: Column) -> bool:
    """True for a column that makes groups of several rows."""
    return column.groups and not column.calculable and column.distinct < draft.table.rows - column.missing


def _top_rows(draft: Draft, columns: tuple[Column, ...], added: tuple[Column, ...]) -> Rows:
    ranking = [measure.column for measure in draft.ranking if measure.column]
    by = next(iter(ranking or [column for column in columns if column.kind is Kind.NUMBER]), None)
    if by is None or len(ranking) > 1:
        draft.problem("It is not said by which column the top is taken.")
    if draft.first or draft.left_out:
        draft.problem("A top is asked for together with other rows or columns: ask for one of them.")
    top = judged_top(draft, (Measure(by),) if by else ())
    added = tuple(dict.fromkeys((*added, *([by] if by and by.made else []))))
    return Rows(columns if ranking else (), top, by, order_named(draft, ()), added=added)


def _only_values(draft: Draft, columns: tuple[Column, ...]) -> bool:
    """`list the districts`: one column that makes groups is a list of its values."""
    plain = not (draft.first or draft.sort or draft.added or draft.left_out or draft.of_rows)
    if len(columns) == 1 and columns[0].kind is Kind.BOOL and not draft.listing:
        draft.problem(f"It is not said which rows of {bold(columns[0].name)} are wanted: write “where … is yes”.")
    return plain and len(columns) == 1 and not columns[0].calculable and bool(draft.listing or draft.where)


def _check_rows(draft: Draft, columns: tuple[Column, ...]) -> None:
    asked = bool(draft.listing or draft.saving or draft.name or draft.ending or draft.joined)
    compared = any(not isinstance(condition, OneOf | InYears) for condition in draft.where)
    if len(columns) == 1 and columns[0].calculable:
        draft.problem(
            f"It is not said what to do with {bold(columns[0].name)}: plot it by a column, take its mean or total per "
            "group, or list it with other columns."
        )
    elif columns and draft.of_rows:
        names = listed([bold(column.name) for column in columns])
        draft.problem(f"It is not clear whether whole rows are wanted, or only {names}.")
    elif columns and not (asked or compared or (len(columns) == 1 and draft.where)):
        draft.problem(
            "It is not said what to do with the columns: plot, list, save, or take a mean or total per group."
        )
    elif not columns and not (
        (draft.where and (asked or compared or draft.of_table))
        or (asked and (draft.of_table or draft.ending))
        or draft.joined
    ):
        draft.problem("It is not said what to do.")
