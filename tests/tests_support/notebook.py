"""A notebook as its kernel sees it: cells with ids run in a real shell, and the kernel can be restarted."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from ipython_assistant.display.live import LiveOutput
from ipython_assistant.magics import hooks_of
from ipython_assistant.session import Session

_PROMPT = re.compile(r"Out\[\d+\]: ")


@dataclass(frozen=True)
class Ran:
    """What a cell gave: its value, the data of each output, what it printed, the error it ended in."""

    value: Any
    outputs: list[dict[str, Any]] = field(default_factory=list)
    printed: str = ""
    error: Any = None
    kinds: tuple[str, ...] = ()
    """What each output is, as its metadata says it."""

    @property
    def answer(self) -> Any:
        """The value; after an error the answer that it carries."""
        return self.value if self.error is None else getattr(self.error, "answer", None)

    @property
    def files(self) -> list[str]:
        """The names of the saved files, in the answer's order."""
        return list(self.answer.files)

    @property
    def missing(self) -> list[str]:
        """The names of the files that could not be saved."""
        return [failed.name for failed in self.answer.failed]

    @property
    def html(self) -> str:
        return "\n".join(output.get("text/html", "") for output in self.outputs)

    @property
    def plain(self) -> str:
        return "\n".join(output.get("text/plain", "") for output in self.outputs)

    def raised(self) -> Self:
        """Itself; raises the error that the cell ended in, with itself as `.ran`."""
        if self.error is not None:
            self.error.ran = self
            raise self.error
        return self


def run_cell(shell: InteractiveShell, source: str) -> Ran:
    """Run a cell, however it ends."""
    with capture_output() as captured:
        outcome = shell.run_cell(source, store_history=True)
    error = outcome.error_before_exec or outcome.error_in_exec
    outputs = [output.data for output in captured.outputs]
    kinds = (output.metadata.get("ipython_assistant", {}).get("output", "") for output in captured.outputs)
    return Ran(outcome.result, outputs, _PROMPT.sub("", captured.stdout), error, tuple(kinds))


def on_activity(monkeypatch: pytest.MonkeyPatch, told: Callable[[str | None], object]) -> None:
    """Tell each activity that the running answer of a cell shows, after it was shown."""
    original = LiveOutput.update

    def update(live: LiveOutput, text: str | None = None, activity: str | None = None) -> None:
        original(live, text, activity)
        told(activity)

    monkeypatch.setattr(LiveOutput, "update", update)


class Notebook:
    """Used in a `with`; the working directory is the notebook's. The front end gives cells ids if they are `named`."""

    def __init__(self, *, named: bool = True) -> None:
        self._named = named
        self._current: str | None = ""

    def __enter__(self) -> Self:
        self.shell = InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
        if self._named:
            self.shell.get_parent = lambda: {"metadata": {"cellId": self._current}}
        self.shell.run_line_magic("load_ext", "ipython_assistant")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shell.run_line_magic("unload_ext", "ipython_assistant")
        InteractiveShell.clear_instance()

    def restart(self) -> None:
        self.__exit__()
        self.__enter__()

    @property
    def session(self) -> Session:
        return hooks_of(self.shell).session

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    def cell(self, name: str, source: str) -> Ran:
        """Run a cell; raises the error it ends in, with what it gave as `.ran`."""
        return self.tried(name, source).raised()

    def tried(self, name: str | None, source: str) -> Ran:
        """Run a cell, however it ends."""
        self._current = name
        return run_cell(self.shell, source)

    def ask(self, name: str, question: str, line: str = "") -> Ran:
        """Run an `%%assistant` cell."""
        return self.cell(name, f"%%assistant {line}\n{question}")
