"""The row of download buttons, as a widget.

What runs in the browser is `buttons.js`. It asks the server first, since the server answers while the kernel is busy;
this side answers only if that did not work, in chunks, so that no file is ever held in memory here. What it is sent
names a file by its place in the row, never by a path.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CHUNK_BYTES = 2 << 20
MOST_BUTTONS = 12
"""Of more files the first have a button; the archive holds them all."""


class DownloadRow(anywidget.AnyWidget):
    """Buttons for files on disk.

    Args:
        paths: The files.
        offers: What the browser is told of each: `name`, `label`, `size`, `server_path`, ...
        archive: Name of the zip archive of all of them.
        note: A sentence that stands in the row.
        deliver: Another way to bring a file to the browser, given its path; None where its bytes go over the comm.
    """

    _esm = Path(__file__).with_name("buttons.js").read_text(encoding="utf-8")
    offers: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    file_count = traitlets.Int().tag(sync=True)
    archive = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    row_id = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        paths: Sequence[Path],
        offers: Sequence[Mapping[str, Any]],
        archive: str,
        note: str = "",
        deliver: Callable[[str], None] | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._names = tuple(str(offer["name"]) for offer in offers)
        self._deliver = deliver
        self._zipped: tempfile.TemporaryDirectory[str] | None = None
        self._ready: Callable[[bool], None] | None = None
        shown = [dict(offer) for offer in offers[:MOST_BUTTONS]]
        super().__init__(offers=shown, file_count=len(offers), archive=archive, note=note)
        # By it the page finds the output that shows the row.
        self.row_id = self.model_id
        self.on_msg(self._answer)

    def __repr__(self) -> str:
        """The same in every run: it may end up in a saved notebook."""
        return f"DownloadRow({', '.join(self._names)})"

    def on_ready(self, call: Callable[[bool], None]) -> None:
        """Call this once the row's JavaScript runs, with whether it can keep the row out of the saved notebook."""
        self._ready = call

    def view_metadata(self) -> dict[str, Any]:
        """What a front end that loads the JavaScript of widgets in its own way has to know."""
        bundle: Any = self._repr_mimebundle_()
        return dict(bundle[1]) if isinstance(bundle, tuple) else {}

    def close(self) -> None:
        """End it, and remove the archive it may have made."""
        self._drop_archive()
        super().close()

    def _answer(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """One message of the browser: `{type: "ready", keeps_out}` or `{type: "get", request, file, offset}`.

        `file` is the file's place in the row, or "all".
        """
        if not isinstance(message, dict):
            return
        if message.get("type") == "ready" and self._ready is not None:
            ready, self._ready = self._ready, None
            ready(bool(message.get("keeps_out")))
        if message.get("type") == "get":
            self._get(message)

    def _get(self, message: Mapping[str, Any]) -> None:
        reply = {"request": str(message.get("request"))}
        try:
            path, left_out = self._file(message.get("file"), message.get("offset"))
            if self._deliver is not None:
                self._deliver(str(path))
                self.send({**reply, "type": "delivered"})
                return
            chunk, total = _read(path, message.get("offset"))
        except (OSError, ValueError, IndexError) as error:
            self.send({**reply, "type": "error", "message": _reason(error)})
            return
        offset = int(message["offset"])
        self.send({**reply, "type": "chunk", "offset": offset, "total": total, "left_out": left_out}, [chunk])
        if message.get("file") == "all" and offset + len(chunk) >= total:
            self._drop_archive()

    def _file(self, place: Any, offset: Any) -> tuple[Path, list[str]]:
        if place != "all":
            return self._paths[_whole_number(place)], []
        left_out: list[str] = []
        if offset == 0:
            self._drop_archive()
            # Outside the notebook's folder: an archive that is left behind there would look like a file of the answer.
            self._zipped = tempfile.TemporaryDirectory(prefix="ipython_assistant-")
            left_out = self._zip(Path(self._zipped.name, self.archive))
        if self._zipped is None:
            raise ValueError("An archive is read from its beginning.")
        return Path(self._zipped.name, self.archive), left_out

    def _zip(self, archive: Path) -> list[str]:
        """Write the archive; gives the names of the files that are no longer there."""
        left_out = []
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as files:
            for path, name in zip(self._paths, self._names, strict=True):
                try:
                    files.write(path, name)
                except FileNotFoundError:
                    left_out.append(name)
        return left_out

    def _drop_archive(self) -> None:
        if self._zipped is not None:
            self._zipped.cleanup()
            self._zipped = None


def _read(path: Path, offset: Any) -> tuple[bytes, int]:
    """A chunk of the file from there on, and the file's size now."""
    start = _whole_number(offset)
    with path.open("rb") as file:
        total = file.seek(0, 2)
        file.seek(start)
        return file.read(CHUNK_BYTES), total


def _whole_number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("The browser asked for something that is not there.")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is no longer there"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the browser asked for something that is not there"
