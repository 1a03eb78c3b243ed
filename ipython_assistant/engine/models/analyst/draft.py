"""What a clause has been understood to say so far, and a way to look at its items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.lexing import plain_words, same_word
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Item, Place, ValueMention, Word
from ipython_assistant.engine.models.analyst.tables import ID_WORDS, Kind
from ipython_assistant.engine.models.analyst.vocabulary import PERSONS, ROW_NOUNS, VISITS
from ipython_assistant.engine.models.markdown import bold, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.analyst.plan import Condition, Having, How, Measure, Sort, Then, Top
    from ipython_assistant.engine.models.analyst.tables import Column, Formula, Table


@dataclass(slots=True)
class Draft:
    """What phrases have understood; an intent makes a task of it.

    Args:
        table: The table the clause is read against.
        chart: A chart is asked for.
        shape: `line` or `bar`, where it is said.
        over_time: The years or dates are the axis.
        describe: An overview is asked for.
        listing: Rows or columns are to be listed or kept.
        saving: Something is to be saved.
        outcome: What the clause before made is to be saved.
        name: The file name that is asked for.
        as_table: CSV is asked for, without a name.
        of_table: The table, its data or its rows are spoken of as such.
        place: It is spoken of by its own name.
        of_rows: Its rows are spoken of.
        everything: All rows, in so many words.
        known_only: What is missing is to be left out of what is calculated.
        so_many: Groups are those with so many months or days.
        any_time: A condition has to hold in any month or day: rows are looked at one by one.
        all_columns: Every column, in so many words.
        overall: A rate is that of all rows together.
        top: Only so many of the largest or smallest.
        hows: Ways to take a column that no column has followed yet, or the last ones used.
        hows_used: A column has followed.
        totals: The word "total" was used: of shares it may mean something else than their sum.
        measures: What is drawn, calculated or listed.
        measure_end: The index after the last measure.
        ranking: What the top is taken by.
        keys: What rows are grouped by, or the axis.
        over_key: A key was named with "over", which means an axis, or all its values taken together.
        versus: Two columns or values are set against each other.
        series: What makes one line each.
        pivot: One key as rows and another as columns.
        wide: What makes one column each.
        adverb: Groups were asked for as "monthly", which an average of may mean something else.
        then: What is done with the numbers of groups.
        having: Conditions on groups.
        top_rows: The top is one of rows.
        top_of: The column whose groups the top is of.
        compare: Values are to be compared.
        decimals: Numbers are to be rounded to so many.
        sort: In what order.
        sorted_by: By what figure, where it is one and not only a column.
        conditions_at: After how many measures each condition was said.
        keys_at: After how many measures each key was said.
        judged: "best" or "worst" instead of a direction; which one it is depends on the column.
        spread: `hist` or `box`.
        distribution: How values are distributed is asked for.
        bins: Of the histogram.
        scatter: A scatter chart is asked for.
        correlation: How columns go together is asked for.
        missing: What is missing is asked for.
        duplicates: `all`, `first` or `count`, where rows that repeat are asked for.
        distinct: The different values are asked for.
        first: Only so many rows from the beginning; from the end if negative.
        base: What share of rows is asked for, and the first condition says of which.
        proportion: What share of rows meets the conditions is asked for.
        rows_shared: A share of rows was asked for without saying which: one for each group.
        amount: The share is that of its total instead.
        added: Columns to be calculated.
        left_out: Columns not to be written.
        joined: Tables were to be put together in so many words: `left`, `inner`, or `?` where it was not said how.
        ending: A file of this kind is asked for, without a name.
        where: Conditions a row must meet.
        where_start: Where the last of them began.
        where_end: The index after it.
        leading: Those said before anything else in the clause.
        notes: How something was read that could have been read otherwise, as Markdown.
        problems: Why this cannot be done, as Markdown.
        left_over: Items no phrase took.
    """

    table: Table
    chart: bool = False
    shape: str = ""
    over_time: bool = False
    describe: bool = False
    listing: bool = False
    saving: bool = False
    outcome: bool = False
    name: str = ""
    as_table: bool = False
    of_table: bool = False
    place: bool = False
    of_rows: bool = False
    everything: bool = False
    overall: bool = False
    so_many: bool = False
    any_time: bool = False
    all_columns: bool = False
    known_only: bool = False
    top: Top | None = None
    hows: list[How] = field(default_factory=list)
    hows_used: bool = False
    totals: bool = False
    measures: list[Measure] = field(default_factory=list)
    measure_end: int = -1
    ranking: list[Measure] = field(default_factory=list)
    keys: list[Column] = field(default_factory=list)
    over_key: bool = False
    versus: bool = False
    series: list[Column] = field(default_factory=list)
    pivot: bool = False
    wide: Column | None = None
    adverb: bool = False
    then: Then | None = None
    having: list[Having] = field(default_factory=list)
    top_rows: bool = False
    top_of: Column | None = None
    compare: bool = False
    decimals: int = -1
    sort: Sort | None = None
    sorted_by: Measure | None = None
    conditions_at: list[int] = field(default_factory=list)
    keys_at: list[int] = field(default_factory=list)
    judged: str = ""
    spread: str = ""
    distribution: bool = False
    bins: int = 0
    scatter: bool = False
    correlation: bool = False
    missing: bool = False
    duplicates: str = ""
    distinct: bool = False
    first: int = 0
    base: bool = False
    proportion: bool = False
    rows_shared: bool = False
    amount: Column | None = None
    added: list[Column] = field(default_factory=list)
    left_out: list[Column] = field(default_factory=list)
    joined: str = ""
    ending: str = ""
    where: list[Condition] = field(default_factory=list)
    where_start: int = -1
    where_end: int = -1
    leading: list[Condition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_over: list[Item] = field(default_factory=list)

    @property
    def acted(self) -> bool:
        """True once the clause has said what to do, or with what."""
        return bool(
            self.chart or self.describe or self.listing or self.saving or self.hows or self.measures or self.keys
            or self.missing or self.duplicates or self.distinct or self.correlation or self.spread or self.top
            or self.added or self.proportion
        )  # fmt: skip

    @property
    def bare(self) -> bool:
        """True where nothing to calculate, to draw or to select was said: what was said is about what came before."""
        said = (
            self.measures, self.hows, self.keys, self.where, self.top, self.describe, self.everything, self.series,
            self.chart, self.missing, self.duplicates, self.distinct, self.correlation, self.spread, self.scatter,
            self.first, self.added, self.proportion, self.over_time, self.then, self.wide,
            self.left_out, self.pivot, self.having,
        )  # fmt: skip
        return not any(said)

    def column(self, mention: ColumnMention) -> Column:
        """The column that is meant; a mention that fits several is a problem."""
        if len(mention.choices) > 1:
            written = quoted(" ".join(token.text for token in mention.tokens))
            self.problem(f"{written} could be {listed([bold(column.name) for column in mention.choices], 'or')}.")
        for token in mention.tokens:
            if token.correction:
                self.note(f"{quoted(token.text)} was read as {bold(mention.choices[0].name)}.")
        return mention.choices[0]

    def require(self, condition: Condition) -> None:
        """A row must meet this too."""
        self.where.append(condition)
        if not self.acted:
            self.leading.append(condition)

    def follow(self, then: Then) -> None:
        """This is to be done with the numbers of groups; one thing at a time."""
        if self.then not in {None, then}:
            self.problem(f"A {self.then} and a {then} are asked for at once: ask for one of them.")
        self.then = then

    def problem(self, sentence: str) -> None:
        """Why this cannot be done."""
        if sentence not in self.problems:
            self.problems.append(sentence)

    def note(self, sentence: str) -> None:
        """How something was read that could have been read otherwise."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass(frozen=True, slots=True)
