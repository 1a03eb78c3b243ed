"""The engine's one private directory: made at the start and gone at the end, however the engine ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_PARENT: Final = 48
"""Bytes; sockets below it have paths that must stay short."""
_REMOVE: Final = """
cat > /dev/null
for attempt in 1 2 3; do
    rm -rf -- "$1"
    [ -e "$1" ] || exit 0
    chmod -R u+rwx -- "$1"
    sleep 1
done
"""
"""A shell script that waits for the end of its input, and deletes a directory.

Python 3.11's `rmtree` recurses, and code may have nested directories thousands deep: `rm` does not mind.
"""


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and delete it afterwards, since it holds what was uploaded.

    A shell waits for the end of this process and deletes the directory too: nothing is left of an engine that was
    killed, and nobody ever has to look for such directories and to guess whose they are.
    """
    parent = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(parent.resolve())) > _LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - a new private directory in it
    # Resolved: what code prints of it must be recognised (on macOS the temporary directory is a symbolic link).
    directory = Path(tempfile.mkdtemp(prefix="ipa-engine-", dir=parent)).resolve()
    remover = None
    if os.name == "posix":
        remover = subprocess.Popen(
            _removal(directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield directory
    finally:
        remove_tree(directory)
        if remover is not None:
            remover.communicate()


def remove_tree(directory: Path) -> None:
    """Delete a directory with everything below it; what cannot be deleted is left. Never raises."""
    if os.name == "posix":
        subprocess.run(_removal(directory), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _removal(directory: Path) -> list[str]:
    return ["/bin/sh", "-c", _REMOVE, "sh", str(directory)]
