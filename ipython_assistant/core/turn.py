"""A turn: one request and everything that came back, as frozen values that `core.fold` builds and every room reads.

A field of the wrong type counts as missing: https://platform.openai.com/docs/api-reference/responses/object.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
_LARGEST = 2**63
_DEEPEST = 50
_LONGEST_PICTURE = 200  # in characters: a base64 text that is longer is replaced by its digest
_BASE64 = frozenset({"result", "image_url", "partial_image_b64", "file_data"})
"""The fields of output items that hold pictures or files as text."""
_WAITING = frozenset({"mcp_approval_request", "function_call", "custom_tool_call", "computer_call", "local_shell_call"})


@dataclass(frozen=True, slots=True)
class Citation:
    """A `container_file_citation`: the service's word that a file belongs to the answer, with its span in the text.

    A figure that was displayed rather than saved is cited with the span 0, 0 and the file name `<file id>.png`.
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
class Source:
    """What a span of the text rests on: a page of the web, or a file of a vector store, which has an id instead."""

    url: str
    title: str
    start: int
    end: int
    file_id: str = ""


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
    """A `code_interpreter_call` output item; as a step of a turn also a `shell_call` of a hosted container.

    `outputs` holds the logs (str) and figures in order; None where the service sent none, rather than nothing printed.
    """

    id: str
    container_id: str
    code: str
    status: str
    outputs: tuple[str | Image, ...] | None = None
    language: str = "python"

    @property
    def logs(self) -> str:
        """What the code printed, without the figures."""
        return "".join(output for output in self.outputs or () if isinstance(output, str))

    @property
    def raised(self) -> bool:
        """Whether it ended in an error. A hosted service calls such a call completed; then its logs, if any, tell."""
        return self.status == "failed" or "Traceback (most recent call last)" in self.logs

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
    def container_ids(self) -> tuple[str, ...]:
        """The containers it names, wherever in it they stand: a `shell_call` runs in one too."""
        return tuple(dict.fromkeys(filter(None, map(container_id_of, _objects(self.raw)))))


Item = Message | CodeCall | OtherItem


@dataclass(frozen=True, slots=True)
class Failure:
    """What the service said went wrong."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and what came back; `status` is the service's own word, `in_progress` where the stream was cut."""

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
    def steps(self) -> tuple[CodeCall, ...]:
        """The code calls, and the commands of a hosted shell (https://platform.openai.com/docs/guides/tools-shell)."""
        printed = {text_of(it.raw.get("call_id")): it.raw for it in self.others if it.type == "shell_call_output"}
        return tuple(
            item if isinstance(item, CodeCall) else _shell_step(item, printed.get(text_of(item.raw.get("call_id")), {}))
            for item in self.items
            if isinstance(item, CodeCall) or (isinstance(item, OtherItem) and item.type == "shell_call")
        )

    @property
    def unanswered(self) -> OtherItem | None:
        """What the service waits for and a cell cannot give: an approval, or the result of the user's function."""
        return next((item for item in self.others if item.type in _WAITING), None)

    @property
    def parts(self) -> tuple[TextPart, ...]:
        """Every content part of every message: a citation may sit in any of them, not only the last."""
        return tuple(part for message in self.messages for part in message.parts)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Every container file that is cited, in whichever message."""
        return tuple(citation for part in self.parts for citation in part.citations)

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
    def failed(self) -> bool:
        """Whether nothing can continue from it: the service gave it up, or waits for what a cell cannot give."""
        return self.failure is not None or self.status in {"failed", "cancelled"} or self.unanswered is not None

    @property
    def container_ids(self) -> tuple[str, ...]:
        """The containers this turn ran in, each once: those of code calls first."""
        named = [call.container_id for call in self.calls]
        named += [container_id for item in self.others for container_id in item.container_ids]
        named += [citation.container_id for citation in self.citations]
        return tuple(dict.fromkeys(filter(None, named)))


def _shell_step(call: OtherItem, printed: Json) -> CodeCall:
    action = call.raw.get("action")
    commands = action.get("commands") if isinstance(action, dict) else None
    return CodeCall(
        id=call.id,
        container_id=next(iter(call.container_ids), ""),
        code="\n".join(map(text_of, commands)) if isinstance(commands, list) else "",
        status=text_of(call.raw.get("status")),
        outputs=tuple(text_of(o.get("stdout")) + text_of(o.get("stderr")) for o in objects_in(printed.get("output"))),
        language="bash",
    )


def annotation_of(raw: Any) -> Citation | Source | None:
    """An annotation as a value; None for one of a kind that says nothing to a reader."""
    if not isinstance(raw, dict):
        return None
    kind = raw.get("type")
    # Services that speak chat completions nest it: https://openrouter.ai/docs/features/web-search
    body = raw["url_citation"] if kind == "url_citation" and isinstance(raw.get("url_citation"), dict) else raw
    start, end, index = (number_of(body.get(name)) or 0 for name in ("start_index", "end_index", "index"))
    if kind == "container_file_citation":
        return Citation(container_id_of(raw), text_of(raw.get("file_id")), text_of(raw.get("filename")), start, end)
    if kind == "url_citation":
        return Source(text_of(body.get("url")), text_of(body.get("title")), start, end)
    if kind == "file_citation":
        return Source("", text_of(raw.get("filename")), index, index, text_of(raw.get("file_id")))
    return None


def objects_in(rows: Any) -> list[Json]:
    """The JSON objects of a list; nothing of what is no list."""
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _objects(raw: Any) -> Iterator[Json]:
    """Every JSON object in a value, the value itself first, in reading order; `bounded` has made it shallow."""
    if isinstance(raw, dict):
        yield raw
    for value in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ():
        yield from _objects(value)


def container_id_of(raw: Json) -> str:
    """The container that an object names; empty for none, and for vLLM's own, of which nothing can be asked."""
    named = text_of(raw.get("container_id"))
    return "" if named == "auto" else named


