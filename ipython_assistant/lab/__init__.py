"""What runs inside the Jupyter server: a server extension, enabled by the wheel.

It keeps our rows of buttons out of saved notebooks: a row needs its kernel, and where that is gone JupyterLab would
show "Error displaying widget" in its place. And it says so to the kernels that this server starts, so that they show
rows at once. Server and kernel may live in two environments; nothing joins them but the names below.

`jupyter server` looks for the two functions with an underscore
(https://jupyter-server.readthedocs.io/en/latest/developers/extensions.html).
"""

from __future__ import annotations

import os
from typing import Any

ANNOUNCEMENT = "IPYTHON_ASSISTANT_LAB"
"""The environment variable that tells a kernel: the server that started it has this extension."""
PROMISE = "1"
"""Its value: which promise it is. A later one may keep more out of the saved notebook."""
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def keep_live_outputs_out(model: object, **_where: object) -> None:
    """A pre-save hook: remove what only a live kernel could show from a notebook that is saved, in place."""
    if _at(model, "type") == "notebook":
        remove_rows(_at(model, "content"))


def remove_rows(notebook: object) -> None:
    """Remove our rows of buttons and the stored state of their widgets, in place; nothing else is touched.

    It comes from a browser: what does not look as version 4 of the format (https://nbformat.readthedocs.io) stays.
    """
    gone = set()
    for cell in _items(_at(notebook, "cells")):
        outputs = _at(cell, "outputs")
        for output in _items(outputs):
            if _at(output, "metadata", "ipython_assistant", "output") == "buttons":
                outputs[:] = [other for other in outputs if other is not output]
                gone.add(str(_at(output, "data", VIEW, "model_id")))
    state = _at(notebook, "metadata", "widgets", STATE, "state")
    for model_id in gone if isinstance(state, dict) else ():
        state.pop(model_id, None)


def _at(value: Any, *names: str) -> Any:
    """What stands in nested objects under these names; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "ipython_assistant.lab"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.contents_manager.register_pre_save_hook(keep_live_outputs_out)
    # Only now: it is a promise to the kernels. Those on this machine inherit the server's environment.
    os.environ[ANNOUNCEMENT] = PROMISE
