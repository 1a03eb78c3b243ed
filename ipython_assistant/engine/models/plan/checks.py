"""A plan against the question it was made for, both ways: what is said has to be done, what is done has to be said.

Small models misread; what they leave out or make up is found here, without another model. A failure means that the plan
is not carried out and names the word; a doubt is a sentence on top of the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.conditions import days_of
from ipython_assistant.engine.models.plan.plan import NEGATED, ROWS, Filter, Plan, PlanError
from ipython_assistant.engine.models.plan.required import Facts, has_term, is_excluded
from ipython_assistant.engine.models.plan.schema import bound_numbers
from ipython_assistant.engine.models.safe_markdown import bold, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.plan.tables import Column, TableProfile


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found between a question and its plan.

    Attributes:
        failures: Why the plan is not carried out, each a Markdown sentence; none if it may be.
        doubts: What the reader should know how it was understood, each a Markdown sentence.
    """

    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def unknown_words(mentions: Mentions, allowed: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences about the words that are not understood."""
    free = {english.stem(word) for name in allowed for word in re.findall(r"\w+", name)}
    words = [word for word in mentions.unknown if english.stem(word) not in free]
    return (f"I do not know the word {listed([quoted(word) for word in dict.fromkeys(words)])}.",) if words else ()


def mostly_unknown(mentions: Mentions) -> bool:
    """Whether so few words are known that the question is hardly English: nothing can be checked then."""
    words = [one for one in mentions.found if one.kind in {"unknown", "glue", "term", "column", "value", "table"}]
    return len(words) > 3 and len(mentions.unknown) * 2 > len(words)  # noqa: PLR2004 of a few words nothing is told


def check(plan: Plan, mentions: Mentions, tables: Sequence[TableProfile], context: Mentions | None = None) -> Verdict:
    """Compare a plan with its question.

    Args:
        plan: As it was read: its values are words of the question.
        mentions: What the question names: all of it has to be done.
        tables: The tables it is about.
        context: What it and the question before it name: nothing else may be done. None where it follows none.
    """
    checker = _Checker(plan, mentions, tables)
    said = _Checker(plan, context, tables).said() if context else checker.said()
    failures = [*unknown_words(mentions, [new.name for new in plan.new_columns]), *checker.done(), *said]
    return Verdict(tuple(dict.fromkeys(failures)), tuple(dict.fromkeys(checker.doubts())))


class _Checker:
    def __init__(self, plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> None:
        self.plan = plan
        self.mentions = mentions
        self.columns: dict[str, Column] = {}
        for table in tables:
            for column in table.columns:
                self.columns.setdefault(column.name, column)
        self.tables = tables
        self.used = set(plan.used()) | set(plan.on or ())
        self.whole = plan.output in {"describe", "missing", "duplicates", "without duplicates"} and not plan.columns
        self.lists_rows = plan.output == "table" and not plan.measures
        self.text = mentions.prompt.lower()
        self.facts = Facts(plan, mentions, self.columns)

    # ---- what is said is done

    def done(self) -> Iterator[str]:
        """What the question names and the plan leaves out."""
        for one in self.mentions.found:
            match one.kind:
                case "column" if not self._has_column(one) and not (one.term and self._has_term(one)):
                    yield f"I did not use {quoted(one.text)}."
                case "value":
                    yield from self._value(one)
                case "number" | "bands" if not self._has_number(one):
                    yield f"I did not use the number {quoted(one.text)}."
                case "period" if not self._has_period(one):
                    yield f"I did not use the date {quoted(one.text)}."
                case "string" if not self._has_text(one):
                    yield f"I did not use {quoted(one.text.strip(chr(34) + chr(39)))}."
                case "term" if not self._has_term(one):
                    yield f"I did not heed {quoted(one.text)}."
        if not self._anything():
            yield "I do not see what is asked for: name a column, or what to calculate."

    def _has_column(self, one: Mention) -> bool:
        if self.used & set(one.columns) or self.whole:
            return True
        shown = [self.columns[name] for name in one.columns]
        return self.lists_rows and not self.plan.columns and any(column.kind != "yes/no" for column in shown)

    def _value(self, one: Mention) -> Iterator[str]:
        filters = [each for each in self.plan.all_filters if self._holds(each, one)]
        if filters:
            negated = all(each.op in NEGATED or (each.op == "is" and each.values == ("no",)) for each in filters)
            if negated != is_excluded(self.mentions, one.start) and not any(each.op == "is" for each in filters):
                yield f"I am not sure whether {quoted(one.text)} is wanted or left out."
            return
        keys = {key.column for key in self.plan.all_keys}
        for name in keys.intersection(one.columns):
            named = {value for values in self.mentions.values_of(name).values() for value in values}
            if named >= set(self.columns[name].values):
                return  # each of its values is named, and each is a group
        yield f"I did not use {quoted(one.text)}."

    def _holds(self, each: Filter, one: Mention) -> bool:
        if each.column not in one.columns:
            return False
        values = set(one.values[one.columns.index(each.column)])
        return one.text in each.values or each.op == "is" or bool(values & set(map(str, each.values)))

    def _has_number(self, one: Mention) -> bool:
        figures = self._figures()
        if one.kind == "bands":
            return any(key.bands for key in self.plan.all_keys) or one.text.rstrip("+") in figures
        if one.text.lower() == "one" or (one.text.lower() == "two" and self._pair()):
            return True
        return any(f"{number:g}" in figures for number in one.numbers) or self._has_text(one)

    def _pair(self) -> bool:
        """Whether `two` may stand for something that there are two of."""
        return 2 in (len(self.plan.measures), len(self.plan.all_keys), len(self.plan.tables))  # noqa: PLR2004 two

    def _figures(self) -> set[str]:
        """Every number in the plan, as text."""
        plan = self.plan
        found: list[object] = [value for each in plan.all_filters for value in each.values]
        found += [part for new in plan.new_columns for part in (new.left, new.right)]
        found += [plan.limit, plan.bins, plan.window, *(plan.keep_groups or ())[1:]]
        found += [measure.percentile or measure.per for measure in plan.measures]
        return {f"{float(str(one)):g}" for one in found if re.fullmatch(r"-?\d+(\.\d+)?", str(one))}

    def _has_period(self, one: Mention) -> bool:
        values = {str(value) for each in self.plan.all_filters for value in each.values}
        return one.values[0][0] in values or any(f"{number:g}" in self._figures() for number in one.numbers)

    def _has_text(self, one: Mention) -> bool:
        wanted = one.text.strip("\"'“”`")
        named = {new.name for new in self.plan.new_columns}
        return wanted in named or any(wanted == str(value) for each in self.plan.all_filters for value in each.values)

    def _has_term(self, one: Mention) -> bool:
        return has_term(self.facts, one)

    def _anything(self) -> bool:
        """Whether the question says what to do at all: not only `compare the two`."""
        if any(one.kind in {"column", "value", "string", "period", "file"} for one in self.mentions.found):
            return True
        if self.mentions.terms - {"plot", "or", "not", "high", "low"} or _SHOW.search(self.text):
            return True
        return self.mentions.asks_format

    # ---- what is done is said

    def said(self) -> Iterator[str]:
        """What the plan does and the question does not say."""
        named = {column for one in self.mentions.found for column in one.columns}
        named |= {new.name for new in self.plan.new_columns}
        in_time = bool(self.mentions.periods) or not _OVER_TIME.isdisjoint(self.mentions.terms)
        bound = bound_numbers(self.mentions, list(self.columns.values()))
        for each in self.plan.all_filters:
            yield from self._possible(each)
            for one, names in bound.items():
                of_others = each.column not in names and one.numbers[0] in each.values
                if of_others and not any(other is not one and other.numbers == one.numbers for other in bound):
                    yield f"{quoted(one.text)} is not said of {bold(each.column)}."
            if each.column not in named and not (in_time and self._timed(each.column)) and not self._by_age(each):
                yield f"The question does not name {bold(each.column)}."
        for key in self.plan.all_keys:
            if key.column not in named and not key.unit and not (in_time and self._timed(key.column)):
                yield f"The question does not say “by {key.column}”."
        for name in (name for one in self.plan.measures for name in (one.column, one.by) if name not in {"", ROWS}):
            if name not in named:
                yield f"The question does not name {bold(name)}."
        yield from self._meaningless()

    def _meaningless(self) -> Iterator[str]:
        """What could be calculated and would mean nothing, and columns that are not certain."""
        for measure in self.plan.measures:
            column = self.columns.get(measure.column)
            if measure.aggregate == "sum" and column and column.rate and not self.plan.drawn:
                yield f"{bold(column.name)} is a rate: adding it up means nothing. Ask for its mean."
        if self.plan.limit and not self.plan.order and "head" not in self.mentions.terms:
            yield f"The {self.plan.limit} largest or smallest of what? Name a column."
        for column in self.columns.values():
            if column.name in self.used and column.doubt:
                yield f"In {bold(column.name)}, {column.doubt}."
        for one in self.mentions.of("column"):
            for table in self.tables if one.certain else ():
                same = [bold(name) for name in one.columns if table.find(name)]
                if len(same) > 1:
                    yield f"There are two columns that {quoted(one.text)} may be: {listed(same)}."

    def _possible(self, each: Filter) -> Iterator[str]:
        column = self.columns.get(each.column)
        if column is None or column.kind != "date" or not column.low:
            return
        for value in map(str, each.values):
            if value[:1].isdigit():
                try:
                    first, last = days_of(value)
                except PlanError as error:
                    yield str(error)
                    continue
                if each.op in {"in", "between"} and (last < str(column.low) or first > str(column.high)):
                    yield f"{bold(column.name)} runs from {column.low} to {column.high}: {value} is not in it."

    def _by_age(self, each: Filter) -> bool:
        return "age" in english.words_of(each.column) and bool(each.values) and not isinstance(each.values[0], str)

    def _timed(self, name: str) -> bool:
        column = self.columns.get(name)
        return column is not None and column.kind in {"date", "year"}

    # ---- what the reader should know

    def doubts(self) -> Iterator[str]:
        """How the question was understood where it could be understood otherwise."""
        for one in self.mentions.of("column", "glue"):
            taken = [name for name in one.columns if name in self.used]
            if len(one.columns) > 1 and len(taken) == 1 and not self._elsewhere(one, taken[0]):
                others = [bold(name) for name in one.columns if name != taken[0]]
                yield f"I took {quoted(one.text)} as {bold(taken[0])}, not as {listed(others, 'or')}."
        named = {column for one in self.mentions.found for column in one.columns}
        for each in self.plan.all_filters:
            if each.column not in named and self._by_age(each):
                figures = listed([f"{value:g}" for value in each.values if not isinstance(value, str)])
                yield f"I took {figures} as {bold(each.column)}."
        if "judged" in self.mentions.terms and self.plan.order:
            word = "best" if "best" in self.text else "worst"
            yield f"I took the {'highest' if self.plan.order.descending else 'lowest'} as the {word}."

    def _elsewhere(self, one: Mention, name: str) -> bool:
        """Whether another word of the question says more certainly that this column is meant."""
        return any(other is not one and other.columns == (name,) for other in self.mentions.found)


_SHOW: Final = re.compile(r"\b(?:show|list|rows|print|display|all|save|file)\b")
_OVER_TIME: Final = english.words("line plot running rolling change latest earliest high low judged head")
"""Terms that may be about time though no column of time is named."""
