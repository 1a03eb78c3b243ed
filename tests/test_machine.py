"""What of this machine is taken out of what is kept: found in its environment, as it is when something is kept."""

from __future__ import annotations

import pytest

from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace.machine import Machine, machine_redactor


@pytest.mark.parametrize(
    ("variable", "text", "kept"),
    [
        (("HTTPS_PROXY", "http://ada:sesame-open@proxy.example.org:3128"), "ada:sesame-open", "<secret>"),
        (("HTTPS_PROXY", "http://ada:sesame-open@proxy.example.org:3128"), "(sesame-open)", "(<secret>)"),
        (("https_proxy", "http://ada:sesame%2Fopen@proxy.example.org"), "sesame/open", "<secret>"),
        (("ALL_PROXY", "ada:x@proxy.example.org:1080"), "proxy.example.org is down", "<host> is down"),
        (("DATABASE_URL", "postgres://ada:sesame-open@db/x"), "by sesame-open", "by <secret>"),
        (("NO_PROXY", "127.0.0.1,intranet.example.org"), "127.0.0.1", "127.0.0.1"),
        (("OPENAI_BASE_URL", "http://[broken"), "[broken", "[broken"),
        (("OPENAI_ORG_ID", "org-0123456789"), "org-0123456789", "<secret>"),
        (("OPENAI_API_KEY", " sk-0123456789\n"), "it is sk-0123456789.", "it is <secret>."),
        (("OPENAI_API_KEY", 'sk-"01\\23456789'), r'{"key": "sk-\"01\\23456789"}', '{"key": "<secret>"}'),
        (("OPENAI_API_KEY", "sk-01/23+456789"), "?key=sk-01%2F23%2B456789", "?key=<secret>"),
        (("OTHER", "sk-0123456789"), "sk-0123456789", "sk-0123456789"),
    ],
)
def test_what_an_environment_says_of_keys_accounts_and_machines_is_taken_out(tmp_path, variable, text, kept):
    assert machine_redactor(tmp_path, dict([variable]))(text) == kept


def test_a_key_is_taken_out_from_when_it_is_set_and_for_ever(tmp_path):
    environ: dict[str, str] = {}
    machine = Machine(tmp_path, lambda: environ)
    said = "first-0123456789 and second-0123456789"

    assert machine.redactor()(said) == said
    environ["A_KEY"] = "first-0123456789"
    assert machine.redactor()(said) == "<secret> and second-0123456789"
    environ["A_KEY"] = "second-0123456789"
    assert machine.redactor()(said) == "<secret> and <secret>"


def test_what_stood_in_an_env_file_that_is_gone_is_still_known(tmp_path, monkeypatch):
    environments = [{"A_KEY": "first-0123456789"}]
    monkeypatch.setenv("B_KEY", "second-0123456789")

    def environment():
        if not environments:
            raise ConfigError(".env is not there.", "Name another.")
        return environments.pop()

    machine = Machine(tmp_path, environment)

    assert machine.redactor()("first-0123456789 and second-0123456789") == "<secret> and <secret>"
