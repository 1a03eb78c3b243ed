"""What every test has: a clean environment, no way off this machine, a notebook directory of its own."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from IPython.core.interactiveshell import InteractiveShell
from tests_support.scripted import ScriptedService
from tests_support.summary import pytest_deselected, pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown  # noqa: F401 pytest finds its hooks here
from traitlets.config import Config

# No test needs a machine of its own: a slow one makes inputs slowly, which is no fault of theirs.
# A fixture may serve all examples of a test. `make thorough` looks at many more of them.
CALM = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("few", deadline=None, suppress_health_check=CALM, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, suppress_health_check=CALM, max_examples=400)
hypothesis.settings.load_profile("few")

# Tests interrupt themselves and what they start: that must not depend on how the test run was started, since a shell
# starts what it puts into the background with SIGINT ignored, and every process inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_OURS = ("OPENAI_", "AZURE_", "IPYTHON_ASSISTANT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "CI")
_FOR_THE_TESTS = {"IPYTHON_ASSISTANT_RECORDINGS", "IPYTHON_ASSISTANT_BROWSER_TESTS"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no base URL, no proxy and no setting of the developer's reaches a test; and every question is asked."""
    for name in list(os.environ):
        if name.upper().startswith(_OURS) and name not in _FOR_THE_TESTS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODE", "live")
    # A model server of the developer's own must not answer a test.
    monkeypatch.setenv("IPYTHON_ASSISTANT_FIND_MODELS", "0")
    monkeypatch.setenv("IPYTHON_ASSISTANT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to any other machine is an error."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not _is_loopback(str(address[0])):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)  # type: ignore[arg-type] whatever the caller passed

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def notebook_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory a test's notebook is in, which is also the working directory."""
    directory = tmp_path / "notebook"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def shell(notebook_dir: Path) -> InteractiveShell:
    """A shell with the extension loaded; unloaded (and its engine ended) afterwards."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    shell.run_line_magic("load_ext", "ipython_assistant")
    yield shell
    shell.run_line_magic("unload_ext", "ipython_assistant")
    InteractiveShell.clear_instance()


@pytest.fixture
def service() -> ScriptedService:
    """A Responses API on loopback that says what the test told it to."""
    with ScriptedService() as service:
        yield service


@pytest.fixture
def hosted(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    """The same, set as the hosted service in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    return service


@pytest.fixture
def azure_identity(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], str]], None]:
    """azure-identity, as far as it is used: call it with what gives the token."""

    def provided(provider: Callable[[], str]) -> None:
        identity = types.ModuleType("azure.identity")
        identity.DefaultAzureCredential = object
        identity.get_bearer_token_provider = lambda _credential, _scope: provider
        monkeypatch.setitem(sys.modules, "azure", types.ModuleType("azure"))
        monkeypatch.setitem(sys.modules, "azure.identity", identity)

    return provided


@pytest.fixture
def notebook(notebook_dir: Path, hosted: ScriptedService) -> Iterator[object]:
    """A notebook with cell ids whose questions go to the scripted service."""
    from tests_support.notebook import Notebook  # `make oldest` has not what it needs

    with Notebook() as notebook:
        yield notebook


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:
    """Questions are recorded and replayed, as outside of the tests."""
    monkeypatch.delenv("IPYTHON_ASSISTANT_MODE")


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A loopback address on which no server listens, reserved for this test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def run_python(notebook_dir: Path) -> Callable[[str], str]:
    """Run code in a fresh interpreter; returns what it printed."""

    def run(code: str) -> str:
        completed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=notebook_dir
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come first: they are the longest, and no other test can run an event loop while Playwright does."""
    items.sort(key=lambda item: "browser" not in item.path.parts)


def pytest_configure() -> None:
    """Hundreds of shells live in this process; each would collect all garbage once more at its end, for minutes."""
    InteractiveShell.atexit_operations = lambda _shell: None  # type: ignore[method-assign] only here, see above
