"""`%assistant report NAME.html`: the recorded questions with their answers, figures and tables, in one file.

It is made of the recordings alone: no model is asked, and nothing is put into the folder of files. It is a notebook,
written as it is or exported by nbconvert.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ipython_assistant.answer import answer_of
from ipython_assistant.config import working_directory
from ipython_assistant.core.artifacts import FailedArtifact, TurnFiles
from ipython_assistant.core.recording import TOOK_PLACE
from ipython_assistant.core.wording import counted, disk_reason, printable, size_in_words
from ipython_assistant.display.grid import overview
from ipython_assistant.errors import OptionError
from ipython_assistant.workspace.recording_store import DamagedFile, reason_of
from ipython_assistant.workspace.safe_dir import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.answer import Answer
    from ipython_assistant.core.recording import Recording
    from ipython_assistant.session import Session
    from ipython_assistant.workspace.recordings import Recordings

_Recorded: TypeAlias = "tuple[Recording, Answer]"
MARK = "ipython_assistant-report"  # in every report: only a report is ever replaced by another
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="{mark}"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }} pre {{ white-space: pre-wrap }} .jp-InputArea pre {{ background: #8881; padding: .6em }}
table {{ border-collapse: collapse }} td, th {{ padding: .15em .6em }}
.jp-Cell {{ margin: 2em 0 }} .prompt, .jp-InputPrompt, .jp-OutputPrompt {{ display: none }}
@media print {{ .jp-InputArea, img, tr {{ break-inside: avoid }} }}
</style></head><body>{body}</body></html>
"""


def write_report(session: Session, words: Sequence[str]) -> None:
    """Write the report to the file that `words` name, and say what is in it. Raises `OptionError`."""
    import nbformat

    path = working_directory() / Path(" ".join(words)).expanduser()
    if len(words) != 1 or path.suffix not in {".html", ".ipynb"}:
        raise OptionError("A report is one .html or .ipynb file.", "Write: %assistant report NAME.html")
    if path.exists() and (not path.is_file() or MARK.encode() not in path.read_bytes()):
        raise OptionError(f"{path} exists, and it is no report.", "Choose another name: nothing is overwritten.")
    recordings = session.recordings(session.settings)
    chosen, said = _recorded(recordings)
    if not chosen:
        if said:
            raise OptionError(f"No recording in {recordings.where} can be read.", said[0])
        raise OptionError(f"Nothing is recorded in {recordings.where}.", "Ask with %%assistant first.")
    notebook = _notebook(path.stem, chosen, recordings)
    text = _page(notebook, path.stem) if path.suffix == ".html" else nbformat.writes(notebook)
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {disk_reason(error)}.", "Choose another name.") from error
    said.insert(0, f"Wrote {path}: {counted(len(chosen), 'question')}, {size_in_words(path.stat().st_size)}.")
    said += [f"Missing: {file.name}: {file.reason}" for _, answer in chosen for file in answer.failed]
    print(printable("\n".join(said)))  # noqa: T201 plain text is what was asked for


def _recorded(recordings: Recordings) -> tuple[list[_Recorded], list[str]]:
    """The present turn of each cell with its answer, in the order in which they were asked; and what cannot be read."""
    try:
        summaries, damaged = recordings.store.summaries()
    except OSError as error:
        return [], [f"{recordings.where} cannot be read: {disk_reason(error)}."]
    own = recordings.folder.notebook
    present: dict[str, str] = {}
    for name, one in summaries:
        if one.status in TOOK_PLACE and (not own or one.notebook in {"", own}):
            # Where the front end gives cells no id, only the question tells them apart.
            owner = one.key if re.fullmatch(r"run \d+", one.cell) or not one.cell else one.cell
            present.pop(owner, None)
            present[owner] = name
    found = []
    for name in present.values():
        try:
            found.append(recordings.store.read(name))
        except (OSError, ValueError) as error:  # it was damaged since the summaries were made
            damaged.append(DamagedFile(name, reason_of(error)))
    remarks = [f"The recording {item.name} cannot be read: {item.reason}." for item in damaged]
    return [(recording, _answer(recording, recordings)) for recording in found], remarks


def _answer(recording: Recording, recordings: Recordings) -> Answer:
    artifacts, failed = [], list(recording.missing)
    for file in recording.files:
        if (path := recordings.path_of(file)) is not None:
            artifacts.append(replace(recordings.folder.artifact(file.name, file), path=path))
        else:
            failed.append(FailedArtifact(file.name, "It was changed or removed, and is not among the recordings."))
    repeated = frozenset(file.name for file in recording.files if file.repeated)
    files = TurnFiles(tuple(artifacts), tuple(failed), recording.notes, repeated)
    return answer_of(recording.prompt, recording.turn, files, missing="it is missing")


def _notebook(title: str, chosen: Sequence[_Recorded], recordings: Recordings) -> Any:
    from nbformat import v4

    notebook = v4.new_notebook(metadata={MARK: {"recordings": recordings.where}})
    heading = re.sub(r"[^\w .,-]", " ", title)
    notebook.cells.append(v4.new_markdown_cell(f"# {heading}", id="title"))
    how = {"cited": "linked by the answer", "listed": "made by the code", "figure": "shown by the code"}
    for number, (recording, answer) in enumerate(chosen, start=1):
        said = [f"Asked {recording.began[:10]} of {recording.model} ({recording.service}); {recording.status}."]
        said += [f"Sent: {it.name}, {it.description or 'a file'}, SHA-256 {it.sha256[:16]}." for it in recording.inputs]
        rows = [(it.name, size_in_words(it.size), how[it.found], it.sha256[:16]) for it in answer.artifacts]
        sources = overview(("file", "size", "where it came from", "SHA-256 begins"), rows, said, (1,))
        named = "".join(f" -i {item.name}" for item in recording.inputs)
        cell = v4.new_code_cell(f"%%assistant{named}\n{recording.prompt}", id=f"question-{number}")
        bundles = [answer.text_output(), *answer.outputs(), sources]
        cell.outputs = [v4.new_output("display_data", data=it.data, metadata=it.metadata) for it in bundles]
        notebook.cells.append(cell)
    return notebook


def _page(notebook: Any, title: str) -> str:
    try:
        from nbconvert import HTMLExporter
    except ImportError as error:
        raise OptionError("nbconvert is not installed here.", "Run: pip install nbconvert, or write .ipynb.") from error
    # The template without a page: the others fetch scripts from elsewhere.
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)  # type: ignore[no-untyped-call] # nbconvert's own
    return PAGE.format(mark=MARK, title=html.escape(title), body=body)
