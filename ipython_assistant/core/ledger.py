"""All records of a folder together: whose file is whose, which turns are gone, what is left over.

Several kernels, and several notebooks, may keep their records in one folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ipython_assistant.core.provenance import is_cell_id, is_unnamed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from ipython_assistant.core.provenance import RecordedFile, TurnRecord

TOOK_PLACE = frozenset({"completed", "refused", "incomplete"})
"""The statuses of a turn that took its place in the conversation, and so ended the one its cell had before."""

REPLAYED = ("completed", "refused")
"""The statuses of a turn that is replayed, the better one first."""
LOCAL = "local"
"""The service that answers without a model of its own: any other is hosted."""


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """A notebook on disk.

    Attributes:
        name: Its file name.
        cells: The ids of its cells; None where they cannot be read, so that it may hold any cell.
        saved: When it was saved, `2026-01-15T09:30:00.000Z`.
    """

    name: str
    cells: frozenset[str] | None
    saved: str

    def may_hold(self, cell: str) -> bool:
        """Whether the cell is in it, as far as can be known."""
        return self.cells is None or cell in self.cells


State = Literal["present", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A file that a record names, and how it stands on disk.

    Attributes:
        record: The turn it is from: the latest, where it is from several.
        file: The file, as it was then.
        href: Where it is, relative to the notebook's directory.
        state: On disk as it was then, changed since, or gone.
        left_over: Whether its turn is gone, so that nothing refers to it any more.
    """

    record: TurnRecord
    file: RecordedFile
    href: str
    state: State
    left_over: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """All records of a folder, and what is known beside them.

    Attributes:
        records: In any order, each turn once.
        notebooks: The notebooks beside the folder.
        at_work: The kernels that run now.
    """

    records: tuple[TurnRecord, ...] = ()
    notebooks: tuple[NotebookFile, ...] = ()
    at_work: frozenset[str] = frozenset()

    def place(self, record: TurnRecord) -> tuple[str, str]:
        """Where the turn belongs: its notebook and cell. Two records of one place are two runs of one cell.

        Without the notebook's name, or the cell's, only the kernel that asked knows the place: a notebook that was
        copied has the same cell ids as its original, and is not the same.
        """
        if not record.notebook or is_unnamed(record.cell):
            return f"kernel {record.kernel}", record.cell
        return self._home(record), record.cell

    def gone(self) -> frozenset[str]:
        """The ids of the turns that are gone.

        A turn is gone when its cell ran again to the end, or when its notebook was saved since without the cell. As
        long as the kernel that asked is at work, another kernel's run of the same cell does not end its turn.
        """
        gone = {record.id for record in self.records if self._cell_is_deleted(record)}
        runs: dict[tuple[str, str], list[TurnRecord]] = {}
        for record in sorted(self.records, key=lambda record: (record.ended, record.id)):
            runs.setdefault(self.place(record), []).append(record)
        for of_one_cell in runs.values():
            finished = [at for at, record in enumerate(of_one_cell) if record.status in TOOK_PLACE]
            if not finished:
                continue
            latest = of_one_cell[finished[-1]]
            for record in of_one_cell[: finished[-1]]:
                if record.kernel == latest.kernel or record.kernel not in self.at_work:
                    gone.add(record.id)
        return frozenset(gone)

    def present_files(self) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
        """The files that present turns refer to, by time: each name and hash once, with the latest turn."""
        gone = self.gone()
        return _latest(record for record in self.records if record.id not in gone)

    def left_files(self) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
        """The files of turns that are gone, if they were ours and no present turn refers to their names."""
        gone = self.gone()
        referred = {file.name for record in self.records if record.id not in gone for file in record.files}
        left = _latest(record for record in self.records if record.id in gone)
        return tuple((record, file) for record, file in left if file.ours and file.name not in referred)

    def owned(self, notebook: str, kernel: str, cell: str, key: str = "") -> Mapping[str, frozenset[str]]:
        """What earlier runs of a cell wrote, or earlier recordings of its question: saved name → the hashes it had.

        Args:
            notebook: The notebook.
            kernel: The kernel that asks.
            cell: The cell.
            key: The key of its question.
        """
        owned: dict[str, frozenset[str]] = {}
        for record in self.records:
            if self._is_mine(record, notebook, kernel, cell) or self._is_replaced(record, kernel, key):
                for file in record.files:
                    if file.ours:
                        owned[file.name] = owned.get(file.name, frozenset()) | {file.sha256}
        return owned

    def claimed(self, notebook: str, kernel: str, cell: str, key: str = "") -> frozenset[tuple[str, str]]:
        """The files that present turns of other cells, notebooks and kernels refer to: saved name and hash.

        The arguments are those of `owned`.
        """
        gone = self.gone()
        return frozenset(
            (file.name, file.sha256)
            for record in self.records
            if record.id not in gone
            and not self._is_mine(record, notebook, kernel, cell)
            and not self._is_replaced(record, kernel, key)
            for file in record.files
        )

    def _is_mine(self, record: TurnRecord, notebook: str, kernel: str, cell: str) -> bool:
        """Whether a record is an earlier run of this cell: by this kernel, or by one that has ended."""
        if record.kernel != kernel and record.kernel in self.at_work:
            return False
        asked = replace(record, notebook=notebook, kernel=kernel, cell=cell)
        return record.cell == cell and self.place(record) == self.place(asked)

    def _is_replaced(self, record: TurnRecord, kernel: str, key: str) -> bool:
        """Whether a new answer to the question of this key takes the record's place, whoever asked it then."""
        return bool(key) and record.key == key and (record.kernel == kernel or record.kernel not in self.at_work)

    def _home(self, record: TurnRecord) -> str:
        """The notebook the cell is in now: the record's own, unless it is gone from there and in one other."""
        own = next((notebook for notebook in self.notebooks if notebook.name == record.notebook), None)
        if own is not None and own.may_hold(record.cell):
            return own.name
        others = [notebook.name for notebook in self.notebooks if notebook.cells and record.cell in notebook.cells]
        return others[0] if len(others) == 1 else record.notebook

    def _cell_is_deleted(self, record: TurnRecord) -> bool:
        own = next((notebook for notebook in self.notebooks if notebook.name == record.notebook), None)
        if own is None or own.saved <= record.ended or not is_cell_id(record.cell):
            return False
        return not any(notebook.may_hold(record.cell) for notebook in self.notebooks)


