"""The row of buttons that download files and open tables, as a widget; and where a row is shown, and for how long.

`buttons.js` runs in the browser. It asks the server first, which answers while the kernel is busy, then this side, in
chunks; it names a file by its place in the row, never by a path.

A row needs its kernel, so a saved notebook must not hold it: reopened, JupyterLab would show an error in its place.
Where the Jupyter server has our extension (`ipython_assistant.lab`), it leaves rows out of what it saves. Elsewhere a
row is shown only once its JavaScript has answered, which puts an empty view into what is saved (`keepOut`). VS Code
draws a row only where its kernel has it, and where not an invisible picture; Colab saves widgets itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.escaping import one_line
from ipython_assistant.display.live import publish
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.lab import ANNOUNCEMENT, VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.display.live import FrontEnd

NO_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
"""A PNG of one transparent pixel."""
CHUNK_BYTES = 2 << 20
MOST_BUTTONS = 12  # of more files the first have a button; the archive holds them all


class DownloadRow(anywidget.AnyWidget):
    """A button for each file and, for more than one, one for all of them as a zip archive.

    The files' `href` is relative to `notebook_dir`, the note is a sentence for this run alone, `environ` says which
    server started this kernel. `read_rows` reads what can be sorted and paged of a table, or raises `OSError`.
    """

    _esm = Path(__file__).with_name("buttons.js").read_text(encoding="utf-8")
    offers: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    file_count = traitlets.Int().tag(sync=True)
    archive = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    row_id = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        artifacts: Sequence[Artifact],
        notebook_dir: Path,
        note: str = "",
        environ: Mapping[str, str] = os.environ,
        read_rows: Callable[[Artifact], dict[str, Any]] | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._read_rows = read_rows
        # Outside the notebook's folder: an archive that is left behind there would look like a file of the answer.
        self._zipped: tempfile.TemporaryDirectory[str] | None = None
        # Called once the row's JavaScript runs, with whether it can keep the row out of the saved notebook.
        self.ready: Callable[[bool], None] | None = None
        root = server_root(environ)
        offers = []
        for artifact in artifacts[:MOST_BUTTONS]:
            path = artifact.path.resolve()
            offer = {
                "name": artifact.name,
                "label": one_line(artifact.name),
                "size": artifact.size,
                "size_in_words": size_in_words(artifact.size),
                "media_type": artifact.media_type,
                # As the server names it; empty where it does not serve it.
                "server_path": path.relative_to(root).as_posix() if root and path.is_relative_to(root) else "",
                "saved_as": one_line(artifact.href, 160),
                "has_rows": read_rows is not None and artifact.is_table,
            }
            offers.append(offer)
        archive = f"{notebook_dir.resolve().name or 'notebook'}-files.zip"
        super().__init__(offers=offers, file_count=len(artifacts), archive=archive, note=note)
        # By it the page finds the output that shows the row.
        self.row_id = self.model_id
        self.on_msg(self._answer)

    def __repr__(self) -> str:
        """A text that is the same in every run, since it may end up in a saved notebook."""
        return f"DownloadRow({', '.join(artifact.name for artifact in self._artifacts)})"

    def close(self) -> None:
        """End it, and remove the archive it may have made."""
        self._drop_archive()
        super().close()

    def _answer(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """One message: `{type: "ready", keeps_out}`, `{type: "get", request, file: PLACE or "all", offset}`, `rows`."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ready" and self.ready is not None:
            ready, self.ready = self.ready, None
            ready(bool(message.get("keeps_out")))
        if kind in {"get", "rows"}:
            reply, chunks = {"request": str(message.get("request"))}, list[bytes]()
            place, offset = message.get("file"), message.get("offset")
            try:
                if kind == "get":
                    reply |= self._chunk(place, offset, chunks)
                elif self._read_rows is not None:
                    reply |= {"type": "rows", **self._read_rows(self._at(place))}
            except OSError as error:
                gone = isinstance(error, FileNotFoundError)
                said = "it is no longer there" if gone else error.strerror or type(error).__name__
                reply |= {"type": "error", "message": said}
            except LookupError:
                reply |= {"type": "error", "message": "the browser asked for something that is not there"}
            self.send(reply, chunks)

    def _at(self, place: Any) -> Artifact:
        if not isinstance(place, int) or place < 0:
            raise LookupError(place)
        return self._artifacts[place]

    def _chunk(self, place: Any, offset: Any, chunks: list[bytes]) -> dict[str, Any]:
        """The reply to a request for a file from `offset` on; its bytes are put into `chunks`."""
        if not isinstance(offset, int) or offset < 0:
            raise LookupError(offset)
        path, left_out = self._archived(offset) if place == "all" else (self._at(place).path, [])
        if (colab := sys.modules.get("google.colab")) is not None:  # it has its own way to bring a file to the browser
            colab.files.download(str(path))
            return {"type": "delivered"}
        with path.open("rb") as file:
            total = file.seek(0, 2)
            file.seek(offset)
            chunks.append(file.read(CHUNK_BYTES))
        if place == "all" and offset + len(chunks[0]) >= total:
            self._drop_archive()
        return {"type": "chunk", "offset": offset, "total": total, "left_out": left_out}

    def _archived(self, offset: int) -> tuple[Path, list[str]]:
        """The archive, made anew for its beginning; and the names of the files that are no longer there."""
        left_out = []
        if offset == 0:
            self._drop_archive()
            self._zipped = tempfile.TemporaryDirectory(prefix="ipython_assistant-")
            archive = Path(self._zipped.name, self.archive)
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zipped:
                for artifact in self._artifacts:
                    try:
                        zipped.write(artifact.path, artifact.name)
                    except FileNotFoundError:
                        left_out.append(artifact.name)
        if self._zipped is None:
            raise LookupError(offset)
        return Path(self._zipped.name, self.archive), left_out

    def _drop_archive(self) -> None:
        if self._zipped is not None:
            self._zipped.cleanup()
            self._zipped = None


