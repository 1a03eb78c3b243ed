"""Phrases about what follows from groups: shares, running totals, changes, pivots. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import words
from ipython_assistant.engine.models.analyst.mentions import ValueMention
from ipython_assistant.engine.models.analyst.periods import of_unit, only_time
from ipython_assistant.engine.models.analyst.plan import How, Measure, OneOf, Then
from ipython_assistant.engine.models.analyst.superlatives import group_by
from ipython_assistant.engine.models.analyst.tables import Unit
from ipython_assistant.engine.models.markdown import bold, escape

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_SHARE: Final = frozenset(["share", "shares", "proportion", "percentage", "percent", "fraction"])
_SAID_OF_ROWS: Final = words("with where that have having which whose are is were was has had")
_MADE_UP: Final = (
    ("make", "up"), ("makes", "up"), ("account", "for"), ("accounts", "for"), ("represent",), ("represents",),
    ("contribute",), ("contributes",), ("in", "percent"), ("as", "percent"), ("as", "a", "percent"),
)  # fmt: skip
_TOTALS: Final = (
    ("as", "a", "share", "of", "the", "total"), ("as", "a", "share", "of", "total"), ("as", "share", "of", "total"),
    ("as", "a", "percent", "of", "the", "total"), ("as", "a", "percent", "of", "total"),
    ("as", "percent", "of", "the", "total"), ("as", "percent", "of", "total"), ("in", "percent", "of", "total"),
    ("in", "percent", "of", "the", "total"), ("share", "of", "the", "total"), ("share", "of", "total"),
    ("percent", "of", "total"), ("percent", "of", "the", "total"), ("as", "a", "proportion", "of", "the", "total"),
    ("share", "of", "the", "whole"), ("as", "shares",), ("share", "of", "the", "overall", "total"),
    ("percent", "of", "grand", "total"), ("percent", "of", "the", "grand", "total"),
)  # fmt: skip


def in_percent(clause: Clause, at: int, draft: Draft) -> int:
    """`cases by outcome in percent`: each group's share of the rows."""
    counted = draft.keys and [(one.column, one.how) for one in draft.measures] == [(None, How.COUNT)]
    phrase = clause.phrase(at, (("in", "percent"), ("as", "percent"), ("as", "percentages"), ("in", "percentages")))
    after = clause.word(at + len(phrase))
    if not phrase or not counted or draft.hows or draft.top or draft.then or (after and after not in {",", ")", "and"}):
        return at
    draft.follow(Then.SHARE)
    return at + len(phrase)


def share(clause: Clause, at: int, draft: Draft) -> int:
    """`share of total units per region`, `percentage of rows per disease`, `what percentage of rows have …`."""
    phrase = clause.phrase(at, _TOTALS)
    if phrase:
        draft.follow(Then.SHARE)
        after = clause.column(clause.past(at + len(phrase), {"of", "the", "in"}))
        if phrase[-1] in {"total", "whole"} and after is not None and phrase[0] in {"share", "percent"}:
            draft.hows.append(How.SUM)
        return at + len(phrase)
    if draft.then is Then.SHARE and (phrase := clause.phrase(at, _MADE_UP)):
        return at + len(phrase)
    start = clause.past(at, {"the", "what", "which", "is", "a"})
    if clause.word(start) not in _SHARE:
        return at
    joint = clause.past(start + 1, {"of"})
    noun = clause.past(joint, {"the", "all", "our"})
    if joint == start + 1:
        return at
    if isinstance(clause.at(noun), ValueMention) and clause.rows(noun + 1) and clause.word(noun + 2) in _SAID_OF_ROWS:
        draft.base = draft.proportion = True
        return noun
    if _of_some(clause, noun):
        draft.base = draft.proportion = True
        return noun + clause.rows(noun)
    rows = clause.rows(noun)
    if rows:
        draft.of_table = True
        per = clause.phrase(noun + 1, known.PER)
        key_at = clause.past(noun + 1 + len(per), {"the", "each", "every"})
        said_of_each = bool(per) and clause.column(key_at) is not None and clause.word(key_at + 1) in _SAID_OF_ROWS
        if clause.word(noun + 1) in _SAID_OF_ROWS or said_of_each:
            draft.proportion = True
            return noun + 1
        draft.measures.append(Measure(None, How.COUNT))
        draft.measure_end = noun + 1
        draft.rows_shared = True
        draft.follow(Then.SHARE)
        return noun + 1
    return _share_of_column(clause, start, noun, draft) or at


