"""`%assistant files`: what was made here, from which question, and what is left over."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.utils.capture import capture_output
from tests_support import events as wire
from tests_support.cases import cases, told
from tests_support.markup import Markup
from tests_support.saving import NOTEBOOK, run_cell

from ipython_assistant import commands
from ipython_assistant.errors import OptionError
from ipython_assistant.workspace.folder import Folder, made_files, remove_left_over


@pytest.fixture
def folder(notebook_dir):
    return Folder(notebook_dir, notebook_dir / "assistant_files", environ=NOTEBOOK)


def command(folder, line="files"):
    """What `%assistant files` shows of a folder: its text, and its HTML as a browser would read it."""
    shown = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(commands, "publish", shown.append)
        recordings = SimpleNamespace(folder=folder)
        commands.run_command(SimpleNamespace(recordings=lambda _settings: recordings, settings=None), line)
    (output,) = shown
    markup = Markup.of(output.data["text/html"])
    assert markup.harm() == []
    return output.data["text/plain"], markup


def rows(text):
    """The table by file name, each row with its state."""
    table = [re.split(r" {2,}", line) for line in text.splitlines()[1:] if "  " in line]
    return {name: state for name, state, *_ in table}


def test_each_file_is_listed_with_its_question_and_its_model(folder):
    run_cell(folder, {"by_district.csv": b"a,b\n" * 5000}, prompt="Mean coverage\nper district, " + "please " * 20)
    text, markup = command(folder)
    header, line, *_ = text.splitlines()
    assert header.split("  ")[0] == "file"
    assert line.startswith("by_district.csv  present  20.0 kB  Mean coverage per district, please ")
    assert "…" in line
    assert line.endswith("  some-model  2026-01-15 09:30")
    assert [link["href"] for link in markup.all("a")] == ["assistant_files/by_district.csv"]
    assert all(name in markup.text for name in commands.FILE_HEADER)


def test_a_file_that_was_changed_or_removed_since_is_said_to_be(folder, notebook_dir):
    made = notebook_dir / "assistant_files"
    run_cell(folder, {"kept.csv": b"1", "edited.csv": b"2", "removed.csv": b"3", "other.csv": b"4"})
    (made / "edited.csv").write_bytes(b"5")
    (made / "removed.csv").unlink()
    (made / "other.csv").rename(notebook_dir / "moved.csv")
    (made / "other.csv").write_bytes(b"44")
    text, markup = command(folder)
    since = {"edited.csv": "changed since", "removed.csv": "gone", "other.csv": "changed since"}
    assert rows(text) == {"kept.csv": "present", **since}
    assert "assistant_files/removed.csv" not in [link["href"] for link in markup.all("a")]


def test_a_damaged_record_is_named_the_others_are_listed_and_their_words_are_only_ever_text(folder):
    run_cell(folder, {"a.csv": b"1"}, prompt='<img src=x onerror="alert(1)">\u202e\x1b[31m')
    (folder.store.path / "torn.json").write_text("{")
    text, markup = command(folder)
    assert rows(text)["a.csv"] == "present"
    assert "The recording torn.json cannot be read: it is not whole JSON." in text
    assert "\x1b" not in text
    assert "<img src=x" in markup.text


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_records_that_cannot_be_read_are_said(folder, notebook_dir):
    (notebook_dir / "assistant_files").mkdir()
    (notebook_dir / "assistant_files" / ".turns").symlink_to(notebook_dir)
    text, _ = command(folder)
    assert text.startswith("The recordings in assistant_files/.turns cannot be read: a link is in its place")


def left_over(folder):
    """A cell that ran twice: the second time it made only one of the two files again."""
    run_cell(folder, {"old.csv": b"old", "kept.csv": b"1"})
    run_cell(folder, {"kept.csv": b"1"}, minute=1)


def test_a_file_of_a_turn_that_was_replaced_is_listed_as_left_over_and_pruning_removes_it(folder, notebook_dir):
    left_over(folder)
    old = notebook_dir / "assistant_files" / "old.csv"
    text, _ = command(folder)
    assert rows(text) == {"kept.csv": "present", "old.csv": "left over"}
    assert "Left over from earlier answers: 1 file, 3 bytes. To remove them: %assistant files --prune" in text
    assert old.exists()
    text, _ = command(folder, "files --prune")
    assert (rows(text), "Removed: 1 file." in text) == ({"old.csv": "gone"}, True)
    assert not old.exists()
    assert rows(command(folder)[0]) == {"kept.csv": "present"}
    assert command(folder, "files --prune")[0].startswith("Nothing to remove")


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
@cases("leave", {
    "another cell shows it": lambda folder, _: [run_cell(folder, {"old.csv": b"old"}, "cell-2"), left_over(folder)],
    "it was changed since": lambda folder, old: [left_over(folder), old.write_bytes(b"OLD")],
    "it was there before": lambda folder, old: [old.parent.mkdir(), old.write_bytes(b"old"), left_over(folder)],
    "its cell was interrupted": lambda folder, _: [
        run_cell(folder, {"old.csv": b"old"}), run_cell(folder, {}, minute=1, status="interrupted")],
    "the user made it": lambda folder, old: [left_over(folder), old.rename(old.with_name("mine.csv"))],
    "it is a link": lambda folder, old: [
        left_over(folder), old.symlink_to(old.rename(old.parent.with_name("moved.csv")))],
})  # fmt: skip
def test_pruning_leaves_what_a_cell_shows_and_what_is_not_as_we_left_it(folder, notebook_dir, leave):
    leave(folder, notebook_dir / "assistant_files" / "old.csv")
    before = sorted((notebook_dir / "assistant_files").iterdir())
    command(folder, "files --prune")
    assert sorted((notebook_dir / "assistant_files").iterdir()) == before


def test_what_was_changed_after_it_was_listed_is_not_removed_and_what_cannot_be_is_named(folder, monkeypatch):
    def locked(_path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    left_over(folder)
    (entry,) = [made for made in made_files(folder) if made.left_over]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", locked)
        assert command(folder, "files --prune")[0] == "old.csv was not removed: permission denied."
    old = folder.directory() / "old.csv"
    old.write_bytes(b"OLD")
    assert remove_left_over(folder, entry) == "it was changed in the meantime"
    assert old.exists()
    old.unlink()
    assert remove_left_over(folder, entry) == ""


@pytest.mark.parametrize(("line", "form"), [
    ("files --prnue", "files [--prune]"), ("files a.csv", "files [--prune]"), ("status --yes", "status"),
])  # fmt: skip
def test_a_word_the_command_does_not_take_is_refused(line, form):
    with told(OptionError, cure=f"Write: %assistant {form}"):
        commands.run_command(None, line)


def test_a_cells_turn_is_recorded_and_listed(shell, hosted, notebook_dir):
    hosted.put("by_district.csv", b"a,b\n", "cfile_csv")
    hosted.will_say([wire.Code("1"), wire.cited(("by_district.csv", "cfile_csv"))])
    with capture_output() as captured:
        shell.run_cell("%%assistant\nSave the mean per district.")
        shell.run_cell("%assistant files")
    (record,) = (notebook_dir / "assistant_files" / ".turns").glob("save-the-mean-per-district-*.json")
    assert "test-key" not in record.read_text()
    assert rows(captured.outputs[-1].data["text/plain"]) == {"by_district.csv": "present"}