class Definition:
    """A column that a prompt defines, and the items that do so."""

    start: int
    end: int
    name: str
    formula: Formula


class Clause:
    """Items with a way to look at them that never runs over the end."""

    def __init__(self, items: Sequence[Item], table: Table | None = None) -> None:
        self.items = items
        self.columns = table.columns if table else ()
        words = {word for column in table.columns for word in plain_words(column.name)} if table else set()
        self.defined: tuple[Table, list[Definition]] | None = None
        """The columns it defines, once they were looked for, and with which table."""
        self.of_persons = not words.isdisjoint({"age", "sex", "gender"})
        self.one_each = table is None or VISITS.isdisjoint(plain_words(table.stem))

    def at(self, index: int) -> Item | None:
        """The item there, if there is one."""
        return self.items[index] if 0 <= index < len(self.items) else None

    def word(self, index: int) -> str:
        """The word there as it is compared; empty for anything but a word, sign or mark."""
        item = self.at(index)
        return item.norm if isinstance(item, Word) else ""

    def phrase(self, index: int, phrases: Collection[tuple[str, ...]]) -> tuple[str, ...]:
        """The longest of the phrases that stands there; empty if none does."""
        here = [phrase for phrase in phrases if all(self.word(index + i) == part for i, part in enumerate(phrase))]
        return max(here, key=len, default=())

    def past(self, index: int, words: Collection[str]) -> int:
        """The first index from there whose word is none of these."""
        while self.word(index) and self.word(index) in words:
            index += 1
        return index

    def back(self, index: int, words: Collection[str]) -> int:
        """The first index from there, backwards, whose word is none of these."""
        while self.word(index) and self.word(index) in words:
            index -= 1
        return index

    def rows(self, index: int) -> bool:
        """True for `rows`, the table's own name, and what numbers its rows: the patients of `patient_id`."""
        item = self.at(index)
        if isinstance(item, Place):
            return not item.looked_up
        if isinstance(item, ColumnMention):
            last = item.tokens[-1].norm
            spoken = plain_words(item.choices[0].name)
            named = any(same_word(last, word) for word in ID_WORDS)  # "case ids" are the column, "cases" the rows
            plural = last not in spoken and any(same_word(last, word) for word in spoken)
            several = plural and item.choices[0].unique and item.choices[0].kind is Kind.TEXT  # a row for each district
            return len(item.choices) == 1 and not named and (item.choices[0].numbers_rows or several)
        return self.word(index) in ROW_NOUNS or self.persons(index)

    def persons(self, index: int) -> bool:
        """True for `people` and `patients` where the table is one of persons: it has their age or sex."""
        return self.of_persons and self.word(index) in PERSONS

    def column(self, index: int) -> ColumnMention | None:
        """The column mention there. A value that is called like a column is one too, where a column is looked for."""
        item = self.at(index)
        if isinstance(item, ValueMention) and item.column_too is not None:
            return ColumnMention(item.tokens, (item.column_too,))
        return item if isinstance(item, ColumnMention) else None
