"""`%assistant`: look after what came of the questions."""

from __future__ import annotations

import difflib
import traceback
from typing import TYPE_CHECKING

from ipython_assistant.errors import OptionError
from ipython_assistant.options import option_help, split_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.session import Session

WHAT_TO_WRITE = """\
%%assistant asks a question about your data. Write it below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""


def run_command(session: Session, line: str) -> None:
    """Carry out one `%assistant` line.

    Raises:
        OptionError: There is no such command; the nearest one is named.
    """
    words = split_line(line)
    name = words[0] if words else "help"
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        meant = f"Did you mean %assistant {near[0]}? " if near else ""
        raise OptionError(
            f"There is no command {name!r}.", f"{meant}Commands: {', '.join(COMMANDS)}. A question needs %%assistant."
        )
    if words[1:]:
        raise OptionError(f"%assistant {name} takes no further words.", f"Write: %assistant {name}")
    command(session)


def _help(_session: Session) -> None:
    """Show this text."""
    lines = [f"%assistant {name:<10} {(command.__doc__ or '').strip()}" for name, command in COMMANDS.items()]
    print("\n".join([*lines, "", option_help()]))  # noqa: T201 plain text is what was asked for


def _status(session: Session) -> None:
    """Show who answers, where files go, and what runs on this machine."""
    print("\n".join(f"{name:<9} {value}" for name, value in session.status().items()))  # noqa: T201 as above


def _show(session: Session) -> None:
    """Show the last answer again, complete or not."""
    answer = session.last_answer
    print("There is no answer yet.") if answer is None else answer.display()  # noqa: T201 as above


def _traceback(session: Session) -> None:
    """Show the whole stack of the last error."""
    error = session.last_error
    text = "".join(traceback.format_exception(error)) if error is not None else "There was no error."
    print(text)  # noqa: T201 as above


COMMANDS: Mapping[str, Callable[[Session], None]] = {
    "status": _status,
    "show": _show,
    "traceback": _traceback,
    "help": _help,
}
