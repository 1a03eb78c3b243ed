"""What the request's instructions say of files, in the words in which the notebook extension writes them.

Any program may ask the engine, so all of it is a hint: without it, the conversation and the uploads say what is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

NAMED: Final = ("Files of the user:", "Files of the user, named with this question:")
"""Over the files that were named with the question."""
OTHERS: Final = ("Files of the user, from earlier questions:", "Other files of the user:")
"""Over those that the conversation had before."""
MADE: Final = "made earlier in this conversation"
"""What is said of a file that an earlier answer made."""
WANTED: Final = re.compile(
    r"^The notebook goes on with [^\n]* under exactly this name, [^\n]*: (?P<names>[^\n:]+)$", re.M
)

_FOLDER: Final = "/mnt/data/"


@dataclass(frozen=True, slots=True)
class Told:
    """What a question says of files besides its words.

    Args:
        named: Files that were named with it, in that order: it is about these where that makes sense.
        others: Files that earlier questions came with.
        made: Files that earlier answers made.
        wanted: Tables that have to come back, under exactly these names.
    """

    named: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


def told(instructions: str, files: Collection[str]) -> Told:
    """Read instructions; files that are not in the container are none."""
    paragraphs = instructions.split("\n\n")
    named = [name for name, _ in _listed(paragraphs, NAMED, files)]
    others = list(_listed(paragraphs, OTHERS, files))
    wanted = WANTED.search(instructions)
    return Told(
        tuple(named),
        tuple(name for name, about in others if about != MADE),
        tuple(name for name, about in others if about == MADE),
        tuple(name for name in wanted["names"].split(", ") if "/" not in name) if wanted else (),
    )


def _listed(paragraphs: list[str], headings: Collection[str], files: Collection[str]) -> Iterator[tuple[str, str]]:
    """The files of the first such list, and what is said of each."""
    lists = (paragraph.split("\n") for paragraph in paragraphs)
    lines = next((lines for lines in lists if lines[0] in headings), [])
    for line in lines[1:]:
        path = line.removeprefix(f"- {_FOLDER}")
        fitting = [name for name in files if path != line and path.startswith(f"{name}: ")]
        if fitting:
            name = max(fitting, key=len)
            yield name, path.removeprefix(f"{name}: ")
