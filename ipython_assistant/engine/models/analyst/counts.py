"""How many rows, values and groups there are for a plan, as they were counted in the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Known:
    """Rows that have a value for one measure and its groups.

    Args:
        known: How many such rows there are.
        missing: For each of the columns, the rows without a value; of a formula for the columns it is made of, and for
            itself the rows that have all of these.
        groups: How many groups they make.
        largest: The rows of the largest group.
        partial: Rows of these groups that have only some of the columns that a formula adds up.
    """

    known: int
    missing: Mapping[str, int]
    groups: int
    largest: int
    partial: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows a plan is about.

    Args:
        all: Rows of the table.
        rows: Rows that meet the conditions.
        uncompared: For each column in a comparison, rows of the table without a value, which meet no condition.
        keys: For each column that makes groups, its different values.
        all_keys: The same of the whole table.
        measures: What there is for each measure, then for each condition on groups, or for what rows are ranked by.
        unmatched: Where two tables are put together: rows of the left one without a match, and of the right one.
    """

    all: int
    rows: int
    uncompared: Mapping[str, int]
    keys: Mapping[str, int]
    all_keys: Mapping[str, int]
    measures: tuple[Known, ...]
    unmatched: tuple[int, int] = (0, 0)


def counts_from(found: Mapping[str, Any]) -> Counts:
    """One plan's counts out of the kernel's JSON."""
    measures = tuple(Known(**measure) for measure in found["measures"])
    return Counts(**{**found, "measures": measures, "unmatched": tuple(found["unmatched"])})
