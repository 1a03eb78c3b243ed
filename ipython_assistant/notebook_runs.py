"""Notebooks that run again, on the command line: `ipython-assistant replay`, `record` and `recordings`.

A notebook runs in its own directory, in a kernel of its own, without a front end. `replay` asks no service and changes
no notebook; `record` asks what is not recorded and saves the notebook.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ipython_assistant.core.wording import counted, disk_reason, first_words, on_one_line, printable
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings
from ipython_assistant.workspace.safe_dir import write_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from nbclient import NotebookClient

CELL_TIMEOUT_S, END_WAIT_S = 600, 5.0
"""Seconds that a cell, and a kernel to end, are given."""
STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""
QUESTION = "%%assistant"
VIEW = "application/vnd.jupyter.widget-view+json"
# What a run adds to an output; https://nbformat.readthedocs.io/en/latest/format_description.html
_OF_THE_RUN = frozenset({"metadata", "execution_count", "transient"})


class RunError(Exception):
    """Why a notebook did not run to its end: in a few words on the first line, and in full below."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands to the command line; each sets `run`, which takes the options and gives the exit code."""
    replay = commands.add_parser("replay", help="run notebooks from their recordings: no key, no network, no cost")
    record = commands.add_parser("record", help="run notebooks from top to bottom, ask what is not recorded, save them")
    record.add_argument("--fresh", action="store_true", help="ask every question anew")
    for parser in (replay, record):
        parser.set_defaults(run=run_notebooks)
        parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
        seconds = f"seconds for a cell ({CELL_TIMEOUT_S})"
        parser.add_argument("--timeout", type=float, default=CELL_TIMEOUT_S, metavar="S", help=seconds)
    recordings = commands.add_parser("recordings", help="list the recordings of a folder; 1 if one was changed")
    where = "a folder, with all below it (default: this)"
    recordings.add_argument("folder", nargs="?", type=Path, default=Path(), help=where)
    recordings.set_defaults(run=look_after)


def run_notebooks(options: argparse.Namespace) -> int:
    """Run notebooks; 1 if one fails, or if a replay's outputs differ. `record` saves those that do not fail."""
    is_record = options.command == "record"
    mode = ("live" if options.fresh else "auto") if is_record else "replay"
    environment = {**os.environ, "IPYTHON_ASSISTANT_MODE": mode}
    if is_record:
        environment.pop("CI", None)
    code = 0
    for path in options.notebooks:
        _say(f"{path} …", to=sys.stderr)
        try:
            _say(f"{path}: {run_notebook(path, environment, options.timeout, compare=not is_record, save=is_record)}")
        except RunError as error:
            _say(f"{path}: {error}")
            code = 1
        except KeyboardInterrupt:
            _say(f"\nStopped in {path}; it is as it was.", to=sys.stderr)
            return STOPPED
    return code


