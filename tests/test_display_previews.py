"""A saved file and what is shown of it: pictures, charts, heads of tables, beginnings of texts."""

import base64
import contextlib
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.cases import cases
from tests_support.files import PNG, artifact, head
from tests_support.markup import Markup

from ipython_assistant.core.artifacts import FailedArtifact, TableHead
from ipython_assistant.display import previews
from ipython_assistant.display.grid import head_rows
from ipython_assistant.display.previews import LARGEST_CHART, ChartError, card, chart_type, read_chart, stem


def test_a_picture_is_shown_in_its_own_type_or_its_thumbnails():
    for media_type, thumbnail in {"image/png": (), "image/jpeg": ("image/jpeg",)}.items():
        bundle = previews.picture(artifact("chart", "image/png"), PNG, *thumbnail)
        assert base64.b64decode(bundle.data[media_type]) == PNG
        assert bundle.data["text/plain"] == "chart"
        assert "text/html" not in bundle.data
        assert bundle.metadata[media_type] == {"alt": "chart"}
        assert bundle.metadata["ipython_assistant"]["size"] == len(PNG)


def test_a_picture_is_described_by_its_name_and_the_first_words_about_it():
    about = "Plot coverage\nby year. " + "More words. " * 20
    bundle = previews.picture(artifact("a.png", "image/png"), PNG, description=about)
    alt = bundle.metadata["image/png"]["alt"]
    assert alt == bundle.data["text/plain"]
    assert re.fullmatch(r"a\.png: Plot coverage by year\. More words\..{,100} …", alt)


def test_an_svg_is_shown_as_a_picture_in_which_nothing_runs():
    content = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    bundle = previews.picture(artifact('"><b>.svg', "image/svg+xml"), content, description="A map")
    (image,) = Markup.of(bundle.data["text/html"]).all("img")
    assert base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")) == content
    assert image["alt"] == bundle.data["text/plain"] == '"><b>.svg: A map'
    assert Markup.of(bundle.data["text/html"]).all("b") == []


@pytest.mark.parametrize(("shown", "words"), [("smaller", "is shown smaller"), ("not", "is not shown here")])
def test_a_picture_that_is_not_shown_as_it_is_is_linked(shown, words):
    line = previews.caption(artifact("a b.webp", "image/webp"), shown)
    (link,) = Markup.of(line.data["text/html"]).all("a")
    assert link == {"href": "assistant_files/a%20b.webp", "download": "a b.webp"}
    assert words in line.data["text/plain"]
    assert line.data["text/plain"].endswith("assistant_files/a b.webp")


def test_a_text_is_shown_as_it_is_written():
    bundle = previews.source(artifact("a.md", "text/markdown", 1234), "# Not <b>a</b> head\n$x$", whole=False)
    markup = Markup.of(bundle.data["text/html"])
    assert {tag for tag, _ in markup.tags} == {"div", "p", "b", "pre", "code"}
    assert markup.text == "a.md — Markdown, 1,234 bytes, its beginning# Not <b>a</b> head\n$x$"
    assert bundle.data["text/plain"].splitlines()[2:] == ["    # Not <b>a</b> head", "    $x$"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"<html/>", b"<!DOCTYPE svg [<!ENTITY a 'aaaa'>]><svg/>"])
def test_an_svg_that_is_none_is_left_to_the_card(content):
    assert previews.picture(artifact("x", "image/svg+xml"), content) is None


def test_a_table_shows_its_head_and_its_true_size():
    whole = previews.table(artifact("t.csv"), head(("1",), columns=("n",), notes=("The last row is a total.",)))
    assert "..." not in json.dumps(whole)
    assert whole.data["text/plain"].endswith("\nThe last row is a total.")
    assert "0 rows × 2 columns" in previews.table(artifact("t.csv"), head()).data["text/plain"]
    bundle = previews.table(artifact("t.csv"), head(("North", "1"), (None, "22"), row_count=1234))
    markup = Markup.of(bundle.data["text/html"])
    assert markup.all("table") == [{"border": "1", "class": "dataframe"}]
    assert bundle.data["text/plain"] == (
        "t.csv — 1,234 rows × 2 columns\n\n         a    b\n0    North    1\n1      NaN   22\n...    ...  ..."
    )
    assert "t.csv — 1,234 rows × 2 columns" in markup.text


def test_wide_tables_and_long_cells_are_cut():
    columns = tuple(f"c{place:02}" for place in range(100))
    wide = previews.table(artifact("t.csv"), head(columns, columns=columns)).data["text/plain"]
    long = previews.table(artifact("t.csv"), head(("x" * 200, "first\nsecond"))).data["text/plain"]
    assert wide.splitlines()[2].split() == [*columns[:10], "...", *columns[-10:]]
    assert [part in long for part in ("x" * 47 + "...", "first second")] == [True, True]


