"""This machine's secrets and folders, which are taken out of what is recorded: by the names and forms of variables."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ipython_assistant.core.redaction import Redactor, may_be_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMES_A_SECRET = re.compile(
    r"(?:.*[_-])?(?:(?:API|ACCESS|SECRET|PRIVATE)?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|PAT|CREDENTIALS?)"
    r"|.*(?:CONNECTION_?STRING|CONN_?STR|_DSN|_SAS)"
    r"|OPENAI_(?:ORG|PROJECT|ORGANI[SZ]ATION)(?:_ID)?"
)
_OF_A_CONNECTION = re.compile(r"(?i)(?:^|;)\s*(?:\w*key|password|pwd|sig\w*)\s*=\s*([^;]+)")
# A proxy's address may come without a scheme.
_ACCOUNT = re.compile(r"\s*(?:[\w+.-]+://)?([^/?#]*?:([^/?#]+))@")
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})  # the shell's working directories; `MYSQL_PWD` is a password
_ADDRESS_WORDS = ("BASE_URL", "ENDPOINT", "_PROXY")


class LocalSecrets:
    """The secrets of an environment, also of before: a key may change while its answer is on the way."""

    def __init__(self, notebook_dir: Path, environment: Mapping[str, str]) -> None:
        self._notebook_dir = notebook_dir
        self._environment = environment
        self._secrets = frozenset(secrets_of(environment))

    def redactor(self) -> Redactor:
        """Make a redactor that knows the environment as it is now."""
        self._secrets |= frozenset(secrets_of(self._environment))
        return Redactor(self._secrets, local_folders(self._notebook_dir))


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """The keys, tokens, accounts and passwords in an environment; `SORT_KEY=district` is an ordinary word, and none."""
    for name, value in environ.items():
        upper = name.upper()
        if upper not in _NOT_SECRET and _NAMES_A_SECRET.fullmatch(upper):
            yield from filter(may_be_secret, (value, *_OF_A_CONNECTION.findall(value)))
        account = _ACCOUNT.match(value) if "://" in value or upper.endswith(_ADDRESS_WORDS) else None
        if account is not None:
            yield account[1]
            yield from (it for it in (account[2], unquote(account[2])) if may_be_secret(it) or not it.isalpha())


def local_folders(notebook_dir: Path) -> dict[str, str]:
    """The folders of this machine, each with what stands in its place in a text that is kept."""
    folders = {str(notebook_dir.resolve()): ".", str(notebook_dir): "."}
    with contextlib.suppress(RuntimeError):
        folders[str(Path.home())] = "~"
    return folders
