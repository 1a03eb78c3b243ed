"""What code leaves behind, how much of it there may be, and that the engine goes on whatever it is."""

import threading
import time

import pytest
from engines import calls, logs

from ipython_assistant.engine.container_folder import DEEPEST

NESTED = f"""
import os
for level in range(1, 1201):
    os.mkdir('d' if level % 100 else 'd' * 250); os.chdir('d' if level % 100 else 'd' * 250)
    if level == {DEEPEST - 1}: open('last.txt', 'w').close()
os.chdir('/mnt/data')
"""


@pytest.mark.slow
def test_an_engine_answers_other_requests_while_a_run_leaves_thousands_of_files(engine):
    client = engine.client()
    code = "for i in range(3000): open(f'{i}.csv', 'w').close()\nimport os\nfor i in range(1000): os.mkdir(f'd{i}')"
    slowest, over = [0.0], threading.Event()

    def ask_for_health():
        while not over.is_set():
            began = time.monotonic()
            engine.request("GET", "/health")
            slowest[0] = max(slowest[0], time.monotonic() - began)

    asking = threading.Thread(target=ask_for_health)
    asking.start()
    response = engine.ask(code, include=[])
    over.set()
    asking.join()
    container = calls(response)[0].container_id
    assert len([mark for part in response.output[-1].content for mark in part.annotations]) == 3000
    assert slowest[0] < 5
    client.containers.delete(container)


@pytest.mark.slow
def test_directories_that_code_nested_without_end_end_neither_their_container_nor_the_engine(engine):
    client = engine.client()
    container = client.containers.create(name="nested").id
    engine.ask(NESTED, container=container)

    assert "Files more than 32 directories deep" in logs(engine.ask("print('on')", container=container))
    assert [row.path.count("/d") for row in client.containers.files.list(container)] == [DEEPEST]
    client.containers.delete(container)
    assert logs(engine.ask("print('another')")) == "another\n"
