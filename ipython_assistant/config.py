"""What this notebook is set to: traits with help, and the frozen Settings one cell runs with.

A value comes from the first of: the cell's options, the assistant it names, a trait set by hand, the environment, the
default. Instructions and tools add up. Keys are never traits: `%config` prints every trait.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Dict, Enum, Float, Integer, List, Unicode
from traitlets.config import Configurable

from ipython_assistant.core.providers import BASIC, runs_code_here
from ipython_assistant.core.request import ContainerPolicy, parse_tools
from ipython_assistant.core.usage import billed_by, default_model
from ipython_assistant.errors import ConfigError, OptionError
from ipython_assistant.options import EFFORTS, MEMORIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipython_assistant.core.turn import Json
    from ipython_assistant.options import Options

SERVICES = ("openai", "azure", "local")
MODES = ("auto", "live", "replay")
KEYS = {"openai": "OPENAI_API_KEY", "azure": "AZURE_OPENAI_API_KEY"}
"""Where the key of a hosted service is looked for; Azure takes a token of Entra ID in `AD_TOKEN` as well."""
AD_TOKEN = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 the name of a variable


def _choice(values: tuple[str, ...], help: str) -> Any:  # noqa: A002 traitlets' name for it
    """A trait that is one of these words, or unset."""
    return Enum(values, default_value=None, allow_none=True, help=help)


class AssistantMagics(Configurable):
    """The settings that a user can see and change with `%config AssistantMagics`, which names this class."""

    service = _choice(
        SERVICES,
        "Who answers: 'openai' (or a compatible server at OPENAI_BASE_URL), 'azure', or 'local' (the embedded engine on"
        " this machine). Unset: IPYTHON_ASSISTANT_SERVICE, else the service whose key is set, else 'local'.",
    )
    mode = _choice(
        MODES,
        "'auto' answers from a recording if there is one, and asks otherwise; 'live' always asks; 'replay' never asks."
        " Unset: IPYTHON_ASSISTANT_MODE; else 'auto', but 'replay' in CI, or without the key of the recorded service.",
    )
    model = Unicode(
        None,
        allow_none=True,
        help="The model to ask; with a provider or an address in front (ollama/NAME, http://HOST/v1/NAME) code runs on"
        " this machine. Unset: IPYTHON_ASSISTANT_MODEL, else the service's default; without a key one that is"
        " found on this machine, unless IPYTHON_ASSISTANT_FIND_MODELS=0.",
    )
    share = _choice(
        ("results", "shapes", "names"),
        "What a model may see whose code runs here: 'results' (what code prints, first rows of tables), 'shapes'"
        " (sizes, columns, types; no value), or 'names' (columns, types). Unset: 'shapes', on this machine 'results'.",
    )
    instructions = Unicode("", help="Your own instructions, added after the built-in ones.")
    tools = List(Unicode(), help="More tools, as after --tool: web_search, file_search:vs_1, or a tool as JSON.")
    effort = _choice(EFFORTS, "How long a reasoning model may think. Unset: the service's default.")
    max_output_tokens = Integer(None, allow_none=True, min=16, help="The most tokens an answer may have.")
    max_tool_calls = Integer(None, allow_none=True, min=1, help="The most tool calls (such as runs of code) a turn.")
    store = Bool(default_value=True, help="Let the service keep the conversation; else each question sends it all.")
    ask_above = Integer(50_000_000, min=0, help="Bytes of a cell's inputs that go to a hosted service without --yes.")
    prices = Dict(
        help="Prices by model, in US dollars for a million tokens; they replace the built-in ones:"
        " {'my-model': {'input': 0.25, 'cached': 0.025, 'output': 2.0}}."
    )
    max_cost = Float(None, allow_none=True, min=0.0, help="US dollars a day (UTC) for this folder; unset: no limit.")
    save_dir = Unicode("assistant_files", help="Where files are saved, relative to the notebook's directory.")
    buttons = Enum(("auto", "always", "never"), "auto", help="Download buttons: 'auto' shows them in a live notebook.")
    on_missing_file = Enum(("raise", "warn"), "raise", help="A file is missing: end in an error, or say so.")
    downloads = Integer(32, min=1, max=64, help="How many files are fetched at once.")
    files_timeout = Float(300.0, min=0.1, help="Seconds for all files once the answer has ended.")
    prefetch_bytes = Integer(256_000_000, min=0, help="Bytes of files that may be fetched before the answer ends.")
    memory_limit = _choice(MEMORIES, "Memory of new containers at a hosted service; more costs more.")
    expires_after = Integer(20, min=1, max=20, help="Minutes that a container is kept after its last use.")
    network = List(Unicode(), help="Hosts that code in a hosted container may reach. Unset: it has no network.")
    timeout = Float(300.0, min=1.0, help="Seconds without a byte from the service before it is given up.")


for _trait in AssistantMagics.class_own_traits().values():
    _trait.tag(config=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one cell runs with; `traits` holds the value that each of the traits above had then.

    `model` is empty where nothing names one, `save_dir` is absolute, `official` says that OpenAI's own service answers:
    others may refuse what is new. `chosen_service` and `written`, the parts of a `TurnKey`, are what was set by hand.
    """

    traits: SimpleNamespace
    service: str
    mode: str
    model: str
    instructions: str
    notebook_dir: Path
    save_dir: Path
    timeout_s: float
    policy: ContainerPolicy
    tools: tuple[Json, ...]
    effort: str | None
    code: bool
    container_id: str | None
    official: bool
    chosen_service: str | None
    written: Json
    find_models: bool
    share: str
    answerer: str = ""

    @property
    def shared(self) -> str:
        """The part of the tables that the model may see, for a person to read."""
        return "nothing: no model is used" if self.model == BASIC else f"{self.share}, with {self.answerer}"


