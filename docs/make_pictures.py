"""The documentation's pictures: real screenshots of a real JupyterLab, which needs Chromium."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
PICTURES = CHECKOUT / "docs" / "pictures"
sys.path.insert(0, str(CHECKOUT / "tests" / "browser"))

import harness  # noqa: E402 it lies beside the browser tests
from playwright.sync_api import sync_playwright  # noqa: E402 as above

ASKING_CELL = 3
WIDTH, HEIGHT = 1000, 1500


def main() -> int:
    """Run the first notebook in JupyterLab and take its picture, light and dark."""
    chromium = harness.find_chromium()
    if chromium is None:
        print("There is no Chromium: install it, or name its program in CHROMIUM.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as home,
        harness.running_lab(Path(home)) as lab,
        sync_playwright() as playwright,
    ):
        shutil.copytree(CHECKOUT / "notebooks", lab.root, dirs_exist_ok=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=harness.CHROMIUM_ARGUMENTS, headless=True)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5)
        context.set_default_timeout(60_000)
        with harness.opened_notebooks(lab, context) as open_notebook:
            notebook = open_notebook(lab.root / "01_first_cell.ipynb")
            notebook.command("application:toggle-left-area")
            notebook.command("notebook:clear-all-cell-outputs")
            notebook.run_all()
            for theme, suffix in (("Light", ""), ("Dark", "_dark")):
                notebook.theme(f"JupyterLab {theme}")
                notebook.screenshot(PICTURES / f"first_cell{suffix}.png", ASKING_CELL, ASKING_CELL)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
