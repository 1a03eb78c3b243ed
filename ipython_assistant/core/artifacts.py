"""Container files, saved files and the heads of tables, as values; and which files a turn left behind.

A file the code made may be cited with a name, cited without one (a displayed figure), not cited at all (then only the
container's listing knows it), or shown and never saved (then it is a `data:` URI in the code call's outputs).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ipython_assistant.core.turn import number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.recording import Recording
    from ipython_assistant.core.turn import CodeCall, Json, Turn

Found = Literal["cited", "listed", "figure"]


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file in a container that belongs to a turn: the model's own name without its folder, its size in bytes."""

    container_id: str
    file_id: str
    name: str
    found: Found
    size: int | None = None
    created_at: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A container file (or a shown figure, which may have no container) that is now on disk; its size is in bytes.

    `own_name` is the name the model gave it, `href` relative to the notebook's directory, `note` how it was saved.
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
    note: str = ""

    @property
    def is_picture(self) -> bool:
        """Whether a notebook can show it as a picture."""
        return self.media_type in PICTURE_TYPES

    @property
    def is_table(self) -> bool:
        """Whether its name says that it is a table."""
        return self.media_type in TABLE_TYPES | WORKBOOK_TYPES


@dataclass(frozen=True, slots=True)
class FailedArtifact:
    """A file that should be on disk and is not, and the reason; `gone`: its container has no such content any more."""

    name: str
    reason: str
    container_id: str = ""
    file_id: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class TableHead:
    """The first rows of a table as text (None: a missing cell), and its true size, about right where `estimated`.

    `notes` are sentences on how it was read, and `told` those that name no cell; `dtypes` what the columns hold, if
    known; `read_with` what `pandas.read_csv` needs beside the path, as code.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    row_count: int
    estimated: bool = False
    notes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    read_with: str = ""
    sheets: tuple[str, ...] = ()


PICTURE_TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"}
TABLE_TYPES = {"text/csv", "text/tab-separated-values"}
WORKBOOK_TYPES = {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.ms-excel"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that came in the turn: the code call of this number (from 0) showed it, or image generation made it."""

    call: int | None
    content: bytes
    media_type: str
    sha256: str


Signature = tuple[str, int | None, int | None]
"""Id, size and time of creation of a listed file: while they are the same, so are its bytes."""


