"""The editor of an `%%assistant` cell in a real JupyterLab: what Tab offers, and that a prompt is coloured as prose."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETUP = """
import pandas as pd
%load_ext ipython_assistant
cases, cases_by_year, cutoff = pd.DataFrame(), pd.DataFrame(), 3
"""


@pytest.fixture(scope="module")
def notebook(lab, open_for_module):
    path = lab.write_notebook("completion/tab.ipynb", [SETUP, ""])
    (path.parent / "coverage.csv").write_text("a\n1\n")
    opened = open_for_module(path)
    opened.run_all()
    return opened


def press_tab(notebook, text):
    """Write this into the second cell and press Tab at its end. JupyterLab sorts what it shows in its own way."""
    page = notebook.page
    page.keyboard.press("Escape")
    editor = page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)
    page.keyboard.press("Tab")


def shown(notebook):
    return notebook.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item .jp-Completer-match")


def test_tab_offers_options_tables_files_and_variables_and_what_is_chosen_stands_in_the_cell(notebook):
    press_tab(notebook, "%%assistant --m")
    expect(shown(notebook)).to_have_text(["--memory", "--model"])
    press_tab(notebook, "%%assistant -i c")
    expect(shown(notebook)).to_have_text(["cases", "cases_by_year", "coverage.csv"])
    press_tab(notebook, "%%assistant -m ")
    # Where nothing is typed yet JupyterLab adds the cell's own words, below ours.
    expect(shown(notebook).first).to_have_text("gpt-6.1-terra")
    expect(shown(notebook).nth(1)).to_have_text("basic")
    press_tab(notebook, "%%assistant\nNothing above {c")
    expect(shown(notebook)).to_have_text(["cases", "cases_by_year", "cutoff"])
    press_tab(notebook, "%%assistant -i case")
    expect(shown(notebook)).to_have_text(["cases", "cases_by_year"])
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("Enter")
    line = notebook.page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".cm-line").first
    expect(line).to_have_text("%%assistant -i cases_by_year")


PROMPT = "%%assistant\ndon't **import** anything"
CELLS = [PROMPT, "import os", "%%assistants\nimport os", "# %%assistant\nimport os"]
MARKDOWN, PYTHON = "text/x-ipythongfm", "text/x-ipython"


def wait_for(notebook, mime_types):
    """Wait until the cells are of these types."""
    cells = "window.jupyterapp.shell.currentWidget.content.widgets"
    notebook.page.wait_for_function(
        f"wanted => {cells}.map(cell => cell.model.mimeType).join() === wanted", arg=",".join(mime_types)
    )


def test_a_prompt_is_shown_as_markdown_which_follows_what_is_written_and_saves_nothing(lab, open_in_lab):
    notebook = open_in_lab(lab.write_notebook("prompts/prompts.ipynb", CELLS))
    editor = notebook.page.locator(".jp-Notebook .jp-Cell").nth(0).locator(".cm-content")
    expect(editor.locator(".cm-line").nth(1).locator("span", has_text="import").last).to_have_css("font-weight", "700")
    wait_for(notebook, [MARKDOWN, PYTHON, PYTHON, PYTHON])
    write = "([cell, text]) => window.jupyterapp.shell.currentWidget.model.cells.get(cell).sharedModel.setSource(text)"
    for cell, text in [(0, "import os"), (1, PROMPT)]:
        notebook.page.evaluate(write, [cell, text])
    wait_for(notebook, [PYTHON, MARKDOWN, PYTHON, PYTHON])
    notebook.command("notebook:insert-cell-above")
    notebook.page.evaluate(write, [0, PROMPT])
    wait_for(notebook, [MARKDOWN, PYTHON, MARKDOWN, PYTHON, PYTHON])
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    notebook.wait_for_kernel("idle")
    wait_for(notebook, [MARKDOWN, PYTHON, MARKDOWN, PYTHON, PYTHON])
    saved = notebook.save()
    assert [cell.source for cell in saved.cells] == [PROMPT, "import os", PROMPT, *CELLS[2:]]
    assert "ipythongfm" not in notebook.path.read_text()
