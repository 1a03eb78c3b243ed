"""A cell, from its text to files on disk, against a scripted service on loopback: the hosted way."""

import _thread
import base64
import json
import signal
import threading
import time

import pandas as pd
import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.files import PNG
from tests_support.notebook import on_activity, run_cell
from tests_support.scripted import Answer, refusal, streamed

from ipython_assistant import errors

CSV = b"district,coverage\nA,0.5\nB,0.75\n"
TEXT = "The mean per district: [by_district.csv](sandbox:/mnt/data/by_district.csv)."
CODE = wire.Code("frame.to_csv('by_district.csv')\nprint('ok')", (wire.logs("ok\n"),))
SAID = [CODE, wire.Message(TEXT, (wire.cite(TEXT, "by_district.csv", "cfile_csv"),))]


def run(shell, body, line=""):
    """Run a cell the way a notebook does; gives its value and what it gave in all."""
    ran = run_cell(shell, f"%%assistant {line}\n{body}").raised()
    return ran.value, ran


def test_the_file_is_on_disk_and_the_link_leads_to_it(shell, hosted, notebook_dir):
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.will_say(SAID)
    answer, ran = run(shell, "Save the mean per district.")
    saved = notebook_dir / "assistant_files" / "by_district.csv"
    assert saved.read_bytes() == CSV
    assert answer.text == "The mean per district: [by_district.csv](assistant_files/by_district.csv)."
    assert 'href="assistant_files/by_district.csv" download="by_district.csv"' in ran.html
    assert "sandbox:" not in ran.html


def test_the_cells_value_is_the_answer_with_its_parts_shown_once_and_again_in_another_cell(shell, hosted):
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.will_say(SAID)
    answer, ran = run(shell, "Save the mean per district.")
    assert shell.user_ns["_"] is answer
    assert shell.user_ns["Out"][shell.execution_count - 1] is answer
    texts = [output["text/plain"] for output in ran.outputs]
    assert len([text for text in texts if "The mean per district" in text]) == 1
    assert list(answer.files) == ["by_district.csv"]
    assert answer.files["by_district.csv"].read_bytes() == CSV
    assert answer.files["by_district.csv"].to_frame()["coverage"].tolist() == [0.5, 0.75]
    assert (answer.code, answer.logs) == ("frame.to_csv('by_district.csv')\nprint('ok')", "ok\n")
    assert (answer.status, answer.response_id, answer.usage["total_tokens"]) == ("completed", "resp_1", 30)
    assert [table.name for table in answer.tables] == ["by_district.csv"]
    assert run_cell(shell, "_").outputs == ran.outputs


def test_the_outputs_come_in_order_answer_code_picture_table_card(shell, hosted):
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.put("c.png", PNG, "cfile_png")
    hosted.will_say([CODE, wire.cited(("c.png", "cfile_png"), ("by_district.csv", "cfile_csv"))])
    _, ran = run(shell, "Both.")
    bundles = ran.outputs
    assert ran.kinds == ("answer", "work", "picture", "caption", "table", "card")
    assert "assistant_files/c.png" in bundles[0]["text/html"]
    assert "<details" in bundles[1]["text/html"]
    assert base64.b64decode(bundles[2]["image/png"]) == PNG
    assert "2 rows × 2 columns" in bundles[4]["text/html"]
    assert bundles[5]["text/html"].count(" download=") == 2
    assert all("text/plain" in bundle for bundle in bundles)


def test_the_question_is_sent_as_written_with_what_makes_files_come_out_well(shell, hosted):
    hosted.will_say([wire.Message("Ok.")])
    run(shell, "Why is {B} missing? $x^2$\n  second line\n", "-m some-model")
    (question,) = hosted.questions()
    assert question["input"] == [{"role": "user", "content": "Why is {B} missing? $x^2$\n  second line"}]
    assert question["model"] == "some-model"
    assert question["include"] == ["code_interpreter_call.outputs"]
    assert question["tools"] == [{"type": "code_interpreter", "container": {"type": "auto"}}]
    assert "sandbox:/mnt/data/" in question["instructions"]
    assert "plt.close()" in question["instructions"]


def test_a_dataframe_goes_into_a_container_and_the_model_is_told_its_path_not_its_contents(shell, hosted):
    shell.user_ns["cases"] = pd.DataFrame({"district": ["secretville"], "n": [3]})
    hosted.will_say([wire.Message("Ok.")])
    run(shell, "Look.", "-i cases")
    (question,) = hosted.questions()
    (upload,) = hosted.asked(r"^POST /v1/containers/.*/files$")
    assert b'filename="cases.csv"' in upload.body
    assert b"district,n\nsecretville,3\n" in upload.body
    assert question["tools"][0]["container"] == "cntr_test_1"
    assert "/mnt/data/cases.csv: DataFrame cases, 1 row × 2 columns" in question["instructions"]
    assert "secretville" not in json.dumps(question)


