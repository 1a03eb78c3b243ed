"""What the engine refuses, in the error shape and the words of the hosted service.

Each function is one refusal. Where the service's own text is public it is used word for word, since clients recognise
some refusals by nothing else (an expired container has no code).
"""

from __future__ import annotations

from typing import Any, Final

LONGEST_ECHO: Final = 200
"""In characters, of what a client sent and is told again."""


class ApiError(Exception):
    """A request that is answered with an HTTP error.

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
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """The JSON that goes over the wire."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class KernelError(RuntimeError):
    """The kernel could not be started, or has ended; the message is for a person."""


def not_json() -> ApiError:
    """The body is not a JSON object."""
    return ApiError(400, "We could not parse the JSON body of your request: a JSON object is expected.")


def missing(param: str) -> ApiError:
    """A required parameter is not there, such as `container`: https://github.com/QuantumNous/new-api/issues/1305 ."""
    return ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def unknown_parameter(param: str) -> ApiError:
    """https://community.openai.com/t/responses-code-interpreter-file-input-error/1269708 ."""
    param = _short(param)
    return ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def invalid_type(param: str, expected: str) -> ApiError:
    """A value of the wrong type."""
    return ApiError(400, f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def invalid_value(param: str, found: object, supported: tuple[str, ...]) -> ApiError:
    """A value outside a closed list."""
    listed = ", ".join(f"'{value}'" for value in supported)
    message = f"Invalid value: '{_short(found)}'. Supported values are: {listed}."
    return ApiError(400, message, param=param, code="invalid_value")


def out_of_bounds(param: str, found: int, minimum: int, maximum: int) -> ApiError:
    """A number that is too small or too large: https://github.com/unslothai/unsloth/pull/5466 ."""
    side, sign, bound, short = ("above maximum", "<=", maximum, "max") if found > maximum else (
        "below minimum", ">=", minimum, "min"
    )  # fmt: skip
    message = f"Invalid '{param}': integer {side} value. Expected a value {sign} {bound}, but got {found} instead."
    return ApiError(400, message, param=param, code=f"integer_{side.partition(' ')[0]}_{short}_value")


def unsupported(param: str, message: str) -> ApiError:
    """Something the hosted service can do and this engine cannot."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def tool_choice_not_found(kind: str) -> ApiError:
    """`tool_choice` names a tool that the request does not have."""
    return ApiError(400, f"Tool choice '{kind}' not found in 'tools' parameter.", param="tool_choice")


def mutually_exclusive() -> ApiError:
    """`conversation` and `previous_response_id` in one request."""
    message = (
        "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
        "Ensure you are only providing one of them."
    )
    return ApiError(400, message, param="previous_response_id", code="mutually_exclusive_parameters")


def model_not_found(model: str, offered: tuple[str, ...], *, status: int = 400) -> ApiError:
    """No such model; says which there are."""
    message = f"The requested model '{_short(model)}' does not exist. This engine offers: {', '.join(offered)}."
    return ApiError(status, message, param="model", code="model_not_found")


def previous_response_not_found(response_id: str) -> ApiError:
    """`previous_response_id` names no stored response."""
    message = f"Previous response with id '{response_id}' not found."
    return ApiError(400, message, param="previous_response_id", code="previous_response_not_found")


def response_not_found(response_id: str) -> ApiError:
    """No stored response of this id."""
    return ApiError(404, f"Response with id '{response_id}' not found.")


def item_not_found(item_id: str) -> ApiError:
    """An `item_reference` names no item of a stored response."""
    return ApiError(404, f"Item with id '{_short(item_id)}' not found.", param="input")


def container_not_found(container_id: str) -> ApiError:
    """No such container, or it was deleted."""
    return ApiError(404, f"Container with id '{container_id}' not found.")


def too_many_containers(most: int) -> ApiError:
    """As many containers as there may be, all of them at work; clients try again by themselves."""
    message = f"All {most} containers of this engine are at work. Try again when one of them is free."
    return ApiError(429, message, code="rate_limit_exceeded", kind="rate_limit_error")


def container_expired() -> ApiError:
    """https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773 ."""
    return ApiError(400, "Container is expired.")


def container_file_not_found(file_id: str, container_id: str) -> ApiError:
    """No such file in this container: https://github.com/sbslee/streamlit-openai/issues/18 ."""
    return ApiError(404, f"File {file_id} not found on container {container_id}.")


def file_not_found(file_id: str) -> ApiError:
    """No such file in the Files API."""
    return ApiError(404, f"No such File object: {file_id}", param="id")


def bad_upload(reason: str) -> ApiError:
    """The multipart body or the name in it cannot be used."""
    return ApiError(400, f"The upload could not be read: {reason}.", param="file", code="invalid_upload")


def too_large(most: int) -> ApiError:
    """A file that is larger than this engine takes; `most` is in bytes."""
    message = f"The file is too large: at most {most:,} bytes are taken."
    return ApiError(413, message, param="file", code="file_too_large")


def stopping() -> ApiError:
    """The engine is being stopped and begins nothing new."""
    return ApiError(503, "The engine is being stopped.", code="server_shutdown", kind="server_error")


def _short(given: object) -> str:
    text = str(given)
    return text if len(text) <= LONGEST_ECHO else f"{text[:LONGEST_ECHO]}…"
