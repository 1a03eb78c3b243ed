"""The files that records name, as they stand on disk; and the removal of those that nothing refers to any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.ledger import LedgerEntry, State
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.workspace.regular import fingerprint, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from ipython_assistant.core.provenance import RecordedFile, TurnRecord
    from ipython_assistant.workspace.folder import Folder


def entries(folder: Folder) -> tuple[LedgerEntry, ...]:
    """What the records of a folder name: the files of present turns, then what is left over of turns that are gone.

    A left-over file is one that this package wrote, that is unchanged since and that no present turn refers to. One
    that its user has changed is the user's own.

    Raises:
        OSError: The records cannot be read.
    """
    ledger = folder.turns.ledger(folder.notebook_dir)
    present = [_entry(folder, record, file) for record, file in ledger.present_files()]
    left = [_entry(folder, record, file, left_over=True) for record, file in ledger.left_files()]
    return (*present, *(entry for entry in left if entry.state == "present"))


def remove(folder: Folder, entry: LedgerEntry) -> str:
    """Remove a left-over file if it is still what it was; gives the reason why not, or nothing."""
    path = folder.path / entry.file.name
    try:
        folder.refuse_links()
        before = fingerprint(path)
        if not entry.left_over or _state(path, entry.file) != "present" or fingerprint(path) != before:
            return "it was changed in the meantime"
        path.unlink()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return disk_reason(error)
    return ""


def _entry(folder: Folder, record: TurnRecord, file: RecordedFile, *, left_over: bool = False) -> LedgerEntry:
    return LedgerEntry(record, file, folder.href(file.name), _state(folder.path / file.name, file), left_over)


def _state(path: Path, file: RecordedFile) -> State:
    try:
        there = fingerprint(path)
        same = there.is_regular and there.size == file.size and sha256_of(path) == file.sha256
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "changed"
    return "present" if same else "changed"
