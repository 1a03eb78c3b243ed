"""Tables and question → the JSON schema that a model's plan has to fit.

The schema is made for this one question: only columns that it names, only the numbers, dates and values that stand in
it, only what its terms can ask for. What a model cannot say, it cannot get wrong; and no cell of a table is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, CHARTS, COMPARISONS, OF_COLUMNS, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mention, Mentions
    from ipython_assistant.engine.models.plan.tables import Column, TableProfile

Json = dict[str, Any]

CANNOT: Final = (
    "a needed column or table is missing",
    "needs statistics, forecasting or several steps",
    "is no question about the tables",
    "is unclear",
)
"""What a model may say where no plan fits."""
PICTURES: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
NEW: Final = "calculated"
"""The name of a calculated column that the question gives none."""
MAX_LISTED: Final = 1000
"""The largest number that may be so many rows, bars or groups."""
_CHART_TERMS: Final = {
    "stacked": ("stacked bar",), "heatmap": ("heatmap",), "histogram": ("histogram",), "box": ("box",),
    "scatter": ("scatter",), "pie": ("pie",), "horizontal": ("horizontal bar",), "bar": ("bar", "horizontal bar"),
    "line": ("line",),
}  # fmt: skip
_TABLE_TERMS: Final = {
    "dedupe": "without duplicates", "describe": "describe", "correlation": "correlation", "pivot": "pivot",
    "duplicates": "duplicates", "missing": "missing", "distinct": "distinct",
}  # fmt: skip
_TEXT_TERMS: Final = {
    "contains": ("contains", "does not contain"), "starts": ("starts with",), "ends": ("ends with",),
}  # fmt: skip
_THEN_TERMS: Final = {
    "share": ("percent of total",), "change": ("difference", "percent change"), "running": ("running total",),
    "rolling": ("rolling mean",), "rank": ("rank",),
}  # fmt: skip
_RANKED: Final = english.words("low high ascending descending sorted judged head latest earliest") | {"percent top"}
_FORMULA: Final = re.compile(r"[=/*×÷+]|\s-\s")
_NAMED_FORMULA: Final = re.compile(r"([\w%][\w %]*?)\s*=\s*\S")
_A_LINE: Final = re.compile(r"\b(?:trend|(?:line|curve)s? (?:chart|plot|graph|with)|over time|curve)", re.IGNORECASE)
_HAVING: Final = re.compile(
    r"\b(?:with|having) (?:more|fewer|less|at least|at most|over|under)\b[^.,;]*\b(?:rows|cases|visits|records)\b"
)
_ONE: Final = re.compile(r"(?:which|who|where|what)\b")
_IS: Final = re.compile(r"\s*(?:is|are|was|equals?|of|=|==|not|no|:)*\s*")
_NEAR: Final = 5
"""Words between a column and the number that it is compared with."""
_SHOWN: Final = re.compile(r"\b(?:columns?|only|just|names?|list)\b")


def schema_for(
    mentions: Mentions, tables: Sequence[TableProfile], files: Sequence[str] = (), latest: Mentions | None = None
) -> Json:
    """The schema of every plan that the question may ask for.

    Args:
        mentions: What the question names; for one that follows another, what both name.
        tables: The tables it may be about.
        files: The files it asks for.
        latest: What the question alone names.
    """
    schema = _Schema(mentions, tables)
    own = latest or mentions
    changes_output = bool(own.terms & {"plot", *_CHART_TERMS, *_TABLE_TERMS}) or bool(files)
    outputs = outputs_for(own if changes_output else mentions, files)
    branches = [branch for output in outputs if (branch := schema.branch(output))]
    return {"anyOf": [*branches, _object(cannot=_enum(CANNOT))]}


def outputs_for(mentions: Mentions, files: Sequence[str]) -> tuple[str, ...]:
    """The outputs that the question's terms and files leave."""
    terms = mentions.terms
    charts = [term for term in _CHART_TERMS if term in terms]
    drawn = any(name.lower().endswith(PICTURES) for name in files) or "plot" in terms
    if {"correlation", "heatmap"} <= terms:
        return ("correlation heatmap",)
    if charts and (drawn or charts[0] not in {"line", "horizontal"} or _A_LINE.search(mentions.prompt)):
        return _CHART_TERMS[charts[0]]
    if drawn:
        return ("line", "bar", "scatter", "histogram")
    asked = [output for term, output in _TABLE_TERMS.items() if term in terms]
    sure = ["without duplicates", "describe", "correlation", "pivot"]
    sure += ["duplicates"] if "count distinct" not in terms else []
    sure += ["missing"] if not mentions.columns else []
    sure += ["distinct"] if not {"sum", "mean", "median", "count", "count distinct"} & terms else []
    certain = [output for output in asked if output in sure]
    return (certain[0],) if certain else (*asked, "table")


