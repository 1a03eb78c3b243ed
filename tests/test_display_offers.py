"""display.completer: names that are known only while the notebook runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipython_assistant.display import completer
from ipython_assistant.display.completer import Offers, Surroundings, offers

KNOWN = Surroundings({}, (), Path(), (), {"conversation": ("by year", "maps", "means"), "assistant": ("reviewer",)})


@pytest.mark.parametrize(
    ("cell", "fragment", "texts", "kind"),
    [
        ("%%assistant -c ", "", ('"by year"', "maps", "means"), "conversation"),
        ("%%assistant -c m", "m", ("maps", "means"), "conversation"),
        ("%%assistant -c 'b", "'b", ("'by year'",), "conversation"),
        ("%%assistant --assistant=r", "r", ("reviewer",), "assistant"),
        ("%%assistant --effort ", "", (), "effort"),
    ],
)
def test_conversations_and_saved_assistants_are_offered_by_name(
    cell: str, fragment: str, texts: tuple[str, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = {"-c": "conversation", "--assistant": "assistant", "--effort": "effort"}
    monkeypatch.setattr(completer, "option_targets", lambda: targets)

    assert offers(cell, 0, len(cell), KNOWN) == Offers(fragment, texts, kind)
