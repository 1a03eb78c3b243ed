"""Who answers a question: a recording, by the mode and by who may be asked; or a service, with a model or without."""

from __future__ import annotations

import difflib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ipython_assistant.config import KEYS
from ipython_assistant.core import usage
from ipython_assistant.core.providers import (
    BASIC,
    GGUF,
    WITHOUT_A_KEY,
    is_on_this_machine,
    model_in_words,
    provider_of,
    runs_code_here,
)
from ipython_assistant.core.recording import canonical
from ipython_assistant.core.wording import did_you_mean, disk_reason, first_words
from ipython_assistant.errors import BudgetSpent, ConfigError, ModelUnknown, NoKey, NotRecorded, OptionError
from ipython_assistant.service.model_servers import best_model, fetched_models, find_servers, models_here
from ipython_assistant.workspace.recording_store import TURNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ipython_assistant.config import Settings
    from ipython_assistant.core.recording import Recording, TurnKey
    from ipython_assistant.question import Question
    from ipython_assistant.workspace.recordings import Recordings

Prices: TypeAlias = "Mapping[str, usage.Price]"
Spent = tuple[usage.Cost, frozenset[str]]
"""What a recorded turn cost, and the containers at OpenAI that it used."""
HOSTED = frozenset(KEYS)
MOST_LISTED = 5
_ASK_IT = (
    'Ask it where there is a service, with `%config AssistantMagics.mode = "live"`, or record the whole notebook:'
    " `ipython-assistant record NOTEBOOK`."
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


def recorded_answer(question: Question, recordings: Recordings, *, fresh: bool) -> Recording | None:
    """The recording that answers; None where the service is to be asked, or asked again (`fresh`).

    Raises an `AssistantError` where neither may answer: `OptionError`, `NoKey`, `NotRecorded`, `RecordingDamaged`.
    """
    settings = question.settings
    if fresh and settings.mode == "replay":
        cure = 'Leave it out, or: `%config AssistantMagics.mode = "auto"`.'
        raise OptionError("--fresh asks again, and in replay mode nothing is asked.", cure)
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


def check_max_cost(
    question: Question, recordings: Recordings, prices: Prices, base_url: str, known: dict[str, Spent]
) -> None:
    """Raise `BudgetSpent` where the question would pass the setting `max_cost`.

    What the day's questions cost is added up from the recordings (`known`: those read before). A question costs at the
    least what it reads: its words, about four characters a token, and the turn before it with all that one read.
    """
    settings, parent = question.settings, question.place.parent
    if settings.max_cost is None:
        return
    today, spent = f"{question.began:%Y-%m-%d}", list[Spent]()
    for name, one in recordings.store.summaries()[0]:
        if one.began.startswith(today):
            if name not in known:
                turn, payee = recordings.store.read(name).turn, usage.billed_by(one.service, base_url)
                money = usage.cost(usage.tokens_of(turn.usage), turn.model or one.model, prices, service=payee)
                known[name] = money, frozenset(turn.container_ids if payee == "openai" else ())
            spent.append(known[name])
    before = usage.tokens_of(parent.turn.usage) if parent is not None else usage.Tokens()
    reads = usage.Tokens(before.input + before.output + len(question.prompt) // 4)
    least = usage.cost(reads, settings.model, prices, service=usage.billed_by(settings.service, base_url))
    unknown = [money.reason for money in (least, *(money for money, _ in spent)) if money.tokens is None]
    if unknown:
        raise BudgetSpent("max_cost is set, and the price of a model is unknown.", unknown[0])
    so_far = sum(money.tokens or 0.0 for money, _ in spent)
    so_far += len(frozenset[str]().union(*(ids for _, ids in spent))) * usage.CONTAINER_PRICES["1g"]
    this_one = least.tokens or 0.0
    if so_far + this_one > settings.max_cost:
        says = f"Today's questions cost {usage.dollars(so_far)}, and this one at least {usage.dollars(this_one)}"
        cure = "Raise it (`%config AssistantMagics.max_cost = ...`), or go on tomorrow (UTC); replays cost nothing."
        raise BudgetSpent(f"{says}: more than max_cost, {usage.dollars(settings.max_cost)}.", cure)


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


def asked_because(question: Question, recordings: Recordings) -> str:
    """A sentence that says why a question is asked although a similar one is recorded; else empty."""
    asked, known = _as_recorded(question, recordings), recordings.all()
    for one in reversed(known):
        if one.asked.parent != asked.parent and replace(one.asked, parent=asked.parent).body() == asked.body():
            return f"It is recorded but for {next(differences(asked, one, known))}, so it is asked anew."
    return ""


def _not_recorded(question: Question, recordings: Recordings, why: NoKey | None) -> NotRecorded:
    """The error for a question that only a recording may answer and that is not recorded; it names the nearest one."""
    says = f"This question is not recorded. {why.message if why else 'In replay mode nothing is asked.'}"
    path, lines = recordings.folder.path / TURNS, [why.hint if why else _ASK_IT]
    try:
        near, damaged = recordings.all(), recordings.store.summaries()[1]
    except OSError as error:
        cannot = f"The recordings in {recordings.where} cannot be read: {disk_reason(error)}."
        return NotRecorded(says, f"{lines[0]}\n{cannot}")
    if damaged:
        lines.append("Recordings that cannot be read, and may be what is missing:")
        lines += [f"  {path / item.name}: {item.reason}" for item in damaged[:MOST_LISTED]]
        if len(damaged) > MOST_LISTED:
            lines.append(f"  and {len(damaged) - MOST_LISTED} more: ipython-assistant recordings --check")
    asked = _as_recorded(question, recordings)
    # By the letters they have in common: the exact measure takes long for long questions.
    alike = difflib.SequenceMatcher(None, b=asked.prompt.strip(), autojunk=False)

    def likeness(one: Recording) -> tuple[float, str]:
        alike.set_seq1(one.prompt.strip())
        return alike.quick_ratio(), one.ended

    nearest = max(near, key=likeness, default=None)
    if nearest is None:
        lines.append(f"Nothing is recorded in {path}.")
        lines.append("Is the notebook in another directory? Set IPYTHON_ASSISTANT_DIR to it before the kernel starts.")
    else:
        lines.append(f"The nearest in {path} is “{first_words(nearest.prompt)}” of {nearest.began[:10]}. What differs:")
        lines += [f"  {difference}" for difference in differences(asked, nearest, near)]
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
        prompts = {one.digest: f"“{first_words(one.prompt)}”" for one in recordings}
        prompts[""] = "nothing"
        new, old = (prompts.get(digest, "an unrecorded answer") for digest in (asked.parent, recorded.parent))
        yield f"the answer before it (it follows {new}; recorded after {old})"
    if recording.missing:
        yield "that files of it are missing"


def _as_recorded(question: Question, recordings: Recordings) -> TurnKey:
    return question.turn_key.redacted(recordings.folder.secrets.redactor())


def _in_words(part: Any) -> str:
    if not part:
        return "not set"
    if isinstance(part, bool):
        return "yes"
    items = part if isinstance(part, list) else [part]
    return first_words(", ".join(item if isinstance(item, str) else canonical(item) for item in items))


class ModelChoice:
    """Chooses the model on this machine where the user names no model; looks for it only when it is needed.

    The model that answered first goes on answering as long as it is there: which one is in memory changes often.
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
    """The settings with the model that answers, and with what it may see; `choose` finds a model that is not named.

    Raises `ConfigError` where Azure has no deployment's name, `ModelUnknown` where no server on this machine has the
    model, `NoKey` where its provider wants a key that is not set.
    """
    if settings.service != "local":
        if not settings.model:
            cure = "Name it with -m NAME, `%config AssistantMagics.model = ...` or IPYTHON_ASSISTANT_MODEL."
            raise ConfigError("At Azure the model is the name of a deployment, and no name was given.", cure)
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
    """The full name of a model on this machine. Raises `ModelUnknown`."""
    for full in offered:
        if name in {full, full.partition("/")[2]}:
            return full
    meant = did_you_mean(name, [full.partition("/")[2] for full in offered])
    listed = f"Here are: {', '.join(offered[:10])}." if offered else A_REAL_MODEL
    cure = f"{meant}A model elsewhere has its provider in front, as in openai/{name}. {listed}"
    raise ModelUnknown(f"No server on this machine has the model {name}.", cure)


def unknown_model(error: ModelUnknown, settings: Settings, offered: Sequence[str]) -> ModelUnknown:
    """A hosted service's error that it does not have the model, with the nearest one of those that it offers."""
    ended = usage.last_day_of(settings.model)
    by_default = "" if settings.written.get("model") else ", which is the default here"
    why = f" Its last day is {ended}." if ended else ""
    near = did_you_mean(settings.model, offered)
    others = f"Others: {', '.join(offered[:8])}. " if offered and not near else ""
    hint = f"{near}{others}Choose one with -m NAME, or `%config AssistantMagics.model = ...`."
    message = f"The service has no model {settings.model}{by_default}.{why}"
    return ModelUnknown(message, hint, status=error.status, code=error.code, request_id=error.request_id)