def _latest(
    records: Iterable[TurnRecord],
) -> tuple[tuple[TurnRecord, RecordedFile], ...]:
    latest = {
        (file.name, file.sha256): (record, file)
        for record in sorted(records, key=lambda record: (record.ended, record.id))
        for file in record.files
    }
    return tuple(sorted(latest.values(), key=lambda found: (found[0].ended, found[0].id)))


def without_twins(records: Sequence[TurnRecord]) -> tuple[TurnRecord, ...]:
    """Each turn once: the latest where one was recorded more than once."""
    once: dict[str, TurnRecord] = {}
    for record in sorted(records, key=lambda record: record.ended):
        once[record.id] = record
    return tuple(once.values())


# --- recordings of one question ---------------------------------------------------------------------------------------


def answers(record: TurnRecord, services: Container[str] | None = None, *, with_missing: bool = False) -> bool:
    """Whether a question may be answered from a record: its turn came to its end, and all of its files came home.

    Args:
        record: The record.
        services: The services that may answer; None for any.
        with_missing: Also where files of the answer are missing.
    """
    return (
        record.exchange is not None
        and record.status in REPLAYED
        and (services is None or record.service in services)
        and (with_missing or not record.missing)
    )


def best_first(records: Iterable[TurnRecord]) -> list[TurnRecord]:
    """Recordings of one question, the one it is answered from first.

    An answer goes before a refusal, one that is whole before one that lacks files, a hosted service's before the local
    one's, then the later one: none of the others ever takes a recording's place.
    """
    latest_first = sorted(records, key=lambda record: (record.ended, record.began, record.id), reverse=True)
    return sorted(
        latest_first,
        key=lambda record: (record.status != REPLAYED[0], bool(record.missing), record.service == LOCAL),
    )
