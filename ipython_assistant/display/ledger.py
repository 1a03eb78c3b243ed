"""The files that records name, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.grid import Download
from ipython_assistant.display.overview import overview

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.core.ledger import LedgerEntry
    from ipython_assistant.display.outputs import Bundle

HEADER = ("file", "state", "size", "asked", "model", "when (UTC)", "found")
_TO_THE_MINUTE = len("2026-01-15T09:30")
_FOUND = {"cited": "cited", "listed": "in the container", "figure": "shown"}
_STATES = {"present": "present", "changed": "changed since", "gone": "gone"}


def ledger(entries: Sequence[LedgerEntry], remarks: Iterable[str] = ()) -> Bundle:
    """One line for each file: how it stands on disk, its size, what was asked, who answered, when, how it was found.

    Args:
        entries: The files.
        remarks: Sentences below the table.
    """
    return overview(HEADER, map(_cells, entries), remarks, right=(2,))


def _cells(entry: LedgerEntry) -> tuple[object, ...]:
    record, file = entry.record, entry.file
    return (
        file.name if entry.state == "gone" else Download(file.name, file.name, entry.href),
        "left over" if entry.left_over else _STATES[entry.state],
        size_in_words(file.size),
        record.prompt,
        record.model,
        record.ended[:_TO_THE_MINUTE].replace("T", " "),
        _FOUND[file.found],
    )
