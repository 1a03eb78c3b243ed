"""A faulty service for each test, and the matrix's sums at the end of the run."""

import pytest
from tests_support.summary import TALLIES

from faults.asking import Asking
from faults.server import FaultyService
from ipython_assistant.service import downloads


@pytest.fixture
def faulty():
    """A service that goes wrong when it is told to."""
    with FaultyService() as service:
        yield service


@pytest.fixture
def asking(faulty, notebook_dir, monkeypatch):
    """A notebook of its own whose questions go to the faulty service."""
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("OPENAI_BASE_URL", faulty.url)
    # The waits between two tries are the same, in a tenth of the time.
    monkeypatch.setattr(downloads, "FIRST_BACKOFF_S", downloads.FIRST_BACKOFF_S / 10)
    with Asking(faulty, notebook_dir) as asking:
        yield asking


@pytest.fixture
def tallies(request):
    """The sums of this run, by whose they are."""
    return request.config.stash.setdefault(TALLIES, {})
