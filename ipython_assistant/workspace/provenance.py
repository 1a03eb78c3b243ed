"""Where the records of turns are kept: `.turns/` in the folder of the files, one readable JSON file a turn.

Several kernels may write there at once. Each record has a name of its own and is put in place whole. A record that
cannot be read is named and left as it is: nothing is ever written over it. What belongs to a record and is no text (the
bytes of files) is in `bodies/`, by hash; see `recordings`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ipython_assistant.core.ledger import Ledger, NotebookFile
from ipython_assistant.core.naming import numbered
from ipython_assistant.core.provenance import RecordedInput, TurnRecord, cell_name, stamp, to_json
from ipython_assistant.core.redaction import redactor
from ipython_assistant.workspace.index import Index, read_record
from ipython_assistant.workspace.presence import Presence
from ipython_assistant.workspace.regular import open_regular, refuse_links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ipython_assistant.core.conversation import Upload
    from ipython_assistant.core.recording import Written
    from ipython_assistant.core.redaction import Redactor
    from ipython_assistant.workspace.index import Damaged

TURNS = ".turns"
BODIES = "bodies"
README = """\
Each JSON file here is the record of one turn: a question asked with %%assistant, and what came of it. The same question
in the same place is answered from it again: no key, no network, no cost. They are written by ipython_assistant and may
be read, committed, or deleted; without them it no longer knows which files it made, and asks again.

What may hold data: "prompt" and "written" (what was asked), "description" of the inputs, "code" and "logs" (what ran
and what it printed), "exchange" (the same and the answer, as it came), the names of files, and bodies/ (the files that
the code made, by hash). Inputs are known by name, size and hash alone; keys, cookies, the organisation, absolute paths
and names of machines are not recorded.

