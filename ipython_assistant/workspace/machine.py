"""This machine's keys, names and folders: what must not stand in a file that others may read."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from ipython_assistant.core.redaction import redactor
from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ipython_assistant.core.redaction import Redactor

_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_ADDRESS_WORDS = ("BASE_URL", "ENDPOINT", "_PROXY")
_ACCOUNT_WORDS = ("ORG_ID", "PROJECT_ID", "ORGANIZATION", "OPENAI_ORG", "OPENAI_PROJECT")
_LIST_OF_HOSTS = "NO_PROXY"
_IN_EVERY_LINK = frozenset({"data", "sandbox", "mnt"})
"""A machine of such a name keeps it: `sandbox:/mnt/data/` would lead nowhere."""
_EVERYBODYS = {Path("/tmp"), Path("/var/tmp")}  # noqa: S108 they are named, not used


class Machine:
    """What is taken out of texts that are kept, as the environment is when they are kept.

    What was there once is taken out for ever: a key may be changed while its answer is on the way.

    Args:
        notebook_dir: The notebook's directory.
        environment: Gives the environment as it is now, an `.env` file taken in.
    """

    def __init__(self, notebook_dir: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        self._notebook_dir = notebook_dir
        self._environment = environment
        self._secrets: frozenset[str] = frozenset()
        self.redactor()

    def redactor(self) -> Redactor:
        """What takes it out of a text now."""
        try:
            environ = self._environment()
        except ConfigError:
            # The `.env` file is gone or damaged; what stood in it before is known.
            environ = os.environ
        self._secrets |= frozenset(secrets_of(environ))
        return machine_redactor(self._notebook_dir, environ).with_secrets(self._secrets)


def machine_redactor(notebook_dir: Path, environ: Mapping[str, str]) -> Redactor:
    """What takes this machine's keys, names and folders out of a text."""
    addresses = [value for name, value in environ.items() if _is_address(name.upper())]
    hosts = {platform.node(), platform.node().partition(".")[0], *(_split(it).hostname or "" for it in addresses)}
    folders = {str(notebook_dir.resolve()): ".", str(notebook_dir): "."}
    if (temporary := Path(tempfile.gettempdir())) not in _EVERYBODYS:
        folders[str(temporary)] = "<tmp>"
    with contextlib.suppress(RuntimeError):
        folders[str(Path.home())] = "~"
    return redactor(secrets_of(environ), hosts - _IN_EVERY_LINK, folders)


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """The keys, tokens, accounts and passwords in an environment, those within addresses too."""
    for name, value in environ.items():
        upper = name.upper()
        if any(word in upper for word in _SECRET_WORDS) or upper.endswith(_ACCOUNT_WORDS):
            yield value
        parts = _split(value) if "@" in value and ("://" in value or _is_address(upper)) else None
        if parts is not None and parts.password:
            user = parts.netloc.rpartition("@")[0]
            yield from (user, parts.password, unquote(parts.password))


def _is_address(name: str) -> bool:
    return name.endswith(_ADDRESS_WORDS) and not name.endswith(_LIST_OF_HOSTS)


def _split(address: str) -> SplitResult:
    """The parts of an address; a proxy's may come without a scheme."""
    try:
        parts = urlsplit(address.strip() if "://" in address else f"//{address.strip()}")
        parts.hostname  # noqa: B018 a damaged one is told here
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts
