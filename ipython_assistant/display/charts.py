"""A file that specifies an interactive chart → an output that front ends draw, if nothing in it loads or links.

A chart's HTML page is never shown: it would run in the notebook's page, with the user's rights. A specification is
data: `NAME.vl.json` (https://vega.github.io/vega-lite/) or `NAME.plotly.json` (https://plotly.com/python/reference/).
But the libraries that draw it load what it names, so one that names anything outside itself is refused.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ipython_assistant.display.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MIME_TYPES = {
    # JupyterLab 4.6 draws version 5, and so do the others; a version 6 specification is nearly always one of 5 too.
    ".vl.json": "application/vnd.vegalite.v5+json",
    ".plotly.json": "application/vnd.plotly.v1+json",
}
LARGEST = 1_000_000
"""In bytes: it is stored in the notebook as it is."""
DEEPEST = 50
"""Of objects in objects."""

_ADDRESS = re.compile(
    r"\s*(?:[a-z][a-z0-9+.-]*:)?//|\s*(?:data|javascript|file|blob):|.*<\s*(?:a|img)\b", re.IGNORECASE
)
# Keys and marks that load or link, also where an expression puts their address together.
_LOADING = frozenset({"url", "href", "image", "images", "source", "loader", "topojson", "bdataurl", "topojsonurl"})
# Kinds of Plotly charts that load tiles or the outlines of countries from the web.
_MAPS = re.compile(r"choropleth\w*|\w*mapbox|scattergeo|scattermap|densitymap", re.IGNORECASE)


class ChartError(ValueError):
    """A specification that is not shown; the message says why, to follow "is not shown: "."""


def chart_type(name: str) -> str | None:
    """The media type under which a file of this name is drawn; None where its name is not that of a chart."""
    return next((media_type for ending, media_type in MIME_TYPES.items() if name.lower().endswith(ending)), None)


def stem(name: str) -> str:
    """The name without what makes it a specification or a picture: `by_year.vl.json` and `by_year.png` go together."""
    ending = next((ending for ending in MIME_TYPES if name.lower().endswith(ending)), "")
    return name[: -len(ending)] if ending else name.rpartition(".")[0]


def read_chart(name: str, content: bytes) -> dict[str, Any]:
    """The specification in a file of this name and content, as it goes into an output.

    Raises `ChartError` where it is too large or damaged, or would load something or link somewhere.
    """
    if len(content) > LARGEST:
        raise ChartError("its specification is over 1 MB.")
    try:
        spec = json.loads(content)
    except (ValueError, RecursionError):
        raise ChartError("it is not JSON.") from None
    if not isinstance(spec, dict):
        raise ChartError("it is no specification of a chart.")
    plotly = chart_type(name) == MIME_TYPES[".plotly.json"]
    # What configures the library that draws, and not the chart: it can name addresses too.
    kept = {key: part for key, part in spec.items() if key not in {"$schema", "usermeta", "config" if plotly else ""}}
    if plotly and not isinstance(spec.get("data"), list):
        raise ChartError("it has no list of data, as a Plotly figure has.")
    for key, value in _parts("", kept):
        if key.lower() in _LOADING or (isinstance(value, str) and value.lower() in _LOADING):
            raise ChartError(f"it uses “{one_line(key or str(value))}”, which loads something or links somewhere.")
        if isinstance(value, str) and _ADDRESS.match(value):
            raise ChartError(f"it names an address: “{one_line(value)}”. Its data must be in the file itself.")
        if plotly and key == "type" and isinstance(value, str) and _MAPS.fullmatch(value):
            raise ChartError(f"a chart of type “{one_line(value)}” loads its map from the web.")
    return kept if plotly else {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", **kept}


def _parts(key: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value with its key (empty in a list), however deep."""
    if depth > DEEPEST:
        raise ChartError("its specification is too large.")
    yield key, value
    inner = (
        value.items() if isinstance(value, dict) else (("", part) for part in value) if isinstance(value, list) else ()
    )
    for name, part in inner:
        yield from _parts(name, part, depth + 1)
