"""Names for files on disk: safe on every system, distinct in their folder, and as close to the model's own as can be.

A name that came off the wire is hostile until it has been through `safe_name`.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 200
"""In bytes of UTF-8. File systems stop at 255 (some at 255 UTF-16 units); the rest is room for `-2` and the like."""

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file. The colon would also open a drive (`C:x`) or an
# alternate stream (`x.csv:y`) there.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# Controls, formatting, surrogates, private use, line and paragraph separators. Private use is what network file systems
# map forbidden characters to, so that one system's U+F022 is another's colon.
_UNSEEN_KINDS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters and symbols by category, but nothing is seen of them; and what no text may hold.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFDD0, 0xFDF0)}
# They join or select a form of the letter before them (Persian, emoji); some disks leave them out when they compare:
# https://developer.apple.com/library/archive/technotes/tn/tn1150.html
_JOINERS = "\u200c\u200d" + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))

_SUFFIX = re.compile(r"(?<=.)(?:\.[a-z][a-z0-9]{1,4}\.(?:gz|bz2|xz|zst|lz4)|\.[^.]{0,24})\Z", re.IGNORECASE | re.DOTALL)
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
    """The model's own name as a bare file name that Linux, macOS and Windows all accept.

    What can be seen stays, in composed form; any blank is a space. A character that some system forbids becomes `_`,
    and so does each run of characters that cannot be seen or that reorder others: a right-to-left override makes
    `exe.csv` of `vsc.exe`. Given its own answer it changes nothing.
    """
    bare = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    bare = _FORBIDDEN.sub("_", re.sub("\0+", "_", "".join(map(_seen, bare))))
    bare = bare.lstrip(" " + _JOINERS).rstrip(". " + _JOINERS)
    if bare.startswith(("-", ".", "~")):
        # A leading dash reads as an option, a leading dot hides the file from the person who asked for it.
        bare = f"_{bare}"
    bare = _shorten(bare, LONGEST_NAME)
    if not bare.strip("._ "):
        bare = "file"
    return _shorten(f"_{bare}", LONGEST_NAME) if _RESERVED.fullmatch(bare) else bare


def numbered(name: str) -> Iterator[str]:
    """The name itself, then `name-2.csv`, `name-3.csv` and so on."""
    yield name
    stem, suffix = _parted(name)
    yield from (f"{stem}-{count}{suffix}" for count in itertools.count(2))


def stem_of(name: str) -> str:
    """The name without its suffix; `.csv.gz` is one suffix."""
    return _parted(name)[0]


def folded(name: str) -> str:
    """A name in the form in which names are compared: two that any file system takes for the same have one form."""
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    return decomposed.translate(dict.fromkeys(map(ord, _JOINERS)))


def media_type(name: str) -> str:
    """The media type a name promises: by our own table, since the system's (`mimetypes`) differs between machines."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def _seen(char: str) -> str:
    kind = unicodedata.category(char)
    if char in _UNSEEN or (kind in _UNSEEN_KINDS and char not in _JOINERS):
        return "\0"
    return " " if kind == "Zs" else char


def _parted(name: str) -> tuple[str, str]:
    """Stem and suffix; one that is too long counts as part of the stem."""
    suffix = match[0] if (match := _SUFFIX.search(name)) else ""
    return name.removesuffix(suffix), suffix


def _shorten(name: str, longest: int) -> str:
    if len(name.encode()) <= longest:
        return name
    stem, suffix = _parted(name)
    cut = stem.encode()[: longest - len(suffix.encode())].decode(errors="ignore")
    return f"{cut.rstrip('. ' + _JOINERS)}{suffix}"
