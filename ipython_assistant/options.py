"""What this cell asked for: the line after `%%assistant`, parsed."""

from __future__ import annotations

import argparse
import keyword
import math
import re
import shlex
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ipython_assistant.core.wording import did_you_mean
from ipython_assistant.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Container

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""https://platform.openai.com/docs/guides/reasoning; not every model takes every one, and the service says so."""
MEMORIES = ("1g", "4g", "16g", "64g")  # https://platform.openai.com/docs/guides/tools-code-interpreter


def _option(flags: str, about: str, value: str = "", default: Any = None, *, rare: bool = False) -> Any:
    """A field of `Options`: how the option is written, its help, and its value's name (empty for a switch)."""
    default = default if default is not None or value else False
    return field(default=default, metadata={"flags": flags.split(), "help": about, "value": value, "rare": rare})


_rare = partial(_option, rare=True)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one cell; None or empty where the cell says nothing. `--help` leaves out those that are rare."""

    inputs: tuple[str, ...] = _option("-i --input", "a variable, file or glob to work on; repeatable", "NAME|PATH", ())
    outputs: tuple[str, ...] = _option("-o --output", "a table to bring back as a DataFrame; repeatable", "NAME", ())
    model: str | None = _option("-m --model", "the model to ask", "NAME")
    conversation: str | None = _option("-c --conversation", "the conversation to continue or to begin", "NAME")
    new: bool = _option("--new", "continue from nothing: the conversation begins anew here")
    fresh: bool = _option("--fresh", "ask again though the answer is recorded")
    directory: str | None = _option("--dir", "where this cell's files are saved", "PATH")
    assistant: str | None = _option("--assistant", "a saved assistant: assistants/NAME.toml", "NAME")
    dry_run: bool = _option("--dry-run", "show what would be sent, and send nothing")
    help: bool = _option("-h --help", "show this text")
    help_all: bool = _option("--help-all", "show every option")
    instructions: str | None = _rare("--instructions", "your own instructions, added after the built-in ones", "TEXT")
    tools: tuple[str, ...] = _rare("--tool", "web_search, file_search:vs_1, or a tool as JSON; repeatable", "SPEC", ())
    no_code: bool = _rare("--no-code", "answer in words: no code runs and no file is made")
    effort: str | None = _rare("--effort", f"how long a model may think: {', '.join(EFFORTS)}", "WORD")
    container: str | None = _rare("--container", "the container to run in", "ID")
    memory: str | None = _rare("--memory", f"memory of a new hosted container: {', '.join(MEMORIES)}", "SIZE")
    timeout_s: float | None = _rare("--timeout", "seconds without a byte until it is given up", "S")
    yes: bool = _rare("--yes", "send inputs larger than the setting ask_above")


def parse_options(line: str, body: str = "") -> Options:
    """Read the rest of the cell's first line; raises `OptionError`, with the corrected cell and its `body`."""
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
    options = [shlex.quote(token) if " " in token else token for token in tokens]
    cell = [" ".join(["%%assistant", *options]), " ".join(words), *filter(None, [body.strip()])]
    says = f"The first line is for options: an input is named with -i {words[0]}, and a question stands below."
    raise OptionError(says, "\n".join(["Write:", *cell]))


def checked(options: Options) -> Options:
    """The options. Raises `OptionError` where they do not go together, or one has an invalid value."""
    wrong = next((name for name in options.outputs if not name.isidentifier() or keyword.iskeyword(name)), None)
    if wrong is not None:
        raise OptionError(f"-o {wrong} is not the name of a variable.", f"Write: -o {variable_name(Path(wrong).stem)}")
    if options.no_code and (options.inputs or options.outputs or options.container):
        raise OptionError("-i, -o and --container need code, and --no-code rules it out.", "Leave one of the two out.")
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
    return {flag: it.name if it.metadata["value"] else "" for it in fields(Options) for flag in it.metadata["flags"]}


class _OptionParser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}.", "%%assistant --help lists the options.")


def _parser(*, everything: bool = True) -> _OptionParser:
    parser = _OptionParser(
        usage="%%%%assistant [options]\nYour question, on as many lines as you like",
        epilog="" if everything else "%%assistant --help-all lists the rest; %assistant help lists the commands.",
        add_help=False,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )
    add_options(parser, everything=everything)
    return parser


def add_options(parser: argparse.ArgumentParser, *, everything: bool = True, leave_out: Container[str] = ()) -> None:
    """Add the options to a parser, but for those whose field of `Options` is to be left out."""
    for it in fields(Options):
        about = it.metadata
        if it.name in leave_out or (about["rare"] and not everything):
            continue
        kind: dict[str, Any] = {"metavar": about["value"]} if about["value"] else {"action": "store_true"}
        if it.default == ():
            kind |= {"action": "append", "default": []}
        if it.name == "timeout_s":
            kind["type"] = float
        parser.add_argument(*about["flags"], dest=it.name, help=about["help"], **kind)


def options_from(namespace: argparse.Namespace) -> Options:
    """The options that a parser has read; whatever else it read is left aside."""
    read: dict[str, Any] = {it.name: getattr(namespace, it.name) for it in fields(Options) if it.name in namespace}
    read |= {name: tuple(value) for name, value in read.items() if isinstance(value, list)}
    return Options(**read)