def freeze(traits: AssistantMagics, options: Options, notebook_dir: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of one cell. Raises `ConfigError` and `OptionError` where the environment or a tool is wrong."""
    chosen_service = traits.service or _from_environment(environment, "IPYTHON_ASSISTANT_SERVICE", SERVICES)
    model = options.model or traits.model or environment.get("IPYTHON_ASSISTANT_MODEL") or ""
    chosen_service = chosen_service or ("local" if runs_code_here(model) else None)
    service = chosen_service or _service_with_key(environment)
    mode = traits.mode or _from_environment(environment, "IPYTHON_ASSISTANT_MODE", MODES)
    in_ci = bool(environment.get("CI")) and chosen_service is None
    instructions = "\n\n".join(part for part in (traits.instructions, options.instructions) if part)
    try:
        tools = parse_tools((*traits.tools, *options.tools))
    except ValueError as error:
        raise OptionError(*error.args) from error
    effort, memory = options.effort or traits.effort, options.memory or traits.memory_limit or ""
    return Settings(
        traits=SimpleNamespace(**traits.trait_values(config=True)),
        service=service,
        mode=mode or ("replay" if in_ci else "auto"),
        model=model or (default_model() if service == "openai" else ""),
        instructions=instructions,
        notebook_dir=notebook_dir,
        save_dir=notebook_dir / Path(options.directory or traits.save_dir).expanduser(),
        timeout_s=options.timeout_s or traits.timeout,
        policy=ContainerPolicy(memory, traits.expires_after, tuple(traits.network)),
        tools=tools,
        effort=effort,
        code=not options.no_code,
        container_id=options.container,
        official=billed_by(service, environment.get("OPENAI_BASE_URL", "")) == "openai",
        chosen_service=chosen_service,
        written={
            "model": options.model or traits.model,
            "instructions": instructions or None,
            "tools": tools or None,
            "effort": effort,
            "no_code": options.no_code or None,
        },
        find_models=looks_for_models(environment) and mode != "replay",
        share=traits.share or "",
    )


def working_directory() -> Path:
    """The working directory. Raises `ConfigError` where it was removed or renamed while the process runs."""
    try:
        return Path.cwd()
    except OSError as error:
        says = "The working directory is gone: it was removed or renamed."
        raise ConfigError(says, "Change to one that exists: %cd PATH") from error


def looks_for_models(environment: Mapping[str, str]) -> bool:
    """Whether model servers may be looked for on this machine."""
    return environment.get("IPYTHON_ASSISTANT_FIND_MODELS", "1") != "0"


def _service_with_key(environment: Mapping[str, str]) -> str:
    """The service whose key is set; the embedded engine where no key is set."""
    keys = (*KEYS.items(), ("azure", AD_TOKEN))
    return next((service for service, name in keys if environment.get(name)), "local")


def _from_environment(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = environment.get(name)
    if value and value not in allowed:
        raise ConfigError(f"{name} is {value!r}.", f"Set it to one of: {', '.join(allowed)}.")
    return value or None
