"""The first notebook in a real JupyterLab: what a stranger sees, and what the links and buttons bring down."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

pytestmark = pytest.mark.browser
ASKING = 3
PICTURE, TABLE = "mean_coverage_by_year_arvessa_north.png", "coverage_by_district.csv"


@pytest.fixture(scope="module")
def notebook(lab, open_for_module):
    """The first notebook, its asking cell run while the page is watched."""
    path = lab.copy_first_notebook("first")
    copied = nbformat.read(path, as_version=4)
    copied.cells.insert(ASKING + 1, new_code_cell("%assistant code"))
    nbformat.write(copied, path)
    opened = open_for_module(path)
    opened.watch(ASKING)
    opened.run_all()
    return opened


@pytest.fixture(scope="module")
def saved(notebook):
    return {path.name: path for path in (notebook.path.parent / "assistant_files").iterdir() if path.is_file()}


def test_the_text_grows_while_the_cell_runs(notebook):
    texts = notebook.seen_texts()
    lengths = [len(text) for text in texts]

    assert len(set(lengths)) >= 3, texts
    assert any(later > earlier for earlier, later in itertools.pairwise(lengths))
    assert texts[-1].startswith("Read as: line chart")


def test_the_files_are_on_disk(saved):
    assert {PICTURE, TABLE} <= set(saved)


def test_the_picture_is_visible(notebook):
    picture = notebook.output(ASKING).locator("img")
    picture.wait_for(state="visible")

    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0


def test_the_code_is_folded_and_its_logs_are_inside(notebook):
    folded = notebook.output(ASKING).locator("details")

    assert folded.get_attribute("open") is None
    folded.locator("summary").click()
    assert f"9 points, saved as {PICTURE}" in folded.inner_text()


def test_the_tables_head_has_its_true_size(notebook):
    assert "12 rows × 2 columns" in notebook.output(ASKING).inner_text()


@pytest.mark.parametrize("name", [PICTURE, TABLE])
def test_a_link_downloads_the_file_that_is_on_disk(notebook, saved, name):
    link = notebook.output(ASKING).locator(f"a[download='{name}']").last

    assert notebook.download(link) == saved[name].read_bytes()


@pytest.mark.parametrize("name", [PICTURE, TABLE])
def test_a_button_downloads_the_file_that_is_on_disk(notebook, saved, name):
    button = notebook.output(ASKING).locator("button", has_text=name)

    assert notebook.download(button) == saved[name].read_bytes()


def test_the_code_becomes_a_cell_below_that_runs_on_the_users_own_file(notebook):
    cells = notebook.save().cells
    inserted = cells[next(place for place, cell in enumerate(cells) if cell.source == "%assistant code") + 1]
    namespace = {}
    here = Path.cwd()
    os.chdir(notebook.path.parent)
    try:
        exec(inserted.source, namespace)
    finally:
        os.chdir(here)

    assert '"data/' in inserted.source or "'data/" in inserted.source
    assert "/mnt/data" not in inserted.source
    assert len(namespace["data"]) > 0


def test_no_cell_ended_in_an_error_and_no_widget_failed(notebook):
    text = notebook.page.locator(".jp-Notebook").inner_text()

    assert "Error displaying widget" not in text
    assert "Traceback" not in text
    assert notebook.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


def test_the_value_of_the_cell_is_shown_once(notebook):
    assert notebook.output(ASKING).locator("img").count() == 1
    assert notebook.output(ASKING).get_by_text("Read as: line chart").count() == 1
