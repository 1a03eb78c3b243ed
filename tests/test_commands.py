"""`%assistant`, command by command, after real turns in a real shell."""

import json

import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.scripted import Answer, streamed

from ipython_assistant import commands, errors
from ipython_assistant.display.live import FrontEnd

CSV = b"a\n1\n"
USED = {"input_tokens": 1000, "output_tokens": 2000, "total_tokens": 3000}
pytestmark = pytest.mark.usefixtures("recording")


@pytest.fixture
def talked(notebook, hosted):
    """Two turns, the first with a file, and one in a conversation of its own."""
    hosted.put("a.csv", CSV, "cfile_1", "cntr_1")
    hosted.will_say([wire.Code("save()", container_id="cntr_1"), wire.Message("First.")], usage=USED)
    hosted.will_say([wire.Message("Second.")], response_id="resp_2", usage=USED)
    hosted.will_say([wire.Message("Aside.")], response_id="resp_3", usage=USED)
    notebook.ask("A", "Save the table.")
    notebook.ask("B", "And the next?")
    notebook.ask("C", "Something else.", "-c side")
    return notebook


def test_history_lists_cell_question_files_status_and_cost_and_conversations_their_last_question(talked):
    shown = talked.cell("H", "%assistant history").plain
    told = ["notebook", "side", "Save the table.", "And the next?", "a.csv", "completed", "1,000 tokens in, 2,000 out"]
    assert [word for word in told if word not in shown] == []
    assert len(shown.splitlines()) >= 4
    shown = talked.cell("L", "%assistant conversations").plain
    assert [line.split()[0] for line in shown.splitlines()[1:3]] == ["notebook", "side"]
    assert "And the next?" in shown


def test_history_has_what_was_cut_and_what_code_asked_but_no_replaced_turn_which_cost_still_counts(talked, hosted):
    hosted.will_say([wire.Message("Anew.")], response_id="resp_4", usage=USED)
    talked.ask("B", "And another?")
    hosted.will_answer(streamed(wire.stream([wire.Message("Begun and never ended.")], usage=USED)[:-1]))
    hosted.will_say([wire.Message("By code.")], response_id="resp_5", usage=USED)
    with pytest.raises(errors.StreamBroken):
        talked.ask("D", "Will it end?")
    talked.cell("E", "import ipython_assistant\nipython_assistant.ask('By the way?')")
    history, cost = talked.cell("H", "%assistant history").plain, talked.cell("C", "%assistant cost").plain
    (broken,) = [row for row in history.splitlines() if "Will it end?" in row]
    (aside,) = [row for row in history.splitlines() if "By the way?" in row]
    assert broken.split()[0] == aside.split()[0] == "none"
    assert "failed" in broken
    assert "completed" in aside
    assert ["And the next?" in shown for shown in (history, cost)] == [False, True]
    assert all("And another?" in shown for shown in (history, cost))


def test_cost_adds_up_with_own_prices_and_replayed_turns_cost_nothing(talked):
    talked.cell("S", "%config AssistantMagics.prices = {'test-model': {'input': 1.0, 'cached': 0.1, 'output': 10.0}}")
    talked.cell("S", "import os; os.environ.pop('OPENAI_BASE_URL')")
    shown = talked.cell("C", "%assistant cost").plain
    assert "In all" in shown
    assert "$0.06" in shown
    talked.restart()
    talked.ask("A", "Save the table.")
    shown = talked.cell("C", "%assistant cost").plain
    assert "Answered from recordings, at no cost: 1." in shown
    assert "In all" not in shown


def test_code_and_fix_insert_a_cell_in_a_live_notebook(talked, hosted, monkeypatch):
    inserted = []
    monkeypatch.setattr(talked.shell, "set_next_input", lambda text, replace: inserted.append((text, replace)))
    with pytest.raises(errors.OptionError, match="no code"):
        talked.cell("X", "%assistant code")
    talked.ask("A", "Save the table.")
    monkeypatch.setattr(commands, "front_end", lambda _shell: FrontEnd(live=True))
    talked.cell("X", "%assistant code")
    with pytest.raises(ZeroDivisionError):
        talked.cell("Y", "1 / 0")
    hosted.will_say([wire.Message("So:\n```python\n1 / 1\n```\n")])
    talked.cell("Z", "%assistant fix")
    (code, replaced), fixed = inserted
    assert "save()" in code
    assert (replaced, fixed) == (False, ("1 / 1", False))


