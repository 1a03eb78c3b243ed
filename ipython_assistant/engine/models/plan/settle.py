"""Mends a model's slips by the question's own words, and fills in what a question leaves open, in one written way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.mentions import plain
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, OF_POINTS, ROWS, UNITS, Key, Measure, PlanError
from ipython_assistant.engine.models.plan.schema import PICTURES
from ipython_assistant.engine.models.safe_markdown import bold
from ipython_assistant.engine.models.table_profiles import columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mentions
    from ipython_assistant.engine.models.plan.plan import Plan, RowFilter
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile


def mended(plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> Plan:
    """A model's plan without slips that the question's own words put right: nothing is decided here that is open."""
    slips = _Slips(mentions, columns_of(tables))
    for mend in (slips.keys, slips.filters, slips.measures, slips.rows):
        plan = mend(plan)
    return plan


class _Slips:
    def __init__(self, mentions: Mentions, columns: dict[str, Column]) -> None:
        self.said = mentions
        self.terms = mentions.terms
        self.columns = columns
        self.numeric = {name for name, column in columns.items() if column.numeric}
        self.units = [unit for unit in UNITS if unit in mentions.terms]

    def _in_time(self, key: Key) -> bool:
        return bool(key.unit) or (key.column in self.columns and self.columns[key.column].in_time)

    def _grouped(self, key: Key) -> Key:
        """A key with the unit of time that the question names."""
        column = self.columns.get(key.column)
        dated = column is not None and column.kind == "date" and not key.unit and len(self.units) == 1
        return replace(key, unit=self.units[0]) if dated and column and self.units[0] != column.grain else key

    def keys(self, plan: Plan) -> Plan:
        """`per month` is the month of the date, a column after `per` makes groups, time goes along a chart's axis."""
        keys = list(map(self._grouped, plan.keys))
        across = self._grouped(plan.across) if plan.across else None
        if plan.measures and plan.output not in OF_POINTS:
            named = [self.columns[one.columns[0]] for one in self.said.of("column")]
            per = [self.columns[one.columns[0]] for one in self.said.behind("per") if len(one.columns) == 1]
            forgotten = [one for one in per if one.kind in {"text", "yes/no", "year"} and one.name not in plan.used()]
            keys += [Key(one.name) for one in forgotten]
            answers = [one.name for one in named if one.kind == "yes/no"]
            keyed = {key.column for key in (*keys, across) if key}
            if answers and english.compares_both(self.said) and answers[0] not in keyed:
                keys = [Key(answers[0]), *filter(self._in_time, keys)]
                plan = replace(plan, filters=tuple(one for one in plan.filters if one.column != answers[0]))
            pooled = english.pooled_columns(self.said)
            keys = [key for key in keys if key.column not in pooled]
            across = None if across and across.column in pooled else across
            if plan.drawn and not keys and across:
                keys, across = [across], None
        if plan.output in {"line", "bar"} and keys and across and self._in_time(across) and not self._in_time(keys[0]):
            keys, across = [across], keys[0]
        return replace(plan, keys=tuple(dict.fromkeys(keys)), across=across)

    def filters(self, plan: Plan) -> Plan:
        """Neither the column whose share is taken nor the number of a top list chooses rows."""
        taken = {each.column for one in plan.measures for each in one.part}
        numbers = [number for one in self.said.of("number", "period") for number in one.numbers]
        once = plan.limit > 0 and numbers.count(plan.limit) == 1
        ops = {"==", *english.COMPARED_BY.values()} if once else set()
        kept = [one for one in plan.filters if one.op not in ops or one.values != (plan.limit,)]
        keys = tuple(key for key in plan.keys if key.column not in taken)
        return replace(plan, filters=tuple(one for one in kept if one.column not in taken), keys=keys)

    def measures(self, plan: Plan) -> Plan:
        """Give the one measured column each aggregate that is named; let a ratio of a column to itself count rows."""
        measures = list(plan.measures)
        for at, one in enumerate(measures):
            if one.aggregate == "ratio" and one.column == one.by:  # `cases per 1000 inhabitants` divides the rows
                measures[at] = replace(one, column=ROWS)
        said = english.aggregates_said(self.said)
        said += ["max", "min"] if {"high", "low"} <= self.terms and not plan.order else []
        every = [*said, *(one.aggregate for one in measures if one.aggregate in {"max", "min"})]
        simple = all(one.aggregate in {*every, "count", AS_IT_IS} for one in measures) and not plan.drawn
        names = {one.column for one in measures}
        if said and simple and len(names) == 1 and names <= self.numeric:
            measures = [replace(measures[0], aggregate=how) for how in dict.fromkeys(every)]
        then = next((english.THEN_TERMS[term][0] for term in ("running", "rolling") if term in self.terms), "")
        then = plan.then or (then if measures and plan.keys else "")
        return replace(plan, measures=tuple(dict.fromkeys(measures)), then=then)

    def rows(self, plan: Plan) -> Plan:
        """A list without groups: rank by the column that was measured; without a ranking, list the rows themselves."""
        order, measures = plan.order, plan.measures
        if plan.keys or plan.drawn or plan.then or not measures:
            return plan
        takes = {one.aggregate for one in measures}
        if order and (plan.limit or takes <= {AS_IT_IS, "max", "min", "count"}):
            named = [name for one in self.said.of("term", "column") for name in one.columns]
            by = [measures[0].column] if measures[0].column != ROWS else list(dict.fromkeys(named))
            if order.by != "measure" or len(by) == 1:
                order = replace(order, by=by[0] if order.by == "measure" else order.by)
                single = {"high", "low"} & self.terms and not {"sorted", "ascending", "descending"} & self.terms
                return replace(plan, order=order, measures=(), limit=plan.limit or int(bool(single)))
        return replace(plan, measures=()) if takes == {AS_IT_IS} else plan


