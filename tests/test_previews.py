"""Files → what is shown of them: pictures or their thumbnails, tables, the beginnings of texts; and in which order."""

import io
import struct
import zlib

import pytest
from PIL import Image
from tests_support.files import write

from ipython_assistant.workspace.excerpts import MOST_LINES, SMALL_BYTES, read_picture, read_text_head


def picture(width, height, kind, mode="RGB", **options):
    """A picture that does not compress to nothing."""
    small = Image.effect_noise((max(width // 4, 1), max(height // 4, 1)), 80)
    encoded = io.BytesIO()
    small.resize((width, height)).convert(mode).save(encoded, kind, compress_level=1, **options)
    return encoded.getvalue()


def png_header(width, height):
    """A PNG of a hundred bytes that says it has so many pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "type_"), [
    ("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/gif"), ("WEBP", "image/webp"),
])  # fmt: skip
def test_a_small_picture_is_shown_as_it_is(tmp_path, kind, type_):
    content = picture(120, 80, kind, **({"lossless": True} if kind == "WEBP" else {}))
    preview = read_picture(write(tmp_path / "a", content).path, type_)
    assert (preview.content, preview.media_type, preview.whole) == (content, type_, True)


@pytest.mark.parametrize(("kind", "type_"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_large_picture_becomes_a_thumbnail(tmp_path, kind, type_):
    content = picture(1600, 800, kind, quality=100)
    assert len(content) > SMALL_BYTES
    preview = read_picture(write(tmp_path / "a", content).path, type_)
    assert not preview.whole
    assert len(preview.content) <= 90_000
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert Image.MIME[thumbnail.format] == preview.media_type
        assert max(thumbnail.size) <= 800
        assert thumbnail.width == 2 * thumbnail.height


def test_twenty_megapixels_add_a_three_hundredth_of_their_size(tmp_path):
    path = write(tmp_path / "a.jpg", picture(5472, 3648, "JPEG", quality=95)).path
    preview = read_picture(path, "image/jpeg")
    assert path.stat().st_size > 2_000_000
    assert len(preview.content) * 4 / 3 <= max(path.stat().st_size / 300, 16_000)


def test_a_transparent_picture_is_put_on_white(tmp_path):
    noise = Image.effect_noise((1000, 900), 90)
    Image.merge("RGBA", [noise, noise, noise, Image.new("L", noise.size)]).save(tmp_path / "a.png", compress_level=1)
    assert (tmp_path / "a.png").stat().st_size > SMALL_BYTES
    preview = read_picture(tmp_path / "a.png", "image/png")
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert thumbnail.getextrema() == ((255, 255),) * 3


def test_a_photograph_stands_upright_in_its_thumbnail(tmp_path):
    (exif := Image.Exif())[0x0112] = 6
    path = write(tmp_path / "a.jpg", picture(1600, 800, "JPEG", quality=100, exif=exif.tobytes())).path
    preview = read_picture(path, "image/jpeg")
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert thumbnail.height == 2 * thumbnail.width


@pytest.mark.parametrize("padding", [0, SMALL_BYTES])
def test_a_decompression_bomb_is_left_to_the_card(tmp_path, padding):
    side = int(89_478_485**0.5) + 1
    path = write(tmp_path / "a.png", png_header(side, side) + b"\0" * padding).path
    assert read_picture(path, "image/png") is None


@pytest.mark.parametrize(("type_", "content"), [
    ("image/png", b"<html>error</html>"), ("image/png", b""), ("image/png", b"x" * 400_000),
    ("image/bmp", b"BM"), ("text/csv", b"a,b"),
], ids=lambda part: ascii(part[:12]))  # fmt: skip
def test_what_is_no_picture_is_left_to_the_card(tmp_path, type_, content):
    assert read_picture(write(tmp_path / "a", content).path, type_) is None


def test_what_is_no_whole_picture_or_one_of_another_kind_is_left_to_the_card(tmp_path):
    whole = picture(2400, 1200, "PNG")
    assert read_picture(write(tmp_path / "a", whole[:400_000]).path, "image/png") is None
    assert read_picture(write(tmp_path / "b", whole).path, "image/jpeg") is None


def test_a_short_text_is_shown_whole(tmp_path):
    head = read_text_head(write(tmp_path / "a.txt", "Größe\r\n  two\n".encode()).path)
    assert (head.text, head.whole) == ("Größe\n  two", True)


@pytest.mark.parametrize("content", ["line\n" * 1000, "x" * 1000, "é" * 100_000], ids=["lines", "long", "two bytes"])
def test_of_a_long_text_the_beginning_is_shown(tmp_path, content):
    head = read_text_head(write(tmp_path / "a.txt", content.encode()).path)
    assert not head.whole
    assert len(head.text.split("\n")) <= MOST_LINES
    assert len(head.text) < 300


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\0", b"\x89PNG\r\n", b"\xff\xd8", b"ab\x01", b"caf\xe9 au"])
def test_what_is_no_text_has_no_beginning(tmp_path, content):
    assert read_text_head(write(tmp_path / "a", content).path) is None
