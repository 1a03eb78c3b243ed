"""Events in, Turn out.

A Responses stream is folded here into one frozen value that everything else reads: the live display, the search for
files, the final outputs. Two rules. This room does no I/O: it is handed events (dicts, as they came off the wire) and
can be asked for the turn at any moment. And it never fails on what it does not know: an unknown event changes
nothing, an event that comes twice counts once, and a stream that stops early leaves a turn that holds what arrived.

Events and their order: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Citation:
    """A `container_file_citation`: the service's word that a file belongs to the answer.

    `start` and `end` are a span in the text of the content part that carries it. A figure that was displayed rather
    than saved is cited with the span 0, 0 and the file name `<file id>.png`. An item that is no message has no text, so
    that the span of a citation in it says nothing.
    """

    container_id: str
    file_id: str
    filename: str
    start: int
    end: int

    @property
    def anonymous(self) -> bool:
        """Whether this cites a displayed figure, which has no name of its own and no place in the text."""
        return self.start == self.end == 0 and self.filename in {"", f"{self.file_id}.png"}


@dataclass(frozen=True, slots=True)
class UrlCitation:
    """A `url_citation`: a page of the web that a span of the text rests on."""

    url: str
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FileCitation:
    """A `file_citation`: a file of a vector store that the text rests on; `index` is the place in the text to say so.

    Such a file is not the answer's own: it was there before, and the service does not give its bytes out.
    """

    file_id: str
    filename: str
    index: int


Source = UrlCitation | FileCitation


@dataclass(frozen=True, slots=True)
class TextPart:
    """One content part of a message, with the files it hands over and the sources it rests on."""

    text: str
    citations: tuple[Citation, ...] = ()
    refusal: bool = False
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A `message` output item."""

    id: str
    parts: tuple[TextPart, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A figure the code displayed, as a `data:` URI."""

    url: str


@dataclass(frozen=True, slots=True)
class CodeCall:
    """A `code_interpreter_call` output item.

    `outputs` holds the logs (str) and figures in the order they came; None where the service sent none, which is not
    the same as a call that printed nothing.
    """

    id: str
    container_id: str
    code: str
    status: str
    outputs: tuple[str | Image, ...] | None = None

    @property
    def logs(self) -> str:
        """What the code printed, without the figures."""
        return "".join(output for output in self.outputs or () if isinstance(output, str))

    @property
    def figures(self) -> tuple[Image, ...]:
        """The figures the code displayed."""
        return tuple(output for output in self.outputs or () if isinstance(output, Image))


@dataclass(frozen=True, slots=True)
class OtherItem:
    """An output item this package has no view for (reasoning, a tool it does not know), as it came."""

    id: str
    type: str
    raw: Json

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The container files it cites, wherever in it they stand."""
        found = (_annotation(value) for value in _objects(self.raw))
        return tuple(dict.fromkeys(citation for citation in found if isinstance(citation, Citation)))

    @property
    def container_ids(self) -> tuple[str, ...]:
        """The containers it names: a `shell_call` runs in one too."""
        named = (value.get("container_id") for value in _objects(self.raw))
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))


Item = Message | CodeCall | OtherItem


@dataclass(frozen=True, slots=True)
class Failure:
    """What the service said went wrong."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and everything that came back.

    `status` is the service's own word (`in_progress`, `completed`, `incomplete`, `failed`, ...); a turn whose stream
    was cut stays `in_progress`.
    """

    response_id: str = ""
    model: str = ""
    status: str = "in_progress"
    items: tuple[Item, ...] = ()
    usage: Json = field(default_factory=dict)
    failure: Failure | None = None
    incomplete_reason: str = ""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The message items, in order."""
        return tuple(item for item in self.items if isinstance(item, Message))

    @property
    def calls(self) -> tuple[CodeCall, ...]:
        """The code calls, in order."""
        return tuple(item for item in self.items if isinstance(item, CodeCall))

    @property
    def others(self) -> tuple[OtherItem, ...]:
        """The items that are neither messages nor code calls, in order."""
        return tuple(item for item in self.items if isinstance(item, OtherItem))

    @property
    def parts(self) -> tuple[TextPart, ...]:
        """Every content part of every message: a citation may sit in any of them, not only the last."""
        return tuple(part for message in self.messages for part in message.parts)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Every container file that is cited: those of the messages first, then those of other items."""
        of_messages = [citation for part in self.parts for citation in part.citations]
        return (*of_messages, *(citation for item in self.others for citation in item.citations))

    @property
    def text(self) -> str:
        """The answer as the model wrote it, messages separated by a blank line."""
        texts = ("".join(part.text for part in message.parts) for message in self.messages)
        return "\n\n".join(text for text in texts if text)

    @property
    def refused(self) -> bool:
        """Whether the answer is a refusal."""
        return any(part.refusal for part in self.parts)

    @property
    def container_ids(self) -> tuple[str, ...]:
        """The containers this turn ran in, in order of first use."""
        named = [call.container_id for call in self.calls]
        named += [container_id for item in self.others for container_id in item.container_ids]
        named += [citation.container_id for citation in self.citations]
        return tuple(dict.fromkeys(name for name in named if name))


