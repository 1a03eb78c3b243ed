"""A stand-in for a container that runs code in this process: for the many small cases that need no kernel."""

import asyncio
import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipython_assistant.engine.models import Ask, Refuse, Run, RunOutcome, Say
from ipython_assistant.engine.models.basic import Basic


class InProcess:
    """Runs code in a folder; its variables stay, as a kernel's do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, Any] = {"__name__": "__main__"}

    async def probe(self, code: str) -> str:
        printed, error = self._execute(code, {**self.variables})
        if error:
            raise RuntimeError(error)
        return printed

    def run(self, code: str) -> RunOutcome:
        before = {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir()}
        logs, error = self._execute(code, self.variables)
        made = [path.name for path in self.folder.iterdir() if before.get(path.name) != path.stat().st_mtime_ns]
        return RunOutcome(logs, error, 0, tuple(sorted(made)))

    def _execute(self, code: str, variables: dict[str, Any]) -> tuple[str, str | None]:
        printed, error = io.StringIO(), None
        try:
            with contextlib.redirect_stdout(printed), contextlib.chdir(self.folder):
                exec(compile(code, "<test>", "exec"), variables)
        except Exception as problem:  # noqa: BLE001 - a test looks at whatever the code raises
            error = f"{type(problem).__name__}: {problem}"
        return printed.getvalue(), error


@dataclass
class Given:
    """A whole answer."""

    container: InProcess
    said: str = ""
    refused: str = ""
    error: str = ""
    files: list[str] = field(default_factory=list)

    @property
    def result(self) -> Any:
        """The DataFrame that the code made."""
        assert not self.refused, self.refused
        assert not self.error, self.error
        return self.container.variables["result"]


def ask(prompt: str, folder: Path, new: tuple[str, ...] = (), instructions: str = "") -> Given:
    """What is answered without a model about the files of a folder."""
    files = tuple(sorted(path.name for path in folder.iterdir()))
    return asyncio.run(_ask(Ask(prompt, files, (), instructions, new), Given(InProcess(folder))))


async def _ask(question: Ask, given: Given) -> Given:
    async for step in Basic().answer(question, given.container):
        match step:
            case Say(text):
                given.said += text
            case Refuse(text):
                given.refused += text
            case Run(code):
                outcome = step.outcome = given.container.run(code)
                given.error += outcome.error or ""
                given.files += outcome.files
    return given
