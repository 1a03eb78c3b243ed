"""What this cell asked for: the line after `%%assistant`, parsed."""

from __future__ import annotations

import argparse
import keyword
import math
import re
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Container

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""https://platform.openai.com/docs/guides/reasoning; not every model takes every one, and the service says so."""
MEMORIES = ("1g", "4g", "16g", "64g")
"""https://platform.openai.com/docs/guides/tools-code-interpreter"""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one cell; None or empty where the cell says nothing.

    `tools` are written as after `--tool`; `timeout_s` is in seconds without a byte from the service.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    model: str | None = None
    conversation: str | None = None
    new: bool = False
    fresh: bool = False
    directory: str | None = None
    assistant: str | None = None
    dry_run: bool = False
    instructions: str | None = None
    tools: tuple[str, ...] = ()
    no_code: bool = False
    effort: str | None = None
    container: str | None = None
    memory: str | None = None
    timeout_s: float | None = None
    yes: bool = False
    help: bool = False
    help_all: bool = False


def parse_options(line: str, body: str = "", known: Container[str] = ()) -> Options:
    """Read the rest of the cell's first line.

    `body`, the other lines, stands in the corrected cell that an error shows; a word on the first line that is one of
    the variables in `known` was meant as an input.

    Raises:
        OptionError: An option that does not exist or has no value, or words on the first line.
    """
    tokens = split_line(line)
    namespace, words = _parser().parse_known_args(tokens)
    unknown = next((word for word in words if word.startswith("-") and word != "-"), None)
    if unknown is not None:
        nearest = did_you_mean(unknown.partition("=")[0], option_targets())
        raise OptionError(f"There is no option {unknown}.", f"{nearest}%%assistant --help lists the options.")
    if not words:
        return checked(options_from(namespace))
    for word in words:
        tokens.remove(word)
    options = " ".join(shlex.quote(token) if " " in token else token for token in tokens)
    if body.strip() and all(word in known or Path(word).is_file() for word in words):
        named = " ".join(f"-i {word}" for word in words)
        says = f"{', '.join(words)} stands on the first line without an option."
        raise OptionError(says, f"Write: {f'%%assistant {named} {options}'.rstrip()}")
    question = "\n".join(part for part in (" ".join(words), body.strip()) if part)
    says = "The question belongs below the first line, which is for options."
    raise OptionError(says, f"Write:\n{f'%%assistant {options}'.rstrip()}\n{question}")


def checked(options: Options) -> Options:
    """The options. Raises `OptionError` where they do not go together, or one has an invalid value."""
    wrong = next((name for name in options.outputs if not name.isidentifier() or keyword.iskeyword(name)), None)
    if wrong is not None:
        stem = wrong.rpartition("/")[2].rpartition(".")[0] or wrong
        raise OptionError(f"-o {wrong} is not the name of a variable.", f"Write: -o {variable_name(stem)}")
    if options.no_code and (options.inputs or options.outputs or options.container):
        given = "-i" if options.inputs else "-o" if options.outputs else "--container"
        raise OptionError(f"{given} needs code, and --no-code rules it out.", "Leave one of the two out.")
    for name, value, allowed in (("effort", options.effort, EFFORTS), ("memory", options.memory, MEMORIES)):
        if value is not None and value not in allowed:
            raise OptionError(f"--{name} {value} is invalid.", f"Write one of: {', '.join(allowed)}.")
    if options.directory is not None and not options.directory.strip():
        raise OptionError("--dir has no folder.", "Write: --dir PATH")
    if options.timeout_s is not None and not 1 <= options.timeout_s < math.inf:
        raise OptionError(f"--timeout {options.timeout_s:g} is invalid.", "Write seconds, 1 or more.")
    return options


def variable_name(text: str) -> str:
    """The text as the name of a variable: `by-year` is `by_year`, and `2020` is `table_2020`."""
    name = re.sub(r"\W+", "_", text).strip("_") or "table"
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"table_{name}"


