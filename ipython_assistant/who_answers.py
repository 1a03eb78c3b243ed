"""Who answers a question: a recording, by the mode and by who may be asked; or a service, with a model or without."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipython_assistant.config import KEYS
from ipython_assistant.core import usage
from ipython_assistant.core.providers import (
    BASIC,
    GGUF,
    WITHOUT_A_KEY,
    endpoint_of,
    is_on_this_machine,
    model_in_words,
    provider_of,
    runs_code_here,
)
from ipython_assistant.core.recording import canonical
from ipython_assistant.core.wording import did_you_mean, disk_reason, first_words
from ipython_assistant.errors import BudgetSpent, ConfigError, ModelUnknown, NoKey, NotRecorded, OptionError
from ipython_assistant.service.faults import NAME_A_DEPLOYMENT
from ipython_assistant.service.model_servers import ModelsHere, best_model, models_here
from ipython_assistant.workspace.recording_store import TURNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ipython_assistant.config import Settings
    from ipython_assistant.core.recording import Recording, TurnKey
    from ipython_assistant.question import Question
    from ipython_assistant.workspace.recordings import Recordings

HOSTED = frozenset(KEYS)
_ASK_IT = (
    'Ask it where there is a service, with `%config AssistantMagics.mode = "live"` (in a shell:'
    " IPYTHON_ASSISTANT_MODE=live), or record the whole notebook: `ipython-assistant record NOTEBOOK`."
)
A_REAL_MODEL = (
    "A model that reads any question: set OPENAI_API_KEY, or start Ollama or LM Studio, or run `ipython-assistant model"
    " get`."
)
"""The way to a real model, in one line."""
_PARTS = {
    "model": "the model",
    "instructions": "the instructions",
    "effort": "the effort",
    "tools": "the tools",
    "no_code": "--no-code",
    "outputs": "the tables asked for with -o",
}
_MOST_COMPARED = 300
"""So many characters of questions are compared to find the one that is most like another: long ones take long."""


def recorded_answer(question: Question, recordings: Recordings) -> Recording | None:
    """The recording that answers; None where the service is to be asked, or asked again.

    Raises an `AssistantError` where neither may answer: `OptionError`, `NoKey`, `NotRecorded`, `RecordingDamaged`.
    """
    settings, fresh = question.settings, question.fresh
    if fresh and settings.mode == "replay":
        raise OptionError("--fresh asks again, and in replay mode nothing is asked.", "Leave it out, or change `mode`.")
    others = other_services_recorded(settings, recordings)
    if fresh or settings.mode == "live":
        if others:
            raise _no_key_of(others)
        return None
    chosen = settings.chosen_service
    services = frozenset({chosen}) if chosen else None if settings.service == "local" else HOSTED
    key, lacking = question.turn_key.sha256, not settings.raise_on_missing
    found = recordings.find(key, services, with_missing=lacking)
    if found is None and settings.mode == "replay":
        found = recordings.find(key, with_missing=lacking)
    if found is None and (others or settings.mode == "replay"):
        raise _not_recorded(question, recordings, _no_key_of(others) if settings.mode == "auto" else None)
    return found


def other_services_recorded(settings: Settings, recordings: Recordings) -> frozenset[str]:
    """The hosted services that answered in this folder, where only the engine would answer now, unasked.

    A hosted model's notebook is never answered by another service that the user did not choose.
    """
    by_default = settings.service == "local" and settings.chosen_service is None
    return recordings.services() & HOSTED if by_default else frozenset()


def _no_key_of(services: frozenset[str]) -> NoKey:
    named = " and ".join(sorted(services))
    keys = " or ".join(KEYS[service] for service in sorted(services))
    says = f"The answers in this folder are from {named}, and there is no key to ask it again."
    return NoKey(says, f"Set {keys}; or {WITHOUT_A_KEY}")


def _not_recorded(question: Question, recordings: Recordings, why: NoKey | None) -> NotRecorded:
    """The error for a question that only a recording may answer and that is not recorded; it names the nearest one."""
    says = f"This question is not recorded. {why.message if why else 'In replay mode nothing is asked.'}"
    path, lines = recordings.folder.path / TURNS, [why.hint if why else _ASK_IT]
    try:
        known, damaged = recordings.all(), recordings.store.summaries()[1]
    except OSError as error:
        lines.append(f"The recordings in {recordings.where} cannot be read: {disk_reason(error)}.")
        return NotRecorded(says, "\n".join(lines))
    lines += [f"{path / item.name} cannot be read, and may be what is missing: {item.reason}." for item in damaged[:5]]
    asked = question.turn_key.redacted(recordings.folder.secrets.redactor())
    by_prompt = {one.prompt.strip()[:_MOST_COMPARED]: one for one in known}
    alike = difflib.get_close_matches(asked.prompt.strip()[:_MOST_COMPARED], by_prompt, 1, cutoff=0.0)
    if not alike:
        lines.append(f"Nothing is recorded in {path}.")
        lines.append("Is the notebook in another directory? Set IPYTHON_ASSISTANT_DIR to it before the kernel starts.")
        return NotRecorded(says, "\n".join(lines))
    nearest = by_prompt[alike[0]]
    lines.append(f"The nearest in {path} is “{first_words(nearest.prompt)}” of {nearest.began[:10]}. What differs:")
    lines += [f"  {difference}" for difference in differences(asked, nearest, known)]
    return NotRecorded(says, "\n".join(lines))


def differences(asked: TurnKey, recording: Recording, recordings: Sequence[Recording]) -> Iterator[str]:
    """The differences between a question and a recording, in words that follow "differs:"."""
    recorded, one, other = recording.asked, asked.body(), recording.asked.body()
    if one["prompt"] != other["prompt"]:
        yield f"the question (recorded: “{first_words(recorded.prompt)}”)"
    for part, name in _PARTS.items():
        if one.get(part) != other.get(part):
            yield f"{name} ({_in_words(one.get(part))}; recorded: {_in_words(other.get(part))})"
    now, then = dict(asked.inputs), dict(recorded.inputs)
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            why = "not in the recording" if name not in then else "only in the recording" if name not in now else ""
            yield f"the input {name} ({why or 'other data'})"
    if asked.parent != recorded.parent:
        prompts = {one.digest: f"“{first_words(one.prompt)}”" for one in recordings} | {"": "nothing"}
        new, old = (prompts.get(digest, "an unrecorded answer") for digest in (asked.parent, recorded.parent))
        yield f"the answer before it (it follows {new}; recorded after {old})"
    if recording.missing:
        yield "that files of it are missing"


def _in_words(part: Any) -> str:
    if isinstance(part, bool):
        return "yes"
    items = part if isinstance(part, list) else [part]
    return first_words(", ".join(it if isinstance(it, str) else canonical(it) for it in items)) if part else "not set"


def check_max_cost(
    question: Question, recordings: Recordings, prices: Mapping[str, usage.Price], base_url: str
) -> None:
    """Raise `BudgetSpent` where the question would pass the setting `max_cost`.

    What the day's questions cost is added up from the recordings. A question costs at the least what it reads: its
    words, about four characters a token, and the turn before it with all that one read.
    """
    settings, parent = question.settings, question.parent
    if settings.max_cost is None:
        return
    before = usage.tokens_of(parent.turn.usage) if parent is not None else usage.Tokens()
    reads = usage.Tokens(before.input + before.output + len(question.prompt) // 4)
    this_one = usage.cost(reads, settings.model, prices, service=usage.billed_by(settings.service, base_url))
    today, costs, containers = f"{question.began:%Y-%m-%d}", [this_one], set[str]()
    for name, one in recordings.store.summaries()[0]:
        if one.began.startswith(today):
            turn, payee = recordings.store.read(name).turn, usage.billed_by(one.service, base_url)
            costs.append(usage.cost(usage.tokens_of(turn.usage), turn.model or one.model, prices, service=payee))
            containers.update(turn.container_ids if payee == "openai" else ())
    unknown = next((cost.note for cost in costs if cost.tokens is None), None)
    if unknown is not None:
        raise BudgetSpent("max_cost is set, and the price of a model is unknown.", unknown)
    total = sum(cost.tokens or 0.0 for cost in costs) + len(containers) * usage.CONTAINER_PRICES["1g"]
    if total > settings.max_cost:
        least = this_one.tokens or 0.0
        says = f"Today's questions cost {usage.dollars(total - least)}, and this one at least {usage.dollars(least)}"
        cure = "Raise it (`%config AssistantMagics.max_cost = ...`), or go on tomorrow (UTC); replays cost nothing."
        raise BudgetSpent(f"{says}: more than max_cost, {usage.dollars(settings.max_cost)}.", cure)


# --- services and models ----------------------------------------------------------------------------------------------


def with_answerer(
    settings: Settings, environment: Mapping[str, str], before: str = "", here: ModelsHere | None = None
) -> Settings:
    """The settings with the model that answers, and with what it may see.

    Where no model is named, the one that answered `before` goes on as long as it is there, since which one is in memory
    changes often. The models `here` are looked for only where that is needed. Raises `ConfigError` where Azure has no
    deployment's name, `ModelUnknown` where no server on this machine has the model, `NoKey` where its provider wants a
    key that is not set.
    """
    model = settings.model
    if settings.service != "local":
        if not model:
            raise ConfigError("No deployment is named.", NAME_A_DEPLOYMENT)
        return settings
    if not runs_code_here(model):
        if here is None:
            here = models_here(environment) if settings.find_models else ModelsHere()
        model = _of_that_name(model, here.names) if model else before if before in here.names else _best(here)
    provider = provider_of(model)
    if provider is not None and provider.key and not environment.get(provider.key, "").strip():
        raise NoKey(f"{provider.key} is not set, and {provider.title} wants a key.", f"Set it. {A_REAL_MODEL}")
    share = settings.share or ("results" if is_on_this_machine(model, environment) else "shapes")
    return replace(settings, model=model, share=share, answerer=model_in_words(model, environment))


def _best(here: ModelsHere) -> str:
    """The best suited model of a server that runs, else the file that was fetched last, else `basic`."""
    best, files = best_model(here.servers), [f"{GGUF}{name}" for name in here.files]
    return best.name if best is not None else next(iter(files), BASIC)


def _of_that_name(name: str, offered: tuple[str, ...]) -> str:
    """The full name of a model on this machine. Raises `ModelUnknown`."""
    for full in offered:
        if name in {full, full.partition("/")[2]}:
            return full
    meant = did_you_mean(name, [full.partition("/")[2] for full in offered])
    listed = f"Here are: {', '.join(offered[:10])}." if offered else A_REAL_MODEL
    cure = f"{meant}A model elsewhere has its provider in front, as in openai/{name}. {listed}"
    raise ModelUnknown(f"No server on this machine has the model {name}.", cure)


def address_in_use(settings: Settings, environment: Mapping[str, str]) -> str:
    """Where the service, or the model whose code runs here, is asked; empty where that is not set, or is no server."""
    if settings.service == "local":
        return endpoint_of(settings.model, environment)[0]
    return environment.get({"openai": "OPENAI_BASE_URL"}.get(settings.service, "AZURE_OPENAI_ENDPOINT"), "")


def unknown_model(error: ModelUnknown, settings: Settings, offered: Sequence[str]) -> ModelUnknown:
    """A hosted service's error that it does not have the model, with the nearest one of those that it offers."""
    ended = usage.last_day_of(settings.model)
    by_default = "" if settings.written.get("model") else ", which is the default here"
    why = f" Its last day is {ended}." if ended else ""
    near = did_you_mean(settings.model, offered)
    others = f"Others: {', '.join(offered[:8])}. " if offered and not near else ""
    message = f"The service has no model {settings.model}{by_default}.{why}"
    hint = f"{near}{others}Choose one with -m NAME."
    return ModelUnknown(message, hint, status=error.status, code=error.code, request_id=error.request_id)
