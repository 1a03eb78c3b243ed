"""Models in a file: a process of its own runs each, here with a runtime that answers as llama.cpp does."""

import asyncio
import importlib
import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ipython_assistant.engine.models import ModelFailed
from ipython_assistant.engine.models.gguf import Runtimes

RUNTIME = """
import threading
from tests_support.chat_servers import Reply, ScriptedServer

class CommonParams:
    model = type("Model", (), {})()

class Server:
    def __init__(self, params):
        if "damaged" in params.model.path:
            raise ValueError("no model")
        self.chat = ScriptedServer("llama.cpp", script=[Reply(f"{sorted(params.model_alias)}, {params.n_ctx}")])
        self.chat.__enter__()
        self.listening_address = self.chat.url.removesuffix("/v1")
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A directory of fetched models, and a runtime beside it."""
    for name in ("mine.gguf", "damaged.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    (tmp_path / "xllamacpp.py").write_text(RUNTIME)
    tests = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return {**os.environ, "IPYTHON_ASSISTANT_MODELS": str(tmp_path), "PYTHONPATH": f"{tmp_path}{os.pathsep}{tests}"}


def runtimes_of(model):
    """The processes that run this model; engines of other tests have kernels here, which come and go."""
    found = psutil.process_iter(["ppid", "cmdline"])
    return [one for one in found if one.info["ppid"] == os.getpid() and model in str(one.info["cmdline"])]


def test_a_model_in_a_file_answers_in_a_process_that_ends_with_the_engine(environment):
    async def ask():
        runtimes = Runtimes(environment)
        server = await runtimes.server("gguf/mine")
        assert await runtimes.server(str(Path(environment["IPYTHON_ASSISTANT_MODELS"], "mine.gguf"))) is server
        (process,) = runtimes_of("mine.gguf")
        answer = await server.complete([{"role": "user", "content": "How many?"}])
        await server._client.close()
        await runtimes.close()
        return answer.text, psutil.wait_procs([process], timeout=5)[1]

    text, alive = asyncio.run(ask())
    assert text == "['mine'], 16384"
    assert alive == []


@pytest.mark.parametrize(("name", "patched", "words"), [
    ("missing", (), "model get"), ("damaged", (), "could not be loaded"),
    ("mine", ("psutil.virtual_memory", lambda: SimpleNamespace(available=1)), "GB"),
    ("mine", ("ipython_assistant.engine.models.gguf.find_spec", lambda _: None), "pip install xllamacpp"),
], ids=["no such file", "damaged", "too little memory", "no runtime"])  # fmt: skip
def test_a_file_that_cannot_be_run_is_told_in_two_lines(environment, monkeypatch, name, patched, words):
    if patched:
        monkeypatch.setattr(*patched)
    with pytest.raises(ModelFailed) as caught:
        asyncio.run(Runtimes(environment).server(f"gguf/{name}"))
    assert len(str(caught.value).splitlines()) == 2
    assert words in str(caught.value)
