"""Tables and question → the JSON schema that a model's plan has to fit.

The schema is made for this one question: only columns that it names, only the numbers, dates and values that stand in
it, only what its terms can ask for. What a model cannot say, it cannot get wrong; and no cell of a table is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.plan import english
from ipython_assistant.engine.models.plan.english import PATTERNS
from ipython_assistant.engine.models.plan.plan import AS_IT_IS, CHARTS, COMPARISONS, OF_COLUMNS, OF_POINTS, ROWS, UNITS
from ipython_assistant.engine.models.table_profiles import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.engine.models.plan.mentions import Mentions
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

Json = dict[str, Any]

CANNOT: Final = (
    "a needed column or table is missing", "needs statistics, forecasting or several steps",
    "is no question about the tables", "is unclear",
)  # fmt: skip
"""What a model may say where no plan fits."""
PICTURES: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
_COARSER: Final = {"month": ("year", "quarter"), "quarter": ("year",), "week": ("year", "quarter", "month")}
"""By a date column's grain, the units that its dates can be grouped by: dates by month cannot be grouped by week."""
_RANKED: Final = english.words("low high ascending descending sorted ranked head latest earliest")
_SORTED: Final = english.words("ascending descending sorted")
_CALCULATED: Final = english.words(
    "mean median std sum count share rate weighted percentile change running rolling pivot maximum minimum distinct"
) | {*UNITS, "count distinct", "per number", "latest", "earliest", "high", "low"}


def schema_for(
    mentions: Mentions, tables: Sequence[TableProfile], files: Sequence[str] = (), latest: Mentions | None = None
) -> Json:
    """Every plan that the question may ask for; `latest` is the question alone where it follows another."""
    schema = _Schema(mentions, tables)
    own = latest or mentions
    changes_output = bool(own.terms & {"plot", *english.CHART_TERMS, *english.TABLE_TERMS}) or bool(files)
    outputs = outputs_for(own if changes_output else mentions, files)
    if outputs == ("missing", "table") and (schema.blank or "count" in mentions.terms):
        outputs = ("table",) if schema.blank else ("missing",)
    branches = [branch for output in outputs if (branch := schema.branch(output))]
    return {"anyOf": [*branches, _object({"cannot": _enum(CANNOT)})]}


def outputs_for(mentions: Mentions, files: Sequence[str]) -> tuple[str, ...]:
    """The outputs that the question's terms and files leave."""
    terms = mentions.terms
    charts = [term for term in english.CHART_TERMS if term in terms]
    drawn = any(name.lower().endswith(PICTURES) for name in files) or "plot" in terms
    if charts and (drawn or charts[0] not in {"line", "horizontal"} or PATTERNS["a line"].search(mentions.text)):
        return tuple(english.CHART_TERMS[charts[0]])
    if drawn:
        return ("line", "bar", "scatter", "histogram")
    asked = [output for term, output in english.TABLE_TERMS.items() if term in terms]
    unsure = {"missing"} if mentions.columns else set()
    unsure |= {"distinct"} if {"sum", "mean", "median", "count", "count distinct"} & terms else set()
    unsure |= {"duplicates"} if "count distinct" in terms else set()
    certain = [output for output in asked if output not in unsure]
    return (certain[0],) if certain else (*asked, "table")


