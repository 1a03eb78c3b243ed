"""Who answers on this machine where nobody is named: a model that is found here, or the basic sentence forms."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ipython_assistant.core.providers import BASIC, GGUF, in_words, is_on_this_machine, provider_of, runs_code_here
from ipython_assistant.core.usage import last_day_of
from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.errors import ConfigError, ModelUnknown, NoKey
from ipython_assistant.service.model_servers import best_model, find_servers
from ipython_assistant.workspace.model_files import fetched_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.config import Settings

A_REAL_MODEL = (
    "A model that reads any question: set OPENAI_API_KEY, or start Ollama or LM Studio, or run `ipython-assistant model"
    " get`."
)
"""The way to a real model, in one line."""


def models_here(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Every model on this machine, as it stands after `-m`: those of servers that run, then files that were fetched."""
    listed = [model.name for server in find_servers(environment) for model in server.models]
    return (*listed, *(f"{GGUF}{model.name}" for model in fetched_models(environment)))


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
                best, files = best_model(found), fetched_models(environment)
                self._chosen = best.name if best is not None else f"{GGUF}{files[0].name}" if files else BASIC
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
    here = is_on_this_machine(model, environment)
    share = settings.share or ("results" if here else "shapes")
    return replace(settings, model=model, share=share, answerer=in_words(model, environment))


def unknown_model(error: ModelUnknown, settings: Settings, offered: Sequence[str]) -> ModelUnknown:
    """The error of a hosted service that does not have the model, with the nearest one that it offers.

    Args:
        error: The service's own error.
        settings: What was asked.
        offered: The models it lists; none where it does not tell.
    """
    ended = last_day_of(settings.model)
    by_default = "" if settings.by_hand.model else ", which is the default here"
    why = f" Its last day is {ended}." if ended else ""
    near = did_you_mean(settings.model, offered)
    others = f"Others: {', '.join(offered[:8])}. " if offered and not near else ""
    message = f"The service has no model {settings.model}{by_default}.{why}"
    hint = f"{near}{others}Choose one with -m NAME, or `%config AssistantMagics.model = ...`."
    return ModelUnknown(message, hint, status=error.status, code=error.code, request_id=error.request_id)


def _of_that_name(name: str, offered: tuple[str, ...]) -> str:
    """The model on this machine that is called so. Raises `ModelUnknown`."""
    for full in offered:
        if name in {full, full.partition("/")[2]}:
            return full
    meant = did_you_mean(name, [full.partition("/")[2] for full in offered])
    listed = f"Here are: {', '.join(offered[:10])}." if offered else A_REAL_MODEL
    cure = f"{meant}A model elsewhere has its provider in front, as in openai/{name}. {listed}"
    raise ModelUnknown(f"No server on this machine has the model {name}.", cure)
