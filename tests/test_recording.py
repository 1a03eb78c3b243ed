"""core.recording: the key of a turn, and a turn as the text that is kept of it."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.events import Code, cite, image, logs, stream
from tests_support.events import Message as Said
from tests_support.files import artifact
from tests_support.replaying import folded
from tests_support.saving import recorded

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.recording import RecordedFile, RecordedInput, TurnKey
from ipython_assistant.core.recording_text import integrity, read_recording, recording_text
from ipython_assistant.core.redaction import Redactor
from ipython_assistant.core.turn import CodeCall, Message, TextPart, Turn, without_pictures
from ipython_assistant.turn_sources import turn_digest

ASKED = TurnKey(
    "Plot coverage by year.", model="gpt-5", instructions="Metric units.", tools=({"type": "web_search"},),
    effort="high", no_code=True, outputs=("by_year",), inputs=(("a.csv", "ab12"), ("b.csv", "cd34")), parent="f" * 64,
)  # fmt: skip


# --- the key ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("part", [
    {"prompt": "Plot coverage by month."}, {"model": "gpt-6"}, {"model": None}, {"instructions": "Other units."},
    {"tools": None}, {"effort": None}, {"no_code": None}, {"outputs": ()}, {"outputs": ("by_year", "more")},
    {"inputs": (("a.csv", "other"), ("b.csv", "cd34"))}, {"inputs": (("a.csv", "cd34"), ("b.csv", "ab12"))},
    {"inputs": (("a.csv", "ab12"),)}, {"parent": ""}, {"parent": "e" * 64},
])  # fmt: skip
def test_each_thing_the_user_wrote_is_part_of_the_key(part):
    assert replace(ASKED, **part).sha256 != ASKED.sha256


def test_the_key_of_a_question_never_changes_since_recordings_are_kept_for_years():
    # printf '{"prompt":"Plot it."}' | sha256sum
    assert TurnKey("Plot it.").sha256 == "db555041635da75b1838626d9bb19f927cf097ef8310c7400188604b73782a1e"


def test_a_turn_below_depends_on_all_of_the_answer_above():
    turn = Turn(items=(CodeCall("ci", "cntr", "print(1)", "completed"), Message("m", (TextPart("It rose."),))))
    files = [replace(artifact(), sha256=sha256) for sha256 in ("ab", "cd")]
    digest = turn_digest("k", turn, files)
    lacking = [turn_digest("k", replace(turn, items=items), files) for items in (turn.items[:1], turn.items[1:])]
    assert digest not in [turn_digest("other", turn, files), *lacking, turn_digest("k", turn, files[:1])]
    assert digest == turn_digest("k", replace(turn, response_id="resp_2", model="other"), reversed(files))
    assert turn_digest("", turn, files) == ""


# --- the text ---------------------------------------------------------------------------------------------------------
LINK = "See [a.csv](sandbox:/mnt/data/a.csv)."
WEB = {"type": "url_citation", "url": "https://example.org/", "title": "A page", "start_index": 0, "end_index": 3}
FROM_A_FILE = {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 2}
LINES = st.text(alphabet=st.characters() | st.sampled_from("\n\r\u2028\x85"), max_size=20)
ITEMS = st.lists(
    st.one_of(
        st.builds(Said, LINES, refusal=st.booleans()),
        st.just(Said(LINK, (cite(LINK, "a.csv", "cfile_1"), WEB, FROM_A_FILE))),
        st.builds(Code, LINES, st.none() | st.lists(LINES.map(logs) | st.just(image("data:x")), max_size=2).map(tuple)),
    ),
    max_size=4,
)
FILE = RecordedFile("a-2.csv", "a.csv", 3, "a" * 64, "cntr_1", "cfile_1", "cited", kept=True)
WHOLE = recorded(
    "cell-1", [], asked=ASKED, files=(FILE,), notes=("A note.",), notebook="analysis.ipynb",
    inputs=(RecordedInput("a.csv", None, "ef01", "a table", "ab12"), RecordedInput("b.csv", 3, "2345", "", "cd34")),
    missing=(FailedArtifact("b.csv", "It had not come.", "cntr_1", "cfile_2"),),
)  # fmt: skip


@given(ITEMS, st.sampled_from(["completed", "incomplete", "failed"]))
def test_a_turn_is_read_as_it_was_written(items, ending):
    events = stream(items, ending=ending)
    turn = without_pictures(folded(events))
    recording = replace(WHOLE, turn=turn)
    assert read_recording(recording_text(recording)) == recording


def test_a_recording_holds_each_thing_once_and_is_read_as_lines():
    text = recording_text(replace(WHOLE, turn=folded(stream([Code("x = 1\ny = 2\n"), Said("It rose.\nIt fell.")]))))
    for once in (ASKED.prompt, "x = 1", "It rose."):
        assert text.count(once) == 1
    assert '"y = 2\\n"' in text
    assert all(ord(char) >= ord(" ") or char == "\n" for char in text)


@given(st.data())
def test_a_recording_that_was_edited_or_cut_is_never_read(data):
    text = recording_text(WHOLE)
    at = data.draw(st.integers(0, len(text) - 2))
    edited = text[:at] + data.draw(st.sampled_from(["", "x", "7", '"', "}"])) + text[at + 1 :]
    with contextlib.suppress(ValueError):
        assert read_recording(edited) == WHOLE  # a blank between two values says nothing


@pytest.mark.parametrize("name", ["", ".hidden", "../up.csv", "a/b.csv", "a\\b.csv", "C:x", "a\0b"])
def test_no_name_in_a_recording_leads_out_of_its_folder(name):
    body = json.loads(recording_text(WHOLE))
    body["files"][0]["name"] = name
    body["integrity"] = integrity(body)
    with pytest.raises(ValueError, match="outside its folder"):
        read_recording(json.dumps(body))


@pytest.mark.parametrize(("change", "field"), [
    ({"notes": "abc"}, "notes"), ({"notes": {"a": 1}}, "notes"), ({"asked": {"outputs": "abc"}}, "outputs"),
    ({"asked": {"tools": {}}}, "tools"), ({"files": {"found": "nonsense"}}, "found"), ({"cell": {}}, "cell"),
])  # fmt: skip
def test_a_field_of_another_type_is_no_recording(change, field):
    body = json.loads(recording_text(WHOLE))
    for name, value in change.items():
        inner = body["files"][0] if name == "files" else body[name]
        body[name] = [inner | value] if name == "files" else inner | value if isinstance(inner, dict) else value
    body["integrity"] = integrity(body)
    with pytest.raises(ValueError, match=field):
        read_recording(json.dumps(body))


# --- what it never holds ----------------------------------------------------------------------------------------------
def test_nothing_of_a_secret_is_left_anywhere_in_a_recording():
    secret, token = "open-sesame-0123456789", "planted-token-0123456789"
    said = f"It is {secret} and {token}."
    tool = {"type": "mcp", "server_label": "crm", "authorization": token}
    recording = replace(
        WHOLE,
        asked=TurnKey(said, instructions=said, tools=(tool,)),
        turn=without_pictures(folded(stream([Code(f"# {said}", (logs(said),)), Said(said)]))),
        inputs=(RecordedInput("a.csv", 3, "ab", said),),
        missing=(FailedArtifact("b.csv", said),),
        notes=(said,),
    )
    text = recording_text(recording.redacted(Redactor([secret])))
    assert (secret in text, token in text) == (False, False)
    assert text.count("It is <secret> and <secret>.") == 8
    assert read_recording(text).asked.tools[0]["server_label"] == "crm"
