"""What we show, in a real JupyterLab: pictures appear, links and buttons download, hostile text does nothing.
The notebooks here call the display functions themselves, on files they wrote; no service is asked."""

import io
import zipfile

import psutil
import pytest
from playwright.sync_api import expect

from browser.harness import CHECKOUT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE_NAME = "\"><img src=x onerror=window.ran=1>' $x$ 100%.csv"

SETUP = f"""
import io, os, sys
from pathlib import Path
from PIL import Image
from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.links import hrefs
from ipython_assistant.core.turn import CodeCall
from ipython_assistant.display import outputs, previews
from ipython_assistant.display.previews import card
from ipython_assistant.display.buttons import DownloadRow, view
from ipython_assistant.display.live import FrontEnd, LiveOutput, front_end, publish
from ipython_assistant.workspace.tables import read_head
sys.path.append({str(CHECKOUT / "tests")!r})
from tests_support import files as on_disk

def write(name, content):
    return on_disk.write(Path("assistant_files").resolve() / name, content)
"""
FILES = f"""
Image.new("RGB", (120, 60), "teal").save(drawn := io.BytesIO(), "PNG")
picture = write("a chart.png", drawn.getvalue())
table = write({HOSTILE_NAME!r}, b"district,mean\\n" + b"North,1.5\\n" * 1234)
large = write("large.bin", os.urandom(5_000_000))
files = [picture, table, large]
Path("pid").write_text(str(os.getpid()))
"""
SHOW = """
text = "Rose to $5, then $7. See [the chart](assistant_files/a%20chart.png)."
publish(outputs.answer(text, hrefs(files)))
publish(previews.picture(picture, picture.path.read_bytes()))
publish(previews.table(table, read_head(table.path, "text/csv")))
publish(card(files))
publish(view(DownloadRow(files, Path.cwd()), FrontEnd()))
"""
NOTE_TEXTS = """
element => {
    window.noted = [];
    const note = () => { if (element.textContent) window.noted.push(element.textContent); };
    new MutationObserver(note).observe(element, {childList: true});
}
"""
BUSY = """
import time
from pathlib import Path
while not Path("go").exists():
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def shown(lab, open_for_module):
    """A notebook in a folder with a space, its outputs shown, and a cell that keeps the kernel busy until told."""
    path = lab.write_notebook("some folder/shown.ipynb", [SETUP + FILES + SHOW, BUSY])
    (path.parent / "go").touch()
    notebook = open_for_module(path)
    notebook.run_all()
    expect(buttons(notebook)).to_have_count(4)
    return notebook


def buttons(notebook):
    return notebook.page.get_by_role("group", name="Download files").get_by_role("button")


def status(notebook):
    return notebook.page.get_by_role("group", name="Download files").get_by_role("status")


def saved(notebook):
    """The files on disk, by name."""
    return {path.name: path.read_bytes() for path in (notebook.path.parent / "assistant_files").iterdir()}


def links(notebook, name):
    return notebook.page.locator(".jp-OutputArea a[download]").filter(has_text=name)


def test_the_picture_is_seen_and_every_link_and_button_downloads_its_file(shown):
    on_disk = saved(shown)
    image = shown.output(0).locator(".jp-RenderedImage img")
    assert image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [120, 60]
    expect(shown.output(0)).to_contain_text("Rose to $5, then $7.")
    expect(buttons(shown).nth(1)).to_have_accessible_name(f"Download {HOSTILE_NAME}, 12.4 kB")
    assert shown.page.evaluate("window.ran") is None
    assert shown.download(links(shown, "the chart")) == on_disk["a chart.png"]
    for place, name in enumerate(["a chart.png", HOSTILE_NAME, "large.bin"]):
        assert shown.download(links(shown, name)) == on_disk[name]
        assert shown.download(buttons(shown).nth(place)) == on_disk[name]
    with shown.page.expect_download() as download:
        buttons(shown).nth(2).click()
    assert download.value.suggested_filename == "large.bin"
    with zipfile.ZipFile(io.BytesIO(shown.download(buttons(shown).nth(3)))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == on_disk


def test_links_and_buttons_work_while_the_kernel_is_busy(shown):
    on_disk = saved(shown)
    (shown.path.parent / "go").unlink()
    shown.start(cell=1)
    shown.wait_for_kernel("busy")
    assert shown.download(links(shown, "large.bin")) == on_disk["large.bin"]
    assert shown.download(buttons(shown).nth(1)) == on_disk[HOSTILE_NAME]
    assert shown.kernel_status() == "busy"
    (shown.path.parent / "go").touch()
    shown.wait_for_kernel("idle")


def test_a_kernel_that_does_not_answer_is_said_and_an_answer_that_comes_late_counts(shown):
    kernel = psutil.Process(int((shown.path.parent / "pid").read_text()))
    kernel.suspend()
    try:
        with shown.page.expect_download() as archive:
            buttons(shown).nth(3).click()
            silent = "has not answered yet: it is busy, or it was restarted"
            expect(status(shown)).to_contain_text(silent, timeout=10_000)
            expect(status(shown)).to_contain_text("files are saved as assistant_files/a chart.png, assistant_files/")
            kernel.resume()
        assert zipfile.ZipFile(archive.value.path()).testzip() is None
        expect(status(shown)).to_be_empty()
    finally:
        kernel.resume()


def test_without_the_servers_route_a_button_fetches_from_the_kernel(lab, open_in_lab):
    show = "publish(view(DownloadRow(files, Path.cwd(), environ={}), FrontEnd()))"
    notebook = open_in_lab(lab.write_notebook("kernel route/shown.ipynb", [SETUP + FILES + show]))
    notebook.run_all()
    on_disk = saved(notebook)
    status(notebook).evaluate(NOTE_TEXTS)
    assert notebook.download(buttons(notebook).nth(2)) == on_disk["large.bin"]
    # Five million bytes come in three chunks.
    assert notebook.page.evaluate("window.noted") == ["large.bin: 41 %", "large.bin: 83 %"]
    assert notebook.download(buttons(notebook).nth(1)) == on_disk[HOSTILE_NAME]
    (notebook.path.parent / "assistant_files" / "large.bin").unlink()
    buttons(notebook).nth(2).click()
    gone = "Not downloaded: it is no longer there. The file is saved as assistant_files/large.bin"
    expect(status(notebook)).to_have_text(gone)


HOSTILE_TEXT = """
<script>window.ran=1; fetch("URL/script")</script> <img src=x onerror="window.ran=1"> <img src="URL/html">
<style>@import url(URL/style)</style> <div style="background:url(URL/div)">x</div> <iframe src="URL/frame"></iframe>
<link rel="stylesheet" href="URL/link"> <svg onload="window.ran=1"><image href="URL/svg"/></svg>

