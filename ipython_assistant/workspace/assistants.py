"""Saved assistants: `assistants/NAME.toml` beside the notebook, or in the user's own configuration.

A file sets any of the keys in `_KINDS`. A cell's own options override them, and they override the notebook's settings.
An assistant beside the notebook may have come with it: its inputs must be below the notebook's directory, and it is
used only once its content was confirmed on this machine.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.core.request import parse_tools
from ipython_assistant.core.wording import did_you_mean, on_one_line
from ipython_assistant.errors import ConfigError
from ipython_assistant.options import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

FOLDER = "assistants"
CONFIRMED = "confirmed_assistants.txt"
_LISTS = ("inputs", "tools")
_KINDS = {
    "instructions": "text",
    "model": "text",
    **dict.fromkeys(_LISTS, "a list of texts"),
    "effort": f"one of {', '.join(EFFORTS)}",
}


@dataclass(frozen=True, slots=True)
class SavedAssistant:
    """An assistant as its file, whose hash is `sha256`, describes it; `tools`, `inputs` as after `--tool`, `-i`."""

    name: str
    path: Path
    sha256: str
    instructions: str = ""
    model: str = ""
    inputs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    effort: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is from the user's own configuration."""
        return self.path.parent.resolve() == (_configuration() / FOLDER).resolve()


def assistant_folders(notebook_dir: Path) -> tuple[Path, ...]:
    """Where assistants are looked for, in this order: beside the notebook, then in the Jupyter configuration."""
    return (notebook_dir / FOLDER, _configuration() / FOLDER)


def is_confirmed(assistant: SavedAssistant) -> bool:
    """Whether the assistant is the user's own, or its content was confirmed on this machine."""
    with contextlib.suppress(OSError):
        return assistant.is_own or assistant.sha256 in (_configuration() / CONFIRMED).read_text("ascii").split()
    return False


def confirm(assistant: SavedAssistant) -> None:
    """Remember that the user confirmed an assistant's content. Raises `OSError`."""
    path = _configuration() / CONFIRMED
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        file.write(f"{assistant.sha256}\n")


def check_inputs(assistant: SavedAssistant, folder: Path, working_dir: Path, variables: Container[str]) -> None:
    """Check that an assistant that came along sends no files but those below `folder`. Raises `ConfigError`."""
    for name in () if assistant.is_own else assistant.inputs:
        pattern = str(Path(name).expanduser())
        found = glob.glob(pattern, root_dir=working_dir, recursive=True)  # noqa: PTH207 root_dir
        for path in [] if name in variables else [pattern, *found]:
            if not (working_dir / path).resolve().is_relative_to(folder.resolve()):
                said = f"The assistant {assistant.name} names an input outside the notebook's directory: {name}."
                raise ConfigError(said, "Copy the file into the directory, or name it yourself: -i PATH.")


def list_assistants(folders: Sequence[Path]) -> dict[str, Path]:
    """Every assistant's file by its name, from the first folder that has it. Folders that are not there are empty."""
    # A pipe, which would be waited for, is no file.
    found = [path for folder in reversed(folders) for path in sorted(folder.glob("[!.]*.toml")) if path.is_file()]
    return {path.stem: path for path in found if path.stem.isprintable()}


def load_assistant(name: str, folders: Sequence[Path]) -> SavedAssistant:
    """Read the assistant of that name. Raises `ConfigError` where there is none, or its file is damaged."""
    known = list_assistants(folders)  # a name only ever chooses among these
    if name not in known:
        cure = f"{did_you_mean(name, known)}Looked in: {', '.join(map(shown, folders))}."
        raise ConfigError(f"There is no assistant {name!r}.", cure)
    path = known[name]
    try:
        content = path.read_bytes()
        # An editor on Windows may begin a file with a mark that TOML does not know.
        written: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else on_one_line(error).rstrip(".")
        said = f"{shown(path)} cannot be read as TOML: {why}."
        raise ConfigError(said, 'Save it as UTF-8; a line is: instructions = "..."') from error
    for key, value in written.items():
        if key not in _KINDS:
            raise ConfigError(f"{shown(path)} has an unknown key {on_one_line(key)!r}.", f"Keys: {', '.join(_KINDS)}.")
        texts = value if key in _LISTS and isinstance(value, list) else [value] if key not in _LISTS else [None]
        if not all(isinstance(text, str) for text in texts) or (key == "effort" and value not in EFFORTS):
            raise ConfigError(f"{shown(path)} has a wrong {key}.", f"{key} is {_KINDS[key]}.")
    try:
        parse_tools(written.get("tools", ()))
    except ValueError as error:
        raise ConfigError(f"{shown(path)} has a wrong tool: {error.args[0].rstrip('.')}.", error.args[1]) from error
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    return SavedAssistant(name, path, hashlib.sha256(content).hexdigest(), **fields)


def summary_of(name: str, folders: Sequence[Path]) -> str:
    """The first line of an assistant's instructions; or what is wrong with its file."""
    try:
        return on_one_line(load_assistant(name, folders).instructions.strip().partition("\n")[0])
    except ConfigError as error:
        return error.message


def shown(path: Path) -> str:
    """A path as a notebook may show it: from the working directory or from the home directory, where it is below."""
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base):
            return prefix + path.relative_to(base).as_posix()
    return str(path)


def _configuration() -> Path:
    from jupyter_core.paths import jupyter_config_dir

    return Path(jupyter_config_dir()) / "ipython_assistant"
