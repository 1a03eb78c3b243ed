"""The row of buttons: where it is shown, for how long, and how it stays out of saved notebooks.

The card's links work where the notebook's folder is served; the buttons also where not, for all files at once, and to
sort and page tables. A row needs a live kernel, so its output is a widget view, which a saved notebook must not hold:
reopened, JupyterLab would show an error in its place.

- Where the Jupyter server has our extension (`ipython_assistant.lab`), it leaves rows out of what it saves.
- Elsewhere a row is shown only once its JavaScript has answered: then it is certain that this front end can draw it,
  and can put an empty view into what is saved (`keepOut` in `buttons.js`).
- VS Code draws a row only where its kernel has it, and whatever else the output holds where not: an invisible picture,
  which no comparison of notebooks looks at. Colab saves the state of widgets itself.

ipywidgets is imported only when a row is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.escaping import one_line
from ipython_assistant.display.live import publish
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.lab import ANNOUNCEMENT, VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.display.live import FrontEnd
    from ipython_assistant.display.row import DownloadRow

    ReadRows = Callable[[Artifact], dict[str, Any]]

NO_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
"""A PNG of one transparent pixel."""


def wanted(setting: str, front: FrontEnd) -> bool:
    """Whether a row belongs below the files: `always`, `never`, or `auto`, which is in a live notebook."""
    return setting == "always" or (setting == "auto" and front.live)


def recorded_note(recorded: str, mode: str) -> str:
    """What the row says of an answer that was `recorded` then (ISO format, UTC); empty for one that was asked now."""
    if not recorded:
        return ""
    note = f"Answered from the recording of {recorded[: len('2026-01-15T09:30')].replace('T', ' ')} UTC."
    return note if mode == "replay" else f"{note} %%assistant --fresh asks again."


class Rows:
    """The rows that one shell's cells show, each until its cell runs again; without a shell, until `close`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[str | None, list[DownloadRow]] = {}
        self._has_answered = False

    def show(
        self, artifacts: Sequence[Artifact], notebook_dir: Path, front: FrontEnd, *, always: bool = False, **more: Any
    ) -> None:
        """Show a row below the running cell, from the main thread; nothing where there are neither files nor a note.

        With `always` it is not asked whether the front end can draw it. The rest is as in `download_row`.
        """
        if not artifacts and not more.get("note"):
            return
        row, environ = download_row(artifacts, notebook_dir, **more), more.get("environ", os.environ)
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

        row.on_ready(ready)

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


def download_row(
    artifacts: Sequence[Artifact],
    notebook_dir: Path,
    note: str = "",
    environ: Mapping[str, str] = os.environ,
    read_rows: ReadRows | None = None,
) -> DownloadRow:
    """A button for each file and, for more than one, one for all of them as a zip archive.

    The files' `href` is relative to `notebook_dir`, the note is a sentence for this run alone, `environ` says which
    server started this kernel. `read_rows` reads what can be sorted and paged of a table, or raises `OSError`.
    """
    from ipython_assistant.display.row import DownloadRow

    root = server_root(environ)
    offers = []
    for artifact in artifacts:
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
    # Colab has its own way to bring a file to the browser.
    colab = sys.modules.get("google.colab")
    return DownloadRow(
        [artifact.path for artifact in artifacts],
        offers,
        f"{notebook_dir.resolve().name or 'notebook'}-files.zip",
        note,
        deliver=colab.files.download if colab is not None else None,
        read_rows=None if read_rows is None else lambda place: read_rows(artifacts[place]),
    )


def view(row: DownloadRow, front: FrontEnd) -> Bundle:
    """The row as an output; nothing in it is of use without its kernel."""
    shown: dict[str, Any] = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": row.model_id}}
    if front.name == "vscode":
        shown["image/png"] = NO_PICTURE
    # Colab finds the JavaScript of widgets by the metadata.
    bundle: Any = row._repr_mimebundle_() if front.name == "colab" else None
    metadata = bundle[1] if isinstance(bundle, tuple) else {}
    return Bundle(shown, {**metadata, KEY: {"output": "buttons"}})


def server_root(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that the Jupyter server of this kernel serves, resolved; None where that is not known.

    jupyter_client puts the id of the process that started a kernel into `JPY_PARENT_PID`, and a Jupyter server says in
    `jpserver-<pid>.json` in its runtime directory what it serves.
    """
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdecimal():
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        server: Any = json.loads(Path(jupyter_runtime_dir(), f"jpserver-{pid}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    root = server.get("root_dir") if isinstance(server, dict) else None
    return Path(root).resolve() if isinstance(root, str) and root else None


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
