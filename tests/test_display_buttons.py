"""The kernel's side of the download buttons: what they are told, and what they are sent."""

import base64
import io
import json
import os
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import ipywidgets
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image
from tests_support import events as wire
from tests_support.cases import cases
from tests_support.files import write

from ipython_assistant.answer import rows_to_browse
from ipython_assistant.display import buttons
from ipython_assistant.display.buttons import CHUNK_BYTES, DownloadRow, server_root, view
from ipython_assistant.display.live import FrontEnd, front_end

LARGE = bytes(range(256)) * ((2 * CHUNK_BYTES + 1000) // 256)


class Browser:
    """The other end: asks as `buttons.js` does, and keeps what comes."""

    def __init__(self, row):
        self.row = row
        self.replies = []
        row.send = lambda content, buffers=None: self.replies.append((content, b"".join(buffers or [])))

    def ask(self, **message):
        self.row._handle_custom_msg({"type": "get", "request": "r1", **message}, [])
        return self.replies[-1]

    def fetch(self, file):
        content, total = b"", 1
        while len(content) < total:
            reply, chunk = self.ask(file=file, offset=len(content))
            content, total = content + chunk, reply["total"]
        return content


@pytest.fixture
def artifacts(tmp_path):
    files = {"small.csv": b"a,b\n1,2\n", "large.bin": LARGE, "empty.txt": b""}
    return [write(tmp_path / "files" / name, content) for name, content in files.items()]


@pytest.fixture
def browser(artifacts, tmp_path):
    row = DownloadRow(artifacts, tmp_path, environ={})
    yield Browser(row)
    row.close()


def test_the_output_is_a_widget_view_and_the_browser_is_told_no_absolute_path(browser, tmp_path):
    bundle = view(browser.row, LAB)
    assert list(bundle.data) == ["application/vnd.jupyter.widget-view+json"]
    assert bundle.data[buttons.VIEW]["model_id"] == browser.row.model_id == browser.row.row_id
    assert bundle.metadata == {"ipython_assistant": {"output": "buttons"}}
    assert repr(browser.row) == "DownloadRow(small.csv, large.bin, empty.txt)", "the same in every run"
    assert browser.row.offers[0] == {
        "name": "small.csv", "label": "small.csv", "size": 8, "size_in_words": "8 bytes", "media_type": "text/csv",
        "server_path": "", "saved_as": "files/small.csv", "has_rows": False,
    }  # fmt: skip
    state = json.dumps({name: value for name, value in browser.row.get_state().items() if name != "_esm"})
    assert str(tmp_path) not in state


def test_every_file_arrives_whole_in_chunks(browser, artifacts):
    for place, saved in enumerate(artifacts):
        assert browser.fetch(place) == saved.path.read_bytes()
    sizes = [len(chunk) for reply, chunk in browser.replies if reply["total"] == len(LARGE)]
    assert sizes == [CHUNK_BYTES, CHUNK_BYTES, len(LARGE) - 2 * CHUNK_BYTES]


def test_the_archive_holds_every_file_that_is_there_under_its_name_and_is_gone_afterwards(browser, artifacts, tmp_path):
    before = set(tmp_path.rglob("*"))
    with zipfile.ZipFile(io.BytesIO(browser.fetch("all"))) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {saved.name: saved.path.read_bytes() for saved in artifacts}
    assert set(tmp_path.rglob("*")) == before
    assert browser.row._zipped is None
    assert browser.row.archive == f"{tmp_path.name}-files.zip"
    artifacts[0].path.unlink()
    reply, content = browser.ask(file="all", offset=0)
    assert reply["left_out"] == ["small.csv"]
    assert browser.ask(file=0, offset=0)[0]["message"] == "it is no longer there"
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["large.bin", "empty.txt"]


def test_the_rows_of_a_table_are_given_when_they_are_asked_for(artifacts, tmp_path):
    table = write(tmp_path / "files" / "long.csv", b"name,n\n" + b"a\xe2\x80\xaeb,\n" + b"x,1\n" * 1234)
    browser = Browser(DownloadRow([*artifacts, table], tmp_path, environ={}, read_rows=rows_to_browse))
    assert [offer["has_rows"] for offer in browser.row.offers] == [True, False, False, True]
    reply, _ = browser.ask(type="rows", file=3)
    assert (reply["type"], reply["columns"], reply["size"]) == ("rows", ["name", "n"], "1,235 rows × 2 columns")
    assert reply["rows"][:2] == [["a\ufffdb", None], ["x", "1"]]
    assert len(reply["rows"]) == 1000
    table.path.unlink()
    for place in (3, 1, 4, -1, "all", None):
        assert browser.ask(type="rows", file=place)[0]["type"] == "error"
    browser.row.close()


@pytest.mark.parametrize(("file", "offset"), [
    (99, 0), (-1, 0), ("../../etc/passwd", 0), (None, 0), (0, -1), (0, "0"), (0, None), ("all", 5), ({}, {}),
])  # fmt: skip
def test_a_request_for_what_is_not_there_is_refused(browser, file, offset):
    for nothing in (None, "get", 3, {"type": "put"}, {}):
        browser.row._handle_custom_msg(nothing, [])
    assert browser.replies == []
    reply, content = browser.ask() if file == {} else browser.ask(file=file, offset=offset)
    assert (reply["type"], reply["request"], content) == ("error", "r1", b"")


def test_a_closed_row_leaves_no_archive_behind(tmp_path):
    large = write(tmp_path / "large.bin", os.urandom(2 * CHUNK_BYTES))
    browser = Browser(DownloadRow([large], tmp_path, environ={}))
    reply, chunk = browser.ask(file="all", offset=0)
    folder = Path(browser.row._zipped.name)
    assert (len(chunk) < reply["total"], folder.exists()) == (True, True)
    browser.row.close()
    assert not folder.exists()


def test_the_server_that_started_the_kernel_says_what_it_serves_and_no_other(tmp_path, monkeypatch):
    serving = tmp_path / "root"
    serving.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    write(tmp_path / "runtime" / "jpserver-4242.json", json.dumps({"root_dir": str(serving), "token": "secret"}))
    saved = write(serving / "sub dir" / "a b.csv", b"x")
    (tmp_path / "link").symlink_to(serving)
    linked = replace(saved, path=tmp_path / "link" / "sub dir" / "a b.csv")
    elsewhere = write(tmp_path / "other" / "a.csv", b"x")
    row = DownloadRow([saved, linked, elsewhere], serving, environ={"JPY_PARENT_PID": "4242"})
    assert [offer["server_path"] for offer in row.offers] == ["sub dir/a b.csv", "sub dir/a b.csv", ""]
    row.close()
    assert [server_root({"JPY_PARENT_PID": pid}) for pid in ("", "4243", "../4242", "-1", "x")] == [None] * 5
    assert server_root({}) is None


def test_widgets_are_imported_only_when_a_row_is_made(run_python):
    code = "import sys; from ipython_assistant import session; print({'anywidget', 'ipywidgets'} & set(sys.modules))"
    assert run_python(code).strip() == "set()"


# --- where a row is shown, and for how long ---------------------------------------------------------------------------
LAB, VSCODE, COLAB = (FrontEnd(live=True, cell_id="c1", name=name) for name in ("", "vscode", "colab"))


@pytest.fixture
def rows():
    rows = buttons.Rows(InteractiveShell.instance())
    yield rows
    rows.close()
    InteractiveShell.clear_instance()


def open_rows():
    return [widget for widget in ipywidgets.widgets.widget._instances.values() if isinstance(widget, DownloadRow)]


def run_as(cell_id):
    InteractiveShell.instance().run_cell("pass", store_history=True, cell_id=cell_id)


def test_a_row_ends_when_its_cell_runs_again_or_with_the_kernel(rows, artifacts, tmp_path):
    rows.show(artifacts, tmp_path, LAB)
    rows.show(artifacts[:1], tmp_path, LAB)
    rows.show(artifacts, tmp_path, replace(LAB, cell_id="c2"))
    rows.show(artifacts, tmp_path, FrontEnd())
    assert len(open_rows()) == 4, "two rows that one run of a cell shows stand side by side"
    left = []
    for cell_id in ("c3", None, "c1", "c2"):
        run_as(cell_id)
        left.append(len(open_rows()))
    assert left == [4, 4, 2, 1], "a row of a cell without an id stays until the end"
    rows.close()
    rows.close()
    assert open_rows() == []
    assert rows._cell_runs not in InteractiveShell.instance().events.callbacks["pre_run_cell"]


@pytest.mark.usefixtures("recording")
def test_the_setting_decides_and_of_a_recorded_answer_the_row_says_so_and_how_to_ask_again(notebook, hosted):
    hosted.will_say([wire.Message("Yes.")])
    notes = []
    for setting in ("always", "never", "always"):
        notebook.cell("S", f"%config AssistantMagics.buttons = '{setting}'")
        notebook.ask("A", "Shall we?")
        notes += [row.note for row in open_rows()]
    (note,) = notes
    assert re.fullmatch(r"Answered from the recording of 20[-:\d ]+ UTC\. %%assistant --fresh asks again\.", note)


def shown_by(rows, artifacts, folder, front, **more):
    """What is shown at once, and after the row's JavaScript said that it runs."""
    with capture_output() as captured:
        rows.show(artifacts, folder, front, environ=more.pop("environ", {}), **more)
        at_once = len(captured.outputs)
        for row in open_rows():
            row._handle_custom_msg({"type": "ready", "keeps_out": more.get("note") != "cannot"}, [])
    return [at_once, len(captured.outputs)]


def test_without_our_server_extension_a_row_is_shown_once_its_javascript_has_answered(rows, artifacts, tmp_path):
    assert shown_by(rows, [], tmp_path, LAB) == [0, 0], "there is nothing to show"
    assert shown_by(rows, artifacts, tmp_path, LAB, note="cannot") == [0, 0], "it would be saved"
    assert shown_by(rows, artifacts, tmp_path, LAB) == [0, 1]
    assert shown_by(rows, artifacts, tmp_path, LAB) == [1, 1], "from then on it is known to"


def test_a_row_of_a_cell_that_ran_again_before_the_answer_is_not_shown(rows, artifacts, tmp_path):
    with capture_output() as captured:
        rows.show(artifacts, tmp_path, LAB, environ={})
        (row,) = open_rows()
        run_as("c1")
        row._answer(row, {"type": "ready", "keeps_out": True}, [])
    assert captured.outputs == []


@cases(("front", "more"), {
    "our server": (LAB, {"environ": {"IPYTHON_ASSISTANT_LAB": "1"}}), "always": (LAB, {"always": True}),
    "VS Code": (VSCODE, {}), "Colab": (COLAB, {}),
})  # fmt: skip
def test_where_a_row_does_no_harm_in_a_saved_notebook_it_is_shown_at_once(rows, artifacts, tmp_path, front, more):
    assert shown_by(rows, artifacts, tmp_path, front, **more) == [1, 1]


def test_in_vs_code_a_reopened_row_falls_back_to_a_picture_that_nobody_sees(browser):
    bundle = view(browser.row, VSCODE)
    assert list(bundle.data) == [buttons.VIEW, "image/png"]
    with Image.open(io.BytesIO(base64.b64decode(bundle.data["image/png"]))) as picture:
        assert (picture.size, picture.convert("RGBA").getpixel((0, 0))[3]) == ((1, 1), 0)


def test_in_colab_a_button_uses_colabs_own_download(artifacts, tmp_path, monkeypatch):
    delivered = []
    colab = ModuleType("google.colab")
    colab.files = SimpleNamespace(download=delivered.append)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    browser = Browser(DownloadRow(artifacts, tmp_path, environ={}))
    replies = [browser.ask(file=0, offset=0)[0], browser.ask(file="all", offset=0)[0]]
    assert [reply["type"] for reply in replies] == ["delivered", "delivered"]
    assert delivered[0] == str(artifacts[0].path)
    assert Path(delivered[1]).name == f"{tmp_path.name}-files.zip"
    assert front_end(InteractiveShell.instance(), {}).live
    browser.row.close()
    InteractiveShell.clear_instance()


def test_of_very_many_files_the_first_have_a_button_and_the_archive_has_all(tmp_path):
    browser = Browser(DownloadRow([write(tmp_path / f"{n}.csv", b"a") for n in range(40)], tmp_path, environ={}))
    assert (len(browser.row.offers), browser.row.file_count) == (12, 40)
    assert len(zipfile.ZipFile(io.BytesIO(browser.fetch("all"))).namelist()) == 40
    browser.row.close()
