"""A notebook whose `%%assistant` cells go to a faulty service."""

import contextlib
from pathlib import Path
from typing import Any

from tests_support.notebook import Notebook, Ran

from faults.scenarios import SCENARIOS, Kind, Stage
from faults.server import FaultyService


class Asking(Notebook):
    """The shell, the service and the notebook's directory."""

    def __init__(self, service: FaultyService, notebook_dir: Path) -> None:
        super().__init__()
        self.service, self.notebook_dir = service, notebook_dir
        self.folder = notebook_dir / "assistant_files"

    def stage(self, kind: Kind = "cited") -> Stage:
        return Stage(self.service, kind, self.notebook_dir)

    def turns(self, *names: str, kind: Kind = "cited") -> Stage:
        """For each name there will be a turn that makes this file."""
        stage = self.stage(kind)
        for name in names:
            stage.play(stage.file(name))
        return stage

    def set(self, **traits: Any) -> None:
        for name, value in traits.items():
            self.shell.run_line_magic("config", f"AssistantMagics.{name} = {value!r}")

    def run(self, body: str = "Make the files.", line: str = "", cell_id: str | None = None) -> Ran:
        """Run a cell the way a notebook does."""
        return self.tried(cell_id, f"%%assistant {line}\n{body}")

    def run_all(self, stage: Stage) -> list[Ran]:
        """Run the cells of a stage; what is around it is around the last one."""
        self.set(**stage.settings)
        ran = []
        for number, cell in enumerate(stage.cells, 1):
            cell.before()
            with stage.around() if number == len(stage.cells) else contextlib.nullcontext():
                ran.append(self.run(cell.body, cell.line, cell.cell_id))
        return ran

    def scenario(self, name: str, kind: Kind = "cited") -> list[Ran]:
        """Run the cells of a scenario."""
        stage = self.stage(kind)
        SCENARIOS[name].prepare(stage)
        return self.run_all(stage)
