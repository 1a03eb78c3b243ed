"""Container files, saved files and the heads of tables, as values; and which files a turn left behind.

The difficulty this room answers: a file the code made may be cited with a name, cited without one (a displayed
figure), not cited at all (then only the container's listing knows it), or shown and never saved (then it exists only
as a `data:` URI in the code call's outputs). All four end in one list, each file once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Found = Literal["cited", "listed", "figure"]


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file in a container that belongs to a turn.

    `name` is the model's own name for it, without its folder; `size` is in bytes, None where nobody said it.
    """

    container_id: str
    file_id: str
    name: str
    found: Found
    size: int | None = None
    created_at: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A container file (or a shown figure) that is now on disk.

    Attributes:
        name: The saved file's name, unique in its folder.
        own_name: The name the model gave it.
        path: Where it is.
        href: The path relative to the notebook's directory, with forward slashes, not percent-encoded.
        size: In bytes.
        sha256: Of its bytes, in hexadecimal.
        media_type: By its name and first bytes, such as `image/png`.
        container_id: Where it came from; empty for a figure that existed only in the outputs.
        file_id: Its id there.
        found: How it was found.
    """

    name: str
    own_name: str
    path: Path
    href: str
    size: int
    sha256: str
    media_type: str
    container_id: str = ""
    file_id: str = ""
    found: Found = "cited"

    @property
    def is_picture(self) -> bool:
        """Whether a notebook can show it as a picture."""
        return self.media_type in PICTURE_TYPES


@dataclass(frozen=True, slots=True)
class FailedArtifact:
    """A file that should be on disk and is not, with the reason in words a reader can act on."""

    name: str
    reason: str
    container_id: str = ""
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class TableHead:
    """The first rows of a table as text, and its true size.

    `rows` holds the cells as they stand in the file; None marks a missing one. `row_count` does not count the header.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    row_count: int

    @property
    def column_count(self) -> int:
        """How many columns the table has."""
        return len(self.columns)


PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
TABLE_TYPES = frozenset({"text/csv", "text/tab-separated-values"})
