"""Conversations, cell by cell in a real shell: what each question continues from, and what is told to the service."""

import _thread
import time

import pandas as pd
import pytest
from tests_support import events as wire
from tests_support.notebook import Notebook
from tests_support.scripted import refusal

from ipython_assistant import errors

pytestmark = pytest.mark.usefixtures("recording")


@pytest.fixture
def say(hosted):
    """Queue answers; response ids count up, and containers too unless one is named."""
    said = []

    def say(*texts, container=""):
        for text in texts:
            said.append(text)
            number = len(said)
            code = wire.Code(f"print({number})", container_id=container or f"cntr_{number}")
            hosted.will_say([code, wire.Message(text)], response_id=f"resp_{number}")

    return say


def ask_all(notebook, names):
    return [notebook.ask(name, name).value.text for name in names]


def told(question):
    """A question as it was sent: what it continues from by id, and its messages."""
    return question.get("previous_response_id"), [message["content"] for message in question["input"]]


def test_a_first_cell_that_is_edited_asks_again_and_so_do_the_cells_below_it(notebook, hosted, say):
    say("a", "b", "c", container="cntr_one")
    say("A, anew", "B, anew", "C, anew")
    ask_all(notebook, "ABC")
    texts = [notebook.ask(*cell).value.text for cell in (("A", "A edited"), ("B", "B"), ("C", "C"))]
    assert texts == ["A, anew", "B, anew", "C, anew"]
    asked = [told(question) for question in hosted.questions()]
    assert asked[:3] == [(None, ["A"]), ("resp_1", ["B"]), ("resp_2", ["C"])]
    assert asked[3:] == [(None, ["A edited"]), ("resp_4", ["B"]), ("resp_5", ["C"])]


def test_an_answer_that_comes_out_another_afresh_makes_the_cells_below_ask_again_and_all_replays(notebook, hosted, say):
    say("a", "b", "another a", "another b")
    ask_all(notebook, "AB")
    live = [notebook.ask("A", "A", "--fresh"), notebook.ask("B", "B")]
    assert [ran.value.text for ran in live] == ["another a", "another b"]
    notebook.restart()
    again = [notebook.ask(name, name) for name in "AB"]
    assert [(ran.value, ran.outputs) for ran in again] == [(ran.value, ran.outputs) for ran in live]
    assert len(hosted.questions()) == 4


def test_an_answer_asked_for_afresh_that_comes_out_the_same_leaves_the_cells_below_replayed(notebook, hosted):
    for number, text in enumerate(("a", "b", "a"), start=1):
        hosted.will_say([wire.Message(text)], response_id=f"resp_{number}")
    ask_all(notebook, "AB")
    notebook.ask("A", "A", "--fresh")
    assert ask_all(notebook, "B") == ["b"]
    assert len(hosted.questions()) == 3


def test_a_cell_inserted_in_the_middle_follows_the_cell_that_ran_last_until_it_is_run_in_order(notebook, hosted, say):
    say("a", "c", "x after c", "x after a", "c after x")
    assert ask_all(notebook, "ACX") == ["a", "c", "x after c"]
    notebook.restart()
    assert ask_all(notebook, "AXC") == ["a", "x after a", "c after x"]
    assert len(hosted.questions()) == 5
    assert ask_all(notebook, "C") == ["c after x"]


def test_without_cell_ids_every_run_is_a_new_turn_and_run_all_replays_them(hosted, notebook_dir, say):
    say("one", "two")
    with Notebook(named=False) as notebook:
        notebook.ask("", "Same.")
        assert notebook.ask("", "Same.").value.text == "two"
        notebook.restart()
        assert [notebook.ask("", "Same.").value.text for _ in range(2)] == ["one", "two"]
    assert len(hosted.questions()) == 2


def test_a_named_conversation_stands_apart_from_the_notebooks_own(notebook, hosted, say):
    say("a", "x", "b", "y", container="cntr_one")
    for name, line in {"A": "", "X": "-c side", "B": "", "Y": "-c side"}.items():
        notebook.ask(name, name, line)
    assert [told(question)[0] for question in hosted.questions()[:2]] == [None, None]
    # Another conversation has used the container since, so these are told again in one of their own.
    assert [told(question)[1] for question in hosted.questions()[2:]] == [["A", "a", "B"], ["X", "x", "Y"]]


def test_a_cell_that_moves_to_another_conversation_leaves_its_old_one(notebook, hosted, say):
    say("a", "b", "c", "b aside", "c, anew")
    ask_all(notebook, "ABC")
    notebook.ask("B", "B", "-c side")
    notebook.ask("C", "C")
    assert [told(question) for question in hosted.questions()[3:]] == [(None, ["B"]), ("resp_1", ["C"])]
    conversations = notebook.session.conversations
    names = {name: [cell for cell, _ in turns] for name, turns in conversations.by_name.items()}
    assert names == {"": ["A", "C"], "side": ["B"]}
    assert [turn.prompt for _, turn in conversations.turns] == ["A", "B", "C", "B", "C"]


