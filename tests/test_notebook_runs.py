"""The command line for notebooks that run again, with real kernels."""

import errno
import json
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from tests_support.replaying import make_recording

from ipython_assistant import notebook_runs
from ipython_assistant.cli import main
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.workspace import safe_dir
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings

# Stands in for the extension: shows what a cell was run with.
FAKE = """
import os
from IPython import get_ipython
from IPython.core.magic import register_cell_magic
@register_cell_magic
def assistant(line, cell):
    print(os.environ["IPYTHON_ASSISTANT_MODE"], os.environ.get("CI"), os.path.basename(os.getcwd()))
    print(cell.strip())
"""


def written(path, *cells):
    nbformat.write(new_notebook(cells=[new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]), path)
    return path


def asking(text, *shown):
    return new_code_cell(f"%%assistant\n{text}", outputs=list(shown))


def said(text, **more):
    return new_output("stream", name="stdout", text=text, **more)


def test_replay_runs_each_notebook_in_its_own_directory_and_says_where_it_differs(tmp_path, monkeypatch, capsys):
    (tmp_path / "sub").mkdir()
    view = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Row()"})
    same = written(tmp_path / "sub" / "same.ipynb", FAKE, asking("Hi.", said("replay None sub\n"), view, said("Hi.\n")))
    other = written(tmp_path / "other.ipynb", FAKE, asking("Hi.", said("something else\n")), new_code_cell("1 / 2"))
    before = same.read_bytes(), other.read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "sub/same.ipynb", "other.ipynb"]) == 1
    assert capsys.readouterr().out.splitlines() == ["sub/same.ipynb: same outputs", "other.ipynb: differs in cell 2"]
    assert (same.read_bytes(), other.read_bytes()) == before


def test_a_notebook_that_fails_is_said_with_its_error_and_left_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    fails = written(tmp_path / "fails.ipynb", FAKE, asking("Hi."), new_code_cell("1 / 0"))
    (tmp_path / "shared").mkdir()
    real = written(tmp_path / "shared" / "good.ipynb", FAKE, asking("Hi."))
    real.chmod(0o640)
    (good := tmp_path / "good.ipynb").symlink_to(real)
    before = fails.read_bytes()
    assert main(["record", str(fails), str(good)]) == 1
    out = capsys.readouterr().out
    assert "Code cell 3 of those that ran ended in\nZeroDivisionError: division by zero" in out
    assert fails.read_bytes() == before
    (output,) = nbformat.read(real, as_version=4).cells[1].outputs
    assert (good.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o640)
    assert output.text == f"auto None {tmp_path.name}\nHi.\n"
    assert not list(tmp_path.glob(".*"))


GUARD = """
%load_ext ipython_assistant
import os, socket
def refuse(*_args):
    raise AssertionError("a replay connects to nobody")
if os.environ["IPYTHON_ASSISTANT_MODE"] == "replay":
    socket.socket.connect = refuse
"""
PLOT = """%%assistant -o squares
```python
import matplotlib.pyplot as plt, pandas as pd
frame = pd.DataFrame({"n": range(5), "square": [n * n for n in range(5)]})
frame.to_csv("squares.csv", index=False)
frame.plot(x="n")
plt.savefig("plot.png")
plt.close()
```"""


@pytest.mark.slow  # an engine, and two kernels
def test_a_notebook_that_was_recorded_runs_again_without_anybody_to_ask(tmp_path, monkeypatch, capsys):
    following = "%%assistant\n```python\nprint(open('squares.csv').read())\n```"
    path = written(tmp_path / "analysis.ipynb", GUARD, PLOT, following, "int(squares.square.sum())")
    monkeypatch.setenv("IPYTHON_ASSISTANT_SERVICE", "local")
    assert main(["record", str(path)]) == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "assistant_files").iterdir() if path.is_file()}
    assert sorted(files) == ["plot.png", "squares.csv"]
    for name in files:
        (tmp_path / "assistant_files" / name).unlink()
    monkeypatch.delenv("IPYTHON_ASSISTANT_SERVICE")
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("same outputs")
    assert {name: (tmp_path / "assistant_files" / name).read_bytes() for name in files} == files
    shown = nbformat.read(path, as_version=4).cells
    assert shown[3].outputs[0].data["text/plain"] == "30"
    assert "0,0" in str(shown[2].outputs)


def test_a_file_that_is_no_notebook_is_said_to_be_none(tmp_path, capsys):
    no_notebooks = {
    "list": "[]", "torn": '{"cells": [', "number": "3", "object": "{}", "later": '{"nbformat": 9}',
    "deep": "[" * 100_000,
    "one_cell": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {"a": 1}}',
    "no_text": json.dumps({**new_notebook(), "cells": [{**new_code_cell(), "source": None}]}),
    }  # fmt: skip
    for name, text in no_notebooks.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
    assert main(["replay", *map(str, tmp_path.glob("*.ipynb")), "missing"]) == 1
    out = capsys.readouterr().out
    assert out.endswith("missing: no notebook\nIt cannot be read as a notebook: it is no longer there.\n")
    out = out.partition("missing:")[0]
    assert out.count(".ipynb: no notebook\n") == len(no_notebooks)
    assert out.count("It cannot be read as a notebook") == len(no_notebooks)


