"""The labextension: `%%assistant` cells look like the prose they are, and nothing of it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Lab, Notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROMPT = "%%assistant\ndon't **import** anything"
CELLS = [PROMPT, "import os", "%%assistants\nimport os", "# %%assistant\nimport os"]
MARKDOWN, PYTHON = "text/x-ipythongfm", "text/x-ipython"


def wait_for(notebook: Notebook, mime_types: list[str]) -> None:
    """Wait until the cells are of these types."""
    cells = "window.jupyterapp.shell.currentWidget.content.widgets"
    notebook.page.wait_for_function(
        f"wanted => {cells}.map(cell => cell.model.mimeType).join() === wanted", arg=",".join(mime_types)
    )


def test_a_prompt_is_shown_as_markdown_and_other_cells_as_ever(
    lab: Lab, open_in_lab: Callable[[Path], Notebook]
) -> None:
    notebook = open_in_lab(lab.write_notebook("prompts/prompts.ipynb", CELLS))
    editor = notebook.page.locator(".jp-Notebook .jp-Cell").nth(0).locator(".cm-content")

    expect(editor.locator(".cm-line").nth(1).locator("span", has_text="import").last).to_have_css("font-weight", "700")
    wait_for(notebook, [MARKDOWN, PYTHON, PYTHON, PYTHON])


def test_it_follows_what_is_written_and_saves_nothing(lab: Lab, open_in_lab: Callable[[Path], Notebook]) -> None:
    notebook = open_in_lab(lab.write_notebook("prompts/edited.ipynb", CELLS))
    write = "([cell, text]) => window.jupyterapp.shell.currentWidget.model.cells.get(cell).sharedModel.setSource(text)"
    for cell, text in [(0, "import os"), (1, PROMPT)]:
        notebook.page.evaluate(write, [cell, text])
    wait_for(notebook, [PYTHON, MARKDOWN, PYTHON, PYTHON])

    notebook.command("notebook:insert-cell-above")
    notebook.page.evaluate(write, [0, PROMPT])
    wait_for(notebook, [MARKDOWN, PYTHON, MARKDOWN, PYTHON, PYTHON])
    notebook.restart()
    wait_for(notebook, [MARKDOWN, PYTHON, MARKDOWN, PYTHON, PYTHON])

    saved = notebook.save()
    assert [cell.source for cell in saved.cells] == [PROMPT, "import os", PROMPT, *CELLS[2:]]
    assert "ipythongfm" not in notebook.path.read_text()
