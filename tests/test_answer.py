"""answer: what the user holds afterwards, kept, copied, compared and shown."""

import pickle
from dataclasses import replace

import pytest
from tests_support import events as wire
from tests_support.files import write

from ipython_assistant.answer import Answer, Files
from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.fold import read_response
from ipython_assistant.core.turn import OtherItem

TABLE = b"district,cases\n007,3\n"


@pytest.fixture
def answer(tmp_path):
    turn = read_response(wire.response([wire.Code("print(1)", (wire.logs("1\n"),)), wire.Message("Three cases.")]))
    return Answer("Three cases.", turn, (write(tmp_path / "files" / "a.csv", TABLE),), prompt="How many?", shown_in=3)


def test_an_answer_comes_out_of_a_pickle_as_it_went_in(answer):
    again = pickle.loads(pickle.dumps(answer))
    assert again == answer
    assert (again.text, again.code, again.files["a.csv"].read_bytes()) == ("Three cases.", "print(1)", TABLE)


def test_an_answer_equals_its_replay_in_another_folder(answer, tmp_path):
    elsewhere = write(tmp_path / "elsewhere" / "a.csv", TABLE)
    replay = replace(answer, artifacts=(elsewhere,), shown_in=9, notes=("From a recording.",))
    assert (replay, hash(replay)) == (answer, hash(answer))


def test_answers_that_a_recording_tells_apart_are_not_equal(answer, tmp_path):
    others = {
        "another question": replace(answer, prompt="How few?"),
        "other bytes": replace(answer, artifacts=(write(tmp_path / "other" / "a.csv", b"district,cases\n"),)),
        "a lost file": replace(answer, failed=(FailedArtifact("b.csv", "gone"),)),
        "an interruption": replace(answer, interrupted=True),
        "another text": replace(answer, turn=read_response(wire.response([wire.Message("Four cases.")]))),
    }
    assert [what for what, other in others.items() if other == answer] == []
    assert answer != "Three cases."


def test_items_without_a_view_are_shown_after_the_code(answer):
    search = OtherItem("ws_1", "web_search_call", {"action": {"query": "districts"}})
    with_search = replace(answer, turn=replace(answer.turn, items=(search, *answer.turn.items)))
    kinds = [bundle.metadata["ipython_assistant"]["output"] for bundle in with_search.outputs()]
    assert kinds == ["work", "other items", "table", "card"]


def test_a_file_that_is_not_there_is_a_key_error_that_names_the_files(tmp_path):
    files = Files((write(tmp_path / "a.csv", b"1"), write(tmp_path / "b.png", b"1")))
    with pytest.raises(KeyError, match=r"c\.csv.*a\.csv, b\.png"):
        files["c.csv"]
