"""What a client asked for: JSON bodies and query strings in, frozen values out, refusals in the service's words.

Pure. Parameters that steer a language model (temperature, reasoning, ...) are accepted and repeated in the response;
what would change the meaning of the answer and cannot be done here is refused rather than ignored.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.containers import MAX_MINUTES, MEMORY
from ipython_assistant.engine.models import Called, Calling, Coded, Enclosed, Function, Returned, Said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.engine.models import Message

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
_FUNCTION: Final = frozenset({"type", "name", "description", "parameters", "strict"})
_FUNCTION_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ITEMS: Final = ("message", "code_interpreter_call", "reasoning", "function_call", "function_call_output")
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
_MODES: Final = ("auto", "required")
_INTERPRETER: Final = "code_interpreter"
_CALLED: Final = ("call_id", "name", "arguments")
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
        messages: What is said, oldest first, with calls of functions and what they gave.
        instructions: What the model is told about its task.
        container: Where code runs; None where the request has no code interpreter.
        calling: The client's functions.
        replayed_container_id: The container of the last code call among the input, if there is one.
        file_ids: Files of the Files API that the input mentions.
        enclosed: Files and pictures that came within the input.
        previous_response_id: The response this continues from.
        include_outputs: Whether code calls carry their outputs.
        stream: Whether the answer is a stream of events.
        store: Whether the response can be asked for, or continued, later.
        background: Whether it is made without its client waiting.
        echo: The values the response repeats.
    """

    model: str
    messages: tuple[Message, ...]
    instructions: str = ""
    container: Explicit | Auto | None = None
    calling: Calling = field(default_factory=Calling)
    replayed_container_id: str | None = None
    file_ids: tuple[str, ...] = ()
    enclosed: tuple[Enclosed, ...] = ()
    previous_response_id: str | None = None
    include_outputs: bool = False
    stream: bool = False
    store: bool = True
    background: bool = False
    echo: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The last message of the user; empty where there is none, and functions have given something."""
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
    if not conversation.asks(continued=previous_response_id is not None):
        raise errors.ApiError(400, "Invalid 'input': a message of the user is expected.", param="input")
    store = asked.get("store") is None or _optional(asked, "store", bool, "a boolean")
    background = _optional(asked, "background", bool, "a boolean")
    if background and not store:
        raise errors.unsupported("background", "A background response is fetched later: 'store' cannot be false.")
    tools = _optional(asked, "tools", list, "a list")
    container, functions = _tools(tools)
    choice, allowed = _choice(asked.get("tool_choice"), container, functions)
    if _INTERPRETER not in allowed:
        container = None
    parallel = asked.get("parallel_tool_calls")
    if parallel is not None:
        parallel = _required(asked, "parallel_tool_calls", bool, "a boolean")
    callable_ones = tuple(function for function in functions if function.name in allowed)
    return Question(
        model=model,
        messages=tuple(conversation.messages),
        instructions=_optional(asked, "instructions", str, "a string"),
        container=container,
        calling=Calling(callable_ones, *choice, parallel),
        replayed_container_id=conversation.container_id,
        file_ids=tuple(conversation.file_ids),
        enclosed=tuple(conversation.enclosed),
        previous_response_id=previous_response_id,
        include_outputs=OUTPUTS in included(_optional(asked, "include", list, "a list")),
        stream=_optional(asked, "stream", bool, "a boolean"),
        store=store,
        background=background,
        echo=asked | {"tools": [_echoed(tool) for tool in tools]},
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
    if asked.get("prompt") is not None:
        raise errors.unsupported("prompt", "This engine has no prompt templates.")
    for name, (kinds, expected) in _STEERING.items():
        if asked.get(name) is not None:
            _required(asked, name, kinds, expected)
    form = _optional(asked, "text", dict, "an object").get("format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise errors.unsupported("text.format", "This engine answers in plain text only.")


def prompted(messages: Sequence[Message]) -> tuple[int | None, str]:
    """Where the user's last message is, and what it says."""
    found = [index for index, message in enumerate(messages) if isinstance(message, Said) and message.role == "user"]
    last = messages[found[-1]] if found else None
    return (found[-1], last.text) if isinstance(last, Said) else (None, "")


def paired(messages: Iterable[Message]) -> None:
    """See that every call of a function has what it gave, and the other way round.

    Raises:
        ApiError: One is there without the other.
    """
    messages = tuple(messages)
    called = dict.fromkeys(message.call_id for message in messages if isinstance(message, Called))
    returned = dict.fromkeys(message.call_id for message in messages if isinstance(message, Returned))
    for call_id in returned:
        if call_id not in called:
            raise errors.uncalled_output(call_id)
    for call_id in called:
        if call_id not in returned:
            raise errors.missing_output(call_id)


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


