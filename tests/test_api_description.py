"""Every request that the extension sends, held against what others say a request has to be.

Always against the types of the `openai` package. Against OpenAI's OpenAPI document where `IPYTHON_ASSISTANT_OPENAPI`
names a folder with `openapi.json` (or `.yaml`) of https://github.com/openai/openai-openapi, which is not part of this
repository. The answers of the embedded engine are held against both in tests/engine.
"""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from openai.types import container_create_params
from openai.types.responses import response_create_params
from tests_support import events as wire
from tests_support.descriptions import Description, validator_of
from tests_support.scripted import refusal

FOLDER = os.environ.get("IPYTHON_ASSISTANT_OPENAPI", "")
SDK_TYPES = {
    "POST /responses": response_create_params.ResponseCreateParamsStreaming,
    "POST /containers": container_create_params.ContainerCreateParams,
}
ASKED_WITH = {
    "a question": ("", ""),
    "a model, effort and instructions": ("-m gpt-6-luna --effort high --instructions 'Use metric units.'", ""),
    "a table brought back": ("-i visits -o by_month", ""), "a file sent along": ("-i notes.txt", ""),
    "tools": ("--tool web_search --tool file_search:vs_123", ""),
    "a tool as JSON": ("""--tool '{"type": "image_generation", "quality": "low"}'""", ""), "no code": ("--no-code", ""),
    "more memory": ("--memory 4g", ""), "a container of one's own": ("--container cntr_mine", ""),
    "not stored": ("-i visits", "store = False"),
    "a network for the container": ("-i visits", "network = ['example.org']"),
    "a container that expires early": ("-i visits", "expires_after = 5"),
    "tools by hand": ("-i visits", "tools = ['web_search']"),
}  # fmt: skip


@pytest.fixture
def asked(shell, hosted, notebook_dir):
    """Ask with a line of options and perhaps a setting, then go on; returns the requests the service was sent."""
    shell.user_ns["visits"] = pd.DataFrame({"month": [1, 2], "visits": [10, 12]})
    (notebook_dir / "notes.txt").write_text("Counted by hand.")
    hosted.put("by_month.csv", b"month,visits\n1,10\n", "cfile_1")

    def ask(line, setting=""):
        if setting:
            shell.run_line_magic("config", f"AssistantMagics.{setting}")
        for response_id in ("resp_1", "resp_2"):
            hosted.will_say([wire.Code("..."), wire.cited(("by_month.csv", "cfile_1"))], response_id=response_id)
            outcome = shell.run_cell(f"%%assistant {line}\nSave the visits per month.", store_history=True)
            assert outcome.error_in_exec is None
        return hosted.requests

    return ask


def judged(requests, folder=FOLDER):
    """How many requests were held against something; fails with every fault that was found."""
    description = Description(Path(folder)) if folder else None
    number = 0
    for request in requests:
        path = "/" + re.sub(r"^/v1/", "", request.path.partition("?")[0])
        if not request.body.startswith(b"{"):
            continue
        body = request.json()
        declared = SDK_TYPES.get(f"{request.method} {path}")
        judges = [validator_of(declared)] if declared else []
        if description is not None:
            judge = description.request(request.method, path)
            assert judge is not None, f"the description knows no {request.method} {path}"
            judges.append(judge)
        for judge in judges:
            assert [(error.json_path, error.message[:300]) for error in judge.iter_errors(body)] == []
            number += 1
    return number


@pytest.mark.parametrize(("line", "setting"), ASKED_WITH.values(), ids=ASKED_WITH)
def test_a_request_with_an_option_or_a_setting_keeps_to_the_description(asked, line, setting):
    assert judged(asked(line, setting)) >= 2


def test_a_question_asked_again_after_an_expiry_keeps_to_the_description(asked, hosted):
    asked("-i visits")
    hosted.will_answer(refusal("Container is expired.", 400))
    assert judged(asked("")) >= 5


def test_a_judge_finds_a_field_that_does_not_exist_and_a_wrong_value():
    judge = validator_of(response_create_params.ResponseCreateParamsStreaming)
    fine = {"model": "m", "input": "?", "stream": True}
    assert list(judge.iter_errors(fine)) == []
    assert list(judge.iter_errors({**fine, "modell": "m"}))
    assert list(judge.iter_errors({**fine, "reasoning": {"effort": 3}}))


def described(folder, *fields):
    """A small OpenAPI document of our own, with these fields in the body of a question."""
    paths = {}
    for path, names in (("/responses", fields), ("/containers", ("name", "expires_after")), ("/containers/{id}", ())):
        schema = {"type": "object", "properties": {name: {} for name in names}, "required": list(names[:2])}
        paths[path] = {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}
    (folder / "openapi.json").write_text(json.dumps({"paths": paths, "components": {"schemas": {}}}))
    return folder


def test_where_a_document_is_at_hand_every_request_is_held_against_it_too(asked, tmp_path):
    fields = ["model", "input", "instructions", "tools", "stream", "include", "metadata", "previous_response_id"]
    requests = asked("-i visits")
    assert judged(requests, described(tmp_path, *fields)) == 2 * judged(requests, "")
    for missing in ("instructions", "previous_response_id"):
        with pytest.raises(AssertionError, match=missing):
            judged(requests, described(tmp_path, *(name for name in fields if name != missing)))
    with pytest.raises(AssertionError, match="shape"):
        judged(requests, described(tmp_path, "shape", *fields))
