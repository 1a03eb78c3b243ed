"""The answer as the reader gets it: `sandbox:` links lead to the saved files, and what it rests on stands in footnotes.

A mark is superscript digits after a narrow no-break space, which mean nothing in Markdown and TeX. It is put behind the
word, link, formula or piece of code it would otherwise break; where there is no such place the source is only listed.
Titles and addresses are hostile: a title is one line of plain words, an address is a link only if it is one of the web,
and the host it leads to is always written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ipython_assistant.core.links import Edit, Spans, code, edited, link_edits, open_fence
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
_LETTER_BEFORE = re.compile(r"[^\W_][^\n]*\Z")
_NEAR = 99
"""In characters: so far before a place is looked for a letter, or for the end of white space."""
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


def answer_text(turn: Turn, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None) -> str:
    """The answer as Markdown, messages separated by a blank line, its sources at the end.

    `artifacts` are the files saved for it; `missing` says of others, by their own names, why they are not on disk.
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
    own = {match.span(): _key(match["url"]) for match in _LINK_OF_ITS_OWN.finditer(text)}
    own_links, blocks = Spans(own), code(text, blocks=True)
    formulas = (match.span() for match in _WHOLE.finditer(text))
    whole = Spans([*formulas, *code(text), *own, *((edit.start, edit.end) for edit in links)])
    marks = []
    for source in part.sources:
        start = end = source.index if not isinstance(source, UrlCitation) else source.start
        span = None
        if isinstance(source, UrlCitation):
            # The link in parentheses that the model wrote for this source, where the span says it is.
            near = map(own_links.around, (source.start, source.end - 1, source.end))
            span = next((link for link in near if link is not None and own[link] == _key(source.url)), None)
            start, end = (source.start, source.end) if span is None else (span[0], span[0])
        believed = 0 <= start <= end <= len(text) and end > 0
        marks.append(_Mark(_place_near(end, text, whole, blocks) if believed else None, source, span))
    return tuple(marks)


def _place_near(place: int, text: str, whole: Spans, blocks: Spans) -> int | None:
    """The nearest place to this one where a mark breaks nothing; None where it would have to leave its line."""

    def without_blanks(end: int) -> int:
        start = max(end - _NEAR, 0)
        return start + len(text[start:end].rstrip())

    place = without_blanks(place)
    if 0 < place < len(text) and text[place - 1].isalnum() and (word := _WORD.match(text, place)):
        place = word.end()
    if (broken := whole.around(place)) is not None and broken[0] < place:
        place = broken[1]
    closing = _ENDS_EMPHASIS.match(text, place)
    if closing is not None and place and not text[place - 1].isspace():
        place = closing.end()
    line = text.rfind("\n", 0, place) + 1
    if text[place - 1 : place] == "|" and text[line : line + _NEAR].lstrip(" \t").startswith("|"):
        place = without_blanks(place - 1)  # in a table the mark goes into the cell, before the bar
    has_letter = _LETTER_BEFORE.search(text, max(place - _NEAR, 0), place)
    return place if has_letter and not blocks.around(place) and not blocks.around(place - 1) else None


def _numbers(parts: Iterable[Sequence[_Mark]]) -> dict[str, tuple[int, Source]]:
    """Each source once, numbered as a reader meets it; those that no mark leads to come last."""
    marks = [mark for part in parts for mark in sorted(part, key=lambda mark: mark.place or 0)]
    once: dict[str, Source] = {}
    for mark in sorted(marks, key=lambda mark: mark.place is None):
        once.setdefault(_identity(mark.source), mark.source)
    return {identity: (number, source) for number, (identity, source) in enumerate(once.items(), 1)}


def _edits(marks: Iterable[_Mark], numbers: Mapping[str, tuple[int, Source]]) -> list[Edit]:
    at: dict[int, set[int]] = {}
    edits = set()
    for mark in marks:
        if mark.place is not None:
            at.setdefault(mark.place, set()).add(numbers[_identity(mark.source)][0])
            edits |= {Edit(*mark.instead_of, "")} if mark.instead_of is not None else set()
    for place, there in at.items():
        edits.add(Edit(place, place, "".join(f"{_GAP}{str(number).translate(_DIGITS)}" for number in sorted(there))))
    return list(edits)


def _identity(source: Source) -> str:
    return f"url {_key(source.url)}" if isinstance(source, UrlCitation) else f"file {source.file_id or source.filename}"


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
