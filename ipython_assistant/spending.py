"""What the turns of a session used and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipython_assistant.core.usage import (
    Cost,
    Tokens,
    billed_by,
    container_uses,
    cost,
    in_words,
    price_table,
    tokens_of,
)
from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipython_assistant.core.conversation import Step
    from ipython_assistant.core.usage import Price


def prices_with(own: Mapping[str, Mapping[str, float]]) -> Mapping[str, Price]:
    """The built-in prices, with the user's own over them. Raises `ConfigError`."""
    try:
        return price_table(own)
    except ValueError as error:
        raise ConfigError(*error.args) from error


def cost_of(step: Step, prices: Mapping[str, Price], base_url: str) -> Cost:
    """What the tokens of a turn cost; container time is in the sum of all turns, since they share containers.

    Args:
        step: The turn.
        prices: By model.
        base_url: The address OPENAI_BASE_URL names; another server than OpenAI's sends a bill of its own.
    """
    payee = billed_by(step.provider, base_url)
    return cost(tokens_of(step.turn.usage), step.turn.model or step.model, prices, service=payee)


def in_all(steps: Iterable[Step], prices: Mapping[str, Price], base_url: str) -> str:
    """What turns used and cost together, container time included, in words.

    Args:
        steps: The turns that were asked, not those that were replayed.
        prices: By model.
        base_url: See `cost_of`.
    """
    asked = list(steps)
    spent = [cost_of(step, prices, base_url) for step in asked]
    known = [money.tokens for money in spent if money.tokens is not None]
    runs = [
        (container_id, step.began, step.ended, step.memory)
        for step in asked
        if billed_by(step.provider, base_url) == "openai" and step.began is not None and step.ended is not None
        for container_id in dict.fromkeys((*step.turn.container_ids, *filter(None, [step.container_id])))
    ]
    containers = cost(Tokens(), "", {}, container_uses(runs)).containers
    used = sum((tokens_of(step.turn.usage) for step in asked), Tokens())
    told = in_words(used, Cost(sum(known) if known else None, containers))
    unknown = len(spent) - len(known)
    if known and unknown:
        told += f"; and {unknown} turn{'s' * (unknown > 1)} whose price is not known"
    return told
