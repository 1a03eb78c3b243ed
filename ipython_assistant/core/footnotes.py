"""The answer as the reader gets it: `sandbox:` links lead to the saved files, and what it rests on stands in footnotes.

A mark is superscript digits after a narrow no-break space, which mean nothing in Markdown, at the end of the line; a
source of code or of a table's row, where a mark would break something, is only listed. Titles and addresses are
hostile: a title is one line of plain words, an address is a link only if it is one of the web, and its host is shown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ipython_assistant.core.links import Edit, code_mask, edited, link_edits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Source, TextPart, Turn

LONGEST_TITLE = 160  # in characters; what is beyond it is cut
_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_GAP = "\u202f"
_HAS_LETTER = re.compile(r"[^\W_]")
# What the service's search puts behind an address to be counted.
_TRACKING = re.compile(r"(?<=[?&])utm_source=openai(?:&|$)")


def answer_text(turn: Turn, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None) -> str:
    """The answer as Markdown with its sources at the end; `missing` says, by own names, why files are not on disk."""
    saved = list(artifacts)
    sources: dict[str, Source] = {}
    for part in turn.parts:
        for source in sorted(part.sources, key=lambda it: it.end):
            sources.setdefault(_identity(source), source)
    numbers = {identity: number for number, identity in enumerate(sources, 1)}
    messages = (
        "".join(edited(it.text, [*link_edits(it, saved, missing), *_marks(it, numbers)]) for it in message.parts)
        for message in turn.messages
    )
    text = "\n\n".join(message for message in messages if message)
    listed = [f"{number}. {_entry(source)}" for number, source in enumerate(sources.values(), 1)]
    return "\n".join([text, "", "**Sources**", "", *listed]) if sources else text


def _marks(part: TextPart, numbers: Mapping[str, int]) -> list[Edit]:
    """The marks of a part, each behind the line in which a source's span ends."""
    if not part.sources:
        return []
    text, in_code = part.text, code_mask(part.text)
    starts, ends, place = list[int](), list[int | None](), 0
    for line in text.split("\n"):
        # A blank line belongs to the one before it.
        if said := line.strip():
            first, end = place + line.index(said), place + len(line.rstrip())
            is_code = in_code[end] or (in_code[first] and in_code[end - 1])
            starts.append(place)
            ends.append(None if is_code or said.startswith("|") or not _HAS_LETTER.search(said) else end)
        place += len(line) + 1
    marks: dict[int, set[int]] = {}
    for source in part.sources:
        number = bisect_left(starts, source.end) - 1
        if number >= 0 and 0 <= source.start <= source.end <= len(text) and (at := ends[number]) is not None:
            marks.setdefault(at, set()).add(numbers[_identity(source)])
    digits = {at: "".join(f"{_GAP}{str(it).translate(_DIGITS)}" for it in sorted(these)) for at, these in marks.items()}
    return [Edit(at, at, written) for at, written in digits.items()]


def _identity(source: Source) -> str:
    return f"file {source.file_id}" if source.file_id else f"url {_TRACKING.sub('', source.url).rstrip('?&')}"


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
