"""`%assistant code`: the code of an answer as one cell that runs in the notebook's own kernel, on the notebook's files.

In the container every file lies in `/mnt/data`, which is the working directory too. In the notebook it is somewhere
else, or it is a variable. So a quoted text that is the name or path of such a file becomes the path it has here; what
is put together while the code runs cannot be known, and a comment says where to look.
"""

from __future__ import annotations

import dis
import re
import textwrap
from types import CodeType
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.conversation import ancestors
from ipython_assistant.core.naming import folded, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ipython_assistant.core.conversation import PlacedTurn

HOME = "/mnt/data"
"""The working directory in a container (https://platform.openai.com/docs/guides/tools-code-interpreter)."""
READ_FIRST = "# The answer's code. Here it runs in this notebook's kernel, on your files: read it before you run it."
LOOK_FOR = f"# Look for {HOME} below: a path that is put together was left as it was."
_QUOTED = re.compile(rf"""(?P<quote>['"])(?P<home>{HOME}/?|\./)?(?P<name>[^'"\\\n]*)(?P=quote)""")


def code_cell(turn: PlacedTurn, namespace: Mapping[str, Any], notebook_dir: Path, taken: Iterable[str] = ()) -> str:
    """The code of a turn as the text of one cell, to run in the notebook's directory; empty where it ran none.

    A file that the code writes goes beside the notebook and never over one of those that are there, whose names are
    `taken`. A DataFrame that was sent is written to a file first. Code that needs variables of earlier turns in the
    conversation brings their code along.
    """
    line = ancestors(turn)
    own, before = _code_of([turn]), _code_of(line[:-1])
    if not own:
        return ""
    turns = line if _uses_names_of(before, own) else (turn,)
    code = _code_of(turns)
    in_the_way = {folded(name) for name in taken}

    def free(name: str) -> str:
        found = next(candidate for candidate in numbered(name) if folded(candidate) not in in_the_way)
        in_the_way.add(folded(found))
        return found

    written = {artifact.own_name for past in turns for artifact in past.artifacts}
    paths = {artifact.own_name: artifact.href for past in line[:-1] for artifact in past.artifacts}
    first, names = [], {}
    for upload in (upload for past in line for upload in past.uploads):
        value = namespace.get(upload.source)
        if upload.name in code and type(value).__name__ in {"DataFrame", "Series"}:
            names[upload.name] = free(upload.name)
            index = getattr(value, "index", None)
            plain = type(index).__name__ == "RangeIndex" and getattr(index, "name", None) is None
            first.append(f"{upload.source}.to_csv({names[upload.name]!r}{', index=False' if plain else ''})")
        else:
            inside = upload.path.is_relative_to(notebook_dir)
            paths[upload.name] = (upload.path.relative_to(notebook_dir) if inside else upload.path).as_posix()
    for name, path in paths.items():
        if name in written and name in code:
            names[name] = free(name)
            first += [
                "import shutil",
                f"shutil.copyfile({path!r}, {names[name]!r})  # the code writes to this file too",
            ]
        else:
            names.setdefault(name, path)
    names = {name: free(name) for name in sorted(written - names.keys())} | names
    code = _QUOTED.sub(lambda match: _renamed(match, names), code)
    remarks = [READ_FIRST, *([LOOK_FOR] if HOME in code else [])]
    return "\n".join([*remarks, *dict.fromkeys(first), "", code])


def _renamed(match: re.Match[str], names: Mapping[str, str]) -> str:
    """A quoted text, naming the file here where it names one of the container."""
    quote, home, name = match["quote"], match["home"] or "", match["name"]
    # The service puts a prefix before the names of some uploads.
    known = next((own for own in names if own == name or (home and re.search(rf"[-_]{re.escape(own)}$", name))), None)
    # A word without a suffix may as well be the name of a column.
    if not home.startswith("/") and (known is None or "." not in name):
        return match[0]
    path = names[known] if known is not None else name or "."
    return repr(path) if re.search(r"""['"\\]""", path) else f"{quote}{path}{quote}"


def _code_of(turns: Iterable[PlacedTurn]) -> str:
    """The code of every call. A step that raised is put into a `try`: the next one went on from where it stopped."""
    steps = []
    for call in (call for turn in turns for call in turn.turn.calls if call.code.strip()):
        code = call.code.strip("\n")
        if call.status == "failed":
            code = f"try:\n{textwrap.indent(code, '    ')}\nexcept Exception as error:\n    print(error)"
        steps.append(code)
    return "\n\n".join(steps)


def _uses_names_of(before: str, code: str) -> bool:
    """Whether the code reads a name that only the code before it defines; if it cannot be compiled, it may."""
    try:
        defined, reads = _names(compile(before, "", "exec"))[0], _names(compile(code, "", "exec"))[1]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return bool(before)
    return bool(defined & reads)


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """The names that a module's code defines, and those that it reads before it defines them, if it ever does."""
    defined, reads = set[str](), set[str]()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            defined.add(step.argval)
        elif step.opname in {"LOAD_NAME", "LOAD_GLOBAL"} and step.argval not in defined:
            reads.add(step.argval)
    inner = [_names(constant)[1] for constant in code.co_consts if isinstance(constant, CodeType)]
    return defined, reads.union(*(names - defined for names in inner))
