"""A plan against the question it was made for, both ways: what is said has to be done, what is done has to be said.

Small models misread; what they leave out or make up is found here, without another model. A failure means that the plan
is not carried out and names the word; a doubt is a sentence on top of the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.english import PATTERNS
from ipython_assistant.engine.models.plan.plan import COMPARISONS, NEGATED, ROWS, UNITS, days_of, is_number
from ipython_assistant.engine.models.safe_markdown import bold, escape, listed, quoted
from ipython_assistant.engine.models.table_profiles import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.plan.plan import Plan, RowFilter
    from ipython_assistant.engine.models.table_profiles import TableProfile

_OVER_TIME: Final = english.words("line plot running rolling change latest earliest high low head")
"""Terms that may be about time though no column of time is named."""
_COMPARING: Final = english.words("high low maximum minimum") | {*english.COMPARES, "by age"}
"""Terms that compare with a number or a date."""
_LEFT_OUT: Final = {"number": "use the number", "period": "use the date", "term": "heed"}


def unknown_words(mentions: Mentions, allowed: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences about the words that are not understood."""
    free = {english.word_stem(word) for name in allowed for word in re.findall(r"\w+", name)}
    words = [one.text for one in mentions.of("unknown") if english.word_stem(one.text) not in free]
    unknown = [quoted(word) for word in dict.fromkeys(words)]
    return (f"I do not know the word{'s' * (len(unknown) > 1)} {listed(unknown)}.",) if unknown else ()


def mostly_unknown(mentions: Mentions) -> bool:
    """Whether so few words are known that the question is hardly English: nothing can be checked then."""
    words = mentions.of("unknown", "glue", "term", "column", "value", "table")
    return len(words) > 3 and len(mentions.of("unknown")) * 2 > len(words)  # noqa: PLR2004 of a few words nothing is told


