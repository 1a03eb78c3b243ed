"""A live service, through the SDK's raw responses: its authentication, base URL and proxies, but none of its types.

The SDK is imported inside `connect`, since that takes a second or two and `%load_ext` must not.
"""

from __future__ import annotations

import contextlib
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ipython_assistant.core.redaction import redactor
from ipython_assistant.errors import (
    AssistantError,
    ConfigError,
    ContainerLimit,
    KeyRefused,
    NoKey,
    QuotaUsedUp,
    RateLimited,
    Refused,
    ServiceError,
    TimedOut,
    Unreachable,
)
from ipython_assistant.service.faults import (
    AGAIN_LATER,
    RAISE_THE_LIMIT,
    causes,
    connection_error,
    file_not_served,
    in_one_line,
    retry_after_s,
    service_error,
)
from ipython_assistant.service.raw_body import cut, raw_body
from ipython_assistant.service.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from openai import OpenAI

    from ipython_assistant.core.turn import Json

ASKED_OF_THE_ENVIRONMENT = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY",
    "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""What a hosted connection is made of: with another value it is another connection."""
QUESTION_TRIES = 3
LONGEST_WAIT_S = 60.0
CONNECT_S = 10.0
"""Seconds for a connection to be made."""
QUICK_S = 30.0
"""Seconds without a byte after which a listing, a new container or a deletion is given up."""


