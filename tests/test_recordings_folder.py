"""Recordings on disk: found by what was written, brought back as they were, never served damaged, never lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests_support.events import Code, Message, logs
from tests_support.replaying import make_recording, replay
from tests_support.saving import NOTEBOOK, save_all

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.provenance import RecordedInput
from ipython_assistant.core.recording import Exchange, Written, integrity
from ipython_assistant.errors import RecordingDamaged
from ipython_assistant.workspace import bodies as bodies_module
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings
from ipython_assistant.workspace.regular import fingerprint
from ipython_assistant.workspace.upkeep import check, prune, size

ASKED = Written("Plot coverage by year.", inputs=(("a.csv", "ab"),))
TABLE, PICTURE = b"a,b\n1,2\n", b"\x89PNG" + bytes(5000)


@pytest.fixture
def make_folder(tmp_path):
    made = []

    def make(**environ):
        folder = Folder(tmp_path, tmp_path / "assistant_files", environ={**NOTEBOOK, **environ})
        made.append(folder)
        return folder

    yield make
    for folder in made:
        folder.close()


@pytest.fixture
def recordings(make_folder):
    return Recordings(make_folder(), max_bytes=10_000)


def saved(recordings):
    return {path.name: path.read_bytes() for path in recordings.folder.path.iterdir() if path.is_file()}


def turns_dir(recordings):
    return recordings.folder.path / ".turns"


def records(recordings):
    return sorted(turns_dir(recordings).glob("*.json"))


def bodies(recordings):
    return sorted(path.name for path in (turns_dir(recordings) / "bodies").glob("[!.]*"))


def aged(path):
    """As if it had been written an hour ago."""
    os.utime(path, ns=(path.stat().st_mtime_ns - 3600 * 10**9,) * 2)


# --- kept and brought back --------------------------------------------------------------------------------------------


def test_everything_comes_back_under_its_recorded_name_once_only_the_recordings_are_left(recordings, make_folder):
    save_all(recordings.folder, [("plot.png", b"somebody's")], "cell-0")
    record, _ = make_recording(recordings, ASKED, {"table.csv": TABLE, "plot.png": PICTURE})
    before = saved(recordings)
    for path in recordings.folder.path.glob("*.*"):
        if path.is_file():
            path.unlink()
    later = Recordings(make_folder())

    back = later.bring_back(later.find(ASKED.key), "cell-1")

    assert [(item.name, item.own_name) for item in back.artifacts] == [
        ("table.csv", "table.csv"),
        ("plot-2.png", "plot.png"),
    ]
    assert saved(later) == {name: content for name, content in before.items() if name != "plot.png"}
    assert (back.failed, back.notes) == ((), ())
    assert [item.sha256 for item in back.artifacts] == [file.sha256 for file in record.files]
    assert not list(later.folder.path.glob(".staging*"))


def test_a_file_that_its_user_changed_is_not_overwritten_and_it_is_said(recordings):
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    (recordings.folder.path / "table.csv").write_bytes(b"mine")

    for _ in range(2):  # the second time it is found where the first one put it
        back = recordings.bring_back(recordings.find(ASKED.key), "cell-1")
        assert [(item.name, item.own_name) for item in back.artifacts] == [("table-2.csv", "table.csv")]
        assert back.notes == ("table.csv is another file by now, so the recorded one is saved as table-2.csv.",)
        assert saved(recordings) == {"table.csv": b"mine", "table-2.csv": TABLE}


def test_all_files_of_a_recording_are_put_in_their_places_by_way_of_one_hidden_folder(recordings, monkeypatch):
    files = {f"{number}.csv": b"n\n%d\n" % number for number in range(20)}
    make_recording(recordings, ASKED, files)
    for name in files:
        (recordings.folder.path / name).unlink()
    made = []
    stage = recordings.folder.stage
    monkeypatch.setattr(recordings.folder, "stage", lambda: made.append(stage()) or made[-1])

    assert len(recordings.bring_back(recordings.find(ASKED.key), "cell-1").artifacts) == 20
    assert saved(recordings) == files
    assert [path.exists() for path in made] == [False]


def test_a_prompt_that_is_edited_and_put_back_brings_the_cells_first_files_back(recordings):
    edited = replace(ASKED, prompt="Plot coverage by month.")
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    make_recording(recordings, edited, {"table.csv": b"a,b\n3,4\n"}, minute=1)
    assert saved(recordings) == {"table.csv": b"a,b\n3,4\n"}

    back = recordings.bring_back(recordings.find(ASKED.key), "cell-1")

    assert saved(recordings) == {"table.csv": TABLE}
    assert back.notes == ()


def test_what_is_there_unchanged_is_not_touched_and_not_read_again(recordings, monkeypatch):
    make_recording(recordings, ASKED, {"table.csv": TABLE, "plot.png": PICTURE})
    paths = [recordings.folder.path / name for name in ("table.csv", "plot.png")]
    for path in paths:
        aged(path)
    before = [fingerprint(path) for path in paths]
    recordings.bring_back(recordings.find(ASKED.key), "cell-1")
    monkeypatch.setattr(bodies_module, "sha256_of", lambda path: pytest.fail(f"{path.name} is read again"))

    back = recordings.bring_back(recordings.find(ASKED.key), "cell-1")

    assert [item.path for item in back.artifacts] == paths
    assert [fingerprint(path) for path in paths] == before


def test_a_file_too_large_to_be_recorded_is_said_and_found_among_the_saved_files(recordings):
    large = bytes(20_000)
    record, notes = make_recording(recordings, ASKED, {"large.bin": large, "table.csv": TABLE})
    said = "Over 0.01 MB, so not in the recording: large.bin. A replay needs the saved file."
    assert notes[-1] == said
    assert recordings.find(ASKED.key).record.notes[-1] == said
    assert bodies(recordings) == [record.files[1].sha256]

    assert recordings.bring_back(recordings.find(ASKED.key), "cell-1").failed == ()
    (recordings.folder.path / "large.bin").rename(recordings.folder.path / "kept elsewhere.bin")
    back = recordings.bring_back(recordings.find(ASKED.key), "cell-1")
    assert [item.name for item in back.artifacts] == ["table.csv"]
    assert [(item.name, "too large to be recorded" in item.reason) for item in back.failed] == [("large.bin", True)]


def test_a_body_is_a_copy_that_does_not_change_with_the_saved_file(recordings):
    make_recording(recordings, ASKED, {"table.csv": TABLE, "same.csv": TABLE})
    with (recordings.folder.path / "table.csv").open("r+b") as file:
        file.write(b"changed")

    (body,) = bodies(recordings)
    path = turns_dir(recordings) / "bodies" / body
    assert (path.read_bytes(), path.stat().st_nlink) == (TABLE, 1)


def test_the_first_recording_in_a_folder_says_so_and_a_replay_says_it_too(recordings):
    _, first = make_recording(recordings, ASKED, {"table.csv": TABLE})
    _, second = make_recording(recordings, replace(ASKED, prompt="More."), minute=1)

    assert first == ("Answers are recorded from now on, in assistant_files/.turns; its README says what that holds.",)
    assert second == ()
    assert recordings.find(ASKED.key).record.notes == first


def test_a_recording_that_cannot_be_kept_is_said_and_its_turn_is_recorded_all_the_same(recordings):
    turns_dir(recordings).mkdir(parents=True)
    (turns_dir(recordings) / "bodies").write_text("in the way")
    _, notes = make_recording(recordings, ASKED, {"table.csv": TABLE})

    assert notes[0].startswith("This answer could not be recorded: ")
    assert recordings.find(ASKED.key) is None
    assert len(records(recordings)) == 1


# --- found ------------------------------------------------------------------------------------------------------------


def test_the_better_recording_answers_and_the_other_stays_beside_it(recordings):
    whole, _ = make_recording(recordings, ASKED)
    make_recording(recordings, ASKED, minute=1, status="refused")
    make_recording(recordings, ASKED, minute=2, service="local")
    make_recording(recordings, ASKED, minute=3, status="interrupted")
    make_recording(recordings, ASKED, minute=4, missing=(FailedArtifact("a.csv", "It had not come."),))

    assert len(records(recordings)) == 5
    assert recordings.find(ASKED.key).record.began == whole.began
    assert recordings.find(ASKED.key, {"local"}).record.service == "local"
    assert recordings.find(ASKED.key, {"azure"}) is None
    assert recordings.services() == {"openai", "local"}
    later, _ = make_recording(recordings, ASKED, minute=5)
    assert recordings.find(ASKED.key).record.began == later.began


def test_an_answer_that_lacks_files_is_replayed_only_where_that_is_accepted(recordings):
    lost = FailedArtifact("a.csv", "It had not come.", "cntr_1", "cfile_1")
    make_recording(recordings, ASKED, missing=(lost,))

    assert recordings.find(ASKED.key) is None
    found = recordings.find(ASKED.key, with_missing=True)
    assert recordings.bring_back(found, "cell-1").failed == (lost,)


def test_another_key_finds_nothing_and_is_told_the_nearest(recordings):
    above, _ = make_recording(recordings, Written("Load the table."))
    asked = replace(ASKED, parent=above.digest)
    make_recording(recordings, asked, minute=1)
    make_recording(recordings, Written("Something else entirely?"), minute=2)
    other = replace(asked, inputs=(("a.csv", "cd"),), parent="e" * 64)

    assert recordings.find(other.key) is None
    error = recordings.not_recorded(other)
    assert str(error).splitlines()[-3:] == [
        f"The nearest in {recordings.folder.path / '.turns'} is “Plot coverage by year.” of 2026-01-15. What differs:",
        "  what the input a.csv holds",
        "  the answer before it (it follows “an answer that is not recorded”; recorded after “Load the table.”)",
    ]
    assert "ipython-assistant record NOTEBOOK" in error.hint


def test_a_question_whose_predecessor_changed_is_known(recordings):
    table, _ = make_recording(recordings, Written("Load the table."))
    anew, _ = make_recording(recordings, Written("Load the table."), items=[Message("Other.")], minute=1)
    other, _ = make_recording(recordings, Written("Load the map."), minute=2)
    asked = replace(ASKED, parent=table.digest)
    make_recording(recordings, asked, minute=3)

    assert recordings.asked_because(asked) == ""
    assert recordings.asked_because(replace(asked, prompt="Plot.", parent=other.digest)) == ""
    recorded = "This question was recorded after “Load the table.” and now comes"
    told = {
        anew.digest: f"{recorded} after another answer to that, so it is asked anew.",
        other.digest: f"{recorded} after “Load the map.”, so it is asked anew.",
        "": f"{recorded} at the beginning, so it is asked anew.",
    }
    for parent, said in told.items():
        assert recordings.asked_because(replace(asked, parent=parent)) == said


def test_where_nothing_is_recorded_that_is_said(recordings):
    assert recordings.find(ASKED.key) is None
    assert recordings.nearest(ASKED) is None
    said = str(recordings.not_recorded(ASKED))
    assert f"Nothing is recorded in {recordings.folder.path / '.turns'}." in said
    assert "IPYTHON_ASSISTANT_DIR" in said
    assert not recordings.folder.path.exists()


# --- damaged ----------------------------------------------------------------------------------------------------------


def edit(path):
    body = json.loads(path.read_text())
    body["exchange"]["events"][0]["type"] = "other"
    path.write_text(json.dumps(body))


DAMAGE = {
    "edited": edit,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "emptied below its head": lambda path: path.write_bytes(path.read_bytes()[:400]),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_record_is_named_not_served_and_not_written_over(how, recordings):
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    (path,) = records(recordings)
    DAMAGE[how](path)
    damaged = path.read_bytes()

    with pytest.raises(RecordingDamaged, match=path.name) as error:
        recordings.find(ASKED.key)
    assert "--fresh" in error.value.hint
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    assert recordings.find(ASKED.key).path != path
    assert path.read_bytes() == damaged
    assert [fault.path for fault in check(recordings)] == [path]


def edit_key(path):
    text = path.read_text()
    key = json.loads(text)["key"]
    path.write_text(text.replace(key, ("0" if key[0] != "0" else "1") + key[1:]))


KEYLESS = {
    "empty": lambda path: path.write_bytes(b""),
    "cut at its key": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "its key edited": edit_key,
}


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("how", KEYLESS)
def test_a_damaged_record_whose_key_cannot_be_read_is_named_before_its_question_is_asked_anew(how, renamed, recordings):
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    (path,) = records(recordings)
    KEYLESS[how](path)
    if renamed:
        path = path.rename(path.with_name("copy of it.json"))

    assert recordings.find(ASKED.key) is None
    (fault,) = check(recordings)
    assert fault.path == path
    assert f"  {path}: {fault.reason}" in str(recordings.not_recorded(ASKED)).splitlines()
    if how != "its key edited" or not renamed:
        named = f"This question may be recorded in assistant_files/.turns/{path.name}, but {fault.reason};"
        assert recordings.asked_because(ASKED) == f"{named} so it is asked anew."
    assert (recordings.asked_because(Written("Who bought?")) == "") == (not renamed or how == "its key edited")


@pytest.mark.parametrize("how", ["edited", "cut", "gone"])
def test_a_damaged_body_is_named_not_served_and_nothing_is_put_anywhere(how, recordings):
    record, _ = make_recording(recordings, ASKED, {"a.csv": b"first\n", "table.csv": TABLE})
    for name in ("a.csv", "table.csv"):
        (recordings.folder.path / name).unlink()
    body = turns_dir(recordings) / "bodies" / record.files[1].sha256
    {
        "edited": lambda: body.write_bytes(TABLE.replace(b"1", b"7")),
        "cut": lambda: body.write_bytes(TABLE[:3]),
        "gone": body.unlink,
    }[how]()

    with pytest.raises(RecordingDamaged, match=body.name):
        recordings.bring_back(recordings.find(ASKED.key), "cell-1")
    assert saved(recordings) == {}
    assert {fault.path for fault in check(recordings)} == {body}


def test_a_damaged_body_is_made_whole_when_the_question_is_asked_anew(recordings):
    record, _ = make_recording(recordings, ASKED, {"table.csv": TABLE})
    (turns_dir(recordings) / "bodies" / record.files[0].sha256).write_bytes(b"other")
    make_recording(recordings, ASKED, {"table.csv": TABLE}, minute=1)

    assert check(recordings) == ()


# --- what is never recorded -------------------------------------------------------------------------------------------


def test_nothing_of_this_machine_or_its_account_and_no_input_gets_into_a_recording(make_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ada"))
    planted = {
        "OPENAI_API_KEY": "sk-planted-1234567890",
        "OPENAI_ORG_ID": "org-planted-123456",
        "OPENAI_PROJECT_ID": "proj-planted-12345",
    }
    recordings = Recordings(make_folder(**planted))
    said = " ".join([*planted.values(), str(tmp_path), str(tmp_path / "home" / "ada")])
    make_recording(
        recordings,
        Written(said, instructions=said),
        {"table.csv": b"printed marker\n"},
        [Code(f"# {said}", (logs(said),)), Message(said)],
        inputs=(RecordedInput("a.csv", 3, "ab", said),),
        exchange=Exchange(({"type": "response.output_text.delta", "delta": said},), {"input": said, "tools": [said]}),
        notes=(said,),
    )
    everything = b"".join(
        path.name.encode() + path.read_bytes() for path in turns_dir(recordings).rglob("*") if path.is_file()
    )

    assert b"printed marker" in everything
    for word in ("planted", "home/ada", str(tmp_path), "input marker"):
        assert word.encode() not in everything


# --- several, and crashes ---------------------------------------------------------------------------------------------


def test_two_kernels_that_record_into_one_folder_lose_nothing(make_folder):
    each = [Recordings(make_folder()) for _ in range(2)]
    together = threading.Barrier(2)

    def record(number):
        together.wait()
        for turn in range(15):
            files = {"same.csv": TABLE, f"{number}-{turn}.csv": b"%d,%d\n" % (number, turn)}
            make_recording(each[number], Written(f"{number}-{turn}"), files, cell=f"cell-{number}-{turn}", minute=turn)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    later = Recordings(make_folder())
    found = [later.find(Written(f"{number}-{turn}").key) for number in range(2) for turn in range(15)]
    assert all(found)
    assert [file.kept for recording in found for file in recording.record.files] == [True] * 60
    assert check(later) == ()


RECORD_AND_DIE = """
import sys
from pathlib import Path
from tests_support.replaying import make_recording
from ipython_assistant.core.recording import Written
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings

