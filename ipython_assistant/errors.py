"""Everything that can end a cell. Each error has two lines: what happened, and what to do; docs/errors.md has them all.

IPython's own `UsageError` is not used: nbval's lax mode does not see it.
"""

from __future__ import annotations

from typing import Any

_CONTROLS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A}, "\ufffd")
"""Characters that drive a terminal: a service, a file name or a log may hold them."""


class AssistantError(Exception):
    """Base of every error raised here on purpose: what happened, what to do (`hint`), what arrived (`answer`)."""

    def __init__(self, message: str, hint: str = "", *, answer: Any = None) -> None:
        self.message = message.translate(_CONTROLS)
        self.hint = hint.translate(_CONTROLS)
        super().__init__(self.message)
        self.answer = answer

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a stack, as an ordinary `error` output, which nbval and nbconvert see."""
        return [f"{type(self).__name__}: {self.message}", *self.hint.splitlines()]


class OptionError(AssistantError):
    """An option or a word after `%%assistant` or `%assistant` is wrong."""


class InputError(AssistantError):
    """A file or variable named with `-i` does not exist or cannot be sent."""


class ConfigError(AssistantError):
    """A setting is wrong or missing."""


class NoKey(ConfigError):
    """The service, or the provider of the model, needs a key that is not set."""


class BudgetSpent(ConfigError):
    """The question might cost more than the setting `max_cost` still allows today; it was not asked."""


class EngineError(AssistantError):
    """The embedded engine did not start, or it died; the hint ends with the last lines of its log."""


class ServiceError(AssistantError):
    """The service answered with an error: its HTTP status and code, and the seconds to wait, where it gave them."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after_s: float | None = None

    def __init__(self, message: str, hint: str = "", **about: Any) -> None:
        super().__init__(message, hint)
        vars(self).update(about)
        if self.request_id:
            # Only `%assistant traceback` shows a note: support asks for the id, and no other reader needs it.
            self.add_note(f"The service's id of the request: {self.request_id}")


class Unreachable(ServiceError):
    """No connection to the service could be made; a proxy or a certificate may be the reason."""


class TimedOut(ServiceError):
    """The service sent no byte for too long."""


class RateLimited(ServiceError):
    """The service asked to slow down (429)."""


class QuotaUsedUp(RateLimited):
    """The account's money, quota or containers are used up; waiting a little does not help."""


class Refused(ServiceError):
    """The service did not accept the request (4xx)."""


class KeyRefused(Refused):
    """The key is wrong or lacks a permission (401)."""


class ModelUnknown(Refused):
    """The service has no model (or deployment) of that name, or this key may not use it."""


class ToolNotAllowed(Refused):
    """Code interpreter or another tool is not allowed for this account, or not offered with this model."""


class TurnNotKept(Refused):
    """The service no longer holds the turn that this one continues from, or never did (zero data retention)."""


class TooLarge(Refused):
    """A file, a request or a conversation is more than the service, or the model, takes at once."""


class ContentFiltered(Refused):
    """The service's content rules stopped the question or the answer."""


class ContainerExpired(Refused):
    """The conversation's container is gone: a service keeps one for 20 minutes after its last use."""


class TurnFailed(ServiceError):
    """The service accepted the question and then gave up."""


class StreamBroken(ServiceError):
    """The stream ended before the answer did."""


class NotRecorded(AssistantError):
    """This question is not recorded, and only a recording may answer: in `replay` mode, or without the key."""


class RecordingDamaged(AssistantError):
    """A recording, or a file that belongs to it, was changed or removed, so it is not replayed."""


class Interrupted(AssistantError):
    """Ctrl-C or the stop button ended the cell; what had arrived is kept."""


class CodeFailed(AssistantError):
    """The code that the user asked to run raised an exception."""


class TableMissing(AssistantError):
    """A table asked for with `-o` did not come, or cannot be read as a table."""


class FilesMissing(AssistantError):
    """The answer is here, but one or more of its files are not."""
