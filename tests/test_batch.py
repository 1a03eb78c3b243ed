"""`ask`, `aask` and `ask_each`: in a shell, and in a plain Python process."""

import _thread
import asyncio
import json
import threading
import time

import pandas as pd
import psutil
import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.scripted import refusal, streamed

from ipython_assistant import aask, ask, ask_each, batch, errors, session, turn_run


def prompt_of(request):
    return request.json()["input"][-1]["content"]


def said(words, response_id):
    return streamed(wire.stream([wire.Message(words)], response_id))


class Echo:
    """Answers every question with its own words, and counts how many are under way at once."""

    def __init__(self, hosted, at_once=0):
        self.most = self.now = self.asked = 0
        self.fails = frozenset()
        self._counting, self._gate = threading.Lock(), threading.Event()
        self._at_once = at_once
        hosted.on("^POST /v1/responses$", self)

    def __call__(self, request):
        with self._counting:
            self.now += 1
            self.asked += 1
            self.most, number = max(self.most, self.now), self.asked
            if self.now >= self._at_once:
                self._gate.set()
        # Nobody is answered before as many have come as may come at once.
        self._gate.wait(20)
        with self._counting:
            self.now -= 1
        words = prompt_of(request)
        if words in self.fails:
            return refusal(f"Not {words}.")
        return said(f"Answer to {words}", f"resp_{number}")


@pytest.fixture
def echo(hosted):
    return Echo(hosted)


def test_ask_shows_nothing_and_stands_outside_the_conversation_unless_one_is_named(notebook, hosted, echo):
    notebook.ask("A", "A")
    ran = notebook.cell("B", "from ipython_assistant import ask\nanswer = ask('One {not_filled}', model='mine')")
    notebook.ask("C", "C")
    for question in ("First.", "Second."):
        ask(question, conversation="side")
    assert notebook.names["answer"].text == "Answer to One {not_filled}"
    assert ran.outputs == []
    before = [asked.get("previous_response_id") for asked in hosted.questions()]
    assert before == [None, None, "resp_1", None, "resp_4"]
    assert hosted.questions()[1]["model"] == "mine"


def test_ask_takes_variables_by_name_and_paths(notebook, hosted, echo, notebook_dir):
    (notebook_dir / "t.csv").write_text("a\n1\n")
    for inputs in ({"cases": pd.DataFrame({"a": [1]})}, notebook_dir / "t.csv"):
        ask("Look.", inputs=inputs)
    sent = b"".join(request.body for request in hosted.asked("^POST /v1/containers/.*/files$"))
    assert (b'filename="cases.csv"' in sent, b'filename="t.csv"' in sent) == (True, True)


@pytest.mark.parametrize(("call", "says", "cure"), [
    (lambda: ask("Ask.", modle="x"), "There is no option 'modle'", "Did you mean model?"),
    (lambda: ask("  "), "There is no question", "Plot"),
    (lambda: ask("Plot", inputs=pd.DataFrame({"a": [1]})), "type DataFrame has no name", '{"cases": cases}'),
    (lambda: ask("Plot", inputs=[pd.DataFrame()]), "type DataFrame has no name", '{"cases": cases}'),
    (lambda: ask_each("Plot"), "this is one", "ask("),
    (lambda: ask_each(["A", "B"], inputs="nowhere.csv"), "nowhere.csv", ""),
])  # fmt: skip
def test_a_call_that_cannot_be_meant_is_an_error_before_anything_is_asked(notebook, hosted, call, says, cure):
    with told(errors.AssistantError, says, cure):
        call()
    assert hosted.requests == []


def test_what_is_given_as_an_iterator_goes_to_every_question(notebook, hosted, echo, notebook_dir):
    (notebook_dir / "a.csv").write_text("a\n1\n")
    ask_each(["A", "B"], inputs=notebook_dir.glob("*.csv"), outputs=None, tools=iter(()))
    assert all("a.csv" in str(question) for question in hosted.questions())


def test_each_question_has_its_label_and_the_threads_keep_the_limit_and_share_folder(notebook, hosted, monkeypatch):
    made, folder = [], session.Folder

    def slow(*args, **more):
        made.append(folder(*args, **more))
        time.sleep(0.05)  # a wide window for a second thread
        return made[-1]

    monkeypatch.setattr(session, "Folder", slow)
    echo, ask_all = Echo(hosted, at_once=3), "answers = ask_each({n: n for n in 'ABCDEFG'}, at_once=3)"
    ran = notebook.cell("A", f"from ipython_assistant import ask_each\n{ask_all}")
    answers = notebook.names["answers"]
    assert {label: answer.text for label, answer in answers.items()} == {n: f"Answer to {n}" for n in "ABCDEFG"}
    assert (echo.most, echo.asked) == (3, 7)
    assert list(answers.to_frame().index) == list("ABCDEFG")
    assert [output["text/plain"] for output in ran.outputs] == ["7 of 7 done."]
    assert (len(made), len(list(notebook.session.connections))) == (1, 1)


