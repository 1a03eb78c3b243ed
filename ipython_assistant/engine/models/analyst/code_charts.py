"""Code that draws: lines, bars, stacks and heat maps of groups; histograms, boxes and scatters of rows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.code_tables import (
    frame,
    groups_of,
    measure_names,
    method,
    taken,
    whole_keys,
)
from ipython_assistant.engine.models.analyst.code_write import write
from ipython_assistant.engine.models.analyst.literals import call, py
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    How,
    Measure,
    OneOf,
    Plan,
    Scatter,
    Spread,
    Then,
    columns_of,
    drawn,
    taken_of,
)
from ipython_assistant.engine.models.analyst.tables import Kind
from ipython_assistant.engine.models.analyst.wording import drawn_in_words, title
from ipython_assistant.engine.models.markdown import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE_LENGTH: Final = 70
"""Characters of a chart's title in one line; the figure is 7 inches wide."""
DOTS_PER_INCH: Final = 150
MANY_TICKS: Final = 6
"""Texts under an axis from which on they are turned."""
LONG_NUMBER: Final = 1000
"""From which on an axis has commas between thousands and no decimals."""
COLOURS: Final = 10
"""Colours matplotlib has before it begins again."""
MANY_YEARS: Final = 15
"""Years from first to last up to which each has its tick, also those that nothing is drawn at."""
_NEW_FIGURE: Final = 'fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")'
_BARE: Final = 'ax.spines[["top", "right"]].set_visible(False)'


def charted(plan: Plan, task: Chart, rows: str) -> tuple[str, str]:
    """A chart of groups, or of rows where each is its own point."""
    names = measure_names(task)
    axes = [task.over, *filter(None, [task.series])]
    needed = [column.name for column in axes]
    if len(names) == 1:
        needed += [column.name for column in taken_of(task.measures[0])]
    whole = whole_keys(axes).partition(".astype")
    lines = [
        f"known = {rows}.dropna(subset={py(needed)}){whole[1]}{whole[2]}",
        f'print(f"rows left out for missing values: {{len({rows}) - len(known):,}}")',
        *_points(task, names),
        *_then(task),
    ]
    if task.top:
        lines.append(f'drawn = drawn.{"nlargest" if task.top.largest else "nsmallest"}({task.top.count}, keep="all")')
    if task.sort:
        lines.append(f"drawn = drawn.sort_values(ascending={not task.sort.descending})")
    several = bool(task.series) or len(names) > 1
    points = "drawn.count().sum()" if several else "drawn.count()"
    return "\n".join(lines), _drawing(plan, _figure(task, plan, several=several), points)


def _drawing(plan: Plan, figure: str, points: str) -> str:
    lines = [
        "",
        figure,
        f"fig.savefig({py(plan.picture)}, dpi={DOTS_PER_INCH})",
        "plt.close(fig)",
        f'print(f"{{{points}:,}} points drawn, saved as", {py(plan.picture)})',
    ]
    lines += ["points = drawn.reset_index()", write(plan.save, "points", shown=False)] if plan.save else []
    return "\n".join(lines)


def _points(task: Chart, names: dict[str, Measure]) -> list[str]:
    """What is drawn: a series over the axis, or a table with a column per line."""
    axes = [task.over.name, *([task.series.name] if task.series else [])]
    measure = task.measures[0]
    if len(names) > 1 and all(one.how is None for one in names.values()):
        return [f"drawn = known.set_index({py(axes[0])})[{py(list(names))}].sort_index()"]
    if len(names) > 1:
        columns = {name: taken(one) for name, one in names.items()}
        return [_groups(task), f"drawn = {frame(columns)}"]
    if measure.column is None:
        size = f"{_groups(task).removeprefix('groups = ')}.size()"
        return [f"drawn = {size}.unstack()" if task.series else f'drawn = {size}.rename("rows")']
    if measure.how is None and task.series:
        return [f"drawn = known.pivot(index={py(axes[0])}, columns={py(axes[1])}, values={py(measure.column.name)})"]
    if measure.how is None:
        return [f"drawn = known.set_index({py(axes[0])})[{py(measure.column.name)}].sort_index()"]
    if measure.how in {How.RATE, How.IQR}:
        return [_groups(task), f"drawn = {taken(measure)}", *(["drawn = drawn.unstack()"] if task.series else [])]
    code = f"drawn = {_groups(task).removeprefix('groups = ')}[{py(measure.column.name)}].{method(measure)}"
    return [f"{code}.unstack()" if task.series else code]


