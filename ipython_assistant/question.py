"""A question, ready to be asked: its words, its inputs, the turn it continues from, and the request it becomes."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.conversation import Upload, ancestors, as_messages
from ipython_assistant.core.naming import media_type
from ipython_assistant.core.providers import BASIC
from ipython_assistant.core.recording import TurnKey
from ipython_assistant.core.request import InputNote, instructions, tool_in_words
from ipython_assistant.core.wording import first_words, size_in_words
from ipython_assistant.errors import ConfigError, InputError
from ipython_assistant.options import checked
from ipython_assistant.service.turn_base import ContainerNeeds, TurnBase, left_behind
from ipython_assistant.workspace.assistants import is_confirmed

if TYPE_CHECKING:
    from datetime import datetime

    from ipython_assistant.config import Settings
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.turn import Json
    from ipython_assistant.options import Options
    from ipython_assistant.workspace.assistants import SavedAssistant
    from ipython_assistant.workspace.inputs import Input

COMPACT_ABOVE = 200_000
"""Tokens above which OpenAI's service shortens a conversation by itself, so that it never gets too long."""
SEEN_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})
MOST_SEEN_BYTES = 32_000_000
"""The most bytes of pictures and PDFs that a model sees of one question; the others are only in the container."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, ready to be asked or to be found among the recordings.

    Its `cell` owns the answer's files, and it continues from the turn `parent`. The notebook's own `conversation` has
    the empty name; None is outside of all. `hints` are for the reader; `large` allows inputs above `ask_above`.
    """

    prompt: str
    settings: Settings
    cell: str
    began: datetime
    parent: PlacedTurn | None = None
    conversation: str | None = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    large: bool = False
    fresh: bool = False
    assistant: SavedAssistant | None = None

    @property
    def is_local(self) -> bool:
        """Whether the embedded engine answers: it has the files, and shows its model what that may see."""
        return self.settings.service == "local"

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The inputs as a container takes them."""
        return tuple(Upload(it.name, it.path, it.sha256, it.description, it.logical, it.source) for it in self.inputs)

    @property
    def needs(self) -> ContainerNeeds:
        """The question's needs of containers and of the conversation."""
        it = self.settings
        return ContainerNeeds(self.parent, self.uploads, it.policy, it.container_id, it.traits.store, it.code)

    @property
    def turn_key(self) -> TurnKey:
        """The key that decides which recording answers the question."""
        return TurnKey(
            prompt=self.prompt,
            **self.settings.written,
            outputs=self.outputs,
            inputs=tuple((item.name, item.logical or item.sha256) for item in self.inputs),
            parent=self.parent.digest if self.parent is not None else "",
        )

    @property
    def seen(self) -> tuple[Input, ...]:
        """The pictures and PDFs among the inputs, which the model sees itself besides what its code reads.

        https://platform.openai.com/docs/guides/images-vision, https://platform.openai.com/docs/guides/pdf-files
        The embedded engine shows pictures alone, and those only to a model that may see values.
        """
        seen = tuple(item for item in self.inputs if media_type(item.name) in SEEN_TYPES)
        if self.is_local:
            may_see = self.settings.share == "results" and self.settings.model != BASIC
            return tuple(item for item in seen if may_see and media_type(item.name) != "application/pdf")
        return seen if sum(item.size for item in seen) <= MOST_SEEN_BYTES else ()

    @property
    def unseen(self) -> str:
        """A sentence where a hosted model does not see the pictures and PDFs, since they are too large; or none."""
        large = ", ".join(item.name for item in self.inputs if media_type(item.name) in SEEN_TYPES)
        if self.is_local or not large or self.seen:
            return ""
        most = size_in_words(MOST_SEEN_BYTES)
        return f"The model sees no more than {most} of pictures and PDFs, so only its code can read {large}."

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtypes of the columns of its input tables, by name; of two columns of one name the later input's."""
        return {name: dtype for item in self.inputs for name, dtype in item.dtypes}

    def request(self, base: TurnBase) -> Json:
        """The body of `POST /responses`, for a turn on that base.

        `include` asks for what the code printed and showed: without it `outputs` is null
        (https://platform.openai.com/docs/guides/tools-code-interpreter).
        """
        settings, official = self.settings, self.settings.official
        seen = () if self.is_local else self.seen
        text = [{"type": "input_text", "text": self.prompt}, *map(_seen_part, seen)] if seen else self.prompt
        container = base.container_id or {"type": "auto", **settings.policy.body()}
        code = [{"type": "code_interpreter", "container": container}] if settings.code else []
        # Some servers cannot tell a message of the assistant without its type.
        past = [{"type": "message", "role": role, "content": said} for role, said in base.history]
        # The embedded engine has instructions of its own and looks at the files itself, as far as may be shared.
        notes = () if self.is_local else base.inputs
        told = instructions(settings.instructions, notes, self.outputs, code=settings.code, builtin=not self.is_local)
        names = {note.path.rpartition("/")[2]: note.named for note in base.inputs}
        named = "\n".join(name for name, with_this_question in names.items() if with_this_question)
        shared = {"share": settings.share, "inputs": "\n".join(names), "named": named}
        compacts = official and base.previous_response_id is not None
        optional: Json = {
            "include": ["code_interpreter_call.outputs"] if code else None,
            "reasoning": {"effort": settings.effort} if settings.effort else None,
            "store": None if settings.traits.store else False,
            # Padding against eavesdroppers on the length of words: TLS to the service's own address is trusted.
            "stream_options": {"include_obfuscation": False} if official else None,
            "context_management": [{"type": "compaction", "compact_threshold": COMPACT_ABOVE}] if compacts else None,
            "max_output_tokens": settings.traits.max_output_tokens,
            "max_tool_calls": settings.traits.max_tool_calls,
            "previous_response_id": base.previous_response_id,
            "metadata": shared if self.is_local else None,
        }
        return {
            "model": settings.model,
            "input": [*past, {"role": "user", "content": text}],
            "instructions": told,
            "tools": [*code, *settings.tools],
            "stream": True,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def check(self) -> None:
        """Check that nothing is sent unasked, by an assistant or above `ask_above`. Raises ConfigError, InputError."""
        saved, size, most = self.assistant, sum(item.size for item in self.inputs), self.settings.traits.ask_above
        if saved is not None and not is_confirmed(saved):
            says = f"The assistant {saved.name} was not confirmed: it may have come with the notebook."
            cure = f"Read what would be sent, then confirm it once: %assistant assistants --confirm {saved.name}"
            raise ConfigError(says, f"{cure}\n\n{self.in_full()}")
        if not self.large and not self.is_local and size > most:
            says = f"{size_in_words(size)} would be sent to {self.settings.service}; without asking it is at most"
            listed = [f"  {item.name}: {size_in_words(item.size)}" for item in self.inputs]
            cure = "\n".join(["Send less, or allow it with --yes.", *listed])
            raise InputError(f"{says} {size_in_words(most)}.", cure)

    def sending(self) -> str:
        """The inputs that are being sent, in words for the line below the cell."""
        named = ", ".join(f"{item.name} ({size_in_words(item.size)})" for item in self.inputs)
        return f"sending {first_words(named, 120)}"

    def in_full(self) -> str:
        """Everything that would be sent, for a person to read. Nothing is asked for it, so a container has no name."""
        settings, parent = self.settings, self.parent
        # Instructions do not carry over from one response to the next, so earlier inputs are named again.
        earlier = [upload for step in ancestors(parent) for upload in step.uploads]
        named = {upload.name: upload.description for upload in (*earlier, *self.uploads)}
        notes = tuple(InputNote(f"/mnt/data/{name}", description) for name, description in named.items())
        request = self.request(TurnBase(inputs=notes))
        behind = dict.fromkeys(it.name for it in left_behind(parent) if settings.code and it.path.is_file())
        again = ", ".join([f"{len(as_messages(parent))} messages", *behind])
        if_able = ", if the model sees pictures" if self.is_local else ""
        seen = f"{', '.join(item.name for item in self.seen)}{if_able}: up to 1,500 tokens a picture and a page"
        rows = [
            ("service", settings.service),
            ("model", settings.model),
            ("shared", settings.shared if settings.answerer else ""),
            ("continues", f"“{first_words(parent.prompt, 60)}”" if parent is not None else "nothing: it begins here"),
            ("sent again", f"only if the service no longer has them: {again}" if parent is not None else ""),
            ("tools", ", ".join(map(tool_in_words, request["tools"])) or "none"),
            ("effort", settings.effort or ""),
            ("inputs", f"{len(self.inputs)}, {size_in_words(sum(item.size for item in self.inputs))}"),
            *((" ", f"{item.name}: {size_in_words(item.size)}, from {item.source}") for item in self.inputs),
            ("seen", seen if self.seen else ""),
            ("not seen", self.unseen),
        ]
        lines = ["Nothing was sent. This would be:", "", *(f"{name:<13}{value}" for name, value in rows if value)]
        for name, text in (("instructions", request["instructions"]), ("prompt", self.prompt)):
            lines += [name, *(f"    {line}".rstrip() for line in text.splitlines())]
        return "\n".join(lines)


def with_assistant(options: Options, saved: SavedAssistant) -> Options:
    """The options with what a saved assistant adds to them. Raises `OptionError` where they contradict each other."""
    instructions = "\n\n".join(part for part in (saved.instructions.strip(), options.instructions) if part)
    return checked(
        replace(
            options,
            inputs=tuple(dict.fromkeys((*saved.inputs, *options.inputs))),
            model=options.model or saved.model or None,
            instructions=instructions or None,
            tools=(*saved.tools, *options.tools),
            effort=options.effort or saved.effort or None,
        )
    )


def _seen_part(item: Input) -> Json:
    kind = media_type(item.name)
    address = f"data:{kind};base64,{base64.b64encode(item.path.read_bytes()).decode()}"
    if kind.startswith("image/"):
        return {"type": "input_image", "image_url": address}
    return {"type": "input_file", "filename": item.name, "file_data": address}
