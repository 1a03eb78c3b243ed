"""Streams that end badly: what arrived is kept, its files are saved, and the cell ends in the right error."""

import json

import pytest
from tests_support import events as wire

from faults.scenarios import SCENARIOS
from faults.server import SERVER_FAULT, Page, slow_down
from ipython_assistant import errors
from ipython_assistant.core.fold import TurnFold

CUTS = {
    "stream_ends_before_completed": "before its end",
    "stream_ends_before_the_citations": "before its end",
    "stream_ends_as_the_code_runs": "before its end",
    "stream_cut_inside_a_chunk": "",
    "stream_reset": "connection",
}


def play(asking, name):
    stage = asking.stage()
    SCENARIOS[name].prepare(stage)
    return asking.run()


@pytest.mark.parametrize(("name", "words"), CUTS.items())
def test_a_cut_stream_is_a_broken_stream_that_says_where(asking, name, words):
    ran = play(asking, name)

    assert isinstance(ran.error, errors.StreamBroken)
    assert "broke off" in ran.error.message
    assert words in ran.error.message
    assert ran.error.hint
    assert ran.answer.status == "failed"


def test_the_text_that_arrived_before_a_cut_is_kept_with_its_links(asking):
    ran = play(asking, "stream_ends_before_the_citations")

    assert ran.answer.text.startswith("Done. [file.csv](assistant_files/file.csv)")
    assert "Done." in ran.plain


@pytest.mark.parametrize("name", [*CUTS, "error_event", "response_failed", "response_incomplete"])
def test_a_question_whose_answer_broke_off_is_not_asked_again(asking, name):
    play(asking, name)

    assert len(asking.service.of("respond")) == 1


@pytest.mark.parametrize("name", ["error_event", "response_failed"])
def test_what_the_service_says_of_its_failure_is_in_the_error(asking, name):
    ran = play(asking, name)

    assert isinstance(ran.error, errors.TurnFailed)
    assert "too much smoke" in ran.error.message
    assert ran.error.code == "server_error"


def test_a_question_is_asked_again_after_429_and_no_more_than_that(asking):
    asking.service.goes_wrong("respond", slow_down(), times=2)
    stage = asking.stage()
    stage.play(stage.file())

    assert asking.run().error is None
    assert len(asking.service.of("respond")) == 3


def test_a_question_is_not_asked_again_after_a_server_fault_since_its_code_may_have_run(asking):
    asking.service.goes_wrong("respond", SERVER_FAULT)
    stage = asking.stage()
    stage.play(stage.file())
    ran = asking.run()

    assert isinstance(ran.error, errors.ServiceError)
    assert len(asking.service.of("respond")) == 1


def test_a_web_page_where_a_stream_should_be_is_said_to_be_one(asking):
    asking.service.goes_wrong("respond", Page())
    ran = asking.run()

    assert type(ran.error) is errors.ServiceError
    assert "web page" in ran.error.message


def test_a_response_that_comes_whole_though_a_stream_was_asked_for_is_the_answer(asking):
    body = json.dumps(wire.response([wire.Message("Whole.")])).encode()
    asking.service.goes_wrong("respond", Page(body))
    ran = asking.run()

    assert ran.error is None
    assert ran.answer.text == "Whole."


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"error": {"message": "Too much smoke.", "code": "server_error"}}\n\n',
        b'data: {"error": "Too much smoke."}\n\n',
        b'{"error": {"message": "Too much smoke."}}',
        b'{"detail": "Too much smoke."}',
    ],
)
def test_an_error_of_any_shape_where_a_stream_should_be_gives_the_reason(asking, body):
    asking.service.goes_wrong("respond", Page(body))
    ran = asking.run()

    assert type(ran.error) is errors.TurnFailed
    assert "Too much smoke" in ran.error.message


def test_an_answer_with_a_fault_nobody_foresaw_is_kept_and_its_files_are_saved(asking, monkeypatch):
    feed = TurnFold.feed

    def fails_at_the_end(fold, event):
        if event["type"] == "response.completed":
            raise ZeroDivisionError("nobody foresaw this")
        return feed(fold, event)

    monkeypatch.setattr(TurnFold, "feed", fails_at_the_end)
    stage = asking.stage()
    stage.play(stage.file("kept.csv"))
    ran = asking.run()

    assert isinstance(ran.error, errors.StreamBroken)
    assert "ZeroDivisionError" in ran.error.message
    assert "kept.csv" in ran.answer.files
    assert ran.answer.text.startswith("Done.")


def test_the_next_cell_works_after_a_cut_stream(asking):
    stage = asking.stage()
    SCENARIOS["stream_reset"].prepare(stage)
    stage.play(stage.file("next.csv"))
    broken, fine = asking.run("One."), asking.run("Two.")

    assert isinstance(broken.error, errors.StreamBroken)
    assert fine.error is None
    assert "next.csv" in fine.answer.files
