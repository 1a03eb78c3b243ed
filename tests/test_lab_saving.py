"""lab: what the server extension takes out of a notebook that is saved, and what it tells kernels."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ipython_assistant import lab
from ipython_assistant.core.artifacts import Artifact
from ipython_assistant.display.buttons import download_row, view
from ipython_assistant.display.live import FrontEnd
from ipython_assistant.lab import STATE, VIEW, remove_rows

OURS = {"ipython_assistant": {"output": "buttons"}}


def row_output(model_id="row"):
    shown = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}}
    return new_output("display_data", data=shown, metadata=copy.deepcopy(OURS))


def other_outputs():
    slider = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": "slider"}, "text/plain": "IntSlider(value=3)"}
    card = new_output(
        "display_data", data={"text/html": "<p>card</p>"}, metadata={"ipython_assistant": {"output": "card"}}
    )
    return [
        card,
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
    return json.loads(
        nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": {"name": "x", "display_name": "X"}}))
    )


def test_our_rows_are_taken_out_and_nothing_else_is_touched():
    notebook = example()
    expected = copy.deepcopy(notebook)
    del expected["cells"][1]["outputs"][4]
    expected["cells"][2]["outputs"] = []

    remove_rows(notebook)

    assert notebook == expected


def test_a_notebook_without_rows_stays_as_it_is():
    notebook = example()
    notebook["cells"] = [notebook["cells"][0], notebook["cells"][3]]
    before = copy.deepcopy(notebook)

    remove_rows(notebook)

    assert notebook == before


def test_the_row_that_is_published_is_the_row_that_is_taken_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n")
    row = download_row([Artifact("a.csv", "a.csv", path, "a.csv", 2, "0" * 64, "text/csv")], tmp_path)
    shown = view(row, FrontEnd())
    row.close()
    notebook = new_notebook(
        cells=[new_code_cell("", outputs=[new_output("display_data", shown.data, metadata=shown.metadata)])]
    )

    remove_rows(notebook)

    assert notebook.cells[0].outputs == []


def widget_state():
    return {
        "row": {"model_name": "AnyModel", "state": {"layout": "IPY_MODEL_row_layout", "offers": [{"name": "a.csv"}]}},
        "row_layout": {"model_name": "LayoutModel", "state": {}},
        "row2": {"model_name": "AnyModel", "state": {"layout": "IPY_MODEL_shared"}},
        "slider": {"model_name": "IntSliderModel", "state": {"layout": "IPY_MODEL_shared", "value": 3}},
        "shared": {"model_name": "LayoutModel", "state": {"width": "50%"}},
        "orphan": {"model_name": "LayoutModel", "state": {}},
    }


def test_the_stored_state_of_our_rows_goes_with_them_and_that_of_others_stays():
    notebook = example()
    notebook["metadata"]["widgets"] = {STATE: {"version_major": 2, "version_minor": 0, "state": widget_state()}}

    remove_rows(notebook)

    kept = {name: model for name, model in widget_state().items() if name in {"slider", "shared", "orphan"}}
    assert notebook["metadata"]["widgets"] == {STATE: {"version_major": 2, "version_minor": 0, "state": kept}}


def test_a_row_that_somebody_put_into_a_box_keeps_its_state():
    notebook = example()
    box = {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_row"]}}
    notebook["metadata"]["widgets"] = {STATE: {"state": {**widget_state(), "box": box}}}

    remove_rows(notebook)

    assert {"box", "row"} <= set(notebook["metadata"]["widgets"][STATE]["state"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "outputs", "metadata", "widgets", "ipython_assistant", "output", "data", STATE, VIEW, "state"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_what_is_no_notebook_passes_through_unchanged(anything):
    before = copy.deepcopy(anything)
    remove_rows(anything)

    assert anything == before


@pytest.mark.parametrize(
    "state", [None, [], {"row": None}, {"row": {"state": [["IPY_MODEL_row"]]}}, {"x": "IPY_MODEL_"}]
)
@pytest.mark.parametrize("model_id", [None, 3, ["row"], "row"])
def test_a_broken_row_or_a_broken_state_is_no_obstacle(state, model_id):
    notebook = example()
    notebook["cells"][1]["outputs"][4]["data"] = {VIEW: {"model_id": model_id}}
    notebook["metadata"]["widgets"] = {STATE: {"state": state}}

    remove_rows(notebook)

    assert len(notebook["cells"][1]["outputs"]) == 8


# --- in the server ----------------------------------------------------------------------------------------------------


class Server:
    """As much of a server as the extension is given: one contents manager."""

    def __init__(self, contents_manager):
        self.contents_manager = contents_manager


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The extension, loaded beside a real contents manager that serves `tmp_path`."""
    monkeypatch.setenv(lab.ANNOUNCEMENT, "")
    server = Server(LargeFileManager(root_dir=str(tmp_path)))
    lab._load_jupyter_server_extension(server)
    return server


