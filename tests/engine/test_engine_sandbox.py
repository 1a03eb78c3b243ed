"""Code that tries to get out, and code that takes more than its share, in each sandbox this machine offers."""

import contextlib
import json
import os
import site
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from engines import calls, gone, in_thread, kernel_in, logs, until

from ipython_assistant.engine import confine
from ipython_assistant.engine.container import FORGOTTEN
from ipython_assistant.engine.sandbox import GIB, ContainerLimits, Sandbox, attempt, inherited, strongest
from ipython_assistant.engine.server import EngineOptions

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these sandboxes")

SMALL = ContainerLimits(memory_bytes=GIB, cpu_s=3.0, processes=60, file_bytes=64 << 20, disk_bytes=200 << 20)

# Each attempt is a function without arguments; what it returns, or how it failed, is printed as JSON.
ATTEMPTS = """
import ctypes, json, os, pathlib, signal, socket, subprocess, sys, urllib.request
def outcome(attempt):
    try:
        return repr(attempt())
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
def connected(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as to:
        to.settimeout(2)
        to.connect(address)
        return to.send(b"out")
def sent(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as to:
        return to.sendto(b"out", address)
def peeked(pid):
    return pathlib.Path(f"/proc/{pid}/environ").read_bytes()
"""


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def confined(request, tmp_path_factory):
    """An engine with this sandbox and small limits."""
    found = strongest(tmp_path_factory.mktemp("probe"), (request.param,))
    if found.kind != request.param:
        pytest.skip(found.reason)
    options = EngineOptions(sandboxes=(request.param,), limits=SMALL)
    with in_thread(options=options) as engine:
        yield engine


@pytest.fixture(scope="module")
def place(confined):
    return confined.client().containers.create(name="attempts").id


@pytest.fixture(scope="module")
def attempts(confined, place):
    """Try expressions by name; gives what came of each."""

    def attempted(**expressions):
        listed = ", ".join(f"{name!r}: outcome(lambda: {expression})" for name, expression in expressions.items())
        return json.loads(logs(confined.ask(f"{ATTEMPTS}\nprint(json.dumps({{{listed}}}))", container=place)))

    return attempted


def refused(outcomes):
    """The attempts that did not end in an error of the system."""
    errors = ("PermissionError", "FileNotFoundError", "OSError", "ConnectionRefusedError", "ProcessLookupError",
              "gaierror", "URLError", "BlockingIOError")  # fmt: skip
    return {name: came for name, came in outcomes.items() if not came.startswith(errors)}


def test_code_reads_and_writes_nothing_of_the_user(attempts, tmp_path):
    home, secret = Path("~").expanduser(), str(tmp_path / "secret.txt")
    Path(secret).write_text("secret")
    outcomes = attempts(
        home=f"open({str(home / '.bashrc')!r}).read()", file=f"open({secret!r}).read()",
        password="open('/etc/shadow').read()", names="open('/etc/passwd').read()", project=f"open({__file__!r}).read()",
        configuration=f"os.listdir({str(Path(sys.prefix, 'etc'))!r})",
        kernels=f"os.listdir({str(Path(sys.prefix, 'share', 'jupyter'))!r})",
        append=f"open({secret!r}, 'a').write('x')", make=f"open({str(tmp_path / 'made.txt')!r}, 'w').write('x')",
        remove=f"os.remove({secret!r})", hard_link=f"os.link({secret!r}, 'linked.txt')",
        python=f"open({str(Path(json.__file__).with_name('evil.py'))!r}, 'w')", device="open('/dev/mem', 'rb')",
        mount="os.stat('/x') if ctypes.CDLL(None, use_errno=True).mount(b'x', b'/mnt', b'tmpfs', 0, None) else 1",
    )  # fmt: skip
    assert refused(outcomes) == {}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"secret.txt": "secret"}


def test_code_sees_no_variables_of_the_user_nor_of_the_engine(attempts):
    outcomes = attempts(
        own="[name for name in os.environ if 'KEY' in name or 'TOKEN' in name or 'OPENAI' in name]",
        parent="peeked(os.getppid())", engine=f"peeked({os.getpid()})",
        memory=f"open('/proc/{os.getpid()}/mem', 'rb').read(1)",
    )  # fmt: skip
    assert outcomes.pop("own") == "[]"
    if "b'" in outcomes["parent"]:  # its parent there is bubblewrap, with the same few variables
        parent = outcomes.pop("parent")
        assert ("PATH=" in parent, "IPYTHON_ASSISTANT" in parent) == (True, False)
    assert refused(outcomes) == {}


