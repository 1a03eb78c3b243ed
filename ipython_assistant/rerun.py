"""Notebooks run again, on the command line: `ipython-assistant replay`, `record` and `recordings`.

A notebook runs in its own directory, in a kernel of its own, without a front end. `replay` asks nobody and changes no
notebook; `record` asks what is not recorded and leaves the recordings in the notebook's order, from top to bottom.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.core.wording import counted, first_words, on_one_line, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from nbclient import NotebookClient

    from ipython_assistant.workspace.recordings import RecordingCounts, Recordings

CELL_TIMEOUT_S = 600
STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""
QUESTION = "%%assistant"
VIEW = "application/vnd.jupyter.widget-view+json"
# What a run leaves beside an output that is no part of it; https://nbformat.readthedocs.io/en/latest/format_description.html
_OF_THE_RUN = frozenset({"metadata", "execution_count", "transient"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a notebook did not run to its end: in two or three words for the table, and in full."""

    told: str
    said: str


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one notebook.

    Attributes:
        path: The notebook.
        questions: How many of its cells ask.
        compared: How many of those had saved outputs to compare with.
        differs: The cells among them whose outputs are others now, counted from 1 as all cells are.
        failure: What a cell, or the whole run, ended in; None if all went well.
        seconds: How long it took, with the kernel's start.
    """

    path: Path
    questions: int = 0
    compared: int = 0
    differs: tuple[int, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0

    @property
    def told(self) -> str:
        """The run in a few words."""
        if self.failure is not None:
            return self.failure.told
        if self.differs:
            cells = ", ".join(map(str, self.differs))
            return f"differs in cell{'s' * (len(self.differs) > 1)} {cells}"
        return "same outputs" if self.compared else "ran"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands to the command line; each sets `run`, which takes the options and gives the exit code."""
    replay = commands.add_parser("replay", help="run notebooks from their recordings: no key, no network, no cost")
    replay.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    replay.add_argument("--no-compare", action="store_true", help="let outputs differ from those in the notebook")
    _add_timeout(replay)
    replay.set_defaults(run=replay_notebooks)
    record = commands.add_parser("record", help="run notebooks from top to bottom, ask what is not recorded, save them")
    record.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    record.add_argument("--fresh", action="store_true", help="ask every question anew")
    _add_timeout(record)
    record.set_defaults(run=record_notebooks)
    recordings = commands.add_parser("recordings", help="list, check or prune the recordings of a folder")
    recordings.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help="a folder, with all below it (default: this)"
    )
    what = recordings.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="read every byte; exit code 1 if anything is damaged")
    what.add_argument("--prune", action="store_true", help="remove what is never replayed and what nothing needs")
    what.add_argument("--size", action="store_true", help="say how much there is")
    recordings.set_defaults(run=look_after)


def replay_notebooks(options: argparse.Namespace) -> int:
    """Run notebooks in replay mode; 1 if one fails or, unless that is allowed, gives other outputs."""
    environment = {**os.environ, "IPYTHON_ASSISTANT_MODE": "replay"}
    return _run_all(options, environment, compare=not options.no_compare)


def record_notebooks(options: argparse.Namespace) -> int:
    """Run notebooks and save them with their outputs; 1 if one fails, which is then left as it was."""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment["IPYTHON_ASSISTANT_MODE"] = "live" if options.fresh else "auto"
    return _run_all(options, environment, compare=False, save=True)


def look_after(options: argparse.Namespace) -> int:
    """List, check, prune or measure the recordings of a folder."""
    from ipython_assistant.workspace.folder import Folder
    from ipython_assistant.workspace.recordings import Recordings

    asked: Path = options.folder.absolute()
    look = _check if options.check else _prune if options.prune else _size if options.size else _list
    # A folder for each notebook is what we recommend: all of them are meant.
    folders = sorted(path.parent for path in asked.rglob(".turns") if path.is_dir())
    if not folders:
        _say(f"There are no recordings in {options.folder}.\nName the folder they are in.", to=sys.stderr)
        return 1
    worst = 0
    for folder in folders:
        try:
            worst = max(worst, look(Recordings(Folder(asked, folder))))
        except OSError as error:
            _say(f"{folder} cannot be read: {error.strerror or type(error).__name__}.", to=sys.stderr)
            worst = 1
    return worst


