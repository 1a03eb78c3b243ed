"""The shapes that go over the wire: objects, events, lists, and the bytes of an event stream. Pure.

Shapes and order follow public recordings of the hosted service and the types of the `openai` package
(https://developers.openai.com/api/docs/api-reference/responses-streaming).
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import secrets
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.folder import MOUNT
from ipython_assistant.engine.showing import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.engine.containers import Container
    from ipython_assistant.engine.folder import ContainerFile
    from ipython_assistant.engine.showing import Text
    from ipython_assistant.engine.uploads import Upload

Json = dict[str, Any]
Event = dict[str, Any]

_RANDOM_BYTES: Final = {"cfile_": 12, "file-": 8}
"""Bytes after the eight digits of the time; 20 where none is named, as in the service's longer ids."""


def minter(
    clock: Callable[[], float] = time.time, entropy: Callable[[int], str] = secrets.token_hex
) -> Callable[[str], str]:
    """Make ids as the service does: a prefix, the time in hexadecimal, random digits.

    Args:
        clock: Seconds since the epoch.
        entropy: That many random bytes, in hexadecimal.
    """

    def mint(prefix: str) -> str:
        return f"{prefix}{int(clock()):08x}{entropy(_RANDOM_BYTES.get(prefix, 20))}"

    return mint


def sse(event: Event) -> bytes:
    """One event of a `text/event-stream`."""
    return f"event: {event['type']}\ndata: {dumps(event)}\n\n".encode("utf-8", "replace")


def dumps(value: object) -> str:
    """Compact JSON; characters as themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Objects


def response(
    *, response_id: str, created_at: int, echo: Mapping[str, Any], previous_response_id: str | None, store: bool
) -> Json:
    """A response that has just begun.

    Args:
        response_id: `resp_...`.
        created_at: Seconds since the epoch.
        echo: The request's own values to repeat: `model`, `tools`, `instructions` and whatever else it set.
        previous_response_id: What it continues from.
        store: Whether it can be asked for later.
    """
    defaults: Json = {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": previous_response_id,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": store,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }
    return defaults | {key: value for key, value in echo.items() if key in defaults and value is not None}


def no_usage() -> Json:
    """Usage of a response that no tokens were spent on."""
    return {
        "input_tokens": 0,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


def outputs(shown: Sequence[Text | Figure]) -> list[Json]:
    """What code showed, as `outputs` of a code call: logs and pictures in order."""
    return [
        {"type": "image", "url": f"data:image/png;base64,{base64.b64encode(part.png).decode()}"}
        if isinstance(part, Figure)
        else {"type": "logs", "logs": part.text}
        for part in shown
    ]


def without_outputs(stored: Json) -> Json:
    """A response as it is given to a client that did not ask for outputs."""
    items = [item | {"outputs": None} if item["type"] == "code_interpreter_call" else item for item in stored["output"]]
    return stored | {"output": items}


def container(found: Container) -> Json:
    """A container. A limit that is not enforced as it was asked for is not claimed."""
    limits: Json = {"memory_limit": found.memory} if found.memory else {}
    if found.offline:
        limits["network_policy"] = {"type": "disabled"}
    return {
        "id": found.id,
        "object": "container",
        "created_at": found.created_at,
        "status": "expired" if found.expired else "running",
        "expires_after": {"anchor": "last_active_at", "minutes": found.minutes},
        "last_active_at": found.last_active_at,
        "name": found.name,
        **limits,
    }


def container_file(file: ContainerFile) -> Json:
    """A row of a container's listing."""
    return {
        "id": file.id,
        "object": "container.file",
        "created_at": file.created_at,
        "bytes": file.stamp.size,
        "container_id": file.container_id,
        "path": f"{MOUNT}/{file.name}",
        "source": file.source,
    }


