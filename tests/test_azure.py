"""service.client against Azure: addresses, headers, and files that Azure lists and does not hand out."""

import contextlib
import sys

import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.scripted import Answer, refusal

from ipython_assistant import errors
from ipython_assistant.service.accounts import ASKED_OF_THE_ENVIRONMENT, connect_azure
from ipython_assistant.service.connection import connect

KEY = "azure-planted-key-0123456789"
ASKED = {"model": "our-deployment", "input": "Ask.", "stream": True}
EACH_VERSION = pytest.mark.parametrize("version", ["", "2025-04-01-preview"])


@pytest.fixture
def azure(service, monkeypatch):
    """An environment for Azure; the account at OpenAI that is set as well is none of Azure's business."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-elsewhere")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "key-elsewhere")
    service.on(r"/responses(\?.*)?$", lambda _: Answer(wire.sse(wire.stream([wire.Message("Ok.")]))))
    return {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": service.url.removesuffix("/v1")}


def ask(environment):
    with contextlib.closing(connect("azure", 5.0, environment)) as connection:
        connection.wire.respond(ASKED).close()


@pytest.mark.parametrize("pasted", ["", "/", "/openai", "/openai/v1/", "/openai/v1?api-version=preview"])
def test_without_a_version_the_v1_api_is_asked_however_the_address_was_pasted(service, azure, pasted):
    ask({**azure, "AZURE_OPENAI_ENDPOINT": azure["AZURE_OPENAI_ENDPOINT"] + pasted})
    [request] = service.requests
    assert f"{request.method} {request.path}" == "POST /openai/v1/responses"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json()["model"] == "our-deployment"


def test_with_a_version_the_dated_api_is_asked_or_the_preview_of_v1(service, azure):
    live = connect_azure({**azure, "OPENAI_API_VERSION": "2025-04-01-preview"}, 5.0)
    live.respond(ASKED).close()
    with pytest.raises(errors.Refused):
        live.list_containers(None)
    connect_azure({**azure, "OPENAI_API_VERSION": "preview"}, 5.0).respond(ASKED).close()
    asked, listed, preview = service.requests
    assert f"{asked.method} {asked.path}" == "POST /openai/responses?api-version=2025-04-01-preview"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers
    assert listed.path.startswith("/openai/containers?")
    assert "api-version=2025-04-01-preview" in listed.path
    assert preview.path == "/openai/v1/responses?api-version=preview"


@EACH_VERSION
def test_an_account_at_openai_is_not_told_to_azure(service, azure, version):
    ask({**azure, "OPENAI_API_VERSION": version})
    assert "elsewhere" not in " ".join(service.requests[0].headers.values())


def test_the_names_that_make_the_connection_are_those_that_renew_it(azure):
    assert {*azure, "OPENAI_API_VERSION"} <= set(ASKED_OF_THE_ENVIRONMENT)


@pytest.mark.parametrize(("endpoint", "said"), [("", "There is no AZURE_OPENAI_ENDPOINT"), ("ours", "is 'ours'")])
def test_an_address_that_is_none_says_what_one_looks_like(azure, endpoint, said):
    with told(errors.ConfigError, said, "https://NAME.openai.azure.com"):
        connect_azure({**azure, "AZURE_OPENAI_ENDPOINT": endpoint}, 5.0)


def test_a_deployment_that_is_not_there_is_said_as_such(service, azure):
    body = refusal("The API deployment for this resource does not exist.", 404, "DeploymentNotFound")
    service.on("/responses", lambda _: body)
    with told(errors.ModelUnknown, "", "deployment"):
        connect_azure(azure, 5.0).respond(ASKED)


def test_a_listing_that_azure_gives_up_is_not_helped_by_a_higher_limit(service, azure, monkeypatch):
    import openai

    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.01)
    service.on("/containers", lambda _: refusal("The operation was timeout.", 408, "Timeout"))
    with told(errors.TimedOut, "", "again") as caught:
        connect_azure(azure, 5.0).list_containers(None)
    assert "--timeout" not in caught.value.hint


@EACH_VERSION
def test_a_token_of_entra_id_or_of_azure_identity_takes_the_place_of_the_key(service, azure, azure_identity, version):
    del azure["AZURE_OPENAI_API_KEY"]
    ask({**azure, "AZURE_OPENAI_AD_TOKEN": "entra-planted-token", "OPENAI_API_VERSION": version})
    azure_identity(lambda: "from-identity")
    ask({**azure, "OPENAI_API_VERSION": version})
    sent = [request.headers for request in service.requests]
    assert [headers["authorization"] for headers in sent] == ["Bearer entra-planted-token", "Bearer from-identity"]
    assert all("api-key" not in headers for headers in sent)


def test_without_key_and_token_it_is_said_that_nobody_signed_in_or_what_can_be_set(azure, azure_identity, monkeypatch):
    def refuse():
        raise RuntimeError("DefaultAzureCredential failed to retrieve a token\nfrom the included credentials")

    del azure["AZURE_OPENAI_API_KEY"]
    azure_identity(refuse)
    with pytest.raises(errors.KeyRefused, match="Entra ID gave no token"):
        ask(azure)
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(errors.NoKey, match=r"AZURE_OPENAI_API_KEY[\s\S]*AZURE_OPENAI_AD_TOKEN[\s\S]*azure-identity"):
        ask(azure)
