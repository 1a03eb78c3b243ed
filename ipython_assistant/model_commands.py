"""`ipython-assistant model get | list | rm`: model files that the embedded engine runs by itself.

A file is fetched from huggingface.co (or the hub that HF_ENDPOINT names) by its own library, which resumes what was
interrupted; it counts only if its SHA-256 is the one that the hub states.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.providers import GGUF, models_folder
from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.workspace.model_files import fetched_models

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

INSTALL = "python -m pip install xllamacpp huggingface_hub"
CHUNK = 1 << 20
SHA256_DIGITS = 64


class ModelCommandError(Exception):
    """A command that cannot be done; its two arguments are what happened, and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model file is on the hub, and the name it gets here."""

    name: str
    repo: str
    file: str
    gigabytes: float = 0.0
    about: str = ""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `model` to the command line; it sets `run`, which takes the options and gives the exit code."""
    model = commands.add_parser("model", help="fetch, list or remove models that run on this machine without a server")
    verbs = model.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    get = verbs.add_parser("get", help="fetch a model: one of the list, or OWNER/REPOSITORY/FILE.gguf of the hub")
    get.add_argument("name", nargs="?", default="", help="which (default: the first of the list)")
    get.add_argument("--yes", action="store_true", help="fetch it without asking")
    verbs.add_parser("list", help="list the models that are here, and those that can be fetched by name")
    remove = verbs.add_parser("rm", help="remove a fetched model")
    remove.add_argument("name")
    model.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit code."""
    try:
        if options.verb == "get":
            return get(options.name, yes=options.yes)
        return show() if options.verb == "list" else remove(options.name)
    except ModelCommandError as error:
        happened, cure = error.args
        print(f"{happened}\n{cure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where it stopped.", file=sys.stderr)
        return 130


def recommended() -> Mapping[str, Source]:
    """The models that are known by name."""
    text = resources.files("ipython_assistant").joinpath("recommended_models.toml").read_text(encoding="utf-8")
    return {name: Source(name, **row) for name, row in tomllib.loads(text).items()}


def show() -> int:
    """List what is here, and what can be fetched."""
    here = fetched_models(os.environ)
    print(f"In {models_folder(os.environ)}:")
    for model in here:
        print(f"  -m {GGUF}{model.name:<24} {model.size / 1e9:.1f} GB")
    if not here:
        print("  nothing yet")
    print("To fetch with `ipython-assistant model get NAME`:")
    for source in recommended().values():
        print(f"  {source.name:<28} {source.gigabytes:.1f} GB, {source.about}")
    print("Any other GGUF file works by its path: -m PATH.gguf")
    return 0


def remove(name: str) -> int:
    """Remove a fetched model."""
    wanted = name.removeprefix(GGUF)
    here = {model.name: model for model in fetched_models(os.environ)}
    if wanted not in here:
        meant = did_you_mean(wanted, here)
        raise ModelCommandError(f"There is no fetched model {wanted}.", f"{meant}See: ipython-assistant model list")
    here[wanted].path.unlink()
    print(f"Removed {wanted}, {here[wanted].size / 1e9:.1f} GB.")
    return 0


def get(name: str, *, yes: bool = False) -> int:
    """Fetch a model, after showing its size and licence."""
    source = _source(name)
    target = models_folder(os.environ) / f"{source.name}.gguf"
    if target.exists():
        print(f"{source.name} is here already: -m {GGUF}{source.name}")
        return 0
    if find_spec("huggingface_hub") is None:
        raise ModelCommandError("The program that fetches models is not installed.", f"Install it: {INSTALL}")
    size, sha256, licence = _facts(source)
    print(f"{source.repo}, {source.file}\n  size     {size / 1e9:.2f} GB\n  licence  {licence}\n  goes to  {target}")
    _check_disk(target.parent, size)
    if not yes and not _agreed():
        print("Nothing was fetched.")
        return 0
    partial = _download(source, target.parent / ".partial")
    if _sha256(partial) != sha256:
        partial.unlink()
        raise ModelCommandError(
            f"{source.file} is damaged: its SHA-256 is not the one the hub states.", "Fetch it again."
        )
    partial.replace(target)
    print(f"Fetched and verified. It answers where nothing else does, or by name: -m {GGUF}{source.name}")
    if find_spec("xllamacpp") is None:
        print(f"To run it, install the runtime too: {INSTALL}")
    return 0


def _source(name: str) -> Source:
    known = recommended()
    if not name:
        return next(iter(known.values()))
    owner, _, rest = name.removeprefix(GGUF).partition("/")
    repo, _, file = rest.partition("/")
    if file.endswith(".gguf"):
        return Source(Path(file).stem.lower(), f"{owner}/{repo}", file)
    if owner in known and not rest:
        return known[owner]
    meant = did_you_mean(name, known)
    raise ModelCommandError(
        f"There is no model {name}.", f"{meant}Known: {', '.join(known)}; or OWNER/REPOSITORY/FILE.gguf."
    )


def _facts(source: Source) -> tuple[int, str, str]:
    """The file's size in bytes, its SHA-256 and its licence, as the hub states them."""
    import huggingface_hub

    def ask() -> tuple[Any, Any]:
        url = huggingface_hub.hf_hub_url(source.repo, source.file, endpoint=os.environ.get("HF_ENDPOINT"))
        return huggingface_hub.get_hf_file_metadata(url), _hub().model_info(source.repo)

    about, model = _from_hub(source, ask)
    if about.size is None or len(about.etag or "") != SHA256_DIGITS:
        raise ModelCommandError(f"The hub states no size or hash of {source.file}.", "Choose another model.")
    card = getattr(model, "card_data", None)
    licence = (card.get("license") if card is not None else None) or "not stated; see the model's page"
    return int(about.size), str(about.etag), str(licence)


def _download(source: Source, folder: Path) -> Path:
    import huggingface_hub

    endpoint = os.environ.get("HF_ENDPOINT")
    return Path(
        _from_hub(
            source,
            lambda: huggingface_hub.hf_hub_download(source.repo, source.file, local_dir=folder, endpoint=endpoint),
        )
    )


def _hub() -> Any:
    import huggingface_hub

    return huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


def _from_hub(source: Source, ask: Any) -> Any:
    """What the hub answers. Raises `ModelCommandError` in place of whatever the library raises."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - several libraries below it raise their own
        name = type(error).__name__
        if name in {"RepositoryNotFoundError", "EntryNotFoundError", "RemoteEntryNotFoundError"}:
            raise ModelCommandError(f"The hub has no {source.repo}/{source.file}.", "Check the name.") from None
        if name == "GatedRepoError":
            raise ModelCommandError(
                f"{source.repo} asks for your consent.", "Give it on the model's page, then: hf auth login"
            ) from None
        reason = " ".join(str(error).split())[:200] or name
        raise ModelCommandError(
            f"The hub could not be reached, or broke off: {reason}", "The same command goes on where it stopped."
        ) from None


def _check_disk(folder: Path, size: int) -> None:
    import shutil

    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ModelCommandError(
            f"It needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}.",
            "Free some space, or name another folder in IPYTHON_ASSISTANT_MODELS.",
        )


def _agreed() -> bool:
    try:
        return input("Fetch it? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
