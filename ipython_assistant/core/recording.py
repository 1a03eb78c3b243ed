"""The recording of a turn: what the user wrote, as a key; what came back, as events; what is too bulky for either.

Three pure things. `Written` is what decides which recording answers a question: the user's own words and nothing that
they resolved to. `EventLog` keeps a response's events in few pieces, without losing anything a `TurnFold` sees. And
`take_out` and `put_back` move `data:` URIs between events and files known by their hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.redacted_events import redacted_events, redacted_json
from ipython_assistant.core.tool_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.core.turn import Json

LONGEST_INLINE = 1_000
"""In characters: a `data:` URI that is longer is kept as a file of its own."""
KEPT_HEADERS = frozenset({"content-type", "openai-version", "x-request-id"})
"""The headers that say something about an answer and nothing about who asked."""

_PREFIX = re.compile(r"data:[\w.+/-]{1,100};base64,")
_VERBATIM = "data:verbatim;base64,"
_STAND_IN = re.compile(r"(data:[\w.+/-]{1,100};base64,)sha256=([0-9a-f]{64})")
# Padding, drawn anew for each event: https://platform.openai.com/docs/api-reference/responses-streaming
_PADDING = "obfuscation"
_DIFFERS_IN_A_RUN = frozenset({"delta", "sequence_number", "logprobs", _PADDING})


# --- the key ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """What the user wrote, as far as it decides which recording answers.

    Attributes:
        prompt: The question, with `{}` filled in.
        model: The model, where it was named by hand; None otherwise, and so below.
        instructions: The user's own instructions.
        tools: Tools beside the code interpreter, as they stand in a request.
        effort: How hard the model is to think.
        no_code: Whether code was forbidden.
        outputs: The names given with `-o`.
        inputs: Name and logical hash of every input.
        parent: The digest of the recorded turn it continues from; empty at the start of a conversation.
    """

    prompt: str
    model: str | None = None
    instructions: str | None = None
    tools: tuple[Json, ...] | None = None
    effort: str | None = None
    no_code: bool | None = None
    outputs: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    parent: str = ""

    @property
    def key(self) -> str:
        """The key of the turn. What was not written is not in it, so a part that comes later changes no old key."""
        return _sha256(canonical(self.body()))

    def body(self) -> Json:
        """The parts that were written, as JSON, without the secrets in tools: another token is the same question."""
        parts: Json = {
            "prompt": self.prompt.replace("\r\n", "\n").strip(),
            "model": self.model,
            "instructions": self.instructions,
            "tools": sorted(without_secrets(self.tools), key=canonical) if self.tools else None,
            "effort": self.effort,
            "no_code": self.no_code,
            "outputs": sorted(set(self.outputs)),
            "inputs": [{"name": name, "logical": logical} for name, logical in sorted(self.inputs)],
            "parent": self.parent,
        }
        return {name: part for name, part in parts.items() if part or name == "prompt"}

    def redacted(self, redact: Redactor) -> Written:
        """The same, to be kept: it is found by the key that it had before."""
        return replace(
            self,
            prompt=redact(self.prompt),
            instructions=redact(self.instructions) if self.instructions is not None else None,
            tools=tuple(redacted_json(without_secrets(self.tools), redact)) if self.tools else self.tools,
        )

    @classmethod
    def of(cls, body: Json) -> Written:
        """What `body` gave, read again. Raises `ValueError` where it is not that."""
        inputs = body.get("inputs", [])
        tools, outputs = body.get("tools"), body.get("outputs", [])
        texts = [body.get(name) for name in ("model", "instructions", "effort")]
        whole = (
            isinstance(body.get("prompt"), str)
            and isinstance(body.get("parent", ""), str)
            and all(text is None or isinstance(text, str) for text in texts)
            and isinstance(outputs, list)
            and all(isinstance(name, str) for name in outputs)
            and (tools is None or isinstance(tools, list))
            and isinstance(inputs, list)
            and all(isinstance(item, dict) and {"name", "logical"} <= set(item) for item in inputs)
        )
        if not whole:
            raise ValueError("'written' is not what a user writes")
        return cls(
            prompt=body["prompt"],
            model=texts[0],
            instructions=texts[1],
            tools=tuple(tools) if tools else None,
            effort=texts[2],
            no_code=True if body.get("no_code") is True else None,
            outputs=tuple(outputs),
            inputs=tuple((str(item["name"]), str(item["logical"])) for item in inputs),
            parent=body.get("parent", ""),
        )


def turn_digest(key: str, text: str, code: Iterable[str], hashes: Iterable[str]) -> str:
    """What the turns below continue from: the question, and all of its answer.

    Args:
        key: The turn's key.
        text: The answer as the model wrote it.
        code: Every code call, in order.
        hashes: The SHA-256 of every file.
    """
    return _sha256(canonical([key, text, list(code), sorted(hashes)]))


def differences(asked: Written, recorded: Written, name_of: Callable[[str], str] = lambda digest: digest) -> list[str]:
    """What was asked otherwise than recorded, in words that follow "differs in:".

    Args:
        asked: What is asked now.
        recorded: What was asked then.
        name_of: The name of a turn by its digest, such as the first words of its question.
    """
    words = []
    one, other = asked.body(), recorded.body()
    if one["prompt"] != other["prompt"]:
        words.append(f"the question (recorded: “{first_words(recorded.prompt)}”)")
    words += [
        f"{name} ({_told(one.get(part))}; recorded: {_told(other.get(part))})"
        for part, name in _PARTS.items()
        if one.get(part) != other.get(part)
    ]
    words += _input_differences(dict(asked.inputs), dict(recorded.inputs))
    if asked.parent != recorded.parent:
        now = f"it follows “{name_of(asked.parent)}”" if asked.parent else "it follows nothing"
        then = f"“{name_of(recorded.parent)}”" if recorded.parent else "nothing"
        words.append(f"the answer before it ({now}; recorded after {then})")
    return words


_PARTS = {
    "model": "the model",
    "instructions": "the instructions",
    "effort": "the effort",
    "tools": "the tools",
    "no_code": "--no-code",
    "outputs": "the tables asked for with -o",
}


def first_words(prompt: str, longest: int = 50) -> str:
    """The beginning of a question, on one line."""
    text = " ".join(prompt.split())
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _told(part: Any) -> str:
    if not part:
        return "not set"
    if isinstance(part, bool):
        return "yes"
    items = part if isinstance(part, list) else [part]
    return first_words(", ".join(item if isinstance(item, str) else canonical(item) for item in items))


def _input_differences(asked: Mapping[str, str], recorded: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(asked.keys() | recorded.keys()):
        if name not in recorded:
            yield f"the input {name} (not in the recording)"
        elif name not in asked:
            yield f"the input {name} (only in the recording)"
        elif asked[name] != recorded[name]:
            yield f"what the input {name} holds"


# --- what came back ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question as it went over the wire, without the bodies of uploads, and the answer.

    Attributes:
        events: The response's events, as an `EventLog` keeps them.
        request: The body of `POST /responses`.
        status: The answer's HTTP status.
        headers: Those of `KEPT_HEADERS`.
    """

    events: tuple[Json, ...]
    request: Json = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def redacted(self, redact: Redactor) -> Exchange:
        """With `redact` applied to every text, but not to ids, types and what stands in for a file.

        Citations point at the same words afterwards.
        """
        return Exchange(
            redacted_events(self.events, redact, _STAND_IN.fullmatch),
            redacted_json(self.request, redact, _STAND_IN.fullmatch),
            self.status,
            {name: redact(value) for name, value in self.headers.items()},
        )


