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
from ipython_assistant.core.wording import size_in_words
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


@dataclass(frozen=True, slots=True)
class QuestionPlace:
    """Where a question is asked: its cell, which owns the answer's files, and the turn it continues from.

    The name of a conversation is empty for the notebook's own, and None for a question that stands alone.
    """

    cell: str
    parent: PlacedTurn | None = None
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, ready to be asked or to be found among the recordings.

    `outputs` are the names of tables that have to come back, `hints` are sentences about names that were not filled in,
    `large` allows inputs above the setting `ask_above`.
    """

    prompt: str
    settings: Settings
    place: QuestionPlace
    began: datetime
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    large: bool = False
    assistant: SavedAssistant | None = None

    @property
    def cell(self) -> str:
        """The cell that owns the answer's files."""
        return self.place.cell

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The inputs as a container takes them."""
        return tuple(Upload(it.name, it.path, it.sha256, it.description, it.logical, it.source) for it in self.inputs)

    @property
    def needs(self) -> ContainerNeeds:
        """The question's needs of containers and of the conversation."""
        settings = self.settings
        return ContainerNeeds(
            self.place.parent,
            self.uploads,
            settings.policy,
            container_id=settings.container_id,
            held=settings.store,
            code=settings.code,
            shows=settings.service != "local" and bool(self.seen),
            most_bytes=None if self.large or settings.service == "local" else settings.ask_above,
        )

    @property
    def turn_key(self) -> TurnKey:
        """The key that decides which recording answers the question."""
        return TurnKey(
            prompt=self.prompt,
            **self.settings.written,
            outputs=self.outputs,
            inputs=tuple((item.name, item.logical or item.sha256) for item in self.inputs),
            parent=self.place.parent.digest if self.place.parent is not None else "",
        )

    @property
    def seen(self) -> tuple[Input, ...]:
        """The pictures and PDFs among the inputs, which the model sees itself besides what its code reads.

        https://platform.openai.com/docs/guides/images-vision, https://platform.openai.com/docs/guides/pdf-files
        The embedded engine shows pictures alone, and those only to a model that may see values.
        """
        seen, size, settings = [], 0, self.settings
        shows = settings.service != "local" or (settings.share == "results" and settings.model != BASIC)
        for item in self.inputs if shows else ():
            kind = media_type(item.name)
            if kind not in SEEN_TYPES or (settings.service == "local" and kind == "application/pdf"):
                continue
            if size + item.size <= MOST_SEEN_BYTES:
                seen.append(item)
                size += item.size
        return tuple(seen)

    @property
    def unseen(self) -> str:
        """A sentence on the pictures and PDFs that a hosted model does not see, since they are too large; or none."""
        large = [item for item in self.inputs if media_type(item.name) in SEEN_TYPES and item not in self.seen]
        if self.settings.service == "local" or not large:
            return ""
        most, names = size_in_words(MOST_SEEN_BYTES), ", ".join(item.name for item in large)
        return f"The model sees no more than {most} of pictures and PDFs, so only its code can read {names}."

    @property
    def dtypes(self) -> dict[str, Any]:
        """The columns of its tables and their dtypes; those of a later input count."""
        return {name: dtype for item in self.inputs for name, dtype in item.dtypes}

    def request(self, base: TurnBase) -> Json:
        """The body of `POST /responses`, for a turn on that base.

        `include` asks for what the code printed and showed: without it `outputs` is null
        (https://platform.openai.com/docs/guides/tools-code-interpreter).
        """
        settings = self.settings
        # The embedded engine has the files, and shows them to its model itself.
        shows = settings.service != "local" and not base.shows_nothing
        seen = [_seen_part(item) for item in self.seen] if shows else []
        words = [{"type": "input_text", "text": self.prompt}, *seen] if seen else self.prompt
        files = {"file_ids": list(base.file_ids)} if base.file_ids else {}
        container = base.container_id or {"type": "auto", **settings.policy.body(), **files}
        code = [{"type": "code_interpreter", "container": container}] if settings.code else []
        # Some servers cannot tell a message of the assistant without its type.
        past = [{"type": "message", "role": message.role, "content": message.text} for message in base.history]
        # The embedded engine has instructions of its own and looks at the files itself, as far as may be shared.
        share = settings.share if settings.service == "local" else ""
        names = {note.path.rpartition("/")[2]: note.named for note in base.inputs}
        named = "\n".join(name for name, with_this_question in names.items() if with_this_question)
        notes = () if share else base.inputs
        told = instructions(settings.instructions, notes, self.outputs, code=settings.code, builtin=not share)
        compacts = settings.official and settings.compact_above and base.previous_response_id is not None
        compaction = [{"type": "compaction", "compact_threshold": settings.compact_above}]
        optional: Json = {
            "include": ["code_interpreter_call.outputs"] if code else None,
            "reasoning": {"effort": settings.effort} if settings.effort else None,
            "store": None if settings.store else False,
            # Padding against eavesdroppers on the length of words: TLS to the service's own address is trusted.
            "stream_options": {"include_obfuscation": False} if settings.official else None,
            "context_management": compaction if compacts else None,
            **settings.limits,
            "previous_response_id": base.previous_response_id,
            "metadata": {"share": share, "inputs": "\n".join(names), "named": named} if share else None,
        }
        return {
            "model": settings.model,
            "input": [*past, {"role": "user", "content": words}],
            "instructions": told,
            "tools": [*code, *settings.tools],
            "stream": True,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def check_size(self) -> None:
        """Check the inputs' size before anything is sent. Raises `InputError` where it is more than `ask_above`."""
        settings, size = self.settings, sum(item.size for item in self.inputs)
        if self.large or settings.service == "local" or size <= settings.ask_above:
            return
        listed = "\n".join(f"  {item.name}: {_measure(item)}" for item in self.inputs)
        most, sent = size_in_words(settings.ask_above), f"{size_in_words(size)} would be sent to {settings.service}"
        cure = f"Send less, or write --yes on the first line.\n{listed}"
        raise InputError(f"{sent}; without asking it is at most {most}.", cure)

    def check_assistant(self) -> None:
        """Check that the saved assistant is trusted. Raises `ConfigError`, with everything that would be sent."""
        saved = self.assistant
        if saved is not None and not is_confirmed(saved):
            says = f"The assistant {saved.name} was not confirmed: it may have come with the notebook."
            cure = f"Read what would be sent, then confirm it once: %assistant assistants --confirm {saved.name}"
            raise ConfigError(says, f"{cure}\n\n{self.in_full()}")

    def sending(self) -> str:
        """The inputs that are being sent, in words for the line below the cell."""
        named = ", ".join(f"{item.name} ({_measure(item)})" for item in self.inputs[:_MOST_NAMED])
        more = len(self.inputs) - _MOST_NAMED
        return f"sending {named}" + (f" and {more} more" if more > 0 else "")

    def in_full(self) -> str:
        """Everything that would be sent, for a person to read. Nothing is asked for it, so a container has no name."""
        settings, parent = self.settings, self.place.parent
        # Instructions do not carry over from one response to the next, so earlier inputs are named again.
        named = {upload.name: upload for step in ancestors(parent) for upload in step.uploads}
        named |= {upload.name: upload for upload in self.uploads}
        notes = tuple(InputNote(f"/mnt/data/{upload.name}", upload.description) for upload in named.values())
        request = self.request(TurnBase(inputs=notes))
        tools = [tool_in_words(tool) for tool in request["tools"]]
        after = f"“{' '.join(parent.prompt.split())[:60]}”" if parent is not None else "nothing: it begins here"
        rows = [
            ("service", settings.service),
            ("model", settings.model),
            *([("shared", settings.shared)] if settings.answerer else []),
            ("continues", after),
            *self._earlier(),
            ("tools", ", ".join(tools) or "none"),
            *([("effort", settings.effort)] if settings.effort else []),
            ("inputs", f"{len(self.inputs)}, {size_in_words(sum(item.size for item in self.inputs))}"),
            *(("", f"{item.name}: {_measure(item)}, from {item.source}") for item in self.inputs),
        ]
        if self.seen:
            names = ", ".join(item.name for item in self.seen)
            if_able = ", if the model sees pictures" if settings.service == "local" else ""
            rows.append(("seen", f"{names}{if_able}: up to about 1,500 tokens for each picture and each page of a PDF"))
        rows += [("not seen", self.unseen)] if self.unseen else []
        lines = ["Nothing was sent. This would be:", "", *(f"{name:<13}{value}" for name, value in rows)]
        lines += ["instructions", *_indented(request["instructions"]), "prompt", *_indented(self.prompt)]
        return "\n".join(lines)

    def _earlier(self) -> list[tuple[str, str]]:
        """The parts of the conversation that are sent again where the service, or a container, no longer has them."""
        past = as_messages(self.place.parent)
        if not past:
            return []
        own = {item.name for item in self.inputs}
        behind = {upload.name: upload.path for upload in left_behind(self.place.parent) if upload.name not in own}
        sizes = {name: path.stat().st_size for name, path in behind.items() if path.is_file()}
        length = sum(len(message.text) for message in past)
        again = [("and again", f"where the service no longer has them, {len(past)} messages, {length:,} characters")]
        if sizes and self.settings.code:
            again.append(("", f"in a new container, {size_in_words(sum(sizes.values()))}: {', '.join(sizes)}"))
        return again


_MOST_NAMED = 3
SEEN_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})
MOST_SEEN_BYTES = 32_000_000
"""The most bytes of pictures and PDFs that a model sees of one question; the others are only in the container."""


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


def _measure(item: Input) -> str:
    if item.rows is None or item.columns is None:
        return size_in_words(item.size)
    about = "about " if item.estimated else ""
    return f"{size_in_words(item.size)}, {about}{item.rows:,} rows × {item.columns:,} columns"


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.splitlines()]
