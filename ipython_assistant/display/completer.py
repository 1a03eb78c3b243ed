"""What Tab offers in an `%%assistant` cell: options and what may follow them on the first line, variables in `{}`.

Everywhere else in such a cell Python's names mean nothing, so nothing is offered but whole sentences, where the model
that will answer has a list of them. `match` is the body of an IPython matcher, version 2
(https://ipython.readthedocs.io/en/stable/api/generated/IPython.core.completer.html); the rest is text in, offers out.
Nothing here asks a service or imports pandas.
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.links import open_fence
from ipython_assistant.options import option_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

MAGIC = "%%assistant"
MAX_ENTRIES = 10_000
"""In one folder; of a larger one the first are looked at, since somebody waits."""

_OPEN_BRACE = re.compile(r"\{((?:[^\W\d]\w*)?)$")
_SEPARATORS = frozenset({"/", os.sep})


def _no_sentences(_options: str, _typed: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What can be named in a cell.

    Attributes:
        namespace: The user's variables.
        hidden: Those of them that are IPython's own.
        directory: What relative paths are relative to.
        values: The field of `Options` that an option sets (`model`, `conversation`, ...) → what may follow the option.
        sentences: The first line's options and what is typed of a line below → whole lines that begin with that.
    """

    namespace: Mapping[str, Any]
    hidden: Container[str]
    directory: Path
    values: Callable[[str], Sequence[str]]
    sentences: Callable[[str, str], Sequence[str]] = _no_sentences


@dataclass(frozen=True, slots=True)
class Offers:
    """What may stand in place of `fragment`, the text just before the cursor; each is of that kind."""

    fragment: str = ""
    texts: tuple[str, ...] = ()
    kind: str = ""


def match(context: Any, surroundings: Surroundings) -> dict[str, Any]:
    """An answer to IPython's `CompletionContext`; in a cell of ours it is the only one.

    Args:
        context: Has the cell's `full_text`, and the cursor's place in it.
        surroundings: What can be named.
    """
    found = offers(context.full_text, context.cursor_line, context.cursor_position, surroundings)
    if found is None:
        return {"completions": []}
    from IPython.core.completer import SimpleCompletion

    completions = [SimpleCompletion(text=text, type=found.kind) for text in found.texts]
    return {
        "completions": completions or _Nothing(),
        "matched_fragment": found.fragment,
        "ordered": True,
        "suppress": True,
    }


def offers(cell: str, line: int, column: int, surroundings: Surroundings) -> Offers | None:
    """What to offer at the cursor.

    Args:
        cell: The cell's text.
        line: The cursor's line, counted from 0.
        column: Its place in that line, in characters.
        surroundings: What can be named.

    Returns:
        None where the cell, or the word at the cursor, is not ours to complete.
    """
    lines = cell.split("\n")
    first = next((place for place, text in enumerate(lines) if text.strip()), 0)
    indent = len(lines[first]) - len(lines[first].lstrip())
    options_from = indent + len(MAGIC)
    if not lines[first].startswith(MAGIC, indent) or lines[first][options_from : options_from + 1].strip():
        return None
    before, after = lines[line][:column], lines[line][column:]
    if line > first:
        if open_fence("\n".join(lines[first + 1 : line])):
            return Offers()
        return _in_prose(lines[first][options_from:], before, surroundings)
    # On the word `%%assistant` itself IPython's own completion of magics has its say.
    return _on_first_line(before[options_from:], after, surroundings) if column > options_from else None


