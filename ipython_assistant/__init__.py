"""Ask for an analysis in a notebook cell; every file it makes is on disk beside the notebook before the cell ends.

Importing this module imports nothing else: everything behind these names is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own name for it, without importing typing
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.answer import Answer
    from ipython_assistant.batch import Answers, aask, ask, ask_each, show

__all__ = ["Answer", "Answers", "aask", "ask", "ask_each", "load_ipython_extension", "show", "unload_ipython_extension"]
__version__ = "0.1.0"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext ipython_assistant`."""
    from ipython_assistant import magics

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%unload_ext ipython_assistant`, and by `%reload_ext` before it loads again."""
    from ipython_assistant import magics

    magics.unload(shell)


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("ipython_assistant.answer" if name == "Answer" else "ipython_assistant.batch"), name)
