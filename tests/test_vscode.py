"""VS Code, played by a script: its cell ids, its name for the notebook, its side of the widget messages.

What is played was read in its source: execute requests carry the cell's URI as `cellId`, `__vsc_ipynb_file__` is set in
every kernel it starts, models are made from `comm_open` messages, and a view whose model the kernel does not know falls
back to the next representation of the output.
"""

import os

import pytest
from jupyter_client.manager import start_new_kernel
from tests_support import events as wire

VIEW = "application/vnd.jupyter.widget-view+json"
TABLE = b"district,mean\n" + b"North,1.5\n" * 300_000


class Editor:
    """As much of VS Code as a notebook's cells meet."""

    def __init__(self, client, notebook):
        self._client = client
        self._uri = f"vscode-notebook-cell:{notebook}#W0sZmlsZQ%3D%3D"
        self.models: set[str] = set()
        self.run(f"__vsc_ipynb_file__ = {str(notebook)!r}")

    def run(self, code):
        """The outputs of a cell."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        messages = self._send("execute_request", content, {"cellId": self._uri})
        errors = [message["content"]["evalue"] for message in messages if message["msg_type"] == "error"]
        assert errors == []
        outputs = [message["content"] for message in messages if message["msg_type"] == "display_data"]
        for message in messages:
            if message["msg_type"] == "update_display_data":
                display_id = message["content"]["transient"]["display_id"]
                (updated,) = (output for output in outputs if output["transient"].get("display_id") == display_id)
                updated |= message["content"]
        return outputs

    def click(self, model_id, file):
        """Ask for a file as the row's JavaScript does, and put its chunks together."""
        content, total = b"", 1
        while len(content) < total:
            reply, buffers = self.ask(model_id, type="get", file=file, offset=len(content))
            content, total = content + bytes(buffers[0]), reply["total"]
        return content

    def ask(self, model_id, **message):
        """Send one message of the row's JavaScript; gives the reply and its buffers."""
        content = {"comm_id": model_id, "data": {"method": "custom", "content": {"request": "r", **message}}}
        (reply,) = (sent for sent in self._send("comm_msg", content) if sent["msg_type"] == "comm_msg")
        return reply["content"]["data"]["content"], reply["buffers"]

    def shown(self, output):
        """The media type that is drawn: the first, unless it is a view whose model is not known here."""
        data = output["data"]
        known = data.get(VIEW, {}).get("model_id") in self.models
        return next(media_type for media_type in data if media_type != VIEW or known)

    def _send(self, kind, content, metadata=None):
        """Send a request; gives what came because of it until the kernel was idle again."""
        request = self._client.session.msg(kind, content, metadata=metadata or {})
        self._client.shell_channel.send(request)
        messages = []
        while True:
            message = self._client.get_iopub_msg(timeout=60)
            if message["msg_type"] == "comm_open":
                self.models.add(message["content"]["comm_id"])
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                messages.append(message)
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    return messages


@pytest.fixture
def editor(hosted, tmp_path):
    """A notebook in a folder of its own; the kernel works in another, as `jupyter.notebookFileRoot` can have it."""
    hosted.put("mean é #1.csv", TABLE, "cfile_1")
    hosted.will_say([wire.Code("save()"), wire.cited(("mean é #1.csv", "cfile_1"))])
    notebook = tmp_path / "my notebooks" / "cases.ipynb"
    notebook.parent.mkdir()
    (tmp_path / "workspace").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with (tmp_path / "stderr").open("w") as stderr:
        manager, client = start_new_kernel(env=environment, cwd=str(tmp_path / "workspace"), stderr=stderr)
        yield Editor(client, notebook)
        client.stop_channels()
        manager.shutdown_kernel()
    assert "Traceback" not in (tmp_path / "stderr").read_text(), "a kernel with rows ends quietly"


def test_files_are_saved_beside_the_notebook_and_the_button_brings_their_bytes_from_the_kernel(editor, tmp_path):
    editor.run("%load_ext ipython_assistant")
    outputs = editor.run("%%assistant\nSave the mean per district.")
    (row,) = (output for output in outputs if output["metadata"]["ipython_assistant"]["output"] == "buttons")
    saved = tmp_path / "my notebooks" / "assistant_files" / "mean é #1.csv"
    assert saved.read_bytes() == TABLE
    assert not (tmp_path / "workspace" / "assistant_files").exists()
    assert 'href="assistant_files/mean%20%C3%A9%20%231.csv"' in outputs[0]["data"]["text/html"]
    assert editor.shown(row) == VIEW
    assert editor.click(row["data"][VIEW]["model_id"], 0) == TABLE
    rows, _ = editor.ask(row["data"][VIEW]["model_id"], type="rows", file=0)
    assert (rows["columns"], rows["rows"][0], len(rows["rows"])) == (["district", "mean"], ["North", "1.5"], 1_000)
    # The notebook is opened again: there is another kernel, which has no such model.
    editor.models.clear()
    assert editor.shown(row) == "image/png"
