"""Steps in, events out: the output of one response while it is being made.

No I/O and no clock. Whoever drives it tells it what is said and what code did, and passes on the events it returns.
The order of events is the hosted service's: https://developers.openai.com/api/docs/api-reference/responses-streaming
.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine import wire
from ipython_assistant.engine.folder import MOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ipython_assistant.engine.containers import CodeRun
    from ipython_assistant.engine.models import TokensUsed
    from ipython_assistant.engine.wire import Event, Json

LINK: Final = f"sandbox:{MOUNT}/"
MAX_PUNCTUATION: Final = 8
"""How many punctuation marks after a link are taken for the sentence's."""

_WORD: Final = re.compile(r"\s*\S+|\s+")
_URL_END: Final = re.compile(r"[\s)\]>\"'`<]|$")
_NAME_GOES_ON: Final = re.compile(r"[\w%/~-]|\.\w")


class Output:
    """One response's output.

    Args:
        response: The response as it begins; a copy is kept up to date in `response`.
        include_outputs: Whether code calls carry what the code printed and showed.
        mint: Makes ids.
    """

    def __init__(self, response: Json, *, include_outputs: bool, mint: Callable[[str], str]) -> None:
        self.response = response | {"output": []}
        self._include_outputs = include_outputs
        self._mint = mint
        self._message: Json | None = None
        self._pieces: list[str] = []
        self._figures: tuple[str, ...] = ()
        self._container_id = ""
        self._code: str | None = None
        self.cut_short: str | None = None
        """Why the answer is not whole, if it is not."""
        self._usage = wire.no_usage()

    @property
    def text(self) -> str:
        """Everything said so far, refusals too."""
        parts = [
            item["content"][0] for item in self.response["output"] if item["type"] == "message" and item["content"]
        ]
        return "\n\n".join([part.get("text", part.get("refusal", "")) for part in parts])

    def begin(self) -> list[Event]:
        """The first two events."""
        return [wire.response_event(kind, self._snapshot()) for kind in ("created", "in_progress")]

    def say(self, text: str) -> list[Event]:
        """Go on with the message, or begin one."""
        if not text:
            return []
        events = [] if self._message else self._open_message(_text_part("", []))
        index, item_id = self._place()
        self._pieces.append(text)
        return events + [wire.text_event("delta", index, item_id, word) for word in _words(text)]

    def refuse(self, text: str) -> list[Event]:
        """A whole message that is a refusal."""
        part = {"type": "refusal", "refusal": text}
        events = self._open_message(part | {"refusal": ""})
        index, item_id = self._place()
        events += [wire.refusal_event("delta", index, item_id, word) for word in _words(text)]
        events.append(wire.refusal_event("done", index, item_id, text))
        return events + self._close_item(part)

    def end_message(self, files: Mapping[str, str], *, last: bool) -> list[Event]:
        """End the message that is being said, if there is one.

        Args:
            files: Files that may be cited: path below `/mnt/data` → id.
            last: True if nothing comes after it; only then are figures cited that were shown right before.
        """
        if self._message is None:
            return []
        text = "".join(self._pieces)
        cited = [wire.citation(self._container_id, file_id, f"{file_id}.png") for file_id in self._figures if last]
        cited += [
            wire.citation(self._container_id, files[name], name.rpartition("/")[2], start, end)
            for name, start, end in links(text, files)
        ]
        index, item_id = self._place()
        events = [wire.annotation_added(index, item_id, number, annotation) for number, annotation in enumerate(cited)]
        events.append(wire.text_event("done", index, item_id, text))
        return events + self._close_item(_text_part(text, cited))

    def write(self, piece: str, container_id: str) -> list[Event]:
        """Go on writing the code of a call, or begin one."""
        if not piece:
            return []
        events = self._open_code(container_id) if self._code is None else []
        self._code = (self._code or "") + piece
        return [*events, wire.code_delta(*self._place(), piece)]

    def run(self, code: str, container_id: str) -> list[Event]:
        """A code call, up to where the code runs; what was written of it before is not said again."""
        events = self._open_code(container_id) if self._code is None else []
        index, item_id = self._place()
        written = self._code or ""
        rest = code.removeprefix(written) if code.startswith(written) else ""
        self._code = None
        self.response["output"][index] = self.response["output"][index] | {"code": code}
        return [
            *events,
            *(wire.code_delta(index, item_id, line) for line in rest.splitlines(keepends=True)),
            wire.code_done(index, item_id, code),
            wire.code_event("interpreting", index, item_id),
        ]

    def _open_code(self, container_id: str) -> list[Event]:
        self._container_id = container_id
        call: Json = {
            "id": self._mint("ci_"),
            "type": "code_interpreter_call",
            "status": "in_progress",
            "code": "",
            "container_id": container_id,
            "outputs": [] if self._include_outputs else None,
        }
        self.response["output"].append(call)
        index, item_id = self._place()
        return [wire.item_event("added", index, call), wire.code_event("in_progress", index, item_id)]

    def end_code(self) -> list[Event]:
        """End a code call that was being written and will not be run."""
        if self._code is None:
            return []
        index, _ = self._place()
        item = self.response["output"][index] | {"code": self._code, "status": "incomplete"}
        self.response["output"][index] = item
        self._code = None
        return [wire.item_event("done", index, item)]

    def spend(self, spent: TokensUsed) -> None:
        """Count tokens."""
        usage = self._usage
        usage["input_tokens"] += spent.input
        usage["input_tokens_details"]["cached_tokens"] += spent.cached
        usage["output_tokens"] += spent.output
        usage["output_tokens_details"]["reasoning_tokens"] += spent.thought
        usage["total_tokens"] += spent.input + spent.output

    def ran(self, outcome: CodeRun) -> list[Event]:
        """The end of a code call."""
        index, item_id = self._place()
        item = self.response["output"][index] | {"status": "failed" if outcome.failure else "completed"}
        if self._include_outputs:
            item["outputs"] = wire.outputs(outcome.shown)
        self.response["output"][index] = item
        self._figures = tuple(figure.id for figure in outcome.figures)
        return [wire.code_event("completed", index, item_id), wire.item_event("done", index, item)]

    def complete(self, now: int) -> list[Event]:
        """The last event of a response that went well."""
        events = self.end_code()
        self.response |= {"status": "completed", "completed_at": now, "usage": self._usage}
        return [*events, wire.response_event("completed", self._snapshot())]

    def incomplete(self, reason: str) -> list[Event]:
        """The last event of a response that is not whole."""
        details = {"status": "incomplete", "incomplete_details": {"reason": reason}, "usage": self._usage}
        self.response |= details
        return [wire.response_event("incomplete", self._snapshot())]

    def fail(self, code: str, message: str) -> list[Event]:
        """The last events of a response that did not."""
        self.response |= {"status": "failed", "error": {"code": code, "message": message}}
        if self._usage["total_tokens"]:
            self.response["usage"] = self._usage
        return [wire.error_event(code, message), wire.response_event("failed", self._snapshot())]

    def _open_message(self, empty_part: Json) -> list[Event]:
        events = self.end_code()
        self._message = {
            "id": self._mint("msg_"),
            "type": "message",
            "status": "in_progress",
            "content": [],
            "role": "assistant",
        }
        self._pieces = []
        self.response["output"].append(self._message)
        index, item_id = self._place()
        return [
            *events,
            wire.item_event("added", index, self._message),
            wire.part_event("added", index, item_id, empty_part),
        ]

    def _close_item(self, part: Json) -> list[Event]:
        index, item_id = self._place()
        item = self.response["output"][index] | {"status": "completed", "content": [part]}
        self.response["output"][index] = item
        self._message, self._figures = None, ()
        return [wire.part_event("done", index, item_id, part), wire.item_event("done", index, item)]

    def _place(self) -> tuple[int, str]:
        """Index and id of the item that is being made."""
        index = len(self.response["output"]) - 1
        return index, self.response["output"][index]["id"]

    def _snapshot(self) -> Json:
        return self.response | {"output": list(self.response["output"])}


