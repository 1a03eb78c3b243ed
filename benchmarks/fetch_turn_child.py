"""One whole turn: milliseconds from `response.completed` to its files. Arguments: ipython_assistant|naive BASE_URL.

`saved_ms` is until the last file stands under its own name, `ended_ms` until the cell has ended.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from fetch_server import Spec

row, base_url = sys.argv[1:]
spec = Spec.read(base_url.split("/")[3])
os.environ.update(OPENAI_API_KEY="test-key", OPENAI_BASE_URL=base_url)
os.chdir(tempfile.mkdtemp())
folder = Path("assistant_files")
marks = {}


def ours():
    """A `%%assistant` cell."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from ipython_assistant.service import stream
    from ipython_assistant.workspace.folder import Folder

    original_iter, original_save = stream.EventStream.__iter__, Folder.save

    def watched_iter(self):
        for event in original_iter(self):
            if event and event["type"] == "response.completed":
                marks["completed"] = time.perf_counter()
            yield event

    def watched_save(*args, **kwargs):
        artifact = original_save(*args, **kwargs)
        marks["saved"] = time.perf_counter()
        return artifact

    stream.EventStream.__iter__, Folder.save = watched_iter, watched_save
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "ipython_assistant")
    with capture_output():
        outcome = shell.run_cell("%%assistant\nMake the files.", store_history=True)
    marks["ended"] = time.perf_counter()
    assert outcome.error_in_exec is None, outcome.error_in_exec
    shell.run_line_magic("unload_ext", "ipython_assistant")


def naive():
    """The obvious loop."""
    import openai

    client = openai.OpenAI()
    folder.mkdir()
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    for event in client.responses.create(model="test-model", input="Make the files.", stream=True, tools=[tool]):
        if event.type != "response.completed":
            continue
        marks["completed"] = time.perf_counter()
        for citation in event.response.output[-1].content[0].annotations:
            content = client.containers.files.content.retrieve(citation.file_id, container_id=citation.container_id)
            (folder / citation.filename).write_bytes(content.content)
    marks["saved"] = marks["ended"] = time.perf_counter()


{"ipython_assistant": ours, "naive": naive}[row]()
there = [path for path in folder.iterdir() if path.is_file() and path.suffix == ".bin"]
assert len(there) == spec.files, there
assert all(path.stat().st_size == spec.bytes for path in there)
for path in there:
    path.unlink()
after_ms = {name: max(0.0, marks[name] - marks["completed"]) * 1000 for name in ("saved", "ended")}
print(json.dumps({f"{name}_ms": value for name, value in after_ms.items()}))
