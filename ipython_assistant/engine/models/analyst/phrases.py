"""The grammar: phrases that a clause is read by. Each takes the items it understands and notes them in the draft.

A phrase returns the index after what it took, or the index it was given. `PHRASES` is tried in order at every item;
what no phrase takes, and is not idle, is left over. A new phrase is a function and a place in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import (
    conditions,
    drawing,
    formulas,
    joining,
    periods,
    quality,
    steps,
    superlatives,
    times,
)
from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.draft import Clause, Draft
from ipython_assistant.engine.models.analyst.lexing import TokenKind, forms, plain_words
from ipython_assistant.engine.models.analyst.markdown import bold, escape, quoted
from ipython_assistant.engine.models.analyst.mentions import Item, Name, Place, ValueMention, Word
from ipython_assistant.engine.models.analyst.plan import AnyOf, Condition, How, InYears, Measure, OneOf
from ipython_assistant.engine.models.analyst.superlatives import group_by
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table, Unit
from ipython_assistant.engine.models.analyst.wording import MARKDOWN, condition_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ARTICLES: Final = frozenset(["the", "a", "an", "of", "our", "my", "these"])
JOINTS: Final = frozenset({"and", ",", "&"})


def read_clause(items: Sequence[Item], table: Table) -> Draft:
    """Read a clause against a table. The draft says what was understood, what is wrong, and what was left over."""
    draft = Draft(table)
    clause = Clause(items, table)
    at = 0
    last: tuple[int, Condition] | None = None  # where the last condition ended
    while at < len(items):
        said = list(draft.where)
        after = next((end for phrase in PHRASES if (end := phrase(clause, at, draft)) > at), at)
        if after == at:
            if not _idle(clause, at):
                draft.left_over.append(items[at])
            after = at + 1
        if draft.where != said:
            draft.where_start, draft.where_end = at, after
            if last is not None and len(draft.where) > len(said):
                _check_joint(clause, at, draft, last)
            last = (after, draft.where[-1])
        at = after
    return draft


def _check_joint(clause: Clause, at: int, draft: Draft, last: tuple[int, Condition]) -> None:
    """`except LF and 2020`, `for LF and Belkoru`: what is only joined to a condition may share it, or not."""
    end, before = last
    joint = clause.back(at - 1, JOINTS)
    if isinstance(before, AnyOf) and joint + 1 == end < at and clause.word(at - 1) in {"and", "&"}:
        draft.problem("“And” and “or” are mixed: ask for one of them at a time.")
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
    end = clause.past(at + 1, {"a", "an", "the", "file", "called", "named", "new", "name", "into"})
    item = clause.at(end)
    kinds = clause.word(end) in known.FILE_FORMATS
    named = clause.past(end + 1, {"file", "table", "called", "named", "as", "spreadsheet"}) if kinds else end
    if kinds and isinstance(clause.at(named), Name) and named > end + 1:  # "to an Excel file called x.xlsx"
        if not draft.name:
            _of_kind(clause.word(end), draft)
        end, item = named, clause.at(named)
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
    _of_kind(clause.word(end), draft)
    following = clause.past(
        end + 1, {"file", "table", "format", "spreadsheet", "workbook", "files", "page", "document"}
    )
    while (joint := clause.past(following, {"and", ",", "&"})) > following and clause.word(joint) in known.FILE_FORMATS:
        _of_kind(clause.word(joint), draft)
        following = clause.past(joint + 1, {"file", "table", "format"})
    return following


def _format_alone(clause: Clause, at: int, draft: Draft) -> int:
    """`parquet`, `excel please`: a whole request."""
    rest = [
        item
        for item in clause.items[at + 1 :]
        if not (isinstance(item, Word) and item.norm in known.IDLE | known.HARMLESS_MARKS)
    ]
    if (
        clause.word(at) not in known.FILE_FORMATS
        or at
        or [one for one in rest if clause.word(at + 1) not in {"file", "format"}]
    ):
        return at
    _of_kind(clause.word(at), draft)
    return clause.past(at + 1, {"file", "format"})


def _of_kind(word: str, draft: Draft) -> None:
    ending = known.FILE_FORMATS[word]
    if not ending:
        draft.problem(
            f"I write CSV, TSV, Excel, JSON, Parquet, Markdown and HTML, and charts as PNG, not {quoted(word)}."
        )
    elif ending == ".csv":
        draft.as_table = True
        draft.ending = draft.ending or ending
    elif draft.ending and draft.ending != ending:
        draft.problem("Two kinds of file are asked for: ask for one at a time.")
    else:
        draft.ending, draft.as_table = ending, True


def _saving(clause: Clause, at: int, draft: Draft) -> int:
    """`save it`, `export the table`, `save this chart`."""
    if clause.word(at) not in known.SAVE_VERBS:
        return at
    draft.saving = True
    noun = clause.past(at + 1, {"the"})
    end = clause.past(noun, known.OUTCOME_NOUNS | known.CHART_NOUNS | {"table", "data"})
    spoken_of = clause.word(noun) in known.OUTCOME_NOUNS | known.CHART_NOUNS
    end = clause.past(end, {"too", "also"} if spoken_of else set())
    points = any(clause.word(index) in {"points", "numbers", "values", "table"} for index in range(noun, end))
    draft.as_table |= points and spoken_of and not draft.name
    if spoken_of and (clause.at(end) is None or clause.word(end) in known.NAMING):
        draft.outcome = True
        return end
    return at + 1


_OVERVIEWS: Final = (
    ("summary", "statistics"), ("summary", "stats"), ("descriptive", "statistics"), ("descriptive", "stats"),
    ("basic", "statistics"), ("basic", "stats"), ("column", "types"), ("data", "types"), ("rows", "and", "columns"),
    ("which", "columns", "are", "there"), ("what", "columns", "are", "there"), ("columns", "are", "there"),
    ("what", "columns", "does"), ("what", "is", "in"), ("what's", "in"), ("look", "like"), ("looks", "like"),
    ("shape",),
    ("how", "many", "rows", "and", "columns"), ("how", "many", "columns"), ("columns", "and", "rows"), ("statistics",),
    ("stats",), ("structure",),
)  # fmt: skip


def _describe(clause: Clause, at: int, draft: Draft) -> int:
    """`describe`, `an overview of`, `summary statistics`, `what columns are there`, `what does the table look like`."""
    phrase = clause.phrase(at, _OVERVIEWS)
    if not phrase and clause.word(at) not in known.DESCRIBE_WORDS:
        return at
    if phrase and phrase[0] in {"what", "what's"} and phrase[-1] == "in":
        noun = clause.past(at + len(phrase), {"the", "this"})
        if clause.word(noun) not in known.TABLE_NOUNS and not isinstance(clause.at(noun), Place):
            return at
    draft.describe = True
    return clause.past(at + (len(phrase) or 1), {"have", "has", "contain"} if phrase else set())


def _verbs(clause: Clause, at: int, draft: Draft) -> int:
    """`show me`, `keep`, `calculate`, `what is`."""
    if clause.word(at) in known.LIST_VERBS:
        draft.listing = True
        shown = clause.past(at + 1, {"me", "us"})
        if (
            clause.word(shown) in {"them", "it", "those", "these"}
            and clause.at(clause.past(shown + 1, known.HARMLESS_MARKS)) is None
        ):
            draft.outcome = True
            return shown + 1
        return at + 1 + (clause.word(at + 1) == "only")
    if (
        clause.word(at) == "only"
        and clause.column(at + 1)
        and clause.word(at - 1) in known.SAVE_VERBS | known.LIST_VERBS
    ):
        draft.listing = True
        return at + 1
    if clause.word(at) in {"compare", "comparing", "comparison"}:
        draft.compare = True
        return clause.past(at + 1, {"of", "the"})
    if clause.word(at) in {"people", "persons", "individuals"} and (mention := clause.column(at + 1)):
        return at + 1 if all(column.added for column in mention.choices) else at
    if (
        clause.word(at) == "how"
        and clause.word(at + 1) in {"strongly", "closely", "much", "well"}
        and any(
            isinstance(item, Word) and item.norm in {"correlated", "correlate", "correlation"} for item in clause.items
        )
    ):
        return at + 2
    opening = clause.word(at) == "how" and clause.word(at + 1) in {
        "is",
        "are",
        "was",
        "were",
        "does",
        "did",
        "do",
        "have",
        "has",
    }
    return at + 1 if opening or clause.word(at) in known.MAKE_VERBS else at


def _overall(clause: Clause, at: int, draft: Draft) -> int:
    """`the overall mean`, `mean coverage overall`: of all rows, where no groups are asked for."""
    taken = draft.hows or clause.word(at + 1) in known.HOWS or any(one.how for one in draft.measures)
    if clause.phrase(at, (("in", "total"), ("in", "all"), ("altogether",))) and any(one.how for one in draft.measures):
        return at + 2 if clause.word(at) == "in" else at + 1
    return at + 1 if clause.word(at) == "overall" and taken and not draft.keys else at


def _rounded(clause: Clause, at: int, draft: Draft) -> int:
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


def _everything(clause: Clause, at: int, draft: Draft) -> int:
    """`for all rows`, `over all the data`, `everything`."""
    start = clause.past(at, {"for", "of", "over", "in", "from", "on"})
    noun = clause.past(start + 1, {"the"})
    if clause.word(start) == "everything":
        noun = start
    elif clause.word(start) not in {"all", "whole", "full", "entire", "complete"} or not (
        clause.rows(noun) or clause.word(noun) in known.TABLE_NOUNS
    ):
        return at
    draft.everything = draft.of_table = True
    return noun + 1


def _table_noun(clause: Clause, at: int, draft: Draft) -> int:
    """The table by its name, or its rows or data as such; `as a table`."""
    noun = clause.past(at + 1, {"a"}) if clause.word(at) == "as" else at
    if (
        not isinstance(clause.at(noun), Place)
        and clause.word(noun) not in known.TABLE_NOUNS
        and not clause.persons(noun)
    ):
        return at
    draft.of_table = True
    draft.place |= isinstance(clause.at(noun), Place)
    draft.of_rows |= clause.word(noun) in known.ROW_NOUNS or _rows_in(clause, noun, draft)
    draft.as_table |= clause.word(noun) == "table" and clause.word(noun - 1) in {"a", "and"}
    return noun + 1


def _rows_in(clause: Clause, at: int, draft: Draft) -> bool:
    """`cases in districts with a hospital`: the table's name, said first, is what is wanted."""
    item = clause.at(at)
    named = isinstance(item, Place) and all(token.kind is TokenKind.WORD for token in item.tokens)
    after = clause.word(at + 1) in {"in", "of", "from", "at"}
    return (
        named and after and not draft.measures and clause.word(at - 1) not in {"in", "of", "from", "for", "on", "using"}
    )


