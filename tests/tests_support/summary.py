"""Sums that a run of the tests prints at its end, also where several processes share the tests (pytest-xdist)."""

from typing import Any

import pytest

TALLIES = pytest.StashKey[dict[str, Any]]()
"""Whose → what became of all files, with the words for it as its `str`."""
_LEFT_OUT = pytest.StashKey[int]()
"""How many tests `-m` leaves out: every process chooses from all."""
_OF_WORKERS = "ipython_assistant"


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Also called with none."""
    if items:
        stash = items[0].config.stash
        stash[_LEFT_OUT] = stash.get(_LEFT_OUT, 0) + len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its sums on."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        stash = session.config.stash
        output[_OF_WORKERS] = (
            {whose: str(tally) for whose, tally in stash.get(TALLIES, {}).items()},
            stash.get(_LEFT_OUT, 0),
        )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker is done; one that broke has no sums."""
    sums, node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get(_OF_WORKERS, ({}, 0))
    node.config.stash.setdefault(TALLIES, {}).update(sums)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What became of the files, and how many tests did not run."""
    tallies = config.stash.get(TALLIES, {})
    if tallies:
        terminalreporter.section("files in the fault matrix")
        for whose, tally in tallies.items():
            terminalreporter.line(f"{whose:<18} {tally}")
    left_out = config.stash.get(_LEFT_OUT, 0)
    if left_out:
        terminalreporter.line(f"tests left out by -m {config.getoption('markexpr')!r}: {left_out:,}")
