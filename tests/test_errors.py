"""errors and service.faults: whatever goes wrong has a class of its own, two lines, and a place in docs/errors.md.
Every error here is made to happen over real HTTP, with the bodies that services are documented or known to send."""

import json
import re
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import events as wire
from tests_support.cases import told
from tests_support.scripted import Answer, streamed

from ipython_assistant import errors
from ipython_assistant.core.fold import TurnFold
from ipython_assistant.service import faults
from ipython_assistant.service.accounts import connect_azure, connect_hosted
from ipython_assistant.service.client import Wire
from ipython_assistant.service.connection import connect
from ipython_assistant.service.faults import incomplete_error, service_error
from ipython_assistant.service.stream import EventStream

KEY = "sk-planted-key-0123456789"
ASKED = {"model": "gpt-5-mini", "input": "Ask.", "stream": True}


def said(message, code=None, param=None):
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def live(service, naps=None):
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=service.url, timeout=5)
    return Wire(client, "test", sleep=(naps if naps is not None else []).append)


def answer(status, body, **headers):
    return Answer(json.dumps(body).encode(), status, {"Content-Type": "application/json", **headers})


def only(wire_, kind):
    """Ask once; the error it ends in, which is of this class and none of its subclasses."""
    with pytest.raises(errors.AssistantError) as caught:
        wire_.respond(ASKED)
    assert type(caught.value) is kind, caught.value
    return caught.value


@pytest.mark.parametrize("row", [
    (401, "KeyRefused", "OPENAI_API_KEY",
     f"Incorrect API key provided: {KEY}. You can find your API key at ...", "invalid_api_key"),
    (401, "KeyRefused", "OPENAI_API_KEY",
     "You have insufficient permissions for this operation. Missing scopes: api.containers.write."),
    (403, "ModelUnknown", "-m", "Project `proj_1` does not have access to model `gpt-5`", "model_not_found"),
    (400, "ModelUnknown", "-m",
     "Your organization must be verified to stream this model.", "unsupported_value", "stream"),
    (404, "ModelUnknown", "-m", "The model `gpt-9` does not exist or you do not have access to it.", "model_not_found"),
    (429, "QuotaUsedUp", "billing", "You exceeded your current quota.", "insufficient_quota"),
    (429, "RateLimited", "Wait",
     "Rate limit reached for gpt-4.1 on tokens per min: Limit 30000, Used 22343.", "rate_limit_exceeded"),
    (429, "TooLarge", "less at once",
     "Request too large for gpt-4.1 on tokens per min (TPM): Limit 3, Requested 4.", "rate_limit_exceeded"),
    (413, "TooLarge", "smaller inputs", "File size exceeds the maximum allowed for a container."),
    (400, "ToolNotAllowed", "--no-code",
     "Code interpreter is not available for organizations with Zero Data Retention.", "", "tools"),
    (400, "ToolNotAllowed", "-m", "Hosted tool 'code_interpreter' is not supported with gpt-3.5-turbo.", "", "tools"),
    (400, "ToolNotAllowed", "--no-code",
     'Only `type:"function"` tools are supported on this endpoint.', "", "tools.0.type"),
    (400, "ToolNotAllowed", "--no-code",
     "This engine has one code interpreter; other tools, such as 'web_search', are not supported."),
    (400, "ToolNotAllowed", "--no-code",
     "Invalid value: 'code_interpreter'. Supported values are: 'function'.", "", "tools[0].type"),
    (400, "TurnNotKept", "--new",
     "Previous response cannot be used due to Zero Data Retention.", "unsupported_parameter", "previous_response_id"),
    (400, "TurnNotKept", "--new",
     "Previous response with id 'resp_1' not found.", "previous_response_not_found", "previous_response_id"),
    (404, "TurnNotKept", "--new",
     "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."),
    (400, "TooLarge", "--new",
     "Your input exceeds the context window of this model.", "context_length_exceeded", "input"),
    (400, "ContentFiltered", "other words",
     "The response was filtered by Azure OpenAI's content management policy.", "content_filter", "prompt"),
    (400, "ContainerExpired", "new container",
     "Invalid 'tools[0].container': string too long. Expected at most 64.", "string_above_max_length"),
    (429, "QuotaUsedUp", "%assistant containers --delete",
     "You have reached the maximum number of containers for your organization."),
    (429, "RateLimited", "Wait",
     "Rate limit reached for containers in organization org-1: Limit 100, Used 100.", "rate_limit_exceeded"),
    (404, "Refused", "what the message names", "File cfile_1 not found on container cntr_1."),
    (404, "Refused", "what the message names", "Invalid URL (GET /v1/containers?limit=100)", "unknown_url"),
    (400, "Refused", "what the message names",
     "Invalid 'expires_after.minutes': integer above maximum value.", "integer_above_max_value"),
    (500, "ServiceError", "in a while", "The server had an error while processing your request."),
    (400, "Refused", "what the message names",
     "Missing required parameter: 'tools[0].container'.", "missing_required_parameter", "tools[0].container"),
    (400, "Refused", "what the message names",
     "Unknown parameter: 'tools[0].container.files'.", "unknown_parameter", "tools[0].container.files"),
], ids=lambda row: row[3][:60])  # fmt: skip
def test_what_a_service_refuses_has_its_own_class_and_says_what_to_do(service, row):
    status, kind, cure, *fields = row
    service.on("^POST /v1/responses", lambda _: answer(status, said(*(field or None for field in fields))))
    with told(getattr(errors, kind), cure=cure) as caught:
        live(service).respond(ASKED)
    assert caught.value._render_traceback_()[0].startswith(f"{kind}: The service answered {status}: ")
    assert caught.value.status == status
    assert ("(api.containers.write)" in caught.value.message) == ("Missing scopes" in fields[0])


