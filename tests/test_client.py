"""service.client: what reaches the service, what does not, and how long anything waits."""

import contextlib
import json
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tests_support import events as wire
from tests_support.cases import told
from tests_support.scripted import Answer, ScriptedService, refusal

from ipython_assistant import errors
from ipython_assistant.service import client
from ipython_assistant.service.accounts import connect_azure, connect_hosted, connect_local

KEY = "sk-planted-key-0123456789"
ASKED = {"model": "gpt-5-mini", "input": "A confidential question.", "stream": True}


def hosted(url, timeout_s=5.0):
    live = connect_hosted({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}, timeout_s)
    live._sleep = lambda _seconds: None
    return live


@pytest.fixture
def elsewhere():
    with ScriptedService() as service:
        yield service


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_question_or_an_upload_is_not_sent_on_to_another_address(service, elsewhere, tmp_path, status):
    (tmp_path / "cases.csv").write_text("a\n1\n")
    target = f"{elsewhere.url}/responses?key=in-the-address"
    service.on("^POST", lambda _: Answer(b"", status, {"Location": target}))
    with told(errors.Refused, f"{elsewhere.url}/responses") as caught:
        hosted(service.url).respond(ASKED)
    with pytest.raises(errors.Refused):
        hosted(service.url).upload("cntr_1", "cases.csv", tmp_path / "cases.csv")
    assert elsewhere.requests == []
    assert "in-the-address" not in str(caught.value)


def test_a_question_moves_within_its_address_and_a_file_to_another_that_is_not_given_the_key(service, elsewhere):
    service.on("^POST /v1/responses$", lambda _: Answer(b"", 307, {"Location": f"{service.url}/moved"}))
    service.on("^POST /v1/moved", lambda _: Answer(wire.sse(wire.stream([wire.Message("Ok.")]))))
    with hosted(service.url).respond(ASKED) as reply:
        assert b"Ok." in b"".join(reply.chunks)
    service.on("^GET .*/content", lambda _: Answer(b"", 302, {"Location": f"{elsewhere.url}/blob"}))
    elsewhere.on("^GET /v1/blob", lambda _: Answer(b"bytes"))
    with hosted(service.url).content("cntr_1", "cfile_1") as reply:
        assert b"".join(reply.chunks) == b"bytes"
    assert KEY not in json.dumps(elsewhere.requests[0].headers)


@pytest.mark.parametrize("connect", [hosted, lambda url: connect_local(url, "token", 5.0)], ids=["hosted", "local"])
def test_half_a_character_in_a_question_is_replaced_and_the_rest_is_sent(service, connect):
    service.will_say([wire.Message("Ok.")])
    connect(service.url).respond({**ASKED, "input": "caf\u00e9 \ud800 \ud83d\ude00"}).close()
    assert service.questions()[0]["input"] == "caf\u00e9 \ufffd \U0001f600"


@pytest.mark.parametrize("connect", [hosted, lambda url: connect_local(url, "token", 5.0)], ids=["hosted", "local"])
@pytest.mark.parametrize(
    ("given", "sent"), [("..", "%2E%2E"), ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"), ("ä é", "%C3%A4%20%C3%A9")]
)
def test_an_id_is_one_part_of_a_path_whatever_is_in_it(service, connect, given, sent):
    with contextlib.suppress(errors.ServiceError):
        connect(service.url).content("cntr_1", given)
    assert service.requests[0].path == f"/v1/containers/cntr_1/files/{sent}/content"


@pytest.mark.parametrize(("variable", "value", "said"), [
    ("ALL_PROXY", "socks5://user:secret-password@127.0.0.1:9", "pip install socksio"),
    ("SSL_CERT_FILE", "gone.pem", "SSL_CERT_FILE"), ("SSL_CERT_FILE", "note.pem", "SSL_CERT_FILE"),
    ("HTTPS_PROXY", "gopher://127.0.0.1:9", "HTTPS_PROXY"),
])  # fmt: skip
def test_a_proxy_or_certificates_that_cannot_be_used_are_two_lines(notebook_dir, monkeypatch, variable, value, said):
    (notebook_dir / "note.pem").write_text("not a certificate")
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, value)
    with told(errors.ConfigError) as caught:
        hosted("https://127.0.0.1:9/v1")
    assert said in str(caught.value)
    assert "secret-password" not in str(caught.value)


def test_the_embedded_engine_is_reached_whatever_the_environment_says_of_proxies(service, monkeypatch, tmp_path):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    service.will_say([wire.Message("Ok.")])
    connect_local(service.url, "token", 5.0).respond(ASKED).close()
    assert len(service.questions()) == 1


