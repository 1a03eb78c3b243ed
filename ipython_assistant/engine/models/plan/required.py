"""What a plan must have for each term of the question: `median` a median, `excluding` a filter that leaves out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, NEGATED, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.plan.plan import Plan
    from ipython_assistant.engine.models.plan.tables import Column

_NEGATIONS: Final = re.compile(
    r"\b(?:not|no|don'?t|doesn'?t|didn'?t|isn'?t|aren'?t|without|except|excluding|exclude|leav(?:e|ing) out|"
    r"other than|apart from|nor|ignor(?:e|ing)|skip(?:ping)?|omit(?:ting)?|drop(?:ping)?|remov(?:e|ing))\b"
)
_CLAUSES: Final = re.compile(
    r"[.;:!?\n]|\bonly\b|\bfor\b|\bbut\b(?! not| no)|,(?! *(?:and|or|except|excluding|without|not)\b)"
)
_TURNED: Final = {
    "<": ">=", "<=": ">", ">": "<=", ">=": "<", "before": "since", "after": "until", "since": "before",
    "until": "after",
}  # fmt: skip
_COMPARISON_WORDS: Final = re.compile(r"\s*(?:a |any |the )?(?:more|less|fewer|older|younger|later|earlier)\b")


def is_excluded(mentions: Mentions, at: int) -> bool:
    """Whether a word such as `excluding` stands before a place of the question, in the same clause."""
    return _NEGATIONS.search(_CLAUSES.split(mentions.prompt.lower()[:at])[-1]) is not None


@dataclass(frozen=True)
class Facts:
    """What a plan does, as terms ask for it."""

    plan: Plan
    mentions: Mentions
    columns: Mapping[str, Column]

    @cached_property
    def ops(self) -> Counter[str]:
        """How rows and groups are chosen, and how often each way."""
        kept = [self.plan.keep_groups[0]] if self.plan.keep_groups else []
        return Counter([*(one.op for one in self.plan.all_filters), *kept])

    @cached_property
    def new(self) -> frozenset[str]:
        """How new columns are calculated."""
        return frozenset(one.op for one in self.plan.new_columns)

    @cached_property
    def names(self) -> str:
        """The names of all columns it uses, in lower case."""
        return " ".join(self.plan.used()).lower()

    @property
    def up(self) -> bool:
        """The smallest come first."""
        return self.plan.order is not None and not self.plan.order.descending

    @property
    def down(self) -> bool:
        """The largest come first."""
        return self.plan.order is not None and self.plan.order.descending

    def takes(self, *aggregates: str) -> bool:
        """Whether it takes one of these aggregates."""
        return any(measure.aggregate in aggregates for measure in self.plan.measures)

    def draws(self, *outputs: str) -> bool:
        """Whether its outcome is one of these."""
        return self.plan.output in outputs

    def goes_on(self, *then: str) -> bool:
        """Whether one of these follows the calculation."""
        return self.plan.then in then

    def chooses(self, *ops: str) -> bool:
        """Whether rows are chosen in one of these ways."""
        return any(self.ops[op] for op in ops)

    def compares(self, one: Mention, *ops: str) -> bool:
        """Whether as many comparisons are made as the term asks for; those that are left out are turned round."""
        excluded = is_excluded(self.mentions, one.start)
        wanted = {_TURNED[op] for op in ops if op in _TURNED} if excluded else {*ops, "between"}
        asked = sum(other.term == one.term for other in self.mentions.found)
        return sum(self.ops[op] for op in wanted) >= asked

    def adds_up(self) -> bool:
        """Whether something is added up where the question does not say how."""
        open_ones = [self.columns.get(one.column) for one in self.plan.measures if one.aggregate in {AS_IT_IS, "sum"}]
        return any(column is not None and column.whole and not column.rate for column in open_ones)

    def divides(self) -> bool:
        """Whether something is a share or a rate, or a column that holds one is used."""
        named = any(word in self.names for word in ("%", "percent", "pct", "rate"))
        return named or self.takes("ratio", "percent that fit", "weighted mean") or bool(self.new & {"/", "% of"})

    def leaves_out(self, one: Mention) -> bool:
        """Whether a negation is heeded."""
        if any(each.op in {*NEGATED, "is missing"} or each.values == ("no",) for each in self.plan.all_filters):
            return True
        if self.draws("without duplicates") or _COMPARISON_WORDS.match(self.mentions.prompt.lower()[one.end :]):
            return True  # `not more than` is a comparison of its own
        turned = self.ops.keys() & _TURNED.keys()
        compared = {"before", "after", "comparison more", "comparison less"} & self.mentions.terms
        kinds = {self.columns[key.column].kind for key in self.plan.all_keys if key.column in self.columns}
        return bool(turned and compared) or "yes/no" in kinds  # `with and without`: both are groups

    def groups_by(self, unit: str, one: Mention) -> bool:
        """Whether dates are put together so; or the unit says what the rows are, or what a column counts."""
        plan = self.plan
        known = [self.columns[key.column] for key in plan.all_keys if key.column in self.columns]
        if any(key.unit == unit for key in plan.all_keys) or set(plan.used()) & set(one.columns):
            return True
        if any(unit in {column.grain, column.kind} for column in known):
            return True
        rows_are = unit in {column.grain for column in self.columns.values()}
        ranked = plan.order is not None and (bool(plan.keys) or not plan.measures)
        counted = any(measure.column == ROWS for measure in plan.measures) or self.takes("count distinct")
        return (rows_are and (ranked or counted)) or unit in self.names or (unit == "day" and "days since" in self.new)


def has_term(facts: Facts, one: Mention) -> bool:
    """Whether a plan has what a term asks for."""
    if one.term in english.UNIT_TERMS:
        return facts.groups_by(one.term, one)
    test = _REQUIRED.get(one.term)
    return test is None or test(facts, one)


_REQUIRED: Final[Mapping[str, Callable[[Facts, Mention], bool]]] = {
    "stacked": lambda f, _: f.draws("stacked bar"),
    "heatmap": lambda f, _: f.draws("heatmap", "correlation heatmap"),
    "histogram": lambda f, _: f.draws("histogram"),
    "box": lambda f, _: f.draws("box"),
    "scatter": lambda f, _: f.draws("scatter"),
    "pie": lambda f, _: f.draws("pie"),
    "horizontal": lambda f, _: f.draws("horizontal bar"),
    "bar": lambda f, _: f.draws("bar", "stacked bar", "horizontal bar"),
    "line": lambda f, one: f.draws("line") or (not f.plan.drawn and one.text.lower() in {"line", "one line"}),
    "plot": lambda f, _: f.plan.drawn,
    "describe": lambda f, one: f.draws("describe") or one.text.lower().startswith("statistic"),
    "dedupe": lambda f, _: f.draws("without duplicates"),
    "duplicates": lambda f, _: f.draws("duplicates", "without duplicates") or f.takes("count distinct"),
    "missing": lambda f, _: f.draws("missing") or f.chooses("is missing", "is not missing"),
    "distinct": lambda f, _: f.draws("distinct", "without duplicates") or f.takes("count distinct"),
    "correlation": lambda f, _: f.draws("correlation", "correlation heatmap"),
    "pivot": lambda f, one: f.draws("pivot", "heatmap") or one.text.lower() == "side by side",
    "join": lambda f, _: len(f.plan.tables) != 1,
    "running": lambda f, _: f.goes_on("running total"),
    "rolling": lambda f, _: f.goes_on("rolling mean"),
    "change": lambda f, _: f.goes_on("difference", "percent change"),
    "rank": lambda f, _: f.goes_on("rank") or f.up or f.down,
    "count distinct": lambda f, _: f.takes("count distinct"),
    "count": lambda f, _: (
        f.takes("count", "count distinct", "percent that fit")
        or f.draws("missing", "duplicates", "histogram")
        or any(one.column == ROWS for one in f.plan.measures)
        or f.adds_up()
    ),
    "weighted": lambda f, _: f.takes("weighted mean"),
    "mean": lambda f, _: f.takes("mean", "weighted mean") or f.goes_on("rolling mean") or "mean" in f.names,
    "median": lambda f, _: f.takes("median") or "median" in f.names,
    "std": lambda f, _: f.takes("std"),
    "percentile": lambda f, _: any(one.percentile for one in f.plan.measures) or f.takes("median"),
    "sum": lambda f, _: (
        f.takes("sum", "count", "ratio", "percent that fit")
        or f.goes_on("running total", "percent of total")
        or (f.adds_up() and f.plan.drawn)
    ),
    "descending": lambda f, _: f.down,
    "ascending": lambda f, _: f.up,
    "sorted": lambda f, _: f.up or f.down,
    "comparison least": lambda f, one: f.compares(one, ">=", "since"),
    "comparison most": lambda f, one: f.compares(one, "<=", "until"),
    "comparison more": lambda f, one: f.compares(one, ">", "after"),
    "comparison less": lambda f, one: f.compares(one, "<", "before"),
    "between": lambda f, _: (
        f.chooses("between")
        or f.draws("correlation", "correlation heatmap", "scatter")
        or bool(f.new & {"-", "days since"})
        or f.goes_on("difference")
        or len(f.plan.filters) > 1
    ),
    "percent top": lambda f, _: f.plan.percent,
    "high": lambda f, _: f.down or f.takes("max") or f.chooses("<=", "<"),
    "low": lambda f, _: f.up or f.takes("min") or f.chooses(">=", ">"),
    "judged": lambda f, _: f.up or f.down,
    "head": lambda f, _: f.plan.limit > 0,
    "by age": lambda f, _: "age" in f.names,
    "per number": lambda f, one: any(measure.per in one.numbers for measure in f.plan.measures),
    "share": lambda f, _: f.divides() or f.goes_on("percent of total", "percent change") or f.plan.percent,
    "rate": lambda f, _: f.divides(),
    "days between": lambda f, _: "days since" in f.new or "days" in f.names,
    "product": lambda f, _: "*" in f.new,
    "minus": lambda f, _: "-" in f.new or f.goes_on("difference"),
    "plus": lambda f, _: "+" in f.new,
    "bands": lambda f, _: any(key.bands for key in f.plan.all_keys),
    "before": lambda f, one: f.compares(one, "before", "<"),
    "after": lambda f, one: f.compares(one, "after", ">"),
    "since": lambda f, one: f.compares(one, "since", ">=") or f.goes_on("difference", "percent change"),
    "until": lambda f, one: f.compares(one, "until", "<="),
    "latest": lambda f, _: any("latest" in one.values for one in f.plan.filters) or f.down,
    "earliest": lambda f, _: any("earliest" in one.values for one in f.plan.filters) or f.up,
    "starts": lambda f, _: f.chooses("starts with"),
    "ends": lambda f, _: f.chooses("ends with"),
    "contains": lambda f, _: any(isinstance(value, str) for one in f.plan.filters for value in one.values),
    "not": lambda f, one: f.leaves_out(one),
    "or": lambda f, _: f.plan.either or not f.ops or any(len(one.values) > 1 for one in f.plan.all_filters),
    "second": lambda _f, _: False,
}
