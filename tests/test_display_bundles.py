"""What a notebook keeps of an answer: complete, safe, and the same each time."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.markup import Markup

from ipython_assistant.core.artifacts import Artifact, FailedArtifact, TableHead
from ipython_assistant.core.turn import CodeCall, Image
from ipython_assistant.display import bundles
from ipython_assistant.display.grid import grid

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
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


def artifact(
    name: str = "a.csv", media_type: str = "text/csv", size: int = 1234, folder: str = "assistant_files"
) -> Artifact:
    return Artifact(name, name, Path(folder, "x"), f"{folder}/{name}", size, "0" * 64, media_type)


def call(code: str = "print(1)\n", logs: str | None = "1\n", status: str = "completed") -> CodeCall:
    return CodeCall("ci_1", "cntr_1", code, status, None if logs is None else (logs,))


def head(
    *rows: tuple[str | None, ...], columns: tuple[str, ...] = ("a", "b"), row_count: int | None = None
) -> TableHead:
    return TableHead(columns, rows, len(rows) if row_count is None else row_count)


def every_bundle(text: str) -> list[bundles.Bundle]:
    """Every kind of bundle, with this text wherever there is room for it."""
    saved = artifact(text)
    picture = bundles.picture(artifact(text, "image/png"), PNG)
    assert picture is not None
    return [
        bundles.answer(text, {"a.csv": text}),
        bundles.live(text, text),
        bundles.work([call(text, text), call(text, text, "failed")]),
        picture,
        bundles.table(saved, head((text, None), columns=(text, text))),
        bundles.card([saved], [FailedArtifact(text, text)], [text]),
        bundles.full_picture(artifact(text, "image/png")),
        bundles.hidden_picture(artifact(text, "image/svg+xml")),
        bundles.source(artifact(text, "text/html"), text, whole=False),
        bundles.running("", text),
    ]


def check(bundle: bundles.Bundle) -> None:
    json.dumps(bundle, ensure_ascii=False).encode()
    assert isinstance(bundle.data["text/plain"], str)
    assert "\x1b" not in bundle.data["text/plain"]
    assert Markup.of(bundle.data.get("text/html", "")).harm() == []
    assert "text/markdown" not in bundle.data
    assert "application/javascript" not in bundle.data


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name[:20]))
def test_a_hostile_name_is_only_ever_text(name: str) -> None:
    for bundle in every_bundle(name):
        check(bundle)


@given(st.text(max_size=80) | st.text(alphabet="<>\"'&/=;:()[]!`\n\r\x1b\u202ea ", max_size=80))
def test_whatever_is_written_makes_a_safe_bundle_with_plain_text(text: str) -> None:
    for bundle in every_bundle(text):
        check(bundle)


def test_bundles_are_what_ipython_takes_from_a_mimebundle_method() -> None:
    data, metadata = bundles.answer("x", {})

    assert set(data) == {"text/html", "text/plain"}
    assert metadata == {"ipython_assistant": {"output": "answer"}}


# --- the answer -------------------------------------------------------------------------------------------------------


def test_the_answers_plain_text_is_the_markdown_itself() -> None:
    assert bundles.answer("**B** rose.", {}).data["text/plain"] == "**B** rose."


def test_a_running_answer_shows_what_is_written_and_what_is_going_on() -> None:
    bundle = bundles.live("**B** rose. See [the tab", "running code, 3 s")

    assert Markup.of(bundle.data["text/html"]).text.split("\n") == ["B rose. See the tab", "Running code, 3 s …"]
    assert bundle.data["text/plain"].endswith("Running code, 3 s …")


def test_a_running_answer_without_text_is_one_line() -> None:
    assert Markup.of(bundles.live("", "connecting").data["text/html"]).text == "Connecting …"


# --- the work ---------------------------------------------------------------------------------------------------------


def test_code_is_folded_with_its_logs_and_keeps_every_character() -> None:
    bundle = bundles.work([call("x = 1 < 2\nprint(x)\n", "True\n"), call("y", None)])
    markup = Markup.of(bundle.data["text/html"])

    assert "open" not in markup.all("details")[0]
    assert markup.text.startswith("Code, 2 steps")
    assert "x = 1 < 2\nprint(x)" in markup.text
    assert "True" in markup.text
    assert "    x = 1 < 2\n    print(x)" in bundle.data["text/plain"]
    assert "    True" in bundle.data["text/plain"]


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (call("f()", "", "failed"), "ended in an error"),
        (call("f()", "Traceback (most recent call last):\nKeyError: 'x'\n"), "ended in an error"),
        (call("f()", None, "interpreting"), "did not finish"),
    ],
)
def test_a_call_that_went_wrong_is_open_and_said(failing: CodeCall, words: str) -> None:
    alone, second = bundles.work([failing]), bundles.work([call(), failing])

    assert "open" in Markup.of(alone.data["text/html"]).all("details")[0]
    assert f"Code, 1 step ({words})" in Markup.of(alone.data["text/html"]).text
    assert f"Code, 2 steps (step 2 {words})" in Markup.of(second.data["text/html"]).text
    assert words in alone.data["text/plain"]


def test_logs_are_shown_as_a_terminal_would_leave_them() -> None:
    logs = "\x1b[31mred\x1b[0m\n 10 %\r 50 %\r100 %\nlast\r\n\x1b]8;;http://h.test\x07link\x1b]8;;\x07"
    text = Markup.of(bundles.work([call("x", logs)]).data["text/html"]).text

    assert text.endswith("red\n100 %\nlast\nlink")


def test_very_long_logs_keep_both_ends_and_say_what_is_left_out() -> None:
    bundle = bundles.work([call("x", "A" + "x" * 1_000_000 + "Z")])

    assert len(bundle.data["text/html"]) < 50_000
    assert Markup.of(bundle.data["text/html"]).text.endswith("Z")
    assert "980,002 characters left out" in bundle.data["text/plain"]


def test_figures_and_ids_of_a_call_are_not_in_its_output() -> None:
    shown = CodeCall("ci_secret", "cntr_secret", "x", "completed", ("log", Image("data:image/png;base64,AAAA")))

    assert "secret" not in json.dumps(bundles.work([shown]))
    assert "base64" not in json.dumps(bundles.work([shown]))


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("image/png", PNG),
        ("image/jpeg", b"\xff\xd8\xff\xe0rest"),
        ("image/gif", b"GIF89a rest"),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBPrest"),
    ],
)
def test_a_picture_is_shown_in_its_own_type_and_described(media_type: str, content: bytes) -> None:
    bundle = bundles.picture(artifact("chart", media_type), content)

    assert bundle is not None
    assert base64.b64decode(bundle.data[media_type]) == content
    assert bundle.data["text/plain"] == "chart"
    assert "text/html" not in bundle.data
    assert bundle.metadata[media_type] == {"alt": "chart"}
    assert bundle.metadata["ipython_assistant"]["size"] == len(content)


def test_a_picture_is_described_by_its_name_and_the_first_words_of_the_prompt() -> None:
    bundle = bundles.picture(
        artifact("a.png", "image/png"), PNG, words="Plot coverage\nby year. " + "More words. " * 20
    )

    assert bundle is not None
    alt = bundle.metadata["image/png"]["alt"]
    assert alt == bundle.data["text/plain"]
    assert alt.startswith("a.png: Plot coverage by year. More words.")
    assert alt.endswith(" …")
    assert len(alt) < 150


def test_a_thumbnail_has_a_type_of_its_own_and_a_line_that_links_to_the_whole() -> None:
    saved = artifact("a b.webp", "image/webp")
    bundle, line = bundles.picture(saved, PNG, "image/png"), bundles.full_picture(saved)

    assert bundle is not None
    assert set(bundle.data) == {"image/png", "text/plain"}
    (link,) = Markup.of(line.data["text/html"]).all("a")
    assert link == {"href": "assistant_files/a%20b.webp", "download": "a b.webp"}
    assert (
        line.data["text/plain"] == "a b.webp is shown smaller than it is. The whole picture is assistant_files/a b.webp"
    )


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<s:script xmlns:s='http://www.w3.org/2000/svg'>alert(1)</s:script>",
        "<rect onload='alert(1)'/>",
        "<rect\nonclick = 'alert(1)'/>",
        "<foreignObject><img src='http://h.test/'/></foreignObject>",
        "<image href='http://h.test/x.png'/>",
        "<image xlink:href='//h.test/x.png'/>",
        "<a href='javascript:alert(1)'><rect/></a>",
        "<a href='&#106;avascript:alert(1)'><rect/></a>",
        "<use href='http://h.test/x.svg#a'/>",
        "<style>@import 'http://h.test/x.css';</style>",
        "<rect style='fill:url(http://h.test/x)'/>",
        "<rect style='fill:u\\72l(http://h.test/x)'/>",
        "<set attributeName='href' to='javascript:alert(1)'/>",
        "<animate attributeName='href' values='javascript:alert(1)'/>",
        "<title><![CDATA[><img src=x onerror=alert(1)>]]></title>",
    ],
)
def test_an_svg_that_is_more_than_a_drawing_is_left_to_the_card(inside: str) -> None:
    content = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'

    assert bundles.picture(artifact("a.svg", "image/svg+xml"), content.encode()) is None


def test_an_svg_as_matplotlib_writes_it_is_shown() -> None:
    from matplotlib.figure import Figure

    drawn, axes = io.BytesIO(), (figure := Figure()).subplots()
    axes.semilogy([1, 2], [1, 1000], label="$x^2$")
    axes.imshow([[1, 2]], extent=(1, 2, 1, 1000))
    axes.legend()
    figure.savefig(drawn, format="svg")
    bundle = bundles.picture(artifact("a.svg", "image/svg+xml"), drawn.getvalue())

    assert bundle is not None
    assert bundle.data["image/svg+xml"].encode() == drawn.getvalue()


def test_a_text_is_shown_as_it_is_written() -> None:
    bundle = bundles.source(artifact("a.md", "text/markdown", 1234), "# Not <b>a</b> head\n$x$", whole=False)
    markup = Markup.of(bundle.data["text/html"])

    assert {tag for tag, _ in markup.tags} == {"div", "p", "b", "pre", "code"}
    assert markup.text == "a.md — Markdown, 1,234 bytes, its beginning# Not <b>a</b> head\n$x$"
    assert bundle.data["text/plain"].splitlines()[2:] == ["    # Not <b>a</b> head", "    $x$"]


def test_an_svg_is_text_in_its_own_type() -> None:
    bundle = bundles.picture(
        artifact("a.svg", "image/svg+xml"), b'\xef\xbb\xbf<svg xmlns="http://www.w3.org/2000/svg"/>'
    )

    assert bundle is not None
    assert bundle.data["image/svg+xml"] == '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("image/png", b""),
        ("image/png", b"<html>error</html>"),
        ("image/jpeg", PNG),
        ("image/bmp", b"BM"),
        ("image/svg+xml", b"\xff\xfe"),
        ("image/svg+xml", b"<html/>"),
        ("text/csv", b"a,b"),
    ],
)
def test_what_a_notebook_cannot_show_as_a_picture_is_left_to_the_card(media_type: str, content: bytes) -> None:
    assert bundles.picture(artifact("x", media_type), content) is None


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_shows_its_head_and_its_true_size() -> None:
    bundle = bundles.table(artifact("t.csv"), head(("North", "1"), (None, "22"), row_count=1234))
    markup = Markup.of(bundle.data["text/html"])

    assert markup.all("table") == [{"border": "1", "class": "dataframe"}]
    assert bundle.data["text/plain"] == (
        "t.csv — 1,234 rows × 2 columns\n\n         a    b\n0    North    1\n1      NaN   22\n...    ...  ..."
    )
    assert "t.csv — 1,234 rows × 2 columns" in markup.text


def test_a_table_that_is_shown_whole_has_no_dots() -> None:
    bundle = bundles.table(artifact("t.csv"), head(("1",), columns=("n",)))

    assert "..." not in json.dumps(bundle)
    assert "1 row × 1 column" in bundle.data["text/plain"]


def test_a_table_without_rows_still_shows_its_columns() -> None:
    bundle = bundles.table(artifact("t.csv"), head())

    assert "0 rows × 2 columns" in bundle.data["text/plain"]
    assert bundle.data["text/plain"].splitlines()[-1].split() == ["a", "b"]
    assert Markup.of(bundle.data["text/html"]).all("th") == [{"scope": "col"}, {"scope": "col"}]


def test_a_wide_table_shows_its_first_and_last_columns() -> None:
    columns = tuple(f"c{place:02}" for place in range(100))
    bundle = bundles.table(artifact("t.csv"), head(tuple(map(str, range(100))), columns=columns))
    header = bundle.data["text/plain"].splitlines()[2].split()

    assert header == [*columns[:10], "...", *columns[-10:]]
    assert "1 row × 100 columns" in bundle.data["text/plain"]


def test_long_and_many_lined_cells_stay_short_and_on_one_line() -> None:
    bundle = bundles.table(artifact("t.csv"), head(("x" * 200, "first\nsecond")))
    row = bundle.data["text/plain"].splitlines()[-1]

    assert "x" * 47 + "..." in row
    assert "first second" in row


def test_columns_line_up_where_characters_are_wide_or_combine() -> None:
    bundle = bundles.table(artifact("t.csv"), head(("東京", "1"), ("e\u0301", "1")))
    lines = bundle.data["text/plain"].splitlines()[-2:]

    assert lines == ["0  東京  1", "1     e\u0301  1"]


# --- the card ---------------------------------------------------------------------------------------------------------


def test_the_card_names_links_and_measures_each_file() -> None:
    bundle = bundles.card([artifact("a b.csv"), artifact("c.xlsx", "application/octet-stream", 2_120_588)])
    markup = Markup.of(bundle.data["text/html"])

    assert markup.all("a") == [
        {"href": "assistant_files/a%20b.csv", "download": "a b.csv"},
        {"href": "assistant_files/c.xlsx", "download": "c.xlsx"},
    ]
    assert bundle.data["text/plain"] == (
        "a b.csv  CSV table  1,234 bytes  assistant_files/a b.csv\n"
        "c.xlsx   file       2.1 MB       assistant_files/c.xlsx"
    )
    for words in ("CSV table", "1,234 bytes", "assistant_files/a b.csv"):
        assert words in markup.text


def test_the_size_of_a_picture_is_in_the_metadata_alone() -> None:
    small, large = (bundles.card([artifact("p.png", "image/png", size)]) for size in (18_001, 18_002))

    assert small.data == large.data
    assert small.metadata["ipython_assistant"]["sizes"] == {"p.png": 18_001}


def test_the_card_says_what_is_missing_and_why() -> None:
    bundle = bundles.card([], [FailedArtifact("model.pkl", "the container expired")], ["A note."])

    for text in (Markup.of(bundle.data["text/html"]).text, bundle.data["text/plain"]):
        assert "model.pkl" in text
        assert "not saved: the container expired" in text
        assert "A note." in text
    assert Markup.of(bundle.data["text/html"]).all("a") == []


def test_a_path_that_is_not_relative_is_told_but_not_linked() -> None:
    bundle = bundles.card([artifact("x.csv", folder="//h.test")])

    assert Markup.of(bundle.data["text/html"]).all("a") == []
    assert "//h.test/x.csv" in bundle.data["text/plain"]


def test_a_name_like_a_script_address_leads_to_a_file_of_that_name() -> None:
    saved = Artifact("j", "j", Path("j"), "javascript:alert(1)", 1, "0" * 64, "text/csv")

    assert Markup.of(bundles.card([saved]).data["text/html"]).all("a")[0]["href"] == "javascript%3Aalert%281%29"


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
def test_sizes_are_given_in_words(size: int, words: str) -> None:
    assert bundles.size_in_words(size) == words


def test_a_column_of_long_numbers_is_rounded_as_pandas_does_and_codes_are_left_alone():
    rows = (("0101", "78.83333333333333", "1.5"), ("0102", None, "2"), ("0103", "70.1", "3.25"))
    lines = grid(TableHead(("code", "mean", "short"), rows, 3))

    assert [line[1:] for line in lines[1:]] == [
        ["0101", "78.833333", "1.5"],
        ["0102", "NaN", "2"],
        ["0103", "70.100000", "3.25"],
    ]


def test_a_tables_caption_and_heads_are_marked_as_such_and_an_estimate_says_so() -> None:
    bundle = bundles.table(artifact("t.csv"), TableHead(("a",), (("1",),), 22_000_000, estimated=True))
    markup = Markup.of(bundle.data["text/html"])

    assert [attributes["scope"] for attributes in markup.all("th")] == ["col", "row", "row"]
    assert len(markup.all("caption")) == 1
    assert "t.csv — about 22,000,000 rows × 1 column" in markup.text
    assert bundle.data["text/plain"].startswith("t.csv — about 22,000,000 rows × 1 column\n")
