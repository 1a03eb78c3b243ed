"""What a model is told that writes Python: its task, what its code did, and what is wrong with its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_RULES: Final = """\
You are a data analyst with a Python session. To run code, write it in one block between ```python and ``` and end your
message there: the code is run, and you are told what it did. Never write what you think it will print.

- The tables below are loaded already as pandas DataFrames under the names in backquotes, with the right types: use
  them, and do not read their files again. Files are in the working directory. There is no network.
- Calculate everything; never guess or make up a number or a file's contents.
- Save each table and chart that was asked for under exactly the name that was asked for, else a short telling name.
- Write tables with `df.to_csv("name.csv", index=False)`; call `.reset_index()` first after groupby or pivot.
  Select several columns with a list: `df.groupby("a")[["b", "c"]]`.
- Save charts with `plt.savefig("name.png", bbox_inches="tight")`, then `plt.close()`. Label the axes."""

_SEES: Final = """\
- Print what you need to know for the answer. Variables and files of earlier code are still there.
- In the end answer in a few sentences without code, from what was printed, and link each file you made as
  [name](sandbox:/mnt/data/name). Say how you treated missing or unclear values."""

_BLIND: Final = """\
- You will not see what your code prints, nor any value of a table: the user does. Write one block that does all of
  it, and print, with a few words, each number that the question asks for."""

ADDED: Final = "\n\n**From this machine:** "
"""Goes before everything that we add to a model's answer: from here on it is not the model's own words."""
READ_AS: Final = "Read as:"
"""How an answer begins that this machine wrote from a plan: all of it is ours."""
NO_CODE: Final = (
    "You ran no code, and the answer needs the data. Write the code now, in one block between ```python and ```."
)
DONE: Final = "If this answers the question, write the answer now, without code."
CORRECT: Final = "Find the cause and write the whole code again, corrected."
ELSEWHERE: Final = "(Answered.)"
"""Stands for an earlier answer that the model may not see."""


def task(tables: Sequence[str], others: Sequence[str], instructions: str, *, sees: bool) -> str:
    """The system message.

    Args:
        tables: A line on each table.
        others: Other files in the working directory.
        instructions: What the request says of the task.
        sees: Whether the model sees what its code prints.
    """
    paragraphs = [f"{_RULES}\n{_SEES if sees else _BLIND}"]
    if tables:
        paragraphs.append("Tables:\n" + "\n".join(f"- {line}" for line in tables))
    if others:
        paragraphs.append("Other files:\n" + "\n".join(f"- {name}" for name in others))
    if instructions:
        paragraphs.append(instructions)
    return "\n\n".join(paragraphs)


def missing(files: Sequence[str], empty: Sequence[str]) -> str:
    """What a model is told whose code did not write what was asked for."""
    told = [f"The question asks for {name}, and your code did not write it." for name in files]
    told += [f"{name} has no rows." for name in empty]
    return " ".join([*told, "Find the cause and write the code again, corrected."])
