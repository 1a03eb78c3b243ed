"""What is in a folder of records: each is read once, and the folder again only when something came or went.

A cell asks five times what is recorded: may another service answer, is the question recorded, after what, whose are the
files, is it the first. That is one look at the folder. A record that is edited in place changes nothing in its folder:
it is noticed where it counts, since what is answered from is read whole and checked; `forget` is for those who look
after the folder.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.core.ledger import without_twins
from ipython_assistant.core.provenance import TurnRecord, from_json
from ipython_assistant.core.reasons import disk_reason
from ipython_assistant.workspace.regular import fingerprint, open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ipython_assistant.workspace.regular import Fingerprint

SUFFIX = ".json"
UNSETTLED_NS = 2_000_000_000
"""A folder that changed so few nanoseconds ago may change again without a trace in its time: some disks count so
coarsely."""
_KEY = re.compile(rb'"key":\s*"([0-9a-f]{64})"')
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file among the records that is none, and why; `key` is the key that can be read in it all the same."""

    name: str
    reason: str
    key: str = ""


Found = tuple[tuple[TurnRecord, ...], tuple[Damaged, ...]]


@dataclass(slots=True)
class _Listing:
    """The folder as it was: when it had changed last, the files of the records, and the names of all others."""

    changed: tuple[int, int]
    records: Mapping[str, Fingerprint]
    others: frozenset[str]
    found: Found | None = None


class Index:
    """What one kernel knows of a folder of records.

    Args:
        folder: The folder; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listing: _Listing | None = None
        self._read: dict[str, tuple[Fingerprint, TurnRecord | Damaged]] = {}
        self._keys: dict[str, tuple[Fingerprint, str]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The files of the records. Raises `OSError`."""
        return tuple(self._listed().records)

    @property
    def others(self) -> frozenset[str]:
        """The names of everything else that is there. Raises `OSError`."""
        return self._listed().others

    def all(self) -> Found:
        """Every record without its exchange, each turn once and by time; and the files that are none.

        Raises:
            OSError: The folder cannot be read.
        """
        listing = self._listed()
        if listing.found is None:
            found = [there for name, now in listing.records.items() if (there := self._look(name, now)) is not None]
            records = without_twins([item for item in found if isinstance(item, TurnRecord)])
            listing.found = records, tuple(item for item in found if isinstance(item, Damaged))
        return listing.found

    def with_key(self, key: str) -> tuple[str, ...]:
        """The files whose record seems to have this key: only a glance is taken at each. Raises `OSError`."""
        listed = self._listed().records
        return tuple(name for name, now in listed.items() if self._key_of(name, now) == key)

    def look(self, name: str) -> TurnRecord | Damaged | None:
        """What the file of this name holds now; None where there is none."""
        try:
            return self._look(name, fingerprint(self._folder / name))
        except FileNotFoundError:
            return None
        except OSError as error:
            return Damaged(name, disk_reason(error))

    def wrote(self, name: str, record: TurnRecord) -> None:
        """This kernel has just put a record there. Raises `OSError`."""
        now = fingerprint(self._folder / name)
        self._read[name] = (now, record.summary())
        self._keys[name] = (now, record.key)

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._listing = None
        self._read.clear()
        self._keys.clear()

    def _listed(self) -> _Listing:
        try:
            there = self._folder.lstat()
        except FileNotFoundError:
            return _Listing((0, 0), {}, frozenset())
        if stat.S_ISLNK(there.st_mode):
            raise OSError(errno.ELOOP, "it is a link")
        changed = there.st_ino, there.st_mtime_ns
        listing = self._listing
        if listing is None or listing.changed != changed:
            settled = time.time_ns() - there.st_mtime_ns > UNSETTLED_NS
            listing = self._look_around(changed)
            self._listing = listing if settled else None
        return listing

    def _look_around(self, changed: tuple[int, int]) -> _Listing:
        try:
            with os.scandir(self._folder) as entries:
                names = sorted(entry.name for entry in entries)
        except FileNotFoundError:
            names = []
        records = {}
        for name in names:
            if name.endswith(SUFFIX):
                try:
                    records[name] = fingerprint(self._folder / name)
                except FileNotFoundError:
                    continue  # another kernel or its user has just removed it
        return _Listing(changed, records, frozenset(names) - records.keys())

    def _look(self, name: str, now: Fingerprint) -> TurnRecord | Damaged | None:
        """The record in a file; it is read again only if the file is another one."""
        before = self._read.get(name)
        if before is not None and before[0] == now:
            return before[1]
        try:
            with open_regular(self._folder / name) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            return Damaged(name, disk_reason(error))
        there: TurnRecord | Damaged
        try:
            # Without what is only needed when the question is asked again: a folder may hold many records.
            there = read_record(content).summary()
        except ValueError as error:
            there = Damaged(name, str(error), _key_in(content))
        self._read[name] = (now, there)
        return there

    def _key_of(self, name: str, now: Fingerprint) -> str:
        """The key that stands in a file, near its beginning; nothing where there is none."""
        before = self._keys.get(name)
        if before is not None and before[0] == now:
            return before[1]
        try:
            with open_regular(self._folder / name) as file:
                head = file.read(_HEAD_BYTES)
                # Written anew by another program, it may stand anywhere.
                key = _key_in(head) or _key_in(head + file.read())
        except OSError:
            return ""
        self._keys[name] = (now, key)
        return key


def read_record(content: bytes) -> TurnRecord:
    """The record in a file's bytes. Raises `ValueError` where they hold none, or one that was changed."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    return from_json(text)


def _key_in(content: bytes) -> str:
    match = _KEY.search(content)
    return match[1].decode() if match is not None else ""
