"""Where files go: beside the notebook, under the model's own names, never over anything that is not ours.

Whose a file is: a cell's own file is one that this package wrote for it, in this kernel or in one that has ended. It
is replaced if it is unchanged since and no other cell's present turn refers to it. Everything else that has the name
stays as it is. Other kernels may work in the same folder, on copies of the same notebook too: a new name goes to the
first who asks for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.core.artifacts import Artifact, FailedArtifact, Found
from ipython_assistant.core.naming import folded, media_type, numbered, plain_name, safe_name
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.errors import ConfigError
from ipython_assistant.workspace.provenance import Turns, notebook_name
from ipython_assistant.workspace.regular import fingerprint, place_new, refuse_links, sha256_of
from ipython_assistant.workspace.secrets import LocalSecrets

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from ipython_assistant.core.provenance import TurnRecord

LEFT_OVER_AFTER_S = 6 * 3600.0
"""A staging directory of a kernel that is no more is removed when nothing was written to it for so long."""
_STAGING = re.compile(r"\.staging-(?:([0-9a-f]{12})-)?\w+")
_NAME_REFUSED = {errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG}
_IN_USE = {errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY}
_MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file in the staging directory that is to get its own name."""

    own_name: str
    staged: Path
    size: int
    sha256: str
    found: Found
    container_id: str = ""
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What this kernel knows of a file: its hash when it was saved, for whom, and whether this package wrote it."""

    sha256: str
    cells: frozenset[str]
    turns: frozenset[str]
    ours: bool


@dataclass(frozen=True, slots=True)
class _Owner:
    """For whom a file is being saved."""

    cell: str
    turn: str
    in_use: Container[str]
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the records say to the owner of a turn: what its cell wrote before, and what others refer to."""

    owner: _Owner
    owned: Mapping[str, frozenset[str]]
    claimed: frozenset[tuple[str, str]]


