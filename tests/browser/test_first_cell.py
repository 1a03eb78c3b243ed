"""The first notebook in a real JupyterLab: what a stranger sees, and what the links and buttons bring down."""

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


def test_the_text_grows_while_the_cell_runs(notebook):
    texts = notebook.seen_texts()
    lengths = [len(text) for text in texts]

    assert len(set(lengths)) >= 3, texts
    assert any(later > earlier for earlier, later in itertools.pairwise(lengths))
    assert texts[-1].startswith("Read as: line chart")


def test_the_answer_is_shown_once_with_its_picture_its_tables_size_and_its_code_folded(notebook):
    output = notebook.output(ASKING)
    picture, folded = output.locator("img"), output.locator("details")
    picture.wait_for(state="visible")

    assert picture.count() == output.get_by_text("Read as: line chart").count() == 1
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0
    assert "12 rows × 2 columns" in output.inner_text()
    assert folded.get_attribute("open") is None
    folded.locator("summary").click()
    assert f"9 points, saved as {PICTURE}" in folded.inner_text()


def test_links_and_buttons_download_the_files_that_are_on_disk(notebook):
    for name in (PICTURE, TABLE):
        content = (notebook.path.parent / "assistant_files" / name).read_bytes()
        assert notebook.download(notebook.output(ASKING).locator(f"a[download='{name}']").last) == content
        button = notebook.output(ASKING).get_by_role("button", name=f"Download {name}")
        assert notebook.download(button) == content


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
