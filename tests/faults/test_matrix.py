"""Every fault with every kind of file: saved with the right bytes, or named with a reason in a cell that failed."""

import contextlib

import pytest

from faults.matrix import NOT_LOST, Tally, play_ours
from faults.scenarios import SCENARIOS
from ipython_assistant.errors import AssistantError

# Each fault with one kind of file, in turn; with the others in `make slow`.
CASES = [
    pytest.param(
        each, kind, id=f"{each.name}-{kind}", marks=[pytest.mark.slow] if place != number % len(each.kinds) else []
    )
    for number, each in enumerate(SCENARIOS.values())
    for place, kind in enumerate(each.kinds)
]


@pytest.mark.parametrize(("scenario", "kind"), CASES)
def test_no_file_is_lost(asking, tallies, scenario, kind):
    played = play_ours(asking, scenario, kind)
    tallies.setdefault("ipython_assistant", Tally()).add(played)
    lost = {made.name: fate for made, fate in played.fates if fate not in NOT_LOST}
    worse = {
        made.name: fate for made, fate in played.fates if fate not in {"saved", scenario.owed_for(kind, made.name)}
    }

    assert played.fates, "the scenario made no file"
    assert not lost, _told(played)
    assert not worse, _told(played)
    assert not played.strangers
    assert not played.outside
    for ran in played.ran:
        assert ran.error is None or isinstance(ran.error, AssistantError)
    any_named = any(fate == "named" for _, fate in played.fates)
    assert any_named or not scenario.ends_well or played.last.error is None, _told(played)
    assert scenario.ends_well or played.last.error is not None
    assert _no_leftovers(asking.folder)


def _told(played):
    lines = [f"{made.name!r} ({made.file_id}): {fate}" for made, fate in played.fates if fate != "saved"]
    for ran in played.ran:
        lines.append(f"error: {ran.error!r}")
        with contextlib.suppress(AttributeError):
            lines += [f"saved: {artifact.own_name!r} as {artifact.name!r}" for artifact in ran.answer.artifacts[:40]]
            lines += [f"failed: {failed.name!r}: {failed.reason}" for failed in ran.answer.failed]
            lines += [f"note: {note}" for note in ran.answer.notes]
    return "\n".join(lines)


def _no_leftovers(folder):
    return not folder.is_dir() or not [
        path for path in folder.rglob("*") if path.name.startswith(".staging") or path.suffix == ".part"
    ]
