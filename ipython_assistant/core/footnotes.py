"""The answer as the reader gets it: `sandbox:` links lead to the saved files, and what it rests on stands in footnotes.

A mark is superscript digits after a narrow no-break space, which mean nothing in Markdown. It takes the place of the
link that the model wrote for its source, else it stands at the end of the line; a source of code or of a table's row,
where a mark would break something, is only listed.
Titles and addresses are hostile: a title is one line of plain words, an address is a link only if it is one of the web,
and the host it leads to is always written out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ipython_assistant.core.links import Edit, code, edited, link_edits, mask, open_fence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Source, TextPart, Turn

LONGEST_TITLE = 160
"""In characters; what is beyond it is cut."""

_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_GAP = "\u202f"

_HAS_LETTER = re.compile(r"[^\W_]")
# The service's models write a source into the text themselves, as a link of its own in parentheses.
_LINK_OF_ITS_OWN = re.compile(
    r"(?<![ \t])[ \t]{0,9}\(\[[^\[\]\n]{0,500}\]\((?P<url>[^\s()]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500}){0,9})\)\)"
)
_TRACKING = re.compile(r"(?<=[?&])utm_source=openai(?:&|$)")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where in a part the reader is to be sent to a source, and the span of what the model wrote there to that end."""

    source: Source
    place: int | None
    instead_of: tuple[int, int] | None = None


def answer_text(turn: Turn, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None) -> str:
    """The answer as Markdown, messages separated by a blank line, its sources at the end.

    `artifacts` are the files saved for it; `missing` says of others, by their own names, why they are not on disk.
    """
    saved = list(artifacts)
    links = {part: link_edits(part, saved, missing) for part in turn.parts}
    marks = {part: _marks(part, links[part]) for part in turn.parts}
    sources = _in_reading_order([mark for part in turn.parts for mark in marks[part]])
    numbers = {_identity(source): number for number, source in enumerate(sources, 1)}
    messages = (
        "".join(edited(part.text, (*links[part], *_edits(marks[part], numbers))) for part in message.parts)
        for message in turn.messages
    )
    text = "\n\n".join(message for message in messages if message)
    if not sources:
        return text
    # A block of code that the text leaves open would take in the list.
    fence = open_fence(text)
    listed = [f"{number}. {_entry(source)}" for number, source in enumerate(sources, 1)]
    return "\n".join([text, *([fence] if fence else []), "", "**Sources**", "", *listed])


def _marks(part: TextPart, links: Sequence[Edit]) -> list[_Mark]:
    """The marks of a part, in the order of their places."""
    if not part.sources:
        return []
    text = part.text
    # The links in parentheses that the model wrote for its sources, by each place in them.
    links_of_its_own = list(_LINK_OF_ITS_OWN.finditer(text))
    own = {place: match for match in links_of_its_own for place in range(match.start(), match.end())}
    in_code, in_links = mask(text, code(text)), mask(text, ((edit.start, edit.end) for edit in links))
    starts, ends = _line_ends(text, in_code)
    marks = []
    for source in part.sources:
        start, end = source.start, source.end
        place = ends[bisect_left(starts, end) - 1] if 0 <= start <= end <= len(text) and end > 0 else None
        near = (own.get(there) for there in (start, end - 1, end))
        span = next((link.span() for link in near if link and _key(link["url"]) == _key(source.url)), None)
        place = place if span is None else span[0]
        breaks = place is not None and (in_code[place] or in_links[place])
        marks.append(_Mark(source, None, None) if breaks else _Mark(source, place, span))
    return sorted(marks, key=lambda mark: mark.place or 0)


def _line_ends(text: str, in_code: bytearray) -> tuple[list[int], list[int | None]]:
    """Where each line begins, and where a mark for what it says stands; a blank line belongs to the one before it."""
    starts, ends = [], []
    place, end = 0, None
    for line in text.split("\n"):
        if said := line.rstrip():
            first, last = place + len(said) - len(said.lstrip()), place + len(said) - 1
            is_code = in_code[first] and in_code[last]
            is_prose = _HAS_LETTER.search(said) and text[first] != "|" and not is_code
            end = last + 1 if is_prose else None
        starts.append(place)
        ends.append(end)
        place += len(line) + 1
    return starts, ends


def _in_reading_order(marks: Iterable[_Mark]) -> list[Source]:
    """Each source once, as a reader meets it; those that no mark leads to come last."""
    once: dict[str, Source] = {}
    for mark in sorted(marks, key=lambda mark: mark.place is None):
        once.setdefault(_identity(mark.source), mark.source)
    return list(once.values())


def _edits(marks: Iterable[_Mark], numbers: Mapping[str, int]) -> list[Edit]:
    at: dict[int, set[int]] = {}
    edits = set()
    for mark in marks:
        if mark.place is not None:
            at.setdefault(mark.place, set()).add(numbers[_identity(mark.source)])
            edits |= {Edit(*mark.instead_of, "")} if mark.instead_of is not None else set()
    for place, there in at.items():
        edits.add(Edit(place, place, "".join(f"{_GAP}{str(number).translate(_DIGITS)}" for number in sorted(there))))
    return list(edits)


def _identity(source: Source) -> str:
    return f"file {source.file_id}" if source.file_id else f"url {_key(source.url)}"


def _key(url: str) -> str:
    """The address without what the service's search puts behind it to be counted."""
    return _TRACKING.sub("", url).rstrip("?&")


def _entry(source: Source) -> str:
    if source.file_id:
        return _words(source.title or source.file_id)
    title, url = _words(source.title), source.url.strip()
    try:
        parts = urlsplit(url)
        host = _words(parts.hostname or "")
        # One with a user's name in it (`https://bank.example@other.example`) is made to be misread.
        honest = parts.scheme in {"http", "https"} and host and "@" not in parts.netloc and "\\" not in url
        # What is encoded already stays as it is.
        address = quote(url, safe="%/:?#@!$&*+,=-._~") if honest else ""
    except ValueError:
        address = ""
    if not address:
        return f"{title or _words(url) or 'a page'} (its address is not one of the web)"
    return f"[{title}]({address}), {host}" if title else f"[{host}]({address})"


def _words(title: str) -> str:
    """A title as one line of Markdown that is nothing but its words."""
    line = " ".join(title.split())
    if len(line) > LONGEST_TITLE:
        line = f"{line[: LONGEST_TITLE - 2].rstrip()} …"
    # Square brackets would have to be balanced, and behind a backslash they would be TeX.
    line = line.translate(str.maketrans("[]", "()"))
    line = re.sub(r"([\\`*_<>&$~#|!]|^[-+])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)
