"""The events of a response without what must not be kept, and still saying the same.

A text comes in pieces, and comes again whole: what is taken out may begin in one piece and end in the next. And
citations point into it: where a stand-in is shorter or longer than what it stands for, the spans behind it move.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.redaction import moved
from ipython_assistant.core.tool_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ipython_assistant.core.links import Edit
    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.core.turn import Json

# What the rest of the package goes by: no text of a person, a model or a program stands there.
_STRUCTURE = frozenset(
    {"type", "id", "object", "status", "role", "item_id", "call_id", "response_id", "previous_response_id"}
    | {"container_id", "file_id", "found"}
)
_PLACES = ("output_index", "content_index", "summary_index")
_STARTS, _END = ("start_index", "index"), "end_index"


def redacted_events(
    events: Sequence[Json], redact: Redactor, stays: Callable[[str], object] = lambda _text: False
) -> tuple[Json, ...]:
    """The events with `redact` applied to every text, but not to ids, types and what `stays`.

    Args:
        events: The events of one response.
        redact: Takes out what must not be kept.
        stays: Whether a text is none, but stands for a file.
    """
    pieces = _redacted_pieces(events, redact)
    texts = _texts(events)
    redacted = []
    for number, event in enumerate(events):
        changed: Json = redacted_json(event, redact, stays)
        if number in pieces:
            changed = {**changed, "delta": pieces[number]}
            if "logprobs" in changed:
                changed["logprobs"] = []
        annotation = changed.get("annotation")
        if isinstance(annotation, dict):
            edits = redact.edits(texts.get(_part_of(event), ""))
            changed = {**changed, "annotation": _moved(annotation, edits)}
        redacted.append(changed)
    return tuple(redacted)


def redacted_json(value: Any, redact: Redactor, stays: Callable[[str], object] = lambda _text: False) -> Any:
    """The same for any JSON value; `tools` lose the secrets in them whatever `redact` knows."""
    if isinstance(value, dict):
        parts = {name: _redacted(name, part, redact, stays) for name, part in value.items()}
        text = value.get("text")
        edits = redact.edits(text) if isinstance(text, str) and not stays(text) else ()
        if edits and isinstance(parts.get("annotations"), list):
            parts["annotations"] = [_moved(item, edits) for item in parts["annotations"]]
        if edits and "logprobs" in parts:
            # It is told token by token, so that nothing would be found in it.
            parts["logprobs"] = []
        return parts
    if isinstance(value, list | tuple):
        return [redacted_json(part, redact, stays) for part in value]
    return redact(value) if isinstance(value, str) and not stays(value) else value


def _redacted(name: str, part: Any, redact: Redactor, stays: Callable[[str], object]) -> Any:
    if name in _STRUCTURE and isinstance(part, str):
        return part
    return redacted_json(without_secrets(part) if name == "tools" else part, redact, stays)


# --- texts that come in pieces ----------------------------------------------------------------------------------------


def _redacted_pieces(events: Sequence[Json], redact: Redactor) -> dict[int, str]:
    """The pieces of the texts in which something is taken out, by the number of their event."""
    runs: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, event in enumerate(events):
        if _is_piece(event):
            runs[event["type"], *(str(event.get(name, "")) for name in _PLACES)].append(number)
    pieces: dict[int, str] = {}
    for numbers in runs.values():
        texts = [str(events[number]["delta"]) for number in numbers]
        edits = redact.edits("".join(texts))
        if edits:
            pieces |= zip(numbers, _shared_out(texts, edits), strict=True)
    return pieces


def _is_piece(event: Json) -> bool:
    kind = event.get("type")
    return isinstance(kind, str) and kind.endswith(".delta") and isinstance(event.get("delta"), str)


def _shared_out(pieces: Iterable[str], edits: Sequence[Edit]) -> Iterator[str]:
    """The pieces after edits of their whole: a stand-in is in the piece in which what it stands for began."""
    begins = 0
    for piece in pieces:
        ends, at, written = begins + len(piece), begins, []
        for edit in edits:
            if edit.start >= ends or edit.end <= begins:
                continue
            if edit.start >= begins:
                written += [piece[at - begins : edit.start - begins], edit.written]
            at = min(edit.end, ends)
        yield "".join([*written, piece[at - begins :]])
        begins = ends


# --- citations --------------------------------------------------------------------------------------------------------


def _texts(events: Iterable[Json]) -> dict[tuple[int, int], str]:
    """The text of each part of each message, as the last event that tells it does."""
    texts: dict[tuple[int, int], str] = {}
    pieces: dict[tuple[int, int], list[str]] = defaultdict(list)
    for event in events:
        response, item, place = event.get("response"), event.get("item"), _part_of(event)
        if event.get("type") == "response.output_text.delta":
            pieces[place].append(str(event.get("delta", "")))
        elif event.get("type") == "response.output_text.done":
            texts[place] = str(event.get("text", ""))
        elif isinstance(event.get("part"), dict):
            texts |= _told([event["part"]], *place)
        elif isinstance(item, dict):
            texts |= _told(item.get("content"), place[0])
        elif isinstance(response, dict) and isinstance(response.get("output"), list):
            for index, whole in enumerate(response["output"]):
                texts |= _told(whole.get("content") if isinstance(whole, dict) else None, index)
    return {place: "".join(of_one) for place, of_one in pieces.items()} | texts


def _told(parts: Any, output_index: int, content_index: int = 0) -> dict[tuple[int, int], str]:
    """The texts of these parts; one that is empty has only begun."""
    return {
        (output_index, content_index + number): part["text"]
        for number, part in enumerate(parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]
    }


def _part_of(event: Json) -> tuple[int, int]:
    indices = (event.get("output_index"), event.get("content_index"))
    output_index, content_index = (index if type(index) is int else 0 for index in indices)
    return output_index, content_index


def _moved(annotation: Any, edits: Sequence[Edit]) -> Any:
    """The annotation, pointing at the same words; services that speak chat completions nest it, under its own type."""
    if not isinstance(annotation, dict) or not edits:
        return annotation
    changed = dict(annotation)
    for name in _STARTS:
        if type(changed.get(name)) is int:
            changed[name] = moved(changed[name], edits)
    if type(changed.get(_END)) is int:
        changed[_END] = moved(changed[_END], edits, end=True)
    kind = changed.get("type")
    if isinstance(kind, str) and isinstance(changed.get(kind), dict):
        changed[kind] = _moved(changed[kind], edits)
    return changed
