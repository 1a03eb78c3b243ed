"""Says `/mnt/data`, for which code is written, where the sandbox has no such place."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.container_folder import MOUNT
from ipython_assistant.engine.sandbox import HOME

if TYPE_CHECKING:
    from ipython_assistant.engine.sandbox import VisiblePaths

_MOUNTED: Final = re.compile(rf"(?<![\w.~-]){re.escape(MOUNT)}(?![\w.-])")
_CELL_FILE: Final = re.compile(r"(?:/tmp)?[/\\]ipykernel_\d+[/\\]\d+\.py")


class MountedPaths:
    """Puts the real directory into code before it runs, and `/mnt/data` back into what it printed.

    Args:
        visible: Where code sees its directories. None of them is shown, nor are those of this Python.
    """

    def __init__(self, visible: VisiblePaths) -> None:
        self._work = Path(visible.work).as_posix()
        self._outward = {
            visible.work: MOUNT,
            visible.temp: "/tmp",  # noqa: S108 - a name to show, not a place to write
            visible.home: HOME,
            sysconfig.get_path("purelib"): "site-packages",
            sysconfig.get_path("stdlib"): "python",
        }
        # Longest first, and whole names only: a directory must not be taken for its own prefix.
        longest_first = sorted(self._outward, key=len, reverse=True)
        self._inside = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")

    def inward(self, code: str) -> str:
        """Code as it is run: `/mnt/data` is the real directory."""
        return _MOUNTED.sub(lambda _: self._work, code)

    def outward(self, text: str) -> str:
        """Text as it is shown: the real directory is `/mnt/data`."""
        mounted = self._inside.sub(lambda found: self._outward[found[0]], text)
        return _CELL_FILE.sub("<code>", mounted)
