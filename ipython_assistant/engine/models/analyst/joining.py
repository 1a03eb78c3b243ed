"""Two tables put together on a column that both have: which can be, and how a prompt asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import fold, plain_words, words
from ipython_assistant.engine.models.analyst.mentions import Name, Place
from ipython_assistant.engine.models.analyst.tables import Column, Join, Kind, Table
from ipython_assistant.engine.models.markdown import bold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

MAX_JOINED: Final = 6
"""Pairs of tables that are tried; each is a reading of the whole prompt."""


def joined(tables: Sequence[Table]) -> list[Table]:
    """Tables that can be made of two: each row of one has at most one row of the other with the same key."""
    pairs = ((left, right) for left in tables for right in tables if left is not right)
    return [one for left, right in pairs for one in _pair(left, right)][:MAX_JOINED]


def _pair(left: Table, right: Table) -> Iterator[Table]:
    keys = [(one, other) for one in left.columns for other in right.columns if _same_key(one, other, left, right)]
    unique = [(one, other) for one, other in keys if other.distinct == right.rows - other.missing > 1]
    named = [pair for pair in unique if pair[1].named_id]
    chosen = named if len(named) == 1 else unique
    if len(chosen) != 1:  # several shared keys: which one is meant would be a guess
        return
    left_key, right_key = chosen[0]
    there = {plain_words(column.name) for column in left.columns}
    looked_up = tuple(
        replace(column, floats=column.floats or column.whole, unique=False)
        for column in right.columns
        if column is not right_key and plain_words(column.name) not in there
    )
    join = Join(left, right, left_key, right_key)
    yield Table(left.path, left.rows, left.columns + looked_up, form="joined", join=join)


def _same_key(one: Column, other: Column, left: Table, right: Table) -> bool:
    """Columns of the same name and kind whose values meet; `id` in customers is `customer_id` elsewhere."""
    named = fold(one.name).strip() == fold(other.name).strip() or plain_words(one.name) == plain_words(other.name)
    alias = {(*plain_words(right.stem.removesuffix("s")), *plain_words(other.name))}
    own = plain_words(other.name) in {("id",), ("code",), ("name",)} and plain_words(one.name) in alias
    if not (named or own) or one.kind is not other.kind or one.kind not in {Kind.TEXT, Kind.NUMBER}:
        return False
    if one.kind is Kind.NUMBER and not (one.whole and other.whole and not one.conversion and not other.conversion):
        return False
    del left
    return not (one.values and other.values) or not set(one.values).isdisjoint(other.values)


_VERBS: Final = words(
    "join joined merge merged combine combined match matched link lookup enrich attach joining merging"
)
_HOWS: Final[dict[tuple[str, ...], str]] = {
    ("left",): "left", ("inner",): "inner", ("left", "outer"): "left",
}  # fmt: skip
_JOINTS: Final = words(
    "the with and to on onto by using via their shared common key column table tables file files data based both two",
    "of these together ,",
)


def put_together(clause: Clause, at: int, draft: Draft) -> int:
    """`join orders with customers on customer_id`, `left join the two tables`."""
    start = clause.past(at, {"a", "an", "do", "please"})
    phrase = clause.phrase(start, tuple(_HOWS))
    verb = clause.past(start + len(phrase), {"-"})
    join = draft.table.join
    if clause.word(verb) not in _VERBS or join is None:
        return at
    draft.joined = _HOWS.get(phrase, "?")
    end, seen = verb + 1, 0
    while True:
        item = clause.at(end)
        mention = clause.column(end)
        if isinstance(item, Place):
            seen += 1
        elif mention is not None and clause.word(end - 1) in {
            "on",
            "by",
            "using",
            "via",
            "key",
            "column",
            "and",
            "the",
        }:
            keys = {join.left_key.name, join.right_key.name}
            named = clause.word(clause.back(end - 1, {"the", "column", "key", "shared", "common"}))
            if not any(column.name in keys for column in mention.choices):
                if named in {"on", "by", "using", "via"} and not _grouped_by(clause, end):
                    draft.problem(f"The tables are put together on {bold(join.left_key.name)}, not on another column.")
                break
        elif clause.word(end) not in _JOINTS or _new_request(clause, end):
            break
        end += 1
    while clause.word(end - 1) in {",", "and", "by", "of"} and end > verb + 1:
        end -= 1
    del seen
    return end


def _grouped_by(clause: Clause, at: int) -> bool:
    """`merge them and plot by region`: the column makes groups."""
    return clause.word(clause.back(at - 1, {"the"})) == "by"


def _new_request(clause: Clause, at: int) -> bool:
    """`and` or `by` before something that is no part of the join."""
    after = clause.at(clause.past(at + 1, {"the", "by", "to"}))
    return (
        clause.word(at) in {"and", ",", "by"} and not isinstance(after, Place | Name) and clause.column(at + 1) is None
    )


def settled(table: Table, how: str) -> Table:
    """The joined table as it was asked for."""
    if table.join is None:
        return table
    return replace(table, join=replace(table.join, how="inner" if how == "inner" else "left", asked=how == "?"))


def in_words(table: Table) -> str:
    """How two tables were put together, as a Markdown sentence."""
    join = table.join
    if join is None:
        return ""
    keys = " and ".join(dict.fromkeys([bold(join.left_key.name), bold(join.right_key.name)]))
    kept = "rows without a match are left out" if join.how == "inner" else "rows without a match are kept"
    left, right = bold(join.left.shown), bold(join.right.shown)
    return f"To each row of {left} I add the row of {right} with the same {keys}; {kept}."
