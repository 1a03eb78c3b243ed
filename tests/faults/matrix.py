"""Plays a scenario against the extension, and says what became of every file."""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from faults.asking import Asking, Ran
from faults.scenarios import Kind, Scenario, Stage
from faults.server import Made, sha256_of
from ipython_assistant.errors import AssistantError

Fate = Literal["saved", "named", "said", "lost in an error", "lost silently"]
NOT_LOST: tuple[Fate, ...] = ("saved", "named", "said")


@dataclass
class Played:
    """A scenario that was played.

    Attributes:
        fates: Each file that was made, and what became of it.
        strangers: Saved names whose bytes no file of the turn ever had.
        outside: Paths that were written outside the folder for files.
    """

    stage: Stage
    ran: list[Ran] = field(default_factory=list)
    fates: list[tuple[Made, Fate]] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)

    @property
    def last(self) -> Ran:
        return self.ran[-1]

    @property
    def answer(self) -> Any:
        return self.ran[-1].answer


def play_ours(asking: Asking, scenario: Scenario, kind: Kind) -> Played:
    """Run the scenario's cells in a real shell."""
    service, notebook_dir, folder = asking.service, asking.notebook_dir, asking.folder
    stage = asking.stage(kind)
    scenario.prepare(stage)
    before = set(notebook_dir.parent.rglob("*"))
    asking.set(**stage.settings)
    played = Played(stage)
    for number, cell in enumerate(stage.cells):
        cell.before()
        with stage.around() if number == len(stage.cells) - 1 else contextlib.nullcontext():
            played.ran.append(asking.run(cell.body, cell.line, cell.cell_id))
    shown = [(ran, artifact) for ran in played.ran if ran.answer for artifact in ran.answer.artifacts]
    on_disk = {
        artifact.sha256
        for _, artifact in shown
        if artifact.path.parent == folder and artifact.path.is_file() and artifact.path.stat().st_size == artifact.size
        if sha256_of(artifact.path.read_bytes()) == artifact.sha256
    }
    for made in service.made.values():
        fate = _fate(made, on_disk, played.ran)
        if fate == "lost silently" and scenario.owed_for(kind, made.name) == "said" and _listing_failed(played):
            fate = "said"
        played.fates.append((made, fate))
    expected = {sha256_of(made.content) for made in service.made.values()}
    played.strangers = [artifact.name for _, artifact in shown if artifact.sha256 not in expected]
    played.outside = _outside(before, notebook_dir, folder)
    return played


def _fate(made: Made, on_disk: set[str], ran: list[Ran]) -> Fate:
    if sha256_of(made.content) in on_disk:
        return "saved"
    for cell in ran:
        if cell.answer is None or not isinstance(cell.error, AssistantError):
            continue
        if any(_names(failed, made) and failed.reason.strip() for failed in cell.answer.failed):
            return "named"
    return "lost in an error" if ran[-1].error is not None else "lost silently"


def _listing_failed(played: Played) -> bool:
    """Whether the card says that the container's list could not be had, so that files may be missing."""
    return "list of files" in played.last.html and "missing" in played.last.html


def _names(failed: Any, made: Made) -> bool:
    if made.file_id and failed.file_id == made.file_id:
        return True
    return failed.name == made.name or (made.name == "figure" and failed.name.startswith("figure-"))


def _outside(before: set[Path], notebook_dir: Path, folder: Path) -> list[Path]:
    return [
        path
        for path in notebook_dir.parent.rglob("*")
        if path not in before
        and path.is_file()
        and folder not in (path, *path.parents)
        and "ipython" not in path.parts[-3:]
        if notebook_dir / "data" not in path.parents and path.suffix != ".sqlite"
    ]


@dataclass
class Tally:
    """What became of all files of all scenarios."""

    fates: Counter[Fate] = field(default_factory=Counter)
    wrong_bytes: int = 0

    def add(self, played: Played) -> None:
        self.fates.update(fate for _, fate in played.fates)
        self.wrong_bytes += len(played.strangers)

    def __str__(self) -> str:
        parts = [f"{self.fates[fate]} {fate}" for fate in (*NOT_LOST, "lost in an error", "lost silently")]
        return f"{', '.join(parts)}; {self.wrong_bytes} saved with wrong bytes"