def _groups(task: Chart) -> str:
    """`groups`, of rows that are known and whose keys are whole numbers already."""
    keys = [task.over, *filter(None, [task.series])]
    return groups_of(keys, "known").replace(whole_keys(keys), "")


def _then(task: Chart) -> list[str]:
    match task.then:
        case None:
            return []
        case Then.SHARE:
            if task.series:
                return ["drawn = 100 * drawn.div(drawn.sum(axis=1), axis=0)"]
            return ["drawn = 100 * drawn / drawn.sum()"]
        case Then.RUNNING:
            return ["drawn = drawn.cumsum()"]
        case Then.CHANGE:
            return ["drawn = drawn.diff()"]
        case Then.GROWTH:
            return ["drawn = 100 * drawn.pct_change(fill_method=None)"]


def _figure(task: Chart, plan: Plan, *, several: bool) -> str:
    lines = [_NEW_FIGURE]
    match task.kind:
        case "heat":
            lines += _heat()
        case "line":
            lines += _lines(task, plan, several=several)
        case _:
            lines += _bars(task, several=several)
    value = drawn_in_words(task) if len(task.measures) == 1 else "value"
    ylabel = task.series.name if task.kind == "heat" and task.series else value[:1].upper() + value[1:]
    lines.append(_labels(plan, task.over.name, ylabel))
    if task.kind == "heat":
        lines.append(f"fig.colorbar(image, label={py(value[:1].upper() + value[1:])})")
        return "\n".join(lines)
    lines += _ticks(task, several=several)
    if (
        task.kind == "line"
        and task.then is None
        and all(one.column and one.column.share and (one.column.low or 0) >= 0 for one in task.measures)
    ):
        lines.append("ax.set_ylim(0, ax.get_ylim()[1] * 1.05)")
    if any(_thousands(one) for one in task.measures) and task.then not in {Then.SHARE, Then.GROWTH}:
        lines.append('ax.yaxis.set_major_formatter("{x:,.0f}")')
    grid = "ax.grid(alpha=0.3)" if task.kind == "line" else 'ax.grid(axis="y", alpha=0.3)'
    return "\n".join([*lines, grid, "ax.set_axisbelow(True)", _BARE])


def _labels(plan: Plan, xlabel: str, ylabel: str) -> str:
    heading = "\n".join(part for line in title(plan).split("\n") for part in textwrap.wrap(line, TITLE_LENGTH))
    return call("ax.set", [f"title={py(heading)}", f"xlabel={py(one_line(xlabel))}", f"ylabel={py(one_line(ylabel))}"])


def _thousands(measure: Measure) -> bool:
    """True where the axis has numbers long enough for commas."""
    return measure.column is not None and not measure.column.share and (measure.column.high or 0) >= LONG_NUMBER


def _heat() -> list[str]:
    return [
        "shown = drawn.T",
        'image = ax.imshow(shown.to_numpy(dtype=float), aspect="auto")',
        'ax.set_xticks(range(shown.shape[1]), shown.columns.astype(str), rotation=45, ha="right")',
        "ax.set_yticks(range(shown.shape[0]), shown.index.astype(str))",
    ]


