"""Saved files, heads of tables and code calls, as small as a test of what is shown needs them."""

import base64
import hashlib
from pathlib import Path

import pytest

from ipython_assistant.core.artifacts import Artifact, TableHead
from ipython_assistant.core.naming import media_type as type_of_name
from ipython_assistant.core.turn import CodeCall

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def artifact(
    name: str = "a.csv", media_type: str = "text/csv", size: int = 1234, folder: str = "assistant_files", **ids: str
) -> Artifact:
    own_name, href = ids.pop("own_name", name), f"{folder}/{name}"
    return Artifact(name, own_name, Path(folder, "x"), href, size, "0" * 64, media_type, **ids)


def write(path: Path, content: bytes | str) -> Artifact:
    """A saved file that is really there."""
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest, href = hashlib.sha256(content).hexdigest(), f"{path.parent.name}/{path.name}"
    return Artifact(path.name, path.name, path, href, len(content), digest, type_of_name(path.name))


def call(code: str = "print(1)\n", logs: str | None = "1\n", status: str = "completed") -> CodeCall:
    return CodeCall("ci_1", "cntr_1", code, status, None if logs is None else (logs,))


def head(
    *rows: tuple[str | None, ...],
    columns: tuple[str, ...] = ("a", "b"),
    row_count: int | None = None,
    notes: tuple[str, ...] = (),
) -> TableHead:
    return TableHead(columns, rows, len(rows) if row_count is None else row_count, notes=notes)


def workbook(path: Path, **rows_of_sheets: list[tuple[object, ...]]) -> Path:
    book = pytest.importorskip("openpyxl").Workbook()
    book.remove(book.active)
    for name, rows in rows_of_sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path
