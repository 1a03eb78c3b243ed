"""What a service, or the way to it, said went wrong → our error, with its cure.

One table for both ways an error comes: an HTTP status, and an event inside a stream whose status was 200. Codes and
words are those of https://platform.openai.com/docs/guides/error-codes and of the threads named below.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant import errors
from ipython_assistant.core.providers import WITHOUT_A_KEY
from ipython_assistant.core.wording import on_one_line
from ipython_assistant.errors import ServiceError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLIENT_FAULT, UNAUTHORIZED, SERVER_FAULT = 400, 401, 500
LONGEST_MESSAGE = 400
# A service that asks for a longer wait is taken to ask for a day: nobody here waits so long, and clocks have an end.
_A_DAY_S = 86_400.0

AGAIN_LATER = "The fault is on the service's side: ask again in a while."
RAISE_THE_LIMIT = "Ask again, or with a longer limit, in seconds: --timeout 900."
CHECK_THE_PROXY = "Check HTTPS_PROXY and what the proxy asks for, then ask again."
CHECK_THE_WAY = "Check the network and {address}, then ask again."
NAME_A_DEPLOYMENT = "At Azure a model is named as its deployment: -m NAME."
CODE_HERE = (
    "Let this machine run the code with that server's model: -m http://HOST/v1/NAME (Ollama: -m ollama/NAME); or ask"
    " without code: --no-code."
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """An error of ours, and what it is known by: any of its codes or statuses, or its words."""

    kind: type[ServiceError]
    cure: str
    codes: str = ""
    statuses: tuple[int, ...] = ()
    words: str = r"(?!)"

    def fits(self, status: int | None, code: str, message: str) -> bool:
        is_known = code in self.codes.split() or status in self.statuses
        return is_known or bool(re.search(self.words, message, re.IGNORECASE))


# What is more particular comes first.
_RULES = (
    _Rule(errors.KeyRefused, "Check {key} where Jupyter is started.", "invalid_api_key", (UNAUTHORIZED,)),
    _Rule(errors.Unreachable, CHECK_THE_PROXY, statuses=(407,)),
    # It has no code of its own: only its text tells. A file that is not found "on container X" is another thing.
    # https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773
    # https://github.com/pydantic/pydantic-ai/issues/7461, https://github.com/BerriAI/litellm/issues/30781
    _Rule(errors.ContainerExpired, "Ask again: the question gets a new container.",
        words=r"\bcontainer\b(?! files?\b)[^.]{0,400}\b(expired|not found|does not exist|was deleted)\b"
        r"|expected container_id|tools\[\d+\]\.container': string too long"),
    # https://github.com/openai/codex/issues/106, https://github.com/egoist/chatwise-releases/issues/1350; llama.cpp and
    # vLLM refuse the parameter in words of their own; "Items are not persisted when `store` is set to false".
    _Rule(errors.TurnNotKept, "Start a conversation of its own: %%assistant --new.", "previous_response_not_found",
        words=r"previous[ _]response|response with id \S+ not found|not persisted|conversation id cannot be used"),
    # https://github.com/compl-ai/compl-ai/issues/20 (Azure)
    _Rule(errors.ContentFiltered,
        "Ask in other words; where the rules are your own organisation's, its administrator can change them.",
        "content_filter content_policy_violation ResponsibleAIPolicyViolation invalid_prompt bio_policy"
        " misalignment_policy_violation image_content_policy_violation",
        words="content management policy|flagged as potentially violating|violates? our usage polic"),
    # https://github.com/dyad-sh/dyad/issues/1672
    _Rule(errors.TooLarge,
        "Start anew with --new, name fewer inputs, or ask for less to be printed; files are not read whole.",
        "context_length_exceeded",
        words=r"exceeds the context window|maximum context length|'input[^']*': string too long"),
    _Rule(errors.QuotaUsedUp, f"See the account's billing page; or {WITHOUT_A_KEY}",
        "insufficient_quota billing_hard_limit_reached billing_not_active", (402,), "exceeded your current quota"),
    _Rule(errors.TooLarge, "Send less: name fewer or smaller inputs, or ask for less at once.", statuses=(413,),
        words=r"request too large|(file|body|payload|content)( size)? (is too large|exceeds)"),
    _Rule(errors.QuotaUsedUp,
        "Delete those you no longer need (%assistant containers --delete), or wait: they end 20 minutes after their"
        " last use.",
        words=r"(maximum number of|too many)( \w+)? containers\b|\bcontainers?\b[^.]*\b(limit|quota)\b[^.]*reached"),
    # https://github.com/Azure-Samples/computer-use/issues/8, https://github.com/CommandCodeAI/command-code/issues/885
    _Rule(errors.ToolNotAllowed,
        "Choose another model with -m, ask the account's administrator to allow it, or ask without: --no-code.",
        words=r"(\btools?\b|code[ _]interpreter|\bcontainers\b).*"
        r"(not (supported|allowed|enabled|available|permitted|executed)|disabled|does not match|zero data retention)"
        r"|(not allowed|disabled|zero data retention).*(\btools?\b|code[ _]interpreter|\bcontainers\b)"
        r"|\bonly\b.*\btools are supported|invalid value:? ['\"`]?code_interpreter"),
    # https://github.com/Aider-AI/aider/issues/604, https://github.com/Aider-AI/aider/issues/2030
    _Rule(errors.ModelUnknown, "Choose another with -m NAME.", "model_not_found DeploymentNotFound",
        words=r"deployment .*does not exist|model ['`\"][^'`\"]*['`\"] (does not exist|not found)"
        r"|does not have access to model|must be verified to"),
    _Rule(errors.RateLimited, "Wait a little, then ask again.", "rate_limit_exceeded too_many_requests", (429,)),
    _Rule(errors.TimedOut, AGAIN_LATER, "Timeout", (408,)),
)  # fmt: skip

# Where another cure helps.
_CURES_AT: Mapping[tuple[str, type[ServiceError]], str] = {
    ("azure", errors.ModelUnknown): NAME_A_DEPLOYMENT,
    ("compatible", errors.ToolNotAllowed): CODE_HERE,
}


def service_error(
    code: str, message: str, *, status: int | None = None, page: bool = False, service: str = "openai", **about: Any
) -> ServiceError:
    """The error for what a `service` said; without a `status` it came in a stream. A web `page` is not quoted."""
    happened, _, cure = message.partition("\n")
    is_the_engines = service == "local" and status is None and bool(happened and cure)
    words = in_one_line(happened if is_the_engines else "" if page else message)
    rules = _RULES if status is None or status < SERVER_FAULT else ()
    rule = next((rule for rule in rules if rule.fits(status, code, words)), _other(status, code))
    if is_the_engines:
        # The engine's own error about a model: what happened, and what to do; a command has no full stop.
        return rule.kind(*(in_one_line(it) + "." * it.endswith(".") for it in (happened, cure)), code=code or None)
    kind, cure = rule.kind, _CURES_AT.get((service, rule.kind), rule.cure)
    if kind is errors.KeyRefused:
        # Services repeat the key here, in whole or in part, and an output is no place for either.
        scopes = re.search(r"missing scopes?:\s*([a-z][a-z_.]+(?:,\s*[a-z][a-z_.]+)*)", words, re.IGNORECASE)
        words = f"the key lacks a permission ({scopes[1].rstrip('.')})" if scopes else "the key was not accepted"
    elif kind is errors.TooLarge:
        words = words or "the request is too large"
    elif page:
        cure = "A proxy or a login page may have answered in its place. " + CHECK_THE_WAY
    subject = "The service gave up" if status is None else f"The service answered {status}"
    says = f"{subject} with a web page." if page and not words else f"{subject}: {words or 'no reason was given'}."
    return kind(says, cure.format(**_settings(service)), status=status, code=code or None, **about)


def _other(status: int | None, code: str) -> _Rule:
    """What stands for an error that no rule knows."""
    if status is None:
        return _Rule(errors.TurnFailed, "What arrived is above. Run the cell again, or change the question.")
    if _CLIENT_FAULT <= status < SERVER_FAULT:
        return _Rule(errors.Refused, "Change what the message names, then run the cell again.")
    return _Rule(errors.TimedOut if code == "Timeout" else ServiceError, AGAIN_LATER)


def incomplete_error(reason: str) -> ServiceError:
    """The error for a response that ended as `incomplete`; the reason is `incomplete_details.reason`."""
    kind = errors.ContentFiltered if reason == "content_filter" else errors.TurnFailed
    cure = "Ask in other words." if kind is errors.ContentFiltered else "Ask for less at once."
    what = in_one_line(reason) or "no reason was given"
    return kind(f"The answer is incomplete: {what}.", f"What arrived is above. {cure}", code=reason or None)


def connection_error(error: BaseException, address: str, service: str = "openai") -> Unreachable:
    """The error for a connection to `address` that could not be made, or broke: what the SDK's transport raised."""
    import httpx2

    names = _settings(service)
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or cause.reason or cause
            cure = f"Check whether {names['address']} begins with https:// or http://. Behind an intercepting proxy, "
            cure += "set SSL_CERT_FILE to a file of your organisation's certificates (PEM)."
            return Unreachable(f"No secure connection could be made: {in_one_line(why)}.", cure)
        if isinstance(cause, httpx2.ProxyError):
            says = f"The proxy did not let the request through: {in_one_line(cause)}."
            return Unreachable(says, CHECK_THE_PROXY)
    made = not any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout) for cause in causes(error))
    what = f"The connection to {address} broke" if made else f"No connection to {address}"
    cure = "Ask again: where the engine has ended, a new one is started." if service == "local" else CHECK_THE_WAY
    return Unreachable(f"{what}: {in_one_line(error.__cause__ or error)}.", cure.format(**names))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds a service asked to wait (RFC 9110, section 10.2.3); None for none, or for a date."""
    wanted = headers.get("retry-after", "").strip()
    is_number = (digits := wanted.replace(".", "", 1)).isascii() and digits.isdecimal()
    return min(float(wanted), _A_DAY_S) if is_number else None


def in_one_line(what: object) -> str:
    """Words from outside as one line of an error: no control characters, no endless page, nothing like a key."""
    text = re.sub(r"\bsk-[\w-]{6,}", "<key>", on_one_line(what))
    if not text and not isinstance(what, str):
        text = type(what).__name__
    return (text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…").rstrip(".")


def causes(error: BaseException) -> list[BaseException]:
    """An error and those that led to it, each once: they may lead in a circle."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _settings(service: str) -> dict[str, str]:
    """What a cure calls the key and the address of a service."""
    if service == "azure":
        return {"key": "AZURE_OPENAI_API_KEY", "address": "AZURE_OPENAI_ENDPOINT"}
    return {"key": "OPENAI_API_KEY", "address": "OPENAI_BASE_URL"}
