"""The files that were made here, as they stand on disk; and the removal of those that nothing refers to any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ipython_assistant.core.artifacts import MadeFile
from ipython_assistant.core.wording import disk_reason

if TYPE_CHECKING:
    from ipython_assistant.core.recording import Recording
    from ipython_assistant.workspace.folder import Folder
    from ipython_assistant.workspace.safe_dir import SafeDirectory


def made_files(folder: Folder) -> list[MadeFile]:
    """The files that this package wrote in a folder: those that cells refer to, then those that are left over.

    Raises:
        OSError: The recordings cannot be read.
    """
    latest: dict[tuple[str, str], tuple[Recording | None, int]] = {}
    manifest = folder.manifest()
    for _, one in folder.store.summaries()[0]:
        latest |= {(file.name, file.sha256): (one, file.size) for file in one.files}
    found = []
    with folder.open() as here:
        for name, entry in manifest.items():
            state = _state(folder, here, name, entry.sha256)
            recording, size = latest.get((name, entry.sha256), (None, 0))
            if state == "present" or not entry.is_left_over:
                href = folder.href(name)
                found.append(MadeFile(name, href, entry.sha256, state, entry.is_left_over, recording, size))
    return sorted(found, key=lambda made: (made.left_over, made.recording.ended if made.recording else "", made.name))


def remove_left_over(folder: Folder, made: MadeFile) -> str:
    """Remove a left-over file if it is still what it was; gives the reason why not, or nothing."""
    try:
        with folder.open() as here:
            if not made.left_over or _state(folder, here, made.name, made.sha256) == "changed":
                return "it was changed in the meantime"
            here.remove(made.name)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return disk_reason(error)
    return ""


def _state(folder: Folder, here: SafeDirectory, name: str, sha256: str) -> Literal["present", "changed", "gone"]:
    try:
        return "present" if folder.store.hash_of(here, name) == sha256 else "changed"
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "changed"
