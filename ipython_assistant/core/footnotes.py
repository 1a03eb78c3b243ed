"""The answer as the reader gets it: `sandbox:` links lead to the saved files, and what it rests on stands in footnotes.

A mark is superscript digits after a narrow no-break space, which mean nothing in Markdown and TeX. It is put behind the
word, link, formula or piece of code it would otherwise break; where there is no such place the source is only listed.
Titles and addresses are hostile: a title is one line of plain words, an address is a link only if it is one of the web,
and the host it leads to is always written out.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ipython_assistant.core.links import Edit, Spans, code, code_blocks, edited, link_edits, open_fence
from ipython_assistant.core.turn import UrlCitation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Source, TextPart, Turn

LONGEST_TITLE = 160
"""In characters; what is beyond it is cut."""

_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_GAP = "\u202f"

# What a mark must not be put into, beside code. Dollar signs are a formula only where they cannot be money. The lengths
# keep the search short in a text of opening marks alone.
_WHOLE = re.compile(
    r"""!?\[ [^\[\]\n]{0,2000} \] \( [^()\n]{0,2000} (?:\([^()\n]{0,2000}\)[^()\n]{0,2000}){0,9} \)
      | < [^<>\s]{1,2000} >
      | (?:https?|sandbox): [^\s<>()\[\]"'`]{1,2000}
      | \$\$ .{1,2000}? \$\$
      | \$ (?=[^\s$]) [^$\n]{0,2000}? (?<=[^\s\\$]) \$ (?!\d)
      | \\\( .{1,2000}? \\\)
      | \\\[ .{1,2000}? \\\]
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"\w{0,99}")
_ENDS_EMPHASIS = re.compile(r"[*_~]{0,9}")
_TABLE_ROW = re.compile(r"[ \t]{0,99}\|")
_NEAR = 99
"""In characters: so far before a place its white space is left out."""
_LETTER = re.compile(r"[^\W_]")
# The service's models write a source into the text themselves, as a link of its own in parentheses.
_LINK_OF_ITS_OWN = re.compile(
    r"(?<![ \t])[ \t]{0,9}\(\[[^\[\]\n]{0,500}\]\((?P<url>[^\s()]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500}){0,9})\)\)"
)
_TRACKING = re.compile(r"(?<=[?&])utm_source=openai(?:&|$)")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where in a part the reader is to be sent to a source, and what the model wrote there to that end."""

    place: int | None
    source: Source
    instead_of: tuple[int, int] | None = None


class _Page:
    """A text in which places for marks are looked for: many, so that each look must not read the whole line again.

    Args:
        text: The text, as the model wrote it.
        spans: Stretches of it that no mark may break up, beside what is seen from the text itself.
    """

    def __init__(self, text: str, spans: Iterable[tuple[int, int]]) -> None:
        self._text = text
        self._whole = Spans([*spans, *(match.span() for match in _WHOLE.finditer(text)), *code(text)])
        self._blocks = code_blocks(text)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._letters: dict[int, int] = {}

    def place_near(self, place: int) -> int | None:
        """The nearest place to this one where a mark breaks nothing; None where it would have to leave its line."""
        text = self._text
        place = max(place - _NEAR, 0) + len(text[max(place - _NEAR, 0) : place].rstrip())
        if 0 < place < len(text) and text[place - 1].isalnum():
            word = _WORD.match(text, place)
            place = word.end() if word else place
        if (broken := self._whole.inside(place)) is not None:
            place = broken[1]
        closing = _ENDS_EMPHASIS.match(text, place)
        if closing is not None and place and not text[place - 1].isspace():
            place = closing.end()
        line = bisect_right(self._line_starts, place) - 1
        line_start = self._line_starts[line]
        if text[place - 1 : place] == "|" and _TABLE_ROW.match(text, line_start):
            # In a table the mark goes into the cell, before the bar.
            begin = max(place - 1 - _NEAR, line_start)
            place = begin + len(text[begin : place - 1].rstrip())
        if place <= self._first_letter(line) or self._blocks.touches(place):
            return None
        return place

    def _first_letter(self, line: int) -> int:
        """Where the first letter or digit of a line stands; the end of the text where it has none."""
        if line not in self._letters:
            end = self._line_starts[line + 1] if line + 1 < len(self._line_starts) else len(self._text)
            letter = _LETTER.search(self._text, self._line_starts[line], end)
            self._letters[line] = letter.start() if letter else len(self._text)
        return self._letters[line]


def answer_text(turn: Turn, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None) -> str:
    """The answer as Markdown, messages separated by a blank line, its sources at the end.

    Args:
        turn: The turn, whose parts hold text, citations and sources.
        artifacts: The files saved for it.
        missing: Own name of a file that is not on disk → why, in a few words.
    """
    saved = list(artifacts)
    links = {part: link_edits(part, saved, missing) for part in turn.parts}
    marks = {part: _marks(part, links[part]) for part in turn.parts}
    numbers = _numbers([marks[part] for part in turn.parts])
    messages = (
        "".join(edited(part.text, (*links[part], *_edits(marks[part], numbers))) for part in message.parts)
        for message in turn.messages
    )
    text = "\n\n".join(message for message in messages if message)
    return text + _listed(text, numbers) if numbers else text


def _marks(part: TextPart, links: Sequence[Edit]) -> tuple[_Mark, ...]:
    if not part.sources:
        return ()
    text = part.text
    own = [(match.span(), _key(match["url"])) for match in _LINK_OF_ITS_OWN.finditer(text)]
    page = _Page(text, [*(span for span, _ in own), *((edit.start, edit.end) for edit in links)])
    marks = []
    for source in part.sources:
        span = _own_link(source, own)
        start, end = (source.start, source.end) if isinstance(source, UrlCitation) else (source.index, source.index)
        start, end = (span[0], span[0]) if span is not None else (start, end)
        believed = 0 <= start <= end <= len(text) and end > 0
        marks.append(_Mark(page.place_near(end) if believed else None, source, span))
    return tuple(marks)


def _own_link(source: Source, own: Sequence[tuple[tuple[int, int], str]]) -> tuple[int, int] | None:
    """The link in parentheses that the model wrote for this source: the one where the span says it is."""
    if not isinstance(source, UrlCitation):
        return None
    key = _key(source.url)
    # The links do not overlap, so their ends are in order too: only those the span touches are looked at.
    first = bisect_left(own, source.start, key=lambda link: link[0][1])
    for span, url in own[first : first + 9]:
        if span[0] <= source.end and url == key:
            return span
    return None


def _numbers(parts: Iterable[Sequence[_Mark]]) -> dict[str, tuple[int, Source]]:
    """Each source once, numbered as a reader meets it; those that no mark leads to come last."""
    marks = [mark for part in parts for mark in sorted(part, key=_order)]
    met = [mark for mark in marks if mark.place is not None] + [mark for mark in marks if mark.place is None]
    once: dict[str, Source] = {}
    for mark in met:
        once.setdefault(_identity(mark.source), mark.source)
    return {identity: (number, source) for number, (identity, source) in enumerate(once.items(), 1)}


def _order(mark: _Mark) -> int:
    return -1 if mark.place is None else mark.place


def _edits(marks: Iterable[_Mark], numbers: Mapping[str, tuple[int, Source]]) -> list[Edit]:
    at: dict[int, set[int]] = {}
    edits = set()
    for mark in marks:
        if mark.place is None:
            continue
        at.setdefault(mark.place, set()).add(numbers[_identity(mark.source)][0])
        if mark.instead_of is not None:
            edits.add(Edit(*mark.instead_of, ""))
    written = [
        Edit(place, place, "".join(f"{_GAP}{str(number).translate(_DIGITS)}" for number in sorted(there)))
        for place, there in at.items()
    ]
    return [*edits, *written]


def _identity(source: Source) -> str:
    if isinstance(source, UrlCitation):
        return f"url {_key(source.url)}"
    return f"file {source.file_id or source.filename}"


def _key(url: str) -> str:
    """The address without what the service's search puts behind it to be counted."""
    return _TRACKING.sub("", url).rstrip("?&")


