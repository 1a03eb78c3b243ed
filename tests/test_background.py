"""service.background: threads that do not delay the end of the process; what is prepared while no cell runs."""

import subprocess
import sys
import threading
import types

import pytest
from IPython.core.interactiveshell import InteractiveShell
from tests_support.files import write

from ipython_assistant import errors, who_answers
from ipython_assistant.magics import hooks_of
from ipython_assistant.service import background
from ipython_assistant.service.background import Threads, Warmth
from ipython_assistant.service.connection import Connections

ASKED_AT_ONCE = """
import contextlib, http.server, io, os, sys, threading
from IPython.core.interactiveshell import InteractiveShell

imported, there = threading.Event(), []
class Finder:
    def find_spec(name, *_):
        imported.set() if name == "anywidget" else None
class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        there.append(imported.wait(20))
        self.send_error(401)
sys.meta_path.insert(0, Finder)
with http.server.HTTPServer(("127.0.0.1", 0), Service) as server, contextlib.redirect_stderr(io.StringIO()):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shell = InteractiveShell.instance()
    shell.get_parent = lambda: {"metadata": {"cellId": "a"}}
    os.environ |= {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1"}
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION"):
        os.environ.pop(name, None)
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_line_magic("load_ext", "ipython_assistant")
        shell.run_cell("%%assistant\\nHello")
    server.shutdown()
print(there)
"""


@pytest.fixture
def ended():
    """Set when everything is imported."""
    return threading.Event()


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Three modules; the second waits in its import until it is let go."""
    write(tmp_path / "gate.py", "import threading\nreached, go = threading.Event(), threading.Event()\n")
    for name, code in {"one": "", "two": "import gate\ngate.reached.set()\ngate.go.wait(20)\n", "three": ""}.items():
        write(tmp_path / f"warm_{name}.py", code)
    monkeypatch.syspath_prepend(tmp_path)
    yield ("warm_one", "warm_two", "warm_three")
    for name in ("gate", "warm_one", "warm_two", "warm_three"):
        sys.modules.pop(name, None)


def finished(warmth):
    """Wait for the timer's thread, which does the importing."""
    warmth._timer.join(20)
    return not warmth._timer.is_alive()


def test_it_does_not_begin_while_a_cell_runs(modules, ended):
    warmth = Warmth(ended.set, modules, idle_s=60)
    warmth.cell_ended()
    warmth.cell_began()
    assert finished(warmth)
    assert (warmth.left, set(modules) & set(sys.modules)) == ([*modules, ended.set], set())


def test_after_a_cell_it_imports_until_another_begins_and_the_next_pause_goes_on_to_the_end(modules, ended):
    import gate

    warmth = Warmth(ended.set, modules, idle_s=0)
    warmth.cell_ended()
    assert gate.reached.wait(20)
    warmth.cell_began()
    gate.go.set()
    assert finished(warmth)
    assert warmth.left == ["warm_three", ended.set]
    assert not ended.is_set()
    warmth.cell_ended()
    assert finished(warmth)
    assert warmth.left == []
    assert set(modules) <= set(sys.modules)
    assert ended.is_set()


def test_a_module_that_cannot_be_imported_ends_it_quietly(ended):
    warmth = Warmth(ended.set, ("no_such_module_anywhere", "json"), idle_s=0)
    warmth.cell_ended()
    assert finished(warmth)
    assert (warmth.left, ended.is_set()) == ([], False)


def test_every_module_it_names_is_there():
    for name in background.MODULES:
        __import__(name)


@pytest.mark.parametrize(("key", "cell_id", "expected"), [("k", "c", True), ("", "c", True), ("k", None, False)])
def test_only_a_live_front_end_is_warmed_with_a_key_or_without(notebook_dir, monkeypatch, key, cell_id, expected):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    shell, metadata = InteractiveShell.instance(), {"cellId": cell_id} if cell_id else {}
    shell.kernel = types.SimpleNamespace(get_parent=lambda: {"metadata": metadata})
    try:
        shell.run_line_magic("load_ext", "ipython_assistant")
        owners = [getattr(callback, "__self__", None) for callback in shell.events.callbacks["post_run_cell"]]
        shell.run_line_magic("unload_ext", "ipython_assistant")
        left = [getattr(callback, "__self__", None) for callback in shell.events.callbacks["post_run_cell"]]
        assert any(isinstance(owner, Warmth) for owner in owners) is expected
        assert not any(isinstance(owner, Warmth) for owner in left)
    finally:
        InteractiveShell.clear_instance()


