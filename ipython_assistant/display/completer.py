"""What Tab offers in an `%%assistant` cell: options and what may follow them on the first line, variables in `{}`.

Everywhere else in such a cell Python's names mean nothing, so nothing is offered. `match` is the body of an IPython
matcher, version 2 (https://ipython.readthedocs.io/en/stable/api/generated/IPython.core.completer.html). Nothing here
asks a service or imports pandas.
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from ipython_assistant.options import option_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

MAGIC = "%%assistant"
MAX_ENTRIES = 10_000
"""Of a larger folder the first entries are looked at, since the user waits."""

_OPEN_BRACE = re.compile(r"\{((?:[^\W\d]\w*)?)$")
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What can be named in a cell: variables but for the `hidden` ones of IPython, and files relative to `directory`.

    `values` gives by the field of `Options` that an option sets what may follow that option.
    """

    namespace: Mapping[str, Any]
    hidden: Container[str]
    directory: Path
    values: Callable[[str], Sequence[str]]

    def names(self, start: str, fits: Callable[[object], bool]) -> list[str]:
        """The variables that begin with `start` and whose value fits; those with an underscore only if it is typed."""
        return sorted(
            name
            for name, value in self.namespace.items()
            if name.startswith(start) and (start or not name.startswith("_"))
            if name.isidentifier() and name not in self.hidden and fits(value)
        )


class Offers(NamedTuple):
    """What may stand in place of `fragment`, the text just before the cursor; each is of that kind."""

    fragment: str = ""
    texts: tuple[str, ...] = ()
    kind: str = ""


def match(context: Any, surroundings: Surroundings) -> dict[str, Any]:
    """An answer to IPython's `CompletionContext`; in a cell of ours it is the only one."""
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
    """What to offer at the cursor's `line` and `column`, both counted from 0.

    None where the cell, or the word at the cursor, is not ours to complete.
    """
    lines = cell.split("\n")
    first = next((place for place, text in enumerate(lines) if text.strip()), 0)
    options_from = len(lines[first]) - len(lines[first].lstrip()) + len(MAGIC)
    if lines[first][:options_from].strip() != MAGIC or lines[first][options_from : options_from + 1].strip():
        return None
    before, after = lines[line][:column], lines[line][column:]
    if line > first:
        brace = _OPEN_BRACE.search(before)
        if brace is None:
            return Offers()
        # The text of a module, a function or a class is of no use in a prompt.
        names = surroundings.names(brace[1], lambda value: not isinstance(value, ModuleType) and not callable(value))
        return Offers(brace[1], tuple(names), "instance")
    # On the word `%%assistant` itself IPython's own completion of magics has its say.
    return _on_first_line(before[options_from:], after, surroundings) if column > options_from else None


class _Nothing:
    """No completions at all, though it has a length: IPython lets other matchers speak where one's list is empty."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def _is_a_frame(value: object) -> bool:
    # By name, so that pandas is not imported for a look at something else.
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _on_first_line(before: str, after: str, surroundings: Surroundings) -> Offers:
    words, targets = list(_WORD.finditer(before)), option_targets()
    typed = words.pop()[0] if words and words[-1].end() == len(before) else ""
    name, equals, value = typed.partition("=")
    if target := targets.get(words[-1][0] if words else ""):
        return _values(target, typed, after, surroundings)
    if equals and (target := targets.get(name)):
        return _values(target, value, after, surroundings)
    if typed and not typed.startswith("-"):
        return Offers()
    return Offers(typed, tuple(option for option in targets if option.startswith(typed or "--")), "option")


def _values(target: str, typed: str, after: str, surroundings: Surroundings) -> Offers:
    """What may follow an option, each as it has to be written: a name with a blank in it needs quotation marks."""
    quote = typed[:1] if typed.startswith(('"', "'")) else ""
    start = typed.removeprefix(quote)
    frames: list[str] = []
    if target in {"inputs", "directory"}:
        frames = surroundings.names(start, _is_a_frame) if target == "inputs" and not quote else []
        names = _paths(start, surroundings.directory, folders_only=target == "directory")
    else:
        names = (name for name in surroundings.values(target) if name.startswith(start))
    texts = []
    for name in names:
        bare = not quote and not re.search(r"[\s\"']", name)
        mark = "" if bare else quote or '"'
        if name.isprintable() and (bare or mark not in name):
            # In a folder the word goes on; and an editor may have put the closing mark behind the cursor.
            closing = "" if name.endswith("/") or after.startswith(mark) else mark
            texts.append(f"{mark}{name}{closing}")
    return Offers(typed, (*frames, *texts), target)


def _paths(typed: str, directory: Path, *, folders_only: bool) -> Iterator[str]:
    """Files, and folders with a slash behind them, whose path begins with what is typed."""
    folder, slash, start = typed.rpartition("/")
    try:
        with os.scandir(directory / Path(folder + slash).expanduser()) as entries:
            found = sorted(
                f"{entry.name}/" if entry.is_dir() else entry.name for entry in itertools.islice(entries, MAX_ENTRIES)
            )
    except (OSError, ValueError, RuntimeError):  # not there, no path at all, nobody's home
        return
    for name in found:
        if name.startswith(start) and (start or not name.startswith(".")) and (name[-1] == "/" or not folders_only):
            path = f"{folder}{slash}{name}"
            # A word that begins with a hyphen would be an option.
            yield f"./{path}" if path.startswith("-") else path