class Folder:
    """The folder where one notebook's files are saved, and what this kernel has put there.

    Args:
        notebook_dir: What links are relative to.
        save_dir: The folder itself, absolute; made when the first file comes. On the way to it no link below the
            notebook's directory is followed, since it may have come with the notebook; nor is any in it.
        environ: Where the notebook's name is looked for.
        environment: Gives what must not get into a record, as it is then; if not given, that is `environ`.
        kernel: This kernel's own name, twelve hexadecimal digits; a random one, if not given.
    """

    def __init__(
        self,
        notebook_dir: Path,
        save_dir: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        environment: Callable[[], Mapping[str, str]] | None = None,
        kernel: str | None = None,
    ) -> None:
        self._notebook_dir = notebook_dir
        self._save_dir = save_dir
        self._kernel = kernel or secrets.token_hex(6)
        self._kept: dict[str, _Kept] = {}
        self._recorded: _Recorded | None = None
        self._listing = _Listing(save_dir)
        self._swept = False
        self._one_at_a_time = threading.RLock()
        """Several questions may be asked at once."""
        self._turns = Turns(
            save_dir,
            kernel=self._kernel,
            notebook=notebook_name(environ),
            within=notebook_dir,
            redaction=LocalSecrets(notebook_dir, environment or (lambda: environ)).redactor,
        )

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self._save_dir

    @property
    def notebook_dir(self) -> Path:
        """The notebook's directory."""
        return self._notebook_dir

    @property
    def turns(self) -> Turns:
        """The records of the turns whose files are here."""
        return self._turns

    def href(self, name: str) -> str:
        """Where the file of this name is, relative to the notebook's directory, with forward slashes."""
        path = self._save_dir / name
        try:
            return Path(os.path.relpath(path, self._notebook_dir)).as_posix()
        except ValueError:
            # On another drive of a Windows machine.
            return path.as_posix()

    def stage(self) -> Path:
        """A new hidden directory beside the final names, so that a rename puts a file in place whole or not at all.

        Raises:
            OSError: The folder cannot be made or written to; `strerror` says why in words.
        """
        try:
            self.refuse_links()
            self._save_dir.mkdir(parents=True, exist_ok=True)
            staging = tempfile.mkdtemp(prefix=f".staging-{self._kernel}-", dir=self._save_dir)
        except OSError as error:
            raise OSError(error.errno, disk_reason(error)) from error
        if not self._swept:
            self._swept = True
            # This turn's files do not depend on it.
            with contextlib.suppress(OSError, RecursionError):
                self._sweep()
        return Path(staging)

    def refuse_links(self) -> None:
        """Raise `OSError` where files would go through a link that may have come with the notebook."""
        refuse_links(self._save_dir, self._notebook_dir)

    def unstage(self, staging: Path) -> None:
        """Remove a staging directory and what was left in it."""
        with contextlib.suppress(OSError, RecursionError):
            self.refuse_links()
            shutil.rmtree(staging, ignore_errors=True)

    def save(
        self, incoming: Incoming, cell: str, in_use: Container[str] = (), *, turn: str = "", key: str = ""
    ) -> Artifact | FailedArtifact:
        """Give a staged file its name.

        The same name with the same bytes is one file. The cell's own file is replaced if it is unchanged since and no
        other cell's present turn refers to it. Anything else in the way stays, and the new file is `name-2.csv`; so is
        the second file of one name in one turn. Where that is not the whole story, the artifact's `note` says the rest.

        Args:
            incoming: The file.
            cell: The cell that owns it.
            in_use: Saved names that other cells show.
            turn: What tells this turn from the cell's others; if not given, the staging directory does.
            key: The key of the turn: what an earlier recording of it wrote is the cell's own too.
        """
        owner = _Owner(cell, turn or incoming.staged.parent.name, in_use, key)
        try:
            with self._one_at_a_time:
                self.refuse_links()
                name, note = self._place(incoming, owner)
        except OSError as error:
            reason = f"It could not be saved: {disk_reason(error)}."
            return FailedArtifact(incoming.own_name, reason, incoming.container_id, incoming.file_id)
        return self._artifact(name, incoming, note)

    def adopt(self, artifact: Artifact, cell: str, turn: str, *, ours: bool) -> None:
        """A file of a recording that is on disk belongs to this cell; it may be replaced if this package wrote it."""
        if artifact.name not in self._kept:
            self._kept[artifact.name] = _Kept(artifact.sha256, frozenset({cell}), frozenset({turn}), ours)

    def record(self, record: TurnRecord) -> tuple[str, ...]:
        """Keep the record of a turn, in place of an earlier one of the same turn; gives what the reader should know."""
        files = tuple(replace(file, ours=self._wrote(file.name, file.sha256)) for file in record.files)
        with self._one_at_a_time:
            try:
                self._turns.write(replace(record, files=files))
            except OSError as error:
                return (f"The record of this turn could not be kept: {disk_reason(error)}.",)
            finally:
                self._recorded = None
        return ()

    def close(self) -> None:
        """Be at work here no more. May be called twice."""
        self._turns.end()

    def _place(self, incoming: Incoming, owner: _Owner) -> tuple[str, str]:
        """The name a file got, and what is to be said of it."""
        try:
            return self._under_one_of(numbered(safe_name(incoming.own_name)), incoming, owner)
        except OSError as error:
            plain = plain_name(incoming.own_name)
            if error.errno not in _NAME_REFUSED or plain == safe_name(incoming.own_name):
                raise
            name, note = self._under_one_of(numbered(plain), incoming, owner)
            return name, note or f"{incoming.own_name} is saved as {name}: {disk_reason(error)}."

    def _under_one_of(self, names: Iterator[str], incoming: Incoming, owner: _Owner) -> tuple[str, str]:
        notes = []
        for name in names:
            try:
                saved = self._under(name, incoming, owner)
            except _InUseError as error:
                notes.append(str(error))
                continue
            if saved is not None:
                return saved, "".join(f"{note}, so the new file is {saved}." for note in notes[:1])
        raise AssertionError("unreachable: there is always another number")  # pragma: no cover

    def _under(self, name: str, incoming: Incoming, owner: _Owner) -> str | None:
        """Try one name; gives the name under which the file is there now, None where something else has it."""
        for _ in range(_MOST_TRIES):
            there = self._listing.like(name)
            if there is None:
                try:
                    place_new(incoming.staged, self._save_dir / name)
                except FileExistsError:
                    # Another kernel was faster.
                    self._listing.forget()
                    continue
                self._listing.add(name)
                self._keep(name, incoming, owner, ours=True)
                return name
            try:
                return there if self._same_or_replaced(there, incoming, owner) else None
            except FileNotFoundError:
                # Somebody has just removed it. If it was the staged file, the next try says so.
                self._listing.forget()
        return None

    def _same_or_replaced(self, there: str, incoming: Incoming, owner: _Owner) -> bool:
        """Whether a file that has the name holds the new bytes now: because it did already, or because it may."""
        path = self._save_dir / there
        before = fingerprint(path)
        if not before.is_regular:
            return False
        own = self._own_hashes(there, owner)
        if not own and before.size != incoming.size:
            return False
        try:
            sha256 = sha256_of(path)
        except PermissionError as error:
            raise _InUseError(f"{there} cannot be read ({disk_reason(error)})") from error
        if sha256 == incoming.sha256:
            self._keep(there, incoming, owner, ours=sha256 in own)
            return True
        if sha256 not in own or (there, sha256) in self._records_for(owner).claimed or fingerprint(path) != before:
            return False
        try:
            incoming.staged.replace(path)
        except OSError as error:
            if error.errno not in _IN_USE:
                raise
            reason = f"{disk_reason(error)}; another program may have it open"
            raise _InUseError(f"{there} could not be replaced ({reason})") from error
        self._listing.add(there)
        self._keep(there, incoming, owner, ours=True)
        return True

    def _own_hashes(self, there: str, owner: _Owner) -> frozenset[str]:
        """The hashes with which this file is the cell's own, to be replaced; none where it must not be."""
        kept = self._kept.get(there)
        if there in owner.in_use or (kept is not None and owner.turn in kept.turns):
            return frozenset()
        own = self._records_for(owner).owned.get(there, frozenset())
        if kept is not None and kept.ours and owner.cell in kept.cells:
            own |= {kept.sha256}
        return own

    def _records_for(self, owner: _Owner) -> _Recorded:
        """What the records say, read once a turn."""
        if self._recorded is None or self._recorded.owner != owner:
            turns = self._turns
            try:
                ledger = turns.ledger()
                if any(record.notebook != turns.notebook for record in ledger.records):
                    # A notebook may have been renamed: then its cells are found elsewhere.
                    ledger = turns.ledger(self._notebook_dir)
            except OSError:
                self._recorded = _Recorded(owner, {}, frozenset())
            else:
                who = (turns.notebook, turns.kernel, owner.cell, owner.key)
                self._recorded = _Recorded(owner, ledger.owned(*who), ledger.claimed(*who))
        return self._recorded

    def _keep(self, name: str, incoming: Incoming, owner: _Owner, *, ours: bool) -> None:
        new = _Kept(incoming.sha256, frozenset({owner.cell}), frozenset({owner.turn}), ours)
        old = self._kept.get(name)
        if old is not None and old.sha256 == new.sha256:
            new = _Kept(new.sha256, old.cells | new.cells, old.turns | new.turns, ours or old.ours)
        self._kept[name] = new

    def _wrote(self, name: str, sha256: str) -> bool:
        kept = self._kept.get(name)
        return kept is not None and kept.ours and kept.sha256 == sha256

    def _sweep(self) -> None:
        """Remove the staging directories of kernels that are no more."""
        at_work = self._turns.at_work() | {self._kernel}
        for entry in os.scandir(self._save_dir):
            staging = _STAGING.fullmatch(entry.name)
            if staging is None or staging[1] in at_work or not _is_our_directory(entry):
                continue
            if time.time() - _last_written(Path(entry.path)) > LEFT_OVER_AFTER_S:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _artifact(self, name: str, incoming: Incoming, note: str) -> Artifact:
        return Artifact(
            name=name,
            own_name=incoming.own_name,
            path=self._save_dir / name,
            href=self.href(name),
            size=incoming.size,
            sha256=incoming.sha256,
            media_type=media_type(name),
            container_id=incoming.container_id,
            file_id=incoming.file_id,
            found=incoming.found,
            note=note,
        )


