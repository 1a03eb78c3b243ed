"""Everything an answer can hold beside text and Python code, and pictures that the model sees itself: in real cells."""

import base64
import json
import re

import pytest
from faults.server import png
from tests_support import events as wire
from tests_support.cases import told

from ipython_assistant import errors
from ipython_assistant.question import MOST_SEEN_BYTES

PICTURE = png("generated", 2)
SHELL = [
    wire.Other({"type": "shell_call", "call_id": "call_1", "status": "completed",
                "action": {"commands": ["cd /mnt/data", "wc -l a.csv > n.csv"]},
                "environment": {"type": "container_reference", "container_id": wire.CONTAINER}}),
    wire.Other({"type": "shell_call_output", "call_id": "call_1",
                "output": [{"stdout": "12 rows\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]}),
]  # fmt: skip
APPROVAL = wire.Other({"type": "mcp_approval_request", "name": "search", "server_label": "crm", "arguments": "{}"})
FUNCTION = wire.Other({"type": "function_call", "name": "lookup", "call_id": "call_2", "arguments": "{}"})
COMPACTION = wire.Other({"type": "compaction", "encrypted_content": "gAAAA"})


def test_a_generated_picture_is_shown_and_saved_like_any_other(notebook, hosted, notebook_dir):
    made = {"type": "image_generation_call", "status": "completed", "result": base64.b64encode(PICTURE).decode()}
    hosted.will_say([wire.Other(made), wire.Message("Drawn.")])
    ran = notebook.ask("A", "Draw.", """--tool '{"type": "image_generation"}'""")
    (saved,) = notebook_dir.glob("assistant_files/*.png")
    assert saved.read_bytes() == PICTURE
    assert [artifact.name for artifact in ran.value.artifacts] == [saved.name]
    assert any("image/png" in output for output in ran.outputs)
    assert made["result"][:40] not in ran.html


def test_commands_of_a_hosted_shell_are_code_steps_and_their_files_are_found(notebook, hosted, notebook_dir):
    hosted.put("n.csv", b"n\n12\n", "cfile_1")
    hosted.will_say([*SHELL, wire.Message("Counted.")])
    ran = notebook.ask("A", "Count.")
    assert (notebook_dir / "assistant_files" / "n.csv").read_bytes() == b"n\n12\n"
    (step,) = ran.value.turn.steps
    assert (step.language, step.logs, step.container_id) == ("bash", "12 rows\n", wire.CONTAINER)
    plain = ran.plain + ran.printed
    assert "wc -l a.csv" in plain
    assert "12 rows" in plain
    assert "shell" not in plain


@pytest.mark.parametrize(("item", "cure"), [(APPROVAL, "require_approval"), (FUNCTION, "tool")])
def test_a_turn_that_waits_for_what_a_cell_cannot_give_says_so_and_is_not_continued(notebook, hosted, item, cure):
    hosted.will_say([wire.Message("First I have to ask."), item], response_id="resp_waiting")
    with told(errors.ToolNotAllowed, item.raw["name"], cure):
        notebook.ask("A", "Search.")
    hosted.will_say([wire.Message("Fine.")])
    notebook.ask("B", "And now?")
    assert "previous_response_id" not in hosted.questions()[-1]


def test_a_shortened_conversation_goes_on_and_is_not_shown(notebook, hosted):
    hosted.will_say([COMPACTION, wire.Message("Short.")], response_id="resp_short")
    ran = notebook.ask("A", "Go on.")
    hosted.will_say([wire.Message("Longer.")])
    notebook.ask("B", "More.")
    assert "compaction" not in json.dumps(ran.outputs)
    assert hosted.questions()[-1]["previous_response_id"] == "resp_short"


# --- what the model sees itself ---------------------------------------------------------------------------------------
def with_a_form(notebook_dir):
    (notebook_dir / "form.png").write_bytes(PICTURE)
    (notebook_dir / "scan.pdf").write_bytes(b"%PDF-1.4")
    return "-i form.png -i scan.pdf"


def said(hosted):
    (message,) = hosted.questions()[-1]["input"]
    return message["content"]


def test_the_model_sees_pictures_and_pdfs_as_a_dry_run_says_and_its_code_has_them_too(notebook, hosted, notebook_dir):
    line = with_a_form(notebook_dir)
    dry = notebook.ask("A", "What is this?", f"--dry-run {line}")
    assert "form.png, scan.pdf" in dry.plain + dry.printed
    assert "tokens" in dry.plain + dry.printed
    assert hosted.requests == []
    hosted.will_say([wire.Message("A form.")])
    notebook.ask("A", "What is this?", line)
    words, picture, document = said(hosted)
    assert words == {"type": "input_text", "text": "What is this?"}
    assert picture["type"] == "input_image"
    assert base64.b64decode(picture["image_url"].partition(",")[2]) == PICTURE
    assert (document["type"], document["filename"]) == ("input_file", "scan.pdf")
    assert len(hosted.asked("^POST /v1/containers/.*/files$")) == 2


def test_pictures_beyond_the_limit_are_left_to_code_and_that_is_said(notebook, hosted, notebook_dir):
    line = with_a_form(notebook_dir)
    with (notebook_dir / "large.png").open("wb") as large:
        large.truncate(MOST_SEEN_BYTES)
    dry = notebook.ask("A", "What is this?", f"--dry-run {line} -i large.png")
    hosted.will_say([wire.Message("A form.")])
    ran = notebook.ask("B", "What is this?", f"{line} -i large.png")
    assert said(hosted) == "What is this?"
    (note,) = [note for note in ran.value.notes if "large.png" in note]
    assert note in ran.plain
    assert note in dry.plain + dry.printed
    assert len(hosted.asked("^POST /v1/containers/.*/files$")) == 3


@pytest.mark.parametrize(("model", "share", "seen"), [
    ("ollama/qwen3.5:4b", "results", "form.png"), ("ollama/qwen3.5:4b", "names", ""), ("basic", "results", ""),
])  # fmt: skip
def test_what_a_model_that_code_runs_here_for_sees_is_in_the_dry_run(notebook, notebook_dir, model, share, seen):
    line = with_a_form(notebook_dir)
    notebook.cell("S", f"%config AssistantMagics.share = {share!r}")
    ran = notebook.ask("A", "What is this?", f"-m {model} --dry-run {line}")
    (row,) = re.findall(r"^seen +(.*)$", ran.plain + ran.printed, re.MULTILINE) or [""]
    assert row.partition(",")[0] == seen
