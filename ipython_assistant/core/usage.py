"""What a turn used, and what that costs: tokens, container time, money.

Money is said only where a price is known. The table below is small, dated, and holds what was read on the vendor's own
pages; whatever is set by hand counts more (`price_table`). A service's own bill is always the last word.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipython_assistant.core.conversation import PlacedTurn
    from ipython_assistant.core.turn import Json

MILLION = 1_000_000
LIFETIME_MINUTES = 20
"""How long a service keeps a container after its last use."""
BILLED_AT_LEAST_MINUTES = 5
OWN = "your own setting"


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens; `cached` and `cache_written` are parts of `input`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    cache_written: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.cache_written + other.cache_written,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and who said so, when.

    Attributes:
        input: What is sent.
        output: What the model writes, its reasoning included.
        cached: What is sent again and was still in the service's cache; None: as `input`.
        cache_written: What is put into that cache; None: as `input`.
        long_after: A single pass with more input tokens than this costs more (the whole of it); None: it does not.
        source: The page where it was read.
        seen: The day it was read, as a date.
    """

    input: float
    output: float
    cached: float | None = None
    cache_written: float | None = None
    long_after: int | None = None
    source: str = OWN
    seen: str = ""


_MODELS = "https://developers.openai.com/api/docs/models/"
_SEEN = "2026-11-22"
PRICES: Mapping[str, Price] = {
    "gpt-5-mini": Price(0.25, 2.00, 0.025, source=f"{_MODELS}gpt-5-mini", seen=_SEEN),
    "gpt-5-nano": Price(0.05, 0.40, 0.005, source=f"{_MODELS}gpt-5-nano", seen=_SEEN),
    "gpt-5.6-luna": Price(0.20, 1.20, 0.02, 0.25, 272_000, source=f"{_MODELS}gpt-5.6-luna", seen=_SEEN),
    "gpt-5.6-terra": Price(2.00, 12.00, 0.20, 2.50, 272_000, source=f"{_MODELS}gpt-5.6-terra", seen=_SEEN),
}
"""Standard prices of OpenAI's own service. A model that is not here has no price here, rather than a guessed one."""

CONTAINER_PRICES: Mapping[str, float] = {"1g": 0.03, "4g": 0.12, "16g": 0.48, "64g": 1.92}
"""US dollars for 20 minutes of one container, by its memory; billed by the minute, five at least.

https://developers.openai.com/api/docs/pricing#built-in-tools, as quoted on 2026-08-04 in
https://github.com/simonw/llm/issues/1592.
"""


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """One container: its memory, and the minutes from its first use to its end if nobody deletes it."""

    memory: str = "1g"
    minutes: float = LIFETIME_MINUTES


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars: for the tokens (None: not known, and `reason` says why), and for containers, at most."""

    tokens: float | None
    containers: float = 0.0
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float | None:
        """All of it, where it is known."""
        return None if self.tokens is None else self.tokens + self.containers


def tokens_of(usage: Json) -> Tokens:
    """The tokens of a response's `usage`; what is not there, or is no number, is none.

    >>> tokens_of({"input_tokens": 1750, "input_tokens_details": {"cached_tokens": 1000}, "output_tokens": 400})
    Tokens(input=1750, cached=1000, output=400, cache_written=0)
    """
    details = usage.get("input_tokens_details")
    inside = details if isinstance(details, dict) else {}
    total = _count(usage.get("input_tokens"))
    cached = min(_count(inside.get("cached_tokens")), total)
    return Tokens(
        input=total,
        cached=cached,
        output=_count(usage.get("output_tokens")),
        cache_written=min(_count(inside.get("cache_write_tokens")), total - cached),
    )


def billed_by(service: str, base_url: str = "") -> str:
    """Whose prices count: OpenAI's own service, or the name of the host that was put in its place.

    >>> billed_by("openai"), billed_by("openai", "https://models.example.org/v1"), billed_by("azure")
    ('openai', 'models.example.org', 'azure')
    """
    host = urlsplit(base_url).hostname or ""
    own = not host or host == "openai.com" or host.endswith(".openai.com")
    return service if service != "openai" or own else host


def container_uses(runs: Iterable[tuple[str, datetime, datetime, str]]) -> tuple[ContainerUse, ...]:
    """The containers of some turns.

    Args:
        runs: For each turn and container: the container's id, when the turn began and when it ended, and the memory
            that was asked for; empty for the service's default, which is 1g. It is fixed when a container is made, so
            what its first turn asked for counts.

    A container lives from the first turn that used it until 20 minutes after the last one. Where it has been deleted
    earlier it costs less; that is not on the wire, so what comes out is the most it can be.
    """
    lives: dict[str, tuple[datetime, datetime, str]] = {}
    for container_id, began, ended, asked in runs:
        first, last, memory = lives.get(container_id, (began, ended, asked))
        lives[container_id] = (min(first, began), max(last, ended), memory)
    return tuple(
        ContainerUse(memory or "1g", (last - first) / timedelta(minutes=1) + LIFETIME_MINUTES)
        for first, last, memory in lives.values()
    )


def price_table(own: Mapping[str, Mapping[str, float]]) -> dict[str, Price]:
    """The prices above, with the user's own over them.

    Args:
        own: By model: `input` and `output`, and where they differ `cached`, each in US dollars for a million tokens.

    Raises:
        ValueError: Something else; its two arguments are what is wrong and what is allowed.
    """
    table = dict(PRICES)
    for model, written in own.items():
        if not isinstance(written, dict) or not {"input", "output"} <= set(written) <= {"input", "output", "cached"}:
            raise ValueError(f"The price of {model!r} needs input and output, and may have cached.", _how_to_set(model))
        for name, value in written.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"The price of {model!r} has a wrong {name}: {value!r}.", _how_to_set(model))
        table[model] = Price(written["input"], written["output"], written.get("cached"))
    return table


def cost(
    tokens: Tokens,
    model: str,
    prices: Mapping[str, Price] = PRICES,
    containers: Iterable[ContainerUse] = (),
    *,
    service: str = "openai",
) -> Cost:
    """What that costs.

    Args:
        tokens: What was used.
        model: As the service named it; a dated name counts as the one without its date.
        prices: By model.
        containers: The containers that were used.
        service: `openai`, `local` (costs nothing), or any other, whose prices are known only where set by hand.
    """
    if service == "local":
        return Cost(0.0, notes=("The embedded engine costs nothing.",))
    price = prices.get(model) or prices.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    if price is not None and service != "openai" and price.source != OWN:
        price = None
    for_containers = sum(map(_for_container, containers)) if service == "openai" else 0.0
    if price is None:
        where = "" if service == "openai" else f" at {service}"
        return Cost(None, for_containers, f"the price of {model}{where} is not known. {_how_to_set(model)}")
    fresh = tokens.input - tokens.cached - tokens.cache_written
    money = (
        fresh * price.input
        + tokens.cached * _or(price.cached, price.input)
        + tokens.cache_written * _or(price.cache_written, price.input)
        + tokens.output * price.output
    ) / MILLION
    notes: tuple[str, ...] = (
        f"Prices of {price.seen} ({price.source})." if price.seen else f"Prices: {price.source}.",
    )
    if price.long_after is not None and tokens.input > price.long_after:
        # `usage` is the sum over the passes of a turn: whether one of them was that long is not on the wire.
        notes += (f"More, if the model read over {price.long_after:,} tokens at once.",)
    return Cost(money, for_containers, notes=notes)


def in_words(tokens: Tokens, spent: Cost) -> str:
    """One line for a person.

    >>> used = Tokens(1750, 1000, 400)
    >>> in_words(used, cost(used, "gpt-5-mini", containers=[ContainerUse()]))
    '1,750 tokens in (1,000 cached), 400 out: $0.0010; container time at most $0.03'
    """
    cached = f" ({tokens.cached:,} cached)" if tokens.cached else ""
    money = "cost not known" if spent.tokens is None else dollars(spent.tokens)
    container_time = f"; container time at most {dollars(spent.containers)}" if spent.containers else ""
    return f"{tokens.input:,} tokens in{cached}, {tokens.output:,} out: {money}{container_time}"


def dollars(amount: float) -> str:
    """An amount, small ones with what matters of them.

    >>> dollars(1.5), dollars(0.03), dollars(0.00042), dollars(0)
    ('$1.50', '$0.03', '$0.0004', '$0')
    """
    if amount == 0:
        return "$0"
    if amount < 0.00005:  # noqa: PLR2004 half of the last place that is shown
        return "under $0.0001"
    cents = f"${amount:,.2f}"
    return cents if amount >= 0.1 or math.isclose(float(cents[1:]), amount) else f"${amount:.4f}"  # noqa: PLR2004 a dime


def prices_with(own: Mapping[str, Mapping[str, float]]) -> Mapping[str, Price]:
    """The built-in prices, with the user's own over them. Raises `ConfigError`."""
    try:
        return price_table(own)
    except ValueError as error:
        raise ConfigError(*error.args) from error


