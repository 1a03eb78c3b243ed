"""Recordings, looked after: what is damaged, what nothing needs any more, how much there is."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from ipython_assistant.core.ledger import best_first
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.core.recording import taken_out
from ipython_assistant.workspace.bodies import YOUNG_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ipython_assistant.core.provenance import TurnRecord
    from ipython_assistant.workspace.recordings import Recordings


class Fault(NamedTuple):
    """What is wrong with a recording, or a body, and where."""

    path: Path
    reason: str


class Pruned(NamedTuple):
    """What was removed: recordings, bodies, and bytes in all; and what is to be said of the rest."""

    recordings: int
    bodies: int
    freed_bytes: int
    remarks: tuple[str, ...]


class Size(NamedTuple):
    """How much there is: records, those among them that are replayed, bodies, and bytes in all."""

    records: int
    recordings: int
    bodies: int
    total_bytes: int


def recorded(recordings: Recordings) -> Iterator[tuple[Path, TurnRecord]]:
    """Every recording that can be read, whole, and where it is. Raises `OSError`."""
    turns = recordings.folder.turns
    for name in turns.names():
        with contextlib.suppress(FileNotFoundError, ValueError):
            record = turns.read(name)
            if record.exchange is not None:
                yield turns.path / name, record


def check(recordings: Recordings) -> tuple[Fault, ...]:
    """Everything that is not as it was recorded: records, bodies, and large files that are only saved.

    Every byte is read, whatever was read before.

    Raises:
        OSError: The folder cannot be read.
    """
    recordings.folder.turns.refuse_links()
    recordings.hashes.forget()
    recordings.folder.turns.forget()
    folder, bodies = recordings.folder, recordings.bodies
    _, damaged = folder.turns.read_all()
    faults = [Fault(folder.turns.path / item.name, item.reason) for item in damaged]
    for _, record in recorded(recordings):
        for sha256 in sorted(_bodies_of(record)):
            try:
                bodies.open(sha256).close()
            except OSError as error:
                faults.append(Fault(bodies.path(sha256), disk_reason(error)))
            except ValueError as error:
                faults.append(Fault(bodies.path(sha256), str(error)))
        for file in record.files:
            path = folder.path / file.name
            if not file.kept and not recordings.hashes.match(path, file.size, file.sha256):
                faults.append(Fault(path, "it is not in the recording, and no longer there as it was saved"))
    return tuple(dict.fromkeys(faults))


def prune(recordings: Recordings, *, now: float | None = None) -> Pruned:
    """Remove recordings that are never replayed, since another of the same question is, and bodies nothing needs.

    A record stays where it is the only one that knows of a file on disk.

    Args:
        recordings: The recordings.
        now: Seconds since the epoch; the clock, if not given.

    Raises:
        OSError: The folder cannot be read, or something in it not be removed.
    """
    folder, bodies = recordings.folder, recordings.bodies
    folder.turns.refuse_links()
    everything = list(recorded(recordings))
    passed_over = _passed_over([record for _, record in everything])
    known = {
        (file.name, file.sha256) for _, record in everything if record.id not in passed_over for file in record.files
    }
    freed = removed = 0
    remarks = []
    for path, record in everything:
        if record.id not in passed_over:
            continue
        alone = [
            file.name
            for file in record.files
            if (file.name, file.sha256) not in known
            and recordings.hashes.match(folder.path / file.name, file.size, file.sha256)
        ]
        if alone:
            remarks.append(f"{path.name} stays: no other record knows of {', '.join(alone)}.")
        else:
            freed += _remove(path)
            removed += 1
    _, damaged = folder.turns.read_all()
    if damaged:
        remarks.append(f"No bodies were removed: {damaged[0].name} cannot be read, and may need them.")
        return Pruned(removed, 0, freed, tuple(remarks))
    needed = frozenset[str]().union(*(_bodies_of(record) for _, record in recorded(recordings)))
    oldest = (time.time() if now is None else now) - YOUNG_S
    unneeded = [name for name, there in bodies.all().items() if name not in needed and there.st_mtime < oldest]
    freed += sum(_remove(bodies.path(name)) for name in unneeded)
    return Pruned(removed, len(unneeded), freed, tuple(remarks))


def size(recordings: Recordings) -> Size:
    """How much is recorded. Raises `OSError`."""
    turns = recordings.folder.turns
    names, bodies = turns.names(), recordings.bodies.all()
    total = sum((turns.path / name).stat().st_size for name in names) + sum(there.st_size for there in bodies.values())
    return Size(len(names), sum(1 for _ in recorded(recordings)), len(bodies), total)


def _bodies_of(record: TurnRecord) -> frozenset[str]:
    """The hashes of the bodies a recording cannot do without."""
    events = list(record.exchange.events) if record.exchange is not None else []
    return taken_out(events) | {file.sha256 for file in record.files if file.kept}


def _passed_over(records: Sequence[TurnRecord]) -> frozenset[str]:
    """The ids of the recordings that another of the same question and service stands before."""
    alike: dict[tuple[str, str], list[TurnRecord]] = {}
    for record in records:
        alike.setdefault((record.key, record.service), []).append(record)
    return frozenset(record.id for group in alike.values() for record in best_first(group)[1:])


def _remove(path: Path) -> int:
    """Remove a file; gives its size."""
    there = path.lstat().st_size
    path.unlink()
    return there
