"""What this cell asked for: the line after `%%assistant`, parsed."""

from __future__ import annotations

import argparse
import difflib
import shlex
from dataclasses import dataclass
from typing import NoReturn

from ipython_assistant.errors import OptionError


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one cell; None or empty where the cell says nothing."""

    inputs: tuple[str, ...] = ()
    model: str | None = None
    directory: str | None = None
    help: bool = False


def parse_options(line: str, body: str = "") -> Options:
    """Read the line after `%%assistant`.

    Args:
        line: The rest of the cell's first line.
        body: The rest of the cell, to show a corrected cell where words stand on the first line.

    Raises:
        OptionError: An option that does not exist (the nearest one is named), one without its value, or words on the
            first line.
    """
    namespace, words = _parser().parse_known_args(split_line(line))
    unknown = next((word for word in words if word.startswith("-") and word != "-"), None)
    if unknown is not None:
        raise OptionError(f"There is no option {unknown}.", _nearest_option(unknown))
    if words:
        options = line.strip()
        for word in words:
            options = options.replace(word, "", 1)
        question = "\n".join(part for part in (" ".join(words), body.strip()) if part)
        first_line = " ".join(f"%%assistant {options}".split())
        raise OptionError(
            "The question belongs below the first line, which is for options.", f"Write:\n{first_line}\n{question}"
        )
    return Options(tuple(namespace.inputs), namespace.model, namespace.directory, namespace.help)


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


def option_help() -> str:
    """The text of `%%assistant --help`."""
    return _parser().format_help()


def option_targets() -> dict[str, str]:
    """Every option as it is written → the field of `Options` that takes its value; nothing for one without a value."""
    actions = _parser()._actions  # noqa: SLF001 argparse has no public list
    return {string: "" if action.nargs == 0 else action.dest for action in actions for string in action.option_strings}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}.", "%%assistant --help lists the options.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="%%assistant",
        usage="%%%%assistant [options]\nYour question, on as many lines as you like",
        description="Ask; get the answer, the code behind it and every file it made, saved beside the notebook.",
        add_help=False,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )
    parser.add_argument(
        "-i",
        "--input",
        dest="inputs",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="a DataFrame variable or a file to work on; repeat for more",
    )
    parser.add_argument("-m", "--model", metavar="NAME", help="the model to ask")
    parser.add_argument("--dir", dest="directory", metavar="PATH", help="where this cell's files are saved")
    parser.add_argument("-h", "--help", action="store_true", help="show this text")
    return parser


def _nearest_option(unknown: str) -> str:
    near = difflib.get_close_matches(unknown.partition("=")[0], option_targets(), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}? " * bool(near) + "%%assistant --help lists the options."
