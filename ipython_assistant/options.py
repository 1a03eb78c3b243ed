"""What this cell asked for: the line after `%%assistant`, parsed."""

from __future__ import annotations

import argparse
import keyword
import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ipython_assistant.core.nearest import did_you_mean
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
    parquet: bool = False
    yes: bool = False
    help: bool = False
    help_all: bool = False


def parse_options(line: str, body: str = "", known: Container[str] = ()) -> Options:
    """Read the line after `%%assistant`.

    Args:
        line: The rest of the cell's first line.
        body: The rest of the cell, to show a corrected cell where words stand on the first line.
        known: The user's variables: a word that is one of them was meant as an input.

    Raises:
        OptionError: An option that does not exist (the nearest one is named), one without its value, or words on the
            first line.
    """
    tokens = split_line(line)
    namespace, words = _parser().parse_known_args(tokens)
    unknown = next((word for word in words if word.startswith("-") and word != "-"), None)
    if unknown is not None:
        raise OptionError(f"There is no option {unknown}.", _nearest_option(unknown))
    if words:
        left = list(tokens)
        for word in words:
            left.remove(word)
        options = " ".join(shlex.quote(token) if " " in token else token for token in left)
        if body.strip() and all(word in known or Path(word).is_file() for word in words):
            named = " ".join(f"-i {word}" for word in words)
            raise OptionError(
                f"{', '.join(words)} stands on the first line without an option.",
                f"Write: {' '.join(f'%%assistant {named} {options}'.split())}",
            )
        question = "\n".join(part for part in (" ".join(words), body.strip()) if part)
        first_line = " ".join(f"%%assistant {options}".split())
        raise OptionError(
            "The question belongs below the first line, which is for options.", f"Write:\n{first_line}\n{question}"
        )
    parsed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in vars(namespace).items()
    }
    return checked(Options(**parsed))


def checked(options: Options) -> Options:
    """The options, if they go together.

    Raises:
        OptionError: They do not, or a name given with `-o` is none.
    """
    wrong = next((name for name in options.outputs if not name.isidentifier() or keyword.iskeyword(name)), None)
    if wrong is not None:
        stem = re.sub(r"\W+", "_", wrong.rpartition("/")[2].rpartition(".")[0] or wrong).strip("_") or "table"
        name = stem if stem.isidentifier() and not keyword.iskeyword(stem) else f"table_{stem}"
        raise OptionError(f"-o {wrong} is no name of a variable.", f"Write: -o {name}")
    if options.no_code and (options.inputs or options.outputs or options.container):
        given = "-i" if options.inputs else "-o" if options.outputs else "--container"
        raise OptionError(f"{given} needs code, and --no-code forbids it.", "Leave one of the two out.")
    if options.effort is not None and options.effort not in EFFORTS:
        raise OptionError(f"--effort {options.effort} is not one there is.", f"Write one of: {', '.join(EFFORTS)}.")
    if options.directory is not None and not options.directory.strip():
        raise OptionError("--dir names no folder.", "Write: --dir PATH")
    if options.timeout_s is not None and not 1 <= options.timeout_s < math.inf:
        raise OptionError(f"--timeout {options.timeout_s:g} is no time to wait.", "Write seconds, 1 or more.")
    return options


def split_line(line: str) -> list[str]:
    """Split a line as a shell does, except that a backslash is an ordinary character (Windows paths).

    Raises:
        OptionError: A quotation mark without its partner.
    """
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.escape = ""
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise OptionError("A quotation mark on the first line has no partner.", "Close it, or remove it.") from None


def option_help(*, everything: bool = False) -> str:
    """The text of `%%assistant --help`: what is needed every day; or everything there is."""
    return _parser(everything=everything).format_help()


def option_targets() -> dict[str, str]:
    """Every option as it is written → the field of `Options` that takes its value; nothing for one without a value."""
    actions = _parser(everything=True)._actions  # noqa: SLF001 argparse has no public list
    return {string: "" if action.nargs == 0 else action.dest for action in actions for string in action.option_strings}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}.", "%%assistant --help lists the options.")


def _parser(*, everything: bool = True) -> _Parser:
    parser = _Parser(
        prog="%%assistant",
        usage="%%%%assistant [options]\nYour question, on as many lines as you like",
        description="Ask; get the answer, the code behind it and every file it made, saved beside the notebook.",
        epilog="" if everything else "%%assistant --help-all lists the rest; %assistant help lists the commands.",
        add_help=False,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )

    def add(*names: str, daily: bool = False, **how: Any) -> None:
        if everything or daily:
            parser.add_argument(*names, **how)

    several: dict[str, Any] = {"action": "append", "default": []}
    add(
        "-i",
        "--input",
        daily=True,
        dest="inputs",
        metavar="NAME|PATH",
        **several,
        help="a variable, a file or a glob to work on; repeat for more",
    )
    add(
        "-o",
        "--output",
        daily=True,
        dest="outputs",
        metavar="NAME",
        **several,
        help="a table the answer must bring back, as a DataFrame of this name; repeat for more",
    )
    add("-m", "--model", daily=True, metavar="NAME", help="the model to ask")
    add("-c", "--conversation", daily=True, metavar="NAME", help="the conversation to go on with, or to begin")
    add("--new", daily=True, action="store_true", help="continue from nothing: the conversation begins anew here")
    add("--fresh", daily=True, action="store_true", help="ask again, though the answer is recorded")
    add("--dir", daily=True, dest="directory", metavar="PATH", help="where this cell's files are saved")
    add("--assistant", daily=True, metavar="NAME", help="a saved assistant: assistants/NAME.toml")
    add("--dry-run", daily=True, dest="dry_run", action="store_true", help="show what would be sent, and send nothing")
    add("--instructions", metavar="TEXT", help="your own instructions, added after the built-in ones")
    add(
        "--tool",
        dest="tools",
        metavar="SPEC",
        **several,
        help="web_search, file_search:vs_1,vs_2, or a tool as JSON; repeat for more",
    )
    add("--no-code", dest="no_code", action="store_true", help="answer in words: no code runs and no file is made")
    add("--effort", metavar="WORD", help="how long a reasoning model may think: " + ", ".join(EFFORTS))
    add("--container", metavar="ID", help="the container to run in")
    add("--memory", choices=MEMORIES, help="memory of a new container at a hosted service")
    add("--timeout", dest="timeout_s", metavar="S", type=float, help="seconds without a byte from the service")
    add("--parquet", action="store_true", help="send tables as Parquet, not as CSV (needs pyarrow)")
    add("--yes", action="store_true", help="send inputs that are larger than the setting ask_above")
    add("-h", "--help", daily=True, action="store_true", help="show this text")
    add("--help-all", daily=True, dest="help_all", action="store_true", help="show every option")
    return parser


def _nearest_option(unknown: str) -> str:
    return did_you_mean(unknown.partition("=")[0], option_targets()) + "%%assistant --help lists the options."
