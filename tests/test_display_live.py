"""A running answer: first text at once, then at most ten updates a second, the last state always."""

import json
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from tests_support.cases import cases
from tests_support.markup import Markup

from ipython_assistant.core.wording import transfer_in_words
from ipython_assistant.display import outputs
from ipython_assistant.display.live import FrontEnd, LiveOutput, ProgressLines, front_end

WATCHED = FrontEnd(live=True, cell_id="c1")
FINAL = outputs.answer("The end.", {})


class Publisher:
    """Remembers what it was given, and when, by a clock that the test moves on."""

    def __init__(self):
        self.now, self.sent, self.times = 0.0, [], []

    def publish(self, data, metadata=None, *, transient=None, update=False):
        self.sent.append({"data": data, "metadata": metadata, "transient": transient, "update": update})
        self.times.append(self.now)

    @property
    def shown(self):
        return [Markup.of(sent["data"]["text/html"]).text for sent in self.sent]


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def live(publisher):
    return LiveOutput(WATCHED, publisher=publisher, clock=lambda: publisher.now)


# What comes in, or so many ticks of 0.1 s; and what is shown of it.
@cases(("steps", "shown"), {
    "the first state and the first text at once": (
        [("", "connecting"), ("C", "writing")], ["Connecting …", "C\nWriting …"]),
    "more text is held back until a pause comes": (
        [("one", "writing"), ("one two",), 10], ["one\nWriting …", "one two\nWriting …"]),
    "an activity that lasts counts its seconds": (
        [("", "running code"), 35, (None, "thinking")],
        ["Running code …", "Running code, 2 s …", "Running code, 3 s …", "Thinking …"]),
})  # fmt: skip
def test_what_is_shown_and_when(live, publisher, steps, shown):
    for step in steps:
        if isinstance(step, tuple):
            live.update(*step)
        else:
            for _ in range(step):
                publisher.now += 0.1
                live.tick()
    assert publisher.shown == shown


def write(live, publisher, words, per_s):
    """Let an answer of paragraphs come in, word by word."""
    text = ""
    for count in range(words):
        text += "word " if count % 60 else "\n\nword "
        live.update(text, "writing")
        publisher.now += 1 / per_s
    return text


def test_an_answer_is_shown_at_most_ten_times_a_second(live, publisher):
    write(live, publisher, words=160, per_s=200)
    live.finish(FINAL)
    assert 8 <= len(publisher.sent) <= 10
    assert min(later - earlier for earlier, later in pairwise(publisher.times[:-1])) >= 0.099


@pytest.mark.parametrize(("per_s", "at_least"), [(200, 30), (1_000, 10), (100_000, 1)])
def test_a_long_answer_is_sent_at_most_twelve_times_over(live, publisher, per_s, at_least):
    text = write(live, publisher, words=5_000, per_s=per_s)
    live.finish(outputs.answer(text, {}))
    assert sum(len(json.dumps(sent["data"])) + 800 for sent in publisher.sent) <= 12 * len(text)  # with an envelope
    assert len(publisher.sent) >= at_least
    assert publisher.sent[-1]["data"]["text/plain"] == text


def test_the_text_is_put_together_only_when_it_is_shown(live, publisher):
    asked = []
    for _ in range(1000):
        live.update(lambda: asked.append(publisher.now) or "text", "writing")
        publisher.now += 0.001
    assert len(asked) <= len(publisher.sent) + 1


def test_one_output_is_opened_and_then_updated_or_shown_once_without_an_id_where_nobody_watches(publisher):
    for front in (WATCHED, FrontEnd()):
        with LiveOutput(front, publisher=publisher, clock=lambda: publisher.now) as live:
            live.update("a", "writing")
            live.finish(FINAL)
            live.finish(FINAL)
            live.update("late", "writing")
            publisher.now += 1
            live.tick()
    opened, updated, alone = publisher.sent
    assert [sent["update"] for sent in publisher.sent] == [False, True, False]
    assert opened["transient"] == updated["transient"] != {}
    last = {"data": FINAL.data, "metadata": FINAL.metadata}
    assert updated == {**opened, **last, "update": True}
    assert alone == {**last, "transient": None, "update": False}


