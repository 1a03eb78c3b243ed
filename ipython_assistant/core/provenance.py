"""The record of a turn: who was asked what, with which inputs, which code ran, and which files came of it.

A turn that came to its end is a recording too: its record also holds the exchange, and the question is answered from
it when it is asked again. A record is a value and a JSON text; where it is kept is the workspace's business. It holds
no contents of files, no absolute path, no key and no name of a machine. What follows from many of them together is
worked out in `ledger`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.artifacts import FailedArtifact, Found
from ipython_assistant.core.recording import Exchange, Written, integrity, turn_digest
from ipython_assistant.core.tool_secrets import secrets_in

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.core.turn import Json, Turn

FORMAT = 2
PROVENANCE_ONLY = 1
"""The format before this one: it holds no exchange, so nothing is answered from it."""
DEEPEST = 100
"""How deeply the values of a record may be nested; what a service sends is some ten deep."""
LARGEST_NUMBER = 2**63
LONGEST_LOGS = 100_000
"""In characters for each code call; what is beyond it is left out in the middle, and said."""

_FOUND: Mapping[str, Found] = {"cited": "cited", "listed": "listed", "figure": "figure"}
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RUN = re.compile(r"run \d+")
_ASK = re.compile(r"[A-Za-z0-9_-]{1,64} ask \d+")
_RESPONSE = re.compile(r"response ")
_FILE_NAME = re.compile(r"([a-z0-9-]+)-[0-9a-f]{12}(?:-\d+)?\.json")
_NO_EVENTS = "[]\n  }\n}"
"""How a text ends whose exchange has no events."""
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
    already: such a file is never replaced or removed. `kept` says whether its bytes are kept among the recordings too,
    `repeated` whether it is a figure that shows the same as a saved picture.
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
    kept: bool = False
    repeated: bool = False


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
        began: When the question was asked, `2026-01-15T09:30:00.000Z`.
        ended: When its files were on disk.
        inputs: What was sent with it, by name.
        calls: The code calls, in order.
        files: The files on disk, in the answer's order.
        missing: The files that are not, with the reason.
        notebook: The notebook's file name, where the kernel knows it.
        kernel: A random name of the kernel that asked.
        notes: What was said beside the answer.
        key: The key of the turn, by which it is found again; see `Written`.
        written: What the key was made of.
        digest: What the turns below continue from; see `turn_digest`.
        exchange: What went over the wire; None where nothing is answered from this record.
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
    notes: tuple[str, ...] = ()
    key: str = ""
    written: Written | None = None
    digest: str = ""
    exchange: Exchange | None = None

    @property
    def id(self) -> str:
        """The same for the same turn, however often it is recorded."""
        shown = _RESPONSE.match(self.cell) is not None
        parts = (self.notebook, self.cell) if shown else (self.kernel, self.cell, self.response_id, self.began)
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """`plot-coverage-by-year-3f2a91c04b5d.json`: the first words of the prompt, and the id."""
        return f"{slug(self.prompt or self.cell)}-{self.id}.json"

    def summary(self) -> TurnRecord:
        """The record with no more of its exchange than that there is one."""
        return replace(self, exchange=Exchange(()) if self.exchange is not None else None)

    def redacted(self, redact: Redactor) -> TurnRecord:
        """The record with `redact` applied to everything that was written by people, models or programs.

        The secrets in its tools are taken out as well, wherever they stand.
        """
        written, exchange = self.written, self.exchange
        tools = [written.tools if written is not None else (), exchange.request.get("tools") if exchange else ()]
        redact = redact.with_secrets(secrets_in(tools))
        return replace(
            self,
            prompt=redact(self.prompt),
            inputs=tuple(replace(item, description=redact(item.description)) for item in self.inputs),
            calls=tuple(replace(call, code=redact(call.code), logs=redact(call.logs)) for call in self.calls),
            missing=tuple(replace(file, reason=redact(file.reason)) for file in self.missing),
            notes=tuple(redact(note) for note in self.notes),
            written=written.redacted(redact) if written is not None else None,
            exchange=exchange.redacted(redact) if exchange is not None else None,
        )


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
    notes: Iterable[str] = (),
    repeated: Container[str] = (),
    written: Written | None = None,
    exchange: Exchange | None = None,
) -> TurnRecord:
    """The record of a turn. Times have to know their zone; `model` is what was asked for, if the turn does not say.

    With `written` it has a key; with `exchange` too, and if it came to its end, the question is answered from it later.
    """
    artifacts = tuple(artifacts)
    key = written.key if written is not None else ""
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
                repeated=artifact.name in repeated,
            )
            for artifact in artifacts
        ),
        missing=tuple(failed),
        notes=tuple(notes),
        key=key,
        written=written,
        digest=digest_of(key, turn, artifacts) if key else "",
        exchange=exchange if key else None,
    )


def digest_of(key: str, turn: Turn, artifacts: Iterable[Artifact]) -> str:
    """The digest of a turn, recorded or not; see `turn_digest`."""
    return turn_digest(key, turn.text, (call.code for call in turn.calls), (item.sha256 for item in artifacts))


def slug(prompt: str) -> str:
    """What the name of a record begins with: the first words of the prompt, in letters and digits every disk knows."""
    words = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", words)[:40].strip("-") or "turn"


def slug_of(file_name: str) -> str | None:
    """The words in the name of a record; None where it was not named by `TurnRecord.file_name`."""
    match = _FILE_NAME.fullmatch(file_name)
    return match[1] if match is not None else None


def stamp(moment: datetime) -> str:
    """A moment as records write it: UTC, to the millisecond, since of two answers the later one counts."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def cell_name(cell: str) -> str:
    """A cell as records name it: by its id; by a digest where the front end's id is an address with a path in it."""
    if is_cell_id(cell) or is_unnamed(cell) or _ASK.fullmatch(cell) or _RESPONSE.match(cell):
        return cell
    return f"cell-{hashlib.sha256(cell.encode(errors='replace')).hexdigest()[:16]}"


