"""`%assistant fix`: what goes to the service about a cell that failed, and what comes back."""

import contextlib

import pandas as pd
import pytest
from tests_support import events as wire

from ipython_assistant import commands, errors
from ipython_assistant.display.live import FrontEnd

ANSWER = "The column is called `district`.\n\n```python\ncases.groupby('district').sum()\n```\n"


@pytest.fixture
def notebook(notebook):
    notebook.names["cases"] = pd.DataFrame({"district": ["Arvessa"], "n": [3]})
    return notebook


def fail(notebook, source="x = 1\ncases.groupby('distrct').sum()"):
    with contextlib.suppress(Exception):
        notebook.cell("A", source)


def test_the_question_has_the_code_the_error_and_the_columns_and_no_value_of_any_table(notebook, hosted):
    notebook.names["other"] = pd.DataFrame({"unnamed": [1]})
    fail(notebook)
    hosted.will_say([wire.Message(ANSWER)])
    notebook.cell("B", "%assistant fix")
    asked = hosted.questions()[0]

    words = asked["input"][-1]["content"]
    assert "cases.groupby('distrct').sum()" in words
    assert "KeyError, line 2: 'distrct'" in words
    assert "cases: 1 row" in words
    assert "district" in words
    assert "Arvessa" not in words
    assert "unnamed" not in words
    assert asked["tools"] == []


def test_the_corrected_cell_is_inserted_below_in_a_live_notebook(notebook, hosted, monkeypatch):
    fail(notebook)
    hosted.will_say([wire.Message(ANSWER)])
    inserted = []
    monkeypatch.setattr(commands, "front_end", lambda _shell: FrontEnd(live=True, cell_id="B"))
    monkeypatch.setattr(notebook.shell, "set_next_input", lambda text, replace: inserted.append((text, replace)))
    notebook.cell("B", "%assistant fix")
    assert inserted == [("cases.groupby('district').sum()", False)]


def test_the_corrected_cell_is_printed_where_nobody_watches(notebook, hosted):
    fail(notebook)
    hosted.will_say([wire.Message(ANSWER)])
    ran = notebook.cell("B", "%assistant fix")
    assert ran.printed.strip() == "cases.groupby('district').sum()"
    assert "The column is called" in ran.plain


def test_dry_run_shows_what_would_go_and_sends_nothing(notebook, hosted):
    fail(notebook)
    ran = notebook.cell("B", "%assistant fix --dry-run")
    assert "Nothing was sent" in ran.printed
    assert "distrct" in ran.printed
    assert hosted.requests == []


def test_a_syntax_error_is_explained_too(notebook, hosted):
    fail(notebook, "x = (\n1 +")
    hosted.will_say([wire.Message("A bracket is missing.")])
    notebook.cell("B", "%assistant fix")
    assert "SyntaxError" in hosted.questions()[0]["input"][-1]["content"]


def test_a_key_in_the_code_is_not_sent(notebook, hosted, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "planted-secret-0123456789")
    fail(notebook, "connect('planted-secret-0123456789')")
    hosted.will_say([wire.Message("No such function.")])
    notebook.cell("B", "%assistant fix")
    assert b"planted-secret" not in hosted.asked("^POST /v1/responses$")[0].body


def test_without_an_error_it_says_so(notebook, hosted):
    fail(notebook)
    notebook.cell("B", "1 + 1")
    with pytest.raises(errors.OptionError, match="without an error"):
        notebook.cell("C", "%assistant fix")
    assert hosted.requests == []


def test_an_error_of_ours_says_by_itself_what_to_do(notebook, hosted):
    fail(notebook, "%%assistant --modle x\nPlot")
    with pytest.raises(errors.OptionError) as caught:
        notebook.cell("B", "%assistant fix")
    assert "Did you mean --model?" in caught.value.hint
