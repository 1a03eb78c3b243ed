"""What a client asked for: JSON bodies in, frozen values out, refusals in the service's words.

Pure, and everything here may raise `ApiError`. What steers a language model (temperature, reasoning, ...) is passed on
and repeated in the response; what would change the meaning of the answer and cannot be done here is refused.
"""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import shapes
from ipython_assistant.engine.models import ChatMessage
from ipython_assistant.engine.shapes import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.engine.shapes import Json

OUTPUTS: Final = "code_interpreter_call.outputs"
MAX_MINUTES: Final = 20
"""The service keeps an unused container for 20 minutes and refuses to keep one longer."""
MEMORY_TIERS: Final = {f"{gigabytes}g": gigabytes << 30 for gigabytes in (1, 4, 16, 64)}
"""The hosted service's, in bytes."""

_REFUSED: Final = {
    "background": "This engine answers while its client waits.",
    "conversation": "This engine keeps no conversations; use 'previous_response_id'.",
    "prompt": "This engine has no prompt templates.",
    "skills": "This engine has no skills.",
}
_ITEMS: Final = ("message", "code_interpreter_call", "reasoning", "item_reference")
_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_TYPE_NAMES: Final = {str: "a string", int: "an integer", bool: "a boolean", list: "a list", dict: "an object"}


class RequestFields:
    """An object of a request, and where it stands in it, such as `tools[0]`.

    Raises:
        ApiError: It is not an object, or has a field that is not among the known ones.
    """

    def __init__(self, given: object, where: str = "", known: frozenset[str] | None = None) -> None:
        if not isinstance(given, dict):
            raise shapes.invalid_type(where or "the body", "an object")
        self.raw: Json = given
        self._within = f"{where}." if where else ""
        for key in given:
            if known is not None and key not in known:
                # https://community.openai.com/t/responses-code-interpreter-file-input-error/1269708
                param = shapes.shortened(self.path(key))
                raise ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")

    def path(self, key: str) -> str:
        """Where a field stands."""
        return f"{self._within}{key}"

    def required(self, key: str, *types: type) -> Any:
        """The value of a field; it has to be there, and of one of these types."""
        value, param = self.raw.get(key), self.path(key)
        if value is None:  # https://github.com/QuantumNous/new-api/issues/1305
            message = f"Missing required parameter: '{param}'."
            raise ApiError(400, message, param=param, code="missing_required_parameter")
        if type(value) not in types:
            raise shapes.invalid_type(param, " or ".join(_TYPE_NAMES[each] for each in types))
        return value

    def get(self, key: str, kind: type, default: Any) -> Any:
        """The value of a field, or the default where it is missing or null."""
        return default if self.raw.get(key) is None else self.required(key, kind)

    def one_of(self, key: str, values: tuple[str, ...], default: str | None = None) -> str:
        """The value of a field that is one of these; it may be missing where there is a default."""
        value = self.required(key, str) if default is None else self.get(key, str, default)
        if value not in (*values, default):
            raise shapes.invalid_value(self.path(key), value, values)
        return str(value)


