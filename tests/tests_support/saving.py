"""Saving files the way a turn does, without a service."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.core.provenance import TurnRecord, record_of
from ipython_assistant.core.turn import CodeCall, Turn
from ipython_assistant.workspace.folder import Folder, Incoming

BEGAN = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
NOTEBOOK = {"JPY_SESSION_NAME": "/home/ada/work/analysis.ipynb"}


def save(
    folder: Folder, name: str, content: bytes, cell: str = "cell-1", *, in_use: Container[str] = (), turn: str = ""
) -> Artifact | FailedArtifact:
    """One file of one turn."""
    return save_all(folder, [(name, content)], cell, in_use=in_use, turn=turn)[0]


def save_all(
    folder: Folder,
    files: list[tuple[str, bytes]],
    cell: str = "cell-1",
    *,
    in_use: Container[str] = (),
    turn: str = "",
) -> list[Artifact | FailedArtifact]:
    """The files of one turn."""
    staging = folder.stage()
    saved = []
    try:
        for number, (name, content) in enumerate(files):
            staged = staging / f"{number}.part"
            staged.write_bytes(content)
            incoming = Incoming(name, staged, len(content), hashlib.sha256(content).hexdigest(), "cited")
            saved.append(folder.save(incoming, cell, in_use, turn=turn))
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
    prompt: str = "Plot coverage by year.",
    in_use: Container[str] = (),
) -> list[Artifact]:
    """A whole turn: its files are saved, then its record. `minute` is when it began."""
    response_id = f"resp_{cell}_{minute}_{id(files)}"
    saved = save_all(folder, list(files.items()), cell, in_use=in_use, turn=response_id)
    assert (
        folder.record(recorded(cell, saved, minute=minute, status=status, prompt=prompt, response_id=response_id)) == ()
    )
    return saved


def recorded(
    cell: str,
    saved: list[Artifact | FailedArtifact],
    *,
    minute: int = 0,
    status: str = "completed",
    prompt: str = "Plot coverage by year.",
    response_id: str = "resp_1",
) -> TurnRecord:
    """The record of a turn that left these files."""
    call = CodeCall("ci_1", "cntr_1", "print('ok')\n", "completed", ("ok\n",))
    return record_of(
        Turn(response_id=response_id, model="some-model", status="completed", items=(call,)),
        prompt=prompt,
        cell=cell,
        service="openai",
        model="asked-model",
        status=status,
        began=BEGAN + timedelta(minutes=minute),
        ended=BEGAN + timedelta(minutes=minute, seconds=20),
        artifacts=[item for item in saved if isinstance(item, Artifact)],
        failed=[item for item in saved if isinstance(item, FailedArtifact)],
    )


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook that holds cells of these ids, saved now."""
    listed = ", ".join(f'{{"id": "{cell}", "cell_type": "code", "source": []}}' for cell in cells)
    path.write_text(f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [{listed}]}}')
