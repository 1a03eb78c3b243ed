"""What runs inside the Jupyter server: a server extension, enabled by the wheel.

It does two things. It keeps our rows of buttons out of saved notebooks: a row needs its kernel, and where that is gone
JupyterLab would show "Error displaying widget" in its place. And it says so to the kernels that this server starts, so
that they show rows only where the server keeps them out of the file. Server and kernel may live in two environments,
and nothing joins them but the names below.

The extension's two functions are those that `jupyter server` looks for
(https://jupyter-server.readthedocs.io/en/latest/developers/extensions.html).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from ipython_assistant.lab.saving import without_live_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

ANNOUNCEMENT = "IPYTHON_ASSISTANT_LAB"
"""The environment variable that tells a kernel: the server that started it has this extension."""
PROMISE = "1"
"""Its value: which promise it is. A later one may keep more out of the saved notebook."""


class ContentsService(Protocol):
    """The server's contents manager, as far as it is used here."""

    def register_pre_save_hook(self, hook: Callable[..., None]) -> None:
        """From now on call this before anything is saved, with what is to be saved."""


class ServerApp(Protocol):
    """The running Jupyter server, as far as it is used here."""

    contents_manager: ContentsService


def keep_live_outputs_out(model: object, **_where: object) -> None:
    """A pre-save hook: remove what only a live kernel could show from a notebook that is about to be saved.

    Args:
        model: What is saved, as the contents API describes it; changed in place.
        **_where: The path and the contents manager, which do not matter here.
    """
    if isinstance(model, dict) and model.get("type") == "notebook":
        without_live_outputs(model.get("content"))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "ipython_assistant.lab"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    server.contents_manager.register_pre_save_hook(keep_live_outputs_out)
    # Only now: it is a promise to the kernels. Those on this machine inherit the server's environment.
    os.environ[ANNOUNCEMENT] = PROMISE
