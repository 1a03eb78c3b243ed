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
"""In bytes of UTF-8. File systems stop at 255 (some at 255 UTF-16 units); the rest is room for `-2` and the like."""
LONGEST_SUFFIX = 50

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)
# The colon would also open a drive (`C:x`) or an alternate stream (`x.csv:y`) on Windows.
_FORBIDDEN = re.compile(r'[<>:"|?*]')

# Controls, formatting, surrogates, private use, line and paragraph separators. Private use is what network file systems
# map forbidden characters to, so that one system's U+F022 is another's colon.
_UNSEEN_KINDS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters, marks and symbols by category, but nothing is seen of them; and what no text may hold.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFDD0, 0xFDF0)}
# They join or select a form of the letter before them (Persian, emoji), and say nothing behind ASCII.
_JOINERS = frozenset("\u200c\u200d") | {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}

_PACKED = re.compile(r"(?P<stem>.+?)(?P<suffix>\.[a-z][a-z0-9]{1,4}\.(?:gz|bz2|xz|zst|lz4))", re.IGNORECASE | re.DOTALL)
_OFFICE = "application/vnd.openxmlformats-officedocument."
_MEDIA_TYPES = (
    {name: f"image/{name}" for name in ("bmp", "gif", "jpeg", "png", "webp")}
    | {name: f"text/{name}" for name in ("csv", "html")}
    | {name: f"application/{name}" for name in ("json", "pdf", "zip")}
    | {"jpg": "image/jpeg", "svg": "image/svg+xml", "htm": "text/html", "md": "text/markdown", "py": "text/x-python"}
    | {"log": "text/plain", "txt": "text/plain", "tsv": "text/tab-separated-values", "geojson": "application/geo+json"}
    | {"jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
    | {"xls": "application/vnd.ms-excel", "xlsx": f"{_OFFICE}spreadsheetml.sheet"}
    | {"docx": f"{_OFFICE}wordprocessingml.document", "pptx": f"{_OFFICE}presentationml.presentation"}
)


def safe_name(name: str) -> str:
    r"""The model's own name as a bare file name that Linux, macOS and Windows all accept.

    What can be seen stays, in composed form; any blank is a space. A character that some system forbids becomes `_`,
    and so does each run of characters that cannot be seen or that reorder others: a right-to-left override makes
    `exe.csv` of `vsc.exe`. Joiners and variation selectors stay where they join or select something (Persian, emoji).
    Given its own answer it changes nothing.

    >>> safe_name("../../etc/passwd"), safe_name(r"C:\data\cov.csv"), safe_name("CON.csv"), safe_name("-rf")
    ('passwd', 'cov.csv', '_CON.csv', '_-rf')
    """
    bare = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    bare = _FORBIDDEN.sub("_", _seen(bare)).strip(" ").rstrip(". ")
    if bare.startswith(("-", ".", "~")):
        # A leading dash reads as an option, a leading dot hides the file from the person who asked for it.
        bare = f"_{bare}"
    bare = _shorten(bare, LONGEST_NAME)
    if not bare.strip("._ "):
        bare = "file"
    if bare.partition(".")[0].rstrip(" ").casefold() in _RESERVED:
        bare = _shorten(f"_{bare}", LONGEST_NAME)
    return bare


def numbered(name: str) -> Iterator[str]:
    """The name itself, then `name-2.csv`, `name-3.csv` and so on.

    >>> names = numbered("a.csv")
    >>> next(names), next(names), next(names)
    ('a.csv', 'a-2.csv', 'a-3.csv')
    """
    yield name
    stem, suffix = _parted(name)
    count = 2
    while True:
        yield f"{stem}-{count}{suffix}"
        count += 1


def stem_of(name: str) -> str:
    """The name without its suffix.

    >>> stem_of("cov.csv"), stem_of("cov.csv.gz"), stem_of("cov")
    ('cov', 'cov', 'cov')
    """
    return _parted(name)[0]


def folded(name: str) -> str:
    """Names that some disk takes for the same are the same here, whatever this disk thinks of them."""
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    # HFS+ leaves these out when it compares: https://developer.apple.com/library/archive/technotes/tn/tn1150.html
    return "".join(char for char in decomposed if char not in _JOINERS)


def media_type(name: str) -> str:
    """The media type a name promises; `application/octet-stream` where it promises none.

    A table of our own, since the system's (`mimetypes`) differs from machine to machine and a saved notebook must not.
    """
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def _seen(text: str) -> str:
    """The text with each run of unseen characters as one `_` and each blank as a space."""
    kept: list[str] = []
    for char in text:
        before = kept[-1] if kept else ""
        if char in _JOINERS:
            stays = bool(before) and not before.isascii() and not before.isspace() and before not in _JOINERS
        else:
            stays = char not in _UNSEEN and unicodedata.category(char) not in _UNSEEN_KINDS
        if stays:
            kept.append(" " if unicodedata.category(char) == "Zs" else char)
        elif before != "\0":
            kept.append("\0")
    return "".join(kept).replace("\0", "_")


def _parted(name: str) -> tuple[str, str]:
    """Stem and suffix; `.csv.gz` is one suffix, and one that is too long counts as part of the stem."""
    packed = _PACKED.fullmatch(name)
    if packed is not None:
        return packed["stem"], packed["suffix"]
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > LONGEST_SUFFIX:
        return name, ""
    return stem, dot + suffix


def _shorten(name: str, longest: int) -> str:
    if len(name.encode()) <= longest:
        return name
    stem, suffix = _parted(name)
    cut = stem.encode()[: longest - len(suffix.encode())].decode(errors="ignore")
    return f"{cut.rstrip('. ' + ''.join(_JOINERS))}{suffix}"
