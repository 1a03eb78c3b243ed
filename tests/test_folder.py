"""workspace.folder: where files go."""

from __future__ import annotations

import hashlib

import pytest

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.workspace.folder import Folder, Incoming


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, tmp_path / "assistant_files")


def save(folder, name, content, cell="cell 1", in_use=()):
    staging = folder.stage()
    staged = staging / "0.part"
    staged.write_bytes(content)
    try:
        incoming = Incoming(name, staged, len(content), hashlib.sha256(content).hexdigest(), "cited")
        return folder.save(incoming, cell, in_use)
    finally:
        folder.unstage(staging)


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "assistant_files").iterdir())


def test_a_file_keeps_its_name_and_knows_where_it_is(folder, tmp_path):
    artifact = save(folder, "by district.csv", b"a,b\n1,2\n")

    assert isinstance(artifact, Artifact)
    assert artifact.path.read_bytes() == b"a,b\n1,2\n"
    assert artifact.href == "assistant_files/by district.csv"
    assert (artifact.size, artifact.media_type) == (8, "text/csv")
    assert names(tmp_path) == ["by district.csv"]


def test_the_same_name_with_the_same_bytes_is_one_file_whichever_cell_made_it(folder, tmp_path):
    first, second = save(folder, "a.csv", b"1", "cell 1"), save(folder, "a.csv", b"1", "cell 2")

    assert first.path == second.path
    assert names(tmp_path) == ["a.csv"]


def test_a_cell_replaces_its_own_file(folder, tmp_path):
    save(folder, "a.csv", b"1")
    artifact = save(folder, "a.csv", b"2")

    assert artifact.path.read_bytes() == b"2"
    assert names(tmp_path) == ["a.csv"]


def test_another_cells_file_is_not_overwritten(folder, tmp_path):
    save(folder, "a.csv", b"1", "cell 1")
    artifact = save(folder, "a.csv", b"2", "cell 2")

    assert (artifact.name, artifact.own_name) == ("a-2.csv", "a.csv")
    assert (tmp_path / "assistant_files" / "a.csv").read_bytes() == b"1"


def test_a_file_that_another_cell_shows_is_not_replaced(folder, tmp_path):
    save(folder, "a.csv", b"1")
    artifact = save(folder, "a.csv", b"2", in_use={"a.csv"})

    assert artifact.name == "a-2.csv"


def test_a_file_the_user_changed_since_is_not_overwritten(folder, tmp_path):
    artifact = save(folder, "a.csv", b"1")
    artifact.path.write_bytes(b"my edits")
    again = save(folder, "a.csv", b"2")

    assert again.name == "a-2.csv"
    assert artifact.path.read_bytes() == b"my edits"


def test_a_file_that_was_there_before_is_not_overwritten(folder, tmp_path):
    (tmp_path / "assistant_files").mkdir()
    (tmp_path / "assistant_files" / "a.csv").write_bytes(b"old")

    assert save(folder, "a.csv", b"new").name == "a-2.csv"


def test_names_that_differ_only_in_case_or_normalisation_do_not_clash(folder, tmp_path):
    save(folder, "Café.csv", b"1", "cell 1")

    assert save(folder, "CAFE\u0301.csv", b"2", "cell 2").name == "CAFÉ-2.csv"


def test_a_link_in_the_way_is_not_followed(folder, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_bytes(b"mine")
    (tmp_path / "assistant_files").mkdir()
    (tmp_path / "assistant_files" / "a.csv").symlink_to(outside)
    artifact = save(folder, "a.csv", b"theirs")

    assert artifact.name == "a-2.csv"
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../up.csv", "/etc/up.csv", "..\\up.csv", "sub/up.csv"])
def test_no_name_leads_out_of_the_folder(folder, tmp_path, name):
    assert save(folder, name, b"1").path == tmp_path / "assistant_files" / "up.csv"


def test_staging_leaves_nothing_behind(folder, tmp_path):
    save(folder, "a.csv", b"1")
    save(folder, "a.csv", b"1")

    assert names(tmp_path) == ["a.csv"]


def test_a_staged_file_that_is_gone_is_a_failure_with_a_reason(folder):
    staging = folder.stage()
    outcome = folder.save(Incoming("a.csv", staging / "none.part", 1, "0", "cited"), "cell 1")
    folder.unstage(staging)

    assert isinstance(outcome, FailedArtifact)
    assert outcome.reason == "It could not be saved: No such file or directory."