def run_notebook(
    path: Path, environment: Mapping[str, str], timeout_s: float, *, compare: bool = False, save: bool = False
) -> str:
    """Run one notebook; says in a few words what came of it. Raises `RunError`."""
    try:
        import nbformat
        from nbclient import NotebookClient
    except ImportError as error:
        raise RunError("nbclient is not installed here\nRun: python -m pip install nbclient") from error
    try:
        notebook = nbformat.read(path, as_version=4)
        code = {at: cell for at, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"}
        asking = [at for at, cell in code.items() if cell.source.lstrip().startswith(QUESTION)]
        before = {at: _shown(code[at].get("outputs", [])) for at in asking}
        for cell in code.values():
            cell.outputs, cell.execution_count = [], None
        kernel_name = str(notebook.metadata.get("kernelspec", {}).get("name") or "python3")
    except Exception as error:  # nbformat looks for the parts of a notebook in whatever JSON it is given
        raise RunError(f"no notebook\nIt cannot be read as a notebook: {on_one_line(error)}.") from error
    client = NotebookClient(
        notebook,
        timeout=timeout_s,
        kernel_name=kernel_name,
        resources={"metadata": {"path": str(path.absolute().parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        record_timing=False,
    )
    _execute(client, environment)
    if compare and any(before.values()):
        differs = [str(at) for at in asking if before[at] != _shown(code[at].outputs)]
        if differs:
            raise RunError(f"differs in cell{'s' * (len(differs) > 1)} {', '.join(differs)}")
        return "same outputs"
    if save:
        try:
            # Where it is, if the path is a link; whole or not at all.
            write_file(path.resolve(strict=True), f"{nbformat.writes(notebook)}\n".encode())
        except OSError as error:
            raise RunError(f"not saved\nAll its cells ran, but it cannot be saved: {disk_reason(error)}.") from error
    return "ran"


def _execute(client: NotebookClient, environment: Mapping[str, str]) -> None:
    """Run all cells. Raises `RunError`."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbclient.util import run_sync

    try:
        # Started apart from the run: `execute` would leave a kernel that did not come up to be ended at exit, when
        # it is gone already.
        with client.setup_kernel(env=dict(environment)):
            kernel = client.km
            try:
                client.execute(cleanup_kc=False)
            except Exception:
                if client.km is None:
                    # At Ctrl-C nbclient ends the kernel and forgets it, and its own steps then fail.
                    raise KeyboardInterrupt from None
                raise
            finally:
                client.km = kernel
                if client.kc is not None:
                    run_sync(_end_kernel)(kernel, client.kc)
    except CellExecutionError as error:
        where = f"Code cell {client.code_cells_executed} of those that ran"
        raise RunError(f"failed\n{where} ended in\n{error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        raise RunError(f"too slow\nA cell took longer than {client.timeout:g} s: see --timeout.") from error
    except DeadKernelError as error:
        raise RunError("kernel died") from error
    except (OSError, RuntimeError, ValueError, NoSuchKernel) as error:
        says = f"The kernel {on_one_line(client.kernel_name)} did not start: {on_one_line(error)}."
        listed = "`jupyter kernelspec list` shows the installed ones, and where they are."
        raise RunError(f"kernel did not start\n{says}\n{listed}") from error


async def _end_kernel(kernel: Any, client: Any) -> None:
    """Ask a kernel to end where its cells run; one that does not is ended by nbclient.

    nbclient asks on the control channel, where ipykernel 7 now and then prints a traceback of sockets that it closes.
    """
    if await kernel.is_alive():
        await kernel.interrupt_kernel()
        client.shell_channel.send(client.session.msg("shutdown_request", {"restart": False}))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kernel.provisioner.wait(), END_WAIT_S)


def _shown(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The visible part of outputs: without what belongs to one run, and without widgets of a live notebook."""
    shown: list[dict[str, Any]] = []
    for output in outputs:
        if VIEW in (output.get("data") or {}):
            continue
        kept = {name: value for name, value in output.items() if name not in _OF_THE_RUN}
        last = shown[-1] if shown else {}
        if kept.get("output_type") == "stream" and last.get("name") == kept["name"]:
            last["text"] += kept["text"]  # where a stream is cut is a matter of time
        else:
            shown.append(kept)
    return shown


def look_after(options: argparse.Namespace) -> int:
    """List the recordings of a folder and of all below it; 1 if one is damaged."""
    asked, code = options.folder.absolute(), 0
    folders = sorted(path.parent for path in asked.rglob(".turns") if path.is_dir())
    if not folders:
        _say(f"There are no recordings in {options.folder}.\nName the folder they are in.", to=sys.stderr)
        return 1
    for folder in folders:
        recordings = Recordings(Folder(asked, folder))
        try:
            found, damaged = recordings.all(), recordings.store.summaries()[1]
        except OSError as error:
            _say(f"{folder} cannot be read: {disk_reason(error)}.", to=sys.stderr)
            code = 1
            continue
        about = ((it, counted(len(it.files), "file"), first_words(it.prompt, 60)) for it in found)
        lines = [f"{it.began[:10]}  {it.service:<7} {it.status:<10} {files:>8}  {words}" for it, files, words in about]
        lines += [f"{recordings.where}/{name}: {reason}" for name, reason in damaged]
        code = 1 if damaged else code
        _say("\n".join(lines) or f"Nothing is recorded in {recordings.where}.")
    return code


def _say(text: str, to: TextIO | None = None) -> None:
    """Print lines that may hold words from outside, without any character that controls the terminal."""
    print(printable(text), file=to, flush=True)
