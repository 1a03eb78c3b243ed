"""Saving files the way a turn does, without a service."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.core.recording import RecordedFile, Recording, TurnKey
from ipython_assistant.core.turn import CodeCall, Turn
from ipython_assistant.turn_sources import stamp, turn_digest
from ipython_assistant.workspace.folder import Folder, Incoming
from ipython_assistant.workspace.recordings import Recordings

BEGAN = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
NOTEBOOK = {"JPY_SESSION_NAME": "/home/ada/work/analysis.ipynb"}
ASKED = TurnKey("Plot coverage by year.")
_turns = count(1)


def save(
    folder: Folder, name: str, content: bytes, cell: str = "cell-1", *, turn: str = "", key: str = ""
) -> Artifact | FailedArtifact:
    """One file of one turn, which has ended with it."""
    (saved,) = save_all(folder, [(name, content)], cell, turn=turn, key=key)
    if isinstance(saved, Artifact):
        folder.settle(cell, key, "completed", {saved.name: saved.sha256})
    return saved


def save_all(
    folder: Folder, files: list[tuple[str, bytes]], cell: str = "cell-1", *, turn: str = "", key: str = ""
) -> list[Artifact | FailedArtifact]:
    """The files of one turn; they belong to no cell until it is recorded."""
    staging, turn = folder.stage(), turn or f"turn {next(_turns)}"
    saved = []
    try:
        for number, (name, content) in enumerate(files):
            staged = staging / f"{number}.part"
            staged.write_bytes(content)
            incoming = Incoming(name, staged, len(content), hashlib.sha256(content).hexdigest(), "cited")
            saved.append(folder.save(incoming, cell, turn=turn, key=key))
    finally:
        folder.unstage(staging)
    return saved


def run_cell(
    folder: Folder,
    files: Mapping[str, bytes],
    cell: str = "cell-1",
    *,
    minute: int = 0,
    status: str = "completed",
    prompt: str = "",
) -> list[Artifact]:
    """A whole turn of a question of its own: its files are saved, then it is recorded. `minute` is when it began."""
    asked = TurnKey(prompt or f"Question {next(_turns)} of {os.getpid()}.")
    saved = save_all(folder, list(files.items()), cell, key=asked.sha256)
    Recordings(folder).keep(recorded(cell, saved, minute=minute, status=status, asked=asked))
    return saved


def start_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Another process that can import this package and what tests share."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", "."])}
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=root, **pipes)


def recorded(
    cell: str,
    saved: list[Artifact | FailedArtifact],
    *,
    asked: TurnKey = ASKED,
    turn: Turn | None = None,
    minute: int = 0,
    status: str = "completed",
    **more: object,
) -> Recording:
    """The recording of a turn that left these files."""
    call = CodeCall("ci_1", "cntr_1", "print('ok')\n", "completed", ("ok\n",))
    turn = turn or Turn(response_id=f"resp_{minute}", model="some-model", status="completed", items=(call,))
    artifacts = [item for item in saved if isinstance(item, Artifact)]
    fields = {
        "asked": asked,
        "turn": turn,
        "cell": cell,
        "service": "openai",
        "model": "some-model",
        "status": status,
        "began": stamp(BEGAN + timedelta(minutes=minute)),
        "ended": stamp(BEGAN + timedelta(minutes=minute, seconds=20)),
        "files": tuple(
            RecordedFile(it.name, it.own_name, it.size, it.sha256, it.container_id, it.file_id, it.found)
            for it in artifacts
        ),
        "missing": tuple(item for item in saved if isinstance(item, FailedArtifact)),
        "key": asked.sha256,
        "digest": turn_digest(asked.sha256, turn, artifacts),
    }
    return Recording(**{**fields, **more})
