"""The code of an answer as a cell of the notebook, with where each of its inputs is to be found there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipython_assistant.core.codecell import InputSource, code_cell, names_in
from ipython_assistant.core.conversation import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ipython_assistant.core.conversation import Step, Upload


def cell_of(step: Step, namespace: Mapping[str, Any], notebook_dir: Path) -> str:
    """The code of a turn as the text of one cell; empty where it ran none. See `core.codecell.code_cell`.

    Args:
        step: The turn, in its conversation.
        namespace: The user's variables.
        notebook_dir: Where the cell will run.
    """
    *earlier, _ = line = line_of(step)
    uploads = {upload.name: upload for past in line for upload in past.uploads}
    made = {artifact.own_name: artifact for past in earlier for artifact in past.artifacts}
    code = "\n".join(call.code for past in line for call in past.turn.calls)
    sources = [source for upload in uploads.values() for source in _sources(upload, code, namespace, notebook_dir)]
    sources += [InputSource(name, artifact.href) for name, artifact in made.items() if name not in uploads]
    return code_cell(
        step.turn.calls,
        sources,
        outputs=[artifact.own_name for artifact in step.artifacts],
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
