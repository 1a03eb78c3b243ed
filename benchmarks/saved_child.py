"""From the engine's last event to all files on disk: milliseconds, beside those of the whole cell."""

import json
import os
import tempfile
import time

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ipython_assistant import collect_files, turn_sources
from ipython_assistant.service import stream

os.chdir(tempfile.mkdtemp())
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "ipython_assistant")
marks = {}
original_iter, original_collect = stream.EventStream.__iter__, collect_files.collect


def watched_iter(self):
    """Note when the last event came."""
    for event in original_iter(self):
        if event and event["type"] == "response.completed":
            marks["completed"] = time.perf_counter()
        yield event


def watched_collect(*args, **kwargs):
    """Note when the last file was in place."""
    collected = original_collect(*args, **kwargs)
    marks["saved"], marks["files"] = time.perf_counter(), len(collected.artifacts)
    return collected


stream.EventStream.__iter__, turn_sources.collect = watched_iter, watched_collect
code = "for n in range(5):\n    open(f'{n}.csv', 'w').write('a,b\\n' + '1,2\\n' * 20000)"
with capture_output():
    began = time.perf_counter()
    shell.run_cell(f"%%assistant\n```python\n{code}\n```", store_history=True)
    cell_ms = (time.perf_counter() - began) * 1000
assert marks["files"] == 5
shell.run_line_magic("unload_ext", "ipython_assistant")
print(json.dumps({"saved_ms": (marks["saved"] - marks["completed"]) * 1000, "cell_ms": cell_ms}))
