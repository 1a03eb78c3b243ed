"""What a model may see of the tables: `results`, `shapes` or `names`. Everything a model is told passes through here.

`results`: columns, types, sizes, examples of values; what code printed, and the first rows of what it wrote.
`shapes`: columns, types, sizes; of a run its errors' types, and the sizes, columns and types of what it wrote.
`names`: columns and types of the inputs; of a run its errors' types, and the sizes of what it wrote.

Under the last two no value of any cell is told. Columns that code made may be named after values (a pivot's are), and
so may files: they are told only where the inputs or the user's own words have the same name already.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.engine.models import Ask, RunOutcome
    from ipython_assistant.engine.models.plan.tables import Column, TableProfile

MAX_LOGS: Final = 6_000
"""In characters, of what code printed; the middle of more is left out."""
MAX_COLUMNS: Final = 60
MAX_VALUES: Final = 12
HEAD_ROWS: Final = 5

_PANDAS_ERRORS: Final = frozenset({"ParserError", "EmptyDataError", "MergeError", "UndefinedVariableError"})


class Share(StrEnum):
    """What a model may see."""

    RESULTS = "results"
    SHAPES = "shapes"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Told:
    """What one model may be told in one question.

    Attributes:
        share: How much.
        frames: The variable that holds each table, by the table's name.
        inputs: Files that the user gave, not code.
        words: The user's own words: what is in them is no secret.
    """

    share: Share
    frames: Mapping[str, str]
    inputs: frozenset[str]
    words: str

    @property
    def everything(self) -> bool:
        """Whether values may be told."""
        return self.share is Share.RESULTS

    def table(self, table: TableProfile, tables: Sequence[TableProfile]) -> str:
        """A line on a table that code can use."""
        name = f"`{self.frames[table.name]}`: the table {self.file(table.path or table.name)}"
        if table.problem:
            return f"{name}, which could not be read" + (f": {table.problem}" if self.everything else "")
        known = self._known(tables)
        shown = [column for column in table.columns[:MAX_COLUMNS] if table.path in self.inputs or column.name in known]
        columns = "; ".join(f"{column.name!r} ({self._kind(column)})" for column in shown)
        others = len(table.columns) - len(shown)
        size = "" if self.share is Share.NAMES else f", {table.rows:,} rows"
        return f"{name}{size}. Columns: {columns}" + (f"; and {others} more" if others else "")

    def outcome(self, outcome: RunOutcome, made: Sequence[TableProfile], heads: Mapping[str, str]) -> str:
        """What a run did.

        Args:
            outcome: As the container tells it.
            made: The tables that it wrote.
            heads: Their first rows as text, by path.
        """
        told = [self._printed(outcome.logs)]
        if outcome.error is not None:
            told.append(f"It stopped with {self.error(outcome.error)}.")
        for table in made:
            size = f"{table.rows:,} rows × {len(table.columns)} columns"
            told.append(f"It wrote {self.file(table.path or table.name)}: {size}{self._made(table)}.")
            if self.everything and table.path in heads:
                told.append(f"It begins:\n{heads[table.path]}")
        others = [file for file in outcome.files if file not in {table.path for table in made}]
        if others:
            told.append(f"It wrote {', '.join(dict.fromkeys(map(self.file, others)))}.")
        if outcome.figures:
            told.append("It displayed a figure; the user has seen it. Figures to keep are saved with savefig.")
        return "\n\n".join(part for part in told if part)

    def error(self, error: str) -> str:
        """An error; where values are kept from the model, only its type."""
        if self.everything:
            return error.rstrip(".")
        kind = error.partition(":")[0].rpartition(".")[2].strip()
        return kind if hasattr(builtins, kind) or kind in _PANDAS_ERRORS else "an error"

    def file(self, name: str) -> str:
        """A file's name; where values are kept from the model, only one that is no secret."""
        if self.everything or name in self.inputs or name in self.words:
            return name
        return "a file"

    def _known(self, tables: Sequence[TableProfile]) -> frozenset[str]:
        """The columns' names that are no secret."""
        names = {column.name for table in tables for column in table.columns}
        given = {column.name for table in tables if table.path in self.inputs for column in table.columns}
        return frozenset(name for name in names if self.everything or name in given or _names(self.words, name))

    def _kind(self, column: Column) -> str:
        about = [column.kind]
        if self.everything and column.values:
            shown = ", ".join(column.values[:MAX_VALUES])
            about.append(shown + (", …" if column.distinct > MAX_VALUES else ""))
        elif self.everything and column.low != "":
            about.append(f"{column.low} to {column.high}")
        elif self.share is Share.SHAPES and column.distinct:
            about.append(f"{column.distinct:,} different")
        if column.missing and self.share is not Share.NAMES:
            about.append(f"{column.missing:,} missing")
        return ", ".join(map(str, about))

    def _made(self, table: TableProfile) -> str:
        if self.share is Share.NAMES:
            return ""
        shown = [column for column in table.columns[:MAX_COLUMNS] if self.everything or _names(self.words, column.name)]
        return f" ({'; '.join(f'{column.name!r} {column.kind}' for column in shown)})" if shown else ""

    def _printed(self, logs: str) -> str:
        logs = logs.strip()
        if not logs:
            return "The code printed nothing."
        if not self.everything:
            return "The code ran; the user sees what it printed, and you do not."
        if len(logs) > MAX_LOGS:
            half = MAX_LOGS // 2
            logs = f"{logs[:half]}\n… {len(logs) - 2 * half:,} characters left out …\n{logs[-half:]}"
        return f"The code printed:\n{logs}"


def _names(words: str, name: str) -> bool:
    """Whether a text names something."""
    return bool(name.strip()) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words, re.IGNORECASE) is not None


def share_of(ask: Ask, *, on_this_machine: bool) -> Share:
    """What the model may see: as the request's metadata says, else everything only if it runs on this machine."""
    said = _metadata(ask).get("share")
    if said in set(Share):
        return Share(said)
    return Share.RESULTS if on_this_machine else Share.SHAPES


def inputs_of(ask: Ask) -> tuple[str, ...]:
    """The files that the user gave: as the request's metadata says, else those that code did not make."""
    said = _metadata(ask).get("inputs")
    if isinstance(said, str):
        return tuple(said.split("\n"))
    return tuple(name for name in ask.files if name not in ask.made)


def _metadata(ask: Ask) -> Mapping[str, Any]:
    found = ask.wishes.get("metadata")
    return found if isinstance(found, dict) else {}
