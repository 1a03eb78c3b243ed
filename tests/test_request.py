"""question: settings, prompt and conversation as the JSON that is sent."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from ipython_assistant.config import AssistantMagics, freeze
from ipython_assistant.core.request import INSTRUCTIONS, WITHOUT_CODE, InputNote, PastMessage
from ipython_assistant.options import parse_options
from ipython_assistant.question import Question
from ipython_assistant.service.turn_base import TurnBase

CODE = {"type": "code_interpreter", "container": "cntr_1"}
SEARCH = {"type": "web_search"}


def request(*words, traits=None, environment=None, **base):
    """What a question with these words on its first line sends."""
    options = parse_options(shlex.join(words))
    settings = AssistantMagics(**{"service": "openai", "model": "test-model", **(traits or {})})
    settings = freeze(settings, options, Path("/n"), environment or {})
    question = Question("Why?", settings, "A", datetime(2026, 1, 1, tzinfo=UTC), outputs=options.outputs)
    return question.request(TurnBase(**{"container_id": "cntr_1", **base}))


def test_by_default_the_code_interpreter_is_the_only_tool_and_its_outputs_are_asked_for():
    sent = request()

    assert sent["tools"] == [CODE]
    assert sent["include"] == ["code_interpreter_call.outputs"]
    assert {"reasoning", "store", "previous_response_id"}.isdisjoint(sent)
    assert sent["instructions"] == INSTRUCTIONS


def test_other_tools_come_after_it_as_they_were_given():
    files = {"type": "file_search", "vector_store_ids": ["vs_1"]}

    assert request("--tool", "web_search", "--tool", "file_search:vs_1")["tools"] == [CODE, SEARCH, files]


def test_without_code_neither_the_tool_nor_its_outputs_are_asked_for_and_the_model_knows():
    sent = request("--no-code", "--tool", "web_search")

    assert sent["tools"] == [SEARCH]
    assert "include" not in sent
    assert sent["instructions"] == WITHOUT_CODE


def test_effort_and_store_are_sent_where_they_are_set():
    sent = request("--effort", "high", traits={"store": False})

    assert sent["reasoning"] == {"effort": "high"}
    assert sent["store"] is False


def test_tables_that_have_to_come_back_are_named_after_the_inputs_and_before_the_users_own_words():
    note = InputNote("/mnt/data/cases.csv", "10 rows")

    paragraphs = request("-o", "by_district", "-o", "worst", "--instructions", "Be kind.", inputs=(note,))[
        "instructions"
    ]

    first, files, tables, own = paragraphs.rsplit("\n\n", 3)
    assert first == INSTRUCTIONS
    assert files.startswith("Files of the user:\n- /mnt/data/cases.csv: 10 rows\n")
    assert tables.endswith("and link each: by_district.csv, worst.csv")
    assert own == "Be kind."


def test_files_that_were_named_with_the_question_are_listed_before_the_others():
    here = InputNote("/mnt/data/cases.csv", "10 rows")
    earlier = InputNote("/mnt/data/old.csv", "a file", named=False)

    files = [request(inputs=tuple(inputs))["instructions"].split("\n\n")[1:] for inputs in ([earlier, here], [earlier])]

    keep = "Columns described as str hold text: read them with dtype=str and keep_default_na=False."
    assert files == [
        [
            "Files of the user:\n- /mnt/data/cases.csv: 10 rows",
            f"Files of the user, from earlier questions:\n- /mnt/data/old.csv: a file\n{keep}",
        ],
        [f"Files of the user, from earlier questions:\n- /mnt/data/old.csv: a file\n{keep}"],
    ]


def test_one_table_is_asked_for_in_the_singular():
    assert request("-o", "worst")["instructions"].endswith("and link it: worst.csv")


def test_a_conversation_is_sent_as_messages_where_the_service_does_not_hold_it():
    sent = request(history=(PastMessage("user", "Who?"), PastMessage("assistant", "She.")))

    assert [message["role"] for message in sent["input"]] == ["user", "assistant", "user"]


def test_everything_together_is_a_request_as_the_sdk_types_it():
    words = ("--tool", "web_search", "--effort", "low", "-o", "a")
    sent = request(*words, traits={"store": False}, container_id=None, previous_response_id="resp_1")

    TypeAdapter(response_create_params.ResponseCreateParamsStreaming).validate_python(sent, strict=False)


LATER = {"previous_response_id": "resp_1"}


def test_openais_own_service_is_asked_to_shorten_long_conversations_and_to_send_no_padding():
    first, later = request(), request(**LATER)

    assert first["stream_options"] == {"include_obfuscation": False}
    assert "context_management" not in first
    assert later["context_management"] == [{"type": "compaction", "compact_threshold": 200_000}]


@pytest.mark.parametrize(
    ("service", "environment"), [("openai", {"OPENAI_BASE_URL": "https://models.example.org/v1"}), ("azure", {})]
)
def test_other_services_get_no_field_that_only_openais_own_service_is_known_to_take(service, environment):
    sent = request(traits={"service": service}, environment=environment, **LATER)

    assert {"stream_options", "context_management"}.isdisjoint(sent)


def test_limits_that_were_set_are_sent():
    sent = request(traits={"max_output_tokens": 2_000, "max_tool_calls": 5})

    assert (sent["max_output_tokens"], sent["max_tool_calls"]) == (2_000, 5)
    assert {"max_output_tokens", "max_tool_calls"}.isdisjoint(request())
