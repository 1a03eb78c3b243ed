"""What this notebook is set to: traits with help, and the frozen Settings one cell runs with.

A value comes from the first of: the cell's own options, a trait set by hand (`%config AssistantMagics.x = ...` or
`ipython_config.py`), the environment, the default. Keys are never traits: `%config` prints every trait.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitlets import Enum, Float, Integer, List, Unicode
from traitlets.config import Configurable

from ipython_assistant.core.request import ContainerPolicy
from ipython_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipython_assistant.options import Options

SERVICES = ("openai", "local")
MODES = ("auto", "live")
DEFAULT_MODELS = {"openai": "gpt-5-mini", "local": "analyst"}
SAVE_DIR = "assistant_files"


class AssistantMagics(Configurable):
    """The settings a user can see and change: `%config AssistantMagics` shows a class by its name."""

    service = Enum(
        SERVICES,
        default_value=None,
        allow_none=True,
        help="Who answers: 'openai' (or any compatible server at OPENAI_BASE_URL) or 'local' (the embedded engine on"
        " this machine). Unset: IPYTHON_ASSISTANT_SERVICE, else 'openai' where OPENAI_API_KEY is set, else 'local'.",
    ).tag(config=True)
    mode = Enum(
        MODES,
        default_value=None,
        allow_none=True,
        help="'live' asks the service at every run; so does 'auto' as long as nothing is recorded."
        " Unset: IPYTHON_ASSISTANT_MODE, else 'auto'.",
    ).tag(config=True)
    model = Unicode(
        None,
        allow_none=True,
        help="The model to ask. Unset: IPYTHON_ASSISTANT_MODEL, else the service's default.",
    ).tag(config=True)
    instructions = Unicode("", help="Your own instructions, added after the built-in ones.").tag(config=True)
    save_dir = Unicode(SAVE_DIR, help="Where files are saved, relative to the notebook's directory.").tag(config=True)
    buttons = Enum(
        ("auto", "always", "never"),
        default_value="auto",
        help="Download buttons below the files: 'auto' shows them in a live notebook whose Jupyter server has our"
        " extension, which keeps them out of the saved file (pip install ipython_assistant beside JupyterLab).",
    ).tag(config=True)
    on_missing_file = Enum(
        ("raise", "warn"),
        default_value="raise",
        help="What happens when a file of the answer could not be saved: the cell ends in an error, or only says so.",
    ).tag(config=True)
    downloads = Integer(32, min=1, max=64, help="How many files are fetched at the same time.").tag(config=True)
    files_timeout = Float(
        300.0,
        min=0.1,
        help="Seconds for all files of an answer, once it has ended; waiting the service asked for is not counted.",
    ).tag(config=True)
    prefetch_bytes = Integer(
        256_000_000,
        min=0,
        help="How many bytes of files may be fetched while the answer is still being written; 0 fetches none ahead.",
    ).tag(config=True)
    memory_limit = Enum(
        ("1g", "4g", "16g", "64g"),
        default_value=None,
        allow_none=True,
        help="Memory of new containers at a hosted service (more costs more). Unset: the service's default.",
    ).tag(config=True)
    expires_after = Integer(
        20, min=1, max=20, help="Minutes that a container is kept after its last use; the service allows 20."
    ).tag(config=True)
    network = List(Unicode(), help="Hosts that code in a hosted container may reach; none: it has no network.").tag(
        config=True
    )
    timeout = Float(300.0, min=1.0, help="Seconds without a byte from the service before it is given up.").tag(
        config=True
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one cell runs with.

    `notebook_dir` is where links are relative to; `save_dir` is absolute; `timeout_s` is in seconds without a byte,
    `files_timeout_s` in seconds for all files of a turn; `policy` is what new containers are like.
    """

    service: str
    mode: str
    model: str
    instructions: str
    notebook_dir: Path
    save_dir: Path
    buttons: str
    raise_on_missing: bool
    downloads: int
    files_timeout_s: float
    prefetch_bytes: int
    timeout_s: float
    policy: ContainerPolicy


def freeze(traits: AssistantMagics, options: Options, notebook_dir: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of one cell.

    Raises:
        ConfigError: A value in the environment that is not one of those there are.
    """
    service = traits.service or _from_environment(environment, "IPYTHON_ASSISTANT_SERVICE", SERVICES)
    service = service or ("openai" if environment.get("OPENAI_API_KEY") else "local")
    return Settings(
        service=service,
        mode=traits.mode or _from_environment(environment, "IPYTHON_ASSISTANT_MODE", MODES) or "auto",
        model=options.model or traits.model or environment.get("IPYTHON_ASSISTANT_MODEL") or DEFAULT_MODELS[service],
        instructions=traits.instructions,
        notebook_dir=notebook_dir,
        save_dir=notebook_dir / Path(options.directory or traits.save_dir).expanduser(),
        buttons=traits.buttons,
        raise_on_missing=traits.on_missing_file == "raise",
        downloads=traits.downloads,
        files_timeout_s=traits.files_timeout,
        prefetch_bytes=traits.prefetch_bytes,
        timeout_s=traits.timeout,
        policy=ContainerPolicy(traits.memory_limit or "", traits.expires_after, tuple(traits.network)),
    )


def known_models(traits: AssistantMagics, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The models that can be named without asking a service: those that are set, then each service's default."""
    named = (traits.model, environment.get("IPYTHON_ASSISTANT_MODEL"), *DEFAULT_MODELS.values())
    return tuple(dict.fromkeys(name for name in named if name))


def _from_environment(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = environment.get(name)
    if value and value not in allowed:
        raise ConfigError(f"{name} is {value!r}.", f"Set it to one of: {', '.join(allowed)}.")
    return value or None
