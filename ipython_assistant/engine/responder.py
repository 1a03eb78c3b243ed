"""Answers one question: decide → run → speak; and keeps the responses that can be asked for, or continued, later.

The model decides, the container runs, the output speaks: events of the Responses API come out, as dicts.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.api import ApiError, model_not_found, shortened
from ipython_assistant.engine.models import WISHES, Ask, ChatMessage, ModelFailed, Refuse, Run
from ipython_assistant.engine.response_output import ResponseOutput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ipython_assistant.engine.api import Event, IdMint, Json, ResponseRequest
    from ipython_assistant.engine.container import ContainerPool, KernelContainer
    from ipython_assistant.engine.container_folder import UploadStore
    from ipython_assistant.engine.models import Model

NO_INTERPRETER: Final = (
    "This engine answers by running code, and the request gives it no code interpreter. "
    'Add `{"type": "code_interpreter", "container": {"type": "auto"}}` to `tools`.'
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PastTurn:
    """What a later response continues from: all that was said up to and with the answer, and where code ran."""

    messages: tuple[ChatMessage, ...] = ()
    container_id: str = ""


class StoredResponses:
    """All stored responses and their items, as files in a private directory: they may hold pictures."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory

    async def put(self, body: Json, turn: PastTurn) -> None:
        """Store a finished response, and what continues from it."""
        kept = {item["id"]: item for item in body["output"]} | {body["id"]: {"body": body, **asdict(turn)}}
        for name, value in kept.items():
            await asyncio.to_thread(Path(self._directory, name).write_text, json.dumps(value), "utf-8")

    def previous(self, response_id: str) -> PastTurn:
        """What a request continues from; nothing for an empty id. Raises ApiError if that response is not stored."""
        if not response_id:
            return PastTurn()
        message = f"Previous response with id '{shortened(response_id)}' not found."
        missing = ApiError(400, message, param="previous_response_id", code="previous_response_not_found")
        found = self._read(response_id, "resp_", missing)
        return PastTurn(tuple(ChatMessage(**each) for each in found["messages"]), found["container_id"])

    def body(self, response_id: str) -> Json:
        """The response of this id. Raises ApiError if it is not stored."""
        missing = ApiError(404, f"Response with id '{shortened(response_id)}' not found.")
        return dict(self._read(response_id, "resp_", missing)["body"])

    def item(self, item_id: str) -> Json:
        """The output item that an `item_reference` refers to. Raises ApiError if no stored response has it."""
        return self._read(item_id, "", ApiError(404, f"Item with id '{shortened(item_id)}' not found.", param="input"))

    def _read(self, name: str, prefix: str, missing: ApiError) -> Json:
        path = self._directory / name
        if not re.fullmatch(rf"{prefix}\w{{1,99}}", name) or not path.is_file():  # it must not lead elsewhere
            raise missing
        return dict(json.loads(path.read_text("utf-8")))


@dataclass(eq=False, kw_only=True)
class Responder:
    """Answers requests in containers. `upload_bytes` is the size of the largest upload, `started_at` in seconds."""

    models: Mapping[str, Model]
    containers: ContainerPool
    uploads: UploadStore
    stored: StoredResponses
    mint: IdMint
    token: str = field(repr=False)
    upload_bytes: int
    started_at: int

    async def respond(self, request: ResponseRequest) -> AsyncGenerator[Event, None]:
        """Answer, as events; closing the iterator, or cancelling, interrupts running code.

        An exception of the model, or of this engine, ends the stream with `error` and `response.failed`. Raises
        ApiError before the first event: what the request refers to does not exist, or the container is expired.
        """
        model = self.models.get(request.model)
        if model is None:
            raise model_not_found(request.model, self.models)
        previous = self.stored.previous(request.previous_response_id)
        container = await self._container(request, previous) if request.runs_code else None
        messages = (*previous.messages, *request.messages)
        output = ResponseOutput(request, container, self.mint)
        for event in output.begin():
            yield event
        try:
            async with aclosing(_carry_out(model, request, messages, container, output)) as events:
                async for event in events:
                    yield event
            ending = output.complete()
        except ModelFailed as error:
            ending = output.fail(str(error))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the client is told and the log has it
            _log.exception("A response failed")
            ending = output.fail(f"The engine failed: {type(error).__name__}: {error}")
        if request.store:  # before the last event, since a client may ask for it or go on from it at once
            said = (*messages, ChatMessage("assistant", output.text))
            await self.stored.put(output.response, PastTurn(said, container.id if container else ""))
        for event in ending:
            yield event

    async def _container(self, request: ResponseRequest, previous: PastTurn) -> KernelContainer:
        """Where this request's code runs, with the files that the request names or holds."""
        uploads = {file_id: self.uploads.get(file_id) for file_id in request.file_ids}
        known, containers = request.container_id or previous.container_id, self.containers
        container = containers.live(known) if known else await containers.create(memory=request.memory)
        for upload_id, (name, path) in uploads.items():
            await container.provide(upload_id, name, path)
        for name, content in request.attachments:
            key = hashlib.sha256(name.encode("utf-8", "replace") + b"\0" + content).hexdigest()
            await container.provide(key, name, content)
        return container


async def _carry_out(
    model: Model,
    request: ResponseRequest,
    messages: Sequence[ChatMessage],
    container: KernelContainer | None,
    output: ResponseOutput,
) -> AsyncGenerator[Event, None]:
    """Let the model decide step by step; the container is its own meanwhile."""
    if container is None:
        for event in output.take(Refuse(NO_INTERPRETER)):
            yield event
        return
    async with container.turn, aclosing(model.answer(await _asked(request, messages, container), container)) as steps:
        async for step in steps:
            for event in output.take(step):
                yield event
            if isinstance(step, Run):
                code_run = await container.run(step.code)
                step.outcome = code_run.outcome
                for event in output.ran(code_run):
                    yield event
        for event in output.end_message():
            yield event
        container.known_files = frozenset(await container.names())
        container.touch()


async def _asked(request: ResponseRequest, messages: Sequence[ChatMessage], container: KernelContainer) -> Ask:
    """The question as a model is asked it."""
    at = max(index for index, message in enumerate(messages) if message.role == "user")
    files = await container.names()
    # Our own client says which files were named with this question; other clients upload what they ask about.
    metadata = request.echo.get("metadata") or {}
    named = tuple(name for name in str(metadata.get("named", "")).split("\n") if name in files)
    return Ask(
        prompt=messages[at].text,
        files=files,
        new=named or tuple(name for name in files if name not in container.known_files),
        made=tuple(container.linkable()),
        history=(*messages[:at], *messages[at + 1 :]),
        instructions=request.instructions,
        wishes={wish: request.echo[wish] for wish in WISHES if request.echo.get(wish) is not None},
    )
