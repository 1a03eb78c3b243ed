"""A cell, from its text to files on disk, on the embedded engine: a real child process with real kernels, no key."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pandas as pd
import psutil
import pytest
from tests_support.notebook import on_activity, run_cell

from ipython_assistant import errors
from ipython_assistant.magics import hooks_of
from ipython_assistant.service import connection
from ipython_assistant.service.engine_process import Engine


def run(shell, body, line="", cell=None):
    """The answer of a cell, and the HTML of its outputs; a notebook gives its cells ids."""
    if cell is not None:
        shell.get_parent = lambda: {"metadata": {"cellId": cell}}
    ran = run_cell(shell, f"%%assistant {line}\n{body}").raised()
    return ran.value, ran.html


def python(code):
    return f"```python\n{code}\n```"


def engine_pid(shell):
    (only,) = hooks_of(shell).session.connections
    return only.engine_pid


@pytest.fixture(scope="module")
def running_engine():
    engine = Engine(os.environ)
    yield engine
    engine.stop()


@pytest.fixture
def one_engine(shell, running_engine, monkeypatch):
    """The tests that end no engine share one: each start costs a second or two."""
    monkeypatch.setattr(running_engine, "stop", lambda: None, raising=False)
    monkeypatch.setattr(connection, "Engine", lambda *_args, **_more: running_engine)


@pytest.fixture
def when_running(shell, monkeypatch):
    """Call something once, from another thread, as soon as code runs."""

    def arrange(action):
        begun = threading.Event()
        on_activity(monkeypatch, lambda activity: activity == "running code" and begun.set())
        threading.Thread(target=lambda: begun.wait(30) and action(), daemon=True).start()

    return arrange


@pytest.mark.usefixtures("one_engine")
def test_without_a_key_a_cell_runs_here_and_its_files_are_on_disk(shell, notebook_dir):
    code = "import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('/mnt/data/out.csv', index=False)\nprint('done')"
    answer, html = run(shell, python(code))
    assert (notebook_dir / "assistant_files" / "out.csv").read_text() == "a\n1\n2\n"
    assert (answer.status, answer.code, answer.logs) == ("completed", code, "done\n")
    assert 'download="out.csv"' in html


@pytest.mark.usefixtures("one_engine")
def test_a_question_that_is_refused_says_so_and_by_whom(shell):
    answer, _ = run(shell, "Fluxbar the moon", "-m basic")
    assert answer.status == "refused"
    assert answer.notes[0] == "Refused by the basic sentence forms, which use no model."


def test_the_first_answer_whose_code_had_no_sandbox_says_so_in_its_card(shell, monkeypatch):
    start = Engine.ready
    unconfined = {"sandbox": "none", "reason": "macOS has none"}
    monkeypatch.setattr(Engine, "ready", lambda engine: replace(start(engine), **unconfined))
    first, html = run(shell, python("1"))
    second, _ = run(shell, python("2"))
    assert [note for note in first.notes if "without a sandbox (macOS has none)" in note]
    assert "without a sandbox" in html
    assert not [note for note in second.notes if "sandbox" in note]


@pytest.mark.usefixtures("one_engine")
def test_a_dataframe_is_there_under_its_bare_name_and_codes_keep_their_zeros(shell):
    shell.user_ns["cases"] = pd.DataFrame({"IU code": ["001", "002"], "n": [1, None]})
    answer, _ = run(shell, python("print(open('cases.csv').read())"), "-i cases")
    assert answer.logs.startswith("IU code,n\n001,1.0\n002,\n")


@pytest.mark.usefixtures("one_engine")
def test_code_that_raises_shows_its_log_saves_its_files_and_fails_the_cell(shell, notebook_dir):
    with pytest.raises(errors.CodeFailed, match="ZeroDivisionError") as caught:
        run(shell, python("print('before')\nopen('early.txt', 'w').write('x')\n1/0"))
    assert "before" in caught.value.ran.html
    assert (notebook_dir / "assistant_files" / "early.txt").read_text() == "x"
    assert caught.value.answer.calls[0].status == "failed"


@pytest.mark.usefixtures("one_engine")
def test_a_question_is_about_the_table_that_came_with_it(shell, notebook_dir):
    (notebook_dir / "first.csv").write_text("group,size\na,1\nb,2\n")
    (notebook_dir / "second.csv").write_text("group,size\na,10\na,20\n")
    run(shell, "Mean size per group", "-i first.csv")
    answer, _ = run(shell, "Mean size per group", "-i second.csv")
    assert "second.csv" in answer.text.splitlines()[0]
    (table,) = answer.tables
    assert table.to_frame()["size"].tolist() == [15.0]


def test_a_stop_while_the_engine_starts_is_an_interrupted_cell_and_no_engine_is_left(shell, monkeypatch):
    engines = []

    def stopped(engine):
        engines.append(engine)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Engine, "ready", stopped)
    with pytest.raises(errors.Interrupted):
        run(shell, python("1"))
    assert [engine.ended_within(0) for engine in engines] == [True]


@pytest.mark.skipif(os.name != "posix", reason="there are no process groups")
def test_an_engine_outlives_a_ctrl_c_that_its_whole_process_group_gets_while_it_starts():
    code = """