@dataclass(frozen=True, slots=True)
class TurnFiles:
    """The files of a turn: those on disk in the order of the answer, and those that are not, each once.

    `repeated` are the names of figures that show the same as a saved picture, `notes` sentences for the reader,
    `listed` everything the containers list.
    """

    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    listed: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that this package wrote, with the hash and the size (in bytes) that it had then.

    No cell's present turn refers to one that is `left_over`, which is still as it was written. `recording` is the
    latest one that names it, without its turn.
    """

    name: str
    href: str
    sha256: str
    state: Literal["present", "changed", "gone"]
    left_over: bool
    recording: Recording | None = None
    size: int = 0


def cited_files(turn: Turn, *, figures: bool = False) -> tuple[ContainerFile, ...]:
    """The files that the answer cites, each once; with `figures`, those it displayed (`<file id>.png`) instead."""
    found: Found = "figure" if figures else "cited"
    return _each_once(
        ContainerFile(citation.container_id, citation.file_id, _bare(citation.filename), found)
        for citation in turn.citations
        if citation.file_id and citation.anonymous is figures
    )


def shown_figures(turn: Turn) -> tuple[Figure, ...]:
    """The figures that came whole in the outputs, in order. Only `data:` URIs count; no other address is followed."""
    found: list[tuple[int | None, str]] = [(at, it.url) for at, call in enumerate(turn.calls) for it in call.figures]
    for raw in (item.raw for item in turn.others if item.type == "image_generation_call"):
        kind = "jpeg" if raw.get("output_format") == "jpeg" else "webp" if raw.get("output_format") == "webp" else "png"
        found.append((None, f"data:image/{kind};base64,{text_of(raw.get('result'))}"))
    figures = []
    for made_by, url in found:
        start, _, text = url.partition(",")
        match = re.fullmatch(r"data:(image/[a-z+.-]+);base64", start)
        with contextlib.suppress(ValueError):
            if match and (content := base64.b64decode(text, validate=True)):
                figures.append(Figure(made_by, content, match[1], hashlib.sha256(content).hexdigest()))
    return tuple(figures)


def seen_twice(figure: Figure, figures: Iterable[Figure], pictures: Iterable[str], calls: Sequence[CodeCall]) -> bool:
    """Whether a figure is a saved picture seen again: its call showed one figure and names one of these pictures."""
    alone = sum(other.call == figure.call for other in figures) == 1
    return figure.call is not None and alone and sum(name in calls[figure.call].code for name in pictures) == 1


def signature(row: Json) -> Signature:
    """The signature of a `container.file` object."""
    return text_of(row.get("id")), number_of(row.get("bytes")), number_of(row.get("created_at"))


def listed_files(
    rows: Iterable[Json], known: Container[Signature], sent: Mapping[Signature, str] | None = None
) -> tuple[ContainerFile, ...]:
    """The container files that code made or changed in this turn, from the `rows` of a listing (`container.file`).

    Files in `known` were saved by earlier turns and are left out. `sent` maps the signature of each upload to its name
    here, since the service may prefix the name; an upload whose signature differs was changed by the code. Of several
    rows with one path the newest counts. A row with several joined paths is skipped, since the service is known to list
    such rows: https://github.com/openai/openai-python/issues/2466
    """
    uploads = sent or {}
    own_names = {file_id: name for (file_id, _, _), name in uploads.items()}
    files: dict[tuple[str, str], ContainerFile] = {}
    for row in rows:
        seen, path = signature(row), text_of(row.get("path"))
        file_id, size, created_at = seen
        if not file_id or seen in known or path.count("/mnt/data/") > 1 or not _bare(path):
            continue
        # Some servers do not say whose a file is: then it is taken for the code's, unless it is an upload.
        is_changed = file_id in own_names and size is not None and seen not in uploads
        if (row.get("source") == "user" or file_id in own_names) and not is_changed:
            continue
        name, container_id = own_names.get(file_id) or _bare(path), text_of(row.get("container_id"))
        found: Found = "figure" if name == f"{file_id}.png" else "listed"
        earlier = files.get((container_id, path))
        if earlier is None or (earlier.created_at or 0) <= (created_at or 0):
            files[container_id, path] = ContainerFile(container_id, file_id, name, found, size, created_at)
    return _each_once(files.values())


def wanted_files(turn: Turn, listed: Iterable[ContainerFile], shown: int) -> tuple[ContainerFile, ...]:
    """Every container file to fetch for this turn, each id once: the cited ones first, in the answer's order.

    One file may be cited under one id and listed under another; only its bytes show that, once they are here. Displayed
    figures are fetched only if the outputs of the code calls may lack some of them: `shown` figures came whole in those
    outputs. A figure fetched for that reason may then come twice.
    """
    in_containers = tuple(listed)
    rows = {file.file_id: file for file in in_containers}
    only = turn.container_ids[0] if len(turn.container_ids) == 1 else ""

    def placed(file: ContainerFile) -> ContainerFile:
        """The cited file with what only the listing knows, and with its container, should the citation lack it."""
        row = rows.get(file.file_id) or replace(file, container_id=only)
        place, name = file.container_id or row.container_id, file.name or row.name
        return replace(file, container_id=place, name=name, size=row.size, created_at=row.created_at)

    def all_of(found: Found) -> tuple[ContainerFile, ...]:
        # Apart: what is cited like a figure may be a file that the listing knows by its own name.
        cited = map(placed, cited_files(turn, figures=found == "figure"))
        return _each_once((*cited, *(file for file in in_containers if file.found == found)))

    named, figures = all_of("listed"), all_of("figure")
    complete = len(figures) <= shown and all(call.outputs for call in turn.calls)
    return named + (() if complete else figures)


def key_of(file: Any) -> tuple[str, str]:
    """What tells one container file from all others, whether it is listed, on its way, saved or lost."""
    return file.container_id, file.file_id


def _bare(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _each_once(files: Iterable[ContainerFile]) -> tuple[ContainerFile, ...]:
    once: dict[tuple[str, str], ContainerFile] = {}
    for file in files:
        once.setdefault(key_of(file), file)
    return tuple(once.values())