def test_a_question_that_fails_or_is_refused_is_a_value_and_the_others_are_answered(notebook, hosted, echo):
    echo.fails = frozenset({"B"})
    notebook.names["answers"] = answers = ask_each(list("ABC"))
    assert [type(answers[label]).__name__ for label in range(3)] == ["Answer", "Refused", "Answer"]
    assert list(answers.failed) == [1]
    assert answers.to_frame()["error"].tolist()[1].startswith("Refused: The service answered 400: Not B.")
    assert "2 of 3 answered, 1 failed" in notebook.cell("B", "answers").printed
    refused = wire.stream([wire.Message("Only about tables.", refusal=True)])
    hosted.on("^POST /v1/responses$", lambda _: streamed(refused))
    answers = ask_each(["Sing."])
    assert (answers.refused, repr(answers)) == ((0,), "Answers(1, 1 refused, 0 failed)")
    # IPython shows what is a dict, a list or a set in its own way instead.
    shown, _ = notebook.shell.display_formatter.format(answers)
    assert shown["text/plain"].endswith("0 of 1 answered, 1 refused.")


def test_many_questions_to_a_recorded_notebook_are_replayed(notebook, echo, monkeypatch):
    monkeypatch.delenv("IPYTHON_ASSISTANT_MODE")
    source = "from ipython_assistant import ask_each\nask_each({n: f'Plot {n}' for n in 'ABCD'})"
    live = notebook.cell("A", source)
    notebook.restart()
    again = notebook.cell("A", source)
    assert echo.asked == 4
    assert (again.outputs, again.printed) == (live.outputs, live.printed)
    assert dict(again.value) == dict(live.value)


def test_files_of_many_questions_are_all_there_and_none_is_another_questions(notebook, hosted, notebook_dir):
    def answered(request):
        words = prompt_of(request)
        hosted.put("plot.csv", f"{words}\n".encode(), f"cfile_{words}", f"cntr_{words}")
        items = [wire.Code("x", container_id=f"cntr_{words}"), wire.Message("Done.")]
        return streamed(wire.stream(items, f"resp_{words}"))

    hosted.on("^POST /v1/responses$", answered)
    answers = ask_each({name: name for name in "ABCDEF"}, at_once=6)
    contents = {label: [file.read_bytes() for file in answer.files.values()] for label, answer in answers.items()}
    assert contents == {name: [f"{name}\n".encode()] for name in "ABCDEF"}


def test_ctrl_c_ends_the_questions_and_gives_what_came_of_them(notebook, hosted, monkeypatch):
    under_way, half = threading.Event(), wire.stream([wire.Message("Half an answer.")])[:-4]

    def answered(request):
        if prompt_of(request) == "A":
            return said("Answer.", "resp_A")
        under_way.set()
        return streamed(half, ends=False)

    def so_far(outcomes, _total):
        if len(outcomes) == 1 and under_way.wait(20):
            _thread.interrupt_main()
            time.sleep(20)  # until the interrupt comes, which is at once

    hosted.on("^POST /v1/responses$", answered)
    monkeypatch.setattr(batch, "_so_far", so_far)
    with pytest.raises(errors.Interrupted) as caught:
        ask_each(["A", "B", "C", "D"], at_once=1)
    answers = caught.value.answer
    assert answers[0].text == "Answer."
    assert isinstance(answers[1], errors.AssistantError)
    assert 3 not in answers
    assert "of 4" in caught.value.message


def test_what_the_service_has_not_begun_to_answer_is_not_waited_for(notebook, hosted, monkeypatch):
    release, begun = threading.Event(), threading.Event()

    def so_far(_outcomes, _total):
        begun.wait(20)
        raise KeyboardInterrupt

    late = said("Too late.", "resp_1")
    hosted.on("^POST /v1/responses$", lambda _request: [begun.set(), release.wait(20), late][2])
    monkeypatch.setattr(batch, "_so_far", so_far)
    monkeypatch.setattr(batch, "STOPS_WITHIN_S", 0.05)
    with pytest.raises(errors.Interrupted) as caught:
        ask_each(["A", "B"], at_once=1)
    assert len(caught.value.answer) == 0
    assert not release.is_set()
    release.set()


