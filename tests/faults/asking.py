"""A shell whose `%%assistant` cells go to a faulty service."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from faults.scenarios import Kind, Stage
from faults.server import FaultyService


@dataclass
class Ran:
    """What running a cell gave. After an error `answer` is what the error carries."""

    answer: Any
    error: BaseException | None
    displayed: list[dict[str, Any]]
    stdout: str

    @property
    def html(self) -> str:
        return "\n".join(bundle.get("text/html", "") for bundle in self.displayed)

    @property
    def plain(self) -> str:
        return "\n".join(bundle.get("text/plain", "") for bundle in self.displayed)


@dataclass
class Asking:
    """The shell, the service and the notebook's directory."""

    shell: InteractiveShell
    service: FaultyService
    notebook_dir: Path
    cell: dict[str, str | None] = field(default_factory=lambda: {"cellId": None})

    @property
    def folder(self) -> Path:
        return self.notebook_dir / "assistant_files"

    def stage(self, kind: Kind = "cited") -> Stage:
        return Stage(self.service, kind, self.notebook_dir)

    def set(self, **traits: Any) -> None:
        for name, value in traits.items():
            self.shell.run_line_magic("config", f"AssistantMagics.{name} = {value!r}")

    def run(self, body: str = "Make the files.", line: str = "", cell_id: str | None = None) -> Ran:
        """Run a cell the way a notebook does."""
        self.cell["cellId"] = cell_id
        with capture_output() as captured:
            outcome = self.shell.run_cell(f"%%assistant {line}\n{body}", store_history=True)
        return _ran(outcome, captured)

    def command(self, line: str) -> Ran:
        """Run an `%assistant` line."""
        with capture_output() as captured:
            outcome = self.shell.run_cell(f"%assistant {line}", store_history=True)
        return _ran(outcome, captured)


def _ran(outcome: Any, captured: Any) -> Ran:
    error = outcome.error_before_exec or outcome.error_in_exec
    answer = outcome.result if error is None else getattr(error, "answer", None)
    return Ran(answer, error, [output.data for output in captured.outputs], captured.stdout)
