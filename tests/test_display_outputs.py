"""Every output of ours is safe, has plain text, and may hold whatever was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.files import PNG, artifact, call, head
from tests_support.markup import Markup
from tests_support.mutation import json_values

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.turn import CodeCall, Image, OtherItem
from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display import outputs, previews
from ipython_assistant.display.previews import card

HOSTILE_NAMES = [
    '"><img src=x onerror=alert(1)>.csv', "'><script>alert(1)</script>.csv", "a\nb\r\nc.csv", "\u202evsc.exe",
    "javascript:alert(1).csv", "\x1b]0;title\x07.csv", "&lt;b&gt;.csv", "$x$ and $y$.csv", "x" * 5000 + ".csv",
    "\ud800.csv", "100%25 ok?#frag.csv",
]  # fmt: skip


def every_bundle(text):
    """Every kind of bundle, with this text wherever there is room for it."""
    chart = artifact(text, "image/png")
    return [
        outputs.answer(text, {"a.csv": text}), outputs.live(text, text),
        outputs.work([call(text, text), call(text, text, "failed")]), previews.picture(chart, PNG, description=text),
        previews.caption(chart, "smaller"), previews.caption(artifact(text, "image/svg+xml"), "not"),
        previews.table(artifact(text), head((text, None), columns=(text, text), notes=(text,))),
        previews.source(artifact(text, "text/html"), text, whole=False),
        card([artifact(text)], [FailedArtifact(text, text)], [text], {text: text}),
    ]  # fmt: skip


def check(bundle):
    json.dumps(bundle, ensure_ascii=False).encode()
    assert isinstance(bundle.data["text/plain"], str)
    assert "\x1b" not in bundle.data["text/plain"]
    assert Markup.of(bundle.data.get("text/html", "")).harm() == []
    assert "text/markdown" not in bundle.data
    assert "application/javascript" not in bundle.data


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name[:20]))
def test_a_hostile_name_is_only_ever_text(name):
    for bundle in every_bundle(name):
        check(bundle)


@given(st.text(max_size=80) | st.text(alphabet="<>\"'&/=;:()[]!`\n\r\x1b\u202ea ", max_size=80))
def test_whatever_is_written_makes_a_safe_bundle_with_plain_text(text):
    for bundle in every_bundle(text):
        check(bundle)


def test_a_running_answer_shows_what_is_written_and_what_is_going_on():
    bundle = outputs.live("**B** rose. See [the tab", "running code, 3 s")
    assert Markup.of(bundle.data["text/html"]).text.split("\n") == ["B rose. See the tab", "Running code, 3 s …"]
    assert bundle.data["text/plain"].endswith("Running code, 3 s …")


SIZES = {
    0: "0 bytes", 1: "1 byte", 9_999: "9,999 bytes", 10_000: "10.0 kB", 999_949: "999.9 kB", 999_960: "1.0 MB",
    200_000_000: "200.0 MB", 3_000_000_000: "3.0 GB", 4_000_000_000_000: "4.0 TB",
}  # fmt: skip


def test_sizes_are_given_in_words():
    assert {size: size_in_words(size) for size in SIZES} == SIZES


def test_code_is_folded_with_its_logs_and_keeps_every_character():
    bundle = outputs.work([call("x = 1 < 2\nprint(x)\n", "True\n"), call("y", None)])
    markup = Markup.of(bundle.data["text/html"])
    assert "open" not in markup.all("details")[0]
    assert markup.text.startswith("Code, 2 steps")
    assert "x = 1 < 2\nprint(x)" in markup.text
    assert "True" in markup.text
    assert "    x = 1 < 2\n    print(x)" in bundle.data["text/plain"]
    assert "    True" in bundle.data["text/plain"]


@pytest.mark.parametrize(("failing", "words"), [
    (call("f()", "", "failed"), "ended in an error"),
    (call("f()", "Traceback (most recent call last):\nKeyError: 'x'\n"), "ended in an error"),
    (call("f()", None, "interpreting"), "did not finish"),
])  # fmt: skip
def test_a_call_that_went_wrong_is_open_and_said(failing, words):
    alone, second = outputs.work([failing]), outputs.work([call(), failing])
    assert "open" in Markup.of(alone.data["text/html"]).all("details")[0]
    assert f"Code, 1 step ({words})" in Markup.of(alone.data["text/html"]).text
    assert f"Code, 2 steps (step 2 {words})" in Markup.of(second.data["text/html"]).text
    assert words in alone.data["text/plain"]


def test_logs_are_shown_as_a_terminal_would_leave_them_and_very_long_ones_keep_both_ends():
    logs = "\x1b[31mred\x1b[0m\n 10 %\r 50 %\r100 %\nlast\r\n\x1b]8;;http://h.test\x07link\x1b]8;;\x07"
    text = Markup.of(outputs.work([call("x", logs)]).data["text/html"]).text
    assert text.endswith("red\n100 %\nlast\nlink")
    bundle = outputs.work([call("x", "A" + "x" * 1_000_000 + "Z")])
    assert len(bundle.data["text/html"]) < 50_000
    assert Markup.of(bundle.data["text/html"]).text.endswith("Z")
    assert "980,002 characters left out" in bundle.data["text/plain"]


def test_figures_and_ids_of_a_call_are_not_in_its_output():
    made = CodeCall("ci_secret", "cntr_secret", "x", "completed", ("log", Image("data:image/png;base64,AAAA")))
    written = json.dumps(outputs.work([made]))
    assert [word for word in ("secret", "base64") if word in written] == []


def shown(*items):
    bundle = outputs.other_items(items)
    assert bundle is not None
    return bundle.data["text/html"], bundle.data["text/plain"]


def test_an_item_is_folded_under_what_it_is_called():
    html, plain = shown(OtherItem("ws_1", "web_search_call", {"action": {"query": "coverage 2024", "sources": None}}))
    assert html.startswith("<details ")
    assert "Also done, 1 step: web search</summary>" in html
    assert "coverage 2024" in html
    assert plain.startswith("Also done, 1 step: web search\n\nweb_search_call\n\n    {")


def test_reasoning_is_shown_only_where_it_holds_a_summary():
    silent = OtherItem("rs_1", "reasoning", {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"})
    said = OtherItem("rs_2", "reasoning", {"summary": [{"type": "summary_text", "text": "First, <b>count</b>."}]})
    assert outputs.other_items([silent]) is None
    assert outputs.other_items([]) is None
    html, plain = shown(silent, said)
    assert "1 step: reasoning" in html
    assert "First, &lt;b&gt;count&lt;/b&gt;." in html
    assert "    First, <b>count</b>." in plain


def test_a_picture_in_base64_does_not_fill_the_notebook():
    secret = {"id": "mcp_1", "call_id": "call_1", "encrypted_content": "gAAA"}
    raw = secret | {"picture": "A" * 5_000_000, "prompt": "a map", "z": [{"text": "x" * 400}] * 500}
    item = OtherItem("x_1", "screenshot_call", raw)
    html, plain = shown(item)
    assert "4,999,500 more characters" in html
    assert "a map" in html
    assert len(html) + len(plain) < 12_000
    assert not [word for word in secret.values() if word in html]


@given(st.text(max_size=20), st.dictionaries(st.text(max_size=10), json_values("<script>", '"><img src=x>', "\x1b[")))
def test_whatever_an_item_holds_does_no_harm(kind, raw):
    bundle = outputs.other_items([OtherItem("x", kind, raw)])
    if bundle is not None:
        check(bundle)
