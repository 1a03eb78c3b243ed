"""The record of a turn: what it holds, what it never holds, and how it is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.saving import BEGAN, NOTEBOOK, recorded, save_all, write_notebook

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.conversation import Upload
from ipython_assistant.core.ledger import Ledger, NotebookFile, answers
from ipython_assistant.core.provenance import (
    LONGEST_LOGS,
    RecordedCall,
    RecordedFile,
    RecordedInput,
    TurnRecord,
    from_json,
    record_of,
    stamp,
    to_json,
)
from ipython_assistant.core.recording import Exchange, Written, integrity
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.tool_secrets import without_secrets
from ipython_assistant.core.turn import CodeCall, Turn
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.provenance import Turns, notebooks_in, recorded_inputs

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")

TEXT = st.text(st.characters() | st.sampled_from("\r\n\x0b\x85\u2028\u202e\ud800\\\"'"), max_size=30)
SAVED_NAMES = st.text(st.characters(exclude_characters="/\\:\0"), min_size=1, max_size=20).filter(
    lambda name: name[0] != "."
)
FILES = st.builds(
    RecordedFile,
    name=SAVED_NAMES,
    own_name=TEXT,
    size=st.integers(0, 2**60),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    media_type=TEXT,
    container_id=TEXT,
    file_id=TEXT,
    found=st.sampled_from(["cited", "listed", "figure"]),
    ours=st.booleans(),
    kept=st.booleans(),
    repeated=st.booleans(),
)
PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXT, parts, max_size=3),
    max_leaves=6,
)
EVENTS = st.dictionaries(TEXT, PARTS, max_size=4)
WRITTEN = st.builds(
    Written,
    prompt=TEXT.map(str.strip),
    model=st.none() | TEXT.filter(bool),
    instructions=st.none() | TEXT.filter(bool),
    tools=st.none() | st.tuples(EVENTS.filter(bool).map(without_secrets)),
    effort=st.none() | st.just("high"),
    no_code=st.none() | st.just(True),
    outputs=st.sets(TEXT, max_size=2).map(sorted).map(tuple),
    inputs=st.dictionaries(TEXT, TEXT, max_size=2).map(lambda named: tuple(sorted(named.items()))),
    parent=TEXT,
)
EXCHANGES = st.builds(
    Exchange,
    events=st.lists(EVENTS, max_size=3).map(tuple),
    request=EVENTS,
    status=st.integers(200, 299),
    headers=st.dictionaries(TEXT, TEXT, max_size=2),
)
RECORDS = st.builds(
    TurnRecord,
    prompt=TEXT,
    cell=TEXT,
    service=TEXT,
    model=TEXT,
    response_id=TEXT,
    status=TEXT,
    began=TEXT,
    ended=TEXT,
    inputs=st.lists(st.builds(RecordedInput, TEXT, st.none() | st.integers(0, 2**60), TEXT, TEXT), max_size=2).map(
        tuple
    ),
    calls=st.lists(st.builds(RecordedCall, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    files=st.lists(FILES, max_size=2).map(tuple),
    missing=st.lists(st.builds(FailedArtifact, TEXT, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    notebook=TEXT,
    kernel=TEXT,
    notes=st.lists(TEXT, max_size=2).map(tuple),
    key=TEXT,
    written=st.none() | WRITTEN,
    digest=TEXT,
    exchange=st.none() | EXCHANGES,
)


@pytest.fixture
def turns(tmp_path):
    turns = Turns(tmp_path / "assistant_files", notebook="analysis.ipynb")
    yield turns
    turns.end()


def a_record(prompt="Plot coverage by year.\nOne line for each district.", cell="cell-1", minute=0, **more):
    return recorded(cell, [], prompt=prompt, minute=minute, **more)


def on_disk(turns):
    return sorted(path.name for path in turns.path.glob("*.json"))


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_a_record_says_who_was_asked_what_with_which_inputs_and_what_came_of_it(tmp_path):
    source = tmp_path / "coverage.csv"
    source.write_bytes(b"district,year,coverage\nA,2024,0.5\n")
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK, kernel="0123456789ab")
    saved = save_all(folder, [("by district.csv", b"a,b\n1,2\n")])
    calls = (CodeCall("ci_1", "cntr_1", "x = 1\nprint(x)\n", "completed", ("1\n",)),)
    turn = Turn(response_id="resp_1", model="some-model-2026", status="completed", items=calls)
    record = record_of(
        turn,
        prompt="Mean per district.\nSave it.",
        cell="cell-1",
        service="openai",
        model="some-model",
        status="completed",
        began=BEGAN,
        ended=BEGAN.astimezone(timezone(timedelta(hours=5, minutes=30))) + timedelta(seconds=42),
        inputs=recorded_inputs([Upload("coverage.csv", source, "ab12", "a file")]),
        artifacts=saved,
        failed=[FailedArtifact("lost.png", "It had not come after 300 s.", "cntr_1", "cfile_2")],
    )

    assert folder.record(record) == ()
    (path,) = (tmp_path / "assistant_files" / ".turns").glob("*.json")
    assert path.name.startswith("mean-per-district-save-it-")
    body = json.loads(path.read_text())
    assert body.pop("integrity") == integrity(body)
    assert body == {
        "format": 2,
        "key": "",
        "digest": "",
        "prompt": ["Mean per district.\n", "Save it."],
        "notebook": "analysis.ipynb",
        "cell": "cell-1",
        "kernel": "0123456789ab",
        "service": "openai",
        "model": "some-model-2026",
        "response_id": "resp_1",
        "status": "completed",
        "began": "2026-01-15T09:30:00.000Z",
        "ended": "2026-01-15T09:30:42.000Z",
        "inputs": [{"name": "coverage.csv", "size": 34, "sha256": "ab12", "description": "a file"}],
        "calls": [{"status": "completed", "code": ["x = 1\n", "print(x)\n"], "logs": ["1\n"]}],
        "files": [
            {
                "name": "by district.csv",
                "own_name": "by district.csv",
                "size": 8,
                "sha256": "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470",
                "media_type": "text/csv",
                "container_id": "",
                "file_id": "",
                "found": "cited",
                "ours": True,
                "kept": False,
                "repeated": False,
            }
        ],
        "missing": [
            {
                "name": "lost.png",
                "reason": "It had not come after 300 s.",
                "container_id": "cntr_1",
                "file_id": "cfile_2",
            }
        ],
        "notes": [],
        "written": None,
        "exchange": None,
    }
    assert path.read_bytes().endswith(b"}\n")
    folder.close()


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record):
    assert from_json(to_json(record).encode().decode()) == record


@given(RECORDS)
def test_nothing_in_a_record_hides_or_reorders_what_is_around_it(record):
    assert not set(to_json(record)) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u200b\ufeff\u2028\x85\x1b\r")


FORMAT_1 = """{
  "format": 1, "prompt": ["Plot ", "it."], "notebook": "a.ipynb", "cell": "cell-1", "kernel": "0123456789ab",
  "service": "local", "model": "basic", "response_id": "resp_1", "status": "completed",
  "began": "2026-01-15T09:30:00Z", "ended": "2026-01-15T09:30:42Z", "inputs": [], "calls": [],
  "files": [{"name": "a.csv", "own_name": "a.csv", "size": 8, "sha256": "ab", "media_type": "text/csv",
             "container_id": "", "file_id": "", "found": "cited", "ours": true}],
  "missing": []
}"""


def test_a_record_of_the_first_format_is_read_as_provenance_and_nothing_is_answered_from_it():
    record = from_json(FORMAT_1)

    assert (record.prompt, record.files[0].name, record.files[0].ours) == ("Plot it.", "a.csv", True)
    assert (record.key, record.exchange, record.written) == ("", None, None)
    assert not answers(record, with_missing=True)


@given(RECORDS, st.data())
def test_a_record_that_was_edited_or_cut_is_never_read(record, data):
    text = to_json(record)
    body = json.loads(text)
    name = data.draw(st.sampled_from([name for name in body if name not in {"integrity", "format"}]))
    body[name] = data.draw(PARTS.filter(lambda part: json.dumps(part) != json.dumps(body[name])))
    at = data.draw(st.integers(0, len(text) - 2))

    for damaged in (json.dumps(body), text[:at]):
        with pytest.raises(ValueError):
            from_json(damaged)


@given(RECORDS)
def test_a_record_may_be_written_in_another_form_as_long_as_it_says_the_same(record):
    assert from_json(json.dumps(json.loads(to_json(record)), sort_keys=True, indent=1).replace("\n", "\r\n")) == record


def test_each_event_is_a_line_of_its_own():
    exchange = Exchange(({"type": "a", "text": "one\ntwo"}, {"type": "b"}))
    lines = to_json(replace(a_record(), exchange=exchange)).splitlines()

    assert '      {"type": "a", "text": "one\\ntwo"},' in lines
    assert lines.index('      {"type": "b"}') == len(lines) - 4


def test_very_long_logs_are_cut_in_the_middle_and_it_is_said():
    call = CodeCall("ci_1", "cntr_1", "", "completed", ("a" * LONGEST_LOGS + "b" * 5000,))
    record = record_of(
        Turn(items=(call,)), prompt="", cell="", service="", model="", status="", began=BEGAN, ended=BEGAN
    )

    assert "5,000 characters left out" in record.calls[0].logs
    assert record.calls[0].logs.endswith("b" * 5000)


def test_an_input_that_is_no_longer_there_is_recorded_without_its_size(tmp_path):
    assert recorded_inputs([Upload("a.csv", tmp_path / "gone.csv", "ab12", "a file")])[0].size is None


def test_a_folder_of_records_says_what_it_is_and_what_may_hold_data(turns, tmp_path):
    turns.write(a_record())
    readme = tmp_path / "assistant_files" / ".turns" / "README"

    assert "What may hold data" in readme.read_text()
    readme.write_text("mine")
    turns.write(a_record(minute=1))
    assert readme.read_text() == "mine"


EARLIER_README = """\
Each JSON file here is the record of one turn: a question asked with %%assistant, and what came of it. They are written
by ipython_assistant and may be read, committed, or deleted; without them it no longer knows which files it made.

