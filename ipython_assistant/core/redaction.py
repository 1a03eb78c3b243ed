"""What must not leave this machine is taken out of a text before it is kept in a file that others may read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHORTEST_SECRET = 8
SHORTEST_HOST = 4
"""What is shorter is left alone: it would be found in the middle of ordinary words."""


def redactor(
    secrets: Iterable[str] = (), hosts: Iterable[str] = (), folders: Mapping[str, str] | None = None
) -> Callable[[str], str]:
    r"""A function that gives a text without these.

    Args:
        secrets: Keys and tokens: each becomes `<secret>`, wherever it stands.
        hosts: Names of machines: each becomes `<host>` where it is a word of its own.
        folders: Absolute path of a folder → what stands in its place, at the beginning of a path.

    >>> redact = redactor(["sk-12345678"], ["venus"], {"/home/ada": "~", "/home/ada/work": "."})
    >>> redact("sk-12345678 on venus.local: /home/ada/work/a.csv, /home/ada/.ssh, /home/adam")
    '<secret> on <host>.local: ./a.csv, ~/.ssh, /home/adam'
    """
    stand_ins = {secret: "<secret>" for secret in secrets if len(secret) >= SHORTEST_SECRET}
    patterns = [re.escape(secret) for secret in sorted(stand_ins, key=len, reverse=True)]
    for folder, stand_in in sorted((folders or {}).items(), key=lambda item: len(item[0]), reverse=True):
        # As it is, and as it stands in a Python or JSON string: Windows paths have backslashes.
        for written in dict.fromkeys((folder, folder.replace("\\", "\\\\"))):
            if written.strip("/\\"):
                stand_ins[written] = stand_in
                patterns.append(rf"(?<![\w.-]){re.escape(written)}(?![\w.-])")
    for host in hosts:
        if len(host) >= SHORTEST_HOST and host != "localhost":
            stand_ins[host] = "<host>"
            patterns.append(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
    if not patterns:
        return lambda text: text
    anything = re.compile("|".join(patterns))
    return lambda text: anything.sub(lambda match: stand_ins[match[0]], text)
