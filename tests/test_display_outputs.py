"""Every output of ours is safe, has plain text, and may hold whatever was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.files import PNG, artifact, call, head
from tests_support.markup import Markup

from ipython_assistant.core.artifacts import FailedArtifact
from ipython_assistant.core.wording import size_in_words
from ipython_assistant.display import outputs, previews
from ipython_assistant.display.previews import card

HOSTILE_NAMES = [
    '"><img src=x onerror=alert(1)>.csv',
    "'><script>alert(1)</script>.csv",
    "a\nb\r\nc.csv",
    "\u202evsc.exe",
    "javascript:alert(1).csv",
    "\x1b]0;title\x07.csv",
    "&lt;b&gt;.csv",
    "$x$ and $y$.csv",
    "x" * 5000 + ".csv",
    "\ud800.csv",
    "100%25 ok?#frag.csv",
]


def every_bundle(text):
    """Every kind of bundle, with this text wherever there is room for it."""
    saved = artifact(text)
    picture = previews.picture(artifact(text, "image/png"), PNG, description=text)
    assert picture is not None
    return [
        outputs.answer(text, {"a.csv": text}),
        outputs.live(text, text),
        outputs.work([call(text, text), call(text, text, "failed")]),
        picture,
        previews.caption(artifact(text, "image/png"), "smaller"),
        previews.caption(artifact(text, "image/svg+xml"), "not"),
        previews.table(saved, head((text, None), columns=(text, text), notes=(text,))),
        previews.source(artifact(text, "text/html"), text, whole=False),
        card([saved], [FailedArtifact(text, text)], [text], {text: text}),
    ]


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


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (9_999, "9,999 bytes"),
        (10_000, "10.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (200_000_000, "200.0 MB"),
        (3_000_000_000, "3.0 GB"),
        (4_000_000_000_000, "4.0 TB"),
    ],
)
def test_sizes_are_given_in_words(size, words):
    assert size_in_words(size) == words
