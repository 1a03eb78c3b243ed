"""A chat model writes Python, the container runs it, and the model is told what it did, until it answers without code.

A small model is wrong without saying so, so it is helped and checked: the tables are loaded for it, an answer whose
numbers nothing calculated is asked for once more and then refused, and what the question asks for has to be there.
Pictures that came with the question go along, where the model sees them and may see values.
"""

from __future__ import annotations

import ast
import base64
import keyword
import mimetypes
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import EndEarly, Refuse, Run, Say
from ipython_assistant.engine.models.chat_server import MAX_TOKENS, Completion
from ipython_assistant.engine.models.safe_markdown import escape, fence_for, inline_code, listed, split
from ipython_assistant.engine.models.share import Told
from ipython_assistant.engine.models.table_profiles import loading_code, profiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ipython_assistant.engine.models import Ask, Interpreter, RunOutcome, Step
    from ipython_assistant.engine.models.chat_server import ChatServer, Json
    from ipython_assistant.engine.models.table_profiles import TableProfile

MAX_RUNS: Final = 6
MAX_COMPLAINTS: Final = 2
"""How often in an answer the model is told that something is wrong."""
AFTERWARDS: Final = 24
"""Pieces that a model may send behind its code before it is stopped; most end at once, and then tell their tokens."""
MAX_PRINTED: Final = 20_000
"""In characters, of what code printed that the user is shown in the answer."""
PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
PDFS: Final = (".pdf",)
"""Chat completions have no part for them."""
MOST_PICTURE_BYTES: Final = 32_000_000
"""Of all pictures of a question."""

_RULES: Final = """\
You are a data analyst with a Python session. To run code, write it in one block between ```python and ``` and end your
message there: the code is run, and you are told what it did. Never write what you think it will print.

- The tables below are loaded already as pandas DataFrames under the names in backquotes, with the right types: use
  them, and do not read their files again. Files are in the working directory. There is no network.
- Calculate everything; never guess or make up a number or a file's contents.
- Save each table and chart that was asked for under exactly the name that was asked for, else a short telling name.
- Write tables with `df.to_csv("name.csv", index=False)`; call `.reset_index()` first after groupby or pivot.
  Select several columns with a list: `df.groupby("a")[["b", "c"]]`.
- Save charts with `plt.savefig("name.png", bbox_inches="tight")`, then `plt.close()`. Label the axes.
"""
_SEES: Final = """\
- Print what you need to know for the answer. Variables and files of earlier code are still there.
- In the end answer in a few sentences without code, from what was printed, and link each file you made as
  [name](sandbox:/mnt/data/name). Say how you treated missing or unclear values."""
_BLIND: Final = """\
- You will not see what your code prints, nor any value of a table: the user does. Write one block that does all of
  it, and print, with a few words, each number that the question asks for."""

_ASKED_FILE: Final = re.compile(
    r"(?<![\w/.-])[\w-]+\.(?:csv|tsv|xlsx|jsonl?|parquet|txt|md|html?|png|svg|pdf|jpe?g|webp)\b", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"\d[\d.,]*")
_GROUPED: Final = re.compile(r"\b(groupby|pivot_table|pivot|value_counts|resample|crosstab)\(")
_UNGROUPED: Final = re.compile(r"\b(reset_index|head|tail|nth|transform|filter|apply)\(|as_index=False")

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
"""Stands for an earlier answer that the model may not see, or that is not in its own words."""
_NOTHING_CALCULATED: Final = (
    "The model answered twice without running any code, so nothing in its answer was calculated, and it is not shown. "
    "Ask in other words, name the columns, or choose a larger model with `-m`."
)


