"""Mends a model's slips by the question's own words, and fills in what a question leaves open, in one written way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.mentions import plain
from ipython_assistant.engine.models.plan.plan import (
    AS_IT_IS,
    OF_POINTS,
    ROWS,
    UNITS,
    Key,
    Measure,
    Order,
    Plan,
    PlanError,
    RowFilter,
)
from ipython_assistant.engine.models.plan.schema import PICTURES
from ipython_assistant.engine.models.plan.table_profiles import columns_of
from ipython_assistant.engine.models.safe_markdown import bold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mentions
    from ipython_assistant.engine.models.plan.table_profiles import Column, TableProfile

_MAX_STEM: Final = 60


def mended(plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> Plan:  # noqa: C901 slip by slip
    """A model's plan without slips that the question's own words put right: nothing is decided here that is open.

    Time goes along the axis of a chart, `per month` is the month of the date, a column after `per` makes groups,
    `highest first` is an order, and the largest of one number are the largest rows.
    """
    columns = columns_of(tables)
    units = [unit for unit in UNITS if unit in mentions.terms]

    def in_time(key: Key) -> bool:
        return bool(key.unit) or (key.column in columns and columns[key.column].in_time)

    def by_unit(key: Key) -> Key:
        column = columns.get(key.column)
        dated = column is not None and column.kind == "date" and not key.unit and len(units) == 1
        return replace(key, unit=units[0]) if dated and column and units[0] != column.grain else key

    keys = list(map(by_unit, plan.keys))
    across = by_unit(plan.across) if plan.across else None
    if plan.measures and plan.output not in OF_POINTS:
        for one in mentions.of("column"):
            after_per = re.search(r"\b(?:per|by|each|every)\s+(?:of |the )?$", mentions.prompt[: one.start].lower())
            groups = columns[one.columns[0]].kind in {"text", "yes/no", "year"} and one.columns[0] not in plan.used()
            if after_per and groups and len(one.columns) == 1:
                keys.append(Key(one.columns[0]))
        if plan.drawn and len(keys) > 1 and across is None:
            keys, across = keys[:1], keys[1]
    if plan.output in {"line", "bar"} and keys and across and in_time(across) and not in_time(keys[0]):
        keys, across = [across], keys[0]
    order, measures = plan.order, plan.measures
    if order and plan.limit and measures and not keys:  # one number is not ranked: the rows themselves are meant
        named = [name for one in mentions.of("term", "column") for name in one.columns if columns[name].numeric]
        by = [measures[0].column] if measures[0].column != ROWS else list(dict.fromkeys(named))
        if order.by != "measure" or len(by) == 1:
            order, measures = replace(order, by=by[0] if order.by == "measure" else order.by), ()
    if order is None and plan.measures and {"ascending", "descending"} & mentions.terms:
        order = Order("measure", descending="descending" in mentions.terms)
    return replace(plan, keys=tuple(dict.fromkeys(keys)), across=across, order=order, measures=measures)


def settled(
    plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]
) -> tuple[Plan, tuple[TableProfile, ...], tuple[str, ...]]:
    """The plan with everything decided, its tables in its order, and what was decided, as Markdown sentences.

    Args:
        plan: As it was read: its values are words of the question, and some things are left open.
        mentions: What the question names.
        tables: The tables it may be about.

    Raises:
        PlanError: The two tables cannot be joined.
    """
    chosen, on = _chosen(plan, tables), None
    if len(chosen) > 1:
        chosen, on = _joined(*chosen)
    columns, decided = columns_of(chosen), []
    measures = []
    for one in plan.measures:
        how = _aggregate(one, plan, columns.get(one.column))
        if how != one.aggregate and one.column != ROWS:
            decided.append(
                f"The question does not say how several values become one: I took the **{how}** of {bold(one.column)}."
            )
        part = tuple(_with_values(each, mentions, columns) for each in one.part)
        measures.append(replace(one, aggregate=how, part=part))
    filters = tuple(_with_values(one, mentions, columns) for one in plan.filters)
    names = tuple(table.name for table in chosen)
    return replace(plan, measures=tuple(measures), filters=filters, tables=names, on=on), chosen, tuple(decided)


def _chosen(plan: Plan, tables: Sequence[TableProfile]) -> tuple[TableProfile, ...]:
    """The tables a plan needs: one if it has all its columns, those the plan names before others."""
    named = [table for name in plan.tables for table in tables if table.name == name] or list(tables)
    made = {new.name for new in plan.new_columns}
    used = [name for name in plan.used() if name not in made]
    joins = len(plan.tables) > 1 and not plan.measures and not plan.columns
    for table in [] if joins else [*named, *tables]:
        alone = bool(used) or (table is named[0] and (len(named) == 1 or not plan.tables))
        if alone and all(table.find(name) for name in used):
            return (table,)
    first = named[0]
    for other in [*named[1:], *(table for table in tables if table is not first)]:
        if all(first.find(name) or other.find(name) for name in used) and other is not first:
            return (first, other)
    if len(tables) == 1:
        return (tables[0],)
    raise PlanError("These columns are in more than two tables.")


def _joined(first: TableProfile, second: TableProfile) -> tuple[tuple[TableProfile, ...], tuple[str, str]]:
    """The two tables, the one whose rows are kept first, and the columns they have in common."""
    best: tuple[int, Column, Column] | None = None
    for left in first.columns:
        for right in second.columns:
            if left.kind != right.kind or left.kind not in {"text", "number"}:
                continue
            alike = english.words_of(plain(left.name)) == english.words_of(plain(right.name))
            common = bool(set(left.values) & set(right.values)) if left.values and right.values else alike
            unique = left.unique or right.unique
            points = 4 * alike + 2 * (left.code and right.code) + unique
            if common and unique and (alike or left.kind == "text") and (best is None or points > best[0]):
                best = (points, left, right)
    if best is None:
        raise PlanError(
            f"{first.name} and {second.name} cannot be joined: they share no column that names each row of one of them."
        )
    _, left, right = best
    if right.unique:
        return (first, second), (left.name, right.name)
    return (second, first), (right.name, left.name)


def _aggregate(one: Measure, plan: Plan, column: Column | None) -> str:
    """A measure's aggregate: where it is open, rates are averaged, amounts added up, anything else averaged."""
    if one.aggregate != AS_IT_IS or plan.output in OF_POINTS:
        return one.aggregate
    if one.column == ROWS:
        return "count"
    if plan.then in {"percent of total", "running total"}:
        return "sum"
    if column is None or column.rate or column.kind == "year":
        return "mean"
    words = set(english.words_of(column.name))
    return (
        "sum" if words & english.AMOUNTS or (column.whole and not {"age", "year", "score", "rank"} & words) else "mean"
    )