class EventLog:
    """The events of one response in few pieces: a run of deltas of one text becomes one.

    A `TurnFold` makes the same turn of them. An event that comes twice is kept once, as the fold counts it.

    >>> log = EventLog()
    >>> for number, piece in enumerate("Hi!"):
    ...     log.add({"type": "response.output_text.delta", "delta": piece, "sequence_number": number})
    >>> log.events
    ({'type': 'response.output_text.delta', 'delta': 'Hi!', 'sequence_number': 2},)
    """

    def __init__(self) -> None:
        self._events: list[Json] = []
        self._last_sequence = -1
        self._run: Json = {}
        self._pieces: list[str] = []

    def add(self, event: Json) -> None:
        """Take in the next event."""
        sequence = event.get("sequence_number")
        if isinstance(sequence, int):
            if sequence <= self._last_sequence:
                return
            self._last_sequence = sequence
        if not _may_be_joined(event):
            self._end_run()
            self._events.append(event)
            return
        run = {name: value for name, value in event.items() if name not in _DIFFERS_IN_A_RUN}
        # Of numbered events only those that are numbered may be joined: the fold passes over none of them.
        run["sequence_number"] = "sequence_number" in event
        if run != self._run:
            self._end_run()
            self._run = run
            self._events.append({name: value for name, value in event.items() if name != _PADDING})
        elif sequence is not None:
            self._events[-1]["sequence_number"] = sequence
        self._pieces.append(event["delta"])

    @property
    def events(self) -> tuple[Json, ...]:
        """The events so far."""
        self._end_run()
        return tuple(self._events)

    def _end_run(self) -> None:
        if self._pieces:
            self._events[-1]["delta"] = "".join(self._pieces)
        self._run, self._pieces = {}, []


