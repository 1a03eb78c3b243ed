"""Real traffic, where there is some: every recorded stream folds, and the files it cites are found and saved.

IPYTHON_ASSISTANT_RECORDINGS names a folder of recordings; none of them is part of this repository. Read are `*.sse`
(the body of a streamed response as it came), `*.chunks.txt` (its events, one JSON object a line), and every `*.json`
that is a whole response (`"object": "response"`).
"""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from faults.conftest import asking, faulty  # noqa: F401 fixtures
from faults.server import Container, Play, png, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_support.events import sse
from tests_support.replaying import folded

from ipython_assistant.core.fold import read_response
from ipython_assistant.errors import ServiceError
from ipython_assistant.service.stream import decode

FOLDER = os.environ.get("IPYTHON_ASSISTANT_RECORDINGS", "")
Json = dict[str, Any]


def _cases(*patterns):
    paths = sorted(path for pattern in patterns if FOLDER for path in Path(FOLDER).glob(pattern))
    found = [pytest.param(path, id=path.name) for path in paths if path.suffix != ".json" or _is_response(path)]
    why = f"{FOLDER} holds no such recording" if FOLDER else "IPYTHON_ASSISTANT_RECORDINGS names no recorded traffic"
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=why), id="no recordings")]


def _is_response(path):
    body = json.loads(path.read_bytes())
    return isinstance(body, dict) and body.get("object") == "response"


STREAMS = _cases("*.sse", "*.chunks.txt")


def events_of(path):
    body = path.read_bytes()
    return list(decode([body])) if path.suffix == ".sse" else [json.loads(line) for line in body.splitlines() if line]


@pytest.mark.parametrize("path", STREAMS)
def test_a_recorded_stream_has_gapless_numbers_and_folds_to_the_response_in_its_last_event(path):
    events = events_of(path)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] in {"response.completed", "response.failed", "response.incomplete"}
    turn, whole = folded(events), read_response(events[-1]["response"])
    assert turn == whole
    if whole.status == "completed":
        before = folded(events[:-1])
        # Everything a reader sees is there before the last event; what is encrypted is encrypted anew in it.
        assert (before.messages, before.calls) == (whole.messages, whole.calls)


@pytest.mark.parametrize("path", STREAMS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.data())
def test_any_chunking_of_a_recorded_stream_gives_the_same_turn(path, cuts):
    events = events_of(path)
    body = path.read_bytes() if path.suffix == ".sse" else sse(events)
    edges = cuts.draw(st.lists(st.integers(0, len(body)), max_size=40))
    chunks = [body[start:end] for start, end in itertools.pairwise([0, *sorted(edges), len(body)])]
    assert folded(list(decode(chunks))) == folded(events)


@pytest.mark.parametrize("path", _cases("*.sse", "*.chunks.txt", "*.json"))
def test_the_files_of_a_recorded_response_are_found_and_saved(path, asking):  # noqa: F811 the fixture of that name
    events = events_of(path) if path.suffix in {".sse", ".txt"} else [_completed(json.loads(path.read_bytes()))]
    whole = read_response(events[-1]["response"])
    asking.service.plays.append(Play([_make_the_files(whole), *events]))
    ran = asking.run("Play it.")
    made = list(asking.service.made.values())
    assert ran.error is None or (whole.status == "failed" and isinstance(ran.error, ServiceError)), ran.error
    assert not ran.answer.failed
    saved = {artifact.file_id: artifact for artifact in ran.answer.artifacts}
    shown = {artifact.sha256 for artifact in ran.answer.artifacts}
    for file in made:
        figure_in_outputs = file.name == f"{file.file_id}.png" and any(call.figures for call in whole.calls)
        assert file.file_id in saved or figure_in_outputs, file.name
        if file.file_id in saved:
            assert saved[file.file_id].path.read_bytes() == file.content
    figures = [figure for call in whole.calls for figure in call.figures]
    assert len(shown) >= len({figure.url for figure in figures})
    assert "sandbox:" not in ran.answer.text


def _completed(response):
    return {"type": f"response.{response['status']}", "sequence_number": 0, "response": response}


def _make_the_files(whole):
    """What the recording says there was, and one file that it does not cite."""

    def make(service, _container_id):
        for container_id in whole.container_ids:
            service.containers[container_id] = Container()
            service.write(container_id, "uncited.csv", table(container_id, 10))
        for part in whole.parts:
            for citation in part.citations:
                content = png(citation.file_id, 8) if citation.filename.endswith(".png") else table(citation.file_id, 9)
                if citation.file_id not in service.containers[citation.container_id].files:
                    service.write(citation.container_id, citation.filename, content, citation.file_id)

    return make
