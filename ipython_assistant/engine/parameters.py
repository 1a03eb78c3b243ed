"""What a client asked for: JSON bodies and query strings in, frozen values out, refusals in the service's words.

Pure, and everything here may raise `ApiError`. What steers a language model (temperature, reasoning, ...) is passed on
or repeated in the response; what would change the meaning of the answer and cannot be done here is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine import errors
from ipython_assistant.engine.container import MAX_MINUTES
from ipython_assistant.engine.container_pool import MEMORY_TIERS
from ipython_assistant.engine.request_input import Fields, RequestInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.engine.wire import Json

OUTPUTS: Final = "code_interpreter_call.outputs"

_KNOWN: Final = frozenset(
    {
        "access_programs", "background", "background_options", "context_management", "conversation", "image", "include",
        "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation",
        "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
"""Parameters of the hosted service; it refuses others, and so does the engine."""
_REFUSED: Final = {
    "background": "This engine answers while its client waits.",
    "conversation": "This engine keeps no conversations; use 'previous_response_id'.",
    "prompt": "This engine has no prompt templates.",
    "skills": "This engine has no skills.",
}
_INTERPRETER: Final = "code_interpreter"
_CHOICES: Final = ("none", "auto", "required")
_ORDERS: Final = ("asc", "desc")


@dataclass(frozen=True, slots=True)
class ContainerById:
    """A container named by its id."""

    container_id: str


@dataclass(frozen=True, slots=True)
class AutoContainer:
    """The conversation's container, or a new one, with these files of the Files API in it."""

    file_ids: tuple[str, ...] = ()
    memory: str = ""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """One `POST /responses`.

    Args:
        model: The model's name.
        input: What is said, with files and pictures.
        instructions: What the model is told about its task.
        container: Where code runs; None where the request has no code interpreter, or forbids it.
        previous_response_id: The response this continues from.
        include_outputs: Whether code calls carry their outputs.
        stream: Whether the answer is a stream of events.
        store: Whether the response can be asked for, or continued, later.
        echo: The values the response repeats.
    """

    model: str
    input: RequestInput
    instructions: str = ""
    container: ContainerById | AutoContainer | None = None
    previous_response_id: str | None = None
    include_outputs: bool = False
    stream: bool = False
    store: bool = True
    echo: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """One `POST /containers`; the memory is a tier such as `4g`, or empty."""

    name: str
    minutes: int
    file_ids: tuple[str, ...]
    memory: str = ""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted, and in which order."""

    limit: int
    order: str
    after: str | None


def response_request(body: object, stored_item: Callable[[str], Json]) -> ResponseRequest:
    """Read the body of `POST /responses`; `stored_item` finds an item of a stored response by its id."""
    given = Fields(body, known=_KNOWN)
    if given.raw.get("conversation") is not None and given.raw.get("previous_response_id") is not None:
        message = (
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
            "Ensure you are only providing one of them."
        )
        code = "mutually_exclusive_parameters"
        raise errors.ApiError(400, message, param="previous_response_id", code=code)
    _refuse(given)
    for name in ("metadata", "reasoning"):  # what models look into
        given.get(name, dict, {})
    form = given.get("text", dict, {}).get("format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise errors.unsupported("text.format", "This engine answers in plain text only.")
    model = given.required("model", str)
    asked = RequestInput.read(given.required("input", str, list), stored_item)
    container = _code_interpreter(given.get("tools", list, []))
    if not _may_run_code(given.raw.get("tool_choice"), container):
        container = None
    return ResponseRequest(
        model=model,
        input=asked,
        instructions=given.get("instructions", str, ""),
        container=container,
        previous_response_id=given.get("previous_response_id", str, "") or None,
        include_outputs=OUTPUTS in given.get("include", list, []),
        stream=given.get("stream", bool, False),
        store=given.get("store", bool, True),
        echo=given.raw,
    )


def container_request(body: object) -> ContainerRequest:
    """Read the body of `POST /containers`."""
    known = frozenset({"name", "expires_after", "file_ids", "memory_limit", "network_policy", "skills"})
    given = Fields(body, known=known)
    _refuse(given)
    name, minutes = given.required("name", str), MAX_MINUTES
    if given.raw.get("expires_after") is not None:
        expires = Fields(given.raw["expires_after"], "expires_after", frozenset({"anchor", "minutes"}))
        expires.one_of("anchor", ("last_active_at",))
        minutes = _bounded("expires_after.minutes", expires.required("minutes", int), MAX_MINUTES)
    return ContainerRequest(name, minutes, given.strings("file_ids"), _memory_tier(given))


def file_reference(body: object) -> str:
    """Read the JSON form of `POST /containers/{id}/files`: the id of a file of the Files API."""
    return str(Fields(body, known=frozenset({"file_id"})).required("file_id", str))


def page_request(query: Mapping[str, str], *, maximum: int, default: int) -> PageRequest:
    """Read the query string of a list."""
    try:
        limit = int(query.get("limit", default))
    except ValueError:
        raise errors.invalid_type("limit", "an integer") from None
    order = query.get("order", "desc")
    if order not in _ORDERS:
        raise errors.invalid_value("order", order, _ORDERS)
    return PageRequest(_bounded("limit", limit, maximum), order, query.get("after"))


def _refuse(given: Fields) -> None:
    for name, reason in _REFUSED.items():
        if given.raw.get(name):
            raise errors.unsupported(name, reason)


def _may_run_code(choice: object, container: ContainerById | AutoContainer | None) -> bool:
    """Read `tool_choice`: whether the code interpreter may be used."""
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return choice != "none"
    if not isinstance(choice, dict):
        raise errors.invalid_value("tool_choice", choice, _CHOICES)
    kind = Fields(choice, "tool_choice").required("type", str)
    if kind != _INTERPRETER or container is None:
        raise errors.ApiError(400, f"Tool choice '{kind}' not found in 'tools' parameter.", param="tool_choice")
    return True


def _code_interpreter(tools: list[object]) -> ContainerById | AutoContainer | None:
    """Read `tools`: where the code interpreter runs, if there is one."""
    found: ContainerById | AutoContainer | None = None
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind != _INTERPRETER or found is not None:
            message = f"This engine has one code interpreter and no other tool, such as '{kind}'."
            raise errors.unsupported(f"{where}.type", message)
        given = Fields(tool, where, frozenset({"type", "container", "allowed_callers"}))
        container = given.required("container", str, dict)
        if isinstance(container, str):
            found = ContainerById(container)
        else:
            known = frozenset({"type", "file_ids", "memory_limit", "network_policy"})
            auto = Fields(container, f"{where}.container", known)
            auto.one_of("type", ("auto",))
            found = AutoContainer(auto.strings("file_ids"), _memory_tier(auto))
    return found


def _memory_tier(given: Fields) -> str:
    """The memory tier that is asked for, or nothing."""
    policy = given.get("network_policy", dict, {})
    if policy.get("type", "disabled") != "disabled":
        raise errors.unsupported(given.path("network_policy"), "This engine has no network allow-lists.")
    return given.one_of("memory_limit", tuple(MEMORY_TIERS)) if given.raw.get("memory_limit") is not None else ""


def _bounded(param: str, value: int, maximum: int) -> int:
    if not 1 <= value <= maximum:
        raise errors.out_of_bounds(param, value, maximum)
    return value
