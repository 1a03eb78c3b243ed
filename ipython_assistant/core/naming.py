"""Names for files on disk: safe on every system, distinct in their folder, and as close to the model's own as can be.

A name that came off the wire is hostile until it has been through `safe_name`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 200
"""In bytes of UTF-8. File systems stop at 255; the rest is room for `-2` and for a temporary suffix."""

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_MEDIA_TYPES = {
    "bmp": "image/bmp",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "py": "text/x-python",
    "svg": "image/svg+xml",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}


def safe_name(name: str, fallback: str = "file") -> str:
    r"""The model's own name as a bare file name that Linux, macOS and Windows all accept.

    >>> safe_name("../../etc/passwd"), safe_name(r"C:\data\cov.csv"), safe_name("CON.csv"), safe_name("-rf")
    ('passwd', 'cov.csv', '_CON.csv', '_-rf')
    """
    bare = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    # Cc and Cf are control and formatting characters: a right-to-left override makes `exe.csv` of `vsc.exe`.
    bare = "".join("_" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char for char in bare)
    bare = _FORBIDDEN.sub("_", bare).strip(" ").rstrip(". ")
    if not bare.strip("._ "):
        bare = fallback
    if bare.startswith(("-", ".", "~")):
        # A leading dash reads as an option, a leading dot hides the file from the person who asked for it.
        bare = f"_{bare}"
    if bare.partition(".")[0].rstrip(" ").casefold() in _RESERVED:
        bare = f"_{bare}"
    return _shorten(bare)


def numbered(name: str) -> Iterator[str]:
    """The name itself, then `name-2.csv`, `name-3.csv` and so on.

    >>> names = numbered("a.csv")
    >>> next(names), next(names), next(names)
    ('a.csv', 'a-2.csv', 'a-3.csv')
    """
    yield name
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    count = 2
    while True:
        yield f"{stem}-{count}{dot}{suffix}"
        count += 1


def media_type(name: str) -> str:
    """The media type a name promises; `application/octet-stream` where it promises none.

    A table of our own, since the system's (`mimetypes`) differs from machine to machine and a saved notebook must not.
    """
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def _shorten(name: str) -> str:
    if len(name.encode()) <= LONGEST_NAME:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > LONGEST_NAME // 4:
        stem, dot, suffix = name, "", ""
    room = LONGEST_NAME - len(f"{dot}{suffix}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore').rstrip('. ')}{dot}{suffix}"
