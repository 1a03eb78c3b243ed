"""What a recording is made of: the key of a turn, its events in few pieces, and pictures taken out of them."""

from __future__ import annotations

import base64
import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.events import Code, Message, cite, image, logs, stream
from tests_support.saving import recorded

from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.ledger import answers, best_first
from ipython_assistant.core.provenance import digest_of
from ipython_assistant.core.recording import (
    EventLog,
    Exchange,
    Written,
    differences,
    put_back,
    take_out,
    taken_out,
    turn_digest,
)
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.turn import Turn

ASKED = Written(
    "Plot coverage by year.",
    model="gpt-5",
    instructions="Metric units.",
    tools=({"type": "web_search"},),
    effort="high",
    no_code=True,
    outputs=("by_year",),
    inputs=(("a.csv", "ab12"), ("b.csv", "cd34")),
    parent="f" * 64,
)

# --- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"prompt": "Plot coverage by month."},
        {"model": "gpt-6"},
        {"model": None},
        {"instructions": "Other units."},
        {"tools": None},
        {"effort": None},
        {"no_code": None},
        {"outputs": ()},
        {"outputs": ("by_year", "more")},
        {"inputs": (("a.csv", "other"), ("b.csv", "cd34"))},
        {"inputs": (("a.csv", "cd34"), ("b.csv", "ab12"))},
        {"inputs": (("a.csv", "ab12"),)},
        {"parent": ""},
        {"parent": "e" * 64},
    ],
)
def test_each_thing_the_user_wrote_is_part_of_the_key(part):
    assert replace(ASKED, **part).key != ASKED.key


def test_what_says_the_same_has_the_same_key():
    same = replace(
        ASKED,
        prompt="\r\nPlot coverage by year.  ",
        inputs=tuple(reversed(ASKED.inputs)),
        outputs=("by_year", "by_year"),
    )

    assert same.key == ASKED.key
    assert Written("a\r\nb").key == Written("a\nb").key


def test_the_key_of_a_question_never_changes_since_recordings_are_kept_for_years():
    # printf '{"prompt":"Plot it."}' | sha256sum
    assert Written("Plot it.").key == "db555041635da75b1838626d9bb19f927cf097ef8310c7400188604b73782a1e"


@pytest.mark.parametrize("part", ["key", "text", "code", "hashes"])
def test_a_turn_below_depends_on_all_of_the_answer_above(part):
    answer = {"key": "k", "text": "It rose.", "code": ["print(1)"], "hashes": ["ab", "cd"]}
    other = {**answer, part: "x" if isinstance(answer[part], str) else [*answer[part], "x"]}

    assert turn_digest(**answer) != turn_digest(**other)
    assert turn_digest(**answer) == turn_digest(**{**answer, "hashes": ["cd", "ab"]})


def test_the_digest_of_an_answer_knows_neither_ids_nor_the_model():
    fold, other = TurnFold(), TurnFold()
    for response_id, model, into in (("resp_1", "one", fold), ("resp_2", "two", other)):
        for event in stream([Code("x = 1"), Message("Done.")], response_id):
            said = {"response": {**event["response"], "model": model}} if "response" in event else {}
            into.feed({**event, **said})

    assert fold.turn != other.turn
    assert digest_of("k", fold.turn, ()) == digest_of("k", other.turn, ())
    assert digest_of("k", Turn(), ()) != digest_of("k", fold.turn, ())


def test_what_differs_from_a_recording_is_said_in_words():
    now = Written(
        "Plot coverage by month.",
        model="gpt-6",
        outputs=("by_year",),
        inputs=(("a.csv", "new"), ("c.csv", "ef")),
        parent="e" * 64,
    )
    named = {"f" * 64: "Load the table", "e" * 64: "Load it all"}

    assert differences(now, ASKED, named.__getitem__) == [
        "the question (recorded: “Plot coverage by year.”)",
        "the model (gpt-6; recorded: gpt-5)",
        "the instructions (not set; recorded: Metric units.)",
        "the effort (not set; recorded: high)",
        'the tools (not set; recorded: {"type":"web_search"})',
        "--no-code (not set; recorded: yes)",
        "what the input a.csv holds",
        "the input b.csv (only in the recording)",
        "the input c.csv (not in the recording)",
        "the answer before it (it follows “Load it all”; recorded after “Load the table”)",
    ]
    assert differences(ASKED, ASKED) == []


# --- events in few pieces ---------------------------------------------------------------------------------------------

TEXT = "See [a.csv](sandbox:/mnt/data/a.csv)."
ITEMS = st.lists(
    st.one_of(
        st.builds(Message, st.text(max_size=40), refusal=st.booleans()),
        st.just(Message(TEXT, (cite(TEXT, "a.csv", "cfile_1"),))),
        st.builds(Code, st.text(max_size=40), st.none() | st.just((logs("1\n"), image("data:image/png;base64,AAAA")))),
    ),
    max_size=4,
)


def folded(events):
    fold = TurnFold()
    for event in events:
        fold.feed(event)
    return fold.turn


def logged(events):
    log = EventLog()
    for event in events:
        log.add(event)
    return log.events


