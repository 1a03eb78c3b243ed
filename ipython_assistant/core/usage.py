"""What is known of OpenAI's models, and what a turn used and cost: tokens, container time, money.

Money is said only where a price is known: of `models.toml`, or set by hand. The service's bill is the last word.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from ipython_assistant.core.providers import is_on_this_machine, provider_of
from ipython_assistant.core.turn import number_of
from ipython_assistant.core.wording import counted
from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.turn import Json

OWN = "your own setting"  # the source of a price that was set by hand
CONTAINER_PRICES: Mapping[str, float] = {"1g": 0.03, "4g": 0.12, "16g": 0.48, "64g": 1.92}
"""US dollars for 20 minutes of one container, by its memory: the price list of 2026-08-04, as quoted in
https://github.com/simonw/llm/issues/1592."""
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # ends the name of a dated model, which counts as the one without it


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and where that was read; the first lines of `models.toml` say what each is."""

    input: float
    output: float
    cached: float | None = None
    source: str = OWN
    seen: str = ""
    ends: date | None = None


class Tokens(NamedTuple):
    """How many tokens; `cached` ones are a part of `input`."""

    input: int = 0
    cached: int = 0
    output: int = 0


class Cost(NamedTuple):
    """US dollars for tokens (None: unknown), and a sentence that says where the price is from."""

    tokens: float | None
    note: str = ""


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files("ipython_assistant").joinpath("models.toml").read_text(encoding="utf-8"))


def default_model() -> str:
    """The model that OpenAI's service is asked for where the user names no model."""
    return str(_data()["default"])


def last_day_of(model: str) -> date | None:
    """The day a model is shut down; None where none is known."""
    return cast("date | None", _data()["models"].get(_DATE.sub("", model), {}).get("ends"))


def prices_with(own: Mapping[str, Any]) -> dict[str, Price]:
    """The known prices by model, the user's own over them. Raises `ConfigError` where one is not written as a price."""
    for model, written in own.items():
        parts = written if isinstance(written, dict) else {}
        numbers = all(type(value) in (int, float) and 0 <= value < math.inf for value in parts.values())
        if not {"input", "output"} <= parts.keys() <= {"input", "output", "cached"} or not numbers:
            said = f"The price of {model!r} needs input and output, and may have cached: numbers from 0 on."
            raise ConfigError(said, _how_to(model))
    known = {name: row for name, row in _data()["models"].items() if "input" in row}
    return {model: Price(**parts) for model, parts in (known | dict(own)).items()}


def tokens_of(usage: Json) -> Tokens:
    """The tokens of a response's `usage`; what is missing, or not a number, counts as 0."""
    details = usage.get("input_tokens_details")
    cached = number_of(details.get("cached_tokens")) if isinstance(details, dict) else 0
    total = number_of(usage.get("input_tokens")) or 0
    return Tokens(total, min(cached or 0, total), number_of(usage.get("output_tokens")) or 0)


def billed_by(service: str, base_url: str = "") -> str:
    """Who sends the bill: OpenAI, Azure, or the host that was put in OpenAI's place."""
    host = urlsplit(base_url).hostname or ""
    return host if service == "openai" and not f".{host or 'openai.com'}".endswith(".openai.com") else service


def cost(tokens: Tokens, model: str, prices: Mapping[str, Price] | None = None, *, service: str = "openai") -> Cost:
    """What that costs, at the known prices if none are given; prices of services other than `openai` are yours."""
    if service == "local":  # the engine, which may pass the question on to a provider
        if is_on_this_machine(model, {}):
            return Cost(0.0, "A model on this machine costs nothing.")
        service, model = model.split("/", 1) if provider_of(model) else (urlsplit(model).hostname or "", model)
    table = prices_with({}) if prices is None else prices
    price = table.get(model) or table.get(_DATE.sub("", model))
    if price is None or (service != "openai" and price.source != OWN):
        where = "" if service == "openai" else f" at {service}"
        return Cost(None, f"The price of {model}{where} is unknown. {_how_to(model)}")
    cached = price.input if price.cached is None else price.cached
    fresh = tokens.input - tokens.cached
    money = (fresh * price.input + tokens.cached * cached + tokens.output * price.output) / 1_000_000
    return Cost(money, f"Prices of {price.seen} ({price.source})." if price.seen else f"Prices: {price.source}.")


def cost_of(turn: PlacedTurn, prices: Mapping[str, Price], base_url: str) -> Cost:
    """What the tokens of a turn cost; `base_url`, from OPENAI_BASE_URL, may name a server with prices of its own."""
    payee = billed_by(turn.provider, base_url)
    return cost(tokens_of(turn.turn.usage), turn.turn.model or turn.model, prices, service=payee)


def total_in_words(turns: Iterable[PlacedTurn], prices: Mapping[str, Price], base_url: str) -> str:
    """What turns that were asked cost together; a container counts as 20 minutes with the memory first asked for."""
    used, known, unknown, containers = Tokens(), list[float](), 0, dict[str, float]()
    for turn in turns:
        tokens, spent = tokens_of(turn.turn.usage), cost_of(turn, prices, base_url).tokens
        used = Tokens(used.input + tokens.input, used.cached + tokens.cached, used.output + tokens.output)
        known += [spent] if spent is not None else []
        unknown += spent is None
        if billed_by(turn.provider, base_url) == "openai":
            for container_id in {*turn.turn.container_ids, turn.container_id} - {""}:
                containers.setdefault(container_id, CONTAINER_PRICES[turn.memory or "1g"])
    told = in_words(used, Cost(sum(known) if known else None))
    told += f"; container time about {dollars(sum(containers.values()))}" if containers else ""
    return f"{told}; and {counted(unknown, 'turn')} whose price is unknown" if known and unknown else told


def in_words(tokens: Tokens, spent: Cost) -> str:
    """One line for a person: `1,750 tokens in (1,000 cached), 400 out: $0.0028`."""
    cached = f" ({tokens.cached:,} cached)" if tokens.cached else ""
    money = "cost unknown" if spent.tokens is None else dollars(spent.tokens)
    return f"{tokens.input:,} tokens in{cached}, {tokens.output:,} out: {money}"


def dollars(amount: float) -> str:
    """An amount; a small one with more digits: `$1.50`, `$0.0004`."""
    return f"${amount:.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"  # noqa: PLR2004 a dime


def _how_to(model: str) -> str:
    example = f"{{{model!r}: {{'input': 0.25, 'cached': 0.025, 'output': 2.0}}}}"
    return f"Set it: `%config AssistantMagics.prices = {example}`."