def test_a_column_of_long_numbers_is_rounded_as_pandas_does_and_codes_are_left_alone():
    rows = (("0101", "78.83333333333333", "1.5"), ("0102", None, "2"), ("0103", "70.1", "3.25"))
    _, *lines = head_rows(TableHead(("code", "mean", "short"), rows, 3))
    columns = [["0101", "0102", "0103"], ["78.833333", "NaN", "70.100000"], ["1.5", "2", "3.25"]]
    assert [list(column) for column in zip(*lines, strict=True)][1:] == columns


def test_a_tables_caption_and_heads_are_marked_as_such_and_an_estimate_says_so():
    bundle = previews.table(artifact("t.csv"), TableHead(("a",), (("1",),), 22_000_000, estimated=True))
    markup, size = Markup.of(bundle.data["text/html"]), "t.csv — about 22,000,000 rows × 1 column"
    assert [attributes["scope"] for attributes in markup.all("th")] == ["col", "row", "row"]
    assert len(markup.all("caption")) == 1
    assert size in markup.text
    assert bundle.data["text/plain"].startswith(f"{size}\n")


@pytest.mark.parametrize(("table", "is_head"), [
    ([["district", "mean"], ["North", "74.67"], ["South", "–"]], True),
    ([["", "district", "mean"], ["0", "North", "74.67"], ["1", "South", "NaN"]], True),
    ([["district", "mean"], ["North", "74.67"]], False),
    ([["district", "mean"], ["North", "74.6"], ["South", ""]], False),
    ([["district", "mean"], ["North", "74.67"], ["South", "12.5"]], False),
    ([["district", "mean"], ["South", ""], ["North", "74.67"]], False), ([["mean"], ["74.67"], [""]], False),
    ([], False),
])  # fmt: skip
def test_a_table_of_the_answer_that_shows_the_same_as_a_files_head_is_known(table, is_head):
    assert previews.is_head(table, head(("North", "74.6667"), ("South", None), columns=("district", "mean"))) is is_head


def test_the_card_names_links_and_measures_each_file_with_its_path_where_there_are_several_folders():
    bundle = card([artifact("a b.csv"), artifact("c.xlsx", "application/octet-stream", 2_120_588)])
    markup = Markup.of(bundle.data["text/html"])
    hrefs = {"a b.csv": "assistant_files/a%20b.csv", "c.xlsx": "assistant_files/c.xlsx"}
    assert markup.all("a") == [{"href": href, "download": name} for name, href in hrefs.items()]
    assert bundle.data["text/plain"] == (
        "a b.csv  CSV table  1,234 bytes  assistant_files/a b.csv\n"
        "c.xlsx   file       2.1 MB       assistant_files/c.xlsx"
    )
    for words in ("CSV table", "1,234 bytes", "Saved in assistant_files/"):
        assert words in markup.text
    bundle = card([artifact("a.csv"), artifact("b.csv", folder="maps"), artifact("c.vl.json", "application/json")])
    for words in ("assistant_files/a.csv", "maps/b.csv", "interactive chart"):
        assert words in Markup.of(bundle.data["text/html"]).text
    assert "Saved in" not in bundle.data["text/html"]


def test_the_card_says_what_else_is_known_of_a_file_and_what_the_answer_calls_it():
    saved = replace(artifact("a-2.csv"), own_name="a.csv")
    bundle = card([saved], details={"a-2.csv": "3 rows × 2 columns"})
    for text in (Markup.of(bundle.data["text/html"]).text, bundle.data["text/plain"]):
        assert "a-2.csv (a.csv in the answer)" in text
        assert "CSV table, 3 rows × 2 columns" in text


def test_of_very_many_files_the_card_lists_the_first_and_counts_the_others():
    bundle = card([artifact(f"{number}.csv") for number in range(10_000)])
    assert len(Markup.of(bundle.data["text/html"]).all("a")) == 500
    assert bundle.data["text/plain"].endswith("9,500 more files in the same folder.")


def test_the_card_says_what_is_missing_and_why():
    bundle = card([], [FailedArtifact("model.pkl", "the container expired")], ["A note."])
    for text in (Markup.of(bundle.data["text/html"]).text, bundle.data["text/plain"]):
        assert "model.pkl" in text
        assert "not saved: the container expired" in text
        assert "A note." in text
    assert Markup.of(bundle.data["text/html"]).all("a") == []


