"""Phrases that count and calculate: numbers of rows, ways to take a column, groups. Part of the grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import (
    periods,
    superlatives,
)
from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import forms, plain_words
from ipython_assistant.engine.models.analyst.mentions import ValueMention
from ipython_assistant.engine.models.analyst.plan import PERCENTILES, How, Measure
from ipython_assistant.engine.models.analyst.ratios import ratio_of
from ipython_assistant.engine.models.analyst.superlatives import group_by
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Unit
from ipython_assistant.engine.models.markdown import bold, escape, quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

ARTICLES: Final = frozenset(["the", "a", "an", "of", "our", "my", "these"])
JOINTS: Final = frozenset({"and", ",", "&"})


def of_all_rows(clause: Clause, at: int, draft: Draft) -> int:
    """`the overall mean`, `mean coverage overall`: of all rows, where no groups are asked for."""
    taken = draft.hows or clause.word(at + 1) in known.HOWS or any(one.how for one in draft.measures)
    if clause.phrase(at, (("in", "total"), ("in", "all"), ("altogether",))) and any(one.how for one in draft.measures):
        return at + 2 if clause.word(at) == "in" else at + 1
    if clause.word(at) != "overall" or draft.keys:
        return at
    rates = any(map(ratio_of, draft.added)) or any(one.column and one.column.ratio for one in draft.measures)
    draft.overall |= rates
    return at + 1 if taken or rates else at


def rounded(clause: Clause, at: int, draft: Draft) -> int:
    """`rounded to 1 decimal`, `round to two decimal places`, `to the nearest whole number`."""
    verb = clause.word(at) in {"round", "rounded", "rounding"}
    start = clause.past(at + verb, {"to", "the", "numbers", "values", "it", "result", "results"})
    count = superlatives.number(clause, start)
    end = clause.past(start + 1, {"decimal", "decimals", "places", "place", "digits", "dp", "after", "the", "point"})
    if count is not None and end > start + 1 and (verb or clause.word(at) in {"to", "with"}):
        draft.decimals = count
        return end
    whole = clause.phrase(
        start, (("nearest", "integer"), ("nearest", "whole", "number"), ("whole", "numbers"), ("integers",))
    )
    if verb and whole:
        draft.decimals = 0
        return start + len(whole)
    return at


_COUNTS: Final = (("number", "of"), ("how", "many"), ("count", "of"), ("count",), ("total", "number", "of"),
                  ("counts", "of"), ("total", "count", "of"), ("how", "many", "total"), ("tally", "of"))  # fmt: skip


def rows_counted(clause: Clause, at: int, draft: Draft) -> int:
    """`count rows`, `number of rows`, `how many rows`, `rows per year`, and `count` followed by no noun."""
    ends = (
        clause.at(at + 1) is None or clause.word(at + 1) in {",", "and", "&", ")"} or clause.phrase(at + 1, known.PER)
    )
    if clause.word(at) == "n" and ends:  # "n, mean and SD of cost by clinic"
        draft.measures.append(Measure(None, How.COUNT))
        draft.measure_end = at + 1
        return at + 1
    start = clause.phrase(at, _COUNTS)
    end = clause.past(at + len(start), {"the", "all", "total"} if start else set())
    mention = clause.column(end)
    adjective = isinstance(clause.at(end), ValueMention) or (
        mention is not None and mention.choices[0].kind is Kind.BOOL
    )
    if start and adjective and clause.rows(end + 1) and not clause.rows(end):  # "how many returned orders"
        draft.measures.append(Measure(None, How.COUNT))
        draft.measure_end = end
        return end
    if unit := _days_counted(clause, end, draft) if start else 0:
        return unit
    if clause.rows(end):
        if start and clause.persons(end) and set(plain_words(draft.table.stem)) & known.VISITS:
            draft.problem("One person may have several rows, and nothing tells persons apart: count rows instead.")
        end += 1
        per = clause.phrase(end, known.PER)
        key = clause.column(clause.past(end + len(per), ARTICLES))
        sorting = key is not None and any(column.calculable for column in key.choices)  # "districts by population"
        grouped = bool(per) and not sorting and not draft.saving and not draft.listing
        already = any(one.how is How.COUNT for one in draft.measures)
        counted = bool(start) or (grouped and not draft.top and not already) or _adverb_beside(clause, at, end)
    else:
        counted = start == ("count",) and (clause.at(end) is None or bool(clause.phrase(end, known.PER)))
        if start == ("count",) and clause.column(end):
            draft.problem("“Count” counts rows: write “count rows per …”, or “total …” for the sum of a column.")
            return at + 1
        if start and (amount := _amount(clause, end, draft)):
            return amount
        if start == ("how", "many") and _counted_again(clause, at, end, draft):
            draft.measures.append(Measure(None, How.COUNT))  # "how many visits by …, and how many by …"
            draft.note("Rows are counted.")
            draft.measure_end = end
            return end
    if not counted:
        return at
    draft.measures.append(Measure(None, How.COUNT))
    draft.measure_end = end
    return end


def _counted_again(clause: Clause, at: int, end: int, draft: Draft) -> bool:
    """`… and how many by people of 80 or older`; `how many still ill`, of a table with a row for each person."""
    told_apart = known.VISITS.isdisjoint(plain_words(draft.table.stem))
    begins = clause.back(at - 1, JOINTS | {"also"}) < 0 and (told_apart or at > 0)
    if begins and clause.word(end) in {"by", "were", "was", "are", "with", "from"}:
        return True
    alone = isinstance(clause.at(end), ValueMention) and not (clause.column(end) or clause.column(end + 1))
    return alone and clause.of_persons and told_apart


def _adverb_beside(clause: Clause, at: int, end: int) -> bool:
    """`orders weekly`, `monthly orders`."""
    return not periods.ADVERBS.isdisjoint({clause.word(at - 1), clause.word(end)})


def _days_counted(clause: Clause, at: int, draft: Draft) -> int:
    """`how many days`, `on how many days was …`: different days that are there."""
    unit = {"days": Unit.DAY, "weeks": Unit.WEEK, "months": Unit.MONTH}.get(clause.word(at))
    column = periods.only_time(draft, unit) if unit else None
    if unit is None or column is None or clause.rows(at):
        return 0
    draft.measures.append(Measure(periods.of_unit(column, unit), How.DISTINCT))
    draft.measure_end = at + 1
    return at + 1


def _amount(clause: Clause, at: int, draft: Draft) -> int:
    """`how many units`, `number of people treated`: a column of amounts, added up."""
    people = clause.past(at, {"people", "persons", "individuals"})
    mention = clause.column(people) or clause.column(clause.past(people, {"were", "was", "are"}))
    if mention is None or len(mention.choices) != 1 or not mention.choices[0].added:
        return 0
    end = (people if clause.column(people) else clause.past(people, {"were", "was", "are"})) + 1
    draft.measures.append(Measure(draft.column(mention), How.SUM))
    draft.note(f"The number of {bold(mention.choices[0].name)} is its total.")
    draft.measure_end = end
    return end


_QUARTERS: Final = (How.P25, How.MEDIAN, How.P75)
_PERCENTILES: Final[dict[tuple[str, ...], tuple[How, ...]]] = {
    ("quartiles",): _QUARTERS, ("the", "quartiles"): _QUARTERS, ("iqr",): (How.P25, How.P75, How.IQR),
    ("interquartile", "range"): (How.P25, How.P75, How.IQR), ("p50",): (How.MEDIAN,), ("q1",): (How.P25,),
    ("inter", "-", "quartile", "range"): (How.P25, How.P75, How.IQR), ("q3",): (How.P75,), ("q2",): (How.MEDIAN,),
    ("50th", "percentile"): (How.MEDIAN,),
    **{(name, "quartile"): (How.P25,) for name in ("lower", "first", "1st")},
    **{(name, "quartile"): (How.P75,) for name in ("upper", "third", "3rd")},
    **{(str(how),): (how,) for how in PERCENTILES},
    **{(f"{how[1:]}th", "percentile"): (how,) for how in PERCENTILES},
}  # fmt: skip


def percentiles(clause: Clause, at: int, draft: Draft) -> int:
    """`quartiles of the wait (p25, p50, p75)`, `median and IQR of age`, `90th percentile`."""
    phrase = clause.phrase(at, tuple(_PERCENTILES))
    if not phrase or (phrase[0] in {"q1", "q2", "q3"} and not (draft.hows or clause.word(at + 1) in {",", "and"})):
        return at
    there = {*draft.hows, *(one.how for one in draft.measures)}
    wanted = [how for how in _PERCENTILES[phrase] if how not in there]
    if wanted and draft.hows_used:  # "the median wait, and the p90": of the column before
        columns = dict.fromkeys(one.column for one in draft.measures)
        if len(columns) != 1:
            return at
        draft.measures += [Measure(column, how) for column in columns for how in wanted]
        return at + len(phrase)
    draft.hows += wanted
    return at + len(phrase)


def how_much(clause: Clause, at: int, draft: Draft) -> int:
    """`how much revenue`, `sum up units`, `add up costs`, `standard deviation of coverage`."""
    if clause.phrase(at, (("standard", "deviation"), ("std", "dev"))):
        draft.hows.append(How.STD)
        return at + 2
    phrase = clause.phrase(at, (("how", "much"), ("sum", "up"), ("add", "up")))
    mention = clause.column(clause.past(at + len(phrase), {"the", "all", "total"}))
    if not phrase or mention is None:
        return at
    draft.hows.append(How.SUM)
    return clause.past(at + len(phrase), {"the", "all", "total"})


def extreme_date(clause: Clause, at: int, draft: Draft) -> int:
    """`latest order date`, `first date per site`: of dates and years only."""
    word = clause.word(at)
    noun = clause.past(at + 1, {"and", "last", "latest", "first", "earliest"})
    mention = clause.column(noun)
    hows = {
        "latest": How.MAX,
        "last": How.MAX,
        "newest": How.MAX,
        "earliest": How.MIN,
        "first": How.MIN,
        "oldest": How.MIN,
    }
    if word not in hows or mention is None or not all(column.in_time for column in mention.choices):
        return at
    words = [clause.word(index) for index in range(at, noun)]
    column = draft.column(mention)
    draft.measures += [Measure(column, how) for how in dict.fromkeys(hows[one] for one in words if one in hows)]
    draft.measure_end = noun + 1
    return noun + 1


def how_taken(clause: Clause, at: int, draft: Draft) -> int:
    """`mean`, `total`, `mean and max`; the columns follow, or have gone before."""
    how = known.HOWS.get(clause.word(at)) or _longest(clause, at)
    if clause.word(at) == "total" and clause.rows(at + 1):  # "total orders": how many there are
        if plain_words(draft.table.stem)[-1:] and Column(draft.table.stem, Kind.NUMBER).added:
            draft.problem(
                f"“Total {clause.items[at + 1].tokens[0].text}” may be their number or their amount: name the column."
            )
        draft.measures.append(Measure(None, How.COUNT))
        draft.measure_end = at + 2
        return at + 2
    if how is None or clause.phrase(at, (("total", "number", "of"), ("total", "count", "of"))):
        return at
    if draft.hows_used:
        draft.hows, draft.hows_used = [], False
    if draft.hows and clause.word(clause.back(at - 1, {"the"})) not in JOINTS:
        draft.problem(f"I do not know what {quoted(clause.word(at))} of a {draft.hows[-1].value} is.")
    if clause.word(at) in {"total", "totals"}:
        draft.totals = True
    draft.hows.append(how)
    return at + 1


def _longest(clause: Clause, at: int) -> How | None:
    """`longest wait`: the largest of a column of numbers."""
    mention = clause.column(at + 1)
    how = {"longest": How.MAX, "shortest": How.MIN}.get(clause.word(at))
    return how if mention and all(column.calculable for column in mention.choices) else None


def grouped_by(clause: Clause, at: int, draft: Draft) -> int:
    """`by year`, `per district and year`, `for each district`."""
    per = clause.phrase(at, known.PER)
    if not per:
        return at
    end = clause.past(at + len(per), ARTICLES | {"each", "every"})
    mention = clause.column(end)
    averaged = {How.MEAN, How.MEDIAN} & {*draft.hows, *(one.how for one in draft.measures)}
    if clause.rows(end) and per[0] in {"per", "for", "each"} and averaged:  # "average cost per patient": one row each
        draft.note("Each row counts once.")
        return end + 1
    if mention is None or (clause.rows(end) and per[0] in {"by", "of"} and draft.top is None and draft.measures == []):
        return at
    if per[0] in known.VERSUS and draft.measures and all(column.kind is Kind.NUMBER for column in mention.choices):
        draft.versus = True
        draft.measures.append(Measure(draft.column(mention), draft.measures[-1].how))
        draft.measure_end = end + 1
        return end + 1
    if draft.scatter and draft.measures:
        draft.versus = True
        draft.measures.append(Measure(draft.column(mention)))
        draft.measure_end = end + 1
        return end + 1
    column = draft.column(mention)
    if per == ("per",) and _counts_things(column):
        draft.problem(
            f"“Per” {bold(column.name)} has two readings: write “… / {escape(column.name)}” to divide by it, or "
            f"“by {escape(column.name)}” for a group for each of its numbers."
        )
    group_by(draft, draft.keys, column)
    draft.over_key |= per[0] == "over"
    return periods.more_keys(clause, end + 1, draft)


def _counts_things(column: Column) -> bool:
    """`doctors`, `cases`: per such a number is a ratio for most people; per week or per age is a group."""
    words = [word for word in plain_words(column.name) if word.isalpha()]
    return column.calculable and (column.added or any(len(forms(word)) > 1 and word.endswith("s") for word in words))


def column_named(clause: Clause, at: int, draft: Draft) -> int:
    """A column that nothing else has taken: what is to be drawn, calculated or listed."""
    item = clause.at(at)
    mention = clause.column(at)
    if mention is None:
        return at
    if isinstance(item, ValueMention):
        columns = [bold(column.name) for column, _ in item.choices]
        draft.problem(f"{quoted(item.tokens[0].text)} is a column, and a value of {columns[0]} too.")
    before = clause.back(at - 1, ARTICLES)
    if clause.rows(at) and draft.measure_end == before + 1 > 0:  # "the mean area of districts"
        draft.of_table = True
        return at + 1
    column = draft.column(mention)
    if draft.measure_end == before + 1 and before >= 0:
        draft.problem(f"{bold(column.name)} follows another column with nothing that says how they belong together.")
    if mention.known and not (draft.chart or draft.hows):
        draft.problem(
            f"{quoted(column.name)} is a column, and a word I use: put it in quotation marks if you mean the column."
        )
    if draft.totals and How.SUM in draft.hows and column.share and not column.ratio:
        draft.problem(
            f"A total of {bold(column.name)} would add up shares: write “mean”, or “sum” if you do mean that."
        )
    if draft.hows and column.in_time:  # "the highest ozone and the date" asks when, not for the latest date
        draft.problem(f"{bold(column.name)} is no number: ask for the row with the highest or lowest.")
    draft.measures += [Measure(column, how) for how in draft.hows] or [Measure(column)]
    draft.hows_used = bool(draft.hows)
    draft.measure_end = at + 1
    return at + 1


def of_all_keys(clause: Clause, at: int, draft: Draft) -> int:
    """`coverage in 2024, all districts`: one row each, where nothing else says how rows become one."""
    start = clause.past(at, {"for", "in", "of"})
    mention = clause.column(clause.past(start + 1, {"the"}))
    if clause.word(start) != "all" or mention is None or draft.hows or draft.chart or clause.rows(start + 1):
        return at
    if not draft.measures or any(column.calculable or not column.groups for column in mention.choices):
        return at
    group_by(draft, draft.keys, draft.column(mention))
    return clause.past(start + 1, {"the"}) + 1