def links(text: str, names: Mapping[str, object]) -> Iterator[tuple[str, int, int]]:
    """Find `sandbox:/mnt/data/<name>` in a text: the name, and where the whole link begins and ends (code points).

    A name is taken as it stands, the longest that fits, or percent-decoded up to the end of the URL.

    Args:
        text: What was said.
        names: The names there are.
    """
    by_length = sorted(names, key=len, reverse=True)
    position = text.find(LINK)
    while position >= 0:
        start = position + len(LINK)
        end = start
        for name in by_length:
            if text.startswith(name, start) and not _NAME_GOES_ON.match(text, start + len(name)):
                end = start + len(name)
                yield name, position, end
                break
        else:
            for name, end in _encoded_names(text, start):
                if name in names:
                    yield name, position, end
                    break
        position = text.find(LINK, end)


def _encoded_names(text: str, start: int) -> Iterator[tuple[str, int]]:
    """What the URL may say, percent-decoded, and where it ends: all of it, or without the sentence's punctuation."""
    found = _URL_END.search(text, start)
    url = text[start : found.start() if found else len(text)]
    shortest = url.rstrip(".,;:!?")
    for length in range(len(url), max(len(shortest), len(url) - MAX_PUNCTUATION) - 1, -1):
        yield urllib.parse.unquote(url[:length]), start + length


def _text_part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}


def _words(text: str) -> list[str]:
    return _WORD.findall(text)
