"""One real engine process for the whole session, and engines in this process with a clock or a model of the test's."""

import contextlib

import pytest
from engines import DEADLINE_S, ScriptedModel, Stage, gone, in_thread, kernels_of, spawn
from tests_support.chat_servers import KINDS, ScriptedServer

from ipython_assistant.engine.models.basic import Basic


@pytest.fixture(scope="session")
def engine():
    """One engine process for all tests that do not mind each other."""
    keys = {"OPENAI_API_KEY": "sk-not-for-code", "AZURE_OPENAI_API_KEY": "not-for-code", "MY_SECRET": "not-for-code"}
    process, running_engine = spawn(environment=keys)
    kernels: list[int] = []
    try:
        yield running_engine
    finally:
        kernels = kernels_of(process.pid)
        process.stdin.close()
        process.wait(DEADLINE_S)
        process.stdout.close()
    assert [pid for pid in kernels if not gone(pid)] == []


@pytest.fixture
def client(engine):
    """An unmodified client of the session's engine."""
    return engine.client()


@pytest.fixture(scope="session")
def container(engine):
    """A container that tests share which do not mind each other."""
    return engine.client().containers.create(name="shared").id


@pytest.fixture(scope="session")
def stage():
    """One engine in this process for all tests that bring their own model."""
    model = ScriptedModel(Basic().answer)
    with in_thread({model.name: model}) as engine:
        yield Stage(engine, model, engine.client().containers.create(name="shared").id)


@pytest.fixture(scope="module")
def servers():
    """A scripted chat server of each kind."""
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(ScriptedServer(kind, ["llama4:8b", "qwen3.5:4b"])) for kind in KINDS}


@pytest.fixture(scope="module")
def serve():
    """Engines in this process, with the test's own models and clock; ended after the module's last test."""
    with contextlib.ExitStack() as stack:
        yield lambda *models, **arguments: stack.enter_context(
            in_thread({model.name: model for model in models}, **arguments)
        )
