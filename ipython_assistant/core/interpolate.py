r"""`{name}` in a question → its value, and `@file.csv` on a line of its own → an input; nothing else is touched.

Filled in are `{name}`, `{name.attribute}`, `{name[0]}`, `{name["key"]}` and any chain of these, and a number may have a
format with a type, a precision or a comma: `{share:.1%}`, `{total:,}`. Nothing is called and nothing is computed.

Only prose is looked at: not fenced blocks, inline code, formulas (`$...$`, `\(...\)`, `\begin...\end`) and f-strings.
And only braces that stand alone: what is inside other braces is JSON, CSS or a template (`{{name}}` stays as it is,
all four braces), and what follows a TeX command, a `^` or a one-letter subscript is an argument of it.
"""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_VALUE = 20_000
"""In characters; what is longer belongs into a file."""
LONGEST_EXPRESSION = 200
_SHIELD = "\0"

_FENCE = re.compile(r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})")
_FENCE_END = re.compile(r"[ \t>]*(?P<fence>`{3,}|~{3,})[ \t]*")
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
# A dollar before a digit is money; Pandoc's rules for the others (https://pandoc.org/MANUAL.html#math).
_CODE_AND_FORMULAS = (
    re.compile(r"\$\$.+?\$\$", re.DOTALL),
    re.compile(r"\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL),
    re.compile(r"\\begin\{(?P<name>[A-Za-z]+\*?)\}.+?\\end\{(?P=name)\}", re.DOTALL),
    re.compile(r"(?<![\\$\w])\$(?=[^\s\d$])[^$\n]*?(?<=[^\s\\])\$(?![\w{$])"),
    re.compile(r"(?<!\w)(?:[fF][rR]?|[rR][fF])(?P<quote>\"{3}|'{3})(?:\\.|(?!(?P=quote))[^\\])*(?P=quote)", re.DOTALL),
    re.compile(r"(?<!\w)(?:[fF][rR]?|[rR][fF])(?P<quote>[\"'])(?:\\.|(?!(?P=quote))[^\\\n])*(?P=quote)"),
)

_PLACEHOLDER = re.compile(
    r"(?P<name>[^\W\d]\w*)"
    r"(?P<chain>(?:\.[^\W\d]\w*|\[-?\d{1,18}\]|\[\"[^\"\\\n]*\"\]|\['[^'\\\n]*'\])*)"
    # CSS and JavaScript have a bare number or a word behind the colon: neither is a format here.
    r"(?::(?P<format>[+ -]?(?:[,_](?:\.\d{1,2})?[defg%]?|\.\d{1,2}[efg%]?|[defg%])))?"
)
_LINK = re.compile(r"\.(?P<attribute>[^\W\d]\w*)|\[(?P<item>-?\d+|\"[^\"]*\"|'[^']*')\]")
_TEX_COMMAND_BEFORE = re.compile(r"\\[A-Za-z]+\*?(?:\[[^\]\n]*\])*$")
_SUBSCRIPT_BEFORE = re.compile(r"(?:(?<![A-Za-z])[A-Za-z]|[)}\]]|\\[A-Za-z]+)_$")
_NAME_GOES_ON = re.compile(r"[\w-]|\.\w")
_LOOK_BACK = 80

_INPUT_LINE = re.compile(
    r"^[ \t]*(?P<at>@)(?:\"(?P<double>[^\"\n]+)\"|'(?P<single>[^'\n]+)'|(?P<bare>[^\s\"'`()<>,;]+))[ \t]*$",
    re.MULTILINE,
)
_ALMOST_AN_INPUT = re.compile(r"^[ \t]*(?P<at>@)(?=[\w./\\-]*[/.][\w-])[\w./\\*? -]+[,;]?[ \t]*$", re.MULTILINE)
_NAMES_A_FILE = re.compile(r"[/\\*?]|\.[A-Za-z0-9]{1,10}$")
_DECORATED = re.compile(r"\s*(?:@.*\n\s*){0,9}(?:async\s+def|def|class)\b")
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_TABLES = frozenset((module, name) for module in ("pandas", "polars") for name in ("DataFrame", "LazyFrame", "Series"))


@dataclass(frozen=True, slots=True)
class Filled:
    """A question with its values in place.

    Attributes:
        prompt: What is asked.
        inputs: What the `@` lines name, in order, each once: paths, globs or variables.
        hints: What was left as it is although it looks like a name, as sentences.
    """

    prompt: str
    inputs: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class _Left(Exception):
    """Why braces that name something are left as they are. No error: it becomes a hint."""


def fill(prompt: str, namespace: Mapping[str, Any]) -> Filled:
    """The question with each `{name}` that is in the namespace replaced by its value, and its `@` lines read.

    A line that is `@` and a path, a glob or the name of a variable is an input; the bare file name stays in its place.
    Quotes take blanks: `@"name with space.csv"`. A line before a `def` or `class` is a decorator.

    Args:
        prompt: What the user wrote.
        namespace: The user's variables.

    >>> fill('Mean of {column} in `{x}` for x_{i}: {"a": {column}}', {"column": "coverage", "i": 1}).prompt
    'Mean of coverage in `{x}` for x_{i}: {"a": {column}}'
    """
    if "{" not in prompt and "@" not in prompt:
        return Filled(prompt)
    prose = _prose(prompt)
    hints: dict[str, None] = {}
    values: dict[tuple[int, int], str] = {}
    for start, end in _lone_groups(prose):
        try:
            value = _value(prose[start + 1 : end - 1], namespace)
        except _Left as reason:
            hints[f"{prompt[start:end]} was left as it is: {reason}"] = None
            continue
        if value is not None:
            values[start, end] = value
    inputs: dict[str, None] = {}
    lines: dict[tuple[int, int], str] = {}
    for line in _INPUT_LINE.finditer(prose):
        named = next(group for group in ("double", "single", "bare") if line[group] is not None)
        start, end = line.span(named)
        written = _replaced(prompt, values, start, end) if "{" in line[named] else line[named]
        if not _is_input(line, named, written, namespace):
            continue
        inputs[written] = None
        lines[line.start("at"), line.end()] = re.split(r"[/\\]", written.rstrip("/\\"))[-1]
    for line in _ALMOST_AN_INPUT.finditer(prose):
        if (line.start("at"), line.end()) not in lines and not _DECORATED.match(prose, line.start("at")):
            left = line[0].strip()
            hints[f"{left} was left as it is: an input stands alone on its line, in quotes if it has blanks."] = None
    # A line goes as a whole, with what was filled into it.
    return Filled(_replaced(prompt, values | lines, 0, len(prompt)), tuple(inputs), tuple(hints))


def _replaced(text: str, values: Mapping[tuple[int, int], str], start: int, end: int) -> str:
    pieces: list[str] = []
    at = start
    for span in sorted(values):
        if at <= span[0] and span[1] <= end:
            pieces += (text[at : span[0]], values[span])
            at = span[1]
    return "".join((*pieces, text[at:end]))


# --- what is prose ----------------------------------------------------------------------------------------------------


def _prose(prompt: str) -> str:
    """The text with everything that is not prose shielded, character by character: places stay what they are."""
    text = _without_fences(prompt)
    for start, end in list(_inline_code(text)):
        text = text[:start] + _shielded(text[start:end]) + text[end:]
    for pattern in _CODE_AND_FORMULAS:
        text = pattern.sub(lambda found: _shielded(found[0]), text)
    return text


def _shielded(text: str) -> str:
    return re.sub(r"[^\n]", _SHIELD, text)


def _without_fences(prompt: str) -> str:
    """Fenced blocks as CommonMark knows them, at any depth; one that is not closed goes to the end."""
    lines: list[str] = []
    fence = ""
    for line in prompt.split("\n"):
        if fence:
            end = _FENCE_END.fullmatch(line.rstrip("\r"))
            lines.append(_shielded(line))
            if end is not None and end["fence"].startswith(fence):
                fence = ""
            continue
        opening = _FENCE.match(line)
        if opening is not None:
            fence = opening["fence"]
        lines.append(_shielded(line) if fence else line)
    return "\n".join(lines)


def _inline_code(text: str) -> Iterator[tuple[int, int]]:
    """From a run of backticks to the next of the same length in the same paragraph."""
    paragraph = 0
    for end in (*(blank.start() for blank in _BLANK_LINE.finditer(text)), len(text)):
        runs = [run.span() for run in re.compile(r"`+").finditer(text, paragraph, end)]
        paragraph = end
        at = 0
        while at < len(runs):
            start, stop = runs[at]
            at += 1
            for later, (after, close) in enumerate(runs[at:], at):
                if close - after == stop - start:
                    yield start, close
                    at = later + 1
                    break


def _lone_groups(prose: str) -> list[tuple[int, int]]:
    """The pairs of braces that are in no other pair and that are no argument of a TeX command."""
    pairs: list[tuple[int, int]] = []
    opened: list[int] = []
    for brace in re.finditer(r"\\.|[{}]", prose, re.DOTALL):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            pairs.append((opened.pop(), brace.end()))
    lone: list[tuple[int, int]] = []
    inside = argument = 0
    for start, end in sorted(pairs):
        if start < inside:
            continue
        inside = end
        if (argument and start == argument) or _is_argument(prose, start, end):
            argument = end
            continue
        lone.append((start, end))
    return lone


def _is_argument(prose: str, start: int, end: int) -> bool:
    before = prose[max(0, start - _LOOK_BACK) : start]
    if before.endswith("^") or _TEX_COMMAND_BEFORE.search(before):
        return True
    # `x_{i}` is TeX, `a_{year}.csv` is a file name.
    return _SUBSCRIPT_BEFORE.search(before) is not None and not _NAME_GOES_ON.match(prose, end)


# --- what it stands for -----------------------------------------------------------------------------------------------


def _value(inside: str, namespace: Mapping[str, Any]) -> str | None:
    """The text for a pair of braces; None where it is no name at all.

    Raises:
        _Left: It looks like a name and is not filled in.
    """
    placeholder = _PLACEHOLDER.fullmatch(inside)
    if placeholder is None:
        if _computes(inside, namespace):
            raise _Left("only names, attributes and items are filled in. Give the value a name in a cell above.")
        return None
    name = placeholder["name"]
    if name not in namespace:
        if placeholder["format"]:
            return None
        near = difflib.get_close_matches(name, [known for known in namespace if not known.startswith("_")], n=1)
        raise _Left(f"there is no variable {name}." + (f" Did you mean {{{near[0]}}}?" if near else ""))
    try:
        value = namespace[name]
        for link in _LINK.finditer(placeholder["chain"]):
            value = getattr(value, link["attribute"]) if link["attribute"] else value[ast.literal_eval(link["item"])]
        text = format(value, placeholder["format"]) if placeholder["format"] else _text(value)
    except Exception as error:  # a property of somebody's class can raise anything
        if isinstance(error, _Left):
            raise
        said = " ".join(str(error).split())[:100].rstrip(".")
        raise _Left(f"{type(error).__name__}{f': {said}' if said else ''}.") from error
    if len(text) > LONGEST_VALUE:
        raise _Left(f"its value has {len(text):,} characters. Give it with -i {name}.")
    return text


def _text(value: Any) -> str:
    kind = type(value)
    if any((base.__module__.partition(".")[0], base.__name__) in _TABLES for base in kind.__mro__):
        raise _Left(f"it is a {kind.__name__}. Give it with -i, and it is sent as a file.")
    if isinstance(value, set | frozenset):
        # In one order in every process: the question is the key of its recording.
        return "{" + ", ".join(sorted(map(repr, value))) + "}" if value else str(value)
    text = str(value)
    is_bare = callable(value) or _ADDRESS.search(text) or (text[:1] == "<" and text[-1:] == ">")
    if is_bare and not isinstance(value, str):
        raise _Left(f"it is a {kind.__name__}, which has no text of its own.")
    return text


def _computes(inside: str, namespace: Mapping[str, Any]) -> bool:
    """Whether it is an expression over the user's variables that somebody may expect to be computed."""
    if len(inside) > LONGEST_EXPRESSION or not inside.isprintable() or "\\" in inside:
        return False
    try:
        expression = ast.parse(inside.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    if not isinstance(expression, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.BinOp):
        return False
    return any(isinstance(node, ast.Name) and node.id in namespace for node in ast.walk(expression))


def _is_input(line: re.Match[str], named: str, written: str, namespace: Mapping[str, Any]) -> bool:
    if named != "bare":
        return True
    if "{" in written or "\n" in written or _DECORATED.match(line.string, line.end()):
        return False
    if written in namespace and not written.startswith("_"):
        return not callable(namespace[written])
    return _NAMES_A_FILE.search(written) is not None
