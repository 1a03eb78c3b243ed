"""`.env` files, read where somebody asks for it: keys and addresses of services, and our own settings.

A line is `NAME=value`, with or without `export` before it and quotation marks around the value; `#` begins a comment.
Nothing is filled in from other variables. Values are secrets: no error and no output shows one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TAKEN = ("OPENAI_", "AZURE_OPENAI_", "IPYTHON_ASSISTANT_")
"""Beginnings of the names that are taken; everything else in the file is left where it is."""
LARGEST_BYTES = 1_000_000
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$""")
_ESCAPED = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\", r"\$": "$"}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file that are ours or a service's.

    Raises:
        ConfigError: It cannot be read, or one of those lines cannot be understood; the line's number is named.
    """
    try:
        # Neither a folder nor a pipe: to open one could wait for ever.
        if not path.is_file():
            what = "is no file" if path.exists() else "is not there"
            raise ConfigError(f"{path.name} {what}.", "Name a file with lines like OPENAI_API_KEY=...")
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {disk_reason(error)}.", "Check its name and place.") from error
    except UnicodeDecodeError:
        # Its own error quotes the bytes, which may be a key.
        raise ConfigError(f"{path.name} is not UTF-8.", "Save it as UTF-8.") from None
    if len(text) > LARGEST_BYTES:
        raise ConfigError(f"{path.name} is too large.", "A .env file has a few lines.")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.match(line.strip())
        if match is not None and match[1].startswith(TAKEN):
            found[match[1]] = _value(match[2], f"Line {number} of {path.name}")
    return found


def _value(written: str, where: str) -> str:
    if written[:1] not in {'"', "'"}:
        return re.split(r"(?:^|\s)#", written, maxsplit=1)[0].rstrip()
    match = _QUOTED.match(written)
    if match is None:
        raise ConfigError(f"{where} has a quotation mark without its partner.", "Close it on the same line.")
    if match[1] is None:
        return match[2]
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0]), match[1])
