"""What is known of the tables in the container: values only, filled by a look that runs in the container's kernel."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.engine.models import Interpreter

READABLE: Final = (
    ".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".json", ".jsonl", ".ndjson", ".geojson", ".parquet", ".csv.gz",
)  # fmt: skip
"""Endings of the files that are looked at as tables."""
_RATES: Final = re.compile(
    "coverage|rate|ratio|share|proportion|percent|percentage|pct|prevalence|incidence|density|index|score|rating|mean|"
    "average|avg|median|efficacy|accuracy|margin|yield|temperature|temp|age"
)
_CODES: Final = re.compile("id|code|number|no|nr|key|identifier|uuid|fips|postcode|zip")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `kind` is `number`, `year`, `date`, `yes/no`, `text` or `empty`.

    Attributes:
        before: Code that goes before the cells to give them their type, such as `pd.to_datetime(`; `after` behind them.
        values: Its different texts, sorted; of more than 200 only those that the question names. None for booleans.
        low: The smallest number or the first date, year first; `high` the largest or last.
        grain: How fine its dates are: `time`, `day`, `week`, `month` or `quarter`.
        doubt: Why it was kept as text though it looks like numbers or dates.
        notes: How its cells were read, where that is not obvious; each continues `In NAME, `.
    """

    name: str
    kind: str
    before: str = ""
    after: str = ""
    values: tuple[str, ...] = ()
    low: float | str = ""
    high: float | str = ""
    distinct: int = 0
    missing: int = 0
    unique: bool = False
    whole: bool = False
    grain: str = ""
    doubt: str = ""
    notes: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """True where it can be calculated with."""
        return self.kind in {"number", "year"}

    @property
    def in_time(self) -> bool:
        """True for dates and years."""
        return self.kind in {"date", "year"}

    @property
    def rate(self) -> bool:
        """True for a rate, a percentage, a mean or a price: numbers whose sum means nothing."""
        parts = re.split(r"[\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", self.name).lower())
        return "%" in self.name or any(map(_RATES.fullmatch, parts))

    @property
    def code(self) -> bool:
        """True for a column whose name says that it tells things apart."""
        last = re.split(r"[\W_]+", self.name.lower().rstrip(" )"))[-1]
        return bool(_CODES.fullmatch(last)) and (self.kind == "text" or self.whole)


@dataclass(frozen=True, slots=True)
class TableProfile:
    """One table in the container: its file at `path`, read by the expression `read`, or the `problem` why it cannot be.

    A sheet of several is `FILE#SHEET` by name. The `notes` say in sentences what was left out in reading it.
    """

    name: str
    path: str = ""
    read: str = ""
    rows: int = 0
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    head: str = field(default="", compare=False)  # its first rows as text, with the cells apart by `|`

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return self.name.partition(".")[0]

    def find(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def columns_of(tables: Iterable[TableProfile]) -> dict[str, Column]:
    """The columns of tables by name; of several with one name the first."""
    found: dict[str, Column] = {}
    for column in (column for table in tables for column in table.columns):
        found.setdefault(column.name, column)
    return found


def loading_code(table: TableProfile, frame: str, columns: Iterable[str] | None = None) -> str:
    """Code that reads a table as the variable `frame` and gives its columns their types, or some of them."""
    wanted = {column.name for column in table.columns} if columns is None else set(columns)
    lines = [f"{frame} = {table.read}"]
    for column in table.columns:
        if column.name in wanted and (column.before or column.after):
            cells = f"{frame}[{py(column.name)}]"
            lines.append(f"{cells} = {column.before}{cells}{column.after}")
    return "\n".join(lines)


async def profiled(interpreter: Interpreter, paths: Sequence[str], prompt: str = "") -> tuple[TableProfile, ...]:
    """Look at the tables among the files. Raises `RuntimeError`: the kernel could not look."""
    readable = [path for path in paths if path.lower().endswith(READABLE)]
    if not readable:
        return ()
    words = re.findall(r"[\w'.-]+", prompt.casefold())[:200]
    runs = {" ".join(words[at : at + length]) for length in range(1, 5) for at in range(len(words))}
    return tuple(map(profile_of, await call(interpreter, "profile", readable, sorted(runs))))


def profile_of(found: dict[str, Any]) -> TableProfile:
    """A table as `in_kernel.profile` tells of it."""
    columns = []
    for one in found.get("columns", ()):
        known: dict[str, Any] = {each.name: one[each.name] for each in fields(Column)}
        columns.append(Column(**{**known, "values": tuple(known["values"]), "notes": tuple(known["notes"])}))
    return TableProfile(**{**found, "columns": tuple(columns), "notes": tuple(found.get("notes", ()))})


async def call(interpreter: Interpreter, function: str, *arguments: object) -> Any:
    """Call a function of `in_kernel` in the container's kernel, binding no name. Raises `RuntimeError` if it fails."""
    source = resources.files(__package__).joinpath("in_kernel.py").read_text(encoding="utf-8")
    code = f"""
def _(source, function, arguments):
    import json
    scope = {{"__name__": "in_kernel"}}
    exec(compile(source, "in_kernel.py", "exec"), scope)
    scope["VARIABLES"].update(globals())
    print(json.dumps(scope[function](*arguments)))
_({source!r}, {function!r}, {list(arguments)!r})
"""
    printed = await interpreter.probe(code)
    try:
        return json.loads(printed.strip().splitlines()[-1])
    except (ValueError, IndexError):  # what is printed is cut where it is too long
        raise RuntimeError("There is too much to say about these files at once: name fewer of them.") from None


def py(value: object) -> str:
    """A Python literal, in double quotes where that changes nothing else."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(py, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{py(key)}: {py(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 floats are exact below
        value = int(value)
    literal = repr(value)
    return f'"{value}"' if isinstance(value, str) and '"' not in literal and "\\" not in literal else literal
