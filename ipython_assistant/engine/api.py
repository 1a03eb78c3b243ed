"""What a client may ask: JSON bodies in, values out, refusals in the service's words, which some clients look for.

What steers a language model (temperature, reasoning, ...) is passed on and repeated in the response; what would change
the meaning of the answer and cannot be done here is refused.
"""

from __future__ import annotations

import base64
import mimetypes
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Json = dict[str, Any]

OUTPUTS: Final = "code_interpreter_call.outputs"
MAX_MINUTES: Final = 20  # the service keeps an unused container for 20 minutes and refuses to keep one longer
MEMORY_TIERS: Final = {f"{gigabytes}g": gigabytes << 30 for gigabytes in (1, 4, 16, 64)}
"""The hosted service's, in bytes."""

_REFUSED: Final = ("background", "conversation", "prompt", "skills", "file_ids")
"""What would change an answer, or a new container, and cannot be done here."""
_ITEMS: Final = ("message", "code_interpreter_call", "reasoning", "item_reference")
_OF_CONTAINERS: Final = ("type", "file_ids", "memory_limit", "network_policy")
_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_TYPE_NAMES: Final = {str: "a string", int: "an integer", bool: "a boolean", list: "a list", dict: "an object"}
_LONGEST_ECHO: Final = 200  # in characters, of a client's own words in a refusal


@dataclass(frozen=True, slots=True)
class IdMint:
    """Makes ids as the service does: a prefix, the time, random bytes. `clock` gives seconds since the epoch."""

    clock: Callable[[], float]

    def __call__(self, prefix: str) -> str:
        """A new id."""
        return f"{prefix}{self.now():08x}{secrets.token_hex(16)}"

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock())


class ApiError(Exception):
    """A request that is refused with this HTTP status and body; `param` is at fault, such as `tools[0].container`."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kinds = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
        kind = kinds.get(status, "invalid_request_error")
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid_type(param: str, expected: str) -> ApiError:
    """A value of the wrong type."""
    return ApiError(400, f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def unsupported(param: str, message: str) -> ApiError:
    """Something the hosted service can do and this engine cannot."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def model_not_found(model: str, offered: Mapping[str, object], status: int = 400) -> ApiError:
    """The error for an unknown model; its message lists the models that this engine offers."""
    message = f"The requested model '{shortened(model)}' does not exist. This engine offers: {', '.join(offered)}."
    return ApiError(status, message, param="model", code="model_not_found")


def container_expired() -> ApiError:
    """The error for an expired container, in the service's words."""
    # https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773
    return ApiError(400, "Container is expired.")


def bad_upload(reason: str) -> ApiError:
    """The multipart body or the name in it cannot be used."""
    return ApiError(400, f"The upload could not be read: {reason}.", param="file", code="invalid_upload")


def base_name(name: str) -> str:
    """The last part of a name that came with an upload; raises ApiError if nothing usable is left."""
    base = "".join(character for character in name.replace("\\", "/").rpartition("/")[2] if character.isprintable())
    if base in {"", ".", ".."}:
        raise bad_upload(f"{name!r} is not a file name")
    return base


def shortened(given: object) -> str:
    """A client's own words, as long as they may be in a refusal."""
    text = str(given)
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…"


class RequestFields:
    """An object of a request, and where it stands in it, such as `tools[0]`. Raises ApiError if it is not an object."""

    def __init__(self, given: object, where: str = "") -> None:
        if not isinstance(given, dict):
            raise invalid_type(where or "the body", "an object")
        self.raw: Json = given
        self._within = f"{where}." if where else ""

    def path(self, key: str) -> str:
        """Where a field stands."""
        return f"{self._within}{key}"

    def get(self, key: str, *types: type, default: Any = None, values: Sequence[str] = ()) -> Any:
        """The value of a field, of one of these types and values; it may be missing only where there is a default."""
        value, param = self.raw.get(key), self.path(key)
        if value is None:
            if default is not None:
                return default
            # https://github.com/QuantumNous/new-api/issues/1305
            message = f"Missing required parameter: '{param}'."
            raise ApiError(400, message, param=param, code="missing_required_parameter")
        if type(value) not in types:
            raise invalid_type(param, " or ".join(_TYPE_NAMES[each] for each in types))
        if values and value not in values:
            listed = ", ".join(f"'{each}'" for each in values)
            message = f"Invalid value: '{shortened(value)}'. Supported values are: {listed}."
            raise ApiError(400, message, param=param, code="invalid_value")
        return value


@dataclass(slots=True)
class ResponseRequest:
    """One `POST /responses`: messages, oldest first; files of the Files API that it names, and those that it holds.

    Code runs in the container of this id, else in the conversation's, else in a new one with this tier of memory
    (empty: the usual). `echo` is what the response repeats.
    """

    model: str
    instructions: str
    runs_code: bool
    previous_response_id: str
    include_outputs: bool
    stream: bool
    store: bool
    echo: Mapping[str, Any]
    messages: list[ChatMessage] = field(default_factory=list)
    file_ids: list[str] = field(default_factory=list)
    attachments: list[tuple[str, bytes]] = field(default_factory=list)
    container_id: str = ""
    memory: str = ""


