"""Answers a question: a model decides the steps, a container runs the code, events go out; and stores responses."""

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

    from ipython_assistant.engine.api import IdMint, Json, ResponseRequest
    from ipython_assistant.engine.container import ContainerPool, KernelContainer
    from ipython_assistant.engine.container_folder import UploadStore
    from ipython_assistant.engine.models import Model

NO_INTERPRETER: Final = (
    'This engine answers by running code: add `{"type": "code_interpreter", "container": {"type": "auto"}}` to `tools`.'
)


class StoredResponses:
    """All stored responses and their items, as files in a private directory: they may hold pictures."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory

    async def put(self, body: Json, messages: Sequence[ChatMessage], container_id: str) -> None:
        """Store a finished response, all that was said up to and with it, and where its code ran."""
        turn = {"body": body, "messages": [asdict(message) for message in messages], "container_id": container_id}
        kept = {item["id"]: item for item in body["output"]} | {body["id"]: turn}
        for name, value in kept.items():
            await asyncio.to_thread(Path(self._directory, name).write_text, json.dumps(value), "utf-8")

    def previous(self, response_id: str) -> tuple[list[ChatMessage], str]:
        """What was said before a request, and where code ran. Raises ApiError if that response is not stored."""
        about = {"param": "previous_response_id", "code": "previous_response_not_found"}
        found = self._read(response_id, "Previous response", 400, **about)
        return [ChatMessage(**each) for each in found["messages"]], found["container_id"]

    def body(self, response_id: str) -> Json:
        """The response of this id. Raises ApiError if it is not stored."""
        return dict(self._read(response_id, "Response")["body"])

    def item(self, item_id: str) -> Json:
        """The output item that an `item_reference` refers to. Raises ApiError if no stored response has it."""
        return self._read(item_id, "Item", param="input")

    def _read(self, name: str, kind: str, status: int = 404, **about: str) -> Json:
        path, prefix = self._directory / name, "" if kind == "Item" else "resp_"
        if not re.fullmatch(rf"{prefix}\w{{1,99}}", name) or not path.is_file():  # it must not lead elsewhere
            raise ApiError(status, f"{kind} with id '{shortened(name)}' not found.", **about)
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

    async def respond(self, request: ResponseRequest) -> AsyncGenerator[Json, None]:
        """Answer, as events; closing the iterator interrupts the code. Raises ApiError before the first event."""
        if (model := self.models.get(request.model)) is None:
            raise model_not_found(request.model, self.models)
        if request.previous_response_id:
            earlier, ran_in = self.stored.previous(request.previous_response_id)
            request.messages[:0], request.container_id = earlier, request.container_id or ran_in
        container = await self._container(request) if request.runs_code else None
        output = ResponseOutput(request, container, self.mint)
        for event in output.begin():
            yield event
        try:
            async with aclosing(_carry_out(model, request, container, output)) as events:
                async for event in events:
                    yield event
            ending = output.complete()
        except ModelFailed as error:
            ending = output.fail(str(error))
        except Exception as error:  # whatever goes wrong, the client is told and the log has it
            logging.getLogger(__name__).exception("A response failed")
            ending = output.fail(f"The engine failed: {type(error).__name__}: {error}")
        said = (*request.messages, ChatMessage("assistant", output.text))
        try:
            if request.store:  # before the last event, since a client may ask for it or go on from it at once
                await self.stored.put(output.response, said, container.id if container else "")
        except OSError as error:  # a full disk, say
            logging.getLogger(__name__).exception("A response could not be stored")
            told, reason = output.response["status"] == "failed", f"The response could not be stored: {error.strerror}"
            ending = ending if told else output.fail(reason, unsent=len(ending))
        for event in ending:
            yield event

    async def _container(self, request: ResponseRequest) -> KernelContainer:
        """Where this request's code runs, with the files that the request names or holds."""
        files: dict[str, tuple[str, Path | bytes]] = {each: self.uploads.get(each) for each in request.file_ids}
        for name, content in request.attachments:
            files[hashlib.sha256(name.encode("utf-8", "replace") + b"\0" + content).hexdigest()] = name, content
        known, pool = request.container_id, self.containers
        container = pool.live(known) if known else await pool.create(memory=request.memory)
        for key, file in files.items():
            await container.provide(key, *file)
        return container


async def _carry_out(
    model: Model, request: ResponseRequest, container: KernelContainer | None, output: ResponseOutput
) -> AsyncGenerator[Json, None]:
    """Carry out the model's steps one by one and yield their events; no other response uses the container then."""
    if container is None:
        for event in output.take(Refuse(NO_INTERPRETER)):
            yield event
        return
    async with container.turn, aclosing(model.answer(await _asked(request, container), container)) as steps:
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


async def _asked(request: ResponseRequest, container: KernelContainer) -> Ask:
    """The question as a model is asked it."""
    messages, files = request.messages, await container.names()
    at = max(index for index, message in enumerate(messages) if message.role == "user")
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
