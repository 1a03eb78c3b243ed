"""The recordings in a folder: kept when a turn has ended, found when its question is asked again.

A recording is a record in `.turns/` and the bytes of its files in `.turns/bodies/`. Nothing is replayed that is not
what was recorded: a record holds its own digest, and a body is named by its hash.
"""

from __future__ import annotations

import contextlib
import difflib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING

from ipython_assistant.core.artifacts import Artifact, FailedArtifact
from ipython_assistant.core.ledger import REPLAYED, answers, best_first
from ipython_assistant.core.provenance import slug, slug_of
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.core.recording import differences, first_words, take_out
from ipython_assistant.errors import NotRecorded, RecordingDamaged
from ipython_assistant.workspace.bodies import Bodies, Hashes
from ipython_assistant.workspace.folder import Incoming
from ipython_assistant.workspace.provenance import BODIES, TURNS

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.provenance import RecordedFile, TurnRecord
    from ipython_assistant.core.recording import Exchange, Written
    from ipython_assistant.workspace.folder import Folder
    from ipython_assistant.workspace.index import Damaged

MAX_RECORDED_BYTES = 10_000_000
"""A larger file is known by its hash alone, and found among the saved files."""
WORTH_A_THREAD = 8_000_000
"""Files of fewer bytes in all are hashed one after the other."""
HASHED_AT_ONCE = 4
MOST_LISTED = 5
ALIKE = 0.5
"""Questions that a rough measure finds less alike than this are not compared more closely."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A turn that can be replayed.

    Attributes:
        record: Its whole record, with the exchange.
        path: Where it is.
    """

    record: TurnRecord
    path: Path


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """The files of a recording, on disk again.

    Attributes:
        artifacts: In the answer's order, under the recorded names.
        failed: The files that are not there: missing already then, or too large to be recorded and deleted since.
        repeated: Names of saved figures that show the same as a saved picture.
        notes: What the reader should know beside what was noted then, in plain sentences.
    """

    artifacts: tuple[Artifact, ...] = ()
    failed: tuple[FailedArtifact, ...] = ()
    repeated: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """The recording that is nearest to a question, and what differs, in words."""

    record: TurnRecord
    differs: tuple[str, ...]