class _Nothing:
    """No completions at all, though it has a length: IPython lets other matchers speak where one's list is empty."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter(())


# --- the body ---------------------------------------------------------------------------------------------------------


def _in_prose(options: str, before: str, surroundings: Surroundings) -> Offers:
    brace = _OPEN_BRACE.search(before)
    if brace is None:
        typed = before.lstrip()
        return Offers(typed, tuple(surroundings.sentences(options, typed)), "sentence")
    start = brace[1]
    names = (name for name, value in surroundings.namespace.items() if _is_a_value(value))
    return Offers(start, tuple(_visible(names, start, surroundings.hidden)), "instance")


def _is_a_value(value: object) -> bool:
    """Whether its text can be of use in a prompt: no module, function or class."""
    return not issubclass(type(value), ModuleType) and not callable(value)


def _visible(names: Iterable[str], start: str, hidden: Container[str]) -> list[str]:
    shown = (name for name in names if name.isidentifier() and name not in hidden)
    return sorted(name for name in shown if name.startswith(start) and (start or not name.startswith("_")))


# --- the first line ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    """The word before the cursor: as it stands there, without its quotation marks, and the one that is still open."""

    typed: str
    value: str
    quote: str
    previous: str


def _on_first_line(before: str, after: str, surroundings: Surroundings) -> Offers:
    word, targets = _word_at_end(before), option_targets()
    if target := targets.get(word.previous):
        return _values(target, word, after, surroundings)
    name, equals, value = word.typed.partition("=")
    if equals and (target := targets.get(name)):
        return _values(target, _word_at_end(value), after, surroundings)
    if word.quote or (word.typed and not word.typed.startswith("-")):
        return Offers()
    start = word.typed or "--"
    return Offers(word.typed, tuple(option for option in targets if option.startswith(start)), "option")


def _word_at_end(text: str) -> _Word:
    """The last word of a line that is still being written, split as `options.split_line` would split it."""
    previous, begin, value, quote = "", 0, "", ""
    for place, character in enumerate(text):
        if quote:
            quote, value = ("", value) if character == quote else (quote, value + character)
        elif character in "\"'":
            quote = character
        elif character.isspace():
            previous = value if place > begin else previous
            begin, value = place + 1, ""
        else:
            value += character
    return _Word(text[begin:], value, quote, previous)


def _values(target: str, word: _Word, after: str, surroundings: Surroundings) -> Offers:
    if target == "inputs":
        variables = (name for name, value in surroundings.namespace.items() if _is_a_frame(value))
        names = [] if word.quote else _visible(variables, word.value, surroundings.hidden)
        return Offers(word.typed, (*names, *_paths(word, after, surroundings.directory)), "input")
    if target == "directory":
        return Offers(word.typed, tuple(_paths(word, after, surroundings.directory, folders_only=True)), "path")
    known = [name for name in surroundings.values(target) if name.startswith(word.value)]
    written = (_quoted(name, word.quote, after, closed=True) for name in known)
    return Offers(word.typed, tuple(name for name in written if name is not None), target)


def _is_a_frame(value: object) -> bool:
    # By name, so that pandas is not imported for a look at something else.
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _paths(word: _Word, after: str, directory: Path, *, folders_only: bool = False) -> Iterator[str]:
    """Files and folders whose path begins with the word, quoted where that is needed."""
    cut = max((place + 1 for place, character in enumerate(word.value) if character in _SEPARATORS), default=0)
    folder, start = word.value[:cut], word.value[cut:]
    for name, is_folder in _entries(directory, folder):
        fits = name.startswith(start) and (start or not name.startswith("."))
        if fits and (is_folder or not folders_only):
            path = f"{folder}{name}"
            # A word that begins with a hyphen would be an option.
            written = _quoted(f"./{path}" if path.startswith("-") else path, word.quote, after, closed=not is_folder)
            if written is not None:
                yield written


def _entries(directory: Path, folder: str) -> list[tuple[str, bool]]:
    """The names in a folder, folders with a slash behind them; none where it cannot be read."""
    try:
        with os.scandir(directory / Path(folder).expanduser()) as entries:
            found = [(entry.name, entry.is_dir()) for entry in itertools.islice(entries, MAX_ENTRIES)]
    except (OSError, ValueError, RuntimeError):  # not there, no path at all, nobody's home
        return []
    return sorted((f"{name}/" if is_folder else name, is_folder) for name, is_folder in found)


def _quoted(path: str, quote: str, after: str, *, closed: bool) -> str | None:
    """The path as it has to be written; None for one that no line can hold.

    Args:
        path: The path, or another name.
        quote: The quotation mark that is already there.
        after: What stands behind the cursor: an editor may have put the closing mark there.
        closed: Whether the word ends here; in a folder it goes on.
    """
    if not path.isprintable():
        return None
    plain = not quote and not any(character.isspace() or character in "\"'" for character in path)
    if plain:
        return path
    marks = [quote] if quote else ['"', "'"]
    mark = next((mark for mark in marks if mark not in path), None)
    if mark is None:
        return None
    return f"{mark}{path}{mark if closed and not after.startswith(mark) else ''}"
