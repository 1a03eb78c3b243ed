"""A live service, through the SDK's raw responses: its authentication, base URL and proxies, but none of its types.

The SDK is imported inside `connect`, since that takes a second or two and `%load_ext` must not.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec

from ipython_assistant.core.redaction import redactor
from ipython_assistant.errors import ConfigError, NoKey, QuotaUsedUp, RateLimited, ServiceError, TimedOut, Unreachable
from ipython_assistant.service.faults import RAISE_THE_LIMIT, failure, lost, not_served, retry_after_s
from ipython_assistant.service.straight import cut, straight
from ipython_assistant.service.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from openai import OpenAI

    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.pouring import Pour
    from ipython_assistant.service.straight import Body

ASKED_OF_THE_ENVIRONMENT = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""What a hosted connection is made of: with another value it is another connection."""
_Given = ParamSpec("_Given")
QUESTION_TRIES = 3
LONGEST_WAIT_S = 60.0


class LiveWire:
    """The seam over an `openai` client.

    Args:
        client: The client to ask with.
        identity: Names the service down to the process.
        service: `openai` (or whatever is compatible with it), `azure` or `local`: what cures speak of.
        sleep: Waits so many seconds (a test passes its own).
        clock: Seconds since the epoch, for a `Retry-After` that is a date.
        plain: Whether the client's transport is the SDK's own, so that a body can be read past it.
    """

    def __init__(
        self,
        client: OpenAI,
        identity: str,
        service: str = "openai",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        plain: bool = True,
    ) -> None:
        self._client = client
        self._plain = plain
        # The SDK would ask the question again after a time-out or a 5xx, and the code might run twice.
        self._once = client.with_options(max_retries=0)
        self.identity = identity
        self.service = service
        self._sleep = sleep
        self._clock = clock
        # A service, or a proxy, may repeat what it was sent.
        self._redact = redactor([client.api_key])

    def once(self) -> LiveWire:
        """The same service, asked without the SDK's retries: for somebody who wants to know, not to succeed."""
        return LiveWire(
            self._once, self.identity, self.service, sleep=self._sleep, clock=self._clock, plain=self._plain
        )

    def respond(self, request: Json) -> Reply:
        """Ask; tried again only where nothing can have run: 429 and refused connections."""
        for attempt in range(1, QUESTION_TRIES + 1):
            try:
                return self._open(lambda: self._once.responses.with_streaming_response.create(**request))
            except (RateLimited, Unreachable) as error:
                wait_s = _wait_before_retry(error, attempt)
                if attempt == QUESTION_TRIES or wait_s is None:
                    raise
                self._sleep(wait_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def create_container(self, body: Json) -> Reply:
        """See `Wire`."""
        return self._open(lambda: self._client.containers.with_streaming_response.create(**body))

    def delete_container(self, container_id: str) -> Reply:
        """See `Wire`."""
        return self._open(lambda: self._once.containers.with_streaming_response.delete(container_id))

    def upload(self, container_id: str, name: str, path: Path) -> Reply:
        """See `Wire`."""
        with path.open("rb") as file:
            files = self._client.containers.files.with_streaming_response
            return self._open(lambda: files.create(container_id, file=(name, file, "application/octet-stream")))

    def list_containers(self, after: str | None) -> Reply:
        """See `Wire`."""
        page: dict[str, Any] = {"after": after} if after else {}
        return self._open(lambda: self._client.containers.with_streaming_response.list(limit=100, **page))

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """See `Wire`."""
        page: dict[str, Any] = {"after": after} if after else {}
        files = self._client.containers.files.with_streaming_response
        return self._open(lambda: files.list(container_id, limit=100, order="asc", **page))

    def content(self, container_id: str, file_id: str, start: int = 0) -> Reply:
        """See `Wire`. Tried once: the downloads have their own manners."""
        # Compressed bytes could be neither counted nor resumed.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        content = self._once.containers.files.content.with_streaming_response
        try:
            return self._open(lambda: content.retrieve(file_id, container_id=container_id, extra_headers=headers))
        except ServiceError as error:
            if self.service != "azure":
                raise
            raise not_served(error) from error

    def model(self, name: str) -> Reply:
        """`GET /models/{name}`: whether the service knows a model, and this key may use it."""
        return self._open(lambda: self._client.models.with_streaming_response.retrieve(name))

    def close(self) -> None:
        """See `Wire`."""
        self._client.close()

    def _open(self, call: Callable[[], AbstractContextManager[Any]]) -> Reply:
        with contextlib.ExitStack() as stack, self._own_errors():
            response = stack.enter_context(call())
            stack.callback(cut, response.http_response)
            close = stack.pop_all().close
        reply = Reply(response.status_code, dict(response.headers), self._chunks(response), close)
        body = straight(response.http_response) if self._plain else None
        if body is None:
            return reply
        return replace(
            reply,
            read_into=self._in_own_errors(body.read_into),
            pouring=self._poured(body) if body.pours else None,
        )

    def _poured(self, body: Body) -> Callable[[], AbstractContextManager[Pour]]:
        @contextlib.contextmanager
        def pouring() -> Iterator[Pour]:
            with contextlib.ExitStack() as stack:
                with self._own_errors():  # not around what is done with it: a full disk is no fault of the service
                    pour = stack.enter_context(body.pouring())
                yield self._in_own_errors(pour)

        return pouring

    def _in_own_errors(self, call: Callable[_Given, int]) -> Callable[_Given, int]:
        def inside(*given: _Given.args, **named: _Given.kwargs) -> int:
            with self._own_errors():
                return call(*given, **named)

        return inside

    def _chunks(self, response: Any) -> Iterator[bytes]:
        # No chunk size: the SDK would cut and join the bytes once more for it.
        with self._own_errors():
            yield from response.iter_bytes()

    @contextlib.contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Whatever the SDK or its transport raises inside comes out as one of ours."""
        import httpx2
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            # The SDK's own error quotes the body, and the body may quote the key: a stack must not show it.
            raise self._from_status(error) from None
        except (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError) as error:
            raise TimedOut("No byte came from the service for too long.", RAISE_THE_LIMIT) from error
        except RuntimeError as error:
            # Another thread was still asking when the session ended.
            raise Unreachable("The connection to the service was closed.") from error
        except (openai.APIConnectionError, httpx2.RequestError, OSError) as error:
            raise lost(error, self.service) from error

    def _from_status(self, error: Any) -> ServiceError:
        # Compatible servers put a text where the service puts an object, or use FastAPI's own `detail`.
        said = error.body if isinstance(error.body, dict) else {"message": error.body}
        code = said.get("code")
        return failure(
            code if isinstance(code, str) else "",
            self._redact(str(said.get("message") or said.get("detail") or error.message)),
            status=int(error.status_code),
            page="html" in error.response.headers.get("content-type", ""),
            parameter=str(said.get("param") or ""),
            service=self.service,
            request_id=error.request_id,
            retry_after_s=retry_after_s(error.response.headers, self._clock()),
        )


def import_sdk() -> None:
    """Import the SDK now, where there is something else to wait for anyway."""
    import openai  # noqa: F401 the import is the point


def over_client(client: OpenAI) -> LiveWire:
    """The service a user's own client asks."""
    import openai

    service = "azure" if isinstance(client, openai.AzureOpenAI) or _is_azure(str(client.base_url)) else "openai"
    return LiveWire(client, f"client {client.base_url}", service, plain=False)


def connect_hosted(environment: Mapping[str, str], timeout_s: float) -> LiveWire:
    """The OpenAI service, or a compatible one at OPENAI_BASE_URL.

    Raises:
        NoKey: No OPENAI_API_KEY.
    """
    key = _key(environment, "openai", "OPENAI_API_KEY")
    import openai

    client = openai.OpenAI(
        api_key=key,
        base_url=environment.get("OPENAI_BASE_URL") or None,
        organization=environment.get("OPENAI_ORG_ID") or None,
        project=environment.get("OPENAI_PROJECT_ID") or None,
        timeout=timeout_s,
    )
    return LiveWire(client, f"openai {client.base_url}")


def connect_azure(environment: Mapping[str, str], timeout_s: float) -> LiveWire:
    """Azure OpenAI by key: its v1 API, or a dated one where OPENAI_API_VERSION names it.

    https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: the v1 API is asked by the SDK's ordinary
    client, a dated one by its Azure client. Either way the model is the name of a deployment.

    Raises:
        NoKey: No AZURE_OPENAI_API_KEY.
        ConfigError: No AZURE_OPENAI_ENDPOINT, or one that is no address.
    """
    key = _key(environment, "azure", "AZURE_OPENAI_API_KEY")
    root = _azure_root(environment.get("AZURE_OPENAI_ENDPOINT", ""))
    version = environment.get("OPENAI_API_VERSION", "").strip()
    import openai

    client: openai.OpenAI
    if version and version not in {"v1", "preview", "latest"}:
        client = openai.AzureOpenAI(
            api_key=key,
            azure_endpoint=root,
            api_version=version,
            timeout=timeout_s,
            default_headers=_without_openai_account(),
        )
    else:
        client = openai.OpenAI(
            api_key=key,
            base_url=f"{root}/openai/v1/",
            timeout=timeout_s,
            default_headers=_without_openai_account(),
        )
    return LiveWire(client, f"azure {client.base_url}", "azure")


def connect_local(base_url: str, token: str, timeout_s: float) -> LiveWire:
    """The embedded engine at `base_url`. Proxies and the hosted service's settings do not apply to it."""
    import openai

    client = openai.OpenAI(
        api_key=token,
        base_url=base_url,
        timeout=timeout_s,
        default_headers=_without_openai_account(),
        http_client=openai.DefaultHttpxClient(trust_env=False),
    )
    return LiveWire(client, f"local {base_url}", "local")


def _without_openai_account() -> dict[str, Any]:
    """Headers without these two: the SDK takes them from the environment unless they are omitted explicitly."""
    import openai

    unset: Any = openai.Omit()
    return {"OpenAI-Organization": unset, "OpenAI-Project": unset}


def _key(environment: Mapping[str, str], service: str, name: str) -> str:
    key = environment.get(name, "").strip()
    if not key:
        raise NoKey(
            f"The service is '{service}' and there is no {name}.",
            'Set it where Jupyter is started, or work without one: `%config AssistantMagics.service = "local"`.',
        )
    return key


def _azure_root(endpoint: str) -> str:
    """The resource's own address, however much of the API's path was pasted with it.

    >>> _azure_root("https://ours.openai.azure.com/openai/v1/")
    'https://ours.openai.azure.com'
    """
    root = endpoint.strip().partition("?")[0].rstrip("/")
    if not root.startswith(("https://", "http://")):
        raise ConfigError(
            f"AZURE_OPENAI_ENDPOINT is {endpoint!r}." if root else "There is no AZURE_OPENAI_ENDPOINT.",
            "Set it to the resource's address, as in https://NAME.openai.azure.com.",
        )
    for path in ("/openai/v1", "/openai"):
        root = root.removesuffix(path)
    return root


def _is_azure(base_url: str) -> bool:
    return ".azure.com" in base_url or ".azure.us" in base_url


def _wait_before_retry(error: ServiceError, attempt: int) -> float | None:
    """Seconds to wait, or None where trying again is pointless or could run the code twice."""
    import httpx2

    if isinstance(error, QuotaUsedUp):
        return None
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s if error.retry_after_s is not None else 2.0**attempt
        return wait_s if wait_s <= LONGEST_WAIT_S else None
    # A proxy or a certificate that refused once will refuse again.
    cause = error.__cause__ if type(error) is Unreachable else None
    while cause is not None and not isinstance(cause, httpx2.ConnectError):
        cause = cause.__cause__
    return 0.5 * attempt if cause is not None else None
