"""Names for the files a plan writes: what was asked for, if it is safe, else one made from the plan."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import fold
from ipython_assistant.engine.models.analyst.plan import (
    AnyOf,
    Between,
    Blank,
    Chart,
    Compare,
    Condition,
    Contains,
    Correlation,
    Describe,
    Distinct,
    Duplicates,
    Group,
    How,
    InPart,
    InYears,
    Measure,
    Missing,
    OneOf,
    Plan,
    Proportion,
    Rows,
    Scatter,
    Sign,
    Spread,
    Task,
    Then,
    drawn,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipython_assistant.engine.models.analyst.tables import Column, Table

AUTOMATIC: Final = "*.csv"
"""Stands for a table file that is asked for without a name."""
MAX_STEM: Final = 60
"""Characters of a name made from a plan, its ending aside."""

_SAFE: Final = re.compile(r"[^\W_][\w.-]{0,99}")
_SIGNS: Final = {
    Sign.LESS: "under",
    Sign.AT_MOST: "up_to",
    Sign.MORE: "over",
    Sign.AT_LEAST: "at_least",
    Sign.EQUAL: "is",
    Sign.OTHER: "not",
}
_TIMES: Final = {**_SIGNS, Sign.LESS: "before", Sign.MORE: "after", Sign.AT_LEAST: "since", Sign.EQUAL: ""}
_UNIT: Final = re.compile(r"\s*[(\[{][^)\]}]*[)\]}]\s*$")


@dataclass(frozen=True, slots=True)
class Names:
    """What is known of file names before a prompt is read.

    Args:
        taken: Files that are there.
        own: Those of them that earlier answers made: they may be made again where their name is given again.
        wanted: Names under which tables have to come back, where the prompt gives none.
    """

    taken: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    wanted: tuple[str, ...] = ()


def as_wanted(plans: Sequence[Plan], wanted: Collection[str]) -> list[Plan]:
    """The plans, the only table without a name called as the only wanted one that has none; more would be a guess."""
    given = {_stem(plan.save) for plan in plans if plan.save and not _automatic(plan)}
    left = [name for name in wanted if _stem(name) not in given]
    nameless = [plan for plan in plans if (not drawn(plan.task) and not plan.save) or _automatic(plan)]
    if len(left) != 1 or len(nameless) != 1:
        return list(plans)
    stem, _, ending = left[0].rpartition(".")
    name = f"{stem}.{nameless[0].save.rpartition('.')[2] or ending}"
    return [replace(plan, save=name) if plan is nameless[0] else plan for plan in plans]


def _automatic(plan: Plan) -> bool:
    return plan.save.startswith("*.")


def _stem(name: str) -> str:
    return fold(name).rpartition(".")[0]


def checked(name: str) -> str:
    """Why a file may not be called so, as a sentence; empty if it may."""
    if "/" in name or "\\" in name:
        return "Files are written beside the table: give a name without a path."
    if not _SAFE.fullmatch(name) or ".." in name:
        return "A file name is made of letters, digits, dots, hyphens and underscores."
    return ""


def named(plans: Sequence[Plan], taken: Collection[str]) -> tuple[Plan, ...]:
    """Give every file that a plan writes a name of its own, none of them taken."""
    used = {fold(name) for name in taken} | {fold(name) for plan in plans for name in (plan.picture, plan.save) if name}
    done = []
    for plan in plans:
        picture, save = plan.picture, plan.save
        if drawn(plan.task) and not picture:
            picture = _free(slug(plan), ".png", used)
        if not drawn(plan.task) and not save:
            save = AUTOMATIC
        if save.startswith("*."):
            save = _free(slug(plan), save[1:], used)
        used |= {fold(picture), fold(save)}
        done.append(replace(plan, picture=picture, save=save))
    return tuple(done)


def _free(stem: str, ending: str, used: Collection[str]) -> str:
    numbers = (f"_{number}" for number in range(2, len(used) + 3))
    return next(name for number in ("", *numbers) if fold(name := f"{stem}{number}{ending}") not in used)


def slug(plan: Plan) -> str:
    """A file name's stem that says what is in it: `coverage_by_year_arvessa_north`."""
    parts = _parts(plan.task, plan.table)
    top = plan.task.top if isinstance(plan.task, Chart | Group | Rows) else None
    if top:
        parts = ["top" if top.largest else "bottom", f"{top.count}{'_percent' if top.percent else ''}", *parts]
    parts += [word for condition in plan.where for word in _condition(condition)]
    return "_".join(filter(None, parts))[:MAX_STEM].strip("_") or "table"


