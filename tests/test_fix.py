"""`%assistant fix`: what goes to the service about a cell that failed, and what comes back."""

import contextlib

import pandas as pd
import pytest
from tests_support import events as wire
from tests_support.cases import told

from ipython_assistant import errors

ANSWER = "The column is called `district`.\n\n```python\ncases.groupby('district').sum()\n```\n"


@pytest.fixture
def notebook(notebook):
    notebook.names["cases"] = pd.DataFrame({"district": ["Arvessa"], "n": [3]})
    return notebook


def fixed(notebook, hosted, words="", source="x = 1\ncases.groupby('distrct').sum()"):
    """Let a cell fail and have it fixed."""
    with contextlib.suppress(Exception):
        notebook.cell("A", source)
    hosted.will_say([wire.Message(words or ANSWER)])
    return notebook.cell("B", "%assistant fix")


def test_code_error_and_columns_go_and_no_value_and_the_corrected_cell_is_printed(notebook, hosted):
    notebook.names["other"] = pd.DataFrame({"unnamed": [1]})
    ran = fixed(notebook, hosted)
    asked = hosted.questions()[0]
    words = asked["input"][-1]["content"]
    there = ("cases.groupby('distrct').sum()", "KeyError, line 2: 'distrct'", "cases: 1 row", "district")
    assert [part for part in there if part not in words] == []
    assert [part for part in ("Arvessa", "unnamed") if part in words] == []
    assert asked["tools"] == []
    assert ran.printed.strip() == "cases.groupby('district').sum()"
    assert "The column is called" in ran.plain


def test_dry_run_shows_what_would_go_and_sends_nothing_and_without_an_error_it_says_so(notebook, hosted):
    with contextlib.suppress(KeyError):
        notebook.cell("A", "cases.groupby('distrct').sum()")
    ran = notebook.cell("B", "%assistant fix --dry-run")
    assert "Nothing was sent" in ran.printed
    assert "distrct" in ran.printed
    notebook.cell("B", "1 + 1")
    with pytest.raises(errors.OptionError, match="without an error"):
        notebook.cell("C", "%assistant fix")
    assert hosted.requests == []


def test_a_syntax_error_is_explained_too_and_a_key_in_the_code_is_not_sent(notebook, hosted, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "planted-secret-0123456789")
    fixed(notebook, hosted, "A bracket is missing.", "x = (\n1 +")
    fixed(notebook, hosted, "No such function.", "connect('planted-secret-0123456789')")
    syntax, key = hosted.asked("^POST /v1/responses$")
    assert b"SyntaxError" in syntax.body
    assert b"connect(" in key.body
    assert b"planted-secret" not in key.body


def test_an_error_of_ours_says_by_itself_what_to_do(notebook, hosted):
    with told(errors.OptionError, cure="Did you mean --model?"):
        fixed(notebook, hosted, "", "%%assistant --modle x\nPlot")
