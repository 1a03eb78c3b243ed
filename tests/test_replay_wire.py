"""A recorded turn, read like one that came over the wire: equal to it, without the SDK, without a connection."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_support.events import Code, Message, cite, cite_figure, image, logs
from tests_support.replaying import ask, folded, make_recording, replay, reply_of
from tests_support.saving import NOTEBOOK

from ipython_assistant.core.recording import Written
from ipython_assistant.errors import RecordingDamaged
from ipython_assistant.service.accounts import over_client
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
FIGURE = "data:image/png;base64," + base64.b64encode(PICTURE).decode()


def kinds():
    """One transcript of each kind."""
    link = "See [a.csv](sandbox:/mnt/data/a.csv)."
    return {
        "text": [Message("It rose.")],
        "file": [Code("x", (logs("1\n"),)), Message(link, (cite(link, "a.csv", "cfile_1"),))],
        "listed only": [Code("x", (logs("1\n"),)), Message("Done.")],
        "figure": [Code("plt.show()", (logs("1\n"), image(FIGURE))), Message("Done.", (cite_figure("cfile_f"),))],
        "refusal": [Message("I cannot.", refusal=True)],
        "failed code": [Code("1/0", (logs("ZeroDivisionError\n"),), status="failed"), Message("It raised.")],
    }


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path, tmp_path / "assistant_files", environ=NOTEBOOK)
    yield folder
    folder.close()


@pytest.fixture
def client(service):
    import openai

    with openai.OpenAI(api_key="test-key", base_url=service.url, max_retries=0) as client:
        yield client


def emptied(folder):
    """Everything gone but the recordings."""
    for path in folder.path.iterdir():
        if path.name != ".turns":
            path.unlink()


def saved(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}


def without_place(artifacts):
    return [(item.name, item.own_name, item.href, item.sha256, item.media_type, item.found) for item in artifacts]


@pytest.fixture
def no_connection(monkeypatch):
    def refuse(*_args):
        raise AssertionError("a replay connects to nobody")

    return lambda: monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("kind", kinds())
def test_a_turn_of_each_kind_replays_equal(kind, client, service, folder, no_connection):
    recordings = Recordings(folder)
    service.will_say(kinds()[kind])
    service.put("a.csv", b"a,b\n1,2\n", "cfile_1")
    live = ask(over_client(client), folder, recordings, Written(kind))
    before = saved(folder)
    emptied(folder)
    no_connection()

    turn, back = replay(recordings, recordings.find(Written(kind).key))

    assert turn == live.turn
    assert back.artifacts == live.collected.artifacts
    assert (back.failed, back.repeated, back.notes) == ((), live.collected.repeated, ())
    assert saved(folder) == before


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
NAMES = st.from_regex(r"[a-zé]{1,6}\.(csv|bin|png)", fullmatch=True)


@st.composite
def turns(draw):
    """Some code, figures and texts, and the files that were made, cited or not."""
    files = draw(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=4))
    items = draw(st.lists(st.one_of(st.builds(Message, LINES), st.builds(Code, LINES, st.just((logs("1\n"),))))))
    if draw(st.booleans()):
        items.append(Code("show()", (image(FIGURE), logs("shown\n"))))
    text = " ".join(f"[{name}](sandbox:/mnt/data/{name})" for name in files)
    cited = draw(st.sets(st.sampled_from(sorted(files)))) if files else set()
    citations = tuple(cite(text, name, _id(name)) for name in sorted(cited))
    return files, [*items, Code("make()"), Message(text, citations)]


def _id(name):
    return f"cfile_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns(), st.integers(1, 400))
def test_random_turns_replay_equal_however_their_bytes_are_cut(client, service, turn, cut):
    files, items = turn
    with tempfile.TemporaryDirectory() as directory:
        folder = Folder(Path(directory), Path(directory) / "assistant_files", environ=NOTEBOOK)
        recordings = Recordings(folder)
        service.files.clear()
        for name, content in files.items():
            service.put(name, content, _id(name))
        service.will_say(items)
        live = ask(over_client(client), folder, recordings, Written("q"))
        before = saved(folder)
        emptied(folder)
        recording = recordings.find(Written("q").key)

        assert folded(reply_of(recordings, recording), cut) == live.turn
        assert recordings.bring_back(recording, "cell-1").artifacts == live.collected.artifacts
        assert saved(folder) == before
        folder.close()
        shutil.rmtree(folder.path)


def test_a_recording_holds_the_request_without_upload_bodies_and_only_headers_that_say_nothing_of_who_asked(
    client, service, folder
):
    service.will_say([Message("It rose.")])
    recordings = Recordings(folder)
    ask(over_client(client), folder, recordings, Written("Did it rise?"))
    exchange = recordings.find(Written("Did it rise?").key).record.exchange

    assert exchange.request["input"] == "Did it rise?"
    assert (exchange.status, exchange.headers) == (200, {"content-type": "text/event-stream"})


def test_a_damaged_picture_is_noticed_before_anything_is_shown(folder):
    recordings = Recordings(folder)
    make_recording(recordings, Written("q"), items=[Code("show()", (image(FIGURE),)), Message("Done.")])
    (body,) = (folder.path / ".turns" / "bodies").iterdir()
    body.write_bytes(PICTURE[:-1] + b"x")
    recording = recordings.find(Written("q").key)

    with pytest.raises(RecordingDamaged, match=body.name):
        reply_of(recordings, recording)


def test_replaying_imports_no_sdk_and_no_pandas(folder, run_python):
    recordings = Recordings(folder)
    make_recording(recordings, Written("q"), {"a.csv": b"a\n1\n"}, kinds()["figure"])
    emptied(folder)

    said = run_python(f"""
import sys
from pathlib import Path
from ipython_assistant.core.recording import Written
from ipython_assistant.service.replay import recorded_reply
from ipython_assistant.service.stream import EventStream
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.recordings import Recordings
recordings = Recordings(Folder(Path({str(folder.notebook_dir)!r}), Path({str(folder.path)!r})))
recording = recordings.find(Written("q").key)
back = recordings.bring_back(recording, "cell-1")
reply = recorded_reply(recording.record.exchange, recordings.open_body)
print(len([event for event in EventStream(reply) if event]), [item.name for item in back.artifacts])
print({{"openai", "pandas", "httpx", "httpx2"}} & set(sys.modules))
""")
    assert said.splitlines()[-2:] == ["17 ['a.csv']", "set()"]