import os, signal
from ipython_assistant.service.engine_process import Engine
engine = Engine(os.environ)
try:
    os.killpg(0, signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print(engine.ready().sandbox)
engine.stop()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, process_group=0, check=False)
    assert (ran.stdout.strip() in {"bubblewrap", "landlock", "none"}, ran.returncode) == (True, 0), ran.stderr


def test_an_engine_that_was_started_before_there_is_a_question_answers_it(shell):
    hooks_of(shell).prepare()
    pid = engine_pid(shell)
    assert run(shell, python("print(1)"))[0].logs == "1\n"
    assert engine_pid(shell) == pid


@pytest.mark.slow
def test_the_engine_dying_in_mid_turn_is_two_lines_with_its_last_words_and_the_next_cell_works(shell, when_running):
    run(shell, python("open('first.txt', 'w').write('1')"))
    pid = engine_pid(shell)
    when_running(lambda: os.kill(pid, signal.SIGKILL))
    with pytest.raises(errors.EngineError, match=r"ended \(exit code -9\)") as caught:
        run(shell, python("import time\nprint('started')\ntime.sleep(60)"))
    assert "Ask again" in caught.value.hint
    assert "Running the code as given" in caught.value.answer.text
    answer, _ = run(shell, python("print(open('first.txt').read())"))
    assert answer.logs == "1\n"
    assert engine_pid(shell) != pid


@pytest.mark.usefixtures("one_engine")
def test_ctrl_c_stops_the_running_code_and_the_next_cell_works(shell, when_running):
    run(shell, python("1"))
    when_running(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(errors.Interrupted) as caught:
        run(shell, python("while True:\n    pass"))
    assert not [note for note in caught.value.answer.notes if note.startswith("Answered")]
    answer, _ = run(shell, python("print('free again')"))
    assert answer.logs == "free again\n"


@pytest.mark.slow
def test_unloading_ends_the_engine_and_its_kernels(shell):
    run(shell, python("1"))
    engine = psutil.Process(engine_pid(shell))
    family = [engine, *engine.children(recursive=True)]
    shell.run_line_magic("unload_ext", "ipython_assistant")
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert len(family) >= 2


def test_a_key_a_dead_base_url_proxies_and_ci_change_nothing_when_the_engine_is_forced(shell, service, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key")
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, service.url.removesuffix("/v1"))
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("IPYTHON_ASSISTANT_SERVICE", "local")
    names = python("import os\nprint([name for name in os.environ if 'OPENAI' in name or 'PROXY' in name])")
    answer, _ = run(shell, names)
    assert answer.logs == "[]\n"
    assert service.requests == []


@pytest.mark.slow
def test_a_cell_that_runs_again_does_not_find_what_its_first_run_left(shell):
    listing = "import os\nprint(sorted(os.listdir()))"
    run(shell, python(f"{listing}\nopen('left.txt', 'w').write('x')"), cell="cell-1")
    first = psutil.Process(engine_pid(shell)).children(recursive=True)
    answer, _ = run(shell, python(listing), cell="cell-1")
    assert answer.logs == "[]\n"
    deadline = time.monotonic() + 60
    # The engine's spare process may be among them, and stays.
    while not psutil.wait_procs(first, timeout=0.2)[0]:
        assert time.monotonic() < deadline, "the replaced turn's kernel is still there"


@pytest.mark.usefixtures("one_engine")
def test_a_rerun_after_a_branch_gets_its_ancestors_files_again(shell, notebook_dir):
    run(shell, python("open('made.txt', 'w').write('by cell 1')"), cell="cell-1")
    run(shell, python("open('two.txt', 'w').write('x')"), cell="cell-2")
    answer, _ = run(shell, python("import os\nprint(sorted(os.listdir()), open('made.txt').read())"))
    assert answer.logs == "['made.txt'] by cell 1\n"


@pytest.mark.usefixtures("one_engine")
def test_a_cell_says_what_is_going_on_in_its_order(shell, monkeypatch):
    doing = []
    run(shell, python("1"))
    on_activity(monkeypatch, doing.append)
    run(shell, python("1"))
    assert doing.index("thinking") < doing.index("writing") < doing.index("running code")
