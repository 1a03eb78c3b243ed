"""Seconds to the first answer of `basic` in a new kernel: `first_answer_child.py S`, asked S seconds after loading."""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.get_parent = lambda: {"metadata": {"cellId": "a"}}  # as a notebook's kernel is asked
shell.kernel = shell
os.environ["IPYTHON_ASSISTANT_FIND_MODELS"] = "0"
with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
    os.chdir(place)
    rows = "".join(f"District {'ABCDE'[n % 5]},{2000 + n % 20},{n * 7 % 100}\n" for n in range(200))
    Path("coverage.csv").write_text("district,year,coverage\n" + rows)
    shell.run_cell("%load_ext ipython_assistant")
    time.sleep(float(sys.argv[1]))  # a person types
    began = time.perf_counter()
    ran = shell.run_cell("%%assistant -i coverage.csv\nMean coverage per district as means.csv")
    seconds = time.perf_counter() - began
    ran.raise_error()
    assert len(ran.result.files["means.csv"].to_frame()) == 5
    shell.run_line_magic("unload_ext", "ipython_assistant")
    os.chdir("/")
print(json.dumps({"s": seconds}))