def test_an_error_on_the_way_leaves_the_text_without_its_status(live, publisher):
    with pytest.raises(KeyError, match="on the way"), live:  # noqa: PT012 the update belongs to what fails
        live.update("half an ans", "writing")
        raise KeyError("on the way")
    assert publisher.sent[-1]["data"]["text/plain"] == "half an ans"
    assert publisher.sent[-1]["update"]


def test_files_on_their_way_are_counted_and_measured():
    assert transfer_in_words("fetching", 0, 0, 0) == "looking for files"
    assert transfer_in_words("fetching", 0, 5, 4_000_000, 5_000_000) == "fetching 0 of 5 files (4.0 MB)"
    whole = "fetching 3 of 5 files, 100% (8.0 MB of 6.0 MB)"
    assert transfer_in_words("fetching", 3, 5, 8_000_000, 6_000_000) == whole


def shell_of(parent):
    """As far as a shell is asked here: the request that runs."""
    return SimpleNamespace(get_parent=lambda: parent, display_pub=object())


PARENTS = [None, {"metadata": {}}, {"metadata": {"cellId": 3}}, {"metadata": {"cellId": ""}}]
NOTEBOOK = shell_of({"metadata": {"cellId": "abc"}})


@pytest.mark.parametrize("shell", [None, object(), *map(shell_of, PARENTS)])
def test_a_notebook_front_end_is_live_and_no_script_terminal_or_converter_or_kernel_that_pytest_started(shell):
    assert front_end(shell, {}) == FrontEnd()
    assert front_end(NOTEBOOK, {}) == FrontEnd(live=True, cell_id="abc")
    for variable in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        assert front_end(NOTEBOOK, {variable: "x"}) == FrontEnd(live=False, cell_id="abc")


def test_a_cell_whose_outputs_are_captured_is_not_live():
    shell = InteractiveShell.instance()
    shell.get_parent = lambda: {"metadata": {"cellId": "abc"}}
    try:
        assert front_end(shell, {}).live
        with capture_output():
            assert not front_end(shell, {}).live
    finally:
        del shell.get_parent
        InteractiveShell.clear_instance()


CELL = """
from ipython_assistant.core.turn import CodeCall
from ipython_assistant.display import outputs
from ipython_assistant.display.live import LiveOutput, front_end, publish
with LiveOutput(front_end(get_ipython())) as live:
    live.update("Cov", "writing")
    live.finish(outputs.answer("Coverage rose.", {}))
publish(outputs.work([CodeCall("i", "c", "print(1)", "completed", ("\\x1b]0;title\\x07\\x1b[31m1\\x1b[0m\\n",))]))
"""


def test_in_a_terminal_each_output_is_its_text_once_however_it_grew(notebook_dir):
    command = [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c", CELL]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=notebook_dir)
    assert ran.stdout == "Coverage rose.\nCode, 1 step\n\n    print(1)\n\nPrinted:\n\n    1\n"


@pytest.mark.parametrize(("answer", "printed"), [(True, "One \ufffd]0;title\ufffd\n"), (False, "")])
def test_in_a_terminal_lines_say_what_is_going_on_and_the_answer_comes_whole(capsys, answer, printed):
    with ProgressLines(answer=answer) as output:
        output.update("One", "writing")
        for count in range(3):
            output.update(None, f"fetching {count} of 3 files\x1b]")
        output.finish(outputs.answer("One \x1b]0;title\x07", {}))
    shown = capsys.readouterr()
    assert (shown.err, shown.out) == ("writing\nfetching 0 of 3 files\ufffd]\n", printed)
