"""Recordings on disk: found by what was written, brought back as they were, never served damaged, never lost."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests_support.cases import cases, told
from tests_support.replaying import make_recording
from tests_support.saving import NOTEBOOK, save_all, start_python

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.core.recording_text import integrity
from ipython_assistant.errors import RecordingDamaged
from ipython_assistant.workspace import recording_store
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings

ASKED = TurnKey("Plot coverage by year.", inputs=(("a.csv", "ab"),))
TABLE, PICTURE = b"a,b\n1,2\n", b"\x89PNG" + bytes(5000)


@pytest.fixture
def make_folder(tmp_path):
    return lambda: Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK)


@pytest.fixture
def recordings(make_folder):
    return Recordings(make_folder(), max_bytes=10_000)


def saved(recordings):
    return {path.name: path.read_bytes() for path in recordings.folder.path.iterdir() if path.is_file()}


def turns_dir(recordings):
    return recordings.folder.path / ".turns"


def test_everything_comes_back_under_its_recorded_name_once_only_the_recordings_are_left(recordings, make_folder):
    save_all(recordings.folder, [("plot.png", b"somebody's")], "cell-0")
    record, _ = make_recording(recordings, ASKED, {"table.csv": TABLE, "plot.png": PICTURE})
    before = saved(recordings)
    for path in recordings.folder.path.glob("*.*"):
        if path.is_file():
            path.unlink()
    later = Recordings(make_folder())
    back = later.restore(later.find(ASKED.sha256), "cell-1")
    names = [(item.name, item.own_name) for item in back.artifacts]
    assert names == [("table.csv", "table.csv"), ("plot-2.png", "plot.png")]
    assert saved(later) == {name: content for name, content in before.items() if name != "plot.png"}
    assert (back.failed, back.notes) == ((), ())
    assert [item.sha256 for item in back.artifacts] == [file.sha256 for file in record.files]
    assert not list(later.folder.path.glob(".staging*"))


def test_a_prompt_that_is_edited_and_put_back_brings_the_cells_first_files_back(recordings):
    edited = replace(ASKED, prompt="Plot coverage by month.")
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    make_recording(recordings, edited, {"table.csv": b"a,b\n3,4\n"}, minute=1)
    assert saved(recordings) == {"table.csv": b"a,b\n3,4\n"}
    back = recordings.restore(recordings.find(ASKED.sha256), "cell-1")
    assert saved(recordings) == {"table.csv": TABLE}
    assert back.notes == ()


def test_what_is_there_unchanged_is_not_touched_and_not_read_again(recordings, monkeypatch):
    make_recording(recordings, ASKED, {"table.csv": TABLE, "plot.png": PICTURE})
    paths = [recordings.folder.path / name for name in ("table.csv", "plot.png")]
    for path in paths:
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    before = [path.stat().st_mtime_ns for path in paths]
    recordings.restore(recordings.find(ASKED.sha256), "cell-1")
    recording = recordings.find(ASKED.sha256)
    monkeypatch.setattr(recording_store, "open_file", lambda path: pytest.fail(f"{path} is read again"))
    back = recordings.restore(recording, "cell-1")
    assert [item.path for item in back.artifacts] == paths
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_a_file_too_large_to_be_recorded_is_said_and_found_among_the_saved_files(recordings):
    record, notes = make_recording(recordings, ASKED, {"large.bin": bytes(20_000), "table.csv": TABLE})
    said = "Over 0.01 MB, so not in the recording: large.bin. A replay needs the saved file."
    assert notes[-1] == said
    assert recordings.find(ASKED.sha256).notes[-1] == said
    assert [path.name for path in turns_dir(recordings).glob("bodies/[!.]*")] == [record.files[1].sha256]
    assert recordings.restore(recordings.find(ASKED.sha256), "cell-1").failed == ()
    (recordings.folder.path / "large.bin").rename(recordings.folder.path / "kept elsewhere.bin")
    back = recordings.restore(recordings.find(ASKED.sha256), "cell-1")
    assert [item.name for item in back.artifacts] == ["table.csv"]
    assert [(item.name, "too large to be recorded" in item.reason) for item in back.failed] == [("large.bin", True)]


def test_the_first_recording_in_a_folder_says_so_and_a_replay_says_it_too(recordings):
    _, first = make_recording(recordings, ASKED, {"table.csv": TABLE})
    _, second = make_recording(recordings, replace(ASKED, prompt="More."), minute=1)
    assert first == ("Answers are recorded from now on, in assistant_files/.turns; its README says what that holds.",)
    assert second == ()
    assert recordings.find(ASKED.sha256).notes == first


def test_the_better_recording_answers_and_the_other_stays_beside_it(recordings):
    whole, _ = make_recording(recordings, ASKED)
    make_recording(recordings, ASKED, minute=1, status="refused")
    make_recording(recordings, ASKED, minute=2, service="local")
    make_recording(recordings, ASKED, minute=3, status="interrupted")
    lost = FailedArtifact("a.csv", "It had not come.")
    make_recording(recordings, ASKED, minute=4, missing=(lost,))
    make_recording(recordings, replace(ASKED, prompt="Lost."), minute=4, missing=(lost,))
    lacking = replace(ASKED, prompt="Lost.").sha256
    assert len(sorted(turns_dir(recordings).glob("*.json"))) == 6
    assert recordings.find(lacking) is None
    assert recordings.restore(recordings.find(lacking, with_missing=True), "cell-1").failed == (lost,)
    assert recordings.find(ASKED.sha256).began == whole.began
    assert recordings.find(ASKED.sha256, {"local"}).service == "local"
    assert recordings.find(ASKED.sha256, {"azure"}) is None
    assert recordings.services() == {"openai", "local"}
    later, _ = make_recording(recordings, ASKED, minute=5)
    assert recordings.find(ASKED.sha256).began == later.began


def changed(file=(), **fields):
    """These fields of a record, or of its one file, are others, and its own hash fits."""

    def change(text):
        body = json.loads(text) | fields
        body["files"][0].update(file)
        return json.dumps(body | {"integrity": integrity(body)})

    return change


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@cases("damage", {
    "edited": lambda text: text.replace("resp_0", "other"), "cut": lambda text: text[:-20],
    "cut at its key": lambda text: text[:40], "emptied": lambda text: "",
    "a format that is a list": changed(format=[]), "nested 600 deep": changed(asked={"prompt": nested(600)}),
    "a response nested 900 deep": changed(response={"output": nested(900)}),
    "a response of the wrong type": changed(response=[]), "a size of 400 digits": changed({"size": 10**400}),
    "inputs that are a number": changed(inputs=1), "an input whose name is a list": changed(inputs=[[]]),
    "a file found in no way there is": changed({"found": []}),
})  # fmt: skip
def test_a_damaged_record_is_named_not_served_nor_written_over_and_the_others_answer(damage, recordings, make_folder):
    other = TurnKey("Another.")
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    (path,) = turns_dir(recordings).glob("*.json")
    make_recording(recordings, other, {"other.csv": b"1"}, minute=1)
    whole = path.read_text()
    path.write_text(damaged := damage(whole))
    for opened in (recordings, Recordings(make_folder())):
        with told(RecordingDamaged, path.name, "--fresh"):
            opened.find(ASKED.sha256)
        assert opened.find(other.sha256) is not None
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    assert recordings.find(ASKED.sha256) is not None
    assert path.read_text() == damaged
    store = make_folder().store
    assert [fault.name for fault in store.summaries()[1]] == [path.name]
    path.write_text(whole)
    assert store.summaries()[1] == [], "it was brought back"


def test_questions_that_look_at_the_recordings_at_once_see_all_of_them(recordings):
    for number in range(40):
        make_recording(recordings, TurnKey(f"Question {number}."))
    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(lambda _: len(recordings.store.summaries()[0]), range(400))} == {40}


@pytest.mark.parametrize("how", ["edited", "cut", "gone"])
def test_a_damaged_body_is_named_not_served_and_nothing_is_put_anywhere(how, recordings):
    record, _ = make_recording(recordings, ASKED, {"a.csv": b"first\n", "table.csv": TABLE})
    for name in ("a.csv", "table.csv"):
        (recordings.folder.path / name).unlink()
    body = turns_dir(recordings) / "bodies" / record.files[1].sha256
    body.unlink()
    if how != "gone":
        body.write_bytes(TABLE.replace(b"1", b"7") if how == "edited" else TABLE[:3])
    with pytest.raises(RecordingDamaged, match=body.name):
        recordings.restore(recordings.find(ASKED.sha256), "cell-1")
    assert saved(recordings) == {}
    make_recording(recordings, ASKED, {"a.csv": b"first\n", "table.csv": TABLE}, minute=1)
    assert recordings.restore(recordings.find(ASKED.sha256), "cell-1").failed == ()


RECORD_AND_DIE = """
import sys
from itertools import count
from pathlib import Path
from tests_support.replaying import make_recording
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings

