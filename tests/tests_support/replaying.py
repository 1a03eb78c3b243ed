"""A turn asked, recorded and replayed by the rooms alone, as the conductor does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ipython_assistant.collect_files import Destination, TurnFiles, collect
from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.provenance import TurnRecord, record_of
from ipython_assistant.core.recording import EventLog, Exchange, Written
from ipython_assistant.service.containers import Containers
from ipython_assistant.service.downloads import DownloadLimits, Downloads
from ipython_assistant.service.replay import Recorder, recorded_reply
from ipython_assistant.service.stream import EventStream
from tests_support.events import Item, Json, stream
from tests_support.saving import BEGAN, save_all

if TYPE_CHECKING:
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.service.wire import Reply, Wire
    from ipython_assistant.workspace.folder import Folder
    from ipython_assistant.workspace.recordings import BroughtBack, Recording, Recordings


@dataclass(frozen=True)
class Asked:
    """A live turn: what came back, and what was said when it was recorded."""

    turn: Turn
    collected: TurnFiles
    notes: tuple[str, ...]


def ask(wire: Wire, folder: Folder, recordings: Recordings, written: Written, cell: str = "cell-1") -> Asked:
    """Ask a live service, save the files, keep the recording."""
    recorder, fold, containers = Recorder(wire), TurnFold(), Containers(wire)
    with Downloads(wire, containers, folder.stage, DownloadLimits()) as downloads:
        for event in EventStream(recorder.respond({"model": "m", "input": written.prompt, "stream": True})):
            if event is not None:
                recorder.hear(event)
                fold.feed(event)
        collected = collect(containers, downloads, fold.turn, Destination(folder, cell), lambda *_: None)
        if downloads.staged is not None:
            folder.unstage(downloads.staged)
    record = record_of(
        fold.turn,
        prompt=written.prompt,
        cell=cell,
        service="openai",
        model="m",
        status="completed",
        began=BEGAN,
        ended=BEGAN,
        artifacts=collected.artifacts,
        failed=collected.failed,
        notes=collected.notes,
        repeated=collected.repeated,
        written=written,
        exchange=recorder.exchange,
    )
    return Asked(fold.turn, collected, recordings.keep(record))


def replay(recordings: Recordings, recording: Recording, cell: str = "cell-1") -> tuple[Turn, BroughtBack]:
    """The same from the recording."""
    back = recordings.bring_back(recording, cell)
    return folded(reply_of(recordings, recording)), back


def reply_of(recordings: Recordings, recording: Recording) -> Reply:
    """The recorded answer."""
    assert recording.record.exchange is not None
    return recorded_reply(recording.record.exchange, recordings.open_body)


def folded(reply: Reply, cut: int = 0) -> Turn:
    """The turn of a streamed reply; its bytes cut anew into so many at a time, if that is asked for."""
    fold = TurnFold()
    if cut:
        body = b"".join(reply.chunks)
        chunks: Iterator[bytes] = (body[start : start + cut] for start in range(0, len(body), cut))
        reply = replace(reply, chunks=chunks)
    for event in EventStream(reply):
        if event is not None:
            fold.feed(event)
    return fold.turn


def make_recording(
    recordings: Recordings,
    written: Written,
    files: dict[str, bytes] | None = None,
    items: list[Item] | None = None,
    *,
    cell: str = "cell-1",
    minute: int = 0,
    **more: object,
) -> tuple[TurnRecord, tuple[str, ...]]:
    """A recording without a service: its files are saved, its exchange is made up; gives what was to be kept."""
    events: list[Json] = stream(items or [], f"resp_{minute}")
    log, fold = EventLog(), TurnFold()
    for event in events:
        log.add(event)
        fold.feed(event)
    saved = save_all(recordings.folder, list((files or {}).items()), cell, turn=f"resp_{minute}")
    record = record_of(
        fold.turn,
        prompt=written.prompt,
        cell=cell,
        service="openai",
        model="m",
        status="completed",
        began=BEGAN + timedelta(minutes=minute),
        ended=BEGAN + timedelta(minutes=minute, seconds=20),
        artifacts=[item for item in saved if isinstance(item, Artifact)],
        written=written,
        exchange=Exchange(log.events, {"model": "m"}),
    )
    record = replace(record, **more)
    return record, recordings.keep(record)