class _Schema:
    """The parts of the schema that outputs share."""

    def __init__(self, mentions: Mentions, tables: Sequence[TableProfile]) -> None:
        self.said = mentions
        self.text = mentions.prompt.lower()
        self.terms = mentions.terms
        self.tables = tables
        self.all = list({column.name: column for table in tables for column in table.columns}.values())
        named = set(mentions.columns)
        self.named = [column for column in self.all if column.name in named]
        self.new = _new_name(mentions) if calculates(mentions) else ""
        self.numeric = [column.name for column in self.named if column.numeric]
        self.numbers = [*self.numeric, *([self.new] if self.new else [])]
        self.filters = self._filters()
        self.must_filter = self._must_filter()
        self.keys = self._keys()
        found = [number for one in mentions.of("number") for number in one.numbers[:1]]
        self.counts = list(dict.fromkeys(int(n) for n in found if n == int(n) and 0 < n < MAX_LISTED))

    def branch(self, output: str) -> Json | None:
        """The schema of one output; None where it lacks what it needs."""
        base: Json = {"output": _enum([output])}
        if len(self.tables) > 1:
            base["tables"] = _array(_enum([table.name for table in self.tables]), 1, 2)
        base["filters"] = self._filters_object()
        optional: Json = {"filters_match": _enum(["any"])} if "or" in self.terms and len(self.filters) > 1 else {}
        if self.new:
            base["new_columns"] = _any_of(self._new_columns(), 0, 2)
        if output in OF_COLUMNS:
            return self._of_columns(output, base, optional)
        if output in {"histogram", "box", "scatter"}:
            return self._of_points(output, base, optional)
        return self._of_groups(output, base, optional)

    def _of_columns(self, output: str, base: Json, optional: Json) -> Json | None:
        least = 2 if output.startswith("correlation") else int(output == "distinct")
        columns = self.numeric if output.startswith("correlation") else [column.name for column in self.named]
        if columns:
            base["columns"] = _array(_enum(columns), min(least, len(columns)), 8)
        return _object(base, optional) if columns or not least else None

    def _of_points(self, output: str, base: Json, optional: Json) -> Json | None:
        if not self.numbers or (output == "scatter" and len(self.numbers) < 2):  # noqa: PLR2004 two axes
            return None
        if output == "scatter":
            x, y = axes_of(self.said, self.numbers)
            return _object(base | {"x": _enum(x), "y": _enum(y)}, optional | self._maybe("across", self.keys))
        base["of"] = _enum(self.numbers)
        if output == "box" and self.keys:
            base["group_by"] = _array(_enum(self.keys), 0, 1)
        return _object(base, optional | self._maybe("bins", self.counts))

    def _of_groups(self, output: str, base: Json, optional: Json) -> Json | None:
        """Tables, pivots and charts of groups."""
        chart, measures = output in CHARTS, self._measures()
        crossed = output in {"pivot", "heatmap", "stacked bar"}
        if (chart or crossed) and not (measures and self.keys):
            return None
        least = int(output != "table")
        base["group_by"] = _array(_enum(self.keys or [""]), least, {"table": 3, "pivot": 2}.get(output, 1))
        if not self.keys:
            base["group_by"] = _array(_enum([""]), 0, 0)
        if crossed:
            base["across"] = _enum(self.keys)
        elif chart and output != "pie" and len(self.keys) > 1:
            optional["across"] = _enum(self.keys)
        base["measures"] = _any_of(measures, least, 1 if output in {"pivot", "heatmap", "pie"} else 3)
        then = [one for term, several in _THEN_TERMS.items() if term in self.terms for one in several]
        optional |= self._maybe("then", ["percent change"] if {"change", "share"} <= self.terms else then)
        if "rolling" in self.terms:
            optional |= self._maybe("window", self.counts)
        if _HAVING.search(self.text) and self.said.numbers:
            optional["keep_groups"] = _object({"op": _enum(COMPARISONS), "value": _enum(self.said.numbers)})
        order, asked = self._order()
        (base if asked else optional).update(order)
        if output == "table" and self.named and _SHOWN.search(self.text):
            optional["columns"] = _array(_enum([column.name for column in self.named]), 1, 8)
        return _object(base, optional)

    @staticmethod
    def _maybe(name: str, values: Sequence[object]) -> Json:
        return {name: _enum(values)} if values else {}

    def _keys(self) -> list[str]:
        """What may make groups: columns that are named, dates by the units that are said, bands."""
        dates = [column for column in self.all if column.kind == "date"]
        dates = [column for column in dates if column in self.named] or dates
        units = [unit for unit in english.UNIT_TERMS if unit in self.terms]
        keys = [f"{column.name} by {unit}" for unit in units for column in dates if _coarser(unit, column)]
        keys += [f"{name} in bands" for name in self.numeric if self.said.bands]
        keys += [one.name for one in self.named if one.kind in {"text", "year", "yes/no", "date"}]
        timed = {column.name for column in self.all if column.kind in {"date", "year"}}
        in_time = any(key in timed or key.rpartition(" by ")[0] in timed for key in keys)
        if {"line", "plot", "running", "rolling", "change"} & self.terms and not in_time:
            keys += [column.name for column in self.all if column.name in timed]
        keys += [one.name for one in self.named if one.kind == "number" and one.whole]
        return list(dict.fromkeys(keys))

    def _measures(self) -> list[Json]:
        """What may be calculated: the aggregates that are said, or `as it is` where none is."""
        terms, numbers = self.terms, self.numbers
        said: list[str] = [name for name in ("mean", "median", "std", "sum") if name in terms]
        percents = [n for one in self.said.found if one.term == "percentile" for n in one.numbers if 0 < n < 100]  # noqa: PLR2004
        said += [f"p{n:g}" for n in percents] or (["p25", "p75"] if "percentile" in terms else [])
        left_open = not said
        said += [name for name, term in (("max", "high"), ("min", "low")) if term in terms]
        said += [AS_IT_IS] if left_open else []
        dates = [column.name for column in self.named if column.kind == "date"]
        found = [_measure(said, numbers)] if numbers else []
        if "count" in terms or left_open or not numbers:
            found.append(_measure(["count"], [ROWS]))
        if {"count distinct", "distinct"} & terms and self.named:
            found.append(_measure(["count distinct"], [column.name for column in self.named]))
        if {"high", "low", "latest", "earliest"} & terms and dates:
            found.append(_measure(["max", "min"], dates))
        if "weighted" in terms and len(numbers) > 1:
            found = [_measure(["weighted mean"], numbers, by=_enum(self.numeric))]
        if "per number" in terms and self.numeric:
            per = next(one.numbers for one in self.said.found if one.term == "per number")
            found = [_measure(["ratio"], [*numbers, ROWS], by=_enum(self.numeric), per=_enum(per))]
        elif "rate" in terms and len(self.numeric) > 1 and not self.new:
            found.append(_measure(["ratio"], numbers, by=_enum(self.numeric), per=_enum([1, 100])))
        if {"share", "rate"} & terms and self.filters:
            found.append(_measure(["percent that fit"], [ROWS, *self.numeric], part={"anyOf": self.filters}))
        return found

    def _order(self) -> tuple[Json, bool]:
        """How rows or groups may be ordered, and whether the question asks for it beyond doubt."""
        terms = self.terms
        if not _RANKED & terms:
            return {}, False
        up, down = bool({"low", "ascending"} & terms), bool({"high", "descending"} & terms)
        ways = ["descending"] if down and not up else ["ascending"] if up and not down else ["descending", "ascending"]
        by = ["measure", *(column.name for column in self.named), *self.numbers]
        if {"latest", "earliest", "head"} & terms:
            by += [column.name for column in self.all if column.kind in {"date", "year"}]
        found: Json = {"sort": _object({"by": _enum(by), "order": _enum(ways)})}
        which = _ONE.match(self.text.strip()) is not None and bool({"high", "low", "judged"} & terms)
        counted = bool({"high", "low", "head"} & terms) and any(_counted(self.said, n) for n in self.counts)
        if "percent top" in terms:
            percent = next(one.numbers for one in self.said.found if one.term == "percent top")
            return found | {"limit": _enum([int(percent[0])]), "limit_percent": _enum([True])}, True
        if counted or which or "judged" in terms:
            found["limit"] = _enum(self.counts or [1])
        return found, counted or which or bool({"ascending", "descending", "sorted"} & terms)

    def _filters_object(self) -> Json:
        """Filters by column, each at most once; those that the question cannot do without are required."""
        ways: dict[str, list[Json]] = {}
        for one in self.filters:
            column = one["properties"]["column"]["enum"][0]
            rest = {name: part for name, part in one["properties"].items() if name != "column"}
            ways.setdefault(column, []).append(_object(rest))
        every = {column: several[0] if len(several) == 1 else {"anyOf": several} for column, several in ways.items()}
        required = {column: part for column, part in every.items() if column in self.must_filter}
        return _object(required, {column: part for column, part in every.items() if column not in required})

    def _must_filter(self) -> frozenset[str]:
        if {"share", "rate"} & self.terms:
            return frozenset()
        sure = [one.columns[0] for one in self.said.of("value") if one.certain and len(one.columns) == 1]
        sure += [names[0] for names in bound_numbers(self.said, self.all).values() if len(names) == 1]
        dates = [column.name for column in self.all if column.kind in {"date", "year"}]
        named = [name for name in dates if name in self.said.columns] or dates
        return frozenset([*sure, *(named if self.said.periods and len(named) == 1 else [])])

    def _filters(self) -> list[Json]:
        """What rows may be chosen by."""
        bound = bound_numbers(self.said, self.all)
        numbers = [(number, bound.get(one)) for one in self.said.of("number", "period") for number in one.numbers]
        mentioned = {name for names in bound.values() for name in names}
        found: list[Json] = []
        for column in self.all:
            if column in self.named or column.name in mentioned:
                own = [number for number, names in numbers if names is None or column.name in names]
                found += self._filters_of(column, own)
        periods = [*self.said.periods, *(term for term in ("latest", "earliest") if term in self.terms)]
        dates = [column for column in self.named if column.kind == "date"]
        for column in (dates or [one for one in self.all if one.kind == "date"]) if periods else []:
            found.append(_filter(column, ["in", "not in", "before", "after", "since", "until"], periods))
            if len(periods) > 1:
                found += [_filter(column, ["between"], periods, 2), _filter(column, ["in", "not in"], periods, 2)]
        if periods and not dates:
            years = [one for one in self.all if one.kind == "year" and one not in self.named]
            found += [each for column in years for each in self._filters_of(column, [n for n, _ in numbers])]
        return found

    def _filters_of(self, column: Column, numbers: Sequence[float]) -> list[Json]:
        found: list[Json] = []
        if values := list(self.said.values_of(column.name)):
            found.append(_filter(column, ["in", "not in"], values, 1, len(values)))
        if column.kind == "yes/no":
            found.append(_filter(column, ["is"], ["yes", "no"]))
        if column.numeric and numbers:
            found.append(_filter(column, self._comparisons(), numbers))
            if len(numbers) > 1:
                found += [_filter(column, ["between"], numbers, 2)]
                found += [_filter(column, ["in", "not in"], numbers, 2, len(numbers))] if column.whole else []
        if {"missing", "not"} & self.terms:
            found.append(_filter(column, ["is missing", "is not missing"], [""], 0, 0))
        texts = [*self.said.strings, *(one.text for one in self.said.of("value", "number", "unknown"))]
        ops = [op for term, several in _TEXT_TERMS.items() if term in self.terms for op in several]
        if column.kind == "text" and texts and ops:
            found.append(_filter(column, ops, texts))
        return found

    def _comparisons(self) -> list[str]:
        """The comparisons that the question's terms leave: without a negation `over` is nothing but `>`."""
        said = [op for term, op in COMPARED_BY.items() if term in self.terms]
        return said if said and "not" not in self.terms else ["==", "!=", *COMPARISONS]

    def _new_columns(self) -> list[Json]:
        dates = [column.name for column in self.all if column.kind == "date"]
        sides = [*self.numbers, *(f"{number:g}" for number in self.said.numbers)]
        ways = [(["+", "-", "*", "/", "% of"], sides)] if self.numeric else []
        ways += [(["days since"], dates)] if len(dates) > 1 else []
        return [_object(name=_enum([self.new]), left=_enum(s), op=_enum(ops), right=_enum(s)) for ops, s in ways]


