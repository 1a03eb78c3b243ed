"""An engine that several share: who may enter, how much may be brought in, how it is stopped, what its log holds."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import openai
import pytest
from engines import DEADLINE_S, in_thread, spawn
from tests_support.loopback import free_port

from ipython_assistant.engine.api import ApiError
from ipython_assistant.engine.responder import StoredResponses
from ipython_assistant.engine.sandbox import ContainerLimits, default_limits
from ipython_assistant.engine.server import EngineAddress, EngineOptions, _welcome

TOKEN = "a-token-of-our-own-0123456789"
ASKED = "what-was-asked-is-nobody-elses"


@pytest.fixture
def standing(tmp_path):
    """`serve`, as a person starts it: a token of one's own, a log, and no standard input to wait for."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    log, token = tmp_path / "log", str(tmp_path / "token")
    with log.open("w") as stderr:
        process, engine = spawn("--standing", "--token-file", token, stdin=subprocess.DEVNULL, stderr=stderr)
    try:
        assert engine.token == ""  # who gave it knows it: it is not for what is printed
        yield process, replace(engine, token=TOKEN), log
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_ctrl_c_ends_a_shared_engine_whose_log_holds_no_prompt(standing):
    process, engine, log = standing
    engine.begin(f"import time\nprint('{ASKED}')\ntime.sleep(60)", model="basic")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert "Stop it with Ctrl-C" in log.read_text()
    assert ASKED not in log.read_text()
    assert TOKEN not in log.read_text() + process.stdout.read()


def test_a_person_who_starts_an_engine_without_a_sandbox_reads_what_code_can_do():
    said = _welcome(EngineAddress("http://127.0.0.1:1/v1", "", 1, "none", "it was switched off", ()))
    assert said.startswith("Sandbox of the code: none; it can do whatever you can. It was switched off.\n")


@pytest.mark.parametrize(("port", "token", "said"), [("0", "short", "too short"), ("99999", TOKEN, "not 99999")])
def test_a_token_that_can_be_guessed_and_a_port_that_does_not_exist_are_refused(port, token, said):
    command, pipe = [sys.executable, "-m", "ipython_assistant.engine.server", "--port", port], subprocess.PIPE
    how = {"stdin": subprocess.DEVNULL, "env": {**os.environ, "IPYTHON_ASSISTANT_TOKEN": token}}
    refused = subprocess.run(command, **how, stdout=pipe, stderr=pipe, text=True, check=False)
    assert TOKEN not in repr(EngineOptions(token=TOKEN))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_serve_ends_with_a_sigterm_and_frees_its_port(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "ipython_assistant.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    with process:
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody listens there any more


def test_a_body_without_a_token_is_refused_before_it_is_sent(standing):
    _, engine, _ = standing
    for path in ("/v1/responses", "/v1/files", "/v1/containers/cntr_1/files", "/v1/nowhere"):
        with engine.begin_request(f"POST {path}", "Content-Length: 60000000") as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


@pytest.fixture(scope="module")
def narrow():
    """An engine that has room for two containers and small files."""
    limits = ContainerLimits(memory_bytes=default_limits().memory_bytes, disk_bytes=1 << 20)
    with in_thread(options=EngineOptions(limits=limits, containers=2)) as engine:
        yield engine


def test_a_file_that_is_too_large_is_refused_in_words(narrow):
    client = narrow.client()
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("large.bin", bytes(3 << 20)), purpose="user_data")
    assert (refused.value.status_code, refused.value.code) == (413, "file_too_large")
    assert client.files.create(file=("small.bin", b"1"), purpose="user_data").bytes == 1


def test_the_container_that_was_used_least_recently_makes_room(narrow):
    client = narrow.client()
    first, second = (client.containers.create(name=name).id for name in ("first", "second"))
    client.containers.retrieve(first)
    third = client.containers.create(name="third").id
    statuses = [client.containers.retrieve(each).status for each in (first, second, third)]
    assert statuses == ["running", "expired", "running"]


@pytest.mark.parametrize("name", ["../token", "resp_1/../resp_1", "x" * 5000, "", "msg_1"])
def test_the_id_of_a_response_leads_to_no_other_file(tmp_path, name):
    (tmp_path / "token").write_text('{"body": {}}')
    stored = StoredResponses(tmp_path / "responses")
    asyncio.run(stored.put({"id": "resp_1", "output": [{"id": "msg_1"}]}, [], ""))
    with pytest.raises(ApiError):
        stored.body(name)
    assert (stored.previous("resp_1"), stored.item("msg_1")) == (([], ""), {"id": "msg_1"})
