"""The recording of a turn, a value and a JSON text: what was asked, the response, and the files that came of it.

A question is found again by its key, which is made of the user's own words and of nothing that they resolved to. A
recording holds no bytes of a file, no absolute path and no secret.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.fold import read_response
from ipython_assistant.core.redaction import redacted_json, redacted_turn, secrets_in, without_secrets
from ipython_assistant.core.turn import Citation, CodeCall, Image, Message, Source, Turn, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ipython_assistant.core.artifacts import Artifact, Found
    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.core.turn import Item, Json

FORMAT = 3
REPLAYED = ("completed", "refused")
"""The statuses of a turn that is replayed, the better one first."""
TOOK_PLACE = frozenset({*REPLAYED, "incomplete"})
"""The statuses of a turn that takes the place of the one its cell had before."""

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RecordedInput:
    """A file that was sent with the question: `size` in bytes where known, `logical` the hash of what it says."""

    name: str
    size: int | None
    sha256: str
    description: str
    logical: str = ""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file the turn left on disk; see `Artifact`. Only one that is `ours` may be replaced or removed.

    Its bytes are `kept` among the recordings too; a `repeated` figure shows the same as a saved picture.
    """

    name: str
    own_name: str
    size: int
    sha256: str
    container_id: str
    file_id: str
    found: Found
    ours: bool = True
    kept: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class TurnKey:
    """What the user wrote, as far as it decides which recording answers; None for what was not set by hand.

    The prompt is empty for a response that was only shown. `tools` are those beside the code interpreter, `outputs` the
    names given with `-o`, `inputs` names and logical hashes, `parent` is the digest of the turn it continues from.
    """

    prompt: str
    model: str | None = None
    instructions: str | None = None
    tools: tuple[Json, ...] | None = None
    effort: str | None = None
    no_code: bool | None = None
    outputs: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    parent: str = ""

    @property
    def sha256(self) -> str:
        """The key as a hash. What was not written is not in it, so a part that a later version adds changes no key."""
        return sha256_of(self.body()) if self.prompt else ""

    def body(self) -> Json:
        """The parts that were written, as JSON, without the secrets in tools: another token is the same question."""
        parts: Json = {
            "prompt": self.prompt.replace("\r\n", "\n").strip(),
            "model": self.model,
            "instructions": self.instructions,
            "tools": sorted(without_secrets(self.tools), key=canonical) if self.tools else None,
            "effort": self.effort,
            "no_code": self.no_code,
            "outputs": sorted(set(self.outputs)),
            "inputs": [{"name": name, "logical": logical} for name, logical in sorted(self.inputs)],
            "parent": self.parent,
        }
        return {name: part for name, part in parts.items() if part or name == "prompt"}

    def redacted(self, redact: Redactor) -> TurnKey:
        """The key as it is recorded; it is found by the hash that it had before."""
        tools = tuple(redacted_json(without_secrets(self.tools), redact)) if self.tools else self.tools
        instructions = redacted_json(self.instructions, redact)
        return replace(self, prompt=redact(self.prompt), instructions=instructions, tools=tools)