COMPARED_BY: Final = {
    "comparison more": ">", "comparison less": "<", "comparison least": ">=", "comparison most": "<=",
}  # fmt: skip
"""What each term of comparison is in a plan."""


def bound_numbers(mentions: Mentions, columns: Sequence[Column]) -> dict[Mention, tuple[str, ...]]:
    """The columns that each compared number may be said of.

    In `cost over 100` it is the cost, in `more than 5 doses` the doses; `patients over 65` have an age. A number that
    nothing compares is not among them.
    """
    numeric = {column.name for column in columns if column.numeric}
    ages = tuple(name for name in numeric if "age" in english.words_of(name))
    found: dict[Mention, tuple[str, ...]] = {}
    told = [one for one in mentions.found if one.kind != "glue" or one.text.lower() in english.PERSONS]
    for at, one in enumerate(told):
        before = [other for other in told[max(at - 4, 0) : at] if other.term not in {"not", "or", "between"}][::-1]
        compared = bool(before) and before[0].term in COMPARED_BY
        rest = [other for other in before if other.term not in COMPARED_BY and other.kind != "number"]
        own = tuple(name for name in rest[0].columns if name in numeric) if rest else ()
        plainly = own and _IS.fullmatch(mentions.prompt[rest[0].end : one.start].lower())
        if one.kind != "number" or not (compared or plainly or "between" in mentions.terms):
            continue
        after = tuple(name for name in told[at + 1].columns if name in numeric) if at + 1 < len(told) else ()
        gap = mentions.prompt[one.end : told[at + 1].start] if at + 1 < len(told) else "-"
        close = own and len(mentions.prompt[rest[0].end : one.start].split()) <= _NEAR
        older = re.search(
            r"\b(?:older|younger|aged?|old)\b", mentions.prompt[max(one.start - 20, 0) : one.end + 12].lower()
        )
        if close:
            found[one] = own
        elif after and not gap.strip():
            found[one] = after
        elif compared:
            persons = bool(rest) and rest[0].text.lower() in english.PERSONS
            found[one] = ages if ages and (persons or older or not own) else own or tuple(numeric)
    return found