def _of_some(clause: Clause, noun: int) -> bool:
    """`percent of visits in Harbour were …`; `percent of women who died`, of a table with a row for each person."""
    value_at = clause.past(noun + 1, {"in", "at", "from", "of", "among", "by", "the"})
    if clause.rows(noun) and value_at > noun + 1 and isinstance(clause.at(value_at), ValueMention):
        return clause.word(value_at + 1) in _VERBS and isinstance(_said(clause, value_at + 1), ValueMention)
    apart = clause.of_persons and clause.one_each and not clause.rows(noun)
    return apart and isinstance(clause.at(noun), ValueMention) and isinstance(_said(clause, noun + 1), ValueMention)


_VERBS: Final = words("were was are is had have has")


def _said(clause: Clause, at: int) -> object:
    """What is said after “were for”, “who”, “had”."""
    return clause.at(clause.past(at, _VERBS | {"who", "that", "for", "with", "by", "a", "an"}))


def _share_of_column(clause: Clause, at: int, noun: int, draft: Draft) -> int:
    """`share of total units`; without “total”, a percentage of doses wasted may be out of the doses given."""
    column_at = clause.past(noun, _WHOLE | {"of", "the"})
    if end := _part_of_amount(clause, column_at, draft):
        return end
    mention = clause.column(column_at)
    if mention is None:
        return 0
    if _WHOLE.isdisjoint(clause.word(index) for index in range(at, column_at)):
        name = mention.choices[0].name
        draft.problem(
            f"A {clause.word(at)} of {bold(name)} could be out of its total or out of another column: "
            f"write “share of total {escape(name)} per …”, or “mean of {escape(name)} / …”."
        )
    draft.follow(Then.SHARE)
    return noun


def _part_of_amount(clause: Clause, at: int, draft: Draft) -> int:
    """`percent of all MMR doses given came from Hollins`: a part of a total, said of which rows it is."""
    value = clause.at(at)
    whole = isinstance(value, ValueMention) and not clause.column(at)
    mention = clause.column(at + whole)
    verb = at + whole + 1
    part_at = clause.past(verb + 1, known.TIES | {"the"})
    said = clause.word(verb) in _COMES and isinstance(clause.at(part_at), ValueMention)
    if mention is None or not said or not all(column.summed for column in mention.choices):
        return 0
    if isinstance(value, ValueMention) and whole:
        if len(value.choices) > 1:
            return 0
        draft.require(OneOf(*value.choices[0]))
        draft.base = True
    draft.proportion = True
    draft.amount = draft.column(mention)
    return verb + 1


_COMES: Final = words("came comes come were was are is went goes go fell falls lives live")


_WHOLE: Final = frozenset({"total", "overall", "sum", "all"})


_RUNNING: Final = (
    ("running", "total", "of"), ("running", "total"), ("running", "sum", "of"), ("running", "sum"),
    ("cumulative", "sum", "of"), ("cumulative", "sum"), ("cumulative", "total", "of"), ("cumulative", "total"),
    ("cumulative",), ("cumulated",), ("cumsum", "of"), ("cumulatively",), ("accumulated",), ("running", "totals", "of"),
    ("running", "count", "of"), ("cumulative", "count", "of"), ("cumulative", "number", "of"),
)  # fmt: skip


def running(clause: Clause, at: int, draft: Draft) -> int:
    """`running total of units`, `cumulative cases over time`."""
    phrase = clause.phrase(at, _RUNNING)
    if not phrase:
        return at
    draft.follow(Then.RUNNING)
    end = at + len(phrase)
    if clause.rows(clause.past(end, {"the"})):
        draft.measures.append(Measure(None, How.COUNT))
        draft.measure_end = clause.past(end, {"the"}) + 1
        return draft.measure_end
    return end


_YEARLY: Final = (("yoy",), ("mom",), ("qoq",), ("wow",))
_PERCENT: Final = frozenset({"percent", "relative", "percentual"})
_CHANGE: Final = frozenset({"change", "changes", "changed", "growth", "increase", "difference"})