def test_code_cannot_change_what_it_may_read(attempts, tmp_path):
    target, mine = Path(json.__file__), tmp_path / "mine.txt"
    mine.write_text("x")
    look = lambda: [(path.stat().st_mode, path.stat().st_mtime_ns) for path in (target, mine)]  # noqa: E731
    before = look()
    attempts(
        mode=f"os.chmod({str(target)!r}, 0)", by_descriptor=f"os.fchmod(os.open({str(target)!r}, os.O_RDONLY), 0)",
        times=f"os.utime({str(target)!r}, (1, 1))", outside=f"os.chmod({str(mine)!r}, 0)",
    )  # fmt: skip
    assert look() == before


def test_code_reaches_no_network_and_no_socket_of_this_machine(confined, attempts, tmp_path):
    path = str(tmp_path / "s")
    with contextlib.ExitStack() as stack:
        servers, stream = [], socket.SOCK_STREAM
        for family, kind, address in (
            (socket.AF_INET, stream, ("127.0.0.1", 0)), (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, stream, path), (socket.AF_UNIX, socket.SOCK_DGRAM, f"{path}d"),
            (socket.AF_UNIX, stream, "\0ipython-assistant-test"),
        ):  # fmt: skip
            servers.append(server := stack.enter_context(socket.socket(family, kind)))
            server.bind(address)
            server.settimeout(0.05)
            if kind == stream:
                server.listen()
        tcp, udp, *_ = servers
        outcomes = attempts(
            tcp=f"connected(socket.AF_INET, ('127.0.0.1', {tcp.getsockname()[1]}))",
            engine=f"urllib.request.urlopen({confined.url + '/models'!r}, timeout=2).read()",
            udp=f"sent(socket.AF_INET, ('127.0.0.1', {udp.getsockname()[1]}))",
            unix=f"connected(socket.AF_UNIX, {path!r})", datagram=f"sent(socket.AF_UNIX, {path + 'd'!r})",
            pair=f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'out', {path + 'd'!r})",
            abstract="connected(socket.AF_UNIX, '\\0ipython-assistant-test')",
            ip6="connected(socket.AF_INET6, ('::1', 9))", name="socket.getaddrinfo('example.com', 80)",
            outward="connected(socket.AF_INET, ('192.0.2.1', 80))",
            host_of_the_machine="connected(socket.AF_VSOCK, (2, 1024))",
            ring="os.stat('/x') if ctypes.CDLL(None, use_errno=True).syscall(425, 8, bytes(120)) < 0 else 'a ring'",
        )  # fmt: skip
        received = [_received(server) for server in servers]
    outcomes.pop("udp") if outcomes["udp"] == "3" else None  # sent into a network of its own: see what was received
    assert refused(outcomes) == {}
    assert received == [None] * 5


def _received(server):
    with contextlib.suppress(TimeoutError):
        return server.recv(10) if server.type == socket.SOCK_DGRAM else server.accept()
    return None


def test_code_can_signal_its_own_processes_only(confined, attempts):
    outcomes = attempts(
        engine=f"os.kill({os.getpid()}, signal.SIGCONT)",
        group=f"os.killpg({os.getpgid(0)}, signal.SIGCONT)",
        trace=f"os.stat('/x') if ctypes.CDLL(None, use_errno=True).ptrace(16, {os.getpid()}, 0, 0) < 0 else 'traced'",
        own_child="subprocess.run(['sleep', '1'], timeout=0.1)",
    )
    stopped = {"bubblewrap": "TimeoutExpired", "landlock": "PermissionError"}
    assert outcomes.pop("own_child").startswith(stopped[confined.sandbox])
    assert refused(outcomes) == {}