class Recordings:
    """The recordings of one folder, for one kernel.

    Args:
        folder: Where the files are; its records are in `.turns`.
        max_bytes: Larger files are recorded by their hash alone.
    """

    def __init__(self, folder: Folder, max_bytes: int = MAX_RECORDED_BYTES) -> None:
        self.hashes = Hashes()
        self.bodies = Bodies(folder.turns, self.hashes)
        self.folder = folder
        self._turns = folder.turns
        self._max_bytes = max_bytes
        self._is_new = True
        self._keeps = threading.Lock()
        """Several questions may be asked at once, and only one is the first."""

    @property
    def where(self) -> str:
        """The folder of the recordings, relative to the notebook's directory."""
        return self.folder.href(TURNS)

    @property
    def is_new(self) -> bool:
        """Whether nothing is recorded here yet; asked until something is."""
        if self._is_new:
            try:
                self._is_new = not self.all()
            except OSError:
                return False
        return self._is_new

    # --- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, record: TurnRecord) -> tuple[str, ...]:
        """Keep the record of a turn, and its files if it came to its end; gives what the reader should know.

        What is given is part of the record too, so that a replay says the same.

        Args:
            record: The turn; with a key and an exchange it becomes a recording.
        """
        if not record.key or record.exchange is None or record.status not in REPLAYED:
            return self.folder.record(replace(record, exchange=None))
        with self._keeps:
            return self._kept(record, record.exchange)

    def _kept(self, record: TurnRecord, exchange: Exchange) -> tuple[str, ...]:
        notes = []
        if self.is_new:
            notes.append(f"Answers are recorded from now on, in {self.where}; its README says what that holds.")
        taken: dict[str, bytes] = {}
        events = tuple(take_out(event, taken) for event in exchange.events)
        try:
            for sha256, content in taken.items():
                self.bodies.keep(sha256, len(content), content)
            files = tuple(replace(file, kept=self._keep(file)) for file in record.files)
        except OSError as error:
            note = f"This answer could not be recorded: {disk_reason(error)}."
            return (note, *self.folder.record(replace(record, exchange=None)))
        large = [file.name for file in files if file.size > self._max_bytes]
        if large:
            limit = f"{self._max_bytes / 1e6:g} MB"
            notes.append(f"Over {limit}, so not in the recording: {', '.join(large)}. A replay needs the saved file.")
        exchange = replace(exchange, events=events)
        record = replace(record, files=files, exchange=exchange, notes=(*record.notes, *notes))
        return (*notes, *self.folder.record(record))

    def _keep(self, file: RecordedFile) -> bool:
        small = file.size <= self._max_bytes
        return small and self.bodies.keep(file.sha256, file.size, self.folder.path / file.name)

    # --- finding ------------------------------------------------------------------------------------------------------

    def find(self, key: str, services: Container[str] | None = None, *, with_missing: bool = False) -> Recording | None:
        """The recording a question is answered from; None where there is none. See `core.ledger.best_first`.

        Args:
            key: The key of the turn.
            services: The services that may have answered; None for any.
            with_missing: Also a turn that lacks files.

        Raises:
            RecordingDamaged: There is one, it was changed since it was written, and there is no other.
        """
        found: dict[str, Recording] = {}
        damaged: list[tuple[str, str]] = []
        try:
            names = self._turns.names_with(key)
        except OSError as error:
            raise self._damaged(TURNS, disk_reason(error)) from error
        for name in names:
            try:
                record = self._turns.read(name)
            except FileNotFoundError:
                continue  # it has just been removed
            except OSError as error:
                damaged.append((name, disk_reason(error)))
            except ValueError as error:
                damaged.append((name, str(error)))
            else:
                if record.key == key and answers(record, services, with_missing=with_missing):
                    found[record.id] = Recording(record, self._turns.path / name)
        best = best_first(recording.record for recording in found.values())
        if best:
            return found[best[0].id]
        if damaged:
            raise self._damaged(f"{TURNS}/{damaged[0][0]}", damaged[0][1])
        return None

    def all(self) -> tuple[TurnRecord, ...]:
        """Every recording, by time, without what went over the wire. Raises `OSError`."""
        records, _ = self._turns.read_all()
        return tuple(record for record in sorted(records, key=lambda item: item.began) if record.exchange is not None)

    def services(self) -> frozenset[str]:
        """The services whose answers are recorded here; none where the records cannot be read."""
        with contextlib.suppress(OSError):
            records, _ = self._turns.read_all()
            return frozenset(record.service for record in records if answers(record, with_missing=True))
        return frozenset()

    def nearest(self, written: Written) -> Near | None:
        """The recording that is nearest to what was written, and what differs; None where nothing is recorded.

        Raises:
            OSError: The records cannot be read.
        """
        records, _ = self._turns.read_all()
        written, names = self._turns.as_kept(written), _names(records)
        ranked = [(_likeness(written, record), record) for record in records if answers(record, with_missing=True)]
        best = max(ranked, key=lambda pair: pair[0], default=(None, None))[1]
        if best is None or best.written is None:
            return None
        differs = differences(written, best.written, lambda digest: names.get(digest, "an answer that is not recorded"))
        if best.missing:
            differs.append("that files of it are missing")
        return Near(best, tuple(differs))

    def asked_because(self, written: Written) -> str:
        """Why a question is asked although it may be recorded, as a sentence; nothing where it is not.

        Its record may be damaged, so that it is not known by its key any more. Or a cell above has another answer now,
        or cells ran in another order.
        """
        try:
            records, _ = self._turns.read_all()
        except OSError:
            return ""
        damaged = self.lost(written)
        return (
            f"{damaged[:-1]}; so it is asked anew."
            if damaged
            else _other_predecessor(records, self._turns.as_kept(written))
        )

    def lost(self, written: Written) -> str:
        """Which record may hold the question's answer and cannot be read, as a sentence; nothing where none may."""
        try:
            _, damaged = self._turns.read_all()
        except OSError:
            return ""
        kept = self._turns.as_kept(written)
        lost = [item for item in damaged if _may_hold(item, kept)]
        if not lost:
            return ""
        named = self.folder.href(f"{TURNS}/{lost[0].name}")
        more = f", and so may {len(lost) - 1} more that cannot be read" if len(lost) > 1 else ""
        return f"This question may be recorded in {named}, but {lost[0].reason}{more}."

    def not_recorded(
        self, written: Written, why: str = "In replay mode nothing is asked.", cure: str = ""
    ) -> NotRecorded:
        """The error for a question that has to be answered from a recording and has none.

        Args:
            written: The question.
            why: Why nobody is asked, as a sentence.
            cure: What to do; if not given, what to do in replay mode.
        """
        record = cure or (
            'Ask it where there is a service, with `%config AssistantMagics.mode = "live"`,'
            " or record the whole notebook: `ipython-assistant record NOTEBOOK`."
        )
        try:
            near = self.nearest(written)
            _, damaged = self._turns.read_all()
        except OSError as error:
            told = [f"The records in {self.where} cannot be read: {disk_reason(error)}."]
        else:
            told = [
                f"Nothing is recorded in {self.folder.path / TURNS}.",
                "Is the notebook in another directory? Set IPYTHON_ASSISTANT_DIR to it before the kernel starts.",
            ]
            if near is not None:
                first = f"“{first_words(near.record.prompt)}” of {near.record.began[:10]}"
                told = [
                    f"The nearest in {self.folder.path / TURNS} is {first}. What differs:",
                    *(f"  {it}" for it in near.differs),
                ]
            if damaged:
                told = ["Records that cannot be read, and may be what is missing:", *self._listed(damaged), *told]
        return NotRecorded(f"This question is not recorded. {why}", "\n".join([record, *told]))

    def _listed(self, damaged: Sequence[Damaged]) -> list[str]:
        lines = [f"  {self.folder.path / TURNS / item.name}: {item.reason}" for item in damaged[:MOST_LISTED]]
        more = len(damaged) - len(lines)
        return [*lines, f"  and {more} more: ipython-assistant recordings --check"] if more else lines

    # --- replaying ----------------------------------------------------------------------------------------------------

    def bring_back(self, recording: Recording, cell: str, in_use: Container[str] = ()) -> BroughtBack:
        """Put the files of a recording where they were, under the recorded names; what is there unchanged stays.

        A file that its user has changed since is not overwritten: the recorded one gets another name, and that is said.

        Args:
            recording: The recording.
            cell: The cell that owns the files.
            in_use: Saved names that other cells show: never replaced.

        Raises:
            RecordingDamaged: A body is gone or was changed. Nothing was put anywhere by then.
        """
        record = recording.record
        there = self._saved(record.files)
        sources = {file.name: self._source(file) for file in record.files if file.name not in there}
        restored = self._restored(
            [file for file in record.files if file.name not in there], sources, record, cell, in_use
        )
        outcomes = [(file, restored.get(file.name) or self._artifact(file)) for file in record.files]
        back = [(file, outcome) for file, outcome in outcomes if isinstance(outcome, Artifact)]
        return BroughtBack(
            artifacts=tuple(artifact for _, artifact in back),
            failed=(*record.missing, *(outcome for _, outcome in outcomes if isinstance(outcome, FailedArtifact))),
            repeated=frozenset(artifact.name for file, artifact in back if file.repeated),
            notes=tuple(
                f"{file.name} is another file by now, so the recorded one is saved as {artifact.name}."
                for file, artifact in back
                if artifact.name != file.name
            ),
        )

    def open_body(self, sha256: str) -> IO[bytes]:
        """A recorded body, to be read.

        Raises:
            RecordingDamaged: It is gone, or was changed since.
        """
        try:
            return self.bodies.open(sha256)
        except OSError as error:
            reason = disk_reason(error)
        except ValueError as error:
            reason = str(error)
        raise self._damaged(f"{TURNS}/{BODIES}/{sha256}", reason)

    def _saved(self, files: Sequence[RecordedFile]) -> frozenset[str]:
        """The names of the files that are on disk as they were recorded."""

        def look(file: RecordedFile) -> bool:
            return self.hashes.match(self.folder.path / file.name, file.size, file.sha256)

        unknown = [file.size for file in files if not self.hashes.knows(self.folder.path / file.name)]
        if sum(unknown) < WORTH_A_THREAD:
            return frozenset(file.name for file in files if look(file))
        # Hashing runs beside other threads: https://docs.python.org/3/library/hashlib.html
        with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
            return frozenset(file.name for file, same in zip(files, pool.map(look, files), strict=True) if same)

    def _source(self, file: RecordedFile) -> Path | None:
        """Where the bytes of a file are; None if they were too large to be recorded, and are gone."""
        if file.kept:
            self.open_body(file.sha256).close()
            return self.bodies.path(file.sha256)
        return next(self._twins(file), None)

    def _twins(self, file: RecordedFile) -> Iterator[Path]:
        """Saved files of other names with the very same bytes."""
        records: Iterable[TurnRecord] = ()
        with contextlib.suppress(OSError):
            records, _ = self._turns.read_all()
        names = {other.name for record in records for other in record.files if other.sha256 == file.sha256}
        for name in sorted(names):
            if self.hashes.match(self.folder.path / name, file.size, file.sha256):
                yield self.folder.path / name

    def _restored(
        self,
        files: Sequence[RecordedFile],
        sources: Mapping[str, Path | None],
        record: TurnRecord,
        cell: str,
        in_use: Container[str],
    ) -> dict[str, Artifact | FailedArtifact]:
        """The files as they are put in their places, by their recorded names."""
        if not files:
            return {}
        try:
            staging = self.folder.stage()
        except OSError as error:
            return {file.name: _not_saved(file, disk_reason(error)) for file in files}
        save = partial(self.folder.save, cell=cell, in_use=in_use, turn=f"recording {record.id}", key=record.key)
        try:
            return {file.name: _put(file, sources[file.name], staging / "body.part", save) for file in files}
        finally:
            self.folder.unstage(staging)

    def _artifact(self, file: RecordedFile) -> Artifact:
        return Artifact(
            name=file.name,
            own_name=file.own_name,
            path=self.folder.path / file.name,
            href=self.folder.href(file.name),
            size=file.size,
            sha256=file.sha256,
            media_type=file.media_type,
            container_id=file.container_id,
            file_id=file.file_id,
            found=file.found,
        )

    def _damaged(self, name: str, reason: str) -> RecordingDamaged:
        return RecordingDamaged(
            f"The recording in {self.folder.href(name)} is not replayed: {reason}.",
            "Bring it back (from version control, for one), or ask anew: %%assistant --fresh.",
        )


