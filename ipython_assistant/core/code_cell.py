"""`%assistant code`: the code of an answer as one cell that runs in the notebook's own kernel, on the notebook's files.

In the container every file lies in `/mnt/data`, which is the working directory too. In the notebook it is somewhere
else, or it is a variable. So a quoted text that is the name or path of such a file becomes the path it has here; what
is put together while the code runs cannot be known, and a comment says where to look.
"""

from __future__ import annotations

import re
import textwrap
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

    It begins with the code of the earlier turns of its conversation, whose variables it may need. A file that the code
    writes goes beside the notebook and never over one of those that are there, whose names are `taken`. A DataFrame
    that was sent is written to a file first.
    """
    if not any(call.code.strip() for call in turn.turn.calls):
        return ""
    line, in_the_way = ancestors(turn), {folded(name) for name in taken}
    steps = []
    for call in (call for past in line for call in past.turn.calls if call.code.strip()):
        step = call.code.strip("\n")
        if call.raised:
            # The next one went on from where it stopped.
            step = f"try:\n{textwrap.indent(step, '    ')}\nexcept Exception as error:\n    print(error)"
        steps.append(step)
    code = "\n\n".join(steps)

    def free(name: str) -> str:
        found = next(candidate for candidate in numbered(name) if folded(candidate) not in in_the_way)
        in_the_way.add(folded(found))
        return found

    written = {artifact.own_name for past in line for artifact in past.artifacts}
    first, names = dict[str, None](), dict[str, str]()
    for upload in (upload for past in line for upload in past.uploads):
        value: Any = namespace.get(upload.source)
        path = upload.path
        names[upload.name] = (path.relative_to(notebook_dir) if path.is_relative_to(notebook_dir) else path).as_posix()
        if upload.name in code and type(value).__name__ in {"DataFrame", "Series"} and hasattr(value, "index"):
            names[upload.name] = free(upload.name)
            plain = type(value.index).__name__ == "RangeIndex" and value.index.name is None
            first[f"{upload.source}.to_csv({names[upload.name]!r}{', index=False' if plain else ''})"] = None
        elif upload.name in written and upload.name in code:
            source, names[upload.name] = names[upload.name], free(upload.name)
            copy = f"shutil.copyfile({source!r}, {names[upload.name]!r})  # the code writes to this file too"
            first |= {"import shutil": None, copy: None}
    names |= {name: free(name) for name in sorted(written - names.keys())}
    code = _QUOTED.sub(lambda match: _renamed(match, names), code)
    return "\n".join([READ_FIRST, *([LOOK_FOR] if HOME in code else []), *first, "", code])


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
