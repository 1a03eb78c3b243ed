"""The folder of records is looked into again when something came or went, and what is served is read whole."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from tests_support.replaying import make_recording
from tests_support.saving import NOTEBOOK

from ipython_assistant.core.recording import Written
from ipython_assistant.errors import RecordingDamaged
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings
from ipython_assistant.workspace.upkeep import check

ASKED = Written("Plot it.")
OTHER = replace(ASKED, prompt="Plot it again.")


@pytest.fixture
def make(tmp_path):
    folders = []

    def make():
        folders.append(Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK))
        return Recordings(folders[-1])

    yield make
    for folder in folders:
        folder.close()


def settled(recordings):
    """As if nothing had come or gone for an hour: from now on the folder is remembered."""
    turns = recordings.folder.path / ".turns"
    hour_ago = turns.stat().st_mtime_ns - 3600 * 10**9
    os.utime(turns, ns=(hour_ago, hour_ago))
    assert recordings.find("0" * 64) is None


def test_what_another_kernel_records_or_removes_is_seen_though_the_folder_was_remembered(make):
    mine, theirs = make(), make()
    make_recording(mine, ASKED)
    settled(mine)
    make_recording(theirs, OTHER, cell="cell-2", minute=1)

    assert mine.find(OTHER.key) is not None
    settled(mine)
    mine.find(ASKED.key).path.unlink()
    assert mine.find(ASKED.key) is None
    assert [record.prompt for record in mine.all()] == ["Plot it again."]


def test_a_record_that_is_edited_in_place_is_never_served_though_the_folder_was_remembered(make):
    recordings = make()
    make_recording(recordings, ASKED)
    settled(recordings)
    path = recordings.find(ASKED.key).path
    path.write_text(path.read_text().replace("Plot it.", "Plot all"))

    with pytest.raises(RecordingDamaged, match=path.name):
        recordings.find(ASKED.key)
    assert [fault.path for fault in check(recordings)] == [path]


def test_an_older_record_that_is_put_in_the_place_of_another_is_read(make):
    recordings = make()
    make_recording(recordings, ASKED)
    make_recording(recordings, OTHER, cell="cell-2", minute=1)
    settled(recordings)
    paths = {record.prompt: recordings.find(Written(record.prompt).key).path for record in recordings.all()}
    paths["Plot it again."].replace(paths["Plot it."])

    assert recordings.find(ASKED.key) is None
    assert recordings.find(OTHER.key).path == paths["Plot it."]


def test_a_kernel_that_begins_to_work_here_is_seen_though_the_folder_was_remembered(make):
    mine, theirs = make(), make()
    make_recording(mine, ASKED)
    settled(mine)
    assert mine.folder.turns.ledger().at_work == {mine.folder.turns.kernel}
    theirs.folder.turns.begin()

    assert mine.folder.turns.ledger().at_work == {mine.folder.turns.kernel, theirs.folder.turns.kernel}
