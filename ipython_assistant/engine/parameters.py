"""What a client asked for: JSON bodies and query strings in, frozen values out, refusals in the service's words.

Pure. Parameters that steer a language model (temperature, reasoning, ...) are accepted and repeated in the response;
what would change the meaning of the answer and cannot be done here is refused rather than ignored.
"""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.containers import MAX_MINUTES, MEMORY
from ipython_assistant.engine.models import Attachment, ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OUTPUTS: Final = "code_interpreter_call.outputs"

_RESPONSE: Final = frozenset(
    {
        "access_programs", "background", "background_options", "context_management", "conversation", "image", "include",
        "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation",
        "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
_STEERING: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "max_output_tokens": (int, "an integer"),
    "max_tool_calls": (int, "an integer"),
    "metadata": (dict, "an object"),
    "prompt_cache_key": (str, "a string"),
    "reasoning": (dict, "an object"),
    "safety_identifier": (str, "a string"),
    "service_tier": (str, "a string"),
    "stream_options": (dict, "an object"),
    "temperature": ((int, float), "a number"),
    "top_logprobs": (int, "an integer"),
    "top_p": ((int, float), "a number"),
    "truncation": (str, "a string"),
    "user": (str, "a string"),
}
"""What steers a language model is passed on or repeated, and has to be of its type for that."""
_TOOL: Final = frozenset({"type", "container", "allowed_callers"})
_ITEMS: Final = ("message", "code_interpreter_call", "reasoning")
_AUTO: Final = frozenset({"type", "file_ids", "memory_limit", "network_policy"})
_CONTAINER: Final = frozenset({"name", "expires_after", "file_ids", "memory_limit", "network_policy", "skills"})
_EXPIRES: Final = frozenset({"anchor", "minutes"})
_INCLUDABLE: Final = (
    OUTPUTS,
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)
_ROLES: Final = ("user", "assistant", "system", "developer")
_CHOICES: Final = ("none", "auto", "required")
_INTERPRETER: Final = "code_interpreter"
_ORDERS: Final = ("asc", "desc")
_TEXT_PARTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


@dataclass(frozen=True, slots=True)
class Explicit:
    """A container named by its id."""

    container_id: str


@dataclass(frozen=True, slots=True)
class Auto:
    """The conversation's container, or a new one, with these files of the Files API in it."""

    file_ids: tuple[str, ...] = ()
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One `POST /responses`.

    Args:
        model: The model's name.
        messages: What is said, oldest first.
        instructions: What the model is told about its task.
        container: Where code runs; None where the request has no code interpreter.
        replayed_container_id: The container of the last code call among the input, if there is one.
        file_ids: Files of the Files API that the input mentions.
        enclosed: Files and pictures that came within the input.
        previous_response_id: The response this continues from.
        include_outputs: Whether code calls carry their outputs.
        stream: Whether the answer is a stream of events.
        store: Whether the response can be asked for, or continued, later.
        echo: The values the response repeats.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    instructions: str = ""
    container: Explicit | Auto | None = None
    replayed_container_id: str | None = None
    file_ids: tuple[str, ...] = ()
    enclosed: tuple[Attachment, ...] = ()
    previous_response_id: str | None = None
    include_outputs: bool = False
    stream: bool = False
    store: bool = True
    echo: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The last message of the user."""
        return prompted(self.messages)[1]


@dataclass(frozen=True, slots=True)
class NewContainer:
    """One `POST /containers`."""

    name: str
    minutes: int
    file_ids: tuple[str, ...]
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of a list is wanted, and in which order."""

    limit: int
    order: str
    after: str | None


def question(body: object) -> Question:
    """Read the body of `POST /responses`.

    Raises:
        ApiError: It asks for something that is unknown, malformed or not to be had here.
    """
    asked = _object(body, None, _RESPONSE)
    _possible(asked)
    model = _required(asked, "model", str, "a string")
    conversation = _Conversation(_required(asked, "input", (str, list), "a string or a list of items"))
    previous_response_id = _optional(asked, "previous_response_id", str, "a string") or None
    if prompted(conversation.messages)[0] is None:
        raise errors.ApiError(400, "Invalid 'input': a message of the user is expected.", param="input")
    store = asked.get("store") is None or _optional(asked, "store", bool, "a boolean")
    tools = _optional(asked, "tools", list, "a list")
    container = _tools(tools)
    if not _may_run_code(asked.get("tool_choice"), container):
        container = None
    return Question(
        model=model,
        messages=tuple(conversation.messages),
        instructions=_optional(asked, "instructions", str, "a string"),
        container=container,
        replayed_container_id=conversation.container_id,
        file_ids=tuple(conversation.file_ids),
        enclosed=tuple(conversation.enclosed),
        previous_response_id=previous_response_id,
        include_outputs=OUTPUTS in included(_optional(asked, "include", list, "a list")),
        stream=_optional(asked, "stream", bool, "a boolean"),
        store=store,
        echo=asked,
    )


def _possible(asked: Mapping[str, Any]) -> None:
    """See that nothing is asked for that is not to be had here.

    Raises:
        ApiError: Something is.
    """
    if asked.get("conversation") is not None:
        if asked.get("previous_response_id") is not None:
            raise errors.mutually_exclusive()
        raise errors.unsupported("conversation", "This engine keeps no conversations; use 'previous_response_id'.")
    if asked.get("background"):
        raise errors.unsupported("background", "This engine answers while its client waits.")
    if asked.get("prompt") is not None:
        raise errors.unsupported("prompt", "This engine has no prompt templates.")
    for name, (kinds, expected) in _STEERING.items():
        if asked.get(name) is not None:
            _required(asked, name, kinds, expected)
    form = _optional(asked, "text", dict, "an object").get("format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise errors.unsupported("text.format", "This engine answers in plain text only.")


def prompted(messages: Sequence[ChatMessage]) -> tuple[int | None, str]:
    """Where the user's last message is, and what it says."""
    found = [index for index, message in enumerate(messages) if message.role == "user"]
    return (found[-1], messages[found[-1]].text) if found else (None, "")


def included(values: Iterable[object]) -> frozenset[str]:
    """Read `include`.

    Raises:
        ApiError: A value is unknown.
    """
    found = set()
    for index, value in enumerate(values):
        if value not in _INCLUDABLE:
            raise errors.invalid_value(f"include[{index}]", value, _INCLUDABLE)
        found.add(str(value))
    return frozenset(found)


def new_container(body: object) -> NewContainer:
    """Read the body of `POST /containers`.

    Raises:
        ApiError: It asks for something that is unknown, malformed or not to be had here.
    """
    asked = _object(body, None, _CONTAINER)
    name = _required(asked, "name", str, "a string")
    if asked.get("skills"):
        raise errors.unsupported("skills", "This engine has no skills.")
    memory = _limits(asked, "")
    minutes = MAX_MINUTES
    if (expires := asked.get("expires_after")) is not None:
        expires = _object(expires, "expires_after", _EXPIRES)
        if _required(expires, "anchor", str, "a string", within="expires_after.") != "last_active_at":
            raise errors.invalid_value("expires_after.anchor", expires["anchor"], ("last_active_at",))
        minutes = _required(expires, "minutes", int, "an integer", within="expires_after.")
        _bounded("expires_after.minutes", minutes, 1, MAX_MINUTES)
    return NewContainer(name, minutes, _strings(asked, "file_ids"), memory)


def file_reference(body: object) -> str:
    """Read the JSON form of `POST /containers/{id}/files`: the id of a file of the Files API.

    Raises:
        ApiError: It is malformed.
    """
    return str(_required(_object(body, None, frozenset({"file_id"})), "file_id", str, "a string"))


def listing(query: Mapping[str, str], *, maximum: int = 100, default: int = 20) -> Listing:
    """Read the query string of a list.

    Raises:
        ApiError: `limit` or `order` is out of bounds.
    """
    limit = default
    if (asked := query.get("limit")) is not None:
        try:
            limit = int(asked)
        except ValueError:
            raise errors.invalid_type("limit", "an integer") from None
        _bounded("limit", limit, 1, maximum)
    order = query.get("order", "desc")
    if order not in _ORDERS:
        raise errors.invalid_value("order", order, _ORDERS)
    return Listing(limit, order, query.get("after"))


class _Conversation:
    """The input's messages, files and replayed code calls."""

    def __init__(self, given: str | list[object]) -> None:
        self.messages: list[ChatMessage] = []
        self.file_ids: list[str] = []
        self.enclosed: list[Attachment] = []
        self.container_id: str | None = None
        if isinstance(given, str):
            self.messages.append(ChatMessage("user", given))
        else:
            for index, item in enumerate(given):
                self.messages += self._item(item, f"input[{index}]")

    def _item(self, item: object, where: str) -> list[ChatMessage]:
        if not isinstance(item, dict):
            raise errors.invalid_type(where, "an object")
        kind = item.get("type", "message")
        if kind == "message":
            role = _required(item, "role", str, "a string", within=f"{where}.")
            if role not in _ROLES:
                raise errors.invalid_value(f"{where}.role", role, _ROLES)
            content = _required(item, "content", (str, list), "a string or a list of parts", within=f"{where}.")
            return [ChatMessage(role, self._text(content, f"{where}.content"))]
        if kind == "code_interpreter_call":
            # https://github.com/openai/openai-agents-js/issues/253
            self.container_id = _required(item, "container_id", str, "a string", within=f"{where}.")
            return []
        if kind == "reasoning":
            return []
        raise errors.invalid_value(f"{where}.type", kind, _ITEMS)

    def _text(self, content: str | list[object], where: str) -> str:
        if isinstance(content, str):
            return content
        texts = []
        for index, part in enumerate(content):
            here = f"{where}[{index}]"
            if not isinstance(part, dict):
                raise errors.invalid_type(here, "an object")
            kind = part.get("type")
            if kind in ("input_file", "input_image"):  # a tuple, since it may be a list
                self._attach(part, here)
            elif isinstance(kind, str) and kind in _TEXT_PARTS:
                texts.append(_required(part, _TEXT_PARTS[kind], str, "a string", within=f"{here}."))
            else:
                message = f"This engine reads text, files and pictures, not a part of type '{kind}'."
                raise errors.unsupported(f"{here}.type", message)
        return "\n".join(texts)

    def _attach(self, part: dict[str, Any], where: str) -> None:
        """Take a file or a picture, given by its id or with its content. Nothing is fetched from elsewhere."""
        if part.get("file_id") is not None:
            self.file_ids.append(_required(part, "file_id", str, "a string", within=f"{where}."))
            return
        picture = part["type"] == "input_image"
        param = "image_url" if picture else "file_data"
        if not picture and part.get("file_url") is not None:
            raise errors.unsupported(f"{where}.file_url", "This engine fetches nothing; give the file's content.")
        given = _required(part, param, str, "a string", within=f"{where}.")
        if picture and not given.startswith("data:"):
            raise errors.unsupported(f"{where}.image_url", "This engine fetches nothing; give a data URL.")
        media_type, encoded = "", given
        if given.startswith("data:"):
            kind, _, encoded = given.removeprefix("data:").partition(",")
            media_type, _, coding = kind.lower().partition(";")
            if coding.rpartition(";")[2].strip() != "base64":
                raise errors.invalid_type(f"{where}.{param}", "base64, as a data URL")
        try:
            content = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise errors.invalid_type(f"{where}.{param}", "base64, as a data URL") from None
        if picture:
            if not content or not media_type.startswith("image/"):
                raise errors.invalid_type(f"{where}.{param}", "a picture, as a data URL")
            name = f"input-image-{len(self.enclosed) + 1}{mimetypes.guess_extension(media_type) or '.png'}"
        else:
            name = _required(part, "filename", str, "a string", within=f"{where}.")
        self.enclosed.append(Attachment(name, content, media_type))


def _may_run_code(choice: object, container: Explicit | Auto | None) -> bool:
    """Read `tool_choice`: whether the code interpreter may be used."""
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return choice != "none"
    if not isinstance(choice, dict):
        raise errors.invalid_value("tool_choice", choice, _CHOICES)
    kind = _required(choice, "type", str, "a string", within="tool_choice.")
    if kind != _INTERPRETER or container is None:
        raise errors.tool_choice_not_found(kind)
    return True


def _tools(tools: list[object]) -> Explicit | Auto | None:
    container: Explicit | Auto | None = None
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind != _INTERPRETER:
            message = f"This engine has a code interpreter; it has no tool of type '{kind}'."
            raise errors.unsupported(f"{where}.type", message)
        if container is not None:
            raise errors.unsupported(where, "This engine runs one code interpreter per response.")
        container = _code_interpreter(tool, where)
    return container


def _code_interpreter(tool: object, where: str) -> Explicit | Auto:
    given = _object(tool, where, _TOOL)
    container = _required(given, "container", (str, dict), "a container id or an object", within=f"{where}.")
    return Explicit(container) if isinstance(container, str) else _auto(container, f"{where}.container")


def _auto(container: dict[str, object], where: str) -> Auto:
    given = _object(container, where, _AUTO)
    if (kind := _required(given, "type", str, "a string", within=f"{where}.")) != "auto":
        raise errors.invalid_value(f"{where}.type", kind, ("auto",))
    memory = _limits(given, f"{where}.")
    return Auto(_strings(given, "file_ids", within=f"{where}."), memory)


def _limits(given: Mapping[str, Any], within: str) -> str:
    """The memory tier that is asked for, or nothing."""
    memory = given.get("memory_limit")
    if memory is not None and memory not in tuple(MEMORY):
        raise errors.invalid_value(f"{within}memory_limit", memory, tuple(MEMORY))
    policy = given.get("network_policy") or {}
    if not isinstance(policy, dict) or policy.get("type", "disabled") != "disabled":
        raise errors.unsupported(f"{within}network_policy", "This engine has no network allow-lists.")
    return memory or ""


def _object(given: object, where: str | None, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise errors.not_json() if where is None else errors.invalid_type(where, "an object")
    for key in given:
        if key not in known:
            raise errors.unknown_parameter(key if where is None else f"{where}.{key}")
    return given


def _required(
    given: Mapping[str, Any], key: str, kind: type | tuple[type, ...], expected: str, *, within: str = ""
) -> Any:
    value = given.get(key)
    if value is None:
        raise errors.missing(f"{within}{key}")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise errors.invalid_type(f"{within}{key}", expected)
    return value


def _optional(given: Mapping[str, Any], key: str, kind: type, expected: str) -> Any:
    """The value, or an empty one of its kind where it is missing or null."""
    return kind() if given.get(key) is None else _required(given, key, kind, expected)


def _strings(given: Mapping[str, Any], key: str, *, within: str = "") -> tuple[str, ...]:
    values = given.get(key)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise errors.invalid_type(f"{within}{key}", "a list of strings")
    return tuple(values)


def _bounded(param: str, value: int, minimum: int, maximum: int) -> None:
    if value > maximum:
        raise errors.above_maximum(param, value, maximum)
    if value < minimum:
        raise errors.below_minimum(param, value, minimum)