class TurnFold:
    """The one mutable thing in this room: feed it events, ask it for the turn.

    >>> fold = TurnFold()
    >>> fold.feed({"type": "response.output_text.delta", "delta": "Hi"})
    True
    >>> fold.turn.text
    'Hi'
    """

    def __init__(self) -> None:
        self._turn = Turn()
        self._items: dict[int, _OpenItem] = {}
        self._last_sequence = -1

    def feed(self, event: Json) -> bool:
        """Take in one event; says whether anything changed."""
        sequence = event.get("sequence_number")
        if isinstance(sequence, int):
            if sequence <= self._last_sequence:
                return False
            self._last_sequence = sequence
        step = self._STEPS.get(str(event.get("type", "")))
        if step is None:
            return False
        step(self, event)
        return True

    @property
    def turn(self) -> Turn:
        """The turn so far."""
        return replace(self._turn, items=tuple(self._items[index].freeze() for index in sorted(self._items)))

    def _response(self, event: Json) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            return
        head = read_response({**response, "output": []})
        failure = head.failure or self._turn.failure
        self._turn = replace(head, items=(), failure=failure)
        for index, item in enumerate(response.get("output") or []):
            self._item({"output_index": index, "item": item})

    def _item(self, event: Json) -> None:
        item = event.get("item")
        if isinstance(item, dict):
            index = _index(event, "output_index")
            self._items[index] = _OpenItem.of(item, before=self._items.get(index))

    def _part(self, event: Json) -> None:
        part = event.get("part")
        if isinstance(part, dict):
            self._message(event).parts[_index(event, "content_index")] = _OpenPart.of(part)

    def _text_delta(self, event: Json) -> None:
        self._open_part(event).pieces.append(str(event.get("delta", "")))

    def _text_done(self, event: Json) -> None:
        self._open_part(event).pieces[:] = [str(event.get("text", ""))]

    def _refusal_delta(self, event: Json) -> None:
        part = self._open_part(event)
        part.refusal = True
        part.pieces.append(str(event.get("delta", "")))

    def _refusal_done(self, event: Json) -> None:
        part = self._open_part(event)
        part.refusal = True
        part.pieces[:] = [str(event.get("refusal", ""))]

    def _annotation(self, event: Json) -> None:
        annotation = _annotation(event.get("annotation"))
        if annotation is not None:
            self._open_part(event).annotations[_index(event, "annotation_index")] = annotation

    def _code_delta(self, event: Json) -> None:
        self._call(event).pieces.append(str(event.get("delta", "")))

    def _code_done(self, event: Json) -> None:
        self._call(event).pieces[:] = [str(event.get("code", ""))]

    def _code_status(self, event: Json) -> None:
        self._call(event).raw["status"] = str(event["type"]).rpartition(".")[2]

    def _error(self, event: Json) -> None:
        # On the wire the error is nested; the SDK's type describes it flat. Both are read.
        nested = event.get("error")
        body = nested if isinstance(nested, dict) else event
        self._turn = replace(self._turn, failure=_failure(body))

    def _message(self, event: Json) -> _OpenItem:
        return self._open(event, "message")

    def _call(self, event: Json) -> _OpenItem:
        return self._open(event, "code_interpreter_call")

    def _open(self, event: Json, kind: str) -> _OpenItem:
        item = {"id": event.get("item_id", ""), "type": kind}
        return self._items.setdefault(_index(event, "output_index"), _OpenItem(item))

    def _open_part(self, event: Json) -> _OpenPart:
        return self._message(event).parts.setdefault(_index(event, "content_index"), _OpenPart())

    _STEPS: ClassVar[Mapping[str, Callable[[TurnFold, Json], None]]] = {
        "response.created": _response,
        "response.in_progress": _response,
        "response.queued": _response,
        "response.completed": _response,
        "response.incomplete": _response,
        "response.failed": _response,
        "response.cancelled": _response,
        "response.output_item.added": _item,
        "response.output_item.done": _item,
        "response.content_part.added": _part,
        "response.content_part.done": _part,
        "response.output_text.delta": _text_delta,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotation,
        "response.refusal.delta": _refusal_delta,
        "response.refusal.done": _refusal_done,
        "response.code_interpreter_call_code.delta": _code_delta,
        "response.code_interpreter_call_code.done": _code_done,
        "response.code_interpreter_call.in_progress": _code_status,
        "response.code_interpreter_call.interpreting": _code_status,
        "response.code_interpreter_call.completed": _code_status,
        "error": _error,
    }


def read_response(response: Json) -> Turn:
    """The turn of a response that came whole (not streamed, or the last event of a stream)."""
    error = response.get("error")
    failure = _failure(error) if isinstance(error, dict) else None
    details = response.get("incomplete_details")
    return Turn(
        response_id=str(response.get("id") or ""),
        model=str(response.get("model") or ""),
        status=str(response.get("status") or "in_progress"),
        items=tuple(_OpenItem.of(item).freeze() for item in response.get("output") or [] if isinstance(item, dict)),
        usage=dict(response.get("usage") or {}),
        failure=failure,
        incomplete_reason=str(details.get("reason") or "") if isinstance(details, dict) else "",
    )


