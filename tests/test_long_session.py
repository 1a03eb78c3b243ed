"""A kernel that lives for days: a thousand turns neither fill its memory nor slow it down."""

import base64
import json
import os
import random
import subprocess
import sys

import pytest
from tests_support import events as wire
from tests_support.files import PNG
from tests_support.scripted import Answer

MEGABYTE = 1_000_000
CHILD = """
import gc, json, sys, time
import psutil
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

turns = int(sys.argv[1])
shell = InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
shell.run_line_magic("load_ext", "ipython_assistant")
process, seen = psutil.Process(), []
for number in range(turns):
    began = time.process_time()
    with capture_output():
        outcome = shell.run_cell(f"%%assistant\\nPlot {number}.", store_history=True)
    outcome.raise_error()
    spent = time.process_time() - began
    if number in (49, turns - 1):
        gc.collect()
    seen.append((process.memory_info().rss, spent))
print(json.dumps(seen))
"""


def figure_of(size):
    """A PNG of so many bytes, as a `data:` URI: a picture of nothing, and noise behind its end."""
    content = PNG + random.Random(1).randbytes(size - len(PNG))
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_turns_with_a_figure_each_leave_memory_flat_and_stay_fast(notebook_dir, hosted):
    image, asked = figure_of(MEGABYTE), iter(range(10_000))

    def answer(_request):
        number = next(asked)
        items = [wire.Code("plt.show()", outputs=[wire.image(image)], container_id="cntr_1"), wire.Message("Done.")]
        body = wire.sse(wire.stream(items, f"resp_{number}"))
        return Answer(body, headers={"Content-Type": "text/event-stream"})

    hosted.on("^POST /v1/responses$", answer)
    turns = int(os.environ.get("LONG_SESSION_TURNS", "1000"))
    completed = subprocess.run(
        [sys.executable, "-c", CHILD, str(turns)], cwd=notebook_dir,
        env={**os.environ, "IPYTHON_ASSISTANT_MODE": "auto"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    seen = json.loads(completed.stdout.splitlines()[-1])
    memory, spent = zip(*seen, strict=True)
    early, late = sorted(spent[10:60])[25], sorted(spent[-50:])[25]
    print(f"memory {memory[49] / 1e6:.0f} MB, then {memory[-1] / 1e6:.0f} MB; a turn {early:.3f} s, then {late:.3f} s")

    assert memory[-1] - memory[49] < 50 * MEGABYTE
    assert late < 4 * early