def _parts(task: Task, table: Table) -> list[str]:
    stem = _plain(table.join.left.stem if table.join else table.stem)
    match task:
        case Chart(measures=measures, over=over, series=series):
            return [*_then(task), *_measured(measures), "by", _name(over), *_each("per", series)]
        case Spread(kind, columns, per):
            return [kind, *map(_name, columns), *_each("per", per)]
        case Scatter(x, y, _):
            return [_name(y), "against", _name(x)]
        case Group(measures=measures, keys=keys, wide=wide):
            return [*_then(task), *_measured(measures), *_each("by", *keys, wide)]
        case Proportion(condition, keys, of):
            return ["share", *_each("of", of), *_condition(condition), *_each("by", *keys)]
        case Distinct(columns):
            return ["different", *map(_name, columns)]
        case Rows(columns=columns) if columns:
            return [*map(_name, columns[:3])]
        case Rows():
            return [stem, "joined" if table.join else "rows"]
        case Duplicates(keep=keep):
            return [stem, {"first": "without_duplicates", "count": "duplicates_count"}.get(keep, "duplicates")]
        case _:
            what = {Describe: "described", Missing: "missing", Correlation: "correlations"}[type(task)]
            return [stem, what, *_each("by", *(task.keys if isinstance(task, Missing) else ()))]


def _each(joint: str, *columns: Column | None) -> list[str]:
    names = [_name(column) for column in columns if column]
    return [joint, *names] if names else []


def _then(task: Chart | Group) -> list[str]:
    return (
        [{Then.RUNNING: "running", Then.GROWTH: "change_percent"}.get(task.then, task.then.value)] if task.then else []
    )


def _measured(measures: Sequence[Measure]) -> list[str]:
    parts = [
        "rows" if one.column is None else f"{_HOWS.get(one.how, one.how or '')}_{_name(one.column)}" for one in measures
    ]
    return [word for part in parts for word in ("and", part.strip("_"))][1:]


_HOWS: Final[dict[How | None, str]] = {How.SUM: "total", How.DISTINCT: "number_of", How.RATE: ""}


def _condition(condition: Condition) -> list[str]:
    match condition:
        case OneOf(values=values, negated=negated):
            return ["without"] * negated + list(dict.fromkeys(map(_plain, values)))
        case InYears(years=years, negated=negated):
            return ["without"] * negated + [str(year) for year in years]
        case Compare(column, sign, bound):
            words = [_TIMES[sign]] if column.in_time else [_name(column), _SIGNS[sign]]
            return [*words, _plain(str(bound))]
        case Between(column, low, high):
            return [*([] if column.in_time else [_name(column)]), _plain(str(low)), "to", _plain(str(high))]
        case Contains(text=text, negated=negated):
            return ["without"] * negated + [_plain(text)]
        case Blank(column, negated):
            return ["with" if negated else "without", _name(column)]
        case InPart(unit=unit, numbers=numbers):
            return [unit.value.split()[0], *map(str, numbers)]
        case AnyOf():
            return ["some"]


def _name(column: Column) -> str:
    """A column in a file name: its words, without the unit in brackets."""
    return _plain(_UNIT.sub("", column.name)) or _plain(column.name.replace("%", "percent")) or "column"


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "_", fold(text)).strip("_")