def test_files_plots_databases_and_shell_commands_work_in_the_sandbox(confined, place):
    code = """
import os, shutil, subprocess, sqlite3, tempfile, threading, zipfile
import matplotlib.pyplot as plt, pandas as pd
pd.DataFrame({'a': [1, 2]}).to_csv('/mnt/data/a.csv', index=False)
shutil.copy2('/mnt/data/a.csv', 'b.csv'); os.replace('b.csv', 'c.csv')
with zipfile.ZipFile('z.zip', 'w') as z: z.write('c.csv')
shutil.unpack_archive('z.zip', 'unpacked')
with sqlite3.connect('x.db') as db: db.execute('create table t (a)')
pd.read_csv('unpacked/c.csv').plot(); plt.savefig('p.png'); plt.close()
with tempfile.NamedTemporaryFile() as t: t.write(b'x')
print(subprocess.run(['ls', 'unpacked'], capture_output=True, text=True).stdout.strip(), os.getcwd())
!echo shell $((1 + 1))
listed = !ls unpacked
print(listed)
"""
    response = confined.ask(code, container=place)
    assert logs(response) == "c.csv /mnt/data\nshell 2\n['c.csv']\n"
    paths = {row.path for row in confined.client().containers.files.list(place, limit=100)}
    assert {f"/mnt/data/{name}" for name in ("a.csv", "c.csv", "p.png", "unpacked/c.csv")} <= paths


