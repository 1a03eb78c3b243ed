"""Turns as they are kept in memory: a kernel lives for days, and a turn can bring megabytes of pictures.

A picture that is on disk is known by its digest from then on. What a later turn continues from needs less still.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from ipython_assistant.core.turn import CodeCall, Image, Item, OtherItem, Turn

LONGEST_PICTURE = 200
"""In characters: a base64 text that is longer is replaced by its digest."""
_BASE64 = frozenset({"result", "image_url", "partial_image_b64", "file_data"})
"""The fields of output items that hold pictures or files as text:
https://platform.openai.com/docs/api-reference/responses/object."""


def without_pictures(turn: Turn) -> Turn:
    """The turn with each picture replaced by `sha256:` and the digest of its text."""
    return replace(turn, items=tuple(_item(item) for item in turn.items))


def without_outputs(turn: Turn) -> Turn:
    """The turn without what its code printed and showed; of other items only the containers they name are left.

    A call whose code raised has the status `failed`.
    """
    items: list[Item] = []
    for item in turn.items:
        if isinstance(item, CodeCall):
            # A hosted service calls a call completed though its code raised; then its logs tell.
            raised = "Traceback (most recent call last)" in item.logs
            items.append(replace(item, outputs=None, status="failed" if raised else item.status))
        elif isinstance(item, OtherItem):
            named = [{"container_id": container_id} for container_id in item.container_ids]
            items.append(replace(item, raw={"type": item.type, "containers": named}))
        else:
            items.append(item)
    return replace(turn, items=tuple(items))


def _item(item: Item) -> Item:
    if isinstance(item, CodeCall) and item.outputs:
        outputs = tuple(
            Image(_digest(output.url)) if isinstance(output, Image) and output.url.startswith("data:") else output
            for output in item.outputs
        )
        return replace(item, outputs=outputs)
    return replace(item, raw=_value(item.raw, "")) if isinstance(item, OtherItem) else item


def _value(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _value(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_value(part, name) for part in value]
    is_picture = isinstance(value, str) and (name in _BASE64 or value.startswith("data:"))
    return _digest(value) if is_picture and len(value) > LONGEST_PICTURE else value


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
