"""What the hosted service is known to refuse, refused here in the same shape: one test each."""

import json

import openai
import pytest
from engines import TOOL, Clock, ScriptedModel, fence, tool

from ipython_assistant.engine.models import Say


def refusal(engine, path, body, *, method="POST"):
    """Status and error of a request that is refused, after a look at the error's shape."""
    status, headers, answer = engine.request(method, f"/v1{path}", body)
    error = json.loads(answer)["error"]
    assert list(json.loads(answer)) == ["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert headers["Content-Type"] == "application/json"
    return status, error


def asked(**parameters):
    return {"model": "basic", "input": fence("1"), "tools": [TOOL], **parameters}


MINUTES = {"name": "long", "expires_after": {"anchor": "last_active_at", "minutes": 21}}
REFUSED = {
    "no container": (asked(tools=[{"type": "code_interpreter"}]), 400, "missing_required_parameter",
                     "tools[0].container", "Missing required parameter: 'tools[0].container'."),
    "files for file_ids": (asked(tools=[tool({"type": "auto", "files": ["file-1"]})]), 400, "unknown_parameter",
                           "tools[0].container.files", "Unknown parameter: 'tools[0].container.files'."),
    "too long": (MINUTES, 400, "integer_above_max_value", "expires_after.minutes", "from 1 to 20", "/containers"),
    "no name": ({}, 400, "missing_required_parameter", "name", "'name'", "/containers"),
    "unknown file": (asked(tools=[tool({"type": "auto", "file_ids": ["file-none"]})]), 404, None, "id",
                     "No such File object: file-none"),
    "files of a new container": ({"name": "c", "file_ids": ["file-1"]}, 400, "unsupported_parameter", "file_ids",
                                 "This engine does not support 'file_ids' here.", "/containers"),
    "unknown container": (asked(tools=[tool("cntr_no")]), 404, None, None, "Container with id 'cntr_no' not found."),
    "unknown response": (asked(previous_response_id="resp_none"), 400, "previous_response_not_found",
                         "previous_response_id", "Previous response with id 'resp_none' not found."),
    "unknown model": (asked(model="gpt-5"), 400, "model_not_found", "model", "This engine offers: basic"),
    "its name": (None, 404, "model_not_found", "model", "This engine offers: basic", "/models/gpt-5", "GET"),
    "other tool": (asked(tools=[{"type": "web_search"}]), 400, "unsupported_parameter", "tools[0].type", "web_search"),
    "another path": ({}, 404, "unknown_url", None, "Invalid URL or method (POST /v1/chat/completions)",
                     "/chat/completions"),
    "another method": ({}, 405, "unknown_url", None, "Invalid URL or method (POST /v1/models)", "/models"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_service_refuses_is_refused_in_its_words(engine, case):
    body, status, code, param, words, path, method = (*case, *("/responses", "POST")[len(case) - 5 :])
    found, error = refusal(engine, path, body, method=method)
    assert (found, error["code"], error["param"]) == (status, code, param)
    assert words in error["message"]


def test_long_values_are_cut_in_refusals(engine):
    long = "x" * 100_000
    for body in ({"model": long}, {"previous_response_id": long}, {"tools": [{"type": long}]}):
        assert len(refusal(engine, "/responses", asked(**body))[1]["message"]) < 500


def content(**part):
    return {"input": [{"role": "user", "content": [part]}]}


MALFORMED = {
    "model": {"model": None}, "input": {"input": []}, "metadata": {"metadata": 5}, "stream": {"stream": "yes"},
    "background": {"background": True}, "conversation": {"conversation": "conv_1"},
    "input[0].role": {"input": [{"role": "robot", "content": "x"}]},
    "input[0].type": {"input": [{"type": "function_call"}]},
    "input[0].container_id": {"input": [{"type": "code_interpreter_call", "id": "ci_1"}]},
    "input[0].content[0].type": content(type="input_audio"),
    "input[0].content[0].image_url": content(type="input_image", image_url="http://127.0.0.1/x.png"),
    "input[0].content[0].file_data": content(type="input_file", file_data="?", filename="x"),
    "input[0].content[0].file_id": content(type="input_file", file_id=5),
    "tools[0].type": {"tools": [{"type": "function", "name": "f"}]}, "tools[1].type": {"tools": [TOOL, TOOL]},
    "text.format": {"text": {"format": {"type": "json_schema"}}},
    "tools[0].container": {"tools": [{"type": "code_interpreter", "container": 5}]},
    "tools[0].container.type": {"tools": [{"type": "code_interpreter", "container": {}}]},
    "tools[0].container.memory_limit":
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "2g"}}]}
}  # fmt: skip


NO_PICTURES = ("data:image/png;base64,@@", "data:image/png;base64", "data:image/png,abcd", "data:text/html;base64,eA==")


@pytest.mark.parametrize("param", MALFORMED)
def test_a_malformed_question(engine, param):
    no_pictures = [content(type="input_image", image_url=url) for url in NO_PICTURES if param.endswith("image_url")]
    for malformed in (MALFORMED[param], *no_pictures):
        status, error = refusal(engine, "/responses", asked(**malformed))
        assert (status, error["param"]) == (400, param)


NO_OBJECTS = {
    "nothing": b"", "a list": b"[]", "half of one": b"{", "a text": b'"text"', "no UTF-8": b'{"model":"\xff"}',
    "no end of lists": b"[" * 200_000
}  # fmt: skip


@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS.keys())
def test_a_body_that_is_no_json_object(engine, body):
    status, error = refusal(engine, "/responses", body)
    assert (status, error["type"]) == (400, "invalid_request_error")


def test_a_wrong_token_is_refused_on_every_route(engine, container):
    wrong = engine.client().with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError) as refused:
        wrong.containers.files.create(container, file=("x.txt", b"1"))
    assert refused.value.code == "invalid_api_key"
    for method, path in (
        ("GET", "/v1/models"), ("POST", "/v1/responses"), ("GET", "/v1/files"), ("GET", "/nowhere"),
    ):  # fmt: skip
        for token in ("Bearer wrong", "", f"Basic {engine.token}", "Bearer ü"):
            status, _, body = engine.request(method, path, headers={"Authorization": token})
            assert status == 401
            assert b'"type":"invalid_request_error","param":null,"code":"invalid_api_key"' in body


def test_an_expired_container_by_id_and_through_the_conversation(serve):
    async def says(ask, interpreter):
        yield Say("Yes.")

    clock = Clock()
    engine = serve(ScriptedModel(says), clock=clock)
    client = engine.client()
    container = client.containers.create(name="c", expires_after={"anchor": "last_active_at", "minutes": 5}).id
    first = engine.ask("x = 1", container=container)
    clock.now += 5 * 60
    assert client.containers.retrieve(container).status == "running"  # which counts as use
    clock.now += 5 * 60 + 1
    call = {"type": "code_interpreter_call", "id": "ci_1", "container_id": container}
    replay = [call, {"role": "user", "content": "And now?"}]
    for parameters in ({"container": container}, {"previous_response_id": first.id}, {"input": replay}):
        with pytest.raises(openai.BadRequestError) as refused:
            engine.ask("x", **parameters)
        assert (refused.value.body["message"], refused.value.code) == ("Container is expired.", None)
    with pytest.raises(openai.BadRequestError, match="Container is expired"):
        client.containers.files.list(container)
    assert client.containers.retrieve(container).status == "expired"
    assert {each.id: each.status for each in client.containers.list()}[container] == "expired"
