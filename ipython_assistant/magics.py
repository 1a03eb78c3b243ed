"""The shell's edge: `%%assistant`, `%assistant`, and what has to be hooked into the shell for them. Wiring only.

This module is all that `%load_ext` imports, and it imports nothing heavy: loading takes half a millisecond. The
settings come with the first question or the first `%config`, everything else with the first question.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading

TYPE_CHECKING = False  # typing's own name for it, without importing typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import AssistantMagics
    from ipython_assistant.service.background import Warmth
    from ipython_assistant.session import Session

RESPONSE_TYPE = ("openai.types.responses.response", "Response")


class Hooks:
    """The hooks in one shell, from `%load_ext` to `%unload_ext`; `directory` is the notebook's at loading."""

    def __init__(self, shell: InteractiveShell, directory: str) -> None:
        self._shell: Any = shell  # IPython's annotations say `configurables` holds shells only
        self._directory = directory
        self._traits: AssistantMagics | None = None
        self._session: Session | None = None
        self._lock = threading.RLock()
        self._closed = False
        self.warmth: Warmth | None = None

    def assistant(self, line: str, cell: str | None = None) -> Answer | None:
        """`%%assistant`, options, and a question below; or `%assistant COMMAND`. `%assistant help` lists them all."""
        from ipython_assistant.commands import ask_cell, run_command

        if cell is not None:
            return ask_cell(self.session, line, cell)
        run_command(self.session, line)
        return None

    # `$x` and `{x}` in a question are the user's own; the name is IPython's, set by its decorator `no_var_expand`.
    assistant._ipython_magic_no_var_expand = True  # type: ignore[attr-defined] # noqa: SLF001 see above

    @property
    def traits(self) -> AssistantMagics:
        """The settings, made when they are first needed; from then on `%config AssistantMagics` knows them."""
        with self._lock:
            if self._traits is None:
                from ipython_assistant.config import AssistantMagics

                self._traits = AssistantMagics(parent=self._shell)
                self._shell.configurables.append(self._traits)
            return self._traits

    @property
    def session(self) -> Session:
        """This shell's session, made when it is first needed."""
        with self._lock:
            if self._session is None:
                from pathlib import Path

                from ipython_assistant.session import Session

                self._session = Session(self._shell, self.traits, Path(self._directory))
            return self._session

    def prepare(self) -> None:
        """Prepare for the first question: import the SDK for a hosted service, or start the embedded engine."""
        import contextlib

        from ipython_assistant.who_answers import other_services_recorded

        with contextlib.suppress(Exception):  # whatever is wrong, the first question says it, where somebody reads it
            session = self.session  # once: when the extension is unloaded meanwhile, this would make another one
            settings = session.settings
            asks = settings.mode != "replay" and not self._closed
            if asks and settings.service != "local":
                import openai  # noqa: F401 only now is it known that it is needed
            elif asks and not other_services_recorded(settings, session.recordings(settings)):
                session.connect(settings, ahead=True)

    def keep_lines(self, lines: list[str]) -> list[str]:
        """Input transformer: gives an empty cell the body IPython needs; keeps `%assistant x?` from asking for help."""
        if any(line.lstrip().startswith("%config") for line in lines):
            _ = self.traits
        first = lines[0] if lines else ""
        if first.startswith("%%"):  # another magic's body is not ours to read
            asks, body = first.split()[0] == "%%assistant", any(line.strip() for line in lines[1:])
            return [first.rstrip("\n") + "\n", "\n"] if asks and not body else lines
        return [_kept(line) if line.lstrip().startswith("%assistant ") else line for line in lines]

    # IPython leaves such a transformer out when it asks whether a cell is complete: otherwise the blank body would end
    # `%%assistant -i x` in a terminal before the question is typed.
    keep_lines.has_side_effects = True  # type: ignore[attr-defined] # a function has any attribute

    def complete(self, context: Any) -> Any:
        """IPython's completion matcher: what Tab offers in an `%%assistant` cell; see `display.completer`."""
        if "%%assistant" not in context.full_text:
            return {"completions": []}
        from ipython_assistant.display.completer import match

        return match(context, self._shell, self._values)

    def _values(self, target: str) -> Sequence[str]:
        """What Tab offers after an option that sets this field of `Options`."""
        from pathlib import Path

        from ipython_assistant.config import looks_for_models
        from ipython_assistant.core.providers import BASIC
        from ipython_assistant.core.usage import default_model
        from ipython_assistant.options import EFFORTS, MEMORIES
        from ipython_assistant.service.model_servers import models_here
        from ipython_assistant.workspace.assistants import assistant_folders, list_assistants

        if target == "model":
            named = (self.traits.model, os.environ.get("IPYTHON_ASSISTANT_MODEL"), default_model(), BASIC)
            found = models_here(os.environ).names if looks_for_models(os.environ) else ()
            return tuple(dict.fromkeys(filter(None, (*named, *found))))
        if target == "conversation":
            return [name for name in self.session.conversations.by_name if name]
        if target == "assistant":
            return [*list_assistants(assistant_folders(Path(self._directory)))]
        return {"effort": EFFORTS, "memory": MEMORIES, "tools": ("web_search", "file_search:")}.get(target, ())

    # What IPython's decorator `context_matcher` sets. Ours comes before its own matchers, and keeps them out.
    complete.matcher_api_version = 2  # type: ignore[attr-defined] # a function has any attribute
    complete.matcher_identifier = "ipython_assistant"  # type: ignore[attr-defined] # as above
    complete.matcher_priority = 200  # type: ignore[attr-defined] # as above

    def display_response(self, response: Any) -> None:
        """How a `Response` that ends anyone's cell is shown; says what went wrong instead of raising."""
        from ipython_assistant import turn_run
        from ipython_assistant.errors import AssistantError

        try:
            turn_run.show_response(self.session, response)
        except Exception as error:  # noqa: BLE001 a formatter must not raise, and the reader must see it
            ours = isinstance(error, AssistantError)
            print(error if ours else f"The response could not be shown: {type(error).__name__}: {error}")  # noqa: T201

    def close(self) -> None:
        """End what the session started, and take the settings out of the shell."""
        with self._lock:
            self._closed = True
            if self._session is not None:
                self._session.close()
                self._session = None
        self._shell.configurables[:] = [other for other in self._shell.configurables if other is not self._traits]


