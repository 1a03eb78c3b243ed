"""Where a turn runs, cell by cell in a real shell: which container, whose it is, what is in it, what it costs."""

import re

import pandas as pd
import pytest
from tests_support import events as wire
from tests_support.scripted import listing

from ipython_assistant import ask, errors
from ipython_assistant.core.conversation import PlacedTurn
from ipython_assistant.core.turn import CodeCall, Turn
from ipython_assistant.core.usage import total_in_words
from ipython_assistant.workspace.folder import Folder


def say(hosted, *containers):
    """Answers, each after code in this container or, without one, in words alone."""
    for number, container in enumerate(containers, start=1):
        ran = [wire.Code("print(1)", container_id=container)] if container else []
        hosted.will_say([*ran, wire.Message(f"Answer {number}.")], response_id=f"resp_{number}")


def deleted(hosted):
    return [request.path.rpartition("/")[2] for request in hosted.asked("^DELETE /v1/containers/")]


def used(question):
    return question["tools"][0]["container"]


def test_a_container_the_user_named_is_used_and_never_deleted_unasked(notebook, hosted):
    say(hosted, "cntr_mine", "cntr_mine")
    notebook.ask("A", "Count.", "--container cntr_mine")
    ask("Count.", container="cntr_mine")
    notebook.restart()
    assert [used(question) for question in hosted.questions()] == ["cntr_mine", "cntr_mine"]
    assert deleted(hosted) == []


def test_this_notebooks_containers_are_listed_and_deleted_but_not_the_one_that_was_named(notebook, hosted):
    say(hosted, "cntr_mine", "cntr_ours")
    notebook.ask("A", "Count.", "--container cntr_mine")
    notebook.ask("B", "Count.", "--new")
    rows = [{"id": name, "name": "auto", "status": "running"} for name in ("cntr_mine", "cntr_ours")]
    hosted.on(r"^GET /v1/containers\?", lambda _: listing(*rows))
    assert "cntr_ours  running  used here" in notebook.cell("C", "%assistant containers").printed
    assert "Deleted cntr_ours" in notebook.cell("C", "%assistant containers --delete").printed
    assert deleted(hosted) == ["cntr_ours"]


def test_an_answer_in_words_alone_leaves_the_conversation_its_container_and_its_inputs(notebook, hosted):
    notebook.names["cases"] = pd.DataFrame({"n": [1]})
    say(hosted, "", "cntr_test_1", "", "cntr_test_1")
    notebook.ask("A", "May I ask about this?", "-i cases")
    notebook.ask("B", "Count.")
    notebook.ask("C", "Why?")
    notebook.ask("D", "Go on.", "-i cases")
    _, second, third, fourth = hosted.questions()
    assert [used(second), used(fourth)] == ["cntr_test_1", "cntr_test_1"]
    assert "cases.csv" in second["instructions"]
    assert (third["previous_response_id"], fourth["previous_response_id"]) == ("resp_2", "resp_3")
    assert len(hosted.asked("^POST /v1/containers$")) == 1
    assert len(hosted.asked("^POST /v1/containers/.*/files$")) == 1


def test_words_that_are_asked_anew_go_on_where_the_code_above_them_ended(notebook, hosted):
    say(hosted, "cntr_a", "", "")
    notebook.ask("A", "Count.")
    notebook.ask("B", "Why?")
    notebook.ask("B", "Why not?")
    assert hosted.questions()[2]["previous_response_id"] == "resp_1"
    assert deleted(hosted) == []


def test_an_input_that_changed_on_disk_is_sent_again_as_it_is_and_that_is_said(notebook, hosted, notebook_dir):
    (notebook_dir / "a.csv").write_text("n\n1\n")
    say(hosted, "cntr_test_1", "cntr_test_1", "cntr_test_2")
    notebook.ask("A", "Count.", "-i a.csv")
    notebook.ask("B", "Go on.")
    (notebook_dir / "a.csv").write_text("n\n1\n2\n")
    again = notebook.ask("B", "Go on anew.")
    assert "Changed on disk, so sent again as it is now: a.csv." in again.plain


def test_container_time_is_that_of_the_memory_the_container_was_made_with(notebook, hosted):
    def told(memory):
        turn = Turn(items=(CodeCall("ci", f"cntr_{memory}", "1", "completed"),))
        step = PlacedTurn("Count.", turn, "openai", provider="openai", memory=memory)
        return float(re.search(r"container time about \$([\d.]+)", total_in_words([step], {}, ""))[1])

    # https://platform.openai.com/docs/pricing: a container of 64g costs 64 times as much as one of 1g.
    assert told("64g") / told("") == pytest.approx(64, rel=0.05)
    say(hosted, "cntr_1")
    notebook.ask("A", "Count.", "--memory 64g")
    assert notebook.session.conversations.last.memory == "64g"
    assert used(hosted.questions()[0])["memory_limit"] == "64g"


def test_a_name_in_another_folder_is_not_in_the_way(notebook, hosted, notebook_dir):
    for number, content in enumerate((b"a", b"b", b"c"), start=1):
        hosted.put("plot.csv", content, f"cfile_{number}", f"cntr_{number}")
    say(hosted, "cntr_1", "cntr_2", "cntr_3")
    notebook.ask("A", "Plot.", "--dir a")
    notebook.ask("B", "Plot.", "--new --dir b")
    again = notebook.ask("B", "Plot anew.", "--new --dir b")
    assert list(again.value.files) == ["plot.csv"]
    assert (notebook_dir / "b" / "plot.csv").read_bytes() == b"c"


def test_ctrl_c_while_files_are_saved_leaves_none_that_nobody_knows_of(notebook, hosted, notebook_dir, monkeypatch):
    names = ("1.csv", "2.csv", "3.csv")
    for name in names:
        hosted.put(name, name.encode(), f"cfile_{name[0]}")
    hosted.will_say([wire.Code("x"), wire.cited(*((name, f"cfile_{name[0]}") for name in names))])
    save = Folder.save

    def interrupted_at_the_second(folder, incoming, *args, **kwargs):
        if incoming.own_name == "2.csv":
            raise KeyboardInterrupt
        return save(folder, incoming, *args, **kwargs)

    monkeypatch.setattr(Folder, "save", interrupted_at_the_second)
    with pytest.raises(errors.Interrupted) as caught:
        notebook.ask("A", "Save.")
    monkeypatch.setattr(Folder, "save", save)
    on_disk = {path.name for path in (notebook_dir / "assistant_files").glob("*.csv")}
    assert set(caught.value.answer.files) == on_disk
    assert set(names) - on_disk == {failed.name for failed in caught.value.answer.failed}
    notebook.cell("B", "%assistant retry")
    assert {path.name for path in (notebook_dir / "assistant_files").glob("*.csv")} == set(names)
