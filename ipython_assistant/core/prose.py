"""Where a Markdown text is code, and where its brackets close: what links and footnotes have to respect.

Everything here takes time in proportion to the text, whatever the text is: a model's answer is hostile input.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token

_LINE_END = re.compile(r"\r\n?|\n")
_BRACKETS = re.compile(r"\\.|[\[\]]|\n[ \t]*\n", re.DOTALL)


class Spans:
    """Stretches of a text, joined where they overlap, that can be asked about a place in logarithmic time.

    Args:
        spans: Start and end of each stretch, in characters, in any order.
    """

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        joined: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        self._joined = joined
        self._starts = [start for start, _ in joined]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._joined)

    def around(self, place: int) -> tuple[int, int] | None:
        """The stretch that holds the character at this place, or None."""
        index = bisect_right(self._starts, place) - 1
        return self._joined[index] if index >= 0 and place < self._joined[index][1] else None

    def touches(self, place: int) -> bool:
        """Whether this place is in a stretch or at one of its edges."""
        return self.around(place) is not None or (place > 0 and self.around(place - 1) is not None)

    def inside(self, place: int) -> tuple[int, int] | None:
        """The stretch that something put in at this place would break up, or None: its edges are outside."""
        span = self.around(place)
        return span if span is not None and span[0] < place else None


def code_blocks(text: str) -> Spans:
    """The fenced and indented blocks of code in a Markdown text."""
    return Spans(span for kind, span in _blocks(text) if kind != "inline")


def code(text: str) -> Spans:
    """All code in a Markdown text: its blocks and the spans between backticks."""
    found = []
    for kind, (start, end) in _blocks(text):
        found += _code_spans(text, start, end) if kind == "inline" else [(start, end)]
    return Spans(found)


def brackets(text: str, code_in_it: Spans) -> dict[int, int]:
    """Where each square bracket that is closed within its paragraph begins: place of the `]` → place of its `[`."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACKETS.finditer(text):
        if match[0] == "[" and not code_in_it.around(match.start()):
            opened.append(match.start())
        elif match[0] == "]" and opened and not code_in_it.around(match.start()):
            pairs[match.start()] = opened.pop()
        elif match[0].startswith("\n"):
            opened.clear()
    return pairs


def open_fence(text: str) -> str:
    """The marks that would close the fenced block which the text leaves open at its end; empty where none is open."""
    blocks = _parsed(text)
    last = blocks[-1] if blocks else None
    if last is None or last.type != "fence" or last.level:
        return ""
    return "" if re.search(rf"\n {{0,3}}{re.escape(last.markup)}+[ \t]*\n*\Z", text) else str(last.markup)


def _blocks(text: str) -> list[tuple[str, tuple[int, int]]]:
    """The kind and the span of each block: `inline` for prose, `fence` or `code_block` for code."""
    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text) + 1]
    found = []
    for token in _parsed(text):
        if token.map and token.type in {"inline", "fence", "code_block"}:
            first, after = token.map
            found.append((token.type, (starts[first], starts[min(after, len(starts) - 1)] - 1)))
    return found


def _parsed(text: str) -> list[Token]:
    from markdown_it import MarkdownIt

    # The blocks alone: looking for links and emphasis would be most of the work.
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline").parse(text)


def _code_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The spans between two runs of equally many backticks (https://spec.commonmark.org/0.31.2/#code-spans)."""
    runs = [(match.start(), match.end()) for match in re.compile("`+").finditer(text, start, end)]
    places: dict[int, list[int]] = {}
    for index, (begin, stop) in reversed(list(enumerate(runs))):
        places.setdefault(stop - begin, []).append(index)
    spans, done = [], 0
    for index, (begin, stop) in enumerate(runs):
        if index < done:
            continue
        escaped = begin > start and _is_escaped(text, start, begin)
        later = places.get(stop - begin - escaped, [])
        while later and later[-1] <= index:
            later.pop()
        if later and stop - begin > escaped:
            closing = later.pop()
            spans.append((begin + escaped, runs[closing][1]))
            done = closing + 1
    return spans


def _is_escaped(text: str, start: int, place: int) -> bool:
    slashes = place - len(text[max(start, place - 99) : place].rstrip("\\")) - max(start, place - 99)
    return slashes % 2 == 1