def response_request(body: object, stored_item: Callable[[str], Json]) -> ResponseRequest:
    """Read the body of `POST /responses`; `stored_item` finds an item of a stored response by its id."""
    given = RequestFields(body)
    _refuse_unable(given)
    for name in ("metadata", "reasoning"):  # what models look into
        given.get(name, dict, default={})
    form = given.get("text", dict, default={}).get("format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise unsupported("text.format", "This engine answers in plain text only.")
    tools = given.get("tools", list, default=[])
    request = ResponseRequest(
        model=given.get("model", str),
        instructions=given.get("instructions", str, default=""),
        runs_code=bool(tools) and given.raw.get("tool_choice") != "none",
        previous_response_id=given.get("previous_response_id", str, default=""),
        include_outputs=OUTPUTS in given.get("include", list, default=[]),
        stream=given.get("stream", bool, default=False),
        store=given.get("store", bool, default=True),
        echo=given.raw,
    )
    asked = given.get("input", str, list)
    for index, item in enumerate([{"role": "user", "content": asked}] if isinstance(asked, str) else asked):
        _read_item(request, RequestFields(item, f"input[{index}]"), stored_item)
    if all(message.role != "user" for message in request.messages):
        raise ApiError(400, "Invalid 'input': a message of the user is expected.", param="input")
    for index, tool in enumerate(tools):
        _read_tool(request, tool, index)
    return request


def _read_item(request: ResponseRequest, item: RequestFields, stored_item: Callable[[str], Json]) -> None:
    """Take an item of the input into the request: a message, or a code call for where it ran."""
    kind = item.get("type", str, default="message", values=_ITEMS)
    if kind == "item_reference":
        item = RequestFields(stored_item(item.get("id", str)), item.path("id"))
        kind = item.get("type", str)
    if kind == "message":
        role, content = item.get("role", str, values=_ROLES), item.get("content", str, list)
        if isinstance(content, list):
            parts = [RequestFields(part, f"{item.path('content')}[{index}]") for index, part in enumerate(content)]
            content = "\n".join(text for part in parts if (text := _read_part(request, part)) is not None)
        request.messages.append(ChatMessage(role, content))
    elif kind == "code_interpreter_call":  # https://github.com/openai/openai-agents-js/issues/253
        request.container_id = item.get("container_id", str)


def _read_part(request: ResponseRequest, part: RequestFields) -> str | None:
    """The text of a part of a message; a file or a picture is taken into the request. Nothing is fetched."""
    kind = part.get("type", str)
    if kind in _TEXT_PARTS:
        return str(part.get(_TEXT_PARTS[kind], str))
    if kind not in {"input_file", "input_image"}:
        message = f"This engine reads text, files and pictures, not a part of type '{shortened(kind)}'."
        raise unsupported(part.path("type"), message)
    if part.raw.get("file_id") is not None:
        request.file_ids.append(part.get("file_id", str))
        return None
    key, media_types = ("image_url", "image/") if kind == "input_image" else ("file_data", "")
    head, _, encoded = part.get(key, str).rpartition(",")
    media_type = head.lower().removeprefix("data:").partition(";")[0]
    try:  # base64, as it is or as a data URL
        content = base64.b64decode(encoded, validate=True) if head[-7:] in {"", ";base64"} else b""
    except ValueError:
        content = b""
    if not content or not media_type.startswith(media_types):
        raise invalid_type(part.path(key), "the content itself, as a data URL with base64")
    extension = mimetypes.guess_extension(media_type) or ""
    usual = f"{kind.replace('_', '-')}-{len(request.attachments) + 1}{extension}"
    request.attachments.append((part.get("filename", str, default=usual), content))
    return None


def _read_tool(request: ResponseRequest, tool: object, index: int) -> None:
    """Take the code interpreter into the request, the only tool there is: where it runs, and with which files."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind != "code_interpreter" or index:
        message = f"This engine has one code interpreter; other tools, such as '{shortened(kind)}', are not supported."
        raise unsupported(f"tools[{index}].type", message)
    container = RequestFields(tool, f"tools[{index}]").get("container", str, dict)
    if isinstance(container, str):
        request.container_id = container
        return
    auto = RequestFields(container, f"tools[{index}].container")
    if unknown := [key for key in container if key not in _OF_CONTAINERS]:
        # https://community.openai.com/t/responses-code-interpreter-file-input-error/1269708
        param = shortened(auto.path(unknown[0]))
        raise ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    auto.get("type", str, values=("auto",))
    request.file_ids += map(str, auto.get("file_ids", list, default=[]))
    request.memory = _memory(auto)


def container_request(body: object) -> tuple[str, int, str]:
    """Read the body of `POST /containers`: its name, the minutes it is kept without use, its tier of memory."""
    given = RequestFields(body)
    _refuse_unable(given)
    expires = RequestFields(given.get("expires_after", dict, default={}), "expires_after")
    minutes, param = expires.get("minutes", int, default=MAX_MINUTES), expires.path("minutes")
    if not 1 <= minutes <= MAX_MINUTES:
        message = f"Invalid '{param}': expected a value from 1 to {MAX_MINUTES}, but got {minutes} instead."
        raise ApiError(400, message, param=param, code="integer_above_max_value")
    return given.get("name", str), minutes, _memory(given)


def _refuse_unable(given: RequestFields) -> None:
    for name in _REFUSED:
        if given.raw.get(name):
            raise unsupported(name, f"This engine does not support '{name}' here.")


def _memory(container: RequestFields) -> str:
    """The tier of memory of a new container; raises ApiError if it is to reach some network too."""
    if container.get("network_policy", dict, default={}).get("type", "disabled") != "disabled":
        raise unsupported(container.path("network_policy"), "This engine has no network allow-lists.")
    return str(container.get("memory_limit", str, default="", values=tuple(MEMORY_TIERS)))