def _put(
    file: RecordedFile, source: Path | None, staged: Path, save: Callable[[Incoming], Artifact | FailedArtifact]
) -> Artifact | FailedArtifact:
    """Put a recorded file in its place."""
    if source is None:
        return _failed(file, "It was too large to be recorded, and is no longer among the saved files.")
    try:
        shutil.copyfile(source, staged)
    except OSError as error:
        return _not_saved(file, disk_reason(error))
    saved = save(Incoming(file.name, staged, file.size, file.sha256, file.found, file.container_id, file.file_id))
    if isinstance(saved, FailedArtifact):
        return _failed(file, saved.reason)
    return replace(saved, own_name=file.own_name, media_type=file.media_type, note="")


def _failed(file: RecordedFile, reason: str) -> FailedArtifact:
    return FailedArtifact(file.own_name, reason, file.container_id, file.file_id)


def _not_saved(file: RecordedFile, reason: str) -> FailedArtifact:
    return _failed(file, f"It could not be saved: {reason}.")


def _may_hold(item: Damaged, written: Written) -> bool:
    """Whether a damaged record may be that of a question whose key is not found in it: by its name, where it has one.

    What can be read of a key says nothing: it may be what was damaged.
    """
    named = slug_of(item.name)
    return named == slug(written.prompt) if named is not None else not item.key