def split_line(line: str) -> list[str]:
    """Split a line as a shell does, but for backslashes (Windows paths). Raises `OptionError` at a lone quote."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise OptionError("A quotation mark on the first line has no partner.", "Close it, or remove it.") from None


def option_help(*, everything: bool = False) -> str:
    """The text of `%%assistant --help`: the options of every day; or all of them."""
    return _parser(everything=everything).format_help()


def option_targets() -> dict[str, str]:
    """Every option as it is written → the field of `Options` that takes its value; empty for one without a value."""
    return {
        flag: field if metavar else ""
        for rows in (DAILY, RARE)
        for flags, field, metavar, _ in rows
        for flag in flags.split()
    }


DAILY = (
    ("-i --input", "inputs", "NAME|PATH", "a variable, a file or a glob to work on; repeat for more"),
    ("-o --output", "outputs", "NAME", "a table the answer must bring back as a DataFrame; repeat for more"),
    ("-m --model", "model", "NAME", "the model to ask"),
    ("-c --conversation", "conversation", "NAME", "the conversation to continue or to begin"),
    ("--new", "new", "", "continue from nothing: the conversation begins anew here"),
    ("--fresh", "fresh", "", "ask again though the answer is recorded"),
    ("--dir", "directory", "PATH", "where this cell's files are saved"),
    ("--assistant", "assistant", "NAME", "a saved assistant: assistants/NAME.toml"),
    ("--dry-run", "dry_run", "", "show what would be sent, and send nothing"),
    ("-h --help", "help", "", "show this text"),
    ("--help-all", "help_all", "", "show every option"),
)
"""The options of every day: as they are written, their field of `Options`, their value (empty for none), their help."""
RARE = (
    ("--instructions", "instructions", "TEXT", "your own instructions, added after the built-in ones"),
    ("--tool", "tools", "SPEC", "web_search, file_search:vs_1,vs_2, or a tool as JSON; repeat for more"),
    ("--no-code", "no_code", "", "answer in words: no code runs and no file is made"),
    ("--effort", "effort", "WORD", f"how long a reasoning model may think: {', '.join(EFFORTS)}"),
    ("--container", "container", "ID", "the container to run in"),
    ("--memory", "memory", "SIZE", f"memory of a new container at a hosted service: {', '.join(MEMORIES)}"),
    ("--timeout", "timeout_s", "S", "seconds without a byte from the service before it is given up"),
    ("--yes", "yes", "", "send inputs larger than the setting ask_above"),
)
"""The other options, which `--help-all` shows."""


class _OptionParser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}.", "%%assistant --help lists the options.")


def _parser(*, everything: bool = True) -> _OptionParser:
    parser = _OptionParser(
        prog="%%assistant",
        usage="%%%%assistant [options]\nYour question, on as many lines as you like",
        description="Ask; get the answer, the code behind it and every file it made, saved beside the notebook.",
        epilog="" if everything else "%%assistant --help-all lists the rest; %assistant help lists the commands.",
        add_help=False,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )
    add_options(parser, everything=everything)
    return parser


def add_options(parser: argparse.ArgumentParser, *, everything: bool = True, leave_out: Container[str] = ()) -> None:
    """Add the options to a parser, but for those whose field of `Options` is to be left out."""
    for flags, field, metavar, help_text in (*DAILY, *(RARE if everything else ())):
        if field in leave_out:
            continue
        kind: dict[str, Any] = {"metavar": metavar} if metavar else {"action": "store_true"}
        if isinstance(getattr(Options(), field), tuple):
            kind |= {"action": "append", "default": []}
        if field == "timeout_s":
            kind["type"] = float
        parser.add_argument(*flags.split(), dest=field, help=help_text, **kind)


def options_from(namespace: argparse.Namespace) -> Options:
    """The options that a parser has read; whatever else it read is left aside."""
    known = {field.name for field in fields(Options)}
    read = {name: value for name, value in vars(namespace).items() if name in known}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    return Options(**values)