class _Work:
    """What an answer has come to so far, and what is to be done next."""

    def __init__(self, ask: Ask, tables: Mapping[str, TableProfile], told: Told) -> None:
        self.code, self.succeeded = "", False
        """What the model wrote last, and whether it came to its end."""
        self.sees_what_is_asked = False
        """Whether the question is about pictures, and the model sees them: then it may tell numbers without code."""
        self._ask, self._tables, self._told = ask, tables, told
        asked = dict.fromkeys(_ASKED_FILE.findall(f"{ask.prompt}\n{ask.instructions}"))
        self._absent = [name for name in asked if name not in ask.files]
        self._empty: list[str] = []
        self._loaded: set[str] = set()
        self._runs = self._complaints = 0
        self._error = self._logs = ""

    def prepared(self, code: str) -> str:
        """The code as it is run: with the lines that load the tables it uses, and with labels kept."""
        return loading(code, self._tables, self._loaded) + with_labels(code)

    def account(self, code: str, outcome: RunOutcome, made: Sequence[TableProfile]) -> None:
        """One more run: the model's code, what it did, and the tables it wrote."""
        self._runs += 1
        self._logs, self._error = outcome.logs.strip(), (outcome.error or "").rstrip(".")
        self.code, self.succeeded = code, not self._error
        self._complaints += not self.succeeded
        self._absent, self._empty = (
            [name for name in names if name not in outcome.files] for names in (self._absent, self._empty)
        )
        self._empty += [table.path for table in made if not table.rows and not table.problem]
        if self.succeeded:  # what failed may have changed its tables half, so they are loaded again
            self._loaded |= {name for name in self._tables if name in code}

    @property
    def over(self) -> bool:
        """Whether the model is not asked again after a run: it may not see results, or has had its chances."""
        done = self.succeeded and not self._told.everything and not self._lacking()
        return done or self._runs >= MAX_RUNS or self._complaints > MAX_COMPLAINTS

    def next_step(self) -> str:
        """What the model is to do after a run."""
        lacking = self._lacking()
        self._complaints += bool(lacking) and not self._told.everything
        return CORRECT if self._error else lacking or DONE

    def complaint(self, text: str) -> str:
        """What the model is told about an answer without code that cannot stand; empty where it stands."""
        needs_code = (bool(self._tables) and not self.sees_what_is_asked) or self._invented(text)
        lacking = self._lacking() if self._runs else NO_CODE if needs_code else ""
        if self._complaints >= (MAX_COMPLAINTS if self._runs else 1):
            return ""
        self._complaints += bool(lacking)
        return lacking

    def last_words(self, text: str) -> Say | Refuse:
        """The answer, or the refusal to show one in which nothing was calculated."""
        return Refuse(_NOTHING_CALCULATED) if not self._runs and self._invented(text) else Say(text)

    def added(self, seen: Mapping[str, str]) -> str:
        """What we tell the reader beside the model's own words; `seen` are the pictures that the model saw."""
        told, new = [], self._ask.new
        why = "it sees no pictures, or they are too large"
        why = why if self._told.everything else f'share is "{self._told.share}"'
        unseen = [f"{inline_code(name)} ({why})" for name in files_of(PICTURES, new) if name not in seen]
        unseen += [f"{inline_code(name)} (chat models read no PDF)" for name in files_of(PDFS, new)]
        if unseen:
            told.append(f"the model itself did not see {listed(unseen)}; its code can read files.")
        if self._error:
            told.append(f"the code stopped with {escape(self._error)}. Its log is shown with the code.")
        elif self._runs >= MAX_RUNS:
            told.append(f"code has run {self._runs} times without an answer; this is what there is.")
        elif self._logs and not self._told.everything:
            fence = fence_for(self._logs)
            told.append(f"the code printed:\n\n{fence}text\n{self._logs[:MAX_PRINTED]}\n{fence}")
        if self._runs and self._absent:
            told.append(f"{listed([inline_code(name) for name in self._absent])} was asked for, and no code wrote it.")
        told += [f"{inline_code(name)} has no rows." for name in self._empty]
        return ADDED + "\n\n".join(told) if told else ""

    def _lacking(self) -> str:
        told = [f"The question asks for {name}, and your code did not write it." for name in self._absent]
        told += [f"{self._told.file(name)} has no rows." for name in self._empty]
        return " ".join([*told, CORRECT]) if told else ""

    def _invented(self, text: str) -> bool:
        """Whether an answer before any code ran tells what only code could know: numbers, a table, a file."""
        return bool(self._absent) or (not self.sees_what_is_asked and has_numbers(text, self._ask.prompt))


