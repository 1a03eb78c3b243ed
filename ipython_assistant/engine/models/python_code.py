"""Python in a text: where it is, which tables it needs, and what is wrong with it before it runs."""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import Refuse, Run, Say
from ipython_assistant.engine.models.safe_markdown import file_link
from ipython_assistant.engine.models.table_profiles import loading_code

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, Step
    from ipython_assistant.engine.models.table_profiles import TableProfile

ASKED_FILE: Final = re.compile(
    r"(?<![\w/.-])[\w-]+\.(?:csv|tsv|xlsx|jsonl?|parquet|txt|md|html?|png|svg|pdf|jpe?g|webp)\b", re.IGNORECASE
)
"""A file that a text names."""
PYTHON: Final = frozenset({"python", "py", "python3", "ipython"})
"""First words after an opening fence that mean Python."""

_BLOCK: Final = re.compile(
    r"^[ \t]*(`{3,})[ \t]*([^\s`]*)(?:[ \t][^`\n]*)?\n(.*?)(?:^[ \t]*\1`*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_NUMBER: Final = re.compile(r"\d[\d.,]*")
_WRITERS: Final = frozenset({"to_csv", "to_excel"})
_GROUPED: Final = re.compile(r"\b(groupby|pivot_table|pivot|value_counts|resample|crosstab)\(")
_UNGROUPED: Final = re.compile(r"\b(reset_index|head|tail|nth|transform|filter|apply)\(|as_index=False")


class Script:
    """Answers a prompt that holds Python in a fenced block by running it as it is given; no model is used."""

    name = "script"

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:  # noqa: ARG002
        """Run the code and link what it made."""
        code = fenced(ask.prompt)
        if code is None:
            yield Refuse("There is no Python in the prompt. Put it between ```` ```python ```` and ```` ``` ````.")
            return
        yield Say("Running the code as given.")
        yield (run := Run(code))
        outcome, told = run.outcome, []
        if outcome.error is not None:
            told.append(f"The code stopped with {outcome.error.rstrip('.')}. Its log is shown with the code.")
        if outcome.files:
            told.append("Files:\n\n" + "\n".join(f"- {file_link(name)}" for name in outcome.files))
        if outcome.figures:
            told.append("It showed one figure." if outcome.figures == 1 else f"It showed {outcome.figures} figures.")
        yield Say("\n\n".join(told) or "It ran to its end and made no files.")


def fenced(prompt: str) -> str | None:
    """The Python in a prompt's fenced blocks, joined in order; None where the prompt has no such block.

    A block counts if its fence names Python or nothing.
    """
    blocks = [code.rstrip("\n") for _, language, code in _blocks(prompt) if language in PYTHON | {""}]
    code = "\n\n".join(blocks).strip("\n")
    return code if code.strip() else None


def split(text: str) -> tuple[str, str]:
    """The prose before the first block of Python in a text, and the code of that block; without one all is prose.

    A block counts if its fence says Python, or says nothing and what is in it is Python. What comes after it is a guess
    at what the code will do, and is left out.
    """
    for start, language, code in _blocks(text):
        if language in PYTHON or (not language and is_python(code)):
            return text[:start].strip(), code.strip("\n") + "\n"
    return text.strip(), ""


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Where each fenced block begins, its language, and what is in it; one that is never closed goes on to the end."""
    for block in _BLOCK.finditer(text.replace("\r\n", "\n")):
        yield block.start(), block[2].lower(), textwrap.dedent(block[3]) if block[0][0] in " \t" else block[3]


def is_python(code: str) -> bool:
    """Whether this is Python that does something: a lone name or number is not."""
    tree = _parsed(code)
    idle = (ast.Name, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute)
    return tree is not None and any(not (isinstance(s, ast.Expr) and isinstance(s.value, idle)) for s in tree.body)


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def frame_names(tables: Sequence[TableProfile]) -> dict[str, str]:
    """The variable for each table, by the table's name: the file's, as far as Python allows."""
    names: dict[str, str] = {}
    for table in tables:
        name = re.sub(r"\W+", "_", table.stem).strip("_").lower()
        if not name.isidentifier() or keyword.iskeyword(name) or name in {"pd", "np", "plt", "json"}:
            name = f"table_{name}".rstrip("_")
        numbered = (name, *(f"{name}_{number}" for number in range(2, len(tables) + 2)))
        names[table.name] = next(one for one in numbered if one not in names.values())
    return names


def loading(code: str, tables: Iterable[TableProfile], frames: Mapping[str, str], loaded: Collection[str]) -> str:
    """The lines that load the tables which code uses; empty where the variables for all of them are loaded."""
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", code)) - set(loaded)
    parts = [
        loading_code(table, frames[table.name]) for table in tables if frames[table.name] in used and not table.problem
    ]
    lines = "\n\n".join(parts)
    needs = {"json.": "import json", "Path(": "from pathlib import Path", "pd.": "import pandas as pd"}
    return "\n".join([*(line for name, line in needs.items() if name in lines), "", lines, "", ""]) if parts else ""


def with_labels(code: str) -> str:
    """The code, where a grouped table is written without its index, which holds the labels: written with it.

    The mistake that small models make most: `df.groupby("a")["b"].mean().to_csv("x.csv", index=False)`.
    """
    tree = _parsed(code)
    nodes = list(ast.walk(tree)) if tree is not None else []
    assigned = {ast.unparse(one.targets[0]): ast.unparse(one.value) for one in nodes if isinstance(one, ast.Assign)}
    lost = []
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITERS:
            made = last = ast.unparse(node.func.value)
            left = dict(assigned)
            while last := left.pop(last.partition(".")[0].partition("[")[0], ""):
                made += f" from {last}"
            if _GROUPED.search(made) and not _UNGROUPED.search(made):
                lost += [part.value for part in node.keywords if ast.unparse(part) == "index=False"]
    lines = code.split("\n")
    for value in sorted(lost, key=lambda value: (value.lineno, value.col_offset), reverse=True):
        raw, start = lines[value.lineno - 1].encode(), value.col_offset  # in bytes, not in characters
        lines[value.lineno - 1] = (raw[:start] + b"True" + raw[start + len("False") :]).decode()
    return "\n".join(lines)


def asked_files(text: str) -> tuple[str, ...]:
    """The files that a text asks for, in order."""
    return tuple(dict.fromkeys(ASKED_FILE.findall(text)))


def has_numbers(text: str, question: str) -> bool:
    """Whether an answer tells numbers that the question does not, or a table."""
    listless = re.sub(r"(?m)^\s*\d+[.)]\s", "", text)
    known, told = ({number.strip(".,") for number in _NUMBER.findall(one)} for one in (question, listless))
    return bool(told - known) or re.search(r"(?m)^\s*\|.*\|", text) is not None
