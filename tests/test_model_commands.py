"""`ipython-assistant model`: fetching from a scripted hub on loopback, listing and removing."""

import hashlib
import json
import os
import re

import pytest
from tests_support.loopback import Door, Loopback

from ipython_assistant import model_commands
from ipython_assistant.cli import main
from ipython_assistant.service.model_servers import fetched_models

CONTENT = bytes(range(256)) * 8_000
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Door(Door):
    """Ends each connection with its answer: the library keeps connections open from one test to the next."""

    protocol_version = "HTTP/1.0"

    def respond(self):
        hub, with_body = self.owner, self.command == "GET"
        status, body, headers = hub.answer(self.path, self.headers.get("Range", ""), with_body=with_body)
        self.begin(status, headers, len(body))
        if with_body:
            is_file = "/resolve/" in self.path
            self.wfile.write(body[: hub.breaks_after] if is_file else body)
            hub.breaks_after = None if is_file else hub.breaks_after


class ScriptedHub(Loopback):
    """As much of huggingface.co as fetching one file needs.

    It states a hash; the connection breaks once after so many bytes; the `Range` of each request for the file is kept.
    """

    door = _Door
    base = ""

    def __init__(self):
        self.stated = hashlib.sha256(CONTENT).hexdigest()
        self.breaks_after: int | None = None
        self.ranges: list[str] = []

    def answer(self, path, asked, *, with_body):
        """Status, body and headers."""
        if path.startswith("/api/models/o/r"):
            lfs = {"sha256": self.stated, "size": len(CONTENT), "pointerSize": 1}
            files = [{"rfilename": "Some-Model.gguf", "size": len(CONTENT), "lfs": lfs}, {"rfilename": "README.md"}]
            about = {"id": "o/r", "sha": COMMIT, "cardData": {"license": "apache-2.0"}, "tags": [], "siblings": files}
            return 200, json.dumps(about).encode(), {"Content-Type": "application/json"}
        if "/resolve/" not in path:
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{self.stated}"', "X-Linked-Size": str(len(CONTENT))}
        start = int(re.findall(r"bytes=(\d+)-", asked)[0]) if with_body and asked else 0
        if with_body:
            self.ranges.append(asked)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return 206 if start else 200, CONTENT[start:], headers


@pytest.fixture
def hub(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with ScriptedHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def get(*words):
    return main(["model", "get", "o/r/Some-Model.gguf", *words])


def test_size_and_licence_are_shown_before_anything_is_fetched(hub, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert get() == 0
    printed = capsys.readouterr().out
    assert "apache-2.0" in printed
    assert "Nothing was fetched." in printed
    assert (hub.ranges, fetched_models(os.environ)) == ([], {})


def test_after_a_yes_the_file_is_fetched_once_listed_and_removed(hub, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert get() == get() == main(["model", "list"]) == 0
    assert len(hub.ranges) == 1
    assert "-m gguf/some-model" in capsys.readouterr().out
    assert fetched_models(os.environ)["some-model"].read_bytes() == CONTENT
    assert main(["model", "rm", "some-model"]) == 0
    assert fetched_models(os.environ) == {}
    assert main(["model", "rm", "some-model"]) == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub, monkeypatch):
    hub.breaks_after = 1_000_000
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    assert 0 in (get("--yes"), get("--yes"))
    assert list(fetched_models(os.environ)) == ["some-model"]
    assert any(asked.startswith("bytes=") and asked != "bytes=0-" for asked in hub.ranges)


@pytest.mark.parametrize(("prepare", "name", "words"), [
    (lambda hub, _: setattr(hub, "stated", "0" * 64), "o/r/Some-Model.gguf", "SHA-256"),
    (None, "o/r/missing.gguf", "It has: Some-Model.gguf"), (None, "o/other/missing.gguf", "Check the name"),
    (lambda _, patch: patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9"), "", "could not be reached"),
    (lambda _, patch: patch.setattr(model_commands, "find_spec", lambda _: None), "", "huggingface_hub"),
    (None, "qwen3-4", "Did you mean qwen3-4b?"),
], ids=["another hash", "no such file", "no such repository", "no hub", "no library", "no such name"])  # fmt: skip
def test_each_failure_is_two_lines_and_nothing_is_kept(hub, monkeypatch, capsys, *, prepare, name, words):
    if prepare:
        prepare(hub, monkeypatch)
    assert main(["model", "get", *filter(None, [name]), "--yes"]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 2
    assert words in "\n".join(told)
    assert fetched_models(os.environ) == {}


def test_every_recommended_model_says_whether_it_was_measured():
    recommended = model_commands.recommended_models()
    assert 2 <= len(recommended) <= 3
    assert all("measured" in row["about"] for row in recommended.values())
