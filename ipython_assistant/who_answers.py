"""Who answers a question: a recording, by the mode and by who may be asked; or a service, with a model or without."""

from __future__ import annotations

import difflib
from dataclasses import replace
from os import environ
from typing import TYPE_CHECKING

from ipython_assistant.config import KEYS
from ipython_assistant.core import providers, usage
from ipython_assistant.core.wording import did_you_mean, first_words
from ipython_assistant.errors import BudgetSpent, ConfigError, ModelUnknown, NoKey, NotRecorded, OptionError
from ipython_assistant.service.faults import NAME_A_DEPLOYMENT
from ipython_assistant.service.model_servers import ModelsHere, best_model, models_here
from ipython_assistant.workspace.recording_store import TURNS, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.config import Settings
    from ipython_assistant.core.recording import Recording
    from ipython_assistant.question import Question
    from ipython_assistant.workspace.recordings import Recordings

HOSTED = frozenset(KEYS)
A_REAL_MODEL = "To read any question: set OPENAI_API_KEY, start Ollama or LM Studio, or `ipython-assistant model get`."
_MOST_COMPARED = 300  # characters of a question, to find the one that is most like it: long ones take long


def recorded_answer(question: Question, recordings: Recordings) -> Recording | None:
    """The recording that answers; None where the service is to be asked. Raises an error where neither may."""
    settings, fresh, chosen = question.settings, question.fresh, question.settings.chosen_service
    if fresh and settings.mode == "replay":
        raise OptionError("--fresh asks again, and in replay mode nothing is asked.", "Leave it out, or change `mode`.")
    why = None
    if others := sorted(other_services_recorded(settings, recordings)):
        says = f"The answers in this folder are from {' and '.join(others)}, and there is no key to ask it again."
        why = NoKey(says, f"Set {' or '.join(KEYS[it] for it in others)}; or {providers.WITHOUT_A_KEY}")
    if fresh or settings.mode == "live":
        if why is not None:
            raise why
        return None
    services = frozenset({chosen}) if chosen else None if settings.service == "local" else HOSTED
    key, lacking = question.turn_key.sha256, settings.traits.on_missing_file == "warn"
    found = recordings.find(key, services, with_missing=lacking)
    if found is None and settings.mode == "replay":
        found = recordings.find(key, with_missing=lacking)
    if found is None and (why is not None or settings.mode == "replay"):
        raise _not_recorded(question, recordings, why if settings.mode == "auto" else None)
    return found


def other_services_recorded(settings: Settings, recordings: Recordings) -> frozenset[str]:
    """The hosted services that answered in this folder; none where the user chose who answers, or a hosted one can."""
    by_default = settings.service == "local" and settings.chosen_service is None
    return recordings.services() & HOSTED if by_default else frozenset()


def _not_recorded(question: Question, recordings: Recordings, why: NoKey | None) -> NotRecorded:
    """The error for a question that only a recording may answer and that is not recorded; it names the nearest one."""
    says = f"This question is not recorded. {why.message if why else 'In replay mode nothing is asked.'}"
    path = recordings.folder.path / TURNS
    lines = [why.hint if why else "Change `mode`, or record it: `ipython-assistant record NOTEBOOK`."]
    by_prompt = {one.prompt.strip()[:_MOST_COMPARED]: one for one in recordings.all()}
    lines += [f"{path / it.name} cannot be read: {it.reason}." for it in recordings.store.summaries()[1][:5]]
    asked = question.turn_key.redacted(recordings.folder.secrets.redactor())
    if alike := difflib.get_close_matches(asked.prompt.strip()[:_MOST_COMPARED], by_prompt, 1, cutoff=0.0):
        nearest = by_prompt[alike[0]]
        one, other = asked.body(), nearest.asked.body()
        differ = [part for part in {**one, **other} if one.get(part) != other.get(part)] or ["missing files"]
        lines.append(f"The nearest in {path} is “{first_words(nearest.prompt)}” of {nearest.began[:10]}.")
        lines.append(f"It differs in: {', '.join(differ)}.")
    else:
        lines.append(f"Nothing is recorded in {path}.")
        lines.append("Is the notebook in another directory? Set IPYTHON_ASSISTANT_DIR to it before the kernel starts.")
    return NotRecorded(says, "\n".join(lines))