@dataclass(frozen=True, slots=True)
class Recording:
    """A turn as it is recorded; `turn` is without pictures, which are among the files.

    `cell` is its name in the front end, `status` the answer's. It `began` (UTC) when the question was asked and `ended`
    when its files were on disk, all but those that are `missing`. `key` is empty where nothing is answered from it. Of
    the recordings of one question, a later one has a larger `number`, whatever the clock said.
    """

    asked: TurnKey
    turn: Turn
    cell: str
    service: str
    model: str
    status: str
    began: str
    ended: str
    notebook: str = ""
    inputs: tuple[RecordedInput, ...] = ()
    files: tuple[RecordedFile, ...] = ()
    missing: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    key: str = ""
    digest: str = ""
    number: int = field(default=0, compare=False)

    @property
    def prompt(self) -> str:
        """The question."""
        return self.asked.prompt

    @property
    def rank(self) -> tuple[bool, bool, bool, int, str]:
        """Orders the recordings of one question: an answer, one that lacks no files, a hosted service's, the later."""
        return self.status == REPLAYED[0], not self.missing, self.service != "local", self.number, self.ended

    def is_replayed(self, *, with_missing: bool = False) -> bool:
        """Whether a question may be answered from it: the turn came to its end, with all of its files."""
        return bool(self.key) and self.status in REPLAYED and (with_missing or not self.missing)

    def redacted(self, redact: Redactor) -> Recording:
        """The recording without the secrets `redact` knows, nor those in its tools."""
        redact = redact.with_secrets(secrets_in(self.asked.tools))
        return replace(
            self,
            asked=self.asked.redacted(redact),
            turn=redacted_turn(self.turn, redact),
            inputs=tuple(replace(item, description=redact(item.description)) for item in self.inputs),
            missing=tuple(replace(file, reason=redact(file.reason)) for file in self.missing),
            notes=tuple(map(redact, self.notes)),
        )


def turn_digest(key: str, turn: Turn, artifacts: Iterable[Artifact]) -> str:
    """What the turns below continue from: the question and all of its answer. Empty without a key."""
    hashes = sorted(artifact.sha256 for artifact in artifacts)
    return sha256_of([key, turn.text, [call.code for call in turn.calls], hashes]) if key else ""


