"""What we show, to people who do not see it or use no mouse: checked with axe-core in both themes, and by keyboard."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from test_outputs import FILES, SETUP, SHOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Lab, Notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = "axe-core@4"
MORE = """
ran = CodeCall("ci", "c", "x = 1", "completed", ("1\\n",)), CodeCall("ci", "c", "y", "failed", ("no\\n",))
publish(steps.work(ran))
wide = "| " + " | ".join("column" for _ in range(60)) + " |\\n" + "|---" * 60 + "|\\n"
publish(outputs.answer(f"| a | b |\\n|---|---|\\n| 1 | 2 |\\n\\n`code`\\n\\n{wide}", {}))
publish(previews.caption(picture, "smaller"))
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker's script, from the npm registry."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("npm is not installed, so axe-core cannot be fetched")
    fetched = subprocess.run([npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"axe-core cannot be fetched: {fetched.stderr.strip()[:200]}")
    with tarfile.open(folder / fetched.stdout.strip()) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.fixture(scope="module")
def shown(lab: Lab, open_for_module: Callable[[Path], Notebook]) -> Notebook:
    notebook = open_for_module(lab.write_notebook("accessible/shown.ipynb", [SETUP + FILES + SHOW + MORE]))
    notebook.run_all()
    notebook.output(0).get_by_role("group", name="Download files").wait_for()
    return notebook


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_in_what_we_show(shown: Notebook, axe: str, theme: str) -> None:
    shown.theme(theme)
    shown.page.evaluate(axe)
    found = shown.page.evaluate(
        "async () => (await axe.run('.jp-OutputArea-output', {resultTypes: ['violations']})).violations"
        ".flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`))"
    )

    assert found == []


def test_links_and_buttons_are_reached_and_used_with_the_keyboard(shown: Notebook) -> None:
    output, page = shown.output(0), shown.page
    on_disk = (shown.path.parent / "assistant_files" / "a chart.png").read_bytes()
    for control in (
        output.locator("a[download='a chart.png']").last,
        output.get_by_role("button", name="Download a chart.png"),
    ):
        control.focus()
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.path().read_bytes() == on_disk
    output.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert output.locator("details").first.get_attribute("open") is None
