"""The files that records name, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.links import encode_href
from ipython_assistant.display.bundles import KEY, Bundle, size_in_words
from ipython_assistant.display.escaping import escaped, one_line, visible
from ipython_assistant.display.grid import aligned
from ipython_assistant.display.markdown import NO_MATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.core.ledger import LedgerEntry

HEADER = ("file", "size", "asked", "model", "when (UTC)", "found", "state")
LONGEST_PROMPT = 50
_TO_THE_MINUTE = len("2026-01-15T09:30")
_FOUND = {"cited": "cited", "listed": "in the container", "figure": "shown"}
_STATES = {"present": "present", "changed": "changed since", "gone": "gone"}
_QUIET = "opacity:.7"
_TR = '<tr style="background:transparent">'
_CELL = "text-align:left;vertical-align:top;padding:.2em 1.5em .2em 0"


def ledger(entries: Sequence[LedgerEntry], remarks: Iterable[str] = ()) -> Bundle:
    """One line for each file: its size, what was asked, who answered, when, how it was found, how it stands on disk.

    Args:
        entries: The files.
        remarks: Sentences below the table.
    """
    rows, said = [_cells(entry) for entry in entries], list(remarks)
    html, lines = "", []
    if rows:
        head = "".join(f'<th style="{_CELL};font-weight:normal;{_QUIET}">{name}</th>' for name in HEADER)
        body = "".join(_row(entry, cells) for entry, cells in zip(entries, rows, strict=True))
        html = f'<table style="margin:0"><thead>{_TR}{head}</tr></thead><tbody>{body}</tbody></table>'
        lines = aligned([HEADER, *rows], right=(1,))
    html += "".join(f'<p style="margin:.4em 0 0;{_QUIET}">{escaped(remark)}</p>' for remark in said)
    lines += ["", *map(visible, said)] if lines and said else [visible(remark) for remark in said]
    return Bundle(
        {"text/html": f'<div class="{NO_MATH}">{html}</div>', "text/plain": "\n".join(lines)},
        {KEY: {"output": "ledger"}},
    )


def _cells(entry: LedgerEntry) -> tuple[str, ...]:
    record, file = entry.record, entry.file
    return (
        one_line(file.name),
        size_in_words(file.size),
        _first_words(record.prompt),
        one_line(record.model),
        one_line(record.ended[:_TO_THE_MINUTE].replace("T", " ")),
        _FOUND[file.found],
        "left over" if entry.left_over else _STATES[entry.state],
    )


def _first_words(prompt: str) -> str:
    """The beginning of a prompt, on one line; unlike a name, it says least at its end."""
    words = one_line(" ".join(prompt.split()), longest=len(prompt) + 1)
    return words if len(words) <= LONGEST_PROMPT else f"{words[: LONGEST_PROMPT - 1].rstrip()}…"


def _row(entry: LedgerEntry, cells: Sequence[str]) -> str:
    name = escaped(cells[0])
    href = _href(entry)
    if href is not None:
        name = f'<a href="{escaped(href)}" download="{escaped(entry.file.name)}">{name}</a>'
    rest = "".join(
        f'<td style="{_CELL};{"min-width:15em" if label == "asked" else "white-space:nowrap"};{_QUIET}">'
        f"{escaped(cell)}</td>"
        for label, cell in zip(HEADER[1:], cells[1:], strict=True)
    )
    return f'{_TR}<td style="{_CELL};overflow-wrap:break-word">{name}</td>{rest}</tr>'


def _href(entry: LedgerEntry) -> str | None:
    """Where its link leads; None where there is nothing to lead to, or no address for it."""
    if entry.state == "gone":
        return None
    try:
        href = encode_href(entry.href)
    except UnicodeEncodeError:
        return None
    return None if href.startswith("/") else href
