"""service.background: imports while nobody waits."""

import sys
from types import SimpleNamespace

import pytest
from IPython.core.events import EventManager, available_events
from IPython.core.interactiveshell import InteractiveShell

from ipython_assistant.service import background
from ipython_assistant.service.background import Warmth


@pytest.fixture
def shell():
    """A shell's events, and whether a callback is registered."""
    return EventManager(None, available_events)


def test_it_begins_once_after_a_cell_ended_and_imports_everything(shell, tmp_path, monkeypatch):
    modules = ("warm_one", "warm_two")
    for name in modules:
        (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    warmth = Warmth(shell, modules, idle_s=0)
    assert not set(modules) & set(sys.modules)
    for _ in range(2):
        shell.trigger("post_run_cell", None)
    warmth._timer.join(20)
    assert warmth.left == []
    assert set(modules) <= set(sys.modules)


@pytest.mark.parametrize("cells", [0, 1])
def test_it_can_be_ended_before_it_began(shell, cells):
    warmth = Warmth(shell, ("no_such_module_anywhere",), idle_s=60)
    for _ in range(cells):
        shell.trigger("post_run_cell", None)
    warmth.end()
    assert shell.callbacks["post_run_cell"] == []
    assert not warmth._timer.is_alive() or warmth._timer.finished.is_set()


def test_a_module_that_cannot_be_imported_ends_it_quietly_and_every_one_that_it_names_is_there(shell):
    warmth = Warmth(shell, ("no_such_module_anywhere", "json"), idle_s=0)
    shell.trigger("post_run_cell", None)
    warmth._timer.join(20)
    assert warmth.left == ["no_such_module_anywhere", "json"]
    for name in background.MODULES:
        __import__(name)


@pytest.mark.parametrize(("key", "cell_id", "expected"), [("k", "c", True), ("", "c", True), ("k", None, False)])
def test_only_a_live_front_end_is_warmed_with_a_key_or_without(notebook_dir, monkeypatch, key, cell_id, expected):
    parent = {"metadata": {"cellId": cell_id} if cell_id else {}}
    monkeypatch.setenv("OPENAI_API_KEY", key)
    shell = InteractiveShell.instance()
    shell.kernel = SimpleNamespace(get_parent=lambda: parent)
    try:
        shell.run_line_magic("load_ext", "ipython_assistant")
        owners = [getattr(callback, "__self__", None) for callback in shell.events.callbacks["post_run_cell"]]
        shell.run_line_magic("unload_ext", "ipython_assistant")
        left = [getattr(callback, "__self__", None) for callback in shell.events.callbacks["post_run_cell"]]
        assert any(isinstance(owner, Warmth) for owner in owners) is expected
        assert not any(isinstance(owner, Warmth) for owner in left)
    finally:
        InteractiveShell.clear_instance()