def server_root(environ: Mapping[str, str]) -> Path | None:
    """The folder that this kernel's Jupyter server serves, by the `jpserver-<pid>.json` of its parent, or None."""
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdecimal():
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        server = json.loads(Path(jupyter_runtime_dir(), f"jpserver-{pid}.json").read_text(encoding="utf-8"))
        return Path(server["root_dir"]).resolve()
    except (OSError, ValueError, LookupError, TypeError):
        return None


class Rows:
    """The rows that one shell's cells show, each until its cell runs again; without a shell, until `close`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[str | None, list[DownloadRow]] = {}
        self._has_answered = False

    def show(
        self, artifacts: Sequence[Artifact], notebook_dir: Path, front: FrontEnd, *, always: bool = False, **more: Any
    ) -> None:
        """Show a row below the running cell, from the main thread, unless it is empty; `always`: in any front end."""
        if not artifacts and not more.get("note"):
            return
        row, environ = DownloadRow(artifacts, notebook_dir, **more), more.get("environ", os.environ)
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self._cell_runs)  # once, however often it is said
        self._shown.setdefault(front.cell_id, []).append(row)
        if always or self._has_answered or front.name or environ.get(ANNOUNCEMENT):
            publish(view(row, front))
            return
        send = _to_this_cell(self._shell)

        def ready(keeps_out: bool) -> None:  # noqa: FBT001 what the browser says
            self._has_answered = self._has_answered or keeps_out
            if keeps_out and row in self._shown.get(front.cell_id, []):
                send(view(row, front))

        row.ready = ready

    def close(self) -> None:
        """End them all. May be called twice."""
        if self._shell is not None:
            with contextlib.suppress(ValueError):  # it was never registered
                self._shell.events.unregister("pre_run_cell", self._cell_runs)
        for cell_id in list(self._shown):
            self._close(cell_id)

    def _cell_runs(self, info: Any) -> None:
        """A cell that runs loses its outputs in the front end; what it runs now need not have to do with us."""
        if info.cell_id is not None:
            self._close(info.cell_id)

    def _close(self, cell_id: str | None) -> None:
        for row in self._shown.pop(cell_id, []):
            row.close()


def view(row: DownloadRow, front: FrontEnd) -> Bundle:
    """The row as an output; nothing in it is of use without its kernel."""
    shown: dict[str, Any] = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": row.model_id}}
    if front.name == "vscode":
        shown["image/png"] = NO_PICTURE
    # Colab finds the JavaScript of widgets by the metadata.
    bundle: Any = row._repr_mimebundle_() if front.name == "colab" else None
    metadata = bundle[1] if isinstance(bundle, tuple) else {}
    return Bundle(shown, {**metadata, KEY: {"output": "buttons"}})


def _to_this_cell(shell: Any) -> Callable[[Bundle], None]:
    """A way to put an output below the running cell after it has ended, from any thread."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return publish
    parent = shell.get_parent()

    def send(bundle: Bundle) -> None:
        content = {"data": bundle.data, "metadata": bundle.metadata, "transient": {}}
        kernel.session.send(kernel.iopub_socket, "display_data", content, parent=parent)

    return send