def test_aask_leaves_the_event_loop_free_and_keeps_the_limit(notebook, hosted, notebook_dir, monkeypatch):
    def seen(*args, **more):
        readers.append(threading.current_thread())
        return read(*args, **more)

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def all_of_them():
        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*(aask(f"Q{number}", inputs="t.csv") for number in range(5)))
        ticking.cancel()
        return [answer.text for answer in answers]

    (notebook_dir / "t.csv").write_text("a\n1\n")
    read, readers, ticks, echo = session.gather, [], [], Echo(hosted, at_once=2)
    monkeypatch.setattr(session, "AT_ONCE", 2)
    monkeypatch.setattr(session, "gather", seen)
    assert asyncio.run(all_of_them()) == [f"Answer to Q{number}" for number in range(5)]
    assert (echo.most, echo.asked) == (2, 5)
    assert len(ticks) > 3
    assert len(readers) == 5
    assert threading.main_thread() not in readers


def test_aask_asks_about_what_a_variable_held_when_it_was_called(notebook, hosted, monkeypatch):
    async def asked():
        tasks = []
        for number in range(6):
            notebook.names["t"] = pd.DataFrame({"a": [number]})
            tasks.append(asyncio.ensure_future(aask(f"Q{number}", inputs="t")))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    monkeypatch.setattr(
        turn_run, "answer_question", lambda _session, question, **_: question.inputs[0].path.read_text()
    )
    monkeypatch.setattr(session, "AT_ONCE", 2)
    assert asyncio.run(asked()) == [f"a\n{number}\n" for number in range(6)]


def test_an_aask_that_is_cancelled_ends_its_question(notebook, hosted):
    begun, events = threading.Event(), wire.stream([wire.Message("Slowly.")])[:-2]
    hosted.on("^POST /v1/responses$", lambda _request: [begun.set(), streamed(events)][1])

    async def give_up():
        task = asyncio.create_task(aask("Ask."))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())


@pytest.mark.slow
def test_a_plain_process_asks_the_engine_and_leaves_no_process_behind(run_python, notebook_dir):
    printed = run_python("""
import json, psutil
from ipython_assistant import ask
answer = ask("```python\\nprint(6 * 7)\\n_ = open('out.csv', 'w').write('a\\\\n1\\\\n')\\n```", show=True)
children = [child.pid for child in psutil.Process().children(recursive=True)]
print(json.dumps([answer.logs, sorted(answer.files), children]))
""")
    logs, files, children = json.loads(printed.splitlines()[-1])
    assert (logs, files) == ("42\n", ["out.csv"])
    assert "assistant_files/out.csv" in printed
    assert (notebook_dir / "assistant_files" / "out.csv").read_text() == "a\n1\n"
    assert children
    still = [psutil.Process(pid) for pid in children if psutil.pid_exists(pid)]
    assert psutil.wait_procs(still, timeout=10)[1] == []


def test_tables_that_are_asked_for_come_with_the_answer_and_no_variable_is_touched(notebook, hosted):
    hosted.put("by_district.csv", b"code,n\n007,1\n", "cfile_csv")
    hosted.will_say([wire.Code("x"), wire.cited(("by_district.csv", "cfile_csv"))])
    notebook.names["by_district"] = "mine"
    answer = ask("Save it.", outputs=["by_district"])
    assert answer.frames["by_district"].to_dict("list") == {"code": ["007"], "n": [1]}
    assert notebook.names["by_district"] == "mine"


@pytest.mark.parametrize("last_line", [
    "ask('A')", "ask('A', show=True)", "answer = ask('A'); answer", "await aask('A')", "a = await aask('A')\na",
])  # fmt: skip
def test_the_answer_of_an_ask_that_is_the_cells_value_is_shown(notebook, echo, last_line):
    ran = notebook.cell("A", f"from ipython_assistant import aask, ask\n{last_line}")
    assert [output["text/plain"] for output in ran.outputs].count("Answer to A") == 1


def test_one_unexpected_exception_is_the_outcome_of_its_question_alone(notebook, echo, monkeypatch):
    real = batch.turn_run.answer_question

    def ask_or_fail(session, question, **how):
        return 1 / 0 if question.prompt == "B" else real(session, question, **how)

    monkeypatch.setattr(batch.turn_run, "answer_question", ask_or_fail)
    outcomes = [type(outcome).__name__ for outcome in ask_each(list("ABC")).values()]
    assert outcomes == ["Answer", "ZeroDivisionError", "Answer"]


def test_ask_in_a_plain_script_does_not_import_ipython(run_python, echo):
    code = "import sys; from ipython_assistant import ask; print(ask('A').text, 'IPython' in sys.modules)"
    assert run_python(code).strip() == "Answer to A False"