def _may_be_joined(event: Json) -> bool:
    kind, sequence = event.get("type"), event.get("sequence_number")
    return (
        isinstance(kind, str)
        and kind.endswith(".delta")
        and isinstance(event.get("delta"), str)
        and not event.get("logprobs")
        and (isinstance(sequence, int) or "sequence_number" not in event)
    )


# --- what is too bulky ------------------------------------------------------------------------------------------------


def take_out(value: Any, bodies: dict[str, bytes]) -> Any:
    """The JSON value with its long `data:` URIs in `bodies`, by hash, and a short stand-in in the place of each.

    A text that looks like a stand-in and is none is taken out too, so that `put_back` gives exactly what was.
    """
    if isinstance(value, dict):
        return {name: take_out(part, bodies) for name, part in value.items()}
    if isinstance(value, list):
        return [take_out(part, bodies) for part in value]
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    prefix = _PREFIX.match(value)
    content = None
    if prefix is not None and len(value) > LONGEST_INLINE and prefix[0] != _VERBATIM:
        content = _decoded(value[prefix.end() :])
    if content is not None and prefix is not None:
        return _stand_in(prefix[0], content, bodies)
    if value.startswith(_VERBATIM) or _STAND_IN.fullmatch(value):
        return _stand_in(_VERBATIM, value.encode("utf-8", "surrogatepass"), bodies)
    return value


def put_back(value: Any, read: Callable[[str], bytes]) -> Any:
    """What `take_out` was given; `read` gives a body by its hash."""
    if isinstance(value, dict):
        return {name: put_back(part, read) for name, part in value.items()}
    if isinstance(value, list):
        return [put_back(part, read) for part in value]
    match = _STAND_IN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    content = read(match[2])
    if match[1] == _VERBATIM:
        return content.decode("utf-8", "surrogatepass")
    return match[1] + base64.b64encode(content).decode()


def taken_out(value: Any) -> frozenset[str]:
    """The hashes of the bodies that are missing in a JSON value."""
    if isinstance(value, dict):
        return frozenset().union(*map(taken_out, value.values()))
    if isinstance(value, list | tuple):
        return frozenset().union(*map(taken_out, value))
    match = _STAND_IN.fullmatch(value) if isinstance(value, str) else None
    return frozenset() if match is None else frozenset({match[2]})


def _stand_in(prefix: str, content: bytes, bodies: dict[str, bytes]) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    bodies[sha256] = content
    return f"{prefix}sha256={sha256}"


def _decoded(text: str) -> bytes | None:
    """The bytes of a base64 text, if they give that very text again."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if base64.b64encode(content).decode() == text else None


# --- both -------------------------------------------------------------------------------------------------------------


def canonical(value: Any) -> str:
    """A JSON value as one text, whatever the order and the form it was written in."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def integrity(body: Json) -> str:
    """The digest of everything a record says, but for the digest itself."""
    return _sha256(canonical({name: part for name, part in body.items() if name != "integrity"}))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