def test_where_the_engine_does_not_answer_the_cure_is_to_ask_again():
    with told(errors.Unreachable, "No connection to", "a new one is started"):
        connect_local("http://127.0.0.1:9/v1", "token", 5.0).respond(ASKED)


def test_a_connection_is_given_seconds_and_an_answer_as_long_as_the_setting_says(monkeypatch):
    azure = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://ours.openai.azure.com"}
    dated = {**azure, "OPENAI_API_VERSION": "2025-04-01-preview"}
    address = "http://127.0.0.1:9/v1"
    accounts = (hosted(address, 300.0), connect_azure(azure, 300.0), connect_azure(dated, 300.0))
    asked: list[Any] = []
    for live in (*accounts, connect_local(address, "token", 300.0)):
        asking: Any = live._client.timeout
        monkeypatch.setattr(live, "_client", SimpleNamespace(get=lambda *_, options, **_more: asked.append(options)))
        with pytest.raises(AttributeError):  # it answers with nothing
            live.list_containers(None)
        listing = asked.pop()["timeout"]
        assert (asking.connect, asking.read) == (client.CONNECT_S, 300.0)
        assert (listing.connect, listing.read) == (client.CONNECT_S, client.QUICK_S)


@pytest.fixture
def silent(service):
    """A service that takes every request and says nothing."""
    over = threading.Event()
    service.on("", lambda _: [over.wait(20), Answer(b"")][1])
    yield service
    over.set()


@pytest.mark.parametrize(("what", "call"), [
    ("the answer", lambda live, _: live.respond(ASKED)),
    ("a new container", lambda live, _: live.create_container({"name": "x"})),
    ("the upload of cases.csv", lambda live, path: live.upload("cntr_1", "cases.csv", path)),
    ("the container's list of files", lambda live, _: live.list_files("cntr_1", None)),
    ("the list of containers", lambda live, _: live.list_containers(None)),
    ("a file", lambda live, _: live.content("cntr_1", "cfile_1")),
])  # fmt: skip
def test_a_time_out_says_what_was_waited_for_and_how_long(silent, what, call, tmp_path, monkeypatch):
    import openai

    path = tmp_path / "cases.csv"
    path.write_text("a\n")
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.01)
    with pytest.raises(errors.TimedOut) as caught:
        call(hosted(silent.url, 0.1), path)
    assert caught.value.message == f"Nothing came for 0.1 s while waiting for {what}."
    assert ("--timeout" in caught.value.hint) == (what in {"the answer", "a file", "the upload of cases.csv"})


@pytest.mark.parametrize(("message", "code"), [
    ("You have reached the maximum number of containers for your organization.", "rate_limit_exceeded"),
    ("Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 42000.", "rate_limit_exceeded"),
    ("You exceeded your current quota, please check your plan.", "insufficient_quota"),
])  # fmt: skip
def test_what_waiting_does_not_help_is_asked_once(service, message, code):
    service.on("^POST", lambda _: refusal(message, 429, code))
    with pytest.raises(errors.ServiceError):
        hosted(service.url).respond(ASKED)
    assert len(service.questions()) == 1


@pytest.mark.parametrize(("status", "body", "kind", "said"), [
    (503, b"", errors.ServiceError, "The service answered 503: no reason was given."),
    (413, b"", errors.TooLarge, "too large"),
    (413, b"<html>413 Request Entity Too Large</html>", errors.TooLarge, "too large"),
])  # fmt: skip
def test_an_empty_body_is_no_web_page_and_413_says_that_it_is_too_large(service, status, body, kind, said):
    service.on("^POST", lambda _: Answer(body, status, {"Content-Type": "text/html"}))
    with pytest.raises(kind, match=said):
        hosted(service.url).respond(ASKED)


def test_a_fault_of_this_package_is_not_taken_for_a_closed_connection(service, monkeypatch):
    def endless(*_path, **_request):
        raise RecursionError("ours")

    live = hosted(service.url)
    monkeypatch.setattr(live, "_client", SimpleNamespace(post=endless))
    with pytest.raises(RecursionError):
        live.respond(ASKED)


def test_a_question_after_the_connection_was_closed_says_so(service):
    live = hosted(service.url)
    live.close()
    with pytest.raises(errors.Unreachable, match="closed"):
        live.respond(ASKED)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff", b'{"a":' * 20_000])
def test_a_body_that_is_not_a_json_object_is_two_lines(service, body):
    service.on("^GET", lambda _: Answer(body))
    with told(errors.ServiceError, "JSON"):
        hosted(service.url).list_files("cntr_1", None).json()
