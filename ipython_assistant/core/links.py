"""Links to a container's files in an answer become links to the saved files, or say that there is no such file.

Models write them as `[x](sandbox:/mnt/data/x)`, and in other ways: as a bare path, a `file:` or `attachment:` address,
a reference definition, an HTML anchor. A citation's span is believed only where the text really holds such an address;
everything else is found by name. Code, and all text outside the links, stays as the model wrote it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from markdown_it.token import Token

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import TextPart


_LINE_END = re.compile(r"\r\n?|\n")
_BRACKETS = re.compile(r"\\.|[\[\]]|\n[ \t]*\n", re.DOTALL)
# https://spec.commonmark.org/0.31.2/#code-spans; one ends within so many characters, or each search would read on.
_CODE_SPAN = re.compile(r"\\.|(?P<ticks>`+)(?!`).{1,1000}?(?<!`)(?P=ticks)(?!`)|`+", re.DOTALL)


class Spans:
    """Stretches of a text (start and end, in characters), joined where they overlap, and asked about in log time."""

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


def code(text: str, *, blocks: bool = False) -> Spans:
    """All code in a Markdown text, between backticks and in blocks; with `blocks`, in these alone."""
    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text) + 1]
    found: list[tuple[int, int]] = []
    for token in _parsed(text):
        if token.map is not None and token.type in {"inline", "fence", "code_block"}:
            start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)] - 1
            if token.type != "inline":
                found.append((start, end))
            elif not blocks:
                found += [match.span() for match in _CODE_SPAN.finditer(text, start, end) if match["ticks"]]
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
    if not blocks or blocks[-1].type != "fence" or blocks[-1].level:
        return ""
    marks = blocks[-1].markup
    return "" if re.search(rf"\n {{0,3}}{re.escape(marks)}+[ \t]*\n*\Z", text) else marks


def _parsed(text: str) -> list[Token]:
    from markdown_it import MarkdownIt

    # The blocks alone: looking for links and emphasis would be most of the work.
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline").parse(text)


_IN_CONTAINER = r"(?:sandbox:|file:|attachment:)/{0,9}mnt/data/|sandbox:/{1,9}"
_CITED = re.compile(_IN_CONTAINER)
# Where a link's address begins, by what stands before it. The lengths keep the search short in a hostile text.
_OPENINGS: Mapping[Kind, re.Pattern[str]] = {
    "link": re.compile(
        r"(?P<before>\]\([ \t\n]{0,9}<?)(?P<root>" + _IN_CONTAINER + r"|(?:attachment:)?/{0,9}(?:mnt/data/)?)"
    ),
    "definition": re.compile(
        r"(?P<before>^[ ]{0,3}\[[^\[\]\n]{1,200}\]:[ \t]{0,9}<?)(?P<root>" + _IN_CONTAINER + r"|/mnt/data/)",
        re.MULTILINE,
    ),
    "html": re.compile(
        r"(?P<before><(?:a|img)\s[^<>]{0,300}?\b(?:href|src)\s{0,9}=\s{0,9}[\"']?)(?P<root>"
        + _IN_CONTAINER
        + r"|/mnt/data/)"
    ),
    "bare": re.compile(r"(?P<before><?)(?P<root>" + _IN_CONTAINER + r"|(?<![\w/.:~%-])/mnt/data/)"),
}
_CLOSING = re.compile(r'>?(?:[ \t\n]{1,9}"[^"\n]{0,300}")?[ \t\n]{0,9}\)')
_HTML_END = re.compile(r"[^<>]{0,300}>(?:(?P<label>[^<>]{0,500})</a\s{0,9}>)?")
_ALT = re.compile(r"\balt\s{0,9}=\s{0,9}([\"'])(?P<label>.{0,500}?)\1")
_FOLDERS = re.compile(r"(?:[^\s/()<>\[\]`\"']{1,100}/){1,9}")
_TOKEN = re.compile(r"[^\s()<>\[\]`\"']{1,1000}")
_GOES_ON = re.compile(r"[\w%-]|\.\w")
# What a hosted model's own page shows as a source: https://github.com/tidyverse/ellmer/pull/1068
_CITATION_MARKS = re.compile("[ \t]?\ue200[^\ue200\ue201\n]{0,500}\ue201|[\ue200-\ue20f]")

Kind = Literal["link", "definition", "html", "bare"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of a text and what stands there instead; an empty span is a place where something is put in."""

    start: int
    end: int
    written: str


@dataclass(frozen=True, slots=True)
class _Address:
    """An address from `start` to `end` and the file it means; `before` is where begins what it stands in.

    That is the `](` of a link, the `[` of a definition, the `<`. The name is the model's own.
    """

    kind: Kind
    before: int
    start: int
    end: int
    name: str
    artifact: Artifact | None


def link_edits(
    part: TextPart, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None
) -> tuple[Edit, ...]:
    """The edits that let each link to a container's file lead to the saved one, or say that no such file was saved.

    They also take out the citation marks (private-use characters) that only the service's own page can draw. `missing`
    says of files that are not on disk, by their own names, why, in a few words.
    """
    text = part.text
    if "/" not in text and ":" not in text and "](" not in text and "\ue200" not in text:
        return ()
    untouched = code(text)
    addresses = list(_addresses(part, artifacts, untouched))
    pairs = brackets(text, untouched)
    labels = Spans((pairs[found.before], found.before) for found in addresses if found.before in pairs)
    edits = [edit for found in addresses for edit in _edits(text, found, pairs, labels, missing or {})]
    marks = (match for match in _CITATION_MARKS.finditer(text) if not untouched.around(match.end() - 1))
    return (*edits, *(Edit(*match.span(), "") for match in marks))


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


