"""Writes the code that draws a plan's `result`: plain matplotlib, one pair of axes, labelled."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.plan import PlanError
from ipython_assistant.engine.models.plan.tables import py
from ipython_assistant.engine.models.plan.words import title

if TYPE_CHECKING:
    from ipython_assistant.engine.models.plan.pandas_code import _Code
    from ipython_assistant.engine.models.plan.plan import Plan

TITLE_LENGTH: Final = 70
"""Characters of a chart's title in one line; the figure is 7 inches wide."""
DOTS_PER_INCH: Final = 150
_TURNED: Final = 'plt.setp(ax.get_xticklabels(), rotation=45, ha="right")'


def drawing(plan: Plan, code: _Code) -> list[str]:
    """The lines that draw and save the picture.

    Raises:
        PlanError: It lacks what such a chart needs.
    """
    first = [
        'plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar sign',
        'fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")',
    ]
    match plan.output:
        case "correlation heatmap":
            lines, across, up = _correlations(), "", ""
        case "histogram" | "box" | "scatter":
            lines, across, up = _of_rows(plan, code)
        case _:
            lines, across, up = _of_groups(plan, code)
    heading = "\n".join(textwrap.wrap(title(plan), TITLE_LENGTH))
    labels = f"ax.set(title={py(heading)}, xlabel={py(across)}, ylabel={py(up)})"
    if len(labels) > 100:  # noqa: PLR2004 the length of a line
        labels = f"ax.set(\n    title={py(heading)},\n    xlabel={py(across)},\n    ylabel={py(up)},\n)"
    last = [labels, f"fig.savefig({py(plan.file)}, dpi={DOTS_PER_INCH})", "plt.close(fig)"]
    counted = 'print(f"{len(result):,} points, saved as", ' + py(plan.file) + ")"
    return [*first, *lines, *last, counted]


def _of_rows(plan: Plan, code: _Code) -> tuple[list[str], str, str]:
    names = [measure.column for measure in plan.measures]
    keys = [code.names[key] for key in plan.all_keys]
    if plan.output == "scatter":
        if len(names) < 2:  # noqa: PLR2004 two axes
            raise PlanError("A scatter chart needs two columns of numbers.")
        y, x = map(py, names[:2])
        if not keys:
            return [f"ax.scatter(result[{x}], result[{y}], s=18, alpha=0.7)"], names[1], names[0]
        lines = [
            f"for name, part in result.groupby({py(keys[0])}, observed=True):",
            f"    ax.scatter(part[{x}], part[{y}], s=18, alpha=0.7, label=str(name))",
            f"ax.legend(title={py(keys[0])})",
        ]
        return lines, names[1], names[0]
    if not names:
        raise PlanError(f"A {plan.output} of which column?")
    cells = f"result[{py(names[0])}]"
    if plan.output == "histogram":
        return [f'ax.hist({cells}, bins={plan.bins or 20}, edgecolor="white")'], names[0], "rows"
    if not keys:
        return [f"ax.boxplot({cells})", "ax.set_xticks([])"], "", names[0]
    lines = [
        f"groups = [(str(name), part) for name, part in result.groupby({py(keys[0])}, observed=True)[{py(names[0])}]]",
        "ax.boxplot([part for _, part in groups])",
        "ax.set_xticks(range(1, len(groups) + 1), [name for name, _ in groups])",
        _TURNED,
    ]
    return lines, keys[0], names[0]


def _correlations() -> list[str]:
    return [
        'shown = result.set_index("column")',
        'image = ax.imshow(shown.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r")',
        'ax.set_xticks(range(len(shown)), shown.columns, rotation=45, ha="right")',
        "ax.set_yticks(range(len(shown)), shown.index)",
        "for row in range(len(shown)):",
        "    for column in range(len(shown)):",
        '        ax.text(column, row, f"{shown.iloc[row, column]:.2f}", ha="center", va="center")',
        'fig.colorbar(image, label="correlation")',
    ]


def _of_groups(plan: Plan, code: _Code) -> tuple[list[str], str, str]:
    keys = [code.names[key] for key in plan.keys]
    if not keys:
        raise PlanError(f"A {plan.output} chart over what? Say “by …”.")
    x, values = keys[0], [code.value_name(), *list(code.measure_names())[1:]]
    y = values[0] if len(values) == 1 else "value"
    across = code.names[plan.across] if plan.across else keys[1] if len(keys) > 1 else ""
    if plan.output == "pie":
        return [f"ax.pie(result[{py(values[0])}], labels=result[{py(x)}].astype(str))"], "", ""
    if across and len(values) > 1:
        raise PlanError("A chart shows one number for each line or colour; ask for two charts.")
    if across:
        made = [f"shown = result.pivot(index={py(x)}, columns={py(across)}, values={py(values[0])})"]
        if plan.measures[0].aggregate == "count":
            made[0] += ".fillna(0)"
    else:
        made = [f"shown = result.set_index({py(x)})[{py(values)}]"]
    if plan.output == "heatmap":
        return [*made, *_heat(y)], x, across
    if plan.output == "line":
        made += _lines(plan, code, several=bool(across) or len(values) > 1)
    else:
        made += _bars(plan, several=bool(across) or len(values) > 1)
    if across or len(values) > 1:
        heading = f"title={py(across)}, " if across else ""
        made.append(f'ax.legend({heading}loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")')
    made.append("ax.grid(alpha=0.3)")
    return (made, y, x) if plan.output == "horizontal bar" else (made, x, y)


def _heat(label: str) -> list[str]:
    return [
        'image = ax.imshow(shown.T.to_numpy(dtype=float), aspect="auto")',
        'ax.set_xticks(range(len(shown)), shown.index.astype(str), rotation=45, ha="right")',
        "ax.set_yticks(range(shown.shape[1]), shown.columns.astype(str))",
        f"fig.colorbar(image, label={py(label)})",
    ]


def _lines(plan: Plan, code: _Code, *, several: bool) -> list[str]:
    key = plan.keys[0]
    column = code.columns.get(key.column)
    number = column is not None and not key.bands and (column.numeric or key.unit in {"year", "hour"})
    dates = column is not None and column.kind == "date" and not key.unit and column.grain in {"day", "time"}
    # Lines over texts keep every place of the axis, so that all of them share its order.
    cells = "line.dropna()" if number or dates else "line"
    index = "line.index" if number or dates else "line.index.astype(str)"
    label = ", label=str(name)" if several else ""
    lines = [] if plan.order else ["shown = shown.sort_index()"]
    lines += ["for name, line in shown.items():"]
    lines += [f"    line = {cells}"] if cells != "line" else []
    lines += [f'    ax.plot({index}, line, marker="o", markersize=4{label})']
    if number:
        lines.append('ax.locator_params(axis="x", integer=True)')
    else:
        lines.append(_TURNED)
    return lines


def _bars(plan: Plan, *, several: bool) -> list[str]:
    flat = plan.output == "horizontal bar"
    stacked = ", stacked=True" if plan.output == "stacked bar" else ""
    lines = ['shown.index = shown.index.astype(str).str.removesuffix(" 00:00:00")']
    if several:
        return [*lines, f"shown.plot.bar{'h' if flat else ''}(ax=ax, width=0.8{stacked})", *([] if flat else [_TURNED])]
    lines.append(f"ax.bar{'h' if flat else ''}(shown.index, shown.iloc[:, 0])")
    return [*lines, "ax.invert_yaxis()" if flat else _TURNED]
