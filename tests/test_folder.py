"""workspace.folder: where files go."""

import errno
import os
import re
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.cases import cases
from tests_support.files import write
from tests_support.names import LONG, NASTY
from tests_support.saving import NOTEBOOK, run_cell, save, save_all, start_python

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.workspace import recording_store
from ipython_assistant.workspace.folder import Folder, Incoming
from ipython_assistant.workspace.recording_store import RecordingStore

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs symbolic links and pipes")


@pytest.fixture
def saved_dir(tmp_path):
    return tmp_path / "assistant_files"


@pytest.fixture
def kernel(tmp_path, saved_dir):
    """Make a kernel at work in the folder, for the notebook of this name."""
    return lambda notebook: Folder(tmp_path, saved_dir, environ={"JPY_SESSION_NAME": f"/somewhere/{notebook}"})


@pytest.fixture
def folder(kernel):
    return kernel("")


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "assistant_files").iterdir() if path.name != ".turns")


def test_a_file_keeps_its_name_knows_where_it_is_and_can_be_read_by_whom_the_users_own_files_can(folder, tmp_path):
    (tmp_path / "own.csv").write_bytes(b"1")
    artifact = save(folder, "by district.csv", b"a,b\n1,2\n")
    assert artifact.path.read_bytes() == b"a,b\n1,2\n"
    assert artifact.href == "assistant_files/by district.csv"
    assert (artifact.size, artifact.media_type, artifact.note) == (8, "text/csv", "")
    assert artifact.path.stat().st_mode == (tmp_path / "own.csv").stat().st_mode
    assert names(tmp_path) == ["by district.csv"]


# Each turn: the kernel (it starts with its first turn), the cell, what it saves as a.csv, and the name this gets.
@cases("turns", {
    "a cell replaces its own file": "A 1 x a.csv; A 1 y a.csv",
    "another cell's file stays": "A 1 x a.csv; A 2 y a-2.csv; A 1 z a.csv",
    "the same bytes are one file": "A 1 x a.csv; A 2 x a.csv",
    "a file that another cell shows stays": "A 1 x a.csv; A 2 x a.csv; A 1 y a-2.csv; A 2 z a.csv",
    "also after a restart": "A 1 x a.csv; A 2 x a.csv; A2 1 y a-2.csv",
    "after a restart a cell replaces what it wrote before": "A 1 x a.csv; A2 1 y a.csv",
    "a copy at the same time overwrites nothing": "A 1 x a.csv; copy 1 y a-2.csv; A 1 z a.csv",
    "a file that two notebooks share stays": "A 1 x a.csv; copy 9 x a.csv; A 1 y a-2.csv",
    "a file that the user changed since stays": "A 1 x a.csv; user - edits a.csv; A 1 y a-2.csv",
    "also after a restart, one changed since": "A 1 x a.csv; user - edits a.csv; A2 1 y a-2.csv",
    "the user's own file is not ours because a turn made the same": "user - x a.csv; A 1 x a.csv; A 1 y a-2.csv",
    "a nameless notebook's earlier kernel is another": "none 1 x a.csv; none2 1 y a-2.csv",
})  # fmt: skip
def test_a_file_is_replaced_only_by_the_cell_it_belongs_to(kernel, saved_dir, tmp_path, turns):
    notebooks = {"A": "analysis.ipynb", "A2": "analysis.ipynb", "copy": "analysis-Copy1.ipynb", "none": "", "none2": ""}
    for notebook in filter(None, notebooks.values()):
        (tmp_path / notebook).touch()
    kernels, last = {}, {}
    for number, turn in enumerate(turns.split("; ")):
        name, cell, content, saved = turn.split()
        last[saved] = content
        if name == "user":
            saved_dir.mkdir(exist_ok=True)
            (saved_dir / saved).write_text(content)
            continue
        folder = kernels[name] = kernels.get(name) or kernel(notebooks[name])
        assert run_cell(folder, {"a.csv": content.encode()}, cell, minute=number)[0].name == saved
    assert {path.name: path.read_text() for path in saved_dir.glob("*.csv")} == last


def test_a_notebook_opened_twice_overwrites_nothing_and_the_same_question_owns_its_files(kernel):
    first, second = kernel("analysis.ipynb"), kernel("analysis.ipynb")
    run_cell(first, {"a.csv": b"1", "b.csv": b"1"})
    assert run_cell(second, {"a.csv": b"2"}, minute=1)[0].name == "a-2.csv"
    for content in (b"1", b"2"):
        assert run_cell(kernel(""), {"d.csv": content}, "run 1", prompt="Plot it.")[0].name == "d.csv"


def test_a_file_is_shown_no_more_once_its_cell_answered_otherwise_but_not_once_it_failed(folder):
    run_cell(folder, {"a.csv": b"1"}, "cell-1")
    run_cell(folder, {"a.csv": b"1"}, "cell-2")
    run_cell(folder, {"b.csv": b"1"}, "cell-2", status="failed")
    assert run_cell(folder, {"a.csv": b"2"}, "cell-1")[0].name == "a-2.csv"
    run_cell(folder, {"a.csv": b"1"}, "cell-1")
    run_cell(folder, {"b.csv": b"1"}, "cell-2")
    assert run_cell(folder, {"a.csv": b"3"}, "cell-1")[0].name == "a.csv"