What may hold data: "prompt" (what was asked), "description" of the inputs, "code" and "logs" (what ran and what it
printed), and the names of files. Contents of files, keys, absolute paths and names of machines are not recorded;
inputs are known by name, size and hash alone.
"""


def test_the_readme_of_the_first_format_is_replaced_since_more_is_recorded_now(turns, tmp_path):
    readme = tmp_path / "assistant_files" / ".turns" / "README"
    readme.parent.mkdir(parents=True)
    readme.write_text(EARLIER_README)
    turns.write(a_record())

    assert "Contents of files" not in readme.read_text()
    assert "bodies/" in readme.read_text()


def test_what_a_killed_kernel_left_unfinished_is_removed_and_what_one_at_work_writes_is_not(tmp_path):
    other = Turns(tmp_path)
    other.write(a_record())
    left, under_way = (tmp_path / ".turns" / f".{name}-0123456789ab.tmp" for name in ("fedcba987654", other.kernel))
    for path in (left, under_way):
        path.write_text("half")
    turns = Turns(tmp_path)
    turns.write(a_record(minute=1))
    turns.end()
    other.end()

    assert (left.exists(), under_way.exists()) == (False, True)


# --- what it never holds ----------------------------------------------------------------------------------------------


def test_no_key_and_no_folder_of_the_machine_gets_into_a_record(tmp_path, monkeypatch):
    environ = {
        "OPENAI_API_KEY": "sk-planted-1234567890",
        "HUB_TOKEN": "hub-planted-1234567890",
        "SHORT_KEY": "a",
    }
    notebook_dir = tmp_path / "work"
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ada"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home" / "ada"))
    said = (
        "sk-planted-1234567890 hub-planted-1234567890 sk-planted-typed-1234567890: "
        f"{notebook_dir}/a.csv, {tmp_path}/home/ada/.ssh, a data"
    )
    call = CodeCall("ci_1", "cntr_1", f"# {said}", "completed", (repr(said),))
    source = tmp_path / "a.csv"
    source.write_text("input marker")
    folder = Folder(notebook_dir, notebook_dir / "assistant_files", environ=environ)
    folder.record(
        record_of(
            Turn(items=(call,)),
            prompt=said,
            cell=f"vscode-notebook-cell:{tmp_path}/home/ada/analysis.ipynb#W0sZmlsZQ",
            service="openai",
            model="some-model",
            status="failed",
            began=BEGAN,
            ended=BEGAN,
            inputs=recorded_inputs([Upload("a.csv", source, "ab12", said)]),
            failed=[FailedArtifact("b.csv", said)],
        )
    )
    folder.close()
    (path,) = (notebook_dir / "assistant_files" / ".turns").glob("*.json")
    text = path.read_text() + path.name

    for planted in ("planted", str(tmp_path), "input marker"):
        assert planted not in text
    assert text.count("./a.csv, ~/.ssh, a data") == 5


@given(RECORDS)
def test_redaction_leaves_nothing_of_what_it_is_given(record):
    key = "open-sesame-0123456789-0123456789"
    calls = tuple(replace(call, code=f"{call.code}{key}", logs=f"{key}{call.logs}") for call in record.calls)
    redacted = replace(record, prompt=f"{record.prompt}{key}", calls=calls).redacted(redactor([key]))

    assert redacted.prompt == f"{record.prompt}<secret>"
    assert [(call.code, call.logs) for call in redacted.calls] == [
        (f"{call.code}<secret>", f"<secret>{call.logs}") for call in record.calls
    ]
    assert (redacted.files, redacted.response_id) == (record.files, record.response_id)


# --- how it is kept ---------------------------------------------------------------------------------------------------


def test_a_turn_that_is_recorded_again_has_one_record(turns):
    turns.write(a_record())
    turns.write(a_record(status="failed"))

    assert [record.status for record in turns.read_all()[0]] == ["failed"]
    assert len(on_disk(turns)) == 1


def test_a_turn_keeps_its_record_when_its_cell_runs_again(turns):
    turns.write(a_record())
    turns.write(a_record(minute=1))

    assert [record.began for record in turns.read_all()[0]] == ["2026-01-15T09:30:00.000Z", "2026-01-15T09:31:00.000Z"]


def test_a_response_that_is_shown_again_has_one_record(turns):
    turns.write(a_record(prompt="", cell="response resp_1"))
    turns.write(a_record(prompt="", cell="response resp_1", minute=5))

    assert on_disk(turns) == [turns.read_all()[0][0].file_name]
    assert on_disk(turns)[0].startswith("response-resp-1-")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not whole JSON"),
        (b'{"format": 1, "prompt": "a", ', "it is not whole JSON"),
        (b"[" * 100_000, "it is not whole JSON"),
        (b"[]", "it is not the record of a turn"),
        (b"\xff\xfe", "it is not text"),
        (b'{"format": 3}', "its format is 3, and this version reads 1 and 2"),
        (b'{"format": 1}', "'prompt' is not a text"),
        (b'{"format": 2}', "it was changed since it was written"),
    ],
)
def test_a_damaged_record_is_named_skipped_and_never_written_over(turns, content, reason):
    path = turns.write(a_record())
    path.write_bytes(content)
    other = turns.write(a_record(cell="cell-2"))
    again = turns.write(a_record())

    records, damaged = turns.read_all()
    assert [(item.name, item.reason) for item in damaged] == [(path.name, reason)]
    assert {record.cell for record in records} == {"cell-1", "cell-2"}
    assert path.read_bytes() == content
    assert len({path, other, again}) == 3


@pytest.mark.parametrize(
    "name", ["../outside.csv", "/etc/passwd", ".turns", "C:x", "a\\b", "", ".staging-1", "a\0b", "sub/a.csv"]
)
def test_a_record_that_somebody_else_made_names_nothing_outside_the_folder(turns, name):
    path = turns.write(a_record())
    body = json.loads(path.read_text())
    body["files"] = [
        {
            "name": name,
            "own_name": "a",
            "size": 1,
            "sha256": "",
            "media_type": "",
            "container_id": "",
            "file_id": "",
            "found": "cited",
            "ours": True,
        }
    ]
    body["integrity"] = integrity(body)
    path.write_text(json.dumps(body))

    records, damaged = turns.read_all()
    assert records == ()
    assert damaged[0].reason == "it names a file outside its folder"


@posix_only
def test_a_link_among_the_records_is_not_followed(turns, tmp_path):
    path = turns.write(a_record())
    outside = tmp_path / "outside.json"
    path.rename(outside)
    path.symlink_to(outside)
    before = outside.read_bytes()
    turns.write(a_record(status="failed"))

    assert outside.read_bytes() == before
    assert [item.reason for item in turns.read_all()[1]] == ["a link is in its place, and links are not followed"]


@posix_only
def test_a_link_in_place_of_the_folder_of_records_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK)
    saved = save_all(folder, [("a.csv", b"1")])
    (tmp_path / "assistant_files" / ".turns").symlink_to(outside)

    (note,) = folder.record(recorded("cell-1", saved))
    assert note == "The record of this turn could not be kept: a link is in its place, and links are not followed."
    assert list(outside.iterdir()) == []
    assert save_all(folder, [("a.csv", b"2")], turn="next")[0].name == "a.csv"


def test_a_record_that_cannot_be_kept_is_said_and_raises_nothing(tmp_path):
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK)
    (tmp_path / "assistant_files").write_text("a note")

    assert folder.record(a_record()) == (
        "The record of this turn could not be kept: a file is where a folder should be.",
    )


def test_a_crash_while_a_record_is_written_leaves_the_one_before(turns, monkeypatch):
    path = turns.write(a_record())
    before = path.read_bytes()

    def crash(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="No space left"):
        turns.write(a_record(status="failed"))

    assert path.read_bytes() == before
    assert on_disk(turns) == [path.name]
    assert not list(path.parent.glob(".*.tmp"))


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests_support.saving import recorded
from ipython_assistant.workspace.provenance import Turns

turns = Turns(Path(sys.argv[1]), notebook="analysis.ipynb")
turns.write(recorded("cell-1", [], prompt="x" * 1_000_000))
print(turns.kernel, flush=True)
number = 0
while True:
    number += 1
    turns.write(recorded("cell-1", [], prompt="x" * 1_000_000, status=f"again {number}"))
"""