class LiveWire:
    """The seam over an `openai` client.

    Args:
        client: The client to ask with.
        identity: Names the service down to the process.
        service: `openai` (also for compatible servers), `azure` or `local`: decides what cures speak of.
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
        # What is answered at once by a service that is well: nobody waits for it as long as for an answer.
        self._quick = client.with_options(timeout=limits(min(QUICK_S, _read_limit_s(client))))
        self.identity = identity
        self.address = without_password(str(client.base_url))
        self._is_compatible = service == "openai" and client.base_url.host != "api.openai.com"
        self.service = service
        self._sleep = sleep
        self._clock = clock
        # A service, or a proxy, may repeat what it was sent.
        self._redact = redactor([client.api_key, getattr(client, "_azure_ad_token", None) or ""])

    def once(self) -> LiveWire:
        """The same service, asked without the SDK's retries: to learn whether it answers at all."""
        return LiveWire(
            self._once, self.identity, self.service, sleep=self._sleep, clock=self._clock, plain=self._plain
        )

    def respond(self, request: Json, on_wait: Callable[[float], None] = lambda _seconds: None) -> Reply:
        """Ask; tried again only where nothing can have run: 429 and refused connections."""
        responses = self._once.responses.with_streaming_response
        for attempt in range(1, QUESTION_TRIES + 1):
            try:
                return self._open("the answer", self._once, lambda: responses.create(**request))
            except (RateLimited, Unreachable) as error:
                wait_s = _wait_before_retry(error, attempt)
                if attempt == QUESTION_TRIES or wait_s is None:
                    raise
                on_wait(wait_s)
                self._sleep(wait_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def retrieve(self, response_id: str) -> Reply:
        """A response that has been answered, by `GET /responses/{id}`."""
        responses = self._quick.responses.with_streaming_response
        outputs: list[Any] = ["code_interpreter_call.outputs"]
        return self._open("the response", self._quick, lambda: responses.retrieve(response_id, include=outputs))

    def create_container(self, body: Json) -> Reply:
        """Make a container, by `POST /containers`."""
        containers = self._quick.containers.with_streaming_response
        return self._open("a new container", self._quick, lambda: containers.create(**body))

    def delete_container(self, container_id: str) -> Reply:
        """Delete a container, by `DELETE /containers/{id}`; tried once."""
        containers = self._quick.with_options(max_retries=0).containers.with_streaming_response
        return self._open("a container to be deleted", self._quick, lambda: containers.delete(container_id))

    def upload(self, container_id: str, name: str, path: Path) -> Reply:
        """Put a file into a container, by `POST /containers/{id}/files`, streamed from disk."""
        files = self._client.containers.files.with_streaming_response
        with path.open("rb") as file:
            given = (name, file, "application/octet-stream")
            return self._open(f"the upload of {name}", self._client, lambda: files.create(container_id, file=given))

    def upload_file(self, name: str, path: Path) -> Reply:
        """Make a file of the service, by `POST /files`, streamed from disk; Azure takes it as for its assistants."""
        files = self._client.files.with_streaming_response
        purpose: Any = "assistants" if self.service == "azure" else "user_data"
        with path.open("rb") as file:
            given = (name, file, "application/octet-stream")
            return self._open(f"the upload of {name}", self._client, lambda: files.create(file=given, purpose=purpose))

    def list_containers(self, after: str | None) -> Reply:
        """One page of the containers, by `GET /containers`."""
        page: dict[str, Any] = {"limit": 100, **({"after": after} if after else {})}
        containers = self._quick.containers.with_streaming_response
        return self._open("the list of containers", self._quick, lambda: containers.list(**page))

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """One page of a container's files, newest first, by `GET /containers/{id}/files`."""
        page: dict[str, Any] = {"limit": 100, "order": "desc", **({"after": after} if after else {})}
        files = self._quick.containers.files.with_streaming_response
        return self._open("the container's list of files", self._quick, lambda: files.list(container_id, **page))

    def content(self, container_id: str, file_id: str, start: int = 0, etag: str = "") -> Reply:
        """The bytes of a file, by `GET /containers/{id}/files/{file}/content`; tried once, `downloads` tries again."""
        # Compressed bytes could be neither counted nor resumed.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        if start and etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
        content = self._once.containers.files.content.with_streaming_response
        wanted: dict[str, Any] = {"container_id": container_id, "extra_headers": headers}
        try:
            return self._open("a file", self._once, lambda: content.retrieve(file_id, **wanted))
        except ServiceError as error:
            if self.service != "azure":
                raise
            raise file_not_served(error) from error

    def model(self, name: str) -> Reply:
        """What the service says of a model, by `GET /models/{name}`; without a name, the list of its models."""
        models = self._quick.models.with_streaming_response
        return self._open("a model's name", self._quick, lambda: models.retrieve(name) if name else models.list())

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _open(self, what: str, client: OpenAI, call: Callable[[], AbstractContextManager[Any]]) -> Reply:
        own_errors = partial(self._own_errors, what, client)
        with contextlib.ExitStack() as stack, own_errors():
            response = stack.enter_context(call())
            stack.callback(cut, response.http_response)
            close = stack.pop_all().close

        def chunks() -> Iterator[bytes]:
            # No chunk size: the SDK would cut and join the bytes once more for it.
            with own_errors():
                yield from response.iter_bytes()

        body = raw_body(response.http_response) if self._plain else None

        def read_into(room: memoryview) -> int:
            with own_errors():
                return body.read_into(room) if body is not None else 0

        reader = read_into if body is not None else None
        return Reply(response.status_code, dict(response.headers), chunks(), close, reader)

    @contextlib.contextmanager
    def _own_errors(self, what: str, client: OpenAI) -> Iterator[None]:
        """Turn what the SDK or its transport raises inside into an error of ours; `what` was being waited for."""
        import httpx2
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            # The SDK's own error quotes the body, and the body may quote the key: a stack must not show it.
            raise self._from_status(error) from None
        except (openai.APIConnectionError, httpx2.RequestError, OSError) as error:
            for cause in causes(error):
                if isinstance(cause, AssistantError):
                    raise cause from None
            if _is_timeout(error):
                cure = AGAIN_LATER if client is self._quick else RAISE_THE_LIMIT
                waited_s = _read_limit_s(client)
                raise TimedOut(f"Nothing came for {waited_s:g} s while waiting for {what}.", cure) from error
            raise connection_error(error, self.address, self.service) from error
        except RuntimeError as error:
            if type(error) is RuntimeError and "closed" in str(error):
                # Another thread was still asking when the session ended.
                raise Unreachable("The connection to the service was closed.") from error
            raise

    def _from_status(self, error: Any) -> ServiceError:
        # Compatible servers put a text where the service puts an object, or use FastAPI's own `detail`.
        said = error.body if isinstance(error.body, dict) else {"message": error.body or ""}
        code, message = said.get("code"), said.get("message") or said.get("detail")
        return service_error(
            code if isinstance(code, str) else "",
            self._redact(str(message or "" if "message" in said or "detail" in said else said)),
            status=int(error.status_code),
            page=bool(error.body) and "html" in error.response.headers.get("content-type", ""),
            parameter=str(said.get("param") or ""),
            service="compatible" if self._is_compatible else self.service,
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
        ConfigError: A proxy or certificate setting of the environment cannot be used.
    """
    key = _key(environment, "openai", "OPENAI_API_KEY")
    import openai

    client = openai.OpenAI(
        api_key=key,
        base_url=environment.get("OPENAI_BASE_URL") or None,
        organization=environment.get("OPENAI_ORG_ID") or None,
        project=environment.get("OPENAI_PROJECT_ID") or None,
        timeout=limits(timeout_s),
        http_client=_transport(),
    )
    return LiveWire(client, f"openai {client.base_url}")


def connect_azure(environment: Mapping[str, str], timeout_s: float) -> LiveWire:
    """Azure OpenAI by key or Entra ID: its v1 API, or a dated one where OPENAI_API_VERSION names it.

    https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: the v1 API is asked by the SDK's ordinary
    client, a dated one by its Azure client. Either way the model is the name of a deployment.

    Raises:
        NoKey: No AZURE_OPENAI_API_KEY, no AZURE_OPENAI_AD_TOKEN, and azure-identity is not installed.
        ConfigError: No AZURE_OPENAI_ENDPOINT, or one that is not an address; or a proxy or certificate setting of the
            environment cannot be used.
    """
    version = environment.get("OPENAI_API_VERSION", "").strip()
    dated = version not in {"", "v1", "latest", "preview"}
    credential = _azure_credential(environment, dated=dated)
    root = _azure_root(environment.get("AZURE_OPENAI_ENDPOINT", ""))
    import openai

    common: dict[str, Any] = {
        **credential,
        "timeout": limits(timeout_s),
        "default_headers": _without_openai_account(),
        "http_client": _transport(),
    }
    client: openai.OpenAI
    if not dated:
        query = {"api-version": "preview"} if version == "preview" else None
        client = openai.OpenAI(base_url=f"{root}/openai/v1/", default_query=query, **common)
    else:
        client = openai.AzureOpenAI(azure_endpoint=root, api_version=version, **common)
    return LiveWire(client, f"azure {client.base_url}", "azure")


def connect_local(base_url: str, token: str, timeout_s: float) -> LiveWire:
    """The embedded engine at `base_url`. Proxies and the hosted service's settings do not apply to it."""
    import openai

    client = openai.OpenAI(
        api_key=token,
        base_url=base_url,
        timeout=limits(timeout_s),
        default_headers=_without_openai_account(),
        http_client=_transport(trust_env=False),
    )
    return LiveWire(client, f"local {base_url}", "local")


def limits(read_s: float) -> Any:
    """The time-outs of a request: so many seconds without a byte, and `CONNECT_S` for the connection."""
    import httpx2

    return httpx2.Timeout(read_s, connect=min(CONNECT_S, read_s))


def without_password(address: str) -> str:
    """An address as it may be shown.

    >>> without_password("https://user:secret@example.org:8000/v1/?key=x")
    'https://example.org:8000/v1'
    """
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _transport(*, trust_env: bool = True) -> Any:
    """The SDK's transport, with what the environment says of proxies and certificates."""
    import openai

    try:
        return openai.DefaultHttpxClient(trust_env=trust_env, event_hooks={"response": [_refuse_redirect]})
    except ImportError as error:
        raise ConfigError(
            "The proxy of this environment is a SOCKS proxy, and the package socksio is missing.",
            "Run `pip install socksio`, or take the proxy out of ALL_PROXY and HTTPS_PROXY.",
        ) from error
    except (OSError, ValueError) as error:
        names = (
            "SSL_CERT_FILE or SSL_CERT_DIR" if isinstance(error, OSError) else "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
        )
        raise ConfigError(
            f"No connection can be set up: {in_one_line(error)}.", f"Correct {names} where Jupyter is started."
        ) from error


def _refuse_redirect(response: Any) -> None:
    """A question, its inputs and its files go to the address that was set, and to no other host."""
    target = response.headers.get("location", "")
    host = urlsplit(target).netloc.rpartition("@")[2]
    if (
        response.has_redirect_location
        and response.request.method != "GET"
        and host not in {"", response.url.netloc.decode()}
    ):
        raise Refused(
            f"The service sent the question on to another address, {without_password(target)}; it was not sent there.",
            "If you trust that address, set it as the service's address.",
            status=response.status_code,
        )


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


def _azure_credential(environment: Mapping[str, str], *, dated: bool) -> dict[str, Any]:
    """How the SDK's client proves who asks: by key, by a token of Entra ID, or by what azure-identity finds.

    The v1 API takes a token where a key would stand; the Azure client of dated APIs has arguments for it.
    https://learn.microsoft.com/azure/foundry/openai/how-to/managed-identity
    """
    key = environment.get("AZURE_OPENAI_API_KEY", "").strip()
    token = environment.get("AZURE_OPENAI_AD_TOKEN", "").strip()
    if key:
        return {"api_key": key}
    if token:
        return {"azure_ad_token" if dated else "api_key": token}
    try:
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError:
        raise NoKey(
            "The service is 'azure' and there is neither AZURE_OPENAI_API_KEY nor AZURE_OPENAI_AD_TOKEN.",
            "Set one where Jupyter is started, or install azure-identity to sign in with Entra ID.",
        ) from None
    ask = get_bearer_token_provider(DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default")

    def entra_id() -> str:
        try:
            return str(ask())
        except Exception as error:
            raise KeyRefused(
                f"Entra ID gave no token: {in_one_line(error)}.",
                "Sign in with `az login`, or set AZURE_OPENAI_API_KEY.",
            ) from error

    return {"azure_ad_token_provider" if dated else "api_key": entra_id}


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


def _is_timeout(error: BaseException) -> bool:
    """Whether nothing came for too long. A connection that was not made in time is another thing."""
    import httpx2

    chain = list(causes(error))
    if any(isinstance(cause, httpx2.ConnectTimeout) for cause in chain):
        return False
    return any(isinstance(cause, httpx2.TimeoutException | TimeoutError) for cause in chain)


def _read_limit_s(client: OpenAI) -> float:
    """Seconds without a byte after which the client gives up; a user's own client may have no limit."""
    timeout = client.timeout
    limit = timeout if isinstance(timeout, int | float | None) else timeout.read
    return limit if limit is not None else math.inf


def _wait_before_retry(error: ServiceError, attempt: int) -> float | None:
    """Seconds to wait, or None where trying again is pointless or could run the code twice."""
    import httpx2

    if isinstance(error, QuotaUsedUp | ContainerLimit):
        return None
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s if error.retry_after_s is not None else 2.0**attempt
        return wait_s if wait_s <= LONGEST_WAIT_S else None
    # A proxy or a certificate that refused once will refuse again.
    refused = type(error) is Unreachable and any(isinstance(cause, httpx2.ConnectError) for cause in causes(error))
    return 0.5 * attempt if refused else None
