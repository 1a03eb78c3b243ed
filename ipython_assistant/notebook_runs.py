"""Notebooks that run again, on the command line: `ipython-assistant replay` and `record`.

Each runs in its own directory, in a kernel of its own, without a front end. `replay` changes no notebook.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.wording import disk_reason, on_one_line, printable
from ipython_assistant.lab import VIEW
from ipython_assistant.workspace.safe_dir import write_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from nbclient import NotebookClient

STOPPED = 130  # the exit code after Ctrl-C, as shells have it


class RunError(Exception):
    """Why a notebook did not run to its end: in a few words on the first line, and in full below."""


def add_notebook_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands to the command line; each sets `run`, which takes the options and gives the exit code."""
    replay = commands.add_parser("replay", help="run notebooks from their recordings: no key, no network, no cost")
    record = commands.add_parser("record", help="run notebooks from top to bottom, ask what is not recorded, save them")
    record.add_argument("--fresh", action="store_true", help="ask every question anew")
    for parser in (replay, record):
        parser.set_defaults(run=run_notebooks)
        parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
        parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for a cell (%(default)s)")


def run_notebooks(options: argparse.Namespace) -> int:
    """Run notebooks; 1 if one fails, or if a replay's outputs differ. `record` saves those that do not fail."""
    is_record = options.command == "record"
    mode = ("live" if options.fresh else "auto") if is_record else "replay"
    environment = {**os.environ, "IPYTHON_ASSISTANT_MODE": mode}
    if is_record:
        environment.pop("CI", None)
    code = 0
    for path in options.notebooks:
        print(printable(f"{path} …"), file=sys.stderr, flush=True)
        try:
            came = run_notebook(path, environment, options.timeout, compare=not is_record, save=is_record)
        except RunError as error:
            came, code = str(error), 1
        except KeyboardInterrupt:
            print(printable(f"\nStopped in {path}; it is as it was."), file=sys.stderr)
            return STOPPED
        print(printable(f"{path}: {came}"), flush=True)
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
        asking = [at for at, cell in code.items() if cell.source.lstrip().startswith("%%assistant")]
        before = {at: _shown(code[at].get("outputs", [])) for at in asking}
        for cell in code.values():
            cell.outputs, cell.execution_count = [], None
        kernel_name = str(notebook.metadata.get("kernelspec", {}).get("name") or "python3")
    except Exception as error:  # nbformat looks for the parts of a notebook in whatever JSON it is given
        why = disk_reason(error) if isinstance(error, OSError) else on_one_line(error)
        raise RunError(f"no notebook\nIt cannot be read as a notebook: {why}.") from error
    where, quiet = {"metadata": {"path": str(path.absolute().parent)}}, ["--IPKernelApp.log_level=ERROR"]
    client = NotebookClient(notebook, timeout=timeout_s, resources=where, extra_arguments=quiet, record_timing=False)
    client.kernel_name = kernel_name
    _execute(client, environment)
    if compare and any(before.values()):
        if differs := [str(at) for at in asking if before[at] != _shown(code[at].outputs)]:
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
    """Ask a kernel to end where its cells run: asked on the control channel, ipykernel 7 may print a traceback."""
    if await kernel.is_alive():
        await kernel.interrupt_kernel()
        client.shell_channel.send(client.session.msg("shutdown_request", {"restart": False}))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kernel.provisioner.wait(), 5.0)


def _shown(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs without widgets and without what a run adds."""
    # https://nbformat.readthedocs.io/en/latest/format_description.html
    shown: list[dict[str, Any]] = []
    for output in outputs:
        if VIEW in (output.get("data") or {}):
            continue
        kept = {name: it for name, it in output.items() if name not in {"metadata", "execution_count", "transient"}}
        last = shown[-1] if shown else {}
        if kept.get("output_type") == "stream" and last.get("name") == kept["name"]:
            last["text"] += kept["text"]  # where a stream is cut is a matter of time
        else:
            shown.append(kept)
    return shown