def test_errors_that_lead_to_each_other_are_each_looked_at_once():
    first, second = OSError("first"), OSError("second")
    first.__cause__, second.__cause__ = second, first
    assert faults.causes(first) == [first, second]


@pytest.mark.parametrize(("code", "kind", "message"), [
    ("insufficient_quota", errors.QuotaUsedUp, "You exceeded your current quota."),
    ("rate_limit_exceeded", errors.RateLimited, "Rate limit reached for gpt-5."),
    ("context_length_exceeded", errors.TooLarge, "Your input exceeds the context window of this model."),
    ("invalid_prompt", errors.ContentFiltered, "Your prompt was flagged as potentially violating our usage policy."),
    ("server_error", errors.TurnFailed, "The server had an error."),
    ("vector_store_timeout", errors.TurnFailed, "The vector store took too long."),
    ("", errors.TurnFailed, "Something happened."),
])  # fmt: skip
def test_what_is_said_inside_a_stream_is_the_same_error(service, code, kind, message):
    events = wire.stream([wire.Message("Half")])[:-3]
    events.append({"type": "error", "sequence_number": 90, "error": {"code": code, "message": message}})
    failed = wire.response([], status="failed", error={"code": code, "message": message})
    events.append({"type": "response.failed", "sequence_number": 91, "response": failed})
    service.will_answer(streamed(events))
    fold = TurnFold()
    for event in EventStream(live(service).respond(ASKED)):
        if event is not None:
            fold.feed(event)
    assert fold.turn.failure is not None
    error = service_error(fold.turn.failure.code, fold.turn.failure.message)
    assert type(error) is kind
    assert error.message == f"The service gave up: {message}"
    assert error.code == (code or None)
    assert len(error._render_traceback_()) == 2


@pytest.mark.parametrize(("reason", "kind"), [
    ("content_filter", errors.ContentFiltered), ("max_output_tokens", errors.TurnFailed), ("", errors.TurnFailed),
])  # fmt: skip
def test_an_answer_that_was_not_finished_says_why(reason, kind):
    error = incomplete_error(reason)
    assert type(error) is kind
    assert (reason or "no reason") in error.message


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (400, "x"), (403, None), (429, "insufficient_quota"), (500, None)]
)
def test_a_key_is_in_no_line_and_no_stack_and_the_id_of_the_request_is_in_the_stack_alone(service, status, code):
    body = said(f"Your header was 'Bearer {KEY}', and sk-proj-somebody-elses too.", code)
    service.on("^POST /v1/responses", lambda _: answer(status, body, **{"x-request-id": "req_77"}))
    with pytest.raises(errors.ServiceError) as caught:
        live(service).respond(ASKED)
    stack, lines = "".join(traceback.format_exception(caught.value)), "".join(caught.value._render_traceback_())
    assert [secret for secret in (KEY, "somebody") if secret in stack + lines] == []
    assert ["req_77" in shown for shown in (stack, lines)] == [True, False]


