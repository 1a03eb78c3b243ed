"""Stop, in JupyterLab's toolbar, while the embedded engine runs code that would not end by itself."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOAD, ENDLESS, AFTER = 0, 1, 2
CELLS = [
    "%load_ext ipython_assistant",
    "%%assistant\n```python\nprint('begun')\nwhile True:\n    pass\n```",
    "%%assistant\n```python\nprint(6 * 7)\n```",
]
# By the page's own clock: when the button was pressed, and when the kernel said that the cell has ended. It may say
# before that it is idle, of what JupyterLab asked its control channel. JupyterLab acts as the mouse goes down; on a
# busy machine the kernel is idle before the mouse is up, which is when a click is told.
CLOCK = """
() => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    document.addEventListener('mousedown', () => { window.pressed ??= performance.now(); }, {capture: true});
    kernel.iopubMessage.connect((_sender, message) => {
        const idle = message.content.execution_state === 'idle', asked = message.parent_header.msg_type;
        if (window.pressed && idle && asked === 'execute_request') { window.idle ??= performance.now(); }
    });
}
"""


def test_the_toolbars_stop_ends_running_code_within_2_s_and_the_next_cell_works(lab, open_in_lab):
    notebook = open_in_lab(lab.write_notebook("stopped/stopped.ipynb", CELLS))
    notebook.start(cell=LOAD)
    notebook.start(cell=ENDLESS)
    expect(notebook.output(ENDLESS)).to_contain_text("Running code")
    stop = notebook.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name='interrupt']").get_by_role("button")
    notebook.page.evaluate(CLOCK)
    stop.click()
    notebook.page.wait_for_function("() => window.idle")
    assert notebook.page.evaluate("() => window.idle - window.pressed") < 2_000
    expect(notebook.output(ENDLESS)).to_contain_text("Interrupted: The cell was interrupted.")
    notebook.start(cell=AFTER)
    expect(notebook.output(AFTER).locator("details pre").last).to_have_text("42")