def _listed(text: str, numbers: Mapping[str, tuple[int, Source]]) -> str:
    lines = [f"{number}. {_entry(source)}" for number, source in numbers.values()]
    # A block of code that the text leaves open would take in the list.
    fence = open_fence(text)
    return (f"\n{fence}" if fence else "") + "\n\n**Sources**\n\n" + "\n".join(lines)


def _entry(source: Source) -> str:
    if not isinstance(source, UrlCitation):
        return _words(source.filename or source.file_id) or "a file without a name"
    address, host = _address(source.url)
    if address is None:
        return f"{_words(source.title or source.url) or 'a page'} (its address is not one of the web)"
    title = _words(source.title)
    return f"[{title}]({address}), {host}" if title else f"[{host}]({address})"


def _address(url: str) -> tuple[str | None, str]:
    """A web address as it may stand in a Markdown link, and its host in words; None for any other address.

    One with a user's name in it (`https://bank.example@other.example`) is made to be misread.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        honest = parts.scheme in {"http", "https"} and bool(host) and "@" not in parts.netloc and "\\" not in url
        # What is encoded already stays as it is.
        address = quote(url.strip(), safe="%/:?#@!$&*+,=-._~") if honest else None
    except ValueError:
        return None, ""
    return address, _words(host)


def _words(title: str) -> str:
    """A title as one line of Markdown that is nothing but its words."""
    line = " ".join(title.split())
    if len(line) > LONGEST_TITLE:
        line = f"{line[: LONGEST_TITLE - 2].rstrip()} …"
    # Square brackets would have to be balanced, and behind a backslash they would be TeX.
    line = line.translate(str.maketrans("[]", "()"))
    line = re.sub(r"([\\`*_<>&$~#|!]|^[-+])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", line)