def test_a_kernel_that_is_killed_while_it_writes_leaves_whole_records_and_is_known_to_be_no_more(turns, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_DIE, str(tmp_path / "assistant_files")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["tests", "."])},
        cwd=Path(__file__).parent.parent,
    )
    kernel = child.stdout.readline().strip()
    turns.begin()
    assert turns.at_work() == {kernel, turns.kernel}
    while "again" not in turns.read_all()[0][0].status:
        assert child.poll() is None
    child.kill()
    child.communicate()

    records, damaged = turns.read_all()
    assert (len(records), damaged) == (1, ())
    assert turns.at_work() == {turns.kernel}


def test_a_kernel_that_has_ended_is_no_longer_at_work(tmp_path):
    one, other = Turns(tmp_path), Turns(tmp_path)
    one.begin()
    other.begin()
    assert one.at_work() == {one.kernel, other.kernel}
    other.end()
    other.end()

    assert one.at_work() == {one.kernel}
    one.end()
    assert list((tmp_path / ".turns").glob("*.lock")) == []


# --- all records together ---------------------------------------------------------------------------------------------


def ledger_of(*records, notebooks=(), at_work=()):
    return Ledger(tuple(records), tuple(notebooks), frozenset(at_work))


def a_run(cell="cell-1", minute=0, *, kernel="k1", notebook="a.ipynb", status="completed"):
    return replace(a_record(cell=cell, minute=minute, status=status), kernel=kernel, notebook=notebook)


