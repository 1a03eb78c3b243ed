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
    """A dictionary, on one line if it fits."""
    line = py(mapping)
    if len(line) <= LINE_LENGTH - len("kinds = "):
        return line
    return "\n".join(["{", *(f"    {py(key)}: {py(value)}," for key, value in mapping.items()), "}"])


def call(start: str, arguments: Sequence[str]) -> str:
    """A call, on one line if it fits."""
    line = f"{start}({', '.join(arguments)})"
    return (
        line
        if len(line) <= LINE_LENGTH
        else "\n".join([f"{start}(", *(f"    {argument}," for argument in arguments), ")"])
    )