![inline](URL/inline?q=SECRET) ![full][one] ![collapsed][] ![shortcut] [![linked](URL/linked)](URL/click)

![autolink](<URL/angle>) ![data](data:image/svg+xml;utf8,<svg onload='window.ran=1'>)

[js](javascript:window.ran=1) [entity](&#106;avascript:window.ran=1) [page](data:text/html,<script>1</script>)

| <img src="URL/cell" onerror="window.ran=1"> | b |
|---|---|
| ![cell](URL/table) | <script>window.ran=1</script> |

$\\href{javascript:window.ran=1}{x}$ $$\\unicode{<img src=URL/math>}$$

```html
<img src="URL/fence" onerror="window.ran=1">
```

[one]: URL/full
[collapsed]: URL/collapsed
[shortcut]: URL/shortcut
"""
SHOW_HOSTILE = """
header = '"' + hostile.replace('"', '""') + '",b\\n'
table = write("t.csv", (header + '"<img src=x onerror=window.ran=1>",1\\n').encode())
named = write("<img src=x onerror=window.ran=1>.csv", b"x")
everything = [
    outputs.live(hostile, hostile),
    outputs.answer(hostile, {}),
    outputs.work([CodeCall("i", "c", hostile, "failed", (hostile,))]),
    previews.table(table, read_head(table.path, "text/csv")),
    card([named], [FailedArtifact(hostile, hostile)], [hostile]),
    outputs.answer("all shown", {}),
]
for bundle in everything:
    publish(bundle)
"""


def test_a_hostile_answer_runs_no_script_and_fetches_nothing(lab, open_in_lab, listener):
    hostile = HOSTILE_TEXT.replace("URL", listener.url)
    cells = [SETUP, f"hostile = {hostile!r}\n{SHOW_HOSTILE}"]
    notebook = open_in_lab(lab.write_notebook("hostile/live.ipynb", cells))
    notebook.run_all()
    expect(notebook.output(1)).to_contain_text("all shown")
    expect(notebook.output(1)).to_contain_text("[picture not fetched: inline]")
    notebook.page.wait_for_load_state("networkidle")
    assert notebook.page.evaluate("window.ran") is None
    assert listener.paths == []
