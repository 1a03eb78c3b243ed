"""Streams that end badly: what arrived is kept, its files are saved, and the cell ends in the right error."""

import json

import pytest
from tests_support import events as wire

from faults.server import SERVER_FAULT, Page, slow_down
from ipython_assistant import errors
from ipython_assistant.core.fold import TurnFold


@pytest.mark.parametrize(("name", "words"), [
    ("stream_ends_before_completed", "before its end"), ("stream_ends_before_the_citations", "before its end"),
    ("stream_ends_as_the_code_runs", "before its end"), ("stream_cut_inside_a_chunk", ""),
    ("stream_reset", "connection"),
])  # fmt: skip
def test_a_cut_stream_is_a_broken_stream_that_says_where_and_is_not_asked_again(asking, name, words):
    (ran,) = asking.scenario(name)
    assert isinstance(ran.error, errors.StreamBroken)
    assert all(part in ran.error.message for part in ("broke off", words))
    assert ran.error.hint
    assert (ran.answer.status, len(asking.service.of("respond"))) == ("failed", 1)


def test_the_text_that_arrived_before_a_cut_is_kept_with_its_links_and_the_next_cell_works(asking):
    (ran,) = asking.scenario("stream_ends_before_the_citations")
    assert ran.answer.text.startswith("Done. [file.csv](assistant_files/file.csv)")
    assert "Done." in ran.plain
    asking.turns("next.csv")
    fine = asking.run("Two.")
    assert (fine.error, "next.csv" in fine.files) == (None, True)


@pytest.mark.parametrize("name", ["error_event", "response_failed", "response_incomplete"])
def test_what_the_service_says_of_its_failure_is_in_the_error_and_it_is_not_asked_again(asking, name):
    (ran,) = asking.scenario(name)
    assert len(asking.service.of("respond")) == 1
    if name != "response_incomplete":
        assert isinstance(ran.error, errors.TurnFailed)
        assert "too much smoke" in ran.error.message
        assert ran.error.code == "server_error"


@pytest.mark.parametrize(("fault", "error", "asked"), [
    (slow_down(), type(None), 3), (SERVER_FAULT, errors.ServiceError, 1),
], ids=["after 429", "not after a server fault"])  # fmt: skip
def test_a_question_is_asked_again_only_where_its_code_cannot_have_run(asking, fault, error, asked):
    asking.service.goes_wrong("respond", fault, times=2)
    asking.turns("file.csv")
    assert isinstance(asking.run().error, error)
    assert len(asking.service.of("respond")) == asked


def test_a_web_page_where_a_stream_should_be_is_said_to_be_one(asking):
    asking.service.goes_wrong("respond", Page())
    ran = asking.run()
    assert type(ran.error) is errors.ServiceError
    assert "web page" in ran.error.message


def test_a_response_that_comes_whole_though_a_stream_was_asked_for_is_the_answer(asking):
    asking.service.goes_wrong("respond", Page(json.dumps(wire.response([wire.Message("Whole.")])).encode()))
    ran = asking.run()
    assert (ran.error, ran.answer.text) == (None, "Whole.")


@pytest.mark.parametrize("body", [
    b'data: {"error": {"message": "Too much smoke.", "code": "server_error"}}\n\n',
    b'data: {"error": "Too much smoke."}\n\n', b'{"error": {"message": "Too much smoke."}}',
    b'{"detail": "Too much smoke."}',
])  # fmt: skip
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
    asking.turns("kept.csv")
    ran = asking.run()
    assert isinstance(ran.error, errors.StreamBroken)
    assert "ZeroDivisionError" in ran.error.message
    assert ran.files == ["kept.csv"]
    assert ran.answer.text.startswith("Done.")
