"""Sums that a run of the tests prints at its end, also where several processes share the tests (pytest-xdist)."""

from __future__ import annotations

from typing import Any

import pytest

TALLIES = pytest.StashKey[dict[str, Any]]()
"""Whose → what became of all files, with the words for it as its `str`."""
_OF_WORKERS = "ipython_assistant tallies"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its sums on."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_OF_WORKERS] = {whose: str(tally) for whose, tally in session.config.stash.get(TALLIES, {}).items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker is done; one that broke has no sums."""
    sums = getattr(node, "workeroutput", {}).get(_OF_WORKERS, {})
    node.config.stash.setdefault(TALLIES, {}).update(sums)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What became of the files: ours, and the obvious loop's."""
    tallies = config.stash.get(TALLIES, {})
    if tallies:
        terminalreporter.section("files in the fault matrix")
        for whose, tally in tallies.items():
            terminalreporter.line(f"{whose:<18} {tally}")