@pytest.mark.parametrize("how", ["--new", "%assistant new"])
def test_a_conversation_can_begin_anew(notebook, hosted, say, how):
    say("a", "b", "c")
    ask_all(notebook, "A")
    if how.startswith("%"):
        assert "begins the conversation anew" in notebook.cell("N", how).printed
    notebook.ask("B", "B", how if how == "--new" else "")
    notebook.ask("C", "C")
    assert [told(question) for question in hosted.questions()[1:]] == [(None, ["B"]), ("resp_2", ["C"])]


def test_where_the_service_may_keep_nothing_the_conversation_goes_along_as_messages(notebook, hosted, say):
    say("a", "b", container="cntr_one")
    notebook.cell("S", "%config AssistantMagics.store = False")
    ask_all(notebook, "AB")
    first, second = hosted.questions()
    assert (first["store"], second["store"], told(second)) == (False, False, (None, ["A", "a", "B"]))
    assert second["tools"][0]["container"] == "cntr_one"


def test_a_conversation_the_service_has_dropped_is_told_again_and_that_is_said(notebook, hosted, say):
    say("a", container="cntr_one")
    notebook.ask("A", "A")
    hosted.will_answer(refusal("Previous response with id 'resp_1' not found.", 404, "previous_response_not_found"))
    hosted.will_say([wire.Message("b")], response_id="resp_2")
    ran = notebook.ask("B", "B")
    assert [told(question) for question in hosted.questions()[1:]] == [("resp_1", ["B"]), (None, ["A", "a", "B"])]
    assert "dropped the conversation" in ran.html
    notebook.restart()
    assert [notebook.ask("A", "A").value.text, notebook.ask("B", "B").outputs] == ["a", ran.outputs]


def test_after_a_replayed_answer_the_conversation_goes_along_as_messages_with_its_files(notebook, hosted, say):
    hosted.put("made.csv", b"a\n1\n", "cfile_1", "cntr_one")
    say("a", container="cntr_one")
    notebook.names["cases"] = pd.DataFrame({"n": [1]})
    notebook.ask("A", "A", "-i cases")
    notebook.restart()
    notebook.names["cases"] = pd.DataFrame({"n": [1]})
    notebook.ask("A", "A", "-i cases")
    hosted.will_say([wire.Message("b")], response_id="resp_2")
    notebook.ask("B", "B")
    question = hosted.questions()[1]
    assert told(question) == (None, ["A", "a", "B"])
    container = question["tools"][0]["container"]
    sent = b"".join(request.body for request in hosted.asked(f"^POST /v1/containers/{container}/files"))
    assert (b'filename="cases.csv"' in sent, b'filename="made.csv"' in sent) == (True, True)


def test_a_replay_deletes_the_container_of_the_live_turn_it_takes_the_place_of(notebook, hosted, say):
    say("a", "other")
    notebook.ask("A", "A")
    notebook.ask("A", "Other")
    notebook.ask("A", "A")
    deleted = [request.path for request in hosted.waits_for("^DELETE", 2)]
    assert sorted(deleted) == ["/v1/containers/cntr_1", "/v1/containers/cntr_2"]


def test_files_that_were_fetched_later_belong_to_the_answer_the_next_cell_continues_from(notebook, hosted, say):
    hosted.put("a.csv", b"a\n1\n", "cfile_a", "cntr_one")
    hosted.on("GET .*cfile_a/content", lambda _request: refusal("Not now.", 403))
    say("a", "b", container="cntr_one")
    with pytest.raises(errors.FilesMissing):
        notebook.ask("A", "A")
    hosted._overrides.clear()
    notebook.cell("R", "%assistant retry")
    notebook.ask("B", "B")
    notebook.restart()
    assert list(notebook.ask("A", "A").value.files) == ["a.csv"]
    assert notebook.ask("B", "B").value.text == "b"
    assert len(hosted.questions()) == 2


def test_ctrl_c_while_an_input_is_being_sent_is_two_lines_and_the_next_run_asks(notebook, hosted):
    def interrupted(_request):
        hosted._overrides.clear()
        _thread.interrupt_main()
        time.sleep(0.2)  # the client has the signal by then
        return refusal("Nobody waits for this.", 503)

    notebook.names["cases"] = pd.DataFrame({"n": [1]})
    hosted.on("^POST /v1/containers/.*/files", interrupted)
    with pytest.raises(errors.Interrupted, match="before an answer came"):
        notebook.ask("A", "A", "-i cases")
    hosted.will_say([wire.Code("1", container_id="cntr_test_2"), wire.Message("a")])
    assert hosted.questions() == []
    assert notebook.ask("A", "A", "-i cases").value.text == "a"


def test_what_code_printed_and_showed_is_not_kept_for_the_turns_to_come(notebook, hosted):
    logs = wire.logs("Traceback (most recent call last)\n" + "x" * 9_999)
    hosted.will_say([wire.Code("1/0", (logs,)), wire.Message("Oh.")])
    notebook.ask("A", "Ask.")
    (call,) = notebook.session.conversations.present("A").turn.calls
    assert (call.outputs, call.status) == (None, "failed")
    assert "x" * 9_999 in notebook.session.last_answer.logs