def test_a_notebook_that_the_server_saves_has_no_rows(loaded, tmp_path):
    loaded.contents_manager.save({"type": "notebook", "format": "json", "content": example()}, "saved.ipynb")

    saved = nbformat.read(tmp_path / "saved.ipynb", as_version=4)
    assert [len(cell.get("outputs", [])) for cell in saved.cells] == [0, 8, 0, 4]


def test_a_file_that_is_no_notebook_is_saved_as_it_is(loaded, tmp_path):
    text = json.dumps(example())
    loaded.contents_manager.save({"type": "file", "format": "text", "content": text}, "copy.json")
    loaded.contents_manager.save({"type": "directory"}, "folder")

    assert (tmp_path / "copy.json").read_text() == text
    assert (tmp_path / "folder").is_dir()


async def save_later(manager, model, path):
    await manager.save(model, path)


def test_an_asynchronous_contents_manager_is_served_too(tmp_path, monkeypatch):
    import asyncio

    monkeypatch.setenv(lab.ANNOUNCEMENT, "")
    server = Server(AsyncLargeFileManager(root_dir=str(tmp_path)))
    lab._load_jupyter_server_extension(server)
    model = {"type": "notebook", "format": "json", "content": example()}
    asyncio.run(save_later(server.contents_manager, model, "saved.ipynb"))

    saved = nbformat.read(tmp_path / "saved.ipynb", as_version=4)
    assert [len(cell.get("outputs", [])) for cell in saved.cells] == [0, 8, 0, 4]


@pytest.mark.parametrize("model", [None, {}, {"type": "notebook"}, {"type": "notebook", "content": "x"}, []])
def test_the_hook_lets_everything_else_pass(model):
    before = copy.deepcopy(model)
    lab.keep_live_outputs_out(model=model, path="x", contents_manager=None)

    assert model == before


def test_kernels_are_told_that_the_extension_is_there(loaded):
    assert os.environ[lab.ANNOUNCEMENT] == lab.PROMISE


def test_a_server_that_takes_no_hook_announces_nothing(monkeypatch):
    monkeypatch.delenv(lab.ANNOUNCEMENT, raising=False)
    with pytest.raises(AttributeError):
        lab._load_jupyter_server_extension(Server(object()))

    assert lab.ANNOUNCEMENT not in os.environ


def test_the_configuration_enables_the_module_that_is_there():
    file = Path(__file__).parents[1] / "jupyter-config" / "server-config" / "ipython_assistant.json"
    enabled = json.loads(file.read_text())["ServerApp"]["jpserver_extensions"]

    assert [point["module"] for point in lab._jupyter_server_extension_points()] == list(enabled)
    assert enabled == {lab.__name__: True}


def test_the_server_imports_nothing_heavy(run_python):
    code = (
        "import sys, ipython_assistant.lab\n"
        "heavy = {'IPython', 'ipywidgets', 'jupyter_server', 'markdown_it', 'openai', 'pandas', 'traitlets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    assert run_python(code).strip() == "[]"
