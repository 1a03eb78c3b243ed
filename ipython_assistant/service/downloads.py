"""Many container files at once, each streamed to disk and hashed on the way."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import ContainerFile, FailedArtifact
from ipython_assistant.errors import AssistantError, StreamBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.service.wire import Wire


@dataclass(frozen=True, slots=True)
class Fetched:
    """A container file whose bytes are in a temporary file, not yet under its own name."""

    file: ContainerFile
    staged: Path
    size: int
    sha256: str


def fetch_all(
    wire: Wire,
    files: Sequence[ContainerFile],
    staging: Path,
    at_once: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Fetched | FailedArtifact, ...]:
    """Fetch files side by side; a file that cannot be had is a value with a reason, and the rest goes on.

    Args:
        wire: Who has them.
        files: What to fetch.
        staging: An existing directory for the temporary files.
        at_once: How many connections, at most.
        on_progress: Called with (files done, files in all) in the calling thread.

    Returns:
        One outcome for each file, in the order of `files`.
    """
    if not files:
        return ()
    outcomes: dict[int, Fetched | FailedArtifact] = {}
    stop = threading.Event()
    pool = ThreadPoolExecutor(min(at_once, len(files)), thread_name_prefix="ipython_assistant fetch")
    try:
        pending = {
            pool.submit(_fetch, wire, file, staging / f"{number}.part", stop): number
            for number, file in enumerate(files)
        }
        for done, future in enumerate(as_completed(pending), start=1):
            outcomes[pending[future]] = future.result()
            on_progress(done, len(files))
    finally:
        # After Ctrl-C nobody waits for what is still under way: each thread sees `stop` at its next chunk.
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(outcomes[number] for number in range(len(files)))


def _fetch(wire: Wire, file: ContainerFile, staged: Path, stop: threading.Event) -> Fetched | FailedArtifact:
    try:
        with wire.content(file.container_id, file.file_id) as reply, staged.open("wb") as target:
            digest, size = hashlib.sha256(), 0
            for chunk in reply.chunks:
                if stop.is_set():
                    return FailedArtifact(file.name, "It was interrupted.", file.container_id, file.file_id)
                target.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            _check_length(reply.headers, size)
    except AssistantError as error:
        return FailedArtifact(file.name, error.message, file.container_id, file.file_id)
    except OSError as error:
        return FailedArtifact(file.name, _disk_reason(error), file.container_id, file.file_id)
    return Fetched(file, staged, size, digest.hexdigest())


def _check_length(headers: Mapping[str, str], size: int) -> None:
    promised = headers.get("content-length", "")
    if promised.isdigit() and not headers.get("content-encoding") and int(promised) != size:
        raise StreamBroken(f"Only {size} of {promised} bytes came.")


def _disk_reason(error: OSError) -> str:
    return f"It could not be written: {error.strerror or type(error).__name__}."
