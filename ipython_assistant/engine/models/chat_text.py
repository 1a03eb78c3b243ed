"""What a chat model writes, taken apart while it comes: prose, and the Python that it wants run.

Pure. Two forms: a block fenced with backticks in the text, and the arguments of a tool call, which are JSON.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = frozenset({"python", "py", "python3", "ipython"})
"""First words after an opening fence that mean: run this."""

_FENCE: Final = re.compile(r"^([ \t]{0,8})(`{3,})[ \t]*([^\s`]*)[^`\n]*$")
_THINK: Final = ("<think>", "</think>")
LONGEST_KEY: Final = 64
"""In characters, of a key in JSON with the space around it."""

_CODE_KEY: Final = re.compile(r'"(?:code|script|source|python|input)"\s*:\s*"')
# A JSON string so far: whole characters and whole escapes; two halves of a surrogate pair stay together.
_WHOLE: Final = re.compile(
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|[\n\t])*'
)


@dataclass(frozen=True, slots=True)
class Prose:
    """A piece of text for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of code that is being written."""

    code: str


@dataclass(frozen=True, slots=True)
class Code:
    """All the code of a block that has ended."""

    code: str


Part = Prose | Piece | Code


class Fences:
    """Text in, parts out. Nothing comes after the first `Code`: a model that writes on is guessing what it will do.

    A block counts if its fence says Python, or says nothing and what is in it is Python. What a model thinks aloud
    before its answer (`<think>`) is left out.
    """

    def __init__(self) -> None:
        self.text = ""
        """The prose and the code as written, up to the end of the code: what the model is to remember."""
        self.ended = False
        self._line = ""
        self._thinking: str | None = ""
        self._block: _Block | None = None
        self._midline = False

    def feed(self, text: str) -> list[Part]:
        """Take in a piece of text."""
        text = self._thought_away(text)
        parts: list[Part] = []
        while text and not self.ended:
            line, newline, text = text.partition("\n")
            self._line += line
            if newline:
                parts += self._take(self._line, newline)
                self._line = ""
            elif not self._may_be_fence():
                parts += self._take(self._line, "")
                self._line = ""
        return parts

    def end(self) -> list[Part]:
        """The text is over: a block that was left open ends here."""
        rest, self._line = self._line, ""
        if self._thinking and not self._thinking.lstrip().startswith(_THINK[0]):
            rest, self._thinking = self._thinking, None
        parts = self._take(rest, "") if rest and not self.ended else []
        if self._block is not None and not self.ended:
            parts += self._close()
        return parts

    def _thought_away(self, text: str) -> str:
        if self._thinking is None:
            return text
        self._thinking += text
        begun = self._thinking.lstrip()
        if begun.startswith(_THINK[0]):
            _, closed, rest = begun.partition(_THINK[1])
            if not closed:
                return ""
            self._thinking = None
            return rest.lstrip("\n")
        if _THINK[0].startswith(begun):
            return ""
        whole, self._thinking = self._thinking, None
        return whole

    def _may_be_fence(self) -> bool:
        """Whether the line so far could still become a fence, so that it has to wait for its end."""
        if self._midline:
            return False
        return not self._line.strip() or self._line.lstrip().startswith("`")

    def _take(self, line: str, newline: str) -> list[Part]:
        began, self._midline = not self._midline, not newline
        block = self._block
        if block is None:
            opening = _FENCE.match(line) if began else None
            self.text += line + newline
            if opening is None:
                return [Prose(line + newline)]
            self._block = _Block(opening[1], opening[2], opening[3].lower(), line + newline)
            return []
        if began and block.closes(line):
            self.text += line
            return self._close()
        self.text += line + newline
        written = (line.removeprefix(block.indent) if began else line) + newline
        block.code += written
        shown = block.code.strip() and block.language in RUN
        return [Piece(block.unshown())] if shown else []

    def _close(self) -> list[Part]:
        block, self._block = self._block, None
        if block is None:
            return []
        if block.language in RUN or (not block.language and is_python(block.code)):
            self.ended = True
            return [Code(block.code)]
        return [Prose(f"{block.opening}{block.code}{block.indent}{block.fence}\n")]


@dataclass(slots=True)
class _Block:
    """A fenced block that is being read."""

    indent: str
    fence: str
    language: str
    opening: str
    code: str = ""
    shown: int = 0

    def unshown(self) -> str:
        """The code that came since this was asked last."""
        fresh, self.shown = self.code[self.shown :], len(self.code)
        return fresh

    def closes(self, line: str) -> bool:
        bare = line.strip()
        return len(bare) >= len(self.fence) and set(bare) == {"`"}


class Arguments:
    """The arguments of a tool call in, the code in them out.

    Models call their code by one of a few names; some send it bare.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._unread = ""
        self._in_code = False
        self._over = False

    @property
    def raw(self) -> str:
        """All of it, as it came."""
        return "".join(self._pieces)

    def feed(self, piece: str) -> str:
        """The code that this piece adds, as far as it is certain. The time it takes does not grow with what came."""
        self._pieces.append(piece)
        if self._over:
            return ""
        self._unread += piece
        if not self._in_code:
            opening = _CODE_KEY.search(self._unread)
            if opening is None:
                self._unread = self._unread[-LONGEST_KEY:]
                return ""
            self._in_code, self._unread = True, self._unread[opening.end() :]
        known = _WHOLE.match(self._unread)
        whole = known[0] if known else ""
        self._unread = self._unread[len(whole) :]
        self._over = self._unread.startswith('"')
        return _unescaped(whole)

    @property
    def code(self) -> str:
        """All the code."""
        try:
            found = json.loads(self.raw, strict=False)
        except ValueError:
            return _fenced_away(self.raw) if is_python(_fenced_away(self.raw)) else ""
        if isinstance(found, str):
            return _fenced_away(found)
        named = found if isinstance(found, dict) else {}
        return next((_fenced_away(named[name]) for name in _names(named)), "")


def is_python(code: str) -> bool:
    """Whether this is Python that does something: a lone name or number is not."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    idle = (ast.Name, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute)
    return any(not (isinstance(line, ast.Expr) and isinstance(line.value, idle)) for line in body)


def _names(named: dict[str, object]) -> Iterator[str]:
    for name in ("code", "script", "source", "python", "input"):
        if isinstance(named.get(name), str):
            yield name


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text}"', strict=False))


def _fenced_away(code: str) -> str:
    """Code without the fence that some models put around it even in JSON."""
    found = re.fullmatch(r"\s*```[^\n`]*\n(.*?)\n?```\s*", code, re.DOTALL)
    return found[1] if found else code
