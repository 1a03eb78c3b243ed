"""Background responses: asked for again, followed, resumed and cancelled, by the SDK over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest
from engines import DEADLINE_S, OUTPUTS, Running, in_thread, logs, until
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ipython_assistant.engine.jobs import Jobs
from ipython_assistant.engine.models.script import Script


def for_ever(mark: str) -> str:
    """Code that never ends, and leaves a file of this name when it has begun."""
    return f"import time\nopen('{mark}.begun', 'w').close()\nwhile True:\n    time.sleep(0.01)\n"


def ended(client: openai.OpenAI, response_id: str) -> Any:
    """The response, when it is over."""
    until(lambda: client.responses.retrieve(response_id).status not in {"queued", "in_progress"}, "an end")
    return client.responses.retrieve(response_id, include=OUTPUTS)  # type: ignore[arg-type]


def runs(client: openai.OpenAI, container: str, mark: str) -> None:
    """Wait until that code has begun."""
    until(
        lambda: any(file.path.endswith(f"{mark}.begun") for file in client.containers.files.list(container)),
        "running code",
    )


def test_a_background_response_is_fetched_when_it_is_done(
    engine: Running, client: openai.OpenAI, container: str
) -> None:
    asked = engine.ask("import time\ntime.sleep(0.3)\nprint(6 * 7)", container=container, background=True)

    assert asked.status == "queued"
    assert asked.background is True
    done = ended(client, asked.id)
    assert (done.id, done.status, logs(done)) == (asked.id, "completed", "42\n")
    goes_on = engine.ask("print(1)", previous_response_id=asked.id)
    assert goes_on.output[1].container_id == done.output[1].container_id == container


def test_what_is_there_can_be_seen_while_it_is_made(engine: Running, client: openai.OpenAI, container: str) -> None:
    asked = engine.ask(for_ever("made"), container=container, background=True)
    runs(client, container, "made")

    seen = client.responses.retrieve(asked.id)
    assert (seen.status, [item.type for item in seen.output]) == ("in_progress", ["message", "code_interpreter_call"])
    client.responses.delete(asked.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(asked.id)
    assert logs(engine.ask("print(1)", container=container)) == "1\n"


def test_cancelling_ends_the_code_and_leaves_the_container(
    engine: Running, client: openai.OpenAI, container: str
) -> None:
    engine.ask("x = 5", container=container)
    asked = engine.ask(for_ever("container"), container=container, background=True)
    runs(client, container, "container")

    began = time.monotonic()
    cancelled = client.responses.cancel(asked.id)
    took = time.monotonic() - began

    assert cancelled.status == "cancelled"
    assert took < 3
    assert [item.status for item in cancelled.output] == ["completed", "incomplete"]
    assert client.responses.cancel(asked.id) == cancelled
    assert ended(client, asked.id).status == "cancelled"
    assert logs(engine.ask("print(x)", container=container)) == "5\n"
    then = engine.ask("print('on')", previous_response_id=asked.id)
    assert logs(then) == "on\n"


def test_one_that_waits_for_its_container_can_be_cancelled(
    engine: Running, client: openai.OpenAI, container: str
) -> None:
    first = engine.ask(for_ever("cancelled"), container=container, background=True)
    runs(client, container, "cancelled")
    second = engine.ask("open('second.txt', 'w')", container=container, background=True)

    assert client.responses.cancel(second.id).status == "cancelled"
    assert client.responses.retrieve(first.id).status == "in_progress"
    client.responses.cancel(first.id)
    assert not [file for file in client.containers.files.list(container) if file.path.endswith("second.txt")]


def test_what_has_ended_by_itself_cannot_be_cancelled(engine: Running, client: openai.OpenAI, container: str) -> None:
    asked = engine.ask("print(1)", container=container, background=True)
    ended(client, asked.id)

    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.cancel(asked.id)
    assert refused.value.body == {
        "message": "Cannot cancel a response that is completed.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    with pytest.raises(openai.NotFoundError):
        client.responses.cancel("resp_none")


def test_a_stream_that_was_cut_off_is_taken_up_again(engine: Running, client: openai.OpenAI, container: str) -> None:
    with engine.ask(
        "print(1)\nimport time\ntime.sleep(0.2)\nprint(2)", container=container, background=True, stream=True
    ) as stream:
        first = [next(stream) for _ in range(4)]
    response_id = first[0].response.id
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=first[-1].sequence_number))
    again = list(client.responses.retrieve(response_id, stream=True))

    assert [event.sequence_number for event in first + rest] == list(range(len(first) + len(rest)))
    assert rest[-1].type == "response.completed"
    assert [event.type for event in again] == [event.type for event in first + rest]


def test_whoever_follows_a_response_that_is_cancelled_is_told(
    engine: Running, client: openai.OpenAI, container: str
) -> None:
    with engine.ask(for_ever("told"), container=container, background=True, stream=True) as stream:
        response_id = next(stream).response.id
        runs(client, container, "told")
        client.responses.cancel(response_id)
        last = list(stream)[-1]

    assert (last.type, last.response.status) == ("response.incomplete", "cancelled")
    _, _, body = engine.request("GET", f"/v1/responses/{response_id}?stream=true")
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: ")]
    parse = TypeAdapter(ResponseStreamEvent).validate_python
    assert [parse(json.loads(line)).type for line in lines][-2:] == ["response.output_item.done", "response.incomplete"]


def test_a_number_to_start_after_is_a_number(engine: Running) -> None:
    status, _, body = engine.request("GET", "/v1/responses/resp_x?stream=true&starting_after=soon")

    assert (status, json.loads(body)["error"]["param"]) == (400, "starting_after")


def test_streams_that_ended_long_ago_are_forgotten() -> None:
    async def made(number: int) -> AsyncGenerator[dict[str, Any], None]:
        yield {"type": "response.completed", "response": {"id": f"resp_{number}"}}

    async def make(count: int, *, streamed: bool) -> list[int]:
        jobs = Jobs()
        for number in range(count):
            job = jobs.begin({"id": f"resp_{number}"}, made(number), streamed=streamed)
            assert [event["response"]["id"] async for event in job.follow()] == [f"resp_{number}"] * streamed
        return [number for number in range(count) if jobs.find(f"resp_{number}") is not None]

    assert asyncio.run(make(30, streamed=True)) == list(range(9, 30))
    assert asyncio.run(make(3, streamed=False)) == [2]


def test_an_engine_that_is_stopped_ends_what_it_makes_in_the_background() -> None:
    with in_thread({"script": Script()}, time.time) as engine:
        client = engine.client()
        container = client.containers.create(name="left").id
        engine.ask(for_ever("background"), container=container, background=True)
        runs(client, container, "background")
        began = time.monotonic()

    assert time.monotonic() - began < DEADLINE_S / 2