class _OpenPart:
    """A content part that is still being written; text as pieces, since joining at each delta would be quadratic."""

    __slots__ = ("annotations", "pieces", "refusal")

    def __init__(self, text: str = "", *, refusal: bool = False) -> None:
        self.pieces = [text] if text else []
        self.annotations: dict[int, Citation | Source] = {}
        self.refusal = refusal

    @classmethod
    def of(cls, raw: Json) -> _OpenPart:
        refusal = raw.get("type") == "refusal"
        part = cls(str(raw.get("refusal" if refusal else "text") or ""), refusal=refusal)
        for index, raw_annotation in enumerate(raw.get("annotations") or []):
            annotation = _annotation(raw_annotation)
            if annotation is not None:
                part.annotations[index] = annotation
        return part

    def freeze(self) -> TextPart:
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
        # The same annotation comes up to four times.
        annotations = dict.fromkeys(self.annotations[index] for index in sorted(self.annotations))
        return TextPart(
            text="".join(self.pieces),
            citations=tuple(annotation for annotation in annotations if isinstance(annotation, Citation)),
            refusal=self.refusal,
            sources=tuple(annotation for annotation in annotations if not isinstance(annotation, Citation)),
        )


class _OpenItem:
    """An output item that is still being written."""

    __slots__ = ("parts", "pieces", "raw")

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.pieces: list[str] = []
        self.parts: dict[int, _OpenPart] = {}

    @classmethod
    def of(cls, raw: Json, *, before: _OpenItem | None = None) -> _OpenItem:
        """The item as a whole copy of it says it is; `before` is what the events had built of it."""
        item = cls(dict(raw))
        item.pieces = [str(raw.get("code") or "")]
        for index, part in enumerate(raw.get("content") or []):
            if isinstance(part, dict):
                item.parts[index] = _OpenPart.of(part)
        if before is not None and not item.raw.get("outputs") and before.raw.get("outputs"):
            # The last event of a background response may come without the outputs that an earlier one carried:
            # https://community.openai.com/t/1372536
            item.raw["outputs"] = before.raw["outputs"]
        return item

    def freeze(self) -> Item:
        kind = str(self.raw.get("type") or "")
        item_id = str(self.raw.get("id") or "")
        if kind == "message":
            return Message(item_id, tuple(self.parts[index].freeze() for index in sorted(self.parts)))
        if kind == "code_interpreter_call":
            if len(self.pieces) > 1:
                self.pieces[:] = ["".join(self.pieces)]
            return CodeCall(
                id=item_id,
                container_id=str(self.raw.get("container_id") or ""),
                code="".join(self.pieces).replace("\r\n", "\n"),
                status=str(self.raw.get("status") or "in_progress"),
                outputs=_outputs(self.raw.get("outputs")),
            )
        return OtherItem(item_id, kind, self.raw)


def _failure(raw: Json) -> Failure:
    return Failure(str(raw.get("code") or ""), str(raw.get("message") or ""))


def _outputs(raw: Any) -> tuple[str | Image, ...] | None:
    if not isinstance(raw, list):
        return None
    outputs: list[str | Image] = []
    for output in raw:
        if isinstance(output, dict) and output.get("type") == "logs":
            outputs.append(str(output.get("logs") or ""))
        elif isinstance(output, dict) and output.get("type") == "image":
            outputs.append(Image(str(output.get("url") or "")))
    return tuple(outputs)


def _annotation(raw: Any) -> Citation | Source | None:
    """An annotation as a value; None for one of a kind that says nothing to a reader.

    The kinds: https://platform.openai.com/docs/api-reference/responses/object
    """
    if not isinstance(raw, dict):
        return None
    kind = raw.get("type")
    if kind == "container_file_citation":
        return Citation(
            container_id=str(raw.get("container_id") or ""),
            file_id=str(raw.get("file_id") or ""),
            filename=str(raw.get("filename") or ""),
            start=_index(raw, "start_index"),
            end=_index(raw, "end_index"),
        )
    if kind == "url_citation":
        # Services that speak chat completions nest it: https://openrouter.ai/docs/features/web-search
        body = raw["url_citation"] if isinstance(raw.get("url_citation"), dict) else raw
        return UrlCitation(
            url=str(body.get("url") or ""),
            title=str(body.get("title") or ""),
            start=_index(body, "start_index"),
            end=_index(body, "end_index"),
        )
    if kind == "file_citation":
        return FileCitation(
            file_id=str(raw.get("file_id") or ""),
            filename=str(raw.get("filename") or ""),
            index=_index(raw, "index"),
        )
    return None


def _objects(raw: Any) -> Iterator[Json]:
    """Every JSON object in a value, the value itself first, in reading order."""
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            waiting.extend(reversed(value))


def _index(raw: Json, key: str) -> int:
    value = raw.get(key)
    return value if isinstance(value, int) else 0