def check_max_cost(question: Question, recordings: Recordings) -> None:
    """Raise `BudgetSpent` where the day's questions and this one would pass `max_cost`, or a price is unknown."""
    settings, parent, most = question.settings, question.parent, question.settings.traits.max_cost
    if most is None:
        return

    def cost(tokens: usage.Tokens, model: str, service: str) -> float:
        money = usage.cost(tokens, model, prices, service=usage.billed_by(service, base_url))
        if money.tokens is None:
            raise BudgetSpent("max_cost is set, and the price of a model is unknown.", money.note)
        return money.tokens

    prices, base_url = usage.prices_with(settings.traits.prices), environ.get("OPENAI_BASE_URL", "")
    again = usage.tokens_of(parent.turn.usage) if parent is not None else usage.Tokens()
    total, containers = cost(usage.Tokens(again.input + again.output), settings.model, settings.service), set[str]()
    try:
        todays = [it for it in recordings.store.summaries()[0] if it[1].began.startswith(f"{question.began:%Y-%m-%d}")]
        turns = [(one, recordings.store.read(name).turn) for name, one in todays]
    except (OSError, ValueError) as error:
        says = f"max_cost is set, and what today has cost cannot be read in {recordings.where}: {reason_of(error)}."
        raise BudgetSpent(says, "Put it right, or lift it: %config AssistantMagics.max_cost = None") from error
    for one, turn in turns:
        total += cost(usage.tokens_of(turn.usage), turn.model or one.model, one.service)
        containers.update(turn.container_ids if usage.billed_by(one.service, base_url) == "openai" else ())
    total += len(containers) * usage.CONTAINER_PRICES["1g"]
    if total > most:
        says = f"With this question today's would cost at least {usage.dollars(total)}"
        cure = "Raise it (`%config AssistantMagics.max_cost = ...`), or go on tomorrow (UTC); replays cost nothing."
        raise BudgetSpent(f"{says}: more than max_cost, {usage.dollars(most)}.", cure)


def find_models(settings: Settings, environment: Mapping[str, str]) -> ModelsHere:
    """The models on this machine, unless a setting says that they are not looked for."""
    return models_here(environment) if settings.find_models else ModelsHere()


def with_answerer(
    settings: Settings, environment: Mapping[str, str], before: str = "", here: ModelsHere | None = None
) -> Settings:
    """Complete the settings with the model that answers and what it may see; looks for models unless given `here`.

    If no model is named: the one that answered `before`, else the best of the local servers, else the newest fetched
    file, else `basic`. Raises `ConfigError` (Azure without a deployment), `ModelUnknown`, or `NoKey` for a provider.
    """
    model = settings.model
    if settings.service != "local":
        if not model:
            raise ConfigError("No deployment is named.", NAME_A_DEPLOYMENT)
        return settings
    if not providers.runs_code_here(model):
        here = here or find_models(settings, environment)
        if model:
            full = next((it for it in here.names if model in {it, it.partition("/")[2]}), None)
            if full is None:
                meant = did_you_mean(model, [it.partition("/")[2] for it in here.names])
                listed = f"Here are: {', '.join(here.names[:10])}." if here.names else A_REAL_MODEL
                cure = f"{meant}A model elsewhere has its provider in front, as in openai/{model}. {listed}"
                raise ModelUnknown(f"No server on this machine has the model {model}.", cure)
            model = full
        elif before in here.names:
            model = before
        else:
            best = best_model(here.servers)
            model = best.name if best else next((f"{providers.GGUF}{name}" for name in here.files), providers.BASIC)
    provider = providers.provider_of(model)
    if provider is not None and provider.key and not environment.get(provider.key, "").strip():
        raise NoKey(f"{provider.key} is not set, and {provider.title} wants a key.", f"Set it. {A_REAL_MODEL}")
    share = settings.share or ("results" if providers.is_on_this_machine(model, environment) else "shapes")
    return replace(settings, model=model, share=share, answerer=providers.model_in_words(model, environment))


def address_in_use(settings: Settings, environment: Mapping[str, str]) -> str:
    """Where the service, or the model whose code runs here, is asked; empty where that is not set, or is no server."""
    if settings.service == "local":
        return providers.endpoint_of(settings.model, environment)[0]
    return environment.get({"openai": "OPENAI_BASE_URL"}.get(settings.service, "AZURE_OPENAI_ENDPOINT"), "")


def unknown_model(error: ModelUnknown, settings: Settings, offered: Sequence[str]) -> ModelUnknown:
    """A hosted service's error that it does not have the model, with the nearest of those that it offers."""
    by_default = "" if settings.written.get("model") else ", which is the default here"
    why = f" Its last day is {ended}." if (ended := usage.last_day_of(settings.model)) else ""
    near = did_you_mean(settings.model, offered) or (f"Others: {', '.join(offered[:8])}. " if offered else "")
    says = f"The service has no model {settings.model}{by_default}, or this key may not use it.{why}"
    return ModelUnknown(says, f"{near}Choose one with -m NAME.", status=error.status, code=error.code)
