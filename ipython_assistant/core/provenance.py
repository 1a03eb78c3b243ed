"""The record of a turn: who was asked what, with which inputs, which code ran, and which files came of it.

A record is a value and a JSON text; where it is kept is the workspace's business. It holds no contents of files, no
absolute path, no key and no name of a machine. Several kernels, and several notebooks, may keep records in one folder;
what follows from all of them together (whose file is whose, which turns are gone) is worked out here.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ipython_assistant.core.artifacts import FailedArtifact, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Json, Turn

FORMAT = 1
LONGEST_LOGS = 100_000
"""In characters for each code call; what is beyond it is left out in the middle, and said."""
TOOK_PLACE = frozenset({"completed", "refused", "incomplete"})
"""The statuses of a turn that took its place in the conversation, and so ended the one its cell had before."""

_FOUND: Mapping[str, Found] = {"cited": "cited", "listed": "listed", "figure": "figure"}
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RUN = re.compile(r"run \d+")
_RESPONSE = re.compile(r"response ")
# What hides or reorders other characters is written as an escape: a record is read by people.
_UNSEEN = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class RecordedInput:
    """A file that was sent with the question; `size` is in bytes, None where it was not known any more."""

    name: str
    size: int | None
    sha256: str
    description: str


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A code call: what ran, how it ended, what it printed."""

    code: str
    status: str
    logs: str


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file the turn left on disk; see `Artifact`.

    `ours` says whether this package wrote it. It did not where a file of this name and with these bytes was there
    already: such a file is never replaced or removed.
    """

    name: str
    own_name: str
    size: int
    sha256: str
    media_type: str
    container_id: str
    file_id: str
    found: Found
    ours: bool = True


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn.

    Attributes:
        prompt: What the user asked; empty for a response that was only shown.
        cell: The cell, as the front end names it; `run 3` where it names none, `response <id>` for one shown.
        service: `openai` or `local`.
        model: The model that answered, by the service's own word.
        response_id: The service's id of the response.
        status: The answer's: `completed`, `refused`, `incomplete`, `interrupted` or `failed`.
        began: When the question was asked, `2026-01-15T09:30:00Z`.
        ended: When its files were on disk.
        inputs: What was sent with it, by name.
        calls: The code calls, in order.
        files: The files on disk, in the answer's order.
        missing: The files that are not, with the reason.
        notebook: The notebook's file name, where the kernel knows it.
        kernel: A random name of the kernel that asked.
    """

    prompt: str
    cell: str
    service: str
    model: str
    response_id: str
    status: str
    began: str
    ended: str
    inputs: tuple[RecordedInput, ...] = ()
    calls: tuple[RecordedCall, ...] = ()
    files: tuple[RecordedFile, ...] = ()
    missing: tuple[FailedArtifact, ...] = ()
    notebook: str = ""
    kernel: str = ""

    @property
    def id(self) -> str:
        """The same for the same turn, however often it is recorded."""
        shown = _RESPONSE.match(self.cell) is not None
        parts = (self.notebook, self.cell) if shown else (self.kernel, self.cell, self.response_id, self.began)
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """`plot-coverage-by-year-3f2a91c04b5d.json`: the first words of the prompt, and the id."""
        words = unicodedata.normalize("NFKD", self.prompt or self.cell).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-")
        return f"{slug or 'turn'}-{self.id}.json"

    def redacted(self, redact: Callable[[str], str]) -> TurnRecord:
        """The record with `redact` applied to everything that was written by people, models or programs."""
        return replace(
            self,
            prompt=redact(self.prompt),
            inputs=tuple(replace(item, description=redact(item.description)) for item in self.inputs),
            calls=tuple(replace(call, code=redact(call.code), logs=redact(call.logs)) for call in self.calls),
            missing=tuple(replace(file, reason=redact(file.reason)) for file in self.missing),
        )


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """A notebook on disk.

    Attributes:
        name: Its file name.
        cells: The ids of its cells; None where they cannot be read, so that it may hold any cell.
        saved: When it was saved, `2026-01-15T09:30:00Z`.
    """

    name: str
    cells: frozenset[str] | None
    saved: str

    def may_hold(self, cell: str) -> bool:
        """Whether the cell is in it, as far as can be known."""
        return self.cells is None or cell in self.cells


