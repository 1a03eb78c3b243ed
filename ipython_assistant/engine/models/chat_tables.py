"""The tables in a container as a chat model and its reader are told of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models.markdown import code, escape, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.engine.models import Interpreter

TABLES: Final = (".csv", ".tsv", ".xlsx", ".parquet", ".json")
"""Endings of files that are looked at as tables."""
PICTURES: Final = (".png",)
"""Endings of pictures that a model may be shown."""
HEAD_ROWS: Final = 5
SHOWN_COLUMNS: Final = 8
MOST_TABLES: Final = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a table: its size, its columns with pandas' types, its first rows as text; or why nobody knows."""

    path: str
    rows: int
    width: int
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    head: tuple[tuple[str, ...], ...]
    problem: str = ""

    @property
    def size(self) -> str:
        """Rows and columns in words."""
        return f"{self.rows:,} row{_s(self.rows)} × {self.width:,} column{_s(self.width)}"

    def described(self) -> str:
        """For the model: columns and types, no contents."""
        if self.problem:
            return self.path
        columns = ", ".join(f"{name!r} ({kind})" for name, kind in zip(self.columns, self.kinds, strict=True))
        more = f", and {self.width - len(self.columns)} more" if self.width > len(self.columns) else ""
        return f"{self.path}: {self.size}: {columns}{more}"

    def told(self) -> str:
        """For the model: what its code has written."""
        if self.problem:
            return f"{self.path} could not be read as a table: {self.problem}"
        lines = [" | ".join(self.columns), *(" | ".join(row) for row in self.head)]
        return f"{self.path} ({self.size}) begins:\n" + "\n".join(line[:300] for line in lines)

    def shown(self) -> str:
        """For the reader, as Markdown: name, size and the first rows."""
        if self.problem:
            return f"{code(self.path)} could not be read as a table: {escape(self.problem)}"
        header = self.columns[:SHOWN_COLUMNS]
        rows = [row[:SHOWN_COLUMNS] for row in self.head]
        if self.width > SHOWN_COLUMNS:
            header, rows = (*header, "…"), [(*row, "…") for row in rows]
        return f"{code(self.path)}, {self.size}:\n\n{table(header, rows)}"


async def look(interpreter: Interpreter, paths: Iterable[str]) -> tuple[Look, ...]:
    """Look at the tables among these files. What cannot be looked at is told as a problem, never raised."""
    wanted = [path for path in paths if path.lower().endswith(TABLES)][:MOST_TABLES]
    if not wanted:
        return ()
    try:
        found = await _call(interpreter, "look", wanted, HEAD_ROWS)
    except (RuntimeError, ValueError, IndexError) as error:
        return tuple(Look(path, 0, 0, (), (), (), str(error)) for path in wanted)
    return tuple(
        Look(
            path=str(one["path"]),
            rows=int(one["rows"]),
            width=int(one["width"]),
            columns=tuple(map(str, one["columns"])),
            kinds=tuple(map(str, one["kinds"])),
            head=tuple(tuple(map(str, row)) for row in one["head"]),
            problem=str(one["problem"]),
        )
        for one in found
    )


async def pictures(interpreter: Interpreter, paths: Iterable[str], most: int) -> tuple[str, ...]:
    """The pictures among these files, in base64; none where they cannot be had."""
    wanted = [path for path in paths if path.lower().endswith(PICTURES)][:most]
    if not wanted:
        return ()
    try:
        return tuple(map(str, await _call(interpreter, "pictures", wanted)))
    except (RuntimeError, ValueError, IndexError):
        return ()


async def _call(interpreter: Interpreter, function: str, *arguments: object) -> Any:
    """Call a function of `chat_in_kernel` in the container's kernel; its names stay in a scope of their own."""
    source = resources.files(__package__).joinpath("chat_in_kernel.py").read_text(encoding="utf-8")
    printed = await interpreter.probe(f"""
def _(source, function, arguments):
    import json
    scope = {{"__name__": "chat_in_kernel"}}
    exec(compile(source, "chat_in_kernel.py", "exec"), scope)
    print(json.dumps(scope[function](*arguments)))
_({source!r}, {function!r}, {list(arguments)!r})
""")
    return json.loads(printed.strip().splitlines()[-1])


def _s(count: int) -> str:
    return "" if count == 1 else "s"
