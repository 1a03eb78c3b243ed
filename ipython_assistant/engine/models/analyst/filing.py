"""Phrases about files: their names and kinds, what is saved, the table by name. Part of the grammar in `phrases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst import vocabulary as known
from ipython_assistant.engine.models.analyst.lexing import TokenKind
from ipython_assistant.engine.models.analyst.mentions import Name, Place, Word
from ipython_assistant.engine.models.markdown import quoted

if TYPE_CHECKING:
    from ipython_assistant.engine.models.analyst.draft import Clause, Draft


def file_name(clause: Clause, at: int, draft: Draft) -> int:
    """`as by_district.csv`, `to "by district.csv"`, `as csv`."""
    start = clause.word(at)
    if start not in known.NAMING or (
        start == "in" and not draft.saving and clause.word(at + 1) not in known.FILE_FORMATS
    ):
        return at
    end = clause.past(at + 1, {"a", "an", "the", "file", "called", "named", "new", "name", "into"})
    item = clause.at(end)
    kinds = clause.word(end) in known.FILE_FORMATS
    named = clause.past(end + 1, {"file", "table", "called", "named", "as", "spreadsheet"}) if kinds else end
    if kinds and isinstance(clause.at(named), Name) and named > end + 1:  # "to an Excel file called x.xlsx"
        if not draft.name:
            _of_kind(clause.word(end), draft)
        end, item = named, clause.at(named)
    if isinstance(item, Name) and (start in {"as", "called", "named"} or not item.quoted or "." in item.text):
        if draft.name:
            draft.problem(f"Two file names were given, {quoted(draft.name)} and {quoted(item.text)}.")
        draft.name = item.text
        return end + 1
    if isinstance(item, Place) and start != "in":
        draft.problem(f"{quoted(draft.table.name)} is the table itself and would be overwritten.")
        return end + 1
    if clause.word(end) not in known.FILE_FORMATS:
        return at
    _of_kind(clause.word(end), draft)
    following = clause.past(
        end + 1, {"file", "table", "format", "spreadsheet", "workbook", "files", "page", "document"}
    )
    while (joint := clause.past(following, {"and", ",", "&"})) > following and clause.word(joint) in known.FILE_FORMATS:
        _of_kind(clause.word(joint), draft)
        following = clause.past(joint + 1, {"file", "table", "format"})
    return following


def format_alone(clause: Clause, at: int, draft: Draft) -> int:
    """`parquet`, `excel please`: a whole request."""
    rest = [
        item
        for item in clause.items[at + 1 :]
        if not (isinstance(item, Word) and item.norm in known.IDLE | known.HARMLESS_MARKS)
    ]
    if (
        clause.word(at) not in known.FILE_FORMATS
        or at
        or [one for one in rest if clause.word(at + 1) not in {"file", "format"}]
    ):
        return at
    _of_kind(clause.word(at), draft)
    return clause.past(at + 1, {"file", "format"})


def _of_kind(word: str, draft: Draft) -> None:
    ending = known.FILE_FORMATS[word]
    if not ending:
        draft.problem(
            f"I write CSV, TSV, Excel, JSON, Parquet, Markdown and HTML, and charts as PNG, not {quoted(word)}."
        )
    elif ending == ".csv":
        draft.as_table = True
        draft.ending = draft.ending or ending
    elif draft.ending and draft.ending != ending:
        draft.problem("Two kinds of file are asked for: ask for one at a time.")
    else:
        draft.ending, draft.as_table = ending, True


def saving(clause: Clause, at: int, draft: Draft) -> int:
    """`save it`, `export the table`, `save this chart`."""
    if clause.word(at) not in known.SAVE_VERBS:
        return at
    draft.saving = True
    noun = clause.past(at + 1, {"the"})
    end = clause.past(noun, known.OUTCOME_NOUNS | known.CHART_NOUNS | {"table", "data"})
    spoken_of = clause.word(noun) in known.OUTCOME_NOUNS | known.CHART_NOUNS
    end = clause.past(end, {"too", "also"} if spoken_of else set())
    points = any(clause.word(index) in {"points", "numbers", "values", "table"} for index in range(noun, end))
    draft.as_table |= points and spoken_of and not draft.name
    if spoken_of and (clause.at(end) is None or clause.word(end) in known.NAMING):
        draft.outcome = True
        return end
    return at + 1


def all_columns(clause: Clause, at: int, draft: Draft) -> int:
    """`all the columns`, `every column`, `with all columns`: as rows are always written."""
    start = clause.past(at, {"with", "and", "keep"})
    phrase = clause.phrase(start, _ALL_COLUMNS)
    if not phrase or draft.measures or draft.hows or draft.chart:
        return at
    draft.listing = draft.all_columns = True
    return start + len(phrase)


_ALL_COLUMNS: Final = (
    ("all", "the", "columns"), ("all", "columns"), ("every", "column"), ("all", "the", "fields"), ("all", "fields"),
    ("all", "the", "variables"), ("all", "variables"),
)  # fmt: skip


def all_rows(clause: Clause, at: int, draft: Draft) -> int:
    """`for all rows`, `over all the data`, `everything`."""
    start = clause.past(at, {"for", "of", "over", "in", "from", "on", "across"})
    start += clause.word(start) == "the" and clause.word(start + 1) in {"whole", "full", "entire", "complete"}
    noun = clause.past(start + 1, {"the"})
    if clause.word(start) == "everything":
        noun = start
    elif clause.word(start) not in {"all", "whole", "full", "entire", "complete"} or not (
        clause.rows(noun) or clause.word(noun) in known.TABLE_NOUNS
    ):
        return at
    draft.everything = draft.of_table = True
    return noun + 1


def table_noun(clause: Clause, at: int, draft: Draft) -> int:
    """The table by its name, or its rows or data as such; `as a table`."""
    noun = clause.past(at + 1, {"a"}) if clause.word(at) == "as" else at
    noun += clause.word(at) == "every" and clause.word(at - 1) in known.LIST_VERBS | {"me", "us"}
    if (
        not isinstance(clause.at(noun), Place)
        and clause.word(noun) not in known.TABLE_NOUNS
        and not clause.persons(noun)
    ):
        return at
    draft.of_table = True
    draft.place |= isinstance(clause.at(noun), Place)
    draft.of_rows |= clause.word(noun) in known.ROW_NOUNS or _rows_in(clause, noun, draft)
    draft.as_table |= clause.word(noun) == "table" and clause.word(noun - 1) in {"a", "and"}
    return noun + 1


def _rows_in(clause: Clause, at: int, draft: Draft) -> bool:
    """`cases in districts with a hospital`: the table's name, said first, is what is wanted."""
    item = clause.at(at)
    named = isinstance(item, Place) and all(token.kind is TokenKind.WORD for token in item.tokens)
    after = clause.word(at + 1) in {"in", "of", "from", "at"}
    return (
        named and after and not draft.measures and clause.word(at - 1) not in {"in", "of", "from", "for", "on", "using"}
    )
