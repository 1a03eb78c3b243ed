"""What runs inside the Jupyter server: a server extension, enabled by the wheel.

It keeps our rows of buttons out of saved notebooks (see `display.buttons`), and says so to the kernels that this server
starts. Server and kernel may live in two environments; nothing joins them but the names below. `jupyter server` looks
for the two functions at the end: https://jupyter-server.readthedocs.io/en/latest/developers/extensions.html
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

ANNOUNCEMENT = "IPYTHON_ASSISTANT_LAB"
"""The environment variable that tells a kernel: the server that started it has this extension."""
PROMISE = "1"
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def keep_live_outputs_out(model: Any, **_where: object) -> None:
    """A pre-save hook: remove what only a live kernel could show from a notebook that is saved, in place."""
    if isinstance(model, dict) and model.get("type") == "notebook":
        remove_rows(model.get("content"))


def remove_rows(notebook: Any) -> None:
    """Remove our rows of buttons and the stored state of their widgets, in place; what is no notebook stays."""
    gone = []
    with suppress(AttributeError, LookupError, TypeError):
        for cell in notebook["cells"]:
            outputs = cell.get("outputs", [])
            for output in list(outputs):
                if output.get("metadata", {}).get("ipython_assistant", {}).get("output") == "buttons":
                    outputs[:] = [other for other in outputs if other is not output]
                    gone.append(str(output["data"][VIEW]["model_id"]))
        state = notebook["metadata"]["widgets"][STATE]["state"]
        for model_id in gone:
            state.pop(model_id, None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "ipython_assistant.lab"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.contents_manager.register_pre_save_hook(keep_live_outputs_out)
    # Only now: it is a promise to the kernels. Those on this machine inherit the server's environment.
    os.environ[ANNOUNCEMENT] = PROMISE
