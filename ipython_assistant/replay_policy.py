"""Whether a recording answers a question, and which: the service it came from, the mode, and who may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.config import KEYS
from ipython_assistant.errors import NoKey, OptionError, RecordingDamaged

if TYPE_CHECKING:
    from ipython_assistant.config import Settings
    from ipython_assistant.question import Question
    from ipython_assistant.workspace.recordings import Recording, Recordings

HOSTED = frozenset(KEYS)


def recorded_answer(question: Question, recordings: Recordings, *, fresh: bool) -> Recording | None:
    """The recording that answers; None where the service is to be asked.

    Args:
        question: What is asked.
        recordings: Those of its folder.
        fresh: Whether an answer is wanted though there is a recording.

    Raises:
        AssistantError: Neither may answer: `OptionError`, `NoKey`, `NotRecorded`, `RecordingDamaged`.
    """
    settings = question.settings
    if fresh and settings.mode == "replay":
        raise OptionError(
            "--fresh asks again, and in replay mode nothing is asked.",
            'Leave it out, or: `%config AssistantMagics.mode = "auto"`.',
        )
    others = other_services_recorded(settings, recordings)
    if fresh or settings.mode == "live":
        if others:
            raise _no_key_of(others)
        return None
    chosen = settings.by_hand.service
    services = frozenset({chosen}) if chosen else None if settings.service == "local" else HOSTED
    key, lacking = question.written.key, not settings.raise_on_missing
    found = recordings.find(key, services, with_missing=lacking)
    if found is None and settings.mode == "replay":
        found = recordings.find(key, with_missing=lacking)
    if found is not None:
        return found
    if others and settings.mode == "auto":
        lacking_key = _no_key_of(others)
        raise recordings.not_recorded(question.written, lacking_key.message, lacking_key.hint)
    if settings.mode == "replay":
        raise recordings.not_recorded(question.written)
    damaged = recordings.lost(question.written) if _by_default(settings) else ""
    if damaged:
        # Nobody can tell any more whose answer that was.
        raise RecordingDamaged(damaged, "Bring the file back, or write --fresh on the first line to ask anew.")
    return None


def other_services_recorded(settings: Settings, recordings: Recordings) -> frozenset[str]:
    """The hosted services that answered in this folder, where only the engine would answer now, unasked.

    A hosted model's notebook is never answered by another service that nobody chose.
    """
    return recordings.services() & HOSTED if _by_default(settings) else frozenset()


def _by_default(settings: Settings) -> bool:
    """Whether the engine would answer because there is no key, and not because somebody chose it."""
    return settings.service == "local" and settings.by_hand.service is None


def _no_key_of(services: frozenset[str]) -> NoKey:
    named = " and ".join(sorted(services))
    keys = " or ".join(KEYS[service] for service in sorted(services))
    return NoKey(
        f"The answers in this folder are from {named}, and there is no key to ask it again.",
        f'Set {keys}; or let the embedded engine answer: `%config AssistantMagics.service = "local"`.',
    )