class _InUseError(Exception):
    """A file is ours to replace, but another program holds it."""


class _Listing:
    """The names in a folder, read again only when the folder has changed: many files are saved one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, set[str]] = {}
        self._changed_ns: int | None = None

    def like(self, name: str) -> str | None:
        """A name that is there and that some disk takes for this one. Raises `OSError`."""
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._changed_ns:
            self._names = {}
            for entry in os.scandir(self._folder):
                self._names.setdefault(folded(entry.name), set()).add(entry.name)
            self._changed_ns = changed_ns
        there = self._names.get(folded(name), set())
        return name if name in there else min(there, default=None)

    def add(self, name: str) -> None:
        """This name was just made or replaced here: that the folder changed is no news."""
        self._names.setdefault(folded(name), set()).add(name)
        self._changed_ns = self._folder.stat().st_mtime_ns

    def forget(self) -> None:
        """Others are at work: look again."""
        self._changed_ns = None


def _is_our_directory(entry: os.DirEntry[str]) -> bool:
    there = entry.stat(follow_symlinks=False)
    return stat.S_ISDIR(there.st_mode) and (not hasattr(os, "getuid") or there.st_uid == os.getuid())


def _last_written(directory: Path) -> float:
    times = [directory.lstat().st_mtime]
    with contextlib.suppress(OSError):
        times += [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(directory)]
    return max(times)


def check_folder(save_dir: Path, notebook_dir: Path) -> None:
    """Check that files can go there before anything is asked. Raises `ConfigError`."""
    if save_dir.exists() and not save_dir.is_dir():
        raise ConfigError(f"{save_dir} is not a folder, so no files can be saved there.", "Name another: --dir PATH")
    try:
        refuse_links(save_dir / ".turns" / "bodies", notebook_dir)
    except OSError as error:
        raise ConfigError(
            f"{error.filename} is a link, and links that may have come with a notebook are not followed.",
            "Remove it, or name the real folder with --dir PATH.",
        ) from None