def test_one_chart_that_was_saved_and_shown_is_seen_once_and_kept_twice(shell, hosted):
    uri = "data:image/png;base64," + base64.b64encode(PNG + b"shown").decode()
    hosted.put("c.png", PNG, "cfile_png")
    figure = wire.Message("", (wire.cite_figure("cfile_9"),))
    code = wire.Code("savefig('c.png'); show()", (wire.image(uri),))
    hosted.will_say([code, figure, wire.cited(("c.png", "cfile_png"))])
    answer, ran = run(shell, "Plot.")
    assert set(answer.files) == {"c.png", "figure-1.png"}
    (shown,) = [output["image/png"] for output in ran.outputs if "image/png" in output]
    assert base64.b64decode(shown) == PNG


def test_files_go_where_the_cell_says(shell, hosted, notebook_dir):
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.will_say(SAID)
    answer, _ = run(shell, "Save.", "--dir out/tables")
    assert (notebook_dir / "out" / "tables" / "by_district.csv").is_file()
    assert "(out/tables/by_district.csv)" in answer.text


def test_an_incomplete_answer_is_shown_and_the_cell_is_an_error(shell, hosted):
    cut = {"reason": "max_output_tokens"}
    hosted.will_say([wire.Message("The first half")], ending="incomplete", incomplete_details=cut)
    with pytest.raises(errors.TurnFailed, match="incomplete: max_output_tokens") as caught:
        run(shell, "Ask.")
    assert caught.value.answer.status == "incomplete"
    assert "The first half" in caught.value.ran.html


def test_a_refusal_is_an_ordinary_answer_and_a_link_without_any_code_having_run_is_said_to_lead_nowhere(shell, hosted):
    hosted.will_say([wire.Message("I only know two columns.", refusal=True)])
    hosted.will_say([wire.Message("Here: [t.csv](sandbox:/mnt/data/t.csv)")])
    answer, ran = run(shell, "Forecast.")
    assert answer.status == "refused"
    assert "two columns" in ran.html
    assert any("No code was run" in note for note in run(shell, "Make a table.")[0].notes)


def test_a_key_that_is_corrected_in_the_environment_is_used_by_the_next_cell(shell, hosted, monkeypatch):
    hosted.will_answer(refusal("No.", 401, "invalid_api_key"))
    with pytest.raises(errors.Refused):
        run(shell, "Ask.")
    monkeypatch.setenv("OPENAI_API_KEY", "corrected-key")
    hosted.will_say([wire.Message("Ok.")])
    answer, _ = run(shell, "Ask.")
    assert answer.text == "Ok."
    assert hosted.requests[-1].headers["authorization"] == "Bearer corrected-key"


def test_ctrl_c_keeps_what_arrived_and_saves_the_files(shell, hosted, notebook_dir, monkeypatch):
    def interrupt(activity):
        if activity == "writing" and not release.is_set():
            release.set()
            _thread.interrupt_main()

    hosted.put("by_district.csv", CSV, "cfile_csv")
    release = threading.Event()
    hosted.will_answer(streamed(wire.stream(SAID)[:-4], ends=False))
    on_activity(monkeypatch, interrupt)
    with pytest.raises(errors.Interrupted) as caught:
        run(shell, "Save.")
    assert caught.value.answer.status == "interrupted"
    assert (notebook_dir / "assistant_files" / "by_district.csv").read_bytes() == CSV


def test_ctrl_c_while_the_first_of_two_containers_lists_its_files_waits_for_neither(shell, hosted):
    interrupted, over = threading.Event(), threading.Event()

    def hang(_request):
        if not interrupted.is_set():
            interrupted.set()
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        over.wait(20)
        return Answer(b"", status=500)

    hosted.on("GET /v1/containers/[^/]+/files", hang)
    shell.run_line_magic("config", "AssistantMagics.prefetch_bytes = 0")
    hosted.will_say([wire.Code("x", container_id="cntr_a"), wire.Code("y", container_id="cntr_b"), wire.Message("Ok.")])
    began = time.monotonic()
    with pytest.raises(errors.Interrupted) as caught:
        run(shell, "Save.")
    over.set()
    assert time.monotonic() - began < 10
    assert [note.endswith("It was not waited for.") for note in caught.value.answer.notes if "list of" in note] == [
        True
    ]


def test_the_key_is_in_no_output(shell, hosted, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    hosted.put("by_district.csv", CSV, "cfile_csv")
    hosted.will_say(SAID)
    answer, ran = run(shell, "Save.")
    everything = json.dumps(ran.outputs) + repr(answer) + ran.printed
    assert "sk-planted" not in everything
    assert hosted.requests[0].headers["authorization"] == "Bearer sk-planted-0123456789abcdef"


def test_a_table_whose_file_could_not_be_fetched_says_retry(shell, hosted):
    hosted.will_say([wire.Code("x"), wire.cited(("by_year.csv", "cfile_gone"))])
    with told(errors.TableMissing, "by_year.csv", "%assistant retry", lines=3):
        run(shell, "Save it.", "-o by_year")


def test_an_interrupt_while_a_container_is_deleted_leaves_the_answer_whole(shell, hosted, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    hosted.will_say([wire.Message("Whole.")])
    monkeypatch.setattr("ipython_assistant.turn_sources.ServiceSource.release", interrupted)
    assert run(shell, "Ask.")[0].text == "Whole."
