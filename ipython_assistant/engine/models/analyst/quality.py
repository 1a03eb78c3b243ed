"""Phrases about what is in a table: what is missing, repeats or differs. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import words
from ipython_assistant.engine.models.analyst.plan import How, Measure
from ipython_assistant.engine.models.analyst.superlatives import number
from ipython_assistant.engine.models.analyst.tables import Kind

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft

_GONE: Final = frozenset(["missing", "blank", "blanks", "empty", "null", "nulls", "nan", "nans", "gaps", "na", "nas"])
_CELLS: Final = frozenset(["value", "values", "cell", "cells", "entry", "entries", "data", "fields"])
_REPEATED: Final = frozenset(["duplicate", "duplicates", "duplicated", "repeated", "identical", "dupes", "dups"])
_DROP: Final = frozenset(["remove", "drop", "delete", "removing", "dropping", "without", "exclude", "eliminate"])
_COUNTING: Final = (("how", "many"), ("number", "of"), ("count", "of"), ("count",), ("are", "there"), ("is", "there"))


def missing(clause: Clause, at: int, draft: Draft) -> int:
    """`missing values per column`, `how many blank cells`, `which columns have missing values`."""
    start = clause.phrase(at, (("how", "many"), ("number", "of"), ("count", "of"), ("count",), ("how", "much")))
    first = clause.past(at + len(start), {"the", "all", "which", "columns", "column", "have", "has", "any"})
    if clause.word(first) not in _GONE:
        return at
    end = clause.past(first + 1, _CELLS)
    draft.missing = True
    end = _per_column(clause, _there(clause, end))
    also = clause.past(end, {"and", ","})
    return also + 2 if clause.phrase(also, (("how", "many"),)) and clause.at(also + 2) is None else end


def _there(clause: Clause, at: int) -> int:
    return clause.past(at, {"are", "there", "is", "do", "does", "we", "have", "count", "counts"})


def _per_column(clause: Clause, at: int) -> int:
    """`per column`, `in each column`."""
    per = clause.phrase(at, known.PER)
    end = clause.past(at + len(per), {"each", "every", "the"})
    return end + 1 if per and clause.word(end) in {"column", "columns", "variable", "field"} else at


def values_missing(clause: Clause, at: int, draft: Draft) -> int:
    """`how many coverage values are missing`, `how many PM2.5 and how many ozone values are missing`."""
    counted = clause.phrase(at, (("how", "many"), ("number", "of")))
    found = []
    verb = at + len(counted)
    while (mention := clause.column(column_at := clause.past(verb, {"of", "the"}))) is not None:
        found.append(mention)
        verb = clause.past(column_at + 1, _CELLS)
        joint = clause.past(verb, {"and", ",", "&"})
        again = clause.past(joint, {"how", "many"})
        if joint > verb and clause.column(clause.past(again, {"of", "the"})):
            verb = again
    verb = clause.past(verb, {"is", "are", "were", "was"})
    spoken = _CELLS | {"is", "are", "were", "was"}
    if not counted or not found or clause.word(verb - 1) not in spoken or clause.word(verb) not in _GONE:
        return at
    draft.missing = True
    draft.measures += [Measure(draft.column(mention)) for mention in found]
    draft.measure_end = verb + 1
    return verb + 1


def duplicates(clause: Clause, at: int, draft: Draft) -> int:
    """`duplicate rows`, `how many duplicates are there`, `remove duplicates`, `duplicated by site and date`."""
    if clause.word(at) in {"deduplicate", "dedupe", "deduplicated", "dedup"}:
        draft.duplicates = "first"
        return _compared_by(clause, clause.past(at + 1, {"the"} | known.TABLE_NOUNS), draft)
    dropped = clause.word(at) in _DROP
    rid = len(clause.phrase(at, (("get", "rid", "of"), ("getting", "rid", "of"))))
    dropped |= bool(rid)
    counted = clause.phrase(at, _COUNTING)
    first = clause.past(at + (rid or 1 if dropped else len(counted)), {"the", "any", "all", "are", "there", "exact"})
    if clause.word(first) not in _REPEATED:
        return at
    end = first + 1
    if clause.rows(end):
        draft.of_table = True
        end += 1
    draft.duplicates = "first" if dropped else "count" if counted else "all"
    end = _there(clause, end)
    mention = clause.column(end)
    if mention and end == first + 1:
        draft.measures.append(Measure(draft.column(mention)))
        draft.measure_end = end + 1
        end = _there(clause, end + 1)
    return _compared_by(clause, end, draft)


_THERE: Final = words(
    "are is in there the file table data list entered appear appears occur occurs listed recorded present that which",
    "were was have has been exist it come up",
)
_AGAIN: Final = (
    ("more", "than", "once"), ("at", "least", "twice"), ("twice", "or", "more"), ("several", "times"),
    ("multiple", "times"), ("more", "often", "than", "once"),
)  # fmt: skip


def more_than_once(clause: Clause, at: int, draft: Draft) -> int:
    """`which visit ids are in there more than once`: the rows that share one."""
    column_at = clause.past(at, {"which", "what", "list", "show", "find", "the", "all", "any"})
    mention = clause.column(column_at)
    times_at = clause.past(column_at + 1, _THERE)
    phrase = clause.phrase(times_at, _AGAIN)
    if mention is None or not phrase or any(column.calculable for column in mention.choices):
        return at
    draft.duplicates = "all"
    draft.measures.append(Measure(draft.column(mention)))
    draft.measure_end = times_at + len(phrase)
    return times_at + len(phrase)


def _compared_by(clause: Clause, at: int, draft: Draft) -> int:
    """`by site and date`, `based on id`, `with the same name`."""
    phrases = (("by",), ("based", "on"), ("on",), ("with", "the", "same"), ("sharing", "the", "same"), ("in",), ("of",))
    per = clause.phrase(at, phrases)
    end = clause.past(at + len(per), {"the"})
    if not per or clause.column(end) is None:
        return at
    while (mention := clause.column(end)) is not None:
        draft.measures.append(Measure(draft.column(mention)))
        draft.measure_end = end + 1
        at = end + 1
        end = clause.past(at, {"and", ",", "the", "&"})
    return at


_DIFFERENT: Final = frozenset(["distinct", "unique", "different"])


def distinct(clause: Clause, at: int, draft: Draft) -> int:
    """`unique districts`, `how many different diseases`, `number of districts`, `which diseases are there`."""
    counted = clause.phrase(at, (("how", "many"), ("number", "of"), ("count", "of"), ("count",), ("count", "the")))
    first = clause.past(at + len(counted), {"the"})
    marked = clause.word(first) in _DIFFERENT
    noun = clause.past(first + marked, {"values", "value", "of", "the", "names"}) if marked else first
    mention = clause.column(noun)
    if mention is None:
        return _present(clause, at, draft)
    if counted and not marked and clause.rows(noun + 1):  # "how many returned orders": an adjective
        return at
    keys = all(column.kind is not Kind.NUMBER or column.groups for column in mention.choices)
    if not keys or not (marked or (counted and counted != ("count",))):
        return _present(clause, at, draft)
    end = clause.past(noun + 1, {"values", "value"})
    if counted and mention.choices[0].kind is Kind.NUMBER and not marked:
        return at
    column = draft.column(mention)
    if counted:
        draft.measures.append(Measure(column, How.DISTINCT))
    else:
        draft.distinct = True
        draft.measures.append(Measure(column))
    draft.measure_end = end
    return _there(clause, end)


def paired(clause: Clause, at: int, draft: Draft) -> int:
    """`districts + months where …`: the different pairs of what is no number."""
    one, other = clause.column(at), clause.column(at + 2)
    if clause.word(at + 1) != "+" or one is None or other is None or draft.acted:
        return at
    if any(column.calculable for mention in (one, other) for column in mention.choices):
        return at
    draft.distinct = True
    draft.measures += [Measure(draft.column(one)), Measure(draft.column(other))]
    draft.measure_end = at + 3
    return at + 3


def _present(clause: Clause, at: int, draft: Draft) -> int:
    """`which diseases are there`, `what are the values of disease`."""
    asking = clause.word(at) in {"which", "what"}
    first = clause.past(at + 1, {"are", "is", "the", "all", "values", "value", "of", "possible"})
    mention = clause.column(first)
    if not asking or mention is None or not all(column.groups for column in mention.choices):
        return at
    valued = "values" in {clause.word(index) for index in range(at, first)}
    there = clause.phrase(first + 1, (("are", "there"), ("do", "we", "have"), ("exist",), ("occur",), ("are", "in")))
    if (
        not valued
        and not there
        and not (first == at + 1 and clause.word(first + 1) in {"had", "have", "are", "were", "with"})
    ):
        return at
    draft.distinct = True
    draft.measures.append(Measure(draft.column(mention)))
    draft.measure_end = first + 1
    return first + 1 + (len(there) if there and there[-1] != "in" else 0)


def first_rows(clause: Clause, at: int, draft: Draft) -> int:
    """`first 5 rows`, `the last ten records`."""
    start = clause.past(at, {"the"})
    word = clause.word(start)
    count = number(clause, start + 1)
    if word not in {"first", "last", "head", "tail"} or count is None:
        return at
    noun = start + 2
    if not clause.rows(noun):
        return at
    draft.first = count if word in {"first", "head"} else -count
    draft.of_table = True
    return noun + 1


def left_out(clause: Clause, at: int, draft: Draft) -> int:
    """`drop the column notes`, `without the code column`."""
    if clause.word(at) not in _DROP | {"without", "excluding", "except"}:
        return at
    start = clause.past(at + 1, {"the"})
    named = clause.word(start) in {"column", "columns"}
    end = clause.past(start, {"column", "columns", "the"})
    found = []
    while (mention := clause.column(end)) is not None:
        found.append(mention)
        after = clause.past(end + 1, {"column", "columns"})
        named |= after > end + 1
        end = (
            clause.past(after, {"and", ",", "the", "column"})
            if clause.column(clause.past(after, {"and", ",", "the"}))
            else after
        )
        if end == after:
            break
    if not named or not found:
        return at
    draft.left_out += [draft.column(mention) for mention in found]
    return end
