"""What a clause has been understood to say so far, and a way to look at its items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipython_assistant.engine.models.analyst.markdown import bold, listed, quoted
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Item, ValueMention, Word

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.analyst.plan import Condition, How, Measure, Top
    from ipython_assistant.engine.models.analyst.tables import Column, Table


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
        of_rows: Its rows are spoken of.
        everything: All rows, in so many words.
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
        where: Conditions a row must meet.
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
    of_rows: bool = False
    everything: bool = False
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
    where: list[Condition] = field(default_factory=list)
    leading: list[Condition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_over: list[Item] = field(default_factory=list)

    @property
    def acted(self) -> bool:
        """True once the clause has said what to do, or with what."""
        return bool(
            self.chart or self.describe or self.listing or self.saving or self.hows or self.measures or self.keys
        )

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

    def problem(self, sentence: str) -> None:
        """Why this cannot be done."""
        if sentence not in self.problems:
            self.problems.append(sentence)

    def note(self, sentence: str) -> None:
        """How something was read that could have been read otherwise."""
        if sentence not in self.notes:
            self.notes.append(sentence)


class Clause:
    """Items with a way to look at them that never runs over the end."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

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

    def column(self, index: int) -> ColumnMention | None:
        """The column mention there. A value that is called like a column is one too, where a column is looked for."""
        item = self.at(index)
        if isinstance(item, ValueMention) and item.column_too is not None:
            return ColumnMention(item.tokens, (item.column_too,))
        return item if isinstance(item, ColumnMention) else None
