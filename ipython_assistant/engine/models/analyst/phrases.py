"""The grammar: phrases that a clause is read by. Each takes the items it understands and notes them in the draft.

A phrase returns the index after what it took, or the index it was given. `PHRASES` is tried in order at every item;
what no phrase takes, and is not idle, is left over. A new phrase is a function and a place in that order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import (
    conditions,
    counting,
    drawing,
    exclusions,
    filing,
    formulas,
    joining,
    periods,
    quality,
    steps,
    superlatives,
    texts,
    times,
)
from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.draft import Clause, Draft
from ipython_assistant.engine.models.analyst.lexing import plain_words
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Item, Number, Place, ValueMention, Word
from ipython_assistant.engine.models.analyst.plan import AnyOf, Condition, InYears, OneOf
from ipython_assistant.engine.models.analyst.tables import Kind
from ipython_assistant.engine.models.analyst.wording import MARKDOWN, condition_in_words
from ipython_assistant.engine.models.markdown import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipython_assistant.engine.models.analyst.tables import Table


def read_clause(items: Sequence[Item], table: Table) -> Draft:
    """Read a clause against a table. The draft says what was understood, what is wrong, and what was left over."""
    draft = Draft(table)
    clause = Clause(items, table)
    exclusions.check_not_only(clause, draft)
    at = 0
    exclusion = exclusions.Exclusion()
    last: tuple[int, Condition] | None = None  # where the last condition ended
    _check_numbers(clause, draft)
    while at < len(items):
        said, keys = list(draft.where), list(draft.keys)
        after = next((end for phrase in PHRASES if (end := phrase(clause, at, draft)) > at), at)
        if after == at:
            if not _idle(clause, at):
                draft.left_over.append(items[at])
            after = at + 1
        if draft.where != said:
            draft.where_start, draft.where_end = at, after
            if len(draft.where) > len(said):
                if last is not None:
                    _check_joint(clause, at, draft, last)
                _check_share(clause, at, draft)
                if draft.where[-1] not in draft.leading:
                    draft.conditions_at.append(len(draft.measures))
            last = (after, draft.where[-1])
        exclusion.check(clause, (at, after), draft)
        if len(draft.keys) > len(keys):
            draft.keys_at.append(len(draft.measures))
        at = after
    return draft


_THOUSANDS: Final = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}")


def _check_numbers(clause: Clause, draft: Draft) -> None:
    """`over 1.000`: a thousand to some, and one to others."""
    for item in clause.items:
        if isinstance(item, Number) and _THOUSANDS.fullmatch(written := item.tokens[0].text):
            draft.problem(
                f"It is not clear whether {quoted(written)} has thousands or decimals: write "
                f"{quoted(written.replace('.', ''))} or {quoted(written.rstrip('0').rstrip('.'))}."
            )


def _check_joint(clause: Clause, at: int, draft: Draft, last: tuple[int, Condition]) -> None:
    """`except LF and 2020`, `for LF and Belkoru`: what is only joined to a condition may share it, or not."""
    end, before = last
    joint = clause.back(at - 1, counting.JOINTS)
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


def _check_share(clause: Clause, at: int, draft: Draft) -> None:
    """`percentage of cases recovered by gender`: out of the group's rows, or how those that fit are spread over groups?

    A time or a place only says which rows are meant: `percentage of visits at Harbour in 2023 by diagnosis`.
    """
    condition = draft.where[-1]
    if not draft.rows_shared or condition in draft.leading:
        return
    column = None if isinstance(condition, AnyOf) else condition.column
    where = (
        isinstance(condition, OneOf) and not condition.negated and {"at", "in"} & {clause.word(at), clause.word(at - 1)}
    )
    placed = where and column and column.kind is Kind.TEXT and {"sex", "gender"}.isdisjoint(plain_words(column.name))
    if not placed and not (column and column.in_time):
        said = condition_in_words(condition, MARKDOWN)
        draft.problem(
            f"It is not clear whether the share of rows where {said} is out of each group, or how they are spread over "
            "the groups: say “percentage of rows where … per …” for the first, or “number of rows where … per …, as a "
            "share of the total” for the second."
        )


def _idle(clause: Clause, at: int) -> bool:
    """True for what may be left over; a hyphen only inside a word ("line-chart"), elsewhere it may be a minus."""
    word = clause.word(at)
    if word == "-":
        before, after = clause.at(at - 1), clause.at(at + 1)
        here = clause.items[at].tokens[0]
        if _dash(clause, at) and before and after and before.tokens[-1].end < here.start < after.tokens[0].start - 1:
            return True
        return (
            isinstance(before, Word)
            and isinstance(after, Word)
            and before.tokens[-1].end == here.start
            and after.tokens[0].start == here.end
        )
    return word in known.IDLE or word in known.IDLE_NOUNS or word in known.HARMLESS_MARKS


def _dash(clause: Clause, at: int) -> bool:
    """`HPV only - months down the side`: what is taken from a word that means no number is no difference."""
    before, after = clause.at(at - 1), clause.at(at + 1)
    sums = known.HOWS.keys() | {"all", "number", "count", "everything"}
    worded = isinstance(before, Place) or (isinstance(before, Word) and before.norm not in sums)
    return worded and isinstance(after, Word | Place | ValueMention | ColumnMention)


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


def _correlation(clause: Clause, at: int, draft: Draft) -> int:
    """`correlation between coverage and treated`, `correlation table`, `how are these correlated`."""
    if clause.word(at) not in {"correlation", "correlations", "correlate", "correlated", "correlates", "corr"}:
        return at
    draft.correlation = True
    return clause.past(at + 1, {"matrix", "table", "between", "among", "of", "coefficient", "coefficients", "strongly"})


PHRASES: Final[tuple[Callable[[Clause, int, Draft], int], ...]] = (
    joining.put_together,
    formulas.rate_named,
    formulas.defined,
    filing.all_columns,
    filing.all_rows,
    filing.file_name,
    filing.format_alone,
    filing.saving,
    quality.left_out,
    texts.without_blanks,
    quality.duplicates,
    quality.more_than_once,
    quality.values_missing,
    times.latest,
    quality.first_rows,
    counting.of_all_keys,
    superlatives.which_one,
    superlatives.of_kind,
    superlatives.top,
    superlatives.ranking,
    superlatives.ranked,
    counting.rounded,
    counting.of_all_rows,
    conditions.with_and_without,
    conditions.reached,
    conditions.in_so_many,
    conditions.spelt,
    conditions.flagged,
    conditions.aged,
    conditions.beside_average,
    texts.blank,
    texts.containing,
    texts.but_not_containing,
    steps.pivot,
    conditions.compared,
    times.in_years,
    times.on_dates,
    times.in_months,
    conditions.valued,
    conditions.alternative,
    steps.in_percent,
    steps.share,
    steps.running,
    steps.change,
    quality.missing,
    quality.paired,
    quality.distinct,
    drawing.series,
    drawing.crossed,
    periods.per_period,
    counting.grouped_by,
    counting.rows_counted,
    counting.percentiles,
    counting.how_much,
    counting.extreme_date,
    _correlation,
    drawing.distribution,
    drawing.bins,
    drawing.over_time,
    superlatives.sorted_by,
    _describe,
    _verbs,
    drawing.kind,
    drawing.chart,
    counting.how_taken,
    filing.table_noun,
    counting.column_named,
)