def starting_after(given: str | None) -> int:
    """Read `starting_after`: the number of the last event that is known.

    Raises:
        ApiError: It is no number.
    """
    if given is None:
        return -1
    if not given.isascii() or not given.isdigit():
        raise errors.invalid_type("starting_after", "an integer")
    return int(given[:9])


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
        self.messages: list[Message] = []
        self.file_ids: list[str] = []
        self.enclosed: list[Enclosed] = []
        self.container_id: str | None = None
        if isinstance(given, str):
            self.messages.append(Said("user", given))
        else:
            for index, item in enumerate(given):
                self.messages += self._item(item, f"input[{index}]")
        # Of code, only that of the answer which is being made is told to a model: see `Coded`.
        asked = prompted(self.messages)[0] or 0
        self.messages[:asked] = [message for message in self.messages[:asked] if not isinstance(message, Coded)]

    def asks(self, *, continued: bool) -> bool:
        """Whether there is something to answer; what functions gave is, where it goes on from a response."""
        answered = continued and any(isinstance(message, Returned) for message in self.messages)
        return answered or prompted(self.messages)[0] is not None

    def _item(self, item: object, where: str) -> list[Message]:
        if not isinstance(item, dict):
            raise errors.invalid_type(where, "an object")
        kind = item.get("type", "message")
        if kind == "message":
            role = _required(item, "role", str, "a string", within=f"{where}.")
            if role not in _ROLES:
                raise errors.invalid_value(f"{where}.role", role, _ROLES)
            content = _required(item, "content", (str, list), "a string or a list of parts", within=f"{where}.")
            return [Said(role, self._text(content, f"{where}.content"))]
        if kind == "code_interpreter_call":
            # https://github.com/openai/openai-agents-js/issues/253
            self.container_id = _required(item, "container_id", str, "a string", within=f"{where}.")
            return [Coded(str(item.get("code") or ""), _logs(item.get("outputs")))]
        if kind == "function_call":
            named = {key: _required(item, key, str, "a string", within=f"{where}.") for key in _CALLED}
            return [Called(**named)]
        if kind == "function_call_output":
            call_id = _required(item, "call_id", str, "a string", within=f"{where}.")
            output = _required(item, "output", (str, list), "a string or a list of parts", within=f"{where}.")
            return [Returned(call_id, self._text(output, f"{where}.output"))]
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
        self.enclosed.append(Enclosed(name, content, media_type))


def _logs(outputs: object) -> str | None:
    """What a replayed code call printed, as far as its outputs came with it."""
    if not isinstance(outputs, list):
        return None
    return "".join(str(part.get("logs", "")) for part in outputs if isinstance(part, dict))


def _choice(
    choice: object, container: Explicit | Auto | None, functions: Sequence[Function]
) -> tuple[tuple[str, str], frozenset[str]]:
    """Read `tool_choice`: how freely tools may be called, and which.

    Returns:
        `Calling.choice` and `Calling.named`; the names of the functions that may be called, and `code_interpreter`.
    """
    every = frozenset({function.name for function in functions} | ({_INTERPRETER} if container is not None else set()))
    if choice is None or choice in _CHOICES:
        # A model is told of functions that it may not call: they may have been called before.
        return (str(choice or "auto"), ""), every - {_INTERPRETER} if choice == "none" else every
    if not isinstance(choice, dict):
        raise errors.invalid_value("tool_choice", choice, _CHOICES)
    kind = _required(choice, "type", str, "a string", within="tool_choice.")
    if kind == "allowed_tools":
        tools = _required(choice, "tools", list, "a list", within="tool_choice.")
        mode = choice.get("mode", "auto")
        if mode not in _MODES:
            raise errors.invalid_value("tool_choice.mode", mode, _MODES)
        named = [tool.get("name", tool.get("type")) for tool in tools if isinstance(tool, dict)]
        return (mode, ""), every & frozenset(name for name in named if isinstance(name, str))
    if kind == "function":
        name = _required(choice, "name", str, "a string", within="tool_choice.")
        if name not in every:
            raise errors.tool_choice_not_found(name)
        return ("function", name), every
    if kind != _INTERPRETER or container is None:
        raise errors.tool_choice_not_found(kind)
    return (_INTERPRETER, ""), every


def _tools(tools: list[object]) -> tuple[Explicit | Auto | None, tuple[Function, ...]]:
    container: Explicit | Auto | None = None
    functions: dict[str, Function] = {}
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            function = _function(tool, where)
            if function.name in functions:
                raise errors.unsupported(f"{where}.name", f"There are two functions '{function.name}'.")
            functions[function.name] = function
        elif kind != _INTERPRETER:
            message = f"This engine has a code interpreter and calls functions; it has no tool of type '{kind}'."
            raise errors.unsupported(f"{where}.type", message)
        elif container is not None:
            raise errors.unsupported(where, "This engine runs one code interpreter per response.")
        else:
            container = _code_interpreter(tool, where)
    return container, tuple(functions.values())


def _code_interpreter(tool: object, where: str) -> Explicit | Auto:
    given = _object(tool, where, _TOOL)
    container = _required(given, "container", (str, dict), "a container id or an object", within=f"{where}.")
    return Explicit(container) if isinstance(container, str) else _auto(container, f"{where}.container")


def _function(tool: object, where: str) -> Function:
    name = _required(tool, "name", str, "a string", within=f"{where}.") if isinstance(tool, dict) else ""
    given = _object(tool, where, _FUNCTION)
    if not _FUNCTION_NAME.fullmatch(name):
        message = f"Invalid '{where}.name': letters, digits, '_' and '-' are expected, at most 64."
        raise errors.ApiError(400, message, param=f"{where}.name", code="invalid_value")
    kinds: dict[str, tuple[type, str]] = {
        "description": (str, "a string"), "parameters": (dict, "an object"), "strict": (bool, "a boolean")
    }  # fmt: skip
    described = {
        key: _required(given, key, kind, expected, within=f"{where}.")
        for key, (kind, expected) in kinds.items()
        if given.get(key) is not None
    }
    return Function(name, **described)


def _echoed(tool: Any) -> Any:
    """A tool as a response repeats it: https://www.openresponses.org wants all of a function's fields."""
    if tool["type"] != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}


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