State = Literal["present", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A file that a record names, and how it stands on disk.

    Attributes:
        record: The turn it is from: the latest, where it is from several.
        file: The file, as it was then.
        href: Where it is, relative to the notebook's directory.
        state: On disk as it was then, changed since, or gone.
        left_over: Whether its turn is gone, so that nothing refers to it any more.
    """

    record: TurnRecord
    file: RecordedFile
    href: str
    state: State
    left_over: bool = False


def record_of(
    turn: Turn,
    *,
    prompt: str,
    cell: str,
    service: str,
    model: str,
    status: str,
    began: datetime,
    ended: datetime,
    inputs: Iterable[RecordedInput] = (),
    artifacts: Iterable[Artifact] = (),
    failed: Iterable[FailedArtifact] = (),
) -> TurnRecord:
    """The record of a turn. Times have to know their zone; `model` is what was asked for, if the turn does not say."""
    return TurnRecord(
        prompt=prompt,
        cell=cell_name(cell),
        service=service,
        model=turn.model or model,
        response_id=turn.response_id,
        status=status,
        began=stamp(began),
        ended=stamp(ended),
        inputs=tuple(sorted(inputs, key=lambda item: item.name)),
        calls=tuple(RecordedCall(call.code, call.status, _cut(call.logs)) for call in turn.calls),
        files=tuple(
            RecordedFile(
                name=artifact.name,
                own_name=artifact.own_name,
                size=artifact.size,
                sha256=artifact.sha256,
                media_type=artifact.media_type,
                container_id=artifact.container_id,
                file_id=artifact.file_id,
                found=artifact.found,
            )
            for artifact in artifacts
        ),
        missing=tuple(failed),
    )


def stamp(moment: datetime) -> str:
    """A moment as records write it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cell_name(cell: str) -> str:
    """A cell as records name it: by its id; by a digest where the front end's id is an address with a path in it."""
    if _CELL_ID.fullmatch(cell) or _RUN.fullmatch(cell) or _RESPONSE.match(cell):
        return cell
    return f"cell-{hashlib.sha256(cell.encode(errors='replace')).hexdigest()[:16]}"


# --- the text ---------------------------------------------------------------------------------------------------------


def to_json(record: TurnRecord) -> str:
    """The record as a text that people read and that differs only where the turn did.

    What may go over several lines is a list of lines, as in the notebook format.
    """
    body: Json = {
        "format": FORMAT,
        "prompt": _lines(record.prompt),
        "notebook": record.notebook,
        "cell": record.cell,
        "kernel": record.kernel,
        "service": record.service,
        "model": record.model,
        "response_id": record.response_id,
        "status": record.status,
        "began": record.began,
        "ended": record.ended,
        "inputs": [
            {"name": item.name, "size": item.size, "sha256": item.sha256, "description": item.description}
            for item in record.inputs
        ],
        "calls": [
            {"status": call.status, "code": _lines(call.code), "logs": _lines(call.logs)} for call in record.calls
        ],
        "files": [
            {
                "name": file.name,
                "own_name": file.own_name,
                "size": file.size,
                "sha256": file.sha256,
                "media_type": file.media_type,
                "container_id": file.container_id,
                "file_id": file.file_id,
                "found": file.found,
                "ours": file.ours,
            }
            for file in record.files
        ],
        "missing": [
            {"name": file.name, "reason": file.reason, "container_id": file.container_id, "file_id": file.file_id}
            for file in record.missing
        ],
    }
    text = json.dumps(body, ensure_ascii=False, indent=2)
    text = _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    # A lone surrogate has no UTF-8; the escape that stands for it is JSON's own.
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def from_json(text: str) -> TurnRecord:
    """The record a text holds.

    Raises:
        ValueError: It is none, with the reason in words.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not whole JSON") from error
    if not isinstance(body, dict) or "format" not in body:
        raise ValueError("it is not the record of a turn")
    if body["format"] != FORMAT:
        raise ValueError(f"its format is {body['format']!r}, and this version reads {FORMAT}")
    return TurnRecord(
        prompt=_text(body, "prompt"),
        cell=_text(body, "cell"),
        service=_text(body, "service"),
        model=_text(body, "model"),
        response_id=_text(body, "response_id"),
        status=_text(body, "status"),
        began=_text(body, "began"),
        ended=_text(body, "ended"),
        inputs=tuple(_read_input(item) for item in _items(body, "inputs")),
        calls=tuple(
            RecordedCall(_text(item, "code"), _text(item, "status"), _text(item, "logs"))
            for item in _items(body, "calls")
        ),
        files=tuple(_read_file(item) for item in _items(body, "files")),
        missing=tuple(
            FailedArtifact(
                _text(item, "name"), _text(item, "reason"), _text(item, "container_id"), _text(item, "file_id")
            )
            for item in _items(body, "missing")
        ),
        notebook=_text(body, "notebook"),
        kernel=_text(body, "kernel"),
    )


def _read_input(item: Json) -> RecordedInput:
    size = None if item.get("size") is None else _number(item, "size")
    return RecordedInput(_text(item, "name"), size, _text(item, "sha256"), _text(item, "description"))


def _read_file(item: Json) -> RecordedFile:
    name, found = _text(item, "name"), _FOUND.get(_text(item, "found"))
    # A record may come with a folder that somebody else made: its names lead nowhere else, and to nothing hidden.
    if not name or name.startswith(".") or set(name) & set("/\\:\0"):
        raise ValueError("it names a file outside its folder")
    if found is None:
        raise ValueError("'found' is none of the words there are")
    return RecordedFile(
        name=name,
        own_name=_text(item, "own_name"),
        size=_number(item, "size"),
        sha256=_text(item, "sha256"),
        media_type=_text(item, "media_type"),
        container_id=_text(item, "container_id"),
        file_id=_text(item, "file_id"),
        found=found,
        ours=item.get("ours") is True,
    )


def _text(body: Json, key: str) -> str:
    value: Any = body.get(key)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is not a text")  # noqa: TRY004 what is wrong is the record
    return value


def _number(body: Json, key: str) -> int:
    value: Any = body.get(key)
    if type(value) is not int or value < 0:
        raise ValueError(f"{key!r} is not a number of bytes")
    return value


def _items(body: Json, key: str) -> list[Json]:
    value: Any = body.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{key!r} is not a list")
    return value


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _cut(logs: str) -> str:
    if len(logs) <= LONGEST_LOGS:
        return logs
    half = LONGEST_LOGS // 2
    return f"{logs[:half]}\n… {len(logs) - 2 * half:,} characters left out …\n{logs[-half:]}"


# --- all records together ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ledger:
    """All records of a folder, and what is known beside them.

    Attributes:
        records: In any order, each turn once.
        notebooks: The notebooks beside the folder.
        at_work: The kernels that run now.
    """

    records: tuple[TurnRecord, ...] = ()
    notebooks: tuple[NotebookFile, ...] = ()
    at_work: frozenset[str] = frozenset()

    def place(self, record: TurnRecord) -> tuple[str, str]:
        """Where the turn belongs: its notebook and cell. Two records of one place are two runs of one cell.

        Without the notebook's name, or the cell's, only the kernel that asked knows the place: a notebook that was
        copied has the same cell ids as its original, and is not the same.
        """
        if not record.notebook or _RUN.fullmatch(record.cell):
            return f"kernel {record.kernel}", record.cell
        return self._home(record), record.cell

    def gone(self) -> frozenset[str]:
        """The ids of the turns that are gone.

        A turn is gone when its cell ran again to the end, or when its notebook was saved since without the cell. As
        long as the kernel that asked is at work, another kernel's run of the same cell does not end its turn.
        """
        gone = {record.id for record in self.records if self._cell_is_deleted(record)}
        runs: dict[tuple[str, str], list[TurnRecord]] = {}
        for record in sorted(self.records, key=lambda record: (record.ended, record.id)):
            runs.setdefault(self.place(record), []).append(record)
        for of_one_cell in runs.values():
            finished = [at for at, record in enumerate(of_one_cell) if record.status in TOOK_PLACE]
            if not finished:
                continue
            latest = of_one_cell[finished[-1]]
            for record in of_one_cell[: finished[-1]]:
                if record.kernel == latest.kernel or record.kernel not in self.at_work:
                    gone.add(record.id)
        return frozenset(gone)

    def present_files(self) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
        """The files that present turns refer to, by time: each name and hash once, with the latest turn."""
        gone = self.gone()
        return _latest(record for record in self.records if record.id not in gone)

    def left_files(self) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
        """The files of turns that are gone, if they were ours and no present turn refers to their names."""
        gone = self.gone()
        referred = {file.name for record in self.records if record.id not in gone for file in record.files}
        left = _latest(record for record in self.records if record.id in gone)
        return tuple((record, file) for record, file in left if file.ours and file.name not in referred)

    def owned(self, notebook: str, kernel: str, cell: str) -> Mapping[str, frozenset[str]]:
        """What earlier runs of a cell wrote: saved name → the hashes it had."""
        owned: dict[str, frozenset[str]] = {}
        for record in self.records:
            if self._is_mine(record, notebook, kernel, cell):
                for file in record.files:
                    if file.ours:
                        owned[file.name] = owned.get(file.name, frozenset()) | {file.sha256}
        return owned

    def claimed(self, notebook: str, kernel: str, cell: str) -> frozenset[tuple[str, str]]:
        """The files that present turns of other cells, notebooks and kernels refer to: saved name and hash."""
        gone = self.gone()
        return frozenset(
            (file.name, file.sha256)
            for record in self.records
            if record.id not in gone and not self._is_mine(record, notebook, kernel, cell)
            for file in record.files
        )

    def _is_mine(self, record: TurnRecord, notebook: str, kernel: str, cell: str) -> bool:
        """Whether a record is an earlier run of this cell: by this kernel, or by one that has ended."""
        if record.kernel != kernel and record.kernel in self.at_work:
            return False
        asked = replace(record, notebook=notebook, kernel=kernel, cell=cell)
        return record.cell == cell and self.place(record) == self.place(asked)

    def _home(self, record: TurnRecord) -> str:
        """The notebook the cell is in now: the record's own, unless it is gone from there and in one other."""
        own = next((notebook for notebook in self.notebooks if notebook.name == record.notebook), None)
        if own is not None and own.may_hold(record.cell):
            return own.name
        others = [notebook.name for notebook in self.notebooks if notebook.cells and record.cell in notebook.cells]
        return others[0] if len(others) == 1 else record.notebook

    def _cell_is_deleted(self, record: TurnRecord) -> bool:
        own = next((notebook for notebook in self.notebooks if notebook.name == record.notebook), None)
        if own is None or own.saved <= record.ended or not _CELL_ID.fullmatch(record.cell):
            return False
        return not any(notebook.may_hold(record.cell) for notebook in self.notebooks)


def _latest(
    records: Iterable[TurnRecord],
) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
    latest = {
        (file.name, file.sha256): (record, file)
        for record in sorted(records, key=lambda record: (record.ended, record.id))
        for file in record.files
    }
    return tuple(sorted(latest.values(), key=lambda found: (found[0].ended, found[0].id)))


def without_twins(records: Sequence[TurnRecord]) -> tuple[TurnRecord, ...]:
    """Each turn once: the latest where one was recorded more than once."""
    once: dict[str, TurnRecord] = {}
    for record in sorted(records, key=lambda record: record.ended):
        once[record.id] = record
    return tuple(once.values())
