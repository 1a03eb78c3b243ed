"""The grammar: phrases that a clause is read by. Each takes the items it understands and notes them in the draft.

A phrase returns the index after what it took, or the index it was given. `PHRASES` is tried in order at every item;
what no phrase takes, and is not idle, is left over. A new phrase is a function and a place in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import conditions
from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.draft import Clause, Draft
from ipython_assistant.engine.models.analyst.markdown import bold, quoted
from ipython_assistant.engine.models.analyst.mentions import Item, Name, Number, Place, ValueMention, Word
from ipython_assistant.engine.models.analyst.plan import Condition, How, InYears, Measure, OneOf, Top
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table
from ipython_assistant.engine.models.analyst.wording import MARKDOWN, condition_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ARTICLES: Final = frozenset(["the", "a", "an", "of"])
JOINTS: Final = frozenset({"and", ",", "&"})


def read_clause(items: Sequence[Item], table: Table) -> Draft:
    """Read a clause against a table. The draft says what was understood, what is wrong, and what was left over."""
    draft = Draft(table)
    clause = Clause(items)
    at = 0
    last: tuple[int, Condition] | None = None  # where the last condition ended
    while at < len(items):
        said = len(draft.where)
        after = next((end for phrase in PHRASES if (end := phrase(clause, at, draft)) > at), at)
        if after == at:
            if not _idle(clause, at):
                draft.left_over.append(items[at])
            after = at + 1
        if len(draft.where) > said:
            if last is not None:
                _check_joint(clause, at, draft, last)
            last = (after, draft.where[-1])
        at = after
    return draft


def _check_joint(clause: Clause, at: int, draft: Draft, last: tuple[int, Condition]) -> None:
    """`except LF and 2020`, `for LF and Belkoru`: what is only joined to a condition may share it, or not."""
    end, before = last
    joint = clause.back(at - 1, JOINTS)
    if joint + 1 != end or end == at or clause.word(at):  # a word such as "for" begins anew
        return
    negated = isinstance(before, OneOf | InYears) and before.negated
    paired = (
        isinstance(before, OneOf) and isinstance(clause.at(at), ValueMention) and clause.word(at - 1) in {"and", "&"}
    )
    if negated or paired:
        shown = quoted(" ".join(token.text for token in clause.items[at].tokens))
        draft.problem(
            f"It is not clear how {shown} goes with {condition_in_words(before, MARKDOWN)}: say “where … is …”."
        )


def _idle(clause: Clause, at: int) -> bool:
    """True for what may be left over; a hyphen only inside a word ("line-chart"), elsewhere it may be a minus."""
    word = clause.word(at)
    if word == "-":
        before, after = clause.at(at - 1), clause.at(at + 1)
        here = clause.items[at].tokens[0]
        return (
            isinstance(before, Word)
            and isinstance(after, Word)
            and before.tokens[-1].end == here.start
            and after.tokens[0].start == here.end
        )
    return word in known.IDLE or word in known.IDLE_NOUNS or word in known.HARMLESS_MARKS


def _file_name(clause: Clause, at: int, draft: Draft) -> int:
    """`as by_district.csv`, `to "by district.csv"`, `as csv`."""
    start = clause.word(at)
    if start not in known.NAMING or (start == "in" and not draft.saving):
        return at
    end = clause.past(at + 1, {"a", "an", "the", "file", "called", "named"})
    item = clause.at(end)
    if isinstance(item, Name) and (start in {"as", "called", "named"} or not item.quoted or "." in item.text):
        if draft.name:
            draft.problem(f"Two file names were given, {quoted(draft.name)} and {quoted(item.text)}.")
        draft.name = item.text
        return end + 1
    if isinstance(item, Place) and start != "in":
        draft.problem(f"{quoted(draft.table.name)} is the table itself and would be overwritten.")
        return end + 1
    if clause.word(end) not in known.FILE_FORMATS:
        return at
    if clause.word(end) == "csv":
        draft.as_table = True
    else:
        draft.problem(f"I write tables as CSV and charts as PNG, not {quoted(clause.word(end))}.")
    return clause.past(end + 1, {"file", "table"})


def _saving(clause: Clause, at: int, draft: Draft) -> int:
    """`save it`, `export the table`, `save this chart`."""
    if clause.word(at) not in known.SAVE_VERBS:
        return at
    draft.saving = True
    noun = clause.past(at + 1, {"the"})
    end = clause.past(noun, known.OUTCOME_NOUNS | known.CHART_NOUNS | {"table", "data"})
    spoken_of = clause.word(noun) in known.OUTCOME_NOUNS | known.CHART_NOUNS
    if spoken_of and (clause.at(end) is None or clause.word(end) in known.NAMING):
        draft.outcome = True
        return end
    return at + 1


def _chart(clause: Clause, at: int, draft: Draft) -> int:
    """`plot`, `bar chart`, `as bars`, `in a line chart`."""
    shape = clause.past(at, {"as", "in", "a", "an"})
    noun = clause.past(shape, known.LINE | known.BAR)
    shapes = {"bar" if clause.word(index) in known.BAR else "line" for index in range(shape, noun)}
    end = clause.past(noun, {"-"}) if shapes else noun
    if clause.word(end) in known.CHART_VERBS | known.CHART_NOUNS:
        end += 1
    elif not shapes:
        return at
    else:
        end = noun
    draft.chart = True
    shapes |= {draft.shape} if draft.shape else set()
    if len(shapes) > 1:
        draft.problem("Lines and bars are asked for in one chart.")
    draft.shape = next(iter(sorted(shapes)), "")
    return end


def _over_time(clause: Clause, at: int, draft: Draft) -> int:
    """`over time`, `the trend of`, `time series`; not `trend line`, which is a calculation."""
    if clause.phrase(at, (("over", "time"), ("time", "series"))):
        draft.over_time = True
        return at + 2
    if clause.word(at) in {"trend", "trends"} and clause.word(at + 1) not in known.LINE:
        draft.over_time = draft.chart = True
        return at + 1
    return at


def _describe(clause: Clause, at: int, draft: Draft) -> int:
    """`describe`, `an overview of`."""
    if clause.word(at) not in known.DESCRIBE_WORDS:
        return at
    draft.describe = True
    return at + 1


def _verbs(clause: Clause, at: int, draft: Draft) -> int:
    """`show me`, `keep`, `calculate`, `what is`."""
    if clause.word(at) in known.LIST_VERBS:
        draft.listing = True
        return at + 1
    opening = clause.word(at) == "what" and at == 0
    return at + 1 if opening or clause.word(at) in known.MAKE_VERBS else at


def _everything(clause: Clause, at: int, draft: Draft) -> int:
    """`for all rows`, `over all the data`, `everything`."""
    start = clause.past(at, {"for", "of", "over", "in", "from", "on"})
    noun = clause.past(start + 1, {"the"})
    if clause.word(start) == "everything":
        noun = start
    elif clause.word(start) != "all" or clause.word(noun) not in known.ROW_NOUNS | {"data"}:
        return at
    draft.everything = draft.of_table = True
    return noun + 1


def _table_noun(clause: Clause, at: int, draft: Draft) -> int:
    """The table by its name, or its rows or data as such; `as a table`."""
    noun = clause.past(at + 1, {"a"}) if clause.word(at) == "as" else at
    if not isinstance(clause.at(noun), Place) and clause.word(noun) not in known.TABLE_NOUNS:
        return at
    draft.of_table = True
    draft.of_rows |= clause.word(noun) in known.ROW_NOUNS
    draft.as_table |= clause.word(noun) == "table" and clause.word(noun - 1) in {"a", "and"}
    return noun + 1


def _count(clause: Clause, at: int, draft: Draft) -> int:
    """`count rows`, `number of rows`, `how many rows`, `rows per year`, and `count` followed by no noun."""
    start = clause.phrase(at, (("number", "of"), ("how", "many"), ("count", "of"), ("count",)))
    end = clause.past(at + len(start), {"the", "all"} if start else set())
    if clause.word(end) in known.ROW_NOUNS:
        end += 1
        counted = bool(start) or clause.phrase(end, known.PER)[:1] not in {(), ("by",)}
    else:
        counted = start == ("count",) and (clause.at(end) is None or bool(clause.phrase(end, known.PER)))
        if start == ("count",) and clause.column(end):
            draft.problem("“Count” counts rows: write “count rows per …”, or “total …” for the sum of a column.")
            return at + 1
    if not counted:
        return at
    draft.measures.append(Measure(None, How.COUNT))
    draft.measure_end = end
    return end


def _how(clause: Clause, at: int, draft: Draft) -> int:
    """`mean`, `total`, `mean and max`; the columns follow, or have gone before."""
    how = known.HOWS.get(clause.word(at))
    if how is None:
        return at
    if draft.hows_used:
        draft.hows, draft.hows_used = [], False
    if draft.hows and clause.word(clause.back(at - 1, {"the"})) not in JOINTS:
        draft.problem(f"I do not know what {quoted(clause.word(at))} of a {draft.hows[-1].value} is.")
    if clause.word(at) in {"total", "totals"}:
        draft.totals = True
    draft.hows.append(how)
    return at + 1


def _top(clause: Clause, at: int, draft: Draft) -> int:
    """`top 5 districts`, `bottom 3 rows`, `5 districts with the lowest mean coverage`."""
    word = clause.word(at)
    if word in known.TOP_WORDS:
        count, noun = _number(clause, at + 1), at + 2
        largest = known.TOP_WORDS[word]
        end = noun + 1
    else:
        count, noun = _number(clause, at), at + 1
        end = clause.past(noun + 1, {"with", "having", "of", "the"})
        if clause.word(end) not in known.EXTREMES:
            return at
        largest = known.EXTREMES[clause.word(end)]
    if count is None or draft.top is not None:
        return at
    draft.top = Top(count, largest)
    mention = clause.column(noun)
    if mention is not None:
        _group_by(draft, draft.keys, draft.column(mention))
    elif clause.word(noun) not in known.ROW_NOUNS:
        return noun if word in known.TOP_WORDS else at
    else:
        draft.of_table = True
    if word in known.TOP_WORDS:
        return end
    ranked = _ranked(clause, end + 1, draft)
    if ranked == end + 1:
        draft.problem(f"It is not said what is {quoted(clause.word(end))}.")
    return ranked


def _number(clause: Clause, at: int) -> int | None:
    item = clause.at(at)
    if isinstance(item, Number) and isinstance(item.value, int) and item.value > 0:
        return item.value
    return known.NUMBER_WORDS.get(clause.word(at))


def _ranking(clause: Clause, at: int, draft: Draft) -> int:
    """`by mean coverage`, once a top is asked for."""
    if draft.top is None or draft.ranking or clause.word(at) not in {"by", "in", "for", "with", "on"}:
        return at
    start = clause.past(at + 1, {"the"} | (known.EXTREMES.keys() if clause.word(at) == "with" else set()))
    ranked = _ranked(clause, start, draft)
    return ranked if ranked > start else at


def _ranked(clause: Clause, at: int, draft: Draft) -> int:
    """`mean coverage`: a way to take a column, if any, and the column; or `number of rows`."""
    how = known.HOWS.get(clause.word(at))
    end = clause.past(at + 1, {"of", "the"}) if how else at
    mention = clause.column(end)
    if mention is None or not all(column.kind is Kind.NUMBER for column in mention.choices):
        return at
    draft.totals |= clause.word(at) in {"total", "totals"}
    draft.ranking.append(Measure(draft.column(mention), how))
    return end + 1


def _series(clause: Clause, at: int, draft: Draft) -> int:
    """`one line per district`, `a separate bar for each disease`, `split by disease`."""
    drawn = clause.past(at, {"with", "one", "a", "separate"})
    shape = "line" if clause.word(drawn) in known.LINE else "bar" if clause.word(drawn) in known.BAR else ""
    start = drawn + 1 if shape else at
    per = clause.phrase(start, known.PER if shape else known.SERIES)
    column_at = clause.past(start + len(per), {"the", "each"})
    mention = clause.column(column_at)
    if not per or mention is None:
        return at
    if shape:
        draft.chart, draft.shape = True, draft.shape or shape
    _group_by(draft, draft.series, draft.column(mention))
    return column_at + 1


def _keys(clause: Clause, at: int, draft: Draft) -> int:
    """`by year`, `per district and year`, `for each district`."""
    per = clause.phrase(at, known.PER)
    if not per:
        return at
    end = clause.past(at + len(per), ARTICLES | {"each", "every"})
    mention = clause.column(end)
    if mention is None:
        return at
    if per[0] in known.VERSUS and draft.measures and all(column.kind is Kind.NUMBER for column in mention.choices):
        draft.versus = True
        draft.measures.append(Measure(draft.column(mention), draft.measures[-1].how))
        draft.measure_end = end + 1
        return end + 1
    _group_by(draft, draft.keys, draft.column(mention))
    draft.over_key |= per[0] == "over"
    end += 1
    while (following := _joined_key(clause, end)) > end:
        joined = clause.column(following - 1)
        if joined:
            _group_by(draft, draft.keys, draft.column(joined))
        end = following
    return end


def _joined_key(clause: Clause, at: int) -> int:
    """`and year`, `, year`, `per year`: another column that makes groups; numbers are more likely calculated with."""
    start = clause.past(at, JOINTS)
    start += len(clause.phrase(start, (("by",), ("per",))))
    column_at = clause.past(start, {"the", "each"})
    mention = clause.column(column_at)
    if (
        start == at or mention is None or isinstance(clause.at(column_at + 1), ValueMention)
    ):  # "…, district Arvessa North"
        return at
    keys = all(column.groups and column.kind is not Kind.NUMBER for column in mention.choices)
    return column_at + 1 if keys else at


def _group_by(draft: Draft, columns: list[Column], column: Column) -> None:
    if not column.groups:
        what = "is empty" if column.kind is Kind.EMPTY else f"has {column.distinct:,} different numbers"
        draft.problem(
            f"{bold(column.name)} {what}; I group by, and draw over, texts, years, dates and a few whole numbers."
        )
    if column not in columns:
        columns.append(column)


def _measure(clause: Clause, at: int, draft: Draft) -> int:
    """A column that nothing else has taken: what is to be drawn, calculated or listed."""
    item = clause.at(at)
    mention = clause.column(at)
    if mention is None:
        return at
    if isinstance(item, ValueMention):
        columns = [bold(column.name) for column, _ in item.choices]
        draft.problem(f"{quoted(item.tokens[0].text)} is a column, and a value of {columns[0]} too.")
    column = draft.column(mention)
    before = clause.back(at - 1, ARTICLES)
    if draft.measure_end == before + 1 and before >= 0:
        draft.problem(f"{bold(column.name)} follows another column with nothing that says how they belong together.")
    if mention.known and not (draft.chart or draft.hows):
        draft.problem(
            f"{quoted(column.name)} is a column, and a word I use: put it in quotation marks if you mean the column."
        )
    if draft.totals and How.SUM in draft.hows and column.share:
        draft.problem(
            f"A total of {bold(column.name)} would add up shares: write “mean”, or “sum” if you do mean that."
        )
    draft.measures += [Measure(column, how) for how in draft.hows] or [Measure(column)]
    draft.hows_used = bool(draft.hows)
    draft.measure_end = at + 1
    return at + 1


PHRASES: Final[tuple[Callable[[Clause, int, Draft], int], ...]] = (
    _everything,
    _file_name,
    _saving,
    _top,
    _ranking,
    conditions.compared,
    conditions.in_years,
    conditions.on_dates,
    conditions.valued,
    _series,
    _keys,
    _count,
    _over_time,
    _describe,
    _verbs,
    _chart,
    _how,
    _table_noun,
    _measure,
)
