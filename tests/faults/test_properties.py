"""What holds for any answer, also of a server that is nearly right."""

import json

import pytest
from hypothesis import given
from IPython.utils.capture import capture_output
from tests_support import events as wire
from tests_support.mutation import mutated
from tests_support.scripted import Answer

from faults.scenarios import data_uri
from faults.server import png
from ipython_assistant.errors import AssistantError

FIGURE = data_uri(png("figure", 2))
TEXT = "See [a.csv](sandbox:/mnt/data/a.csv)."
WHOLE_TURN = wire.stream([
    wire.Reasoning(), wire.Code("plot()", (wire.logs("1\n"), wire.image(FIGURE))),
    wire.Message(TEXT, (wire.cite(TEXT, "a.csv", "cfile_a"), wire.cite_figure("cfile_b"))),
])  # fmt: skip


@given(events=mutated(WHOLE_TURN))
@pytest.mark.slow  # a whole cell for each example
def test_whatever_an_answer_holds_its_cell_ends_in_an_answer_or_in_two_lines(shell, hosted, events):
    hosted.put("a.csv", b"a\n1\n", "cfile_a")
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    hosted.will_answer(Answer(body, headers={"Content-Type": "text/event-stream"}))
    with capture_output():
        outcome = shell.run_cell("%%assistant --new\nAsk.", store_history=True)
    error = outcome.error_before_exec or outcome.error_in_exec
    assert error is None or isinstance(error, AssistantError), repr(error)
    assert error is None or len(error._render_traceback_()) >= 2
