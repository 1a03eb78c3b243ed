"""Which client asks which service: its key, its address, and what the environment says of proxies and certificates."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ipython_assistant.core.providers import WITHOUT_A_KEY
from ipython_assistant.errors import ConfigError, KeyRefused, NoKey, Refused
from ipython_assistant.service.client import LoopbackClient, Wire, limits, without_password
from ipython_assistant.service.faults import in_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI

ASKED_OF_THE_ENVIRONMENT = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY",
    "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""What a hosted connection is made of: with another value it is another connection."""


def over_client(client: OpenAI) -> Wire:
    """The service a user's own client asks."""
    import openai

    address = str(client.base_url)
    is_azure = isinstance(client, openai.AzureOpenAI) or ".azure.com" in address or ".azure.us" in address
    return Wire(client, f"client {address}", "azure" if is_azure else "openai", plain=False)


def connect_hosted(environment: Mapping[str, str], timeout_s: float) -> Wire:
    """The OpenAI service, or a compatible one at OPENAI_BASE_URL. Raises `NoKey`, or `ConfigError` as `_transport`."""
    key, address = environment.get("OPENAI_API_KEY", "").strip(), environment.get("OPENAI_BASE_URL", "")
    if not key:
        cure = f"Set it where Jupyter is started; or {WITHOUT_A_KEY}"
        raise NoKey("The service is 'openai' and there is no OPENAI_API_KEY.", cure)
    import openai

    client = openai.OpenAI(
        api_key=key,
        base_url=address or None,
        organization=environment.get("OPENAI_ORG_ID") or None,
        project=environment.get("OPENAI_PROJECT_ID") or None,
        timeout=limits(timeout_s),
        http_client=_transport(address),
    )
    return Wire(client, f"openai {client.base_url}")


def connect_azure(environment: Mapping[str, str], timeout_s: float) -> Wire:
    """Azure OpenAI by key or Entra ID: its v1 API, or a dated one where OPENAI_API_VERSION names it.

    https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle. Raises `NoKey`, or `ConfigError` where
    AZURE_OPENAI_ENDPOINT is no address.
    """
    version = environment.get("OPENAI_API_VERSION", "").strip()
    dated = version not in {"", "v1", "latest", "preview"}
    credential = _azure_credential(environment, dated=dated)
    root = _azure_root(environment.get("AZURE_OPENAI_ENDPOINT", ""))
    import openai

    # Without OpenAI's account, which the SDK takes from the environment.
    headers = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    common: dict[str, Any] = {**credential, "default_headers": headers}
    common |= {"timeout": limits(timeout_s), "http_client": _transport(root)}
    client: openai.OpenAI
    if dated:
        client = openai.AzureOpenAI(azure_endpoint=root, api_version=version, **common)
    else:
        query = {"api-version": "preview"} if version == "preview" else None
        client = openai.OpenAI(base_url=f"{root}/openai/v1/", default_query=query, **common)
    return Wire(client, f"azure {client.base_url}", "azure")


def connect_local(base_url: str, token: str, timeout_s: float) -> Wire:
    """The embedded engine at `base_url`."""
    return Wire(LoopbackClient(base_url, token, limits(timeout_s)), f"local {base_url}", "local")


def _transport(base_url: str) -> Any:
    """The SDK's transport, with what the environment says of proxies and certificates. Raises `ConfigError`."""
    import openai

    # To read the machine's certificates takes 50 ms, and plain http needs none. Without them nothing else is trusted.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if base_url.startswith("http://127.0.0.1") else True
    hooks = {"response": [_refuse_redirect]}
    try:
        return openai.DefaultHttpxClient(verify=verify, event_hooks=hooks)
    except (ImportError, OSError, ValueError) as error:
        cure = "Correct HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR where Jupyter is started; a"
        cure += " SOCKS proxy needs `pip install socksio`."
        raise ConfigError(f"No connection can be set up: {in_one_line(error)}.", cure) from error


def _refuse_redirect(response: Any) -> None:
    """A question, its inputs and its files go to the address that was set, and to no other host."""
    target = response.headers.get("location", "")
    host = urlsplit(target).netloc.rpartition("@")[2]
    elsewhere = host not in {"", response.url.netloc.decode()}
    if response.has_redirect_location and response.request.method != "GET" and elsewhere:
        raise Refused(
            f"The service sent the question on to another address, {without_password(target)}; it was not sent there.",
            "If you trust that address, set it as the service's address.",
            status=response.status_code,
        )


def _azure_credential(environment: Mapping[str, str], *, dated: bool) -> dict[str, Any]:
    """How the SDK's client proves who asks: by key, by a token of Entra ID, or by what azure-identity finds."""
    if key := environment.get("AZURE_OPENAI_API_KEY", "").strip():
        return {"api_key": key}
    if token := environment.get("AZURE_OPENAI_AD_TOKEN", "").strip():
        return {"azure_ad_token" if dated else "api_key": token}
    try:
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError:
        raise NoKey(
            "The service is 'azure' and there is neither AZURE_OPENAI_API_KEY nor AZURE_OPENAI_AD_TOKEN.",
            f"Set one where Jupyter is started, or install azure-identity (Entra ID); or {WITHOUT_A_KEY}",
        ) from None
    ask = get_bearer_token_provider(DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default")

    def entra_id() -> str:
        try:
            return str(ask())
        except Exception as error:
            cure = "Sign in with `az login`, or set AZURE_OPENAI_API_KEY."
            raise KeyRefused(f"Entra ID gave no token: {in_one_line(error)}.", cure) from error

    return {"azure_ad_token_provider" if dated else "api_key": entra_id}


def _azure_root(endpoint: str) -> str:
    """The resource's own address, however much of the API's path was pasted with it."""
    root = endpoint.strip().partition("?")[0].rstrip("/")
    if not root.startswith(("https://", "http://")):
        says = f"AZURE_OPENAI_ENDPOINT is {endpoint!r}." if root else "There is no AZURE_OPENAI_ENDPOINT."
        raise ConfigError(says, "Set it to the resource's address, as in https://NAME.openai.azure.com.")
    return root.removesuffix("/v1").removesuffix("/openai")
