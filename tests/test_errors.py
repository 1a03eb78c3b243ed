"""errors and service.faults: whatever goes wrong has a class of its own, two lines, and a place in docs/errors.md.

Every error here is made to happen over real HTTP, with the bodies that services are documented or known to send.
"""

import json
import re
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import events as wire
from tests_support.scripted import Answer

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
INVALID = "invalid_request_error"


def said(message, code=None, param=None, kind=INVALID):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


BODIES: dict[str, tuple[int, type[errors.ServiceError], str, dict[str, Any]]] = {
    "wrong key": (401, errors.KeyRefused, "OPENAI_API_KEY",
        said(f"Incorrect API key provided: {KEY}. You can find your API key at ...", "invalid_api_key")),
    "key without a permission": (401, errors.KeyRefused, "OPENAI_API_KEY",
        said("You have insufficient permissions for this operation. Missing scopes: api.containers.write.")),
    "no access to the model": (403, errors.ModelUnknown, "-m",
        said("Project `proj_1` does not have access to model `gpt-5`", "model_not_found")),
    "organisation not verified": (400, errors.ModelUnknown, "-m",
        said("Your organization must be verified to stream this model.", "unsupported_value", "stream")),
    "unknown model": (404, errors.ModelUnknown, "-m",
        said("The model `gpt-9` does not exist or you do not have access to it.", "model_not_found")),
    "quota used up": (429, errors.QuotaUsedUp, "billing",
        said("You exceeded your current quota.", "insufficient_quota", kind="insufficient_quota")),
    "rate limit": (429, errors.RateLimited, "Wait",
        said("Rate limit reached for gpt-4.1 on tokens per min: Limit 30000, Used 22343.", "rate_limit_exceeded")),
    "one question over the rate limit": (429, errors.TooLarge, "less at once",
        said("Request too large for gpt-4.1 on tokens per min (TPM): Limit 3, Requested 4.", "rate_limit_exceeded")),
    "a file that is too large": (413, errors.TooLarge, "smaller inputs",
        said("File size exceeds the maximum allowed for a container.")),
    "tool not allowed under zero data retention": (400, errors.ToolNotAllowed, "--no-code",
        said("Code interpreter is not available for organizations with Zero Data Retention.", param="tools")),
    "tool not offered with the model": (400, errors.ToolNotAllowed, "-m",
        said("Hosted tool 'code_interpreter' is not supported with gpt-3.5-turbo.", param="tools")),
    "tool unknown to a compatible server": (400, errors.ToolNotAllowed, "--no-code",
        said('Only `type:"function"` tools are supported on this endpoint.', param="tools.0.type")),
    "tool that is no valid value": (400, errors.ToolNotAllowed, "--no-code",
        said("Invalid value: 'code_interpreter'. Supported values are: 'function'.", param="tools[0].type")),
    "earlier turn not kept": (400, errors.TurnNotKept, "--new",
        said("Previous response cannot be used for this organization due to Zero Data Retention.",
            "unsupported_parameter", "previous_response_id")),
    "earlier turn gone": (400, errors.TurnNotKept, "--new",
        said("Previous response with id 'resp_1' not found.", "previous_response_not_found", "previous_response_id")),
    "earlier turn not stored": (404, errors.TurnNotKept, "--new",
        said("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.")),
    "context too long": (400, errors.TooLarge, "--new",
        said("Your input exceeds the context window of this model.", "context_length_exceeded", "input")),
    "content filter": (400, errors.ContentFiltered, "other words",
        {"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy. Please modify your prompt and retry.", "type": None, "param": "prompt",
            "code": "content_filter", "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}}}),
    "container id that is too long for Azure": (400, errors.ContainerExpired, "new container",
        said("Invalid 'tools[0].container': string too long. Expected at most 64.", "string_above_max_length")),
    "container limit": (429, errors.QuotaUsedUp, "%assistant containers --delete",
        said("You have reached the maximum number of containers for your organization.")),
    "requests for containers a minute": (429, errors.RateLimited, "Wait",
        said("Rate limit reached for containers in organization org-1: Limit 100, Used 100.", "rate_limit_exceeded")),
    "a file of a container that is not there": (404, errors.Refused, "what the message names",
        said("File cfile_1 not found on container cntr_1.")),
    "address that a server has not": (404, errors.Refused, "what the message names",
        said("Invalid URL (GET /v1/containers?limit=100)", "unknown_url")),
    "more minutes than allowed": (400, errors.Refused, "what the message names",
        said("Invalid 'expires_after.minutes': integer above maximum value.", "integer_above_max_value")),
    "service broken": (500, errors.ServiceError, "in a while",
        said("The server had an error while processing your request.", kind="server_error")),
    "anything else": (400, errors.Refused, "what the message names",
        said("Missing required parameter: 'tools[0].container'.", "missing_required_parameter", "tools[0].container")),
    "misspelt parameter": (400, errors.Refused, "what the message names",
        said("Unknown parameter: 'tools[0].container.files'.", "unknown_parameter", "tools[0].container.files")),
}  # fmt: skip

IN_STREAM = {
    "insufficient_quota": ("You exceeded your current quota.", errors.QuotaUsedUp),
    "rate_limit_exceeded": ("Rate limit reached for gpt-5.", errors.RateLimited),
    "context_length_exceeded": ("Your input exceeds the context window of this model.", errors.TooLarge),
    "invalid_prompt": ("Your prompt was flagged as potentially violating our usage policy.", errors.ContentFiltered),
    "server_error": ("The server had an error.", errors.TurnFailed),
    "vector_store_timeout": ("The vector store took too long.", errors.TurnFailed),
    "": ("Something happened.", errors.TurnFailed),
}


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


@pytest.mark.parametrize("when", BODIES)
def test_what_a_service_refuses_has_its_own_class_and_says_what_to_do(service, when):
    status, kind, cure, body = BODIES[when]
    service.on("^POST /v1/responses", lambda _: answer(status, body))
    error = only(live(service), kind)
    first, second = error._render_traceback_()
    assert first.startswith(f"{kind.__name__}: The service answered {status}: ")
    assert cure in second
    assert error.status == status
    assert ("(api.containers.write)" in error.message) == (when == "key without a permission")


@pytest.mark.parametrize("code", IN_STREAM)
def test_what_is_said_inside_a_stream_is_the_same_error(service, code):
    message, kind = IN_STREAM[code]
    events = wire.stream([wire.Message("Half")])[:-3]
    events.append({"type": "error", "sequence_number": 90, "error": {"code": code, "message": message}})
    failed = wire.response([], status="failed", error={"code": code, "message": message})
    events.append({"type": "response.failed", "sequence_number": 91, "response": failed})
    service.will_answer(Answer(wire.sse(events), headers={"Content-Type": "text/event-stream"}))
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
        with pytest.raises(errors.NoKey, match=name) as caught:
            connect(account, 5.0, {name: "  "})
        assert '"local"' in caught.value.hint
    service.on("/responses", lambda _: answer(401, said("Access denied due to invalid subscription key.", "401")))
    azure = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": service.url.removesuffix("/v1")}
    assert "AZURE_OPENAI_API_KEY" in only(connect_azure(azure, 5), errors.KeyRefused).hint


def test_a_network_that_is_down_is_tried_again_and_a_proxy_or_a_service_without_tls_is_not(
    service, nowhere, monkeypatch
):
    def asked_at(url, kind):
        naps: list[float] = []
        wire_ = connect_hosted({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}, 5)
        wire_._sleep = naps.append
        return naps, only(wire_, kind)

    naps, down = asked_at(f"http://{nowhere}", errors.Unreachable)
    assert naps == [0.5, 1.0]
    naps, without_tls = asked_at(service.url.replace("http:", "https:"), errors.Unreachable)
    assert naps == []
    service.on("^CONNECT ", lambda _: Answer(b"", 407, {"Proxy-Authenticate": "Basic"}))
    monkeypatch.setenv("HTTPS_PROXY", service.url.removesuffix("/v1").replace("//", "//user:secret-password@"))
    naps, proxy = asked_at("https://api.example.invalid/v1", errors.Unreachable)
    assert naps == []
    assert "secret-password" not in "".join(traceback.format_exception(proxy))
    for error, cure in ((down, "OPENAI_BASE_URL"), (without_tls, "https://"), (proxy, "HTTPS_PROXY")):
        assert cure in error.hint
        assert len(error._render_traceback_()) == 2


def test_a_page_of_somebody_in_between_is_not_read_out(service):
    page = b"<!DOCTYPE html><html><body>Please sign in." + b"<br>" * 5000 + b"</body></html>"
    service.on("^POST /v1/responses", lambda _: Answer(page, 403, {"Content-Type": "text/html"}))
    error = only(live(service), errors.Refused)
    assert error.message == "The service answered 403 with a web page."
    assert "proxy" in error.hint


def test_a_wait_is_honoured(service):
    service.will_answer(answer(429, said("Slow down.", "rate_limit_exceeded"), **{"Retry-After": "7"}))
    service.will_say([wire.Message("Ok.")])
    naps: list[float] = []
    waits: list[float] = []
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


def classes(module):
    return {name for name, thing in vars(module).items() if isinstance(thing, type) and issubclass(thing, Exception)}


def test_every_class_has_a_line_in_the_docs_and_every_line_a_class():
    page = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    abstract = {"AssistantError", "ServiceError"}
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) - abstract == classes(errors) - abstract