def change(clause: Clause, at: int, draft: Draft) -> int:
    """`change in coverage from 2018 to 2020`, `year-over-year growth`, `percent change in units per month`."""
    start = clause.past(at, {"the", "a", "by", "how", "much", "did"}) if clause.word(at) in {"by", "how"} else at
    yearly = clause.phrase(start, _YEARLY)
    first = start + len(yearly)
    percent = clause.word(first) in _PERCENT
    word_at = first + percent
    word = clause.word(word_at)
    if word not in _CHANGE:
        return at
    if word == "difference" and clause.word(word_at + 1) not in {"in", "of"}:
        return at
    end = clause.past(word_at + 1, {"rate"})
    later = clause.phrase(clause.past(end, {"from"}), _YEARLY)
    if later and not yearly:
        yearly, end = later, clause.past(end, {"from"}) + 1
    percent |= clause.word(word_at + 1) == "rate"
    if clause.phrase(end, (("in", "percent"), ("as", "percent"), ("as", "a", "percent"))):
        percent = True
        end = clause.past(end, {"in", "as", "a", "percent"})
    if word in {"growth", "increase"} and not (percent or yearly):
        draft.problem("“Growth” has two readings: write “change in …” or “percent change in …”.")
    draft.follow(Then.GROWTH if percent or (yearly and word == "growth") else Then.CHANGE)
    if yearly and not draft.keys:
        unit = {"y": Unit.YEAR, "m": Unit.MONTH, "q": Unit.QUARTER, "w": Unit.WEEK}[yearly[0][0]]
        if (column := only_time(draft, unit)) is not None:
            draft.keys.append(of_unit(column, unit))
    return clause.past(end, {"in", "of"})


# ---- pivots


_CROSSED: Final = (
    ("pivot",), ("pivoted",), ("crosstab",), ("crosstabulate",), ("crosstabulation",), ("cross", "tab"),
    ("cross", "-", "tab"), ("cross", "tabulation"), ("cross", "-", "tabulation"),
)  # fmt: skip
_CELLS: Final = (("in", "the", "cells"), ("as", "cells"), ("as", "values"), ("as", "cell", "values"), ("in", "cells"))
_ONE_COLUMN: Final = (
    ("one", "column", "per"), ("one", "column", "for", "each"), ("a", "column", "per"), ("a", "column", "for", "each"),
    ("columns", "per"),
)  # fmt: skip


def pivot(clause: Clause, at: int, draft: Draft) -> int:
    """`pivot table of`, `as a pivot`, `one column per year`, `… in the cells`."""
    lead = clause.past(at, {"as", "in", "a"})
    if crossed := clause.phrase(lead, _CROSSED):
        draft.pivot = True
        return clause.past(lead + len(crossed), {"table", "the", "of"})
    if (draft.pivot or draft.wide) and (phrase := clause.phrase(at, _CELLS)):
        return at + len(phrase)
    per = clause.phrase(at, _ONE_COLUMN)
    if per and clause.column(at + len(per)):
        return _wide(draft, clause, at + len(per))
    return _on_a_side(clause, at, draft)


def _on_a_side(clause: Clause, at: int, draft: Draft) -> int:
    """`with years as columns`, `districts in rows`, `districts down and months across`."""
    start = clause.past(at, {"and", "with", ",", "the"})
    mention = clause.column(start)
    if mention is None:
        return at
    joint = clause.past(start + 1, {"values"})
    side = clause.past(joint, {"as", "in", "on", "down", "across", "the", "going"})
    alone = clause.at(joint + 1) is None or clause.word(joint + 1) in {"and", ","}
    across = clause.word(side) == "top" and clause.word(side - 2) == "across"
    if side > joint and (clause.word(side) in {"columns", "column"} or across):
        return _wide(draft, clause, start, side + 1)
    if clause.word(joint) == "across" and alone:
        return _wide(draft, clause, start, joint + 1)
    down = clause.word(joint) == "down" and alone
    if down or (side > joint and clause.word(side) in {"rows", "row", "side", "index"}):
        group_by(draft, draft.keys, draft.column(mention))
        draft.pivot = True
        return joint + 1 if down else side + 1
    return at


def _wide(draft: Draft, clause: Clause, at: int, end: int = 0) -> int:
    column = clause.column(at)
    if column is None:
        return at
    named = draft.column(column)
    group_by(draft, [], named)
    draft.wide = named
    return end or at + 1
