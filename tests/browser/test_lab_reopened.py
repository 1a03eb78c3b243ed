"""A notebook that was saved and opened again: no broken widget, whoever opens it, and every link still downloads.
Server and kernel live in two environments here, joined by nothing but a kernel specification; the kernel asks a
scripted service on loopback."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect
from tests_support import events as wire
from tests_support.scripted import ScriptedService

from browser.harness import CHECKOUT, Lab, environment, opened_notebooks, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILES = {"by_district.csv": b"district,mean\nNorth,0.5\nSouth,0.75\n", "notes.txt": b"Two districts.\n"}
CELLS = ["%load_ext ipython_assistant", "%%assistant\nSave the mean per district, and notes."]
ASKING = 1
BROKEN = "Error displaying widget"
VIEW = "application/vnd.jupyter.widget-view+json"


SHOW_A_ROW = """
import ipywidgets, json
from pathlib import Path
from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.display.buttons import Rows
from ipython_assistant.display.live import front_end
Path("a.csv").write_text("a\\n1\\n")
file = Artifact("a.csv", "a.csv", Path("a.csv").resolve(), "a.csv", 4, "0" * 64, "text/csv")
rows = Rows(get_ipython())
"""


@dataclass(frozen=True)
class Answered:
    """A notebook whose question was answered and that was saved and closed."""

    lab: Lab
    path: Path
    saved: nbformat.NotebookNode
    service: ScriptedService

    def outputs(self):
        """What the outputs of the asking cell are, as their metadata says it."""
        found = self.saved.cells[ASKING].outputs
        return [output.metadata["ipython_assistant"]["output"] for output in found]


def will_answer(service):
    """Once: when a kernel ends, its container goes with it."""
    for name, content in FILES.items():
        service.put(name, content, f"cfile_{name}")
    text = " ".join(f"[{name}](sandbox:/mnt/data/{name})" for name in FILES)
    cited = tuple(wire.cite(text, name, f"cfile_{name}") for name in FILES)
    service.will_say([wire.Code("save()"), wire.Message(text, cited)])


@contextmanager
def answered(lab, context, name, *, has_buttons=True):
    """Ask in a kernel of another environment, save, close, and leave the rest to the test."""
    with ScriptedService() as service:
        will_answer(service)
        key = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": service.url}
        lab.add_kernel(name, other_environment(lab.home / f"kernel-{name}"), key)
        path = lab.write_notebook(f"{name}/asked.ipynb", CELLS, name)
        with opened_notebooks(lab, context) as open_notebook:
            notebook = open_notebook(path)
            notebook.run_all()
            expect(notebook.output(ASKING).locator("a[download]").last).to_be_visible()
            row = notebook.page.get_by_role("group", name="Download files")
            if has_buttons:
                row.wait_for()
                files = {file: notebook.download(row.get_by_role("button", name=f"Download {file}")) for file in FILES}
                assert files == FILES
            saved = notebook.save()
            assert row.count() == has_buttons
        yield Answered(lab, path, saved, service)


def other_environment(folder):
    """A virtual environment of its own that sees what is installed here and the checkout; gives its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    base = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", base))
    # Read by `site`, as an editable install is.
    lines = [str(CHECKOUT), *(path for path in sys.path if path.endswith("-packages"))]
    (packages / "elsewhere.pth").write_text("\n".join(lines))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def with_extension(lab, context):
    with answered(lab, context, "with") as notebook:
        yield notebook


@pytest.fixture(scope="module")
def plain_lab(chromium, tmp_path_factory):
    """A JupyterLab whose server does not have our extension."""
    with running_lab(tmp_path_factory.mktemp("plain"), extension=False) as running:
        yield running


@pytest.fixture(scope="module")
def without_extension(plain_lab, context):
    with answered(plain_lab, context, "without") as notebook:
        yield notebook


def check_reopened(notebook):
    """Nothing is broken, and every link brings down its file."""
    for name, content in FILES.items():
        links = notebook.output(ASKING).locator(f"a[download='{name}']")
        assert links.count() >= 1
        assert notebook.download(links.last) == content
    assert notebook.page.get_by_text(BROKEN).count() == 0


def test_the_buttons_are_in_the_page_and_not_in_the_saved_notebook(with_extension):
    first, *between, last = with_extension.outputs()
    assert (first, last, "buttons" in between) == ("answer", "card", False)


def test_without_our_extension_there_are_buttons_too_and_an_empty_view_is_saved(with_extension, without_extension):
    *outputs, row = without_extension.saved.cells[ASKING].outputs
    assert outputs == with_extension.saved.cells[ASKING].outputs
    assert row.data == {VIEW: {"version_major": 2, "version_minor": 0, "model_id": ""}}


@pytest.fixture
def without_anywidget(plain_lab):
    """JupyterLab without anywidget's extension: the server reads its list of extensions for every page."""
    page = plain_lab.home / "config" / "labconfig" / "page_config.json"
    page.parent.mkdir()
    page.write_text(json.dumps({"disabledExtensions": {"anywidget": True}}))
    yield plain_lab
    shutil.rmtree(page.parent)


def test_where_jupyterlab_cannot_draw_our_widgets_there_are_the_links_alone(without_anywidget, context):
    with answered(without_anywidget, context, "bare", has_buttons=False) as notebook:
        assert notebook.outputs()[-1] == "card"
        with opened_notebooks(without_anywidget, context) as open_notebook:
            check_reopened(open_notebook(notebook.path))


@pytest.mark.parametrize("kernel", [True, False], ids=["with a new kernel", "without a kernel"])
@pytest.mark.parametrize("which", ["with_extension", "without_extension"])
def test_reopened_nothing_is_broken_and_the_links_download(which, kernel, context, request):
    notebook: Answered = request.getfixturevalue(which)
    with opened_notebooks(notebook.lab, context) as open_notebook:
        check_reopened(open_notebook(notebook.path, kernel=kernel))


def test_nbval_compares_the_saved_notebook_equal(without_extension):
    """Its outputs are those of the other, and the row."""
    notebook = without_extension
    will_answer(notebook.service)
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-q", notebook.path.name]
    where = {"cwd": notebook.path.parent, "env": environment(notebook.lab.home)}
    ran = subprocess.run(command, **where, capture_output=True, text=True, check=False)
    assert (ran.returncode, "2 passed" in ran.stdout) == (0, True), ran.stdout


def test_a_cell_that_runs_again_has_one_row_and_the_old_one_is_closed(lab, open_in_lab):
    show = "rows.show([file], Path.cwd(), front_end(get_ipython()))"
    count = "sum(type(w).__name__ == 'DownloadRow' for w in ipywidgets.widgets.widget._instances.values())"
    notebook = open_in_lab(lab.write_notebook("again/again.ipynb", [SHOW_A_ROW, show, count]))
    notebook.run_all()
    notebook.command("notebook:run-all-cells")
    notebook.wait_for_kernel("idle")
    expect(notebook.page.get_by_role("group", name="Download files")).to_have_count(1)
    assert notebook.download(notebook.output(1).get_by_role("button")) == b"a\n1\n"
    saved = notebook.save()
    assert saved.cells[1].outputs == []
    assert saved.cells[2].outputs[0].data["text/plain"] == "1"
