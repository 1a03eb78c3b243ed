"""What a service, or the way to it, said went wrong → our error, with its cure.

One table for both doors an error can come in by: an HTTP status, and an event inside a stream whose status was 200.
The codes and words are those of https://platform.openai.com/docs/guides/error-codes and of the threads named below.
"""

from __future__ import annotations

import email.utils
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.wording import on_one_line
from ipython_assistant.errors import (
    CertificateRefused,
    ContainerExpired,
    ContainerLimit,
    ContentFiltered,
    ContextTooLong,
    FileNotServed,
    KeyRefused,
    ModelNotAllowed,
    ModelUnknown,
    ProxyRefused,
    QuotaUsedUp,
    RateLimited,
    Refused,
    ServiceError,
    TimedOut,
    ToolNotAllowed,
    TurnFailed,
    TurnNotKept,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNAUTHORIZED, NOT_FOUND, SERVER_FAULT = 401, 404, 500
LONGEST_SAID = 400
# Who asks to wait longer is taken to ask for a day: nobody here waits so long, and clocks have an end.
_A_DAY_S = 86_400.0

AGAIN_LATER = "The fault is on the service's side: run the cell again in a while."
RAISE_THE_LIMIT = "Run the cell again, or raise the limit: `%config AssistantMagics.timeout = 900`."
CHECK_THE_WAY = "Check the network and {address}, then run the cell again."
# What a cure calls the key and the address of a service.
_SETTINGS = {
    "openai": {"key": "OPENAI_API_KEY", "address": "OPENAI_BASE_URL"},
    "azure": {"key": "AZURE_OPENAI_API_KEY", "address": "AZURE_OPENAI_ENDPOINT"},
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """An error of ours, and what it is known by: any of its codes, statuses or parameters, or its words."""

    kind: type[ServiceError]
    cure: str
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    parameter: re.Pattern[str] | None = None

    def fits(self, status: int | None, code: str, message: str, parameter: str) -> bool:
        return (
            code in self.codes
            or status in self.statuses
            or (self.words is not None and bool(self.words.search(message)))
            or (self.parameter is not None and bool(self.parameter.match(parameter)))
        )


def _rule(
    kind: type[ServiceError],
    cure: str,
    *codes: str,
    statuses: tuple[int, ...] = (),
    words: str = "",
    parameter: str = "",
) -> _Rule:
    return _Rule(
        kind,
        cure,
        frozenset(codes),
        frozenset(statuses),
        re.compile(words, re.IGNORECASE) if words else None,
        re.compile(parameter) if parameter else None,
    )


# In this order: what is more particular comes first.
_RULES = (
    _rule(KeyRefused, "Check {key} where Jupyter is started.", "invalid_api_key", statuses=(UNAUTHORIZED,)),
    _rule(ProxyRefused, "Check HTTPS_PROXY and what the proxy asks for, then run the cell again.", statuses=(407,)),
    # It has no code of its own: only its text tells.
    # https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773
    # https://github.com/pydantic/pydantic-ai/issues/7461
    _rule(
        ContainerExpired,
        "Run the cell again: it gets a new container.",
        words="container is expired|expected container_id",
    ),
    # https://github.com/openai/codex/issues/106 and https://github.com/egoist/chatwise-releases/issues/1350
    _rule(
        TurnNotKept,
        "Start a conversation of its own: %%assistant --new.",
        "previous_response_not_found",
        words="previous response|not persisted for zero data|conversation id cannot be used",
    ),
    # https://github.com/compl-ai/compl-ai/issues/20 (Azure)
    _rule(
        ContentFiltered,
        "Ask in other words; where the rules are your own organisation's, its administrator can change them.",
        "content_filter",
        "content_policy_violation",
        "ResponsibleAIPolicyViolation",
        "invalid_prompt",
        "bio_policy",
        "misalignment_policy_violation",
        "image_content_policy_violation",
        words="content management policy|flagged as potentially violating|violates? our usage polic",
    ),
    # https://github.com/dyad-sh/dyad/issues/1672
    _rule(
        ContextTooLong,
        "Start anew with --new, name fewer inputs, or ask for less to be printed; files are not read whole.",
        "context_length_exceeded",
        words="exceeds the context window|maximum context length|'input[^']*': string too long",
    ),
    _rule(
        QuotaUsedUp,
        "See the account's billing page; the embedded engine needs no account:"
        ' `%config AssistantMagics.service = "local"`.',
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        statuses=(402,),
        words="exceeded your current quota",
    ),
    _rule(
        ContainerLimit,
        "Delete those you no longer need (%assistant containers --delete), or wait: they end 20 minutes after their"
        " last use.",
        words=r"(reached|exceed\w*|too many|maximum number)[^.?]*\bcontainers?\b"
        r"|\bcontainers?\b[^.?]*(reached|exceed\w*|too many)",
    ),
    # https://github.com/Azure-Samples/computer-use/issues/8, https://github.com/CommandCodeAI/command-code/issues/885
    _rule(
        ToolNotAllowed,
        "Choose another model with -m, ask whoever administers the account to allow it, or ask without: --no-code.",
        words=r"(\btools?\b|code[ _]interpreter|\bcontainers?\b).*"
        r"(not (supported|allowed|enabled|available|permitted|executed)|disabled|zero data retention)"
        r"|(not allowed|disabled|zero data retention).*(\btools?\b|code[ _]interpreter|\bcontainers?\b)",
        parameter=r"tools(\[\d+\]|\.\d+)\.type$",
    ),
    # https://github.com/Aider-AI/aider/issues/604
    _rule(
        ModelNotAllowed,
        "Choose another model with -m NAME, or ask whoever administers the account for this one.",
        words="does not have access to model|must be verified to",
    ),
    # https://github.com/Aider-AI/aider/issues/2030
    _rule(
        ModelUnknown,
        "Choose another with -m NAME, or `%config AssistantMagics.model = ...`.",
        "model_not_found",
        "DeploymentNotFound",
        words="deployment .*does not exist|model ['`\"][^'`\"]*['`\"] (does not exist|not found)",
    ),
    _rule(
        RateLimited,
        "Ask for less at once: waiting does not make this question smaller.",
        words="request too large",
    ),
    _rule(
        RateLimited,
        "Wait a little, then run the cell again.",
        "rate_limit_exceeded",
        "too_many_requests",
        statuses=(429,),
    ),
    _rule(TimedOut, RAISE_THE_LIMIT, "Timeout", statuses=(408,)),
)

_AT_AZURE: Mapping[type[ServiceError], str] = {
    ModelUnknown: "At Azure a model is named as its deployment: -m NAME, or `%config AssistantMagics.model = ...`.",
}


def failure(
    code: str,
    message: str,
    *,
    status: int | None = None,
    parameter: str = "",
    page: bool = False,
    service: str = "openai",
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> ServiceError:
    """The error for what a service said.

    Args:
        code: Its error code; empty where it gave none.
        message: Its words.
        status: The HTTP status; None where it was said in a stream (an `error` event, or `response.failed`).
        parameter: The part of the request it names, where it does.
        page: It is a web page, which is nothing to read out.
        service: Who said it, for the cure: `openai`, `azure` or `local`.
        request_id: Its id of the request.
        retry_after_s: Seconds it asked to wait.
    """
    words = "" if page else as_said(message)
    kind, cure = _kind(status, code, words, parameter)
    if page:
        said = f"The service answered {status} with a web page."
        cure = "Something on the way may have answered in its place (a proxy, a login page). " + CHECK_THE_WAY
    else:
        if kind is KeyRefused:
            # Services repeat the key here, in whole or in part, and an output is no place for either.
            words = _missing_scopes(words) or "the key was not accepted"
        words = words or "no reason was given"
        said = f"{'The service gave up' if status is None else f'The service answered {status}'}: {words}."
    if service == "azure":
        cure = _AT_AZURE.get(kind, cure)
    return kind(
        said,
        cure.format(**_SETTINGS.get(service, _SETTINGS["openai"])),
        status=status,
        code=code or None,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def page_instead() -> ServiceError:
    """The error for a web page that came where a stream of events was asked for."""
    return ServiceError(
        "The service answered with a web page.",
        "Something on the way may have answered in its place (a proxy, a login page). Check the network and the"
        " service's address, then run the cell again.",
    )


def unfinished(reason: str) -> ServiceError:
    """The error for a response that ended as `incomplete`; the reason is `incomplete_details.reason`."""
    kind = ContentFiltered if reason == "content_filter" else TurnFailed
    said = f"The answer is incomplete: {as_said(reason) or 'no reason was given'}."
    cure = "Ask in other words." if kind is ContentFiltered else "Ask for less at once."
    return kind(said, f"What arrived is above. {cure}", code=reason or None)


def lost(error: BaseException, service: str = "openai") -> Unreachable:
    """The error for a connection that could not be made, or broke."""
    import httpx2

    settings = _SETTINGS.get(service, _SETTINGS["openai"])
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _untrusted(cause, settings["address"])
        if isinstance(cause, httpx2.ProxyError):
            return ProxyRefused(
                f"The proxy did not let the request through: {as_said(cause)}.",
                "Check HTTPS_PROXY (and NO_PROXY), then run the cell again.",
            )
    words = as_said(error.__cause__ or error)
    return Unreachable(f"The connection to the service failed: {words}.", CHECK_THE_WAY.format(**settings))


def not_served(error: ServiceError) -> ServiceError:
    """What a failed download at Azure means; another error as it is.

    Azure lists the files of its containers and answers 404 or 500 to whoever wants one:
    https://github.com/microsoft/agent-framework/issues/7598, https://github.com/Azure/azure-sdk-for-net/issues/61869.
    """
    status = error.status or 0
    if status != NOT_FOUND and status < SERVER_FAULT:
        return error
    return FileNotServed(
        f"Azure answered {status} instead of the file: its container files are known to fail.",
        "Try later with %assistant retry, or ask for small tables in the text of the answer.",
        status=status,
        code=error.code,
        request_id=error.request_id,
        retry_after_s=error.retry_after_s,
    )


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds a service asked to wait, in either form of `Retry-After` (RFC 9110, section 10.2.3); None for none.

    Args:
        headers: The headers of its answer, with names in lower case.
        now: Seconds since the epoch.
    """
    wanted = headers.get("retry-after", "").strip()
    if (digits := wanted.replace(".", "", 1)).isascii() and digits.isdecimal():
        return min(float(wanted), _A_DAY_S)
    try:
        return min(max(0.0, email.utils.parsedate_to_datetime(wanted).timestamp() - now), _A_DAY_S)
    except (ValueError, OverflowError):
        return None


def as_said(what: object) -> str:
    """Words from outside as one line of an error: no control characters, no endless page, nothing like a key."""
    text = re.sub(r"\bsk-[\w-]{6,}", "<key>", on_one_line(what))
    if not text and not isinstance(what, str):
        text = type(what).__name__
    return (text if len(text) <= LONGEST_SAID else text[:LONGEST_SAID] + "…").rstrip(".")


def _untrusted(error: ssl.SSLError, address: str) -> CertificateRefused:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRefused(
            f"The service could not prove who it is: {as_said(error.verify_message)}.",
            "Behind a proxy that reads along, set SSL_CERT_FILE to a file of your organisation's certificates (PEM).",
        )
    return CertificateRefused(
        f"No secure connection came about: {as_said(error.reason or error)}.",
        f"Check that {address} begins with the right one of https:// and http://, and what a proxy does on the way.",
    )


def _kind(status: int | None, code: str, message: str, parameter: str) -> tuple[type[ServiceError], str]:
    if status is None or status < SERVER_FAULT:
        for rule in _RULES:
            if rule.fits(status, code, message, parameter):
                return rule.kind, rule.cure
    if status is None:
        return TurnFailed, "What arrived is above. Run the cell again, or change the question."
    if status >= SERVER_FAULT:
        return (TimedOut, RAISE_THE_LIMIT) if code == "Timeout" else (ServiceError, AGAIN_LATER)
    return Refused, "Change what the message names, then run the cell again."


def _missing_scopes(message: str) -> str:
    """What a restricted key lacks, which is worth saying and is no secret."""
    scopes = re.search(r"missing scopes?:\s*([a-z][a-z_.]+(?:,\s*[a-z][a-z_.]+)*)", message, re.IGNORECASE)
    return f"the key lacks a permission ({scopes[1].rstrip('.')})" if scopes else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
