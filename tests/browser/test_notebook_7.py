"""The first notebook in Notebook 7: what is seen and what comes down is the same as in JupyterLab."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ASKING, BUSY = 3, -1
NAMES = ("mean_coverage_by_year_arvessa_north.png", "coverage_by_district.csv")
WAITING = """
import time
from pathlib import Path
while not Path("go").exists():
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def notebook(lab, open_for_module):
    """The first notebook run from its first cell to the answer, while the page is watched; a long cell follows."""
    path = lab.copy_first_notebook("notebook 7", WAITING)
    (path.parent / "go").touch()
    opened = open_for_module(path, application="notebooks")
    opened.watch(ASKING)
    opened.run_all()
    return opened


def downloads(notebook):
    """What the card's links bring down, by name."""
    links = notebook.output(ASKING).locator("table a[download]")
    return {link.get_attribute("download") or "": notebook.download(link) for link in links.all()}


def on_disk(notebook):
    return {name: (notebook.path.parent / "assistant_files" / name).read_bytes() for name in NAMES}


def of_the_buttons(notebook):
    row = notebook.output(ASKING).get_by_role("group", name="Download files")
    return {name: notebook.download(row.get_by_role("button", name=f"Download {name}")) for name in NAMES}


def test_the_answer_grows_and_its_links_and_buttons_download_idle_and_busy(notebook):
    texts = notebook.seen_texts()
    picture = notebook.output(ASKING).locator(".jp-RenderedImage img")
    files = on_disk(notebook)

    assert len({len(text) for text in texts}) >= 3, texts
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert downloads(notebook) == of_the_buttons(notebook) == files
    (notebook.path.parent / "go").unlink()
    notebook.start(cell=notebook.page.locator(".jp-Notebook .jp-Cell").count() + BUSY)
    notebook.wait_for_kernel("busy")
    assert downloads(notebook) == of_the_buttons(notebook) == files
    assert notebook.kernel_status() == "busy"
    (notebook.path.parent / "go").touch()
    notebook.wait_for_kernel("idle")
    notebook.output(ASKING).get_by_role("button", name=f"Sort and page the rows of {NAMES[1]}").click()
    expect(notebook.output(ASKING).get_by_role("table", name=f"Rows of {NAMES[1]}")).to_contain_text("Arvessa North")


def test_saved_and_opened_again_without_a_kernel_nothing_is_broken(notebook, open_in_lab):
    saved = notebook.save().cells[ASKING].outputs
    notebook.close()
    again = open_in_lab(notebook.path, kernel=False, application="notebooks")

    assert [output.metadata["ipython_assistant"]["output"] for output in saved][:: len(saved) - 1] == ["answer", "card"]
    expect(again.output(ASKING).locator(".jp-RenderedImage img")).to_have_count(1)
    assert downloads(again) == on_disk(notebook)
    assert again.page.get_by_text("Error displaying widget").count() == 0
