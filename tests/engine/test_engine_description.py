"""Every answer, event and error of the engine, held against what others say it has to be.

Always against the types of the `openai` package. Against OpenAI's OpenAPI document where `IPYTHON_ASSISTANT_OPENAPI`
names a folder with `openapi.json` (or `.yaml`) of https://github.com/openai/openai-openapi, which is not part of this
repository.
"""

import json
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from engines import OUTPUTS, ScriptedModel, fence, tool
from openai.types import FileObject, Model, container_list_response, container_retrieve_response
from openai.types.containers import file_list_response
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter
from tests_support.descriptions import Description

from ipython_assistant.engine.models import Ask, Interpreter, ModelFailed, Refuse, Run, Say, Step

FOLDER = os.environ.get("IPYTHON_ASSISTANT_OPENAPI", "")
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('line.png')\nplt.show()\nprint(1)"
NEWER = ("cache_write_tokens",)
"""Fields that the `openai` package requires and older copies of the description lack."""
Exchange = tuple[str, str, int, Any]


async def everything(ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
    yield Run(PLOT)
    yield Say("A figure: sandbox:/mnt/data/line.png")
    yield Run("1/0")
    yield Refuse("Not this.")


async def breaks(ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:
    yield Say("So far")
    raise ModelFailed("The model is gone.", "Start it again.")


@pytest.fixture(scope="module")
def exchanges(engine):
    """Method, path, status and JSON of one answer for each route of the engine."""
    made: list[Exchange] = []

    def ask(method: str, path: str, body: object = None) -> Any:
        status, _, answer = engine.request(method, f"/v1{path}", body)
        made.append((method, path.partition("?")[0], status, json.loads(answer)))
        return made[-1][3]

    client = engine.client()
    upload = client.files.create(file=("in.csv", b"a\n1\n"), purpose="user_data")
    made.append(("POST", "/files", 200, upload.to_dict()))
    container = ask("POST", "/containers", {"name": "described", "memory_limit": "1g"})["id"]
    asked = {"model": "basic", "input": fence(PLOT), "tools": [tool(container)], "include": OUTPUTS}
    response = ask("POST", "/responses", asked)["id"]
    for path in (
        f"/containers/{container}/files", "/models", "/models/basic", "/containers", f"/containers/{container}",
        f"/responses/{response}", "/models/none", "/containers/none", "/responses/none",
    ):  # fmt: skip
        ask("GET", path)
    ask("DELETE", f"/containers/{container}")
    ask("POST", "/responses", {"model": "basic"})
    return made


@pytest.fixture(scope="module")
def streams(serve):
    """The events of an answer with everything in it, and of one that breaks off."""
    engine = serve(ScriptedModel(everything, "everything"), ScriptedModel(breaks, "breaks"))
    return [engine.events("", model=name) for name in ("everything", "breaks")]


def sdk_type(method: str, path: str) -> Any:
    """What the `openai` package takes an answer for; of a list, its rows."""
    kind, *rest = path.strip("/").split("/")
    if method == "DELETE":
        return None
    if kind == "containers" and rest[1:] == ["files"]:
        return file_list_response.FileListResponse
    if kind == "containers":
        retrieved = container_retrieve_response.ContainerRetrieveResponse
        return retrieved if rest or method == "POST" else container_list_response.ContainerListResponse
    return {"models": Model, "files": FileObject, "responses": Response}[kind]


def test_every_answer_is_what_the_client_library_takes_it_for(exchanges):
    for method, path, status, answer in exchanges:
        declared = ErrorObject if status >= 400 else sdk_type(method, path)
        body = answer["error"] if status >= 400 else answer
        for each in body["data"] if body.get("object") == "list" else [body] if declared else []:
            assert not unknown(TypeAdapter(declared).validate_python(each)), (method, path)


def test_every_event_is_what_the_client_library_takes_it_for(streams):
    declared = TypeAdapter(ResponseStreamEvent)  # made once: it takes a second
    for event in [event for events in streams for event in events]:
        read = declared.validate_python(event)
        assert read.type == event["type"]
        # Clients differ in where they look for an error: it is nested beside the flat one.
        assert unknown(read) <= ({"error"} if event["type"] == "error" else set())
    assert {event["type"] for event in streams[1]} >= {"error", "response.failed"}


@pytest.mark.skipif(not FOLDER, reason="IPYTHON_ASSISTANT_OPENAPI names no folder with OpenAI's description")
def test_every_answer_and_event_is_as_the_published_description_has_it(exchanges, streams):
    description = Description(Path(FOLDER))
    newer = [name for name in NEWER if f'"{name}"' not in json.dumps(description.document)]
    exchanges, streams = json.loads(re.sub(rf'"({"|".join(newer) or "-"})": 0, ', "", json.dumps([exchanges, streams])))
    wrong = []
    for method, path, status, answer in exchanges:
        judge = description.component("ErrorResponse") if status >= 400 else description.answer(method, path)
        wrong += [(method, path, error.message) for error in (judge.iter_errors(answer) if judge else ())]
    judge = description.answer("POST", "/responses", "text/event-stream")
    for event in [event for events in streams for event in events if event["type"] != "error"]:
        wrong += [(event["type"], error.message) for error in judge.iter_errors(event)]
    assert wrong == []


def unknown(read: Any) -> set[str]:
    """Fields that the type of an object, or of one in it, does not declare."""
    if isinstance(read, list):
        return set().union(*map(unknown, read))
    if not hasattr(read, "model_extra"):
        return set()
    inner = [getattr(read, name) for name in type(read).model_fields]
    return set(read.model_extra or ()).union(*map(unknown, inner))