def test_what_lies_outside_the_notebooks_folder_is_said_to_or_not_linked_and_a_script_address_is_a_files_name():
    for folder in ("../elsewhere", "/tmp/files", "C:/files"):
        assert "outside the notebook's folder" in card([artifact(folder=folder)]).data["text/plain"]
    assert "outside" not in card([artifact()]).data["text/plain"]
    bundle = card([artifact("x.csv", folder="//h.test")])
    assert Markup.of(bundle.data["text/html"]).all("a") == []
    assert "//h.test/x.csv" in bundle.data["text/plain"]
    saved = replace(artifact("j"), href="javascript:alert(1)")
    assert Markup.of(card([saved]).data["text/html"]).all("a")[0]["href"] == "javascript%3Aalert%281%29"


# --- interactive charts: what draws itself is shown, what loads or links is refused -----------------------------------

VEGA = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "data": {"values": [{"district": "North", "mean": 74.7}]},
    "mark": {"type": "bar", "tooltip": True},
    "encoding": {"x": {"field": "district"}, "y": {"field": "mean", "type": "quantitative"}},
}
PLOTLY = {
    "data": [{"type": "bar", "x": ["North"], "y": [74.7], "hovertemplate": "%{x}<br>%{y}<extra></extra>"}],
    "layout": {"title": {"text": "Mean"}, "template": {"data": {"bar": [{"type": "bar"}]}}},
}


@pytest.mark.parametrize(("name", "media_type", "of"), [
    ("by_year.vl.json", "application/vnd.vegalite.v5+json", "by_year"),
    ("By.Year.PLOTLY.JSON", "application/vnd.plotly.v1+json", "By.Year"), ("by_year.json", None, "by_year"),
    ("by_year.png", None, "by_year"),
])  # fmt: skip
def test_a_files_name_says_whether_it_is_a_chart_and_to_which_picture_it_belongs(name, media_type, of):
    assert (chart_type(name), stem(name)) == (media_type, of)


def test_a_chart_goes_into_an_output_without_what_configures_its_library():
    with_more = {**VEGA, "usermeta": {"embedOptions": {"loader": {"baseURL": "http://h.test"}}}}
    shown = read_chart("a.vl.json", json.dumps(with_more).encode())
    assert shown == {**VEGA, "$schema": "https://vega.github.io/schema/vega-lite/v5.json"}
    config = {"plotlyServerURL": "http://h.test"}
    assert read_chart("a.plotly.json", json.dumps({**PLOTLY, "config": config}).encode()) == PLOTLY


@pytest.mark.parametrize(("chart", "more"), [
    *((VEGA, more) for more in (
        {"data": {"url": "data.csv"}}, {"data": {"values": "http://h.test/x.csv"}}, {"mark": "image"},
        {"encoding": {"href": {"field": "a"}}}, {"encoding": {"tooltip": {"field": "a", "title": "image"}}},
        {"transform": [{"lookup": "a", "from": {"data": {"URL": "x"}}}]},
        {"transform": [{"calculate": "'//' + 'h.test'", "as": "url"}]},
        {"datasets": {"a": [{"b": " //h.test/x.png"}]}}, {"title": "javascript:alert(1)"},
        {"title": "<a href=x>click</a>"}, {"layer": [{"layer": [{"mark": {"type": "text", "href": "x"}}]}]},
    )),
    *((PLOTLY, more) for more in (
        {"layout": {"images": [{"source": "x"}]}}, {"data": {}}, {"data": [{"type": "choropleth"}]},
        {"layout": {"updatemenus": [{"buttons": [{"args": [{"source": "x"}]}]}]}},
        {"data": [{"type": "scattergeo"}]}, {"data": [{"type": "densitymapbox"}]},
        {"data": [{"text": ["<a href='http://h.test'>x</a>"]}]},
    )),
], ids=lambda part: "" if part in (VEGA, PLOTLY) else str(part))  # fmt: skip
def test_a_chart_that_loads_or_links_is_refused(chart, more):
    with pytest.raises(ChartError):
        read_chart("a.vl.json" if chart is VEGA else "a.plotly.json", json.dumps({**chart, **more}).encode())


@cases("content", {
    "empty": b"", "cut": b"{", "a list": b"[]", "no text": b"\xff", "deep": b"[" * 100_000,
    "large": b'{"a": "' + b"x" * LARGEST_CHART + b'"}', "objects in objects": b'{"a":' * 900 + b"1" + b"}" * 900,
})  # fmt: skip
def test_what_is_no_specification_is_refused_in_words(content):
    with pytest.raises(ChartError, match=r"\.$"):
        read_chart("a.vl.json", content)


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda v: st.lists(v) | st.dictionaries(st.text(), v))
)
def test_whatever_is_in_a_specification_it_is_shown_or_refused(value):
    with contextlib.suppress(ChartError):
        read_chart("a.vl.json", json.dumps({"data": value}).encode())
