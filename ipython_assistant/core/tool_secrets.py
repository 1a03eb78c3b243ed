"""Secrets in the tools of a request: their place is known by its name, whatever stands there.

A tool is JSON that the user wrote: an MCP server's `authorization` and `headers`, for one
(https://platform.openai.com/docs/guides/tools-remote-mcp). What stands in such a place goes to the service, and nowhere
else: neither into a recording nor into the key of a turn.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ipython_assistant.core.redaction import SECRET, SHORTEST_SECRET

_ALWAYS = frozenset(
    {"authorization", "apikey", "password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets"}
    | {"credential", "credentials"}
)
"""Wherever in a name: `client_secret`, `passwordHash`."""
_LAST = frozenset({"token", "tokens", "auth", "cookie", "cookies", "bearer", "jwt"})
"""At its end alone: `access_token`, and not `token_limit`."""
_KEYS = frozenset({"key", "keys"})
_OF_A_KEY = frozenset(
    {"api", "access", "private", "secret", "subscription", "signing", "account", "shared", "encryption"}
    | {"functions", "service", "admin", "master", "auth"}
)
"""What makes a key a secret: a filter's `key`, and a table's `primary_key`, is none."""
_IN_ADDRESSES = frozenset({"key", "sig", "signature", "code"})
"""Parameters of an address that are secrets too."""
_SAYS_WHICH = frozenset({"type", "kind", "scheme", "name", "domain"})
"""What stands beside a secret and says which it is: a container's `domain_secrets` are `domain`, `name` and `value`
(https://platform.openai.com/docs/guides/tools-shell)."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_USER = re.compile(r"(?<=://)([^/?#\s@]+)(?=@)")
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;#\s]+)=([^&;#\s]+)")
_SCHEME = re.compile(r"\s*(?:bearer|basic|token|apikey)\s+", re.IGNORECASE)
_BEARER = re.compile(r"\s*bearer\s+\S+\s*", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """The same JSON with `<secret>` in the place of each.

    >>> without_secrets({"type": "mcp", "authorization": "abc", "headers": {"X-Team": "red"}, "server_label": "crm"})
    {'type': 'mcp', 'authorization': '<secret>', 'headers': {'X-Team': '<secret>'}, 'server_label': 'crm'}
    """
    return _masked(value, [])


def secrets_in(value: Any) -> frozenset[str]:
    """The secrets themselves, as far as they are long enough to be known again in a text."""
    taken: list[str] = []
    _masked(value, taken)
    return frozenset(secret for secret in taken if len(secret) >= SHORTEST_SECRET)


def _masked(value: Any, taken: list[str]) -> Any:
    """The value without its secrets, which go into `taken`."""
    if isinstance(value, dict):
        return {name: _part(name, part, value, taken) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, taken) for part in value]
    return _text(value, taken) if isinstance(value, str) else value


def _part(name: str, part: Any, around: dict[str, Any], taken: list[str]) -> Any:
    if name == "properties" and isinstance(part, dict):
        # A JSON schema: what looks like the name of a secret is that of an argument.
        return {argument: _masked(schema, taken) for argument, schema in part.items()}
    words = _words(name)
    if _is_secret(words) or (name == "value" and _names_a_secret(around)):
        return _blank(part, taken, numbers=bool(_ALWAYS & {*words}))
    masked = _masked(part, taken)
    # Any header may be one, but what stands in `Accept` is found in many a text.
    return _blank(part, [], numbers=False) if words[-1:] == ["headers"] else masked


def _blank(part: Any, taken: list[str], *, numbers: bool) -> Any:
    """The value with `<secret>` for each text in it, and with `numbers` for each number."""
    if isinstance(part, dict):
        return {
            name: inner if name in _SAYS_WHICH and isinstance(inner, str) else _blank(inner, taken, numbers=numbers)
            for name, inner in part.items()
        }
    if isinstance(part, list | tuple):
        return [_blank(inner, taken, numbers=numbers) for inner in part]
    if isinstance(part, str) and part:
        taken += _written(part)
        return SECRET
    is_number = isinstance(part, int | float) and not isinstance(part, bool)
    return SECRET if numbers and is_number else part


def _text(text: str, taken: list[str]) -> str:
    """A text with the secrets of an address in it taken out."""
    if _BEARER.fullmatch(text):
        taken += _written(text)
        return SECRET

    def user(match: re.Match[str]) -> str:
        taken.extend([*_written(match[0]), *_written(match[0].partition(":")[2])])
        return SECRET

    def parameter(match: re.Match[str]) -> str:
        words = _words(match[1])
        if not _is_secret(words) and not (words and words[-1] in _IN_ADDRESSES):
            return match[0]
        taken.extend(_written(match[2]))
        return f"{match[1]}={SECRET}"

    return _PARAMETER.sub(parameter, _USER.sub(user, text))


def _written(secret: str) -> tuple[str, ...]:
    """A secret as it is, decoded, and without the word that says what kind it is."""
    return secret, unquote(secret), _SCHEME.sub("", secret, count=1)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _is_secret(words: list[str]) -> bool:
    last = words[-1] if words else ""
    return bool(_ALWAYS & {*words}) or last in _LAST or (last in _KEYS and bool(_OF_A_KEY & {*words[:-1]}))


def _names_a_secret(around: dict[str, Any]) -> bool:
    """Whether this is `{"name": "Authorization", "value": ...}`."""
    named = around.get("name", around.get("key"))
    return isinstance(named, str) and _is_secret(_words(named))
