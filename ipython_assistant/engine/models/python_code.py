"""The Python in a model's text: where it is, which tables it needs, and what is wrong with it before it runs. Pure."""

from __future__ import annotations

import ast
import keyword
import re
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models.plan.tables import load

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ipython_assistant.engine.models.plan.tables import TableProfile

ASKED_FILE: Final = re.compile(
    r"(?<![\w/.-])[\w-]+\.(?:csv|tsv|xlsx|jsonl?|parquet|txt|md|html?|png|svg|pdf|jpe?g|webp)\b", re.IGNORECASE
)
"""A file that a text names."""

_BLOCK: Final = re.compile(r"^[ \t]*(`{3,})[ \t]*([^\s`]*)[^`\n]*\n(.*?)(?:^[ \t]*\1`*[ \t]*$|\Z)", re.M | re.S)
_PYTHON: Final = frozenset({"python", "py", "python3", "ipython"})
_GROUPING: Final = frozenset({"groupby", "pivot_table", "pivot", "value_counts", "resample", "crosstab"})
_AGGREGATING: Final = frozenset({
    "mean", "sum", "count", "size", "median", "min", "max", "std", "var", "agg", "aggregate", "nunique", "first",
    "last", "quantile", "prod", "pivot_table", "pivot", "value_counts", "unstack", "crosstab",
})  # fmt: skip
_HARMLESS: Final = frozenset({
    "round", "sort_values", "sort_index", "fillna", "rename", "astype", "to_frame", "nlargest", "nsmallest",
})  # fmt: skip
_WRITERS: Final = frozenset({"to_csv", "to_excel"})


def split(text: str) -> tuple[str, str]:
    """The prose before the first block of Python in a text, and the code of the block; all prose where there is none.

    A block counts if its fence says Python, or says nothing and what is in it is Python. One that is never closed goes
    on to the end. What comes after it is a guess at what the code will do, and is left out.
    """
    for block in _BLOCK.finditer(text):
        language, code = block[2].lower(), block[3]
        if language in _PYTHON or (not language and is_python(code)):
            return text[: block.start()].strip(), code.strip("\n") + "\n"
    return text.strip(), ""


def is_python(code: str) -> bool:
    """Whether this is Python that does something: a lone name or number is not."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    idle = (ast.Name, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute)
    return any(not (isinstance(line, ast.Expr) and isinstance(line.value, idle)) for line in body)


def frame_names(tables: Sequence[TableProfile]) -> dict[str, str]:
    """The variable for each table, by the table's name: the file's, as far as Python allows."""
    names: dict[str, str] = {}
    for table in tables:
        name = re.sub(r"\W+", "_", table.stem).strip("_").lower()
        if not name or name[0].isdigit() or keyword.iskeyword(name) or name in {"pd", "np", "plt", "json", "Path"}:
            name = f"table_{name}".rstrip("_")
        taken = set(names.values())
        names[table.name] = next(
            one for one in (name, *(f"{name}_{number}" for number in range(2, len(tables) + 2))) if one not in taken
        )
    return names


def loading(code: str, tables: Iterable[TableProfile], frames: dict[str, str], loaded: Collection[str]) -> str:
    """The lines that load the tables which code uses and nothing has loaded yet; empty where there are none.

    Args:
        code: The code.
        tables: The tables there are.
        frames: The variable for each table.
        loaded: The variables that are there already.
    """
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", code)) - set(loaded)
    parts = [load(table, frames[table.name]) for table in tables if frames[table.name] in used and not table.problem]
    lines = "\n\n".join(parts)
    imports = [
        line
        for line, name in (
            ("import json", "json."),
            ("from pathlib import Path", "Path("),
            ("import pandas as pd", "pd."),
        )
        if name in lines
    ]
    return "\n".join([*imports, "", lines, "", ""]) if parts else ""


def with_labels(code: str) -> str:
    """The code, where a grouped table is written without its index, which holds the labels: written with it.

    The mistake that small models make most: `df.groupby("a")["b"].mean().to_csv("x.csv", index=False)`.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    assigned: dict[str, ast.expr] = {}
    lost: list[ast.keyword] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITERS:
            without = [part for part in node.keywords if part.arg == "index" and _is_false(part.value)]
            if without and _grouped(node.func.value, assigned):
                lost.append(without[0])
    lines = code.split("\n")
    for part in sorted(lost, key=lambda part: (part.value.lineno, part.value.col_offset), reverse=True):
        at, start = part.value.lineno - 1, part.value.col_offset
        raw = lines[at].encode()
        lines[at] = (raw[:start] + b"True" + raw[start + len("False") :]).decode()
    return "\n".join(lines)


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _grouped(value: ast.expr, assigned: dict[str, ast.expr], depth: int = 0) -> bool:
    """Whether an expression is a table whose index holds the groups it was calculated for."""
    if isinstance(value, ast.Name):
        return depth < 5 and value.id in assigned and _grouped(assigned[value.id], assigned, depth + 1)  # noqa: PLR2004
    calls: list[str] = []
    while True:
        if isinstance(value, ast.Call):
            if any(part.arg == "as_index" and _is_false(part.value) for part in value.keywords):
                return False
            if isinstance(value.func, ast.Attribute):
                calls.append(value.func.attr)
            value = value.func
        elif isinstance(value, ast.Attribute | ast.Subscript):
            value = value.value
        else:
            break
    if not _GROUPING.intersection(calls):
        return isinstance(value, ast.Name) and not calls and _grouped(value, assigned, depth + 1)
    outer = [name for name in calls if name not in _HARMLESS]
    return bool(outer) and outer[0] in _AGGREGATING


def asked_files(text: str) -> tuple[str, ...]:
    """The files that a text asks for, in order."""
    return tuple(dict.fromkeys(ASKED_FILE.findall(text)))


def has_numbers(text: str, question: str) -> bool:
    """Whether an answer tells numbers that the question does not, or a table."""
    known = set(re.findall(r"\d[\d.,]*", question))
    told = {number.strip(".,") for number in re.findall(r"\d[\d.,]*", re.sub(r"(?m)^\s*\d+[.)]\s", "", text))}
    return bool(told - {number.strip(".,") for number in known}) or re.search(r"(?m)^\s*\|.*\|", text) is not None