@given(ITEMS, st.randoms(use_true_random=False), st.booleans())
def test_a_turn_is_the_same_from_few_events_as_from_all_of_them(items, random, numbered):
    events = stream(items)
    # As it may come: some of it twice, some of it never, and padded.
    events = [event for event in events for _ in range(random.choice([1, 1, 1, 2]))]
    events = [event for event in events if random.random() > 0.1]
    if random.random() > 0.5:
        random.shuffle(events)
    events = [{**event, "obfuscation": "x" * random.randrange(9)} for event in events]
    if not numbered:
        events = [{name: value for name, value in event.items() if name != "sequence_number"} for event in events]
    before = copy.deepcopy(events)

    few = logged(events)

    assert events == before
    assert folded(few) == folded(events)
    assert logged(few) == few


def test_a_long_answer_is_a_handful_of_events():
    events = stream([Code("x = 1\n" * 200), Message("word " * 2000)])

    assert len(events) > 1500
    assert len(logged(events)) == 16
    assert logged(events)[-1] == events[-1]


def test_texts_that_are_written_side_by_side_are_not_mixed():
    pieces = [("a", 0), ("b", 1), ("c", 0), ("d", 0)]
    events = [
        {"type": "response.output_text.delta", "delta": delta, "output_index": index, "sequence_number": number}
        for number, (delta, index) in enumerate(pieces)
    ]

    assert [(event["delta"], event["output_index"]) for event in logged(events)] == [("a", 0), ("b", 1), ("cd", 0)]


# --- pictures taken out -----------------------------------------------------------------------------------------------

STAND_IN = f"data:image/png;base64,sha256={'a' * 64}"
STRINGS = st.one_of(
    st.text(max_size=20),
    st.binary(min_size=700, max_size=900).map(lambda body: "data:image/png;base64," + base64.b64encode(body).decode()),
    st.binary(min_size=900, max_size=901).map(lambda body: "data:verbatim;base64," + base64.b64encode(body).decode()),
    st.text(min_size=1200, max_size=1300).map(lambda body: f"data:image/png;base64,{body}"),
    st.sampled_from([STAND_IN, STAND_IN.replace("image/png", "verbatim"), "data:", "data:image/png;base64,AAAA"]),
)
VALUES = st.recursive(
    st.none() | st.integers() | STRINGS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_taken_out_comes_back_exactly_whatever_a_service_sent(value):
    bodies = {}
    short = take_out(value, bodies)

    assert put_back(short, bodies.__getitem__) == value
    assert taken_out(short) == bodies.keys()


def test_a_picture_that_comes_twice_is_taken_out_once_and_a_short_one_stays():
    picture = b"\x89PNG" + bytes(3000)
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    bodies = {}
    short = take_out([{"url": url}, {"url": url}, {"url": "data:image/png;base64,AAAA"}], bodies)

    assert list(bodies.values()) == [picture]
    assert len(str(short)) < 400
    assert short[2] == {"url": "data:image/png;base64,AAAA"}


def test_redaction_reaches_every_text_of_an_exchange_and_no_word_it_is_found_by():
    secret = "completed"  # as a machine might be called
    item = {"id": f"ci_{secret}", "type": secret, "code": f"print('{secret}')", "outputs": [logs(secret)]}
    exchange = Exchange(
        ({"type": f"response.{secret}", "response": {"status": secret, "output": [item]}}, {"url": STAND_IN}),
        {"model": "m", "input": [{"role": "user", "content": f"on {secret}"}]},
        headers={"x-request-id": secret},
    )
    redacted = exchange.redacted(redactor(hosts=[secret, "sha256"]))

    response = redacted.events[0]["response"]
    assert (redacted.events[0]["type"], response["status"]) == ("response.completed", "completed")
    assert response["output"] == [
        {"id": f"ci_{secret}", "type": secret, "code": "print('<host>')", "outputs": [logs("<host>")]}
    ]
    assert redacted.request["input"][0]["content"] == "on <host>"
    assert redacted.headers == {"x-request-id": "<host>"}
    assert redacted.events[1] == {"url": STAND_IN}


# --- which recording answers ------------------------------------------------------------------------------------------


def a_recording(minute=0, *, service="openai", status="completed"):
    return replace(recorded("cell-1", [], minute=minute, status=status), service=service, exchange=Exchange(()))


def test_an_answer_goes_before_a_refusal_a_hosted_one_before_the_local_one_then_the_later():
    first, later = a_recording(), a_recording(1)
    local, refused = a_recording(2, service="local"), a_recording(3, status="refused")

    assert best_first([refused, first, local, later]) == [later, first, local, refused]


@pytest.mark.parametrize("status", ["interrupted", "failed", "incomplete"])
def test_a_turn_that_did_not_come_to_its_end_never_answers(status):
    assert not answers(a_recording(status=status), with_missing=True)


def test_only_the_services_that_may_answer_do():
    assert answers(a_recording())
    assert not answers(a_recording(service="local"), {"openai", "azure"})
    assert answers(a_recording(service="local"), {"local"})