@pytest.mark.parametrize("variables", [
    {"OPENAI_API_KEY": "sk-0"}, {"IPYTHON_ASSISTANT_MODE": "replay"}, {"IPYTHON_ASSISTANT_SERVICE": "azure"},
])  # fmt: skip
def test_no_engine_is_started_where_it_would_not_answer(shell, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hooks_of(shell).prepare()
    assert list(hooks_of(shell).session.connections) == []


IDLE = """
import contextlib, sys
from IPython.core.interactiveshell import InteractiveShell
from ipython_assistant.errors import AssistantError
from ipython_assistant.magics import hooks_of

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "ipython_assistant")
hooks_of(shell).prepare()
engines = list(hooks_of(shell).session.connections)
for engine in engines:
    with contextlib.suppress(AssistantError):  # there is no such container
        print(engine.wire.list_files("cntr_none", None))
shell.run_line_magic("unload_ext", "ipython_assistant")
print("openai" in sys.modules, len(engines))
"""


@pytest.mark.parametrize(("variables", "expected"), [
    ({"OPENAI_API_KEY": "sk-0"}, "True 0"), ({}, "False 1"),
    ({"OPENAI_API_KEY": "sk-0", "IPYTHON_ASSISTANT_MODE": "replay"}, "False 0"),
])  # fmt: skip
def test_without_a_key_the_engine_is_started_and_with_one_the_sdk_is_imported(
    notebook_dir, monkeypatch, variables, expected
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == expected


def test_no_engine_is_started_once_the_extension_was_unloaded(shell, monkeypatch):
    hooks = hooks_of(shell)
    unload = lambda *_: shell.run_line_magic("unload_ext", "ipython_assistant")  # noqa: E731
    monkeypatch.setattr(who_answers, "other_services_recorded", unload)
    hooks.prepare()
    assert list(hooks.session.connections) == []
    shell.run_line_magic("load_ext", "ipython_assistant")
    session = hooks_of(shell).session
    shell.run_line_magic("unload_ext", "ipython_assistant")
    with pytest.raises(errors.ConfigError, match="unloaded"):
        session.connect(session.settings)
    shell.run_line_magic("load_ext", "ipython_assistant")


def test_a_cell_does_not_wait_for_an_engine_that_is_started_ahead(shell, monkeypatch, ended):
    hooks, starts = hooks_of(shell), threading.Event()
    monkeypatch.setattr(hooks.session, "connect", lambda *_, ahead: starts.set() or ended.wait(20))
    starting = threading.Thread(target=hooks.prepare)
    starting.start()
    assert starts.wait(20)
    cell = threading.Thread(target=lambda: hooks.session)
    cell.start()
    cell.join(5)
    waits = cell.is_alive()
    ended.set()
    starting.join(20)
    assert not waits


def test_a_short_cell_while_a_module_is_imported_begins_no_second_import(modules, ended):
    import gate

    warmth = Warmth(ended.set, modules, idle_s=0)
    warmth.cell_ended()
    assert gate.reached.wait(20)
    first = warmth._timer
    warmth.cell_began()
    warmth.cell_ended()
    assert finished(warmth)
    assert warmth.left == [*modules[1:], ended.set]
    gate.go.set()
    first.join(20)
    assert (warmth.left, ended.is_set()) == ([], True)


def test_an_engine_that_was_started_ahead_ends_where_the_first_question_goes_elsewhere_and_only_then():
    closed = []
    made = types.SimpleNamespace(usable=True, close=lambda: closed.append("engine"), engine_pid=1)
    connections = Connections()
    with pytest.raises(ZeroDivisionError):  # one that does not start leaves nothing behind to end
        connections.get("engine", lambda: 1 // 0, ahead=True)
    hosted = connections.get("hosted", lambda: types.SimpleNamespace(usable=True))
    assert connections.get("engine", lambda: made, ahead=True) is made
    assert connections.get("hosted", lambda: None) is hosted
    assert closed == ["engine"]
    assert connections.get("engine", lambda: made, ahead=True) is connections.get("engine", lambda: None)
    assert connections.get("engine", lambda: None, ahead=True) is made  # which has answered before
    connections.get("hosted", lambda: None)
    assert closed == ["engine"]


def test_what_the_buttons_need_is_imported_while_the_service_works(run_python):
    assert run_python(ASKED_AT_ONCE) == "[True]\n"


# --- the pool ---------------------------------------------------------------------------------------------------------
def test_outcomes_and_errors_come_back():
    pool = Threads(2, "test")
    assert [pool.submit(pow, 2, number).result(5) for number in range(5)] == [1, 2, 4, 8, 16]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(5)
    pool.close()


def test_never_more_at_once_than_was_said():
    pool, lock, at_once, most = Threads(3, "test"), threading.Lock(), [0], [0]
    together = threading.Barrier(3, timeout=5)

    def work():
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        together.wait()
        with lock:
            at_once[0] -= 1

    for future in [pool.submit(work) for _ in range(9)]:
        future.result(5)
    pool.close()
    assert most == [3]


def test_what_waits_when_it_is_closed_is_cancelled():
    pool, go_on = Threads(1, "test"), threading.Event()
    running, waiting = pool.submit(go_on.wait, 5), pool.submit(go_on.wait, 5)
    pool.close()
    go_on.set()
    assert running.result(5) is True
    assert waiting.cancelled()
    assert pool.submit(pow, 2, 2).cancelled()


def test_a_process_ends_though_a_thread_waits_for_ever(run_python):
    run_python("""
import threading
from ipython_assistant.service.background import Threads
begun = threading.Event()
def wait():
    begun.set()
    threading.Event().wait()
Threads(1, "test").submit(wait)
begun.wait()
""")
