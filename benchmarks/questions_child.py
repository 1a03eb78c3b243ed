"""Runs code for `questions.py` in the current folder, and reads what it draws: one JSON object a line, in and out."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from prompts.figures import Reader

variables = {"__name__": "__main__"}
reader = Reader()
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    asked = json.loads(line)
    if "folder" in asked:
        os.chdir(asked["folder"])
        variables, asked = {"__name__": "__main__"}, {"code": "", "keep": True}
    before = {path.name: path.stat().st_mtime_ns for path in Path().iterdir()}
    printed, error = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(asked["code"], "<code>", "exec"), variables if asked["keep"] else {**variables})
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever the code raises
        error = f"{type(problem).__name__}: {problem}"
    reader.read_the_rest()
    files = sorted(path.name for path in Path().iterdir() if before.get(path.name) != path.stat().st_mtime_ns)
    print(json.dumps({"printed": printed.getvalue(), "error": error, "files": files, "axes": reader.taken()}), file=out)
    out.flush()