def load(shell: Any) -> None:
    """Register the magics, the input transformer, what Tab offers and the display of `Response` objects."""
    if hooks_of(shell) is not None:
        return
    directory = os.environ.get("IPYTHON_ASSISTANT_DIR") or _vscode_directory(shell)
    hooks = Hooks(shell, directory or os.getcwd())  # noqa: PTH109 pathlib is not loaded yet
    shell.register_magic_function(hooks.assistant, "line_cell", "assistant")
    shell.input_transformers_cleanup.append(hooks.keep_lines)
    shell.Completer.custom_matchers.append(hooks.complete)
    shell.display_formatter.ipython_display_formatter.for_type_by_name(*RESPONSE_TYPE, hooks.display_response)
    atexit.register(hooks.close)
    _take_colabs_key()
    parent = (shell.kernel.get_parent() if getattr(shell, "kernel", None) is not None else None) or {}
    if "cellId" in parent.get("metadata", {}):
        from ipython_assistant.service.background import warm_when_idle

        hooks.warmth = warm_when_idle(shell.events, hooks.prepare)


def unload(shell: Any) -> None:
    """Take back everything `load` did, and end what the session started."""
    hooks = hooks_of(shell)
    if hooks is None:
        return
    hooks.close()
    atexit.unregister(hooks.close)
    shell.input_transformers_cleanup.remove(hooks.keep_lines)
    shell.Completer.custom_matchers.remove(hooks.complete)
    shell.display_formatter.ipython_display_formatter.pop(".".join(RESPONSE_TYPE), None)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("assistant", None)
    if hooks.warmth is not None:
        hooks.warmth.end(shell.events)


def hooks_of(shell: InteractiveShell) -> Hooks | None:
    """The hooks that `load` put into this shell, or None."""
    owner = getattr(shell.magics_manager.magics["cell"].get("assistant"), "__self__", None)
    return owner if isinstance(owner, Hooks) else None


def _kept(line: str) -> str:
    bare = line.strip()
    if not bare.endswith("?"):
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}get_ipython().run_line_magic('assistant', {bare.removeprefix('%assistant ').rstrip('?')!r})\n"


def _vscode_directory(shell: Any) -> str:
    """The notebook's directory where VS Code runs it: it names the notebook and may start the kernel elsewhere."""
    notebook = str(shell.user_ns.get("__vsc_ipynb_file__") or "")
    directory = os.path.dirname(notebook)  # noqa: PTH120 pathlib is not loaded yet
    return directory if os.path.isabs(notebook) and os.path.isdir(directory) else ""  # noqa: PTH112, PTH117 as above


def _take_colabs_key() -> None:
    """Put the key among the notebook's secrets in Colab, where there is one, into the environment."""
    if "google.colab" not in sys.modules or os.environ.get("OPENAI_API_KEY"):
        return
    import contextlib
    import importlib

    # The errors of a secret that is missing, or not granted to this notebook, are classes of Colab's own.
    with contextlib.suppress(Exception):
        os.environ["OPENAI_API_KEY"] = importlib.import_module("google.colab.userdata").get("OPENAI_API_KEY")