directory = Path(sys.argv[1])
recordings = Recordings(Folder(directory, directory / "assistant_files", environ={}, kernel="abcdefabcdef"))
number = 0
while True:
    number += 1
    files = {f"{name}.bin": bytes([number % 256, name]) * 2_000_000 for name in range(3)}
    make_recording(recordings, Written("Plot it."), files, minute=number)
    print(number, flush=True)
"""


def test_a_kernel_that_is_killed_while_it_records_leaves_the_recordings_before_whole(make_folder, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", RECORD_AND_DIE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["tests", "."])},
        cwd=Path(__file__).parent.parent,
    )
    bodies_dir = tmp_path / "assistant_files" / ".turns" / "bodies"
    assert child.stdout.readline() == "1\n"
    while not list(bodies_dir.glob(".*.tmp")):  # it is in the middle of a copy
        assert child.poll() is None
    child.kill()
    child.communicate()

    recordings = Recordings(make_folder())
    recording = recordings.find(Written("Plot it.").key)
    turn, back = replay(recordings, recording)
    assert (turn.status, len(back.artifacts), back.failed) == ("completed", 3, ())
    assert check(recordings) == ()
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    assert not list(bodies_dir.glob(".*.tmp"))


# --- looked after -----------------------------------------------------------------------------------------------------


def test_pruning_removes_what_is_never_replayed_and_nothing_that_is_needed(recordings):
    make_recording(recordings, ASKED, {"table.csv": b"old\n"})
    make_recording(recordings, ASKED, {"table.csv": TABLE}, minute=1)
    make_recording(recordings, replace(ASKED, prompt="More."), {"more.csv": b"more\n"}, cell="cell-2", minute=2)
    for body in bodies(recordings):
        aged(turns_dir(recordings) / "bodies" / body)
    before = size(recordings)
    assert (before.records, before.recordings, before.bodies) == (3, 3, 3)

    pruned = prune(recordings)

    assert (pruned.recordings, pruned.bodies, pruned.remarks) == (1, 1, ())
    after = size(recordings)
    assert (after.recordings, after.bodies) == (2, 2)
    assert before.total_bytes - after.total_bytes == pruned.freed_bytes
    assert recordings.bring_back(recordings.find(ASKED.key), "cell-1").failed == ()
    assert check(recordings) == ()


def test_pruning_leaves_a_record_that_alone_knows_of_a_file_and_a_body_that_is_new(recordings):
    make_recording(recordings, ASKED, {"old.csv": b"old\n"})
    make_recording(recordings, ASKED, {"table.csv": TABLE}, minute=1)
    (turns_dir(recordings) / "bodies" / ("a" * 64)).write_bytes(b"of a recording that is just being written")

    pruned = prune(recordings)

    assert (pruned.recordings, pruned.bodies) == (0, 0)
    assert "old.csv" in pruned.remarks[0]
    assert len(records(recordings)) == 2
    (recordings.folder.path / "old.csv").unlink()
    assert prune(recordings).recordings == 1


def test_no_body_is_removed_while_a_record_cannot_be_read(recordings):
    make_recording(recordings, ASKED, {"table.csv": TABLE})
    (path,) = records(recordings)
    path.write_bytes(path.read_bytes()[:-20])
    for body in bodies(recordings):
        aged(turns_dir(recordings) / "bodies" / body)

    assert prune(recordings).remarks == (f"No bodies were removed: {path.name} cannot be read, and may need them.",)
    assert len(bodies(recordings)) == 1


# --- one bad record is named and passed over --------------------------------------------------------------------------


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


BAD = {
    "a format that is a list": lambda body: body | {"format": []},
    "nested 600 deep": lambda body: body | {"written": {"prompt": nested(600)}},
    "an exchange nested 900 deep": lambda body: (
        body | {"exchange": {**body["exchange"], "events": [{"a": nested(900)}]}}
    ),
    "a size of 400 digits": lambda body: body | {"files": [body["files"][0] | {"size": 10**400}]},
    "inputs that are a number": lambda body: body | {"written": {"prompt": "Ask.", "inputs": 1}},
    "an input whose name is a list": lambda body: body | {"written": {"prompt": "Ask.", "inputs": [[]]}},
    "a file found in no way there is": lambda body: body | {"files": [body["files"][0] | {"found": []}]},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_record_is_named_and_the_cells_of_its_folder_go_on(tmp_path, change):
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ={})
    recordings = Recordings(folder)
    make_recording(recordings, Written("Bad."), {"bad.csv": b"1"})
    make_recording(recordings, Written("Good."), {"good.csv": b"1"}, minute=1)
    (bad,) = folder.turns.path.glob("bad-*.json")
    body = change(json.loads(bad.read_text()))
    body["integrity"] = integrity(body)
    bad.write_text(json.dumps(body))
    folder.turns.forget()

    assert [item.name for item in folder.turns.read_all()[1]] == [bad.name]
    assert recordings.find(Written("Good.").key) is not None
    assert bad.name in recordings.not_recorded(Written("Bad.")).hint
    with pytest.raises(RecordingDamaged, match=bad.name):
        recordings.find(Written("Bad.").key)
