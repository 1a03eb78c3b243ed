"""Writes the code of plans: plain pandas and matplotlib, such as one would hand to a colleague.

Every name and value enters the code as a Python literal made by `repr`, so that no column name can be code. Comments
hold names too; they are kept on one line.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.analyst.code_charts import (
    charted,
    correlation_map,
    has_dollar,
    scattered,
    spread,
)
from ipython_assistant.engine.models.analyst.code_load import load
from ipython_assistant.engine.models.analyst.code_rows import copied, deduplicated, distinct, selected
from ipython_assistant.engine.models.analyst.code_tables import correlated, described, grouped, missing, proportion
from ipython_assistant.engine.models.analyst.literals import LINE_LENGTH
from ipython_assistant.engine.models.analyst.plan import (
    Chart,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    Missing,
    Plan,
    Proportion,
    Rows,
    Scatter,
    Spread,
    Task,
    drawn,
)
from ipython_assistant.engine.models.analyst.wording import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

IMPORT: Final = "import pandas as pd"


@dataclass(frozen=True, slots=True)
class Section:
    """The code of one plan.

    Args:
        heading: What it does, for a comment.
        select: Makes `rows`, the rows that count.
        compute: Makes what is drawn or written of them.
        write: Draws, prints, and writes the files.
    """

    heading: str
    select: str
    compute: str
    write: str


def program(plans: Sequence[Plan]) -> str:
    """The whole code of plans over one table."""
    table = plans[0].table
    sections = [section(plan) for plan in plans]
    imports = ["import matplotlib.pyplot as plt"] if any(drawn(plan.task) for plan in plans) else []
    imports += ["import numpy as np"] if any(_many_histograms(plan.task) for plan in plans) else []
    parts = ["\n".join([*imports, IMPORT]), load(table, plans)]
    if any(has_dollar(plan) for plan in plans):
        parts.append('plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar sign, not a formula')
    for number, part in enumerate(sections, 1):
        heading = f"# {number}. {part.heading}" if len(plans) > 1 else f"# {part.heading}"
        comment = "\n# ".join(textwrap.wrap(heading, LINE_LENGTH - 2, break_long_words=False, break_on_hyphens=False))
        parts.append("\n".join(filter(None, [comment, part.select, part.compute, part.write])))
    return "\n\n".join(parts) + "\n"


def _many_histograms(task: Task) -> bool:
    """True where several histograms share their edges."""
    return isinstance(task, Spread) and task.kind == "hist" and (task.per is not None or len(task.columns) > 1)


def section(plan: Plan) -> Section:
    """The code of one plan, `data` having been read."""
    select, rows = selected(plan.where)
    compute, write = WRITERS[type(plan.task)](plan, plan.task, rows)
    return Section(in_words(plan, plain=True), select, compute, write)


def _correlated(plan: Plan, task: Correlation, rows: str) -> tuple[str, str]:
    """A table of coefficients, or a heat map, and the table where it is asked for."""
    compute, write = correlated(plan, task, rows)
    return compute, "\n".join(filter(None, [write, correlation_map(plan) if task.drawn else ""]))


WRITERS: Final[Mapping[type[Task], Callable[[Plan, Any, str], tuple[str, str]]]] = {
    Describe: described,
    Missing: missing,
    Duplicates: deduplicated,
    Distinct: distinct,
    Correlation: _correlated,
    Proportion: proportion,
    Chart: charted,
    Spread: spread,
    Scatter: scattered,
    Group: grouped,
    Rows: copied,
}
"""For each kind of task what writes its code, of the plan, its task and the name of its rows: compute, then write."""
