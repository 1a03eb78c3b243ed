"""What must not stand in a file that others may read: the secrets of the environment, and this machine's folders."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from ipython_assistant.core.redaction import Redactor, may_be_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_NAMES_A_SECRET = re.compile(
    r"(?:.*[_-])?(?:(?:API|ACCESS|SECRET|PRIVATE)?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|PAT|CREDENTIALS?)"
    r"|.*(?:CONNECTION_?STRING|CONN_?STR|_DSN|_SAS)"
    r"|OPENAI_(?:ORG|PROJECT|ORGANI[SZ]ATION)(?:_ID)?"
)
_OF_A_CONNECTION = re.compile(r"(?i)(?:^|;)\s*(?:\w*key|password|pwd|sig\w*)\s*=\s*([^;]+)")
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})
"""The shell's working directories; `MYSQL_PWD` is a password."""
_ADDRESS_WORDS = ("BASE_URL", "ENDPOINT", "_PROXY")
_EVERYBODYS = {Path("/tmp"), Path("/var/tmp")}  # noqa: S108 they are named, not used


class LocalSecrets:
    """The secrets that are taken out of texts before they are kept.

    A secret that was in the environment once is always taken out: a key may change while its answer is on the way.
    """

    def __init__(self, notebook_dir: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        self._notebook_dir = notebook_dir
        self._environment = environment
        self._secrets: frozenset[str] = frozenset()
        self.redactor()

    def redactor(self) -> Redactor:
        """Make a redactor that knows the environment as it is now."""
        self._secrets |= frozenset(secrets_of(self._environment()))
        return Redactor(self._secrets, local_folders(self._notebook_dir))


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """The keys, tokens, accounts and passwords in an environment, those within addresses too.

    The name of a variable has to end as a secret's does, and its value has to be none of the words that stand in a
    text: `KEYVAULT_NAME=production` is no secret, nor is `SORT_KEY=district`.
    """
    for name, value in environ.items():
        upper = name.upper()
        if upper not in _NOT_SECRET and _NAMES_A_SECRET.fullmatch(upper):
            yield from filter(may_be_secret, (value, *_OF_A_CONNECTION.findall(value)))
        parts = _split(value) if "@" in value and ("://" in value or upper.endswith(_ADDRESS_WORDS)) else None
        if parts is not None and parts.password:
            yield parts.netloc.rpartition("@")[0]
            yield from (it for it in (parts.password, unquote(parts.password)) if may_be_secret(it) or not it.isalpha())


def local_folders(notebook_dir: Path) -> dict[str, str]:
    """The folders of this machine, each with what stands in its place in a text that is kept."""
    folders = {str(notebook_dir.resolve()): ".", str(notebook_dir): "."}
    if (temporary := Path(tempfile.gettempdir())) not in _EVERYBODYS:
        folders[str(temporary)] = "<tmp>"
    with contextlib.suppress(RuntimeError):
        folders[str(Path.home())] = "~"
    return folders


def _split(address: str) -> SplitResult:
    """The parts of an address; a proxy's may come without a scheme."""
    try:
        parts = urlsplit(address.strip() if "://" in address else f"//{address.strip()}")
        parts.hostname  # noqa: B018 a damaged one is told here
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts
