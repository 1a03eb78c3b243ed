"""The engine's process: it ends with its owner, and takes everything with it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid

import psutil
import pytest
from engines import DEADLINE_S, gone, kernels_of, logs, scratch_of, spawn, until

from ipython_assistant.engine.container import ContainerPool
from ipython_assistant.engine.models import Run
from ipython_assistant.engine.models.safe_markdown import fenced
from ipython_assistant.engine.server import running_engine

OWNER = """
import subprocess, sys, time
engine = subprocess.Popen([sys.executable, "-m", "ipython_assistant.engine.server"], stdin=subprocess.PIPE)
if "hold" in sys.argv:  # a forked process keeps the pipe to the engine open
    null = subprocess.DEVNULL
    subprocess.Popen(["sleep", "60"], stdin=null, stdout=null, pass_fds=[engine.stdin.fileno()])
time.sleep(60)
"""

STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
open('{marker}', 'w').close()
while True: pass
"""


@pytest.fixture
def own():
    """An engine for one test."""
    process, engine = spawn()
    until(lambda: kernels_of(process.pid), "a kernel is being started")
    yield process, engine
    process.stdin.close()
    process.stdout.close()
    process.wait(DEADLINE_S)


@pytest.mark.parametrize("asked_by", ["the end of its input", "SIGTERM"])
def test_an_engine_that_is_asked_to_end_leaves_no_kernel_and_no_directory(own, asked_by):
    process, engine = own
    kernels, scratch = kernels_of(process.pid), scratch_of(process.pid)
    if asked_by == "SIGTERM":
        engine.ask("import time\ntime.sleep(60)", stream=True)
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
    assert process.wait(DEADLINE_S) == 0
    assert kernels
    assert [pid for pid in kernels if not gone(pid)] == []
    assert not scratch.exists()


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock", pytest.param("none", marks=pytest.mark.slow)])
def test_nothing_that_code_started_outlives_an_engine_that_was_killed(sandbox):
    process, engine = spawn("--sandbox", sandbox)
    with process:
        if engine.sandbox != sandbox:
            process.kill()
            pytest.skip(f"there is no {sandbox} here")
        assert logs(engine.ask("import subprocess\nsubprocess.Popen(['sleep', '600']).poll()")) == ""
        family = psutil.Process(process.pid).children(recursive=True)
        assert "sleep" in {each.name() for each in family if each.is_running()}
        scratch = scratch_of(process.pid)
        process.kill()
    until(lambda: all(gone(each.pid) for each in family), "all of them end")
    until(lambda: not scratch.exists(), "the directory is deleted")


def test_sigint_does_not_end_an_engine_that_has_an_owner(engine, container):
    os.kill(engine.pid, signal.SIGINT)
    assert logs(engine.ask("print('still here')", container=container)) == "still here\n"


@pytest.mark.parametrize("argument", ["alone", "hold"])
def test_an_engine_ends_when_its_owner_is_killed(argument):
    command = [sys.executable, "-c", OWNER, argument]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        engine = json.loads(owner.stdout.readline())["pid"]
        until(lambda: kernels_of(engine), "the engine has a kernel")
        kernels = kernels_of(engine)
        owner.kill()
        until(lambda: all(map(gone, (engine, *kernels))), "the engine and its kernels end")
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()
        owner.stdout.close()


@pytest.mark.parametrize("begins", ["open('{marker}', 'w').close()", ""], ids=["running", "not yet taken up"])
def test_code_is_interrupted_when_the_client_goes_away_and_the_variables_stay(engine, container, begins):
    engine.ask("variable = 'kept'", container=container)
    leave(engine, container, f"import time\n{begins}\nwhile True: time.sleep(60)")
    assert logs(engine.ask("print(variable)", container=container)) == "kept\n"


@pytest.mark.slow
def test_code_that_will_not_be_interrupted_is_ended(engine, container):
    engine.ask("variable = 'lost'", container=container)
    leave(engine, container, STUBBORN)
    after = engine.ask("print('variable' in globals())", container=container)
    assert logs(after) == "[A new Python process: variables from before are gone, files are kept.]\nFalse\n"


def test_a_probe_is_interrupted_when_the_client_goes_away(stage):
    async def probes(ask, interpreter):
        yield Run("variable = 'kept'")
        await interpreter.probe(fenced(ask.prompt))

    async def looks(ask, interpreter):
        yield Run("print(variable)")

    stage.model.steps = probes
    leave(stage.engine, stage.container, "open('{marker}', 'w').close()\nimport time\nwhile True: time.sleep(60)")
    assert logs(stage.ask(looks)) == "kept\n"


def leave(engine, container, code):
    """Ask, and close the connection as soon as the code has made a file `{marker}`, or at once if it makes none."""
    marker = f"{uuid.uuid4().hex}.txt"
    stream = engine.begin(code.replace("{marker}", marker), container=container)
    files = engine.client().containers.files
    if "{marker}" in code:
        until(lambda: f"/mnt/data/{marker}" in {row.path for row in files.list(container)}, "the code runs")
    stream.close()


def test_the_engine_imports_nothing_heavy():
    code = (
        "import sys, ipython_assistant.engine.server, ipython_assistant.engine.handlers\n"
        "import ipython_assistant.engine.container, ipython_assistant.engine.models.chat_models\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "tornado" in loaded
    for heavy in ("openai", "pydantic", "pandas", "numpy", "matplotlib", "IPython", "ipykernel"):
        assert f"'{heavy}'" not in loaded


def test_the_ready_line_says_what_a_client_needs():
    command = [sys.executable, "-m", "ipython_assistant.engine.server", "--model", "basic"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        ready = json.loads(process.stdout.readline())
        rest, log = process.communicate()
    assert set(ready) == {"url", "token", "pid", "sandbox", "reason", "models"}
    assert (ready["pid"], ready["models"]) == (process.pid, ["basic"])
    assert bool(ready["reason"]) == (ready["sandbox"] != "bubblewrap")
    assert ready["url"].startswith("http://127.0.0.1:")
    assert len(ready["token"]) >= 40
    assert (rest, log, process.returncode) == ("", "", 0)


def test_what_fails_after_the_first_process_was_started_ends_it(monkeypatch):
    stopped, stop = [], ContainerPool.stop

    async def noted(pool):
        stopped.append(pool)
        await stop(pool)

    async def begin():
        async with running_engine(dict):
            pass

    monkeypatch.setattr(ContainerPool, "stop", noted)
    monkeypatch.setitem(sys.modules, "ipython_assistant.engine.handlers", None)
    with pytest.raises(ImportError):
        asyncio.run(begin())
    assert len(stopped) == 1
