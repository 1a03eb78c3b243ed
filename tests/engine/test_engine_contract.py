"""One contract for three: the engine, the scripted server of the other tests, and recorded traffic of the service.
What holds for the recordings has to hold for the engine, which stands in for the service, and for the scripted server,
which other tests believe."""

import json
import os
import re
import urllib.request
from pathlib import Path
from typing import get_args

import openai
import pytest
from engines import TOOL, Running, events_of
from openai.types.responses import ResponseStreamEvent
from tests_support import events as said
from tests_support.scripted import ScriptedService

KNOWN = {
    kind for event in get_args(get_args(ResponseStreamEvent)[0]) for kind in get_args(event.__annotations__["type"])
}
"""The types of events the client library knows; that the engine's are whole is proved in test_engine_stream."""
FOLDER = os.environ.get("IPYTHON_ASSISTANT_RECORDINGS")
RECORDED = sorted(Path(FOLDER).glob("*.sse")) if FOLDER else []
NONE = pytest.param("recorded", marks=pytest.mark.skip("no recordings here: IPYTHON_ASSISTANT_RECORDINGS names none"))

CODE = "open('made.csv', 'w').write('1')\nprint('logged')"
TEXT = "Here it is: [made.csv](sandbox:/mnt/data/made.csv)."

CALL = "output_item.added code.in_progress( code.delta)* code.done code.interpreting code.completed output_item.done"
PART = "content_part.added( text.delta)+( annotation.added)* text.done content_part.done"
SUMMARY = "( summary_part.added( summary.delta)* summary.done summary_part.done)*"
ORDER = re.compile(
    f"created in_progress( {CALL}| output_item.added {PART} output_item.done"
    f"| output_item.added{SUMMARY} output_item.done)+ completed"
)
SHORT = {
    "code_interpreter_call_code": "code", "code_interpreter_call": "code", "output_text.annotation": "annotation",
    "output_text": "text", "reasoning_summary_part": "summary_part", "reasoning_summary_text": "summary",
}  # fmt: skip


@pytest.fixture(
    params=["engine", "scripted", *(RECORDED or [NONE])], ids=lambda source: getattr(source, "stem", source)
)
def events(request, scripted):
    """The events of a turn that runs code."""
    if isinstance(request.param, Path):
        return events_of(request.param.read_text())
    if request.param == "engine":
        engine: Running = request.getfixturevalue("engine")
        return engine.events(CODE, tools=[{**TOOL, "container": request.getfixturevalue("container")}])
    message = said.Message(TEXT, (said.cite(TEXT, "made.csv", "cfile_1"),))
    scripted.will_say([said.Code(CODE, (said.logs("logged\n"),)), message])
    question = json.dumps({"stream": True}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{scripted.url}/responses", question)) as answer:
        return events_of(answer.read().decode())


@pytest.fixture(scope="module")
def scripted():
    with ScriptedService() as service:
        yield service


def kind_of(event):
    kind = event["type"].removeprefix("response.")
    name, _, step = kind.rpartition(".")
    return f"{SHORT.get(name, name)}.{step}" if name else step


def test_events_come_in_one_order_with_numbers_from_zero(events):
    assert ORDER.fullmatch(" ".join(map(kind_of, events)))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert {event["type"] for event in events} <= KNOWN


def test_pieces_items_and_the_whole_response_agree(events):
    whole = events[-1]["response"]
    for index, item in enumerate(whole["output"]):
        own = [event for event in events if event.get("output_index") == index]
        pieces = "".join(event["delta"] for event in own if kind_of(event) in {"code.delta", "text.delta"})
        done = next(event["item"] for event in own if kind_of(event) == "output_item.done")
        assert done["id"] == item["id"]
        if item["type"] == "code_interpreter_call":
            added = next(event["item"] for event in own if kind_of(event) == "output_item.added")
            assert (added["code"], added["status"], added["outputs"] or []) == ("", "in_progress", [])
            assert pieces == item["code"] == done["code"]
            assert item["container_id"].startswith("cntr_")
        if item["type"] == "message":
            assert pieces == item["content"][0]["text"]


def test_a_named_citation_spans_the_whole_link_and_an_unnamed_one_nothing(events):
    for item in events[-1]["response"]["output"]:
        for part in item.get("content") or []:
            for mark in part.get("annotations", []):
                span = part["text"][mark["start_index"] : mark["end_index"]]
                named = mark["filename"] != f"{mark['file_id']}.png"
                assert span == (f"sandbox:/mnt/data/{mark['filename']}" if named else "")


@pytest.mark.parametrize("which", ["engine", "scripted"])
def test_files_are_listed_fetched_and_missed_in_one_way(which, request, scripted):
    if which == "engine":
        engine: Running = request.getfixturevalue("engine")
        client, container = engine.client(), request.getfixturevalue("container")
        engine.ask(CODE, container=container)
    else:
        client = openai.OpenAI(base_url=scripted.url, api_key="key", max_retries=0)
        container = said.CONTAINER
        scripted.put("made.csv", b"1", "cfile_1")
    [row] = [row for row in client.containers.files.list(container) if row.path == "/mnt/data/made.csv"]
    content = client.containers.files.content.retrieve(row.id, container_id=container)
    assert (row.object, row.bytes, row.source, row.container_id) == ("container.file", 1, "assistant", container)
    assert content.read() == b"1"
    with pytest.raises(openai.NotFoundError) as missed:
        client.containers.files.content.retrieve("cfile_none", container_id=container)
    message = f"File cfile_none not found on container {container}."
    assert missed.value.body == {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    deleted = client.with_options().containers
    assert deleted.delete(container if which == "scripted" else client.containers.create(name="c").id) is None
