"""What is known of OpenAI's models: the default, prices with their source, and the day a model ends (`models.toml`)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

OWN = "your own setting"
"""The source of a price that was set by hand."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and where that was read.

    Attributes:
        input: What is sent.
        output: What the model writes, its reasoning included.
        cached: What is sent again and was still in the service's cache; None: as `input`.
        cache_written: What is put into that cache; None: as `input`.
        long_after: A single pass with more input tokens than this costs more; None: it does not.
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


def default_model() -> str:
    """The model that OpenAI's service is asked for where none is named."""
    return str(_data()["default"])


@cache
def known_prices() -> Mapping[str, Price]:
    """The prices that are known, by model. A model that is not here has no price here, rather than a guessed one."""
    rows = _data()["models"].items()
    return {
        name: Price(**{field: value for field, value in row.items() if field != "ends"})
        for name, row in rows
        if "input" in row
    }


def last_day_of(model: str) -> date | None:
    """The day a model is shut down; None where none is known."""
    row = _data()["models"].get(without_date(model), {})
    found: date | None = row.get("ends")
    return found


def without_date(model: str) -> str:
    """The name of a model without the date of its version: `gpt-5-mini-2025-08-07` is `gpt-5-mini`."""
    return re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files("ipython_assistant").joinpath("models.toml").read_text(encoding="utf-8"))
