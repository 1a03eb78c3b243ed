"""Phrases about charts: which kind, of what, one line for each of what. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.mentions import Number
from ipython_assistant.engine.models.analyst.superlatives import group_by

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_KINDS: Final[dict[tuple[str, ...], str]] = {
    ("histogram",): "hist", ("histograms",): "hist", ("hist",): "hist", ("histogram", "plot"): "hist",
    ("box", "plot"): "box", ("box", "plots"): "box", ("boxplot",): "box", ("boxplots",): "box", ("box", "chart"): "box",
    ("box", "-", "plot"): "box", ("box", "-", "and", "-", "whisker", "plot"): "box", ("box", "and", "whisker"): "box",
    ("scatter",): "scatter", ("scatterplot",): "scatter", ("scattergram",): "scatter",
    ("heatmap",): "heat", ("heat", "map"): "heat", ("heat", "-", "map"): "heat",
    ("stacked", "bar"): "stacked", ("stacked", "bars"): "stacked", ("stacked", "column"): "stacked",
    ("stacked",): "stacked",
    ("column", "chart"): "bar", ("column", "graph"): "bar", ("barchart",): "bar", ("barplot",): "bar",
    ("linechart",): "line", ("lineplot",): "line", ("bar", "plot"): "bar",
}  # fmt: skip


def kind(clause: Clause, at: int, draft: Draft) -> int:
    """`histogram of`, `box plot`, `scatter chart`, `heat map`, `stacked bars`."""
    start = clause.past(at, {"as", "in", "a", "an", "the"})
    phrase = clause.phrase(start, tuple(_KINDS))
    if not phrase:
        return at
    wanted = _KINDS[phrase]
    draft.chart = True
    if wanted in {"hist", "box"}:
        draft.spread = wanted
    elif wanted == "scatter":
        draft.scatter = True
    else:
        if draft.shape and draft.shape != wanted and (draft.shape, wanted) != ("bar", "stacked"):
            draft.problem("Two kinds of chart are asked for at once.")
        draft.shape = wanted
    end = clause.past(
        start + len(phrase), {"-"} if clause.word(start + len(phrase) + 1) in known.CHART_NOUNS else set()
    )
    return end + (clause.word(end) in known.CHART_NOUNS | known.CHART_VERBS)


def chart(clause: Clause, at: int, draft: Draft) -> int:
    """`plot`, `bar chart`, `as bars`, `in a line chart`."""
    shape = clause.past(at, {"as", "in", "a", "an"})
    noun = clause.past(shape, known.LINE | known.BAR)
    shapes = {"bar" if clause.word(index) in known.BAR else "line" for index in range(shape, noun)}
    end = clause.past(noun, {"-"}) if shapes else noun
    if clause.word(end) in known.CHART_VERBS | known.CHART_NOUNS:
        end += 1
    elif not shapes:
        return at
    else:
        end = noun
    draft.chart = True
    shapes |= {draft.shape} if draft.shape else set()
    if len(shapes) > 1:
        draft.problem("Lines and bars are asked for in one chart.")
    draft.shape = next(iter(sorted(shapes)), "")
    return end


def distribution(clause: Clause, at: int, draft: Draft) -> int:
    """`distribution of coverage`, `how is coverage distributed`."""
    if clause.phrase(at, (("how", "is"), ("how", "are"))):
        column_at = clause.past(at + 2, {"the", "values", "of"})
        if clause.column(column_at) and clause.word(column_at + 1) == "distributed":
            draft.chart, draft.distribution = True, True
            return at + 2
        return at
    if clause.word(at) in {"distribution", "distributed", "distributions", "spread"}:
        draft.chart = draft.distribution = True
        return at + 1
    return at


def bins(clause: Clause, at: int, draft: Draft) -> int:
    """`with 20 bins`, `using 10 bins`."""
    start = clause.past(at, {"with", "using", "in", "into"})
    number = clause.at(start)
    if not isinstance(number, Number) or clause.word(start + 1) not in {"bins", "bin", "buckets"}:
        return at
    draft.bins = int(number.value)
    return start + 2


def crossed(clause: Clause, at: int, draft: Draft) -> int:
    """`district x month`: the two sides of a heat map or a table."""
    one, other = clause.column(at), clause.column(at + 2)
    if clause.word(at + 1) not in {"x", "×"} or one is None or other is None:
        return at
    columns = [draft.column(one), draft.column(other)]
    if any(column.calculable or not column.groups for column in columns):
        return at
    for column in columns:
        group_by(draft, draft.keys, column)
    draft.pivot = True
    return at + 3


def over_time(clause: Clause, at: int, draft: Draft) -> int:
    """`over time`, `the trend of`, `time series`; not `trend line`, which is a calculation."""
    phrases = (("over", "time"), ("time", "series"), ("through", "time"), ("across", "time"), ("with", "time"),
               ("over", "the", "years"), ("across", "the", "years"), ("across", "years"), ("through", "the", "years"),
               ("over", "the", "months"))  # fmt: skip
    if phrase := clause.phrase(at, phrases):
        if phrase == ("over", "the", "years") and not draft.chart and draft.then is None:
            return at
        draft.over_time = True
        return at + len(phrase)
    if clause.word(at) in {"trend", "trends"} and clause.word(at + 1) not in known.LINE:
        draft.over_time = draft.chart = True
        return at + 1
    if clause.word(at) in {"develop", "developed", "evolve", "evolved", "evolution", "development"}:
        draft.over_time = draft.chart = True
        return at + 1
    return at


_COLOURED: Final = (
    ("coloured", "by"), ("colored", "by"), ("color", "by"), ("colour", "by"), ("with", "colour", "by"), ("hue", "by"),
    ("one", "colour", "per"), ("one", "color", "per"), ("a", "colour", "per"), ("a", "color", "per"),
    ("one", "color", "for", "each"), ("one", "colour", "for", "each"), ("different", "color", "per"),
    ("different", "color", "for", "each"), ("different", "colour", "for", "each"), ("stacked", "by"),
    ("split", "by"), ("broken", "down", "by"), ("separated", "by"), ("split", "into"), ("stacked", "per"),
)  # fmt: skip
_ONE_EACH: Final = frozenset({"with", "one", "a", "separate", "different", "as", "single"})


def series(clause: Clause, at: int, draft: Draft) -> int:
    """`one line per district`, `a separate bar for each disease`, `split by disease`, `coloured by region`."""
    drawn = clause.past(at, _ONE_EACH)
    word = clause.word(drawn)
    shape = "line" if word in known.LINE else "bar" if word in known.BAR else ""
    boxes = word in {"box", "boxes", "histogram"} and drawn > at
    start = drawn + 1 if shape or boxes else at
    per = clause.phrase(start, known.PER if shape or boxes else _COLOURED)
    column_at = clause.past(start + len(per), {"the", "each"})
    mention = clause.column(column_at)
    if not per or mention is None:
        return at
    if shape:
        draft.chart, draft.shape = True, draft.shape or shape
    if per[0] == "stacked":
        draft.chart, draft.shape = True, "stacked"
    group_by(draft, draft.series, draft.column(mention))
    return column_at + 1