def test_no_key_says_which_is_missing_and_that_there_is_a_way_without_and_azures_cure_names_its_settings(service):
    for account, name in (("openai", "OPENAI_API_KEY"), ("azure", "AZURE_OPENAI_API_KEY")):
        with told(errors.NoKey, name, '"local"'):
            connect(account, 5.0, {name: "  "})
    service.on("/responses", lambda _: answer(401, said("Access denied due to invalid subscription key.", "401")))
    azure = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": service.url.removesuffix("/v1")}
    assert "AZURE_OPENAI_API_KEY" in only(connect_azure(azure, 5), errors.KeyRefused).hint


def test_a_network_that_is_down_is_tried_again_and_a_proxy_or_missing_tls_is_not(service, nowhere, monkeypatch):
    def asked_at(url, kind):
        naps = []
        wire_ = connect_hosted({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}, 5)
        wire_._sleep = naps.append
        return naps, only(wire_, kind)

    naps, down = asked_at(f"http://user:secret-password@{nowhere}/v1", errors.Unreachable)
    assert (naps, f"http://{nowhere}/v1" in down.message) == ([0.5, 1.0], True)
    naps, without_tls = asked_at(service.url.replace("http:", "https:"), errors.Unreachable)
    assert naps == []
    service.on("^CONNECT ", lambda _: Answer(b"", 407, {"Proxy-Authenticate": "Basic"}))
    monkeypatch.setenv("HTTPS_PROXY", service.url.removesuffix("/v1").replace("//", "//user:secret-password@"))
    naps, proxy = asked_at("https://api.example.invalid/v1", errors.Unreachable)
    assert naps == []
    for error, cure in ((down, "OPENAI_BASE_URL"), (without_tls, "https://"), (proxy, "HTTPS_PROXY")):
        assert cure in error.hint
        assert len(error._render_traceback_()) == 2
        assert "secret-password" not in "".join(traceback.format_exception(error))


def test_a_page_of_somebody_in_between_is_not_read_out(service):
    page = b"<!DOCTYPE html><html><body>Please sign in." + b"<br>" * 5000 + b"</body></html>"
    service.on("^POST /v1/responses", lambda _: Answer(page, 403, {"Content-Type": "text/html"}))
    error = only(live(service), errors.Refused)
    assert error.message == "The service answered 403 with a web page."
    assert "proxy" in error.hint


def test_a_wait_is_honoured(service):
    service.will_answer(answer(429, said("Slow down.", "rate_limit_exceeded"), **{"Retry-After": "7"}))
    service.will_say([wire.Message("Ok.")])
    naps, waits = [], []
    live(service, naps).respond(ASKED, waits.append).close()
    assert naps == waits == [7.0]


def test_nonsense_means_nothing_and_no_wait_is_without_end():
    for forever in ("9" * 400, "99999999999.5"):
        assert 3_600 < (faults.retry_after_s({"retry-after": forever}) or 0) < threading.TIMEOUT_MAX
    for nothing in ({"retry-after": "soon"}, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, {}):
        assert faults.retry_after_s(nothing) is None


@given(st.text(), st.text(), st.none() | st.integers(100, 599), st.sampled_from(["openai", "azure", "local"]))
def test_whatever_is_said_becomes_two_printable_lines(code, message, status, service_name):
    error = service_error(code, message, status=status, service=service_name)
    lines = error._render_traceback_()
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 600 for line in lines)
    assert "{" not in error.hint


def test_an_error_is_an_error_for_everything_that_runs_notebooks(notebook_dir):
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    begin = "%load_ext ipython_assistant\n%config AssistantMagics.service = 'openai'"
    sources = [begin, "%%assistant\nAsk.", "%%assistant --imput a.csv\nAsk."]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.cells[1].metadata["tags"] = ["raises-exception"]  # so that the last one runs too
    client = NotebookClient(notebook, resources={"metadata": {"path": str(notebook_dir)}}, timeout=60)
    with pytest.raises(CellExecutionError, match="OptionError"):
        client.execute()
    for cell, name in zip(notebook.cells[1:], ("NoKey", "OptionError"), strict=True):
        [output] = cell.outputs
        assert (output.output_type, output.ename) == ("error", name)
        assert len("\n".join(output.traceback).splitlines()) == 2


def test_every_class_has_a_line_in_the_docs_and_every_line_a_class():
    page = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    abstract = {"AssistantError", "ServiceError"}
    classes = {name for name, it in vars(errors).items() if isinstance(it, type) and issubclass(it, Exception)}
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) - abstract == classes - abstract
