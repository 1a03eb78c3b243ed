"""An SVG is shown as a drawing: what runs, fetches or leads elsewhere is not in it."""

from __future__ import annotations

import io

import pytest
from tests_support.files import artifact

from ipython_assistant.display import previews
from ipython_assistant.display.svg import clean_svg

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>h.test</script>",
        "<s:script xmlns:s='http://www.w3.org/2000/svg'>h.test</s:script>",
        "<rect onload='h.test'/>",
        "<rect\nonclick = 'h.test'/>",
        "<foreignObject><img src='http://h.test/'/></foreignObject>",
        "<image href='http://h.test/x.png'/>",
        "<image xlink:href='//h.test/x.png'/>",
        "<image href='data:image/svg+xml;base64,h.test'/>",
        "<a href='javascript:h.test'><rect/></a>",
        "<a href='&#106;avascript:h.test'><rect/></a>",
        "<use href='http://h.test/x.svg#a'/>",
        "<style>@import 'http://h.test/x.css';</style>",
        "<style>@imp\\ort 'http://h.test/x.css';</style>",
        "<style>a{b:image-set('http://h.test/x')}</style>",
        "<rect style='fill:url(http://h.test/x)'/>",
        "<rect style='fill:u\\72l(http://h.test/x)'/>",
        "<rect fill='url( &quot;//h.test&quot; )'/>",
        "<set attributeName='href' to='javascript:h.test'/>",
        "<animate attributeName='href' values='javascript:h.test'/>",
        "<img xmlns='http://www.w3.org/1999/xhtml' src='http://h.test' srcset='http://h.test'/>",
        "<h:video xmlns:h='http://www.w3.org/1999/xhtml' poster='http://h.test'/>",
        "<h:meta xmlns:h='http://www.w3.org/1999/xhtml' http-equiv='refresh' content='0;url=//h.test'/>",
        "<h:button xmlns:h='http://www.w3.org/1999/xhtml' formaction='java&#115;cript:h.test'/>",
        "<metadata><x:y xmlns:x='http://h.test'/></metadata>",
        "<!-- h.test --><?h.test?>",
    ],
)
def test_what_is_more_than_a_drawing_is_left_out(inside: str) -> None:
    drawing = clean_svg(f'{OPEN}{inside}<rect width="9"/></svg>'.encode())

    assert drawing is not None
    assert "h.test" not in drawing
    assert '<rect width="9" />' in drawing


def test_text_that_looks_like_markup_stays_text() -> None:
    drawing = clean_svg(f"{OPEN}<title><![CDATA[><img src=x onerror=alert(1)>]]></title></svg>".encode())

    assert drawing is not None
    assert "<img" not in drawing


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"<html/>",
        b"<svg",
        b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg">' + b" " * 1_000_000 + b"</svg>",
    ],
    ids=["UTF-16", "HTML", "cut", "entities", "over 1 MB"],
)
def test_what_is_no_drawing_is_not_shown(content: bytes) -> None:
    assert clean_svg(content) is None


def test_a_drawing_of_groups_in_groups_without_end_is_cut() -> None:
    drawing = clean_svg(f"{OPEN}{'<g>' * 20_000}{'</g>' * 20_000}</svg>".encode())

    assert drawing is not None
    assert drawing.count("<g") < 200


def test_a_chart_as_matplotlib_writes_it_keeps_its_lines_pictures_and_clips() -> None:
    from matplotlib.figure import Figure

    drawn, axes = io.BytesIO(), (figure := Figure()).subplots()
    axes.semilogy([1, 2], [1, 1000], label="$x^2$")
    axes.imshow([[1, 2]], extent=(1, 2, 1, 1000))
    axes.legend()
    figure.savefig(drawn, format="svg")
    bundle = previews.picture(artifact("a.svg", "image/svg+xml"), drawn.getvalue())

    assert bundle is not None
    shown, written = bundle.data["image/svg+xml"], drawn.getvalue().decode()
    for part in ("<path", "<use ", "<image ", "clip-path=", "stroke-linejoin", "data:image/png;base64"):
        assert shown.count(part) == written.count(part)
