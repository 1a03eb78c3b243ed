"""A file that this package made, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipython_assistant.core.recording import Recording


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that this package wrote.

    Attributes:
        name: Its name in the folder.
        href: Where it is, relative to the notebook's directory.
        sha256: What it held when it was written.
        state: On disk as it was then, changed since, or gone.
        left_over: Whether no cell's present turn refers to it; it is still as it was written.
        recording: The latest recording that names it, without its turn; None where there is none.
        size: How many bytes it had.
    """

    name: str
    href: str
    sha256: str
    state: Literal["present", "changed", "gone"]
    left_over: bool
    recording: Recording | None = None
    size: int = 0
