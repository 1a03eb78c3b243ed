"""Python literals and calls, written so that they read well and fit the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_LENGTH: Final = 100


def py(value: object) -> str:
    """A Python literal: what `repr` makes of it, in double quotes where that changes nothing else."""
    if isinstance(value, list):
        return f"[{', '.join(map(py, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{py(key)}: {py(item)}' for key, item in value.items())}}}"
    literal = repr(value)
    plain = isinstance(value, str) and '"' not in literal and "\\" not in literal
    return f'"{value}"' if plain else literal


def one_or_list(names: Sequence[str]) -> str:
    """One name, or a list of several."""
    return py(names[0]) if len(names) == 1 else py(list(names))


def literal(mapping: dict[str, str]) -> str:
    """A dictionary of texts, on one line if it fits."""
    return dictionary({key: py(value) for key, value in mapping.items()}, room=len("kinds = "))


def dictionary(codes: dict[str, str], *, room: int = 0) -> str:
    """A dictionary of what is already code, on one line if it fits beside so many characters."""
    return _wrapped("{", [f"{py(key)}: {code}" for key, code in codes.items()], "}", room)


def call(start: str, arguments: Sequence[str]) -> str:
    """A call, on one line if it fits."""
    return _wrapped(f"{start}(", arguments, ")")


def _wrapped(opening: str, parts: Sequence[str], closing: str, room: int = 0) -> str:
    """Parts between brackets: on one line if that fits, else each on its own."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= LINE_LENGTH - room:
        return line
    return "\n".join([opening, *(f"    {part}," for part in parts), closing])
