"""Secrets in the tools of a request are known by their names, such as `authorization`, or their place in an address.

Which tools have some: https://platform.openai.com/docs/guides/tools-remote-mcp
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ipython_assistant.core.redaction import SECRET, SHORTEST_SECRET

_SECRET_NAME = re.compile(
    r"authorization|api_?key|passw|passphrase|\bpwd|secret|credential"  # wherever in a name: `passwordHash`
    r"|(^|_)(tokens?|auth|cookies?|bearer|jwt)$"  # at its end alone: `access_token`, and not `token_limit`
    r"|(access|private|subscription|signing|account|shared|encryption|functions|service|admin|master|auth)_keys?$"
)
_SECRET_PARAMETER = re.compile(rf"{_SECRET_NAME.pattern}|(^|_)(key|sig|signature|code)$")
_IN_ADDRESS = re.compile(r"(?<=://)(?P<user>[^/?#\s@]+)(?=@)|(?<=[?&;])(?P<parameter>[^=&;#\s]+)=(?P<value>[^&;#\s]+)")
_BEARER = re.compile(r"\s*bearer\s+\S+\s*", re.IGNORECASE)
_SCHEME = re.compile(r"\s*(?:bearer|basic|token|apikey)\s+", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """JSON with `<secret>` in the place of each value that has the name of a secret, and of those in addresses.

    >>> without_secrets({"type": "mcp", "authorization": "abc", "headers": {"X-Team": "red"}, "server_label": "crm"})
    {'type': 'mcp', 'authorization': '<secret>', 'headers': '<secret>', 'server_label': 'crm'}
    """
    return _masked(value, [])


def secrets_in(value: Any) -> frozenset[str]:
    """The secrets themselves, as far as they are long enough to be known again in a text."""
    taken: list[str] = []
    _masked(value, taken)
    # Each as it is, decoded, and without the word that says what kind it is.
    spellings = {text for it in taken for text in (it, unquote(it), _SCHEME.sub("", it, count=1))}
    return frozenset(secret for secret in spellings if len(secret) >= SHORTEST_SECRET)


def _masked(value: Any, taken: list[str], name: str = "") -> Any:
    """The value of this name without its secrets, which go into `taken`."""
    # `max_tokens` is named like a secret but is not one.
    is_plain = not value or isinstance(value, bool) or (isinstance(value, int | float) and "token" in name)
    if not is_plain and _SECRET_NAME.search(name):
        for text in _texts(value):
            _masked(text, taken)  # what is secret in an address is known by itself too
            taken.append(text)
        return SECRET
    if isinstance(value, dict):
        # In `{"name": "ACCESS_TOKEN", "value": ...}` the name stands beside.
        names = {key: key for key in value} | {"value": str(value.get("name", value.get("key", "value")))}
        masked = {key: _masked(part, taken, _snake(names[key])) for key, part in value.items()}
        # Any header may be a secret, but what stands in `Accept` is found in many a text, and is not taken out of it.
        return masked | {key: SECRET for key in value if value[key] and _snake(key).endswith("headers")}
    if isinstance(value, list | tuple):
        return [_masked(part, taken) for part in value]
    if isinstance(value, str) and _BEARER.fullmatch(value):
        taken.append(value)
        return SECRET

    def hidden(match: re.Match[str]) -> str:
        parameter, secret = match["parameter"], match["value"] or match["user"]
        if parameter and not _SECRET_PARAMETER.search(_snake(parameter)):
            return match[0]
        taken.extend((secret, secret.partition(":")[2]))
        return f"{parameter}={SECRET}" if parameter else SECRET

    return _IN_ADDRESS.sub(hidden, value) if isinstance(value, str) else value


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list | tuple):
        return [text for part in (value.values() if isinstance(value, dict) else value) for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def _snake(name: str) -> str:
    """A name in lower case, its words joined by `_`: `clientSecret` and `Client-Secret` are `client_secret`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