def _lines(task: Chart, plan: Plan, *, several: bool) -> list[str]:
    if not several:
        return ['ax.plot(drawn.index, drawn, marker="o")']
    count = _line_count(task, plan)
    cycle = [
        'colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]',
        'ax.set_prop_cycle(plt.cycler(linestyle=["-", "--", ":"]) * plt.cycler(color=colours))',
    ]
    cycle = cycle if count > COLOURS else []
    # lines whose texts begin at different places would mix up the order of the axis: all are drawn over all of it
    gaps = [] if task.over.kind is Kind.TEXT else ["    line = line.dropna()"]
    return [
        *cycle,
        "for name, line in drawn.items():",
        *gaps,
        '    ax.plot(line.index, line, marker="o", markersize=4, label=name)',
        _legend(task, count),
    ]


def _bars(task: Chart, *, several: bool) -> list[str]:
    if not several:
        index = {Kind.DATE: 'drawn.index.strftime("%Y-%m-%d")', Kind.YEAR: "drawn.index", Kind.NUMBER: "drawn.index"}
        if task.top or task.sort:
            return ["ax.bar(drawn.index.astype(str), drawn)"]
        return [f"ax.bar({index.get(task.over.kind, 'drawn.index.astype(str)')}, drawn)"]
    dates = ['drawn.index = drawn.index.strftime("%Y-%m-%d")'] if task.over.kind is Kind.DATE else []
    stacked = ", stacked=True" if task.kind == "stacked" else ""
    return [*dates, f"drawn.plot.bar(ax=ax, width=0.8, rot=0{stacked})", _legend(task, 0)]


def _legend(task: Chart, count: int) -> str:
    heading = [f"title={py(one_line(task.series.name))}"] if task.series else []
    outside = (
        ['loc="upper left"', "bbox_to_anchor=(1, 1)", 'fontsize="small"']
        if count > MANY_TICKS or task.kind != "line"
        else []
    )
    return call("ax.legend", [*heading, *outside])


def _line_count(task: Chart, plan: Plan) -> int:
    chosen = [one for one in plan.where if isinstance(one, OneOf) and one.column == task.series and not one.negated]
    return min(
        [len(task.measures) if task.series is None else task.series.distinct, *(len(one.values) for one in chosen)]
    )


def _ticks(task: Chart, *, several: bool) -> list[str]:
    """Whole years on the axis; many or long texts turned."""
    over = task.over
    text = over.kind in {Kind.TEXT, Kind.BOOL, Kind.DATE} or task.top is not None or task.sort is not None
    if text:
        crowded = over.distinct >= MANY_TICKS or sum(map(len, over.values)) > TITLE_LENGTH or over.made
        return ['plt.setp(ax.get_xticklabels(), rotation=45, ha="right")'] if crowded else []
    if task.kind != "line" and several:
        return []
    if (over.high or 0) - (over.low or 0) < MANY_YEARS:
        return ["ax.set_xticks(range(int(drawn.index.min()), int(drawn.index.max()) + 1))"]
    return ['ax.locator_params(axis="x", integer=True)']


# ---- charts of rows


def spread(plan: Plan, task: Spread, rows: str) -> tuple[str, str]:
    """A histogram or box plot."""
    names = [column.name for column in task.columns]
    if task.per:
        known = py([names[0], task.per.name])
        select = [f"drawn = {rows}[{known}].dropna()", f"groups = drawn.groupby({py(task.per.name)})[{py(names[0])}]"]
    else:
        select = [f'drawn = {rows}[{py(names)}].dropna(how="all")']
    figure = [_NEW_FIGURE, *(_histogram(task, names) if task.kind == "hist" else _boxes(task, names))]
    value = one_line(names[0]) if len(names) == 1 else "value"
    across = task.per.name if task.per else ""
    figure.append(_labels(plan, value, "rows") if task.kind == "hist" else _labels(plan, across, value))
    if task.kind == "box" and (task.per or len(names) > 1):
        figure.append('plt.setp(ax.get_xticklabels(), rotation=45, ha="right")')
    figure += ['ax.grid(axis="y", alpha=0.3)', "ax.set_axisbelow(True)", _BARE]
    return "\n".join(select), _drawing(plan, "\n".join(figure), "len(drawn)" if task.per else "drawn.count().sum()")


