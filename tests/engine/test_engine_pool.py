"""How containers end: once, whole, whoever waits for it; and what is refused while they do."""

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest
from engines import DEADLINE_S, Clock
from jupyter_client.kernelspec import KernelSpec

from ipython_assistant.engine import container, kernel
from ipython_assistant.engine.api import ApiError, IdMint
from ipython_assistant.engine.container import ContainerPool
from ipython_assistant.engine.kernel import Kernel, KernelLauncher, _KernelProvisioner
from ipython_assistant.engine.limit_monitor import LimitMonitor
from ipython_assistant.engine.sandbox import ContainerPaths, Sandbox, default_limits


@dataclass
class Process:
    """Stands for a kernel whose end takes as long as the test wishes, or fails."""

    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    stops: int = 0
    fails: bool = False

    async def alive(self):
        return not self.stops

    async def stop(self):
        self.stops += 1
        if self.fails:
            raise OSError("it cannot be ended")
        await self.may_end.wait()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Room for two containers with such processes."""
    processes, clock, directory = list[Process](), Clock(), tmp_path / "c"
    monkeypatch.setattr(container, "Kernel", lambda _: processes.append(Process()) or processes[-1])
    containers = ContainerPool(directory, Sandbox("none"), default_limits(), {}, IdMint(clock), 2)
    left = lambda: sorted(path.name for path in directory.iterdir())  # noqa: E731 - read as an attribute
    return SimpleNamespace(containers=containers, processes=processes, clock=clock, left=left)


def run(scene):
    asyncio.run(asyncio.wait_for(scene(), DEADLINE_S))


def test_a_container_ends_completely_when_the_client_that_deletes_it_goes_away(place):
    async def scene():
        ending = await place.containers.create()
        deleting = asyncio.create_task(place.containers.delete(ending.id))
        while not place.processes[0].stops:
            await asyncio.sleep(0)
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        assert place.left() == ["1"]
        again = asyncio.create_task(ending.stop())
        place.processes[0].may_end.set()
        await again
        assert (place.left(), place.processes[0].stops) == ([], 1)
        await place.containers.stop()

    run(scene)


def test_a_container_that_cannot_be_ended_keeps_no_other_from_expiring(place, monkeypatch, caplog):
    monkeypatch.setattr(container, "RETIRE_EVERY_S", 0.01)

    async def scene():
        stuck, other = [await place.containers.create() for _ in range(2)]
        place.processes[0].fails = True
        place.processes[1].may_end.set()
        place.clock.now += 21 * 60
        retiring = asyncio.create_task(place.containers.keep_retiring())
        while place.left() != ["1"]:
            await asyncio.sleep(0.01)
        retiring.cancel()
        assert (stuck.expired, other.expired) == (True, True)
        await place.containers.stop()

    run(scene)
    assert "A container could not be ended in order: OSError('it cannot be ended')" in caplog.text


def test_a_container_at_work_makes_no_room(place):
    async def scene():
        working, idle = [await place.containers.create() for _ in range(2)]
        place.processes[1].may_end.set()
        async with working.turn, idle.turn:
            with pytest.raises(ApiError) as refused:
                await place.containers.create()
            assert refused.value.status == 429
        async with working.turn:
            await place.containers.create()
        assert (working.expired, idle.expired) == (False, True)
        for process in place.processes:
            process.may_end.set()
        await place.containers.stop()

    run(scene)


def test_memory_that_may_not_be_looked_at_closely_counts_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil.Process, "memory_full_info", Mock(side_effect=psutil.AccessDenied()))
    monitor = LimitMonitor(os.getpid(), tmp_path, replace(default_limits(), memory_bytes=1 << 20), None, None)
    assert monitor._excess() == "its processes used more than 1 MB of memory"


def test_what_code_left_beside_its_sockets_is_removed_while_other_work_goes_on(tmp_path, monkeypatch):
    (paths := ContainerPaths(tmp_path)).directory.joinpath("kold").mkdir()
    monkeypatch.setattr(kernel, "remove_tree", lambda _: asyncio.run(asyncio.sleep(0)))  # not on an event loop

    async def scene():
        await Kernel(KernelLauncher(paths, default_limits(), Sandbox("none"), {}, asyncio.Semaphore())).run("")

    with pytest.raises(FileNotFoundError):  # there is no directory to run it in
        run(scene)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="groups of processes are POSIX's")
def test_a_process_that_has_the_number_of_a_dead_kernel_is_left_alone():
    with subprocess.Popen(["true"]) as ended, subprocess.Popen(["sleep", "60"], process_group=0) as later:
        assert ended.wait(DEADLINE_S) == 0
        ended.pid = later.pid
        provisioner = _KernelProvisioner(kernel_id="k", kernel_spec=KernelSpec())
        provisioner.process, provisioner.pgid = ended, later.pid
        asyncio.run(provisioner.kill())
        assert later.poll() is None
        provisioner.process, provisioner.pgid = later, later.pid
        asyncio.run(provisioner.kill())
        assert later.wait(DEADLINE_S) == -signal.SIGKILL
