"""Fills in what a question leaves open, in one way that is written down here, and says so: `I took the mean`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.mentions import plain
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, ROWS, Filter, Key, Measure, Order, Plan, PlanError
from ipython_assistant.engine.models.safe_markdown import bold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mentions
    from ipython_assistant.engine.models.plan.tables import Column, TableProfile

AMOUNTS: Final = english.words(
    """
    amount amounts cost costs revenue sales sale spend spending expense expenses profit budget income quantity
    units unit count counts cases deaths births doses population visits rainfall precipitation production
    consumption hours payments fees donations total
    """
)
"""Words in a column's name that say that its numbers are added up, though they may not be whole."""
_RAW: Final = frozenset({"histogram", "box", "scatter"})
_MAX_STEM: Final = 60


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
    chosen = _chosen(plan, tables)
    columns = {column.name: column for table in reversed(chosen) for column in table.columns}
    doubts: list[str] = []
    measures = tuple(_aggregated(one, plan, columns, doubts) for one in plan.measures)
    filters = tuple(_with_values(one, mentions, columns) for one in plan.filters)
    measures = tuple(
        replace(one, part=tuple(_with_values(part, mentions, columns) for part in one.part)) for one in measures
    )
    on = None
    if len(chosen) == 2:  # noqa: PLR2004 two tables are joined
        chosen, on = _joined(chosen)
    new = replace(plan, measures=measures, filters=filters, tables=tuple(table.name for table in chosen), on=on)
    return new, chosen, tuple(doubts)


def mended(plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> Plan:
    """A model's plan without slips that the question's own words put right: nothing is decided here that is open.

    Time goes along the axis of a chart, `per month` is the month of the date, a column after `per` makes groups, and
    `highest first` is an order.
    """
    columns = {column.name: column for table in tables for column in table.columns}
    units = [one for one in english.UNIT_TERMS if one in mentions.terms]
    keys = [_by_unit(key, units, columns) for key in plan.keys]
    across = _by_unit(plan.across, units, columns) if plan.across else None
    if plan.measures:
        used = {key.column for key in (*keys, *([across] if across else []))} | set(plan.used())
        for one in mentions.of("column"):
            after_per = re.search(r"\b(?:per|by|each|every)\s+(?:of |the )?$", mentions.prompt[: one.start].lower())
            groups = columns[one.columns[0]].kind in {"text", "yes/no", "year"} and one.columns[0] not in used
            if after_per and groups and len(one.columns) == 1:
                keys.append(Key(one.columns[0]))
        if plan.drawn and len(keys) > 1 and across is None:
            keys, across = keys[:1], keys[1]
    if plan.output in {"line", "bar"} and across and _in_time(across, columns) and not _in_time(keys[0], columns):
        keys, across = [across], keys[0]
    order = plan.order
    if order is None and plan.measures and {"ascending", "descending"} & mentions.terms:
        order = Order("measure", descending="descending" in mentions.terms)
    return replace(plan, keys=tuple(dict.fromkeys(keys)), across=across, order=order)


def _by_unit(key: Key, units: Sequence[str], columns: dict[str, Column]) -> Key:
    column = columns.get(key.column)
    if column is None or column.kind != "date" or key.unit or len(units) != 1 or units[0] == column.grain:
        return key
    return replace(key, unit=units[0])


def _in_time(key: Key, columns: dict[str, Column]) -> bool:
    return bool(key.unit) or (key.column in columns and columns[key.column].kind in {"date", "year"})


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


def _joined(pair: Sequence[TableProfile]) -> tuple[tuple[TableProfile, ...], tuple[str, str]]:
    """The two tables, the one whose rows are kept first, and the columns they have in common."""
    first, second = pair
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


def _aggregated(one: Measure, plan: Plan, columns: dict[str, Column], doubts: list[str]) -> Measure:
    """A measure with its aggregate: rates are averaged, amounts are added up, anything else is averaged."""
    if one.aggregate != AS_IT_IS or plan.output in _RAW:
        return one
    if one.column == ROWS:
        return replace(one, aggregate="count")
    column = columns.get(one.column)
    aggregate = "sum" if plan.then in {"percent of total", "running total"} or _adds_up(column) else "mean"
    doubts.append(
        f"The question does not say how several values become one: I took the **{aggregate}** of {bold(one.column)}."
    )
    return replace(one, aggregate=aggregate)


def _adds_up(column: Column | None) -> bool:
    if column is None or column.rate or column.kind == "year":
        return False
    words = set(english.words_of(column.name))
    return bool(words & AMOUNTS) or (column.whole and not {"age", "year", "score", "rank", "income"} & words)


def _with_values(one: Filter, mentions: Mentions, columns: dict[str, Column]) -> Filter:
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
    ending = (
        ending if ending and (ending in {".png", ".svg", ".pdf"}) == plan.drawn else ".png" if plan.drawn else ".csv"
    )
    stem = _stem(plan)
    free = (f"{stem}{number}{ending}" for number in ("", *(f"_{n}" for n in range(2, len(taken) + 3))))
    return replace(plan, file=next(name for name in free if name.lower() not in {one.lower() for one in taken}))


def _stem(plan: Plan) -> str:
    if plan.measures:
        parts = [f"{one.aggregate}_{one.column}" if one.column != ROWS else "rows" for one in plan.measures[:2]]
        parts = [part.removeprefix(f"{AS_IT_IS}_") for part in parts]
        keys = [key.unit or key.column for key in plan.all_keys]
        parts = [plan.then, *parts, *(["by", *keys] if keys else [])]
        parts = [plan.output, *parts] if plan.output in {"histogram", "box", "scatter"} else parts
    else:
        parts = [
            plan.tables[0].partition(".")[0] if plan.tables else "",
            plan.output.replace("table", "rows"),
            *plan.columns[:2],
        ]
    parts += [str(value) for one in plan.filters for value in one.values[:2]]
    words = [re.sub(r"[\W_]+", "_", plain(re.sub(r"\s*[(\[].*?[)\]]", "", part))).strip("_") for part in parts]
    return "_".join(filter(None, words))[:_MAX_STEM].strip("_") or "result"