def test_two_files_of_one_name_in_one_turn_are_both_kept_also_fetched_later(folder, tmp_path):
    saved = save_all(folder, [("north/a.csv", b"1"), ("south/a.csv", b"2")])
    assert [(artifact.name, artifact.path.read_bytes()) for artifact in saved] == [("a.csv", b"1"), ("a-2.csv", b"2")]
    assert names(tmp_path) == ["a-2.csv", "a.csv"]
    assert [save(folder, "b.csv", content, turn="resp_1").name for content in (b"1", b"2")] == ["b.csv", "b-2.csv"]


SAVE_MANY = """
import sys
from pathlib import Path
from tests_support.saving import run_cell
from ipython_assistant.workspace.folder import Folder

me, base = sys.argv[1], Path(sys.argv[2])
folder = Folder(base, base / "assistant_files", environ={"JPY_SESSION_NAME": "analysis.ipynb"})
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    run_cell(folder, {"a.csv": f"{me} {number}".encode(), "b.csv": b"same"}, f"cell-{number}")
print("saved", flush=True)
sys.stdin.readline()
"""


def test_two_processes_that_save_the_same_names_at_once_lose_nothing(tmp_path, saved_dir):
    children = [start_python(SAVE_MANY, me, str(tmp_path)) for me in ("one", "other")]
    for step in ("ready\n", "saved\n"):
        assert [child.stdout.readline() for child in children] == [step] * 2
        for child in children:
            child.stdin.write("go on\n")
            child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    contents = [path.read_text() for path in saved_dir.glob("*.csv")]
    assert sorted(contents) == sorted([f"{me} {n}" for me in ("one", "other") for n in range(20)] + ["same"])
    recordings, damaged = Folder(tmp_path, saved_dir, environ={}).store.summaries()
    assert (len(recordings), damaged) == (40, [])


@given(st.lists(st.tuples(NASTY | LONG, st.binary(max_size=3)), max_size=8))
def test_whatever_the_files_of_a_turn_are_called_each_is_saved_and_only_in_the_folder(files):
    with tempfile.TemporaryDirectory() as base:
        folder = Folder(Path(base), Path(base, "assistant_files"), environ={})
        saved = save_all(folder, files, turn="1")
        assert [item.name for item in save_all(folder, files, turn="1")] == [item.name for item in saved]
        assert all(len(item.name.encode()) <= 255 for item in saved)
        assert [item.path.read_bytes() for item in saved] == [content for _, content in files]
        assert {item.path.parent for item in saved} <= {Path(base, "assistant_files")}
        assert {path.name for path in Path(base).rglob("*") if path.is_file()} == {item.name for item in saved}


@posix_only
@pytest.mark.parametrize(("what", "new"), [("outside.csv", "same"), ("no.csv", "other"), ("pipe", "2"), ("dir", "2")])
def test_a_link_in_the_way_is_neither_followed_nor_taken_for_the_file(folder, tmp_path, what, new):
    outside = tmp_path / "outside.csv"
    outside.write_bytes(b"same")
    path = save(folder, "a.csv", b"same").path
    path.unlink()
    {"pipe": os.mkfifo, "dir": os.mkdir}.get(what, lambda link: link.symlink_to(tmp_path / what))(path)
    kind = path.lstat().st_mode
    assert save(folder, "a.csv", new.encode()).name == "a-2.csv"
    assert (outside.read_bytes(), path.lstat().st_mode) == (b"same", kind)
    assert not (tmp_path / "no.csv").exists()


