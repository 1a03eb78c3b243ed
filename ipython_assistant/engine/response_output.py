"""A response while it is being made: steps in, events out. No I/O and no clock.

The order of events is the hosted service's: https://developers.openai.com/api/docs/api-reference/responses-streaming .
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections import Counter
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ipython_assistant.engine.models import EndEarly, Refuse, Run, Say, TokensUsed
from ipython_assistant.engine.sandbox import MOUNT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ipython_assistant.engine.api import IdMint, Json, ResponseRequest
    from ipython_assistant.engine.container import KernelContainer
    from ipython_assistant.engine.kernel_output import CodeRun
    from ipython_assistant.engine.models import Step

LINK: Final = f"sandbox:{MOUNT}/"
LONGEST_URL: Final = 4096

_WORD: Final = re.compile(r"\s*\S+|\s+")
_LINK_URL: Final = re.compile(rf"{re.escape(LINK)}(?P<url>[^\s)\]>\"'`<]{{0,{LONGEST_URL}}})")
_NAME_GOES_ON: Final = re.compile(r"[\w%/~-]|\.\w")
_RESPONSE: Final[Json] = {
    "object": "response", "status": "in_progress", "background": False, "completed_at": None, "error": None,
    "incomplete_details": None, "instructions": None, "max_output_tokens": None,
    "max_tool_calls": None, "model": None, "output": [], "parallel_tool_calls": True,
    "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
    "service_tier": "default", "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [], "top_logprobs": 0,
    "top_p": 1.0, "truncation": "disabled", "metadata": {}
}  # fmt: skip
"""What a response has where its request says nothing."""
_REPEATED: Final = frozenset({*_RESPONSE, "user", "prompt_cache_key", "safety_identifier"})
"""Fields that a response repeats from its request; the last three are left out if the request leaves them out."""


class ResponseOutput:
    """One response, kept up to date in `response`; files of the container are cited where the text links them."""

    def __init__(self, request: ResponseRequest, container: KernelContainer | None, mint: IdMint) -> None:
        echo = {key: value for key, value in request.echo.items() if key in _REPEATED and value is not None}
        about = {"id": mint("resp_"), "created_at": mint.now()}
        self.response: Json = {**about, **_RESPONSE, **echo, "background": False, "output": []}
        self._include_outputs = request.include_outputs
        self._container_id = container.id if container else ""
        self._linkable = container.linkable if container else dict[str, str]
        self._mint = mint
        self._incomplete_reason = ""
        self._in_message = False
        self._pieces: list[str] = []
        self._used: Counter[str] = Counter()
        self._events = 0

    @property
    def text(self) -> str:
        """Everything said so far, refusals too."""
        messages = [item for item in self.response["output"] if item["type"] == "message" and item["content"]]
        parts = [message["content"][0] for message in messages]
        return "\n\n".join([part.get("text", part.get("refusal", "")) for part in parts])

    def begin(self) -> list[Json]:
        """The first two events."""
        return [self._snapshot("created"), self._snapshot("in_progress")]

    def take(self, step: Step) -> list[Json]:
        """The events of a step of the model's, of a `Run` up to where its code runs."""
        match step:
            case Say(text):
                return self._say(text) if text else []
            case Refuse(text):
                return self.end_message() + self._refuse(text)
            case Run(code):
                return self.end_message() + self._run(code)
            case TokensUsed():
                self._used.update(asdict(step))
            case EndEarly(reason):
                self._incomplete_reason = reason
        return []

    def ran(self, outcome: CodeRun) -> list[Json]:
        """The end of a code call."""
        self._change({"status": "failed" if outcome.error else "completed"})
        if self._include_outputs:
            outputs = [
                {"type": "logs", "logs": part}
                if isinstance(part, str)
                else {"type": "image", "url": f"data:image/png;base64,{base64.b64encode(part).decode()}"}
                for part in outcome.shown
            ]
            self._change({"outputs": outputs})
        return [self._event("code_interpreter_call.completed"), self._item_event("done")]

    def end_message(self) -> list[Json]:
        """End the message that is being said, if there is one."""
        if not self._in_message:
            return []
        text, ids = "".join(self._pieces), self._linkable()
        cited = [
            {
                "type": "container_file_citation",
                "container_id": self._container_id,
                "end_index": end,
                "file_id": ids[name],
                "filename": name.rpartition("/")[2],
                "start_index": start,
            }
            for name, start, end in links(text, ids)
        ]
        events = [
            self._event("output_text.annotation.added", content_index=0, annotation_index=number, annotation=annotation)
            for number, annotation in enumerate(cited)
        ]
        events.append(self._event("output_text.done", content_index=0, text=text, logprobs=[]))
        return events + self._close_message(_text_part(text, cited))

    def complete(self) -> list[Json]:
        """The last event of a response that went well, or is not whole because its model said so."""
        if self._incomplete_reason:
            return [self._end("incomplete", incomplete_details={"reason": self._incomplete_reason})]
        return [self._end("completed", completed_at=self._mint.now())]

    def fail(self, message: str, *, unsent: int = 0) -> list[Json]:
        """The last events of one that failed, in place of `unsent` ones; clients look for the error flat or nested."""
        self._events -= unsent
        error = {"code": "server_error", "message": message}
        flat = error | {"param": None}
        events = self.end_message()
        events.append(self._numbered("error", **flat, error={"type": "server_error", **flat}))
        return [*events, self._end("failed", error=error, completed_at=None, incomplete_details=None)]

    def _say(self, text: str) -> list[Json]:
        """Go on with the message, or begin one."""
        events = [] if self._in_message else self._open_message(_text_part("", []))
        self._pieces.append(text)
        return [*events, *self._deltas("output_text", text, logprobs=[])]

    def _refuse(self, text: str) -> list[Json]:
        part = {"type": "refusal", "refusal": text}
        events = self._open_message(part | {"refusal": ""})
        events += self._deltas("refusal", text)
        events.append(self._event("refusal.done", content_index=0, refusal=text))
        return events + self._close_message(part)

    def _run(self, code: str) -> list[Json]:
        call: Json = {"id": self._mint("ci_"), "type": "code_interpreter_call", "status": "in_progress", "code": ""}
        call |= {"container_id": self._container_id, "outputs": [] if self._include_outputs else None}
        self.response["output"].append(call)
        events = [self._item_event("added"), self._event("code_interpreter_call.in_progress")]
        self._change({"code": code})
        lines = code.splitlines(keepends=True)
        events += [self._event("code_interpreter_call_code.delta", delta=line) for line in lines]
        events.append(self._event("code_interpreter_call_code.done", code=code))
        return [*events, self._event("code_interpreter_call.interpreting")]

    def _open_message(self, empty_part: Json) -> list[Json]:
        self._in_message, self._pieces = True, []
        message: Json = {"id": self._mint("msg_"), "type": "message", "status": "in_progress", "content": []}
        self.response["output"].append(message | {"role": "assistant"})
        return [self._item_event("added"), self._event("content_part.added", content_index=0, part=empty_part)]

    def _close_message(self, part: Json) -> list[Json]:
        self._change({"status": "completed", "content": [part]})
        self._in_message = False
        return [self._event("content_part.done", content_index=0, part=part), self._item_event("done")]

    def _deltas(self, kind: str, text: str, **more: Any) -> list[Json]:
        return [self._event(f"{kind}.delta", content_index=0, delta=word, **more) for word in _WORD.findall(text)]

    def _end(self, status: str, **fields: Any) -> Json:
        used = self._used
        usage = {
            "input_tokens": used["input"],
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": used["cached"]},
            "output_tokens": used["output"],
            "output_tokens_details": {"reasoning_tokens": used["thought"]},
            "total_tokens": used["input"] + used["output"],
        }
        self.response |= {"status": status, "usage": usage, **fields}
        return self._snapshot(status)

    def _change(self, fields: Json) -> None:
        """Change the item that is being made; copies of it that were sent stay as they are."""
        self.response["output"][-1] = self.response["output"][-1] | fields

    def _event(self, kind: str, **fields: Any) -> Json:
        """An event about the item that is being made."""
        place = {"output_index": len(self.response["output"]) - 1, "item_id": self.response["output"][-1]["id"]}
        return self._numbered(f"response.{kind}", **place, **fields)

    def _item_event(self, kind: str) -> Json:
        items = self.response["output"]
        return self._numbered(f"response.output_item.{kind}", output_index=len(items) - 1, item=items[-1])

    def _snapshot(self, kind: str) -> Json:
        return self._numbered(f"response.{kind}", response=self.response | {"output": list(self.response["output"])})

    def _numbered(self, kind: str, **fields: Any) -> Json:
        self._events += 1
        return {"type": kind, **fields, "sequence_number": self._events - 1}


def links(text: str, names: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Find `sandbox:/mnt/data/<name>` in a text: the name, and where the whole link begins and ends (code points).

    A name is decoded up to the end of the URL, or of the sentence, or else taken as it stands, the longest that fits.
    """
    longest_first = sorted(names, key=len, reverse=True)
    for found in _LINK_URL.finditer(text):
        start, url = found.start("url"), found["url"]
        decoded = ((urllib.parse.unquote(part), start + len(part)) for part in (url, url.rstrip(".,;:!?")))
        fitting = ((name, start + len(name)) for name in longest_first if text.startswith(name, start))
        as_they_stand = ((name, end) for name, end in fitting if not _NAME_GOES_ON.match(text, end))
        for name, end in chain(decoded, as_they_stand):
            if name in names:
                yield name, found.start(), end
                break


def _text_part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}