`ipython-assistant recordings` lists them, with --check verifies them, with --prune removes what nothing needs.
"""
# The text of format 1 said that contents of files are not recorded.
_EARLIER_READMES = {"706442669cea378111e0d493a96a6c0f5d1bcecbf44c582a55dc0c60dff21c66"}
LARGEST_NOTEBOOK = 200_000_000
_TEMPORARY = re.compile(r"\.(?:([0-9a-f]{12})-)?[0-9a-f]{12}\.tmp")


class Turns:
    """The records in one folder, read and written by one kernel.

    Args:
        save_dir: The folder of the files; `.turns` is made in it with the first record.
        kernel: This kernel's own name, twelve hexadecimal digits; a random one, if not given.
        notebook: The notebook's file name, where it is known.
        within: The notebook's directory: no link below it is followed; if not given, `save_dir` may be one.
        redaction: Gives what takes out of a text what must not be kept; asked whenever something is kept.
    """

    def __init__(
        self,
        save_dir: Path,
        *,
        kernel: str | None = None,
        notebook: str = "",
        within: Path | None = None,
        redaction: Callable[[], Redactor] = redactor,
    ) -> None:
        self.kernel = kernel or secrets.token_hex(6)
        self.notebook = notebook
        self._dir = save_dir / TURNS
        self._within = within if within is not None and save_dir.is_relative_to(within) else save_dir
        self._redaction = redaction
        self._presence = Presence(self._dir, self.kernel)
        self._replayed: dict[str, TurnRecord] = {}
        self._index = Index(self._dir)
        self._swept = False
        self._begins = threading.Lock()
        """Several questions may be asked at once."""

    @property
    def path(self) -> Path:
        """The folder of the records."""
        return self._dir

    def begin(self) -> None:
        """Make the folder, and be at work in it from now on. May be called again. Raises `OSError`."""
        self.refuse_links()
        self._dir.mkdir(parents=True, exist_ok=True)
        for name, text in (("README", README), (".gitignore", "*.lock\n*.tmp\n"), (".gitattributes", "* -text\n")):
            self._write_once(self._dir / name, text)
        with self._begins:
            self._presence.announce()
            if not self._swept:
                self._swept = True
                # This turn's record does not depend on it.
                with contextlib.suppress(OSError):
                    self._tidy()

    def end(self) -> None:
        """Be at work here no more. May be called twice."""
        self._presence.end()

    def write(self, record: TurnRecord) -> Path:
        """Keep a record, in place of an earlier one of the same turn; gives its path. Raises `OSError`."""
        self.begin()
        self._replayed.pop(record.cell, None)
        # Redacted first: the prompt's first words are in the file's name.
        record = replace(record, kernel=self.kernel, notebook=self.notebook).redacted(self._redaction())
        path = next(
            path for path in map(self._dir.joinpath, numbered(record.file_name)) if self._may_hold(path, record)
        )
        with self.temporary(self._dir) as temporary:
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                file.write(to_json(record))
            temporary.replace(path)
        with contextlib.suppress(OSError):
            self._index.wrote(path.name, record)
        return path

    @contextlib.contextmanager
    def temporary(self, folder: Path) -> Iterator[Path]:
        """A name in a folder for a file that is to be put in place whole; gone afterwards, if it was not.

        Not by `tempfile`: its files are for their owner alone, a record is for whoever may read the notebook. What a
        kernel that was killed has left is known by the kernel's name in it.
        """
        temporary = folder / f".{self.kernel}-{secrets.token_hex(6)}.tmp"
        try:
            yield temporary
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def read(self, name: str) -> TurnRecord:
        """The whole record in a file, its exchange too.

        Raises:
            OSError: It cannot be read.
            ValueError: It is none, or was changed since it was written.
        """
        with open_regular(self._dir / name) as file:
            return read_record(file.read())

    def names_with(self, key: str) -> tuple[str, ...]:
        """The files whose record seems to have this key: only a glance is taken at each. Raises `OSError`."""
        return self._index.with_key(key)

    def names(self) -> tuple[str, ...]:
        """The files of the records. Raises `OSError`."""
        return self._index.names

    def read_all(self) -> tuple[tuple[TurnRecord, ...], tuple[Damaged, ...]]:
        """Every record, each turn once and by time; and the files that are none. Raises `OSError`."""
        return self._index.all()

    def forget(self) -> None:
        """Read every record anew from now on, be its file as it was."""
        self._index.forget()

    def as_kept(self, written: Written) -> Written:
        """What a user wrote, as a record would have it now."""
        return written.redacted(self._redaction())

    def ledger(self, notebook_dir: Path | None = None) -> Ledger:
        """All records, with what is known beside them. Raises `OSError`.

        Args:
            notebook_dir: Where notebooks are looked for; if not given, none are read.
        """
        records, _ = self.read_all()
        notebooks = notebooks_in(notebook_dir) if notebook_dir is not None else ()
        return Ledger((*records, *self._replayed.values()), notebooks, self._presence.at_work(self._index.others))

    def replayed(self, record: TurnRecord, cell: str, ended: str) -> None:
        """A recording is this kernel's present turn of a cell, until the cell is asked anew. Nothing is written.

        Args:
            record: The recording, its files as they are on disk now.
            cell: The cell that was answered from it.
            ended: When, as `core.provenance.stamp` writes it.
        """
        named = cell_name(cell)
        self._replayed[named] = replace(
            record, cell=named, kernel=self.kernel, notebook=self.notebook, began=ended, ended=ended
        )

    def at_work(self) -> frozenset[str]:
        """The kernels that are at work in this folder."""
        return self._presence.at_work()

    def refuse_links(self) -> None:
        """Raise `OSError` where the records, or the bodies, would be written or removed behind a link."""
        refuse_links(self._dir / BODIES, self._within)

    def _write_once(self, path: Path, text: str) -> None:
        """Write a file that is not there, or that a full disk left empty: whole or not at all."""
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_size:
                return
        with self.temporary(self._dir) as temporary:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)

    def _tidy(self) -> None:
        """Remove what kernels that are no more have left unfinished, and correct a README that says too little."""
        at_work = self.at_work() | {self.kernel}
        for folder in (self._dir, self._dir / BODIES):
            with contextlib.suppress(FileNotFoundError):
                for entry in os.scandir(folder):
                    match = _TEMPORARY.fullmatch(entry.name)
                    if match is not None and match[1] not in at_work:
                        (folder / entry.name).unlink(missing_ok=True)
        readme = self._dir / "README"
        with open_regular(readme) as file:
            earlier = hashlib.sha256(file.read()).hexdigest() in _EARLIER_READMES
        if earlier:
            with self.temporary(self._dir) as temporary:
                temporary.write_text(README, encoding="utf-8")
                temporary.replace(readme)

    def _may_hold(self, path: Path, record: TurnRecord) -> bool:
        """Whether the record may be written there: the name is free, or has an earlier record of the same turn."""
        there = self._index.look(path.name)
        return there is None or (isinstance(there, TurnRecord) and there.id == record.id)


def recorded_inputs(uploads: Iterable[Upload]) -> tuple[RecordedInput, ...]:
    """What was sent with a question, as a record has it: no contents and no path."""
    return tuple(
        RecordedInput(upload.name, _size(upload.path), upload.sha256, upload.description) for upload in uploads
    )


def notebooks_in(folder: Path) -> tuple[NotebookFile, ...]:
    """The notebooks in a folder, by name."""
    found = []
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".ipynb"))
    except OSError:
        return ()
    for name in names:
        path = folder / name
        with contextlib.suppress(FileNotFoundError):
            found.append(NotebookFile(name, _cell_ids(path), stamp(datetime.fromtimestamp(path.stat().st_mtime, UTC))))
    return tuple(found)


def notebook_name(environ: Mapping[str, str]) -> str:
    """The notebook's file name, where the server that started the kernel has said it; else nothing.

    A Jupyter server puts the notebook's path into `JPY_SESSION_NAME`. It goes stale when the notebook is renamed, until
    the kernel is started again.
    """
    name = environ.get("JPY_SESSION_NAME", "").replace("\\", "/").rpartition("/")[2]
    return name if name.endswith(".ipynb") else ""


def _cell_ids(path: Path) -> frozenset[str] | None:
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_NOTEBOOK:
                return None
            cells = json.load(file)["cells"]
            # Before version 4.5 of the format cells have no ids: https://nbformat.readthedocs.io/en/latest/changelog.html
            return frozenset(str(cell["id"]) for cell in cells)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
