"""The code of an answer → one cell that runs in the notebook's own kernel, on the notebook's own files.

In the container every input lies in `/mnt/data` under its own name, which is the working directory too. In the notebook
it is somewhere else, or it is a variable. So string literals that name a file of the container become the path it has
here; nothing else of the code changes. The literals are found in the parsed code: a name in a comment, or in a longer
text, is none. A path that is put together while the code runs cannot be known here; that there is one is said.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.conversation import ancestors
from ipython_assistant.core.naming import folded, numbered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.conversation import PlacedTurn, Upload
    from ipython_assistant.core.turn import CodeCall

HOME = "/mnt/data"
"""The working directory in a container (https://platform.openai.com/docs/guides/tools-code-interpreter)."""

_READ_FIRST = "# The answer's code. Here it runs in this notebook's kernel, on your files: read it before you run it."
_PUT_TOGETHER = f"# Look for {HOME} below: a path that is put together, or part of a longer text, was left as it was."

# Of the second one not every Python has the class.
_PUT_TOGETHER_TEXTS = frozenset({"JoinedStr", "TemplateStr"})


@dataclass(frozen=True, slots=True)
class InputSource:
    """Where an input of the code is to be found outside the container.

    Attributes:
        name: Its name in the container, below `/mnt/data`.
        path: The file as code in the notebook names it, with forward slashes; for a variable the file it may be written
            to, such as `cases.csv`.
        variable: The DataFrame's name where the input came from a variable.
        index: Whether its index was written too.
    """

    name: str
    path: str
    variable: str = ""
    index: bool = False


def code_cell(
    calls: Sequence[CodeCall],
    inputs: Iterable[InputSource] = (),
    *,
    outputs: Collection[str] = (),
    taken: Collection[str] = (),
    earlier: Sequence[CodeCall] = (),
    earlier_outputs: Collection[str] = (),
) -> str:
    """The code as the text of one notebook cell; empty where there is none.

    What it writes goes beside the notebook, never over what is there: such a file is given another name, and an input
    that the code writes to as well is copied first.

    Args:
        calls: The answer's code calls, in order. A step that raised is put into a `try`, since the next one went on
            from where it stopped.
        inputs: Every file that was in the container.
        outputs: Own names of the files the code made.
        taken: Names that exist beside the notebook.
        earlier: The calls of earlier answers in the same container. They are taken in, all of them, where this code
            uses a name that only they define.
        earlier_outputs: Own names of the files those made; they are inputs of this code as well.
    """
    steps = [_Step.of(call) for call in calls if call.code.strip()]
    if not steps:
        return ""
    before = [_Step.of(call) for call in earlier if call.code.strip()]
    if _needed(steps) & {name for step in before for name in step.binds}:
        steps, outputs = [*before, *steps], {*outputs, *earlier_outputs}
    code = "\n".join(step.code for step in steps)
    first, names = _made_ready([source for source in inputs if source.name in code], outputs, taken)
    bodies = [step.body(names) for step in steps]
    remarks = [_READ_FIRST, *([_PUT_TOGETHER] if any(step.still_names_home(names) for step in steps) else [])]
    return "\n\n".join(["\n".join([*remarks, *first]), *bodies])


def _made_ready(
    inputs: Sequence[InputSource], outputs: Collection[str], taken: Collection[str]
) -> tuple[list[str], dict[str, str]]:
    """The first lines of the cell, and what each name in the container is in the notebook."""
    in_the_way = {folded(name) for name in taken}
    lines: list[str] = []
    names: dict[str, str] = {}

    def free(name: str) -> str:
        found = next(candidate for candidate in numbered(name) if folded(candidate) not in in_the_way)
        in_the_way.add(folded(found))
        return found

    for source in inputs:
        names[source.name] = source.path
        if source.variable:
            names[source.name] = free(source.path)
            index = "" if source.index else ", index=False"
            lines.append(f"{source.variable}.to_csv({names[source.name]!r}{index})")
        elif source.name in outputs:
            names[source.name] = free(source.name)
            copy = f"shutil.copyfile({source.path!r}, {names[source.name]!r})"
            lines += ["import shutil", f"{copy}  # the code writes to this file too"]
    return list(dict.fromkeys(lines)), {name: free(name) for name in outputs if name not in names} | names


@dataclass(frozen=True, slots=True)
class _Step:
    """A code call with its code parsed; `tree` is None where it is not plain Python."""

    code: str
    raised: bool
    tree: ast.Module | None

    @classmethod
    def of(cls, call: CodeCall) -> _Step:
        # What the parser takes for the end of a line.
        code = call.code.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        # A hosted service calls a call completed though its code raised; then its logs tell.
        raised = call.status == "failed" or "Traceback (most recent call last)" in call.logs
        return cls(code, raised, _parsed(code))

    @property
    def binds(self) -> set[str]:
        """The names it defines at its top level, and some more."""
        return _bound(self.tree) if self.tree is not None else set()

    def body(self, names: Mapping[str, str]) -> str:
        """The step as it stands in the cell."""
        if self.tree is None and self.raised:
            return "\n".join(["# Python did not understand this step:", *(f"# {line}" for line in self._lines())])
        if self.tree is None:
            return f"# The next lines are not plain Python; their paths were left as they were.\n{self.code}"
        code = _with_names(self.code, self.tree, names)
        return _tried(code) if self.raised else code

    def still_names_home(self, names: Mapping[str, str]) -> bool:
        """Whether the container's directory is still named by a literal, or by a part of one, after `body`."""
        if self.tree is None:
            return HOME in self.code and not self.raised
        replaced = {id(literal) for literal in _literals(self.tree) if _renamed(literal.value, names) is not None}
        return any(
            HOME in str(node.value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in replaced
        )

    def _lines(self) -> list[str]:
        return self.code.split("\n")


def _parsed(code: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the model's escapes, which are no business of this cell
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


# --- names of files ---------------------------------------------------------------------------------------------------


def _with_names(code: str, tree: ast.Module, names: Mapping[str, str]) -> str:
    """The code, each literal that names a file of the container naming the one here."""
    written = code.encode()
    starts = [0]
    for line in written.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    for literal in sorted(_literals(tree), key=lambda node: (node.lineno, node.col_offset), reverse=True):
        renamed = _renamed(literal.value, names)
        if renamed is None or literal.end_lineno is None or literal.end_col_offset is None:
            continue
        start = starts[literal.lineno - 1] + literal.col_offset
        end = starts[literal.end_lineno - 1] + literal.end_col_offset
        written = written[:start] + _quoted(renamed, written[end - 1 : end].decode()).encode() + written[end:]
    return written.decode()


def _literals(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every string literal that stands for itself: not the parts of an f-string."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        elif type(node).__name__ not in _PUT_TOGETHER_TEXTS:
            waiting.extend(ast.iter_child_nodes(node))


def _renamed(text: object, names: Mapping[str, str]) -> str | None:
    """What a literal that names a file of the container becomes; None where it names none."""
    if not isinstance(text, str):
        return None
    if text == HOME:
        return "."
    if text.startswith(f"{HOME}/"):
        inside = text.removeprefix(HOME).lstrip("/")
        return names.get(inside, inside) or "./"
    name = text.removeprefix("./")
    # A word without a suffix may as well be the name of a column.
    return names[name] if "." in name and names.get(name, text) != text else None


def _quoted(text: str, quote: str) -> str:
    """As a literal, in the quotes it had where that is possible."""
    written = repr(text)
    plain = written[0] == "'" and "\\" not in written and '"' not in written
    return f'"{written[1:-1]}"' if plain and quote == '"' else written


# --- steps that raised, and names of variables ------------------------------------------------------------------------


def _tried(code: str) -> str:
    """The code in a `try`, and what it raises printed: so the notebook goes on from the same place as the container."""
    tree = _parsed(code)
    inside_text = {
        line
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, ast.expr) and (isinstance(node, ast.Constant) or type(node).__name__ in _PUT_TOGETHER_TEXTS)
        for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }
    lines = [
        line if number in inside_text or not line else f"    {line}"
        for number, line in enumerate(code.split("\n"), start=1)
    ]
    opening = "try:  # this step ended in an error when it was asked; the next one goes on from there"
    return "\n".join([opening, *lines, "except Exception as error:", '    print(f"{type(error).__name__}: {error}")'])


def _needed(steps: Iterable[_Step]) -> set[str]:
    """The names that the code uses before it defines them."""
    known, needed = set(dir(builtins)), set()
    for step in steps:
        for statement in step.tree.body if step.tree is not None else ():
            # A loop's or a function's own names are no news; but `df = df.dropna()` needs df, and so does `df += 1`.
            own = _bound(statement)
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                own = _bound(statement.value) if statement.value is not None else set()
            if isinstance(statement, ast.AugAssign):
                needed |= _bound(statement.target) - known
            needed |= _read(statement) - own - known
            known |= _bound(statement)
    return needed


def _read(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _bound(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=renamed):
                names.add(renamed or name.partition(".")[0])
            case _:
                pass
    return names


def names_in(code: str, name: str) -> tuple[str, ...]:
    """The names an input has in the code: its own, and those with a prefix that the service put before it.

    >>> names_in("pd.read_csv('/mnt/data/ab12-cases.csv')", "cases.csv")
    ('cases.csv', 'ab12-cases.csv')
    """
    prefixed = re.findall(rf"{re.escape(HOME)}/([^/'\"\s]+[-_]{re.escape(name)})(?=['\"])", code)
    return tuple(dict.fromkeys((name, *prefixed)))


def cell_of(turn: PlacedTurn, namespace: Mapping[str, Any], notebook_dir: Path) -> str:
    """The code of a turn as the text of one cell; empty where it ran none. See `core.codecell.code_cell`.

    Args:
        turn: The turn, in its conversation.
        namespace: The user's variables.
        notebook_dir: Where the cell will run.
    """
    *earlier, _ = line = ancestors(turn)
    uploads = {upload.name: upload for past in line for upload in past.uploads}
    made = {artifact.own_name: artifact for past in earlier for artifact in past.artifacts}
    code = "\n".join(call.code for past in line for call in past.turn.calls)
    sources = [source for upload in uploads.values() for source in _sources(upload, code, namespace, notebook_dir)]
    sources += [InputSource(name, artifact.href) for name, artifact in made.items() if name not in uploads]
    return code_cell(
        turn.turn.calls,
        sources,
        outputs=[artifact.own_name for artifact in turn.artifacts],
        taken=[path.name for path in notebook_dir.iterdir()],
        earlier=[call for past in earlier for call in past.turn.calls],
        earlier_outputs=tuple(made),
    )


def _sources(upload: Upload, code: str, namespace: Mapping[str, Any], notebook_dir: Path) -> Iterator[InputSource]:
    """Where code in the notebook finds an input, under each name the code has for it."""
    value = namespace.get(upload.source)
    for name in names_in(code, upload.name):
        if type(value).__name__ in {"DataFrame", "Series"}:
            index = getattr(value, "index", None)
            plain = type(index).__name__ == "RangeIndex" and getattr(index, "name", None) is None
            yield InputSource(name, upload.name, upload.source, index=not plain)
        else:
            inside = upload.path.is_relative_to(notebook_dir)
            path = upload.path.relative_to(notebook_dir) if inside else upload.path
            yield InputSource(name, path.as_posix())