def gone(ledger):
    return {(record.cell, record.began[14:16]) for record in ledger.records if record.id in ledger.gone()}


def test_a_turn_is_gone_when_its_cell_ran_again():
    assert gone(ledger_of(a_run(), a_run(minute=1), a_run("cell-2"))) == {("cell-1", "30")}


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_did_not_come_to_its_end_replaces_none(status):
    assert gone(ledger_of(a_run(), a_run(minute=1, status=status))) == set()
    assert gone(ledger_of(a_run(), a_run(minute=1, status=status), a_run(minute=2))) == {
        ("cell-1", "30"),
        ("cell-1", "31"),
    }


def test_a_turn_of_a_kernel_at_work_is_not_ended_by_another_kernels_run():
    runs = a_run(kernel="k1"), a_run(minute=1, kernel="k2")

    assert gone(ledger_of(*runs, at_work={"k1", "k2"})) == set()
    assert gone(ledger_of(*runs, at_work={"k2"})) == {("cell-1", "30")}


def test_runs_without_a_cell_id_or_a_known_notebook_replace_none_of_another_kernel():
    assert gone(ledger_of(a_run("run 1", kernel="k1"), a_run("run 1", minute=1, kernel="k2"))) == set()
    assert gone(ledger_of(a_run(notebook="", kernel="k1"), a_run(notebook="", minute=1, kernel="k2"))) == set()