def is_cell_id(cell: str) -> bool:
    """Whether this is the id of a cell in a notebook (https://nbformat.readthedocs.io/en/latest/format_description.html)."""
    return _CELL_ID.fullmatch(cell) is not None


def is_unnamed(cell: str) -> bool:
    """Whether this stands for a cell that its front end gives no id: it means something to its own kernel alone."""
    return _RUN.fullmatch(cell) is not None


# --- the text ---------------------------------------------------------------------------------------------------------


def to_json(record: TurnRecord) -> str:
    """The record as a text that people read and that differs only where the turn did.

    What may go over several lines is a list of lines, as in the notebook format, and an event is a line.
    """
    exchange = record.exchange
    body: Json = {
        "format": FORMAT,
        "key": record.key,
        "integrity": "",
        "digest": record.digest,
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
                "kept": file.kept,
                "repeated": file.repeated,
            }
            for file in record.files
        ],
        "missing": [
            {"name": file.name, "reason": file.reason, "container_id": file.container_id, "file_id": file.file_id}
            for file in record.missing
        ],
        "notes": list(record.notes),
        "written": record.written.body() if record.written is not None else None,
        "exchange": None,
    }
    events: list[str] = []
    if exchange is not None:
        body["exchange"] = {
            "status": exchange.status,
            "headers": dict(exchange.headers),
            "request": exchange.request,
            "events": list(exchange.events),
        }
        events = [json.dumps(event, ensure_ascii=False) for event in exchange.events]
    body["integrity"] = integrity(body)
    if exchange is not None:
        body["exchange"]["events"] = []
    text = json.dumps(body, ensure_ascii=False, indent=2)
    if events:
        lines = ",\n".join(f"      {event}" for event in events)
        text = f"{text.removesuffix(_NO_EVENTS)}[\n{lines}\n    ]\n  }}\n}}"
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
        too_deep = _is_deeper(body, DEEPEST)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not whole JSON") from error
    if too_deep:
        raise ValueError("its values are nested too deeply")
    try:
        return _read(body)
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("it is not the record of a turn") from error


def _read(body: Any) -> TurnRecord:
    if not isinstance(body, dict) or "format" not in body:
        raise ValueError("it is not the record of a turn")
    version = body["format"]
    if version not in (FORMAT, PROVENANCE_ONLY):
        raise ValueError(f"its format is {str(version)[:20]}, and this version reads {PROVENANCE_ONLY} and {FORMAT}")
    if version == FORMAT and body.get("integrity") != integrity(body):
        raise ValueError("it was changed since it was written")
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
        **(_read_recording(body) if version == FORMAT else {}),
    )


def _read_recording(body: Json) -> dict[str, Any]:
    """What only this format has."""
    notes, written, exchange = body.get("notes"), body.get("written"), body.get("exchange")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ValueError("'notes' is not a list of texts")
    return {
        "notes": tuple(notes),
        "key": _text(body, "key"),
        "digest": _text(body, "digest"),
        "written": Written.of(written) if isinstance(written, dict) else None,
        "exchange": _read_exchange(exchange) if isinstance(exchange, dict) else None,
    }


def _read_exchange(body: Json) -> Exchange:
    headers, request, status = body.get("headers"), body.get("request"), body.get("status")
    if not isinstance(headers, dict) or not isinstance(request, dict) or type(status) is not int:
        raise ValueError("'exchange' is none")
    return Exchange(tuple(_items(body, "events")), request, status, {name: str(headers[name]) for name in headers})


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
        kept=item.get("kept") is True,
        repeated=item.get("repeated") is True,
    )


def _is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested more deeply than so."""
    level = [value]
    for _ in range(most):
        level = [
            part
            for inner in level
            if isinstance(inner, dict | list)
            for part in (inner.values() if isinstance(inner, dict) else inner)
        ]
    return bool(level)


def _text(body: Json, key: str) -> str:
    value: Any = body.get(key)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is not a text")  # noqa: TRY004 what is wrong is the record
    return value


def _number(body: Json, key: str) -> int:
    value: Any = body.get(key)
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
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
