"""The embedded engine, measured from outside over plain HTTP; `bare` runs the same code in a kernel without it.

Usage: engine_child.py turns|overhead|bare
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

PLOT = """
import matplotlib.pyplot as plt
import pandas as pd
table = pd.DataFrame({"year": range(2000, 2020), "coverage": [n * 7 % 100 for n in range(20)]})
table.plot(x="year", y="coverage")
plt.savefig("/mnt/data/coverage.png")
plt.close()
"""
WORK = """
import numpy as np
import pandas as pd
numbers = np.random.default_rng(0).integers(0, 1000, 2_000_000)
mean = pd.DataFrame({"key": numbers % 97, "value": numbers}).groupby("key").value.mean().sort_values()
"""
TURNS = 15
CONTAINERS = 3
SPARE_AFTER_S = 9.0


@dataclass
class Engine:
    """An engine process and how to ask it."""

    process: subprocess.Popen[str]
    began: float
    ready: dict[str, str]

    def ask(self, code: str, container: str | None = None) -> tuple[float, float, str]:
        """Seconds to the first event and to the last, and the container."""
        host = self.ready["url"].removeprefix("http://").removesuffix("/v1")
        connection = http.client.HTTPConnection(host)
        tool = {"type": "code_interpreter", "container": container or {"type": "auto"}}
        body = {"model": "basic", "input": f"```python\n{code}\n```", "tools": [tool], "stream": True}
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {self.ready['token']}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/responses", json.dumps(body), headers)
        answer = connection.getresponse()
        first, last = 0.0, ""
        for line in answer:
            first = first or time.perf_counter()
            last = line.decode() if line.startswith(b"data: ") else last
        ended = time.perf_counter()
        connection.close()
        [call] = [
            item
            for item in json.loads(last.removeprefix("data: "))["response"]["output"]
            if item["type"] == "code_interpreter_call"
        ]
        assert call["status"] == "completed", call
        return first - began, ended - began, call["container_id"]


@contextlib.contextmanager
def engine(*arguments: str) -> Iterator[Engine]:
    """A running engine."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "ipython_assistant.engine.server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Engine(process, began, json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(10)


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process and what descends from it; what is shared is counted by shares."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total


def turns() -> dict[str, float]:
    """A cold turn, a warm one, and what idle containers take."""
    with engine() as served:
        started = time.perf_counter() - served.began
        cold_first, cold_whole, _ = served.ask(PLOT)
        time.sleep(SPARE_AFTER_S)  # until the process for the next container is there and warm
        warm_first, warm_whole, container = served.ask(PLOT)
        _, again, _ = served.ask(PLOT, container)
        for _ in range(CONTAINERS - 2):
            served.ask("pass")
        time.sleep(SPARE_AFTER_S)
        root = psutil.Process(served.process.pid)
        kernels = [memory_of(child) for child in root.children()]
        return {
            "ready_ms": 1000 * started,
            "cold_first_ms": 1000 * (started + cold_first),
            "cold_ms": 1000 * (started + cold_whole),
            "warm_first_ms": 1000 * warm_first,
            "warm_ms": 1000 * warm_whole,
            "again_ms": 1000 * again,
            "container_mb": statistics.median(kernels) / 1e6,
            "engine_mb": root.memory_full_info().pss / 1e6,
        }


def overhead() -> dict[str, float]:
    """The same code again and again, through the engine."""
    with engine() as served:
        _, _, container = served.ask(WORK)
        return {"ms": 1000 * statistics.median(served.ask(WORK, container)[1] for _ in range(TURNS))}


def bare() -> dict[str, float]:
    """The same in a kernel that is asked directly."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    try:
        taken = []
        for _ in range(TURNS + 1):
            began = time.perf_counter()
            client.execute_interactive(WORK, store_history=True, output_hook=lambda _: None)
            taken.append(time.perf_counter() - began)
        return {"ms": 1000 * statistics.median(taken[1:])}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    print(json.dumps({"turns": turns, "overhead": overhead, "bare": bare}[sys.argv[1]]()))
