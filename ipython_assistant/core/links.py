"""`sandbox:` links in an answer become relative links to the saved files, or say that there is no such file.

A citation's span is believed only where the text really holds a `sandbox:` link there; everything else is found by
name. All text outside the links stays as the model wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import TextPart

_START = re.compile(r"sandbox:/*mnt/data/")
_CLOSING = re.compile(r'>?(?:\s+"[^"\n]*")?\s*\)')
_UNKNOWN = re.compile(r"[^\s()<>\[\]`\"']+")


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of a text and what stands there instead; an empty span is a place where something is put in."""

    start: int
    end: int
    written: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a link's address stands in the text, and what it should become."""

    start: int
    end: int
    name: str
    artifact: Artifact | None


def relink(part: TextPart, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None) -> str:
    """The part's text with each `sandbox:` link pointing at the saved file.

    Args:
        part: A content part, with its citations.
        artifacts: The files saved for this turn.
        missing: Own name of a file that is not on disk → why, in a few words.
    """
    return edited(part.text, link_edits(part, artifacts, missing))


def link_edits(
    part: TextPart, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None
) -> tuple[Edit, ...]:
    """What `relink` changes, as edits of the part's text that can be applied together with others."""
    places = _places(part, list(artifacts))
    return tuple(edit for place in places for edit in _edits(part.text, place, missing or {}))


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with every edit made; all spans are those of the text as it is, one that overlaps another is left out.

    >>> edited("a b", [Edit(2, 3, "c"), Edit(0, 0, "1 ")])
    '1 a c'
    """
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start >= done:
            pieces += [text[done : edit.start], edit.written]
            done = edit.end
    return "".join([*pieces, text[done:]])


def encode_href(href: str) -> str:
    """A relative path as it may stand in a Markdown or HTML link."""
    return quote(href, safe="/-_.~")


def hrefs(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """The links that lead to files of ours: encoded href → file name."""
    return {encode_href(artifact.href): artifact.name for artifact in artifacts}


def _places(part: TextPart, artifacts: list[Artifact]) -> list[_Place]:
    by_id = {(artifact.container_id, artifact.file_id): artifact for artifact in artifacts if artifact.file_id}
    by_name: dict[str, Artifact] = {}
    for artifact in artifacts:
        by_name.setdefault(artifact.own_name, artifact)
    cited = {
        citation.start: _Place(
            citation.start,
            citation.end,
            citation.filename,
            by_id.get((citation.container_id, citation.file_id)) or by_name.get(citation.filename),
        )
        for citation in part.citations
        if not citation.anonymous and _spans_a_link(part.text, citation.start, citation.end)
    }
    places = []
    for match in _START.finditer(part.text):
        place = cited.get(match.start()) or _by_name(part.text, match, by_name)
        places.append(place)
    return places


def _spans_a_link(text: str, start: int, end: int) -> bool:
    match = _START.match(text, start)
    return match is not None and match.end() < end <= len(text) and "\n" not in text[start:end]


def _by_name(text: str, match: re.Match[str], by_name: Mapping[str, Artifact]) -> _Place:
    """The longest saved name that stands here, as it is or percent-encoded; else what looks like a name."""
    for name in sorted(by_name, key=len, reverse=True):
        for written in (name, quote(name), quote(name, safe=""), quote(name, safe="/()!*',;:@&=+$")):
            if text.startswith(written, match.end()):
                return _Place(match.start(), match.end() + len(written), name, by_name[name])
    rest = _UNKNOWN.match(text, match.end())
    end = rest.end() if rest else match.end()
    if not text.startswith(("](", "](<"), max(0, match.start() - 2)):
        end = match.start() + len(text[match.start() : end].rstrip(".,;:!?*_"))
    name = unquote(text[match.end() : end])
    base = name.rpartition("/")[2]
    return _Place(match.start(), end, base or name, by_name.get(base))


def _edits(text: str, place: _Place, missing: Mapping[str, str]) -> Iterator[Edit]:
    before = text[: place.start]
    opening = re.search(r"\]\(\s*<?$", before)
    label = _label_start(text, opening.start()) if opening else None
    if opening is None or label is None:
        yield Edit(place.start, place.end, _bare(place, missing, in_code=before.endswith("`")))
        return
    start = label - 1 if before[:label].endswith("!") else label
    if place.artifact is not None:
        # A picture is shown once, in its own output: here it is a link like any other.
        yield Edit(start, label, "")
        yield Edit(place.start, place.end, encode_href(place.artifact.href))
        return
    closing = _CLOSING.match(text, place.end)
    if closing is None:
        yield Edit(place.start, place.end, _bare(place, missing, in_code=False))
        return
    yield Edit(start, label + 1, "")
    yield Edit(opening.start(), closing.end(), f" ({_reason(place, missing)})")


def _label_start(text: str, end: int) -> int | None:
    """Where the `[` of the label that ends at `end` stands."""
    depth = 0
    for index in range(end - 1, -1, -1):
        if text[index] == "]":
            depth += 1
        elif text[index] == "[":
            if depth == 0:
                return index
            depth -= 1
        elif text[index] == "\n" and text[index - 1 : index] == "\n":
            return None
    return None


def _bare(place: _Place, missing: Mapping[str, str], *, in_code: bool) -> str:
    if place.artifact is None:
        return f"{place.name} ({_reason(place, missing)})"
    if in_code:
        return place.artifact.href
    label = re.sub(r"([\\`*_\[\]<>&])", r"\\\1", place.artifact.name)
    return f"[{label}]({encode_href(place.artifact.href)})"


def _reason(place: _Place, missing: Mapping[str, str]) -> str:
    return missing.get(place.name) or "no such file was made"
