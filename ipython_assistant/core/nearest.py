"""What somebody who mistyped a word most likely meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], *, before: str = "") -> str:
    """The beginning of a hint, with a blank behind it; nothing where no word that is known is near.

    Args:
        word: As it was written.
        known: The words there are.
        before: What stands before the word where it is written.

    >>> did_you_mean("modle", ["model", "input"], before="--"), did_you_mean("xyz", ["model"])
    ('Did you mean --model? ', '')
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {before}{near[0]}? " if near and near[0] != word else ""
