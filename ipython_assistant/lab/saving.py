"""A notebook without the outputs of ours that are of use only while their kernel lives.

Pure, and careful: a notebook comes from a browser and may be anything that JSON can say. Whatever does not look as the
notebook format (version 4, https://nbformat.readthedocs.io/en/latest/format_description.html) has it stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "ipython_assistant"
"""Our own key in output metadata."""
LIVE_ONLY = "buttons"
"""What the metadata of a live-only output says under our key and `output`."""
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
_REFERENCE = "IPY_MODEL_"


def without_live_outputs(notebook: object) -> None:
    """Remove our live-only outputs in place, and the stored state of their widgets; nothing else is touched."""
    gone = set()
    for cell in _items(_at(notebook, "cells")):
        outputs = _at(cell, "outputs")
        live = [output for output in _items(outputs) if _is_live_only(output)]
        if live:
            outputs[:] = [output for output in outputs if not _is_live_only(output)]
            gone |= {model_id for output in live if isinstance(model_id := _at(output, "data", VIEW, "model_id"), str)}
    if gone:
        _forget(gone, _at(notebook, "metadata", "widgets", STATE, "state"))


def _is_live_only(output: object) -> bool:
    return bool(_at(output, "metadata", KEY, "output") == LIVE_ONLY)


def _forget(gone: set[str], state: Any) -> None:
    """Remove these models from the widget state, and what only they referred to (each widget has its own layout)."""
    if not isinstance(state, dict):
        return
    others = [model for model_id, model in state.items() if model_id not in gone]
    theirs = {reference for model_id in gone for reference in _references(state.get(model_id))}
    for model_id in (gone | theirs) - {reference for model in others for reference in _references(model)}:
        state.pop(model_id, None)


def _references(value: object) -> Iterator[str]:
    """The ids of all models that a model's state refers to."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text) if text.startswith(_REFERENCE):
                yield text.removeprefix(_REFERENCE)
            case dict(members):
                waiting.extend(members.values())
            case list(members):
                waiting.extend(members)


def _at(value: Any, *names: str) -> Any:
    """What stands in nested objects under these names; None where there is nothing."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