_COUNTS: Final = (("number", "of"), ("how", "many"), ("count", "of"), ("count",), ("total", "number", "of"),
                  ("counts", "of"), ("total", "count", "of"), ("how", "many", "total"), ("tally", "of"))  # fmt: skip


def _count(clause: Clause, at: int, draft: Draft) -> int:
    """`count rows`, `number of rows`, `how many rows`, `rows per year`, and `count` followed by no noun."""
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
    if not counted:
        return at
    draft.measures.append(Measure(None, How.COUNT))
    draft.measure_end = end
    return end


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


def _how_much(clause: Clause, at: int, draft: Draft) -> int:
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


def _extreme_date(clause: Clause, at: int, draft: Draft) -> int:
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


def _how(clause: Clause, at: int, draft: Draft) -> int:
    """`mean`, `total`, `mean and max`; the columns follow, or have gone before."""
    how = known.HOWS.get(clause.word(at))
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


def _keys(clause: Clause, at: int, draft: Draft) -> int:
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


def _measure(clause: Clause, at: int, draft: Draft) -> int:
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


def _of_all_keys(clause: Clause, at: int, draft: Draft) -> int:
    """`coverage in 2024, all districts`: one row each, where nothing else says how rows become one."""
    start = clause.past(at, {"for", "in", "of"})
    mention = clause.column(clause.past(start + 1, {"the"}))
    if clause.word(start) != "all" or mention is None or draft.hows or draft.chart or clause.rows(start + 1):
        return at
    if not draft.measures or any(column.calculable or not column.groups for column in mention.choices):
        return at
    group_by(draft, draft.keys, draft.column(mention))
    return clause.past(start + 1, {"the"}) + 1