class _Schema:
    """The parts of the schema that outputs share."""

    def __init__(self, mentions: Mentions, tables: Sequence[TableProfile]) -> None:
        self.said = mentions
        self.terms = mentions.terms
        self.tables = tables
        self.all = list(columns_of(tables).values())
        self.named = [column for column in self.all if column.name in mentions.columns]
        self.names = [column.name for column in self.named]
        self.signs = english.signs_said(mentions)
        self.new = _new_name(mentions) if english.calculates(mentions, self.all) else ""
        self.numeric = [column.name for column in self.named if column.numeric]
        self.numbers = [*self.numeric, *([self.new] if self.new else [])]
        self.tests = english.text_tests(mentions)
        self.blank = english.missing_tests(mentions, self.all)
        self.bound = english.bound_numbers(mentions, self.all)
        self.filters = self._filters()
        self.keys = self._keys()
        self.counts = english.counts_in(mentions)

    def branch(self, output: str) -> Json | None:
        """The schema of one output; None where it lacks what it needs."""
        base: Json = {"output": _enum([output])}
        if len(self.tables) > 1:
            base["tables"] = _array(_enum([table.name for table in self.tables]), 1, 2)
        base["filters"] = self._filters_object()
        optional: Json = {}
        if "or" in self.terms and len(self.filters) > 1:
            optional["filters_match"] = _enum(["any"])
        if self.new:
            sides = [*self.numeric, *(f"{one.numbers[0]:g}" for one in self.said.of("number"))]
            ops = self.signs or ["-"]
            new = {"name": _enum([self.new]), "left": _enum(sides), "op": _enum(ops), "right": _enum(sides)}
            base["new_columns"] = _any_of([_object(new)], int(bool(self.signs)), 2)
        if output in OF_COLUMNS:
            least = {"correlation": 2, "distinct": 1}.get(output, 0)
            columns = self.numeric if output == "correlation" else self.names
            if columns:
                base["columns"] = _array(_enum(columns), min(least, len(columns)), 8)
            return _object(base, optional) if columns or not least else None
        if output not in OF_POINTS:
            return self._of_groups(output, base, optional)
        if len(self.numbers) < 1 + (output == "scatter"):
            return None
        if output == "scatter":
            x, y = english.axes_of(self.said, self.numbers)
            base |= {"x": _enum(x), "y": _enum(y)}
            optional |= {"across": _enum(self.keys)} if self.keys else {}
            return _object(base, optional)
        base["of"] = _enum(self.numbers)
        if output == "box" and self.keys:
            base["group_by"] = _array(_enum(self.keys), 0, 1)
        return _object(base, optional)

    def _of_groups(self, output: str, base: Json, optional: Json) -> Json | None:
        """Tables, pivots and charts of groups."""
        calculated = output != "table" or PATTERNS["grouped"].search(self.said.text) or self.terms & _CALCULATED
        chart, measures = output in CHARTS, self._measures() if calculated else []  # else the rows are meant
        crossed = output in {"pivot", "heatmap", "stacked bar"}
        if (chart or crossed) and not (measures and self.keys):
            return None
        least = int(output != "table")
        most = {"table": 3, "pivot": 2}.get(output, 1) if self.keys and measures else 0
        base["group_by"] = _array(_enum(self.keys or [""]), least if most else 0, most)
        if crossed:
            base["across"] = _enum(self.keys)
        elif chart and output != "pie" and len(self.keys) > 1:
            optional["across"] = _enum(self.keys)
        base["measures"] = _any_of(measures, least, 1 if output in {"pivot", "heatmap", "pie"} else 3)
        then = [one for term, several in english.THEN_TERMS.items() if term in self.terms for one in several]
        if then:
            optional["then"] = _enum(["percent change"] if {"change", "share"} <= self.terms else then)
        if "rolling" in self.terms and self.counts:
            optional["window"] = _enum(self.counts)
        order, asked = self._order()
        (base if asked else optional).update(order)
        if output == "table" and self.named and PATTERNS["some columns"].search(self.said.text):
            optional["columns"] = _array(_enum(self.names), 1, min(len(self.named), 8))
        return _object(base, optional)

    def _keys(self) -> list[str]:
        """What may make groups: columns that are named, and dates by the units that are said."""
        dates = [column for column in self.all if column.kind == "date"]
        dates = [column for column in dates if column in self.named] or dates
        units = [unit for unit in UNITS if unit in self.terms]
        keys = [f"{one.name} by {unit}" for unit in units for one in dates if unit in _COARSER.get(one.grain, UNITS)]
        keys += [one.name for one in self.named if one.in_time or one.kind in {"text", "yes/no"}]
        timed = [column.name for column in self.all if column.in_time]
        in_time = any(key in timed or key.rpartition(" by ")[0] in timed for key in keys)
        keys += timed if {"line", "plot", "running", "rolling", "change"} & self.terms and not in_time else []
        whole = [one.name for one in self.named if one.kind == "number" and one.whole]
        keys += [name for name in whole if name in english.grouped_columns(self.said)]
        return list(dict.fromkeys(keys))

    def _measures(self) -> list[Json]:
        """What may be calculated: the aggregates that are said, or `as it is` where none is."""
        terms, numbers = self.terms, self.numbers
        said = english.aggregates_said(self.said)
        left_open = not said
        said += [name for name, term in (("max", "high"), ("min", "low")) if term in terms and name not in said]
        said += [AS_IT_IS] if left_open else []
        found = [_measure(said, numbers)] if numbers else []
        if "count" in terms or left_open or not numbers:
            found.append(_measure(["count"], [ROWS]))
        if {"count distinct", "distinct"} & terms and self.named:
            found = [] if left_open and "count distinct" in terms else found
            found.append(_measure(["count distinct"], self.names))
        if "weighted" in terms and len(numbers) > 1:
            found = [_measure(["weighted mean"], numbers, by=_enum(self.numeric))]
        per = next((one.numbers for one in self.said.found if one.term == "per number"), ()) if self.numeric else ()
        rates = ("rate" in terms and len(self.numeric) > 1 and not self.new) or ("/" in self.signs and self.numeric)
        if per or rates:
            found.append(_measure(["ratio"], [*numbers, ROWS], by=_enum(self.numeric), per=_enum(per or [1, 100])))
        if {"share", "rate"} & terms or "/" in self.signs:
            ways = [(column, way["properties"]) for column, several in self.filters.items() for way in several]
            parts = [_object({"column": _enum([column]), **way}) for column, way in ways]
            found += [_measure(["percent that fit"], [ROWS, *self.numeric], part={"anyOf": parts})] if parts else []
        return found

    def _order(self) -> tuple[Json, bool]:
        """How rows or groups may be ordered, and whether the question asks for it beyond doubt."""
        terms = self.terms
        both = {"high", "low"} <= terms and not (self.counts or _SORTED & terms)
        if not _RANKED & terms or both:
            return {}, False
        up, down = bool({"low", "ascending"} & terms), bool({"high", "descending"} & terms)
        ways = ["descending"] if down and not up else ["ascending"] if up and not down else ["descending", "ascending"]
        by = ["measure", *self.names, *self.numbers]
        by += [one.name for one in self.all if one.in_time] if {"latest", "earliest", "head"} & terms else []
        found: Json = {"sort": _object({"by": _enum(by), "order": _enum(ways)})}
        which = bool(PATTERNS["which one"].match(self.said.text) and {"high", "low"} & terms)
        counted = bool({"high", "low", "head"} & terms and self.counts)
        if counted or which:
            found["limit"] = _enum(self.counts or [1])
        return found, counted or which or bool({*_SORTED, "ranked"} & terms)

    def _filters_object(self) -> Json:
        """Filters by column, each at most once; those that the question cannot do without are required."""
        sure = {one.columns[0] for one in self.said.of("value") if one.certain and len(one.columns) == 1}
        sure |= {column.name for column in self.all if english.wanted_answer(self.said, column)}
        sure |= {*self.tests, *self.blank, *(names[0] for names in self.bound.values() if len(names) == 1)}
        dates = [column.name for column in self.all if column.in_time]
        dates = [name for name in dates if name in self.names] or dates
        sure |= set(dates if self.said.periods and len(dates) == 1 else [])
        sure = set() if {"share", "rate"} & self.terms else sure  # what is said of a part chooses no rows
        parts = {column: ways[0] if len(ways) == 1 else {"anyOf": ways} for column, ways in self.filters.items()}
        required = {column: part for column, part in parts.items() if column in sure}
        return _object(required, {column: part for column, part in parts.items() if column not in sure})

    def _filters(self) -> dict[str, list[Json]]:
        """What rows may be chosen by, by column: the comparisons, and how few and how many of which values."""
        numbers = [(number, self.bound.get(one)) for one in self.said.of("number", "period") for number in one.numbers]
        compared = {name for names in self.bound.values() for name in names}
        periods = [*self.said.periods, *(term for term in ("latest", "earliest") if term in self.terms)]
        dates = [column for column in self.named if column.kind == "date"]
        found: dict[str, list[Json]] = {}
        for column in self.all:
            dated = column.kind == "year" and bool(periods) and not dates
            if dated or column in self.named or column.name in compared:
                own = [number for number, names in numbers if names is None or column.name in names]
                found[column.name] = self._filters_of(column, own)
        for column in (dates or [one for one in self.all if one.kind == "date"]) if periods else []:
            ways = [_filter(["in", "not in", "before", "after", "since", "until"], periods, 1, 1)]
            if len(periods) > 1:
                ways += [_filter(["between"], periods, 2, 2), _filter(["in", "not in"], periods, 2, 2)]
            found[column.name] = [*found.get(column.name, []), *ways]
        return {column: ways for column, ways in found.items() if ways}

    def _filters_of(self, column: Column, numbers: Sequence[float]) -> list[Json]:
        found: list[Json] = []
        if column.kind == "text" and column.name in self.tests:
            op, text = self.tests[column.name]
            return [_filter([op], [text], 1, 1)]
        if column.name in self.blank:
            return [_filter([self.blank[column.name]], [""], 0, 0)]
        if values := list(self.said.values_of(column.name)):
            places = [one for one in self.said.of("value") if column.name in one.columns]
            out = {english.is_excluded(self.said, one.start) for one in places}
            ops = [op for op, excluded in (("in", False), ("not in", True)) if excluded in out]
            found.append(_filter(ops, values, 1, len(values)))
        if column.kind == "yes/no":
            which = english.wanted_answer(self.said, column)
            found.append(_filter(["is"], [which] if which else ["yes", "no"], 1, 1))
        if column.numeric and numbers:
            said = [op for term, op in english.COMPARED_BY.items() if term in self.terms]
            known = said and "not" not in self.terms  # without a negation `over` is nothing but `>`
            found.append(_filter(said if known else ["==", "!=", *COMPARISONS], numbers, 1, 1))
            found += [_filter(["between"], numbers, 2, 2)] if len(numbers) > 1 else []
        if "missing" in self.terms and not ({"count", "known only"} & self.terms or found or values):
            found.append(_filter(["is missing", "is not missing"], [""], 0, 0))
        return found


