"""The shell's edge: `%%assistant`, `%assistant`, and what has to be hooked into the shell for them. Wiring only.

This module is all that `%load_ext` imports; everything else waits until the first question.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from ipython_assistant.config import AssistantTraits, notebook_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.answer import Answer
    from ipython_assistant.session import Session

RESPONSE_TYPE = ("openai.types.responses.response", "Response")


@magics_class
class AssistantMagics(AssistantTraits, Magics):
    """`%%assistant` asks a question, `%assistant` looks after what came of it; `%%assistant --help` has the options."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self._notebook_dir = notebook_directory(os.environ)
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """This shell's session, made when it is first needed."""
        if self._session is None:
            from ipython_assistant.session import Session

            self._session = Session(self.shell, self, self._notebook_dir)
        return self._session

    @no_var_expand
    @line_cell_magic
    def assistant(self, line: str, cell: str | None = None) -> Answer | None:
        """Ask a question below the first line; options stand on it. `%%assistant --help` lists them.

        As a line magic: `%assistant status`, `%assistant show`, `%assistant traceback`, `%assistant help`.
        """
        if cell is None:
            from ipython_assistant.commands import run_command

            run_command(self.session, line)
            return None
        return self.session.ask_cell(line, cell)

    def close(self) -> None:
        """End what the session started."""
        if self._session is not None:
            self._session.close()
            self._session = None


def load(shell: InteractiveShell) -> None:
    """Register the magics, the input transformer and the display of `Response` objects."""
    if _registered(shell) is not None:
        return
    magics = AssistantMagics(shell)
    atexit.register(magics.close)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.append(keep_assistant_lines)
    shell.display_formatter.ipython_display_formatter.for_type_by_name(*RESPONSE_TYPE, _hook(magics))
    if os.environ.get("OPENAI_API_KEY") and _is_live(shell):
        from ipython_assistant.service.warm import warm_when_idle

        warm_when_idle(shell.events)


def unload(shell: InteractiveShell) -> None:
    """Take back everything `load` did, and end what the session started."""
    magics = _registered(shell)
    if magics is None:
        return
    magics.close()
    atexit.unregister(magics.close)
    if keep_assistant_lines in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(keep_assistant_lines)
    shell.display_formatter.ipython_display_formatter.pop(".".join(RESPONSE_TYPE), None)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("assistant", None)
    shell.magics_manager.registry.pop("AssistantMagics", None)
    shell.configurables[:] = [other for other in shell.configurables if other != magics]


def show(response: Any, client: Any = None) -> Answer:
    """Show a `Response` of the `openai` package as a cell's answer: its files saved, its pictures and tables in place.

    Args:
        response: An `openai` `Response` object, or the same as a dict.
        client: The `openai.OpenAI` client that got it; without one the session's own service is asked for the files.

    Raises:
        FilesMissing: One or more of its files could not be had.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = _registered(shell) if shell is not None else None
    if magics is not None:
        return magics.session.show(response, client)
    from ipython_assistant.session import Session

    session = Session(shell, AssistantTraits(), notebook_directory(os.environ))
    try:
        return session.show(response, client)
    finally:
        session.close()


def keep_assistant_lines(lines: list[str]) -> list[str]:
    """Input transformer: what IPython would refuse or misread before any magic sees it.

    A `%%assistant` cell without a body gets a blank one (IPython calls it an error otherwise), and an `%assistant`
    line that ends in `?` is kept from being read as a request for help.
    """
    if not lines:
        return lines
    first = lines[0]
    if first.startswith("%%assistant") and first[11:12] in {"", " ", "\t", "\n"}:
        return lines if any(line.strip() for line in lines[1:]) else [first.rstrip("\n") + "\n", "\n"]
    return [_kept(line) if line.lstrip().startswith("%assistant ") else line for line in lines]


def _kept(line: str) -> str:
    bare = line.strip()
    if not bare.endswith("?"):
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}get_ipython().run_line_magic('assistant', {bare.removeprefix('%assistant ').rstrip('?')!r})\n"


def _registered(shell: InteractiveShell) -> AssistantMagics | None:
    magics = shell.magics_manager.registry.get("AssistantMagics")
    return magics if isinstance(magics, AssistantMagics) else None


def _hook(magics: AssistantMagics) -> Callable[[Any], None]:
    """How a `Response` that ends a cell is shown; it says what went wrong instead of raising."""

    def display_response(response: Any) -> None:
        from ipython_assistant.errors import AssistantError

        try:
            magics.session.show(response)
        except AssistantError as error:
            print(error)  # noqa: T201 a formatter must not raise, and the reader must see it
        except Exception as error:  # noqa: BLE001 a fault of ours must not hide the value of somebody's cell
            print(f"The response could not be shown: {type(error).__name__}: {error}")  # noqa: T201 as above

    return display_response


def _is_live(shell: InteractiveShell) -> bool:
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and "cellId" in (kernel.get_parent() or {}).get("metadata", {})
