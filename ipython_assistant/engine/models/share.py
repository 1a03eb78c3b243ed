"""What a model may see of the tables: `results`, `shapes` or `names`. Everything a model is told passes through here.

`results`: columns, types, sizes, examples of values; what code printed, and the first rows of what it wrote.
`shapes`: columns, types, sizes; of a run its errors' types, and the sizes, columns and types of what it wrote.
`names`: columns and types of the inputs; of a run its errors' types, and the sizes of what it wrote.

Under the last two no value of any cell is told. Columns that code made may be named after values (a pivot's are), and
so may files: they are told only where the inputs or the user's own words have the same name already.
"""

from __future__ import annotations

import builtins
import difflib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.engine.models import Ask, RunOutcome
    from ipython_assistant.engine.models.table_profiles import Column, TableProfile

MAX_LOGS: Final = 6_000
"""In characters, of what code printed; the middle of more is left out."""
MAX_COLUMNS: Final = 60
MAX_VALUES: Final = 12

_PANDAS_ERRORS: Final = frozenset({"ParserError", "EmptyDataError", "MergeError", "UndefinedVariableError"})


class Share(StrEnum):
    """What a model may see."""

    RESULTS = "results"
    SHAPES = "shapes"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Told:
    """What one model may be told in one question."""

    share: Share
    frames: Mapping[str, str]
    """The variable that holds each table, by the table's name."""
    inputs: frozenset[str]
    """Files that the user gave, not code."""
    words: str
    """The user's own words: they hold no secret of the tables."""

    @classmethod
    def about(cls, ask: Ask, frames: Mapping[str, str], *, on_this_machine: bool) -> Told:
        """What may be told in a question: as its metadata says, else everything only to a model on this machine."""
        said = ask.wishes.get("metadata") or {}
        usual = Share.RESULTS if on_this_machine else Share.SHAPES
        share = Share(said["share"]) if said.get("share") in set(Share) else usual
        given = said.get("inputs")
        inputs = given.split("\n") if isinstance(given, str) else (name for name in ask.files if name not in ask.made)
        words = [*(message.text for message in ask.history if message.role == "user"), ask.prompt]
        return cls(share, frames, frozenset(inputs), "\n".join(words))

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

    def may_name_all(self, table: TableProfile, tables: Sequence[TableProfile]) -> bool:
        """Whether no name of the table's columns is a secret."""
        return table.path in self.inputs or {column.name for column in table.columns} <= self._known(tables)

    def outcome(self, outcome: RunOutcome, made: Sequence[TableProfile], heads: Mapping[str, str]) -> str:
        """What a run did, with the tables that it wrote, and their first rows by path."""
        told = [self._printed(outcome.logs.strip())]
        if outcome.error is not None:
            told.append(f"It stopped with {self._error(outcome.error)}.")
        for table in made:
            size = f"{table.rows:,} rows × {len(table.columns)} columns"
            told.append(f"It wrote {self.file(table.path or table.name)}: {size}{self._made(table)}.")
            if self.everything and table.path in heads:
                told.append(f"It begins:\n{heads[table.path]}")
        others = dict.fromkeys(self.file(file) for file in outcome.files if file not in {table.path for table in made})
        if others:
            told.append(f"It wrote {', '.join(others)}.")
        if outcome.figures:
            told.append("It displayed a figure; the user has seen it. Figures to keep are saved with savefig.")
        return "\n\n".join(told)

    def file(self, name: str) -> str:
        """A file's name; where values are kept from the model, only a name that the user gave or wrote."""
        return name if self.everything or name in self.inputs or name in self.words else "a file"

    def _error(self, error: str) -> str:
        """An error; where values are kept from the model, only its type."""
        kind = error.partition(":")[0].rpartition(".")[2].strip()
        known = kind if hasattr(builtins, kind) or kind in _PANDAS_ERRORS else "an error"
        return error.rstrip(".") if self.everything else known

    def _known(self, tables: Sequence[TableProfile]) -> frozenset[str]:
        """The columns' names that are no secret."""
        named = [(column.name, table.path in self.inputs) for table in tables for column in table.columns]
        return frozenset(name for name, given in named if self.everything or given or _names(self.words, name))

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
        return ", ".join(about)

    def _made(self, table: TableProfile) -> str:
        columns = () if self.share is Share.NAMES else table.columns[:MAX_COLUMNS]
        shown = [f"{one.name!r} {one.kind}" for one in columns if self.everything or _names(self.words, one.name)]
        return f" ({'; '.join(shown)})" if shown else ""

    def _printed(self, logs: str) -> str:
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


class Veil:
    """Keeps the values of cells from a model that fills in a plan: the user's own words stand for them.

    A plan holds the values that a question names, as the data spell them. The model is given the question's spelling,
    and what it writes is turned back here.

    Args:
        words: The user's own words.
        tables: The tables whose values are kept.
    """

    def __init__(self, words: str, tables: Sequence[TableProfile]) -> None:
        values = {value for table in tables for column in table.columns for value in column.values}
        stand_ins = {value: _in_words(value, words) or f"value {n}" for n, value in enumerate(sorted(values))}
        self._stand_ins = {value: stand_in for value, stand_in in stand_ins.items() if stand_in != value}
        longest_first = sorted(self._stand_ins, key=len, reverse=True)
        self._any = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest_first) or r"(?!)")

    def hide(self, told: Any) -> Any:
        """A copy of a JSON value in which stand-ins replace the hidden values in every text."""
        match told:
            case str():
                return self._any.sub(lambda found: self._stand_ins[found[0]], told)
            case list():
                return [self.hide(one) for one in told]
            case dict():
                return {name: self.hide(value) for name, value in told.items()}
        return told

    def lift(self, text: str) -> str:
        """The JSON that a model wrote, with the values in the place of their stand-ins; other text as it is."""
        try:
            written = json.loads(text[text.find("{") : text.rfind("}") + 1])
        except ValueError:
            return text
        return json.dumps(self._meant(written)[0])

    def _meant(self, written: Any) -> list[Any]:
        """Everything that a JSON value stands for: several values of a table may differ in their spelling alone."""
        match written:
            case str():
                return [value for value, stand_in in self._stand_ins.items() if stand_in == written] or [written]
            case list():
                return [[value for one in written for value in self._meant(one)]]
            case dict():
                return [{name: self._meant(value)[0] for name, value in written.items()}]
        return [written]


def _in_words(value: str, words: str) -> str:
    """How a text names a value, in its own spelling; empty where it does not."""
    at = words.lower().find(value.lower())
    if at >= 0 and len(words.lower()) == len(words):
        return words[at : at + len(value)]
    spelled = {word.lower(): word for word in re.findall(r"\w+", words)}
    return next((spelled[near] for near in difflib.get_close_matches(value.lower(), spelled, n=1)), "")
