"""Phrases about what a cell says, or that it says nothing: `contains "north"`, `is missing`. Part of the grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import plain_words, words
from ipython_assistant.engine.models.analyst.mentions import ColumnMention, Name, Number, ValueMention, Word
from ipython_assistant.engine.models.analyst.plan import (
    AnyOf,
    Blank,
    Contains,
)
from ipython_assistant.engine.models.analyst.tables import Column, Kind
from ipython_assistant.engine.models.markdown import bold, escape, listed, quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft


LEAD: Final = known.TIES | {"the", "that"}
_PLACES: Final[dict[tuple[str, ...], str]] = {
    **{(word,): "contains" for word in ("contains", "containing", "contain", "includes", "including", "mentions")},
    ("like",): "contains",
    **{("that", word): "contains" for word in ("contains", "contain", "includes", "include")},
    **{(verb, "with"): "startswith" for verb in ("starts", "starting", "start", "begins", "beginning", "begin")},
    **{("that", verb, "with"): "startswith" for verb in ("starts", "start", "begins", "begin")},
    **{(verb, "with"): "endswith" for verb in ("ends", "ending", "end")},
    **{("that", verb, "with"): "endswith" for verb in ("ends", "end")},
    ("starts", "by"): "startswith", ("mention",): "contains", ("mentioning",): "contains", ("include",): "contains",
}  # fmt: skip
_NOT: Final = (
    ("that", "do", "not"),
    ("that", "does", "not"),
    ("that", "don't"),
    ("that", "doesn't"),
    ("does", "not"),
    ("do", "not"),
    ("not",),
    ("doesn't",),
    ("don't",),
)


def containing(clause: Clause, at: int, draft: Draft) -> int:
    """`name contains "north"`, `site begins with Well`, `with "mine" in the name`."""
    start = clause.past(at, LEAD)
    mention = clause.column(start)
    if mention is None and clause.word(start) in {"name", "names"}:  # "districts whose name starts with B"
        mention = clause.column(at - 1)
    if mention is None:
        return (_with_text(clause, start, draft) if start > at else 0) or at
    negation = clause.phrase(start + 1, _NOT)
    verb = clause.phrase(start + 1 + len(negation), tuple(_PLACES))
    text_at = clause.past(start + 1 + len(negation) + len(verb), {"the", "word", "text", "letters", "letter"})
    text = _text(clause, text_at, any_word=bool(verb) and _PLACES[verb] != "contains")
    if not verb or not text:
        return at
    return _require_text(draft, mention.choices, (text, _PLACES[verb], bool(negation)), text_at + 1) or at


def but_not_containing(clause: Clause, at: int, draft: Draft) -> int:
    """`…, but not household contact`: right after what a text has to contain, what it may not."""
    before = draft.where[-1] if draft.where and draft.where_end in {at, at - 1} else None
    phrase = clause.phrase(clause.past(at, {","}), (("but", "not"), ("and", "not"), ("but", "no"), ("not",)))
    text_at = clause.past(at, {","}) + len(phrase)
    text = _text(clause, text_at)
    if not phrase or not text or not isinstance(before, Contains) or before.negated:
        return at
    if clause.at(text_at + 1) is not None and clause.word(text_at + 1) not in known.HARMLESS_MARKS:
        return at
    draft.require(Contains(before.column, text, negated=True))
    return text_at + 1


def _with_text(clause: Clause, at: int, draft: Draft) -> int:
    text = _text(clause, at, quoted_only=True)
    in_at = clause.past(at + 1, {"in", "the", "its", "their"})
    mention = clause.column(in_at)
    if mention is None and clause.word(in_at) in {"name", "names"}:  # "districts with 'er' in the name"
        mention = clause.column(at - 2)
    if not text or clause.word(at + 1) != "in" or mention is None:
        return 0
    return _require_text(draft, mention.choices, (text, "contains", False), in_at + 1) or at


def _require_text(draft: Draft, columns: tuple[Column, ...], wanted: tuple[str, str, bool], end: int) -> int:
    texts = [column for column in columns if column.kind is Kind.TEXT]
    if len(texts) != 1:
        return 0
    draft.require(Contains(texts[0], *wanted))
    return end


def _text(clause: Clause, at: int, *, quoted_only: bool = False, any_word: bool = False) -> str:
    item = clause.at(at)
    if isinstance(item, Name):
        return item.text
    if quoted_only or item is None:
        return (
            item.tokens[0].text
            if isinstance(item, ValueMention) and quoted_only and item.tokens[0].kind == "quoted"
            else ""
        )
    word = isinstance(item, Word) and item.norm.isalnum() and (any_word or item.norm not in known.KNOWN)
    return " ".join(token.text for token in item.tokens) if word or isinstance(item, ValueMention | Number) else ""


_BLANK: Final = frozenset(["missing", "blank", "empty", "null", "unknown", "na", "nan", "absent", "unavailable"])
_FILLED: Final = frozenset(["known", "present", "available", "filled", "recorded", "nonmissing"])
_DROP: Final = frozenset(
    ["drop", "remove", "exclude", "excluding", "ignore", "ignoring", "skip", "omit", "delete", "discard"]
)
_CELLS: Final = frozenset(["value", "values", "cell", "cells", "entry", "entries", "data", "number", "numbers"])


def blank(clause: Clause, at: int, draft: Draft) -> int:
    """`where coverage is missing`, `without coverage`, `with no coverage`, `drop rows with missing coverage`."""
    dropped = clause.word(at) in _DROP
    ahead = clause.past(at + 1, {"the", "all", "any"} | known.ROW_NOUNS) if dropped else at
    start = clause.past(ahead, (LEAD - {"without"}) | {"a", "an", "any"} | known.IDLE)
    if either := _either_blank(clause, start, draft) if not dropped else 0:
        return either
    if (found := _blank_first(clause, ahead, start)) or (found := _blank_after(clause, start)):
        column_at, end, negated = found
        mention = clause.column(column_at)
        if mention is None:
            return at
        column = draft.column(mention)
        _check_named(draft, mention, column)
        if column.kind is Kind.BOOL and _BLANK.isdisjoint(map(clause.word, range(ahead, end))) and not negated:
            none = f"{clause.word(column_at - 1)} {escape(column.name)}"
            draft.problem(
                f"{quoted(none)} could be a no or a missing answer: write “where {escape(column.name)} is no”, or "
                f"“where {escape(column.name)} is missing”."
            )
        draft.require(Blank(column, negated=negated is not dropped))
        return end
    return at


def _check_named(draft: Draft, mention: ColumnMention, column: Column) -> None:
    """A part of a name that columns of both tables put together have may be said of either."""
    said = {token.norm for token in mention.tokens}
    spoken = plain_words(column.name)
    head = next((spoken[:at] for at, word in enumerate(spoken) if at and word in {"in", "at", "per"}), spoken)
    if said.isdisjoint(head) and said <= set(spoken):  # "without a hospital" is not said of days in hospital
        draft.problem(f"{quoted(' '.join(token.text for token in mention.tokens))} may not mean {bold(column.name)}.")
    if draft.table.join is None or said >= set(plain_words(column.name)):
        return
    fitting = [one for one in draft.table.columns if said <= set(plain_words(one.name))]
    if len(fitting) > 1:
        names = listed([bold(one.name) for one in fitting], "or")
        draft.problem(f"{quoted(' '.join(token.text for token in mention.tokens))} could be {names}.")


_LEAVING: Final = (
    ("leave", "out"), ("leaving", "out"), ("without",), *((word,) for word in sorted(_DROP)),
    ("not", "counting"), ("disregarding",),
)  # fmt: skip
_WHOEVER: Final = (
    words("the all any whoever those anyone everyone who that which with has have having")
    | known.ROW_NOUNS
    | known.PERSONS
)
_UNFILLED: Final = frozenset(
    ["missing", "blanks", "blank", "empty", "nulls", "nans", "na", "nas", "missings", "unknown"]
)


def without_blanks(clause: Clause, at: int, draft: Draft) -> int:
    """`leave out whoever has no outcome or no gender`; `excluding missing`, which is said of what is calculated."""
    leaving = clause.phrase(at, _LEAVING)
    if not leaving:
        return at
    start = clause.past(at + len(leaving), {"the", "all", "any"})
    after = clause.past(start + 1, _CELLS | {"ones"})
    if clause.word(start) in _UNFILLED and (clause.at(after) is None or clause.word(after) in known.HARMLESS_MARKS):
        draft.known_only = True
        return after
    none_at = start
    while (
        clause.word(none_at) in _WHOEVER
        or (none_at > start and clause.rows(none_at))
        or (none_at == start and clause.rows(none_at) and clause.word(none_at + 1) in {"with", "that", "which", "who"})
    ):
        none_at += 1
    columns, at_column = [], clause.past(none_at + 1, {"a", "an", "any"})
    while clause.word(none_at) in {"no", "missing"} and (mention := clause.column(at_column)):
        columns.append(draft.column(mention))
        end = at_column + 1
        joint = clause.past(end, {"or", ","})
        none_at, at_column = joint, clause.past(joint + 1, {"a", "an", "any"})
        if joint == end or clause.word(joint) not in {"no", "missing"}:
            break
    if none_at == start or not columns or isinstance(clause.at(end), ValueMention | Number):
        return at
    if clause.word(end) in {"and", "&"} and (clause.column(end + 1) or clause.word(end + 1) == "no"):
        return at
    for column in columns:
        draft.require(Blank(column, negated=True))
    return end


def _blank_first(clause: Clause, ahead: int, start: int) -> tuple[int, int, bool] | None:
    """`missing coverage`, `without a coverage`, `with no coverage`, `non-missing coverage`."""
    negated = clause.word(start) == "non"
    word_at = clause.past(start + negated, {"-"})
    word = clause.word(word_at)
    if word in {"without", "lacking"} or (word == "no" and clause.word(word_at - 1) in {"with", "have", "has", "had"}):
        column_at = clause.past(
            word_at + 1, {"a", "an", "any", "the"} | _CELLS - {"number", "numbers", "data"} | {"for", "of"}
        )
    elif word in _BLANK:
        column_at = clause.past(word_at + 1, {"the"} | _CELLS | {"for", "in", "of"})
        if start == ahead and clause.word(ahead - 1) not in known.ROW_NOUNS:  # "missing coverage" alone may be a count
            return None
    else:
        return None
    follows = clause.at(column_at + 1)
    if clause.column(column_at) is None or isinstance(follows, ValueMention | Number):
        return None
    return column_at, clause.past(column_at + 1, {"value", "values", "data"}), negated


def _either_blank(clause: Clause, start: int, draft: Draft) -> int:
    """`the age or the wait is blank`."""
    second = clause.past(start + 2, {"the"})
    one, other = clause.column(start), _blank_after(clause, second)
    if one is None or other is None or clause.word(start + 1) != "or":
        return 0
    _, end, negated = other
    last = clause.column(second)
    if last is None or negated:
        return 0
    draft.require(AnyOf((Blank(draft.column(one)), Blank(draft.column(last)))))
    return end


def _blank_after(clause: Clause, start: int) -> tuple[int, int, bool] | None:
    """`coverage is missing`, `coverage is not blank`, `coverage value is empty`."""
    if clause.column(start) is None:
        return None
    verb = clause.past(start + 1, {"value", "values", "cell"})
    end = clause.past(verb, {"is", "are", "was", "were", "has", "been"})
    if end == verb:
        return None
    negated = clause.word(end) in {"not", "non"}
    end = clause.past(end + negated, {"-"})
    if clause.word(end) not in _BLANK | _FILLED:
        return None
    return start, end + 1, negated is not (clause.word(end) in _FILLED)
