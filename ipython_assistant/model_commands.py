"""`ipython-assistant model get | list | rm`: model files that the embedded engine runs by itself.

A file is fetched from huggingface.co (or the hub that HF_ENDPOINT names) by its own library, which resumes what was
interrupted; it counts only if its SHA-256 is the one that the hub states.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tomllib
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.providers import GGUF, models_folder
from ipython_assistant.core.wording import did_you_mean, first_words
from ipython_assistant.errors import ConfigError
from ipython_assistant.service.model_servers import fetched_models

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

INSTALL = "python -m pip install xllamacpp huggingface_hub"


def add_model_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `model` to the command line; each verb sets `run`, which takes the options and gives the exit code."""
    model = commands.add_parser("model", help="fetch, list or remove models that run on this machine without a server")
    verbs = model.add_subparsers(required=True, metavar="COMMAND")
    get = verbs.add_parser("get", help="fetch a model: one of the list, or OWNER/REPOSITORY/FILE.gguf of the hub")
    get.add_argument("name", nargs="?", default="", help="which (default: the first of the list)")
    get.add_argument("--yes", action="store_true", help="fetch it without asking")
    get.set_defaults(run=_get)
    listing = verbs.add_parser("list", help="list the models that are here, and those that can be fetched by name")
    listing.set_defaults(run=_list)
    remove = verbs.add_parser("rm", help="remove a fetched model")
    remove.add_argument("name")
    remove.set_defaults(run=_remove)


def recommended_models() -> Mapping[str, Mapping[str, Any]]:
    """The models that are known by name: `recommended_models.toml`, whose first lines say what the fields mean."""
    text = resources.files("ipython_assistant").joinpath("recommended_models.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _list(_options: argparse.Namespace) -> int:
    here = fetched_models(os.environ)
    lines = [f"  -m {GGUF}{name:<24} {path.stat().st_size / 1e9:.1f} GB" for name, path in here.items()]
    known = recommended_models().items()
    fetched = [f"  {name:<28} {row['gigabytes']:.1f} GB, {row['about']}" for name, row in known]
    print(f"In {models_folder(os.environ)}:")
    print("\n".join(lines or ["  nothing yet"]))
    print("To fetch with `ipython-assistant model get NAME`:")
    print("\n".join([*fetched, "Any other GGUF file works by its path: -m PATH.gguf"]))
    return 0


def _remove(options: argparse.Namespace) -> int:
    """Remove a fetched model. Raises `ConfigError`."""
    name, here = options.name.removeprefix(GGUF), fetched_models(os.environ)
    if name not in here:
        raise ConfigError(f"There is no fetched model {name}.", "See: ipython-assistant model list")
    here[name].unlink()
    print(f"Removed {name}.")
    return 0


def _get(options: argparse.Namespace) -> int:
    """Fetch a model, after showing its size and licence and asking. Raises `ConfigError`."""
    name, repo, file = _source(options.name)
    target = models_folder(os.environ) / f"{name}.gguf"
    if target.exists():
        print(f"{name} is here already: -m {GGUF}{name}")
        return 0
    if find_spec("huggingface_hub") is None:
        raise ConfigError("The program that fetches models is not installed.", f"Install it: {INSTALL}")
    import huggingface_hub

    hub = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    about = _from_hub(lambda: hub.model_info(repo, files_metadata=True))
    facts = next((one for one in about.siblings or () if one.rfilename == file and one.lfs), None)
    if facts is None:
        files = ", ".join(one.rfilename for one in about.siblings or () if one.rfilename.endswith(".gguf"))
        raise ConfigError(f"{repo} has no file {file}.", f"It has: {files or 'no GGUF file'}.")
    licence = (about.card_data or {}).get("license") or "not stated; see the model's page"
    print(f"{repo}, {file}\n  size     {facts.size / 1e9:.2f} GB\n  licence  {licence}\n  goes to  {target}")
    answer = "y" if options.yes else ""
    with contextlib.suppress(EOFError):
        answer = answer or input("Fetch it? [y/N] ").strip().lower()
    if answer not in {"y", "yes"}:
        print("Nothing was fetched.")
        return 0
    partial = Path(_from_hub(lambda: hub.hf_hub_download(repo, file, local_dir=target.parent / ".partial")))
    with partial.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 != facts.lfs.sha256:
        partial.unlink()
        raise ConfigError(f"{file} is damaged: its SHA-256 is not the one the hub states.", "Fetch it again.")
    partial.replace(target)
    print(f"Fetched and verified. It answers where nothing else does, or by name: -m {GGUF}{name}")
    if find_spec("xllamacpp") is None:
        print(f"To run it, install the runtime too: {INSTALL}")
    return 0


def _source(wanted: str) -> tuple[str, str, str]:
    """The name that a model gets here, and its repository and file on the hub."""
    known = recommended_models()
    name = wanted.removeprefix(GGUF) or next(iter(known))
    if name in known:
        return name, known[name]["repo"], known[name]["file"]
    owner, _, rest = name.partition("/")
    repo, _, file = rest.partition("/")
    if file.endswith(".gguf"):
        return Path(file).stem.lower(), f"{owner}/{repo}", file
    hint = f"{did_you_mean(name, known)}Known: {', '.join(known)}; or OWNER/REPOSITORY/FILE.gguf."
    raise ConfigError(f"There is no model {name}.", hint)


def _from_hub(ask: Any) -> Any:
    """Ask the hub. Raises `ConfigError` in place of the library's errors."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - several libraries below it raise their own
        happened = f"The hub could not be reached, broke off, or refused: {first_words(str(error), 200)}"
        cure = "Check the name (some models want `hf auth login`); the same command goes on where it stopped."
        raise ConfigError(happened, cure) from None