@pytest.mark.slow
def test_a_planted_link_is_neither_listed_nor_written_through_by_a_new_process(confined, place, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("as it was")
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    code = f"""
import glob, os
target = {str(outside)!r}
places = [os.path.dirname(path) for path in glob.glob('/tmp/ipa-engine-*/c/*/k*/kernel.json')]
for directory in {{'.', *places, *[os.path.dirname(place) for place in places]}}:
    for name in ('planted.csv', 'kernel.json', 'kernel.log'):
        try:
            if os.path.lexists(os.path.join(directory, name)): os.remove(os.path.join(directory, name))
            os.symlink(target, os.path.join(directory, name))
        except OSError:
            pass
    try:
        os.makedirs(os.path.join(directory, 'c/1'))
        open(os.path.join(directory, 'c/1/group'), 'w').write('{bystander.pid}')
    except OSError:
        pass
os._exit(1)
"""
    confined.ask(code, container=place)
    after = confined.ask("print('a new process')", container=place)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    files = confined.client().containers.files
    uploaded = files.create(place, file=("planted.csv", b"uploaded"))
    assert "a new process" in logs(after)
    assert outside.read_text() == "as it was"
    assert files.content.retrieve(uploaded.id, container_id=place).read() == b"uploaded"


STOPPED_GENTLY = {
    "x = bytearray(8 << 30)": "MemoryError",
    "while True: pass": "at a limit: it used more than 3 s of processor time. Variables are kept, files are kept.",
    "open('big.bin', 'wb').write(bytes(65 << 20))": "File too large",
}
FORKS = """
import os, time
end = time.monotonic() + 5  # so that the machine the tests run on survives their failing
while time.monotonic() < end:
    try: os.fork()
    except OSError: time.sleep(0.01)
os._exit(0)
"""
BOMB = (FORKS, "it started more than 60 processes and threads. Variables are gone")
# Looking is the same in each sandbox, ending is not: one or two for each.
ENDED = {
    "bubblewrap": ("import mmap\nm = mmap.mmap(-1, 2 << 30)\nfor i in range(2000): m.write(bytes(1 << 20))",
                   "its processes used more than 1 GB of memory"),
    "landlock": ("import time\nfor i in range(999): open(f'{i}.bin', 'wb').write(bytes(16 << 20)); time.sleep(0.01)",
                 "its files took more than 200 MB"),
}  # fmt: skip


@pytest.mark.slow
def test_code_that_takes_too_much_is_stopped_and_its_variables_are_kept(confined, place):
    confined.ask("kept = 'kept'", container=place)
    stopped = [confined.ask(code, container=place) for code in STOPPED_GENTLY]
    for response, said in zip(stopped, STOPPED_GENTLY.values(), strict=True):
        assert said in logs(response), logs(response)[-500:]
        assert [item.status for item in calls(response)] == ["failed"]
    assert logs(confined.ask("print(kept)", container=place)) == "kept\n"


@pytest.mark.slow
def test_code_that_fills_memory_or_disk_or_forks_without_end_is_ended_and_its_container_goes_on(confined, place):
    for code, said in (BOMB, ENDED[confined.sandbox]):
        response = confined.ask(code, container=place)
        assert said in logs(response), logs(response)[-500:]
        assert [item.status for item in confined.ask("!rm -rf *", container=place).output[1:2]] == ["completed"]


# A thread that goes on when its cell has ended; no cell runs while it does too much.
LEAVES = """
import subprocess, threading, time
def goes_on():
    {does}
threading.Thread(target=goes_on, daemon=True).start()
"""
LEFT_RUNNING = {
    "bubblewrap": "for i in range(999): open(f'{i}.bin', 'wb').write(bytes(16 << 20)); time.sleep(0.02)",
    "landlock": "started = [subprocess.Popen(['sleep', '30']) for _ in range(80)]",
}


@pytest.mark.slow
def test_processes_left_running_are_held_to_the_limits(confined, place):
    confined.ask("pass", container=place)
    process = kernel_in(confined, place)
    started = confined.ask(LEAVES.format(does=LEFT_RUNNING[confined.sandbox]), container=place)
    until(lambda: gone(process), "it is ended: it took too much of the disk, or started too many processes")
    after = confined.ask("!rm -rf *", container=place)
    assert [item.status for item in calls(started)] == ["completed"]
    assert logs(after) == FORGOTTEN


def test_nothing_that_code_started_is_left_when_its_container_is_deleted(confined):
    place = confined.client().containers.create(name="children").id
    mark = f"1{time.monotonic_ns() % 10**8:08d}"
    code = f"""
import subprocess
for new in (False, True):
    try: subprocess.Popen(['sleep', '{mark}'], start_new_session=new)
    except OSError: pass
subprocess.Popen(['sh', '-c', 'sleep {mark} & exit'])
"""
    confined.ask(code, container=place)
    children = _running(mark)
    confined.client().containers.delete(place)
    assert children
    until(lambda: not _running(mark), "all of them have ended")


def _running(mark):
    return [each.pid for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]


@pytest.mark.slow
def test_a_container_names_its_enforced_limits_and_may_have_more_memory(confined, place):
    client = confined.client()
    assert client.containers.retrieve(place).network_policy.type == "disabled"
    larger = client.containers.create(name="larger", memory_limit="4g")
    takes = "x = bytes(1500 << 20); print(len(x) >> 20)"
    assert (larger.memory_limit, client.containers.retrieve(place).memory_limit) == ("4g", None)
    assert logs(confined.ask(takes, container=larger.id)) == "1500\n"
    assert "MemoryError" in logs(confined.ask(takes, container=place))
    client.containers.delete(larger.id)


@pytest.mark.parametrize("abi", [1, 3])
def test_older_versions_of_landlock_hold_too(tmp_path, abi):
    if confine.landlock_abi() < abi:
        pytest.skip("this system has no Landlock of this version")
    assert attempt(Sandbox("landlock", landlock=abi), tmp_path / "tried") is None


def test_a_sandbox_that_does_not_hold_is_found_out_and_the_next_is_taken(tmp_path, monkeypatch):
    class Leaky(Sandbox):
        def command(self, command, *, paths, sockets, limits):
            return list(command)

    holes = "code in it could still do this: read, connect, signal, write"
    assert attempt(Leaky("landlock"), tmp_path / "leaky") == holes
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    found = strongest(tmp_path / "s")
    assert found.kind in {"landlock", "none"}
    assert "bubblewrap: setting up uid map: Permission denied" in found.reason


def test_another_system_is_named_as_the_reason_and_nothing_is_tried_there(tmp_path):
    found = strongest(tmp_path / "s", platform="darwin")
    assert (found.kind, found.reason.endswith("are for Linux"), (tmp_path / "s").exists()) == ("none", True, False)


@pytest.mark.parametrize(("enabled", "more"), [(True, {"PYTHONUSERBASE": site.getuserbase()}), (False, {}), (None, {})])
def test_code_finds_what_pip_install_user_has_installed_and_no_home(monkeypatch, enabled, more):
    monkeypatch.setattr(site, "ENABLE_USER_SITE", enabled)
    assert inherited({"HOME": "/home/me", "LC_ALL": "C", "MY_KEY": "k"}) == {"LC_ALL": "C"} | more


@pytest.mark.slow
def test_without_any_sandbox_the_limits_hold_and_the_state_is_said(tmp_path):
    options = EngineOptions(sandboxes=("none",), limits=SMALL)
    with in_thread(options=options) as engine:
        assert (engine.sandbox, strongest(tmp_path, ("none",)).reason) == ("none", "it was switched off")
        stopped = engine.ask("while True: pass")
    assert all(said in logs(stopped) for said in ("used more than 3 s of processor time", "Variables are kept"))