@posix_only
def test_a_folder_outside_the_notebooks_directory_may_be_a_link_since_the_user_named_it(tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big disk")
    artifact = save(Folder(tmp_path / "notebook", tmp_path / "link", environ={}), "a.csv", b"1")
    assert artifact.href == "../link/a.csv"
    assert (tmp_path / "big disk" / "a.csv").read_bytes() == b"1"


@posix_only
def test_old_staging_is_swept_and_no_link_followed_and_nothing_of_anybody_elses_taken(folder, tmp_path, saved_dir):
    def left_staging(parent, name, hours):
        part = write(parent / name / "1.part", b"half a file").path
        for path in (part, part.parent):
            os.utime(path, (time.time() - hours * 3600,) * 2)

    outside = tmp_path / "outside"
    left_staging(outside, ".staging-0123456789ab", hours=48)
    left_staging(saved_dir, ".staging-0123456789af", hours=0.1)
    for end in (" of mine", "-0123456789ae", "-0123456789ac"):
        left_staging(saved_dir, f".staging{end}", hours=48)
    (saved_dir / ".staging-0123456789ac" / "link").symlink_to(outside)
    (saved_dir / ".staging-0123456789ad").symlink_to(outside / ".staging-0123456789ab")
    save(folder, "a.csv", b"1")
    kept = [".staging of mine", *(f".staging-0123456789{end}" for end in ("ac", "ad", "af")), "a.csv"]
    assert names(tmp_path) == kept
    assert (outside / ".staging-0123456789ab" / "1.part").exists()


@pytest.fixture
def refuse(monkeypatch):
    """Let a function of the system fail, for a file of this name or for all."""

    def refuse(module, function, number, name=""):
        real = getattr(module, function)

        def refused(*args, **kwargs):
            if not name or any(Path(arg).name == name for arg in args if isinstance(arg, str | Path)):
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        monkeypatch.setattr(module, function, refused)

    return refuse


@pytest.mark.parametrize("what", [(os, "replace", errno.EBUSY), (recording_store, "open_file", errno.EACCES)])
def test_a_file_that_another_program_holds_stays_and_the_card_says_why(folder, saved_dir, refuse, what):
    save(folder, "a.csv", b"1")
    refuse(*what, "a.csv")
    artifact = save(folder, "a.csv", b"2")
    assert artifact.name == "a-2.csv"
    assert re.fullmatch(r"a\.csv could not be replaced \(.+\), so the new file is a-2\.csv\.", artifact.note)
    assert [(saved_dir / name).read_bytes() for name in ("a.csv", "a-2.csv")] == [b"1", b"2"]


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOSPC, "the disk is full"), (errno.EACCES, "permission denied"), (errno.EROFS, "read-only file system"),
])  # fmt: skip
def test_a_file_the_disk_does_not_take_is_named_and_the_others_are_saved(folder, tmp_path, refuse, number, words):
    for function in ("link", "open"):
        refuse(os, function, number, "b.csv")
    outcomes = save_all(folder, [("a.csv", b"1"), ("b.csv", b"2"), ("c.csv", b"3")])
    assert [type(outcome) for outcome in outcomes] == [Artifact, FailedArtifact, Artifact]
    assert (outcomes[1].name, outcomes[1].reason) == ("b.csv", f"It could not be saved: {words}.")
    assert names(tmp_path) == ["a.csv", "c.csv"]


@pytest.mark.parametrize("where", ["assistant_files", "assistant_files/deeper"])
def test_a_file_where_the_folder_should_be_is_said_in_words(tmp_path, where):
    (tmp_path / "assistant_files").write_text("a note")
    with pytest.raises(OSError, match="a file is where a folder should be"):
        Folder(tmp_path, tmp_path / where, environ={}).stage()


def test_a_staged_file_that_is_gone_is_a_failure_with_a_reason(folder, tmp_path):
    staging = folder.stage()
    outcome = folder.save(Incoming("a.csv", staging / "none.part", 1, "0", "cited"), "cell-1", turn="t")
    folder.unstage(staging)
    assert outcome == FailedArtifact("a.csv", "It could not be saved: it is no longer there.")
    assert names(tmp_path) == []


def test_a_file_is_taken_back_unless_another_turn_has_it_too(folder, tmp_path):
    mine, shared = save_all(folder, [("a.csv", b"1"), ("b.csv", b"2")], turn="one")
    save_all(folder, [("b.csv", b"2")], "cell-2", turn="two")
    for artifact in (mine, shared):
        folder.take_back(artifact, turn="one")
    assert names(tmp_path) == ["b.csv"]
    (again,) = save_all(folder, [("a.csv", b"3")], turn="one")
    assert again.name == "a.csv"


def test_a_disk_without_second_names_is_as_good(folder, saved_dir, tmp_path, refuse):
    refuse(os, "link", errno.EPERM)
    for content, cell in ((b"1", "cell-1"), (b"2", "cell-2"), (b"3", "cell-1")):
        save(folder, "a.csv", content, cell)
    assert [(saved_dir / name).read_bytes() for name in names(tmp_path)] == [b"2", b"3"]


@pytest.mark.parametrize("second_names", [True, False])
def test_a_file_that_another_kernel_puts_there_in_the_last_moment_stays(folder, saved_dir, monkeypatch, second_names):
    saved_dir.mkdir()
    real = os.link

    def too_late(source, target, **at):
        if Path(target).name == "a.csv":
            (saved_dir / "a.csv").write_bytes(b"theirs")
        if not second_names:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(source, target, **at)

    monkeypatch.setattr(os, "link", too_late)
    assert save(folder, "a.csv", b"ours").name == "a-2.csv"
    assert (saved_dir / "a.csv").read_bytes() == b"theirs"


def test_a_file_that_is_edited_while_it_is_checked_is_not_overwritten(folder, monkeypatch):
    path, real = save(folder, "a.csv", b"1").path, RecordingStore.hash_of
    monkeypatch.setattr(RecordingStore, "hash_of", lambda *asked: (real(*asked), path.write_bytes(b"my edits"))[0])
    assert save(folder, "a.csv", b"2").name == "a-2.csv"
    assert path.read_bytes() == b"my edits"


def test_the_notebooks_name_is_known_from_the_server_that_started_the_kernel(tmp_path):
    assert Folder(tmp_path, tmp_path, environ=NOTEBOOK).notebook == "analysis.ipynb"
    assert Folder(tmp_path, tmp_path, environ={"JPY_SESSION_NAME": "console-1"}).notebook == ""
