"""What the engine refuses, in the error shape and the words of the hosted service.

Where the service's own text is public it is used word for word, since clients recognise some refusals by nothing else
(an expired container has no code).
"""

from __future__ import annotations

from typing import Final

LONGEST_ECHO: Final = 200
"""In characters, of a client's own words in a refusal."""


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


def not_json() -> ApiError:
    """The body is not a JSON object."""
    return ApiError(400, "We could not parse the JSON body of your request: a JSON object is expected.")


def missing_parameter(param: str) -> ApiError:
    """A required parameter is not there, such as `container`: https://github.com/QuantumNous/new-api/issues/1305 ."""
    return ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def unknown_parameter(param: str) -> ApiError:
    """https://community.openai.com/t/responses-code-interpreter-file-input-error/1269708 ."""
    param = shortened(param)
    return ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def invalid_type(param: str, expected: str) -> ApiError:
    """A value of the wrong type."""
    return ApiError(400, f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def invalid_value(param: str, found: object, supported: tuple[str, ...]) -> ApiError:
    """A value outside a closed list."""
    listed = ", ".join(f"'{value}'" for value in supported)
    message = f"Invalid value: '{shortened(found)}'. Supported values are: {listed}."
    return ApiError(400, message, param=param, code="invalid_value")


def out_of_bounds(param: str, found: int, maximum: int) -> ApiError:
    """A number below 1, or one that is too large: https://github.com/unslothai/unsloth/pull/5466 ."""
    side, expected, code = ("below minimum", ">= 1", "integer_below_min_value")
    if found > maximum:
        side, expected, code = ("above maximum", f"<= {maximum}", "integer_above_max_value")
    message = f"Invalid '{param}': integer {side} value. Expected a value {expected}, but got {found} instead."
    return ApiError(400, message, param=param, code=code)


def unsupported(param: str, message: str) -> ApiError:
    """Something the hosted service can do and this engine cannot."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def model_not_found(model: str, offered: tuple[str, ...], *, status: int = 400) -> ApiError:
    """No such model; says which there are."""
    message = f"The requested model '{shortened(model)}' does not exist. This engine offers: {', '.join(offered)}."
    return ApiError(status, message, param="model", code="model_not_found")


def response_not_found(response_id: str) -> ApiError:
    """No stored response of this id."""
    return ApiError(404, f"Response with id '{response_id}' not found.")


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
