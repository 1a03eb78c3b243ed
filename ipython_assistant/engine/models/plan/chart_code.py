"""Writes the code that draws a plan's `result`: plain matplotlib, one pair of axes, labelled."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.plan import OF_POINTS, PlanError
from ipython_assistant.engine.models.plan.words import title
from ipython_assistant.engine.models.table_profiles import py

if TYPE_CHECKING:
    from ipython_assistant.engine.models.plan.pandas_code import PlanCode
    from ipython_assistant.engine.models.plan.plan import Plan

TITLE_LENGTH: Final = 70
"""Characters of a chart's title in one line; the figure is 7 inches wide."""
DOTS_PER_INCH: Final = 150
_TURNED: Final = 'plt.setp(ax.get_xticklabels(), rotation=45, ha="right")'
_CORRELATIONS: Final = """\
shown = result.set_index("column")
image = ax.imshow(shown.to_numpy(), vmin=-1, vmax=1, cmap="RdBu_r")
ax.set_xticks(range(len(shown)), shown.columns, rotation=45, ha="right")
ax.set_yticks(range(len(shown)), shown.index)
for row in range(len(shown)):
    for column in range(len(shown)):
        ax.text(column, row, f"{shown.iloc[row, column]:.2f}", ha="center", va="center")
fig.colorbar(image, label="correlation")"""


def drawing(plan: Plan, code: PlanCode) -> list[str]:
    """The lines that draw and save the picture. Raises `PlanError` where it lacks what such a chart needs."""
    if plan.output == "correlation heatmap":
        lines, across, up = _CORRELATIONS.split("\n"), "", ""
    else:
        lines, across, up = (_of_points if plan.output in OF_POINTS else _of_groups)(plan, code)
    heading = "\n".join(textwrap.wrap(title(plan), TITLE_LENGTH))
    return [
        'plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar sign',
        'fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")',
        *lines,
        f"ax.set(\n    title={py(heading)},\n    xlabel={py(across)},\n    ylabel={py(up)},\n)",
        f"fig.savefig({py(plan.file)}, dpi={DOTS_PER_INCH})",
        "plt.close(fig)",
        f'print(f"{{len(result):,}} points, saved as", {py(plan.file)})',
    ]


def _of_points(plan: Plan, code: PlanCode) -> tuple[list[str], str, str]:
    names = [measure.column for measure in plan.measures]
    keys = [code.names[key] for key in plan.all_keys]
    if len(names) < 1 + (plan.output == "scatter"):
        raise PlanError(
            "A scatter chart needs two columns of numbers." if names else f"A {plan.output} of which column?"
        )
    cells = f"result[{py(names[0])}]"
    parts = f"result.groupby({py(keys[0])}, observed=True)" if keys else ""
    if plan.output == "histogram":
        return [f'ax.hist({cells}, bins={plan.bins or 20}, edgecolor="white")'], names[0], "rows"
    if plan.output == "scatter" and not keys:
        return [f"ax.scatter(result[{py(names[1])}], {cells}, s=18, alpha=0.7)"], names[1], names[0]
    if plan.output == "scatter":
        dots = f"ax.scatter(part[{py(names[1])}], part[{py(names[0])}], s=18, alpha=0.7, label=str(name))"
        return [f"for name, part in {parts}:", f"    {dots}", f"ax.legend(title={py(keys[0])})"], names[1], names[0]
    if not keys:
        return [f"ax.boxplot({cells})", "ax.set_xticks([])"], "", names[0]
    lines = [
        f"groups = [(str(name), part) for name, part in {parts}[{py(names[0])}]]",
        "ax.boxplot([part for _, part in groups])",
        "ax.set_xticks(range(1, len(groups) + 1), [name for name, _ in groups])",
        _TURNED,
    ]
    return lines, keys[0], names[0]


def _of_groups(plan: Plan, code: PlanCode) -> tuple[list[str], str, str]:
    if not plan.keys:
        raise PlanError(f"A {plan.output} chart over what? Say “by …”.")
    keys = [code.names[key] for key in plan.keys]
    x, values = keys[0], [code.value_name(), *list(code.measure_names())[1:]]
    y = values[0] if len(values) == 1 else "value"
    across = code.names[plan.across] if plan.across else keys[1] if len(keys) > 1 else ""
    if plan.output == "pie":
        return [f"ax.pie(result[{py(values[0])}], labels=result[{py(x)}].astype(str))"], "", ""
    if across and len(values) > 1:
        raise PlanError("A chart shows one number for each line or colour; ask for two charts.")
    made = [f"shown = result.set_index({py(x)})[{py(values)}]"]
    if across:
        zero = ".fillna(0)" if plan.measures[0].aggregate == "count" else ""
        made = [f"shown = result.pivot(index={py(x)}, columns={py(across)}, values={py(values[0])}){zero}"]
    if plan.output == "heatmap":
        made += [
            'image = ax.imshow(shown.T.to_numpy(dtype=float), aspect="auto")',
            'ax.set_xticks(range(len(shown)), shown.index.astype(str), rotation=45, ha="right")',
            "ax.set_yticks(range(shown.shape[1]), shown.columns.astype(str))",
            f"fig.colorbar(image, label={py(y)})",
        ]
        return made, x, across
    several = bool(across) or len(values) > 1
    made += _lines(plan, code, several=several) if plan.output == "line" else _bars(plan, several=several)
    if several:
        heading = f"title={py(across)}, " if across else ""
        made.append(f'ax.legend({heading}loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")')
    made.append("ax.grid(alpha=0.3)")
    return (made, y, x) if plan.output == "horizontal bar" else (made, x, y)


def _lines(plan: Plan, code: PlanCode, *, several: bool) -> list[str]:
    key = plan.keys[0]
    column = code.columns.get(key.column)
    number = column is not None and not key.bands and (column.numeric or key.unit in {"year", "hour"})
    dates = column is not None and column.kind == "date" and not key.unit and column.grain in {"day", "time"}
    # Lines over texts keep every place of the axis, so that all of them share its order.
    lines = [] if plan.order else ["shown = shown.sort_index()"]
    lines += ["for name, line in shown.items():", *(["    line = line.dropna()"] if number or dates else [])]
    index = "line.index" if number or dates else "line.index.astype(str)"
    lines += [f'    ax.plot({index}, line, marker="o", markersize=4{", label=str(name)" if several else ""})']
    return [*lines, 'ax.locator_params(axis="x", integer=True)' if number else _TURNED]


def _bars(plan: Plan, *, several: bool) -> list[str]:
    flat = "h" if plan.output == "horizontal bar" else ""
    lines = ['shown.index = shown.index.astype(str).str.removesuffix(" 00:00:00")']
    if several:
        stacked = ", stacked=True" if plan.output == "stacked bar" else ""
        return [*lines, f"shown.plot.bar{flat}(ax=ax, width=0.8{stacked})", *([] if flat else [_TURNED])]
    return [*lines, f"ax.bar{flat}(shown.index, shown.iloc[:, 0])", "ax.invert_yaxis()" if flat else _TURNED]
