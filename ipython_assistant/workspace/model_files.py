"""The models that `ipython-assistant model get` has fetched: GGUF files in one directory of this user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.providers import models_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk: its name after `gguf/`, its path, and its size in bytes."""

    name: str
    path: Path
    size: int


def fetched_models(environment: Mapping[str, str]) -> tuple[ModelFile, ...]:
    """The models that are there, the newest first."""
    try:
        found = [(path.stat(), path) for path in models_folder(environment).glob("*.gguf")]
    except OSError:
        return ()
    newest = sorted(found, key=lambda pair: pair[0].st_mtime, reverse=True)
    return tuple(ModelFile(path.stem, path, about.st_size) for about, path in newest)
