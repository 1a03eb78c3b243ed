"""A recording made without a service."""

from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.recording import Recording, TurnKey
from ipython_assistant.core.turn import Turn
from ipython_assistant.workspace.recordings import Recordings
from tests_support.events import Item, Json, stream
from tests_support.saving import recorded, save_all


def make_recording(
    recordings: Recordings,
    asked: TurnKey,
    files: dict[str, bytes] | None = None,
    items: list[Item] | None = None,
    *,
    cell: str = "cell-1",
    minute: int = 0,
    **more: object,
) -> tuple[Recording, tuple[str, ...]]:
    """Save the files and keep the recording; gives what was to be kept, and what was said of that."""
    turn = folded(stream(items or [], f"resp_{minute}"))
    saved = save_all(recordings.folder, list((files or {}).items()), cell, key=asked.sha256)
    recording = recorded(cell, saved, asked=asked, turn=turn, minute=minute, **more)
    return recording, recordings.keep(recording)


def folded(events: list[Json]) -> Turn:
    """The turn of a streamed answer."""
    fold = TurnFold()
    for event in events:
        fold.feed(event)
    return fold.turn
