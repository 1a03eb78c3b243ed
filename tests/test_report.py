"""`%assistant report`: one file with what was asked and what came of it, from the recordings alone."""

import json

import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.files import PNG
from tests_support.markup import Markup
from tests_support.notebook import Notebook

from ipython_assistant import errors

SAID = "The mean: [by_year.csv](sandbox:/mnt/data/by_year.csv). <script>alert(1)</script> ![x](http://evil.example/x)"


@pytest.fixture
def talked(notebook_dir, hosted, monkeypatch):
    """Two questions, the first with a table and a figure; the first cell ran twice. Then the service is gone."""
    monkeypatch.delenv("IPYTHON_ASSISTANT_MODE")
    (notebook_dir / "cases.csv").write_text("year,n\n2020,3\n")
    with Notebook() as notebook:
        hosted.will_say([wire.Message("An earlier answer.")])
        notebook.ask("A", "Mean by year?", "-i cases.csv")
        hosted.put("by_year.csv", b"year,mean\n2020,3\n", "cfile_1")
        hosted.put("c.png", PNG, "cfile_2")
        cited = (wire.cite(SAID, "by_year.csv", "cfile_1"),)
        hosted.will_say([wire.Code("frame.to_csv('by_year.csv')"), wire.Message(SAID, cited)], response_id="resp_2")
        notebook.ask("A", "Mean by year, as a table?", "-i cases.csv")
        hosted.will_say([wire.Message("It rose.")], response_id="resp_3")
        notebook.ask("B", "Did it rise?", "-c side")
        notebook.restart()
        monkeypatch.delenv("OPENAI_API_KEY")
        yield notebook


def report(notebook, name):
    ran = notebook.cell("R", f"%assistant report {name}")
    return ran.printed, (notebook.session.notebook_dir / name).read_text(encoding="utf-8")


def test_a_page_and_a_notebook_hold_everything_and_nothing_of_a_model_runs_or_fetches(talked, hosted):
    printed, page = report(talked, "report.html")
    markup = Markup.of(page)
    assert "2 questions" in printed
    for words in ("Mean by year, as a table?", "to_csv", "by_year.csv", "cases.csv", "Did it rise?", "It rose."):
        assert words in markup.text, words
    assert "An earlier answer." not in markup.text
    assert "data:image/png;base64," in page
    assert not list(markup.all("script"))
    assert not [tag for tag in markup.all("img") if not tag["src"].startswith("data:")]
    import nbformat  # late, as in the lessons

    notebook = nbformat.reads(report(talked, "report.ipynb")[1], as_version=4)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert sources == ["%%assistant -i cases.csv\nMean by year, as a table?", "%%assistant\nDid it rise?"]
    assert any("image/png" in output.data for output in notebook.cells[1].outputs)
    assert len(hosted.questions()) == 3


def test_what_was_saved_and_is_gone_comes_from_the_recordings_or_is_named(talked, notebook_dir):
    for name in ("by_year.csv", "c.png"):
        (notebook_dir / "assistant_files" / name).unlink()
    turns = notebook_dir / "assistant_files" / ".turns"
    files = [file for path in turns.glob("*.json") for file in json.loads(path.read_text())["files"]]
    (table,) = (file["sha256"] for file in files if file["name"] == "by_year.csv")
    (turns / "bodies" / table).unlink()
    printed, page = report(talked, "report.html")
    assert "Missing: by_year.csv" in printed
    assert "by_year.csv not saved: It was changed or removed" in Markup.of(page).text
    assert "data:image/png;base64," in page
    assert not (notebook_dir / "assistant_files" / "c.png").exists()


def test_a_report_replaces_a_report_and_nothing_else(talked, notebook_dir):
    report(talked, "report.ipynb")
    report(talked, "report.ipynb")
    (notebook_dir / "mine.html").write_text("my own work")
    with pytest.raises(errors.OptionError, match="no report"):
        report(talked, "mine.html")
    assert (notebook_dir / "mine.html").read_text() == "my own work"
    for words in ("", "report.pdf", "report.html extra", "no/such/folder.html"):
        with told(errors.OptionError):
            talked.cell("R", f"%assistant report {words}")


def test_recordings_that_cannot_be_read_are_said(talked, notebook_dir):
    for path in (notebook_dir / "assistant_files" / ".turns").glob("*.json"):
        path.write_text("{")
    with told(errors.OptionError, "No recording in", ".json cannot be read"):
        talked.cell("R", "%assistant report report.html")


def test_a_folder_without_recordings_is_said(shell):
    with pytest.raises(errors.OptionError, match="Nothing is recorded"):
        shell.run_line_magic("assistant", "report report.html")