def upload(file: Upload) -> Json:
    """A file of the Files API."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at,
        "expires_at": None,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def deleted(object_id: str, kind: str) -> Json:
    """The answer to a deletion; `kind` is for example `container.deleted`."""
    return {"id": object_id, "object": kind, "deleted": True}


def model(name: str, created_at: int) -> Json:
    """A model that is offered."""
    return {"id": name, "object": "model", "created": created_at, "owned_by": "ipython_assistant"}


def page(rows: Sequence[Json], *, limit: int, order: str, after: str | None) -> Json:
    """One page of a list.

    Args:
        rows: All rows, oldest first.
        limit: At most this many.
        order: `asc` or `desc`.
        after: The id of the row before the first one wanted.

    Raises:
        ApiError: `after` is not the id of a row.
    """
    ordered = list(rows) if order == "asc" else list(reversed(rows))
    if after is not None:
        ids = [row["id"] for row in ordered]
        if after not in ids:
            raise errors.ApiError(400, f"Invalid 'after': no object with id '{after}'.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    shown = ordered[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(ordered) > limit,
    }


# Files


def content_headers(name: str) -> dict[str, str]:
    """Headers for the content of a file; the plain `filename` is a placeholder, as it is on the hosted service."""
    kind, encoding = mimetypes.guess_type(name)
    media_type = kind if kind and not encoding else "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    base = name.rpartition("/")[2]
    suffix = re.fullmatch(r".+?(\.[A-Za-z0-9]{1,10})", base)
    placeholder = f"file{suffix[1] if suffix else ''}"
    quoted = urllib.parse.quote(base.encode("utf-8", "replace"), safe="")
    return {
        "Content-Type": media_type,
        "Content-Disposition": f"attachment; filename=\"{placeholder}\"; filename*=UTF-8''{quoted}",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
    }


def byte_range(header: str, size: int) -> range | None:
    """The bytes a `Range` header asks for; None where it is to be ignored (RFC 9110, section 14.2).

    An empty range means that it cannot be satisfied.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, size - int(found[2])), size)
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    return range(first, min(last + 1, size)) if first < size else range(0)


# Events, without their sequence numbers


def response_event(kind: str, snapshot: Json) -> Event:
    """`response.created`, `.in_progress`, `.completed` or `.failed`."""
    return {"type": f"response.{kind}", "response": snapshot}


def error_event(code: str, message: str) -> Event:
    """An error within a stream: nested, unlike the `openai` package's type."""
    return {"type": "error", "error": {"type": code, "code": code, "message": message, "param": None}}


def item_event(kind: str, index: int, item: Json) -> Event:
    """`response.output_item.added` or `.done`."""
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": item}


def code_event(kind: str, index: int, item_id: str) -> Event:
    """`response.code_interpreter_call.in_progress`, `.interpreting` or `.completed`."""
    return {"type": f"response.code_interpreter_call.{kind}", "output_index": index, "item_id": item_id}


def code_delta(index: int, item_id: str, delta: str) -> Event:
    """A piece of code."""
    kind = "response.code_interpreter_call_code.delta"
    return {"type": kind, "output_index": index, "item_id": item_id, "delta": delta}


def code_done(index: int, item_id: str, code: str) -> Event:
    """All the code."""
    kind = "response.code_interpreter_call_code.done"
    return {"type": kind, "output_index": index, "item_id": item_id, "code": code}


def part_event(kind: str, index: int, item_id: str, part: Json) -> Event:
    """`response.content_part.added` or `.done`."""
    return {
        "type": f"response.content_part.{kind}",
        "item_id": item_id,
        "output_index": index,
        "content_index": 0,
        "part": part,
    }


def text_event(kind: str, index: int, item_id: str, text: str) -> Event:
    """`response.output_text.delta` or `.done`."""
    return {
        "type": f"response.output_text.{kind}",
        "item_id": item_id,
        "output_index": index,
        "content_index": 0,
        "delta" if kind == "delta" else "text": text,
        "logprobs": [],
    }


def refusal_event(kind: str, index: int, item_id: str, text: str) -> Event:
    """`response.refusal.delta` or `.done`."""
    return {
        "type": f"response.refusal.{kind}",
        "item_id": item_id,
        "output_index": index,
        "content_index": 0,
        "delta" if kind == "delta" else "refusal": text,
    }


def annotation_added(index: int, item_id: str, annotation_index: int, annotation: Json) -> Event:
    """A citation."""
    return {
        "type": "response.output_text.annotation.added",
        "item_id": item_id,
        "output_index": index,
        "content_index": 0,
        "annotation_index": annotation_index,
        "annotation": annotation,
    }


def citation(container_id: str, file_id: str, filename: str, start: int = 0, end: int = 0) -> Json:
    """A citation of a file; without a span it is a figure that was shown and not linked."""
    return {
        "type": "container_file_citation",
        "container_id": container_id,
        "end_index": end,
        "file_id": file_id,
        "filename": filename,
        "start_index": start,
    }
