"""question: settings, prompt and conversation as the JSON that is sent."""

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from ipython_assistant.config import AssistantMagics, freeze
from ipython_assistant.core.request import INSTRUCTIONS, WITHOUT_CODE, InputNote, parse_tool, parse_tools
from ipython_assistant.options import parse_options
from ipython_assistant.question import Question
from ipython_assistant.service.turn_base import TurnBase

CODE = {"type": "code_interpreter", "container": "cntr_1"}
SEARCH = {"type": "web_search"}
LATER = {"previous_response_id": "resp_1"}


def request(*words, traits=None, environment=None, **base):
    """What a question with these words on its first line sends."""
    options = parse_options(shlex.join(words))
    settings = AssistantMagics(**{"service": "openai", "model": "test-model", **(traits or {})})
    settings = freeze(settings, options, Path("/n"), environment or {})
    question = Question("Why?", settings, "A", datetime(2026, 1, 1, tzinfo=UTC), outputs=options.outputs)
    return question.request(TurnBase(**{"container_id": "cntr_1", **base}))


def test_tools_are_asked_for_as_they_were_given_and_outputs_of_code_where_there_is_code():
    sent, without = request(), request("--no-code", "--tool", "web_search")
    files, own = {"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "mcp", "server_label": "x"}
    assert (sent["tools"], sent["include"]) == ([CODE], ["code_interpreter_call.outputs"])
    assert {"reasoning", "store", "previous_response_id"}.isdisjoint(sent)
    assert sent["instructions"] == INSTRUCTIONS
    tools = ("--tool", "web_search", "--tool", "file_search:vs_1", "--tool", json.dumps(own))
    assert request(*tools)["tools"] == [CODE, SEARCH, files, own]
    assert (without["tools"], without["instructions"]) == ([SEARCH], WITHOUT_CODE)
    assert "include" not in without


def test_effort_store_limits_and_a_conversation_that_the_service_does_not_hold_are_sent_where_there_are_some():
    past = (("user", "Who?"), ("assistant", "She."))
    limits = {"store": False, "max_output_tokens": 2_000, "max_tool_calls": 5}
    sent = request("--effort", "high", traits=limits, history=past)
    assert sent["reasoning"] == {"effort": "high"}
    assert {name: sent[name] for name in limits} == limits
    assert set(limits).isdisjoint(request())
    assert [message["role"] for message in sent["input"]] == ["user", "assistant", "user"]


def test_tables_that_have_to_come_back_are_named_after_the_inputs_and_before_the_users_own_words():
    note = InputNote("/mnt/data/cases.csv", "10 rows")
    sent = request("-o", "by_district", "-o", "worst", "--instructions", "Be kind.", inputs=(note,))
    first, files, tables, own = sent["instructions"].rsplit("\n\n", 3)
    assert (first, own) == (INSTRUCTIONS, "Be kind.")
    assert files.startswith("Files of the user:\n- /mnt/data/cases.csv: 10 rows\n")
    assert tables.endswith("and link it: by_district.csv, worst.csv")


def test_files_that_were_named_with_the_question_are_listed_before_the_others():
    here = InputNote("/mnt/data/cases.csv", "10 rows")
    earlier = InputNote("/mnt/data/old.csv", "a file", named=False)
    files = [request(inputs=tuple(inputs))["instructions"].split("\n\n")[1:] for inputs in ([earlier, here], [earlier])]
    keep = "Columns described as str hold text: read them with dtype=str and keep_default_na=False."
    others = f"Files of the user, from earlier questions:\n- /mnt/data/old.csv: a file\n{keep}"
    assert files == [["Files of the user:\n- /mnt/data/cases.csv: 10 rows", others], [others]]


def test_everything_together_is_a_request_as_the_sdk_types_it():
    words = ("--tool", "web_search", "--effort", "low", "-o", "a")
    sent = request(*words, traits={"store": False}, container_id=None, previous_response_id="resp_1")
    TypeAdapter(response_create_params.ResponseCreateParamsStreaming).validate_python(sent, strict=False)


def test_openais_own_service_is_asked_to_shorten_long_conversations_and_to_send_no_padding():
    first, later = request(), request(**LATER)
    assert first["stream_options"] == {"include_obfuscation": False}
    assert "context_management" not in first
    assert later["context_management"] == [{"type": "compaction", "compact_threshold": 200_000}]


def test_other_services_get_no_field_that_only_openais_own_service_is_known_to_take():
    compatible = {"OPENAI_BASE_URL": "https://models.example.org/v1"}
    for sent in (request(environment=compatible, **LATER), request(traits={"service": "azure"}, **LATER)):
        assert {"stream_options", "context_management"}.isdisjoint(sent)


# --- what --tool takes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("spec", "said", "cure"), [
    ("web_serch", "There is no tool web_serch in this form.", "Write web_search"),
    ("web_search:vs_1", "There is no tool in this form", "Write web_search"),
    ("file_search", "There is no tool file_search in this form.", "file_search:vs_1"),
    ("file_search: ,", "There is no tool in this form.", "file_search:vs_1"),
    ("", "There is no tool in this form.", "Write web_search"),
    ("{'type': 'x'}", "The tool is not JSON.", '{"type": "image_generation"}'),
    ('{"type": "x", "n": NaN}', "The tool is not JSON", "or the tool as JSON"),
    ('{"name": "x"}', 'The tool has no "type".', "or the tool as JSON"),
    ('{"type": 3}', 'The tool has no "type".', "or the tool as JSON"),
    ("code_interpreter", "The tool code_interpreter cannot be added.", "--no-code"),
    ('{"type": "code_interpreter", "container": "cntr_1"}', "cannot be added", "--no-code"),
    ('{"a":' * 100_000, "The tool", "or the tool as JSON"),
])  # fmt: skip
def test_what_is_no_tool_is_said_with_what_to_write(spec, said, cure):
    with pytest.raises(ValueError) as caught:
        parse_tool(spec)
    message, hint = caught.value.args
    assert said in message
    assert cure in hint


@given(st.text())
def test_no_text_makes_anything_but_a_tool_or_two_lines(spec):
    said, tool = ("", ""), {"type": "none"}
    try:
        tool = parse_tool(spec)
    except ValueError as error:
        said = error.args
    assert tool["type"]
    assert [type(line) for line in said] == [str, str]
    assert "\n" not in "".join(said)


def test_a_tool_is_a_word_with_its_stores_and_the_same_twice_is_one():
    files = {"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}
    assert parse_tools([" web_search ", "file_search:vs_1, vs_2,", '{"type": "web_search"}']) == (SEARCH, files)


@pytest.mark.parametrize("written", [
    '{"type": "mcp", "authorization": "sk-verysecret"', "mcp:https://example.org?token=sk-verysecret", "sk-verysecret",
    "web_serch:sk-verysecret",
])  # fmt: skip
def test_a_mistyped_tool_with_a_token_in_it_shows_no_token(written):
    with pytest.raises(ValueError) as caught:
        parse_tool(written)
    assert "verysecret" not in "".join(map(str, caught.value.args))
