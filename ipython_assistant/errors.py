"""Everything that can end a cell, and what its reader should do next.

    AssistantError              two lines: what happened, what to do; .answer holds everything that arrived
    ├─ OptionError              the line after %%assistant
    ├─ InputError               a file or variable named with -i
    ├─ ConfigError              a setting, or something it needs
    │  └─ NoKey                 the service wants a key and there is none
    ├─ EngineError              the embedded engine did not start, or died (carries the last lines of its log)
    ├─ ServiceError             the other side's answer; .status .code .request_id
    │  ├─ Unreachable           no connection
    │  │  ├─ ProxyRefused       a proxy on the way did not let it through
    │  │  └─ CertificateRefused the other side could not prove who it is (TLS)
    │  ├─ TimedOut              no byte for too long
    │  ├─ RateLimited           429: too much at once
    │  │  ├─ QuotaUsedUp        the account's money or quota is used up
    │  │  └─ ContainerLimit     too many containers
    │  ├─ Refused               the request was not accepted (4xx)
    │  │  ├─ KeyRefused         the key is wrong, or lacks a permission
    │  │  ├─ ModelUnknown       there is no model of that name
    │  │  ├─ ModelNotAllowed    there is, but not for this key
    │  │  ├─ ToolNotAllowed     code interpreter or another tool is not allowed or not there
    │  │  ├─ TurnNotKept        the service does not hold the turn this one continues from
    │  │  ├─ ContextTooLong     more than the model can read at once
    │  │  ├─ TooLarge           more bytes than the service takes at once
    │  │  ├─ ContentFiltered    the service's content rules
    │  │  └─ ContainerExpired   the container went away between two turns
    │  ├─ FileNotServed         a service that does not hand out its containers' files (Azure)
    │  ├─ TurnFailed            the service accepted the question and then gave up
    │  └─ StreamBroken          the stream ended before the answer did
    ├─ InternalError            a fault of this package, as the outcome of one question among several
    ├─ NotRecorded              nothing is asked in replay mode, and there is no recording
    ├─ RecordingDamaged         a recording is not what was recorded
    ├─ Interrupted              Ctrl-C, or the stop button
    ├─ CodeFailed               the code that was asked for raised
    ├─ TableMissing             a table asked for with -o did not come
    └─ FilesMissing             the answer is there, one or more of its files are not

docs/errors.md says of each what to do. IPython shows an exception that has `_render_traceback_` by those lines alone
and stores it as an ordinary `error` output, so nbval, nbconvert and papermill see it. IPython's own `UsageError` is
not used: nbval's lax mode does not see it.
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


class NoKey(ConfigError):
    """The service that was chosen wants a key, and there is none."""


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
        if request_id:
            # Shown by `%assistant traceback`: support asks for it, and nobody else does.
            self.add_note(f"The service's id of the request: {request_id}")


class Unreachable(ServiceError):
    """No connection to the service."""


class ProxyRefused(Unreachable):
    """A proxy between here and the service did not let the request through."""


class CertificateRefused(Unreachable):
    """The other side could not prove who it is: TLS failed, often because a proxy stands between."""


class TimedOut(ServiceError):
    """No byte came from the service for too long."""


class RateLimited(ServiceError):
    """The service asked to slow down (429)."""


class QuotaUsedUp(RateLimited):
    """The account's money or quota is used up: waiting a little does not help."""


class ContainerLimit(RateLimited):
    """The account has, or asked for, more containers than the service allows."""


class Refused(ServiceError):
    """The service did not accept the request (4xx)."""


class KeyRefused(Refused):
    """The key is wrong, or lacks a permission (401)."""


class ModelUnknown(Refused):
    """The service knows no model (or deployment) of that name."""


class ModelNotAllowed(Refused):
    """The model exists, and this key may not use it."""


class ToolNotAllowed(Refused):
    """Code interpreter, or another tool, is not allowed for this account or not offered with this model."""


class TurnNotKept(Refused):
    """The service does not hold the turn this one continues from: zero data retention, or it has let it go."""


class ContextTooLong(Refused):
    """The question, its conversation and what code printed are more than the model can read at once."""


class TooLarge(Refused):
    """A file or a request has more bytes, or more tokens a minute, than the service takes at once (413)."""


class ContentFiltered(Refused):
    """The service's content rules stopped the question or the answer."""


class ContainerExpired(Refused):
    """The container of the conversation went away: the service keeps one for 20 minutes after its last use."""


class FileNotServed(ServiceError):
    """The service made a file and does not hand it out: a fault of Azure's container files, known since 2025."""


class TurnFailed(ServiceError):
    """The service accepted the question and then gave up on it."""


class StreamBroken(ServiceError):
    """The stream ended before the answer did."""


class InternalError(AssistantError):
    """A fault of this package, as the outcome of one question among several; `__cause__` is the fault itself."""


class NotRecorded(AssistantError):
    """In `replay` mode nothing is asked, and there is no recording of this question."""


class RecordingDamaged(AssistantError):
    """A recording, or a file that belongs to it, is not what was recorded: it is not replayed."""


class Interrupted(AssistantError):
    """The cell was interrupted; what had arrived is kept."""


class CodeFailed(AssistantError):
    """The code that was asked for raised."""


class TableMissing(AssistantError):
    """A table that was asked for with `-o` did not come, or cannot be read as one."""


class FilesMissing(AssistantError):
    """The answer is there; one or more of its files are not."""
