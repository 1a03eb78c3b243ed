"""A live service, through the SDK's raw responses: its authentication, base URL and proxies, but none of its types.

The SDK is imported inside `connect`, since that takes a second or two and `%load_ext` must not.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from ipython_assistant.errors import (
    ConfigError,
    ContainerExpired,
    RateLimited,
    Refused,
    ServiceError,
    TimedOut,
    Unreachable,
)
from ipython_assistant.service.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from openai import OpenAI

    from ipython_assistant.core.turn import Json

ASKED_OF_THE_ENVIRONMENT = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
"""What a hosted connection is made of: with another value it is another connection."""
QUESTION_TRIES = 3
LONGEST_WAIT_S = 60.0


class LiveWire:
    """The seam over an `openai` client.

    Args:
        client: The client to ask with.
        identity: Names the service down to the process.
        sleep: Waits so many seconds (a test passes its own).
    """

    def __init__(self, client: OpenAI, identity: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        # The SDK would ask the question again after a time-out or a 5xx, and the code might run twice.
        self._once = client.with_options(max_retries=0)
        self.identity = identity
        self._sleep = sleep

    def respond(self, request: Json) -> Reply:
        """Ask; tried again only where nothing can have run: 429 and refused connections."""
        for attempt in range(1, QUESTION_TRIES + 1):
            try:
                return _open(lambda: self._once.responses.with_streaming_response.create(**request))
            except (RateLimited, Unreachable) as error:
                wait_s = _wait_before_retry(error, attempt)
                if attempt == QUESTION_TRIES or wait_s is None:
                    raise
                self._sleep(wait_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def create_container(self, body: Json) -> Reply:
        """See `Wire`."""
        return _open(lambda: self._client.containers.with_streaming_response.create(**body))

    def delete_container(self, container_id: str) -> Reply:
        """See `Wire`."""
        return _open(lambda: self._once.containers.with_streaming_response.delete(container_id))

    def upload(self, container_id: str, name: str, path: Path) -> Reply:
        """See `Wire`."""
        with path.open("rb") as file:
            files = self._client.containers.files.with_streaming_response
            return _open(lambda: files.create(container_id, file=(name, file, "application/octet-stream")))

    def list_containers(self, after: str | None) -> Reply:
        """See `Wire`."""
        page: dict[str, Any] = {"after": after} if after else {}
        return _open(lambda: self._client.containers.with_streaming_response.list(limit=100, **page))

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """See `Wire`."""
        page: dict[str, Any] = {"after": after} if after else {}
        files = self._client.containers.files.with_streaming_response
        return _open(lambda: files.list(container_id, limit=100, order="asc", **page))

    def content(self, container_id: str, file_id: str, start: int = 0) -> Reply:
        """See `Wire`. Tried once: the downloads have their own manners."""
        # Compressed bytes could be neither counted nor resumed.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        content = self._once.containers.files.content.with_streaming_response
        return _open(lambda: content.retrieve(file_id, container_id=container_id, extra_headers=headers))

    def close(self) -> None:
        """See `Wire`."""
        self._client.close()


def import_sdk() -> None:
    """Import the SDK now, where there is something else to wait for anyway."""
    import openai  # noqa: F401 the import is the point


def over_client(client: OpenAI) -> LiveWire:
    """The service a user's own client asks."""
    return LiveWire(client, identity=f"client {client.base_url}")


def connect_hosted(environment: Mapping[str, str], timeout_s: float) -> LiveWire:
    """The OpenAI service, or a compatible one at OPENAI_BASE_URL.

    Raises:
        ConfigError: No OPENAI_API_KEY.
    """
    if not environment.get("OPENAI_API_KEY"):
        raise ConfigError(
            "The service is 'openai' and there is no OPENAI_API_KEY.",
            'Set it where Jupyter is started, or work without one: `%config AssistantMagics.service = "local"`.',
        )
    import openai

    client = openai.OpenAI(timeout=timeout_s)
    return LiveWire(client, identity=f"openai {client.base_url}")