directory = Path(sys.argv[1])
recordings = Recordings(Folder(directory, directory / "assistant_files", environ={}))
for number in count(1):
    files = {f"{name}.bin": bytes([number % 256, name]) * 2_000_000 for name in range(3)}
    make_recording(recordings, TurnKey("Plot it."), files, minute=number)
    print(number, flush=True)
"""


def test_a_kernel_that_is_killed_while_it_records_leaves_the_recordings_before_whole(make_folder, tmp_path):
    child = start_python(RECORD_AND_DIE, str(tmp_path))
    bodies_dir = tmp_path / "assistant_files" / ".turns" / "bodies"
    assert child.stdout.readline() == "1\n"
    while not list(bodies_dir.glob(".*.tmp")):  # it is in the middle of a copy
        assert child.poll() is None
    child.kill()
    child.communicate()
    recordings = Recordings(make_folder())
    recording = recordings.find(TurnKey("Plot it.").sha256)
    back = recordings.restore(recording, "cell-1")
    assert (recording.turn.status, len(back.artifacts), back.failed) == ("completed", 3, ())


def test_with_the_clock_set_back_a_fresh_answer_still_takes_the_place_of_the_older_one(recordings):
    make_recording(recordings, ASKED, {"table.csv": b"older\n"}, minute=60)
    fresh, _ = make_recording(recordings, ASKED, {"table.csv": b"fresh\n"}, minute=0)
    assert recordings.find(ASKED.sha256).files[0].sha256 == fresh.files[0].sha256