class _Names:
    """The saved files by what the model may have written for their names."""

    def __init__(self, artifacts: Iterable[Artifact]) -> None:
        self.by_name: dict[str, Artifact] = {}
        for artifact in artifacts:
            self.by_name.setdefault(artifact.own_name, artifact)
        # A name that no address may hold as it is, with a blank or a parenthesis, is looked for by its length.
        self._odd = {form: name for name in self.by_name for form in _forms(name) if not _TOKEN.fullmatch(form)}
        self._lengths = sorted({len(form) for form in self._odd}, reverse=True)

    def at(self, text: str, start: int, *, in_prose: bool) -> tuple[int, str]:
        """Where the name that begins here ends, and the name; in prose a full stop behind it is not part of it."""
        folders = _FOLDERS.match(text, start) if self._lengths else None
        for place in {start, folders.end() if folders else start}:
            for length in self._lengths:
                name = self._odd.get(text[place : place + length])
                if name is not None and not _GOES_ON.match(text, place + length):
                    return place + length, name
        token = _TOKEN.match(text, start)
        found = token[0] if token else ""
        found = found.rstrip(".,;:!?*_") if in_prose else found
        written = unquote(re.sub(r"\\([_*~])", r"\1", found))
        return start + len(found), written.rpartition("/")[2] or written


def _forms(name: str) -> set[str]:
    return {name, quote(name), quote(name, safe=""), quote(name, safe="/()!*',;:@&=+$"), name.replace("_", r"\_")}


def _addresses(part: TextPart, artifacts: Iterable[Artifact], untouched: Spans) -> Iterator[_Address]:
    """Every address of a file in the text, each once."""
    text, saved = part.text, list(artifacts)
    names = _Names(saved)
    by_id = {(artifact.container_id, artifact.file_id): artifact for artifact in saved if artifact.file_id}
    cited = {citation.start: citation for citation in part.citations if not citation.anonymous}
    seen: set[int] = set()
    for kind, opening in _OPENINGS.items():
        for match in opening.finditer(text):
            start = match.start("root")
            if start in seen or untouched.around(start):
                continue
            certain = match["root"].startswith("sandbox:") or match["root"].endswith("mnt/data/")
            end, name = names.at(text, match.end(), in_prose=kind == "bare" and not match["before"])
            artifact = names.by_name.get(name)
            citation, begun = cited.get(start), _CITED.match(text, start)
            if (
                citation is not None
                and begun is not None
                and begun.end() < citation.end <= len(text)
                and "\n" not in text[start : citation.end]
            ):
                end, name = citation.end, citation.filename
                artifact = by_id.get((citation.container_id, citation.file_id)) or names.by_name.get(name)
            elif artifact is None and not (certain and name):
                continue
            seen.add(start)
            yield _Address(kind, match.start(), start, end, name, artifact)


def _edits(
    text: str, found: _Address, pairs: Mapping[int, int], labels: Spans, missing: Mapping[str, str]
) -> Iterator[Edit]:
    artifact, dead = found.artifact, f" ({missing.get(found.name) or 'no such file was made'})"
    href = encode_href(artifact.href) if artifact is not None else ""
    if found.kind == "link" and found.before in pairs and (closing := _CLOSING.match(text, found.end)):
        label = pairs[found.before]
        start = label - 1 if text[label - 1 : label] == "!" else label
        if artifact is None:
            yield Edit(start, label + 1, "")
            yield Edit(found.before, closing.end(), dead)
            return
        # A picture is shown once, in its own output: here it is a link like any other.
        yield Edit(start, label, "")
        yield Edit(found.start, found.end, href)
        if artifact.name != artifact.own_name and text[label + 1 : found.before].strip(" `*_") == artifact.own_name:
            yield Edit(label + 1, found.before, _escaped(artifact.name))
    elif found.kind == "definition":
        if artifact is not None:
            yield Edit(found.start, found.end, href)
        else:
            line_end = text.find("\n", found.end)
            place = line_end if line_end >= 0 else len(text)
            yield Edit(place, place, f"\n\n{_escaped(found.name)}{dead}\n")
    elif found.kind == "html" and (closing := _HTML_END.match(text, found.end)):
        alt = _ALT.search(text, found.before, closing.end())
        said = _escaped(closing["label"] or (alt["label"] if alt else "") or found.name)
        yield Edit(found.before, closing.end(), f"[{said}]({href})" if href else f"{said}{dead}")
    elif artifact is not None:
        in_angles = found.kind == "bare" and text[found.before] == "<" and text[found.end : found.end + 1] == ">"
        start, end = (found.before, found.end + 1) if in_angles else (found.start, found.end)
        name = _escaped(artifact.name)
        yield Edit(start, end, name if labels.around(found.start) else f"[{name}]({href})")
    elif not text.startswith("/", found.start):
        yield Edit(found.start, found.end, f"{_escaped(found.name)}{dead}")


def _escaped(name: str) -> str:
    return re.sub(r"([\\`*_\[\]<>&])", r"\\\1", name)
