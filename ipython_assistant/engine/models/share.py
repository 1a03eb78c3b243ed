"""What a model may see of the tables: `results`, `shapes` or `names`. Everything a model is told passes through here.

`results`: columns, types, sizes, examples of values; what code printed, and the first rows of what it wrote.
`shapes`: columns, types, sizes; of a run its errors' types, and the sizes, columns and types of what it wrote.
`names`: columns and types of the inputs; of a run its errors' types, and the sizes of what it wrote.

Under the last two no value of any cell is told, nor a name of a column or file that code made, which may be a value,
unless the inputs or the user's own words have that name already.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.engine.models import Ask, RunOutcome
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

MAX_LOGS: Final = 6_000  # in characters, of what code printed; the middle of more is left out
MAX_COLUMNS: Final = 60
MAX_VALUES: Final = 12

_PANDAS_ERRORS: Final = frozenset({"ParserError", "EmptyDataError", "MergeError", "UndefinedVariableError"})


@dataclass(frozen=True, slots=True)
class SharedView:
    """What the model may see for one question: its `share`, the user's `words`, and the `columns` it may be told."""

    share: str
    inputs: frozenset[str]
    words: str
    columns: frozenset[str]

    @classmethod
    def about(cls, ask: Ask, tables: Sequence[TableProfile], *, on_this_machine: bool) -> SharedView:
        """What may be told in a question: as its metadata says, else everything only to a model on this machine."""
        said = ask.wishes.get("metadata") or {}
        words = "\n".join([*(message.text for message in ask.history if message.role == "user"), ask.prompt])
        usual = "results" if on_this_machine else "shapes"
        share = said["share"] if said.get("share") in {"results", "shapes", "names"} else usual
        given = said.get("inputs")
        inputs = given.split("\n") if isinstance(given, str) else [one for one in ask.files if one not in ask.made]
        named = [(column.name, table.path in inputs) for table in tables for column in table.columns]
        columns = frozenset(name for name, is_input in named if is_input or _names(words, name))
        return cls(share, frozenset(inputs), words, columns)

    @property
    def everything(self) -> bool:
        """Whether values may be told."""
        return self.share == "results"

    def table(self, table: TableProfile, frame: str) -> str:
        """A line on a table that code can use as the variable `frame`."""
        name = f"`{frame}`: the table {self.file(table.path)}"
        if table.problem:
            return f"{name}, which could not be read" + (f": {table.problem}" if self.everything else "")
        shown = [one for one in table.columns[:MAX_COLUMNS] if self.everything or one.name in self.columns]
        columns = "; ".join(f"{column.name!r} ({self._kind(column)})" for column in shown)
        others = len(table.columns) - len(shown)
        size = "" if self.share == "names" else f", {table.rows:,} rows"
        return f"{name}{size}. Columns: {columns}" + (f"; and {others} more" if others else "")

    def may_name_all(self, table: TableProfile) -> bool:
        """Whether neither the table's name nor that of one of its columns is a secret."""
        named = table.path in self.inputs or table.name in self.words
        return self.everything or (named and {column.name for column in table.columns} <= self.columns)

    def outcome(self, outcome: RunOutcome, made: Sequence[TableProfile]) -> str:
        """What a run did, with the tables that it wrote."""
        logs = outcome.logs.strip()
        if len(logs) > MAX_LOGS:
            half = MAX_LOGS // 2
            logs = f"{logs[:half]}\n… {len(logs) - 2 * half:,} characters left out …\n{logs[-half:]}"
        told = [f"The code printed:\n{logs}" if logs else "The code printed nothing."]
        if not self.everything:
            told = ["The code ran; the user sees what it printed, and you do not."]
        if outcome.error is not None:
            kind = outcome.error.partition(":")[0].rpartition(".")[2].strip()
            known = kind if hasattr(builtins, kind) or kind in _PANDAS_ERRORS else "an error"
            told.append(f"It stopped with {outcome.error.rstrip('.') if self.everything else known}.")
        for table in made:
            columns = () if self.share == "names" else table.columns[:MAX_COLUMNS]
            shown = [f"{one.name!r} {one.kind}" for one in columns if self.everything or _names(self.words, one.name)]
            size = f"{table.rows:,} rows × {len(table.columns)} columns" + (f" ({'; '.join(shown)})" if shown else "")
            told.append(f"It wrote {self.file(table.path)}: {size}.")
            told += [f"It begins:\n{table.head}"] if self.everything and table.rows else []
        tables = {table.path for table in made}
        if others := dict.fromkeys(self.file(file) for file in outcome.files if file not in tables):
            told.append(f"It wrote {', '.join(others)}.")
        if outcome.figures:
            told.append("It displayed a figure; the user has seen it. Figures to keep are saved with savefig.")
        return "\n\n".join(told)

    def file(self, name: str) -> str:
        """A file's name; where values are kept from the model, only a name that the user gave or wrote."""
        return name if self.everything or name in self.inputs or name in self.words else "a file"

    def _kind(self, column: Column) -> str:
        about = [column.kind]
        if self.everything and column.values:
            about.append(", ".join(column.values[:MAX_VALUES]) + (", …" if column.distinct > MAX_VALUES else ""))
        elif self.everything and column.low != "":
            about.append(f"{column.low} to {column.high}")
        elif self.share == "shapes" and column.distinct:
            about.append(f"{column.distinct:,} different")
        if column.missing and self.share != "names":
            about.append(f"{column.missing:,} missing")
        return ", ".join(about)


def _names(words: str, name: str) -> bool:
    """Whether a text names something."""
    return bool(name.strip()) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words, re.IGNORECASE) is not None
