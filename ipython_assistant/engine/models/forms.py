"""Reads one sentence in one of the documented forms into a plan, without a model.

A sentence is read from left to right: what is wanted, then per what, then of which rows. Its words have been looked up
before (`plan.mentions`), and the plan is checked against them afterwards (`plan.checks`): here only places are told
apart, and a sentence whose words stand in other places is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.plan import (
    AS_IT_IS,
    CHARTS,
    OF_COLUMNS,
    Filter,
    Key,
    Measure,
    Order,
    Plan,
    PlanError,
)
from ipython_assistant.engine.models.plan.required import is_excluded
from ipython_assistant.engine.models.plan.schema import MAX_LISTED, axes_of, calculates, outputs_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention
    from ipython_assistant.engine.models.plan.reader import Question
    from ipython_assistant.engine.models.plan.tables import Column

_TERMS: Final = english.words(
    """
    sum mean median std count high low judged head ascending descending sorted plot line bar stacked horizontal pie
    histogram box scatter heatmap describe missing duplicates dedupe distinct correlation not between before after
    since until latest earliest year quarter month week weekday day hour
    """
) | {"comparison more", "comparison less", "comparison least", "comparison most", "count distinct"}
"""The terms of the forms; any other needs a model."""
_AGGREGATES: Final = {"sum": "sum", "mean": "mean", "median": "median", "std": "std", "high": "max", "low": "min"}
_OPS: Final = {"comparison more": ">", "comparison less": "<", "comparison least": ">=", "comparison most": "<="}
_DATE_OPS: Final = {
    "before": "before", "after": "after", "since": "since", "until": "until", "comparison more": "after",
    "comparison less": "before", "comparison most": "until", "comparison least": "since",
}  # fmt: skip
_YEAR_OPS: Final = {"before": "<", "after": ">", "since": ">=", "until": "<=", **_OPS}
_PLACES: Final = {
    "per": "keys", "each": "keys", "every": "keys", "across": "keys", "against": "against", "versus": "against",
    "vs": "against", "where": "where", "whose": "where", "when": "where", "with": "where",
}  # fmt: skip
"""Words after which another part of the sentence begins."""
_MARKERS: Final = re.compile(rf"\b(?:{'|'.join(_PLACES)}|by|over|for|in|at|from|of)\b")
_ROWS_WITHOUT: Final = re.compile(
    r"\b(?:rows?|where|with|whose|list|show me)\b.*\b(?:missing|blank|empty)\b|\bis (?:missing|blank|empty)\b"
)
_AXES: Final = frozenset({"line", "bar", "stacked bar", "horizontal bar", "pie"})


def plan_of(question: Question) -> Plan:
    """The plan of a sentence that is one of the forms.

    Raises:
        PlanError: It is none; the message says at what.
    """
    if why := _beyond(question):
        raise PlanError(why)
    return _Form(question).plan()


def _beyond(question: Question) -> str:
    """Why a sentence asks for more than a form can say; empty where it does not."""
    said, text = question.mentions, question.mentions.prompt.lower().strip()
    for one in said.of("term"):
        if one.term not in _TERMS:
            return f"The forms have nothing for “{one.text}”."
    for one in said.of("string", "bands"):
        return f"The forms do not look for {one.text}."
    if calculates(said):
        return "The forms calculate no new columns."
    if found := re.search(r"(?<=\w)\W+(which|who|when|why|what|how)\b", text):
        return f"A form asks for one thing: what is “{found[1]}” about?"
    for one in said.of("value"):
        if re.search(r"\b(?:vs\.?|versus|against|compared (?:to|with))\W*$", text[: one.start]):
            return f"To compare, write “per …”: “{one.text}” is one value."
    return ""


class _Form:
    def __init__(self, question: Question) -> None:
        self.said = question.mentions
        self.text = self.said.prompt.lower()
        self.table = question.tables[0]
        self.output = self._output(outputs_for(self.said, question.files))
        self.place = "head"
        self.compared = ""
        """The column that the next number, or `is missing`, is about."""
        self.head: list[str] = []
        self.against: list[str] = []
        self.keys: list[Key] = []
        self.filters: list[Filter] = []
        self.measures: list[Measure] = []
        self.aggregates: list[str] = []
        self.order = ""
        self.limit = 0

    def _output(self, outputs: Sequence[str]) -> str:
        if "missing" in outputs:
            return "table" if _ROWS_WITHOUT.search(self.text) else "missing"
        return outputs[0]

    def plan(self) -> Plan:
        """The plan. Raises `PlanError`."""
        covered = [range(one.start, one.end) for one in self.said.found if one.kind != "glue"]
        tokens: list[tuple[int, Mention | str]] = [
            (match.start(), match[0])
            for match in _MARKERS.finditer(self.text)
            if not any(match.start() in place for place in covered)
        ]
        tokens += [(one.start, one) for one in self.said.found if one.kind not in {"glue", "file", "table"}]
        tokens.sort(key=lambda one: one[0])
        for at, (_, token) in enumerate(tokens):
            following = next((one for _, one in tokens[at + 1 :] if not isinstance(one, str)), None)
            if isinstance(token, str):
                self._marker(token, following)
            elif token.kind == "term":
                self._term(token)
            elif token.kind == "column":
                self._column(token, following)
            else:
                {"value": self._value, "period": self._period, "number": self._number}[token.kind](token)
        if self.compared:
            raise PlanError(f"**{self.compared}** is compared with nothing.")
        if tokens and isinstance(tokens[-1][1], str) and tokens[-1][1] not in {"of", "in", "for", "from", "at"}:
            raise PlanError(f"Nothing follows “{tokens[-1][1]}”.")
        return self._whole()

    # ---- words that give the sentence its form

    def _marker(self, word: str, following: Mention | None) -> None:
        if word in _PLACES:
            self.place = _PLACES[word]
        elif word == "by":
            self.place = "order" if self.place == "order" or self.limit else "keys"
        elif word == "over" and self.output in _AXES:
            self.place = "keys"
        elif word in {"for", "in", "at", "from", "of"} and following and following.kind in {"value", "period"}:
            self.place = "where"

    def _term(self, one: Mention) -> None:
        if one.term in {"high", "low"} and (self._counts() or self.place == "order" or self._asks_which(one)):
            self.order, self.place = "descending" if one.term == "high" else "ascending", "ranked"
            self.limit = self.limit or (self._counts() or [1])[0]
        elif one.term in _AGGREGATES:
            self.aggregates.append(_AGGREGATES[one.term])
            self.place = "head"
        elif one.term in {"ascending", "descending"}:
            self.order = one.term
        elif one.term == "sorted":
            self.order, self.place = "descending" if "descending" in self.said.terms else "ascending", "order"
        elif one.term == "count":
            self.measures.append(Measure("count"))
        elif one.term in english.UNIT_TERMS:
            if self.place != "keys" and not one.text.lower().endswith("ly"):
                raise PlanError(f"What is “{one.text}” about? Write “per {one.term}”.")
            self._add_key(Key(self._one_column("date", f"per {one.term}"), one.term))
        elif one.text.lower() == "over time":
            self._add_key(Key(self._one_column("date", one.text)))
        elif one.term == "missing" and self.place == "where" and self.compared:
            self.filters.append(Filter(self.compared, "is not missing" if "not" in self.said.terms else "is missing"))
            self.compared = ""

    def _asks_which(self, one: Mention) -> bool:
        """Whether `highest` asks for the group that has it: `which district has the highest …`."""
        asks = re.match(r"(?:which|who|where|what)\b", self.text.strip())
        return asks is not None or self.text[: one.start].rstrip().endswith((" with the", " with"))

    def _counts(self) -> list[int]:
        """Whole numbers that are compared with nothing: so many rows or groups."""
        found = []
        for one in self.said.of("number"):
            before = [other for other in self.said.found if other.end <= one.start and other.kind != "glue"]
            last = before[-1] if before else None
            if last is None or (last.kind != "column" and last.term not in {*_OPS, "between"}):
                found.append(one.numbers[0])
        return [int(number) for number in found if number == int(number) and 0 < number < MAX_LISTED]

    # ---- what is named

    def _column(self, one: Mention, following: Mention | None) -> None:
        here = [column for name in one.columns if (column := self.table.find(name))]
        if self.place in {"head", "order", "against"} and (self.aggregates or self.output in CHARTS or not one.certain):
            here = [column for column in here if column.numeric] or here
        if not here:
            raise PlanError(f"{self.table.name} has no “{one.text}”.")
        column = here[0]
        if column.kind == "yes/no" and self.place != "keys":
            if following is None or following.kind != "value" or column.name not in following.columns:
                self.filters.append(Filter(column.name, "is", ("no" if self._excluded(one) else "yes",)))
        elif self.place == "where":
            self.compared = column.name
        elif self.place == "keys":
            self._add_key(Key(column.name))
        else:
            (self.against if self.place == "against" else self.head).append(column.name)

    def _add_key(self, key: Key) -> None:
        self.keys = [other for other in self.keys if other.column != key.column or other.unit]
        if all(key.column != other.column or (key.unit and key.unit != other.unit) for other in self.keys):
            self.keys.append(key)

    def _one_column(self, kind: str, what: str) -> str:
        """The one column of time there is, or that is named. Raises `PlanError`."""
        kinds = {kind, "year"} if kind == "time" or what == "over time" else {kind}
        fitting = [column for column in self.table.columns if column.kind in kinds]
        named = [column for column in fitting if column.name in self.said.columns]
        if len(named or fitting) != 1:
            doubts = [f"In **{column.name}**, {column.doubt}." for column in self.table.columns if column.doubt]
            raise PlanError(f"Which column of dates is “{what}” about? {' '.join(doubts) or 'Name it.'}")
        return (named or fitting)[0].name

    def _excluded(self, one: Mention) -> bool:
        return is_excluded(self.said, one.start)

    def _value(self, one: Mention) -> None:
        columns = [name for name in one.columns if self.table.find(name)]
        if len(columns) > 1:
            said = {name for other in self.said.of("column") for name in other.columns}
            columns = [name for name in columns if name in said]
        if len(columns) != 1:
            raise PlanError(f"“{one.text}” is in several columns: name the one that is meant.")
        name, values = columns[0], one.values[one.columns.index(columns[0])]
        if self._known(name).kind == "yes/no":
            yes = any(value.lower() in {"yes", "y", "true"} for value in values)
            self.filters.append(Filter(name, "is", ("yes" if yes != self._excluded(one) else "no",)))
        else:
            self._add(name, "not in" if self._excluded(one) else "in", one.text)
        self.compared = "" if self.compared == name else self.compared

    def _period(self, one: Mention) -> None:
        named = [c.name for c in self.table.columns if c.kind in {"date", "year"} and c.name in self.said.columns]
        name = named[0] if len(named) == 1 else self._one_column("time", one.text)
        self.compared = "" if self.compared == name else self.compared
        year = self._known(name).kind == "year"
        if year and not one.numbers:
            raise PlanError(f"**{name}** holds years, and “{one.text}” is none.")
        value: str | float = one.numbers[0] if year else one.values[0][0]
        both = len(self.said.periods) > 1 and re.search(r"\bfrom\b.*\b(?:to|until|till|through)\b", self.text)
        if both or "between" in self.said.terms:
            self._add(name, "between", value)
            return
        term = self._term_before(one)
        plain = "!=" if year and self._excluded(one) else "==" if year else "not in" if self._excluded(one) else "in"
        self._add(name, (_YEAR_OPS if year else _DATE_OPS).get(term, plain), value)

    def _term_before(self, one: Mention) -> str:
        """The term right before a place, articles aside."""
        before = [other for other in self.said.of("term") if other.end <= one.start]
        between = self.text[before[-1].end : one.start].split() if before else ["-"]
        return before[-1].term if all(word in english.GLUE for word in between) else ""

    def _number(self, one: Mention) -> None:
        if self.compared and self._known(self.compared).numeric:
            term = self._term_before(one)
            op = "between" if "between" in self.said.terms else _OPS.get(term, "!=" if self._excluded(one) else "==")
            self._add(self.compared, op, one.numbers[0])
            several = op == "between" and sum(other.kind == "number" for other in self.said.found) > 1
            last = self.said.of("number")[-1] is one
            self.compared = self.compared if several and not last else ""
        elif one.numbers[0] in self._counts():
            self.limit = int(one.numbers[0])
        else:
            raise PlanError(f"What is the number “{one.text}” about? Write “where COLUMN is over {one.text}”.")

    def _add(self, name: str, op: str, value: str | float) -> None:
        """One more condition, or one more value of the last."""
        for at, each in enumerate(self.filters):
            if each.column == name and each.op == op and op in {"in", "not in", "==", "between"}:
                wider = "in" if op == "==" else op
                self.filters[at] = replace(each, op=wider, values=tuple(dict.fromkeys((*each.values, value))))
                return
        self.filters.append(Filter(name, op, (value,)))

    def _known(self, name: str) -> Column:
        column = self.table.find(name)
        if column is None:
            raise PlanError(f"There is no column {name}.")
        return column

    # ---- the whole

    def _whole(self) -> Plan:
        base = Plan(output=self.output, filters=tuple(self.filters))
        columns = list(dict.fromkeys(self.head))
        if self.output in OF_COLUMNS:
            if self.output in {"distinct", "correlation", "correlation heatmap"}:
                columns += [key.column for key in self.keys]
                return replace(base, columns=tuple(dict.fromkeys(columns)))
            return replace(base, columns=tuple(columns), keys=tuple(self.keys))
        if self.output == "scatter":
            both = [*columns, *self.against, *(key.column for key in self.keys)]
            x, y = axes_of(self.said, both)
            if len(both) != 2 or len(x) != 1:  # noqa: PLR2004 two axes
                raise PlanError("A scatter chart is “scatter Y against X”.")
            return replace(base, measures=(Measure(AS_IT_IS, y[0]), Measure(AS_IT_IS, x[0])))
        if self.output in {"histogram", "box"}:
            measures = tuple(Measure(AS_IT_IS, name) for name in columns)
            return replace(base, measures=measures, keys=tuple(self.keys))
        return self._ranked(self._grouped(base, columns), columns)

    def _grouped(self, base: Plan, columns: list[str]) -> Plan:
        """Groups, charts of groups, and rows."""
        numbers = [name for name in columns if self._known(name).numeric]
        others = [name for name in columns if name not in numbers]
        keys = list(self.keys)
        if self.order or self.limit:
            keys += [Key(name) for name in others if all(key.column != name for key in keys)]
        elif others and (base.output in _AXES or self.aggregates or self.measures):
            raise PlanError(f"“{others[0]}” holds no numbers: write “count rows per {others[0]}”.")
        measures = [Measure(how, name) for name in numbers for how in self.aggregates] + self.measures
        if not self._lists_rows(keys):
            if numbers and not self.aggregates:
                measures = [Measure(AS_IT_IS, name) for name in numbers]
            if not measures and keys and not self._names_rows():
                raise PlanError("What is wanted of each group? Write “count rows per …” or “mean Y per …”.")
            measures = measures or ([Measure("count")] if keys else [])
        elif not self._names_rows() and not self.order and not self.limit:
            raise PlanError("What is wanted of these rows? Write “rows where …”.")
        if base.output in _AXES and not keys:
            raise PlanError("A chart is “plot Y by X”: by which column?")
        across = None
        if base.drawn and len(keys) > 1:
            axis = next((key for key in keys if self._in_time(key)), keys[0])
            across = next(key for key in keys if key is not axis)
            keys = [axis]
        if base.output == "line" and "line" not in self.said.terms and not self._in_time(keys[0]):
            base = replace(base, output="bar")
        return replace(base, keys=tuple(keys) if measures else (), across=across, measures=tuple(measures))

    def _lists_rows(self, keys: Sequence[Key]) -> bool:
        """Whether the rows themselves are wanted, not groups of them."""
        if self.aggregates or self.measures or self.output != "table":
            return False
        return not keys or (bool(self.order) and all(self._known(key.column).unique for key in keys))

    def _names_rows(self) -> bool:
        """Whether the rows are called by some name, or are to be shown."""
        words = re.findall(r"\w+", self.text)
        shown = {"show", "list", "where", "all", "with", "without", "number", "count", "save", "convert", "turn", "get"}
        rows = [one for one in self.said.of("glue", "table") if one.kind == "table" or one.columns]
        nouns = shown | english.ROW_NOUNS | english.PERSONS
        return bool(rows) or not nouns.isdisjoint(words) or self.said.asks_format

    def _in_time(self, key: Key) -> bool:
        return bool(key.unit) or self._known(key.column).kind in {"date", "year", "number"}

    def _ranked(self, plan: Plan, columns: Sequence[str]) -> Plan:
        """The plan with its order; rows only show the columns that are named where it says `only`."""
        if not plan.measures and re.search(r"\bcolumns?\b|\bonly\b|\bjust\b", self.text):
            shown = [*(key.column for key in self.keys), *columns]
            plan = replace(plan, columns=tuple(dict.fromkeys(shown)))
        if not self.order:
            return replace(plan, limit=self.limit)
        by = "measure" if plan.measures else next((name for name in columns if self._known(name).numeric), "")
        if not by:
            raise PlanError("Ranked by which column? Write “top 10 X by Y”.")
        return replace(plan, order=Order(by, self.order == "descending"), limit=self.limit)