def cost_of(turn: PlacedTurn, prices: Mapping[str, Price], base_url: str) -> Cost:
    """What the tokens of a turn cost; container time is in the sum of all turns, since they share containers.

    Args:
        turn: The turn.
        prices: By model.
        base_url: The address OPENAI_BASE_URL names; another server than OpenAI's sends a bill of its own.
    """
    payee = billed_by(turn.provider, base_url)
    return cost(tokens_of(turn.turn.usage), turn.turn.model or turn.model, prices, service=payee)


def total_in_words(turns: Iterable[PlacedTurn], prices: Mapping[str, Price], base_url: str) -> str:
    """What turns used and cost together, container time included, in words.

    Args:
        turns: The turns that were asked, not those that were replayed.
        prices: By model.
        base_url: See `cost_of`.
    """
    asked = list(turns)
    spent = [cost_of(turn, prices, base_url) for turn in asked]
    known = [money.tokens for money in spent if money.tokens is not None]
    runs = [
        (container_id, turn.began, turn.ended, turn.memory)
        for turn in asked
        if billed_by(turn.provider, base_url) == "openai" and turn.began is not None and turn.ended is not None
        for container_id in dict.fromkeys((*turn.turn.container_ids, *filter(None, [turn.container_id])))
    ]
    containers = cost(Tokens(), "", {}, container_uses(runs)).containers
    used = sum((tokens_of(turn.turn.usage) for turn in asked), Tokens())
    told = in_words(used, Cost(sum(known) if known else None, containers))
    unknown = len(spent) - len(known)
    if known and unknown:
        told += f"; and {unknown} turn{'s' * (unknown > 1)} whose price is not known"
    return told


def _for_container(use: ContainerUse) -> float:
    minutes = max(BILLED_AT_LEAST_MINUTES, math.ceil(use.minutes))
    return CONTAINER_PRICES.get(use.memory, CONTAINER_PRICES["1g"]) * minutes / LIFETIME_MINUTES


def _how_to_set(model: str) -> str:
    return (
        f"Set it: `%config AssistantMagics.prices = {{{model!r}: {{'input': 0.25, 'cached': 0.025, 'output': 2.0}}}}`."
    )


def _or(price: float | None, otherwise: float) -> float:
    return otherwise if price is None else price


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
