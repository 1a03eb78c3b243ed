"""Real-time collaboration: the server saves the notebook from the shared document, and dead widgets stay out of it.
Run once with `jupyter-collaboration` installed and once with `jupyter-server-documents`: they exclude each other."""

import importlib.util
import threading
import time

import nbformat
import pytest

from browser.test_lab_reopened import BROKEN, SHOW_A_ROW

ENGINES = ("jupyter_server_ydoc", "jupyter_server_documents")
NEITHER = not any(map(importlib.util.find_spec, ENGINES))
REASON = "pip install jupyter-collaboration, or jupyter-server-documents"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(NEITHER, reason=REASON)]
SAVED_S = 60
# https://github.com/jupyter-ai-contrib/jupyter-server-documents/issues/297: on a first run no widget of any kind is
# drawn there, ours as little as ipywidgets' own.
DRAWS_WIDGETS = importlib.util.find_spec("jupyter_server_documents") is None


def saved_with(path, text):
    """The notebook on disk, once the server has saved it with this text in an output."""
    deadline, pause = time.monotonic() + SAVED_S, threading.Event()
    while time.monotonic() < deadline:
        if f'"{text}' in path.read_text():
            return nbformat.read(path, as_version=4)
        pause.wait(0.2)  # the file's change is no event for another process
    pytest.fail(f"not saved within {SAVED_S} s")


def test_a_row_of_buttons_is_shown_and_not_in_the_notebook_that_the_server_saves(lab, open_in_lab):
    show = "rows.show([file], Path.cwd(), front_end(get_ipython())); print('sh' + 'own')"
    notebook = open_in_lab(lab.write_notebook("shared/shared.ipynb", [SHOW_A_ROW, show]))
    notebook.run_all()
    row = notebook.output(1).get_by_role("group", name="Download files")
    if DRAWS_WIDGETS:
        row.wait_for()
    notebook.command("docmanager:save")
    saved = saved_with(notebook.path, "shown")
    assert [output.output_type for output in saved.cells[1].outputs] == ["stream"]
    assert row.is_visible() or not DRAWS_WIDGETS
    notebook.close()
    again = open_in_lab(notebook.path)
    again.output(1).get_by_text("shown").wait_for()
    assert again.page.get_by_text(BROKEN).count() == 0
