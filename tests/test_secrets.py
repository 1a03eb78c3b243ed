"""What counts as a secret of this machine, and is taken out of what is kept, and what never does."""

import pytest

from ipython_assistant.core.redaction import Redactor
from ipython_assistant.workspace.local_secrets import LocalSecrets, secrets_of

AZURE = "DefaultEndpointsProtocol=https;AccountName=ada;AccountKey=c2VzYW1lLW9wZW4tMDEyMzQ1Njc4OQ==;EndpointSuffix=x"


def redacted(name, value, text):
    return Redactor(secrets_of({name: value}))(text)


@pytest.mark.parametrize(("variable", "text", "kept"), [
    (("HTTPS_PROXY", "http://ada:sesame-0pen@proxy.example.org:3128"), "ada:sesame-0pen", "<secret>"),
    (("HTTPS_PROXY", "http://ada:sesame-0pen@proxy.example.org:3128"), "(sesame-0pen)", "(<secret>)"),
    (("https_proxy", "http://ada:sesame%2F0pen@proxy.example.org"), "sesame/0pen", "<secret>"),
    (("DATABASE_URL", "postgres://ada:sesame-0pen@db/x"), "by sesame-0pen", "by <secret>"),
    (("OPENAI_BASE_URL", "http://[broken"), "[broken", "[broken"),
    (("OPENAI_ORG_ID", "org-0123456789"), "org-0123456789", "<secret>"),
    (("OPENAI_API_KEY", " sk-0123456789\n"), "it is sk-0123456789.", "it is <secret>."),
    (("OPENAI_API_KEY", 'sk-"01\\23456789'), r'{"key": "sk-\"01\\23456789"}', '{"key": "<secret>"}'),
    (("OPENAI_API_KEY", "sk-01/23+456789"), "?key=sk-01%2F23%2B456789", "?key=<secret>"),
    (("GITHUB_PAT", "0123456789abcdef"), "by 0123456789abcdef", "by <secret>"),
    (("MYSQL_PWD", "hunter2hunter2"), r"a\nhunter2hunter2", r"a\n<secret>"),
    (("AZURE_STORAGE_CONNECTION_STRING", AZURE), AZURE, "<secret>"),
    (("AZURE_STORAGE_CONNECTION_STRING", AZURE), AZURE.split(";")[2], "AccountKey=<secret>"),
    (("OTHER", "abc-0123456789"), "abc-0123456789", "abc-0123456789"),
    (("A_TOKEN", "dist2024"), "dist2024 and dist2024s", "<secret> and dist2024s"),
])  # fmt: skip
def test_a_secret_of_the_environment_is_taken_out_of_a_text(variable, text, kept):
    assert redacted(*variable, text) == kept


@pytest.mark.parametrize(("name", "value"), [
    ("KEYVAULT_NAME", "production"), ("KEYCLOAK_REALM", "analytics"), ("TOKENIZERS_PARALLELISM", "false-positive-1"),
    ("SORT_KEY", "district"), ("DB_PASSWORD", "postgres"), ("A_SECRET", "coverage of all districts 2024"),
    ("PWD", "/home/ada/coverage-2024"), ("NO_PROXY", "127.0.0.1,intranet.example.org"),
    ("CLOUD_PROJECT_ID", "coverage-2024"),
])  # fmt: skip
def test_an_ordinary_word_is_no_secret_whatever_variable_holds_it(name, value):
    text = f"Mean {value} of the {value} lines, by {value}."
    assert redacted(name, value, text) == text


def test_a_word_of_the_answer_is_not_changed_for_the_name_of_the_machine(tmp_path, monkeypatch):
    for node in ("north", "mean", "coverage-2024"):
        monkeypatch.setattr("platform.node", lambda node=node: node)
        assert LocalSecrets(tmp_path, {}).redactor()(f"The {node} of all") == f"The {node} of all"


@pytest.mark.parametrize("key", [
    "sk-proj-0123456789abcdefABCDEF", "ghp_0123456789abcdefABCDEF0123456789abcd", "github_pat_0123456789abcdefABCD",
    "xoxb-0123456789-abcdef", "AKIA0123456789ABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
])  # fmt: skip
def test_a_key_typed_in_a_question_is_known_by_its_form(key):
    assert Redactor()(f"Log in with {key}, then count.") == "Log in with <secret>, then count."


def test_a_password_in_an_address_typed_in_a_question_is_taken_out():
    assert Redactor()("Read postgres://ada:sesame@db.example.org/x") == "Read postgres://<secret>@db.example.org/x"


@pytest.mark.parametrize("text", [
    "sk-learn-contrib-packages", 'f"postgres://{user}:{password}@{host}/x"', "https://example.org/a:b", "a_" * 30,
])  # fmt: skip
def test_what_only_resembles_a_key_stays(text):
    assert Redactor()(text) == text


def test_a_key_is_taken_out_from_when_it_is_set_and_for_ever(tmp_path):
    environ: dict[str, str] = {}
    local = LocalSecrets(tmp_path, environ)
    said = "first-0123456789 and second-0123456789"
    assert local.redactor()(said) == said
    environ["A_KEY"] = "first-0123456789"
    assert local.redactor()(said) == "<secret> and second-0123456789"
    environ["A_KEY"] = "second-0123456789"
    assert local.redactor()(said) == "<secret> and <secret>"
