"""What outlives a cell: the conversations, the connections, the folders that files go to, and the last turn.

There is one Session for each shell. Questions may be asked in several threads at once, so whatever changes here is
read and written under one lock, and nothing that takes long is done under it. One turn is `turn_run`'s business.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.config import AssistantMagics, freeze, working_directory
from ipython_assistant.core.conversation import Conversations
from ipython_assistant.core.providers import variables_of
from ipython_assistant.display.live import front_end
from ipython_assistant.options import Options
from ipython_assistant.service.accounts import ASKED_OF_THE_ENVIRONMENT
from ipython_assistant.service.background import Threads
from ipython_assistant.service.connection import Connections, connect
from ipython_assistant.who_answers import with_answerer
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.inputs import gather
from ipython_assistant.workspace.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings
    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.display.buttons import Rows
    from ipython_assistant.question import Question
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.service.model_servers import ModelsHere
    from ipython_assistant.workspace.inputs import Input

AT_ONCE = 4  # how many questions `aask` asks at once, and `ask_each` where it is not told
_IPYTHONS = frozenset({"In", "Out", "exit", "quit", "open", "get_ipython"})


class Session:
    """Everything one shell shares between its cells; `traits` are read at every cell."""

    def __init__(self, shell: InteractiveShell | None, traits: AssistantMagics, notebook_dir: Path) -> None:
        self.shell = shell
        self.traits = traits
        self.notebook_dir = notebook_dir
        self._was_there = notebook_dir.is_dir()
        self.last_answer: Answer | None = None
        self.unfinished: Any = None  # the source of that answer, if it can be run again for files that are missing
        self.last_error: BaseException | None = None
        self.conversations = Conversations()
        self.connections = Connections()
        self._lock = threading.RLock()
        self._recordings: dict[Path, Recordings] = {}
        self._inputs: dict[str, Input] = {}
        self._scratch: Path | None = None
        self._found_model = ""
        self._runs = 0
        self._asks: tuple[tuple[str, int] | None, int] = (None, 0)

    @property
    def settings(self) -> Settings:
        """The settings that the next cell would run with. Raises an `AssistantError`."""
        return freeze(self.traits, Options(), self.notebook_dir, os.environ)

    def visible(self) -> dict[str, Any]:
        """The user's variables, without those that are IPython's own."""
        if self.shell is None:
            return {}
        hidden = set(self.shell.user_ns_hidden) | _IPYTHONS
        return {name: value for name, value in self.shell.user_ns.items() if name not in hidden}

    def follow_rename(self, working_dir: Path) -> tuple[str, ...]:
        """Go on in the working directory, which the system follows, if the notebook's was renamed; says so."""
        if self.notebook_dir.is_dir() or not self._was_there:
            return ()
        self.notebook_dir = working_dir
        return (f"The notebook's directory was renamed. Files are saved in {working_dir} from now on.",)

    def gather(self, options: Options, namespace: Mapping[str, Any], working_dir: Path) -> tuple[Input, ...]:
        """The inputs that the options name, as files; paths are relative to `working_dir`. Raises `InputError`."""
        known = tuple(self._inputs.values())
        inputs = gather(options.inputs, namespace, working_dir, self._new_scratch, known=known)
        with self._lock:
            self._inputs |= {item.name: item for item in inputs}
        return inputs

    def next_run(self) -> str:
        """A name for a cell without an id from the front end."""
        with self._lock:
            self._runs += 1
            return f"run {self._runs}"

    def cell_of_ask(self) -> str:
        """The owner of the files of a question that code asks: its cell, and which of the cell's questions it is."""
        cell = front_end(self.shell).cell_id
        if cell is None or self.shell is None:
            return self.next_run()
        running = (cell, self.shell.execution_count)
        with self._lock:
            self._asks = (running, self._asks[1] + 1 if self._asks[0] == running else 1)
            return f"{cell} ask {self._asks[1]}"

    def connect(self, settings: Settings, *, ahead: bool = False) -> Connection:
        """The connection for these settings; `ahead`: no question needs it yet. Raises `ConfigError`, `EngineError`."""
        service, timeout_s = settings.service, settings.timeout_s
        # A key or an address that is corrected in the environment is meant for the next cell.
        read = variables_of(settings.model) if service == "local" else ASKED_OF_THE_ENVIRONMENT
        values = tuple((name, os.environ[name]) for name in read if name in os.environ)
        make = partial(connect, service, timeout_s, os.environ, settings.model)
        return self.connections.get((service, timeout_s, values), make, ahead=ahead)

    def with_answerer(self, settings: Settings, here: ModelsHere | None = None) -> Settings:
        """The settings with the model that answers: the named one, or one found `here`. Raises `ConfigError`."""
        answers = with_answerer(settings, os.environ, self._found_model, here)
        if not settings.model:
            self._found_model = answers.model
        return answers

    def recordings(self, settings: Settings) -> Recordings:
        """The recordings in the folder where files go with these settings."""
        path = settings.save_dir
        with self._lock:
            if path not in self._recordings:
                self._recordings[path] = Recordings(Folder(settings.notebook_dir, path))
            return self._recordings[path]

    @cached_property
    def rows(self) -> Rows:
        """The rows of buttons that are shown."""
        from ipython_assistant.display.buttons import Rows  # it imports ipywidgets

        return Rows(self.shell)

    @cached_property
    def threads(self) -> Threads:
        """The threads in which `aask` asks."""
        return Threads(AT_ONCE, "ipython_assistant aask")

    def _new_scratch(self) -> Path:
        """A directory for the files that are made of one cell's variables: they may be sent again, so they stay."""
        with self._lock:
            if self._scratch is None:
                self._scratch = Path(tempfile.mkdtemp(prefix="ipython_assistant-"))
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def place(self, question: Question, turn: PlacedTurn, *, cut: bool = False) -> PlacedTurn | None:
        """Put a turn into its conversation; gives the turn it replaces. A `cut` turn is listed, but never continued."""
        with self._lock:
            if cut:
                self.conversations = self.conversations.with_cut_turn(question.cell, turn)
                return None
            replaced = self.conversations.present(question.cell)
            self.conversations = self.conversations.with_turn(question.conversation, question.cell, turn)
            return replaced

    def amend(self, turn: PlacedTurn, amended: PlacedTurn) -> None:
        """Replace the value of a turn by one that holds more of its files."""
        with self._lock:
            self.conversations = self.conversations.amended(turn, amended)

    def remember(self, answer: Answer, source: Any) -> None:
        """Make this the last answer, which can be shown again; its source too, if files are missing."""
        with self._lock:
            self.last_answer, self.unfinished = answer, source if source.lacks_files else None

    def begin_anew(self) -> None:
        """Let the next question of the notebook's own conversation continue from nothing."""
        with self._lock:
            self.conversations = self.conversations.begun_anew("")

    def close(self) -> None:
        """End what this session started. May be called twice."""
        if rows := self.__dict__.pop("rows", None):
            rows.close()
        if pool := self.__dict__.pop("threads", None):
            pool.close()
        self.connections.close()
        with self._lock:
            scratch, self._scratch = self._scratch, None
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def process_session() -> Session:
    """Make a session outside IPython, with its files in IPYTHON_ASSISTANT_DIR or the working directory."""
    return Session(None, AssistantMagics(), Path(os.environ.get("IPYTHON_ASSISTANT_DIR") or working_directory()))
