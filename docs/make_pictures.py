"""The documentation's pictures: real screenshots of a real JupyterLab, which needs Chromium.

`first_cell` and `first_cell_dark`: the first notebook, by the embedded engine. `files` and `files_dark`: the list of
its files and the buttons. `running`: a cell at work. `large_picture`: a thumbnail and its link. `missing_file`: an
answer of which one file could not be had, by a service that is played from a script.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).parent.parent
PICTURES = CHECKOUT / "docs" / "pictures"
sys.path[:0] = [str(CHECKOUT / "tests")]

from browser import harness  # noqa: E402 it lies beside the browser tests
from PIL import Image  # noqa: E402 as above
from playwright.sync_api import expect, sync_playwright  # noqa: E402 as above
from tests_support import events as wire  # noqa: E402 as above
from tests_support.scripted import ScriptedService  # noqa: E402 as above

if TYPE_CHECKING:
    from collections.abc import Callable

    from browser.harness import Lab, Notebook
    from playwright.sync_api import Locator

ASKING_CELL = 3
WIDTH, HEIGHT = 1000, 1500
MARGIN = 3
"""Pixels above and below a part of the page that a picture is taken of."""
LARGEST_BYTES = 150_000
THEMES = (("JupyterLab Light", ""), ("JupyterLab Dark", "_dark"))

LOAD = "%load_ext ipython_assistant"
LARGE = """%%assistant
Draw the grid in print quality:
```python
import matplotlib.pyplot as plt
import numpy as np

x, y = np.meshgrid(np.linspace(-3, 3, 1200), np.linspace(-2, 2, 800))
rain = np.exp(-(x**2) - y**2) + np.random.default_rng(1).normal(0, 0.01, x.shape)
fig, ax = plt.subplots(figsize=(9, 5), layout="constrained")
fig.colorbar(ax.pcolormesh(x, y, rain, cmap="viridis"), label="Rainfall")
fig.savefig("rainfall.png", dpi=600)
plt.close(fig)
```"""
RUNNING = """%%assistant
```python
import time
for district in ("Arvessa North", "Arvessa South", "Belkoru"):
    print(district, flush=True)
    time.sleep(2)
```"""
MISSING = """%%assistant
Save the mean per district, and draw it as a map"""


def main() -> int:
    """Make them all."""
    chromium = harness.find_chromium()
    if chromium is None:
        print("There is no Chromium: install it, or name its program in CHROMIUM.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as home,
        harness.running_lab(Path(home)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=harness.CHROMIUM_ARGUMENTS, headless=True)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5)
        context.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        with harness.opened_notebooks(lab, context) as open_notebook:
            first_cell(lab, open_notebook)
            local(lab, open_notebook)
            missing_file(lab, open_notebook)
        browser.close()
    large = [path.name for path in sorted(PICTURES.glob("*.png")) if path.stat().st_size > LARGEST_BYTES]
    if large:
        print(f"Over {LARGEST_BYTES:,} bytes: {', '.join(large)}", file=sys.stderr)
    return 1 if large else 0


def first_cell(lab: Lab, open_notebook: Callable[[Path], Notebook]) -> None:
    """A question, its answer, chart, table, files and buttons."""
    notebook = opened(open_notebook, lab.copy_first_notebook("first"))
    notebook.run_all()
    outputs = notebook.output(ASKING_CELL).locator(".jp-OutputArea-child")
    for theme, suffix in THEMES:
        notebook.theme(theme)
        take(notebook, PICTURES / f"first_cell{suffix}.png", cells(notebook).nth(ASKING_CELL))
        take(notebook, PICTURES / f"files{suffix}.png", outputs.nth(-2), outputs.nth(-1))
        for name in (f"first_cell{suffix}.png", f"files{suffix}.png"):
            make_small(PICTURES / name)
    notebook.theme(THEMES[0][0])


def local(lab: Lab, open_notebook: Callable[[Path], Notebook]) -> None:
    """Code that is given in the question: one run that takes a while, and one that makes a large picture."""
    notebook = opened(open_notebook, lab.write_notebook("local/local.ipynb", [LOAD, RUNNING, LARGE]))
    notebook.start(cell=0)
    notebook.start(cell=1)
    expect(notebook.output(1)).to_contain_text("Running code, 2 s")
    take(notebook, PICTURES / "running.png", cells(notebook).nth(1))
    notebook.wait_for_kernel("idle")
    notebook.start(cell=2)
    expect(notebook.output(2)).to_contain_text("the whole picture", timeout=60_000)
    notebook.wait_for_kernel("idle")
    take(notebook, PICTURES / "large_picture.png", notebook.output(2))
    for name in ("running.png", "large_picture.png"):
        make_small(PICTURES / name)


def missing_file(lab: Lab, open_notebook: Callable[[Path], Notebook]) -> None:
    """An answer that names a file which its container does not give."""
    with ScriptedService() as service:
        service.put("by_district.csv", b"district,mean\nArvessa North,74.6\nBelkoru,81.5\n", "cfile_table")
        text = (
            "The mean per district is in [by_district.csv](sandbox:/mnt/data/by_district.csv), and drawn in"
            " [map.png](sandbox:/mnt/data/map.png)."
        )
        cited = (wire.cite(text, "by_district.csv", "cfile_table"), wire.cite(text, "map.png", "cfile_map"))
        service.will_say([wire.Code("save_means()"), wire.Message(text, cited)])
        key = {"OPENAI_API_KEY": "not-a-key", "OPENAI_BASE_URL": service.url}
        lab.add_kernel("scripted", Path(sys.executable), key)
        notebook = opened(open_notebook, lab.write_notebook("missing/missing.ipynb", [LOAD, MISSING], "scripted"))
        notebook.run_all()
        take(notebook, PICTURES / "missing_file.png", cells(notebook).nth(1))
        make_small(PICTURES / "missing_file.png")


def opened(open_notebook: Callable[[Path], Notebook], path: Path) -> Notebook:
    """The notebook, with the page to itself."""
    notebook = open_notebook(path)
    notebook.command("application:toggle-left-area")
    return notebook


def cells(notebook: Notebook) -> Locator:
    """The cells with their outputs."""
    return notebook.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")


def take(notebook: Notebook, path: Path, first: Locator, last: Locator | None = None) -> None:
    """A picture of the page from one part to another below it, whole however long it is."""
    page, size = notebook.page, notebook.page.viewport_size or {"width": WIDTH, "height": HEIGHT}
    # The active cell has a toolbar of its own.
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    height = sum(cells(notebook).evaluate_all("all => all.map(cell => cell.getBoundingClientRect().height)"))
    page.set_viewport_size({**size, "height": max(size["height"], int(height) + 400)})
    cells(notebook).first.scroll_into_view_if_needed()
    above, below = (part.bounding_box() for part in (first, last or first))
    clip = {"x": above["x"], "y": above["y"] - MARGIN, "width": max(above["width"], below["width"])}
    clip["height"] = below["y"] + below["height"] - above["y"] + 2 * MARGIN
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, clip=clip, animations="disabled")
    page.set_viewport_size(size)


def make_small(path: Path) -> None:
    """Keep 256 colours: a screenshot has hardly more, and takes a third of the room."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