def text_of(raw: Any) -> str:
    """A string that every encoding can write; empty for what is not text. An id or a code may come as a number."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if number_of(raw) is not None else ""
    # Halves of a character that were sent apart find each other; a half alone becomes U+FFFD.
    return raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(raw, str) else ""


def number_of(raw: Any) -> int | None:
    """A number that can be a place, a size or a count; None for anything else."""
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < _LARGEST else None


def bounded(raw: Any, depth: int = 0) -> Any:
    """A copy of a JSON value with strings that can be written, and without values that are nested too deeply."""
    if isinstance(raw, str):
        return text_of(raw)
    if isinstance(raw, dict | list) and depth == _DEEPEST:
        return None
    if isinstance(raw, dict):
        return {text_of(key): bounded(value, depth + 1) for key, value in raw.items()}
    return [bounded(value, depth + 1) for value in raw] if isinstance(raw, list) else raw


def without_pictures(turn: Turn) -> Turn:
    """The turn with each picture replaced by `sha256:` and the digest of its text."""

    def lighter(item: Item) -> Item:
        if isinstance(item, CodeCall) and item.outputs:
            outputs = (Image(_lighter(it.url, "")) if isinstance(it, Image) else it for it in item.outputs)
            return replace(item, outputs=tuple(outputs))
        return replace(item, raw=_lighter(item.raw, "")) if isinstance(item, OtherItem) else item

    return replace(turn, items=tuple(map(lighter, turn.items)))


def without_code_outputs(turn: Turn) -> Turn:
    """The turn for a kernel to keep: without what its code printed and showed, and of other items their containers."""

    def lighter(item: Item) -> Item:
        if isinstance(item, CodeCall):
            return replace(item, outputs=None, status="failed" if item.raised else item.status)
        if isinstance(item, OtherItem):
            named = [{"container_id": container_id} for container_id in item.container_ids]
            return replace(item, raw={"type": item.type, "containers": named})
        return item

    return replace(turn, items=tuple(map(lighter, turn.items)))


def _lighter(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _lighter(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_lighter(part, name) for part in value]
    is_picture = isinstance(value, str) and (name in _BASE64 or value.startswith("data:"))
    if not is_picture or len(value) <= _LONGEST_PICTURE:
        return value
    return f"sha256:{hashlib.sha256(value.encode(errors='replace')).hexdigest()}"