@dataclass(slots=True)
class RequestInput:
    """What a request says.

    Args:
        messages: What is said, oldest first; one of them is the user's.
        file_ids: Files of the Files API that are mentioned.
        attachments: Name and content of files and pictures that came within the question.
        container_id: The container of the last code call among the items, if there is one.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    file_ids: list[str] = field(default_factory=list)
    attachments: list[tuple[str, bytes]] = field(default_factory=list)
    container_id: str | None = None

    @classmethod
    def read(cls, given: str | list[object], stored_item: Callable[[str], Json]) -> RequestInput:
        """Read the value of `input`; `stored_item` finds an item of a stored response by its id."""
        found = cls()
        for index, item in enumerate([{"role": "user", "content": given}] if isinstance(given, str) else given):
            fields = RequestFields(item, f"input[{index}]")
            kind = fields.one_of("type", _ITEMS, "message")
            if kind == "item_reference":
                fields = RequestFields(stored_item(fields.required("id", str)), fields.path("id"))
            found._add(fields)
        if all(message.role != "user" for message in found.messages):
            raise ApiError(400, "Invalid 'input': a message of the user is expected.", param="input")
        return found

    def _add(self, item: RequestFields) -> None:
        kind = item.raw.get("type", "message")
        if kind == "message":
            role, content = item.one_of("role", _ROLES), item.required("content", str, list)
            text = content if isinstance(content, str) else self._text(content, item.path("content"))
            self.messages.append(ChatMessage(role, text))
        elif kind == "code_interpreter_call":  # https://github.com/openai/openai-agents-js/issues/253
            self.container_id = item.required("container_id", str)

    def _text(self, parts: list[Json], where: str) -> str:
        texts = []
        for index, given in enumerate(parts):
            part = RequestFields(given, f"{where}[{index}]")
            kind = part.required("type", str)
            if kind in {"input_file", "input_image"}:
                self._attach(part, picture=kind == "input_image")
            elif kind in _TEXT_PARTS:
                texts.append(part.required(_TEXT_PARTS[kind], str))
            else:
                message = f"This engine reads text, files and pictures, not a part of type '{shapes.shortened(kind)}'."
                raise shapes.unsupported(part.path("type"), message)
        return "\n".join(texts)

    def _attach(self, part: RequestFields, *, picture: bool) -> None:
        """Take a file or a picture, given by its id or with its content. Nothing is fetched from elsewhere."""
        if part.raw.get("file_id") is not None:
            self.file_ids.append(part.required("file_id", str))
            return
        if part.raw.get("file_url") is not None:
            raise shapes.unsupported(part.path("file_url"), "This engine fetches nothing; give the content itself.")
        key = "image_url" if picture else "file_data"
        media_type, content = _decoded(part.required(key, str))
        if not content or (picture and not media_type.startswith("image/")):
            expected = "a picture, as a data URL" if picture else "base64, as it is or as a data URL"
            raise shapes.invalid_type(part.path(key), expected)
        extension = mimetypes.guess_extension(media_type) or ".png"
        name = f"input-image-{len(self.attachments) + 1}{extension}" if picture else part.required("filename", str)
        self.attachments.append((name, content))


@dataclass(frozen=True, slots=True)
class ContainerChoice:
    """Where code runs: in the container of this id, else in the conversation's or a new one with these files.

    `memory` is one of `MEMORY_TIERS`, or empty.
    """

    container_id: str | None = None
    file_ids: tuple[str, ...] = ()
    memory: str = ""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """One `POST /responses`; without a `container` it runs no code. `echo` is what the response repeats."""

    model: str
    input: RequestInput
    instructions: str
    container: ContainerChoice | None
    previous_response_id: str | None
    include_outputs: bool
    stream: bool
    store: bool
    echo: Mapping[str, Any]


def response_request(body: object, stored_item: Callable[[str], Json]) -> ResponseRequest:
    """Read the body of `POST /responses`; `stored_item` finds an item of a stored response by its id."""
    given = RequestFields(body)
    _refuse_unable(given)
    for name in ("metadata", "reasoning"):  # what models look into
        given.get(name, dict, {})
    form = given.get("text", dict, {}).get("format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise shapes.unsupported("text.format", "This engine answers in plain text only.")
    container = _code_interpreter(given.get("tools", list, []))
    return ResponseRequest(
        model=given.required("model", str),
        input=RequestInput.read(given.required("input", str, list), stored_item),
        instructions=given.get("instructions", str, ""),
        container=None if given.raw.get("tool_choice") == "none" else container,
        previous_response_id=given.get("previous_response_id", str, "") or None,
        include_outputs=OUTPUTS in given.get("include", list, []),
        stream=given.get("stream", bool, False),
        store=given.get("store", bool, True),
        echo=given.raw,
    )


def container_request(body: object) -> tuple[str, int, ContainerChoice]:
    """Read the body of `POST /containers`: its name, the minutes it is kept without use, its files and its memory."""
    given = RequestFields(body)
    _refuse_unable(given)
    expires = RequestFields(given.get("expires_after", dict, {}), "expires_after")
    minutes, param = expires.get("minutes", int, MAX_MINUTES), expires.path("minutes")
    if not 1 <= minutes <= MAX_MINUTES:
        message = f"Invalid '{param}': expected a value from 1 to {MAX_MINUTES}, but got {minutes} instead."
        raise ApiError(400, message, param=param, code="integer_above_max_value")
    return given.required("name", str), minutes, _choice(given)


def _refuse_unable(given: RequestFields) -> None:
    for name, reason in _REFUSED.items():
        if given.raw.get(name):
            raise shapes.unsupported(name, reason)


def _code_interpreter(tools: list[object]) -> ContainerChoice | None:
    """Read `tools`: where the code interpreter runs, if there is one."""
    found: ContainerChoice | None = None
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind != "code_interpreter" or found is not None:
            message = f"This engine has one code interpreter and no other tool, such as '{shapes.shortened(kind)}'."
            raise shapes.unsupported(f"{where}.type", message)
        given = RequestFields(tool, where)
        container = given.required("container", str, dict)
        if isinstance(container, str):
            found = ContainerChoice(container)
        else:
            known = frozenset({"type", "file_ids", "memory_limit", "network_policy"})
            auto = RequestFields(container, f"{where}.container", known)
            auto.one_of("type", ("auto",))
            found = _choice(auto)
    return found


def _choice(given: RequestFields) -> ContainerChoice:
    """A new container, as it is described in a request."""
    if given.get("network_policy", dict, {}).get("type", "disabled") != "disabled":
        raise shapes.unsupported(given.path("network_policy"), "This engine has no network allow-lists.")
    file_ids = tuple(map(str, given.get("file_ids", list, [])))
    return ContainerChoice(None, file_ids, given.one_of("memory_limit", tuple(MEMORY_TIERS), ""))


def _decoded(given: str) -> tuple[str, bytes]:
    """Media type and content of base64, as it is or as a data URL; no content where it is something else."""
    head, _, encoded = given.rpartition(",")
    media_type = head.lower().removeprefix("data:").partition(";")[0]
    try:
        return media_type, base64.b64decode(encoded, validate=True) if head[-7:] in {"", ";base64"} else b""
    except ValueError:
        return media_type, b""
