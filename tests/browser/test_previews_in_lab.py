"""What is shown of files and formulas, in a real JupyterLab, in a notebook that somebody sent, and as an HTML page."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from playwright.sync_api import expect

from browser.test_outputs import SETUP

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TEXT = r"""It costs $5 and $7. The mean \(\bar{x}\) is

\[ \frac{1}{n} \sum_i x_i \]

and $$e^{i\pi} = -1$$ but \(\href{javascript:window.ran=1}{click}\) stays."""
ANSWER = """
import json
from ipython_assistant.answer import Answer
from ipython_assistant.core.turn import Turn

BARS = {"x": {"field": "a", "type": "nominal"}, "y": {"field": "a", "type": "quantitative"}}
drawn = io.BytesIO()
Image.effect_noise((1500, 1000), 80).resize((3000, 2000)).save(drawn, "PNG")
harm = '<script>window.ran=1; fetch("URL/script")</script><img src="URL/img" onerror="window.ran=1">'
drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">%s</svg>'
files = (
    write("a big one.png", drawn.getvalue()),
    write("good.svg", (drawing % '<rect width="9" height="9"/>').encode()),
    write("bad.svg", (drawing % '<image href="URL/svg"/><script>window.ran=1</script>').encode()),
    write("<img src=x onerror=window.ran=1>.svg", (drawing % '<circle r="9" onload="window.ran=1"/>').encode()),
    write("t.csv", b"a,b\\n1,2\\n"),
    write("chart.vl.json", json.dumps({"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": BARS}).encode()),
    write("remote.vl.json", json.dumps({"data": {"url": "URL/vega"}, "mark": "bar", "encoding": BARS}).encode()),
    write("records.json", b'[{"<img src=x onerror=window.ran=1>": "<script>window.ran=1</script>"}]'),
    write("settings.json", b'{"a": "</code></pre><img src=URL/json onerror=window.ran=1>"}'),
    write("page.html", ("<!doctype html><body onload='window.ran=1'>" + harm).encode()),
    write("notes.md", ("![x](URL/md) [y](javascript:window.ran=1) " + harm).encode()),
    write("run.py", b"print('</pre><script>window.ran=1</script>')"),
    write("raw.bin", b"\\0\\1\\2"),
)
Answer(text=TEXT, turn=Turn(status="completed"), artifacts=files, prompt="Draw noise").display()
"""


@pytest.fixture(scope="module")
def shown(lab, open_for_module, listener):
    code = ANSWER.replace("URL", listener.url)
    path = lab.write_notebook("previews/shown.ipynb", [f"{SETUP}\nTEXT = {TEXT!r}\n{code}"])
    notebook = open_for_module(path)
    notebook.run_all()
    return notebook


@pytest.fixture(scope="module")
def sent(lab, shown, open_for_module):
    """The same notebook from somebody else: this server has not signed it."""
    copy = shown.save()
    copy.metadata["title"] = "a copy"
    path = shown.path.with_name("sent.ipynb")
    nbformat.write(copy, path)
    opened = open_for_module(path)
    assert opened.page.evaluate("window.jupyterapp.shell.currentWidget.model.cells.get(0).trusted") is False
    return opened


def check_everything_is_there_and_nothing_happened(notebook, listener):
    output = notebook.output(0)
    images = output.locator(".jp-RenderedImage img, img[src^='data:image/svg']")
    expect(images).to_have_count(4)
    for image in images.all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(output.locator("mjx-container")).to_have_count(3)
    expect(output).to_contain_text("It costs $5 and $7.")
    expect(output).to_contain_text("<!doctype html><body onload='window.ran=1'>")
    expect(output.locator("table.dataframe")).to_have_count(2)
    notebook.page.wait_for_load_state("networkidle")
    assert notebook.page.evaluate("window.ran") is None
    assert output.locator("script, iframe, [onerror], [onload], a[href^='javascript']").count() == 0
    assert listener.paths == []


def test_files_and_formulas_are_shown_and_nothing_in_them_runs(shown, listener):
    check_everything_is_there_and_nothing_happened(shown, listener)
    expect(shown.output(0).locator(".vega-embed canvas, .vega-embed svg.marks")).to_have_count(1)
    expect(shown.output(0)).to_contain_text("remote.vl.json is not shown: it uses “url”")


def test_in_a_notebook_that_somebody_sent_they_are_too(sent, listener):
    check_everything_is_there_and_nothing_happened(sent, listener)


def test_a_large_picture_is_a_thumbnail_whose_link_downloads_the_whole(shown):
    on_disk = (shown.path.parent / "assistant_files" / "a big one.png").read_bytes()
    image = shown.output(0).locator(".jp-RenderedImage img").first
    width = image.evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert 0 < width <= 800
    expect(image).to_have_attribute("alt", "a big one.png: Draw noise")
    assert shown.download(shown.output(0).get_by_role("link", name="download the whole picture")) == on_disk
    assert shown.save().cells[0].outputs[1].metadata["image/jpeg"]["alt"] == "a big one.png: Draw noise"
    assert len(shown.path.read_bytes()) < 200_000 < len(on_disk)


def test_a_tables_caption_does_not_make_it_wider(shown):
    table = shown.output(0).locator("table.dataframe").first
    assert table.locator("caption").inner_text() == "t.csv — 1 row × 2 columns"
    assert table.locator("thead").evaluate("head => head.getBoundingClientRect().width") < 120


def test_exported_to_html_and_opened_from_disk_the_page_has_its_pictures_and_links(shown, chromium, listener):
    shown.save()
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", str(shown.path)]
    subprocess.run(command, check=True, capture_output=True)
    with chromium.new_page() as page:
        page.goto(shown.path.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
        images = page.locator(".jp-OutputArea img")
        # JupyterLab has saved a picture of the interactive chart beside it.
        expect(images).to_have_count(5)
        for image in images.all():
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        links = page.locator(".jp-OutputArea a[download]").evaluate_all("all => all.map(link => link.href)")
        there = {path.resolve() for path in (shown.path.parent / "assistant_files").iterdir()}
        assert {Path(unquote(urlsplit(link).path)).resolve() for link in links} == there
        assert page.evaluate("window.ran") is None
        assert listener.paths == []
