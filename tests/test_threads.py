"""service.threads: a pool that holds nobody up."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ipython_assistant.service.background import Threads

CHECKOUT = Path(__file__).parents[1]


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


def test_a_process_ends_though_a_thread_waits_for_ever():
    code = """
import threading
from ipython_assistant.service.background import Threads
begun = threading.Event()
def wait():
    begun.set()
    threading.Event().wait()
Threads(1, "test").submit(wait)
begun.wait()
"""
    completed = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, timeout=20, check=False)
    assert completed.returncode == 0
