"""Streams of the Responses API, built from their documented order and shapes.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
CONTAINER = "cntr_test"


@dataclass(frozen=True)
class Message:
    text: str
    citations: tuple[Json, ...] = ()
    refusal: bool = False


@dataclass(frozen=True)
class Code:
    code: str
    outputs: tuple[Json, ...] | None = ()
    container_id: str = CONTAINER
    status: str = "completed"


@dataclass(frozen=True)
class Reasoning:
    pass


@dataclass(frozen=True)
class Other:
    """An item of any other kind, as it stands on the wire."""

    raw: Json


Item = Message | Code | Reasoning | Other


def logs(text: str) -> Json:
    return {"type": "logs", "logs": text}


def image(url: str) -> Json:
    return {"type": "image", "url": url}


def cite(text: str, name: str, file_id: str, container_id: str = CONTAINER) -> Json:
    """The citation of a named file, spanning its `sandbox:` link in `text`."""
    link = f"sandbox:/mnt/data/{name}"
    start = text.index(link)
    return {
        "type": "container_file_citation", "container_id": container_id, "file_id": file_id, "filename": name,
        "start_index": start, "end_index": start + len(link),
    }  # fmt: skip


def cited(*files: tuple[str, str]) -> Message:
    """A message that links to files and cites them; of each the name and the id."""
    text = " ".join(f"[{name}](sandbox:/mnt/data/{name})" for name, _ in files)
    return Message(text, tuple(cite(text, name, file_id) for name, file_id in files))


def cite_figure(file_id: str, container_id: str = CONTAINER) -> Json:
    """The citation of a displayed figure: no name of its own, no span."""
    return {
        "type": "container_file_citation", "container_id": container_id, "file_id": file_id,
        "filename": f"{file_id}.png", "start_index": 0, "end_index": 0,
    }  # fmt: skip


def response(items: list[Item], response_id: str = "resp_1", status: str = "completed", **more: Any) -> Json:
    return {
        "id": response_id, "object": "response", "created_at": 1767225600, "status": status, "error": None,
        "incomplete_details": None, "model": "test-model",
        "output": [_whole(item, number) for number, item in enumerate(items)],
        "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}, **more,
    }  # fmt: skip


def stream(items: list[Item], response_id: str = "resp_1", ending: str = "completed", **more: Any) -> list[Json]:
    """Every event of one response, in the service's order, sequence numbers from 0."""
    started = {**response([], response_id, "in_progress"), "usage": None}
    events: list[Json] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for number, item in enumerate(items):
        events += _item_events(item, number)
    events.append({"type": f"response.{ending}", "response": response(items, response_id, ending, **more)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def sse(events: list[Json], newline: str = "\n") -> bytes:
    blocks = [f"event: {event['type']}{newline}data: {json.dumps(event)}{newline}{newline}" for event in events]
    return "".join(blocks).encode()


def _item_events(item: Item, number: int) -> list[Json]:
    whole = _whole(item, number)
    at = {"output_index": number, "item_id": whole["id"]}
    done = {"type": "response.output_item.done", "output_index": number, "item": whole}
    if isinstance(item, Reasoning | Other):
        return [{"type": "response.output_item.added", "output_index": number, "item": whole}, done]
    if isinstance(item, Code):
        call = "response.code_interpreter_call"
        begun = {**whole, "status": "in_progress", "code": "", "outputs": None if item.outputs is None else []}
        return [
            {"type": "response.output_item.added", "output_index": number, "item": begun},
            {"type": f"{call}.in_progress", **at},
            *({"type": f"{call}_code.delta", **at, "delta": piece} for piece in _pieces(item.code)),
            {"type": f"{call}_code.done", **at, "code": item.code}, {"type": f"{call}.interpreting", **at},
            {"type": f"{call}.completed", **at}, done,
        ]  # fmt: skip
    part = whole["content"][0]
    kind = "refusal" if item.refusal else "output_text"
    key = "refusal" if item.refusal else "text"
    empty = {**part, key: ""} if item.refusal else {**part, key: "", "annotations": []}
    at["content_index"] = 0
    return [
        {"type": "response.output_item.added", "output_index": number, "item": {**whole, "content": []}},
        {"type": "response.content_part.added", **at, "part": empty},
        *({"type": f"response.{kind}.delta", **at, "delta": piece} for piece in _pieces(item.text)),
        *(
            {"type": "response.output_text.annotation.added", **at, "annotation_index": index, "annotation": citation}
            for index, citation in enumerate(item.citations)
        ),
        {"type": f"response.{kind}.done", **at, key: item.text},
        {"type": "response.content_part.done", **at, "part": part},
        done,
    ]


def _whole(item: Item, number: int) -> Json:
    if isinstance(item, Other):
        return {"id": f"item_{number}", **item.raw}
    if isinstance(item, Reasoning):
        return {"id": f"rs_{number}", "type": "reasoning", "summary": []}
    if isinstance(item, Code):
        return {
            "id": f"ci_{number}", "type": "code_interpreter_call", "status": item.status, "code": item.code,
            "container_id": item.container_id, "outputs": None if item.outputs is None else list(item.outputs),
        }  # fmt: skip
    part: Json = (
        {"type": "refusal", "refusal": item.text}
        if item.refusal
        else {"type": "output_text", "text": item.text, "annotations": list(item.citations), "logprobs": []}
    )
    return {"id": f"msg_{number}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _pieces(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]
