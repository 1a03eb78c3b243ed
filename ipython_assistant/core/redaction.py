"""What must not leave this machine is taken out of a text before it is kept in a file that others may read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from ipython_assistant.core.links import Edit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECRET = "<secret>"  # noqa: S105 it stands where one was
HOST = "<host>"
SHORTEST_SECRET = 8
SHORTEST_HOST = 4
"""What is shorter is left alone: it would be found in the middle of ordinary words."""


class Redactor:
    """Gives a text without what it was made for; see `redactor`."""

    def __init__(self, secrets: frozenset[str], hosts: frozenset[str], folders: Mapping[str, str]) -> None:
        self._secrets, self._hosts, self._folders = secrets, hosts, folders
        stand_ins = {written: SECRET for secret in secrets for written in _forms(secret)}
        patterns = [re.escape(written) for written in sorted(stand_ins, key=len, reverse=True)]
        for folder, stand_in in sorted(folders.items(), key=lambda item: len(item[0]), reverse=True):
            # As it is, and as it stands in a Python or JSON string: Windows paths have backslashes.
            for written in dict.fromkeys((folder, folder.replace("\\", "\\\\"))):
                if written.strip("/\\"):
                    stand_ins[written] = stand_in
                    patterns.append(rf"(?<![\w.-]){re.escape(written)}(?![\w.-])")
        for host in sorted(hosts, key=len, reverse=True):
            if len(host) >= SHORTEST_HOST and host != "localhost":
                stand_ins[host] = HOST
                patterns.append(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
        self._stand_ins = stand_ins
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """The text without it."""
        pattern = self._pattern_for(text)
        return text if pattern is None else pattern.sub(lambda match: self._stand_ins[match[0]], text)

    def edits(self, text: str) -> tuple[Edit, ...]:
        """What has to be done to the text, in order; see `moved`."""
        pattern = self._pattern_for(text)
        found = pattern.finditer(text) if pattern is not None else ()
        return tuple(Edit(match.start(), match.end(), self._stand_ins[match[0]]) for match in found)

    def _pattern_for(self, text: str) -> re.Pattern[str] | None:
        """The pattern, where it may find something: words are looked for some thirty times as fast."""
        return self._pattern if any(written in text for written in self._stand_ins) else None

    def with_secrets(self, secrets: Iterable[str]) -> Redactor:
        """One that takes these out too."""
        more = frozenset(secrets) - self._secrets
        return Redactor(self._secrets | more, self._hosts, self._folders) if more else self


def redactor(
    secrets: Iterable[str] = (), hosts: Iterable[str] = (), folders: Mapping[str, str] | None = None
) -> Redactor:
    r"""What gives a text without these.

    Args:
        secrets: Keys and tokens: each becomes `<secret>`, wherever it stands.
        hosts: Names of machines: each becomes `<host>` where it is a word of its own.
        folders: Absolute path of a folder → what stands in its place, at the beginning of a path.

    >>> redact = redactor(["sk-12345678"], ["venus"], {"/home/ada": "~", "/home/ada/work": "."})
    >>> redact("sk-12345678 on venus.local: /home/ada/work/a.csv, /home/ada/.ssh, /home/adam")
    '<secret> on <host>.local: ./a.csv, ~/.ssh, /home/adam'
    """
    return Redactor(frozenset(secrets), frozenset(hosts), dict(folders or {}))


def moved(place: int, edits: Iterable[Edit], *, end: bool = False) -> int:
    """Where a place in a text is once the edits are made; within one it is where that begins, or with `end` ends.

    >>> [moved(place, [Edit(2, 4, "<secret>")]) for place in (2, 3, 4)]
    [2, 2, 10]
    """
    shift = 0
    for edit in edits:
        if place <= edit.start:
            break
        if place < edit.end:
            return edit.start + shift + (len(edit.written) if end else 0)
        shift += len(edit.written) - (edit.end - edit.start)
    return place + shift


def _forms(secret: str) -> frozenset[str]:
    """A secret as it is, without the blanks around it, as it stands in JSON, and in an address."""
    forms = {secret, secret.strip()}
    forms |= {json.dumps(form)[1:-1] for form in forms} | {quote(form, safe="") for form in forms}
    return frozenset(form for form in forms if len(form.strip()) >= SHORTEST_SECRET)
