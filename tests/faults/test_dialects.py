"""Servers that refuse, ignore or rename something: noticed once, remembered, worked round, and said in one sentence.
What each of them does was seen, or read in its source and issues; here it is played by the faulty service."""

import pytest
from tests_support import events as wire

from faults.server import Status
from ipython_assistant import errors


def three_turns(asking, *, line=""):
    """Three cells of one conversation; gives what came of each and the questions that were asked."""
    asking.turns("one.csv", "two.csv", "three.csv")
    if asking.service.turns == "ignored":
        # Its answer to the second question is not waited for: the question is asked again.
        asking.service.plays.insert(1, asking.service.plays[1])
    ran = [asking.run("First.", line), asking.run("Second."), asking.run("Third.")]
    assert [each.error for each in ran] == [None, None, None]
    return ran, [asked.json() for asked in asking.service.of("respond")]


def container(question):
    return question["tools"][0]["container"]


@pytest.mark.parametrize("turns", ["refused as by llama.cpp", "refused as by vLLM", "ignored"])
def test_a_server_that_keeps_no_conversation_is_told_it_in_its_container_and_that_is_said_once(asking, turns):
    asking.service.turns = turns
    ran, questions = three_turns(asking, line=f"-i {asking.stage().input_file()}")
    _, first_try, second, third = questions
    assert first_try["previous_response_id"]
    assert "previous_response_id" not in {**second, **third}
    told = [[message["content"] for message in question["input"]] for question in (second, third)]
    assert (told[0][0], told[0][-1], told[1][::2]) == ("First.", "Second.", ["First.", "Second.", "Third."])
    assert ["does not keep conversations" in each.html for each in ran] == [False, True, False]
    assert {container(question) for question in questions} == {"cntr_made1"}
    assert len(asking.service.of("upload")) == 1
    assert "cases.csv" in questions[-1]["instructions"]


def test_a_server_whose_previous_response_is_gone_once_is_asked_by_id_again(asking):
    asking.turns("one.csv", "two.csv", "three.csv")
    asking.run("First.")
    gone = Status(400, "Previous response with id 'resp_2' not found.", code="previous_response_not_found")
    asking.service.goes_wrong("respond", gone)
    assert [asking.run(body).error for body in ("Second.", "Third.")] == [None, None]
    assert "previous_response_id" in asking.service.of("respond")[-1].json()


def test_a_gateway_that_does_not_know_its_own_container_ids_chooses_the_container_itself(asking):
    asking.service.takes_container_ids = False
    ran, (_, refused, second, third) = three_turns(asking)
    assert container(refused) == "cntr_auto1"
    assert container(second) == container(third) == {"type": "auto"}
    assert second["previous_response_id"]
    assert [("does not let a question name its container" in each.html) for each in ran] == [False, True, False]
    assert len(asking.service.containers) == 1


def test_rows_that_name_another_container_do_not_double_the_files(asking):
    asking.service.rows_name = "cntr_of_the_backend"
    stage = asking.stage()
    stage.play(stage.file("cited.csv"), stage.beside())
    ran = asking.run()
    assert (ran.error, sorted(ran.files)) == (None, ["beside.csv", "cited.csv"])
    assert len(asking.service.of("content")) == 2


UNKNOWN = "Input tag 'code_interpreter' found using 'type' does not match any of the expected tags: 'function'"


@pytest.mark.parametrize("lacks", ["containers", "their names", "the tool"])
def test_a_server_whose_code_cannot_read_inputs_or_without_the_tool_names_the_way_that_runs_code_here(asking, lacks):
    stage = asking.turns("one.csv")
    asking.service.makes_containers = lacks != "containers"
    asking.service.takes_container_ids = lacks != "their names"
    if lacks == "the tool":
        asking.service.goes_wrong("respond", Status(400, UNKNOWN), times=None)
    ran = asking.run("Plot it.", "" if lacks == "the tool" else f"-i {stage.input_file()}")
    assert isinstance(ran.error, errors.ToolNotAllowed)
    assert all(hint in ran.error.hint for hint in ("-m http://HOST/v1/NAME", "-m ollama/NAME", "--no-code"))
    assert len(ran.error._render_traceback_()) == 2


def test_code_that_ran_in_a_container_without_a_name_is_shown_and_nothing_is_asked_of_it(asking):
    stage = asking.stage()
    stage.play(items=[wire.Code("print(1)", (wire.logs("1"),), container_id="auto"), wire.Message("One.")])
    stage.play(items=[wire.Message("Two.")])
    assert [asking.run(body).error for body in ("First.", "Second.")] == [None, None]
    assert asking.service.of("list") == []
    assert container(asking.service.of("respond")[1].json()) == {"type": "auto"}


def test_a_container_without_an_id_is_an_error_of_two_lines(asking, monkeypatch):
    monkeypatch.setattr(type(asking.service), "_new_container", lambda _service, _kind: "")
    ran = asking.run("Look.", f"-i {asking.stage().input_file()}")
    assert isinstance(ran.error, errors.ServiceError)
    assert len(ran.error._render_traceback_()) == 2