class FreePython:
    """Answers by Python that a chat model writes; what that is told stays here if it is `on_this_machine`."""

    def __init__(self, server: ChatServer, *, on_this_machine: bool) -> None:
        self._server = server
        self._on_this_machine = on_this_machine

    async def answer(self, ask: Ask, interpreter: Interpreter) -> AsyncGenerator[Step, None]:  # noqa: C901, PLR0912 one loop
        """Let the model write code until the question is answered. Raises `ModelFailed`."""
        tables = await profiles(interpreter, ask.files, ask.prompt)
        told = Told.about(ask, tables, on_this_machine=self._on_this_machine)
        frames = frames_of(tables, told)
        work, messages = _Work(ask, frames, told), _messages(ask, frames, told)
        pictures = await _pictures(ask, told, interpreter)
        if pictures:
            messages[-1]["pictures"] = pictures
        while True:
            live, completion = work.succeeded, Completion("")
            async with aclosing(self._listen(messages, ask, live=live)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Say):
                        yield piece
                    else:
                        completion = piece
            yield completion.usage
            if completion.cut:
                yield EndEarly("max_output_tokens")
                return
            about_pictures = bool(pictures) and not is_about_tables(ask, tables)
            work.sees_what_is_asked = about_pictures and self._server.sees_pictures
            prose, code = split(completion.text)
            if code.strip() and code != work.code:
                if prose and not live:
                    yield Say(prose)
                yield (run := Run(work.prepared(code)))
                made = await profiles(interpreter, run.outcome.files, "")
                work.account(code, run.outcome, made)
                if work.over:
                    break
                answered = f"{prose}\n\n```python\n{code}```".strip()
                reply = f"{told.outcome(run.outcome, made)}\n\n{work.next_step()}"
            elif reply := work.complaint(completion.text):
                answered = completion.text
            else:
                if not live:
                    yield work.last_words(prose)
                break
            messages += [{"role": "assistant", "content": answered}, {"role": "user", "content": reply}]
        if added := work.added(pictures if self._server.sees_pictures else {}):
            yield Say(added)

    async def _listen(
        self, messages: Sequence[Json], ask: Ask, *, live: bool
    ) -> AsyncGenerator[Say | Completion, None]:
        """One completion: with `live` the prose before any code while it comes, and last all of it."""
        options = {name: ask.wishes[name] for name in ("temperature", "top_p") if name in ask.wishes}
        if effort := (ask.wishes.get("reasoning") or {}).get("effort"):
            options["reasoning_effort"] = effort
        text, shown, afterwards = "", 0, 0
        stream = self._server.stream(
            messages, max_tokens=ask.wishes.get("max_output_tokens") or MAX_TOKENS, options=options
        )
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    if live and text[shown:] and not split(text)[1]:
                        yield Say(text[shown:])
                    yield piece
                    return
                text += piece
                prose = text.partition("```")[0].rstrip("` \t\n")  # what may yet become a fence waits
                if live and len(prose) > shown:
                    yield Say(prose[shown:])
                    shown = len(prose)
                afterwards += text.count("```") > 1 and bool(split(text)[1])
                if afterwards > AFTERWARDS:
                    yield Completion(text)
                    return


def _messages(ask: Ask, tables: Mapping[str, TableProfile], told: Told) -> list[Json]:
    """The conversation; templates of many models take one system message, at the beginning."""
    paths = {table.path for table in tables.values()}
    others = dict.fromkeys(told.file(name) for name in ask.files if name not in paths)
    system = [_RULES + (_SEES if told.everything else _BLIND)]
    if tables:
        system.append("Tables:\n" + "\n".join(f"- {told.table(table, name)}" for name, table in tables.items()))
    if others:
        system.append("Other files:\n" + "\n".join(f"- {name}" for name in others))
    written: list[Json] = [{"role": "system", "content": "\n\n".join(filter(None, [*system, ask.instructions]))}]
    for message in ask.history:
        if message.role == "user":
            written.append({"role": "user", "content": message.text})
        elif message.role == "assistant":
            own = message.text.partition(ADDED.strip())[0].rstrip()
            shown = own if told.everything and not own.startswith(READ_AS) else ""
            written.append({"role": "assistant", "content": shown or ELSEWHERE})
    return [*written, {"role": "user", "content": ask.prompt}]