def test_show_shows_the_last_answer_again_and_status_from_which_recording_it_is(talked):
    assert "by test-model" in talked.cell("S", "%assistant status").printed
    talked.restart()
    first = talked.ask("A", "Save the table.")
    assert "from the recording of 20" in talked.cell("S", "%assistant status").printed
    assert talked.cell("X", "%assistant show").outputs == first.outputs
    with pytest.raises(errors.Refused, match="resp_9"):
        talked.cell("X", "%assistant show resp_9")


def test_status_says_who_answers_and_where_files_go_and_shows_no_key(notebook, hosted, notebook_dir, monkeypatch):
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODEL", "from-the-environment")
    notebook.cell("S", "%config AssistantMagics.save_dir = 'elsewhere'")
    lines = notebook.cell("S", "%assistant status").printed.splitlines()
    status = dict(line.split(maxsplit=1) for line in lines)
    assert (status["service"], status["model"]) == ("openai", "from-the-environment")
    assert (status["files"], status["engine"]) == (str(notebook_dir / "elsewhere"), "not running")
    assert "test-key" not in "\n".join(lines)


def test_without_a_turn_each_command_says_so(notebook):
    for command in ("history", "conversations", "cost"):
        shown = notebook.cell("X", f"%assistant {command}")
        assert "yet" in shown.plain, command
    assert "no answer yet" in notebook.cell("X", "%assistant show").printed
    assert "There are no saved assistants" in notebook.cell("X", "%assistant assistants").plain


def test_traceback_shows_the_stack_of_the_last_error(notebook, hosted):
    with pytest.raises(errors.InputError):
        notebook.ask("A", "Ask.", "-i nowhere")
    shown = notebook.cell("X", "%assistant traceback").printed
    assert "InputError" in shown
    assert "File " in shown


def test_show_fetches_a_response_that_was_made_elsewhere_and_saves_its_files(notebook, hosted):
    hosted.put("far.csv", b"a\n1\n", "cfile_far")
    items = [wire.Code("x"), wire.cited(("far.csv", "cfile_far"))]
    made = [wire.response([], "resp_far", "in_progress"), wire.response(items, "resp_far")]
    hosted.on(r"^GET /v1/responses/resp_far(\?.*)?$", lambda _request: Answer(json.dumps(made.pop(0)).encode()))
    with pytest.raises(errors.OptionError, match="still in_progress"):
        notebook.cell("A", "%assistant show resp_far")
    ran = notebook.cell("A", "%assistant show resp_far")
    assert "[far.csv](assistant_files/far.csv)" in ran.plain
    assert notebook.session.last_answer.files["far.csv"].read_bytes() == b"a\n1\n"


def test_a_question_that_would_pass_max_cost_or_whose_price_is_unknown_is_not_asked_and_a_replay_is(
    talked, hosted, monkeypatch
):
    def config(line):
        talked.cell("S", f"%config AssistantMagics.{line}")

    config("max_cost = 0.065")
    asked = len(hosted.questions())
    with pytest.raises(errors.BudgetSpent, match="unknown"):
        talked.ask("D", "One more?", "-m no-such-model")
    config("prices = {'test-model': {'input': 1.0, 'output': 10.0}}")
    config("model = 'test-model'")
    with told(errors.BudgetSpent, "at least $0.0660: more than max_cost, $0.0650", "max_cost"):
        talked.ask("D", "One more?")
    with monkeypatch.context() as damaged:
        damaged.setattr(talked.session.recordings(talked.session.settings).store, "read", int)
        with told(errors.BudgetSpent, "what today has cost cannot be read", "max_cost = None"):
            talked.ask("D", "One more?")
    assert len(hosted.questions()) == asked
    config("max_cost = 1")
    hosted.will_say([wire.Message("Yes.")], response_id="resp_4", usage=USED)
    assert talked.ask("D", "One more?").value.text == "Yes."
    config("max_cost = 0.01")
    assert talked.ask("D", "One more?").value.text == "Yes."
