"""Containers that expire, and what new ones are like."""

import pytest

from faults.scenarios import play
from faults.server import FaultyService, Status
from ipython_assistant import errors


def asked_once(asking):
    """A conversation whose first question was answered; its second answer is ready."""
    asking.turns("first.csv", "second.csv")
    asking.run("First question.")


def check_healed(asking, ran):
    assert ran.error is None
    assert "had expired" in ran.html
    assert (asking.folder / "second.csv").is_file()
    assert len(asking.service.of("create")) == 1


def fail_once(asking, **problem):
    """The next answer fails inside its stream."""
    failed = play((), items=[], ending="failed", whole={"error": problem}, response_id="resp_x")
    asking.service.plays.insert(0, failed)


def test_a_question_to_an_expired_container_is_asked_once_more_in_a_new_one_and_that_is_said(asking):
    asked_once(asking)
    asking.service.expire()
    check_healed(asking, asking.run("Second question."))
    _, refused, again = [asked.json() for asked in asking.service.of("respond")]
    assert refused["previous_response_id"]
    assert "previous_response_id" not in again
    assert all(message.get("type", "message") == "message" for message in again["input"])
    assert again["input"][0]["content"] == "First question."


def test_the_new_container_gets_the_conversations_inputs_and_files_again(asking):
    stage = asking.turns("first.csv", "second.csv")
    asking.run("One.", f"-i {stage.input_file('one.csv')}")
    asking.service.expire()
    ran = asking.run("Two.", f"-i {stage.input_file('two.csv')}")
    new = asking.service.containers["cntr_made2"]
    sent = sorted(stored.name.partition("-")[2] for stored in new.files.values() if stored.source == "user")
    assert (ran.error, sent) == (None, ["first.csv", "one.csv", "two.csv"])


def test_a_container_that_expired_before_the_download_costs_its_files_but_the_next_cell_asks_a_new_one(asking):
    stage = asking.stage()
    asking.set(prefetch_bytes=0)
    stage.play(stage.file("lost.csv"), acts={0: [FaultyService.expire]})
    stage.play(stage.file("next.csv"))
    lost, fine = asking.run("One."), asking.run("Two.")
    assert isinstance(lost.error, errors.FilesMissing)
    assert (lost.missing, fine.error, fine.files) == (["lost.csv"], None, ["next.csv"])
    assert "list of files" in lost.html
    assert len(asking.service.of("respond")) == 2


@pytest.mark.parametrize(("times", "kind"), [(1, type(None)), (None, errors.ContainerExpired)])
def test_the_other_wording_of_an_expiry_is_known_too_and_no_third_container_is_tried(asking, times, kind):
    asked_once(asking)
    asking.service.goes_wrong("respond", Status(400, "Expected container_id: cntr_auto2"), times)
    assert isinstance(asking.run("Two.").error, kind)
    assert len(asking.service.of("respond")) == 3


def test_new_containers_are_what_the_settings_say(asking):
    asking.set(memory_limit="4g", expires_after=7, network=["example.org"])
    stage = asking.turns("file.csv", "other.csv")
    asking.run("One.")
    asking.run("Two.", f"--new -i {stage.input_file()}")
    ((created,), asked) = asking.service.of("create"), asking.service.of("respond")[0].json()
    set_here = {"memory_limit": "4g", "network_policy": {"type": "allowlist", "allowed_domains": ["example.org"]}}
    assert asked["tools"][0]["container"] == {"type": "auto", **set_here}
    assert {**created.json(), **set_here} == created.json()
    assert created.json()["expires_after"] == {"anchor": "last_active_at", "minutes": 7}


# However it is told. --------------------------------------------------------------------------------------------------
def test_an_expiry_that_is_told_inside_the_stream_heals_by_itself(asking):
    asked_once(asking)
    fail_once(asking, code="invalid_request_error", message="Container is expired.")
    check_healed(asking, asking.run("Second question."))
    assert len(asking.service.of("respond")) == 3


@pytest.mark.parametrize("how", ["told by an upload", "deleted between two cells"])
def test_a_container_that_is_gone_is_replaced_however_it_is_told(asking, how):
    asked_once(asking)
    uploads = how == "told by an upload"
    asking.service.expire() if uploads else asking.service.containers.clear()
    check_healed(asking, asking.run("Second question.", f"-i {asking.stage().input_file()}" if uploads else ""))


def test_a_turn_that_failed_is_not_what_the_next_cell_continues_from(asking):
    asked_once(asking)
    fail_once(asking, code="server_error", message="Too much smoke.")
    failed, fine = asking.run("A question that fails."), asking.run("Second question.")
    first, _, last = [asked.json() for asked in asking.service.of("respond")]
    assert isinstance(failed.error, errors.TurnFailed)
    assert (fine.error, last["previous_response_id"]) == (None, "resp_2")
    assert last["tools"][0]["container"] == "cntr_auto1"
    assert "previous_response_id" not in first
    assert len(asking.service.of("create")) == 0


def test_a_container_that_the_user_named_is_not_replaced_by_another(asking):
    asking.service.goes_wrong("respond", Status(404, "Container with id 'cntr_mine' not found."), times=None)
    ran = asking.run("A question.", "--container cntr_mine")
    assert isinstance(ran.error, errors.ContainerExpired)
    assert "--container" in ran.error.hint
    assert len(asking.service.of("respond")) == 1