def compared(
    plan: Plan, mentions: Mentions, tables: Sequence[TableProfile], context: Mentions | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why a settled plan is refused, and its doubts, as Markdown; `context` is what a follow-up names in all."""
    checker = _Checker(plan, mentions, tables)
    said = _Checker(plan, context, tables) if context else checker
    names = [*checker.result_names, *(new.name for new in plan.new_columns)]
    failures = [*unknown_words(mentions, names), *checker.done(), *said.said()]
    return tuple(dict.fromkeys(failures)), tuple(dict.fromkeys(checker.doubts()))


class _Checker:
    def __init__(self, plan: Plan, mentions: Mentions, tables: Sequence[TableProfile]) -> None:
        self.plan = plan
        self.mentions = mentions
        self.tables = tables
        self.columns = columns_of(tables)
        self.used = set(plan.used()) | set(plan.on or ())
        self.named = {column for one in mentions.found for column in one.columns}
        self.named |= {new.name for new in plan.new_columns}
        self.bound = english.bound_numbers(mentions, list(self.columns.values()))
        self.implied = {names[0]: one.text for one, names in self.bound.items() if len(names) == 1}
        """Columns that are not named and have to be meant: the age of `patients over 65`."""
        self.ops = Counter(one.op for one in plan.all_filters)
        self.has = self._facts()
        calculates = plan.new_columns or self.has["takes"] & {"ratio", "percent that fit"}
        self.result_names = english.result_names(mentions) if calculates else ()

    def _facts(self) -> dict[str, set[str]]:
        """What the plan does, in the words of `english.NEEDS`."""
        plan, names = self.plan, " ".join(self.plan.used()).lower()
        takes, new = {one.aggregate for one in plan.measures}, {one.op for one in plan.new_columns}
        for one in plan.measures:
            column = self.columns.get(one.column)
            adds_up = one.aggregate == "sum" and column is not None and column.whole and not column.rate
            takes |= {"rows"} if one.column == ROWS else {"sum of whole numbers"} if adds_up else set()
        divides = bool(takes & {"ratio", "percent that fit", "weighted mean"}) or "/" in new
        divides = divides or any(word in names for word in ("%", "percent", "pct", "rate"))
        order = "" if plan.order is None else "down" if plan.order.descending else "up"
        either = plan.either or not self.ops or any(len(each.values) > 1 for each in plan.all_filters)
        facts: dict[str, object] = {
            "drawn": plan.drawn, "divides": divides, "either": either, "joined": plan.on or len(self.tables) == 1,
            "several filters": len(plan.filters) > 1, "limited": plan.limit,
        }  # fmt: skip
        # A unit may also be what the rows are, what a column counts, or the one year of all dates.
        times = [column for column in self.columns.values() if column.in_time]
        units = {key.unit for key in plan.all_keys} | {unit for unit in UNITS if unit in names}
        units |= {grain for column in self.columns.values() for grain in (column.grain, column.kind)}
        years = {str(end)[:4] for column in times for end in (column.low, column.high)}
        units |= {"year"} if len(years) == 1 else set()
        values: list[object] = [value for each in plan.all_filters for value in each.values]
        values += [side for one in plan.new_columns for side in (one.name, one.left, one.right)]
        values += [plan.limit, plan.window, *(measure.per for measure in plan.measures)]
        texts = set(map(str, values))
        return {
            "output": {plan.output}, "takes": takes, "then": {plan.then}, "new": new, "chooses": set(self.ops),
            "order": {order, f"{order} limited" if plan.limit else ""}, "name": set(re.findall(r"[a-z]+", names)),
            "unit": units, "value": texts,
            "number": {f"{float(text):g}" for text in texts if is_number(text)},
            "is": {fact for fact, holds in facts.items() if holds},
        }  # fmt: skip

    # ---- what is said is done

    def done(self) -> Iterator[str]:
        """What the question names and the plan leaves out."""
        heeded = {"column": self._has_column, "term": self._has_term}
        heeded |= dict.fromkeys(("period", "string", "number"), self._has_value)
        for one in self.mentions.found:
            if one.kind == "value":
                yield from self._value(one)
            elif one.kind in heeded and not heeded[one.kind](one):
                yield f"I did not {_LEFT_OUT.get(one.kind, 'use')} {quoted(one.text.strip(chr(34) + chr(39)))}."
        done = {*self.has["new"], "-", *("/" for _ in self.has["is"] & {"divides"})}  # a dash is no minus
        yield from (f"I did not heed {quoted(sign)}." for sign in english.signs_said(self.mentions) if sign not in done)
        for name in english.columns_set_apart(self.mentions):
            if name not in {key.column for key in self.plan.all_keys}:
                yield f"The question compares values of {bold(name)}: each has to be a group."
        terms = self.mentions.terms - {"plot", "or", "not", "high", "low"}
        asked = terms or PATTERNS["shown"].search(self.mentions.text)
        things = self.mentions.of("column", "value", "string", "period", "file")
        if not (asked or things or self.mentions.ending):
            yield "I do not see what is asked for: name a column, or what to calculate."

    def _has_column(self, one: Mention) -> bool:
        plan = self.plan
        if self.used & set(one.columns) or english.pooled_columns(self.mentions) & set(one.columns):
            return True
        if english.grouped_columns(self.mentions) & set(one.columns):
            return plan.output == "table" and not plan.measures and not plan.columns
        if one.text.lower().endswith("s") and all(self.columns[name].unique for name in one.columns):
            return True  # `districts with a hospital`: each row is one
        if plan.columns or plan.measures:
            return False
        lists_rows = plan.output == "table" and any(self.columns[name].kind != "yes/no" for name in one.columns)
        return lists_rows or plan.output in {"describe", "missing", "duplicates", "without duplicates"}

    def _value(self, one: Mention) -> Iterator[str]:
        filters = []
        for each in self.plan.all_filters:
            values = {one.text, *one.values[one.columns.index(each.column)]} if each.column in one.columns else set()
            if values and (each.op == "is" or values & set(map(str, each.values))):
                filters.append(each)
        if not filters:
            yield f"I did not use {quoted(one.text)}."
        elif all(each.op != "is" for each in filters):
            negated = all(each.op in NEGATED for each in filters)
            if negated != english.is_excluded(self.mentions, one.start):
                yield f"I am not sure whether {quoted(one.text)} is wanted or left out."

    def _has_value(self, one: Mention) -> bool:
        plan, text = self.plan, one.text.lower()
        pair = 2 in (len(plan.measures), len(plan.all_keys), len(plan.tables))  # noqa: PLR2004 two
        if one.kind == "number" and (text == "one" or (text == "two" and pair)):
            return True
        wanted = one.values[0][0] if one.kind == "period" else one.text.strip("\"'“”`")
        return wanted in self.has["value"] or any(f"{number:g}" in self.has["number"] for number in one.numbers)

    def _has_term(self, one: Mention) -> bool:
        term, terms = one.term, self.mentions.terms
        if term in english.COMPARES:
            wanted = {*english.COMPARES[term], *({"between"} if {"between", "since", "until"} & terms else ())}
            made = sum(self.ops[op] for op in wanted) >= sum(other.term == term for other in self.mentions.found)
            left_out = english.is_excluded(self.mentions, one.start)  # what is compared is not turned round
            return (made and not left_out) or (term == "since" and bool(self.plan.then))
        if term == "not":
            groups = [self.columns[key.column].kind for key in self.plan.all_keys if key.column in self.columns]
            out = [each.op in {*NEGATED, "is missing"} or each.values == ("no",) for each in self.plan.all_filters]
            return any(out) or "yes/no" in groups  # `with and without`: both are groups
        if term == "per number":
            return any(measure.per in one.numbers for measure in self.plan.measures)
        if one.text.lower() in {"line", "one line"} and not self.plan.drawn:
            return True
        needs = english.NEEDS.get(term, [("unit", {term})] if term in UNITS else None)
        return needs is None or any(self.has[what] & several for what, several in needs)

    # ---- what is done is said

    def said(self) -> Iterator[str]:
        """What the plan does and the question does not say."""
        plan, in_time = self.plan, bool(self.mentions.periods) or not _OVER_TIME.isdisjoint(self.mentions.terms)
        named = {*self.named, *self.implied}
        named |= {column.name for column in self.columns.values() if column.in_time and in_time}
        named |= {key.column for key in plan.all_keys if key.unit}
        for each in plan.all_filters:
            yield from self._possible(each)
            if each.op in COMPARISONS and not _COMPARING & self.mentions.terms:
                yield f"The question does not compare {bold(each.column)} with a number or date, but the plan does."
            for one, names in self.bound.items():
                if each.column in self.columns and each.column not in names and one.numbers[0] in each.values:
                    yield f"The question does not compare {bold(each.column)} with {quoted(one.text)}."
        yield from (f"The question does not name {bold(name)}." for name in plan.used() if name not in named)
        yield from self._meaningless()

    def _meaningless(self) -> Iterator[str]:
        """What could be calculated and would mean nothing, and columns that are not certain."""
        plan = self.plan
        for measure in plan.measures:
            column = self.columns.get(measure.column)
            if measure.aggregate == "sum" and column and column.rate and not plan.drawn:
                yield f"{bold(column.name)} is a rate: adding it up means nothing. Ask for its mean."
        if (plan.limit or plan.order) and plan.measures and not plan.keys:
            yield "A single result cannot be ranked. Say which groups or rows are to be ranked."
        if plan.limit and not plan.order and "head" not in self.mentions.terms:
            yield f"The {plan.limit} largest or smallest of what? Name a column."
        uncertain = [one for one in self.columns.values() if one.name in self.used and one.doubt]
        yield from (f"In {bold(one.name)}, {escape(one.doubt, 300)}." for one in uncertain)

    def _possible(self, each: RowFilter) -> Iterator[str]:
        """Numbers and dates outside the column's. Raises `PlanError`: one is no date."""
        column = self.columns.get(each.column)
        if column is None or column.low == "" or each.op not in {"in", "==", "between"}:
            return
        low, high = column.low, column.high
        for value in each.values:
            if column.numeric:
                outside = each.op != "between" and not isinstance(value, str) and not float(low) <= value <= float(high)
            else:
                first, last = days_of(str(value)) if str(value)[:1].isdigit() else (str(low), str(high))
                outside = last < str(low) or first > str(high)
            if outside:
                ends = [f"{one:g}" if isinstance(one, float | int) else escape(one) for one in (low, high, value)]
                yield f"{bold(column.name)} runs from {ends[0]} to {ends[1]}: {ends[2]} is not in it."

    # ---- what the reader should know

    def doubts(self) -> Iterator[str]:
        """How the question was understood where it could be understood otherwise."""
        measured = {measure.column for measure in self.plan.measures}
        for one in self.mentions.of("column", "glue"):
            taken = [name for name in one.columns if name in (self.used if one.kind == "column" else measured)]
            if len(one.columns) > 1 and len(taken) == 1:
                others = [bold(name) for name in one.columns if name != taken[0]]
                yield f"I took {quoted(one.text)} as {bold(taken[0])}, not as {listed(others, 'or')}."
        for name, figure in self.implied.items():
            if name not in self.named:
                yield f"I took {figure} as {bold(name)}."
        names = self.result_names
        if names and not any(name in new.name for name in names for new in self.plan.new_columns):
            yield f"I took {listed([quoted(name) for name in names])} as the name of what is calculated."
