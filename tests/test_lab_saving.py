"""lab: what the server extension takes out of a notebook that is saved, and what it tells kernels."""

import copy
import json
import os
from types import SimpleNamespace

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tests_support.files import write
from tests_support.mutation import json_values

from ipython_assistant import lab
from ipython_assistant.display.buttons import DownloadRow, view
from ipython_assistant.display.live import FrontEnd
from ipython_assistant.lab import STATE, VIEW, remove_rows

OURS = {"ipython_assistant": {"output": "buttons"}}


def row_output(model_id="row"):
    shown = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}}
    return new_output("display_data", data=shown, metadata=copy.deepcopy(OURS))


def other_outputs():
    slider = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": "slider"}, "text/plain": "IntSlider(value=3)"}
    card = {"ipython_assistant": {"output": "card"}}
    return [
        new_output("display_data", data={"text/html": "<p>card</p>"}, metadata=card),
        new_output("display_data", data=slider),
        new_output("stream", name="stdout", text="buttons"),
        new_output("error", ename="E", evalue="buttons", traceback=[]),
    ]


def example():
    cells = [
        new_markdown_cell("buttons", metadata=copy.deepcopy(OURS)),
        new_code_cell("1", outputs=[*other_outputs(), row_output("row"), *other_outputs()]),
        new_code_cell("2", outputs=[row_output("row2"), row_output("row3")]),
        new_code_cell("3", metadata=copy.deepcopy(OURS), outputs=other_outputs()),
    ]
    kernel = {"kernelspec": {"name": "x", "display_name": "X"}}
    return json.loads(nbformat.writes(new_notebook(cells=cells, metadata=kernel)))


def test_our_rows_are_taken_out_and_nothing_else_is_touched():
    notebook = example()
    expected = copy.deepcopy(notebook)
    del expected["cells"][1]["outputs"][4]
    expected["cells"][2]["outputs"] = []
    remove_rows(notebook)
    assert notebook == expected


def test_the_row_that_is_published_is_the_row_that_is_taken_out(tmp_path):
    row = DownloadRow([write(tmp_path / "a.csv", b"a\n")], tmp_path)
    shown = view(row, FrontEnd())
    row.close()
    output = new_output("display_data", shown.data, metadata=shown.metadata)
    notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
    remove_rows(notebook)
    assert notebook.cells[0].outputs == []


def test_the_stored_state_of_our_rows_goes_with_them_and_that_of_others_stays():
    row, slider = {"model_name": "AnyModel", "state": {}}, {"model_name": "IntSliderModel", "state": {"value": 3}}
    notebook = example()
    states = {"row": row, "row2": row, "slider": slider}
    notebook["metadata"]["widgets"] = {STATE: {"version_major": 2, "state": states}}
    remove_rows(notebook)
    assert notebook["metadata"]["widgets"] == {STATE: {"version_major": 2, "state": {"slider": slider}}}


KEYS = ["cells", "outputs", "metadata", "widgets", "ipython_assistant", "output", "data", STATE, VIEW, "state"]


@given(json_values(keys=st.sampled_from(KEYS)))
def test_what_is_no_notebook_passes_through_unchanged(anything):
    before = copy.deepcopy(anything)
    remove_rows(anything)
    lab.keep_live_outputs_out(model=anything, path="x", contents_manager=None)
    assert anything == before


@pytest.mark.parametrize("state", [None, [], {"row": None}, {"x": 1}])
@pytest.mark.parametrize("model_id", [None, 3, ["row"], "row"])
def test_a_broken_row_or_a_broken_state_is_no_obstacle(state, model_id):
    notebook = example()
    notebook["cells"][1]["outputs"][4]["data"] = {VIEW: {"model_id": model_id}}
    notebook["metadata"]["widgets"] = {STATE: {"state": state}}
    remove_rows(notebook)
    assert len(notebook["cells"][1]["outputs"]) == 8


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The extension, loaded beside a real contents manager that serves `tmp_path`."""
    monkeypatch.setenv(lab.ANNOUNCEMENT, "")
    server = SimpleNamespace(contents_manager=LargeFileManager(root_dir=str(tmp_path)))
    lab._load_jupyter_server_extension(server)
    return server


def test_a_notebook_that_the_server_saves_has_no_rows(loaded, tmp_path):
    loaded.contents_manager.save({"type": "notebook", "format": "json", "content": example()}, "saved.ipynb")
    saved = nbformat.read(tmp_path / "saved.ipynb", as_version=4)
    assert [len(cell.get("outputs", [])) for cell in saved.cells] == [0, 8, 0, 4]
    assert os.environ[lab.ANNOUNCEMENT] == lab.PROMISE
    text = json.dumps(example())
    loaded.contents_manager.save({"type": "file", "format": "text", "content": text}, "copy.json")
    assert (tmp_path / "copy.json").read_text() == text


def test_a_server_that_takes_no_hook_announces_nothing(monkeypatch):
    monkeypatch.delenv(lab.ANNOUNCEMENT, raising=False)
    with pytest.raises(AttributeError):
        lab._load_jupyter_server_extension(SimpleNamespace(contents_manager=object()))
    assert lab.ANNOUNCEMENT not in os.environ


def test_the_server_imports_nothing_heavy(run_python):
    heavy = {"IPython", "ipywidgets", "jupyter_server", "markdown_it", "openai", "pandas", "traitlets"}
    assert run_python(f"import sys, ipython_assistant.lab\nprint({heavy} & set(sys.modules))").strip() == "set()"
