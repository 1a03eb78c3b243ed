"""Fetch the files of one response. `python fetch_child.py ipython_assistant|naive|curl|curl-sha256 BASE_URL`.

Prints seconds, CPU seconds of this process and its children, and megabytes of memory added at the peak. What is
imported and connected beforehand is not counted; what was fetched is compared with what was served, afterwards.
"""

import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fetch_server import BLOCK, Spec, noise
from tests_support import events as wire

row, base_url = sys.argv[1:]
spec = Spec.read(base_url.split("/")[3])
directory = Path(tempfile.mkdtemp())
folder = directory / "assistant_files"
response = wire.response(spec.items())


def resident_kb(field: str) -> int:
    """VmRSS is what is resident now, VmHWM the most there was since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def prepare_ours():
    """As a cell does it: the closing listing, the files side by side, each under its own name."""
    from ipython_assistant.collect_files import collect
    from ipython_assistant.core.fold import read_response
    from ipython_assistant.service.accounts import connect_hosted
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.service.downloads import Downloads
    from ipython_assistant.workspace.folder import Folder

    os.environ.update(OPENAI_API_KEY="test-key", OPENAI_BASE_URL=base_url)
    connection = Connection(connect_hosted(os.environ, 300.0))
    shelf, turn = Folder(directory, folder), read_response(response)
    save = functools.partial(shelf.save, cell="cell-1", turn=turn.response_id, key="")
    take_back = functools.partial(shelf.take_back, turn=turn.response_id)

    def fetch():
        with Downloads(connection.wire, connection.containers, shelf.stage) as downloads:
            collected = collect(connection.containers, downloads, turn, save, lambda *_: None, take_back=take_back)
        shelf.unstage(downloads.staged)
        assert not collected.failed, collected.failed[:3]

    return fetch


def prepare_naive():
    """The obvious loop: one after the other, each whole in memory."""
    import openai

    client = openai.OpenAI(api_key="test-key", base_url=base_url)
    retrieve = client.containers.files.content.retrieve
    folder.mkdir()

    def fetch():
        for file_id, name in spec.names():
            (folder / name).write_bytes(retrieve(file_id, container_id=wire.CONTAINER).content)

    return fetch


def prepare_curl():
    """Curl, 32 at a time. It neither lists nor names anything."""
    folder.mkdir()
    config = directory / "curl.config"
    config.write_text(
        "".join(
            f'url = "{base_url}/containers/{wire.CONTAINER}/files/{file_id}/content"\noutput = "{folder / name}"\n'
            for file_id, name in spec.names()
        )
    )
    command = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "32", "--config", str(config)]
    return lambda: subprocess.run(command, check=True)


def prepare_curl_sha256():
    """Curl, and then the hash of each file: what has been done for a file of ours when it is there."""
    bring, paths = prepare_curl(), [str(folder / name) for _, name in spec.names()]

    def fetch():
        bring()
        subprocess.run(["openssl", "dgst", "-sha256", *paths], check=True, stdout=subprocess.DEVNULL)

    return fetch


prepare = {
    "ipython_assistant": prepare_ours,
    "naive": prepare_naive,
    "curl": prepare_curl,
    "curl-sha256": prepare_curl_sha256,
}
fetch = prepare[row]()
Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here on (Linux)
before_kb, cpu_before = resident_kb("VmRSS"), time.process_time()
began = time.perf_counter()
fetch()
took_s = time.perf_counter() - began
children = resource.getrusage(resource.RUSAGE_CHILDREN)
figures = {
    "s": took_s,
    "cpu_s": time.process_time() - cpu_before + children.ru_utime + children.ru_stime,
    "added_mb": (resident_kb("VmHWM") - before_kb) / 1024,
}
block = noise()
for _, name in spec.names():
    path = folder / name
    assert path.stat().st_size == spec.bytes, name
    with path.open("rb") as file:
        assert file.read(1 << 20) == block[: min(1 << 20, int(spec.bytes))], name
        file.seek(max(0, int(spec.bytes) - 1000))
        end = int(spec.bytes) % BLOCK or BLOCK
        assert end < 1000 or file.read() == block[end - 1000 : end], name
    path.unlink()
print(json.dumps(figures))
