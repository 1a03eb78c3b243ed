"""`ipython-assistant model`: fetching from a scripted hub on loopback, listing and removing."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ipython_assistant import model_commands
from ipython_assistant.cli import main
from ipython_assistant.model_commands import recommended
from ipython_assistant.workspace.model_files import fetched_models

MODEL = bytes(range(256)) * 8_000
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ScriptedHub:
    """As much of huggingface.co as fetching one file needs.

    Attributes:
        content: What it sends; `stated` is the hash that it states.
        breaks_after: The connection breaks once, after so many bytes.
        ranges: The `Range` of each request for the file; empty where it had none.
    """

    content: bytes = MODEL
    stated: str = hashlib.sha256(MODEL).hexdigest()
    breaks_after: int | None = None
    ranges: list[str] = field(default_factory=list)

    def __enter__(self) -> ScriptedHub:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.hub = self  # type: ignore[attr-defined] the handler reads it
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"


class _Handler(BaseHTTPRequestHandler):
    """Ends each connection with its answer: the library keeps connections open from one test to the next."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        if self.path.startswith("/api/models/"):
            card = {"license": "apache-2.0"}
            about = {"id": "o/r", "modelId": "o/r", "sha": COMMIT, "cardData": card, "tags": []}
            self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"}, with_body=with_body)
        elif "/resolve/" in self.path and "missing" not in self.path:
            self._file(self.server.hub, with_body=with_body)
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body=with_body)

    def _file(self, hub: ScriptedHub, *, with_body: bool) -> None:
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hub.stated}"', "X-Linked-Size": str(len(hub.content))}
        asked = self.headers.get("Range", "")
        start = int(re.findall(r"bytes=(\d+)-", asked)[0]) if with_body and asked else 0
        if with_body:
            hub.ranges.append(asked)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}"
        cut, hub.breaks_after = (hub.breaks_after, None) if with_body else (None, hub.breaks_after)
        self._send(206 if start else 200, hub.content[start:], headers, with_body=with_body, cut=cut)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, with_body: bool, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body[:cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedHub]:
    pytest.importorskip("huggingface_hub")
    with ScriptedHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield hub


def answer(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr("builtins.input", lambda _: said)


def names() -> list[str]:
    import os

    return [model.name for model in fetched_models(os.environ)]


def test_size_and_licence_are_shown_before_anything_is_fetched(hub, monkeypatch, capsys):
    answer(monkeypatch, "")

    assert main(["model", "get", "o/r/Some-Model.gguf"]) == 0
    printed = capsys.readouterr().out
    assert "0.00 GB" in printed
    assert "apache-2.0" in printed
    assert "Nothing was fetched." in printed
    assert hub.ranges == []
    assert names() == []


def test_after_a_yes_the_file_is_fetched_verified_and_listed(hub, monkeypatch, capsys):
    answer(monkeypatch, "y")

    assert main(["model", "get", "o/r/Some-Model.gguf"]) == 0
    assert names() == ["some-model"]
    assert main(["model", "list"]) == 0
    assert "-m gguf/some-model" in capsys.readouterr().out
    assert main(["model", "get", "o/r/Some-Model.gguf"]) == 0
    assert len(hub.ranges) == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub, monkeypatch, capsys):
    hub.breaks_after = 1_000_000
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)

    for _ in range(2):
        if main(["model", "get", "o/r/model.gguf", "--yes"]) == 0:
            break
    assert names() == ["model"]
    assert any(asked.startswith("bytes=") and asked != "bytes=0-" for asked in hub.ranges)


def test_a_file_whose_hash_is_another_is_not_kept(hub, capsys):
    hub.stated = "0" * 64

    assert main(["model", "get", "o/r/model.gguf", "--yes"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert names() == []


def test_a_model_that_the_hub_does_not_have(hub, capsys):
    assert main(["model", "get", "o/r/missing.gguf", "--yes"]) == 1

    happened, cure = capsys.readouterr().err.strip().splitlines()
    assert "o/r/missing.gguf" in happened
    assert cure


def test_a_hub_that_cannot_be_reached(hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert main(["model", "get", "--yes"]) == 1
    assert "could not be reached" in capsys.readouterr().err


def test_too_little_room_on_the_disk(hub, monkeypatch, capsys):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000})())

    assert main(["model", "get", "o/r/model.gguf", "--yes"]) == 1
    assert "IPYTHON_ASSISTANT_MODELS" in capsys.readouterr().err
    assert hub.ranges == []


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch, capsys):
    monkeypatch.setattr(model_commands, "find_spec", lambda _: None)

    assert main(["model", "get", "--yes"]) == 1
    assert "huggingface_hub" in capsys.readouterr().err


def test_an_unknown_name_names_the_nearest(capsys):
    assert main(["model", "get", "qwen3-4"]) == 1
    assert "qwen3-4b" in capsys.readouterr().err


def test_a_model_is_removed_and_another_is_not_there(monkeypatch, capsys):
    import os

    folder = Path(os.environ["IPYTHON_ASSISTANT_MODELS"])
    folder.mkdir()
    (folder / "mine.gguf").write_bytes(b"x")

    assert main(["model", "rm", "mine"]) == 0
    assert names() == []
    assert main(["model", "rm", "mine"]) == 1


def test_every_recommended_model_says_whether_it_was_measured():
    assert 2 <= len(recommended()) <= 3
    assert all("measured" in source.about for source in recommended().values())
