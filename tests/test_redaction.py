"""What must not be kept is taken out of a recording, and the recording still says the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.events import Code, Message, logs, stream
from tests_support.saving import recorded

from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.footnotes import finished
from ipython_assistant.core.provenance import from_json, to_json
from ipython_assistant.core.recording import EventLog, Exchange, Written, differences
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.tool_secrets import secrets_in, without_secrets

KEY = "sk-planted-0123456789"
LONG = "k" * 40
REDACT = redactor([KEY, LONG], ["venus"])
STAND_INS = {KEY: "<secret>", LONG: "<secret>", "venus": "<host>"}


def folded(events):
    fold = TurnFold()
    for event in events:
        fold.feed(event)
    return fold.turn


def kept(events, redact=REDACT):
    log = EventLog()
    for event in events:
        log.add(event)
    return Exchange(log.events).redacted(redact).events


# --- citations point at the same words --------------------------------------------------------------------------------

WORDS = st.sampled_from(["It rose", " é", "\U0001f600", "[1]", "\n", " (see) "])
PIECES = st.lists(WORDS | st.sampled_from(sorted(STAND_INS)).map(lambda one: f" {one} "), min_size=1, max_size=8)
KINDS = ("url_citation", "container_file_citation", "file_citation", "nested")


def annotation(kind, start, end, number=1):
    span = {"start_index": start, "end_index": end}
    web = {"url": f"https://example.org/{number}", "title": "A page"}
    if kind == "url_citation":
        return {"type": kind, **web, **span}
    if kind == "nested":
        return {"type": "url_citation", "url_citation": {**web, **span}}
    if kind == "file_citation":
        return {"type": kind, "file_id": "file_1", "filename": "a.pdf", "index": start}
    return {"type": kind, "container_id": "cntr_test", "file_id": f"cfile_{number}", "filename": "a.csv", **span}


@st.composite
def cited_texts(draw):
    """The pieces of a text, and citations of some of them: kind, first piece, the piece behind the last."""
    pieces = draw(PIECES)
    place = st.integers(0, len(pieces))
    spans = st.tuples(st.sampled_from(KINDS), place, place).map(lambda it: (it[0], *sorted(it[1:])))
    return pieces, draw(st.lists(spans, min_size=1, max_size=4, unique=True))


def length(pieces):
    return sum(map(len, pieces))


def as_told(pieces, spans):
    return tuple(
        annotation(kind, length(pieces[:start]), length(pieces[:end]), number)
        for number, (kind, start, end) in enumerate(spans)
    )


def mixed(events, random):
    """The same events, the citations among the pieces of the text instead of behind them."""
    deltas = [
        at
        for at, event in enumerate(events)
        if (event["type"], event.get("output_index")) == ("response.output_text.delta", 1)
    ]
    added = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    if not deltas:
        return events
    middle = events[deltas[0] : deltas[-1] + 1]
    for event in added:
        middle.insert(random.randint(0, len(middle)), event)
    rest = [event for event in events[deltas[-1] + 1 :] if event not in added]
    together = [*events[: deltas[0]], *middle, *rest]
    return [{**event, "sequence_number": number} for number, event in enumerate(together)]


@given(cited_texts(), st.randoms(use_true_random=False), st.booleans())
def test_citations_point_at_the_same_words_wherever_a_key_stood_and_wherever_the_stream_ends(cited, random, whole):
    pieces, spans = cited
    text = "".join(pieces)
    told = as_told(pieces, spans)
    events = mixed(stream([Message("First."), Message(text, told)]), random)
    ends = [number for number, event in enumerate(events) if event["type"] == "response.output_text.done"][-1]
    events = events if whole else events[:ends]

    turn = folded(kept(events))

    short = [f" {STAND_INS[piece.strip()]} " if piece.strip() in STAND_INS else piece for piece in pieces]
    assert turn.parts[1] == folded(stream([Message("First."), Message("".join(short), as_told(short, spans))])).parts[1]
    for secret in STAND_INS:
        assert secret not in json.dumps(kept(events))


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ((0, 3), "The"),
        ((4, 4 + len(KEY)), "<secret>"),
        ((6, 10), "<secret>"),
        ((0, 8), "The <secret>"),
        ((10, 4 + len(KEY) + 5), "<secret> rose"),
        ((5 + len(KEY), 9 + len(KEY)), "rose"),
    ],
)
def test_a_span_that_begins_or_ends_within_a_key_takes_in_its_stand_in(span, words):
    message = Message(f"The {KEY} rose.", (annotation("url_citation", *span),))
    (part,) = folded(kept(stream([message]))).parts

    assert part.text[part.sources[0].start : part.sources[0].end] == words


def test_a_figures_citation_that_has_no_span_gets_none():
    figure = {**annotation("container_file_citation", 0, 0), "filename": "cfile_0.png"}
    (part,) = folded(kept(stream([Message(f"{KEY} rose.", (figure,))]))).parts

    assert (part.citations[0].start, part.citations[0].end) == (0, 0)


def test_the_footnote_stands_behind_the_words_it_stood_behind():
    text = f"On {KEY} it rose. On venus it fell."
    cited = annotation("url_citation", text.index("it rose"), text.index("it rose") + len("it rose"))
    turn = folded(kept(stream([Message(text, (cited,))])))

    assert finished(turn, ()).startswith("On <secret> it rose\u202f¹. On <host> it fell.")


def test_a_key_that_comes_in_two_pieces_with_a_citation_between_them_is_taken_out_of_both():
    half = len(KEY) // 2
    at = {"output_index": 0, "content_index": 0}
    events = [
        {"type": "response.output_text.delta", **at, "delta": f"It is {KEY[:half]}"},
        {
            "type": "response.output_text.annotation.added",
            **at,
            "annotation_index": 0,
            "annotation": annotation("url_citation", 6 + len(KEY), 9 + len(KEY)),
        },
        {"type": "response.output_text.delta", **at, "delta": f"{KEY[half:]}, so"},
    ]
    redacted = kept(events)

    assert [event.get("delta") for event in redacted] == ["It is <secret>", None, ", so"]
    (source,) = folded(redacted).parts[0].sources
    assert (source.start, source.end) == (14, 17)


def test_the_pieces_that_a_model_tells_with_their_likelihood_do_not_spell_a_key():
    tokens = [{"token": KEY[:9], "logprob": -0.1}, {"token": KEY[9:], "logprob": -0.1}]
    at = {"output_index": 0, "content_index": 0}
    events = [{"type": "response.output_text.delta", **at, "delta": one["token"], "logprobs": [one]} for one in tokens]
    part = {"type": "output_text", "text": KEY, "annotations": [], "logprobs": tokens}
    events.append({"type": "response.content_part.done", **at, "part": part})
    said = json.dumps(kept(events))

    assert KEY[9:] not in said
    assert folded(kept(events)).text == "<secret>"


# --- secrets in tools -------------------------------------------------------------------------------------------------

TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://ada:planted-pass@mcp.example.org/sse?api_key=planted-in-address&team=red",
    "authorization": "Bearer planted-authorization",
    "headers": {"Authorization": "Bearer planted-header", "X-Anything": "planted-other"},
    "require_approval": "never",
    "allowed_tools": ["search"],
    "config": [{"apiKey": "planted-api-key", "deeper": {"client_secret": "planted-client", "password": 12345678}}],
    "env": [{"name": "ACCESS_TOKEN", "value": "planted-token"}, {"name": "REGION", "value": "eu"}],
    "network_policy": {
        "allowed_domains": ["api.example.org"],
        "domain_secrets": [{"domain": "api.example.org", "name": "ANY", "value": "planted-domain-secret"}],
    },
    "max_tokens": 100,
    "filters": {"type": "eq", "key": "region", "value": "eu"},
    "parameters": {"type": "object", "properties": {"password": {"type": "string"}}, "primary_key": "id"},
}


def test_every_secret_in_a_tool_is_taken_out_at_any_depth_and_nothing_else():
    assert without_secrets([TOOL]) == [
        {
            **TOOL,
            "server_url": "https://<secret>@mcp.example.org/sse?api_key=<secret>&team=red",
            "authorization": "<secret>",
            "headers": {"Authorization": "<secret>", "X-Anything": "<secret>"},
            "config": [{"apiKey": "<secret>", "deeper": {"client_secret": "<secret>", "password": "<secret>"}}],
            "env": [{"name": "ACCESS_TOKEN", "value": "<secret>"}, {"name": "REGION", "value": "eu"}],
            "network_policy": {
                "allowed_domains": ["api.example.org"],
                "domain_secrets": [{"domain": "api.example.org", "name": "ANY", "value": "<secret>"}],
            },
        }
    ]
    assert without_secrets(without_secrets([TOOL])) == without_secrets([TOOL])
    assert {"planted-header", "planted-pass", "planted-in-address", "planted-authorization"} <= secrets_in([TOOL])


NAMES = ["authorization", "api_key", "apiKey", "token", "access_token", "secret", "password", "x-api-key", "headers"]


@settings(max_examples=50)
@given(
    name=st.sampled_from(NAMES),
    wrapped=st.lists(st.sampled_from(["config", "list"]), max_size=4),
    secrets=st.lists(st.text(min_size=1), min_size=2, max_size=2),
)
def test_another_secret_in_the_same_place_is_the_same_question(name, wrapped, secrets):
    def written(secret):
        value = {name: {"A": secret} if name == "headers" else secret}
        for kind in wrapped:
            value = [value] if kind == "list" else {"config": value}
        return Written("Ask.", tools=({"type": "mcp", "options": value},))

    one, other = map(written, secrets)
    assert one.key == other.key
    assert differences(one, other) == []
    assert one.key != replace(one, tools=({"type": "mcp"},)).key


def test_a_tool_without_secrets_has_the_key_it_always_had():
    # printf '{"prompt":"Ask.","tools":[{"filters":{"key":"region"},"type":"file_search"}]}' | sha256sum
    tools = ({"type": "file_search", "filters": {"key": "region"}},)

    assert Written("Ask.", tools=tools).key == "e5e9d4334be207c91c924d48a1517676dccdb1c5d6b4916f5d5f3027f9299159"


def test_nothing_of_a_tools_secrets_is_in_its_record_wherever_the_service_repeats_them():
    said = "Error 401 for planted-header and Bearer planted-authorization, planted-api-key, planted-token."
    events = stream([Code("x", (logs(said),)), Message(said)], tools=[TOOL], error={"message": said})
    log = EventLog()
    for event in events:
        log.add(event)
    record = replace(
        recorded("cell-1", []),
        prompt=said,
        notes=(said,),
        written=Written(said, tools=(TOOL,)),
        exchange=Exchange(log.events, {"model": "m", "tools": [{"type": "code_interpreter"}, TOOL]}),
    )
    text = to_json(record.redacted(redactor()))

    assert "planted" not in text
    request = from_json(text).exchange.request
    assert request["tools"][1]["authorization"] == "<secret>"
    assert request["tools"][1]["server_label"] == "crm"
    assert from_json(text).written.body()["tools"][0]["headers"] == {
        "Authorization": "<secret>",
        "X-Anything": "<secret>",
    }
