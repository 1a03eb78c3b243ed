"""What an agent in JupyterLab can do here: the tools that `jupyter-server-mcp` finds by its entry point.

They run in the Jupyter server, whose environment counts, and read no input outside the directory they are given.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant import turn_run
from ipython_assistant.config import AssistantMagics
from ipython_assistant.display.live import FrontEnd
from ipython_assistant.errors import AssistantError, InputError
from ipython_assistant.options import Options
from ipython_assistant.session import Session
from ipython_assistant.workspace.folder import made_files

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = [f"{__name__}:{name}" for name in ("ask_about_data", "files_of_answers")]


async def ask_about_data(question: str, directory: str, inputs: list[str] | None = None) -> dict[str, Any]:
    """Ask for an analysis of data files; code runs, and the files it makes are saved in the directory.

    `directory` is the notebook's, absolute, `inputs` are files below it. Gives the answer's text, status, code and
    saved files, or the error, which says what to do. A question that was asked before is answered from its recording.
    """

    def ask(session: Session) -> dict[str, Any]:
        folder = session.notebook_dir.resolve()
        paths = [(folder / name).resolve() for name in inputs or ()]
        if outside := [path for path in paths if not path.is_relative_to(folder)]:
            raise InputError(f"{outside[0]} is outside the directory.", "Copy it there first.")
        options = Options(inputs=tuple(map(str, paths)))
        asked = turn_run.read(session, options, question, session.next_run(), {}, from_code=True)
        answer = turn_run.answer_question(session, asked, turn_run.Viewer(FrontEnd(), shows=False))
        files = {name: str(file.path) for name, file in answer.files.items()}
        return {"text": answer.text, "status": answer.status, "code": answer.code, "files": files}

    return await _in_session(directory, ask)


async def files_of_answers(directory: str) -> dict[str, Any]:
    """List the recorded questions of a notebook's directory (absolute), and the files of their answers."""

    def look(session: Session) -> dict[str, Any]:
        recorded = session.recordings(session.settings).all()
        made = made_files(session.folder(session.settings))
        files = [
            {"path": it.href, "state": it.state, "question": it.recording.prompt if it.recording else ""} for it in made
        ]
        return {"questions": [it.prompt for it in recorded], "files": files}

    return await _in_session(directory, look)


async def _in_session(directory: str, do: Callable[[Session], dict[str, Any]]) -> dict[str, Any]:
    session = Session(None, AssistantMagics(), Path(directory))
    try:
        return await asyncio.to_thread(do, session)
    except (AssistantError, OSError) as error:
        return {"error": str(error)}
    finally:
        await asyncio.to_thread(session.close)
