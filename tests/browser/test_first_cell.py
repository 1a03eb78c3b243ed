"""The first notebook in JupyterLab and in Notebook 7: what a stranger sees, and what links and buttons bring down."""

import contextlib
import itertools

import pytest
from playwright.sync_api import expect

from browser.test_outputs import BUSY

pytestmark = pytest.mark.browser
ASKING, LAST = 3, 99
PICTURE, TABLE = "mean_coverage_by_year_arvessa_north.png", "coverage_by_district.csv"


@pytest.fixture(scope="module", params=["lab", pytest.param("notebooks", marks=pytest.mark.slow)])
def application(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(application, lab, open_for_module):
    """The first notebook, its asking cell run while the page is watched; a long cell ends it."""
    path = lab.copy_first_notebook(f"first in {application}", {ASKING + 1: "%assistant code", LAST: BUSY})
    (path.parent / "go").touch()
    opened = open_for_module(path, application=application)
    opened.watch(ASKING)
    opened.run_all()
    return opened


def on_disk(notebook):
    return {name: (notebook.path.parent / "assistant_files" / name).read_bytes() for name in (PICTURE, TABLE)}


def by_links(notebook):
    """What the card's links bring down, by name."""
    links = notebook.output(ASKING).locator("table a[download]")
    return {link.get_attribute("download") or "": notebook.download(link) for link in links.all()}


def by_buttons(notebook):
    row = notebook.output(ASKING).get_by_role("group", name="Download files")
    return {name: notebook.download(row.get_by_role("button", name=f"Download {name}")) for name in (PICTURE, TABLE)}


def test_the_text_grows_while_the_cell_runs(notebook):
    texts = notebook.page.evaluate("window.seenTexts")
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
    assert by_links(notebook) == by_buttons(notebook) == on_disk(notebook)


def test_the_code_becomes_a_cell_below_that_runs_on_the_users_own_file(notebook):
    cells = notebook.save().cells
    inserted = cells[next(place for place, cell in enumerate(cells) if cell.source == "%assistant code") + 1]
    namespace = {}
    with contextlib.chdir(notebook.path.parent):
        exec(inserted.source, namespace)
    assert '"data/' in inserted.source or "'data/" in inserted.source
    assert "/mnt/data" not in inserted.source
    assert len(namespace["data"]) > 0


def test_no_cell_ended_in_an_error_and_no_widget_failed(notebook):
    text = notebook.page.locator(".jp-Notebook").inner_text()
    assert all(word not in text for word in ("Error displaying widget", "Traceback"))
    assert notebook.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


@pytest.mark.slow
def test_links_and_buttons_download_while_the_kernel_is_busy_and_rows_are_paged_after_it(notebook):
    (notebook.path.parent / "go").unlink()
    notebook.start(cell=notebook.page.locator(".jp-Notebook .jp-Cell").count() - 1)
    notebook.wait_for_kernel("busy")
    assert by_links(notebook) == by_buttons(notebook) == on_disk(notebook)
    assert notebook.kernel_status() == "busy"
    (notebook.path.parent / "go").touch()
    notebook.wait_for_kernel("idle")
    notebook.output(ASKING).get_by_role("button", name=f"Sort and page the rows of {TABLE}").click()
    expect(notebook.output(ASKING).get_by_role("table", name=f"Rows of {TABLE}")).to_contain_text("Arvessa North")


@pytest.mark.slow
def test_saved_and_opened_again_without_a_kernel_nothing_is_broken(application, notebook, open_in_lab):
    saved = notebook.save().cells[ASKING].outputs
    notebook.close()
    again = open_in_lab(notebook.path, kernel=False, application=application)
    assert [output.metadata["ipython_assistant"]["output"] for output in saved][:: len(saved) - 1] == ["answer", "card"]
    expect(again.output(ASKING).locator(".jp-RenderedImage img")).to_have_count(1)
    assert by_links(again) == on_disk(notebook)
    assert again.page.get_by_text("Error displaying widget").count() == 0
