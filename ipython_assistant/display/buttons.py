"""The row of download buttons: what it offers, and where the server sees the files.

The links of the card need nothing and always work where the notebook's folder is served; the buttons are for where they
do not, and for all files at once. They need a live kernel or server, so their output is a widget view and nothing else:
a saved notebook compares equal with and without it, and where the server has our extension (`ipython_assistant.lab`)
they are not saved at all. ipywidgets is imported only when a row is made.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display.escaping import one_line
from ipython_assistant.display.live import publish
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.lab import ANNOUNCEMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.display.live import FrontEnd

VIEW = "application/vnd.jupyter.widget-view+json"


class Widget(Protocol):
    """An ipywidgets widget, as far as it is used here."""

    model_id: str

    def close(self) -> None:
        """End it, in the kernel and on every page."""


def wanted(setting: str, front: FrontEnd, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a row belongs below the files.

    Args:
        setting: `always`, `never`, or `auto`: where somebody watches and the server keeps rows out of saved notebooks.
        front: Who is watching.
        environ: Where the server announces itself.
    """
    return setting == "always" or (setting == "auto" and front.live and bool(environ.get(ANNOUNCEMENT)))


def wanted_in_words(setting: str, front: FrontEnd, environ: Mapping[str, str] = os.environ) -> str:
    """The same for a person to read, with what to do where a live notebook goes without."""
    if setting == "auto" and front.live and not wanted(setting, front, environ):
        return (
            "auto: none, since the Jupyter server does not have our extension, which keeps them out of saved notebooks;"
            " in the environment JupyterLab runs in: install ipython_assistant there too, then start JupyterLab again"
        )
    return "auto: in a live notebook" if setting == "auto" else setting


class Rows:
    """The rows that one shell's cells show, each until its cell runs again.

    Args:
        shell: The shell, which says when a cell runs; None outside IPython, where no row ever ends by itself.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[str | None, list[Widget]] = {}

    def show(self, artifacts: Sequence[Artifact], notebook_dir: Path, cell_id: str | None) -> None:
        """Show a row below the running cell; nothing where there are no files. See `download_row`.

        Args:
            artifacts: The saved files.
            notebook_dir: What their `href` is relative to.
            cell_id: The running cell, where it is known.
        """
        row = download_row(artifacts, notebook_dir)
        if row is None:
            return
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self._cell_runs)  # once, however often it is said
        self._shown.setdefault(cell_id, []).append(row)
        publish(view(row))

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
    artifacts: Sequence[Artifact], notebook_dir: Path, environ: Mapping[str, str] = os.environ
) -> Widget | None:
    """A row of buttons: one for each file and, for more than one, one for all of them as a zip archive.

    Must be called in the main thread, in a running kernel. Show it with `publish(view(row))`.

    Args:
        artifacts: The saved files; none, no row.
        notebook_dir: What their `href` is relative to.
        environ: Says which server started this kernel.
    """
    if not artifacts:
        return None
    from ipython_assistant.display.row import DownloadRow

    root = server_root(environ)
    offers = [
        {
            "name": artifact.name,
            "label": one_line(artifact.name),
            "size": artifact.size,
            "size_in_words": size_in_words(artifact.size),
            "media_type": artifact.media_type,
            "server_path": _server_path(artifact.path, root),
            "saved_as": one_line(artifact.href, 160),
        }
        for artifact in artifacts
    ]
    archive = f"{notebook_dir.resolve().name or 'notebook'}-files.zip"
    row: Widget = DownloadRow([artifact.path for artifact in artifacts], offers, archive)
    return row


def view(row: Widget) -> Bundle:
    """The row as an output; it holds nothing that is of use without its kernel."""
    return Bundle(
        {VIEW: {"version_major": 2, "version_minor": 0, "model_id": row.model_id}}, {KEY: {"output": "buttons"}}
    )


def server_root(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that the Jupyter server of this kernel serves; None where that is not known.

    jupyter_client puts the id of the process that started a kernel into `JPY_PARENT_PID`, and a Jupyter server says in
    `jpserver-<pid>.json` in its runtime directory what it serves. A kernel that something else started (a converter, a
    gateway elsewhere) has no such file.
    """
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdecimal():
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        told: Any = json.loads(Path(jupyter_runtime_dir(), f"jpserver-{pid}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    root = told.get("root_dir") if isinstance(told, dict) else None
    return Path(root) if isinstance(root, str) and root else None


def _server_path(path: Path, root: Path | None) -> str:
    """The file's path as the server names it, or nothing where it does not serve it."""
    if root is None:
        return ""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return ""