def _new_name(mentions: Mentions) -> str:
    """What the question calls the column that it wants calculated: the words before its `=`."""
    found = re.search(r"([\w%][\w %]*?)\s*=\s*\S", mentions.prompt)
    words = found[1].split() if found else []
    while words and words[0].lower() in english.GLUE:
        words = words[1:]
    return " ".join(words) or " ".join(english.result_names(mentions)[:2]) or "calculated"


# ---- JSON schema


def _object(properties: Json, optional: Json | None = None) -> Json:
    every = {**properties, **(optional or {})}
    return {"type": "object", "properties": every, "required": list(properties), "additionalProperties": False}


def _enum(values: Iterable[object]) -> Json:
    return {"enum": [int(one) if isinstance(one, float) and one.is_integer() else one for one in dict.fromkeys(values)]}


def _array(items: Json, least: int, most: int) -> Json:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _any_of(several: Sequence[Json], least: int, most: int) -> Json:
    return _array({"anyOf": [*several]} if several else {"type": "string"}, least, most if several else 0)


def _measure(aggregates: Sequence[str], columns: Sequence[str], **more: Json) -> Json:
    return _object({"agg": _enum(aggregates), "column": _enum(columns), **more})


def _filter(ops: Sequence[str], values: Sequence[object], least: int, most: int) -> Json:
    return _object({"op": _enum(ops), "value": _array(_enum(values), least, most)})
