"""The `input` of a request: what is said, the files and pictures with it, and the code calls that are replayed.

Pure, and everything here may raise `ApiError`.
"""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.models import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipython_assistant.engine.wire import Json

_ITEMS: Final = ("message", "code_interpreter_call", "reasoning", "item_reference")
_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_TYPE_NAMES: Final = {
    str: "a string", int: "an integer", bool: "a boolean", list: "a list", dict: "an object"
}  # fmt: skip


class Fields:
    """An object of a request, and where it stands in it, such as `tools[0]`.

    Raises:
        ApiError: It is not an object, or has a field that is not among the known ones.
    """

    def __init__(self, given: object, where: str = "", known: frozenset[str] | None = None) -> None:
        if not isinstance(given, dict):
            raise errors.invalid_type(where, "an object") if where else errors.not_json()
        self.raw: Json = given
        self._within = f"{where}." if where else ""
        unknown = [key for key in given if known is not None and key not in known]
        if unknown:
            raise errors.unknown_parameter(self.path(unknown[0]))

    def path(self, key: str) -> str:
        """Where a field stands."""
        return f"{self._within}{key}"

    def required(self, key: str, *types: type) -> Any:
        """The value of a field; it has to be there, and of one of these types."""
        value = self.raw.get(key)
        if value is None:
            raise errors.missing(self.path(key))
        if type(value) not in types:
            raise errors.invalid_type(self.path(key), " or ".join(_TYPE_NAMES[each] for each in types))
        return value

    def get(self, key: str, kind: type, default: Any) -> Any:
        """The value of a field, or the default where it is missing or null."""
        return default if self.raw.get(key) is None else self.required(key, kind)

    def one_of(self, key: str, values: tuple[str, ...]) -> str:
        """The value of a field that is one of these."""
        value: str = self.required(key, str)
        if value not in values:
            raise errors.invalid_value(self.path(key), value, values)
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """The value of a field that is a list of strings; none where it is missing."""
        values = self.get(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise errors.invalid_type(self.path(key), "a list of strings")
        return tuple(values)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file or a picture that came within the question itself."""

    name: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class RequestInput:
    """What a request says.

    Args:
        messages: What is said, oldest first; one of them is the user's.
        items: The same as items of the API.
        file_ids: Files of the Files API that are mentioned.
        attachments: Files and pictures that came with their content.
        container_id: The container of the last code call among the items, if there is one.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    file_ids: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    container_id: str | None = None

    @classmethod
    def read(cls, given: str | list[object], stored_item: Callable[[str], Json]) -> RequestInput:
        """Read the value of `input`; `stored_item` finds an item of a stored response by its id."""
        found = cls()
        for index, item in enumerate([{"role": "user", "content": given}] if isinstance(given, str) else given):
            fields = Fields(item, f"input[{index}]")
            if fields.raw.get("type", "message") == "item_reference":
                fields = Fields(stored_item(fields.required("id", str)), fields.path("id"))
            found._add(fields)
        if all(message.role != "user" for message in found.messages):
            raise errors.ApiError(400, "Invalid 'input': a message of the user is expected.", param="input")
        return found

    def _add(self, item: Fields) -> None:
        kind = item.raw.get("type", "message")
        if kind not in _ITEMS:
            raise errors.invalid_value(item.path("type"), kind, _ITEMS)
        if kind == "message":
            role = item.one_of("role", _ROLES)
            content = item.required("content", str, list)
            self.messages.append(ChatMessage(role, self._text(content, item.path("content"))))
            part = {"type": "output_text", "annotations": []} if role == "assistant" else {"type": "input_text"}
            parts = [part | {"text": content}] if isinstance(content, str) else content
            self.items.append({"status": "completed"} | item.raw | {"type": "message", "content": parts})
            return
        if kind == "code_interpreter_call":  # https://github.com/openai/openai-agents-js/issues/253
            self.container_id = item.required("container_id", str)
        self.items.append(item.raw)

    def _text(self, content: str | list[object], where: str) -> str:
        if isinstance(content, str):
            return content
        texts = []
        for index, given in enumerate(content):
            part = Fields(given, f"{where}[{index}]")
            kind = part.required("type", str)
            if kind in {"input_file", "input_image"}:
                self._attach(part, picture=kind == "input_image")
            elif kind in _TEXT_PARTS:
                texts.append(part.required(_TEXT_PARTS[kind], str))
            else:
                message = f"This engine reads text, files and pictures, not a part of type '{kind}'."
                raise errors.unsupported(part.path("type"), message)
        return "\n".join(texts)

    def _attach(self, part: Fields, *, picture: bool) -> None:
        """Take a file or a picture, given by its id or with its content. Nothing is fetched from elsewhere."""
        if part.raw.get("file_id") is not None:
            self.file_ids.append(part.required("file_id", str))
            return
        key = "image_url" if picture else "file_data"
        if part.raw.get("file_url") is not None or str(part.raw.get("image_url")).startswith("http"):
            address = "image_url" if picture else "file_url"
            raise errors.unsupported(part.path(address), "This engine fetches nothing; give the content itself.")
        media_type, content = _decoded(part.required(key, str))
        if not content or (picture and not media_type.startswith("image/")):
            expected = "a picture, as a data URL" if picture else "base64, as it is or as a data URL"
            raise errors.invalid_type(part.path(key), expected)
        extension = mimetypes.guess_extension(media_type) or ".png"
        name = f"input-image-{len(self.attachments) + 1}{extension}" if picture else part.required("filename", str)
        self.attachments.append(Attachment(name, content))


def _decoded(given: str) -> tuple[str, bytes]:
    """Media type and content of base64, as it is or as a data URL; no content where it is something else."""
    media_type, encoded = "", given
    if given.startswith("data:"):
        kind, _, encoded = given.removeprefix("data:").partition(",")
        media_type, _, coding = kind.lower().partition(";")
        if coding.rpartition(";")[2].strip() != "base64":
            return "", b""
    try:
        return media_type, base64.b64decode(encoded, validate=True)
    except ValueError:
        return "", b""