def _correlation(clause: Clause, at: int, draft: Draft) -> int:
    """`correlation between coverage and treated`, `correlation table`, `how are these correlated`."""
    if clause.word(at) not in {"correlation", "correlations", "correlate", "correlated", "correlates", "corr"}:
        return at
    draft.correlation = True
    return clause.past(at + 1, {"matrix", "table", "between", "among", "of", "coefficient", "coefficients", "strongly"})


PHRASES: Final[tuple[Callable[[Clause, int, Draft], int], ...]] = (
    joining.put_together,
    formulas.defined,
    _everything,
    _file_name,
    _format_alone,
    _saving,
    quality.left_out,
    quality.duplicates,
    quality.values_missing,
    times.latest,
    quality.first_rows,
    _of_all_keys,
    superlatives.of_kind,
    superlatives.top,
    superlatives.ranking,
    superlatives.ranked,
    _rounded,
    _overall,
    conditions.flagged,
    conditions.aged,
    conditions.beside_average,
    conditions.blank,
    conditions.containing,
    steps.pivot,
    conditions.compared,
    times.in_years,
    times.on_dates,
    times.in_months,
    conditions.valued,
    conditions.alternative,
    steps.share,
    steps.running,
    steps.change,
    quality.missing,
    quality.distinct,
    drawing.series,
    periods.per_period,
    _keys,
    _count,
    _how_much,
    _extreme_date,
    _correlation,
    drawing.distribution,
    drawing.bins,
    drawing.over_time,
    superlatives.sorted_by,
    _describe,
    _verbs,
    drawing.kind,
    drawing.chart,
    _how,
    _table_noun,
    _measure,
)
