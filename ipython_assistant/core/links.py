"""Links to a container's files in an answer become links to the saved files, or say that there is no such file.

Models write them as `[x](sandbox:/mnt/data/x)`, as a bare path, with `file:` or `attachment:` in front, or as a name
alone. A file is found by its name, or by the citation that begins where the address does. Code, and all text outside
the links, stays as the model wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import TextPart

_LINE_END = re.compile(r"\r\n?|\n")
# https://spec.commonmark.org/0.31.2/#code-spans; one ends within so many characters, or each search would read on.
_CODE_SPAN = re.compile(r"\\.|(?P<ticks>`+)(?!`).{1,1000}?(?<!`)(?P=ticks)(?!`)|`+", re.DOTALL)
# What a hosted model's own page shows as a source: https://github.com/tidyverse/ellmer/pull/1068
_CITATION_MARKS = re.compile("[ \t]?\ue200[^\ue200\ue201\n]{0,500}\ue201|[\ue200-\ue20f]")

# The lengths keep each search short in a hostile text.
_LABEL = r"(?:\\.|[^\[\]\\\n]|\n(?![ \t]*\n)|\[[^\[\]]{0,500}\](?!\()){0,500}"
_FOLDERS = r"(?:[^\s/()<>\[\]`\"']{1,100}/){0,9}"
_WORD = r"[^\s()<>\[\]`\"']{1,1000}"
_IN_CONTAINER = r"(?:sandbox:|file:|attachment:)/{0,9}mnt/data/|sandbox:/{1,9}"
_LINK = (
    rf"!?\[(?P<label>{_LABEL})\](?P<open>\([ \t\n]{{0,9}}<?)"
    rf"(?P<root>{_IN_CONTAINER}|(?:attachment:)?/{{0,9}}(?:mnt/data/)?)(?P<name>NAME)"
    r'(?P<close>>?(?:[ \t\n]{1,9}"[^"\n]{0,300}")?[ \t\n]{0,9}\))'
)
_ADDRESS = (
    r"(?P<before>\]\(<?|^[ ]{0,3}\[[^\[\]\n]{1,200}\]:[ \t]{0,9}<?|<)?"
    rf"(?P<bare_root>{_IN_CONTAINER}|(?<![\w/.:~%-])/mnt/data/)(?P<bare_name>NAME)"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of a text and what stands there instead; an empty span is a place where something is put in."""

    start: int
    end: int
    written: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with every edit made; spans are those of the text as it is, one that overlaps another is left out."""
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start >= done:
            pieces += [text[done : edit.start], edit.written]
            done = edit.end
    return "".join([*pieces, text[done:]])


def link_edits(
    part: TextPart, artifacts: Iterable[Artifact], missing: Mapping[str, str] | None = None
) -> tuple[Edit, ...]:
    """The edits that let each link to a container's file lead to the saved one, or say that no such file was saved.

    They also take out the citation marks (private-use characters) that only the service's own page can draw. `missing`
    says of files that are not on disk, by their own names, why, in a few words.
    """
    text, reasons = part.text, missing or {}
    if "/" not in text and ":" not in text and "](" not in text and "\ue200" not in text:
        return ()
    by_name: dict[str, Artifact] = {}
    by_id: dict[tuple[str, str], Artifact] = {}
    for artifact in artifacts:
        by_name.setdefault(artifact.own_name, artifact)
        if artifact.file_id:
            by_id[artifact.container_id, artifact.file_id] = artifact
    # Of two files of one name, the citation says which is meant.
    placed = (one for one in part.citations if not one.anonymous and one.end > one.start)
    cited = {one.start: by_id.get((one.container_id, one.file_id)) for one in placed}
    in_code = code_mask(text)
    marks = (match.span() for match in _CITATION_MARKS.finditer(text) if not in_code[match.end() - 1])
    edits = [Edit(*mark, "") for mark in marks]
    pattern = f"{_LINK}|{_ADDRESS}".replace("NAME", _name_pattern([*by_name, *reasons]))
    for match in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        is_link = match["label"] is not None
        root, written = (match["root"], match["name"]) if is_link else (match["bare_root"], match["bare_name"])
        start = match.start("root" if is_link else "bare_root")
        if in_code[start] or (not root and ":" in written):
            continue
        written = written if is_link or match["before"] else written.rstrip(".,;:!?*_")
        name = unquote(re.sub(r"\\([_*~])", r"\1", written)).rpartition("/")[2]
        file = cited.get(start) or by_name.get(written) or by_name.get(name)
        certain = name and (root.startswith("sandbox:") or root.endswith("mnt/data/"))
        dead = f" ({reasons.get(name) or 'no such file was made'})" if certain else ""
        if file is not None:
            edits.append(_to_file(match, start + len(root + written), file))
        elif dead and is_link:
            edits.append(Edit(*match.span(), f"{match['label']}{dead}"))
        elif dead and "]:" in (match["before"] or ""):
            # The definition of a reference is not shown: the words need a paragraph of their own.
            edits.append(Edit(*match.span(), f"\n{_escaped(written)}{dead}\n"))
        elif dead and not root.startswith("/"):
            edits.append(Edit(start, start + len(root + written), f"{_escaped(written)}{dead}"))
    return tuple(edits)


def _to_file(match: re.Match[str], end: int, file: Artifact) -> Edit:
    href, label, before = encode_href(file.href), match["label"], match["before"] or ""
    if label is not None:
        # A picture is shown once, in its own output: here it is a link like any other.
        is_name = file.name != file.own_name == label.strip(" `*_")
        label = _escaped(file.name) if is_name or re.match(_IN_CONTAINER, label) else label
        return Edit(*match.span(), f"[{label}]{match['open']}{href}{match['close']}")
    start = match.start("bare_root")
    if "]" in before:
        return Edit(start, end, href)
    in_angles = before == "<" and match.string[end : end + 1] == ">"
    return Edit(start - in_angles, end + in_angles, f"[{_escaped(file.name)}]({href})")


def _name_pattern(names: Iterable[str]) -> str:
    """A pattern for a name in an address; one with a blank or a parenthesis only if a file has it."""
    forms = {form for name in names for form in (name, quote(name, safe="!()*',;:@&=+$"), name.replace("_", r"\_"))}
    odd = sorted((form for form in forms if not re.fullmatch(_WORD, form)), key=len, reverse=True)
    return rf"{_FOLDERS}(?:{'|'.join(map(re.escape, odd))})(?![\w%-]|\.\w)|{_WORD}" if odd else _WORD


def code_mask(text: str) -> bytearray:
    """For each character of a Markdown text, and the place behind it, 1 where it is code: in backticks or a block."""
    from markdown_it import MarkdownIt

    covered = bytearray(len(text) + 1)
    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text) + 1]
    # The blocks alone: looking for links and emphasis would be most of the work.
    for token in MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline").parse(text):
        if token.map is None or token.type not in {"inline", "fence", "code_block"}:
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)] - 1
        spans = (match.span() for match in _CODE_SPAN.finditer(text, start, end) if match["ticks"])
        for first, last in spans if token.type == "inline" else [(start, end)]:
            covered[first:last] = b"\1" * (last - first)
    return covered


def encode_href(href: str) -> str:
    """A relative path as it may stand in a Markdown or HTML link."""
    return quote(href, safe="/-_.~")


def hrefs(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """The links that lead to files of ours: encoded href → file name."""
    return {encode_href(artifact.href): artifact.name for artifact in artifacts}


def _escaped(name: str) -> str:
    return re.sub(r"([\\`*_\[\]<>&])", r"\\\1", name)
