"""A saved picture → what of it goes into the notebook: itself where it is small, else a thumbnail.

How large a picture is in pixels stands in its first bytes, and is read there: a file of a few kilobytes can hold a
picture that takes a browser gigabytes to show, and such a one is not shown. Pillow, which matplotlib brings, is
imported only for a thumbnail.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

SMALL_BYTES = 300_000
"""A picture up to this size is shown as it is; an SVG, which has no thumbnail, up to ten times it."""
MOST_PIXELS = 89_478_485
"""As Pillow's `Image.MAX_IMAGE_PIXELS`, from where it warns of a decompression bomb."""

# Longest side in pixels and JPEG quality; the first with which the thumbnail fits.
_STEPS = ((800, 80), (800, 60), (640, 60), (480, 60), (480, 40), (320, 40))
_SHARE = 420
"""A thumbnail has this part of the picture's size: with base64's third on top, less than 1/300 of it."""
_ROOM_BYTES, _ROOM_PIXELS = 90_000, 2_500_000
"""A thumbnail of a picture of so many pixels may have so many bytes in any case; of a larger one, fewer."""
_WEBP_HEADER = 30
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a picture: its bytes, their media type, and whether they are the file's own."""

    content: bytes
    media_type: str
    whole: bool


def read_picture(path: Path, media_type: str) -> Preview | None:
    """The picture or its thumbnail; None where it cannot be shown: then the card names it.

    Args:
        path: The file.
        media_type: What it is said to be.

    Raises:
        OSError: The file cannot be read at all.
    """
    size = path.stat().st_size
    if media_type == "image/svg+xml":
        return Preview(path.read_bytes(), media_type, whole=True) if size <= 10 * SMALL_BYTES else None
    if media_type not in _FORMATS:
        return None
    if size > SMALL_BYTES:
        return _thumbnail(path, media_type, size)
    content = path.read_bytes()
    width, height = pixels(content, media_type)
    return Preview(content, media_type, whole=True) if 0 < width * height <= MOST_PIXELS else None


def pixels(content: bytes, media_type: str) -> tuple[int, int]:
    """Width and height as the file's header has them; (0, 0) where it has none."""
    try:
        match media_type:
            case "image/png" if content.startswith(b"\x89PNG\r\n\x1a\n"):
                return struct.unpack(">II", content[16:24])
            case "image/gif" if content.startswith((b"GIF87a", b"GIF89a")):
                return struct.unpack("<HH", content[6:10])
            case "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" and len(content) >= _WEBP_HEADER:
                return _webp_pixels(content)
            case "image/jpeg" if content.startswith(b"\xff\xd8"):
                return _jpeg_pixels(content)
    except (struct.error, IndexError):
        pass  # It ends before its header does.
    return (0, 0)


def _webp_pixels(content: bytes) -> tuple[int, int]:
    """See https://developers.google.com/speed/webp/docs/riff_container."""
    match content[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", content[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack("<I", content[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    return (0, 0)


def _jpeg_pixels(content: bytes) -> tuple[int, int]:
    """The first frame header (ITU-T T.81, B.2.2), found from segment to segment."""
    at = 2
    while at < len(content):
        if content[at] != 0xFF:  # noqa: PLR2004 what every marker begins with
            return (0, 0)
        marker = content[at + 1]
        # The markers of frames, without those of tables that lie among them.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        # A marker may be filled up with 0xFF.
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]  # noqa: PLR2004
    return (0, 0)


def _thumbnail(path: Path, media_type: str, size: int) -> Preview | None:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=[_FORMATS[media_type]]) as picture:
                area = picture.width * picture.height
                if area > MOST_PIXELS:
                    return None
                largest = (_STEPS[0][0], _STEPS[0][0])
                # A JPEG is decoded at a half to an eighth of its size where that is enough.
                picture.draft("RGB", largest)
                picture.thumbnail(largest, reducing_gap=2.0)
                small = _on_white(ImageOps.exif_transpose(picture))
    except (UnidentifiedImageError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        return None
    except (OSError, SyntaxError, ValueError, struct.error):
        # Pillow's words for a picture that is broken or cut; one that cannot be read is found when its bytes are asked.
        return None
    room = max(size / _SHARE, _ROOM_BYTES * min(1, _ROOM_PIXELS / area))
    for side, quality in _STEPS:
        kind, content = _encoded(small, side, quality)
        if len(content) <= room:
            break
    return Preview(content, kind, whole=False)


def _on_white(picture: Image) -> Image:
    """Without transparency: on a dark page the black axes of a chart would be lost."""
    from PIL import Image

    if picture.mode.startswith("I"):
        # Sixteen bits of grey: converting would cut all but the darkest.
        picture = picture.convert("I").point(lambda grey: grey / 256).convert("L")
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    colours = picture.convert("RGBA")
    ground = Image.new("RGB", colours.size, "white")
    ground.paste(colours, mask=colours.getchannel("A"))
    return ground


def _encoded(picture: Image, side: int, quality: int) -> tuple[str, bytes]:
    """As PNG or as JPEG, whichever is shorter: a chart is smaller as the one, a photograph as the other."""
    small = picture.copy()
    small.thumbnail((side, side))
    png, jpeg = io.BytesIO(), io.BytesIO()
    small.save(jpeg, "JPEG", quality=quality, optimize=True)
    small.save(png, "PNG")
    shorter = min((jpeg, "image/jpeg"), (png, "image/png"), key=lambda encoded: len(encoded[0].getvalue()))
    return shorter[1], shorter[0].getvalue()