def stamp(moment: datetime) -> str:
    """A moment as recordings write it: UTC, to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def canonical(value: Any) -> str:
    """The one JSON text of a value, for hashes: keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256_of(value: Any) -> str:
    """The hash of a JSON value, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def recording_text(recording: Recording) -> str:
    """The recording as a text that people read: what may go over several lines is a list of lines, as in notebooks."""
    asked, turn = recording.asked.body(), recording.turn
    plain = ("cell", "notebook", "service", "model", "status", "began", "ended")
    body: Json = {
        "format": FORMAT,
        "key": recording.key,
        "integrity": "",
        "digest": recording.digest,
        "asked": {name: part for name, part in asked.items() if name != "inputs"}
        | {"prompt": _lines(recording.prompt)},
        **{name: getattr(recording, name) for name in plain},
        "inputs": list(map(asdict, recording.inputs)),
        "response": {
            "id": turn.response_id,
            "model": turn.model,
            "status": turn.status,
            "error": asdict(turn.failure) if turn.failure is not None else None,
            "incomplete_details": {"reason": turn.incomplete_reason} if turn.incomplete_reason else None,
            "usage": turn.usage,
            "output": list(map(_item_of, turn.items)),
        },
        "files": list(map(asdict, recording.files)),
        "missing": list(map(asdict, recording.missing)),
        "notes": list(recording.notes),
    }
    body["integrity"] = integrity(body)
    # Half a surrogate pair, which a file name may have, is written as an escape.
    return json.dumps(body, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def _item_of(item: Item) -> Json:
    """An item as the service sends it; `read_response` gives it back."""
    if isinstance(item, Message):
        content = [
            {
                "type": "refusal" if part.refusal else "output_text",
                "refusal" if part.refusal else "text": _lines(part.text),
                "annotations": [*map(_annotation_of, part.citations), *map(_annotation_of, part.sources)],
            }
            for part in item.parts
        ]
        return {"type": "message", "id": item.id, "content": content}
    if isinstance(item, CodeCall):
        outputs = [
            {"type": "image", "url": it.url} if isinstance(it, Image) else {"type": "logs", "logs": _lines(it)}
            for it in item.outputs or ()
        ]
        return {
            "type": "code_interpreter_call",
            "id": item.id,
            "status": item.status,
            "container_id": item.container_id,
            "code": _lines(item.code),
            "outputs": outputs if item.outputs is not None else None,
        }
    return item.raw


def _annotation_of(one: Citation | Source) -> Json:
    span = {"start_index": one.start, "end_index": one.end}
    if isinstance(one, Citation):
        file = {"container_id": one.container_id, "file_id": one.file_id, "filename": one.filename}
        return {"type": "container_file_citation", **file, **span}
    if one.file_id:
        return {"type": "file_citation", "file_id": one.file_id, "filename": one.title, "index": one.start}
    return {"type": "url_citation", "url": one.url, "title": one.title, **span}


def _lines(text: str) -> list[str] | str:
    return text.splitlines(keepends=True) if "\n" in text else text


def integrity(body: Json) -> str:
    """The digest of everything a recording says, but for the digest itself."""
    return sha256_of({name: part for name, part in body.items() if name != "integrity"})


def read_recording(text: str, number: int = 0) -> Recording:
    """The recording a text holds. Raises `ValueError`, with the reason in words, where it holds none."""
    try:
        body = json.loads(text)
        if body["format"] != FORMAT:
            raise ValueError(f"its format is {str(body['format'])[:20]}, and this version reads {FORMAT}")
        if body.get("integrity") != integrity(body):
            raise ValueError("it was changed since it was written")
        return replace(_read(body), number=number)
    except json.JSONDecodeError as error:
        raise ValueError("it is not whole JSON") from error
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("it is not the recording of a turn") from error


def _read(body: Json) -> Recording:
    inputs = tuple(_read_as(RecordedInput, item) for item in body["inputs"])
    asked = _read_as(TurnKey, body["asked"], inputs=tuple((item.name, item.logical) for item in inputs))
    without_secrets(asked.tools)  # nested too deeply, it is told here and not where the question is asked
    kinds = {"message", "code_interpreter_call"}
    items = [_joined(item) if item.get("type") in kinds else item for item in body["response"]["output"]]
    turn = read_response({**body["response"], "output": items})
    files = tuple(_read_as(RecordedFile, item) for item in body["files"])
    for file in files:
        # A recording may come with a folder that others made: its names lead nowhere else, and to nothing hidden.
        is_name = file.name and not file.name.startswith(".") and not set(file.name) & set("/\\:\0")
        if not is_name or not _HASH.fullmatch(file.sha256):
            raise ValueError("it names a file outside its folder")
    missing = tuple(_read_as(FailedArtifact, item) for item in body["missing"])
    known = {"asked": asked, "turn": turn, "inputs": inputs, "files": files, "missing": missing}
    return cast("Recording", _read_as(Recording, body, **known))


def _joined(value: Any, name: str = "") -> Any:
    """An item with each list of lines joined."""
    if isinstance(value, list):
        return "".join(value) if name in {"text", "refusal", "code", "logs"} else list(map(_joined, value))
    return {name: _joined(part, name) for name, part in value.items()} if isinstance(value, dict) else value


def _read_as(kind: type[Any], body: Json, **known: Any) -> Any:
    """The dataclass that a JSON object holds, each field of the type that it is to have."""
    values = dict(known)
    for each in fields(kind):
        if each.name in known or (each.name not in body and each.default is not MISSING):
            continue
        value, (wanted, _, or_none) = body[each.name], str(each.type).partition(" | ")
        if isinstance(value, list):
            value = "".join(value) if wanted == "str" else tuple(value)
        parts = value if wanted.startswith("tuple") and isinstance(value, tuple) else [value]
        fits = all(type(part) is _TYPES[wanted] and (wanted != "int" or number_of(part) is not None) for part in parts)
        fits = (
            fits and isinstance(value, tuple) == wanted.startswith("tuple") and (wanted != "Found" or value in _FOUND)
        )
        if not fits and not (or_none and value is None):
            raise ValueError(f"{each.name!r} is not what it has to be")
        values[each.name] = value
    return kind(**values)


_FOUND = ("cited", "listed", "figure")
_TYPES = {"str": str, "Found": str, "bool": bool, "int": int, "tuple[str, ...]": str, "tuple[Json, ...]": dict}
