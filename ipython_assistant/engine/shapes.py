"""What goes over the wire beside responses: ids, lists, rows of objects, the bytes of an event stream, and refusals.

Shapes follow public recordings of the hosted service, its published description and the types of the `openai` package
(https://developers.openai.com/api/docs/api-reference). A value that is missing is left out where the description does
not allow null. Refusals use the service's own words where those are public, since clients recognise some by nothing
else: an expired container has no code.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.sandbox import MOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ipython_assistant.engine.container import KernelContainer
    from ipython_assistant.engine.container_folder import EngineUpload, FileVersion

Json = dict[str, Any]
Event = dict[str, Any]

LONGEST_ECHO: Final = 200
"""In characters, of a client's own words in a refusal."""
LARGEST_PAGE: Final = 100
_RANDOM_BYTES: Final = {"cfile_": 12, "file-": 8}
"""Bytes after the eight digits of the time; 20 where none is named, as in the service's longer ids."""


class ApiError(Exception):
    """A request that is answered with an HTTP error; `body` is the JSON of the answer.

    Args:
        status: The HTTP status.
        message: For a person.
        param: The parameter at fault, as a path such as `tools[0].container`.
        code: For a program.
        kind: `type` in the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid_type(param: str, expected: str) -> ApiError:
    """A value of the wrong type."""
    return ApiError(400, f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def invalid_value(param: str, found: object, supported: Sequence[str]) -> ApiError:
    """A value outside a closed list."""
    listed = ", ".join(f"'{value}'" for value in supported)
    message = f"Invalid value: '{shortened(found)}'. Supported values are: {listed}."
    return ApiError(400, message, param=param, code="invalid_value")


def unsupported(param: str, message: str) -> ApiError:
    """Something the hosted service can do and this engine cannot."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def model_not_found(model: str, offered: Mapping[str, object], status: int = 400) -> ApiError:
    """No such model; says which there are."""
    message = f"The requested model '{shortened(model)}' does not exist. This engine offers: {', '.join(offered)}."
    return ApiError(status, message, param="model", code="model_not_found")


def container_expired() -> ApiError:
    """https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773 ."""
    return ApiError(400, "Container is expired.")


def bad_upload(reason: str) -> ApiError:
    """The multipart body or the name in it cannot be used."""
    return ApiError(400, f"The upload could not be read: {reason}.", param="file", code="invalid_upload")


def stopping() -> ApiError:
    """The engine is being stopped and begins nothing new."""
    return ApiError(503, "The engine is being stopped.", code="server_shutdown", kind="server_error")


def shortened(given: object) -> str:
    """A client's own words, as long as they may be in a refusal."""
    text = str(given)
    return text if len(text) <= LONGEST_ECHO else f"{text[:LONGEST_ECHO]}…"


@dataclass(frozen=True, slots=True)
class IdMint:
    """Makes ids as the service does: a prefix, the time, random bytes. `clock` gives seconds since the epoch."""

    clock: Callable[[], float]

    def __call__(self, prefix: str) -> str:
        """A new id."""
        return f"{prefix}{self.now():08x}{secrets.token_hex(_RANDOM_BYTES.get(prefix, 20))}"

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock())


def sse(event: Event) -> bytes:
    """One event of a `text/event-stream`."""
    return f"event: {event['type']}\ndata: {dumps(event)}\n\n".encode("utf-8", "replace")


def dumps(value: object) -> str:
    """Compact JSON; characters as themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def page_of(rows: Sequence[Json], query: Mapping[str, str]) -> Json:
    """The page of a list, oldest row first, that a query string asks for by `limit`, `order` and `after`.

    Raises:
        ApiError: `limit` is not a number, or `after` is not the id of one of the rows.
    """
    limit = query.get("limit", "20")
    if not limit.isdecimal():
        raise invalid_type("limit", "an integer")
    ordered = list(rows) if query.get("order") == "asc" else list(reversed(rows))
    if (after := query.get("after")) is not None:
        ids = [row["id"] for row in ordered]
        if after not in ids:
            raise ApiError(400, f"Invalid 'after': no object with id '{shortened(after)}'.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    shown = ordered[: max(1, min(int(limit), LARGEST_PAGE))]
    first_id, last_id = (shown[0]["id"], shown[-1]["id"]) if shown else ("", "")
    more = len(ordered) > len(shown)
    return {"object": "list", "data": shown, "first_id": first_id, "last_id": last_id, "has_more": more}


def container_row(found: KernelContainer) -> Json:
    """A container. A limit that is not enforced as it was asked for is not claimed."""
    return {
        "id": found.id,
        "object": "container",
        "created_at": found.created_at,
        "status": "expired" if found.expired else "running",
        "expires_after": {"anchor": "last_active_at", "minutes": found.minutes},
        "last_active_at": int(found.used_at),
        "name": found.name,
        **({"memory_limit": found.memory} if found.memory else {}),
        **({"network_policy": {"type": "disabled"}} if found.offline else {}),
    }


def container_file_row(file: FileVersion) -> Json:
    """A file of a container."""
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


def model_row(name: str, created_at: int) -> Json:
    """A model that is offered."""
    return {"id": name, "object": "model", "created": created_at, "owned_by": "ipython_assistant"}
