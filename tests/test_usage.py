"""core.usage: tokens, container time, money."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.cases import told

from ipython_assistant.core import usage
from ipython_assistant.core.conversation import PlacedTurn
from ipython_assistant.core.turn import Turn
from ipython_assistant.core.usage import Price, Tokens, cost, prices_with
from ipython_assistant.errors import ConfigError


def test_tokens_are_read_from_a_recorded_usage():
    recorded = {"input_tokens": 38152, "output_tokens": 371, "input_tokens_details": {"cached_tokens": 1408}}
    assert usage.tokens_of(recorded) == Tokens(input=38152, cached=1408, output=371)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)), st.data())
def test_whatever_stands_in_a_usage_no_number_is_negative_and_parts_are_no_more_than_the_whole(junk, data):
    details = {"cached_tokens": data.draw(st.integers())}
    tokens = usage.tokens_of({"input_tokens": junk, "output_tokens": junk, "input_tokens_details": details})
    assert min(tokens.input, tokens.cached, tokens.output) >= 0
    assert tokens.cached <= tokens.input


def test_a_million_of_each_costs_what_the_price_says():
    used = [Tokens(10**6), Tokens(10**6, cached=10**6), Tokens(0, output=10**6), Tokens(2 * 10**6, 10**6, 10**6)]
    prices = {"m": Price(input=1.0, cached=0.5, output=10.0)}
    assert [cost(tokens, "m", prices).tokens for tokens in used] == pytest.approx([1.0, 0.5, 10.0, 11.5])


def test_a_dated_name_costs_what_the_model_costs():
    used = Tokens(1_000_000)
    assert cost(used, "gpt-6-luna-2026-08-07") == cost(used, "gpt-6-luna")
    assert cost(used, "gpt-6-luna-2026").tokens is None


def test_a_price_that_is_not_known_is_not_guessed_and_the_cure_is_said():
    spent = cost(Tokens(100), "gpt-99")
    assert spent.tokens is None
    assert "gpt-99 is unknown" in spent.note
    assert "AssistantMagics.prices" in spent.note
    assert "cost unknown" in usage.in_words(Tokens(100), spent)


def test_what_runs_here_costs_nothing_and_another_service_or_provider_has_other_prices():
    used = Tokens(1_000_000)
    own = prices_with({"gpt-6-luna": {"input": 3, "output": 4}})
    assert [cost(used, name, service="local").tokens for name in ("basic", "ollama/qwen3.5:4b")] == [0, 0]
    assert cost(used, "gpt-6-luna", service="azure").tokens is None
    assert cost(used, "gpt-6-luna", own, service="azure").tokens == pytest.approx(3.0)
    assert cost(used, "anthropic/claude-sonnet-5", service="local").tokens is None
    assert cost(used, "http://192.0.2.1/v1/m", service="local").tokens is None
    assert cost(used, "openai/gpt-6-luna", service="local").tokens == cost(used, "gpt-6-luna").tokens


def test_a_price_set_by_hand_counts_more_than_the_table():
    own = prices_with({"gpt-6-luna": {"input": 7.0, "cached": 1.0, "output": 8.0}, "mine": {"input": 0, "output": 0}})
    assert cost(Tokens(1_000_000, 1_000_000), "gpt-6-luna", own).tokens == pytest.approx(1.0)
    assert cost(Tokens(1_000_000), "mine", own).tokens == 0
    assert own["gpt-6.1-sol"] == prices_with({})["gpt-6.1-sol"]


@pytest.mark.parametrize("written", [
    {"input": 1}, {"input": 1, "output": 2, "sum": 3}, {"input": "1", "output": 2}, {"input": True, "output": 2}, 5,
    {"input": -1, "output": 2}, {"input": float("nan"), "output": 2}, {"input": float("inf"), "output": 2},
])  # fmt: skip
def test_a_price_that_is_none_is_said_with_how_to_write_one(written):
    with told(ConfigError, "'m'", "'input': 0.25"):
        prices_with({"m": written})


def test_two_turns_in_one_container_are_one_container_with_the_memory_it_was_made_with():
    folded = Turn(usage={"input_tokens": 100, "output_tokens": 10}, model="gpt-6-luna")
    turns = [
        PlacedTurn("?", folded, "", name, provider="openai", memory=memory)
        for name, memory in (("cntr_1", "4g"), ("cntr_2", ""), ("cntr_1", "64g"))
    ]
    assert "; container time about $0.15" in usage.total_in_words(turns, prices_with({}), "")
    assert "container" not in usage.total_in_words([], prices_with({}), "")


def test_every_price_says_where_and_when_it_was_read_and_the_default_model_has_one_and_no_last_day():
    for price in prices_with({}).values():
        assert price.source.startswith("https://")
        assert date(2026, 1, 1) < date.fromisoformat(price.seen)
        assert price.cached is not None
        assert price.cached < price.input < price.output
    assert usage.default_model() in prices_with({})
    assert usage.last_day_of(usage.default_model()) is None
    assert usage.last_day_of("gpt-5-mini-2025-08-07") == date(2026, 12, 11)


def test_tokens_and_money_are_one_line_for_a_person():
    used = Tokens(1750, 1000, 400)
    assert usage.in_words(used, cost(used, "gpt-6.1-terra")) == "1,750 tokens in (1,000 cached), 400 out: $0.0028"
    assert usage.dollars(1.5) == "$1.50"


def test_another_server_than_openais_sends_a_bill_of_its_own():
    assert usage.billed_by("openai") == usage.billed_by("openai", "https://eu.api.openai.com/v1") == "openai"
    assert usage.billed_by("openai", "https://models.example.org/v1") == "models.example.org"
    assert usage.billed_by("azure") == "azure"
