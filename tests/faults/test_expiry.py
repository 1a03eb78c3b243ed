"""Containers that expire, and what new ones are like."""

from faults.scenarios import expire, play
from faults.server import Status
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
    ran = asking.run("Second question.")
    _, refused, again = [asked.json() for asked in asking.service.of("respond")]
    check_healed(asking, ran)
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

    assert ran.error is None
    assert sent == ["first.csv", "one.csv", "two.csv"]


def test_a_container_that_expired_before_the_download_costs_its_files_but_the_next_cell_asks_a_new_one(asking):
    stage = asking.stage()
    asking.set(prefetch_bytes=0)
    stage.play(stage.file("lost.csv"), acts={0: [expire]})
    stage.play(stage.file("next.csv"))
    lost, fine = asking.run("One."), asking.run("Two.")

    assert isinstance(lost.error, errors.FilesMissing)
    assert [failed.name for failed in lost.answer.failed] == ["lost.csv"]
    assert "list of files" in lost.html
    assert fine.error is None
    assert list(fine.answer.files) == ["next.csv"]
    assert len(asking.service.of("respond")) == 2


def test_an_expired_container_is_known_by_the_other_wording_too(asking):
    asked_once(asking)
    asking.service.goes_wrong("respond", Status(400, "Expected container_id: cntr_auto2"))
    assert asking.run("Two.").error is None
    assert len(asking.service.of("respond")) == 3


def test_no_third_container_is_tried(asking):
    asked_once(asking)
    asking.service.goes_wrong("respond", Status(400, "Container is expired."), times=None)
    assert isinstance(asking.run("Two.").error, errors.ContainerExpired)
    assert len(asking.service.of("respond")) == 3


def test_new_containers_are_what_the_settings_say(asking):
    asking.set(memory_limit="4g", expires_after=7, network=["example.org"])
    stage = asking.turns("file.csv", "other.csv")
    asking.run("One.")
    automatic = asking.service.of("respond")[0].json()["tools"][0]["container"]
    asking.run("Two.", f"--new -i {stage.input_file()}")
    (created,) = asking.service.of("create")
    network = {"type": "allowlist", "allowed_domains": ["example.org"]}

    assert automatic == {"type": "auto", "memory_limit": "4g", "network_policy": network}
    assert created.json()["memory_limit"] == "4g"
    assert created.json()["expires_after"] == {"anchor": "last_active_at", "minutes": 7}
    assert created.json()["network_policy"] == network


# However it is told. --------------------------------------------------------------------------------------------------


def test_an_expiry_that_is_told_inside_the_stream_heals_by_itself(asking):
    asked_once(asking)
    fail_once(asking, code="invalid_request_error", message="Container is expired.")
    check_healed(asking, asking.run("Second question."))
    assert len(asking.service.of("respond")) == 3


def test_an_expiry_that_is_told_by_an_upload_heals_by_itself(asking):
    asked_once(asking)
    asking.service.expire()
    check_healed(asking, asking.run("Second question.", f"-i {asking.stage().input_file()}"))


def test_a_container_that_somebody_deleted_between_two_cells_is_replaced(asking):
    asked_once(asking)
    asking.service.containers.clear()
    check_healed(asking, asking.run("Second question."))


def test_a_turn_that_failed_is_not_what_the_next_cell_continues_from(asking):
    asked_once(asking)
    fail_once(asking, code="server_error", message="Too much smoke.")
    failed, fine = asking.run("A question that fails."), asking.run("Second question.")
    first, _, last = [asked.json() for asked in asking.service.of("respond")]

    assert isinstance(failed.error, errors.TurnFailed)
    assert fine.error is None
    assert last["previous_response_id"] == "resp_2"
    assert last["tools"][0]["container"] == "cntr_auto1"
    assert "previous_response_id" not in first
    assert len(asking.service.of("create")) == 0


def test_a_container_that_the_user_named_is_not_replaced_by_another(asking):
    asking.service.goes_wrong("respond", Status(404, "Container with id 'cntr_mine' not found."), times=None)
    ran = asking.run("A question.", "--container cntr_mine")

    assert isinstance(ran.error, errors.ContainerExpired)
    assert "--container" in ran.error.hint
    assert len(asking.service.of("respond")) == 1