def _histogram(task: Spread, names: Sequence[str]) -> list[str]:
    bins = task.bins or 20
    if task.per or len(names) > 1:
        pairs = "groups" if task.per else "drawn.items()"
        legend = f"ax.legend(title={py(one_line(task.per.name))})" if task.per else "ax.legend()"
        return [
            f"edges = np.histogram_bin_edges(drawn[{py(list(names))}].stack(), bins={bins})",
            f"for name, numbers in {pairs}:",
            "    ax.hist(numbers.dropna(), bins=edges, alpha=0.5, label=str(name))",
            legend,
        ]
    return [f'ax.hist(drawn[{py(names[0])}], bins={bins}, edgecolor="white")']


def _boxes(task: Spread, names: Sequence[str]) -> list[str]:
    if task.per:
        return [
            "ax.boxplot([numbers for _, numbers in groups])",
            "ax.set_xticks(range(1, len(groups) + 1), [str(name) for name, _ in groups])",
        ]
    return [
        "ax.boxplot([drawn[name].dropna() for name in drawn])",
        "ax.set_xticks(range(1, drawn.shape[1] + 1), drawn.columns)" if len(names) > 1 else "ax.set_xticks([])",
    ]


def scattered(plan: Plan, task: Scatter, rows: str) -> tuple[str, str]:
    """A point for each row."""
    columns = [task.x.name, task.y.name, *([task.series.name] if task.series else [])]
    select = [
        f"drawn = {rows}[{py(columns)}].dropna()",
        f'print(f"rows left out for missing values: {{len({rows}) - len(drawn):,}}")',
    ]
    points = f"{{}}[{py(task.x.name)}], {{}}[{py(task.y.name)}], s=18, alpha=0.7"
    if task.series:
        figure = [
            _NEW_FIGURE,
            f"for name, part in drawn.groupby({py(task.series.name)}):",
            f"    ax.scatter({points.format('part', 'part')}, label=str(name))",
            call("ax.legend", [f"title={py(one_line(task.series.name))}"]),
        ]
    else:
        figure = [_NEW_FIGURE, f"ax.scatter({points.format('drawn', 'drawn')})"]
    figure += [_labels(plan, task.x.name, task.y.name), "ax.grid(alpha=0.3)", "ax.set_axisbelow(True)", _BARE]
    return "\n".join(select), _drawing(plan, "\n".join(figure), "len(drawn)")


def correlation_map(plan: Plan) -> str:
    """Coefficients as colours, each with its number."""
    figure = [
        _NEW_FIGURE,
        'image = ax.imshow(drawn.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r")',
        'ax.set_xticks(range(len(drawn)), drawn.columns, rotation=45, ha="right")',
        "ax.set_yticks(range(len(drawn)), drawn.index)",
        "for row in range(len(drawn)):",
        "    for column in range(len(drawn)):",
        '        ax.text(column, row, f"{drawn.iloc[row, column]:.2f}", ha="center", va="center")',
        _labels(plan, "", ""),
        'fig.colorbar(image, label="correlation")',
    ]
    lines = ["", *figure, f"fig.savefig({py(plan.picture)}, dpi={DOTS_PER_INCH})", "plt.close(fig)"]
    return "\n".join(lines)


def has_dollar(plan: Plan) -> bool:
    """True where a name or a value may stand in a chart and hold a dollar sign."""
    if not drawn(plan.task):
        return False
    return any(
        "$" in text
        for column in columns_of(plan)
        for text in (column.name, *(column.values or ["$"] * (column.kind is Kind.TEXT)))
    )