def connect_local(base_url: str, token: str, timeout_s: float) -> LiveWire:
    """The embedded engine at `base_url`. Proxies and the hosted service's settings do not apply to it."""
    import openai

    unset: Any = openai.Omit()  # the SDK takes these two from the environment unless they are omitted explicitly
    client = openai.OpenAI(
        api_key=token,
        base_url=base_url,
        timeout=timeout_s,
        default_headers={"OpenAI-Organization": unset, "OpenAI-Project": unset},
        http_client=openai.DefaultHttpxClient(trust_env=False),
    )
    return LiveWire(client, identity=f"local {base_url}")


def _open(call: Callable[[], AbstractContextManager[Any]]) -> Reply:
    with contextlib.ExitStack() as stack, _own_errors():
        response = stack.enter_context(call())
        close = stack.pop_all().close
    return Reply(response.status_code, dict(response.headers), _chunks(response), close)


def _chunks(response: Any) -> Iterator[bytes]:
    # No chunk size: the SDK would cut and join the bytes once more for it.
    with _own_errors():
        yield from response.iter_bytes()


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """Whatever the SDK or its transport raises inside comes out as one of ours."""
    import httpx2
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise _from_status(error) from error
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise TimedOut(
            "No byte came from the service for too long.",
            "Run the cell again, or raise the limit: `%config AssistantMagics.timeout = 900`.",
        ) from error
    except RuntimeError as error:
        # Another thread was still asking when the session ended.
        raise Unreachable("The connection to the service was closed.") from error
    except (openai.APIConnectionError, httpx2.RequestError) as error:
        cause = error.__cause__ or error
        raise Unreachable(
            f"The connection to the service failed: {_one_line(cause)}.",
            "Check the network and OPENAI_BASE_URL, then run the cell again.",
        ) from error


def _from_status(error: Any) -> ServiceError:
    body = error.body if isinstance(error.body, dict) else {}
    message, code = str(body.get("message") or error.message), body.get("code")
    if error.status_code == 401:  # noqa: PLR2004 HTTP's own number
        # Services repeat the key here, in whole or in part, and an output is no place for either.
        message = "the key was not accepted"
    kind, hint = _kind(int(error.status_code), message, code)
    return kind(
        f"The service answered {error.status_code}: {_one_line(message)}",
        hint,
        status=int(error.status_code),
        code=code if isinstance(code, str) else None,
        request_id=error.request_id,
        retry_after_s=_retry_after(error.response.headers.get("retry-after", "")),
    )


def _retry_after(header: str) -> float | None:
    """Seconds of a Retry-After header; its other form, a date, is not used by the service."""
    return float(header) if header.replace(".", "", 1).isdigit() else None


def _kind(status: int, message: str, code: object) -> tuple[type[ServiceError], str]:
    if status == 429:  # noqa: PLR2004 HTTP's own number
        if code == "insufficient_quota":
            return RateLimited, "The account's quota is used up: see its billing page."
        return RateLimited, "Wait a little, then run the cell again."
    if status == 401:  # noqa: PLR2004 HTTP's own number
        return Refused, "Check OPENAI_API_KEY where Jupyter is started."
    # The error has no code of its own: only its text tells.
    # https://community.openai.com/t/container-is-expired-error-in-openai-responses-api-stream/1321773
    if status in {400, 404} and ("Container is expired" in message or "Expected container_id" in message):
        return ContainerExpired, "Run the cell again: it gets a new container."
    if code == "model_not_found":
        return Refused, "Choose another with -m NAME, or `%config AssistantMagics.model = ...`."
    if status >= 500:  # noqa: PLR2004 HTTP's own number
        return ServiceError, "The fault is on the service's side: run the cell again in a while."
    return Refused, "Change what the message names, then run the cell again."


def _wait_before_retry(error: ServiceError, attempt: int) -> float | None:
    """Seconds to wait, or None where trying again is pointless or could run the code twice."""
    import httpx2

    cause: BaseException | None = error.__cause__
    if isinstance(error, RateLimited):
        if error.code == "insufficient_quota":
            return None
        wait_s = error.retry_after_s if error.retry_after_s is not None else 2.0**attempt
        return wait_s if wait_s <= LONGEST_WAIT_S else None
    while cause is not None and not isinstance(cause, httpx2.ConnectError):
        cause = cause.__cause__
    return 0.5 * attempt if cause is not None else None


def _one_line(what: object) -> str:
    text = " ".join(str(what).split()) or type(what).__name__
    return text.rstrip(".")
