"""What Tab offers in an `%%assistant` cell: options and what may follow them on the first line, variables in `{}`.

Elsewhere in such a cell Python's names mean nothing, so nothing is offered. `match` is the body of an IPython matcher,
version 2 (https://ipython.readthedocs.io/en/stable/api/generated/IPython.core.completer.html).
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ipython_assistant.options import option_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_ENTRIES = 10_000  # of a larger folder the first are looked at, since the user waits

_MAGIC = re.compile(r"\s*%%assistant(?!\S)")
_OPEN_BRACE = re.compile(r"\{((?:[^\W\d]\w*)?)$")
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")


class _Nothing(list[Any]):
    """No completions at all, though it has a length: IPython lets other matchers speak where one's list is empty."""

    def __len__(self) -> int:
        return 1


def match(context: Any, shell: Any, values: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """An answer to IPython's `CompletionContext`; `values` gives what may follow an option, by its `Options` field."""
    lines, line, column = context.full_text.split("\n"), context.cursor_line, context.cursor_position
    first = next((place for place, text in enumerate(lines) if text.strip()), 0)
    magic, before = _MAGIC.match(lines[first]), lines[line][:column]
    # On the word `%%assistant` itself IPython's own completion of magics has its say.
    if magic is None or line < first or (line == first and column <= magic.end()):
        return {"completions": []}
    if line == first:
        fragment, texts = _on_first_line(before[magic.end() :], shell, values)
    elif brace := _OPEN_BRACE.search(before):
        # The text of a module, a function or a class is of no use in a prompt.
        fragment = brace[1]
        texts = _names(shell, fragment, lambda value: not isinstance(value, ModuleType) and not callable(value))
    else:
        fragment, texts = "", []
    from IPython.core.completer import SimpleCompletion

    completions = [SimpleCompletion(text=text, type="instance") for text in texts]
    return {"completions": completions or _Nothing(), "matched_fragment": fragment, "ordered": True, "suppress": True}


def _names(shell: Any, start: str, fits: Callable[[object], bool]) -> list[str]:
    """The variables that begin with `start` and whose value fits; those with an underscore only if it is typed."""
    return sorted(
        name
        for name, value in shell.user_ns.items()
        if name.startswith(start) and (start or not name.startswith("_"))
        if name.isidentifier() and name not in shell.user_ns_hidden and fits(value)
    )


def _is_a_frame(value: object) -> bool:
    # By name, so that pandas is not imported for a look at something else.
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _on_first_line(before: str, shell: Any, values: Callable[[str], Sequence[str]]) -> tuple[str, list[str]]:
    """The word at the cursor, and what may stand in its place."""
    words, targets = list(_WORD.finditer(before)), option_targets()
    typed = words.pop()[0] if words and words[-1].end() == len(before) else ""
    target = targets.get(words[-1][0] if words else "")
    if not target:
        is_option = not typed or typed.startswith("-")
        return typed, [option for option in targets if is_option and option.startswith(typed or "--")]
    quote = typed[:1] if typed.startswith(('"', "'")) else ""
    start = typed.removeprefix(quote)
    texts = _names(shell, start, _is_a_frame) if target == "inputs" and not quote else []
    in_folder = target in {"inputs", "directory"}
    for name in _paths(start, folders_only=target == "directory") if in_folder else values(target):
        # A name with a blank in it needs quotation marks; in a folder the word goes on.
        mark = quote or ('"' if re.search(r"[\s\"']", name) else "")
        if name.startswith((start, f"./{start}")) and name.isprintable() and not (mark and mark in name):
            texts.append(f"{mark}{name}{'' if name.endswith('/') else mark}")
    return typed, texts


def _paths(typed: str, *, folders_only: bool) -> Iterator[str]:
    """Files, and folders with a slash behind them, beside what is typed."""
    folder, slash, start = typed.rpartition("/")
    try:
        with os.scandir(Path(folder + slash).expanduser()) as entries:
            first = islice(entries, MOST_ENTRIES)
            found = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in first)
    except (OSError, ValueError, RuntimeError):  # not there, no path at all, nobody's home
        return
    for name in found:
        if (start or not name.startswith(".")) and (name[-1] == "/" or not folders_only):
            path = f"{folder}{slash}{name}"
            # A word that begins with a hyphen would be an option.
            yield f"./{path}" if path.startswith("-") else path
