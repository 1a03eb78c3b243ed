"""Looks at tables in the container. Its source is sent to the kernel; the engine's own process never imports it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd

LARGEST = 50_000_000
"""In bytes: a larger table is not read only to be shown."""
LARGEST_PICTURE = 1_500_000
"""In bytes."""
MOST_COLUMNS = 40


def look(paths: list[str], most: int) -> list[dict[str, Any]]:
    """Size, columns with their types, and the first rows of each table, as JSON values."""
    return [_look(path, most) for path in paths]


def _look(path: str, most: int) -> dict[str, Any]:
    found: dict[str, Any] = {"path": path, "rows": 0, "width": 0, "columns": [], "kinds": [], "head": [], "problem": ""}
    try:
        if Path(path).stat().st_size > LARGEST:
            return {**found, "problem": "it is too large to be looked at"}
        frame = _read(path)
    except Exception as error:  # noqa: BLE001 - readers raise what they like, and the model is to hear it
        return {**found, "problem": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    narrow = frame.iloc[:, :MOST_COLUMNS]
    return {
        **found,
        "rows": len(frame),
        "width": frame.shape[1],
        "columns": [str(name) for name in narrow.columns],
        "kinds": [str(kind) for kind in narrow.dtypes],
        "head": [["" if pd.isna(cell) else str(cell) for cell in row] for row in narrow.head(most).to_numpy().tolist()],
    }


def _read(path: str) -> Any:
    ending = Path(path).suffix.lower()
    if ending in {".csv", ".tsv"}:
        return pd.read_csv(path, sep="\t" if ending == ".tsv" else ",")
    if ending == ".parquet":
        return pd.read_parquet(path)
    if ending == ".json":
        return pd.read_json(path)
    return pd.read_excel(path)


def pictures(paths: list[str]) -> list[str]:
    """The pictures that are not too large, in base64."""
    found = [Path(path) for path in paths]
    return [
        base64.b64encode(path.read_bytes()).decode("ascii")
        for path in found
        if path.is_file() and path.stat().st_size <= LARGEST_PICTURE
    ]