def settled(
    plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]
) -> tuple[Plan, tuple[TableProfile, ...], tuple[str, ...]]:
    """The plan with everything decided, and what was decided, in Markdown. Raises `PlanError`: no join is possible."""
    chosen, on = _chosen(plan, mentions, tables), None
    if len(chosen) > 1:
        chosen, on = _joined(*chosen)
    columns, decided, measures = columns_of(chosen), [], []
    for one in plan.measures:
        how = _aggregate(one, plan, columns.get(one.column))
        if how != one.aggregate and one.column != ROWS:
            open_point = "The question does not say how several values become one"
            decided.append(f"{open_point}: I took the **{how}** of {bold(one.column)}.")
        part = tuple(_with_values(each, mentions, columns) for each in one.part)
        measures.append(replace(one, aggregate=how, part=part))
    filters = tuple(_with_values(one, mentions, columns) for one in plan.filters)
    names = tuple(table.name for table in chosen)
    return replace(plan, measures=tuple(measures), filters=filters, tables=names, on=on), chosen, tuple(decided)


def _chosen(plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> tuple[TableProfile, ...]:
    """The tables a plan needs: one if it has all columns, before all that whose rows it counts (`number of cases`)."""
    said = {english.word_stem(one.text) for one in mentions.of("glue", "table") if one.text.endswith("s")}
    called = [table for table in tables if said & set(map(english.word_stem, english.words_of(table.stem)))]
    counted = called if len(called) == 1 and any(one.column == ROWS for one in plan.measures) else []
    named = [table for name in plan.tables for table in tables if table.name == name]
    first, *others = dict.fromkeys([*counted, *named, *tables])
    made = {new.name for new in plan.new_columns}
    used = [name for name in plan.used() if name not in made]
    for table in (first, *others):
        alone = bool(used) or (table is first and len(named) < 2)  # noqa: PLR2004 two are joined
        if alone and all(table.find(name) for name in used) and (table in counted or not counted):
            return (table,)
    for other in others:
        if all(first.find(name) or other.find(name) for name in used):
            return (first, other)
    if len(tables) == 1:
        return (first,)
    raise PlanError("These columns are in more than two tables.")


def _joined(first: TableProfile, second: TableProfile) -> tuple[tuple[TableProfile, ...], tuple[str, str]]:
    """The two tables, the one whose rows are kept first, and the columns they have in common."""
    pairs = []
    for left, right in itertools.product(first.columns, second.columns):
        if left.kind == right.kind and left.kind in {"text", "number"} and (left.unique or right.unique):
            alike = english.words_of(plain(left.name)) == english.words_of(plain(right.name))
            common = bool(set(left.values) & set(right.values)) if left.values and right.values else alike
            if common:
                pairs.append((2 * alike + (left.code and right.code), left, right))
    if not pairs:
        reason = "they share no column that names each row of one of them"
        raise PlanError(f"{first.name} and {second.name} cannot be joined: {reason}.")
    _, left, right = max(pairs, key=lambda pair: pair[0])
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
    counted = column.whole or not english.AMOUNTS.isdisjoint(english.words_of(column.name))
    return "sum" if counted else "mean"


def _with_values(one: RowFilter, mentions: Mentions, columns: dict[str, Column]) -> RowFilter:
    """A filter with the values as the table has them, in every spelling: `sao bento` is `São Bento`."""
    column = columns.get(one.column)
    if column is None or one.op not in {"in", "not in", "==", "!="} or column.kind not in {"text", "yes/no"}:
        return one
    known = mentions.values_of(one.column)
    values = [name for value in one.values for name in known.get(str(value), (value,))]
    return replace(one, values=tuple(dict.fromkeys(values)), op={"==": "in", "!=": "not in"}.get(one.op, one.op))


def named_file(plan: Plan, asked: Sequence[str], ending: str, taken: Collection[str]) -> Plan:
    """The plan with the name of the file it writes: what the question says, or one that says what is in it."""
    if asked:
        return replace(plan, file=asked[0])
    if not ending or (ending in PICTURES) != plan.drawn:
        ending = ".png" if plan.drawn else ".csv"
    keys = [key.unit or key.column for key in plan.all_keys]
    what = [f"{one.aggregate} {one.column}" if one.column != ROWS else ROWS for one in plan.measures[:2]]
    parts = [plan.then, *what, *(["by", *keys] if keys else [])]
    if not plan.measures or plan.output in OF_POINTS:
        parts = [plan.output.replace("table", ROWS), *(one.column for one in plan.measures), *plan.columns[:2]]
    parts += [str(value) for one in plan.filters for value in one.values[:2]]
    stem = "_".join(word for part in parts for word in english.words_of(plain(part)))[:60] or "result"
    names = [f"{stem}{ending}", *(f"{stem}_{number}{ending}" for number in range(2, len(taken) + 3))]
    used = {one.lower() for one in taken}
    return replace(plan, file=next(name for name in names if name.lower() not in used))