def is_about_tables(ask: Ask, tables: Sequence[TableProfile]) -> bool:
    """Whether a table is among what came with the question, or among all files where nothing came."""
    return any(table.path in (ask.new or ask.files) for table in tables)


def files_of(endings: tuple[str, ...], names: Sequence[str]) -> list[str]:
    """Those of the files whose names end so."""
    return [name for name in names if name.lower().endswith(endings)]


async def _pictures(ask: Ask, told: Told, interpreter: Interpreter) -> dict[str, str]:
    """The pictures among the inputs as data URLs, by name, as far as the model may see them."""
    found, left = dict[str, str](), MOST_PICTURE_BYTES
    for name in files_of(PICTURES, ask.files) if told.everything else ():
        if name in told.inputs and (content := await interpreter.content(name, left)):
            kind = mimetypes.guess_type(name)[0] or "image/webp"
            found[name] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
            left -= len(content)
    return found


async def profiles(interpreter: Interpreter, paths: Sequence[str], prompt: str) -> tuple[TableProfile, ...]:
    """What is known of the tables among these files; empty where the kernel could not look."""
    try:
        return await profiled(interpreter, paths, prompt)
    except RuntimeError:
        return ()


# ---- the code itself


def frames_of(tables: Sequence[TableProfile], told: Told) -> dict[str, TableProfile]:
    """The tables by the variables that hold them: the files' names, as far as Python allows and they may be told."""
    frames: dict[str, TableProfile] = {}
    for table in tables:
        stem = table.stem if told.file(table.path) == table.path else ""
        name = re.sub(r"\W+", "_", stem).strip("_").lower()
        if not name.isidentifier() or keyword.iskeyword(name) or name in {"pd", "np", "plt", "json"}:
            name = f"table_{name}".rstrip("_")
        numbered = (name, *(f"{name}_{number}" for number in range(2, len(tables) + 2)))
        frames[next(one for one in numbered if one not in frames)] = table
    return frames


def loading(code: str, tables: Mapping[str, TableProfile], loaded: set[str]) -> str:
    """The lines that load the tables which code uses; empty where all of them are loaded."""
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", code)) - loaded
    lines = "\n\n".join(loading_code(table, name) for name, table in tables.items() if name in used and table.read)
    needs = {"json.": "import json", "Path(": "from pathlib import Path", "pd.": "import pandas as pd"}
    imports = "\n".join(line for name, line in needs.items() if name in lines)
    return f"{imports}\n\n{lines}\n\n" if lines else ""


def with_labels(code: str) -> str:
    """The code, where a grouped table is written without its index, which holds the labels: written with it.

    The mistake that small models make most: `df.groupby("a")["b"].mean().to_csv("x.csv", index=False)`.
    """
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    assigned = {ast.unparse(one.targets[0]): ast.unparse(one.value) for one in nodes if isinstance(one, ast.Assign)}
    for node in nodes:
        if not (isinstance(node, ast.Call) and re.search(r"\.to_(csv|excel)$", ast.unparse(node.func))):
            continue
        made = last = ast.unparse(node.func)
        left = dict(assigned)
        while last := left.pop(re.split(r"[.[]", last, maxsplit=1)[0], ""):
            made += f" from {last}"
        written = ast.get_source_segment(code, node) or ""
        if written and _GROUPED.search(made) and not _UNGROUPED.search(made):
            code = code.replace(written, re.sub(r"(\bindex\s*=\s*)False", r"\1True", written))
    return code


def has_numbers(text: str, question: str) -> bool:
    """Whether an answer tells numbers that the question does not, or a table."""
    listless = re.sub(r"(?m)^\s*\d+[.)]\s", "", text)
    known, told = ({number.strip(".,") for number in _NUMBER.findall(one)} for one in (question, listless))
    return bool(told - known) or re.search(r"(?m)^\s*\|.*\|", text) is not None
