"""Who answers on this machine where nobody is named: a model that is found here, or the basic sentence forms."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ipython_assistant.core.providers import (
    BASIC,
    GGUF,
    is_on_this_machine,
    model_in_words,
    provider_of,
    runs_code_here,
)
from ipython_assistant.core.usage import last_day_of
from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.errors import ConfigError, ModelUnknown, NoKey
from ipython_assistant.service.model_servers import best_model, fetched_models, find_servers, models_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.config import Settings

A_REAL_MODEL = (
    "A model that reads any question: set OPENAI_API_KEY, or start Ollama or LM Studio, or run `ipython-assistant model"
    " get`."
)
"""The way to a real model, in one line."""


class ModelChoice:
    """The model that answers on this machine where none is named.

    Looked for when it is needed and never before. The model that answered first goes on answering as long as it is
    there: which one is in memory changes often.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chosen = ""

    def __call__(self, environment: Mapping[str, str]) -> str:
        """Its name: the best suited one of a server that runs, else the file that was fetched last, else `basic`."""
        found = find_servers(environment)
        with self._lock:
            if self._chosen not in {model.name for server in found for model in server.models}:
                files = (f"{GGUF}{name}" for name in fetched_models(environment))
                best = best_model(found)
                self._chosen = best.name if best is not None else next(files, BASIC)
            return self._chosen


def with_answerer(settings: Settings, environment: Mapping[str, str], choose: ModelChoice) -> Settings:
    """The settings with the model that answers, and with what it may see.

    Args:
        settings: What the cell asks for; the model may be missing.
        environment: Where keys and addresses are.
        choose: Chooses the model where none is named.

    Raises:
        ConfigError: Azure is to answer and no deployment is named.
        ModelUnknown: The engine is to answer, and no server on this machine has the model.
        NoKey: The model's provider wants a key that is not set.
    """
    if settings.service != "local":
        if not settings.model:
            raise ConfigError(
                "At Azure a model is the name of a deployment, and none is named.",
                "Name it with -m NAME, `%config AssistantMagics.model = ...` or IPYTHON_ASSISTANT_MODEL.",
            )
        return settings
    model = settings.model or (choose(environment) if settings.find_models else BASIC)
    if not runs_code_here(model):
        model = _of_that_name(model, models_here(environment) if settings.find_models else ())
    provider = provider_of(model)
    if provider is not None and provider.key and not environment.get(provider.key, "").strip():
        raise NoKey(f"{provider.key} is not set, and {provider.title} wants a key.", f"Set it. {A_REAL_MODEL}")
    share = settings.share or ("results" if is_on_this_machine(model, environment) else "shapes")
    return replace(settings, model=model, share=share, answerer=model_in_words(model, environment))


def _of_that_name(name: str, offered: tuple[str, ...]) -> str:
    """The model on this machine that is called so. Raises `ModelUnknown`."""
    for full in offered:
        if name in {full, full.partition("/")[2]}:
            return full
    meant = did_you_mean(name, [full.partition("/")[2] for full in offered])
    listed = f"Here are: {', '.join(offered[:10])}." if offered else A_REAL_MODEL
    cure = f"{meant}A model elsewhere has its provider in front, as in openai/{name}. {listed}"
    raise ModelUnknown(f"No server on this machine has the model {name}.", cure)


def unknown_model(error: ModelUnknown, settings: Settings, offered: Sequence[str]) -> ModelUnknown:
    """A hosted service's error that it does not have the model, with the nearest one of those that it offers."""
    ended = last_day_of(settings.model)
    by_default = "" if settings.by_hand.model else ", which is the default here"
    why = f" Its last day is {ended}." if ended else ""
    near = did_you_mean(settings.model, offered)
    others = f"Others: {', '.join(offered[:8])}. " if offered and not near else ""
    hint = f"{near}{others}Choose one with -m NAME, or `%config AssistantMagics.model = ...`."
    message = f"The service has no model {settings.model}{by_default}.{why}"
    return ModelUnknown(message, hint, status=error.status, code=error.code, request_id=error.request_id)
