"""What we show, to people who do not see it or use no mouse: checked with axe-core in both themes, and by keyboard."""

import tarfile

import pytest
from playwright.sync_api import expect

from browser.harness import from_npm
from browser.test_outputs import FILES, SETUP, SHOW

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = "axe-core@4"
MORE = """
ran = CodeCall("ci", "c", "x = 1", "completed", ("1\\n",)), CodeCall("ci", "c", "y", "failed", ("no\\n",))
publish(outputs.work(ran))
wide = "| " + " | ".join("column" for _ in range(60)) + " |\\n" + "|---" * 60 + "|\\n"
publish(outputs.answer(f"| a | b |\\n|---|---|\\n| 1 | 2 |\\n\\n`code`\\n\\n{wide}", {}))
publish(previews.caption(picture, "smaller"))
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The checker's script, from the npm registry."""
    folder = tmp_path_factory.mktemp("axe")
    with tarfile.open(folder / from_npm(folder, "pack", AXE)) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.fixture(scope="module")
def shown(lab, open_for_module):
    notebook = open_for_module(lab.write_notebook("accessible/shown.ipynb", [SETUP + FILES + SHOW + MORE]))
    notebook.run_all()
    notebook.output(0).get_by_role("group", name="Download files").wait_for()
    return notebook


def violations(page):
    return page.evaluate(
        "async () => (await axe.run('.jp-OutputArea-output', {resultTypes: ['violations']})).violations"
        ".flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`))"
    )


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_in_what_we_show(shown, axe, theme):
    shown.theme(theme)
    shown.page.evaluate(axe)
    assert violations(shown.page) == []


def test_a_table_is_sorted_and_paged_with_the_keyboard(lab, open_in_lab, axe):
    rows = "".join(f"place {number},{number * 7 % 1001}\\n" for number in range(1_001))
    show = "publish(view(DownloadRow([table], Path.cwd(), read_rows=rows_to_browse), FrontEnd()))"
    table = f'table = write("cases.csv", b"place,cases\\nnowhere,\\n{rows}")'
    cells = [SETUP, table, f"from ipython_assistant.answer import rows_to_browse; {show}"]
    notebook = open_in_lab(lab.write_notebook("browsed/browsed.ipynb", cells))
    notebook.run_all()
    output, page = notebook.output(2), notebook.page
    opener = output.get_by_role("button", name="Sort and page the rows of cases.csv")
    opener.focus()
    page.keyboard.press("Enter")
    table = output.get_by_role("table", name="Rows of cases.csv")
    first = table.locator("tbody tr").first
    expect(first).to_have_text("0nowhereNaN")
    heading = table.get_by_role("button", name="cases")
    for shown in ("1place 00", "143place 142994"):
        heading.focus()
        page.keyboard.press("Enter")
        expect(first).to_have_text(shown)
    expect(table.get_by_role("columnheader", name="cases")).to_have_attribute("aria-sort", "descending")
    output.get_by_role("button", name="Next rows").focus()
    page.keyboard.press("Enter")
    expect(output.get_by_text("21 to 40 of the first 1,000 of 1,002 rows × 2 columns")).to_be_visible()
    expect(table.locator("tbody tr")).to_have_count(20)
    page.evaluate(axe)
    assert violations(page) == []
    opener.click()
    expect(table).to_have_count(0)
    assert "widget-view" not in str(notebook.save().cells[2].outputs)


def test_links_and_buttons_are_reached_and_used_with_the_keyboard(shown):
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
