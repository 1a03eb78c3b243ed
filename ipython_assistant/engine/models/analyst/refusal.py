"""Refusals that help: what was understood, what was not, and prompts that work on these very columns."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.analyst.lexing import fold, plain_words
from ipython_assistant.engine.models.analyst.reading import NotUnderstood, Understood, read
from ipython_assistant.engine.models.analyst.tables import Column, Kind, Table
from ipython_assistant.engine.models.analyst.wording import HOW_WORDS, MARKDOWN, condition_in_words, measure_in_words
from ipython_assistant.engine.models.markdown import bold, code, escape, listed, one_line, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipython_assistant.engine.models.analyst.draft import Draft

EXAMPLES: Final = 3
MOST_BARS: Final = 30
"""Different values up to which a column is offered for groups."""
_MOST_TRIED: Final = 12
"""Columns tried for examples; a table may have hundreds."""
_CLOSE: Final = 0.72
"""Likeness of spelling from which on a name is offered; it is never taken for what was meant."""

HEAD: Final = "No model was used, and nothing was run."
ABILITIES: Final = (
    "I describe tables, find what is missing, repeats or differs, filter and sort rows, calculate columns, take means, "
    "totals and counts per group or period, their shares, changes and running totals, pivot, correlate, put two tables "
    "together, draw charts, and write CSV, Excel, JSON, Parquet, Markdown and HTML."
)


def no_table(unread: Sequence[Table], others: Sequence[str]) -> str:
    """There is no table to work on."""
    parts = [f"{HEAD} There is no table to work on: add one with `-i file.csv`."]
    parts += [f"{bold(table.name)} could not be read: {escape(table.problem)}." for table in unread]
    if others:
        parts.append(f"I read CSV, TSV, Excel, JSON and Parquet, not {listed([bold(name) for name in others])}.")
    return "\n\n".join(parts)


def refusal(reading: NotUnderstood, tables: Sequence[Table], unread: Sequence[Table] = ()) -> str:
    """The answer to a prompt that cannot be read as a whole."""
    understood = list(dict.fromkeys(part for draft in reading.drafts for part in _understood(draft)))
    parts = [HEAD]
    if understood:
        parts.append(f"I understood: {', '.join(understood)}.")
    if reading.unknown:
        parts.append(f"I did not understand: {', '.join(map(quoted, dict.fromkeys(reading.unknown)))}.")
        parts += _nearest(reading.unknown, reading.drafts[0].table if reading.drafts else tables[0])
    parts += reading.problems
    return _with_examples(parts, tables, unread)


def impossible(sentences: Sequence[str], tables: Sequence[Table], unread: Sequence[Table] = ()) -> str:
    """The answer to a prompt that was read, but that these rows cannot answer."""
    return _with_examples([HEAD, *sentences], tables, unread)


def _with_examples(parts: list[str], tables: Sequence[Table], unread: Sequence[Table]) -> str:
    if len(tables) > 1:
        parts.append(f"The tables are {listed([bold(table.name) for table in tables])}.")
    parts += [f"{bold(table.name)} could not be read: {escape(table.problem)}." for table in unread]
    prompts = examples(tables)
    parts.append(f"{ABILITIES} These work here:\n\n" + "\n".join(f"- {code(prompt)}" for prompt in prompts))
    return "\n\n".join(parts)


def _nearest(unknown: Sequence[str], table: Table) -> list[str]:
    """Names and values that are spelled like what was not understood: an offer, not a guess."""
    names: dict[str, str] = {}
    for column in table.columns:
        for word in plain_words(column.name):
            names.setdefault(word, bold(column.name))
        for value in column.values:
            for text in (value, *value.split()):
                names.setdefault(fold(text), f"{quoted(value)} ({bold(column.name)})")
    close = [
        names[near]
        for part in unknown
        for word in part.split()
        if len(word) > 1
        for near in difflib.get_close_matches(fold(word), names, n=2, cutoff=_CLOSE)
    ]
    return [f"Is it {listed(list(dict.fromkeys(close)), 'or')}?"] if close else []


def examples(tables: Sequence[Table]) -> list[str]:
    """Three prompts that are understood with these tables, varied and built from their own columns."""
    found: list[str] = []
    kinds: set[str] = set()
    for kind, prompt in (candidate for table in tables for candidate in _candidates(table, alone=len(tables) == 1)):
        if kind not in kinds and one_line(prompt) == prompt and isinstance(read(prompt, tables), Understood):
            kinds.add(kind)
            found.append(prompt)
        if len(found) == EXAMPLES:
            break
    return found


def _candidates(table: Table, *, alone: bool) -> Iterator[tuple[str, str]]:
    """Prompts of several kinds, the most telling first; each may still fail to be understood."""
    of = "" if alone else f" in {table.name}"
    numbers = [column for column in table.columns if column.kind is Kind.NUMBER][:_MOST_TRIED]
    numbers.sort(key=lambda column: not column.share)
    keys = [column for column in table.columns if column.groups and column.kind is not Kind.NUMBER][:_MOST_TRIED]
    times = [column for column in keys if column.in_time]
    groups = [column for column in keys if not column.in_time and column.distinct <= MOST_BARS]
    for number in numbers:
        for y in _spoken(number):
            yield from (("plot", f"Plot mean {y} by {x}{of}") for over in times + groups for x in _spoken(over))
            yield from (("mean", f"Mean {y} per {x}{of}") for key in groups + times for x in _spoken(key))
    for key in groups + times:
        yield from (("count", f"Count rows per {x}{of}") for x in _spoken(key))
        for value in key.values[:_MOST_TRIED]:
            yield from (("rows", f'Save the rows where {x} is "{value}"{of}') for x in _spoken(key))
    yield "describe", f"Describe {'the table' if alone else table.name}"
    yield "copy", f"Save all rows{of} as {_free_name(table)}"
    yield "count", f"Count rows{of}"


def _free_name(table: Table) -> str:
    return "copy.csv" if fold(table.name) != "copy.csv" else "all_rows.csv"


def _spoken(column: Column) -> Iterator[str]:
    """Ways to write a column in a prompt: its own words, its name, its name quoted."""
    yield " ".join(word for word in plain_words(column.name) if word != "percent")
    yield " ".join(column.name.split())
    yield from (f"{mark}{column.name}{mark}" for mark in ('"', "`") if mark not in column.name)


def _understood(draft: Draft) -> list[str]:
    """What was understood of a clause that could not be understood as a whole, as Markdown."""
    parts = []
    if draft.chart:
        parts.append(f"a {draft.shape} chart".replace("  ", " "))
    parts += ["an overview"] if draft.describe else []
    parts += [f"the {'top' if draft.top.largest else 'bottom'} {draft.top.count}"] if draft.top else []
    parts += [HOW_WORDS[how] for how in draft.hows] if draft.hows and not draft.hows_used else []
    parts += [measure_in_words(measure, MARKDOWN) for measure in [*draft.measures, *draft.ranking]]
    parts += [f"by {bold(key.name)}" for key in [*draft.keys, *draft.series]]
    if draft.where:
        parts.append(f"rows where {listed([condition_in_words(one, MARKDOWN) for one in draft.where])}")
    parts += [f"a file {code(draft.name)}"] if draft.name else []
    return parts
