"""Events in, turn out.

Two rules. This room does no I/O: it is handed events (dicts, as they came off the wire) and can be asked for the turn
at any moment. And it takes anything that parses as JSON: an unknown event changes nothing, an event that comes twice
counts once, and a stream that stops early leaves a turn that holds what arrived.

Events and their order: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

from ipython_assistant.core.turn import (
    Citation,
    CodeCall,
    Failure,
    Image,
    Message,
    OtherItem,
    TextPart,
    Turn,
    annotation_of,
    bounded,
    container_id_of,
    number_of,
    objects_in,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.core.turn import Item, Json, Source


class TurnFold:
    """Builds a turn from events: `feed` it each one, ask it for the `turn` at any moment.

    Servers that are nearly right leave out indices and ids, number every event 0, repeat events, or send an empty copy
    at the end. So an item is found by its id, else by its place, else by its kind, and a whole copy of something never
    takes away what earlier events said of it.
    """

    def __init__(self) -> None:
        self._turn = Turn()
        self._items: list[_OpenItem] = []
        self._before: Json = {}

    def feed(self, event: Json) -> bool:
        """Take in one event; says whether it was one that can change the turn."""
        kind = event.get("type")
        step = self._READERS.get(kind) if isinstance(kind, str) else None
        if step is None or ("sequence_number" in event and event == self._before):
            return False
        self._before = event
        step(self, event)
        return True

    @property
    def turn(self) -> Turn:
        """The turn so far."""
        items = sorted(self._items, key=lambda item: item.index)
        return replace(self._turn, items=tuple(item.freeze() for item in items))

    def container_of(self, event: Json) -> str:
        """The container of the code call that an event speaks of; empty where no event has named it."""
        call = self._find("code_interpreter_call", event)
        return container_id_of(call.raw) if call is not None else ""

    def _response(self, event: Json) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            return
        head, before = _without_items(response), self._turn
        self._turn = replace(
            head,
            response_id=head.response_id or before.response_id,
            model=head.model or before.model,
            failure=head.failure or before.failure,
        )
        unmatched = list(self._items)
        for index, raw in enumerate(objects_in(response.get("output"))):
            # The item of which this is a whole copy: ids may be others in the end, and places may have been missing.
            item_id, alike = text_of(raw.get("id")), [it for it in unmatched if it.kind == text_of(raw.get("type"))]
            of_this_id = [it for it in alike if item_id and it.id == item_id]
            item = next(iter([*of_this_id, *(it for it in alike if it.index == index), *alike]), None)
            if item is None:
                self._items.append(item := _OpenItem(raw, index))
            else:
                unmatched.remove(item)
                item.take(raw)
            item.index = index

    def _item(self, event: Json) -> None:
        raw = event.get("item")
        if isinstance(raw, dict):
            done = event["type"] == "response.output_item.done"
            about = {"item_id": raw.get("id"), "output_index": event.get("output_index")}
            item = self._find(text_of(raw.get("type")), about, begins=not done) or self._begun(raw, event)
            item.take(raw)
            item.done = item.done or done

    def _part(self, event: Json) -> None:
        self._open_part(event).take(event.get("part"))

    def _text(self, event: Json) -> None:
        part, is_refusal = self._open_part(event), event["type"].startswith("response.refusal")
        part.refusal = part.refusal or is_refusal
        _write(part.text, event.get("delta"), event.get("refusal" if is_refusal else "text"))

    def _annotation(self, event: Json) -> None:
        self._open_part(event).annotate(event.get("annotation"), event.get("annotation_index"))

    def _code(self, event: Json) -> None:
        _write(self._open("code_interpreter_call", event).code, event.get("delta"), event.get("code"))

    def _code_status(self, event: Json) -> None:
        self._open("code_interpreter_call", event).raw["status"] = event["type"].rpartition(".")[2]

    def _error(self, event: Json) -> None:
        # On the wire the error is nested; the SDK's type describes it flat. Both are read.
        self._turn = replace(self._turn, failure=_failure(event.get("error") or event))

    def _open_part(self, event: Json) -> _OpenPart:
        return self._open("message", event).part(number_of(event.get("content_index")) or 0)

    def _open(self, kind: str, event: Json) -> _OpenItem:
        return self._find(kind, event) or self._begun({"id": event.get("item_id"), "type": kind}, event)

    def _begun(self, raw: Json, event: Json) -> _OpenItem:
        index = number_of(event.get("output_index"))
        if index is None:
            index = 1 + max((item.index for item in self._items), default=-1)
        self._items.append(item := _OpenItem(raw, index))
        return item

    def _find(self, kind: str, event: Json, *, begins: bool = False) -> _OpenItem | None:
        """The item of this kind that an event speaks of; the event that `begins` an item speaks of no finished one."""
        item_id, index = text_of(event.get("item_id")), number_of(event.get("output_index"))
        latest_first = [item for item in reversed(self._items) if item.kind == kind]
        of_this_id = [item for item in latest_first if item_id and item.id == item_id]
        others = [] if begins and index is None else [item for item in latest_first if not (begins and item.done)]
        # Without a place it is the latest one, unless both have ids, which differ.
        here = [it for it in others if it.index == index or (index is None and not (item_id and it.id))]
        return next(iter([*of_this_id, *here]), None)

    _READERS: ClassVar[Mapping[str, Callable[[TurnFold, Json], None]]] = {
        f"response.{name}": reader
        for names, reader in (
            ("created in_progress queued completed incomplete failed cancelled", _response),
            ("output_item.added output_item.done", _item),
            ("content_part.added content_part.done", _part),
            ("output_text.delta output_text.done refusal.delta refusal.done", _text),
            ("output_text.annotation.added", _annotation),
            ("code_interpreter_call_code.delta code_interpreter_call_code.done", _code),
            ("code_interpreter_call.in_progress code_interpreter_call.interpreting", _code_status),
            ("code_interpreter_call.completed", _code_status),
        )
        for name in names.split()
    } | {"error": _error}


def read_response(response: Json) -> Turn:
    """The turn of a response that came whole: one that was not streamed, or the last event of a stream."""
    items = [_OpenItem(raw, index) for index, raw in enumerate(objects_in(response.get("output")))]
    return replace(_without_items(response), items=tuple(item.freeze() for item in items))


def _write(text: StringIO, delta: Any = None, whole: Any = None) -> None:
    """Append `delta` if it is text; put `whole` in place of the text if it is text and not shorter than what came."""
    if isinstance(delta, str):
        text.write(delta)
    if isinstance(whole, str) and len(whole) >= text.tell():
        text.seek(0)
        text.write(whole)


class _OpenPart:
    """A content part that is still being written."""

    __slots__ = ("_annotations", "refusal", "text")

    def __init__(self) -> None:
        self.text = StringIO()
        self.refusal = False
        self._annotations: dict[int, Citation | Source] = {}

    def take(self, raw: Any) -> None:
        """Take in a whole copy of the part; some servers send the bare text."""
        raw = raw if isinstance(raw, dict) else {"text": raw}
        self.refusal = self.refusal or raw.get("type") == "refusal"
        _write(self.text, whole=raw.get("refusal" if raw.get("type") == "refusal" else "text"))
        annotations = raw.get("annotations")
        for index, annotation in enumerate(annotations if isinstance(annotations, list) else []):
            self.annotate(annotation, index)

    def annotate(self, raw: Any, index: Any) -> None:
        annotation, place = annotation_of(raw), number_of(index)
        if annotation is not None:
            self._annotations[len(self._annotations) if place is None else place] = annotation

    def freeze(self) -> TextPart:
        # The same annotation comes up to four times.
        annotations = dict.fromkeys(self._annotations[index] for index in sorted(self._annotations))
        return TextPart(
            text=text_of(self.text.getvalue()),
            citations=tuple(annotation for annotation in annotations if isinstance(annotation, Citation)),
            refusal=self.refusal,
            sources=tuple(annotation for annotation in annotations if not isinstance(annotation, Citation)),
        )


class _OpenItem:
    """An output item that is still being written."""

    __slots__ = ("_parts", "code", "done", "id", "index", "kind", "raw")

    def __init__(self, raw: Json, index: int) -> None:
        self.raw: Json = {}
        self.index = index
        self.done = False
        self.code = StringIO()
        self._parts: dict[int, _OpenPart] = {}
        self.take(raw)

    def part(self, index: int) -> _OpenPart:
        return self._parts.setdefault(index, _OpenPart())

    def take(self, raw: Json) -> None:
        """Take in a whole copy of the item: what it leaves empty (https://community.openai.com/t/1372536) stays."""
        said = {key: value for key, value in raw.items() if value or not self.raw.get(key)}
        self.raw.update(said if raw.get("type") in ("message", "code_interpreter_call") else bounded(said))
        self.kind, self.id = text_of(self.raw.get("type")), text_of(self.raw.get("id"))
        _write(self.code, whole=raw.get("code"))
        content = raw.get("content")
        for index, part in enumerate(content if isinstance(content, list) else [content] if content else []):
            self.part(index).take(part)

    def freeze(self) -> Item:
        if self.kind == "message":
            return Message(self.id, tuple(self._parts[index].freeze() for index in sorted(self._parts)))
        if self.kind == "code_interpreter_call":
            return CodeCall(
                id=self.id,
                container_id=container_id_of(self.raw),
                code=text_of(self.code.getvalue()).replace("\r\n", "\n"),
                status=text_of(self.raw.get("status")) or "in_progress",
                outputs=_outputs(self.raw.get("outputs")),
            )
        return OtherItem(self.id, self.kind, self.raw)


def _without_items(response: Json) -> Turn:
    error, details, usage = response.get("error"), response.get("incomplete_details"), response.get("usage")
    return Turn(
        response_id=text_of(response.get("id")),
        model=text_of(response.get("model")),
        status=text_of(response.get("status")) or "in_progress",
        usage=dict(usage) if isinstance(usage, dict) else {},
        failure=_failure(error) if error else None,
        incomplete_reason=text_of(details.get("reason")) if isinstance(details, dict) else "",
    )


def _failure(raw: Any) -> Failure:
    raw = raw if isinstance(raw, dict) else {"message": raw}
    return Failure(text_of(raw.get("code")), text_of(raw.get("message")) or text_of(raw.get("detail")))


def _outputs(raw: Any) -> tuple[str | Image, ...] | None:
    shown = [output for output in objects_in(raw) if output.get("type") in ("logs", "image")]
    read = (text_of(it.get("logs")) if it["type"] == "logs" else Image(text_of(it.get("url"))) for it in shown)
    return tuple(read) if isinstance(raw, list) else None