def test_a_turn_is_gone_when_its_notebook_was_saved_since_without_the_cell():
    later, earlier = "2026-01-15T10:00:00Z", "2026-01-15T09:30:10Z"
    run = a_run()

    assert gone(ledger_of(run, notebooks=[NotebookFile("a.ipynb", frozenset({"x"}), later)])) == {("cell-1", "30")}
    assert gone(ledger_of(run, notebooks=[NotebookFile("a.ipynb", frozenset({"x"}), earlier)])) == set()
    assert gone(ledger_of(run, notebooks=[NotebookFile("a.ipynb", frozenset({"cell-1"}), later)])) == set()
    assert gone(ledger_of(run, notebooks=[NotebookFile("a.ipynb", None, later)])) == set()
    assert gone(ledger_of(run, notebooks=[NotebookFile("b.ipynb", frozenset({"x"}), later)])) == set()


def test_a_cell_that_was_moved_to_another_notebook_is_not_deleted():
    later = "2026-01-15T10:00:00Z"
    notebooks = [NotebookFile("a.ipynb", frozenset(), later), NotebookFile("b.ipynb", frozenset({"cell-1"}), later)]

    assert gone(ledger_of(a_run(), notebooks=notebooks)) == set()


def test_notebooks_are_read_for_the_ids_of_their_cells(tmp_path):
    write_notebook(tmp_path / "a.ipynb", "one", "two")
    (tmp_path / "old.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 4, "cells": [{"cell_type": "code"}]}')
    (tmp_path / "torn.ipynb").write_text('{"cells": [')

    assert [(notebook.name, notebook.cells) for notebook in notebooks_in(tmp_path)] == [
        ("a.ipynb", frozenset({"one", "two"})),
        ("old.ipynb", None),
        ("torn.ipynb", None),
    ]
    assert notebooks_in(tmp_path / "nowhere") == ()


def test_a_moment_is_written_in_utc_to_the_millisecond():
    assert stamp(datetime(2026, 3, 1, 1, 2, 3, 7999, tzinfo=timezone(timedelta(hours=2)))) == "2026-02-28T23:02:03.007Z"


def test_records_are_read_again_only_when_they_changed(turns, monkeypatch):
    turns.write(a_record())
    assert len(turns.read_all()[0]) == 1
    opened = []
    monkeypatch.setattr("ipython_assistant.workspace.index.open_regular", opened.append)

    assert len(turns.read_all()[0]) == 1
    assert opened == []
