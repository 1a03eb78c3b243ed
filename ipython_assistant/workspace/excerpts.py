"""Saved pictures and texts → what of them goes into the notebook: a small picture or a thumbnail, the first lines.

A file of a few kilobytes can hold a picture that takes a browser gigabytes to show, and such a one is not shown.
Pillow, which matplotlib brings, reads the size in pixels from the header; it is imported when the first picture comes.
"""

from __future__ import annotations

import codecs
import io
import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

SMALL_BYTES = 300_000
"""A picture up to this size is shown as it is; an SVG, which has no thumbnail, up to three times it."""
LARGEST_THUMBNAIL = 60_000
MOST_LINES = 12
LONGEST_LINE = 200
# Longest side in pixels and JPEG quality; the first with which the thumbnail fits.
_STEPS = ((800, 80), (640, 60), (480, 40), (320, 40))
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_SAMPLE_BYTES = 16 << 10
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BROKEN = (OSError, SyntaxError, ValueError, struct.error)  # Pillow's words for a picture that is broken, cut or none
# What a text file may hold beside what is seen.
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\r\f\x1b\b")


class Preview(NamedTuple):
    """What is shown of a picture: its bytes, their media type, and whether they are the file's own."""

    content: bytes
    media_type: str
    whole: bool


class TextHead(NamedTuple):
    """The first lines of a text; `whole` says that there is nothing more."""

    text: str
    whole: bool


def read_picture(path: Path, media_type: str) -> Preview | None:
    """The picture or its thumbnail; None where it cannot be shown. Raises `OSError` where it cannot be read at all."""
    size = path.stat().st_size
    if media_type == "image/svg+xml":
        return Preview(path.read_bytes(), media_type, whole=True) if size <= 3 * SMALL_BYTES else None
    if media_type not in _FORMATS:
        return None
    from PIL import Image, ImageOps

    with path.open("rb") as file, warnings.catch_warnings():
        # From `Image.MAX_IMAGE_PIXELS` on, Pillow takes it for a decompression bomb.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture: Image.Image = Image.open(file, formats=[_FORMATS[media_type]])
            if size <= SMALL_BYTES:
                file.seek(0)
                return Preview(file.read(), media_type, whole=True)
            largest = (_STEPS[0][0], _STEPS[0][0])
            # A JPEG is decoded at a half to an eighth of its size where that is enough.
            picture.draft("RGB", largest)
            picture.thumbnail(largest, reducing_gap=2.0)
            colours = ImageOps.exif_transpose(picture).convert("RGBA")
            # Without transparency: on a dark page the black axes of a chart would be lost.
            white = Image.new("RGBA", colours.size, "white")
            small = Image.alpha_composite(white, colours).convert("RGB")
        except (Image.DecompressionBombWarning, Image.DecompressionBombError, *_BROKEN):
            return None
    for side, quality in _STEPS:
        small.thumbnail((side, side))
        png, jpeg = io.BytesIO(), io.BytesIO()
        small.save(jpeg, "JPEG", quality=quality, optimize=True)
        small.save(png, "PNG")
        # A chart is smaller as the one, a photograph as the other.
        kind, shortest = min(("image/jpeg", jpeg), ("image/png", png), key=lambda encoded: encoded[1].tell())
        if shortest.tell() <= LARGEST_THUMBNAIL:
            break
    return Preview(shortest.getvalue(), kind, whole=False)


def read_text_head(path: Path) -> TextHead | None:
    """The first lines, long ones cut; None for what is empty or is not UTF-8 or UTF-16 text. Raises `OSError`."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        more = bool(file.read(1))
    encoding = marked_encoding(start) or "utf-8"
    if not _CONTROLS.isdisjoint(start) and encoding != "utf-16":
        return None
    try:
        # The last character may be cut; anything else that is none is not text.
        text = codecs.getincrementaldecoder(encoding)().decode(start, final=not more)
    except UnicodeDecodeError:
        return None
    if not text.strip():
        return None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in lines[:MOST_LINES]]
    whole = not more and len(lines) <= MOST_LINES and all(len(line) <= LONGEST_LINE for line in lines)
    return TextHead("\n".join(shown), whole)


def marked_encoding(start: bytes) -> str:
    r"""The encoding that a file's byte order mark tells, such as `utf-8-sig`; empty where it begins with none."""
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "")
