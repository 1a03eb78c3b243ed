"""service.stream: bytes to events."""

import itertools
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support import events as wire
from tests_support.cases import cases
from tests_support.growth import assert_linear

from ipython_assistant.errors import StreamBroken, Unreachable
from ipython_assistant.service.client import Reply
from ipython_assistant.service.stream import EventStream, decode

EVENTS = wire.stream([wire.Code("print('é')", (wire.logs("é\n"),)), wire.Message("Ünïcode – done 🎉.")])


def reply(chunks, close=lambda: None):
    return Reply(200, {}, iter(chunks), close)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(wire.sse(EVENTS))), max_size=30), st.sampled_from(["\n", "\r\n"]))
def test_any_cutting_of_the_same_bytes_gives_the_same_events(cuts, newline):
    body = wire.sse(EVENTS, newline)
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[start:end] for start, end in itertools.pairwise(edges)]
    assert list(decode(chunks)) == EVENTS


def test_an_event_cut_in_the_middle_is_a_broken_stream():
    with pytest.raises(StreamBroken, match="middle of an event"):
        list(decode([wire.sse(EVENTS)[:-60]]))


def test_the_iteration_ends_after_the_last_event_even_if_the_connection_does_not():
    def chunks():
        yield wire.sse(EVENTS)
        threading.Event().wait()

    assert [event for event in EventStream(reply(chunks())) if event] == EVENTS


def test_a_body_that_ends_before_its_last_event_is_a_broken_stream_after_what_came():
    events = (event for event in EventStream(reply([wire.sse(EVENTS[:-1])])) if event)
    assert list(itertools.islice(events, len(EVENTS) - 1)) == EVENTS[:-1]
    with pytest.raises(StreamBroken, match="before its end"):
        next(events)


def test_a_lost_connection_is_a_broken_stream_that_keeps_its_cause():
    def chunks():
        yield wire.sse(EVENTS[:3])
        raise Unreachable("reset")

    with pytest.raises(StreamBroken) as caught:
        list(EventStream(reply(chunks())))
    assert isinstance(caught.value.__cause__, Unreachable)


def test_a_pause_shows_as_none():
    go_on = threading.Event()

    def chunks():
        yield wire.sse(EVENTS[:1])
        go_on.wait(10)
        yield wire.sse(EVENTS[1:])

    seen = []
    for event in EventStream(reply(chunks()), pause_s=0.01):
        seen.append(event)
        if event is None:
            go_on.set()
    assert None in seen
    assert [event for event in seen if event] == EVENTS


def test_closing_closes_the_reply():
    closed = threading.Event()
    EventStream(reply([wire.sse(EVENTS)], closed.set)).close()
    assert closed.is_set()


def test_a_larger_event_takes_longer_in_proportion():
    def work(size):
        body = b"data:" + json.dumps({"figure": "A" * size}).encode() + b"\n\n"
        chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
        return lambda: list(decode(chunks))

    assert_linear(work, 2_000_000)


ODD = b"data: ping\n\ndata: [1]\n\ndata: " + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n\n"


@cases(("before", "after"), {
    "a comment and the end": ([b": hello\n\n"], [b"data: [DONE]\n\n"]),
    "no JSON, no object, too deep": ([ODD], []),
    "a byte order mark and blank lines": ([b"\xef\xbb", b"\xbf\r\n", b"\n"], []),
})  # fmt: skip
def test_what_is_no_event_is_passed_over(before, after):
    assert list(decode([*before, wire.sse(EVENTS), *after])) == EVENTS


def test_an_error_event_may_be_the_last():
    error = {"type": "error", "error": {"message": "No."}}
    assert [event for event in EventStream(reply([wire.sse([*EVENTS[:3], error])])) if event] == [*EVENTS[:3], error]
