"""Rates of groups: the total of one thing by the total of another, over rows that have both. Values, and their code.

A rate of a group is not the mean of its rows' rates: eight doses wasted of ten given, and none of a thousand, are not
40 %. Which numbers may be added up so is said by `Column.summed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.literals import py
from ipython_assistant.engine.models.analyst.tables import Column, Formula

if TYPE_CHECKING:
    from collections.abc import Callable

Part = Column | float | Formula
_FLIPPED: Final = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Ratio:
    """One sum of columns by another, times a number."""

    above: Column | Formula
    below: Column | Formula
    times: float = 1


def ratio_of(column: Column | None) -> Ratio | None:
    """The ratio that a column is defined as, where both sides may be added up over rows; None for any other column."""
    formula = column.made if column else None
    if not isinstance(formula, Formula):
        return None
    times: float = 1
    while formula.sign == "*":
        number, rest = (formula.right, formula.left) if isinstance(formula.left, Formula) else (None, None)
        if not isinstance(number, int | float) or not isinstance(rest, Formula):
            return None
        times, formula = times * number, rest
    above, below = formula.left, formula.right
    if formula.sign != "/" or isinstance(above, int | float) or isinstance(below, int | float):
        return None
    return Ratio(above, below, times) if _adds_up(above) and _adds_up(below) else None


def _adds_up(part: Part) -> bool:
    """True where the total of a part is made of the totals of its columns in the same way."""
    if isinstance(part, Column):
        return part.summed
    if not isinstance(part, Formula):
        return False
    if part.sign in {"+", "-"}:
        return _adds_up(part.left) and _adds_up(part.right)
    numbers = [isinstance(one, int | float) for one in (part.left, part.right)]
    return part.sign in _FLIPPED and any(numbers) and (_adds_up(part.left) or _adds_up(part.right))


def code_of(ratio: Ratio, total: Callable[[str], str], *, of_groups: bool) -> str:
    """The code of a ratio of totals.

    Args:
        ratio: What is divided by what.
        total: Makes the code of a column's total of its name, as a Python literal.
        of_groups: The totals are those of groups: one that is 0 gives no rate.
    """
    below = _code(ratio.below, total, inner=True)
    divisor = f'{below}.replace(0, float("nan"))' if of_groups else below
    times = f"{py(ratio.times)} * " if ratio.times != 1 else ""
    return f"{times}{_code(ratio.above, total, inner=True)} / {divisor}"


def _code(part: Part, total: Callable[[str], str], *, inner: bool = False) -> str:
    if isinstance(part, Column):
        return total(py(part.name))
    if not isinstance(part, Formula):
        return py(part)
    code = f"{_code(part.left, total, inner=True)} {part.sign} {_code(part.right, total, inner=True)}"
    return f"({code})" if inner else code
