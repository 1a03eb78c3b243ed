"""A recording as a JSON text that people read, and back; every value that is read has the type it is to have."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, fields, replace
from typing import TYPE_CHECKING, Any, cast

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.fold import TurnFold, read_response
from ipython_assistant.core.named_secrets import without_secrets
from ipython_assistant.core.recording import RecordedFile, RecordedInput, Recording, TurnKey, sha256_of
from ipython_assistant.core.turn import Citation, CodeCall, Image, Message, number_of, without_pictures

if TYPE_CHECKING:
    from ipython_assistant.core.turn import Item, Json, Source, Turn

FORMAT, EVENTS_FORMAT = 3, 2


def recording_text(recording: Recording) -> str:
    """The recording as a text that people read: what may go over several lines is a list of lines, as in notebooks."""
    asked = recording.asked.body()
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
        "response": _response_of(recording.turn),
        "files": list(map(asdict, recording.files)),
        "missing": list(map(asdict, recording.missing)),
        "notes": list(recording.notes),
    }
    body["integrity"] = integrity(body)
    # Half a surrogate pair, which a file name may have, is written as an escape.
    return json.dumps(body, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def _response_of(turn: Turn) -> Json:
    return {
        "id": turn.response_id,
        "model": turn.model,
        "status": turn.status,
        "error": asdict(turn.failure) if turn.failure is not None else None,
        "incomplete_details": {"reason": turn.incomplete_reason} if turn.incomplete_reason else None,
        "usage": turn.usage,
        "output": list(map(_item_of, turn.items)),
    }


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
        if body["format"] not in {FORMAT, EVENTS_FORMAT}:
            raise ValueError(f"its format is {str(body['format'])[:20]}, and this version reads 2 and {FORMAT}")
        if body.get("integrity") != integrity(body):
            raise ValueError("it was changed since it was written")
        return replace(_read(body), number=number)
    except json.JSONDecodeError as error:
        raise ValueError("it is not whole JSON") from error
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("it is not the recording of a turn") from error


def _as_format_3(body: Json) -> Json:
    """A recording of the format before, which held the response as its events."""
    exchange, asked, fold = body["exchange"], body["written"] or {"prompt": body["prompt"]}, TurnFold()
    for event in exchange["events"] if exchange else ():
        fold.feed(event)
    logical = {item["name"]: item["logical"] for item in asked.get("inputs", [])}
    inputs = [{**item, "logical": logical.get(item["name"], "")} for item in body["inputs"]]
    response = _response_of(without_pictures(fold.turn))
    return {**body, "key": body["key"] if exchange else "", "asked": asked, "inputs": inputs, "response": response}


def _read(body: Json) -> Recording:
    body = body if body["format"] == FORMAT else _as_format_3(body)
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
        if not is_name or not re.fullmatch("[0-9a-f]{64}", file.sha256):
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
        is_many = wanted.startswith("tuple")
        if isinstance(value, list):
            value = tuple(value) if is_many else "".join(value)
        fits = isinstance(value, tuple) == is_many
        fits = fits and all(type(part) is _TYPES[wanted] for part in (value if is_many else [value]))
        fits = fits and (wanted != "int" or number_of(value) is not None) and (wanted != "Found" or value in _FOUND)
        if not fits and not (or_none and value is None):
            raise ValueError(f"{each.name!r} is not what it has to be")
        values[each.name] = value
    return kind(**values)


_FOUND = ("cited", "listed", "figure")
_TYPES = {"str": str, "Found": str, "bool": bool, "int": int, "tuple[str, ...]": str, "tuple[Json, ...]": dict}
