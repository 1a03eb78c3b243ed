"""A notebook that somebody else made comes with its folder: a link in it leads no write, move or removal elsewhere."""

import os

import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.files import write
from tests_support.notebook import Notebook
from tests_support.replaying import make_recording
from tests_support.saving import save

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace import safe_dir
from ipython_assistant.workspace.folder import Folder, Incoming
from ipython_assistant.workspace.recordings import Recordings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")


@pytest.fixture
def documents(tmp_path):
    """A folder of the user's that a link leads to, with old files."""
    for name in ("thesis.odt", "0" * 64):
        os.utime(write(tmp_path / "Documents" / name, "mine").path, (1, 1))
    return tmp_path / "Documents"


@pytest.fixture
def folder(notebook_dir):
    return Folder(notebook_dir, notebook_dir / "assistant_files", environ={})


def link_to(documents, link):
    """What is in the folder that the link leads to now."""
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(documents)
    return sorted(documents.iterdir())


@pytest.mark.parametrize("place", [".turns", ".turns/bodies"])
def test_no_record_and_no_body_is_written_behind_a_link(notebook_dir, folder, documents, place):
    recordings = Recordings(folder)
    before = link_to(documents, notebook_dir / "assistant_files" / place)
    make_recording(recordings, TurnKey("Ask."), {"a.csv": b"1"})
    assert sorted(documents.iterdir()) == before


def test_no_file_is_saved_where_assistant_files_is_a_link(notebook_dir, documents):
    before = link_to(documents, notebook_dir / "assistant_files")
    folder = Folder(notebook_dir, notebook_dir / "assistant_files", environ={})
    with pytest.raises(OSError, match="link"):
        folder.stage()
    staged = notebook_dir / "00-report.part"
    staged.write_bytes(b"import this")
    saved = folder.save(Incoming("00-report.py", staged, 11, "0" * 64, "cited"), "cell-1", turn="t")
    assert isinstance(saved, FailedArtifact)
    assert sorted(documents.iterdir()) == before


@pytest.mark.parametrize("place", ["assistant_files", "assistant_files/.turns", "assistant_files/.turns/bodies"])
def test_a_question_whose_files_would_go_through_a_link_is_refused(notebook_dir, documents, hosted, place):
    link_to(documents, notebook_dir / place)
    hosted.will_say([wire.Message("It rose.")])
    with Notebook() as notebook, told(ConfigError, place, "--dir"):
        notebook.ask("cell-1", "Plot coverage.")
    assert hosted.questions() == []


def test_a_full_disk_leaves_no_empty_readme_for_good(folder, monkeypatch):
    def full(_staged, _path, **_more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(safe_dir, "place_file", full)
        _, notes = make_recording(Recordings(folder), TurnKey("Ask."), {})
    assert notes == ("This answer could not be recorded: the disk is full.",)
    assert list(folder.store.path.iterdir()) == []
    make_recording(Recordings(folder), TurnKey("Ask."), {})
    assert "Each JSON file here" in (folder.store.path / "README").read_text()


@pytest.mark.parametrize("name", ["statsmodels.py", "conftest.PY", "pyarrow.so"])
def test_no_file_of_an_answer_is_what_the_next_import_finds(notebook_dir, folder, monkeypatch, name):
    monkeypatch.syspath_prepend("")
    artifact = save(Folder(notebook_dir, notebook_dir, environ={}), name, b"1")
    assert artifact.name == name.replace(".", "-2.")
    assert "import" in artifact.note
    assert not (notebook_dir / name).exists()
    assert save(folder, name, b"1").name == name
