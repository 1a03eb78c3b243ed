"""The recording of a turn, a value: what was asked, the response, and the files that came of it.

A question is found again by its key, which is made of the user's own words and of nothing that they resolved to. A
recording holds no bytes of a file, no absolute path and no secret.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.named_secrets import secrets_in, without_secrets
from ipython_assistant.core.redaction import redacted_json, redacted_turn

if TYPE_CHECKING:
    from ipython_assistant.core.artifacts import FailedArtifact, Found
    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.core.turn import Json, Turn

REPLAYED = ("completed", "refused")  # the statuses of a turn that is replayed, the better one first
TOOK_PLACE = frozenset({*REPLAYED, "incomplete"})
"""The statuses of a turn that takes the place of the one its cell had before."""


@dataclass(frozen=True, slots=True)
class RecordedInput:
    """A file that was sent with the question: `size` in bytes where known, `logical` the hash of what it says."""

    name: str
    size: int | None
    sha256: str
    description: str
    logical: str = ""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file the turn left on disk; see `Artifact`. Only one that is `ours` may be replaced or removed.

    Its bytes are `kept` among the recordings too; a `repeated` figure shows the same as a saved picture.
    """

    name: str
    own_name: str
    size: int
    sha256: str
    container_id: str
    file_id: str
    found: Found
    ours: bool = True
    kept: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class TurnKey:
    """What the user wrote, as far as it decides which recording answers; None for what was not set by hand.

    The prompt is empty for a response that was only shown. `tools` are those beside the code interpreter, `outputs` the
    names given with `-o`, `inputs` names and logical hashes, `parent` is the digest of the turn it continues from.
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
    def sha256(self) -> str:
        """The key as a hash. What was not written is not in it, so a part that a later version adds changes no key."""
        return sha256_of(self.body()) if self.prompt else ""

    def body(self) -> Json:
        """The parts that were written, as JSON, without the secrets in tools: another token is the same question."""
        parts = asdict(self) | {
            "prompt": self.prompt.replace("\r\n", "\n").strip(),
            "tools": sorted(without_secrets(self.tools), key=_canonical) if self.tools else None,
            "outputs": sorted(set(self.outputs)),
            "inputs": [{"name": name, "logical": logical} for name, logical in sorted(self.inputs)],
        }
        return {name: part for name, part in parts.items() if part or name == "prompt"}

    def redacted(self, redact: Redactor) -> TurnKey:
        """The key as it is recorded; it is found by the hash that it had before."""
        tools = tuple(redacted_json(without_secrets(self.tools), redact)) if self.tools else self.tools
        instructions = redacted_json(self.instructions, redact)
        return replace(self, prompt=redact(self.prompt), instructions=instructions, tools=tools)


@dataclass(frozen=True, slots=True)
class Recording:
    """A turn as it is recorded; `turn` is without pictures, which are among the files.

    `cell` is its name in the front end, `status` the answer's. It `began` (UTC) when the question was asked and `ended`
    when its files were on disk, all but those that are `missing`. `key` is empty where nothing is answered from it. Of
    the recordings of one question, a later one has a larger `number`, whatever the clock said.
    """

    asked: TurnKey
    turn: Turn
    cell: str
    service: str
    model: str
    status: str
    began: str
    ended: str
    notebook: str = ""
    inputs: tuple[RecordedInput, ...] = ()
    files: tuple[RecordedFile, ...] = ()
    missing: tuple[FailedArtifact, ...] = ()
    notes: tuple[str, ...] = ()
    key: str = ""
    digest: str = ""
    number: int = field(default=0, compare=False)

    @property
    def prompt(self) -> str:
        """The question."""
        return self.asked.prompt

    @property
    def rank(self) -> tuple[bool, bool, bool, int, str]:
        """Orders the recordings of one question: an answer, one that lacks no files, a hosted service's, the later."""
        return self.status == REPLAYED[0], not self.missing, self.service != "local", self.number, self.ended

    def is_replayed(self, *, with_missing: bool = False) -> bool:
        """Whether a question may be answered from it: the turn came to its end, with all of its files."""
        return bool(self.key) and self.status in REPLAYED and (with_missing or not self.missing)

    def redacted(self, redact: Redactor) -> Recording:
        """The recording without the secrets `redact` knows, nor those in its tools."""
        redact = redact.with_secrets(secrets_in(self.asked.tools))
        return replace(
            self,
            asked=self.asked.redacted(redact),
            turn=redacted_turn(self.turn, redact),
            inputs=tuple(replace(item, description=redact(item.description)) for item in self.inputs),
            missing=tuple(replace(file, reason=redact(file.reason)) for file in self.missing),
            notes=tuple(map(redact, self.notes)),
        )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256_of(value: Any) -> str:
    """The hash of a JSON value, in hexadecimal."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()
