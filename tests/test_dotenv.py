"""workspace.dotenv: keys from a .env file, on request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace.dotenv import TAKEN, read_env_file


def read(tmp_path: Path, content: str | bytes) -> dict[str, str]:
    path = tmp_path / ".env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_env_file(path)


def test_names_of_services_and_our_own_are_taken_and_no_others(tmp_path):
    content = """
# keys
OPENAI_API_KEY=sk-1
export AZURE_OPENAI_ENDPOINT = https://ours.openai.azure.com  # ours
IPYTHON_ASSISTANT_MODEL='gpt # 5'
AWS_SECRET_ACCESS_KEY=not-ours
PATH=/nowhere
"""
    assert read(tmp_path, content) == {
        "OPENAI_API_KEY": "sk-1",
        "AZURE_OPENAI_ENDPOINT": "https://ours.openai.azure.com",
        "IPYTHON_ASSISTANT_MODEL": "gpt # 5",
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("sk-1#2", "sk-1#2"),
        ("sk-1 # mine", "sk-1"),
        ("", ""),
        ("# nothing", ""),
        ("'a b' # c", "a b"),
        (r'"a\nb\"c\\d"', 'a\nb"c\\d'),
        (r"'a\nb'", r"a\nb"),
        ("${HOME}", "${HOME}"),
        ('"$HOME"', "$HOME"),
    ],
)
def test_a_value_is_read_as_shells_and_other_tools_do_and_nothing_is_filled_in(tmp_path, written, value):
    assert read(tmp_path, f"OPENAI_X={written}\r\n") == {"OPENAI_X": value}


def test_a_file_of_a_windows_editor_is_read(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfOPENAI_API_KEY=sk-1\r\n") == {"OPENAI_API_KEY": "sk-1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="'")))
def test_whatever_stands_between_quotes_comes_out(tmp_path, value):
    assert read(tmp_path, f"OPENAI_X='{value}'") == {"OPENAI_X": value}


@pytest.mark.parametrize("content", ['A=1\nOPENAI_API_KEY="sk-planted', b"OPENAI_API_KEY=sk-planted\xff"])
def test_what_cannot_be_understood_is_said_without_the_value(tmp_path, content):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)

    assert ".env" in caught.value.message
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_quotation_mark_of_somebody_elses_line_is_none_of_our_business(tmp_path):
    assert read(tmp_path, 'OTHER="open\nOPENAI_API_KEY=sk-1') == {"OPENAI_API_KEY": "sk-1"}


def test_a_file_that_is_not_there_or_is_none_is_said(tmp_path):
    with pytest.raises(ConfigError, match="is not there"):
        read_env_file(tmp_path / ".env")
    with pytest.raises(ConfigError, match="is no file"):
        read_env_file(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(ConfigError, match="is no file"):
        read_env_file(tmp_path / ".env")


def test_the_names_that_are_taken_are_those_the_connections_ask_for():
    from ipython_assistant.service.client import ASKED_OF_THE_ENVIRONMENT

    assert all(name.startswith(TAKEN) for name in ASKED_OF_THE_ENVIRONMENT if "OPENAI" in name)
