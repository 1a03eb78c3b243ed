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

    def may_name_all(self, table: TableProfile, tables: Sequence[TableProfile]) -> bool:
        """Whether no name of the table's columns is a secret."""
        known = self._known(tables)
        return table.path in self.inputs or all(column.name in known for column in table.columns)

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
        self._stand_ins: dict[str, str] = {}
        for number, value in enumerate(sorted(values)):
            stand_in = _in_words(value, words) or f"value {number}"
            if stand_in != value:
                self._stand_ins[value] = stand_in
        longest_first = sorted(self._stand_ins, key=len, reverse=True)
        self._any = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest_first) or r"(?!)")

    def hide(self, told: Any) -> Any:
        """The same JSON value, with the stand-ins in all of its texts."""
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
        return json.dumps(self._lifted(written))

    def _lifted(self, written: Any) -> Any:
        match written:
            case str():
                return next((value for value, stand_in in self._stand_ins.items() if stand_in == written), written)
            case list():
                return [value for one in written for value in self._all(one)]
            case dict():
                return {name: self._lifted(value) for name, value in written.items()}
        return written

    def _all(self, written: Any) -> list[Any]:
        """Everything that one item of a list stands for: values may differ in their spelling alone."""
        found = [value for value, stand_in in self._stand_ins.items() if stand_in == written]
        return found or [self._lifted(written)]


def _in_words(value: str, words: str) -> str:
    """How a text names a value, in its own spelling; empty where it does not."""
    at = words.lower().find(value.lower())
    if at >= 0 and len(words.lower()) == len(words):
        return words[at : at + len(value)]
    near = difflib.get_close_matches(value.lower(), [word.lower() for word in re.findall(r"\w+", words)], n=1)
    return next((word for word in re.findall(r"\w+", words) if near and word.lower() == near[0]), "")


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
