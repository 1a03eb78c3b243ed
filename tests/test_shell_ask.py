"""`ipython-assistant ask`: one question from a shell."""

import io
import json

import pandas as pd
import pytest
from tests_support import events as wire
from tests_support.scripted import Answer

from ipython_assistant import shell_ask
from ipython_assistant.cli import main

CSV = b"district,n\nA,1\nB,2\n"


@pytest.fixture
def answering(hosted, notebook_dir):
    """A service that brings a table, and a file to ask about."""
    (notebook_dir / "cases.csv").write_text("district\nA\nB\nB\n")
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.will_say([wire.Code("x"), wire.cited(("by_district.csv", "cfile_csv"))])
    return hosted


def test_the_answer_is_on_stdout_and_everything_else_on_stderr(answering, capsys):
    assert main(["ask", "Count per district", "-i", "cases.csv"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "[by_district.csv](assistant_files/by_district.csv)\n"
    assert [words for words in ("connecting", "sending cases.csv", "saved") if words not in shown.err] == []


def test_of_inputs_over_5_mb_it_is_said_how_much_of_them_is_sent(answering, notebook_dir, monkeypatch):
    said = []
    monkeypatch.setattr(shell_ask.ProgressLines, "update", lambda _lines, _text, activity=None: said.append(activity))
    for name in ("a.bin", "b.bin"):
        (notebook_dir / name).write_bytes(name.encode() * 630_000)
    main(["ask", "Count per district", "-i", "*.bin"])
    shares = [line for line in said if line and "%" in line]
    assert [share.split(" (")[0] for share in shares] == ["sending 0 of 2 files, 0%", "sending 1 of 2 files, 50%"]


@pytest.mark.parametrize(("name", "read"), [
    ("by_district.csv", pd.read_csv), ("by_district.tsv", pd.read_table), ("by_district.xlsx", pd.read_excel),
])  # fmt: skip
def test_a_table_is_written_where_it_was_asked_for(answering, notebook_dir, name, read):
    assert main(["ask", "Count per district", "-i", "cases.csv", "-o", name, "-o", "by_district.tsv"]) == 0
    assert pd.read_table(notebook_dir / "by_district.tsv").shape == (2, 2)
    assert read(notebook_dir / name).to_dict("list") == {"district": ["A", "B"], "n": [1, 2]}


@pytest.mark.parametrize("writer", [shell_ask.WRITERS[".csv"], lambda *_: int("a date with a time zone")])
def test_a_table_that_cannot_be_written_leaves_the_answer_on_stdout_and_two_lines(
    answering, notebook_dir, monkeypatch, capsys, writer
):
    (notebook_dir / "by_district.csv").mkdir()
    monkeypatch.setitem(shell_ask.WRITERS, ".csv", writer)
    assert main(["ask", "Count per district", "-i", "cases.csv", "-o", "by_district.csv"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "[by_district.csv](assistant_files/by_district.csv)\n"
    assert "TableMissing: by_district.csv could not be written" in shown.err


def test_json_has_the_text_the_files_and_the_usage_and_the_question_can_come_from_stdin(answering, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Count {per} district\n"))
    assert main(["ask", "-", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["status"], body["response_id"]) == ("completed", "resp_1")
    assert [file["name"] for file in body["files"]] == ["by_district.csv"]
    assert answering.questions()[0]["input"][-1]["content"] == "Count {per} district"


@pytest.mark.parametrize(("words", "said"), [
    (["-i", "nowhere.csv"], "InputError"), (["-o", "plot.png"], "-o plot.png"), (["-o", "nowhere/x.csv"], "nowhere"),
    (["--effort", "much"], "--effort much"), (["--tool", "web_serch"], "web_serch"),
])  # fmt: skip
def test_a_wrong_call_is_two_lines_on_stderr_and_exit_code_2(hosted, notebook_dir, capsys, words, said):
    assert main(["ask", "Plot", *words]) == 2
    shown = capsys.readouterr()
    assert (shown.out, said in shown.err, hosted.requests) == ("", True, [])
    assert len(shown.err.splitlines()) >= 2


def test_a_refusal_has_an_exit_code_of_its_own_and_what_fails_prints_what_arrived(hosted, notebook_dir, capsys):
    hosted.will_say([wire.Message("Only about tables.", refusal=True)])
    hosted.will_say([wire.Message("No table today.")])
    assert main(["ask", "Who are you?"]) == 3
    capsys.readouterr()
    assert main(["ask", "Count", "-o", "counts.csv"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, "TableMissing" in shown.err) == ("No table today.\n", True)


@pytest.mark.parametrize(("address", "error", "cure"), [
    ("http://127.0.0.1:9/v1", "Unreachable", "then ask again."),
    ("", "NoKey", "in a shell, IPYTHON_ASSISTANT_SERVICE=local"),
])  # fmt: skip
def test_hints_say_what_fits_a_shell(hosted, notebook_dir, monkeypatch, capsys, *, address, error, cure):
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    if not address:
        monkeypatch.setenv("IPYTHON_ASSISTANT_SERVICE", "openai")
        monkeypatch.delenv("OPENAI_API_KEY")
    assert main(["ask", "Count"]) in {1, 2}
    told = capsys.readouterr().err
    assert (error in told, cure in told, "cell" in told) == (True, True, False)


def test_a_dry_run_sends_nothing_and_a_short_wait_is_a_second_and_not_none(hosted, notebook_dir, capsys):
    assert main(["ask", "Plot", "--dry-run"]) == 0
    assert "Nothing was sent" in capsys.readouterr().out
    assert hosted.requests == []
    hosted.will_answer(Answer(b'{"error": {"message": "Rate limit reached."}}', 429, {"Retry-After": "0.2"}))
    hosted.will_say([wire.Message("Answer.")])
    assert main(["ask", "Count"]) == 0
    assert "waiting 1 s before the next try" in capsys.readouterr().err
