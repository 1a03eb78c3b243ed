"""The files that were made here, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.grid import Download
from ipython_assistant.display.overview import overview

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.core.artifacts import MadeFile
    from ipython_assistant.display.outputs import Bundle

HEADER = ("file", "state", "size", "asked", "model", "when (UTC)")
_TO_THE_MINUTE = len("2026-01-15T09:30")
_STATES = {"present": "present", "changed": "changed since", "gone": "gone"}


def file_table(files: Sequence[MadeFile], remarks: Iterable[str] = ()) -> Bundle:
    """One line for each file: how it stands on disk, its size, what was asked, which model answered and when.

    Args:
        files: The files.
        remarks: Sentences below the table.
    """
    return overview(HEADER, map(_cells, files), remarks, right=(2,))


def _cells(made: MadeFile) -> tuple[object, ...]:
    recording = made.recording
    return (
        made.name if made.state == "gone" else Download(made.name, made.name, made.href),
        "left over" if made.left_over else _STATES[made.state],
        size_in_words(made.size) if recording is not None else "",
        recording.prompt if recording is not None else "",
        recording.model if recording is not None else "",
        recording.ended[:_TO_THE_MINUTE].replace("T", " ") if recording is not None else "",
    )
