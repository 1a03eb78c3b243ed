"""The shapes that go over the wire: objects, lists, and the bytes of an event stream. Pure.

They follow public recordings of the hosted service, its published description and the types of the `openai` package
(https://developers.openai.com/api/docs/api-reference). A value that is missing is left out where the description does
not allow null.
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

from ipython_assistant.engine.container_folder import MOUNT
from ipython_assistant.engine.kernel_output import PrintedText, ShownFigure
from ipython_assistant.engine.refusals import ApiError
from ipython_assistant.engine.response_request import page_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.engine.container import KernelContainer
    from ipython_assistant.engine.container_folder import FileVersion
    from ipython_assistant.engine.file_handlers import EngineUpload
    from ipython_assistant.engine.models import TokensUsed

Json = dict[str, Any]
Event = dict[str, Any]

_RANDOM_BYTES: Final = {"cfile_": 12, "file-": 8}
"""Bytes after the eight digits of the time; 20 where none is named, as in the service's longer ids."""
_RESPONSE: Final[Json] = {
    "object": "response", "status": "in_progress", "background": False, "completed_at": None, "error": None,
    "incomplete_details": None, "instructions": None, "max_output_tokens": None,
    "max_tool_calls": None, "model": None, "output": [], "parallel_tool_calls": True,
    "previous_response_id": None, "prompt_cache_key": None, "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None, "service_tier": "default", "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [], "top_logprobs": 0,
    "top_p": 1.0, "truncation": "disabled", "metadata": {}
}  # fmt: skip
"""What a response has where its request says nothing."""


def minter(
    clock: Callable[[], float] = time.time, entropy: Callable[[int], str] = secrets.token_hex
) -> Callable[[str], str]:
    """Make ids as the service does: a prefix, the time, as many random bytes as `entropy` is asked for."""
    return lambda prefix: f"{prefix}{int(clock()):08x}{entropy(_RANDOM_BYTES.get(prefix, 20))}"


def sse(event: Event) -> bytes:
    """One event of a `text/event-stream`."""
    return f"event: {event['type']}\ndata: {dumps(event)}\n\n".encode("utf-8", "replace")


def dumps(value: object) -> str:
    """Compact JSON; characters as themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def new_response(response_id: str, created_at: int, request: Mapping[str, Any]) -> Json:
    """A response that has just begun; it repeats what its request has set."""
    repeated = {key: value for key, value in request.items() if key in {*_RESPONSE, "user"} and value is not None}
    return {"id": response_id, "created_at": created_at, **_RESPONSE, **repeated, "background": False}


def usage_row(used: TokensUsed) -> Json:
    """The usage of a response, in tokens."""
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": used.cached},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.thought},
        "total_tokens": used.input + used.output,
    }


def code_outputs(shown: Sequence[PrintedText | ShownFigure]) -> list[Json]:
    """What code showed, as `outputs` of a code call: logs and pictures in order."""
    return [
        {"type": "logs", "logs": part.text}
        if isinstance(part, PrintedText)
        else {"type": "image", "url": f"data:image/png;base64,{base64.b64encode(part.png).decode()}"}
        for part in shown
    ]


def without_outputs(stored: Json) -> Json:
    """A response as it is given to a client that did not ask for outputs."""
    items = [item | {"outputs": None} if item["type"] == "code_interpreter_call" else item for item in stored["output"]]
    return stored | {"output": items}


def container_row(found: KernelContainer) -> Json:
    """A container. A limit that is not enforced as it was asked for is not claimed."""
    return {
        "id": found.id,
        "object": "container",
        "created_at": found.created_at,
        "status": "expired" if found.expired else "running",
        "expires_after": {"anchor": "last_active_at", "minutes": found.minutes},
        "last_active_at": found.last_active_at,
        "name": found.name,
        **({"memory_limit": found.memory} if found.memory else {}),
        **({"network_policy": {"type": "disabled"}} if found.offline else {}),
    }


def container_file_row(file: FileVersion) -> Json:
    """A row of a container's listing."""
    return {
        "id": file.id,
        "object": "container.file",
        "created_at": file.created_at,
        "bytes": file.stamp.size_bytes,
        "container_id": file.container_id,
        "path": f"{MOUNT}/{file.name}",
        "source": file.source,
    }


def upload_row(file: EngineUpload) -> Json:
    """A file of the Files API."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }


def file_citation(container_id: str, file_id: str, filename: str, start: int = 0, end: int = 0) -> Json:
    """A citation of a file; without a span it is a figure that was shown and not linked."""
    return {
        "type": "container_file_citation",
        "container_id": container_id,
        "end_index": end,
        "file_id": file_id,
        "filename": filename,
        "start_index": start,
    }


def deletion(object_id: str, kind: str) -> Json:
    """The answer to a deletion; `kind` is for example `container.deleted`."""
    return {"id": object_id, "object": kind, "deleted": True}


def model_row(name: str, created_at: int) -> Json:
    """A model that is offered."""
    return {"id": name, "object": "model", "created": created_at, "owned_by": "ipython_assistant"}


def page_of(
    things: Sequence[Any],
    shape: Callable[[Any], Json],
    query: Mapping[str, str],
    *,
    maximum: int = 100,
    default: int = 20,
) -> Json:
    """The page of a list that a query string asks for; only what is on it is put into shape.

    Raises:
        ApiError: The query makes no sense, or its `after` is not the id of one of them.
    """
    limit, order, after = page_request(query, maximum, default)
    ordered = list(things) if order == "asc" else list(reversed(things))
    if after is not None:
        ids = [thing.id for thing in ordered]
        if after not in ids:
            raise ApiError(400, f"Invalid 'after': no object with id '{after}'.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    shown = [shape(thing) for thing in ordered[:limit]]
    first_id, last_id = (shown[0]["id"], shown[-1]["id"]) if shown else ("", "")
    return {
        "object": "list", "data": shown, "first_id": first_id, "last_id": last_id, "has_more": len(ordered) > limit
    }  # fmt: skip


def content_headers(name: str) -> dict[str, str]:
    """Headers for the content of a file; the plain `filename` is a placeholder, as it is on the hosted service."""
    kind, encoding = mimetypes.guess_type(name)
    media_type = kind if kind and not encoding else "application/octet-stream"
    base = name.rpartition("/")[2]
    suffix = re.fullmatch(r".+?(\.[A-Za-z0-9]{1,10})", base)
    quoted = urllib.parse.quote(base.encode("utf-8", "replace"), safe="")
    return {
        "Content-Type": f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
        "Content-Disposition": f"attachment; filename=\"file{suffix[1] if suffix else ''}\"; filename*=UTF-8''{quoted}",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
    }


def byte_range(header: str, size_bytes: int) -> range | None:
    """The bytes a `Range` header asks for; None where it is to be ignored (RFC 9110, section 14.2).

    An empty range means that it cannot be satisfied.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, size_bytes - int(found[2])), size_bytes)
    first = int(found[1])
    last = int(found[2]) if found[2] else size_bytes - 1
    if found[2] and last < first:
        return None
    return range(first, min(last + 1, size_bytes)) if first < size_bytes else range(0)
