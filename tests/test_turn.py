"""core.turn: events in, Turn out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import events as wire
from tests_support.cases import cases
from tests_support.mutation import mutated
from tests_support.replaying import folded

from ipython_assistant.core.artifacts import ContainerFile, cited_files, shown_figures, wanted_files
from ipython_assistant.core.fold import TurnFold, read_response
from ipython_assistant.core.footnotes import answer_text
from ipython_assistant.core.turn import Image, Source
from ipython_assistant.core.usage import tokens_of

TEXT = "Here is ’it’: [the table](sandbox:/mnt/data/by_district.csv)."
CITATION = wire.cite(TEXT, "by_district.csv", "cfile_1")

# One table of items serves the fold of a stream and the reading of a whole response.
TURNS = {
    "a message": [wire.Message("Hello there.")],
    "a refusal": [wire.Message("I cannot do that.", refusal=True)],
    "code, then a citation": [wire.Code("print(1)\r\n", (wire.logs("1\n"),)), wire.Message(TEXT, (CITATION,))],
    "a citation in the middle": [wire.Code("a"), wire.Message(TEXT, (CITATION,)), wire.Code("b"), wire.Message("")],
    "logs, figure, logs": [wire.Code("p()", (wire.logs("a"), wire.image("data:image/png;base64,AA=="), wire.logs("b"))),
                           wire.Message("See.", (wire.cite_figure("cfile_2"),))],
    "outputs that were not asked for": [wire.Code("x", None), wire.Message("ok")],
    "reasoning around everything": [wire.Reasoning(), wire.Code("x"), wire.Reasoning(), wire.Message("ok")],
    "code that failed": [wire.Code("1/0", (wire.logs("DivisionError"),), status="failed"), wire.Message("It failed.")],
}  # fmt: skip


@pytest.mark.parametrize("items", TURNS.values(), ids=TURNS.keys())
def test_a_folded_stream_equals_the_response_read_whole_and_without_its_last_event_it_lacks_only_the_end(items):
    cut, whole = folded(wire.stream(items)[:-1]), folded(wire.stream(items))
    assert whole == read_response(wire.response(items))
    assert cut.items == whole.items
    assert (cut.status, whole.status) == ("in_progress", "completed")


def test_code_has_plain_line_ends_and_outputs_keep_the_order_of_logs_and_figures():
    call = folded(wire.stream([wire.Code("a\r\nb"), *TURNS["logs, figure, logs"]])).calls
    assert call[0].code == "a\nb"
    assert call[1].outputs == ("a", Image("data:image/png;base64,AA=="), "b")
    assert call[1].logs == "ab"


def test_an_error_or_a_failed_response_without_items_is_the_failure_and_what_arrived_is_kept():
    failure = {"code": "insufficient_quota", "message": "No money.", "param": None}
    failed = {"type": "response.failed", "response": wire.response([], status="failed", error=failure)}
    for last in ({"type": "error", **failure}, {"type": "error", "error": failure}, failed):
        turn = folded([*wire.stream([wire.Message("Half an ans")])[:-1], {**last, "sequence_number": 99}])
        assert (turn.failure.code, turn.failure.message) == ("insufficient_quota", "No money.")
        assert (turn.text, turn.status == "failed") == ("Half an ans", last is failed)


def test_a_refusal_is_known_as_one_and_a_citation_that_is_sent_four_times_is_one():
    turn = folded(wire.stream([*TURNS["a refusal"], *TURNS["code, then a citation"]]))
    assert (turn.refused, [len(part.citations) for part in turn.parts]) == (True, [0, 1])


unknown_types = st.sampled_from(["response.brand_new", "", "keepalive", "response.reasoning_summary_text.delta"])
unknown_parts = {"item": st.none() | st.integers(), "output_index": st.integers(), "delta": st.text()}
unknown_events = st.fixed_dictionaries({"type": unknown_types}, optional=unknown_parts)


@given(st.sampled_from(list(TURNS.values())), st.data())
def test_unknown_events_and_events_that_come_twice_change_nothing(items, data):
    noisy = []
    for event in wire.stream(items):
        noisy += [event, *data.draw(st.lists(st.just(event) | unknown_events, max_size=2))]
    assert folded(noisy) == folded(wire.stream(items))


PAGE = {"type": "url_citation", "url": "https://example.org", "title": "A page", "start_index": 0, "end_index": 4}
FILE = {"type": "file_citation", "file_id": "file_1", "filename": "minutes.pdf", "index": 4}


def test_sources_of_web_and_file_search_stand_beside_the_files_of_a_part():
    items = [wire.Message(TEXT, (PAGE, CITATION, FILE, PAGE))]
    part = folded(wire.stream(items)).parts[0]
    assert part.sources == (Source("https://example.org", "A page", 0, 4), Source("", "minutes.pdf", 4, 4, "file_1"))
    assert [citation.filename for citation in part.citations] == ["by_district.csv"]
    assert folded(wire.stream(items)) == read_response(wire.response(items))


@pytest.mark.parametrize(("annotation", "sources"), [
    ({"type": "file_path", "file_id": "file_1", "index": 0}, ()), ({"type": "brand_new"}, ()), (None, ()), ("text", ()),
    ({"type": "url_citation"}, (Source("", "", 0, 0),)),
    ({"type": "url_citation", "url_citation": {**PAGE, "type": None}},
     (Source("https://example.org", "A page", 0, 4),)),
])  # fmt: skip
def test_an_annotation_of_an_unknown_kind_or_shape_changes_nothing_and_a_nested_one_is_read(annotation, sources):
    part = read_response(wire.response([wire.Message(TEXT, (annotation,))])).parts[0]
    assert (part.citations, part.sources) == ((), sources)


def test_an_item_without_a_view_still_says_which_container_is_its_own():
    item = {"type": "shell_call", "environment": {"type": "container_reference", "container_id": "cntr_3"}}
    raw = wire.response([wire.Message(TEXT, (CITATION,))])
    brand_new = {"type": "brand_new", "steps": [{"container_id": "cntr_4"}]}
    turn = read_response({**raw, "output": [item, brand_new, *raw["output"]]})
    assert [item.type for item in turn.others] == ["shell_call", "brand_new"]
    assert turn.container_ids == ("cntr_3", "cntr_4", wire.CONTAINER)


# Servers that are nearly right. ---------------------------------------------------------------------------------------
FULL = [
    wire.Reasoning(), wire.Message("First I plan."), wire.Code("one()", (wire.logs("1"),)),
    wire.Code("two()", (wire.image("data:image/png;base64,AA=="),)), wire.Message(TEXT, (CITATION,)),
]  # fmt: skip


def test_a_listed_file_that_is_cited_like_a_figure_is_fetched_though_the_figure_itself_came_whole():
    figure = wire.image("data:image/png;base64,AA==")
    items = [wire.Code("p()", (figure,)), wire.Message("See.", (wire.cite_figure("cfile_2"),))]
    turn = read_response(wire.response(items))
    listed = ContainerFile(wire.CONTAINER, "cfile_2", "table.csv", "listed", 9, 1)
    assert wanted_files(turn, [listed], shown=1) == (listed,)


def without(*keys):
    """The events with some keys left out, of the event and of what it carries."""

    def leave_out(value):
        if isinstance(value, dict):
            return {key: leave_out(inner) for key, inner in value.items() if key not in keys}
        return [leave_out(inner) for inner in value] if isinstance(value, list) else value

    return leave_out(wire.stream(FULL))


def contents(turn):
    """What a turn says, without its ids."""
    return turn.text, [(call.code, call.outputs, call.container_id) for call in turn.calls], turn.citations


@pytest.mark.parametrize("missing", [
    ("output_index",), ("item_id",), ("content_index",), ("annotation_index",), ("sequence_number",), ("id", "item_id"),
    ("output_index", "item_id", "id"), ("output_index", "content_index", "annotation_index", "sequence_number"),
], ids="+".join)  # fmt: skip
def test_a_stream_that_leaves_out_indices_and_ids_gives_the_same_turn(missing):
    events = without(*missing)
    assert contents(folded(events)) == contents(read_response(wire.response(FULL)))
    assert contents(folded(events[:-1])) == contents(read_response(wire.response(FULL)))


def other_ids(event):
    output = event.get("response", {}).get("output", [])
    is_last = event["type"] == "response.completed"
    items = [{**item, "id": f"other_{number}"} for number, item in enumerate(output)] if is_last else output
    return {**event, "response": {**event["response"], "output": items}} if "response" in event else event


@cases("change", {
    "every event numbered 0": lambda event: {**event, "sequence_number": 0},
    "every item at place 0": lambda event: {**event, "output_index": 0} if "output_index" in event else event,
    "other ids in the last event": other_ids,
})  # fmt: skip
def test_a_service_that_is_odd_in_this_way_gives_the_same_turn(change):
    events = [change(event) for event in wire.stream(FULL)]
    assert contents(folded(events)) == contents(read_response(wire.response(FULL)))


@pytest.mark.parametrize("ids", [{}, {"id": "m_1"}])
def test_an_item_that_begins_twice_or_after_its_text_is_one(ids):
    begins = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", **ids}}
    text = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}
    for events in ([begins, begins, text], [text, begins], [begins, {**begins, "item": {"type": "message"}}, text]):
        assert folded(events).text == "Hi"
        assert len(folded(events).items) == 1


@pytest.mark.parametrize("content", [[], None, "none"])
@pytest.mark.parametrize("kind", ["response.output_item.done", "response.completed"])
def test_an_empty_whole_copy_takes_nothing_away(kind, content):
    events, empty = wire.stream(FULL), {"content": [], "code": None, "outputs": [], "container_id": ""}
    for event in events:
        if event["type"] == kind:
            for item in event.get("response", {}).get("output", [event.get("item")]):
                item.update({**empty, "content": content} if item["type"] == "message" else empty)
    assert contents(folded(events)) == contents(read_response(wire.response(FULL)))


def test_the_container_of_an_event_is_that_of_its_own_call_not_of_the_last():
    items = [wire.Code("one()", container_id="cntr_1"), wire.Code("two()", container_id="cntr_2")]
    turn_fold = TurnFold()
    for event in wire.stream(items)[:-1]:
        turn_fold.feed(event)
    events = ({"output_index": 0, "item_id": "ci_0"}, {"output_index": 1}, {}, {"item_id": "ci_nowhere"})
    found = [turn_fold.container_of({"type": "x", **event}) for event in events]
    assert found == ["cntr_1", "cntr_2", "cntr_2", ""]


@given(mutated(wire.stream(FULL)))
def test_any_field_may_be_of_any_type_and_the_rest_of_the_answer_is_there(events):
    turn = folded(events)
    # Everything that is read off a turn can be read and written.
    said = [turn.text, turn.response_id, turn.model, turn.status, turn.incomplete_reason, *turn.container_ids]
    said += [text for call in turn.calls for text in (call.id, call.code, call.logs, call.status)]
    said += [text for citation in turn.citations for text in (citation.file_id, citation.filename)]
    assert all(text.encode() is not None for text in said)
    assert all(citation.start <= 2**63 for citation in turn.citations)
    assert isinstance(turn.usage, dict)
    json.dumps([item.raw for item in turn.others], ensure_ascii=False).encode()
    tokens_of(turn.usage)
    answer_text(turn, (), {}).encode()
    cited_files(turn), cited_files(turn, figures=True), shown_figures(turn)


def test_an_item_nested_without_end_is_cut_where_nobody_reads_on():
    raw = {"type": "brand_new", "id": "x", "value": (inner := {})}
    for _ in range(900):
        inner["value"] = inner = {}
    (item,) = read_response({"output": [raw]}).others
    assert json.dumps(item.raw).count("{") < 60