def _with_values(one: RowFilter, mentions: Mentions, columns: dict[str, Column]) -> RowFilter:
    """A filter with the values as the table has them, in every spelling: `sao bento` is `São Bento`."""
    column = columns.get(one.column)
    if column is None or one.op not in {"in", "not in", "==", "!="} or column.kind not in {"text", "yes/no"}:
        return one
    known = mentions.values_of(one.column)
    values: list[str | float] = []
    for value in one.values:
        same = known.get(str(value)) or tuple(v for v in column.values if plain(v).strip() == plain(str(value)).strip())
        values += same or (value,)
    return replace(one, values=tuple(dict.fromkeys(values)), op={"==": "in", "!=": "not in"}.get(one.op, one.op))


def named_file(plan: Plan, asked: Sequence[str], ending: str, taken: Collection[str]) -> Plan:
    """The plan with the name of the file it writes: what the question says, or one that says what is in it.

    Args:
        plan: Everything else is settled.
        asked: The files the question names, or that have to come back.
        ending: The ending that the question asks for without a name; empty if it does not.
        taken: Names that are in use.
    """
    if asked:
        return replace(plan, file=asked[0])
    if not ending or (ending in PICTURES) != plan.drawn:
        ending = ".png" if plan.drawn else ".csv"
    stem, used = _stem(plan), {one.lower() for one in taken}
    names = (f"{stem}{number}{ending}" for number in ("", *(f"_{n}" for n in range(2, len(taken) + 3))))
    return replace(plan, file=next(name for name in names if name.lower() not in used))


def _stem(plan: Plan) -> str:
    if plan.measures:
        parts = [f"{one.aggregate}_{one.column}" if one.column != ROWS else "rows" for one in plan.measures[:2]]
        parts = [plan.then, *(part.removeprefix(f"{AS_IT_IS}_") for part in parts)]
        keys = [key.unit or key.column for key in plan.all_keys]
        parts += ["by", *keys] if keys else []
        parts = [plan.output, *parts] if plan.output in OF_POINTS else parts
    else:
        table = plan.tables[0].partition(".")[0] if plan.tables else ""
        parts = [table, plan.output.replace("table", "rows"), *plan.columns[:2]]
    parts += [str(value) for one in plan.filters for value in one.values[:2]]
    words = [re.sub(r"[\W_]+", "_", plain(re.sub(r"\s*[(\[].*?[)\]]", "", part))).strip("_") for part in parts]
    return "_".join(filter(None, words))[:_MAX_STEM].strip("_") or "result"