def _counted(mentions: Mentions, number: float) -> bool:
    """Whether a number says how many: `top 5`, `the three …`."""
    for one in mentions.of("number"):
        if number in one.numbers:
            before = [other for other in mentions.found if other.end <= one.start and other.kind != "glue"]
            if not before or (before[-1].kind != "column" and before[-1].term not in {*COMPARED_BY, "between"}):
                return True
    return False


def axes_of(mentions: Mentions, numbers: Sequence[str]) -> tuple[list[str], list[str]]:
    """What may stand across and what up in a scatter chart: of two columns the first goes up, unless it is said."""
    order = list(dict.fromkeys(name for one in mentions.of("column") for name in one.columns if name in numbers))
    if len(order) != 2:  # noqa: PLR2004 two axes
        return [*numbers], [*numbers]
    text = mentions.prompt.lower()
    turned = re.search(r"\b(?:on|as) (?:the )?x\b.*\b(?:on|as) (?:the )?y\b|\bx ?= ?.*\by ?= ?", text)
    y, x = reversed(order) if turned else order
    return [x], [y]


def calculates(mentions: Mentions) -> bool:
    """Whether the question may ask for a calculated column."""
    written = mentions.prompt
    for one in mentions.of("column", "value", "file", "table"):
        written = written[: one.start] + "_" * (one.end - one.start) + written[one.end :]
    written = re.sub(r"\d+[-/]\d+([-/]\d+)?|\w+/\w+/\w+|->|=>", " ", written)
    if {"product", "minus", "plus", "days between"} & mentions.terms:
        return True
    formula = _FORMULA.search(written) or "divided by" in written.lower()
    return bool(formula) and len(mentions.of("column")) > 1


