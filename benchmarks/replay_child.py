"""One turn with many files, asked or replayed. Arguments: naive|record|replay BASE_URL DIRECTORY of the notebook.

`naive` is the obvious loop, without a model's thinking time. `record` is a live cell, and what recording took of it.
`replay` is the same cell without a service: `hashed_ms` when every file is read, `again_ms` when none has changed
since. What is imported first is counted for nobody.
"""

import json
import os
import sys
import time
from pathlib import Path

row, base_url, directory = sys.argv[1:]
os.chdir(directory)
cell = "%%assistant --new\nMake the files."


def in_cells(count):
    """Milliseconds of each run of the cell."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "ipython_assistant")
    with capture_output():
        shell.run_line_magic("assistant", "status")  # imports what a cell needs
    from ipython_assistant.display.markdown import _parsed

    _parsed("")  # imports its parser, which comes with the first Markdown
    took = []
    for _ in range(count):
        _parsed.cache_clear()  # as if another cell had been run between
        began = time.perf_counter()
        with capture_output():
            outcome = shell.run_cell(cell, store_history=True)
        took.append((time.perf_counter() - began) * 1000)
        assert outcome.error_in_exec is None, outcome.error_in_exec
    shell.run_line_magic("unload_ext", "ipython_assistant")
    return took


def naive():
    """The obvious loop; importing the SDK is not counted."""
    import openai

    client = openai.OpenAI(api_key="test-key", base_url=base_url)
    folder = Path("naive_files")
    folder.mkdir(exist_ok=True)
    began = time.perf_counter()
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    for event in client.responses.create(model="test-model", input="Make the files.", stream=True, tools=[tool]):
        if event.type != "response.completed":
            continue
        for citation in event.response.output[-1].content[0].annotations:
            content = client.containers.files.content.retrieve(citation.file_id, container_id=citation.container_id)
            (folder / citation.filename).write_bytes(content.content)
    return {"ms": (time.perf_counter() - began) * 1000}


def record():
    """A live cell; the time spent on its recording is taken by stopwatch around the call that makes it."""
    os.environ.update(OPENAI_API_KEY="test-key", OPENAI_BASE_URL=base_url, IPYTHON_ASSISTANT_MODE="live")

    from ipython_assistant.workspace.recordings import Recordings

    spent = []

    def timed(method):
        def measured(*args, **kwargs):
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent.append(time.perf_counter() - began)

        return measured

    Recordings.keep = timed(Recordings.keep)
    (took,) = in_cells(1)
    return {"ms": took, "recording_ms": sum(spent) * 1000}


def replay():
    """The same cell from its recording, with the SDK out of reach."""
    os.environ["IPYTHON_ASSISTANT_MODE"] = "replay"
    in_cells_of_all = in_cells(4)
    return {
        "hashed_ms": in_cells_of_all[0],
        "again_ms": min(in_cells_of_all[1:]),
        "sdk": float("openai" in sys.modules),
    }


print(json.dumps({"naive": naive, "record": record, "replay": replay}[row]()))
