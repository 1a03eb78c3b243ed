"""What code leaves behind, how much of it there may be, and that the engine goes on whatever it is."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from engines import Running, logs

from ipython_assistant.engine.container_folder import DEEPEST, ContainerFolder, remove_tree
from ipython_assistant.engine.sandbox import ContainerPaths
from ipython_assistant.engine.shapes import IdMint

NESTED = """
import os
for _ in range({depth}):
    os.mkdir('d'); os.chdir('d')
os.chdir('/mnt/data')
"""


def nested(top: Path, depth: int, name: str = "d") -> None:
    """Directories in each other, with a file in the last one."""
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("last.txt", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


@pytest.mark.parametrize(("depth", "name"), [(1200, "d"), (40, "x" * 250)])
def test_directories_nested_without_end_are_removed(tmp_path: Path, depth: int, name: str) -> None:
    (tmp_path / "outside.txt").write_text("kept")
    directory = tmp_path / "made"
    directory.mkdir()
    nested(directory, depth, name)
    (directory / "link").symlink_to(tmp_path)

    remove_tree(directory)

    assert list(tmp_path.iterdir()) == [tmp_path / "outside.txt"]


def folder_in(directory: Path) -> ContainerFolder:
    paths = ContainerPaths(directory)
    paths.make()
    return ContainerFolder("cntr_1", paths, IdMint(lambda: 0))


def test_files_are_listed_to_a_depth_and_deeper_ones_are_said(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    nested(tmp_path / "data", DEEPEST - 1)
    asyncio.run(folder.scan())
    assert [file.name.count("/") for file in folder.made()] == [DEEPEST - 1]
    assert not folder.too_deep

    nested(tmp_path / "data", DEEPEST + 5, "deeper")
    asyncio.run(folder.scan())

    assert folder.too_deep
    assert len(folder.made()) == 1


@pytest.mark.slow
def test_an_engine_answers_other_requests_while_a_run_leaves_thousands_of_files(engine: Running) -> None:
    client = engine.client()
    code = "for i in range(3000): open(f'{i}.csv', 'w').close()\nimport os\nfor i in range(1000): os.mkdir(f'd{i}')"
    slowest, over = [0.0], threading.Event()

    def ask_for_health() -> None:
        while not over.is_set():
            began = time.monotonic()
            engine.request("GET", "/health")
            slowest[0] = max(slowest[0], time.monotonic() - began)

    asking = threading.Thread(target=ask_for_health)
    asking.start()
    response = engine.ask(code, include=[])
    over.set()
    asking.join()

    container = next(item.container_id for item in response.output if item.type == "code_interpreter_call")
    assert (
        sum(len(part.annotations) for item in response.output if item.type == "message" for part in item.content)
        == 3000
    )
    assert slowest[0] < 5
    client.containers.delete(container)


@pytest.mark.slow
def test_directories_that_code_nested_without_end_end_neither_their_container_nor_the_engine(engine: Running) -> None:
    client = engine.client()
    container = client.containers.create(name="nested").id

    engine.ask(NESTED.format(depth=1200), container=container)

    assert "Files more than 32 directories deep" in logs(engine.ask("print('on')", container=container))
    client.containers.delete(container)
    assert logs(engine.ask("print('another')")) == "another\n"
