"""An SVG file → a drawing that runs nothing and fetches nothing, also in a page that puts it into its markup.

JupyterLab shows an SVG as a picture, in which no script runs; older converters and other front ends do not. So only
elements and attributes of a list are kept, as in https://www.w3.org/TR/SVG2/: shapes, text, gradients, no links.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 1_000_000
"""In bytes; a larger file is linked, since an SVG has no thumbnail."""
DEEPEST = 100
"""Of elements in elements."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_WORD = r"[\w-]+"
_ELEMENTS = frozenset(
    re.findall(
        _WORD,
        """
    svg g defs symbol use switch path rect circle ellipse line polyline polygon text tspan textPath title desc style
    image marker pattern clipPath mask linearGradient radialGradient stop filter feBlend feColorMatrix feComposite
    feFlood feGaussianBlur feMerge feMergeNode feOffset
        """,
    )
)
_ATTRIBUTES = frozenset(
    re.findall(
        _WORD,
        """
    id class style transform version viewBox preserveAspectRatio x y x1 y1 x2 y2 dx dy cx cy r rx ry fx fy width height
    d points pathLength rotate color display visibility overflow opacity fill fill-opacity fill-rule stroke
    stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width
    vector-effect paint-order shape-rendering text-rendering image-rendering font-family font-size font-style
    font-weight font-stretch font-variant text-anchor text-decoration dominant-baseline alignment-baseline
    baseline-shift letter-spacing word-spacing writing-mode textLength lengthAdjust startOffset clip-path clip-rule
    mask clipPathUnits maskUnits maskContentUnits marker-start marker-mid marker-end markerWidth markerHeight
    markerUnits refX refY orient gradientUnits gradientTransform spreadMethod offset stop-color stop-opacity
    patternUnits patternContentUnits patternTransform filter filterUnits color-interpolation-filters in in2 result
    type values mode operator stdDeviation flood-color flood-opacity
        """,
    )
)
# What lets a style or an attribute fetch. A backslash writes a letter as its number, `@` begins an import or a font.
_FETCHES = re.compile(r"url\s*\(\s*(?![\"']?#)|[\\@]|image-set|src\s*\(|expression\s*\(|\w+script\s*:", re.IGNORECASE)
_WITHIN = re.compile(r"#[^\s\"'<>]*|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")


def clean_svg(content: bytes) -> str | None:
    """The drawing; None for what is no SVG, or one too large to show.

    Args:
        content: The file's bytes. Entities are refused: a few lines of them can become gigabytes.
    """
    try:
        text = content.decode("utf-8-sig") if len(content) <= LARGEST else ""
        if not text or "<!ENTITY" in text:
            return None
        root = ElementTree.fromstring(text)  # noqa: S314 without entities, and of limited size
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError):
        return None
    if root.tag not in {f"{{{_SVG}}}svg", "svg"}:
        return None
    drawing = _kept(root)
    drawing.set("xmlns", _SVG)
    drawing.set("xmlns:xlink", _XLINK)
    return str(ElementTree.tostring(drawing, encoding="unicode"))


def _kept(root: Element) -> Element:
    top = _copy(root)
    waiting = [(root, top, 1)]
    while waiting:
        source, copy, depth = waiting.pop()
        for child in source:
            name = str(child.tag).removeprefix(f"{{{_SVG}}}")
            if name == "style" and _FETCHES.search(child.text or ""):
                continue
            if name in _ELEMENTS and depth < DEEPEST:
                kept = _copy(child)
                copy.append(kept)
                waiting.append((child, kept, depth + 1))
    return top


def _copy(source: Element) -> Element:
    copy: Element = ElementTree.Element(source.tag.removeprefix(f"{{{_SVG}}}"))
    copy.text, copy.tail = source.text, source.tail
    for name, value in source.attrib.items():
        if name in {"href", f"{{{_XLINK}}}href"}:
            if _WITHIN.fullmatch(value):
                copy.set("xlink:href", value)
        elif name in _ATTRIBUTES and not _FETCHES.search(value):
            copy.set(name, value)
    return copy
