"""Specifications of interactive charts: what draws itself is shown, what loads or links is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipython_assistant.display.previews import LARGEST_CHART, ChartError, chart_type, read_chart, stem

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


HARMFUL = [
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
]  # fmt: skip


@pytest.mark.parametrize(("chart", "more"), HARMFUL, ids=lambda part: "" if part in (VEGA, PLOTLY) else str(part))
def test_a_chart_that_loads_or_links_is_refused(chart, more):
    with pytest.raises(ChartError):
        read_chart("a.vl.json" if chart is VEGA else "a.plotly.json", json.dumps({**chart, **more}).encode())


NO_SPECIFICATION = {
    "empty": b"", "cut": b"{", "a list": b"[]", "no text": b"\xff", "deep": b"[" * 100_000,
    "large": b'{"a": "' + b"x" * LARGEST_CHART + b'"}', "objects in objects": b'{"a":' * 900 + b"1" + b"}" * 900,
}  # fmt: skip


@pytest.mark.parametrize("content", NO_SPECIFICATION.values(), ids=NO_SPECIFICATION)
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