def _coarser(unit: str, column: Column) -> bool:
    """Whether dates can be put together by this unit: months have no weeks."""
    finest = {"month": {"year", "quarter"}, "quarter": {"year"}, "week": {"year", "quarter", "month"}}
    return unit in finest.get(column.grain, set(english.UNIT_TERMS))


def _new_name(mentions: Mentions) -> str:
    """What the question calls the column that it wants calculated: the words before its `=`."""
    found = _NAMED_FORMULA.search(mentions.prompt)
    words = found[1].split() if found else []
    while words and words[0].lower() in english.GLUE:
        words = words[1:]
    return " ".join(words) or " ".join(mentions.unknown[:2]) or NEW


# ---- JSON schema


def _object(properties: Json | None = None, optional: Json | None = None, **more: Json) -> Json:
    wanted = {**(properties or {}), **more}
    every = {**wanted, **(optional or {})}
    return {"type": "object", "properties": every, "required": list(wanted), "additionalProperties": False}


def _enum(values: Iterable[object]) -> Json:
    return {"enum": [int(one) if isinstance(one, float) and one.is_integer() else one for one in dict.fromkeys(values)]}


def _array(items: Json, least: int, most: int) -> Json:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _any_of(choices: Sequence[Json], least: int, most: int) -> Json:
    return _array({"anyOf": [*choices]} if choices else {"type": "string"}, least, most if choices else 0)


def _measure(aggregates: Sequence[str], columns: Sequence[str], **more: Json) -> Json:
    return _object({"agg": _enum(aggregates), "column": _enum(columns), **more})


def _filter(column: Column, ops: Sequence[str], values: Sequence[object], least: int = 1, most: int = 0) -> Json:
    return _object(column=_enum([column.name]), op=_enum(ops), value=_array(_enum(values), least, max(least, most)))
