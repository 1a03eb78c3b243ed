"""What follows an exclusion: `excluding men over 60` may leave out men, and keep those over 60, or leave out both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.markdown import quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft
    from ipython_assistant.engine.models.analyst.plan import Condition, Having

_LEAVING: Final = (
    *known.EXCEPT, ("lacking",), ("with", "no"), ("have", "no"), ("has", "no"), ("leave",), ("exclude",),
    ("leaving",), ("removing",), ("dropping",), ("skip",), ("skipping",), ("discard",), ("discarding",), ("delete",),
    ("don't", "have"), ("doesn't", "have"),
)  # fmt: skip
_MARKS: Final = frozenset({",", ";"})
_ANEW: Final = frozenset({"in", "only", "for", "during", "since"})
"""After a mark, these begin a condition on all rows: `excluding men, in 2023`."""


_ONLY: Final = frozenset({"only", "just", "merely", "solely"})


def check_not_only(clause: Clause, draft: Draft) -> None:
    """`Not only for women` excludes nobody, and narrows to nobody."""
    if any(clause.word(index) == "not" and clause.word(index + 1) in _ONLY for index in range(len(clause.items))):
        draft.problem("“Not only” does not say which other rows are meant: leave it out, or name them.")


class Exclusion:
    """The last exclusion of a clause, and whether what is said next may still belong to it."""

    def __init__(self) -> None:
        self._start = -1
        self._end = -1
        self._before: tuple[int, int] = (0, 0)
        self._said: tuple[Condition | Having, ...] = ()

    def check(self, clause: Clause, span: tuple[int, int], draft: Draft) -> None:
        """A condition just read from these items is refused where it may be a part of what is excluded."""
        said = (*draft.where, *draft.having)
        if said == self._said:
            return
        self._said = said
        at, after = span
        excludes = _excludes(clause, at, after)
        if self._end >= 0 and not self._ended(clause, at, draft, again=excludes):
            left_out = quoted(_written(clause, self._start, self._end))
            more = quoted(_written(clause, self._end, after))
            draft.problem(
                f"It is not clear whether {more} belongs to what {left_out} leaves out: say it before that, as in "
                "“in 2023, excluding …”, or “where … is not … and …”."
            )
        self._start, self._end = (at, after) if excludes else (-1, -1)
        self._before = _groups(draft), _asked(draft)

    def _ended(self, clause: Clause, at: int, draft: Draft, *, again: bool) -> bool:
        """A break by groups, a mark and a new beginning, or another exclusion joined to it, ends the one before."""
        if _groups(draft) > self._before[0]:
            return True
        marked = clause.word(self._end) in _MARKS
        if marked and not self._before[1] and _asked(draft):  # "excluding men, number of visits in 2023"
            return True
        start = clause.past(self._end, _MARKS)
        leaving = {clause.word(index) for index in range(self._start, self._end)}
        if marked and clause.word(start) in _ANEW - leaving and start in {at, at - 1}:
            return True
        joint = clause.past(self._end, _MARKS | {"and", "or", "nor"})
        return again and joint > self._end and joint >= at


def _groups(draft: Draft) -> int:
    return len(draft.keys) + len(draft.series) + (draft.wide is not None)


def _asked(draft: Draft) -> int:
    return len(draft.measures) + len(draft.hows)


def _excludes(clause: Clause, at: int, after: int) -> bool:
    """True where the items leave something out; not for `disease is not LF`, which names its column first."""
    for index in range(at, after):
        if clause.phrase(index, tuple(known.COMPARISONS)):
            return False
        if clause.phrase(index, _LEAVING):
            return not any(clause.column(before) for before in range(at, index))
    return False


def _written(clause: Clause, start: int, end: int) -> str:
    return " ".join(token.text for item in clause.items[start:end] for token in item.tokens).strip(" ,;")
