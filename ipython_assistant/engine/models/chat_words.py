"""What a chat model is told: its task, what its code did, and what it must not forget.

Small models have their own ways to be wrong without saying so: the labels of a Series are lost by `index=False`, a
column list is written as a tuple, a number is made up where nothing was calculated. The task names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipython_assistant.engine.models import Ran
    from ipython_assistant.engine.models.chat_tables import Look

LONGEST_LOGS: Final = 6_000
"""In characters of what code printed; the middle of more is left out."""

_RULES: Final = """\
- The working directory is /mnt/data; files are there under their own names. pandas, numpy and matplotlib are installed.
  There is no network.
- Calculate everything; never guess or make up a number or a file's contents.
- Save each table and chart that was asked for under exactly the name that was asked for, else a short telling name.
- Write tables with `df.to_csv("name.csv", index=False)`; call `.reset_index()` first after groupby or pivot, or the
  labels are lost. Select several columns with a list: `df.groupby("a")[["b", "c"]]`.
- Save charts with `plt.savefig("name.png", bbox_inches="tight")`, then `plt.close()`. Label the axes.
- Print what you need to know for the answer. Variables and files of earlier code are still there.
- In the end answer in a few sentences without code, from what was printed, and link each file you made as
  [name](sandbox:/mnt/data/name). Say how you treated missing or unclear values."""

_FENCED: Final = """\
You are a data analyst with a Python session. To run code, write it in one block between ```python and ``` and end your
message there: the code is run, and you are sent what it printed. Never write what you think it will print."""

_TOOLS: Final = """\
You are a data analyst with a Python session. Run code with the tool `{tool}`; you are sent what it printed."""


def code_tool(name: str) -> dict[str, Any]:
    """The code interpreter as a function."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": "Run Python in the session; returns what it printed and which files it made.",
            "parameters": {
                "type": "object",
                "properties": {"code": {"type": "string", "description": "The code to run."}},
                "required": ["code"],
            },
        },
    }


def task(*, tool: str, instructions: str, looks: Sequence[Look], others: Iterable[str]) -> str:
    """The system message.

    Args:
        tool: The tool that code comes by; empty where it comes as fenced blocks.
        instructions: What the request says of the task.
        looks: The tables in the container.
        others: Other files in it.
    """
    paragraphs = [f"{_TOOLS.format(tool=tool) if tool else _FENCED}\n\n{_RULES}"]
    files = [look.described() for look in looks] + list(others)
    if files:
        paragraphs.append("Files in /mnt/data:\n" + "\n".join(f"- {file}" for file in files))
    if instructions:
        paragraphs.append(f"What the user's program asks of you:\n{instructions}")
    return "\n\n".join(paragraphs)


def printed(logs: str | None) -> str:
    """What code printed, as far as that is known."""
    if logs is None:
        return "The code ran."
    logs = logs.strip()
    if len(logs) > LONGEST_LOGS:
        half = LONGEST_LOGS // 2
        logs = f"{logs[:half]}\n… {len(logs) - 2 * half:,} characters left out …\n{logs[-half:]}"
    return f"The code printed:\n{logs}" if logs else "The code printed nothing."


def outcome(ran: Ran, looks: Iterable[Look]) -> str:
    """What code did."""
    paragraphs = [printed(ran.logs)]
    if ran.error is not None:
        paragraphs.append(f"It stopped with {ran.error}. Find the cause and write the whole code again, corrected.")
    if ran.files:
        paragraphs.append(f"It made or changed: {', '.join(ran.files)}")
    paragraphs += [look.told() for look in looks]
    if ran.figures:
        count = "a figure" if ran.figures == 1 else f"{ran.figures} figures"
        paragraphs.append(f"It displayed {count}; the user has seen that. Figures to keep are saved with savefig.")
    if ran.error is None:
        paragraphs.append("If this answers the question, write the answer now, without code.")
    return "\n\n".join(paragraphs)
