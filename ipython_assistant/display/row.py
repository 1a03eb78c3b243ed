"""The row of buttons that download files and open tables, as a widget.

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
    """Buttons for files on disk; `offers` is what the browser is told of each, such as its `name` and `size` in bytes.

    `deliver` brings a file to the browser by its path, where its bytes do not go over the comm; `read_rows` gives what
    can be sorted and paged of the file at a place.
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
        *,
        deliver: Callable[[str], None] | None = None,
        read_rows: Callable[[int], dict[str, Any]] | None = None,
    ) -> None:
        self._files = dict(zip(paths, (str(offer["name"]) for offer in offers), strict=True))
        self._deliver = deliver
        self._read_rows = read_rows
        # Outside the notebook's folder: an archive that is left behind there would look like a file of the answer.
        self._zipped: tempfile.TemporaryDirectory[str] | None = None
        self._ready: Callable[[bool], None] | None = None
        shown = [dict(offer) for offer in offers[:MOST_BUTTONS]]
        super().__init__(offers=shown, file_count=len(offers), archive=archive, note=note)
        # By it the page finds the output that shows the row.
        self.row_id = self.model_id
        self.on_msg(self._answer)

    def __repr__(self) -> str:
        """A text that is the same in every run, since it may end up in a saved notebook."""
        return f"DownloadRow({', '.join(self._files.values())})"

    def on_ready(self, call: Callable[[bool], None]) -> None:
        """Call this once the row's JavaScript runs, with whether it can keep the row out of the saved notebook."""
        self._ready = call

    def close(self) -> None:
        """End it, and remove the archive it may have made."""
        self._drop_archive()
        super().close()

    def _answer(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """One message of the browser: `{type: "ready", keeps_out}`, `{type: "get", request, file, offset}`, or `rows`.

        `file` is the file's place in the row, or "all".
        """
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ready" and self._ready is not None:
            ready, self._ready = self._ready, None
            ready(bool(message.get("keeps_out")))
        if kind in {"get", "rows"}:
            reply, chunks = {"request": str(message.get("request"))}, list[bytes]()
            place, offset = message.get("file"), message.get("offset")
            try:
                reply |= self._chunk(place, offset, chunks) if kind == "get" else self._rows(place)
            except OSError as error:
                gone = isinstance(error, FileNotFoundError)
                said = "it is no longer there" if gone else error.strerror or type(error).__name__
                reply |= {"type": "error", "message": said}
            except LookupError:
                reply |= {"type": "error", "message": "the browser asked for something that is not there"}
            self.send(reply, chunks)

    def _chunk(self, place: Any, offset: Any, chunks: list[bytes]) -> dict[str, Any]:
        """The reply to a request for a file from `offset` on; its bytes are put into `chunks`."""
        if not isinstance(offset, int) or offset < 0:
            raise LookupError(offset)
        left_out: list[str] = []
        if place == "all":
            path, left_out = self._archived(offset)
        elif isinstance(place, int) and place >= 0:
            path = list(self._files)[place]
        else:
            raise LookupError(place)
        if self._deliver is not None:
            self._deliver(str(path))
            return {"type": "delivered"}
        with path.open("rb") as file:
            total = file.seek(0, 2)
            file.seek(offset)
            chunks.append(file.read(CHUNK_BYTES))
        if place == "all" and offset + len(chunks[0]) >= total:
            self._drop_archive()
        return {"type": "chunk", "offset": offset, "total": total, "left_out": left_out}

    def _rows(self, place: Any) -> dict[str, Any]:
        if self._read_rows is None or not isinstance(place, int) or not 0 <= place < len(self.offers):
            raise LookupError(place)
        return {"type": "rows", **self._read_rows(place)}

    def _archived(self, offset: int) -> tuple[Path, list[str]]:
        """The archive, made anew for its beginning; and the names of the files that are no longer there."""
        left_out = []
        if offset == 0:
            self._drop_archive()
            self._zipped = tempfile.TemporaryDirectory(prefix="ipython_assistant-")
            archive = Path(self._zipped.name, self.archive)
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zipped:
                for path, name in self._files.items():
                    try:
                        zipped.write(path, name)
                    except FileNotFoundError:
                        left_out.append(name)
        if self._zipped is None:
            raise LookupError(offset)
        return Path(self._zipped.name, self.archive), left_out

    def _drop_archive(self) -> None:
        if self._zipped is not None:
            self._zipped.cleanup()
            self._zipped = None
