"""Files → what is shown of them: pictures or their thumbnails, tables, the beginnings of texts; and in which order."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests_support.markup import Markup

from ipython_assistant.answer import Answer
from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.core.naming import media_type
from ipython_assistant.core.turn import CodeCall, Turn
from ipython_assistant.workspace.pictures import MOST_PIXELS, SMALL_BYTES, read_picture
from ipython_assistant.workspace.texts import MOST_LINES, read_text_head


def picture(width: int, height: int, kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """A picture that does not compress to nothing."""
    small = Image.effect_noise((max(width // 4, 1), max(height // 4, 1)), 80)
    encoded = io.BytesIO()
    small.resize((width, height)).convert(mode).save(encoded, kind, **options)
    return encoded.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that says it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --- pictures ---------------------------------------------------------------------------------------------------------

KINDS = [
    ("PNG", "image/png", {}),
    ("JPEG", "image/jpeg", {}),
    ("JPEG", "image/jpeg", {"progressive": True}),
    ("GIF", "image/gif", {}),
    ("WEBP", "image/webp", {}),
    ("WEBP", "image/webp", {"lossless": True}),
    ("WEBP", "image/webp", {"exif": b"Exif\0\0"}),
]


@pytest.mark.parametrize(("kind", "type_", "options"), KINDS)
def test_a_small_picture_is_shown_as_it_is(tmp_path: Path, kind: str, type_: str, options: dict[str, Any]) -> None:
    content = picture(120, 80, kind, **options)

    preview = read_picture(written(tmp_path / "a", content), type_)

    assert preview is not None
    assert (preview.content, preview.media_type, preview.whole) == (content, type_, True)


@pytest.mark.parametrize(("kind", "type_"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_large_picture_becomes_a_thumbnail(tmp_path: Path, kind: str, type_: str) -> None:
    content = picture(2400, 1200, kind, quality=100)
    assert len(content) > SMALL_BYTES

    preview = read_picture(written(tmp_path / "a", content), type_)

    assert preview is not None
    assert not preview.whole
    assert len(preview.content) <= 90_000
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert Image.MIME[thumbnail.format] == preview.media_type
        assert max(thumbnail.size) <= 800
        assert thumbnail.width == 2 * thumbnail.height


def test_twenty_megapixels_add_a_three_hundredth_of_their_size(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", picture(5472, 3648, "JPEG", quality=95))

    preview = read_picture(path, "image/jpeg")

    assert preview is not None
    assert path.stat().st_size > 2_000_000
    assert len(preview.content) * 4 / 3 <= max(path.stat().st_size / 300, 16_000)


def test_a_transparent_picture_is_put_on_white(tmp_path: Path) -> None:
    clear = Image.merge(
        "RGBA", [*Image.effect_noise((1600, 1200), 90).convert("RGB").split(), Image.new("L", (1600, 1200))]
    )
    clear.save(tmp_path / "a.png")

    preview = read_picture(tmp_path / "a.png", "image/png")

    assert preview is not None
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert thumbnail.getextrema() == ((255, 255),) * 3


def test_a_photograph_stands_upright_in_its_thumbnail(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = written(tmp_path / "a.jpg", picture(2400, 1200, "JPEG", quality=100, exif=exif.tobytes()))

    preview = read_picture(path, "image/jpeg")

    assert preview is not None
    with Image.open(io.BytesIO(preview.content)) as thumbnail:
        assert thumbnail.height == 2 * thumbnail.width


@pytest.mark.parametrize("padding", [0, SMALL_BYTES])
def test_a_decompression_bomb_is_left_to_the_card(tmp_path: Path, padding: int) -> None:
    side = int(MOST_PIXELS**0.5) + 1
    path = written(tmp_path / "a.png", png_header(side, side) + b"\0" * padding)

    assert read_picture(path, "image/png") is None


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        ("image/png", b"<html>error</html>"),
        ("image/png", b""),
        ("image/png", b"x" * 400_000),
        ("image/png", picture(2400, 1200, "PNG")[:400_000]),
        ("image/jpeg", picture(2400, 1200, "PNG")),
        ("image/bmp", b"BM"),
        ("text/csv", b"a,b"),
    ],
    ids=lambda part: ascii(part[:12]),
)
def test_what_is_no_whole_picture_is_left_to_the_card(tmp_path: Path, type_: str, content: bytes) -> None:
    assert read_picture(written(tmp_path / "a", content), type_) is None


# --- texts ------------------------------------------------------------------------------------------------------------


def test_a_short_text_is_shown_whole(tmp_path: Path) -> None:
    head = read_text_head(written(tmp_path / "a.txt", "Größe\r\n  two\n".encode()))

    assert head is not None
    assert (head.text, head.whole) == ("Größe\n  two", True)


@pytest.mark.parametrize("content", ["line\n" * 1000, "x" * 1000, "é" * 100_000], ids=["lines", "long", "two bytes"])
def test_of_a_long_text_the_beginning_is_shown(tmp_path: Path, content: str) -> None:
    head = read_text_head(written(tmp_path / "a.txt", content.encode()))

    assert head is not None
    assert not head.whole
    assert len(head.text.split("\n")) <= MOST_LINES
    assert len(head.text) < 300


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", b"\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"ab\x01", b"caf\xe9 au lait"]
)
def test_what_is_no_text_has_no_beginning(tmp_path: Path, content: bytes) -> None:
    assert read_text_head(written(tmp_path / "a", content)) is None


def test_a_text_with_its_mark_is_read_in_its_encoding(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        head = read_text_head(written(tmp_path / "a", "Größe".encode(encoding)))
        assert head is not None
        assert head.text == "Größe"


# --- the answer -------------------------------------------------------------------------------------------------------


def answer(folder: Path, files: dict[str, bytes]) -> Answer:
    artifacts = tuple(
        Artifact(name, name, written(folder / name, content), f"files/{name}", len(content), "0" * 64, media_type(name))
        for name, content in files.items()
    )
    turn = Turn(status="completed", items=(CodeCall("ci", "cntr", "x = 1", "completed", ("1\n",)),))
    return Answer(text="Done.", turn=turn, artifacts=artifacts, prompt="Plot it all")


def kinds(answer: Answer) -> list[tuple[str, str]]:
    return [
        (
            bundle.metadata["ipython_assistant"]["output"],
            bundle.data["text/plain"].partition(" — ")[0].partition(" is ")[0],
        )
        for bundle in answer.outputs()
    ]


def test_work_pictures_tables_texts_and_the_card_come_in_this_order(tmp_path: Path) -> None:
    made = answer(
        tmp_path,
        {
            "notes.md": b"# Notes\n",
            "b.json": b'[{"a": 1}]',
            "settings.json": b'{"a": [1]}',
            "a.csv": b"a,b\n1,2\n",
            "big.png": picture(2400, 1200, "PNG"),
            "small.png": picture(30, 20, "PNG"),
            "broken.csv": b"<html>error</html>",
            "run.log": b"started\n",
            "a.zip": b"PK\x03\x04",
            "page.html": b"<script>alert(1)</script>",
            "empty.txt": b"",
        },
    )

    described = kinds(made)

    assert described[:-1] == [
        ("work", "Code, 1 step\n\n    x = 1\n\nPrinted:\n\n    1"),
        ("picture", "big.png: Plot it all"),
        ("full picture", "big.png"),
        ("picture", "small.png: Plot it all"),
        ("table", "b.json"),
        ("table", "a.csv"),
        ("source", "notes.md"),
        ("source", "settings.json"),
        ("source", "broken.csv"),
        ("source", "run.log"),
        ("source", "page.html"),
    ]
    assert described[-1][0] == "card"
    assert "broken.csv is not shown as a table: it holds a web page." in list(made.outputs())[-1].data["text/plain"]
    assert [table.name for table in made.tables] == ["b.json", "a.csv", "broken.csv"]
    for bundle in made.outputs():
        assert Markup.of(bundle.data.get("text/html", "")).harm() == []


def test_below_a_table_stands_how_it_was_read(tmp_path: Path) -> None:
    made = answer(tmp_path, {"a.csv": b"Title\n\nday,n\n25/02/2026,1\n01/02/2026,2\n,\nSource: <b>M</b>,\n"})
    _, table, _ = made.outputs()

    for form in ("text/plain", "text/html"):
        assert "The lines above the header were left out." in table.data[form]
        assert "day: dates were read day first, because 25/02/2026 occurs." in table.data[form]
    assert Markup.of(table.data["text/html"]).harm() == []


def test_in_place_of_a_picture_that_cannot_be_shown_a_line_says_so_and_links_to_it(tmp_path: Path) -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg">%s</svg>'
    files = {
        "large.svg": drawing % (b"<g/>" * 1_000_000),
        "script.svg": drawing % b"<script>1</script>",
        "bomb.png": picture(30, 20, "PNG")[:16] + b"\xff" * 8,
    }
    _, *lines, card = answer(tmp_path, files).outputs()

    assert [line.data["text/plain"] for line in lines] == [
        f"{name} is not shown here: it is too large, damaged, or more than a picture. It is saved as files/{name}"
        for name in files
    ]
    links = [link for line in lines for link in Markup.of(line.data["text/html"]).all("a")]
    assert links == [{"href": f"files/{name}", "download": name} for name in files]
    assert all(name in card.data["text/plain"] for name in files)


def test_what_is_shown_is_the_same_each_time_and_holds_no_size_of_a_picture(tmp_path: Path) -> None:
    made = answer(tmp_path, {"big.png": picture(2400, 1200, "PNG"), "a.csv": b"a\n1\n"})
    first, second = (json.dumps([bundle.data for bundle in made.outputs()]) for _ in range(2))

    assert first == second
    assert str((tmp_path / "big.png").stat().st_size) not in first
    assert "kB" not in "".join(bundle.data["text/plain"] for bundle in made.outputs())


def test_files_that_are_gone_are_still_in_the_card(tmp_path: Path) -> None:
    made = answer(tmp_path, {"a.png": picture(30, 20, "PNG"), "a.csv": b"a\n1\n", "a.txt": b"x", "a.json": b"[]"})
    for artifact in made.artifacts:
        artifact.path.unlink()

    assert [kind for kind, _ in kinds(made)] == ["work", "card"]


def test_of_many_texts_the_first_are_shown_and_the_others_are_named(tmp_path: Path) -> None:
    made = answer(tmp_path, {f"{number}.log": b"x" for number in range(12)})
    *shown, card = list(made.outputs())[1:]

    assert len(shown) == 10
    assert "2 more text files are not shown above." in card.data["text/plain"]
    assert "11.log" in card.data["text/plain"]
