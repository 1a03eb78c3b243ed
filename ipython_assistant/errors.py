"""Everything that can end a cell, and what its reader should do next.

    AssistantError              two lines: what happened, what to do; .answer holds everything that arrived
    ├─ OptionError              the line after %%assistant
    ├─ InputError               a file or variable named with -i
    ├─ ConfigError              a setting, or a missing key
    ├─ EngineError              the embedded engine did not start, or died (carries the last lines of its log)
    ├─ ServiceError             the other side's answer; .status .code .request_id
    │  ├─ Unreachable           no connection
    │  ├─ TimedOut              no byte for too long
    │  ├─ RateLimited           429
    │  ├─ Refused               the request was not accepted (4xx)
    │  │  └─ ContainerExpired   the container went away between two turns
    │  ├─ TurnFailed            the service accepted the question and then gave up
    │  └─ StreamBroken          the stream ended before the answer did
    ├─ Interrupted              Ctrl-C, or the stop button
    ├─ CodeFailed               the code that was asked for raised
    └─ FilesMissing             the answer is there, one or more of its files are not

IPython shows an exception that has `_render_traceback_` by those lines alone and stores it as an ordinary `error`
output, so nbval, nbconvert and papermill see it. IPython's own `UsageError` is not used: nbval's lax mode does not
see it.
"""

from __future__ import annotations

from typing import Any


class AssistantError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        message: What happened, on one line.
        hint: What to do about it; may go on over several lines (a list of files, a corrected cell).
        answer: Everything that arrived before the error, or None.
    """

    def __init__(self, message: str, hint: str = "", *, answer: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.answer = answer

    def __str__(self) -> str:
        """The message and the hint, on lines of their own."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a stack (IPython's documented hook for custom tracebacks)."""
        return [f"{type(self).__name__}: {self.message}", *self.hint.splitlines()]


class OptionError(AssistantError):
    """The line after `%%assistant` or `%assistant` could not be understood."""


class InputError(AssistantError):
    """A file or variable named with `-i` is not there, or cannot be sent."""


class ConfigError(AssistantError):
    """A setting is wrong or missing."""


class EngineError(AssistantError):
    """The embedded engine did not start, or died."""


class ServiceError(AssistantError):
    """The service's own answer.

    Args:
        message: What happened, on one line.
        hint: What to do about it.
        answer: Everything that arrived before the error, or None.
        status: HTTP status, where there was one.
        code: The service's error code, where it gave one.
        request_id: The service's id of the request, for its support.
        retry_after_s: Seconds the service asked to wait, where it did.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        answer: Any = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint, answer=answer)
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        self.request_id = request_id


class Unreachable(ServiceError):
    """No connection to the service."""


class TimedOut(ServiceError):
    """No byte came from the service for too long."""


class RateLimited(ServiceError):
    """The service asked to slow down, or a quota is used up (429)."""


class Refused(ServiceError):
    """The service did not accept the request (4xx)."""


class ContainerExpired(Refused):
    """The container of the conversation went away: the service keeps one for 20 minutes after its last use."""


class TurnFailed(ServiceError):
    """The service accepted the question and then gave up on it."""


class StreamBroken(ServiceError):
    """The stream ended before the answer did."""


class Interrupted(AssistantError):
    """The cell was interrupted; what had arrived is kept."""


class CodeFailed(AssistantError):
    """The code that was asked for raised."""


class FilesMissing(AssistantError):
    """The answer is there; one or more of its files are not."""