@pytest.mark.slow  # four processes with a kernel each
def test_a_kernel_that_is_not_there_or_does_not_start_is_said_and_the_next_notebook_runs(tmp_path, monkeypatch):
    kernels = {
        "mute": [sys.executable, "-c", "import sys; sys.exit('There is no module x.')"],
        "moved": [str(tmp_path / "gone" / "python"), "{connection_file}"],
    }
    for name, argv in kernels.items():
        (tmp_path / "kernels" / name).mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python"}
        (tmp_path / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    paths = [written(tmp_path / f"{name}.ipynb", FAKE, asking("Hi.")) for name in ("nowhere", *kernels, "good")]
    for path in paths[:-1]:
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["kernelspec"] = {"name": path.stem, "display_name": path.stem}
        nbformat.write(notebook, path)
    # In a process of its own: what is said at its exit counts too.
    command = [sys.executable, "-m", "ipython_assistant.cli", "replay", *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    outcomes = [line.partition(".ipynb: ")[2] for line in run.stdout.splitlines() if ".ipynb: " in line]
    assert outcomes == ["kernel did not start", "kernel did not start", "kernel did not start", "ran"]
    assert "The kernel nowhere did not start: No such kernel named nowhere." in run.stdout
    assert "There is no module x." in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert run.returncode == 1


# Between seeing that the IOPub thread lives and waking it, the control thread waits: its sockets may be closed by then.
SLOW_CONTROL = """
import atexit, pathlib, threading, time
from ipykernel.iostream import IOPubThread
pipe = IOPubThread._event_pipe.fget
def slow(self):
    found = pipe(self)
    if threading.current_thread().name == "Control":
        time.sleep(0.5)
    return found
IOPubThread._event_pipe = property(slow)
atexit.register(pathlib.Path("ended").touch)
"""


def test_a_kernel_ends_without_a_traceback_of_the_sockets_that_it_closes(tmp_path, capfd):
    path = written(tmp_path / "slow.ipynb", SLOW_CONTROL)
    assert main(["replay", str(path)]) == 0
    assert "Traceback" not in capfd.readouterr().err
    assert (tmp_path / "ended").exists()


@pytest.mark.slow
def test_a_notebook_that_is_interrupted_is_as_it_was_and_its_kernel_ends(tmp_path):
    begun = tmp_path / "begun"
    waiting = f"import os, pathlib, time\npathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
    path = written(tmp_path / "long.ipynb", waiting)
    before = path.read_bytes()
    command = [sys.executable, "-m", "ipython_assistant.cli", "record", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: begun.is_file() and begun.read_text(), "the cell runs")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.rstrip().endswith(f"Stopped in {path}; it is as it was.")
    assert path.read_bytes() == before
    until(lambda: not psutil.pid_exists(int(begun.read_text())), "the kernel is gone")


def until(holds, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"It never came about that {what}."
        time.sleep(0.05)


def test_a_notebook_that_cannot_be_saved_is_said_and_left_whole(tmp_path, monkeypatch, capsys):
    path = written(tmp_path / "full.ipynb", FAKE, asking("Hi."))
    before = path.read_bytes()

    def full(_staged, _path, **_how):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safe_dir, "place_file", full)
    monkeypatch.setattr(notebook_runs, "_execute", lambda *_: None)  # all its cells ran
    assert main(["record", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("not saved")
    assert "All its cells ran, but it cannot be saved: the disk is full." in out
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_the_recordings_of_a_folder_are_listed_and_a_damaged_one_is_named(notebook_dir, capsys):
    folder = Folder(notebook_dir, notebook_dir / "assistant_files", environ={})
    for minute in (0, 1):
        make_recording(Recordings(folder), TurnKey("Plot coverage by year."), {"a.csv": b"a\n1\n"}, minute=minute)
    assert main(["recordings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == "2026-01-15 openai completed 1 file Plot coverage by year."
    assert len(lines) == 2
    path = min(folder.store.path.glob("plot-*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "digest": "0" * 64}))
    assert main(["recordings", str(notebook_dir)]) == 1
    assert f"assistant_files/.turns/{path.name}: it was changed since it was written" in capsys.readouterr().out


def test_no_control_character_of_a_record_reaches_the_terminal(tmp_path, capsys):
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ={})
    make_recording(Recordings(folder), TurnKey("\x1b]52;c;ZXZpbA==\x07Plot\x1b[2J\u202e"), {}, service="\x1b[31mx")
    (folder.store.path / "\x1b[2Jtorn.json").write_text("{")
    main(["recordings", str(tmp_path)])
    said = capsys.readouterr()
    assert said.out
    assert set("\x1b\x07\u202e").isdisjoint(said.out + said.err)