def _run_all(options: argparse.Namespace, environment: Mapping[str, str], *, compare: bool, save: bool = False) -> int:
    if importlib.util.find_spec("nbclient") is None:
        _say("nbclient is not installed here.\nRun: pip install 'ipython_assistant[lab]'", to=sys.stderr)
        return 1
    runs = []
    for path in options.notebooks:
        _say(f"{path} …", to=sys.stderr)
        try:
            runs.append(_run(path, environment, options.timeout, compare=compare, save=save))
        except KeyboardInterrupt:
            _say(f"\nStopped in {path}; it is as it was.", to=sys.stderr)
            return STOPPED
    width = max(len(str(run.path)) for run in runs)
    _say(f"{'notebook':<{width}}  questions  seconds  outcome")
    for run in runs:
        _say(f"{run.path!s:<{width}}  {run.questions:>9}  {run.seconds:>7.1f}  {run.told}")
    for run in runs:
        if run.failure is not None:
            _say(f"\n{run.path}\n{run.failure.said}")
    return 1 if any(run.failure is not None or run.differs for run in runs) else 0


def _run(path: Path, environment: Mapping[str, str], timeout_s: float, *, compare: bool, save: bool) -> Run:
    from nbclient import NotebookClient

    began, run = time.monotonic(), Run(path)
    notebook = _read(path)
    if isinstance(notebook, Failure):
        return replace(run, failure=notebook)
    asking = [at for at, cell in enumerate(notebook.cells) if _asks(cell)]
    before = {at: _shown(notebook.cells[at].get("outputs", [])) for at in asking}
    run = replace(run, questions=len(asking))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=timeout_s,
        kernel_name=_kernel(notebook),
        resources={"metadata": {"path": str(path.absolute().parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        record_timing=False,
    )
    run = replace(run, failure=_executed(client, environment))
    if compare and run.failure is None and any(before.values()):
        after = {at: _shown(notebook.cells[at].outputs) for at in asking}
        differs = tuple(at + 1 for at in asking if before[at] != after[at])
        run = replace(run, compared=len(asking), differs=differs)
    if save and run.failure is None:
        run = replace(run, failure=_saved(notebook, path))
    return replace(run, seconds=time.monotonic() - began)


def _read(path: Path) -> Any:
    """The notebook, or why there is none: a `Failure`."""
    import nbformat

    no_notebook = Failure("no notebook", "It cannot be read as a notebook: its JSON has another form.")
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError, RecursionError) as error:
        return Failure("no notebook", f"It cannot be read as a notebook: {_words(error)}.")
    except (nbformat.ValidationError, AttributeError, TypeError):
        # nbformat looks for the parts of a notebook in whatever JSON it is given: a list, a number.
        return no_notebook
    # What else is not as it should be does no harm here: Jupyter too opens such a notebook.
    cells = notebook.cells
    readable = isinstance(cells, list) and all(
        isinstance(cell.get("source"), str) and isinstance(cell.get("outputs", []), list) for cell in cells
    )
    return notebook if readable else no_notebook


def _kernel(notebook: Any) -> str:
    """The name of the kernel that the notebook asks for."""
    spec = notebook.metadata.get("kernelspec")
    name = spec.get("name") if isinstance(spec, dict) else None
    return name if isinstance(name, str) else "python3"


def _executed(client: NotebookClient, environment: Mapping[str, str]) -> Failure | None:
    """Run all cells; returns what that ended in, if not well."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    try:
        # Started apart from the run: `execute` would leave a kernel that did not come up to be ended at exit, when
        # there is none left to end.
        with client.setup_kernel(env=dict(environment)):
            _execute(client)
    except CellExecutionError as error:
        at = _ordinal(client.code_cells_executed)
        return Failure("failed", f"The {at} code cell that ran ended in\n{error.ename}: {error.evalue}")
    except CellTimeoutError:
        return Failure("too slow", f"A cell took longer than {client.timeout:g} s: see --timeout.")
    except DeadKernelError:
        return Failure("kernel died", "The kernel died.")
    except NoSuchKernel:
        kernel = on_one_line(client.kernel_name)
        return Failure(
            "no such kernel",
            f"There is no kernel named {kernel} here.\n"
            "Install it, or choose another in the notebook; `jupyter kernelspec list` shows those there are.",
        )
    except (OSError, RuntimeError, ValueError) as error:
        return Failure(
            "kernel did not start",
            f"The kernel {on_one_line(client.kernel_name)} did not start: {_words(error)}.\n"
            "Its own words, if it had any, are above; `jupyter kernelspec list` shows where it is.",
        )
    return None


def _execute(client: NotebookClient) -> None:
    kernel = client.km
    try:
        client.execute(cleanup_kc=False)
    except Exception:
        if client.km is None:
            # At Ctrl-C nbclient ends the kernel and forgets it; what its own steps then fall over is no matter.
            raise KeyboardInterrupt from None
        raise
    finally:
        client.km = kernel


def _saved(notebook: Any, path: Path) -> Failure | None:
    """Write the notebook whole or not at all, where it is if `path` is a link; returns why it could not be."""
    import nbformat

    try:
        target = path.resolve(strict=True)
        descriptor, written = tempfile.mkstemp(prefix=".notebook-", suffix=".tmp", dir=target.parent)
        temporary = Path(written)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 it is open
                nbformat.write(notebook, file)
            shutil.copymode(target, temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        return Failure("not saved", f"All its cells ran, and it cannot be saved: {disk_reason(error)}.")
    return None


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return on_one_line(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    return on_one_line(error).rstrip(".")


def _asks(cell: Any) -> bool:
    return bool(cell.cell_type == "code" and cell.source.lstrip().startswith(QUESTION))


def _shown(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What outputs show: without what belongs to one run, and without widgets, which only a live notebook has."""
    shown: list[dict[str, Any]] = []
    for output in outputs:
        if VIEW in (output.get("data") or {}):
            continue
        kept = {name: value for name, value in output.items() if name not in _OF_THE_RUN}
        streams = [item for item in (kept, *shown[-1:]) if item.get("output_type") == "stream"]
        if len(streams) > 1 and streams[0]["name"] == streams[1]["name"]:
            # Where a stream is cut is a matter of time.
            shown[-1] = {**kept, "text": shown[-1]["text"] + kept["text"]}
        else:
            shown.append(kept)
    return shown


def _ordinal(number: int) -> str:
    """A number as it is counted: `1st`, `2nd`, `13th`."""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _check(recordings: Recordings) -> int:
    from ipython_assistant.workspace.recordings import check

    faults = check(recordings)
    for fault in faults:
        _say(f"{fault.path}: {fault.reason}")
    if not faults:
        _say(f"{counted(len(recordings.all()), 'recording')} in {recordings.where}, and nothing is damaged.")
    return 1 if faults else 0


def _prune(recordings: Recordings) -> int:
    from ipython_assistant.workspace.recordings import prune

    removed, remark = prune(recordings)
    _say(f"Removed {_in_words(removed)}.\n{remark}".rstrip())
    return 0


def _size(recordings: Recordings) -> int:
    from ipython_assistant.workspace.recordings import counts

    _say(f"{_in_words(counts(recordings))} in all.")
    return 0


def _in_words(number: RecordingCounts) -> str:
    from ipython_assistant.core.wording import size_in_words

    bodies = counted(number.bodies, "body", "bodies")
    return f"{counted(number.recordings, 'recording')}, {bodies}, {size_in_words(number.total_bytes)}"


def _list(recordings: Recordings) -> int:
    found = recordings.all()
    for it in found:
        about = f"{it.began[:10]}  {it.service:<7} {it.status:<10} {counted(len(it.files), 'file'):>8}"
        _say(f"{about}  {first_words(it.prompt, 60)}")
    if not found:
        _say(f"Nothing is recorded in {recordings.where}.")
    return 0


def _say(text: str, to: TextIO | None = None) -> None:
    """Print lines in which words from outside may stand: nothing in them controls the terminal."""
    print(printable(text), file=to, flush=True)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=float, default=CELL_TIMEOUT_S, metavar="S", help=f"seconds for a cell ({CELL_TIMEOUT_S})"
    )
