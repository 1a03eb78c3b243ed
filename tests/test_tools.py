"""core.tools: what --tool takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.core.request import parse_tool, parse_tools

SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_web_search_is_a_word():
    assert parse_tool(" web_search ") == {"type": "web_search"}


def test_file_search_names_its_vector_stores():
    assert parse_tool("file_search:vs_1, vs_2,") == {"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}


@given(st.dictionaries(st.text(), SOME_JSON, max_size=4), st.text(min_size=1).filter(lambda k: k != "code_interpreter"))
def test_any_json_object_with_a_type_goes_through_as_it_is(fields, kind):
    tool = {**fields, "type": kind}

    assert parse_tool(json.dumps(tool)) == tool


@pytest.mark.parametrize(
    ("spec", "said", "cure"),
    [
        ("web_serch", "There is no tool 'web_serch'.", "Did you mean web_search?"),
        ("web_search:vs_1", "web_search takes nothing", "Write: --tool web_search"),
        ("file_search", "The tool file_search needs a vector store.", "--tool file_search:vs_"),
        ("file_search: ,", "The tool file_search needs a vector store.", "--tool file_search:vs_"),
        ("", "A tool is missing.", "Write web_search"),
        ("{'type': 'x'}", "The tool is not JSON: look at character 2", '{"type": "image_generation"}'),
        ('{"type": "x", "n": NaN}', "The tool is not JSON", "or the tool as JSON"),
        ('{"name": "x"}', 'The tool has no "type".', "or the tool as JSON"),
        ('{"type": 3}', 'The tool has no "type".', "or the tool as JSON"),
        ("code_interpreter", "The tool code_interpreter cannot be added.", "--no-code"),
        ('{"type": "code_interpreter", "container": "cntr_1"}', "cannot be added", "--no-code"),
        ('{"a":' * 100_000, "The tool", "or the tool as JSON"),
    ],
)
def test_what_is_no_tool_is_said_with_what_to_write(spec, said, cure):
    with pytest.raises(ValueError) as caught:
        parse_tool(spec)

    message, hint = caught.value.args
    assert said in message
    assert cure in hint


@given(st.text())
def test_no_text_makes_anything_but_a_tool_or_two_lines(spec):
    said: tuple[str, ...] = ("", "")
    tool = {"type": "none"}
    try:
        tool = parse_tool(spec)
    except ValueError as error:
        said = error.args

    assert tool["type"]
    assert [type(line) for line in said] == [str, str]
    assert "\n" not in "".join(said)


def test_the_same_tool_twice_is_one():
    assert parse_tools(["web_search", "file_search:vs_1", '{"type": "web_search"}']) == (
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
    )


@pytest.mark.parametrize(
    "written",
    [
        '{"type": "mcp", "authorization": "sk-verysecret"',
        "mcp:https://example.org?token=sk-verysecret",
        "sk-verysecret",
        "web_serch:sk-verysecret",
    ],
)
def test_a_mistyped_tool_with_a_token_in_it_shows_no_token(written):
    with pytest.raises(ValueError) as caught:
        parse_tool(written)

    assert "verysecret" not in "".join(map(str, caught.value.args))
