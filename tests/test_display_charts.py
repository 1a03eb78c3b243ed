"""Specifications of interactive charts: what draws itself is shown, what loads or links is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.display.charts import LARGEST, ChartError, chart_type, read_chart, stem

VEGA: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "data": {"values": [{"district": "North", "mean": 74.7}]},
    "mark": {"type": "bar", "tooltip": True},
    "encoding": {"x": {"field": "district"}, "y": {"field": "mean", "type": "quantitative"}},
}
PLOTLY: dict[str, Any] = {
    "data": [{"type": "bar", "x": ["North"], "y": [74.7], "hovertemplate": "%{x}<br>%{y}<extra></extra>"}],
    "layout": {"title": {"text": "Mean"}, "template": {"data": {"bar": [{"type": "bar"}]}}},
}


@pytest.mark.parametrize(
    ("name", "media_type", "of"),
    [
        ("by_year.vl.json", "application/vnd.vegalite.v5+json", "by_year"),
        ("By.Year.PLOTLY.JSON", "application/vnd.plotly.v1+json", "By.Year"),
        ("by_year.json", None, "by_year"),
        ("by_year.png", None, "by_year"),
    ],
)
def test_a_files_name_says_whether_it_is_a_chart_and_to_which_picture_it_belongs(name, media_type, of):
    assert (chart_type(name), stem(name)) == (media_type, of)


def test_a_chart_goes_into_an_output_without_what_configures_its_library():
    with_more = {**VEGA, "usermeta": {"embedOptions": {"loader": {"baseURL": "http://h.test"}}}}

    shown = read_chart("a.vl.json", json.dumps(with_more).encode())

    assert shown == {**VEGA, "$schema": "https://vega.github.io/schema/vega-lite/v5.json"}
    config = {"plotlyServerURL": "http://h.test"}
    assert read_chart("a.plotly.json", json.dumps({**PLOTLY, "config": config}).encode()) == PLOTLY


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"url": "data.csv"}},
        {"data": {"values": "http://h.test/x.csv"}},
        {"encoding": {"href": {"field": "a"}}},
        {"encoding": {"tooltip": {"field": "a", "title": "image"}}},
        {"mark": "image"},
        {"transform": [{"lookup": "a", "from": {"data": {"URL": "x"}}}]},
        {"transform": [{"calculate": "'//' + 'h.test'", "as": "url"}]},
        {"datasets": {"a": [{"b": " //h.test/x.png"}]}},
        {"title": "javascript:alert(1)"},
        {"title": "<a href=x>click</a>"},
        {"layer": [{"layer": [{"mark": {"type": "text", "href": "x"}}]}]},
    ],
    ids=str,
)
def test_a_vega_lite_chart_that_loads_or_links_is_refused(more):
    with pytest.raises(ChartError):
        read_chart("a.vl.json", json.dumps({**VEGA, **more}).encode())


@pytest.mark.parametrize(
    "more",
    [
        {"layout": {"images": [{"source": "x"}]}},
        {"layout": {"updatemenus": [{"buttons": [{"args": [{"source": "x"}]}]}]}},
        {"data": [{"type": "choropleth"}]},
        {"data": [{"type": "scattergeo"}]},
        {"data": [{"type": "densitymapbox"}]},
        {"data": [{"text": ["<a href='http://h.test'>x</a>"]}]},
        {"data": {}},
    ],
    ids=str,
)
def test_a_plotly_chart_that_loads_or_links_is_refused(more):
    with pytest.raises(ChartError):
        read_chart("a.plotly.json", json.dumps({**PLOTLY, **more}).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"a": "' + b"x" * LARGEST + b'"}',
        b'{"a":' * 900 + b"1" + b"}" * 900,
    ],
    ids=["empty", "cut", "a list", "no text", "deep", "large", "objects in objects"],
)
def test_what_is_no_specification_is_refused_in_words(content):
    with pytest.raises(ChartError, match=r"\.$"):
        read_chart("a.vl.json", content)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=9), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(values)
def test_whatever_is_in_a_specification_it_is_shown_or_refused(value):
    with contextlib.suppress(ChartError):
        read_chart("a.vl.json", json.dumps({"data": value}).encode())