def _names(records: Iterable[TurnRecord]) -> dict[str, str]:
    """The first words of each turn's question, by the turn's digest."""
    return {record.digest: first_words(record.prompt) for record in records if record.digest}


def _other_predecessor(records: Sequence[TurnRecord], written: Written) -> str:
    names, asked = _names(records), written.body()
    for record in sorted(records, key=lambda record: record.began, reverse=True):
        if record.written is None or record.exchange is None or record.written.parent == written.parent:
            continue
        if replace(record.written, parent=written.parent).body() == asked:
            then = f"after “{names.get(record.written.parent, 'another answer')}”"
            then = then if record.written.parent else "at the beginning of a conversation"
            now = f"after “{names.get(written.parent, 'another answer')}”" if written.parent else "at the beginning"
            if names.get(written.parent) == names.get(record.written.parent) and written.parent:
                now = "after another answer to that"
            return f"This question was recorded {then} and now comes {now}, so it is asked anew."
    return ""


def _likeness(asked: Written, record: TurnRecord) -> tuple[float, int, str]:
    """How near a recording is to what was written: by the question, then by the rest, then the later one."""
    recorded = record.written
    if recorded is None:
        return 0.0, 0, record.ended
    matcher = difflib.SequenceMatcher(None, asked.prompt.strip(), recorded.prompt.strip(), autojunk=False)
    rough = matcher.quick_ratio()
    return matcher.ratio() if rough > ALIKE else rough, -len(differences(asked, recorded)), record.ended
